"""A revocation store in a file that the processes of one machine share, by SQLite.

Rules:

1. A connection is lent to one call at a time. One that failed is closed, and so is one that was opened before another
   file came to the path: the store recovers by itself when the fault is gone.
2. No connection is open while a process forks. SQLite's locks, which the kernel does not pass on, would make the child
   believe that it holds them (sqlite.org/howtocorrupt.html, 2.6), and its logouts could be lost.
3. A logout that was answered is on the disk. WAL alone would leave the last ones to a power cut: synchronous=FULL.
"""

import os
import sqlite3
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial

from sealedsession.errors import ConfigError, StoreError
from sealedsession.revocation.store import Caller, Entry, RevocationStore, check_clock, check_seconds, merge

Opened = tuple[sqlite3.Connection, tuple[int, int] | None]  # with the device and the inode of its file
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
        weakref.finalize(self, _close, self._idle)
        if hasattr(os, "register_at_fork"):  # not on Windows
            os.register_at_fork(before=partial(_close, self._idle))

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
        connection = None
        try:
            connection, identity = self._take_idle() or self._open()
            yield connection
            self._idle.append((connection, identity))
            connection = None
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the upper bits are details
            cure = CURES.get(code, "try PRAGMA integrity_check by hand")
            raise StoreError(f"the revocation store {self._path} failed: {error}; {cure}") from error
        finally:  # KeyboardInterrupt, too, leaves it in the middle of something
            if connection is not None:
                connection.close()

    def _take_idle(self) -> Opened | None:
        identity = self._identity()
        with suppress(IndexError):  # until none is left
            while (opened := self._idle.pop())[1] != identity:
                opened[0].close()
            return opened
        return None

    def _open(self) -> Opened:
        connection = sqlite3.connect(self._path, timeout=self._timeout, isolation_level=None, check_same_thread=False)
        try:
            self._switch_to_wal(connection)
            for statement in PREPARE:
                connection.execute(statement)
        except BaseException:
            connection.close()
            raise
        return connection, self._identity()

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


def _close(idle: list[Opened]) -> None:
    with suppress(IndexError):  # until none is left
        while True:
            idle.pop()[0].close()
