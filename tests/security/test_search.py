"""The search for the most expensive payloads: it uses the bounds of the docs, and finds payloads that exceed them."""

import re
from collections.abc import Iterator
from functools import partial

import pytest

from sealedsession.errors import UnsealError
from sealedsession.serialization.limits import DEFAULT_LIMITS, Limits, StateLimits
from sealedsession.serialization.registry import Registry
from sealedsession.serialization.safe_pickle import PickleSerializer
from tests.security.corpus import search
from tests.security.corpus.assembler import o
from tests.security.corpus.collisions import pairs
from tests.security.corpus.search import BOUNDS, Found
from tests.support import ROOT

SECURITY = (ROOT / "docs" / "internals" / "payload.rst").read_text()


def test_the_bounds_are_those_of_the_docs() -> None:
    """The table in the docs has each entry point with the bound of the search."""
    section = SECURITY.split(".. _costs:")[1].split("The corpus\n")[0]
    rows = re.findall(r"^   \* - (.+)\n     - (\d+)$", section, re.MULTILINE)
    assert {entry: int(bound) for entry, bound in rows} == BOUNDS


@pytest.mark.parametrize("limits", [DEFAULT_LIMITS, StateLimits()], ids=["cookie", "state"])
def test_elements_of_a_pair_collide(limits: Limits) -> None:
    """All keys of a payload of the search have one hash."""
    serializer = PickleSerializer(Registry(), limits)
    for name, payload in search.collisions(limits, True):
        if "%" in name:
            keys = serializer.loads(payload + o.STOP)
            assert isinstance(keys, dict)
            assert (name, len({*map(hash, keys)}), len(keys) > 15) == (name, 1, True)


@pytest.mark.parametrize("entry", ["cookie", "state"])
def test_two_kinds_are_no_worse_than_promised(entry: str) -> None:
    """The most expensive pairs of types stay within the bound of their reader."""
    limits = DEFAULT_LIMITS if entry == "cookie" else StateLimits()
    serializer = PickleSerializer(Registry(), limits)
    slow = ("int-network", "decimal-network", "network-uuid", "fraction-network", "in-float-fraction")
    for name, payload in search.collisions(limits, True):
        if name.split()[0] in slow:
            loops = search.cost(partial(serializer.loads, payload + o.STOP))
            assert (name, loops) < (name, BOUNDS[entry])


def test_all_kinds_are_tried_with_all_others() -> None:
    """Each type with a selectable hash is paired with itself, and with every type that can have this hash."""
    names = [name for name, _, _ in pairs()]
    assert len(names) == len(set(names)) >= 40
    assert {"int-int", "int-tuple", "tuple-fraction", "fraction-network", "in-float-fraction"} <= set(names)


def test_the_worst_is_found() -> None:
    """The search keeps the most expensive payload of each entry point."""
    found = [Found("state", "a", 1, 0.1), Found("state", "b", 1, 0.3), Found("state", "c", 1, 0.2)]
    assert search.worst(iter(found), lambda _: None) == [found[1]]


def test_a_cost_is_that_of_work_that_is_refused_too() -> None:
    """Expensive payloads that are refused in the end are found, too."""

    def refused() -> None:
        sum(range(3_000_000))
        raise UnsealError("forbidden_value", "after all")

    assert search.cost(refused) > 0.2


def test_a_bound_that_does_not_hold(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The command prints the highest cost next to the bound, and fails if it exceeds the bound."""

    def entries(loops: float) -> Iterator[Found]:
        yield Found("state", "x", 1, loops)

    monkeypatch.setattr(search.subprocess, "run", lambda *_, **__: type("Done", (), {"stdout": "[]"}))
    for loops, status in ((BOUNDS["state"] - 0.5, 0), (BOUNDS["state"] + 0.5, 1)):
        monkeypatch.setattr(search, "plain_entries", lambda _, loops=loops: entries(loops))
        assert search.main([]) == status
        assert re.search(rf"^state +{loops:.2f} +{BOUNDS['state']}  x", capsys.readouterr().out, re.MULTILINE)
