"""Cases that must be read: every default type by hand, the boundary of each limit, and nesting.

The payloads are also what the writer makes of the values: they pin the stored form.
"""

import collections
import ipaddress
import pathlib
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction

from tests.security.corpus.assembler import data, dic, lst, num, o, text, tup, typed
from tests.security.corpus.case import Case, Group
from tests.security.corpus.registered import Colour, Pair, Point

BIG = (1 << 255) - 1
_ID = uuid.UUID("9f0c1d52-30a4-4a1e-8a77-5cf0b1c2d3e4")
_CET = timezone(timedelta(hours=1), "CET")
_CET_WIRE = typed("tz", tup(num(0), num(3600), num(0), text("CET")))
_LONG = "é" * 150


def _int(value: int) -> bytes:
    return o.LONG1(value)


def _float(value: float) -> bytes:
    return o.BINFLOAT(value)


def _is_hashable(value: object) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


# name -> (value, payload without STOP)
_PLAIN: dict[str, tuple[object, bytes]] = {
    "none": (None, o.NONE),
    "true": (True, o.NEWTRUE),
    "false": (False, o.NEWFALSE),
    "int": (7, num(7)),
    "int-255": (255, num(255)),
    "int-256": (256, num(256)),
    "int-65535": (65535, num(65535)),
    "int-65536": (65536, num(65536)),
    "int-minus": (-1, num(-1)),
    "int-31-bits": (2**31 - 1, num(2**31 - 1)),
    "int-32-bits": (2**31, _int(2**31)),
    "int-64-bits": (2**64, _int(2**64)),
    "int-most": (BIG, _int(BIG)),
    "int-least": (-(1 << 255), o.LONG1(bytes(31) + b"\x80")),
    "float": (0.1, _float(0.1)),
    "float-nan": (float("nan"), _float(float("nan"))),
    "float-inf": (float("inf"), _float(float("inf"))),
    "float-minus-inf": (float("-inf"), _float(float("-inf"))),
    "float-minus-zero": (-0.0, _float(-0.0)),
    "float-least": (5e-324, _float(5e-324)),
    "text": ("žluť", text("žluť")),
    "text-empty": ("", text("")),
    "text-nul": ("a\0b", text("a\0b")),
    "text-surrogate": ("\udc80", text("\udc80")),
    "text-astral": ("\U0001f36a", text("\U0001f36a")),
    "text-255": ("x" * 255, text("x" * 255)),
    "text-256": ("x" * 256, text("x" * 256)),
    "text-long": (_LONG, text(_LONG)),
    "bytes": (b"\0\xff", data(b"\0\xff")),
    "bytes-empty": (b"", data(b"")),
    "bytes-255": (b"y" * 255, data(b"y" * 255)),
    "bytes-256": (b"y" * 256, data(b"y" * 256)),
    "bytes-of-opcodes": (b"cos\nsystem\n(S':'\ntR.", data(b"cos\nsystem\n(S':'\ntR.")),
    "list": ([1, None], lst(num(1), o.NONE)),
    "list-empty": ([], lst()),
    "list-one": ([1], lst(num(1))),
    "tuple": ((1, 2), tup(num(1), num(2))),
    "tuple-empty": ((), tup()),
    "tuple-one": ((1,), tup(num(1))),
    "tuple-three": ((1, 2, 3), tup(num(1), num(2), num(3))),
    "tuple-four": ((1, 2, 3, 4), tup(num(1), num(2), num(3), num(4))),
    "dict": ({"a": 1, "b": 2}, dic(text("a"), num(1), text("b"), num(2))),
    "dict-empty": ({}, dic()),
    "dict-one": ({"a": 1}, dic(text("a"), num(1))),
    "dict-keys": (
        {1: "a", None: "b", (1,): "c", b"d": 1.5},
        dic(num(1), text("a"), o.NONE, text("b"), tup(num(1)), text("c"), data(b"d"), _float(1.5)),
    ),
}

_TYPED: dict[str, tuple[object, bytes]] = {
    "datetime": (datetime(2024, 2, 29, 23, 59, 58, 1), typed("d", text("2024-02-29T23:59:58.000001"))),
    "datetime-utc": (datetime(2024, 1, 1, tzinfo=UTC), typed("d", text("2024-01-01T00:00:00+00:00"))),
    "datetime-offset": (
        datetime(2024, 1, 1, tzinfo=timezone(timedelta(minutes=-90))),
        typed("d", text("2024-01-01T00:00:00-01:30")),
    ),
    "datetime-longest": (
        datetime(9999, 12, 31, 23, 59, 59, 999999, timezone(timedelta(hours=23, minutes=59))),
        typed("d", text("9999-12-31T23:59:59.999999+23:59")),
    ),
    "datetime-fold": (
        datetime(2024, 10, 27, 2, 30, fold=1),
        typed("d", tup(text("2024-10-27T02:30:00"), num(1), o.NONE)),
    ),
    "datetime-named": (
        datetime(2024, 1, 1, tzinfo=_CET),
        typed("d", tup(text("2024-01-01T00:00:00"), num(0), _CET_WIRE)),
    ),
    "datetime-first": (datetime.min, typed("d", text("0001-01-01T00:00:00"))),
    "date": (date(2024, 2, 29), typed("date", text("2024-02-29"))),
    "date-first": (date.min, typed("date", text("0001-01-01"))),
    "date-last": (date.max, typed("date", text("9999-12-31"))),
    "time": (time(23, 59, 59, 999999), typed("time", text("23:59:59.999999"))),
    "time-utc": (time(1, tzinfo=UTC), typed("time", text("01:00:00+00:00"))),
    "time-fold": (time(2, 30, fold=1), typed("time", tup(text("02:30:00"), num(1), o.NONE))),
    "time-named": (time(1, tzinfo=_CET), typed("time", tup(text("01:00:00"), num(0), _CET_WIRE))),
    "timedelta": (timedelta(-1, 5, 7), typed("td", tup(num(-1), num(5), num(7)))),
    "timedelta-most": (timedelta.max, typed("td", tup(num(999999999), num(86399), num(999999)))),
    "timezone": (timezone(timedelta(hours=-3)), typed("tz", tup(num(-1), num(75600), num(0)))),
    "timezone-utc": (UTC, typed("tz", tup(num(0), num(0), num(0)))),
    "timezone-name": (timezone(timedelta(0), "x" * 64), typed("tz", tup(num(0), num(0), num(0), text("x" * 64)))),
    "timezone-edge": (timezone(timedelta(days=-1, microseconds=1)), typed("tz", tup(num(-1), num(0), num(1)))),
    "decimal": (Decimal("12.340"), typed("n", text("12.340"))),
    "decimal-zero": (Decimal("-0"), typed("n", text("-0"))),
    "decimal-most": (Decimal("1E+1000"), typed("n", text("1E+1000"))),
    "decimal-least": (Decimal("-1E-1000"), typed("n", text("-1E-1000"))),
    "decimal-64": (Decimal("9" * 64), typed("n", text("9" * 64))),
    "decimal-nan": (Decimal("NaN123"), typed("n", text("NaN123"))),
    "decimal-inf": (Decimal("-Infinity"), typed("n", text("-Infinity"))),
    "fraction": (Fraction(-2, 3), typed("fr", tup(num(-2), num(3)))),
    "fraction-wide": (Fraction(BIG, 2), typed("fr", tup(_int(BIG), num(2)))),
    "complex": (complex(-0.0, float("inf")), typed("c", tup(_float(-0.0), _float(float("inf"))))),
    "range": (range(9, 0, -3), typed("r", tup(num(9), num(0), num(-3)))),
    "range-wide": (range(-(2**63), 2**63 - 1), typed("r", tup(_int(-(2**63)), _int(2**63 - 1), num(1)))),
    "slice": (slice(None, 5, None), typed("sl", tup(o.NONE, num(5), o.NONE))),
    "ellipsis": (..., typed("...", o.NONE)),
    "not-implemented": (NotImplemented, typed("ni", o.NONE)),
    "bytearray": (bytearray(b"ab"), typed("ba", data(b"ab"))),
    "bytearray-empty": (bytearray(), typed("ba", data(b""))),
    "set": ({1, 2}, typed("s", lst(num(1), num(2)))),
    "set-empty": (set(), typed("s", lst())),
    "set-texts": ({"a"}, typed("s", lst(text("a")))),
    "frozenset": (frozenset({3}), typed("fs", lst(num(3)))),
    "frozenset-nested": (frozenset({frozenset({1})}), typed("fs", lst(typed("fs", lst(num(1)))))),
    "ordered": (collections.OrderedDict(b=1, a=2), typed("od", dic(text("b"), num(1), text("a"), num(2)))),
    "counter": (collections.Counter(a=-1), typed("C", dic(text("a"), num(-1)))),
    "default-list": (collections.defaultdict(list, a=[1]), typed("dd", tup(text("list"), dic(text("a"), lst(num(1)))))),
    "default-none": (collections.defaultdict(None), typed("dd", tup(o.NONE, dic()))),
    "deque": (collections.deque([1, 2]), typed("q", tup(lst(num(1), num(2)), o.NONE))),
    "deque-maxlen": (collections.deque([1], 2**63 - 1), typed("q", tup(lst(num(1)), _int(2**63 - 1)))),
    "deque-0": (collections.deque(maxlen=0), typed("q", tup(lst(), num(0)))),
    "uuid": (_ID, typed("u", data(_ID.bytes))),
    "uuid-nil": (uuid.UUID(int=0), typed("u", data(bytes(16)))),
    "posix-path": (pathlib.PurePosixPath("a/b"), typed("pp", text("a/b"))),
    "posix-path-long": (pathlib.PurePosixPath("a" * 1024), typed("pp", text("a" * 1024))),
    "windows-path": (pathlib.PureWindowsPath("c:\\x"), typed("pw", text("c:\\x"))),
    "path": (pathlib.Path("/srv/x"), typed("p", text("/srv/x"))),
    "path-here": (pathlib.Path(), typed("p", text("."))),
    "ip4": (ipaddress.IPv4Address("192.0.2.1"), typed("ip4", text("192.0.2.1"))),
    "ip6": (ipaddress.IPv6Address("2001:db8::1"), typed("ip6", text("2001:db8::1"))),
    "ip6-scope": (ipaddress.IPv6Address("fe80::1%eth0"), typed("ip6", text("fe80::1%eth0"))),
    "net4": (ipaddress.IPv4Network("10.0.0.0/8"), typed("net4", text("10.0.0.0/8"))),
    "net6": (ipaddress.IPv6Network("2001:db8::/32"), typed("net6", text("2001:db8::/32"))),
    "class": (int, typed("t", text("int"))),
    "class-typed": (Decimal, typed("t", text("Decimal"))),
    "class-abstract": (Fraction, typed("t", text("Fraction"))),
    "enum": (Colour.RED, typed("t:colour", num(1))),
    "enum-text": (Colour.BLUE, typed("t:colour", text("blue"))),
    "dataclass": (Point(1, -2), typed("t:point", tup(num(1), num(-2)))),
    "namedtuple": (Pair("a", [1]), typed("t:pair", tup(text("a"), lst(num(1))))),
}


def cases() -> Iterator[Case]:
    g = Group("positive", "ours")
    for name, (value, payload) in {**_PLAIN, **_TYPED}.items():
        yield g.accepted(name, "a value of a default type, or on the boundary of a limit", value, payload)
    for name, (value, payload) in _TYPED.items():
        if _is_hashable(value) and not isinstance(value, type | slice):
            yield g.accepted(f"key-{name}", "as a key", {value: 1}, dic(payload, num(1)))
    many = [frozenset({number}) for number in range(60)]
    wire = lst(*[typed("fs", lst(num(number))) for number in range(60)])
    yield g.accepted("many-frozensets", "more frozensets than the pickler nests without a memo", many, wire)
    typed_values = [value for value, _ in _TYPED.values()]
    yield g.accepted(
        "all", "all default types in one list", typed_values, lst(*[payload for _, payload in _TYPED.values()])
    )
    for name, (value, payload) in {
        key: _TYPED[key] for key in ("deque", "class", "uuid", "datetime-named", "default-list")
    }.items():
        inside = {"a": [(value, {"b": value})]}
        wire = dic(text("a"), lst(tup(payload, dic(text("b"), payload))))
        yield g.accepted(f"nested-{name}", "deep inside other values", inside, wire)
    for name in ("ordered", "counter", "default-list", "set", "bytearray"):
        value, payload = _TYPED[name]
        yield g.accepted(
            f"in-deque-{name}",
            "a value that is made later inside another",
            collections.deque([value]),
            typed("q", tup(lst(payload), o.NONE)),
        )
