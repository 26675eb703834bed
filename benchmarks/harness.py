"""Side-by-side timing: every case once a round, in shuffled order, and ratios within a round.

A machine that is shared drifts by the second, so that absolute times of two cases measured one after the other say
little. Here a round times all cases within milliseconds, a ratio is taken inside each round, and the median of the
ratios is the result. Every table holds a control, the reference measured a second time: its ratio has to be 1.00, and
how far it is from that is the noise.
"""

import gc
import os
import random
import statistics
import time
from collections.abc import Callable, Mapping

QUICK = bool(os.environ.get("QUICK"))
ROUNDS = 9 if QUICK else 31
BLOCK_SECONDS = 0.002 if QUICK else 0.005  # of one case in one round


def measure(cases: Mapping[str, Callable[[], object]], seed: int = 1) -> dict[str, list[float]]:
    """Seconds per call, for every case one value per round."""
    counts = {name: _calls_per_block(case) for name, case in cases.items()}
    times: dict[str, list[float]] = {name: [] for name in cases}
    order = list(cases)
    shuffle = random.Random(seed).shuffle
    gc.collect()
    gc.disable()
    try:
        for _ in range(ROUNDS):
            shuffle(order)
            for name in order:
                times[name].append(min(_block(cases[name], counts[name]) for _ in range(3)))
    finally:
        gc.enable()
    return times


def ratio(times: Mapping[str, list[float]], case: str, reference: str) -> float:
    """The median over the rounds of case / reference."""
    return statistics.median(a / b for a, b in zip(times[case], times[reference], strict=True))


def _calls_per_block(case: Callable[[], object]) -> int:
    calls = 1
    while (seconds := _block(case, calls) * calls) < BLOCK_SECONDS / 4:
        calls *= 4
    return max(1, int(calls * BLOCK_SECONDS / seconds / 3))


def _block(case: Callable[[], object], calls: int) -> float:
    repeat = range(calls)
    start = time.perf_counter()
    for _ in repeat:
        case()
    return (time.perf_counter() - start) / calls
