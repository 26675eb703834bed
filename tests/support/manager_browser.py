"""A browser that talks to a session manager without a framework."""

from sealedsession.config import SessionConfig
from sealedsession.lifecycle.manager import SessionManager
from sealedsession.sealing.sealer import JSON, Sealer
from sealedsession.serialization.registry import Registry
from sealedsession.serialization.safe_pickle import PickleSerializer
from tests.support.unopened import open_session

NAME = "__Host-Http-session"


dumps = PickleSerializer(Registry()).dumps


def fill(session):
    session.update(user="ann", cart=["apple"])


class Browser:
    """A manager, and a browser that keeps its cookie. A request is its Cookie header."""

    token_cache = 0

    def __init__(self, clock, *, host=None, **options):
        self.config = SessionConfig(clock=clock, token_cache=self.token_cache, **options)
        self.manager = SessionManager(
            self.config,
            cookie_header=str.encode,
            plain_http_host=lambda request: host,
            text=str,
            header_name=str,
        )
        self.sealer = Sealer(self.config.keys, f"cookie:{self.config.cookie.name}", clock=clock)
        self.cookie = ""

    def visit(self, act=len, *, status=200, headers=(), cookie=None):
        """Make one request, and return the session and the headers of the response."""
        request = self.cookie if cookie is None else cookie
        session = open_session(self.manager, request)
        act(session)
        sent = self.manager.close(session, request, status, list(headers))
        for value in header(sent, "Set-Cookie"):
            self.cookie = value.partition(";")[0]
        return session, sent

    def seal(self, payload, **details):
        """A Cookie header with a payload of one's own."""
        details.setdefault("created", int(self.config.clock()))
        return f"{self.config.cookie.name}={self.sealer.seal(payload, **details)}"

    def sets_cookie(self, act=len, **request):
        return len(header(self.visit(act, **request)[1], "Set-Cookie")) == 1

    def deletes_cookie(self, act=len, **request):
        return header(self.visit(act, **request)[1], "Set-Cookie") == [self.config.cookie.deletion]


def header(headers, name):
    return [value for key, value in headers if key == name]


def tampered(browser):
    middle = len(browser.cookie) // 2
    other = "A" if browser.cookie[middle] != "A" else "B"
    return browser.cookie[:middle] + other + browser.cookie[middle + 1 :]


BAD_COOKIES = {
    "malformed": lambda browser: f"{NAME}=not base64",
    "malformed-empty": lambda browser: f"{NAME}=",
    "malformed-short": lambda browser: browser.cookie[:30],
    "malformed-version": lambda browser: f"{NAME}=" + "_" * 100,
    "malformed-long": lambda browser: f"{NAME}=" + "A" * 4097,
    "bad_signature": tampered,
    "bad_signature-cut": lambda browser: browser.cookie[:-4],
    "forbidden_value": lambda browser: browser.seal(b"cos\nsystem\n."),
    "forbidden_value-list": lambda browser: browser.seal(dumps(["no", "dict"])),
    "other_serializer": lambda browser: browser.seal(b"{}", serializer=JSON),
}
