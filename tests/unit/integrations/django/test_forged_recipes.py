"""Forged recipes in tokens with the real keys: they contain no SQL, call, import or attribute access."""

import enum
import itertools
import sys
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from types import ModuleType
from typing import Any

import pytest
from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.db.models import CharField, QuerySet
from django.test.utils import CaptureQueriesContext
from forging import ForgingRegistry, forged
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from testapp.models import Author, Book, Tag

from sealedsession.errors import NotSerializableError, StaleStateError, UnsealError
from sealedsession.integrations.django.querysets.spec import STEPS
from sealedsession.integrations.django.values import DjangoRegistry, registry
from sealedsession.state.sealer import StateSealer

Open = Callable[[object], Any]

BOOK = "testapp.Book"
INJECTIONS = [
    "1=1) --",
    'x" OR "1"="1',
    "title;DROP TABLE testapp_book",
    "title'",
    "x y",
    "testapp_book.title",
    "a/*",
    "",
]


def recipe(*steps: Any, label: Any = BOOK, manager: Any = "", using: Any = None) -> Any:
    return forged("dj.queryset", (label, manager, using, list(steps)))


def nested(levels: int) -> Any:
    """Return a condition of this many levels."""
    condition: Any = ("title__exact", "A")
    for _ in range(levels):
        condition = ["AND", True, condition]
    return condition


def arithmetic(levels: int) -> Any:
    expression: Any = ("value", 1)
    for _ in range(levels):
        expression = ("+", expression, ("value", 1))
    return expression


def unions(levels: int) -> Any:
    inner: Any = (BOOK, "", None, [])
    for _ in range(levels):
        inner = (BOOK, "", None, [("union", False, [inner])])
    return inner[3][0]


def doubled(step: str, times: int) -> list[tuple[Any, ...]]:
    """Return annotations that each refer twice to the previous one."""
    names = [f"x{number}" for number in range(times)]
    sums = [(step, name, ("+", ("F", before), ("F", before))) for before, name in itertools.pairwise(names)]
    return [(step, "x0", ("F", "pages")), *sums]


def alternatives(levels: int) -> Any:
    """Return nested XOR conditions."""
    condition: Any = ("isbn", "x")
    for _ in range(levels):
        condition = ["XOR", False, ["AND", True, condition, ("isbn", "z")], ("title", "b"), ("title", "c")]
    return condition


def make_alternatives(number: int) -> Any:
    """Return an OR of this many conditions."""
    return ["OR", False, *[("pages", 1)] * number]


def in_every_place(name: str) -> list[tuple[Any, ...]]:
    """Return steps that have a name in each place that takes one."""
    return [
        (name,),
        ("filter", (name, 1)),
        ("filter", [name, False, ("title", 1)]),
        ("filter", ("title", name, 1)),
        ("filter", ("title", "x", (name, 1))),
        ("filter", ("title", "x", ("F", name))),
        ("filter", ("title", "x", (name, ("value", 1), ("value", 1)))),
        ("annotate", name, ("value", 1)),
        ("alias", name, ("value", 1)),
        ("annotate", "x", ("F", name)),
        ("annotate", "x", (name, ("F", "title"), {})),
        ("annotate", "x", ("Count", ("F", "title"), {name: True})),
        ("order_by", [name]),
        ("order_by", [(name, ("F", "title"), False, None, None)]),
        ("fetch_mode", name),
        *[(step, [name]) for step in ("distinct", "only", "defer", "select_related", "prefetch_related")],
        *[(step, [name]) for step in ("values", "values_list", "flat", "named")],
    ]


MALFORMED: dict[str, Any] = {
    **{f"{name!r} in {step!r}": recipe(step) for name in INJECTIONS for step in in_every_place(name)},
    "no tuple": forged("dj.queryset", [BOOK, "", None, []]),
    "too short": forged("dj.queryset", (BOOK, "", [])),
    "a query": forged("dj.queryset", {"where": "1=1"}),
    "label of another type": recipe(label=b"testapp.Book"),
    "manager of another type": recipe(manager=None),
    "database of another type": recipe(using=1),
    "steps of another type": forged("dj.queryset", (BOOK, "", None, (("none",),))),
    "step of another type": recipe(["none"]),
    "empty step": recipe(()),
    "step without its argument": recipe(("filter",)),
    "step with one too many": recipe(("none", 1)),
    "method that is no step": recipe(("delete",)),
    "other methods": recipe(("update", {"title": "x"})),
    "raw": recipe(("raw", "SELECT 1")),
    "extra": recipe(("extra", ["1=1"])),
    "own method of the class": recipe(("cheap",), manager="objects"),
    "private step": recipe(("_build_others", [])),
    "apply": recipe(("apply", ("none",))),
    "unhashable step": recipe((["none"],)),
    "connector": recipe(("filter", ["OR 1=1 OR", False, ("title", 1)])),
    "unhashable connector": recipe(("filter", [["OR"], False, ("title", 1)])),
    "negation of another type": recipe(("filter", ["OR", 1, ("title", 1)])),
    "condition of another type": recipe(("filter", {"title": 1})),
    "condition of four": recipe(("filter", ("title", "v", 1, 2))),
    "path of another type": recipe(("filter", (b"title", 1))),
    "row for a value": recipe(("filter", ("author", forged("dj.row", ("testapp.Author", 1, "default"))))),
    "row in a value": recipe(("filter", ("author__in", [forged("dj.row", ("testapp.Author", 1, "default"))]))),
    "row in a dict": recipe(("filter", ("notes", {"a": forged("dj.row", ("testapp.Author", 1, "default"))}))),
    "queryset for a value": recipe(("filter", ("author__in", recipe(label="testapp.Author")))),
    "value of an annotation": recipe(("annotate", "x", ("value", recipe()))),
    "default": recipe(("annotate", "x", ("Sum", ("F", "pages"), {"default": recipe()}))),
    "count of all with an option": recipe(("annotate", "x", ("Count", ("*",), {"distinct": 1}))),
    "options of another type": recipe(("annotate", "x", ("Count", ("*",), [("distinct", True)]))),
    "template of an aggregate": recipe(("annotate", "x", ("Count", ("*",), {"template": "1); --"}))),
    "function of an aggregate": recipe(("annotate", "x", ("Count", ("*",), {"function": "pg_sleep"}))),
    "an expression of Django": recipe(("annotate", "x", ("RawSQL", "1", ()))),
    "a function of Django": recipe(("annotate", "x", ("Lower", ("F", "title"), {}))),
    "operator": recipe(("annotate", "x", ("|| 1 ||", ("F", "title"), ("F", "title")))),
    "nulls of another type": recipe(("order_by", [("order", ("F", "title"), False, 1, None)])),
    "direction of another type": recipe(("order_by", [("order", ("F", "title"), 1, None, None)])),
    "slice of another type": recipe(("slice", "0", 1)),
    "negative slice": recipe(("slice", -1, 1)),
    "slice backwards": recipe(("slice", 3, 1)),
    "bool for a number": recipe(("slice", False, True)),
    "others of another type": recipe(("union", False, recipe())),
    **{
        f"{step} with all of another type": recipe((step, "ALL", []))
        for step in ("union", "intersection", "difference")
    },
    "descending annotation": recipe(("annotate", "-x", ("F", "pages"))),
    "descending alias": recipe(("alias", "-x", ("F", "pages"))),
    "deep conditions": recipe(("filter", nested(40))),
    "deep expressions": recipe(("annotate", "x", arithmetic(40))),
    "deep unions": recipe(unions(40)),
}
STALE: dict[str, tuple[Any, str]] = {
    "model": (recipe(label="testapp.Scroll"), "'testapp.Scroll'"),
    "application": (recipe(label="papyrus.Scroll"), "'papyrus.Scroll'"),
    "no label": (recipe(label="Book"), "'Book'"),
    "label in other letters": (recipe(label="testapp.book"), "'testapp.book'"),
    "manager": (recipe(manager="rare"), "'rare' of testapp.Book"),
    "manager of another kind": (recipe(manager="__class__"), "'__class__'"),
    "database": (recipe(using="archive"), "'archive' .* DATABASES"),
    "field": (recipe(("filter", ("colour__exact", 1))), "'colour'"),
    "lookup": (recipe(("filter", ("title__sounds_like", 1))), "'sounds_like'"),
    "relation": (recipe(("filter", ("author__shelf__exact", 1))), "'shelf__exact'"),
    "ordered by": (recipe(("order_by", ["colour"])), "'colour'"),
    "ordered by an expression": (recipe(("order_by", [("F", "colour")])), "'colour'"),
    "only": (recipe(("only", ["colour"])), "'colour'"),
    "defer": (recipe(("defer", ["colour"])), "'colour'"),
    "select_related": (recipe(("select_related", ["shelf"])), "shelf"),
    "prefetch_related": (recipe(("prefetch_related", ["shelf"])), "'shelf'"),
    "prefetch an attribute": (recipe(("prefetch_related", ["delete"])), "'delete'"),
    "prefetch a private name": (recipe(("prefetch_related", ["_state__db"])), "'_state'"),
    "values": (recipe(("values", ["colour"])), "'colour'"),
    "count": (recipe(("annotate", "n", ("Count", ("F", "shelf"), {}))), "'shelf'"),
    "field of another type": (recipe(("filter", ("pages__exact", "many"))), "ValueError"),
    "value that is no list": (recipe(("filter", ("pages__in", 1))), "TypeError"),
    "row of another type": (recipe(("filter", ("author__exact", [1, 2]))), "TypeError"),
    "annotation called as a field": (recipe(("annotate", "title", ("value", 1))), "ValueError"),
    "steps in no order": (recipe(("slice", 0, 1), ("filter", ("title", 1))), "TypeError"),
    "what the database cannot do": (recipe(("distinct", ["title"])), "NotSupportedError"),
    "mode that there is not": (recipe(("values", []), ("only", ["title"])), "TypeError"),
}


SOURCE = ("testapp.Author", 1, "default")
INSIDE: dict[str, Any] = {
    "range": range(3),
    "slice": slice(3),
    "deque": deque([1]),
    "ordered dict": OrderedDict(a=1),
    "path": PurePosixPath("a"),
    "class": list,
    "bytearray": bytearray(b"a"),
    "complex": 1j,
    "row in a deque": deque([forged("dj.row", SOURCE)]),
    "queryset in a deque": deque([recipe()]),
    "queryset in an ordered dict": OrderedDict(a=recipe()),
    "file": forged("dj.file", ("testapp.Book", 1, "default", "sample")),
    "lazy queryset": forged("dj.lazy", recipe()),
}
# Paths that share only their first joins.
MENTORS = ["__".join("mentor" if n >> k & 1 else "pupils" for k in range(20)) + "__name" for n in range(16)]
BOUNDS: dict[str, tuple[Any, str]] = {
    "annotations of annotations": (recipe(*doubled("annotate", 20)), "nodes"),
    "aliases of aliases in a filter": (recipe(*doubled("alias", 11), *[("filter", ("x10__gt", 1))] * 9), "nodes"),
    "aliases of aliases in an operand": (
        recipe(*doubled("alias", 11), *[("filter", ("pages", "x", ("F", "x10")))] * 9),
        "nodes",
    ),
    "aliases of aliases in an order": (recipe(*doubled("alias", 9), ("order_by", ["-x8"] * 40)), "nodes"),
    "aliases of aliases in values": (recipe(*doubled("alias", 9), ("values_list", ["x8"] * 40)), "nodes"),
    "name with a separator": (
        recipe(("alias", "a__b", arithmetic(30)), ("order_by", ["a__b"] * 300), ("order_by", ["a__b__c"] * 200)),
        "nodes",
    ),
    "a value in annotations": (
        recipe(("alias", "x", ("value", "y" * 9999)), ("order_by", ["x"] * 30)),
        "nodes",
    ),
    "alternatives in alternatives": (recipe(("filter", alternatives(13))), "nodes"),
    "queries in alternatives": (
        recipe(("filter", ["XOR", False, ("pk__in", "q", (BOOK, "", None, [("filter", alternatives(10))]))])),
        "nodes",
    ),
    "lists of nothing": (
        recipe(("filter", ["XOR", False, ["XOR", False, *[["AND", False]] * 4500]])),
        "nodes",
    ),
    "negations": (recipe(("filter", ["OR", True, *[["OR", False, ("tags", 1)]] * 1000])), "nodes"),
    "copies": (recipe(("filter", make_alternatives(1000)), *[("reverse",)] * 100), "nodes"),
    "copies of what was combined": (
        recipe(("filter", make_alternatives(600)), *[("union", True, [(BOOK, "", None, [])])] * 25),
        "nodes",
    ),
    "many recipes": ([recipe(("filter", alternatives(9)))] * 4, "nodes"),
    "filters": (recipe(*[("filter", ("tags__name", "x"))] * 65), "64 joins"),
    "steps": (recipe(("filter", make_alternatives(60)), *[("reverse",)] * 3000), "nodes"),
    "recipes in a recipe": (recipe(("union", False, [(BOOK, "", None, [])] * 2500)), "nodes"),
    "long names": (
        recipe(*[("filter", ("pupils__" * 55 + "name", "x"))] * 60, label="testapp.Author"),
        "64 joins",
    ),
    "names in a negation": (
        recipe(("filter", ["AND", True, *[("tags__books__author" + "__mentor" * 50, 1)] * 120])),
        "nodes",
    ),
    "names of relations": (
        recipe(("select_related", [name + "__mentor" * 32 for name in ("author", "editor")])),
        "64 joins",
    ),
    **{
        f"ways in {step}": (recipe((step, MENTORS), label="testapp.Author"), "64 joins")
        for step in ("select_related", "values", "values_list", "order_by", "distinct")
    },
    "ways in conditions": (
        recipe(("filter", ["OR", False, *[(way, 1) for way in MENTORS]]), label="testapp.Author"),
        "64 joins",
    ),
    "ways in operands": (
        recipe(*[("filter", ("name", "x", ("F", way))) for way in MENTORS], label="testapp.Author"),
        "64 joins",
    ),
    "ways in annotations": (
        recipe(
            *[("alias", f"n{n}", ("Count", ("F", way), {})) for n, way in enumerate(MENTORS)], label="testapp.Author"
        ),
        "64 joins",
    ),
    "ways in a filter of an aggregate": (
        recipe(
            ("alias", "n", ("Count", ("*",), {"filter": ["OR", False, *[(way, 1) for way in MENTORS]]})),
            label="testapp.Author",
        ),
        "64 joins",
    ),
    "joins of many recipes": (
        [recipe(("select_related", [name + "__mentor" * 5 for name in ("author", "editor")]))] * 360,
        "nodes",
    ),
    "joins of recipes in a recipe": (
        recipe(("union", True, [(BOOK, "", None, [("values", ["author" + "__mentor" * 60])])] * 120)),
        "nodes",
    ),
    "all columns again": (recipe(*[("values_list", [])] * 3000, label="testapp.Branch"), "nodes"),
    "all columns in rows": (recipe(*[("values", [])] * 3000), "nodes"),
    "colliding values as operands": (
        recipe(("filter", ("id__in", "l", [("v", n * (2**61 - 1)) for n in range(1000)])), label="testapp.Ticket"),
        "nodes",
    ),
    "colliding values": (
        recipe(("filter", ("id__in", [n * (2**61 - 1) for n in range(1500)])), label="testapp.Ticket"),
        "nodes",
    ),
}
HIDING = ["delete", "save", "pk", "page_set", "_state", "_prefetched_objects_cache", "__class__", "__dict__"]


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize("name", INSIDE)
@pytest.mark.parametrize("place", ["a filter", "a list", "a dict", "an annotation", "a default"])
def test_a_value_is_plain_data(name: str, place: str, open_forged: Open) -> None:
    """A container that computes its members, or hides a reference, is not a valid value."""
    value = INSIDE[name]
    step = {
        "a filter": ("filter", ("title__in", value)),
        "a list": ("filter", ("title__in", ["x", value])),
        "a dict": ("filter", ("notes", {"a": (value,)})),
        "an annotation": ("annotate", "x", ("value", value)),
        "a default": ("annotate", "x", ("Sum", ("F", "pages"), {"default": value})),
    }[place]
    with pytest.raises(UnsealError), CaptureQueriesContext(connection) as queries:
        open_forged(recipe(step))
    assert len(queries) == 0


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize("name", BOUNDS)
def test_a_recipe_that_costs_too_much(name: str, open_forged: Open) -> None:
    """A recipe of an expensive query is refused before the query is made."""
    value, problem = BOUNDS[name]
    with pytest.raises(UnsealError, match=f"^forbidden_value: .*{problem}"):
        open_forged(value)


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize("name", HIDING)
def test_an_annotation_hides_nothing_of_a_row(name: str, open_forged: Open) -> None:
    """An annotation cannot hide attributes of rows, private or not. An alias can have any name."""
    kind: Any = UnsealError if name.startswith("_") else StaleStateError  # the method may be newer than the token
    with pytest.raises(kind, match=f"'{name}'"):
        open_forged(recipe(("annotate", name, ("value", 1))))
    assert list(open_forged(recipe(("alias", name, ("value", 1))))) == []


DICTS: dict[str, tuple[Any, ...]] = {
    "a lookup": ("filter", ("title__exact", {"a": 1})),
    "a negated lookup": ("filter", ["AND", True, ("author__name__exact", {"a": 1})]),
    "a list": ("filter", ("title__in", ["x", {"a": 1}])),
    "a tuple in a list": ("filter", ("pages__range", [({"a": 1},), 2])),
    "a list of operands": ("filter", ("pages__range", "l", [("v", 1), ("v", {"a": 1})])),
    "a transform": ("filter", ("added__year", {"a": 1})),
    "a foreign key": ("filter", ("author", {"a": 1})),
    "many rows": ("filter", ("tags", {"a": 1})),
    "a file": ("filter", ("sample", {"a": 1})),
    "an annotation": ("filter", ("short__exact", {"a": 1})),
    "a value": ("annotate", "x", ("value", {"a": 1})),
    "arithmetic": ("annotate", "x", ("+", ("F", "pages"), ("value", {"a": 1}))),
    "an operand": ("filter", ("title", "x", ("value", {"a": 1}))),
    "a default": ("annotate", "x", ("Max", ("F", "title"), {"default": {"a": 1}})),
    "a default of an expression": (
        "annotate",
        "x",
        ("Max", ("+", ("F", "pages"), ("value", 1)), {"default": {"a": 1}}),
    ),
    "a filter of an aggregate": ("annotate", "x", ("Count", ("*",), {"filter": ("tags__name", {"a": 1})})),
}


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize("place", DICTS)
def test_a_dict_is_for_fields_that_hold_dicts(place: str, open_forged: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dict never reaches a field that would convert it, for example into a raster."""
    prepared: list[object] = []
    for field in [*Book._meta.get_fields(), *Author._meta.get_fields(), *Tag._meta.get_fields()]:
        if hasattr(field, "get_prep_value"):
            monkeypatch.setattr(field, "get_prep_value", prepared.append)
    with pytest.raises(UnsealError, match=r"^forbidden_value:"):
        open_forged(recipe(("alias", "short", ("F", "title")), DICTS[place]))
    assert prepared == []


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    "condition",
    [
        ("author__notes__exact", {"a": {"b": 3}, "x": 1}),
        ("author__notes__a", {"b": 3}),
        ("author__notes__in", [{"a": {"b": 3}, "x": 1}, {}]),
        ("about__exact", {"a": {"b": 3}, "x": 1}),
    ],
    ids=itertools.count(),
)
def test_a_dict_for_a_field_of_json(condition: Any, open_forged: Open) -> None:
    """A dict can be compared with a JSONField, a key in it, or an annotation of one."""
    opened = open_forged(recipe(("alias", "about", ("F", "author__notes")), ("filter", condition)))
    assert {book.title for book in opened} >= {"A"}


class Spatial(CharField):  # type: ignore[type-arg]
    """A field like GeoDjango's, which would open a file named by a value."""


SPATIAL: dict[str, tuple[Any, ...]] = {
    "a lookup": ("filter", ("place__exact", "/etc/passwd")),
    "another lookup": ("filter", ("place__startswith", b"/vsicurl/http://localhost/")),
    "a list": ("filter", ("place__in", ["/etc/passwd"])),
    "a list of operands": ("filter", ("place__in", "l", [("v", "/etc/passwd")])),
    "a relation": ("filter", ("mentor__place__exact", "/etc/passwd")),
    "an annotation": ("filter", ("spot__exact", "/etc/passwd")),
    "a number": ("filter", ("place__exact", 1)),
    "a default": ("annotate", "x", ("Max", ("F", "place"), {"default": "/etc/passwd"})),
    "a default of an annotation": ("annotate", "x", ("Max", ("F", "spot"), {"default": "/etc/passwd"})),
}


@pytest.fixture
def spatial(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Add a spatial field to authors."""
    module = ModuleType("django.contrib.gis.db.models.fields")
    module.BaseSpatialField = Spatial  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    field = Spatial(max_length=9)
    field.contribute_to_class(Author, "place")
    yield
    Author._meta.local_fields.remove(field)
    del Author.place
    Author._meta._expire_cache()


@pytest.mark.usefixtures("db", "spatial")
@pytest.mark.parametrize("place", SPATIAL)
def test_no_value_reaches_a_spatial_field(place: str, open_forged: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """No value of a recipe reaches a spatial field, which could open a file or URL."""
    prepared: list[object] = []
    monkeypatch.setattr(Spatial, "get_prep_value", lambda _, value: prepared.append(value))
    with pytest.raises(UnsealError, match=r"^forbidden_value: .*spatial"):
        open_forged(recipe(("alias", "spot", ("F", "place")), SPATIAL[place], label="testapp.Author"))
    assert prepared == []


@pytest.mark.usefixtures("db", "spatial")
def test_what_can_be_asked_of_a_spatial_field(open_forged: Open) -> None:
    """isnull works for a spatial field, and lookups of other fields of the model work as usual."""
    steps = [("filter", ("place__isnull", True)), ("filter", ("name__exact", "Ada")), ("filter", ("pk__in", [1, 2]))]
    assert open_forged(recipe(*steps, label="testapp.Author")).query.where


class Access(enum.Enum):
    """An enum with a method, whose members are therefore made after reading."""

    READ = "r"

    def add(self, other: "Access") -> "Access":
        return other


ALONE: dict[str, Any] = {
    "slice": ("filter", ("title__in", slice(3))),
    "slice for all": ("intersection", slice(3), []),
    "enum": ("filter", ("title__in", [Access.READ])),
}


@pytest.fixture
def knowing() -> DjangoRegistry:
    """Return a registry that supports the enum."""
    made = DjangoRegistry()
    made.register_enum(Access, "access")
    return made


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize("name", ALONE)
def test_no_recipe_is_followed_alone(name: str, keys: dict[str, str], knowing: DjangoRegistry) -> None:
    """Recipes share one budget, so none can contain values that are made after others were decoded."""
    forging = ForgingRegistry()
    forging.by_type[Access] = knowing.by_type[Access]
    forging.by_code["access"] = knowing.by_code["access"]
    token = StateSealer(**keys, registry=forging).seal(recipe(ALONE[name]), session_id="s")
    with pytest.raises(UnsealError, match=r"^forbidden_value: .*'dj\.queryset'"):
        StateSealer(**keys, registry=knowing).unseal(token, session_id="s")


@pytest.mark.usefixtures("db")
def test_what_would_be_followed_alone_is_not_sealed(
    keys: dict[str, str], knowing: DjangoRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error for such a recipe names its path and the type of the value."""
    field = Book._meta.get_field("title")
    monkeypatch.setattr(field, "get_prep_value", lambda value: value)
    monkeypatch.setattr(field, "get_db_prep_value", lambda value, *_, **__: value.value)
    queryset = Book.objects.filter(title=Access.READ)
    with pytest.raises(NotSerializableError, match=r"\bAccess\. ") as caught:
        StateSealer(**keys, registry=knowing).seal([queryset], session_id="s")
    assert (caught.value.path, caught.value.type) == ("state[0]", type(queryset))


@pytest.mark.usefixtures("db")
def test_no_content_type_is_written(open_forged: Open) -> None:
    """A recipe is stale if the content type of a generic relation is missing. It is not created."""
    commented = recipe(("filter", ("comments__text__exact", "x")))
    assert list(open_forged(commented)) == []
    ContentType.objects.all().delete()
    ContentType.objects.clear_cache()
    try:
        with pytest.raises(StaleStateError, match="content type"):
            open_forged(commented)
        assert not ContentType.objects.exists()
    finally:
        ContentType.objects.clear_cache()


def test_without_contenttypes(open_forged: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Recipes work without django.contrib.contenttypes."""
    monkeypatch.delitem(apps.app_configs, "contenttypes")
    assert open_forged(recipe()).model is Book


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize("nested", [False, True])
def test_a_manager_that_fails(nested: bool, open_forged: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exceptions of an application's manager propagate unchanged."""

    def broken(self: object) -> None:
        raise TypeError("no tenant")

    monkeypatch.setattr(type(Book.objects), "get_queryset", broken)
    inner = (BOOK, "objects", None, [])
    of_manager = recipe(("filter", ("pk__in", "q", inner))) if nested else forged("dj.queryset", inner)
    with pytest.raises(TypeError, match="no tenant"):
        open_forged(of_manager)


@pytest.fixture
def author(db: None) -> Any:
    """Create the row that forged recipes refer to."""
    return Author.objects.create(pk=1, name="Ada")


@pytest.mark.usefixtures("author")
@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_no_recipe_is_refused(name: str, open_forged: Open) -> None:
    """Invalid data is refused anywhere in a recipe, without a query."""
    with CaptureQueriesContext(connection) as queries, pytest.raises(UnsealError) as caught:
        open_forged(MALFORMED[name])
    assert caught.value.reason == "forbidden_value"
    assert not any("testapp_book" in query["sql"] for query in queries)


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize("name", STALE)
def test_what_the_models_do_not_take_is_stale(name: str, open_forged: Open) -> None:
    """A recipe that does not fit the models is stale. The error names what is missing."""
    forged_recipe, problem = STALE[name]
    with pytest.raises(StaleStateError, match=problem):
        open_forged(forged_recipe)


# ------------------------------------------------------------------------------------------------------ anything else

GOOD: list[Any] = [
    [
        ("filter", ["OR", False, ("title__exact", "A"), ["AND", True, ("tags__name__in", ["old"])]]),
        ("order_by", ["-pk"]),
    ],
    [("filter", ("author__in", "q", ("testapp.Author", "", None, [("values_list", ["pk"]), ("slice", 0, 3)])))],
    [("annotate", "n", ("Count", ("F", "tags"), {"distinct": True, "filter": ("tags__name__gt", "a")}))],
    [("annotate", "x", ("+", ("F", "pages"), ("value", 1))), ("filter", ("pages__lt", "x", ("F", "x")))],
    [("filter", ("pages__range", "l", [("v", 1), ("x", ("F", "rating"))])), ("values", ["title"]), ("distinct", [])],
    [("union", True, [("testapp.Book", "", None, [("none",)])]), ("order_by", ["title"]), ("slice", 1, None)],
    [
        ("only", ["title", "author"]),
        ("select_related", ["author__mentor"]),
        ("prefetch_related", ["tags"]),
        ("reverse",),
    ],
]
NAMES = ["title", "author__mentor__name", "tags", "pages", "notes", "pk", "-title", "?", "x", "v", "q", "l", "AND", "F"]
scalars: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=3) | st.dates()
)
words = st.sampled_from([*NAMES, *STEPS, "value", "order", "Count", "Sum", "+", "*", "distinct", "filter", "default"])
anything: st.SearchStrategy[Any] = st.recursive(
    scalars | words,
    lambda inner: (
        st.lists(inner, max_size=3) | st.lists(inner, max_size=4).map(tuple) | st.dictionaries(words, inner, max_size=2)
    ),
    max_leaves=8,
)


@st.composite
def damaged(draw: st.DrawFn) -> Any:
    """Return steps of a valid recipe in which one part is replaced."""
    steps = draw(st.sampled_from(GOOD))
    return replaced(steps, draw(st.integers(0, size(steps) - 1)), draw(anything))


def size(data: Any) -> int:
    members = data.values() if type(data) is dict else data if type(data) in (list, tuple) else ()
    return 1 + sum(map(size, members))


def replaced(data: Any, place: int, part: Any) -> Any:
    """Return a copy of data with one part replaced."""
    if place == 0:
        return part
    if type(data) is dict:
        return dict(zip(data, replaced(list(data.values()), place, part), strict=True))
    place -= 1
    members = []
    for member in data:
        is_here = 0 <= place < size(member)
        members.append(replaced(member, place, part) if is_here else member)
        place -= size(member)
    return type(data)(members)


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize("steps", GOOD, ids=range(len(GOOD)))
def test_the_good_ones_are(steps: Any, open_forged: Open) -> None:
    """The recipes that other tests damage are valid."""
    assert list(open_forged(recipe(*steps))) == []


@pytest.mark.usefixtures("db")
@settings(max_examples=500, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(steps=damaged() | st.lists(anything, max_size=3))
def test_any_forgery_is_refused_stale_or_a_queryset(steps: Any, open_forged: Open) -> None:
    """Any data is refused, stale, or a QuerySet, without a query."""
    with CaptureQueriesContext(connection) as queries:
        try:
            opened = open_forged(forged("dj.queryset", (BOOK, "", None, steps)))
        except (UnsealError, StaleStateError):
            opened = Book.objects.none()
    assert type(opened) is QuerySet or type(opened) is type(Book.objects.none())
    assert len(queries) == 0


@pytest.mark.usefixtures("db")
def test_codes_of_django_are_all_forged(open_forged: Open) -> None:
    """Invalid data under each code of Django's types is refused."""
    codes = {code for code in registry.by_code if code.startswith("dj.")}
    assert len(codes) == 10
    for code in codes - {"dj.lazy", "dj.text"}:  # these accept any data
        with pytest.raises(UnsealError, match="forbidden_value"):
            open_forged(forged(code, 7.5))
