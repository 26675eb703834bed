"""What a real browser does with cookies as `CookiePolicy` renders them, and with those that it refuses to render."""

import secrets
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest
from playwright.sync_api import Page

from sealedsession.cookie import ATTRIBUTE_LIMIT, LIMIT, MAX_AGE_LIMIT, CookiePolicy
from sealedsession.wsgi import SessionMiddleware

pytestmark = pytest.mark.browser


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True  # browsers open connections that they do not use


class Handler(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Print nothing."""


class Site:
    """A server on localhost that sends the given Set-Cookie headers, and records the Cookie headers.

    `app` answers instead, when it is set.
    """

    def __init__(self) -> None:
        self.set_cookies: list[str] = []
        self.cookie_header = ""
        self.app: Callable[..., Any] | None = None
        self.server = make_server("127.0.0.1", 0, self, server_class=Server, handler_class=Handler)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        if self.app is not None:
            return self.app(environ, start_response)
        self.cookie_header = environ.get("HTTP_COOKIE", "")
        start_response("200 OK", [("Content-Type", "text/html"), *(("Set-Cookie", line) for line in self.set_cookies)])
        return [b'<!doctype html><link rel="icon" href="data:,"><title>A page</title>']

    def url(self, path: str = "/", host: str = "localhost") -> str:
        return f"http://{host}:{self.server.server_port}{path}"


@pytest.fixture
def site() -> Iterator[Site]:
    served = Site()
    thread = threading.Thread(target=served.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield served
    served.server.shutdown()
    thread.join(60)
    served.server.server_close()


def policy(**options: Any) -> CookiePolicy:
    """Return a policy. Its warnings are tested elsewhere."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return CookiePolicy(**options)


def visit(site: Site, page: Page, *set_cookies: str, path: str = "/", host: str = "localhost") -> list[Any]:
    """Get a page with these Set-Cookie headers.

    :returns: the cookies that the browser has then.
    """
    site.set_cookies = list(set_cookies)
    response = page.goto(site.url(path, host))
    assert response is not None
    assert response.ok
    return page.context.cookies()


def rendered(options: CookiePolicy, value: str = "value") -> str:
    """The Set-Cookie header, as the session manager writes it."""
    return f"{options.name}={value}{options.attributes}"


@pytest.mark.parametrize("name", ["s", "session", "__Host-session", "n" * 100], ids=len)
def test_4096_bytes_are_kept_and_4097_are_not(site: Site, page: Page, name: str) -> None:
    """Name and value may take 4096 bytes together, wherever the border between them is, and not one more."""
    options = policy(name=name)
    most = "v" * (LIMIT - len(name))
    (cookie,) = visit(site, page, rendered(options, most))
    assert (cookie["name"], cookie["value"]) == (name, most)
    visit(site, page)
    assert site.cookie_header == f"{name}={most}"
    page.context.clear_cookies()
    assert visit(site, page, rendered(options, most + "v")) == []


def test_one_byte_too_many_leaves_the_old_cookie(site: Site, page: Page) -> None:
    """A cookie of 4097 bytes does not replace the one that is there: that is why too large is an error."""
    options = policy()
    visit(site, page, rendered(options, "old"))
    (cookie,) = visit(site, page, rendered(options, "v" * (LIMIT + 1 - len(str(options.name)))))
    assert cookie["value"] == "old"


def test_a_session_filled_to_the_last_byte_is_kept(site: Site, page: Page) -> None:
    """A session that reports no byte remaining makes a cookie that the browser keeps and sends back."""
    seen: list[tuple[int, int]] = []

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        session = environ["sealedsession.session"]
        if not session:
            session["text"] = ""
            session["text"] = "x" * (session.remaining // 4 * 3 - 3)
            while session.remaining > 0:
                session["text"] += "x"
        seen.append((session.size, len(session["text"])))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"full"]

    # With this name a token of every length but 4n + 1 leaves no byte.
    keys = {"validate_key": secrets.token_bytes(32), "encrypt_key": secrets.token_bytes(32)}
    site.app = SessionMiddleware(app, **keys, name="__Host-session")
    page.goto(site.url())
    page.goto(site.url())
    (cookie,) = page.context.cookies()
    assert len(cookie["name"]) + len(cookie["value"]) == LIMIT
    assert seen[0] == seen[1]
    assert seen[0][0] == LIMIT


def test_the_default_cookie(site: Site, page: Page) -> None:
    """The default cookie is accepted from localhost over plain http, and is what it says: a __Host-Http- cookie."""
    (cookie,) = visit(site, page, rendered(policy()))
    assert cookie == {
        "name": "__Host-Http-session",
        "value": "value",
        "domain": "localhost",  # no dot in front: this host only
        "path": "/",
        "expires": -1,  # with the browser
        "httpOnly": True,
        "secure": True,
        "sameSite": "Lax",
    }


@pytest.mark.parametrize("samesite", ["Lax", "Strict", "None"])
@pytest.mark.parametrize("httponly", [True, False])
def test_attributes(site: Site, page: Page, httponly: bool, samesite: str) -> None:
    """SameSite and HttpOnly arrive as they were set, with every prefix."""
    names = ["session", "__Secure-session", "__Host-session"]
    headers = [rendered(policy(name=name, samesite=samesite, httponly=httponly)) for name in names]
    cookies = visit(site, page, *headers)
    assert sorted(cookie["name"] for cookie in cookies) == sorted(names)
    assert {(cookie["sameSite"], cookie["httpOnly"], cookie["secure"]) for cookie in cookies} == {
        (samesite, httponly, True)
    }


def test_http_prefixes(site: Site, page: Page) -> None:
    """The prefixes of cookies that only a response header can set are accepted as well."""
    names = ["__Host-Http-session", "__Http-session"]
    assert (
        sorted(cookie["name"] for cookie in visit(site, page, *(rendered(policy(name=name)) for name in names)))
        == names
    )


def test_not_secure(site: Site, page: Page) -> None:
    """The opt-out for development gives a cookie that is not Secure."""
    (cookie,) = visit(site, page, rendered(policy(secure=False)))
    assert cookie["name"] == "sealed-session"
    assert not cookie["secure"]


def test_strict_is_not_sent_from_another_site(site: Site, page: Page) -> None:
    """Following a link from another site, the browser sends the Lax and the None cookie, and not the Strict one."""
    every = [policy(name=samesite, samesite=samesite) for samesite in ("Lax", "Strict", "None")]
    visit(site, page, *map(rendered, every))
    visit(site, page, host="other.localhost")
    site.set_cookies = []
    page.set_content(f'<a href="{site.url()}">there</a>')
    with page.expect_navigation():
        page.get_by_role("link").click()
    assert site.cookie_header == "Lax=value; None=value"


def test_partitioned(site: Site, page: Page) -> None:
    """A Partitioned cookie is kept in the partition of the site that is visited."""
    (cookie,) = visit(site, page, rendered(policy(partitioned=True, samesite="None")))
    assert cookie["name"] == "__Host-Http-session"
    assert cookie["partitionKey"] == "http://localhost"
    visit(site, page)
    assert site.cookie_header == "__Host-Http-session=value"


@pytest.mark.parametrize("max_age", [60, 3600, MAX_AGE_LIMIT])
def test_max_age(site: Site, page: Page, max_age: int) -> None:
    """A cookie with Max-Age outlives the browser by as many seconds, up to the 400 days that are the limit."""
    (cookie,) = visit(site, page, rendered(policy()) + f"; Max-Age={max_age}")
    assert cookie["expires"] == pytest.approx(time.time() + max_age, abs=30)


def test_max_age_over_the_limit_is_clipped(site: Site, page: Page) -> None:
    """More than 400 days become 400 days: that is why the middleware sends no more."""
    header = rendered(policy()) + f"; Max-Age={MAX_AGE_LIMIT * 2}"
    (cookie,) = visit(site, page, header)
    assert cookie["expires"] == pytest.approx(time.time() + MAX_AGE_LIMIT, abs=30)


def test_path_and_domain(site: Site, page: Page) -> None:
    """Path and Domain say who gets the cookie: that part of the site, on that host and the hosts below it."""
    header = rendered(policy(path="/shop", domain="example.localhost"))
    (cookie,) = visit(site, page, header, host="www.example.localhost")
    assert cookie["domain"] == ".example.localhost"
    assert cookie["path"] == "/shop"
    sent = []
    for host in ("example.localhost", "shop.example.localhost", "other.localhost"):
        for path in ("/", "/shop", "/shop/cart", "/shopping"):
            visit(site, page, host=host, path=path)
            sent += [host + path] if site.cookie_header else []
    assert sent == [
        "example.localhost/shop",
        "example.localhost/shop/cart",
        "shop.example.localhost/shop",
        "shop.example.localhost/shop/cart",
    ]


def test_attribute_limit(site: Site, page: Page) -> None:
    """A path of 1024 bytes is honoured, and a longer one is ignored: that is why a policy refuses it."""
    path = "/" + "p" * (ATTRIBUTE_LIMIT - 1)
    header = rendered(policy(path=path))
    (cookie,) = visit(site, page, header, path=path)
    assert cookie["path"] == path
    page.context.clear_cookies()
    assert path not in [
        cookie["path"] for cookie in visit(site, page, header.replace(path, path + "p"), path=path + "p")
    ]


@pytest.mark.parametrize(
    "header",
    [
        "__Host-session=v; Path=/; HttpOnly; SameSite=Lax",
        "__host-session=v; Path=/; HttpOnly; SameSite=Lax",
        "__Host-session=v; Path=/shop; Secure; HttpOnly; SameSite=Lax",
        "__Host-session=v; Path=/; Domain=example.localhost; Secure; HttpOnly; SameSite=Lax",
        "__Secure-session=v; Path=/; HttpOnly; SameSite=Lax",
        "__Http-session=v; Path=/; Secure; SameSite=Lax",
        "__Host-Http-session=v; Path=/; Secure; SameSite=Lax",
        "session=v; Path=/; HttpOnly; SameSite=None",
        "session=v; Path=/; HttpOnly; SameSite=Lax; Partitioned",
    ],
)
def test_what_a_policy_refuses_browsers_drop(site: Site, page: Page, header: str) -> None:
    """What no policy renders, as it is a ConfigError at start, is what the browser drops without a word."""
    assert visit(site, page, header, path="/shop", host="example.localhost") == []


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"secure": False},
        {"path": "/shop"},
        {"domain": "example.localhost"},
        {"domain": "example.localhost", "path": "/shop"},
        {"partitioned": True, "samesite": "None"},
        {"partitioned": True, "samesite": "None", "name": "session", "path": "/shop"},
        {"partitioned": True, "samesite": "None", "domain": "example.localhost"},
    ],
    ids=lambda options: " ".join(f"{key}={value}" for key, value in options.items()) or "default",
)
def test_deletion(site: Site, page: Page, options: dict[str, Any]) -> None:
    """The deleting header removes exactly the cookie that the policy set, and no neighbour."""
    host = "www.example.localhost"
    neighbour = "neighbour=v; Path=/; Secure"
    own = policy(**options)
    assert len(visit(site, page, rendered(own), neighbour, path="/shop", host=host)) == 2
    (cookie,) = visit(site, page, own.deletion, path="/shop", host=host)
    assert cookie["name"] == "neighbour"


@pytest.mark.parametrize(
    ("options", "change"),
    [
        ({"partitioned": True}, "; Partitioned"),
        ({"domain": "example.localhost"}, "; Domain=example.localhost"),
        ({"path": "/shop"}, "; Path=/shop"),
    ],
)
def test_deletion_needs_the_same_attributes(site: Site, page: Page, options: dict[str, Any], change: str) -> None:
    """A deletion without the cookie's Partitioned, Domain or Path leaves it there: that is why ours repeats them."""
    own = policy(name="session", samesite="None", **options)
    assert change in own.deletion
    visit(site, page, rendered(own), path="/shop", host="www.example.localhost")
    other = own.deletion.replace(change, "; Path=/" if "Path" in change else "")
    assert len(visit(site, page, other, path="/shop", host="www.example.localhost")) == 1


def test_scripts_cannot_read_ours(site: Site, page: Page) -> None:
    """document.cookie holds a cookie with httponly=False, and never the default one."""
    visit(site, page, rendered(policy()), rendered(policy(name="open", httponly=False)))
    assert page.evaluate("document.cookie") == "open=value"
    assert len(page.context.cookies()) == 2


def test_scripts_cannot_overwrite_ours(site: Site, page: Page) -> None:
    """A script can neither replace nor delete the default cookie."""
    visit(site, page, rendered(policy()))
    page.evaluate("document.cookie = '__Host-session=script; Path=/; Secure; SameSite=Lax'")
    page.evaluate("document.cookie = '__Host-session=; Path=/; Secure; Max-Age=0'")
    (cookie,) = page.context.cookies()
    assert cookie["value"] == "value"
