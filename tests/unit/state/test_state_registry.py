"""Families of types and references: what is written, when values are fetched, and which errors propagate."""

import collections
import dataclasses
import sys

import pytest

from sealedsession.config import SessionConfig
from sealedsession.errors import ConfigError, NotSerializableError, StaleStateError, UnsealError
from sealedsession.serialization.limits import StateLimits
from sealedsession.serialization.registry import Registry
from sealedsession.serialization.safe_pickle import PickleSerializer
from sealedsession.state.registry import StateRegistry


class Shape:
    """The base of a family."""

    def __init__(self, name):
        self.name = name

    def __eq__(self, other):
        return type(other) is type(self) and other.name == self.name

    def __hash__(self):
        return hash(self.name)


class Circle(Shape):
    """A member of the family."""


class Disc(Circle):
    """A subclass of a member."""


class Square(Shape):
    """A member of the family that can be registered itself."""


SHAPES = {cls.__name__: cls for cls in (Shape, Circle, Disc)}


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of a table, sealed as its number."""

    number: int
    note: object = None


class Author(Row):
    """A row of another table with the same fetch."""


class Table:
    """A table that counts how often rows are fetched."""

    def __init__(self):
        self.asked = []
        self.error = None

    def fetch(self, numbers):
        self.asked.append(numbers)
        if self.error:
            raise self.error
        return [Row(*number) if type(number) is tuple else Row(number) for number in numbers]


def is_int(data):
    if type(data) is not int:
        raise TypeError("a number is an int")
    return data


def family(registry):
    registry.register_base(
        Shape,
        "shape",
        encode=lambda shape: (type(shape).__name__, shape.name),
        decode=lambda data: SHAPES[data[0]](data[1]),
    )
    return registry


def serializer(registry):
    return PickleSerializer(registry, StateLimits())


@pytest.fixture
def table():
    return Table()


@pytest.fixture
def rows(table):
    """Return a serializer that supports rows by reference, and the family."""
    registry = family(StateRegistry())
    registry.register_base(Row, "row", encode=lambda row: row.number, decode=is_int, fetch=table.fetch)
    return serializer(registry)


def wire(code, data):
    """Return the payload of one typed value, as an attacker would write it."""
    body = PickleSerializer().dumps(data)[:-1]
    return b"\x8c" + bytes((len(code),)) + code.encode() + body + b"\x86Q."


# ------------------------------------------------------------------------------------------------------------- families


@pytest.mark.parametrize("cls", SHAPES.values(), ids=SHAPES)
def test_a_family_has_its_subclasses(cls):
    """Instances of the base and of all subclasses have one code, at first and at later uses."""
    codec = serializer(family(StateRegistry()))
    for _ in range(2):
        payload = codec.dumps([cls("a"), {"k": cls("b")}])
        assert codec.loads(payload) == [cls("a"), {"k": cls("b")}]
        assert payload.count(b"\x05shape") == 2


def test_several_new_subclasses_at_once():
    """A value can contain several new subclasses, next to values of other types."""
    codec = serializer(family(StateRegistry()))
    value = [Disc("a"), {1, 2}, Circle("b"), Shape("c"), range(3)]
    assert codec.loads(codec.dumps(value)) == value


def test_the_closest_family_counts():
    """The closest base decides. A type that is registered itself uses its own code."""
    registry = family(StateRegistry())
    registry.register_base(Circle, "circle", encode=lambda circle: circle.name, decode=Disc)
    registry.register(Square, "square", encode=lambda square: square.name, decode=Square)
    codec = serializer(registry)
    assert b"circle" in codec.dumps(Disc("a"))
    assert b"shape" in codec.dumps(Shape("a"))
    assert b"shape" not in codec.dumps(Square("a"))
    assert codec.loads(codec.dumps(Square("a"))) == Square("a")


def test_a_registry_finds_its_own_families_only():
    """A type that is of no family is refused, and the error names the registry's method."""
    codec = serializer(family(StateRegistry()))
    with pytest.raises(NotSerializableError, match=r"Row .*: registry\.register_dataclass\(Row, 'row'"):
        codec.dumps([Shape("a"), Row(1)])
    with pytest.raises(NotSerializableError, match=r"Shape .*: sealedsession\.default_registry\.reg"):
        serializer(Registry()).dumps([Shape("a")])


def test_families_differ_between_registries():
    """Each registry has its own families."""
    family(StateRegistry())
    with pytest.raises(NotSerializableError):
        serializer(StateRegistry()).dumps(Shape("a"))


@pytest.mark.parametrize("data", [("Row", 1), ("nothing", "a"), 5, None, ["Circle", []], "Circle"], ids=repr)
def test_a_decoder_that_refuses(data):
    """A payload is refused if a family's decoder raises an error, or returns a value of another type."""
    registry = StateRegistry()
    registry.register_base(
        Shape,
        "shape",
        encode=vars,
        decode=lambda data: {**SHAPES, "Row": Row}[data[0]](data[1] if data[1] else data[2]),
    )
    with pytest.raises(UnsealError) as caught:
        serializer(registry).loads(wire("shape", data))
    assert caught.value.reason == "forbidden_value"


def test_what_cannot_be_read_back_is_not_written():
    """A value that its own decoder refuses is an error when it is written."""
    registry = StateRegistry()
    registry.register_base(Shape, "shape", encode=lambda shape: shape.name, decode=lambda data: data)
    with pytest.raises(NotSerializableError, match=r"^state\[0\]:"):
        serializer(registry).dumps([Disc("a")])


# ------------------------------------------------------------------------------------------------------ by reference


def test_references_are_fetched_together(rows, table):
    """One call fetches all references with the same fetch, in their order in the payload."""
    value = [
        Row(1),
        {"k": (Row(2), [Row(1)])},
        collections.OrderedDict(x=Row(3)),
        {Row(4), Row(4)},
        collections.deque([Row(5)]),
    ]
    payload = rows.dumps(value)
    assert table.asked == []
    assert rows.loads(payload) == value
    assert table.asked == [[1, 2, 1, 3, 4, 5]]


def test_reading_asks_once_each_time(rows, table):
    """Each payload is fetched again; nothing is cached."""
    payload = rows.dumps([Row(1)])
    assert rows.loads(payload) == rows.loads(payload)
    assert table.asked == [[1], [1]]


def test_nothing_is_fetched_without_references(rows, table):
    """A payload without references fetches nothing, even with other deferred values."""
    value = [1, Circle("a"), slice(1, 2)]
    assert rows.loads(rows.dumps(value)) == value
    assert table.asked == []


def test_families_with_one_fetch(table):
    """Families with the same fetch are fetched together, and others separately."""
    other = Table()
    registry = StateRegistry()
    registry.register_base(Row, "row", encode=lambda row: row.number, decode=is_int, fetch=table.fetch)
    registry.register_base(
        Author, "author", encode=lambda row: row.number, decode=lambda n: (n, "a"), fetch=table.fetch
    )
    registry.register_base(Shape, "shape", encode=lambda shape: len(shape.name), decode=is_int, fetch=other.fetch)
    codec = serializer(registry)
    value = codec.loads(codec.dumps([Row(1), Shape("ab"), Author(2), Row(3)]))
    assert value == [Row(1), Row(2), Row(2, "a"), Row(3)]
    assert (table.asked, other.asked) == ([[1, (2, "a"), 3]], [[2]])


def test_a_reference_in_another_values_data(rows, table):
    """A value whose data contains references is made after they are fetched with all others."""
    value = {"in": collections.defaultdict(list, a=[Row(1)]), "set": frozenset([Row(2)]), "own": Row(3)}
    assert rows.loads(rows.dumps(value)) == value
    assert table.asked == [[1, 2, 3]]


def test_a_reference_whose_data_has_references(table):
    """A reference whose data contains deferred values is fetched after them, in a call of its own."""
    registry = StateRegistry()
    registry.register_base(
        Row,
        "row",
        encode=lambda row: row.number if row.note is None else (row.number, row.note),
        decode=lambda data: data,
        fetch=table.fetch,
    )
    codec = serializer(registry)
    value = [Row(1, Row(2)), Row(3), Row(4, slice(1))]
    assert codec.loads(codec.dumps(value)) == value
    assert table.asked == [[2, 3], [(1, Row(2))], [(4, slice(1))]]


def test_what_becomes_its_data_is_searched_once():
    """Nested types that become their data are searched for deferred values once, and all of these are made."""
    registry = StateRegistry()
    registry.register_base(Shape, "lazy", encode=lambda shape: shape.name, decode=lambda data: data, fetch=list)
    registry.by_code["lazy"] = registry.by_code["lazy"]._replace(deferred=False)
    codec, content = serializer(registry), [[*range(1000)], {"a": slice(3)}]
    plain, late = content
    for _ in range(100):
        plain, late = Shape(plain), Shape(late)
    payload, searched = codec.dumps([slice(1), frozenset(["a"]), plain, late]), []
    sys.setprofile(lambda frame, event, _: searched.append(event) if frame.f_code.co_name == "contains_deferred" else 0)
    try:
        value = codec.loads(payload)
    finally:
        sys.setprofile(None)
    assert value == [slice(1), frozenset(["a"]), *content]
    assert 0 < len(searched) < 100


def test_none_is_a_value_too():
    """None from fetch is a value: the reference is fetched once, and becomes None."""
    asked = []
    registry = StateRegistry()
    registry.register_base(
        Row,
        "row",
        encode=lambda row: row.number,
        decode=is_int,
        fetch=lambda numbers: asked.append(1) or [None] * len(numbers),
    )
    codec = serializer(registry)
    assert codec.loads(codec.dumps([Row(1), Row(2)])) == [None, None]
    assert asked == [1]


def test_a_fetch_that_gives_an_iterator():
    """fetch may return an iterator."""
    registry = StateRegistry()
    registry.register_base(Row, "row", encode=lambda row: row.number, decode=is_int, fetch=lambda n: map(Row, n))
    codec = serializer(registry)
    assert codec.loads(codec.dumps([Row(1), Row(2)])) == [Row(1), Row(2)]


@pytest.mark.parametrize("values", [[], [1, 2, 3], None, 5], ids=repr)
def test_a_fetch_that_gives_something_else(values):
    """A fetch that does not return one value per reference is a TypeError, not a refused payload."""
    registry = StateRegistry()
    registry.register_base(Row, "row", encode=lambda row: row.number, decode=is_int, fetch=lambda numbers: values)
    codec = serializer(registry)
    payload = codec.dumps([Row(1), Row(2)])
    with pytest.raises(TypeError, match=r"2 references|not iterable"):
        codec.loads(payload)


@pytest.mark.parametrize(
    "error",
    [
        StaleStateError("row 1 is gone"),
        ConnectionError("the database is down"),
        TypeError(),
        UnsealError("revoked", "x"),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("nested", [False, True])
def test_what_fetch_raises_passes(rows, table, error, nested):
    """Exceptions from fetch propagate unchanged, with their cause."""
    table.error = error
    cause = error.__cause__ = KeyError("the cause")
    payload = rows.dumps(collections.deque([Row(1)]) if nested else [Row(1)])
    with pytest.raises(type(error)) as caught:
        rows.loads(payload)
    assert caught.value is error
    assert caught.value.__cause__ is cause
    assert not isinstance(caught.value.__context__, UnsealError)


def test_what_a_late_fetch_raises_passes(table):
    """Exceptions of a later fetch propagate unchanged, too."""
    registry = StateRegistry()
    registry.register_base(
        Row, "row", encode=lambda row: (row.number, row.note), decode=lambda data: data, fetch=table.fetch
    )
    codec = serializer(registry)
    payload = codec.dumps([Row(1, slice(1))])
    table.error = StaleStateError("gone")
    with pytest.raises(StaleStateError) as caught:
        codec.loads(payload)
    assert caught.value is table.error


@pytest.mark.parametrize("data", ["1", None, [1], (1, 2), {"pk": 1}, 1.0, True], ids=repr)
def test_hostile_references_are_not_fetched(rows, table, data):
    """A payload is refused if a decoder refuses a reference, and nothing is fetched."""
    with pytest.raises(UnsealError) as caught:
        rows.loads(wire("row", data))
    assert caught.value.reason == "forbidden_value"
    assert table.asked == []


def test_nothing_is_fetched_before_all_is_read(rows, table):
    """A payload whose last part is invalid fetches nothing."""
    good, bad = wire("row", 1)[:-1], wire("unknown", 1)[:-1]
    with pytest.raises(UnsealError):
        rows.loads(b"](" + good + bad + b"e.")
    assert table.asked == []


def test_sealing_checks_references(table):
    """A reference that its decoder refuses is an error when it is written. Writing fetches nothing."""
    registry = StateRegistry()
    registry.register_base(Row, "row", encode=lambda row: str(row.number), decode=is_int, fetch=table.fetch)
    with pytest.raises(NotSerializableError, match=r"^state\['a'\]:"):
        serializer(registry).dumps({"a": Row(1)})
    assert table.asked == []


def test_sealing_checks_what_stands_beside_references(rows, table):
    """Other values next to references are checked, too."""

    @dataclasses.dataclass
    class Price:
        cents: int

    rows._registry.register_dataclass(Price, "price")
    assert rows.loads(rows.dumps([Row(1), Price(5)])) == [Row(1), Price(5)]
    with pytest.raises(NotSerializableError, match=r"state\[1\]"):
        rows.dumps([Row(1), Price("five")])
    with pytest.raises(NotSerializableError, match=r"state\[1\]\['a'\]"):
        rows.dumps([Row(1), collections.OrderedDict(a=collections.deque([Price("five")]))])
    assert table.asked == [[1]]


def test_what_encode_raises(table):
    """An error of an encoder becomes the error for the value, with its path."""

    def encode(row):
        raise ValueError("it is not saved yet, and has no number")

    registry = StateRegistry()
    registry.register_base(Row, "row", encode=encode, decode=is_int, fetch=table.fetch)
    with pytest.raises(NotSerializableError, match=r"^state\[0\]:"):
        serializer(registry).dumps([Row(1)])


def test_references_are_no_keys(rows):
    """A deferred value in a key is an error that names it."""
    for key in (Row(1), (1, Row(1)), Circle("a"), frozenset([Row(1)])):
        with pytest.raises(NotSerializableError, match=r"\(the key\): .* (Row|Circle) .*key"):
            rows.dumps({"a": {key: 1}})


def test_references_nest_to_the_limit_of_depth(rows, table):
    """References can be nested as deep as other values, and no deeper."""
    value = Row(1)
    for _ in range(StateLimits().depth - 1):
        value = [value]
    assert rows.loads(rows.dumps(value)) == value
    with pytest.raises(NotSerializableError, match=r"\b256\b"):
        rows.dumps([[[value]]])


# --------------------------------------------------------------------------------------------------------- registration


def test_registration_is_checked():
    """Registering a family checks the rules of all types, and that fetch is a function."""
    registry = family(StateRegistry())
    ok = {"encode": vars, "decode": vars}
    for args, options, message in [
        ((Shape, "other"), ok, "^Shape:"),
        ((Row, "shape"), ok, "^Row: .*'shape'.* Shape"),
        ((Row, ""), ok, "^Row: .*1 to 32"),
        ((Row, 5), ok, "^Row: .*1 to 32"),
        (("Row", "row"), ok, "^register: cls"),
        ((dict, "row"), ok, "^dict:"),
        ((Row, "row"), {**ok, "encode": None}, "^Row: encode and decode"),
        ((Row, "row"), {**ok, "fetch": "fetch"}, "^fetch: .*'row'"),
    ]:
        with pytest.raises(ConfigError, match=message):
            registry.register_base(*args, **options)
    registry.register_base(Row, "row", **ok)  # the failed attempts registered nothing


def test_sessions_do_not_take_it(keys):
    """A SessionConfig refuses a StateRegistry, because opening a session must not query a database."""
    with pytest.raises(ConfigError, match=r"^registry:"):
        SessionConfig(**keys, registry=StateRegistry())


def test_a_plain_registry_has_no_families():
    """A plain registry means exactly the types that were registered."""
    assert not Registry().find_family(int)


@pytest.mark.parametrize("note", [slice(3), [("x", {"y": slice(3)})], Shape("a")], ids=["late", "deeper", "family"])
def test_plain_data_only(note):
    """With allow_nested=False, deferred values in the data are refused when reading, and named in the error when
    writing.
    """
    table = Table()
    registry = family(StateRegistry())
    registry.register_base(
        Row, "row", encode=lambda row: (row.number, row.note), decode=tuple, fetch=table.fetch, allow_nested=False
    )
    codec = serializer(registry)
    assert codec.loads(codec.dumps([Row(1, [{"a": (1, b"b")}])])) == [Row(1, [{"a": (1, b"b")}])]
    late = Shape if type(note) is Shape else slice
    with pytest.raises(NotSerializableError, match=rf"\b{late.__name__}\. ") as caught:
        codec.dumps([Row(1, note)])
    assert caught.value.path == "state[0]"
    forger = family(StateRegistry())
    forger.register_base(Row, "row", encode=lambda row: (row.number, row.note), decode=tuple, fetch=table.fetch)
    payload = serializer(forger).dumps([Row(1, note)])
    with pytest.raises(UnsealError, match=r"^forbidden_value: .*'row'"):
        codec.loads(payload)
    assert len(table.asked) == 1
