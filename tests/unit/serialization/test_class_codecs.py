"""The one-line registrations: what each takes, what comes back exactly, and what hostile data cannot make of it."""

import datetime
import enum
import sys
import typing
import uuid
import zoneinfo
from collections import OrderedDict, deque, namedtuple
from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field
from decimal import Decimal
from typing import Any, Literal, NamedTuple, Optional, Union

import pytest

from sealedsession.errors import ConfigError, NotSerializableError, UnsealError
from sealedsession.serialization.class_codecs import checker_for_annotation
from sealedsession.serialization.registry import Registry
from sealedsession.serialization.safe_pickle import PickleSerializer
from sealedsession.serialization.tagged_json import JsonSerializer
from tests.support.param_ids import stable_repr
from tests.support.strategies import exactly

REFUSALS = (TypeError, ValueError, LookupError)
SERIALIZERS = [PickleSerializer, JsonSerializer]
BERLIN, LIMA = zoneinfo.ZoneInfo("Europe/Berlin"), zoneinfo.ZoneInfo("America/Lima")
both = pytest.mark.parametrize("make", SERIALIZERS)

audited = []  # names of audit events


@pytest.fixture
def opened():
    """What is opened or imported during a test, as seen by the interpreter itself."""
    if not getattr(sys, "_watched_by_test_class_codecs", False):
        sys._watched_by_test_class_codecs = True  # an audit hook stays as long as the process
        sys.addaudithook(lambda event, _: event in ("open", "import", "os.listdir") and audited.append(event))
    audited.clear()
    return audited


def make_registry(kind, *classes, code=str.lower):
    """A registry that the method register_KIND has been given these classes."""
    registry = Registry()
    for cls in classes:
        getattr(registry, f"register_{kind}")(cls, code(cls.__name__))
    return registry


def make_decoder(kind, cls):
    """The decoder of a class, alone."""
    return make_registry(kind, cls).by_type[cls].decode


def comes_back(registry, value):
    """Whether a value comes back exactly from both serializers, alone and nested."""
    whole = [value, {"key": (value, deque([value]))}]
    return all(
        exactly(serializer.loads(serializer.dumps(whole))) == exactly(whole)
        for serializer in (make(registry) for make in SERIALIZERS)
    )


def subclass_instance(value):
    """An equal value of a subclass."""
    return type("Sub", (type(value),), {})(value)


# --------------------------------------------------------------------------------------------------------------- enums


class Color(enum.Enum):
    RED = 1
    GREEN = "green"
    NOTHING = None
    HALF = 0.5
    PAIR = (1, "x")
    DAY = datetime.date(2030, 1, 1)
    CRIMSON = 1  # noqa: PIE796  # an alias


class Few(enum.Enum):
    RED = 1
    GREEN = "green"
    PAIR = (1, "x")


class Size(enum.StrEnum):
    SMALL = "s"


class Text(str, enum.Enum):  # noqa: UP042  # not a StrEnum: it is the older form that is tested
    LONG = "long"


class Level(enum.IntEnum):
    LOW = 1


class Number(int, enum.Enum):
    ONE = 1


class Mode(enum.Flag):
    READ = 1


class Bits(enum.IntFlag):
    LOW = 1


class Unhashable(enum.Enum):
    LIST = [1]


class Truth(enum.Enum):
    YES = True


class Whole(enum.Enum):
    ONE = 1


class Real(enum.Enum):
    ONE = 1.0


class Eager(enum.EnumMeta):
    """Record when an enum is called to find a member."""

    asked = []

    def __call__(cls, *arguments, **options):
        cls.asked.append(arguments)
        return super().__call__(*arguments, **options)


class Hooked(enum.Enum, metaclass=Eager):
    ONLY = "only"

    @classmethod
    def _missing_(cls, value):
        cls.asked.append(value)
        return cls.ONLY


MEMBERS = [*Color.__members__.values(), Size.SMALL, Text.LONG, Level.LOW, Number.ONE, Truth.YES, Whole.ONE, Real.ONE]


@pytest.mark.parametrize("member", MEMBERS, ids=repr)
def test_enum(member):
    """Every member of an enum comes back as itself, by either serializer, as a value and as a key."""
    registry = make_registry("enum", type(member))
    for serializer in (make(registry) for make in SERIALIZERS):
        again, [key] = serializer.loads(serializer.dumps([member, {member: 1}]))
        assert again is member
        assert key is member


@pytest.mark.parametrize("cls", [Mode, Bits])
def test_flags_are_refused(cls):
    """A Flag is refused at registration: its combinations are no members."""
    with pytest.raises(ConfigError, match=f"{cls.__name__}: a Flag"):
        make_registry("enum", cls)


def test_unhashable_members_are_refused():
    """An enum with a value that is not hashable is refused at registration, by name."""
    with pytest.raises(ConfigError, match=r"^Unhashable:"):
        make_registry("enum", Unhashable)


@pytest.mark.parametrize(
    ("cls", "takes", "refuses"),
    [(Truth, True, [1, 1.0]), (Whole, 1, [True, 1.0]), (Real, 1.0, [1, True]), (Level, 1, [True, 1.0, "1"])],
)
def test_equal_values_of_other_types_are_no_members(cls, takes, refuses):
    """1, 1.0 and True are equal, and yet each is the value of a member only where it was written so."""
    decode = make_decoder("enum", cls)
    assert decode(takes) is next(iter(cls))
    for data in refuses:
        with pytest.raises(REFUSALS):
            decode(data)


@pytest.mark.parametrize("data", [2, "RED", "red", (1, "y"), [1], {}, None, Color.RED, Decimal(1), b"green"], ids=repr)
def test_enum_refuses_what_is_no_members_value(data):
    """Data that is the value of no member is refused: names, unhashable data and members themselves."""
    with pytest.raises(REFUSALS):
        make_decoder("enum", Few)(data)


def test_an_enum_class_is_never_called():
    """Members are found in a table: neither the class is called nor its `_missing_`."""
    decode = make_decoder("enum", Hooked)
    Hooked.asked.clear()
    assert decode("only") is Hooked.ONLY
    for data in ("other", None, 5):
        with pytest.raises(REFUSALS):
            decode(data)
    assert Hooked.asked == []
    assert Hooked("other") is Hooked.ONLY  # and it would have answered
    assert len(Hooked.asked) == 2


# --------------------------------------------------------------------------------------------------------- dataclasses


@dataclass
class Price:
    amount: Decimal
    currency: str = "EUR"
    tags: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Frozen:
    a: int
    b: str | None = None


@dataclass(slots=True)
class Slotted:
    a: int


@dataclass(frozen=True, slots=True, order=True)
class FrozenSlotted:
    a: int


@dataclass(kw_only=True)
class Keyworded:
    a: int
    b: float = 0.5


@dataclass
class PartlyKeyworded:
    a: int = field(kw_only=True)
    b: str = ""


@dataclass
class Quoted:
    a: "int"
    b: "Frozen | None" = None


@dataclass
class Order:
    price: Price
    color: Color
    at: datetime.datetime
    more: tuple[Frozen, ...] = ()
    by_key: dict[str, Optional["Frozen"]] = field(default_factory=dict)


@dataclass
class Child(Price):
    note: str = ""
    counter: typing.ClassVar[int] = 0


@dataclass
class WithInitVar:
    a: int
    extra: InitVar[int] = 1


@dataclass
class Demanding:
    a: int
    extra: InitVar[int]


@dataclass
class Derived:
    a: int
    twice: int = field(init=False)


@dataclass
class Lost:
    a: "Nowhere"  # noqa: F821


@dataclass
class Empty:
    pass


@dataclass
class Checking:
    percent: int

    def __post_init__(self):
        if not 0 <= self.percent <= 100:
            raise ValueError("no percentage")


@dataclass
class Listlike:
    """It has a method that an opcode could call."""

    content: list[int]

    def append(self, value):
        raise AssertionError("called by an opcode")


def orders():
    registry = make_registry("dataclass", Order, Price, Frozen, Quoted)
    registry.register_enum(Color, "color")
    return registry


@pytest.mark.parametrize(
    "value",
    [
        Price(Decimal("1.50")),
        Price(Decimal(2), "USD", ["a", "b"]),
        Frozen(1),
        Frozen(1, "x"),
        Slotted(2),
        FrozenSlotted(3),
        Keyworded(a=1),
        Keyworded(a=1, b=2),
        PartlyKeyworded(a=1, b="x"),
        Child(Decimal(1), "EUR", [], "note"),
        WithInitVar(1),
        Empty(),
        Checking(100),
        Listlike([1, 2]),
    ],
    ids=repr,
)
def test_dataclass(value):
    """Dataclasses of every form come back with the same class and fields."""
    assert comes_back(make_registry("dataclass", type(value)), value)


def test_dataclass_of_registered_types():
    """Fields can be of registered types, and annotations can be strings."""
    order = Order(
        Price(Decimal(1)), Color.RED, datetime.datetime(2030, 1, 1), (Frozen(1), Frozen(2)), {"a": Frozen(3), "b": None}
    )
    assert comes_back(orders(), order)
    assert comes_back(orders(), [Quoted(1, Frozen(2)), Quoted(2)])


def test_a_frozen_dataclass_is_a_key():
    """A hashable dataclass comes back as a key and as an element of a set."""
    assert comes_back(make_registry("dataclass", Frozen), {Frozen(1): {Frozen(2, "x")}})


@pytest.mark.parametrize(
    ("cls", "data"),
    [
        (Frozen, (1,)),
        (Frozen, (1, None, None)),
        (Frozen, ()),
        (Frozen, [1, "x"]),
        (Frozen, {"a": 1, "b": "x"}),
        (Frozen, None),
        (Frozen, subclass_instance((1, "x"))),
        (Frozen, ("1", "x")),
        (Frozen, (True, "x")),
        (Frozen, (1.0, "x")),
        (Frozen, (1, b"x")),
        (Frozen, (1, subclass_instance("x"))),
        (Frozen, (None, "x")),
        (Frozen, Frozen(1)),
        (Price, (Decimal(1), "EUR", ["a", 1])),
        (Price, (Decimal(1), "EUR", ("a",))),
        (Price, (1, "EUR", [])),
        (Keyworded, (1, "0.5")),
        (Keyworded, (1, True)),
        (PartlyKeyworded, ("x", 1)),
        (Child, (Decimal(1), "EUR", [])),
        (Empty, (1,)),
        (Empty, None),
        (Checking, (101,)),
        (Listlike, ([1, "x"],)),
    ],
    ids=repr,
)
def test_dataclass_refuses_other_fields(cls, data):
    """Data with another number of fields, or a field of another type than annotated, never reaches the class."""
    with pytest.raises(REFUSALS):
        make_decoder("dataclass", cls)(data)


def test_nested_dataclasses_are_exactly_these():
    """A field of a registered class takes no other registered class, however alike."""
    right = (Price(Decimal(1)), Color.RED, datetime.datetime(2030, 1, 1), (), {})
    decode = orders().by_code["order"].decode
    assert decode(right) == Order(*right)
    for index, wrong in enumerate([Child(Decimal(1)), 1, datetime.date(2030, 1, 1), (Quoted(1),), {"a": Quoted(1)}]):
        with pytest.raises(TypeError, match=r"^Order\.\w+: "):
            decode((*right[:index], wrong, *right[index + 1 :]))


@both
def test_a_field_of_another_type_is_not_stored(make):
    """An instance whose field is not of the annotated type is an error when it is written, with path and field."""
    with pytest.raises(NotSerializableError, match=r"^session\['p'\]: .*Frozen\.a: "):
        make(make_registry("dataclass", Frozen)).dumps({"p": Frozen("1")})


@pytest.mark.parametrize(
    ("cls", "words"),
    [
        (Derived, "^Derived.twice:"),
        (Demanding, "Demanding"),
        (Lost, "Lost"),
        (int, "^int:"),
        (Frozen(1), "^Frozen:"),
        ("Frozen", "^str:"),
    ],
    ids=repr,
)
def test_dataclasses_that_cannot_be_read(cls, words):
    """What could not be made again from the values of its fields is refused at registration, by name."""
    with pytest.raises(ConfigError, match=words):
        Registry().register_dataclass(cls, "code")


# -------------------------------------------------------------------------------------------------------- named tuples

Point = namedtuple("Point", "x y", defaults=[0])


class Spot(NamedTuple):
    x: int
    y: "float" = 0.0
    note: str | None = None


@pytest.mark.parametrize("value", [Point(1), Point([1], {"a": None}), Spot(1), Spot(1, 2, "x")], ids=repr)
def test_namedtuple(value):
    """Named tuples of both kinds come back, those without annotations with members of any type."""
    assert comes_back(make_registry("namedtuple", type(value)), value)


def test_a_namedtuple_is_a_key():
    """A named tuple of hashable members comes back as a key, and apart from the tuple that equals it."""
    assert comes_back(make_registry("namedtuple", Spot), [{Spot(1): 1}, {(1, 0.0, None): 1}, Spot(1), (1, 0.0, None)])


@pytest.mark.parametrize(
    ("cls", "data"),
    [
        (Point, (1,)),
        (Point, (1, 2, 3)),
        (Point, [1, 2]),
        (Point, Point(1, 2)),
        (Point, {"x": 1, "y": 2}),
        (Point, "ab"),
        (Spot, (1, 2.0)),
        (Spot, (1.0, 2.0, None)),
        (Spot, (True, 2.0, None)),
        (Spot, (1, "2", None)),
        (Spot, (1, 2.0, b"x")),
        (Spot, Spot(1)),
    ],
    ids=repr,
)
def test_namedtuple_refuses_other_members(cls, data):
    """Data with another number of members, or members of other types than annotated, is refused."""
    with pytest.raises(REFUSALS):
        make_decoder("namedtuple", cls)(data)


@pytest.mark.parametrize("cls", [tuple, int, Frozen, Point(1, 2), "Point", type("Fields", (), {"_fields": ("a",)})])
def test_what_is_no_namedtuple(cls):
    """A class that is not a named tuple, and an object that is not a class, are refused at registration."""
    with pytest.raises(ConfigError, match=r"^\w+: .*named tuple"):
        Registry().register_namedtuple(cls, "code")


# ---------------------------------------------------------------------------------------------------------- subclasses


class Name(str):
    pass


class Loud(str):
    def __str__(self):
        return self.upper()


class Slot(str):
    __slots__ = ("note",)


class Count(int):
    pass


class Ratio(float):
    pass


class Blob(bytes):
    pass


class Positive(int):
    def __new__(cls, value):
        if value <= 0:
            raise ValueError("not positive")
        return super().__new__(cls, value)


class Sly(str):
    def __new__(cls, value):
        return str.__new__(Name if value == "name" else cls, value)


@pytest.mark.parametrize(
    "value",
    [Name("x"), Name(""), Name("\ud800"), Loud("quiet"), Slot("x"), Count(5), Count(-(2**255)), Ratio(0.5),
     Ratio("-0.0"), Ratio("inf"), Blob(b"\0\xff"), Positive(1), Sly("x")],
    ids=lambda value: f"{type(value).__name__}-{value[:9] if isinstance(value, str | bytes) else value % 1000}",
)  # fmt: skip
def test_subclass(value):
    """Instances of subclasses come back as these, whatever their methods return, as values and as keys."""
    registry = make_registry("subclass", type(value))
    assert comes_back(registry, value)
    assert comes_back(registry, {value: 1})


@pytest.mark.parametrize(
    ("cls", "data"),
    [
        (Name, 5), (Name, b"x"), (Name, None), (Name, Name("x")), (Name, Loud("x")), (Name, ["x"]),
        (Count, "5"), (Count, 5.0), (Count, True), (Count, Count(5)), (Count, b"5"), (Count, Level.LOW),
        (Ratio, "0.5"), (Ratio, 5), (Ratio, Ratio(1)), (Ratio, "1e999"), (Ratio, True),
        (Blob, "x"), (Blob, 10**9), (Blob, [1]), (Blob, bytearray(b"x")), (Blob, Blob(b"x")),
        (Positive, 0), (Sly, "name"),
    ],
    ids=repr,
)  # fmt: skip
def test_subclass_refuses_other_data(cls, data):
    """Data that is not exactly the plain value is refused, and so is an instance of another class made of it."""
    with pytest.raises(REFUSALS):
        make_decoder("subclass", cls)(data)


@both
@pytest.mark.parametrize("cls", [Name, Slot])
def test_attributes_are_not_lost(make, cls):
    """An instance with attributes of its own is refused when it is written: they would be lost."""
    value = cls("x")
    value.note = "secret"
    with pytest.raises(NotSerializableError, match=r"^session\[0\]: .*\(note\)"):
        make(make_registry("subclass", cls)).dumps([value])


@pytest.mark.parametrize(
    "cls", [bool, str, int, bytes, list, dict, Frozen, Level, Size, Text, Number, "str", Name("x")]
)
def test_what_is_no_subclass(cls):
    """Plain classes, enums, other classes, and objects that are not classes are refused at registration."""
    with pytest.raises(ConfigError):
        Registry().register_subclass(cls, "code")


# ---------------------------------------------------------------------------------------------------------- time zones

SUMMER = datetime.datetime(2030, 7, 1, 12, tzinfo=BERLIN)


def zones(*names):
    registry = Registry()
    registry.register_zoneinfo(names or ("Europe/Berlin", "America/Lima"))
    return registry


@pytest.mark.parametrize(
    "value",
    [
        BERLIN,
        LIMA,
        SUMMER,
        SUMMER.replace(month=10, day=27, hour=2, minute=30),
        SUMMER.replace(month=10, day=27, hour=2, minute=30, fold=1),
        datetime.time(2, 30, tzinfo=BERLIN),
        datetime.time(2, 30, tzinfo=BERLIN, fold=1),
        {BERLIN: 1},
        {SUMMER: 1},
    ],
    ids=repr,
)
def test_zoneinfo(value):
    """A registered zone comes back, alone and in datetimes and times, with fold."""
    assert comes_back(zones(), value)


@both
def test_a_zone_comes_back_as_the_same_object(make):
    """Datetimes in one zone are subtracted as wall clock times only if their zone is one object."""
    serializer = make(zones())
    assert serializer.loads(serializer.dumps(SUMMER)).tzinfo is BERLIN


@both
def test_no_file_is_opened(make, opened):
    """Reading a payload opens no file and imports nothing, even if it names a zone that this machine has."""
    serializer = make(zones())
    payload = serializer.dumps([SUMMER, LIMA])
    forged = payload.replace(b"America/Lima", b"Asia/Karachi")
    assert forged != payload
    opened.clear()
    assert serializer.loads(payload) == [SUMMER, LIMA]
    with pytest.raises(UnsealError, match="forbidden_value"):
        serializer.loads(forged)
    assert opened == []
    zoneinfo.ZoneInfo.no_cache("Asia/Karachi")
    assert "open" in opened  # this is what it looks like


@both
@pytest.mark.parametrize("zone", [zoneinfo.ZoneInfo("UTC"), zoneinfo.ZoneInfo.no_cache("Asia/Tokyo")], ids=str)
def test_other_zones_are_not_stored(make, zone):
    """A zone that was not named at registration is an error that names it, alone and in a datetime."""
    for value in (zone, SUMMER.replace(tzinfo=zone)):
        with pytest.raises(NotSerializableError, match=rf"^session\['z'\].*: .*\b{zone.key}\b"):
            make(zones()).dumps({"z": value})


@pytest.mark.parametrize(
    "data", ["UTC", "", "europe/berlin", "Europe/Berlin/", "../../etc/passwd", "/etc/passwd", b"Europe/Berlin", None,
             5, ["Europe/Berlin"], {}, ("Europe/Berlin",), BERLIN], ids=repr,
)  # fmt: skip
def test_zoneinfo_refuses_other_names(data):
    """Data that is not one of the registered names is refused."""
    with pytest.raises(REFUSALS):
        zones().by_code["zone"].decode(data)


@pytest.mark.parametrize("name", ["Europe/Atlantis", "../passwd", "/etc/passwd", "a\0b", "", "Europe"])
def test_unknown_zones_are_refused(name):
    """A zone that this machine does not have is refused at registration, by name."""
    with pytest.raises(ConfigError, match=r"^register_zoneinfo: "):
        zones("Europe/Berlin", name)


def test_a_single_zone_may_be_a_str():
    """A single name instead of a list means this name, not its letters."""
    registry = Registry()
    registry.register_zoneinfo("Europe/Berlin")
    assert comes_back(registry, BERLIN)
    with pytest.raises(REFUSALS):
        registry.by_code["zone"].decode("America/Lima")


# --------------------------------------------------------------------------------------------------------- annotations


@pytest.mark.parametrize(
    ("hint", "takes", "refuses"),
    [
        (int, [0, -5, 2**200], [True, 1.0, "1", None, Level.LOW, Count(1)]),
        (str, ["", "x"], [b"x", None, Name("x"), Size.SMALL]),
        (bool, [True, False], [0, 1, None]),
        (float, [0.5, 1, 0], [True, "1", None, Ratio(1), Decimal(1), 1j]),
        (bytes, [b""], ["", bytearray(), Blob()]),
        (list, [[], [1, "x"]], [(), None, deque()]),
        (tuple, [(), (1, "x")], [[], Point(1, 2)]),
        (dict, [{}, {1: 2}], [OrderedDict(), []]),
        (type(None), [None], [0, "", False]),
        (None, [None], [0, "", False]),
        (uuid.UUID, [uuid.UUID(int=1)], ["1", 1, b"\0" * 16]),
        (datetime.date, [datetime.date(2030, 1, 1)], [datetime.datetime(2030, 1, 1), "2030-01-01"]),
        (datetime.tzinfo, [], [datetime.UTC, BERLIN]),
        (Color, [Color.RED], [1, "green", Few.RED]),
        (Price, [Price(Decimal(1))], [Child(Decimal(1)), (Decimal(1), "EUR", [])]),
        (Any, [None, 1, "x", [1], Price, object()], []),
        (int | None, [1, None], [True, "", 1.0]),
        (Optional[str], ["", None], [1, b""]),  # noqa: UP045
        (Union[int, str, None], [1, "", None], [True, b"", 1.0]),  # noqa: UP007
        (int | list[str], [1, [], ["x"]], [[1], None, "x"]),
        (float | None, [1, 1.5, None], [True, "1"]),
        (Literal["a", 1, None], ["a", 1, None], ["b", True, 1.0, b"a", 0, Name("a")]),
        (Literal[True], [True], [1, 1.0, False]),
        (Literal[Color.RED], [Color.RED], [1, Color.GREEN]),
        (Literal["a"] | int, ["a", 2], ["b", None]),
        (list[int], [[], [1, 2]], [[True], [1, "x"], (1,), None, {1}]),
        (list[Any], [[], [1, "x", None]], [(), {}]),
        (list[list[str]], [[], [[]], [["x"], []]], [["x"], [[1]], [("x",)]]),
        (typing.List[int], [[], [1]], [["x"], (1,)]),  # noqa: UP006
        (set[str], [set(), {"x"}], [frozenset(), {1}, ["x"]]),
        (frozenset[int], [frozenset(), frozenset([1])], [set(), frozenset(["x"]), frozenset([True])]),
        (dict[str, int], [{}, {"a": 1}], [{"a": "b"}, {1: 1}, {"a": True}, OrderedDict(a=1), [("a", 1)]]),
        (dict[str, dict[int, str | None]], [{"a": {1: None, 2: "x"}}], [{"a": {"1": None}}, {"a": {1: 1}}]),
        (dict[str, None], [{}, {"a": None}], [{"a": 1}]),
        (tuple[int, ...], [(), (1,), (1, 2)], [(True,), (1, "x"), [1]]),
        (tuple[int, str], [(1, "x")], [(), (1,), ("x", 1), (1, "x", 1), [1, "x"], (True, "x")]),
        (tuple[int], [(1,)], [(), (1, 2), ("x",)]),
        (tuple[()], [()], [(1,), [], None]),
        (tuple[tuple[int, ...], ...], [(), ((),), ((1,), ())], [(1,), (("x",),), ([],)]),
        (list[int] | dict[str, list[Literal["a"]]], [[1], {"x": ["a"]}], [["a"], {"x": ["b"]}, {"x": "a"}]),
    ],
    ids=stable_repr,
)
def test_annotations(hint, takes, refuses):
    """Every form of annotation takes exactly the values that it names, and no equal or derived ones."""
    check = checker_for_annotation(hint, "Shop.field")
    assert [value for value in takes if not check(value)] == []
    assert [value for value in refuses if check(value)] == []


UNSUPPORTED = [
    Sequence[int], typing.Sequence, typing.Iterable[str], typing.Callable[[int], str], typing.TypeVar("T"),
    typing.NewType("UserId", int), typing.ClassVar[int], type[int], deque[int], OrderedDict[str, int], "int", 5, ...,
    typing.List, typing.Dict, typing.Tuple, typing.Set, typing.FrozenSet, typing.Union, Literal,  # noqa: UP006
]  # fmt: skip


@pytest.mark.parametrize("hint", UNSUPPORTED, ids=repr)
@pytest.mark.parametrize("around", [lambda hint: hint, lambda hint: list[hint], lambda hint: dict[str, tuple[hint]]])
def test_annotations_that_cannot_be_checked(hint, around):
    """An annotation that cannot be checked exactly is a ConfigError that names the field, however deep it stands."""
    with pytest.raises(ConfigError, match=r"^Shop\.field:"):
        checker_for_annotation(around(hint), "Shop.field")


def test_the_error_names_class_and_field():
    """Registering a class with such an annotation names class and field, for both shapes that have annotations."""

    @dataclass
    class Cart:
        size: int
        items: Sequence[int]

    class Row(NamedTuple):
        items: Sequence[int]

    for register, cls in ((Registry().register_dataclass, Cart), (Registry().register_namedtuple, Row)):
        with pytest.raises(ConfigError, match=rf"{cls.__name__}\.items: the annotation"):
            register(cls, "code")
