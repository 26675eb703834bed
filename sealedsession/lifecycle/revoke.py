"""Revoke sessions for an application, during a request.

Rules:

1. A session that the store finds revoked has no rights: it revokes nothing, and it is not sealed any more.
2. The caller of a revocation is the session that came in, even after the request has ended it or removed its subject,
   until the request signs a user in.
3. A request that revokes a subject reserves one lineage for it, which is exempt. The session of that subject moves
   there when the store has written the entry. A session that signs in as that subject later in the request begins
   there.
4. Where the store must be awaited, revocations wait in `Revocations.pending` until the middleware sends them.
"""

from typing import NamedTuple

from sealedsession.config import DAY, SessionConfig
from sealedsession.errors import ConfigError, StoreError, UnsealError, got
from sealedsession.own import without_csrf
from sealedsession.revocation.store import ALWAYS, Caller, Entry, RevocationStore, session_key, subject_key
from sealedsession.session import ClosedSession, Loaded, Session

_NOT_REVOKED = "what was to be revoked is not: copies of the cookie live on until their timeouts"


class Revocation(NamedTuple):
    """A revocation that the application has called for.

    :param key: the store's key.
    :param caller: the session that calls for it, as it was at that time.
    :param subject: whose sessions are revoked, or None for a lineage.
    :param exempt: the lineage that is exempt, or ``b""``.
    :param what: for the event.
    :param session_id: names the session in the event.
    """

    key: bytes
    caller: Caller
    subject: str | None
    exempt: bytes
    what: str
    session_id: bytes | None


class Revocations:
    """The revocations of one request.

    :ivar acts_as: the subject that came in, until the request signs in or revokes that subject itself.
    :ivar reserved: maps each subject that the request revokes to the lineage that is exempt.
    :ivar exempt: the lineage to which the session moves when the store has written the entry, or None.
    :ivar ended: maps the store's keys under which the request has revoked to the lineage that is exempt, or ``b""``.
    :ivar is_refused: whether the store has found that the session itself is revoked.
    :ivar sealed: the lineages of tokens that an integration has sealed during the request.
    :ivar pending: the revocations to send, or None where they are sent at once.
    """

    __slots__ = ("acts_as", "ended", "exempt", "is_refused", "pending", "reserved", "sealed")

    def __init__(self, loaded: Loaded, *, awaits: bool = False) -> None:
        self.acts_as: str | None = loaded.identity.subject
        self.reserved: dict[str, bytes] = {}
        self.exempt: bytes | None = None
        self.ended: dict[bytes, bytes] = {}
        self.is_refused: bool = False
        self.sealed: list[bytes] = []
        self.pending: list[Revocation] | None = [] if awaits else None


class SessionRevoker:
    """Revokes sessions, by one configuration."""

    __slots__ = ("_config", "_ttl", "revokes", "staleness")

    def __init__(self, config: SessionConfig) -> None:
        self._config = config
        self.revokes: bool = config.store is not None
        self.staleness: float = config.store.staleness if config.store is not None else 0
        # The clock of the server that seals may be ahead, and that of the server that reads behind. Without an absolute
        # timeout, nothing ends a session that a running request still seals: entries are kept for the day that such a
        # request may take.
        margin = 2 * config.leeway + (0 if config.timeouts.absolute else DAY)
        self._ttl = config.timeouts.longest + margin

    def begins_at(self, session: Session) -> int:
        """Return the time of creation for a session that this request begins.

        The store's answer was current at that time: a later revocation also refuses the new session.
        """
        return int(session._arrived - self.staleness)

    def begin_lineage(self, session: Session) -> bytes:
        """Return the session id of a lineage that begins with a sign-in of the session's subject."""
        if self.revokes:
            revocations = _revocations(session)
            revocations.acts_as = revocations.exempt = None
            if reserved := revocations.reserved.get(session._identity.subject or ""):
                return reserved
        return session._manager.new_session_id()

    def regenerate(self, session: Session) -> None:
        """Give the session a new id in the same lineage."""
        session_id, identity = session._manager.new_session_id(), session._identity
        lineage_id = identity.lineage if self.revokes else identity.lineage_id
        own = without_csrf(identity.own)
        session._identity = identity._replace(session_id=session_id, lineage_id=lineage_id, own=own)

    def revoke(self, session: Session) -> None:
        """Revoke the session: its lineage, and the one that came in.

        :raises ConfigError: without a store.
        """
        self._require_store()
        revocations = _revocations(session)
        exempt = {revocations.exempt, session._identity.lineage}.intersection(revocations.reserved.values())
        if exempt and not session._headers_gone:  # a later sign-in of this request still needs that lineage
            session_id = session._manager.new_session_id()
            session._identity = session._identity._replace(session_id=session_id, lineage_id=None)
            revocations.exempt = None
        lineages = _lineages(session)
        # A session that began after `invalidate` in this request has data, but no id yet.
        if not lineages or (session and session._identity.session_id is None and not session._headers_gone):
            lineages.append(bytes.fromhex(session.id))
        self._revoke_lineages(session, lineages)

    def revoke_incoming(self, session: Session) -> None:
        """Revoke the lineage that came in. One that this request has begun is in no cookie yet.

        :raises ConfigError: without a store, even if there is nothing to revoke.
        """
        self._require_store()
        lineages = dict.fromkeys([session._loaded.lineage, *_revocations(session).sealed])
        self._revoke_lineages(session, [lineage for lineage in lineages if lineage is not None])

    def revoke_subject(self, session: Session, subject: str) -> None:
        """Revoke the sessions of a subject that began until now.

        :raises ConfigError: without a store.
        """
        self._require_store()
        revocations, identity, exempt = _revocations(session), session._identity, b""
        if not isinstance(session, ClosedSession):  # afterwards no new id can be sealed
            exempt = revocations.reserved.get(subject) or session._manager.new_session_id()
            revocations.reserved = {**revocations.reserved, subject: exempt}
            if identity.subject == subject:
                # As `regenerate`, until the store has answered.
                own = without_csrf(identity.own)
                identity = session._identity = identity._replace(
                    session_id=exempt, lineage_id=identity.lineage, own=own
                )
                revocations.exempt = exempt
        key, caller = subject_key(subject), self._caller(session)
        what = "all sessions of a subject were"
        self._send(session, [Revocation(key, caller, subject, exempt, what, identity.session_id)])

    def note_sealed(self, session: Session) -> None:
        """Note that a token of the session has been sealed, which `revoke` and `revoke_incoming` must reach."""
        lineage = session._identity.lineage
        if self.revokes and lineage is not None:
            _revocations(session).sealed.append(lineage)

    async def send_pending(self, session: Session) -> None:
        """Send the revocations that wait to the store, awaiting it."""
        revocations = _revocations(session)
        store = self._require_store()
        while revocations.pending:
            revocation = revocations.pending.pop(0)
            if revocation.subject is None and revocation.key in revocations.ended:
                continue  # a second logout() of the same request
            try:
                done = not revocations.is_refused and await store.arevoke(*self._arguments(revocations, revocation))
                self._note(session, revocation, done)
            except Exception as error:  # noqa: BLE001  # StoreError, or whatever a user's store raises
                self._config.events.store_error(error, _NOT_REVOKED)
                revocations.pending.clear()  # each would wait for the same timeout
            except BaseException:  # cancelled: the middleware sends the rest when the request ends
                revocations.pending.insert(0, revocation)
                raise

    # ---------------------------------------------------------------------------------------------------------- inside

    def _require_store(self) -> RevocationStore:
        if self._config.store is None:
            raise ConfigError(
                "a session can only be revoked with a store that every server asks: set the option revocation, "
                "such as revocation='sqlite:/var/lib/app/revoked.db'. session.invalidate() needs none"
            )
        return self._config.store

    def _revoke_lineages(self, session: Session, lineages: list[bytes]) -> None:
        """Revoke lineages, whenever their sessions were sealed: a slower server may still seal one of them again."""
        identity, ended, caller = session._identity, _revocations(session).ended, self._caller(session)
        revocations = []
        for lineage in lineages:
            key = session_key(lineage)
            if key not in ended:
                # The id in the session's other events.
                session_id = identity.session_id if lineage == identity.lineage_id else lineage
                revocations.append(Revocation(key, caller, None, b"", "a session was", session_id))
        self._send(session, revocations)

    def _caller(self, session: Session) -> Caller:
        """Describe the caller of a revocation, so that the store can check whether it is revoked itself."""
        loaded, identity, acts_as = session._loaded, session._identity, _revocations(session).acts_as
        keys = [session_key(lineage) for lineage in _lineages(session)]
        for subject in {acts_as, identity.subject} - {None}:
            keys.append(subject_key(str(subject)))
        if loaded.token is not None and acts_as is not None:
            created, lineage = loaded.token.created, loaded.lineage
        else:
            created, lineage = identity.created, identity.lineage
        return Caller(tuple(keys), created, lineage or b"", self.begins_at(session))

    def _arguments(self, revocations: Revocations, revocation: Revocation) -> tuple[bytes, Entry, int, Caller]:
        """Return the store's arguments. Call this as late as possible: the entry revokes all earlier sessions.

        Earlier revocations by this request do not count, so that it can revoke more sessions. If one of their entries
        exempts a lineage, the caller is checked as that lineage, so that a revocation by another request still counts.
        """
        entry = Entry(ALWAYS)
        if revocation.subject is not None:
            entry = Entry(int(self._config.clock()), revocation.exempt)
        caller, ended = revocation.caller, revocations.ended
        keys = tuple(key for key in caller.keys if key not in ended or ended[key])
        exempt = [ended[key] for key in caller.keys if ended.get(key)]
        lineage = exempt[0] if exempt else caller.lineage
        return revocation.key, entry, self._ttl, caller._replace(keys=keys, lineage=lineage)

    def _send(self, session: Session, batch: list[Revocation]) -> None:
        store, revocations = self._require_store(), _revocations(session)
        if revocations.pending is not None:
            revocations.pending += batch
            return
        try:
            for revocation in batch:  # after a failure each would wait for the same timeout
                done = not revocations.is_refused and store.revoke(*self._arguments(revocations, revocation))
                self._note(session, revocation, done)
        except Exception as error:  # noqa: BLE001  # StoreError, or whatever a user's store raises
            self._config.events.store_error(error, _NOT_REVOKED)

    def _note(self, session: Session, revocation: Revocation, done: bool) -> None:
        """Record the store's answer, and report it.

        :raises StoreError: when the answer is not a bool, for example because the store's ``revoke`` returns nothing.
        """
        if type(done) is not bool:
            raise StoreError(f"revoke() must return True or False{got(done)}")
        revocations, identity, exempt = _revocations(session), session._identity, revocation.exempt
        if not done:
            revocations.is_refused = True
            error = UnsealError("revoked", "its session or its subject was revoked during the request")
            self._config.events.rejected(error, identity.session_id)
            return
        revocations.ended = {**revocations.ended, revocation.key: exempt}
        if revocation.subject is not None:
            if revocation.subject == revocations.acts_as:
                revocations.acts_as = None
            if exempt and exempt == revocations.exempt:
                session._identity = identity._replace(lineage_id=None if identity.session_id == exempt else exempt)
        self._config.events.revoked(revocation.what, revocation.session_id)


def _revocations(session: Session) -> Revocations:
    """Return the revocations of the session's request."""
    if session._revocations is None:
        session._revocations = Revocations(session._loaded)
    revocations: Revocations = session._revocations
    return revocations


def _lineages(session: Session) -> list[bytes]:
    """Return the lineages to revoke: the one that came in, and the present one if another one began."""
    revocations = _revocations(session)
    lineages = dict.fromkeys(
        (session._loaded.lineage, *revocations.sealed, session._identity.lineage, revocations.exempt)
    )
    return [lineage for lineage in lineages if lineage is not None]
