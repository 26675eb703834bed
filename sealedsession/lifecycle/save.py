"""The way out: whether a response gets a Set-Cookie, and which.

The application causes a cookie when the session changed, found by comparing its serialized form with the one that came
in, or when it called `save()`. An emptied session is answered by a deletion.

The middleware adds cookies that nobody asked for: a refresh, because `refresh_interval` has passed; a new seal, because
a fallback key made the token, or because it has no id and a store needs one; and the deletion of a bad cookie, unless
that cookie may be valid for another server or in a moment (`RETRYABLE_REASONS`) or not all cookies could be read. A
browser stores cookies in the order of the responses. So such a cookie is sent only if the request is at most `PROMPT`
seconds old, or the session would soon end: later it could undo what a newer request did, such as a sign-out. It is
never sent with ``Cache-Control: public``.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

from sealedsession.config import SessionConfig
from sealedsession.cookie import LIMIT, MAX_AGE_LIMIT
from sealedsession.errors import RETRYABLE_REASONS, CookieTooLargeError, SealError
from sealedsession.events import Kind
from sealedsession.lifecycle.payload import SessionPayload
from sealedsession.sealing.sealer import SID_BYTES, Sealer, Unsealed
from sealedsession.serialization.limits import TooLarge
from sealedsession.session import Session

Text = TypeVar("Text", str, bytes)

_LENGTHS = len("vary"), len("cache-control")  # of the names that are looked for: most names have another


class SessionHeaders(Generic[Text]):
    """Adds a session's headers to an application's.

    :param text: makes a header's value of the server's kind of str.
    :param name: the same for its name, which ASGI wants in lower case.
    :param cache_control: what is sent with Set-Cookie, or None.
    """

    __slots__ = (
        "_and_cookie", "_cache_control", "_cache_control_name", "_comma", "_covers_cookie", "_equals", "_public",
        "_set_cookie", "_text", "_vary", "_vary_name",
    )  # fmt: skip

    def __init__(self, text: Callable[[str], Text], name: Callable[[str], Text], cache_control: str | None) -> None:
        self._text: Callable[[str], Text] = text
        self._set_cookie: Text = name("Set-Cookie")
        self._vary: tuple[Text, Text] = (name("Vary"), text("Cookie"))
        self._cache_control: tuple[Text, Text] | None = None
        if cache_control is not None:
            self._cache_control = (name("Cache-Control"), text(cache_control))
        # What the application's headers are searched for.
        self._vary_name: Text = text("vary")
        self._cache_control_name: Text = text("cache-control")
        self._covers_cookie: set[Text] = {text("cookie"), text("*")}
        self._comma: Text = text(",")
        self._and_cookie: Text = text(", Cookie")
        self._equals: Text = text("=")
        self._public: set[Text] = {text("public"), text("s-maxage")}

    def is_public(self, headers: Iterable[tuple[Text, Text]]) -> bool:
        """Return whether shared caches are to keep a response: ``Cache-Control: public`` or ``s-maxage`` (RFC 9111,
        5.2.2.9 and 5.2.2.10)."""
        return any(
            directive.strip().lower() in self._public
            for name, value in headers
            if name.lower() == self._cache_control_name
            for directive in value.replace(self._equals, self._comma).split(self._comma)  # a directive's value apart
        )

    def add(self, headers: list[tuple[Text, Text]], set_cookie: str | None) -> None:
        """Add the session's headers to the list of the application's headers.

        :param set_cookie: the value of Set-Cookie, or None.
        """
        vary_at = None
        varies = cached = False
        for index, (name, value) in enumerate(headers):
            if len(name) not in _LENGTHS:
                continue
            lower = name.lower()
            if lower == self._vary_name:
                vary_at = index
                fields = value.lower().split(self._comma)
                varies = varies or any(field.strip() in self._covers_cookie for field in fields)
            elif lower == self._cache_control_name:
                cached = True
        if vary_at is None:
            headers.append(self._vary)
        elif not varies:
            name, value = headers[vary_at]
            headers[vary_at] = (name, value + self._and_cookie)
        if set_cookie is not None:
            headers.append((self._set_cookie, self._text(set_cookie)))
            if self._cache_control is not None and not cached:
                headers.append(self._cache_control)


PROMPT = 5  # seconds; most requests take less, and few users do two things within that time
_SEAL_LENGTH = 80  # characters of a token besides the payload's: head, nonce, times and tag in base64


class SessionSaver:
    """Makes the Set-Cookie of responses, by one configuration."""

    __slots__ = (
        "_attributes",
        "_config",
        "_deletion",
        "_events",
        "_half_idle",
        "_headers",
        "_name",
        "_needs_sid",
        "_payload_format",
        "_refresh_interval",
        "_sealer",
    )  # fmt: skip

    def __init__(
        self, config: SessionConfig, sealer: Sealer, form: SessionPayload, headers: SessionHeaders[Any]
    ) -> None:
        self._config = config
        self._headers = headers
        self._name = str(config.name)
        self._sealer = sealer
        self._payload_format = form
        self._events = config.events
        self._needs_sid = config.store is not None
        self._refresh_interval: int = config.refresh_interval or 0
        self._half_idle = math.inf if config.timeouts.idle is None else config.timeouts.idle / 2
        self._attributes = config.cookie.attributes
        self._deletion = config.cookie.deletion

    def set_cookie(self, session: Session, request: Any, status: int, headers: Sequence[tuple[Any, Any]]) -> str | None:
        """Return the value of the Set-Cookie header, or None.

        :param status: the response's status code.
        :param headers: the application's.
        :raises SealError: when the session cannot be stored.
        """
        if status >= 500 and not self._config.save_on_error:
            return None
        try:
            return self._cookie_for(session, request, headers)
        except SealError as error:
            if isinstance(error, CookieTooLargeError):
                self._events.too_large(error, session._sid)
            if self._is_as_it_came(session):
                self._events.not_saved(error)
                return None
            if not isinstance(error, CookieTooLargeError):
                raise
            if self._config.oversize == "raise":
                raise
            if self._config.oversize == "keep":
                self._events.not_saved(error)
                return None
            closed = session.__class__
            session.__class__ = Session  # for the function to trim it
            try:
                self._config.oversize(session, error)
            finally:
                session.__class__ = closed
            return self._cookie_for(session, request, headers)

    def ensure_fits(self, session: Session) -> None:
        """Check that the session can be sealed, or has not changed.

        :raises SealError: when it cannot be stored.
        """
        try:
            try:
                self._seal_within_limit(session, self._payload_format.dumps(session), self._sid_to_be(session))
            except TooLarge:
                raise self._too_large(session) from None
        except SealError:
            if not self._is_as_it_came(session):
                raise

    def is_modified(self, session: Session) -> bool:
        """Whether the session differs from what came in."""
        origin = session._origin
        if origin is None:
            return bool(session) or session._sid is not None or session._subject is not None
        if not _same_identity(session, origin):
            return True
        try:
            return self._payload_format.dumps(session, origin) is not origin.payload
        except TooLarge:
            return True

    def size(self, session: Session) -> int:
        """Bytes of name and value that the cookie would take now."""
        try:
            return len(self._name) + len(
                self._seal(session, self._payload_format.dumps(session), self._sid_to_be(session))
            )
        except TooLarge:
            return self._estimate(self._payload_format.sizes(session))

    def _cookie_for(self, session: Session, request: Any, headers: Sequence[tuple[Any, Any]]) -> str | None:
        origin = session._origin
        is_empty = not session and session._subject is None
        if session._revoked:  # a revoked session has no rights: the only cookie that is sent is the deletion
            return self._deletion if is_empty and session._invalidated else None
        if origin is None and is_empty and not session._save:
            if session._rejected in RETRYABLE_REASONS and not session._invalidated:
                return None
            if session._sid is None:
                return self._deletion_of_rejected(session, headers)
        kind: Kind = "sealed"
        payload = b""
        try:
            if origin is not None:
                payload = self._payload_format.dumps(session, origin)
                if (
                    payload is origin.payload
                    and not session._save
                    and session._sid == origin.sid
                    and session._created == origin.created
                    and session._lifetime == origin.lifetime
                ):
                    now = self._config.clock()
                    if origin.by_fallback:
                        kind = "resealed_old_key"
                    elif now - origin.sealed_at >= self._refresh_interval or (self._needs_sid and origin.sid is None):
                        kind = "refreshed"
                    else:
                        return None
                    if not self._may_volunteer(session, now, now - origin.sealed_at > self._half_idle, headers):
                        return None
                elif is_empty and not session._save and session._sid in (None, origin.sid):
                    return self._deletion
            if origin is None or origin.serializer != self._payload_format.number:
                payload = self._payload_format.dumps(session)
        except TooLarge:
            raise self._too_large(session) from None
        sid = session._manager.new_sid() if self._needs_sid and session._sid is None else session._sid
        token = self._seal_within_limit(session, payload, sid, self._config.bind(request))
        session._sid = sid
        if self._events.has_hook:
            self._events.emit(kind, sid=session._sid, size=len(self._name) + len(token))
        if self._config.persistent:
            now = int(self._config.clock())
            remaining = self._config.timeouts.ends(session._created, now, session._lifetime) - now
            return f"{self._name}={token}; Max-Age={min(max(remaining, 1), MAX_AGE_LIMIT)}{self._attributes}"
        return f"{self._name}={token}{self._attributes}"

    def _deletion_of_rejected(self, session: Session, headers: Sequence[tuple[Any, Any]]) -> str | None:
        if session._rejected is None:
            return None
        if session._invalidated:
            return self._deletion
        if session._keeps_cookie or not self._may_volunteer(session, self._config.clock(), False, headers):
            return None
        return self._deletion

    def _may_volunteer(self, session: Session, now: float, ends_soon: bool, headers: Sequence[tuple[Any, Any]]) -> bool:
        """Return whether a cookie may be sent that the application has not caused.

        :param ends_soon: whether the session would otherwise be idle for too long.
        """
        return (now - session._arrived <= PROMPT or ends_soon) and not self._headers.is_public(headers)

    def _seal_within_limit(
        self, session: Session, payload: bytes, sid: bytes | None = None, binding: bytes = b""
    ) -> str:
        token = self._seal(session, payload, sid, binding)
        size = len(self._name) + len(token)
        if size > LIMIT:
            raise CookieTooLargeError(self._name, size, LIMIT, self._payload_format.sizes(session))
        return token

    def _too_large(self, session: Session) -> CookieTooLargeError:
        by_key = self._payload_format.sizes(session)
        return CookieTooLargeError(self._name, self._estimate(by_key), LIMIT, by_key)

    def _is_as_it_came(self, session: Session) -> bool:
        """Return whether the application has changed nothing.

        This compares the values, because the payload that came in cannot be written again.
        """
        origin = session._origin
        if origin is None or session._save or not _same_identity(session, origin):
            return False
        return self._payload_format.loads(origin) == (session, session._subject, session._root)

    def _seal(self, session: Session, payload: bytes, sid: bytes | None, binding: bytes = b"") -> str:
        return self._sealer.seal(
            payload,
            serializer=self._payload_format.number,
            created=session._created,
            sid=sid,
            lifetime=session._lifetime,
            binding=binding,
        )

    def _sid_to_be(self, session: Session) -> bytes | None:
        """Return the session's id, or one as long as the id that it will get."""
        return session._sid or (bytes(SID_BYTES) if self._needs_sid else None)

    def _estimate(self, by_key: dict[Any, int]) -> int:
        return len(self._name) + _SEAL_LENGTH + sum(by_key.values())


def _same_identity(session: Session, origin: Unsealed) -> bool:
    return session._sid == origin.sid and session._created == origin.created and session._lifetime == origin.lifetime
