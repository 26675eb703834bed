"""Run all benchmarks: ``make bench``; or some: ``run.py codec stages middleware cold endtoend scale options state``.

Print tables of ratios, the times of the reference as a scale, and the missing peers. Then write results.json and the
tables and charts of docs/performance.rst. QUICK=1 makes a short run, and ``--no-docs`` writes nothing.
"""

import argparse
import logging
import time
import warnings

import codec
import cold
import endtoend
import middleware
import options
import report
import scale
import stages
import state
from harness import pinned

PINNED = {
    "codec": codec.run,
    "stages": stages.run,
    "middleware": middleware.run,
    "cold": cold.run,
    "options": options.run,
    "state": state.run,
}
UNPINNED = {"endtoend": endtoend.run, "scale": scale.run}
PARTS = {**PINNED, **UNPINNED}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}; all, if none is given")
    parser.add_argument("--no-docs", action="store_true", help="print only")
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(unknown)}")
    logging.disable(logging.WARNING)  # for the changed tokens that each codec must refuse first
    warnings.simplefilter("ignore")  # the same, from the peers
    results = report.stored()
    for name in arguments.parts or PARTS:
        start = time.monotonic()
        tables, notes = _run(name)
        for table in tables:
            print(table.as_text())
        print("\n".join(notes))
        print(f"\n{name} took {time.monotonic() - start:.0f} seconds\n", flush=True)
        if tables and not arguments.no_docs:
            report.store(results, name, tables)
            report.render(results)


def _run(name: str) -> tuple[list[report.Table], list[str]]:
    if name in UNPINNED:
        return UNPINNED[name]()
    with pinned():
        return PINNED[name]()


if __name__ == "__main__":
    main()
