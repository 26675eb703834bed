"""A revocation store in a SQLite file that the processes of one machine share.

Rules:

1. Each connection serves one call at a time. A connection is closed after an error, and when the path names another
   file than the one that it has opened. The store therefore recovers by itself when a fault is gone.
2. No connection is open, and no call is inside SQLite, while a process forks: see `_ForkGuard`. A child does not
   inherit file locks, but SQLite in the child would assume that it holds them (sqlite.org/howtocorrupt.html, 2.6).
   Logouts in the child could be lost, or always fail with "database is locked".
3. If rule 2 cannot be kept, the child does not use SQLite at all: every call in it raises `StoreError`.
4. A logout is on the disk before `revoke` returns: synchronous=FULL. Otherwise, in WAL mode, a power cut could undo the
   last commits.
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

Opened = tuple[sqlite3.Connection, tuple[int, int] | None]  # a connection, and the device and inode of its file
FORK_WAIT = 5  # seconds; a fork waits for calls in other threads, which take up to 2.5 with the default timeout
PREPARE = (
    "PRAGMA synchronous=FULL",
    "CREATE TABLE IF NOT EXISTS revocations"
    " (key BLOB PRIMARY KEY, not_before INTEGER, exempt_lineage BLOB, expires REAL)",
    "CREATE INDEX IF NOT EXISTS revocations_by_expiry ON revocations (expires)",
)
FIND = "SELECT not_before, exempt_lineage, expires FROM revocations WHERE key = ? AND expires > ?"
# 1000: more than one, so that entries are deleted faster than they are added, but too few to make a caller wait.
SWEEP = "DELETE FROM revocations WHERE key IN (SELECT key FROM revocations WHERE expires <= ? LIMIT 1000)"
WRITE = "INSERT OR REPLACE INTO revocations (key, not_before, exempt_lineage, expires) VALUES (?, ?, ?, ?)"
ADVICE = {
    sqlite3.SQLITE_BUSY: "Look for what writes to it for longer than timeout=: a backup, or a shell in a transaction",
    sqlite3.SQLITE_READONLY: "Make the file and its directory writable for this process",
    sqlite3.SQLITE_CANTOPEN: "Make its directory, writable for this process",
    sqlite3.SQLITE_FULL: "Free some space on the disk",
    sqlite3.SQLITE_CORRUPT: "Move the file away: a new one is made, and all previous revocations are forgotten",
    sqlite3.SQLITE_NOTADB: "Give the path of a file that only the store uses",
}


class SQLiteStore(RevocationStore):
    """A store in a SQLite file, which the processes of one machine share. Revocations survive restarts.

    :param path: a file that only the store uses, on a local disk. The store makes the file on first use, but not its
        directory.
    :param timeout: seconds to wait for other connections to finish writing.
    :param clock: returns the time in seconds since 1970.
    :raises ConfigError: if an option is wrong, or the path cannot be written. Later faults, and faults inside the file,
        do not stop the process: calls raise `StoreError`.
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
            raise ConfigError(
                f"path: it must be the path of a file, got {path!r}. For a store in memory, use MemoryStore"
            )
        check_seconds("timeout", timeout)
        check_clock(clock)
        self._path = os.path.abspath(name)  # the server may change its working directory later
        _check_path(self._path)
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
                connection.execute(WRITE, (key, merged.not_before, merged.exempt_lineage, max(expires, now + ttl)))
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
            advice = ADVICE.get(code, "Run PRAGMA integrity_check on the file")
            if call.is_closed_by_fork:
                advice = "This thread forked during the call, in a signal handler: try again"
            raise StoreError(f"revocation store {self._path}: {error}. {advice}") from error
        finally:  # also after a KeyboardInterrupt, which may leave a transaction open
            _forks.end_call(call)

    def _connect(self, call: "_Call") -> Opened:
        """Assign an idle or a new connection to the call, and return it."""
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
        with suppress(IndexError):  # raised when the list is empty
            while (opened := self._idle.pop())[1] != identity:
                opened[0].close()
            return opened
        return None

    def _switch_to_wal(self, connection: sqlite3.Connection) -> None:
        """Switch the database to WAL. SQLite's own timeout does not cover this statement, so retry here.

        Without retries, processes that start at the same time would fail.
        """
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
    """Return the unexpired entry under a key and the time when it expires, or None and 0."""
    rows = connection.execute(FIND, (key, now)).fetchall()
    return (Entry(*rows[0][:2]), rows[0][2]) if rows else (None, 0)


def _check_path(path: str) -> None:
    """Check that a file can be made and written at a path. Otherwise every request with a session would fail.

    :raises ConfigError: if the directory is missing, the path is not that of a file, or either cannot be written.
    """
    real = os.path.realpath(path)  # SQLite puts its two other files into the directory of a link's target
    directory, problem = os.path.dirname(real), None
    if not os.path.isdir(directory):
        problem = f"the directory {directory!r} does not exist. Make it, writable for this process"
    elif os.path.exists(real) and not os.path.isfile(real):
        problem = "it is not a file. Give the path of a file, which is made on first use"
    elif unwritable := [each for each in (directory, real) if os.path.exists(each) and not _is_writable(each)]:
        problem = f"{unwritable[0]!r} cannot be written. Make the file and its directory writable for this process"
    if problem:
        raise ConfigError(f"revocation store {path!r}: {problem}")


def _is_writable(path: str) -> bool:
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


class _Call:
    """A call of a store, from before it enters SQLite until after it has left.

    :ivar thread: the identifier of the call's thread.
    :ivar connection: the connection in use, or None before and after its use.
    :ivar is_closed_by_fork: whether a fork during the call has closed its connection.
    """

    __slots__ = ("connection", "is_closed_by_fork", "thread")

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.connection: sqlite3.Connection | None = None
        self.is_closed_by_fork = False


class _ForkGuard:
    """Separates forks from the calls of all stores in this process.

    Before a fork, the guard blocks new calls, waits until the calls of other threads have ended, and closes the idle
    connections. Afterwards parent and child allow calls again. All waits are bounded, because a waiting thread may hold
    another lock that the fork needs:

    * A call that is blocked for longer than its store's timeout raises `StoreError`.
    * The fork waits at most `FORK_WAIT` seconds. Then it continues, and SQLite is unusable in the child. SQLite is also
      unusable in the child if C code forks without these hooks while a connection is open.
    * A signal handler may fork during a call of its own thread. The guard closes the connection of that call, which
      raises `StoreError` in parent and child.

    :ivar forking: the threads that fork. A thread is listed twice if a signal handler forks during a fork.
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
        """Register a call as soon as no other thread forks.

        :param timeout: seconds to wait for a fork.
        :raises StoreError: if a fork takes longer than the timeout, or SQLite is unusable in this process.
        """
        if self._process != os.getpid():
            self._after_fork_in_child()
        with self._changed:
            if self.forking and not self._changed.wait_for(lambda: self._is_free(call.thread), timeout):
                raise StoreError(
                    "revocation store: the process forks, and the fork waits for a call in another thread. Fork before "
                    "threads are started"
                )
            if self._is_unusable:
                raise StoreError(
                    "revocation store: this process was forked while SQLite was in use, and cannot use SQLite. Restart "
                    "the process. To prevent this, fork before the first request; under uWSGI, set lazy-apps"
                )
            self._calls.add(call)

    def end_call(self, call: _Call) -> None:
        """Close the call's connection, if it still has one, and notify a waiting fork."""
        if call.connection is not None:
            call.connection.close()
        with self._changed:
            self._calls.discard(call)
            if self.forking:
                self._changed.notify_all()

    def register(self, idle: list[Opened]) -> None:
        """Register a list of idle connections. They are closed before each fork."""
        self._idle[id(idle)] = idle

    def close(self, idle: list[Opened]) -> None:
        """Close the connections in a list, and forget the list. While a thread forks, the fork itself closes them."""
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
        """Return whether no other thread forks. Hooks of other libraries may call a store in the forking thread."""
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
            with suppress(ValueError):  # raised if an exception in a signal handler prevented the append
                self.forking.remove(threading.get_ident())
            self._changed.notify_all()

    def _after_fork_in_child(self) -> None:
        """Allow calls again. All calls and connections that are registered now belong to the parent."""
        if self._process == os.getpid() and not self.forking:
            return  # a hook of another library has called a store, and this method, already
        self._changed = threading.Condition()  # a thread of the parent may hold the previous one
        self._process = os.getpid()
        thread = threading.get_ident()
        self.forking = [each for each in self.forking if each == thread][1:]
        self._is_unusable = self._is_unusable or bool(self._calls) or any(self._idle.values())
        self._calls = set()


def _close(idle: list[Opened]) -> None:
    with suppress(IndexError):  # raised when the list is empty
        while True:
            idle.pop()[0].close()


_forks = _ForkGuard()
