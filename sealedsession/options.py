"""What the middlewares are given: the options' names and types, for type checkers, and an application.

What is neither is refused here: a name that is unknown, and an application that is called in another way.
"""

import difflib
import inspect
from collections.abc import Callable, Collection, Sequence
from typing import Any, Literal, TypedDict

from sealedsession.errors import ConfigError, CookieTooLarge, given
from sealedsession.events import EventHook
from sealedsession.keys import KeySource
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


# What other libraries call them: Beaker, Starlette, Flask, Pyramid.
_ALIASES = {
    "secret": ("validate_key", "encrypt_key"),
    "secret_key": ("validate_key", "encrypt_key"),
    "key": ("name",),
    "cookie_name": ("name",),
    "session_cookie": ("name",),
    "timeout": ("idle_timeout",),
    "expires": ("idle_timeout",),
    "https_only": ("secure",),
    "cookie_secure": ("secure",),
}


def refuse_unknown(option: str, written: str, known: Collection[str]) -> None:
    """Refuse what is no option, and tell which was probably meant.

    :param written: the option as it was written, perhaps with a prefix.
    :raises ConfigError: unless it is known.
    """
    if option in known:
        return
    meant = _ALIASES.get(option.lower()) or difflib.get_close_matches(option, known, 1)
    hint = f"did you mean {' and '.join(map(repr, meant))}?" if meant else f"there are: {', '.join(known)}"
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
