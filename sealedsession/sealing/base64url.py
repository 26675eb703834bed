"""Strict base64url without padding (RFC 4648, section 5): exactly one text for each value.

Most decoders skip unknown characters and ignore the unused bits of the last character, so that one token could be
written in many ways. This decoder refuses unknown characters, padding, and unused bits that are not zero.

If pybase64 is installed (the extra ``speed``), it replaces the functions of binascii. The results are the same.
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
# By length modulo 4: the last characters whose 4 or 2 unused bits are zero. None: there are no unused bits.
_CANONICAL_END = (None, frozenset[int](), frozenset(b"AQgw"), frozenset(b"AEIMQUYcgkosw048"))
# Characters that the decoders of binascii and pybase64 accept besides those of base64url.
_PLUS, _SLASH, _PADDING = b"+/="
_TO_URL = bytes.maketrans(b"+/", b"-_")


def encode(data: bytes) -> str:
    """Encode bytes as base64url without padding."""
    if _b64encode is None:
        return str(b2a_base64(data, newline=False).translate(_TO_URL).rstrip(b"="), "ascii")
    text: str = _b64encode(data, b"-_").rstrip("=")
    return text


def decode(text: bytes) -> bytes:
    """Decode base64url without padding.

    :param text: the text, in ASCII.
    :raises ValueError: if `encode` does not return this text for any bytes.
    """
    end = _CANONICAL_END[len(text) & 3]
    if end is not None and text[-1] not in end:
        raise ValueError("the length or the last character is not that of base64url without padding")
    if _PLUS in text or _SLASH in text or _PADDING in text:
        raise ValueError("a character is not one of base64url")
    padded = text + _MISSING_PADDING[len(text) & 3]
    if _b64decode is None:
        return a2b_base64(padded.replace(b"-", b"+").replace(b"_", b"/"), strict_mode=True)
    data: bytes = _b64decode(padded, b"-_", True)
    return data
