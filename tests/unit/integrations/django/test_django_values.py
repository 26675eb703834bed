"""Blocks, forms, lazy objects, lazy text, safe strings, QueryDicts and AnonymousUser in sealed state."""

import sys
import threading
from collections.abc import Callable, Iterator
from errno import EIO
from pathlib import Path
from typing import Any

import pytest
from django import forms
from django.apps import apps
from django.contrib.auth.models import AnonymousUser, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError
from django.http import QueryDict
from django.template import Context, Engine, Template, TemplateDoesNotExist, TemplateSyntaxError, engines
from django.template.loader_tags import BlockNode
from django.template.loaders.filesystem import Loader as FilesystemLoader
from django.test import override_settings
from django.urls import reverse_lazy
from django.utils import translation
from django.utils.functional import SimpleLazyObject, lazystr
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext_lazy
from forging import forged
from testapp.models import Author, Book, Tag

from sealedsession.errors import ConfigError, NotSerializableError, StaleStateError, UnsealError
from sealedsession.integrations.django import blocks
from sealedsession.integrations.django.budget import begin_payload, current_budgets
from sealedsession.integrations.django.values import DjangoRegistry
from sealedsession.state.sealer import StateSealer

QueryCount = Callable[..., Any]
Reopened = Callable[[Any], Any]
Open = Callable[[Any], Any]

# ----------------------------------------------------------------------------------------------------------- templates

PAGE = """{% extends "base.html" %}
{% block content %}
<h1>{{ title }}</h1>
{% if title %}{% block aside %}by {{ author }}{% endblock %}{% endif %}
{% endblock %}
{% block foot %}end{% endblock %}"""


@pytest.fixture(params=[True, False], ids=["cached", "not cached"])
def templates(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """Make a folder of templates, with and without a cached loader."""
    (tmp_path / "base.html").write_text("{% block content %}{% endblock %}{% block foot %}{% endblock %}")
    (tmp_path / "page.html").write_text(PAGE)
    loaders = ["django.template.loaders.filesystem.Loader"]
    options = {} if request.param else {"loaders": loaders}
    engine = {"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": [tmp_path], "OPTIONS": options}
    with override_settings(TEMPLATES=[{**engine, "NAME": "pages"}]):
        yield tmp_path


def block(name: str, template: str = "page.html") -> Any:
    (found,) = [
        node
        for node in engines["pages"].engine.get_template(template).nodelist.get_nodes_by_type(BlockNode)
        if node.name == name
    ]
    return found


def rendered(node: Any) -> str:
    context = Context({"title": "Title", "author": "Ada"})
    with context.bind_template(engines["pages"].engine.get_template("base.html")):
        return str(node.render(context))


@pytest.mark.usefixtures("templates")
@pytest.mark.parametrize("name", ["content", "aside", "foot"])
def test_a_block_comes_back(name: str, reopened: Reopened) -> None:
    """A block, also inside another block or tag, comes back as the same block of the same template."""
    opened = reopened({"block": block(name)})["block"]
    assert type(opened) is BlockNode
    assert rendered(opened) == rendered(block(name))


def test_a_block_is_that_of_today(templates: Path, reopened: Reopened, sealer: StateSealer) -> None:
    """The template is loaded again, with its current content. A missing block or template is stale."""
    token = sealer.seal(block("aside"), session_id="s")
    (templates / "page.html").write_text(PAGE.replace("by ", "of "))
    reset_loaders()
    assert rendered(sealer.unseal(token, session_id="s")) == "of Ada"
    (templates / "page.html").write_text(PAGE.replace("aside", "side"))
    reset_loaders()
    with pytest.raises(StaleStateError, match=r"'content\.aside' .*'page\.html'"):
        sealer.unseal(token, session_id="s")
    (templates / "page.html").unlink()
    reset_loaders()
    with pytest.raises(StaleStateError, match=r"page\.html"):
        sealer.unseal(token, session_id="s")


def reset_loaders() -> None:
    for loader in engines["pages"].engine.template_loaders:
        loader.reset()


@pytest.mark.usefixtures("templates")
def test_a_template_is_loaded_once_for_all_blocks(sealer: StateSealer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening a token loads each template once, regardless of the number of blocks."""
    token = sealer.seal([block("aside"), block("foot")] * 50, session_id="s")
    loaded: list[str] = []
    load = blocks.load_template
    monkeypatch.setattr(blocks, "load_template", lambda backend, name: loaded.append(name) or load(backend, name))
    opened = sealer.unseal(token, session_id="s")
    assert [node.name for node in opened] == ["aside", "foot"] * 50
    assert loaded == ["page.html"]


@pytest.mark.parametrize(
    "name", ["./page.html", "page.html/", "/page.html", "x/../page.html", "..", ".//page.html", "x\\\\..\\\\page.html"]
)
def test_a_template_has_one_name(templates: Path, name: str) -> None:
    """Another spelling of a template's name is refused, so that a cached loader does not keep one template for each."""
    with pytest.raises(TemplateDoesNotExist):
        blocks.load_template(engines.all()[0], name)
    with pytest.raises(StaleStateError):
        blocks.fetch_blocks([(engines.all()[0].name, name, ("content",))])


@pytest.mark.usefixtures("templates")
def test_many_templates_are_paid_for() -> None:
    """Each template costs part of the budget."""
    begin_payload()
    blocks.fetch_blocks([(engines.all()[0].name, "page.html", ("content",))] * 2)
    left = current_budgets().decoding.weight
    blocks.fetch_blocks([(engines.all()[0].name, "page.html", ("content",))])
    assert current_budgets().decoding.weight < left


def test_a_template_that_does_not_parse(templates: Path, sealer: StateSealer) -> None:
    """A template that does not parse raises Django's error, and is not stale."""
    token = sealer.seal(block("foot"), session_id="s")
    (templates / "page.html").write_text("{% block foot %}")
    reset_loaders()
    with pytest.raises(TemplateSyntaxError):
        sealer.unseal(token, session_id="s")


def test_an_engine_that_is_gone(templates: Path, sealer: StateSealer) -> None:
    """A block of a missing engine is stale."""
    token = sealer.seal(block("foot"), session_id="s")
    with override_settings(TEMPLATES=[]), pytest.raises(StaleStateError):
        sealer.unseal(token, session_id="s")


@pytest.mark.usefixtures("templates")
def test_blocks_without_a_name(sealer: StateSealer) -> None:
    """A block of a template that was not loaded by name is refused, and so is one of a separate engine."""
    inline = Template("{% block a %}{% endblock %}", engine=engines["pages"].engine)
    alone = Engine(loaders=[("django.template.loaders.locmem.Loader", {"a.html": "{% block a %}{% endblock %}"})])
    for template, problem in (
        (inline, "'a'"),
        (alone.get_template("a.html"), "'a' .*'a.html'"),
    ):
        (node,) = template.nodelist.get_nodes_by_type(BlockNode)
        with pytest.raises(NotSerializableError, match=problem):
            sealer.seal(node, session_id="s")
    with pytest.raises(NotSerializableError, match="'a'"):
        sealer.seal(BlockNode("a", []), session_id="s")


@pytest.mark.usefixtures("templates")
@pytest.mark.parametrize(
    ("data", "error"),
    [
        (("pages", "page.html", ("none",)), StaleStateError),
        (("pages", "page.html", ()), UnsealError),
        (("pages", "../../etc/passwd", ("foot",)), StaleStateError),
        (("pages", "/etc/passwd", ("foot",)), StaleStateError),
        *[(("pages", name, ("foot",)), StaleStateError) for name in ("", ".", "..", "ä" * 255, "page.html/x")],
        (("pages", "a" * 256, ("foot",)), UnsealError),
        (("pages", "page.html", ("a" * 256,)), UnsealError),
        (("other", "page.html", ("foot",)), StaleStateError),
        (("pages", "page.html\0", ("foot",)), UnsealError),
        (("pages", "page.html", "foot"), UnsealError),
        (("pages", "page.html", (1,)), UnsealError),
        (("pages", b"page.html", ("foot",)), UnsealError),
        (["pages", "page.html", ("foot",)], UnsealError),
    ],
)
def test_forged_blocks(data: object, error: type[Exception], open_forged: Open) -> None:
    """No path leaves the template folders. Invalid data is refused."""
    with pytest.raises(error):
        open_forged(forged("dj.block", data))


def test_names_of_tokens_are_not_kept(templates: Path, open_forged: Open) -> None:
    """A cached loader forgets the names of missing templates, and keeps found ones."""
    kept = [getattr(loader, "get_template_cache", {}) for loader in engines["pages"].engine.template_loaders]
    block("foot")
    before = [dict(cache) for cache in kept]
    for number in range(3):
        with pytest.raises(StaleStateError):
            open_forged(forged("dj.block", ("pages", f"{number}.html", ("foot",))))
    assert kept == before


def test_a_template_with_a_long_name(templates: Path, sealer: StateSealer) -> None:
    """A template whose name is too long to open is not sealed."""
    directory = "/".join("a" * 60 for _ in range(5))
    (templates / directory).mkdir(parents=True)
    (templates / directory / "page.html").write_text("{% block foot %}{% endblock %}")
    with pytest.raises(NotSerializableError, match=r"\b255\b"):
        sealer.seal(block("foot", f"{directory}/page.html"), session_id="s")


def test_a_disk_that_is_broken(templates: Path, sealer: StateSealer, monkeypatch: pytest.MonkeyPatch) -> None:
    """An I/O error propagates unchanged, and is not stale."""
    token = sealer.seal(block("foot"), session_id="s")
    reset_loaders()

    def broken(self: object, origin: object) -> str:
        raise OSError(EIO, "Input/output error")

    monkeypatch.setattr(FilesystemLoader, "get_contents", broken)
    with pytest.raises(OSError, match="Input/output error"):
        sealer.unseal(token, session_id="s")


# --------------------------------------------------------------------------------------------------------------- forms


class Search(forms.Form):
    """A plain form."""

    text = forms.CharField()
    tag = forms.ModelChoiceField(Tag.objects.all(), required=False)
    file = forms.FileField(required=False)


class BookForm(forms.ModelForm):
    """A form for a model."""

    class Meta:
        model = Book
        fields = ["title", "pages", "tags"]


@pytest.fixture
def form_sealer(keys: dict[str, str]) -> StateSealer:
    """Return a sealer whose registry supports the forms."""
    registry = DjangoRegistry()
    registry.register_form(Search)
    registry.register_form(BookForm, "book form")
    return StateSealer(**keys, registry=registry)


@pytest.fixture
def reopened_form(form_sealer: StateSealer) -> Reopened:
    return lambda form: form_sealer.unseal(form_sealer.seal(form, session_id="s"), session_id="s")


@pytest.mark.parametrize("data", [{"a-text": "x"}, QueryDict("a-text=x&a-tag=1&a-tag=2")], ids=["dict", "query string"])
@pytest.mark.usefixtures("db")
def test_a_bound_form_comes_back(data: Any, reopened_form: Reopened) -> None:
    """A bound form comes back with its data, initial values and prefix, and validates again."""
    form = Search(data, initial={"text": "y", "tag": lambda: 3}, prefix="a")
    form.is_valid()
    opened = reopened_form(form)
    assert type(opened) is Search
    assert (opened.data, type(opened.data), opened.prefix) == (form.data, type(form.data), "a")
    assert opened.initial == {"text": "y", "tag": 3}
    assert opened.is_bound
    assert opened.errors == form.errors
    assert opened["text"].value() == "x"


def test_an_unbound_form_comes_back(reopened_form: Reopened) -> None:
    """An unbound form comes back unbound."""
    opened = reopened_form(Search())
    assert not opened.is_bound
    assert (opened.data, opened.initial, opened.prefix) == ({}, {}, None)


def test_files_are_left_out(reopened_form: Reopened) -> None:
    """Uploaded files are not sealed."""
    opened = reopened_form(Search({"text": "x"}, {"file": SimpleUploadedFile("a.txt", b"text")}))
    assert opened.is_bound
    assert not opened.files


@pytest.mark.usefixtures("db")
def test_a_form_for_a_row(form_sealer: StateSealer, queries: QueryCount) -> None:
    """The instance and rows in initial values are sealed by reference. An unsaved instance is left out."""
    book = Book.objects.create(title="A", isbn="1", author=Author.objects.create(name="Ada"))
    book.tags.add(Tag.objects.create(name="a"))
    token = form_sealer.seal([BookForm(instance=book), BookForm({"title": "B"})], session_id="s")
    Book.objects.update(title="C")
    with queries(3):  # the row, those in the initial values, and once more the latter, by Django's form
        opened, new = form_sealer.unseal(token, session_id="s")
    assert (opened.instance, opened.instance.title) == (book, "C")
    assert opened.initial == {"title": "A", "pages": None, "tags": [Tag.objects.get()]}
    assert new.instance.pk is None
    assert new["title"].value() == "B"
    Book.objects.all().delete()
    with pytest.raises(StaleStateError):
        form_sealer.unseal(token, session_id="s")


class Wide(forms.Form):
    """A form with many fields."""


Wide.base_fields = {f"f{number}": forms.CharField() for number in range(60)}


@pytest.fixture
def wide_sealer(keys: dict[str, str]) -> StateSealer:
    registry = DjangoRegistry()
    for cls in (Search, BookForm, Wide):
        registry.register_form(cls)
    return StateSealer(**keys, registry=registry)


def forge_forms(keys: dict[str, str], values: list[tuple[str, Any]]) -> str:
    """Make a token of forms from their codes and data, without making the forms."""
    forging = DjangoRegistry()
    classes = {code: type("Forged", (tuple,), {}) for code, _ in values}
    for code, cls in classes.items():
        forging.register(cls, code, encode=tuple, decode=cls)
    return StateSealer(**keys, registry=forging).seal([classes[code](data) for code, data in values], session_id="s")


EMPTY = (None, {}, None, None)


@pytest.mark.parametrize(
    "values",
    [
        [("Search", EMPTY)] * 17,
        [("Wide", EMPTY)] * 9,
        [("Search", EMPTY)] * 9 + [("BookForm", EMPTY)] * 8,
        [("Search", (None, {"a": [number]}, None, None)) for number in range(17)],
    ],
    ids=["forms", "fields", "of two classes", "with initial values"],
)
def test_forms_are_few(values: list[tuple[str, Any]], wide_sealer: StateSealer, keys: dict[str, str]) -> None:
    """A payload with too many forms or fields is refused before the last of them are made."""
    with pytest.raises(UnsealError, match=r"\b16 .*\b512 ") as caught:
        wide_sealer.unseal(forge_forms(keys, values), session_id="s")
    assert caught.value.reason == "forbidden_value"


@pytest.mark.usefixtures("db")
def test_forms_that_are_made_alone_share_the_bound(wide_sealer: StateSealer, keys: dict[str, str]) -> None:
    """Forms that contain rows are made one by one, but share the limit."""
    row = Author.objects.create(name="Ada")
    values = [("Search", (None, {"a": row}, None, None))] * 17
    with pytest.raises(UnsealError, match=r"^forbidden_value: .*\b16 "):
        wide_sealer.unseal(forge_forms(keys, values), session_id="s")


@pytest.mark.usefixtures("db")
def test_a_page_of_forms(wide_sealer: StateSealer) -> None:
    """The maximum number of forms is sealed and opened, repeatedly."""
    page = [*[Wide() for _ in range(8)], *[Search() for _ in range(7)], BookForm()]
    for _ in range(3):
        page = wide_sealer.unseal(wide_sealer.seal(page, session_id="s"), session_id="s")
    assert [type(form) for form in page] == [*[Wide] * 8, *[Search] * 7, BookForm]


@pytest.mark.parametrize("page", [[Search() for _ in range(17)], [Wide() for _ in range(9)]], ids=["forms", "fields"])
def test_forms_that_would_not_be_opened(page: list[Any], wide_sealer: StateSealer) -> None:
    """More forms than can be opened are not sealed. The error names the path of the first one over the limit."""
    with pytest.raises(NotSerializableError, match=r"\b16 ") as caught:
        wide_sealer.seal(page, session_id="s")
    assert caught.value.path == f"state[{len(page) - 1}]"


def test_forms_have_to_be_registered(sealer: StateSealer) -> None:
    """A form of a class that is not registered is refused, also if its base is registered."""

    class Deeper(Search):
        pass

    for form in (Search(), Deeper()):
        with pytest.raises(NotSerializableError):
            sealer.seal(form, session_id="s")


def test_how_forms_are_registered(sealer: StateSealer) -> None:
    """The errors for a form and for a manager show what to do."""
    ada = Author(pk=1)
    ours = r"sealedsession\.integrations\.django\.values\.registry"
    for value, problem in (
        (Search(), rf": {ours}\.register_form\(Search\)$"),
        (Book.objects, r": \.all\(\)$"),
        (ada.books, r": \.all\(\)$"),
        (threading.Lock(), rf": {ours}\.register\("),
    ):
        with pytest.raises(NotSerializableError, match=problem):
            sealer.seal([value], session_id="s")


@pytest.mark.parametrize("error", [OperationalError, KeyError])
def test_a_form_that_fails(error: type[Exception], keys: dict[str, str]) -> None:
    """Exceptions of a form's class propagate unchanged."""
    works = True

    class Choosing(forms.Form):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            if not works:
                raise error("down")

    registry = DjangoRegistry()
    registry.register_form(Choosing, "choosing")
    sealer = StateSealer(**keys, registry=registry)
    token = sealer.seal([Choosing()], session_id="s")
    works = False
    with pytest.raises(error, match="down"):
        sealer.unseal(token, session_id="s")


def test_what_cannot_be_registered() -> None:
    """A class that needs other arguments, or is not a class of forms, cannot be registered."""

    class Needy(forms.Form):
        def __init__(self, user: object, **options: Any) -> None:
            super().__init__(**options)

    registry = DjangoRegistry()
    for cls, problem in (
        (Needy, "Needy .* data, initial, prefix: "),
        (Book, "Book"),
    ):
        with pytest.raises(ConfigError, match=problem):
            registry.register_form(cls)
    registry.register_form(Search)
    with pytest.raises(ConfigError, match="already"):
        registry.register_form(Search, "again")


# ------------------------------------------------------------------------------------------------------- lazy and safe


@pytest.mark.usefixtures("db")
def test_the_user_of_a_request(reopened: Reopened, queries: QueryCount) -> None:
    """A lazy user is sealed as a reference to the user."""
    ada = User.objects.create(username="ada")
    lazy = SimpleLazyObject(lambda: User.objects.get())
    with queries(2):  # when it is sealed, and when it is opened
        opened = reopened({"user": lazy})["user"]
    assert type(opened) is User
    assert opened == ada


@pytest.mark.usefixtures("db")
def test_users_of_requests_are_fetched_with_others(sealer: StateSealer, queries: QueryCount) -> None:
    """Rows behind lazy objects are fetched together with other rows."""
    User.objects.create(username="ada")
    bob = User.objects.create(username="bob")
    lazy = SimpleLazyObject(lambda: User.objects.get(username="ada"))
    token = sealer.seal([lazy, bob, SimpleLazyObject(lambda: lazy)], session_id="s")
    with queries(1):
        assert [user.username for user in sealer.unseal(token, session_id="s")] == ["ada", "bob", "ada"]


def test_nobody(reopened: Reopened) -> None:
    """AnonymousUser comes back, also behind a lazy object."""
    for user in (AnonymousUser(), SimpleLazyObject(AnonymousUser)):
        assert type(reopened([user])[0]) is AnonymousUser


def test_lazy_values_of_any_kind(reopened: Reopened) -> None:
    """A lazy object comes back as the wrapped object, which can be None."""
    assert reopened([SimpleLazyObject(lambda: None), SimpleLazyObject(lambda: [1, 2])]) == [None, [1, 2]]


def test_lazy_text(reopened: Reopened) -> None:
    """Lazy text comes back as text in the language in which it was sealed."""
    with translation.override("de"):
        opened = reopened([gettext_lazy("Monday"), lazystr("x")])
    assert opened == ["Montag", "x"]
    assert [*map(type, opened)] == [str, str]


@override_settings(ROOT_URLCONF=())
def test_a_lazy_value_that_fails(sealer: StateSealer) -> None:
    """An exception of a lazy value is the reason in the error."""
    with pytest.raises(NotSerializableError, match="'nowhere'"):
        sealer.seal(reverse_lazy("nowhere"), session_id="s")


def test_safe_strings(reopened: Reopened) -> None:
    """A SafeString comes back safe, also as a key. Other strings do not."""
    opened = reopened({mark_safe("<b>"): [mark_safe("<i>"), "<u>"]})
    ((key, (safe, plain)),) = opened.items()
    assert [type(key), type(safe), type(plain)] == [SafeString, SafeString, str]
    assert (key, safe, plain) == ("<b>", "<i>", "<u>")


def test_query_strings(reopened: Reopened) -> None:
    """A QueryDict comes back with all values, and immutable."""
    opened = reopened(QueryDict("a=1&a=2&b="))
    assert opened == QueryDict("a=1&a=2&b=")
    with pytest.raises(AttributeError, match="immutable"):
        opened["a"] = "3"


def test_nobody_without_the_application(open_forged: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token with AnonymousUser imports nothing, and is refused without django.contrib.auth."""
    token = forged("dj.anonymous", None)
    assert open_forged(token) == AnonymousUser()
    with monkeypatch.context() as patch:
        patch.delitem(apps.app_configs, "auth")
        with pytest.raises(UnsealError, match="forbidden_value"):
            open_forged(token)
    name = "django.contrib.auth.models"
    monkeypatch.delitem(sys.modules, name)
    with pytest.raises(UnsealError, match="forbidden_value"):
        open_forged(token)
    assert name not in sys.modules


@pytest.mark.parametrize(
    ("code", "data"),
    [
        ("dj.safe", b"x"),
        ("dj.safe", ["x"]),
        ("dj.querydict", {"a": "1"}),
        ("dj.querydict", {1: ["1"]}),
        ("dj.querydict", [("a", ["1"])]),
        ("dj.anonymous", "ada"),
        ("dj.raw", "SELECT 1"),
        ("dj.raw", None),
    ],
)
def test_forged_values(code: str, data: object, open_forged: Open) -> None:
    """Invalid data is refused."""
    with pytest.raises(UnsealError, match="forbidden_value"):
        open_forged(forged(code, data))


def test_forged_forms(form_sealer: StateSealer, keys: dict[str, str]) -> None:
    """Forms are made only from data of the right types."""
    forging = DjangoRegistry()

    class Forged(tuple[Any, ...]):
        __slots__ = ()

    forging.register(Forged, "book form", encode=tuple, decode=Forged)
    forger = StateSealer(**keys, registry=forging)
    for sealed in (
        (None, {}, None),
        ("a=1", {}, None, None),
        (None, None, None, None),
        (None, {}, 1, None),
        (None, {}, None, 1),
        (None, {}, None, AnonymousUser()),
    ):
        with pytest.raises(UnsealError, match="forbidden_value"):
            form_sealer.unseal(forger.seal(Forged(sealed), session_id="s"), session_id="s")
