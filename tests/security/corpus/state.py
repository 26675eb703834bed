"""Run the corpus through sealed state, and print the result of each case as JSON.

Every payload is sealed with the real keys, as a thief of the keys would do it: inside a state, as an argument and an
attribute of an object that is resumed; a stock pickle also as the whole of one, with its head and without. Each token
is opened in a process of its own, in which anything but a value or a refusal is seen.
"""

import gc
import json
import logging
import sys
from collections.abc import Iterator

from sealedsession.errors import UnsealError
from sealedsession.sealing.keys import Keyring
from sealedsession.sealing.sealer import Sealer
from sealedsession.state.resumable import Resumable
from sealedsession.state.sealer import StateSealer
from tests.security.corpus import readers, registered
from tests.security.corpus.assembler import dic, lst, ours, text, tup, without_head
from tests.security.corpus.case import Case
from tests.security.corpus.cases import all_cases
from tests.security.corpus.child import Record, observe

KEYS = {
    "validate_key": "L2Y0Z3fREApcKqjQ1-5im1yDuPovUzVKx5plVATACO4",
    "encrypt_key": "nVrAjanE_Tr7gxWPUw3qHDpsRwra9JzaiZWEOZ_G9bw",
}
OWNER = {"session_id": "4f1c", "user": "ann"}

NOW = 1_800_000_000

states = StateSealer(**KEYS, registry=registered.registry(), clock=lambda: NOW)
_forger = Sealer(Keyring(**KEYS), "state:state:4:4f1cann", compress=True, clock=lambda: NOW)


@states.register
class Thing(Resumable):
    """What is resumed with whatever the payload makes."""

    def load(self, argument: object = None) -> None:
        self.argument = argument


def open_token(token: bytes) -> object:
    """What the application gets: the object's argument and attribute, or a plain value."""
    try:
        thing = states.resume(token.decode(), **OWNER, cls=Thing)
    except UnsealError as error:
        if error.reason != "bad_signature":
            raise
        return states.unseal(token.decode(), **OWNER)
    return [thing.argument, thing.state]


def forge(payload: bytes) -> bytes:
    """A token of any payload. It is as long as it comes: an application's limit would hide what is behind it."""
    return _forger.seal(payload, created=NOW).encode()


def inside(payload: bytes) -> bytes:
    """An object in a state, with what a payload makes as an argument and as an attribute."""
    value = payload.removesuffix(b".")
    return ours(lst(text("Thing"), tup(value), dic(), dic(text("attribute"), value)))


def tries(case: Case) -> dict[str, bytes]:
    """The payloads that are made of a case."""
    if case.layout == "ours":
        return {"inside": inside(case.payload)}
    bare = without_head(case.payload)
    return {"whole": case.payload, "whole, without its head": bare, "inside": inside(bare)}


def run(cases: tuple[Case, ...]) -> Iterator[Record]:
    """Open the tokens of all cases: the record of each, with the case's id and its place."""
    canary = forge(readers.serializer.dumps([None, readers.CANARY])), readers.CANARY
    open_token(canary[0])
    gc.collect()
    gc.freeze()  # the children share the memory, and need not look through it
    for case in cases:
        for place, payload in tries(case).items():
            record = observe(forge(payload), open_token, canary, lambda value: states.seal(value, **OWNER))
            yield {**record, "id": case.id, "group": case.group, "hostile": case.hostile, "place": place}


if __name__ == "__main__":
    readers.prepare()
    logging.disable()  # it has events of its own
    chosen = tuple(case for case in all_cases() if not sys.argv[1:] or case.group in sys.argv[1:])
    json.dump(list(run(chosen)), sys.stdout)
