"""Keys: where they come from, and the subkeys derived from them.

Rules:

1. A key is at least 32 random bytes, given as text or as bytes. key_rules.py says which keys are refused.
2. The package never uses a configured key directly. Each purpose (one cookie, one kind of state) gets its own subkeys
   by HKDF-SHA256 (RFC 5869) with its own labels, so that a token for one purpose is invalid for all others.
3. The MAC subkey depends on the encrypt key: a wrong encrypt key fails at the MAC, before any parser.
4. One pair of keys is primary and the only one that seals. Fallback pairs were primary before, and staged pairs will be
   primary later: tokens of both are accepted. A token of a fallback pair is sealed again.
5. No key appears in an error, its traceback, a log or a repr. Only the text after ``file:`` is used as a path.
"""

import logging
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from typing import Literal, Self

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sealedsession.errors import ConfigError, got, without_own_frames
from sealedsession.sealing.key_rules import (
    FILE_LIMIT,
    IN_CODE,
    KEY_BYTES,
    KEYGEN,
    SecretBytes,
    check_bytes,
    check_file,
    check_text,
    is_key_text,
)

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


class Unset(Enum):
    """The type of `UNSET`, the default of an option for which None has a meaning of its own."""

    UNSET = "unset"


UNSET: Literal[Unset.UNSET] = Unset.UNSET


class Keyring:
    """The configured keys: a primary pair, and any number of fallback and staged pairs.

    :param validate_key: one key, or a list of keys, primary first, then fallbacks. A str is hexadecimal, base64 or
        base64url, or ``env:NAME`` or ``file:PATH``, which are read here, once.
    :param encrypt_key: the same form and the same count, or None for tokens that are signed only.
    :raises ConfigError: for a key that is missing, unreadable, weak, used twice, or of the wrong type.
    """

    __slots__ = ("_pairs",)

    @without_own_frames
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
    def from_pairs(cls, pairs: Sequence[KeyPair], option: str) -> Self:
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
        return f"<Keyring of {len(getattr(self, '_pairs', ()))}>"  # no pairs if an argument was refused


def _checked(pairs: list[KeyPair], option: str) -> list[KeyPair]:
    every_key = [key for pair in pairs for key in (pair.validate, pair.encrypt) if key is not None]
    if len(set(every_key)) != len(every_key):
        raise ConfigError(
            f"{option}: one key is given twice. All validate and encrypt keys must differ, in every state. {KEYGEN}"
        )
    return pairs


def _hkdf(key: bytes, salt: bytes, info: bytes) -> bytes:
    return SecretBytes(HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=info).derive(key))


def _resolve_all(option: str, sources: object) -> list[bytes]:
    if isinstance(sources, str | bytes):
        sources = [sources]
    if not isinstance(sources, list | tuple):
        raise ConfigError(f"{option} has to be a key or a list of keys (str or bytes){got(sources)}")
    if not sources:
        raise ConfigError(f"{option}: the list is empty, and needs at least the primary key. {KEYGEN}")
    return [_resolve(option if len(sources) == 1 else f"{option}[{i}]", source) for i, source in enumerate(sources)]


def _resolve(option: str, source: object) -> bytes:
    if isinstance(source, bytes):
        return check_bytes(option, source)
    if not isinstance(source, str):
        raise ConfigError(f"{option} has to be str or bytes{got(source)}")
    kind, _, name = source.partition(":")
    if kind not in ("env", "file") or kind == source:
        return check_text(option, source, IN_CODE)
    if is_key_text(name) and "/" not in name:
        raise ConfigError(f"{option}: '{kind}:' is followed by a key. Delete '{kind}:', or write its name or path")
    where = f"{option} (from {source!r})"
    return check_text(where, _from_environment(where, name)) if kind == "env" else _from_file(where, name)


def _from_environment(where: str, name: str) -> str:
    value = None
    with suppress(ValueError):  # a name that no variable can have
        value = os.environ.get(name)
    if value is None:
        raise ConfigError(f"{where}: the environment variable {name!r} is not set. Set it for this process")
    return value


def _from_file(where: str, path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            content = file.read(FILE_LIMIT + 1)
            status = os.fstat(file.fileno())
    except (OSError, ValueError) as error:
        cause = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        raise ConfigError(f"{where}: the file cannot be read: {cause}") from None
    warn_if_world_readable(path, status)
    return check_file(where, content)


def warn_if_world_readable(path: str, status: os.stat_result) -> bool:
    """Log a warning if everybody on this machine can read a file of keys.

    :returns: whether they can.
    """
    is_open = os.name == "posix" and stat.S_ISREG(status.st_mode) and bool(status.st_mode & 0o007)
    if is_open:
        logging.getLogger("sealedsession").warning("everybody here can open the keys: chmod o-rwx %s", path)
    return is_open
