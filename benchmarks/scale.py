"""Measure how cost grows: memory, processes and threads, the session's size, fallback keys, foreign cookies."""

import base64
import gc
import multiprocessing
import os
import random
import threading
import time
import tracemalloc
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import interfaces
import peer_middleware
import peers
from harness import QUICK, added, both, measure, pinned, ratio
from peer_middleware import INTERFACES, Interface, Middleware, signed_in
from peers import OURS, REFERENCE
from tables import Table

from sealedsession.sealing.keys import Keyring
from sealedsession.sealing.sealer import Sealer

SECONDS = 0.2 if QUICK else 1.0  # of load, for each number of processes and threads, in each round
ROUNDS = 3 if QUICK else 9
PROCESSES, THREADS = (1, 2, 4), (1, 8, 32)
SIZES = range(0, 2901, 580 if QUICK else 145)  # bytes of data; what fits every codec's cookie
FALLBACKS = (0, 1, 2, 4, 8, 16, 32)
COOKIES = (0, 1, 4, 16, 64)  # of about 50 bytes each
COOKIE_SIZES = (0, 100, 1000, 4000, 7000)  # bytes of one; servers refuse more than 8 KiB or so


def run() -> tuple[list[Table], list[str]]:
    """Return the tables, and notes."""
    notes: list[str] = []
    with pinned():
        tables = [_memory(), *_payload_sizes(notes), _fallback_keys(), *_foreign_cookies()]
    return [*tables, _processes(), _threads()], notes


# ------------------------------------------------------------------------------------------------------------- memory

_SHOWN = {
    "WSGI": (OURS, REFERENCE, "Beaker, encrypted"),
    "ASGI": (OURS, REFERENCE, "Starlette, signed"),
}


def _shown(interface: Interface) -> dict[str, Middleware]:
    return {name: interface.makers[name]() for name in _SHOWN[interface.name]}


def _memory() -> Table:
    columns = ["a middleware", *(f"a request, {action}" for action in interfaces.ACTIONS), "left by 1,000"]
    table = Table("scale-memory", "Memory in bytes: what each holds, or holds at most", columns, "bytes")
    for interface in INTERFACES:
        for name, middleware in _shown(interface).items():
            request = interface.make_request(signed_in(interface, middleware))
            cells: list[Any] = [_held(partial(middleware.build, None))]
            for action in interfaces.ACTIONS.values():
                case = interface.case(middleware.build(action), request)
                bare = interface.case(middleware.bare, request)
                cells.append(_peak(case) - _peak(bare))
            cells.append(max(0, _left(case)))
            table.rows[f"{name}, {interface.name}"] = cells
    return table


def _held(make: Callable[[], object]) -> int:
    make()  # so that objects made once are not counted
    gc.collect()
    tracemalloc.start()
    made = [make() for _ in range(10)]
    held = tracemalloc.get_traced_memory()[0] // len(made)
    tracemalloc.stop()
    return held


def _peak(case: Callable[[], object]) -> int:
    for _ in range(10):
        case()
    gc.collect()
    tracemalloc.start()
    case()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def _left(case: Callable[[], object]) -> int:
    for _ in range(100):
        case()
    gc.collect()
    tracemalloc.start()
    for _ in range(1000):
        case()
    gc.collect()
    left = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return left


# ------------------------------------------------------------------------------------------------------ size and keys


def _one_text(size: int) -> dict[str, Any]:
    return {"text": "x" * size}


def _many_values(size: int) -> dict[str, Any]:
    return {"values": [f"{number:08}" for number in range(size // 11)]}  # 11 bytes each in a pickle


def _payload_sizes(notes: list[str]) -> list[Table]:
    tables = []
    codecs = {name: peers.PEERS[name].make() for name in (OURS, REFERENCE)}
    for kind, make in (("one text", _one_text), ("many values", _many_values)):
        cases: dict[Any, Callable[[], object]] = {}
        for size in SIZES:
            for name, (seal, unseal) in codecs.items():
                cases["seal", name, size] = partial(seal, make(size))
                cases["unseal", name, size] = partial(unseal, seal(make(size)))
        times = dict(measure(cases))
        for name in codecs:
            for size in SIZES:
                times[name, size] = both(times, ("seal", name, size), ("unseal", name, size))
        title = f"Seal and unseal {kind} of so many bytes, ratio to the reference with none"
        table = Table(f"scale-size-{kind.replace(' ', '-')}", title, [str(size) for size in SIZES])
        for name in codecs:
            table.rows[name] = [ratio(times, (name, size), (REFERENCE, 0)) for size in SIZES]
            off = _off_line(list(SIZES), table.rows[name])
            notes.append(f"{name}, {kind}: at most {off:.0%} off a straight line")
        tables.append(table)
    return tables


def _off_line(xs: list[int], ys: list[Any]) -> float:
    """Return the largest relative distance of a value from the line of least squares."""
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / sum((x - mean_x) ** 2 for x in xs)
    fitted = [mean_y + slope * (x - mean_x) for x in xs]
    return max(abs(y - fit) / fit for y, fit in zip(ys, fitted, strict=True))


def _fallback_keys() -> Table:
    random_bytes = random.Random(1).randbytes
    pairs = [[base64.urlsafe_b64encode(random_bytes(32)).decode() for _ in range(2)] for _ in range(max(FALLBACKS) + 1)]
    payload = bytes(range(256))
    cases: dict[Any, Callable[[], object]] = {}
    for count in FALLBACKS:
        validate_keys, encrypt_keys = map(list, zip(*pairs[: count + 1], strict=True))
        sealer = Sealer(Keyring(validate_keys, encrypt_keys), "cookie:session")
        oldest = Sealer(Keyring(validate_keys[-1], encrypt_keys[-1]), "cookie:session")
        now = int(time.time())
        for which, sealing in (("primary", sealer), ("oldest", oldest)):
            token = sealing.seal(payload, created=now).encode()
            cases[which, count] = partial(sealer.unseal, token)
    times = measure(cases)
    table = Table("scale-keys", "Unseal with so many fallback keys, ratio to none", [str(count) for count in FALLBACKS])
    for which in ("primary", "oldest"):
        table.rows[f"by the {which} key"] = [ratio(times, (which, count), ("primary", 0)) for count in FALLBACKS]
    return table


def _foreign_cookies() -> list[Table]:
    many = {count: "; ".join(f"cookie_{number:02}={'v' * 40}" for number in range(count)) for count in COOKIES}
    long = {size: f"long={'v' * size}" if size else "" for size in COOKIE_SIZES}
    return [
        _with_cookies("scale-cookies", "A read beside so many foreign cookies of 50 bytes, ratio to none", many),
        _with_cookies("scale-cookie-size", "A read beside one cookie of so many bytes, ratio to none", long),
    ]


def _with_cookies(name: str, title: str, headers: dict[int, str]) -> Table:
    table = Table(name, title, [str(amount) for amount in headers])
    for interface in INTERFACES:
        cases: dict[Any, Callable[[], object]] = {}
        shown = _shown(interface)
        for middleware_name, middleware in shown.items():
            cookie = signed_in(interface, middleware)
            for amount, header in headers.items():
                request = interface.make_request(f"{header}; {cookie}" if header else cookie)
                cases[middleware_name, amount] = interface.case(middleware.build(interfaces.read), request)
                cases["bare", amount] = interface.case(middleware.bare, request)
        times = measure(cases)
        overheads = {(row, at): added(times, (row, at), ("bare", at)) for row in shown for at in headers}
        for row in shown:
            table.rows[f"{row}, {interface.name}"] = [ratio(overheads, (row, at), (row, 0)) for at in headers]
    return table


# ---------------------------------------------------------------------------------------------- processes and threads


Share = tuple[int, float, float]  # requests, and the seconds at which they began and ended


class _Traffic:
    """Clients that share one application. Each writes its session and checks that it reads its own data."""

    def __init__(self, middleware: Middleware) -> None:
        self._seen: dict[int, object] = {}  # by thread
        self._writing = middleware.build(self._write)
        self._reading = middleware.build(self._read)
        self._cookie = signed_in(_WSGI, middleware)

    def run(self, start: Callable[[], object]) -> Share:
        """Return the requests that one client completed in `SECONDS`, and when."""
        thread, cookie, requests = threading.get_ident(), self._cookie, 0
        start()
        began = time.monotonic()
        while time.monotonic() < began + SECONDS:
            cookie = _WSGI.set_cookies(self._writing, _WSGI.make_request(cookie))[-1].split(";")[0]
            written = self._seen[thread]
            _WSGI.set_cookies(self._reading, _WSGI.make_request(cookie))
            if self._seen[thread] != written:
                raise RuntimeError("a session came back as another one")
            requests += 2
        return requests, began, time.monotonic()

    def _write(self, session: Any) -> None:
        interfaces.write(session)
        self._read(session)

    def _read(self, session: Any) -> None:
        self._seen[threading.get_ident()] = (session.get("n"), session.get("user_id"))


_WSGI = INTERFACES[0]
_MAKERS = {OURS: peer_middleware.ours_wsgi, REFERENCE: peer_middleware.prototype_wsgi}


def _processes() -> Table:
    title = f"Requests per second of so many processes on {os.cpu_count()} CPUs, ratio to one"
    return _loads("scale-processes", title, PROCESSES, _in_processes)


def _threads() -> Table:
    title = "Requests per second of so many threads of one process, ratio to one"
    return _loads("scale-threads", title, THREADS, _in_threads)


def _loads(name: str, title: str, counts: Sequence[int], load: Callable[[Any, int], float]) -> Table:
    """Return a table of the requests that several clients complete, in the same rounds as a single client."""
    times: dict[Any, list[float]] = {(row, count): [] for row in _MAKERS for count in counts}
    order = list(times)
    shuffle = random.Random(1).shuffle
    for _ in range(ROUNDS):
        shuffle(order)
        for row, count in order:
            times[row, count].append(load(_MAKERS[row], count))
    table = Table(name, title, [str(count) for count in counts])
    for row in _MAKERS:
        table.rows[row] = [ratio(times, (row, counts[0]), (row, count)) for count in counts]
    return table


def _in_processes(make: Callable[[], Middleware], count: int) -> float:
    context = multiprocessing.get_context("fork")
    barrier, counts = context.Barrier(count), context.Queue()
    processes = [context.Process(target=_process, args=(make, barrier, counts)) for _ in range(count)]
    for process in processes:
        process.start()
    shares = [counts.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    return _seconds_per_request(shares)


def _process(make: Callable[[], Middleware], barrier: Any, counts: Any) -> None:
    counts.put(_Traffic(make()).run(barrier.wait))


def _in_threads(make: Callable[[], Middleware], count: int) -> float:
    traffic, barrier = _Traffic(make()), threading.Barrier(count)
    with ThreadPoolExecutor(count) as executor:
        futures = [executor.submit(traffic.run, barrier.wait) for _ in range(count)]
        return _seconds_per_request([future.result() for future in futures])


def _seconds_per_request(shares: Sequence[Share]) -> float:
    """Return the seconds per request of all clients together, from the first start to the last end."""
    requests, began, ended = zip(*shares, strict=True)
    return (max(ended) - min(began)) / sum(requests)
