"""A revocation store in the memory of one process.

Rules:

1. `find` takes no lock. It reads one dict, whose values are replaced and never changed.
2. Expired entries are ignored. A sweep removes them after as many revocations as there are entries. Memory is therefore
   bounded by twice the number of unexpired entries, and each revocation pays a constant share of the sweeps.
"""

import threading
import time
from collections.abc import Callable, Sequence

from sealedsession.revocation.store import Caller, Entry, RevocationStore, add_lock, check_clock, merge

LEAST_SWEPT = 100  # entries; a sweep of fewer is not worth its time


class MemoryStore(RevocationStore):
    """A store in the memory of one process, for development, tests, and applications that run in one process.

    :param clock: returns the time in seconds since 1970.
    :raises ConfigError: if ``clock`` is not a function.
    """

    blocks = False
    _lock: threading.Lock

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        check_clock(clock)
        self._clock = clock
        self._kept: dict[bytes, tuple[float, Entry]] = {}  # (time of expiry, entry)
        add_lock(self)
        self._until_sweep = LEAST_SWEPT

    def revoke(self, key: bytes, entry: Entry, ttl: int, caller: Caller | None = None) -> bool:
        now = self._clock()
        with self._lock:
            if caller is not None and caller.is_refused(self._find_unexpired(caller.keys, now)):
                return False
            expires, (old,) = now + ttl, self._find_unexpired([key], now)
            if old is not None:
                expires = max(expires, self._kept[key][0])
            self._kept[key] = expires, merge(old, entry, caller)
            self._until_sweep -= 1
            if self._until_sweep <= 0:
                self._kept = {key: kept for key, kept in self._kept.items() if kept[0] > now}
                self._until_sweep = max(len(self._kept), LEAST_SWEPT)
            return True

    def find(self, keys: Sequence[bytes]) -> list[Entry | None]:
        return self._find_unexpired(keys, self._clock())

    async def arevoke(self, key: bytes, entry: Entry, ttl: int, caller: Caller | None = None) -> bool:
        return self.revoke(key, entry, ttl, caller)

    async def afind(self, keys: Sequence[bytes]) -> list[Entry | None]:
        return self.find(keys)

    def _find_unexpired(self, keys: Sequence[bytes], now: float) -> list[Entry | None]:
        get = self._kept.get
        return [None if (kept := get(key)) is None or kept[0] <= now else kept[1] for key in keys]
