"""Hostile payloads in states that are sealed with the real keys: no code in them runs.

The command runs every case of the corpus in a process of its own. The other tests cover the known ways to make readers
of pickles run code, one by one.
"""

import copyreg
import functools
import json
import operator
import pickle
import re
import subprocess
import sys
import tracemalloc
import types
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from sealedsession.errors import NotSerializableError, StaleStateError, UnsealError
from sealedsession.sealing.keys import Keyring
from sealedsession.sealing.sealer import Sealer
from sealedsession.serialization.safe_pickle import PickleSerializer
from sealedsession.state.registry import StateRegistry
from sealedsession.state.resumable import Resumable
from sealedsession.state.sealer import StateSealer
from tests.security.corpus import marker, registered
from tests.security.corpus.assembler import (
    call,
    data,
    dic,
    glob,
    lst,
    num,
    o,
    ours,
    stock,
    text,
    tup,
    typed,
    without_head,
)
from tests.security.corpus.case import Case
from tests.security.corpus.cases import all_cases
from tests.support import ROOT

OWNER = {"session_id": "4f1c", "user": "ann"}
M = marker.__name__
CALL_HIT = call(M, "hit")


@pytest.fixture(scope="module")
def records() -> list[dict[str, Any]]:
    """Run the command, and return its records of all cases. It forks, so it must not have threads."""
    command = [sys.executable, "-m", "tests.security.corpus.state"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1800, check=True)
    return json.loads(done.stdout)


def test_the_whole_corpus(records: list[dict[str, Any]]) -> None:
    """No case runs code, imports, opens files, tampers with the process, exhausts memory or ends it."""
    assert {record["id"] for record in records} == {case.id for case in all_cases()}
    faults = {
        (record["id"], record["place"]): record
        for record in records
        if record["effects"]
        or record["events"]
        or record["outcome"] == "died"
        or record["error"] not in (None, "UnsealError", "LimitExceededError")
        or record["memory"] > 20 << 20
    }
    assert faults == {}


def expected(case: Case) -> str:
    """Return the result of our reader for the pickle without its head."""
    return case.headless if case.layout == "stock" else case.expect


def test_the_corpus_is_refused_and_read(records: list[dict[str, Any]]) -> None:
    """In a state, the results are the same as in a session, except for limits and the end of a payload. No payload of
    the corpus is a whole state.
    """
    by_id = {case.id: case for case in all_cases()}
    differing = {
        record["id"]
        for record in records
        if record["place"] == "inside" and expected(by_id[record["id"]]) not in ("bounded", record["outcome"])
    }
    assert differing == {
        "depth-list-256", "depth-tuple-256", "depth-dict-256",  # the state is two levels around them
        "length-size",  # a state may be larger
        "malformed-no-stop", "malformed-cut-at-1",  # the state has an end
    }  # fmt: skip
    assert {record["outcome"] for record in records if record["place"].startswith("whole")} == {"refused"}


# -------------------------------------------------------------------------------------------------------- by mechanism


class Thing(Resumable):
    """A resumable object."""

    def load(self, *args: object) -> None:
        self.args = args


@pytest.fixture
def states(keys: dict[str, str]) -> StateSealer:
    made = StateSealer(**keys, registry=registered.registry())
    made.register(Thing)
    return made


@pytest.fixture
def forge(keys: dict[str, str]) -> Callable[[bytes], str]:
    """Make a token with any payload, as an attacker with the keys can."""
    sealer = Sealer(Keyring(**keys), "state:state:4:4f1cann", compress=True)
    return lambda payload: sealer.seal(payload, created=1_700_000_000)


@pytest.fixture(autouse=True)
def nothing_ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Check after every test that no code of a payload has run."""
    monkeypatch.chdir(tmp_path)
    marker.HITS.clear()
    yield
    assert marker.HITS == []
    assert list(tmp_path.iterdir()) == []


def places(value: bytes) -> dict[str, bytes]:
    """Return states that contain a value, by the place of the value."""
    thing = text("Thing")
    return {
        "whole": ours(value),
        "value": ours(lst(o.NONE, value)),
        "code": ours(lst(value, tup(), dic(), dic())),
        "argument": ours(lst(thing, tup(value), dic(), dic())),
        "named argument": ours(lst(thing, tup(), dic(text("a"), value), dic())),
        "attribute": ours(lst(thing, tup(), dic(), dic(text("a"), value))),
        "name": ours(lst(thing, tup(), dic(), dic(value, o.NONE))),
        "typed value": ours(lst(o.NONE, typed("od", dic(text("a"), value)))),
        "element": ours(lst(o.NONE, typed("s", lst(value)))),
        "stock pickle": stock(value),
    }


def refuse(states: StateSealer, forge: Callable[[bytes], str], *values: bytes) -> None:
    """Check that values are refused in every place."""
    for value in values:
        for place, payload in places(value).items():
            with pytest.raises(UnsealError) as caught:
                states.unseal(forge(payload), **OWNER)
            assert (place, caught.value.reason) == (place, "forbidden_value")


def test_the_marker_works() -> None:
    """The code in the payloads below runs if pickle itself reads them."""
    assert pickle.loads(stock(CALL_HIT)) == "ran"
    assert marker.HITS == ["ran"]
    marker.HITS.clear()
    Path(marker.FILE).unlink()


def test_persistent_ids_that_carry_a_nested_pickle(states: StateSealer, forge: Callable[[bytes], str]) -> None:
    """A persistent id has a code and plain data. Pickles in the data are never read."""
    nested = stock(CALL_HIT)
    inside = [data(nested), data(without_head(nested)), o.SHORT_BINSTRING(nested), text(nested.decode("latin-1"))]
    pids = [pid for content in inside for pid in (content, tup(text("pickle"), content), tup(content, content))]
    pids += [tup(text("pickle"), data(b"")), tup(CALL_HIT, o.NONE), tup(text("s"), CALL_HIT), CALL_HIT]
    refuse(states, forge, *(pid + o.BINPERSID for pid in pids))
    refuse(
        states, forge, o.PERSID(nested), o.PERSID(b"pickle"), CALL_HIT + o.POP + tup(text("..."), o.NONE) + o.BINPERSID
    )
    for code in registered.registry().by_code:
        for content in inside[:2]:
            with suppress(UnsealError):  # a bytearray is made of bytes, for one
                assert states.unseal(forge(places(typed(code, content))["value"]), **OWNER) != marker.FILE
    assert states.unseal(states.seal({"data": nested}, **OWNER), **OWNER) == {"data": nested}


BUILDERS = [
    types.CodeType, types.FunctionType, types.MethodType, types.ModuleType, types.GenericAlias, types.SimpleNamespace,
    functools.partial, functools.partialmethod, functools.cached_property, functools.reduce, operator.methodcaller,
    operator.attrgetter, operator.itemgetter, type, object, property, classmethod, staticmethod, map, filter, super,
    eval, exec, compile, getattr, setattr, __import__, open, copyreg.__newobj__, types.new_class, pickle.loads,
]  # fmt: skip


@pytest.mark.parametrize("builder", BUILDERS, ids=lambda builder: builder.__qualname__)
def test_types_that_build_code_or_functions(states: StateSealer, forge: Callable[[bytes], str], builder: Any) -> None:
    """Types that make code, functions, classes or calls cannot be named, made, used as a class value, or sealed."""
    names = [(builder.__module__ or "builtins", builder.__qualname__), ("types", f"{builder.__name__.title()}Type")]
    refuse(states, forge, *(glob(*name) for name in names), *(call(*name, text("a"), o.EMPTY_TUPLE) for name in names))
    refuse(states, forge, *(o.GLOBAL(*name) + o.EMPTY_TUPLE + o.NEWOBJ for name in names))
    if builder is not object:
        refuse(states, forge, *(typed("t", text(name)) for name in (builder.__name__, ".".join(names[0]))))
    with pytest.raises(NotSerializableError):
        states.seal([builder], **OWNER)


@pytest.mark.parametrize(
    "value",
    [
        lambda: marker.hit(),
        compile("1", "", "eval"),
        functools.partial(marker.hit),
        operator.methodcaller("hit"),
        marker.hit,
        marker.Inner().hit,
        (_ for _ in ()),
        marker,
        types.SimpleNamespace(a=1),
        marker.OnInit,
        registered.Colour,
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_that_are_code(states: StateSealer, value: object) -> None:
    """Functions, code, calls, modules and classes are refused anywhere in a state."""
    thing = Thing()
    thing.value = value  # type: ignore[attr-defined]
    for attempt in (value, [value], {"a": (value,)}, Thing(value), thing):
        with pytest.raises(NotSerializableError):
            states.seal(attempt, **OWNER)


def test_whole_module_allowances(states: StateSealer, forge: Callable[[bytes], str]) -> None:
    """A registered class allows no other name of its module: no method, no member, not even itself."""
    module = registered.__name__
    names = [
        "Colour",
        "hit",
        "registry",
        "Colour.RED",
        "Colour.__init__",
        "Basket.append",
        "Row.hit",
        "dataclasses",
        "enum",
    ]
    refuse(states, forge, *(glob(module, name) for name in names), *(call(module, name) for name in names))
    codes = ["Colour", f"{module}.Colour", f"{module}:hit", module, "t:colour.RED", "t:", "t:hit", "datetime.datetime"]
    refuse(states, forge, *(typed(code, o.NONE) for code in codes))
    refuse(
        states, forge, typed("t", text("Colour")), typed("t", text(f"{module}.Colour")), typed("t:colour", text("RED"))
    )
    assert states.unseal(forge(places(typed("t:colour", num(1)))["value"]), **OWNER) is registered.Colour.RED


@pytest.mark.parametrize(
    "code",
    [
        "hit",
        "tests.security.corpus.marker.OnInit",
        "tests.security.corpus.probe",
        "os:system",
        "builtins.eval",
        "object",
    ],
)
def test_codes_of_classes_are_not_looked_up(states: StateSealer, forge: Callable[[bytes], str], code: str) -> None:
    """The code of a class is only a key of the registered classes. Nothing is imported by it."""
    before = set(sys.modules)
    for payload in (lst(text(code), tup(text("true")), dic(), dic()), lst(text(code), tup(), dic(), dic())):
        with pytest.raises(StaleStateError, match=re.escape(f"{code[:60]!a}")):
            states.resume(forge(ours(payload)), **OWNER)
    assert set(sys.modules) == before


def test_cached_extension_codes(states: StateSealer, forge: Callable[[bytes], str]) -> None:
    """Extension codes, which pickle looks up and caches itself, are refused, cached or not."""
    codes = {"hit": 0xC5, "OnInit": 0x0ACD, "OnNew": 0x00C0FFED}
    for name, code in codes.items():
        copyreg.add_extension(M, name, code)
    try:
        one, two, four = o.EXT1(0xC5), o.EXT2(0x0ACD), o.EXT4(0x00C0FFED)
        for opcode in (one, two, four):
            assert callable(pickle.loads(stock(opcode)))  # it is found once, and kept
        refuse(states, forge, one, two, four, *(opcode + o.EMPTY_TUPLE + o.REDUCE for opcode in (one, two, four)))
        refuse(states, forge, four + o.EMPTY_TUPLE + o.NEWOBJ, o.EXT1(0xC6), o.EXT4(-1), o.EXT1(0))
    finally:
        for name, code in codes.items():
            copyreg.remove_extension(M, name, code)


def test_import_before_the_check(states: StateSealer, forge: Callable[[bytes], str]) -> None:
    """A module that a payload names is not imported before the payload is refused."""
    probe = "tests.security.corpus.probe"
    assert probe not in sys.modules
    refuse(
        states, forge, glob(probe, "name"), o.GLOBAL(probe, "name"), o.MARK + o.INST(probe, "name"), glob(probe, "a.b"),
        call("builtins", "__import__", text(probe)), call("importlib", "import_module", text(probe)),
        typed(probe, o.NONE), typed("t", text(probe)), typed("p:" + probe, o.NONE),
    )  # fmt: skip
    assert probe not in sys.modules


@pytest.mark.parametrize("size", [64 * 1024 + 1, 1 << 20, 30 << 20])
@pytest.mark.parametrize("fill", [b"\0", b"]", b"N"], ids=["zeros", "lists", "values"])
def test_unbounded_decompression(states: StateSealer, forge: Callable[[bytes], str], size: int, fill: bytes) -> None:
    """A token that inflates beyond the limit is refused without using more memory than the limit."""
    token = forge(fill * size)
    assert len(token) < 64 * 1024
    tracemalloc.start()
    try:
        with pytest.raises(UnsealError, match=r"^forbidden_value: .*\b65536\b"):
            states.unseal(token, **OWNER)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_as_much_as_may_be_inflated(states: StateSealer, forge: Callable[[bytes], str]) -> None:
    """A token that inflates to exactly the limit is read."""
    value = bytes(64 * 1024 - 10)
    assert (
        states.unseal(forge(PickleSerializer().dumps([None, b""])[:-4] + o.BINBYTES(value) + b"e."), **OWNER) == value
    )


def test_references_are_not_fetched_for_forged_states(keys: dict[str, str], forge: Callable[[bytes], str]) -> None:
    """A payload with a forbidden value fetches no references."""
    fetched: list[object] = []
    registry = StateRegistry()
    registry.register_base(
        marker.Inner, "inner", encode=vars, decode=lambda data: data, fetch=lambda all_: fetched.append(all_) or all_
    )
    states = StateSealer(**keys, registry=registry)
    reference = typed("inner", num(1))
    for bad in (CALL_HIT, typed("unknown", o.NONE), o.EXT1(1), reference + o.REDUCE):
        with pytest.raises(UnsealError):
            states.unseal(forge(ours(lst(o.NONE, lst(reference, bad)))), **OWNER)
    assert fetched == []


def test_stock_pickles(keys: dict[str, str], forge: Callable[[bytes], str]) -> None:
    """Standard pickles of an application's objects are refused in every binary protocol."""
    states = StateSealer(**keys)
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        for value in ([None, 1], Thing(), marker.OnInit.__new__(marker.OnInit), {"a": {1, 2}}):
            with pytest.raises(UnsealError, match=r"^forbidden_value:"):
                states.unseal(forge(pickle.dumps(value, protocol)), **OWNER)
