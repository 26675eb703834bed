"""One request's session, from Cookie header to Set-Cookie, for any kind of server.

    load(session)                     on first touch: what the cookie holds, see incoming.py
    close(session, status, headers)   the response's headers, see outgoing.py: the same object when nobody looked

`Vary: Cookie` goes with every response whose session was looked into, `Cache-Control` with every Set-Cookie unless the
application sent its own. Where the store has to be awaited, `fetch` looks into it before the application runs, and
`revoke_pending` after it has spoken; elsewhere both happen at once.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from sealedsession.config import SessionConfig
from sealedsession.cookie import LIMIT, is_loopback
from sealedsession.errors import ConfigError
from sealedsession.form import SessionForm
from sealedsession.headers import SessionHeaders, Text
from sealedsession.incoming import Incoming
from sealedsession.lifetimes import DAY
from sealedsession.outgoing import Outgoing
from sealedsession.plaintext import SID_BYTES
from sealedsession.revocation.store import ALWAYS, Entry, RevocationStore, key_of_session, key_of_subject
from sealedsession.seal import Sealer
from sealedsession.session import Session
from sealedsession.session_states import ClosedSession, UnopenedSession

Request = TypeVar("Request")


class _Revocation(NamedTuple):
    """What the application has revoked: an entry for the store, and what its event says."""

    key: bytes
    entry: Entry
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
        self._form = SessionForm(config)
        self._incoming = Incoming(config, self._sealer, self._form, cookie_header)
        self._outgoing = Outgoing(config, self._sealer, self._form)
        self._headers: SessionHeaders[Text] = SessionHeaders(text, header_name, config.cache_control)
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
        if isinstance(session, UnopenedSession):
            session._headers_gone = True
            return headers
        session.__class__ = Session  # open, so that a function given as `oversize` can trim it, the second time too
        set_cookie = self._outgoing.set_cookie(session, request, status)
        session.__class__ = ClosedSession
        if set_cookie is not None and self._watch_transport:
            self._warn_of_plain_http(request)
        return self._headers.add(headers, set_cookie)

    def adopt(self, session: Session, current: object) -> None:
        """Take over what the application has put where its session was, before the session is closed: a mapping
        becomes its content, and anything else empties it. Another middleware's session is left alone.
        """
        if isinstance(current, Session) or isinstance(session, ClosedSession):
            return
        content = dict(current) if isinstance(current, Mapping) else {}  # a copy: it may be a view of the session
        session.clear()
        session.update(content)

    async def fetch(self, session: Session) -> None:
        """Find what the request's cookie holds, awaiting the store, so that `load` need not."""
        session._pending = []
        session._fetched = await self._incoming.aopen(session, self._store)

    async def revoke_pending(self, session: Session) -> None:
        """Tell the store what the application has revoked since `fetch`."""
        while session._pending:
            revocation = session._pending.pop(0)
            try:
                await self._store.arevoke(revocation.key, revocation.entry, self._ttl)
                self.config.events.revoked(revocation.what, revocation.sid)
            except Exception as error:  # noqa: BLE001  # StoreError, or anything that somebody's store raises
                self.config.events.store_error(error, _NOT_REVOKED)
                session._pending.clear()  # each would wait for the same timeout
            except BaseException:  # cancelled: it is told at the end
                session._pending.insert(0, revocation)
                raise

    # ------------------------------------------------------------------------------------------- what a session asks

    def is_modified(self, session: Session) -> bool:
        """Whether the session differs from what came in."""
        return self._outgoing.is_modified(session)

    def size(self, session: Session) -> int:
        """Bytes of name and value that the cookie would take now."""
        return self._outgoing.size(session)

    def remaining(self, session: Session) -> int:
        """Bytes until the limit."""
        return LIMIT - self.size(session)

    def new_sid(self) -> bytes:
        """128 bits from the CSPRNG."""
        return self.config.random_bytes(SID_BYTES)

    def now(self) -> int:
        """Seconds since 1970."""
        return int(self.config.clock())

    def ends(self, session: Session) -> int:
        """When the session ends if nobody uses it any more."""
        sealed_at = self.now() if session._origin is None else session._origin.sealed_at
        return self.config.timeouts.ends(session._created, sealed_at, session._lifetime)

    def revoke(self, session: Session, roots: Sequence[bytes]) -> None:
        """Revoke sessions by their first ids, for ever: a slower server may seal one again in a moment.

        :raises ConfigError: without a store, even if there is nothing to revoke.
        """
        revocations = []
        for root in roots:
            sid = session._sid if root == session._root else root  # its event names it as the others do
            revocations.append(_Revocation(key_of_session(root), Entry(ALWAYS), "a session was", sid))
        self._revoke(session, revocations)

    def revoke_subject(self, session: Session, subject: str, spared: bytes | None) -> None:
        """Revoke the sessions of a subject that began until now, but for one."""
        entry = Entry(self.now(), spared or b"")
        what = "all sessions of a subject were"
        self._revoke(session, [_Revocation(key_of_subject(subject), entry, what, spared)])

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

    def _revoke(self, session: Session, revocations: list[_Revocation]) -> None:
        store = self._store
        if self.awaits:
            session._pending += revocations
            return
        try:
            for revocation in revocations:  # after a failure each would wait for the same timeout
                store.revoke(revocation.key, revocation.entry, self._ttl)
                self.config.events.revoked(revocation.what, revocation.sid)
        except Exception as error:  # noqa: BLE001  # StoreError, or anything that somebody's store raises
            self.config.events.store_error(error, _NOT_REVOKED)

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
