"""Errors of sealed state as responses: a status, and JSON ``{"error": {"code": ..., "message": ...}}``.

`WSGIStateErrorMiddleware` and `ASGIStateErrorMiddleware` answer for an application that lets these errors out: for
http, and until a response has begun. An old, foreign or broken token is the client's fault, never a server error. The
messages are for users and do not contain the error's text, which is for the log.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from sealedsession.errors import NotPublicError, Reason, StaleStateError, StateError, UnsealError

if TYPE_CHECKING:
    from webob.exc import WSGIHTTPException

GONE, FORBIDDEN, BAD_REQUEST = 410, 403, 400

_STALE = "What this part of the page shows is gone or has changed. Load the page again."
_EXPIRED = (FORBIDDEN, "ExpiredState", "This page is too old. Load it again.")
_CODES: dict[Reason, tuple[int, str, str]] = {
    "malformed": (BAD_REQUEST, "MalformedState", "This is no state of a page."),
    "expired_idle": _EXPIRED,
    "expired_absolute": _EXPIRED,
}
_FOREIGN = (FORBIDDEN, "ForeignState", "This state was made for another session or user. Load the page again.")


def response_to(error: StateError | UnsealError) -> tuple[int, bytes]:
    """What a client is told: the status code, and JSON.

    It is 410 for `StaleStateError`, 403 for a token that is expired or somebody else's, and for a method that is not
    public, and 400 for what is no token or no call.
    """
    if isinstance(error, UnsealError):
        status, code, message = _CODES.get(error.reason, _FOREIGN)
    elif isinstance(error, StaleStateError):
        status, code, message = GONE, error.reason, _STALE
    elif isinstance(error, NotPublicError):
        status, code, message = FORBIDDEN, error.reason, "There is no such public method."
    else:
        status, code, message = BAD_REQUEST, error.reason, "This is no call that can be carried out."
    return status, json.dumps({"error": {"code": code, "message": message}}).encode()


def http_error(error: StateError | UnsealError) -> "WSGIHTTPException":
    """The same as an exception of webob, which is a WSGI application too: Pyramid and others raise these."""
    from webob.exc import status_map  # here, as only this needs it, and it is slow to import

    status, body = response_to(error)
    made: WSGIHTTPException = status_map[status](body=body, content_type="application/json", charset=None)
    made.headers["Cache-Control"] = "no-store"
    return made


class WSGIStateErrorMiddleware:
    """WSGI middleware that answers for an application that lets errors of sealed state out.

    :param app: the application. Errors of its iterable are answered too, until it has given its first bytes.
    """

    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        try:
            parts: Iterable[bytes] = self.app(environ, start_response)
        except (StateError, UnsealError) as error:
            return _answer(error, environ, start_response)
        file_wrapper = environ.get("wsgi.file_wrapper")
        is_file = isinstance(file_wrapper, type) and isinstance(parts, file_wrapper)  # which the server looks for
        return parts if is_file or isinstance(parts, list | tuple) else _Parts(parts, environ, start_response)


class _Parts:
    """What an application gives one by one, the first of it perhaps only after all its work."""

    def __init__(self, parts: Iterable[bytes], environ: dict[str, Any], start_response: Any) -> None:
        self._parts = parts
        self._left = iter(parts)
        self._environ = environ
        self._start_response = start_response

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._left)
        except (StateError, UnsealError) as error:
            self._left = iter(_answer(error, self._environ, self._start_response))
            return next(self._left, b"")

    def close(self) -> None:
        """Close the application's iterable, as PEP 3333 asks of whoever wraps it."""
        close = getattr(self._parts, "close", None)
        if close is not None:
            close()


def _answer(error: StateError | UnsealError, environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answer instead of the application, while its error is handled. If it is too late, the server raises that."""
    status, body = response_to(error)
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
    ]
    start_response(f"{status} {HTTPStatus(status).phrase}", headers, sys.exc_info())
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


class ASGIStateErrorMiddleware:
    """ASGI middleware that answers for an application that lets errors of sealed state out.

    :param app: the application. In a websocket, or once its response has begun, its errors pass.
    """

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        has_begun = scope["type"] != "http"

        async def noting_send(message: Any) -> None:
            nonlocal has_begun
            has_begun = has_begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, noting_send)
        except (StateError, UnsealError) as error:
            if has_begun:
                raise
            status, body = response_to(error)
            headers = [
                (b"content-type", b"application/json"),
                (b"content-length", b"%d" % len(body)),
                (b"cache-control", b"no-store"),
            ]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body})
