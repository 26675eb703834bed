"""What the middlewares are given: options, the keys that three of them name, and an application.

The options' names and types are for type checkers. Refused here are names that are unknown, keys that are missing or
given twice, and an application that is called in another way.
"""

import difflib
import inspect
import logging
from collections.abc import Callable, Collection, Sequence
from enum import Enum
from typing import Any, Literal, TypedDict

from sealedsession.errors import ConfigError, CookieTooLarge, given
from sealedsession.events import EventHook
from sealedsession.keyring_file import KeyringFile, keyring_of
from sealedsession.keys import Keyring, KeySource
from sealedsession.limits import Limits
from sealedsession.revocation import RevocationStore
from sealedsession.session import Session
from sealedsession.values import Registry

Oversize = Literal["raise", "keep"] | Callable[[Session, CookieTooLarge], object]
Binding = Callable[[Any], bytes]


class Unset(Enum):
    """The type of `UNSET`, the default of an option for which None has a meaning of its own."""

    UNSET = "unset"


UNSET: Literal[Unset.UNSET] = Unset.UNSET


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
    token_cache: int
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


# What other libraries call the options: Beaker, Flask, Starlette, Django, Pyramid, itsdangerous. The names have no dot
# and no prefix such as "session_cookie_".
_MEANT = {
    "secret": "validate_key and encrypt_key",
    "secret_key": "validate_key and encrypt_key",
    "secret_keys": "validate_key and encrypt_key",
    "signing_key": "validate_key",
    "validation_key": "validate_key",
    "key": "name",
    "cookie_name": "name",
    "session_cookie": "name",
    "timeout": "idle_timeout",
    "expires": "idle_timeout",
    "cookie_expires": "max_age, or persistent",
    "permanent": "persistent",
    "permanent_session_lifetime": "absolute_timeout",
    "age": "absolute_timeout",
    "expire_at_browser_close": "persistent, with the opposite value",
    "refresh_each_request": "refresh_interval, in seconds",
    "save_every_request": "refresh_interval, in seconds",
    "reissue_time": "refresh_interval",
    "https_only": "secure",
    "cookie_secure": "secure",
    "same_site": "samesite",
    "cookie_samesite": "samesite",
    "cookie_domain": "domain",
    "cookie_path": "path",
    "cookie_httponly": "httponly",
    "redis": "revocation='redis://...'",
    "redis_url": "revocation='redis://...'",
    "store": "revocation",
    "max_size": "limits=Limits(size=...)",
    "json": "serializer='json'",
    "data_serializer": "serializer",
    "cookie": "name",
    "salt": "name, which is part of the seal",
}
# Beaker's options for stores and formats, which this library does not have.
_NOT_NEEDED = frozenset(
    ("type", "auto", "data_dir", "lock_dir", "invalidate_corrupt", "crypto_type", "encrypt_nonce_bits", "use_cookies")
)


def refuse_unknown(option: str, written: str, known: Collection[str]) -> None:
    """Refuse an unknown option, and name the one that was probably meant.

    :param written: the option as it was written, perhaps with a prefix.
    :raises ConfigError: unless it is known.
    """
    if option in known:
        return
    name = option.lower().removeprefix("session.").removeprefix("session_")
    name = name if name in _MEANT else name.removeprefix("cookie_")
    close = difflib.get_close_matches(name, known, 1)
    if name in _MEANT:
        hint = f"did you mean {_MEANT[name]}?"
    elif name in known:
        hint = f"did you mean {name}?"
    elif name in _NOT_NEEDED:
        hint = "delete it: the whole session is in the cookie, in one format"
    elif close:
        hint = f"did you mean {close[0]}?"
    else:
        hint = f"there are: {', '.join(known)}"
    raise ConfigError(f"unknown option {written!r}; {hint}")


_CALLS = {
    "WSGI": (("environ", "start_response"), "for ASGI there is sealedsession.asgi.SessionMiddleware"),
    "ASGI": (("scope", "receive", "send"), "for WSGI there is sealedsession.wsgi.SessionMiddleware"),
}


def check_application(app: object, kind: Literal["WSGI", "ASGI"]) -> None:
    """Refuse what cannot be called as a server calls an application.

    :raises ConfigError: for what certainly is no such application.
    """
    arguments, other = _CALLS[kind]
    wanted = f"app has to be one of {kind}, a function of {', '.join(arguments)}"
    if not callable(app):
        raise ConfigError(wanted + given(app))
    try:
        signature = inspect.signature(app, follow_wrapped=False)  # of what is called, and not of what it wraps
    except (TypeError, ValueError, NameError):  # one in C, or with annotations that name nothing: it does not tell
        return
    try:
        signature.bind(*arguments)
    except TypeError:
        raise ConfigError(f"{wanted}; {other}") from None
    call = app if inspect.isroutine(app) else type(app).__call__
    if kind == "WSGI" and inspect.iscoroutinefunction(call):
        raise ConfigError(f"{wanted}, and not async; {other}")


def find_keys(
    validate_key: Any, encrypt_key: Any, keyring: str | None, report: Callable[[Exception | None], object]
) -> Keyring | KeyringFile:
    """Return the keys that the options name. Log a warning if `encrypt_key` is missing.

    :param validate_key: and encrypt_key, as they were given; or both the `Keyring` that was made of them before.
    :param report: is called with each event of a keyring's file.
    :raises ConfigError: for keys that are missing, refused, or given twice.
    """
    if keyring is not None:
        if validate_key is not None or encrypt_key not in (None, UNSET):
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
    if encrypt_key is not UNSET:
        return Keyring(validate_key, encrypt_key)
    keys = Keyring(validate_key)
    logging.getLogger("sealedsession").warning(
        "encrypt_key is not set: sessions are signed but not encrypted, so clients can read them. Set encrypt_key, or "
        "set it to None (none in ini files) if that is what you want"
    )
    return keys
