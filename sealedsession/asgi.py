"""The ASGI door (ASGI 3, http and websocket): the session stands in ``scope["session"]``, and the message that carries
the response's headers carries it away.

Other scope types pass through untouched, and so does every message but those that carry headers. A websocket's session
is sealed with `websocket.accept`, or with the denial response: afterwards no header can go to the client.
"""

# Annotations stay text: those of a function defined for every request would be evaluated for every request.
from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Unpack

from sealedsession.config import SessionConfig
from sealedsession.errors import SessionClosed, without_own_frames
from sealedsession.manager import SessionManager
from sealedsession.options import SessionOptions, check_application
from sealedsession.session import Session
from sealedsession.session_states import UNOPENED_CONTENT, ClosedSession, UnopenedSession

# Any, because that is what satisfies Starlette, FastAPI, Litestar and asgiref at once.
ASGIApplication = Callable[[Any, Any, Any], Awaitable[None]]

_WITH_HEADERS = frozenset(("http.response.start", "websocket.http.response.start", "websocket.accept"))
_SWITCHING_PROTOCOLS = 101  # the status of an accepted websocket
_ACCEPT_HEADERS_SINCE = (2, 1)  # the ASGI spec_version in which websocket.accept got headers


class SessionMiddleware:
    """Give an ASGI application a session, sealed in a cookie.

    :param app: the application. It finds the session, a dict, in ``scope["session"]``.
    :param config: a `SessionConfig`, or else
    :param options: the options of one.
    :raises ConfigError: at start, for every mistake in them, and for an application of the other kind.
    """

    @without_own_frames
    def __init__(
        self, app: ASGIApplication, config: SessionConfig | None = None, **options: Unpack[SessionOptions]
    ) -> None:
        check_application(app, "ASGI")
        self.app = app
        self.config = SessionConfig.of_arguments(config, options)
        self._manager = SessionManager[Any, bytes](
            self.config,
            cookie_header=_cookie_header,
            plain_http_host=_plain_http_host,
            text=str.encode,
            header_name=lambda name: name.lower().encode(),
            awaits=True,
        )

    # A coroutine function: servers tell ASGI 3 from ASGI 2 by that.
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        session = scope["session"] = UnopenedSession(UNOPENED_CONTENT)
        session._keeper = self._manager
        session._cookies = scope["headers"]
        session._request = scope if self._manager.binds else None
        session._headers_gone = False
        if self._manager.awaits:
            await self._call_with_store(scope, receive, send, session)
            return

        def sealing_send(message: Any) -> Any:
            if message["type"] != "http.response.body":
                if type(session) is UnopenedSession and scope.get("session", session) is session:
                    if message["type"] in _WITH_HEADERS:
                        session._headers_gone = True
                else:
                    message = self._with_session(scope, session, message)
            return send(message)

        await self.app(scope, receive, sealing_send)

    async def _call_with_store(self, scope: Any, receive: Any, send: Any, session: Session) -> None:
        """Ask the store before the application runs, and tell it what was revoked before each message goes out."""
        await self._manager.fetch(session)

        async def sealing_send(message: Any) -> None:
            message = self._with_session(scope, session, message)
            if session._pending:
                await self._manager.revoke_pending(session)
            await send(message)

        try:
            await self.app(scope, receive, sealing_send)
        finally:
            if session._pending:
                await asyncio.shield(self._manager.revoke_pending(session))

    def _with_session(self, scope: Any, session: Session, message: Any) -> Any:
        """The message with the session's headers, if it is the one that carries headers."""
        kind = message["type"]
        if kind == "websocket.close":
            self._close_without_headers(scope, session, "websocket.close before websocket.accept")
        if kind not in _WITH_HEADERS:
            return message
        if kind == "websocket.accept" and _spec_version(scope) < _ACCEPT_HEADERS_SINCE:
            self._close_without_headers(
                scope, session, "websocket.accept of this server, whose ASGI spec_version is below 2.1,"
            )
            return message
        headers = message.get("headers", ())
        status = message.get("status", _SWITCHING_PROTOCOLS)
        current = scope.get("session", session)
        if current is not session:
            self._manager.adopt(session, current)
        sent = self._manager.close(session, scope, status, headers)
        return message if sent is headers else {**message, "headers": sent}

    def _close_without_headers(self, scope: Any, session: Session, message: str) -> None:
        """Close a session with a message that ends all chance to save it, and say so if that would lose a change."""
        self._manager.adopt(session, scope.get("session", session))
        if type(session) is not Session:
            return
        if session.modified:
            raise SessionClosed(
                f"the session was changed, and {message} carries no headers, so that no cookie can. Change it in an "
                "http request, or deny the websocket with a response (websocket.http.response.start)"
            )
        session.__class__ = ClosedSession


def _spec_version(scope: Any) -> tuple[int, ...]:
    """The version of the ASGI message format. Every server says "asgi"; test clients that do not, take headers."""
    versions = scope.get("asgi", {"spec_version": "2.1"})
    return tuple(map(int, versions.get("spec_version", "2.0").split(".")))


def _cookie_header(headers: Any) -> bytes | None:
    """All Cookie headers in one: HTTP/2 sends several (RFC 9113, 8.2.3)."""
    header: bytes | None = None
    for name, value in headers:
        if name == b"cookie":
            if header is not None:
                return b"; ".join([value for name, value in headers if name == b"cookie"])
            header = value
    return header


def _plain_http_host(scope: Any) -> str | None:
    if scope.get("scheme", "http") not in ("http", "ws"):
        return None
    for name, value in scope["headers"]:
        if name == b"host":
            return str(value, "latin-1")
    server = scope.get("server")
    return str(server[0]) if server else None
