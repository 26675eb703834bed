"""Measure the cost of options: a request with an option, next to the same request without it, on both interfaces."""

import itertools
import json
import random
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import interfaces
from harness import added, measure, ratio
from peer_middleware import INTERFACES, KEPT, ours_asgi, ours_wsgi
from tables import Table

from sealedsession.asgi import SessionMiddleware as AsgiMiddleware
from sealedsession.revocation import CachedStore, MemoryStore, SQLiteStore
from sealedsession.wsgi import SessionMiddleware as WsgiMiddleware

KEYS = {
    "validate_key": "kXn2r5u8x-A-D_G-KaPdSgVkYp3s6v9y-B-E-H-MbQe",
    "encrypt_key": "Tn5v8y-B-D-GpKbPeShVmYq3t6w9z-C-F-JaNcRfUjX",
}
PLAIN = "none"
CLIENTS = (1, 256, 512, 1024, 2048, 4096)
TURNS = 20_000  # requests of random clients, before the order repeats

# In the order of INTERFACES.
_MIDDLEWARES: tuple[Any, ...] = (WsgiMiddleware, AsgiMiddleware)
_APPLICATIONS = (partial(interfaces.wsgi_application, "sealedsession.session"), interfaces.asgi_application)


def run() -> tuple[list[Table], list[str]]:
    """Return a table of the ratios to no option, and notes with the microseconds that each option adds or saves."""
    columns = [f"{interface}, {action}" for interface in ("WSGI", "ASGI") for action in ("untouched", "read", "write")]
    table = Table("options", "Options: added per request with a cookie, ratio to no option", columns)
    notes = []
    with tempfile.TemporaryDirectory() as directory:
        every = _options(Path(directory))
        for column, cases in zip(columns, _columns(every), strict=True):
            times = measure(cases)
            overheads = {name: added(times, name, "bare") for name in cases}
            for name in every:
                measured = name in cases
                table.rows.setdefault(name, []).append(ratio(overheads, name, PLAIN) if measured else None)
                if measured:
                    microseconds = statistics.median(added(overheads, name, PLAIN)) * 1e6
                    notes.append(f"{column}: {name} adds {microseconds:.2f} us")
    return [table, _clients()], notes


def _options(directory: Path) -> dict[str, dict[str, Any]]:
    keyring = directory / "keyring.json"
    keyring.touch(0o600)
    keyring.write_text(json.dumps({"version": 1, "keys": [{"state": "primary", **KEYS}]}))
    return {
        PLAIN: KEYS,
        "control": KEYS,
        "encrypt_key=None": {**KEYS, "encrypt_key": None},
        "keyring: a file": {"keyring": f"file:{keyring}"},
        "revocation: memory": {**KEYS, "revocation": MemoryStore()},
        "revocation: SQLite": {**KEYS, "revocation": SQLiteStore(directory / "revoked.db")},
        "revocation: SQLite, cached": {**KEYS, "revocation": CachedStore(SQLiteStore(directory / "cached.db"))},
        "compress": {**KEYS, "compress": True},
        "pad=32": {**KEYS, "pad": 32},
        "binding": {**KEYS, "binding": lambda request: b"client"},
        "token_cache, one client": {**KEYS, "token_cache": KEPT},
        "on_event": {**KEYS, "on_event": lambda event: None},
        "persistent": {**KEYS, "persistent": True},
        "serializer='json'": {**KEYS, "serializer": "json"},
    }


def _columns(every: dict[str, dict[str, Any]]) -> list[dict[str, Callable[[], None]]]:
    columns = []
    for interface, around, middleware in zip(INTERFACES, _APPLICATIONS, _MIDDLEWARES, strict=True):
        for action in interfaces.ACTIONS.values():
            cases = {"bare": interface.case(around(None), interface.make_request("a=b"))}
            for name, options in every.items():
                if interface.name == "ASGI" and "SQLite" in name:
                    continue  # it is called in a thread, which needs an event loop
                seed = middleware(around(interfaces.sign_in), **options)
                cookie = interface.set_cookies(seed, interface.make_request(None))[-1].partition(";")[0]
                cases[name] = interface.case(middleware(around(action), **options), interface.make_request(cookie))
            columns.append(cases)
    return columns


def _clients() -> Table:
    title = f"{KEPT:,} tokens kept: added per request that reads, so many clients at random, ratio to none"
    table = Table("options-clients", title, [f"{number:,}" for number in CLIENTS])
    for interface, make in zip(INTERFACES, (ours_wsgi, ours_asgi), strict=True):
        middlewares = {PLAIN: make(), "control": make(), "token_cache": make(token_cache=KEPT)}
        for number in CLIENTS:
            cases = {
                "bare": _at_random([interface.case(middlewares[PLAIN].bare, interface.make_request("a=b"))] * number)
            }
            for name, middleware in middlewares.items():
                application, sign_in = middleware.build(interfaces.read), middleware.build(interfaces.sign_in)
                set_cookies = [interface.set_cookies(sign_in, interface.make_request(None))[-1] for _ in range(number)]
                requests = [interface.make_request(line.partition(";")[0]) for line in set_cookies]
                cases[name] = _at_random([interface.case(application, request) for request in requests])
            times = measure(cases)
            overheads = {name: added(times, name, "bare") for name in middlewares}
            for name in ("token_cache", "control"):
                table.rows.setdefault(f"{interface.name}, {name}", []).append(ratio(overheads, name, PLAIN))
    return table


def _at_random(calls: list[Callable[[], None]]) -> Callable[[], None]:
    next_call = itertools.cycle(random.Random(1).choices(calls, k=TURNS)).__next__
    return lambda: next_call()()
