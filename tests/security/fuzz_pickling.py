"""Invariant: whatever bytes come, the reader returns a value or raises `UnsealError`, and no audit event happens.

Of a value that was accepted it must also hold that it can be written, and that what is written says the same.

    python -m tests.security.fuzz_pickling --grammar on DIR -max_total_time=300
    python -m tests.security.fuzz_pickling --grammar off DIR -max_total_time=300

``off`` gives the bytes to the unpickler behind the grammar: the second barrier must hold alone, against code. Memory
and time are the grammar's to bound, so that there the bytes are limited to what cannot blow up.

DIR is the fuzzer's own, filled from `tests/security/seeds` when it is empty; other options are libFuzzer's. Needs
atheris, and runs from the root of the repository.
"""

import resource
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[2]))

with atheris.instrument_imports(include=["sealedsession", "fractions", "ipaddress", "pathlib", "uuid"]):
    import ipaddress  # noqa: F401
    import pathlib  # noqa: F401
    import uuid  # noqa: F401

    from sealedsession.errors import UnsealError
    from sealedsession.serialization.limits import PayloadTooLargeError
    from sealedsession.serialization.safe_pickle import PickleSerializer
    from tests.security.corpus.registered import registry

from tests.security.corpus import marker
from tests.security.corpus.seeds import of_corpus, unpack

MEMORY = 1 << 30  # bytes of address space that one input may add
# The interpreter's own report of an error it cannot raise: a bytearray that is too large for the memory left.
_REPORTS = {"sys.excepthook", "sys.unraisablehook"}
_HEAD = b"\x80\x04\x95"
# Opcodes that make a value larger than its payload, each by a factor of two: DUP, GET, BINGET, LONG_BINGET.
_DOUBLING = bytes(set(range(256)) - set(b"2ghj"))
_MOST_DOUBLINGS = 12

serializer = PickleSerializer(registry())
_events: list[str] = []
_listening = False


def _hear(event: str, _: object) -> None:
    if _listening:
        _events.append(event)


def _guarded(read: Callable[[bytes], object], payload: bytes) -> object:
    """Call a reader, and fail on whatever happened besides a value or an exception."""
    global _listening  # an audit hook cannot be taken away again
    _events.clear()
    _listening = True
    try:
        return read(payload)
    finally:
        _listening = False
        if marker.HITS or not _REPORTS.issuperset(_events):
            raise AssertionError(f"events {_events}, marks {marker.HITS}")


def _behind_the_grammar(payload: bytes) -> object:
    framed = BytesIO(_HEAD + len(payload).to_bytes(8, "little") + payload)
    return serializer._unpickler_class(framed).load()


def grammar_on(payload: bytes) -> None:
    """Read; then write and read again."""
    try:
        value = _guarded(serializer.loads, payload)
    except UnsealError:
        return
    try:
        written = serializer.dumps(value)
    except PayloadTooLargeError:
        return  # a spelling of the payload's own was shorter
    again = serializer.loads(written)
    if type(again) is not type(value) or serializer.dumps(again) != written:
        raise AssertionError(f"{value!r} became {again!r}")


def grammar_off(payload: bytes) -> None:
    """Read without the first barrier."""
    if len(payload.translate(None, _DOUBLING)) > _MOST_DOUBLINGS:
        return
    try:
        _guarded(_behind_the_grammar, payload)
    except AssertionError:
        raise
    except Exception:  # noqa: BLE001  # any exception is a refusal: `loads` makes one of all
        pass


def _tokens() -> list[bytes]:
    """What a mutation puts in: pieces of payloads that are whole values."""
    return [seed.payload[:-1] for seed in of_corpus() if 0 < len(seed.payload) <= 64]


def _mutator() -> Callable[[bytes, int, int], bytes]:
    """Mutations that know what a value looks like; a coverage counter does not see into the C unpickler."""
    import random

    tokens = _tokens()

    def mutate(payload: bytes, size: int, seed: int) -> bytes:
        rng = random.Random(seed)  # reproducible is what it must be
        kind = rng.randrange(4)
        if kind > 1:
            return bytes(atheris.Mutate(payload, size))
        at = rng.randrange(len(payload) + 1)
        until = at if kind else min(len(payload), at + rng.randrange(16))
        return (payload[:at] + rng.choice(tokens) + payload[until:])[:size]

    return mutate


def main(arguments: list[str]) -> None:
    if len(arguments) < 4 or arguments[1] != "--grammar" or arguments[2] not in ("on", "off"):
        raise SystemExit(__doc__)
    directory = Path(arguments[3])
    if not directory.exists() or not any(directory.iterdir()):
        unpack(directory)
    target = grammar_on if arguments[2] == "on" else grammar_off
    space = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (space, space))
    sys.addaudithook(_hear)
    options = ["-max_len=4096", "-timeout=10", "-rss_limit_mb=0", "-malloc_limit_mb=0"]
    atheris.Setup([arguments[0], *options, *arguments[4:], str(directory)], target, custom_mutator=_mutator())
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv)
