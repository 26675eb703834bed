"""Save a session: decide whether a response gets a Set-Cookie, seal the session, and add its headers.

Rules:

1. The application causes a cookie when the session has changed, found by comparing its serialized form with the one
   that came in, or when it calls `save`. An emptied session causes a deletion. `decide` has all cases.
2. Some cookies are unrequested: a refresh, a seal by the primary key, and the deletion of a refused cookie. A browser
   stores cookies in the order of the responses, so a late one could undo a newer request, such as a sign-out. The
   middleware sends unrequested cookies only while the request is at most `PROMPT` seconds old, or if the session would
   soon end, and never with ``Cache-Control: public``.
3. Every response whose session was read before its headers were sent varies by the cookie. A response that sets the
   cookie also gets a Cache-Control, unless the application has set its own (OWASP Session Management Cheat Sheet, "Web
   Content Caching").
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, Literal, TypeVar

from sealedsession.config import SessionConfig
from sealedsession.cookie import LIMIT, MAX_AGE_LIMIT
from sealedsession.errors import RETRYABLE_REASONS, CookieTooLargeError, Reason, SealError
from sealedsession.events import Kind
from sealedsession.lifecycle.payload import SessionPayload
from sealedsession.sealing.sealer import SESSION_ID_BYTES, Sealer
from sealedsession.serialization.limits import PayloadTooLargeError
from sealedsession.session import ClosedSession, Identity, Session, reopen

Text = TypeVar("Text", str, bytes)

PROMPT = 5  # seconds; most requests take less, and few users do two things within that time
_SEAL_LENGTH = 80  # characters of a token besides the payload's: head, nonce, times and tag in base64
_LENGTHS = len("vary"), len("cache-control")  # comparing them first takes 0.16 us less for six headers

Action = Literal[
    "keep",  # send no cookie: the browser keeps the one that it has
    "delete",  # the application has emptied the session
    "delete_refused",  # the cookie was refused; unrequested
    "seal",  # the session is new or has changed
    "refresh",  # the session is unchanged, and time has passed; unrequested
    "reseal",  # the session is unchanged, and a fallback key sealed it; unrequested
]
_KINDS: dict[Action, Kind] = {"seal": "sealed", "refresh": "refreshed", "reseal": "resealed_old_key"}


def decide(
    *,
    new: bool = False,
    changed: bool = False,
    empty: bool = False,
    has_new_id: bool = False,
    save: bool = False,
    invalidated: bool = False,
    revoked: bool = False,
    by_fallback: bool = False,
    due: bool = False,
    reason: Reason | None = None,
    keeps_cookie: bool = False,
) -> Action:
    """Decide what a response does with the browser's cookie. docs/concepts.rst has the table.

    :param new: whether no valid cookie came in.
    :param changed: whether data or identity differ from those that came in.
    :param empty: whether the session has neither data nor a subject nor flash messages.
    :param has_new_id: whether the session has an id that did not come in, or a secret of CSRF tokens.
    :param save: whether the application has called `save`.
    :param invalidated: whether the application has called `invalidate`.
    :param revoked: whether the store has found, during the request, that the session is revoked.
    :param by_fallback: whether a fallback key sealed the token that came in.
    :param due: whether the session is to be refreshed: time has passed, or it has no id and the store needs one.
    :param reason: why the cookie was refused, or None.
    :param keeps_cookie: whether a refused cookie must not be deleted.
    """
    if revoked:  # without rights, so that only the deletion can be sent
        return "delete" if empty and invalidated else "keep"
    if not new and not changed and not save:
        return "reseal" if by_fallback else "refresh" if due else "keep"
    if new and empty and not save and not invalidated and reason in RETRYABLE_REASONS:
        return "keep"  # another server may accept the cookie, or this one in a moment
    if not empty or save or has_new_id:
        return "seal"
    if not new or (invalidated and reason is not None):
        return "delete"
    return "keep" if reason is None or keeps_cookie else "delete_refused"


class SessionSaver:
    """Makes the Set-Cookie of responses, by one configuration.

    :param max_length: characters that a token may have if it is not sent in a cookie, or None.
    """

    __slots__ = (
        "_attributes", "_clock", "_config", "_deletion", "_events", "_half_idle", "_headers", "_name", "_name_size",
        "_needs_id", "_payload", "_refresh_interval", "_sealer", "limit",
    )  # fmt: skip

    def __init__(
        self,
        config: SessionConfig,
        sealer: Sealer,
        payload: SessionPayload,
        headers: "SessionHeaders[Any]",
        max_length: int | None,
    ) -> None:
        self._config = config
        self._clock = config.clock
        self._headers = headers
        self._name = str(config.cookie.name)
        self._name_size = len(self._name) if max_length is None else 0
        self.limit: int = LIMIT if max_length is None else max_length
        self._sealer = sealer
        self._payload = payload
        self._events = config.events
        self._needs_id = config.store is not None
        self._refresh_interval = config.timeouts.refresh
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
            return self._set_cookie(session, request, headers)
        except SealError as error:
            if isinstance(error, CookieTooLargeError):
                self._events.too_large(error, session._identity.session_id)
            if self._is_unchanged(session) or hasattr(session, "_has_raised"):
                self._events.not_saved(error)
                return None
            if not isinstance(error, CookieTooLargeError) or self._config.oversize == "raise":
                raise
            if self._config.oversize == "keep":
                self._events.not_saved(error)
                return None
            is_closed = isinstance(session, ClosedSession)
            reopen(session)  # so that the function can trim it
            try:
                self._config.oversize(session, error)
            finally:
                if is_closed:
                    session._headers_gone = True
                    session.__class__ = ClosedSession
            return self._set_cookie(session, request, headers)

    def action(self, session: Session, headers: Sequence[tuple[Any, Any]]) -> Action:
        """Decide what a response does with the browser's cookie, without sealing the session.

        :param headers: the application's.
        :raises SealError: when the session cannot be stored.
        """
        return self._decide(session, headers)[0]

    def token(self, session: Session, request: Any, action: Action) -> str:
        """Seal a session, and report it.

        :param action: "seal", "refresh" or "reseal", for the event.
        :raises SealError: when the session cannot be stored.
        """
        return self._seal(session, self._encode(session), request, action)

    def ensure_fits(self, session: Session) -> None:
        """Check that the session can be sealed, or has not changed.

        :raises SealError: when it cannot be stored.
        """
        try:
            token = self._make_token(session, self._encode(session), self._future_id(session))
            size = self._name_size + len(token)
            if size > self.limit:
                raise self._too_large(session, size)
        except SealError:
            if not self._is_unchanged(session):
                session._has_raised = True
                raise

    def is_modified(self, session: Session) -> bool:
        """Return whether the session differs from the one that came in."""
        loaded, identity = session._loaded, session._identity
        if loaded.token is None:
            return bool(session) or any((identity.session_id, identity.subject, identity.own))
        if not _is_same_seal(session):
            return True
        try:
            return self._payload.encode_if_changed(session, loaded.token) is not None
        except PayloadTooLargeError:
            return True

    def size(self, session: Session) -> int:
        """Return the bytes of name and value that the cookie would take now."""
        try:
            payload = self._payload.encode(session)
        except PayloadTooLargeError:
            return self._estimate(self._payload.sizes(session))
        return self._name_size + len(self._make_token(session, payload, self._future_id(session)))

    # ---------------------------------------------------------------------------------------------------------- inside

    def _set_cookie(self, session: Session, request: Any, headers: Sequence[tuple[Any, Any]]) -> str | None:
        action, payload = self._decide(session, headers)
        if action == "keep":
            return None
        if action in ("delete", "delete_refused"):
            return self._deletion
        token = self._seal(session, self._encode(session) if payload is None else payload, request, action)
        identity = session._identity
        if identity.persistent:
            now = int(self._clock())
            remaining = self._config.timeouts.ends(identity.created, now, identity.lifetime) - now
            return f"{self._name}={token}; Max-Age={min(max(remaining, 1), MAX_AGE_LIMIT)}{self._attributes}"
        return f"{self._name}={token}{self._attributes}"

    def _decide(self, session: Session, headers: Sequence[tuple[Any, Any]]) -> tuple[Action, bytes | None]:
        """Return the action, and the payload if it has been encoded and can be sealed."""
        loaded, identity = session._loaded, session._identity
        token = loaded.token
        if session._revocations is not None and session._revocations.is_refused:
            empty = not session and _is_bare(identity)
            return decide(revoked=True, empty=empty, invalidated=session._invalidated), None
        if token is None:
            return self._decide_new(session, headers), None
        try:
            payload = self._payload.encode_if_changed(session, token)
        except PayloadTooLargeError:
            raise self._too_large(session) from None
        # Whatever changes the identity makes another object. Comparing two for each request would cost 3 %.
        if payload is None and (identity is loaded.identity or _is_same_seal(session)):
            age = self._clock() - token.sealed_at
            due = age >= self._refresh_interval or (self._needs_id and token.session_id is None)
            if not (due or token.by_fallback or session._save):
                return "keep", None  # as `decide` does, 1 % sooner
            action: Action = decide(save=session._save, by_fallback=token.by_fallback, due=due)
            if action != "seal" and not self._allows_unrequested(session, headers, ends_soon=age > self._half_idle):
                return "keep", None
        elif session:
            action = "seal"  # as `decide` does, 1.5 % sooner
        else:
            action = decide(
                changed=True,
                empty=_is_bare(identity) and (payload is not None or session._invalidated),
                has_new_id=_has_csrf_secret(identity)
                or (identity.session_id is not None and identity.session_id != token.session_id),
                save=session._save,
                invalidated=session._invalidated,
            )
        if token.serializer != self._payload.serializer:
            return action, None
        return action, payload or token.payload

    def _decide_new(self, session: Session, headers: Sequence[tuple[Any, Any]]) -> Action:
        """Return the action for a session that did not come in with the request."""
        if session:
            return "seal"  # as `decide` does, 5 % sooner
        loaded, identity = session._loaded, session._identity
        if identity is loaded.identity and loaded.reason is None and not session._save:
            return "keep"  # as `decide` does, 6 % sooner
        action = decide(
            new=True,
            changed=True,
            empty=_is_bare(identity),
            has_new_id=_has_csrf_secret(identity) or identity.session_id is not None,
            save=session._save,
            invalidated=session._invalidated,
            reason=loaded.reason,
            keeps_cookie=loaded.keeps_cookie,
        )
        if action == "delete_refused" and not self._allows_unrequested(session, headers):
            return "keep"
        return action

    def _allows_unrequested(
        self, session: Session, headers: Sequence[tuple[Any, Any]], *, ends_soon: bool = False
    ) -> bool:
        """Return whether a response may get an unrequested cookie: rule 2."""
        is_prompt = self._clock() - session._arrived <= PROMPT
        return (is_prompt or ends_soon) and not self._headers.is_public(headers)

    def _encode(self, session: Session) -> bytes:
        try:
            return self._payload.encode(session)
        except PayloadTooLargeError:
            raise self._too_large(session) from None

    def _seal(self, session: Session, payload: bytes, request: Any, action: Action) -> str:
        """Seal a session with an id if the store needs one, and report it."""
        session_id = session._identity.session_id
        gets_id = self._needs_id and session_id is None
        if gets_id:
            session_id = session._manager.new_session_id()
        token = self._make_token(session, payload, session_id, self._config.bind(request))
        size = self._name_size + len(token)
        if size > self.limit:
            raise self._too_large(session, size)
        if gets_id:
            session._identity = session._identity._replace(session_id=session_id)
        if self._events.has_hook:
            self._events.emit(_KINDS[action], session_id=session_id, size=size)
        return token

    def _make_token(self, session: Session, payload: bytes, session_id: bytes | None, binding: bytes = b"") -> str:
        identity = session._identity
        return self._sealer.seal(
            payload,
            serializer=self._payload.serializer,
            created=identity.created,
            session_id=session_id,
            lifetime=identity.lifetime,
            persistent=identity.persistent,
            binding=binding,
        )

    def _is_unchanged(self, session: Session) -> bool:
        """Return whether the application has changed nothing.

        This compares the values, because the payload that came in cannot be written again.
        """
        loaded = session._loaded
        if loaded.token is None or session._save or session._identity != loaded.identity:
            return False
        return self._payload.is_same_value(session, loaded.token)

    def _too_large(self, session: Session, size: int | None = None) -> CookieTooLargeError:
        """Return the error for a session that is too large.

        :param size: bytes of name and value, or None if the session was too large to be sealed.
        """
        by_key = self._payload.sizes(session)
        return CookieTooLargeError(self._name, size or self._estimate(by_key), self.limit, by_key)

    def _future_id(self, session: Session) -> bytes | None:
        """Return the session's id, or a placeholder as long as the id that the session will get."""
        return session._identity.session_id or (bytes(SESSION_ID_BYTES) if self._needs_id else None)

    def _estimate(self, by_key: dict[Any, int]) -> int:
        return self._name_size + _SEAL_LENGTH + sum(by_key.values())


def _is_same_seal(session: Session) -> bool:
    """Return whether the part of the identity that the payload does not contain is the one that came in."""
    identity, loaded = session._identity, session._loaded.identity
    return identity[:3] == loaded[:3] and identity.persistent == loaded.persistent


def _is_bare(identity: Identity) -> bool:
    """Return whether a session without items would be empty: it has neither a subject nor flash messages."""
    return identity.subject is None and (identity.own is None or not identity.own.flash)


def _has_csrf_secret(identity: Identity) -> bool:
    return identity.own is not None and identity.own.csrf is not None


class SessionHeaders(Generic[Text]):
    """Adds a session's headers to an application's.

    :param text: converts a header's value to the server's type, str or bytes.
    :param name: converts a header's name, which ASGI requires in lower case.
    :param cache_control: the value that is sent with Set-Cookie, or None.
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
        # Names and values to find in the application's headers.
        self._vary_name: Text = text("vary")
        self._cache_control_name: Text = text("cache-control")
        self._covers_cookie: set[Text] = {text("cookie"), text("*")}
        self._comma: Text = text(",")
        self._and_cookie: Text = text(", Cookie")
        self._equals: Text = text("=")
        self._public: set[Text] = {text("public"), text("s-maxage")}

    def is_public(self, headers: Iterable[tuple[Text, Text]]) -> bool:
        """Return whether shared caches may store a response: ``Cache-Control: public`` or ``s-maxage`` (RFC 9111,
        5.2.2.9 and 5.2.2.10)."""
        return any(
            directive.strip().lower() in self._public
            for name, value in headers
            if name.lower() == self._cache_control_name
            for directive in value.replace(self._equals, self._comma).split(
                self._comma
            )  # splits off a directive's value
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
