"""Cases of hostile data for the decoder of every default type, and of the registered ones."""

from collections.abc import Iterator

from tests.security.corpus.assembler import data, dic, lst, num, o, text, tup, typed
from tests.security.corpus.case import Case, Group

NAN, INF = o.BINFLOAT(float("nan")), o.BINFLOAT(float("inf"))
WIDE = o.LONG1(1 << 63)  # one more than 64 bits hold
HUGE = o.LONG1(b"\x7f" * 32)
UTC = typed("tz", tup(num(0), num(0), num(0)))
LATER = typed("q", tup(o.EMPTY_LIST, o.NONE))  # a value that is made after the reading

# code -> name -> data. Each of them must be refused.
_HOSTILE: dict[str, dict[str, bytes]] = {
    "d": {
        "year-0": text("0000-01-01T00:00:00"),
        "february-30": text("2024-02-30T00:00:00"),
        "hour-25": text("2024-01-01T25:00:00"),
        "second-60": text("2024-01-01T00:00:60"),
        "offset-25": text("2024-01-01T00:00:00+25:00"),
        "empty": text(""),
        "surrogate": text("2024-01-0\udc80T00:00:00"),
        "digits": text("٢٠٢٤-01-01T00:00:00"),
        "long": text("2024-01-01T00:00:00." + "0" * 5000),
        "bytes": data(b"\x07\xe8\1\1\0\0\0\0\0\0"),
        "int": num(1),
        "fold-2": tup(text("2024-01-01T00:00:00"), num(2), o.NONE),
        "fold-bool": tup(text("2024-01-01T00:00:00"), o.NEWTRUE, o.NONE),
        "fold-huge": tup(text("2024-01-01T00:00:00"), HUGE, o.NONE),
        "zone-text": tup(text("2024-01-01T00:00:00"), num(0), text("UTC")),
        "zone-later": tup(text("2024-01-01T00:00:00"), num(0), LATER),
        "zone-class": tup(text("2024-01-01T00:00:00"), num(0), typed("t", text("timezone"))),
        "two": tup(text("2024-01-01T00:00:00"), num(0)),
        "list": lst(text("2024-01-01T00:00:00"), num(0), o.NONE),
    },
    "date": {
        "year-0": text("0000-01-01"),
        "february-30": text("2023-02-29"),
        "month-13": text("2024-13-01"),
        "day-0": text("2024-01-00"),
        "bytes": data(b"\0\0\1\1"),
        "long": text("2024-01-01" + " " * 3000),
        "time": text("2024-01-01T00:00:00"),
        "tuple": tup(num(2024), num(1), num(1)),
        "nul": text("2024-01-0\0"),
    },
    "time": {
        "hour-25": text("25:00:00"),
        "offset-25": text("00:00:00+25:00"),
        "fold-2": tup(text("00:00:00"), num(2), o.NONE),
        "zone-int": tup(text("00:00:00"), num(0), num(1)),
        "bytes": data(bytes(6)),
        "none": o.NONE,
        "offset-twice": tup(text("00:00:00+01:00"), num(0), num(0)),
    },
    "td": {
        "days": tup(num(10**9), num(0), num(0)),
        "nan": tup(NAN, num(0), num(0)),
        "inf": tup(num(0), INF, num(0)),
        "bool": tup(o.NEWTRUE, num(0), num(0)),
        "wide": tup(WIDE, num(0), num(0)),
        "huge": tup(num(0), num(0), HUGE),
        "two": tup(num(0), num(0)),
        "text": text("1 day"),
    },
    "tz": {
        "25-hours": tup(num(1), num(3600), num(0)),
        "minus-25": tup(num(-2), num(0), num(0)),
        "24-hours": tup(num(1), num(0), num(0)),
        "name-bytes": tup(num(0), num(0), num(0), data(b"x")),
        "name-long": tup(num(0), num(0), num(0), text("x" * 65)),
        "text": text("UTC"),
        "five": tup(num(0), num(0), num(0), text("x"), o.NONE),
        "float": tup(o.BINFLOAT(0.0), num(0), num(0)),
    },
    "n": {
        "exponent": text("1E+1000000"),
        "exponent-1001": text("1E+1001"),
        "minus": text("1E-1001"),
        "zero": text("0E+9999"),
        "snan": text("sNaN"),
        "snan-minus": text("-sNaN12"),
        "digits": text("9" * 65),
        "word": text("ten"),
        "empty": text(""),
        "int": num(1),
        "float": o.BINFLOAT(1.5),
        "tuple": tup(num(0), tup(num(1)), num(0)),
    },
    "fr": {
        "zero": tup(num(1), num(0)),
        "bool": tup(o.NEWTRUE, num(2)),
        "text": tup(text("1"), num(2)),
        "float": tup(o.BINFLOAT(1.0), num(2)),
        "one": tup(num(1)),
        "string": text("1e1000000"),
    },
    "c": {
        "ints": tup(num(1), num(2)),
        "text": text("1+2j"),
        "none": tup(o.BINFLOAT(1.0), o.NONE),
        "three": tup(NAN, NAN, NAN),
    },
    "r": {
        "step-0": tup(num(0), num(1), num(0)),
        "wide": tup(num(0), WIDE, num(1)),
        "bool": tup(num(0), o.NEWTRUE, num(1)),
        "float": tup(num(0), o.BINFLOAT(9.0), num(1)),
        "two": tup(num(0), num(1)),
    },
    "sl": {
        "text": tup(text("a"), o.NONE, o.NONE),
        "wide": tup(o.NONE, WIDE, o.NONE),
        "list": tup(o.EMPTY_LIST, o.NONE, o.NONE),
        "one": tup(num(1)),
        "bool": tup(o.NEWFALSE, o.NONE, o.NONE),
    },
    "...": {"data": num(1), "tuple": o.EMPTY_TUPLE},
    "ni": {"data": o.NEWFALSE, "text": text("")},
    "ba": {"size": num(300 << 20), "list": lst(num(1)), "text": text("abc"), "none": o.NONE},
    "od": {"pairs": lst(tup(num(1), num(2))), "none": o.NONE, "counter": typed("C", o.EMPTY_DICT)},
    "C": {
        "texts": dic(text("a"), text("b")),
        "bools": dic(text("a"), o.NEWTRUE),
        "floats": dic(text("a"), NAN),
        "list": lst(text("a")),
        "later": dic(text("a"), LATER),
    },
    "dd": {
        "factory": tup(text("eval"), o.EMPTY_DICT),
        "dotted": tup(text("list.append"), o.EMPTY_DICT),
        "class": tup(typed("t", text("list")), o.EMPTY_DICT),
        "unhashable": tup(o.EMPTY_LIST, o.EMPTY_DICT),
        "default": tup(text("defaultdict"), o.EMPTY_DICT),
        "items": tup(text("list"), lst(tup(num(1), num(2)))),
        "one": tup(text("list")),
        "int": tup(num(0), o.EMPTY_DICT),
    },
    "q": {
        "range": tup(typed("r", tup(num(0), o.LONG1(10**12), num(1))), num(0)),
        "maxlen-minus": tup(o.EMPTY_LIST, num(-1)),
        "maxlen-wide": tup(o.EMPTY_LIST, WIDE),
        "maxlen-bool": tup(o.EMPTY_LIST, o.NEWTRUE),
        "text": tup(text("abc"), o.NONE),
        "one": tup(o.EMPTY_LIST),
        "list": o.EMPTY_LIST,
    },
    "u": {
        "15": data(bytes(15)),
        "17": data(bytes(17)),
        "text": text("12345678-1234-5678-1234-567812345678"),
        "int": num(1),
        "none": o.NONE,
        "bytearray": typed("ba", data(bytes(16))),
    },
    "pp": {
        "nul": text("a\0b"),
        "spelling": text("a//b"),
        "dot": text("./a"),
        "empty": text(""),
        "long": text("a" * 1025),
        "bytes": data(b"a"),
        "parts": tup(text("a"), text("b")),
        "path": typed("pw", text("a")),
    },
    "pw": {"nul": text("a\0b"), "slashes": text("c:/x"), "long": text("a" * 1025), "int": num(1)},
    "p": {
        "nul": text("\0"),
        "spelling": text("/srv/./x"),
        "long": text("/" + "a" * 1024),
        "list": lst(text("a")),
        "none": o.NONE,
    },
    "ip4": {
        "int": num(1),
        "bytes": data(bytes(4)),
        "zeros": text("010.0.0.1"),
        "five": text("1.2.3.4.5"),
        "slash": text("1.2.3.4/8"),
        "space": text(" 1.2.3.4"),
        "digits": text("\u0661.1.1.1"),
        "six": text("::1"),
    },
    "ip6": {
        "int": num(1),
        "bytes": data(bytes(16)),
        "upper": text("::A"),
        "full": text("0:0:0:0:0:0:0:1"),
        "scope-long": text("fe80::1%" + "x" * 60),
        "scope-empty": text("fe80::1%"),
        "four": text("1.2.3.4"),
        "slash": text("::1/64"),
    },
    "net4": {
        "host-bits": text("10.0.0.1/8"),
        "int": num(1),
        "mask": text("10.0.0.0/255.0.0.0"),
        "prefix-33": text("10.0.0.0/33"),
        "no-prefix": text("10.0.0.0"),
        "tuple": tup(text("10.0.0.0"), num(8)),
        "bytes": data(bytes(4)),
    },
    "net6": {
        "host-bits": text("::1/64"),
        "prefix-129": text("::/129"),
        "scope-empty": text("fe80::%/64"),
        "no-prefix": text("::"),
        "tuple": tup(num(0), num(0)),
        "int": num(0),
    },
    "s": {
        "tuple": tup(num(1)),
        "unhashable": lst(o.EMPTY_LIST),
        "dict": dic(num(1), num(2)),
        "range": typed("r", tup(num(0), o.LONG1(10**12), num(1))),
        "deep": lst(tup(o.EMPTY_DICT)),
    },
    "fs": {
        "text": text("abc"),
        "unhashable": lst(o.EMPTY_DICT),
        "none": o.NONE,
        "bytearray": lst(typed("ba", data(b""))),
        "set": lst(typed("s", o.EMPTY_LIST)),
    },
    "t": {
        "eval": text("eval"),
        "object": text("object"),
        "type": text("type"),
        "dotted": text("str.format"),
        "int": num(1),
        "list": o.EMPTY_LIST,
        "class": typed("t", text("int")),
        "module": text("collections"),
    },
    "t:colour": {"unknown": num(7), "bool": o.NEWTRUE, "name": text("RED"), "unhashable": o.EMPTY_LIST},
    "t:point": {
        "text": tup(num(1), text("2")),
        "bool": tup(num(1), o.NEWTRUE),
        "one": tup(num(1)),
        "list": lst(num(1), num(2)),
    },
}


def cases() -> Iterator[Case]:
    g = Group("decoder", "ours")
    for code, hostile in _HOSTILE.items():
        for name, content in hostile.items():
            yield g.refused(f"{code}-{name}", f"data for {code!r} that is never written: {name}", typed(code, content))
    yield g.refused(
        "later-in-later",
        "wrong data inside a value that is made later",
        typed("q", tup(lst(typed("C", lst())), o.NONE)),
    )
    yield g.refused("later-key", "a value that is made later is a key", dic(typed("t", text("int")), num(1)))
    yield g.refused("later-broken", "the value made last is wrong", tup(LATER, typed("ba", num(1))))
