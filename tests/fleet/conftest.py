"""Fleets: several servers of one application, and what they share."""

import json
from collections.abc import Callable, Iterator

import pytest
from redis_server import RedisServer

from fleet.servers import GUNICORN, TESTS, UVICORN, find_free_port

KINDS = {
    "gunicorn": GUNICORN,
    "gunicorn with two workers": (*GUNICORN, "--workers", "2", "--preload"),  # the store is made before they fork
    "uvicorn": UVICORN,
}


@pytest.fixture(scope="module")
def start_fleet(serve: Callable[..., int], keys: dict[str, str]) -> Callable[..., list[int]]:
    """Start servers of kinds, with options of the session besides its keys, and give their ports."""

    def start_fleet(*kinds: str, **options: str) -> list[int]:
        env = {"FLEET_OPTIONS": json.dumps({**keys, **options})}
        return [serve(*KINDS[kind], cwd=TESTS, env=env) for kind in kinds]

    return start_fleet


@pytest.fixture(scope="module")
def redis() -> Iterator[tuple[RedisServer, str]]:
    """A redis-server that is reached by TCP, and its URL."""
    port = find_free_port()
    with RedisServer("--port", str(port), "--bind", "127.0.0.1") as server:
        yield server, f"redis://127.0.0.1:{port}/0"
