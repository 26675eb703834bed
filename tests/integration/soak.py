"""Claim: keys are rotated on a fleet under load, and no session is lost, no counter is wrong, no answer is an error.

    python -m tests.integration.soak --seconds 60            as many rotations as fit, at least one
    python -m tests.integration.soak --seconds 8 --sabotage  a key seals before all servers have it: the claim fails

Three real servers share the file of a keyring, which ``python -m sealedsession keyring`` changes: add, promote, retire.
Their clocks are a third of a second apart, so that they look at it at different times, as the servers of a fleet do.
Clients ask them in turn; half of them change their session with each request, half only read it. It prints what was
done and how fast, then everything that went wrong; then it exits 1.
"""

import argparse
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from base64 import urlsafe_b64decode
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sealedsession.sealing.keyring_file import StoredKey, parse
from tests.support import ROOT
from tests.support.load import Answer, Load, visit
from tests.support.servers import GUNICORN, PATIENCE, UVICORN, running

SERVERS = {"uvicorn 1": (UVICORN, 0), "uvicorn 2": (UVICORN, 1 / 3), "gunicorn": (GUNICORN, 2 / 3)}  # seconds ahead
CLIENTS, LANES = 300, 12
RELOAD_INTERVAL = 1  # seconds: a server looks at the file when a second begins for it
SPREAD = RELOAD_INTERVAL + 0.3  # seconds, until every server has looked, for certain
SABOTAGE = 60  # seconds in which it is tried again until a client has seen it: servers may look at the same time
ROTATION = 8  # seconds that one takes at most on a machine that is not too busy


class Problems:
    """What went wrong, and how often; told by several threads."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._firsts: dict[str, str] = {}
        self._lock = threading.Lock()
        self._began = time.monotonic()

    def add(self, kind: str, detail: str = "") -> None:
        with self._lock:
            self._counts[kind] += 1
            when = f"after {time.monotonic() - self._began:.2f} seconds"
            self._firsts.setdefault(kind, f"{when}: {detail}" if detail else when)

    @property
    def lines(self) -> list[str]:
        with self._lock:
            return [f"{count} times: {kind} (first {self._firsts[kind]})" for kind, count in self._counts.most_common()]


class Client:
    """A session with a counter. A reader counts once, and looks at it ever after."""

    def __init__(self, number: int, problems: Problems) -> None:
        self.cookie = ""
        self.asked_at = 0.0  # when it sent the last request that was answered
        self._name = f"client {number}"
        self._reads = number % 2 == 1
        self._count = 0
        self._problems = problems

    @property
    def path(self) -> str:
        return "/read/" if self._reads and self._count else "/count/"

    @property
    def key_id(self) -> bytes:
        """That of the key which sealed the cookie: what follows the version."""
        return urlsafe_b64decode(self.cookie[:4])[1:3]

    def see(self, answer: Answer) -> None:
        self.asked_at = answer.started
        expected = self._count if self.path == "/read/" else self._count + 1
        server = list(SERVERS)[answer.server]
        if answer.status != 200:
            self._problems.add(f"status {answer.status} by {server}", self._name)
            return
        if answer.rejected:
            self._problems.add(f"session rejected as {answer.rejected} by {server}", self._name)
        self._count = json.loads(answer.body).get("count", 0)
        if self._count != expected:
            self._problems.add(f"wrong counter by {server}", f"{self._name} has {self._count}, expected {expected}")


class SoakError(Exception):
    """It cannot go on."""


class Soak:
    """Servers under load, and the steps of a rotation."""

    def __init__(self, keyring: Path, ports: Sequence[int]) -> None:
        self.problems = Problems()
        self.rotations = 0
        self.load: Load
        self._keyring = keyring
        self._ports = ports
        self._clients = [Client(number, self.problems) for number in range(CLIENTS)]

    @contextmanager
    def under_load(self) -> Iterator[None]:
        """Have the clients ask, from their first cookie on, until the end."""
        self.load = Load(self._ports, self._clients, LANES, self.problems.add)
        try:
            self._wait("every client has a session", lambda: all(client.cookie for client in self._clients))
            yield
        finally:
            self.load.stop()

    def rotate(self, *, sabotage: bool) -> None:
        """Replace the primary key, with a copy of a cookie that it sealed kept aside."""
        old = self._primary()
        copy = self._clients[0].cookie
        if sabotage:
            self._promote_what_nobody_has()
        else:
            self._step("add")
            time.sleep(SPREAD + 1)  # its dates have whole seconds
            self._step("promote", "--reload-interval", str(RELOAD_INTERVAL))
        time.sleep(SPREAD)
        since = time.monotonic()  # a server may still be at an answer that it has sealed with the old key
        self._wait("the new key has sealed every cookie", lambda: self._is_sealed_by_primary(since))
        self._step("retire", old.id, "--force")
        time.sleep(SPREAD)
        for name, port in zip(SERVERS, self._ports, strict=True):
            answer = visit(port, "/read/", copy)
            if answer[:4] != (200, "unknown_key", None, b"{}"):
                self.problems.add(f"a copy sealed by the retired key was not rejected as unknown_key by {name}")
        self.rotations += 1

    def check(self) -> None:
        """Check the invariants at the end."""
        if not self._is_sealed_by_primary():
            self.problems.add("a cookie is not sealed by the newest key")

    def _primary(self) -> StoredKey:
        keys = parse(self._keyring.read_bytes(), str(self._keyring))
        return next(key for key in keys if key.pair.state == "primary")

    def _is_sealed_by_primary(self, since: float = 0) -> bool:
        """Whether all cookies are, and each has come back from a request that began after a time."""
        newest = self._primary().pair.key_id
        return all(client.key_id == newest and client.asked_at >= since for client in self._clients)

    def _promote_what_nobody_has(self) -> None:
        """Add and promote beside the servers' file, so that they get both steps at once, each at its own time."""
        aside = self._keyring.with_name("aside.json")
        shutil.copy(self._keyring, aside)
        run_keyring("add", aside)
        run_keyring("promote", aside, "--force")
        aside.replace(self._keyring)

    def _step(self, step: str, *words: str) -> None:
        run_keyring(step, self._keyring, *words)

    def _wait(self, what: str, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                raise SoakError(f"in {PATIENCE} seconds it did not come to this: {what}")
            time.sleep(0.02)


def run_keyring(step: str, keyring: Path, *words: str) -> None:
    """Run the command that an operator would."""
    command = [sys.executable, "-m", "sealedsession", "keyring", step, str(keyring), *words]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    if finished.returncode != 0:
        raise SoakError(f"keyring {step} exited {finished.returncode}: {finished.stderr.strip()}")
    print(f"  {finished.stdout.partition(': ')[0].strip()}", flush=True)


@contextmanager
def fleet(keyring: Path, directory: Path) -> Iterator[list[int]]:
    """The servers' ports."""
    options = json.dumps({"keyring": f"file:{keyring}"})
    with ExitStack() as servers:
        ports = []
        for name, (words, ahead) in SERVERS.items():
            home = directory / name
            home.mkdir()
            env = {"FLEET_OPTIONS": options, "FLEET_AHEAD": str(ahead)}
            ports.append(servers.enter_context(running(*words, cwd=ROOT, directory=home, env=env)))
        yield ports


def run(seconds: float, directory: Path, *, sabotage: bool) -> list[str]:
    """Rotate keys for so long, print what was done, and return what went wrong."""
    keyring = directory / "keyring.json"
    run_keyring("init", keyring)
    with fleet(keyring, directory) as ports:
        soak = Soak(keyring, ports)
        try:
            with soak.under_load():
                begin = time.monotonic()
                deadline = begin + seconds
                while soak.rotations == 0 or time.monotonic() + ROTATION < deadline:
                    soak.rotate(sabotage=sabotage)
                while sabotage and not soak.problems.lines and time.monotonic() < begin + SABOTAGE:
                    soak.rotate(sabotage=True)
                time.sleep(max(0, deadline - time.monotonic()))
                speed = f"{soak.load.answers} requests, {soak.load.per_second:.0f} requests/s"
            soak.check()
        except SoakError as error:
            return [*soak.problems.lines, str(error)]
    print(f"{soak.rotations} rotations, {CLIENTS} clients, {speed}")
    return soak.problems.lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it, and return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60, help="how long to go on (default: %(default)s)")
    parser.add_argument("--sabotage", action="store_true", help="promote keys that servers do not have")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as directory:
        wrong = run(options.seconds, Path(directory), sabotage=options.sabotage)
    for line in wrong:
        print(f"WRONG: {line}")
    print("the claim does not hold" if wrong else "no session rejected, no status 5xx, no counter wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # by way of the blocks that end the servers
    sys.exit(main())
