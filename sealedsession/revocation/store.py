"""What a revocation store is: entries that say what is no longer accepted, and that expire by themselves.

Rules:

1. An entry lives as long as a cookie of that session, or subject, could: the size of a store is the number of logouts
   within the absolute timeout, not of sessions.
2. A store that cannot answer raises `StoreError`, soon: it has timeouts, and never hangs. They count from when a thread
   has the question, which asyncio's default executor may let wait for others.
3. Keys are bytes: a letter, and a session's first id or the SHA-256 of a subject. A store holds no session data and no
   names.
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
OF_SESSION, OF_SUBJECT = b"s", b"u"  # how keys begin
ALWAYS = 2**32 - 1  # as not_before: times have 32 bits


class Entry(NamedTuple):
    """Describe which sessions are revoked under a key.

    :param not_before: a time in seconds since 1970. Sessions created in this second or earlier are revoked, however
        late their cookie was sealed.
    :param spared: the lineage id, 16 bytes, of the one session that the entry does not revoke, or ``b""``.
    """

    not_before: int
    spared: bytes = b""

    def refuses(self, created: int, lineage: bytes | None) -> bool:
        """Check whether the entry revokes a session.

        :param created: when the session was created, in seconds since 1970.
        :param lineage: its lineage id; None or ``b""`` if it has none; no entry spares such a session.
        """
        return created <= self.not_before and not (self.spared and self.spared == lineage)


class Caller(NamedTuple):
    """Describe the session that asks for a revocation.

    :param keys: every key under which this session itself could be revoked. May be empty.
    :param created: when the session was created, in seconds since 1970.
    :param lineage: its lineage id, 16 bytes, or ``b""``.
    :param arrived: when its request arrived, in seconds since 1970.
    """

    keys: tuple[bytes, ...]
    created: int
    lineage: bytes
    arrived: int

    def is_refused(self, entries: Iterable[Entry | None]) -> bool:
        """Check whether any of the entries under ``keys`` revokes this session. None stands for no entry."""
        return any(entry is not None and entry.refuses(self.created, self.lineage) for entry in entries)


def merge(old: Entry | None, entry: Entry, caller: Caller | None) -> Entry:
    """Merge a new entry with the unexpired entry under the same key.

    The merged entry revokes every session that either of the two revokes. The one exception is the session that the
    new entry spares, if the old entry does not refuse the caller. ``not_before`` is the later of both. ``spared`` is:

    ==========================================================================  ====================
    case                                                                        ``spared``
    ==========================================================================  ====================
    there is no old entry                                                       of the new entry
    both entries spare the same session, or none                                of both
    the old entry spares the caller                                             of the new entry
    the caller's request arrived after the second ``not_before`` of the old     of the new entry
    entry
    the caller's request arrived in that second or earlier, or has no lineage   ``b""``
    there is no caller                                                          ``b""``
    ==========================================================================  ====================

    Call this only for a caller that no entry under its keys refuses: see `RevocationStore.revoke`.

    :param old: the entry under the key, or None if there is none or it has expired.
    :param entry: the new entry.
    :param caller: the session that asks for the revocation, or None.
    """
    if old is None:
        return entry
    if old.spared == entry.spared or (caller is not None and not old.refuses(caller.arrived, caller.lineage)):
        spared = entry.spared
    else:
        spared = b""
    return Entry(max(old.not_before, entry.not_before), spared)


def check_subject(subject: str) -> str:
    """Check what a session is to be the session of.

    :raises TypeError: when it is no str; ValueError, when it is empty or too long.
    """
    if type(subject) is not str:
        raise TypeError(f"a subject has to be a str, such as 'user:42'{got(subject)}")
    if not 0 < len(subject) <= SUBJECT_LENGTH:
        raise ValueError(f"a subject has to be 1 to {SUBJECT_LENGTH} characters long, and this one has {len(subject)}")
    return subject


def session_key(root: bytes) -> bytes:
    """The key under which a session is revoked, with all that `regenerate` has made of it.

    :param root: its first id, 16 bytes.
    """
    return OF_SESSION + root


def subject_key(subject: str) -> bytes:
    """The key under which all sessions of a subject are revoked.

    :param subject: the name, such as ``user:42``.
    """
    return OF_SUBJECT + sha256(subject.encode("utf-8", "surrogatepass")).digest()


def check_seconds(option: str, value: object) -> None:
    """Refuse what is no length of time for an option of a store.

    :raises ConfigError: unless it is a number of more than 0.
    """
    if type(value) not in (int, float) or not 0 < value < math.inf:  # type: ignore[operator]
        raise ConfigError(f"{option} has to be a number of seconds over 0, and {value!r} was given")


def check_clock(clock: object) -> None:
    """Refuse what cannot be asked for the time.

    :raises ConfigError: unless it is a function.
    """
    if not callable(clock):
        raise ConfigError(f"clock has to be a function{got(clock)}")


def give_lock(store: Any) -> None:
    """Give a store a lock as its ``_lock``, and another one in every fork: who held it there is not in the fork."""
    store._lock = threading.Lock()
    known = weakref.ref(store)

    def renew() -> None:
        if (alive := known()) is not None:
            alive._lock = threading.Lock()

    if hasattr(os, "register_at_fork"):  # not on Windows
        os.register_at_fork(after_in_child=renew)


def _check_signature(kind: type, name: str) -> None:
    """Check that a method of a store accepts a caller.

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
    """Keeps entries under keys until they expire.

    The methods without ``a`` are for WSGI and may block for as long as the store's timeout; those with it are for ASGI,
    and do the same in a thread unless a store knows better. A store may be used by many threads, and after a fork.

    :ivar staleness: seconds for which `find` may not know yet what another process has revoked.
    :ivar blocks: whether a call may wait, so that ASGI awaits it. Otherwise it is made as in WSGI, on first touch.
    """

    staleness: float = 0
    blocks: bool = True

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in "revoke", "arevoke":
            _check_signature(cls, name)

    @abstractmethod
    def revoke(self, key: bytes, entry: Entry, ttl: int, caller: Caller | None = None) -> bool:
        """Write an entry, unless the session that asks for it is revoked itself. This is one transaction:

        1. If an unexpired entry under ``caller.keys`` refuses the caller, write nothing and return False.
        2. Otherwise merge the new entry with the unexpired entry under the key by `merge`, write the result, and
           return True. The result expires at the later of both times: ``ttl`` never shortens the life of an entry.

        :param key: the key of the session or the subject that is revoked.
        :param entry: the new entry.
        :param ttl: the entry's shortest life in seconds, 1 or more.
        :param caller: the session that asks, or None for a shell or a job.
        :returns: whether the entry was written.
        :raises StoreError: if the store fails.
        """

    @abstractmethod
    def find(self, keys: Sequence[bytes]) -> list[Entry | None]:
        """Give what is kept under keys, at least one, and None for each under which nothing is.

        :raises StoreError: when that cannot be told.
        """

    async def arevoke(self, key: bytes, entry: Entry, ttl: int, caller: Caller | None = None) -> bool:
        """Call `revoke` without blocking the event loop."""
        return await asyncio.to_thread(self.revoke, key, entry, ttl, caller)

    async def afind(self, keys: Sequence[bytes]) -> list[Entry | None]:
        """`find`, without blocking the event loop."""
        return await asyncio.to_thread(self.find, keys)

    def revoke_subject(self, subject: str, *, ttl: int, clock: Callable[[], float] = time.time) -> None:
        """Revoke all sessions of a subject that began until now, from outside a request: a shell, a job.

        :param subject: the name that the application has given to ``session.subject``.
        :param ttl: seconds: the absolute timeout of the sessions and twice the leeway, or more.
        :param clock: seconds since 1970.
        :raises StoreError: when that cannot be done.
        :raises TypeError: when the subject is no str; ValueError, when it is empty or too long.
        """
        self.revoke(subject_key(check_subject(subject)), Entry(int(clock())), ttl)
