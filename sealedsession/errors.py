"""The errors of this package, with `SealedSessionError` as their root.

The class shows who caused an error, and when:

* `ConfigError`: the operator, at start. The process should not start.
* `SealError`: the application, while it makes a response and before its headers are sent.
* `UnsealError`: the client, with its token. `Sealer.unseal`, the serializers' `loads` and `StateSealer` raise it. The
  session middleware catches it, and opens a new, empty session instead.
* `StateError`: the client, with its call to an object in sealed state. The state middleware makes responses of these.
* `StoreError`: the revocation store. The middleware catches it.

A message names the option, key or path, describes the problem, and ends with the fix. It contains no key, token or
session value, unless it quotes the error of an application's own encoder.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import wraps
from types import TracebackType
from typing import Literal, ParamSpec, TypeVar

Reason = Literal[
    "malformed",  # invalid alphabet, length or version
    "unknown_key",  # sealed with a key that this process does not have
    "bad_signature",  # modified, or made for another purpose
    "expired_idle",
    "expired_absolute",
    "from_the_future",  # clocks differ by more than the leeway
    "other_serializer",  # the option accept_serializers does not list the token's serializer
    "forbidden_value",  # the signature is valid but the content is not: a bug of this library or a stolen key
    "revoked",
    "store_error",  # the revocation store failed, and the option on_store_error is "reject"
]

# The browser keeps a cookie that is refused for one of these reasons. Another server may accept it, this server may
# accept it later, or a response with its replacement may be on its way.
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

    Local variables in these frames may be keys or session values, and error trackers record local variables. If this
    package raised an error of a foreign class, a note on the error names the module and the line.

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
            with suppress(Exception):  # some exception classes, such as frozen dataclasses, do not accept notes
                current.add_note(f"Raised in {_module(last_dropped)}, line {last_dropped.tb_lineno}")
        traceback = None
        for entry in reversed(kept):
            traceback = TracebackType(traceback, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
        current.with_traceback(traceback)  # unlike an assignment to __traceback__, this works for frozen classes
        errors += [linked for linked in (current.__cause__, current.__context__) if linked is not None]
        if isinstance(current, BaseExceptionGroup):
            errors += current.exceptions


def _split_frames(traceback: TracebackType | None) -> tuple[list[TracebackType], TracebackType | None]:
    """Return the entries of other packages; and the last entry if it belongs to this package, otherwise None."""
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
    """Apply `without_own_frames` to the generated ``__init__`` of a class, which receives keys."""
    cls.__init__ = without_own_frames(cls.__init__)  # type: ignore[method-assign]
    return cls


class SealedSessionError(Exception):
    """The root of all errors of this package."""


class ConfigError(SealedSessionError, ValueError):
    """An option is missing, unknown or invalid, or contradicts another option.

    It is raised at start, and also if the application revokes a session without the option ``revocation``.
    """


class SealError(SealedSessionError):
    """A session or a state cannot be stored. The browser keeps its previous cookie, and the page its previous state."""


def _largest(by_key: Mapping[object, int]) -> str:
    return ", ".join(f"{repr(key)[:60]} {count} bytes" for key, count in list(by_key.items())[:5]) or "none"


class CookieTooLargeError(SealError, ValueError):
    """The sealed session is larger than a cookie can be (RFC 6265bis, 5.7).

    :param name: the cookie's name.
    :param size: bytes of the cookie's name and value. If the session is far too large, a lower bound.
    :param limit: the largest number of bytes that browsers accept, 4096.
    :param by_key: the bytes that each top-level key of the session adds to the cookie, largest first. Flash messages,
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
            f"session cookie {self.name!r}: it would have {self.size} bytes, and browsers drop a cookie of more than "
            f"{self.limit} bytes. Largest keys: {_largest(self.by_key)}. Nothing was sent, and the browser keeps the "
            "previous session. Store large values elsewhere and keep a reference to them in the session, or set "
            "oversize= to a function that trims the session."
        )


class NotSerializableError(SealError, TypeError):
    """A value in a session or in a state cannot be stored.

    :param path: the value's place, as a Python expression: ``session['cart'][3]['price']``, ``Order.lines[3]``.
    :param kind: the value's type, or None if its type is not the problem. The attribute is ``type``.
    :param problem: the problem and the fix, for the message.
    """

    def __init__(self, path: str, kind: type | None, problem: str) -> None:
        super().__init__(path, kind, problem)
        self.path = path
        self.type = kind

    def __str__(self) -> str:
        return f"{self.args[0]}: {self.args[2]}"


class SessionClosedError(SealError, RuntimeError):
    """The application changed the session, or read an id or made a CSRF token for the first time, after the headers
    were sent."""


class StoreError(SealedSessionError):
    """A revocation store failed: it is down, does not answer, is full, or returns invalid data.

    The middleware catches this error, and follows the option ``on_store_error``.
    """


class UnsealError(SealedSessionError):
    """A token or its content was refused.

    :param reason: why the token was refused, one of `Reason`. These values are stable.
    :param detail: the details for the log, without keys, tokens and session values.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason: Reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


class StateTooLargeError(SealError):
    """A sealed state would be larger than the option ``max_size`` of its `StateSealer`, or too large to be read again.

    :param size: bytes of the token; or of the content, if it is too large to be sealed.
    :param limit: the largest size, in bytes.
    :param by_key: the bytes of each attribute or top-level key before compression, largest first.
    """

    def __init__(self, size: int, limit: int, by_key: Mapping[object, int]) -> None:
        super().__init__(size, limit, by_key)
        self.size = size
        self.limit = limit
        self.by_key = by_key

    def __str__(self) -> str:
        return (
            f"sealed state: it would have {self.size} bytes, and the limit is {self.limit}. Largest parts, before "
            f"compression: {_largest(self.by_key)}. Set them in load(), so that they are not sealed, or store them "
            "elsewhere and keep a reference to them."
        )


class StateError(SealedSessionError):
    """A call to an object in sealed state failed.

    :cvar reason: the name of the error in the JSON of the response.
    """

    reason = "BadCall"


class StaleStateError(StateError):
    """A state refers to something that no longer exists, or its class has changed. The user must reload the page."""

    reason = "StaleState"


class NotPublicError(StateError):
    """A client called a method that does not exist or is not public. The client cannot distinguish these two cases."""

    reason = "NotPublic"
