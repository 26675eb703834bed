"""The calls of the browser module, and the answers to them, as JSON: docs/state.rst.

A call is hostile. It has to be UTF-8, of bounded length, without a name that is given twice, a number that is not
finite or half a character, and of exactly the members that a call has. What the arguments mean is the called method's
to check.
"""

import json
import math
from typing import Any, NamedTuple

from sealedsession.errors import StateError, given

_MEMBERS = {"token": str, "method": str, "args": list}
_SHAPE = 'a call has to be JSON such as {"token": "...", "method": "...", "args": []}'


class Call(NamedTuple):
    """What a browser asks for."""

    token: str
    method: str
    args: list[Any]


def read_call(body: bytes, longest: int) -> Call:
    """Read a call.

    :param longest: bytes that it may have.
    :raises StateError: for what is none.
    """
    if not isinstance(body, bytes | bytearray | memoryview):
        raise TypeError(f"the body of a call has to be bytes{given(body)}")
    if len(body) > longest:
        raise StateError(f"a call of {len(body)} bytes, and {longest} is the most")
    try:
        text = str(body, "utf-8")
        call = json.loads(text, object_pairs_hook=_once, parse_float=_finite, parse_constant=_finite)
        if "\\u" in text:
            json.dumps(call, ensure_ascii=False).encode()  # no half of a surrogate pair, which nothing can store
    except (ValueError, RecursionError) as error:
        raise StateError(f"{_SHAPE}, and this is none: {type(error).__name__}") from None
    if type(call) is dict:
        call.setdefault("args", [])
        if {name: type(member) for name, member in call.items()} == _MEMBERS:
            return Call(**call)
    raise StateError(f"{_SHAPE}, and this has another shape")


def write_answer(token: str, method: str, result: object) -> bytes:
    """Answer a call.

    :param result: what the method gave.
    :raises TypeError: when JSON has no form for that.
    """
    try:
        return json.dumps({"token": token, "result": result}, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"{method} returned what JSON cannot say, and a page takes nothing else: {error}") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name that is given twice")
    return members


def _finite(number: str) -> float:
    if not math.isfinite(value := float(number)):
        raise ValueError("a number that is not finite")
    return value
