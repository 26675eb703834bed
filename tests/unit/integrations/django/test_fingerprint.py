"""Fingerprints of QuerySets: a recipe that decodes to another query, or to other rows, is not sealed."""

import itertools
from typing import Any

import pytest
from django.db.models import Count, F, FloatField, Q, Sum, Value
from testapp.models import Author, Book, Tag

from sealedsession.errors import NotSerializableError
from sealedsession.integrations.django.querysets import encode
from sealedsession.integrations.django.querysets import fingerprint as fingerprint_module
from sealedsession.integrations.django.querysets.fingerprint import fingerprint
from sealedsession.state.sealer import StateSealer

books, authors = Book.objects, Author.objects

DIFFERENT: dict[str, tuple[Any, Any]] = {
    "value": (books.filter(title="A"), books.filter(title="B")),
    "type of a value": (books.annotate(x=Value(1)), books.annotate(x=Value("1"))),
    "bool for an int": (books.annotate(x=Value(1)), books.annotate(x=Value(True))),
    "places of a decimal": (books.filter(price=1), books.filter(price="1.00")),
    "negation": (books.filter(pages=1), books.exclude(pages=1)),
    "connector": (books.filter(Q(pages=1) | Q(rating=1)), books.filter(Q(pages=1) & Q(rating=1))),
    "rows": (
        books.filter(tags__name="a", tags__id=1),
        books.filter(tags__name="a").filter(tags__id=1),
    ),
    "relation": (books.filter(author__name="A"), books.filter(editor__name="A")),
    "relations of which one is joined twice": (
        books.filter(tags__name="a").filter(tags__name="b").filter(tags__id=1, tags__name="b"),
        books.filter(tags__name="a").filter(tags__name="b", tags__id=1).filter(tags__name="b"),
    ),
    "kind of join": (
        books.filter(editor__name="A"),
        books.filter(Q(editor__name="A") | Q(editor__name="A")),
    ),
    "order": (books.order_by("title"), books.order_by("-title")),
    "part": (books.all()[:3], books.all()[:4]),
    "columns": (books.only("title"), books.only("pages")),
    "class of the rows": (books.values("title"), books.values_list("title")),
    "form of the rows": (books.values_list("title"), books.values_list("title", flat=True)),
    "names in the rows": (books.values_list("title", named=True), books.values_list("title")),
    "order of values": (books.values_list("title", "pages"), books.values_list("pages", "title")),
    "what is selected": (authors.annotate(n=Count("books")), authors.alias(n=Count("books"))),
    "name of an annotation": (books.annotate(x=F("title")), books.annotate(y=F("title"))),
    "type of an annotation": (
        authors.annotate(x=Sum("books__pages")),
        authors.annotate(x=Sum("books__pages", output_field=FloatField())),
    ),
    "what comes along": (books.select_related("author"), books.all()),
    "database": (books.all(), books.using("other")),
    "class": (books.all(), Tag.objects.all()),
    "queries within": (
        books.filter(author__in=authors.filter(name="A")),
        books.filter(author__in=authors.filter(name="B")),
    ),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_two_that_are_not_the_same(name: str) -> None:
    """QuerySets with different rows, or rows in another form, have different fingerprints."""
    one, other = DIFFERENT[name]
    assert fingerprint(one) != fingerprint(other)
    assert fingerprint(one) == fingerprint(one.all())


def test_the_order_of_joins_makes_no_difference() -> None:
    """The order of joins, which depends on earlier calls, does not change the fingerprint."""
    ordered = books.order_by("author__name")
    assert "author" in str(ordered.query)  # joined now
    conditions = Q(publisher__name="A") & Q(author__name="B")
    one, other = books.filter(conditions), ordered.order_by().filter(conditions).order_by()
    assert str(one.query) != str(other.query)
    assert fingerprint(one) == fingerprint(other)


@pytest.mark.parametrize(
    "steps",
    [
        [],
        [("filter", ("title__exact", "B"))],
        [("filter", ("title__iexact", "A"))],
        [("filter", ("title__exact", "A")), ("order_by", ["title"])],
        [("filter", ("title__exact", "A")), ("values", ["title"])],
        [("filter", ("colour__exact", "A"))],
    ],
)
def test_what_was_misread_is_not_sealed(steps: Any, sealer: StateSealer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A QuerySet is sealed only if its recipe decodes to the same query."""
    queryset = books.filter(title="A")
    assert sealer.seal(queryset, session_id="s")
    monkeypatch.setattr(encode, "explain", lambda *_: iter([steps]))
    with pytest.raises(NotSerializableError, match=r"^state"):
        sealer.seal(queryset, session_id="s")


@pytest.fixture
def followed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the list of recipes that are decoded while QuerySets are sealed."""
    recipes: list[Any] = []
    build = encode.build_queryset

    def watched(recipe: Any, *arguments: Any) -> Any:
        recipes.append(recipe)
        return build(recipe, *arguments)

    monkeypatch.setattr(encode, "build_queryset", watched)
    return recipes


@pytest.mark.parametrize("part", [books.filter(title="A"), books.annotate(n=Count("tags")).values("title", "n")])
def test_explaining_ends(part: Any, sealer: StateSealer, followed: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The search ends after 64 recipes, and is not repeated while the fault is located."""
    fingerprints = itertools.count()
    monkeypatch.setattr(encode, "fingerprint", lambda _: next(fingerprints))
    monkeypatch.setattr(encode, "explain", lambda *_: itertools.repeat([("filter", ("title__exact", "A"))]))
    with pytest.raises(NotSerializableError, match=r"^state") as caught:
        sealer.seal({"a": [part]}, session_id="s")
    assert caught.value.path == "state['a'][0]"
    assert len(followed) == 64


def test_explanations_share_a_budget(sealer: StateSealer, followed: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The searches for all QuerySets in a state share one budget."""
    long = [("filter", ["OR", False, *[("pages__exact", n) for n in range(500)]])]
    of_first = itertools.chain(itertools.repeat([("none",)], 9), [[("order_by", ["title"])]])
    readings = iter([itertools.chain(itertools.repeat(long, 9), of_first), itertools.repeat(long)])
    monkeypatch.setattr(encode, "explain", lambda *_: next(readings))
    with pytest.raises(NotSerializableError, match="nodes") as caught:
        sealer.seal([books.order_by("title"), books.order_by("pages")], session_id="s")
    assert caught.value.path == "state[1]"
    assert len(followed) < 64


def test_a_fault_elsewhere_explains_nothing_again(sealer: StateSealer, followed: list[Any]) -> None:
    """Locating an unsupported value reuses the recipes that were found before."""
    state = [books.filter(title="A"), books.order_by("title"), object()]
    with pytest.raises(NotSerializableError) as caught:
        sealer.seal(state, session_id="s")
    assert caught.value.path == "state[2]"
    assert len(followed) == 2
    assert sealer.seal(state[:2], session_id="s")
    assert len(followed) == 4


def test_what_could_not_be_opened_together_is_not_sealed(sealer: StateSealer) -> None:
    """QuerySets that are within the limits separately, but not together, are not sealed."""
    one = books.exclude(Q(*[("title", str(n)) for n in range(150)], _connector=Q.OR))
    assert sealer.unseal(sealer.seal([one, one.all()], session_id="s"), session_id="s")
    with pytest.raises(NotSerializableError, match="nodes") as caught:
        sealer.seal([one.all() for _ in range(9)], session_id="s")
    assert caught.value.path.startswith("state[")


def test_the_pattern_of_aliases_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One pattern searches the SQL, regardless of the number of joins."""
    made: list[str] = []
    compile_pattern = fingerprint_module.re.compile
    monkeypatch.setattr(
        fingerprint_module.re, "compile", lambda pattern, *_: made.append(pattern) or compile_pattern(pattern)
    )
    assert fingerprint(
        books.filter(author__name="A", editor__name="B", publisher__name="C").select_related("author__mentor")
    )
    assert len(made) == 1
