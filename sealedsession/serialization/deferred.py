"""Values that a serializer makes only after the whole payload has been read: why, see values.py and references.py.

While the reading goes on, each has a `Deferred` in its place. `make` then puts the values there, from the inside out,
and before that fetches those that are kept by reference, together. Nesting is bounded, and so is the recursion here.
"""

from collections.abc import Callable
from typing import Any

from sealedsession.serialization.registry import ValueType


class NotFetched(Exception):
    """Carries what a `fetch` raised: whose error that is, is not for a reader of payloads to say."""


class Deferred:
    """Stands for a value. It cannot be a key, and no opcode finds a method on it.

    :ivar made: holds the value, once that is fetched.
    """

    __slots__ = ("data", "decode", "fetch", "made")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, entry: ValueType, data: object) -> None:
        self.decode = entry.decode
        self.fetch = entry.fetch
        self.data = data
        self.made: tuple[object, ...] = ()


def contains_deferred(data: Any) -> bool:
    """Whether a value is deferred, or anything in it."""
    kind = type(data)
    if kind is Deferred:
        return True
    if kind is dict:
        return any(map(contains_deferred, data.values()))
    return (kind is list or kind is tuple) and any(map(contains_deferred, data))


def make(value: Any, fetching: bool) -> object:
    """Make the values that are deferred.

    :param fetching: without it, what is kept by reference is only checked, and what holds it is not made.
    :raises NotFetched: when a `fetch` has failed. What decoders raise passes.
    """
    if fetching:
        references: dict[Callable[[list[Any]], list[Any]], list[Deferred]] = {}
        _find_references(value, references)
        for fetch, deferred in references.items():
            _fetch_together(fetch, deferred)
    return _release(value, fetching)


def _find_references(value: Any, found: dict[Callable[[list[Any]], list[Any]], list[Deferred]]) -> None:
    """Collect references by their `fetch`, but for those whose data holds what has to be made first."""
    kind = type(value)
    if kind is Deferred:
        if value.fetch is not None and not contains_deferred(value.data):
            found.setdefault(value.fetch, []).append(value)
        else:
            _find_references(value.data, found)
    elif kind is dict:
        for member in value.values():
            _find_references(member, found)
    elif kind is list or kind is tuple:
        for member in value:
            _find_references(member, found)


def _fetch_together(fetch: Callable[[list[Any]], list[Any]], deferred: list[Deferred]) -> None:
    references = [each.decode(each.data) for each in deferred]
    try:
        values = list(fetch(references))
        if len(values) != len(references):
            raise TypeError(f"{fetch!r} gave {len(values)} values for {len(references)} references")
    except Exception as error:  # noqa: BLE001  # the application's own, which it gets as it is
        raise NotFetched(error) from None
    for each, value in zip(deferred, values, strict=True):
        each.made = (value,)


def _release(value: Any, fetching: bool) -> object:
    kind = type(value)
    if kind is Deferred:
        return _released(value, fetching)
    if kind is list:
        # Not map, which a decoder's StopIteration would end.
        value[:] = [_release(member, fetching) for member in value]
    elif kind is tuple:
        return tuple([_release(member, fetching) for member in value])
    elif kind is dict:
        released = [(key, member, _release(member, fetching)) for key, member in value.items()]
        for key, member, made in released:
            if made is not member:  # setting a key costs time if keys collide
                value[key] = made
    return value


def _released(deferred: Deferred, fetching: bool) -> object:
    if deferred.made:
        return deferred.made[0]
    deferred.data = _release(deferred.data, fetching)
    if not fetching and contains_deferred(deferred.data):
        return deferred
    if deferred.fetch is None:
        return deferred.decode(deferred.data)
    if not fetching:
        deferred.decode(deferred.data)
        return deferred
    _fetch_together(deferred.fetch, [deferred])
    return deferred.made[0]
