"""Responses to errors of sealed state, in WSGI and ASGI, before and after a response has begun."""

import asyncio
import http.client
import io
import json
import threading
from typing import get_args
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import httpx
import pytest
import webob
import webtest
from asgiref.testing import ApplicationCommunicator
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from test_state import Counter, Item, Other, body, forge
from webob.exc import HTTPGone

from sealedsession.errors import NotPublicError, Reason, StaleStateError, StateError, UnsealError
from sealedsession.serialization.safe_pickle import PickleSerializer
from sealedsession.state.middleware import ASGIStateErrorMiddleware, WSGIStateErrorMiddleware, http_error, response_to
from sealedsession.state.sealer import DAY, StateSealer
from sealedsession.wsgi import SessionMiddleware
from tests.support.wsgi_client import make_environ, request

STALE = (410, "StaleState", "What this part of the page shows is gone or has changed. Load the page again.")
EXPIRED = (403, "ExpiredState", "This page is too old. Load it again.")
FOREIGN = (403, "ForeignState", "This state was made for another session or user. Load the page again.")
MALFORMED = (400, "MalformedState", "This is not the state of a page.")
NOT_PUBLIC = (403, "NotPublic", "There is no such public method.")
BAD_CALL = (400, "BadCall", "This call is invalid.")
EXPECTED = {
    "malformed": MALFORMED,
    "unknown_key": FOREIGN,
    "bad_signature": FOREIGN,
    "expired_idle": EXPIRED,
    "expired_absolute": EXPIRED,
    "from_the_future": FOREIGN,
    "other_serializer": FOREIGN,
    "forbidden_value": FOREIGN,
    "revoked": FOREIGN,
    "store_error": FOREIGN,
}
ERRORS = [
    (StaleStateError("confidential"), STALE),
    (NotPublicError("confidential"), NOT_PUBLIC),
    (StateError("confidential"), BAD_CALL),
    (UnsealError("malformed", "confidential"), MALFORMED),
    (UnsealError("expired_idle", "confidential"), EXPIRED),
    (UnsealError("bad_signature", "confidential"), FOREIGN),
]
each_error = pytest.mark.parametrize(("error", "expected"), ERRORS, ids=[expected[1] for _, expected in ERRORS])


def error_content(expected):
    return {"error": {"code": expected[1], "message": expected[2]}}


def read_error(response):
    """Return status and JSON of a response."""
    headers = dict(response.headers)
    assert headers == {
        "Content-Type": "application/json",
        "Content-Length": str(len(response.body)),
        "Cache-Control": "no-store",
    }
    return int(response.status[:3]), json.loads(response.body)


# --------------------------------------------------------------------------------------------------------- response_to


@each_error
def test_response_to(error, expected):
    """Each kind of error has its status, its code, and a message for users without the error's text."""
    status, content = response_to(error)
    assert (status, json.loads(content)) == (expected[0], error_content(expected))


@pytest.mark.parametrize("reason", get_args(Reason))
def test_every_reason(reason):
    """The response to each reason is that of an expired, foreign or malformed token, never a server error."""
    status, content = response_to(UnsealError(reason, "confidential"))
    assert (status, json.loads(content)) == (EXPECTED[reason][0], error_content(EXPECTED[reason]))


def test_the_stale_response_is_exactly_this():
    """The browser module depends on this response."""
    assert response_to(StaleStateError("x")) == (
        410,
        b'{"error": {"code": "StaleState", "message": '
        b'"What this part of the page shows is gone or has changed. Load the page again."}}',
    )


def test_an_application_s_own_error():
    """The response to an application's subclass is that of its base, with its own reason if it has one."""

    class SoldError(StaleStateError):
        pass

    class TooOftenError(StateError):
        reason = "TooOften"

    assert response_to(SoldError("x")) == response_to(StaleStateError("x"))
    status, content = response_to(TooOftenError("x"))
    assert (status, json.loads(content)["error"]["code"]) == (400, "TooOften")


@each_error
def test_http_error(error, expected):
    """`http_error` returns a webob exception with the same response, for Pyramid and others."""
    made = http_error(error)
    assert isinstance(made, Exception)
    assert isinstance(made, webob.Response)
    response = webob.Request.blank("/").get_response(made)
    assert (response.status_int, response.json) == (expected[0], error_content(expected))
    assert (response.content_type, response.charset) == ("application/json", None)
    assert response.headers["Cache-Control"] == "no-store"


def test_http_error_is_webob_s():
    """The exception has webob's class for the status."""
    assert type(http_error(StaleStateError("x"))) is HTTPGone


# ---------------------------------------------------------------------------------------------------------------- WSGI


def raising(error, *, started=False, parts=None):
    """Make an application that raises before start_response, after it, or during iteration."""

    def app(environ, start_response):
        if started:
            start_response("200 OK", [("Content-Type", "text/html"), ("Set-Cookie", "a=1")])
        if parts is None:
            raise error
        return later()

    def later():
        yield from parts
        raise error

    return app


@each_error
def test_wsgi(error, expected):
    """The middleware answers an error, with a valid status line."""
    response = request(WSGIStateErrorMiddleware(raising(error)))
    assert response.status == f"{expected[0]} {http.client.responses[expected[0]]}"
    assert read_error(response) == (expected[0], error_content(expected))


def test_wsgi_leaves_the_rest_alone():
    """Successful responses and other errors pass the middleware unchanged."""
    parts = [b"well"]

    def app(environ, start_response):
        start_response("200 OK", [("X-Mine", "1")])
        return parts

    wrapped = WSGIStateErrorMiddleware(app)
    assert wrapped.app is app
    assert request(wrapped) == request(app)
    assert wrapped(make_environ(), lambda *args: None) is parts
    with pytest.raises(ZeroDivisionError):
        request(WSGIStateErrorMiddleware(raising(ZeroDivisionError())))
    with pytest.raises(ZeroDivisionError):
        request(WSGIStateErrorMiddleware(raising(ZeroDivisionError(), parts=[])))


def test_wsgi_after_start_response():
    """An error after start_response and before the first byte is answered. Earlier headers are replaced."""
    response = request(WSGIStateErrorMiddleware(raising(StaleStateError("x"), started=True)))
    assert read_error(response) == (410, error_content(STALE))


def test_wsgi_generators():
    """Errors of generators are answered, before and after start_response."""
    for started in (False, True):
        response = request(WSGIStateErrorMiddleware(raising(StaleStateError("x"), started=started, parts=[])))
        assert read_error(response) == (410, error_content(STALE))

    def whole(environ, start_response):
        start_response("200 OK", [])
        yield from (b"a", b"b")

    assert request(WSGIStateErrorMiddleware(whole)).body == b"ab"


def test_wsgi_after_the_first_byte():
    """An error after the first byte propagates to the server."""
    error = StaleStateError("x")
    with pytest.raises(StaleStateError) as caught:
        request(WSGIStateErrorMiddleware(raising(error, started=True, parts=[b"half"])))
    assert caught.value is error


def test_wsgi_after_write():
    """An error after the first call of write propagates to the server."""

    def app(environ, start_response):
        start_response("200 OK", [])(b"half")
        raise StaleStateError("x")

    with pytest.raises(StaleStateError):
        request(WSGIStateErrorMiddleware(app))


def test_wsgi_closes():
    """The application's iterable is closed in every case: read, abandoned, failed, or never started."""
    closed = []

    class Parts:
        def __init__(self, *parts):
            self.parts = iter(parts)

        def __iter__(self):
            return self

        def __next__(self):
            part = next(self.parts)
            if isinstance(part, Exception):
                raise part
            return part

        def close(self):
            closed.append(1)

    for parts, taken in (((b"a", b"b"), 2), ((b"a", b"b"), 1), ((b"a", b"b"), 0), ((StaleStateError("x"),), 1)):
        iterable = WSGIStateErrorMiddleware(lambda environ, start_response, parts=parts: Parts(*parts))(
            make_environ(), lambda *args: None
        )
        for _ in range(taken):
            next(iter(iterable))
        iterable.close()
    assert closed == [1] * 4


def test_wsgi_iterables_without_close():
    """An iterable without close is accepted."""
    iterable = WSGIStateErrorMiddleware(lambda environ, start_response: iter([b"a"]))(
        make_environ(), lambda *args: None
    )
    assert list(iterable) == [b"a"]
    iterable.close()


def test_wsgi_files():
    """A file for the server's file wrapper is returned unchanged."""
    file = FileWrapper(io.BytesIO(b"file"))

    def app(environ, start_response):
        return file

    for wrapper, kept in ((FileWrapper, True), (None, False), (lambda file, size=0: file, False)):
        iterable = WSGIStateErrorMiddleware(app)(make_environ(**{"wsgi.file_wrapper": wrapper}), lambda *args: None)
        assert (iterable is file) is kept


def test_wsgi_head():
    """The answer to HEAD has the Content-Length of the body, and no body."""
    for parts in (None, []):
        response = request(WSGIStateErrorMiddleware(raising(StaleStateError("x"), parts=parts)), REQUEST_METHOD="HEAD")
        assert response.body == b""
        assert dict(response.headers)["Content-Length"] == str(len(response_to(StaleStateError("x"))[1]))


@pytest.mark.parametrize("parts", [None, []])
def test_wsgi_to_the_letter(parts):
    """The answer conforms to PEP 3333, as checked by wsgiref's validator."""
    app = validator(WSGIStateErrorMiddleware(raising(StaleStateError("x"), started=True, parts=parts)))
    assert read_error(request(app))[0] == 410


def test_wsgi_in_a_session(keys):
    """Inside the session middleware, the session is saved with the answer, as with any response below 500."""

    def app(environ, start_response):
        environ["sealedsession.session"]["seen"] = True
        raise StaleStateError("x")

    response = request(SessionMiddleware(WSGIStateErrorMiddleware(app), **keys))
    assert response.status == "410 Gone"
    assert "Set-Cookie" in dict(response.headers)


# ------------------------------------------------------------------------------------------------- a whole application


@pytest.fixture
def sealer(keys, clock):
    made = StateSealer(**keys, clock=clock)
    for cls in (Counter, Other, Item):
        made.register(cls)
    return made


OWNER = {"session_id": "4f1c"}


@pytest.fixture(params=["webtest", "webob", "wsgiref", "httpx", "starlette", "starlette's own"])
def post(request, sealer):
    """Send a call to an application, and return status and JSON."""

    def wsgi(environ, start_response):
        asked = webob.Request(environ)
        answer = sealer.handle(asked.body, **OWNER, cls=Counter)
        return webob.Response(answer, content_type="application/json", charset=None)(environ, start_response)

    def wsgi_that_catches(environ, start_response):
        try:
            return wsgi(environ, start_response)
        except (StateError, UnsealError) as error:
            return http_error(error)(environ, start_response)

    async def asgi(asked):
        answer = sealer.handle(await asked.body(), **OWNER, cls=Counter)
        return Response(answer, media_type="application/json")

    async def plain_asgi(scope, receive, send):
        await (await asgi(Request(scope, receive)))(scope, receive, send)

    async def answer_to(asked, error):
        status, content = response_to(error)
        return Response(content, status, media_type="application/json")

    routes = [Route("/call", asgi, methods=["POST"])]
    if request.param in ("webtest", "webob"):
        app = webtest.TestApp(WSGIStateErrorMiddleware(wsgi) if request.param == "webtest" else wsgi_that_catches)

        def send(content):
            answer = app.post("/call", content, content_type="application/json", expect_errors=True)
            return answer.status_int, answer.json

        yield send
    elif request.param == "wsgiref":
        handler = type("Quiet", (WSGIRequestHandler,), {"log_message": lambda *args: None})
        with make_server("127.0.0.1", 0, validator(WSGIStateErrorMiddleware(wsgi)), handler_class=handler) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.05,))
            thread.start()

            def send(content):
                with httpx.Client() as client:
                    answer = client.post(f"http://127.0.0.1:{server.server_port}/call", content=content)
                return answer.status_code, answer.json()

            yield send
            server.shutdown()
            thread.join()
    else:
        if request.param == "httpx":
            app = ASGIStateErrorMiddleware(plain_asgi)
        elif request.param == "starlette":
            app = Starlette(routes=routes, middleware=[Middleware(ASGIStateErrorMiddleware)])
        else:
            app = Starlette(routes=routes, exception_handlers={StateError: answer_to, UnsealError: answer_to})

        def send(content):
            async def sending():
                transport = httpx.ASGITransport(app)
                async with httpx.AsyncClient(transport=transport, base_url="https://example.org") as client:
                    return await client.post("/call", content=content)

            answer = asyncio.run(sending())
            return answer.status_code, answer.json()

        yield send


def test_every_bad_call_of_an_application(post, sealer, keys, other_keys, clock):
    """No call of a client is a server error. Each has its status and code, and later calls work."""
    token = sealer.seal(Counter(2), **OWNER)
    yesterday = sealer.seal(Counter(2), **OWNER)
    clock.advance(DAY + 61)
    token = sealer.seal(Counter(2), **OWNER)
    other_sealer = StateSealer(**other_keys, clock=clock)
    other_sealer.register(Counter)
    renamed = StateSealer(**keys, clock=clock)
    renamed.register(Counter, "Before")
    named = StateSealer(**keys, clock=clock, name="other")
    named.register(Counter)

    def forged(content):
        return body(forge(keys, PickleSerializer().dumps(content), clock, "4f1c", ""))

    bad = {
        "no longer": (body(yesterday), EXPIRED),
        "another session's": (body(sealer.seal(Counter(), session_id="5555")), FOREIGN),
        "another user's": (body(sealer.seal(Counter(), **OWNER, user="bob")), FOREIGN),
        "another purpose's": (body(named.seal(Counter(), **OWNER)), FOREIGN),
        "another key's": (body(other_sealer.seal(Counter(), **OWNER)), FOREIGN),
        "another element's, of another class": (body(sealer.seal(Other(), **OWNER)), FOREIGN),
        "a value's": (body(sealer.seal({"a": 1}, **OWNER)), FOREIGN),
        "a forged shape": (forged(["Counter", (), {}, {"_a": 1}]), FOREIGN),
        "a stock pickle": (body(forge(keys, b"\x80\x04K\x01.", clock, "4f1c", "")), FOREIGN),
        "changed": (body(token[:50] + ("A" if token[50] != "A" else "B") + token[51:]), FOREIGN),
        "cut": (body(token[:20]), MALFORMED),
        "repeated": (body(token * 2), FOREIGN),
        "empty": (body(""), MALFORMED),
        "of other characters": (body(token + "ä"), MALFORMED),
        "a class that is gone": (body(renamed.seal(Counter(), **OWNER)), STALE),
        "arguments that do not fit": (forged(["Counter", (1, 2, 3), {}, {}]), STALE),
        "attributes that are methods": (forged(["Counter", (), {}, {"add": 1}]), STALE),
        "said to be stale by the application": (body(token, "sold"), STALE),
        "a method that is not public": (body(token, "reset"), NOT_PUBLIC),
        "a method that is not there": (body(token, "nothing"), NOT_PUBLIC),
        "a private method": (body(token, "__init__"), NOT_PUBLIC),
        "arguments too many": (body(token, "add", 1, 2), BAD_CALL),
        "no call": (b"\xff", BAD_CALL),
        "refused by the application": (body(token, "check"), BAD_CALL),
    }
    for name, (content, expected) in bad.items():
        assert (name, post(content)) == (name, (expected[0], error_content(expected)))
    status, answer = post(body(token))
    assert (status, answer["result"]) == (200, 2)
    assert post(body(answer["token"]))[1]["result"] == 4


# ---------------------------------------------------------------------------------------------------------------- ASGI

HTTP = {"type": "http", "asgi": {"version": "3.0"}, "method": "POST", "path": "/", "headers": []}


def talk(app, scope=HTTP):
    """Return every message that an application sends for one request."""
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request"}

    asyncio.run(ASGIStateErrorMiddleware(app)(scope, receive, send))
    return sent


def asgi_raising(error, *messages):
    async def app(scope, receive, send):
        for message in messages:
            await send(message)
        raise error

    return app


@each_error
def test_asgi(error, expected):
    """The middleware answers an error with two messages."""
    start, content = talk(asgi_raising(error))
    assert start == {
        "type": "http.response.start",
        "status": expected[0],
        "headers": [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(content["body"])),
            (b"cache-control", b"no-store"),
        ],
    }
    assert content["type"] == "http.response.body"
    assert json.loads(content["body"]) == error_content(expected)


def test_asgi_leaves_the_rest_alone():
    """Successful responses and other errors pass the middleware unchanged."""
    messages = [{"type": "http.response.start", "status": 200, "headers": []}, {"type": "http.response.body"}]

    async def app(scope, receive, send):
        assert await receive() == {"type": "http.request"}
        for message in messages:
            await send(message)

    assert talk(app) == messages
    assert ASGIStateErrorMiddleware(app).app is app
    with pytest.raises(ZeroDivisionError):
        talk(asgi_raising(ZeroDivisionError()))


def test_asgi_before_the_response():
    """An error after early hints is answered, because no response has begun."""
    sent = talk(asgi_raising(StaleStateError("x"), {"type": "http.response.early_hint", "links": []}))
    assert [message["type"] for message in sent] == [
        "http.response.early_hint", "http.response.start", "http.response.body",
    ]  # fmt: skip


@pytest.mark.parametrize("count", [1, 2])
def test_asgi_after_the_response_has_begun(count):
    """An error after the response has begun propagates to the server."""
    messages = [
        {"type": "http.response.start", "status": 200, "headers": []},
        {"type": "http.response.body", "body": b"half", "more_body": True},
    ]
    error = StaleStateError("x")
    with pytest.raises(StaleStateError) as caught:
        talk(asgi_raising(error, *messages[:count]))
    assert caught.value is error


@pytest.mark.parametrize("kind", ["websocket", "lifespan", "unknown"])
def test_asgi_other_scopes(kind):
    """Errors in a websocket, or in any other scope, propagate unchanged."""
    with pytest.raises(StaleStateError):
        talk(asgi_raising(StaleStateError("x")), {"type": kind})


def test_asgi_lifespan():
    """The middleware passes lifespan messages."""

    async def main():
        app = ASGIStateErrorMiddleware(Starlette(routes=[Route("/", JSONResponse({}))]))
        communicator = ApplicationCommunicator(app, {"type": "lifespan", "asgi": {"version": "3.0"}})
        for step in ("startup", "shutdown"):
            await communicator.send_input({"type": f"lifespan.{step}"})
            assert await communicator.receive_output(60) == {"type": f"lifespan.{step}.complete"}
        await communicator.wait(60)

    asyncio.run(main())
