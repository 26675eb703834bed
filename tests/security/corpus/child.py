"""Runs one payload in a process of its own, and tells what happened.

The child has a fresh directory with one file, `secret`, limits on memory, CPU time and file size, and an audit hook
that records every event while the reader is at work. It reports in lines of JSON, so that what it said before it
died is not lost.
"""

import decimal
import gc
import json
import os
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.security.corpus import marker, registered
from tests.security.corpus.readers import SAFE_TYPES, Reader
from tests.security.corpus.use import use
from tests.security.corpus.yardstick import on_a_quiet_machine

CPU = 0.05  # seconds for one load
MIB = 1 << 20
MEMORY_LIMIT = 512 * MIB  # of address space, beyond what the process has
CPU_LIMIT = 2  # seconds, for all that a child does
WALL_LIMIT = 30  # seconds, for a child that sleeps

# Events that a payload causes in readers that look classes up, and that mean nothing by themselves there.
ORDINARY = {"pickle.find_class", "object.__getattr__", "object.__setattr__", "object.__delattr__", "sys._getframe"}

Record = dict[str, Any]


def observe(payload: bytes, reader: Reader, canary: tuple[bytes, object], again: Callable[[object], object]) -> Record:
    """Give a payload to a reader, in a child.

    :param canary: a payload and its value, read afterwards: a process that has been tampered with shows.
    :param again: writes an accepted value again; what it raises is a fault of the value.
    :returns: ``outcome`` (refused, accepted, died), ``error`` (the exception's name), ``clean``, ``spelling``,
        ``effects``, ``use`` (faults found while the value was used), ``cpu`` (seconds), ``memory`` (bytes).
    """
    directory = tempfile.mkdtemp(prefix="corpus-")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            os.chdir(directory)
            _child(payload, reader, canary, again, lambda **said: os.write(writing, json.dumps(said).encode() + b"\n"))
        finally:
            os._exit(97)
    os.close(writing)
    report, ended = _collect(reading, child)
    shutil.rmtree(directory)
    record: Record = {
        "outcome": "died",
        "error": None,
        "effects": [ended or "crash"],
        "use": [],
        "cpu": 0.0,
        "memory": 0,
    }
    for line in report.splitlines():
        said = json.loads(line)
        record.update({key: value for key, value in said.items() if key not in ("effects", "use")})
        if "effects" in said:
            record["effects"] = said["effects"]
        record["use"] += said.get("use", [])
        record["effects"] += said.get("later", [])
    if record["outcome"] != "died" and "end" not in record:
        record["use"].append(f"{ended or 'crash'} in {record.get('step', 'repr')}")
    return record


def _collect(reading: int, child: int) -> tuple[bytes, str]:
    """What the child said, and how it ended where that was not by itself."""
    report, until, ended = b"", time.monotonic() + WALL_LIMIT, ""
    while True:
        ready, _, _ = select.select([reading], [], [], max(0.0, until - time.monotonic()))
        if not ready:
            os.kill(child, signal.SIGKILL)
            ended = "timeout"
            break
        said = os.read(reading, 1 << 16)
        if not said:
            break
        report += said
    os.close(reading)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and not ended:
        number = os.WTERMSIG(status)
        ended = "cpu" if number in (signal.SIGXCPU, signal.SIGKILL) else f"signal {number}"
    return report, ended


def _child(
    payload: bytes,
    reader: Reader,
    canary: tuple[bytes, object],
    again: Callable[[object], object],
    say: Callable[..., object],
) -> None:
    silence = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(silence, stream)
    Path("secret").write_text("secret")
    untouched, files = _state(), set(os.listdir())
    marker.HITS.clear()
    _limit()
    events: list[str] = []
    listening = [False]
    sys.addaudithook(lambda event, _: events.append(event) if listening[0] else None)
    gc.collect()

    value, error, size = None, None, _memory()
    listening[0] = True
    started = time.process_time()
    try:
        value = reader(payload)
    except BaseException as raised:  # noqa: BLE001  # SystemExit is one of the things a payload can raise
        error = raised
    cpu = time.process_time() - started
    listening[0] = False

    memory = max(after - before for before, after in zip(size, _memory(), strict=True))
    cpu = on_a_quiet_machine(cpu, CPU)
    effects = _effects(files)
    if _state() != untouched or not _reads(reader, *canary):
        effects.append("poisoned")
    if isinstance(error, MemoryError) or isinstance(getattr(error, "__cause__", None), MemoryError):
        memory = max(memory, MEMORY_LIMIT)
    from tests.security.corpus.readers import is_clean

    said = {
        "outcome": "accepted" if error is None else "refused",
        "error": error and type(error).__name__,
        "clean": error is None or is_clean(error),
        "effects": effects,
        "events": sorted(set(events)),
        "cpu": cpu,
        "memory": memory,
    }
    say(**said)
    if error is None:
        use(value, again, say)
    del value, error
    gc.collect()
    say(later=[effect for effect in _effects(files) if effect not in effects], end=True)
    os._exit(0)


def _limit() -> None:
    space = Path("/proc/self/statm").read_text().split()[0]
    most = int(space) * resource.getpagesize() + MEMORY_LIMIT
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_LIMIT, CPU_LIMIT + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, MIB))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _memory() -> list[int]:
    """The peaks of address space and of memory in use, in bytes."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return [int(lines[name].split()[0]) * 1024 for name in ("VmPeak", "VmHWM")]


def _effects(files: set[str]) -> list[str]:
    """What was left in the directory, or in the marker."""
    new = set(os.listdir()) ^ files
    effects = ["ran"] if marker.HITS or new - {"imported"} else []
    return [*effects, "import"] if "imported" in new else effects


def _reads(reader: Reader, payload: bytes, value: object) -> bool:
    try:
        return bool(reader(payload) == value)
    except BaseException:  # noqa: BLE001  # whatever a tampered process raises
        return False


def _state() -> dict[str, object]:
    """What a payload could change for everybody: classes, members of an enum, and what decimals are computed with."""
    volatile = ("__doc__", "__abstractmethods__", "_abc_impl", "__annotations__", "__annotate__")
    state: dict[str, object] = {
        f"{cls.__module__}.{cls.__qualname__}": {
            name: id(held) for name, held in vars(cls).items() if name not in volatile
        }
        for cls in SAFE_TYPES
    }
    state.update(
        {str(member): repr(sorted(vars(member).items(), key=lambda item: item[0])) for member in registered.Colour}
    )
    state["environment"] = dict(os.environ)
    state["decimal flags"] = dict(decimal.getcontext().flags)
    return state
