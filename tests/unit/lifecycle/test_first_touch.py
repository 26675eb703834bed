"""A session is opened once, whichever thread, fork or greenlet of its request touches it first."""

import _thread
import asyncio
import dis
import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import contextmanager

import orjson
import pytest

from sealedsession import asgi, wsgi
from sealedsession import session as session_states
from sealedsession.errors import SessionClosedError
from sealedsession.session import ClosedSession, UnopenedSession
from tests.integration import first_touch
from tests.support import ROOT
from tests.support.asgi_client import http, start, talk
from tests.support.forks import fork
from tests.support.wsgi_client import make_environ

LONG = 30  # seconds that a thread waits for another one before the test fails


class Gate:
    """A binding function that is called while a session is opened. A thread named "late" waits in it."""

    def __init__(self):
        self.inside, self.open = threading.Event(), threading.Event()
        self.calls = 0

    def __call__(self, _):
        self.calls += 1
        if threading.current_thread().name == "late":
            self.inside.set()
            assert self.open.wait(LONG)
        return b""

    @contextmanager
    def held(self, touch):
        """While this lasts, a thread that touches the session is held in the middle of opening it."""
        thread = threading.Thread(target=touch, name="late")
        thread.start()
        assert self.inside.wait(LONG)
        timer = threading.Timer(0.2, self.open.set)  # others reach the session meanwhile, and have to wait
        timer.start()
        try:
            yield
        finally:
            self.open.set()
            timer.join()
            thread.join()


@pytest.fixture
def gate():
    return Gate()


def request(middleware, act, cookie=None):
    """Send a request to a WSGI middleware whose application is replaced; return the cookie and all headers."""
    sent = []

    def app(environ, start_response):
        act(environ["sealedsession.session"])
        start_response("200 OK", [])
        return []

    middleware.app = app
    middleware(make_environ(cookie), lambda _, headers: sent.extend(headers))
    cookies = [value.partition(";")[0] for name, value in sent if name == "Set-Cookie"]
    return (cookies[0] if cookies else cookie), sent


def read_content(middleware, cookie):
    content = {}
    request(middleware, content.update, cookie)
    return content


def signed_in(middleware):
    return request(middleware, lambda session: session.update(user="ann"))[0]


def update(session):
    session["seen"] = 1


CHANGES = {
    "write": (update, {"user": "ann", "seen": 1}),
    "invalidate": (lambda session: session.invalidate(), {}),
    "logout": (lambda session: session.logout(), {}),
    "clear": (lambda session: session.clear(), {}),
    "delete": (lambda session: session.pop("user"), {}),
}


@pytest.mark.parametrize("kind", CHANGES)
@pytest.mark.parametrize("touch", ["get", "keys", "mark_accessed"])
def test_a_change_while_another_thread_opens(keys, gate, kind, touch):
    """A change waits until the session is open, and no thread undoes it."""
    change, stored = CHANGES[kind]
    middleware = wsgi.SessionMiddleware(lambda e, s: [], **keys, binding=gate, revocation="memory")
    cookie = signed_in(middleware)

    def act(session):
        with gate.held(lambda: getattr(session, touch)(*["user"] * (touch == "get"))):
            change(session)

    after, headers = request(middleware, act, cookie)
    assert read_content(middleware, after if "Max-Age=0" not in str(headers) else None) == stored


def test_a_change_of_the_thread_that_opens(keys, gate):
    """The change of the thread that opens the session, and those of threads that wait for it, are all stored."""
    middleware = wsgi.SessionMiddleware(lambda e, s: [], **keys, binding=gate)
    cookie = signed_in(middleware)

    def act(session):
        threads = [threading.Thread(target=session.__setitem__, args=(f"key {n}", n)) for n in range(4)]
        with gate.held(lambda: session.update(late=True)):
            for thread in threads:
                thread.start()
        for thread in threads:
            thread.join()

    before = gate.calls
    after, _ = request(middleware, act, cookie)
    assert gate.calls == before + 2  # to open it once, and to seal it
    assert read_content(middleware, after) == {"user": "ann", "late": True, **{f"key {n}": n for n in range(4)}}


def test_asyncio_threads(keys):
    """In ASGI, threads that an event loop waits for can touch the session first, all at once."""

    async def app(scope, receive, send):
        session = scope["session"]
        await asyncio.gather(*(asyncio.to_thread(session.__setitem__, f"key {n}", n) for n in range(8)))
        await send(start())

    sent = talk(asgi.SessionMiddleware(app, **keys), http())
    [cookie] = [value.partition(b";")[0] for name, value in sent[0]["headers"] if name == b"set-cookie"]
    content = {}

    async def read(scope, receive, send):
        content.update(scope["session"])

    talk(asgi.SessionMiddleware(read, **keys), http(cookie))
    assert content == {f"key {n}": n for n in range(8)}


def test_readers_in_c_see_all_or_nothing(keys, gate):
    """While a thread opens the session, a JSON encoder waits for it, or fails; it never writes part of the content."""
    middleware = wsgi.SessionMiddleware(lambda e, s: [], **keys, binding=gate)
    cookie = signed_in(middleware)

    def act(session):
        with gate.held(lambda: session.get("user")):
            with pytest.raises(TypeError):
                orjson.dumps(session)
            assert json.dumps(session) == '{"user": "ann"}'
        assert orjson.dumps(session) == b'{"user":"ann"}'

    request(middleware, act, cookie)


def test_an_opening_that_fails(keys):
    """If the thread that opens the session fails, it gets the error, and the next one opens the session."""
    inside, go, errors = threading.Event(), threading.Event(), []

    def binding(_):
        if threading.current_thread().name == "late":
            inside.set()
            assert go.wait(LONG)
            raise LookupError("mine")
        return b""

    middleware = wsgi.SessionMiddleware(lambda e, s: [], **keys, binding=binding)
    cookie = signed_in(middleware)

    def act(session):
        def touch():
            try:
                session.get("user")
            except LookupError as error:
                errors.append(str(error))

        thread = threading.Thread(target=touch, name="late")
        thread.start()
        assert inside.wait(LONG)
        threading.Timer(0.1, go.set).start()
        assert session["user"] == "ann"
        thread.join()

    request(middleware, act, cookie)
    assert errors == ["mine"]
    assert not session_states.WAITING


def test_a_session_that_is_used_while_it_is_opened(keys):
    """A function that opening calls must not use the session: it gets an error instead of waiting for itself."""
    middleware = wsgi.SessionMiddleware(
        lambda e, s: [], **keys, binding=lambda environ: environ["sealedsession.session"]["user"].encode()
    )
    with pytest.raises(RuntimeError, match=r"^session: "):
        request(middleware, len, f"{middleware.config.cookie.name}=rubbish")
    assert not session_states.WAITING


# --------------------------------------------------------------------------------------------------------- the headers


def test_headers_that_go_out_while_a_thread_opens(keys, gate):
    """The response waits for the thread that opens the session: its write is stored, or raises SessionClosedError."""
    middleware = wsgi.SessionMiddleware(lambda e, s: [], **keys, binding=gate)
    cookie = signed_in(middleware)
    refused, sent, sessions = [], [], []

    def app(environ, start_response):
        session = environ["sealedsession.session"]
        sessions.append(session)

        def touch():
            try:
                session["late"] = True
            except SessionClosedError as error:
                refused.append(error)

        with gate.held(touch):
            start_response("200 OK", [])
        return []

    middleware.app = app
    middleware(make_environ(cookie), lambda _, headers: sent.extend(headers))
    assert ("Vary", "Cookie") in sent
    assert isinstance(sessions[0], ClosedSession)
    stored = [value.partition(";")[0] for name, value in sent if name == "Set-Cookie"]
    assert bool(refused) != bool(stored and "late" in read_content(middleware, stored[0]))


def test_a_first_touch_after_the_headers(keys, gate):
    """A session that a thread touches first after the headers have been sent can be read, and not changed."""
    middleware = wsgi.SessionMiddleware(lambda e, s: [], **keys)
    cookie = signed_in(middleware)

    def app(environ, start_response):
        start_response("200 OK", [])
        session = environ["sealedsession.session"]
        assert isinstance(session, UnopenedSession)
        assert session["user"] == "ann"
        with pytest.raises(SessionClosedError):
            session["late"] = True
        return []

    middleware.app = app
    middleware(make_environ(cookie), lambda _, headers: None)


def test_a_write_while_the_session_is_sealed(keys, gate):
    """A write by another thread while the response seals the session raises SessionClosedError."""
    refused = []

    class Sealing:
        """A binding function that is called to seal: another thread writes in the middle of it."""

        session = None

        def __call__(self, _):
            if self.session is not None:
                thread = threading.Thread(target=self.write)
                thread.start()
                thread.join()
            return b""

        def write(self):
            try:
                self.session["late"] = True
            except SessionClosedError as error:
                refused.append(error)

    sealing = Sealing()
    middleware = wsgi.SessionMiddleware(lambda e, s: [], **keys, binding=sealing)

    def act(session):
        update(session)
        sealing.session = session

    after, _ = request(middleware, act)
    sealing.session = None
    assert len(refused) == 1
    assert read_content(middleware, after) == {"seen": 1}


# ----------------------------------------------------------------------------------------------------------- interrupts


class InterruptError(Exception):
    """What a signal handler raises, as a timeout does."""


@pytest.mark.parametrize("step", range(1, 40))
def test_a_signal_in_the_middle_of_opening(keys, step):
    """Wherever a signal handler raises, the next touch opens the session, and nothing is left that others wait for."""
    middleware = wsgi.SessionMiddleware(lambda e, s: [], **keys)
    cookie = signed_in(middleware)
    code = session_states._open.__code__

    def act(session):
        steps, claim = 0, None

        def interrupt(frame, event, _):
            nonlocal steps, claim
            if frame.f_code is not code:
                return None
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
            if event == "opcode":
                steps += 1
                if dis.opname[code.co_code[frame.f_lasti]] == "DELETE_ATTR":
                    claim = steps
                # The interpreter runs signal handlers after calls and jumps, and so not right after the claim.
                if steps >= 2 * step and (claim is None or steps > claim + 2):
                    sys.settrace(None)
                    raise InterruptError
            return interrupt

        sys.settrace(interrupt)
        try:
            session.get("user")
        except InterruptError:
            pass
        finally:
            sys.settrace(None)
        assert not session_states.WAITING
        assert session["user"] == "ann"

    request(middleware, act, cookie)
    assert not session_states.WAITING


# ---------------------------------------------------------------------------------------------------- forks, greenlets


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX")
def test_a_fork_while_another_thread_opens(keys, gate):
    """A child that was forked while a thread of the parent opened the session opens it by itself."""
    middleware = wsgi.SessionMiddleware(lambda e, s: [], **keys, binding=gate)
    cookie = signed_in(middleware)
    statuses = []

    def act(session):
        with gate.held(lambda: session.get("user")):
            child = fork()
            if child == 0:
                os._exit(0 if session["user"] == "ann" and isinstance(session, dict) else 1)
            statuses.append(os.waitpid(child, 0)[1])
        assert session["user"] == "ann"

    request(middleware, act, cookie)
    assert statuses == [0]


@pytest.mark.parametrize("start", [_thread.start_new_thread, lambda work, _: threading.Thread(target=work).start()])
def test_a_slow_opener_in_a_forked_process(keys, gate, monkeypatch, start):
    """In a forked worker, no thread takes over a session from another one, however that was started."""
    monkeypatch.setattr(session_states, "_forks", 3)
    monkeypatch.setattr(session_states, "_forking_thread", threading.get_ident())
    opened = []

    def binding(environ):
        opened.append(threading.get_ident())
        time.sleep(1.5)  # longer than a waiter waits before it looks again
        return b""

    middleware = wsgi.SessionMiddleware(lambda e, s: [], **keys, binding=binding)

    def act(session):
        ended = threading.Event()
        start(lambda: (session.__setitem__("other", 1), ended.set()), ())
        while not opened:
            time.sleep(0.01)
        session["mine"] = 2
        assert ended.wait(LONG)
        assert session == {"other": 1, "mine": 2}

    request(middleware, act, f"{middleware.config.cookie.name}=rubbish")
    assert len(opened) == 2  # to open the session, and to seal it


GREENLETS = """
    {patch}
    import sys
    sys.path[:0] = {path!r}
    from sealedsession.wsgi import SessionMiddleware
    from tests.support.wsgi_client import make_environ

    opened = []

    def binding(environ):
        opened.append(environ)
        {sleep}(0.05)  # lets others run in the middle of opening
        return b""

    def app(environ, start_response):
        session = environ["sealedsession.session"]
        {run}
        start_response("200 OK", [])
        return []

    sent = []
    middleware = SessionMiddleware(app, **{keys!r}, binding=binding)
    middleware(make_environ("__Host-Http-session=rubbish"), lambda _, headers: sent.extend(headers))
    assert len(opened) == 2, opened  # to open it once, and to seal it
    content = {{}}
    middleware.app = lambda environ, start_response: content.update(environ["sealedsession.session"]) or []
    middleware(make_environ(dict(sent)["Set-Cookie"].partition(";")[0]), None)
    assert content == {{f"key {{n}}": n for n in range(5)}}, content
    print("done")
"""


@pytest.mark.parametrize(
    "words",
    [
        {
            "patch": "from gevent import monkey; monkey.patch_all(); import gevent",
            "sleep": "gevent.sleep",
            "run": 'gs = [gevent.spawn(session.__setitem__, f"key {n}", n) for n in range(5)]; '
            "gevent.joinall(gs, raise_error=True)",
        },
        {
            "patch": "import threading, time",
            "sleep": "time.sleep",
            "run": 'ts = [threading.Thread(target=session.__setitem__, args=(f"key {n}", n)) for n in range(5)]; '
            "[t.start() for t in ts]; [t.join() for t in ts]",
        },
    ],
    ids=["gevent", "threads"],
)
def test_greenlets(keys, words):
    """Greenlets that switch in the middle of opening lose nothing, as threads do not."""
    path = [str(ROOT), *filter(None, sys.path)]
    program = textwrap.dedent(GREENLETS).format(keys=keys, path=path, **words)
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, timeout=120)
    assert done.stdout == "done\n", done.stderr


# ----------------------------------------------------------------------------------------------------------- many races


def test_many_races():
    """Of many first touches by two to eight threads at the same moment, none loses or undoes anything."""
    assert first_touch.run(2000) == []


def test_the_race_finds_a_missing_lock():
    """Without the lock the race finds lost changes: what it asserts can fail."""
    assert first_touch.run(200_000, sabotage=True)
