"""The way in: from a request's cookies to what its session holds.

Every candidate is tried, and the newest one that is accepted wins. With a revocation store, its id and its subject are
looked up there. If the store cannot answer, the option ``on_store_error`` says whether sessions are refused or
accepted; the request is answered in any case.
"""

from collections.abc import Callable, Sequence
from typing import Any

from sealedsession.config import SessionConfig
from sealedsession.cookie import CookieFinder
from sealedsession.errors import NOT_FINAL, StoreError, UnsealError
from sealedsession.form import SessionForm, content_of_list
from sealedsession.revocation.store import OF_SESSION, Entry, RevocationStore, key_of_subject
from sealedsession.seal import Sealer, Unsealed
from sealedsession.session import Session
from sealedsession.token_cache import TokenCache


class Incoming:
    """Opens the sessions of requests, by one configuration.

    :param cookie_header: gives the Cookie header, or None, of what a session has as `_cookies`.
    """

    __slots__ = (
        "_allow_on_store_error", "_bind", "_clock", "_cookie_header", "_events", "_find", "_loads_payload", "_store",
        "_unseal",
    )  # fmt: skip

    def __init__(
        self,
        config: SessionConfig,
        sealer: Sealer,
        form: SessionForm,
        cookie_header: Callable[[Any], bytes | None],
    ) -> None:
        self._cookie_header = cookie_header
        self._find = CookieFinder(str(config.name))
        self._unseal = sealer.unseal
        if config.token_cache:
            cache = TokenCache(sealer, config.keys, config.token_cache, config.limits.size, config.clock)
            self._unseal = cache.unseal
        self._loads_payload = form.loads_payload
        self._clock = config.clock
        self._bind = None if config.binding is None else config.bind
        self._events = config.events
        self._store = config.store
        self._allow_on_store_error = config.on_store_error == "allow"

    def open(self, session: Session) -> dict[Any, Any]:
        """Give what the session holds, and note in it where that came from."""
        for unsealed in self._unsealed(session):
            data = self._read(session, unsealed)
            if data is None:
                continue
            if self._store is not None and (keys := _keys_of(session)):
                try:
                    revoked = self._is_revoked(session, keys, self._store.find(keys))
                except Exception as error:  # noqa: BLE001  # StoreError, or anything that somebody's store raises
                    if not self._goes_without_store(session, error):
                        return self._begin(session, session._came_under)
                    revoked = False
                if revoked:
                    continue
            session._rejected = None
            if self._events.hooked:
                self._events.tell("opened", sid=session._sid)
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
                except Exception as error:  # noqa: BLE001  # StoreError, or anything that somebody's store raises
                    if not self._goes_without_store(session, error):
                        return self._begin(session, session._came_under)
                    revoked = False
                if revoked:
                    continue
            session._rejected = None
            if self._events.hooked:
                self._events.tell("opened", sid=session._sid)
            return data
        return self._begin(session)

    def _unsealed(self, session: Session) -> Sequence[Unsealed]:
        """What the request's cookies hold, the newest first."""
        session._rejected = None
        session._save = session._invalidated = False
        session._revoked_subjects = ()
        session._opened_at = None if self._store is None else self._clock() - self._store.staleness
        header = self._cookie_header(session._cookies) if session._cookies else None
        if not header:
            return ()
        tokens = self._find(header)
        if len(tokens) > 1:
            self._events.ambiguous(len(tokens))
        binding = self._bind(session._request) if self._bind is not None and tokens else b""
        opened = []
        for token in tokens:
            try:
                opened.append(self._unseal(token, binding=binding))
            except UnsealError as error:
                self._reject(session, error)
        if len(opened) > 1:  # a tie goes to the first, whose path is more specific
            opened.sort(key=lambda unsealed: -unsealed.sealed_at)
        return opened

    def _read(self, session: Session, unsealed: Unsealed) -> dict[Any, Any] | None:
        """Make the session what a token says, and give its data; None if it is refused."""
        payload, serializer, session._created, _, session._lifetime, sid, _ = session._origin = unsealed
        session._sid = sid
        try:
            value = self._loads_payload[serializer](payload)
            if type(value) is dict:
                session._subject = session._root = None
                session._came_under = sid
                return value
            data, session._subject, session._root = content_of_list(value)
        except UnsealError as error:
            self._reject(session, error, sid)
            return None
        session._came_under = session._root or sid
        return data

    def _begin(self, session: Session, came_under: bytes | None = None) -> dict[Any, Any]:
        """Make it a new session.

        :param came_under: the root of what was refused only because the store did not answer: it can be revoked yet.
        """
        session._origin = session._sid = session._root = None
        session._came_under = came_under
        session._lifetime = session._subject = None
        session._created = int(self._clock())
        return {}

    def _is_revoked(self, session: Session, keys: list[bytes], entries: Sequence[Entry | None]) -> bool:
        if len(entries) != len(keys):
            raise StoreError(f"{len(entries)} answers to {len(keys)} questions")
        for entry in entries:
            if entry is not None and session._created <= entry.not_before and entry.spared != session._sid:
                error = UnsealError("revoked", "it was signed out, or its subject everywhere")
                self._reject(session, error, session._sid)
                return True
        return False

    def _goes_without_store(self, session: Session, error: Exception) -> bool:
        if self._allow_on_store_error:
            self._events.store_error(error, "the session is accepted")
        else:
            self._events.store_error(error, "the session is refused for now")
            self._reject(session, UnsealError("store_error", "whether it is revoked cannot be told"), session._sid)
        return self._allow_on_store_error

    def _reject(self, session: Session, error: UnsealError, sid: bytes | None = None) -> None:
        self._events.rejected(error, sid)
        if session._rejected is None or (error.code in NOT_FINAL and session._rejected not in NOT_FINAL):
            session._rejected = error.code


def _keys_of(session: Session) -> list[bytes]:
    """The keys under which it could be revoked."""
    root = session._came_under
    keys = [] if root is None else [OF_SESSION + root]  # as key_of_session, without its frame
    if session._subject is not None:
        keys.append(key_of_subject(session._subject))
    return keys
