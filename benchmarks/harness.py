"""Time cases side by side: each case once per round, in shuffled order.

The speed of a shared machine changes every second, so absolute times of cases measured one after the other cannot be
compared. A round therefore times all cases shortly after each other. Ratios are computed within each round, and their
median is the result. The control is the reference, measured a second time. Its ratio should be 1.00; the difference
from 1.00 is the noise.

Other load slows down code unevenly, so that ratios shift. In hot loops, a yardstick (constant work) is therefore timed
around each block of calls. If the yardstick took too long, the block is repeated, up to `TRIES` times. The shortest
block counts.
"""

import gc
import math
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

QUICK = bool(os.environ.get("QUICK"))
ROUNDS = 9 if QUICK else 31
BLOCK_SECONDS = 0.002 if QUICK else 0.005  # of one case in one round
TRIES = 9 if QUICK else 30  # blocks of one case in one round, at most
ENOUGH = 3  # blocks on a quiet machine
QUIET = 1.15  # the machine is quiet up to this multiple of the yardstick's shortest time so far

Case = Callable[[], object]
Times = Mapping[Any, list[float]]

_shortest = [math.inf]  # the yardstick's shortest time so far, in seconds


def measure(cases: Mapping[Any, Case], seed: int = 1, clock: Callable[[], float] = time.perf_counter) -> Times:
    """Return seconds per call: for each case, one value per round."""
    counts = {name: _calls_per_block(case, clock) for name, case in cases.items()}
    times: dict[Any, list[float]] = {name: [] for name in cases}
    order = list(cases)
    shuffle = random.Random(seed).shuffle
    with _without_gc():
        for _ in range(ROUNDS):
            shuffle(order)
            for name in order:
                times[name].append(_shortest_block(cases[name], counts[name], clock))
                gc.collect()  # collects the case's reference cycles
    return times


def _shortest_block(case: Case, calls: int, clock: Callable[[], float]) -> float:
    seconds, quiet = math.inf, 0
    before = _yardstick(clock)
    for _ in range(TRIES):
        seconds = min(seconds, _block(case, calls, clock))
        after = _yardstick(clock)
        quiet += max(before, after) <= QUIET * _shortest[0]
        if quiet == ENOUGH:
            break
        before = after
    return seconds


def _yardstick(clock: Callable[[], float]) -> float:
    seconds = _block(_work, 1, clock)
    _shortest[0] = min(_shortest[0], seconds)
    return seconds


def _work() -> None:
    for number in range(4000):
        number * number


def measure_singly(
    cases: Mapping[Any, Case], between: Case, rounds: int, clock: Callable[[], float] = time.perf_counter
) -> Times:
    """Return seconds of single calls, each after a call of `between`: for each case, one value per round."""
    times: dict[Any, list[float]] = {name: [] for name in cases}
    order = list(cases)
    shuffle = random.Random(1).shuffle
    with _without_gc():
        for number in range(rounds):
            shuffle(order)
            for name in order:
                case = cases[name]
                between()
                start = clock()
                case()
                times[name].append(clock() - start)
            if number % 50 == 0:
                gc.collect()
    return times


def ratio(times: Times, case: Any, reference: Any) -> float:
    """Return the median over the rounds of case / reference."""
    return statistics.median(a / b for a, b in zip(times[case], times[reference], strict=True))


def added(times: Times, case: Any, others: Any) -> list[float]:
    """Return the time that a case takes longer than another, for each round."""
    return [a - b for a, b in zip(times[case], times[others], strict=True)]


def both(times: Times, case: Any, other: Any) -> list[float]:
    """Return the time of two cases together, for each round."""
    return [a + b for a, b in zip(times[case], times[other], strict=True)]


@contextmanager
def pinned() -> Iterator[None]:
    """Keep this process on one CPU, if the system supports that."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cpus = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cpus)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cpus)


@contextmanager
def _without_gc() -> Iterator[None]:
    gc.collect()
    gc.freeze()  # so that collections skip the imported modules
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def _calls_per_block(case: Case, clock: Callable[[], float]) -> int:
    calls = 1
    while (seconds := _block(case, calls, clock) * calls) < BLOCK_SECONDS / 4:
        calls *= 4
    return max(1, int(calls * BLOCK_SECONDS / seconds / 3))


def _block(case: Case, calls: int, clock: Callable[[], float]) -> float:
    repeat = range(calls)
    start = clock()
    for _ in repeat:
        case()
    return (clock() - start) / calls
