"""The interface of revocation stores. A store keeps entries, which revoke sessions and expire by themselves.

Rules:

1. An entry lives as long as the cookies that it revokes could. The size of a store is therefore the number of logouts
   within the absolute timeout, not the number of sessions.
2. A store that cannot answer raises `StoreError` soon. It has timeouts, and never hangs. A timeout begins when a thread
   makes the call: asyncio's default executor may first wait for a free thread.
3. Keys are bytes: a letter, followed by a session's lineage id or the SHA-256 of a subject. A store contains no session
   data and no names.
"""

import asyncio
import inspect
import math
import os
import threading
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from sealedsession.errors import ConfigError, got

SUBJECT_LENGTH = 255  # characters
OF_SESSION, OF_SUBJECT = b"s", b"u"  # first byte of a key
ALWAYS = 2**32 - 1  # not_before of an entry that revokes all sessions: times in tokens have 32 bits


class Entry(NamedTuple):
    """The sessions that are revoked under a key.

    :param not_before: a time in seconds since 1970. Sessions that were created in this second or earlier are revoked,
        even if their cookie was sealed later.
    :param exempt_lineage: the lineage id, 16 bytes, of the only session that the entry does not revoke, or ``b""``.
    """

    not_before: int
    exempt_lineage: bytes = b""

    def refuses(self, created: int, lineage: bytes | None) -> bool:
        """Return whether the entry revokes a session.

        :param created: when the session was created, in seconds since 1970.
        :param lineage: the session's lineage id. None or ``b""`` if it has none: no entry exempts such a session.
        """
        return created <= self.not_before and not (self.exempt_lineage and self.exempt_lineage == lineage)


class Caller(NamedTuple):
    """The session that requests a revocation.

    :param keys: every key under which this session itself could be revoked. May be empty.
    :param created: when the session was created, in seconds since 1970.
    :param lineage: the session's lineage id, 16 bytes, or ``b""``.
    :param arrived: when the request arrived, in seconds since 1970.
    """

    keys: tuple[bytes, ...]
    created: int
    lineage: bytes
    arrived: int

    def is_refused(self, entries: Iterable[Entry | None]) -> bool:
        """Return whether any of the entries under ``keys`` revokes this session. None means no entry."""
        return any(entry is not None and entry.refuses(self.created, self.lineage) for entry in entries)


def merge(old: Entry | None, entry: Entry, caller: Caller | None) -> Entry:
    """Merge a new entry with the unexpired entry under the same key.

    The merged entry revokes every session that either of the two revokes. The one exception is the session that the
    new entry exempts, if the old entry does not refuse the caller. ``not_before`` is the later of both.
    ``exempt_lineage`` is:

    ==========================================================================  ====================
    case                                                                        ``exempt_lineage``
    ==========================================================================  ====================
    there is no old entry                                                       of the new entry
    both entries exempt the same session, or none                               of both
    the old entry exempts the caller                                            of the new entry
    the caller's request arrived after the second ``not_before`` of the old     of the new entry
    entry
    the caller's request arrived in that second or earlier, or has no lineage   ``b""``
    there is no caller                                                          ``b""``
    ==========================================================================  ====================

    Call this only for a caller that no entry under its keys refuses: see `RevocationStore.revoke`.

    :param old: the entry under the key, or None if there is none or it has expired.
    :param entry: the new entry.
    :param caller: the session that requests the revocation, or None.
    """
    if old is None:
        return entry
    exempt_lineage = b""
    accepted = caller is not None and not old.refuses(caller.arrived, caller.lineage)
    if accepted or old.exempt_lineage == entry.exempt_lineage:
        exempt_lineage = entry.exempt_lineage
    return Entry(max(old.not_before, entry.not_before), exempt_lineage)


def check_subject(subject: str) -> str:
    """Check the subject of a session, and return it.

    :param subject: the name of the session's owner, 1 to `SUBJECT_LENGTH` characters, such as ``user:42``.
    :raises TypeError: if it is not a str.
    :raises ValueError: if it is empty or too long.
    """
    if type(subject) is not str:
        raise TypeError(f"subject: it must be a str, such as 'user:42'{got(subject)}")
    if not 0 < len(subject) <= SUBJECT_LENGTH:
        raise ValueError(
            f"subject: it must have 1 to {SUBJECT_LENGTH} characters, got {len(subject)}. Use an id such as 'user:42'"
        )
    return subject


def session_key(lineage: bytes) -> bytes:
    """Return the key under which a session is revoked, under all ids that `regenerate` has given it.

    :param lineage: the session's lineage id, 16 bytes.
    """
    return OF_SESSION + lineage


def subject_key(subject: str) -> bytes:
    """Return the key under which all sessions of a subject are revoked."""
    return OF_SUBJECT + sha256(subject.encode("utf-8", "surrogatepass")).digest()


def check_seconds(option: str, value: object) -> None:
    """Check a length of time that is an option of a store.

    :raises ConfigError: unless the value is a finite number greater than 0.
    """
    if type(value) not in (int, float) or not 0 < value < math.inf:  # type: ignore[operator]
        raise ConfigError(f"{option}: it must be a number of seconds greater than 0, got {value!r}")


def check_clock(clock: object) -> None:
    """Check the option ``clock`` of a store.

    :raises ConfigError: unless it is a function.
    """
    if not callable(clock):
        raise ConfigError(f"clock: it must be a function that returns seconds{got(clock)}")


def add_lock(store: Any) -> None:
    """Set the attribute ``_lock`` of a store. Every forked child gets a new lock.

    The thread that holds the lock during a fork does not exist in the child, and would never release it.
    """
    store._lock = threading.Lock()
    known = weakref.ref(store)

    def renew() -> None:
        if (alive := known()) is not None:
            alive._lock = threading.Lock()

    if hasattr(os, "register_at_fork"):  # not on Windows
        os.register_at_fork(after_in_child=renew)


def _check_signature(kind: type, name: str) -> None:
    """Check that a method of a store accepts the argument ``caller``.

    :raises TypeError: if it does not.
    """
    try:
        signature = inspect.signature(getattr(kind, name))
    except ValueError:  # a builtin function without a signature
        return
    try:
        signature.bind(None, b"", Entry(0), 1, None)
    except TypeError:
        raise TypeError(
            f"{kind.__qualname__}.{name}: the method does not accept the argument caller, got {name}{signature}. "
            f"Define it as {name}(self, key, entry, ttl, caller=None)"
        ) from None


class RevocationStore(ABC):
    """The base class of stores: keep entries under keys until they expire.

    `revoke` and `find` are for WSGI, and may block until the store's timeout. `arevoke` and `afind` are for ASGI. By
    default, they call the other two in a thread. A store must work in many threads, and after a fork.

    :ivar staleness: seconds for which `find` may not know an entry that another process has written.
    :ivar blocks: whether a call may wait. Then the ASGI middleware awaits the call before the application runs.
        Otherwise it calls the store when the session is first used, as the WSGI middleware does.
    """

    staleness: float = 0
    blocks: bool = True

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in "revoke", "arevoke":
            _check_signature(cls, name)

    @abstractmethod
    def revoke(self, key: bytes, entry: Entry, ttl: int, caller: Caller | None = None) -> bool:
        """Write an entry, unless the session that requests it is itself revoked. This is one transaction:

        1. If an unexpired entry under ``caller.keys`` refuses the caller, write nothing and return False.
        2. Otherwise merge the new entry with the unexpired entry under the key by `merge`, write the result, and
           return True. The result expires at the later of both times: ``ttl`` never shortens the life of an entry.

        :param key: the key of the session or the subject that is revoked.
        :param entry: the new entry.
        :param ttl: the entry's shortest life in seconds, 1 or more.
        :param caller: the session that requests the revocation, or None for a shell or a job.
        :returns: whether the entry was written.
        :raises StoreError: if the store fails.
        """

    @abstractmethod
    def find(self, keys: Sequence[bytes]) -> list[Entry | None]:
        """Find the entries under keys.

        :param keys: one key or more.
        :returns: for each key, its unexpired entry, or None.
        :raises StoreError: if the store fails.
        """

    async def arevoke(self, key: bytes, entry: Entry, ttl: int, caller: Caller | None = None) -> bool:
        """Call `revoke` without blocking the event loop."""
        return await asyncio.to_thread(self.revoke, key, entry, ttl, caller)

    async def afind(self, keys: Sequence[bytes]) -> list[Entry | None]:
        """Call `find` without blocking the event loop."""
        return await asyncio.to_thread(self.find, keys)

    def revoke_subject(self, subject: str, *, ttl: int, clock: Callable[[], float] = time.time) -> None:
        """Revoke all sessions of a subject that exist now, outside of a request: in a shell or a job.

        :param subject: the name that the application assigns to ``session.subject``.
        :param ttl: seconds, at least the absolute timeout of the sessions and twice the leeway.
        :param clock: returns the time in seconds since 1970.
        :raises StoreError: if the store fails.
        :raises TypeError: if the subject is not a str.
        :raises ValueError: if the subject is empty or too long.
        """
        self.revoke(subject_key(check_subject(subject)), Entry(int(clock())), ttl)
