"""Readers with one fault each, and what the runner must report. ``python -m tests.security.corpus.weak`` prints both.

The runner is worth what it catches. Each reader here stands for one thing that it looks for.
"""

import builtins
import collections
import json
import os
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

from sealedsession.errors import UnsealError
from tests.security.corpus import marker, registered
from tests.security.corpus.assembler import num
from tests.security.corpus.case import Case, Group
from tests.security.corpus.readers import serializer
from tests.security.corpus.run import run

_REFUSED = Group("weak", "ours").refused("refused", "must be refused", num(1))
_ACCEPTED = Group("weak", "ours").accepted("accepted", "must be read", 1, num(1))


def _refusal(*_: object) -> UnsealError:
    return UnsealError("forbidden_value", "as it must")


def _spin() -> None:
    for _ in range(20_000_000):
        pass


def _first(action: Callable[[], object]) -> Callable[[bytes], object]:
    """A reader that does something once, then refuses; the canary is read as it should be."""
    done: list[bool] = []

    def read(payload: bytes) -> object:
        if done:
            return serializer.loads(payload)
        done.append(True)
        action()
        raise _refusal()

    return read


def _making(value: object) -> Callable[[bytes], object]:
    return lambda payload: value if len(payload) == len(_ACCEPTED.payload) else serializer.loads(payload)


def _raise(error: BaseException) -> None:
    raise error


class _Slow:
    def __repr__(self) -> str:
        _spin()
        _spin()
        return "1"


class _Unusable:
    def __repr__(self) -> str:
        raise AttributeError("half-built")


# name -> (reader, case, what the runner must say)
WEAK: dict[str, tuple[Callable[[bytes], object], Case, str]] = {
    "runs": (_first(marker.hit), _REFUSED, "ran code"),
    "leaves-a-file": (_first(lambda: Path("left").touch()), _REFUSED, "ran code"),
    "imports": (_first(lambda: __import__("colorsys")), _REFUSED, "event import"),
    "opens": (_first(lambda: Path("secret").read_text()), _REFUSED, "event open"),
    "compiles": (_first(lambda: builtins.compile("1", "x", "eval")), _REFUSED, "event compile"),
    "poisons-a-class": (_first(lambda: setattr(uuid.UUID, "hex", "0")), _REFUSED, "poisoned"),
    "poisons-a-member": (_first(lambda: vars(registered.Colour.RED).update(_value_=9)), _REFUSED, "poisoned"),
    "spins": (_first(_spin), _REFUSED, "ms"),
    "hangs": (_first(lambda: collections.deque(iter(int, 1), 0)), _REFUSED, "cpu"),
    "allocates": (_first(lambda: bytearray(100 << 20)), _REFUSED, "MiB"),
    "runs-out-of-memory": (_first(lambda: bytearray(1 << 40)), _REFUSED, "MiB"),
    "crashes": (_first(os.abort), _REFUSED, "signal"),
    "other-error": (_first(lambda: _raise(ValueError())), _REFUSED, "refused by ValueError"),
    "other-code": (_first(lambda: _raise(UnsealError("malformed", ""))), _REFUSED, "refused by UnsealError"),
    "exits": (_first(lambda: _raise(SystemExit())), _REFUSED, "refused by SystemExit"),
    "accepts": (_making(1), _REFUSED, "accepted"),
    "refuses": (_first(lambda: None), _ACCEPTED, "refused: UnsealError"),
    "makes-another": (_making(2), _ACCEPTED, "made 2"),
    "writes-another": (_making(True), _ACCEPTED, "made True"),
    "makes-the-slow": (_making(_Slow()), _ACCEPTED, "ms in repr"),
    "makes-the-unusable": (_making(_Unusable()), _ACCEPTED, "AttributeError in repr"),
}


def main() -> None:
    found = {}
    for name, (reader, case, expected) in WEAK.items():
        (result,) = run("ours", [case], reader)
        found[name] = [expected, result.faults]
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
