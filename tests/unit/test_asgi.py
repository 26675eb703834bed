"""The ASGI middleware keeps to ASGI 3, http and websocket, and leaves every other scope unchanged."""

import asyncio
import gc
import inspect
import weakref
from operator import methodcaller
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware as StarletteSessions
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute

from sealedsession.asgi import SessionMiddleware
from sealedsession.config import SessionConfig
from sealedsession.errors import ConfigError, CookieTooLargeError, NotSerializableError, SessionClosedError
from tests.support.asgi_client import ACCEPT, BODY, CLOSE, TEXT, http, make_app, start, talk, websocket
from tests.support.starlette_client import TestClient

NAME = b"__Host-Http-session"


def wrap(keys, act, *messages, **options):
    return SessionMiddleware(make_app(act, *(messages or (start(), BODY))), **keys, **options)


def count(session):
    session["visits"] = session.get("visits", 0) + 1


class Cookie(NamedTuple):
    sent: bytes  # for the Cookie header
    attributes: bytes


def read_cookies(message):
    pairs = [value.partition(b"; ") for name, value in message.get("headers", ()) if name == b"set-cookie"]
    return [Cookie(value, attributes) for value, _, attributes in pairs]


def read_cookie(message):
    """The one cookie that a message sets."""
    [cookie] = read_cookies(message)
    return cookie.sent


def read(keys, cookie, **more):
    """The content of the session that a cookie holds."""
    content = {}
    talk(wrap(keys, content.update), http(cookie, **more))
    return content


def test_it_is_seen_as_asgi_3(keys):
    """Servers look for a coroutine function, to tell ASGI 3 from ASGI 2."""
    assert inspect.iscoroutinefunction(wrap(keys, id).__call__)


# ----------------------------------------------------------------------------------------------------------------- http


def test_a_session_comes_back(keys):
    """What a request stored is there in the next one; the header names are lower case, as ASGI wants them."""
    first, body = talk(wrap(keys, count), http())
    assert [name for name, _ in first["headers"]] == [b"content-type", b"vary", b"set-cookie", b"cache-control"]
    assert body is BODY
    assert read(keys, read_cookie(first)) == {"visits": 1}


@pytest.mark.parametrize("cookie", ["none", "valid", "invalid", "expired"])
@pytest.mark.parametrize("headers", [{}, {"headers": [(b"X-Odd", b"\xff"), TEXT]}, {"headers": ((b"a", b"1"),)}])
def test_untouched_is_untouched(keys, clock, cookie, headers):
    """A response whose session nobody touched is the application's very messages, whatever cookie came."""
    [valid, _] = talk(wrap(keys, count, clock=clock), http())
    values = {"none": None, "valid": read_cookie(valid), "invalid": NAME + b"=rubbish", "expired": read_cookie(valid)}
    clock.advance(10**7 if cookie == "expired" else 0)
    messages = [
        {"type": "http.response.start", "status": 299, **headers},
        {"type": "http.response.body", "body": b"as", "more_body": True},
        {"type": "http.response.body", "body": b"is"},
        {"type": "http.response.trailers", "headers": []},
    ]
    copies = [dict(message) for message in messages]
    sent = talk(wrap(keys, id, *messages, clock=clock), http(values[cookie]))
    assert all(one is other for one, other in zip(sent, messages, strict=True))
    assert messages == copies


@pytest.mark.parametrize(
    ("headers", "first"),
    [
        ({}, []),
        ({"headers": []}, []),
        ({"headers": ()}, []),
        ({"headers": (TEXT,)}, [TEXT]),
        ({"headers": [list(TEXT)]}, [TEXT]),
        ({"headers": iter([TEXT])}, [TEXT]),
        ({"headers": [(b"Set-Cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"VARY", b"x")]}, [(b"Set-Cookie", b"a=1")]),
    ],
    ids=["missing", "empty", "empty tuple", "tuple", "lists", "iterator", "cookies"],
)
def test_every_form_of_headers(keys, headers, first):
    """Headers of every legal form get the cookie behind what was there."""
    message = {"type": "http.response.start", "status": 200, **headers}
    [sent, _] = talk(wrap(keys, count, message, BODY), http())
    sent_headers = [tuple(header) for header in sent["headers"]]
    assert sent_headers[: len(first)] == first
    assert read_cookies(sent)[-1].sent.startswith(NAME)
    assert [name.lower() for name, _ in sent_headers].count(b"vary") == 1


def test_the_applications_message_is_left_alone(keys):
    """A message and a list of headers that the application keeps for every response stay as they are."""
    shared = [TEXT, (b"vary", b"accept")]
    message = start(headers=shared, trailers=True, extension={"x": 1})
    for _ in range(2):
        sent, _ = talk(wrap(keys, count, message, BODY), http())
        assert (b"vary", b"accept, Cookie") in sent["headers"]
        assert sent["trailers"] is True
        assert sent["extension"] == {"x": 1}
    assert message == start(headers=[TEXT, (b"vary", b"accept")], trailers=True, extension={"x": 1})
    assert message["headers"] is shared


def test_several_cookie_headers(keys):
    """HTTP/2 splits cookies over several headers: ours is found in each of them."""
    cookie = read_cookie(talk(wrap(keys, count), http())[0])
    for headers in ([cookie, b"a=1", b"b=2"], [b"a=1", cookie, b"b=2"], [b'a="1', b"b=2", cookie]):
        assert read(keys, None, headers=[(b"cookie", value) for value in headers]) == {"visits": 1}


def test_streaming(keys):
    """The cookie goes with the first message; then the session can be read and no longer changed."""

    async def app(scope, receive, send):
        session = scope["session"]
        count(session)
        await send(start())
        with pytest.raises(SessionClosedError):
            session["late"] = True
        await send({"type": "http.response.body", "body": b"%d" % session["visits"], "more_body": True})
        await send({"type": "http.response.body"})

    first, *parts = talk(SessionMiddleware(app, **keys), http())
    assert read(keys, read_cookie(first)) == {"visits": 1}
    assert [part.get("body") for part in parts] == [b"1", None]


@pytest.mark.parametrize("change", [count, methodcaller("clear"), methodcaller("invalidate"), methodcaller("save")])
def test_no_first_touch_change_after_the_start(keys, change):
    """A session that was never looked into is closed by the first message as well."""

    async def app(scope, receive, send):
        await send(start())
        with pytest.raises(SessionClosedError):
            change(scope["session"])

    [message] = talk(SessionMiddleware(app, **keys), http())
    assert message == start()


def test_an_error_of_the_application_is_passed_on(keys):
    """What the application raises goes to the server, and nothing is sent."""

    async def app(scope, receive, send):
        count(scope["session"])
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        talk(SessionMiddleware(app, **keys), http())


def test_a_failing_response_saves_nothing(keys):
    """A status of 500 and above goes out without a cookie."""
    [message, _] = talk(wrap(keys, count, start(status=500), BODY), http())
    assert read_cookies(message) == []


@pytest.mark.parametrize(
    ("value", "error"), [("x" * 5000, CookieTooLargeError), (object(), NotSerializableError)], ids=["large", "object"]
)
def test_what_cannot_be_stored_is_an_error_in_send(keys, value, error):
    """The application can catch what send raises, and answer otherwise: the server has seen nothing."""

    async def app(scope, receive, send):
        scope["session"].update(user="ann", bad=value)
        with pytest.raises(error):
            await send(start())
        del scope["session"]["bad"]
        await send(start(status=413))

    [message] = talk(SessionMiddleware(app, **keys), http())
    assert message["status"] == 413
    assert read(keys, read_cookie(message)) == {"user": "ann"}


POP = methodcaller("pop", "session")


class Marker:
    """A value that is true, as Litestar's Empty is."""


@pytest.mark.parametrize(
    "replace",
    [
        methodcaller("update", session={"mine": True}),
        methodcaller("update", session={}),
        methodcaller("update", session=Marker),
        methodcaller("update", session=Marker()),
        methodcaller("update", session=None),
        POP,
    ],
    ids=["dict", "empty dict", "class", "object", "None", "del"],
)
@pytest.mark.parametrize(
    ("touch", "content"),
    [(id, {"visits": 1}), (len, {"visits": 1}), (count, {"visits": 2})],
    ids=["unopened", "open", "changed"],
)
def test_another_object_in_the_scope_is_ignored(keys, caplog, touch, content, replace):
    """Whatever is put into scope["session"], the session is saved as it was; one record for each type says so."""

    async def app(scope, receive, send):
        session = scope["session"]
        touch(session)
        replace(scope)
        await send(start())
        await send(BODY)

    cookie = read_cookie(talk(wrap(keys, count), http())[0])
    middleware = SessionMiddleware(app, **keys)
    for _ in range(2):
        [message, _] = talk(middleware, http(cookie))
        cookies = read_cookies(message)
        assert read(keys, cookies[0].sent if cookies else cookie) == content
    assert [("update()" in record.getMessage()) for record in caplog.records] == [True] * (replace is not POP)


@pytest.mark.parametrize("error", [CookieTooLargeError, ValueError, NotSerializableError, TypeError])
def test_the_frameworks_error_handler_answers(keys, error):
    """After ensure_fits() in the view, Starlette's handler of the error makes the response; the old cookie stays."""

    async def fill(request):
        request.session["visits"] = "x" * 9000 if issubclass(error, ValueError) else object()
        request.session.ensure_fits()

    async def answer(request, raised):
        assert isinstance(raised, error)
        del request.session["visits"]
        request.session["answered"] = True
        return JSONResponse({}, status_code=413)

    app = Starlette(
        routes=[Route("/", fill)],
        middleware=[Middleware(SessionMiddleware, **keys)],
        exception_handlers={error: answer},
    )
    cookie = read_cookie(talk(wrap(keys, lambda session: session.update(user="ann")), http())[0])
    message, _ = talk(app, http(cookie, query_string=b"", http_version="1.1", root_path="", raw_path=b"/"))
    assert message["status"] == 413
    assert read(keys, read_cookie(message)) == {"user": "ann", "answered": True}


def test_a_mounted_application_with_its_own_sessions(keys):
    """A session middleware below ours, with a cookie of its own, changes nothing in our session."""

    def own_sessions(app):
        async def middleware(scope, receive, send):
            scope["session"] = {}
            await app(scope, receive, send)

        return middleware

    async def admin(scope, receive, send):
        scope["session"]["token"] = "admin"
        await send(start())

    starlette = StarletteSessions(admin, secret_key="s", session_cookie="admin")
    cookie = read_cookie(talk(wrap(keys, count), http())[0])
    for below in (own_sessions(admin), starlette):
        [message] = talk(SessionMiddleware(below, **keys), http(cookie))
        assert [each.sent for each in read_cookies(message) if each.sent.startswith(NAME)] == []
    assert read(keys, cookie) == {"visits": 1}


@pytest.mark.parametrize("outer_content", [{}, {"outer": 1}])
def test_an_outer_middleware_never_sees_our_session(keys, outer_content):
    """Below another session middleware, ours works on a copy of the scope."""
    seen = []

    async def outer(scope, receive, send):
        scope["session"] = outer_session = dict(outer_content)

        async def storing(message):
            seen.append(scope["session"])
            await send(message)

        await wrap(keys, count)(scope, receive, storing)
        assert scope["session"] is outer_session

    message, _ = talk(outer, http())
    assert seen == [outer_content] * 2
    assert read(keys, read_cookie(message)) == {"visits": 1}


def test_what_a_router_puts_into_the_scope_reaches_outer_middlewares(keys):
    """Without a session in it, the scope is changed in place, so that tracing finds the route."""

    async def app(scope, receive, send):
        scope["route"] = "/items/{id}"
        await send(start())

    async def tracing(scope, receive, send):
        await SessionMiddleware(app, **keys)(scope, receive, send)
        assert scope["route"] == "/items/{id}"

    assert talk(tracing, http())


def test_headers_and_server_for_one_use(keys, caplog):
    """ASGI allows any iterable of headers and for the server: the application finds them as they came."""
    found = []

    async def app(scope, receive, send):
        count(scope["session"])
        found.append([*scope["headers"]])
        await send(start())

    cookie = read_cookie(talk(wrap(keys, count), http())[0])
    headers = [(b"x-a", b"1"), (b"cookie", cookie)]
    scopes = [
        {**http(), "headers": iter(headers)},
        {**http(), "headers": (list(pair) for pair in headers), "session": {}},
        {**http(), "headers": headers, "server": iter(["192.0.2.1", 80])},
    ]
    for scope in scopes:
        [message] = talk(SessionMiddleware(app, **keys), scope)
        assert read(keys, read_cookie(message)) == {"visits": 2}
    assert found == [headers, headers, headers]
    assert [*scopes[0]["headers"]] == [*scopes[1]["headers"]] == headers
    assert "192.0.2.1" in caplog.text


def test_two_middlewares(keys):
    """Two middlewares with names of their own keep two sessions; what lies between them hands the outer one on."""

    async def app(scope, receive, send):
        count(scope["session"])
        count(scope["outer"])
        count(scope["outer"])
        await send(start())

    inner = SessionMiddleware(app, **keys, name="inner")

    async def between(scope, receive, send):
        await inner({**scope, "outer": scope["session"]}, receive, send)

    [message] = talk(SessionMiddleware(between, **keys, name="outer"), http())
    cookies = {cookie.sent.partition(b"=")[0]: cookie.sent for cookie in read_cookies(message)}
    assert sorted(cookies) == [b"inner", b"outer"]
    found = []
    for name in cookies:
        talk(wrap(keys, lambda session: found.append(session["visits"]), name=name.decode()), http(cookies[name]))
    assert found == [1, 2]


def test_two_middlewares_on_one_scope(keys):
    """The inner middleware's session in scope["session"] is not taken for the outer one's new content."""
    inner = wrap(keys, count, name="inner")
    outer_cookie = read_cookie(talk(wrap(keys, count, name="outer"), http())[0])
    message, _ = talk(SessionMiddleware(inner, **keys, name="outer"), http(outer_cookie))
    assert read_cookie(message).startswith(b"inner=")


@given(header=st.binary() | st.binary().map(lambda tail: NAME + b"=" + tail))
def test_any_cookie_header_is_survived(keys, header):
    """Whatever bytes stand in a Cookie header, the request is answered, by a new session."""
    message, _ = talk(wrap(keys, count), http(header))
    assert read(keys, read_cookie(message)) == {"visits": 1}


@pytest.mark.parametrize(
    ("scope", "warnings"),
    [
        (http(scheme="http", headers=[(b"host", b"example.org")]), 1),
        (http(headers=[(b"host", b"example.org")]), 1),
        (http(headers=[], server=("192.0.2.1", 80)), 1),
        (http(scheme="https", headers=[(b"host", b"example.org")]), 0),
        (http(headers=[(b"host", b"localhost:8000")]), 0),
        (http(headers=[], server=None), 0),
        (http(headers=[]), 0),
        ({**websocket(), "headers": [(b"host", b"example.org")]}, 1),
        ({**websocket(), "headers": [(b"host", b"example.org")], "scheme": "wss"}, 0),
    ],
)
def test_plain_http_is_worth_a_warning(keys, caplog, scope, warnings):
    """A Secure cookie over http or ws to a host that is not this machine is warned of."""
    message = ACCEPT if scope["type"] == "websocket" else start()
    talk(wrap(keys, count, message), scope)
    assert len(caplog.records) == warnings


# ------------------------------------------------------------------------------------------------------------ websocket


def test_a_websocket_reads_the_session(keys):
    """A websocket sees the session of the page that it belongs to, and its messages pass as they are."""
    cookie = read_cookie(talk(wrap(keys, count), http())[0])
    seen = {}
    messages = [ACCEPT, {"type": "websocket.send", "text": "hello", "extra": 1}, CLOSE]
    sent = talk(wrap(keys, seen.update, *messages), websocket(cookie))
    assert seen == {"visits": 1}
    assert all(one is other for one, other in zip(sent[1:], messages[1:], strict=True))


@pytest.mark.parametrize("version", ["2.0", "2.1", None])
def test_an_untouched_websocket_is_untouched(keys, version):
    """The application's very messages go out when nobody touched the session, and when a server takes no headers."""
    messages = [{**ACCEPT, "subprotocol": "chat"}, {"type": "websocket.send", "bytes": b""}, CLOSE]
    sent = talk(wrap(keys, id, *messages), websocket(version=version))
    assert all(one is other for one, other in zip(sent, messages, strict=True))


@pytest.mark.parametrize("version", ["2.1", "2.10", "3.0"])
def test_accept_carries_the_cookie(keys, version):
    """From spec_version 2.1 on websocket.accept carries headers, and all else in it stays."""
    accept = {**ACCEPT, "subprotocol": "chat", "headers": [(b"x-mine", b"1")], "extra": {"x": 1}}
    [sent, _] = talk(wrap(keys, count, accept, CLOSE), websocket(version=version))
    assert read(keys, read_cookie(sent)) == {"visits": 1}
    assert sent["headers"][0] == (b"x-mine", b"1")
    assert {**sent, "headers": None} == {**accept, "headers": None}
    assert accept["headers"] == [(b"x-mine", b"1")]


@pytest.mark.parametrize("version", ["2.0", None])
def test_accept_without_headers_refuses_a_change(keys, version):
    """Where websocket.accept cannot carry a cookie, a changed session is an error that says so."""
    with pytest.raises(SessionClosedError, match="spec_version"):
        talk(wrap(keys, count, ACCEPT), websocket(version=version))


@pytest.mark.parametrize("version", ["2.0", "2.1", None])
@pytest.mark.parametrize("touch", [id, len], ids=["unopened", "open"])
def test_no_change_after_accept(keys, version, touch):
    """After websocket.accept a change raises at once, whatever the server's version; reading goes on."""

    async def app(scope, receive, send):
        session = scope["session"]
        touch(session)
        await send(ACCEPT)
        assert session["visits"] == 1
        with pytest.raises(SessionClosedError, match=r"before websocket\.accept"):
            session["visits"] = 2
        await send(CLOSE)

    cookie = read_cookie(talk(wrap(keys, count), http())[0])
    assert talk(SessionMiddleware(app, **keys), websocket(cookie, version))[1] is CLOSE


def test_denial_response_carries_the_cookie(keys):
    """A websocket that is denied by a response can store a session with it."""
    denial = [
        {"type": "websocket.http.response.start", "status": 403, "headers": [TEXT], "extra": 1},
        {"type": "websocket.http.response.body", "body": b"no"},
    ]
    first, body = talk(wrap(keys, count, *denial), websocket())
    assert read(keys, read_cookie(first)) == {"visits": 1}
    assert (first["status"], first["extra"]) == (403, 1)
    assert body is denial[1]


def test_close_before_accept(keys):
    """A close carries no headers: it passes with an unchanged session, and is an error with a changed one."""
    for act in (id, len):
        assert talk(wrap(keys, act, CLOSE), websocket())[0] is CLOSE
    with pytest.raises(SessionClosedError, match=r"websocket\.close .*websocket\.accept"):
        talk(wrap(keys, count, CLOSE), websocket())


@pytest.mark.parametrize("last", [ACCEPT, CLOSE], ids=["accept", "close"])
def test_another_object_in_a_websockets_scope_is_ignored(keys, caplog, last):
    """A websocket's scope is treated as any other: what is put in the session's place is ignored, and logged."""

    async def app(scope, receive, send):
        scope["session"] = {"mine": True}
        await send(last)

    assert talk(SessionMiddleware(app, **keys), websocket(version="2.0")) == [last]
    assert "builtins.dict" in caplog.text


def test_environ_key_is_refused(keys):
    """The option environ_key has no effect in ASGI, and is refused at start."""
    with pytest.raises(ConfigError, match="environ_key"):
        wrap(keys, id, environ_key="my.session")
    with pytest.raises(ConfigError, match="environ_key"):
        SessionMiddleware(make_app(id), SessionConfig(**keys, environ_key="my.session"))


# ----------------------------------------------------------------------------------------------------------- bystanders


@pytest.mark.parametrize("kind", ["lifespan", "webtransport", "mine"])
def test_other_scopes_pass(keys, kind):
    """The application receives the same scope, receive and send, unless the scope is http or websocket."""
    seen = []

    async def app(*arguments):
        seen.extend(arguments)

    scope, receive, send = {"type": kind}, object(), object()
    asyncio.run(SessionMiddleware(app, **keys)(scope, receive, send))
    assert [id(argument) for argument in seen] == [id(scope), id(receive), id(send)]
    assert scope == {"type": kind}


def test_receive_passes(keys):
    """The application gets the server's very receive."""
    seen = []

    async def app(scope, receive, send):
        seen.append(receive)

    receive = object()
    asyncio.run(SessionMiddleware(app, **keys)(http(), receive, None))
    assert seen == [receive]


@pytest.mark.parametrize("more", [{}, {"revocation": "memory"}], ids=["without a store", "with a store"])
def test_a_binding_gets_the_scope(keys, more):
    """The option binding is called with the scope; a cookie that came to another client does not open there."""
    seen = []

    def binding(scope):
        seen.append(scope)
        return scope["client"][0].encode()

    def visits(cookie, client):
        scope = http(cookie, client=(client, 5000))
        [message, _] = talk(wrap(keys, count, binding=binding, **more), scope)
        assert seen[-1] is scope
        return message

    content = []
    first = read_cookie(visits(None, "192.0.2.1"))
    for client in ("192.0.2.1", "192.0.2.2"):
        scope = http(first, client=(client, 5000))
        talk(wrap(keys, lambda session: content.append(dict(session)), binding=binding, **more), scope)
    assert content == [{"visits": 1}, {}]


# ------------------------------------------------------------------------------------------------------------ Starlette


async def visits(request):
    count(request.session)
    return JSONResponse(request.session)


async def untouched(request):
    return JSONResponse("hello")


async def stream(request):
    count(request.session)
    return StreamingResponse(iter(["a", "b"]))


async def chat(socket):
    await socket.accept()
    await socket.send_json(socket.session)
    await socket.close()


ROUTES = [
    Route("/", visits),
    Route("/untouched", untouched),
    Route("/stream", stream),
    WebSocketRoute("/chat", chat),
]


def added(keys):
    app = Starlette(routes=ROUTES)
    app.add_middleware(SessionMiddleware, **keys)
    return app


def listed(keys):
    return Starlette(routes=ROUTES, middleware=[Middleware(SessionMiddleware, **keys)])


def around(keys):
    return SessionMiddleware(Starlette(routes=ROUTES), **keys)


@pytest.mark.parametrize("make", [added, listed, around])
def test_starlette(keys, make):
    """Starlette's request.session is ours, however the middleware was added, in responses, streams and websockets."""
    with TestClient(make(keys), base_url="https://testserver") as client:
        assert client.get("/").json() == {"visits": 1}
        assert "set-cookie" not in client.get("/untouched").headers
        assert client.get("/stream").text == "ab"
        cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        with client.websocket_connect("/chat", headers={"cookie": cookies}) as socket:  # its jar keeps Secure from wss
            assert socket.receive_json() == {"visits": 2}
        assert client.get("/").json() == {"visits": 3}


class Canary:
    """Something in a request, to see when it is freed."""


@pytest.mark.parametrize(
    ("act", "options"),
    [
        *((act, {}) for act in (None, len, count)),
        *((act, {"binding": lambda scope: b"x"}) for act in (len, count)),
    ],
    ids=["untouched", "read", "written", "read and bound", "written and bound"],
)
def test_a_request_is_freed_with_its_last_reference(keys, act, options):
    """A request and its session do not hold each other: both are gone when the server lets go, without a collection."""

    async def app(scope, receive, send):
        if act is not None:
            act(scope["session"])
        await send(start())
        await send(BODY)

    async def send(message):
        pass

    wrapped = SessionMiddleware(app, **keys, **options)
    scope = http(read_cookie(talk(wrap(keys, count, **options), http())[0]))
    canary = scope["canary"] = Canary()
    freed = weakref.ref(canary)
    gc.disable()
    try:
        with pytest.raises(StopIteration):
            wrapped(scope, None, send).send(None)
        del scope, canary
        assert freed() is None
    finally:
        gc.enable()


def test_a_write_after_websocket_close(keys):
    """A session that is touched first after websocket.close can be read, and a write is an error: it would be lost."""
    session = None

    async def app(scope, receive, send):
        nonlocal session
        session = scope["session"]
        await send({"type": "websocket.close"})
        assert len(session) == 0
        with pytest.raises(SessionClosedError):
            session["late"] = True

    async def send(message):
        pass

    scope = {"type": "websocket", "scheme": "wss", "headers": []}
    asyncio.run(SessionMiddleware(app, **keys)(scope, None, send))
    assert session is not None
