"""Sealed sessions under Starlette's own names."""

import pytest
from starlette.applications import Starlette
from starlette.datastructures import Secret
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute

from sealedsession import ConfigError, CookieTooLargeError, SessionConfig
from sealedsession.integrations.starlette import SessionMiddleware, get_session
from sealedsession.lifecycle import SessionManager
from sealedsession.sealing import derive_keys
from tests.support.starlette_client import TestClient

SECRET = "correct horse battery staple, said the sealed cookie"
OTHER_SECRET = "another long secret, which was rotated out last spring"
NAME = "__Host-Http-session"


async def set_value(request):
    request.session["value"] = request.path_params["value"]
    return PlainTextResponse("set")


async def get_value(request):
    return PlainTextResponse(request.session.get("value", "nothing"))


async def fill(request):
    request.session["text"] = "x" * 5000
    get_session(request).ensure_fits()
    return PlainTextResponse("filled")


async def chat(websocket):
    await websocket.accept()
    await websocket.send_text(get_session(websocket).get("value", "nothing"))
    await websocket.close()


def too_large(request, error):
    return PlainTextResponse("too large", status_code=413)


ROUTES = [
    Route("/set/{value}", set_value),
    Route("/get", get_value),
    Route("/fill", fill),
    WebSocketRoute("/chat", chat),
]


def make_client(*arguments, base_url="https://testserver", **options):
    middleware = [Middleware(SessionMiddleware, *arguments, **options)]
    app = Starlette(routes=ROUTES, middleware=middleware, exception_handlers={CookieTooLargeError: too_large})
    return TestClient(app, base_url=base_url)


def test_the_session_is_sealed():
    """With a secret alone, the session is sealed and the cookie has our defaults, not Starlette's."""
    client = make_client(secret_key=SECRET)
    cookie = client.get("/set/apple").headers["Set-Cookie"]
    assert cookie.startswith(f"{NAME}=")
    assert cookie.endswith("; Path=/; Secure; HttpOnly; SameSite=Lax")
    assert client.get("/get").text == "apple"


@pytest.mark.parametrize(
    ("arguments", "options", "expected"),
    [
        ((SECRET, "shop"), {}, "shop="),
        ((SECRET, "shop", 600), {}, "; Max-Age=600"),
        ((SECRET, "shop", None, "/shop", "strict"), {}, "; Path=/shop; Secure; HttpOnly; SameSite=Strict"),
        ((Secret(SECRET),), {"domain": "testserver.example"}, "; Domain=testserver.example"),
        ((SECRET,), {"partitioned": True, "same_site": "none"}, "; SameSite=None; Partitioned"),
        ((SECRET,), {"httponly": False}, "__Host-session="),
    ],
)
def test_arguments(arguments, options, expected):
    """Starlette's arguments keep their names and order, and our options can be added."""
    assert expected in make_client(*arguments, **options).get("/set/apple").headers["Set-Cookie"]


def test_https_only_that_is_written_counts():
    """`https_only=False` counts although it is Starlette's default: the cookie is not Secure."""
    cookie = make_client(secret_key=SECRET, https_only=False).get("/set/apple").headers["Set-Cookie"]
    assert cookie.startswith("sealed-session=")
    assert "Secure" not in cookie


def test_max_age_is_the_idle_timeout(clock):
    """A session ends `max_age` seconds after it was used."""
    client = make_client(secret_key=SECRET, max_age=600, clock=clock)
    client.get("/set/apple")
    clock.advance(600)
    assert client.get("/get").text == "apple"
    clock.advance(600 + 61)
    assert client.get("/get").text == "nothing"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({}, "secret_key"),
        ({"secret_key": "dev"}, "secret_key"),
        ({"secret_key": SECRET, "fallback_keys": ["short"]}, r"fallback_keys\[0\]"),
        ({"secret_key": SECRET, "max_age": 0}, "max_age"),
        ({"secret_key": SECRET, "max_age": -1}, "max_age"),
        ({"secret_key": SECRET, "same_site": "lux"}, "samesite"),
        ({"secret_key": SECRET, "name": "one", "session_cookie": "two"}, "name"),
        ({"secret_key": SECRET, "keyring": "env:KEYRING"}, "secret_key"),
        ({"secret_key": SECRET, "idle_timeot": 60}, "idle_timeout"),
    ],
)
def test_a_mistake_fails_at_start(options, named):
    """A weak secret, a wrong value and an unknown option are errors when the middleware is made."""
    with pytest.raises(ConfigError, match=named) as caught:
        SessionMiddleware(Starlette(), **options)
    assert SECRET not in str(caught.value)


def test_a_fallback_key_opens():
    """A session that an earlier secret sealed is accepted, and sealed with the new one."""
    cookie = make_client(secret_key=OTHER_SECRET).get("/set/apple").headers["Set-Cookie"].partition(";")[0]
    client = make_client(secret_key=SECRET, fallback_keys=[OTHER_SECRET])
    response = client.get("/get", headers={"Cookie": cookie})
    assert response.text == "apple"
    resealed = response.headers["Set-Cookie"].partition(";")[0]
    assert make_client(secret_key=SECRET).get("/get", headers={"Cookie": resealed}).text == "apple"


def test_the_keys_are_those_of_the_label():
    """The keys are derived for Starlette: another framework with the same secret has others."""
    middleware = SessionMiddleware(Starlette(), SECRET)
    token = middleware.manager.token(middleware.manager.open(None))
    for label, rejected in (("starlette", None), ("flask", "unknown_key")):
        manager = SessionManager(SessionConfig(**derive_keys({"secret_key": SECRET}, label)))
        assert manager.open_token(token).rejected == rejected


def test_a_websocket():
    """A websocket reads the session."""
    client = make_client(secret_key=SECRET)
    cookie = client.get("/set/apple").headers["Set-Cookie"].partition(";")[0]
    # The client's websockets are ws://, to which it sends no Secure cookie of its own.
    with client.websocket_connect("/chat", headers={"Cookie": cookie}) as socket:
        assert socket.receive_text() == "apple"


def test_an_exception_handler_answers():
    """After `ensure_fits`, Starlette's own exception handler answers, and the old cookie stays."""
    client = make_client(secret_key=SECRET)
    client.get("/set/apple")
    response = client.get("/fill")
    assert (response.status_code, response.text) == (413, "too large")
    assert client.get("/get").text == "apple"
