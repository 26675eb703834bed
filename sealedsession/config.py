"""All options, in one frozen object that is checked at start.

Every option stands in `SessionConfig`, with its default and its reason. `SessionOptions` repeats their types for type
checkers, and `CookiePolicy` those that make the cookie. A mistake is a `ConfigError` before the first request: it
names the option, the kind of what was given (never a key's value) and the cure. `SessionConfig.from_mapping` takes the
same options as strings, from an ini file or the environment.
"""

import difflib
import os
import re
import time
import types
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from inspect import iscoroutinefunction
from typing import Any, Literal, NamedTuple, Self, TypedDict

from sealedsession.cookie import CookiePolicy, SameSite
from sealedsession.errors import ConfigError, CookieTooLargeError, got, init_without_own_frames, without_own_frames
from sealedsession.events import EventHook, Events
from sealedsession.revocation import RevocationStore, store_from_url
from sealedsession.sealing.keyring_file import KeyringFile, find_keys
from sealedsession.sealing.keys import UNSET, Keyring, KeySource, Unset
from sealedsession.serialization.limits import DEFAULT_LIMITS, Limits
from sealedsession.serialization.registry import Registry, default_registry
from sealedsession.session import Session


def system_clock() -> float:
    """Return the time in seconds since 1970. Tests can replace `time.time` at any moment."""
    return time.time()


Oversize = Literal["raise", "keep"] | Callable[[Session, CookieTooLargeError], object]
Binding = Callable[[Any], bytes]
Serializer = Literal["pickle", "json"]
Lifetimes = Literal["aal1", "aal2", "aal3"]
OnStoreError = Literal["reject", "allow"]


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
    samesite: SameSite
    partitioned: bool
    persistent: bool
    lifetimes: Lifetimes | None
    idle_timeout: int | None
    absolute_timeout: int | None
    refresh_interval: int | None
    leeway: int
    revocation: RevocationStore | str | None
    on_store_error: OnStoreError
    compress: bool
    pad: int
    binding: Binding | None
    token_cache: int
    on_event: EventHook | None
    oversize: Oversize
    serializer: Serializer
    accept_serializers: Sequence[Serializer] | None
    registry: Registry
    limits: Limits
    save_on_error: bool
    cache_control: str | None
    environ_key: str
    scope_key: str
    clock: Callable[[], float]


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
    "cookie_expires": "persistent",
    "max_age": "persistent=True, so that the browser keeps the cookie for the remaining lifetime of the session",
    "cookie_max_age": "persistent=True",
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


MINUTE, HOUR, DAY = 60, 3600, 24 * 3600  # seconds
DEFAULT_IDLE, DEFAULT_ABSOLUTE = 7 * DAY, 30 * DAY

# Idle and absolute timeout, which NIST calls inactivity and overall timeout. All are within the limits of NIST SP
# 800-63B-4, 2.1.3, 2.2.3 and 2.3.3: 30 days at AAL1, which requires no idle timeout (we set the default one); 1 hour
# and 24 hours at AAL2; 15 minutes and 12 hours at AAL3. Revision 3 (4.2.3) required 30 minutes and 12 hours at AAL2.
PRESETS = {
    "aal1": (DEFAULT_IDLE, 30 * DAY),
    "aal2": (30 * MINUTE, 12 * HOUR),
    "aal3": (15 * MINUTE, 12 * HOUR),
}


@dataclass(frozen=True, slots=True)
class Timeouts:
    """The timeouts of a configuration.

    :param idle: seconds after `sealed_at`, or None.
    :param absolute: seconds after `created`, or None. One of the two is given.
    :param refresh: seconds after `sealed_at`, after which a session that is used is sealed again.
    """

    idle: int | None
    absolute: int | None
    refresh: int = HOUR

    @property
    def longest(self) -> int:
        """Seconds for which no token outlives the second in which it was sealed."""
        return self.absolute or self.idle or 0

    def ends(self, created: int, sealed_at: int, lifetime: int | None) -> int:
        """When a session ends that nobody uses any more, in seconds since 1970, without leeway.

        :param lifetime: the session's own, in seconds after `created`, or None.
        """
        ends = [created + seconds for seconds in (self.absolute, lifetime) if seconds is not None]
        if self.idle is not None:
            ends.append(sealed_at + self.idle)
        return min(ends)


def resolve_timeouts(preset: str | None, idle: int | None, absolute: int | None) -> Timeouts:
    """Take the options `lifetimes`, `idle_timeout` and `absolute_timeout` together.

    :raises ConfigError: when they do not fit together.
    """
    if preset is not None:
        if preset not in PRESETS:
            raise ConfigError(f"lifetimes={preset!r}: it must be one of {', '.join(map(repr, PRESETS))}, or None")
        if (idle, absolute) not in ((DEFAULT_IDLE, DEFAULT_ABSOLUTE), PRESETS[preset]):
            raise ConfigError(
                f"lifetimes={preset!r} sets idle_timeout and absolute_timeout, and they are given too: "
                "leave out lifetimes, or the other two"
            )
        return Timeouts(*PRESETS[preset])
    if idle is None and absolute is None:
        raise ConfigError(
            "idle_timeout and absolute_timeout are both None: sessions would never end. Set one of them, in seconds"
        )
    for option, seconds in (("idle_timeout", idle), ("absolute_timeout", absolute)):
        if seconds is not None and seconds <= 0:
            raise ConfigError(f"{option}={seconds}: it must be more than 0 seconds, or None to switch it off")
    return Timeouts(idle, absolute)


_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")
_UNITS = {"pad": "bytes", "token_cache": "tokens"}  # every other whole number is in seconds


def coerce(option: str, text: str, kinds: tuple[type, ...]) -> object:
    """Make of an ini file's string what the option takes.

    :param kinds: the types of the option's values.
    :raises ConfigError: when it fits none of them.
    """
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
    if types.NoneType in kinds and stripped.lower() == "none":
        return None
    if bool in kinds:
        if stripped.lower() in _TRUE + _FALSE:
            return stripped.lower() in _TRUE
        raise ConfigError(f"{option} = {stripped}: it must be true or false (or yes, no, on, off, 1, 0)")
    if int in kinds:
        if re.fullmatch("-?[0-9]{1,15}", stripped):
            return int(stripped)
        raise ConfigError(f"{option} = {stripped}: it must be {whole_number(option)}" + _none_too(kinds))
    return stripped


def whole_number(option: str) -> str:
    """Say what an int stands for."""
    return f"a whole number of {_UNITS.get(option, 'seconds')}"


def _none_too(kinds: tuple[type, ...]) -> str:
    return " or none" if types.NoneType in kinds else ""


SERIALIZERS = ("pickle", "json")
SCOPE_KEY = "session"
ENVIRON_KEY = "sealedsession.session"  # with a dot: PEP 3333 reserves other names for CGI
_TOKENS_MAX = 100_000  # garbage collection looks through them


@init_without_own_frames
@dataclass(frozen=True, kw_only=True)
class SessionConfig:
    """The options of a session.

    :param validate_key: authenticates every token. One key, or a list: primary first, then fallbacks. A key is at least
        32 random bytes: as bytes; as str in hexadecimal, base64 or base64url (``python -m sealedsession keygen``); or
        ``env:NAME`` or ``file:PATH``.
    :param encrypt_key: encrypts every token. The same form and count, or None: tokens are signed only, and clients can
        read them. A missing option means the same, and the config logs a warning.
    :param keyring: instead of the two: ``file:PATH`` or ``env:NAME`` of a JSON keyring. A file is read again when it
        changes.
    :param name: the cookie's name. None means ``__Host-Http-session``; with ``httponly=False``, ``__Host-session``; and
        ``sealed-session`` if ``secure=False`` or another ``path`` or a ``domain`` rules out the prefix. The name is
        part of the seal: to change it ends all sessions.
    :param path: see `CookiePolicy`, as for domain, secure, httponly, samesite and partitioned.
    :param persistent: whether the browser keeps the cookie of a new session when it is closed. Max-Age is then the
        remaining lifetime of the session. ``session.persistent`` changes it for one session.
    :param lifetimes: ``aal1``, ``aal2`` or ``aal3``: both timeouts, for a level of NIST SP 800-63B-4, instead of the
        next two.
    :param idle_timeout: seconds without a request that used the session, after which it ends; enforced inside the seal.
    :param absolute_timeout: seconds after its creation at which a session ends; enforced inside the seal.
        None switches off one of the two, but not both. OWASP ASVS 5.0 requires both: 7.3.1 the idle timeout, 7.3.2
        the absolute one.
    :param refresh_interval: seconds after which an accessed but unchanged session is sealed again: it is not idle.
        At most a tenth of `idle_timeout`; 0 means with each request that uses the session. None means the smaller of
        one hour and that tenth, and at least 1.
    :param leeway: seconds by which clocks may differ, 0 to 600.
    :param revocation: a `RevocationStore`, which knows the sessions that were signed out; or ``memory``,
        ``sqlite:PATH`` or ``redis://...`` for one of ours; or None: copies of cookies live until their timeouts.
    :param on_store_error: ``reject`` sessions while the store does not answer, or ``allow`` them.
    :param compress: deflate sessions where that makes them shorter. Their length then tells something of their content.
    :param pad: pads sessions to a multiple of so many bytes, 2 to 255, so that their length tells less; or 0.
    :param binding: a function of environ or scope, whose bytes a cookie is bound to: it opens with the same only.
    :param token_cache: how many unsealed tokens are kept in memory, with what they hold, so that the same cookie again
        costs less: 2 to 100,000, or 0.
    :param on_event: a function of an `Event`, called for all that happens to sessions.
    :param oversize: what happens when the cookie would be over 4096 bytes. ``raise`` a `CookieTooLargeError`; ``keep``
        the old cookie and log; or a function of session and error that makes the session smaller, asked once.
    :param serializer: ``pickle``, the allow-list pickle, or ``json``, tagged JSON: the same values and limits.
    :param accept_serializers: the serializers whose sessions are accepted; None means the one that writes. To change
        the serializer, deploy three times: accept both; write the new one; after `absolute_timeout`, accept it alone.
    :param registry: the types, besides the built-in ones, that sessions can hold.
    :param limits: see `Limits`.
    :param save_on_error: whether changes are saved with responses of status 500 and above.
    :param cache_control: sent with Set-Cookie where the application sent no Cache-Control, or None.
    :param environ_key: where a WSGI application finds the session in the environ.
    :param scope_key: where an ASGI application finds the session in the scope.
    :param clock: seconds since 1970.
    :raises ConfigError: for every mistake. Its traceback has no frames of this package, which would contain the keys.

    The attributes keep the values that were given, except for `validate_key` and `encrypt_key`, which do not show the
    keys.
    """

    validate_key: KeySource | Sequence[KeySource] | None = field(default=None, repr=False)
    encrypt_key: KeySource | Sequence[KeySource] | Literal[Unset.UNSET] | None = field(default=UNSET, repr=False)
    keyring: str | None = field(default=None, repr=False)
    name: str | None = None
    path: str = "/"
    domain: str | None = None
    secure: bool = True
    httponly: bool = True
    samesite: SameSite = "Lax"
    partitioned: bool = False
    persistent: bool = False
    lifetimes: Lifetimes | None = None
    idle_timeout: int | None = DEFAULT_IDLE
    absolute_timeout: int | None = DEFAULT_ABSOLUTE
    refresh_interval: int | None = None
    leeway: int = 60
    revocation: RevocationStore | str | None = field(default=None, repr=False)
    on_store_error: OnStoreError = "reject"
    compress: bool = False
    pad: int = 0
    binding: Binding | None = None
    token_cache: int = 0
    on_event: EventHook | None = None
    oversize: Oversize = "raise"
    serializer: Serializer = "pickle"
    accept_serializers: Sequence[Serializer] | None = None
    registry: Registry = default_registry
    limits: Limits = DEFAULT_LIMITS
    save_on_error: bool = False
    cache_control: str | None = "no-store"
    environ_key: str = ENVIRON_KEY
    scope_key: str = SCOPE_KEY
    clock: Callable[[], float] = system_clock

    def __post_init__(self) -> None:
        self._check_types()
        timeouts = self._check_times()
        self._check_rest()
        cookie = CookiePolicy(**{option.name: getattr(self, option.name) for option in fields(CookiePolicy)})
        store = store_from_url(self.revocation) if isinstance(self.revocation, str) else self.revocation
        events = Events(str(cookie.name), self.on_event, self._hash_key)
        keys = find_keys(self.validate_key, self.encrypt_key, self.keyring, events.keyring)
        # Not a field, so that asdict() and replace() see the options only. The dataclass is frozen.
        object.__setattr__(self, "_derived", _Derived(keys, cookie, timeouts, store, events))
        if self.keyring is None:  # the keys themselves are in no list of the options, such as asdict's
            object.__setattr__(self, "validate_key", keys)
            object.__setattr__(self, "encrypt_key", keys)

    @property
    def keys(self) -> Keyring | KeyringFile:
        """The keyring, made from `validate_key` and `encrypt_key`, or from `keyring`."""
        return self._get_derived().keys

    @property
    def cookie(self) -> CookiePolicy:
        """Name and attributes of the cookie."""
        return self._get_derived().cookie

    @property
    def timeouts(self) -> Timeouts:
        """The timeouts, made from `lifetimes`, `idle_timeout`, `absolute_timeout` and `refresh_interval`."""
        return self._get_derived().timeouts

    @property
    def store(self) -> RevocationStore | None:
        """The revocation store, made from `revocation`."""
        return self._get_derived().store

    @property
    def events(self) -> Events:
        """The object that logs and calls `on_event`."""
        return self._get_derived().events

    @classmethod
    def from_kwargs(cls, options: Mapping[str, Any]) -> Self:
        """Make a config of keyword options, refusing unknown ones and telling which was probably meant.

        :raises ConfigError: for unknown options too.
        """
        for option in options:
            refuse_unknown(option, option, _HINTS)
        return cls(**options)

    @classmethod
    def from_arguments(cls, config: Self | None, options: Mapping[str, Any]) -> Self:
        """Take a middleware's arguments: a config, or else the options of one.

        :raises ConfigError: for both at once, too.
        """
        if config is None:
            return cls.from_kwargs(options)
        if not isinstance(config, cls):
            raise ConfigError(
                f"config: it must be a {cls.__name__}{got(config)}. Pass a dict of options as keyword arguments: "
                "SessionMiddleware(app, **options)"
            )
        if options:
            raise ConfigError(f"config and {', '.join(options)} are given: set the options in the config")
        return config

    @classmethod
    @without_own_frames
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
            refuse_unknown(option, key, _HINTS)
            options[option] = coerce(option, value, _kinds(_HINTS[option])) if isinstance(value, str) else value
        return cls.from_kwargs(options)

    def bind(self, request: Any) -> bytes:
        """Give what a cookie is bound to besides the keys: what the option `binding` returns for a request.

        :raises TypeError: when it returns no bytes: they could not be told from those of another client.
        """
        if self.binding is None:
            return b""
        binding = self.binding(request)
        if type(binding) is not bytes:
            raise TypeError(f"binding: the function must return bytes{got(binding)}")
        return binding

    def _get_derived(self) -> "_Derived":
        derived: _Derived = self.__dict__["_derived"]
        return derived

    def _random_bytes(self, count: int) -> bytes:
        return os.urandom(count)

    def _hash_key(self) -> bytes:
        return self.keys.current(int(self.clock())).derive("events")[0].mac

    def _check_types(self) -> None:
        for option, kinds in _KINDS.items():
            value = getattr(self, option)
            if type(value) not in kinds:
                expected = " or ".join("None" if kind is types.NoneType else kind.__name__ for kind in kinds)
                number = f", {whole_number(option)}" if int in kinds else ""
                if option == "samesite" and value is None:
                    raise ConfigError(
                        "samesite: None is not a value. Did you mean the str 'None'? The default is 'Lax'"
                    )
                raise ConfigError(f"{option}: it must be {expected}{number}{got(value)}")
        for option in ("clock", "binding", "on_event"):
            value, or_none = getattr(self, option), types.NoneType in _kinds(_HINTS[option])
            if not callable(value) and not (value is None and or_none):
                expected = "a function or None" if or_none else "a function"
                raise ConfigError(f"{option}: it must be {expected}{got(value)}")
            if iscoroutinefunction(value) or iscoroutinefunction(type(value).__call__):
                raise ConfigError(f"{option}: it must be a function without async, because nobody awaits its result")

    def _check_times(self) -> Timeouts:
        timeouts = resolve_timeouts(self.lifetimes, self.idle_timeout, self.absolute_timeout)
        refresh = self.refresh_interval
        if refresh is not None and refresh < 0:
            raise ConfigError(f"refresh_interval={refresh}: it must be 0 or more seconds")
        if timeouts.idle not in (None, DEFAULT_IDLE) and timeouts.idle > (timeouts.absolute or timeouts.idle):
            raise ConfigError(
                f"idle_timeout={timeouts.idle} is longer than absolute_timeout={timeouts.absolute}, so that it has no "
                "effect. Make it shorter, or leave it out"
            )
        if not 0 <= self.leeway <= 600:
            raise ConfigError(
                f"leeway={self.leeway}: it must be 0 to 600 seconds: it covers differing clocks, not time zones"
            )
        if refresh is None:
            refresh = max(1, min(HOUR, (timeouts.idle or 10 * HOUR) // 10))
        elif timeouts.idle is not None and refresh * 10 > timeouts.idle:
            raise ConfigError(
                f"refresh_interval={refresh} is more than a tenth of idle_timeout={timeouts.idle}: users would be "
                "signed out early. Make it smaller, or leave it out"
            )
        return replace(timeouts, refresh=refresh)

    def _check_rest(self) -> None:
        if self.oversize not in ("raise", "keep") and not callable(self.oversize):
            shown = f", got {self.oversize!r}" if isinstance(self.oversize, str) else got(self.oversize)
            raise ConfigError(f"oversize: it must be 'raise', 'keep' or a function of session and error{shown}")
        if iscoroutinefunction(self.oversize) or iscoroutinefunction(type(self.oversize).__call__):
            raise ConfigError("oversize: it must be a function without async, because nobody awaits its result")
        self._check_serializers()
        self._check_revocation()
        if self.pad != 0 and not 2 <= self.pad <= 255:
            raise ConfigError(f"pad={self.pad}: it must be 2 to 255 bytes, or 0 for none")
        if self.token_cache != 0 and not 2 <= self.token_cache <= _TOKENS_MAX:
            raise ConfigError(f"token_cache={self.token_cache}: it must be 2 to {_TOKENS_MAX} tokens, or 0 for none")
        if self.cache_control is not None and not _is_header_value(self.cache_control):
            raise ConfigError(
                "cache_control: it must be a header's value: printable ASCII, such as 'no-store', or None"
            )
        if "." not in self.environ_key.strip("."):
            raise ConfigError(
                f"environ_key={self.environ_key!r} needs a dot inside: PEP 3333 leaves other names to CGI"
            )
        if not self.scope_key:
            raise ConfigError("scope_key: it must not be empty. Leave it out, or choose a name such as 'admin_session'")

    def _check_revocation(self) -> None:
        if self.revocation is not None and not isinstance(self.revocation, RevocationStore | str):
            raise ConfigError(
                f"revocation: it must be a RevocationStore, or a str that names one{got(self.revocation)}"
            )
        if self.on_store_error not in ("reject", "allow"):
            raise ConfigError(f"on_store_error={self.on_store_error!r}: it must be 'reject' or 'allow'")

    def _check_serializers(self) -> None:
        accepted, names = self.accept_serializers, " or ".join(map(repr, SERIALIZERS))
        if self.serializer not in SERIALIZERS:
            raise ConfigError(f"serializer={self.serializer!r}: it must be {names}")
        if accepted is not None:
            if not isinstance(accepted, list | tuple) or any(name not in SERIALIZERS for name in accepted):
                raise ConfigError(
                    f"accept_serializers: it must be a list of {names}, or both, such as ['json'], or None"
                )
            if self.serializer not in accepted:
                raise ConfigError(
                    f"serializer={self.serializer!r} is none of accept_serializers: what is sealed could not be read "
                    "again. Add it, or leave out accept_serializers"
                )
        if type(self.registry) is not Registry:
            raise ConfigError(f"registry: it must be a Registry, given in code{got(self.registry)}")
        if type(self.limits) is not Limits:
            raise ConfigError(f"limits: it must be Limits, such as Limits(size=2048), given in code{got(self.limits)}")


class _Derived(NamedTuple):
    keys: Keyring | KeyringFile
    cookie: CookiePolicy
    timeouts: Timeouts
    store: RevocationStore | None
    events: Events


def _is_header_value(text: str) -> bool:
    return text.isascii() and text.isprintable() and bool(text.strip())


# The options and their types, read off the class, so that nothing lists them again.
_HINTS = typing.get_type_hints(SessionConfig)


def _kinds(hint: Any) -> tuple[type, ...]:
    """Return the types of an option's values."""
    if typing.get_origin(hint) is Literal:
        return (type(typing.get_args(hint)[0]),)
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return tuple(dict.fromkeys(kind for each in typing.get_args(hint) for kind in _kinds(each)))
    return (hint,)


_KINDS: dict[str, tuple[type, ...]] = {
    name: _kinds(hint)
    for name, hint in _HINTS.items()
    if {str, int, bool, types.NoneType}.issuperset(_kinds(hint))  # the others have checks of their own
}
