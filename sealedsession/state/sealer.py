"""Sealed state: what a page needs at its next call travels in the page, sealed, and comes back with the call.

It is the sealer of sessions, with other rules around it:

1. The subkeys are those of one session and one user: a token opens for nobody else, nor after signing in as another.
2. A token may be as long as `max_size` says. A state over 1 KiB is deflated where that makes it shorter.
3. A token is for one class of objects, or for plain values of one purpose. It does not say which element of a page it
   belongs to: a user can swap two tokens of one kind, or send an older one again, until `max_age` is over. What must
   happen once needs a database.
4. A class goes by the code under which it was registered, and by nothing else.
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
from sealedsession.state.resumable import Resumable, State, check_resumable, resume


class ResumableClasses:
    """Classes by code, and codes by class."""

    def __init__(self) -> None:
        self._classes: dict[str, type[Resumable]] = {}
        self._codes: dict[type, str] = {}

    def add(self, cls: object, code: str | None) -> None:
        """Add a class.

        :param code: or None for its name.
        :raises ConfigError: when it is not a `Resumable` that can be resumed, or class or code are taken.
        """
        if isinstance(cls, str):
            raise ConfigError(
                f"register() takes a class, and {cls!r} was given: a code stands behind it, register(cls, {cls!r}), or "
                f"by name in a decorator, register(code={cls!r})"
            )
        if not (isinstance(cls, type) and issubclass(cls, Resumable)):
            raise ConfigError(f"{cls!r} is not a subclass of Resumable: nothing else can be resumed")
        name = cls.__qualname__
        check_resumable(cls)
        code = name if code is None else code
        if type(code) is not str or not code:
            raise ConfigError(f"the code of {name} has to be a str, and not an empty one")
        if cls in self._codes:
            raise ConfigError(f"{name} is registered already, with the code {self._codes[cls]!r}")
        if code in self._classes:
            raise ConfigError(
                f"{code!r} is the code of {self._classes[code]!r}: give {cls!r} another one, such as "
                f"register({name}, 'another-{code}')"
            )
        self._classes[code], self._codes[cls] = cls, code

    def code_of(self, target: Resumable) -> str:
        """The code of an object's class.

        :raises NotSerializableError: when it has none.
        """
        code = self._codes.get(type(target))
        if code is None:
            name = type(target).__qualname__
            problem = "its class is not registered: put register above it, as a decorator"
            raise NotSerializableError(name, type(target), problem)
        return code

    def find(self, code: str) -> type[Resumable] | None:
        """The class that a code stands for now, if any."""
        return self._classes.get(code)

    def of(self, code: str) -> type[Resumable]:
        """The class that a code stands for.

        :raises StaleStateError: when there is none.
        """
        cls = self.find(code)
        if cls is None:
            raise StaleStateError(f"a state of the class {code[:60]!a}, which is not registered any more")
        return cls


DAY = 24 * 3600  # seconds
MAX_SIZE = 64 * 1024  # characters of a token; a state that is read has at most as many bytes
_LEAST_SIZE = 256  # characters: under that, only what is next to nothing fits


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
    """Check all options but the keys."""
    if type(max_age) is not int or not 0 < max_age < 2**32:
        raise ConfigError("max_age has to be an int of seconds, 1 to 2**32 - 1")
    if not isinstance(registry, Registry):
        raise ConfigError(f"registry has to be a Registry or StateRegistry{got(registry)}")
    if type(compress) is not bool:
        raise ConfigError(f"compress has to be True or False{got(compress)}")
    if type(max_size) is not int or not _LEAST_SIZE <= max_size <= MAX_SIZE:
        raise ConfigError(f"max_size has to be an int of characters, {_LEAST_SIZE} to {MAX_SIZE}")
    # In the purpose of the keys it stands between colons.
    if type(name) is not str or not name or ":" in name or not name.isascii():
        raise ConfigError("name has to be a str of ASCII characters, not empty and without a colon")
    if type(leeway) is not int or not 0 <= leeway <= 600:
        raise ConfigError("leeway has to be an int of seconds, 0 to 600: it covers differing clocks, not time zones")
    if on_event is not None and not callable(on_event):
        raise ConfigError(f"on_event has to be a function of an event{got(on_event)}")
    if not callable(clock):
        raise ConfigError(f"clock has to be a function that gives seconds{got(clock)}")


def resolve_keys(
    validate_key: Any, encrypt_key: Any, keyring: Any, events: Events, clock: Callable[[], float]
) -> Keyring | KeyringFile:
    """The keys that the options name, with which tokens are encrypted."""
    if keyring is None:
        pair = {"validate_key": validate_key, "encrypt_key": encrypt_key}
        for option, key in pair.items():
            if not isinstance(key, str | bytes | list | tuple | None):
                raise ConfigError(
                    f"{option} has to be a key or a list of keys (str or bytes){got(key)}. "
                    "A StateSealer takes keys as a SessionConfig does, and no config"
                )
        if missing := [option for option, key in pair.items() if key is None]:
            verb = "is" if len(missing) == 1 else "are"
            raise ConfigError(
                f"{' and '.join(missing)} {verb} missing: state is always encrypted; "
                "make each with: python -m sealedsession keygen"
            )
        return Keyring(validate_key, encrypt_key)
    if validate_key is not None or encrypt_key is not None:
        raise ConfigError("keyring is given, and validate_key or encrypt_key too: a keyring holds all keys")
    keys = keyring_from_source(keyring, events.keyring)
    if keys.current(int(clock())).pairs[0].encrypt is None:
        raise ConfigError("keyring has keys without an encrypt_key: state is always encrypted")
    return keys


SCRIPT = Path(__file__).parent / "static" / "sealedsession" / "sealed_state.js"  # the browser's part

_SEALERS = 1024  # sessions whose subkeys are kept; to derive them takes as long as to seal
# Bytes of a state, up to which it is not deflated: that and inflating take as long as all the rest, at any level, as
# zlib spends most of it on setting itself up. It would save a few hundred characters of a page.
_SMALL = 1024
_CALL = 4  # bytes of a call for each character that a token may have: 256 KiB by default


class StateSealer:
    """Seals values, and resumable objects, for one session and one user at a time. Threads can share it.

    :param validate_key: and encrypt_key, as for sessions: a key or a list of keys, primary first; or else
    :param keyring: ``file:PATH`` or ``env:NAME``, as for sessions.
    :param max_age: seconds for which a token is accepted.
    :param registry: the types, besides the built-in ones, that state can hold.
    :param compress: deflate what is over 1 KiB, where that makes it shorter (see CRIME and BREACH before use).
    :param max_size: characters that a token may have, up to 65,536.
    :param name: part of the purpose of the subkeys: sealers of different names do not open each other's tokens.
    :param leeway: seconds by which the clocks of two machines may differ.
    :param on_event: a function that gets every `Event`.
    :param clock: seconds since 1970.
    :raises ConfigError: for every mistake in them.
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
        def sealer_of(session_id: str, user: str) -> Sealer:
            # The length says where the id ends, so that no two pairs make the same purpose.
            return Sealer(
                self._keys,
                f"state:{name}:{len(session_id)}:{session_id}{user}",
                idle_timeout=max_age,
                leeway=leeway,
                max_length=max_size,
                compress=compress,
                level=1,  # a page has the room; the last tenth of the bytes would take half as long again
                deflate_over=_SMALL,
                clock=clock,
            )

        self._sealer_of = sealer_of

    @overload
    def register(self, cls: type[State], code: str | None = None) -> type[State]: ...
    @overload
    def register(self, *, code: str) -> Callable[[type[State]], type[State]]: ...
    def register(self, cls: Any = None, code: str | None = None) -> Any:
        """Let objects of a class be resumed. It can stand as a decorator above the class, with ``(code=...)`` or bare.

        :param code: what the class is called in tokens, its name unless given. It may never be given to another class.
        :raises ConfigError: when it is not a `Resumable`, or class or code are registered already.
        """
        if cls is None and code is not None:
            return partial(self.register, code=code)
        self._classes.add(cls, code)
        return cls

    def seal(self, value: object, *, session_id: str, user: str = "", purpose: str = "") -> str:
        """Make a token of a plain value, or of an object of a registered class.

        :param session_id: whose it is, such as the id of a session. No secret.
        :param user: the name of who is signed in, or nothing.
        :param purpose: what a plain value is for, such as ``"basket"``. Only `unseal` with the same purpose opens it.
            An object has none: its class stands for it.
        :raises NotSerializableError: naming the path of the value that cannot be stored.
        :raises StateTooLargeError: when the token would be longer than ``max_size``.
        """
        sealer = self._sealer_of(*_owner(session_id, user))
        _check_purpose(purpose)
        code = self._classes.code_of(value) if isinstance(value, Resumable) else None
        if code is not None and purpose:
            raise TypeError(f"purpose is for plain values, and {type(value).__qualname__} is a Resumable: leave it out")
        try:
            token = sealer.seal(self._payload_format.dumps(value, code, purpose), created=int(self._clock()))
            if len(token) > self._max_size:
                raise StateTooLargeError(len(token), self._max_size, self._payload_format.sizes(value))
        except StateTooLargeError as error:
            self._events.too_large(error, _sid(session_id))
            raise
        if self._events.has_hook:
            self._events.emit("sealed", sid=_sid(session_id), size=len(token))
        return token

    def unseal(self, token: str, *, session_id: str, user: str = "", purpose: str = "") -> Any:
        """Open a token that holds a plain value. `resume` opens those that hold an object.

        :param purpose: what the value was sealed for.
        :raises UnsealError: with the reason code of what is wrong with the token; ``bad_signature``, for another
            purpose and for an object.
        :raises StaleStateError: when what it refers to is gone.
        """
        _check_purpose(purpose)
        try:
            return self._open(token, session_id, user, None, purpose)[1]
        except StateError as error:
            self._events.not_called(error, _sid(session_id))
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
        """Open a token that holds an object.

        :param cls: what the object has to be an instance of.
        :param args: instead of the arguments that `load` had; ``kwargs`` are those by name, put over the ones it had.
        :raises UnsealError: with the reason code of what is wrong with the token; ``bad_signature``, for another class.
        :raises StaleStateError: when what it refers to is gone.
        """
        try:
            content = self._open(token, session_id, user, cls)
            return self._resumed(content, args, kwargs)
        except StateError as error:
            self._events.not_called(error, _sid(session_id))
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

        :param body: bytes of JSON: ``{"token": str, "method": str, "args": list}``, with the token first, of at most 4
            times ``max_size`` bytes. It is parsed after the token was opened.
        :param cls: and the rest, as in `resume`.
        :returns: JSON: ``{"token": str, "result": ...}``, with what the method returned.
        :raises StateError: and UnsealError, as in `resume` and `Resumable.call`, and for a body that is not the above.
        :raises TypeError: when the method returned what is no JSON.
        """
        try:
            content = self._open(read_token(body, _CALL * self._max_size), session_id, user, cls)
            call = read_call(body)
            target = self._resumed(content, args, kwargs)
            result = target.call(call.method, *call.args)
        except StateError as error:
            self._events.not_called(error, _sid(session_id))
            raise
        name = f"{type(target).__qualname__}.{call.method}"
        if inspect.iscoroutine(result):
            result.close()
            raise TypeError(f"{name} is async, and handle() cannot await: use resume(), await call(), and seal()")
        return write_answer(self.seal(target, session_id=session_id, user=user), name, result)

    def _open(
        self, token: str, session_id: str, user: str, cls: type[Resumable] | None, purpose: str = ""
    ) -> list[Any]:
        """Read the content of a token.

        :param cls: the class of the object that it must hold, or None for a plain value of a purpose.
        """
        sealer = self._sealer_of(*_owner(session_id, user))
        try:
            if not isinstance(token, str):
                raise UnsealError("malformed", f"a {type(token).__name__} for a token")
            content = self._payload_format.loads(_payload(sealer, token))
            if cls is None:
                _check_plain(content, purpose)
            else:
                self._check_class(content, cls)
        except UnsealError as error:
            self._events.rejected(error, _sid(session_id))
            raise
        if self._events.has_hook:
            self._events.emit("opened", sid=_sid(session_id))
        return content

    def _check_class(self, content: list[Any], cls: type[Resumable]) -> None:
        """Refuse a plain value, and an object of another class. `_resumed` handles an unknown class, which is stale."""
        if content[0] is None:
            raise UnsealError("bad_signature", f"a plain value, where {cls.__qualname__} is expected")
        known = self._classes.find(content[0])
        if known is not None and not issubclass(known, cls):
            raise UnsealError("bad_signature", f"a state of {known.__qualname__}, where {cls.__qualname__} is expected")

    def _resumed(self, content: list[Any], args: Sequence[Any] | None, kwargs: dict[str, Any] | None) -> Resumable:
        code, sealed_args, sealed_kwargs, state = content
        return resume(
            self._classes.of(code), sealed_args if args is None else args, {**sealed_kwargs, **(kwargs or {})}, state
        )

    def _hash_key(self) -> bytes:
        return self._keys.current(int(self._clock())).derive("events")[0].mac


def _payload(sealer: Sealer, token: str) -> bytes:
    try:
        return sealer.unseal(token.encode("latin-1", "replace")).payload
    except UnsealError as error:
        if error.reason != "bad_signature":
            raise
        detail = "a token of another session, user or sealer's name, or one that was tampered with"
        raise UnsealError(error.reason, detail) from None


def _check_purpose(purpose: object) -> None:
    if not isinstance(purpose, str):
        raise TypeError(f"purpose has to be a str{got(purpose)}")


def _check_plain(content: list[Any], purpose: str) -> None:
    """Refuse an object, and a plain value of another purpose."""
    if content[0] is not None:
        raise UnsealError("bad_signature", f"an object of the class {content[0][:60]!a}, where a value is expected")
    sealed_for = content[2] if len(content) == 3 else ""
    if sealed_for != purpose:
        raise UnsealError("bad_signature", f"a value for {sealed_for[:60]!a}, and not for {purpose[:60]!a}")


def _owner(session_id: object, user: object) -> tuple[str, str]:
    """Refuse what is no owner: a session that has no id yet would share its tokens with all others that have none."""
    if type(session_id) is str and type(user) is str and session_id:
        return session_id, user
    for name, value in (("session_id", session_id), ("user", user)):
        if not isinstance(value, str):
            raise TypeError(f"{name} has to be a str{got(value)}")
    if not session_id:
        raise ValueError("session_id is empty: state belongs to a session, such as session.id")
    return str(session_id), str(user)


def _sid(session_id: str) -> bytes:
    """What names a session in events: the same as in its own events, where the id is one of ours."""
    try:
        return bytes.fromhex(session_id)
    except ValueError:
        return session_id.encode("utf-8", "surrogatepass")
