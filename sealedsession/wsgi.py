"""The WSGI middleware (PEP 3333): it puts the session into the environ and seals it when the application calls
start_response.

1. The application's iterable is returned untouched. A generator calls start_response late. An application may also call
   start_response again with exc_info, which replaces the headers.
2. The environ key belongs to the middleware. A mapping that the application puts there becomes the session's content.
3. Errors leave without the frames of this package, whose local variables hold session values.
"""

# Annotations stay text. Otherwise those of the nested function would be evaluated for every request.
from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import methodcaller
from typing import TYPE_CHECKING, Any, Unpack

from sealedsession.config import SCOPE_KEY, SessionConfig, SessionOptions
from sealedsession.errors import ConfigError, drop_own_frames, without_own_frames
from sealedsession.lifecycle.manager import SessionManager, check_application
from sealedsession.session import UNOPENED_CONTENT, Session, UnopenedSession

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_as_bytes = methodcaller("encode", "latin-1", "replace")  # WSGI decodes headers as latin-1 (PEP 3333)


class SessionMiddleware:
    """Give a WSGI application a session, sealed in a cookie.

    :param app: the application. It finds the session, a dict, in ``environ["sealedsession.session"]``.
    :param config: the options as a `SessionConfig`.
    :param options: the options as keyword arguments, instead of `config`.
    :raises ConfigError: at start, if an option is invalid, or if the application is of the other kind.
    """

    @without_own_frames
    def __init__(
        self, app: WSGIApplication, config: SessionConfig | None = None, **options: Unpack[SessionOptions]
    ) -> None:
        check_application(app, "WSGI")
        self.app = app
        self.config: SessionConfig = SessionConfig.from_arguments(config, options)
        if self.config.scope_key != SCOPE_KEY:
            raise ConfigError(
                f"scope_key: {self.config.scope_key!r} has no effect in WSGI. Set environ_key instead, which names the "
                "key of the environ"
            )
        self._key = self.config.environ_key
        self._clock = self.config.clock
        self.manager: SessionManager[dict[str, Any], str] = SessionManager(
            self.config, cookie_header=_as_bytes, plain_http_host=_plain_http_host, text=str, header_name=str
        )

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        key, manager = self._key, self.manager
        # As SessionManager.open, which has the reason.
        session = environ[key] = UnopenedSession(UNOPENED_CONTENT)
        session._manager = manager
        session._cookies = environ.get("HTTP_COOKIE")
        session._request = environ if manager.binds else None
        session._arrived = self._clock()
        session._unclaimed = True
        session._opener = None
        session._headers_gone = False

        def sealing_start_response(
            status: str, headers: list[tuple[str, str]], exc_info: Any = None, /
        ) -> Callable[[bytes], object]:
            try:
                if environ.get(key, session) is not session:
                    self._take_over(environ, session)
                session._headers_gone = True
                # Something has opened it. The second condition is enough, but takes 4 % longer for an open session.
                if type(session) is Session or not hasattr(session, "_unclaimed"):
                    headers = self.manager.close(session, environ, int(status[:3]), headers)
            except Exception as error:
                drop_own_frames(error)
                raise
            if exc_info is None:  # some servers and adapters refuse None as a third argument
                return start_response(status, headers)
            return start_response(status, headers, exc_info)

        try:
            return self.app(environ, sealing_start_response)
        except Exception as error:
            drop_own_frames(error)
            raise

    def _take_over(self, environ: WSGIEnvironment, session: Session) -> None:
        """Put the session back where the application has replaced it, with the replacement as its new content.

        Leave the session of another middleware of this class alone.
        """
        if not isinstance(environ[self._key], Session):
            self.manager.replace(session, environ[self._key])
            environ[self._key] = session


def _plain_http_host(environ: WSGIEnvironment) -> str | None:
    if environ["wsgi.url_scheme"] != "http":
        return None
    return str(environ.get("HTTP_HOST") or environ["SERVER_NAME"])
