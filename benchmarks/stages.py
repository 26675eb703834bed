"""Where the time of sealing and unsealing goes: every step alone, as a ratio to the whole of the reference.

"the rest" is what the whole takes more than its steps: the calls between them, the flags, the times, the key ids. What
the reference does not have is the grammar: with it left out, as the last row shows, not much is left to gain. Its step
has one call more than it has in the whole.
"""

import os
import statistics
import time
from functools import partial
from typing import Any

import peers
from harness import Case, Times, measure, ratio
from payloads import PAYLOADS
from peers import OURS, REFERENCE
from tables import Table

from sealedsession import base64url
from sealedsession.grammar import Grammar
from sealedsession.keys import Keyring
from sealedsession.limits import DEFAULT_LIMITS
from sealedsession.pickling import PickleSerializer
from sealedsession.seal import Sealer

_TYPED = "typed"  # its steps are those of its types
_GRAMMAR = "grammar"


def run() -> tuple[list[Table], list[str]]:
    """A table for each direction."""
    payloads = {name: value for name, value in PAYLOADS.items() if name != _TYPED}
    tables = []
    for direction, cases_of in (("seal", _sealing), ("unseal", _unsealing)):
        table = Table(f"stages-{direction}", f"{direction.capitalize()}: steps, ratio to the reference", list(payloads))
        for value in payloads.values():
            cases = cases_of(value)
            times = measure(cases)
            steps = [name for name in cases if name not in (OURS, REFERENCE)]
            column = {name: ratio(times, name, REFERENCE) for name in steps}
            column["the rest"] = _rest(times, steps)
            column["all of it"] = ratio(times, OURS, REFERENCE)
            column["all without grammar"] = _rest(times, [_GRAMMAR])
            for name, share in column.items():
                table.rows.setdefault(name, []).append(share)
        tables.append(table)
    return tables, []


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
        writer.written = b""

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
    source = serializer._sources[0]
    nonce, body = bytes(16), bytes(28) + payload
    text = base64url.encode(body + bytes(32)).encode()
    framed = b"\x95" + len(payload).to_bytes(8, "little") + payload

    def unpickle() -> None:
        source.fill(framed)
        source.load()

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
