"""What tests share: two keys, a clock that stands still until a test moves it, and servers as processes."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.servers import free_port as held_port
from tests.support.servers import running

pytest_plugins = ["sealedsession.testing.plugin"]

# Hypothesis has limits in seconds for an example and for making one: a busy machine breaks them. Everything
# else stays as it is in the profile that is in use: Hypothesis has another one for CI.
settings.register_profile(
    "untimed",
    settings(),
    deadline=None,
    suppress_health_check={*settings().suppress_health_check, HealthCheck.too_slow},
)
settings.register_profile("quick", settings.get_profile("untimed"), max_examples=10)
settings.load_profile("untimed")


class Clock:
    """Seconds since 1970, standing still."""

    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def keys() -> dict[str, str]:
    """The two keys that every configuration needs."""
    return {
        "validate_key": "L2Y0Z3fREApcKqjQ1-5im1yDuPovUzVKx5plVATACO4",
        "encrypt_key": "nVrAjanE_Tr7gxWPUw3qHDpsRwra9JzaiZWEOZ_G9bw",
    }


@pytest.fixture(scope="session")
def other_keys() -> dict[str, str]:
    return {
        "validate_key": "BbMnPkV5nDeTF-JWm-nAw9IoXwnYuIuAShiuXXnaY6g",
        "encrypt_key": "rKjse4DFshgS64DKCJIl4m25rMv3yBcKGtGY56yUSQw",
    }


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., int]]:
    """Start a server: ``serve("uvicorn", "--port", "{port}", "app", cwd=..., env=...)`` gives its port on loopback.

    The words are those of ``python -m``, or of ``python`` where the first ends in .py; those find the port in the
    environment, or receive it from the caller. The server is stopped at the end of the module.
    """
    with ExitStack() as servers:

        def start(*words: str, cwd: Path, env: dict[str, str] | None = None, port: int | None = None) -> int:
            directory = tmp_path_factory.mktemp("server")
            return servers.enter_context(running(*words, cwd=cwd, directory=directory, env=env, port=port))

        yield start


@pytest.fixture(scope="module")
def free_port() -> Iterator[int]:
    """A port that nobody but the module's tests is given."""
    with held_port() as port:
        yield port
