"""Values that the pickle serializer creates only after it has read the whole payload.

While a payload is read, each such value is represented by a `Deferred`. `resolve_deferred` then replaces these by the
values, innermost first. Before that, it fetches the values that are kept by reference, in one call for each `fetch`.

Rules:

1. A `Deferred` cannot be a key, and no opcode finds a method on it. registry.py decides which types need this.
2. Exceptions from a `fetch` are not treated as tampering. `FetchError` carries them past the handlers of the reader.
3. The recursion is safe, because the grammar has bounded the nesting.
"""

from collections.abc import Callable
from typing import Any, ClassVar

from sealedsession.serialization.registry import ValueType

_Fetch = Callable[[list[Any]], list[Any]]


class FetchError(Exception):
    """Wraps the exception that a `fetch` raised, so that it is not handled as an error of the payload."""


class Deferred:
    """Represents a value that has not been created yet.

    :ivar fetched: a tuple of the value, once it has been fetched; otherwise empty.
    """

    __slots__ = ("data", "decode", "fetch", "fetched")
    __hash__: ClassVar[None] = None  # type: ignore[assignment]

    def __init__(self, entry: ValueType, data: object) -> None:
        self.decode: Callable[[Any], object] = entry.decode
        self.fetch: Callable[[list[Any]], list[Any]] | None = entry.fetch
        self.data: object = data
        self.fetched: tuple[object, ...] = ()


def contains_deferred(data: Any) -> bool:
    """Return whether a value is a `Deferred` or contains one."""
    kind = type(data)
    if kind is Deferred:
        return True
    if kind is dict:
        return any(map(contains_deferred, data.values()))
    return (kind is list or kind is tuple) and any(map(contains_deferred, data))


def resolve_deferred(value: Any, *, fetch: bool) -> object:
    """Replace each `Deferred` in a value by the value that it represents.

    :param fetch: if False, references are decoded, which checks them, but not fetched. They and the values that contain
        them remain a `Deferred`.
    :raises FetchError: if a `fetch` fails. Errors of decoders are not wrapped.
    """
    if fetch:
        references: dict[_Fetch, list[Deferred]] = {}
        _collect_references(value, references)
        for function, deferred in references.items():
            _fetch_together(function, deferred)
    return _resolve(value, fetch)


def _collect_references(value: Any, found: dict[_Fetch, list[Deferred]]) -> None:
    """Collect references by their `fetch`, except for those whose data contains values that must be created first."""
    kind = type(value)
    if kind is Deferred:
        if value.fetch is not None and not contains_deferred(value.data):
            found.setdefault(value.fetch, []).append(value)
        else:
            _collect_references(value.data, found)
    elif kind is dict:
        for member in value.values():
            _collect_references(member, found)
    elif kind is list or kind is tuple:
        for member in value:
            _collect_references(member, found)


def _fetch_together(fetch: _Fetch, deferred: list[Deferred]) -> None:
    references = [each.decode(each.data) for each in deferred]
    try:
        values = list(fetch(references))
        if len(values) != len(references):
            raise TypeError(f"{fetch!r} returned {len(values)} values for {len(references)} references")
    except Exception as error:  # noqa: BLE001  # the caller raises it again, unchanged
        raise FetchError(error) from None
    for each, value in zip(deferred, values, strict=True):
        each.fetched = (value,)


def _resolve(value: Any, fetch: bool) -> object:
    kind = type(value)
    if kind is Deferred:
        return _resolve_one(value, fetch)
    if kind is list:
        # Not map(): it would end silently at a StopIteration that a decoder raises.
        value[:] = [_resolve(member, fetch) for member in value]
    elif kind is tuple:
        return tuple([_resolve(member, fetch) for member in value])
    elif kind is dict:
        resolved = [(key, member, _resolve(member, fetch)) for key, member in value.items()]
        for key, member, new in resolved:
            if new is not member:  # assigning is slow if the hashes of keys collide
                value[key] = new
    return value


def _resolve_one(deferred: Deferred, fetch: bool) -> object:
    if deferred.fetched:
        return deferred.fetched[0]
    deferred.data = _resolve(deferred.data, fetch)
    if not fetch and contains_deferred(deferred.data):
        return deferred
    if deferred.fetch is None:
        return deferred.decode(deferred.data)
    if not fetch:
        deferred.decode(deferred.data)
        return deferred
    _fetch_together(deferred.fetch, [deferred])
    return deferred.fetched[0]
