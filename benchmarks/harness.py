"""Time several cases side by side: each case once in every round, in random order.

The speed of a shared machine changes every second, so absolute times of different cases cannot be compared. A round
times all cases shortly after each other. The result is the median of the ratios of all rounds. The control is the
reference, measured a second time. Its ratio should be 1.00, and the difference shows the noise.

Other processes do not slow down all code by the same factor, so they change ratios, too. In hot loops, a constant piece
of work, the yardstick, is therefore timed before and after every block of calls. If the yardstick was slow, the block
is repeated, up to `TRIES` times. The shortest block counts.
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
BLOCK_SECONDS = 0.002 if QUICK else 0.005  # the approximate duration of a block
TRIES = 9 if QUICK else 30  # the largest number of blocks of one case in one round
ENOUGH = 3  # the number of blocks with a fast yardstick that are enough
QUIET = 1.15  # the yardstick is fast up to this multiple of its shortest time so far

Case = Callable[[], object]
Times = Mapping[Any, list[float]]

_shortest = [math.inf]  # seconds of the yardstick


def measure(cases: Mapping[Any, Case], seed: int = 1, clock: Callable[[], float] = time.perf_counter) -> Times:
    """Return the seconds per call of each case, one value for each round."""
    counts = {name: _calls_per_block(case, clock) for name, case in cases.items()}
    times: dict[Any, list[float]] = {name: [] for name in cases}
    order = list(cases)
    shuffle = random.Random(seed).shuffle
    with _without_gc():
        for _ in range(ROUNDS):
            shuffle(order)
            for name in order:
                times[name].append(_shortest_block(cases[name], counts[name], clock))
                gc.collect()  # frees the reference cycles of this case
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
    """Return the seconds of single calls, each after a call of `between`: one value for each case and round."""
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
    """Return the median of case / reference over the rounds."""
    return statistics.median(a / b for a, b in zip(times[case], times[reference], strict=True))


def added(times: Times, case: Any, others: Any) -> list[float]:
    """Return the difference of the times of two cases, for each round."""
    return [a - b for a, b in zip(times[case], times[others], strict=True)]


def both(times: Times, case: Any, other: Any) -> list[float]:
    """Return the sum of the times of two cases, for each round."""
    return [a + b for a, b in zip(times[case], times[other], strict=True)]


@contextmanager
def pinned() -> Iterator[None]:
    """Pin this process to one CPU, if the system supports this."""
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
    gc.freeze()  # excludes imported modules from later collections
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
