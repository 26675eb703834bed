"""The registry: what can be registered, which values are refused with which path, and what hostile data meets."""

import datetime
import re
import uuid
from collections import Counter, OrderedDict, defaultdict, deque
from decimal import Decimal
from fractions import Fraction
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from itertools import permutations
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest

from sealedsession.errors import ConfigError, NotSerializableError, got
from sealedsession.serialization.diagnosis import FaultFinder
from sealedsession.serialization.limits import DEFAULT_LIMITS
from sealedsession.serialization.registry import Registry
from sealedsession.serialization.safe_pickle import PickleSerializer
from sealedsession.serialization.standard_types import DEFAULT_TYPES, PLAIN_TYPES
from sealedsession.serialization.tagged_json import JsonSerializer
from tests.support.param_ids import stable_repr

NOTHING_FOUND = RuntimeError("what the serializer said")


def find_fault(value, registry):
    """The fault that is found, or None when there is only the serializer's word."""
    fault = FaultFinder(registry, DEFAULT_LIMITS).find(value, NOTHING_FOUND)
    return None if str(NOTHING_FOUND) in str(fault) else fault


# What decoders raise. Anything refuses the token; these are what checks and constructors are expected to say.
REFUSALS = (TypeError, ValueError, LookupError, ArithmeticError)


class Unknown:
    """A class that nobody registered."""

    def __repr__(self):
        return "<unknown>"


class Chip:
    """A hashable value whose hash says nothing, so that a set keeps chips in the order they came in."""

    def __init__(self, color):
        self.color = color

    def __eq__(self, other):
        return type(other) is Chip and other.color == self.color

    def __hash__(self):
        return 0


class OddZone(datetime.tzinfo):
    """A time zone of a class that nobody registered."""

    def utcoffset(self, when):
        return datetime.timedelta(hours=1)


def registry_with_chips(encode=lambda chip: chip.color, decode=Chip, code="chip"):
    registry = Registry()
    registry.register(Chip, code, encode=encode, decode=decode)
    return registry


def first_fault(value, registry=None):
    """The path and the message of the first fault."""
    fault = find_fault(value, registry or Registry())
    assert fault is not None
    assert str(fault).startswith(fault.path)
    return fault.path, str(fault)


# ------------------------------------------------------------------------------------------------------- registration


def test_register():
    """A registered type is found by its type and by its code, and its decoder undoes its encoder."""
    registry = registry_with_chips()
    entry = registry.by_type[Chip]
    assert registry.by_code["chip"] is entry
    assert entry.decode(entry.encode(Chip("red"))) == Chip("red")


@pytest.mark.parametrize("thing", [Unknown(), "Unknown", None, len, list[int]], ids=repr)
def test_register_takes_classes_only(thing):
    """What is not a class is refused, with its kind in the error."""
    with pytest.raises(ConfigError, match=f"^register: .*{got(thing)}$"):
        Registry().register(thing, "x", encode=str, decode=str)


@pytest.mark.parametrize("code", ["", "x" * 33, b"x", 5, None], ids=repr)
def test_bad_code(code):
    """A code that is not a str of 1 to 32 characters is refused."""
    with pytest.raises(ConfigError, match=r"^Chip:"):
        registry_with_chips(code=code)


@pytest.mark.parametrize("code", ["x", "x" * 32, "é"])
def test_good_code(code):
    """Codes of 1 and of 32 characters are accepted."""
    assert registry_with_chips(code=code).by_code[code].cls is Chip


@pytest.mark.parametrize("cls", [*PLAIN_TYPES, *(row.cls for row in DEFAULT_TYPES), type])
def test_no_type_is_registered_twice(cls):
    """Plain types and default types are refused: sessions hold them already."""
    with pytest.raises(ConfigError, match=f"^{cls.__qualname__}:"):
        Registry().register(cls, "x", encode=str, decode=str)


def test_own_type_twice():
    """A type that was registered is refused under another code too."""
    with pytest.raises(ConfigError, match=r"^Chip:"):
        registry_with_chips().register(Chip, "other", encode=str, decode=Chip)


@pytest.mark.parametrize("code", [*(row.code for row in DEFAULT_TYPES), "t"])
def test_no_code_is_registered_twice(code):
    """The code of another type is refused, by an error that names both types."""
    with pytest.raises(ConfigError, match=f"^Chip: .*'{re.escape(code)}' belongs to"):
        registry_with_chips(code=code)


def test_a_refused_registration_changes_nothing():
    """After a refused registration the registry is what it was."""
    registry = registry_with_chips()
    types_before, codes_before = dict(registry.by_type), dict(registry.by_code)
    for cls, code in ((Unknown, "chip"), (Chip, "other"), (Unknown, "")):
        with pytest.raises(ConfigError):
            registry.register(cls, code, encode=str, decode=str)
    assert (registry.by_type, registry.by_code) == (types_before, codes_before)


def test_registries_are_independent():
    """What one registry learns, another one does not know."""
    registry_with_chips()
    assert Chip not in Registry().by_type


@pytest.mark.parametrize("made", [None, "red", Unknown(), type("Subchip", (Chip,), {})("red")], ids=stable_repr)
def test_a_decoder_makes_its_type(made):
    """A decoder that returns anything but an instance of exactly its type is refused."""
    entry = registry_with_chips(decode=lambda data: made).by_code["chip"]
    with pytest.raises(TypeError, match=r"'chip'.* Chip, got"):
        entry.decode("red")


@pytest.mark.parametrize(
    "body",
    [
        *({name: lambda self, *arguments: None} for name in ("append", "extend", "add", "__setitem__", "__setstate__")),
        {"__call__": lambda self: None},
        {"__getattr__": lambda self, name: None},
        {"__getattribute__": lambda self, name: None},
    ],
    ids=lambda body: next(iter(body)),
)
def test_what_opcodes_could_reach_is_deferred(body):
    """Instances of a class with a method that opcodes could call are made after the reading, inherited ones too."""
    registry = Registry()
    parent = type("Parent", (), body)
    registry.register(parent, "parent", encode=str, decode=str)
    registry.register(type("Child", (parent,), {}), "child", encode=str, decode=str)
    registry.register(Unknown, "unknown", encode=str, decode=str)
    assert [registry.by_code[code].deferred for code in ("parent", "child", "unknown")] == [True, True, False]


# ------------------------------------------------------------------------------------------------------------- faults


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (Unknown(), "session"),
        ({"cart": [0, 1, 2, {"price": Unknown()}]}, "session['cart'][3]['price']"),
        ({"a": (1, (2, Unknown()))}, "session['a'][1][1]"),
        ({5: {None: Unknown()}}, "session[5][None]"),
        ({"a": {Unknown(): 1}}, "session['a'][<unknown>] (the key)"),
        ({("a", Unknown()): 1}, "session[('a', <unknown>)] (the key)[1]"),
        ({"s": {Unknown()}}, "session['s'][0]"),
        ({"s": frozenset([Unknown()])}, "session['s'][0]"),
        ({"o": OrderedDict(a=[1, Unknown()])}, "session['o']['a'][1]"),
        ({"first": Unknown(), "second": Unknown()}, "session['first']"),
        ({"long " * 20: Unknown()}, f"session[{repr('long ' * 20)[:57]}...]"),
    ],
)
def test_path_of_an_unknown_type(value, path):
    """The fault names the path of the first value of an unknown type, as Python would write it, and the type."""
    fault = find_fault(value, Registry())
    assert fault.path == path
    assert fault.type is Unknown
    assert f"{__name__}.Unknown" in str(fault)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"q": deque([1, [Unknown()]])}, "session['q'][1][0]"),
        ({"d": defaultdict(list, a=Unknown())}, "session['d']['a']"),
        ({"q": deque([deque([Unknown()])])}, "session['q'][0][0]"),
    ],
)
def test_path_through_types_with_more_than_items(value, path):
    """Inside a deque or a defaultdict the path is what Python would write, not that of the encoded data."""
    assert first_fault(value)[0] == path


def circle(make, put):
    value = make()
    put(value)
    return value


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (circle(list, lambda v: v.append([v])), "session['x'][0][0]"),
        (circle(dict, lambda v: v.update(a=(1, v))), "session['x']['a'][1]"),
        (circle(OrderedDict, lambda v: v.update(a=v)), "session['x']['a']"),
        (circle(Counter, lambda v: v.update({"a": 1}) or v.__setitem__("b", v)), "session['x']['b']"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_in_itself(value, path):
    """A value that contains itself is found, through plain and typed values, with the path of the circle."""
    assert first_fault({"x": value}) == (path, f"{path}: it contains itself. Remove the circular reference")


def test_a_shared_value_is_no_circle():
    """A value that occurs twice, and not in itself, is no fault."""
    shared = [1]
    assert find_fault({"a": [shared, shared], "b": (shared,)}, Registry()) is None


@pytest.mark.parametrize(
    "wrap",
    [lambda v: [v], lambda v: {"key": v}, lambda v: (v,), lambda v: deque([v]), lambda v: OrderedDict(key=v)],
    ids=["list", "dict", "tuple", "deque", "OrderedDict"],
)
def test_depth(wrap):
    """Nesting without end is one fault with a short path, not a RecursionError."""
    value = None
    for _ in range(2000):
        value = wrap(value)
    path, message = first_fault(value)
    assert path.startswith("session[")
    assert len(path) < 80
    assert "nested more than 256 levels deep" in message


@pytest.mark.parametrize("number", [2**255, -(2**255) - 1, 10**5000], ids=int.bit_length)
def test_huge_int(number):
    """An int that takes more than 32 bytes is a fault that tells its size, without writing it out."""
    path, message = first_fault({"n": [number]})
    assert path == "session['n'][0]"
    assert f"{number.bit_length()} bits; the limit is 255" in message
    assert len(message) < 200


@pytest.mark.parametrize("number", [2**255, 10**5000], ids=int.bit_length)
def test_huge_int_as_key(number):
    """A huge int is found as a key, too, even one that Python refuses to write out."""
    assert f"{number.bit_length()} bits" in first_fault({"n": {number: 1}})[1]


def test_a_key_without_a_repr():
    """A fault is found behind a key whose repr raises."""

    class Mute:
        def __repr__(self):
            raise RuntimeError("no words")

    path, message = first_fault({"n": {Mute(): 1}})
    assert path.startswith("session['n'][")
    assert "Mute cannot be stored" in message


def test_an_encoder_that_raises():
    """The complaint of an encoder is in the fault, with the path and the type."""

    def encode(chip):
        raise RuntimeError("red ones are sold out")

    path, message = first_fault({"c": [Chip("red")]}, registry_with_chips(encode=encode))
    assert path == "session['c'][0]"
    assert "Chip cannot be stored: red ones are sold out" in message


def test_a_decoder_that_refuses():
    """The complaint of a decoder about what was just encoded is in the fault."""

    def decode(data):
        raise ValueError("no such chip")

    path, message = first_fault({"c": [Chip("red")]}, registry_with_chips(decode=decode))
    assert path == "session['c'][0]"
    assert "a session cannot hold this test_values.Chip: no such chip" in message


@pytest.mark.parametrize("cls", [Unknown, Exception, Path.__base__, Registry])
def test_classes_of_others(cls):
    """A class that is not that of a default type is refused as a value, by name."""
    path, message = first_fault({"c": cls})
    assert path == "session['c']"
    assert f"{cls.__qualname__} is a class" in message


# ------------------------------------------------------------------------------------------- limits of default types

INT64 = 2**63
MINUTE = datetime.timedelta(minutes=1)


def with_attribute(value):
    value.note = "lost"
    return value


class ListLookalike:
    """A factory that is not the list it calls itself."""


ListLookalike.__name__ = "list"


@pytest.mark.parametrize(
    "value",
    [
        Decimal("1" * 64),
        Decimal("-0." + "1" * 61),
        Decimal("1E+1000"),
        Decimal("1E-1000"),
        Decimal("0E-1000"),
        Decimal("NaN"),
        Decimal("-NaN123"),
        Decimal("-Infinity"),
        range(-INT64, INT64 - 1, INT64 - 1),
        slice(-INT64, INT64 - 1, None),
        slice(None),
        deque(maxlen=INT64 - 1),
        deque(maxlen=0),
        PurePosixPath("a" * 1024),
        PureWindowsPath("C:\\" + "a" * 1021),
        Path("a" * 1024),
        datetime.timezone(MINUTE, "n" * 64),
        datetime.timezone(MINUTE, ""),
        datetime.timedelta.min,
        datetime.timedelta.max,
        datetime.datetime.min,
        datetime.datetime.max,
        datetime.datetime.max.replace(tzinfo=datetime.timezone(-datetime.timedelta.resolution)),
        datetime.time.max.replace(tzinfo=datetime.timezone(datetime.timedelta(hours=-24, microseconds=1)), fold=1),
        *(defaultdict(factory) for factory in (None, list, dict, set, int, float, str, bool, tuple, bytes)),
        Counter(a=2**254, b=0, c=-5),
        Fraction(2**255 - 1, 2**254 + 1),
        IPv6Address("::1%" + "e" * 60),
    ],
    ids=repr,
)
def test_at_the_limit(value):
    """The largest values of the default types are without fault."""
    assert find_fault({"v": value}, Registry()) is None


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (Decimal("1" * 65), "65 characters"),
        (Decimal("1E+1001"), "exponent"),
        (Decimal("1E-1001"), "exponent"),
        (Decimal("0E+1001"), "exponent"),
        (Decimal("sNaN"), "signaling"),
        (range(INT64), "64 bits"),
        (range(-INT64 - 1, 0), "64 bits"),
        (range(0, 1, INT64), "64 bits"),
        (slice(INT64), "64 bits"),
        (slice(0, None, -INT64 - 1), "64 bits"),
        (slice("a", "b"), "expected int, got str"),
        (slice(True), "expected int, got bool"),
        (PurePosixPath("a" * 1025), "1025 characters"),
        (PureWindowsPath("a" * 1025), "1025 characters"),
        (Path("a" * 1025), "1025 characters"),
        (PurePosixPath("a\0b"), "a NUL character"),
        (Path("a\0b"), "a NUL character"),
        (datetime.timezone(MINUTE, "n" * 65), "65 characters"),
        (defaultdict(lambda: 0), "factory"),
        (defaultdict(Unknown), "factory"),
        (defaultdict(ListLookalike), "factory"),
        (defaultdict("x".upper), "factory"),
        (defaultdict(frozenset), "factory"),
        (Counter(a=1.5), "expected int, got float"),
        (Counter(a=True), "expected int, got bool"),
        (Counter(a=Decimal(1)), "expected int, got Decimal"),
        (with_attribute(OrderedDict()), "attributes of its own (note)"),
        (with_attribute(Counter()), "attributes of its own (note)"),
        (datetime.datetime(2030, 1, 1, tzinfo=OddZone()), "OddZone cannot be stored"),
        (datetime.time(12, tzinfo=OddZone()), "OddZone cannot be stored"),
        (Fraction(2**255, 3), "256 bits"),
        (IPv6Address("::1%" + "e" * 61), "65 characters"),
    ],
    ids=stable_repr,
)
def test_beyond_the_limit(value, words):
    """A value just beyond a default type's limit is a fault that tells the limit."""
    path, message = first_fault({"v": value})
    assert path.startswith("session['v']")
    assert words in message


# -------------------------------------------------------------------------------------------------------- hostile data

BIG, LONG = INT64, "9" * 2000
NOT_A_TUPLE_OF_THREE_INTS = [
    (), (1,), (1, 2), (1, 2, 3, 4), [1, 2, 3], (1, 2, "3"), (1, 2, 3.0), (1, 2, True),
    (1.0, 2, 3), (True, 2, 3), (1, 2.0, 3), (1, True, 3), (BIG, 1, 1), (1, BIG, 1),
    (1, 1, BIG), (-BIG - 1, 0, 1), {1: 2}, "123",
]  # fmt: skip
ODD_TEMPORAL_TUPLES = [
    (), ("{0}",), ("{0}", 0), ("{0}", 2, None), ("{0}", -1, None), ("{0}", True, None), ("{0}", 0, 5),
    ("{0}", 0, Unknown()), (b"{0}", 0, None), ("{0}", "0", None), ("{0}", 0, None, None), ["{0}", 0, None],
    (LONG, 0, None), ("{0}+01:00", 0, None),
]  # fmt: skip


def temporal(text):
    """Hostile tuples around a text that would be right."""
    return [
        type(layout)(part.format(text) if type(part) is str else part for part in layout)
        for layout in ODD_TEMPORAL_TUPLES
    ]


HOSTILE = {
    "d": [*temporal("2030-01-01T00:00:00"), "", "2030", "0000-01-01", "2030-02-30", "2030-01-01T25:00",
          "10000-01-01", LONG,
          "2030-01-01T00:00:00." + "0" * 30, ("2030-01-01T00:00:00.0000000", 0, None),
          "2030-01-01T00:00:00.000000+00:00:00.000000 ", "2030-01-01T00:00:00+24:00",
          "2030-01-01T00:00:00+00:00:30"],
    "date": ["", "2030-02-30", "0000-01-01", "2030-01-01T00:00", LONG, "2030-1-1"],
    "time": [*temporal("12:00:00"), "", "24:01", "12:60", LONG, "12:00+24:00",
             "12:00:00." + "0" * 30, ("12:00:00.0000000", 0, None), "12:00:00+00:00:30"],
    "td": [*NOT_A_TUPLE_OF_THREE_INTS, (10**9, 0, 0), (-(10**9), 0, 0), (INT64 - 1, 0, 0)],
    "tz": [*(d for d in NOT_A_TUPLE_OF_THREE_INTS if d != (1, 2, 3, 4)), (1, 0, 0), (-1, 0, 0), (0, 86400, 0),
           (0, 60, 0, 5), (0, 60, 0, b"x"), (0, 60, 0, "n" * 65), (0, 60, 0, "x", "y"),
           [0, 60, 0], [0, 60, 0, "x"]],
    "n": ["", "x", "1" * 65, "1E+1001", "1E-1001", "1E+1000000", "sNaN", "-sNaN1", "0E+1000000", "1 2", "0x10",
          "+1", "1e5", "1_0", " 1", "1.", ".5", "inf", "\u0663"],
    "fr": [(), (1,), (1, 0), (1, 2, 3), (1.0, 2), (1, "2"), (True, 2), [1, 2], "1/2"],
    "c": [(), (1.0,), (1, 2), (1.0, 2), (1.0, 2.0, 3.0), ("1", "2"), [1.0, 2.0]],
    "r": [*NOT_A_TUPLE_OF_THREE_INTS, (1, 2, 0)],
    "sl": [*NOT_A_TUPLE_OF_THREE_INTS, (Unknown(), None, None)],
    "...": [0, "", ()],
    "ni": [0, "", ()],
    "ba": ["x", 5, 10**9, [1, 2], bytearray(b"x")],
    "od": [[], [("a", 1)], "ab", Counter(), OrderedDict(), dict.fromkeys(range(129))],
    "C": [[], "ab", {"a": 1.5}, {"a": True}, {"a": None}, {"a": "1"}, Counter("a")],
    "dd": [(), (None,), ("list", {}, {}), ["list", {}], ("eval", {}), ("Unknown", {}), (list, {}), (None, []),
           (None, [("a", 1)]), ("", {}), (5, {}), ("list", OrderedDict()), ([], {})],
    "q": [(), ([],), ([], None, None), [[], None], ((), None), ("ab", None), (range(10**12), 0), ([], -1), ([], BIG),
          ([], "5"), ([], 5.0), ([], True), ([1, 2], 1)],
    "u": ["", b"", b"x" * 15, b"x" * 17, "12345678123456781234567812345678", 5, 16, [1] * 16, bytearray(16)],
    "pp": ["", "a//b", "a/", "./a", "a\0b", "a" * 1025, b"a"],
    "pw": ["", "a/b", "a\\\\b", "a\0b", "a" * 1025, b"a"],
    "p": ["", "a//b", "a/", "./a", "a\0b", "a" * 1025, b"a"],
    "ip4": ["", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4\n", "::1", 16909060, b"\1\2\3\4", "1.2.3.4/32"],
    "ip6": ["", "::1::", "1.2.3.4", "0:0:0:0:0:0:0:1", "::1%" + "e" * 61, "::1%\0", 1, b"x" * 16, "A::"],
    "net4": ["", "1.2.3.4/24", "1.2.3.0/33", "1.2.3.4", "0.0.0.0/0.0.0.0", "::/0", ("1.2.3.0", 24), 5],
    "net6": ["", "::1/64", "::/129", "::1", "0::/64", "0.0.0.0/0", ("::", 64), 5],
    "s": [(), {}, {1}, "ab", range(3), [[]], [{}], [1, []]],
    "fs": [(), {}, {1}, "ab", range(3), [[]], [{}], [1, []]],
    "t": ["", "eval", "Unknown", "os.system", "object", "type", "Session", "collections.deque", LONG, ("int",), int,
          type("Sub", (str,), {})("int")],
}  # fmt: skip


def test_every_decoder_is_tested():
    """Every default type's code is in the table of hostile data."""
    assert set(HOSTILE) == set(Registry().by_code)


@pytest.mark.parametrize(
    ("code", "data"), [(code, data) for code, hostile in HOSTILE.items() for data in hostile], ids=repr
)
def test_hostile_data(code, data):
    """Data of the wrong shape, size or spelling is refused by every default decoder."""
    with pytest.raises(REFUSALS):
        Registry().by_code[code].decode(data)


@pytest.mark.parametrize("keys", [range(128), [*map(str, range(500)), *range(128)], [b"%d" % n for n in range(500)]])
def test_keys_of_an_ordered_dict(keys):
    """An OrderedDict has any number of keys that are str or bytes, and 128 of all others."""
    serializer, value = PickleSerializer(), OrderedDict.fromkeys(keys)
    assert serializer.loads(serializer.dumps(value)) == value


def test_an_ordered_dict_of_too_many_numbers():
    """Where it has more, the error says what keeps an order too."""
    with pytest.raises(NotSerializableError, match=r"^session\['x'\]:"):
        PickleSerializer().dumps({"x": OrderedDict.fromkeys(range(129))})


ENCODED_AS = {
    "d": (str, tuple), "date": (str,), "time": (str, tuple), "td": (tuple,), "tz": (tuple,), "n": (str,),
    "fr": (tuple,), "c": (tuple,), "r": (tuple,), "sl": (tuple,), "...": (type(None),), "ni": (type(None),),
    "ba": (bytes,), "od": (dict,), "C": (dict,), "dd": (tuple,), "q": (tuple,), "u": (bytes,), "pp": (str,),
    "pw": (str,), "p": (str,), "ip4": (str,), "ip6": (str,), "net4": (str,), "net6": (str,), "s": (list,),
    "fs": (list,), "t": (str,),
}  # fmt: skip
ANY_TYPE = [None, True, 0, 1.5, "1", b"1", [], (), {}, set(), Unknown(), uuid.UUID(int=1), Decimal(1), deque(), int]


@pytest.mark.parametrize("code", ENCODED_AS)
@pytest.mark.parametrize("data", ANY_TYPE, ids=repr)
def test_data_of_the_wrong_type(code, data):
    """Data of any type but the one that the encoder writes is refused, values of other registered types included."""
    if type(data) in ENCODED_AS[code]:
        data = type("Sub", (type(data),), {})(data) if data is not None else 0  # a subclass is another type
    with pytest.raises(REFUSALS):
        Registry().by_code[code].decode(data)


# ----------------------------------------------------------------------------------------------------- canonical order


def members_that_clash():
    """Values of many types, nested ones too, with equal hashes, so that sets keep them in the order they came in."""
    red, blue = Chip("red"), Chip("blue")
    return [
        [red, blue, 0, ""],
        [(red, 1), (blue, 1), (1, red), (red,)],
        [frozenset([red]), frozenset([blue]), frozenset([(red,)]), frozenset([(blue,)])],
        [(red, frozenset([blue])), (red, frozenset([red])), (blue, frozenset([blue]))],
        [0, 2**61 - 1, 2 * (2**61 - 1), 0.5],
        [0, 8, 16, 24],
        [-1, -2, "a", None],
        [Decimal(2**61 - 1), Fraction(0), uuid.UUID(int=2**61 - 1), datetime.timedelta(0)],
        [IPv4Address(0), IPv4Network("0.0.0.0/0"), IPv6Address(0), IPv6Network("::/0")],
    ]


@pytest.mark.parametrize("members", members_that_clash(), ids=stable_repr)
@pytest.mark.parametrize("kind", [set, frozenset])
def test_sets_are_encoded_in_canonical_order(members, kind):
    """The order in which a set's elements are encoded depends on the elements alone, not on how it was filled."""
    encode = registry_with_chips().by_type[kind].encode
    written = {tuple(encode(kind(order))) for order in permutations(members)}
    assert len(written) == 1
    assert {*written.pop()} == {*members}


def test_equal_hashes_show_the_order_of_filling():
    """The test above can fail: without ordering, sets of equal elements differ in their order."""
    members = members_that_clash()[0]
    assert len({tuple(set(order)) for order in permutations(members)}) > 1


@pytest.mark.parametrize("members", [{"b", "a"}, {3, 1, 20}, {b"b", b"a"}])
def test_uniform_sets_are_sorted(members):
    """Sets of str, of int and of bytes alone are written in their natural order."""
    assert Registry().by_type[set].encode(members) == sorted(members)


def test_mixed_numbers_have_a_place():
    """Sets of numbers of different types and of values without an order among them are written."""
    members = {1.5, 2, True, None, "x", b"x", (), Decimal(7), 2j, datetime.date(2030, 1, 1), ...}
    assert {*Registry().by_type[set].encode(members)} == members


@pytest.mark.parametrize("code", [kind.__name__ for kind in PLAIN_TYPES])
def test_a_code_that_is_a_plain_types_name(code):
    """A code may be the name of a plain type, and sets of both kinds are still written."""
    registry = registry_with_chips(code=code)
    members = {Chip("red"), None, True, 5, 1.5, "x", b"x", (1,)}
    assert {*registry.by_type[set].encode(members)} == members


def test_ordering_nested_sets_takes_few_calls():
    """Writing a set that is nested n deep encodes each element a few times a level, not 2**n times."""
    calls = []
    registry = registry_with_chips(encode=lambda chip: calls.append(chip) or chip.color)
    nested = frozenset([Chip("red")])
    for _ in range(12):
        nested = frozenset([nested])
    assert find_fault(nested, registry) is None
    assert 0 < len(calls) < 500


def test_nested_sets_are_looked_at_once_for_a_session():
    """Sets within sets cost as much as they hold, however deep: each is looked at once while a session is written."""
    visits = []

    def encode(chip):
        visits.append(chip)
        return chip.color

    registry = Registry()
    registry.register(Chip, "chip", encode=encode, decode=Chip)
    value = frozenset(map(Chip, range(20)))
    for _ in range(40):
        value = frozenset([value, 1])
    for make in (PickleSerializer, JsonSerializer):
        visits.clear()
        make(registry).dumps({"a": value})
        assert len(visits) < 5 * 20


def test_encoders_that_are_no_functions():
    """What cannot be called is refused as encoder or decoder when it is given."""
    with pytest.raises(ConfigError, match=r"^Chip:"):
        Registry().register(Chip, "chip", encode=None, decode=Chip)


def test_elements_with_a_dict_for_data_are_put_in_order():
    """Elements of a registered type whose data is a dict are put in the order of that."""
    registry = Registry()
    registry.register(Chip, "chip", encode=lambda chip: {"c": chip.color}, decode=lambda data: Chip(data["c"]))
    payloads = {PickleSerializer(registry).dumps(set(map(Chip, colors))) for colors in permutations("abc")}
    assert len(payloads) == 1
