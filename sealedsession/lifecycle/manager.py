"""One request's session, from Cookie header to Set-Cookie, for any kind of server.

    load(session)                     on first touch: what the cookie holds, see incoming.py
    close(session, status, headers)   the response's headers, see outgoing.py: the same object when nobody looked

    replace(session, mapping)         new content, for frameworks that replace the session by design

`Vary: Cookie` goes with every response whose session was read before its headers were sent, `Cache-Control` with every
Set-Cookie unless the application sent its own. Where the store must be awaited, `fetch` looks into it before the
application runs, and `revoke_pending` calls it before the response's headers are built; elsewhere it is called at once.

Errors leave without the frames of this package, whose local variables hold session values.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from sealedsession.config import DAY, SessionConfig
from sealedsession.cookie import LIMIT, is_loopback
from sealedsession.errors import (
    ConfigError,
    StoreError,
    UnsealError,
    drop_own_frames,
    got,
    without_own_frames,
)
from sealedsession.lifecycle.load import SessionLoader
from sealedsession.lifecycle.payload import SessionPayload
from sealedsession.lifecycle.save import SessionHeaders, SessionSaver, Text
from sealedsession.revocation.store import ALWAYS, Caller, Entry, RevocationStore, session_key, subject_key
from sealedsession.sealing.sealer import SID_BYTES, Sealer
from sealedsession.session import OPENING, ClosedSession, Session, UnopenedSession, wait_until_open

Request = TypeVar("Request")


class _Revocation(NamedTuple):
    """A revocation that the application has asked for.

    :param caller: the session that has asked for it, as it was then.
    :param subject: whose sessions are revoked, or None for a lineage.
    :param spared: the lineage that is exempt, or ``b""``.
    :param what: what the event says.
    :param sid: the id that names the session in the event.
    """

    key: bytes
    caller: Caller
    subject: str | None
    spared: bytes
    what: str
    sid: bytes | None


class SessionManager(Generic[Request, Text]):
    """Opens and closes sessions by one configuration. One manager serves all requests and threads.

    The doors make the sessions: unopened, with the manager as keeper, and of the request what is needed to open it. Not
    the request itself, unless it `binds`: the request holds the session, and if the session held the request, neither
    would be freed before the next garbage collection.

    :param cookie_header: gives the Cookie header, or None, of what a door has put in its session as `_cookies`.
    :param plain_http_host: gives the host that a request was made to if that was by plain http, or None.
    :param text: makes a header's value of the server's kind of str.
    :param header_name: the same for its name, which ASGI wants in lower case.
    :param awaits: whether whoever calls this awaits a revocation store that blocks.
    :param purpose: what the tokens are for: with the configured name, the purpose of their subkeys.
    :param max_length: characters that a token may have, or None: those that a cookie has for it.
    """

    def __init__(
        self,
        config: SessionConfig,
        *,
        cookie_header: Callable[[Any], bytes | None],
        plain_http_host: Callable[[Request], str | None],
        text: Callable[[str], Text],
        header_name: Callable[[str], Text],
        awaits: bool = False,
        purpose: str = "cookie",
        max_length: int | None = None,
    ) -> None:
        self.config = config
        self._plain_http_host = plain_http_host
        self._watch_transport = config.secure
        self._loopback: str | None = None
        self._sealer = Sealer(
            config.keys,
            f"{purpose}:{config.name}",
            idle_timeout=config.timeouts.idle,
            absolute_timeout=config.timeouts.absolute,
            leeway=config.leeway,
            max_length=LIMIT - len(str(config.name)) if max_length is None else max_length,
            compress=config.compress,
            pad=config.pad,
            clock=config.clock,
            random_bytes=config.random_bytes,
        )
        self._payload_format = SessionPayload(config)
        self._headers: SessionHeaders[Text] = SessionHeaders(text, header_name, config.cache_control)
        self._incoming = SessionLoader(config, self._sealer, self._payload_format, cookie_header)
        self._outgoing = SessionSaver(config, self._sealer, self._payload_format, self._headers)
        self.binds = config.binding is not None
        self.revokes = config.store is not None
        self.awaits = awaits and config.store is not None and config.store.blocks
        # On first touch: what the cookie holds.
        self.load: Callable[[Session], dict[Any, Any]] = _fetched if self.awaits else self._incoming.open

    def close(
        self, session: Session, request: Request, status: int, headers: list[tuple[Text, Text]]
    ) -> list[tuple[Text, Text]]:
        """Close a session before the response's headers go out.

        It may be called again, when the application replaces a response that has not been sent.

        :param request: the one that the session was made for.
        :param status: the response's status code.
        :param headers: the application's; left as they are.
        :returns: the headers to send, the same object where nothing is to be added.
        :raises SealError: when the session cannot be stored. It stays open.
        """
        session._headers_gone = True
        if OPENING:
            wait_until_open(session)
        if isinstance(session, UnopenedSession):
            return headers
        session.__class__ = ClosedSession  # first: what another thread writes from now on would be lost
        sent = list(headers)
        try:
            set_cookie = self._outgoing.set_cookie(session, request, status, sent)
        except Exception as error:  # StoreError, or whatever a user's store raises
            session.__class__ = Session
            drop_own_frames(error)
            raise
        session._request = None  # the request contains the session, and would keep it alive
        if set_cookie is not None and self._watch_transport:
            self._warn_of_plain_http(request)
        self._headers.add(sent, set_cookie)
        return sent

    @without_own_frames
    def replace(self, session: Session, content: Mapping[Any, Any]) -> None:
        """Replace a session's content by a mapping, for frameworks that replace the session by design.

        An empty mapping also removes the subject, as `Session.clear` does.

        :raises TypeError: when the content is not a mapping.
        :raises SessionClosedError: after the response's headers have been sent.
        """
        if not isinstance(content, Mapping):
            raise TypeError(
                f"session: only a mapping can replace its content{got(content)}. Assign a dict, or call "
                "session.update() with one"
            )
        session._replace(dict(content))  # a copy: it may be a view of the session

    async def fetch(self, session: Session) -> None:
        """Find what the request's cookie holds, awaiting the store, so that `load` need not."""
        session._pending = []
        try:
            session._fetched = await self._incoming.aopen(session, self._store)
        except Exception as error:  # StoreError, or whatever a user's store raises
            drop_own_frames(error)
            raise

    async def revoke_pending(self, session: Session) -> None:
        """Send the application's revocations since `fetch` to the store."""
        while session._pending:
            revocation = session._pending.pop(0)
            if revocation.subject is None and revocation.key in session._ended:
                continue  # a second logout() of the same request
            try:
                arguments = self._arguments(session, revocation)
                self._note(session, revocation, not session._revoked and await self._store.arevoke(*arguments))
            except Exception as error:  # noqa: BLE001  # StoreError, or whatever a user's store raises
                self.config.events.store_error(error, _NOT_REVOKED)
                session._pending.clear()  # each would wait for the same timeout
            except BaseException:  # cancelled: the rest is revoked at the end
                session._pending.insert(0, revocation)
                raise

    async def finish(self, session: Session) -> None:
        """Send what is left to the store. What the application revokes later, in a thread or a task that outlives the
        request, is sent at once, without awaiting."""
        await self.revoke_pending(session)
        session._pending = None

    # ------------------------------------------------------------------------------------------- what a session asks

    @without_own_frames
    def is_modified(self, session: Session) -> bool:
        """Whether the session differs from what came in."""
        return self._outgoing.is_modified(session)

    @without_own_frames
    def size(self, session: Session) -> int:
        """Bytes of name and value that the cookie would take now."""
        return self._outgoing.size(session)

    @without_own_frames
    def ensure_fits(self, session: Session) -> None:
        """Raise a `SealError` unless the session can be sealed as it is."""
        self._outgoing.ensure_fits(session)

    def remaining(self, session: Session) -> int:
        """Bytes until the limit."""
        return LIMIT - self.size(session)

    def new_sid(self) -> bytes:
        """128 bits from the CSPRNG."""
        return self.config.random_bytes(SID_BYTES)

    def begins_at(self, session: Session) -> int:
        """Return the time of creation for a session that this request begins.

        The store's answer was current at that time: a revocation that came later also refuses the new session.
        """
        return int(session._arrived - (self.config.store.staleness if self.config.store is not None else 0))

    def ends(self, session: Session) -> int:
        """When the session ends if nobody uses it any more."""
        sealed_at = int(self.config.clock()) if session._origin is None else session._origin.sealed_at
        return self.config.timeouts.ends(session._created, sealed_at, session._lifetime)

    def revoke(self, session: Session, lineages: Sequence[bytes]) -> None:
        """Revoke lineages, whenever their sessions were sealed: a slower server may yet seal one of them again.

        :raises ConfigError: without a store, even if there is nothing to revoke.
        """
        revocations = []
        for lineage in lineages:
            key = session_key(lineage)
            if key not in session._ended:
                sid = session._sid if lineage == session._root else lineage  # the id that its other events have
                revocations.append(_Revocation(key, self._caller(session), None, b"", "a session was", sid))
        self._revoke(session, revocations)

    def revoke_subject(self, session: Session, subject: str, spared: bytes) -> None:
        """Revoke the sessions of a subject that began until now, except for a lineage, or none if that is empty."""
        key, caller, what = subject_key(subject), self._caller(session), "all sessions of a subject were"
        self._revoke(session, [_Revocation(key, caller, subject, spared, what, session._sid)])

    # ---------------------------------------------------------------------------------------------------------- inside

    @property
    def _store(self) -> RevocationStore:
        if self.config.store is None:
            raise ConfigError(
                "a session can only be revoked with a store that every server asks: set the option revocation, "
                "such as revocation='sqlite:/var/lib/app/revoked.db'. session.invalidate() needs none"
            )
        return self.config.store

    @property
    def _ttl(self) -> int:
        # Sealed by a clock that is ahead, read by one behind. An idle timeout alone does not end what a request seals
        # that was under way: such a request has a day.
        margin = 2 * self.config.leeway + (0 if self.config.timeouts.absolute else DAY)
        return self.config.timeouts.longest + margin

    def _caller(self, session: Session) -> Caller:
        """Describe the session that asks for a revocation, so that the store can check whether it is revoked itself.

        It is the session that came in, also after the request has ended it or removed its subject, until the request
        signs somebody in.
        """
        keys = [session_key(lineage) for lineage in session._lineages()]
        for subject in {session._came_as, session._subject} - {None}:
            keys.append(subject_key(str(subject)))
        origin = session._origin
        if origin is not None and session._came_as is not None:
            created, lineage = origin.created, session._came_under
        else:
            created, lineage = session._created, session._root or session._sid
        return Caller(tuple(keys), created, lineage or b"", self.begins_at(session))

    def _arguments(self, session: Session, revocation: _Revocation) -> tuple[bytes, Entry, int, Caller]:
        """Make the store's arguments, as late as possible: the entry revokes what has begun until now.

        What this request has revoked before is no obstacle: it may go on to revoke others. Where its own entry exempts
        a lineage, the session is checked as that one, so that a revocation by others still counts.
        """
        entry = Entry(ALWAYS)
        if revocation.subject is not None:
            entry = Entry(int(self.config.clock()), revocation.spared)
        caller: Caller = revocation.caller
        ended = session._ended
        keys = tuple(key for key in caller.keys if key not in ended or ended[key])
        exempt = [ended[key] for key in caller.keys if ended.get(key)]
        lineage = exempt[0] if exempt else caller.lineage
        return revocation.key, entry, self._ttl, caller._replace(keys=keys, lineage=lineage)

    def _revoke(self, session: Session, revocations: list[_Revocation]) -> None:
        store = self._store
        if self.awaits and session._pending is not None:
            session._pending += revocations
            return
        try:
            for revocation in revocations:  # after a failure each would wait for the same timeout
                done = not session._revoked and store.revoke(*self._arguments(session, revocation))
                self._note(session, revocation, done)
        except Exception as error:  # noqa: BLE001  # StoreError, or whatever a user's store raises
            self.config.events.store_error(error, _NOT_REVOKED)

    def _note(self, session: Session, revocation: _Revocation, done: bool) -> None:
        """Take note of the store's answer, and report it.

        Only when an entry exempts a session, the session moves to the exempt lineage. A session that the store has
        found revoked is not sealed any more.

        :raises StoreError: when the answer is not a bool, because the store's ``revoke`` returns nothing for example.
        """
        if type(done) is not bool:
            raise StoreError(f"revoke() must return True or False{got(done)}")
        if not done:
            session._revoked = True
            session._rejected = "revoked"
            error = UnsealError("revoked", "its session or its subject was revoked during the request")
            self.config.events.rejected(error, session._sid)
            return
        session._ended = {**session._ended, revocation.key: revocation.spared}
        if revocation.subject is not None:
            if revocation.subject == session._came_as:
                session._came_as = None
            if revocation.spared and revocation.spared == session._exempt:
                session._root = None if session._sid == revocation.spared else revocation.spared
        self.config.events.revoked(revocation.what, revocation.sid)

    def _warn_of_plain_http(self, request: Request) -> None:
        host = self._plain_http_host(request)
        if host is None or host == self._loopback:
            return
        if is_loopback(host):
            self._loopback = host  # asking takes longer than sealing
        else:
            self._watch_transport = False  # once says it
            self.config.events.plain_http(host)


_NOT_REVOKED = "what was to be revoked is not: copies of the cookie live on until their timeouts"


def _fetched(session: Session) -> dict[Any, Any]:
    return session._fetched


_CALLS = {
    "WSGI": (("environ", "start_response"), "for ASGI there is sealedsession.asgi.SessionMiddleware"),
    "ASGI": (("scope", "receive", "send"), "for WSGI there is sealedsession.wsgi.SessionMiddleware"),
}


def check_application(app: object, kind: Literal["WSGI", "ASGI"]) -> None:
    """Refuse what cannot be called as a server calls an application.

    :raises ConfigError: for what certainly is no such application.
    """
    arguments, other = _CALLS[kind]
    wanted = f"app has to be one of {kind}, a function of {', '.join(arguments)}"
    if not callable(app):
        raise ConfigError(wanted + got(app))
    try:
        signature = inspect.signature(app, follow_wrapped=False)  # of what is called, and not of what it wraps
    except (TypeError, ValueError, NameError):  # one in C, or with annotations that name nothing: it does not tell
        return
    try:
        signature.bind(*arguments)
    except TypeError:
        raise ConfigError(f"{wanted}; {other}") from None
    call = app if inspect.isroutine(app) else type(app).__call__
    if kind == "WSGI" and inspect.iscoroutinefunction(call):
        raise ConfigError(f"{wanted}, and not async; {other}")
