"""The cache of tokens: it is bounded, and its results are always those of the sealer."""

import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from operator import methodcaller
from time import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_seal import NOW, seal

from sealedsession.config import SessionConfig
from sealedsession.errors import UnsealError
from sealedsession.revocation import MemoryStore, SQLiteStore
from sealedsession.sealing.keys import Keyring
from sealedsession.sealing.sealer import Sealer
from sealedsession.sealing.token_cache import TokenCache
from sealedsession.serialization.limits import Limits
from tests.support.browsers import AsgiBrowser, WsgiBrowser

PAIRS = [(sha256(b"mac %d" % number).digest(), sha256(b"aes %d" % number).digest()) for number in range(2)]
OLD, NEW = (Keyring(*pair) for pair in PAIRS)
BOTH = Keyring(*(list(halves) for halves in zip(PAIRS[1], PAIRS[0], strict=True)))  # the new one seals
IDLE, ABSOLUTE, LEEWAY = 100, 1000, 10
LARGEST = 8192


class Counting(Sealer):
    """A sealer that counts its calls of unseal."""

    unsealed = 0

    def unseal(self, token, *, binding=b""):
        self.unsealed += 1
        return super().unseal(token, binding=binding)


class Source:
    """A source whose keyring a test replaces."""

    def __init__(self, keyring):
        self.keyring = keyring

    def current(self, second):
        assert type(second) is int  # a file is looked at once a second
        return self.keyring


class Clock:
    now = float(NOW)

    def __call__(self):
        return self.now


def make(most=4, keyring=OLD, largest=LARGEST, **options):
    """Make a cache. Return it with its sealer and its clock."""
    clock = Clock()
    times = {"idle_timeout": IDLE, "absolute_timeout": ABSOLUTE, "leeway": LEEWAY, "clock": clock}
    sealer = Counting(keyring, "cookie:session", **times | options)
    return TokenCache(sealer, keyring, most, largest, clock), sealer, clock


def outcome(unseal, token, binding=b""):
    try:
        return unseal(token, binding=binding)
    except UnsealError as error:
        return error.reason


def kept_by(cache):
    """Return the number of tokens in a cache."""
    young, old, _ = cache._generations
    return len(young) + len(old)


# ------------------------------------------------------------------------------------------------------- what is kept


@pytest.mark.parametrize("fields", [{}, {"session_id": bytes(16)}, {"lifetime": 60}, {"serializer": 1}], ids=str)
@pytest.mark.parametrize("options", [{}, {"compress": True, "pad": 32}], ids=str)
def test_a_token_is_unsealed_once(options, fields):
    """A repeated token is not unsealed again, and the result is the same."""
    cache, sealer, _ = make(**options)
    token = seal(sealer, b"payload" * 20, **fields)
    expected = Sealer.unseal(sealer, token)
    assert [cache.unseal(token) for _ in range(3)] == [expected] * 3
    assert sealer.unsealed == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token[:-1],
        lambda token: token + b"A",
        lambda token: b"A" + token,
        lambda token: token[:20] + (b"A" if token[20:21] != b"A" else b"B") + token[21:],
        lambda token: token.swapcase(),
        lambda token: b"",
    ],
)
def test_what_is_refused_is_not_kept(change):
    """A refused token is refused every time, and is not cached."""
    cache, sealer, _ = make()
    token = seal(sealer)
    cache.unseal(token)
    for count in range(1, 10):
        assert outcome(cache.unseal, change(token)) in ("bad_signature", "malformed", "unknown_key")
        assert sealer.unsealed == 1 + count
    assert kept_by(cache) == 1
    cache.unseal(token)
    assert sealer.unsealed == 10


def test_a_token_of_another_purpose():
    """A cache returns no tokens of a sealer for another purpose."""
    cache, sealer, _ = make()
    token = seal(sealer)
    cache.unseal(token)
    other = Sealer(OLD, "cookie:other", clock=Clock())
    assert outcome(TokenCache(other, OLD, 4, LARGEST, Clock()).unseal, token) == "bad_signature"


@pytest.mark.parametrize("most", [2, 3, 4, 5, 100])
def test_the_cache_is_bounded(most):
    """The cache never has more tokens than the option allows."""
    cache, sealer, _ = make(most)
    for number in range(4 * most):
        token = seal(sealer, b"%d" % number)
        assert cache.unseal(token).payload == b"%d" % number
        assert kept_by(cache) <= most
    assert kept_by(cache) >= most // 2


@pytest.mark.parametrize("most", [2, 4, 100])
def test_what_is_used_stays(most):
    """A token that is used at least once for each half of the cache stays in it."""
    cache, sealer, _ = make(most)
    used = seal(sealer, b"used")
    for number in range(10 * most):
        if number % (most // 2) == 0:
            cache.unseal(used)
        cache.unseal(seal(sealer, b"%d" % number))
    assert sealer.unsealed == 10 * most + 1


@pytest.mark.parametrize(("count", "options"), [(5, {}), (750, {}), (2000, {"compress": True})], ids=str)
def test_memory(count, options):
    """A cached token needs the memory of token and payload, and some 300 bytes more."""
    cache, sealer, _ = make(1000, **options)
    payloads = [b"%4d" % number * count for number in range(3000)]
    tracemalloc.start()
    try:
        for payload in payloads:
            token = seal(sealer, payload)
            cache.unseal(token)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 200 < held / kept_by(cache) - len(token) - len(payload) < 400


def test_payloads_that_nobody_reads():
    """A payload that inflates beyond the limit of sessions is not cached."""
    cache, sealer, _ = make(compress=True)
    fits, large = seal(sealer, bytes(LARGEST)), seal(sealer, bytes(LARGEST + 1))
    for _ in range(2):
        assert (len(cache.unseal(fits).payload), len(cache.unseal(large).payload)) == (LARGEST, LARGEST + 1)
    assert (kept_by(cache), sealer.unsealed) == (1, 3)


# ----------------------------------------------------------------------------------------------- checks of each request


@pytest.mark.parametrize(
    ("seconds", "fields", "code"),
    [
        (IDLE + LEEWAY + 1, {}, "expired_idle"),
        (-LEEWAY - 1, {}, "from_the_future"),
        (50, {"lifetime": 39}, "expired_absolute"),
        (50, {"created": NOW - ABSOLUTE + 39}, "expired_absolute"),
    ],
)
def test_times_are_asked_again(seconds, fields, code):
    """A cached token expires in the same second as without the cache, even if it is used often."""
    cache, sealer, clock = make()
    token = seal(sealer, **fields)
    for _ in range(2):
        clock.now = float(NOW)
        expected = cache.unseal(token)
        clock.now += seconds - (1 if seconds > 0 else -1)
        assert cache.unseal(token) == expected
        clock.now = NOW + seconds
        assert outcome(cache.unseal, token) == code
    for number in range(2):  # now it is an old one
        clock.now = float(NOW)
        cache.unseal(seal(sealer, b"%d" % number))
    clock.now = NOW + seconds
    assert outcome(cache.unseal, token) == code


def test_what_ends_is_not_kept_again():
    """An expired token is refused, and leaves the cache when enough other tokens have come."""
    cache, sealer, clock = make()
    ended = seal(sealer)
    cache.unseal(ended)
    clock.now += IDLE + LEEWAY + 1
    for number in range(4):
        assert outcome(cache.unseal, ended) == "expired_idle"
        cache.unseal(seal(sealer, b"%d" % number))
    assert sealer.unsealed == 5
    assert outcome(cache.unseal, ended) == "expired_idle"
    assert sealer.unsealed == 6


def test_long_bindings():
    """The memory of a cached token does not depend on the length of the binding."""
    cache, sealer, _ = make(100)
    tokens = [seal(sealer, binding=b"%d" % number * 10_000) for number in range(50)]
    tracemalloc.start()
    try:
        for number, token in enumerate(tokens):
            assert cache.unseal(token, binding=b"%d" % number * 10_000).payload == b"payload"
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (kept_by(cache), held < 50 * 1000) == (50, True)


def test_a_binding_is_asked_again():
    """A token that is cached for one binding does not open with another one, or without one."""
    cache, sealer, _ = make()
    token = seal(sealer, binding=b"here")
    free = seal(sealer)
    for _ in range(2):
        assert cache.unseal(token, binding=b"here").payload == b"payload"
        assert cache.unseal(free).payload == b"payload"
        for other in (b"", b"her", b"there", b"heree"):
            assert outcome(cache.unseal, token, other) == "bad_signature"
        assert outcome(cache.unseal, free, b"here") == "bad_signature"
        for shifted in range(1, 5):
            assert outcome(cache.unseal, token + b"here"[:shifted], b"here"[shifted:]) in ("bad_signature", "malformed")
            assert outcome(cache.unseal, free[:-shifted], free[-shifted:]) in ("bad_signature", "malformed")


def test_a_new_keyring():
    """A change of the keyring empties the cache."""
    source = Source(OLD)
    cache, sealer, _ = make(keyring=source)
    token = seal(sealer)
    assert not cache.unseal(token).by_fallback
    source.keyring = BOTH
    assert [cache.unseal(token).by_fallback for _ in range(2)] == [True, True]
    source.keyring = NEW
    assert [outcome(cache.unseal, token) for _ in range(2)] == ["unknown_key"] * 2
    assert kept_by(cache) == 0
    source.keyring = OLD
    assert not cache.unseal(token).by_fallback
    assert sealer.unsealed == 5


def test_a_keyring_that_changes_between_two_questions():
    """The cache is correct even if the keyring changes between its own call of the source and that of the sealer."""
    keyrings = [OLD, OLD]  # for the sealer and the cache, when they are made

    class Changing(Source):
        def current(self, second):
            return keyrings.pop(0)

    cache, _, _ = make(keyring=Changing(OLD))
    old, new = (seal(Sealer(keyring, "cookie:session", clock=Clock())) for keyring in (OLD, NEW))
    for token, asked, expected in [
        (old, [OLD, NEW], "unknown_key"),
        (new, [OLD, NEW], b"payload"),
        (old, [NEW, NEW], "unknown_key"),
        (new, [NEW, NEW], b"payload"),
        (new, [NEW], b"payload"),
    ]:
        keyrings[:] = asked
        result = outcome(cache.unseal, token)
        assert (result if isinstance(result, str) else result.payload) == expected
        assert keyrings == []


def test_a_keyring_that_changes_while_a_token_is_unsealed():
    """A slow thread does not cache the result of the previous keyring for the new one."""
    source = Source(OLD)

    class Slow(Counting):
        def unseal(self, token, *, binding=b""):
            unsealed = super().unseal(token, binding=binding)
            if source.keyring is OLD:
                source.keyring = NEW
                assert cache.unseal(new).payload == b"payload"  # another thread
            return unsealed

    cache = TokenCache(Slow(source, "cookie:session", clock=Clock()), source, 4, LARGEST, Clock())
    old, new = (seal(Sealer(keyring, "cookie:session", clock=Clock())) for keyring in (OLD, NEW))
    assert cache.unseal(old).payload == b"payload"
    assert outcome(cache.unseal, old) == "unknown_key"
    assert cache.unseal(new).payload == b"payload"


def test_a_slow_thread_begins_a_generation():
    """A slow thread that begins a generation does so for the keyring with which it has unsealed."""
    source = Source(OLD)

    class Slow(Counting):
        def unseal(self, token, *, binding=b""):
            unsealed = super().unseal(token, binding=binding)
            if token == second:
                source.keyring = NEW
                assert cache.unseal(new).payload == b"payload"  # another thread
            return unsealed

    cache = TokenCache(Slow(source, "cookie:session", clock=Clock()), source, 2, LARGEST, Clock())
    sealer = Sealer(OLD, "cookie:session", clock=Clock())
    first, second = seal(sealer), seal(sealer)
    new = seal(Sealer(NEW, "cookie:session", clock=Clock()))
    assert [cache.unseal(token).payload for token in (first, second)] == [b"payload"] * 2
    assert [outcome(cache.unseal, token) for token in (first, second)] == ["unknown_key"] * 2


steps = st.tuples(
    st.integers(0, 5),  # which token
    st.sampled_from([b"", b"a", b"ab"]),
    st.sampled_from([OLD, BOTH, BOTH, NEW]),
    st.sampled_from([-20, -1, 0, 0, 0, 1, 30, 90, 500]),  # seconds on
)


@given(st.lists(steps, max_size=40), st.sampled_from([2, 3, 8]))
def test_a_cache_changes_nothing(steps, most):
    """For any tokens, times and keyrings, results and errors are the same with and without the cache."""
    source = Source(OLD)
    cache, sealer, clock = make(most, source)
    tokens = [
        seal(sealer, binding=binding, lifetime=lifetime) for binding in (b"", b"a", b"ab") for lifetime in (None, 60)
    ]
    for number, binding, source.keyring, seconds in steps:
        clock.now += seconds
        token = tokens[number]
        assert outcome(cache.unseal, token, binding) == outcome(super(Counting, sealer).unseal, token, binding)
        assert kept_by(cache) <= most


def test_threads():
    """Threads that share a cache get correct results while the keyring changes."""
    source = Source(OLD)
    cache, sealer, _ = make(8, source)
    tokens = [(seal(sealer, b"%d" % number), b"%d" % number) for number in range(20)]

    def work(worker):
        opened = 0
        for number in range(2000):
            if worker == 0 and number % 50 == 0:
                source.keyring = (NEW, OLD, BOTH)[number // 50 % 3]
            token, payload = tokens[number * (worker + 1) % len(tokens)]
            result = outcome(cache.unseal, token)
            assert result == "unknown_key" or result.payload == payload
            opened += result != "unknown_key"
            assert kept_by(cache) <= 8 + 8
        return opened

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(work, range(8))) > 1000
    source.keyring = NEW
    assert {outcome(cache.unseal, token) for token, _ in tokens} == {"unknown_key"}


# ------------------------------------------------------------------------------------------------- with the middlewares


class OneMiddleware:
    """A browser whose requests all go through one middleware."""

    middleware = None

    def wrapped(self, app):
        if self.middleware is None:
            self.middleware = super().wrapped(app)
        self.middleware.app = app
        return self.middleware


class WsgiClient(OneMiddleware, WsgiBrowser):
    pass


class AsgiClient(OneMiddleware, AsgiBrowser):
    pass


@pytest.fixture(params=[WsgiClient, AsgiClient], ids=["wsgi", "asgi"])
def make_client(request):
    return request.param


@pytest.fixture
def unsealings(monkeypatch):
    """Record every call of `Sealer.unseal`."""
    calls = []
    unseal = Sealer.unseal

    def counted(self, token, *, binding=b""):
        calls.append(token)
        return unseal(self, token, binding=binding)

    monkeypatch.setattr(Sealer, "unseal", counted)
    return calls


def sign_in(session):
    session.update(user="ann", cart=["apple"])
    session.subject = "user:ann"


@pytest.mark.parametrize(("options", "expected"), [({}, 3), ({"token_cache": 2}, 1)], ids=["off", "on"])
def test_the_option(make_client, keys, unsealings, options, expected):
    """Only with the option token_cache is a repeated cookie unsealed once."""
    client = make_client({**keys, **options})
    client.visit(sign_in)
    for _ in range(3):
        assert client.visit()["user"] == "ann"
    assert len(unsealings) == expected


def test_requests_share_no_values(make_client, keys, unsealings):
    """A change of values in one request does not affect other requests with the same cookie."""
    client = make_client({**keys, "token_cache": 2})
    client.visit(sign_in)
    cookie = client.cookie
    for number in range(3):
        session = client.visit(lambda session, number=number: session["cart"].append(number), cookie=cookie)
        assert session == {"user": "ann", "cart": ["apple", number]}
        changed = client.set_cookies[0].partition(";")[0]
        assert client.visit(cookie=changed) == {"user": "ann", "cart": ["apple", number]}
    assert unsealings.count(cookie.partition("=")[2].encode()) == 1


@pytest.mark.parametrize("blocks", [False, True], ids=["memory", "SQLite"])
def test_a_logout_ends_a_kept_token(make_client, blocks, keys, tmp_path, unsealings):
    """The store is called for every request: a cached token is refused after a logout."""
    store = SQLiteStore(tmp_path / "revoked.db") if blocks else MemoryStore()
    client = make_client({**keys, "token_cache": 2, "revocation": store})
    client.visit(sign_in)
    cookie = client.cookie
    assert client.visit()["user"] == "ann"
    client.visit(methodcaller("logout"))
    session = client.visit(cookie=cookie)
    assert (dict(session), session.rejected) == ({}, "revoked")
    assert len(unsealings) == 1


def test_the_binding_of_a_request(make_client, keys):
    """With a binding, a cached token opens for its own client only."""
    client = make_client({**keys, "token_cache": 4, "binding": lambda request: self_said[0]})
    self_said = [b"ann's"]
    client.visit(sign_in)
    cookie = client.cookie
    for said, rejected in [(b"ann's", None), (b"bob's", "bad_signature"), (b"ann's", None)]:
        self_said[0] = said
        session = client.visit(cookie=cookie)
        assert (session.rejected, len(session)) == (rejected, 0 if rejected else 2)


@pytest.mark.parametrize(("size", "unsealed"), [(100, 1), (101, 2)])
def test_what_is_over_the_limits_is_not_kept(keys, size, unsealed, unsealings):
    """A forged token whose payload exceeds the limits is refused and not cached."""
    config = SessionConfig(**keys, token_cache=2, limits=Limits(size=100))
    client = WsgiClient({"config": config})
    forged = Sealer(config.keys, "cookie:__Host-Http-session").seal(bytes(size), created=int(time()))
    for _ in range(2):
        assert client.visit(cookie=f"__Host-Http-session={forged}").rejected == "forbidden_value"
    assert len(unsealings) == unsealed


def test_a_shared_config(keys, unsealings):
    """Two middlewares of one config have separate caches."""
    config = SessionConfig(**keys, token_cache=2)
    first, second = WsgiClient({"config": config}), WsgiClient({"config": config})
    first.visit(sign_in)
    for client in (first, second, first, second):
        assert client.visit(cookie=first.cookie)["user"] == "ann"
    assert len(unsealings) == 2


def test_nothing_is_shown(keys):
    """repr() of a middleware and its parts shows neither tokens nor payloads."""
    client = WsgiClient({**keys, "token_cache": 2})
    client.visit(sign_in)
    client.visit()
    shown = repr(client.middleware) + repr(client.middleware.config) + repr(client.middleware.manager)
    assert "ann" not in shown
    assert client.cookie.partition("=")[2] not in shown
