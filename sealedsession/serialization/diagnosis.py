"""Explains why a value cannot be serialized.

A serializer calls `FaultFinder` after it has failed. The search is slow: it visits the value in the order of writing,
encodes and decodes each value again, and stops at the first one that fails.

Rules:

1. The error names the path of the value as Python would write it, the problem and what to do.
2. The search stops at the limits of payloads. Otherwise a value with shared parts could make it endless.
"""

import collections
import dataclasses
import datetime
import enum
import functools
import types
import zoneinfo
from typing import Any

from sealedsession.errors import NotSerializableError
from sealedsession.serialization.limits import Limits, TooManyValuesError
from sealedsession.serialization.registry import Registry

# The index, in the encoded tuple of these types, of the part that the application supplied. Only that part can be at
# fault, and its path is that of the whole value.
_CONTENT_INDEX: dict[type, int] = {
    collections.deque: 0,
    collections.defaultdict: 1,
    datetime.datetime: 2,  # the time zone
    datetime.time: 2,
}

# Types that are code or refer to it. If they were registered, a payload could choose which code runs.
_CODE_TYPES = (
    type,
    types.ModuleType,
    types.FunctionType,
    types.MethodType,
    types.BuiltinFunctionType,
    types.MethodWrapperType,
    functools.partial,
)

_SCALARS = (type(None), bool, float, str, bytes)
_MAX_PATH_LENGTH = 60  # characters of the path of a deeply nested value, and of a key in a path


class FaultFinder:
    """Finds the first value that cannot be serialized.

    :param registry: the types that the serializer accepts.
    :param limits: the limits of the payload.
    """

    def __init__(self, registry: Registry, limits: Limits) -> None:
        self._registry = registry
        self._limits = limits
        self._nodes_left = limits.nodes
        self._typed_left = limits.typed

    def find(self, value: object, error: Exception) -> NotSerializableError:
        """Return the error for a value that a serializer could not write.

        :param error: the serializer's error, which is quoted if the search finds nothing.
        :raises TooManyValuesError: if the search visits more values than a payload can have.
        """
        try:
            fault = self._search(value, self._limits.object_name, ())
        except RecursionError:  # the application's own calls have used up most of the stack
            fault = None
        return fault or NotSerializableError(self._limits.object_name, None, f"it cannot be stored: {error}")

    def _search(self, value: Any, path: str, parents: tuple[int, ...]) -> NotSerializableError | None:
        """Return the first fault in a value, or None.

        :param parents: the ids of the values that contain this one.
        """
        self._nodes_left -= 1
        if self._nodes_left < 0:
            raise TooManyValuesError  # a shared value is visited wherever it occurs
        if id(value) in parents:
            return NotSerializableError(path, type(value), "it contains itself. Remove the circular reference")
        parents = (*parents, id(value))
        kind = type(value)
        if kind is int:
            return self._check_int(value, path)
        if kind in _SCALARS:
            return None
        if len(parents) > self._limits.depth:
            problem = f"it is nested more than {self._limits.depth} levels deep. Store a flatter value"
            return NotSerializableError(path[:_MAX_PATH_LENGTH] + "...", kind, problem)
        if kind is dict:
            return self._search_dict(value, path, parents)
        if kind is list or kind is tuple:
            faults = (self._search(member, f"{path}[{index}]", parents) for index, member in enumerate(value))
            return next(filter(None, faults), None)
        return self._search_typed(value, path, parents)

    def _check_int(self, value: int, path: str) -> NotSerializableError | None:
        if self._limits.allows_int(value):
            return None
        most = 8 * self._limits.int_bytes - 1
        problem = f"it has {value.bit_length()} bits; the limit is {most}. Store it as bytes or str"
        return NotSerializableError(path, int, problem)

    def _search_dict(self, value: dict[Any, Any], path: str, parents: tuple[int, ...]) -> NotSerializableError | None:
        for key, member in value.items():
            member_path = f"{path}[{_short_repr(key)}]"
            key_path = f"{member_path} (the key)"
            if unhashable := self._registry.unhashable_during_load(key):
                problem = f"a value of type {unhashable.__qualname__} cannot be a key or part of a key. Use a str"
                return NotSerializableError(key_path, unhashable, problem)
            fault = self._search(key, key_path, parents) or self._search(member, member_path, parents)
            if fault:
                return fault
        return None

    def _search_typed(self, value: Any, path: str, parents: tuple[int, ...]) -> NotSerializableError | None:
        kind = type(value)
        name = f"{kind.__module__}.{kind.__qualname__}"
        self._typed_left -= 1
        if self._typed_left < 0:
            raise TooManyValuesError
        entry = self._registry.by_type.get(kind)
        if entry is None:
            problem = f"values of type {name} cannot be stored in {self._limits.object_name}s. {self._advice_for(kind)}"
            return NotSerializableError(path, kind, problem)
        try:
            data: Any = entry.encode(value)
        except Exception as error:  # noqa: BLE001  # an application's encoder may raise anything
            return NotSerializableError(path, kind, f"this {name} cannot be stored: {error}")
        if not entry.allow_nested and (nested := self._find_deferred(data)):
            problem = (
                f"this {name} cannot be stored: its data contains a value of type {nested.__qualname__}. Encode it as "
                "plain data"
            )
            return NotSerializableError(path, kind, problem)
        content = data
        if kind in _CONTENT_INDEX and type(data) is tuple:
            parents = (*parents, id(data))
            content = data[_CONTENT_INDEX[kind]]
        if fault := self._search(content, path, parents):
            return fault
        try:
            entry.decode(data)
        except Exception as error:  # noqa: BLE001  # an application's decoder may raise anything
            return NotSerializableError(path, kind, f"a {self._limits.object_name} cannot hold this {name}: {error}")
        return None

    def _find_deferred(self, data: Any) -> type | None:
        """Return the type of the first deferred value in an encoder's data, or None."""
        entry = self._registry.by_type.get(type(data))
        if entry is not None and entry.deferred:
            return type(data)
        members = data.values() if type(data) is dict else data if type(data) in (list, tuple) else ()
        return next(filter(None, map(self._find_deferred, members)), None)

    def _advice_for(self, kind: type) -> str:
        """Return what to do about a value of a type that is not registered."""
        if advice := self._registry.advice_for(kind):
            return advice
        if advice := getattr(kind, "_sealedsession_advice", ""):  # set by `Resumable`
            return str(advice)
        if issubclass(kind, enum.Flag):
            return "Store its int value, and create the flag from that value"
        if issubclass(kind, _CODE_TYPES) or kind.__module__.startswith("sealedsession."):
            return "Store its name or id, and use that to find it again"
        return (
            "Store plain values (str, int, list, dict, datetime ...), or register the type: "
            f"{self._registry.import_path}.{_registration_call(kind)}"
        )


def _registration_call(kind: type) -> str:
    """Return the call that probably registers a type."""
    name, code = kind.__qualname__, repr(kind.__name__.lower())
    if issubclass(kind, zoneinfo.ZoneInfo):
        return "register_zoneinfo([...])"
    if issubclass(kind, enum.Enum):
        return f"register_enum({name}, {code})"
    if dataclasses.is_dataclass(kind):
        return f"register_dataclass({name}, {code})"
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return f"register_namedtuple({name}, {code})"
    if issubclass(kind, str | int | float | bytes):
        return f"register_subclass({name}, {code})"
    return f"register({name}, {code}, encode=..., decode=...)"


def _short_repr(key: object) -> str:
    try:
        text = repr(key)
    except Exception:  # noqa: BLE001  # an application's __repr__ may raise anything; so does an int of many digits
        text = f"a {type(key).__qualname__}"
    return text if len(text) <= _MAX_PATH_LENGTH else text[: _MAX_PATH_LENGTH - 3] + "..."
