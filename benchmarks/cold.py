"""Measure single calls after unrelated work, when caches and branch predictors are cold, as in a server.

A hot loop favours code that repeats many instructions. Here each call is timed alone, after other Python and C code
that touches a megabyte of memory and takes some hundred microseconds.
"""

import http.cookies
import json
import statistics
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import peers
from harness import QUICK, added, measure_singly, ratio
from interfaces import ACTIONS
from payloads import PAYLOADS
from peer_middleware import INTERFACES, Interface, built, find_fault, signed_in
from peers import REFERENCE
from tables import Table

ROUNDS = 150 if QUICK else 1500
CODEC_PAYLOADS = ("tiny", "login", "near")
CODEC_COLUMNS = [f"{payload}, {operation}" for payload in CODEC_PAYLOADS for operation in ("seal", "unseal")]
REQUEST_COLUMNS = list(ACTIONS)

_MEMORY = bytearray(1 << 20)  # about the size of a second-level cache
_DOCUMENT = json.dumps([{"a": number, "b": str(number) * 3, "c": [number, number * 1.5, None]} for number in range(40)])


def other_work() -> None:
    """Touch each cache line of a megabyte, and run code unrelated to sessions."""
    _MEMORY[::64] = bytes(len(_MEMORY) // 64)
    rows = sorted(json.loads(_DOCUMENT), key=lambda row: -row["a"])
    json.dumps(rows)
    http.cookies.SimpleCookie("a=b; c=d; e=f").output()
    repr(rows[:5])


def run() -> tuple[list[Table], list[str]]:
    """Return tables of codecs and, for both interfaces, of requests with a cookie, and notes."""
    notes: list[str] = []
    return [_codecs(notes), *(_requests(interface, notes) for interface in INTERFACES)], notes


def _codecs(notes: list[str]) -> Table:
    codecs, missing = peers.built()
    notes += [f"missing: {name}: {reason}" for name, reason in missing.items()]
    table = Table("cold-codec", "Single cold calls, ratio to the reference", CODEC_COLUMNS)
    for payload in CODEC_PAYLOADS:
        value = PAYLOADS[payload]
        usable = {name: codec for name, codec in codecs.items() if peers.find_fault(codec, value) is None}
        seals = _measure({name: partial(seal, value) for name, (seal, _) in usable.items()})
        unseals = _measure({name: partial(unseal, seal(value)) for name, (seal, unseal) in usable.items()})
        for operation, times in (("seal", seals), ("unseal", unseals)):
            microseconds = statistics.median(times[REFERENCE]) * 1e6
            notes.append(f"{payload}, cold: the reference takes {microseconds:.1f} us to {operation}")
            for name in codecs:
                cell = ratio(times, name, REFERENCE) if name in usable else None
                table.rows.setdefault(name, []).append(cell)
    return table


def _requests(interface: Interface, notes: list[str]) -> Table:
    middlewares, missing = built(interface.makers)
    notes += [f"missing: {name}: {reason}" for name, reason in missing.items()]
    usable = {name: middleware for name, middleware in middlewares.items() if find_fault(interface, middleware) is None}
    kind = interface.name.lower()
    table = Table(f"cold-{kind}", f"{interface.name}: added to a cold request, ratio to the reference", REQUEST_COLUMNS)
    for action in ACTIONS.values():
        cases: dict[Any, Callable[[], object]] = {}
        for name, middleware in usable.items():
            request = interface.make_request(signed_in(interface, middleware))
            cases[name] = interface.case(middleware.build(action), request)
            cases.setdefault(middleware.bare, interface.case(middleware.bare, request))
        times = measure_singly(cases, other_work, ROUNDS)
        overheads = {name: statistics.median(added(times, name, usable[name].bare)) for name in usable}
        for name in usable:
            table.rows.setdefault(name, []).append(overheads[name] / overheads[REFERENCE])
        notes.append(f"{interface.name}, cold: the reference adds {overheads[REFERENCE] * 1e6:.1f} us")
    return table


def _measure(cases: Mapping[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Return the times minus those of an empty call."""
    times = measure_singly({**cases, None: _nothing}, other_work, ROUNDS)
    return {name: added(times, name, None) for name in cases}


def _nothing() -> None:
    pass
