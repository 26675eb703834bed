"""What tests share: two keys, a clock that stands still until a test moves it, and servers as processes."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

PATIENCE = 20  # seconds for a server to start, or to stop, on a busy machine


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
    environment, or are told it otherwise by whoever gives one. The server is stopped at the end of the module.
    """
    with ExitStack() as running:

        def start(*words: str, cwd: Path, env: dict[str, str] | None = None, port: int | None = None) -> int:
            directory = tmp_path_factory.mktemp("server")
            port = port or find_free_port()
            variables = {**os.environ, "HOME": str(directory), "PORT": str(port), **(env or {})}
            running.enter_context(_server(words, port, cwd, variables, directory / "log"))
            return port

        yield start


@pytest.fixture(scope="session")
def free_port() -> int:
    return find_free_port()


def find_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@contextmanager
def _server(words: tuple[str, ...], port: int, cwd: Path, env: dict[str, str], log: Path) -> Iterator[None]:
    how = [] if words[0].endswith(".py") else ["-m"]
    command = [sys.executable, *how, *(word.format(port=port) for word in words)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=cwd, env=env, stdout=output, stderr=subprocess.STDOUT)
    try:
        _wait_for(process, port, log)
        yield
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    pytest.fail(f"{process.args} did not start:\n{log.read_text()}")
