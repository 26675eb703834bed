"""Cases that abuse allowed types: their attributes, their constructors and their pickled state."""

from collections.abc import Iterator
from struct import pack

from tests.security.corpus.assembler import call, data, dic, glob, lst, num, o, text, tup
from tests.security.corpus.case import BOUNDED, Case, Group

R = "tests.security.corpus.registered"
IP = "ipaddress"


def build() -> Iterator[Case]:
    """BUILD writes attributes: of a class, for the whole process, of a singleton, or of an instance."""
    g = Group("build", "stock")
    for module, name, attribute in (
        ("uuid", "UUID", "hex"),
        ("pathlib", "PurePosixPath", "is_absolute"),
        ("pathlib", "PosixPath", "exists"),
        ("fractions", "Fraction", "__eq__"),
        (IP, "IPv4Address", "is_private"),
        (IP, "IPv4Network", "overlaps"),
        ("collections", "Counter", "total"),
        (R, "Point", "x"),
        (R, "Pair", "left"),
    ):
        slots = tup(o.NONE, dic(text(attribute), o.NEWTRUE))
        yield g.refused(f"class-{name}", f"{name}.{attribute} is replaced", glob(module, name), slots, o.BUILD)
    private = tup(o.NONE, dic(text("is_private"), glob("builtins", "bool")))
    spoilt = glob(IP, "IPv6Address") + private + o.BUILD
    yield g.refused(
        "class-and-use",
        "a check is replaced and the class is used",
        spoilt,
        o.POP,
        call(IP, "IPv6Address", text("::1")),
    )
    yield g.refused(
        "class-dict", "a class's dict as the state", glob("fractions", "Fraction"), dic(text("zero"), num(0)), o.BUILD
    )
    red = call(R, "Colour", num(1))
    yield g.refused(
        "enum-value", "the value of an enum member", red, tup(o.NONE, dic(text("_value_"), num(99))), o.BUILD
    )
    yield g.refused("enum-name", "its name, by the dict", red, dic(text("_name_"), text("BLUE")), o.BUILD)
    point = call(R, "Point", num(1), num(2))
    yield g.refused(
        "instance-extra", "an attribute that the class lacks", point, dic(text("admin"), o.NEWTRUE), o.BUILD
    )
    yield g.refused("instance-frozen", "a frozen field is changed", point, dic(text("x"), text("one")), o.BUILD)
    yield g.refused(
        "instance-method", "a method is shadowed", point, dic(text("__eq__"), glob("builtins", "bool")), o.BUILD
    )
    yield g.refused(
        "hidden-items",
        "attributes behind a dict's items",
        call("collections", "OrderedDict"),
        dic(text("x"), num(1)),
        o.BUILD,
    )
    yield g.refused("hidden-counter", "another one", call("collections", "Counter"), dic(text("get"), num(1)), o.BUILD)
    yield g.refused(
        "fraction-zero",
        "a denominator of 0",
        call("fractions", "Fraction", num(1)),
        tup(o.NONE, dic(text("_denominator"), num(0))),
        o.BUILD,
    )
    yield g.refused(
        "address", "an address that is a text", call(IP, "IPv4Address", num(1)), dic(text("_ip"), text("x")), o.BUILD
    )
    yield g.refused(
        "uuid",
        "a UUID that is a list",
        glob("uuid", "UUID"),
        o.EMPTY_TUPLE,
        o.NEWOBJ,
        dic(text("int"), lst(num(1))),
        o.BUILD,
    )
    yield g.refused(
        "function",
        "a function's defaults",
        glob("ipaddress", "ip_address"),
        tup(o.NONE, dic(text("__defaults__"), o.NONE)),
        o.BUILD,
    )
    yield g.refused("plain", "a str cannot have attributes", text("abc"), tup(o.NONE, dic(text("x"), num(1))), o.BUILD)
    yield g.bounded("none", "no state at all", call("datetime", "timedelta", num(1)), o.NONE, o.BUILD)


def newobj() -> Iterator[Case]:
    """NEWOBJ calls __new__ alone: the checks in __init__ are skipped, and instances stay half-built."""
    g = Group("newobj", "stock")
    for module, name in (
        ("uuid", "UUID"),
        (IP, "IPv4Address"),
        (IP, "IPv6Network"),
        (R, "Point"),
        (R, "Basket"),
        (R, "Open"),
    ):
        yield g.refused(f"half-{name}", "an instance without its fields", glob(module, name), o.EMPTY_TUPLE, o.NEWOBJ)
    yield g.refused("enum", "a new member of an enum", glob(R, "Colour"), o.EMPTY_TUPLE, o.NEWOBJ)
    yield g.refused(
        "arity", "a namedtuple with too many members", glob("builtins", "tuple"), glob(R, "Pair"), o.TUPLE1, o.NEWOBJ
    )
    yield g.refused(
        "dict",
        "a dict with arguments",
        glob("builtins", "dict"),
        tup(dic(text("a"), num(1))),
        o.NEWOBJ,
        elsewhere=BOUNDED,
    )
    yield g.refused("bytes", "bytes with a size", glob("builtins", "bytes"), tup(num(300 << 20)), o.NEWOBJ)
    yield g.refused(
        "bytes-ex",
        "the same with keywords",
        glob("builtins", "bytearray"),
        o.EMPTY_TUPLE,
        dic(text("source"), num(300 << 20)),
        o.NEWOBJ_EX,
    )
    yield g.refused("timezone-subclass", "no time zone", glob("datetime", "tzinfo"), o.EMPTY_TUPLE, o.NEWOBJ)
    yield g.refused(
        "row", "a list of another class, filled by opcodes", glob(R, "Row"), o.EMPTY_TUPLE, o.NEWOBJ, num(1), o.APPEND
    )
    yield g.refused(
        "table", "a dict of another class", glob(R, "Table"), o.EMPTY_TUPLE, o.NEWOBJ, num(1), num(2), o.SETITEM
    )


def allocate() -> Iterator[Case]:
    """An allowed type is called with an argument that makes it allocate, or compute without end."""
    g = Group("allocate", "stock")
    many = call("builtins", "range", num(10**7))
    yield g.refused("bytes", "a terabyte of zeros", call("builtins", "bytes", num(1 << 40)))
    yield g.refused("bytearray", "300 MiB of zeros", call("builtins", "bytearray", num(300 << 20)))
    for kind in ("list", "tuple", "set", "frozenset"):
        yield g.refused(f"{kind}-of-range", "all members of a range", call("builtins", kind, many))
    yield g.refused("deque", "a deque of a range", call("collections", "deque", many))
    yield g.refused(
        "deque-spin",
        "a deque that keeps nothing and never ends",
        call("collections", "deque", call("builtins", "range", num(10**12)), num(0)),
    )
    yield g.refused("counter", "a count of a range", call("collections", "Counter", many))
    yield g.refused(
        "addresses", "every address of a network", call("builtins", "list", call(IP, "IPv4Network", text("0.0.0.0/0")))
    )
    yield g.refused(
        "decimal-int",
        "an int of a million digits",
        call("builtins", "int", call("decimal", "Decimal", text("1E+1000000"))),
    )
    yield g.refused("fraction", "a fraction of a million digits", call("fractions", "Fraction", text("1e1000000")))
    yield g.refused(
        "fraction-digits",
        "the same from a Decimal",
        call("fractions", "Fraction", call("decimal", "Decimal", text("1E+3000000"))),
    )
    yield g.refused("int-base", "a long int in base 36", call("builtins", "int", text("z" * 4000), num(36)))
    yield g.refused("float", "a long text of a float", call("builtins", "float", text("1" * 5000)), elsewhere=BOUNDED)
    doubled = text("x" * 200) + 22 * (o.DUP + o.TUPLE2)
    yield g.refused("str", "the text of a value that is far larger than its payload", call("builtins", "str", doubled))
    yield g.refused(
        "punycode",
        "a codec that is quadratic",
        call("builtins", "str", data(b"a" * 15_000 + b"-" + b"b" * 15_000), text("punycode")),
    )
    yield g.refused("zlib", "a codec that inflates", call("_codecs", "decode", data(_deflated()), text("zlib_codec")))


def _deflated() -> bytes:
    import zlib

    return zlib.compress(bytes(64 << 20), 9)


def state() -> Iterator[Case]:
    """State or arguments that the checking constructor would never let through."""
    g = Group("state", "stock")

    def stamp(year: int, month: int, day: int, *rest: int) -> bytes:
        return data(pack(">H", year) + bytes((month, day, *rest)))

    for name, why, packed in (
        ("date-year-0", "the year 0", stamp(0, 1, 1)),
        ("date-day-0", "day 0", stamp(2024, 1, 0)),
        ("date-february-30", "a day that is not", stamp(2024, 2, 30)),
        ("date-month-13", "month 13", stamp(2024, 13, 1)),
        ("date-day-255", "day 255", stamp(2024, 1, 255)),
    ):
        yield g.refused(name, why, call("datetime", "date", packed))
    yield g.refused("datetime-year-0", "the year 0", call("datetime", "datetime", stamp(0, 1, 1, 0, 0, 0, 0, 0, 0)))
    yield g.refused("datetime-hour-99", "hour 99", call("datetime", "datetime", stamp(2024, 1, 1, 99, 0, 0, 0, 0, 0)))
    yield g.refused("time-hour-99", "hour 99", call("datetime", "time", data(bytes((99, 99, 99, 255, 255, 255)))))
    yield g.refused("timedelta-nan", "no number of days", call("datetime", "timedelta", o.BINFLOAT(float("nan"))))
    yield g.refused(
        "timezone-25h",
        "an offset of 25 hours",
        call("datetime", "timezone", call("datetime", "timedelta", num(0), num(90_000))),
    )
    yield g.refused("timezone-int", "no offset", call("datetime", "timezone", num(1)))
    for name, why, number in (
        ("text", "a text for the number", text("12")),
        ("negative", "a negative number", num(-1)),
        ("wide", "129 bits", o.LONG1((1 << 128).to_bytes(18, "little"))),
        ("float", "a float", o.BINFLOAT(1.0)),
    ):
        half = glob("uuid", "UUID") + o.EMPTY_TUPLE + o.NEWOBJ
        yield g.refused(f"uuid-{name}", why, half, dic(text("int"), number), o.BUILD)
    yield g.refused(
        "decimal-exponent", "an exponent that later sums compute with", call("decimal", "Decimal", text("1E+999999"))
    )
    yield g.refused("decimal-digits", "10,000 digits", call("decimal", "Decimal", text("9" * 10_000)))
    yield g.refused("decimal-snan", "a NaN that raises when it is compared", call("decimal", "Decimal", text("sNaN")))
    yield g.refused(
        "decimal-tuple", "from its digits", call("decimal", "Decimal", tup(num(0), tup(num(1)), num(10**9)))
    )
    yield g.refused(
        "factory-path", "a factory that is a class with effects", call("collections", "defaultdict", glob(R, "Basket"))
    )
    yield g.refused("factory-none", "a factory that is no callable", call("collections", "defaultdict", num(1)))
    yield g.refused(
        "deque-maxlen", "a maxlen beyond a machine's word", call("collections", "deque", o.EMPTY_LIST, o.LONG1(1 << 70))
    )
    yield g.refused("counter-text", "a count that is a text", call("collections", "Counter", dic(text("a"), text("b"))))
    yield g.refused("range-float", "a range of floats", call("builtins", "range", o.BINFLOAT(1.0)))
    yield g.refused("range-step-0", "a range that does not move", call("builtins", "range", num(1), num(2), num(0)))
    yield g.refused("range-wide", "a range without a length", call("builtins", "range", o.LONG1(1 << 200)))
    yield g.refused("slice-list", "a slice of lists", call("builtins", "slice", lst(num(1))))
    yield g.refused("path-nul", "a path with a NUL", call("pathlib", "PurePosixPath", text("a\0b")))
    yield g.refused("path-bytes", "a path of bytes", call("pathlib", "PurePosixPath", data(b"a")))
    yield g.refused("address-wide", "an address of 40 bits", call(IP, "IPv4Address", num(1 << 40)))
    yield g.refused("network-host", "a network with host bits", call(IP, "IPv4Network", text("10.0.0.1/8")))
    yield g.refused("fraction-0", "a denominator of 0", call("fractions", "Fraction", num(1), num(0)))
    yield g.refused("enum-value", "a value that no member has", call(R, "Colour", num(7)))
    yield g.refused("dataclass-text", "a field of another type", call(R, "Point", text("1"), text("2")))
    yield g.refused(
        "complex-text", "a complex from a text", call("builtins", "complex", text("1+2j")), elsewhere=BOUNDED
    )


def cases() -> Iterator[Case]:
    for group in (build, newobj, allocate, state):
        yield from group()
