"""The public seam of the manager, as integrations of frameworks use it."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from operator import methodcaller
from types import SimpleNamespace

import pytest
import webob
from starlette.requests import Request

from sealedsession import ConfigError, CookieTooLargeError, Registry, SealError, SessionConfig, get_session
from sealedsession.asgi import SessionMiddleware as ASGISessionMiddleware
from sealedsession.lifecycle import ManagerCache, SessionManager
from sealedsession.revocation import MemoryStore
from sealedsession.sealing import derive_keys
from sealedsession.session import ClosedSession, SessionProxy, UnopenedSession
from sealedsession.wsgi import SessionMiddleware


@pytest.fixture
def manager(keys, clock):
    return SessionManager(SessionConfig(**keys, clock=clock))


def read_cookie(set_cookie):
    return set_cookie.partition(";")[0]


def test_open_and_set_cookie(manager):
    """A session opened from a Cookie header is sealed into a Set-Cookie, and opens from that cookie again."""
    session = manager.open(None)
    session["user"] = "ann"
    set_cookie = manager.set_cookie(session)
    assert set_cookie.endswith("; Path=/; Secure; HttpOnly; SameSite=Lax")
    for header in (read_cookie(set_cookie), read_cookie(set_cookie).encode()):
        assert manager.open(header) == {"user": "ann"}


def test_open_token_and_token(manager):
    """A session is sealed into a token without a header, and opens from the token as the framework parsed it."""
    session = manager.open_token("")
    session["user"] = "ann"
    token = manager.token(session)
    for value in (token, token.encode()):
        opened = manager.open_token(value)
        assert type(opened) is UnopenedSession
        assert (opened, opened.rejected) == ({"user": "ann"}, None)


@pytest.mark.parametrize("around", ['"{}"', " {} ", "{};", "{},x", "{}="])
def test_a_token_is_taken_as_it_is(manager, around):
    """What a Cookie header may have around a value makes a token malformed."""
    session = manager.open_token("")
    session["user"] = "ann"
    assert manager.open_token(around.format(manager.token(session))).rejected == "malformed"


def test_an_untouched_session_costs_nothing(manager):
    """A session that nobody has touched stays unopened, and there is no cookie to send."""
    session = manager.open("__Host-Http-session=rubbish")
    assert manager.action(session) == "keep"
    assert manager.set_cookie(session) is None
    headers = []
    assert manager.close(session, None, 200, headers) is headers
    assert type(session) is UnopenedSession


@pytest.mark.parametrize(
    ("act", "seconds", "action"),
    [
        (len, 0, "keep"),
        (methodcaller("update", more=1), 0, "seal"),
        (methodcaller("clear"), 0, "delete"),
        (len, 4000, "refresh"),
    ],
)
def test_action(manager, clock, act, seconds, action):
    """The action is known without sealing, and set_cookie() does the same."""
    session = manager.open(None)
    session["user"] = "ann"
    cookie = read_cookie(manager.set_cookie(session))
    clock.advance(seconds)
    session = manager.open(cookie)
    act(session)
    assert manager.action(session) == action
    assert (manager.set_cookie(session) is None) == (action == "keep")


def test_a_session_of_a_fallback_key_is_due(keys, other_keys, clock):
    """A session that a fallback key opened is due, even if it was only read."""
    old = SessionManager(SessionConfig(**keys, clock=clock))
    new = SessionManager(SessionConfig(**{name: [other_keys[name], keys[name]] for name in keys}, clock=clock))
    session = old.open(None)
    session["user"] = "ann"
    session = new.open(read_cookie(old.set_cookie(session)))
    session.mark_accessed()
    assert new.action(session) == "reseal"


def test_the_session_stays_open(manager):
    """Neither set_cookie() nor token() closes the session: a test may look into it, and write, afterwards."""
    session = manager.open(None)
    session["user"] = "ann"
    manager.set_cookie(session)
    manager.token(session)
    session["user"] = "bob"
    assert manager.open(read_cookie(manager.set_cookie(session)))["user"] == "bob"
    manager.close(session, None, 200, [])
    assert type(session) is ClosedSession


def test_session_id(manager):
    """session_id() shows the id of a session, and makes none."""
    session = manager.open(None)
    session["user"] = "ann"
    assert manager.session_id(session) is None
    assert session.id == manager.session_id(session)


def test_a_token_that_is_too_large(manager):
    """A token that no cookie has room for is an error, which names the largest keys."""
    session = manager.open_token("")
    session["text"] = "x" * 5000
    with pytest.raises(CookieTooLargeError) as caught:
        manager.token(session)
    assert [*caught.value.by_key] == ["text"]


def test_a_binding_gets_the_request(keys):
    """The binding function gets the request that the framework passes, to open and to seal."""
    manager = SessionManager(SessionConfig(**keys, binding=lambda request: request["client"]))
    session = manager.open(None, {"client": b"one"})
    session["user"] = "ann"
    cookie = read_cookie(manager.set_cookie(session, {"client": b"one"}))
    assert manager.open(cookie, {"client": b"one"})["user"] == "ann"
    assert manager.open(cookie, {"client": b"two"}).rejected == "bad_signature"


class SlowStore(MemoryStore):
    """A store that must be awaited, and counts the calls that block instead."""

    blocks = True
    blocking = 0

    def find(self, keys):
        self.blocking += 1
        time.sleep(0.3)
        return super().find(keys)

    async def afind(self, keys):
        await asyncio.sleep(0)
        return super().find(keys)

    async def arevoke(self, key, entry, ttl, caller=None):
        await asyncio.sleep(0)
        return super().revoke(key, entry, ttl, caller)


def test_a_store_is_awaited(keys):
    """With awaits=True a store that blocks is awaited, to open a session and to revoke it."""
    store = SlowStore()
    manager = SessionManager(SessionConfig(**keys, revocation=store), awaits=True)

    async def visit(cookie, act):
        session = await manager.aopen(cookie)
        act(session)
        headers = await manager.aclose(session, None, 200, [])
        return session, [read_cookie(value) for name, value in headers if name == "Set-Cookie"]

    async def journey():
        _, [cookie] = await visit(None, methodcaller("update", user="ann"))
        session, _ = await visit(cookie, methodcaller("logout"))
        assert session == {}
        session, _ = await visit(cookie, len)
        assert session.rejected == "revoked"
        token = cookie.partition("=")[2]
        assert (await manager.aopen_token(token)).rejected == "revoked"

    asyncio.run(journey())
    assert store.blocking == 0


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (methodcaller("revoke_subject", "user:42"), methodcaller("revoke")),
        (lambda session: setattr(session, "subject", "user:7"), methodcaller("logout")),
        (len, methodcaller("logout")),
    ],
    ids=["revoked", "signed in", "read"],
)
def test_a_revocation_reaches_a_token_of_the_same_request(keys, clock, before, after):
    """A token that was sealed during the request is refused once the session is revoked."""
    manager = SessionManager(SessionConfig(**keys, clock=clock, revocation="memory"))
    session = manager.open(None)
    session.subject = "user:42"
    session = manager.open_token(manager.token(session))
    before(session)
    token = manager.token(session)
    assert manager.open_token(token).rejected is None
    after(session)
    assert manager.open_token(token).rejected == "revoked"


def test_a_revoked_session_has_no_token(keys, clock):
    """A session that the store finds revoked during the request is not sealed, whatever it becomes afterwards."""
    manager = SessionManager(SessionConfig(**keys, clock=clock, revocation="memory"))
    session = manager.open(None)
    session.subject = "user:42"
    token = manager.token(session)
    stale, other = manager.open_token(token), manager.open_token(token)
    assert stale.subject == "user:42"
    other.logout()
    stale.revoke_subject("user:42")
    stale.subject = "user:7"
    assert stale.rejected == "revoked"
    assert manager.set_cookie(stale) is None
    with pytest.raises(SealError, match="revoked"):
        manager.token(stale)


def test_a_store_that_must_be_awaited_is_not_forgotten(keys):
    """Calls that would not await the store are errors that name the right one, and nothing is lost silently."""
    manager = SessionManager(SessionConfig(**keys, revocation=SlowStore()), awaits=True)

    async def journey():
        session = await manager.aopen(None)
        session["user"] = "ann"
        session.revoke()
        with pytest.raises(RuntimeError, match="aclose"):
            manager.close(session, None, 200, [])
        assert await manager.aclose(session, None, 200, [])

    asyncio.run(journey())
    with pytest.raises(RuntimeError, match="aopen"):
        len(manager.open(None))


def test_wrong_arguments(manager):
    """A Cookie header of another type, and an action that seals nothing, are errors."""
    with pytest.raises(TypeError, match="cookie_header"):
        manager.open(bytearray(b"a=b"))
    session = manager.open(None)
    session["user"] = "ann"
    with pytest.raises(ValueError, match="action='keep'"):
        manager.token(session, action="keep")


def test_remaining_is_that_of_the_token(keys):
    """Where tokens may be longer than a cookie, `remaining` counts up to that."""
    manager = SessionManager(SessionConfig(**keys), purpose="shop", max_length=10_000)
    session = manager.open_token("")
    session["text"] = "x" * 6000
    assert 0 < session.remaining == 10_000 - len(manager.token(session))


# ----------------------------------------------------------------------------------------------------------- persistent


def test_persistent_is_sealed(manager, clock):
    """ "Remember me" is kept by a refresh, and Max-Age is the remaining lifetime of the session."""
    session = manager.open(None)
    session.update(user="ann")
    session.persistent = True
    set_cookie = manager.set_cookie(session)
    assert "; Max-Age=604800; " in set_cookie
    clock.advance(4000)
    session = manager.open(read_cookie(set_cookie))
    assert session.persistent is True
    assert "; Max-Age=604800; " in manager.set_cookie(session)
    session.persistent = False
    assert manager.action(session) == "seal"
    set_cookie = manager.set_cookie(session)
    assert "Max-Age" not in set_cookie
    assert manager.open(read_cookie(set_cookie)).persistent is False


def test_the_option_is_for_new_sessions(keys, clock):
    """The option persistent applies to new sessions; for others the seal decides."""
    managers = [SessionManager(SessionConfig(**keys, clock=clock, persistent=value)) for value in (False, True)]
    for manager, other in (managers, managers[::-1]):
        session = manager.open(None)
        session["user"] = "ann"
        assert session.persistent is manager.config.persistent
        opened = other.open(read_cookie(manager.set_cookie(session)))
        assert opened.persistent is manager.config.persistent
        opened.invalidate()
        assert opened.persistent is other.config.persistent


def test_persistent_of_an_empty_session(manager):
    """A session with nothing but an id is sealed again, not deleted."""
    session = manager.open(None)
    assert len(session.id) == 32
    session = manager.open(read_cookie(manager.set_cookie(session)))
    session.persistent = True
    assert manager.action(session) == "seal"
    session.invalidate()
    assert manager.action(session) == "delete"


@pytest.mark.parametrize("value", [None, 1, "yes"])
def test_persistent_is_a_bool(manager, value):
    """Another value is refused, and changes nothing."""
    session = manager.open(None)
    with pytest.raises(TypeError, match="persistent"):
        session.persistent = value
    assert session.persistent is False


def test_refresh_with_each_request(keys, clock):
    """With refresh_interval=0 each request that uses the session seals it again, also in the same second."""
    manager = SessionManager(SessionConfig(**keys, clock=clock, refresh_interval=0))
    session = manager.open(None)
    session["user"] = "ann"
    session = manager.open(read_cookie(manager.set_cookie(session)))
    assert session["user"] == "ann"
    assert manager.action(session) == "refresh"


# ---------------------------------------------------------------------------------------------------------- get_session


def test_get_session_in_wsgi(keys):
    """get_session() finds the session in an environ, and in a request that has one."""
    found = []

    def app(environ, start_response):
        found.extend([get_session(environ), get_session(webob.Request(environ)), environ["sealedsession.session"]])
        start_response("200 OK", [])
        return []

    webob.Request.blank("https://localhost/").get_response(SessionMiddleware(app, **keys))
    assert found[0] is found[1] is found[2]


def test_get_session_of_a_request_with_env(manager):
    """Falcon's WSGI request has the environ as `env`."""
    session = manager.open(None)
    assert get_session(SimpleNamespace(env={"sealedsession.session": session})) is session


def test_get_session_in_asgi(keys):
    """get_session() finds the session in a scope, under any scope_key, and in a request that has a scope."""
    found = []

    async def app(scope, receive, send):
        found.extend([get_session(scope), get_session(Request(scope)), scope["mine"]])

    scope = {"type": "http", "scheme": "https", "headers": []}
    asyncio.run(ASGISessionMiddleware(app, **keys, scope_key="mine")(scope, None, None))
    assert found[0] is found[1] is found[2]


def test_two_sessions_in_one_scope(keys):
    """An application with two sessions, under two keys and names, chooses one by its key."""
    found = []

    async def app(scope, receive, send):
        with pytest.raises(ConfigError, match="'session', 'admin'"):
            get_session(scope)
        found.extend([get_session(scope, "admin"), scope["admin"]])
        assert get_session(scope, "session") is not found[0]

    inner = ASGISessionMiddleware(app, **keys, scope_key="admin", name="__Host-Http-admin")
    asyncio.run(ASGISessionMiddleware(inner, **keys)({"type": "http", "scheme": "https", "headers": []}, None, None))
    assert found[0] is found[1]


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({}, "SessionMiddleware"),
        ({"session": {}}, "SessionMiddleware"),
        (object(), "WSGI environ.* ASGI scope"),
        (None, "WSGI environ.* ASGI scope"),
    ],
)
def test_get_session_without_a_session(request_, words):
    """The error names the middleware, or what to pass."""
    with pytest.raises(ConfigError, match=words):
        get_session(request_)


# ------------------------------------------------------------------------------------------- parts for integrations


def test_a_proxy_is_the_session(manager):
    """A proxy has the items and the public attributes of its session, and a subclass can add its own."""

    class Flasky(SessionProxy):
        @property
        def permanent(self):
            return self.persistent

        @permanent.setter
        def permanent(self, value):
            self.persistent = value

    session = manager.open(None)
    proxy = Flasky(session)
    assert type(session) is UnopenedSession
    proxy["user"] = "ann"
    proxy.permanent = True
    proxy.subject = "user:42"
    proxy.note = 1
    assert (dict(session), session.persistent, session.subject) == ({"user": "ann"}, True, "user:42")
    assert (proxy == {"user": "ann"}, len(proxy), [*proxy], proxy.new, proxy.note) == (True, 1, ["user"], True, 1)
    proxy.clear()
    assert (session, session.subject) == ({}, None)
    with pytest.raises(AttributeError, match="'nothing'"):
        _ = proxy.nothing
    with pytest.raises(AttributeError, match="_identity"):
        _ = proxy._identity


def test_keys_from_the_secret_of_a_framework(clock):
    """Both keys come from one secret; its fallbacks open older sessions; another framework has other keys."""
    old, new = "an old secret of 32 characters and more", "another, newer secret, as long as it must be"
    options = derive_keys({"SECRET_KEY": old}, "shop")
    assert options == derive_keys({"SECRET_KEY": old, "SECRET_KEY_FALLBACKS[0]": old}, "shop")
    assert "secret" not in repr(options).replace("secret bytes", "")
    session = (manager := SessionManager(SessionConfig(**options, clock=clock))).open(None)
    session["user"] = "ann"
    cookie = read_cookie(manager.set_cookie(session))
    rotated = {"SECRET_KEY": new, "SECRET_KEY_FALLBACKS[0]": old}
    for framework, reason in (("shop", None), ("blog", "unknown_key")):
        other = SessionManager(SessionConfig(**derive_keys(rotated, framework), clock=clock))
        assert other.open(cookie).rejected == reason


@pytest.mark.parametrize("secret", ["short", "x" * 40, "", b"changeme" * 5])
def test_a_weak_secret_is_refused(secret):
    """A weak secret is refused by an error that names its setting, and does not show it."""
    with pytest.raises(ConfigError, match="APP_SECRET") as caught:
        derive_keys({"APP_SECRET": secret}, "shop")
    assert not secret or str(secret) not in str(caught.value)


def test_managers_are_made_once(keys):
    """A cache makes one manager for each settings, by equality, and derives keys again only for new ones."""
    made = []

    def make(settings):
        made.append(settings)
        return SessionManager(SessionConfig(**keys, **settings))

    cache = ManagerCache(make)
    with ThreadPoolExecutor(8) as pool:
        first, *others = pool.map(lambda _: cache.get({"name": "a"}), range(50))
    assert all(manager is first for manager in others)
    assert cache.get({"name": "b"}) is not first
    assert made == [{"name": "a"}, {"name": "b"}]
    for number in range(20):
        cache.get({"name": f"n{number}"})
    assert len(cache._managers) == 8


def test_a_copy_of_a_registry(keys):
    """An integration adds types to a copy, and the registry that it came from stays as it was."""

    class Markup(str):
        pass

    original = Registry()
    original.register_subclass(Markup, "mine")
    copy = original.copy()
    assert copy.by_type.keys() == original.by_type.keys()
    copy.register_enum(HTTPStatus, "status")
    assert HTTPStatus not in original.by_type
    manager = SessionManager(SessionConfig(**keys, registry=copy))
    session = manager.open(None)
    session["value"] = [Markup("<b>"), HTTPStatus.OK, {frozenset([1])}]
    opened = manager.open(read_cookie(manager.set_cookie(session)))
    assert opened == session
    assert type(opened["value"][0]) is Markup
