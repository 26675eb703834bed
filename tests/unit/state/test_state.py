"""`StateSealer`: owners, lifetimes and sizes of tokens, resumed objects, calls, and events."""

import dataclasses
import json
import logging
import os
import re
import threading
from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_resumable import GoneError, Item
from test_state_options import ring

from sealedsession.config import SessionConfig
from sealedsession.errors import (
    ConfigError,
    NotPublicError,
    NotSerializableError,
    StaleStateError,
    StateError,
    StateTooLargeError,
    UnsealError,
    got,
)
from sealedsession.sealing.keys import Keyring
from sealedsession.sealing.sealer import Sealer
from sealedsession.serialization.registry import Registry
from sealedsession.serialization.safe_pickle import PickleSerializer
from sealedsession.state import protocol as state_calls
from sealedsession.state import sealer as state_module
from sealedsession.state.registry import StateRegistry
from sealedsession.state.resumable import Resumable, public
from sealedsession.state.sealer import DAY, SCRIPT, StateSealer
from tests.support.strategies import exactly
from tests.support.value_strategies import values

ANN = {"session_id": "4f1c", "user": "ann"}
SESSION_ID = "00112233445566778899aabbccddeeff"


class Counter(Resumable):
    """An object with a default that a public method changes."""

    count = 0

    def load(self, step=1, limit=10):
        self.step, self.limit = step, limit

    @public
    def add(self, times=1):
        self.count += times * self.step
        return self.count

    @public
    def fail(self):
        raise ZeroDivisionError("a fault of the application")

    @public
    def keep(self, text):
        self.text = text

    @public
    def answer(self, kind):
        return {"nan": float("nan"), "object": object(), "ok": {"ok": [1]}}[kind]

    @public
    async def wait(self):
        raise AssertionError("nobody awaits it")

    @public
    def sold(self):
        raise StaleStateError("item 7 is sold")

    @public
    def check(self):
        raise StateError("too long")

    def reset(self):
        raise AssertionError("not public")


class Other(Resumable):
    """An object of another class, with a method of the same name."""

    @public
    def add(self):
        return "other"


class Sub(Counter):
    """A subclass of a registered class."""


@pytest.fixture
def emitted():
    """Return the list of events that the fixture `sealer` emits."""
    return []


@pytest.fixture
def sealer(keys, clock, emitted):
    made = StateSealer(**keys, clock=clock, on_event=emitted.append)
    made.register(Counter)
    made.register(Other)
    made.register(Item)
    return made


def seen(emitted):
    """Return the kinds of events, with the reason of refused tokens."""
    kinds = [event.kind if event.reason is None else f"{event.kind} {event.reason}" for event in emitted]
    emitted.clear()
    return kinds


def body(token, method="add", *args):
    return json.dumps({"token": token, "method": method, "args": args}).encode()


def refused(attempt):
    """Return the reason with which an attempt is refused."""
    with pytest.raises(UnsealError) as caught:
        attempt()
    return caught.value.reason


def forge(keys, payload, clock, session_id="4f1c", user="ann", name="state", **options):
    """Make a token with any payload, as an attacker with the keys can."""
    purpose = f"state:{name}:{len(session_id)}:{session_id}{user}"
    return Sealer(Keyring(**keys), purpose, max_length=10**9, clock=clock, **options).seal(
        payload, created=int(clock())
    )


# -------------------------------------------------------------------------------------------------------- round trips


@settings(deadline=None)
@given(value=values)
def test_round_trip(keys_of_module, value):
    """A token holds every value that sessions hold, compressed or not."""
    for compress in (True, False):
        sealer = StateSealer(**keys_of_module, compress=compress)
        try:
            token = sealer.seal(value, **ANN)
        except (NotSerializableError, StateTooLargeError):  # some values are over a limit
            continue
        assert exactly(sealer.unseal(token, **ANN)) == exactly(value)


@pytest.fixture(scope="module")
def keys_of_module(keys):
    return keys


def test_an_object(sealer):
    """A resumed object has its class, its state, and the attributes that load sets."""
    counter = Counter(5, limit=100)
    counter.add()
    token = sealer.seal(counter, **ANN)
    back = sealer.resume(token, **ANN)
    assert type(back) is Counter
    assert (back.count, back.step, back.limit) == (5, 5, 100)


def test_a_token_is_text_for_a_page(sealer):
    """A token has only letters, digits, "-" and "_", so that HTML and JSON need no escapes."""
    token = sealer.seal({"a": "<script>"}, **ANN)
    assert re.fullmatch("[A-Za-z0-9_-]+", token)


def test_tokens_do_not_repeat(sealer):
    """Sealing the same value twice makes different tokens, which reveal nothing about the value."""
    tokens = {sealer.seal({"a": "confidential"}, **ANN) for _ in range(20)}
    assert len(tokens) == 20
    assert not any(b"confidential" in urlsafe_b64decode(token + "==") for token in tokens)


def test_compression(keys):
    """Large state is deflated unless this is switched off. A sealer opens tokens of both kinds."""
    value = ["the same again"] * 100
    on, off = StateSealer(**keys), StateSealer(**keys, compress=False)
    short, long = on.seal(value, **ANN), off.seal(value, **ANN)
    assert len(short) < len(long) / 5
    assert on.unseal(long, **ANN) == off.unseal(short, **ANN) == value


def test_small_states_are_not_deflated(keys):
    """State of up to 1 KiB is not deflated. State of one byte more is."""
    on, off = StateSealer(**keys), StateSealer(**keys, compress=False)
    value = "a" * (1024 - len(PickleSerializer().dumps([None, "a" * 256])) + 256)
    assert len(PickleSerializer().dumps([None, value])) == 1024
    assert len(on.seal(value, **ANN)) == len(off.seal(value, **ANN))
    assert len(on.seal(value + "a", **ANN)) < 150


def test_the_wire(keys, sealer, clock):
    """A token has the documented wire format, under the documented purpose."""
    token = forge(keys, PickleSerializer().dumps([None, {"a": 1}]), clock)
    assert sealer.unseal(token, **ANN) == {"a": 1}
    token = forge(keys, PickleSerializer().dumps(["Counter", (2,), {}, {"count": 8}]), clock)
    assert sealer.resume(token, **ANN).add() == 10


# ------------------------------------------------------------------------------------------------------ what it is for


def test_a_purpose(sealer):
    """A plain value opens only with the purpose that it was sealed with."""
    purposes = ("", "basket", "price", "basket ", "\ud800")
    for purpose in purposes:
        token = sealer.seal({"a": 1}, **ANN, purpose=purpose)
        assert sealer.unseal(token, **ANN, purpose=purpose) == {"a": 1}
        for other in {*purposes} - {purpose}:
            assert refused(lambda: sealer.unseal(token, **ANN, purpose=other)) == "bad_signature"  # noqa: B023


def test_no_purpose_is_the_empty_one(sealer):
    """A value that was sealed without a purpose opens without one."""
    assert sealer.unseal(sealer.seal(1, **ANN, purpose=""), **ANN) == 1
    assert sealer.unseal(sealer.seal(1, **ANN), **ANN, purpose="") == 1
    assert refused(lambda: sealer.unseal(sealer.seal(1, **ANN, purpose="basket"), **ANN)) == "bad_signature"
    assert refused(lambda: sealer.unseal(sealer.seal(1, **ANN), **ANN, purpose="basket")) == "bad_signature"


@pytest.mark.parametrize("purpose", ["", "basket", "Counter"])
def test_an_object_is_no_plain_value(sealer, emitted, purpose):
    """`unseal` refuses the token of an object with any purpose, and `resume` refuses that of a plain value."""
    token = sealer.seal(Counter(), **ANN)
    emitted.clear()
    assert refused(lambda: sealer.unseal(token, **ANN, purpose=purpose)) == "bad_signature"
    value = sealer.seal(["Counter", (), {}, {}], **ANN, purpose=purpose)
    assert refused(lambda: sealer.resume(value, **ANN)) == "bad_signature"
    assert refused(lambda: sealer.handle(body(value), **ANN)) == "bad_signature"
    assert seen(emitted) == ["rejected bad_signature", "sealed", *["rejected bad_signature"] * 2]


def test_an_object_of_a_class_that_is_gone_is_no_plain_value(keys, sealer, clock):
    """`unseal` refuses the token of an object, even if its class is not registered."""
    token = sealer.seal(Counter(), **ANN)
    assert refused(lambda: StateSealer(**keys, clock=clock).unseal(token, **ANN)) == "bad_signature"


def test_objects_have_no_purpose(sealer):
    """Sealing an object with a purpose is an error."""
    with pytest.raises(TypeError, match="purpose"):
        sealer.seal(Counter(), **ANN, purpose="basket")


@pytest.mark.parametrize("purpose", [None, b"basket", 5, ["basket"]], ids=repr)
def test_a_purpose_is_text(sealer, purpose):
    """A purpose that is not a str is a TypeError."""
    token = sealer.seal(1, **ANN)
    for attempt in (
        lambda: sealer.seal(1, **ANN, purpose=purpose),
        lambda: sealer.unseal(token, **ANN, purpose=purpose),
    ):
        with pytest.raises(TypeError, match="purpose"):
            attempt()


# --------------------------------------------------------------------------------------------------------- whose it is


@pytest.mark.parametrize("owner", [{"session_id": "\ud800"}, {"session_id": "a", "user": "\udfff"}], ids=["id", "user"])
def test_an_owner_of_any_text(sealer, owner):
    """A session id or user that UTF-8 cannot encode is a valid owner."""
    token = sealer.seal([1], **owner)
    assert sealer.unseal(token, **owner) == [1]
    assert refused(lambda: sealer.unseal(token, session_id="a", user="?")) == "bad_signature"


def test_what_the_log_says_of_a_foreign_token(sealer, caplog):
    """The log of a refused token names the likeliest cause first: another session or user."""
    refused(lambda: sealer.unseal(sealer.seal(1, **ANN), session_id="other"))
    assert "bad_signature: " in caplog.text


def test_another_session_or_user(sealer, emitted):
    """A token opens only for its own session and user."""
    for owner in ({"session_id": "4f1c"}, {"session_id": "4f1c", "user": "bob"}, {"session_id": "5555", "user": "ann"}):
        token = sealer.seal(Counter(), **ANN)
        for attempt in (sealer.unseal, sealer.resume):
            assert refused(lambda: attempt(token, **owner)) == "bad_signature"  # noqa: B023
        assert refused(lambda: sealer.handle(body(token), **owner)) == "bad_signature"  # noqa: B023
        assert refused(lambda: sealer.unseal(sealer.seal(1, **owner), **ANN)) == "bad_signature"  # noqa: B023


owners = st.tuples(st.text(min_size=1, max_size=6), st.text(max_size=6))
close_owners = st.tuples(st.text("1:a", min_size=1, max_size=4), st.text("1:a", max_size=4))


@given(one=owners | close_owners, other=owners | close_owners)
def test_owners_are_unambiguous(keys_of_module, one, other):
    """Different pairs of session and user have different subkeys."""
    sealer = StateSealer(**keys_of_module)
    token = sealer.seal(1, session_id=one[0], user=one[1])
    if one == other:
        assert sealer.unseal(token, session_id=other[0], user=other[1]) == 1
    else:
        assert refused(lambda: sealer.unseal(token, session_id=other[0], user=other[1])) == "bad_signature"


@pytest.mark.parametrize(
    ("one", "other"),
    [(("ab", "c"), ("a", "bc")), (("ab", ""), ("a", "b")), (("1:a", "b"), ("1", ":ab")), (("a", "1:b"), ("a1:", "b"))],
    ids=repr,
)
def test_owners_whose_names_run_together(sealer, one, other):
    """Two pairs whose concatenation is the same text are different owners."""
    token = sealer.seal(1, session_id=one[0], user=one[1])
    assert refused(lambda: sealer.unseal(token, session_id=other[0], user=other[1])) == "bad_signature"


def test_a_user_of_another_class(sealer):
    """A user of a subclass of str is the same owner as its text."""

    class Name(str):
        __slots__ = ()

    token = sealer.seal(1, session_id="4f1c", user=Name("ann"))
    assert sealer.unseal(token, **ANN) == 1


@pytest.mark.parametrize(
    ("owner", "error", "message"),
    [
        ({"session_id": None}, TypeError, f"^session_id: .*{got(None)}$"),
        ({"session_id": b"4f1c"}, TypeError, f"^session_id: .*{got(b'')}$"),
        ({"session_id": "4f1c", "user": None}, TypeError, f"^user: .*{got(None)}$"),
        ({"session_id": "4f1c", "user": 7}, TypeError, f"^user: .*{got(7)}$"),
        ({"session_id": ""}, ValueError, "^session_id:"),
    ],
    ids=repr,
)
def test_what_is_no_owner(sealer, owner, error, message):
    """An empty session id, and a session id or user that is not a str, are errors."""
    token = sealer.seal(Counter(), **ANN)
    for attempt in (
        lambda: sealer.seal(1, **owner),
        lambda: sealer.unseal(token, **owner),
        lambda: sealer.resume(token, **owner),
        lambda: sealer.handle(body(token), **owner),
    ):
        with pytest.raises(error, match=message):
            attempt()


def test_another_purpose(keys, clock):
    """A sealer refuses tokens of a sealer with another name, and cookies."""
    one, other = StateSealer(**keys, clock=clock), StateSealer(**keys, clock=clock, name="other")
    assert refused(lambda: other.unseal(one.seal(1, **ANN), **ANN)) == "bad_signature"
    cookie = Sealer(Keyring(**keys), "cookie:__Host-session", clock=clock).seal(b"]N.", created=int(clock()))
    assert refused(lambda: one.unseal(cookie, **ANN)) == "bad_signature"


def test_names_that_run_together(keys, clock):
    """A sealer's name never runs into the session id."""
    token = StateSealer(**keys, name="a", clock=clock).seal(1, session_id="b" * 11)
    assert refused(lambda: StateSealer(**keys, name="a1", clock=clock).unseal(token, session_id="b")) == "bad_signature"


def test_other_keys(keys, other_keys, emitted, clock):
    """A token of other keys is refused with the reason unknown_key."""
    token = StateSealer(**other_keys, clock=clock).seal(1, **ANN)
    assert refused(lambda: StateSealer(**keys, clock=clock).unseal(token, **ANN)) == "unknown_key"


def test_a_token_that_is_signed_only(keys, clock):
    """A token that is signed but not encrypted is refused."""
    signed = forge({"validate_key": keys["validate_key"]}, b"]N.", clock)
    assert refused(lambda: StateSealer(**keys, clock=clock).unseal(signed, **ANN)) == "unknown_key"


def test_fallback_keys(keys, other_keys, clock):
    """A fallback pair opens tokens, and the primary pair seals them."""
    old = StateSealer(**keys, clock=clock)
    both = StateSealer(
        [other_keys["validate_key"], keys["validate_key"]],
        [other_keys["encrypt_key"], keys["encrypt_key"]],
        clock=clock,
    )
    new = StateSealer(**other_keys, clock=clock)
    assert both.unseal(old.seal(1, **ANN), **ANN) == 1
    assert new.unseal(both.seal(2, **ANN), **ANN) == 2
    assert refused(lambda: old.unseal(both.seal(3, **ANN), **ANN)) == "unknown_key"


def test_a_keyring_that_changes(keys, other_keys, clock, tmp_path, emitted, caplog):
    """A changed keyring file is read again, also for known owners. An invalid file changes nothing."""
    caplog.set_level(logging.INFO)
    path = tmp_path / "ring.json"

    def write(text):
        (tmp_path / "new").write_text(text)
        os.chmod(tmp_path / "new", 0o600)
        os.replace(tmp_path / "new", path)
        clock.advance(1)

    write(ring(tuple(keys.values())))
    sealer = StateSealer(keyring=f"file:{path}", clock=clock, on_event=emitted.append)
    old = sealer.seal(1, **ANN)
    write(ring(tuple(other_keys.values()), tuple(keys.values())))
    new = sealer.seal(2, **ANN)
    assert (sealer.unseal(old, **ANN), sealer.unseal(new, **ANN)) == (1, 2)
    assert StateSealer(**other_keys, clock=clock).unseal(new, **ANN) == 2
    write("broken")
    assert sealer.unseal(new, **ANN) == 2
    write(ring(tuple(other_keys.values())))
    assert refused(lambda: sealer.unseal(old, **ANN)) == "unknown_key"
    assert [kind for kind in seen(emitted) if kind.startswith("keyring")] == [
        "keyring_reloaded", "keyring_error", "keyring_reloaded",
    ]  # fmt: skip


def test_subkeys_are_kept_and_bounded(keys, monkeypatch):
    """Subkeys are derived once per owner, and cached for a limited number of owners."""
    derived = []
    derive = Keyring.derive
    monkeypatch.setattr(Keyring, "derive", lambda self, purpose: derived.append(purpose) or derive(self, purpose))
    sealer = StateSealer(**keys)
    for _ in range(3):
        assert sealer.unseal(sealer.seal(1, **ANN), **ANN) == 1
    assert derived == ["state:state:4:4f1cann"]
    monkeypatch.setattr(state_module, "_SEALERS", 2)
    sealer = StateSealer(**keys)
    for session_id in "abcab":
        sealer.seal(1, session_id=session_id)
    assert len(derived) == 1 + 5
    assert sealer._get_sealer.cache_info().currsize == 2


def test_many_threads(sealer):
    """Threads that share a sealer get their own values back."""
    faults = []

    def work(name):
        for number in range(60):
            owner = {"session_id": f"{name}{number % 3}"}
            counter = Counter(name)
            counter.count = number
            back = sealer.resume(sealer.seal(counter, **owner), **owner)
            if (back.count, back.step) != (number, name):
                faults.append((name, number))

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


# --------------------------------------------------------------------------------------------------------------- time


def test_max_age(keys, clock):
    """A token is accepted for max_age seconds plus the leeway, and not a second longer."""
    sealer = StateSealer(**keys, clock=clock, max_age=100, leeway=10)
    token = sealer.seal(1, **ANN)
    clock.advance(110)
    assert sealer.unseal(token, **ANN) == 1
    clock.advance(1)
    assert refused(lambda: sealer.unseal(token, **ANN)) == "expired_idle"


def test_yesterday(sealer, clock):
    """By default, a token is accepted for a day."""
    token = sealer.seal(Counter(), **ANN)
    clock.advance(DAY)
    assert sealer.handle(body(token), **ANN)
    clock.advance(61)
    assert refused(lambda: sealer.handle(body(token), **ANN)) == "expired_idle"


def test_every_call_begins_anew(sealer, clock):
    """The token in an answer is accepted for max_age seconds from the call."""
    token = sealer.seal(Counter(), **ANN)
    for _ in range(3):
        clock.advance(DAY)
        token = json.loads(sealer.handle(body(token), **ANN))["token"]


def test_a_clock_that_is_behind(keys, clock):
    """A token from another machine may be ahead by the leeway."""
    sealer = StateSealer(**keys, clock=clock, leeway=10)
    clock.advance(10)
    token = sealer.seal(1, **ANN)
    clock.advance(-10)
    assert sealer.unseal(token, **ANN) == 1
    clock.advance(-1)
    assert refused(lambda: sealer.unseal(token, **ANN)) == "from_the_future"


# ------------------------------------------------------------------------------------------------------ broken tokens


@pytest.mark.parametrize("compress", [True, False])
def test_every_changed_byte(keys, compress):
    """A token with any changed character is refused."""
    sealer = StateSealer(**keys, compress=compress)
    token = sealer.seal({"a": "text " * 10}, **ANN)
    for place in range(len(token)):
        changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        assert refused(lambda: sealer.unseal(changed, **ANN)) in ("bad_signature", "malformed", "unknown_key")  # noqa: B023


def test_every_truncation(sealer):
    """A truncated token is refused."""
    token = sealer.seal(1, **ANN)
    for length in range(len(token)):
        assert refused(lambda: sealer.unseal(token[:length], **ANN)) in ("bad_signature", "malformed")  # noqa: B023


BROKEN = {
    "nothing": lambda token: "",
    "repeated": lambda token: token * 2,
    "repeated often": lambda token: token * 50,
    "with a space": lambda token: token + " ",
    "with a newline": lambda token: token + "\n",
    "padded": lambda token: token + "=",
    "quoted": lambda token: f'"{token}"',
    "an ending changed": lambda token: token[:-1] + "é",
    "not ASCII": lambda token: "🙂" * 20,
    "a surrogate": lambda token: "\ud800" + token,
    "NUL": lambda token: "\0" + token,
    "standard base64": lambda token: "+/" + token[2:],
    "another version": lambda token: (
        urlsafe_b64encode(b"\x03" + urlsafe_b64decode(token + "==")[1:]).decode().rstrip("=")
    ),
    "signed only": lambda token: urlsafe_b64encode(b"\x02" + urlsafe_b64decode(token + "==")[1:]).decode().rstrip("="),
    "far too long": lambda token: "A" * 100_000,
    "None": lambda token: None,
    "bytes": lambda token: token.encode(),
    "a number": lambda token: 5,
    "a list": lambda token: [token],
}


@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN)
def test_broken_tokens(sealer, emitted, change):
    """An invalid token of any type is refused with one error and one event."""
    broken = change(sealer.seal({"a": "x" * 20}, **ANN)[:-1] + "A")
    emitted.clear()
    code = refused(lambda: sealer.unseal(broken, **ANN))
    assert code in ("malformed", "bad_signature", "unknown_key")
    assert seen(emitted) == [f"rejected {code}"]


@given(token=st.text(max_size=100) | st.text("ABCabc019-_", max_size=200))
def test_any_token(keys_of_module, token):
    """Any text is refused with the same error."""
    refused(lambda: StateSealer(**keys_of_module).unseal(token, **ANN))


def test_swapped_tokens(sealer):
    """By design, a user can swap the tokens of two objects of one class in one page. With another required class, the
    token is refused.
    """
    one, two, other = Counter(1), Counter(2), Other()
    tokens = [sealer.seal(target, **ANN) for target in (one, two, other)]
    assert sealer.resume(tokens[1], **ANN, cls=Counter).step == 2
    assert sealer.resume(tokens[2], **ANN, cls=Other).add() == "other"
    assert json.loads(sealer.handle(body(tokens[2]), **ANN))["result"] == "other"
    for attempt in (
        lambda: sealer.resume(tokens[2], **ANN, cls=Counter),
        lambda: sealer.handle(body(tokens[2]), **ANN, cls=Counter),
    ):
        assert refused(attempt) == "bad_signature"


def test_an_older_token_of_the_same_element(sealer):
    """By design, an older token opens with its older state until max_age is over."""
    first = sealer.seal(Counter(), **ANN)
    json.loads(sealer.handle(body(first), **ANN))
    assert json.loads(sealer.handle(body(first), **ANN))["result"] == 1


def test_a_value_where_an_object_is_due(sealer, emitted):
    """`handle` and `resume` refuse the token of a plain value."""
    token = sealer.seal({"a": 1}, **ANN)
    assert refused(lambda: sealer.resume(token, **ANN)) == "bad_signature"
    assert refused(lambda: sealer.handle(body(token), **ANN)) == "bad_signature"
    assert seen(emitted) == ["sealed", "rejected bad_signature", "rejected bad_signature"]


def test_a_base_class_is_due(sealer):
    """An object of a subclass is accepted as an instance of the required class."""
    sealer.register(Sub)
    token = sealer.seal(Sub(), **ANN)
    assert type(sealer.resume(token, **ANN, cls=Counter)) is Sub
    assert refused(lambda: sealer.resume(sealer.seal(Counter(), **ANN), **ANN, cls=Sub)) == "bad_signature"


FORGED = {
    "no list": {"a": 1},
    "an empty purpose": [None, 1, ""],
    "a purpose that is no text": [None, 1, b"basket"],
    "two purposes": [None, 1, "basket", "price"],
    "a purpose for a code": ["Counter", {}, "basket"],
    "a session": ["ann", None, {}],
    "a private name": ["Counter", (), {}, {"_sealedsession": 1}],
    "a class's name": ["Counter", (), {}, {"__class__": "Other"}],
    "names that are no text": ["Counter", (), {}, {5: 1}],
    "keywords that are no text": ["Counter", (), {5: 1}, {}],
}


@pytest.mark.parametrize("content", FORGED.values(), ids=FORGED)
def test_forged_structures(keys, sealer, emitted, caplog, clock, content):
    """A payload that no sealer writes is refused, and logged as an error."""
    token = forge(keys, PickleSerializer().dumps(content), clock)
    assert refused(lambda: sealer.unseal(token, **ANN)) == "forbidden_value"
    assert seen(emitted) == ["rejected forbidden_value"]
    (record,) = caplog.records
    assert record.levelname == "ERROR"


@pytest.mark.parametrize("name", ["add", "reset", "load", "call", "state"])
def test_forged_attributes_are_no_methods(keys, sealer, clock, name):
    """A forged state cannot replace a method."""
    token = forge(keys, PickleSerializer().dumps(["Counter", (), {}, {name: "shadow"}]), clock)
    with pytest.raises(StaleStateError, match=re.escape(f"{[name]}")):
        sealer.handle(body(token), **ANN)


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((1, 2, 3), {}),
        ((), {"unknown": 1}),
        ((1,), {"step": 2}),
        ((), {"": 1}),
        ((), {"a b": 1}),
        ((), {"__class__": 1}),
    ],
    ids=repr,
)
def test_forged_arguments(keys, sealer, clock, args, kwargs):
    """A state whose arguments load does not accept is stale, whatever their names are."""
    token = forge(keys, PickleSerializer().dumps(["Counter", args, kwargs, {}]), clock)
    with pytest.raises(StaleStateError, match=r"^Counter\.load "):
        sealer.resume(token, **ANN)


# ------------------------------------------------------------------------------------------------------------- classes


def test_register(keys):
    """`register` returns the class, so that it works as a decorator, with any code."""
    sealer = StateSealer(**keys)

    @sealer.register
    class Decorated(Resumable):
        pass

    assert issubclass(Decorated, Resumable)
    assert type(sealer.resume(sealer.seal(Decorated(), **ANN), **ANN)) is Decorated
    assert sealer.register(Counter, "c") is Counter
    assert sealer.register(Other, code="Counter") is Other
    assert type(sealer.resume(sealer.seal(Counter(), **ANN), **ANN)) is Counter


def test_a_decorator_with_a_code(sealer):
    """`register` accepts a code as a decorator with arguments."""

    @sealer.register(code="a thing")
    class Decorated(Resumable):
        pass

    assert type(sealer.resume(sealer.seal(Decorated(), **ANN), **ANN)) is Decorated
    with pytest.raises(ConfigError, match=r"^register: .*Decorated .*'a thing'"):
        sealer.register(Decorated)


@dataclasses.dataclass
class Filled(Resumable):
    """A dataclass whose generated __init__ does not run load."""

    number: int


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((int,), "^register:"),
        ((Other(),), "^register: .* Resumable"),
        ((None,), "^register: None "),
        (("q",), r"^register: .*register\(cls, 'q'\), .*register\(code='q'\)"),
        ((Filled,), "^Filled:"),
        ((Counter,), "^register: Counter .*'Counter'$"),
        ((Counter, "c"), "^register: Counter .*'Counter'$"),
        (
            (Sub, "Counter"),
            r"^register: 'Counter' .*test_state\.Counter.*test_state\.Sub.*register\(Sub, 'another-Counter'\)",
        ),
        ((Sub, ""), f"^register: .*Sub .*{got('')}"),
        ((Sub, 5), "^register: .*Sub "),
        ((Sub, b"sub"), "^register: .*Sub "),
    ],
)
def test_what_cannot_be_registered(sealer, args, message):
    """Each class and each code is registered at most once, and only subclasses of Resumable are."""
    with pytest.raises(ConfigError, match=message):
        sealer.register(*args)
    sealer.register(Sub)  # the failed attempt registered nothing


def test_what_is_not_registered_is_not_sealed(sealer):
    """Sealing an object of a class that is not registered is an error, also for a subclass."""
    with pytest.raises(NotSerializableError, match=r"^Sub:") as caught:
        sealer.seal(Sub(), **ANN)
    assert (caught.value.path, caught.value.type) == ("Sub", Sub)


@pytest.mark.parametrize("owner", [True, False], ids=["removed", "renamed"])
def test_a_class_that_is_gone(keys, sealer, emitted, clock, owner):
    """A state is stale if its class was renamed or is no longer registered, also with a required class."""
    token = sealer.seal(Counter(), **ANN)
    emitted.clear()
    later = StateSealer(**keys, clock=clock, on_event=emitted.append)
    later.register(Other)
    if not owner:
        later.register(Counter, "Renamed")
    for attempt in (
        lambda: later.resume(token, **ANN),
        lambda: later.handle(body(token), **ANN),
        lambda: later.handle(body(token), **ANN, cls=Other),
    ):
        with pytest.raises(StaleStateError, match="'Counter'"):
            attempt()
    assert seen(emitted) == ["opened", "stale"] * 3


def test_two_sealers_have_two_registers(keys, clock):
    """A class is registered with one sealer only."""
    one, other = StateSealer(**keys, clock=clock), StateSealer(**keys, clock=clock)
    one.register(Counter)
    with pytest.raises(StaleStateError):
        other.resume(one.seal(Counter(), **ANN), **ANN)


def test_load_that_changed(keys, sealer, clock):
    """A state is stale if load no longer accepts the sealed arguments, unless the new arguments have defaults."""
    token = sealer.seal(Counter(5), **ANN)
    changed = type("Counter", (Resumable,), {"load": lambda self: None})
    grown = type("Counter", (Resumable,), {"load": lambda self, step, limit=1, *, more=2: None})
    for cls, stale in ((changed, True), (grown, False)):
        later = StateSealer(**keys, clock=clock)
        later.register(cls, "Counter")
        if stale:
            with pytest.raises(StaleStateError, match=r"\.load "):
                later.resume(token, **ANN)
        else:
            assert type(later.resume(token, **ANN)) is grown


def test_stale_on(sealer, emitted, monkeypatch):
    """An exception of stale_on in load is a StaleStateError with an event. Other exceptions propagate without one."""
    token = sealer.seal(Item(7), **ANN)
    for error, raised in ((GoneError("secret"), StaleStateError), (ConnectionError("down"), ConnectionError)):

        def load(self, number, *, shop=None, error=error):
            raise error

        emitted.clear()
        monkeypatch.setattr(Item, "load", load)
        for attempt in (sealer.resume, lambda token, **owner: sealer.handle(body(token), **owner)):
            with pytest.raises(raised):
                attempt(token, **ANN)
        expected = (
            [("opened", ""), ("stale", "Item.load raised GoneError, which is in stale_on")]
            if raised is StaleStateError
            else [("opened", "")]
        )
        assert [(event.kind, event.detail) for event in emitted] == expected * 2


# --------------------------------------------------------------------------------------------------- resuming, calling


def test_arguments_of_load_can_be_replaced(sealer):
    """`resume` and `handle` replace positional arguments of load, and update keyword arguments. The new token has the
    changed arguments.
    """
    token = sealer.seal(Counter(2, limit=5), **ANN)
    assert (sealer.resume(token, **ANN, args=(3,)).step, sealer.resume(token, **ANN, args=[3]).limit) == (3, 5)
    assert sealer.resume(token, **ANN, args=()).step == 1
    changed = sealer.resume(token, **ANN, kwargs={"limit": 6})
    assert (changed.step, changed.limit) == (2, 6)
    answer = json.loads(sealer.handle(body(token), **ANN, args=(4,), kwargs={"limit": 7}))
    assert answer["result"] == 4
    again = sealer.resume(answer["token"], **ANN)
    assert (again.step, again.limit) == (4, 7)
    with pytest.raises(StaleStateError):
        sealer.resume(token, **ANN, args=(1, 2, 3))


def test_handle(sealer, emitted):
    """The answer to a call has the result and a token of the new state."""
    token = sealer.seal(Counter(2), **ANN)
    for expected in (2, 4, 6):
        answer = json.loads(sealer.handle(body(token), **ANN))
        assert answer == {"token": answer["token"], "result": expected}
        token = answer["token"]
    assert json.loads(sealer.handle(body(token, "add", 5), **ANN))["result"] == 16
    assert seen(emitted) == ["sealed", *["opened", "sealed"] * 4]


@pytest.mark.parametrize("method", ["reset", "count", "load", "state", "nothing", "__init__", ""], ids=repr)
def test_handle_calls_public_methods_only(sealer, emitted, method):
    """A call of a method that is not public is refused, with the event bad_call."""
    token = sealer.seal(Counter(), **ANN)
    with pytest.raises(NotPublicError):
        sealer.handle(body(token, method), **ANN)
    assert seen(emitted) == ["sealed", "opened", "bad_call"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda token: b"", "JSON"),
        (lambda token: body(token, "add", 1, 2), r"^Counter\.add "),
        (lambda token: body(token, "check"), "^too long$"),
        (lambda token: body(token)[:-1], "JSON"),
        (lambda token: body(token) + b" " * 4 * 65536, r"\b262\d{3} .*\b262144$"),
    ],
)
def test_bad_calls(sealer, emitted, call, message):
    """An invalid call, or one that the method does not accept, is a StateError with the event bad_call."""
    token = sealer.seal(Counter(), **ANN)
    emitted.clear()
    with pytest.raises(StateError, match=message) as caught:
        sealer.handle(call(token), **ANN)
    assert type(caught.value) is StateError
    assert seen(emitted)[-1] == "bad_call"


def test_the_length_of_a_call(keys, clock):
    """A call may have four times as many bytes as a token may have characters."""
    sealer = StateSealer(**keys, clock=clock, max_size=256)
    sealer.register(Counter)
    call = body(sealer.seal(Counter(), **ANN)).ljust(4 * 256)
    assert sealer.handle(call, **ANN)
    with pytest.raises(StateError, match=r"\b1025 .*\b1024$"):
        sealer.handle(call + b" ", **ANN)


TOKENS_FROM_NO_PAGE = {
    "empty": lambda sealer: "",
    "not base64url": lambda sealer: "!" * 60,
    "with an escape": lambda sealer: "\n" + sealer.seal(Counter(), **ANN),
    "not latin": lambda sealer: "\N{SNOWMAN}" * 60,
    "too long": lambda sealer: "A" * 65_537,
    "of another version": lambda sealer: "A" * 80,
    "of an unknown key": lambda sealer: "AQAA" + sealer.seal(Counter(), **ANN)[4:],
    "changed": lambda sealer: sealer.seal(Counter(), **ANN)[:-4] + "AAAA",
    "made up": lambda sealer: sealer.seal(Counter(), **ANN)[:4] + "A" * 116,
    "of another session": lambda sealer: sealer.seal(Counter(), session_id="5555", user="ann"),
    "of another user": lambda sealer: sealer.seal(Counter(), session_id="4f1c", user="bob"),
    "of a plain value": lambda sealer: sealer.seal(1, **ANN),
}


json_loads = json.loads


@pytest.fixture
def parsed(monkeypatch):
    """Return the list of texts that reach the JSON parser."""
    parsed_texts = []
    monkeypatch.setattr(state_calls.json, "loads", lambda text, **options: parsed_texts.append(text) or {})
    return parsed_texts


@pytest.mark.parametrize("read_token", TOKENS_FROM_NO_PAGE.values(), ids=TOKENS_FROM_NO_PAGE)
def test_a_body_without_a_good_token_is_not_parsed(sealer, parsed, read_token):
    """A body is parsed only after its token has been opened."""
    call = body(read_token(sealer), "add", *[[{}]] * 10_000)
    with pytest.raises((UnsealError, StateError)):
        sealer.handle(call, **ANN)
    assert parsed == []


@pytest.mark.parametrize(
    "change",
    [
        lambda call: b" " + call[1:],
        lambda call: b"[" + call + b"]",
        lambda call: call.replace(b'{"token"', b'{"args": [], "token"').replace(b', "args": []}', b"}"),
        lambda call: call.replace(b'"token"', b'"\\u0074oken"'),
        lambda call: call.replace(b'"token": "', b'"token": ["').replace(b'", "m', b'"], "m'),
        lambda call: b"\xef\xbb\xbf" + call,
        lambda call: call.decode().encode("utf-16"),
        lambda call: b'{"args": ["{\\"token\\": \\"x\\""], ' + call[1:],
    ],
)
def test_a_body_that_does_not_begin_with_its_token(sealer, parsed, change):
    """A body that does not begin with a token is refused without parsing."""
    call = body(sealer.seal(Counter(), **ANN))
    with pytest.raises(StateError) as caught:
        sealer.handle(change(call), **ANN)
    assert type(caught.value) is StateError
    assert parsed == []


def test_a_second_token_in_the_body(sealer):
    """A second member "token" is refused. A "token" inside the arguments is ignored."""
    token, other = sealer.seal(Counter(), **ANN), sealer.seal(Counter(), session_id="5555")
    call = body(token, "keep", {"token": other})
    assert sealer.handle(call, **ANN)
    for first, second in ((token, other), (other, token), (token, token)):
        call = json.dumps({"token": first, "method": "add"}).encode()[:-1] + f', "token": "{second}"}}'.encode()
        with pytest.raises((UnsealError, StateError)):
            sealer.handle(call, **ANN)


def test_a_token_that_is_spelled_with_an_escape(sealer, parsed):
    """A token with a JSON escape is refused, even if the parser would decode a valid token."""
    token = sealer.seal(Counter(), **ANN)
    call = body(token).replace(token.encode(), f"\\u{ord(token[0]):04x}{token[1:]}".encode())
    assert json_loads(call)["token"] == token
    assert refused(lambda: sealer.handle(call, **ANN)) == "malformed"
    assert parsed == []


def test_spaces_around_the_token(sealer):
    """White space before the token is accepted."""
    token = sealer.seal(Counter(), **ANN)
    assert sealer.handle(f' \t\r\n{{ \n"token"\t:\r "{token}" , "method": "add" }} '.encode(), **ANN)
    for kind in (bytearray, memoryview):
        assert sealer.handle(kind(body(token)), **ANN)


def test_what_a_method_raises(sealer, emitted):
    """Exceptions of a method propagate unchanged. A StaleStateError is also an event."""
    token = sealer.seal(Counter(), **ANN)
    emitted.clear()
    with pytest.raises(ZeroDivisionError):
        sealer.handle(body(token, "fail"), **ANN)
    with pytest.raises(StaleStateError, match="item 7 is sold"):
        sealer.handle(body(token, "sold"), **ANN)
    assert seen(emitted) == ["opened", "opened", "stale"]


def test_results_that_no_page_takes(sealer):
    """A result that is not JSON is a TypeError that names the method."""
    token = sealer.seal(Counter(), **ANN)
    assert json.loads(sealer.handle(body(token, "answer", "ok"), **ANN))["result"] == {"ok": [1]}
    for kind in ("nan", "object"):
        with pytest.raises(TypeError, match=r"^Counter\.answer:"):
            sealer.handle(body(token, "answer", kind), **ANN)


def test_async_methods(sealer):
    """Calling an async method with `handle` is an error that names the alternative. No coroutine is left unawaited."""
    token = sealer.seal(Counter(), **ANN)
    with pytest.raises(TypeError, match=r"^Counter\.wait:"):
        sealer.handle(body(token, "wait"), **ANN)


def test_a_client_that_sends_too_much(sealer, emitted):
    """If a method stores too much, `handle` raises StateTooLargeError. The page keeps its previous token."""
    token = sealer.seal(Counter(), **ANN)
    with pytest.raises(StateTooLargeError):
        sealer.handle(body(token, "keep", "x" * 100_000), **ANN)
    assert seen(emitted) == ["sealed", "opened", "too_large"]
    assert sealer.handle(body(token), **ANN)


# ---------------------------------------------------------------------------------------------------------------- size


def test_max_size(keys, clock, emitted):
    """A token longer than max_size is an error that names the largest attributes."""
    sealer = StateSealer(**keys, clock=clock, max_size=1000, compress=False, on_event=emitted.append)
    sealer.register(Counter)
    counter = Counter()
    counter.text, counter.small = "", 1
    room = (1000 - len(sealer.seal(counter, **ANN))) * 3 // 4
    counter.text = "x" * (room - 8)
    token = sealer.seal(counter, **ANN)
    assert 950 < len(token) <= 1000
    assert sealer.resume(token, **ANN).text == counter.text
    emitted.clear()
    counter.text += "x" * 50
    with pytest.raises(StateTooLargeError) as caught:
        sealer.seal(counter, **ANN)
    error = caught.value
    assert error.limit == 1000
    assert 1000 < error.size < 1100
    assert list(error.by_key) == ["text", "load()", "small"]
    assert [(event.kind, event.size) for event in emitted] == [("too_large", error.size)]


def test_a_token_that_is_longer_than_this_sealer_takes(keys, clock):
    """A token of a sealer with a larger max_size is refused by its length."""
    token = StateSealer(**keys, clock=clock).seal("x" * 2000, **ANN)
    assert StateSealer(**keys, clock=clock, max_size=256).unseal(token, **ANN) == "x" * 2000
    token = StateSealer(**keys, clock=clock, compress=False).seal("x" * 2000, **ANN)
    assert refused(lambda: StateSealer(**keys, clock=clock, max_size=256).unseal(token, **ANN)) == "malformed"


def test_a_large_state(sealer):
    """State can be much larger than a cookie."""
    value = [os.urandom(40_000), ["text"] * 3000]
    assert sealer.unseal(sealer.seal(value, **ANN), **ANN) == value


# -------------------------------------------------------------------------------------------------------- registry


def test_a_registry(keys, clock):
    """A sealer supports the types of its registry. The error for another type names the registry."""
    fetched = []
    registry = StateRegistry()
    registry.register_base(
        GoneError,
        "gone",
        encode=lambda gone: gone.args[0],
        decode=str,
        fetch=lambda names: fetched.append(names) or [*map(GoneError, names)],
    )
    sealer = StateSealer(**keys, clock=clock, registry=registry)
    sealer.register(Item)
    item = Item(7, shop=GoneError("a"))
    item.text, item.more = GoneError("b"), [GoneError("c")]
    token = sealer.seal(item, **ANN)
    assert fetched == []
    back = sealer.resume(token, **ANN)
    assert [gone.args for gone in (back.shop, back.text, *back.more)] == [("a",), ("b",), ("c",)]
    assert fetched == [["a", "b", "c"]]
    with pytest.raises(NotSerializableError, match="GoneError"):
        StateSealer(**keys, registry=Registry()).seal(GoneError("a"), **ANN)


def test_what_a_reference_raises(keys, clock, emitted):
    """A missing reference is a StaleStateError with an event. A database error propagates unchanged."""
    answers = []

    def fetch(names):
        raise answers.pop()

    registry = StateRegistry()
    registry.register_base(GoneError, "gone", encode=lambda gone: gone.args[0], decode=str, fetch=fetch)
    sealer = StateSealer(**keys, clock=clock, registry=registry, on_event=emitted.append)
    token = sealer.seal([GoneError("a")], **ANN)
    emitted.clear()
    answers += [ConnectionError("down"), StaleStateError("a")]
    with pytest.raises(StaleStateError, match=r"^a$"):
        sealer.unseal(token, **ANN)
    assert seen(emitted) == ["stale"]
    with pytest.raises(ConnectionError, match="down"):
        sealer.unseal(token, **ANN)
    assert seen(emitted) == []


# -------------------------------------------------------------------------------------------------------------- events


def test_events(keys, sealer, emitted, clock):
    """Every event names the sealer, and identifies the session as the session's own events do."""
    sealer.unseal(sealer.seal(1, session_id=SESSION_ID), session_id=SESSION_ID)
    emitted_with_the_session = []
    config = SessionConfig(**keys, clock=clock, on_event=emitted_with_the_session.append)
    config.events.emit("opened", session_id=bytes.fromhex(SESSION_ID))
    assert [(event.kind, event.cookie) for event in emitted] == [("sealed", "state"), ("opened", "state")]
    assert {event.session for event in emitted} == {emitted_with_the_session[0].session}
    assert emitted[0].size > 60
    emitted.clear()
    for session_id in ("s:1", "s:2"):
        sealer.seal(1, session_id=session_id)
    assert len({event.session for event in emitted}) == 2


def test_without_a_hook(keys, caplog):
    """Without a hook, problems are still logged."""
    caplog.set_level(logging.DEBUG)
    sealer = StateSealer(**keys, name="todo")
    sealer.register(Counter)
    token = sealer.seal(Counter(), **ANN)
    sealer.resume(token, **ANN)
    assert caplog.records == []
    refused(lambda: sealer.unseal("x", **ANN))
    with pytest.raises(NotPublicError):
        sealer.handle(body(token, "reset"), **ANN)
    with pytest.raises(StaleStateError):
        sealer.handle(body(token, "sold"), **ANN)
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING", "INFO"]
    for record, parts in zip(caplog.records, ("malformed", "NotPublic", "StaleState"), strict=True):
        assert record.getMessage().startswith("state 'todo'")
        assert parts in record.getMessage()


def test_states_reveal_no_secret(keys, other_keys, sealer, emitted, caplog, clock):
    """No event or log record contains a key, token, session id, user or value."""
    caplog.set_level(logging.DEBUG)
    owner = {"session_id": SESSION_ID, "user": "confidential-user"}
    counter = Counter()
    counter.text = "confidential"
    token = sealer.seal(counter, **owner)
    attempts = [
        lambda: sealer.unseal(token[:-4] + "AAAA", **owner),
        lambda: sealer.unseal(token, session_id=SESSION_ID, user="bob"),
        lambda: StateSealer(**other_keys, clock=clock, on_event=emitted.append).unseal(token, **owner),
        lambda: sealer.resume(token, **owner, cls=Other),
        lambda: sealer.handle(body(token, "reset"), **owner),
        lambda: sealer.handle(body(token, "add", "confidential", 2), **owner),
        lambda: sealer.handle(body(token, "sold"), **owner),
        lambda: sealer.handle(body(token)[:-1], **owner),
        lambda: sealer.handle(body(token, "keep", "confidential" * 10_000), **owner),
        lambda: sealer.unseal(
            forge(keys, PickleSerializer().dumps(["Counter", (), {}, {"_a": "confidential"}]), clock, *owner.values()),
            **owner,
        ),
    ]
    for attempt in attempts:
        with pytest.raises((UnsealError, StateError, StateTooLargeError)):
            attempt()
    assert {event.kind for event in emitted} == {"sealed", "opened", "rejected", "stale", "bad_call", "too_large"}
    shown = repr(emitted) + caplog.text
    for secret in (token[:20], token[30:50], SESSION_ID, "confidential", *keys.values(), *other_keys.values()):
        assert secret not in shown


def test_errors_show_no_secret(sealer):
    """A sealer's repr shows no key."""
    assert re.fullmatch(r"<sealedsession\.state\.sealer\.StateSealer object at 0x[0-9a-f]+>", repr(sealer))


def test_the_browser_module_is_there():
    """SCRIPT is the path of a file in the package."""
    assert SCRIPT.name == "sealed_state.js"
    assert SCRIPT.is_file()
