"""A revocation store in the memory of one process.

Rules:

1. `find` takes no lock, as most calls find nothing: it reads one dict, whose entries are replaced and never changed.
2. Expired entries are as good as gone, and go when there have been as many revocations as there are entries: memory is
   bounded by twice the entries that are alive, and the sweep costs each revocation a constant.
"""

import threading
import time
from collections.abc import Callable, Sequence

from sealedsession.revocation.store import Entry, RevocationStore, check_clock, give_lock

LEAST_SWEPT = 100  # fewer entries are not worth a sweep


class MemoryStore(RevocationStore):
    """Revocations that one process knows of, until it ends: for development, tests, and applications of one process.

    :param clock: gives the time in seconds; a test's own.
    :raises ConfigError: when `clock` is no function.
    """

    blocks = False
    _lock: threading.Lock

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        check_clock(clock)
        self._clock = clock
        self._kept: dict[bytes, tuple[float, Entry]] = {}  # when it expires, and the entry
        give_lock(self)
        self._until_sweep = LEAST_SWEPT

    def revoke(self, key: bytes, entry: Entry, ttl: int) -> None:
        now = self._clock()
        expires = now + ttl
        with self._lock:
            before = self._kept.get(key)
            if before is not None and before[0] > now:
                expires = max(expires, before[0])
                if before[1].not_before > entry.not_before:
                    entry = before[1]
            self._kept[key] = expires, entry
            self._until_sweep -= 1
            if self._until_sweep <= 0:
                self._kept = {key: kept for key, kept in self._kept.items() if kept[0] > now}
                self._until_sweep = max(len(self._kept), LEAST_SWEPT)

    def find(self, keys: Sequence[bytes]) -> list[Entry | None]:
        kept = self._kept
        entries: list[Entry | None] = []
        for key in keys:
            found = kept.get(key)
            entries.append(None if found is None or found[0] <= self._clock() else found[1])
        return entries

    async def arevoke(self, key: bytes, entry: Entry, ttl: int) -> None:
        self.revoke(key, entry, ttl)

    async def afind(self, keys: Sequence[bytes]) -> list[Entry | None]:
        return self.find(keys)
