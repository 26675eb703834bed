"""Keys: where they come from, which are refused, and the subkeys derived from them.

Rules:

1. A key is at least 32 bytes of input keying material, from the CSPRNG: keys that are short, repeated,
   counted up or of few different bytes are refused at start (OWASP ASVS 5.0, 11.2.3).
2. Nothing uses a configured key itself. Each purpose (one cookie, one kind of state) gets subkeys
   by HKDF-SHA256 (RFC 5869) with labels of their own, so a token cannot be replayed as another.
3. The MAC subkey depends on the encrypt key: a wrong encrypt key fails at the MAC, before any parser.
4. The first key is the primary one and the only one that seals. The others, its fallbacks, are accepted.
5. No key appears in an error, a log or a repr.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sealedsession.errors import ConfigError

DIFFERENT_BYTES = 10  # 64 random hexadecimal digits have fewer once in 100 million
KEY_BYTES = 32  # 256 bits: the strength of AES-256 and of HMAC-SHA256
_CURE = "make one with: python -m sealedsession keygen"

KeySource = str | bytes


@dataclass(frozen=True, slots=True, repr=False)
class Subkeys:
    """What one key pair gives for one purpose.

    :param key_id: two bytes that name the pair in the token, in the clear and under the MAC.
    :param mac: 32 bytes for HMAC-SHA256.
    :param encrypt: 32 bytes for AES-256, or None when tokens are signed only.
    """

    key_id: bytes
    mac: bytes
    encrypt: bytes | None


class Keyring:
    """The configured keys: a primary pair and any number of fallback pairs.

    :param validate_key: one key, or a sequence of keys, primary first. A str is used as UTF-8;
        ``env:NAME`` and ``file:PATH`` are read here, once.
    :param encrypt_key: the same form and the same count, or None for tokens that are signed only.
    :raises ConfigError: for a key that is missing, unreadable, weak, used twice, or of the wrong type.
    """

    __slots__ = ("_pairs",)

    def __init__(
        self,
        validate_key: KeySource | Sequence[KeySource],
        encrypt_key: KeySource | Sequence[KeySource] | None = None,
    ) -> None:
        validate_keys = _resolve_all("validate_key", validate_key)
        encrypt_keys = [] if encrypt_key is None else _resolve_all("encrypt_key", encrypt_key)
        if encrypt_keys and len(encrypt_keys) != len(validate_keys):
            raise ConfigError(
                f"validate_key has {len(validate_keys)} keys and encrypt_key has {len(encrypt_keys)}: "
                "they are used in pairs, so give as many of one as of the other, primary first"
            )
        every_key = validate_keys + encrypt_keys
        if len(set(every_key)) != len(every_key):
            raise ConfigError(
                "validate_key and encrypt_key: one key is given twice. Every key, primary or fallback, "
                f"of either option has to be another one; {_CURE}"
            )
        self._pairs: list[tuple[bytes, bytes | None]] = (
            list(zip(validate_keys, encrypt_keys, strict=True))
            if encrypt_keys
            else [(key, None) for key in validate_keys]
        )

    def derive(self, purpose: str) -> list[Subkeys]:
        """Derive the subkeys of every pair for one purpose, the primary pair first.

        :param purpose: what the tokens are for, such as ``cookie:`` and the cookie's name.
        """
        return [_derive(validate_key, encrypt_key, purpose.encode()) for validate_key, encrypt_key in self._pairs]

    def __repr__(self) -> str:
        return f"<Keyring of {len(self._pairs)}>"


def _derive(validate_key: bytes, encrypt_key: bytes | None, purpose: bytes) -> Subkeys:
    salt = b"" if encrypt_key is None else sha256(encrypt_key).digest()
    return Subkeys(
        key_id=_hkdf(validate_key, salt, b"sealedsession v1 id")[:2],
        mac=_hkdf(validate_key, salt, b"sealedsession v1 validate\0" + purpose),
        encrypt=None if encrypt_key is None else _hkdf(encrypt_key, b"", b"sealedsession v1 encrypt\0" + purpose),
    )


def _hkdf(key: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=info).derive(key)


def _resolve_all(option: str, sources: object) -> list[bytes]:
    if isinstance(sources, str | bytes):
        sources = [sources]
    if not isinstance(sources, list | tuple):
        raise ConfigError(
            f"{option} has to be a key or a list of keys (str or bytes), and a {type(sources).__name__} was given"
        )
    if not sources:
        raise ConfigError(f"{option} is an empty list: it needs at least the primary key; {_CURE}")
    return [_resolve(option if len(sources) == 1 else f"{option}[{i}]", source) for i, source in enumerate(sources)]


def _resolve(option: str, source: object) -> bytes:
    if not isinstance(source, str | bytes):
        raise ConfigError(f"{option} has to be str or bytes, and a {type(source).__name__} was given")
    if isinstance(source, bytes):
        return _strong(option, source)
    if source.startswith("env:"):
        return _strong(f"{option} (from {source!r})", _from_environment(option, source[4:]))
    if source.startswith("file:"):
        return _strong(f"{option} (from {source!r})", _from_file(option, source[5:]))
    try:
        return _strong(option, source.encode())
    except UnicodeEncodeError:
        raise ConfigError(f"{option} holds a character that UTF-8 cannot encode; {_CURE}") from None


def _from_environment(option: str, name: str) -> bytes:
    try:
        return os.fsencode(os.environ[name])
    except (KeyError, ValueError):
        raise ConfigError(f"{option} is 'env:{name}', and the environment variable {name} is not set") from None


def _from_file(option: str, path: str) -> bytes:
    try:
        content = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        cause = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        raise ConfigError(f"{option} is 'file:{path}', and that file cannot be read: {cause}") from None
    text = content.rstrip(b"\r\n")  # editors and echo end the line
    return text if text.isascii() else content  # raw bytes may end in anything


def _strong(option: str, key: bytes) -> bytes:
    """Refuse what is no random key. What passes may still be weak: nothing can prove randomness."""
    if len(key) < KEY_BYTES:
        raise ConfigError(f"{option} is {len(key)} bytes long and has to be at least {KEY_BYTES}; {_CURE}")
    if len(key) < 2 * KEY_BYTES and all(byte in b"0123456789abcdefABCDEF" for byte in key):
        raise ConfigError(
            f"{option} is {len(key)} hexadecimal digits, which hold {len(key) // 2} bytes of key, "
            f"and has to hold at least {KEY_BYTES}; {_CURE}"
        )
    if len(set(key)) < DIFFERENT_BYTES:
        raise ConfigError(f"{option} has only {len(set(key))} different bytes and is no random key; {_CURE}")
    steps = bytes((after - before) % 256 for before, after in pairwise(key))
    if _repeats(key) or _repeats(steps):
        raise ConfigError(f"{option} is a repeated or counted-up pattern and not a random key; {_CURE}")
    return key


def _repeats(data: bytes) -> bool:
    """Whether data is one block written at least twice, the last time perhaps not to its end."""
    return any(data[period:] == data[:-period] for period in range(1, len(data) // 2 + 1))
