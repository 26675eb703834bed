"""Compare the ratios of a short run with those of baseline.json: ``make bench-check``.

The result is information, not a test. A ratio that has grown by more than `TOLERANCE` is "slower". If the control,
whose ratio must be 1, differs by more than `NOISE`, the result is "noisy". With ``--strict``, a slower ratio is an
error. ``--store`` makes the new ratios the baseline.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

import codec
import middleware
import peers
from harness import pinned
from payloads import PAYLOADS
from peer_middleware import INTERFACES, built
from peers import CONTROL, OURS, REFERENCE
from tables import Table

BASELINE = Path(__file__).with_name("baseline.json")
TOLERANCE = 1.35  # a larger factor than this is "slower"; other processes share the machine
NOISE = 1.12  # the largest factor by which a control may differ from 1, in either direction

Ratios = Mapping[str, float]


def fresh() -> tuple[Ratios, Ratios]:
    """Return our ratios to the reference, and those of the controls, by case."""
    ours, controls = {}, {}
    shown = (OURS, REFERENCE, CONTROL)
    codecs = {name: peers.PEERS[name].make() for name in shown}
    for payload, value in PAYLOADS.items():
        ratios, _ = codec.measure_codecs(codecs, value)
        for operation in ("seal", "unseal"):
            key = f"codec, {operation}, {payload}"
            ours[key], controls[key] = ratios[operation][OURS], ratios[operation][CONTROL]
    for interface in INTERFACES:
        middlewares, _ = built({name: interface.makers[name] for name in shown})
        for case, ratios, _ in middleware.measure_interface(interface, middlewares):
            key = f"{interface.name}, {case}"
            ours[key], controls[key] = ratios[OURS], ratios[CONTROL]
    return ours, controls


def verdict(now: float, before: float | None, control: float) -> str:
    """Return the verdict on one ratio: ok, slower, faster, noisy or new."""
    if before is None:
        return "new"
    if not 1 / NOISE <= control <= NOISE:
        return "noisy"
    if now > before * TOLERANCE:
        return "slower"
    return "faster" if now * TOLERANCE < before else "ok"


def compare(ratios: Ratios, controls: Ratios, baseline: Ratios) -> Table:
    """Return a table of all measured cases, and of the cases that only the baseline has."""
    table = Table("check", "Ratios to the reference, beside the baseline", ["baseline", "now", "control", "verdict"])
    for key, now in ratios.items():
        before = baseline.get(key)
        table.rows[key] = [before, now, controls[key], verdict(now, before, controls[key])]
    for key in baseline.keys() - ratios.keys():
        table.rows[key] = [baseline[key], None, None, "gone"]
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--strict", action="store_true", help="fail if anything is slower")
    parser.add_argument("--store", action="store_true", help="make these ratios the baseline")
    arguments = parser.parse_args()
    with pinned():
        ratios, controls = fresh()
    if arguments.store:
        BASELINE.write_text(json.dumps({key: round(value, 2) for key, value in ratios.items()}, indent=1) + "\n")
    table = compare(ratios, controls, json.loads(BASELINE.read_text()) if BASELINE.exists() else {})
    print(table.as_text())
    slower = [key for key, value in table.column("verdict").items() if value == "slower"]
    print(f"{len(slower)} of {len(table.rows)} are slower than the baseline allows")
    return 1 if arguments.strict and slower else 0


if __name__ == "__main__":
    sys.exit(main())
