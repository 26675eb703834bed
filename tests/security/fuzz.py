"""Invariant: only UnsealError leaves `Sealer.unseal`, `PickleSerializer.loads` and `parse_list`, whatever they get;
no exception leaves a request, whatever its Cookie header; and no data appears that was not sealed here. Then the model
of revocation runs for as long again, one third of the time with each store: see revocation_model.py.

    python -m tests.security.fuzz --seconds 60            random tokens, Cookie headers and payloads; then the model
    python -m tests.security.fuzz --seconds 60 --seed 7   the same again: keys are fixed, and all else comes of the seed

It prints the seed, then how often each outcome was seen. On a violation it prints the input in hexadecimal, exits 1.
"""

import argparse
import datetime
import logging
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from decimal import Decimal
from hashlib import sha256
from typing import Any
from uuid import UUID

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase
from hypothesis.stateful import run_state_machine_as_test

from sealedsession import SessionConfig, UnsealError, asgi, wsgi
from sealedsession.lifecycle.payload import parse_list
from sealedsession.sealing.keys import Keyring
from sealedsession.sealing.sealer import Sealer
from sealedsession.sealing.token_cache import TokenCache
from sealedsession.serialization.registry import Registry
from sealedsession.serialization.safe_pickle import PickleSerializer
from tests.properties.revocation_model import (
    RevocationModel,
    memory_backend,
    model_with,
    redis_backend,
    sqlite_backend,
)
from tests.support.redis_server import RedisServer

NOW = 1_750_000_000
NAME = "__Host-Http-session"
KEYS = [sha256(f"fuzz {number}".encode()).digest() for number in range(4)]
KEYRINGS = {
    "sealed": Keyring(KEYS[0], KEYS[1]),
    "signed only": Keyring(KEYS[0]),
    "with a fallback": Keyring([KEYS[0], KEYS[2]], [KEYS[1], KEYS[3]]),
}
ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
PLAIN = {type(None), bool, int, float, str, bytes, list, tuple, dict}
SESSIONS = [
    {"user": "ann", "cart": [1, 2, 3], "seen": 1.5},
    {"n": None, "b": b"bytes", "big": 2**200, "nested": {"a": ({"b": [[]]}, True, -1)}, "größe": "ß" * 200},
    {"at": datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC), "price": Decimal("1.50"), "id": UUID(int=7)},
    {"set": {1, 2}, "days": [datetime.date(2025, 1, 1), datetime.timedelta(1)], "kind": int, 1: "one", (1, 2): "two"},
]
OWN = {"flash": ["", "Saved", "error", ["not", 1]], "csrf": KEYS[3], "ends": [0, NOW + 10**6, 1, NOW + 10**6]}
NEIGHBOURS = [
    b'{"json":1}=a', b"null", b"a b=c", b"bad name=1", b'q="x; y"', b"x__Host-Http-session=1", b"__Host-Http-session",
    b"=", b"", b"__Host-Http-session==", b"__host-http-session=1", b"\xff\xfe=\xc3\x28", b'__Host-Http-session="',
    b"__Secure-x=1", b"$Version=1",
]  # fmt: skip
HOSTILE_PAYLOADS = [
    b"cos\nsystem\n(S'id'\ntR.", b"\x8c\x02os\x8c\x06system\x93\x8c\x02id\x85R.", b"(ios\nsystem\n.", b"]\x94h\x00.",
    b"\x8c\x01tNQ.", b"\x8c\x02dtC\x00\x86Q.", b"(" * 1000 + b"t" * 1000 + b".", b"]" * 2000 + b"a" * 1999 + b".",
    b"\x8a\xff" + b"\xff" * 255 + b".", b"X\xff\xff\xff\xff.", b"}]Ns.", b"\x95\xff\xff\xff\xff\xff\xff\xff\xff.", b".",
]  # fmt: skip


class ViolationError(Exception):
    """The invariant does not hold."""

    def __init__(self, target: str, data: bytes, problem: str) -> None:
        super().__init__(f"{target}: {problem}")
        self.target = target
        self.data = data


def mutate(rng: random.Random, data: bytes, others: list[bytes], alphabet: bytes) -> bytes:
    """Change data at a few places: cut, insert, overwrite, repeat, splice with another."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        start = rng.randint(0, len(data))
        end = min(len(data), start + rng.choice((0, 1, 1, 2, 4, 16, 4096)))
        piece = rng.choice(
            (
                b"",
                bytes(rng.choices(alphabet, k=rng.choice((1, 1, 2, 8)))),
                rng.randbytes(rng.choice((1, 1, 2, 8))),
                data[start:end] * 2,
                data[start:end][::-1],
                rng.choice(others)[start:],
                bytes(byte ^ 1 << rng.randrange(8) for byte in data[start:end][:1]) + data[start + 1 : end],
            )
        )
        data = data[:start] + piece + data[end:]
    return data


class TokenTarget:
    """`unseal` of sealers and caches: a token that it opens is one that was sealed, to the last character."""

    name = "token"

    def __init__(self, rng: random.Random) -> None:
        self.sealers: list[Sealer] = []
        self.openers: list[Sealer | TokenCache] = []
        serializer = PickleSerializer(Registry())
        for keyring in KEYRINGS.values():
            for options in ({}, {"compress": True, "pad": 32}):
                sealer = Sealer(
                    keyring, "fuzz", idle_timeout=100, clock=lambda: NOW, random_bytes=rng.randbytes, **options
                )
                self.sealers.append(sealer)
                self.openers += [sealer, TokenCache(sealer, keyring, 4, 8192, lambda: NOW)]
        self.tokens = {
            sealer.seal(payload, created=NOW, session_id=session_id, lifetime=lifetime).encode(): payload
            for sealer in self.sealers
            for payload in [b"", *map(serializer.dumps, SESSIONS)]
            for session_id, lifetime in ((None, None), (bytes(16), 60))
        }
        self.known = list(self.tokens)

    def make(self, rng: random.Random) -> bytes:
        kind = rng.random()
        if kind < 0.1:
            return rng.randbytes(rng.randrange(200))
        if kind < 0.2:
            return bytes(rng.choices(ALPHABET, k=rng.randrange(5000)))
        if kind < 0.25:
            return rng.choice(self.known)
        return mutate(rng, rng.choice(self.known), self.known, ALPHABET)

    def check(self, rng: random.Random, data: bytes) -> str:
        try:
            unsealed = rng.choice(self.openers).unseal(data)
        except UnsealError as error:
            return error.reason
        if data not in self.tokens:
            raise ViolationError(self.name, data, "a token was opened that was not sealed here")
        if unsealed.payload != self.tokens[data]:
            raise ViolationError(self.name, data, "a token gave another payload than was sealed")
        return "opened"


class CookieTarget:
    """Requests through both middlewares: the session is empty, or one whose very token stands in the header."""

    name = "cookie"

    def __init__(self, rng: random.Random) -> None:
        seeded = type("Seeded", (SessionConfig,), {"_random_bytes": lambda _, count: rng.randbytes(count)})
        self.configs = [
            seeded(validate_key=validate_key, encrypt_key=encrypt_key, clock=clock)
            for validate_key, encrypt_key, clock in (
                (KEYS[0], KEYS[1], lambda: NOW),
                ([KEYS[2], KEYS[0]], [KEYS[3], KEYS[1]], lambda: NOW + 3600),
                (KEYS[0], None, lambda: NOW),
            )
        ]
        self.requests = [(self._make_wsgi_request(config), self._make_asgi_request(config)) for config in self.configs]
        self.tokens: dict[bytes, object] = {}
        for config in self.configs:
            sealer = Sealer(config.keys, f"cookie:{NAME}", clock=lambda: NOW, random_bytes=rng.randbytes)
            serializer = PickleSerializer(Registry())
            for content in SESSIONS:
                for value in (content, [None, None, content, OWN]):
                    self.tokens[sealer.seal(serializer.dumps(value), created=NOW).encode()] = content
        self.known = list(self.tokens)

    def _make_wsgi_request(self, config: SessionConfig) -> Callable[[bytes], object]:
        seen = []

        def app(environ, start_response):
            session = environ["sealedsession.session"]
            seen.append((dict(session), session.rejected, session.modified))
            start_response("200 OK", [])
            return []

        middleware = wsgi.SessionMiddleware(app, config)

        def request(header: bytes) -> object:
            environ = {"HTTP_COOKIE": header.decode("latin-1"), "wsgi.url_scheme": "https"}
            middleware(environ, lambda status, headers, exc_info=None: None)
            return seen.pop()

        return request

    def _make_asgi_request(self, config: SessionConfig) -> Callable[[bytes], object]:
        seen = []

        async def app(scope, receive, send):
            session = scope["session"]
            seen.append((dict(session), session.rejected, session.modified))
            await send({"type": "http.response.start", "status": 200, "headers": []})

        async def send(message):
            pass

        middleware = asgi.SessionMiddleware(app, config)

        def request(header: bytes) -> object:
            headers = [(b"cookie", part) for part in header.split(b"; ", 1)]  # as HTTP/2 may send it
            running = middleware({"type": "http", "scheme": "https", "headers": headers}, None, send)
            with suppress(StopIteration):
                running.send(None)  # nothing in it waits, so it needs no event loop
            return seen.pop()

        return request

    def make(self, rng: random.Random) -> bytes:
        if rng.random() < 0.1:
            return rng.randbytes(rng.randrange(300))
        cookies = []
        for _ in range(rng.choice((1, 1, 2, 3, 6))):
            kind = rng.random()
            value = rng.choice(self.known)
            if kind < 0.3:
                cookies.append(rng.choice(NEIGHBOURS))
                continue
            if kind < 0.6:
                value = mutate(rng, value, self.known, ALPHABET)
            prefix = rng.choice(
                (b"__Host-Http-session=",) * 4 + (b"other=", b' __Host-Http-session="', b"x__Host-Http-session=")
            )
            cookies.append(prefix + value)
        header = rng.choice((b"; ", b"; ", b";", b" ;\t", b", ")).join(cookies)
        return mutate(rng, header, self.known, b'=; ",_') if rng.random() < 0.1 else header

    def check(self, rng: random.Random, data: bytes) -> str:
        by_wsgi, by_asgi = (request(data) for request in rng.choice(self.requests))
        if by_wsgi != by_asgi:
            raise ViolationError(self.name, data, "the two middlewares disagree")
        content, rejected, modified = by_wsgi
        if modified:
            raise ViolationError(self.name, data, "a session that was only read is modified")
        if not content:
            return rejected or "no cookie"
        if not any(token in data and content == sealed for token, sealed in self.tokens.items()):
            raise ViolationError(self.name, data, "a session holds data that was not sealed")
        return "opened"


class PayloadTarget:
    """`PickleSerializer.loads`: what it makes is of plain and registered types, and nothing else."""

    name = "payload"

    def __init__(self, rng: random.Random) -> None:
        self.registry = Registry()
        self.serializer = PickleSerializer(self.registry)
        values = [value for session in SESSIONS for value in session.values()]
        self.known = [self.serializer.dumps(value) for value in (*SESSIONS, *values, {}, [], ())]
        self.known += HOSTILE_PAYLOADS

    def make(self, rng: random.Random) -> bytes:
        kind = rng.random()
        if kind < 0.1:
            return rng.randbytes(rng.randrange(60))
        if kind < 0.3:  # opcodes of the grammar, in any order
            return bytes(rng.choices(b"N\x88\x89}](usetaQ\x85\x86\x87K\x01\x8c\x00C)", k=rng.randrange(30))) + b"."
        return mutate(rng, rng.choice(self.known), self.known, b"N\x88\x89}](usetaQ\x85\x86\x87KMJG\x8cC\x8aXB)R\x93.")

    def check(self, rng: random.Random, data: bytes) -> str:
        try:
            value = self.serializer.loads(data)
        except UnsealError as error:
            return error.reason
        for member in members(value):
            if type(member) not in PLAIN and type(member) not in self.registry.by_type:
                raise ViolationError(self.name, data, f"a payload made a {type(member)!r}")
        return "loaded"


class OwnTarget(PayloadTarget):
    """`parse_list`: own data that it accepts is written back as it was read."""

    name = "own"

    def __init__(self, rng: random.Random) -> None:
        super().__init__(rng)
        parts = [{name: member} for name, member in OWN.items()]
        self.known = [self.serializer.dumps([None, None, SESSIONS[1], own]) for own in (OWN, *parts)]

    def check(self, rng: random.Random, data: bytes) -> str:
        try:
            value = self.serializer.loads(data)
            content, _, _, own = parse_list(value)
        except UnsealError as error:
            return error.reason
        if own is not None and own.pack(content) != value[3]:
            raise ViolationError(self.name, data, "own data was read as something else")
        return "no own data" if own is None else "parsed"


def members(value: object) -> Iterable[object]:
    """A value and all that it holds."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        yield value
        if isinstance(value, dict):
            waiting += [*value, *value.values()]
        elif isinstance(value, list | tuple | set | frozenset):
            waiting += value


def fuzz(
    seed: int, rounds: Iterable[object], kinds: Iterable[Any] = (TokenTarget, CookieTarget, PayloadTarget, OwnTarget)
) -> Counter[tuple[str, str]]:
    """Try one input on every target each round.

    :param rounds: yields for as long as the fuzzing runs.
    :returns: how often each outcome of each target was seen.
    :raises ViolationError: with the input that broke the invariant.
    """
    rng = random.Random(seed)
    targets = [kind(rng) for kind in kinds]
    outcomes: Counter[tuple[str, str]] = Counter()
    for _ in rounds:
        for target in targets:
            data = target.make(rng)
            try:
                outcome = target.check(rng, data)
            except ViolationError:
                raise
            except (Exception, SystemExit) as error:
                raise ViolationError(target.name, data, f"{type(error).__name__} came out") from error
            outcomes[target.name, outcome] += 1
    return outcomes


def until(end: float) -> Iterable[None]:
    """Rounds until a time of the monotonic clock."""
    while time.monotonic() < end:
        yield


def run_model(seed: int, model: type[RevocationModel], rounds: Iterable[object]) -> Counter[str]:
    """Run a model of revocation, 50 examples each round.

    :returns: how often it saw what.
    :raises revocation_model.ViolationError: with the shortest program that was found as a note.
    """
    rng = random.Random(seed)
    settings = hypothesis.settings(
        max_examples=50,
        stateful_step_count=40,
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    for _ in rounds:
        run_state_machine_as_test(hypothesis.seed(rng.getrandbits(64))(model), settings=settings)
    return model.seen


def fuzz_revocation(seed: int, seconds: float) -> None:
    """Run the model of revocation with each store, and print how often it saw what."""
    if not seconds:
        return
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        backends = {"memory": memory_backend(), "sqlite": sqlite_backend(f"{directory}/revoked.db")}
        try:
            backends["redis"] = redis_backend(stack.enter_context(RedisServer()).url)
        except pytest.skip.Exception as reason:
            print(f"the model does not run with Redis: {reason}")
        for number, (name, backend) in enumerate(backends.items()):
            seen = run_model(seed + number, model_with(backend), until(time.monotonic() + seconds / len(backends)))
            for what, count in sorted(seen.items()):
                print(f"{name:8} {what:26} {count:10,}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Fuzz tokens, Cookie headers and payloads, then revocation.")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    arguments = parser.parse_args()
    logging.getLogger("sealedsession").disabled = True  # every rejected cookie is an event
    print(f"seed {arguments.seed}", flush=True)
    try:
        outcomes = fuzz(arguments.seed, until(time.monotonic() + arguments.seconds))
    except ViolationError as violation:
        traceback.print_exception(violation)
        print(f"violation, seed {arguments.seed}, {violation.target}: {violation.data.hex()}")
        return 1
    for (target, outcome), number in sorted(outcomes.items()):
        print(f"{target:8} {outcome:18} {number:10,}")
    try:
        fuzz_revocation(arguments.seed, arguments.seconds)
    except Exception as error:  # noqa: BLE001  # a violation, with the program that shows it
        traceback.print_exception(error)
        print(f"violation, seed {arguments.seed}, revocation")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
