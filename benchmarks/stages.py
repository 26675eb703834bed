"""Measure each step of sealing, unsealing and a WSGI request, as a ratio to the whole of the reference.

"the rest" is the time of the whole minus its steps: the calls between them, the flags, the times, the key ids. The
reference has no grammar; the last row of a codec shows our time without it. The step of the grammar has one call more
than it has in the whole. For a WSGI request, the table also has the steps of the reference.
"""

import os
import statistics
import time
from functools import partial
from pickle import dumps
from typing import Any

import interfaces
import peer_middleware
import peers
from harness import Case, Times, added, measure, ratio
from payloads import PAYLOADS
from peers import OURS, REFERENCE
from reference import PROTOCOL, loads
from tables import Table

from sealedsession.sealing import base64url
from sealedsession.sealing.keys import Keyring
from sealedsession.sealing.sealer import Sealer
from sealedsession.serialization.limits import DEFAULT_LIMITS
from sealedsession.serialization.pickle_grammar import Grammar
from sealedsession.serialization.safe_pickle import PickleSerializer

_TYPED = "typed"  # its steps are those of its types
_GRAMMAR = "grammar"
_UNTOUCHED, _REST, _ALL = "a session that is not touched", "the rest", "all of it"


def run() -> tuple[list[Table], list[str]]:
    """Return a table for each direction, and notes."""
    payloads = {name: value for name, value in PAYLOADS.items() if name != _TYPED}
    tables = []
    for direction, list_cases in (("seal", _sealing), ("unseal", _unsealing)):
        table = Table(f"stages-{direction}", f"{direction.capitalize()}: steps, ratio to the reference", list(payloads))
        for value in payloads.values():
            cases = list_cases(value)
            times = measure(cases)
            steps = [name for name in cases if name not in (OURS, REFERENCE)]
            column = {name: ratio(times, name, REFERENCE) for name in steps}
            column[_REST] = _rest(times, steps)
            column[_ALL] = ratio(times, OURS, REFERENCE)
            column["all without grammar"] = _rest(times, [_GRAMMAR])
            for name, share in column.items():
                table.rows.setdefault(name, []).append(share)
        tables.append(table)
    return [*tables, _requests()], []


def _requests() -> Table:
    columns: dict[str, dict[str, float]] = {}
    for action in (interfaces.read, interfaces.write):
        steps = {OURS: _our_steps(action), REFERENCE: _reference_steps(action)}
        cases: dict[Any, Case] = {"bare": interfaces.wsgi_case(interfaces.wsgi_bare, interfaces.make_environ("a=b"))}
        for whose, list_cases in steps.items():
            cases |= {(whose, step): case for step, case in list_cases.items()}
        times = dict(measure(cases))
        for whose in steps:
            for step in (_UNTOUCHED, _ALL):
                times[whose, step] = added(times, (whose, step), "bare")
        for whose, own in steps.items():
            column = {step: ratio(times, (whose, step), (REFERENCE, _ALL)) for step in own}
            column[_REST] = 2 * column[_ALL] - sum(column.values())
            columns[f"{action.__name__}, {whose}"] = column
    names = [step for step in columns[f"{interfaces.write.__name__}, {OURS}"] if step not in (_REST, _ALL)]
    table = Table("stages-request", "WSGI request with a cookie: steps, ratio to the reference", [*columns])
    for step in (*names, _REST, _ALL):
        table.rows[step] = [column.get(step) for column in columns.values()]
    return table


def _our_steps(action: interfaces.Action) -> dict[str, Case]:
    built = peer_middleware.ours_wsgi()
    environ, session, set_cookies = _request(built, action)
    middleware = built.build(action)
    manager = middleware.manager
    loader, payload, origin = manager._loader, manager._payload, session._loaded.token
    header = environ["HTTP_COOKIE"]
    (token,) = loader._find(header.encode())
    steps = {
        _UNTOUCHED: interfaces.wsgi_case(built.build(None), environ),
        "finding the cookie": lambda: loader._find(loader._cookie_header(header)),
        "unsealing": partial(loader._unseal, token, binding=b""),
        "reading": partial(payload.decoders[origin.serializer], origin.payload),
        "writing and comparing": partial(payload.encode_if_changed, session, origin),
        "headers": lambda: manager._headers.add([("Content-Type", "text/plain")] * 2, "".join(set_cookies) or None),
        _ALL: interfaces.wsgi_case(middleware, environ),
    }
    if set_cookies:
        steps["sealing"] = partial(manager._sealer.seal, payload.encode(session), created=origin.created)
    return steps


def _reference_steps(action: interfaces.Action) -> dict[str, Case]:
    built = peer_middleware.prototype_wsgi()
    environ, session, set_cookies = _request(built, action)
    middleware = built.build(action)
    token, payload = middleware.find(environ), session._payload
    steps = {
        _UNTOUCHED: interfaces.wsgi_case(built.build(None), environ),
        "finding the cookie": partial(middleware.find, environ),
        "unsealing": partial(middleware.unseal, token),
        "reading": partial(loads, payload),
        "writing and comparing": lambda: dumps(session._data, PROTOCOL) == payload,
        _ALL: interfaces.wsgi_case(middleware, environ),
    }
    if set_cookies:
        steps["sealing"] = partial(middleware.seal, payload)
    return steps


def _request(built: peer_middleware.Middleware, action: interfaces.Action) -> tuple[dict[str, Any], Any, list[str]]:
    """Return a signed-in user's request, its session, and the Set-Cookie lines of the response."""
    environ = interfaces.make_environ(peer_middleware.signed_in(peer_middleware.INTERFACES[0], built))
    sessions = []

    def act(session: Any) -> None:
        action(session)
        sessions.append(session)

    set_cookies = interfaces.wsgi_set_cookies(built.build(act), environ)
    return environ, sessions[0], set_cookies


def _rest(times: Times, parts: list[str]) -> float:
    rounds = range(len(times[REFERENCE]))
    return statistics.median(
        (times[OURS][at] - sum(times[name][at] for name in parts)) / times[REFERENCE][at] for at in rounds
    )


def _sealing(value: Any) -> dict[str, Case]:
    ours, reference = peers.PEERS[OURS].make(), peers.PEERS[REFERENCE].make()
    serializer, key = _serializer(), _key()
    payload = serializer.dumps(value)
    writer = serializer._plain_writers[0]
    nonce, body = bytes(16), bytes(28) + payload

    def pickle() -> None:
        writer.dump(value)
        writer.take_payload()

    return {
        OURS: partial(ours[0], value),
        REFERENCE: partial(reference[0], value),
        "pickle": pickle,
        _GRAMMAR: partial(Grammar(DEFAULT_LIMITS).check, payload),
        "nonce": partial(os.urandom, 16),
        "AES-256-CTR": partial(key.crypt, nonce, payload),
        "HMAC-SHA256": partial(_mac, key, body),
        "base64url": partial(base64url.encode, body + bytes(32)),
        "clock": time.time,
    }


def _unsealing(value: Any) -> dict[str, Case]:
    ours, reference = peers.PEERS[OURS].make(), peers.PEERS[REFERENCE].make()
    serializer, key = _serializer(), _key()
    payload = serializer.dumps(value)
    serializer.loads(payload)
    reader = serializer._readers[0]
    nonce, body = bytes(16), bytes(28) + payload
    text = base64url.encode(body + bytes(32)).encode()
    framed = b"\x95" + len(payload).to_bytes(8, "little") + payload

    def unpickle() -> None:
        reader.fill(framed)
        reader.load()

    return {
        OURS: partial(ours[1], ours[0](value)),
        REFERENCE: partial(reference[1], reference[0](value)),
        "base64url": partial(base64url.decode, text),
        "HMAC-SHA256": partial(_mac, key, body),
        "AES-256-CTR": partial(key.crypt, nonce, payload),
        _GRAMMAR: partial(Grammar(DEFAULT_LIMITS).check, payload),
        "unpickle": unpickle,
        "clock": time.time,
    }


def _mac(key: Any, data: bytes) -> None:
    mac = key.mac_copy()
    mac.update(data)
    mac.finalize()


def _serializer() -> Any:
    return PickleSerializer()


def _key() -> Any:
    return Sealer(Keyring(**peers.OUR_KEYS), "cookie:session")._keys.primary
