"""What is inside a seal: the flags, the times and the optional parts around a payload. No keys here::

    plaintext = flags(1) created(4) sealed_at(4) [lifetime(4)] [sid(16)] payload [padding]
    flags     : bits 0-1 serializer (0 pickle, 1 json), 2 deflated, 3 lifetime present, 4 sid present,
                5 padded (the last byte counts the padding bytes, itself included), 6-7 zero

Integers are big-endian, times are seconds since 1970. What is read here has passed the MAC: an inconsistency is our own
mistake, or a stolen key's work, and has the reason code ``forbidden_value``. Inflating is bounded.
"""

import struct
import zlib

from sealedsession.errors import UnsealError

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
