"""The limits, the same in both serializers and in both directions, and the search for what cannot be stored."""

import datetime
import enum
import functools
import inspect
import re
import sys
import zoneinfo
from bisect import bisect_left
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from contextlib import suppress
from dataclasses import FrozenInstanceError, dataclass, fields
from decimal import Decimal

import pytest
from hypothesis import given, settings

from sealedsession.errors import ConfigError, NotSerializableError, UnsealError
from sealedsession.serialization import pickle_grammar as grammar
from sealedsession.serialization import tagged_json
from sealedsession.serialization.diagnosis import FaultFinder
from sealedsession.serialization.limits import (
    DEFAULT_LIMITS,
    Limits,
    PayloadTooLargeError,
    StateLimits,
    TooManyValuesError,
)
from sealedsession.serialization.pickle_grammar import Grammar
from sealedsession.serialization.registry import Registry
from sealedsession.serialization.safe_pickle import PickleSerializer
from sealedsession.serialization.tagged_json import JsonSerializer
from sealedsession.session import Session
from sealedsession.state.resumable import Resumable
from tests.support.param_ids import stable_repr
from tests.support.strategies import EXAMPLES, VALUES, exactly

SERIALIZERS = [PickleSerializer, JsonSerializer]
both = pytest.mark.parametrize("make", SERIALIZERS)
FIELDS = {field.name: field.default for field in fields(Limits)}
LEAST = {name: 4 if name == "int_bytes" else 1 for name in FIELDS}
UTC = datetime.UTC
REGISTRY = Registry()


class Leaf:
    """A registered, hashable class whose hash says nothing."""

    def __init__(self, content=None):
        self.content = content

    def __hash__(self):
        return 0

    def __eq__(self, other):
        return type(other) is Leaf and other.content == self.content

    def __repr__(self):
        return f"<leaf {self.content}>"


class Callable(Leaf):
    """The same, made only after the reading, as an opcode could call it."""

    def __call__(self):
        raise AssertionError("called by an opcode")

    def __eq__(self, other):
        return type(other) is Callable

    __hash__ = Leaf.__hash__


def registry_of_leaves(encode=lambda leaf: leaf.content):
    registry = Registry()
    registry.register(Leaf, "leaf", encode=encode, decode=Leaf)
    registry.register(Callable, "call", encode=encode, decode=Callable)
    return registry


def nested(levels, wrap=lambda value: [value], value=0):
    for _ in range(levels):
        value = wrap(value)
    return value


# -------------------------------------------------------------------------------------------------------------- Limits


@pytest.mark.parametrize("name", FIELDS)
def test_bounds(name):
    """A limit can be anything from its least value up to its default."""
    for value in (LEAST[name], LEAST[name] + 1, FIELDS[name] - 1, FIELDS[name]):
        assert getattr(Limits(**{name: value}), name) == value


@pytest.mark.parametrize("name", FIELDS)
def test_out_of_bounds(name):
    """A limit beyond its bounds, or that is no int, is a ConfigError that names it and the bounds."""
    for value in (LEAST[name] - 1, 0, -1, FIELDS[name] + 1, 10**30, True, 8.0, "8", None, [8]):
        with pytest.raises(ConfigError, match=f"^limits: {name} .*{LEAST[name]} to {FIELDS[name]}"):
            Limits(**{name: value})


def test_what_a_state_may_come_to():
    """A state may be larger than a session, and is as deep, with ints of the same size; its limits can be set too."""
    assert StateLimits() == StateLimits(
        size=64 * 1024, depth=256, nodes=16 * 1024, typed=1024, hashed=1024, int_bytes=32
    )
    assert StateLimits(size=100).size == 100
    for name in FIELDS:
        with pytest.raises(ConfigError, match=f"^limits: {name} .*{LEAST[name]} to"):
            StateLimits(**{name: getattr(StateLimits(), name) + 1})


def test_limits_are_fixed():
    """Limits cannot be changed after they were checked, are given by name only, and equal when they are the same."""
    with pytest.raises(FrozenInstanceError):
        Limits().depth = 10**6
    with pytest.raises(TypeError):
        Limits(100)
    assert Limits() == DEFAULT_LIMITS != Limits(depth=5)


# ----------------------------------------------------------------------------------------------- at and beyond a limit

AT_LIMIT = [
    (Limits(depth=1), [], [[]]),
    (Limits(depth=4), nested(4), nested(5)),
    (Limits(depth=4), nested(4, lambda value: {"a": value}), nested(4, lambda value: {"a": value}, ())),
    (Limits(depth=4), nested(4, lambda value: (value, 0)), {"a": nested(4, lambda value: (value, 0))}),
    (Limits(depth=4), nested(4, lambda value: {1: value}), [nested(4, lambda value: {1: value})]),
    (Limits(depth=4), nested(2, lambda value: OrderedDict(a=value)), [nested(2, lambda value: OrderedDict(a=value))]),
    (Limits(depth=4), [deque()], [[deque()]]),
    (Limits(depth=4), {(1, (2, ())): 0}, {(1, (2, (3, ()))): 0}),
    (Limits(depth=4), [[[...]]], [[[[...]]]]),
    (Limits(), nested(256), nested(257)),
    (Limits(), nested(256, lambda value: {"a": value}), nested(257, lambda value: {"a": value})),
    (Limits(nodes=1), None, [None]),
    (Limits(nodes=10), [None] * 9, [None] * 10),
    (Limits(nodes=10), [dict.fromkeys("abcd", "x" * 9)], dict.fromkeys("abcde")),
    (Limits(nodes=10), {n: n for n in range(4)}, {n: n for n in range(5)}),
    (Limits(nodes=10), ["~t", {"~d": b"~b"}, 1.5, "[]{},:", b"[[[]]]", (), "\\\"["], [*"abcdefghij"]),
    (Limits(nodes=10), [float("nan"), b"", ("", -1e9), {"~": 1}, 1], [float("nan"), b"", ("", 1), {"~": 1}, [1]]),
    (Limits(nodes=5), UTC, [UTC, UTC]),
    (Limits(typed=1), UTC, [UTC, UTC]),
    (Limits(typed=3), [..., UTC, {"a": ...}], [..., UTC, {"a": ...}, Decimal(1)]),
    (Limits(typed=3), {"~:u": [...], "b": ["~:u", ["~:", "Q" * 9], b"QQQQQ", ...]}, deque([..., ..., ...])),
    (Limits(hashed=4), dict.fromkeys(range(4)), dict.fromkeys(range(5))),
    (Limits(hashed=4), [{1, 2}, frozenset([3, 4])], [{1, 2}, frozenset([3, 4, 5])]),
    (Limits(hashed=4), {(1, 2): 0, None: [1, 2, 3, 4, 5]}, {(1, 2): 0, (): 0, 1.5: 0}),
    (Limits(hashed=4), Counter([1, 2, 3, 3, True, False]), Counter([1, 2, 3, 4, 5])),
    (Limits(hashed=4), OrderedDict.fromkeys(range(4)), [{1, 2}, OrderedDict.fromkeys(range(3))]),
    (Limits(hashed=4), defaultdict(list, {1: {2: {3: {4: {}}}}}), defaultdict(list, {1: {2: {3: {4: {5: 6}}}}})),
    (Limits(hashed=4), {datetime.date.min, Decimal(1)}, {datetime.date.min, Decimal(1), 5}),
    (Limits(hashed=5), {frozenset([1, 2]): 0}, {frozenset([1, 2]): 0, 1: 0}),
    (Limits(hashed=4), {((), "a", ("b", b"c")): 0, b"d": 0, 3: 0}, {((), "a", ("b", 5)): 0, 3: 0}),
    (Limits(hashed=1), {"a": 1, b"b": [(1, 2)] * 99, 1: {"b", "c"}}, {"a": 1, "b": {1}, 1: [(2, 3)] * 99}),
    (Limits(hashed=256), dict.fromkeys(range(256)), dict.fromkeys(range(257))),
    (Limits(hashed=256), [[*range(999)], {*range(256)}], [[*range(999)], {*range(257)}]),
    (Limits(hashed=256), [[1.5, ("a", UTC)] * 99, {*range(256)}], [{"a": [UTC, (1, 2)] * 99}, {*range(257)}]),
    (Limits(int_bytes=4), 2**31 - 1, 2**31),
    (Limits(int_bytes=4), [-(2**31)], [-(2**31) - 1]),
    (Limits(int_bytes=5), {"a": 2**39 - 1}, {"a": 2**39}),
    (Limits(int_bytes=8), {-(2**63): 1}, {-(2**63) - 1: 1}),
    (Limits(), [2**255 - 1, -(2**255)], [2**255]),
    (Limits(), (-(2**255),), (-(2**255) - 1,)),
]  # fmt: skip


@both
@pytest.mark.parametrize(("limits", "at", "beyond"), AT_LIMIT)
def test_at_a_limit(make, limits, at, beyond):
    """A value exactly at a limit is written, and read again."""
    serializer = make(REGISTRY, limits)
    assert exactly(serializer.loads(serializer.dumps(at)), repr) == exactly(at, repr)


@both
@pytest.mark.parametrize(("limits", "at", "beyond"), AT_LIMIT)
def test_beyond_a_limit(make, limits, at, beyond):
    """A value one beyond a limit is refused when it is written, and so is its payload when it is read."""
    with pytest.raises((NotSerializableError, PayloadTooLargeError)):
        make(REGISTRY, limits).dumps(beyond)
    if limits != DEFAULT_LIMITS:
        with pytest.raises(UnsealError) as caught:
            make(REGISTRY, limits).loads(make(REGISTRY).dumps(beyond))
        assert caught.value.reason == "forbidden_value"


@pytest.mark.parametrize(
    ("make", "opener", "end"),
    [(PickleSerializer, b"]", b"a"), (PickleSerializer, b"\x85", b""), (JsonSerializer, b"[", b"]"),
     (JsonSerializer, b'{"a":', b"}"), (JsonSerializer, b'{"~t":[', b"]}"), (JsonSerializer, b'{"~:q":', b"}")],
)  # fmt: skip
def test_deep_payloads(make, opener, end):
    """A payload that is nested beyond the default depth is refused, and by its depth."""
    middle = b"]" if make is PickleSerializer else b"1"
    closing = end * 257 + (b"." if make is PickleSerializer else b"")
    opening = middle + opener * 257 if opener == b"\x85" else opener * 257 + middle
    with pytest.raises(UnsealError, match=r"^forbidden_value: .*\b256\b"):
        make(REGISTRY).loads(opening + closing)


def filled(make, size, tail):
    """A value whose payload takes exactly so many bytes."""
    text = "x" * (size - 60)
    missing = size - len(make(REGISTRY).dumps([text, *tail]))
    return [text + "x" * missing, *tail]


@both
@pytest.mark.parametrize("size", [100, 1000, DEFAULT_LIMITS.size])
@pytest.mark.parametrize("tail", [[], [UTC]], ids=["plain", "typed"])
def test_size(make, size, tail):
    """A payload of exactly so many bytes is written and read, and one of a byte more is refused in both directions."""
    value = filled(make, size, tail)
    serializer = make(REGISTRY, Limits(size=size))
    payload = serializer.dumps(value)
    assert len(payload) == size
    assert serializer.loads(payload) == value
    with pytest.raises(PayloadTooLargeError):
        serializer.dumps([value[0] + "x", *tail])
    with pytest.raises(UnsealError, match=rf"^forbidden_value: .*\b{size} .*\b{size - 1}$"):
        make(REGISTRY, Limits(size=size - 1)).loads(payload)


@both
@pytest.mark.parametrize(
    ("limits", "value", "path", "numbers"),
    [
        (Limits(int_bytes=4), {"a": [1, 2**31]}, "session['a'][1]", r"\b32 .*\b31\b"),
        (Limits(int_bytes=4), {2**31: 1}, "session[2147483648] (the key)", r"\b32 .*\b31\b"),
        (Limits(), {"a": {"b": -(2**256)}}, "session['a']['b']", r"\b257 .*\b255\b"),
        (Limits(depth=3), {"a": {"b": [[0]]}}, "session['a']['b'][0]...", r"\b3\b"),
        (Limits(depth=3), {"a": {"b": OrderedDict()}}, "session['a']['b']...", r"\b3\b"),
        (Limits(depth=3), {"a": deque([[]])}, "session['a']...", r"\b3\b"),
        (Limits(depth=4), {"a": defaultdict(None, b=[])}, "session['a']['b']...", r"\b4\b"),
    ],
)
def test_a_breach_names_its_path(make, limits, value, path, numbers):
    """What is beyond a limit at one place is an error that names the place and the limit, in both serializers."""
    with pytest.raises(NotSerializableError, match=rf": .*{numbers}") as caught:
        make(REGISTRY, limits).dumps(value)
    assert caught.value.path == path


@both
def test_too_many_typed_values(make):
    """Too many typed values are an error that tells how many there are and may be, or that it is too large."""
    with pytest.raises((NotSerializableError, PayloadTooLargeError)) as caught:
        make(REGISTRY, Limits(typed=3)).dumps({"a": [UTC] * 3, "b": UTC})
    assert isinstance(caught.value, PayloadTooLargeError) or re.search(r"\b4\b.*\b3\b", str(caught.value))


@both
@pytest.mark.parametrize("value", [[0] * 10, dict.fromkeys(range(5), 1), [[()] * 4] * 3, deque([0] * 9)], ids=repr)
def test_too_many_nodes(make, value):
    """Too many nodes are too large, in both serializers."""
    with pytest.raises(PayloadTooLargeError):
        make(REGISTRY, Limits(nodes=10)).dumps(value)


@given(VALUES)
@settings(deadline=None)
def test_both_serializers_weigh_the_same(value):
    """What is hashed of a value has one weight, whether it is counted in opcodes or in JSON."""
    pickled, text = PickleSerializer(REGISTRY).dumps(value), JsonSerializer(REGISTRY).dumps(value).decode()
    pairs, _ = tagged_json._PAIRS_DECODER.raw_decode(text)
    assert grammar._measure_hashed(pickled) == tagged_json._measure_hashed(pairs)[1]


COLLIDING = [b"\x8a\x0a" + (n * (2**61 - 1)).to_bytes(10, "little") for n in range(1, 300)]
MANY = b"".join(COLLIDING)
KEYS = b"".join(number + b"N" for number in COLLIDING)


@pytest.mark.parametrize(
    "payload",
    [
        b"}(" + KEYS + b"u.",
        b"}" + b"".join(number + b"Ns" for number in COLLIDING) + b".",
        b"}(" + KEYS + b"u" + b"N" * 9 + b".",  # left on the stack
        b"}(" + KEYS + b"ut.",  # and what follows cannot be read
        b"}(" + KEYS + b"uQ.",
        b"](}(" + KEYS + b"ue.",
        b"\x8c\x03abc" * 200 + b"}(" + KEYS + b"u.",
        b"X" + (900).to_bytes(4, "little") + b"(" * 900 + b"}(" + KEYS + b"u\x86.",
        b"\x8c\1s](" + MANY + b"e\x86Q.",
        b"\x8c\2fs](" + MANY + b"e\x86Q.",
        b"(\x8c\2fs](" + MANY + b"etQ.",
        b"X\1\0\0\0s](" + MANY + b"e\x86Q.",
        b"\x8c\1s]" + b"".join(number + b"a" for number in COLLIDING) + b"\x86Q.",
        b"](" + b"".join(b"\x8c\2fs](" + key + key + b"e\x86Q" for key in COLLIDING[:130]) + b"e.",
        b"}(" + b"".join(key + b"\x85N" for key in COLLIDING) + b"u.",
        b"}((" + MANY + b"tNu.",
        b"}(](" + MANY + b"eNu.",  # a list cannot be a key
    ],
    ids=range(17),
)
def test_forged_keys_and_elements(payload):
    """However a payload spells keys and elements, they are weighed before any of it is read."""
    with pytest.raises(UnsealError, match=r"^forbidden_value: .*\b256$"):
        PickleSerializer(REGISTRY).loads(payload)


NUMBERS = [str(n * (2**61 - 1)) for n in range(1, 300)]
MEMBERS = {
    "MANY": NUMBERS,
    "MAPPED": [f"{number},1" for number in NUMBERS],
    "SETS": [f'{{"~:fs":[{number},{number}]}}' for number in NUMBERS[:130]],
    "TUPLES": [f'{{"~t":[{number}]}},0' for number in NUMBERS[:130]],
}


@pytest.mark.parametrize(
    "text",
    [
        '{"~d":[MAPPED]}',
        '{"~:s":[MANY]}',
        '{"~:fs":[MANY]}',
        '{"a":{"~:s":[MANY]},"a":1}',  # what is overwritten is read too
        '{"~t":{"~:s":[MANY]}}',
        '{"~:q":[{"~t":[{"~:C":{"~d":[MAPPED]}}]}]}',
        "[SETS]",
        '{"~d":[TUPLES]}',
        '{"~d":[{"~t":[MANY]},0]}',
        '{"~:od":{"~d":[[MANY],0]}}',
    ],
    ids=range(10),
)
def test_forged_keys_and_elements_in_json(text):
    """However a text spells keys and elements, they are weighed before any of it is read."""
    for name, members in MEMBERS.items():
        text = text.replace(name, ",".join(members))
    with pytest.raises(UnsealError, match=r"^forbidden_value: .*\b256$"):
        JsonSerializer(REGISTRY).loads(text.encode())


def test_a_cookie_of_many_keys_names_the_limit():
    """The error for too many keys names the limit."""
    for make in SERIALIZERS:
        with pytest.raises(TooManyValuesError):
            make(REGISTRY).dumps({"chosen": set(range(257))})


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        (Limits(typed=3), '["~:...","~:...","~:...","~:..."]'),
        (Limits(depth=3), '[["~t"],["~t"]]'),
        (Limits(nodes=6), '["~t","~t","~t"]'),
    ],
)
def test_tags_hide_nothing(limits, text):
    """A JSON payload is measured by what it holds, tags included."""
    for tag, data in (("~:...", "null"), ("~t", "[[1]]")):
        text = text.replace(f'"{tag}"', f'{{"{tag}":{data}}}')
    JsonSerializer(REGISTRY).loads(text.encode())
    with pytest.raises(UnsealError, match=r"^forbidden_value:"):
        JsonSerializer(REGISTRY, limits).loads(text.encode())


# ------------------------------------------------------------------------------------------- the two serializers agree


def is_within(make, limits, payload):
    try:
        make(REGISTRY, limits).loads(payload)
    except UnsealError:
        return False
    return True


def measures(make, value):
    """The least depth, nodes, typed values and int bytes with which the value's payload is read."""
    payload = make(REGISTRY).dumps(value)
    found = {}
    for name in set(FIELDS) - {"size"}:
        candidates = range(LEAST[name], FIELDS[name] + 1)
        index = bisect_left(candidates, True, key=lambda n, name=name: is_within(make, Limits(**{name: n}), payload))
        found[name] = candidates[index]
    return found


@pytest.mark.parametrize(
    "value",
    [*EXAMPLES, [*EXAMPLES[:40]], {"a": {1: {(2, ...): [UTC]}}}, {"~t": {"~:u": {"~d": "~b"}}}, b"[[[{", '[{"~:u":'],
    ids=stable_repr,
)
def test_both_measure_the_same(value):
    """Depth, nodes, typed values and int bytes of a value are the same in both serializers."""
    for whole in (value, [{"key": (value,)}]):
        assert measures(PickleSerializer, whole) == measures(JsonSerializer, whole)


@settings(deadline=None, max_examples=40)
@given(VALUES)
def test_both_measure_any_value_the_same(value):
    """Both serializers measure whatever a session can hold the same."""
    assert measures(PickleSerializer, value) == measures(JsonSerializer, value)


def outcome(make, registry, limits, value):
    """What comes of writing and reading a value: it, or the error with the path."""
    serializer = make(registry, limits)
    try:
        return exactly(serializer.loads(serializer.dumps(value)), repr)
    except NotSerializableError as error:
        return NotSerializableError, error.path
    except PayloadTooLargeError:
        return PayloadTooLargeError


def circle():
    value = []
    value.append({"a": value})
    return value


TIGHT = Limits(depth=5, nodes=12, typed=3, int_bytes=4)
ODD_VALUES = {
    "unregistered": {"a": [object()]},
    "unregistered key": {"a": {object(): 1}},
    "unregistered element": {"a": {object()}},
    "circle": circle(),
    "class as key": {int: 1},
    "class in a key": {"a": {(1, int): 1}},
    "class in a set in a key": {frozenset([int]): 1},
    "class in a Counter": {"a": Counter([int])},
    "class in a set": {"a": {int, str}},
    "deferred key": {"a": {Callable(1): 1}},
    "deferred in a key": {"a": {(Callable(1), 2): 1}},
    "deferred element": {Leaf(1), Callable(1)},
    "deferred element in a set in a set": {frozenset([Callable(1)])},
    "deferred value": {"a": [Callable(1), {"b": Callable(2)}]},
    "slice": [slice(1)],
    "leaf": {Leaf(1): Leaf((Leaf(2),))},
    "leaf of a deque": [Leaf(deque([Leaf([1])]))],
    "int": [2**31],
    "int in a leaf": {"a": Leaf(2**31)},
    "int in a deque": deque([2**31]),
    "deep": nested(6),
    "deep in a leaf": Leaf(nested(6)),
    "deep deques": nested(2, lambda value: deque([value])),
    "shared": nested(4, lambda value: [value, value, value]),
    "many": [0] * 12,
    "many deques": [deque([0] * 3)] * 2,
    "many typed": [Leaf(n) for n in range(4)],
    "class of another": [Leaf],
    "lost attribute": [deque()],
    "bad decimal": [Decimal("sNaN")],
    "unhashable in a leaf": [Leaf({"a": {1}})],
}


@pytest.mark.parametrize("limits", [TIGHT, DEFAULT_LIMITS], ids=["tight", "default"])
@pytest.mark.parametrize("value", ODD_VALUES.values(), ids=ODD_VALUES)
def test_both_give_the_same_outcome(value, limits):
    """Both serializers take the same values, and refuse the others by the same error with the same path."""
    registry = registry_of_leaves()
    outcomes = [outcome(make, registry, limits, value) for make in SERIALIZERS]
    assert outcomes[0] == outcomes[1]


# --------------------------------------------------------------------------------------------------------- FaultFinder


class Color(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    LOW = 1


class Mode(enum.Flag):
    READ = 1


class Bits(enum.IntFlag):
    LOW = 1


@dataclass
class Price:
    amount: int


@dataclass
class PricedList(list):
    amount: int


Point = namedtuple("Point", "x y")


class Name(str):
    pass


class Count(int):
    pass


class Ratio(float):
    pass


class Blob(bytes):
    pass


class Box(list):
    pass


class Zone(zoneinfo.ZoneInfo):
    pass


def found(value, registry=REGISTRY, limits=DEFAULT_LIMITS):
    return FaultFinder(registry, limits).find(value, RuntimeError("what the serializer said"))


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (Color.RED, "register_enum(Color, 'color')"),
        (Level.LOW, "register_enum(Level, 'level')"),
        (Price(1), "register_dataclass(Price, 'price')"),
        (PricedList(1), "register_dataclass(PricedList, 'pricedlist')"),
        (Point(1, 2), "register_namedtuple(Point, 'point')"),
        (Name("x"), "register_subclass(Name, 'name')"),
        (Count(1), "register_subclass(Count, 'count')"),
        (Ratio(1), "register_subclass(Ratio, 'ratio')"),
        (Blob(b"x"), "register_subclass(Blob, 'blob')"),
        (zoneinfo.ZoneInfo("UTC"), "register_zoneinfo([...])"),
        (Box(), "register(Box, 'box', encode=..., decode=...)"),
        (object(), "register(object, 'object', encode=..., decode=...)"),
    ],
    ids=lambda value: type(value).__name__,
)
@both
def test_line_to_add(make, value, line):
    """The error for an unregistered type ends with the registration that fits its kind."""
    with pytest.raises(NotSerializableError) as caught:
        make(REGISTRY).dumps({"a": value})
    assert str(caught.value).endswith(f"or register the type: sealedsession.default_registry.{line}")


class Part(Resumable):
    """An object of a page."""


@pytest.mark.parametrize(
    ("value", "instead"),
    [
        (len, "name"),
        (lambda: 1, "name"),
        (Box().__repr__, "name"),
        (Limits, "name"),
        (Color, "name"),
        (functools.partial(len), "name"),
        (enum, "name"),
        (Session(), "name"),
        (Part(), "token"),
        (Mode.READ, "int "),
        (Bits.LOW, "int "),
    ],
    ids=lambda value: type(value).__name__,
)
@both
def test_what_is_better_not_registered(make, value, instead):
    """The error for code, for an object of a page and for a flag names another cure than to register the type."""
    with pytest.raises(NotSerializableError) as caught:
        make(REGISTRY).dumps({"a": value})
    if value is not Limits:  # a class says of itself that it is none of those that can be stored
        assert instead in str(caught.value)
    assert "register" not in str(caught.value)


@pytest.mark.parametrize(("limits", "what"), [(Limits(), "session"), (StateLimits(), "state")])
@both
def test_what_is_limited(make, limits, what):
    """The errors speak of sessions or of states, whichever is limited."""
    for value, message in [
        ({"a": object()}, rf"^{what}\['a'\]: .*builtins\.object.* {what}s\."),
        ({"a": range(2**100)}, rf"^{what}\['a'\]: .* {what} .*builtins\.range: "),
    ]:
        with pytest.raises(NotSerializableError, match=message):
            make(REGISTRY, limits).dumps(value)
    fault = FaultFinder(REGISTRY, limits).find([1], ValueError("odd"))
    assert (fault.path, fault.type) == (what, None)
    assert str(fault).endswith(": odd")


@pytest.mark.parametrize(
    ("value", "method"),
    [(Color.RED, "enum"), (Price(1), "dataclass"), (Point(1, 2), "namedtuple"), (Name("x"), "subclass")],
    ids=["enum", "dataclass", "namedtuple", "subclass"],
)
def test_the_line_to_add_helps(value, method):
    """Once the line is added, the value is stored."""
    registry = Registry()
    line = str(found([value], registry)).partition("sealedsession.default_registry.")[2]
    eval(f"registry.{line}", globals(), {"registry": registry})
    assert method in line
    serializer = PickleSerializer(registry)
    assert serializer.loads(serializer.dumps([value])) == [value]


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"a": {Callable(1): 1}}, "session['a'][<leaf 1>] (the key)"),
        ({("x", Callable(1)): 1}, "session[('x', <leaf 1>)] (the key)"),
        ({(1, (2, frozenset([Callable(1)]))): 1}, "session[(1, (2, frozenset({<leaf 1>})))] (the key)"),
        ({int: 1}, "session[<class 'int'>] (the key)"),
    ],
)
def test_deferred_keys(value, path):
    """A key that is made after the reading is a fault, alone and in a tuple or frozenset, and the path says so."""
    fault = found(value, registry_of_leaves())
    assert fault.path == path
    assert " key" in str(fault).removeprefix(path)


@both
@pytest.mark.parametrize("element", [int, Callable(1), (1, Callable(1)), frozenset([int])], ids=repr)
def test_a_set_that_can_be_stored_is_no_fault(make, element):
    """Where a set of late elements can be stored, it is not blamed for another value's fault."""
    serializer = make(registry_of_leaves())
    assert serializer.loads(serializer.dumps({"a": {element}})) == {"a": {element}}
    with pytest.raises(NotSerializableError, match=r"^session\['b'\]:"):
        serializer.dumps({"a": {element}, "b": object()})


class TooManyVisits(BaseException):
    """Ends a search that has no end; no handler of errors stops it."""


def counting_registry(most):
    """A registry of leaves that allows so many of them to be looked at."""
    visits = []

    def encode(leaf):
        visits.append(leaf)
        if len(visits) > most:
            raise TooManyVisits
        return leaf.content

    return registry_of_leaves(encode), visits


@pytest.mark.parametrize(
    "wrap",
    [
        lambda value: [value, value],
        lambda value: (value, value),
        lambda value: {"a": value, "b": value},
        lambda value: OrderedDict(a=value, b=value),
        lambda value: deque([value, value]),
        lambda value: Leaf([value, value]),
    ],
    ids=["list", "tuple", "dict", "OrderedDict", "deque", "own"],
)
def test_the_search_is_bounded(wrap):
    """In a small graph that is exponentially large written out, the search stops after as many values as may be."""

    class CountingFinder(FaultFinder):
        visits = 0

        def _search(self, *arguments):
            self.visits += 1
            if self.visits > 10 * limits.nodes:
                raise TooManyVisits
            return super()._search(*arguments)

    limits = Limits(nodes=500)
    finder = CountingFinder(registry_of_leaves(), limits)
    with pytest.raises(PayloadTooLargeError):
        finder.find(nested(60, wrap, Leaf(1)), RuntimeError())
    assert finder.visits <= limits.nodes + 1


@both
@pytest.mark.parametrize(
    "wrap",
    [lambda value: [value, value], lambda value: Leaf((value, value)), lambda value: frozenset([value, (value,)])],
    ids=["list", "own", "frozenset"],
)
def test_writing_is_bounded(make, wrap):
    """Writing such a graph stops likewise: every value is encoded a bounded number of times."""
    registry, visits = counting_registry(100_000)
    with pytest.raises((PayloadTooLargeError, NotSerializableError)):
        make(registry).dumps(nested(40, wrap, Leaf(1)))
    assert visits


def frames():
    return len(inspect.stack(0))


def called_with(frames_left, function):
    """Call a function with so many frames left to the recursion limit."""

    def descend(levels):
        return function() if levels <= 0 else descend(levels - 1)

    return descend(sys.getrecursionlimit() - frames() - frames_left)


@pytest.mark.parametrize("left", [20, 40, 80, 160, 320])
def test_near_the_recursion_limit(left):
    """Called from deep within an application, the search gives an error with or without path, and no RecursionError."""
    value = {"a": nested(200, lambda value: [value], object())}
    fault = called_with(left, lambda: found(value))
    assert type(fault) is NotSerializableError
    assert fault.path.startswith("session")


@both
@pytest.mark.parametrize("left", [30, 60, 120, 240, 480])
def test_writing_near_the_recursion_limit(make, left):
    """Writing from deep within an application is done, or NotSerializableError."""
    serializer, value = make(REGISTRY), nested(200, lambda value: {"a": value}, [UTC])
    payload = serializer.dumps(value)
    with suppress(NotSerializableError):
        assert called_with(left, lambda: serializer.dumps(value)) == payload


@pytest.mark.parametrize("typed", [1, 2, 3, 4, 5, 10, 60, 85, 86, 100, 127])
@pytest.mark.parametrize("string", [b"", b"x" * 300], ids=["short", "with a long string"])
@pytest.mark.parametrize("code", [b"\x8c\0", b"X\0\0\0\0"], ids=["SHORT_BINUNICODE", "BINUNICODE"])
def test_typed_values_in_the_fewest_opcodes(typed, string, code):
    """Typed values are counted however few opcodes and bytes they take: one in the other, with codes of no length."""

    def payload(count):
        data = b"X" + len(string).to_bytes(4, "little") + string if string else b"N"
        return code * count + data + b"\x86Q" * count + b"."

    grammar = Grammar(Limits(typed=typed))
    grammar.check(payload(typed))
    with pytest.raises(UnsealError, match=f"^forbidden_value: .*{typed + 1} .*{typed}$"):
        grammar.check(payload(typed + 1))


@pytest.mark.parametrize("limits", [Limits(nodes=10), StateLimits()], ids=["few", "of states"])
@pytest.mark.parametrize("string", [b"", b"x" * 300], ids=["empty", "long"])
@pytest.mark.parametrize("opcode", [b"X", b"B"], ids=["BINUNICODE", "BINBYTES"])
def test_long_strings_are_nodes(limits, string, opcode):
    """What a long string holds makes no node, and the string is one."""
    grammar = Grammar(limits)
    strings = (opcode + len(string).to_bytes(4, "little") + string) * 9

    def payload(nodes):
        return b"](" + strings + b"N" * (nodes - 10) + b"e."

    grammar.check(payload(limits.nodes))
    with pytest.raises(UnsealError, match=f"^forbidden_value: .*{limits.nodes + 1} .*{limits.nodes}$"):
        grammar.check(payload(limits.nodes + 1))


@both
def test_a_list_of_long_texts_is_counted(make):
    """Writing refuses more texts than there may be values, long ones too."""
    serializer = make(limits=Limits(nodes=10))
    assert serializer.loads(serializer.dumps(["x" * 300] * 9)) == ["x" * 300] * 9
    with pytest.raises(TooManyValuesError):
        serializer.dumps(["x" * 300] * 10)
