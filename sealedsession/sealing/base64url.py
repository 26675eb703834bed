"""base64url without padding (RFC 4648, section 5), strictly: one text for one value, and an error for every other text.

Decoders commonly skip what they do not know, and take any value of the bits that the last character has too many: one
token could be written in many ways. Here nothing is skipped, padding is refused, and the bits too many are zero.

pybase64 does the same with vector instructions, and is used where it is installed (the extra ``speed``).
"""

from binascii import a2b_base64, b2a_base64
from typing import Any

try:
    import pybase64
except ImportError:
    _b64decode: Any = None
    _b64encode: Any = None
else:
    _b64decode, _b64encode = pybase64.b64decode, pybase64.b64encode_as_string

_MISSING_PADDING = (b"", b"", b"==", b"=")  # by length modulo 4
# The last character carries 2 or 4 unused bits. Only the spelling in which they are zero is accepted.
_CANONICAL_END = (None, frozenset[int](), frozenset(b"AQgw"), frozenset(b"AEIMQUYcgkosw048"))
# What decoders take besides.
_PLUS, _SLASH, _PADDING = b"+/="
_TO_URL = bytes.maketrans(b"+/", b"-_")


def encode(data: bytes) -> str:
    """Bytes to text."""
    if _b64encode is None:
        return str(b2a_base64(data, newline=False).translate(_TO_URL).rstrip(b"="), "ascii")
    text: str = _b64encode(data, b"-_").rstrip("=")
    return text


def decode(text: bytes) -> bytes:
    """Text to bytes.

    :raises ValueError: when it is not what `encode` gives.
    """
    end = _CANONICAL_END[len(text) & 3]
    if end is not None and text[-1] not in end:
        raise ValueError("it does not end as base64url does")
    if _PLUS in text or _SLASH in text or _PADDING in text:
        raise ValueError("it has characters that base64url does not have")
    padded = text + _MISSING_PADDING[len(text) & 3]
    if _b64decode is None:
        return a2b_base64(padded.replace(b"-", b"+").replace(b"_", b"/"), strict_mode=True)
    data: bytes = _b64decode(padded, b"-_", True)
    return data
