"""Keys: where they come from, which are refused, and the subkeys derived from them.

Rules:

1. A key is at least 32 bytes of input keying material, from the CSPRNG: keys that are short, repeated,
   counted up or of few different bytes are refused at start (OWASP ASVS 5.0, 11.2.3).
2. Nothing uses a configured key itself. Each purpose (one cookie, one kind of state) gets subkeys
   by HKDF-SHA256 (RFC 5869) with labels of their own, so a token cannot be replayed as another.
3. The MAC subkey depends on the encrypt key: a wrong encrypt key fails at the MAC, before any parser.
4. One pair of keys is primary and the only one that seals. Fallback pairs were primary once, staged pairs will be:
   both are accepted. What a fallback pair has sealed is due for sealing again.
5. Text that is plainly no key, such as a path without ``file:``, is refused: it would be a key that others know.
6. No key appears in an error, a log or a repr.
"""

import logging
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from typing import Literal, Self

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sealedsession.errors import ConfigError, given

DIFFERENT_BYTES = 10  # 64 random hexadecimal digits have fewer once in 100 million
KEY_BYTES = 32  # 256 bits: the strength of AES-256 and of HMAC-SHA256
_CURE = "make one with: python -m sealedsession keygen"
# How text begins that is a setting gone wrong: quoted, not expanded, a source misspelled or one that names another,
# or Django's default. None of it can be base64, nor hexadecimal.
_SETTING = re.compile(r"""["'$~]|\.{1,2}/|%\(|[a-z]:[/\\]|\s*(env|file)\s*:|django-insecure-""", re.IGNORECASE)
_VARIABLE = re.compile("[A-Z][A-Z0-9]*(_[A-Z0-9]+)+")  # of 43 characters of base64 it is all once in 10**10
_PATH = re.compile(r"[\w./-]*/[\w./-]*")
_SUFFIXES = (".key", ".pem", ".txt", ".json", ".secret")

_SOURCES = "write 'file:PATH' or 'env:NAME' (without quotes in ini files) for where it is"

KeySource = str | bytes


State = Literal["staged", "primary", "fallback"]


@dataclass(frozen=True, slots=True, repr=False)
class KeyPair:
    """A pair of configured keys.

    :param encrypt: None when tokens are signed only.
    """

    validate: bytes
    encrypt: bytes | None
    state: State

    @property
    def key_id(self) -> bytes:
        """Two bytes that name the pair in a token, in the clear and under the MAC."""
        return _hkdf(self.validate, self._salt, b"sealedsession v1 id")[:2]

    def derive(self, purpose: bytes) -> "Subkeys":
        """Derive what this pair gives for one purpose."""
        encrypt = None
        if self.encrypt is not None:
            encrypt = _hkdf(self.encrypt, b"", b"sealedsession v1 encrypt\0" + purpose)
        mac = _hkdf(self.validate, self._salt, b"sealedsession v1 validate\0" + purpose)
        return Subkeys(self.key_id, mac, encrypt, self.state)

    @property
    def _salt(self) -> bytes:
        return b"" if self.encrypt is None else sha256(self.encrypt).digest()


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
    state: State


class SecretBytes(bytes):
    """Bytes that do not show where they are printed, in what `dataclasses.asdict` makes for one."""

    def __repr__(self) -> str:
        return f"<{len(self)} secret bytes>"

    __str__ = __repr__


class Keyring:
    """The configured keys: a primary pair, and any number of fallback and staged pairs.

    :param validate_key: one key, or a sequence of keys, primary first, then fallbacks. A str is used as UTF-8;
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
        encrypt_keys: list[bytes | None] = [None] * len(validate_keys)
        if encrypt_key is not None:
            encrypt_keys = [*_resolve_all("encrypt_key", encrypt_key)]
        if len(encrypt_keys) != len(validate_keys):
            raise ConfigError(
                f"validate_key has {len(validate_keys)} keys and encrypt_key has {len(encrypt_keys)}: "
                "they are used in pairs, so give as many of one as of the other, primary first"
            )
        states: list[State] = ["primary", *["fallback"] * (len(validate_keys) - 1)]  # type: ignore[list-item]
        self._pairs = _checked(
            [KeyPair(*pair) for pair in zip(validate_keys, encrypt_keys, states, strict=True)],
            "validate_key and encrypt_key",
        )

    @classmethod
    def of_pairs(cls, pairs: Sequence[KeyPair], option: str) -> Self:
        """Make a keyring of pairs with states.

        :param option: names where they come from, for errors.
        :raises ConfigError: unless exactly one is primary, all or none encrypt, and no key is given twice.
        """
        primaries = sum(pair.state == "primary" for pair in pairs)
        if primaries != 1:
            raise ConfigError(f"{option} has {primaries} primary keys, and exactly one has to be: it is what seals")
        if len({pair.encrypt is None for pair in pairs}) != 1:
            raise ConfigError(
                f"{option} has keys with an encrypt_key and keys without: tokens are encrypted, or signed only, "
                "and a keyring accepts one kind"
            )
        self = cls.__new__(cls)
        self._pairs = _checked(sorted(pairs, key=lambda pair: pair.state != "primary"), option)
        return self

    @property
    def pairs(self) -> list[KeyPair]:
        """The pairs, the primary one first."""
        return list(self._pairs)

    def derive(self, purpose: str) -> list[Subkeys]:
        """Derive the subkeys of every pair for one purpose, the primary pair first.

        :param purpose: what the tokens are for, such as ``cookie:`` and the cookie's name.
        """
        # The owner of a state is in its purpose, and may be any str.
        return [pair.derive(purpose.encode("utf-8", "surrogatepass")) for pair in self._pairs]

    def __repr__(self) -> str:
        return f"<Keyring of {len(self._pairs)}>"


def _checked(pairs: list[KeyPair], option: str) -> list[KeyPair]:
    every_key = [key for pair in pairs for key in (pair.validate, pair.encrypt) if key is not None]
    if len(set(every_key)) != len(every_key):
        raise ConfigError(
            f"{option}: one key is given twice. Every key, whatever its state and "
            f"of either option, has to be another one; {_CURE}"
        )
    return pairs


def _hkdf(key: bytes, salt: bytes, info: bytes) -> bytes:
    return SecretBytes(HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=info).derive(key))


def _resolve_all(option: str, sources: object) -> list[bytes]:
    if isinstance(sources, str | bytes):
        sources = [sources]
    if not isinstance(sources, list | tuple):
        raise ConfigError(f"{option} has to be a key or a list of keys (str or bytes){given(sources)}")
    if not sources:
        raise ConfigError(f"{option} is an empty list: it needs at least the primary key; {_CURE}")
    return [_resolve(option if len(sources) == 1 else f"{option}[{i}]", source) for i, source in enumerate(sources)]


def _resolve(option: str, source: object) -> bytes:
    if not isinstance(source, str | bytes):
        raise ConfigError(f"{option} has to be str or bytes{given(source)}")
    if isinstance(source, bytes):
        return strong(option, source)
    if source.startswith("env:"):
        name, where = source[4:], f"{option} (from {source!r})"
        return strong(where, os.fsencode(_refuse_no_key(where, _from_environment(option, name))))
    if source.startswith("file:"):
        return _from_file(option, source[5:])
    try:
        return strong(option, _refuse_no_key(option, source).encode())
    except UnicodeEncodeError:
        raise ConfigError(f"{option} holds a character that UTF-8 cannot encode; {_CURE}") from None


def _from_environment(option: str, name: str) -> str:
    try:
        return os.environ[name]
    except (KeyError, ValueError):
        if not name:
            raise ConfigError(f"{option} is 'env:' without a name: write 'env:NAME', of a variable") from None
        raise ConfigError(
            f"{option} is {'env:' + name!r}, and the environment variable {name!r} is not set: set it for this process"
        ) from None


def _from_file(option: str, path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            content = file.read()
            status = os.fstat(file.fileno())
    except (OSError, ValueError) as error:
        cause = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        raise ConfigError(f"{option} is {'file:' + path!r}, and that file cannot be read: {cause}") from None
    warn_if_open(path, status)
    where = f"{option} (from {'file:' + path!r})"
    text = content.rstrip(b"\r\n")  # editors and echo end the line
    if not text.isascii():
        return strong(where, content)  # raw bytes may begin and end in anything
    _refuse_no_key(where, text.decode())
    return strong(where, text)


def warn_if_open(path: str, status: os.stat_result) -> bool:
    """Log a warning if everybody on this machine can read a file of keys.

    :returns: whether they can.
    """
    is_open = os.name == "posix" and stat.S_ISREG(status.st_mode) and bool(status.st_mode & 0o007)
    if is_open:
        logging.getLogger("sealedsession").warning("everybody here can open the keys: chmod o-rwx %s", path)
    return is_open


def is_no_key(text: str) -> bool:
    """Whether text is plainly no key but a path, a variable's name, a command or a placeholder.

    No random bytes in hexadecimal, or in base64 of either alphabet, are mistaken for it.
    """
    if _SETTING.match(text) or _VARIABLE.fullmatch(text) or text.endswith(_SUFFIXES) or os.path.exists(text):
        return True
    # Base64 has "/" or "-" and "_", never both and no dot; and is all lower case once in 10**9, of 43 characters.
    is_path = _PATH.fullmatch(text) is not None
    return is_path and (text == text.lower() or (text[0] == "/" and any(mark in text for mark in "._-")))


def _refuse_no_key(option: str, text: str) -> str:
    if is_no_key(text):
        raise ConfigError(
            f"{option} looks like a path, a variable's name, a command or a placeholder, and not like a key: "
            f"{_SOURCES}, or {_CURE}"
        )
    return text


def strong(option: str, key: bytes) -> bytes:
    """Refuse what is no random key. What passes may still be weak: nothing can prove randomness."""
    if len(key) < KEY_BYTES:
        raise ConfigError(
            f"{option} is {len(key)} bytes long and has to be at least {KEY_BYTES}; {_CURE}. If that is no key but a "
            f"path or a variable's name, {_SOURCES}"
        )
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
    return SecretBytes(key)


def _repeats(data: bytes) -> bool:
    """Whether data is one block written at least twice, the last time perhaps not to its end."""
    return any(data[period:] == data[:-period] for period in range(1, len(data) // 2 + 1))
