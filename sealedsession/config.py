"""All options, in one frozen object that is checked at start.

`SessionConfig` declares every option, with its default and its documentation. `SessionOptions` repeats the types for
type checkers, and `CookiePolicy` repeats the options of the cookie. Every mistake raises `ConfigError` before the first
request. The message names the option, the problem and the fix, but never contains a key.

`SessionConfig.from_mapping` reads the same options from strings, such as those of an ini file or the environment.
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


# The option names of Beaker, Flask, Starlette, Django, Pyramid and itsdangerous, and the options that replace them. The
# names have no prefix such as "session_cookie_".
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
# Beaker's options for stores and formats, which this library does not need.
_NOT_NEEDED = frozenset(
    ("type", "auto", "data_dir", "lock_dir", "invalidate_corrupt", "crypto_type", "encrypt_nonce_bits", "use_cookies")
)


def refuse_unknown(option: str, written: str, known: Collection[str]) -> None:
    """Raise an error for an unknown option, and suggest a known one.

    :param option: the name of the option.
    :param written: the name as the user wrote it, which may have a prefix.
    :param known: the names of all options.
    :raises ConfigError: if the option is unknown.
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
        hint = f"the options are: {', '.join(known)}"
    raise ConfigError(f"unknown option {written!r}; {hint}")


MINUTE, HOUR, DAY = 60, 3600, 24 * 3600  # seconds
DEFAULT_IDLE, DEFAULT_ABSOLUTE = 7 * DAY, 30 * DAY

# (idle timeout, absolute timeout), which NIST calls inactivity timeout and overall timeout. The limits of NIST SP
# 800-63B-4, 2.1.3, 2.2.3 and 2.3.3, are: no idle timeout and 30 days at AAL1; 1 hour and 24 hours at AAL2; 15 minutes
# and 12 hours at AAL3. Our "aal2" also keeps the limits of revision 3 (4.2.3), which are shorter.
PRESETS = {
    "aal1": (DEFAULT_IDLE, 30 * DAY),
    "aal2": (30 * MINUTE, 12 * HOUR),
    "aal3": (15 * MINUTE, 12 * HOUR),
}


@dataclass(frozen=True, slots=True)
class Timeouts:
    """The timeouts of a configuration.

    :param idle: seconds from `sealed_at` to the end of the session, or None.
    :param absolute: seconds from `created` to the end of the session, or None. At most one of the two is None.
    :param refresh: seconds from `sealed_at` until an accessed session is sealed again.
    """

    idle: int | None
    absolute: int | None
    refresh: int = HOUR

    @property
    def longest(self) -> int:
        """The longest time for which a token can be valid, in seconds."""
        return self.absolute or self.idle or 0

    def ends(self, created: int, sealed_at: int, lifetime: int | None) -> int:
        """Return when a session ends if it is not used again, in seconds since 1970, without leeway.

        :param created: when the session was created, in seconds since 1970.
        :param sealed_at: when the token was sealed, in seconds since 1970.
        :param lifetime: the session's own lifetime, in seconds from `created`, or None.
        """
        ends = [created + seconds for seconds in (self.absolute, lifetime) if seconds is not None]
        if self.idle is not None:
            ends.append(sealed_at + self.idle)
        return min(ends)


def resolve_timeouts(preset: str | None, idle: int | None, absolute: int | None) -> Timeouts:
    """Return the timeouts that the options `lifetimes`, `idle_timeout` and `absolute_timeout` set.

    :param preset: the option `lifetimes`.
    :param idle: the option `idle_timeout`, in seconds.
    :param absolute: the option `absolute_timeout`, in seconds.
    :raises ConfigError: if a value is invalid, or the options contradict each other.
    """
    if preset is not None:
        if preset not in PRESETS:
            raise ConfigError(f"lifetimes={preset!r}: it must be one of {', '.join(map(repr, PRESETS))}, or None")
        if (idle, absolute) not in ((DEFAULT_IDLE, DEFAULT_ABSOLUTE), PRESETS[preset]):
            raise ConfigError(
                f"lifetimes={preset!r} sets idle_timeout and absolute_timeout, which are set as well. "
                "Remove lifetimes, or remove the other two"
            )
        return Timeouts(*PRESETS[preset])
    if idle is None and absolute is None:
        raise ConfigError(
            "idle_timeout and absolute_timeout are both None, so sessions would never end. Set one of them, in seconds"
        )
    for option, seconds in (("idle_timeout", idle), ("absolute_timeout", absolute)):
        if seconds is not None and seconds <= 0:
            raise ConfigError(f"{option}={seconds}: it must be more than 0 seconds, or None to switch it off")
    return Timeouts(idle, absolute)


_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")
_UNITS = {"pad": "bytes", "token_cache": "tokens"}  # every other whole number is in seconds


def _parse_text(option: str, text: str, kinds: tuple[type, ...]) -> object:
    """Convert a string, such as one of an ini file, to the type of an option.

    :param kinds: the types of the option's values.
    :raises ConfigError: if the text represents no value of these types.
    """
    stripped = text.strip()
    if not stripped:
        raise ConfigError(f"{option}: the value is blank. Set a value, or delete the line")
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
        or_none = " or none" if types.NoneType in kinds else ""
        raise ConfigError(f"{option} = {stripped}: it must be {_whole_number(option)}{or_none}")
    return stripped


def _whole_number(option: str) -> str:
    """Return the description of an int, with its unit, for an error message."""
    return f"a whole number of {_UNITS.get(option, 'seconds')}"


SERIALIZERS = ("pickle", "json")
SCOPE_KEY = "session"
ENVIRON_KEY = "sealedsession.session"  # PEP 3333 reserves names without a dot for CGI
_TOKENS_MAX = 100_000  # the garbage collector visits each of them


@init_without_own_frames
@dataclass(frozen=True, kw_only=True)
class SessionConfig:
    """The options of a session.

    :param validate_key: one key, or a list with the primary key first and then the fallback keys. It authenticates
        tokens. A key has at least 32 random bytes. It can be bytes, a str in hexadecimal, base64 or base64url
        (``python -m sealedsession keygen`` prints one), ``env:NAME``, or ``file:PATH``.
    :param encrypt_key: as many keys as `validate_key`, in the same forms. It encrypts tokens. With None, tokens are
        only signed, and clients can read them. If the option is missing, the config logs a warning about this.
    :param keyring: a JSON keyring, which replaces both keys: ``file:PATH`` or ``env:NAME``. A file is read again when
        it changes.
    :param name: the cookie's name. None means ``__Host-Http-session``; with ``httponly=False``, ``__Host-session``; and
        ``sealed-session`` if ``secure=False``, `domain` or another `path` rules out the prefix. The name is part of the
        seal, so changing it ends all sessions.
    :param path: see `CookiePolicy`, also for `domain`, `secure`, `httponly`, `samesite` and `partitioned`.
    :param persistent: whether a closed browser keeps the cookies of new sessions. Max-Age is then the
        remaining lifetime of the session. ``session.persistent`` overrides this for one session.
    :param lifetimes: ``aal1``, ``aal2`` or ``aal3``. It sets both timeouts to those of a level of NIST SP 800-63B-4.
    :param idle_timeout: seconds after which an unused session ends, or None. The seal enforces it. OWASP ASVS 5.0,
        7.3.1, requires it.
    :param absolute_timeout: seconds from its creation after which a session ends, or None. The seal enforces it. OWASP
        ASVS 5.0, 7.3.2, requires it. Only one of the two timeouts can be None.
    :param refresh_interval: seconds after which an accessed but unchanged session is sealed again, so that its idle
        timeout starts again. At most a tenth of `idle_timeout`. 0 means at every access. None means that tenth, but
        at least 1 second and at most 1 hour.
    :param leeway: seconds by which the clocks of servers may differ, 0 to 600.
    :param revocation: the store of revoked sessions: a `RevocationStore`, ``memory``, ``sqlite:PATH`` or
        ``redis://...``. With None, a copy of a cookie stays valid until its timeouts. ``memory`` makes a new store for
        each config, also for a copy by ``dataclasses.replace``. To share a store in memory, pass a `MemoryStore`.
    :param on_store_error: whether to ``reject`` or ``allow`` sessions while the store fails.
    :param compress: whether to deflate sessions if this makes them shorter. Their length then reveals something about
        their content.
    :param pad: the number of bytes, 2 to 255, to a multiple of which sessions are padded, so that their length reveals
        less; or 0.
    :param binding: a function of the environ or scope that returns bytes, or None. A cookie is accepted only from a
        request for which it returns the same bytes.
    :param token_cache: how many unsealed tokens and their contents are kept in memory, so that a repeated cookie costs
        less: 2 to 100,000, or 0.
    :param on_event: a function that is called with every `Event`, or None.
    :param oversize: what to do if the cookie would exceed 4096 bytes: ``raise`` a `CookieTooLargeError`; ``keep`` the
        previous cookie and log an error; or call a function with the session and the error, once, to trim the session.
    :param serializer: ``pickle``, the allow-list pickle, or ``json``, tagged JSON. Both have the same values and
        limits.
    :param accept_serializers: the serializers whose sessions are accepted. None means only `serializer`. To change the
        serializer, deploy three times: accept both; write the new one; after `absolute_timeout`, accept only that one.
    :param registry: the types, in addition to the built-in ones, of values in sessions.
    :param limits: see `Limits`.
    :param save_on_error: whether to save changes with responses of status 500 and above.
    :param cache_control: the Cache-Control header of responses with Set-Cookie, unless the application sets one; or
        None.
    :param environ_key: the key of the session in a WSGI environ.
    :param scope_key: the key of the session in an ASGI scope.
    :param clock: a function that returns the time in seconds since 1970.
    :raises ConfigError: if an option is invalid. Its traceback has no frames of this package, because their local
        variables contain keys.

    The attributes keep the user's values, except that `validate_key` and `encrypt_key` do not show the keys.
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
        # Not a field, so that asdict() and replace() see only the options.
        object.__setattr__(self, "_derived", _Derived(keys, cookie, timeouts, store, events))
        if self.keyring is None:  # asdict() and similar functions must not return the keys
            object.__setattr__(self, "validate_key", keys)
            object.__setattr__(self, "encrypt_key", keys)

    @property
    def keys(self) -> Keyring | KeyringFile:
        """The keyring: `validate_key` and `encrypt_key`, or `keyring`."""
        return self._get_derived().keys

    @property
    def cookie(self) -> CookiePolicy:
        """The name and the attributes of the cookie."""
        return self._get_derived().cookie

    @property
    def timeouts(self) -> Timeouts:
        """The timeouts: `lifetimes`, `idle_timeout`, `absolute_timeout` and `refresh_interval`."""
        return self._get_derived().timeouts

    @property
    def store(self) -> RevocationStore | None:
        """The revocation store that `revocation` names, or None."""
        return self._get_derived().store

    @property
    def events(self) -> Events:
        """The object that logs and calls `on_event`."""
        return self._get_derived().events

    @classmethod
    def from_kwargs(cls, options: Mapping[str, Any]) -> Self:
        """Make a config from keyword arguments. For an unknown option, the error suggests a known one.

        :raises ConfigError: if an option is unknown or invalid.
        """
        for option in options:
            refuse_unknown(option, option, _HINTS)
        return cls(**options)

    @classmethod
    def from_arguments(cls, config: Self | None, options: Mapping[str, Any]) -> Self:
        """Return a middleware's config, which is passed as an object or as separate options.

        :raises ConfigError: if both are passed, or an option is unknown or invalid.
        """
        if config is None:
            return cls.from_kwargs(options)
        if not isinstance(config, cls):
            raise ConfigError(
                f"config: it must be a {cls.__name__}{got(config)}. Pass a dict of options as keyword arguments: "
                "SessionMiddleware(app, **options)"
            )
        if options:
            raise ConfigError(f"config and {', '.join(options)} are both passed. Set the options in the config")
        return config

    @classmethod
    @without_own_frames
    def from_mapping(cls, mapping: Mapping[str, object], prefix: str = "session.") -> Self:
        """Make a config from strings, such as those of an ini section.

        In a list of keys, each key has its own line. ``none`` is None. Booleans are true, yes, on and 1, or false, no,
        off and 0. Values that are not strings are used unchanged.

        :param mapping: the options. It must contain nothing else.
        :param prefix: an optional prefix of the names in the mapping.
        :raises ConfigError: if an option is unknown, invalid, or set twice (with and without the prefix).
        """
        options: dict[str, Any] = {}
        for key, value in mapping.items():
            option = key.removeprefix(prefix)
            if option in options:
                raise ConfigError(f"{option}: it is set twice, with and without the prefix {prefix!r}. Delete one")
            refuse_unknown(option, key, _HINTS)
            options[option] = _parse_text(option, value, _kinds(_HINTS[option])) if isinstance(value, str) else value
        return cls(**options)

    def bind(self, request: Any) -> bytes:
        """Return the bytes to which the cookie of a request is bound, or ``b""`` without the option `binding`.

        :param request: the environ or scope.
        :raises TypeError: if the function returns another type than bytes.
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
                number = f", {_whole_number(option)}" if int in kinds else ""
                if option == "samesite" and value is None:
                    raise ConfigError("samesite: it must be a str, got None. Did you mean 'None'? The default is 'Lax'")
                raise ConfigError(f"{option}: it must be {expected}{number}{got(value)}")
        for option in ("clock", "binding", "on_event"):
            value, or_none = getattr(self, option), types.NoneType in _kinds(_HINTS[option])
            if not callable(value) and not (value is None and or_none):
                expected = "a function or None" if or_none else "a function"
                raise ConfigError(f"{option}: it must be {expected}{got(value)}")
            if iscoroutinefunction(value) or iscoroutinefunction(type(value).__call__):
                raise ConfigError(f"{option}: it must not be an async function, because its result is not awaited")

    def _check_times(self) -> Timeouts:
        timeouts = resolve_timeouts(self.lifetimes, self.idle_timeout, self.absolute_timeout)
        refresh = self.refresh_interval
        if refresh is not None and refresh < 0:
            raise ConfigError(f"refresh_interval={refresh}: it must be 0 or more seconds")
        if timeouts.idle not in (None, DEFAULT_IDLE) and timeouts.idle > (timeouts.absolute or timeouts.idle):
            raise ConfigError(
                f"idle_timeout={timeouts.idle}: it is longer than absolute_timeout={timeouts.absolute}, so it has no "
                "effect. Shorten it, or remove it"
            )
        if not 0 <= self.leeway <= 600:
            raise ConfigError(
                f"leeway={self.leeway}: it must be 0 to 600 seconds. It is meant for inexact clocks, not for time zones"
            )
        if refresh is None:
            refresh = max(1, min(HOUR, (timeouts.idle or 10 * HOUR) // 10))
        elif timeouts.idle is not None and refresh * 10 > timeouts.idle:
            raise ConfigError(
                f"refresh_interval={refresh}: it is more than a tenth of idle_timeout={timeouts.idle}, so users would "
                "be signed out early. Shorten it, or remove it"
            )
        return replace(timeouts, refresh=refresh)

    def _check_rest(self) -> None:
        if self.oversize not in ("raise", "keep") and not callable(self.oversize):
            shown = f", got {self.oversize!r}" if isinstance(self.oversize, str) else got(self.oversize)
            raise ConfigError(f"oversize: it must be 'raise', 'keep' or a function of session and error{shown}")
        if iscoroutinefunction(self.oversize) or iscoroutinefunction(type(self.oversize).__call__):
            raise ConfigError("oversize: it must not be an async function, because its result is not awaited")
        self._check_serializers()
        self._check_revocation()
        if self.pad != 0 and not 2 <= self.pad <= 255:
            raise ConfigError(f"pad={self.pad}: it must be 2 to 255 bytes, or 0 for none")
        if self.token_cache != 0 and not 2 <= self.token_cache <= _TOKENS_MAX:
            raise ConfigError(f"token_cache={self.token_cache}: it must be 2 to {_TOKENS_MAX} tokens, or 0 for none")
        if self.cache_control is not None and not _is_header_value(self.cache_control):
            raise ConfigError(
                "cache_control: it must be the value of a header, in printable ASCII, such as 'no-store', or None"
            )
        if "." not in self.environ_key.strip("."):
            raise ConfigError(
                f"environ_key={self.environ_key!r}: it must contain a dot, because PEP 3333 reserves other names for "
                "CGI. Use a name such as 'myapp.session'"
            )
        if not self.scope_key:
            raise ConfigError("scope_key: it must not be empty. Remove it, or use a name such as 'admin_session'")

    def _check_revocation(self) -> None:
        if self.revocation is not None and not isinstance(self.revocation, RevocationStore | str):
            raise ConfigError(
                f"revocation: it must be a RevocationStore, a str that names one, or None{got(self.revocation)}"
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
                    f"serializer={self.serializer!r}: it is not in accept_serializers, so its sessions would be "
                    "refused. Add it there, or remove accept_serializers"
                )
        if type(self.registry) is not Registry:
            raise ConfigError(f"registry: it must be a Registry{got(self.registry)}. Pass it in code")
        if type(self.limits) is not Limits:
            raise ConfigError(f"limits: it must be Limits{got(self.limits)}. Pass it in code, as Limits(size=2048)")


class _Derived(NamedTuple):
    keys: Keyring | KeyringFile
    cookie: CookiePolicy
    timeouts: Timeouts
    store: RevocationStore | None
    events: Events


def _is_header_value(text: str) -> bool:
    return text.isascii() and text.isprintable() and bool(text.strip())


# The options and their types.
_HINTS = typing.get_type_hints(SessionConfig)


def _kinds(hint: Any) -> tuple[type, ...]:
    """Return the types of an option's values: those of its annotation."""
    if typing.get_origin(hint) is Literal:
        return (type(typing.get_args(hint)[0]),)
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return tuple(dict.fromkeys(kind for each in typing.get_args(hint) for kind in _kinds(each)))
    return (hint,)


_KINDS: dict[str, tuple[type, ...]] = {
    name: _kinds(hint)
    for name, hint in _HINTS.items()
    if {str, int, bool, types.NoneType}.issuperset(_kinds(hint))  # the other options have their own checks
}
