"""Tokens that have been unsealed, and what they held: the same cookie again needs neither MAC nor AES.

Off unless the option `token_cache` says how many are kept. Rules:

1. A token gets in when the sealer has unsealed it, and is found by all its bytes and a hash of those it is bound to.
2. What can change is asked as ever: the keyring, another one of which empties the cache; the times; and, by whoever
   called, the store. What is kept is bytes: each request reads them by the grammar, and makes values of its own.
3. There are two generations. What is used is in the young one; when that is full it becomes the old one, and the old
   one goes, with whatever was not used meanwhile. So a hit in the young one writes nothing, and no thread waits.
"""

from collections.abc import Callable
from hashlib import sha256

from sealedsession.sealing.keys import Keyring
from sealedsession.sealing.sealer import KeyringSource, Sealer, Unsealed

_Generation = dict[tuple[bytes, bytes], Unsealed]  # by token, and what stands for its binding: none, or the hash of it


class TokenCache:
    """Unseal, and keep what was unsealed.

    :param sealer: unseals what is not kept.
    :param keyring: the sealer's.
    :param most: tokens that are kept at most, 2 or more, half of them in each generation; threads that come at the same
        moment may add one each.
    :param largest: bytes; a larger payload is not kept, because nobody will read it.
    :param clock: the sealer's.
    """

    __slots__ = ("_check_times", "_clock", "_half", "_kept", "_largest", "_source", "_unseal")

    def __init__(
        self,
        sealer: Sealer,
        keyring: Keyring | KeyringSource,
        most: int,
        largest: int,
        clock: Callable[[], float],
    ) -> None:
        self._unseal = sealer.unseal
        self._check_times = sealer.check_times
        self._source = None if isinstance(keyring, Keyring) else keyring
        self._clock = clock
        self._half = most // 2
        self._largest = largest
        # Young and old, of the tokens unsealed by one keyring: looked at and replaced as one.
        self._kept: tuple[_Generation, _Generation, Keyring | None] = {}, {}, None

    def unseal(self, token: bytes, *, binding: bytes = b"") -> Unsealed:
        """Open a token, as the sealer does.

        :param binding: what the token is bound to besides its purpose.
        :raises UnsealError: with the reason code of the first check that failed.
        """
        now = self._clock()
        keyring = None if self._source is None else self._source.current(int(now))
        young, old, unsealed_by = self._kept
        if keyring is not unsealed_by:
            young, old = {}, {}
            self._kept = young, old, keyring
        key = token, binding and sha256(binding).digest()
        kept = young.get(key)
        unsealed = kept or old.get(key) or self._unseal(token, binding=binding)
        payload, _, created, sealed_at, lifetime, _, _ = unsealed
        self._check_times(now, created, sealed_at, lifetime)
        if kept is None and len(payload) <= self._largest:
            if len(young) >= self._half:
                young, old = {}, young
                self._kept = young, old, keyring
            young[key] = unsealed
        return unsealed
