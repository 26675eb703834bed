"""Load a session: from a request's cookies to its content and identity.

Every candidate is tried, and the newest accepted one wins. With a revocation store, its lineage and its subject are
looked up there. If the store does not answer, the option ``on_store_error`` decides whether sessions are refused or
accepted; the request is answered in any case.

A session that begins with a request is created at the request's arrival time. It is therefore never younger than a
revocation that arrives while the request runs.

Percentages in the comments of this package are shares of the middleware's time for a request, measured in CPython 3.11.
"""

from collections.abc import Callable, Generator, Sequence
from typing import Any

from sealedsession.config import SessionConfig
from sealedsession.cookie import CANDIDATES, CookieFinder
from sealedsession.errors import RETRYABLE_REASONS, Reason, StoreError, UnsealError
from sealedsession.lifecycle.payload import SessionPayload, parse_list
from sealedsession.lifecycle.revoke import Revocations
from sealedsession.revocation.store import Entry, RevocationStore, session_key, subject_key
from sealedsession.sealing.sealer import Sealer, Unsealed
from sealedsession.sealing.token_cache import TokenCache
from sealedsession.session import Identity, Loaded, Session

# The algorithm of a load. It yields keys for the store, receives their entries or the store's error, and returns the
# session.
Steps = Generator[list[bytes], Sequence[Entry | None], Loaded]

# Makes a named tuple without the Python frame of its class: 3 % less time for a request that reads its session.
_make_tuple = tuple.__new__


class SessionLoader:
    """Loads the sessions of requests, by one configuration.

    :param cookie_header: returns the Cookie header, or None, from a session's `_cookies`.
    """

    __slots__ = (
        "_allows_store_error", "_bind", "_cookie_header", "_decode_payload", "_drop_ended", "_events", "_find",
        "_persistent", "_store", "_unseal",
    )  # fmt: skip

    def __init__(
        self,
        config: SessionConfig,
        sealer: Sealer,
        payload: SessionPayload,
        cookie_header: Callable[[Any], bytes | None],
    ) -> None:
        self._cookie_header = cookie_header
        self._find = CookieFinder(str(config.cookie.name))
        self._unseal = sealer.unseal
        if config.token_cache:
            cache = TokenCache(sealer, config.keys, config.token_cache, config.limits.size, config.clock)
            self._unseal = cache.unseal
        self._decode_payload = payload.decoders
        self._drop_ended = payload.drop_ended
        self._bind = None if config.binding is None else config.bind
        self._events = config.events
        self._persistent = config.persistent
        self._store = config.store
        self._allows_store_error = config.on_store_error == "allow"

    def load(self, session: Session) -> Loaded:
        """Return the request's session."""
        if self._store is None:
            # Without the generator, a request that reads its session takes 11 % less time.
            attempt = _Attempt()
            for unsealed in self._unseal_cookies(session, attempt):
                loaded = self._decode(unsealed, attempt)
                if loaded is not None:
                    if attempt.rejections or self._events.has_hook:
                        self._report_accepted(loaded, attempt)
                    return loaded
            return self._begin(session, attempt)
        steps = self._load_steps(session)
        try:
            keys = next(steps)
            while True:
                try:
                    entries = self._store.find(keys)
                except Exception as error:  # noqa: BLE001  # StoreError, or whatever a user's store raises
                    keys = steps.throw(error)
                else:
                    keys = steps.send(entries)
        except StopIteration as stop:
            found: Loaded = stop.value
        return found

    async def aload(self, session: Session, store: RevocationStore) -> Loaded:
        """Return the request's session, awaiting the store."""
        steps = self._load_steps(session)
        try:
            keys = next(steps)
            while True:
                try:
                    entries = await store.afind(keys)
                except Exception as error:  # noqa: BLE001  # StoreError, or whatever a user's store raises
                    keys = steps.throw(error)
                else:
                    keys = steps.send(entries)
        except StopIteration as stop:
            found: Loaded = stop.value
        return found._replace(revocations=Revocations(found, awaits=True))

    # ---------------------------------------------------------------------------------------------------------- inside

    def _load_steps(self, session: Session) -> Steps:
        attempt = _Attempt()
        for unsealed in self._unseal_cookies(session, attempt):
            loaded = self._decode(unsealed, attempt)
            if loaded is None:
                continue
            if keys := _store_keys(loaded):
                try:
                    entries = yield keys
                    if len(entries) != len(keys):
                        raise StoreError(
                            f"find: it must return an entry or None for each of {len(keys)} keys, got {len(entries)}"
                        )
                    is_revoked = any(
                        entry is not None and entry.refuses(loaded.identity.created, loaded.lineage)
                        for entry in entries
                    )
                except Exception as error:  # noqa: BLE001  # an error of the store, or an entry of another type
                    if not self._allows_store_error:
                        self._events.store_error(error, "the session is refused for now")
                        refusal = UnsealError("store_error", "the store did not answer")
                        attempt.reject(refusal, loaded.identity.session_id)
                        return self._begin(session, attempt, loaded.lineage)
                    self._events.store_error(error, "the session is accepted")
                    is_revoked = False
                if is_revoked:
                    refusal = UnsealError("revoked", "its session or its subject was revoked")
                    attempt.reject(refusal, loaded.identity.session_id)
                    continue
            self._report_accepted(loaded, attempt)
            return loaded
        return self._begin(session, attempt)

    def _unseal_cookies(self, session: Session, attempt: "_Attempt") -> Sequence[Unsealed]:
        """Unseal the request's cookies, and return the newest first."""
        cookies = session._cookies
        header = cookies if type(cookies) is bytes else self._cookie_header(cookies) if cookies else None
        if not header:
            return ()
        tokens = self._find(header)
        if not tokens:
            if self._find.is_behind_comma(header):
                self._events.comma()
            return ()
        if len(tokens) > CANDIDATES:
            attempt.keeps_cookie = True
            del tokens[CANDIDATES:]
        binding = self._bind(session._request) if self._bind is not None else b""
        opened = []
        for token in tokens:
            try:
                opened.append(self._unseal(token, binding=binding))
            except UnsealError as error:
                if b"," in token:
                    attempt.keeps_cookie = True
                    detail = "a token with a comma: a gateway may have joined several Cookie headers"
                    error = UnsealError(error.reason, detail)
                attempt.reject(error)
        if len(opened) > 1:  # a tie goes to the first, whose path is more specific
            opened.sort(key=lambda unsealed: -unsealed.sealed_at)
        if len(tokens) > 1 and len(opened) == len(tokens):
            self._events.ambiguous(len(tokens))
        return opened

    def _decode(self, unsealed: Unsealed, attempt: "_Attempt") -> Loaded | None:
        """Decode a token's payload; return None if it is refused."""
        session_id = unsealed.session_id
        try:
            data = self._decode_payload[unsealed.serializer](unsealed.payload)
            subject = lineage_id = own = None
            if type(data) is not dict:
                data, subject, lineage_id, own = parse_list(data)
                if own is not None and own.ends:
                    own, unsealed = self._drop_ended(data, subject, lineage_id, own, unsealed)
        except UnsealError as error:
            attempt.reject(error, session_id)
            return None
        identity = _make_tuple(
            Identity, (unsealed.created, session_id, unsealed.lifetime, subject, lineage_id, unsealed.persistent, own)
        )
        return _make_tuple(Loaded, (data, identity, unsealed, lineage_id or session_id, None, False, None))

    def _report_accepted(self, loaded: Loaded, attempt: "_Attempt") -> None:
        if attempt.rejections:
            self._events.rejected_cookies(attempt.rejections)
        self._events.emit("opened", session_id=loaded.identity.session_id)

    def _begin(self, session: Session, attempt: "_Attempt", lineage: bytes | None = None) -> Loaded:
        """Return a new session.

        :param lineage: the lineage that was refused only because the store did not answer, or None. The application
            can still revoke it.
        """
        reason = None
        if attempt.rejections:
            reason = attempt.reason
            self._events.rejected_cookies(attempt.rejections)
        identity = _make_tuple(Identity, (int(session._arrived), None, None, None, None, self._persistent, None))
        return _make_tuple(Loaded, ({}, identity, None, lineage, reason, attempt.keeps_cookie, None))


class _Attempt:
    """The rejections while the session of one request is loaded.

    :ivar rejections: for each refused token, the error and the session id, or None if it is unknown.
    :ivar keeps_cookie: see `Loaded`.
    """

    rejections: tuple[tuple[UnsealError, bytes | None], ...] = ()
    keeps_cookie = False

    def reject(self, error: UnsealError, session_id: bytes | None = None) -> None:
        self.rejections += ((error, session_id),)

    @property
    def reason(self) -> Reason | None:
        """The first reason, unless it is final and a later one is not."""
        reasons: list[Reason] = [error.reason for error, _ in self.rejections]
        for reason in reasons:
            if reason in RETRYABLE_REASONS:
                return reason
        return reasons[0] if reasons else None


def _store_keys(loaded: Loaded) -> list[bytes]:
    """Return the keys under which a session could be revoked."""
    keys = [] if loaded.lineage is None else [session_key(loaded.lineage)]
    if loaded.identity.subject is not None:
        keys.append(subject_key(loaded.identity.subject))
    return keys
