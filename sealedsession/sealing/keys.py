"""Keys: where they come from, and the subkeys derived from them.

Rules:

1. A key is at least 32 random bytes, configured as text or as bytes. key_rules.py decides which keys are refused.
2. No configured key is used directly. Each purpose (one cookie, one kind of state) has its own subkeys, derived by
   HKDF-SHA256 (RFC 5869) with its own labels. A token for one purpose is therefore invalid for all others.
3. The MAC subkey depends on the encrypt key: a wrong encrypt key fails at the MAC, before any parser.
4. Exactly one pair of keys is primary. It alone seals. Fallback pairs were primary before, and staged pairs will be
   primary later: tokens of both are accepted. A token of a fallback pair is sealed again.
5. No key appears in an error, its traceback, a log or a repr. Only the text after ``file:`` is used as a path.
"""

import logging
import os
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from typing import Literal, Protocol, Self

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
    check_framework_secret,
    check_text,
    looks_like_key,
)

KeySource = str | bytes
State = Literal["staged", "primary", "fallback"]


class Unset(Enum):
    """The type of `UNSET`, the default of an option for which None has a meaning of its own."""

    UNSET = "unset"


UNSET: Literal[Unset.UNSET] = Unset.UNSET


@dataclass(frozen=True, slots=True, repr=False)
class KeyPair:
    """A pair of configured keys.

    :param validate: the validate_key.
    :param encrypt: the encrypt_key, or None if tokens are signed only.
    :param state: whether the pair is staged, primary or fallback.
    """

    validate: bytes
    encrypt: bytes | None
    state: State

    @property
    def key_id(self) -> bytes:
        """Two bytes that name the pair in a token. They are not encrypted, but covered by the MAC."""
        return _hkdf(self.validate, self._salt, b"sealedsession v1 id")[:2]

    def derive(self, purpose: bytes) -> "Subkeys":
        """Derive the subkeys of this pair for one purpose."""
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
    """The subkeys of one key pair for one purpose.

    :param key_id: two bytes that name the pair in a token.
    :param mac: the key of HMAC-SHA256, 32 bytes.
    :param encrypt: the key of AES-256, 32 bytes, or None if tokens are signed only.
    :param state: whether the pair is staged, primary or fallback.
    """

    key_id: bytes
    mac: bytes
    encrypt: bytes | None
    state: State


class KeyringSource(Protocol):
    """A keyring, or an object that reads one and replaces it when it changes."""

    def current(self, second: int) -> "Keyring":
        """Return the keyring: the same object until its keys change.

        :param second: the current time, in whole seconds since 1970. A source need not check for changes more than once
            in a second.
        """
        ...


class Keyring:
    """The configured keys: a primary pair, and any number of fallback and staged pairs.

    :param validate_key: one key, or a list of keys: the primary key first, then fallbacks. A str is hexadecimal,
        base64 or base64url, or else ``env:NAME`` or ``file:PATH``. These are read once, here.
    :param encrypt_key: one key or a list, in the same order and of the same length. None means that tokens are signed
        only.
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
                f"validate_key, encrypt_key: they are used in pairs, got {len(validate_keys)} validate and "
                f"{len(encrypt_keys)} encrypt keys. Give the same number of both, the primary key first"
            )
        states: list[State] = ["primary", *["fallback"] * (len(validate_keys) - 1)]  # type: ignore[list-item]
        self._pairs = [KeyPair(*pair) for pair in zip(validate_keys, encrypt_keys, states, strict=True)]
        _check_unique(self._pairs, "validate_key, encrypt_key")

    @classmethod
    def from_pairs(cls, pairs: Sequence[KeyPair], option: str) -> Self:
        """Make a keyring of pairs with states.

        :param option: the option or path from which the pairs come, for errors.
        :raises ConfigError: unless exactly one pair is primary, all pairs or none encrypt, and all keys differ.
        """
        primaries = sum(pair.state == "primary" for pair in pairs)
        if primaries != 1:
            raise ConfigError(
                f"{option}: exactly one key seals and must be primary, got {primaries} primary keys. "
                "Set the state of one key to primary"
            )
        if len({pair.encrypt is None for pair in pairs}) != 1:
            raise ConfigError(
                f"{option}: some keys have an encrypt_key and some have none. A keyring either encrypts all tokens or "
                "only signs them: give every key an encrypt_key, or none"
            )
        _check_unique(pairs, option)
        self = cls.__new__(cls)
        self._pairs = sorted(pairs, key=lambda pair: pair.state != "primary")
        return self

    @property
    def pairs(self) -> list[KeyPair]:
        """The pairs, the primary pair first."""
        return list(self._pairs)

    def current(self, second: int) -> Self:  # noqa: ARG002
        """Return this keyring, which never changes: see `KeyringSource`."""
        return self

    def derive(self, purpose: str) -> list[Subkeys]:
        """Derive the subkeys of every pair for one purpose, the primary pair first.

        :param purpose: what the tokens are for, such as ``cookie:`` and the cookie's name.
        """
        # The purpose of a state contains the name of its user, which may be any str.
        return [pair.derive(purpose.encode("utf-8", "surrogatepass")) for pair in self._pairs]

    def __repr__(self) -> str:
        return f"<Keyring of {len(getattr(self, '_pairs', ()))}>"  # no pairs if __init__ has refused an argument


def _check_unique(pairs: Sequence[KeyPair], option: str) -> None:
    every_key = [key for pair in pairs for key in (pair.validate, pair.encrypt) if key is not None]
    if len(set(every_key)) != len(every_key):
        raise ConfigError(
            f"{option}: one key is given twice. All validate and encrypt keys must differ, in every state. {KEYGEN}"
        )


def derive_keys(secrets: Mapping[str, str | bytes], framework: str) -> dict[str, list[bytes]]:
    """Derive both keys from the secret of a web framework and from its fallbacks, by HKDF-SHA256 (RFC 5869).

    :param secrets: maps the name of each setting, for errors, to its secret: the primary secret first, then fallbacks.
        A secret that is repeated counts once.
    :param framework: a name such as ``django``: frameworks that share a secret do not share keys.
    :returns: the options ``validate_key`` and ``encrypt_key`` of a `SessionConfig` or a `Keyring`.
    :raises ConfigError: if a secret is short, patterned, a default, a placeholder or a published example.
    """
    distinct = dict.fromkeys(check_framework_secret(setting, secret) for setting, secret in secrets.items())
    return {
        option: [_hkdf(secret, b"", f"sealedsession {framework} v1 {option}".encode()) for secret in distinct]
        for option in ("validate_key", "encrypt_key")
    }


def _hkdf(key: bytes, salt: bytes, info: bytes) -> bytes:
    return SecretBytes(HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=info).derive(key))


def _resolve_all(option: str, sources: object) -> list[bytes]:
    if isinstance(sources, str | bytes):
        sources = [sources]
    if not isinstance(sources, list | tuple):
        raise ConfigError(f"{option}: it must be a key or a list of keys (str or bytes){got(sources)}. {KEYGEN}")
    if not sources:
        raise ConfigError(f"{option}: the list is empty, and needs at least the primary key. {KEYGEN}")
    return [_resolve(option if len(sources) == 1 else f"{option}[{i}]", source) for i, source in enumerate(sources)]


def _resolve(option: str, source: object) -> bytes:
    if isinstance(source, bytes):
        return check_bytes(option, source)
    if not isinstance(source, str):
        raise ConfigError(f"{option}: a key must be str or bytes{got(source)}. {KEYGEN}")
    kind, _, name = source.partition(":")
    if kind not in ("env", "file") or kind == source:
        return check_text(option, source, IN_CODE)
    if looks_like_key(name) and "/" not in name:
        raise ConfigError(
            f"{option}: '{kind}:' is followed by a key. Delete '{kind}:', or write a name or path after it"
        )
    where = f"{option} (from {source!r})"
    return check_text(where, _read_variable(where, name)) if kind == "env" else _read_file(where, name)


def _read_variable(where: str, name: str) -> str:
    value = None
    with suppress(ValueError):  # raised for a name that no variable can have
        value = os.environ.get(name)
    if value is None:
        raise ConfigError(f"{where}: the environment variable {name!r} is not set. Set it for this process")
    return value


def _read_file(where: str, path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            content = file.read(FILE_LIMIT + 1)
            status = os.fstat(file.fileno())
    except (OSError, ValueError) as error:
        cause = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        raise ConfigError(
            f"{where}: the file cannot be read: {cause}. Give the path of a file that this process can read"
        ) from None
    warn_if_world_readable(path, status)
    return check_file(where, content)


def warn_if_world_readable(path: str, status: os.stat_result) -> bool:
    """Log a warning if every user of this machine can open a file of keys.

    :returns: whether they can.
    """
    is_open = os.name == "posix" and stat.S_ISREG(status.st_mode) and bool(status.st_mode & 0o007)
    if is_open:
        logging.getLogger("sealedsession").warning(
            "%s: every user of this machine can open this file of keys. Run: chmod o-rwx %s", path, path
        )
    return is_open
