"""Model instances and files: sealed by reference, fetched together, and stale if they no longer exist."""

import datetime
import re
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable
from decimal import InvalidOperation
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.db import OperationalError, connections, models
from django.db.models.signals import post_init
from django.test.utils import isolate_apps
from forging import forged
from testapp.models import (
    Author,
    Bestseller,
    Book,
    Branch,
    Country,
    Edition,
    Holiday,
    Note,
    Page,
    Shop,
    Tag,
    Ticket,
)

from sealedsession.errors import NotSerializableError, StaleStateError, UnsealError
from sealedsession.state.sealer import StateSealer

QueryCount = Callable[..., Any]
Open = Callable[[Any], Any]

KEYS: dict[str, Callable[[], Any]] = {
    "int": lambda: Tag.objects.create(name="a"),
    "uuid": lambda: Ticket.objects.create(subject="a"),
    "str": lambda: Country.objects.create(code="no"),
    "date": lambda: Holiday.objects.create(day=datetime.date(2026, 12, 25)),
    "two columns": lambda: Page.objects.create(book=make_book(), number=3),
    "parent": lambda: Shop.objects.create(name="a"),
    "parent of the parent": lambda: Branch.objects.create(name="a"),
    "proxy": lambda: Bestseller.objects.get(pk=make_book().pk),
    "foreign key to another field": lambda: Edition.objects.create(book=make_book(), year=2000),
    "not of the default manager": lambda: hidden_note(),
    "user": lambda: User.objects.create(username="ada"),
}


def make_book(**values: Any) -> Book:
    author = Author.objects.create(name="Ada")
    return Book.objects.create(**{"title": "A", "isbn": uuid.uuid4().hex[:13], "author": author, **values})


def hidden_note() -> Note:
    note = Note(text="a", hidden=True)
    note.save()
    return note


@pytest.mark.parametrize("name", KEYS)
def test_an_instance_comes_back(name: str, sealer: StateSealer, queries: QueryCount) -> None:
    """An instance is sealed without a query, and fetched with one: the same row, class and database."""
    instance = KEYS[name]()
    with queries(0):
        token = sealer.seal(instance, session_id="s")
    with queries(1):
        opened = sealer.unseal(token, session_id="s")
    assert type(opened) is type(instance)
    assert opened == instance
    assert (opened.pk, opened._state.db) == (instance.pk, "default")


@pytest.mark.parametrize("name", KEYS)
def test_a_row_that_is_gone(name: str, sealer: StateSealer, db: None) -> None:
    """A missing row is stale. The error names model and database, but not the primary key."""
    instance = KEYS[name]()
    token = sealer.seal(instance, session_id="s")
    type(instance)._base_manager.filter(pk=instance.pk).delete()
    with pytest.raises(StaleStateError, match=rf"1 of 1 .* {instance._meta.label} .*'default'"):
        sealer.unseal(token, session_id="s")


@pytest.mark.usefixtures("db")
def test_it_is_fetched_fresh(sealer: StateSealer) -> None:
    """The fetched instance has the row's current values, and none of the unsaved changes."""
    tag = Tag.objects.create(name="before")
    tag.name = "never saved"
    token = sealer.seal(tag, session_id="s")
    Tag.objects.update(name="after")
    assert sealer.unseal(token, session_id="s").name == "after"


@pytest.mark.parametrize(
    "instance",
    [Tag(name="a"), Tag(pk=7, name="a"), Ticket(), Page(number=1), Country(code="no")],
    ids=["no pk", "a pk", "a pk by itself", "half a pk", "a pk of text"],
)
def test_an_unsaved_instance(instance: Any, sealer: StateSealer) -> None:
    """Sealing an unsaved instance is an error that says what to do."""
    with pytest.raises(
        NotSerializableError,
        match=rf"^state.*: .*{instance._meta.label} ",
    ) as caught:
        sealer.seal({"shown": instance}, session_id="s")
    assert caught.value.path == "state['shown']"


def test_a_deleted_instance(sealer: StateSealer, db: None) -> None:
    """Sealing a deleted instance is an error."""
    tag = Tag.objects.create(name="a")
    tag.delete()
    with pytest.raises(NotSerializableError, match=r"^state: .*testapp\.Tag "):
        sealer.seal(tag, session_id="s")


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize(
    ("pk", "problem"),
    [
        (1.5, "primary key: .*int, got float.* 1$"),
        (1.0, "primary key: .*int, got float"),
        (True, "primary key: .*int, got bool"),
        ("abc", "primary key: .*abc"),
    ],
)
def test_a_pk_that_was_assigned(pk: Any, problem: str, sealer: StateSealer) -> None:
    """Sealing an instance with an assigned primary key that would name another row is an error."""
    tag = Tag.objects.create(pk=1, name="a")
    tag.pk = pk
    with pytest.raises(NotSerializableError) as caught:
        sealer.seal([tag], session_id="s")
    assert str(caught.value).startswith("state[0]: ")
    assert re.search(problem, str(caught.value))
    assert "['" not in str(caught.value)


@pytest.mark.usefixtures("db")
def test_a_text_for_a_number_is_the_same_row(sealer: StateSealer) -> None:
    """A primary key is sealed with the type of its field."""
    tag = Tag.objects.create(pk=1, name="a")
    tag.pk = "1"
    assert sealer.unseal(sealer.seal(tag, session_id="s"), session_id="s").pk == 1


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize("code", ["dj.lazy", "dj.text"])
def test_rows_by_lazy_pks_are_fetched_together(code: str, open_forged: Open, queries: QueryCount) -> None:
    """Rows are fetched together, whatever values their primary keys are wrapped in."""
    Tag.objects.create(pk=1, name="a")
    Author.objects.create(pk=1, name="Ada")
    with queries(1):
        opened = open_forged([forged("dj.row", ("testapp.Tag", forged(code, 1), "default"))] * 20)
    assert [tag.pk for tag in opened] == [1] * 20


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize(
    "pk",
    [
        deque([forged("dj.queryset", ("auth.User", "", None, []))]),
        OrderedDict(a=forged("dj.queryset", ("auth.User", "", None, []))),
        bytearray(b"no"),
        range(3),
        forged("dj.safe", "no"),
        forged("dj.lazy", deque([1])),
    ],
    ids=["deque", "ordered dict", "bytearray", "range", "safe string", "lazy"],
)
@pytest.mark.parametrize("columns", [1, 2])
def test_a_pk_is_plain_data(columns: int, pk: Any, open_forged: Open, queries: QueryCount) -> None:
    """A primary key that is not plain data is refused before it reaches the model."""
    data = ("testapp.Country", pk, "default") if columns == 1 else ("testapp.Page", (1, pk), "default")
    with queries(0), pytest.raises(UnsealError, match="forbidden_value"):
        open_forged(forged("dj.row", data))


def test_a_deferred_instance(sealer: StateSealer, queries: QueryCount) -> None:
    """Sealing does not load deferred fields. The fetched instance has all fields."""
    make_book()
    book = Book.objects.only("isbn").get()
    with queries(0):
        token = sealer.seal(book, session_id="s")
    opened = sealer.unseal(token, session_id="s")
    assert book.get_deferred_fields()
    assert not opened.get_deferred_fields()


@pytest.mark.usefixtures("shop")
def test_many_of_a_model_are_fetched_by_one_query(sealer: StateSealer, queries: QueryCount) -> None:
    """One query per model fetches all rows of a state, in any place, and keeps their order."""
    books, tags, pages = list(Book.objects.order_by("-pk")), list(Tag.objects.all()), list(Page.objects.all())
    state = {"books": books, "first": (books[-1], tags), "pages": [{"page": page} for page in pages]}
    token = sealer.seal(state, session_id="s")
    with queries(3):
        opened = sealer.unseal(token, session_id="s")
    assert opened == state
    assert opened["first"][0] is opened["books"][-1]


def test_a_proxy_and_its_model_are_two(sealer: StateSealer, queries: QueryCount) -> None:
    """Instances of a proxy and of its model come back with their own class."""
    book = make_book()
    token = sealer.seal([book, Bestseller.objects.get()], session_id="s")
    with queries(2):
        assert [*map(type, sealer.unseal(token, session_id="s"))] == [Book, Bestseller]


def test_a_thousand_rows(sealer: StateSealer, db: None) -> None:
    """The maximum number of rows fits into one query."""
    Tag.objects.bulk_create([Tag(name=str(number)) for number in range(1000)])
    tags = list(Tag.objects.all())
    assert sealer.unseal(sealer.seal(tags, session_id="s"), session_id="s") == tags


def test_a_thousand_rows_with_two_columns_for_a_pk(sealer: StateSealer, db: None) -> None:
    """The maximum number of rows fits into one query with composite primary keys, too."""
    book = make_book()
    Page.objects.bulk_create([Page(book=book, number=number) for number in range(1000)])
    pages = list(Page.objects.all())
    assert sealer.unseal(sealer.seal(pages, session_id="s"), session_id="s") == pages


@pytest.mark.usefixtures("db")
def test_another_database(sealer: StateSealer, queries: QueryCount) -> None:
    """A row is fetched from its own database."""
    other = Tag.objects.using("other").create(pk=1, name="other")
    here = Tag.objects.create(pk=1, name="here")
    token = sealer.seal([other, here], session_id="s")
    with queries(1), queries(1, "other"):
        opened = sealer.unseal(token, session_id="s")
    assert [(tag.name, tag._state.db) for tag in opened] == [("other", "other"), ("here", "default")]


@pytest.mark.usefixtures("db")
def test_a_database_that_is_not_configured_any_more(open_forged: Open) -> None:
    """A row of a database that is no longer configured is stale."""
    with pytest.raises(StaleStateError, match=r"testapp\.Tag: .*'archive'"):
        open_forged(forged("dj.row", ("testapp.Tag", 1, "archive")))


def test_a_database_that_is_down(sealer: StateSealer, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors of a database that is down propagate unchanged, for rows and for QuerySets."""
    nowhere = {**connections.settings["default"], "NAME": str(tmp_path / "nowhere" / "database")}
    monkeypatch.setitem(connections.settings, "down", nowhere)
    tag = Tag(pk=1, name="a")
    tag._state.adding, tag._state.db = False, "down"
    tokens = [sealer.seal(value, session_id="s") for value in (tag, Tag.objects.using("down"))]
    with pytest.raises(OperationalError):
        sealer.unseal(tokens[0], session_id="s")
    tags = sealer.unseal(tokens[1], session_id="s")
    with pytest.raises(OperationalError):
        list(tags)
    del connections["down"]


STALE, REFUSED = StaleStateError, UnsealError
WRONG_PKS: dict[str, tuple[str, Any, type[Exception]]] = {
    "text for an int": ("testapp.Tag", "one", STALE),
    "bytes for an int": ("testapp.Tag", b"1", STALE),
    "list for an int": ("testapp.Tag", [1], REFUSED),
    "dict": ("testapp.Tag", {"pk": 1}, REFUSED),
    "none": ("testapp.Tag", None, REFUSED),
    "too large": ("testapp.Tag", 2**200, STALE),
    "too small": ("testapp.Tag", -(2**63) - 1, STALE),
    "not finite": ("testapp.Tag", float("inf"), STALE),
    "not a number": ("testapp.Tag", float("nan"), STALE),
    "text for a uuid": ("testapp.Ticket", "x", STALE),
    "int for a uuid": ("testapp.Ticket", -1, STALE),
    "text for a date": ("testapp.Holiday", "yesterday", STALE),
    "int for a date": ("testapp.Holiday", 20261225, STALE),
    "text with a zero": ("testapp.Country", "a\0", REFUSED),
    "one column": ("testapp.Page", 1, STALE),
    "three columns": ("testapp.Page", (1, 2, 3), STALE),
    "no column": ("testapp.Page", (1, None), REFUSED),
    "text for columns": ("testapp.Page", "[1, 2]", STALE),
    "columns of another type": ("testapp.Page", ("x", []), REFUSED),
    "nested columns": ("testapp.Page", ((1,), (2,)), REFUSED),
    "tuple for an int": ("testapp.Tag", (1,), STALE),
    "queryset": ("testapp.Tag", forged("dj.queryset", ("testapp.Tag", "", None, [])), REFUSED),
    "row": ("testapp.Tag", forged("dj.row", ("testapp.Author", 1, "default")), REFUSED),
    "class": ("testapp.Tag", int, REFUSED),
    "label in other letters": ("testapp.tag", 1, STALE),
    "no such model": ("testapp.Scroll", 1, STALE),
    "no such application": ("papyrus.Scroll", 1, STALE),
    "no label": ("Tag", 1, STALE),
    "empty label": ("", 1, STALE),
    "label of three": ("a.b.c", 1, STALE),
    "abstract": ("auth.AbstractUser", 1, STALE),
}


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("name", WRONG_PKS)
def test_what_is_no_pk(name: str, open_forged: Open) -> None:
    """A key of an earlier type is stale; one that is never written is refused. Neither is a server error."""
    label, pk, error = WRONG_PKS[name]
    for value in (forged("dj.row", (label, pk, "default")), forged("dj.file", (label, pk, "default", "sample"))):
        with pytest.raises(error):
            open_forged([value])


@pytest.mark.usefixtures("db")
def test_a_pk_that_is_not_kept(sealer: StateSealer) -> None:
    """An instance whose primary key would be refused when opened is not sealed."""
    country = Country.objects.create(code="a\0")
    with pytest.raises(NotSerializableError, match=r"primary key: .*NUL"):
        sealer.seal(country, session_id="s")


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize("error", [ValueError, TypeError, ValidationError])
def test_an_error_of_the_application(error: type[Exception], sealer: StateSealer) -> None:
    """Exceptions of a signal receiver propagate unchanged."""
    token = sealer.seal(Tag.objects.create(name="a"), session_id="s")

    def broken(**_: Any) -> None:
        raise error("a bug")

    post_init.connect(broken, sender=Tag)
    try:
        with pytest.raises(error, match="a bug"):
            sealer.unseal(token, session_id="s")
    finally:
        post_init.disconnect(broken, sender=Tag)


def test_a_pk_that_cannot_be_sent(open_forged: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """A primary key that a field cannot send to the database is stale, without a query."""

    def refuse(*_: Any) -> None:
        raise InvalidOperation

    monkeypatch.setattr(Tag._meta.pk, "get_db_prep_value", refuse)
    monkeypatch.setattr(Page._meta.get_field("number"), "get_db_prep_value", refuse)
    for label, pk in (("testapp.Tag", 1), ("testapp.Page", (1, 2))):
        with pytest.raises(StaleStateError, match="InvalidOperation"):
            open_forged(forged("dj.row", (label, pk, "default")))


MALFORMED: list[tuple[str, object]] = [
    ("dj.row", ("testapp.Tag", 1)),
    ("dj.row", ["testapp.Tag", 1, "default"]),
    ("dj.row", (1, 1, "default")),
    ("dj.row", ("testapp.Tag", 1, None)),
    ("dj.file", ("testapp.Book", 1, "default")),
    ("dj.file", ("testapp.Book", 1, "default", None)),
]


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize(("code", "data"), MALFORMED)
def test_what_is_no_reference(code: str, data: object, open_forged: Open) -> None:
    """Invalid data is refused."""
    with pytest.raises(UnsealError, match="forbidden_value"):
        open_forged(forged(code, data))


def test_a_model_that_is_not_the_one_of_its_name(sealer: StateSealer) -> None:
    """An instance of a model whose label belongs to another model is not sealed."""
    with isolate_apps("testapp"):

        class Tag(models.Model):
            class Meta:
                app_label = "testapp"

    tag = Tag(pk=1)
    tag._state.adding, tag._state.db = False, "default"
    with pytest.raises(NotSerializableError, match=r"testapp\.Tag\b"):
        sealer.seal(tag, session_id="s")


# --------------------------------------------------------------------------------------------------------------- files


@pytest.mark.usefixtures("db")
def test_a_file_comes_back(sealer: StateSealer, queries: QueryCount) -> None:
    """A file is sealed by row and field, and comes back as the field's current file."""
    book = make_book(sample="samples/a.pdf", cover="covers/a.png")
    with queries(0):
        token = sealer.seal([book.sample, book.cover], session_id="s")
    Book.objects.update(sample="samples/b.pdf")
    with queries(1):
        sample, cover = sealer.unseal(token, session_id="s")
    assert (sample.name, cover.name) == ("samples/b.pdf", "covers/a.png")
    assert (type(sample), type(cover)) == (type(book.sample), type(book.cover))
    assert sample.instance == book


@pytest.mark.usefixtures("db")
def test_a_file_and_its_row_take_one_query(sealer: StateSealer, queries: QueryCount) -> None:
    """The row of a file is fetched together with other rows of its model."""
    books = [make_book(sample=f"{number}.pdf") for number in range(3)]
    token = sealer.seal([*books, *[book.sample for book in books]], session_id="s")
    with queries(1):
        opened = sealer.unseal(token, session_id="s")
    assert [file.name for file in opened[3:]] == ["0.pdf", "1.pdf", "2.pdf"]


@pytest.mark.usefixtures("db")
def test_an_empty_file(sealer: StateSealer) -> None:
    """An empty FileField comes back empty."""
    opened = sealer.unseal(sealer.seal(make_book().sample, session_id="s"), session_id="s")
    assert not opened


@pytest.mark.usefixtures("db")
def test_a_file_that_is_not_stored(sealer: StateSealer) -> None:
    """Different errors name an unstored file, an unsaved row, and a missing instance."""
    book = make_book()
    book.sample = ContentFile(b"text", name="a.txt")
    alone = type(book.sample)(None, Book._meta.get_field("sample"), "a.txt")
    unsaved = Book(sample="a.txt").sample
    for file, problem in (
        (book.sample, r"'sample'"),
        (unsaved, r"testapp\.Book "),
        (alone, "model instance"),
    ):
        with pytest.raises(NotSerializableError, match=problem):
            sealer.seal(file, session_id="s")


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize("field", ["letter", "title", "objects", "delete", "author", "pk", ""])
def test_a_field_that_has_no_files(field: str, open_forged: Open) -> None:
    """A field that is missing or holds no files is stale."""
    book = make_book()
    with pytest.raises(StaleStateError, match=r"testapp\.Book: "):
        open_forged(forged("dj.file", ("testapp.Book", book.pk, "default", field)))


def test_a_file_whose_row_is_gone(sealer: StateSealer, db: None) -> None:
    """A file of a missing row is stale."""
    token = sealer.seal(make_book(sample="a.pdf").sample, session_id="s")
    Book.objects.all().delete()
    with pytest.raises(StaleStateError, match=r"testapp\.Book .*'default'"):
        sealer.unseal(token, session_id="s")
