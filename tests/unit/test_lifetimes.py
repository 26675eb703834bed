"""Lifetimes: the presets, a session's own lifetime, the browser's Max-Age, and every end to the second."""

import re
from operator import methodcaller

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealedsession.config import SessionConfig, Timeouts, resolve_timeouts
from sealedsession.errors import ConfigError, SessionClosedError
from tests.support.manager_browser import Browser, dumps, fill, header
from tests.support.unopened import open_session

MINUTE, HOUR, DAY = 60, 3600, 24 * 3600
IDLE, ABSOLUTE = 7 * DAY, 30 * DAY  # the defaults

seconds_or_none = st.none() | st.integers(1, 2**32 - 1)


# -------------------------------------------------------------------------------------------------------------- presets


@pytest.mark.parametrize(
    ("preset", "timeouts"),
    [
        ("aal1", Timeouts(7 * DAY, 30 * DAY)),
        ("aal2", Timeouts(30 * MINUTE, 12 * HOUR)),
        ("aal3", Timeouts(15 * MINUTE, 12 * HOUR)),
        (None, Timeouts(IDLE, ABSOLUTE)),
    ],
)
def test_presets(keys, preset, timeouts):
    """A preset sets both timeouts, to what NIST SP 800-63B says."""
    assert resolve_timeouts(preset, IDLE, ABSOLUTE) == timeouts
    found = SessionConfig(**keys, lifetimes=preset).timeouts
    assert (found.idle, found.absolute) == (timeouts.idle, timeouts.absolute)


@pytest.mark.parametrize("preset", ["aal1", "aal2", "aal3"])
@pytest.mark.parametrize(
    "options", [{"idle_timeout": 60}, {"idle_timeout": None}, {"absolute_timeout": 60}, {"absolute_timeout": None}]
)
def test_a_preset_beside_a_timeout(keys, preset, options):
    """A preset and a timeout of one's own are in conflict, also where the latter is switched off."""
    with pytest.raises(ConfigError, match=f"^lifetimes='{preset}' .*idle_timeout .*absolute_timeout"):
        SessionConfig(**keys, lifetimes=preset, **options)


@pytest.mark.parametrize("preset", ["", "aal", "aal4", "AAL1", "aal1 "])
def test_an_unknown_preset(preset):
    """An unknown preset is refused by an error that lists all presets."""
    with pytest.raises(ConfigError, match="'aal1', 'aal2', 'aal3', or None"):
        resolve_timeouts(preset, IDLE, ABSOLUTE)


@pytest.mark.parametrize("preset", ["aal2", "aal3"])
def test_a_preset_is_enforced(clock, keys, preset):
    """The timeouts of a preset end sessions: the idle one when nobody comes, the absolute one in steady use."""
    browser = Browser(clock, **keys, lifetimes=preset, leeway=0)
    idle = browser.config.timeouts.idle
    browser.visit(fill)
    clock.advance(idle + 1)
    assert browser.visit()[0].rejected == "expired_idle"
    browser.visit(fill)
    for _ in range(12 * HOUR // (idle // 2)):
        clock.advance(idle // 2)
        assert browser.visit()[0].rejected is None
    clock.advance(1)
    assert browser.visit()[0].rejected == "expired_absolute"


# ----------------------------------------------------------------------------------------------------------- arithmetic


@pytest.mark.parametrize(
    ("timeouts", "lifetime", "ends"),
    [
        (Timeouts(100, 1000), None, 600),
        (Timeouts(100, 450), None, 550),
        (Timeouts(100, None), None, 600),
        (Timeouts(None, 1000), None, 1100),
        (Timeouts(100, 1000), 499, 599),
        (Timeouts(100, 1000), 501, 600),
        (Timeouts(None, 1000), 2000, 1100),
        (Timeouts(None, 1000), 10, 110),
    ],
)
def test_ends(timeouts, lifetime, ends):
    """A session ends at the earliest of idle timeout, absolute timeout and lifetime, each from its own start."""
    assert timeouts.ends(100, 500, lifetime) == ends


@given(
    seconds_or_none, st.integers(1, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), seconds_or_none
)
def test_a_lifetime_never_lengthens(idle, absolute, created, sealed_at, lifetime):
    """Whatever the timeouts are, a lifetime makes a session end no later than without."""
    timeouts = Timeouts(idle, absolute)
    assert timeouts.ends(created, sealed_at, lifetime) <= timeouts.ends(created, sealed_at, None)


@pytest.mark.parametrize(
    ("timeouts", "longest"), [(Timeouts(100, 1000), 1000), (Timeouts(100, None), 100), (Timeouts(None, 1000), 1000)]
)
def test_longest(timeouts, longest):
    """No token lives longer than the absolute timeout; where there is none, than the idle one."""
    assert timeouts.longest == longest


# --------------------------------------------------------------------------------------------- a session's own lifetime


def read_lifetime(browser):
    """The lifetime in the seal of the cookie that the browser holds."""
    return browser.sealer.unseal(browser.cookie.partition("=")[2].encode()).lifetime


@pytest.mark.parametrize(
    ("lifetimes", "kept"), [([100], 100), ([100, 200], 100), ([100, 50], 50), ([50, 50], 50), ([2**32 - 1], 2**32 - 1)]
)
@pytest.mark.parametrize("apart", [False, True], ids=["in one request", "in several"])
def test_set_lifetime_only_shortens(clock, keys, lifetimes, kept, apart):
    """Of several lifetimes the shortest is kept, within a request and across them."""
    browser = Browser(clock, **keys)
    browser.visit(fill)
    for seconds in [[second] for second in lifetimes] if apart else [lifetimes]:
        browser.visit(lambda session, seconds=seconds: [session.set_lifetime(second) for second in seconds])
    assert read_lifetime(browser) == kept


@pytest.mark.parametrize(
    ("seconds", "error"),
    [(0, ValueError), (-1, ValueError), (2**32, ValueError)]
    + [(other, TypeError) for other in (True, 1.5, "60", None)],
)
def test_no_lifetime(clock, keys, seconds, error):
    """A value that is not a number of seconds, or does not fit into the seal, is refused and changes nothing."""
    browser = Browser(clock, **keys)
    browser.visit(fill)

    def act(session):
        with pytest.raises(error, match="set_lifetime: it takes "):
            session.set_lifetime(seconds)

    assert not browser.sets_cookie(act)


def test_a_lifetime_is_a_change_once(clock, keys):
    """A shorter lifetime is sealed at once; the same one again, or a longer one, is no change."""
    browser = Browser(clock, **keys)
    browser.visit(fill)
    assert browser.sets_cookie(methodcaller("set_lifetime", 100))
    assert not browser.sets_cookie(methodcaller("set_lifetime", 100))
    assert not browser.sets_cookie(methodcaller("set_lifetime", 101))
    assert browser.sets_cookie(methodcaller("set_lifetime", 99))


def test_a_lifetime_alone_makes_no_cookie(clock, keys):
    """A visitor whose session stays empty gets no cookie because of a lifetime."""
    assert not Browser(clock, **keys).sets_cookie(methodcaller("set_lifetime", 100))


def test_invalidate_ends_a_lifetime(clock, keys):
    """What is begun after invalidate() is another session, without the lifetime of the one before."""
    browser = Browser(clock, **keys)
    browser.visit(lambda session: (fill(session), session.set_lifetime(100)))
    browser.visit(lambda session: (session.invalidate(), fill(session)))
    assert read_lifetime(browser) is None


def test_a_lifetime_counts_from_created(clock, keys):
    """A lifetime counts from the beginning of the session, and not from the request that sets it."""
    browser = Browser(clock, **keys, leeway=0)
    browser.visit(fill)
    clock.advance(60)
    browser.visit(methodcaller("set_lifetime", 100))
    clock.advance(40)
    assert browser.visit()[0].rejected is None
    clock.advance(1)
    assert browser.visit()[0].rejected == "expired_absolute"


def test_no_lifetime_after_the_headers(clock, keys):
    """A closed session takes no lifetime: no cookie could carry it."""
    session, _ = Browser(clock, **keys).visit(fill)
    with pytest.raises(SessionClosedError):
        session.set_lifetime(100)


# ----------------------------------------------------------------------------------------------------------- expires_at


@pytest.mark.parametrize(
    ("options", "lifetime", "expected"),
    [
        ({}, None, IDLE),
        ({"lifetimes": "aal2"}, None, 30 * MINUTE),
        ({"absolute_timeout": DAY}, None, DAY),
        ({"idle_timeout": None}, None, ABSOLUTE),
        ({"absolute_timeout": None}, None, IDLE),
        ({}, 100, 100),
        ({}, 400 * DAY, IDLE),
        ({"leeway": 600}, None, IDLE),
    ],
)
def test_expires_at_of_a_new_session(clock, keys, options, lifetime, expected):
    """A new session tells its earliest end, without the leeway, and the next request tells the same."""
    browser = Browser(clock, **keys, **options)
    before, _ = browser.visit(lambda session: (fill(session), lifetime and session.set_lifetime(lifetime)))
    after, _ = browser.visit()
    assert before.expires_at == after.expires_at == clock.now + expected


def test_expires_at_follows_the_cookie(clock, keys):
    """The idle timeout counts from the cookie that came in: only a new seal moves it, to the absolute timeout."""
    browser = Browser(clock, **keys)
    begun = clock.now
    browser.visit(fill)
    clock.advance(HOUR - 1)
    assert browser.visit()[0].expires_at == begun + IDLE
    clock.advance(1)
    browser.visit()
    assert browser.visit()[0].expires_at == begun + HOUR + IDLE
    for _ in range(25):
        clock.advance(DAY)
        browser.visit()
    assert browser.visit()[0].expires_at == begun + ABSOLUTE


def test_expires_at_opens(clock, keys):
    """Asking an unopened session when it ends is a look into it."""
    browser = Browser(clock, **keys)
    browser.visit(fill)
    session = open_session(browser.manager, browser.cookie)
    assert session.expires_at == clock.now + IDLE
    assert session.accessed


def test_a_session_opens_until_it_expires(clock, keys):
    """Without leeway, expires_at is the last second in which the cookie opens."""
    browser = Browser(clock, **keys, leeway=0)
    session, _ = browser.visit(fill)
    clock.now = float(session.expires_at)
    assert browser.visit(id, cookie=browser.cookie)[0].rejected is None
    clock.advance(0.5)
    assert browser.visit()[0].rejected == "expired_idle"


# ----------------------------------------------------------------------------------------------------------- persistent


def max_age(headers):
    """Max-Age of the one cookie that is set, or None."""
    [value] = header(headers, "Set-Cookie")
    found = re.search("; Max-Age=([0-9]+)", value)
    return found and int(found[1])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"persistent": True}, IDLE),
        ({"persistent": True, "lifetimes": "aal3"}, 15 * MINUTE),
        ({"persistent": True, "absolute_timeout": DAY}, DAY),
        ({"persistent": True, "idle_timeout": None}, ABSOLUTE),
        ({"persistent": True, "idle_timeout": 500 * DAY, "absolute_timeout": None}, 400 * DAY),
        ({"persistent": True, "idle_timeout": None, "absolute_timeout": 401 * DAY}, 400 * DAY),
        ({"persistent": False}, None),
    ],
)
def test_max_age_of_a_new_session(clock, keys, options, expected):
    """A persistent cookie is kept for as long as the session lives, 400 days at most."""
    _, headers = Browser(clock, **keys, **options).visit(fill)
    assert max_age(headers) == expected


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (HOUR, IDLE),
        (23 * DAY, IDLE),
        (23 * DAY + 1, IDLE - 1),
        (30 * DAY - 1, 1),
        (30 * DAY, 1),
        (30 * DAY + 60, 1),
    ],
)
def test_max_age_of_a_refreshed_session(clock, keys, age, expected):
    """Max-Age follows what remains; in the leeway after the end it is a second, since 0 would delete the cookie."""
    browser = Browser(clock, **keys, persistent=True)
    browser.cookie = browser.seal(dumps({"user": "ann"}), created=int(clock.now) - age, persistent=True)
    _, headers = browser.visit(methodcaller("save"))
    assert max_age(headers) == expected


def test_max_age_follows_a_lifetime(clock, keys):
    """A session's own lifetime is the browser's too, and counts from the beginning of the session."""
    browser = Browser(clock, **keys, persistent=True)
    _, headers = browser.visit(lambda session: (fill(session), session.set_lifetime(100)))
    assert max_age(headers) == 100
    clock.advance(40)
    assert max_age(browser.visit(methodcaller("save"))[1]) == 60


def test_a_persistent_cookie_is_deleted_as_others(clock, keys):
    """A deletion has one Max-Age, 0."""
    browser = Browser(clock, **keys, persistent=True)
    browser.visit(fill)
    _, headers = browser.visit(methodcaller("clear"))
    assert header(headers, "Set-Cookie")[0].count("Max-Age") == 1
    assert max_age(headers) == 0


# -------------------------------------------------------------------------------------------------- ends, to the second


@pytest.mark.parametrize("offset", [-1, 0, 1])
@pytest.mark.parametrize("leeway", [0, 60])
@pytest.mark.parametrize(
    ("options", "lifetime", "seconds", "reason"),
    [
        ({"idle_timeout": 1000, "absolute_timeout": None}, None, 1000, "expired_idle"),
        ({"idle_timeout": 1000, "absolute_timeout": 5000}, None, 1000, "expired_idle"),
        ({"idle_timeout": None, "absolute_timeout": 5000}, None, 5000, "expired_absolute"),
        ({"absolute_timeout": 1000}, None, 1000, "expired_absolute"),
        ({"idle_timeout": None, "absolute_timeout": 5000}, 500, 500, "expired_absolute"),
        ({"idle_timeout": 1000, "absolute_timeout": 5000}, 500, 500, "expired_absolute"),
        ({"idle_timeout": 1000, "absolute_timeout": None}, 500, 500, "expired_absolute"),
    ],
    ids=["idle alone", "idle", "absolute alone", "absolute", "lifetime, absolute", "lifetime", "lifetime, idle"],
)
def test_ends_to_the_second(clock, keys, options, lifetime, seconds, reason, leeway, offset):
    """A cookie opens in the last second of its end plus leeway, and not in the next; expired, it is deleted."""
    browser = Browser(clock, **keys, **options, leeway=leeway)
    browser.visit(lambda session: (fill(session), lifetime and session.set_lifetime(lifetime)))
    clock.advance(seconds + leeway + offset)
    session, headers = browser.visit()
    assert session.rejected == (reason if offset > 0 else None)
    assert (header(headers, "Set-Cookie") == [browser.config.cookie.deletion]) == (offset > 0)


# ----------------------------------------------------------------------------------------------- a clock that goes back


@pytest.mark.parametrize(("leeway", "back"), [(0, 0), (60, 1), (60, 59), (60, 60), (600, 600)])
def test_a_clock_set_back_within_the_leeway(clock, keys, leeway, back):
    """Within the leeway a clock that went back is not noticed: the cookie opens, and is not sealed again."""
    browser = Browser(clock, **keys, leeway=leeway)
    browser.visit(fill)
    clock.advance(-back)
    session, headers = browser.visit()
    assert session["user"] == "ann"
    assert header(headers, "Set-Cookie") == []


def test_a_change_while_the_clock_is_back(clock, keys):
    """What is sealed while the clock is back, within the leeway, opens then and when the clock is right."""
    browser = Browser(clock, **keys)
    begun = browser.visit(fill)[0].created
    clock.advance(-60)
    assert browser.sets_cookie(methodcaller("update", user="bob"))
    for seconds in (0, 60):
        clock.advance(seconds)
        session, _ = browser.visit()
        assert (session["user"], session.created) == ("bob", begun)


@pytest.mark.parametrize(("leeway", "back"), [(0, 1), (60, 61), (60, 10 * DAY)])
def test_a_clock_set_back_beyond_the_leeway(clock, keys, leeway, back):
    """Beyond the leeway the cookie is from the future: it is refused and kept, and opens when the clock is right."""
    browser = Browser(clock, **keys, leeway=leeway)
    browser.visit(fill)
    clock.advance(-back)
    session, headers = browser.visit()
    assert (dict(session), session.rejected) == ({}, "from_the_future")
    assert headers == [("Vary", "Cookie")]
    clock.advance(back)
    session, headers = browser.visit()
    assert (session["user"], session.rejected) == ("ann", None)
    assert header(headers, "Set-Cookie") == []


def test_new_content_replaces_a_cookie_from_the_future(clock, keys):
    """A session begun over a cookie from the future is sealed as any other: the application wanted it."""
    browser = Browser(clock, **keys)
    browser.visit(fill)
    clock.advance(-HOUR)
    assert browser.sets_cookie(methodcaller("update", user="bob"))
    assert browser.visit()[0]["user"] == "bob"
