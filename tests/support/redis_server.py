"""A real redis-server on a unix socket of its own, which tests may kill, stop and start again."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

PATIENCE = 60  # seconds for a server to start on a busy machine


class RedisServer:
    """A server that keeps nothing when it ends. Without redis-server, tests are skipped, and fail where CI is set."""

    def __init__(self, *options: str) -> None:
        executable = shutil.which("redis-server") or shutil.which("valkey-server")
        if executable is None:
            reason = "no redis-server on this machine: neither it nor valkey-server is in the PATH"
            if os.environ.get("CI"):
                pytest.fail(reason)
            pytest.skip(reason)
        self.directory = tempfile.mkdtemp()  # not pytest's: a socket's path has at most 107 bytes
        self.socket = f"{self.directory}/redis.sock"
        self.url = f"unix://{self.socket}"
        words = ("--port", "0", "--unixsocket", self.socket, "--dir", self.directory, "--save", "")
        self._command = [executable, *words, *options]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "RedisServer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self.directory)

    def start(self) -> None:
        """Start it, again where it was killed, and wait until it takes connections."""
        log = Path(self.directory, "log")
        with log.open("ab") as output:
            self._process = subprocess.Popen(self._command, stdout=output, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self._process.poll() is None:
            with socket.socket(socket.AF_UNIX) as client:
                if client.connect_ex(self.socket) == 0:
                    return
            time.sleep(0.005)
        self.kill()
        pytest.fail(f"{self._command} did not start:\n{log.read_text()}")

    def kill(self) -> None:
        """Kill it with SIGKILL: it says goodbye to nobody."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        Path(self.socket).unlink(missing_ok=True)

    def stop(self) -> None:
        """Let it hang: connections are taken by the kernel, and nobody answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)

    def resume(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)
