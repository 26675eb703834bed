"""One journey through a session's life, the same through every client and every real server.

A client is a function of path and Cookie header that returns an Answer. Cookies are kept and sent here, and not by the
clients' own jars, which hold Secure cookies back from plain http on loopback.
"""

import asyncio
import json
from http.client import HTTPConnection
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import NamedTuple

import httpx
import journey_apps
import pytest
import webtest

from tests.support.starlette_client import TestClient

HERE = Path(__file__).parent
LOCAL = "http://localhost"
MAIN, OTHER = "__Host-Http-session", "__Host-other"


class Answer(NamedTuple):
    status: int
    headers: list[tuple[str, str]]
    text: str


# ------------------------------------------------------------------------------------------------------------- clients


def webtest_client(path, cookie):
    jar = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    response = webtest.TestApp(journey_apps.wsgi, cookiejar=jar).get(path, headers={"Cookie": cookie}, status="*")
    return Answer(response.status_int, response.headerlist, response.text)


def httpx_wsgi_client(path, cookie):
    with httpx.Client(transport=httpx.WSGITransport(journey_apps.wsgi), base_url=LOCAL) as client:
        return _answer_of_httpx(client.get(path, headers={"Cookie": cookie}))


def httpx_asgi_client(path, cookie):
    async def get():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(journey_apps.asgi), base_url=LOCAL) as client:
            return await client.get(path, headers={"Cookie": cookie})

    return _answer_of_httpx(asyncio.run(get()))


def starlette_client(path, cookie):
    client = TestClient(journey_apps.asgi, base_url=LOCAL)
    return _answer_of_httpx(client.get(path, headers={"Cookie": cookie}))


def _answer_of_httpx(response):
    return Answer(response.status_code, response.headers.multi_items(), response.text)


def network_client(port):
    def client(path, cookie):
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request("GET", path, headers={"Cookie": cookie})
            response = connection.getresponse()
            return Answer(response.status, response.getheaders(), response.read().decode())
        finally:
            connection.close()

    return client


IN_PROCESS = {
    "webtest": webtest_client,
    "httpx-wsgi": httpx_wsgi_client,
    "httpx-asgi": httpx_asgi_client,
    "starlette": starlette_client,
}
SERVERS = {
    "gunicorn": ("gunicorn", "--bind", "127.0.0.1:{port}", "--workers", "2", "journey_apps:wsgi"),
    "waitress": ("journey_apps.py",),
    "uvicorn": ("uvicorn", "--port", "{port}", "--lifespan", "off", "journey_apps:asgi"),
    "hypercorn": ("hypercorn", "--bind", "127.0.0.1:{port}", "journey_apps:asgi"),
}


class Clock:
    """The clock of all servers, which is a file."""

    def __init__(self, path):
        self.path = path
        self.set(1_800_000_000)

    def set(self, seconds):
        self.path.write_text(str(seconds))

    def advance(self, seconds):
        self.set(float(self.path.read_text()) + seconds)


@pytest.fixture(scope="module")
def clock(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        path = tmp_path_factory.mktemp("clock") / "seconds"
        patch.setenv("JOURNEY_CLOCK", str(path))
        yield Clock(path)


@pytest.fixture(scope="module")
def find_client(clock, serve):
    """Give the client of a name; a server is started when it is first asked for."""
    clients = dict(IN_PROCESS)

    def find_client(name):
        if name not in clients:
            clients[name] = network_client(serve(*SERVERS[name], cwd=HERE))
        return clients[name]

    return find_client


class Visitor:
    """A browser: it keeps cookies, and reads the answers."""

    def __init__(self, client):
        self.client = client
        self.cookies = {}

    def get(self, path):
        """Visit a path, and return the answer and the names of the cookies that it set or deleted."""
        answer = self.client(path, "; ".join(f"{name}={value}" for name, value in self.cookies.items()))
        changed = []
        for header, line in answer.headers:
            if header.lower() == "set-cookie":
                pair, _, attributes = line.partition("; ")
                assert attributes.endswith("Path=/; Secure; HttpOnly; SameSite=Lax")
                name, _, value = pair.partition("=")
                changed.append(name)
                self.cookies[name] = value
                if attributes.startswith("Max-Age=0"):
                    del self.cookies[name]
        return answer, changed

    def see(self, path, content, *, changed=(), rejected=None):
        """Visit a path, and demand what its session holds and which cookies were set or deleted."""
        answer, names = self.get(path)
        assert json.loads(answer.text) == {"session": content, "rejected": rejected}
        assert names == list(changed)
        varies = [value for header, value in answer.headers if header.lower() == "vary"]
        assert varies == ["Cookie"]


# --------------------------------------------------------------------------------------------------------- the journey


@pytest.fixture(params=[*IN_PROCESS, *SERVERS])
def visitor(request, find_client):
    """A visitor without cookies, of every client in turn."""
    return Visitor(find_client(request.param))


def test_journey(visitor, clock):
    """Set, read, change, expire, tamper, outgrow, rotate and clear: every client and server tells the same story."""
    ann = {"user": "ann", "cart": ["apple"]}

    # Nobody looked: nothing is sent. Looked, and found nothing: still no cookie.
    answer, changed = visitor.get("/before/untouched/")
    assert (answer.text, changed) == ("{}", [])
    assert not {"vary", "cache-control"} & {header.lower() for header, _ in answer.headers}
    visitor.see("/before/read/", {})

    # Set, read, nested change.
    visitor.see("/before/sign-in/ann", {"user": "ann", "cart": []}, changed=[MAIN])
    visitor.see("/before/read/", {"user": "ann", "cart": []})
    visitor.see("/before/add/apple", ann, changed=[MAIN])
    visitor.see("/before/read/", ann)

    # Used from time to time, it is refreshed and lives on.
    for _ in range(3):
        clock.advance(journey_apps.IDLE_TIMEOUT - 1)
        visitor.see("/before/read/", ann, changed=[MAIN])
    visitor.see("/before/read/", ann)

    # Too large: the application receives an error, and the browser keeps its cookie.
    answer, changed = visitor.get("/before/grow/x")
    assert (answer.status, changed) == (413, [])
    assert json.loads(answer.text)["too_large"][0] == "ballast"
    visitor.see("/before/read/", ann)

    # Tampered with: a new session, and the bad cookie goes.
    good = visitor.cookies[MAIN]
    visitor.cookies[MAIN] = good[:40] + ("A" if good[40] != "A" else "B") + good[41:]
    visitor.see("/before/read/", {}, changed=[MAIN], rejected="bad_signature")
    assert visitor.cookies == {}

    # New keys: the old cookie opens while the old keys are fallbacks, and is sealed by the new ones when it is used.
    visitor.cookies[MAIN] = good
    visitor.see("/during/read/", ann, changed=[MAIN])
    visitor.see("/after/read/", ann)
    visitor.cookies[MAIN] = good
    visitor.see("/after/read/", {}, changed=[], rejected="unknown_key")

    # Two middlewares: each has its own cookie.
    visitor.cookies[MAIN] = good
    visitor.see("/pair/other/bob", {"user": "bob", "cart": []}, changed=[OTHER])
    visitor.see("/pair/add/pear", {"user": "ann", "cart": ["apple", "pear"]}, changed=[MAIN])
    visitor.see("/pair/clear/", {}, changed=[MAIN])
    visitor.see("/pair/other/bob", {"user": "bob", "cart": []})
    assert list(visitor.cookies) == [OTHER]

    # Expired.
    visitor.cookies[MAIN] = good
    clock.advance(journey_apps.IDLE_TIMEOUT + 1)
    visitor.see("/before/read/", {}, changed=[MAIN], rejected="expired_idle")


def test_a_cookie_travels_between_servers(find_client):
    """A cookie made under gunicorn opens under uvicorn, and goes on under gunicorn where uvicorn left it."""
    visitor = Visitor(find_client("gunicorn"))
    visitor.see("/before/sign-in/ann", {"user": "ann", "cart": []}, changed=[MAIN])
    bought = []
    for server in ("uvicorn", "gunicorn", "hypercorn", "waitress"):
        visitor.client = find_client(server)
        bought.append(server)
        visitor.see(f"/before/add/{server}", {"user": "ann", "cart": bought}, changed=[MAIN])
