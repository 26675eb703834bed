"""A revocation store in a file that the processes of one machine share, by SQLite.

Rules:

1. A connection is lent to one call at a time. One that failed is closed, and so is one that was opened before another
   file came to the path: the store recovers by itself when the fault is gone.
2. No connection is open, and no call is inside SQLite, while a process forks: see `_ForkGuard`. SQLite's locks, which
   the kernel does not pass on, would make the child believe that it holds them (sqlite.org/howtocorrupt.html, 2.6).
   Its logouts could be lost, or fail for ever because the database looks locked.
3. Where rule 2 cannot be kept, the child does not use SQLite at all: every call in it raises `StoreError`.
4. A logout that was answered is on the disk. WAL alone would leave the last ones to a power cut: synchronous=FULL.
"""

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from sealedsession.errors import ConfigError, StoreError
from sealedsession.revocation.store import Caller, Entry, RevocationStore, check_clock, check_seconds, merge

Opened = tuple[sqlite3.Connection, tuple[int, int] | None]  # with the device and the inode of its file
FORK_WAIT = 5  # seconds that a fork waits for calls in other threads; with the default timeout a call takes 2.5 at most
PREPARE = (
    "PRAGMA synchronous=FULL",
    "CREATE TABLE IF NOT EXISTS revocations (key BLOB PRIMARY KEY, not_before INTEGER, spared BLOB, expires REAL)",
    "CREATE INDEX IF NOT EXISTS revocations_by_expiry ON revocations (expires)",
)
FIND = "SELECT not_before, spared, expires FROM revocations WHERE key = ? AND expires > ?"
# 1000: over one, so that they go faster than they come, and few enough that nobody waits.
SWEEP = "DELETE FROM revocations WHERE key IN (SELECT key FROM revocations WHERE expires <= ? LIMIT 1000)"
WRITE = "INSERT OR REPLACE INTO revocations (key, not_before, spared, expires) VALUES (?, ?, ?, ?)"
CURES = {
    sqlite3.SQLITE_BUSY: "it is being written for longer than timeout=: a backup, a shell in a transaction?",
    sqlite3.SQLITE_READONLY: "make the file and its directory writable for this process",
    sqlite3.SQLITE_CANTOPEN: "make its directory, writable for this process",
    sqlite3.SQLITE_FULL: "free some space",
    sqlite3.SQLITE_CORRUPT: "move it away: a new one is made, and what was revoked until now is forgotten",
    sqlite3.SQLITE_NOTADB: "give the path of a file that is the store's own",
}


class SQLiteStore(RevocationStore):
    """Revocations that the processes of one machine share, and that outlive them.

    :param path: a file of the store's own, on a local disk. It is made on first use; its directory is not.
    :param timeout: seconds to wait for others to finish writing.
    :param clock: gives seconds since 1970; a test's own.
    :raises ConfigError: when an option is wrong, or nothing can be written at that path. What goes wrong with the file
        later, or inside it, does not stop the process: calls raise `StoreError`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        timeout: float = 0.5,  # a write takes milliseconds, and a user waits
        clock: Callable[[], float] = time.time,
    ) -> None:
        name = os.fspath(path) if isinstance(path, str | os.PathLike) else None
        if not isinstance(name, str) or not name or "\0" in name or name.startswith((":memory:", "file:")):
            raise ConfigError(f"path has to be that of a file, and {path!r} was given; in memory is MemoryStore")
        check_seconds("timeout", timeout)
        check_clock(clock)
        self._path = os.path.abspath(name)  # as a server may change its directory later
        _check_place(self._path)
        self._timeout = timeout
        self._clock = clock
        self._idle: list[Opened] = []
        _forks.register(self._idle)
        weakref.finalize(self, _forks.close, self._idle)

    def revoke(self, key: bytes, entry: Entry, ttl: int, caller: Caller | None = None) -> bool:
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            now = self._clock()
            connection.execute(SWEEP, (now,))
            refused = caller is not None and caller.is_refused(_find(connection, each, now)[0] for each in caller.keys)
            if not refused:
                old, expires = _find(connection, key, now)
                merged = merge(old, entry, caller)
                connection.execute(WRITE, (key, merged.not_before, merged.spared, max(expires, now + ttl)))
            connection.execute("COMMIT")
        return not refused

    def find(self, keys: Sequence[bytes]) -> list[Entry | None]:
        now = self._clock()
        with self._connection() as connection:
            return [_find(connection, key, now)[0] for key in keys]

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        call = _Call()
        try:
            _forks.begin_call(call, self._timeout)
            opened = self._connect(call)
            yield opened[0]
            if call.connection is not None and not _forks.forking:
                self._idle.append(opened)
                call.connection = None
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the upper bits are details
            cure = CURES.get(code, "try PRAGMA integrity_check by hand")
            if call.is_closed_by_fork:
                cure = "this thread forked in the middle of the call, in a signal handler: try again"
            raise StoreError(f"the revocation store {self._path} failed: {error}; {cure}") from error
        finally:  # KeyboardInterrupt, too, leaves it in the middle of something
            _forks.end_call(call)

    def _connect(self, call: "_Call") -> Opened:
        """Give the call an idle connection or a new one."""
        if (opened := self._take_idle()) is not None:
            call.connection = opened[0]
            return opened
        call.connection = connection = sqlite3.connect(
            self._path, timeout=self._timeout, isolation_level=None, check_same_thread=False
        )
        self._switch_to_wal(connection)
        for statement in PREPARE:
            connection.execute(statement)
        return connection, self._identity()

    def _take_idle(self) -> Opened | None:
        identity = self._identity()
        with suppress(IndexError):  # until none is left
            while (opened := self._idle.pop())[1] != identity:
                opened[0].close()
            return opened
        return None

    def _switch_to_wal(self, connection: sqlite3.Connection) -> None:
        """For this statement SQLite itself does not wait, and processes that start together need it to."""
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                connection.execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
            time.sleep(0.01)

    def _identity(self) -> tuple[int, int] | None:
        with suppress(OSError):
            status = os.stat(self._path)
            return status.st_dev, status.st_ino
        return None


def _find(connection: sqlite3.Connection, key: bytes, now: float) -> tuple[Entry | None, float]:
    """Find the unexpired entry under a key, and the time when it expires; None and 0 if there is none."""
    rows = connection.execute(FIND, (key, now)).fetchall()
    return (Entry(*rows[0][:2]), rows[0][2]) if rows else (None, 0)


def _check_place(path: str) -> None:
    """Refuse a path that can never become a store: every request with a session would be signed out."""
    real = os.path.realpath(path)  # SQLite puts its other two files beside the target of a link
    directory, problem = os.path.dirname(real), None
    if not os.path.isdir(directory):
        problem = f"the directory {directory!r} does not exist: make it, writable for this process"
    elif os.path.exists(real) and not os.path.isfile(real):
        problem = "that is no file: give the path of one, which is made on first use"
    elif unwritable := [each for each in (directory, real) if os.path.exists(each) and not _is_writable(each)]:
        problem = f"{unwritable[0]!r} cannot be written: make the file and its directory writable for this process"
    if problem:
        raise ConfigError(f"revocation cannot be kept in {path!r}: {problem}")


def _is_writable(path: str) -> bool:
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


class _Call:
    """A call that is inside SQLite, or about to be.

    :ivar thread: the identifier of its thread.
    :ivar connection: the connection that it uses; None before and after that.
    :ivar is_closed_by_fork: whether a fork in the middle of the call has closed its connection.
    """

    __slots__ = ("connection", "is_closed_by_fork", "thread")

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.connection: sqlite3.Connection | None = None
        self.is_closed_by_fork = False


class _ForkGuard:
    """Keeps forks apart from the calls of all stores in this process.

    A fork keeps new calls out, waits until the calls of other threads have ended, `FORK_WAIT` seconds at most, and
    closes the idle connections. Then parent and child let calls in again. No wait here is unbounded, because a thread
    that waits may hold another lock that the fork needs:

    * A call that is kept out for longer than its store's timeout raises `StoreError`.
    * After `FORK_WAIT` seconds the fork goes on, and SQLite is unusable in the child. The same holds if C code forks
      without running these hooks while a connection is open.
    * A signal handler may fork in the middle of a call of its own thread. The fork closes the connection of that call,
      and the call raises `StoreError` in parent and child.

    :ivar forking: the threads that fork. A thread is in it twice if a signal handler forks while it forks.
    """

    def __init__(self) -> None:
        self.forking: list[int] = []
        self._changed = threading.Condition()
        self._process = os.getpid()
        self._calls: set[_Call] = set()
        self._idle: dict[int, list[Opened]] = {}
        self._is_unusable = False
        if hasattr(os, "register_at_fork"):  # not on Windows
            os.register_at_fork(
                before=self._before_fork,
                after_in_parent=self._after_fork_in_parent,
                after_in_child=self._after_fork_in_child,
            )

    def begin_call(self, call: _Call, timeout: float) -> None:
        """Register a call, once no other thread forks.

        :raises StoreError: if a fork takes longer than the timeout, or SQLite is unusable in this process.
        """
        if self._process != os.getpid():
            self._after_fork_in_child()
        with self._changed:
            if self.forking and not self._changed.wait_for(lambda: self._is_free(call.thread), timeout):
                raise StoreError(
                    "the revocation store failed: the process forks, and the fork waits for a call in another thread. "
                    "Fork before threads are started"
                )
            if self._is_unusable:
                raise StoreError(
                    "the revocation store failed: this process was forked while SQLite was in use, and cannot use it. "
                    "Restart the process. Fork before the first request; under uWSGI, set lazy-apps"
                )
            self._calls.add(call)

    def end_call(self, call: _Call) -> None:
        """Close the connection that the call still has, and notify a waiting fork."""
        if call.connection is not None:
            call.connection.close()
        with self._changed:
            self._calls.discard(call)
            if self.forking:
                self._changed.notify_all()

    def register(self, idle: list[Opened]) -> None:
        """Register a list of connections that are closed before each fork."""
        self._idle[id(idle)] = idle

    def close(self, idle: list[Opened]) -> None:
        """Close the connections in a list for good. While a thread forks, the fork itself closes them."""
        call = _Call()
        try:
            with self._changed:
                if self.forking or self._is_unusable or self._process != os.getpid():
                    return
                self._idle.pop(id(idle), None)
                self._calls.add(call)
            _close(idle)
        finally:
            self.end_call(call)

    def _is_free(self, thread: int) -> bool:
        """Check that no other thread forks. Hooks of other libraries may call a store while their own thread forks."""
        return not self.forking or thread in self.forking

    def _before_fork(self) -> None:
        thread = threading.get_ident()
        with self._changed:
            self.forking.append(thread)
            self._changed.wait_for(lambda: all(call.thread == thread for call in list(self._calls)), FORK_WAIT)
        for call in list(self._calls):
            if call.thread == thread and call.connection is not None:
                call.is_closed_by_fork = True
                call.connection.close()
                call.connection = None
                self._calls.discard(call)
        for idle in list(self._idle.values()):
            _close(idle)

    def _after_fork_in_parent(self) -> None:
        with self._changed:
            with suppress(ValueError):  # a signal handler has raised an exception before the append
                self.forking.remove(threading.get_ident())
            self._changed.notify_all()

    def _after_fork_in_child(self) -> None:
        """Let calls in again. All calls and connections that are registered now were those of the parent."""
        if self._process == os.getpid() and not self.forking:
            return  # another library's hook has called a store before this one ran
        self._changed = threading.Condition()  # another thread may hold the old one
        self._process = os.getpid()
        thread = threading.get_ident()
        self.forking = [each for each in self.forking if each == thread][1:]
        self._is_unusable = self._is_unusable or bool(self._calls) or any(self._idle.values())
        self._calls = set()


def _close(idle: list[Opened]) -> None:
    with suppress(IndexError):  # until none is left
        while True:
            idle.pop()[0].close()


_forks = _ForkGuard()
