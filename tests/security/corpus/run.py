"""Run the corpus with ``python -m tests.security.corpus.run``: ``--reader all`` for all readers, ``--table`` for docs.

Every case passes or fails as a whole: a stock pickle is given to our reader as it is, and without its head. The last
line counts, and the exit status is 0 only when nothing failed. Linux.
"""

import argparse
import gc
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from sealedsession.serialization.safe_pickle import PayloadTooLargeError
from tests.security.corpus import readers
from tests.security.corpus.assembler import with_head, without_head
from tests.security.corpus.case import ACCEPTED, REFUSED, Case
from tests.security.corpus.cases import all_cases
from tests.security.corpus.child import CPU, MIB, ORDINARY, Record, observe
from tests.security.corpus.table import as_text, write_rst

NOISE = 5  # what takes that many times longer is not noise
MEMORY = 20 * MIB

_say = partial(print, flush=True)


class Result(NamedTuple):
    """How one case went with one reader.

    :param layout: of the payload, ``stock`` or ``ours``.
    :param harm: ``ran`` when code of the payload's choice ran, ``other`` for every other fault, or empty.
    """

    reader: str
    group: str
    id: str
    layout: str
    harm: str
    faults: list[str]
    cpu: float
    memory: int


def run(reader: str, cases: Iterable[Case], load: readers.Reader | None = None) -> Iterator[Result]:
    """Run cases against one reader.

    :param reader: a key of `readers.available()`; the checks depend on whether it is one of this library.
    :param load: a reader to take in its place.
    """
    load = load or readers.available()[reader]
    gc.collect()
    gc.freeze()  # the children share the memory, and need not look through it
    canary = _canary(reader)
    for case in cases:
        faults: list[str] = []
        cpu, memory = 0.0, 0
        for name, payload, expect in _tries(reader, case):
            record = _observe(payload, load, canary, partial(_write_again, reader, case))
            faults += [f"{name}: {fault}" if name else fault for fault in _faults(reader, case, expect, record)]
            cpu, memory = max(cpu, record["cpu"]), max(memory, record["memory"])
        harm = "ran" if any("ran code" in fault for fault in faults) else "other" if faults else ""
        yield Result(reader, case.group, case.id, case.layout, harm, faults, cpu, memory)


def _observe(
    payload: bytes, load: readers.Reader, canary: tuple[bytes, object], again: Callable[[object], object]
) -> Record:
    """The quickest of nine, where it takes too long: a busy machine makes times longer, and never shorter."""
    record = observe(payload, load, canary, again)
    for _ in range(8):
        if not CPU < record["cpu"] < NOISE * CPU:
            break
        record = min(record, observe(payload, load, canary, again), key=lambda known: known["cpu"])
    return record


def _canary(reader: str) -> tuple[bytes, object]:
    payload = readers.serializer.dumps(readers.CANARY)
    return (payload if reader == "ours" else with_head(payload)), readers.CANARY


def _tries(reader: str, case: Case) -> Iterator[tuple[str, bytes, str]]:
    """The payloads that a reader is given for a case, and what is expected of it."""
    if reader != "ours":
        yield "", with_head(case.payload) if case.layout == "ours" else case.payload, case.elsewhere
    elif case.layout == "ours":
        yield "", case.payload, case.expect
    else:
        yield "as it is", case.payload, case.expect
        yield "without its head", without_head(case.payload), case.headless


def _write_again(reader: str, case: Case, value: object) -> None:
    """Write the value that was read. A good payload must become the same bytes, so that changes are found."""
    if reader != "ours":
        return
    try:
        payload = readers.serializer.dumps(value)
    except PayloadTooLargeError:
        if case.expect == ACCEPTED:
            raise
        return  # shorter spellings than the writer's are read, and the writer says so in its own words
    if case.expect == ACCEPTED and payload != case.payload:
        raise ValueError("it is not written as it was read")


def _faults(reader: str, case: Case, expect: str, record: Record) -> Iterator[str]:
    ours = reader == "ours"
    if "ran" in record["effects"]:
        yield "ran code"
    yield from (effect for effect in record["effects"] if effect != "ran")
    yield from (f"event {event}" for event in record.get("events", ()) if ours or event not in ORDINARY)
    if record["cpu"] > CPU:
        yield f"{record['cpu'] * 1000:.0f} ms"
    if record["memory"] > MEMORY:
        yield f"{record['memory'] // MIB} MiB"
    if record["outcome"] == "refused":
        if ours and not record["clean"]:
            yield f"refused by {record['error']}"
        if ours and expect == ACCEPTED:
            yield f"refused: {record['error']}"
    elif record["outcome"] == "accepted":
        if expect == REFUSED:
            yield "accepted"
        elif expect == ACCEPTED and record.get("spelling") != case.spelling:
            yield f"made {record.get('spelling')!s:.80}"
        if ours:
            yield from record["use"]


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run the corpus of hostile and well-behaved payloads.")
    parser.add_argument("--reader", default="ours", choices=[*readers.available(), "all"], help="default: ours")
    parser.add_argument("--group", action="append", help="this group only; may be given several times")
    parser.add_argument(
        "--table", type=Path, help="run the hostile cases with all readers and write their table, as RST"
    )
    parser.add_argument("--json", type=Path, help="write every result")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    options = _arguments(arguments)
    readers.prepare()
    cases = [case for case in all_cases() if not options.group or case.group in options.group]
    chosen = list(readers.available()) if options.reader == "all" or options.table else [options.reader]
    results: list[Result] = []
    for reader in chosen:
        for result in run(reader, cases):
            results.append(result)
            if result.harm and (reader == "ours" or len(chosen) == 1):
                _say(f"FAIL {result.id}: {'; '.join(result.faults)}")
    _say(as_text(results))
    if options.json:
        options.json.write_text(json.dumps([result._asdict() for result in results]))
    if options.table:
        hostile = {case.id for case in cases if case.hostile}
        options.table.parent.mkdir(parents=True, exist_ok=True)
        options.table.write_text(write_rst([result for result in results if result.id in hostile]))
    decisive = [result for result in results if result.reader == chosen[0]]  # of all readers, ours comes first
    failed = sum(bool(result.harm) for result in decisive)
    _say(f"{len(decisive) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
