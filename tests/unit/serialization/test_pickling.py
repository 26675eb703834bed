"""The allow-list pickle: exact round trips, bounds on size and nesting, and payloads that must be refused."""

import copyreg
import datetime
import enum
import os
import pickle
import pickletools
import struct
import subprocess
import sys
import types
import uuid
from abc import ABCMeta
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from decimal import Decimal
from fractions import Fraction
from io import BytesIO
from pathlib import PurePosixPath

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sealedsession.errors import NotSerializableError, UnsealError
from sealedsession.serialization.limits import DEFAULT_LIMITS, PayloadTooLargeError
from sealedsession.serialization.registry import Registry
from sealedsession.serialization.safe_pickle import PickleSerializer, _RefusedError
from sealedsession.serialization.standard_types import DEFAULT_TYPES, PLAIN_TYPES
from tests.support.param_ids import stable_repr
from tests.support.strategies import EXAMPLES, HASHABLE_EXAMPLES, NOON, VALUES, exactly

MAX_BYTES = DEFAULT_LIMITS.size

SERIALIZER = PickleSerializer(Registry())
dumps, loads = SERIALIZER.dumps, SERIALIZER.loads

untimed = settings(deadline=None)


def refused(payload, serializer=SERIALIZER):
    """Return the log record of a payload, which must be refused."""
    with pytest.raises(UnsealError) as caught:
        serializer.loads(payload)
    assert caught.value.reason == "forbidden_value"
    return caught.value.detail


def typed(data, code):
    """The opcodes of a typed value: BINPERSID of (code, data)."""
    return b"\x8c" + bytes((len(code.encode()),)) + code.encode() + data + b"\x86Q"


class Recorder:
    """A registered class whose every method that opcodes could reach notes that it was called."""

    called: list[str] = []

    def append(self, *_):
        self.called.append("append")

    def extend(self, *_):
        self.called.append("extend")

    def add(self, *_):
        self.called.append("add")

    def __setitem__(self, *_):
        self.called.append("__setitem__")

    def __setstate__(self, *_):
        self.called.append("__setstate__")

    def __call__(self, *_):
        self.called.append("__call__")


class Box:
    """A registered class that holds any value."""

    def __init__(self, content):
        self.content = content

    def __repr__(self):
        return f"Box({self.content!r})"

    def __eq__(self, other):
        return type(other) is Box and other.content == self.content

    def __hash__(self):
        return hash(self.content)


class Stack(Box):
    """The same, made after the reading, as it has a method that opcodes could call."""

    def append(self, value):
        raise AssertionError("called by an opcode")


def serializer_with(cls, encode=lambda box: box.content, decode=None):
    registry = Registry()
    registry.register(cls, "own", encode=encode, decode=decode or cls)
    return PickleSerializer(registry)


# --------------------------------------------------------------------------------------------------------- round trip


def test_every_default_type_has_an_example():
    """Every type that sessions hold by default is among the examples of this file."""
    assert {type(value) for value in EXAMPLES} == {*PLAIN_TYPES, *Registry().by_type}
    assert ABCMeta in {type(value) for value in EXAMPLES}


@pytest.mark.parametrize("value", EXAMPLES, ids=stable_repr)
def test_round_trip(value):
    """Every value comes back exactly, alone and inside lists, tuples, dicts and typed containers."""
    for whole in (
        value, [value, value], (value,), (1, 2, 3, value), {"key": value}, [{"a": (value, [value])}],
        OrderedDict(a=value), deque([value, [value]], 5), defaultdict(dict, a={"b": value}),
    ):  # fmt: skip
        payload = dumps(whole)
        assert exactly(loads(payload)) == exactly(whole)
        assert dumps(loads(payload)) == payload


@pytest.mark.parametrize("value", HASHABLE_EXAMPLES, ids=stable_repr)
def test_round_trip_as_key_and_element(value):
    """Every hashable value comes back exactly as a key and as an element of sets, alone and in a tuple."""
    for whole in ({value: 1, (value,): 2}, {value}, frozenset([value, (value, "x")]), Counter({value: 3})):
        payload = dumps(whole)
        assert exactly(loads(payload)) == exactly(whole)
        assert dumps(loads(payload)) == payload


def test_insertion_order():
    """Dicts of every kind keep the order in which they were filled."""
    keys = ["z", 1, "a", None, (2,), "m"]
    for make in (dict, OrderedDict, Counter, lambda items: defaultdict(int, items)):
        assert list(loads(dumps(make(dict.fromkeys(keys, 0))))) == keys


def test_singletons():
    """Values of which there is one come back as that one."""
    for value in (None, True, False, ..., NotImplemented, datetime.UTC, dict, Fraction):
        assert loads(dumps([value]))[0] is value


def test_shared_values_come_back_apart():
    """A value that occurs twice is written twice, and comes back as two equal values."""
    shared = [1]
    first, second = loads(dumps((shared, shared)))
    assert first == second == [1]
    assert first is not second


@pytest.mark.parametrize("element", [frozenset([1]), {1}, ..., uuid.UUID(int=1), bytearray(b"x")], ids=repr)
def test_many_typed_values(element):
    """A session may hold many typed values of one kind beside plain ones, shared or not."""
    shared = [1]
    value = {"typed": [element, [element] * 99], "plain": [shared, shared, {"a": [2]}], "pairs": [(element, [2])] * 60}
    assert exactly(loads(dumps(value))) == exactly(value)


@pytest.mark.parametrize("element", [frozenset([1]), {1}, ..., uuid.UUID(int=1), bytearray(b"x")], ids=repr)
def test_many_sessions_with_typed_values(element):
    """One serializer writes any number of sessions with typed values, each as it wrote the first."""
    value = {"typed": element, "plain": [1, [2]]}
    payload = dumps(value)
    for _ in range(200):
        assert dumps(value) == payload


@untimed
@given(VALUES)
def test_any_value_round_trips(value):
    """Whatever sessions hold comes back exactly, serializes to the same payload, and is known when it comes again."""
    payload = dumps(value)
    again = loads(payload)
    assert exactly(again) == exactly(value)
    assert dumps(again) == payload
    assert dumps(again, known=payload) == payload


def test_known_payload():
    """A result that equals the known payload is not parsed again, and any other result is parsed."""
    decoded = []
    serializer = serializer_with(Box, decode=lambda content: decoded.append(content) or Box(content))
    for value in ([Box(1)], [Box(1), {datetime.UTC}]):
        known = serializer.dumps(value)
        decoded.clear()
        assert serializer.dumps(value, known=bytes(bytearray(known))) == known
        assert decoded == []
        value.append(2)
        changed = serializer.dumps(value, known=known)
        assert changed != known
        assert decoded == [1]
        assert serializer.loads(changed)[-1] == 2


@pytest.mark.parametrize("size", [0, 1, 254, 255, 256, 257, 3000])
@pytest.mark.parametrize("unit", ["x", "ü", "€", "\U0001f36a", "\ud800", "]", "\0"])
def test_string_lengths(size, unit):
    """Strings and bytes come back around the length that one byte can count, lone surrogates included."""
    width = len(unit.encode("utf-8", "surrogatepass"))
    text = unit * (size // width) + "y" * (size % width)
    raw = text.encode("utf-8", "surrogatepass")
    assert len(raw) == size
    for value in (text, raw, {text: raw}, [uuid.UUID(int=1), text, {raw}]):
        assert exactly(loads(dumps(value))) == exactly(value)


@pytest.mark.parametrize("bits", [7, 8, 15, 16, 31, 32, 63, 64, 127, 247, 248, 254, 255])
def test_int_boundaries(bits):
    """Ints come back on both sides of every width of the form."""
    for number in (2**bits - 1, -(2**bits), -(2**bits) + 1, *((2**bits, 2**bits + 1) if bits < 255 else ())):
        assert exactly(loads(dumps([number]))) == exactly([number])


@pytest.mark.parametrize("number", [2**255, -(2**255) - 1, 2**4000, 10**5000], ids=int.bit_length)
def test_huge_ints(number):
    """An int that takes more than 32 bytes is refused in both directions, wherever it stands."""
    for value in (number, {"a": [number]}, {number: 1}, Fraction(number), {number}):
        with pytest.raises(NotSerializableError, match=r"\b255\b"):
            dumps(value)
    encoded = pickle.encode_long(number)
    counted = b"\x8a" + bytes((len(encoded),)) if len(encoded) < 256 else b"\x8b" + struct.pack("<i", len(encoded))
    assert "LONG" in refused(counted + encoded + b".")


@pytest.mark.parametrize("bits", [0x7FF8 << 48, 0xFFF8 << 48, 0x7FF0 << 48, 0xFFF0 << 48, 1, 1 << 63, 0x7FEF << 48])
def test_special_floats(bits):
    """NaN of both signs, infinities, the smallest number and -0.0 come back bit by bit."""
    number = struct.unpack("<d", struct.pack("<Q", bits))[0]
    for value in (number, [{"a": number}], complex(number, 1.0).real):
        assert exactly(loads(dumps(value))) == exactly(value)


HASH_SEED_SCRIPT = """
import sys
from sealedsession.serialization.safe_pickle import PickleSerializer
from sealedsession.serialization.registry import Registry
serializer = PickleSerializer(Registry())
for line in sys.stdin:
    payload = bytes.fromhex(line)
    print(serializer.dumps(serializer.loads(payload)).hex())
"""


@pytest.mark.parametrize("seed", ["0", "1", "2", "12345"])
def test_same_payload_in_every_process(seed):
    """A payload that is loaded and dumped again is the same in a process with any hash seed."""
    words = ["apple", "Birne", "cherry", "", "ü", "\ud800", "x" * 300]
    payloads = [
        dumps(value)
        for value in (
            set(words),
            frozenset(words),
            {(word, number) for word in words for number in (1, 2.5, None)},
            {frozenset([word, "both"]) for word in words},
            frozenset((frozenset(words[:n]), tuple(words[n:])) for n in range(len(words))),
            {*words, *range(-3, 3), *map(str.encode, words[:5]), None, 2.5, Decimal("1.5"), NOON, PurePosixPath("a")},
            {"tags": {*words}, "more": [deque([{*words}]), defaultdict(set, a={*words})]},
            {int, str, dict, Fraction, deque},
        )
    ]
    child = subprocess.run(
        [sys.executable, "-c", HASH_SEED_SCRIPT],
        input="\n".join(payload.hex() for payload in payloads),
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert child.stdout.split() == [payload.hex() for payload in payloads]


# --------------------------------------------------------------------------------------------------- size and nesting


@pytest.mark.parametrize("tail", [[], [datetime.UTC]], ids=["plain", "typed"])
def test_size_cap(tail):
    """A payload of exactly the cap is written and read, and one byte more is refused in both directions."""
    room = MAX_BYTES - len(dumps(["x" * 1000, *tail])) + 1000
    largest = dumps(["x" * room, *tail])
    assert len(largest) == MAX_BYTES
    assert loads(largest) == ["x" * room, *tail]
    with pytest.raises(PayloadTooLargeError):
        dumps(["x" * (room + 1), *tail])
    longer = largest.replace(struct.pack("<I", room), struct.pack("<I", room + 1)).replace(b"x", b"xx", 1)
    assert f"{MAX_BYTES + 1} bytes" in refused(longer)


@pytest.mark.parametrize("size", [20_000, 70_000, 1_000_000])
@pytest.mark.parametrize("make", [lambda n: "x" * n, lambda n: b"x" * n, lambda n: [None] * n, lambda n: {"x" * n}])
def test_far_too_large(make, size):
    """A value far over the cap is refused as too large, by size alone, and the next value is written all the same."""
    with pytest.raises(PayloadTooLargeError):
        dumps(make(size))
    assert loads(dumps([1, ...])) == [1, ...]


def nest(levels, wrap, value):
    for _ in range(levels):
        value = wrap(value)
    return value


@pytest.mark.parametrize(
    ("wrap", "levels", "inside"),
    [
        (lambda v: [v], 255, []),
        (lambda v: (v,), 255, ()),
        (lambda v: {"a": v}, 255, {}),
        (lambda v: [0, v, 0], 255, []),
        (lambda v: (0, v, 0, 0), 255, {}),
        (lambda v: {"a": 0, "b": v}, 255, ()),
        (lambda v: deque([v]), 84, deque([[0]])),  # three levels each: the value, its data, and the list in that
        (lambda v: OrderedDict(a=v), 127, [[]]),  # two levels each
    ],
)
def test_depth(wrap, levels, inside):
    """A value that is nested 256 deep is written and read, and one level more is refused in both directions."""
    deepest = nest(levels, wrap, inside)
    assert exactly(loads(dumps(deepest))) == exactly(deepest)
    with pytest.raises(NotSerializableError, match=r"\b256\b"):
        dumps([deepest])
    assert "nested more than 256 levels deep" in refused(dumps(deepest)[:-1] + b"\x85.")


@pytest.mark.parametrize("levels", [300, 5_000])
@pytest.mark.parametrize(
    "wrap", [lambda v: [v], lambda v: (v,), lambda v: {"a": v}, lambda v: deque([v]), lambda v: [v, ...]]
)
def test_far_too_deep(wrap, levels):
    """Nesting without end is NotSerializableError, or too large, and no RecursionError."""
    with pytest.raises((NotSerializableError, PayloadTooLargeError)):
        dumps(nest(levels, wrap, 0))


@pytest.mark.parametrize(
    ("start", "opener", "end"),
    [(b"", b"]", b"a"), (b"]", b"\x85", b""), (b"}", b"}", b"Ns"), (b"", b"Q", b""), (b"N", b"N\x86", b"")],
)
@pytest.mark.parametrize("levels", [257, 5000])
def test_deep_payloads(start, opener, end, levels):
    """Payloads of nothing but nesting, well formed or not, are refused."""
    refused(start + opener * levels + end * (levels - 1) + b".")


@pytest.mark.parametrize(
    "value",
    [
        "]" * 300,
        b"}" * 3000,
        ["Q()t]}" * 40] * 20,
        [[] for _ in range(300)],
        [{} for _ in range(300)],
        [()] * 300,
        [(n, (n,)) for n in range(300)],
        {n: [[n]] for n in range(200)},
        [datetime.timedelta(n) for n in range(160)],
        [0x5D5D5D5D] * 300,
        nest(200, lambda v: [v, "]" * 20], 0),
        nest(60, lambda v: deque([v, (), []]), [1, 2]),
    ],
    ids=range(12),
)
def test_many_openers_in_a_flat_payload(value):
    """What looks like nesting, inside strings or side by side, is accepted: nesting is counted exactly."""
    payload = dumps(value)
    assert sum(map(payload.count, (b"\x85", b"\x86", b"t", b"]", b"}", b")", b"Q"))) > 256
    assert exactly(loads(payload)) == exactly(value)


@pytest.mark.parametrize(
    ("leaf", "levels"), [("plain", 60), (datetime.UTC, 60), (deque(), 60), (frozenset([1]), 15)], ids=repr
)
@pytest.mark.parametrize(
    "wrap", [lambda v: [v, v], lambda v: {"a": v, "b": v}, lambda v: OrderedDict(a=v, b=v), lambda v: (v, v)]
)
def test_shared_graphs(wrap, leaf, levels):
    """A small graph that would be written exponentially large stops at the cap."""
    with pytest.raises(PayloadTooLargeError):
        dumps(nest(levels, wrap, leaf))


def circles():
    in_list, in_dict, in_deque, in_typed, in_box = [], {}, deque(), defaultdict(list), Box(None)
    in_list.append(in_list)
    in_dict["a"] = (1, [in_dict])
    in_deque.append([in_deque])
    in_typed["a"] = OrderedDict(b=in_typed)
    in_box.content = [in_box]
    return [in_list, in_dict, in_deque, in_typed, in_box]


@pytest.mark.parametrize("value", circles(), ids=["list", "dict", "deque", "defaultdict", "own"])
def test_circles(value):
    """A value that contains itself is NotSerializableError, and the error says why."""
    with pytest.raises(NotSerializableError, match="itself") as caught:
        serializer_with(Box).dumps({"a": value})
    assert caught.value.path.startswith("session['a']")


# -------------------------------------------------------------------------------------------------- what is not stored

Point = namedtuple("Point", "x y")


class Color(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    LOW = 1


@pytest.mark.parametrize(
    "value",
    [
        object(), len, test_circles, memoryview(b"x"), (n for n in ()), iter([]),
        types.SimpleNamespace(), os, Point(1, 2),
        Color.RED, Level.LOW, Color, Recorder, object, type, types.MappingProxyType({}), {}.keys(),
        pickle.PickleBuffer(b"x"),
        type("Text", (str,), {})("x"), type("Bytes", (bytes,), {})(), type("Int", (int,), {})(),
        type("List", (list,), {})(),
        type("Dict", (dict,), {})(), type("Tuple", (tuple,), {})(), type("Float", (float,), {})(),
        list[int], ValueError(),
        type("Date", (datetime.date,), {})(2030, 1, 1), datetime.tzinfo(), type("Set", (set,), {})(),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_other_types(value):
    """A value of any other type is NotSerializableError with its path, subclasses of what is stored included."""
    with pytest.raises(NotSerializableError) as caught:
        dumps({"a": [1, value]})
    assert caught.value.path == "session['a'][1]"
    assert caught.value.type is type(value)
    with pytest.raises(NotSerializableError):
        dumps({"typed": datetime.UTC, "a": value})


def test_an_encoder_that_raises():
    """Whatever an encoder raises becomes NotSerializableError, with its complaint."""

    def encode(box):
        raise LookupError("the box is locked")

    with pytest.raises(NotSerializableError, match=r"^session\['a'\]:"):
        serializer_with(Box, encode=encode).dumps({"a": Box(1)})


@pytest.mark.parametrize("cls", [Box, Stack])
def test_what_cannot_be_read_back_is_not_written(cls):
    """A value whose decoder refuses what its encoder wrote is NotSerializableError when it is written."""

    def decode(data):
        raise ValueError("no such box")

    with pytest.raises(NotSerializableError, match=r"^session\['a'\]:"):
        serializer_with(cls, decode=decode).dumps({"a": cls(1)})


def test_an_encoder_may_serialize():
    """An encoder can use the same serializer, and a failure in it spoils nothing."""
    registry = Registry()
    serializer = PickleSerializer(registry)
    registry.register(
        Box, "own", encode=lambda box: serializer.dumps(box.content), decode=lambda data: Box(serializer.loads(data))
    )
    value = {"a": Box([1, Box({...})]), "b": [Box(deque())]}
    with pytest.raises(NotSerializableError):
        serializer.dumps([value, Box(object())])
    assert serializer.loads(serializer.dumps(value)) == value


# --------------------------------------------------------------------------------------------------------- the grammar

GRAMMAR = {
    "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "SHORT_BINUNICODE",
    "BINUNICODE", "SHORT_BINBYTES", "BINBYTES", "EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE", "MARK", "SETITEM",
    "SETITEMS", "APPEND", "APPENDS", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "BINPERSID", "STOP",
}  # fmt: skip


def test_opcodes_written():
    """What is written for the examples are the opcodes of the grammar, each at least once, and no others."""
    head = b"\x80\x04"
    texts = ["x" * 300, b"x" * 300, 2**20, 2**40, 300, (1, 2, 3), {"a": 1, "b": 2}]
    written = {
        opcode.name
        for value in [*EXAMPLES, *texts]
        for opcode, _, _ in pickletools.genops(head + dumps([value, {"k": value}, [value, 1]]))
    }
    assert written - {"PROTO"} == GRAMMAR


@pytest.mark.parametrize(
    "opcode", [opcode for opcode in pickletools.opcodes if opcode.name not in GRAMMAR], ids=lambda opcode: opcode.name
)
def test_other_opcodes(opcode):
    """Every opcode outside the grammar is refused by name, wherever it stands and whatever follows."""
    code = opcode.code.encode("latin-1")
    for before in (b"", b"N", b"(]", typed(b"N", "..."), b"X\x2c\1\0\0" + b"x" * 300):
        for after in (b"", b".", b"\0" * 16 + b".", b"os\nsystem\n."):
            assert opcode.name in refused(before + code + after)


@pytest.mark.parametrize("byte", [n for n in range(256) if chr(n) not in {op.code for op in pickletools.opcodes}])
def test_bytes_that_are_no_opcode(byte):
    """A byte that is no opcode at all is refused."""
    assert f"byte {byte:02x} at byte 1" in refused(b"N" + bytes((byte,)) + b".")


def test_the_grammar_is_all_that_is_tested():
    """Pickle has the 68 opcodes that the grammar was chosen from, and no new one."""
    assert len(pickletools.opcodes) == 68
    assert {opcode.name for opcode in pickletools.opcodes} >= GRAMMAR


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("value", [{"user": "anna"}, {"a": [1, 2]}, [], NOON, print], ids=repr)
def test_stock_pickles(value, protocol):
    """A pickle by pickle.dumps is refused, whatever its protocol."""
    refused(pickle.dumps(value, protocol))


def test_memo():
    """A stock pickle without its head is refused for its memo."""
    assert "MEMOIZE" in refused(pickle.dumps({"user": "anna"}, 4)[11:])


@pytest.mark.parametrize(
    "payload",
    [
        b"", b".", b"N", b"N.N.", b"N..", b"N.\n", b"\x8c\x05abc.", b"X\x05\0\0\0abc.", b"X\xff\xff\xff\xff.", b"X\0.",
        b"B\xff\xff\xff\x7f.", b"C\x01.", b"K.", b"M\0.", b"J\0\0\0.", b"G\0.", b"\x8a\x21" + b"\1" * 33 + b".", b"(.",
        b"a.", b"]a.", b"e.", b"]Ne.", b"s.", b"}Ns.", b"}(Nu.", b"}N(Nu.", b"u.", b"t.", b"\x85.",
        b"N\x86.", b"N\x87.", b"Q.",
        b"NNa.", b"NNNs.", b"N(Ne.", b"N(NNu.", b"}]Ns.", b"}}Ns.", b"\x8c\x01\xff.",
        b"X\x01\0\0\0\xff.", b"(](a.", b"(]K\x01t(.",
    ],
    ids=bytes.hex,
)  # fmt: skip
def test_broken_payloads(payload):
    """Payloads that end early, go on after STOP, or take what is not on the stack are refused."""
    refused(payload)


@pytest.mark.parametrize(
    "payload",
    [
        b"cos\nsystem\n.", b"\x8c\x02os\x8c\x06system\x93.", b"(ios\nsystem\n.", b"cos\nsystem\n(\x8c\x02idtR.",
        b"cbuiltins\nlist\n.", b"\x8c\x08builtins\x8c\x04dict\x93)\x81.", b"c__main__\nnothing\n.",
    ],
)  # fmt: skip
def test_no_name_is_looked_up(payload):
    """Past the grammar, the reader itself refuses every global, whatever opcode names it."""
    with pytest.raises(_RefusedError, match="global"):
        SERIALIZER._unpickler_class(BytesIO(b"\x80\x04" + payload)).load()


@pytest.mark.parametrize("opcode", [b"\x82\xfe", b"\x83\xfe\x00", b"\x84\xfe\x00\x00\x00"])
def test_no_extension_is_looked_up(opcode):
    """Past the grammar, the reader itself refuses a name behind an extension code."""
    copyreg.add_extension("os", "getpid", 0xFE)
    try:
        with pytest.raises(_RefusedError, match=r"os\.getpid"):
            SERIALIZER._unpickler_class(BytesIO(b"\x80\x04" + opcode + b".")).load()
        assert "EXT" in refused(opcode + b".")
    finally:
        copyreg.remove_extension("os", "getpid", 0xFE)


# --------------------------------------------------------------------------------------------------------- typed values


@pytest.mark.parametrize(
    "pid",
    [
        b"N", b"]", b"}", b")", b"\x8c\x01u", b"\x8c\x01u\x85", b"\x8c\x01uNN\x87", b"NN\x86",
        b"C\x01uN\x86", b"K\x01N\x86",
        b"](\x8c\x01uNe", b"\x8c\x01uN\x86\x85", b"\x8c\x01u\x85N\x86", b"]N\x86", typed(b"N", "...") + b"N\x86",
        typed(b"]N\x86", "q") + b"N\x86", typed(b"]N\x86", "q"),
    ],
    ids=bytes.hex,
)  # fmt: skip
def test_wrong_pid(pid):
    """A typed value that is not exactly (code, data), with a str for the code, is refused."""
    assert "not (code, data)" in refused(pid + b"Q.")


@pytest.mark.parametrize("code", ["", "zz", "D", "d ", "datetime", "os.system", "x" * 200])
def test_unknown_code(code):
    """A type code that nobody registered is refused, with no more than the start of it in the log."""
    detail = refused(typed(b"N", code) + b".")
    assert repr(code[:32]) in detail
    assert len(detail) < 100


RIGHT_DATA = {row.code: dumps(value)[:-1] for row in DEFAULT_TYPES for value in EXAMPLES if type(value) is row.cls}
MUTATING_OPCODES = {"APPEND": b"Na", "APPENDS": b"(NNe", "SETITEM": b"K\0Ns", "SETITEMS": b"(K\0NK\1Nu"}


@pytest.mark.parametrize("opcode", MUTATING_OPCODES)
@pytest.mark.parametrize("value", [v for v in EXAMPLES if type(v) not in (list, dict)], ids=stable_repr)
def test_opcodes_change_lists_and_dicts_only(value, opcode):
    """Opcodes that add to a container are refused when they are aimed at anything but a plain list or dict."""
    refused(dumps(value)[:-1] + MUTATING_OPCODES[opcode] + b".")


def test_opcodes_assign_no_slices():
    """SETITEM with a slice for the key is refused: a few bytes would fill a list from a range of any length."""
    assert len(dumps([slice(None), range(10**5)])) < 60
    refused(b"]" + dumps(slice(None))[:-1] + dumps(range(10**5))[:-1] + b"s.")


@pytest.mark.parametrize("opcode", MUTATING_OPCODES)
def test_opcodes_call_no_method(opcode):
    """Opcodes aimed at a registered class with append, extend and __setitem__ are refused and call none of them."""
    Recorder.called.clear()
    serializer = serializer_with(Recorder, encode=lambda _: None, decode=lambda _: Recorder())
    assert type(serializer.loads(serializer.dumps(Recorder()))) is Recorder
    for target in (typed(b"N", "own"), b"]" + typed(b"N", "own"), typed(b"N", "own") + b"0"):
        refused(target + MUTATING_OPCODES[opcode] + b".", serializer)
    assert Recorder.called == []


def test_deferred_values():
    """Values that are made after the reading come back nested in each other, in plain and in typed values."""
    value = {
        "nested": deque([OrderedDict(x=deque([bytearray(b"1"), Counter(a=1)]), y=defaultdict(list, z=[deque()]))]),
        "tuple": (deque(), [deque([1])], {"k": (deque(),)}),
        "classes": [int, (str, {"k": deque})],
        "set of classes": {int, deque, Fraction},
        "frozen": frozenset([int, ("a", str)]),
        "plain": [datetime.UTC, {1, 2}],
    }
    assert exactly(loads(dumps(value))) == exactly(value)


@pytest.mark.parametrize("cls", [Box, Stack])
@pytest.mark.parametrize(
    "content", [deque([1]), [deque([1])], {"a": (deque(),)}, OrderedDict(a=deque()), int, bytearray()]
)
def test_decoders_get_finished_values(cls, content):
    """A decoder gets the values that its data holds, never what stands for them during the reading."""
    seen = []
    serializer = serializer_with(cls, decode=lambda data: seen.append(exactly(data)) or cls(data))
    again = serializer.loads(serializer.dumps([cls(content), {"k": cls([cls(content)])}]))
    assert exactly(again[0].content) == exactly(again[1]["k"].content[0].content) == exactly(content)
    assert exactly(content) in seen


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({int: 1}, r"session\[<class 'int'>\]"),
        ({"a": {(1, int): 1}}, r"session\['a'\]\[\(1, <class 'int'>\)\]"),
        ({"a": [{frozenset([int]): 1}]}, r"session\['a'\]\[0\]\[frozenset"),
        ({"a": {Stack(1): 2}}, r"session\['a'\]\[Box"),
        ({"a": Counter([int])}, r"session\['a'\]"),
    ],
    ids=repr,
)
def test_a_deferred_value_as_key(value, path):
    """A key that could only be made after the reading is NotSerializableError, with its path and that it is the key."""
    with pytest.raises(NotSerializableError, match=path + ".*key"):
        serializer_with(Stack).dumps(value)


def test_a_deferred_value_as_key_in_a_payload():
    """A payload with such a key is refused."""
    for key in (typed(b"\x8c\x03int", "t"), typed(b"]N\x86", "q"), typed(b"\x8c\x03int", "t") + b"\x85"):
        refused(b"}" + key + b"Ns.")


class OwnError(Exception):
    """An error of a decoder's library."""


@pytest.mark.parametrize("cls", [Box, Stack])
@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"), TypeError(), KeyError("x"), IndexError(), AttributeError("x"),
        AssertionError(), RecursionError(), MemoryError(), StopIteration(), ZeroDivisionError(), EOFError(),
        UnicodeDecodeError("utf-8", b"x", 0, 1, "x"), NotSerializableError("session", None, "x"),
        pickle.UnpicklingError("x"), UnsealError("revoked", "x"),
    ],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_a_decoder_that_refuses_its_data(error, cls):
    """The errors by which a decoder refuses its data leave the reader as UnsealError("forbidden_value")."""

    def decode(data):
        raise error

    refused(b"]" + typed(b"N", "own") + b"a.", serializer_with(cls, decode=decode))


@pytest.mark.parametrize("cls", [Box, Stack])
@pytest.mark.parametrize("error", [TimeoutError("x"), OSError(2, "x"), OwnError("x"), SyntaxError()], ids=repr)
def test_an_error_that_is_not_the_payloads_fault(error, cls):
    """Any other error, such as a signal handler's timeout, leaves the reader unchanged, and the next read works."""
    errors = [error]

    def decode(data):
        if errors:
            raise errors.pop()
        return cls(data)

    serializer = serializer_with(cls, decode=decode)
    payload = b"]" + typed(b"N", "own") + b"a."
    with pytest.raises(type(error)) as caught:
        serializer.loads(payload)
    assert caught.value is error
    assert type(serializer.loads(payload)[0]) is cls


# -------------------------------------------------------------------------------------------------------- hostile bytes


def try_to_load(payload):
    """Load what may be nonsense: a value, which then can be dumped or is refused as any value is; or UnsealError."""
    try:
        value = loads(payload)
    except UnsealError:
        return
    try:
        written = dumps(value)
    except (NotSerializableError, PayloadTooLargeError):
        return
    assert dumps(loads(written)) == written


@untimed
@given(st.binary(max_size=400))
@example(b"N.")
def test_random_bytes(payload):
    """Random bytes are a value or raise UnsealError, and nothing else."""
    try_to_load(payload)


OPCODES = [
    b"N", b"\x88", b"\x89", b"}", b"]", b"(", b"u", b"s", b")", b"e", b"a", b"t", b"\x85", b"\x86", b"\x87", b"Q",
    b"K\x05", b"M\1\2", b"J\1\2\3\4", b"G\0\0\0\0\0\0\0\0", b"\x8a\0", b"\x8a\2\0\x80", b"C\1x",
    b"\x8c\1\xff", b"X\1\0\0\0x",
    *(b"\x8c" + bytes((len(row.code),)) + row.code.encode() for row in DEFAULT_TYPES), b"\x8c\1t", b"\x8c\3int",
]  # fmt: skip
FRAGMENTS = [*OPCODES, *(dumps(value)[:-1] for value in EXAMPLES), *MUTATING_OPCODES.values()]


@untimed
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=25))
def test_random_opcodes(parts):
    """Random opcodes of the grammar are a value or raise UnsealError, and nothing else."""
    try_to_load(b"".join(parts) + b".")


@untimed
@given(st.sampled_from(EXAMPLES), st.data())
def test_mutated_payloads(value, data):
    """A payload of ours with bytes changed, put in or taken out is a value or raises UnsealError, and nothing else."""
    payload = bytearray(dumps([value, {"k": value}, deque([value])]))
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(payload) - 1))
        piece = data.draw(st.binary(min_size=1, max_size=2) | st.sampled_from(FRAGMENTS))
        payload[position : position + data.draw(st.integers(0, 3))] = piece
    try_to_load(bytes(payload))
