"""Applications and requests to measure, for WSGI and ASGI, with and without a session.

An action is the use that an application makes of its session. `ACTIONS` contains the measured ones; None means that the
session is not touched. `sign_in` fills the session with the payload "login".
"""

import itertools
import sys
from collections.abc import Callable
from io import BytesIO
from typing import Any

from payloads import PAYLOADS

Action = Callable[[Any], object]

FOREIGN_COOKIES = "_ga=GA1.2.1234567890.1712345678; theme=dark; "

_next_number = itertools.count(1).__next__
_BODY = [b"ok"]


def read(session: Any) -> None:
    """Read one key."""
    session.get("user_id")


def write(session: Any) -> None:
    """Set one key to a new value."""
    session["n"] = _next_number()


def sign_in(session: Any) -> None:
    """Fill the session."""
    for key, value in PAYLOADS["login"].items():
        session[key] = value


ACTIONS: dict[str, Action | None] = {"untouched": None, "read": read, "write": write}
CASES = [(f"{name}, {cookie}", name, cookie == "cookie") for name in ACTIONS for cookie in ("no cookie", "cookie")]

# --------------------------------------------------------------------------------------------------------------- WSGI


def wsgi_bare(environ: Any, start_response: Any) -> Any:
    """Answer a request without a session."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return _BODY


def wsgi_application(key: str, action: Action | None) -> Any:
    """Return an application that applies an action to the session in ``environ[key]``, then answers."""
    if action is None:
        return wsgi_bare

    def application(environ: Any, start_response: Any) -> Any:
        action(environ[key])
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
        return _BODY

    return application


def make_environ(cookie: str | None) -> dict[str, Any]:
    """Return a GET request with foreign cookies before the given one."""
    environ = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "443",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost",
        "HTTP_ACCEPT": "*/*",
        "HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64)",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https",
        "wsgi.input": BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    return environ if cookie is None else environ | {"HTTP_COOKIE": FOREIGN_COOKIES + cookie}


def wsgi_case(application: Any, environ: dict[str, Any]) -> Callable[[], None]:
    """Return a function that calls an application as a server does."""

    def start_response(status: str, headers: Any, exc_info: Any = None) -> None:
        pass

    def case() -> None:
        for _ in application(environ.copy(), start_response):
            pass

    return case


def wsgi_set_cookies(application: Any, environ: dict[str, Any]) -> list[str]:
    """Return the Set-Cookie lines of the response to a request."""
    found: list[str] = []

    def start_response(status: str, headers: Any, exc_info: Any = None) -> None:
        if not status.startswith("200"):
            raise RuntimeError(status)
        found.extend(value for name, value in headers if name.lower() == "set-cookie")

    for _ in application(environ.copy(), start_response):
        pass
    return found


# --------------------------------------------------------------------------------------------------------------- ASGI


async def asgi_bare(scope: Any, receive: Any, send: Any) -> None:
    """Answer a request without a session."""
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


def asgi_application(action: Action | None) -> Any:
    """Return an application that applies an action to the session in ``scope["session"]``, then answers."""
    if action is None:
        return asgi_bare

    async def application(scope: Any, receive: Any, send: Any) -> None:
        action(scope["session"])
        headers = [(b"content-type", b"text/plain"), (b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})

    return application


def make_scope(cookie: str | None) -> dict[str, Any]:
    """Return a GET request with foreign cookies before the given one."""
    headers = [(b"host", b"localhost"), (b"accept", b"*/*"), (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64)")]
    if cookie is not None:
        headers.append((b"cookie", (FOREIGN_COOKIES + cookie).encode()))
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "https",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 443),
    }


async def _receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


def _run(coroutine: Any) -> None:
    """Run a coroutine that never waits, without the cost of an event loop."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise RuntimeError("it waits for something")


def asgi_case(application: Any, scope: dict[str, Any]) -> Callable[[], None]:
    """Return a function that calls an application as a server does."""

    async def send(message: Any) -> None:
        pass

    def case() -> None:
        request = scope.copy()
        request["state"] = {}
        _run(application(request, _receive, send))

    return case


def asgi_set_cookies(application: Any, scope: dict[str, Any]) -> list[str]:
    """Return the Set-Cookie lines of the response to a request."""
    found: list[str] = []

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            found.extend(value.decode() for name, value in message["headers"] if name.lower() == b"set-cookie")

    _run(application({**scope, "state": {}}, _receive, send))
    return found
