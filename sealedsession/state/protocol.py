"""The calls of the browser module, and the answers to them, as JSON: docs/state.rst.

1. A call can come from anyone. It must be UTF-8 of bounded length and have exactly the members of a call. It must not
   have a name twice, a number that is not finite or half of a surrogate pair. The called method checks its arguments.
2. The token is the first member, so that `read_token` finds it without parsing. The caller opens it before `read_call`:
   only a client with a token for its own session makes the server parse a call.
"""

import json
import math
import re
from typing import Any, NamedTuple

from sealedsession.errors import StateError, got

_MEMBERS = {"token": str, "method": str, "args": list}
_SHAPE = 'a call has to be JSON such as {"token": "...", "method": "...", "args": []}'
# Escapes are not decoded, and an escaped quote ends the text. A token has no backslash, so such a text does not open.
_TOKEN = re.compile(rb'[ \t\n\r]*\{[ \t\n\r]*"token"[ \t\n\r]*:[ \t\n\r]*"([^"]*)"')


class Call(NamedTuple):
    """What a browser asks for."""

    token: str
    method: str
    args: list[Any]


def read_token(body: bytes, longest: int) -> str:
    """Find the token of a call without parsing the call. The result is unverified, and its escapes are not decoded.

    :param longest: the limit of the body in bytes.
    :raises StateError: if the body is longer, or does not begin with a token.
    """
    if not isinstance(body, bytes | bytearray | memoryview):
        raise TypeError(f"the body of a call has to be bytes{got(body)}")
    if len(body) > longest:
        raise StateError(f"a call of {len(body)} bytes, and {longest} is the most")
    match = _TOKEN.match(body)
    if match is None:
        raise StateError(f"{_SHAPE}, and this does not begin with a token")
    return str(match[1], "latin-1")


def read_call(body: bytes) -> Call:
    """Parse a call.

    :param body: of the length that `read_token` has accepted.
    :raises StateError: if it is not a call.
    """
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
