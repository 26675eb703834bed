"""The wire format of tokens, version 1: the layout, sealing and unsealing.

This module knows bytes only: no cookies, no sessions and no serializers. Integers are big-endian. Times are seconds
since 1970. Numbers in parentheses are widths in bytes::

    token      = base64url without padding ( envelope )    strict: exactly one token for each envelope
    envelope   = 0x01 key_id(2) nonce(16) ciphertext(n) tag(32)     sealed         n >= 9
               | 0x02 key_id(2)           plaintext(n)  tag(32)     signed only    n >= 9
    ciphertext = AES-256-CTR(K_encrypt, initial counter block = nonce, plaintext)
    tag        = HMAC-SHA256(K_mac, everything before the tag, then binding, then u32(len(binding)))
    plaintext  = flags(1) created(4) sealed_at(4) [lifetime(4)] [sid(16)] payload [padding]
    flags      : bits 0-1  serializer: 0 pickle, 1 JSON
                 bit 2     the payload is compressed with raw deflate
                 bit 3     lifetime is present: seconds after created
                 bit 4     sid is present: the session's id
                 bit 5     padding is present: the last byte is the number of padding bytes, itself included
                 bit 6     zero
                 bit 7     the browser keeps the cookie when it is closed

Rules:

1. `Sealer.unseal` always works in this order: length, alphabet, head and key id, MAC in constant time, decryption,
   flags and lengths, times, inflation. It decrypts and parses nothing before the MAC has verified.
2. Every plaintext has passed the MAC. An inconsistency in it is therefore a bug of this package or the work of a stolen
   key. The reason is ``forbidden_value``.
3. A signed-only token is never accepted in place of a sealed one, or the other way round: the first byte is compared
   along with the key id.
4. Every optional part is read, whatever the options of the sealer are. Inflation stops at `INFLATED_MAX` bytes.
"""

import math
import os
import struct
import time
import zlib
from collections.abc import Callable
from hmac import compare_digest
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from sealedsession.errors import UnsealError
from sealedsession.sealing import base64url
from sealedsession.sealing.keys import Keyring, KeyringSource, Subkeys

SEALED, SIGNED = b"\x01", b"\x02"  # first byte of the envelope
PICKLE, JSON = 0, 1  # flags, bits 0-1
DEFLATED, LIFETIME, SESSION_ID, PADDED, _RESERVED, PERSISTENT = 4, 8, 16, 32, 64, 128  # flags, bits 2-7

TIMES = struct.Struct(">BII")  # flags, created, sealed_at
U32 = struct.Struct(">I")
SESSION_ID_BYTES = 16  # OWASP ASVS 5.0, 7.2.3, requires 128 bits of session tokens; knowing this id gives no access
INFLATED_MAX = 64 * 1024  # bytes; no serializer accepts a larger payload

_HEAD, _NONCE, _TAG = 3, 16, 32  # bytes; the head is the first byte and the key id
_NO_BINDING = U32.pack(0)
# Slices of an envelope, and of a plaintext without optional parts except for the session id. Made once, for speed.
_HEAD_PART, _UNTAGGED_PART, _TAG_PART = slice(_HEAD), slice(-_TAG), slice(-_TAG, None)
_SESSION_ID_END = TIMES.size + SESSION_ID_BYTES
_AFTER_TIMES, _SESSION_ID_PART, _AFTER_SESSION_ID = (
    slice(TIMES.size, None),
    slice(TIMES.size, _SESSION_ID_END),
    slice(_SESSION_ID_END, None),
)

_RAW_DEFLATE = -zlib.MAX_WBITS  # without zlib's header and checksum, which the MAC makes unnecessary
_MIN_LOOKAHEAD = 262  # bytes; a constant of zlib: a match reaches back at most by the window minus this


class Unsealed(NamedTuple):
    """The verified content of a token. Times are in seconds since 1970.

    :param payload: the serialized session, inflated.
    :param serializer: the payload's serializer, `PICKLE` or `JSON`.
    :param created: when the session was created.
    :param sealed_at: when this token was sealed.
    :param lifetime: seconds after ``created`` at which the session ends, or None.
    :param session_id: the session's id, 16 bytes, or None.
    :param by_fallback: whether a fallback key sealed the token. Then it should be sealed again.
    :param persistent: whether the browser keeps the cookie when it is closed.
    """

    payload: bytes
    serializer: int
    created: int
    sealed_at: int
    lifetime: int | None
    session_id: bytes | None
    by_fallback: bool
    persistent: bool = False


_new_unsealed = tuple.__new__  # skips the frame of Unsealed.__new__


class Sealer:
    """Seal payloads for one purpose, and unseal the tokens of every key in the keyring for this purpose.

    :param keyring: a keyring or a source of one. The primary pair seals; all pairs unseal.
    :param purpose: part of the derivation of every subkey, such as ``cookie:__Host-session``.
    :param idle_timeout: seconds after ``sealed_at`` for which a token is accepted, or None for no such limit.
    :param absolute_timeout: seconds after ``created`` for which a token is accepted, or None for no such limit.
    :param leeway: seconds by which the clocks of two machines may differ.
    :param max_length: characters that a token may have.
    :param compress: whether to deflate a payload if this makes it shorter. CRIME and BREACH are attacks on
        compressed secrets: see the security page.
    :param level: zlib's level: 1 is the fastest, 9 makes the shortest tokens.
    :param deflate_over: a payload of up to this many bytes is not deflated.
    :param pad: pad the plaintext to a multiple of this many bytes, 2 to 255. 0 means no padding.
    :param clock: returns the time in seconds since 1970.
    :param random_bytes: a cryptographically secure generator, for nonces.
    """

    __slots__ = (
        "_absolute_timeout", "_clock", "_compress", "_deflate_over", "_idle_timeout", "_keys", "_leeway",
        "_level", "_max_length", "_pad", "_purpose", "_random_bytes", "_source",
    )  # fmt: skip

    def __init__(
        self,
        keyring: KeyringSource,
        purpose: str,
        *,
        idle_timeout: int | None = None,
        absolute_timeout: int | None = None,
        leeway: int = 60,
        max_length: int = 4096,
        compress: bool = False,
        level: int = 9,
        deflate_over: int = 0,
        pad: int = 0,
        clock: Callable[[], float] = time.time,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._clock = clock
        self._purpose = purpose
        # A keyring never changes, so that the clock need not work at start.
        current = keyring if isinstance(keyring, Keyring) else keyring.current(int(clock()))
        self._keys = _Keys(current, purpose)
        # A plain keyring returns itself and never changes, so that no call needs to check it.
        self._source = None if current is keyring else keyring
        self._idle_timeout = math.inf if idle_timeout is None else idle_timeout
        self._absolute_timeout = math.inf if absolute_timeout is None else absolute_timeout
        self._leeway = leeway
        self._max_length = max_length
        self._compress = compress
        self._level = level
        self._deflate_over = deflate_over
        self._pad = pad
        self._random_bytes = random_bytes

    def seal(
        self,
        payload: bytes,
        *,
        created: int,
        serializer: int = PICKLE,
        lifetime: int | None = None,
        session_id: bytes | None = None,
        persistent: bool = False,
        binding: bytes = b"",
    ) -> str:
        """Seal a payload with the primary key, at the current time.

        :param payload: the serialized session.
        :param created: when the session was created, in seconds since 1970.
        :param serializer: the payload's serializer, `PICKLE` or `JSON`.
        :param lifetime: seconds after ``created`` at which the session ends, or None.
        :param session_id: the session's id, 16 bytes, or None.
        :param persistent: whether the browser keeps the cookie when it is closed.
        :param binding: bytes to which the token is bound besides its purpose. `unseal` needs the same bytes.
        :returns: the token.
        """
        now = int(self._clock())
        keys = self._keys
        # Repeated in `unseal`: a common method would cost a frame for each token.
        if self._source is not None and (keyring := self._source.current(now)) is not keys.keyring:
            keys = self._keys = _Keys(keyring, self._purpose)
        flags = serializer | PERSISTENT if persistent else serializer
        optional = b""
        if lifetime is not None:
            flags |= LIFETIME
            optional = U32.pack(lifetime)
        if session_id is not None:
            flags |= SESSION_ID
            optional += session_id
        if self._compress and len(payload) > self._deflate_over:
            deflated = deflate(payload, self._level)
            if len(deflated) < len(payload):
                flags |= DEFLATED
                payload = deflated
        if self._pad:
            flags |= PADDED
            count = self._pad - (TIMES.size + len(optional) + len(payload)) % self._pad  # 1 or more
            payload += bytes(count - 1) + bytes((count,))
        plaintext = TIMES.pack(flags, created, now) + optional + payload
        key = keys.primary
        if keys.sealed:
            nonce = self._random_bytes(_NONCE)
            body = key.head + nonce + key.crypt(nonce, plaintext)
        else:
            body = key.head + plaintext
        mac = key.mac_copy()
        mac.update(body + (binding + U32.pack(len(binding)) if binding else _NO_BINDING))
        return base64url.encode(body + mac.finalize())

    def unseal(self, token: bytes, *, binding: bytes = b"") -> Unsealed:
        """Verify and decrypt a token.

        :param token: the token, in ASCII.
        :param binding: the bytes to which `seal` has bound the token.
        :raises UnsealError: with the reason of the first check that failed.
        """
        now = self._clock()
        keys = self._keys
        if self._source is not None and (keyring := self._source.current(int(now))) is not keys.keyring:
            keys = self._keys = _Keys(keyring, self._purpose)
        if len(token) > self._max_length:
            raise UnsealError(
                "malformed", f"the token is too long: {len(token)} characters, and the limit is {self._max_length}"
            )
        try:
            envelope = base64url.decode(token)
        except ValueError:
            raise UnsealError("malformed", "the token is not strict base64url without padding") from None
        signed = envelope[_UNTAGGED_PART] + (binding + U32.pack(len(binding)) if binding else _NO_BINDING)
        tag = envelope[_TAG_PART]
        for key in keys.by_head.get(envelope[_HEAD_PART], ()):
            mac = key.mac_copy()
            mac.update(signed)
            if compare_digest(mac.finalize(), tag):
                break
        else:
            raise _explain_unverified(keys, envelope)
        # The MAC has verified: see rule 2.
        if len(envelope) < key.min_length:
            raise UnsealError("forbidden_value", "the plaintext is too short for its flags and times")
        plaintext = envelope[key.text_part]
        if keys.sealed:
            plaintext = key.crypt(envelope[key.nonce_part], plaintext)
        flags, created, sealed_at = TIMES.unpack_from(plaintext)
        persistent = flags >= PERSISTENT
        if persistent:
            flags -= PERSISTENT
        if flags <= JSON:
            payload, lifetime, session_id = plaintext[_AFTER_TIMES], None, None
        elif flags <= SESSION_ID | JSON and flags & SESSION_ID and len(plaintext) >= _SESSION_ID_END:
            payload, lifetime, session_id = plaintext[_AFTER_SESSION_ID], None, plaintext[_SESSION_ID_PART]
        else:
            payload, lifetime, session_id = unpack_optional(flags, plaintext)
        if not (  # fast path for nearly all tokens: within all timeouts even without leeway
            created <= sealed_at <= now <= sealed_at + self._idle_timeout
            and now <= created + self._absolute_timeout
            and lifetime is None
        ):
            self.check_times(now, created, sealed_at, lifetime)
        if flags & DEFLATED:
            payload = inflate(payload)
        return _new_unsealed(
            Unsealed, (payload, flags & 3, created, sealed_at, lifetime, session_id, key.fallback, persistent)
        )

    def check_times(self, now: float, created: int, sealed_at: int, lifetime: int | None) -> None:
        """Check a token's times against the clock and the timeouts. Times are in seconds since 1970.

        :param lifetime: seconds after ``created`` at which the session ends, or None.
        :raises UnsealError: with ``from_the_future``, ``expired_idle`` or ``expired_absolute``.
        """
        if sealed_at > now + self._leeway or created > sealed_at + self._leeway:
            ahead = max(sealed_at - now, created - sealed_at)
            raise UnsealError("from_the_future", f"a time in the token is {ahead:.0f} seconds ahead")
        if now > sealed_at + self._idle_timeout + self._leeway:
            raise UnsealError("expired_idle", f"the token was sealed {now - sealed_at:.0f} seconds ago")
        ends = self._absolute_timeout if lifetime is None else min(lifetime, self._absolute_timeout)
        if now > created + ends + self._leeway:
            raise UnsealError("expired_absolute", f"the session was created {now - created:.0f} seconds ago")


class _Keys:
    """The keys of one keyring, prepared for one purpose. A changed keyring replaces the whole object at once."""

    __slots__ = ("by_head", "keyring", "primary", "sealed")

    def __init__(self, keyring: Keyring, purpose: str) -> None:
        keys = [_Key(subkeys) for subkeys in keyring.derive(purpose)]
        self.keyring = keyring
        self.primary = keys[0]
        self.sealed = keys[0].algorithm is not None
        # Two pairs have the same key id with a probability of 1 in 65,536. Then `unseal` tries both.
        self.by_head: dict[bytes, list[_Key]] = {}
        for key in keys:
            self.by_head.setdefault(key.head, []).append(key)


class _Key:
    """One key pair, prepared for one purpose, so that no token needs a derivation or a new context."""

    __slots__ = ("algorithm", "contexts", "fallback", "head", "mac_copy", "min_length", "nonce_part", "text_part")

    def __init__(self, subkeys: Subkeys) -> None:
        self.fallback = subkeys.state == "fallback"
        self.head = (SIGNED if subkeys.encrypt is None else SEALED) + subkeys.key_id
        start = _HEAD + (0 if subkeys.encrypt is None else _NONCE)
        self.nonce_part, self.text_part = slice(_HEAD, start), slice(start, -_TAG)  # of the envelope
        self.min_length = start + TIMES.size + _TAG  # of the envelope
        self.algorithm: Any = None if subkeys.encrypt is None else AES(subkeys.encrypt)
        self.mac_copy = HMAC(subkeys.mac, SHA256()).copy
        # Idle CTR contexts. reset_nonce and update of one context must not interleave between threads. `pop` is atomic,
        # so that a context belongs to one thread until `append` returns it.
        self.contexts: list[Any] = []

    def crypt(self, nonce: bytes, data: bytes) -> bytes:
        """Encrypt or decrypt data: in counter mode the two are the same operation."""
        try:
            context = self.contexts.pop()
        except IndexError:
            context = Cipher(self.algorithm, CTR(nonce)).encryptor()
        context.reset_nonce(nonce)
        result: bytes = context.update(data)
        self.contexts.append(context)
        return result


def _explain_unverified(keys: _Keys, envelope: bytes) -> UnsealError:
    """Return the error for a token that no key verifies."""
    if len(envelope) < _HEAD + TIMES.size + _TAG:
        return UnsealError("malformed", f"the token is too short: {len(envelope)} bytes")
    head = envelope[:_HEAD]
    if head in keys.by_head:
        return UnsealError("bad_signature", "the token was tampered with, or made for another purpose")
    if head[:1] in (SEALED, SIGNED):
        kind = "sealed" if head[:1] == SEALED else "signed only"
        return UnsealError("unknown_key", f"the token is {kind}, with key {head[1:].hex()}, which is not configured")
    return UnsealError("malformed", f"the token has an unknown version, {head[0]}")


def unpack_optional(flags: int, plaintext: bytes) -> tuple[bytes, int | None, bytes | None]:
    """Split a plaintext into its optional parts.

    :returns: the payload, perhaps deflated; the lifetime in seconds, or None; the session's id, or None.
    :raises UnsealError: with ``forbidden_value``, for unknown flags and for a part that does not fit in.
    """
    if flags & _RESERVED or flags & 3 > JSON:
        raise UnsealError("forbidden_value", f"the plaintext has unknown flags, {flags:#04x}")
    start, end = TIMES.size, len(plaintext)
    lifetime = session_id = None
    if flags & LIFETIME:
        if start + 4 > end:
            raise UnsealError("forbidden_value", "the plaintext is too short for its lifetime")
        (lifetime,) = U32.unpack_from(plaintext, start)
        start += 4
    if flags & SESSION_ID:
        if start + SESSION_ID_BYTES > end:
            raise UnsealError("forbidden_value", "the plaintext is too short for its session id")
        session_id = plaintext[start : start + SESSION_ID_BYTES]
        start += SESSION_ID_BYTES
    if flags & PADDED:
        if not 1 <= plaintext[-1] <= end - start:
            raise UnsealError("forbidden_value", "the padding has 0 bytes, or more than the plaintext")
        end -= plaintext[-1]
    return plaintext[start:end], lifetime, session_id


def deflate(payload: bytes, level: int) -> bytes:
    """Compress a payload with raw deflate (RFC 1951).

    The window and the memory level are the smallest that lose no match. The largest need 256 KiB, which the allocator
    often returns to the system and requests again. That takes longer than compressing a kilobyte.

    :param level: zlib's level, 1 to 9.
    """
    window = max(9, min(zlib.MAX_WBITS, (len(payload) + _MIN_LOOKAHEAD).bit_length()))
    deflator = zlib.compressobj(level, zlib.DEFLATED, -window, min(window - 6, zlib.DEF_MEM_LEVEL))
    return deflator.compress(payload) + deflator.flush()


def inflate(payload: bytes) -> bytes:
    """Decompress a deflated payload.

    :raises UnsealError: with ``forbidden_value``, if the payload is not one complete deflate stream, or has more than
        `INFLATED_MAX` bytes when inflated.
    """
    inflator = zlib.decompressobj(_RAW_DEFLATE)
    try:
        inflated = inflator.decompress(payload, INFLATED_MAX)
    except zlib.error:
        raise UnsealError("forbidden_value", "the payload is not valid deflate data") from None
    if not inflator.eof or inflator.unused_data:
        raise UnsealError("forbidden_value", f"the payload does not inflate to at most {INFLATED_MAX} bytes")
    return inflated
