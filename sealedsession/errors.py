"""Every error that leaves this package, under one root.

The branch says whose fault it is and when it shows:

* `ConfigError`: the operator's, at start. The process should not come up.
* `SealError`: the application's, while a response is being made and before its headers go out.
* `UnsealError`: the client's token. It leaves `Sealer.unseal`, the serializers' `loads` and `StateSealer`,
  and never leaves the session middlewares: a bad cookie gives a new, empty session.
* `StateError`: the client's call to an object in sealed state. state/middleware.py makes responses of these.
* `StoreError`: the revocation store's. It never leaves the middlewares either.

A message says what happened, names the option, key or path, and ends with what to do.
No message of ours holds a key, a token or a session value; an encoder of yours may say what it likes.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import wraps
from types import TracebackType
from typing import Literal, ParamSpec, TypeVar

Reason = Literal[
    "malformed",  # not a token of ours: alphabet, length, version
    "unknown_key",  # sealed by a key that this process does not have
    "bad_signature",  # tampered with, or made for another purpose
    "expired_idle",
    "expired_absolute",
    "from_the_future",  # clocks differ by more than the leeway
    "other_serializer",  # the option accept_serializers does not list the token's serializer
    "forbidden_value",  # the signature is right and the content is not: our bug or a stolen key
    "revoked",
    "store_error",  # the revocation store did not answer, and the option on_store_error is "reject"
]

# What may be right for another server or in a moment, or have a successor on its way: the browser keeps its cookie.
RETRYABLE_REASONS: frozenset[Reason] = frozenset(
    ("unknown_key", "from_the_future", "other_serializer", "revoked", "store_error")
)


Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def got(value: object) -> str:
    """Return ``", got a <type>"`` for an error message. Never include the value: it may be a key."""
    name = type(value).__name__
    return f", got {'an' if name[:1] in 'aeiouAEIOU' else 'a'} {name}"


def drop_own_frames(error: BaseException) -> None:
    """Remove this package's frames from the tracebacks of an error and of its causes.

    Local variables of those frames may hold keys or session values, and error trackers record local variables. If
    this package raised an error that is not one of its own classes, a note on the error names the module and the line.

    Call this where the error leaves the package. A bare ``raise`` after the call does not add the frame again.
    """
    errors, seen = [error], set[int]()
    while errors:
        current = errors.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        kept, last_dropped = _split_frames(current.__traceback__)
        if (
            last_dropped is not None
            and not isinstance(current, SealedSessionError)
            and not hasattr(current, "__notes__")
        ):
            with suppress(Exception):  # an exception class may refuse it, such as a frozen dataclass
                current.add_note(f"Raised in {_module(last_dropped)}, line {last_dropped.tb_lineno}")
        traceback = None
        for entry in reversed(kept):
            traceback = TracebackType(traceback, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
        current.with_traceback(traceback)  # which works for classes too that let no attribute be set
        errors += [linked for linked in (current.__cause__, current.__context__) if linked is not None]
        if isinstance(current, BaseExceptionGroup):
            errors += current.exceptions


def _split_frames(traceback: TracebackType | None) -> tuple[list[TracebackType], TracebackType | None]:
    """Return the entries of other packages, and the last entry if it belongs to this package, or else None."""
    kept, last_dropped = [], None
    while traceback is not None:
        last_dropped = None
        if _module(traceback).partition(".")[0] == "sealedsession":
            last_dropped = traceback
        else:
            kept.append(traceback)
        traceback = traceback.tb_next
    return kept, last_dropped


def _module(entry: TracebackType) -> str:
    return str(entry.tb_frame.f_globals.get("__name__"))


def without_own_frames(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Decorate a function that handles secrets, so that the tracebacks of its errors have no frames of this package."""

    @wraps(function)
    def calling(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            drop_own_frames(error)
            raise

    return calling


def init_without_own_frames(cls: type[Result]) -> type[Result]:
    """Decorate a class whose generated ``__init__`` receives keys, as `without_own_frames` decorates a function."""
    cls.__init__ = without_own_frames(cls.__init__)  # type: ignore[method-assign]
    return cls


class SealedSessionError(Exception):
    """Root of all errors of this package."""


class ConfigError(SealedSessionError, ValueError):
    """An option is missing, unknown, of the wrong type or in conflict with another one.

    Raised at start; and where a session is to be revoked and no store was configured.
    """


class SealError(SealedSessionError):
    """A session or a state cannot be stored. The browser keeps the cookie it has, and the page its state."""


def _largest(by_key: Mapping[object, int]) -> str:
    return ", ".join(f"{repr(key)[:60]} {count} bytes" for key, count in list(by_key.items())[:5]) or "none"


class CookieTooLargeError(SealError, ValueError):
    """The sealed session does not fit the bytes that a browser keeps for a cookie (RFC 6265bis, 5.7).

    :param name: the cookie's name.
    :param size: bytes of name and value on the wire; at least that many where the session is far too large.
    :param limit: bytes that a browser keeps, 4096.
    :param by_key: for every top-level key of the session the bytes it adds on the wire, largest first. Flash messages,
        the secret of CSRF tokens and ends of values are among them, as members of `OwnPart`.
    """

    def __init__(self, name: str, size: int, limit: int, by_key: Mapping[object, int]) -> None:
        super().__init__(name, size, limit, by_key)
        self.name = name
        self.size = size
        self.limit = limit
        self.by_key = by_key

    def __str__(self) -> str:
        return (
            f"session cookie {self.name!r} would take {self.size} bytes, and browsers drop a cookie over {self.limit}. "
            f"Largest keys: {_largest(self.by_key)}. Nothing was sent and the browser keeps the session it had: "
            "store large values elsewhere and keep a reference to them in the session, "
            "or set oversize= to a function that trims it."
        )


class NotSerializableError(SealError, TypeError):
    """A value in a session, or in a state, is of a type that cannot be stored.

    :param path: where it is, as Python would write it: ``session['cart'][3]['price']``, ``Order.lines[3]``.
    :param kind: its type, kept as the attribute ``type``, or None where the fault is not the type's.
    :param problem: what is wrong with it, and what to do.
    """

    def __init__(self, path: str, kind: type | None, problem: str) -> None:
        super().__init__(path, kind, problem)
        self.path = path
        self.type = kind

    def __str__(self) -> str:
        return f"{self.args[0]}: {self.args[2]}"


class SessionClosedError(SealError, RuntimeError):
    """The session was changed, or asked for an id or CSRF token that it lacked, after the response headers had gone."""


class StoreError(SealedSessionError):
    """A revocation store did not do what it was asked: it is down, hangs, is full, or answers garbage.

    It never leaves the middleware, where the option ``on_store_error`` says what happens.
    """


class UnsealError(SealedSessionError):
    """A token or its content was refused.

    :param reason: why the token was refused: one of `Reason`. These values are stable.
    :param detail: for the log: what was found. Never a key, a token or a session value.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason: Reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


class StateTooLargeError(SealError):
    """A sealed state would be larger than the option ``max_size`` of its `StateSealer` allows, or than can be read.

    :param size: bytes that it would have, sealed; or before that, where it is too large to be tried.
    :param limit: bytes that it may have.
    :param by_key: for every attribute or top-level key the bytes it takes before it is compressed, largest first.
    """

    def __init__(self, size: int, limit: int, by_key: Mapping[object, int]) -> None:
        super().__init__(size, limit, by_key)
        self.size = size
        self.limit = limit
        self.by_key = by_key

    def __str__(self) -> str:
        return (
            f"a sealed state would take {self.size} bytes, and {self.limit} is the most. Largest parts, before "
            f"compression: {_largest(self.by_key)}. Set them during load, which leaves them out, or keep a reference "
            "to what is stored elsewhere."
        )


class StateError(SealedSessionError):
    """A call to an object in sealed state cannot be carried out.

    :cvar reason: names the error in the response's JSON, for programs.
    """

    reason = "BadCall"


class StaleStateError(StateError):
    """What a state refers to is gone, or it is of a class that has changed since: the page has to be loaded again."""

    reason = "StaleState"


class NotPublicError(StateError):
    """A client called a method that there is not, or that is not marked as public. The two look alike to it."""

    reason = "NotPublic"
