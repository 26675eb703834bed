"""Servers as processes of their own, on free ports of loopback, that end with the block that started them."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 20  # seconds for a server to start, or to stop, on a busy machine
TESTS = Path(__file__).parents[1]
# Each one process, with the applications of this package. Connections of clients that wait for others stay open.
UVICORN = (
    "uvicorn", "--port", "{port}", "--lifespan", "off", "--no-access-log", "--log-level", "warning",
    "--timeout-keep-alive", "60", "fleet.applications:asgi",
)  # fmt: skip
GUNICORN = (
    "gunicorn", "--bind", "127.0.0.1:{port}", "--worker-class", "gthread", "--threads", "16", "--keep-alive", "60",
    "--log-level", "warning", "fleet.applications:wsgi",
)  # fmt: skip


class DidNotStart(Exception):
    """A server ended, or took no connection in time. The message has its log."""


def find_free_port() -> int:
    """A port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def running(
    *words: str, cwd: Path, directory: Path, env: Mapping[str, str] | None = None, port: int | None = None
) -> Iterator[int]:
    """Run a server, and give its port.

    :param words: those of ``python -m``, with ``{port}`` where it goes, or of ``python`` where the first ends in .py.
    :param directory: the server's home; its output goes to the file ``log`` there.
    :param env: variables besides those of this process, and besides HOME and PORT.
    :raises DidNotStart: unless it takes a connection.
    """
    port = port or find_free_port()
    how = [] if words[0].endswith(".py") else ["-m"]
    command = [sys.executable, *how, *(word.format(port=port) for word in words)]
    variables = {**os.environ, "HOME": str(directory), "PORT": str(port), **(env or {})}
    log = directory / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=cwd, env=variables, stdout=output, stderr=subprocess.STDOUT)
    try:
        _wait_for(process, port, log)
        yield port
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
    raise DidNotStart(f"{process.args} did not start:\n{log.read_text()}")
