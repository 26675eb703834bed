"""Fleets: several servers of one application, and what they share."""

import json
from collections.abc import Callable, Iterator

import pytest

from tests.support import ROOT
from tests.support.redis_server import RedisServer
from tests.support.servers import GUNICORN, UVICORN, free_port

KINDS = {
    "gunicorn": GUNICORN,
    "gunicorn with two workers": (*GUNICORN, "--workers", "2", "--preload"),  # the store is made before they fork
    "uvicorn": UVICORN,
}


@pytest.fixture(scope="module")
def start_fleet(serve: Callable[..., int], keys: dict[str, str]) -> Callable[..., list[int]]:
    """Start servers of kinds, with options for `applications` besides the keys, and give their ports."""

    def start_fleet(*kinds: str, **options: object) -> list[int]:
        env = {"FLEET_OPTIONS": json.dumps({**keys, **options})}
        return [serve(*KINDS[kind], cwd=ROOT, env=env) for kind in kinds]

    return start_fleet


@pytest.fixture(scope="module")
def redis() -> Iterator[tuple[RedisServer, str]]:
    """A redis-server that is reached by TCP, and its URL."""
    with free_port() as port, RedisServer("--port", str(port), "--bind", "127.0.0.1") as server:
        yield server, f"redis://127.0.0.1:{port}/0"
