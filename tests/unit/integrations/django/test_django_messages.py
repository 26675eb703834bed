"""The texts of the Django integration's errors, as tests/unit/test_messages.py has the others."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django import forms
from django.contrib.sessions.backends.signed_cookies import SessionStore as SignedCookies
from django.core import checks
from django.core.files.base import ContentFile
from django.db import models
from django.db.models import Exists, F, OuterRef, Prefetch, Sum
from django.db.models.functions import Coalesce, Lower
from django.db.models.lookups import Exact
from django.template import Engine
from django.template.loader_tags import BlockNode
from django.test import RequestFactory, override_settings
from django.test.utils import isolate_apps
from forging import ForgingRegistry, forged
from testapp.models import Author, Book, Country, Tag

from sealedsession.integrations.django import conf, shortcuts
from sealedsession.integrations.django.sessions import describe_weak_settings, get_session_managers
from sealedsession.integrations.django.values import DjangoRegistry, registry
from sealedsession.state.resumable import Resumable
from sealedsession.state.sealer import StateSealer

KEYS = {
    "validate_key": "L2Y0Z3fREApcKqjQ1-5im1yDuPovUzVKx5plVATACO4",
    "encrypt_key": "nVrAjanE_Tr7gxWPUw3qHDpsRwra9JzaiZWEOZ_G9bw",
}
# The ends of many messages.
ADVICE = (
    ". Recipes support filter, exclude, Q, F and arithmetic, annotate and alias with the standard aggregates, values, "
    "order_by, slices, union, and names of relations and fields. Make the QuerySet in load(), whose attributes are not "
    "sealed, or seal primary keys"
)
CANNOT = "state: this testapp.models.BookQuerySet cannot be stored: recipes of QuerySets do not support "

Case = tuple[Callable[[], object], str]


def seal(value: object, known: DjangoRegistry = registry) -> str:
    return StateSealer(**KEYS, registry=known).seal(value, session_id="s")


def unseal(token: str) -> Any:
    return StateSealer(**KEYS, registry=registry).unseal(token, session_id="s")


def open_forged(code: str, data: object) -> Any:
    """Open what somebody with the keys has sealed under a code."""
    return unseal(StateSealer(**KEYS, registry=ForgingRegistry()).seal(forged(code, data), session_id="s"))


def cause_of(code: str, data: object) -> None:
    """Raise the error that the decoder of a type has raised."""
    try:
        open_forged(code, data)
    except Exception as error:  # noqa: BLE001
        raise error.__cause__ or error from None


def recipe(*steps: Any, label: Any = "testapp.Book", manager: Any = "", using: Any = None) -> Any:
    return open_forged("dj.queryset", (label, manager, using, list(steps)))


def books() -> Any:
    return Book.objects.all()


def book(**values: Any) -> Any:
    return Book.objects.create(title="A", isbn="1", author=Author.objects.create(name="Ada"), **values)


def nested(levels: int) -> Any:
    """A condition of this many levels."""
    condition: Any = ("title__exact", "A")
    for _ in range(levels):
        condition = ["AND", True, condition]
    return condition


def gone() -> object:
    token = seal(Tag.objects.create(name="a"))
    Tag.objects.all().delete()
    return unseal(token)


def tag(pk: object) -> Tag:
    made = Tag.objects.create(pk=1, name="a")
    made.pk = pk
    return made


def of_another_model() -> Any:
    with isolate_apps("testapp"):

        class Tag(models.Model):
            class Meta:
                app_label = "testapp"

    return Tag


def saved(row: Any) -> Any:
    row._state.adding = False
    return row


def a_file() -> Any:
    made = book()
    made.sample = ContentFile(b"text", name="a.txt")
    return made.sample


class Search(forms.Form):
    """A form."""

    a = forms.CharField()


class Needy(forms.Form):
    """A form with an argument of its own."""

    def __init__(self, user: object, **options: Any) -> None:
        super().__init__(**options)


class Same(Exact):
    """A lookup without a name."""

    lookup_name = None


def registered() -> DjangoRegistry:
    made = DjangoRegistry()
    made.register_form(Search)
    return made


def with_settings(function: Callable[[], object], **settings: Any) -> object:
    with override_settings(**settings):
        return function()


def request_with(session: Any) -> Any:
    made = RequestFactory().get("/")
    made.session = session
    return made


def block_of(template: Any) -> Any:
    (node,) = template.nodelist.get_nodes_by_type(BlockNode)
    return node


def separate_engine() -> Any:
    loader = ("django.template.loaders.locmem.Loader", {"a.html": "{% block a %}{% endblock %}"})
    return Engine(loaders=[loader]).get_template("a.html")


SETTINGS_ERRORS: list[tuple[Any, str]] = [
    ([], "SEALEDSESSION: must be a dict, got a list"),
    ({"STATES": {}}, "SEALEDSESSION: unknown entry 'STATES'. Did you mean 'STATE'?"),
    ({"max_age": 1}, "SEALEDSESSION: unknown entry 'max_age'. Known entries: SESSION, SESSION_ID, STATE"),
    ({"STATE": 3600}, 'SEALEDSESSION["STATE"]: must be a dict, got an int'),
    (
        {"STATE": {"on_event": "nowhere.note"}},
        "SEALEDSESSION[\"STATE\"]: on_event is 'nowhere.note', which cannot be imported: No module named 'nowhere'",
    ),
    ({"SESSION_ID": "cookie"}, 'SEALEDSESSION["SESSION_ID"]: must be "django" or "sealedsession", got a str'),
    (
        {"STATE": {"max_age": 0}},
        'SEALEDSESSION["STATE"]: max_age: must be an int of seconds, 1 to 2**32 - 1, got an int',
    ),
]

ERRORS: list[Case] = [
    (lambda: conf.register(5, "five"), "register: 5 is not a subclass of Resumable. Derive the class from Resumable"),
    (
        lambda: conf.register(type("Odd", (Resumable,), {})) and conf.register(type("Odd", (Resumable,), {})),
        "register: Odd, or another class with the code 'Odd', is registered already. Pass a "
        "different code: register(cls, code)",
    ),
    (
        lambda: with_settings(conf.get_state_sealer, SECRET_KEY="short"),
        "SECRET_KEY: a secret needs at least 32 characters, got 5. Make one with: python -m "
        "sealedsession keygen. Or keep it, and set keys of their own: validate_key and encrypt_key in "
        'SEALEDSESSION["STATE"]',
    ),
    (
        lambda: shortcuts.seal(1, RequestFactory().get("/")),
        "request: has no Django session. Add django.contrib.sessions.middleware.SessionMiddleware "
        "to MIDDLEWARE, or, if SessionMiddleware of sealedsession wraps the application, set "
        'SEALEDSESSION = {"SESSION_ID": "sealedsession"}',
    ),
    (
        lambda: shortcuts.seal(1, request_with(SignedCookies("a"))),
        "SESSION_ENGINE: sessions in signed cookies have no stable id, and state belongs to a "
        "session id. Choose another engine, such as django.contrib.sessions.backends.db, or wrap "
        "the application in SessionMiddleware of sealedsession and set SEALEDSESSION = "
        '{"SESSION_ID": "sealedsession"}',
    ),
    (
        lambda: with_settings(
            lambda: shortcuts.seal(1, RequestFactory().get("/")), SEALEDSESSION={"SESSION_ID": "sealedsession"}
        ),
        'SEALEDSESSION["SESSION_ID"]: is "sealedsession", but the request has no such session. Wrap '
        "the application, in wsgi.py or asgi.py, in SessionMiddleware of sealedsession.wsgi or "
        "sealedsession.asgi",
    ),
    # Rows and files.
    (lambda: gone(), "1 of 1 rows of testapp.Tag no longer exist in 'default'"),
    (
        lambda: seal(Tag(name="a")),
        "state: this testapp.models.Tag cannot be stored: this testapp.Tag has no row, or its row "
        "was deleted. Save the instance first",
    ),
    (
        lambda: seal(tag(1.5)),
        "state: this testapp.models.Tag cannot be stored: primary key: expected int, got float. It "
        "would come back as the row of 1",
    ),
    (
        lambda: seal(saved(of_another_model()(pk=1))),
        "state: this test_django_messages.of_another_model.<locals>.Tag cannot be stored: the label "
        "testapp.Tag belongs to another model",
    ),
    (
        lambda: seal(a_file()),
        "state: this django.db.models.fields.files.FieldFile cannot be stored: the file of the "
        "field 'sample' is not stored yet. Save the instance first",
    ),
    (
        lambda: seal(type(a_file())(None, Book._meta.get_field("sample"), "a.txt")),
        "state: this django.db.models.fields.files.FieldFile cannot be stored: this file belongs to no model instance",
    ),
    (
        lambda: open_forged("dj.row", ("testapp.Scroll", 1, "default")),
        "the model 'testapp.Scroll' is no longer installed",
    ),
    (
        lambda: open_forged("dj.row", ("testapp.Tag", 1, "nowhere")),
        "a row of testapp.Tag: the database 'nowhere' is no longer in DATABASES",
    ),
    (
        lambda: open_forged("dj.row", ("testapp.Tag", "a", "default")),
        "testapp.Tag no longer accepts the primary key of a row: ValidationError",
    ),
    (
        lambda: open_forged("dj.file", ("testapp.Book", book().pk, "default", "title")),
        "a file of testapp.Book: 'title' is no longer a field for files",
    ),
    (lambda: cause_of("dj.row", [1]), "forbidden_value: invalid data: a list instead of a tuple"),
    (lambda: cause_of("dj.row", (1,)), "forbidden_value: invalid data: a tuple with 1 members"),
    # Forms.
    (
        lambda: DjangoRegistry().register_form(Book),
        "<class 'testapp.models.Book'> is not a class of forms. Pass a subclass of django.forms.Form or ModelForm",
    ),
    (
        lambda: DjangoRegistry().register_form(Needy),
        "Needy needs other arguments than data, initial, prefix: missing a required argument: "
        "'user'. Give them defaults, or seal the values of the form",
    ),
    (
        lambda: seal(Search()),
        "state: values of type test_django_messages.Search cannot be stored in states. Register its "
        "class: sealedsession.integrations.django.values.registry.register_form(Search)",
    ),
    (
        lambda: seal([Search() for _ in range(17)], registered()),
        "state[16]: this test_django_messages.Search cannot be stored: too many forms: more than 16 "
        "forms, or 512 fields in them. Seal the values of the forms instead",
    ),
    (
        lambda: seal(Book.objects),
        "state: values of type django.db.models.manager.ManagerFromBookQuerySet cannot be stored in "
        "states. Seal its QuerySet: .all()",
    ),
    (
        lambda: seal(threading.Lock()),
        "state: values of type _thread.lock cannot be stored in states. Store plain values (str, "
        "int, list, dict, datetime ...), or register the type: "
        "sealedsession.integrations.django.values.registry.register(lock, 'lock', encode=..., "
        "decode=...)",
    ),
    # Blocks.
    (
        lambda: seal(BlockNode("a", [])),
        "state: this django.template.loader_tags.BlockNode cannot be stored: the block 'a' does not "
        "belong to a template that was loaded by name",
    ),
    (
        lambda: seal(block_of(separate_engine())),
        "state: this django.template.loader_tags.BlockNode cannot be stored: the block 'a' is "
        "missing from the template 'a.html', or is in it twice",
    ),
    (
        lambda: cause_of("dj.block", ("pages", "a" * 256, ("foot",))),
        "the name of a template or block must have at most 255 printable characters",
    ),
    (
        lambda: open_forged("dj.block", ("pages", "page.html", ("none",))),
        "the block 'none' of the template 'page.html' no longer exists",
    ),
    (lambda: cause_of("dj.anonymous", 5), "AnonymousUser must have no data"),
    # QuerySets.
    (
        lambda: seal(Book.objects.raw("SELECT 1")),
        "state: this django.db.models.query.RawQuerySet cannot be stored: raw SQL is never sealed. "
        "Make the query in load(), whose attributes are not sealed",
    ),
    (
        lambda: seal(books().extra(where=["1"])),
        CANNOT + "extra()" + ADVICE,
    ),
    (
        lambda: seal(books().annotate(x=Lower("title"))),
        CANNOT + "the expression Lower, in the annotation 'x'" + ADVICE,
    ),
    (
        lambda: seal(books().annotate(x=Coalesce("pages", "rating"))),
        CANNOT + "the expression Coalesce, in the annotation 'x'" + ADVICE,
    ),
    (
        lambda: seal(books().filter(Same(F("pages"), 1))),
        CANNOT + "the lookup Same, which has no name" + ADVICE,
    ),
    (
        lambda: seal(books().filter(author=OuterRef("pk"))),
        CANNOT + "the expression ResolvedOuterRef" + ADVICE,
    ),
    (
        lambda: seal(books().prefetch_related(Prefetch("tags"))),
        CANNOT + "a Prefetch object in prefetch_related(), only names" + ADVICE,
    ),
    (
        lambda: seal(books().select_for_update()),
        CANNOT + "select_for_update()" + ADVICE,
    ),
    (
        lambda: seal(books().filter(tags__name="a") & books().filter(tags__name="b")),
        CANNOT + "this combination of filters, annotations and values" + ADVICE,
    ),
    (
        lambda: seal(of_another_model()._default_manager.all()),
        CANNOT.replace("testapp.models.Book", "django.db.models.query.")
        + "<class 'test_django_messages.of_another_model.<locals>.Tag'>, whose label belongs to another model"
        + ADVICE,
    ),
    (lambda: recipe(("delete",)), "forbidden_value: invalid data: an unknown step"),
    (lambda: recipe(("filter", ["OR 1", False, ("title", 1)])), "forbidden_value: invalid data: an unknown connector"),
    (lambda: recipe(("annotate", "x", ("RawSQL", "1"))), "forbidden_value: invalid data: an unknown expression"),
    (
        lambda: recipe(("annotate", "x", ("Count", ("*",), {"template": "1"}))),
        "forbidden_value: invalid data: an unknown option of an aggregate",
    ),
    (
        lambda: recipe(("annotate", "-x", ("F", "pages"))),
        "forbidden_value: invalid data: an annotation whose name begins with a minus",
    ),
    (
        lambda: recipe(("annotate", "delete", ("value", 1))),
        "the annotation 'delete' would hide an attribute of testapp.Book",
    ),
    (
        lambda: recipe(("annotate", "_state", ("value", 1))),
        "forbidden_value: invalid data: the annotation '_state', whose name is private",
    ),
    (lambda: recipe(("slice", "0", 1)), "forbidden_value: invalid data: a str instead of a int"),
    (
        lambda: recipe(("order_by", [("order", ("F", "title"), 1, None, None)])),
        "forbidden_value: invalid data: a int instead of a bool",
    ),
    (
        lambda: recipe(("filter", ("title; DROP", 1))),
        "forbidden_value: invalid data: an invalid name of a field or lookup",
    ),
    (lambda: recipe(("filter", ("author", "nothing", 1))), "forbidden_value: invalid data: an unknown kind of operand"),
    (lambda: recipe(manager="rare"), "the manager 'rare' of testapp.Book no longer exists"),
    (lambda: recipe(using="archive2"), "the database 'archive2' is no longer in DATABASES"),
    (
        lambda: recipe(("prefetch_related", ["delete"])),
        "a QuerySet no longer fits the model 'testapp.Book': prefetch_related('delete'): 'delete' is not a relation",
    ),
    (
        lambda: recipe(("filter", ["XOR", False, ["XOR", False, *[["AND", False]] * 4500]])),
        "forbidden_value: invalid data: more than 16384 nodes. An annotation counts at each "
        "mention, XOR counts twice, a negated condition counts 16, a join counts 4, and each step "
        "counts 1/8 of the query so far",
    ),
    (lambda: cause_of("dj.queryset", [1]), "a recipe must be a tuple, got list"),
    (lambda: recipe(("slice", -1, 1)), "forbidden_value: invalid data: an invalid slice"),
    (
        lambda: recipe(("order_by", [("order", ("F", "title"), False, 1, None)])),
        "forbidden_value: invalid data: an invalid ordering",
    ),
    (
        lambda: recipe(("filter", ("title", {"a": 1}))),
        "forbidden_value: invalid data: a dict for a field that holds no dicts",
    ),
    (lambda: recipe(("filter", nested(40))), "forbidden_value: invalid data: more than 32 levels"),
    (
        lambda: seal(books().order_by(F("pages") % Exists(books()))),
        CANNOT + "the expression Exists" + ADVICE,
    ),
    (
        lambda: seal(books().annotate(x=Sum("pages", function="RANDOM"))),
        CANNOT + "options of Sum except distinct, filter, default and sample, in the annotation 'x'" + ADVICE,
    ),
    (lambda: cause_of("dj.row", ("testapp.Tag", None, "default")), "primary key: unsupported type NoneType"),
    (lambda: cause_of("dj.row", ("testapp.Tag", "1", "default")), "primary key: unexpected spelling"),
    (
        lambda: seal(saved(Country(code="a\0"))),
        "state: this testapp.models.Country cannot be stored: primary key: contains a NUL "
        "character, which some databases refuse",
    ),
    (
        lambda: shortcuts.seal(1, None),
        "request: must be an HttpRequest, got a NoneType. Check the order of the arguments",
    ),
    # Sessions.
    (
        lambda: with_settings(
            lambda: get_session_managers(renders=True), SECRET_KEY="k" * 5, SEALEDSESSION={"SESSION": {"leeway": 601}}
        ),
        "SECRET_KEY: a secret needs at least 32 characters, got 5. Make one with: python -m "
        "sealedsession keygen. Or keep it, and set keys of their own: validate_key and encrypt_key "
        'in SEALEDSESSION["SESSION"]',
    ),
    (
        lambda: with_settings(lambda: get_session_managers(renders=True), SEALEDSESSION={"SESSION": {"leeway": 601}}),
        'SEALEDSESSION["SESSION"], or a setting of Django: leeway=601: it must be 0 to 600 '
        "seconds. It is meant for inexact clocks, not for time zones",
    ),
]


def text_of(function: Callable[[], object]) -> str:
    """The text of the error that a call raises."""
    with pytest.raises(Exception) as caught:  # noqa: PT011
        function()
    return str(caught.value)


@pytest.fixture(autouse=True)
def project(db: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A database and templates, and no classes but those of a test."""
    monkeypatch.setattr(conf, "_classes", {})
    monkeypatch.setattr(conf, "_sealer", None)


@pytest.mark.parametrize(("section", "text"), SETTINGS_ERRORS, ids=str)
def test_settings_errors(section: Any, text: str) -> None:
    """The system check has this text for a mistake in the settings."""
    with override_settings(SEALEDSESSION=section):
        assert next(fault.msg for fault in checks.run_checks(tags=["sealedsession"])) == text


def test_the_warning_for_the_middleware() -> None:
    """The system check has this text for a missing middleware."""
    with override_settings(MIDDLEWARE=[]):
        (fault,) = checks.run_checks(tags=["sealedsession"])
    assert fault.msg == (
        "MIDDLEWARE: sealedsession.integrations.django.middleware.StateErrorMiddleware is missing. Add it last: "
        "without it, stale tokens are server errors"
    )


def test_the_warnings_for_the_cookie() -> None:
    """The system check has these texts for weak settings of the session's cookie."""
    weak = {"SESSION_COOKIE_SECURE": False, "SESSION_COOKIE_HTTPONLY": False, "SESSION_COOKIE_SAMESITE": None}
    with override_settings(**weak):
        assert list(describe_weak_settings()) == [
            "SESSION_COOKIE_SECURE: it is False, so that the cookie is sent over plain http. Set it to True",
            "SESSION_COOKIE_HTTPONLY: it is False, so that scripts can read the cookie. Set it to True",
            'SESSION_COOKIE_SAMESITE: other sites can send requests with the cookie. Set it to "Lax"',
        ]


@pytest.mark.parametrize(("provoke", "text"), ERRORS, ids=lambda value: value[:40] if isinstance(value, str) else "")
def test_errors(provoke: Callable[[], object], text: str) -> None:
    """The error that a mistake, or forged data, provokes has this text."""
    assert text_of(provoke) == text
