"""Explain why a value cannot be serialized."""

import collections
import dataclasses
import datetime
import enum
import functools
import types
import zoneinfo
from typing import Any

from sealedsession.errors import NotSerializableError
from sealedsession.serialization.limits import Limits, TooManyValues
from sealedsession.serialization.registry import Registry

# Where in their data these types have what can be at fault; the rest is no part of its path.
_INSIDE: dict[type, int] = {
    collections.deque: 0,
    collections.defaultdict: 1,
    datetime.datetime: 2,  # the time zone
    datetime.time: 2,
}


# What is code, or stands for it: to register it would let a payload choose what runs.
_LIVING = (
    type,
    types.ModuleType,
    types.FunctionType,
    types.MethodType,
    types.BuiltinFunctionType,
    types.MethodWrapperType,
    functools.partial,
)


_SCALAR = (type(None), bool, float, str, bytes)


class FaultFinder:
    """Finds the first value that cannot be stored, for an error that names its path.

    Slow, and made only when a serializer has failed.
    """

    def __init__(self, registry: Registry, limits: Limits) -> None:
        self._registry = registry
        self._limits = limits
        self._left = limits.nodes
        self._typed_left = limits.typed

    def find(self, value: object, error: Exception) -> NotSerializableError:
        """The fault of a value that a serializer could not store.

        :param error: what the serializer said, for want of a better answer.
        :raises TooLarge: when the search comes upon more values than a session can have.
        """
        try:
            fault = self._find(value, self._limits.what, ())
        except RecursionError:  # called from deep within the application
            fault = None
        return fault or NotSerializableError(self._limits.what, None, f"it cannot be stored: {error}")

    def _find(self, value: Any, path: str, parents: tuple[int, ...]) -> NotSerializableError | None:
        """:param parents: the ids of the values around it."""
        self._left -= 1
        if self._left < 0:
            raise TooManyValues  # what is shared is met wherever it occurs
        if id(value) in parents:
            return NotSerializableError(path, type(value), "it contains itself. Store a value without the circle")
        inside = (*parents, id(value))
        kind = type(value)
        if kind is int:
            return self._in_int(value, path)
        if kind in _SCALAR:
            return None
        if len(inside) > self._limits.depth:
            return NotSerializableError(path[:60] + "...", kind, f"it is nested more than {self._limits.depth} deep")
        if kind is dict:
            return self._in_dict(value, path, inside)
        if kind is list or kind is tuple:
            found = (self._find(member, f"{path}[{index}]", inside) for index, member in enumerate(value))
            return next(filter(None, found), None)
        return self._in_typed(value, path, inside)

    def _in_dict(self, value: dict[Any, Any], path: str, inside: tuple[int, ...]) -> NotSerializableError | None:
        for key, member in value.items():
            member_path = f"{path}[{_short(key)}]"
            key_path = f"{member_path} (the key)"
            if late := self._registry.unhashable_during_load(key):
                return NotSerializableError(
                    key_path, late, f"a value of type {late.__qualname__} cannot be a key, nor in one"
                )
            fault = self._find(key, key_path, inside) or self._find(member, member_path, inside)
            if fault:
                return fault
        return None

    def _in_typed(self, value: Any, path: str, inside: tuple[int, ...]) -> NotSerializableError | None:
        kind = type(value)
        name = f"{kind.__module__}.{kind.__qualname__}"
        self._typed_left -= 1
        if self._typed_left < 0:
            raise TooManyValues
        entry = self._registry.by_type.get(kind)
        if entry is None:
            cure = (
                self._registry.advice_for(kind)
                or _instead_of(kind)
                or "Store plain values (str, int, list, dict, datetime ...), or register the type: "
                f"{self._registry.import_path}.{_call_to_add(kind)}"
            )
            return NotSerializableError(
                path, kind, f"values of type {name} are not stored in {self._limits.what}s. {cure}"
            )
        try:
            data: Any = entry.encode(value)
        except Exception as error:  # noqa: BLE001  # an encoder is anybody's code, and its complaint is the message
            return NotSerializableError(path, kind, f"this {name} cannot be stored: {error}")
        if entry.plain and (late := self._unhashable_within(data)):
            problem = f"this {name} cannot be stored with a value of type {late.__qualname__} in it: take plain data"
            return NotSerializableError(path, kind, problem)
        if kind in _INSIDE and type(data) is tuple:
            inside = (*inside, id(data))
            data_inside = data[_INSIDE[kind]]
        else:
            data_inside = data
        if fault := self._find(data_inside, path, inside):
            return fault
        try:
            entry.decode(data)
        except Exception as error:  # noqa: BLE001  # likewise
            return NotSerializableError(path, kind, f"this {name} is beyond what a {self._limits.what} takes: {error}")
        return None

    def _unhashable_within(self, data: Any) -> type | None:
        """The type of the first value, in what `plain` speaks of, that is made after the reading."""
        members = data.values() if type(data) is dict else data if type(data) in (list, tuple) else ()
        entry = self._registry.by_type.get(type(data))
        if entry is not None and entry.deferred:
            return type(data)
        return next(filter(None, map(self._unhashable_within, members)), None)

    def _in_int(self, value: int, path: str) -> NotSerializableError | None:
        if self._limits.takes_int(value):
            return None
        most = 8 * self._limits.int_bytes - 1
        problem = f"it has {value.bit_length()} bits, and {most} is the most. Store it as bytes or str"
        return NotSerializableError(path, int, problem)


def _instead_of(kind: type) -> str:
    """What to do with a value whose type is better not registered, or nothing."""
    if advice := getattr(kind, "_sealedsession_advice", ""):  # of `Resumable`
        return str(advice)
    if issubclass(kind, enum.Flag):
        return "Store its value, an int, and make the flag of that again"
    if issubclass(kind, _LIVING) or kind.__module__.startswith("sealedsession."):
        return "Store what names it, such as its name or id, and find it by that"
    return ""


def _call_to_add(kind: type) -> str:
    """The registration that the type probably needs."""
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


def _short(key: object) -> str:
    try:
        text = repr(key)
    except Exception:  # noqa: BLE001  # anybody's code, and huge ints
        text = f"a {type(key).__qualname__}"
    return text if len(text) <= 60 else text[:57] + "..."
