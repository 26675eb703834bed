"""Flash messages, CSRF tokens and values with a lifetime: the library's own data in a session."""

import base64
import copy
import datetime
import json
import pickle
from collections import Counter
from decimal import Decimal
from operator import methodcaller

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealedsession.errors import (
    CookieTooLargeError,
    NotSerializableError,
    SessionClosedError,
    StoreError,
    UnsealError,
)
from sealedsession.own import Own, OwnPart, change_own, is_token_of, mask, parse_own, unmask, without_csrf, without_ends
from sealedsession.revocation import MemoryStore
from sealedsession.sealing.sealer import JSON, PICKLE
from sealedsession.serialization.registry import Registry
from sealedsession.serialization.safe_pickle import PickleSerializer
from sealedsession.serialization.tagged_json import JsonSerializer
from sealedsession.session import ClosedSession, Session, SessionProxy, SessionWithEnds
from tests.support.browsers import AsgiBrowser, WsgiBrowser
from tests.support.manager_browser import BAD_COOKIES, Browser, fill, header
from tests.support.strategies import ANY_TEXT, HASHABLE_EXAMPLES
from tests.support.unopened import open_session

NUMBERS = {"pickle": PICKLE, "json": JSON}
DUMPS = {"pickle": PickleSerializer(Registry()).dumps, "json": JsonSerializer(Registry()).dumps}
LEEWAY = 60  # the default of the option
SECRET = bytes(range(32))

each_serializer = pytest.mark.parametrize("serializer", ["pickle", "json"])


@pytest.fixture(params=["pickle", "json"])
def browser(request, clock, keys):
    """A browser without a cookie, for each serializer."""
    return Browser(clock, serializer=request.param, revocation=MemoryStore(clock=clock), **keys)


def set_for(seconds, **items):
    """An action that stores items with an end."""

    def act(session):
        for key, value in items.items():
            session.set(key, value, seconds=seconds)

    return act


def refused(error, call, *arguments):
    """Require that a call raises an error."""
    with pytest.raises(error):
        call(*arguments)


def in_next_request(browser, read, act=len):
    """What `read` returns in a request after one that acts."""
    browser.visit(act)
    found = []
    browser.visit(lambda session: found.append(read(session)))
    return found[0]


# ------------------------------------------------------------------------------------------------------ flash messages


def test_flash_is_there_in_the_next_request(browser):
    """A message is stored in one request and popped in the next, and then it is gone."""
    browser.visit(methodcaller("flash", "Saved"))
    assert in_next_request(browser, methodcaller("peek_flash")) == [("", "Saved")]
    assert in_next_request(browser, methodcaller("pop_flash")) == [("", "Saved")]
    assert in_next_request(browser, methodcaller("pop_flash")) == []


def test_flash_messages_keep_order_and_duplicates(browser):
    """Messages of all categories come in the order in which they were stored, each as often as it was."""
    messages = [("error", "a"), ("", "b"), ("error", "a"), ("info", "c")]

    def act(session):
        for category, message in messages:
            session.flash(message, category)

    found = in_next_request(browser, methodcaller("pop_flash"), act)
    assert found == messages
    assert [(found[0].category, found[0].message)] == messages[:1]


@pytest.mark.parametrize(
    ("categories", "popped"),
    [((), "abcd"), (("error",), "ac"), (("",), "b"), (("error", "info"), "acd"), (("absent",), "")],
)
def test_flash_by_category(browser, categories, popped):
    """pop_flash and peek_flash return the messages of some categories; the others stay."""

    def act(session):
        for category, message in [("error", "a"), ("", "b"), ("error", "c"), ("info", "d")]:
            session.flash(message, category)
        assert [message for _, message in session.peek_flash(*categories)] == list(popped)
        assert [message for _, message in session.pop_flash(*categories)] == list(popped)

    rest = in_next_request(browser, methodcaller("peek_flash"), act)
    assert [message for _, message in rest] == [message for message in "abcd" if message not in popped]


@pytest.mark.parametrize("message", ["", "ü\0<b>", b"\xff", 1, None, ["a", {"b": (1,)}], Decimal("1.5"), {1, 2}])
def test_flash_messages_are_values(browser, message):
    """A message is any value that a session can store."""
    [(_, found)] = in_next_request(browser, methodcaller("pop_flash"), methodcaller("flash", message))
    assert (found, type(found)) == (message, type(message))


def test_a_change_inside_a_message_is_saved(browser):
    """A nested change of a message is found by comparison, as one of the session's values."""
    browser.visit(methodcaller("flash", ["a"]))
    browser.visit(lambda session: session.peek_flash()[0].message.append("b"))
    assert in_next_request(browser, methodcaller("peek_flash")) == [("", ["a", "b"])]


@pytest.mark.parametrize("method", ["flash", "pop_flash", "peek_flash"])
@pytest.mark.parametrize(
    ("category", "error"), [(1, TypeError), (None, TypeError), (["error"], TypeError), ("x" * 256, ValueError)]
)
def test_a_wrong_category(browser, method, category, error):
    """A category is a str of up to 255 characters; another one is an error that names the method and stores nothing."""

    def act(session):
        arguments = ("text", category) if method == "flash" else (category,)
        with pytest.raises(
            error, match=f"session.*{method}.*category.*{type(category).__name__ * (error is TypeError)}"
        ):
            getattr(session, method)(*arguments)
        session.flash("text", "x" * 255)

    assert in_next_request(browser, methodcaller("peek_flash"), act) == [("x" * 255, "text")]


def test_a_message_that_cannot_be_stored(browser):
    """The error names the message by the call that returns it."""

    def act(session):
        session.flash("a")
        session.flash(["b", object()])
        with pytest.raises(NotSerializableError) as caught:
            session.ensure_fits()
        assert (caught.value.path, caught.value.type) == ("session.peek_flash()[1].message[1]", object)
        session.pop_flash()

    browser.visit(act)


def test_popping_the_only_content_deletes_the_cookie(browser):
    """A session that has nothing but messages is empty when they are popped."""
    browser.visit(methodcaller("flash", "a"))
    browser.cookie = browser.cookie.partition(";")[0]
    assert browser.deletes_cookie(methodcaller("pop_flash"))


# --------------------------------------------------------------------------------------------------------- CSRF tokens


def test_csrf_tokens_of_one_session(browser):
    """Every token of a session is accepted in this and in later requests, and no two are the same."""
    tokens = []
    browser.visit(lambda session: tokens.extend(session.csrf_token() for _ in range(3)))
    browser.visit(lambda session: tokens.append(session.csrf_token()))
    assert len(set(tokens)) == 4
    assert all(len(token) == 86 and token.isascii() for token in tokens)
    assert in_next_request(browser, lambda session: [session.check_csrf(token) for token in tokens]) == [True] * 4


def test_only_the_first_csrf_token_changes_the_session(browser):
    """The secret is sealed once. Later tokens and checks send no cookie."""
    assert browser.sets_cookie(methodcaller("csrf_token"))
    assert not browser.sets_cookie(methodcaller("csrf_token"))
    assert not browser.sets_cookie(methodcaller("check_csrf", "x"))


def test_tokens_are_of_one_session(browser, clock, keys):
    """A token of another session is refused, and so is every token where the session has no secret."""
    tokens = []
    browser.visit(lambda session: tokens.append(session.csrf_token()))
    other = Browser(clock, **keys)
    assert not in_next_request(other, methodcaller("check_csrf", tokens[0]))
    assert not in_next_request(other, methodcaller("check_csrf", tokens[0]), methodcaller("csrf_token"))


NEW_SECRET = {
    "sign-in": lambda session: setattr(session, "subject", "user:7"),
    "end of the subject": lambda session: setattr(session, "subject", None),
    "regenerate": methodcaller("regenerate"),
    "begin again": methodcaller("regenerate", begin_anew=True),
    "clear": methodcaller("clear"),
    "invalidate": methodcaller("invalidate"),
    "logout": methodcaller("logout"),
    "everywhere": methodcaller("revoke_subject", "user:42"),
}
SAME_SECRET = {
    "same subject": lambda session: setattr(session, "subject", "user:42"),
    "last key": methodcaller("pop", "user"),
    "another's sessions": methodcaller("revoke_subject", "user:7"),
    "lifetime": methodcaller("set_lifetime", 1000),
    "pop_flash": methodcaller("pop_flash"),
}


def begin(session):
    """Sign in, with all kinds of own data."""
    session.subject = "user:42"
    session["user"] = "ann"
    session.set("code", 7, seconds=1000)
    session.flash("a")
    session.csrf_token()


@pytest.mark.parametrize("act", NEW_SECRET.values(), ids=NEW_SECRET)
def test_a_new_secret(browser, act):
    """A token is refused after a sign-in, a sign-out or a new id, in the same request and later; a new one is made."""
    browser.visit(begin)
    tokens = []

    def renew(session):
        tokens.append(session.csrf_token())
        act(session)
        assert not session.check_csrf(tokens[0])
        tokens.append(session.csrf_token())
        assert session.check_csrf(tokens[1])

    checks = in_next_request(browser, lambda session: [session.check_csrf(token) for token in tokens], renew)
    assert checks == [False, True]


@pytest.mark.parametrize("act", SAME_SECRET.values(), ids=SAME_SECRET)
def test_the_same_secret(browser, act):
    """Other changes of a session leave its tokens valid."""
    browser.visit(begin)
    tokens = []
    browser.visit(lambda session: (tokens.append(session.csrf_token()), act(session)))
    assert in_next_request(browser, lambda session: session.check_csrf(tokens[0]))


TOKEN = mask(SECRET, bytes(32))
MALFORMED = [
    None, 0, b"", TOKEN.encode(), "", "x", TOKEN[:-1], TOKEN + "A", TOKEN + "==", TOKEN[:-4], f" {TOKEN}", f"{TOKEN}\n",
    TOKEN.replace("A", "+", 1), TOKEN.replace("A", "/", 1), TOKEN.replace("A", "é", 1), TOKEN.replace("A", "\ud800", 1),
    TOKEN.replace("A", "=", 1), TOKEN[:-1] + "x", "\0" * 86, "A" * 86, "A" * 10**6, [TOKEN], {}, object(),
    base64.urlsafe_b64encode(SECRET).decode(), SECRET.hex(),
]  # fmt: skip


@pytest.mark.parametrize("token", MALFORMED, ids=range(len(MALFORMED)))
def test_malformed_tokens(browser, token):
    """A malformed token is refused without an exception, whether the session has a secret or not."""
    session, _ = browser.visit()
    assert session.check_csrf(token) is False
    session, _ = browser.visit(methodcaller("csrf_token"))
    assert session.check_csrf(token) is False
    assert not is_token_of(SECRET, token)


def test_a_token_as_a_form_library_returns_it():
    """A subclass of str is accepted as the str that it contains, whatever it overrides."""

    class Field(str):
        def encode(self, *arguments):
            raise RuntimeError

        def __len__(self):
            return 0

    assert is_token_of(SECRET, Field(TOKEN))


@given(secret=st.binary(min_size=32, max_size=32), pad=st.binary(min_size=32, max_size=32))
def test_unmask_is_the_inverse_of_mask(secret, pad):
    """Unmasking a masked secret returns it, for every secret and mask."""
    token = mask(secret, pad)
    assert unmask(token) == secret
    assert is_token_of(secret, token)
    assert not is_token_of(bytes(32) if any(secret) else SECRET, token)


@given(st.text(max_size=90) | st.text("ABCxyz019-_+/=", min_size=85, max_size=87) | st.binary() | st.integers())
def test_any_token_is_checked_without_an_exception(token):
    """Whatever a client sends, the check returns a bool, and None is the secret of no token."""
    assert type(is_token_of(SECRET, token)) is bool
    assert is_token_of(None, token) is False


def test_the_secret_is_not_in_a_token(browser):
    """A token contains the secret only combined with the mask: BREACH finds nothing that repeats."""
    tokens = []
    session, _ = browser.visit(lambda session: tokens.extend(session.csrf_token() for _ in range(50)))
    secret = session._identity.own.csrf
    for token in tokens:
        assert secret not in base64.urlsafe_b64decode(token + "==")
    columns = list(zip(*tokens, strict=True))
    assert all(max(Counter(column).values()) < 25 for column in columns[:-1])


# ----------------------------------------------------------------------------------------------- values with a lifetime


@pytest.mark.parametrize(("later", "there"), [(0, True), (299, True), (300 + LEEWAY, True), (301 + LEEWAY, False)])
def test_a_value_ends(browser, clock, later, there):
    """A value is there for its seconds and the leeway, and then gone from the session that is loaded."""
    browser.visit(fill)
    browser.visit(set_for(300, state="xyz"))
    clock.advance(later)
    assert browser.visit()[0] == ({"user": "ann", "cart": ["apple"]} | ({"state": "xyz"} if there else {}))


def test_the_end_of_a_value_is_no_change(browser, clock):
    """A session that has lost a value by its end is not modified, and no cookie is sent for that."""
    browser.visit(fill)
    browser.visit(set_for(300, state="xyz"))
    browser.visit(methodcaller("csrf_token"))
    clock.advance(1000)
    seen = []
    assert not browser.sets_cookie(lambda session: seen.append((dict(session), session.modified)))
    assert seen == [({"user": "ann", "cart": ["apple"]}, False)]


def test_a_change_after_the_end_is_sealed(browser, clock):
    """A change in a session that has lost a value is sealed, without that value."""
    browser.visit(lambda session: (fill(session), set_for(300, state="xyz")(session)))
    clock.advance(1000)
    assert browser.sets_cookie(methodcaller("update", user="bob"))
    session, _ = browser.visit()
    assert (session, session._identity.own) == ({"user": "bob", "cart": ["apple"]}, None)


def test_a_refresh_seals_without_the_value(browser, clock):
    """A refresh sends a token without the values that have ended."""
    browser.visit(lambda session: (fill(session), set_for(300, state="x" * 1000)(session)))
    before = len(browser.cookie)
    clock.advance(4000)
    assert browser.sets_cookie()
    assert len(browser.cookie) < before - 1000
    assert browser.visit()[0] == {"user": "ann", "cart": ["apple"]}


def test_a_session_of_ended_values_keeps_its_cookie(browser, clock):
    """If all values have ended, the session is empty and the cookie stays: the application has emptied nothing."""
    browser.visit(set_for(300, state="xyz"))
    clock.advance(1000)
    session, headers = browser.visit()
    assert (session, session.new, header(headers, "Set-Cookie")) == ({}, False, [])
    assert not browser.sets_cookie(methodcaller("clear"))
    assert browser.deletes_cookie(methodcaller("invalidate"))


def test_setting_an_ended_value_again(browser, clock):
    """A value that has ended can be stored again, with an end or without one."""
    browser.visit(set_for(300, a=1, b=2, c=3))
    clock.advance(1000)
    browser.visit(lambda session: (set_for(300, a=1)(session), session.update(b=2), session.setdefault("c", 4)))
    assert browser.visit()[0] == {"a": 1, "b": 2, "c": 4}
    clock.advance(1000)
    assert browser.visit()[0] == {"b": 2, "c": 4}


def test_set_twice(browser, clock):
    """The later call of set counts, whether its end is earlier or later."""
    browser.visit(lambda session: (set_for(300, a=1, b=1)(session), set_for(3000, a=2)(session)))
    browser.visit(set_for(1000, a=3))
    clock.advance(500)
    assert browser.visit()[0] == {"a": 3}
    clock.advance(1000)
    assert browser.visit()[0] == {}


ASSIGNMENTS = {
    "item": lambda session: session.__setitem__("key", True),
    "update": methodcaller("update", key=True),
    "update by pairs": methodcaller("update", [("key", True)]),
    "update by a mapping": methodcaller("update", {"key": True}),
    "|=": lambda session: session.__ior__({"key": True}),
    "|= pairs": lambda session: session.__ior__([("key", True)]),
    "del": lambda session: (session.__delitem__("key"), session.update(key=True)),
    "pop": lambda session: session.update(key=session.pop("key")),
    "pop with a default": lambda session: session.update(key=session.pop("key", None)),
    "popitem": lambda session: session.update([session.popitem()]),
    "pop and setdefault": lambda session: session.setdefault("key", session.pop("key")),
    "clear": lambda session: (session.clear(), session.update(key=True)),
    "invalidate": lambda session: (session.invalidate(), session.update(key=True)),
    "replace": lambda session: session._manager.replace(session, {"key": True}),
    "proxy": lambda session: SessionProxy(session).update(key=True),
    "proxy's pop": lambda session: session.update(key=SessionProxy(session).pop("key")),
}


@pytest.mark.parametrize("same_request", [True, False], ids=["same request", "later request"])
@pytest.mark.parametrize("assign", ASSIGNMENTS.values(), ids=ASSIGNMENTS)
def test_an_assignment_removes_the_end(browser, clock, assign, same_request):
    """Every other assignment to the key removes the end, also one of the same object."""

    def act(session):
        session.set("key", True, seconds=300)
        if same_request:
            assign(session)

    browser.visit(act)
    if not same_request:
        browser.visit(assign)
    clock.advance(1000)
    assert browser.visit()[0] == {"key": True}


KEPT = {
    "nothing": len,
    "a nested change": lambda session: session["key"].append(2),
    "setdefault": methodcaller("setdefault", "key", []),
    "another key": methodcaller("update", other=1),
    "a key that is absent": methodcaller("pop", "absent", None),
    "a refused update": lambda session: refused(TypeError, session.update, {"key": 1}, 2),
    "a refused key": lambda session: refused(TypeError, session.__setitem__, [], 1),
    "a missing key": lambda session: refused(KeyError, session.pop, "absent"),
    "regenerate": methodcaller("regenerate"),
    "sign-in": lambda session: setattr(session, "subject", "user:7"),
    "csrf": methodcaller("csrf_token"),
}


@pytest.mark.parametrize("act", KEPT.values(), ids=KEPT)
def test_what_leaves_the_end(browser, clock, act):
    """Reading, changes inside the value, other keys and a new identity leave the end as it is."""
    browser.visit(set_for(300, key=[1]))
    browser.visit(act)
    assert "key" in browser.visit()[0]
    clock.advance(1000)
    assert "key" not in browser.visit()[0]


KEYS = [*HASHABLE_EXAMPLES, float("nan"), (float("nan"), 1), frozenset([float("nan")]), "~t", "~d"]


@pytest.mark.parametrize("number", range(len(KEYS)))
def test_keys_of_every_type(browser, clock, number):
    """The end of a value is found again whatever type its key has."""
    key = KEYS[number]

    def act(session):
        session["first"] = 1
        session.set(key, "value", seconds=300)
        session["last"] = 1

    browser.visit(act)
    assert [*browser.visit()[0].values()] == [1, "value", 1]
    clock.advance(1000)
    assert browser.visit()[0] == {"first": 1, "last": 1}


def test_a_key_whose_instances_are_equal_to_themselves_only(clock, keys):
    """The end belongs to the key in the session, even if an equal key can never be made again."""

    class Token:
        pass

    registry = Registry()
    registry.register(Token, "token", encode=lambda token: 1, decode=lambda data: Token())
    browser = Browser(clock, registry=registry, **keys)
    browser.visit(lambda session: (session.set(Token(), 1, seconds=300), session.update(a=1)))
    assert len(browser.visit()[0]) == 2
    clock.advance(1000)
    assert browser.visit()[0] == {"a": 1}


def test_equal_keys_are_one_key(browser, clock):
    """As in a dict, 1 and True are the same key: an assignment to one removes the end of the other."""
    browser.visit(lambda session: (session.set(1, "a", seconds=300), session.update({True: "b"})))
    clock.advance(1000)
    assert browser.visit()[0] == {1: "b"}


@pytest.mark.parametrize(
    ("seconds", "error"),
    [
        (float("nan"), TypeError), (float("inf"), TypeError), (1.5, TypeError), (True, TypeError), (None, TypeError),
        ("300", TypeError), (datetime.timedelta(1), TypeError), (Decimal(1), TypeError), (0, ValueError),
        (-1, ValueError), (2**32, ValueError), (10**5000, ValueError), (-(10**5000), ValueError),
    ],
    ids=lambda value: repr(value)[:20] if not isinstance(value, int) or abs(value) < 2**64 else "huge",
)  # fmt: skip
def test_wrong_seconds(browser, seconds, error):
    """Seconds are an int from 1 to 2^32 - 1. Anything else is an error that names them, and nothing is stored."""

    def act(session):
        with pytest.raises(error, match=r"session\.set: seconds.*" + type(seconds).__name__ * (error is TypeError)):
            session.set("key", 1, seconds=seconds)
        with pytest.raises(TypeError):
            session.set([], 1, seconds=1)

    session, headers = browser.visit(act)
    assert (session, header(headers, "Set-Cookie")) == ({}, [])


@pytest.mark.parametrize("seconds", [1, 2**32 - 1])
def test_the_shortest_and_the_longest_lifetime(browser, clock, seconds):
    """A value lives for one second, or for as long as the session does."""
    browser.visit(set_for(seconds, key=1))
    assert browser.visit()[0] == {"key": 1}
    clock.advance(2 + LEEWAY)
    assert browser.visit()[0] == ({} if seconds == 1 else {"key": 1})


@given(
    values=st.lists(st.tuples(st.integers(1, 500), st.booleans()), max_size=6),
    steps=st.lists(st.integers(0, 300), min_size=1, max_size=5),
    serializer=st.sampled_from(["pickle", "json"]),
)
def test_ends_never_outlive(values, steps, serializer):
    """However often a session is loaded and changed, a value is there exactly until its end and the leeway."""
    now = [1_800_000_000]
    browser = Browser(lambda: now[0], serializer=serializer, validate_key="L2Y0Z3fREApcKqjQ1-5im1yDuPovUzVKx5plVATACO4")
    browser.visit(lambda session: [session.set(str(i), i, seconds=seconds) for i, (seconds, _) in enumerate(values)])
    start = now[0]
    removed = {str(i) for i, (_, assigned) in enumerate(values) if assigned}
    browser.visit(lambda session: session.update({key: session[key] for key in removed}))
    for number, step in enumerate(steps):
        now[0] += step
        elapsed = now[0] - start
        expected = {
            str(i): i for i, (seconds, _) in enumerate(values) if str(i) in removed or elapsed <= seconds + LEEWAY
        }
        session, _ = browser.visit(lambda session, number=number: session.update(step=number))
        assert {key: value for key, value in session.items() if key != "step"} == expected


def test_a_session_that_cannot_be_written_again(clock, keys):
    """If a value cannot be written again, the end of another one is still no change, and no error."""

    class Stored:
        def __eq__(self, other):
            return type(other) is Stored

        __hash__ = None

    registry = Registry()
    is_broken = []

    def encode(value):
        if is_broken:
            raise ValueError("it cannot be written")
        return 1

    registry.register(Stored, "stored", encode=encode, decode=lambda data: Stored())
    browser = Browser(clock, registry=registry, **keys)
    browser.visit(lambda session: (session.update(a=Stored()), session.set("b", 1, seconds=300), session.flash("c")))
    is_broken.append(True)
    clock.advance(1000)
    session, headers = browser.visit()
    assert (dict(session), session.peek_flash()) == ({"a": Stored()}, [("", "c")])
    assert header(headers, "Set-Cookie") == []
    with pytest.raises(NotSerializableError):
        browser.visit(methodcaller("pop_flash"))


# --------------------------------------------------------------------------------------------- the application's dict


def test_own_data_is_not_in_the_dict(browser):
    """Items, length, equality, copies, JSON and pickles of a session show nothing of the library's data."""
    browser.visit(begin)
    session, _ = browser.visit()
    content = {"user": "ann", "code": 7}
    views = [
        dict(session), session.copy(), copy.deepcopy(session), dict(session.items()), json.loads(json.dumps(session)),
        pickle.loads(pickle.dumps(session)), session,
    ]  # fmt: skip
    assert all(view == content for view in views)
    assert (len(session), [*session], repr(session)) == (2, ["user", "code"], repr(content))
    assert "flash" not in session


def test_no_key_collides(browser):
    """Keys of the application with the names of the library's members are its own."""
    content = {"flash": 1, "csrf": 2, "ends": 3, "own": 4, "labels": 5}
    browser.visit(lambda session: (begin(session), session.clear(), begin(session), session.update(content)))
    session, _ = browser.visit()
    assert session == {"user": "ann", "code": 7, **content}
    assert session.peek_flash() == [("", "a")]


def test_an_unopened_session_with_own_data(browser):
    """Reading the own data opens the session, and marks it as accessed."""
    browser.visit(begin)
    for read in (methodcaller("peek_flash"), methodcaller("check_csrf", "x"), methodcaller("csrf_token")):
        session = open_session(browser.manager, browser.cookie)
        assert not session.accessed
        read(session)
        assert (session.accessed, type(session)) == (True, SessionWithEnds)


def test_only_a_session_with_ends_has_another_class(browser):
    """Flash messages and CSRF tokens leave a session the plain class, whose assignments cost nothing extra."""
    session, _ = browser.visit()
    session = open_session(browser.manager, "")
    session.flash("a")
    session.csrf_token()
    assert type(session) is Session
    session.set("a", 1, seconds=1)
    assert type(session) is SessionWithEnds


@each_serializer
def test_tokens_without_own_data_are_unchanged(serializer, clock, keys):
    """A session whose own data is gone is sealed as one that never had any."""
    browser = Browser(clock, serializer=serializer, **keys)

    def act(session):
        begin(session)
        session.pop_flash()
        session.regenerate()
        session["code"] = 7
        session.subject = None

    session, _ = browser.visit(act)
    assert session._manager._payload.encode(session) == DUMPS[serializer]({"user": "ann", "code": 7})


# ------------------------------------------------------------------------------------------------- states of a session

WRITES = {
    "flash": methodcaller("flash", "b"),
    "pop_flash": methodcaller("pop_flash"),
    "set": methodcaller("set", "key", 1, seconds=10),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("cookie", [True, False], ids=["with a cookie", "without"])
def test_a_closed_session_refuses_changes(browser, write, cookie):
    """After the headers have been sent, changes raise an error, and reading works."""
    browser.visit(begin)
    session, _ = browser.visit(cookie=None if cookie else "")
    assert type(session) is ClosedSession
    with pytest.raises(SessionClosedError):
        write(session)
    assert session.peek_flash() == ([("", "a")] if cookie else [])


def test_csrf_tokens_after_the_headers(browser):
    """A closed session with a secret makes and checks tokens; without one it refuses to make a token."""
    session, _ = browser.visit()
    with pytest.raises(SessionClosedError):
        session.csrf_token()
    assert not session.check_csrf(TOKEN)
    browser.visit(begin)
    session, _ = browser.visit()
    assert session.check_csrf(session.csrf_token())


@pytest.mark.parametrize("write", [*WRITES.values(), methodcaller("csrf_token")], ids=[*WRITES, "csrf_token"])
def test_a_session_opened_after_the_headers(browser, write):
    """A session that is first touched after the headers have been sent is loaded as closed."""
    session = open_session(browser.manager, "")
    assert browser.manager.close(session, "", 200, []) == []
    with pytest.raises(SessionClosedError):
        write(session)
    assert session.peek_flash() == []


def test_own_data_is_loaded_after_the_headers(browser):
    """A session with own data that is first touched after the headers can be read."""
    browser.visit(begin)
    session = open_session(browser.manager, browser.cookie)
    browser.manager.close(session, "", 200, [])
    assert session.peek_flash() == [("", "a")]
    assert session.check_csrf(session.csrf_token())
    with pytest.raises(SessionClosedError):
        session["code"] = 8


@pytest.mark.parametrize("cookie", BAD_COOKIES.values(), ids=BAD_COOKIES)
def test_a_rejected_session(clock, keys, cookie):
    """A refused cookie gives no messages and no valid tokens; what the application then stores is sealed."""
    browser = Browser(clock, **keys)
    browser.visit(begin)
    bad = cookie(browser)
    session, _ = browser.visit(cookie=bad)
    assert (session.rejected is None, session.peek_flash(), session.check_csrf(TOKEN)) == (False, [], False)
    browser.visit(methodcaller("flash", "b"), cookie=bad)
    assert in_next_request(browser, methodcaller("peek_flash")) == [("", "b")]


def test_a_csrf_token_replaces_no_cookie_that_may_be_valid_elsewhere(clock, keys, other_keys):
    """A page with a form does not end a session that another server accepts: the browser keeps its cookie."""
    browser = Browser(clock, **keys)
    browser.visit(begin)
    other = Browser(clock, **other_keys)
    session, headers = other.visit(methodcaller("csrf_token"), cookie=browser.cookie)
    assert (session.rejected, header(headers, "Set-Cookie")) == ("unknown_key", [])
    assert other.sets_cookie(methodcaller("csrf_token"), cookie="")
    assert other.sets_cookie(methodcaller("flash", "a"), cookie=browser.cookie)


@pytest.mark.parametrize("write", [*WRITES.values(), methodcaller("csrf_token")], ids=[*WRITES, "csrf_token"])
def test_a_revoked_session(browser, write):
    """A session that was revoked during its request is not sealed, whatever it stores."""
    browser.visit(begin)
    session = open_session(browser.manager, browser.cookie)
    session.mark_accessed()
    browser.visit(methodcaller("revoke"), cookie=browser.cookie)
    write(session)
    session.revoke_subject("user:42")
    assert session.rejected == "revoked"
    assert header(browser.manager.close(session, "", 200, []), "Set-Cookie") == []
    assert browser.visit(cookie=browser.cookie)[0].peek_flash() == []


def test_a_message_after_the_sign_out(browser):
    """logout() empties the own data. A message after it belongs to the next, anonymous session."""
    browser.visit(begin)
    found = in_next_request(
        browser,
        lambda session: (dict(session), session.subject, session.pop_flash()),
        lambda session: (session.logout(), session.flash("Signed out")),
    )
    assert found == ({}, None, [("", "Signed out")])


def test_regenerate_keeps_messages_and_ends(browser, clock):
    """A new id leaves messages and ends as they are."""
    browser.visit(begin)
    browser.visit(methodcaller("regenerate"))
    session, _ = browser.visit()
    assert (session, session.peek_flash()) == ({"user": "ann", "code": 7}, [("", "a")])
    clock.advance(2000)
    assert browser.visit()[0] == {"user": "ann"}


@pytest.mark.parametrize(("content", "messages"), [({"user": "bob"}, [("", "a")]), ({}, [])], ids=["dict", "empty"])
def test_replace(browser, clock, content, messages):
    """manager.replace() keeps messages and the secret unless the mapping is empty, and removes all ends."""
    browser.visit(begin)
    tokens = []

    def act(session):
        tokens.append(session.csrf_token())
        browser.manager.replace(session, {**content, **dict.fromkeys(content and ["code"], 7)})

    browser.visit(act)
    clock.advance(2000)
    session, _ = browser.visit()
    assert session == (content and {**content, "code": 7})
    assert session.peek_flash() == messages
    assert session.check_csrf(tokens[0]) == bool(messages)


def test_a_proxy(browser):
    """A proxy offers the same methods as its session."""

    def act(session):
        proxy = SessionProxy(session)
        proxy.flash("a", "error")
        proxy.set("code", 7, seconds=10)
        assert proxy.check_csrf(proxy.csrf_token())
        assert (proxy.peek_flash(), proxy.pop_flash("info")) == ([("error", "a")], [])
        proxy["code"] = 7

    session, _ = browser.visit(act)
    assert (session, session._identity.own.ends, session.peek_flash()) == ({"code": 7}, {}, [("error", "a")])


def test_a_failed_save_reopens_the_session(browser):
    """A session that does not fit stays open, with its ends, so that another response can be sent."""
    session = open_session(browser.manager, "")
    session.set("code", 7, seconds=300)
    session["text"] = "x" * 5000
    with pytest.raises(CookieTooLargeError):
        browser.manager.close(session, "", 200, [])
    assert type(session) is SessionWithEnds
    session["code"] = 8
    del session["text"]
    assert session._identity.own is None
    browser.manager.close(session, "", 200, [])
    assert type(session) is ClosedSession


def test_a_session_that_is_closed_while_a_value_is_set(clock, keys):
    """A session that another thread closes during set() stays closed, and set() raises an error."""
    sessions = []

    def closing_clock():
        if sessions:
            browser.manager.close(sessions.pop(), "", 200, [])
        return clock()

    browser = Browser(closing_clock, **keys)
    session = open_session(browser.manager, "")
    session.mark_accessed()
    sessions.append(session)
    refused(SessionClosedError, methodcaller("set", "code", 7, seconds=300), session)
    assert (type(session), dict(session)) == (ClosedSession, {})


def test_a_value_is_never_sealed_without_its_end(clock, keys):
    """If a session is sealed while set() stores a value, the token has either no value or both."""
    browser = Browser(clock, **keys)
    session = open_session(browser.manager, "")
    sealed = []

    class Key(str):
        """A key whose hash is computed when it is stored."""

        def __hash__(self):
            sealed.append(dict(session).keys() <= (session._identity.own or Own()).ends.keys())
            return str.__hash__(self)

    session.set(Key("code"), 7, seconds=300)
    assert len(sealed) > 1
    assert all(sealed)


@pytest.mark.parametrize("render", ["close", "set_cookie"])
def test_a_function_that_stores_a_value_with_an_end(clock, keys, render):
    """After the function of oversize, an open session still removes ends, and a closed one refuses changes."""

    def trim(session, error):
        session.clear()
        session.set("code", 7, seconds=300)

    browser = Browser(clock, oversize=trim, **keys)
    session = open_session(browser.manager, "")
    session["text"] = "x" * 5000
    if render == "close":
        assert len(browser.manager.close(session, "", 200, [])) == 3
        refused(SessionClosedError, session.update, {"code": 8})
    else:
        assert browser.manager.set_cookie(session)
        session["code"] = 8
        assert session._identity.own is None


def test_ends_with_a_cache_of_tokens(clock, keys, monkeypatch):
    """A token that was cached before a value ended is loaded without the value, and the cached one is unchanged."""
    monkeypatch.setattr(Browser, "token_cache", 2)
    browser = Browser(clock, **keys)
    browser.visit(lambda session: (fill(session), set_for(300, code=7)(session)))
    assert browser.visit()[0]["code"] == 7
    for seconds, there in [(1000, False), (0, False), (-1000, True)]:
        clock.advance(seconds)
        assert not browser.sets_cookie()
        assert ("code" in browser.visit()[0]) == there


def test_a_function_that_trims_the_session(clock, keys):
    """The function of the option oversize can pop messages and store values with an end."""

    def trim(session, error):
        assert next(iter(error.by_key)) is OwnPart.FLASH
        session.pop_flash()
        session.set("code", 8, seconds=300)
        session.set("more", 9, seconds=300)
        session["more"] = 9

    browser = Browser(clock, oversize=trim, **keys)
    browser.visit(lambda session: (begin(session), session.flash("x" * 5000)))
    session, _ = browser.visit()
    assert (session, session.peek_flash()) == ({"user": "ann", "code": 8, "more": 9}, [])
    clock.advance(1000)
    assert browser.visit()[0] == {"user": "ann", "more": 9}


@pytest.mark.parametrize("kind", [WsgiBrowser, AsgiBrowser])
def test_both_middlewares(kind, clock, keys):
    """In WSGI and in ASGI, own data lasts from request to request, and late changes are refused."""
    browser = kind({**keys, "clock": clock})
    tokens = []
    browser.visit(lambda session: (begin(session), tokens.append(session.csrf_token())))
    session = browser.visit(
        lambda session: (session.check_csrf(tokens[0]) or session.clear(), session.peek_flash()),
        after=lambda session: refused(SessionClosedError, session.flash, "late"),
    )
    assert (session, browser.set_cookies) == ({"user": "ann", "code": 7}, [])
    assert browser.visit(methodcaller("pop_flash")).peek_flash() == []
    assert len(browser.set_cookies) == 1
    clock.advance(2000)
    assert browser.visit() == {"user": "ann"}
    assert browser.set_cookies == []


@pytest.mark.parametrize("kind", [WsgiBrowser, AsgiBrowser])
def test_a_store_that_is_down(kind, clock, keys):
    """While the store does not answer, a page with a form ends nobody's session."""

    class Store(MemoryStore):
        down = False

        def find(self, keys):
            if self.down:
                raise StoreError("down")
            return super().find(keys)

    store = Store(clock=clock)
    browser = kind({**keys, "clock": clock, "revocation": store})
    browser.visit(begin)
    store.down = True
    assert browser.visit(methodcaller("csrf_token")).rejected == "store_error"
    assert browser.set_cookies == []
    store.down = False
    assert browser.visit().subject == "user:42"


# --------------------------------------------------------------------------------------------------------------- sizes


def test_modified_and_ensure_fits(browser):
    """Own data counts as content: for modified, for ensure_fits and for the size."""
    for act in (methodcaller("flash", "a"), methodcaller("csrf_token"), set_for(9, a=1)):
        session = open_session(browser.manager, "")
        session.mark_accessed()
        assert not session.modified
        before = session.size
        act(session)
        assert session.modified
        assert session.size > before
    session.flash("x" * 4000)
    with pytest.raises(CookieTooLargeError, match=r"Largest keys: flash messages \d+ bytes"):
        session.ensure_fits()


@pytest.mark.parametrize("act", [methodcaller("flash", "b"), set_for(9, user=1), set_for(9, code=7)])
def test_modified_in_a_later_request(browser, act):
    """A change of the own data alone makes a loaded session modified."""
    browser.visit(begin)
    session = open_session(browser.manager, browser.cookie)
    assert not session.modified
    act(session)
    assert session.modified
    assert browser.sets_cookie(act)


@pytest.mark.parametrize("length", [4000, 100_000])
def test_sizes_by_part(browser, length):
    """The error for a session that is too large lists the parts of the own data beside the application's keys."""

    def act(session):
        begin(session)
        session["flash messages"] = 1
        session.flash("x" * length)
        with pytest.raises(CookieTooLargeError) as caught:
            session.ensure_fits()
        sizes = caught.value.by_key
        assert set(sizes) == {*session, *OwnPart}
        assert next(iter(sizes)) is OwnPart.FLASH
        assert 50 <= sizes[OwnPart.CSRF] <= 90
        assert 10 <= sizes[OwnPart.ENDS] <= 40
        session.pop_flash()

    browser.visit(act)


# ---------------------------------------------------------------------------------------------------- forged payloads

any_message = ANY_TEXT | st.integers(-1000, 1000) | st.lists(ANY_TEXT, max_size=2)
any_own = st.builds(
    Own,
    flash=st.lists(st.tuples(ANY_TEXT, any_message), max_size=3).map(tuple),
    csrf=st.none() | st.binary(min_size=32, max_size=32),
    ends=st.dictionaries(st.sampled_from("abc"), st.integers(0, 2**33 - 1)),
)


@given(any_own)
def test_round_trip(own):
    """Whatever own data a session has, parsing the packed form returns it. Without any, the form is empty."""
    packed = own.pack("xaybzc")
    if not packed:
        assert change_own(own) is None
        return
    parsed = parse_own(packed, dict.fromkeys("xaybzc"))
    assert parsed == own
    assert parsed.pack("xaybzc") == packed


@each_serializer
@given(any_own)
def test_round_trip_of_payloads(serializer, own):
    """Both serializers write own data and read it back."""
    packed = own.pack("abc")
    loads = {"pickle": PickleSerializer, "json": JsonSerializer}[serializer](Registry()).loads
    if packed:
        assert parse_own(loads(DUMPS[serializer](packed)), "abc") == own


def test_ends_of_keys_that_are_gone():
    """An end whose key is no longer there, because code has bypassed the session's methods, is not written."""
    assert Own(ends={"a": 1}).pack("bc") == {}
    assert Own(ends={"a": 1, "c": 2}).pack("bc") == {"ends": [1, 2]}


def test_changes_make_new_own_data():
    """Own data is never changed in place, and None if nothing is left of it."""
    own = Own((("", "a"),), SECRET, {"a": 1})
    before = copy.deepcopy(own)
    assert without_csrf(own) == before._replace(csrf=None)
    assert without_ends(own, ["a", "b"]) == before._replace(ends={})
    assert change_own(change_own(without_csrf(own), ends={}), flash=()) is None
    assert (without_csrf(None), without_ends(None, ["a"])) == (None, None)
    assert own == before


any_value = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2**34) | ANY_TEXT | st.binary(max_size=40) | st.floats(),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(ANY_TEXT, values, max_size=3),
    max_leaves=8,
)
forged = st.dictionaries(st.sampled_from(["flash", "csrf", "ends", "labels", 1, b"csrf"]), any_value, max_size=4)
near_valid = st.fixed_dictionaries(
    {},
    optional={
        "flash": st.lists(ANY_TEXT, max_size=5),
        "csrf": st.binary(min_size=31, max_size=33),
        "ends": st.lists(st.integers(-1, 4) | st.booleans() | st.just(2**33 - 1), max_size=5),
    },
)


@each_serializer
@given(own=forged | near_valid | any_value, data=st.dictionaries(ANY_TEXT, st.integers(0, 3), max_size=3))
def test_an_attacker_with_keys(serializer, own, data):
    """Forged own data is refused, or it is valid: then every method works, and nothing leaves but bool, str and values.

    No exception reaches the application.
    """
    browser = Browser(
        lambda: 1_800_000_000, serializer=serializer, validate_key="L2Y0Z3fREApcKqjQ1-5im1yDuPovUzVKx5plVATACO4"
    )
    cookie = browser.seal(DUMPS[serializer]([None, None, data, own]), serializer=NUMBERS[serializer])
    session = open_session(browser.manager, cookie)
    messages = session.peek_flash()
    assert session.rejected in (None, "forbidden_value")
    if session.rejected:
        assert (session, messages, session._identity.own) == ({}, [], None)
    assert all(type(category) is str and len(category) <= 255 for category, _ in messages)
    assert session.items() <= data.items()
    assert session.check_csrf(session.csrf_token())
    assert session.pop_flash() == messages
    session.flash("a")
    session.set(1, 1, seconds=1)
    for key in data:
        session.pop(key, None)
    browser.manager.close(session, cookie, 200, [])
    assert session == {1: 1}


VALID = {"flash": ["", "a"], "csrf": SECRET, "ends": [0, 2**33 - 1]}
WRONG = {
    "no dict": [],
    "none": None,
    "empty": {},
    "unknown member": {**VALID, "labels": {}},
    "bytes as a name": {b"csrf": SECRET},
    "flash: empty": {"flash": []},
    "flash: odd": {"flash": ["", "a", ""]},
    "flash: a tuple": {"flash": ("", "a")},
    "flash: pairs": {"flash": [["", "a"]]},
    "flash: category": {"flash": [1, "a"]},
    "flash: long category": {"flash": ["x" * 256, "a"]},
    "flash: none": {"flash": None},
    "csrf: none": {"csrf": None},
    "csrf: text": {"csrf": "x" * 32},
    "csrf: bytearray": {"csrf": bytearray(SECRET)},
    "csrf: 31 bytes": {"csrf": SECRET[:31]},
    "csrf: 33 bytes": {"csrf": SECRET + b"x"},
    "ends: empty": {"ends": []},
    "ends: odd": {"ends": [0]},
    "ends: a dict": {"ends": {0: 1}},
    "ends: beyond the last key": {"ends": [2, 1]},
    "ends: a negative position": {"ends": [-1, 1]},
    "ends: a position twice": {"ends": [0, 1, 0, 1]},
    "ends: not ascending": {"ends": [1, 1, 0, 1]},
    "ends: a bool as position": {"ends": [False, 1]},
    "ends: a bool as end": {"ends": [0, True]},
    "ends: a float": {"ends": [0, 1.0]},
    "ends: nan": {"ends": [0, float("nan")]},
    "ends: negative": {"ends": [0, -1]},
    "ends: too late": {"ends": [0, 2**33]},
    "ends: keys": {"ends": ["a", 1]},
}


@pytest.mark.parametrize("value", WRONG.values(), ids=WRONG)
def test_wrong_own_data(value):
    """Own data of another form than the one that is written is refused, with nothing of it in the error."""
    assert parse_own(VALID, {"a": 1, "b": 2}) == Own((("", "a"),), SECRET, {"a": 2**33 - 1})
    with pytest.raises(UnsealError) as caught:
        parse_own(value, {"a": 1, "b": 2})
    assert caught.value.reason == "forbidden_value"
    assert "labels" not in str(caught.value)
