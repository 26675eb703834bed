"""`StateSealer` seals the state of an element into a token. The page holds the token, and sends it with each call.

It uses the same sealer as sessions, with these rules:

1. The subkeys belong to one session and one user. Another session or user cannot open the token, nor can the same
   client after signing in as somebody else.
2. A token is limited to `max_size` characters. State over 1 KiB is deflated if that makes it shorter.
3. A token belongs to one class of objects, or to plain values with one purpose. It does not name an element of the
   page: until `max_age` is over, a user can swap two tokens of one kind, or send an older one again. Whatever must
   happen only once needs a database.
4. A token names a class by the code of its registration. No other class is looked up.
"""

import inspect
import time
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, overload

from sealedsession.errors import (
    ConfigError,
    NotSerializableError,
    StaleStateError,
    StateError,
    StateTooLargeError,
    UnsealError,
    got,
    without_own_frames,
)
from sealedsession.events import EventHook, Events
from sealedsession.sealing.keyring_file import KeyringFile, keyring_from_source
from sealedsession.sealing.keys import Keyring, KeySource
from sealedsession.sealing.sealer import Sealer
from sealedsession.serialization.registry import Registry, default_registry
from sealedsession.state.payload import StatePayload
from sealedsession.state.protocol import read_call, read_token, write_answer
from sealedsession.state.resumable import Resumable, State, check_resumable, restore

SCRIPT = Path(__file__).parent / "static" / "sealedsession" / "sealed_state.js"  # the browser module

DAY = 24 * 3600  # seconds
MAX_SIZE = 64 * 1024  # characters of a token; also bytes of a payload after inflating

_MIN_SIZE = 256  # characters: a smaller token has almost no room for content
_SEALERS = 1024  # sessions whose subkeys are cached; deriving them takes as long as sealing
# Bytes of a payload. Up to this size, deflating would save a few hundred characters, but zlib's setup, at any level,
# takes as long as everything else.
_DEFLATE_OVER = 1024
_CALL_FACTOR = 4  # bytes of a call for each character that a token may have: 256 KiB by default


class StateSealer:
    """Seals plain values and resumable objects, each for one session and one user. It is thread-safe.

    :param validate_key: a key or a list of keys, primary first, as for sessions.
    :param encrypt_key: as `validate_key`.
    :param keyring: ``file:PATH`` or ``env:NAME``, as for sessions, instead of the two keys.
    :param max_age: seconds for which a token is accepted, 1 to 2**32 - 1.
    :param registry: the supported types of values besides the built-in ones.
    :param compress: deflate state over 1 KiB if that makes it shorter. Read about CRIME and BREACH in the docs first.
    :param max_size: maximum length of a token, 256 to 65,536 characters.
    :param name: part of the purpose of the subkeys. Sealers with different names cannot open each other's tokens.
    :param leeway: tolerated difference between the clocks of two machines, 0 to 600 seconds.
    :param on_event: a function that is called with every `Event`.
    :param clock: a function that returns seconds since 1970.
    :raises ConfigError: if an option is invalid.
    """

    @without_own_frames
    def __init__(
        self,
        validate_key: KeySource | Sequence[KeySource] | None = None,
        encrypt_key: KeySource | Sequence[KeySource] | None = None,
        *,
        keyring: str | None = None,
        max_age: int = DAY,
        registry: Registry = default_registry,
        compress: bool = True,
        max_size: int = MAX_SIZE,
        name: str = "state",
        leeway: int = 60,
        on_event: EventHook | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        check_options(
            max_age=max_age,
            registry=registry,
            compress=compress,
            max_size=max_size,
            name=name,
            leeway=leeway,
            on_event=on_event,
            clock=clock,
        )
        self._events = Events(name, on_event, self._hash_key, "state")
        self._keys = resolve_keys(validate_key, encrypt_key, keyring, self._events, clock)
        self._clock = clock
        self._max_size = max_size
        self._classes = ResumableClasses()
        self._payload_format = StatePayload(registry)

        @lru_cache(_SEALERS)
        def get_sealer(session_id: str, user: str) -> Sealer:
            # The length separates the id from the user, so that two different pairs never make the same purpose.
            return Sealer(
                self._keys,
                f"state:{name}:{len(session_id)}:{session_id}{user}",
                idle_timeout=max_age,
                leeway=leeway,
                max_length=max_size,
                compress=compress,
                level=1,  # higher levels save a tenth of the bytes, and take 1.5 times as long
                deflate_over=_DEFLATE_OVER,
                clock=clock,
            )

        self._get_sealer = get_sealer

    @overload
    def register(self, cls: type[State], code: str | None = None) -> type[State]: ...
    @overload
    def register(self, *, code: str) -> Callable[[type[State]], type[State]]: ...
    def register(self, cls: Any = None, code: str | None = None) -> Any:
        """Allow objects of a class to be sealed and resumed. Use it as a function, or as a class decorator.

        :param code: identifies the class in tokens. Default: the name of the class. Never reuse a code for another
            class. A decorator takes it by name: ``@register(code="order")``.
        :returns: the class.
        :raises ConfigError: if this is not a subclass of `Resumable`, or class or code are registered already.
        """
        if cls is None and code is not None:
            return partial(self.register, code=code)
        self._classes.add(cls, code)
        return cls

    def seal(self, value: object, *, session_id: str, user: str = "", purpose: str = "") -> str:
        """Seal a plain value, or an object of a registered class.

        :param session_id: id of the session that the token belongs to. It need not be secret.
        :param user: name of the signed-in user, or an empty string.
        :param purpose: what a plain value is for, such as ``"basket"``. `unseal` needs the same purpose. An object has
            no purpose, because its token belongs to its class.
        :returns: the token.
        :raises NotSerializableError: if a value is not supported. The message names its path.
        :raises StateTooLargeError: if the token would be longer than ``max_size``.
        """
        sealer = self._get_sealer(*_check_owner(session_id, user))
        _check_purpose(purpose)
        code = self._classes.get_code(value) if isinstance(value, Resumable) else None
        if code is not None and purpose:
            name = type(value).__qualname__
            raise TypeError(f"purpose: is only for plain values{got(value)}. Seal a {name} without a purpose")
        try:
            token = sealer.seal(self._payload_format.dumps(value, code, purpose), created=int(self._clock()))
            if len(token) > self._max_size:
                raise StateTooLargeError(len(token), self._max_size, self._payload_format.measure(value))
        except StateTooLargeError as error:
            self._events.too_large(error, _encode_session_id(session_id))
            raise
        if self._events.has_hook:
            self._events.emit("sealed", session_id=_encode_session_id(session_id), size=len(token))
        return token

    def unseal(self, token: str, *, session_id: str, user: str = "", purpose: str = "") -> Any:
        """Open a token, and return its plain value. Use `resume` for the token of an object.

        :param purpose: the purpose that the value was sealed with.
        :raises UnsealError: if the token is refused. The reason is ``bad_signature`` for another purpose, and for the
            token of an object.
        :raises StaleStateError: if something that the value refers to no longer exists.
        """
        _check_purpose(purpose)
        try:
            return self._open(token, session_id, user, None, purpose)[1]
        except StateError as error:
            self._events.not_called(error, _encode_session_id(session_id))
            raise

    @overload
    def resume(
        self,
        token: str,
        *,
        session_id: str,
        user: str = "",
        args: Sequence[Any] | None = None,
        kwargs: dict[str, Any] | None = None,
    ) -> Resumable: ...
    @overload
    def resume(
        self,
        token: str,
        *,
        session_id: str,
        user: str = "",
        cls: type[State],
        args: Sequence[Any] | None = None,
        kwargs: dict[str, Any] | None = None,
    ) -> State: ...
    def resume(
        self,
        token: str,
        *,
        session_id: str,
        user: str = "",
        cls: type[Resumable] = Resumable,
        args: Sequence[Any] | None = None,
        kwargs: dict[str, Any] | None = None,
    ) -> Resumable:
        """Open a token, and return its object.

        :param cls: required class of the object.
        :param args: replace the sealed positional arguments of `load`.
        :param kwargs: update the sealed keyword arguments of `load`.
        :raises UnsealError: if the token is refused. The reason is ``bad_signature`` for another class.
        :raises StaleStateError: if something that the object refers to no longer exists.
        """
        try:
            content = self._open(token, session_id, user, cls)
            return self._restore(content, args, kwargs)
        except StateError as error:
            self._events.not_called(error, _encode_session_id(session_id))
            raise

    def handle(
        self,
        body: bytes,
        *,
        session_id: str,
        user: str = "",
        cls: type[Resumable] = Resumable,
        args: Sequence[Any] | None = None,
        kwargs: dict[str, Any] | None = None,
    ) -> bytes:
        """Answer a call of the browser module: resume the object, call its method, and seal it again.

        :param body: JSON such as ``{"token": "...", "method": "add", "args": []}``, with the token first, of at most 4
            times ``max_size`` bytes. The token is opened before the rest is parsed.
        :param cls: as in `resume`, like ``args`` and ``kwargs``.
        :returns: JSON: ``{"token": "...", "result": ...}``, with the result of the method.
        :raises StateError: if the body is not such a call, and as `resume` and `Resumable.call`.
        :raises UnsealError: as `resume`.
        :raises TypeError: if the method is async, or its result cannot be written as JSON.
        """
        try:
            content = self._open(read_token(body, _CALL_FACTOR * self._max_size), session_id, user, cls)
            call = read_call(body)
            target = self._restore(content, args, kwargs)
            result = target.call(call.method, *call.args)
        except StateError as error:
            self._events.not_called(error, _encode_session_id(session_id))
            raise
        name = f"{type(target).__qualname__}.{call.method}"
        if inspect.iscoroutine(result):
            result.close()
            raise TypeError(f"{name}: is async, and handle() does not await it. Use resume(), await call(), and seal()")
        return write_answer(self.seal(target, session_id=session_id, user=user), name, result)

    def _open(
        self, token: str, session_id: str, user: str, cls: type[Resumable] | None, purpose: str = ""
    ) -> list[Any]:
        """Return the content of a token.

        :param cls: required class of the object, or None for a plain value.
        :param purpose: required purpose of the plain value.
        """
        sealer = self._get_sealer(*_check_owner(session_id, user))
        try:
            if not isinstance(token, str):
                raise UnsealError("malformed", f"the token must be a str{got(token)}")
            content = self._payload_format.loads(_unseal_payload(sealer, token))
            if cls is None:
                _check_value(content, purpose)
            else:
                self._check_class(content, cls)
        except UnsealError as error:
            self._events.rejected(error, _encode_session_id(session_id))
            raise
        if self._events.has_hook:
            self._events.emit("opened", session_id=_encode_session_id(session_id))
        return content

    def _check_class(self, content: list[Any], cls: type[Resumable]) -> None:
        """Refuse a plain value, and an object of another class. An unknown class is stale: `_restore` handles it."""
        if content[0] is None:
            raise UnsealError("bad_signature", f"a plain value, where {cls.__qualname__} is expected")
        known = self._classes.find(content[0])
        if known is not None and not issubclass(known, cls):
            raise UnsealError("bad_signature", f"a state of {known.__qualname__}, where {cls.__qualname__} is expected")

    def _restore(self, content: list[Any], args: Sequence[Any] | None, kwargs: dict[str, Any] | None) -> Resumable:
        code, sealed_args, sealed_kwargs, state = content
        return restore(
            self._classes.get(code), sealed_args if args is None else args, {**sealed_kwargs, **(kwargs or {})}, state
        )

    def _hash_key(self) -> bytes:
        return self._keys.current(int(self._clock())).derive("events")[0].mac


class ResumableClasses:
    """The registered classes of a sealer and their codes."""

    def __init__(self) -> None:
        self._classes: dict[str, type[Resumable]] = {}
        self._codes: dict[type, str] = {}

    def add(self, cls: object, code: str | None) -> None:
        """Register a class.

        :param code: a non-empty str, or None for the name of the class.
        :raises ConfigError: if this is not a usable subclass of `Resumable`, or class or code are registered already.
        """
        if isinstance(cls, str):
            raise ConfigError(
                f"register: the first argument must be a class{got(cls)}. Pass a code second: register(cls, {cls!r}), "
                f"or by name in a decorator: register(code={cls!r})"
            )
        if not (isinstance(cls, type) and issubclass(cls, Resumable)):
            raise ConfigError(f"register: {cls!r} is not a subclass of Resumable. Derive the class from Resumable")
        name = cls.__qualname__
        check_resumable(cls)
        code = name if code is None else code
        if type(code) is not str or not code:
            raise ConfigError(f"register: the code of {name} must be a non-empty str{got(code)}")
        if cls in self._codes:
            raise ConfigError(f"register: {name} is registered already, with the code {self._codes[cls]!r}")
        if code in self._classes:
            raise ConfigError(
                f"register: {code!r} is the code of {self._classes[code]!r} already. Pass a different code for "
                f"{cls!r}, such as register({name}, 'another-{code}')"
            )
        self._classes[code], self._codes[cls] = cls, code

    def get_code(self, target: Resumable) -> str:
        """Return the code of an object's class.

        :raises NotSerializableError: if the class is not registered.
        """
        code = self._codes.get(type(target))
        if code is None:
            name = type(target).__qualname__
            problem = "its class is not registered. Decorate the class with the sealer's register"
            raise NotSerializableError(name, type(target), problem)
        return code

    def find(self, code: str) -> type[Resumable] | None:
        """Return the class with this code, or None."""
        return self._classes.get(code)

    def get(self, code: str) -> type[Resumable]:
        """Return the class with this code.

        :raises StaleStateError: if no class has it.
        """
        cls = self.find(code)
        if cls is None:
            raise StaleStateError(f"the class {code[:60]!a} is no longer registered")
        return cls


def check_options(
    *,
    max_age: object,
    registry: object,
    compress: object,
    max_size: object,
    name: object,
    leeway: object,
    on_event: object,
    clock: object,
) -> None:
    """Check all options of `StateSealer` except the keys.

    :raises ConfigError: if an option is invalid.
    """
    if type(max_age) is not int or not 0 < max_age < 2**32:
        raise ConfigError(f"max_age: must be an int of seconds, 1 to 2**32 - 1{got(max_age)}")
    if not isinstance(registry, Registry):
        raise ConfigError(f"registry: must be a Registry or StateRegistry{got(registry)}")
    if type(compress) is not bool:
        raise ConfigError(f"compress: must be True or False{got(compress)}")
    if type(max_size) is not int or not _MIN_SIZE <= max_size <= MAX_SIZE:
        raise ConfigError(f"max_size: must be an int of characters, {_MIN_SIZE} to {MAX_SIZE}{got(max_size)}")
    # Colons separate the name from the other parts of the purpose.
    if type(name) is not str or not name or ":" in name or not name.isascii():
        raise ConfigError(f"name: must be a non-empty str of ASCII characters without a colon{got(name)}")
    if type(leeway) is not int or not 0 <= leeway <= 600:
        raise ConfigError(
            f"leeway: must be an int of seconds, 0 to 600{got(leeway)}. It covers clock differences, not time zones"
        )
    if on_event is not None and not callable(on_event):
        raise ConfigError(f"on_event: must be a function that accepts an event{got(on_event)}")
    if not callable(clock):
        raise ConfigError(f"clock: must be a function that returns seconds{got(clock)}")


def resolve_keys(
    validate_key: Any, encrypt_key: Any, keyring: Any, events: Events, clock: Callable[[], float]
) -> Keyring | KeyringFile:
    """Return the keys of the options.

    :raises ConfigError: if a key is missing or invalid, or there is no encrypt_key: state is always encrypted.
    """
    if keyring is None:
        pair = {"validate_key": validate_key, "encrypt_key": encrypt_key}
        for option, key in pair.items():
            if not isinstance(key, str | bytes | list | tuple | None):
                raise ConfigError(
                    f"{option}: must be a key or a list of keys, each a str or bytes{got(key)}. Pass the keys of a "
                    "SessionConfig, not the config"
                )
        if missing := [option for option, key in pair.items() if key is None]:
            raise ConfigError(
                f"{' and '.join(missing)}: missing, and state is always encrypted. Make each key with: python -m "
                "sealedsession keygen"
            )
        return Keyring(validate_key, encrypt_key)
    if validate_key is not None or encrypt_key is not None:
        raise ConfigError("keyring: cannot be combined with validate_key or encrypt_key. A keyring holds all keys")
    keys = keyring_from_source(keyring, events.keyring)
    if keys.current(int(clock())).pairs[0].encrypt is None:
        raise ConfigError(
            "keyring: has no encrypt_key, and state is always encrypted. Add an encrypt_key to each entry"
        )
    return keys


def _unseal_payload(sealer: Sealer, token: str) -> bytes:
    try:
        return sealer.unseal(token.encode("latin-1", "replace")).payload
    except UnsealError as error:
        if error.reason != "bad_signature":
            raise
        detail = "a token of another session, user or sealer name, or a changed token"
        raise UnsealError(error.reason, detail) from None


def _check_purpose(purpose: object) -> None:
    if not isinstance(purpose, str):
        raise TypeError(f"purpose: must be a str{got(purpose)}")


def _check_value(content: list[Any], purpose: str) -> None:
    """Refuse an object, and a plain value with another purpose."""
    if content[0] is not None:
        raise UnsealError("bad_signature", f"an object of the class {content[0][:60]!a}, where a value is expected")
    sealed_for = content[2] if len(content) == 3 else ""
    if sealed_for != purpose:
        problem = f"a value with the purpose {sealed_for[:60]!a}, where {purpose[:60]!a} is expected"
        raise UnsealError("bad_signature", problem)


def _check_owner(session_id: object, user: object) -> tuple[str, str]:
    """Return session id and user.

    :raises TypeError: if one of them is not a str.
    :raises ValueError: if the session id is empty. All sessions without an id would share their tokens.
    """
    if type(session_id) is str and type(user) is str and session_id:
        return session_id, user
    for name, value in (("session_id", session_id), ("user", user)):
        if not isinstance(value, str):
            raise TypeError(f"{name}: must be a str{got(value)}")
    if not session_id:
        raise ValueError("session_id: is empty. State belongs to a session: pass an id such as session.id")
    return str(session_id), str(user)


def _encode_session_id(session_id: str) -> bytes:
    """Return the bytes that events hash. They are the same as in events of the session, if the id is one of ours."""
    try:
        return bytes.fromhex(session_id)
    except ValueError:
        return session_id.encode("utf-8", "surrogatepass")
