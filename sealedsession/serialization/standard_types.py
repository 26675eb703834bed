"""The default value types: for each, how it is encoded and how hostile data is decoded.

The rules are those of `values`. A decoder checks with the functions at the top, then calls the public constructor:
whatever they raise refuses the token. `DEFAULT_TYPES`, at the end, lists every type with its code, and
`CLASSES` the classes that can be values themselves.
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

PLAIN = (type(None), bool, int, float, str, bytes, list, tuple, dict)

_INT64 = 2**63
_PATH_TEXT = 1024  # characters of a path
_DECIMAL_TEXT = 64  # characters; 34 digits are the most that IEEE 754 decimal128 has
_DECIMAL_EXPONENT = 1000  # int(Decimal("1E+1000000")) takes seconds
_NAME = 64  # characters of a time zone's name, or of an address
# Keys of an OrderedDict, besides str and bytes, which nobody can make collide. It looks each key up five times while it
# is made and written, where a dict does once or not at all. With so few, what can be in one payload costs no more time
# in OrderedDicts than in one dict.
_ORDERED_KEYS = 128


class DefaultType(NamedTuple):
    """One row of the table at the end."""

    cls: type
    code: str
    encode: Callable[[Any], object]
    decode: Callable[[Any], object]


# ------------------------------------------------------------------------------------------ checks that decoders share


def _exactly(data: object, *kinds: type) -> tuple[Any, ...]:
    """The members of a tuple whose types are exactly these."""
    if type(data) is not tuple or len(data) != len(kinds):
        raise TypeError("not the tuple that was written")
    for member, kind in zip(data, kinds, strict=True):
        if type(member) is not kind:
            raise TypeError(f"a {type(member).__name__} for a {kind.__name__}")
    return data


def _of(kind: type[T], data: object) -> T:
    if type(data) is not kind:
        raise TypeError(f"a {type(data).__name__} for a {kind.__name__}")
    return data


def _text(data: object, limit: int) -> str:
    if type(data) is not str:
        raise TypeError(f"a {type(data).__name__} for a str")
    if len(data) > limit:
        raise ValueError(f"{len(data)} characters, and {limit} is the most")
    return data


def _as_written(value: T, encode: Callable[[T], object], data: object) -> T:
    """Refuse data that `encode` does not write for a value: a value has one spelling."""
    if encode(value) != data:
        raise ValueError("a spelling that is never written")
    return value


def _int64(data: object) -> int:
    if type(data) is not int:
        raise TypeError(f"a {type(data).__name__} for a int")
    if not -_INT64 <= data < _INT64:
        raise ValueError("an int of more than 64 bits")
    return data


# ---------------------------------------------------------------------------------------------------- dates and times


def _encode_moment(value: datetime.datetime | datetime.time) -> object:
    """ISO 8601 where that says all; the zone as a value of its own where it has a name, or is another class."""
    if value.fold or not _is_plain_zone(value.tzinfo):
        return (value.replace(tzinfo=None, fold=0).isoformat(), value.fold, value.tzinfo)
    return value.isoformat()


def _decode_datetime(data: object) -> datetime.datetime:
    if type(data) is str and len(data) <= 32:  # microseconds, and an offset of hours and minutes
        return _as_written(datetime.datetime.fromisoformat(data), _encode_moment, data)
    text, fold, zone = _of(tuple, data)
    moment = datetime.datetime.fromisoformat(_text(text, 26)).replace(tzinfo=_zone(zone), fold=_of(int, fold))
    return _as_written(moment, _encode_moment, data)


def _decode_date(data: object) -> datetime.date:
    return _as_written(datetime.date.fromisoformat(_text(data, 10)), datetime.date.isoformat, data)


def _decode_time(data: object) -> datetime.time:
    if type(data) is str and len(data) <= 21:
        return _as_written(datetime.time.fromisoformat(data), _encode_moment, data)
    text, fold, zone = _of(tuple, data)
    moment = datetime.time.fromisoformat(_text(text, 15)).replace(tzinfo=_zone(zone), fold=_of(int, fold))
    return _as_written(moment, _encode_moment, data)


def _is_plain_zone(zone: Any) -> bool:
    if zone is None or zone is datetime.UTC:
        return True
    if type(zone) is not datetime.timezone or len(_offset_and_name(zone)) > 1:
        return False
    return zone.utcoffset(None) % datetime.timedelta(minutes=1) == datetime.timedelta(0)  # fromisoformat loses parts


def _offset_and_name(zone: Any) -> tuple[Any, ...]:
    members: tuple[Any, ...] = zone.__getinitargs__()  # what copy and pickle use; typeshed lacks it
    return members


def _zone(data: object) -> datetime.tzinfo | None:
    if data is not None and not isinstance(data, datetime.tzinfo):
        raise TypeError(f"a {type(data).__name__} for a time zone")
    return data


def _encode_timezone(value: datetime.timezone) -> object:
    offset, *name = _offset_and_name(value)
    return (offset.days, offset.seconds, offset.microseconds, *name)


def _decode_timezone(data: object) -> datetime.timezone:
    members = _of(tuple, data)
    *offset, name = members if len(members) == 4 else (*members, None)
    delta = _decode_timedelta(tuple(offset))
    zone = datetime.timezone(delta) if name is None else datetime.timezone(delta, _text(name, _NAME))
    return _as_written(zone, _encode_timezone, data)


def _encode_timedelta(value: datetime.timedelta) -> object:
    return (value.days, value.seconds, value.microseconds)


def _decode_timedelta(data: object) -> datetime.timedelta:
    days, seconds, microseconds = _of(tuple, data)
    return _as_written(datetime.timedelta(_int64(days), _int64(seconds), _int64(microseconds)), _encode_timedelta, data)


# ------------------------------------------------------------------------------------------------------------- numbers


# The application's context changes how str() writes a Decimal, and what Decimal() does about a text that is none.
_DECIMAL = decimal.Context(capitals=1, traps=[decimal.InvalidOperation])
_encode_decimal = _DECIMAL.to_sci_string


def _decode_decimal(data: object) -> decimal.Decimal:
    value = _as_written(decimal.Decimal(_text(data, _DECIMAL_TEXT), _DECIMAL), _encode_decimal, data)
    if value.is_finite():
        if abs(value.adjusted()) > _DECIMAL_EXPONENT:
            raise ValueError(f"an exponent beyond {_DECIMAL_EXPONENT}")
    elif value.is_snan():
        raise ValueError("a signaling NaN, which raises wherever it is used")
    return value


def _decode_fraction(data: object) -> fractions.Fraction:
    return _as_written(fractions.Fraction(*_exactly(data, int, int)), fractions.Fraction.as_integer_ratio, data)


def _decode_range(data: object) -> range:
    start, stop, step = _of(tuple, data)
    return range(_int64(start), _int64(stop), _int64(step))


def _decode_slice(data: object) -> slice:
    start, stop, step = _of(tuple, data)
    return slice(*(None if bound is None else _int64(bound) for bound in (start, stop, step)))


def _singleton(value: T) -> Callable[[object], T]:
    def decode(data: object) -> T:
        if data is not None:
            raise TypeError("data for a value that has none")
        return value

    return decode


# -------------------------------------------------------------------------------------------------------- collections

_FACTORIES = {kind.__name__: kind for kind in (list, dict, set, int, float, str, bool, tuple, bytes)}


def _without_attributes(value: T) -> T:
    """Refuse what would be lost: these classes let an instance have attributes besides its items."""
    if getattr(value, "__dict__", None):
        raise TypeError(f"a {type(value).__name__} with attributes of its own ({', '.join(vars(value))})")
    return value


def _decode_ordered(data: object) -> "collections.OrderedDict[object, object]":
    items = _of(dict, data)
    if len(items) > _ORDERED_KEYS and sum(type(key) not in (str, bytes) for key in items) > _ORDERED_KEYS:
        raise ValueError(
            f"over {_ORDERED_KEYS} keys that are not str or bytes. Store a dict, which keeps its order too"
        )
    return collections.OrderedDict(items)


def _decode_counter(data: object) -> "collections.Counter[object]":
    counts = _of(dict, data)
    for count in counts.values():
        _of(int, count)
    return collections.Counter(counts)


def _encode_defaultdict(value: "collections.defaultdict[object, object]") -> object:
    factory = value.default_factory
    if factory is None:
        return (None, dict(value))
    name = getattr(factory, "__name__", "")
    if _FACTORIES.get(name) is not factory:
        raise TypeError(f"a defaultdict whose factory is none of {', '.join(_FACTORIES)}")
    return (name, dict(value))


def _decode_defaultdict(data: object) -> "collections.defaultdict[object, object]":
    name, items = _of(tuple, data)
    factory: type | None = None if name is None else _FACTORIES[_of(str, name)]
    return collections.defaultdict(factory, _of(dict, items))


def _decode_deque(data: object) -> "collections.deque[object]":
    items, maxlen = _of(tuple, data)
    value: collections.deque[object] = collections.deque(_of(list, items), None if maxlen is None else _int64(maxlen))
    if len(value) != len(items):
        raise ValueError("more items than its maxlen")
    return value


# --------------------------------------------------------------------------------------------- paths, ids, addresses


def _by_text(cls: Callable[[str], T], limit: int) -> Callable[[object], T]:
    """A decoder for a class that is made of a text and gives it back by str()."""

    def decode(data: object) -> T:
        text = _text(data, limit)
        value = cls(text)
        if "\0" in text or str(value) != text:
            raise ValueError("a spelling that is never written")
        return value

    return decode


def _decode_uuid(data: object) -> uuid.UUID:
    return uuid.UUID(bytes=_of(bytes, data))


# ----------------------------------------------------------------------------------------------------------- the table

DEFAULT_TYPES = (
    DefaultType(datetime.datetime, "d", _encode_moment, _decode_datetime),
    DefaultType(datetime.date, "date", datetime.date.isoformat, _decode_date),
    DefaultType(datetime.time, "time", _encode_moment, _decode_time),
    DefaultType(datetime.timedelta, "td", _encode_timedelta, _decode_timedelta),
    DefaultType(datetime.timezone, "tz", _encode_timezone, _decode_timezone),
    DefaultType(decimal.Decimal, "n", _encode_decimal, _decode_decimal),
    DefaultType(fractions.Fraction, "fr", fractions.Fraction.as_integer_ratio, _decode_fraction),
    DefaultType(
        complex, "c", lambda value: (value.real, value.imag), lambda data: complex(*_exactly(data, float, float))
    ),
    DefaultType(range, "r", lambda value: (value.start, value.stop, value.step), _decode_range),
    DefaultType(slice, "sl", lambda value: (value.start, value.stop, value.step), _decode_slice),
    DefaultType(types.EllipsisType, "...", lambda _: None, _singleton(...)),
    DefaultType(types.NotImplementedType, "ni", lambda _: None, _singleton(NotImplemented)),
    DefaultType(bytearray, "ba", bytes, lambda data: bytearray(_of(bytes, data))),
    DefaultType(collections.OrderedDict, "od", lambda value: dict(_without_attributes(value)), _decode_ordered),
    DefaultType(collections.Counter, "C", lambda value: dict(_without_attributes(value)), _decode_counter),
    DefaultType(collections.defaultdict, "dd", _encode_defaultdict, _decode_defaultdict),
    DefaultType(collections.deque, "q", lambda value: (list(value), value.maxlen), _decode_deque),
    DefaultType(uuid.UUID, "u", lambda value: value.bytes, _decode_uuid),
    DefaultType(pathlib.PurePosixPath, "pp", str, _by_text(pathlib.PurePosixPath, _PATH_TEXT)),
    DefaultType(pathlib.PureWindowsPath, "pw", str, _by_text(pathlib.PureWindowsPath, _PATH_TEXT)),
    DefaultType(type(pathlib.Path()), "p", str, _by_text(pathlib.Path, _PATH_TEXT)),
    DefaultType(ipaddress.IPv4Address, "ip4", str, _by_text(ipaddress.IPv4Address, _NAME)),
    DefaultType(ipaddress.IPv6Address, "ip6", str, _by_text(ipaddress.IPv6Address, _NAME)),
    DefaultType(ipaddress.IPv4Network, "net4", str, _by_text(ipaddress.IPv4Network, _NAME)),
    DefaultType(ipaddress.IPv6Network, "net6", str, _by_text(ipaddress.IPv6Network, _NAME)),
    DefaultType(set, "s", list, lambda data: set(_of(list, data))),  # the registry puts the elements in order
    DefaultType(frozenset, "fs", list, lambda data: frozenset(_of(list, data))),
)

CLASSES: dict[str, type] = {cls.__name__: cls for cls in (*PLAIN, *(row.cls for row in DEFAULT_TYPES))}
