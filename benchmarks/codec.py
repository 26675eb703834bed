"""Measure sealing and unsealing alone: each codec with each payload, in one process."""

import statistics
from functools import partial

import peers
from harness import both, measure, ratio
from payloads import PAYLOADS
from peers import REFERENCE, Codec
from tables import Table

OPERATIONS = ("seal", "unseal", "seal + unseal")


def run() -> tuple[list[Table], list[str]]:
    """Return tables of the ratios and of the bytes on the wire, and notes on missing codecs."""
    codecs, missing = peers.built()
    notes = [f"missing: {name}: {reason}" for name, reason in missing.items()]
    tables = {name: _table(name) for name in OPERATIONS}
    sizes = Table("codec-bytes", "Bytes of the cookie's value", list(PAYLOADS), "bytes", {name: [] for name in codecs})
    for payload, value in PAYLOADS.items():
        usable = {}
        for name, codec in codecs.items():
            fault = peers.find_fault(codec, value)
            if fault is None:
                usable[name] = codec
            else:
                notes.append(f"not measured: {name} with {payload}: {fault}")
        ratios, microseconds = measure_codecs(usable, value)
        for operation, table in tables.items():
            for name in codecs:
                table.rows.setdefault(name, []).append(ratios[operation].get(name))
        notes.append(
            f"{payload}: the reference takes "
            + ", ".join(f"{microseconds[operation]:.2f} us to {operation}" for operation in OPERATIONS)
        )
        for name in codecs:
            sizes.rows[name].append(len(usable[name][0](value)) if name in usable else None)
    return [*tables.values(), sizes], notes


def measure_codecs(codecs: dict[str, Codec], value: object) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    """Return, by operation, the ratio of each codec to the reference, and the microseconds of the reference."""
    cases = {}
    for name, (seal, unseal) in codecs.items():
        cases["seal", name] = partial(seal, value)
        cases["unseal", name] = partial(unseal, seal(value))
    times = dict(measure(cases))
    for name in codecs:
        times["seal + unseal", name] = both(times, ("seal", name), ("unseal", name))
    ratios = {
        operation: {name: ratio(times, (operation, name), (operation, REFERENCE)) for name in codecs}
        for operation in OPERATIONS
    }
    microseconds = {operation: statistics.median(times[operation, REFERENCE]) * 1e6 for operation in OPERATIONS}
    return ratios, microseconds


def _table(operation: str) -> Table:
    return Table(
        f"codec-{operation.replace(' + ', '-and-')}",
        f"{operation.capitalize()}, ratio to the reference",
        list(PAYLOADS),
    )
