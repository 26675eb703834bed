"""The WSGI middleware keeps to PEP 3333, and leaves every other request and response unchanged."""

import gc
import io
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor
from http.cookies import SimpleCookie
from operator import methodcaller
from types import MappingProxyType
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealedsession.errors import CookieTooLargeError, NotSerializableError, SessionClosedError
from sealedsession.session import Session
from sealedsession.wsgi import SessionMiddleware
from tests.support.wsgi_client import make_environ, request

KEY = "sealedsession.session"
NAME = "__Host-Http-session"
TEXT = ("Content-Type", "text/plain")


def count(session):
    session["visits"] = session.get("visits", 0) + 1
    return b"%d" % session["visits"]


def plain_app(environ, start_response):
    body = count(environ[KEY])
    start_response("200 OK", [TEXT])
    return [body]


def wrap(keys, act, **options):
    """A middleware around an application that does something with its session."""

    def app(environ, start_response):
        act(environ[options.get("environ_key", KEY)])
        start_response("200 OK", [TEXT])
        return []

    return SessionMiddleware(app, **keys, **options)


def generator_app(environ, start_response):
    body = count(environ[KEY])
    start_response("200 OK", [TEXT])
    yield body


def writing_app(environ, start_response):
    body = count(environ[KEY])
    start_response("200 OK", [TEXT])(body)
    return []


def careful_app(environ, start_response):
    """Begins a response, fails, and replaces it."""
    start_response("200 OK", [TEXT, ("X-First", "yes")])
    try:
        raise LookupError
    except LookupError:
        body = b"0"
        start_response("404 Not Found", [TEXT], sys.exc_info())
    return [body]


# ------------------------------------------------------------------------------------------------------------- PEP 3333


@pytest.mark.parametrize("app", [plain_app, generator_app, writing_app])
def test_conforms_on_both_sides(keys, app):
    """Between a validated server and a validated application every kind of response keeps its session."""
    wrapped = validator(SessionMiddleware(validator(app), **keys))
    first = request(wrapped)
    assert (first.status, first.body) == ("200 OK", b"1")
    assert request(wrapped, first.cookies).body == b"2"


def test_conforms_when_a_response_is_replaced(keys):
    """A second start_response with exc_info keeps to PEP 3333 as well."""
    assert request(validator(SessionMiddleware(validator(careful_app), **keys))).status == "404 Not Found"


def test_a_generator_starts_its_response_late(keys):
    """A generator's start_response comes after the application was called: changes until then are saved."""

    def app(environ, start_response):
        environ[KEY]["late"] = True
        start_response("200 OK", [TEXT])
        yield b""
        yield repr(dict(environ[KEY])).encode()

    wrapped = SessionMiddleware(app, **keys)
    started = []
    iterable = wrapped(make_environ(), lambda *arguments: started.append(arguments))
    assert started == []
    assert b"".join(iterable) == b"{'late': True}"
    [(_, headers, *_)] = started
    assert NAME in dict(headers)["Set-Cookie"]


@pytest.mark.parametrize(("status", "content"), [("404 Not Found", {"a": 1}), ("500 Oh", {})])
def test_a_replaced_response_is_sealed_again(keys, status, content):
    """With exc_info the response is replaced, its Set-Cookie too: by what the new status says, and once."""

    def app(environ, start_response):
        environ[KEY]["a"] = 1
        start_response("200 OK", [TEXT, ("X-First", "yes")])
        try:
            raise LookupError
        except LookupError:
            start_response(status, [TEXT], sys.exc_info())
        return [b""]

    response = request(SessionMiddleware(app, **keys))
    assert response.status == status
    assert "X-First" not in dict(response.headers)
    assert len([name for name, _ in response.headers if name == "Set-Cookie"]) == len(content)
    assert read(keys, response.cookies) == content


def test_a_replaced_response_after_a_replaced_session(keys):
    """A dict in the session's place is saved by the second start_response as by the first."""

    def app(environ, start_response):
        environ[KEY] = {"a": 1}
        start_response("200 OK", [TEXT])
        try:
            raise LookupError
        except LookupError:
            start_response("404 Not Found", [TEXT], sys.exc_info())
        return [b""]

    assert read(keys, request(SessionMiddleware(app, **keys)).cookies) == {"a": 1}


def test_the_servers_refusal_is_passed_on(keys):
    """When headers have gone, the server raises from start_response, and the application gets that error."""

    def app(environ, start_response):
        start_response("200 OK", [TEXT])(b"gone")
        try:
            raise LookupError("too late")
        except LookupError:
            start_response("500 Oh", [TEXT], sys.exc_info())

    with pytest.raises(LookupError, match="too late"):
        request(SessionMiddleware(app, **keys))


def test_an_error_of_the_application_is_passed_on(keys):
    """What the application raises goes to the server, and nothing is saved."""

    def app(environ, start_response):
        environ[KEY]["a"] = 1
        raise LookupError("mine")

    started = []
    with pytest.raises(LookupError, match="mine"):
        SessionMiddleware(app, **keys)(make_environ(), lambda *arguments: started.append(arguments))
    assert started == []


def test_the_servers_write_is_passed_on(keys):
    """What start_response returns is the server's own."""
    returned = []

    def app(environ, start_response):
        returned.append(start_response("200 OK", [TEXT]))
        return []

    def write(data):
        raise AssertionError

    SessionMiddleware(app, **keys)(make_environ(), lambda *_: write)
    assert returned == [write]


class Closable(list):
    closed = False

    def close(self):
        self.closed = True


@pytest.mark.parametrize("iterable", [[b"a", b"b"], Closable([b"a"]), FileWrapper(io.BytesIO(b"a"))])
@pytest.mark.parametrize("touch", [id, len, count], ids=["untouched", "read", "changed"])
def test_the_iterable_is_the_applications(keys, iterable, touch):
    """The server gets the application's very iterable: it can ask for len, call close, and send a file its own way."""

    def app(environ, start_response):
        touch(environ[KEY])
        start_response("200 OK", [TEXT])
        return iterable

    assert SessionMiddleware(app, **keys)(make_environ(), lambda *_: None) is iterable
    assert not getattr(iterable, "closed", False)


def test_own_cookies_of_the_application_stay(keys):
    """Several Set-Cookie of the application go out in order, and ours is added."""

    def app(environ, start_response):
        count(environ[KEY])
        start_response("200 OK", [("Set-Cookie", "a=1"), TEXT, ("Set-Cookie", "b=2")])
        return []

    cookies = [value for name, value in request(SessionMiddleware(app, **keys)).headers if name == "Set-Cookie"]
    assert cookies[:2] == ["a=1", "b=2"]
    assert len(cookies) == 3
    assert cookies[2].startswith(NAME)


def test_shared_headers_are_never_changed(keys):
    """A list of headers that the application keeps for every response stays as it is."""
    shared = [TEXT, ("Vary", "Accept")]

    def app(environ, start_response):
        body = count(environ[KEY])
        start_response("200 OK", shared)
        return [body]

    wrapped = SessionMiddleware(app, **keys)
    for _ in range(2):
        assert ("Vary", "Accept, Cookie") in request(wrapped).headers
    assert shared == [TEXT, ("Vary", "Accept")]


# ---------------------------------------------------------------------------------------------------------- the session


def read(keys, cookie, **options):
    """The content of the session that a cookie holds."""
    content = {}

    def app(environ, start_response):
        content.update(environ[KEY])
        start_response("200 OK", [])
        return []

    request(SessionMiddleware(app, **keys, **options), cookie)
    return content


def test_a_dict_in_the_sessions_place_is_saved(keys):
    """An application that puts a dict of its own into the environ has stored that."""

    def app(environ, start_response):
        environ[KEY] = {"mine": True}
        start_response("200 OK", [TEXT])
        return []

    assert read(keys, request(SessionMiddleware(app, **keys)).cookies) == {"mine": True}


@pytest.mark.parametrize("touch", [id, len, count], ids=["unopened", "open", "changed"])
def test_a_mapping_in_the_sessions_place_is_the_content(keys, touch):
    """A mapping replaces the whole content, and the environ has the session again; an empty one signs out."""
    found = []

    def make_app(replacement):
        def app(environ, start_response):
            touch(environ[KEY])
            environ[KEY] = replacement
            start_response("200 OK", [TEXT])
            found.append(environ[KEY])
            return []

        return SessionMiddleware(app, **keys)

    def sign_in(session):
        session.subject = "user:42"

    cookie = request(wrap(keys, sign_in)).cookies
    replaced = request(make_app(MappingProxyType({"a": 1})), cookie).cookies
    assert read(keys, replaced) == {"a": 1}
    assert all(isinstance(session, Session) for session in found)
    subjects = []
    request(wrap(keys, lambda session: subjects.append(session.subject)), replaced)
    assert subjects == ["user:42"]
    assert any("Max-Age=0" in value for _, value in request(make_app({}), cookie).headers)


@pytest.mark.parametrize("replacement", [None, object(), [("a", 1)], "text"])
@pytest.mark.parametrize("touch", [id, len], ids=["unopened", "open"])
def test_anything_else_in_the_sessions_place_is_an_error(keys, touch, replacement):
    """Another type than a mapping is a TypeError of start_response that names the type, before anything is sent."""

    def app(environ, start_response):
        touch(environ[KEY])
        environ[KEY] = replacement
        with pytest.raises(TypeError, match=type(replacement).__name__):
            start_response("200 OK", [TEXT])
        environ[KEY] = {"mine": True}
        start_response("200 OK", [TEXT])
        return []

    assert read(keys, request(SessionMiddleware(app, **keys)).cookies) == {"mine": True}


def test_a_replacement_after_the_headers_were_made(keys):
    """A mapping that comes between two calls of start_response comes too late, as any change, and is an error."""

    def app(environ, start_response):
        count(environ[KEY])
        start_response("200 OK", [TEXT])
        environ[KEY] = {"late": True}
        with pytest.raises(SessionClosedError):
            start_response("404 Not Found", [TEXT], (LookupError, LookupError(), None))
        return []

    SessionMiddleware(app, **keys)(make_environ(), lambda *_: None)


def test_two_middlewares_on_one_environ(keys):
    """Another middleware of this library below has a session of its own; the outer one's is left alone."""
    inner = wrap(keys, count, name="inner")
    cookie = request(wrap(keys, lambda session: session.update(a=1), name="outer")).cookies
    cookies = [
        value
        for name, value in request(SessionMiddleware(inner, **keys, name="outer"), cookie).headers
        if name == "Set-Cookie"
    ]
    assert [value.partition("=")[0] for value in cookies] == ["inner"]


@pytest.mark.parametrize("act", [id, len, count], ids=["unopened", "open", "changed"])
def test_start_response_gets_as_many_arguments_as_the_application_gave(keys, act):
    """Some servers take two arguments, and others refuse None as the third."""
    calls = []

    def app(environ, start_response):
        act(environ[KEY])
        start_response("200 OK", [TEXT])
        start_response("200 OK", [TEXT], None)
        exc_info = (LookupError, LookupError(), None)
        start_response("500 Oh", [TEXT], exc_info)
        return []

    SessionMiddleware(app, **keys)(make_environ(), lambda *arguments: calls.append(arguments[2:]))
    assert [len(rest) for rest in calls] == [0, 0, 1]


def test_a_slow_request_that_reads_undoes_no_sign_out(keys, clock):
    """A request that takes longer than 5 seconds and only reads sends no cookie, so that a sign-out stays."""
    middleware = {
        "slow": wrap(keys, lambda session: (session.get("visits"), clock.advance(30)), clock=clock),
        "out": wrap(keys, lambda session: session.invalidate(), clock=clock),
    }
    cookie = request(wrap(keys, count, clock=clock)).cookies
    clock.advance(7200)
    assert any("Max-Age=0" in value for _, value in request(middleware["out"], cookie).headers)
    assert request(middleware["slow"], cookie).cookies == ""


def test_an_untouched_session_of_a_bound_cookie_can_be_read_late(keys):
    """A session that is first read after the headers opens with the bytes that the request is bound to."""

    def app(environ, start_response):
        start_response("200 OK", [TEXT])
        return [b"%d" % environ[KEY]["visits"]]

    options = {**keys, "binding": lambda environ: environ["HTTP_HOST"].encode()}
    cookie = request(SessionMiddleware(plain_app, **options)).cookies
    assert request(SessionMiddleware(app, **options), cookie).body == b"1"


def test_environ_key(keys):
    """The session stands where environ_key says."""

    def app(environ, start_response):
        assert KEY not in environ
        count(environ["my.session"])
        start_response("200 OK", [])
        return []

    assert read(keys, request(SessionMiddleware(app, **keys, environ_key="my.session")).cookies) == {"visits": 1}


@pytest.mark.parametrize(
    ("value", "error"), [("x" * 5000, CookieTooLargeError), (object(), NotSerializableError)], ids=["large", "object"]
)
def test_what_cannot_be_stored_is_an_error_in_start_response(keys, value, error):
    """The application can catch what start_response raises, and answer otherwise: the server has seen nothing."""

    def app(environ, start_response):
        environ[KEY].update(user="ann", bad=value)
        with pytest.raises(error):
            start_response("200 OK", [TEXT])
        del environ[KEY]["bad"]
        start_response("413 Content Too Large", [TEXT])
        return []

    response = request(validator(SessionMiddleware(app, **keys)))
    assert response.status == "413 Content Too Large"
    assert read(keys, response.cookies) == {"user": "ann"}


@pytest.mark.parametrize("touch", [id, len], ids=["unopened", "open"])
def test_no_change_after_start_response(keys, touch):
    """A change that no header can carry any more raises SessionClosedError; reading goes on."""

    def app(environ, start_response):
        session = environ[KEY]
        touch(session)
        start_response("200 OK", [TEXT])
        assert session["visits"] == 1
        with pytest.raises(SessionClosedError, match="before start_response"):
            session["visits"] = 2
        yield repr(dict(session)).encode()

    cookie = request(SessionMiddleware(plain_app, **keys)).cookies
    assert request(SessionMiddleware(app, **keys), cookie).body == b"{'visits': 1}"


@pytest.mark.parametrize("change", [count, methodcaller("clear"), methodcaller("invalidate"), methodcaller("save")])
def test_no_first_touch_change_after_start_response(keys, change):
    """A session that was never looked into is closed as well, for every kind of change."""

    def app(environ, start_response):
        start_response("200 OK", [TEXT])
        with pytest.raises(SessionClosedError):
            change(environ[KEY])
        return []

    assert request(SessionMiddleware(app, **keys)).headers == [TEXT]


def test_two_middlewares(keys):
    """Two middlewares with names of their own keep two sessions, which do not disturb each other."""

    def app(environ, start_response):
        body = b"%s %s" % (count(environ["first.session"]), count(environ["second.session"]))
        if environ["PATH_INFO"] == "/clear":
            environ["first.session"].clear()
        start_response("200 OK", [TEXT])
        return [body]

    inner = SessionMiddleware(app, **keys, name="first", environ_key="first.session")
    both = SessionMiddleware(inner, **keys, name="second", environ_key="second.session")
    first = request(both)
    assert sorted(SimpleCookie(first.cookies)) == ["first", "second"]
    assert [value for name, value in first.headers if name == "Vary"] == ["Cookie"]
    cleared = request(both, first.cookies, PATH_INFO="/clear")
    assert cleared.body == b"2 2"
    assert request(both, cleared.cookies).body == b"1 3"


def test_a_binding_gets_the_environ(keys):
    """The option binding is called with the environ; a cookie that came to another client does not open there."""
    seen = []

    def binding(environ):
        seen.append(environ)
        return environ["REMOTE_ADDR"].encode()

    wrapped = SessionMiddleware(plain_app, **keys, binding=binding)
    first = request(wrapped, REMOTE_ADDR="192.0.2.1")
    assert request(wrapped, first.cookies, REMOTE_ADDR="192.0.2.1").body == b"2"
    assert request(wrapped, first.cookies, REMOTE_ADDR="192.0.2.2").body == b"1"
    assert all(environ[KEY] is not None for environ in seen)


def test_threads(keys):
    """Requests in parallel threads each see their own session and no other."""
    wrapped = SessionMiddleware(plain_app, **keys)

    def visit_often(_):
        cookie = None
        bodies = []
        for _ in range(100):
            response = request(wrapped, cookie)
            bodies.append(int(response.body))
            cookie = response.cookies
        return bodies

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(visit_often, range(8))) == [list(range(1, 101))] * 8
    finally:
        sys.setswitchinterval(interval)


# ----------------------------------------------------------------------------------------------------------- bystanders


@pytest.mark.parametrize("kind", ["none", "valid", "invalid", "expired"])
def test_untouched_is_untouched(keys, clock, kind):
    """A response whose session nobody touched is the application's own, whatever cookie came with the request."""
    headers = [("content-type", "text/plain"), ("X-Odd", "\xff"), ("Set-Cookie", "a=1")]
    body = [b"as", b"", b"is"]
    seen = []

    def app(environ, start_response):
        start_response("299 Odd  Phrase", headers)
        return body

    cookie = {
        "none": None,
        "valid": request(SessionMiddleware(plain_app, clock=clock, **keys)).cookies,
        "invalid": f"{NAME}=rubbish",
    }
    cookie["expired"] = cookie["valid"]
    clock.advance(10**7 if kind == "expired" else 0)

    def start_response(status, sent, exc_info=None):
        seen.append((status, sent, exc_info))

    wrapped = SessionMiddleware(app, clock=clock, **keys)
    assert wrapped(make_environ(cookie[kind]), start_response) is body
    [(status, sent, exc_info)] = seen
    assert (status, exc_info) == ("299 Odd  Phrase", None)
    assert sent is headers
    assert request(wrapped, cookie[kind]) == request(app, cookie[kind])


KEYS = st.sampled_from([f"{NAME}=", f"; {NAME}=", f'; {NAME}="', "; a b=", "; ", "=", ";", ",", '"', "a=1"])
LATIN_1 = st.text(st.characters(codec="latin-1"))


@given(header=LATIN_1 | st.lists(KEYS | LATIN_1).map("".join))
def test_any_cookie_header_is_survived(keys, header):
    """Whatever stands in HTTP_COOKIE, the request is answered, by a new session."""
    assert request(SessionMiddleware(plain_app, **keys), header).body == b"1"


@given(before=LATIN_1, after=LATIN_1)
def test_neighbours_do_not_matter(keys, before, after):
    """Whatever neighbours stand in HTTP_COOKIE, the session's cookie is found among them."""
    before, after = before.replace(NAME, ""), after.replace(NAME, "")
    cookie = request(SessionMiddleware(plain_app, **keys)).cookies
    assert request(SessionMiddleware(plain_app, **keys), f"{before}; {cookie}; {after}").body == b"2"


class Canary:
    """Something in a request, to see when it is freed."""


@pytest.mark.parametrize(
    ("act", "options"),
    [
        *((act, {}) for act in (None, len, count)),
        *((act, {"binding": lambda environ: b"x"}) for act in (len, count)),
    ],
    ids=["untouched", "read", "written", "read and bound", "written and bound"],
)
def test_a_request_is_freed_with_its_last_reference(keys, act, options):
    """A request and its session do not hold each other: both are gone when the server lets go, without a collection."""

    def app(environ, start_response):
        if act is not None:
            act(environ[KEY])
        start_response("200 OK", [TEXT])
        return []

    wrapped = SessionMiddleware(app, **keys, **options)
    environ = make_environ(request(SessionMiddleware(plain_app, **keys, **options)).cookies)
    canary = environ["test.canary"] = Canary()
    freed = weakref.ref(canary)
    gc.disable()
    try:
        wrapped(environ, lambda status, headers, exc_info=None: None)
        del environ, canary
        assert freed() is None
    finally:
        gc.enable()
