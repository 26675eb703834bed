"""A cache in front of a revocation store.

Rules:

1. The age of an answer counts from the beginning of the look-up, not from its end. No revocation is missed for longer
   than ``staleness``, however slow the store is.
2. A revocation never uses the cache: the store behind it decides whether the caller is revoked. Afterwards the cached
   answers under the key and under the caller's keys are deleted, and the answer of a look-up that began earlier is not
   cached. The process that revokes therefore applies the revocation at once.
3. Errors are not cached. An entry that exempts a session is not used from the cache: the exempt session may change.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from sealedsession.errors import ConfigError, got
from sealedsession.revocation.store import Caller, Entry, RevocationStore, add_lock, check_clock, check_seconds


class CachedStore(RevocationStore):
    """A cache of another store's answers. Every process has its own cache.

    :param store: the store that keeps the entries.
    :param staleness: seconds for which an answer is reused. A session that another process has revoked may be accepted
        for this time.
    :param size: the number of keys in the cache. When it is full, the oldest answers are dropped.
    :param clock: returns seconds on a clock that never goes back.
    :raises ConfigError: if an option has the wrong type or is out of range.
    """

    _lock: threading.Lock

    def __init__(
        self,
        store: RevocationStore,
        *,
        staleness: float = 1.0,  # shorter than the time in which a user moves from one device to another
        size: int = 10_000,  # about 2 MB
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not isinstance(store, RevocationStore):
            raise ConfigError(f"store: it must be a RevocationStore{got(store)}. Pass an object, not a class or a URL")
        check_seconds("staleness", staleness)
        if type(size) is not int or size < 1:
            raise ConfigError(f"size: it must be a number of keys, at least 1, got {size!r}")
        check_clock(clock)
        self._store = store
        self._staleness = staleness
        self.staleness: float = staleness + store.staleness
        self._size = size
        self._clock = clock
        self._answers: OrderedDict[bytes, tuple[float, Entry | None]] = OrderedDict()  # (time of the look-up, answer)
        add_lock(self)
        self._revocations = 0

    def revoke(self, key: bytes, entry: Entry, ttl: int, caller: Caller | None = None) -> bool:
        try:
            return self._store.revoke(key, entry, ttl, caller)
        finally:  # after an error too: the entry may have been written
            self._forget(key, caller)

    def find(self, keys: Sequence[bytes]) -> list[Entry | None]:
        now, revocations = self._clock(), self._revocations
        answers = self._cached_answers(now, keys)
        if len(answers) < len(keys) and (unknown := [key for key in keys if key not in answers]):
            answers |= self._remember(now, revocations, unknown, self._store.find(unknown))
        return [answers[key] for key in keys]

    async def arevoke(self, key: bytes, entry: Entry, ttl: int, caller: Caller | None = None) -> bool:
        try:
            return await self._store.arevoke(key, entry, ttl, caller)
        finally:
            self._forget(key, caller)

    async def afind(self, keys: Sequence[bytes]) -> list[Entry | None]:
        now, revocations = self._clock(), self._revocations
        answers = self._cached_answers(now, keys)
        if len(answers) < len(keys) and (unknown := [key for key in keys if key not in answers]):
            answers |= self._remember(now, revocations, unknown, await self._store.afind(unknown))
        return [answers[key] for key in keys]

    def _cached_answers(self, now: float, keys: Sequence[bytes]) -> dict[bytes, Entry | None]:
        oldest = now - self._staleness
        get = self._answers.get
        answers = {key: known[1] for key in keys if (known := get(key)) is not None and known[0] > oldest}
        # An entry that exempts a session can be replaced by one that exempts its successor: look that up again.
        return {key: entry for key, entry in answers.items() if entry is None or not entry.exempt_lineage}

    def _remember(
        self, began: float, revocations: int, keys: list[bytes], found: list[Entry | None]
    ) -> dict[bytes, Entry | None]:
        answers = dict(zip(keys, found, strict=True))
        with self._lock:
            if revocations == self._revocations:
                for key, entry in answers.items():
                    self._answers[key] = began, entry
                    self._answers.move_to_end(key)
                while len(self._answers) > self._size:
                    self._answers.popitem(last=False)
        return answers

    def _forget(self, key: bytes, caller: Caller | None) -> None:
        with self._lock:
            self._revocations += 1
            for each in (key, *(() if caller is None else caller.keys)):
                self._answers.pop(each, None)
