"""Our reader as a target for a corpus of stock pickles, and the words for what cannot be said in our form.

Stock pickles begin with PROTO and, from protocol 4 on, FRAME. Our form stores neither: the reader puts `80 04 95` and
the exact length in front. Given such a pickle as it is, our reader refuses its first byte, which tests nothing. So:

1. PROTO 2 to 5, and one FRAME behind it, are taken off, and the rest goes to the reader.
2. Where this head was not the one that our reader would have put there (another frame length, no PROTO at all), the
   rest still goes to the reader, and then the case is refused *here*, whatever the reader made of it. A case that
   only this rule refuses has lost its meaning: it is about the head. `setup` counts these and names them.
3. One case that must be accepted has a native set, which is a typed value in our form. `_translated` rewrites exactly
   that shape, a set of one-byte ints, and `setup` names it.

Options of the corpus runner for it::

    --target tests.security.corpus_target:loads --dumps tests.security.corpus_target:dumps
    --setup tests.security.corpus_target:setup --protocols 4 --lax-identity

With ``--target tests.security.corpus_target:state_loads`` each case is the value of a sealed state, in a token of the
real keys.
"""

import re
import sys
import time
from importlib import import_module
from typing import Any

from sealedsession.errors import UnsealError
from sealedsession.sealing.keys import Keyring
from sealedsession.sealing.sealer import Sealer
from sealedsession.serialization.registry import Registry
from sealedsession.serialization.safe_pickle import PickleSerializer
from sealedsession.state.sealer import StateSealer

_FRAMED_HEAD = re.compile(rb"\x80[\x02-\x05]\x95(.{8})", re.DOTALL)
_BARE_HEAD = re.compile(rb"\x80[\x02-\x05]")
_NATIVE_SET = re.compile(rb"\x8f\(((?:K.)+)\x90\.", re.DOTALL)  # EMPTY_SET MARK BININT1... ADDITEMS STOP

registry = Registry()
serializer = PickleSerializer(registry)

_KEYS = {
    "validate_key": "L2Y0Z3fREApcKqjQ1-5im1yDuPovUzVKx5plVATACO4",
    "encrypt_key": "nVrAjanE_Tr7gxWPUw3qHDpsRwra9JzaiZWEOZ_G9bw",
}
_states = StateSealer(**_KEYS, registry=registry)
_forger = Sealer(Keyring(**_KEYS), "state:state:4:4f1c", compress=True)


class HeadRefusedError(ValueError):
    """The reader took the payload, and the head it came with is not the one of our form."""


def loads(case: bytes) -> object:
    """Read a stock pickle as rules 1 to 3 say."""
    payload, fault = _split(case)
    value = serializer.loads(_translated(payload))
    if fault:
        raise HeadRefusedError(fault)
    return value


def state_loads(case: bytes) -> object:
    """Read a stock pickle as the value of a state, sealed by an attacker with the keys."""
    payload, fault = _split(case)
    state = b"](N" + _translated(payload).removesuffix(b".") + b"e."  # [None, value]
    value = _states.unseal(_forger.seal(state, created=int(time.time())), session_id="4f1c")
    if fault:
        raise HeadRefusedError(fault)
    return value


def dumps(value: object, protocol: int = 4) -> bytes:
    """Write a value with the head that the reader would put in front."""
    payload = serializer.dumps(value)
    return b"\x80\x04\x95" + len(payload).to_bytes(8, "little") + payload


def _split(case: bytes) -> tuple[bytes, str]:
    """The payload without its head, and what is wrong with the head."""
    if framed := _FRAMED_HEAD.match(case):
        payload = case[framed.end() :]
        exact = int.from_bytes(framed[1], "little") == len(payload)
        return payload, "" if exact else "a frame that is not the payload"
    if bare := _BARE_HEAD.match(case):
        # The pickler itself frames nothing under four bytes, and nothing below protocol 4.
        return case[bare.end() :], ""
    return case, "no PROTO"


def _translated(payload: bytes) -> bytes:
    found = _NATIVE_SET.fullmatch(payload)
    return payload if found is None else b"\x8c\x01s](" + found[1] + b"e\x86Q."


def setup() -> None:
    """Register the types of the corpus, and say on standard error what the target does to which cases."""
    _register(import_module("sealed_types"))
    corpus = import_module("corpus")
    heads, lost, translated, count = 0, [], [], 0
    for case in corpus.cases(dumps, protocols=[4]):
        if case.data is None:
            continue
        count += 1
        payload, fault = _split(case.data)
        heads += payload is not case.data
        if _translated(payload) != payload:
            translated.append(case.id)
        if fault and _reads(payload):
            lost.append(f"{case.id} ({fault}, {len(case.data)} bytes, {case.data[:12].hex()}...)")
    say = sys.stderr.write
    say(f"{count} cases: a head taken off {heads}, the other {count - heads} given as they are\n")
    say(f"{len(lost)} cases mean their head, and the target refuses them, not the reader:\n")
    say("".join(f"  {line}\n" for line in lost))
    say(f"{len(translated)} case translated into the stored form: {', '.join(translated)}\n")


def _reads(payload: bytes) -> bool:
    try:
        serializer.loads(payload)
    except UnsealError:
        return False
    return True


def _register(types: Any) -> None:
    """Register the application types that the corpus brings, with decoders that check."""
    for cls, code in ((types.Color, "x:color"), (types.Level, "x:level")):
        members = {(type(member.value), member.value): member for member in cls}
        registry.register(
            cls,
            code,
            encode=lambda member: member.value,
            decode=lambda data, members=members: members[type(data), data],
        )
    for cls, code, kinds in (
        (types.Point, "x:point", (int, int)),
        (types.Money, "x:money", (int, str)),
        (types.Pair, "x:pair", (object, object)),
    ):
        fields = getattr(cls, "_fields", None) or tuple(cls.__dataclass_fields__)
        registry.register(
            cls,
            code,
            encode=lambda value, fields=fields: tuple(getattr(value, field) for field in fields),
            decode=lambda data, cls=cls, kinds=kinds: cls(*_checked(data, kinds)),
        )
    registry.register(
        types.Bag, "x:bag", encode=lambda bag: (bag.items,), decode=lambda data: types.Bag(*_checked(data, (list,)))
    )


def _checked(data: object, kinds: tuple[type, ...]) -> tuple[object, ...]:
    if type(data) is not tuple or len(data) != len(kinds):
        raise TypeError("not the tuple that was written")
    if any(kind is not object and type(member) is not kind for member, kind in zip(data, kinds, strict=True)):
        raise TypeError("a member of another type")
    return data
