"""The sections about values in docs/howto/django.rst: their tables and examples are correct."""

import json
import re
import textwrap
from typing import Any

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.db.models import QuerySet
from django.test import RequestFactory
from test_querysets import EVERY, UNSUPPORTED
from testapp.models import Book

from sealedsession.errors import StaleStateError
from sealedsession.integrations.django import conf, querysets, shortcuts
from sealedsession.integrations.django.querysets.spec import AGGREGATES, STEPS
from sealedsession.integrations.django.values import registry
from tests.support import ROOT
from tests.support.pages import blocks, literals, rows, section

PAGE = (ROOT / "docs" / "howto" / "django.rst").read_text()
# Steps with another name than the method that makes them.
CALLED = {"sticky": "filter", "flat": "values_list", "named": "values_list", "select_all_related": "select_related"}


def execute_block(name: str) -> dict[str, Any]:
    """Execute a file of the page's project, and return its names."""
    (code,) = re.findall(rf":caption: {name}\n\n((?:   .*\n|\n)+)", PAGE)
    namespace: dict[str, Any] = {"__name__": name.removesuffix(".py").replace("/", ".")}
    exec(textwrap.dedent(code), namespace)
    return namespace


@pytest.mark.usefixtures("shop")
def test_rows_and_query_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The classes with a row and with a QuerySet work as described, call after call."""
    monkeypatch.setattr(conf, "_classes", {})
    monkeypatch.setattr(conf, "_sealer", None)
    classes = execute_block("shop/shelves.py")
    request = RequestFactory().get("/")
    request.session = SessionStore()

    def called(token: str, name: str, *args: object) -> tuple[str, Any]:
        request._body = json.dumps({"token": token, "method": name, "args": args}).encode()
        request.method, request.content_type = "POST", "application/json"
        answer = json.loads(shortcuts.handle(request).content)
        return answer["token"], answer["result"]

    book = Book.objects.get(title="B")
    line, shelf = (shortcuts.seal(it, request) for it in (classes["Line"](book), classes["Shelf"](Book.objects.all())))
    line, _ = called(line, "rename", "Book of B")
    Book.objects.filter(title="A").update(title="Book of A")
    shelf, found = called(shelf, "narrow", "book")
    assert sorted(found) == ["Book of A", "Book of B"]
    assert called(shelf, "narrow", "b")[1] == found
    assert called(shelf, "narrow", "of b")[1] == ["Book of B"]
    book.delete()
    with pytest.raises(StaleStateError):
        called(line, "rename", "again")


def test_the_table_of_recipes_has_every_step() -> None:
    """The table has every step, and no other names."""
    table = list(rows(section(PAGE, "Query sets")))
    named = {name for cell, *_ in table for name in literals(cell)}
    assert named - {"exclude", "Q", "using"} == {CALLED.get(step, step) for step in STEPS}
    (described,) = [cell for part, cell in table if "annotate" in part]
    assert set(AGGREGATES) <= set(literals(described))


def test_what_recipes_do_not_say_is_tested() -> None:
    """Every unsupported part on the page is tested."""
    (refused,) = re.findall(r"names\s+the\s+path\s+in\s+the\s+state\b[^:]+:\n\n(.+?)\n\n", PAGE, re.DOTALL)
    source = (ROOT / "tests" / "unit" / "integrations" / "django" / "test_querysets.py").read_text()
    (tested,) = re.findall(r"UNSUPPORTED: .+?\n}\n", source, re.DOTALL)
    names = set(literals(refused)) - {"QuerySet", "OuterRef"}
    assert len(names) > 10
    assert {name for name in names if not re.search(rf"\b{name}[(=]", tested)} == set()
    assert "OuterRef" in {part for _, part in UNSUPPORTED.values()}


@pytest.mark.usefixtures("shop")
def test_the_recipe_of_the_page() -> None:
    """The recipe on the page is that of such a QuerySet."""
    (shown,) = [code for code in blocks(section(PAGE, "Query sets"), "python") if "shop.Book" in code]
    recipe: Any = eval(shown)  # a tuple
    found = querysets.encode_queryset(EVERY["relations: foreign"]().order_by("-title")[:10])
    assert found == ("testapp.Book", "objects", *recipe[2:])
    assert type(querysets.fetch_querysets([("testapp.Book", *recipe[1:])])[0]) is QuerySet


def test_the_table_of_values_has_every_type() -> None:
    """The table has every type of the registry."""
    cells = " ".join(cell for cell, *_ in rows(section(PAGE, "What is sealed")))
    types = {entry.cls.__name__ for code, entry in registry.by_code.items() if code.startswith("dj.")}
    said = {"Model": "Model instance", "BlockNode": "Block of a template", "Promise": "Lazy text"}
    assert {name for name in types if said.get(name, name) not in cells} == {"RawQuerySet"}  # which is refused


def test_the_form_of_the_page() -> None:
    """The form on the page can be sealed."""
    form = execute_block("shop/forms.py")["Search"]
    assert registry.by_type.pop(form) is registry.by_code.pop("Search")
