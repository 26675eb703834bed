"""Measure the time that a session adds to a request, compared with the bare application, in one process."""

import statistics

from doors import ACTIONS, CASES
from harness import added, measure, ratio
from peer_middleware import DOORS, Door, Middleware, built, fault_of, signed_in
from peers import REFERENCE
from tables import Table


def run() -> tuple[list[Table], list[str]]:
    """Return tables of the ratios and of the bytes of Set-Cookie, for WSGI and ASGI, and notes."""
    tables, notes = [], []
    for door in DOORS:
        middlewares, missing = built(door.makers)
        faults = {name: fault_of(door, middleware) for name, middleware in middlewares.items()}
        notes += [f"missing: {name}: {reason}" for name, reason in missing.items()]
        notes += [f"not measured: {name}: {fault}" for name, fault in faults.items() if fault]
        usable = {name: middleware for name, middleware in middlewares.items() if not faults[name]}
        columns = [case for case, _, _ in CASES]
        kind = door.name.lower()
        ratios = Table(f"middleware-{kind}", f"{door.name}: added per request, ratio to the reference", columns)
        sent = Table(f"middleware-{kind}-bytes", f"{door.name}: bytes of Set-Cookie", columns, "bytes")
        for case, by_name, microseconds in measure_door(door, usable):
            for name in usable:
                ratios.rows.setdefault(name, []).append(by_name[name])
            notes.append(f"{door.name}, {case}: the reference adds {microseconds:.2f} us")
        cookies = {name: signed_in(door, middleware) for name, middleware in usable.items()}
        for name, middleware in usable.items():
            sent.rows[name] = [
                sum(map(len, door.set_cookies(middleware.build(ACTIONS[action]), _request(door, cookies[name], has))))
                for _, action, has in CASES
            ]
        tables += [ratios, sent]
    return tables, notes


def measure_door(door: Door, middlewares: dict[str, Middleware]) -> list[tuple[str, dict[str, float], float]]:
    """Return, for each of the six cases, the ratio of each middleware and the microseconds of the reference."""
    cookies = {name: signed_in(door, middleware) for name, middleware in middlewares.items()}
    results = []
    for case, action, has_cookie in CASES:
        cases = {}
        for name, middleware in middlewares.items():
            request = _request(door, cookies[name], has_cookie)
            cases[name] = door.case(middleware.build(ACTIONS[action]), request)
            cases.setdefault(middleware.bare, door.case(middleware.bare, request))
        times = measure(cases)
        overheads = {name: added(times, name, middleware.bare) for name, middleware in middlewares.items()}
        ratios = {name: ratio(overheads, name, REFERENCE) for name in middlewares}
        results.append((case, ratios, statistics.median(overheads[REFERENCE]) * 1e6))
    return results


def _request(door: Door, cookie: str, has_cookie: bool) -> dict[str, object]:
    return door.request_of(cookie if has_cookie else None)
