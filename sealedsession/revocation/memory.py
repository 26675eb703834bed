"""A revocation store in the memory of one process.

Rules:

1. `find` takes no lock, as most calls find nothing: it reads one dict, whose entries are replaced and never changed.
2. Expired entries are as good as gone, and go when there have been as many revocations as there are entries: memory is
   bounded by twice the entries that are alive, and the sweep costs each revocation a constant.
"""

import threading
import time
from collections.abc import Callable, Sequence

from sealedsession.revocation.store import Caller, Entry, RevocationStore, check_clock, give_lock, merge

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

    def revoke(self, key: bytes, entry: Entry, ttl: int, caller: Caller | None = None) -> bool:
        now = self._clock()
        with self._lock:
            if caller is not None and caller.is_refused(self._alive(caller.keys, now)):
                return False
            expires, (old,) = now + ttl, self._alive([key], now)
            if old is not None:
                expires = max(expires, self._kept[key][0])
            self._kept[key] = expires, merge(old, entry, caller)
            self._until_sweep -= 1
            if self._until_sweep <= 0:
                self._kept = {key: kept for key, kept in self._kept.items() if kept[0] > now}
                self._until_sweep = max(len(self._kept), LEAST_SWEPT)
            return True

    def find(self, keys: Sequence[bytes]) -> list[Entry | None]:
        return self._alive(keys, self._clock())

    async def arevoke(self, key: bytes, entry: Entry, ttl: int, caller: Caller | None = None) -> bool:
        return self.revoke(key, entry, ttl, caller)

    async def afind(self, keys: Sequence[bytes]) -> list[Entry | None]:
        return self.find(keys)

    def _alive(self, keys: Sequence[bytes], now: float) -> list[Entry | None]:
        get = self._kept.get
        return [None if (kept := get(key)) is None or kept[0] <= now else kept[1] for key in keys]
