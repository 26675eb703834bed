"""Servers as processes of their own, on free ports of loopback, that end with the block that started them."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 60  # seconds for a server to start, or to stop, on a busy machine
# Each one process, with the applications of this package. Connections of clients that wait for others stay open.
UVICORN = (
    "uvicorn", "--port", "{port}", "--lifespan", "off", "--no-access-log", "--log-level", "warning",
    "--timeout-keep-alive", "60", "tests.support.fleet_applications:asgi",
)  # fmt: skip
GUNICORN = (
    "gunicorn", "--bind", "127.0.0.1:{port}", "--worker-class", "gthread", "--threads", "16", "--keep-alive", "60",
    "--log-level", "warning", "tests.support.fleet_applications:wsgi",
)  # fmt: skip


class StartError(Exception):
    """A server ended, or took no connection in time. The message has its log."""


@contextmanager
def free_port() -> Iterator[int]:
    """A port that nobody listens at, and that whoever else asks for a free one is not given, until the block ends.

    A socket has it that does not listen. Linux lets a server listen there all the same, as both set SO_REUSEADDR.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


@contextmanager
def running(
    *words: str, cwd: Path, directory: Path, env: Mapping[str, str] | None = None, port: int | None = None
) -> Iterator[int]:
    """Run a server, and give its port.

    :param words: those of ``python -m``, with ``{port}`` where it goes, or of ``python`` where the first ends in .py.
    :param directory: the server's home; its output goes to the file ``log`` there.
    :param env: variables besides those of this process, and besides HOME and PORT.
    :param port: one of `free_port` that the caller holds; by default another one is taken.
    :raises StartError: unless it takes a connection.
    """
    if port is None:
        with free_port() as port, running(*words, cwd=cwd, directory=directory, env=env, port=port):
            yield port
        return
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
    raise StartError(f"{process.args} did not start:\n{log.read_text()}")
