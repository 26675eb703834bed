"""What happens to sessions and sealed state, told to the operator: to the logger ``sealedsession``, and to the option
``on_event``.

What somebody may have to act on is logged: rejected cookies and states, revocations, faults of the keyring and of the
store. The hook gets these and the ordinary life of sessions too, for counters and audit trails. Neither ever gets a
key, a token or a session value: a session is named by a keyed hash of its id (OWASP Session Management Cheat Sheet,
"Logging Sessions Life Cycle").
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

# Time does these to every session: no news. Anybody can send rubbish: worth a look. A payload that is
# correctly signed and yet forbidden is a mistake of ours or a stolen key: somebody has to act.
_LEVELS = {
    "expired_idle": logging.INFO,
    "expired_absolute": logging.INFO,
    "revoked": logging.INFO,
    "store_error": logging.DEBUG,  # the store's failure was a record of its own
    "forbidden_value": logging.ERROR,
}

_UNKNOWN_KEY = (
    ". Another server has other keys; or another application on this host, such as localhost on another port, uses the "
    "same cookie name: set name= in one of them"
)
_FOREIGN_TYPES_MOST = 100  # types that are logged, so that a program that makes classes cannot fill the memory


def _level(error: UnsealError) -> int:
    return _LEVELS.get(error.reason, logging.WARNING)


Kind = Literal[
    "opened",  # a cookie or a state was accepted
    "sealed",  # a new or changed session goes out, or a state
    "refreshed",  # an unchanged one, because time passed
    "resealed_old_key",  # an unchanged one, because a fallback key had sealed it
    "rejected",  # a cookie or a state was not accepted, see `reason`
    "stale",  # a state was accepted, and what it refers to is gone
    "bad_call",  # a client called what it may not, or not like that
    "revoked",  # a session, or all sessions of a subject
    "too_large",  # a session was not saved, because browsers would drop the cookie; or a state not sealed
    "store_error",  # the revocation store did not do what it was asked
    "keyring_reloaded",
    "keyring_error",  # the keyring's file is broken, and the keys read before go on
]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a session, or to all of them, or to a state that is sealed for one.

    :param kind: what happened.
    :param cookie: the cookie's name, or that of the `StateSealer`.
    :param session: names the session, where it has an id: 16 hexadecimal digits, a keyed hash of that id.
    :param reason: of a rejected cookie or state, one of the reason codes.
    :param size: bytes of name and value, of a cookie that is sent or too large; of a state, those of the token.
    :param detail: for people: what was found. Never a key, a token or a session value.
    """

    kind: Kind
    cookie: str
    session: str | None = None
    reason: Reason | None = None
    size: int | None = None
    detail: str = ""


class EventHook(Protocol):
    """What the option ``on_event`` takes: a function of an event. What it raises is logged, and harms nobody."""

    def __call__(self, event: Event, /) -> object:
        """Take note of an event; called while a request waits."""
        ...


class Events:
    """Tells the events of one configuration.

    :param cookie: the cookie's name.
    :param hook: the option ``on_event``, or None.
    :param hash_key: gives the key under which session ids are hashed, 32 bytes. It is asked for once.
    :param what: what has that name, for the log.
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
        self.has_hook: bool = (
            hook is not None
        )  # asked before `emit` where requests are many: nothing else may cost time then

    def emit(
        self,
        kind: Kind,
        *,
        session_id: bytes | None = None,
        reason: Reason | None = None,
        size: int | None = None,
        detail: str = "",
    ) -> None:
        """Give an event to the hook, if there is one."""
        if self._hook is None:
            return
        session = None
        if session_id is not None:
            self._hash_key = self._hash_key or self._find_hash_key()
            session = blake2b(session_id, key=self._hash_key, digest_size=8).hexdigest()
        try:
            self._hook(Event(kind, self._cookie, session, reason, size, detail))
        except Exception as error:  # noqa: BLE001  # anybody's code
            logger.error("on_event raised %s for the event %s", type(error).__name__, kind)

    def rejected(self, error: UnsealError, session_id: bytes | None = None) -> None:
        """Log a token that was not accepted, and call the hook. For sealed state, the call fails with this error."""
        logger.log(_level(error), "%s %r rejected, %s", self._what, self._cookie, error)
        self.emit("rejected", session_id=session_id, reason=error.reason, detail=error.detail)

    def rejected_cookies(self, rejections: Sequence[tuple[UnsealError, bytes | None]]) -> None:
        """Log the cookies of a request that were not accepted. The request goes on with another one, or a new session.

        There is one log record for each request, however many cookies a client sends. The hook gets an event for each
        cookie.
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
        """Log that the cookie follows a comma, where it cannot be trusted, and was not read."""
        logger.warning(
            "the cookie %r follows a comma in the Cookie header and is not read: a gateway in front of this server "
            "joins Cookie headers with a comma, where RFC 9113, 8.2.3, requires '; '. Update or configure the gateway",
            self._cookie,
        )

    def foreign_session(self, kind: type) -> None:
        """Log that the application has replaced the session in the scope, once for each type of the replacement."""
        name = f"{kind.__module__}.{kind.__qualname__}"
        if name in self._foreign or len(self._foreign) >= _FOREIGN_TYPES_MOST:
            return
        self._foreign.add(name)
        logger.warning(
            "the session in the scope was replaced by a %s, which is ignored: the session of the cookie %r keeps its "
            "content. To write to the session, change the object that the middleware put there, with session.clear() "
            "and session.update()",
            name,
            self._cookie,
        )

    def not_called(self, error: StateError, session_id: bytes) -> None:
        """A state was accepted, and the call cannot be carried out."""
        stale = isinstance(error, StaleStateError)
        level = logging.INFO if stale else logging.WARNING
        logger.log(level, "%s %r: %s, %s", self._what, self._cookie, error.reason, error)
        self.emit("stale" if stale else "bad_call", session_id=session_id, detail=str(error))

    def ambiguous(self, count: int) -> None:
        """A request had several valid cookies of our name: path or domain was changed, or another host sets cookies."""
        logger.warning("%d cookies named %r in one request; the newest valid one is used", count, self._cookie)

    def not_saved(self, error: SealError) -> None:
        """A change was dropped by oversize="keep"; or an unchanged session could not be sealed again."""
        logger.error("a session was not saved: %s", error)

    def too_large(self, error: CookieTooLargeError | StateTooLargeError, session_id: bytes | None) -> None:
        """Browsers would drop the cookie. What becomes of it is the option oversize's to say. Or a state is too large,
        which is an error of the application.
        """
        self.emit("too_large", session_id=session_id, size=error.size)

    def revoked(self, what: str, session_id: bytes | None) -> None:
        """The application has revoked a session, or all sessions of a subject."""
        logger.info("%s revoked", what)
        self.emit("revoked", session_id=session_id, detail=what)

    def store_error(self, error: Exception, consequence: str) -> None:
        """The revocation store did not do what it was asked."""
        cause = str(error) if isinstance(error, StoreError) else type(error).__name__  # others may say anything
        logger.error("the revocation store failed, and %s: %s", consequence, cause)
        self.emit("store_error", detail=f"{consequence}: {cause}")

    def keyring(self, error: Exception | None) -> None:
        """The file of the keyring has changed: it was read, or it is broken."""
        if error is None:
            logger.info("the keyring was read again, and its keys are in use now")
            self.emit("keyring_reloaded")
        else:
            logger.error("the keys read before stay in use: %s", error)
            self.emit("keyring_error", detail=str(error))

    def plain_http(self, host: str) -> None:
        """A Secure cookie is being sent over plain http, from a host that browsers do not take for this machine."""
        logger.warning(
            "the cookie %r is Secure and this response goes to %r over plain http: browsers will drop it. "
            "Serve https; behind a proxy that does, make the server believe its X-Forwarded-Proto; "
            "for development without https use localhost, or secure=False",
            self._cookie,
            host,
        )
