"""Measure what a session adds to a request: the time with the middleware minus that of the bare application."""

import statistics

from harness import added, measure, ratio
from interfaces import ACTIONS, CASES
from peer_middleware import INTERFACES, Interface, Middleware, built, find_fault, signed_in
from peers import REFERENCE
from tables import Table


def run() -> tuple[list[Table], list[str]]:
    """Return, for both interfaces, tables of the ratios and of the bytes of Set-Cookie, and notes."""
    tables, notes = [], []
    for interface in INTERFACES:
        middlewares, missing = built(interface.makers)
        faults = {name: find_fault(interface, middleware) for name, middleware in middlewares.items()}
        notes += [f"missing: {name}: {reason}" for name, reason in missing.items()]
        notes += [f"not measured: {name}: {fault}" for name, fault in faults.items() if fault]
        usable = {name: middleware for name, middleware in middlewares.items() if not faults[name]}
        columns = [case for case, _, _ in CASES]
        kind = interface.name.lower()
        ratios = Table(f"middleware-{kind}", f"{interface.name}: added per request, ratio to the reference", columns)
        sent = Table(f"middleware-{kind}-bytes", f"{interface.name}: bytes of Set-Cookie", columns, "bytes")
        for case, by_name, microseconds in measure_interface(interface, usable):
            for name in usable:
                ratios.rows.setdefault(name, []).append(by_name[name])
            notes.append(f"{interface.name}, {case}: the reference adds {microseconds:.2f} us")
        cookies = {name: signed_in(interface, middleware) for name, middleware in usable.items()}
        for name, middleware in usable.items():
            sent.rows[name] = [
                sum(
                    map(
                        len,
                        interface.set_cookies(
                            middleware.build(ACTIONS[action]), _request(interface, cookies[name], has)
                        ),
                    )
                )
                for _, action, has in CASES
            ]
        tables += [ratios, sent]
    return tables, notes


def measure_interface(
    interface: Interface, middlewares: dict[str, Middleware]
) -> list[tuple[str, dict[str, float], float]]:
    """Return, for each case, the ratio of each middleware to the reference, and the reference's microseconds."""
    cookies = {name: signed_in(interface, middleware) for name, middleware in middlewares.items()}
    results = []
    for case, action, has_cookie in CASES:
        cases = {}
        for name, middleware in middlewares.items():
            request = _request(interface, cookies[name], has_cookie)
            cases[name] = interface.case(middleware.build(ACTIONS[action]), request)
            cases.setdefault(middleware.bare, interface.case(middleware.bare, request))
        times = measure(cases)
        overheads = {name: added(times, name, middleware.bare) for name, middleware in middlewares.items()}
        ratios = {name: ratio(overheads, name, REFERENCE) for name in middlewares}
        results.append((case, ratios, statistics.median(overheads[REFERENCE]) * 1e6))
    return results


def _request(interface: Interface, cookie: str, has_cookie: bool) -> dict[str, object]:
    return interface.make_request(cookie if has_cookie else None)
