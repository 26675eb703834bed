"""All options, in one frozen object that is checked at start.

Every option stands in `SessionConfig`, with its default and its reason. `SessionOptions` repeats their types for
type checkers, and `CookiePolicy` those that make the cookie. A mistake is a `ConfigError` before the first request: it
names the option, the kind of what was given (never a key's value) and the cure. `SessionConfig.from_mapping` takes the
same options as strings, from an ini file or the environment.
"""

import difflib
import os
import re
import time
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Self, TypedDict

from sealedsession.cookie import CookiePolicy
from sealedsession.errors import ConfigError, CookieTooLarge
from sealedsession.keys import Keyring, KeySource
from sealedsession.limits import DEFAULT_LIMITS, Limits
from sealedsession.session import Session
from sealedsession.values import Registry, default_registry

DAY = 24 * 3600  # seconds
SERIALIZERS = ("pickle", "json")
Oversize = Literal["raise", "keep"] | Callable[[Session, CookieTooLarge], object]


class SessionOptions(TypedDict, total=False):
    """The keyword arguments of `SessionConfig`, for type checkers."""

    validate_key: KeySource | Sequence[KeySource]
    encrypt_key: KeySource | Sequence[KeySource] | None
    name: str | None
    path: str
    domain: str | None
    secure: bool
    httponly: bool
    samesite: str
    partitioned: bool
    max_age: int | None
    idle_timeout: int | None
    absolute_timeout: int | None
    refresh_interval: int | None
    leeway: int
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


@dataclass(frozen=True, kw_only=True)
class SessionConfig:
    """The options of a session.

    :param validate_key: authenticates every token. One key, or a list: primary first, then fallbacks. A str may be
        ``env:NAME`` or ``file:PATH``. At least 32 random bytes: ``python -m sealedsession keygen``.
    :param encrypt_key: encrypts every token. The same form and count, or None: tokens are signed only and can be read.
    :param name: the cookie's name; None means ``__Host-session``, or ``session`` where that cannot be.
    :param path: see `CookiePolicy`, as for domain, secure, httponly, samesite, partitioned and max_age.
    :param idle_timeout: seconds without a request that used the session, after which it ends; enforced inside the seal.
    :param absolute_timeout: seconds after its creation at which a session ends; enforced inside the seal.
        One of the two can be None: off. Not both (OWASP ASVS 5.0, 7.3).
    :param refresh_interval: seconds after which an accessed but unchanged session is sealed again: it is not idle.
        At most a tenth of `idle_timeout`. None means the smaller of one hour and that tenth, and at least 1.
    :param leeway: seconds by which clocks may differ, 0 to 600.
    :param oversize: what happens when the cookie would be over 4096 bytes. ``raise`` a `CookieTooLarge`; ``keep``
        the old cookie and log; or a function of session and error that makes the session smaller, asked once.
    :param serializer: ``pickle``, the allow-list pickle, or ``json``, tagged JSON: the same values and limits.
    :param accept_serializers: those whose sessions are read. The default is both, so that a change can be rolled out.
    :param registry: the types, besides the built-in ones, that sessions can hold.
    :param limits: see `Limits`.
    :param save_on_error: whether changes are saved with responses of status 500 and above.
    :param cache_control: sent with Set-Cookie where the application sent no Cache-Control, or None.
    :param environ_key: where a WSGI application finds the session. In ASGI it is always ``scope["session"]``.
    :param clock: seconds since 1970.
    :param random_bytes: a CSPRNG.
    :raises ConfigError: see above.
    """

    validate_key: KeySource | Sequence[KeySource] = field(repr=False)
    encrypt_key: KeySource | Sequence[KeySource] | None = field(default=None, repr=False)
    name: str | None = None
    path: str = "/"
    domain: str | None = None
    secure: bool = True
    httponly: bool = True
    samesite: str = "Lax"
    partitioned: bool = False
    max_age: int | None = None
    idle_timeout: int | None = 7 * DAY
    absolute_timeout: int | None = 30 * DAY
    refresh_interval: int | None = None
    leeway: int = 60
    oversize: Oversize = "raise"
    serializer: str = "pickle"
    accept_serializers: Sequence[str] = SERIALIZERS
    registry: Registry = default_registry
    limits: Limits = DEFAULT_LIMITS
    save_on_error: bool = False
    cache_control: str | None = "no-store"
    environ_key: str = "sealedsession.session"
    clock: Callable[[], float] = time.time
    random_bytes: Callable[[int], bytes] = os.urandom
    keyring: Keyring = field(init=False, repr=False)
    cookie: CookiePolicy = field(init=False)

    def __post_init__(self) -> None:
        self._check_types()
        self._check_times()
        self._check_rest()
        self._set("keyring", Keyring(self.validate_key, self.encrypt_key))
        self._set(
            "cookie", CookiePolicy(**{option.name: getattr(self, option.name) for option in fields(CookiePolicy)})
        )
        self._set("name", self.cookie.name)
        self._set("samesite", self.cookie.samesite)

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """Make a config of keyword options, refusing unknown ones and telling which was probably meant.

        :raises ConfigError: for unknown options too.
        """
        if "validate_key" not in options:
            raise ConfigError(
                "validate_key is missing: nothing can be sealed without it; "
                "make one with: python -m sealedsession keygen"
            )
        for option in options:
            if option not in _HINTS:
                close = difflib.get_close_matches(option, _HINTS, 1)
                raise ConfigError(
                    f"unknown option {option!r}"
                    + (f"; did you mean {close[0]!r}?" if close else f"; there are: {', '.join(_HINTS)}")
                )
        return cls(**options)

    @classmethod
    def of_arguments(cls, config: Self | None, options: Mapping[str, Any]) -> Self:
        """Take a middleware's arguments: a config, or else the options of one.

        :raises ConfigError: for both at once, too.
        """
        if config is None:
            return cls.of(options)
        if not isinstance(config, cls):
            raise ConfigError(f"config has to be a {cls.__name__}, and a {type(config).__name__} was given")
        if options:
            raise ConfigError(f"config and {', '.join(options)} are given: set the options in the config")
        return config

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, object], prefix: str = "session.") -> Self:
        """Make a config of strings, such as an ini section that holds nothing else.

        Keys may carry the prefix or not. A list of keys is one to a line. ``none`` is None; booleans are true, yes, on,
        1 and false, no, off, 0. Values that are not strings are taken as they are.

        :raises ConfigError: for an option given twice (with and without prefix), or with a value that does not fit.
        """
        options: dict[str, Any] = {}
        for key, value in mapping.items():
            option = key.removeprefix(prefix)
            if option in options:
                raise ConfigError(f"{option!r} is given twice, with and without {prefix!r}: delete one")
            options[option] = _coerce(option, value) if isinstance(value, str) and option in _HINTS else value
        return cls.of(options)

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)  # frozen, and these are derived here

    def _check_types(self) -> None:
        for option, kinds in _KINDS.items():
            value = getattr(self, option)
            if type(value) not in kinds:
                expected = " or ".join("None" if kind is types.NoneType else kind.__name__ for kind in kinds)
                raise ConfigError(f"{option} has to be {expected}, and a {type(value).__name__} was given")
        for option in ("clock", "random_bytes"):
            if not callable(getattr(self, option)):
                raise ConfigError(
                    f"{option} has to be a function, and a {type(getattr(self, option)).__name__} was given"
                )

    def _check_times(self) -> None:
        if self.idle_timeout is None and self.absolute_timeout is None:
            raise ConfigError(
                "idle_timeout and absolute_timeout are both None: sessions would never end. Set one of them, in seconds"
            )
        for option in ("idle_timeout", "absolute_timeout", "refresh_interval"):
            seconds = getattr(self, option)
            if seconds is not None and seconds <= 0:
                raise ConfigError(f"{option}={seconds} has to be more than 0 seconds" + _or_none(option))
        if not 0 <= self.leeway <= 600:
            raise ConfigError(
                f"leeway={self.leeway} has to be 0 to 600 seconds: it covers differing clocks, not time zones"
            )
        if self.refresh_interval is None:
            self._set("refresh_interval", max(1, min(3600, (self.idle_timeout or 36000) // 10)))
        elif self.idle_timeout is not None and self.refresh_interval * 10 > self.idle_timeout:
            raise ConfigError(
                f"refresh_interval={self.refresh_interval} is more than a tenth of idle_timeout={self.idle_timeout}: "
                "users would be signed out early. Make it smaller, or leave it out"
            )

    def _check_rest(self) -> None:
        if self.oversize not in ("raise", "keep") and not callable(self.oversize):
            raise ConfigError(
                "oversize has to be 'raise', 'keep' or a function of session and error" + _given(self.oversize)
            )
        self._check_serializers()
        if self.cache_control is not None and not _is_header_value(self.cache_control):
            raise ConfigError("cache_control has to be a header's value: printable ASCII, such as 'no-store', or None")
        if "." not in self.environ_key.strip("."):
            raise ConfigError(
                f"environ_key={self.environ_key!r} needs a dot inside: PEP 3333 leaves other names to CGI"
            )

    def _check_serializers(self) -> None:
        accepted = self.accept_serializers
        if not isinstance(accepted, list | tuple) or any(name not in SERIALIZERS for name in accepted):
            raise ConfigError(f"accept_serializers has to be a list of {' and '.join(map(repr, SERIALIZERS))}")
        if self.serializer not in accepted:
            raise ConfigError(
                f"serializer={self.serializer!r} is none of accept_serializers: what is sealed could not be read again"
            )
        if type(self.registry) is not Registry or type(self.limits) is not Limits:
            raise ConfigError("registry has to be a Registry, and limits to be Limits: both are given in code")


def _or_none(option: str) -> str:
    return "" if option == "refresh_interval" else ", or None to switch it off"


def _given(value: object) -> str:
    return f", and {value!r} was given" if isinstance(value, str) else f", and a {type(value).__name__} was given"


def _is_header_value(text: str) -> bool:
    return text.isascii() and text.isprintable() and bool(text.strip())


# The options and their types, read off the class, so that nothing lists them again.
_HINTS = {
    name: hint for name, hint in typing.get_type_hints(SessionConfig).items() if name not in ("keyring", "cookie")
}
_KINDS: dict[str, tuple[type, ...]] = {
    name: typing.get_args(hint) or (hint,)
    for name, hint in _HINTS.items()
    if hint in (str, int, bool, str | None, int | None)  # keys, functions and `oversize` have checks of their own
}
_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")


def _coerce(option: str, text: str) -> object:
    """Make of an ini file's string what the option takes."""
    stripped = text.strip()
    if not stripped:
        raise ConfigError(f"{option} is blank: give it a value, or delete the line")
    if option in ("validate_key", "encrypt_key"):
        lines = [line.strip() for line in stripped.splitlines() if line.strip()]
        if len(lines) > 1:
            return lines
        return None if option == "encrypt_key" and stripped.lower() == "none" else stripped
    if option == "accept_serializers":
        return stripped.replace(",", " ").split()
    kinds = _KINDS.get(option, (str,))
    if types.NoneType in kinds and stripped.lower() == "none":
        return None
    if bool in kinds:
        if stripped.lower() in _TRUE + _FALSE:
            return stripped.lower() in _TRUE
        raise ConfigError(f"{option} = {stripped} has to be true or false (or yes, no, on, off, 1, 0)")
    if int in kinds:
        if re.fullmatch("-?[0-9]{1,15}", stripped):
            return int(stripped)
        raise ConfigError(f"{option} = {stripped} has to be a whole number of seconds" + _none_too(kinds))
    return stripped


def _none_too(kinds: tuple[type, ...]) -> str:
    return " or none" if types.NoneType in kinds else ""
