"""From Cookie header to Set-Cookie: when a session is sealed, refreshed, deleted or refused, and what goes with it.

All of it holds with a cache of tokens, too.
"""

import datetime
import json
import logging
import os
import random
from collections import ChainMap
from operator import attrgetter, methodcaller
from types import MappingProxyType
from typing import NamedTuple

import pytest

from sealedsession.config import SessionConfig
from sealedsession.errors import CookieTooLargeError, NotSerializableError, SealError, SessionClosedError
from sealedsession.sealing.sealer import JSON, PICKLE
from sealedsession.serialization.limits import Limits
from sealedsession.serialization.registry import Registry
from sealedsession.session import Session
from tests.support.manager_browser import BAD_COOKIES, NAME, Browser, dumps, fill, header, tampered
from tests.support.unopened import open_session

HOUR, DAY = 3600, 24 * 3600


@pytest.fixture(autouse=True, params=[0, 2], ids=["", "cached"])
def token_cache(request, monkeypatch):
    monkeypatch.setattr(Browser, "token_cache", request.param)


@pytest.fixture
def browser(clock, keys):
    """A browser with a session of a user and a cart."""
    browser = Browser(clock, **keys)
    browser.visit(fill)
    return browser


# ------------------------------------------------------------------------------------------------- when Set-Cookie goes


@pytest.mark.parametrize(
    ("act", "sent"),
    [
        (len, False),
        (attrgetter("new", "created", "sealed_at", "rejected", "size", "modified"), False),
        (methodcaller("get", "user"), False),
        (methodcaller("__setitem__", "user", "ann"), False),
        (methodcaller("update"), False),
        (methodcaller("__ior__", {}), False),
        (methodcaller("setdefault", "user", "bob"), False),
        (methodcaller("pop", "absent", None), False),
        (lambda session: (session.update(user="bob"), session.update(user="ann")), False),
        (methodcaller("__setitem__", "user", "bob"), True),
        (lambda session: session["cart"].append("pear"), True),
        (methodcaller("__ior__", {"user": "bob"}), True),
        (methodcaller("setdefault", "absent"), True),
        (methodcaller("pop", "user"), True),
        (methodcaller("popitem"), True),
        (methodcaller("save"), True),
        (methodcaller("regenerate"), True),
        (attrgetter("id"), True),
    ],
)
def test_set_cookie_follows_a_change(browser, act, sent):
    """Only what differs from what came in, nested values included, is sealed again."""
    assert browser.sets_cookie(act) == sent


@pytest.mark.parametrize(
    ("act", "sent"),
    [
        (len, False),
        (methodcaller("clear"), False),
        (methodcaller("invalidate"), False),
        (lambda session: (session.update(user="ann"), session.clear()), False),
        (fill, True),
        (methodcaller("save"), True),
        (methodcaller("regenerate"), True),
        (attrgetter("id"), True),
    ],
)
def test_a_new_session_is_sealed_when_it_holds_something(clock, keys, act, sent):
    """A visitor whose session stays empty gets no cookie, unless the application asks for one."""
    assert Browser(clock, **keys).sets_cookie(act) == sent


@pytest.mark.parametrize(
    ("act", "content"),
    [
        (lambda session: session.update(user=session["user"] + "e"), {"user": "anne", "cart": ["apple"]}),
        (lambda session: session.setdefault("count", len(session)), {"user": "ann", "cart": ["apple"], "count": 2}),
        (lambda session: list(map(session.pop, ["user", "cart"], [None] * 2)), {}),
    ],
    ids=["update", "setdefault", "pop"],
)
def test_a_method_looked_up_before_the_session_opened(browser, act, content):
    """A first touch can stand inside another one, or be kept and called again: no change is lost."""
    browser.visit(act)
    session, _ = browser.visit()
    assert dict(session) == content


@pytest.mark.parametrize("cookie", ["", f"{NAME}=rubbish", None], ids=["none", "bad", "good"])
def test_an_untouched_session_changes_no_header(browser, cookie):
    """The application's own list of headers comes back when nobody looked into the session."""
    session = open_session(browser.manager, browser.cookie if cookie is None else cookie)
    headers = [("Content-Type", "text/plain")]
    assert browser.manager.close(session, "", 200, headers) is headers
    assert headers == [("Content-Type", "text/plain")]


def test_save_outlives_no_request(browser):
    """save() concerns one response: the next one sends no cookie for an unchanged session."""
    assert browser.sets_cookie(methodcaller("save"))
    assert not browser.sets_cookie()


@pytest.mark.parametrize(("seconds", "sent"), [(HOUR - 1, False), (HOUR, True), (HOUR + 1, True)])
def test_refresh(browser, clock, seconds, sent):
    """An accessed session is sealed again once refresh_interval has passed, as the same session."""
    before, _ = browser.visit()
    clock.advance(seconds)
    assert browser.sets_cookie() == sent
    after, _ = browser.visit()
    assert dict(after) == dict(before)
    assert after.created == before.created
    assert after.sealed_at == before.sealed_at + seconds * sent


def test_no_refresh_without_access(browser, clock):
    """A session that nobody looks into is not refreshed, however old its cookie is."""
    clock.advance(2 * HOUR)
    assert not browser.sets_cookie(id)


def test_a_fallback_key_is_replaced(clock, keys, other_keys):
    """A cookie by a fallback key opens, and is sealed again by the primary key when it is accessed."""
    old = Browser(clock, **keys)
    old.visit(fill)
    rotating = Browser(clock, **{option: [other_keys[option], keys[option]] for option in keys})
    rotating.cookie = old.cookie
    assert not rotating.sets_cookie(id)
    assert rotating.sets_cookie()
    assert not rotating.sets_cookie()
    new = Browser(clock, **other_keys)
    session, _ = new.visit(cookie=rotating.cookie)
    assert session["user"] == "ann"


# ------------------------------------------------------------------------------------------------------------- deletion


@pytest.mark.parametrize(
    "act",
    [
        methodcaller("clear"),
        methodcaller("invalidate"),
        lambda session: [session.pop(key) for key in list(session)],
    ],
)
@pytest.mark.parametrize("before", [len, attrgetter("id")], ids=["without id", "with id"])
def test_an_emptied_session_deletes_the_cookie(browser, before, act):
    """However a session was emptied, the response deletes its cookie."""
    browser.visit(before)
    assert browser.deletes_cookie(act)


def test_save_keeps_an_emptied_session(browser):
    """save() asks for a cookie, and gets one for an empty session too: it goes on as the same session."""
    before, _ = browser.visit(attrgetter("id"))
    browser.visit(lambda session: (session.clear(), session.save()))
    after, _ = browser.visit()
    assert dict(after) == {}
    assert not after.new
    assert after.id == before.id


def test_deletion_names_the_same_cookie(clock, keys):
    """A deletion carries the name, path, domain and Partitioned of the cookie that it deletes."""
    policy = {"name": "s", "path": "/shop", "domain": "example.org", "samesite": "None", "partitioned": True}
    browser = Browser(clock, **keys, **policy, persistent=True)
    browser.visit(fill)
    _, headers = browser.visit(methodcaller("clear"))
    [value] = header(headers, "Set-Cookie")
    same = "Path=/shop; Domain=example.org; Secure; HttpOnly; SameSite=None; Partitioned"
    assert value == f"s=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; {same}"


def test_a_bad_cookie_is_deleted_when_accessed(browser):
    """A bad cookie goes when its session was accessed and left empty, and not before."""
    bad = f"{NAME}=rubbish"
    assert browser.deletes_cookie(cookie=bad)
    assert not browser.sets_cookie(id, cookie=bad)


def test_a_bad_cookie_is_replaced_by_new_content(browser):
    """A session begun over a bad cookie is sealed as any other."""
    assert not browser.deletes_cookie(fill, cookie=f"{NAME}=rubbish")
    session, _ = browser.visit()
    assert session["user"] == "ann"


# ------------------------------------------------------------------------------------------------------------- identity


def test_invalidate_gives_a_new_identity(browser, clock):
    """After invalidate() new content lives in a new session: another id, begun now."""
    old_id = browser.visit(attrgetter("id"))[0].id
    clock.advance(HOUR)
    browser.visit(lambda session: (session.invalidate(), session.update(user="bob")))
    session, _ = browser.visit()
    assert dict(session) == {"user": "bob"}
    assert session.created == clock.now
    browser.visit(attrgetter("id"))
    assert browser.visit()[0].id != old_id


def test_invalidate_is_saved_even_if_the_data_comes_back(browser, clock):
    """A new session with the old data is another session: it is sealed, and its absolute timeout starts."""
    clock.advance(10)
    assert browser.sets_cookie(lambda session: (session.invalidate(), fill(session)))
    assert browser.visit()[0].created == clock.now


def test_regenerate_keeps_the_data(browser, clock):
    """After regenerate() the same data has another id, and both timeouts go on."""
    old_id = browser.visit(attrgetter("id"))[0].id
    began = clock.now
    clock.advance(HOUR)
    browser.visit(methodcaller("regenerate"))
    session, _ = browser.visit()
    assert dict(session) == {"user": "ann", "cart": ["apple"]}
    assert session.created == began
    assert session.id != old_id


def test_a_session_of_nothing_but_an_id(clock, keys):
    """An id is kept for an empty session, and keeping it costs one Set-Cookie."""
    browser = Browser(clock, **keys)
    first, _ = browser.visit(attrgetter("id"))
    again, headers = browser.visit(attrgetter("id"))
    assert again.id == first.id
    assert len(again) == 0
    assert not again.new
    assert header(headers, "Set-Cookie") == []


def test_randomness_has_one_source(clock, keys, monkeypatch):
    """The id and the nonce come from one CSPRNG: with a constant one equal sessions give equal cookies."""
    monkeypatch.setattr(SessionConfig, "_random_bytes", lambda _, count: b"r" * count)
    one, other = (Browser(clock, **keys) for _ in "ab")
    assert one.visit(attrgetter("id"))[0].id == (b"r" * 16).hex()
    other.visit(attrgetter("id"))
    assert one.cookie == other.cookie


# --------------------------------------------------------------------------------------------------------------- expiry


@pytest.mark.parametrize(
    ("options", "seconds", "reason"),
    [
        ({"absolute_timeout": None}, 7 * DAY + 60, None),
        ({"absolute_timeout": None}, 7 * DAY + 61, "expired_idle"),
        ({"idle_timeout": None}, 30 * DAY + 60, None),
        ({"idle_timeout": None}, 30 * DAY + 61, "expired_absolute"),
        ({"leeway": 0}, 7 * DAY + 1, "expired_idle"),
        ({}, -60, None),
        ({}, -61, "from_the_future"),
    ],
)
def test_both_clocks_are_enforced(clock, keys, options, seconds, reason):
    """A cookie opens up to its timeout and the leeway, to the second, and not a second longer."""
    browser = Browser(clock, **keys, **options)
    browser.visit(fill)
    clock.advance(seconds)
    session, _ = browser.visit()
    assert session.rejected == reason
    assert session.new == (reason is not None)


def test_use_does_not_outlive_the_absolute_timeout(browser, clock):
    """Refreshing moves the idle timeout only: a session in steady use ends at its absolute timeout."""
    for _ in range(30):
        clock.advance(DAY)
        assert browser.visit()[0].rejected is None
    clock.advance(DAY)
    assert browser.visit()[0].rejected == "expired_absolute"


def test_lifetime_is_carried_through_a_new_seal(browser, clock):
    """A lifetime in the seal still ends the session after the session has been sealed again."""
    browser.cookie = browser.seal(dumps({"user": "ann"}), lifetime=2 * DAY)
    clock.advance(DAY)
    assert browser.sets_cookie(methodcaller("update", seen=True))
    clock.advance(DAY + 61)
    session, _ = browser.visit()
    assert session.rejected == "expired_absolute"


# --------------------------------------------------------------------------------------------------------- bad cookies


@pytest.mark.parametrize("kind", BAD_COOKIES)
def test_a_bad_cookie_gives_a_new_session_and_its_reason(browser, kind):
    """A bad cookie breaks nothing: the session is new and empty, and tells the reason code."""
    session, _ = browser.visit(cookie=BAD_COOKIES[kind](browser))
    assert session.rejected == kind.partition("-")[0]
    assert session.new
    assert dict(session) == {}


def test_a_cookie_by_other_keys_is_told_apart(browser, clock, other_keys):
    """A cookie by keys that are not configured is unknown_key, which points at a rotation and not at an attack."""
    stranger = Browser(clock, **other_keys)
    session, _ = stranger.visit(cookie=browser.cookie)
    assert session.rejected == "unknown_key"


def test_a_cookie_by_other_keys_is_not_deleted(browser, clock, other_keys):
    """A cookie by unknown keys may be right for another server of a fleet: it stays unless it is replaced."""
    stranger = Browser(clock, **other_keys)
    for act in (len, methodcaller("clear"), methodcaller("regenerate"), lambda session: session.id):
        assert not stranger.sets_cookie(act, cookie=browser.cookie)
    assert browser.visit()[0]["user"] == "ann"
    assert stranger.deletes_cookie(methodcaller("invalidate"), cookie=browser.cookie)
    assert stranger.sets_cookie(fill, cookie=browser.cookie)


def test_an_id_in_the_place_of_a_bad_cookie(browser, clock, other_keys):
    """An id takes the place of a cookie that is bad everywhere, and of one by other keys with save() only."""
    assert browser.sets_cookie(attrgetter("id"), cookie=f"{NAME}=rubbish")
    assert not browser.deletes_cookie(attrgetter("id"), cookie=f"{NAME}=rubbish")
    stranger = Browser(clock, **other_keys)
    assert stranger.sets_cookie(lambda session: (session.id, session.save()), cookie=browser.cookie)


@pytest.mark.parametrize("order", [1, -1])
def test_the_reason_that_keeps_the_cookie_is_told(browser, clock, other_keys, order):
    """Of several bad candidates one that may be right elsewhere decides: a deletion would take all of them."""
    candidates = [browser.cookie, f"{NAME}=rubbish"][::order]
    stranger = Browser(clock, **other_keys)
    session, sent = stranger.visit(cookie="; ".join(candidates))
    assert session.rejected == "unknown_key"
    assert header(sent, "Set-Cookie") == []


def test_signed_only_is_not_enough_for_a_sealed_session(browser, clock, keys):
    """With an encrypt_key, tokens that are signed only are refused."""
    signed = Browser(clock, validate_key=keys["validate_key"])
    signed.visit(fill)
    session, _ = browser.visit(cookie=signed.cookie)
    assert session.rejected == "unknown_key"


def test_a_cookie_cannot_be_used_under_another_name(browser, clock, keys):
    """A token moved to a cookie of another name, with the same keys, is refused."""
    elsewhere = Browser(clock, **keys, name="other")
    session, _ = elsewhere.visit(cookie=browser.cookie.replace(NAME, "other"))
    assert session.rejected == "bad_signature"


def test_candidates(browser, clock):
    """Of several cookies of our name the newest valid one wins, whatever stands around it."""
    older = browser.seal(dumps({"which": "older"}))
    clock.advance(10)
    newer = browser.seal(dumps({"which": "newer"}))
    for cookies in ([older, newer], [newer, older], [f"{NAME}=rubbish", older, newer], [newer, tampered(browser)]):
        session, _ = browser.visit(cookie="; ".join(["a=1", *cookies, 'b="x']))
        assert session["which"] == "newer"
        assert session.rejected is None


def test_the_first_of_equally_new_candidates_wins(browser):
    """Browsers send the cookie of the more specific path first."""
    cookies = [browser.seal(dumps({"which": which})) for which in ("first", "second")]
    assert browser.visit(cookie="; ".join(cookies))[0]["which"] == "first"


def test_the_reason_of_the_first_of_several_bad_candidates(browser):
    """If no candidate is valid, the session tells why the first was rejected."""
    session, _ = browser.visit(cookie=f"{tampered(browser)}; {NAME}=rubbish")
    assert session.rejected == "bad_signature"


@pytest.mark.parametrize("rubbish", [0, 1, 15, 16, 50])
def test_sixteen_candidates_are_tried(browser, caplog, rubbish):
    """A valid cookie is found behind 15 bad ones. Behind more it is overlooked, and never deleted."""
    header = "; ".join([f"{NAME}=rubbish"] * rubbish + [browser.cookie])
    found = rubbish < 16
    session, headers = browser.visit(cookie=header)
    assert ("user" in session) == found
    assert headers == [("Vary", "Cookie")]
    assert len(caplog.records) == (rubbish > 0)  # one record, however many cookies


def test_sixteen_bad_cookies_are_deleted(browser):
    """If all cookies of the name were tried and none is valid, the response deletes the cookie."""
    assert browser.deletes_cookie(cookie="; ".join([f"{NAME}=rubbish"] * 16))
    assert not browser.deletes_cookie(cookie="; ".join([f"{NAME}=rubbish"] * 17))
    assert browser.deletes_cookie(methodcaller("invalidate"), cookie="; ".join([f"{NAME}=rubbish"] * 17))


@pytest.mark.parametrize("joined", ["theme=dark,{}", "theme=dark, {}", "{},theme=dark", "a=1; {},theme=dark; b=2"])
def test_cookie_headers_joined_by_a_comma(browser, caplog, joined):
    """A cookie next to a comma is neither read nor deleted, and one record names the comma."""
    session, headers = browser.visit(cookie=joined.format(browser.cookie))
    assert "user" not in session
    assert headers == [("Vary", "Cookie")]
    [record] = caplog.records
    assert "comma" in record.getMessage()


def test_a_comma_elsewhere_in_the_header(browser, caplog):
    """A comma in a neighbouring cookie is nothing to log, and hides nothing."""
    session, _ = browser.visit(cookie=f"a=1,2; {browser.cookie}; b=x,y")
    assert session["user"] == "ann"
    assert caplog.records == []


# --------------------------------------------------------------------------------------------------------------- events

LEVELS = {"forbidden_value": logging.ERROR}


@pytest.mark.parametrize("kind", BAD_COOKIES)
def test_one_record_for_a_rejected_cookie(browser, caplog, kind):
    """A rejected cookie is logged once, with its reason code and at the level that the reason deserves."""
    caplog.set_level(logging.DEBUG)
    reason = kind.partition("-")[0]
    browser.visit(lambda session: (len(session), len(session)), cookie=BAD_COOKIES[kind](browser))
    [record] = caplog.records
    assert record.name == "sealedsession"
    assert record.levelno == LEVELS.get(reason, logging.WARNING)
    assert reason in record.getMessage()
    assert NAME in record.getMessage()


def test_an_expired_cookie_is_no_warning(browser, clock, caplog):
    """Time does it to every session: it is logged once, as information."""
    caplog.set_level(logging.DEBUG)
    clock.advance(8 * DAY)
    browser.visit()
    assert [record.levelno for record in caplog.records] == [logging.INFO]


def test_several_cookies_are_one_event(browser, caplog):
    """Several cookies of our name are worth one warning, even if all are valid."""
    browser.visit(cookie=f"{browser.cookie}; {browser.cookie}")
    [record] = caplog.records
    assert "2 " in record.getMessage()
    assert NAME in record.getMessage()


def test_no_record_for_the_usual(browser, clock, caplog):
    """Opening, changing, refreshing and deleting a session log nothing."""
    caplog.set_level(logging.DEBUG)
    browser.visit(methodcaller("update", user="bob"))
    clock.advance(2 * HOUR)
    browser.visit()
    browser.visit(methodcaller("invalidate"))
    assert caplog.records == []


def test_no_record_for_an_untouched_bad_cookie(browser, caplog):
    """What nobody looked into was not rejected."""
    caplog.set_level(logging.DEBUG)
    browser.visit(id, cookie=f"{NAME}=rubbish")
    assert caplog.records == []


def test_logs_hold_no_secret(clock, keys, other_keys, caplog):
    """No record holds a key, a token or a value of the session, whatever happens."""
    caplog.set_level(logging.DEBUG)
    browser = Browser(clock, **keys, oversize="keep", host="example.org")
    browser.visit(methodcaller("update", card="4111-1111"))
    tokens = [browser.cookie, *(make(browser) for make in BAD_COOKIES.values())]
    for cookie in tokens:
        browser.visit(cookie=cookie)
    Browser(clock, **other_keys).visit(cookie=browser.cookie)
    browser.visit(methodcaller("update", card="4111-1111" * 1000), cookie="")
    clock.advance(40 * DAY)
    browser.visit(cookie=tokens[0])
    assert len(caplog.records) == len(BAD_COOKIES) + 4
    values = [cookie.partition("=")[2] for cookie in tokens]
    for secret in ("4111-1111", *keys.values(), *(value for value in values if len(value) > 20)):
        assert secret not in caplog.text


# --------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(("status", "sent"), [(200, True), (302, True), (404, True), (499, True), (500, False)])
def test_a_failing_response_saves_nothing(browser, status, sent):
    """A response of 500 and above carries no Set-Cookie, however the session was changed."""
    assert browser.sets_cookie(methodcaller("update", user="bob"), status=status) == sent
    assert browser.visit()[0]["user"] == ("bob" if sent else "ann")


def test_save_on_error(clock, keys):
    """With save_on_error a failing response saves too."""
    assert Browser(clock, **keys, save_on_error=True).sets_cookie(fill, status=503)


def test_a_failing_response_varies_still(browser):
    """A failing response that looked into the session depends on the cookie as any other."""
    _, headers = browser.visit(status=500)
    assert headers == [("Vary", "Cookie")]


def test_not_serializable_leaves_the_session_open(browser):
    """A value that cannot be stored is an error before anything is sent, and the application can take it back."""
    session = open_session(browser.manager, browser.cookie)
    session["cart"].append({"price": object()})
    with pytest.raises(NotSerializableError, match=r"session\['cart'\]\[1\]\['price'\].*object"):
        browser.manager.close(session, "", 200, [])
    session["cart"].pop()
    session["user"] = "bob"
    assert len(header(browser.manager.close(session, "", 200, []), "Set-Cookie")) == 1


# ----------------------------------------------------------------------------------------------------------------- size


def fill_to(browser, size):
    """Make a session whose cookie takes so many bytes."""

    def act(session):
        session["ballast"] = "x" * 2900
        while session.size < size:
            session["ballast"] += "x"
        assert session.size == size

    return act


def test_exactly_the_limit_passes(clock, keys):
    """Name and value of 4096 bytes are sent, and come back."""
    browser = Browser(clock, **keys, name="__Host-session")  # with a token of every length but 4n + 1
    assert browser.sets_cookie(fill_to(browser, 4096))
    assert len(browser.cookie) - len("=") == 4096
    session, _ = browser.visit()
    assert len(session["ballast"]) > 2900
    assert session.remaining == 0


def test_one_byte_over_the_limit_fails(clock, keys):
    """Name and value of 4097 bytes raise, before any header goes out."""
    browser = Browser(clock, **keys, name="__Host-session")  # with a token of every length but 4n + 1
    with pytest.raises(CookieTooLargeError) as caught:
        browser.visit(fill_to(browser, 4097))
    assert (caught.value.size, caught.value.limit) == (4097, 4096)
    assert browser.cookie == ""


@pytest.mark.parametrize("count", [1000, 4000, 100_000])
def test_too_large_tells_what_to_do(browser, count):
    """The error names the cookie, the size, the limit and the largest keys, largest first; the session stays open."""
    session = open_session(browser.manager, browser.cookie)
    session.update(small="s" * 10, huge="h" * count, large="l" * 2500)
    with pytest.raises(CookieTooLargeError) as caught:
        browser.manager.close(session, "", 200, [])
    error = caught.value
    by_size = sorted(error.by_key, key=error.by_key.get, reverse=True)
    assert list(error.by_key) == by_size
    assert set(by_size[:2]) == {"huge", "large"}
    assert error.by_key["large"] >= 2500 * 4 / 3
    assert error.size > 4096
    for part in (NAME, str(error.size), "4096", "'huge'", f"{error.by_key['large']} bytes"):
        assert part in str(error)
    del session["huge"], session["large"]
    assert len(header(browser.manager.close(session, "", 200, []), "Set-Cookie")) == 1


def test_oversize_keep(clock, keys, caplog):
    """With oversize="keep" the browser keeps its old cookie, and the log has one error."""
    browser = Browser(clock, **keys, oversize="keep")
    browser.visit(fill)
    assert not browser.sets_cookie(methodcaller("update", huge="h" * 5000))
    assert dict(browser.visit()[0]) == {"user": "ann", "cart": ["apple"]}
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "'huge'" in caplog.text


def test_oversize_function_trims(clock, keys):
    """A function for oversize gets session and error, and what it leaves is sealed."""
    asked = []

    def trim(session, error):
        asked.append(error.size)
        session.pop(next(iter(error.by_key)))

    browser = Browser(clock, **keys, oversize=trim)
    assert browser.sets_cookie(methodcaller("update", user="ann", huge="h" * 5000))
    assert dict(browser.visit()[0]) == {"user": "ann"}
    assert len(asked) == 1


def test_oversize_function_is_asked_once(clock, keys):
    """A function that leaves the session too large is not asked again: CookieTooLargeError is raised."""
    asked = []
    browser = Browser(clock, **keys, oversize=lambda session, error: asked.append(error))
    with pytest.raises(CookieTooLargeError):
        browser.visit(methodcaller("update", huge="h" * 5000))
    assert len(asked) == 1


# ----------------------------------------------------------------------------------------------------------- neighbours


@pytest.mark.parametrize(
    ("existing", "sent"),
    [
        ([], ["Cookie"]),
        (["Accept"], ["Accept, Cookie"]),
        (["Cookie"], ["Cookie"]),
        (["accept,COOKIE"], ["accept,COOKIE"]),
        (["*"], ["*"]),
        (["Accept, *"], ["Accept, *"]),
        (["X-Cookie"], ["X-Cookie, Cookie"]),
        (["Accept", "Origin"], ["Accept", "Origin, Cookie"]),
        (["Cookie", "Origin"], ["Cookie", "Origin"]),
    ],
)
@pytest.mark.parametrize("name", ["Vary", "vary", "VARY"])
def test_vary_is_merged(browser, name, existing, sent):
    """A response whose session was accessed varies by Cookie, said once, and keeps what it varied by."""
    _, headers = browser.visit(headers=[(name, value) for value in existing])
    assert [value for key, value in headers if key.lower() == "vary"] == sent


@pytest.mark.parametrize("name", ["Cache-Control", "cache-control"])
def test_cache_control_of_the_application_stays(browser, name):
    """Cache-Control is the application's where it sent one, and no-store with Set-Cookie otherwise."""
    _, headers = browser.visit(fill)
    assert header(headers, "Cache-Control") == []
    _, headers = browser.visit(methodcaller("save"))
    assert header(headers, "Cache-Control") == ["no-store"]
    _, headers = browser.visit(methodcaller("save"), headers=[(name, "max-age=60")])
    assert [value for key, value in headers if key.lower() == "cache-control"] == ["max-age=60"]


@pytest.mark.parametrize(("option", "sent"), [(None, []), ("private", ["private"])])
def test_cache_control_is_an_option(clock, keys, option, sent):
    """The option cache_control is what is sent with Set-Cookie, and None sends nothing."""
    _, headers = Browser(clock, **keys, cache_control=option).visit(fill)
    assert header(headers, "Cache-Control") == sent


def test_existing_headers_are_left_alone(browser):
    """The application's list is not changed, and what it sent comes first and in order."""
    existing = [("Set-Cookie", "a=1"), ("Vary", "Accept"), ("Set-Cookie", "b=2")]
    session = open_session(browser.manager, browser.cookie)
    session.save()
    sent = browser.manager.close(session, "", 200, existing)
    assert existing == [("Set-Cookie", "a=1"), ("Vary", "Accept"), ("Set-Cookie", "b=2")]
    assert sent[:3] == [("Set-Cookie", "a=1"), ("Vary", "Accept, Cookie"), ("Set-Cookie", "b=2")]
    assert len(header(sent, "Set-Cookie")) == 3


@pytest.mark.parametrize(
    ("host", "secure", "warnings"),
    [
        ("shop.example.org", True, 1),
        ("192.0.2.1:8000", True, 1),
        ("localhost.example.org", True, 1),
        ("shop.example.org", False, 0),
        (None, True, 0),  # https
        ("localhost:8000", True, 0),
        ("shop.localhost", True, 0),
        ("127.0.0.1:8000", True, 0),
        ("[::1]:8000", True, 0),
    ],
)
def test_plain_http_is_worth_one_warning(clock, keys, caplog, host, secure, warnings):
    """A Secure cookie over plain http is warned of once, unless browsers take the host for their own machine."""
    browser = Browser(clock, **keys, host=host, secure=secure)
    for _ in range(3):
        browser.visit(methodcaller("save"))
    assert len(caplog.records) == warnings


# ------------------------------------------------------------------------------------------------- unrequested cookies


def slowly(seconds, act=len):
    """Do something in a request that takes so many seconds."""
    return lambda session: (act(session), session._manager.config.clock.advance(seconds))


def due_for_refresh(clock, keys, other_keys):
    browser = Browser(clock, **keys)
    browser.visit(fill)
    clock.advance(2 * HOUR)
    return browser


def sealed_by_a_fallback_key(clock, keys, other_keys):
    browser = Browser(clock, **{option: [other_keys[option], key] for option, key in keys.items()})
    old = Browser(clock, **keys)
    old.visit(fill)
    browser.cookie = old.cookie
    return browser


def without_an_id_for_the_store(clock, keys, other_keys):
    browser = Browser(clock, **keys, revocation="memory")
    old = Browser(clock, **keys)
    old.visit(fill)
    browser.cookie = old.cookie
    return browser


def with_a_bad_cookie(clock, keys, other_keys):
    browser = Browser(clock, **keys)
    browser.cookie = f"{NAME}=rubbish"
    return browser


unrequested = pytest.mark.parametrize(
    "make", [due_for_refresh, sealed_by_a_fallback_key, without_an_id_for_the_store, with_a_bad_cookie]
)


@unrequested
@pytest.mark.parametrize(("seconds", "sent"), [(0, True), (5, True), (6, False), (HOUR, False)])
def test_an_old_request_sends_no_unrequested_cookie(clock, keys, other_keys, make, seconds, sent):
    """After 5 seconds a response carries no cookie that the application did not cause."""
    browser = make(clock, keys, other_keys)
    assert browser.sets_cookie(slowly(seconds)) == sent


@unrequested
def test_an_old_request_sends_the_cookies_of_the_application(clock, keys, other_keys, make):
    """Whatever the application changes is sent, however old the request is; so is the deletion by invalidate()."""
    for act in (methodcaller("update", more=1), methodcaller("save"), methodcaller("__setattr__", "modified", True)):
        assert make(clock, keys, other_keys).sets_cookie(slowly(HOUR, act))
    assert make(clock, keys, other_keys).deletes_cookie(slowly(HOUR, methodcaller("invalidate")))


@unrequested
@pytest.mark.parametrize(("idle_for", "sent"), [(0, False), (1, True)])
def test_after_half_of_the_idle_timeout_all_but_deletions_are_sent(clock, keys, other_keys, make, idle_for, sent):
    """A session that would soon be idle for too long is refreshed by an old request too."""
    browser = make(clock, keys, other_keys)
    browser.visit(methodcaller("save"))
    half = browser.config.timeouts.idle // 2
    clock.advance(half + idle_for - 30)
    if make is with_a_bad_cookie:
        browser, sent = make(clock, keys, other_keys), False
    elif make is not due_for_refresh:
        old = Browser(clock, **keys)  # the cookie must be sealed again
        clock.advance(30 - half - idle_for)
        old.visit(fill)
        clock.advance(half + idle_for - 30)
        browser.cookie = old.cookie
    assert browser.sets_cookie(slowly(30)) == sent


@pytest.mark.parametrize("idle_timeout", [None])
def test_without_an_idle_timeout_an_old_request_refreshes_nothing(clock, keys, idle_timeout):
    """Without an idle timeout, a session needs no refresh, and an old request sends none."""
    browser = Browser(clock, **keys, idle_timeout=idle_timeout)
    browser.visit(fill)
    clock.advance(20 * DAY)
    assert not browser.sets_cookie(slowly(6))


@unrequested
@pytest.mark.parametrize(
    "value",
    ["public", "Public, max-age=60", "max-age=60,PUBLIC", "s-maxage=1 , no-transform", 'public="x"', "S-MaxAge = 5"],
)
def test_no_unrequested_cookie_goes_with_a_public_response(clock, keys, other_keys, make, value):
    """A response that the application lets shared caches keep carries no cookie that the application did not cause."""
    headers = [("X-Other", "public"), ("cache-control", "max-age=60"), ("Cache-Control", value)]
    browser = make(clock, keys, other_keys)
    assert not browser.sets_cookie(headers=headers)
    assert not browser.sets_cookie(headers=iter(headers))
    clock.advance(browser.config.timeouts.idle // 2)
    assert not browser.sets_cookie(headers=headers)
    assert browser.sets_cookie(methodcaller("update", more=1), headers=headers)


@unrequested
@pytest.mark.parametrize("value", ["private", "max-age=60", "no-cache, publicly", 'ext="public"', ""])
def test_other_directives_hinder_no_cookie(clock, keys, other_keys, make, value):
    """Any other Cache-Control lets the cookie pass."""
    assert make(clock, keys, other_keys).sets_cookie(headers=[("Cache-Control", value), ("Pragma", "public")])


# ---------------------------------------------------------------------------------------------------------- ensure_fits


@pytest.mark.parametrize("oversize", ["raise", "keep", methodcaller("clear")], ids=["raise", "keep", "function"])
def test_ensure_fits(clock, keys, oversize):
    """ensure_fits() raises what the response would raise, in the view, whatever `oversize` says."""
    browser = Browser(clock, **keys, oversize=oversize if isinstance(oversize, str) else lambda s, e: oversize(s))
    errors = []

    def act(session):
        fill(session)
        session.ensure_fits()
        session["big"] = os.urandom(3000)
        with pytest.raises(CookieTooLargeError) as caught:
            session.ensure_fits()
        errors.append(caught.value)
        session["big"] = "x" * 20_000
        with pytest.raises(ValueError, match="big"):  # as which it can be caught, too
            session.ensure_fits()
        session["big"] = object()
        with pytest.raises(NotSerializableError):
            session.ensure_fits()
        session["big"] = "x"
        session.ensure_fits()

    _, headers = browser.visit(act)
    assert len(header(headers, "Set-Cookie")) == 1
    assert errors[0].size > 4096


def test_ensure_fits_agrees_with_the_response(clock, keys):
    """Up to the last byte, ensure_fits() passes if and only if the response does."""
    for revocation in (None, "memory"):
        fits = []
        for length in range(2900, 3060):
            browser = Browser(clock, **keys, revocation=revocation)
            verdicts = []
            for check in (Session.ensure_fits, lambda session: session._manager.close(session, "", 200, [])):
                session = open_session(browser.manager, "")
                session["a"] = "x" * length
                try:
                    check(session)
                    verdicts.append(True)
                except CookieTooLargeError:
                    verdicts.append(False)
            assert verdicts[0] == verdicts[1]
            fits.append(verdicts[0])
        assert set(fits) == {True, False}


@pytest.mark.parametrize("value", ["x" * 5000, object()], ids=["too large", "not serializable"])
def test_an_error_that_was_answered_is_not_raised_again(browser, caplog, value):
    """After ensure_fits() has raised, the response keeps the browser's cookie, and a log record says so."""

    def act(session):
        session["value"] = value
        with pytest.raises(SealError):
            session.ensure_fits()

    _, headers = browser.visit(act)
    assert header(headers, "Set-Cookie") == []
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert browser.visit()[0]["user"] == "ann"


def test_a_session_that_fits_after_all_is_saved(browser):
    """After ensure_fits() has raised, a session that fits when the response is sent is saved."""

    def act(session):
        session["value"] = "x" * 5000
        with pytest.raises(CookieTooLargeError):
            session.ensure_fits()
        session["value"] = "x"

    browser.visit(act)
    assert browser.visit()[0]["value"] == "x"


# ------------------------------------------------------------------------------------------------ what took its place


@pytest.mark.parametrize("content", [{"user": "bob"}, {}], ids=["dict", "empty dict"])
@pytest.mark.parametrize("act", [id, len], ids=["unopened", "open"])
def test_replace(browser, act, content):
    """replace() makes a mapping the content of a session, and an empty one empties it."""
    session = open_session(browser.manager, browser.cookie)
    act(session)
    browser.manager.replace(session, content)
    headers = browser.manager.close(session, "", 200, [])
    [value] = header(headers, "Set-Cookie")
    assert (value == browser.config.cookie.deletion) == (content == {})
    assert dict(browser.visit(cookie=value.partition(";")[0])[0]) == content


@pytest.mark.parametrize(("content", "subject"), [({"a": 1}, "user:42"), ({}, None)])
def test_replace_and_the_subject(browser, content, subject):
    """replace() keeps the subject unless the mapping is empty."""
    session = open_session(browser.manager, browser.cookie)
    session.subject = "user:42"
    browser.manager.replace(session, content)
    assert (dict(session), session.subject) == (content, subject)


@pytest.mark.parametrize("content", [None, object(), [("user", "bob")], "user"])
@pytest.mark.parametrize("act", [id, len], ids=["unopened", "open"])
def test_replace_takes_mappings_only(browser, act, content):
    """Anything else is a TypeError that names its type, and the session stays as it was."""
    session = open_session(browser.manager, browser.cookie)
    act(session)
    with pytest.raises(TypeError, match=type(content).__name__):
        browser.manager.replace(session, content)
    assert dict(session) == {"user": "ann", "cart": ["apple"]}


def test_replace_after_the_headers(browser):
    """A session that is closed cannot be replaced."""
    session, _ = browser.visit()
    with pytest.raises(SessionClosedError):
        browser.manager.replace(session, {"user": "bob"})


@pytest.mark.parametrize("view", [MappingProxyType, ChainMap], ids=["proxy", "chain"])
@pytest.mark.parametrize("touch", [id, len], ids=["unopened", "open"])
def test_replace_by_a_view_of_the_session_loses_nothing(browser, touch, view):
    """A mapping that shows the content of the session that it replaces is copied first."""
    session = open_session(browser.manager, browser.cookie)
    touch(session)
    browser.manager.replace(session, view(session))
    assert header(browser.manager.close(session, "", 200, []), "Set-Cookie") == []
    assert dict(session) == {"user": "ann", "cart": ["apple"]}


# ---------------------------------------------------------------------------------------- serializers and registries

NAMES = {PICKLE: "pickle", JSON: "json"}
SWITCHES = [("pickle", "json"), ("json", "pickle")]
TYPED = {"at": datetime.datetime(2030, 1, 1), "tags": {"a", "b"}, ("x", 1): [1.5, b"raw"], "~t": [1]}


def fill_with_types(session):
    session.update(TYPED)


def read_serializer(browser):
    """The serializer that made the cookie which the browser holds."""
    token = browser.cookie.partition("=")[2].encode()
    return NAMES[browser.sealer.unseal(token).serializer]


def switch(clock, keys, before, after, **options):
    """A browser that comes to a server switched to another serializer with the session of the former one."""
    old = Browser(clock, **keys, serializer=before)
    old.visit(fill_with_types)
    assert read_serializer(old) == before
    new = Browser(clock, **{**keys, "serializer": after, "accept_serializers": [before, after], **options})
    new.cookie = old.cookie
    return new


@pytest.mark.parametrize(("before", "after"), SWITCHES)
def test_a_switched_serializer_opens_what_the_other_sealed(clock, keys, before, after):
    """A session sealed by the other serializer opens with the same content, and is left as it is while unchanged."""
    new = switch(clock, keys, before, after)
    session, headers = new.visit()
    assert dict(session) == TYPED
    assert not session.modified
    assert header(headers, "Set-Cookie") == []


@pytest.mark.parametrize(("before", "after"), SWITCHES)
@pytest.mark.parametrize(
    ("act", "seconds", "content"),
    [
        (len, HOUR, TYPED),
        (methodcaller("update", more=1), 0, {**TYPED, "more": 1}),
        (lambda session: session["tags"].add("c"), 0, {**TYPED, "tags": {"a", "b", "c"}}),
        (methodcaller("save"), 0, TYPED),
        (methodcaller("regenerate"), 0, TYPED),
    ],
    ids=["due", "changed", "changed inside", "saved", "regenerated"],
)
def test_a_new_seal_is_by_the_configured_serializer(clock, keys, before, after, act, seconds, content):
    """What is sealed again, due or changed, is sealed by the configured serializer, and the content survives."""
    new = switch(clock, keys, before, after)
    clock.advance(seconds)
    assert new.sets_cookie(act)
    assert read_serializer(new) == after
    session, headers = new.visit()
    assert dict(session) == content
    assert session.rejected is None
    assert header(headers, "Set-Cookie") == []


@pytest.mark.parametrize(("before", "after"), SWITCHES)
def test_a_rolling_switch_back_and_forth(clock, keys, before, after):
    """While two servers with different serializers share a browser, no request loses what another one stored."""
    both = {"accept_serializers": [before, after]}
    servers = [Browser(clock, **keys, serializer=serializer, **both) for serializer in (before, after)]
    cookie = ""
    for count in range(1, 6):
        server = servers[count % 2]
        server.cookie = cookie
        session, _ = server.visit(lambda session: session.update(count=session.get("count", 0) + 1))
        assert session["count"] == count
        cookie = server.cookie


@pytest.mark.parametrize(("before", "after"), SWITCHES)
@pytest.mark.parametrize("accepted", ["itself", None])
def test_a_session_of_the_other_serializer(clock, keys, before, after, accepted, caplog):
    """A session of a serializer that is not accepted is refused, its cookie is kept, and a warning names the option."""
    new = switch(clock, keys, before, after, accept_serializers=accepted and [after])
    session, headers = new.visit()
    assert (dict(session), session.rejected) == ({}, "other_serializer")
    assert header(headers, "Set-Cookie") == []
    [record] = caplog.records
    assert (record.levelname, "accept_serializers" in record.getMessage()) == ("WARNING", True)


@pytest.mark.parametrize("serializer", ["pickle", "json"])
def test_the_only_serializer_reads_its_own(clock, keys, serializer):
    """With one serializer alone, its sessions open, are changed and are refreshed."""
    browser = Browser(clock, **keys, serializer=serializer, accept_serializers=[serializer])
    browser.visit(fill_with_types)
    assert browser.sets_cookie(methodcaller("update", more=1))
    assert dict(browser.visit()[0]) == {**TYPED, "more": 1}


class Money(NamedTuple):
    amount: int
    currency: str


def registry_of_money(code="money"):
    registry = Registry()
    registry.register_namedtuple(Money, code)
    return registry


@pytest.mark.parametrize("serializer", ["pickle", "json"])
def test_middlewares_with_different_registries(clock, keys, serializer):
    """A type registered with one middleware is stored by it, and unknown to the other: neither sealed nor opened."""
    knowing = Browser(clock, **keys, serializer=serializer, registry=registry_of_money())
    other = Browser(clock, **keys, serializer=serializer, registry=Registry())
    knowing.visit(methodcaller("update", price=Money(5, "EUR")))
    assert knowing.visit()[0]["price"] == Money(5, "EUR")
    assert type(knowing.visit()[0]["price"]) is Money
    with pytest.raises(NotSerializableError, match=r"^session\['price'\]:"):
        other.visit(methodcaller("update", price=Money(5, "EUR")))
    session, _ = other.visit(cookie=knowing.cookie)
    assert session.rejected == "forbidden_value"
    plain = Browser(clock, **keys, serializer=serializer, registry=registry_of_money("other code"))
    assert plain.visit(cookie=knowing.cookie)[0].rejected == "forbidden_value"


@pytest.mark.parametrize("serializer", ["pickle", "json"])
def test_limits_of_one_middleware(clock, keys, serializer):
    """Limits hold for both directions, and only in the middleware that has them."""
    free = Browser(clock, **keys, serializer=serializer)
    tight = Browser(clock, **keys, serializer=serializer, limits=Limits(depth=3))
    free.visit(methodcaller("update", deep=[[[1]]]))
    assert free.visit()[0].rejected is None
    assert tight.visit(cookie=free.cookie)[0].rejected == "forbidden_value"
    with pytest.raises(NotSerializableError, match=r"^session\[.*\b3\b"):
        tight.visit(methodcaller("update", deep=[[[1]]]))


# ------------------------------------------------------------------------------- sessions that cannot be sealed again


def test_a_session_that_fits_no_more_is_kept_as_it_is(clock, keys, caplog):
    """Where an unchanged session became too large for the new serializer, reading it goes on and the cookie stays."""
    old = Browser(clock, **keys, serializer="json")
    points = [number / 2 for number in range(450)]
    old.visit(methodcaller("update", points=points))
    new = Browser(clock, **keys, accept_serializers=["pickle", "json"])
    clock.advance(4000)
    session, sent = new.visit(cookie=old.cookie)
    assert session["points"] == points
    assert header(sent, "Set-Cookie") == []
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    with pytest.raises(CookieTooLargeError):
        new.visit(methodcaller("update", more=1), cookie=old.cookie)


def test_the_longest_token_that_is_read_can_be_sealed_again(browser, clock):
    """A token that leaves no room for the cookie's name is malformed: it could not be refreshed."""
    longest = 4096 - len(NAME)
    room = longest * 3 // 4 - 60 - len(dumps({"a": "x" * 300})) + 300
    fits = browser.seal(dumps({"a": "x" * room}))
    assert browser.visit(cookie=fits)[0].rejected is None
    clock.advance(4000)
    assert browser.sets_cookie(cookie=fits)
    longer = browser.seal(dumps({"a": "x" * (room + 3)}))
    assert browser.visit(cookie=longer)[0].rejected == "malformed"


def test_a_fraction_that_could_not_be_written_is_refused(browser):
    """A payload whose value has another spelling is refused when it is read, and not when the response goes out."""
    least = b"\x8a\x20" + (-(2**255)).to_bytes(32, "little", signed=True)
    payload = b"}\x8c\x01a\x8c\x02fr\x8a\x011" + least + b"\x86\x86Qs."
    session, sent = browser.visit(cookie=browser.seal(payload))
    assert session.rejected == "forbidden_value"
    assert header(sent, "Set-Cookie") == [browser.config.cookie.deletion]


def test_only_the_newest_candidate_is_parsed(browser, clock, caplog):
    """Of several valid tokens the newest is parsed, and an older one only if that is refused."""
    older = browser.seal(b"cos\nsystem\n.")
    clock.advance(10)
    newer = browser.seal(dumps({"a": 1}))
    session, _ = browser.visit(cookie=f"{older}; {newer}")
    assert session == {"a": 1}
    assert "forbidden_value" not in caplog.text


def test_beyond_limits_that_the_configuration_sets(clock, keys):
    """A session that would fit a cookie and is beyond smaller limits is an error that says so, and is not saved."""
    browser = Browser(clock, **keys, limits=Limits(nodes=5, typed=1))
    for act in (methodcaller("update", a=[1, 2, 3, 4, 5]), methodcaller("update", a=[datetime.UTC] * 2)):
        with pytest.raises(NotSerializableError, match=r"^session: .*\b5 .*\b1\b"):
            browser.visit(act)
    assert browser.cookie == ""


def test_size_and_modified_of_a_session_far_too_large(browser):
    """What is too large to be serialized has a size over the limit, and is modified."""
    session = open_session(browser.manager, browser.cookie)
    session["blob"] = "x" * 100_000
    assert session.modified
    assert session.size > 4096
    assert session.remaining < 0


# -------------------------------------------------------------------------------------------------------- keyring files


class Fleet:
    """A keyring's file, and servers that read it."""

    def __init__(self, path, clock):
        self.path = path
        self.clock = clock

    def write(self, **states):
        """Write the file: ``write(primary=keys, staged=other_keys)``; a second later every server looks at it."""
        keys = [{"state": state, **keys} for state, keys in states.items()]
        self.path.write_text(json.dumps({"version": 1, "keys": keys}))
        self.clock.advance(1)

    def server(self, **options):
        return Browser(self.clock, keyring=f"file:{self.path}", **options)


@pytest.fixture
def fleet(tmp_path, clock):
    return Fleet(tmp_path / "keys.json", clock)


def test_a_rotation(fleet, keys, other_keys):
    """Staged, promoted, retired: the running server follows each step, and no session is lost that was used."""
    fleet.write(primary=keys)
    browser = fleet.server()
    browser.visit(fill)
    idle = browser.cookie
    fleet.write(primary=keys, staged=other_keys)
    assert not browser.sets_cookie()
    fleet.write(primary=other_keys, fallback=keys)
    assert browser.sets_cookie()
    assert not browser.sets_cookie()
    fleet.write(primary=other_keys)
    assert browser.visit()[0]["user"] == "ann"
    session, sent = browser.visit(cookie=idle)
    assert session.rejected == "unknown_key"
    assert header(sent, "Set-Cookie") == []


def test_a_server_that_is_a_step_behind(fleet, clock, keys, other_keys):
    """While a server has not seen yet that a key was promoted, it opens what that seals, and leaves it as it is."""
    fleet.write(primary=keys, staged=other_keys)
    behind = fleet.server()
    behind.visit(fill)
    ahead = Browser(clock, **{option: [other_keys[option], keys[option]] for option in keys})
    ahead.cookie = behind.cookie
    assert ahead.sets_cookie()
    behind.cookie = ahead.cookie
    assert not behind.sets_cookie()
    assert behind.visit()[0]["user"] == "ann"


def test_a_broken_keyring_keeps_the_keys(fleet, keys, caplog):
    """A file that breaks while the server runs changes nothing but the log, until it is whole again."""
    fleet.write(primary=keys)
    browser = fleet.server()
    browser.visit(fill)
    fleet.path.write_text("{")
    fleet.clock.advance(1)
    assert browser.visit()[0]["user"] == "ann"
    assert [record.levelname for record in caplog.records if "keys.json':" in record.getMessage()] == ["ERROR"]
    fleet.write(primary=keys)
    assert browser.visit(methodcaller("update", more=1))[0].rejected is None


def test_the_keyring_is_read_once_a_second(fleet, keys, other_keys):
    """Within a second the server does not look at the file again."""
    fleet.write(primary=keys)
    browser = fleet.server()
    browser.visit(fill)
    fleet.path.unlink()
    assert browser.visit()[0]["user"] == "ann"


# ---------------------------------------------------------------------------------------- compression, padding, binding


def test_compression_makes_room(clock, keys):
    """With compress, a session that would be too large is saved and loaded, and changes to it are noticed."""
    with pytest.raises(CookieTooLargeError):
        Browser(clock, **keys).visit(methodcaller("update", text="again and " * 800))
    browser = Browser(clock, **keys, compress=True)
    browser.visit(methodcaller("update", text="again and " * 800))
    assert len(browser.cookie) < 300
    session, sent = browser.visit()
    assert session["text"] == "again and " * 800
    assert header(sent, "Set-Cookie") == []
    assert session.size == len(browser.cookie) - 1
    assert browser.sets_cookie(methodcaller("update", more=1))


def test_what_does_not_compress(clock, keys):
    """What would be no shorter is not compressed, and what is too large even so is an error."""
    noise = "".join(map(chr, random.Random(1).choices(range(0x4E00, 0x9FFF), k=2400)))
    plain, compressing = Browser(clock, **keys), Browser(clock, **keys, compress=True)
    for browser in (plain, compressing):
        browser.visit(methodcaller("update", a=1))
    assert len(compressing.cookie) == len(plain.cookie)
    with pytest.raises(CookieTooLargeError):
        compressing.visit(methodcaller("update", noise=noise))


def test_compression_is_switched_off(clock, keys, caplog):
    """What was compressed opens where nothing is: it is read on, and only a change of it may be too large."""
    compressing, plain = Browser(clock, **keys, compress=True), Browser(clock, **keys)
    for length in (2000, 5000):
        compressing.visit(methodcaller("update", text="x" * length))
        plain.cookie = compressing.cookie
        assert plain.visit()[0]["text"] == "x" * length
    clock.advance(HOUR)
    assert not plain.sets_cookie()
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    with pytest.raises(CookieTooLargeError):
        plain.visit(methodcaller("update", more=1))


def test_padded_cookies_have_one_length_in_a_block(clock, keys):
    """With pad, sessions whose length differs within a block have cookies of one length, and come back."""
    browser = Browser(clock, **keys, pad=64)
    lengths = []
    for count in range(128):
        browser.visit(methodcaller("update", text="x" * count))
        assert browser.visit()[0]["text"] == "x" * count
        lengths.append(len(browser.cookie))
    assert len(set(lengths)) == 3
    assert sorted(lengths) == lengths
    assert [lengths.count(length) for length in sorted(set(lengths))][1] == 64


def test_padding_counts_against_the_limit(clock, keys):
    """Padding is part of the cookie's size, and of the error when that is too large."""
    size = Browser(clock, **keys).visit(methodcaller("update", text="x" * 2700))[0].size
    padded, _ = Browser(clock, **keys, pad=255).visit(methodcaller("update", text="x" * 2700))
    assert size < padded.size <= 4096
    with pytest.raises(CookieTooLargeError):
        Browser(clock, **keys, pad=255).visit(methodcaller("update", text="x" * 2800))


def bound(clock, keys, *values, **options):
    """A browser whose requests are bound to one value after another, the last one for ever."""
    remaining = list(values)
    return Browser(clock, **keys, binding=lambda _: remaining.pop(0) if remaining[1:] else remaining[0], **options)


@pytest.mark.parametrize(("before", "after"), [(b"a", b"b"), (b"a", b""), (b"", b"a"), (b"a", b"a\0"), (b"a", b"A")])
def test_a_binding_that_differs(clock, keys, before, after):
    """A cookie opens with the binding it was sealed with; with another one it was moved, and goes."""
    browser = bound(clock, keys, before, before, after)
    browser.visit(fill)
    assert browser.visit()[0]["user"] == "ann"
    session, sent = browser.visit()
    assert session.rejected == "bad_signature"
    assert header(sent, "Set-Cookie") == [browser.config.cookie.deletion]


@pytest.mark.parametrize("binding", [b"", bytes(1000)], ids=["empty", "long"])
def test_a_binding_that_stays(clock, keys, binding):
    """Bytes of any length bind."""
    browser = bound(clock, keys, binding)
    browser.visit(fill)
    assert browser.visit()[0]["user"] == "ann"


def test_a_binding_is_none_of_the_payload(clock, keys):
    """A binding costs no byte of the cookie."""
    plain, other = Browser(clock, **keys), bound(clock, keys, bytes(1000))
    for browser in (plain, other):
        browser.visit(fill)
    assert len(plain.cookie) == len(other.cookie)


def test_switching_a_binding_on(browser, clock, keys):
    """When a binding is switched on, sessions from before are refused: they are bound to nothing."""
    assert bound(clock, keys, b"a").visit(cookie=browser.cookie)[0].rejected == "bad_signature"
    assert bound(clock, keys, b"").visit(cookie=browser.cookie)[0].rejected is None


@pytest.mark.parametrize("binding", ["text", 5, ["a"], None, ""], ids=repr)
def test_a_binding_that_is_no_bytes(clock, keys, browser, binding):
    """A binding that is no bytes is the application's mistake, and an error on the way in as on the way out."""
    mistaken = bound(clock, keys, binding)
    with pytest.raises(TypeError):
        mistaken.visit(fill, cookie="")
    with pytest.raises(TypeError):
        mistaken.visit(cookie=browser.cookie)


def test_a_binding_that_raises(clock, keys, browser):
    """What a binding raises is the application's own error, and is passed on; untouched sessions do not ask it."""

    def binding(request):
        raise LookupError

    failing = Browser(clock, **keys, binding=binding)
    failing.visit(id, cookie=browser.cookie)
    with pytest.raises(LookupError):
        failing.visit(cookie=browser.cookie)
