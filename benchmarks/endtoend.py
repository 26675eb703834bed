"""Measure requests per second through gunicorn, waitress and uvicorn, as a ratio to the bare application.

The load comes from wrk. Each server has one worker and its own CPU; wrk has another CPU. All servers of a kind run at
once. Each round loads one after the other, in shuffled order, and ratios are computed within a round. The bare
application gets a Cookie header of the same length. It is measured twice, and the second measurement is the control.
"""

import os
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from harness import QUICK
from interfaces import ACTIONS, FOREIGN_COOKIES
from peers import CONTROL, OURS
from serve import BARE, MAKERS
from tables import Table

ROUNDS = 3 if QUICK else 9
SECONDS = 1 if QUICK else 2  # of one run; wrk accepts only whole seconds
CONNECTIONS = 8
START_SECONDS = 20

Target = tuple[str, str]  # middleware and path


def run() -> tuple[list[Table], list[str]]:
    """Return a table for each server, and notes."""
    if shutil.which("wrk") is None:
        return [], ["missing: wrk, so that nothing was measured end to end: apt-get install wrk"]
    if len(os.sched_getaffinity(0)) < 2:
        return [], ["missing: a second CPU, so that nothing was measured end to end"]
    tables, notes = [], []
    for server in MAKERS:
        try:
            table, lines = _measure(server)
        except RuntimeError as error:
            notes.append("\n".join([f"missing: {server}: {error}", *getattr(error, "__notes__", ())]))
            continue
        tables.append(table)
        notes += lines
    return tables, notes


def _measure(server: str) -> tuple[Table, list[str]]:
    paths = list(ACTIONS)
    table = Table(f"endtoend-{server}", f"{server}: requests per second, ratio to the bare application", paths, "")
    with ExitStack() as stack:
        ports = {name: stack.enter_context(_serving(server, name)) for name in (BARE, *MAKERS[server])}
        cookies = {name: _signed_in(port) for name, port in ports.items() if name != BARE}
        cookies[BARE] = cookies[OURS]
        rates = _rates(ports, cookies)
    notes = []
    bare = rates[BARE, paths[0]]
    for name in (*MAKERS[server], CONTROL):
        cells: list[float | None] = []
        for path in paths if name != CONTROL else paths[:1]:
            ratios = sorted(rate / base for rate, base in zip(rates[name, path], bare, strict=True))
            cells.append(statistics.median(ratios))
            low, high = ratios[len(ratios) // 4], ratios[len(ratios) * 3 // 4]
            notes.append(f"{server}, {name}, {path}: half of the ratios between {low:.3f} and {high:.3f}")
        table.rows[name] = cells + [None] * (len(paths) - len(cells))
    notes.append(f"{server}: the bare application answers {statistics.median(bare):,.0f} requests a second")
    return table, notes


def _rates(ports: dict[str, int], cookies: dict[str, str]) -> dict[Target, list[float]]:
    """Return the requests per second of each target, one value per round."""
    targets = [(name, path) for name in ports if name != BARE for path in ACTIONS]
    targets += [(BARE, "untouched"), (CONTROL, "untouched")]
    rates: dict[Target, list[float]] = {target: [] for target in targets}
    shuffle = random.Random(1).shuffle
    for number in range(ROUNDS + 1):
        shuffle(targets)
        for name, path in targets:
            served = BARE if name == CONTROL else name
            rate = _wrk(f"http://127.0.0.1:{ports[served]}/{path}", FOREIGN_COOKIES + cookies[served])
            if number:  # the first round warms up
                rates[name, path].append(rate)
    return rates


@contextmanager
def _serving(server: str, name: str) -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = Path(__file__).with_name("serve.py")
    command = ["taskset", "-c", str(_cpus()[0]), sys.executable, str(script), server, name, str(port)]
    with tempfile.TemporaryFile() as errors:  # a full pipe without a reader would block the server
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        try:
            if not _answers(port, process):
                raise RuntimeError(f"{server} did not start")
            yield port
        except RuntimeError as error:
            errors.seek(0)
            if said := errors.read().decode():
                error.add_note(f"{name} said: {said[-1000:]}")
            raise
        finally:
            process.terminate()
            process.wait(30)


def _answers(port: int, process: subprocess.Popen[bytes]) -> bool:
    ends = time.monotonic() + START_SECONDS
    while time.monotonic() < ends and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.05)
    return False


def _signed_in(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/sign-in") as response:
        return response.headers.get_all("Set-Cookie")[-1].split(";")[0]


def _wrk(url: str, cookie: str) -> float:
    command = ["taskset", "-c", str(_cpus()[-1]), "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s"]
    output = subprocess.run([*command, "-H", f"Cookie: {cookie}", url], capture_output=True, text=True, check=True)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output.stdout)
    if rate is None or not float(rate[1]) or "Non-2xx" in output.stdout or "Socket errors" in output.stdout:
        raise RuntimeError(f"{url}: {output.stdout}")
    return float(rate[1])


def _cpus() -> list[int]:
    return sorted(os.sched_getaffinity(0))
