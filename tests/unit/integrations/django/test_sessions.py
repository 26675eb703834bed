"""The session engine and the session middleware for Django."""

import asyncio
import json
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django.contrib.auth import get_user_model, login, logout
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import AsyncClient, Client, RequestFactory, override_settings
from django.urls import path
from django.utils import timezone

from sealedsession.errors import ConfigError, CookieTooLargeError
from sealedsession.integrations.django import conf
from sealedsession.integrations.django.apps import check_settings
from sealedsession.integrations.django.sessions import SessionStore, get_session_managers
from sealedsession.integrations.django.shortcuts import ensure_session_id, get_session_id
from sealedsession.revocation import MemoryStore
from sealedsession.testing import read_cookie, session_transaction

ENGINE = "sealedsession.integrations.django.sessions"
DJANGOS = "django.contrib.sessions.middleware.SessionMiddleware"
OURS = "sealedsession.integrations.django.session_middleware.SessionMiddleware"
AUTH = "django.contrib.auth.middleware.AuthenticationMiddleware"
NAME = "__Host-Http-session"
OTHER_SECRET = "another-long-secret_which-was-rotated-out-LAST-spring-42"


def show(request: HttpRequest) -> HttpResponse:
    return JsonResponse(dict(request.session.items()))


def set_value(request: HttpRequest, value: str) -> HttpResponse:
    request.session["value"] = value
    return HttpResponse("set")


def add(request: HttpRequest, item: str) -> HttpResponse:
    request.session.setdefault("cart", []).append(item)
    return HttpResponse(str(request.session["cart"]))


def untouched(request: HttpRequest) -> HttpResponse:
    return HttpResponse("untouched")


def sign_in(request: HttpRequest, name: str) -> HttpResponse:
    login(request, get_user_model().objects.get(username=name))
    return HttpResponse(str(request.session.session_key))


def sign_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return HttpResponse("signed out")


def fill(request: HttpRequest) -> HttpResponse:
    request.session["text"] = "x" * 5000
    return HttpResponse("filled")


def key(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(request.session.session_key))


def expire(request: HttpRequest, seconds: int) -> HttpResponse:
    request.session.set_expiry(seconds)
    return HttpResponse("set")


def expire_at(request: HttpRequest, seconds: int) -> HttpResponse:
    request.session.set_expiry(timezone.now() + timedelta(seconds=seconds))
    return HttpResponse("set")


async def aset_value(request: HttpRequest, value: str) -> HttpResponse:
    await request.session.aset("value", value)
    return HttpResponse("set")


async def aget_value(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(await request.session.aget("value", "nothing")))


async def aflush(request: HttpRequest) -> HttpResponse:
    await request.session.aflush()
    return HttpResponse("flushed")


urlpatterns = [
    path("", show),
    path("set/<value>/", set_value),
    path("add/<item>/", add),
    path("untouched/", untouched),
    path("sign-in/<name>/", sign_in),
    path("sign-out/", sign_out),
    path("fill/", fill),
    path("key/", key),
    path("expire/<int:seconds>/", expire),
    path("expire-at/<int:seconds>/", expire_at),
    path("aset/<value>/", aset_value),
    path("aget/", aget_value),
    path("aflush/", aflush),
]


class project(override_settings):  # noqa: N801  # it is used as a function
    """Settings of a project whose sessions are sealed, with Django's middleware or ours."""

    def __init__(self, middleware: str = DJANGOS, options: dict[str, Any] | None = None, **settings: Any) -> None:
        sections = {"SESSION": options} if options else {}
        super().__init__(
            ROOT_URLCONF=__name__,
            SESSION_ENGINE=ENGINE,
            MIDDLEWARE=[middleware, AUTH],
            SEALEDSESSION=sections,
            **({"SESSION_COOKIE_NAME": NAME} if middleware == OURS else {}) | settings,
        )


@pytest.fixture(params=[DJANGOS, OURS], ids=["django's middleware", "ours"])
def middleware(request: pytest.FixtureRequest) -> str:
    middleware: str = request.param
    return middleware


def see(client: Client) -> Any:
    return json.loads(client.get("/").content)


def test_a_session_lives_in_its_cookie(middleware: str) -> None:
    """Items come back with the cookie, nested changes too, and the cookie shows nothing of them."""
    with project(middleware):
        client = Client()
        client.get("/set/apple/")
        client.get("/add/pear/")
        client.get("/add/plum/")
        assert see(client) == {"value": "apple", "cart": ["pear", "plum"]}
        assert "apple" not in str(client.cookies)


def test_an_untouched_session_adds_no_header(middleware: str) -> None:
    """A view that does not touch the session gets no cookie and no Vary."""
    with project(middleware):
        client = Client()
        client.get("/set/apple/")
        response = client.get("/untouched/")
        assert not response.cookies
        assert "Vary" not in response.headers


def test_the_cookie_of_djangos_middleware() -> None:
    """Django renders the cookie by its own settings."""
    with project(SESSION_COOKIE_SECURE=True):
        response = Client().get("/set/apple/")
        cookie = response.cookies["sessionid"]
        assert (cookie["secure"], cookie["httponly"], cookie["samesite"]) == (True, True, "Lax")
        assert cookie["max-age"] == 14 * 24 * 3600


def test_the_cookie_of_our_middleware() -> None:
    """Our middleware applies our rules: name, Secure, HttpOnly, SameSite, Cache-Control."""
    with project(OURS, SESSION_COOKIE_NAME="sessionid"):
        response = Client().get("/set/apple/")
        [cookie] = response.cookies.values()
        assert cookie.OutputString().startswith(f"{NAME}=")
        assert cookie.OutputString().endswith("; Path=/; Secure; HttpOnly; SameSite=Lax")
        assert "; Max-Age=" in cookie.OutputString()
        assert (response.headers["Cache-Control"], response.headers["Vary"]) == ("no-store", "Cookie")


def test_djangos_settings_under_our_middleware() -> None:
    """Django's settings that differ from its defaults apply under our middleware."""
    settings = {"SESSION_COOKIE_NAME": "shop", "SESSION_COOKIE_SAMESITE": "Strict", "SESSION_COOKIE_PATH": "/shop"}
    with project(OURS, SESSION_EXPIRE_AT_BROWSER_CLOSE=True, **settings):
        [cookie] = Client().get("/set/apple/").cookies.values()
        assert cookie.OutputString().startswith("shop=")
        assert cookie.OutputString().endswith("; Path=/shop; Secure; HttpOnly; SameSite=Strict")
        assert "Max-Age" not in cookie.OutputString()


def test_signing_in_and_out(middleware: str, db: None) -> None:
    """login() and logout() of contrib.auth work, and each sign-in has a new session."""
    get_user_model().objects.create_user("ann")
    with project(middleware):
        client = Client()
        client.get("/set/apple/")
        before = client.get("/key/").content
        client.get("/sign-in/ann/")
        assert see(client)["value"] == "apple"
        assert "_auth_user_id" in see(client)
        assert client.get("/key/").content != before
        client.get("/sign-out/")
        assert see(client) == {}


def test_force_login(middleware: str, db: None) -> None:
    """The test client's `force_login` and `session` work."""
    user = get_user_model().objects.create_user("ann")
    with project(middleware):
        client = Client()
        client.force_login(user)
        assert see(client)["_auth_user_id"] == str(user.pk)
        assert client.session["_auth_user_id"] == str(user.pk)


def test_the_stable_id() -> None:
    """Under our middleware, `session_key` is an id that fits into 40 characters and stays when the session changes."""
    with project(OURS):
        client = Client()
        assert client.get("/key/").content == b"None"
        client.get("/set/apple/")
        with session_transaction(client, get_session_managers(renders=True).blocking) as session:
            session_id = session.id
        client.get("/set/pear/")
        assert client.get("/key/").content.decode() == session_id


def test_a_logout_ends_copies(middleware: str, db: None) -> None:
    """With a revocation store, logout() ends all copies of the cookie."""
    get_user_model().objects.create_user("ann")
    with project(middleware, {"revocation": MemoryStore()}):
        client, thief = Client(), Client()
        client.get("/sign-in/ann/")
        thief.cookies = client.cookies.copy()
        assert "_auth_user_id" in see(thief)
        client.get("/sign-out/")
        assert see(thief) == {}


def test_an_emptied_session_deletes_the_cookie(middleware: str, db: None) -> None:
    """After logout(), the response deletes the cookie."""
    with project(middleware):
        client = Client()
        client.get("/set/apple/")
        response = client.get("/sign-out/")
        [cookie] = response.cookies.values()
        assert cookie.value == ""
        assert "Max-Age=0" in cookie.OutputString()


def test_the_cookie_age(middleware: str, clock: Any) -> None:
    """A session ends SESSION_COOKIE_AGE seconds after it was sealed."""
    with project(middleware, {"clock": clock}, SESSION_COOKIE_AGE=600):
        client = Client()
        client.get("/set/apple/")
        clock.advance(600)
        assert see(client) == {"value": "apple"}
        clock.advance(600 + 61)
        assert see(client) == {}


def test_an_expiry_of_ones_own(middleware: str, clock: Any) -> None:
    """set_expiry() with a number makes the idle timeout of one session shorter or longer."""
    with project(middleware, {"clock": clock}, SESSION_COOKIE_AGE=600):
        for seconds in (100, 6000):
            client = Client()
            client.get("/set/apple/")
            client.get(f"/expire/{seconds}/")
            clock.advance(seconds)
            assert see(client)["value"] == "apple"
            client = Client()
            client.get("/set/apple/")
            client.get(f"/expire/{seconds}/")
            clock.advance(seconds + 61)
            assert see(client) == {}


def test_an_expiry_date(middleware: str) -> None:
    """set_expiry() with a date ends the session at that date."""
    with project(middleware):
        client = Client()
        client.get("/set/apple/")
        client.get("/expire-at/1000/")
        assert see(client)["value"] == "apple"
        store = SessionStore(managers=get_session_managers(renders=middleware == OURS))
        store["value"] = "apple"
        store.set_expiry(timezone.now() - timedelta(seconds=1))
        assert store._has_ended(read_back(store))


def read_back(store: SessionStore) -> Any:
    manager = get_session_managers().blocking
    session = manager.open(None)
    session.update(store.sealed)
    return manager.open_token(manager.token(session))


def test_the_end_with_the_browser() -> None:
    """set_expiry(0) makes a cookie that ends with the browser session, and a number one that stays."""
    with project(OURS):
        client = Client()
        client.get("/set/apple/")
        [cookie] = client.get("/expire/0/").cookies.values()
        assert "Max-Age" not in cookie.OutputString()
        [cookie] = client.get("/expire/600/").cookies.values()
        assert "Max-Age" in cookie.OutputString()


def test_a_tampered_cookie(middleware: str) -> None:
    """A changed cookie gives an empty session."""
    with project(middleware):
        client = Client()
        client.get("/set/apple/")
        [cookie] = client.cookies.values()
        middle = len(cookie.value) // 2
        other = "A" if cookie.value[middle] != "A" else "B"
        client.cookies[cookie.key] = cookie.value[:middle] + other + cookie.value[middle + 1 :]
        assert see(client) == {}


def test_a_fallback_secret(middleware: str) -> None:
    """A session that a fallback secret sealed is accepted, and sealed with the new secret when it is read."""
    with project(middleware, SECRET_KEY=OTHER_SECRET):
        client = Client()
        client.get("/set/apple/")
    with project(middleware, SECRET_KEY_FALLBACKS=[OTHER_SECRET]):
        assert see(client) == {"value": "apple"}
    with project(middleware):
        assert see(client) == {"value": "apple"}


@pytest.mark.parametrize("saves", [False, True])
def test_save_every_request(middleware: str, saves: bool) -> None:
    """SESSION_SAVE_EVERY_REQUEST sends the cookie with each request that uses the session."""
    with project(middleware, SESSION_SAVE_EVERY_REQUEST=saves):
        client = Client()
        client.get("/set/apple/")
        assert bool(client.get("/").cookies) is saves


def test_a_session_that_is_too_large(middleware: str) -> None:
    """A session that does not fit is an error, and the browser keeps the session that it has."""
    with project(middleware):
        client = Client()
        client.get("/set/apple/")
        with pytest.raises(CookieTooLargeError):
            client.get("/fill/")
        client.raise_request_exception = False
        assert client.get("/fill/").status_code == 500
        assert see(client) == {"value": "apple"}


class SlowStore(MemoryStore):
    """A store that must be awaited, and refuses to be called otherwise."""

    blocks = True

    def find(self, keys: Any) -> Any:
        raise AssertionError("the store was called on the event loop")

    async def afind(self, keys: Any) -> Any:
        return MemoryStore.find(self, keys)

    async def arevoke(self, key: Any, entry: Any, ttl: Any, caller: Any = None) -> Any:
        return MemoryStore.revoke(self, key, entry, ttl, caller)


def test_async_views(middleware: str) -> None:
    """Async views await a store that blocks, to open and to flush, and a flush ends copies."""

    async def visit() -> None:
        client, thief = AsyncClient(), AsyncClient()
        await client.get("/aset/apple/")
        thief.cookies = client.cookies.copy()
        assert (await client.get("/aget/")).content == b"apple"
        await client.get("/aflush/")
        assert (await client.get("/aget/")).content == b"nothing"
        assert (await thief.get("/aget/")).content == b"nothing"

    with project(middleware, {"revocation": SlowStore()}):
        asyncio.run(visit())


@pytest.mark.parametrize(
    ("options", "settings", "named"),
    [
        ({"idle_timeot": 60}, {}, "idle_timeot"),
        ({"scope_key": "session"}, {}, "scope_key"),
        ({"leeway": "long"}, {}, "leeway"),
        ({"on_event": "no.such.module"}, {}, "on_event"),
        (None, {"SECRET_KEY": "django-insecure-1"}, "SECRET_KEY"),
        (None, {"SESSION_COOKIE_SAMESITE": "Lux"}, "samesite"),
    ],
)
def test_a_wrong_setting(options: Any, settings: dict[str, Any], named: str) -> None:
    """A wrong setting is an error when the middleware is made, which names it."""
    with project(OURS, options, **settings), pytest.raises(ConfigError, match=named):
        Client().get("/")


@pytest.mark.parametrize(
    ("middleware", "settings", "expected"),
    [
        (DJANGOS, {"SESSION_COOKIE_SECURE": True}, []),
        (DJANGOS, {}, ["sealedsession.W002"]),
        (DJANGOS, {"SESSION_COOKIE_HTTPONLY": False, "SESSION_COOKIE_SAMESITE": None}, ["sealedsession.W002"] * 3),
        (DJANGOS, {"SECRET_KEY": "django-insecure-1"}, ["sealedsession.E005"]),
        (OURS, {}, []),
        (OURS, {"SESSION_COOKIE_NAME": "sessionid"}, ["sealedsession.W003"]),
        (OURS, {"SESSION_COOKIE_SAMESITE": "Lux"}, ["sealedsession.E005"]),
    ],
)
def test_system_checks(middleware: str, settings: dict[str, Any], expected: list[str]) -> None:
    """``manage.py check`` finds wrong and weak settings, and has nothing to say about good ones."""
    with project(middleware, **settings), mock.patch.dict(conf._classes, clear=True):
        assert [message.id for message in check_settings()] == expected


def test_sealed_state_belongs_to_the_session(middleware: str) -> None:
    """Sealed state is bound to the stable id of the session, with either middleware."""
    with project(middleware):
        request = RequestFactory().get("/")
        request.session = SessionStore()
        session_id = ensure_session_id(request)
        assert get_session_id(request) == session_id == request.session.sealed.id


def test_the_sealed_session() -> None:
    """`sealed` is the sealed session, and its public attributes are those of `request.session` too."""
    with project():
        store = SessionStore()
        store["value"] = "apple"
        store.subject = "user:42"
        assert (store.sealed.subject, store.sealed["value"]) == ("user:42", "apple")
        assert store.remaining > 3000
        assert store.rejected is None
        with pytest.raises(AttributeError):
            store.no_such_attribute  # noqa: B018
        manager = get_session_managers().blocking
        store.save()
        assert read_cookie(manager, f"sessionid={store.session_key}").subject == "user:42"  # type: ignore[union-attr]
