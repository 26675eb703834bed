"""Revocation, as users and operators see it: what is refused after a logout, and what happens when the store fails.

Most tests run with WSGI and ASGI. Each interface has its own browser, and both use the same store.
"""

import asyncio
import threading
from contextlib import suppress
from operator import methodcaller

import anyio
import pytest

from sealedsession import asgi, wsgi
from sealedsession.errors import ConfigError, SessionClosedError, StoreError
from sealedsession.revocation import CachedStore, Entry, MemoryStore, RevocationStore
from sealedsession.revocation.store import ALWAYS, session_key, subject_key
from tests.support.asgi_client import ACCEPT, BODY, CLOSE, http, make_app, start, talk, websocket
from tests.support.browsers import DELETION, AsgiBrowser, WsgiBrowser
from tests.support.param_ids import stable_repr
from tests.support.wsgi_client import make_environ

NAME = "__Host-Http-session"
DAY = 24 * 3600
SESSION_ID = b"\xab" * 16
SUBJECT = "user:42"


class FakeStore(RevocationStore):
    """A store that records its calls, and fails on demand."""

    def __init__(self):
        self.kept = {}
        self.calls = []
        self.find_error = self.revoke_error = None
        self.answer = True

    def revoke(self, key, entry, ttl, caller=None):
        self.calls.append(("revoke", key, entry, ttl))
        if self.revoke_error is not None:
            raise self.revoke_error
        if self.answer:
            self.kept[key] = entry
        return self.answer

    def find(self, keys):
        self.calls.append(("find", *keys))
        if self.find_error is not None:
            raise self.find_error
        return [self.kept.get(key) for key in keys]

    @property
    def verbs(self):
        return [call[0] for call in self.calls]


@pytest.fixture(params=[WsgiBrowser, AsgiBrowser], ids=["wsgi", "asgi"])
def browser_class(request):
    return request.param


@pytest.fixture
def store(clock):
    return MemoryStore(clock=clock)


@pytest.fixture
def options(keys, clock, store):
    return {**keys, "clock": clock, "revocation": store}


def sign_in(session, subject=SUBJECT):
    session["name"] = "Ann"
    session.subject = subject


@pytest.fixture
def browser(browser_class, options):
    """A browser whose user is signed in."""
    browser = browser_class(options)
    browser.visit(sign_in)
    return browser


def both(*acts):
    return lambda session: [act(session) for act in acts]


# ---------------------------------------------------------------------------------------------------------- one session


def test_a_copy_is_refused_after_logout(browser):
    """A cookie that was copied before logout() is refused after it."""
    copy = browser.cookie
    session = browser.visit(methodcaller("logout"))
    assert dict(session) == {}
    assert browser.cookie is None
    thief = browser.visit(cookie=copy)
    assert (dict(thief), thief.new, thief.subject, thief.rejected) == ({}, True, None, "revoked")


@pytest.mark.parametrize(
    ("act", "deleted"),
    [
        (len, []),
        (methodcaller("clear"), []),
        (methodcaller("regenerate"), []),
        (lambda session: session.id, []),
        (methodcaller("revoke"), []),
        (methodcaller("invalidate"), [True]),
        (methodcaller("logout"), [True]),
    ],
)
def test_a_revoked_cookie_stays(browser, act, deleted):
    """A revoked cookie is not deleted, as its successor may be on its way; where it is invalidated, it is."""
    copy = browser.cookie
    browser.visit(methodcaller("revoke"))
    session = browser.visit(act, cookie=copy)
    assert session.rejected == "revoked"
    assert [value.startswith(DELETION) for value in browser.set_cookies] == deleted


def test_a_revoked_cookie_is_replaced(browser):
    """Whoever signs in with a revoked cookie has a new session."""
    browser.visit(methodcaller("revoke"))
    browser.visit(lambda session: sign_in(session, "user:7"))
    session = browser.visit()
    assert (session.subject, session.rejected) == ("user:7", None)


def test_without_logout_a_copy_is_as_good(browser):
    """invalidate() alone revokes nothing: it is the store that makes a copy worthless."""
    copy = browser.cookie
    browser.visit(methodcaller("invalidate"))
    assert browser.visit(cookie=copy)["name"] == "Ann"


def test_revoke_leaves_the_request_its_data(browser):
    """After revoke() the session can be read until the end of its request, and is refused in the next one."""
    session = browser.visit(methodcaller("revoke"))
    assert (dict(session), session.subject) == ({"name": "Ann"}, SUBJECT)
    assert browser.set_cookies == []
    assert browser.visit().rejected == "revoked"


def test_a_changed_session_that_is_revoked(browser):
    """What is sealed after revoke() in the same request is the same session, and refused as well."""
    browser.visit(both(methodcaller("revoke"), methodcaller("update", more=1)))
    assert browser.set_cookies
    assert browser.visit().rejected == "revoked"


def test_another_session_of_the_user_stays(browser_class, options, browser):
    """logout() ends one session, and no other one of the same user."""
    other = browser_class(options)
    other.visit(sign_in)
    browser.visit(methodcaller("logout"))
    assert other.visit()["name"] == "Ann"


def test_a_session_begun_after_logout_is_another(browser):
    """What is stored after logout() in the same request is a session of its own, which is accepted."""
    browser.visit(both(methodcaller("logout"), methodcaller("update", name="Bob")))
    session = browser.visit()
    assert (dict(session), session.subject, session.rejected) == ({"name": "Bob"}, None, None)


def test_a_new_session_that_is_logged_out(browser_class, options):
    """A session that no cookie has carried yet can be logged out; what was in it is gone."""
    browser = browser_class(options)
    browser.visit(both(sign_in, methodcaller("logout")))
    assert browser.cookie is None


@pytest.mark.parametrize("act", ["logout", "revoke"])
def test_the_first_touch_can_be_the_last(browser, act):
    """A session that nothing else has looked into is revoked as any other."""
    copy = browser.cookie
    browser.visit(lambda session: getattr(session, act)())
    assert browser.visit(cookie=copy).rejected == "revoked"


# ---------------------------------------------------------------------------------------------- copies of older cookies


def regenerate_often(browser, times):
    """Regenerate a session, one request each, and give the cookies that it had before."""
    copies = []
    for _ in range(times):
        copies.append(browser.cookie)
        browser.visit(methodcaller("regenerate"))
    return copies


@pytest.mark.parametrize("times", [1, 2, 20])
def test_copies_from_before_regenerate(browser, times):
    """logout() reaches copies of the cookies from before each regenerate()."""
    copies = [*regenerate_often(browser, times), browser.cookie]
    browser.visit(methodcaller("logout"))
    assert [browser.visit(cookie=copy).rejected for copy in copies] == ["revoked"] * (times + 1)


@pytest.mark.parametrize("act", [methodcaller("regenerate"), lambda session: sign_in(session, SUBJECT)])
@pytest.mark.parametrize("times", [1, 3])
def test_a_fork_is_refused_after_logout(browser_class, options, browser, act, times):
    """A thief's cookie ends with the logout of the original, unless the thief signs in as somebody else."""
    thief = browser_class(options)
    thief.cookie = browser.cookie
    forks = []
    for _ in range(times):
        thief.visit(both(act, methodcaller("save")))
        forks.append(thief.cookie)
    assert thief.visit()["name"] == "Ann"
    browser.visit(methodcaller("logout"))
    assert [browser.visit(cookie=fork).rejected for fork in forks] == ["revoked"] * times


def test_forks_of_a_fork_are_refused_after_logout(browser_class, options, browser):
    """All forks have one root: the logout of one that was regenerated meanwhile ends each other one."""
    thief, accomplice = browser_class(options), browser_class(options)
    regenerate_often(browser, 1)
    thief.cookie = browser.cookie
    regenerate_often(thief, 2)
    accomplice.cookie = thief.cookie
    regenerate_often(accomplice, 1)
    regenerate_often(browser, 2)
    browser.visit(methodcaller("logout"))
    assert [thief.visit().rejected, accomplice.visit().rejected] == ["revoked"] * 2


def test_the_logout_of_a_fork_is_one_of_the_original(browser_class, options, browser):
    """Either side ends both: a root has no main branch."""
    fork = browser_class(options)
    fork.cookie = browser.cookie
    regenerate_often(fork, 1)
    fork.visit(methodcaller("logout"))
    assert browser.visit().rejected == "revoked"


def invalidate_and_sign_in(session):
    session.invalidate()
    sign_in(session)


@pytest.mark.parametrize(
    ("revoke", "act"),
    [
        (methodcaller("logout"), methodcaller("regenerate")),
        (methodcaller("logout"), lambda session: sign_in(session, SUBJECT) or session.save()),
        (methodcaller("revoke_subject", SUBJECT), methodcaller("regenerate")),
        (methodcaller("revoke_subject", SUBJECT), invalidate_and_sign_in),
    ],
    ids=["logout, regenerate", "logout, sign in", "revoke_subject, regenerate", "revoke_subject, sign in"],
)
def test_a_request_held_open_is_no_way_out(browser_class, options, browser, clock, revoke, act):
    """A request that began before a revocation, and takes a new id after it, gets a session that is refused."""
    slow, ending = browser_class(options), WsgiBrowser(options)
    slow.cookie = ending.cookie = browser.cookie

    def held_open(session):
        assert session["name"] == "Ann"
        clock.advance(10)
        ending.visit(revoke)
        clock.advance(10)
        act(session)

    slow.visit(held_open)
    assert slow.set_cookies
    assert slow.visit().rejected == "revoked"


def held_by(other, revoke, clock):
    """A request during which another browser revokes something."""

    def act(session):
        assert session["name"] == "Ann"
        clock.advance(10)
        other.visit(revoke)
        clock.advance(10)

    return act


def everywhere(session):
    session.revoke_subject(SUBJECT)


def logout_and_revoke_the_subject(session):
    session.logout()
    session.revoke_subject(SUBJECT)


def invalidate_and_revoke_the_subject(session):
    session.invalidate()
    session.revoke_subject(SUBJECT)


def forget_and_revoke_the_subject(session):
    session.subject = None
    session.revoke_subject(SUBJECT)


@pytest.mark.parametrize(
    "act", [logout_and_revoke_the_subject, invalidate_and_revoke_the_subject, forget_and_revoke_the_subject]
)
def test_a_revoked_session_that_is_ended_first_has_no_rights(browser_class, options, browser, clock, act):
    """A session that was revoked signs nobody out, even if its request ends it or removes its subject before."""
    thief, user = browser_class(options), WsgiBrowser(options)
    thief.cookie = browser.cookie

    def suspended(session):
        user.visit(everywhere)
        clock.advance(10)
        user.visit(sign_in)
        clock.advance(10)

    thief.visit(both(len, held_by(user, everywhere, clock), suspended, act))
    assert user.visit().rejected is None


@pytest.mark.parametrize(
    "act", [logout_and_revoke_the_subject, invalidate_and_revoke_the_subject, forget_and_revoke_the_subject]
)
def test_a_session_that_is_ended_first_can_revoke(browser_class, options, browser, clock, act):
    """A request that ends its session can still revoke the subject's other sessions, also when it was exempt lately."""
    other = browser_class(options)
    browser.visit(everywhere)
    clock.advance(1)
    other.visit(sign_in)
    clock.advance(1)
    browser.visit(act)
    assert other.visit().rejected == "revoked"


def test_revoke_after_invalidate(browser):
    """revoke() also refuses what the request has stored after invalidate()."""
    copy = browser.cookie
    browser.visit(both(methodcaller("invalidate"), methodcaller("update", name="Bob"), methodcaller("revoke")))
    assert browser.cookie != copy
    assert [browser.visit().rejected, browser.visit(cookie=copy).rejected] == ["revoked"] * 2


@pytest.mark.parametrize(
    "act",
    [
        everywhere,
        both(methodcaller("regenerate"), everywhere),
        both(everywhere, methodcaller("regenerate")),
        both(everywhere, methodcaller("regenerate", begin_anew=True)),
        both(methodcaller("update", more=1), everywhere, methodcaller("save")),
        both(methodcaller("revoke_subject", "user:7"), methodcaller("save")),
        both(methodcaller("revoke"), methodcaller("save")),
        both(methodcaller("logout"), everywhere),
        both(methodcaller("revoke"), everywhere, methodcaller("save")),
        both(methodcaller("invalidate"), everywhere, sign_in),
        both(methodcaller("clear"), everywhere, sign_in),
        both(lambda session: setattr(session, "subject", None), everywhere, methodcaller("save")),
    ],
)
@pytest.mark.parametrize("revoke", [everywhere, methodcaller("logout")], ids=["everywhere", "logout"])
def test_a_revoked_session_has_no_rights(browser_class, options, browser, store, clock, act, revoke):
    """A session that is revoked during its request writes no entry, is not exempt, and seals nothing."""
    thief, user = browser_class(options), WsgiBrowser(options)
    thief.cookie = user.cookie = browser.cookie
    kept = []

    def revoke_and_note(session):
        revoke(session)

    session = thief.visit(both(held_by(user, revoke_and_note, clock), lambda _: kept.append(dict(store._kept)), act))
    assert session.rejected == "revoked"
    assert [value for value in thief.set_cookies if not value.startswith(DELETION)] == []
    assert store._kept == kept[0]
    assert thief.cookie is None or thief.visit().rejected == "revoked"
    if revoke is everywhere:
        assert user.visit()["name"] == "Ann"  # whoever signed the subject out everywhere stays signed in


def test_a_double_click_on_sign_out_everywhere(browser_class, options, browser, clock):
    """Of two such requests with one cookie, one stays signed in, and the refused one sends no cookie."""
    second = WsgiBrowser(options)
    second.cookie = browser.cookie
    browser.visit(both(held_by(second, everywhere, clock), everywhere))
    assert browser.set_cookies == []
    browser.cookie = second.cookie  # the one that the browser keeps
    assert browser.visit()["name"] == "Ann"


def test_a_double_click_whose_refused_request_writes(browser_class, options, browser, clock):
    """A second request that arrives later sees an empty session; what it writes replaces the good cookie."""
    old = browser.cookie
    browser.visit(everywhere)
    good = browser.cookie
    second = browser_class(options)
    second.cookie = old

    def everywhere_if_signed_in(session):
        if session.subject:
            everywhere(session)

    assert second.visit(everywhere_if_signed_in).rejected == "revoked"
    assert second.set_cookies == []
    assert browser.visit(cookie=good)["name"] == "Ann"
    second.visit(methodcaller("update", flash="signed out everywhere"))
    assert second.set_cookies  # and the browser keeps this one
    assert second.visit().subject is None


def test_asgi_calls_the_store_before_the_headers(fake, options):
    """In ASGI, the store is called before the headers of the response are built, and its answer counts for them."""
    fake.blocks = True
    browser = AsgiBrowser({**options, "revocation": fake})
    browser.visit(sign_in)
    fake.answer = False
    session = browser.visit(both(everywhere, methodcaller("update", more=1)))
    assert session.rejected == "revoked"
    assert browser.set_cookies == []


@pytest.mark.parametrize("order", [["revoke_subject", "logout"], ["logout", "revoke_subject"]])
def test_sign_out_here_and_everywhere(browser_class, options, browser, clock, order):
    """revoke_subject() and logout() can be called in either order; all sessions end, and a new sign-in holds."""
    other = browser_class(options)
    other.visit(sign_in)
    copy = browser.cookie
    acts = {"revoke_subject": everywhere, "logout": methodcaller("logout")}
    browser.visit(both(*(acts[name] for name in order)))
    assert browser.cookie is None
    assert [other.visit().rejected, browser.visit(cookie=copy).rejected] == ["revoked", "revoked"]
    clock.advance(1)
    browser.visit(both(*(acts[name] for name in order), sign_in))
    assert browser.visit()["name"] == "Ann"


def test_a_visitor_who_signs_in_slowly(browser_class, options, browser, clock):
    """A request that began before revoke_subject() signs nobody in after it, without a cookie either."""
    visitor, ending = browser_class(options), WsgiBrowser(options)
    ending.cookie = browser.cookie

    def held_open(session):
        session["cart"] = ["apple"]
        clock.advance(10)
        ending.visit(methodcaller("revoke_subject", SUBJECT))
        clock.advance(10)
        sign_in(session)

    visitor.visit(held_open)
    assert visitor.visit().rejected == "revoked"


@pytest.mark.parametrize("revoke", [methodcaller("logout"), methodcaller("revoke_subject", SUBJECT)])
def test_a_cached_answer_is_no_way_out(browser_class, options, store, browser, clock, revoke):
    """A session that is accepted by an old answer, and regenerated, is refused as soon as the answer is too old."""
    elsewhere = browser_class({**options, "revocation": CachedStore(store, staleness=5, clock=clock)})
    elsewhere.cookie = browser.cookie
    elsewhere.visit()
    clock.advance(2)
    browser.visit(revoke)
    clock.advance(2)
    assert elsewhere.visit(methodcaller("regenerate")).rejected is None
    clock.advance(5)
    assert elsewhere.visit().rejected == "revoked"


@pytest.mark.parametrize(("seconds", "rejected"), [(5, "revoked"), (6, None)])
def test_signing_in_where_answers_are_cached(browser_class, options, store, browser, clock, seconds, rejected):
    """A session begins no later than the oldest answer that it could have been accepted by."""
    elsewhere = browser_class({**options, "revocation": CachedStore(store, staleness=5, clock=clock)})
    browser.visit(methodcaller("revoke_subject", SUBJECT))
    clock.advance(seconds)
    elsewhere.visit(sign_in)
    assert elsewhere.visit().rejected == rejected


def test_revoke_reaches_older_copies_too(browser):
    """revoke() without invalidate() refuses older copies as well."""
    [copy] = regenerate_often(browser, 1)
    browser.visit(methodcaller("revoke"))
    assert browser.visit(cookie=copy).rejected == "revoked"


def test_regenerated_and_logged_out_in_one_request(browser):
    """A session that received a new id in the same request is revoked by its old one."""
    copy = browser.cookie
    browser.visit(both(methodcaller("regenerate"), methodcaller("logout")))
    assert browser.visit(cookie=copy).rejected == "revoked"


def test_regenerated_twice_in_one_request(browser):
    """The root is the id that came in, and not one that no cookie has carried."""
    before = browser.visit().id
    session = browser.visit(both(methodcaller("regenerate"), methodcaller("regenerate")))
    assert session._identity.lineage_id == bytes.fromhex(before)


def test_the_root_stays(browser):
    """However often a session is regenerated, its root is the id that it began with, and costs the same bytes."""
    root = bytes.fromhex(browser.visit().id)
    regenerate_often(browser, 1)
    size = len(browser.cookie)
    regenerate_often(browser, 5)
    assert browser.visit()._identity.lineage_id == root
    assert len(browser.cookie) == size


def test_a_session_after_logout_has_no_root(browser):
    """The root of a session that is over does not travel with the next one."""
    regenerate_often(browser, 3)
    session = browser.visit(both(methodcaller("logout"), methodcaller("update", name="Bob")))
    assert session._identity.lineage_id is None


def test_without_a_store_no_root_travels(browser_class, keys, clock):
    """Without a store there is nothing to revoke: regenerate() adds nothing to the cookie."""
    browser = browser_class({**keys, "clock": clock})
    browser.visit(sign_in)
    browser.visit(lambda session: session.id)
    assert browser.visit(methodcaller("regenerate"))._identity.lineage_id is None


# ------------------------------------------------------------------------------------------------------------ a subject


def test_revoke_subject_by_somebody_else(browser_class, options, clock):
    """All ten sessions of a user end by an administrator's word, and nobody else's, the administrator's included."""
    users = [browser_class(options) for _ in range(10)]
    others = {
        "user:4": browser_class(options),
        "user:421": browser_class(options),
        "User:42": browser_class(options),
        "admin": browser_class(options),
    }
    nobody = browser_class(options)
    for user in users:
        user.visit(sign_in)
    for subject, other in others.items():
        other.visit(lambda session, subject=subject: sign_in(session, subject))
    nobody.visit(methodcaller("update", name="Ann"))
    before = others["admin"].visit().id
    others["admin"].visit(methodcaller("revoke_subject", SUBJECT))
    assert others["admin"].set_cookies == []
    assert [user.visit().rejected for user in users] == ["revoked"] * 10
    assert {subject: other.visit().rejected for subject, other in others.items()} == dict.fromkeys(others)
    assert nobody.visit()["name"] == "Ann"
    assert others["admin"].visit().id == before


def test_revoke_subject_exempts_the_caller(browser_class, options):
    """Of ten sessions of a user the one that says "sign me out everywhere" stays, with its data and a new id."""
    caller, *others = [browser_class(options) for _ in range(10)]
    for user in (caller, *others):
        user.visit(sign_in)
    before, copy = caller.visit().id, caller.cookie
    caller.visit(methodcaller("revoke_subject", SUBJECT))
    assert [user.visit().rejected for user in others] == ["revoked"] * 9
    session = caller.visit()
    assert (dict(session), session.subject, session.rejected) == ({"name": "Ann"}, SUBJECT, None)
    assert session.id != before
    assert caller.visit(cookie=copy).rejected == "revoked"


def test_the_exempt_session_lives_on(browser, clock):
    """The exempt session is changed, refreshed and regenerated as any other, and ends by logout()."""
    browser.visit(methodcaller("revoke_subject", SUBJECT))
    browser.visit(methodcaller("update", more=1))
    assert browser.visit()["more"] == 1
    clock.advance(DAY)
    browser.visit()
    exempt = browser.cookie
    browser.visit(methodcaller("regenerate"))
    assert browser.visit()["more"] == 1
    last = browser.cookie
    browser.visit(methodcaller("logout"))
    assert [browser.visit(cookie=copy).rejected for copy in (exempt, last)] == ["revoked"] * 2


def test_the_exempt_session_is_regenerated_at_once(browser):
    """A change of password is revoke_subject() and regenerate(), in either order: the user stays signed in."""
    browser.visit(both(methodcaller("regenerate"), methodcaller("revoke_subject", SUBJECT)))
    assert browser.visit().rejected is None
    browser.visit(both(methodcaller("revoke_subject", SUBJECT), methodcaller("regenerate")))
    assert browser.visit().rejected is None


@pytest.mark.parametrize("order", [1, -1], ids=["revoked, then signed in", "signed in, then revoked"])
def test_signing_in_ends_all_others(browser_class, options, browser, order):
    """An application that allows one session revokes the subject and then sets it, or the other way round."""
    other = browser_class(options)
    other.visit(both(*[methodcaller("revoke_subject", SUBJECT), sign_in][::order]))
    assert browser.visit().rejected == "revoked"
    assert other.visit().rejected is None


def test_revoke_subject_twice(browser_class, options):
    """Said twice, in one request and in one second, by one user: the session stays."""
    browser = browser_class(options)
    browser.visit(sign_in)
    for _ in range(2):
        browser.visit(both(*[methodcaller("revoke_subject", SUBJECT)] * 2))
        assert browser.visit()["name"] == "Ann"


def test_an_exempt_session_revokes_another_subject_twice(browser_class, options, browser):
    """A session that is exempt from its own subject's revocation revokes another subject twice in one request."""
    other = browser_class(options)
    other.visit(lambda session: sign_in(session, "user:7"))
    browser.visit(methodcaller("revoke_subject", SUBJECT))
    assert browser.visit(both(*[methodcaller("revoke_subject", "user:7")] * 2)).rejected is None
    assert other.visit().rejected == "revoked"


@pytest.mark.parametrize("acts", [[], [sign_in]], ids=["user", "visitor"])
def test_signing_in_after_everything_was_revoked(browser_class, options, acts):
    """A request revokes a subject and its own session, and then signs in as that subject: the new session lives."""
    browser = browser_class(options)
    if not acts:
        browser.visit(sign_in)
    everything = [methodcaller("revoke_subject", SUBJECT), *acts, methodcaller("revoke")]
    browser.visit(both(*everything, methodcaller("regenerate", begin_anew=True)))
    assert browser.visit().rejected is None


@pytest.mark.parametrize(("seconds", "rejected"), [(0, "revoked"), (1, None)])
def test_signing_in_again(browser_class, options, browser, clock, seconds, rejected):
    """A session that begins in the second of revoke_subject() is refused, and one that begins later is not."""
    browser.visit(methodcaller("revoke_subject", SUBJECT))
    clock.advance(seconds)
    other = browser_class(options)
    other.visit(sign_in)
    assert other.visit().rejected == rejected


def test_a_cookie_that_is_sealed_again_is_no_way_out(browser_class, options, clock):
    """What counts is when a session began: a request that was under way and seals it again changes nothing."""
    browser, slow = WsgiBrowser(options), browser_class(options)
    slow.visit(sign_in)

    def act(session):
        session["more"] = 1
        browser.visit(methodcaller("revoke_subject", SUBJECT))
        clock.advance(10)

    slow.visit(act)
    assert slow.set_cookies
    assert slow.visit().rejected == "revoked"


def test_an_old_visitor_signs_in(browser_class, options, clock):
    """A visitor whose session began before revoke_subject() signs in afterwards: a subject makes it a new session."""
    browser, visitor = browser_class(options), browser_class(options)
    visitor.visit(methodcaller("update", cart=["apple"]))
    clock.advance(10)
    browser.visit(methodcaller("revoke_subject", SUBJECT))
    clock.advance(10)
    visitor.visit(sign_in)
    session = visitor.visit()
    assert (session["cart"], session.subject) == (["apple"], SUBJECT)


def test_revoke_subject_from_outside_requests(browser_class, keys, store):
    """A shell or a job revokes a subject at the store itself."""
    real = MemoryStore()
    browser = browser_class({**keys, "revocation": real})
    browser.visit(sign_in)
    stranger = browser_class({**keys, "revocation": real})
    stranger.visit(lambda session: sign_in(session, "user:7"))
    real.revoke_subject(SUBJECT, ttl=60)
    assert browser.visit().rejected == "revoked"
    assert stranger.visit().rejected is None


def test_the_subject_is_kept(browser):
    """The subject comes back with the session, without a look into it being a change."""
    session = browser.visit()
    assert session.subject == SUBJECT
    assert browser.set_cookies == []


@pytest.mark.parametrize("subject", ["u", "u" * 255, "ü" * 255, "\ud800", " ", "\0"])
def test_subjects(browser_class, options, subject):
    """Any str of 1 to 255 characters is a subject, and revoke_subject() reaches it."""
    browser, other = browser_class(options), browser_class(options)
    browser.visit(lambda session: sign_in(session, subject))
    assert browser.visit().subject == subject
    other.visit(methodcaller("revoke_subject", subject))
    assert browser.visit().rejected == "revoked"


class Text(str):
    """A str of another type."""


@pytest.mark.parametrize(
    ("subject", "error"),
    [
        (42, TypeError),
        (b"user:42", TypeError),
        (True, TypeError),
        (Text("user:42"), TypeError),
        ("", ValueError),
        ("u" * 256, ValueError),
    ],
)
def test_no_subject(browser, subject, error):
    """A subject that is not a str, is empty or too long is refused everywhere, and changes nothing."""

    def act(session):
        with pytest.raises(error, match=r"^subject: it must"):
            session.subject = subject
        with pytest.raises(error, match=r"^subject: it must"):
            session.revoke_subject(subject)

    assert browser.visit(act).subject == SUBJECT
    assert browser.set_cookies == []
    assert browser.visit().rejected is None


def test_nobody_is_no_subject_to_revoke(browser):
    """None clears a session's subject, and is nobody that could be revoked."""

    def act(session):
        with pytest.raises(TypeError):
            session.revoke_subject(None)
        session.subject = None

    browser.visit(act)
    session = browser.visit(methodcaller("revoke_subject", SUBJECT))
    assert session.subject is None
    assert browser.visit()["name"] == "Ann"


def test_clearing_a_session_signs_out(browser):
    """clear() removes the subject too, and deletes the cookie; deleting the last key leaves the subject."""
    browser.visit(lambda session: [session.pop(key) for key in list(session)])
    session = browser.visit()
    assert (dict(session), session.subject) == ({}, SUBJECT)
    browser.visit(methodcaller("clear"))
    assert browser.cookie is None


def test_a_session_of_nothing_but_a_subject(browser_class, options):
    """A subject alone is worth a cookie, and a session without subject and data is not."""
    browser = browser_class(options)
    browser.visit(lambda session: setattr(session, "subject", SUBJECT))
    session = browser.visit()
    assert (dict(session), session.subject, session.new, session.modified) == ({}, SUBJECT, False, False)
    assert browser.set_cookies == []
    browser.visit(lambda session: setattr(session, "subject", None))
    assert browser.cookie is None


# ---------------------------------------------------------------------------------------------------- after the headers


@pytest.mark.parametrize("touch", [len, id], ids=["open", "unopened"])
@pytest.mark.parametrize("act", ["revoke", "logout"])
def test_revoking_after_the_headers(browser, touch, act):
    """A closed session can still be revoked: its cookie stays in the browser, and is worthless."""
    session = browser.visit(touch, after=lambda session: getattr(session, act)())
    assert dict(session) == {"name": "Ann"}
    assert browser.set_cookies == []
    assert browser.visit().rejected == "revoked"


@pytest.mark.parametrize("touch", [len, id], ids=["open", "unopened"])
def test_revoke_subject_after_the_headers(browser, touch):
    """A closed session cannot get a new id: revoke_subject() exempts nobody then."""
    browser.visit(touch, after=methodcaller("revoke_subject", SUBJECT))
    assert browser.visit().rejected == "revoked"


@pytest.mark.parametrize("touch", [len, id], ids=["open", "unopened"])
def test_no_subject_after_the_headers(browser, touch):
    """A closed session takes no subject, and tells the one it has."""

    def after(session):
        with pytest.raises(SessionClosedError):
            session.subject = "user:7"
        assert session.subject == SUBJECT

    browser.visit(touch, after=after)


# ----------------------------------------------------------------------------------------------------- with and without


@pytest.mark.parametrize(
    "act", [methodcaller("revoke"), methodcaller("logout"), methodcaller("revoke_subject", SUBJECT)]
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_revoking_needs_a_store(browser_class, keys, act, when):
    """Without a store nothing can be revoked, and an error says which option it takes; the session stays as it is."""
    browser = browser_class(keys)
    browser.visit(sign_in)

    def refused(session):
        with pytest.raises(ConfigError, match="revocation="):
            act(session)
        assert not session.modified

    browser.visit(**({"act": refused} if when == "before" else {"after": refused}))
    assert browser.set_cookies == []
    assert browser.visit()["name"] == "Ann"


def test_sessions_from_before_the_store(browser_class, keys, options):
    """A session that was sealed before there was a store gets an id when it is next looked into, and is revocable."""
    browser = browser_class({**keys, "clock": options["clock"]})
    browser.visit(methodcaller("update", name="Ann"))
    browser.options = options
    browser.visit(id)
    assert browser.set_cookies == []
    assert browser.visit()["name"] == "Ann"
    assert len(browser.set_cookies) == 1
    session = browser.visit()
    assert browser.set_cookies == []
    assert session._loaded.token.session_id is not None
    copy = browser.cookie
    browser.visit(methodcaller("logout"))
    assert browser.visit(cookie=copy).rejected == "revoked"


def test_a_full_session_from_before_the_store(browser_class, keys, options):
    """A session that has no room for an id is read on without one, and its cookie stays."""
    browser = browser_class({**keys, "clock": options["clock"]})
    browser.visit(methodcaller("update", name="A" * 2980))
    assert browser.visit().remaining in range(22)
    browser.options = options
    assert browser.visit()["name"] == "A" * 2980
    assert browser.set_cookies == []


def test_a_store_that_was_taken_away(browser_class, keys, clock, browser):
    """Without the store sessions with ids open as before, and keep their ids."""
    before = browser.visit().id
    browser.options = {**keys, "clock": clock}
    session = browser.visit(methodcaller("update", more=1))
    assert (session.id, session.subject) == (before, SUBJECT)


@pytest.mark.parametrize(("act", "sent"), [(len, 0), (methodcaller("clear"), 0), (methodcaller("save"), 1)])
def test_a_visitor_without_data_gets_no_id(browser_class, options, act, sent):
    """A store is no reason for a cookie; one that the application asks for carries an id."""
    browser = browser_class(options)
    session = browser.visit(act)
    assert len(browser.set_cookies) == sent
    assert (session._identity.session_id is not None) == sent


def test_a_session_that_was_trimmed_to_nothing(browser_class, options):
    """A new session that a function given as oversize empties leaves no cookie, with a store as without."""
    browser = browser_class({**options, "oversize": lambda session, error: session.clear()})
    browser.visit(methodcaller("update", name="A" * 3040))
    assert browser.cookie is None


def test_an_older_candidate_takes_the_place_of_a_revoked_one(browser_class, options, clock):
    """Of several cookies of our name the newest that is not revoked wins."""
    older, newer = browser_class(options), browser_class(options)
    older.visit(methodcaller("update", which="older"))
    clock.advance(10)
    newer.visit(methodcaller("update", which="newer"))
    cookies = f"{newer.cookie}; {older.cookie}"
    assert newer.visit(cookie=cookies)["which"] == "newer"
    newer.visit(methodcaller("logout"))
    session = older.visit(cookie=cookies)
    assert (session["which"], session.rejected) == ("older", None)


# --------------------------------------------------------------------------------------------------- calls of the store


@pytest.fixture
def fake(options):
    """A store that records its calls, in place of the other one."""
    options["revocation"] = FakeStore()
    return options["revocation"]


def test_what_a_logout_tells(fake, browser):
    """logout() tells the first id alone, for ever, and for as long as a cookie could live."""
    root = bytes.fromhex(browser.visit().id)
    regenerate_often(browser, 3)
    fake.calls.clear()
    browser.visit(methodcaller("logout"))
    revoked = [call for call in fake.calls if call[0] == "revoke"]
    assert revoked == [("revoke", session_key(root), Entry(ALWAYS), 30 * DAY + 120)]


def test_what_revoke_subject_tells(fake, browser, clock):
    """revoke_subject() tells no name but a hash of it, the time, and the new id of the caller, who is exempt."""
    browser.visit(methodcaller("revoke_subject", SUBJECT))
    [revoked] = [call for call in fake.calls if call[0] == "revoke"]
    exempt_lineage = bytes.fromhex(browser.visit().id)
    assert revoked == ("revoke", subject_key(SUBJECT), Entry(int(clock.now), exempt_lineage), 30 * DAY + 120)
    assert SUBJECT.encode() not in revoked[1]


@pytest.mark.parametrize(
    ("more", "ttl"),
    [
        ({"absolute_timeout": None, "leeway": 0}, 8 * DAY),
        ({"idle_timeout": None, "absolute_timeout": 100, "leeway": 10}, 120),
        ({"lifetimes": "aal3"}, 12 * 3600 + 120),
    ],
)
def test_entries_live_as_long_as_cookies_could(fake, browser_class, options, more, ttl):
    """An entry is kept for the absolute timeout, or else the idle one and a day, and the leeway."""
    browser = browser_class({**options, **more})
    browser.visit(sign_in)
    browser.visit(methodcaller("logout"))
    assert [call[3] for call in fake.calls if call[0] == "revoke"] == [ttl]


def test_what_a_request_asks(fake, browser):
    """A request asks for its session's first id and its subject, once, however often the session is used."""
    root = bytes.fromhex(browser.visit().id)
    for _ in range(2):
        fake.calls.clear()
        browser.visit(both(len, len, dict, lambda session: session.id, lambda session: session.subject))
        assert fake.calls == [("find", session_key(root), subject_key(SUBJECT))]
        regenerate_often(browser, 1)


@pytest.mark.parametrize("cookie", ["", "a=b", f"{NAME}=rubbish", f"{NAME}="])
def test_nothing_to_ask(fake, browser_class, options, cookie):
    """Where no cookie of ours came that opens, the store is not asked."""
    browser_class(options).visit(cookie=cookie)
    assert fake.calls == []


def test_a_request_without_a_cookie_asks_nothing(fake, browser_class, options):
    """A new visitor does not cost the store a question, nor does signing in."""
    browser_class(options).visit(sign_in)
    assert fake.calls == []


def test_a_session_that_cannot_be_revoked_asks_nothing(fake, browser_class, keys, options):
    """A session without an id and a subject costs the store no question, and opens while the store is down."""
    browser = browser_class({**keys, "clock": options["clock"]})
    browser.visit(methodcaller("update", name="Ann"))
    browser.options = options
    fake.find_error = StoreError("down")
    assert browser.visit(id, after=len)["name"] == "Ann"
    assert fake.calls == []


def test_an_expired_cookie_asks_nothing(fake, browser, clock):
    """What is refused anyway does not cost the store a question."""
    clock.advance(40 * DAY)
    assert browser.visit().rejected == "expired_idle"
    assert fake.calls == []


# -------------------------------------------------------------------------------------------------------- when it fails

FAILURES = [StoreError("down"), OSError("no route"), RuntimeError("bug"), KeyError("key"), TypeError("type")]


@pytest.fixture
def events(options):
    options["on_event"] = (events := []).append
    return events


@pytest.mark.parametrize("error", FAILURES, ids=repr)
def test_find_fails_and_sessions_are_rejected(fake, events, browser, caplog, error):
    """While the store does not answer, a session is refused, loudly; it is back as soon as the store is."""
    events.clear()
    fake.find_error = error
    session = browser.visit()
    assert (dict(session), session.subject, session.new, session.rejected) == ({}, None, True, "store_error")
    assert browser.set_cookies == []
    assert [(event.kind, event.reason) for event in events] == [("store_error", None), ("rejected", "store_error")]
    assert "the session is refused" in events[0].detail
    assert "ERROR" in [record.levelname for record in caplog.records]
    fake.find_error = None
    assert browser.visit()["name"] == "Ann"


@pytest.mark.parametrize("error", FAILURES, ids=repr)
def test_find_fails_and_sessions_are_allowed(fake, events, browser_class, options, error):
    """With on_store_error="allow" a session is accepted while the store does not answer, and an event tells it."""
    browser = browser_class({**options, "on_store_error": "allow"})
    browser.visit(sign_in)
    events.clear()
    fake.find_error = error
    session = browser.visit()
    assert (session["name"], session.rejected) == ("Ann", None)
    assert [event.kind for event in events] == ["store_error", "opened"]
    assert "the session is accepted" in events[0].detail


@pytest.mark.parametrize("answer", [None, 5, [1], [None, "text"], object()], ids=stable_repr)
def test_an_answer_that_is_none(fake, events, browser, monkeypatch, answer):
    """A store that answers garbage has failed as one that raises."""
    monkeypatch.setattr(fake, "find", lambda keys: answer)
    assert browser.visit().rejected == "store_error"
    assert "store_error" in [event.kind for event in events]


@pytest.mark.parametrize("answer", [[], [None], [None] * 3], ids=repr)
def test_an_answer_of_another_length(fake, browser, monkeypatch, answer):
    """A store that answers fewer questions than it was asked, or more, has failed: nobody knows which it answered."""
    monkeypatch.setattr(fake, "find", lambda keys: answer)
    assert browser.visit().rejected == "store_error"


@pytest.mark.parametrize("error", FAILURES, ids=repr)
@pytest.mark.parametrize(
    "act", [methodcaller("logout"), methodcaller("revoke"), methodcaller("revoke_subject", SUBJECT)]
)
def test_revoke_fails(fake, events, browser, caplog, error, act):
    """What could not be revoked is an event and no exception: the response goes out, and nothing says it was done."""
    caplog.set_level("INFO")
    events.clear()
    fake.revoke_error = error
    session = browser.visit(act)
    assert session.rejected is None
    kinds = [event.kind for event in events]
    assert kinds.count("store_error") == 1
    assert "revoked" not in kinds
    assert "ERROR" in [record.levelname for record in caplog.records]


@pytest.mark.parametrize("act", [methodcaller("logout"), methodcaller("revoke")])
@pytest.mark.parametrize("when", ["before the headers", "after them"])
@pytest.mark.parametrize("blocks", [True, False])
def test_revoking_what_the_store_could_not_answer_for(fake, events, browser, caplog, act, when, blocks):
    """A logout during an outage, of a session that was refused for it, is reported as not being in the store."""
    events.clear()
    fake.blocks = blocks  # whether ASGI awaits it
    fake.find_error = fake.revoke_error = StoreError("down")
    session = browser.visit(act) if when == "before the headers" else browser.visit(after=act)
    assert session.rejected == "store_error"
    details = [event.detail for event in events if event.kind == "store_error"]
    assert len(details) == 2
    assert details[0] != details[1]
    assert [record.levelname for record in caplog.records].count("ERROR") == 2


def test_revoking_everywhere_while_the_store_does_not_answer(fake, events, browser):
    """revoke_subject() during an outage is reported once, although its session is refused."""
    events.clear()
    fake.find_error = fake.revoke_error = StoreError("down")
    browser.visit(methodcaller("revoke_subject", SUBJECT))
    details = [event.detail for event in events if event.kind == "store_error"]
    assert [detail.startswith("what was to be revoked is not: ") for detail in details] == [False, True]


@pytest.mark.parametrize("times", [0, 2])
def test_a_logout_after_the_store_has_recovered(fake, events, browser, times):
    """A session that was refused while the store was down is revoked if the store takes it by then."""
    regenerate_often(browser, times)
    copy = browser.cookie
    fake.find_error = StoreError("down")
    events.clear()
    browser.visit(methodcaller("logout"))
    assert [event.kind for event in events] == ["store_error", "rejected", "revoked"]
    assert browser.cookie is None
    fake.find_error = None
    assert browser.visit(cookie=copy).rejected == "revoked"


def test_signing_in_while_the_store_does_not_answer(fake, browser):
    """Who signs in with a session that was refused for an outage has one of a root of its own."""
    copy = browser.cookie
    fake.find_error = StoreError("down")
    browser.visit(lambda session: sign_in(session, "user:7"))
    fake.find_error = None
    browser.visit(methodcaller("revoke"), cookie=copy)
    assert browser.visit().subject == "user:7"


def test_a_failed_logout_signs_out_here(fake, browser):
    """Where the store fails, logout() still empties the session and deletes the cookie."""
    fake.revoke_error = StoreError("down")
    assert dict(browser.visit(methodcaller("logout"))) == {}
    assert browser.cookie is None


@pytest.mark.parametrize(("error", "revoked"), [(None, 2), (StoreError("down"), 1)])
def test_a_store_that_fails_is_told_no_more(fake, browser, error, revoked):
    """A request does not call a store again that has failed, because each call would wait for the same timeout."""
    fake.revoke_error = error
    browser.visit(both(methodcaller("invalidate"), lambda session: session.id, methodcaller("revoke")))
    assert fake.verbs.count("revoke") == revoked


@pytest.mark.parametrize("answer", [None, 1, "OK"])
def test_a_store_that_does_not_say_whether_it_wrote(fake, browser, caplog, monkeypatch, answer):
    """Whatever is neither True nor False is an error of the store, and revokes nobody's session."""
    monkeypatch.setattr(FakeStore, "revoke", lambda self, key, entry, ttl, caller=None: answer)
    browser.visit(methodcaller("revoke_subject", SUBJECT))
    assert "revoke()" in caplog.text
    assert browser.visit()["name"] == "Ann"


def test_a_failed_revoke_subject_leaves_the_lineage(fake, browser_class, options, browser):
    """Where the store fails, the session that wanted to be exempt stays in its lineage, and a later logout ends it."""
    thief = browser_class(options)
    thief.cookie = browser.cookie
    fake.revoke_error = StoreError("down")
    thief.visit(everywhere)
    fake.revoke_error = None
    assert thief.visit()["name"] == "Ann"
    browser.visit(methodcaller("logout"))
    assert thief.visit().rejected == "revoked"


def test_a_second_logout_calls_the_store_once(fake, browser_class, options, browser):
    """Two calls of logout() in one request are one revocation, also where the store is awaited."""
    browser.visit(both(methodcaller("logout"), methodcaller("logout")))
    assert fake.verbs.count("revoke") == 1


def test_what_is_revoked_after_the_application_has_returned(fake, options):
    """A thread or task that outlives its ASGI request can still revoke: the store is called at once."""
    browser = AsgiBrowser(options)
    browser.visit(sign_in)
    copy = browser.cookie
    session = browser.visit()
    session.logout()
    assert fake.verbs.count("revoke") == 1
    assert browser.visit(cookie=copy).rejected == "revoked"


def test_a_subject_is_revoked_until_the_store_is_called(fake, options, clock):
    """In ASGI, the entry has the time at which the store is called, not that at which the application asked for it."""
    browser = AsgiBrowser(options)
    browser.visit(sign_in)
    browser.visit(both(everywhere, lambda session: clock.advance(20)))
    [entry] = [call[2] for call in fake.calls if call[0] == "revoke"]
    assert entry.not_before == int(clock())


def test_a_request_without_a_session_survives_everything(fake, browser_class, options):
    """A store that fails is no concern of a visitor without a session."""
    fake.find_error = StoreError("down")
    session = browser_class(options).visit()
    assert session.rejected is None


# ----------------------------------------------------------------------------------------------------------------- WSGI


def test_wsgi_asks_on_first_touch(fake, options):
    """The WSGI middleware calls the store when the session is first touched, and never for an untouched one."""
    browser = WsgiBrowser(options)
    browser.visit(sign_in)
    browser.visit(lambda session: fake.calls.append(("before",)) or len(session) or fake.calls.append(("after",)))
    assert fake.verbs == ["before", "find"]
    fake.calls.clear()
    browser.visit(id)
    assert fake.calls == []


def test_wsgi_untouched_is_untouched(fake, options):
    """With a store, too, the headers of a response whose session nobody touched are the application's very list."""
    browser = WsgiBrowser(options)
    browser.visit(sign_in)
    headers, sent = [("X-Mine", "1")], []

    def app(environ, start_response):
        start_response("200 OK", headers)
        return []

    wrapped = wsgi.SessionMiddleware(app, **options)
    wrapped(make_environ(browser.cookie), lambda _, headers, exc_info=None: sent.append(headers))
    assert sent[0] is headers
    assert headers == [("X-Mine", "1")]
    assert fake.calls == []


def test_wsgi_tells_at_once(fake, options):
    """In WSGI, a revocation reaches the store before revoke() returns."""
    browser = WsgiBrowser(options)
    browser.visit(sign_in)
    browser.visit(both(methodcaller("revoke"), lambda session: fake.calls.append(("next",))))
    assert fake.verbs == ["find", "revoke", "next"]


# ----------------------------------------------------------------------------------------------------------------- ASGI


def talk_in_order(app, scope, calls):
    """Run an application with a server that notes each message it gets among the calls of a store."""

    async def send(message):
        calls.append((message["type"],))

    asyncio.run(app(scope, None, send))
    return [call[0] for call in calls]


@pytest.fixture
def signed_in(fake, options):
    """The cookie of a user who is signed in, with ASGI."""
    browser = AsgiBrowser(options)
    browser.visit(sign_in)
    return browser.cookie.encode()


def test_asgi_asks_before_the_application_runs(fake, options, signed_in):
    """With ASGI the store is awaited before the application runs, also for a session that nobody touches."""
    app = make_app(lambda session: fake.calls.append(("app",)), start(), BODY)
    order = talk_in_order(asgi.SessionMiddleware(app, **options), http(signed_in), fake.calls)
    assert order == ["find", "app", "http.response.start", "http.response.body"]


def test_asgi_awaits(options, signed_in):
    """The store's coroutines are awaited, and its blocking methods are not called."""

    class Awaited(FakeStore):
        async def afind(self, keys):
            await asyncio.sleep(0)
            self.calls.append(("afind",))
            return [None] * len(keys)

        async def arevoke(self, key, entry, ttl, caller=None):
            await asyncio.sleep(0)
            self.calls.append(("arevoke",))
            return True

    store = options["revocation"] = Awaited()
    app = make_app(methodcaller("logout"), start(), BODY)
    order = talk_in_order(asgi.SessionMiddleware(app, **options), http(signed_in), store.calls)
    assert order == ["afind", "arevoke", "http.response.start", "http.response.body"]


@pytest.mark.parametrize("cookie", [None, b"a=b", b"__Host-Http-session=rubbish"])
def test_asgi_asks_only_for_cookies_of_ours(fake, options, cookie):
    """A request without a cookie that opens costs the store nothing."""
    app = make_app(len, start(), BODY)
    talk_in_order(asgi.SessionMiddleware(app, **options), http(cookie), fake.calls)
    assert "find" not in fake.verbs


@pytest.mark.parametrize("headers", [{}, {"headers": []}, {"headers": [(b"x-mine", b"1")]}])
def test_asgi_untouched_is_untouched(fake, options, signed_in, headers):
    """With a store, too, the messages of a response whose session nobody touched are the application's very ones."""
    messages = [{"type": "http.response.start", "status": 200, **headers}, BODY]
    copies = [dict(message) for message in messages]
    sent = talk(asgi.SessionMiddleware(make_app(id, *messages), **options), http(signed_in))
    assert all(one is other for one, other in zip(sent, messages, strict=True))
    assert messages == copies


def test_asgi_untouched_by_a_revoked_cookie(options, store, signed_in):
    """A revoked cookie whose session nobody touches is not deleted."""
    options["revocation"].kept[subject_key(SUBJECT)] = Entry(ALWAYS)
    message = start()
    assert talk(asgi.SessionMiddleware(make_app(id, message, BODY), **options), http(signed_in))[0] is message


def test_asgi_tells_before_the_headers_go(fake, options, signed_in):
    """When the response to a logout arrives, the store has received the revocation, and only once."""
    app = make_app(methodcaller("logout"), start(), BODY)
    order = talk_in_order(asgi.SessionMiddleware(app, **options), http(signed_in), fake.calls)
    assert order == ["find", "revoke", "http.response.start", "http.response.body"]


def test_asgi_tells_between_messages(fake, options, signed_in):
    """A revocation while a body streams reaches the store before the next part is sent."""

    async def app(scope, receive, send):
        await send(start())
        scope["session"].revoke()
        await send({**BODY, "more_body": True})
        await send(BODY)

    order = talk_in_order(asgi.SessionMiddleware(app, **options), http(signed_in), fake.calls)
    assert order == ["find", "http.response.start", "revoke", *["http.response.body"] * 2]


@pytest.mark.parametrize("messages", [[], [start()]], ids=["before the start", "after it"])
def test_asgi_tells_when_the_application_raises(fake, options, signed_in, messages):
    """A revocation reaches the store once if the application fails afterwards, and its exception propagates."""

    async def app(scope, receive, send):
        for message in messages:
            await send(message)
        scope["session"].revoke()
        raise LookupError

    with pytest.raises(LookupError):
        talk_in_order(asgi.SessionMiddleware(app, **options), http(signed_in), fake.calls)
    assert fake.verbs == ["find", *(message["type"] for message in messages), "revoke"]


def test_asgi_tells_when_the_session_cannot_be_sealed(fake, options, signed_in):
    """A revocation reaches the store even if the session cannot be sealed."""
    app = make_app(both(methodcaller("revoke"), methodcaller("update", bad=object())), start(), BODY)
    with pytest.raises(TypeError):
        talk_in_order(asgi.SessionMiddleware(app, **options), http(signed_in), fake.calls)
    assert fake.verbs == ["find", "revoke"]


def test_asgi_tells_after_a_cancelled_request(fake, options, signed_in):
    """A revocation reaches the store if the request is cancelled, as when a client disconnects."""

    async def cancelled():
        revoked = asyncio.Event()

        async def app(scope, receive, send):
            scope["session"].revoke()
            revoked.set()
            await asyncio.sleep(60)

        task = asyncio.create_task(asgi.SessionMiddleware(app, **options)(http(signed_in), None, None))
        await revoked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert fake.verbs == ["find", "revoke"]


class Unhurried(FakeStore):
    """A store whose revoke() returns when the test allows it, and has no effect if it is cancelled before that."""

    def __init__(self):
        super().__init__()
        self.begun, self.may_end, self.revoked = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def arevoke(self, key, entry, ttl, caller=None):
        self.begun.set()
        await self.may_end.wait()
        self.calls.append(("arevoke", key))
        self.revoked.set()
        return True


async def at(moment, act):
    await moment.wait()
    act()


async def by_timeout(work, moment):
    """Do some work under a timeout that is over at a moment."""
    now = asyncio.get_running_loop().time
    with suppress(TimeoutError):
        async with asyncio.timeout(None) as timeout, asyncio.TaskGroup() as others:
            others.create_task(at(moment, lambda: timeout.reschedule(now())))
            await work


async def by_scope(work, moment):
    """Do some work in a scope of anyio, which cancels again and again."""
    with anyio.CancelScope() as scope:
        async with asyncio.TaskGroup() as others:
            others.create_task(at(moment, scope.cancel))
            await work


@pytest.mark.parametrize("gives_up", [by_timeout, by_scope])
@pytest.mark.parametrize("messages", [[], [start()]], ids=["in the application", "while it is revoked"])
def test_asgi_tells_though_somebody_gives_up(options, signed_in, gives_up, messages):
    """A revocation reaches the store once, however, how often and wherever the request is cancelled."""
    sent = []

    async def send(message):
        sent.append(message)

    async def let_it_end(store):
        await store.begun.wait()
        for _ in range(20):  # turns of the loop, in which whoever gives up does it, and does it again
            await asyncio.sleep(0)
        store.may_end.set()

    async def cancelled():
        store = options["revocation"] = Unhurried()
        signed_out = asyncio.Event()

        async def app(scope, receive, send):
            scope["session"].logout()
            signed_out.set()
            for message in messages:
                await send(message)
            await asyncio.sleep(60)

        async with asyncio.timeout(20), asyncio.TaskGroup() as others:
            others.create_task(let_it_end(store))
            request = asgi.SessionMiddleware(app, **options)(http(signed_in), None, send)
            await gives_up(request, store.begun if messages else signed_out)
            await store.revoked.wait()
        return store.verbs

    assert asyncio.run(cancelled()) == ["find", "arevoke"]
    assert sent == []


def test_asgi_tells_though_it_is_cancelled_twice(options, signed_in):
    """A task that is cancelled again, during the call of the store, completes the call."""

    async def cancelled():
        store = options["revocation"] = Unhurried()
        signed_out = asyncio.Event()

        async def app(scope, receive, send):
            scope["session"].logout()
            signed_out.set()
            await asyncio.sleep(60)

        async with asyncio.timeout(20):
            task = asyncio.create_task(asgi.SessionMiddleware(app, **options)(http(signed_in), None, None))
            for moment in signed_out, store.begun:
                await moment.wait()
                task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            store.may_end.set()
            await store.revoked.wait()
        return store.verbs

    assert asyncio.run(cancelled()) == ["find", "arevoke"]


def test_a_websocket_tells_before_its_next_message(fake, options, signed_in):
    """A revocation on a websocket reaches the store once, before the next message is sent."""

    async def app(scope, receive, send):
        await send(ACCEPT)
        scope["session"].logout()
        await send({"type": "websocket.send", "text": "bye"})
        await send(CLOSE)

    order = talk_in_order(asgi.SessionMiddleware(app, **options), websocket(signed_in), fake.calls)
    assert order == ["find", "websocket.accept", "revoke", "websocket.send", "websocket.close"]


def test_a_websocket_that_says_no_more(fake, options, signed_in):
    """A revocation after the last message of a websocket reaches the store when the application ends."""

    async def app(scope, receive, send):
        await send(ACCEPT)
        await send(CLOSE)
        scope["session"].revoke()

    order = talk_in_order(asgi.SessionMiddleware(app, **options), websocket(signed_in), fake.calls)
    assert order == ["find", "websocket.accept", "websocket.close", "revoke"]


def test_an_untouched_websocket_is_untouched(fake, options, signed_in):
    """With a store, too, a websocket's messages are the application's very ones when nobody touched the session."""
    messages = [{**ACCEPT, "subprotocol": "chat"}, {"type": "websocket.send", "bytes": b""}, CLOSE]
    sent = talk(asgi.SessionMiddleware(make_app(id, *messages), **options), websocket(signed_in))
    assert all(one is other for one, other in zip(sent, messages, strict=True))


def test_other_scopes_ask_nothing(fake, options):
    """A scope that is neither http nor websocket passes by the store."""

    async def app(scope, receive, send):
        assert scope == {"type": "lifespan"}

    asyncio.run(asgi.SessionMiddleware(app, **options)({"type": "lifespan"}, None, None))
    assert fake.calls == []


def test_a_blocking_store_does_not_block_the_loop(options, signed_in):
    """A store without async methods is called in a thread, so that other requests are served meanwhile."""
    both_ask = threading.Barrier(2, timeout=20)

    class Slow(FakeStore):
        def find(self, keys):
            both_ask.wait()
            return [None] * len(keys)

    rejected = []
    app = make_app(lambda session: rejected.append(session.rejected), start(), BODY)
    browser_class = asgi.SessionMiddleware(app, **{**options, "revocation": Slow()})

    async def send(message):
        pass

    async def two():
        await asyncio.gather(*(browser_class(http(signed_in), None, send) for _ in range(2)))

    asyncio.run(two())
    assert rejected == [None, None]


# -------------------------------------------------------------------------------------------------------------- entries


@pytest.mark.parametrize(
    ("entry", "rejected"),
    [
        (lambda now, lineage: Entry(now), "revoked"),
        (lambda now, lineage: Entry(now - 1), None),
        (lambda now, lineage: Entry(now + 1), "revoked"),
        (lambda now, lineage: Entry(ALWAYS), "revoked"),
        (lambda now, lineage: Entry(now, lineage), None),
        (lambda now, lineage: Entry(ALWAYS, lineage), None),
        (lambda now, lineage: Entry(now, SESSION_ID), "revoked"),
        (lambda now, lineage: Entry(now, b""), "revoked"),
    ],
    ids=["now", "before", "later", "always", "exempt", "always but exempt", "another exempt", "none exempt"],
)
def test_what_an_entry_says(fake, browser, clock, entry, rejected):
    """An entry concerns sessions that began at its time or before, except for the session that it spares."""
    session_id = bytes.fromhex(browser.visit().id)
    fake.kept[subject_key(SUBJECT)] = entry(int(clock.now), session_id)
    assert browser.visit().rejected == rejected


def test_a_session_exempt_by_its_subjects_entry_can_be_revoked(fake, browser, clock):
    """Either entry is enough: being exempt by one does not save from the other."""
    session_id = bytes.fromhex(browser.visit().id)
    fake.kept[subject_key(SUBJECT)] = Entry(int(clock.now), session_id)
    assert browser.visit().rejected is None
    fake.kept[session_key(session_id)] = Entry(ALWAYS)
    assert browser.visit().rejected == "revoked"
