"""A cache of unsealed tokens: a repeated cookie is neither verified nor decrypted again.

The cache is used only if the option ``token_cache`` is set. Rules:

1. A token is cached after the sealer has unsealed it. The key is the whole token and a hash of the binding.
2. Everything that can change is still checked on every request: the keyring (a change empties the cache), the timeouts
   and, by the caller, revocation. The cache keeps payloads as bytes, which each request parses into values of its own.
3. There are two generations. Tokens in use are in the young one. When it is full, it becomes the old one and the
   previous old one is dropped, with all tokens that were not used meanwhile. A hit in the young generation writes
   nothing, and no thread waits.
"""

from collections.abc import Callable
from hashlib import sha256

from sealedsession.sealing.keys import Keyring, KeyringSource
from sealedsession.sealing.sealer import Sealer, Unsealed

_Generation = dict[tuple[bytes, bytes], Unsealed]  # key: (token, SHA-256 of the binding, or b"" for no binding)


class TokenCache:
    """Unseal tokens by a sealer, and cache the results.

    :param sealer: unseals the tokens that are not in the cache.
    :param keyring: the sealer's own keyring or source.
    :param max_tokens: the size of the cache, 2 or more; each generation has half of it. Concurrent threads may each
        exceed it by one token.
    :param max_payload: bytes. A larger payload is not cached, because the serializer will refuse it.
    :param clock: the sealer's own clock.
    """

    __slots__ = ("_check_times", "_clock", "_generations", "_half", "_max_payload", "_source", "_unseal")

    def __init__(
        self,
        sealer: Sealer,
        keyring: KeyringSource,
        max_tokens: int,
        max_payload: int,
        clock: Callable[[], float],
    ) -> None:
        self._unseal = sealer.unseal
        self._check_times = sealer.check_times
        # A plain keyring returns itself and never changes, so that no call needs to check it.
        self._source = None if keyring.current(int(clock())) is keyring else keyring
        self._clock = clock
        self._half = max_tokens // 2
        self._max_payload = max_payload
        # Young, old, and the keyring that unsealed them (None if it never changes). One tuple, so that threads read and
        # replace all three at once.
        self._generations: tuple[_Generation, _Generation, Keyring | None] = {}, {}, None

    def unseal(self, token: bytes, *, binding: bytes = b"") -> Unsealed:
        """Unseal a token, as `Sealer.unseal` does."""
        now = self._clock()
        keyring = None if self._source is None else self._source.current(int(now))
        young, old, unsealed_by = self._generations
        if keyring is not unsealed_by:
            young, old = {}, {}
            self._generations = young, old, keyring
        key = token, binding and sha256(binding).digest()
        cached = young.get(key)
        unsealed = cached or old.get(key) or self._unseal(token, binding=binding)
        payload, _, created, sealed_at, lifetime, _, _, _ = unsealed
        self._check_times(now, created, sealed_at, lifetime)
        if cached is None and len(payload) <= self._max_payload:
            if len(young) >= self._half:
                young, old = {}, young
                self._generations = young, old, keyring
            young[key] = unsealed
        return unsealed
