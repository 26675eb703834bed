"""The examples, run as their heads say, on real servers."""

import re
import shutil
from http.client import HTTPConnection
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
NAME = "__Host-session"


class Visitor:
    """A browser with one cookie."""

    def __init__(self, port):
        self.port = port
        self.cookie = ""

    def request(self, method, path):
        connection = HTTPConnection("localhost", self.port, timeout=10)
        try:
            connection.request(method, path, headers={"Cookie": self.cookie})
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
def port_of(serve, free_port, keys, tmp_path_factory):
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
            case "gunicorn":
                return serve("gunicorn", "--bind", "127.0.0.1:{port}", "wsgi_app:application", cwd=EXAMPLES, env=env)
            case "uvicorn":
                words = ("uvicorn", "--port", "{port}", "--lifespan", "off", "asgi_app:application")
                return serve(*words, cwd=EXAMPLES, env=env)
        return serve("visits.py", "development.ini", cwd=paste(), port=free_port)

    def port_of(name):
        if name not in ports:
            ports[name] = start(name)
        return ports[name]

    return port_of


SERVERS = ["wsgiref", "gunicorn", "uvicorn", "paste"]


@pytest.mark.parametrize("server", SERVERS)
def test_example(port_of, server):
    """Every example counts visits, signs in under a new identity with the count kept, and signs out."""
    visitor = Visitor(port_of(server))
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
def test_other_paths_and_methods(port_of, server, method, path):
    """Whatever else is asked for is not found, and a link cannot sign anybody in or out."""
    visitor = Visitor(port_of(server))
    assert visitor.request(method, path)[0] == 404
    assert visitor.cookie == ""


def test_one_cookie_for_all(port_of):
    """With the same keys the examples open each other's cookie."""
    visitor = Visitor(port_of("wsgiref"))
    visitor.post("/sign-in?name=Ann")
    for count, server in enumerate([*SERVERS, "wsgiref"], 1):
        visitor.port = port_of(server)
        assert visitor.see() == ("Ann", str(count))
