"""The examples, run as their heads say, on real servers."""

import json
import re
import runpy
import shutil
import time
from http.client import HTTPConnection

import pytest
import webtest

from sealedsession.sealing.keys import Keyring
from sealedsession.sealing.sealer import Sealer
from tests.support import ROOT

EXAMPLES = ROOT / "examples"
NAME = "__Host-Http-session"


class Visitor:
    """A browser with one cookie."""

    def __init__(self, port):
        self.port = port
        self.cookie = ""

    def request(self, method, path, body=None, kind="text/plain"):
        connection = HTTPConnection("localhost", self.port, timeout=60)
        try:
            connection.request(method, path, body, {"Cookie": self.cookie, "Content-Type": kind})
            response = connection.getresponse()
            for line in response.headers.get_all("Set-Cookie", []):
                self.cookie = "" if "Max-Age=0" in line else line.partition(";")[0]
            return response.status, response.read().decode()
        finally:
            connection.close()

    def see(self):
        """The name and the count on the first page."""
        status, page = self.request("GET", "/")
        assert status == 200
        return re.search(r"Hello, (.*)\. Visits: (\d+)", page).groups()

    def post(self, path):
        """Send a form, and demand that it leads back to the first page."""
        status, _ = self.request("POST", path)
        assert status == 303


@pytest.fixture(scope="module")
def find_port(serve, free_port, keys, tmp_path_factory):
    """Give the port of an example, started when it is first asked for."""
    env = {f"SESSION_{option.upper()}": key for option, key in keys.items()}
    ports = {}

    def paste():
        """A copy of the directory, with key files as its head tells to make them, and at a free port."""
        directory = tmp_path_factory.mktemp("example") / "paste"
        shutil.copytree(EXAMPLES / "paste", directory)
        for option, key in keys.items():
            (directory / f"{option.removesuffix('_key')}.key").write_text(key + "\n")
        ini = directory / "development.ini"
        ini.write_text(ini.read_text().replace(":8000", f":{free_port}"))
        return directory

    def start(name):
        match name:
            case "wsgiref":
                return serve("wsgi_app.py", cwd=EXAMPLES, env=env)
            case "state":
                return serve("state_wsgi.py", cwd=EXAMPLES, env=env)
            case "gunicorn":
                return serve("gunicorn", "--bind", "127.0.0.1:{port}", "wsgi_app:application", cwd=EXAMPLES, env=env)
            case "uvicorn":
                words = ("uvicorn", "--port", "{port}", "--lifespan", "off", "asgi_app:application")
                return serve(*words, cwd=EXAMPLES, env=env)
        return serve("visits.py", "development.ini", cwd=paste(), port=free_port)

    def find_port(name):
        if name not in ports:
            ports[name] = start(name)
        return ports[name]

    return find_port


SERVERS = ["wsgiref", "gunicorn", "uvicorn", "paste"]


@pytest.mark.parametrize("server", SERVERS)
def test_example(find_port, server):
    """Every example counts visits, signs in under a new identity with the count kept, and signs out."""
    visitor = Visitor(find_port(server))
    assert visitor.see() == ("stranger", "1")
    assert visitor.see() == ("stranger", "2")
    visitor.post("/sign-in?name=%3CAnn%3E")
    assert visitor.see() == ("&lt;Ann&gt;", "3")
    assert visitor.cookie.startswith(f"{NAME}=")
    visitor.post("/sign-out")
    assert visitor.cookie == ""
    assert visitor.see() == ("stranger", "1")


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize(("method", "path"), [("GET", "/nothing"), ("GET", "/sign-in?name=Ann"), ("GET", "/sign-out")])
def test_other_paths_and_methods(find_port, server, method, path):
    """All other paths are not found, and a link cannot sign a user in or out."""
    visitor = Visitor(find_port(server))
    assert visitor.request(method, path)[0] == 404
    assert visitor.cookie == ""


def test_one_cookie_for_all(find_port):
    """With the same keys the examples open each other's cookie."""
    visitor = Visitor(find_port("wsgiref"))
    visitor.post("/sign-in?name=Ann")
    for count, server in enumerate([*SERVERS, "wsgiref"], 1):
        visitor.port = find_port(server)
        assert visitor.see() == ("Ann", str(count))


def tokens(visitor):
    """The tokens of the bookshop's page, by the ids of the elements that they are in."""
    status, page = visitor.request("GET", "/")
    assert status == 200
    return dict(re.findall(r'id="([\w-]+)" data-sealedsession-state="([^"]+)"', page))


def call(visitor, token, method, *args):
    """Call a method of the bookshop's page, as a browser would.

    :returns: the status, and the result or the code of the error.
    """
    body = json.dumps({"token": token, "method": method, "args": args})
    status, text = visitor.request("POST", "/call", body, "application/json")
    answer = json.loads(text)
    return status, answer["result"] if status == 200 else answer["error"]["code"]


def test_state_example(find_port):
    """The bookshop counts, searches and sells, each book once, and says so; its page is escaped."""
    visitor = Visitor(find_port("state"))
    page = tokens(visitor)
    assert call(visitor, page["counter"], "add") == (200, 1)
    assert call(visitor, page["search"], "find", "EMMA") == (200, {"found": [1], "searches": 1})
    assert call(visitor, page["book-1"], "buy") == (200, "Emma")
    assert call(visitor, page["book-1"], "buy") == (410, "StaleState")
    assert call(visitor, page["search"], "find", "emma") == (200, {"found": [], "searches": 1})
    assert set(page) - set(tokens(visitor)) == {"book-1"}
    html = visitor.request("GET", "/")[1]
    assert "&lt;Villette&gt;" in html
    assert "<Villette>" not in html


def test_calls_that_the_state_example_refuses(find_port):
    """Another visitor's token, types that forms can send, and bodies that are no calls, are refused."""
    visitor, stranger = Visitor(find_port("state")), Visitor(find_port("state"))
    page = tokens(visitor)
    tokens(stranger)
    assert call(stranger, page["counter"], "add") == (403, "ForeignState")
    assert call(Visitor(find_port("state")), page["counter"], "add") == (403, "ForeignState")
    assert call(visitor, page["search"], "find", None) == (400, "BadCall")
    body = json.dumps({"token": page["counter"], "method": "add", "args": []})
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=a"):
        assert visitor.request("POST", "/call", body, kind)[0] == 415
    assert visitor.request("GET", "/call")[0] == 404
    assert visitor.request("POST", "/call", "", "application/json")[0] == 400


def test_state_example_reads_no_endless_body(monkeypatch, keys):
    """A call that begins with more white space than the longest call has characters is not read to its end."""
    for option, key in keys.items():
        monkeypatch.setenv(f"SESSION_{option.upper()}", key)
    application = runpy.run_path(str(EXAMPLES / "state_wsgi.py"))["application"]
    browser = webtest.TestApp(application, extra_environ={"wsgi.url_scheme": "https"})
    token = re.search(r'id="counter" data-sealedsession-state="([^"]+)"', browser.get("/").text)[1]
    body = json.dumps({"token": token, "method": "add"})
    for spaces, status in ((1_000, 200), (200_000, 400)):
        browser.post("/call", " " * spaces + body, content_type="application/json", status=status)


def test_state_example_after_new_keys(find_port, other_keys):
    """A visitor whose cookie is of other keys, which browsers keep until it is replaced, can call nevertheless."""
    visitor = Visitor(find_port("state"))
    keyring = Keyring(other_keys["validate_key"].encode(), other_keys["encrypt_key"].encode())
    visitor.cookie = f"{NAME}={Sealer(keyring, f'cookie:{NAME}').seal(b'}.', created=int(time.time()))}"
    assert call(visitor, tokens(visitor)["counter"], "add") == (200, 1)
