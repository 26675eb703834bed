"""A copy of a cookie is worthless after logout, on every server of a fleet that shares a store."""

import json
import time
from collections.abc import Callable

import pytest

from sealedsession.revocation import RedisStore, RevocationStore, SQLiteStore
from tests.support.load import visit

TIMEOUT = 30  # seconds for the store, on a busy machine: here it never fails
SIGNED_OUT = {("revoked", None, None)}  # no new cookie, and no deletion either


class Fleet:
    """The ports of servers that share a store."""

    def __init__(self, ports: list[int], store: RevocationStore) -> None:
        self.ports = ports
        self.store = store

    def sign_in(self, user: str, *, server: int = 0) -> str:
        """The cookie of a new session."""
        answer = visit(self.ports[server % len(self.ports)], f"/sign-in/{user}")
        assert answer.status == 200
        assert answer.cookie
        return answer.cookie

    def see(self, cookie: str) -> set[tuple[str | None, str | None, str | None]]:
        """What the servers make of a cookie: why it is rejected, whose it is, and which new cookie is sent."""
        answers = [visit(port, "/read/", cookie) for port in self.ports]
        assert {answer.status for answer in answers} == {200}
        return {(answer.rejected, json.loads(answer.body).get("user"), answer.cookie) for answer in answers}


@pytest.fixture(scope="module", params=["sqlite", "redis"])
def fleet(
    request: pytest.FixtureRequest, start_fleet: Callable[..., list[int]], tmp_path_factory: pytest.TempPathFactory
) -> Fleet:
    """With SQLite two servers, of which one has two workers; with redis-server the same, and two with ASGI."""
    if request.param == "sqlite":
        path = tmp_path_factory.mktemp("store") / "revoked.db"
        store, name = SQLiteStore(path, timeout=TIMEOUT), f"sqlite:{path}"
        kinds = ["gunicorn", "gunicorn with two workers"]
    else:
        _, name = request.getfixturevalue("redis")
        store = RedisStore(name, timeout=TIMEOUT)
        kinds = ["gunicorn", "gunicorn with two workers", "uvicorn", "uvicorn"]
    return Fleet(start_fleet(*kinds, revocation=name, store_timeout=TIMEOUT), store)


def signed_in(user: str) -> set[tuple[str | None, str | None, str | None]]:
    return {(None, user, None)}


def test_logout(fleet: Fleet) -> None:
    """A cookie copied before a logout, by whichever server, is refused by all of them; other sessions are not."""
    for number, port in enumerate(fleet.ports):
        copy = fleet.sign_in("ann", server=number + 1)
        elsewhere = fleet.sign_in("ann", server=number)
        assert fleet.see(copy) == fleet.see(elsewhere) == signed_in("ann")
        assert visit(port, "/log-out/", copy).cookie == ""
        assert fleet.see(copy) == SIGNED_OUT
        assert fleet.see(elsewhere) == signed_in("ann")


def test_logout_reaches_older_cookies(fleet: Fleet) -> None:
    """Copies of a session's older cookies are refused after its logout: changed since, or under older ids."""
    for port in fleet.ports:
        cookies = [fleet.sign_in("ann")]
        for number, path in enumerate(("/count/", "/regenerate/", "/count/", "/regenerate/")):
            answer = visit(fleet.ports[number % len(fleet.ports)], path, cookies[-1])
            assert answer.cookie
            cookies.append(answer.cookie)
        for cookie in cookies:
            assert fleet.see(cookie) == signed_in("ann")
        assert visit(port, "/log-out/", cookies[-1]).cookie == ""
        for cookie in cookies:
            assert fleet.see(cookie) == SIGNED_OUT


def test_revoke(fleet: Fleet) -> None:
    """A revoked session's data is there until its response has gone, and refused everywhere from then on."""
    for port in fleet.ports:
        cookie = fleet.sign_in("ann")
        assert json.loads(visit(port, "/revoke/", cookie).body) == {"user": "ann"}
        assert fleet.see(cookie) == SIGNED_OUT


def test_revoke_subject(fleet: Fleet) -> None:
    """All ten sessions of a user are refused by all servers after revoke_subject, and another user's are not."""
    for number, port in enumerate(fleet.ports):
        user = f"ann-{number}"
        sessions = [fleet.sign_in(user, server=server) for server in range(10)]
        bystander = fleet.sign_in("bob")
        for cookie in sessions:
            assert fleet.see(cookie) == signed_in(user)
        assert visit(port, f"/log-out-everywhere/{user}", bystander).status == 200
        for cookie in sessions:
            assert fleet.see(cookie) == SIGNED_OUT
        assert fleet.see(bystander) == signed_in("bob")


def test_revoke_ones_own_subject(fleet: Fleet) -> None:
    """Who calls revoke_subject for himself stays signed in, under a new cookie: a copy of the old one is refused."""
    for number, port in enumerate(fleet.ports):
        user = f"carol-{number}"
        elsewhere, copy = fleet.sign_in(user, server=number), fleet.sign_in(user, server=number + 1)
        own = visit(port, f"/log-out-everywhere/{user}", copy).cookie
        assert own
        assert fleet.see(own) == signed_in(user)
        assert fleet.see(copy) == fleet.see(elsewhere) == SIGNED_OUT


def test_revoke_subject_outside_of_requests(fleet: Fleet) -> None:
    """A job revokes a user's sessions in the store; from the next second on he can sign in again."""
    old = fleet.sign_in("dave")
    assert fleet.see(old) == signed_in("dave")
    fleet.store.revoke_subject("dave", ttl=60)
    revoked_in = int(time.time())
    assert fleet.see(old) == SIGNED_OUT
    time.sleep(max(0.0, revoked_in + 1.01 - time.time()))
    assert fleet.see(fleet.sign_in("dave")) == signed_in("dave")
    assert fleet.see(old) == SIGNED_OUT
