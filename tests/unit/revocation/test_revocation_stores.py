"""Revocation stores: the contract of all stores, and the behaviour of each when its file or server fails."""

import asyncio
import ctypes
import gc
import importlib
import os
import re
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sealedsession import revocation
from sealedsession.errors import ConfigError, StoreError
from sealedsession.revocation import (
    CachedStore,
    Caller,
    Entry,
    MemoryStore,
    RedisStore,
    RevocationStore,
    SQLiteStore,
    merge,
    sqlite,
    store_from_url,
)
from sealedsession.revocation.memory import LEAST_SWEPT
from sealedsession.revocation.sqlite import FORK_WAIT, WRITE
from sealedsession.revocation.store import ALWAYS, session_key, subject_key
from tests.support.forks import fork, in_fork
from tests.support.pages import PAGES, block_with, run
from tests.support.redis_server import RedisServer

SESSION_ID, SESSION_ID_2 = bytes(range(16)), bytes(range(16, 32))
KEY, KEY_2 = session_key(SESSION_ID), subject_key("user:42")
ENTRY, SPARING = Entry(ALWAYS), Entry(1_800_000_000, SESSION_ID_2)
TTL = 100
TIMEOUT = 0.15  # seconds: of the stores that meet a fault here
PATIENT = 30  # seconds: of those that meet none, on a busy machine
SLACK = 10  # seconds that a busy machine may add: what hangs does so for good


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis_url(redis_server) -> str:
    """Return the URL of a running, empty server."""
    pytest.importorskip("redis").Redis.from_url(redis_server.url).flushall()
    return redis_server.url


@pytest.fixture(params=["memory", "sqlite", "redis", "cached", "documented"])
def make_store(request, tmp_path, clock) -> Callable[[], RevocationStore]:
    """Return a function that makes a store of each kind. The Redis store uses the clock of Redis."""
    if request.param == "redis":
        url = request.getfixturevalue("redis_url")
        return lambda: RedisStore(url, timeout=PATIENT)
    if request.param == "documented":
        return partial(documented_store, tmp_path / "table.db", clock)
    return {
        "memory": lambda: MemoryStore(clock=clock),
        "sqlite": lambda: SQLiteStore(tmp_path / "revoked.db", clock=clock, timeout=PATIENT),
        "cached": lambda: CachedStore(MemoryStore(clock=clock), clock=clock),
    }[request.param]


def test_every_store_is_exported() -> None:
    """The package exports the stores of all its modules, so that the option and the documentation can name them."""
    folder = Path(revocation.__file__).parent
    modules = [importlib.import_module(f"sealedsession.revocation.{path.stem}") for path in folder.glob("[!_]*.py")]
    stores = {name for module in modules for name, value in vars(module).items() if is_store(value)}
    assert {name for name in stores if not hasattr(revocation, name)} == set()


def is_store(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, RevocationStore)


def documented_store(path: Path, clock: Callable[[], float] = time.time) -> RevocationStore:
    """Make the store that docs/howto/revocation.rst shows as an example, with its table."""
    namespace = run(block_with(PAGES["howto/revocation"], "class TableStore"))
    namespace["time"] = SimpleNamespace(time=clock)
    kind = namespace["TableStore"]
    with closing(sqlite3.connect(path, timeout=PATIENT)) as connection:
        create = re.search("create table .*", kind.__doc__)[0]
        connection.execute(create.replace("create table", "create table if not exists"))
    return kind(lambda: sqlite3.connect(path, timeout=PATIENT, isolation_level=None))


@pytest.fixture
def two_stores(make_store, clock) -> tuple[RevocationStore, RevocationStore]:
    """Return a store and the same store in another process. Stores in memory are one object."""
    store = make_store()
    if isinstance(store, CachedStore):
        return store, store._store
    return store, store if isinstance(store, MemoryStore) else make_store()


@pytest.fixture(params=["sync", "async"])
def call(request):
    """Return a function that calls a method of a store, or its async variant in a new event loop."""

    def call(store, name, *arguments):
        if request.param == "sync":
            return getattr(store, name)(*arguments)
        return asyncio.run(getattr(store, f"a{name}")(*arguments))

    return call


@contextmanager
def fails(*words: str, within: float = TIMEOUT) -> Iterator[pytest.ExceptionInfo[StoreError]]:
    """Check that the block raises a `StoreError` that contains the words, in time."""
    begun = time.monotonic()
    with pytest.raises(StoreError) as caught:
        yield caught
    assert time.monotonic() - begun < within + SLACK
    for word in words:
        assert word in str(caught.value)


# ------------------------------------------------------------------------------------------------- the contract of all


def test_nothing_is_revoked_at_first(make_store, call):
    """An empty store finds nothing, for any number of keys."""
    assert call(make_store(), "find", [KEY, KEY_2]) == [None, None]


@pytest.mark.parametrize("entry", [ENTRY, SPARING, Entry(0), Entry(0, bytes(16))])
def test_entry_comes_back(make_store, call, entry):
    """`find` returns the entry of each key, in the order of the keys."""
    store = make_store()
    call(store, "revoke", KEY, entry, TTL)
    assert call(store, "find", [KEY_2, KEY]) == [None, entry]
    assert call(store, "find", [KEY, KEY_2, KEY]) == [entry, None, entry]
    assert all(type(found) is Entry for found in call(store, "find", [KEY]))


def test_keys_are_any_bytes(make_store, call):
    """Keys may contain zero bytes and invalid UTF-8."""
    store = make_store()
    call(store, "revoke", b"s\x00\xff", ENTRY, TTL)
    assert call(store, "find", [b"s\x00", b"s\x00\xff", b"s\x00\xfe"]) == [None, ENTRY, None]


SECOND = 1000  # `not_before` of the entry that is there
SESSION_ID_3 = bytes(range(32, 48))
MERGES = {  # as in the docstring of `merge`: the old entry, the new entry, the caller, and the merged entry
    "no old entry": (None, Entry(SECOND, SESSION_ID), None, Entry(SECOND, SESSION_ID)),
    "no old entry, with a caller": (
        None,
        Entry(SECOND, SESSION_ID),
        Caller((), 1, SESSION_ID, 2),
        Entry(SECOND, SESSION_ID),
    ),
    "both exempt none": (Entry(SECOND), Entry(SECOND + 1), None, Entry(SECOND + 1)),
    "both exempt the same": (
        Entry(SECOND, SESSION_ID),
        Entry(SECOND + 1, SESSION_ID),
        None,
        Entry(SECOND + 1, SESSION_ID),
    ),
    "both exempt the same, the new one earlier": (
        Entry(SECOND, SESSION_ID),
        Entry(SECOND - 1, SESSION_ID),
        None,
        Entry(SECOND, SESSION_ID),
    ),
    "only the old one exempts": (Entry(SECOND, SESSION_ID), Entry(SECOND), None, Entry(SECOND)),
    "only the old one exempts, the new one earlier": (
        Entry(SECOND, SESSION_ID),
        Entry(SECOND - 1),
        None,
        Entry(SECOND),
    ),
    "only the new one exempts": (Entry(SECOND), Entry(SECOND + 1, SESSION_ID), None, Entry(SECOND + 1)),
    "they exempt different ones": (Entry(SECOND, SESSION_ID), Entry(SECOND + 1, SESSION_ID_2), None, Entry(SECOND + 1)),
    "the caller came later": (
        *(Entry(SECOND, SESSION_ID), Entry(SECOND + 1, SESSION_ID_2)),
        *(Caller((), SECOND + 1, SESSION_ID_2, SECOND + 1), Entry(SECOND + 1, SESSION_ID_2)),
    ),
    "the caller came later, and its entry is earlier": (
        *(Entry(SECOND, SESSION_ID), Entry(SECOND - 1, SESSION_ID_2)),
        *(Caller((), SECOND + 1, SESSION_ID_2, SECOND + 1), Entry(SECOND, SESSION_ID_2)),
    ),
    "the caller came in that second": (
        *(Entry(SECOND, SESSION_ID), Entry(SECOND + 1, SESSION_ID_2)),
        *(Caller((), SECOND + 1, SESSION_ID_2, SECOND), Entry(SECOND + 1)),
    ),
    "the caller came in that second, and the old one exempts none": (
        *(Entry(SECOND), Entry(SECOND, SESSION_ID_2)),
        *(Caller((), SECOND + 1, SESSION_ID_2, SECOND), Entry(SECOND)),
    ),
    "the old one exempts the caller": (
        *(Entry(SECOND, SESSION_ID), Entry(SECOND + 1, SESSION_ID_2)),
        *(Caller((), 1, SESSION_ID, 2), Entry(SECOND + 1, SESSION_ID_2)),
    ),
    "the caller has no lineage id": (
        *(Entry(SECOND), Entry(SECOND, SESSION_ID_2)),
        *(Caller((), SECOND + 1, b"", SECOND), Entry(SECOND)),
    ),
    "the caller suspends a user whose session was exempt": (
        *(Entry(SECOND, SESSION_ID), Entry(SECOND - 1)),
        *(Caller((), 1, SESSION_ID_2, SECOND + 5), Entry(SECOND)),
    ),
    "times beyond 31 bits": (Entry(2**31 - 1, SESSION_ID), Entry(2**31, SESSION_ID), None, Entry(2**31, SESSION_ID)),
    "for good": (Entry(ALWAYS), Entry(SECOND, SESSION_ID), Caller((), 1, SESSION_ID, ALWAYS), Entry(ALWAYS)),
}


@pytest.mark.parametrize(("old", "entry", "caller", "merged"), MERGES.values(), ids=MERGES)
def test_merge(make_store, call, old, entry, caller, merged):
    """Every store merges entries as `merge` does. `find` returns the result at once, even after earlier calls."""
    assert merge(old, entry, caller) == merged
    store = make_store()
    if old is not None:
        assert call(store, "revoke", KEY, old, TTL) is True
        assert call(store, "find", [KEY]) == [old]
    assert call(store, "revoke", KEY, entry, TTL, caller) is True
    assert call(store, "find", [KEY]) == [merged]


REFUSALS = {  # the entry under one of the caller's keys, the caller's created and lineage, and whether it is refused
    "created before": (Entry(SECOND), SECOND - 1, SESSION_ID, True),
    "created in that second": (Entry(SECOND), SECOND, SESSION_ID, True),
    "created later": (Entry(SECOND), SECOND + 1, SESSION_ID, False),
    "exempt": (Entry(SECOND, SESSION_ID), SECOND, SESSION_ID, False),
    "another one is exempt": (Entry(SECOND, SESSION_ID_2), SECOND, SESSION_ID, True),
    "without a lineage id": (Entry(SECOND), SECOND, b"", True),
    "without a lineage id, where another one is exempt": (Entry(SECOND, SESSION_ID), SECOND, b"", True),
    "created beyond 31 bits": (Entry(2**31), 2**31 - 1, SESSION_ID, True),
    "created later, beyond 31 bits": (Entry(2**31 - 1), 2**31, SESSION_ID, False),
    "for good": (Entry(ALWAYS), ALWAYS, SESSION_ID, True),
}


@pytest.mark.parametrize(("found", "created", "lineage", "refused"), REFUSALS.values(), ids=REFUSALS)
@pytest.mark.parametrize("key", [KEY, b"u of somebody else"], ids=["its own key", "another key"])
def test_revoked_caller_writes_nothing(two_stores, call, key, found, created, lineage, refused):
    """A session that is revoked under any of its keys writes no entry under any key."""
    assert found.refuses(created, lineage) is refused
    store, other = two_stores
    call(store, "find", [KEY])  # so that a cache knows something that is no longer true
    other.revoke(KEY, found, TTL)
    (before,) = call(other, "find", [key])
    caller, entry = Caller((b"s of the caller", KEY), created, lineage, ALWAYS), Entry(ALWAYS, lineage)
    assert call(store, "revoke", key, entry, TTL, caller) is not refused
    assert other.find([key]) == [before if refused else merge(before, entry, caller)]
    assert call(store, "find", [KEY]) == other.find([KEY])


@pytest.fixture
def frequent_switches() -> Iterator[None]:
    """Make threads switch very often."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("frequent_switches")
def test_one_of_many_callers_revokes_the_others(make_store):
    """Of sessions that revoke each other at the same time, exactly one succeeds. The entry exempts it."""
    store = make_store()
    stores = [store if isinstance(store, MemoryStore | CachedStore) else make_store() for _ in range(6)]
    together = threading.Barrier(len(stores), timeout=60)

    def work(number):
        lineage, found = bytes([number]) * 16, []
        for count in range(20):
            key = b"u%d" % count
            together.wait()
            found.append(stores[number].revoke(key, Entry(7, lineage), TTL, Caller((key,), 7, lineage, 7)))
        return found

    with ThreadPoolExecutor(len(stores)) as threads:
        rounds = list(zip(*threads.map(work, range(len(stores))), strict=True))
    assert [found.count(True) for found in rounds] == [1] * 20
    winners = [Entry(7, bytes([found.index(True)]) * 16) for found in rounds]
    assert store.find([b"u%d" % count for count in range(20)]) == winners


def test_ask_then_revoke(make_store, call):
    """An entry is found even if the key was looked up before."""
    store = make_store()
    assert call(store, "find", [KEY]) == [None]
    call(store, "revoke", KEY, ENTRY, TTL)
    assert call(store, "find", [KEY]) == [ENTRY]


def test_subject_by_name(make_store):
    """revoke_subject revokes all sessions of a subject that exist now."""
    store = make_store()
    store.revoke_subject("user:42", ttl=TTL)
    (entry,) = store.find([subject_key("user:42")])
    assert entry.exempt_lineage == b""
    assert abs(entry.not_before - time.time()) < 5


def test_many_threads(make_store):
    """Each of many concurrent threads finds its own entries."""
    store = make_store()

    def work(number):
        keys = [b"%d:%d" % (number, count) for count in range(20)]
        for key in keys:
            store.revoke(key, Entry(number), TTL)
            assert store.find([key]) == [Entry(number)]
        return store.find(keys)

    with ThreadPoolExecutor(8) as threads:
        for number, found in enumerate(threads.map(work, range(8))):
            assert found == [Entry(number)] * 20


def test_many_tasks_in_two_loops(make_store):
    """More tasks than the pool has connections can call a store, in one event loop and then in another."""
    store = make_store()
    store.revoke(KEY, ENTRY, TTL)

    async def work():
        return await asyncio.gather(*(store.afind([KEY, b"%d" % number]) for number in range(120)))

    assert asyncio.run(work()) == [[ENTRY, None]] * 120
    assert asyncio.run(work()) == [[ENTRY, None]] * 120


@pytest.mark.parametrize("make_store", ["memory", "sqlite", "cached", "documented"], indirect=True)
def test_entry_expires(make_store, clock, call):
    """An entry is found until it expires, and not afterwards. (Redis has tests of its own.)"""
    store = make_store()
    call(store, "revoke", KEY, ENTRY, TTL)
    clock.advance(TTL - 1)
    assert call(store, "find", [KEY]) == [ENTRY]
    clock.advance(1)
    assert call(store, "find", [KEY]) == [None]


@pytest.mark.parametrize("make_store", ["memory", "sqlite", "cached", "documented"], indirect=True)
def test_life_of_a_merged_entry(make_store, clock, call):
    """A merged entry expires at the later time of both. An expired entry is not merged."""
    store = make_store()
    for old, new in (TTL, 1), (1, TTL):
        call(store, "revoke", KEY, Entry(1001, SESSION_ID), old)
        call(store, "revoke", KEY, Entry(1000, SESSION_ID), new)
        clock.advance(TTL - 1)
        assert call(store, "find", [KEY]) == [Entry(1001, SESSION_ID)]
        clock.advance(1)
        assert call(store, "find", [KEY]) == [None]
    call(store, "revoke", KEY, Entry(999, SESSION_ID_2), 1)
    assert call(store, "find", [KEY]) == [Entry(999, SESSION_ID_2)]
    clock.advance(1)
    assert call(store, "revoke", KEY_2, ENTRY, TTL, Caller((KEY,), 1, b"", 1)) is True


@pytest.mark.parametrize(
    ("make", "option"),
    [
        (lambda: MemoryStore(clock=0), "clock"),
        (lambda: SQLiteStore(7), "path"),
        (lambda: SQLiteStore(""), "path"),
        (lambda: SQLiteStore("a\0b"), "path"),
        (lambda: SQLiteStore(b"revoked.db"), "path"),
        (lambda: SQLiteStore(":memory:"), "MemoryStore"),
        (lambda: SQLiteStore("file:revoked.db?mode=ro"), "path"),
        (lambda: SQLiteStore("revoked.db", timeout=0), "timeout"),
        (lambda: SQLiteStore("revoked.db", timeout="1"), "timeout"),
        (lambda: SQLiteStore("revoked.db", timeout=float("inf")), "timeout"),
        (lambda: SQLiteStore("revoked.db", clock=0), "clock"),
        (lambda: RedisStore(7), "url"),
        (lambda: RedisStore(prefix=b"s"), "prefix"),
        (lambda: RedisStore(timeout=-1), "timeout"),
        (lambda: RedisStore(timeout=True), "timeout"),
        (lambda: RedisStore("http://localhost"), "url"),
        (lambda: RedisStore("redis://localhost?socket_timeout=60"), "socket_timeout"),
        (lambda: RedisStore("redis://localhost?colour=red"), "colour"),
        (lambda: RedisStore(client_options={"decode_responses": True}), "decode_responses"),
        (lambda: RedisStore(client_options={"retry": None}), "timeout="),
        (lambda: RedisStore(client_options={"sockettimeout": 1}), "sockettimeout"),
        (lambda: RedisStore(client_options={"max_connections": -1}), "max_connections"),
        (lambda: CachedStore(None), "store"),
        (lambda: CachedStore(MemoryStore(), staleness=0), "staleness"),
        (lambda: CachedStore(MemoryStore(), staleness="1"), "staleness"),
        (lambda: CachedStore(MemoryStore(), size=0), "size"),
        (lambda: CachedStore(MemoryStore(), size=1.5), "size"),
        (lambda: CachedStore(MemoryStore(), clock=0), "clock"),
    ],
)
def test_wrong_options(make, option):
    """An option that has the wrong type or is out of range is refused by its name."""
    with pytest.raises(ConfigError, match=option):
        make()


def test_documented_store_fails_as_it_says(tmp_path, call):
    """The documented example raises `StoreError` if its database cannot be used, and writes nothing."""
    store = documented_store(tmp_path / "table.db")
    store.connect = lambda: sqlite3.connect(tmp_path / "table.db", timeout=TIMEOUT, isolation_level=None)
    other = sqlite3.connect(tmp_path / "table.db", isolation_level=None)
    other.execute("begin immediate")
    with fails("database is locked"):
        call(store, "revoke", KEY, ENTRY, TTL)
    other.close()
    assert call(store, "find", [KEY]) == [None]
    store.connect = lambda: sqlite3.connect(tmp_path / "missing" / "table.db")
    with fails("unable to open"):
        call(store, "find", [KEY])


def old_revoke(self, key, entry, ttl):
    """A method without the argument caller."""


@pytest.mark.parametrize("name", ["revoke", "arevoke"])
@pytest.mark.parametrize("bases", [(RevocationStore,), (MemoryStore,), (type("Mixin", (), {}), CachedStore)])
def test_store_without_the_argument_caller(name, bases):
    """A store class whose methods do not accept a caller is refused when it is defined."""
    with pytest.raises(TypeError, match=rf"Mine\.{name}: .*caller=None"):
        type("Mine", bases, {name: old_revoke})
    with pytest.raises(TypeError, match=rf"Mine\.{name}: .*caller=None"):
        type("Mine", (type("Mixin", (), {name: old_revoke}), *bases), {})


@pytest.mark.parametrize(
    "revoke",
    [
        lambda self, key, entry, ttl, caller=None: True,
        lambda self, key, entry, ttl, caller: True,
        lambda self, *arguments: True,
        lambda self, key, entry, ttl, session=None, more=None: True,
    ],
)
def test_store_with_the_argument_caller(revoke):
    """A store class whose methods accept a caller, under any name, can be defined."""
    type("Mine", (RevocationStore,), {"revoke": revoke, "arevoke": revoke})


times = st.integers(0, 3) | st.integers(2**31 - 2, 2**31 + 1) | st.just(ALWAYS)
lineages = st.sampled_from([b"", SESSION_ID, SESSION_ID_2, bytes(16), b"\xff" * 16])
keys = st.sampled_from([b"sa", b"ub"])
callers = st.none() | st.builds(Caller, st.lists(keys, max_size=2).map(tuple), times, lineages, times)
revocations = st.lists(st.tuples(keys, st.builds(Entry, times, lineages), callers), max_size=8)


@given(st.builds(Entry, times, lineages), st.builds(Entry, times, lineages), callers, times, lineages)
def test_merge_takes_nothing_back(old, entry, caller, created, lineage):
    """A merged entry revokes exactly the sessions that either entry revokes, with two exceptions.

    It does not revoke the session that the new entry exempts, if the old entry does not refuse the caller. It may
    revoke sessions that one of the entries exempts.
    """
    merged = merge(old, entry, caller)
    revoked, exempt = merged.refuses(created, lineage), lineage != b"" and lineage == entry.exempt_lineage
    if entry.refuses(created, lineage):
        assert revoked
    if old.refuses(created, lineage) and not revoked:
        assert exempt
        assert caller is not None
        assert not old.refuses(caller.arrived, caller.lineage)
    if revoked and not entry.refuses(created, lineage) and not old.refuses(created, lineage):
        assert lineage in (old.exempt_lineage, entry.exempt_lineage)
    assert merged.not_before == max(old.not_before, entry.not_before)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(revocations)
def test_stores_agree(redis_url, tmp_path_factory, revocations):
    """After any revocations, all stores have the entries, and have refused the callers, that `merge` demands."""
    raw_client(redis_url).flushall()
    stores = [
        MemoryStore(),
        SQLiteStore(tmp_path_factory.mktemp("store") / "revoked.db"),
        patient(redis_url),
        CachedStore(MemoryStore(), staleness=PATIENT),
        documented_store(tmp_path_factory.mktemp("store") / "table.db"),
    ]
    model = {}
    for number, (key, entry, caller) in enumerate(revocations):
        refused = caller is not None and any(
            model[each].refuses(caller.created, caller.lineage) for each in caller.keys if each in model
        )
        if not refused:
            model[key] = merge(model.get(key), entry, caller)
        for store in stores:
            written = (
                store.revoke(key, entry, TTL, caller)
                if number % 2
                else asyncio.run(store.arevoke(key, entry, TTL, caller))
            )
            assert written is not refused
            assert store.find([b"sa", b"ub"]) == [model.get(b"sa"), model.get(b"ub")]


# ------------------------------------------------------------------------------------------------------------- memory


def test_memory_is_bounded_by_the_window(clock):
    """The memory store has at most twice as many entries as are unexpired, and a constant."""
    store = MemoryStore(clock=clock)
    for number in range(3000):
        store.revoke(b"%d" % number, ENTRY, 200)
        clock.advance(1)
        assert len(store._kept) <= 2 * 200 + LEAST_SWEPT
    assert store.find([b"2801", b"2800", b"0"]) == [ENTRY, None, None]


def test_memory_of_one_key_is_one_entry(clock):
    """Repeated revocations of one subject need the memory of one entry."""
    store = MemoryStore(clock=clock)
    for number in range(1000):
        store.revoke(KEY, Entry(number), TTL)
    assert len(store._kept) == 1


# ------------------------------------------------------------------------------------------------------------- SQLite

CHILD = """
import sys
from sealedsession.revocation import Entry, SQLiteStore
store = SQLiteStore(sys.argv[1], timeout=30)
for line in sys.stdin:
    word, key = line.split()
    if word == "revoke":
        store.revoke(key.encode(), Entry(7), 100)
    print(store.find([key.encode()]), flush=True)
"""


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "revoked.db"


@contextmanager
def child_process(path: Path) -> Iterator[Callable[[str], str]]:
    """Run another process with a store at the same path, which executes commands."""
    command = [sys.executable, "-W", "error", "-c", CHILD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def send_line(line: str) -> str:
            process.stdin.write(line + "\n")
            process.stdin.flush()
            return process.stdout.readline().strip()

        yield send_line
        process.stdin.close()
        assert process.wait(60) == 0


def test_sqlite_two_processes(path):
    """Each of two processes finds the entries of the other, even after earlier look-ups."""
    store = SQLiteStore(path)
    with child_process(path) as send_line:
        assert send_line("find a") == "[None]"
        store.revoke(b"a", Entry(1), TTL)
        assert send_line("find a") == f"[{Entry(1)}]"
        assert send_line("revoke b") == f"[{Entry(7)}]"
        assert store.find([b"b"]) == [Entry(7)]


def test_sqlite_processes_that_start_together(path):
    """Processes that make the file at the same time all write their entries."""
    command = [sys.executable, "-W", "error", "-c", CHILD, str(path)]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    for number, process in enumerate(processes):
        process.stdin.write(f"revoke {number}\n")
    for process in processes:
        process.stdin.flush()
    for process in processes:
        assert process.communicate(timeout=60)[0].strip() == f"[{Entry(7)}]"
    assert SQLiteStore(path).find([b"%d" % number for number in range(6)]) == [Entry(7)] * 6


def test_sqlite_survives_kill(path):
    """An entry survives a SIGKILL of its process as soon as `revoke` has returned."""
    killed = "import os; store.revoke(b'a', Entry(7), 100); os.kill(os.getpid(), 9)"
    code = CHILD.split("for line")[0] + killed
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == -9
    assert SQLiteStore(path).find([b"a"]) == [Entry(7)]


def test_sqlite_writes_through_to_the_disk(path):
    """The database is in WAL mode with synchronous=FULL (2), so that a commit waits for the disk."""
    store = SQLiteStore(path)
    store.find([KEY])
    with store._connection() as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_sqlite_after_fork(path):
    """A child can use the store, its parent finds its entries, and they share no connection."""
    store = SQLiteStore(path)
    store.revoke(b"a", ENTRY, TTL)
    assert store._idle

    def work():
        inherited = list(store._idle)
        store.revoke(b"b", ENTRY, TTL)
        return not inherited and store.find([b"a", b"b"]) == [ENTRY, ENTRY]

    assert in_fork(work)
    assert store.find([b"b"]) == [ENTRY]


def test_sqlite_parent_closes_after_fork(path):
    """Entries of a child are not lost if the parent closes its connections meanwhile."""
    store = SQLiteStore(path)
    store.revoke(b"a", ENTRY, TTL)
    forked, closed = os.pipe(), os.pipe()
    child = fork()
    if child == 0:
        with suppress(BaseException):
            store.find([b"a"])
            os.write(forked[1], b".")
            os.read(closed[0], 1)
            store.revoke(b"b", ENTRY, TTL)
        os._exit(0)
    os.read(forked[0], 1)
    store.find([b"a"])
    del store
    gc.collect()  # the last connection of a process that knows of no other removes the log
    os.write(closed[1], b".")
    os.waitpid(child, 0)
    for end in (*forked, *closed):
        os.close(end)
    assert SQLiteStore(path).find([b"a", b"b"]) == [ENTRY, ENTRY]


@pytest.fixture
def fork_wait(monkeypatch) -> float:
    """Make FORK_WAIT short."""
    monkeypatch.setattr("sealedsession.revocation.sqlite.FORK_WAIT", TIMEOUT)
    return TIMEOUT


@contextmanager
def call_inside(store: SQLiteStore) -> Iterator[Callable[[], None]]:
    """Keep another thread inside a call that writes `KEY`, until the returned function is called."""
    begun, may_end, failed = threading.Event(), threading.Event(), []

    def work():
        try:
            with store._connection() as connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute(WRITE, (KEY, *ENTRY, time.time() + TTL))
                begun.set()
                may_end.wait(60)
                connection.execute("COMMIT")
        except BaseException as error:
            failed.append(error)
            raise

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(60)
    try:
        yield may_end.set
    finally:
        may_end.set()
        thread.join()
    assert not failed


def test_sqlite_fork_waits_for_a_call(path, tmp_path, monkeypatch):
    """A fork waits for the call of another thread, and no longer. The child finds the entry of that call."""
    monkeypatch.setattr("sealedsession.revocation.sqlite.FORK_WAIT", 2 * PATIENT)
    store, other = SQLiteStore(path), SQLiteStore(tmp_path / "other.db")
    other.revoke(KEY, ENTRY, TTL)
    with call_inside(store) as end_call:
        timer = threading.Timer(0.3, end_call)
        timer.start()
        begun = time.monotonic()
        found = in_fork(
            lambda: (
                store.find([KEY]) == other.find([KEY]) == [ENTRY]
                and store.revoke(KEY_2, ENTRY, TTL)
                and other.revoke(KEY_2, ENTRY, TTL)
            )
        )
        assert 0.25 < time.monotonic() - begun < PATIENT
        timer.join()
    assert found
    assert store.find([KEY, KEY_2]) == other.find([KEY, KEY_2]) == [ENTRY, ENTRY]


def test_sqlite_forks_do_not_wait_for_nothing(path, monkeypatch):
    """Consecutive forks do not wait if no call is running."""
    monkeypatch.setattr("sealedsession.revocation.sqlite.FORK_WAIT", 2 * PATIENT)
    store, begun = SQLiteStore(path), time.monotonic()
    for number in range(20):
        store.revoke(b"%d" % number, ENTRY, TTL)
        assert in_fork(lambda: True)
    assert time.monotonic() - begun < 2 * PATIENT


def test_sqlite_fork_while_a_call_is_stuck(path, tmp_path, fork_wait):
    """A fork waits for a stuck call only for `FORK_WAIT`. Its child and grandchild then fail and do not use SQLite.

    The parent and the call continue.
    """
    store, begun = SQLiteStore(path), time.monotonic()

    def all_fail():
        for each in store, SQLiteStore(tmp_path / "other.db"):
            with fails("forked"):
                each.find([KEY])
            with fails("forked"):
                each.revoke(KEY_2, ENTRY, TTL)
        return not (tmp_path / "other.db").exists()

    with call_inside(store):
        assert in_fork(lambda: all_fail() and in_fork(all_fail))
        assert store.find([KEY]) == [None]
        assert time.monotonic() - begun < fork_wait + SLACK
    assert store.find([KEY, KEY_2]) == [ENTRY, None]
    assert in_fork(lambda: store.find([KEY]) == [ENTRY])


def test_sqlite_call_that_a_fork_keeps_out(path, tmp_path):
    """A call that begins while a fork waits fails in time, and works after the fork."""
    store, other = SQLiteStore(path), SQLiteStore(tmp_path / "other.db", timeout=TIMEOUT)
    patient, forked, forker = SQLiteStore(path, timeout=PATIENT), [], None
    found = []
    # Not an executor: concurrent.futures starts no thread while a process forks.
    late = threading.Thread(target=lambda: found.append(patient.find([KEY])), daemon=True)
    with call_inside(store) as end_call:
        forker = threading.Thread(target=lambda: forked.append(in_fork(lambda: store.find([KEY]) == [ENTRY])))
        forker.start()
        while not sqlite._forks.forking:
            time.sleep(0.001)
        with fails("forks"):
            other.find([KEY])
        late.start()
        time.sleep(TIMEOUT)
        assert late.is_alive()
        assert not forked
        end_call()
        forker.join()
        late.join(SLACK)
        assert found == [[ENTRY]]
    assert forked == [True]
    assert other.find([KEY]) == [None]


def test_sqlite_store_that_goes_while_a_thread_forks(path, tmp_path):
    """Dropping a store while a fork waits does not block. The fork closes its connections."""
    store, other, forked = SQLiteStore(path), SQLiteStore(tmp_path / "other.db"), []
    other.find([KEY])
    idle = other._idle
    assert idle
    with call_inside(store) as end_call:
        forker = threading.Thread(
            target=lambda: forked.append(in_fork(lambda: not idle and store.find([KEY]) == [ENTRY]))
        )
        forker.start()
        while not sqlite._forks.forking:
            time.sleep(0.001)
        del other
        gc.collect()
        end_call()
        forker.join()
    assert forked == [True]


def test_sqlite_dropped_stores_leave_nothing(path):
    """Dropped stores leave no memory and no open connections."""
    before = len(sqlite._forks._idle)
    for _ in range(5):
        SQLiteStore(path).find([KEY])
    gc.collect()
    assert len(sqlite._forks._idle) == before
    assert not Path(f"{path}-wal").exists()  # which the last connection removes


@pytest.mark.parametrize("committed", [False, True])
def test_sqlite_fork_in_the_middle_of_its_own_call(path, committed):
    """A call whose thread forks, as in a signal handler, fails in parent and child unless it was committed.

    Afterwards both can revoke.
    """
    store, parent, begun = SQLiteStore(path, timeout=PATIENT), os.getpid(), time.monotonic()
    with nullcontext() if committed else fails("forked", within=PATIENT), store._connection() as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(WRITE, (KEY, *ENTRY, time.time() + TTL))
        if committed:
            connection.execute("COMMIT")
        child = fork()
        if not committed:
            connection.execute("COMMIT")
    found = [ENTRY if committed else None]
    if os.getpid() != parent:
        status = 1
        with suppress(BaseException):
            status = 0 if store.find([KEY]) == found and store.revoke(KEY_2, ENTRY, TTL) else 1
        os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert store.find([KEY, KEY_2]) == [*found, ENTRY]
    assert store.revoke(KEY, ENTRY, TTL)
    assert time.monotonic() - begun < FORK_WAIT


def test_sqlite_fork_by_c_code(path):
    """If C code forks without hooks, the child works if no connection was open."""
    store, c_fork = SQLiteStore(path), ctypes.PyDLL(None).fork
    begun, may_end = threading.Event(), threading.Event()

    def work():
        with sqlite._forks._changed:  # as every call does for a moment
            begun.set()
            may_end.wait(60)

    thread = threading.Thread(target=work)
    thread.start()
    begun.wait(60)
    assert in_fork(lambda: store.revoke(KEY, ENTRY, TTL), c_fork)
    may_end.set()
    thread.join()
    assert store.find([KEY]) == [ENTRY]


@pytest.mark.parametrize("dropped_first", [True, False])
def test_sqlite_fork_by_c_code_with_an_open_connection(path, dropped_first):
    """If C code forks while a connection is open, the child fails and does not touch the connection."""
    stores = [SQLiteStore(path)]
    stores[0].find([KEY])
    connection = stores[0]._idle[0][0]

    def drop():
        stores.clear()
        gc.collect()
        return connection.total_changes == 0  # an error if it is closed

    def fail():
        with fails("lazy-apps"):
            SQLiteStore(path).find([KEY])
        with fails("lazy-apps"):
            SQLiteStore(path).revoke(KEY, ENTRY, TTL)
        return True

    steps = [drop, fail] if dropped_first else [fail, drop]
    assert in_fork(lambda: all(step() for step in steps), ctypes.PyDLL(None).fork)
    assert stores[0].find([KEY]) == [None]


class FakeConnection:
    """A connection that records the thread that closes it, and calls a function first."""

    def __init__(self, act=lambda: None):
        self.act, self.closed_by = act, []

    def close(self):
        self.act()
        self.closed_by.append(threading.get_ident())


def test_sqlite_store_that_goes_while_a_fork_closes_connections(path, tmp_path):
    """A thread that drops a store just before a fork does not enter SQLite."""
    stores = [SQLiteStore(path), SQLiteStore(tmp_path / "other.db")]

    def drop():
        stores.pop()
        gc.collect()

    def drop_in_another_thread():
        thread = threading.Thread(target=drop)
        thread.start()
        thread.join()

    first, second = FakeConnection(drop_in_another_thread), FakeConnection()
    stores[0]._idle.append((first, None))
    stores[1]._idle.append((second, None))
    assert in_fork(lambda: True)
    assert first.closed_by == second.closed_by == [threading.get_ident()]


def test_sqlite_fork_waits_for_connections_that_are_closed(path):
    """A fork waits until another thread has closed the connections of a dropped store."""
    stores, begun = [SQLiteStore(path)], threading.Event()
    slow = FakeConnection(lambda: (begun.set(), time.sleep(0.3)))
    stores[0]._idle.append((slow, None))

    def drop():
        stores.clear()
        gc.collect()

    thread = threading.Thread(target=drop)
    thread.start()
    assert begun.wait(60)
    assert in_fork(lambda: slow.closed_by == [thread.ident])
    thread.join()


def test_sqlite_call_goes_on_as_soon_as_the_process_has_forked(path, tmp_path):
    """A blocked call continues as soon as the fork is over."""
    store, other = SQLiteStore(path), SQLiteStore(tmp_path / "other.db", timeout=2 * PATIENT)
    found = []
    # Not an executor: concurrent.futures does not start threads during a fork.
    late = threading.Thread(target=lambda: found.append(other.find([KEY])), daemon=True)

    def call_another_store():
        late.start()
        while not sqlite._forks._changed._waiters:
            time.sleep(0.001)

    store._idle.append((FakeConnection(call_another_store), None))
    assert in_fork(lambda: True)
    late.join(PATIENT)
    assert found == [[None]]


HOOKS = """
import os, sys
found = []
for when in "before", "after_in_parent", "after_in_child":  # these are registered before the store's own hooks
    os.register_at_fork(**{when: lambda: found.append(store.find([b"a"]))})
from sealedsession.revocation import Entry, SQLiteStore
store = SQLiteStore(sys.argv[1], timeout=30)
store.revoke(b"a", Entry(7), 100)
child = os.fork()
if child == 0:
    os._exit(0 if found + [store.find([b"a"])] == [[Entry(7)]] * 3 and store.revoke(b"b", Entry(7), 100) else 1)
print(os.waitpid(child, 0)[1], found == [[Entry(7)]] * 2, store.find([b"b"]))
"""


def test_sqlite_hooks_of_other_libraries(path):
    """Fork hooks of other libraries can use a store, in parent and child."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", HOOKS, path], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == f"0 True [{Entry(7)}]"
    assert done.stderr == ""


INTERRUPTED = """
import os, signal, sys, threading
from sealedsession.errors import StoreError
from sealedsession.revocation import Entry, SQLiteStore
store = SQLiteStore(sys.argv[1], timeout=30)
begun, may_end = threading.Event(), threading.Event()
def work():
    with store._connection() as connection:
        begun.set()
        may_end.wait(60)
thread = threading.Thread(target=work)
thread.start()
begun.wait(60)
def interrupt(*_):
    raise TimeoutError
signal.signal(signal.SIGALRM, interrupt)
signal.setitimer(signal.ITIMER_REAL, 0.1)
child = os.fork()
if child == 0:
    try:
        store.find([b"a"])
    except StoreError:
        os._exit(0)
    os._exit(1)
status = os.waitpid(child, 0)[1]
print(status, store.revoke(b"a", Entry(7), 100))
may_end.set()
"""


def test_sqlite_fork_whose_wait_is_interrupted(path):
    """If an exception of a signal handler ends the wait of a fork, the child does not use SQLite."""
    done = subprocess.run([sys.executable, "-c", INTERRUPTED, path], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0 True"
    assert "TimeoutError" in done.stderr  # as Python reports exceptions of hooks


def test_sqlite_uses_a_connection_again(path):
    """Consecutive calls of any threads share one connection."""
    store = SQLiteStore(path)
    for _ in range(5):
        thread = threading.Thread(target=store.find, args=([KEY],))
        thread.start()
        thread.join()
    assert len(store._idle) == 1


def test_sqlite_sweeps(path, clock):
    """A revocation deletes expired entries, and no others."""
    store = SQLiteStore(path, clock=clock)
    for number in range(5):
        store.revoke(b"%d" % number, ENTRY, TTL + number)
    clock.advance(TTL + 2)
    store.revoke(KEY, ENTRY, TTL)
    with store._connection() as connection:
        assert sorted(connection.execute("SELECT key FROM revocations")) == sorted([(b"3",), (b"4",), (KEY,)])
        assert "USING INDEX revocations_by_expiry" in str(
            connection.execute("EXPLAIN QUERY PLAN DELETE FROM revocations WHERE expires <= 1").fetchall()
        )


def test_sqlite_locked(path, call):
    """While another process writes, `revoke` fails in time and `find` works. Later both work."""
    store = SQLiteStore(path, timeout=TIMEOUT)
    store.revoke(KEY, ENTRY, TTL)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with fails(str(path), "database is locked", "timeout="):
        call(store, "revoke", KEY_2, ENTRY, TTL)
    assert call(store, "find", [KEY, KEY_2]) == [ENTRY, None]
    other.close()
    call(store, "revoke", KEY_2, ENTRY, TTL)
    assert call(store, "find", [KEY_2]) == [ENTRY]


def test_sqlite_waits_for_a_short_lock(path):
    """A call waits for a lock that is released within the timeout."""
    store = SQLiteStore(path, timeout=PATIENT)
    store.find([KEY])
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.1, other.close)
    timer.start()
    store.revoke(KEY, ENTRY, TTL)
    timer.join()
    assert store.find([KEY]) == [ENTRY]


def test_sqlite_waits_to_switch_to_wal(path):
    """A new store waits while another process writes to a file that is not yet in WAL mode."""
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("CREATE TABLE theirs (a)")
    other.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.1, other.close)
    timer.start()
    assert SQLiteStore(path, timeout=PATIENT).find([KEY]) == [None]
    timer.join()


def test_sqlite_locked_exclusively(path, call):
    """If another process has locked the file exclusively, all calls fail in time."""
    store = SQLiteStore(path, timeout=TIMEOUT)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA locking_mode=EXCLUSIVE")
    other.execute("CREATE TABLE theirs (a)")
    for name, arguments in ("find", ([KEY],)), ("revoke", (KEY, ENTRY, TTL)):
        with fails("database is locked", within=2 * TIMEOUT):
            call(store, name, *arguments)
    other.close()
    call(store, "revoke", KEY, ENTRY, TTL)
    assert call(store, "find", [KEY]) == [ENTRY]


def test_sqlite_missing_directory(tmp_path):
    """A missing directory is refused at start with advice, also if the option names the path."""
    path = tmp_path / "missing" / "revoked.db"
    for make in (lambda: SQLiteStore(path), lambda: store_from_url(f"sqlite:{path}")):
        with pytest.raises(ConfigError, match=r"^revocation .*revoked\.db': .*missing'"):
            make()


def test_sqlite_directory_that_goes(tmp_path, call):
    """If the directory is removed, calls fail. If it is made again, they work."""
    directory = tmp_path / "missing"
    directory.mkdir()
    store = SQLiteStore(directory / "revoked.db")
    directory.rmdir()
    with fails(str(directory), "unable to open database file"):
        call(store, "find", [KEY])
    directory.mkdir()
    assert call(store, "find", [KEY]) == [None]


def test_sqlite_directory_as_path(tmp_path):
    """The path of a directory is refused at start."""
    with pytest.raises(ConfigError, match=r"^revocation store .*: "):
        SQLiteStore(tmp_path)


@pytest.mark.parametrize("linked", [True, False])
def test_sqlite_link(tmp_path, linked):
    """For a symbolic link, the directory of its target must exist."""
    (tmp_path / "target").mkdir() if linked else None
    (tmp_path / "revoked.db").symlink_to(tmp_path / "target" / "revoked.db")
    with nullcontext() if linked else pytest.raises(ConfigError, match=r": .*target'"):
        SQLiteStore(tmp_path / "revoked.db").revoke(KEY, ENTRY, TTL)


@pytest.mark.parametrize("existing", [True, False])
def test_sqlite_read_only(call, existing):
    """A read-only file or directory is refused at start. Later it is an error until it is writable."""
    directory = Path(tempfile.mkdtemp())  # one that others than root may look into
    directory.chmod(0o755)
    path = directory / "revoked.db"
    try:
        if existing:
            SQLiteStore(path).revoke(KEY_2, ENTRY, TTL)
            path.chmod(0o444)
        store = SQLiteStore(path, timeout=TIMEOUT)
        directory.chmod(0o555)
        with without_root(), fails(str(path), "readonly" if existing else "unable to open"):
            store.revoke(KEY, ENTRY, TTL)
        for mode in (0o555, 0o777) if existing else (0o555,):
            directory.chmod(mode)
            found = path if mode == 0o777 else directory
            with without_root(), pytest.raises(ConfigError, match=f": .*'{found}'"):
                SQLiteStore(path)
        directory.chmod(0o777)
        path.chmod(0o666) if existing else None
        with without_root():
            store.revoke(KEY, ENTRY, TTL)
            SQLiteStore(path)
        assert call(store, "find", [KEY]) == [ENTRY]
    finally:
        shutil.rmtree(directory)


@contextmanager
def without_root() -> Iterator[None]:
    """Run as a user to whom file permissions apply."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_sqlite_disk_full(path, call):
    """A full disk, simulated by a limit of the process, is an error until there is space."""
    store = SQLiteStore(path)
    store.revoke(KEY, ENTRY, TTL)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = (path.parent / f"{path.name}-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        with fails(str(path)):
            call(store, "revoke", KEY_2, ENTRY, TTL)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    call(store, "revoke", KEY_2, ENTRY, TTL)
    assert call(store, "find", [KEY, KEY_2]) == [ENTRY, ENTRY]


def test_sqlite_says_full(path):
    """SQLite's own error for a full database has advice."""
    store = SQLiteStore(path)
    store.find([KEY])
    with store._connection() as connection:
        connection.execute("PRAGMA max_page_count=1")
    with suppress(StoreError):
        for number in range(1000):  # which takes its time, as each is on the disk before the next
            store.revoke(b"%d" % number * 50, ENTRY, TTL)
    with store._connection() as connection:
        connection.execute("PRAGMA max_page_count=1")
    with fails("full"):
        store.revoke(KEY * 50, ENTRY, TTL)
    store.revoke(KEY, ENTRY, TTL)
    assert store.find([KEY]) == [ENTRY]


def test_sqlite_not_a_database(path, call):
    """A file of another kind is an error, and is not changed. If it is moved away, the store works."""
    path.write_bytes(b"Dear diary, " * 500)
    store = SQLiteStore(path)
    for name, arguments in ("find", ([KEY],)), ("revoke", (KEY, ENTRY, TTL)):
        with fails(str(path), "file is not a database"):
            call(store, name, *arguments)
    assert path.read_bytes().startswith(b"Dear diary, Dear")
    path.unlink()
    call(store, "revoke", KEY, ENTRY, TTL)
    assert call(store, "find", [KEY]) == [ENTRY]


def test_sqlite_corrupt(path, call):
    """A damaged file is an error, and never means "not revoked". If it is moved away, the store works."""
    SQLiteStore(path).revoke(KEY, ENTRY, TTL)
    gc.collect()  # which closes the connection, and puts the log into the file
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xa5" * (len(content) - 4096))
    store = SQLiteStore(path)
    for _ in range(2):
        with fails(str(path), "malformed"):
            call(store, "find", [KEY])
    path.unlink()
    assert call(store, "find", [KEY]) == [None]


def test_sqlite_replaced_file(path, tmp_path, call):
    """No connection continues to use a file that was replaced."""
    store, other = SQLiteStore(path), SQLiteStore(tmp_path / "other.db")
    call(store, "revoke", KEY, ENTRY, TTL)
    call(other, "revoke", KEY_2, ENTRY, TTL)
    with other._connection() as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (tmp_path / "other.db").rename(path)
    assert call(store, "find", [KEY, KEY_2]) == [None, ENTRY]


def test_sqlite_missing_table(path, call):
    """A dropped table is an error once, and is then made again."""
    store = SQLiteStore(path)
    call(store, "revoke", KEY, ENTRY, TTL)
    with store._connection() as connection:
        connection.execute("DROP TABLE revocations")
    with fails("no such table"):
        call(store, "find", [KEY])
    call(store, "revoke", KEY, ENTRY, TTL)
    assert call(store, "find", [KEY]) == [ENTRY]


def test_sqlite_interrupted(path, clock):
    """A connection that was interrupted in a transaction is not used again."""
    store = SQLiteStore(path, clock=clock)
    store.find([KEY])
    with suppress(KeyboardInterrupt), store._connection() as connection:
        connection.execute("BEGIN IMMEDIATE")
        raise KeyboardInterrupt
    assert not store._idle
    SQLiteStore(path, timeout=TIMEOUT).revoke(KEY, ENTRY, TTL)


def test_sqlite_path_is_kept(path, tmp_path, monkeypatch):
    """A relative path is resolved when the store is made."""
    monkeypatch.chdir(tmp_path)
    store = SQLiteStore("revoked.db")
    monkeypatch.chdir("/")
    store.revoke(KEY, ENTRY, TTL)
    assert SQLiteStore(path).find([KEY]) == [ENTRY]


# -------------------------------------------------------------------------------------------------------------- Redis


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """Run a server that a test may kill."""
    with RedisServer() as server:
        yield server


def raw_client(url):
    """Make a client without timeouts."""
    return pytest.importorskip("redis").Redis.from_url(url)


def patient(url, **options):
    """Make a store with a long timeout, for a busy machine."""
    return RedisStore(url, timeout=PATIENT, **options)


async def eventually(call, *arguments):
    """Retry a coroutine function: on a busy machine, a short timeout may pass without a fault."""
    deadline = time.monotonic() + 60
    while True:
        with suppress(StoreError):
            return await call(*arguments)
        assert time.monotonic() < deadline


@pytest.fixture
def call_eventually(call):
    """Retry `call` until it succeeds, for stores with a short timeout."""

    async def coroutine(*arguments):
        return await asyncio.to_thread(call, *arguments)

    return lambda *arguments: asyncio.run(eventually(coroutine, *arguments))


def test_redis_expires_by_itself(redis_url, call):
    """Each entry has a time to live, after which Redis deletes it."""
    store = patient(redis_url, prefix="test:")
    call(store, "revoke", KEY, ENTRY, TTL)
    client = raw_client(redis_url)
    assert client.keys() == [b"test:" + KEY]
    assert TTL / 2 < client.ttl(b"test:" + KEY) <= TTL
    client.pexpire(b"test:" + KEY, 1)
    time.sleep(0.005)
    assert call(store, "find", [KEY]) == [None]


def test_redis_bytes_of_a_value(redis_url, call):
    """A value is four bytes of not_before, and the lineage id of the exempt session."""
    call(patient(redis_url), "revoke", KEY, SPARING, TTL)
    assert raw_client(redis_url).get(b"sealedsession:" + KEY) == bytes.fromhex("6b49d200") + SESSION_ID_2


@pytest.mark.parametrize("garbage", [b"", b"1", b"12345", b"x" * 19, b"x" * 21, b"x" * 100_000])
def test_redis_garbage_in_a_value(redis_url, call, garbage):
    """A foreign value is an error, and never means "not revoked". A revocation replaces it."""
    store = patient(redis_url)
    raw_client(redis_url).set(b"sealedsession:" + KEY, garbage)
    with fails("prefix="):
        call(store, "find", [KEY_2, KEY])
    call(store, "revoke", KEY, ENTRY, TTL)
    assert call(store, "find", [KEY]) == [ENTRY]


@pytest.mark.parametrize("garbage", [b"", b"12345", b"x" * 21])
def test_redis_garbage_under_a_key_of_the_caller(redis_url, call, garbage):
    """A foreign value under a key of the caller is an error, because the caller may be revoked."""
    store = patient(redis_url)
    raw_client(redis_url).set(b"sealedsession:" + KEY, garbage)
    with fails("prefix=", within=PATIENT):
        call(store, "revoke", KEY_2, ENTRY, TTL, Caller((b"sa", KEY), 1, SESSION_ID, 1))
    assert call(store, "find", [KEY_2]) == [None]


def test_redis_other_types(redis_url, call):
    """A list under a key counts as no entry in `find` and `revoke`. A revocation replaces it."""
    store = patient(redis_url)
    raw_client(redis_url).lpush(b"sealedsession:" + KEY, "a")
    assert call(store, "find", [KEY]) == [None]
    assert call(store, "revoke", KEY, SPARING, TTL, Caller((KEY,), 1, SESSION_ID, 1)) is True
    assert call(store, "find", [KEY]) == [SPARING]


@pytest.mark.parametrize(("old", "new"), [(TTL, 1), (1, TTL)])
def test_redis_life_of_a_merged_entry(redis_url, call, old, new):
    """A merged entry expires at the later time of both."""
    store = patient(redis_url)
    call(store, "revoke", KEY, Entry(1001), old * 1000)
    call(store, "revoke", KEY, Entry(1000), new * 1000)
    assert TTL * 500 < raw_client(redis_url).ttl(b"sealedsession:" + KEY) <= TTL * 1000


def test_redis_entry_that_somebody_made_persistent(redis_url, call):
    """An entry without a time to live, as after PERSIST, gets none: this would shorten its life."""
    store = patient(redis_url)
    call(store, "revoke", KEY, ENTRY, TTL)
    raw_client(redis_url).persist(b"sealedsession:" + KEY)
    call(store, "revoke", KEY, ENTRY, TTL)
    assert raw_client(redis_url).ttl(b"sealedsession:" + KEY) == -1


def test_redis_many_keys_and_large_numbers(redis_url, call):
    """A caller may have many keys and any times. Only Redis limits the time to live."""
    store, keys = patient(redis_url), tuple(b"s%d" % number for number in range(100))
    assert call(store, "revoke", KEY, Entry(ALWAYS, SESSION_ID), 2**40, Caller(keys, 2**40, SESSION_ID, 2**40)) is True
    assert (
        call(store, "revoke", KEY, Entry(ALWAYS, SESSION_ID_2), 1, Caller((*keys, KEY), 2**40, SESSION_ID_2, ALWAYS))
        is True
    )
    assert call(store, "find", [KEY]) == [Entry(ALWAYS)]
    call(store, "revoke", keys[-1], Entry(ALWAYS), TTL)
    assert call(store, "revoke", KEY_2, ENTRY, TTL, Caller(keys, ALWAYS, SESSION_ID, ALWAYS)) is False


def test_redis_flushed(redis_url, call):
    """After FLUSHALL the entries are gone, and the store works."""
    store = patient(redis_url)
    call(store, "revoke", KEY, ENTRY, TTL)
    raw_client(redis_url).flushall()
    assert call(store, "find", [KEY]) == [None]
    call(store, "revoke", KEY, ENTRY, TTL)
    assert call(store, "find", [KEY]) == [ENTRY]


def test_redis_error_reply(own_redis, call):
    """If Redis may use no more memory, `revoke` fails with the error of Redis, and `find` works."""
    store = patient(own_redis.url)
    raw_client(own_redis.url).config_set("maxmemory", 1)
    with fails("maxmemory"):
        call(store, "revoke", KEY, ENTRY, TTL)
    assert call(store, "find", [KEY]) == [None]


def test_redis_hangs(own_redis, call, call_eventually):
    """If Redis hangs, every call fails in time, with or without an open connection."""
    store, unconnected = RedisStore(own_redis.url, timeout=TIMEOUT), RedisStore(own_redis.url, timeout=TIMEOUT)
    call_eventually(store, "revoke", KEY, ENTRY, TTL)
    own_redis.stop()
    for hanging in store, unconnected:
        with fails(own_redis.socket):
            call(hanging, "find", [KEY])
        with fails(own_redis.socket):
            call(hanging, "revoke", KEY_2, ENTRY, TTL)
    own_redis.resume()
    assert call_eventually(store, "find", [KEY]) == [ENTRY]
    assert call_eventually(unconnected, "find", [KEY]) == [ENTRY]


def test_redis_hangs_for_many(own_redis):
    """If Redis hangs, many threads and tasks wait for at most twice the timeout."""
    store = RedisStore(own_redis.url, timeout=TIMEOUT, client_options={"max_connections": 2})
    own_redis.stop()

    def work(_):
        with fails(within=2 * TIMEOUT):
            store.find([KEY])

    with ThreadPoolExecutor(24) as threads:
        list(threads.map(work, range(24)))

    async def awork():
        with fails(within=2 * TIMEOUT):
            await store.afind([KEY])

    async def all_of_them():
        await asyncio.gather(*(awork() for _ in range(24)))

    asyncio.run(all_of_them())
    own_redis.resume()
    assert asyncio.run(eventually(asyncio.to_thread, store.find, [KEY])) == [None]


def test_redis_late_answer_is_nobody_elses(own_redis):
    """An answer after the timeout is not used as the answer of the next call."""
    store = RedisStore(own_redis.url, timeout=TIMEOUT)

    async def work():
        await eventually(asyncio.to_thread, store.revoke, KEY, ENTRY, TTL)
        assert await eventually(store.afind, [KEY]) == [ENTRY]
        own_redis.stop()
        with fails():
            await store.afind([KEY])
        with fails():
            store.find([KEY])
        own_redis.resume()
        assert await eventually(store.afind, [KEY_2]) == [None]
        assert await eventually(asyncio.to_thread, store.find, [KEY_2]) == [None]

    asyncio.run(work())


def test_redis_cancelled_task(redis_url):
    """After a task was cancelled at any point, the next task gets its own answer."""
    store = patient(redis_url, client_options={"max_connections": 1})
    store.revoke(KEY, ENTRY, TTL)

    async def work():
        cancelled = 0
        for steps in range(30):
            task = asyncio.create_task(store.afind([KEY]))
            for _ in range(steps):
                await asyncio.sleep(0)
            cancelled += task.cancel()
            await asyncio.wait([task])
            assert await store.afind([KEY_2]) == [None]
        return cancelled

    assert asyncio.run(work()) > 2


def test_redis_killed(own_redis):
    """A killed Redis is an error. The first call after its restart works, also in the same event loop."""
    store = patient(own_redis.url)

    async def work():
        for _ in range(2):
            store.revoke(KEY, ENTRY, TTL)
            await store.arevoke(KEY_2, ENTRY, TTL)
            own_redis.kill()
            with fails(own_redis.socket):
                store.find([KEY])
            with fails(own_redis.socket):
                await store.afind([KEY])
            own_redis.start()
            assert await store.afind([KEY]) == [None]
            assert store.find([KEY]) == [None]

    asyncio.run(work())


def test_redis_restarted_between_calls(own_redis):
    """After a restart between two calls, connections are replaced without an error."""
    store = patient(own_redis.url)

    async def work():
        store.find([KEY])
        await asyncio.gather(*(store.afind([KEY]) for _ in range(5)))
        own_redis.kill()
        own_redis.start()
        assert await asyncio.gather(*(store.afind([KEY]) for _ in range(5))) == [[None]] * 5
        assert store.find([KEY]) == [None]

    asyncio.run(work())


def test_redis_refuses_connections(call, free_port):
    """The error for a closed port names it."""
    with fails(f"127.0.0.1:{free_port}", "Error 111"):
        call(patient(f"redis://127.0.0.1:{free_port}/0"), "find", [KEY])


def test_redis_password(call):
    """A wrong password is an error. No password appears in errors, their causes or the store."""
    with RedisServer("--requirepass", "correct horse") as server:
        store = patient(f"{server.url}?password=correct%20horse")
        call(store, "revoke", KEY, ENTRY, TTL)
        assert call(store, "find", [KEY]) == [ENTRY]
        wrong = patient(f"{server.url}?password=battery%20staple")
        for name, arguments in ("find", ([KEY],)), ("revoke", (KEY, ENTRY, TTL)):
            with pytest.raises(StoreError, match="invalid username-password pair") as caught:
                call(wrong, name, *arguments)
            text = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(wrong)
            assert "staple" not in text
        with fails("Authentication required"):
            call(patient(server.url), "find", [KEY])


def test_redis_that_repeats_the_password(call):
    """If a server without AUTH repeats the password, the error and its causes do not show it."""
    with garbage_server(b"-ERR unknown command 'AUTH', with args beginning with: 'bob' 'hunter2' \r\n") as port:
        store = RedisStore(f"redis://bob:hunter2@127.0.0.1:{port}/0", timeout=TIMEOUT)
        for name, arguments in ("find", ([KEY],)), ("revoke", (KEY, ENTRY, TTL)):
            with pytest.raises(StoreError, match="'AUTH'") as caught:
                call(store, name, *arguments)
            assert "hunter2" not in str(caught.value) + repr(caught.value)
            assert "hunter2" not in "".join(traceback.format_exception(caught.value, limit=0))


@pytest.fixture
def failover(tmp_path_factory) -> Iterator[tuple[str, Callable[[], None]]]:
    """Return the URL of a server, and a function that makes it a replica and redirects the URL to another one."""
    with RedisServer() as old, RedisServer() as new:
        name = Path(old.directory, "primary")
        name.symlink_to(old.socket)

        def fail_over():
            raw_client(old.url).replicaof("127.0.0.1", 1)  # where nobody is; it refuses to be written to all the same
            name.unlink()
            name.symlink_to(new.socket)

        yield f"unix://{name}", fail_over


def test_redis_fails_over(failover):
    """A connection to a server that has become a replica is replaced by one to the new primary server."""
    url, fail_over = failover
    store = patient(url)

    async def work():
        store.revoke(KEY, ENTRY, TTL)
        await asyncio.gather(*(store.arevoke(KEY, ENTRY, TTL) for _ in range(3)))
        fail_over()
        store.revoke(KEY, SPARING, TTL)
        await asyncio.gather(*(store.arevoke(KEY_2, ENTRY, TTL) for _ in range(3)))
        assert await store.afind([KEY, KEY_2]) == [SPARING, ENTRY]

    asyncio.run(work())
    assert patient(url).find([KEY, KEY_2]) == [SPARING, ENTRY]


def test_redis_is_a_replica(own_redis, call):
    """A replica without a new primary server refuses `revoke` with the error of Redis. `find` works."""
    store = patient(own_redis.url)
    call(store, "revoke", KEY, ENTRY, TTL)
    raw_client(own_redis.url).replicaof("127.0.0.1", 1)
    with fails("read only"):
        call(store, "revoke", KEY_2, ENTRY, TTL)
    assert call(store, "find", [KEY, KEY_2]) == [ENTRY, None]
    raw_client(own_redis.url).replicaof("NO", "ONE")
    call(store, "revoke", KEY_2, ENTRY, TTL)
    assert call(store, "find", [KEY, KEY_2]) == [ENTRY, ENTRY]


@pytest.mark.parametrize("url", ["redis://:pa/ss@localhost:6379/0", "redis://:pa#ss@localhost", "redis//:pa@localhost"])
def test_redis_password_in_a_broken_url(url):
    """A malformed URL is refused. The error and its causes do not show the password in it."""
    with pytest.raises(ConfigError, match="percent-encoded") as caught:
        RedisStore(url)
    assert "pa" not in "".join(traceback.format_exception(caught.value, limit=0)).replace("percent", "")


GARBAGE = [
    b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    b"+OK\r\n",
    b"+\r\n",
    b":1\r\n",
    b":one\r\n",
    b"$one\r\n",
    b"*two\r\n",
    b"$-1\r\n",
    b"*-1\r\n",
    b"*1\r\n$-1\r\n",
    b"*3\r\n$-1\r\n$-1\r\n$-1\r\n",
    b"*2\r\n*0\r\n*0\r\n",
    b"*1\r\n" * 5000 + b"$-1\r\n",
    b"$99999999\r\nabc",
    b"-ERR out of order\r\n",
    b"\xff\xfe\x00\r\n",
    b"",
]


@contextmanager
def garbage_server(answer: bytes, pause: float = 0) -> Iterator[int]:
    """Run a server that sends one answer to every request after a pause, or closes the connection."""

    def serve(connection):
        with connection, suppress(OSError):
            while (received := connection.recv(65536)) and answer:
                for _ in range(received.count(b"*")):  # with which each command begins
                    time.sleep(pause)
                    connection.sendall(answer)

    def accept():
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize("answer", GARBAGE, ids=lambda answer: ascii(answer[:20]))
def test_redis_that_is_none(call, answer):
    """Any answer of a server that is not Redis is an error in time, and never means "not revoked"."""
    with garbage_server(answer) as port:
        store = RedisStore(f"redis://127.0.0.1:{port}/0", timeout=TIMEOUT)
        for _ in range(2):
            with fails(f"127.0.0.1:{port}", within=2 * TIMEOUT):
                call(store, "find", [KEY, KEY_2])
        if answer != b"+OK\r\n":
            with fails(f"127.0.0.1:{port}", within=2 * TIMEOUT):
                call(store, "revoke", KEY, ENTRY, TTL)


def test_redis_that_is_slow_at_every_step(call, request):
    """In an event loop, all six steps of a call have twice the timeout together. In a thread, each has the timeout."""
    with garbage_server(b"+OK\r\n", pause=0.9) as port:
        store = RedisStore(f"redis://:secret@127.0.0.1:{port}/1", timeout=2, client_options={"client_name": "test"})
        with fails(within=6 * 2) as caught:
            call(store, "find", [KEY])
    if request.node.callspec.params["call"] == "async":  # where a busy machine ends it sooner, and never later
        assert "that of MGET" not in str(caught.value)


def test_redis_after_fork(redis_url):
    """A parent and its child can call a store at the same time, with separate connections."""
    store = patient(redis_url)
    store.revoke(KEY, ENTRY, TTL)
    for _ in range(3):
        assert in_fork(lambda: store.find([KEY, KEY_2]) == [ENTRY, None])
        assert in_fork(lambda: asyncio.run(store.afind([KEY, KEY_2])) == [ENTRY, None])
        assert store.find([KEY_2, KEY]) == [None, ENTRY]


def test_redis_connections_end_with_their_loop(own_redis):
    """The connections of an event loop are closed with it. A dropped store leaves none."""
    store = patient(own_redis.url)
    client = raw_client(own_redis.url)
    client.ping()

    async def work():
        await asyncio.gather(*(store.afind([KEY]) for _ in range(5)))
        return len(client.client_list())

    assert [asyncio.run(work()) > 1 for _ in range(3)] == [True] * 3
    assert len(store._loop_clients) == 1
    assert count_settles(client) == 1


def test_redis_dropped_store(own_redis):
    """A dropped store leaves no connections of threads."""
    client = raw_client(own_redis.url)
    store = patient(own_redis.url)
    store.find([KEY])
    assert len(client.client_list()) == 2
    del store
    gc.collect()
    assert count_settles(client) == 1


def count_settles(client) -> int:
    """Return the number of clients when it is one, or after a minute."""
    deadline = time.monotonic() + 60
    while (count := len(client.client_list())) > 1 and time.monotonic() < deadline:
        time.sleep(0.005)
    return count


def test_redis_py_not_installed():
    """Without redis-py, the package can be imported. Only RedisStore is refused, with advice."""
    code = """
import sys
sys.modules["redis"] = None
from sealedsession.errors import ConfigError
from sealedsession.revocation import MemoryStore, RedisStore
MemoryStore()
try:
    RedisStore()
except ConfigError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "'sealedsession[redis]'" in done.stdout


def test_redis_py_is_not_imported_early():
    """redis-py is imported only for RedisStore."""
    code = "import sys, sealedsession.revocation; print('redis' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"False\n"


# ------------------------------------------------------------------------------------------------------------- cached


class Counted(RevocationStore):
    """A store that counts its calls, may fail, and calls a function before it answers."""

    def __init__(self):
        self.kept, self.asked, self.callers, self.error, self.answer = {}, [], [], None, True
        self.meanwhile = lambda: None

    def revoke(self, key, entry, ttl, caller=None):
        self.kept[key] = entry
        self.callers.append(caller)
        if self.error:
            raise self.error
        return self.answer

    def find(self, keys):
        self.asked.append(list(keys))
        if self.error:
            raise self.error
        found = [self.kept.get(key) for key in keys]
        self.meanwhile()
        return found


@pytest.mark.parametrize("entry", [ENTRY, None])
def test_cached_answer_is_used_until_stale(clock, call, entry):
    """Both answers are reused for the staleness. Then the store is called again."""
    inner = Counted()
    inner.kept = {KEY: entry}
    store = CachedStore(inner, staleness=2, clock=clock)
    for seconds, count in (0, 1), (1.9, 1), (0.1, 2), (1.9, 2), (0.1, 3):
        clock.advance(seconds)
        assert call(store, "find", [KEY]) == [entry]
        assert len(inner.asked) == count


def test_cached_asks_for_what_it_does_not_know(clock, call):
    """Only unknown keys are looked up, each once, and the answers are in the order of the keys."""
    inner = Counted()
    inner.kept = {b"b": ENTRY, b"c": SPARING}
    store = CachedStore(inner, clock=clock)
    assert call(store, "find", [b"b"]) == [ENTRY]
    assert call(store, "find", [b"a", b"b", b"c", b"b"]) == [None, ENTRY, SPARING, ENTRY]
    assert inner.asked == [[b"b"], [b"a", b"c"]]


def test_cached_staleness_counts_from_the_question(clock, call):
    """The age of an answer counts from the beginning of the look-up."""
    inner = Counted()
    inner.meanwhile = lambda: clock.advance(0.6)
    store = CachedStore(inner, staleness=1, clock=clock)
    call(store, "find", [KEY])
    clock.advance(0.5)
    call(store, "find", [KEY])
    assert len(inner.asked) == 2


def test_cached_answer_from_before_a_revocation(clock, call):
    """The answer of a look-up that began before a revocation of this process is not cached."""
    inner = Counted()
    store = CachedStore(inner, clock=clock)
    inner.meanwhile = lambda: store.revoke(KEY, ENTRY, TTL)
    assert call(store, "find", [KEY]) == [None]
    assert call(store, "find", [KEY]) == [ENTRY]


def test_cached_revocation_is_written_through(clock, call):
    """A revocation is written to the store, and this process applies it at once."""
    inner = Counted()
    store = CachedStore(inner, clock=clock)
    call(store, "find", [KEY])
    call(store, "revoke", KEY, ENTRY, TTL)
    assert inner.kept == {KEY: ENTRY}
    assert call(store, "find", [KEY]) == [ENTRY]


def test_cached_error_is_not_cached(clock, call):
    """An error is raised and not cached. Cached answers are still used."""
    inner = Counted()
    store = CachedStore(inner, clock=clock)
    call(store, "find", [KEY_2])
    inner.error = StoreError("down")
    with fails("down"):
        call(store, "find", [KEY, KEY_2])
    assert call(store, "find", [KEY_2]) == [None]
    inner.error = None
    assert call(store, "find", [KEY]) == [None]


def test_cached_failed_revocation_is_asked_for(clock, call):
    """After a revocation that failed, the store is called again: the entry may have been written."""
    inner = Counted()
    store = CachedStore(inner, clock=clock)
    call(store, "find", [KEY])
    inner.error = StoreError("down")
    with fails("down"):
        call(store, "revoke", KEY, ENTRY, TTL)
    inner.error = None
    assert call(store, "find", [KEY]) == [ENTRY]


def test_cached_size(clock, call):
    """The cache has at most so many answers as its size, and drops the oldest first."""
    inner = Counted()
    store = CachedStore(inner, size=3, clock=clock)
    for key in b"a", b"b", b"c":
        call(store, "find", [key])
    clock.advance(1)  # all are stale
    for key in b"a", b"d":  # "a" is the newer for it
        call(store, "find", [key])
    assert sorted(store._answers) == [b"a", b"c", b"d"]
    assert call(store, "find", [b"%d" % number for number in range(10)]) == [None] * 10
    assert len(store._answers) == 3


@pytest.mark.parametrize("make_store", ["memory", "sqlite", "redis", "cached"], indirect=True)
def test_fork_while_threads_call(make_store):
    """A child that is forked while threads use a store can use it, and so can its own children."""
    store, stopped = make_store(), threading.Event()
    store.revoke(KEY, ENTRY, TTL)

    def work(thread):
        number = 0
        while not stopped.is_set():
            number += 1
            assert store.revoke(b"%d:%d" % (thread, number), ENTRY, TTL)
            assert store.find([KEY]) == [ENTRY]
            time.sleep(0.001)  # otherwise SQLite's lock is never free

    def use(number):
        return (
            store.revoke(b"fork %d" % number, ENTRY, TTL)
            and store.find([KEY, b"fork %d" % number]) == [ENTRY, ENTRY]
            and asyncio.run(store.arevoke(KEY_2, ENTRY, TTL))
        )

    def use_twice(number):
        return use(number) and in_fork(partial(use, -number))

    with ThreadPoolExecutor(3) as threads:
        try:
            ended = threads.map(work, range(3))
            time.sleep(0.1)
            found = [in_fork(partial(use_twice, number)) for number in range(8)]
        finally:
            stopped.set()
        list(ended)  # their errors
    assert all(found)


@pytest.mark.parametrize("kind", [MemoryStore, lambda: CachedStore(MemoryStore())], ids=["memory", "cached"])
def test_fork_while_a_thread_revokes(kind):
    """A child that is forked while a thread revokes can revoke, without waiting for that thread."""
    store = kind()
    with store._lock:  # as the other thread would hold it
        child = fork()
        if child == 0:
            signal.alarm(20)  # ends a fork that waits for ever
            status = 1
            with suppress(BaseException):
                store.revoke(KEY, ENTRY, TTL)
                status = 0 if store.find([KEY]) == [ENTRY] else 1
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0


def test_staleness_of_a_cache_over_a_cache():
    """The staleness of a cache includes that of the store behind it."""
    assert CachedStore(CachedStore(MemoryStore(), staleness=5), staleness=1).staleness == 6
    assert MemoryStore().staleness == 0


def test_a_cached_entry_that_exempts_a_session_is_looked_up_again(clock):
    """An entry that exempts a session is not used from the cache, because the exempt session may change."""
    behind = MemoryStore(clock=clock)
    near, far = CachedStore(behind, clock=clock), CachedStore(behind, clock=clock)
    now = int(clock())
    near.revoke(b"u1", Entry(now - 10, b"a" * 16), 1000)
    assert far.find([b"u1"]) == [Entry(now - 10, b"a" * 16)]
    caller = Caller((b"u1",), now - 20, b"a" * 16, now)
    assert near.revoke(b"u1", Entry(now, b"b" * 16), 1000, caller)
    assert far.find([b"u1"]) == [Entry(now, b"b" * 16)]
