"""The ASGI middleware (ASGI 3, http and websocket): it puts the session into the scope, and seals it with the message
that carries the response's headers.

1. Other scope types pass through untouched, and so does every message except for those that carry headers.
2. A websocket's session is sealed with `websocket.accept`, or with the denial response. After that, no header can be
   sent to the client.
3. Only the object that the middleware has put into the scope is its session. Any other object there when the headers
   are sent, such as a mounted application's own session, is ignored.
4. Errors leave without the frames of this package, whose local variables hold session values.
"""

# Annotations stay text. Otherwise those of the nested functions would be evaluated for every request.
from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Unpack

from sealedsession.config import ENVIRON_KEY, SessionConfig, SessionOptions
from sealedsession.errors import ConfigError, SessionClosedError, drop_own_frames, without_own_frames
from sealedsession.lifecycle.manager import SessionManager, check_application
from sealedsession.session import UNOPENED_CONTENT, ClosedSession, Session, UnopenedSession, wait_until_open

if TYPE_CHECKING:
    from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, WWWScope

# The arguments are Any here and in `SessionMiddleware.__call__`: Starlette, FastAPI and Litestar have types of their
# own for them, and none of these accepts those of asgiref.
ASGIApplication = Callable[[Any, Any, Any], Awaitable[None]]

_WITH_HEADERS = frozenset(("http.response.start", "websocket.http.response.start", "websocket.accept"))
_LAST_WITH_COOKIE = _WITH_HEADERS | {"websocket.close"}  # no later message can carry a cookie
_SWITCHING_PROTOCOLS = 101  # the status of an accepted websocket
_ACCEPT_HEADERS_SINCE = (2, 1)  # the ASGI spec_version in which websocket.accept got headers


class SessionMiddleware:
    """Give an ASGI application a session, sealed in a cookie.

    :param app: the application. It finds the session, a dict, in ``scope["session"]``, or under the option `scope_key`.
    :param config: the options as a `SessionConfig`.
    :param options: the options as keyword arguments, instead of `config`.
    :raises ConfigError: at start, if an option is invalid, or if the application is of the other kind.
    """

    @without_own_frames
    def __init__(
        self, app: ASGIApplication, config: SessionConfig | None = None, **options: Unpack[SessionOptions]
    ) -> None:
        check_application(app, "ASGI")
        self.app = app
        self.config: SessionConfig = SessionConfig.from_arguments(config, options)
        if self.config.environ_key != ENVIRON_KEY:
            raise ConfigError(
                f"environ_key: {self.config.environ_key!r} has no effect in ASGI. Set scope_key instead, which names "
                "the key of the scope"
            )
        self._key = self.config.scope_key
        self._clock = self.config.clock
        self.manager: SessionManager[Any, bytes] = SessionManager(
            self.config,
            cookie_header=cookie_header,
            plain_http_host=plain_http_host,
            text=str.encode,
            header_name=lambda name: name.lower().encode(),
            awaits=True,
        )

    # A coroutine function: by that, servers distinguish ASGI 3 from ASGI 2.
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = scope["headers"]
        if type(headers) is not list and type(headers) is not tuple:  # ASGI allows any iterable, even a generator
            headers = scope["headers"] = [(name, value) for name, value in headers]
        # As SessionManager.open, which has the reason.
        session = UnopenedSession(UNOPENED_CONTENT)
        session._manager = self.manager
        session._cookies = headers
        session._arrived = self._clock()
        session._unclaimed = True
        session._opener = None
        session._headers_gone = False
        key = self._key
        if key in scope:  # the session of another middleware, which must not see this one
            scope = {**scope, key: session}
        else:  # in place, so that outer middlewares see what routers put into the scope
            scope[key] = session
        session._request = scope if self.manager.binds else None

        def sealing_send(message: ASGISendEvent) -> Any:
            if message["type"] != "http.response.body":
                if message["type"] in _LAST_WITH_COOKIE:
                    session._headers_gone = True
                if (
                    type(session) is Session
                    or not hasattr(session, "_unclaimed")
                    or scope.get(self._key, session) is not session
                ):
                    try:
                        message = self._with_session(scope, session, message)
                    except Exception as error:
                        drop_own_frames(error)
                        raise
            return send(message)

        try:
            if self.manager.awaits:
                await self._call_with_store(scope, receive, send, session)
            else:
                await self.app(scope, receive, sealing_send)
        except Exception as error:
            drop_own_frames(error)
            raise

    async def _call_with_store(
        self, scope: Any, receive: ASGIReceiveCallable, send: ASGISendCallable, session: Session
    ) -> None:
        """Look up the session before the application runs, and send revocations to the store before each message."""
        await self.manager.fetch(session)

        async def sealing_send(message: ASGISendEvent) -> None:
            try:
                if session._revocations.pending:
                    await self.manager.revoke_pending(session)
                message = self._with_session(scope, session, message)
            except Exception as error:
                drop_own_frames(error)
                raise
            await send(message)

        try:
            await self.app(scope, receive, sealing_send)
        finally:
            if session._revocations.pending:
                await asyncio.shield(self.manager.finish(session))
            else:
                session._revocations.pending = None

    def _with_session(self, scope: Any, session: Session, message: ASGISendEvent) -> Any:
        """Return the message with the session's headers, if it is the one that carries headers."""
        kind = message["type"]
        if scope.get(self._key, session) is not session:
            self.config.events.foreign_session(type(scope[self._key]))
        if kind == "websocket.close":
            self._close_without_headers(session, "websocket.close before websocket.accept")
        if kind not in _WITH_HEADERS:
            return message
        if kind == "websocket.accept" and _spec_version(scope) < _ACCEPT_HEADERS_SINCE:
            self._close_without_headers(
                session, "websocket.accept of this server, whose ASGI spec_version is below 2.1,"
            )
            return message
        fields: Any = message  # type checkers do not narrow it by _WITH_HEADERS
        headers = fields.get("headers", ())
        sent = self.manager.close(session, scope, fields.get("status", _SWITCHING_PROTOCOLS), headers)
        return message if sent is headers else {**fields, "headers": sent}

    def _close_without_headers(self, session: Session, message: str) -> None:
        """Close a session with a message after which it cannot be saved, and raise an error if that loses a change."""
        session._headers_gone = True
        wait_until_open(session)
        if isinstance(session, UnopenedSession | ClosedSession):
            return
        if session.modified:
            raise SessionClosedError(
                f"the session was changed, and {message} carries no headers, so that no cookie can. Change it in an "
                "http request, or deny the websocket with a response (websocket.http.response.start)"
            )
        session.__class__ = ClosedSession


def _spec_version(scope: WWWScope) -> tuple[int, ...]:
    """Return the version of the ASGI message format. Only test clients leave out "asgi", and they accept headers."""
    versions = scope.get("asgi", {"spec_version": "2.1"})
    return tuple(map(int, versions.get("spec_version", "2.0").split(".")))


def cookie_header(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """Return the value of the Cookie header, or None.

    HTTP/2 sends several, which are joined by semicolons (RFC 9113, 8.2.3).

    :param headers: ``scope["headers"]``.
    """
    header: bytes | None = None
    for name, value in headers:
        if name == b"cookie":
            if header is not None:
                return b"; ".join([value for name, value in headers if name == b"cookie"])
            header = value
    return header


def plain_http_host(scope: Any) -> str | None:
    """Return the host of a request that was made by plain http, or None for https."""
    if scope.get("scheme", "http") not in ("http", "ws"):
        return None
    for name, value in scope["headers"]:
        if name == b"host":
            return str(value, "latin-1")
    server = scope.get("server")
    if server and not isinstance(server, list | tuple):  # ASGI allows any iterable, even a generator
        server = scope["server"] = list(server)
    return str(server[0]) if server else None
