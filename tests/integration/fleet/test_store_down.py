"""The store killed, started again, hanging and going on, while servers are under load: what they answer meanwhile."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.support.load import Answer, Load, visit
from tests.support.redis_server import RedisServer

TIMEOUT = 2.5  # seconds of the store; more than a busy machine keeps a Redis waiting that is well
LONGEST = 2 * TIMEOUT + 10  # seconds for a request that asks the store once, on a busy machine; a hang has no end
LEAST = 3  # answers of each server that make a phase
PATIENCE = 60  # seconds for them to come
SIGNED_IN = (200, None, None, b'{"user": "ann"}')
# The cookie is left alone, so that the session is back when the store is.
REFUSED = (200, "store_error", None, b"{}")
WHILE_DOWN = {"reject": REFUSED, "allow": SIGNED_IN}


class Visitor:
    """A signed-in user, who remembers all answers."""

    path = "/read/"

    def __init__(self, cookie: str, answers: list[Answer]) -> None:
        self.cookie = cookie
        self._answers = answers

    def see(self, answer: Answer) -> None:
        self._answers.append(answer)


class Phases:
    """Periods in which every response must be of one kind, and the responses."""

    def __init__(self, servers: int) -> None:
        self.answers: list[Answer] = []
        self._servers = servers
        self._phases: list[tuple[float, float, tuple[object, ...]]] = []

    def last(self, expected: tuple[object, ...]) -> None:
        """From now on, until every server has answered a few requests that began from now on, they are as expected."""
        begin = time.monotonic()
        while time.monotonic() < begin + PATIENCE and not self._has_answers(begin):
            time.sleep(0.02)
        self._phases.append((begin, time.monotonic(), expected))

    def _has_answers(self, begin: float) -> bool:
        counts = Counter(answer.server for answer in list(self.answers) if begin <= answer.started)
        return all(counts[server] >= LEAST for server in range(self._servers))

    def check(self) -> None:
        """Demand that each phase had answers of every server and all were as expected, and none was slow."""
        for begin, end, expected in self._phases:
            inside = [
                answer for answer in self.answers if begin <= answer.started and answer.started + answer.seconds <= end
            ]
            assert {answer.server for answer in inside} == set(range(self._servers))
            assert {answer[:4] for answer in inside} == {expected}
        allowed = {expected for _, _, expected in self._phases}
        assert {answer[:4] for answer in self.answers} <= allowed  # those across a boundary, too
        assert max(answer.seconds for answer in self.answers) < LONGEST


@pytest.fixture(scope="module", params=WHILE_DOWN)
def policy(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def ports(policy: str, start_fleet: Callable[..., list[int]], redis: tuple[RedisServer, str]) -> list[int]:
    """One server of each interface, WSGI and ASGI."""
    return start_fleet("gunicorn", "uvicorn", revocation=redis[1], on_store_error=policy, store_timeout=TIMEOUT)


@contextmanager
def load(ports: list[int], phases: Phases) -> Iterator[None]:
    """Users, signed in before, who visit all servers; afterwards they have the cookies that they had."""
    cookies = [sign_in(ports[number % len(ports)]) for number in range(24)]
    visitors = [Visitor(cookie, phases.answers) for cookie in cookies]
    problems: list[str] = []
    running = Load(ports, visitors, 12, problems.append)
    try:
        yield
    finally:
        running.stop()
    assert problems == []
    assert [visitor.cookie for visitor in visitors] == cookies


def visit_all(ports: Sequence[int], path: str, cookie: str) -> list[Answer]:
    """The answers of all servers, asked at the same time."""
    with ThreadPoolExecutor(len(ports)) as threads:
        return list(threads.map(lambda port: visit(port, path, cookie), ports))


def sign_in(port: int) -> str:
    cookie = visit(port, "/sign-in/ann").cookie
    assert cookie
    return cookie


@contextmanager
def gone(server: RedisServer) -> Iterator[None]:
    """The store is killed, and started again."""
    server.kill()
    try:
        yield
    finally:
        server.start()


@contextmanager
def hanging(server: RedisServer) -> Iterator[None]:
    """The store takes connections and does not answer, and then goes on."""
    server.stop()
    try:
        yield
    finally:
        server.resume()


def test_killed_and_started_again(policy: str, ports: list[int], redis: tuple[RedisServer, str]) -> None:
    """While the store is gone, sessions are refused or accepted by the policy; when it is back, so are they."""
    phases = Phases(len(ports))
    with load(ports, phases):
        phases.last(SIGNED_IN)
        with gone(redis[0]):
            phases.last(WHILE_DOWN[policy])
        phases.last(SIGNED_IN)
    phases.check()


def test_hanging_and_going_on(policy: str, ports: list[int], redis: tuple[RedisServer, str]) -> None:
    """A store that hangs costs a request its timeouts and no more; what it knew before, it knows afterwards."""
    copy = sign_in(ports[0])
    assert visit(ports[0], "/log-out/", copy).cookie == ""
    phases = Phases(len(ports))
    with load(ports, phases):
        phases.last(SIGNED_IN)
        with hanging(redis[0]):
            phases.last(WHILE_DOWN[policy])
            assert {answer[:4] for answer in visit_all(ports, "/read/", copy)} == {WHILE_DOWN[policy]}
        phases.last(SIGNED_IN)
    phases.check()
    assert {visit(port, "/read/", copy).rejected for port in ports} == {"revoked"}


@pytest.mark.parametrize("path", ["/log-out/", "/revoke/", "/log-out-everywhere/ann", "/sign-in/ann", "/count/"])
def test_changes_while_it_is_gone(path: str, ports: list[int], redis: tuple[RedisServer, str]) -> None:
    """What would tell the store something, or change the session, is answered all the same."""
    cookie = sign_in(ports[0])
    with gone(redis[0]):
        answers = [visit(port, path, cookie) for port in ports]
    assert {answer.status for answer in answers} == {200}
    assert max(answer.seconds for answer in answers) < LONGEST


def test_logout_while_it_is_gone(ports: list[int], redis: tuple[RedisServer, str]) -> None:
    """Whoever signs out is signed out in this browser at least: the cookie is deleted, even if it was refused."""
    cookie = sign_in(ports[0])
    with gone(redis[0]):
        answers = [visit(port, "/log-out/", cookie) for port in ports]
    assert [answer.cookie for answer in answers] == [""] * len(ports)


def test_logout_while_it_hangs(ports: list[int], redis: tuple[RedisServer, str]) -> None:
    """A logout waits for the store once to open the session and once to revoke it, however many ids it had."""
    cookie = sign_in(ports[0])
    for _ in range(20):
        cookie = visit(ports[0], "/regenerate/", cookie).cookie or ""
    with hanging(redis[0]):
        answers = visit_all(ports, "/log-out/", cookie)
    assert {answer.status for answer in answers} == {200}
    assert max(answer.seconds for answer in answers) < LONGEST + 2 * TIMEOUT
