"""The default types: how the registry encodes each, and how it decodes data that may be hostile.

Rules:

1. The rules of registry.py apply to every encoder and decoder here.
2. A decoder checks its data with the functions at the top, then calls the public constructor. Any error of either
   refuses the payload.
3. A value has one spelling: a decoder refuses data that its encoder would not write.
4. `DEFAULT_TYPES` lists every type with its code. `CLASS_VALUES` lists the classes that can themselves be values.
"""

import collections
import datetime
import decimal
import fractions
import ipaddress
import pathlib
import types
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")

PLAIN_TYPES = (type(None), bool, int, float, str, bytes, list, tuple, dict)

_INT64_LIMIT = 2**63
_MAX_PATH_LENGTH = 1024  # characters
_MAX_NAME_LENGTH = 64  # characters of a time zone's name or of an address
_MAX_DECIMAL_LENGTH = 64  # characters; IEEE 754 decimal128 has at most 34 digits
_MAX_DECIMAL_EXPONENT = 1000  # int(Decimal("1E+1000000")) takes seconds
# Keys of an OrderedDict other than str and bytes. An attacker can make their hashes collide. An OrderedDict looks up
# each key five times when it is created and written, a dict at most once. With this limit, the OrderedDicts of a
# payload take no longer than one dict.
_MAX_ORDERED_KEYS = 128


class DefaultType(NamedTuple):
    """A row of `DEFAULT_TYPES`."""

    cls: type
    code: str
    encode: Callable[[Any], object]
    decode: Callable[[Any], object]


# ---------------------------------------------------------------------------------------------------- checks of data


def _check_type(kind: type[T], data: object) -> T:
    if type(data) is not kind:
        raise TypeError(f"expected {kind.__name__}, got {type(data).__name__}")
    return data


def _check_tuple(data: object, *kinds: type) -> tuple[Any, ...]:
    """Check that data is a tuple whose members are of exactly these types."""
    members = _check_type(tuple, data)
    if len(members) != len(kinds):
        raise TypeError(f"expected a tuple of {len(kinds)}, got {len(members)} members")
    for member, kind in zip(members, kinds, strict=True):
        _check_type(kind, member)
    return members


def _check_text(data: object, max_length: int) -> str:
    text = _check_type(str, data)
    if len(text) > max_length:
        raise ValueError(f"{len(text)} characters; the limit is {max_length}")
    return text


def _check_int64(data: object) -> int:
    number = _check_type(int, data)
    if not -_INT64_LIMIT <= number < _INT64_LIMIT:
        raise ValueError("an int of more than 64 bits")
    return number


def _check_canonical(value: T, encode: Callable[[T], object], data: object) -> T:
    """Check that data is what `encode` writes for the value."""
    if encode(value) != data:
        raise ValueError("data that the encoder does not write")
    return value


# ---------------------------------------------------------------------------------------------------- dates and times


def _encode_iso(value: datetime.datetime | datetime.time) -> object:
    """Return ISO 8601 text; or a tuple of text, fold and zone, if the text alone would lose the fold or the zone."""
    if value.fold or not _has_iso_offset(value.tzinfo):
        return (value.replace(tzinfo=None, fold=0).isoformat(), value.fold, value.tzinfo)
    return value.isoformat()


def _decode_datetime(data: object) -> datetime.datetime:
    if type(data) is str and len(data) <= 32:  # with microseconds, and an offset in hours and minutes
        return _check_canonical(datetime.datetime.fromisoformat(data), _encode_iso, data)
    text, fold, zone = _check_type(tuple, data)
    naive = datetime.datetime.fromisoformat(_check_text(text, 26))
    value = naive.replace(tzinfo=_check_zone(zone), fold=_check_type(int, fold))
    return _check_canonical(value, _encode_iso, data)


def _decode_date(data: object) -> datetime.date:
    value = datetime.date.fromisoformat(_check_text(data, 10))
    return _check_canonical(value, datetime.date.isoformat, data)


def _decode_time(data: object) -> datetime.time:
    if type(data) is str and len(data) <= 21:  # with microseconds, and an offset in hours and minutes
        return _check_canonical(datetime.time.fromisoformat(data), _encode_iso, data)
    text, fold, zone = _check_type(tuple, data)
    naive = datetime.time.fromisoformat(_check_text(text, 15))
    value = naive.replace(tzinfo=_check_zone(zone), fold=_check_type(int, fold))
    return _check_canonical(value, _encode_iso, data)


def _has_iso_offset(zone: Any) -> bool:
    """Return whether ISO 8601 text preserves a time zone: there is none, or it is an offset in minutes and unnamed."""
    if zone is None or zone is datetime.UTC:
        return True
    if type(zone) is not datetime.timezone or len(_timezone_arguments(zone)) > 1:
        return False
    # fromisoformat() loses seconds of an offset.
    return zone.utcoffset(None) % datetime.timedelta(minutes=1) == datetime.timedelta(0)


def _check_zone(data: object) -> datetime.tzinfo | None:
    if data is not None and not isinstance(data, datetime.tzinfo):
        raise TypeError(f"expected a time zone, got {type(data).__name__}")
    return data


def _timezone_arguments(zone: Any) -> tuple[Any, ...]:
    """Return the offset of a timezone and, if it has one, its name."""
    arguments: tuple[Any, ...] = zone.__getinitargs__()  # used by copy and pickle; missing in typeshed
    return arguments


def _encode_timezone(value: datetime.timezone) -> object:
    offset, *name = _timezone_arguments(value)
    return (offset.days, offset.seconds, offset.microseconds, *name)


def _decode_timezone(data: object) -> datetime.timezone:
    members = _check_type(tuple, data)
    *offset, name = members if len(members) == 4 else (*members, None)
    delta = _decode_timedelta(tuple(offset))
    zone = datetime.timezone(delta) if name is None else datetime.timezone(delta, _check_text(name, _MAX_NAME_LENGTH))
    return _check_canonical(zone, _encode_timezone, data)


def _encode_timedelta(value: datetime.timedelta) -> object:
    return (value.days, value.seconds, value.microseconds)


def _decode_timedelta(data: object) -> datetime.timedelta:
    days, seconds, microseconds = _check_type(tuple, data)
    value = datetime.timedelta(_check_int64(days), _check_int64(seconds), _check_int64(microseconds))
    return _check_canonical(value, _encode_timedelta, data)


# ------------------------------------------------------------------------------------------------------------- numbers


# A context of its own: that of the application affects how str() writes a Decimal and whether Decimal() raises.
_DECIMAL_CONTEXT = decimal.Context(capitals=1, traps=[decimal.InvalidOperation])
_encode_decimal = _DECIMAL_CONTEXT.to_sci_string


def _decode_decimal(data: object) -> decimal.Decimal:
    value = decimal.Decimal(_check_text(data, _MAX_DECIMAL_LENGTH), _DECIMAL_CONTEXT)
    _check_canonical(value, _encode_decimal, data)
    if value.is_finite():
        if abs(value.adjusted()) > _MAX_DECIMAL_EXPONENT:
            raise ValueError(f"an exponent beyond {_MAX_DECIMAL_EXPONENT}")
    elif value.is_snan():
        raise ValueError("a signaling NaN, which raises an error in every operation")
    return value


def _decode_fraction(data: object) -> fractions.Fraction:
    value = fractions.Fraction(*_check_tuple(data, int, int))
    return _check_canonical(value, fractions.Fraction.as_integer_ratio, data)


def _decode_range(data: object) -> range:
    start, stop, step = _check_type(tuple, data)
    return range(_check_int64(start), _check_int64(stop), _check_int64(step))


def _decode_slice(data: object) -> slice:
    start, stop, step = _check_type(tuple, data)
    return slice(*(None if bound is None else _check_int64(bound) for bound in (start, stop, step)))


def _singleton_decoder(value: T) -> Callable[[object], T]:
    def decode(data: object) -> T:
        _check_type(type(None), data)
        return value

    return decode


# -------------------------------------------------------------------------------------------------------- collections

_DEFAULT_FACTORIES = {kind.__name__: kind for kind in (list, dict, set, int, float, str, bool, tuple, bytes)}


def _check_no_attributes(value: T) -> T:
    """Check that an instance has no attributes, which would be lost. These classes permit them beside the items."""
    if getattr(value, "__dict__", None):
        raise TypeError(f"a {type(value).__name__} with attributes of its own ({', '.join(vars(value))})")
    return value


def _decode_ordered(data: object) -> "collections.OrderedDict[object, object]":
    items = _check_type(dict, data)
    if len(items) > _MAX_ORDERED_KEYS and sum(type(key) not in (str, bytes) for key in items) > _MAX_ORDERED_KEYS:
        raise ValueError(
            f"over {_MAX_ORDERED_KEYS} keys that are not str or bytes. Store a dict, which keeps its order too"
        )
    return collections.OrderedDict(items)


def _decode_counter(data: object) -> "collections.Counter[object]":
    counts = _check_type(dict, data)
    for count in counts.values():
        _check_type(int, count)
    return collections.Counter(counts)


def _encode_defaultdict(value: "collections.defaultdict[object, object]") -> object:
    factory = value.default_factory
    if factory is None:
        return (None, dict(value))
    name = getattr(factory, "__name__", "")
    if _DEFAULT_FACTORIES.get(name) is not factory:
        raise TypeError(f"the factory of a defaultdict must be one of {', '.join(_DEFAULT_FACTORIES)}")
    return (name, dict(value))


def _decode_defaultdict(data: object) -> "collections.defaultdict[object, object]":
    name, items = _check_type(tuple, data)
    factory: type | None = None if name is None else _DEFAULT_FACTORIES[_check_type(str, name)]
    return collections.defaultdict(factory, _check_type(dict, items))


def _decode_deque(data: object) -> "collections.deque[object]":
    items, maxlen = _check_type(tuple, data)
    value: collections.deque[object] = collections.deque(
        _check_type(list, items), None if maxlen is None else _check_int64(maxlen)
    )
    if len(value) != len(items):
        raise ValueError("more items than its maxlen")
    return value


# --------------------------------------------------------------------------------------------- paths, ids, addresses


def _text_decoder(cls: Callable[[str], T], max_length: int) -> Callable[[object], T]:
    """Return a decoder for a class that is created from text and whose str() is that text."""

    def decode(data: object) -> T:
        text = _check_text(data, max_length)
        if "\0" in text:
            raise ValueError("a NUL character")
        return _check_canonical(cls(text), str, text)

    return decode


def _decode_uuid(data: object) -> uuid.UUID:
    return uuid.UUID(bytes=_check_type(bytes, data))


# ----------------------------------------------------------------------------------------------------------- the table

DEFAULT_TYPES = (
    DefaultType(datetime.datetime, "d", _encode_iso, _decode_datetime),
    DefaultType(datetime.date, "date", datetime.date.isoformat, _decode_date),
    DefaultType(datetime.time, "time", _encode_iso, _decode_time),
    DefaultType(datetime.timedelta, "td", _encode_timedelta, _decode_timedelta),
    DefaultType(datetime.timezone, "tz", _encode_timezone, _decode_timezone),
    DefaultType(decimal.Decimal, "n", _encode_decimal, _decode_decimal),
    DefaultType(fractions.Fraction, "fr", fractions.Fraction.as_integer_ratio, _decode_fraction),
    DefaultType(
        complex, "c", lambda value: (value.real, value.imag), lambda data: complex(*_check_tuple(data, float, float))
    ),
    DefaultType(range, "r", lambda value: (value.start, value.stop, value.step), _decode_range),
    DefaultType(slice, "sl", lambda value: (value.start, value.stop, value.step), _decode_slice),
    DefaultType(types.EllipsisType, "...", lambda _: None, _singleton_decoder(...)),
    DefaultType(types.NotImplementedType, "ni", lambda _: None, _singleton_decoder(NotImplemented)),
    DefaultType(bytearray, "ba", bytes, lambda data: bytearray(_check_type(bytes, data))),
    DefaultType(collections.OrderedDict, "od", lambda value: dict(_check_no_attributes(value)), _decode_ordered),
    DefaultType(collections.Counter, "C", lambda value: dict(_check_no_attributes(value)), _decode_counter),
    DefaultType(collections.defaultdict, "dd", _encode_defaultdict, _decode_defaultdict),
    DefaultType(collections.deque, "q", lambda value: (list(value), value.maxlen), _decode_deque),
    DefaultType(uuid.UUID, "u", lambda value: value.bytes, _decode_uuid),
    DefaultType(pathlib.PurePosixPath, "pp", str, _text_decoder(pathlib.PurePosixPath, _MAX_PATH_LENGTH)),
    DefaultType(pathlib.PureWindowsPath, "pw", str, _text_decoder(pathlib.PureWindowsPath, _MAX_PATH_LENGTH)),
    DefaultType(type(pathlib.Path()), "p", str, _text_decoder(pathlib.Path, _MAX_PATH_LENGTH)),
    DefaultType(ipaddress.IPv4Address, "ip4", str, _text_decoder(ipaddress.IPv4Address, _MAX_NAME_LENGTH)),
    DefaultType(ipaddress.IPv6Address, "ip6", str, _text_decoder(ipaddress.IPv6Address, _MAX_NAME_LENGTH)),
    DefaultType(ipaddress.IPv4Network, "net4", str, _text_decoder(ipaddress.IPv4Network, _MAX_NAME_LENGTH)),
    DefaultType(ipaddress.IPv6Network, "net6", str, _text_decoder(ipaddress.IPv6Network, _MAX_NAME_LENGTH)),
    DefaultType(set, "s", list, lambda data: set(_check_type(list, data))),  # the registry sorts the elements
    DefaultType(frozenset, "fs", list, lambda data: frozenset(_check_type(list, data))),
)

CLASS_VALUES: dict[str, type] = {cls.__name__: cls for cls in (*PLAIN_TYPES, *(row.cls for row in DEFAULT_TYPES))}
