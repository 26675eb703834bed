"""Ready encoders and decoders for the usual kinds of classes: enums, dataclasses, named tuples, subclasses, time zones.

Rules:

1. A decoder checks all of the data before it calls the class: the exact types, and as many as there are.
2. What a decoder can give is fixed when the class is registered: members of an enum and time zones are in tables.
3. What cannot be checked exactly is refused at registration, by a `ConfigError`, and not when a session is read.
"""

import dataclasses
import enum
import inspect
import types
import typing
import zoneinfo
from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple, Union

from sealedsession.errors import ConfigError

Check = Callable[[Any], bool]


class Codec(NamedTuple):
    """How values of a class become data, and data values."""

    encode: Callable[[Any], object]
    decode: Callable[[Any], Any]


def enum_codec(cls: type[enum.Enum]) -> Codec:
    """Members by value, looked up in a table and never through the class, which may have a `_missing_` hook."""
    _require(cls, isinstance(cls, enum.EnumMeta), "an Enum")
    if issubclass(cls, enum.Flag):
        raise ConfigError(f"{cls.__qualname__} is a Flag, whose combinations are no members: store its int value")
    try:
        members = {(type(member.value), member.value): member for member in cls}
    except TypeError:
        raise ConfigError(f"{cls.__qualname__} has a member whose value is not hashable") from None
    return Codec(lambda member: member.value, lambda data: members[type(data), data])


def dataclass_codec(cls: type[Any]) -> Codec:
    """The values of the fields, in order, each of exactly the annotated types."""
    _require(cls, isinstance(cls, type) and dataclasses.is_dataclass(cls), "a dataclass")
    for field in dataclasses.fields(cls):
        if not field.init:
            raise ConfigError(
                f"{cls.__qualname__}.{field.name} is no argument of __init__: register the class with encode and decode"
            )
    names = [field.name for field in dataclasses.fields(cls)]
    for name, parameter in inspect.signature(cls).parameters.items():
        if name not in names and parameter.default is parameter.empty:
            raise ConfigError(
                f"{cls.__qualname__} needs {name}, which is no field: register the class with encode and decode"
            )
    return _fields_codec(cls, names, lambda values: cls(**dict(zip(names, values, strict=True))))


def namedtuple_codec(cls: type[Any]) -> Codec:
    """The members, in order, each of exactly the annotated type where there are annotations."""
    names: list[str] = list(getattr(cls, "_fields", ()))
    _require(cls, isinstance(cls, type) and issubclass(cls, tuple) and hasattr(cls, "_fields"), "a named tuple")
    return _fields_codec(cls, names, lambda values: cls(*values))


def subclass_codec(cls: type[Any]) -> Codec:
    """The plain str, int, float or bytes that an instance is."""
    to_plain: dict[type, Callable[[Any], object]] = {
        str: str.__str__,
        int: int.__int__,
        float: float.__float__,
        bytes: bytes.__bytes__,
    }
    base = next((base for base in to_plain if isinstance(cls, type) and issubclass(cls, base)), cls)
    _require(cls, base is not cls and not issubclass(cls, enum.Enum), "a subclass of str, int, float or bytes")

    def encode(value: Any) -> object:
        slots = (name for kind in cls.__mro__ for name in getattr(kind, "__slots__", ()) if hasattr(value, name))
        own = [*getattr(value, "__dict__", ()), *slots]
        if own:
            raise TypeError(f"it has attributes of its own ({', '.join(own)})")
        return to_plain[base](value)

    def decode(data: object) -> Any:
        if type(data) is not base:
            raise TypeError(f"a {type(data).__name__} for a {cls.__qualname__}")
        return cls(data)

    return Codec(encode, decode)


def zoneinfo_codec(names: Iterable[str]) -> Codec:
    """Time zones by name, loaded now: reading a session opens no file."""
    zones: dict[str, zoneinfo.ZoneInfo] = {}
    for name in [names] if isinstance(names, str) else names:
        try:
            zones[name] = zoneinfo.ZoneInfo(name)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            raise ConfigError(f"there is no time zone {name!r} on this machine; the package tzdata has them") from None

    def encode(zone: zoneinfo.ZoneInfo) -> object:
        if zone.key not in zones:
            raise TypeError(f"the zone {zone.key} is none of those registered")
        return zone.key

    return Codec(encode, lambda data: zones[data])


def _fields_codec(cls: type[Any], names: list[str], make: Callable[[tuple[Any, ...]], Any]) -> Codec:
    try:
        hints = typing.get_type_hints(cls)
    except NameError as error:
        raise ConfigError(f"the annotations of {cls.__qualname__} cannot be resolved: {error}") from None
    checks = [check_for(hints.get(name, Any), f"{cls.__qualname__}.{name}") for name in names]

    def decode(data: Any) -> Any:
        if type(data) is not tuple or len(data) != len(checks):
            raise TypeError(f"not the {len(checks)} fields of a {cls.__qualname__}")
        for name, check, value in zip(names, checks, data, strict=True):
            if not check(value):
                raise TypeError(f"a {type(value).__name__} for the field {name}")
        return make(data)

    return Codec(lambda value: tuple(getattr(value, name) for name in names), decode)


def _require(cls: Any, fits: bool, expected: str) -> None:
    if not fits:
        raise ConfigError(f"{getattr(cls, '__qualname__', type(cls).__name__)} is not {expected}")


# ------------------------------------------------------------------------------------------ annotations as checks


def check_for(hint: Any, field: str) -> Check:
    """Make the check of one annotation.

    Classes (exactly that class; an int also for a float, as in PEP 484), None, unions, Literal, Any, and list, set,
    frozenset, dict and tuple of these.

    :param field: for the error: what is annotated.
    :raises ConfigError: for an annotation that cannot be checked.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return lambda _: True
    if hint is None:
        return lambda value: value is None
    if hint is float:
        return lambda value: type(value) in (float, int)
    if isinstance(hint, type) and origin is None:
        return lambda value: type(value) is hint
    if origin is Union or origin is types.UnionType:
        return _any_of([check_for(argument, field) for argument in arguments])
    if origin is Literal:
        return lambda value: any(type(value) is type(choice) and value == choice for choice in arguments)
    if not arguments and hint != tuple[()]:
        origin = None  # an alias without arguments, typing.List
    if origin in (list, set, frozenset) or (origin is tuple and arguments[1:] == (...,)):
        return _all_members(origin, check_for(arguments[0], field))
    if origin is tuple:
        return _each_member([check_for(argument, field) for argument in arguments])
    if origin is dict:
        return _all_items(check_for(arguments[0], field), check_for(arguments[1], field))
    raise ConfigError(
        f"{field} is annotated {hint!r}, which cannot be checked: use a class, None, a union, Literal, "
        "or list, dict, tuple, set or frozenset of these"
    )


def _any_of(checks: list[Check]) -> Check:
    return lambda value: any(check(value) for check in checks)


def _all_members(kind: Any, check: Check) -> Check:
    return lambda value: type(value) is kind and all(map(check, value))


def _each_member(checks: list[Check]) -> Check:
    def each(value: Any) -> bool:
        if type(value) is not tuple or len(value) != len(checks):
            return False
        return all(check(member) for check, member in zip(checks, value, strict=True))

    return each


def _all_items(check_key: Check, check_value: Check) -> Check:
    def items(value: Any) -> bool:
        return type(value) is dict and all(check_key(key) and check_value(value[key]) for key in value)

    return items
