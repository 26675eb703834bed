"""Sealed state: whose tokens open for whom, for how long, and what is told about those that do not."""

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
from strategies import exactly
from test_resumable import Gone, Item
from test_state_options import ring
from value_strategies import values

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

ANN = {"session_id": "4f1c", "user": "ann"}
SID = "00112233445566778899aabbccddeeff"


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
        raise StateError("a text of at most 100 characters")

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
def told():
    """The events that the sealer of `sealer` tells."""
    return []


@pytest.fixture
def sealer(keys, clock, told):
    made = StateSealer(**keys, clock=clock, on_event=told.append)
    made.register(Counter)
    made.register(Other)
    made.register(Item)
    return made


def seen(told):
    """What was told, as short as it goes."""
    kinds = [event.kind if event.reason is None else f"{event.kind} {event.reason}" for event in told]
    told.clear()
    return kinds


def body(token, method="add", *args):
    return json.dumps({"token": token, "method": method, "args": args}).encode()


def refused(attempt):
    """The reason code with which an attempt is refused."""
    with pytest.raises(UnsealError) as caught:
        attempt()
    return caught.value.reason


def forge(keys, payload, clock, session_id="4f1c", user="ann", name="state", **options):
    """A token as somebody makes it who has the keys: any payload, under the purpose of an owner."""
    purpose = f"state:{name}:{len(session_id)}:{session_id}{user}"
    return Sealer(Keyring(**keys), purpose, max_length=10**9, clock=clock, **options).seal(
        payload, created=int(clock())
    )


# -------------------------------------------------------------------------------------------------------- round trips


@settings(deadline=None)
@given(value=values)
def test_round_trip(keys_of_module, value):
    """What sessions hold, a token holds: of it comes exactly the value, compressed or not."""
    for compress in (True, False):
        sealer = StateSealer(**keys_of_module, compress=compress)
        try:
            token = sealer.seal(value, **ANN)
        except (NotSerializableError, StateTooLargeError):  # some are beyond a limit, and say so
            continue
        assert exactly(sealer.unseal(token, **ANN)) == exactly(value)


@pytest.fixture(scope="module")
def keys_of_module(keys):
    return keys


def test_an_object(sealer):
    """An object comes back with its class, its state, and what load makes of its arguments."""
    counter = Counter(5, limit=100)
    counter.add()
    token = sealer.seal(counter, **ANN)
    back = sealer.resume(token, **ANN)
    assert type(back) is Counter
    assert (back.count, back.step, back.limit) == (5, 5, 100)


def test_a_token_is_text_for_a_page(sealer):
    """A token is letters, digits, - and _, so that it can stand in HTML and JSON as it is."""
    token = sealer.seal({"a": "<script>"}, **ANN)
    assert re.fullmatch("[A-Za-z0-9_-]+", token)


def test_tokens_do_not_repeat(sealer):
    """The same value gives another token each time, which tells nothing of it."""
    tokens = {sealer.seal({"a": "confidential"}, **ANN) for _ in range(20)}
    assert len(tokens) == 20
    assert not any(b"confidential" in urlsafe_b64decode(token + "==") for token in tokens)


def test_compression(keys):
    """What gets shorter is deflated, unless that is switched off; either sealer opens the tokens of the other."""
    value = ["the same again"] * 100
    on, off = StateSealer(**keys), StateSealer(**keys, compress=False)
    short, long = on.seal(value, **ANN), off.seal(value, **ANN)
    assert len(short) < len(long) / 5
    assert on.unseal(long, **ANN) == off.unseal(short, **ANN) == value


def test_small_states_are_not_deflated(keys):
    """A state of up to 1 KiB is left as it is; of one byte more, deflate makes less."""
    on, off = StateSealer(**keys), StateSealer(**keys, compress=False)
    value = "a" * (1024 - len(PickleSerializer().dumps([None, "a" * 256])) + 256)
    assert len(PickleSerializer().dumps([None, value])) == 1024
    assert len(on.seal(value, **ANN)) == len(off.seal(value, **ANN))
    assert len(on.seal(value + "a", **ANN)) < 150


def test_the_wire(keys, sealer, clock):
    """A token is one of the wire format, under the purpose that the documentation names."""
    token = forge(keys, PickleSerializer().dumps([None, {"a": 1}]), clock)
    assert sealer.unseal(token, **ANN) == {"a": 1}
    token = forge(keys, PickleSerializer().dumps(["Counter", (2,), {}, {"count": 8}]), clock)
    assert sealer.resume(token, **ANN).add() == 10


# ------------------------------------------------------------------------------------------------------ what it is for


def test_a_purpose(sealer):
    """A plain value opens with the purpose that it was sealed for, and with no other one."""
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
def test_an_object_is_no_plain_value(sealer, told, purpose):
    """The token of an object opens as no plain value, whatever the purpose, and one of a plain value as no object."""
    token = sealer.seal(Counter(), **ANN)
    told.clear()
    assert refused(lambda: sealer.unseal(token, **ANN, purpose=purpose)) == "bad_signature"
    value = sealer.seal(["Counter", (), {}, {}], **ANN, purpose=purpose)
    assert refused(lambda: sealer.resume(value, **ANN)) == "bad_signature"
    assert refused(lambda: sealer.handle(body(value), **ANN)) == "bad_signature"
    assert seen(told) == ["rejected bad_signature", "sealed", *["rejected bad_signature"] * 2]


def test_an_object_of_a_class_that_is_gone_is_no_plain_value(keys, sealer, clock):
    """The token of an object opens as no plain value, even where its class is not registered."""
    token = sealer.seal(Counter(), **ANN)
    assert refused(lambda: StateSealer(**keys, clock=clock).unseal(token, **ANN)) == "bad_signature"


def test_objects_have_no_purpose(sealer):
    """An object is sealed without a purpose: its class says what it is for."""
    with pytest.raises(TypeError, match="purpose"):
        sealer.seal(Counter(), **ANN, purpose="basket")


@pytest.mark.parametrize("purpose", [None, b"basket", 5, ["basket"]], ids=repr)
def test_a_purpose_is_text(sealer, purpose):
    """A purpose of another type is the application's mistake."""
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
    """A name that UTF-8 has no form for owns its tokens like any other."""
    token = sealer.seal([1], **owner)
    assert sealer.unseal(token, **owner) == [1]
    assert refused(lambda: sealer.unseal(token, session_id="a", user="?")) == "bad_signature"


def test_what_the_log_says_of_a_foreign_token(sealer, caplog):
    """The log of a token that does not open begins with what is most often the matter: whose it is."""
    refused(lambda: sealer.unseal(sealer.seal(1, **ANN), session_id="other"))
    assert "bad_signature: a token of another session, user or sealer name, or a changed token" in caplog.text


def test_another_session_or_user(sealer, told):
    """A token opens for its own session and user only."""
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
    """No two pairs of session and user have the same subkeys, wherever the one ends and the other begins."""
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
    """Session and user that read alike, written one behind the other, are two owners."""
    token = sealer.seal(1, session_id=one[0], user=one[1])
    assert refused(lambda: sealer.unseal(token, session_id=other[0], user=other[1])) == "bad_signature"


def test_a_user_of_another_class(sealer):
    """A user name may be of a subclass of str, and is the same user as its text."""

    class Name(str):
        __slots__ = ()

    token = sealer.seal(1, session_id="4f1c", user=Name("ann"))
    assert sealer.unseal(token, **ANN) == 1


@pytest.mark.parametrize(
    ("owner", "error", "message"),
    [
        ({"session_id": None}, TypeError, f"session_id: must be a str{got(None)}"),
        ({"session_id": b"4f1c"}, TypeError, f"session_id: must be a str{got(b'')}"),
        ({"session_id": "4f1c", "user": None}, TypeError, f"user: must be a str{got(None)}"),
        ({"session_id": "4f1c", "user": 7}, TypeError, f"user: must be a str{got(7)}"),
        ({"session_id": ""}, ValueError, "session_id: is empty. State belongs to a session"),
    ],
    ids=repr,
)
def test_what_is_no_owner(sealer, owner, error, message):
    """A session without an id, which would share its tokens with all others, is an error, and so is what is no text."""
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
    """Sealers of different names do not open each other's tokens, nor does one open a cookie."""
    one, other = StateSealer(**keys, clock=clock), StateSealer(**keys, clock=clock, name="other")
    assert refused(lambda: other.unseal(one.seal(1, **ANN), **ANN)) == "bad_signature"
    cookie = Sealer(Keyring(**keys), "cookie:__Host-session", clock=clock).seal(b"]N.", created=int(clock()))
    assert refused(lambda: one.unseal(cookie, **ANN)) == "bad_signature"


def test_names_that_run_together(keys, clock):
    """A name ends where the session's part begins, whatever stands in either."""
    token = StateSealer(**keys, name="a", clock=clock).seal(1, session_id="b" * 11)
    assert refused(lambda: StateSealer(**keys, name="a1", clock=clock).unseal(token, session_id="b")) == "bad_signature"


def test_other_keys(keys, other_keys, told, clock):
    """A token of other keys is refused, and the reason says that it is the key."""
    token = StateSealer(**other_keys, clock=clock).seal(1, **ANN)
    assert refused(lambda: StateSealer(**keys, clock=clock).unseal(token, **ANN)) == "unknown_key"


def test_a_token_that_is_signed_only(keys, clock):
    """A token that is not encrypted is refused, whoever signed it."""
    signed = forge({"validate_key": keys["validate_key"]}, b"]N.", clock)
    assert refused(lambda: StateSealer(**keys, clock=clock).unseal(signed, **ANN)) == "unknown_key"


def test_fallback_keys(keys, other_keys, clock):
    """Keys are changed as for sessions: what a fallback pair has sealed opens, and the first pair seals."""
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


def test_a_keyring_that_changes(keys, other_keys, clock, tmp_path, told, caplog):
    """A keyring's file is read again when it changes, for owners that were met before too; a broken one changes
    nothing.
    """
    caplog.set_level(logging.INFO)
    path = tmp_path / "ring.json"

    def write(text):
        (tmp_path / "new").write_text(text)
        os.chmod(tmp_path / "new", 0o600)
        os.replace(tmp_path / "new", path)
        clock.advance(1)

    write(ring(tuple(keys.values())))
    sealer = StateSealer(keyring=f"file:{path}", clock=clock, on_event=told.append)
    old = sealer.seal(1, **ANN)
    write(ring(tuple(other_keys.values()), tuple(keys.values())))
    new = sealer.seal(2, **ANN)
    assert (sealer.unseal(old, **ANN), sealer.unseal(new, **ANN)) == (1, 2)
    assert StateSealer(**other_keys, clock=clock).unseal(new, **ANN) == 2
    write("broken")
    assert sealer.unseal(new, **ANN) == 2
    write(ring(tuple(other_keys.values())))
    assert refused(lambda: sealer.unseal(old, **ANN)) == "unknown_key"
    assert [kind for kind in seen(told) if kind.startswith("keyring")] == [
        "keyring_reloaded", "keyring_error", "keyring_reloaded",
    ]  # fmt: skip


def test_subkeys_are_kept_and_bounded(keys, monkeypatch):
    """Subkeys of an owner are derived once; those of the last thousand are kept, and not of all that ever were."""
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
    """Threads share a sealer: each gets its own values back, for its own session."""
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
    """A token opens for max_age seconds and the leeway, and not a second longer."""
    sealer = StateSealer(**keys, clock=clock, max_age=100, leeway=10)
    token = sealer.seal(1, **ANN)
    clock.advance(110)
    assert sealer.unseal(token, **ANN) == 1
    clock.advance(1)
    assert refused(lambda: sealer.unseal(token, **ANN)) == "expired_idle"


def test_yesterday(sealer, clock):
    """By default a token is good for a day, and that of yesterday is refused."""
    token = sealer.seal(Counter(), **ANN)
    clock.advance(DAY)
    assert sealer.handle(body(token), **ANN)
    clock.advance(61)
    assert refused(lambda: sealer.handle(body(token), **ANN)) == "expired_idle"


def test_every_call_begins_anew(sealer, clock):
    """The token of a call's answer has its own day: a page that is used does not expire."""
    token = sealer.seal(Counter(), **ANN)
    for _ in range(3):
        clock.advance(DAY)
        token = json.loads(sealer.handle(body(token), **ANN))["token"]


def test_a_clock_that_is_behind(keys, clock):
    """A token from another machine may be as far ahead as the leeway says."""
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
    """A token of which any single character is another one does not open."""
    sealer = StateSealer(**keys, compress=compress)
    token = sealer.seal({"a": "text " * 10}, **ANN)
    for place in range(len(token)):
        changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        assert refused(lambda: sealer.unseal(changed, **ANN)) in ("bad_signature", "malformed", "unknown_key")  # noqa: B023


def test_every_truncation(sealer):
    """A token that was cut anywhere does not open."""
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
def test_broken_tokens(sealer, told, change):
    """Whatever is no token, of whatever type, is refused with one error and told once."""
    broken = change(sealer.seal({"a": "x" * 20}, **ANN)[:-1] + "A")
    told.clear()
    code = refused(lambda: sealer.unseal(broken, **ANN))
    assert code in ("malformed", "bad_signature", "unknown_key")
    assert seen(told) == [f"rejected {code}"]


@given(token=st.text(max_size=100) | st.text("ABCabc019-_", max_size=200))
def test_any_token(keys_of_module, token):
    """Any text is refused with the one error."""
    refused(lambda: StateSealer(**keys_of_module).unseal(token, **ANN))


def test_swapped_tokens(sealer):
    """Of two elements of one page with objects of one class, tokens can be swapped: that is by design. Where another
    class is due, they cannot.
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
    """An element's older token opens to the state of then, until it is too old: that is by design."""
    first = sealer.seal(Counter(), **ANN)
    json.loads(sealer.handle(body(first), **ANN))
    assert json.loads(sealer.handle(body(first), **ANN))["result"] == 1


def test_a_value_where_an_object_is_due(sealer, told):
    """A token that holds a plain value is none to be called."""
    token = sealer.seal({"a": 1}, **ANN)
    assert refused(lambda: sealer.resume(token, **ANN)) == "bad_signature"
    assert refused(lambda: sealer.handle(body(token), **ANN)) == "bad_signature"
    assert seen(told) == ["sealed", "rejected bad_signature", "rejected bad_signature"]


def test_a_base_class_is_due(sealer):
    """An object of a subclass is one of the class that is due."""
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
def test_forged_shapes(keys, sealer, told, caplog, clock, content):
    """What the keys' thief writes, and no sealer would, is refused, and logged as an error: somebody has to act."""
    token = forge(keys, PickleSerializer().dumps(content), clock)
    assert refused(lambda: sealer.unseal(token, **ANN)) == "forbidden_value"
    assert seen(told) == ["rejected forbidden_value"]
    (record,) = caplog.records
    assert record.levelname == "ERROR"


@pytest.mark.parametrize("name", ["add", "reset", "load", "call", "state"])
def test_forged_attributes_are_no_methods(keys, sealer, clock, name):
    """A forged state has no say in what a method is."""
    token = forge(keys, PickleSerializer().dumps(["Counter", (), {}, {name: "shadow"}]), clock)
    with pytest.raises(StaleStateError, match="attributes that are methods now"):
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
    """Arguments that load does not take make a state stale, whatever their names are."""
    token = forge(keys, PickleSerializer().dumps(["Counter", args, kwargs, {}]), clock)
    with pytest.raises(StaleStateError, match=r"Counter\.load no longer accepts the sealed arguments"):
        sealer.resume(token, **ANN)


# ------------------------------------------------------------------------------------------------------------- classes


def test_register(keys):
    """Registering gives the class back, so that it can stand as a decorator, with the name as code or another."""
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
    """The code can be given where register stands as a decorator."""

    @sealer.register(code="a thing")
    class Decorated(Resumable):
        pass

    assert type(sealer.resume(sealer.seal(Decorated(), **ANN), **ANN)) is Decorated
    with pytest.raises(ConfigError, match="registered already, with the code 'a thing'"):
        sealer.register(Decorated)


@dataclasses.dataclass
class Filled(Resumable):
    """Has an __init__ that is made for it, and loads nothing."""

    number: int


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((int,), "register: <class 'int'> is not a subclass of Resumable. Derive the class from Resumable"),
        ((Other(),), "is not a subclass of Resumable"),
        ((None,), "None is not a subclass of Resumable"),
        (("q",), r"must be a class.*\. Pass a code second: register\(cls, 'q'\), or .* register\(code='q'\)"),
        ((Filled,), r"Filled: is a dataclass, whose __init__ does not run load\(\)\. Add a __post_init__ that calls"),
        ((Counter,), "Counter is registered already, with the code 'Counter'"),
        ((Counter, "c"), "Counter is registered already, with the code 'Counter'"),
        (
            (Sub, "Counter"),
            "'Counter' is the code of <class 'test_state.Counter'> already. Pass a different code for <class "
            r"'test_state.Sub'>, such as register\(Sub, 'another-Counter'\)",
        ),
        ((Sub, ""), f"the code of Sub must be a non-empty str{got('')}"),
        ((Sub, 5), "the code of Sub must be a non-empty str"),
        ((Sub, b"sub"), "the code of Sub must be a non-empty str"),
    ],
)
def test_what_cannot_be_registered(sealer, args, message):
    """Only classes of resumable objects are registered, each once, each with a code of its own."""
    with pytest.raises(ConfigError, match=message):
        sealer.register(*args)
    sealer.register(Sub)  # nothing of the attempt is left


def test_what_is_not_registered_is_not_sealed(sealer):
    """An object of a class that is not registered is an error where it is sealed, also of a subclass."""
    with pytest.raises(
        NotSerializableError, match=r"Sub: its class is not registered\. Decorate the class with the sealer's register"
    ) as caught:
        sealer.seal(Sub(), **ANN)
    assert (caught.value.path, caught.value.type) == ("Sub", Sub)


@pytest.mark.parametrize("owner", [True, False], ids=["removed", "renamed"])
def test_a_class_that_is_gone(keys, sealer, told, clock, owner):
    """A state of a class that was renamed, or is not registered any more, is stale, for handle with any cls too."""
    token = sealer.seal(Counter(), **ANN)
    told.clear()
    later = StateSealer(**keys, clock=clock, on_event=told.append)
    later.register(Other)
    if not owner:
        later.register(Counter, "Renamed")
    for attempt in (
        lambda: later.resume(token, **ANN),
        lambda: later.handle(body(token), **ANN),
        lambda: later.handle(body(token), **ANN, cls=Other),
    ):
        with pytest.raises(StaleStateError, match="the class 'Counter' is no longer registered"):
            attempt()
    assert seen(told) == ["opened", "stale"] * 3


def test_two_sealers_have_two_registers(keys, clock):
    """A class is registered with a sealer, and with no other."""
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
            with pytest.raises(StaleStateError, match="load no longer accepts the sealed arguments"):
                later.resume(token, **ANN)
        else:
            assert type(later.resume(token, **ANN)) is grown


def test_stale_on(sealer, told, monkeypatch):
    """What load raises of stale_on is a stale state, told with the exception's name; anything else passes untold."""
    token = sealer.seal(Item(7), **ANN)
    for error, raised in ((Gone("secret"), StaleStateError), (ConnectionError("down"), ConnectionError)):

        def load(self, number, *, shop=None, error=error):
            raise error

        told.clear()
        monkeypatch.setattr(Item, "load", load)
        for attempt in (sealer.resume, lambda token, **owner: sealer.handle(body(token), **owner)):
            with pytest.raises(raised):
                attempt(token, **ANN)
        expected = (
            [("opened", ""), ("stale", "Item.load raised Gone, which is in stale_on")]
            if raised is StaleStateError
            else [("opened", "")]
        )
        assert [(event.kind, event.detail) for event in told] == expected * 2


# --------------------------------------------------------------------------------------------------- resuming, calling


def test_arguments_of_load_can_be_replaced(sealer):
    """resume and handle can give load other arguments: by place instead of those sealed, by name put over them; they
    are sealed with the object from then on.
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


def test_handle(sealer, told):
    """A call is answered with the result and a token of the new state."""
    token = sealer.seal(Counter(2), **ANN)
    for expected in (2, 4, 6):
        answer = json.loads(sealer.handle(body(token), **ANN))
        assert answer == {"token": answer["token"], "result": expected}
        token = answer["token"]
    assert json.loads(sealer.handle(body(token, "add", 5), **ANN))["result"] == 16
    assert seen(told) == ["sealed", *["opened", "sealed"] * 4]


@pytest.mark.parametrize("method", ["reset", "count", "load", "state", "nothing", "__init__", ""], ids=repr)
def test_handle_calls_public_methods_only(sealer, told, method):
    """What is not public is not called, and told as a bad call."""
    token = sealer.seal(Counter(), **ANN)
    with pytest.raises(NotPublicError):
        sealer.handle(body(token, method), **ANN)
    assert seen(told) == ["sealed", "opened", "bad_call"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda token: b"", "a call must be JSON"),
        (lambda token: body(token, "add", 1, 2), r"Counter\.add does not accept these arguments"),
        (lambda token: body(token, "check"), "a text of at most 100 characters"),
        (lambda token: body(token)[:-1], "a call must be JSON"),
        (lambda token: body(token) + b" " * 4 * 65536, "a call of 262... bytes is longer than the limit of 262144"),
    ],
)
def test_bad_calls(sealer, told, call, message):
    """What is no call, or none that the method takes, is an error of the client, told as a bad call."""
    token = sealer.seal(Counter(), **ANN)
    told.clear()
    with pytest.raises(StateError, match=message) as caught:
        sealer.handle(call(token), **ANN)
    assert type(caught.value) is StateError
    assert seen(told)[-1] == "bad_call"


def test_the_length_of_a_call(keys, clock):
    """A call may have four times the characters that a token may have."""
    sealer = StateSealer(**keys, clock=clock, max_size=256)
    sealer.register(Counter)
    call = body(sealer.seal(Counter(), **ANN)).ljust(4 * 256)
    assert sealer.handle(call, **ANN)
    with pytest.raises(StateError, match="a call of 1025 bytes is longer than the limit of 1024"):
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
    """What the JSON parser is given meanwhile."""
    given_to_it = []
    monkeypatch.setattr(state_calls.json, "loads", lambda text, **options: given_to_it.append(text) or {})
    return given_to_it


@pytest.mark.parametrize("token_of", TOKENS_FROM_NO_PAGE.values(), ids=TOKENS_FROM_NO_PAGE)
def test_a_body_without_a_good_token_is_not_parsed(sealer, parsed, token_of):
    """The token is opened before anything of the body is parsed, so that nobody without a page has it parsed."""
    call = body(token_of(sealer), "add", *[[{}]] * 10_000)
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
    """A call begins with its token. Any other body is refused, and is not parsed."""
    call = body(sealer.seal(Counter(), **ANN))
    with pytest.raises(StateError) as caught:
        sealer.handle(change(call), **ANN)
    assert type(caught.value) is StateError
    assert parsed == []


def test_a_second_token_in_the_body(sealer):
    """No other token than the first member counts: a second one is refused, and one among the arguments is theirs."""
    token, other = sealer.seal(Counter(), **ANN), sealer.seal(Counter(), session_id="5555")
    call = body(token, "keep", {"token": other})
    assert sealer.handle(call, **ANN)
    for first, second in ((token, other), (other, token), (token, token)):
        call = json.dumps({"token": first, "method": "add"}).encode()[:-1] + f', "token": "{second}"}}'.encode()
        with pytest.raises((UnsealError, StateError)):
            sealer.handle(call, **ANN)


def test_a_token_that_is_spelled_with_an_escape(sealer, parsed):
    """A token that JSON would spell in another way is none, though the parser would find a good one."""
    token = sealer.seal(Counter(), **ANN)
    call = body(token).replace(token.encode(), f"\\u{ord(token[0]):04x}{token[1:]}".encode())
    assert json_loads(call)["token"] == token
    assert refused(lambda: sealer.handle(call, **ANN)) == "malformed"
    assert parsed == []


def test_spaces_around_the_token(sealer):
    """White space before the token is JSON's, and does not matter."""
    token = sealer.seal(Counter(), **ANN)
    assert sealer.handle(f' \t\r\n{{ \n"token"\t:\r "{token}" , "method": "add" }} '.encode(), **ANN)
    for kind in (bytearray, memoryview):
        assert sealer.handle(kind(body(token)), **ANN)


def test_what_a_method_raises(sealer, told):
    """A method's own error passes as it is; a StaleStateError of its own is told like any."""
    token = sealer.seal(Counter(), **ANN)
    told.clear()
    with pytest.raises(ZeroDivisionError):
        sealer.handle(body(token, "fail"), **ANN)
    with pytest.raises(StaleStateError, match="item 7 is sold"):
        sealer.handle(body(token, "sold"), **ANN)
    assert seen(told) == ["opened", "opened", "stale"]


def test_results_that_no_page_takes(sealer):
    """A result that is no JSON is an error of the application, which names the method."""
    token = sealer.seal(Counter(), **ANN)
    assert json.loads(sealer.handle(body(token, "answer", "ok"), **ANN))["result"] == {"ok": [1]}
    for kind in ("nan", "object"):
        with pytest.raises(TypeError, match=r"Counter\.answer: the result must be JSON"):
            sealer.handle(body(token, "answer", kind), **ANN)


def test_async_methods(sealer):
    """handle cannot await: the error of an async method says what to call instead, and nothing is left unawaited."""
    token = sealer.seal(Counter(), **ANN)
    with pytest.raises(
        TypeError, match=r"Counter\.wait: is async, and handle\(\) does not await it\. Use resume\(\), await"
    ):
        sealer.handle(body(token, "wait"), **ANN)


def test_a_client_that_sends_too_much(sealer, told):
    """A method that keeps what a client sends gets the error of whoever seals too much; the page has its old token."""
    token = sealer.seal(Counter(), **ANN)
    with pytest.raises(StateTooLargeError):
        sealer.handle(body(token, "keep", "x" * 100_000), **ANN)
    assert seen(told) == ["sealed", "opened", "too_large"]
    assert sealer.handle(body(token), **ANN)


# ---------------------------------------------------------------------------------------------------------------- size


def test_max_size(keys, clock, told):
    """A token has at most max_size characters; more is an error that names the largest attributes."""
    sealer = StateSealer(**keys, clock=clock, max_size=1000, compress=False, on_event=told.append)
    sealer.register(Counter)
    counter = Counter()
    counter.text, counter.small = "", 1
    room = (1000 - len(sealer.seal(counter, **ANN))) * 3 // 4
    counter.text = "x" * (room - 8)
    token = sealer.seal(counter, **ANN)
    assert 950 < len(token) <= 1000
    assert sealer.resume(token, **ANN).text == counter.text
    told.clear()
    counter.text += "x" * 50
    with pytest.raises(StateTooLargeError) as caught:
        sealer.seal(counter, **ANN)
    error = caught.value
    assert error.limit == 1000
    assert 1000 < error.size < 1100
    assert list(error.by_key) == ["text", "load()", "small"]
    assert [(event.kind, event.size) for event in told] == [("too_large", error.size)]


def test_a_token_that_is_longer_than_this_sealer_takes(keys, clock):
    """A token of a sealer with a larger max_size is refused by its length."""
    token = StateSealer(**keys, clock=clock).seal("x" * 2000, **ANN)
    assert StateSealer(**keys, clock=clock, max_size=256).unseal(token, **ANN) == "x" * 2000
    token = StateSealer(**keys, clock=clock, compress=False).seal("x" * 2000, **ANN)
    assert refused(lambda: StateSealer(**keys, clock=clock, max_size=256).unseal(token, **ANN)) == "malformed"


def test_a_large_state(sealer):
    """A state may be much larger than a cookie."""
    value = [os.urandom(40_000), ["text"] * 3000]
    assert sealer.unseal(sealer.seal(value, **ANN), **ANN) == value


# -------------------------------------------------------------------------------------------------------- registry


def test_a_registry(keys, clock):
    """The types of a registry can be sealed, families and references among them; others name the registry."""
    fetched = []
    registry = StateRegistry()
    registry.register_base(
        Gone,
        "gone",
        encode=lambda gone: gone.args[0],
        decode=str,
        fetch=lambda names: fetched.append(names) or [*map(Gone, names)],
    )
    sealer = StateSealer(**keys, clock=clock, registry=registry)
    sealer.register(Item)
    item = Item(7, shop=Gone("a"))
    item.text, item.more = Gone("b"), [Gone("c")]
    token = sealer.seal(item, **ANN)
    assert fetched == []
    back = sealer.resume(token, **ANN)
    assert [gone.args for gone in (back.shop, back.text, *back.more)] == [("a",), ("b",), ("c",)]
    assert fetched == [["a", "b", "c"]]
    with pytest.raises(NotSerializableError, match=r"Gone are not stored in states"):
        StateSealer(**keys, registry=Registry()).seal(Gone("a"), **ANN)


def test_what_a_reference_raises(keys, clock, told):
    """A reference to what is gone is a stale state, and told; a database that is down is its own error."""
    answers = []

    def fetch(names):
        raise answers.pop()

    registry = StateRegistry()
    registry.register_base(Gone, "gone", encode=lambda gone: gone.args[0], decode=str, fetch=fetch)
    sealer = StateSealer(**keys, clock=clock, registry=registry, on_event=told.append)
    token = sealer.seal([Gone("a")], **ANN)
    told.clear()
    answers += [ConnectionError("down"), StaleStateError("a is gone")]
    with pytest.raises(StaleStateError, match="a is gone"):
        sealer.unseal(token, **ANN)
    assert seen(told) == ["stale"]
    with pytest.raises(ConnectionError, match="down"):
        sealer.unseal(token, **ANN)
    assert seen(told) == []


# -------------------------------------------------------------------------------------------------------------- events


def test_events(keys, sealer, told, clock):
    """Every event names sealer and session, as the session's own events do where the id is one of ours."""
    sealer.unseal(sealer.seal(1, session_id=SID), session_id=SID)
    told_of_the_session = []
    config = SessionConfig(**keys, clock=clock, on_event=told_of_the_session.append)
    config.events.emit("opened", sid=bytes.fromhex(SID))
    assert [(event.kind, event.cookie) for event in told] == [("sealed", "state"), ("opened", "state")]
    assert {event.session for event in told} == {told_of_the_session[0].session}
    assert told[0].size > 60
    told.clear()
    for session_id in ("s:1", "s:2"):
        sealer.seal(1, session_id=session_id)
    assert len({event.session for event in told}) == 2


def test_without_a_hook(keys, caplog):
    """Without a hook nothing is told, and what somebody may have to act on is logged all the same."""
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
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "state 'todo' rejected, malformed: a token that is not strict base64url without padding"),
        ("WARNING", "state 'todo': NotPublic, Counter.reset is not marked @public"),
        ("INFO", "state 'todo': StaleState, item 7 is sold"),
    ]


def test_no_secret_is_told(keys, other_keys, sealer, told, caplog, clock):
    """No event and no record holds a key, a token, a session's id, a user or a value of a state."""
    caplog.set_level(logging.DEBUG)
    owner = {"session_id": SID, "user": "confidential-user"}
    counter = Counter()
    counter.text = "confidential"
    token = sealer.seal(counter, **owner)
    attempts = [
        lambda: sealer.unseal(token[:-4] + "AAAA", **owner),
        lambda: sealer.unseal(token, session_id=SID, user="bob"),
        lambda: StateSealer(**other_keys, clock=clock, on_event=told.append).unseal(token, **owner),
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
    assert {event.kind for event in told} == {"sealed", "opened", "rejected", "stale", "bad_call", "too_large"}
    shown = repr(told) + caplog.text
    for secret in (token[:20], token[30:50], SID, "confidential", *keys.values(), *other_keys.values()):
        assert secret not in shown


def test_errors_show_no_secret(sealer):
    """A sealer's repr shows no key."""
    assert re.fullmatch(r"<sealedsession\.state\.sealer\.StateSealer object at 0x[0-9a-f]+>", repr(sealer))


def test_the_browser_module_is_there():
    """The path of the browser's part is that of a file in the package."""
    assert SCRIPT.name == "sealed_state.js"
    assert SCRIPT.is_file()
