"""Responses to errors of sealed state: a status, and JSON ``{"error": {"code": ..., "message": ...}}``.

`WSGIStateErrorMiddleware` and `ASGIStateErrorMiddleware` catch these errors around an application, and answer them if
no response has begun.

1. An old, foreign or invalid token is the client's fault, and never a server error.
2. Messages are for users. The text of the error is for the log, and never in a response.
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
    "malformed": (BAD_REQUEST, "MalformedState", "This is not the state of a page."),
    "expired_idle": _EXPIRED,
    "expired_absolute": _EXPIRED,
}
_FOREIGN = (FORBIDDEN, "ForeignState", "This state was made for another session or user. Load the page again.")


def response_to(error: StateError | UnsealError) -> tuple[int, bytes]:
    """Return the response to an error: the status code, and the JSON body.

    The status is 410 for `StaleStateError`; 403 for an expired or foreign token, and for a method that is not public;
    and 400 for a malformed token or call.
    """
    if isinstance(error, UnsealError):
        status, code, message = _CODES.get(error.reason, _FOREIGN)
    elif isinstance(error, StaleStateError):
        status, code, message = GONE, error.reason, _STALE
    elif isinstance(error, NotPublicError):
        status, code, message = FORBIDDEN, error.reason, "There is no such public method."
    else:
        status, code, message = BAD_REQUEST, error.reason, "This call is invalid."
    return status, json.dumps({"error": {"code": code, "message": message}}).encode()


def http_error(error: StateError | UnsealError) -> "WSGIHTTPException":
    """Return the response to an error as an exception of webob, which Pyramid and others raise.

    The exception is a WSGI application, too.
    """
    from webob.exc import status_map  # slow to import, and used only here

    status, body = response_to(error)
    response: WSGIHTTPException = status_map[status](body=body, content_type="application/json", charset=None)
    response.headers["Cache-Control"] = "no-store"
    return response


class WSGIStateErrorMiddleware:
    """WSGI middleware that answers errors of sealed state.

    :param app: the application. Errors of its iterable are answered, too, until the first bytes.
    """

    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        try:
            parts: Iterable[bytes] = self.app(environ, start_response)
        except (StateError, UnsealError) as error:
            return _send_answer(error, environ, start_response)
        file_wrapper = environ.get("wsgi.file_wrapper")
        is_file = isinstance(file_wrapper, type) and isinstance(parts, file_wrapper)  # servers send it faster
        return parts if is_file or isinstance(parts, list | tuple) else _Parts(parts, environ, start_response)


class _Parts:
    """The iterable of an application, which may do all its work before the first part."""

    def __init__(self, parts: Iterable[bytes], environ: dict[str, Any], start_response: Any) -> None:
        self._parts = parts
        self._remaining = iter(parts)
        self._environ = environ
        self._start_response = start_response

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._remaining)
        except (StateError, UnsealError) as error:
            self._remaining = iter(_send_answer(error, self._environ, self._start_response))
            return next(self._remaining, b"")

    def close(self) -> None:
        """Close the application's iterable. PEP 3333 requires this of middleware."""
        close = getattr(self._parts, "close", None)
        if close is not None:
            close()


def _send_answer(error: StateError | UnsealError, environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answer instead of the application. If headers have been sent, `start_response` raises the error again."""
    status, body = response_to(error)
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
    ]
    start_response(f"{status} {HTTPStatus(status).phrase}", headers, sys.exc_info())
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


class ASGIStateErrorMiddleware:
    """ASGI middleware that answers errors of sealed state.

    :param app: the application. Errors in a websocket, or after its response has begun, propagate unchanged.
    """

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        has_begun = scope["type"] != "http"

        async def send_wrapper(message: Any) -> None:
            nonlocal has_begun
            has_begun = has_begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, send_wrapper)
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
