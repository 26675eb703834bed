"""Encoders and decoders for common kinds of classes: enums, dataclasses, named tuples, subclasses and time zones.

Rules:

1. A decoder checks all of its data, the exact types and the number of values, before it calls the class.
2. The possible members of an enum and the possible time zones are fixed at registration. A decoder finds them in a
   table, never by a look-up in the class or on disk.
3. Registration raises `ConfigError` for a class whose data cannot be checked exactly.
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
    """The functions that convert the values of one class to data and back."""

    encode: Callable[[Any], object]
    decode: Callable[[Any], Any]


def enum_codec(cls: type[enum.Enum]) -> Codec:
    """Return the codec of an enum: each member is encoded as its value.

    Decoding never calls the class, which may define a ``_missing_`` hook.

    :raises ConfigError: if the class is not an enum, is a Flag, or has a member with an unhashable value.
    """
    _require(cls, isinstance(cls, enum.EnumMeta), "an Enum")
    if issubclass(cls, enum.Flag):
        raise ConfigError(f"{cls.__qualname__}: a Flag has values that are not members. Store its int value instead")
    try:
        members = {(type(member.value), member.value): member for member in cls}
    except TypeError:
        raise ConfigError(
            f"{cls.__qualname__}: a member has an unhashable value. Register the class with encode and decode"
        ) from None
    return Codec(lambda member: member.value, lambda data: members[type(data), data])


def dataclass_codec(cls: type[Any]) -> Codec:
    """Return the codec of a dataclass: the tuple of its fields' values, each of exactly the annotated type.

    :raises ConfigError: if the class is not a dataclass, cannot be created from its fields alone, or has an annotation
        that cannot be checked.
    """
    _require(cls, isinstance(cls, type) and dataclasses.is_dataclass(cls), "a dataclass")
    names = [field.name for field in dataclasses.fields(cls)]
    for field in dataclasses.fields(cls):
        if not field.init:
            raise ConfigError(
                f"{cls.__qualname__}.{field.name}: the field is not an argument of __init__. Register the class with "
                "encode and decode"
            )
    for name, parameter in inspect.signature(cls).parameters.items():
        if name not in names and parameter.default is parameter.empty:
            raise ConfigError(
                f"{cls.__qualname__}: __init__ requires {name}, which is not a field. Register the class with encode "
                "and decode"
            )
    return _fields_codec(cls, names, lambda values: cls(**dict(zip(names, values, strict=True))))


def namedtuple_codec(cls: type[Any]) -> Codec:
    """Return the codec of a named tuple: the tuple of its members, each of exactly the annotated type, if there is one.

    :raises ConfigError: if the class is not a named tuple, or has an annotation that cannot be checked.
    """
    _require(cls, isinstance(cls, type) and issubclass(cls, tuple) and hasattr(cls, "_fields"), "a named tuple")
    names: list[str] = list(getattr(cls, "_fields", ()))
    return _fields_codec(cls, names, lambda values: cls(*values))


def subclass_codec(cls: type[Any]) -> Codec:
    """Return the codec of a subclass of str, int, float or bytes: the plain value.

    :raises ConfigError: if the class is not such a subclass.
    """
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
        attributes = [*getattr(value, "__dict__", ()), *slots]
        if attributes:
            raise TypeError(f"it has attributes of its own ({', '.join(attributes)}), which would be lost")
        return to_plain[base](value)

    def decode(data: object) -> Any:
        if type(data) is not base:
            raise TypeError(f"{cls.__qualname__}: expected {base.__name__}, got {type(data).__name__}")
        return cls(data)

    return Codec(encode, decode)


def zoneinfo_codec(names: Iterable[str]) -> Codec:
    """Return the codec of time zones: their IANA names. The zones are loaded now, and decoding opens no file.

    :param names: the names of the zones that a payload may contain.
    :raises ConfigError: if a zone does not exist on this machine.
    """
    zones: dict[str, zoneinfo.ZoneInfo] = {}
    for name in [names] if isinstance(names, str) else names:
        try:
            zones[name] = zoneinfo.ZoneInfo(name)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            raise ConfigError(
                f"register_zoneinfo: there is no time zone {name!r} on this machine. Correct the name, or install the "
                "package tzdata"
            ) from None

    def encode(zone: zoneinfo.ZoneInfo) -> object:
        if zone.key not in zones:
            raise TypeError(f"the zone {zone.key} is not registered")
        return zone.key

    return Codec(encode, lambda data: zones[data])


def _fields_codec(cls: type[Any], names: list[str], create: Callable[[tuple[Any, ...]], Any]) -> Codec:
    try:
        hints = typing.get_type_hints(cls)
    except NameError as error:
        raise ConfigError(
            f"{cls.__qualname__}: its annotations cannot be resolved: {error}. Define or import that name in the "
            "module of the class"
        ) from None
    checks = [checker_for_annotation(hints.get(name, Any), f"{cls.__qualname__}.{name}") for name in names]

    def decode(data: Any) -> Any:
        if type(data) is not tuple or len(data) != len(checks):
            raise TypeError(f"{cls.__qualname__}: expected a tuple of {len(checks)} fields, got {type(data).__name__}")
        for name, check, value in zip(names, checks, data, strict=True):
            if not check(value):
                raise TypeError(f"{cls.__qualname__}.{name}: a {type(value).__name__} does not fit the annotation")
        return create(data)

    return Codec(lambda value: tuple(getattr(value, name) for name in names), decode)


def _require(cls: Any, condition: bool, expected: str) -> None:
    if not condition:
        name = getattr(cls, "__qualname__", type(cls).__name__)
        raise ConfigError(f"{name}: it must be {expected}. Use register() for other classes")


def checker_for_annotation(hint: Any, field: str) -> Check:
    """Return a function that checks whether a value is of exactly the annotated type.

    Supported are classes, None, unions, Literal and Any, and list, set, frozenset, dict and tuple of these. A class
    means exactly that class, except that an int is also a float (PEP 484).

    :param field: the name of the annotated field, for the error.
    :raises ConfigError: if the annotation cannot be checked.
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
    if origin is Literal:
        return lambda value: any(type(value) is type(choice) and value == choice for choice in arguments)
    if origin is Union or origin is types.UnionType:
        choices = [checker_for_annotation(argument, field) for argument in arguments]
        return lambda value: any(check(value) for check in choices)
    if origin in (list, set, frozenset, tuple, dict) and (arguments or hint == tuple[()]):
        return _checker_for_container(origin, arguments, field)
    raise ConfigError(
        f"{field}: the annotation {hint!r} cannot be checked. Use a class, None, a union, Literal, or list, dict, "
        "tuple, set or frozenset of these"
    )


def _checker_for_container(kind: Any, arguments: tuple[Any, ...], field: str) -> Check:
    if kind is tuple and arguments[1:] != (...,):
        checks = [checker_for_annotation(argument, field) for argument in arguments]
        return lambda value: (
            type(value) is tuple
            and len(value) == len(checks)
            and all(check(member) for check, member in zip(checks, value, strict=True))
        )
    check = checker_for_annotation(arguments[0], field)
    if kind is dict:
        check_member = checker_for_annotation(arguments[1], field)
        return lambda value: (
            type(value) is dict and all(check(key) and check_member(member) for key, member in value.items())
        )
    return lambda value: type(value) is kind and all(map(check, value))
