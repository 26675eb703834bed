"""The helpers for tests of applications, with the test client of each framework."""

import flask
import freezegun
import httpx
import pytest
import webtest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from sealedsession import ConfigError, SessionConfig, asgi, wsgi
from sealedsession.integrations.flask import SealedSession
from sealedsession.testing import read_cookie, seal_cookie, session_transaction
from tests.support.starlette_client import TestClient

SECRET = "correct horse battery staple, said the sealed cookie"
DAY = 24 * 3600


def wsgi_app(environ, start_response):
    session = environ["sealedsession.session"]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{session.get('value', 'nothing')} {session.subject}".encode()]


async def show(request):
    session = request.session
    return JSONResponse([session.get("value", "nothing"), session.subject])


@pytest.fixture
def make_webtest(keys):
    return lambda: webtest.TestApp(wsgi.SessionMiddleware(wsgi_app, **keys), extra_environ={"wsgi.url_scheme": "https"})


@pytest.fixture
def make_starlette(keys):
    def make_starlette():
        app = Starlette(routes=[Route("/", show)])
        app.add_middleware(asgi.SessionMiddleware, **keys)
        return TestClient(app, base_url="https://testserver")

    return make_starlette


@pytest.fixture
def make_httpx(keys):
    def make_httpx():
        app = wsgi.SessionMiddleware(wsgi_app, **keys)
        return httpx.Client(transport=httpx.WSGITransport(app), base_url="https://example.org")

    return make_httpx


@pytest.fixture
def make_flask():
    def make_flask():
        app = flask.Flask("shop")
        app.secret_key = SECRET
        SealedSession(app)

        @app.get("/")
        def show():
            from flask import session

            return f"{session.get('value', 'nothing')} {session.subject}"

        @app.get("/set/<value>")
        def set_value(value):
            flask.session["value"] = value
            return ""

        return app.test_client()

    return make_flask


@pytest.fixture(params=["webtest", "starlette", "httpx", "flask"])
def client(request):
    """A test client of each kind, around an application that shows a value and the subject."""
    return request.getfixturevalue(f"make_{request.param}")()


def see(client):
    """Return the value and the subject that the application shows."""
    return tuple(client.get("/").text.strip('[]"').replace('","', " ").replace('",', " ").split())


def test_a_transaction_changes_the_session(client):
    """What the block changes is what the application sees, and what it stored can be read back."""
    with session_transaction(client) as session:
        session["value"] = "apple"
        session.subject = "user:42"
    assert see(client) == ("apple", "user:42")
    with session_transaction(client) as session:
        assert session == {"value": "apple"}
        session["value"] = "pear"
    assert see(client) == ("pear", "user:42")


def test_the_fixture_gives_a_client_a_session(client, sealed_session):
    """`sealed_session` sets items and subject at once."""
    sealed_session(client, {"value": "apple"}, subject="user:42")
    assert see(client) == ("apple", "user:42")


def test_seal_and_read(client, other_keys):
    """A sealed cookie opens with the same client, and not with another application's keys."""
    name, value = seal_cookie(client, {"value": "apple"}, subject="user:42")
    session = read_cookie(client, f"{name}={value}; Path=/; Secure")
    assert (session, session.subject) == ({"value": "apple"}, "user:42")
    other = SessionConfig(**other_keys, name=name)
    assert read_cookie(other, f"{name}={value}").rejected == "unknown_key"


def test_created(keys, clock):
    """`created` makes an old session: it is over if it is older than the absolute timeout."""
    config = SessionConfig(**keys, clock=clock)
    for age, rejected in ((1 * DAY, None), (31 * DAY, "expired_absolute")):
        name, value = seal_cookie(config, {"value": "apple"}, created=clock() - age)
        assert read_cookie(config, f"{name}={value}").rejected == rejected


def test_read_a_response(make_flask, make_starlette):
    """The cookie of a response is found in the response of each framework, and None is returned if there is none."""
    client = make_flask()
    assert read_cookie(client.application, client.get("/set/apple")) == {"value": "apple"}
    assert read_cookie(client.application, client.get("/")) is None
    client = make_starlette()
    assert read_cookie(client.app, client.get("/")) is None


def test_a_deleted_cookie(keys):
    """After a deletion, the session that is read is empty."""
    config = SessionConfig(**keys)
    assert read_cookie(config, config.cookie.deletion) == {}


@pytest.mark.parametrize("target", [None, "app", object(), lambda environ, start_response: []])
def test_a_target_without_a_session(target):
    """A target without a sealed session is an error that names what to pass."""
    with pytest.raises(ConfigError, match=r"^target: "):
        seal_cookie(target, {})


def test_a_client_of_another_kind(keys):
    """A client without cookies is an error."""
    with pytest.raises(ConfigError, match=r"^client: "), session_transaction(object(), SessionConfig(**keys)):
        pass


def test_the_frozen_clock(keys, frozen_clock):
    """Configurations with the default clock stand still, and expire when the clock is advanced."""
    config = SessionConfig(**keys)
    cookie = "=".join(seal_cookie(config, {"value": "apple"}))
    frozen_clock.advance(6 * DAY)
    assert read_cookie(config, cookie) == {"value": "apple"}
    frozen_clock.advance(2 * DAY)
    assert read_cookie(config, cookie).rejected == "expired_idle"


def test_freezegun(keys):
    """The default clock is `time.time` as it is at the moment of the call, so that freezegun works."""
    config = SessionConfig(**keys)
    with freezegun.freeze_time("2030-01-01"):
        cookie = "=".join(seal_cookie(config, {"value": "apple"}))
    with freezegun.freeze_time("2030-01-05"):
        assert read_cookie(config, cookie) == {"value": "apple"}
    with freezegun.freeze_time("2030-01-09"):
        assert read_cookie(config, cookie).rejected == "expired_idle"
