"""Requests: session and user of tokens, calls of the browser module, and responses to errors."""

import asyncio
import json
from collections.abc import Callable, Iterator
from http.cookies import SimpleCookie
from typing import Any

import httpx
import pytest
import webtest
from asgiref.sync import iscoroutinefunction, sync_to_async
from django.contrib.auth import authenticate, get_user_model, login, logout
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.signed_cookies import SessionStore as SignedCookies
from django.contrib.sessions.models import Session
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.db import OperationalError, transaction
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, RequestFactory, override_settings
from django.urls import path

from sealedsession.asgi import SessionMiddleware as AsgiSessions
from sealedsession.errors import ConfigError, NotPublicError, StaleStateError, StateError, StoreError, UnsealError, got
from sealedsession.integrations.django import conf
from sealedsession.integrations.django.apps import MIDDLEWARE
from sealedsession.integrations.django.middleware import StateErrorMiddleware
from sealedsession.integrations.django.shortcuts import (
    ensure_session_id,
    get_session_id,
    get_username,
    handle,
    register,
    resume,
    seal,
    unseal,
)
from sealedsession.revocation import MemoryStore
from sealedsession.state.resumable import Resumable, public
from sealedsession.wsgi import SessionMiddleware as WsgiSessions

ERRORS: dict[str, Exception] = {
    "stale": StaleStateError("the row is gone"),
    "not_public": NotPublicError("no such method"),
    "call": StateError("no such argument"),
    "malformed": UnsealError("malformed", "not a token"),
    "expired": UnsealError("expired_idle", "an hour ago"),
    "foreign": UnsealError("bad_signature", "another session's"),
    "down": OperationalError("the database is down"),
    "other": ValueError("a mistake"),
}
RESPONSES = [
    ("stale", 410, "StaleState"),
    ("not_public", 403, "NotPublic"),
    ("call", 400, "BadCall"),
    ("malformed", 400, "MalformedState"),
    ("expired", 403, "ExpiredState"),
    ("foreign", 403, "ForeignState"),
]


class Counter(Resumable):
    """An object in the pages of these tests."""

    stale_on = (LookupError,)
    fault: Exception | None = None  # of its load
    count = 0

    def load(self, name: str = "") -> None:
        if self.fault is not None:
            raise self.fault
        self.name = name

    @public
    def add(self, number: int) -> int:
        self.count += number
        return self.count


class Other(Resumable):
    """Another class."""


@pytest.fixture(autouse=True)
def project(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Configure a project with the views below and two registered classes."""
    monkeypatch.setattr(conf, "_classes", {})
    monkeypatch.setattr(conf, "_sealer", None)
    register(Counter)
    register(Other)
    middleware = [
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        MIDDLEWARE,
    ]
    with override_settings(
        ROOT_URLCONF=__name__,
        MIDDLEWARE=middleware,
        ALLOWED_HOSTS=["*"],
        SESSION_ENGINE="django.contrib.sessions.backends.cache",
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],  # the fastest
    ):
        yield


def page(request: HttpRequest) -> HttpResponse:
    """Return a page with a token."""
    return HttpResponse(seal(Counter(), request))


async def async_page(request: HttpRequest) -> HttpResponse:
    return HttpResponse(await sync_to_async(seal)(Counter(), request))


def failing(request: HttpRequest, error: str) -> HttpResponse:
    raise ERRORS[error]


async def async_failing(request: HttpRequest, error: str) -> HttpResponse:
    raise ERRORS[error]


@transaction.atomic
def half_done(request: HttpRequest) -> HttpResponse:
    get_user_model().objects.create(username="half done")
    raise ERRORS["stale"]


def sign_in(request: HttpRequest, name: str) -> HttpResponse:
    login(request, authenticate(request, username=name, password="secret"))
    return HttpResponse("in")


def sign_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return HttpResponse("out")


def put(request: HttpRequest) -> HttpResponse:
    request.session["kept"] = "yes"
    return HttpResponse(seal("state", request))


def get(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.session["kept"])


urlpatterns = [
    path("page/", page),
    path("async_page/", async_page),
    path("state/", handle),
    path("other/", handle, {"cls": Other}),
    path("fail/<error>/", failing),
    path("async_fail/<error>/", async_failing),
    path("half_done/", half_done),
    path("sign_in/<name>/", sign_in),
    path("sign_out/", sign_out),
    path("put/", put),
    path("get/", get),
]


def fetch_token(client: Client) -> str:
    return str(client.get("/page/").content.decode())


def add(client: Client, token: str, number: object = 1, *, to: str = "/state/", **headers: str) -> Any:
    """Call the method `add`, as the browser module does."""
    body = {"token": token, "method": "add", "args": [number]}
    return client.post(to, body, content_type="application/json", headers=headers)


def read_error(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


FOREIGN = (403, "ForeignState")
JSON = {"Content-Type": "application/json"}


def test_calls() -> None:
    """The answer to a call has the result and the token of the new state, and must not be cached."""
    client = Client()
    token = fetch_token(client)
    for total in (2, 4, 6):
        response = add(client, token, 2)
        assert response.status_code == 200
        assert response["Content-Type"] == "application/json"
        assert response["Cache-Control"] == "no-store"
        answer = response.json()
        assert answer["result"] == total
        token = answer["token"]


def test_a_page_varies_by_cookie() -> None:
    """A page with a token has Vary: Cookie."""
    assert "Cookie" in Client().get("/page/")["Vary"]


def test_async_views() -> None:
    """An async view can seal in a thread, and calls are answered under ASGI."""

    async def visit() -> Any:
        client = AsyncClient()
        token = (await client.get("/async_page/")).content.decode()
        body = {"token": token, "method": "add", "args": [3]}
        return await client.post("/state/", body, content_type="application/json")

    assert asyncio.run(visit()).json()["result"] == 3


def test_csrf() -> None:
    """Calls pass Django's CSRF protection with the header of the browser module, and not without it."""
    client = Client(enforce_csrf_checks=True)
    token = fetch_token(client)
    secret = "a" * 32
    client.cookies["csrftoken"] = secret
    refused = add(client, token)
    assert refused.status_code == 403
    assert refused["Content-Type"].startswith("text/html")
    assert add(client, token, **{"X-CSRFToken": secret}).status_code == 200


@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_other_methods(method: str) -> None:
    """Only POST is accepted."""
    response = getattr(Client(), method)("/state/")
    assert response.status_code == 405
    assert response["Allow"] == "POST"


@pytest.mark.parametrize(
    "body", [b" ", b"{", b"[]", b'"token"', b"{}", b'{"token": 1, "method": "add"}', b'{"method": "add"}', b"\xff"]
)
def test_bodies(body: bytes) -> None:
    """A body that does not begin with a token is a bad call."""
    response = Client().post("/state/", body, content_type="application/json")
    assert read_error(response) == (400, "BadCall")


@pytest.mark.parametrize("rest", ["", "}", ', "method": 1}', ', "args": []}', ', "method": "add", "more": 1}', "}}"])
def test_bodies_with_a_token(rest: str) -> None:
    """A body with a valid token that is not a call is a bad call. With an invalid token, the token is refused."""
    client = Client()
    for token, expected in ((fetch_token(client), (400, "BadCall")), ("t", (400, "MalformedState"))):
        response = client.post("/state/", f'{{"token": "{token}"{rest}', content_type="application/json")
        assert read_error(response) == expected


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "text/json", "application/json+x", "", "json", "a b"]
)
def test_other_content_types(kind: str) -> None:
    """A content type except JSON is refused without reading the body."""
    client = Client()
    body = json.dumps({"token": fetch_token(client), "method": "add", "args": [1]})
    request = RequestFactory().generic("POST", "/state/", body, content_type=kind)
    request.session = client.session
    request.user = AnonymousUser()
    assert handle(request).status_code == 415
    assert not hasattr(request, "_body")
    assert client.post("/state/", body, content_type="multipart/form-data; boundary=x").status_code == 415


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "APPLICATION/JSON", " application/json ;x=y"])
def test_spellings_of_the_content_type(kind: str) -> None:
    """The content type may have parameters and any case."""
    client = Client()
    body = json.dumps({"token": fetch_token(client), "method": "add", "args": [1]})
    assert client.post("/state/", body, content_type=kind).status_code == 200


def test_a_long_body() -> None:
    """A body of more than four times max_size is refused, whatever token it begins with."""
    client = Client()
    body = json.dumps({"token": fetch_token(client), "method": "add", "args": [1]})
    assert client.post("/state/", body.ljust(4 * 65536), content_type="application/json").status_code == 200
    assert read_error(client.post("/state/", body.ljust(4 * 65536 + 1), content_type="application/json")) == (
        400,
        "BadCall",
    )


def test_purposes() -> None:
    """A view opens a plain value only with its purpose, and never opens an object as a value."""
    request = RequestFactory().get("/")
    request.session = Client().session
    request.user = AnonymousUser()
    token = seal([1], request, purpose="basket")
    assert unseal(token, request, purpose="basket") == [1]
    for refused, purpose in (
        (token, ""),
        (token, "price"),
        (seal([1], request), "basket"),
        (seal(Counter(), request), ""),
    ):
        with pytest.raises(UnsealError):
            unseal(refused, request, purpose=purpose)


def test_bad_calls() -> None:
    """Each kind of bad call has its code, and the token remains valid."""
    client = Client()
    token = fetch_token(client)
    changed = token[:-4] + ("AAAA" if token[-4:] != "AAAA" else "BBBB")
    assert read_error(add(client, "token")) == (400, "MalformedState")
    assert read_error(add(client, changed)) == FOREIGN
    assert read_error(add(client, token, to="/other/")) == FOREIGN
    for body, answer in (
        ({"token": token, "method": "load"}, (403, "NotPublic")),
        ({"token": token, "method": "__init__"}, (403, "NotPublic")),
        ({"token": token, "method": "add"}, (400, "BadCall")),
        ({"token": token, "method": "add", "args": [1, 2]}, (400, "BadCall")),
    ):
        assert read_error(client.post("/state/", body, content_type="application/json")) == answer
    assert add(client, token).json()["result"] == 1


@pytest.mark.parametrize(("fault", "status"), [(KeyError("row"), 410), (OperationalError("database"), 500)])
def test_what_load_raises(fault: Exception, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing row is 410. A database that is down is a server error."""
    client = Client(raise_request_exception=False)
    token = fetch_token(client)
    monkeypatch.setattr(Counter, "fault", fault)
    assert add(client, token).status_code == status


def start_session(client: Client) -> Any:
    """Return the session that a client starts with its first token."""
    fetch_token(client)
    return client.session


@pytest.mark.parametrize(("error", "status", "code"), RESPONSES)
@pytest.mark.parametrize("view", ["fail", "async_fail"])
@pytest.mark.parametrize("server", ["wsgi", "asgi"])
def test_errors(server: str, view: str, error: str, status: int, code: str) -> None:
    """The middleware answers errors of sync and async views under WSGI and ASGI, without internal details."""
    if server == "wsgi":
        response = Client().get(f"/{view}/{error}/")
    else:
        response = asyncio.run(AsyncClient().get(f"/{view}/{error}/"))
    assert read_error(response) == (status, code)
    assert response["Content-Type"] == "application/json"
    assert response["Cache-Control"] == "no-store"
    assert str(ERRORS[error]) not in response.content.decode()


@pytest.mark.parametrize("error", ["down", "other"])
@pytest.mark.parametrize("view", ["fail", "async_fail"])
def test_other_errors(view: str, error: str) -> None:
    """Other errors are reported as server errors."""
    with pytest.raises(type(ERRORS[error])):
        Client().get(f"/{view}/{error}/")
    assert Client(raise_request_exception=False).get(f"/{view}/{error}/").status_code == 500


def test_the_middleware_is_of_both_kinds() -> None:
    """The middleware is a coroutine function if the next one is, so that Django needs no thread between them."""

    async def below(request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    assert StateErrorMiddleware.sync_capable
    assert StateErrorMiddleware.async_capable
    assert iscoroutinefunction(StateErrorMiddleware(below))
    assert not iscoroutinefunction(StateErrorMiddleware(lambda request: HttpResponse()))


@pytest.mark.usefixtures("db")
def test_transactions() -> None:
    """A view's transaction is rolled back when it meets something stale."""
    assert read_error(Client().get("/half_done/")) == (410, "StaleState")
    assert not get_user_model().objects.filter(username="half done").exists()


# ------------------------------------------------------------------------------------------------------------ sessions

ENGINES = ["db", "cache", "cached_db", "file"]


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path: Any, db: None) -> Iterator[str]:
    """Use each of Django's session engines whose sessions have a key."""
    with override_settings(
        SESSION_ENGINE=f"django.contrib.sessions.backends.{request.param}", SESSION_FILE_PATH=str(tmp_path)
    ):
        yield request.param


@pytest.mark.usefixtures("engine")
def test_a_session_begins_with_the_first_token() -> None:
    """The first token starts a session, which the visitor keeps."""
    client = Client()
    token = fetch_token(client)
    assert "sessionid" in client.cookies
    key = client.session.session_key
    assert add(client, token).status_code == 200
    assert add(client, fetch_token(client)).status_code == 200
    assert client.session.session_key == key


@pytest.mark.usefixtures("engine")
def test_what_is_in_a_new_session_is_kept() -> None:
    """A new session keeps what a view has stored before it seals."""
    client = Client()
    client.get("/put/")
    assert client.get("/get/").content == b"yes"


@pytest.mark.usefixtures("engine")
def test_a_session_key_that_names_no_session() -> None:
    """A token is not sealed for a session key that is expired or made up."""
    client = Client()
    client.cookies = SimpleCookie({"sessionid": "a" * 32})
    token = fetch_token(client)
    assert client.session.session_key != "a" * 32
    assert add(client, token).status_code == 200


@pytest.mark.usefixtures("engine")
def test_a_session_that_is_over() -> None:
    """A token is refused when its session is over."""
    client = Client()
    token = fetch_token(client)
    client.session.flush()
    assert read_error(add(client, token)) == FOREIGN


@pytest.mark.usefixtures("db")
@override_settings(SESSION_ENGINE="django.contrib.sessions.backends.db")
def test_calls_without_a_session_begin_none() -> None:
    """A call without a session is refused, and starts no session."""
    token = fetch_token(Client())
    before = Session.objects.count()
    assert before == 1
    visitor = Client()
    assert read_error(add(visitor, token)) == FOREIGN
    assert read_error(add(visitor, "token")) == (400, "MalformedState")
    assert Session.objects.count() == before
    assert not visitor.cookies


@pytest.mark.usefixtures("engine")
def test_tokens_of_another_session() -> None:
    """A token of another session is refused."""
    mine, yours = Client(), Client()
    token = fetch_token(mine)
    fetch_token(yours)
    assert read_error(add(yours, token)) == FOREIGN
    assert add(mine, token).status_code == 200


@pytest.fixture
def users(db: None) -> None:
    for name in ("ann", "bob"):
        get_user_model().objects.create_user(name, password="secret")


@pytest.mark.usefixtures("engine", "users")
def test_signing_in_and_out() -> None:
    """Tokens are refused after signing in, signing out, and signing in as another user."""
    client = Client()
    tokens = []
    for there in ("/page/", "/sign_in/ann/", "/sign_out/", "/sign_in/bob/"):
        client.get(there)
        assert [read_error(add(client, token)) for token in tokens] == [FOREIGN] * len(tokens)
        tokens.append(fetch_token(client))
        assert add(client, tokens[-1]).status_code == 200


@pytest.mark.usefixtures("users")
def test_another_user_of_the_same_session() -> None:
    """A token is refused for another user, even with the same session key."""
    request = RequestFactory().get("/")
    request.session = start_session(Client())
    ann, bob = (get_user_model().objects.get(username=name) for name in ("ann", "bob"))
    request.user = ann
    token = seal("state", request)
    assert unseal(token, request) == "state"
    request.user = bob
    with pytest.raises(UnsealError) as caught:
        unseal(token, request)
    assert caught.value.reason == "bad_signature"


def test_without_users() -> None:
    """A site without accounts needs no AuthenticationMiddleware."""
    request = RequestFactory().get("/")
    request.session = start_session(Client())
    assert not hasattr(request, "user")
    assert unseal(seal("state", request), request) == "state"


@pytest.mark.parametrize("ours", [False, True])
@pytest.mark.parametrize("argument", [None, "a state"])
def test_what_is_no_request(argument: Any, ours: bool) -> None:
    """An argument that is not a request is a TypeError, with each kind of session."""
    with override_settings(SEALEDSESSION={"SESSION_ID": "sealedsession" if ours else "django"}):
        for shortcut in (seal, unseal, lambda token, request: resume(token, request, Counter)):
            with pytest.raises(TypeError, match=rf"^request: .*{got(argument)}\."):
                shortcut("token", argument)


def test_requests_around_a_request() -> None:
    """A wrapper that forwards attributes of a request is accepted, as frameworks for APIs have them."""

    class Wrapped:
        def __init__(self, request: HttpRequest) -> None:
            self.request = request

        def __getattr__(self, name: str) -> Any:
            return getattr(self.request, name)

    request = RequestFactory().get("/")
    request.session = start_session(Client())
    wrapped: Any = Wrapped(request)
    assert unseal(seal("state", wrapped), request) == "state"


@pytest.mark.usefixtures("users")
def test_a_sealer_of_your_own() -> None:
    """The helpers return session id and user for a sealer. Only ensure_session_id starts a session."""
    request = RequestFactory().get("/")
    request.session = type(start_session(Client()))()
    nobodys = get_session_id(request)
    assert request.session.session_key is None
    assert ensure_session_id(request) == get_session_id(request) == request.session.session_key != nobodys
    assert get_username(request) == ""
    request.user = get_user_model().objects.get(username="ann")
    assert get_username(request) == "ann"
    assert (
        unseal(conf.get_state_sealer().seal(7, session_id=get_session_id(request), user=get_username(request)), request)
        == 7
    )


def test_resume() -> None:
    """The shortcut `resume` accepts a class, and arguments of load, as the sealer does."""
    request = RequestFactory().get("/")
    request.session = start_session(Client())
    token = seal(Counter("name"), request)
    assert resume(token, request, Counter).name == "name"
    assert resume(token, request, Counter, args=["other"]).name == "other"
    token = seal(Counter(name="name"), request)
    assert resume(token, request, Counter, kwargs={"name": "other"}).name == "other"
    with pytest.raises(UnsealError):
        resume(token, request, Other)


@pytest.mark.parametrize("came", [False, True], ids=["new", "with a cookie"])
def test_sessions_in_signed_cookies(came: bool) -> None:
    """Sessions in signed cookies are refused with advice, and so are subclasses."""

    class Subclass(SignedCookies):
        pass

    for kind in (SignedCookies, Subclass):
        request = RequestFactory().get("/")
        request.session = kind("cookie" if came else None)
        for shortcut in (seal, unseal):
            with pytest.raises(ConfigError, match=r"^SESSION_ENGINE:"):
                shortcut("state", request)


def test_an_engine_that_gives_no_key() -> None:
    """Sessions that have no key after they were created are refused."""

    class Keyless(type(start_session(Client()))):  # type: ignore[misc]
        def create(self) -> None:
            self.modified = True

    request = RequestFactory().get("/")
    request.session = Keyless()
    with pytest.raises(ConfigError, match=r"^SESSION_ENGINE:"):
        seal("state", request)


def test_without_sessions() -> None:
    """Without sessions, the error names the missing middleware."""
    with pytest.raises(ConfigError, match=r"^request: .* MIDDLEWARE"):
        seal("state", RequestFactory().get("/"))


# -------------------------------------------------------------------------------------------- sessions of this package


@pytest.fixture
def ours() -> Iterator[None]:
    """Configure a project that uses the sessions of SessionMiddleware."""
    with override_settings(SEALEDSESSION={"SESSION_ID": "sealedsession"}, MIDDLEWARE=[MIDDLEWARE]):
        yield


class Visitor:
    """A browser at an application in the WSGI or ASGI middleware."""

    def __init__(self, interface: str, **options: Any) -> None:
        self.cookies: dict[str, str] = {}
        if interface == "wsgi":
            self._request = self._wsgi(WsgiSessions(get_wsgi_application(), **options))
        else:
            self._request = self._asgi(AsgiSessions(get_asgi_application(), **options))

    def _wsgi(self, application: Any) -> Callable[..., Any]:
        def request(method: str, url: str, body: bytes) -> tuple[int, bytes]:
            headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()), **JSON}
            app = webtest.TestApp(application, extra_environ={"wsgi.url_scheme": "https"}, cookiejar=None)
            app.reset()
            response = app.request(url, method=method, body=body, headers=headers, expect_errors=True)
            self._keep(response.headers.getall("Set-Cookie"))
            return response.status_int, response.body

        return request

    def _asgi(self, application: Any) -> Callable[..., Any]:
        async def visit(method: str, url: str, body: bytes) -> httpx.Response:
            transport = httpx.ASGITransport(application)
            options: Any = {"base_url": "https://a.org", "cookies": self.cookies}
            async with httpx.AsyncClient(transport=transport, **options) as browser:
                return await browser.request(method, url, content=body, headers=JSON)

        def request(method: str, url: str, body: bytes) -> tuple[int, bytes]:
            response = asyncio.run(visit(method, url, body))
            self._keep(response.headers.get_list("Set-Cookie"))
            return response.status_code, response.content

        return request

    def _keep(self, set_cookies: list[str]) -> None:
        for header in set_cookies:
            name, _, value = header.partition(";")[0].partition("=")
            self.cookies[name] = value

    def token(self) -> str:
        status, body = self._request("GET", "/page/", b"")
        assert status == 200
        return str(body.decode())

    def add(self, token: str) -> tuple[int, Any]:
        body = json.dumps({"token": token, "method": "add", "args": [1]}).encode()
        status, answer = self._request("POST", "/state/", body)
        return status, json.loads(answer)


@pytest.mark.parametrize("interface", ["wsgi", "asgi"])
@pytest.mark.usefixtures("ours")
def test_our_session(interface: str, keys: dict[str, str], other_keys: dict[str, str]) -> None:
    """Tokens belong to the session of SessionMiddleware: the first token starts it, tokens of another session are
    refused, and an old refused cookie is replaced.
    """
    mine, yours = Visitor(interface, **keys), Visitor(interface, **keys)
    token = mine.token()
    assert list(mine.cookies) == ["__Host-Http-session"]
    assert mine.add(token)[0] == 200
    assert yours.add(token)[0] == 403
    yours.token()
    status, answer = yours.add(token)
    assert (status, answer["error"]["code"]) == FOREIGN
    assert mine.add(token)[1]["result"] == 1

    moved = Visitor(interface, **other_keys)
    moved.cookies = dict(mine.cookies)
    assert moved.add(moved.token())[0] == 200


class DownStore(MemoryStore):
    """A revocation store that can be down."""

    is_down = False

    def find(self, keys: Any) -> Any:
        if self.is_down:
            raise StoreError("down")
        return super().find(keys)


@pytest.mark.parametrize("interface", ["wsgi", "asgi"])
@pytest.mark.usefixtures("ours")
def test_our_session_while_its_store_is_down(interface: str, keys: dict[str, str]) -> None:
    """A session survives a page view while the revocation store is down: its tokens open when the store is back."""
    store = DownStore()
    visitor = Visitor(interface, **keys, revocation=store)
    token = visitor.token()
    store.is_down = True
    assert visitor.add(visitor.token())[0] == 403
    store.is_down = False
    assert visitor.add(token)[0] == 200


@pytest.mark.parametrize("get", [Client().get, lambda path: asyncio.run(AsyncClient().get(path))], ids=["wsgi", "asgi"])
@pytest.mark.usefixtures("ours")
def test_without_our_session(get: Callable[[str], Any]) -> None:
    """Without such a session, the error says what to wrap."""
    with pytest.raises(ConfigError, match=r"\[.SESSION_ID.\]: .*sealedsession\.wsgi"):
        get("/page/")
