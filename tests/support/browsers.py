"""A browser for WSGI and one for ASGI, which keep the cookie of a session."""

from sealedsession import asgi, wsgi
from tests.support.asgi_client import http, start, talk
from tests.support.wsgi_client import make_environ

NAME = "__Host-Http-session"
DELETION = f"{NAME}=; Max-Age=0"


class Browser:
    """A browser of one interface: it keeps its cookie, and `visit` gives the session of a request.

    A request with a cookie that a test gives is somebody else's, and leaves the one it keeps alone.
    """

    def __init__(self, options):
        self.options = options
        self.cookie = None
        self.set_cookies = []  # of the last response

    def visit(self, act=len, *, after=id, cookie=None):
        """Make a request that does something with its session before the response starts, and something after."""
        sessions = []

        def seen(session):
            sessions.append(session)
            act(session)

        self.set_cookies = self.request(seen, after, self.cookie if cookie is None else cookie)
        for value in self.set_cookies if cookie is None else ():
            self.cookie = None if value.startswith(DELETION) else value.partition(";")[0]
        return sessions[0]


class WsgiBrowser(Browser):
    def wrapped(self, app):
        return wsgi.SessionMiddleware(app, **self.options)

    def request(self, act, after, cookie):
        sent = []

        def app(environ, start_response):
            act(environ["sealedsession.session"])
            start_response("200 OK", [])
            after(environ["sealedsession.session"])
            return []

        self.wrapped(app)(make_environ(cookie), lambda _, headers, exc_info=None: sent.append(headers))
        return [value for name, value in sent[0] if name == "Set-Cookie"]


class AsgiBrowser(Browser):
    def wrapped(self, app):
        return asgi.SessionMiddleware(app, **self.options)

    def request(self, act, after, cookie):
        async def app(scope, receive, send):
            act(scope["session"])
            await send(start(headers=[]))
            after(scope["session"])

        scope = http(None if cookie is None else cookie.encode())
        [message] = talk(self.wrapped(app), scope)
        return [value.decode() for name, value in message["headers"] if name == b"set-cookie"]
