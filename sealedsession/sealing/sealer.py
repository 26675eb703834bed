"""The wire format, version 1: payload bytes to token and back. No cookies and no dicts here::

    token      = base64url(envelope), no padding, strict: one token for one envelope
    envelope   = 0x01 key_id(2) nonce(16) ciphertext(n) tag(32)     sealed            n >= 9
               | 0x02 key_id(2)           plaintext(n)  tag(32)     signed only
    ciphertext = AES-256-CTR(K_encrypt, initial counter block = nonce, plaintext)
    plaintext  = see plaintext.py
    tag        = HMAC-SHA256(K_mac, everything before it, then binding, then u32(len(binding)))

The order on the way in never changes: length, alphabet, head and key id, MAC (constant time), decrypt, flags, times,
inflate. Nothing is parsed before the MAC has verified.
"""

import math
import os
import struct
import time
import zlib
from collections.abc import Callable
from hmac import compare_digest
from typing import Any, NamedTuple, Protocol

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from sealedsession.errors import UnsealError
from sealedsession.sealing import base64url
from sealedsession.sealing.keys import Keyring, Subkeys

PICKLE, JSON = 0, 1  # flags, bits 0-1
DEFLATED, LIFETIME, SID, PADDED, _RESERVED = 4, 8, 16, 32, 0xC0

TIMES = struct.Struct(">BII")  # flags, created, sealed_at
U32 = struct.Struct(">I")
SID_BYTES = 16  # 128 bits, which OWASP ASVS 5.0, 7.2.3, requires of ids that are tokens; this id opens nothing
INFLATED_MAX = 64 * 1024  # a payload that inflates to more is refused: the serializers take less
_RAW = -zlib.MAX_WBITS  # deflate without header and checksum: the MAC does better
_BEYOND = 262  # bytes of a window that deflate does not look back over


def unpack_optional(flags: int, plaintext: bytes) -> tuple[bytes, int | None, bytes | None]:
    """Take apart what the flags announce, and refuse what they may not.

    :returns: the payload, perhaps deflated, lifetime and sid.
    """
    if flags & _RESERVED or flags & 3 > JSON:
        raise UnsealError("forbidden_value", f"flags {flags:#04x}, which this version does not have")
    start, end = TIMES.size, len(plaintext)
    lifetime = sid = None
    if flags & LIFETIME:
        if start + 4 > end:
            raise UnsealError("forbidden_value", "a plaintext too short for its lifetime")
        (lifetime,) = U32.unpack_from(plaintext, start)
        start += 4
    if flags & SID:
        if start + SID_BYTES > end:
            raise UnsealError("forbidden_value", "a plaintext too short for its sid")
        sid = plaintext[start : start + SID_BYTES]
        start += SID_BYTES
    if flags & PADDED:
        if not 1 <= plaintext[-1] <= end - start:
            raise UnsealError("forbidden_value", "padding longer than the plaintext")
        end -= plaintext[-1]
    return plaintext[start:end], lifetime, sid


def padding(length: int, block: int) -> bytes:
    """What makes a plaintext of `length` bytes a multiple of `block`: at least one byte, the last says how many."""
    count = block - length % block
    return bytes(count - 1) + bytes((count,))


def deflate(payload: bytes, level: int) -> bytes:
    """Compress with raw deflate.

    With the least window and buffers that lose nothing: what the largest take, 256 KiB, is often given back to the
    system and asked for again, which takes longer than to deflate a kilobyte.

    :param level: 1 to 9.
    """
    window = max(9, min(zlib.MAX_WBITS, (len(payload) + _BEYOND).bit_length()))
    deflator = zlib.compressobj(level, zlib.DEFLATED, -window, min(window - 6, zlib.DEF_MEM_LEVEL))
    return deflator.compress(payload) + deflator.flush()


def inflate(payload: bytes) -> bytes:
    """Undo `deflate`.

    :raises UnsealError: when it is not deflated, or more than `INFLATED_MAX` bytes come of it.
    """
    inflator = zlib.decompressobj(_RAW)
    try:
        inflated = inflator.decompress(payload, INFLATED_MAX)
    except zlib.error:
        raise UnsealError("forbidden_value", "a payload that does not inflate") from None
    if not inflator.eof or inflator.unused_data:
        raise UnsealError("forbidden_value", f"a payload that does not inflate within {INFLATED_MAX} bytes")
    return inflated


SEALED, SIGNED = b"\x01", b"\x02"  # heads

_HEAD, _NONCE, _TAG = 3, 16, 32  # bytes; the head is version and key id
_NO_BINDING = U32.pack(0)
# Parts, made once: of an envelope, and of a plaintext that has no other optional part.
_HEAD_PART, _UNTAGGED_PART, _TAG_PART = slice(_HEAD), slice(-_TAG), slice(-_TAG, None)
_SID_END = TIMES.size + SID_BYTES
_AFTER_TIMES, _SID_PART, _AFTER_SID = slice(TIMES.size, None), slice(TIMES.size, _SID_END), slice(_SID_END, None)


class Unsealed(NamedTuple):
    """What a token held.

    :param serializer: `PICKLE` or `JSON`; it made the payload.
    :param created: when the session began, and `sealed_at` when this token was made, in seconds since 1970.
    :param lifetime: seconds after `created` at which the session ends, or None.
    :param sid: the session's 16-byte id, or None.
    :param by_fallback: a fallback key sealed it, so that it is due for sealing again.
    """

    payload: bytes
    serializer: int
    created: int
    sealed_at: int
    lifetime: int | None
    sid: bytes | None
    by_fallback: bool


_unsealed = tuple.__new__  # what Unsealed() calls, without a frame in between


class _Key:
    """One key pair made ready: nothing is derived or set up per token."""

    __slots__ = ("algorithm", "contexts", "fallback", "head", "least", "mac_copy", "nonce_part", "text_part")

    def __init__(self, subkeys: Subkeys) -> None:
        self.fallback = subkeys.state == "fallback"
        self.head = (SIGNED if subkeys.encrypt is None else SEALED) + subkeys.key_id
        start = _HEAD + (0 if subkeys.encrypt is None else _NONCE)
        self.nonce_part, self.text_part = slice(_HEAD, start), slice(start, -_TAG)  # of an envelope, as is `least`
        self.least = start + TIMES.size + _TAG
        self.algorithm: Any = None if subkeys.encrypt is None else AES(subkeys.encrypt)
        self.mac_copy = HMAC(subkeys.mac, SHA256()).copy
        # Free CTR contexts. reset_nonce and update must not interleave between threads: a context is taken out by pop,
        # atomically, and belongs to one caller until append gives it back.
        self.contexts: list[Any] = []

    def crypt(self, nonce: bytes, data: bytes) -> bytes:
        """Encrypt or decrypt: in counter mode they are the same."""
        try:
            context = self.contexts.pop()
        except IndexError:
            context = Cipher(self.algorithm, CTR(nonce)).encryptor()
        context.reset_nonce(nonce)
        result: bytes = context.update(data)
        self.contexts.append(context)
        return result


class _Keys:
    """The keys of one keyring made ready for one purpose. A new keyring makes a new one, taken over at once."""

    __slots__ = ("by_head", "keyring", "primary", "sealed")

    def __init__(self, keyring: Keyring, purpose: str) -> None:
        keys = [_Key(subkeys) for subkeys in keyring.derive(purpose)]
        self.keyring = keyring
        self.primary = keys[0]
        self.sealed = keys[0].algorithm is not None
        # Two pairs can share a key id by chance (1 in 65,536): then both are tried.
        self.by_head: dict[bytes, list[_Key]] = {}
        for key in keys:
            self.by_head.setdefault(key.head, []).append(key)


class KeyringSource(Protocol):
    """Where a keyring comes from that can change."""

    def current(self, second: int) -> Keyring:
        """The keyring at this second since 1970: the same object until it changes. One look a second is enough."""
        ...


class Sealer:
    """Seal payloads for one purpose, and unseal what any key of the keyring sealed for it.

    :param keyring: the primary pair seals, all pairs unseal. A source is asked for it at every call.
    :param purpose: part of every subkey, such as ``cookie:__Host-session``.
    :param idle_timeout: seconds after `sealed_at` for which a token is accepted, or None.
    :param absolute_timeout: seconds after `created`, or None.
    :param leeway: seconds by which the clocks of two machines may differ.
    :param max_length: characters that a token may have.
    :param compress: deflate the payload where that makes it shorter (see CRIME and BREACH before use).
    :param level: 9 makes the shortest tokens, 1 takes the least time.
    :param deflate_over: bytes, up to which a payload is left as it is.
    :param pad: pad the plaintext to a multiple of this many bytes, 2 to 255, or 0.
    :param clock: seconds since 1970.
    :param random_bytes: a CSPRNG; nonces come from it.
    """

    __slots__ = (
        "_absolute_timeout", "_clock", "_compress", "_deflate_over", "_idle_timeout", "_keys", "_leeway",
        "_level", "_max_length", "_pad", "_purpose", "_random_bytes", "_source",
    )  # fmt: skip

    def __init__(
        self,
        keyring: Keyring | KeyringSource,
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
        self._source = None if isinstance(keyring, Keyring) else keyring
        self._keys = _Keys(keyring if isinstance(keyring, Keyring) else keyring.current(int(clock())), purpose)
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
        sid: bytes | None = None,
        binding: bytes = b"",
    ) -> str:
        """Make a token, sealed at the present time, with the primary key.

        :param created: when the session began, in seconds since 1970.
        :param binding: what the token is bound to besides its purpose; `unseal` needs the same bytes.
        """
        now = int(self._clock())
        keys = self._keys  # a new keyring is taken over here and in unseal: a function for both is a frame in each
        if self._source is not None and (keyring := self._source.current(now)) is not keys.keyring:
            keys = self._keys = _Keys(keyring, self._purpose)
        flags = serializer
        optional = b""
        if lifetime is not None:
            flags |= LIFETIME
            optional = U32.pack(lifetime)
        if sid is not None:
            flags |= SID
            optional += sid
        if self._compress and len(payload) > self._deflate_over:
            deflated = deflate(payload, self._level)
            if len(deflated) < len(payload):
                flags |= DEFLATED
                payload = deflated
        if self._pad:
            flags |= PADDED
            payload += padding(TIMES.size + len(optional) + len(payload), self._pad)
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
        """Open a token.

        :raises UnsealError: with the reason code of the first check that failed.
        """
        now = self._clock()
        keys = self._keys
        if self._source is not None and (keyring := self._source.current(int(now))) is not keys.keyring:
            keys = self._keys = _Keys(keyring, self._purpose)
        if len(token) > self._max_length:
            raise UnsealError("malformed", f"a token of {len(token)} characters, and {self._max_length} is the most")
        try:
            envelope = base64url.decode(token)
        except ValueError:
            raise UnsealError("malformed", "a token that is not strict base64url without padding") from None
        signed = envelope[_UNTAGGED_PART] + (binding + U32.pack(len(binding)) if binding else _NO_BINDING)
        tag = envelope[_TAG_PART]
        for key in keys.by_head.get(envelope[_HEAD_PART], ()):
            mac = key.mac_copy()
            mac.update(signed)
            if compare_digest(mac.finalize(), tag):
                break
        else:
            raise _unverified(keys, envelope)
        # The MAC has verified: from here on only our own mistakes and stolen keys can be at fault.
        if len(envelope) < key.least:
            raise UnsealError("forbidden_value", "a plaintext too short for its times")
        plaintext = envelope[key.text_part]
        if keys.sealed:
            plaintext = key.crypt(envelope[key.nonce_part], plaintext)
        flags, created, sealed_at = TIMES.unpack_from(plaintext)
        if flags <= JSON:
            payload, lifetime, sid = plaintext[_AFTER_TIMES], None, None
        elif flags <= SID | JSON and flags & SID and len(plaintext) >= _SID_END:
            payload, lifetime, sid = plaintext[_AFTER_SID], None, plaintext[_SID_PART]
        else:
            payload, lifetime, sid = unpack_optional(flags, plaintext)
        if not (  # what keeps to all times without any leeway, as nearly all do, needs no closer look
            created <= sealed_at <= now <= sealed_at + self._idle_timeout
            and now <= created + self._absolute_timeout
            and lifetime is None
        ):
            self.check_times(now, created, sealed_at, lifetime)
        if flags & DEFLATED:
            payload = inflate(payload)
        return _unsealed(Unsealed, (payload, flags & 3, created, sealed_at, lifetime, sid, key.fallback))

    def check_times(self, now: float, created: int, sealed_at: int, lifetime: int | None) -> None:
        """Refuse by an `UnsealError` what has ended or not begun: seconds since 1970, the lifetime from ``created``."""
        if sealed_at > now + self._leeway or created > sealed_at + self._leeway:
            ahead = max(sealed_at - now, created - sealed_at)
            raise UnsealError("from_the_future", f"times that are {ahead:.0f} seconds ahead")
        if now > sealed_at + self._idle_timeout + self._leeway:
            raise UnsealError("expired_idle", f"a token made {now - sealed_at:.0f} seconds ago")
        ends = self._absolute_timeout if lifetime is None else min(lifetime, self._absolute_timeout)
        if now > created + ends + self._leeway:
            raise UnsealError("expired_absolute", f"a session begun {now - created:.0f} seconds ago")


def _unverified(keys: _Keys, envelope: bytes) -> UnsealError:
    """What is wrong with a token that no key has made."""
    if len(envelope) < _HEAD + TIMES.size + _TAG:
        return UnsealError("malformed", f"a token of {len(envelope)} bytes, which is too short")
    head = envelope[:_HEAD]
    if head in keys.by_head:
        return UnsealError("bad_signature", "a token that was tampered with, or made for another purpose")
    if head[:1] in (SEALED, SIGNED):
        kind = "sealed" if head[:1] == SEALED else "signed only"
        return UnsealError("unknown_key", f"a token, {kind}, by the key {head[1:3].hex()}, which is not here")
    return UnsealError("malformed", f"a token of version {head[0]}")
