"""The options' names and types, for type checkers: the keyword arguments of `SessionConfig` and of both middlewares.

And the keys that three of them name.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypedDict

from sealedsession.errors import ConfigError, CookieTooLarge
from sealedsession.events import EventHook
from sealedsession.keyring_file import KeyringFile, keyring_of
from sealedsession.keys import Keyring, KeySource
from sealedsession.limits import Limits
from sealedsession.revocation import RevocationStore
from sealedsession.session import Session
from sealedsession.values import Registry

Oversize = Literal["raise", "keep"] | Callable[[Session, CookieTooLarge], object]
Binding = Callable[[Any], bytes]


class SessionOptions(TypedDict, total=False):
    """The keyword arguments of `SessionConfig`, for type checkers."""

    validate_key: KeySource | Sequence[KeySource] | None
    encrypt_key: KeySource | Sequence[KeySource] | None
    keyring: str | None
    name: str | None
    path: str
    domain: str | None
    secure: bool
    httponly: bool
    samesite: str
    partitioned: bool
    max_age: int | None
    persistent: bool
    lifetimes: str | None
    idle_timeout: int | None
    absolute_timeout: int | None
    refresh_interval: int | None
    leeway: int
    revocation: RevocationStore | str | None
    on_store_error: str
    compress: bool
    pad: int
    binding: Binding | None
    on_event: EventHook | None
    oversize: Oversize
    serializer: str
    accept_serializers: Sequence[str]
    registry: Registry
    limits: Limits
    save_on_error: bool
    cache_control: str | None
    environ_key: str
    clock: Callable[[], float]
    random_bytes: Callable[[int], bytes]


def find_keys(
    validate_key: Any, encrypt_key: Any, keyring: str | None, report: Callable[[Exception | None], object]
) -> Keyring | KeyringFile:
    """The keys that the options name.

    :param validate_key: and encrypt_key, as they were given; or both the `Keyring` that was made of them before.
    :param report: is told what happens to the file of a keyring.
    :raises ConfigError: for keys that are missing, refused, or given twice.
    """
    if keyring is not None:
        if validate_key is not None or encrypt_key is not None:
            raise ConfigError("keyring is given, and validate_key or encrypt_key too: a keyring holds all keys")
        return keyring_of(keyring, report)
    if isinstance(validate_key, Keyring) and validate_key is encrypt_key:
        return validate_key
    if isinstance(validate_key, Keyring) or isinstance(encrypt_key, Keyring):
        raise ConfigError(
            "one of validate_key and encrypt_key is replaced: give both, encrypt_key=None for signed only, as the "
            "config has kept neither"
        )
    if validate_key is None:
        raise ConfigError(
            "validate_key is missing: nothing can be sealed without it; make one with: python -m sealedsession keygen"
        )
    return Keyring(validate_key, encrypt_key)
