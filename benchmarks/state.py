"""Measure sealed state: a resumable object, and a Tetra component on Tetra's own state layer and on ours.

All contain the same data, up to 1 KB. A component is sealed in one request and opened in the next. Each call therefore
has its own request, for which Tetra derives a key; the row "same request" shows that cost. The measurement runs in a
separate process, because Django's settings can be made only once.
"""

import json
import logging
import statistics
import subprocess
import sys
import warnings
from collections.abc import Mapping
from functools import partial
from typing import Any

from harness import both, measure, ratio
from peers import OUR_KEYS, SECRET
from tables import Table

REFERENCE = "sealedsession, resumable object"
CONTROL = "control"
IN_TETRA = "sealedsession in Tetra, component"
TETRA = "Tetra, component"
SAME_REQUEST = "Tetra, component, same request"
OPERATIONS = ("seal", "unseal", "seal + unseal")
USER = "margarete"

STATES: dict[str, dict[str, Any]] = {
    "counter": {"count": 3, "step": 1},
    "form": {
        "name": "Margarete Muster",
        "email": "margarete@example.org",
        "street": "Am Tabor 12",
        "city": "1020 Wien",
        "newsletter": True,
        "birthday": None,
        "form_errors": {"street": ["Enter a house number."]},
        "step": 2,
    },
    "list": {
        "rows": [
            {"id": 100200 + 37 * number, "title": f"A thing to do, number {number}", "done": number % 3 == 0}
            for number in range(10)
        ],
        "filters": {"query": "thing", "page": 3, "ordering": "-published"},
        "selected": [100200, 100274],
    },
}
# The markup that the tag of a component adds.
CONTEXT = {
    "tetra": {
        "current_url": "https://example.org/things/?page=3",
        "current_url_path": "/things/",
        "current_url_full_path": "/things/?page=3",
    }
}


def run() -> tuple[list[Table], list[str]]:
    """Return tables of the ratios and of the bytes of tokens, and the times of the reference."""
    done = subprocess.run([sys.executable, __file__], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        return [], [f"state was not measured: {__file__} failed"]
    answer = json.loads(done.stdout)
    return [Table.of_json(table) for table in answer["tables"]], answer["notes"]


def main() -> None:
    """Measure, and print JSON."""
    _set_up()
    tables = {
        operation: Table(
            f"state-{operation.replace(' + ', '-and-')}",
            f"{operation.capitalize()}, ratio to the reference",
            list(STATES),
        )
        for operation in OPERATIONS
    }
    sizes = Table("state-bytes", "Characters of the token", list(STATES), "bytes")
    notes = []
    for name, values in STATES.items():
        cases, tokens = _cases(values)
        times = dict(measure(cases))
        microseconds = []
        for row in tokens:
            times["seal + unseal", row] = both(times, ("seal", row), ("unseal", row))
            sizes.rows.setdefault(row, []).append(len(tokens[row]))
        for operation, table in tables.items():
            for row in tokens:
                table.rows.setdefault(row, []).append(ratio(times, (operation, row), (operation, REFERENCE)))
            microseconds.append(f"{statistics.median(times[operation, REFERENCE]) * 1e6:.2f} us to {operation}")
        notes.append(f"{name}: the reference takes {', '.join(microseconds)}")
    for operation, table in tables.items():
        faster = [theirs / ours for theirs, ours in zip(table.rows[TETRA], table.rows[IN_TETRA], strict=True)]
        notes.append(f"{operation}: Tetra's own layer takes {', '.join(f'{times:.1f}' for times in faster)} times ours")
    print(json.dumps({"tables": [table.as_json() for table in [*tables.values(), sizes]], "notes": notes}))


def _set_up() -> None:
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    if not hasattr(warnings, "deprecated"):  # new in Python 3.13; Tetra 0.7 imports it on every version
        import typing_extensions

        warnings.deprecated = typing_extensions.deprecated  # type: ignore[attr-defined]
    import django
    from django.conf import settings

    apps = ("auth", "contenttypes", "sessions", "staticfiles")
    settings.configure(
        SECRET_KEY=SECRET,
        SEALEDSESSION={"STATE": OUR_KEYS},
        INSTALLED_APPS=["tetra", *(f"django.contrib.{app}" for app in apps)],
        SESSION_ENGINE="django.contrib.sessions.backends.cache",
        STATIC_URL="/static/",
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
    )
    django.setup()


def _cases(values: Mapping[str, Any]) -> tuple[dict[Any, Any], dict[str, str]]:
    """Return the functions to measure, by operation and row, and the tokens."""
    import tetra.state
    from django.contrib.auth.models import User
    from django.contrib.sessions.backends.cache import SessionStore
    from django.template import Context

    from sealedsession.integrations import tetra as ours
    from sealedsession.state.resumable import Resumable
    from sealedsession.state.sealer import StateSealer

    session, user = SessionStore(), User(username=USER)
    session.create()

    class Request:
        """The part of a request that the functions use."""

        META: Mapping[str, str] = {}

        def __init__(self) -> None:
            self.session, self.user = session, user

    part = _component_class()
    component = part(Request(), key="part-1", number=7, _context=Context(CONTEXT))
    for name, value in values.items():
        setattr(component, name, value)

    class Loaded(Resumable):
        def load(self, number: int) -> None:
            self.number = number

    sealer = StateSealer(**OUR_KEYS)
    sealer.register(Loaded)
    loaded = Loaded(number=7)
    for name, value in component.__getstate__().items():
        if name[0] != "_":
            setattr(loaded, name, value)
    if "_context" in component.__getstate__():  # Tetra leaves it out since 0.9
        loaded.context = CONTEXT
    owner = {"session_id": session.session_key, "user": USER}
    resumable = partial(sealer.seal, loaded, **owner), partial(sealer.resume, **owner)

    def encoding(encode: Any, make_request: Any) -> Any:
        def encode_one() -> str:
            component.request = make_request()
            return encode(component)

        return encode_one

    def decoding(decode: Any, make_request: Any) -> Any:
        return lambda token: decode(token, make_request())

    same = Request()
    own = tetra.state.encode_component, tetra.state.decode_component
    ours.install()
    installed = tetra.state.encode_component, tetra.state.decode_component
    tetra.state.encode_component, tetra.state.decode_component = own
    pairs = {
        REFERENCE: resumable,
        CONTROL: resumable,
        IN_TETRA: (encoding(installed[0], Request), decoding(installed[1], Request)),
        TETRA: (encoding(own[0], Request), decoding(own[1], Request)),
        SAME_REQUEST: (encoding(own[0], lambda: same), decoding(own[1], lambda: same)),
    }
    cases, tokens = {}, {}
    for row, (to_token, from_token) in pairs.items():
        tokens[row] = to_token()
        again = from_token(tokens[row])
        if any(getattr(again, name) != value for name, value in values.items()):
            raise ValueError(f"{row} returns other values than those that were sealed")
        cases["seal", row], cases["unseal", row] = to_token, partial(from_token, tokens[row])
    return cases, tokens


def _component_class() -> Any:
    """A usual component: registered, with public attributes, and one that it loads."""
    from tetra import Component, Library, public

    class Part(Component):
        template = "<div></div>"
        count = public(0)

        def load(self, number: int) -> None:
            self.number = number

        @public
        def increase(self) -> None:
            self.count += 1

    Part.__qualname__ = "Part"
    globals()["Part"] = Part  # Tetra finds it by this name
    return Library("benchmarks", "auth").register(Part)


if __name__ == "__main__":
    main()
