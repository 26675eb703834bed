"""The way out: whether a response gets a Set-Cookie, and which.

It is sent when the session changed, found by comparing its serialized form with the one that came in; or when it is due
for sealing again: `refresh_interval` has passed, a fallback key sealed it, it has no id and a store needs one, or
`save()` was called. An emptied session, and a bad cookie whose session stays empty, is answered by a deletion, unless
that cookie may be right for another server or in a moment: `NOT_FINAL`.
"""

from typing import Any

from sealedsession.config import SessionConfig
from sealedsession.cookie import LIMIT, MAX_AGE_LIMIT
from sealedsession.errors import NOT_FINAL, CookieTooLarge, SealError
from sealedsession.events import Kind
from sealedsession.form import SessionForm
from sealedsession.limits import TooLarge
from sealedsession.plaintext import SID_BYTES
from sealedsession.seal import Sealer, Unsealed
from sealedsession.session import Session

_SEAL_LENGTH = 80  # characters of a token besides the payload's: head, nonce, times and tag in base64


class Outgoing:
    """Makes the Set-Cookie of responses, by one configuration."""

    __slots__ = (
        "_attributes", "_config", "_deletion", "_events", "_form", "_name", "_needs_sid",
        "_refresh_interval", "_sealer",
    )  # fmt: skip

    def __init__(self, config: SessionConfig, sealer: Sealer, form: SessionForm) -> None:
        self._config = config
        self._name = str(config.name)
        self._sealer = sealer
        self._form = form
        self._events = config.events
        self._needs_sid = config.store is not None
        self._refresh_interval: int = config.refresh_interval or 0
        self._attributes = config.cookie.attributes
        self._deletion = config.cookie.deletion

    def set_cookie(self, session: Session, request: Any, status: int) -> str | None:
        """The value of the Set-Cookie header, or None.

        :param status: the response's status code.
        :raises SealError: when the session cannot be stored.
        """
        if status >= 500 and not self._config.save_on_error:
            return None
        try:
            return self._cookie_for(session, request)
        except SealError as error:
            if isinstance(error, CookieTooLarge):
                self._events.too_large(error, session._sid)
            if self._is_as_it_came(session):
                self._events.not_saved(error)
                return None
            if not isinstance(error, CookieTooLarge):
                raise
            if self._config.oversize == "raise":
                raise
            if self._config.oversize == "keep":
                self._events.not_saved(error)
                return None
            self._config.oversize(session, error)
            return self._cookie_for(session, request)

    def is_modified(self, session: Session) -> bool:
        """Whether the session differs from what came in."""
        origin = session._origin
        if origin is None:
            return bool(session) or session._sid is not None or session._subject is not None
        if not _same_identity(session, origin):
            return True
        try:
            return self._form.dumps(session, origin) is not origin.payload
        except TooLarge:
            return True

    def size(self, session: Session) -> int:
        """Bytes of name and value that the cookie would take now."""
        try:
            sid = session._sid or (bytes(SID_BYTES) if self._needs_sid else None)  # the id that it will get
            return len(self._name) + len(self._seal(session, self._form.dumps(session), sid))
        except TooLarge:
            return self._estimate(self._form.sizes(session))

    def _cookie_for(self, session: Session, request: Any) -> str | None:
        origin = session._origin
        is_empty = not session and session._subject is None
        if origin is None and is_empty and not session._save:
            if session._rejected in NOT_FINAL and not session._invalidated:
                return None
            if session._sid is None:
                return self._deletion if session._rejected else None
        kind: Kind = "sealed"
        payload = b""
        try:
            if origin is not None:
                payload = self._form.dumps(session, origin)
                if (
                    payload is origin.payload
                    and not session._save
                    and session._sid == origin.sid
                    and session._created == origin.created
                    and session._lifetime == origin.lifetime
                ):
                    if origin.by_fallback:
                        kind = "resealed_old_key"
                    elif self._config.clock() - origin.sealed_at >= self._refresh_interval or (
                        self._needs_sid and origin.sid is None
                    ):
                        kind = "refreshed"
                    else:
                        return None
                elif is_empty and not session._save and session._sid in (None, origin.sid):
                    return self._deletion
            if origin is None or origin.serializer != self._form.number:
                payload = self._form.dumps(session)
        except TooLarge:
            by_key = self._form.sizes(session)
            raise CookieTooLarge(self._name, self._estimate(by_key), LIMIT, by_key) from None
        sid = session._keeper.new_sid() if self._needs_sid and session._sid is None else session._sid
        token = self._seal(session, payload, sid, self._config.bind(request))
        size = len(self._name) + len(token)
        if size > LIMIT:
            raise CookieTooLarge(self._name, size, LIMIT, self._form.sizes(session))
        session._sid = sid
        if self._events.hooked:
            self._events.tell(kind, sid=session._sid, size=size)
        if self._config.persistent:
            now = int(self._config.clock())
            remaining = self._config.timeouts.ends(session._created, now, session._lifetime) - now
            return f"{self._name}={token}; Max-Age={min(max(remaining, 1), MAX_AGE_LIMIT)}{self._attributes}"
        return f"{self._name}={token}{self._attributes}"

    def _is_as_it_came(self, session: Session) -> bool:
        """Whether the application has changed nothing, asked of the values: what came in cannot be written again."""
        origin = session._origin
        if origin is None or session._save or not _same_identity(session, origin):
            return False
        return self._form.loads(origin) == (session, session._subject, session._root)

    def _seal(self, session: Session, payload: bytes, sid: bytes | None, binding: bytes = b"") -> str:
        return self._sealer.seal(
            payload,
            serializer=self._form.number,
            created=session._created,
            sid=sid,
            lifetime=session._lifetime,
            binding=binding,
        )

    def _estimate(self, by_key: dict[Any, int]) -> int:
        return len(self._name) + _SEAL_LENGTH + sum(by_key.values())


def _same_identity(session: Session, origin: Unsealed) -> bool:
    return session._sid == origin.sid and session._created == origin.created and session._lifetime == origin.lifetime
