"""No frame of this package, whose local variables hold session values, is in the traceback of an error that leaves."""

import asyncio
import os
from collections.abc import Iterator
from types import FrameType

import pytest

from sealedsession import asgi, wsgi
from sealedsession.errors import CookieTooLargeError, NotSerializableError
from sealedsession.revocation import MemoryStore
from sealedsession.serialization.registry import Registry
from tests.support.asgi_client import http, start, talk
from tests.support.wsgi_client import make_environ

SECRET = "SECRET-VALUE"


class Box:
    """A type whose encoder or decoder fails."""


def fail_to_encode(box):
    raise LookupError("encode")


def fail_to_decode(data):
    raise TimeoutError("decode")


def trim(session, error):
    raise LookupError("trim")


def add(session, **more):
    session.update(secret=SECRET, **more)


def in_view(name):
    def act(session):
        add(session, big=object())
        getattr(session, name)() if name == "ensure_fits" else getattr(session, name)

    return act


CASES = {
    "too large to serialize": (lambda session: add(session, big="x" * 9000), CookieTooLargeError, {}),
    "too large when sealed": (lambda session: add(session, big=os.urandom(3400)), CookieTooLargeError, {}),
    "not serializable": (lambda session: add(session, thing=object()), NotSerializableError, {}),
    "not serializable as JSON": (
        lambda session: add(session, thing=object()),
        NotSerializableError,
        {"serializer": "json"},
    ),
    "encoder": (lambda session: add(session, box=Box()), NotSerializableError, {}),
    "oversize": (lambda session: add(session, big="x" * 9000), LookupError, {"oversize": trim}),
    "modified": (in_view("modified"), NotSerializableError, {}),
    "size": (in_view("size"), NotSerializableError, {}),
    "ensure_fits": (in_view("ensure_fits"), NotSerializableError, {}),
    "subject": (lambda session: add(session) or setattr(session, "subject", 7), TypeError, {}),
    "lifetime": (lambda session: add(session) or session.set_lifetime(1.5), TypeError, {}),
    "closed": (lambda session: add(session), Exception, {}),
}


def walk_frames(error: BaseException) -> Iterator[FrameType]:
    """All frames in the tracebacks of an error, its causes and its contexts."""
    seen, errors = set(), [error]
    while errors:
        error = errors.pop()
        if id(error) not in seen:
            seen.add(id(error))
            errors += [linked for linked in (error.__cause__, error.__context__) if linked is not None]
            traceback = error.__traceback__
            while traceback is not None:
                yield traceback.tb_frame
                traceback = traceback.tb_next


def own_frames(error):
    return [
        f"{frame.f_globals['__name__']}.{frame.f_code.co_name}"
        for frame in walk_frames(error)
        if frame.f_globals["__name__"].partition(".")[0] == "sealedsession"
    ]


def wsgi_app(act, after):
    def app(environ, start_response):
        session = environ["sealedsession.session"]
        act(session)
        start_response("200 OK", [])
        if after:
            session["late"] = SECRET
        return []

    return app


def generator_app(act, after):
    def app(environ, start_response):
        yield from wsgi_app(act, after)(environ, start_response)

    return app


def run_wsgi(app, options, cookie=None):
    sent = []
    for _ in wsgi.SessionMiddleware(app, **options)(make_environ(cookie), lambda *started: sent.append(started[1])):
        pass
    return sent[0] if sent else []


def run_asgi(act, after, options, cookie=None):
    async def app(scope, receive, send):
        session = scope["session"]
        act(session)
        await send(start())
        if after:
            session["late"] = SECRET

    return talk(asgi.SessionMiddleware(app, **options), http(cookie))


class Waiting(MemoryStore):
    """A store that ASGI awaits."""

    blocks = True


def run_as(entry, act, after, options):
    if entry == "wsgi":
        run_wsgi(wsgi_app(act, after), options)
    elif entry == "generator":
        run_wsgi(generator_app(act, after), options)
    elif entry == "asgi":
        run_asgi(act, after, options)
    else:
        run_asgi(act, after, {**options, "revocation": Waiting()})


def registry_with(encode=lambda box: None, decode=lambda data: Box()):
    registry = Registry()
    registry.register(Box, "box", encode=encode, decode=decode)
    return registry


@pytest.mark.parametrize("entry", ["wsgi", "generator", "asgi", "asgi with a store"])
@pytest.mark.parametrize("case", CASES)
def test_no_own_frame_in_an_error(keys, entry, case):
    """An error that leaves the middleware has only the application's frames; its class and message stay."""
    act, kind, more = CASES[case]
    options = {**keys, "registry": registry_with(encode=fail_to_encode), **more}
    with pytest.raises(kind) as caught:
        run_as(entry, act, case == "closed", options)
    if entry == "generator":  # what a view raises while the server iterates passes through no code of ours
        for frame in walk_frames(caught.value):
            if frame.f_globals["__name__"].startswith("sealedsession"):
                assert SECRET not in repr(
                    {name: value for name, value in frame.f_locals.items() if name not in ("self", "session")}
                )
    else:
        assert own_frames(caught.value) == []
    assert SECRET not in str(caught.value)
    if case == "encoder":  # which the developer wants to see
        assert "fail_to_encode" in {frame.f_code.co_name for frame in walk_frames(caught.value)}


@pytest.mark.parametrize(
    ("entry", "touch"), [("wsgi", len), ("asgi", len), ("asgi with a store", len), ("asgi with a store", id)]
)
def test_no_own_frame_in_an_error_of_a_decoder(keys, entry, touch):
    """An error that opening the session raises carries no frame in which the unsealed payload is."""
    good = {**keys, "registry": registry_with()}
    sent = run_wsgi(wsgi_app(lambda session: add(session, box=Box()), False), good)
    cookie = next(value.partition(";")[0] for name, value in sent if name == "Set-Cookie")
    options = {**keys, "registry": registry_with(decode=fail_to_decode)}
    if entry == "asgi with a store":
        options["revocation"] = Waiting()  # and the session is opened before the application runs
    run = {"wsgi": lambda: run_wsgi(wsgi_app(touch, False), options, cookie)}
    with pytest.raises(TimeoutError) as caught:
        run.get(entry, lambda: run_asgi(touch, False, options, cookie.encode()))()
    assert own_frames(caught.value) == []
    assert "fail_to_decode" in {frame.f_code.co_name for frame in walk_frames(caught.value)}


def test_an_error_of_the_application_keeps_its_frames(keys):
    """What the application raises by itself passes with all of its own frames."""

    def act(session):
        raise LookupError("mine")

    with pytest.raises(LookupError) as caught:
        run_wsgi(wsgi_app(act, False), keys)
    names = [frame.f_code.co_name for frame in walk_frames(caught.value)]
    assert names[-2:] == ["app", "act"]


def test_where_an_error_was_raised_stays_known(keys):
    """Instead of the frames, a note names the module and the line."""
    with pytest.raises(TypeError) as caught:
        run_wsgi(wsgi_app(lambda session: setattr(session, "subject", 7), False), keys)
    [note] = caught.value.__notes__
    assert note.startswith("Raised in sealedsession.revocation.store, line ")


def test_a_cancelled_request(keys):
    """A cancellation passes as it is."""

    async def app(scope, receive, send):
        await asyncio.sleep(60)

    async def run():
        task = asyncio.ensure_future(asgi.SessionMiddleware(app, **keys)(http(), None, None))
        await asyncio.sleep(0.01)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(run())
