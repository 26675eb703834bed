"""The examples of frameworks make one journey, each on a server that its users run."""

import re
import time
from http.client import HTTPConnection

import pytest

from tests.support import ROOT

EXAMPLES = ROOT / "examples"
SECRET = "nVrAjanE_Tr7gxWPUw3qHDpsRwra9JzaiZWEOZ_G9bw"
NEW_SECRET = "L2Y0Z3fREApcKqjQ1-5im1yDuPovUzVKx5plVATACO4"
LIFETIME = 2  # seconds

# The command, and the environment for a secret, for earlier secrets and for a short lifetime.
FRAMEWORKS = {
    "flask": (
        ("gunicorn", "--bind", "127.0.0.1:{port}", "flask_app:app"),
        lambda secret, *old: {
            "FLASK_SECRET_KEY": secret,
            "FLASK_SECRET_KEY_FALLBACKS": f"[{', '.join(f'{chr(34)}{each}{chr(34)}' for each in old)}]",
        },
        {"FLASK_PERMANENT_SESSION_LIFETIME": str(LIFETIME), "FLASK_SEALEDSESSION_LEEWAY": "0"},
    ),
    "fastapi": (
        ("uvicorn", "--port", "{port}", "--lifespan", "off", "fastapi_app:app"),
        lambda secret, *old: {"SECRET_KEY": secret, "OLD_SECRET_KEYS": "\n".join(old)},
        {"MAX_AGE": str(LIFETIME), "LEEWAY": "0"},
    ),
}


class Visitor:
    """A browser that keeps the cookies of the shop."""

    def __init__(self, port):
        self.port = port
        self.cookie = ""

    def request(self, method, path, body=None):
        connection = HTTPConnection("localhost", self.port, timeout=60)
        try:
            connection.request(method, path, body, {"Cookie": self.cookie, "Content-Type": "text/plain"})
            response = connection.getresponse()
            for line in response.headers.get_all("Set-Cookie", []):
                self.cookie = "" if "Max-Age=0" in line else line.partition(";")[0]
            return response.status, response.read().decode()
        finally:
            connection.close()

    def see(self):
        """Return the name, the cart and the messages on the page."""
        status, page = self.request("GET", "/")
        assert status == 200
        name, cart = re.search(r"Hello, (.*)\. Cart: (.*)", page).groups()
        return name, cart, re.findall(r'role="status">([^<\n]*)', page)

    def post(self, path):
        """Send a form, which leads back to the page."""
        assert self.request("POST", path, "")[0] == 303


@pytest.fixture(scope="module", params=FRAMEWORKS)
def start(request, serve):
    """Start an example with secrets, the newest first, and other variables, and return its port."""
    command, environment, short = FRAMEWORKS[request.param]

    def start(*secrets, is_short=False):
        return serve(*command, cwd=EXAMPLES, env=environment(*secrets) | (short if is_short else {}))

    return start


@pytest.fixture(scope="module")
def port(start):
    return start(SECRET)


def test_journey(port):
    """Set, read, nested change, message, sign-in, too large, sign-out."""
    visitor = Visitor(port)
    assert visitor.see() == ("stranger", "nothing", [])
    assert visitor.cookie == ""
    visitor.post("/cart/apple")
    assert visitor.cookie.startswith("__Host-Http-session=")
    assert visitor.see() == ("stranger", "apple", ["Added: apple"])
    assert visitor.see() == ("stranger", "apple", [])
    visitor.post("/cart/pear")
    assert visitor.see() == ("stranger", "apple, pear", ["Added: pear"])
    anonymous = visitor.cookie
    visitor.post("/sign-in/Ann")
    assert visitor.cookie != anonymous
    assert visitor.see() == ("Ann", "apple, pear", [])
    status, text = visitor.request("POST", "/note", "x" * 5000)
    assert status == 413
    assert "too long" in text
    assert visitor.see() == ("Ann", "apple, pear", [])
    visitor.post("/sign-out")
    assert visitor.cookie == ""
    assert visitor.see() == ("stranger", "nothing", [])


def test_a_tampered_cookie(port):
    """A changed cookie gives an empty session, and never an error."""
    visitor = Visitor(port)
    visitor.post("/cart/apple")
    middle = len(visitor.cookie) // 2
    other = "A" if visitor.cookie[middle] != "A" else "B"
    visitor.cookie = visitor.cookie[:middle] + other + visitor.cookie[middle + 1 :]
    assert visitor.see() == ("stranger", "nothing", [])


def test_an_expired_cookie(start):
    """A cookie that was not used during the lifetime gives an empty session."""
    visitor = Visitor(start(SECRET, is_short=True))
    visitor.post("/cart/apple")
    cookie = visitor.cookie
    assert visitor.see()[1] == "apple"
    time.sleep(LIFETIME + 1.1)
    visitor.cookie = cookie
    assert visitor.see()[1] == "nothing"


def test_key_rotation(start, port):
    """With a new secret and the old one as a fallback, sessions live on and are sealed with the new secret."""
    visitor = Visitor(port)
    visitor.post("/cart/apple")
    visitor.see()
    visitor.port = start(NEW_SECRET, SECRET)
    assert visitor.see()[1] == "apple"
    visitor.port = start(NEW_SECRET)
    assert visitor.see()[1] == "apple"
    visitor.port = port
    assert visitor.see()[1] == "nothing"
