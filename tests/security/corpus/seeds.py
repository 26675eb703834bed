"""The seeds of the fuzzer in one file: payloads of the corpus and of long runs that reached new code.

``python -m tests.security.corpus.seeds unpack DIR`` makes the directory with which a fuzzer starts. ``... keep DIR``
writes the file again from the corpus and from the (minimised) directories of a fuzzer. ``... check`` reads every seed.
"""

import base64
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from sealedsession.errors import UnsealError
from sealedsession.serialization.safe_pickle import PickleSerializer
from tests.security.corpus import marker
from tests.security.corpus.assembler import without_head
from tests.security.corpus.cases import all_cases
from tests.security.corpus.registered import registry

FILE = Path(__file__).parent.parent / "seeds" / "pickling.jsonl"
LARGEST = 1024  # bytes; larger ones are variations of smaller ones
MOST = 2000  # lines


class Seed(NamedTuple):
    """A payload in the stored form, and where it is from."""

    origin: str
    payload: bytes


def read() -> Iterator[Seed]:
    """The seeds of the file."""
    for line in FILE.read_text().splitlines():
        origin, payload = json.loads(line)
        yield Seed(origin, base64.b64decode(payload, validate=True))


def of_corpus() -> Iterator[Seed]:
    """The cases as seeds: without the head, which is never stored."""
    for case in all_cases():
        yield Seed(case.id, case.payload if case.layout == "ours" else without_head(case.payload))


def write(seeds: Iterable[Seed]) -> int:
    """Write the file, each payload once and the large ones not at all.

    :returns: how many were written.
    """
    kept = {seed.payload: seed for seed in reversed([*seeds]) if len(seed.payload) <= LARGEST}
    lines = [json.dumps([seed.origin, base64.b64encode(seed.payload).decode()]) for seed in reversed(kept.values())]
    FILE.write_text("\n".join(lines[:MOST]) + "\n")
    return min(len(lines), MOST)


def unpack(directory: Path) -> None:
    """Write every seed into a file of its own, named by its hash."""
    directory.mkdir(parents=True, exist_ok=True)
    for seed in read():
        (directory / hashlib.sha256(seed.payload).hexdigest()[:32]).write_bytes(seed.payload)


def check() -> dict[str, object]:
    """Read every seed with an audit hook that records all events.

    :returns: how many were read and refused, the other errors, the events, and the marks left by code that ran.
    """
    read_back, refused, errors, events = 0, 0, [], []
    listening = [False]
    loads = PickleSerializer(registry()).loads
    sys.addaudithook(lambda event, _: events.append(event) if listening[0] else None)
    for seed in read():
        listening[0] = True
        try:
            loads(seed.payload)
            read_back += 1
        except UnsealError:
            refused += 1
        except BaseException as error:  # noqa: BLE001  # SystemExit and MemoryError are faults as well
            errors.append(f"{seed.origin}: {type(error).__name__}")
        listening[0] = False
    heard = len(events)
    listening[0] = True
    FILE.read_bytes()  # shows that the hook hears
    listening[0] = False
    return {
        "read": read_back,
        "refused": refused,
        "errors": errors,
        "events": events[:heard],
        "control": events[heard:],
        "marks": marker.HITS,
    }


def main(command: str, *directories: str) -> None:
    if command == "check":
        sys.stdout.write(json.dumps(check()))
        return
    if command == "unpack":
        unpack(Path(directories[0]))
        return
    found = [Seed("fuzz", path.read_bytes()) for directory in directories for path in sorted(Path(directory).iterdir())]
    sys.stdout.write(f"{write([*of_corpus(), *found])} seeds\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
