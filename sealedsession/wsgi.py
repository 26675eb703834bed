"""The WSGI door (PEP 3333): the session stands in the environ, and start_response carries it away.

The application's iterable is returned untouched. Its headers are taken when it calls start_response, which a generator
does late, and taken again when it calls it again with exc_info.
"""

# Annotations stay text: those of a function defined for every request would be evaluated for every request.
from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import methodcaller
from typing import TYPE_CHECKING, Any, Unpack

from sealedsession.config import SessionConfig
from sealedsession.errors import without_own_frames
from sealedsession.manager import SessionManager
from sealedsession.options import SessionOptions, check_application
from sealedsession.session_states import UNOPENED_CONTENT, UnopenedSession

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_as_bytes = methodcaller("encode", "latin-1", "replace")  # a header of WSGI is text that means bytes (PEP 3333)


class SessionMiddleware:
    """Give a WSGI application a session, sealed in a cookie.

    :param app: the application. It finds the session, a dict, in ``environ["sealedsession.session"]``.
    :param config: a `SessionConfig`, or else
    :param options: the options of one.
    :raises ConfigError: at start, for every mistake in them, and for an application of the other kind.
    """

    @without_own_frames
    def __init__(
        self, app: WSGIApplication, config: SessionConfig | None = None, **options: Unpack[SessionOptions]
    ) -> None:
        check_application(app, "WSGI")
        self.app = app
        self.config = SessionConfig.of_arguments(config, options)
        self._key = self.config.environ_key
        self._manager = SessionManager[dict[str, Any], str](
            self.config, cookie_header=_as_bytes, plain_http_host=_plain_http_host, text=str, header_name=str
        )

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        key = self._key
        session = environ[key] = UnopenedSession(UNOPENED_CONTENT)
        session._keeper = self._manager
        session._cookies = environ.get("HTTP_COOKIE")
        session._request = environ if self._manager.binds else None
        session._headers_gone = False

        def sealing_start_response(
            status: str, headers: list[tuple[str, str]], exc_info: Any = None, /
        ) -> Callable[[bytes], object]:
            current = environ.get(key, session)
            if type(session) is UnopenedSession and current is session:
                session._headers_gone = True
            else:
                if current is not session:
                    self._manager.adopt(session, current)
                headers = self._manager.close(session, environ, int(status[:3]), headers)
            return start_response(status, headers, exc_info)

        return self.app(environ, sealing_start_response)


def _plain_http_host(environ: WSGIEnvironment) -> str | None:
    if environ["wsgi.url_scheme"] != "http":
        return None
    return str(environ.get("HTTP_HOST") or environ["SERVER_NAME"])
