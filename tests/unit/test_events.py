"""Events: the level and the content of each record, the events for the hook, and the secrets that neither contains."""

import json
import logging
import re
from dataclasses import FrozenInstanceError, replace
from operator import attrgetter, methodcaller
from typing import get_args

import pytest

from sealedsession import events
from sealedsession.errors import (
    CookieTooLargeError,
    NotPublicError,
    Reason,
    StaleStateError,
    StateError,
    StoreError,
    UnsealError,
)
from sealedsession.events import Event
from sealedsession.revocation import MemoryStore
from sealedsession.wsgi import SessionMiddleware
from tests.support.manager_browser import BAD_COOKIES, Browser, fill, header

KEYS = {
    "validate_key": "kXn2r5u8x-A-D_G-KaPdSgVkYp3s6v9y-B-E-H-MbQe",
    "encrypt_key": "Tn5v8y-B-D-GpKbPeShVmYq3t6w9z-C-F-JaNcRfUjX",
}


def make_events(hook=None, **options):
    return events.Events("sid", hook, lambda: bytes(32), **options)


def test_logger_name():
    """All events go to the logger of the package's name."""
    assert events.logger is logging.getLogger("sealedsession")


@pytest.mark.parametrize("code", get_args(Reason))
def test_rejected(code, caplog):
    """A rejected cookie is one record of cookie, code and detail; its level tells who has to act."""
    levels = {
        "expired_idle": "INFO",
        "expired_absolute": "INFO",
        "revoked": "INFO",
        "store_error": "DEBUG",  # the failure of the store was an error of its own
        "forbidden_value": "ERROR",
    }
    caplog.set_level(logging.DEBUG, "sealedsession")
    make_events().rejected(UnsealError(code, "a detail"))
    (record,) = caplog.records
    assert record.levelname == levels.get(code, "WARNING")
    for part in ("'sid'", code, "a detail"):
        assert part in record.getMessage()


def test_what_has_the_name(caplog):
    """A record says what was rejected: a cookie, or what else the events are of."""
    make_events().rejected(UnsealError("malformed", "a detail"))
    make_events(what="state").rejected(UnsealError("malformed", "a detail"))
    assert [record.getMessage().split()[0] for record in caplog.records] == ["cookie", "state"]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (StaleStateError("item 7 is gone"), "stale"),
        (NotPublicError("item 7 is gone"), "bad_call"),
        (StateError("item 7 is gone"), "bad_call"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_not_called(caplog, error, kind):
    """A call that cannot be carried out is one record of name, code and detail, and one event."""
    caplog.set_level(logging.INFO, "sealedsession")
    emitted = []
    make_events(emitted.append, what="state").not_called(error, b"id")
    (record,) = caplog.records
    assert record.getMessage() == f"state 'sid': {error.reason}, item 7 is gone"
    assert [(event.kind, event.detail, event.reason) for event in emitted] == [(kind, "item 7 is gone", None)]
    assert re.fullmatch("[0-9a-f]{16}", emitted[0].session)


def test_ambiguous(caplog):
    """Several cookies of our name are a warning of their number and name."""
    make_events().ambiguous(3)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "'sid'" in record.getMessage()
    assert "3 " in record.getMessage()


def test_kept_old_cookie(caplog):
    """A change that was dropped is an error that says which cookie and why."""
    make_events().not_saved(CookieTooLargeError("sid", 5000, 4096, {"cart": 4000}))
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    for part in ("'sid'", "5000", "'cart'"):
        assert part in record.getMessage()


def test_plain_http(caplog):
    """A Secure cookie over plain http is a warning of cookie, host and cure."""
    make_events().plain_http("example.com")
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    for part in ("'sid'", "'example.com'", "secure=False"):
        assert part in record.getMessage()


def test_no_secret_is_logged(caplog):
    """What is logged of a request with bad cookies holds neither token, key, nor session value."""
    caplog.set_level(logging.DEBUG)
    sent = []

    def app(environ, start_response):
        environ["sealedsession.session"]["name"] = "confidential"
        start_response("200 OK", [])
        return []

    def request(cookies):
        environ = {"HTTP_COOKIE": cookies, "wsgi.url_scheme": "http", "HTTP_HOST": "example.com"}
        SessionMiddleware(app, **KEYS)(environ, lambda status, headers, exc_info=None: sent.append(dict(headers)))

    request("")
    token = sent[0]["Set-Cookie"].partition("=")[2].partition(";")[0]
    request(f"__Host-Http-session={token}x; __Host-Http-session={token[:-4]}AAAA; __Host-Http-session={token}")
    assert "rejected" in caplog.text
    for secret in (token[:20], token[20:40], KEYS["validate_key"], KEYS["encrypt_key"], "confidential"):
        assert secret not in caplog.text


# ------------------------------------------------------------------------------------------------------------- the hook


class FailingStore(MemoryStore):
    """A store whose given methods fail."""

    fails = ""

    def find(self, keys):
        if self.fails == "find":
            raise StoreError("down")
        return super().find(keys)

    def revoke(self, key, entry, ttl, caller=None):
        if self.fails == "revoke":
            raise StoreError("down")
        return super().revoke(key, entry, ttl, caller)


class Watched(Browser):
    """A browser whose server records its events. With other options, it belongs to another server."""

    def __init__(self, clock, *, host=None, **options):
        self.emitted = []
        self.options = options
        super().__init__(clock, host=host, on_event=self.emitted.append, **options)

    def tells(self, act=len, **request):
        """The kinds that one request tells, with their reasons."""
        self.emitted.clear()
        self.visit(act, **request)
        return [event.kind if event.reason is None else f"{event.kind} {event.reason}" for event in self.emitted]

    def moved(self, clock, **options):
        """The same browser at a server with other options."""
        other = Watched(clock, **{**self.options, **options})
        other.cookie = self.cookie
        return other


@pytest.fixture
def store(clock):
    return FailingStore(clock=clock)


@pytest.fixture
def watched(clock, keys, store):
    """A browser with a session, at a server with a store that tells its events."""
    watched = Watched(clock, **keys, revocation=store)
    watched.visit(fill)
    return watched


def own(session):
    """Give the session a subject, and revoke all others of it."""
    session.subject = "user:42"
    session.revoke_subject("user:42")


@pytest.mark.parametrize(
    ("act", "emitted"),
    [
        (id, []),
        (len, ["opened"]),
        (attrgetter("id", "size", "modified"), ["opened"]),
        (methodcaller("update", more=1), ["opened", "sealed"]),
        (methodcaller("save"), ["opened", "sealed"]),
        (methodcaller("regenerate"), ["opened", "sealed"]),
        (methodcaller("set_lifetime", 60), ["opened", "sealed"]),
        (lambda session: setattr(session, "subject", "user:42"), ["opened", "sealed"]),
        (methodcaller("clear"), ["opened"]),
        (methodcaller("invalidate"), ["opened"]),
        (methodcaller("revoke"), ["opened", "revoked"]),
        (methodcaller("logout"), ["opened", "revoked"]),
        (lambda session: (session.logout(), fill(session)), ["opened", "revoked", "sealed"]),
        (methodcaller("revoke_subject", "user:7"), ["opened", "revoked"]),
        (own, ["opened", "revoked", "sealed"]),
    ],
)
def test_what_an_opened_session_tells(watched, act, emitted):
    """A session that is opened tells so once, and then what becomes of it."""
    assert watched.tells(act) == emitted


@pytest.mark.parametrize(
    ("act", "emitted"),
    [
        (id, []),
        (len, []),
        (methodcaller("clear"), []),
        (methodcaller("invalidate"), []),
        (fill, ["sealed"]),
        (methodcaller("save"), ["sealed"]),
        (lambda session: (fill(session), session.clear()), []),
    ],
)
def test_what_a_new_session_tells(watched, act, emitted):
    """A new session tells nothing until it is sealed."""
    assert watched.tells(act, cookie="") == emitted


def test_an_unchanged_session_that_is_sealed_again(watched, clock, keys, other_keys):
    """An unchanged session tells why it is sealed again: time passed, or a fallback key; a changed one is sealed."""
    rotated = {**{option: [other_keys[option], keys[option]] for option in keys}}
    clock.advance(3600)
    assert watched.tells() == ["opened", "refreshed"]
    assert watched.tells() == ["opened"]
    assert watched.moved(clock, **rotated).tells(methodcaller("update", more=1)) == ["opened", "sealed"]
    rotating = watched.moved(clock, **rotated)
    assert rotating.tells() == ["opened", "resealed_old_key"]
    assert rotating.tells() == ["opened"]


def test_a_session_that_gets_an_id(watched, clock, keys):
    """A session from before the store is refreshed: it gets an id, and tells it from then on."""
    plain = Watched(clock, **keys)
    plain.visit(fill)
    watched.cookie = plain.cookie
    assert watched.tells() == ["opened", "refreshed"]
    assert [event.session is None for event in watched.emitted] == [True, False]
    assert watched.tells() == ["opened"]


@pytest.mark.parametrize("kind", BAD_COOKIES)
@pytest.mark.parametrize(("act", "more"), [(len, []), (fill, ["sealed"]), (id, None)])
def test_a_bad_cookie_tells_its_reason(clock, keys, kind, act, more):
    """A bad cookie is reported once with its reason, when the application uses the session."""
    watched = Watched(clock, **keys)
    watched.visit(fill)
    expected = [] if more is None else [f"rejected {kind.partition('-')[0]}", *more]
    assert watched.tells(act, cookie=BAD_COOKIES[kind](watched)) == expected


@pytest.mark.parametrize(
    ("seconds", "reason"),
    [(8 * 24 * 3600, "expired_idle"), (-61, "from_the_future")],
)
def test_times_tell_their_reason(watched, clock, seconds, reason):
    """A cookie of another time tells which."""
    clock.advance(seconds)
    assert watched.tells() == [f"rejected {reason}"]


def test_keys_and_revocation_tell_their_reason(watched, clock, other_keys):
    """A cookie by keys that are not here, and one that was revoked, tell so."""
    assert watched.moved(clock, **other_keys).tells() == ["rejected unknown_key"]
    copy = watched.cookie
    watched.visit(methodcaller("logout"))
    assert watched.tells(cookie=copy) == ["rejected revoked"]


def test_each_candidate_tells(watched):
    """Of several cookies each that is rejected tells so, and the one that is accepted."""
    cookies = f"{watched.config.cookie.name}=rubbish; {watched.cookie}"
    assert watched.tells(cookie=cookies) == ["rejected malformed", "opened"]


@pytest.mark.parametrize(
    ("oversize", "emitted"),
    [
        ("raise", ["opened", "too_large"]),
        ("keep", ["opened", "too_large"]),
        (lambda session, error: session.clear(), ["opened", "too_large"]),
        (lambda session, error: session.pop("huge"), ["opened", "too_large"]),
        (lambda session, error: session.update(huge="cut"), ["opened", "too_large", "sealed"]),
    ],
    ids=["raise", "keep", "empty it", "take it out", "cut it"],
)
@pytest.mark.parametrize("size", [3040, 10_000])
def test_too_large(watched, clock, oversize, emitted, size):
    """A session that is too large tells so once, whatever becomes of it, with its size."""
    browser = watched.moved(clock, oversize=oversize)

    def act(session):
        session["huge"] = "x" * size

    if oversize == "raise":
        with pytest.raises(CookieTooLargeError):
            browser.visit(act)
    else:
        browser.visit(act)
    assert [event.kind for event in browser.emitted] == emitted
    assert browser.emitted[1].size > 4096


@pytest.mark.parametrize(
    ("policy", "emitted"), [("reject", ["store_error", "rejected store_error"]), ("allow", ["store_error", "opened"])]
)
def test_the_store_cannot_be_asked(watched, clock, store, policy, emitted):
    """A store that does not answer is reported, with the consequence."""
    store.fails = "find"
    assert watched.moved(clock, on_store_error=policy).tells() == emitted
    assert watched.tells(cookie="") == []


@pytest.mark.parametrize("act", [methodcaller("revoke"), methodcaller("logout"), methodcaller("revoke_subject", "u")])
def test_the_store_cannot_be_told(watched, store, act):
    """What the store was not told is not told to be revoked."""
    store.fails = "revoke"
    assert watched.tells(act) == ["opened", "store_error"]


def keyring_from_source(key):
    return json.dumps({"version": 1, "keys": [{"state": "primary", "validate_key": key}]})


def test_the_keyring_tells(tmp_path, clock, keys):
    """A keyring that is read again tells so, and one that is broken tells why; both once, and without a key."""
    path = tmp_path / "keys.json"
    path.write_text(keyring_from_source(keys["validate_key"]))
    watched = Watched(clock, keyring=f"file:{path}")
    assert watched.tells(fill) == ["sealed"]
    path.write_text(keyring_from_source(keys["encrypt_key"]) + "\n")
    clock.advance(1)
    assert watched.tells(cookie="") == []  # nobody needed a key
    assert watched.tells() == ["keyring_reloaded", "rejected unknown_key"]
    path.write_text("{")
    clock.advance(1)
    assert watched.tells(fill, cookie="") == ["keyring_error", "sealed"]
    assert "not a keyring in JSON" in watched.emitted[0].detail
    clock.advance(1)
    assert watched.tells() == ["opened"]


# --------------------------------------------------------------------------------------------------------------- fields


def test_fields(watched, clock):
    """Every event has the cookie's name; sealing has the size on the wire; opening, a session; rejecting, a reason."""
    watched.tells(methodcaller("update", more=1))
    opened, sealed = watched.emitted
    assert opened == Event("opened", "__Host-Http-session", opened.session)
    assert sealed == Event("sealed", "__Host-Http-session", opened.session, size=len(watched.cookie) - 1)
    clock.advance(3600)
    watched.tells()
    assert watched.emitted[1].size == len(watched.cookie) - 1
    watched.tells(cookie="__Host-Http-session=rubbish")
    [rejected] = watched.emitted
    assert (rejected.session, rejected.reason, rejected.size) == (None, "malformed", None)
    assert rejected.detail


def test_a_session_is_named_by_a_hash(watched, clock):
    """A session has one name in all its events, 16 hexadecimal digits that are no part of its id."""
    first = watched.visit()[0].id
    names = set()
    for act in (len, methodcaller("update", more=1), methodcaller("save"), methodcaller("logout")):
        watched.tells(act)
        names |= {event.session for event in watched.emitted}
        clock.advance(3600)
    [name] = names
    assert re.fullmatch("[0-9a-f]{16}", name)
    assert name not in first
    assert first not in repr(watched.emitted)


def test_names_of_several_sessions(watched, clock, other_keys, store):
    """Another session has another name, and so has the same one under other keys: nobody can compare two services."""
    session_id = bytes(range(16))
    names = set()
    for browser in (watched, watched.moved(clock, **other_keys)):
        for number in (0, 1):
            browser.config.events.emit("opened", session_id=session_id[number:] + session_id[:number])
        names |= {event.session for event in browser.emitted} - {None}
    assert len(names) >= 4


def test_processes_with_the_same_keys_name_a_session_alike(watched, clock):
    """Two servers with the same keys give a session the same name, so that their logs can be put together."""
    watched.tells()
    other = watched.moved(clock)
    other.tells()
    assert watched.emitted == other.emitted


def test_a_session_without_an_id_has_no_name(clock, keys):
    """Without a store sessions need no id, and have no name then."""
    watched = Watched(clock, **keys)
    watched.tells(fill)
    assert [event.session for event in watched.emitted] == [None]


def test_a_revoked_session_is_named(watched):
    """Whoever looks for what a thief did finds the session under the name it had before it was revoked."""
    watched.tells()
    name = watched.emitted[0].session
    copy = watched.cookie
    watched.tells(methodcaller("logout"))
    assert [event.session for event in watched.emitted] == [name, name]
    watched.tells(cookie=copy)
    assert [event.session for event in watched.emitted] == [name]


def test_an_event_cannot_be_changed():
    """An event is given to anybody's code, and stays what it was."""
    event = Event("opened", "sid")
    with pytest.raises(FrozenInstanceError):
        event.kind = "sealed"
    assert replace(event, kind="sealed") == Event("sealed", "sid")


# ------------------------------------------------------------------------------------------------------ the hook's code


class UnprintableError(Exception):
    """An error whose text cannot be had."""

    def __str__(self):
        raise RuntimeError("confidential")


@pytest.mark.parametrize(
    "error", [ValueError("confidential"), KeyError("confidential"), UnprintableError(), CookieTooLargeError]
)
def test_a_hook_that_raises(clock, keys, store, caplog, error):
    """A hook that raises harms no request; what it raised is logged by its type alone."""
    caplog.set_level(logging.DEBUG)
    raised = []

    def hook(event):
        raised.append(event.kind)
        raise error

    browser = Browser(clock, **keys, on_event=hook, revocation=store)
    browser.visit(fill)
    session, _ = browser.visit(methodcaller("update", more=1))
    assert session["user"] == "ann"
    assert browser.visit()[0]["more"] == 1
    browser.visit(methodcaller("logout"))
    assert browser.cookie == f"{browser.config.cookie.name}="
    assert raised == ["sealed", "opened", "sealed", "opened", "opened", "revoked"]
    errors = [record for record in caplog.records if "on_event" in record.getMessage()]
    assert [record.levelname for record in errors] == ["ERROR"] * 6
    name = error.__name__ if isinstance(error, type) else type(error).__name__
    expected = "TypeError" if error is CookieTooLargeError else name  # which cannot be made without arguments
    assert all(expected in record.getMessage() and record.exc_info is None for record in errors)
    assert "confidential" not in caplog.text


def test_without_a_hook_nothing_is_made():
    """Without a hook, no key is derived and no event is made; with one, the key is derived once."""
    asked = []

    def hash_key():
        asked.append(1)
        return bytes(32)

    silent = events.Events("sid", None, hash_key)
    silent.emit("opened", session_id=bytes(16))
    assert not silent.has_hook
    assert asked == []
    emitted = []
    loud = events.Events("sid", emitted.append, hash_key)
    assert loud.has_hook
    loud.emit("opened")
    assert asked == []
    for _ in range(3):
        loud.emit("opened", session_id=bytes(16))
    assert asked == [1]
    assert len({event.session for event in emitted[1:]}) == 1


def test_events_contain_no_secret(watched, clock, keys, other_keys, store, caplog):
    """No event and no record holds a key, a token, an id or a value of the session, whatever happens."""
    caplog.set_level(logging.DEBUG)
    emitted, secrets = [], {"confidential", "user:secret", *keys.values(), *other_keys.values()}

    def run(browser, act=len, **request):
        session, sent = browser.visit(act, **request)
        emitted.extend(browser.emitted)
        browser.emitted.clear()
        secrets.update(value.partition("=")[2].partition(";")[0] for value in header(sent, "Set-Cookie"))
        secrets.add(session._identity.session_id and session._identity.session_id.hex())

    def sign_in(session):
        session.update(card="confidential")
        session.subject = "user:secret"

    run(watched, sign_in)
    good = watched.cookie
    for cookie in [make(watched) for make in BAD_COOKIES.values()]:
        run(watched, cookie=cookie)
    watched.cookie = good
    run(watched.moved(clock, **other_keys))
    run(watched.moved(clock, oversize="keep"), methodcaller("update", card="confidential" * 1000))
    clock.advance(3600)
    run(watched)
    run(watched, methodcaller("revoke_subject", "user:secret"))
    for fails in ("find", "revoke"):
        store.fails = fails
        run(watched, methodcaller("logout"))
    store.fails = ""
    run(watched, sign_in)
    copy = watched.cookie
    run(watched, methodcaller("logout"))
    run(watched, cookie=copy)
    assert {event.kind for event in emitted} == {*get_args(events.Kind)} - {
        "resealed_old_key", "keyring_reloaded", "keyring_error", "stale", "bad_call",
    }  # fmt: skip
    shown = repr(emitted) + caplog.text
    assert [secret for secret in secrets if secret and secret in shown] == []


@pytest.mark.parametrize(
    ("emit", "level"),
    [
        (lambda events: events.revoked("a session was", bytes(16)), "INFO"),
        (lambda events: events.store_error(StoreError("down"), "the session is refused for now"), "ERROR"),
        (lambda events: events.keyring(None), "INFO"),
        (lambda events: events.keyring(ValueError("broken")), "ERROR"),
        (lambda events: events.not_called(StaleStateError("it is gone"), bytes(16)), "INFO"),
        (lambda events: events.not_called(NotPublicError("no such method"), bytes(16)), "WARNING"),
        (lambda events: events.not_called(StateError("no call"), bytes(16)), "WARNING"),
    ],
    ids=["revoked", "store_error", "keyring_reloaded", "keyring_error", "stale", "not public", "bad_call"],
)
def test_what_is_logged_as_well(caplog, emit, level):
    """What somebody may have to act on is logged once, with a hook and without one."""
    caplog.set_level(logging.DEBUG)
    emitted = []
    for hook in (None, emitted.append):
        caplog.clear()
        emit(make_events(hook))
        assert [record.levelname for record in caplog.records] == [level]
    assert len(emitted) == 1


def test_an_unknown_key_may_be_another_applications(clock, keys, other_keys, caplog):
    """The record of an unknown key says that another application on this host may use the same cookie name."""
    other = Browser(clock, **other_keys)
    other.visit(fill)
    Browser(clock, **keys).visit(cookie=other.cookie)
    [record] = caplog.records
    assert "unknown_key" in record.getMessage()
    assert "name=" in record.getMessage()
