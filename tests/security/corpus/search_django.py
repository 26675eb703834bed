"""The part of the search that needs a Django project: recipes and forms, with the models of the tests."""

import itertools
from collections.abc import Iterator
from functools import partial
from typing import Any

from tests.support.django_project import configure

configure()

# These modules import models, and need the settings.
from django import forms  # noqa: E402
from forging import ForgingRegistry, forged  # noqa: E402

from sealedsession.errors import SealedSessionError, StaleStateError, UnsealError  # noqa: E402
from sealedsession.integrations.django.values import DjangoRegistry, registry  # noqa: E402
from sealedsession.state.payload import StatePayload  # noqa: E402
from tests.security.corpus.search import Found, cost  # noqa: E402

PRIME = 2**61 - 1
BOOK = "testapp.Book"
_UP = "author" + "__mentor" * 30
_INNER = (BOOK, "", None, [("values", ["author"])])

# Steps that cost something, by what they do; each is taken as often as the budget lets it.
STEPS: dict[str, Any] = {
    "filter": ("filter", ("title__exact", "x")),
    "filter on many rows": ("filter", ("tags__name", "x")),
    "many conditions": ("filter", ["OR", False, *[("pages", 1)] * 60]),
    "alternatives": ("filter", ["XOR", False, ["XOR", False, *[("pages", 1)] * 8], ("title", "x")]),
    "negation": ("filter", ["AND", True, ("tags__name", "x"), ("reviews__stars", 1)]),
    "long path": ("filter", (_UP + "__name", "x")),
    "long path in a negation": ("filter", ["AND", True, ("tags__books__" + _UP + "__name", "x")]),
    "list": ("filter", ("pages__in", [*range(60)])),
    "colliding list": ("filter", ("pages__in", [n * PRIME for n in range(1, 60)])),
    "query within": ("filter", ("author__in", "q", _INNER)),
    "annotation": ("annotate", "n{}", ("+", ("F", "pages"), ("value", 1))),
    "aggregate": ("annotate", "n{}", ("Count", ("F", "tags"), {"distinct": True, "filter": ("tags__name", "x")})),
    "alias of a column": ("alias", "n{}", ("F", "author__name")),
    "alias of an annotation": ("alias", "n{}", ("+", ("F", "pages"), ("F", "pages"))),
    "values": ("values", ["title", "author__name"]),
    "order": ("order_by", ["author__mentor__name", "-title", ("F", "pages")]),
    "long order": ("order_by", [_UP, _UP + "__name"]),
    "distinct": ("distinct", []),
    "only": ("only", ["title", "author__name"]),
    "related": ("select_related", [_UP]),
    "all related": ("select_all_related",),
    "prefetched": ("prefetch_related", ["author__mentor__books__tags"]),
    "reversed": ("reverse",),
    "slice": ("slice", 0, None),
    "union": ("union", True, [(BOOK, "", None, [])] * 4),
    "union of filters": ("union", True, [(BOOK, "", None, [("filter", ["OR", False, *[("pages", 1)] * 30])])]),
}
QUICK = ("filter", "negation", "long path", "related", "aggregate", "union", "reversed")
_sealer = StatePayload(registry)
_forger = StatePayload(ForgingRegistry())


def _payload(value: Any) -> bytes | None:
    try:
        return _forger.dumps(value, None)
    except SealedSessionError:  # it is larger than a state can be
        return None


def _steps(names: tuple[str, ...], times: int) -> list[Any]:
    """Steps of two kinds in turn."""
    steps = [STEPS[names[number % len(names)]] for number in range(times)]
    return [tuple(part.format(n) if type(part) is str else part for part in step) for n, step in enumerate(steps)]


def _recipes(names: tuple[str, ...], times: int) -> Iterator[tuple[str, Any]]:
    """One recipe of so many steps, and as many recipes of two steps."""
    yield "steps", forged("dj.queryset", (BOOK, "", None, _steps(names, times)))
    yield "recipes", [forged("dj.queryset", (BOOK, "", None, _steps(names, 2)))] * (times // 2)


def _open(payload: bytes) -> Any:
    try:
        return _sealer.loads(payload)[1]
    except StaleStateError:
        return None


def _again(payload: bytes) -> None:
    try:
        _sealer.dumps(_open(payload), None)
    except UnsealError:
        raise
    except SealedSessionError:  # explaining has a budget too
        pass


def entries(quick: bool) -> Iterator[Found]:
    """The costs of recipes, alone and by twos, and of forms."""
    kinds = QUICK if quick else tuple(STEPS)
    for names in itertools.combinations_with_replacement(kinds, 2):
        for layout in ("steps", "recipes"):
            yield from _growing(names, layout)
    rows = [forged("dj.row", ("testapp.Ticket", n * PRIME, "default")) for n in range(1, 1000)]
    for name, value in {"colliding rows": rows}.items():
        if payload := _payload(value):
            yield Found("recipe", name, len(payload), cost(partial(_open, payload)))
    yield from _forms()


def _growing(names: tuple[str, ...], layout: str) -> Iterator[Found]:
    """More and more steps, until a payload is refused: the last is the costliest, or one before."""
    for times in (60, 120, 250, 500, 800, 1600, 3200):
        payload = _payload(dict(_recipes(names, times))[layout])
        if payload is None:
            return
        name = f"{times} {layout}: {' and '.join(dict.fromkeys(names))}"
        loops = cost(partial(_open, payload), 0.01)
        yield Found("recipe", name, len(payload), loops)
        try:
            _open(payload)
        except UnsealError:
            return
        if loops > 1:
            yield Found("call with recipes", name, len(payload), cost(partial(_again, payload), 0.01))


def _forms() -> Iterator[Found]:
    for number, fields in ((16, 32), (17, 1), (8, 64), (1, 512), (900, 30), (900, 0)):
        with_choices = {f"f{n}": forms.ChoiceField(choices=[(k, str(k)) for k in range(20)]) for n in range(fields)}
        made = DjangoRegistry()
        made.register_form(type("Wide", (forms.Form,), with_choices), "wide")
        forging = DjangoRegistry()
        cls = type("Forged", (tuple,), {})
        forging.register(cls, "wide", encode=tuple, decode=cls)
        payload = StatePayload(forging).dumps([cls((None, {}, None, None)) for _ in range(number)], None)
        payload_codec = StatePayload(made)
        yield Found(
            "form", f"{number} forms of {fields} fields", len(payload), cost(partial(payload_codec.loads, payload))
        )
