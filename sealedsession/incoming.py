"""The way in: from a request's cookies to what its session holds.

Every candidate is tried, and the newest one that is accepted wins. With a revocation store, its id and its subject are
looked up there. If the store cannot answer, the option ``on_store_error`` says whether sessions are refused or
accepted; the request is answered in any case.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sealedsession.config import SessionConfig
from sealedsession.cookie import CookieFinder
from sealedsession.errors import NOT_FINAL, StoreError, UnsealError
from sealedsession.form import Content, SessionForm
from sealedsession.revocation.store import Entry, RevocationStore, key_of_session, key_of_subject
from sealedsession.seal import Sealer, Unsealed
from sealedsession.session import Session


class _Candidate(NamedTuple):
    unsealed: Unsealed
    content: Content


class Incoming:
    """Opens the sessions of requests, by one configuration."""

    __slots__ = ("_allow_on_store_error", "_bind", "_events", "_find", "_loads", "_store", "_unseal")

    def __init__(self, config: SessionConfig, sealer: Sealer, form: SessionForm) -> None:
        self._find = CookieFinder(str(config.name))
        self._unseal = sealer.unseal
        self._loads = form.loads
        self._bind = config.bind
        self._events = config.events
        self._store = config.store
        self._allow_on_store_error = config.on_store_error == "allow"

    def open(self, session: Session, header: bytes) -> dict[Any, Any]:
        """Give what the session holds, and note in it where that came from.

        :param header: the Cookie header.
        """
        for candidate in self._candidates(session, header):
            if self._store is None:
                return self._take(session, candidate)
            keys = _keys_of(candidate)
            try:
                revoked = bool(keys) and _is_revoked(candidate, keys, self._store.find(keys))
            except Exception as error:  # noqa: BLE001  # StoreError, or anything that somebody's store raises
                return self._without_store(session, candidate, error)
            if not revoked:
                return self._take(session, candidate)
            self._reject(session, _REVOKED, candidate.unsealed.sid)
        return {}

    async def aopen(self, session: Session, header: bytes, store: RevocationStore) -> dict[Any, Any]:
        """`open`, awaiting the store."""
        for candidate in self._candidates(session, header):
            keys = _keys_of(candidate)
            try:
                revoked = bool(keys) and _is_revoked(candidate, keys, await store.afind(keys))
            except Exception as error:  # noqa: BLE001  # StoreError, or anything that somebody's store raises
                return self._without_store(session, candidate, error)
            if not revoked:
                return self._take(session, candidate)
            self._reject(session, _REVOKED, candidate.unsealed.sid)
        return {}

    def _candidates(self, session: Session, header: bytes) -> Iterator[_Candidate]:
        """What could be accepted, the newest first; each is only parsed when it is its turn."""
        tokens = self._find(header)
        if len(tokens) > 1:
            self._events.ambiguous(len(tokens))
        binding = self._bind(session._request) if tokens else b""
        opened: list[Unsealed] = []
        for token in tokens:
            try:
                opened.append(self._unseal(token, binding=binding))
            except UnsealError as error:
                self._reject(session, error)
        if len(opened) > 1:  # a tie goes to the first, whose path is more specific
            opened.sort(key=lambda unsealed: -unsealed.sealed_at)
        for unsealed in opened:
            try:
                candidate = _Candidate(unsealed, self._loads(unsealed))
            except UnsealError as error:
                self._reject(session, error, unsealed.sid)
            else:
                yield candidate

    def _without_store(self, session: Session, candidate: _Candidate, error: Exception) -> dict[Any, Any]:
        if self._allow_on_store_error:
            self._events.store_error(error, "the session is accepted")
            return self._take(session, candidate)
        self._events.store_error(error, "the session is refused for now")
        self._reject(session, UnsealError("store_error", "whether it is revoked cannot be told"))
        return {}

    def _take(self, session: Session, candidate: _Candidate) -> dict[Any, Any]:
        unsealed, content = candidate
        session._origin = unsealed
        session._rejected = None
        session._created = unsealed.created
        session._sid = unsealed.sid
        session._lifetime = unsealed.lifetime
        session._subject = content.subject
        session._former_ids = content.former_ids
        if self._events.hooked:
            self._events.tell("opened", sid=unsealed.sid)
        return content.data

    def _reject(self, session: Session, error: UnsealError, sid: bytes | None = None) -> None:
        self._events.rejected(error, sid)
        if session._rejected is None or (error.code in NOT_FINAL and session._rejected not in NOT_FINAL):
            session._rejected = error.code


_REVOKED = UnsealError("revoked", "it was signed out, or its subject everywhere")


def _keys_of(candidate: _Candidate) -> list[bytes]:
    """The keys under which it could be revoked."""
    sid, subject = candidate.unsealed.sid, candidate.content.subject
    keys = [] if sid is None else [key_of_session(sid)]
    if subject is not None:
        keys.append(key_of_subject(subject))
    return keys


def _is_revoked(candidate: _Candidate, keys: list[bytes], entries: Sequence[Entry | None]) -> bool:
    if len(entries) != len(keys):
        raise StoreError(f"{len(entries)} answers to {len(keys)} questions")
    unsealed = candidate.unsealed
    for entry in entries:
        if entry is not None and unsealed.created <= entry.not_before and entry.spared != unsealed.sid:
            return True
    return False
