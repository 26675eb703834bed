"""Events in the life of sessions and sealed state, for the logger ``sealedsession`` and the option ``on_event``.

The log contains the events that may need attention: rejected cookies and states, revocations, errors of the keyring
and of the store. The hook also receives all other events, for counters and audit trails.

Neither contains a key, a token or a session value. A keyed hash of its id identifies a session (OWASP Session
Management Cheat Sheet, "Logging Sessions Life Cycle").
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal, Protocol

from sealedsession.errors import (
    CookieTooLargeError,
    Reason,
    SealError,
    StaleStateError,
    StateError,
    StateTooLargeError,
    StoreError,
    UnsealError,
)

logger: logging.Logger = logging.getLogger("sealedsession")

# Expiry and revocation are normal: INFO. Any client can send an invalid cookie: WARNING, the default. A correctly
# signed but forbidden payload means a bug of this library or a stolen key: ERROR.
_LEVELS = {
    "expired_idle": logging.INFO,
    "expired_absolute": logging.INFO,
    "revoked": logging.INFO,
    "store_error": logging.DEBUG,  # the error of the store itself is logged separately
    "forbidden_value": logging.ERROR,
}

_UNKNOWN_KEY = (
    ". Either another server has other keys, or another application on this host, such as localhost on another port, "
    "uses the same cookie name. In the second case, set name= in one of them"
)
_FOREIGN_TYPES_MOST = 100  # bounds the memory of `Events` if an application creates classes at runtime


def _level(error: UnsealError) -> int:
    return _LEVELS.get(error.reason, logging.WARNING)


Kind = Literal[
    "opened",  # a cookie or a state was accepted
    "sealed",  # a new or changed session, or a state, was sealed
    "refreshed",  # an unchanged session was sealed again, because the refresh interval has passed
    "resealed_old_key",  # an unchanged session was sealed again, because a fallback key had sealed it
    "rejected",  # a cookie or a state was refused, see `reason`
    "stale",  # a state was accepted, but it refers to something that no longer exists
    "bad_call",  # a client called a method that is not public, or with invalid arguments
    "revoked",  # a session, or all sessions of a subject, was revoked
    "too_large",  # a session or a state was too large to be sealed
    "store_error",  # the revocation store failed
    "keyring_reloaded",  # the file of the keyring was read again
    "keyring_error",  # the file of the keyring is invalid, and the previous keys stay in use
]


@dataclass(frozen=True, slots=True)
class Event:
    """An event of one session, of all sessions, or of a sealed state.

    :param kind: the kind of event.
    :param cookie: the name of the cookie or of the `StateSealer`.
    :param session: a keyed hash of the session's id, as 16 hexadecimal digits; None without an id.
    :param reason: why a cookie or state was rejected, or None.
    :param size: bytes of a cookie's name and value, or of a state's token, if it is sent or too large; otherwise None.
    :param detail: a description for people, without keys, tokens and session values.
    """

    kind: Kind
    cookie: str
    session: str | None = None
    reason: Reason | None = None
    size: int | None = None
    detail: str = ""


class EventHook(Protocol):
    """The type of the option ``on_event``: a function of an event. Its exceptions are logged and ignored."""

    def __call__(self, event: Event, /) -> object:
        """Process an event. The request waits until this method returns."""
        ...


class Events:
    """Log the events of one configuration, and call its hook.

    :param cookie: the name of the cookie or of the `StateSealer`.
    :param hook: the option ``on_event``, or None.
    :param hash_key: a function that returns the key for hashes of session ids, 32 bytes. It is called once.
    :param what: what has the name, for the log.
    """

    __slots__ = ("_cookie", "_find_hash_key", "_foreign", "_hash_key", "_hook", "_what", "has_hook")

    def __init__(
        self, cookie: str, hook: EventHook | None, hash_key: Callable[[], bytes], what: str = "cookie"
    ) -> None:
        self._cookie = cookie
        self._what = what
        self._hook = hook
        self._find_hash_key = hash_key
        self._hash_key: bytes | None = None
        self._foreign: set[str] = set()
        # Hot paths check this before they call emit(), to avoid the call without a hook.
        self.has_hook: bool = hook is not None

    def emit(
        self,
        kind: Kind,
        *,
        session_id: bytes | None = None,
        reason: Reason | None = None,
        size: int | None = None,
        detail: str = "",
    ) -> None:
        """Call the hook, if there is one, with an event.

        :param session_id: the session's id, 16 bytes, or None. For the other parameters, see `Event`.
        """
        if self._hook is None:
            return
        session = None
        if session_id is not None:
            self._hash_key = self._hash_key or self._find_hash_key()
            session = blake2b(session_id, key=self._hash_key, digest_size=8).hexdigest()
        try:
            self._hook(Event(kind, self._cookie, session, reason, size, detail))
        except Exception as error:  # noqa: BLE001  # the hook belongs to the application
            logger.error("on_event raised %s for the event %s", type(error).__name__, kind)

    def rejected(self, error: UnsealError, session_id: bytes | None = None) -> None:
        """Report a token that was refused."""
        logger.log(_level(error), "%s %r rejected, %s", self._what, self._cookie, error)
        self.emit("rejected", session_id=session_id, reason=error.reason, detail=error.detail)

    def rejected_cookies(self, rejections: Sequence[tuple[UnsealError, bytes | None]]) -> None:
        """Report the cookies of a request that were refused: in one log record, and in one event for each cookie.

        :param rejections: the error and, if known, the session's id for each cookie.
        """
        errors = [error for error, _ in rejections]
        worst = max(errors, key=_level)
        hint = _UNKNOWN_KEY if worst.reason == "unknown_key" else ""
        if len(errors) == 1:
            logger.log(_level(worst), "%s %r rejected, %s%s", self._what, self._cookie, worst, hint)
        else:
            logger.log(
                _level(worst), "%d cookies named %r of one request rejected: %s; the worst was %s%s",
                len(errors), self._cookie, ", ".join(error.reason for error in errors), worst, hint,
            )  # fmt: skip
        for error, session_id in rejections:
            self.emit("rejected", session_id=session_id, reason=error.reason, detail=error.detail)

    def comma(self) -> None:
        """Report a cookie that was not read, because it follows a comma, where it cannot be trusted."""
        logger.warning(
            "the cookie %r follows a comma in the Cookie header and is not read: a gateway in front of this server "
            "joins Cookie headers with a comma, but RFC 9113, 8.2.3, requires '; '. Update or configure the gateway",
            self._cookie,
        )

    def foreign_session(self, kind: type) -> None:
        """Report that the application has replaced the session in the scope, once for each type of replacement."""
        name = f"{kind.__module__}.{kind.__qualname__}"
        if name in self._foreign or len(self._foreign) >= _FOREIGN_TYPES_MOST:
            return
        self._foreign.add(name)
        logger.warning(
            "the session in the scope was replaced by a %s, which is ignored: the session of the cookie %r keeps its "
            "content. To write to the session, change the object that the middleware has put there, with "
            "session.clear() and session.update()",
            name,
            self._cookie,
        )

    def not_called(self, error: StateError, session_id: bytes) -> None:
        """Report a call that failed, although its state was accepted."""
        stale = isinstance(error, StaleStateError)
        level = logging.INFO if stale else logging.WARNING
        logger.log(level, "%s %r: %s, %s", self._what, self._cookie, error.reason, error)
        self.emit("stale" if stale else "bad_call", session_id=session_id, detail=str(error))

    def ambiguous(self, count: int) -> None:
        """Report a request with several valid cookies of the same name.

        The option ``path`` or ``domain`` was changed, or another host sets cookies.
        """
        logger.warning("%d cookies named %r in one request; the newest valid one is used", count, self._cookie)

    def not_saved(self, error: SealError) -> None:
        """Report a change that ``oversize="keep"`` drops, or an unchanged session that could not be sealed again."""
        logger.error("a session was not saved: %s", error)

    def too_large(self, error: CookieTooLargeError | StateTooLargeError, session_id: bytes | None) -> None:
        """Report a session or a state that is too large. The caller raises or logs the error."""
        self.emit("too_large", session_id=session_id, size=error.size)

    def revoked(self, what: str, session_id: bytes | None) -> None:
        """Report that the application has revoked a session, or all sessions of a subject.

        :param what: a description of the revoked sessions.
        """
        logger.info("%s revoked", what)
        self.emit("revoked", session_id=session_id, detail=what)

    def store_error(self, error: Exception, consequence: str) -> None:
        """Report a failure of the revocation store.

        :param consequence: what happens to the session.
        """
        # The message of a foreign error may contain secrets.
        cause = str(error) if isinstance(error, StoreError) else type(error).__name__
        logger.error("the revocation store failed, and %s: %s", consequence, cause)
        self.emit("store_error", detail=f"{consequence}: {cause}")

    def keyring(self, error: Exception | None) -> None:
        """Report that the changed file of the keyring was read.

        :param error: why the file is invalid, or None.
        """
        if error is None:
            logger.info("the keyring was read again, and its keys are now in use")
            self.emit("keyring_reloaded")
        else:
            logger.error("the previous keys stay in use: %s", error)
            self.emit("keyring_error", detail=str(error))

    def plain_http(self, host: str) -> None:
        """Report a Secure cookie that is sent over plain http, from a host that is not loopback."""
        logger.warning(
            "the cookie %r is Secure, but this response is sent to %r over plain http, so browsers will drop the "
            "cookie. Serve https; behind a proxy that does, make the server trust its X-Forwarded-Proto; for "
            "development without https, use localhost or secure=False",
            self._cookie,
            host,
        )
