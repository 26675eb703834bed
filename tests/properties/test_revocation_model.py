"""The model of revocation: it finds no violation in any store, and it finds each fault whose fix is taken out."""

import logging

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from sealedsession.lifecycle.revoke import Revocations
from sealedsession.revocation import CachedStore, MemoryStore
from tests.properties.revocation_model import ViolationError, memory_backend, model_with, redis_backend, sqlite_backend
from tests.support.redis_server import RedisServer

SETTINGS = settings(
    derandomize=True,
    database=None,
    deadline=None,
    stateful_step_count=40,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    """Every refused session is a record."""
    monkeypatch.setattr(logging.getLogger("sealedsession"), "disabled", True)


@pytest.fixture(params=["memory", "sqlite", "redis"])
def backend(request, tmp_path):
    if request.param == "redis":
        return redis_backend(request.getfixturevalue("redis_url"))
    return memory_backend() if request.param == "memory" else sqlite_backend(tmp_path / "revoked.db")


@pytest.fixture(scope="module")
def redis_url():
    with RedisServer() as server:
        yield server.url


def test_no_violation(backend):
    """Users, thieves and servers with wrong clocks and caches find no way around a revocation, in any store."""
    model = model_with(backend)
    run_state_machine_as_test(model, settings=settings(SETTINGS, max_examples=60))
    for seen in ("accepted", "refused: revoked", "written", "not written", "requests that hang"):
        assert model.seen[seen] > 10, seen


class CarelessStore(MemoryStore):
    """A store that does not look whether the session that calls it is revoked."""

    def revoke(self, key, entry, ttl, caller=None):
        return super().revoke(key, entry, ttl, caller and caller._replace(keys=()))


class TrustingCache(CachedStore):
    """A cache that answers itself whether the session that calls it is revoked."""

    def revoke(self, key, entry, ttl, caller=None):
        if caller is not None and caller.keys:
            if caller.is_refused(self.find(caller.keys)):
                return False
            caller = caller._replace(keys=())
        return super().revoke(key, entry, ttl, caller)

    async def arevoke(self, key, entry, ttl, caller=None):
        if caller is not None and caller.keys:
            if caller.is_refused(await self.afind(caller.keys)):
                return False
            caller = caller._replace(keys=())
        return await super().arevoke(key, entry, ttl, caller)


def keep_later(old, entry, caller):
    """Merge two entries: the later one wins, with the session that it exempts."""
    return entry if old is None or entry.not_before >= old.not_before else old


def begin_at_first_touch(server):
    """Date sessions by the moment in which they are opened."""
    manager = server.middleware.manager
    load = manager.load

    def load_late(session):
        session._arrived = server.clock()
        return load(session)

    manager.load = load_late


def forget_who_came(server):
    """Let a request that has ended its session act in nobody's name."""
    manager = server.middleware.manager
    load = manager.load

    def load_and_forget(session):
        loaded = load(session)
        revocations = loaded.revocations or Revocations(loaded)
        revocations.acts_as = None
        return loaded._replace(revocations=revocations)

    manager.load = load_and_forget


@pytest.fixture(params=["caller", "cache", "merge", "arrival", "ended"])
def faulty(request, monkeypatch):
    """A model with one fix taken out."""
    model = model_with(memory_backend(CarelessStore if request.param == "caller" else MemoryStore))
    if request.param == "cache":
        model.cached_store = TrustingCache
    if request.param == "merge":
        monkeypatch.setattr("sealedsession.revocation.memory.merge", keep_later)
    if request.param == "arrival":
        model.prepare = lambda self, server: begin_at_first_touch(server)
    if request.param == "ended":
        model.prepare = lambda self, server: forget_who_came(server)
    return model


def test_each_fault_is_found(faulty):
    """Without any one of the fixes, the model finds a violation."""
    with pytest.raises(ViolationError):
        run_state_machine_as_test(faulty, settings=settings(SETTINGS, max_examples=3000))
