"""The Hyperdiv plugin, on Hyperdiv's own runners: the application function runs, and a test plays the browser."""

import ast
import json
import logging
import threading
import time
from base64 import urlsafe_b64decode
from copy import deepcopy
from pathlib import Path
from traceback import walk_tb

import hyperdiv as hd
import pytest
from hyperdiv.exceptions import Stop
from hyperdiv.test_utils import MockManualRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from sealedsession import ConfigError, SessionConfig
from sealedsession.config import DAY, HOUR, SessionOptions
from sealedsession.errors import SealError, SessionClosedError, StoreError
from sealedsession.integrations.hyperdiv import sealed_session, tokens
from sealedsession.revocation import MemoryStore, RevocationStore, SQLiteStore
from sealedsession.sealing.keys import Keyring
from sealedsession.sealing.sealer import Sealer
from tests.support.forks import in_fork
from tests.support.pages import PAGES, block_with, literals, rows, run, section

KEYS = {
    "validate_key": "L2Y0Z3fREApcKqjQ1-5im1yDuPovUzVKx5plVATACO4",
    "encrypt_key": "nVrAjanE_Tr7gxWPUw3qHDpsRwra9JzaiZWEOZ_G9bw",
}
OTHER_KEYS = {
    "validate_key": "BbMnPkV5nDeTF-JWm-nAw9IoXwnYuIuAShiuXXnaY6g",
    "encrypt_key": "rKjse4DFshgS64DKCJIl4m25rMv3yBcKGtGY56yUSQw",
}
BOTH_KEYS = {option: [OTHER_KEYS[option], KEYS[option]] for option in KEYS}  # the second is the fallback


@pytest.fixture(autouse=True)
def new_process(monkeypatch):
    """No managers, as in a process that has just started."""
    monkeypatch.setattr(tokens, "_managers", {})


def restart():
    """What the present test goes on with is another process."""
    tokens._managers.clear()


class Window:
    """A window of a browser: an application with one session, and what its plugin's script would send and get.

    Whatever is to happen in the application happens in `do`, as the answer to a click.
    """

    def __init__(self, token="", consent=False, **options):
        self.options = {**KEYS, **options}
        self.action = None
        self.runs = 0
        self.offers = 0
        self.runner = MockManualRunner(self.application)
        self.settle()
        assert not self.loaded
        self.offer(token, consent)

    def application(self):
        self.runs += 1
        session = sealed_session(key="session", **self.options)
        self.loaded = session.loaded
        if hd.button("Do", key="do").clicked:
            self.action(session)
        self.see(session)

    def see(self, session):
        self.id = session.session_id
        self.authenticated = session.is_authenticated()
        self.subject = session.subject
        self.consent = session.gdpr_flag
        self.data = deepcopy(session.data) if self.authenticated else None

    def settle(self):
        self.runner.advance()
        queues = self.runner.app_runner
        while queues.input_queue.qsize() or queues.ui_updates:
            self.runner.advance()

    def send(self, prop, value):
        """Write a prop as a browser does, in JSON."""
        self.runner.app_runner.enqueue_ui_updates(json.loads(json.dumps([["session", prop, value]])))
        self.settle()

    def offer(self, token, consent=False):
        self.offers += 1
        self.send("_offered", [self.offers, token, consent])

    def do(self, action):
        self.action = action
        self.runner.app_runner.enqueue_ui_updates([("do", "clicked", True)])
        self.settle()

    @property
    def answer(self):
        """The last message that has gone to the browser: number of the offer, token, consent."""
        for message in reversed(self.runner.connection.msgs):
            if "_answer" in (props := message.get("diff", {}).get("session", {}).get("props", {})):
                return tuple(json.loads(json.dumps(props["_answer"])))
        return 0, "", False

    @property
    def token(self):
        return self.answer[1]


def login(session):
    session.login("user:1")


def signed_in(**options):
    """A window in which user:1 has signed in and counted to 1."""
    window = Window(**options)
    window.do(login)
    window.do(count)
    assert (window.subject, window.data) == ("user:1", {"count": 1})
    return window


def count(session):
    session.data["count"] = session.data.get("count", 0) + 1


def put(value):
    """An action that puts a value into the data."""

    def action(session):
        session.data["value"] = value

    return action


def is_refused(token, **options):
    return not Window(token, **options).authenticated


# ------------------------------------------------------------------------------------------------------------ the story


def test_the_story():
    """Nobody is authenticated at first; a token makes another window the same session; it ends by clear."""
    first = Window()
    assert (first.authenticated, first.id, first.subject) == (False, "", None)
    first.do(lambda session: session.create_new())
    assert first.authenticated
    assert (len(first.id), first.subject, first.data) == (32, None, {})
    first.do(count)
    second = Window(first.token)
    assert (second.id, second.data) == (first.id, {"count": 1})
    first.do(lambda session: session.clear())
    assert (first.authenticated, first.id) == (False, "")
    assert first.answer == (1, "", False)


def test_every_session_has_its_own_id():
    """create_new gives another id, and nothing of the session before."""
    window = Window()
    window.do(login)
    before = window.id
    window.do(lambda session: session.create_new())
    assert window.authenticated
    assert (window.subject, window.data) == (None, {})
    assert window.id != before


def test_login_gives_a_new_id_and_keeps_what_nobody_owned():
    """What an anonymous session holds goes over to who signs in, under an id that nobody knew before."""
    window = Window()
    window.do(lambda session: session.create_new())
    window.do(count)
    before = window.id
    window.do(login)
    assert (window.subject, window.data) == ("user:1", {"count": 1})
    assert window.id != before
    assert Window(window.token).subject == "user:1"


def test_login_of_the_same_user_keeps_the_data_and_changes_the_id():
    """Who proves again who he is stays where he was."""
    window = signed_in()
    before = window.id
    window.do(login)
    assert (window.subject, window.data) == ("user:1", {"count": 1})
    assert window.id != before


def test_login_of_another_user_gets_nothing_of_the_one_before():
    """One user's data is not the next one's, whether it was sealed before or changed in the same run."""

    def change_over(session):
        count(session)
        session.login("user:2")

    window = signed_in()
    window.do(change_over)
    assert (window.subject, window.data) == ("user:2", {})


@pytest.mark.parametrize("subject", [None, 1, "", "x" * 256])
def test_subjects_are_checked(subject):
    """An invalid subject is refused, and no user is signed in."""

    def attempt(session):
        with pytest.raises((TypeError, ValueError), match=r"^subject: it must"):
            session.login(subject)

    window = Window()
    window.do(attempt)
    assert not window.authenticated


def test_consent():
    """The server sends the consent with the token, a stored token includes it, and clear() withdraws it."""
    window = signed_in()
    assert (window.consent, window.answer[2]) == (False, False)
    window.do(lambda session: setattr(session, "gdpr_flag", True))
    assert window.consent
    assert window.answer == (1, window.token, True)
    assert Window(window.token, consent=True).consent
    window.do(count)
    assert window.answer[2]
    window.do(lambda session: session.clear())
    assert window.answer == (1, "", False)


def test_consent_is_a_bool():
    """A flag that is no bool is the application's mistake, and says so."""

    def attempt(session):
        with pytest.raises(TypeError, match=r"^gdpr_flag: .* got a str$"):
            session.gdpr_flag = "no"
        assert session.is_gdpr_allowed() is False

    Window().do(attempt)


def test_a_browser_that_claims_consent_gains_nothing():
    """Consent without a token authenticates nobody; it is the browser's own storage that it is about."""
    window = Window("", consent=True)
    assert window.consent
    assert not window.authenticated


def test_the_token_is_encrypted():
    """Neither subject nor data can be read in a token."""
    window = Window()
    window.do(login)
    window.do(put("a secret value"))
    envelope = urlsafe_b64decode(window.token + "=" * (-len(window.token) % 4))
    assert b"a secret value" not in envelope
    assert b"user:1" not in envelope


def test_the_assets_are_there():
    """The page loads one script, which is a file of the package."""
    window = Window()
    (plugin,) = (
        child for child in window.runner.connection.msgs[0]["dom"]["children"] if child["name"] == "sealed_session"
    )
    assert plugin["assets"] == [("js-link", "/hyperdiv-plugins/sealed_session/sealed_session.js")]
    assert 'registerPlugin("sealed_session"' in (Path(sealed_session._assets_root) / "sealed_session.js").read_text()


# -------------------------------------------------------------------------------------------------------- hostile input


@pytest.mark.parametrize(
    "offered",
    [
        None, True, 1, -1, 1.5, "", "token", [], {}, [[]], {"token": "x"},
        [2, "", False, 1], [2, 1, False], [2, "", 0], ["2", "", False], [True, "", False], [2.0, "", False],
        [2, None, False], [2, ["x"], False], [2, {}, False], [-1, "x", True], [2**400, "x", False],
        [2, "x" * 1_000_000, False], [2, "\ud800\u20ac\0\n;", False], [2, "=", False], [2, ";;;;", True], "$reset",
    ],
)  # fmt: skip
def test_whatever_the_browser_offers(offered):
    """Any value in the browser's prop is nobody's session, also for who was authenticated, and harms nothing."""
    window = signed_in()
    window.send("_offered", offered)
    if offered in (None, True):  # no message: it counts as none, and none has been answered
        assert not window.authenticated
    window.offer("")
    assert not window.authenticated
    window.do(login)
    assert window.subject == "user:1"


def test_offers_are_counted_from_one():
    """An offer of a number that no browser gives is none: nothing of it is taken."""
    token = signed_in().token
    window = Window()
    window.send("_offered", [-5, token, True])
    assert not window.authenticated
    assert window.runner.get_state("session", "_offered") == (0, "", False)


def test_a_long_token_is_not_kept(caplog):
    """Of what is far too long to be a token the server keeps no more than it takes to refuse it."""
    window = Window()
    window.offer("A" * 5_000_000)
    assert not window.authenticated
    assert len(window.runner.get_state("session", "_offered").token) == 65_537
    assert "malformed" in caplog.text
    assert "65537" in caplog.text


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))


def test_any_json_in_any_prop():
    """Whatever is written into any prop, nobody becomes authenticated, and the application goes on."""
    window = Window()

    @settings(deadline=None)
    @given(prop=st.sampled_from(["_offered", "_answer", "_changed", "_storage_key"]), value=JSON)
    def write(prop, value):
        runs = window.runs
        window.send(prop, value)
        assert not window.authenticated
        window.offer("")
        window.do(lambda session: None)
        assert window.runs > runs

    write()
    window.do(login)
    assert window.subject == "user:1"


def test_every_change_of_a_token_is_noticed():
    """A token with one character changed, dropped or added opens for nobody."""
    window = signed_in()
    token = window.token
    other = Window()
    for at in range(len(token)):
        other.offer(token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :])
        assert not other.authenticated
    around = (f'"{token}"', f" {token}", f"{token} ", f"{token};", f"{token}\t", f"\\{token}", f"x; session={token}")
    for changed in (token[:-1], token[1:], token + "A", token + "=", " " + token[1:], token * 2, *around):
        other.offer(changed)
        assert not other.authenticated
    other.offer(token)
    assert other.authenticated


def test_tokens_of_other_purposes():
    """A token from a cookie with the same keys is refused, and so is a token in a cookie or under another name."""
    window = signed_in()
    keyring = Keyring(**KEYS)
    cookie = Sealer(keyring, "cookie:session").seal(b"}.", created=int(time.time()), session_id=bytes(16))
    assert is_refused(cookie)
    assert is_refused(window.token, name="admin")
    assert Sealer(keyring, "hyperdiv:session", max_length=65536).unseal(window.token.encode()).session_id is not None


@pytest.mark.parametrize("payload", [b"", b"}.", b"]q.", b"N.", b"garbage"])
def test_contents_that_are_none(payload, caplog):
    """A sealed payload that is not a session is refused and reported, and a valid one is read."""
    token = Sealer(Keyring(**KEYS), "hyperdiv:session").seal(payload, created=int(time.time()), session_id=bytes(16))
    assert is_refused(token) is (payload != b"}.")
    assert ("forbidden_value" in caplog.text) is (payload != b"}.")


def test_json_is_not_read():
    """One serializer is accepted, so that one reader is all there is to attack."""
    token = Sealer(Keyring(**KEYS), "hyperdiv:session").seal(b"{}", created=int(time.time()), serializer=1)
    assert is_refused(token)


def test_a_refused_token_is_taken_from_the_browser(caplog):
    """What will never open again is deleted in the browser, with the consent, and reported once."""
    window = Window("AAAA", consent=True)
    assert window.answer == (1, "", False)
    assert not window.consent
    window.do(lambda session: None)
    assert caplog.text.count("rejected, malformed") == 1


def test_a_token_that_may_be_right_elsewhere_stays_in_the_browser():
    """A token of a key that this server does not know yet is kept, because another server may know the key."""
    token = signed_in().token
    restart()
    window = Window(token, consent=True, **OTHER_KEYS)
    assert not window.authenticated
    assert window.answer == (0, "", False)


def test_an_answer_that_crosses_an_offer_does_not_count():
    """The latest offer is the truth, whatever was answered to an older one: so both sides end up with the same."""
    window, other = signed_in(), Window()
    other.do(lambda session: session.login("user:2"))
    crossed = window.answer
    window.offer(other.token)
    assert window.subject == "user:2"
    window.send("_answer", list(crossed))
    assert window.subject == "user:2"
    window.do(count)
    assert window.answer[0] == 2
    assert window.subject == "user:2"


# ----------------------------------------------------------------------------------------------------------------- time


def test_the_idle_timeout_counts_from_use(clock):
    """A token in use is sealed again in time, one that is not used runs out."""
    window = Window(idle_timeout=HOUR, absolute_timeout=DAY, clock=clock, leeway=0)
    window.do(login)
    first = window.token
    for _ in range(10):
        clock.advance(HOUR // 2)
        window.do(lambda session: None)
        assert window.authenticated
    assert window.token != first
    assert is_refused(first, **window.options)
    clock.advance(HOUR + 1)
    window.do(lambda session: None)
    assert not window.authenticated
    assert window.answer == (1, "", False)


def test_an_unchanged_token_stays(clock):
    """A token is not sealed again before the refresh interval has passed."""
    window = signed_in(idle_timeout=HOUR, clock=clock)
    before = window.token
    clock.advance(HOUR // 10 - 1)
    window.do(lambda session: session.data)
    assert window.token == before
    clock.advance(1)
    window.do(lambda session: None)
    assert window.token != before
    assert window.data == {"count": 1}


def test_the_absolute_timeout(clock):
    """However much a session is used, it ends."""
    window = Window(idle_timeout=HOUR, absolute_timeout=2 * HOUR, clock=clock, leeway=0)
    window.do(login)
    for _ in range(4):
        clock.advance(HOUR // 2)
        window.do(lambda session: None)
        assert window.authenticated
    clock.advance(1)
    window.do(lambda session: None)
    assert not window.authenticated


def test_a_change_does_not_prolong_the_absolute_timeout(clock):
    """Sealing data keeps the time at which the session began; signing in begins a new one."""
    window = Window(idle_timeout=None, absolute_timeout=HOUR, clock=clock, leeway=0)
    window.do(lambda session: session.create_new())
    clock.advance(HOUR)
    window.do(count)
    assert window.data == {"count": 1}
    assert is_refused(window.token, **window.options) is False
    clock.advance(1)
    window.do(lambda session: None)
    assert not window.authenticated


# ----------------------------------------------------------------------------------------------------------------- keys


def test_fallback_keys_open_and_seal_again(clock):
    """After a key change old tokens open, and are sealed by the new key in use; then the old key can go."""
    token = signed_in(clock=clock).token
    restart()
    clock.advance(60)
    window = Window(token, clock=clock, **BOTH_KEYS)
    assert window.data == {"count": 1}
    assert window.token not in ("", token)
    restart()
    assert is_refused(token, clock=clock, **OTHER_KEYS)
    assert Window(window.token, clock=clock, **OTHER_KEYS).data == {"count": 1}


def test_two_windows_on_servers_amid_a_key_change(clock):
    """Two servers that take each other's key for the old one do not seal a token again for each other without end."""
    token = signed_in(clock=clock).token
    turns = 0
    for _ in range(5):
        for keys in (BOTH_KEYS, {option: keys[::-1] for option, keys in BOTH_KEYS.items()}):
            restart()
            clock.advance(10)
            window = Window(token, clock=clock, **keys)
            assert window.authenticated
            if window.token:
                token, turns = window.token, turns + 1
    assert turns == 1


def test_a_keyring_file_is_read_again(tmp_path, clock):
    """Keys come from a keyring's file too, and a change of it needs no restart."""

    def write(*states):
        pairs = [
            {"validate_key": keys["validate_key"], "encrypt_key": keys["encrypt_key"], "state": state}
            for keys, state in zip((KEYS, OTHER_KEYS), states, strict=True)
        ]
        ring.write_text(json.dumps({"version": 1, "keys": pairs}))

    ring = tmp_path / "keys.json"
    write("primary", "staged")
    ring.chmod(0o600)
    window = signed_in(validate_key=None, encrypt_key=None, keyring=f"file:{ring}", clock=clock)
    before = window.token
    write("fallback", "primary")
    clock.advance(61)
    window.do(lambda session: None)
    assert window.authenticated
    assert window.token[:4] != before[:4]  # the head, which names the key


# ----------------------------------------------------------------------------------------------------------- revocation


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    return MemoryStore() if request.param == "memory" else SQLiteStore(tmp_path / "revoked.db")


def test_logout_ends_all_copies(store):
    """After a logout neither the token nor the one before it opens in any window."""
    window = Window(revocation=store)
    window.do(login)
    first = window.token
    window.do(count)
    second = window.token
    copy = Window(second, revocation=store)
    assert copy.authenticated
    window.do(lambda session: session.logout())
    assert not window.authenticated
    assert window.answer == (1, "", False)
    copy.do(lambda session: None)
    assert not copy.authenticated
    assert is_refused(first, revocation=store)
    assert is_refused(second, revocation=store)


def test_what_is_revoked_elsewhere_is_refused_at_the_next_run(store):
    """A shell that revokes a subject ends the sessions of open windows and of copies; a later sign-in is not meant."""
    window = signed_in(revocation=store)
    token = window.token
    store.revoke_subject("user:1", ttl=DAY)
    window.do(lambda session: None)
    assert not window.authenticated
    assert is_refused(token, revocation=store)


def test_revoke_subject_exempts_the_session_that_calls_it(store):
    """Signing out everywhere else: this session goes on under a new id, and its older tokens do not open."""

    def everywhere(session):
        session.data["count"] = 7
        session.revoke_subject("user:1")
        session.data["after"] = True

    window = signed_in(revocation=store)
    before, id_before = window.token, window.id
    other = signed_in(revocation=store)
    window.do(everywhere)
    assert (window.subject, window.data) == ("user:1", {"count": 7, "after": True})
    assert window.id != id_before
    assert is_refused(before, revocation=store)
    other.do(lambda session: None)
    assert not other.authenticated


def test_revoke_subject_of_others(store):
    """An administrator's own session is not concerned."""
    admin, user = Window(revocation=store), signed_in(revocation=store)
    admin.do(lambda session: session.login("admin"))
    before = admin.token
    admin.do(lambda session: session.revoke_subject("user:1"))
    assert (admin.subject, admin.token) == ("admin", before)
    user.do(lambda session: None)
    assert not user.authenticated


def test_a_store_in_memory_is_one_for_all_windows():
    """A store that is named in the options of every run is made once."""
    window = signed_in(revocation="memory")
    token = window.token
    window.do(lambda session: session.logout())
    assert is_refused(token, revocation="memory")


def test_logout_needs_a_store():
    """Without a store logout says what to do, and nothing has happened; clear needs none."""

    def attempt(session):
        with pytest.raises(ConfigError, match=r"^logout\(\): .*revocation"):
            session.logout()
        with pytest.raises(ConfigError, match="revocation"):
            session.revoke_subject("user:1")

    window = signed_in()
    window.do(attempt)
    assert window.authenticated


class Broken(RevocationStore):
    def revoke(self, key, entry, ttl, caller=None):
        raise StoreError("down")

    def find(self, keys):
        raise StoreError("down")


@pytest.mark.parametrize("on_store_error", ["reject", "allow"])
def test_a_store_that_is_down(on_store_error, caplog):
    """Sessions are refused, or accepted where that was chosen; and the browser keeps its token."""
    token = signed_in().token
    restart()
    window = Window(token, revocation=Broken(), on_store_error=on_store_error)
    assert window.authenticated is (on_store_error == "allow")
    assert window.answer == (0, "", False)
    assert caplog.records[0].levelname == "ERROR"
    assert "down" in caplog.records[0].getMessage()


# ----------------------------------------------------------------------------------------------------------------- data


def test_changes_are_found_inside_values():
    """A change of a nested value is saved without a further call."""

    def append(session):
        session.data["value"].append({"price": 3})

    window = Window()
    window.do(login)
    window.do(put([]))
    window.do(append)
    assert Window(window.token).data == {"value": [{"price": 3}]}


def test_types_come_back_as_they_were():
    """The types that sessions hold are those that the data holds."""
    window = Window()
    window.do(login)
    window.do(put({1: (2, {3}), "bytes": b"\0"}))
    assert Window(window.token).data == {"value": {1: (2, {3}), "bytes": b"\0"}}


def test_reading_seals_nothing():
    """A run that reads the data, or changes it back, leaves token and browser alone and causes no further run."""

    def there_and_back(session):
        count(session)
        session.data["count"] -= 1

    window = signed_in()
    before, messages = window.token, len(window.runner.connection.msgs)
    for action in (lambda session: session.data["count"], there_and_back):
        runs = window.runs
        window.do(action)
        assert window.runs == runs + 1
    assert window.token == before
    assert len(window.runner.connection.msgs) == messages


def test_assigning_replaces_all():
    """data can be assigned as a whole, to itself too, and what is assigned stays the application's own."""
    mine = {"count": 5}

    def assign(session):
        session.data = mine
        session.data["more"] = 1
        session.data = session.data

    window = signed_in()
    window.do(assign)
    assert window.data == {"count": 5, "more": 1}
    assert mine == {"count": 5}


def test_all_changes_of_one_run_are_kept():
    """Whatever else changes in a run, and however many runs follow at once, no change is lost or made twice."""
    window = Window()
    state = {}

    def application():
        session = sealed_session(key="session", **KEYS)
        mode = hd.state(turn=0)
        if hd.button("Do", key="do").clicked:
            if not session.is_authenticated():
                session.login("user:1")
            count(session)
            mode.turn = 1
        elif mode.turn == 1:  # the run that follows at once
            count(session)
            mode.turn = 2
        elif mode.turn == 2:
            mode.turn = 3
        state["count"] = session.data["count"] if session.is_authenticated() else None

    window.runner = MockManualRunner(application)
    window.settle()
    window.offer("")
    for clicks in range(1, 4):
        window.do(None)
        assert state["count"] == 2 * clicks
        assert Window(window.token).data == {"count": 2 * clicks}


def test_clicks_that_wait_for_each_other():
    """Clicks that pile up while the server is busy each change what the one before has left."""
    window = signed_in()
    window.action = count
    window.runner.app_runner.enqueue_ui_updates([("do", "clicked", True)] * 30)
    window.settle()
    assert window.data == {"count": 31}
    assert Window(window.token).data == {"count": 31}


def test_a_dict_that_was_taken_before_signing_in_stays_the_data():
    """The dict of a run stays the same, whatever becomes of the session in that run."""

    def sign_in_between(session):
        session.create_new()
        data = session.data
        data["before"] = 1
        session.login("user:1")
        data["after"] = 2
        assert session.data is data

    window = Window()
    window.do(sign_in_between)
    assert (window.subject, window.data) == ("user:1", {"before": 1, "after": 2})


def test_a_failed_login_changes_nothing():
    """When what is to be sealed cannot be, the session is what it was."""

    def attempt(session):
        session.data["value"] = object()
        with pytest.raises(SealError):
            session.login("user:1")
        assert session.subject is None
        del session.data["value"]

    window = Window()
    window.do(lambda session: session.create_new())
    before = window.id
    window.do(attempt)
    assert (window.id, window.subject) == (before, None)


def test_no_data_without_a_session():
    """Where there is no session, data says so at once instead of losing what is put there."""

    def attempt(session):
        with pytest.raises(SealError, match=r"Call create_new\(\) or login\(\) first"):
            session.data["value"] = 1
        with pytest.raises(SealError, match="no session"):
            session.data = {}

    window = Window()
    window.do(attempt)
    window.do(login)
    window.do(lambda session: session.clear() or attempt(session))
    assert not window.authenticated


@pytest.mark.parametrize("sign_in", [login, lambda session: session.create_new()])
def test_what_cannot_be_stored_is_named(sign_in, capsys):
    """The error names the place and the type, the browser keeps the token it has, and the window's application ends."""
    window = Window()
    window.do(sign_in)
    before = window.token
    with pytest.raises(Stop):
        window.do(put({"a": [object()]}))
    assert "NotSerializableError: session.data['value']['a'][0]: " in capsys.readouterr().out
    assert window.token == before


@pytest.mark.parametrize("size", [60_000, 100_000])
def test_a_token_has_a_size(size, capsys):
    """A token may be much longer than a cookie; over max_size the error names the largest keys, and nothing is lost."""
    window = signed_in()
    window.do(put("x" * 40_000))
    assert 50_000 < len(window.token) <= 65_536
    assert len(Window(window.token).data["value"]) == 40_000
    before = window.token
    with pytest.raises(Stop):
        window.do(put("x" * size))
    printed = capsys.readouterr().out
    assert "NotSerializableError: session.data: " in printed
    assert "max_size is 65536" in printed
    assert "'value' 8" in printed
    assert window.token == before


def test_a_smaller_size_can_be_set(capsys):
    """max_size bounds what is sealed and what is accepted; compression makes room."""
    window = signed_in()
    short = window.token
    window.do(put("x" * 200))
    restart()
    assert is_refused(window.token, max_size=256)
    window = Window(short, max_size=256)
    assert window.authenticated
    with pytest.raises(Stop):
        window.do(put("x" * 200))
    assert "max_size is 256" in capsys.readouterr().out
    restart()
    window = Window(max_size=256, compress=True)
    window.do(login)
    window.do(put("x" * 200))
    assert window.data == {"value": "x" * 200}


def test_a_session_that_fits_no_more_goes_on(clock, caplog):
    """What came in and is too long to be sealed again is used until it ends, and reported."""
    window = signed_in(clock=clock)
    window.do(put("x" * 300))
    restart()
    clock.advance(HOUR)
    window.options["pad"] = 255
    window.options["max_size"] = len(window.token)
    again = Window(window.token, **window.options)
    assert again.data["value"] == "x" * 300
    assert caplog.records[-1].levelname == "ERROR"
    assert "session.data: " in caplog.records[-1].getMessage()


def test_data_that_changes_in_every_run_is_an_error(capsys):
    """A change that every run makes again would have no end: Hyperdiv stops it, as it does with its own state."""
    window = signed_in()
    window.see = count
    with pytest.raises(RuntimeError, match="infinite loop"):
        window.do(lambda session: None)


def test_another_window_has_changed_the_same_session():
    """A change meets a token of the same session that another window has just sealed: the later data is the data."""

    def change_while_offered(session):
        session.data["mine"] = 1
        window.runner.app_runner.enqueue_ui_updates([("session", "_offered", [2, other.token, True])])

    window = signed_in()
    other = Window(window.token)
    other.do(put("theirs"))
    window.do(change_while_offered)
    assert window.data == {"count": 1, "mine": 1}
    assert window.answer == (2, window.token, True)


@pytest.mark.parametrize("theirs", ["", "another"])
def test_a_change_for_a_session_that_has_gone_is_dropped(theirs, caplog):
    """A change of data does not reach another session, nor bring one back that was signed out; the log says so."""

    def change_while_offered(session):
        session.data["mine"] = 1
        window.runner.app_runner.enqueue_ui_updates([("session", "_offered", [2, theirs and other.token, True])])

    window, other = signed_in(), Window()
    other.do(lambda session: session.login("user:2"))
    window.do(change_while_offered)
    assert (window.subject, window.data) == (("user:2", {}) if theirs else (None, None))
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_change_before_clear_goes_with_the_session(caplog):
    """Who clears a session has meant its data too: that is no loss to report."""

    def change_and_clear(session):
        count(session)
        session.clear()

    window = signed_in()
    window.do(change_and_clear)
    assert not window.authenticated
    assert caplog.records == []


# ---------------------------------------------------------------------------------------------------- tasks and threads


class TaskWindow(Window):
    """A window whose application can start a task, which the test runs in a thread of its own."""

    def start(self, work):
        def action(session):
            hd.task(key="task").run(lambda: outcome.append(attempt(session)))

        def attempt(session):
            try:
                return work(session)
            except SessionClosedError as error:
                return error

        outcome = []
        self.do(action)
        self.outcome = outcome
        (self.task,) = self.runner.task_runtime.threadpool_fns

    def finish(self):
        thread = threading.Thread(target=self.task)
        thread.start()
        thread.join(60)
        self.settle()
        return self.outcome.pop()


def test_data_is_not_lent_to_tasks():
    """Reading or assigning data in a task is an error, because its changes would be lost."""
    window = TaskWindow()
    window.do(login)
    window.start(lambda session: session.data)
    error = window.finish()
    assert isinstance(error, SessionClosedError)
    assert str(error).startswith("session.data: ")


def test_data_is_not_lent_to_later_runs():
    """The session of an earlier run refuses too: its dict is not looked at any more."""
    kept = []
    window = Window()
    window.do(login)
    window.do(kept.append)

    def attempt(_):
        with pytest.raises(SessionClosedError):
            kept[0].data = {}
        assert kept[0].subject == "user:1"

    window.do(attempt)


def test_tasks_ask_anew():
    """A task that began before a logout sees the logout at every access."""
    store = MemoryStore()
    window = TaskWindow(revocation=store)
    window.do(login)

    def work(session):
        before = session.subject, session.is_authenticated()
        store.revoke_subject("user:1", ttl=DAY)
        return before, (session.subject, session.is_authenticated(), session.session_id)

    window.start(work)
    assert window.finish() == (("user:1", True), (None, False, ""))


def test_tasks_can_sign_in_and_out():
    """What a task does to the session is seen by the run that follows it, and reaches the browser."""
    window = TaskWindow(revocation="memory")
    window.start(login)
    window.finish()
    assert window.subject == "user:1"
    assert Window(window.token, revocation="memory").subject == "user:1"
    window = TaskWindow(window.token, revocation="memory")
    window.start(lambda session: session.logout())
    window.finish()
    assert not window.authenticated
    assert window.answer == (1, "", False)


def test_a_task_that_signs_another_in_amid_a_run(caplog):
    """Data that a run was lent of one session is not the data of the one that a task begins meanwhile."""

    def amid(session):
        session.data["mine"] = 1
        hd.task(key="task").run(session.login, "user:2")
        thread = threading.Thread(target=window.runner.task_runtime.threadpool_fns.pop())
        thread.start()
        thread.join(60)
        assert session.data == {}

    window = signed_in()
    window.do(amid)
    assert (window.subject, window.data) == ("user:2", {})
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_many_windows_at_once():
    """Windows are threads that share keys, serializer and store: each keeps to its own session."""
    windows, clicks, counted = 8, 25, {}

    def make_application(number):
        def application():
            session = sealed_session(key="session", revocation="memory", **KEYS)
            if session.loaded and not session.is_authenticated():
                session.login(f"user:{number}")
            if hd.button("Count", key="count").clicked:
                count(session)
            if session.is_authenticated():
                counted[number] = session.subject, session.data.get("count", 0)

        application.__name__ = f"application_{number}"
        return application

    runners = [MockManualRunner(make_application(number)).app_runner for number in range(windows)]
    try:
        for runner in runners:
            runner.thread.start()
            runner.enqueue_ui_updates([("session", "_offered", (1, "", False))])
            runner.enqueue_ui_updates([("count", "clicked", True)] * clicks)
        expected = {number: (f"user:{number}", clicks) for number in range(windows)}
        deadline = time.monotonic() + 60
        while counted != expected and time.monotonic() < deadline:
            time.sleep(0.01)
        assert counted == expected
    finally:
        for runner in runners:
            runner.stop()
            runner.wait()


# -------------------------------------------------------------------------------------------------------------- options


def test_the_options_are_those_of_sessions():
    """Every option but max_size has the name and the type that it has for the middlewares."""
    hints = dict(tokens.TokenOptions.__annotations__)
    assert hints.pop("max_size") is int
    assert hints.pop("name") is str
    assert hints == {name: SessionOptions.__annotations__[name] for name in hints}


def test_the_options_have_the_defaults_of_sessions():
    """A missing option has the default of the middleware, except for the name."""
    here, there = tokens.TokenConfig(**KEYS), SessionConfig(**KEYS)
    assert (here.name, here.max_size) == ("session", 65_536)
    for option in set(tokens.TokenOptions.__annotations__) - {"name", "max_size", *KEYS}:
        assert getattr(here, option) == getattr(there, option), option


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"httponly": True}, "'httponly'.* validate_key, encrypt_key, "),
        ({"validate_key": None}, "^validate_key:"),
        ({"encrypt_key": None}, "^encrypt_key:"),
        ({"name": None}, "^name:"),
        ({"name": ["session"]}, "^name:"),
        ({"name": "a b"}, "^name='a b':"),
        ({"max_size": 255}, "^max_size:"),
        ({"max_size": 65_537}, "^max_size:"),
        ({"max_size": True}, "^max_size:"),
        ({"idle_timeout": 0}, "^idle_timeout=0:"),
        ({"registry": {}}, "^registry:"),
        ({"revocation": "nothing"}, "^revocation:"),
        ({"clock": 5}, "^clock:"),
    ],
)
def test_mistakes_in_options(options, message):
    """Every mistake is an error of the first run, that names the option and no key."""
    with pytest.raises(ConfigError, match=message) as caught:
        tokens.get_manager({**KEYS, **options})
    assert KEYS["validate_key"] not in str(caught.value)
    frames = [frame.f_globals["__name__"] for frame, _ in walk_tb(caught.value.__traceback__)]
    assert frames == [__name__]  # error trackers record what the plugin's frames hold
    assert tokens.get_manager(KEYS).config.cookie.name == "session"  # nothing of the attempt is left


def test_one_name_has_one_set_of_options():
    """Options that differ from run to run, or from place to place, are an error that names them and no value."""
    tokens.get_manager({**KEYS, "on_event": print})
    assert tokens.get_manager({**KEYS, "on_event": print}) is tokens.get_manager({**KEYS, "on_event": print})
    with pytest.raises(ConfigError, match="'session'") as caught:
        tokens.get_manager({**KEYS, "validate_key": OTHER_KEYS["validate_key"], "on_event": lambda event: None})
    assert "validate_key, on_event. " in str(caught.value)
    assert OTHER_KEYS["validate_key"] not in str(caught.value)
    assert tokens.get_manager({**KEYS, "name": "other"}) is not tokens.get_manager({**KEYS, "on_event": print})


def test_manager_in_a_fork():
    """A fork makes its managers although another thread of its parent was making one."""
    with tokens._making:  # as the other thread would hold it
        assert in_fork(lambda: tokens.get_manager(KEYS))


def test_managers_are_made_once(monkeypatch):
    """Threads that ask at the same time get the same manager: a store in memory must not be two."""

    class Slow(tokens.TokenManager):
        def __init__(self, config):
            time.sleep(0.05)
            super().__init__(config)

    monkeypatch.setattr(tokens, "TokenManager", Slow)
    barrier, found = threading.Barrier(8), []

    def ask():
        barrier.wait(60)
        found.append(tokens.get_manager({**KEYS, "revocation": "memory"}))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 8
    assert len(set(map(id, found))) == 1


def test_events():
    """The hook receives the events of a session, with its hashed id, and those of refused tokens."""
    events = []
    window = Window(on_event=events.append)
    window.do(login)
    window.do(count)
    shown = repr(events)
    assert window.id not in shown
    assert "user:1" not in shown
    window.offer("AAAA")
    assert [event.kind for event in events if event.kind != "opened"] == ["sealed", "sealed", "rejected"]
    assert {event.cookie for event in events} == {"session"}
    assert [event.size for event in events if event.kind == "sealed"][-1] > 100


def test_nothing_secret_is_logged(caplog):
    """No record has a token, a subject or a value in it, whatever happens."""
    caplog.set_level(logging.DEBUG, logger="sealedsession")
    window = signed_in(revocation="memory")
    token = window.token
    window.do(put("a secret value"))
    window.offer(token[:-8] + "AAAAAAAA")
    window.offer(token)
    window.do(lambda session: session.logout())
    records = [record.getMessage() for record in caplog.records if record.name == "sealedsession"]
    assert len(records) >= 2
    for secret in (token, token[:-8], "user:1", "a secret value"):
        assert not any(secret in record for record in records)


# ---------------------------------------------------------------------------------------------- docs/howto/hyperdiv.rst

PAGE = PAGES["howto/hyperdiv"]


class Visitor:
    """Somebody in front of an application from the documentation, who finds buttons by what is written on them."""

    def __init__(self, main, token=""):
        self.runner = MockManualRunner(main)
        self.send()
        (self.plugin,) = [part["key"] for part in self.parts() if part.get("name") == "sealed_session"]
        self.send((self.plugin, "_offered", (1, token, bool(token))))

    def send(self, *update):
        self.runner.app_runner.enqueue_ui_updates(list(update))
        self.runner.advance()
        while self.runner.app_runner.input_queue.qsize() or self.runner.app_runner.ui_updates:
            self.runner.advance()

    def parts(self):
        """Every dict in what has been sent to the browser, in order."""
        waiting = [self.runner.connection.msgs]
        while waiting:
            part = waiting.pop(0)
            if isinstance(part, dict):
                yield part
            waiting[:0] = part.values() if isinstance(part, dict) else part if isinstance(part, list | tuple) else ()

    def press(self, label):
        *_, key = [
            part["key"]
            for part in self.parts()
            if part.get("name") == "button" and part["children"][0]["props"]["content"] == label
        ]
        self.send((key, "clicked", True))

    @property
    def texts(self):
        return [part["content"] for part in self.parts() if "content" in part]

    @property
    def answer(self):
        *_, answer = [part["_answer"] for part in self.parts() if "_answer" in part]
        return answer


@pytest.fixture
def environment(monkeypatch):
    """The variables that the page exports."""
    for option, key in KEYS.items():
        monkeypatch.setenv(f"SESSION_{option.upper()}", key)


@pytest.mark.usefixtures("environment")
def test_the_quick_start():
    """The quick start signs in, counts, is the same in a second window, and signs out."""
    main = run(block_with(PAGE, 'hd.button("Count")'))["main"]
    visitor = Visitor(main)
    visitor.press("Sign in")
    visitor.press("Count")
    assert "user:ann: 1" in visitor.texts
    assert visitor.answer.consent
    second = Visitor(main, visitor.answer.token)
    assert "user:ann: 1" in second.texts
    visitor.press("Sign out")
    assert visitor.answer == (1, "", False)


@pytest.mark.usefixtures("environment")
def test_the_basket_of_a_visitor():
    """A visitor has a session before he signs in, and his basket comes along."""
    visitor = Visitor(run(block_with(PAGE, '"basket"'))["main"])
    visitor.press("Add a book")
    assert "1 in the basket" in visitor.texts
    visitor.press("Sign in")
    assert "Hello, user:ann" in visitor.texts
    visitor.press("Add a book")
    assert "2 in the basket" in visitor.texts


@pytest.mark.usefixtures("environment")
def test_the_task():
    """A task gets what it needs from the data, and its result is put there by the function."""
    namespace = run(block_with(PAGE, "price_of"))
    token = signed_in().token
    restart()
    visitor = Visitor(namespace["main"], token)
    visitor.press("What does it cost?")
    for work in visitor.runner.task_runtime.threadpool_fns:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join(60)
    visitor.send()
    restart()
    assert Window(visitor.answer.token).data == {"count": 1, "price": 0}


def test_the_options_of_the_page():
    """The table has every option, in order, with its default."""
    table = {literals(name)[0]: default for name, default, _ in rows(section(PAGE, "Options")) if name[0] == "`"}
    assert list(table) == list(tokens.TokenOptions.__annotations__)
    config = tokens.TokenConfig(**KEYS)
    assert (table.pop("validate_key"), table.pop("encrypt_key")) == ("required", "required")
    named = {"registry": "sealedsession.default_registry", "clock": "time.time"}
    assert {option: literals(table.pop(option))[0] for option in named} == named
    assert table.pop("refresh_interval") == "``None``"
    assert config.timeouts.refresh == HOUR
    assert {option: ast.literal_eval(literals(default)[0]) for option, default in table.items()} == {
        option: getattr(config, option) for option in table
    }


def test_the_names_of_the_page():
    """The table of what an application sees has every public name of the plugin that is not Hyperdiv's."""
    named = {name.partition("(")[0] for cell, *_ in rows(section(PAGE, "What an application sees")) for name in
             literals(cell)}  # fmt: skip
    assert named | {"is_gdpr_allowed"} == {name for name in vars(sealed_session) if name[0] != "_"}


def test_the_room_for_data():
    """The page says that about 48,000 bytes are for the data."""
    assert "about 48,000 bytes" in " ".join(PAGE.split())
    window = signed_in()
    window.do(put("x" * 48_000))
    assert len(Window(window.token).data["value"]) == 48_000
    with pytest.raises(Stop):
        window.do(put("x" * 50_000))
