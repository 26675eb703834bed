"""The manager: opens and closes the sessions of requests, for any kind of server and framework.

    open, open_token                  a session that is loaded on first touch, see load.py
    close                             the response's headers, see save.py; unchanged if the session was not accessed
    action, set_cookie, token         the parts of close, for frameworks that render the cookie
    replace                           new content, for frameworks that replace the session by design

`Vary: Cookie` goes with every response whose session was read before its headers were sent, `Cache-Control` with every
Set-Cookie unless the application set its own. A store that must be awaited is called by `fetch` before the application
runs, and by `revoke_pending` before the response's headers are made. Any other store is called at once.

Errors leave without the frames of this package, whose local variables contain session values.
"""

import inspect
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, Literal, TypeVar

from sealedsession.config import SessionConfig
from sealedsession.cookie import LIMIT, is_loopback
from sealedsession.errors import ConfigError, SealError, drop_own_frames, got, without_own_frames
from sealedsession.lifecycle.load import SessionLoader
from sealedsession.lifecycle.payload import SessionPayload
from sealedsession.lifecycle.revoke import SessionRevoker
from sealedsession.lifecycle.save import Action, SessionHeaders, SessionSaver, Text
from sealedsession.revocation.store import add_lock
from sealedsession.sealing.sealer import SESSION_ID_BYTES, Sealer
from sealedsession.session import (
    UNOPENED_CONTENT,
    ClosedSession,
    Identity,
    Loaded,
    Session,
    UnopenedSession,
    reopen,
    wait_until_open,
)

Request = TypeVar("Request")
Settings = TypeVar("Settings")

_FOREIGN = re.compile(rb"[^A-Za-z0-9_-]")  # bytes that no token contains


def _no_header(_: object) -> None:
    return None


def _no_host(_: object) -> None:
    return None


class SessionManager(Generic[Request, Text]):
    """Opens and closes sessions by one configuration. One manager serves all requests and threads.

    The middleware creates a session unopened and stores only the data that is needed to open it. It does not store the
    request, unless a binding needs it (``binds``): request, session and request would be a reference cycle.

    Integrations of frameworks call the public methods. Each is safe to call from any thread, except that a store that
    blocks must be awaited in an event loop: pass ``awaits=True``, and call `aopen` and `aclose`.

    :param config: the options.
    :param cookie_header: returns the Cookie header as bytes, or None, from the value that a middleware has stored.
    :param plain_http_host: returns the host of a request that was made by plain http, or None.
    :param text: converts a header's value to the server's type, str or bytes.
    :param header_name: converts a header's name, which ASGI requires in lower case.
    :param awaits: whether the caller awaits a revocation store that blocks.
    :param purpose: with the configured name, the purpose of the subkeys: tokens of another purpose are refused.
    :param max_length: characters that a token may have, or None for as many as fit into a cookie.
    """

    def __init__(
        self,
        config: SessionConfig,
        *,
        cookie_header: Callable[[Any], bytes | None] = _no_header,
        plain_http_host: Callable[[Request], str | None] = _no_host,
        text: Callable[[str], Text] = str,  # type: ignore[assignment]
        header_name: Callable[[str], Text] = str,  # type: ignore[assignment]
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
            f"{purpose}:{config.cookie.name}",
            idle_timeout=config.timeouts.idle,
            absolute_timeout=config.timeouts.absolute,
            leeway=config.leeway,
            max_length=LIMIT - len(str(config.cookie.name)) if max_length is None else max_length,
            compress=config.compress,
            pad=config.pad,
            clock=config.clock,
            random_bytes=config._random_bytes,
        )
        self._payload = SessionPayload(config)
        self._headers: SessionHeaders[Text] = SessionHeaders(text, header_name, config.cache_control)
        self._loader = SessionLoader(config, self._sealer, self._payload, cookie_header)
        self._saver = SessionSaver(config, self._sealer, self._payload, self._headers, max_length)
        self._revoker = SessionRevoker(config)
        self.binds: bool = config.binding is not None
        self.revokes: bool = config.store is not None
        self.awaits: bool = awaits and config.store is not None and config.store.blocks
        self.load: Callable[[Session], Loaded] = _fetched if self.awaits else self._loader.load

    def open(self, cookie_header: str | bytes | None, request: Request | None = None) -> Session:
        """Return the session of a request. It is loaded on first touch.

        :param cookie_header: the request's Cookie header, or None.
        :param request: needed with the option ``binding``, whose function gets it.
        """
        if isinstance(cookie_header, str):
            cookie_header = cookie_header.encode("latin-1", "replace")
        elif cookie_header is not None and type(cookie_header) is not bytes:
            raise TypeError(f"cookie_header: it must be str, bytes or None{got(cookie_header)}")
        # Repeated in both middlewares: a common function costs a request that does not touch its session 5 %.
        session = UnopenedSession(UNOPENED_CONTENT)
        session._manager = self
        session._cookies = cookie_header
        session._request = request if self.binds else None
        session._arrived = self.config.clock()
        session._unclaimed = True
        session._opener = None
        session._headers_gone = False
        return session

    def open_token(self, token: str | bytes, request: Request | None = None) -> Session:
        """Return the session that a token contains, for frameworks that parse cookies themselves.

        :param token: the cookie's value, or an empty one if there is no cookie.
        :param request: needed with the option ``binding``, whose function gets it.
        """
        value = token.encode("utf-8", "replace") if isinstance(token, str) else token
        # A cookie's value may be quoted, and ends at a semicolon. A token is used unchanged.
        return self.open(
            str(self.config.cookie.name).encode() + b"=" + _FOREIGN.sub(b"?", value) if value else None, request
        )

    async def aopen(self, cookie_header: str | bytes | None, request: Request | None = None) -> Session:
        """Return the session of a request, and load it first if a store must be awaited: see `open`."""
        session = self.open(cookie_header, request)
        if self.awaits:
            await self.fetch(session)
        return session

    async def aopen_token(self, token: str | bytes, request: Request | None = None) -> Session:
        """Return the session that a token contains, and load it first if a store must be awaited: see `open_token`."""
        session = self.open_token(token, request)
        if self.awaits:
            await self.fetch(session)
        return session

    def close(
        self, session: Session, request: Request, status: int, headers: list[tuple[Text, Text]]
    ) -> list[tuple[Text, Text]]:
        """Close a session before the response's headers are sent.

        It may be called again, when the application replaces a response that has not been sent.

        :param request: the one that the session was made for.
        :param status: the response's status code.
        :param headers: the application's; left as they are.
        :returns: the headers to send, the same object if there is nothing to add.
        :raises SealError: when the session cannot be stored. It stays open.
        """
        session._headers_gone = True
        if isinstance(session, UnopenedSession):
            wait_until_open(session)
            if isinstance(session, UnopenedSession):
                return headers
        if session._revocations is not None and session._revocations.pending:
            raise RuntimeError("close: the session has revocations that must be awaited. Call aclose() instead")
        session.__class__ = ClosedSession  # first: what another thread writes from now on would be lost
        sent = list(headers)
        try:
            set_cookie = self._saver.set_cookie(session, request, status, sent)
        except Exception as error:
            reopen(session)
            drop_own_frames(error)
            raise
        session._request = None  # the request contains the session, and would keep it alive
        if set_cookie is not None and self._watch_transport:
            self._warn_of_plain_http(request)
        self._headers.add(sent, set_cookie)
        return sent

    async def aclose(
        self, session: Session, request: Request, status: int, headers: list[tuple[Text, Text]]
    ) -> list[tuple[Text, Text]]:
        """Send the session's revocations to the store, awaiting it, then close the session: see `close`."""
        if self.awaits:
            await self.finish(session)
        return self.close(session, request, status, headers)

    @without_own_frames
    def action(self, session: Session, headers: Sequence[tuple[Text, Text]] = ()) -> Action:
        """Decide what a response does with the browser's cookie, without sealing the session.

        :param headers: the application's headers. A response for shared caches gets no unrequested cookie.
        :returns: "keep", "delete", "delete_refused", "seal", "refresh" or "reseal".
        :raises SealError: when the session cannot be stored.
        """
        return "keep" if isinstance(session, UnopenedSession) else self._saver.action(session, headers)

    @without_own_frames
    def set_cookie(
        self,
        session: Session,
        request: Request | None = None,
        status: int = 200,
        headers: Sequence[tuple[Text, Text]] = (),
    ) -> str | None:
        """Return the value of a Set-Cookie header, or None. The session stays open.

        :param request: needed with the option ``binding``, whose function gets it.
        :param status: the response's status code.
        :param headers: the application's.
        :raises SealError: when the session cannot be stored.
        """
        if isinstance(session, UnopenedSession):
            return None
        set_cookie = self._saver.set_cookie(session, request, status, headers)
        if set_cookie is not None:
            self._revoker.note_sealed(session)
        return set_cookie

    @without_own_frames
    def token(self, session: Session, request: Request | None = None, action: Action = "seal") -> str:
        """Seal a session, for frameworks that render the cookie. The session stays open.

        :param request: needed with the option ``binding``, whose function gets it.
        :param action: what `action` returned, for the event: "seal", "refresh" or "reseal".
        :raises SealError: when the session cannot be stored, or was revoked during the request.
        :raises ValueError: for another action.
        """
        if action not in ("seal", "refresh", "reseal"):
            raise ValueError(f"action={action!r}: it must be 'seal', 'refresh' or 'reseal'")
        session.mark_accessed()
        if self.was_revoked(session):
            raise SealError("the session was revoked during the request, and cannot be sealed. Send no cookie")
        token = self._saver.token(session, request, action)
        self._revoker.note_sealed(session)
        return token

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

    def session_id(self, session: Session) -> str | None:
        """Return the id of an open session, or None if it has none. Reading `Session.id` would make one."""
        session_id = session._identity.session_id
        return None if session_id is None else session_id.hex()

    async def fetch(self, session: Session) -> None:
        """Load a session, awaiting the store, so that `load` need not."""
        store = self.config.store
        assert store is not None  # noqa: S101  # or there is nothing to await
        try:
            session._loaded = await self._loader.aload(session, store)
        except Exception as error:
            drop_own_frames(error)
            raise
        session._revocations = session._loaded.revocations

    async def revoke_pending(self, session: Session) -> None:
        """Send the application's revocations since `fetch` to the store."""
        if session._revocations is not None:
            await self._revoker.send_pending(session)

    async def finish(self, session: Session) -> None:
        """Send the remaining revocations to the store.

        Later revocations, by a thread or a task that outlives the request, are sent at once, without awaiting.
        """
        await self._revoker.send_pending(session)
        session._revocations.pending = None

    # ----------------------------------------------------------------------------------------------- what sessions call

    @without_own_frames
    def is_modified(self, session: Session) -> bool:
        """Return whether the session differs from the one that came in."""
        return self._saver.is_modified(session)

    @without_own_frames
    def size(self, session: Session) -> int:
        """Return the bytes of name and value that the cookie would take now."""
        return self._saver.size(session)

    @without_own_frames
    def ensure_fits(self, session: Session) -> None:
        """Raise a `SealError` unless the session can be sealed as it is."""
        self._saver.ensure_fits(session)

    def remaining(self, session: Session) -> int:
        """Return the bytes that are left until the limit."""
        return self._saver.limit - self.size(session)

    def expires_at(self, session: Session) -> int:
        """Return when the session ends if nobody uses it any more, in seconds since 1970."""
        token, identity = session._loaded.token, session._identity
        sealed_at = int(self.config.clock()) if token is None else token.sealed_at
        return self.config.timeouts.ends(identity.created, sealed_at, identity.lifetime)

    def new_session_id(self) -> bytes:
        """Return 128 bits from the CSPRNG."""
        return self.config._random_bytes(SESSION_ID_BYTES)

    def random_bytes(self, count: int) -> bytes:
        """Return bytes from the CSPRNG."""
        return self.config._random_bytes(count)

    def now(self) -> float:
        """Return the time by the configured clock, in seconds since 1970."""
        return self.config.clock()

    def new_identity(self, session: Session) -> Identity:
        """Return the identity of a session that this request begins, without an id."""
        if session._revocations is not None:
            session._revocations.exempt = None
        return Identity(self._revoker.begins_at(session), persistent=self.config.persistent)

    def begin_lineage(self, session: Session) -> bytes:
        """Return the session id of a lineage that begins with a sign-in of the session's subject."""
        return self._revoker.begin_lineage(session)

    def regenerate(self, session: Session) -> None:
        """Give the session a new id in the same lineage."""
        self._revoker.regenerate(session)

    def revoke(self, session: Session) -> None:
        """Revoke the session: see `Session.revoke`."""
        self._revoker.revoke(session)

    def revoke_incoming(self, session: Session) -> None:
        """Revoke the session that came in with the request, if any."""
        self._revoker.revoke_incoming(session)

    def revoke_subject(self, session: Session, subject: str) -> None:
        """Revoke the sessions of a subject: see `Session.revoke_subject`."""
        self._revoker.revoke_subject(session, subject)

    def was_revoked(self, session: Session) -> bool:
        """Return whether the store has found, during this request, that the session is revoked."""
        return session._revocations is not None and bool(session._revocations.is_refused)

    # ---------------------------------------------------------------------------------------------------------- inside

    def _warn_of_plain_http(self, request: Request) -> None:
        host = self._plain_http_host(request)
        if host is None or host == self._loopback:
            return
        if is_loopback(host):
            self._loopback = host  # cached: parsing the address is slower than sealing
        else:
            self._watch_transport = False  # warn once
            self.config.events.plain_http(host)


class ManagerCache(Generic[Settings]):
    """Managers by the settings that they were made from, for frameworks whose settings change while a process runs.

    Keys are derived once for each settings. Threads and forks can share a cache.

    :param make: makes a manager from settings.
    """

    _MAX_MANAGERS = 8  # the settings of several applications in one process, or of tests
    _lock: threading.Lock

    def __init__(self, make: Callable[[Settings], SessionManager[Any, Any]]) -> None:
        self._make = make
        self._managers: tuple[tuple[Settings, SessionManager[Any, Any]], ...] = ()
        add_lock(self)

    def get(self, settings: Settings) -> SessionManager[Any, Any]:
        """Return the manager for settings.

        :param settings: compared by equality. The caller must not change them later.
        """
        for known, manager in self._managers:  # a tuple that is replaced as a whole: reading it needs no lock
            if known == settings:
                return manager
        with self._lock:  # one manager for each settings: a store in memory belongs to one
            for known, manager in self._managers:
                if known == settings:
                    return manager
            manager = self._make(settings)
            self._managers = ((settings, manager), *self._managers[: self._MAX_MANAGERS - 1])
            return manager


def _fetched(session: Session) -> Loaded:
    if not hasattr(session, "_loaded"):
        raise RuntimeError("open: the revocation store must be awaited. Call aopen() instead")
    return session._loaded


_CALLS = {
    "WSGI": (("environ", "start_response"), "for ASGI there is sealedsession.asgi.SessionMiddleware"),
    "ASGI": (("scope", "receive", "send"), "for WSGI there is sealedsession.wsgi.SessionMiddleware"),
}


def check_application(app: object, kind: Literal["WSGI", "ASGI"]) -> None:
    """Check that a server can call an application.

    :raises ConfigError: if the call would certainly fail.
    """
    arguments, other = _CALLS[kind]
    wanted = f"app: it must be an application of {kind}, a function of {', '.join(arguments)}"
    if not callable(app):
        raise ConfigError(wanted + got(app))
    try:
        signature = inspect.signature(app, follow_wrapped=False)  # a decorator can change the arguments
    except (TypeError, ValueError, NameError):  # written in C, or with annotations that cannot be resolved
        return
    try:
        signature.bind(*arguments)
    except TypeError:
        raise ConfigError(f"{wanted}; {other}") from None
    call = app if inspect.isroutine(app) else type(app).__call__
    if kind == "WSGI" and inspect.iscoroutinefunction(call):
        raise ConfigError(f"{wanted}, and not async; {other}")
