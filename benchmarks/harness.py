"""Side-by-side timing: every case once a round, in shuffled order, and ratios within a round.

A machine that is shared drifts by the second, so that absolute times of two cases measured one after the other say
little. Here a round times all cases within milliseconds, a ratio is taken inside each round, and the median of the
ratios is the result. Every table holds a control, the reference measured a second time: its ratio has to be 1.00, and
how far it is from that is the noise.

A neighbour on the same core makes all code slower, and some of it more than other, as caches are shared too. So a
yardstick, work that is always the same, is timed after every case, and a round in which it took longer is done again.
"""

import gc
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

QUICK = bool(os.environ.get("QUICK"))
ROUNDS = 9 if QUICK else 31
MOST_ROUNDS = ROUNDS if QUICK else 8 * ROUNDS  # where so few are quiet that it is not known when there will be enough
BLOCK_SECONDS = 0.002 if QUICK else 0.005  # of one case in one round
QUIET = 1.15  # times the shortest time of the yardstick

Case = Callable[[], object]
Times = Mapping[Any, list[float]]


def measure(cases: Mapping[Any, Case], seed: int = 1, clock: Callable[[], float] = time.perf_counter) -> Times:
    """Seconds per call, for every case one value per round, of the quietest rounds."""
    counts = {name: _calls_per_block(case, clock) for name, case in cases.items()}
    rounds: list[tuple[float, dict[Any, float]]] = []  # with the longest time of the yardstick
    order = list(cases)
    shuffle = random.Random(seed).shuffle
    with _without_gc():
        while len(rounds) < MOST_ROUNDS and _quiet(rounds) < ROUNDS:
            shuffle(order)
            times, longest = {}, 0.0
            for name in order:
                times[name] = min(_block(cases[name], counts[name], clock) for _ in range(3))
                longest = max(longest, min(_block(_yardstick, 1, clock) for _ in range(2)))
            rounds.append((longest, times))
            gc.collect()  # what cases have left in cycles
    rounds.sort(key=lambda of_round: of_round[0])
    return {name: [times[name] for _, times in rounds[:ROUNDS]] for name in cases}


def _quiet(rounds: list[tuple[float, dict[Any, float]]]) -> int:
    yardsticks = [longest for longest, _ in rounds]
    return sum(seconds <= QUIET * min(yardsticks) for seconds in yardsticks)


def _yardstick() -> None:
    for number in range(4000):
        number * number


def measure_singly(
    cases: Mapping[Any, Case], between: Case, rounds: int, clock: Callable[[], float] = time.perf_counter
) -> Times:
    """Seconds of single calls, each of them after a call of `between`, for every case one value per round."""
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
    """The median over the rounds of case / reference."""
    return statistics.median(a / b for a, b in zip(times[case], times[reference], strict=True))


def added(times: Times, case: Any, others: Any) -> list[float]:
    """What a case takes more than another one, in every round."""
    return [a - b for a, b in zip(times[case], times[others], strict=True)]


def both(times: Times, case: Any, other: Any) -> list[float]:
    """What two cases take together, in every round."""
    return [a + b for a, b in zip(times[case], times[other], strict=True)]


@contextmanager
def pinned() -> Iterator[None]:
    """Keep this process on one CPU, where the system lets it."""
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
    gc.freeze()  # what is imported need not be looked through again
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
