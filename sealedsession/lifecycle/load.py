"""The way in: from a request's cookies to the content of its session.

Every candidate is tried, and the newest accepted one wins. With a revocation store, its lineage id and its subject are
looked up there. If the store does not answer, the option ``on_store_error`` decides whether sessions are refused or
accepted; the request is answered in any case.

A session that a request begins is created at the time when the request arrived. So it is never younger than a
revocation that came while the request ran.
"""

from collections.abc import Callable, Sequence
from typing import Any

from sealedsession.config import SessionConfig
from sealedsession.cookie import CANDIDATES, CookieFinder
from sealedsession.errors import RETRYABLE_REASONS, StoreError, UnsealError
from sealedsession.lifecycle.payload import SessionPayload, parse_list
from sealedsession.revocation.store import OF_SESSION, Entry, RevocationStore, subject_key
from sealedsession.sealing.sealer import Sealer, Unsealed
from sealedsession.sealing.token_cache import TokenCache
from sealedsession.session import Session


class SessionLoader:
    """Opens the sessions of requests, by one configuration.

    :param cookie_header: returns the Cookie header, or None, from a session's `_cookies`.
    """

    __slots__ = (
        "_allow_on_store_error", "_bind", "_cookie_header", "_events", "_find", "_loads_payload", "_store", "_unseal",
    )  # fmt: skip

    def __init__(
        self,
        config: SessionConfig,
        sealer: Sealer,
        form: SessionPayload,
        cookie_header: Callable[[Any], bytes | None],
    ) -> None:
        self._cookie_header = cookie_header
        self._find = CookieFinder(str(config.name))
        self._unseal = sealer.unseal
        if config.token_cache:
            cache = TokenCache(sealer, config.keys, config.token_cache, config.limits.size, config.clock)
            self._unseal = cache.unseal
        self._loads_payload = form.loads_payload
        self._bind = None if config.binding is None else config.bind
        self._events = config.events
        self._store = config.store
        self._allow_on_store_error = config.on_store_error == "allow"

    def open(self, session: Session) -> dict[Any, Any]:
        """Return the content of the request's session, and set the session's fields."""
        for unsealed in self._unsealed(session):
            data = self._read(session, unsealed)
            if data is None:
                continue
            if self._store is not None and (keys := _keys_of(session)):
                try:
                    revoked = self._is_revoked(session, keys, self._store.find(keys))
                except Exception as error:  # noqa: BLE001  # StoreError, or whatever a user's store raises
                    if not self._goes_without_store(session, error):
                        return self._begin(session, session._came_under)
                    revoked = False
                if revoked:
                    continue
            if session._rejected is not None or self._events.has_hook:
                self._report_accepted(session)
            return data
        return self._begin(session)

    async def aopen(self, session: Session, store: RevocationStore) -> dict[Any, Any]:
        """`open`, awaiting the store."""
        for unsealed in self._unsealed(session):
            data = self._read(session, unsealed)
            if data is None:
                continue
            if keys := _keys_of(session):
                try:
                    revoked = self._is_revoked(session, keys, await store.afind(keys))
                except Exception as error:  # noqa: BLE001  # StoreError, or whatever a user's store raises
                    if not self._goes_without_store(session, error):
                        return self._begin(session, session._came_under)
                    revoked = False
                if revoked:
                    continue
            if session._rejected is not None or self._events.has_hook:
                self._report_accepted(session)
            return data
        return self._begin(session)

    def _unsealed(self, session: Session) -> Sequence[Unsealed]:
        """Unseal the request's cookies, and return them with the newest first."""
        session._rejected = None
        session._keeps_cookie = session._save = session._invalidated = session._revoked = False
        session._reserved = {}
        session._exempt = None
        session._ended = {}
        header = self._cookie_header(session._cookies) if session._cookies else None
        if not header:
            return ()
        tokens = self._find(header)
        if not tokens:
            if self._find.is_behind_comma(header):
                self._events.comma()
            return ()
        if len(tokens) > CANDIDATES:
            session._keeps_cookie = True
            del tokens[CANDIDATES:]
        binding = self._bind(session._request) if self._bind is not None else b""
        opened = []
        for token in tokens:
            try:
                opened.append(self._unseal(token, binding=binding))
            except UnsealError as error:
                if b"," in token:
                    session._keeps_cookie = True
                    detail = "a token with a comma: a gateway may have joined several Cookie headers"
                    error = UnsealError(error.reason, detail)
                self._reject(session, error)
        if len(opened) > 1:  # a tie goes to the first, whose path is more specific
            opened.sort(key=lambda unsealed: -unsealed.sealed_at)
        if len(tokens) > 1 and len(opened) == len(tokens):
            self._events.ambiguous(len(tokens))
        return opened

    def _read(self, session: Session, unsealed: Unsealed) -> dict[Any, Any] | None:
        """Copy a token's content into the session's fields, and return the data; None if the token is refused."""
        payload, serializer, session._created, _, session._lifetime, sid, _ = session._origin = unsealed
        session._sid = sid
        try:
            value = self._loads_payload[serializer](payload)
            if type(value) is dict:
                session._subject = session._came_as = session._root = None
                session._came_under = sid
                return value
            data, session._subject, session._root = parse_list(value)
        except UnsealError as error:
            self._reject(session, error, sid)
            return None
        session._came_as = session._subject
        session._came_under = session._root or sid
        return data

    def _report_accepted(self, session: Session) -> None:
        if session._rejected is not None:
            self._events.rejected_cookies(session._rejections)
            session._rejected = None
        self._events.emit("opened", sid=session._sid)

    def _begin(self, session: Session, came_under: bytes | None = None) -> dict[Any, Any]:
        """Make it a new session.

        :param came_under: the lineage that was refused only because the store did not answer. It can still be revoked.
        """
        if session._rejected is not None:
            self._events.rejected_cookies(session._rejections)
        session._origin = session._sid = session._root = None
        session._came_under = came_under
        session._lifetime = session._subject = session._came_as = None
        session._created = int(session._arrived)
        return {}

    def _is_revoked(self, session: Session, keys: list[bytes], entries: Sequence[Entry | None]) -> bool:
        if len(entries) != len(keys):
            raise StoreError(f"{len(entries)} answers to {len(keys)} questions")
        for entry in entries:
            if entry is not None and entry.refuses(session._created, session._came_under):
                self._reject(session, UnsealError("revoked", "its session or its subject was revoked"), session._sid)
                return True
        return False

    def _goes_without_store(self, session: Session, error: Exception) -> bool:
        if self._allow_on_store_error:
            self._events.store_error(error, "the session is accepted")
        else:
            self._events.store_error(error, "the session is refused for now")
            self._reject(session, UnsealError("store_error", "the store did not answer"), session._sid)
        return self._allow_on_store_error

    def _reject(self, session: Session, error: UnsealError, sid: bytes | None = None) -> None:
        session._rejections = (*(() if session._rejected is None else session._rejections), (error, sid))
        if session._rejected is None or (
            error.reason in RETRYABLE_REASONS and session._rejected not in RETRYABLE_REASONS
        ):
            session._rejected = error.reason


def _keys_of(session: Session) -> list[bytes]:
    """Return the keys under which a session could be revoked."""
    lineage = session._came_under
    keys = [] if lineage is None else [OF_SESSION + lineage]  # as session_key, without its frame
    if session._subject is not None:
        keys.append(subject_key(session._subject))
    return keys
