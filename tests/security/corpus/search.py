"""Search for the payloads that cost the most, by what reads them: ``python -m tests.security.corpus.search``.

An attacker who knows both keys chooses the payload. The search tries keys of each type with keys of each other type,
and steps of a recipe with each other step, as many as the limits allow. It prints the worst payload that it finds for
each entry point next to the documented bound. Both are CPU time, as multiples of a loop of a million additions that is
measured in the same process. The exit status is 1 if a bound does not hold. ``--quick`` tries fewer payloads.

``--django`` is the part that needs a Django project; the command runs it in a process of its own.
"""

import argparse
import json
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

from sealedsession.errors import UnsealError
from sealedsession.sealing.keys import Keyring
from sealedsession.sealing.sealer import Sealer
from sealedsession.serialization.limits import DEFAULT_LIMITS, Limits, PayloadTooLargeError, StateLimits
from sealedsession.serialization.pickle_grammar import Grammar
from sealedsession.serialization.registry import Registry
from sealedsession.serialization.safe_pickle import PickleSerializer
from sealedsession.serialization.tagged_json import JsonSerializer
from sealedsession.state.resumable import Resumable, public
from sealedsession.state.sealer import StateSealer
from tests.security.corpus.assembler import dic, lst, num, o, text, tup, typed
from tests.security.corpus.collisions import mixed, pairs
from tests.support import ROOT

# What docs/internals/payload.rst promises, in loops. A loop takes about 30 ms on the machine of docs/performance.rst.
BOUNDS = {
    "cookie": 1,
    "cookie, read and written": 2,
    "cookie in JSON": 1,
    "state": 12,
    "call": 36,
    "recipe": 40,
    "call with recipes": 120,
    "form": 8,
}
KEYS = {
    "validate_key": "L2Y0Z3fREApcKqjQ1-5im1yDuPovUzVKx5plVATACO4",
    "encrypt_key": "nVrAjanE_Tr7gxWPUw3qHDpsRwra9JzaiZWEOZ_G9bw",
}
SHARES = (0.25, 0.5, 0.75)


class Found(NamedTuple):
    """A payload, named by its parts, and its cost."""

    entry: str
    name: str
    size: int
    loops: float


def loop() -> float:
    """Measure the CPU time of the loop: a tenth of it, five times, of which the least counts."""

    def tenth() -> float:
        started, total = time.process_time(), 0
        for number in range(100_000):
            total += number
        return time.process_time() - started

    return 10 * min(tenth() for _ in range(5))


def cost(work: Callable[[], object], enough: float = 0.2) -> float:
    """Measure the CPU time of work that may be refused, in loops: the least of three, unless it takes long."""
    times: list[float] = []
    while len(times) < 3 and sum(times) < enough:
        started = time.process_time()
        with suppress(UnsealError, PayloadTooLargeError):
            work()
        times.append(time.process_time() - started)
    return min(times) / loop()


def collisions(limits: Limits, quick: bool) -> Iterator[tuple[str, bytes]]:
    """Dicts of colliding keys of two types, by names, and other payloads that take time."""
    grammar = Grammar(limits)

    def fits(payload: bytes) -> bool:
        try:
            grammar.check(payload)
        except UnsealError:
            return False
        return True

    for name, first, second in pairs():
        for share in SHARES[1:2] if quick else SHARES:
            yield f"{name} {share:.0%}", mixed(first, second, share, fits)
    room = limits.size - 50
    plain = {"None": o.NONE, "list": o.EMPTY_LIST, "tuple": o.EMPTY_TUPLE, "number": num(1)}
    for name, member in plain.items():
        number = min(limits.nodes - 10, room // len(member))
        yield f"{number} x {name}", lst(*[member] * number)
        yield f"too many x {name}", lst(*[member] * (room // len(member)))
    values = {
        "date": typed("date", text("2024-02-29")),
        "path": typed("p", text("a/b")),
        "network": typed("net6", text("::/0")),
        "zone": typed(
            "d", tup(text("2024-02-29T01:02:03"), num(0), typed("tz", tup(num(0), num(1), num(0), text("Z"))))
        ),
        "fraction": typed("fr", tup(num(1), num(2))),
        "deque": typed("q", tup(o.EMPTY_LIST, o.NONE)),
        "ordered": typed("od", dic(num(1), o.NONE)),
        "frozenset": typed("fs", lst(num(1))),
    }
    for name, member in values.items():
        number = min(limits.typed // member.count(o.BINPERSID), room // len(member))
        yield f"{number} x {name}", lst(*[member] * number)


class Thing(Resumable):
    """The object that calls resume, with the payload as an attribute."""

    @public
    def touch(self) -> None:
        """Do nothing: the state is read, and written again."""


def plain_entries(quick: bool) -> Iterator[Found]:
    """Measure cookies, and states without Django."""
    serializer, in_json = PickleSerializer(Registry()), JsonSerializer(Registry())

    def again(payload: bytes) -> None:
        value: Any = serializer.loads(payload)
        serializer.dumps([value, 1], payload)

    for name, value in collisions(DEFAULT_LIMITS, quick):
        payload = value + o.STOP
        yield Found("cookie", name, len(payload), cost(partial(serializer.loads, payload)))
        yield Found("cookie, read and written", name, len(payload), cost(partial(again, payload)))
        try:
            as_json = in_json.dumps(serializer.loads(payload))
        except (UnsealError, PayloadTooLargeError):
            continue
        yield Found("cookie in JSON", name, len(as_json), cost(partial(in_json.loads, as_json)))
    states = StateSealer(**KEYS)
    states.register(Thing)
    forger = Sealer(Keyring(**KEYS), "state:state:1:s", compress=True)

    def forged(content: bytes) -> str:
        return forger.seal(content + o.STOP, created=int(time.time()))

    for name, value in collisions(StateLimits(size=64 * 1024 - 100), quick):
        token = forged(lst(o.NONE, value))
        yield Found("state", name, len(token), cost(partial(states.unseal, token, session_id="s")))
        token = forged(lst(text("Thing"), tup(), dic(), dic(text("a"), value)))
        body = json.dumps({"token": token, "method": "touch", "args": []}).encode()
        yield Found("call", name, len(token), cost(partial(states.handle, body, session_id="s")))


def worst(found: Iterator[Found], say: Callable[[str], object]) -> list[Found]:
    """Return the costliest payload for each entry point."""
    most: dict[str, Found] = {}
    for each in found:
        if each.entry not in most or each.loops > most[each.entry].loops:
            most[each.entry] = each
            say(f"  {each.loops:6.2f}  {each.entry}: {each.name}, {each.size:,} bytes")
    return list(most.values())


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Search for the payloads that cost the most.")
    parser.add_argument("--quick", action="store_true", help="try fewer payloads")
    parser.add_argument("--django", action="store_true", help="recipes and forms only, and print them as JSON")
    options = parser.parse_args(arguments)
    say = partial(print, file=sys.stderr, flush=True)
    if options.django:
        from tests.security.corpus.search_django import entries

        json.dump(worst(entries(options.quick), say), sys.stdout)
        return 0
    found = worst(plain_entries(options.quick), say)
    command = [sys.executable, "-m", "tests.security.corpus.search", "--django", *["--quick"] * options.quick]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    found += [Found(*each) for each in json.loads(done.stdout)]
    print(f"{'entry point':<26}{'worst':>8}{'bound':>8}  payload, in loops of {loop() * 1000:.0f} ms")
    for each in found:
        print(f"{each.entry:<26}{each.loops:>8.2f}{BOUNDS[each.entry]:>8}  {each.name}, {each.size:,} bytes")
    return int(any(each.loops > BOUNDS[each.entry] for each in found))


if __name__ == "__main__":
    logging.disable()  # every refused payload is a record
    sys.exit(main())
