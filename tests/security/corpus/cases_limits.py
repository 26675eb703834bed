"""Cases that go for memory, time or the C stack: the memo, nesting, lengths, colliding keys, amplification."""

from collections.abc import Iterable, Iterator
from itertools import islice

from sealedsession.errors import UnsealError
from sealedsession.serialization.limits import DEFAULT_LIMITS
from sealedsession.serialization.pickle_grammar import Grammar
from tests.security.corpus.assembler import call, data, dic, lst, num, o, text, tup, typed
from tests.security.corpus.case import BOUNDED, Case, Group
from tests.security.corpus.collisions import COLLIDING, fill, mixed, pairs

MAX_BYTES = 8 * 1024
MAX_DEPTH = 256
TYPED = 255
ORDERED_KEYS = 128
SPREAD = 40  # doublings: a trillion members
# Comparing a Decimal with a float sets a flag in the decimal context of the thread, whoever compares them.
FLAGS = ("in-float-decimal", "in-decimal-complex")
_GRAMMAR = Grammar(DEFAULT_LIMITS)


def memo() -> Iterator[Case]:
    """The memo: indices that allocate, references that dangle, values that are far larger than the payload."""
    g = Group("memo", "stock")
    for name, put in {
        "4-gi": o.LONG_BINPUT((1 << 32) - 1),
        "256-mi": o.LONG_BINPUT(1 << 28),
        "16-mi": o.LONG_BINPUT(1 << 24),
        "text-wide": o.PUT(2 * 10**8),
        "text-negative": o.PUT(-7),
        "text-word": o.PUT(b"seven"),
        "text-none": o.PUT(b""),
    }.items():
        yield g.refused(f"index-{name}", "an index that makes the table grow, or is none", o.NONE, put)
    for name, get in {
        "binget": o.BINGET(9),
        "long-binget": o.LONG_BINGET(1 << 30),
        "get": o.GET(12),
        "get-word": o.GET(b"x"),
    }.items():
        yield g.refused(f"dangling-{name}", "a reference to nothing", get)
    yield g.refused("put-of-nothing", "BINPUT of an empty stack", o.BINPUT(0))
    yield g.refused("memoize-nothing", "MEMOIZE of an empty stack", o.MEMOIZE)
    yield g.refused("memoize-mark", "MEMOIZE of a mark", o.MARK, o.MEMOIZE)
    shared = o.EMPTY_LIST + o.MEMOIZE
    yield g.refused("cycle", "a list that holds itself", shared, o.BINGET(0), o.APPEND, elsewhere=BOUNDED)
    yield g.refused(
        "cycle-dict",
        "a dict that holds itself",
        o.EMPTY_DICT,
        o.BINPUT(0),
        num(1),
        o.BINGET(0),
        o.SETITEM,
        elsewhere=BOUNDED,
    )
    yield g.refused("cycle-key", "a tuple with itself inside, as a key", shared, o.BINGET(0), o.TUPLE1, num(1), o.DICT)
    doubled = num(1) + SPREAD * (o.DUP + o.TUPLE2)
    yield g.refused("dup-key", "a key of a trillion members is hashed", o.EMPTY_DICT, doubled, o.NONE, o.SETITEM)
    yield g.refused("dup-element", "an element of a trillion members", o.EMPTY_SET, o.MARK, doubled, o.ADDITEMS)
    yield g.refused("dup-value", "a value of a trillion members", doubled)
    layers = b"".join(o.BINPUT(n) + o.BINGET(n) + o.TUPLE2 for n in range(SPREAD))
    yield g.refused("get-key", "the same by the memo", o.EMPTY_DICT, num(1), layers, o.NONE, o.SETITEM)
    lists = b"".join(o.MEMOIZE + o.EMPTY_LIST + o.MARK + o.BINGET(n) * 2 + o.APPENDS for n in range(SPREAD))
    yield g.refused("get-lists", "lists of lists of lists", num(1), lists)
    yield g.refused(
        "plain-memo", "what every pickler writes", text("a"), o.MEMOIZE, o.BINGET(0), o.TUPLE2, elsewhere=BOUNDED
    )


def depth() -> Iterator[Case]:
    """Nesting that overflows the C stack, or breaks the next one to walk the value."""
    g = Group("depth", "ours")

    def lists(levels: int) -> bytes:
        return o.EMPTY_LIST * levels + o.APPEND * (levels - 1)

    def tuples(levels: int) -> bytes:
        return o.EMPTY_TUPLE + o.TUPLE1 * (levels - 1)

    def dicts(levels: int) -> bytes:
        return (o.EMPTY_DICT + num(1)) * (levels - 1) + o.EMPTY_DICT + o.SETITEM * (levels - 1)

    def frozen(levels: int) -> bytes:
        return (text("fs") + o.EMPTY_LIST) * levels + num(1) + (o.APPEND + o.TUPLE2 + o.BINPERSID) * levels

    for name, nest in {"list": lists, "tuple": tuples, "dict": dicts}.items():
        yield g.refused(f"{name}-257", "one level more than there may be", nest(MAX_DEPTH + 1), elsewhere=BOUNDED)
        yield g.refused(f"{name}-3000", "levels that repr and json cannot walk", nest(3000))
        value: object = {"list": [], "tuple": (), "dict": {}}[name]
        for _ in range(MAX_DEPTH - 1):
            value = {"list": [value], "tuple": (value,), "dict": {1: value}}[name]
        yield g.accepted(f"{name}-256", "the most levels there may be", value, nest(MAX_DEPTH))
    yield g.refused("key-257", "the deep value is a key", dic(tuples(MAX_DEPTH), num(1)), elsewhere=BOUNDED)
    yield g.refused("key-8000", "and hashing it recurses in C", dic(tuples(8000), num(1)))
    yield g.refused("frozen-2000", "frozensets, hashed one in the other", frozen(2000))
    yield g.refused("frozen-129", "258 levels, two for each frozenset", frozen(129))
    yield g.bounded("frozen-60", "frozensets that are within the limit, and are put in order when written", frozen(60))
    yield g.refused(
        "mixed",
        "every container in turn",
        70 * (o.EMPTY_LIST + o.EMPTY_DICT + num(1)) + tuples(60) + 70 * (o.SETITEM + o.APPEND) + o.TUPLE1 * 60,
        elsewhere=BOUNDED,
    )
    yield g.refused(
        "long-tuples",
        "tuples by MARK and TUPLE",
        o.MARK * 300 + o.NONE * 4 + (o.TUPLE + o.NONE * 4) * 299 + o.TUPLE,
        elsewhere=BOUNDED,
    )
    yield g.refused("typed-data", "the depth is in the data of a typed value", typed("s", lists(MAX_DEPTH)))
    yield g.refused("code", "the depth is where the code should be", tuples(MAX_DEPTH), o.NONE, o.TUPLE2, o.BINPERSID)
    yield g.refused("marks", "marks alone", o.MARK * 15_000)
    yield g.bounded("marks-and-value", "marks below the value", o.MARK * 15_000, o.NONE)
    wide = [[] for _ in range(300)]
    yield g.accepted("wide", "many containers, and none deep", wide, lst(*[o.EMPTY_LIST] * 300))
    yield g.accepted("openers-in-text", "a text of the bytes that open containers", "]})Q" * 100, text("]})Q" * 100))
    s = Group("depth", "stock")
    yield s.refused("stock-key", "in a pickle of any size", dic(tuples(200_000), num(1)))
    yield s.refused("stock-list", "lists, by opcodes of protocol 0", o.MARK * 5000 + o.LIST * 5000)
    yield s.refused(
        "stock-spread", "each level in a frame of its own", (o.FRAME(1) + o.EMPTY_LIST) * 3000 + o.APPEND * 2999
    )


def length() -> Iterator[Case]:
    """Length fields that lie."""
    counted = {
        "BINUNICODE": "é",
        "BINBYTES": b"x",
        "SHORT_BINUNICODE": "x",
        "SHORT_BINBYTES": b"x",
        "LONG1": 5,
    }
    elsewhere = {
        "BINUNICODE8": "é",
        "BINBYTES8": b"x",
        "BYTEARRAY8": b"x",
        "BINSTRING": b"x",
        "SHORT_BINSTRING": b"x",
        "LONG4": 5,
    }
    g, s = Group("length", "ours"), Group("length", "stock")
    for group, opcodes in ((g, counted), (s, elsewhere)):
        for name, value in opcodes.items():
            make = getattr(o, name)
            short = len(make(b"")) == 2
            for lie in (2, 200, 255) if short else (4, 400 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1):
                yield group.refused(f"{name}-{lie}", f"{name} says {lie} bytes", make(value, length=lie))
            if name.endswith("8"):
                yield group.refused(
                    f"{name}-2e63", "a length beyond what the reader counts in", make(value, length=(1 << 64) - 2)
                )
    yield g.refused(
        "inside", "a long text takes the rest of the payload", o.BINUNICODE("abc", length=8), o.NONE, o.TUPLE2, o.NONE
    )
    yield g.refused("not-utf-8", "text that is not UTF-8", o.SHORT_BINUNICODE(b"\xff\xfe"))
    yield g.refused("not-utf-8-long", "the same in a long one", o.BINUNICODE(b"\xc3" * 300))
    yield g.refused("size", "one byte more than a payload may have", data(bytes(MAX_BYTES - 5)), elsewhere=BOUNDED)
    yield g.accepted("size-most", "a payload of the most bytes", bytes(MAX_BYTES - 6), data(bytes(MAX_BYTES - 6)))
    yield s.refused("int-line", "a line that does not end", o.INT(b"1" * 20)[:-1])
    yield s.refused("unicode-line", "another one", o.UNICODE("abc")[:-1])
    yield s.refused("global-line", "a name that does not end", o.GLOBAL("os", "name")[:-1])


def _ordered(keys: Iterable[bytes]) -> bytes:
    return fill(keys, text("od") + o.EMPTY_DICT + o.MARK, o.NONE, o.SETITEMS + o.TUPLE2 + o.BINPERSID)


def _is_within(payload: bytes) -> bool:
    try:
        _GRAMMAR.check(payload)
    except UnsealError:
        return False
    return True


def collide() -> Iterator[Case]:
    """Keys of one hash: every insertion compares with all that are there."""
    g = Group("collide", "ours")
    for name, elements in COLLIDING.items():
        yield g.bounded(f"{name}-keys", "keys of a dict", fill(elements(), o.EMPTY_DICT + o.MARK, o.NONE, o.SETITEMS))
        ordered = _ordered(elements())
        yield g.bounded(f"{name}-ordered", "keys of an OrderedDict, made of a dict", ordered)
        few = [*islice(elements(), ORDERED_KEYS + 1)]
        once = _ordered(few[:ORDERED_KEYS])
        fitting = min((MAX_BYTES - 4) // len(once), TYPED // (ORDERED_KEYS + 1)) or 1
        yield g.bounded(f"{name}-ordereds", "and again, in OrderedDicts of as many as one has", lst(*[once] * fitting))
        yield g.refused(f"{name}-ordered-over", "one key more than it has", _ordered(few), elsewhere=BOUNDED)
        yield g.bounded(
            f"{name}-set",
            "elements of a set",
            fill(elements(), text("s") + o.EMPTY_LIST + o.MARK, b"", o.APPENDS + o.TUPLE2 + o.BINPERSID),
        )
    for name in ("fraction", "network", "frozenset"):
        few = [*islice(COLLIDING[name](), TYPED)]
        yield g.bounded(
            f"{name}-few", "as many as are let through", fill(few, o.EMPTY_DICT + o.MARK, o.NONE, o.SETITEMS)
        )
        elements = fill(few, text("s") + o.EMPTY_LIST + o.MARK, b"", o.APPENDS + o.TUPLE2 + o.BINPERSID)
        yield g.bounded(f"{name}-few-set", "elements of a set, which is written in another order", elements)
    for name, first, second in pairs():
        if name in FLAGS:
            continue
        keys = mixed(first, second, 0.5, _is_within)
        yield g.bounded(f"{name}-mixed", "keys of two types, as many as are let through", keys)
    counts = fill(COLLIDING["int"](), text("C") + o.EMPTY_DICT + o.MARK, num(1), o.SETITEMS + o.TUPLE2 + o.BINPERSID)
    yield g.bounded("counted", "keys of a Counter", counts)
    yield g.bounded(
        "nan",
        "keys that equal nothing, themselves included",
        o.EMPTY_DICT,
        o.MARK,
        1600 * (o.BINFLOAT(float("nan")) + o.NONE),
        o.SETITEMS,
    )
    yield g.bounded(
        "one-key", "one key, set again and again", o.EMPTY_DICT, o.MARK, 4000 * (num(1) + o.NONE), o.SETITEMS
    )
    s = Group("collide", "stock")
    large = fill(COLLIDING["int"](), o.EMPTY_DICT + o.MARK, o.NONE, o.SETITEMS, 1_200_000)
    yield s.refused("stock-dict", "100,000 keys", large)
    large = fill(COLLIDING["int"](), o.EMPTY_SET + o.MARK, b"", o.ADDITEMS, 1_000_000)
    yield s.refused("stock-set", "100,000 elements", large)


def amplify() -> Iterator[Case]:
    """Few bytes of payload that make much memory, or much work."""
    g = Group("amplify", "ours")
    most = MAX_BYTES - 10
    for name, member in {
        "dict": o.EMPTY_DICT,
        "list": o.EMPTY_LIST,
        "none": o.NONE,
        "float": o.BINFLOAT(1.5),
        "tuple1": o.NONE + o.TUPLE1,
        "set": typed("s", o.EMPTY_LIST),
        "frozenset": typed("fs", o.EMPTY_LIST),
        "deque": typed("q", tup(o.EMPTY_LIST, o.NONE)),
        "ordered": typed("od", o.EMPTY_DICT),
        "counter": typed("C", o.EMPTY_DICT),
        "default": typed("dd", tup(o.NONE, o.EMPTY_DICT)),
        "bytearray": typed("ba", data(b"")),
        "path": typed("p", text(".")),
        "network4": typed("net4", text("0.0.0.0/0")),
        "network6": typed("net6", text("::/0")),
        "address6": typed("ip6", text("::")),
        "fraction": typed("fr", tup(num(1), num(2))),
        "decimal": typed("n", text("1")),
        "zone": typed("tz", tup(num(0), num(0), num(0))),
        "date": typed("date", text("2024-02-29")),
        "datetime": typed("d", text("2024-02-29T01:02:03")),
        "uuid": typed("u", data(bytes(16))),
        "class": typed("t", text("int")),
    }.items():
        yield g.bounded(f"{name}", "a list of as many as there is room for", lst(*[member] * (most // len(member))))
    yield g.bounded(
        "wide-texts", "texts that take four bytes for each character", lst(*[text("\U0010ffff" + "a" * 250)] * 60)
    )
    yield g.bounded("leftovers", "values that stay on the stack", o.EMPTY_DICT * (most - 1), o.NONE)
    yield g.bounded(
        "deferred-search",
        "containers that are searched for values made later",
        typed("q", tup(o.EMPTY_LIST, o.NONE)),
        typed("s", lst(*[o.EMPTY_LIST] * 8000)),
        o.TUPLE2,
    )
    yield g.bounded(
        "deferred-nest",
        "values made later, one in the other",
        60 * (text("q") + o.EMPTY_LIST),
        60 * (o.APPEND + o.NONE + o.TUPLE2 + o.TUPLE2 + o.BINPERSID),
    )
    s = Group("amplify", "stock")
    yield s.refused("stock-sets", "a set for each byte", o.MARK, o.EMPTY_SET * 200_000, o.LIST)
    grown = lst(*[num(1)] * 4000) + o.MEMOIZE + o.POP
    yield s.refused(
        "stock-copies",
        "copies of a list, each for a few bytes",
        grown,
        o.MARK,
        1000 * call("builtins", "list", o.BINGET(0)),
        o.LIST,
    )


def bigint() -> Iterator[Case]:
    """Integers that take long to print, or that no parser of JSON reads back."""
    g, s = Group("bigint", "ours"), Group("bigint", "stock")
    yield g.refused("33-bytes", "one byte more than an int may have", o.LONG1(b"\x01" * 33), elsewhere=BOUNDED)
    yield g.refused("255-bytes", "the most of LONG1", o.LONG1(b"\x7f" * 255), elsewhere=BOUNDED)
    yield g.bounded("padded", "an int in more bytes than it needs", o.LONG1(b"\x05" + bytes(31)))
    yield g.bounded("minus-padded", "a negative one", o.LONG1(b"\xfe" + b"\xff" * 31))
    yield g.bounded("many", "large ints, as many as there is room for", lst(*[o.LONG1(b"\x7f" * 32)] * 450))
    huge = (1 << 40_000).to_bytes(5001, "little")
    yield s.refused("long4", "40,000 bits", o.LONG4(huge))
    yield s.refused("int-line", "4,000 digits", o.INT(b"9" * 4000), elsewhere=BOUNDED)
    yield s.refused("long-line", "another line of them", o.LONG(b"9" * 4000 + b"L"))
    yield s.refused("hexadecimal", "a base that has no limit of digits", o.LONG(b"0x" + b"f" * 30_000 + b"L"))
    yield s.refused("long4-key", "the large int is a key", dic(o.LONG4(huge), num(1)))


def cases() -> Iterator[Case]:
    for group in (memo, depth, length, collide, amplify, bigint):
        yield from group()
