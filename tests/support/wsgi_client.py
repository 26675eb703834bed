"""Requests to a WSGI application."""

from typing import NamedTuple
from wsgiref.util import setup_testing_defaults


class Response(NamedTuple):
    status: str
    headers: list
    body: bytes

    @property
    def cookies(self):
        """The cookies it sets, as the next request's Cookie header."""
        return "; ".join(value.partition(";")[0] for name, value in self.headers if name == "Set-Cookie")


def make_environ(cookie=None, **more):
    environ = {"QUERY_STRING": "", **more}
    setup_testing_defaults(environ)
    return environ if cookie is None else {**environ, "HTTP_COOKIE": cookie}


def request(app, cookie=None, **more):
    """What a server does for one request: the last start_response before the first byte counts."""
    started, written = [], []

    def start_response(status, headers, exc_info=None):
        if exc_info and written:
            raise exc_info[1]
        started.append((status, headers))
        return written.append

    iterable = app(make_environ(cookie, **more), start_response)
    try:
        for part in iterable:
            written.append(part)
    finally:
        getattr(iterable, "close", int)()
    return Response(*started[-1], b"".join(written))
