"""The JSON protocol of the browser module: calls and answers, as documented in docs/howto/state.rst.

1. A call can come from anyone. It must be UTF-8 of limited length, and have exactly the members of a call. Repeated
   names, numbers that are not finite, and halves of surrogate pairs are refused. The method checks its arguments.
2. The token is the first member, so that `read_token` finds it without parsing. The caller opens the token before
   `read_call`: the server parses a call only for a client with a token for its own session.
"""

import json
import math
import re
from typing import Any, NamedTuple

from sealedsession.errors import StateError, got

_MEMBERS = {"token": str, "method": str, "args": list}
_FORMAT = 'a call must be JSON such as {"token": "...", "method": "...", "args": []}'
# Escapes are not decoded, and an escaped quote ends the match. A token with a backslash is refused later.
_TOKEN = re.compile(rb'[ \t\n\r]*\{[ \t\n\r]*"token"[ \t\n\r]*:[ \t\n\r]*"([^"]*)"')


class Call(NamedTuple):
    """A call of the browser module."""

    token: str
    method: str
    args: list[Any]


def read_token(body: bytes, max_length: int) -> str:
    """Return the token of a call without parsing the call. The token is unverified, and escapes are not decoded.

    :param max_length: maximum length of the body in bytes.
    :raises StateError: if the body is longer, or does not begin with a token.
    """
    if not isinstance(body, bytes | bytearray | memoryview):
        raise TypeError(f"body: must be bytes{got(body)}")
    if len(body) > max_length:
        raise StateError(f"a call of {len(body)} bytes is longer than the limit of {max_length}")
    match = _TOKEN.match(body)
    if match is None:
        raise StateError(f"{_FORMAT}. This call does not begin with a token")
    return str(match[1], "latin-1")


def read_call(body: bytes) -> Call:
    """Parse a call.

    :param body: a body that `read_token` has accepted.
    :raises StateError: if the body is not a valid call.
    """
    try:
        text = str(body, "utf-8")
        call = json.loads(text, object_pairs_hook=_parse_object, parse_float=_parse_float, parse_constant=_parse_float)
        if "\\u" in text:
            json.dumps(
                call, ensure_ascii=False
            ).encode()  # halves of surrogate pairs cannot be encoded, sealed or stored
    except (ValueError, RecursionError) as error:
        raise StateError(f"{_FORMAT}. Parsing failed: {type(error).__name__}") from None
    if type(call) is dict:
        call.setdefault("args", [])
        if {name: type(member) for name, member in call.items()} == _MEMBERS:
            return Call(**call)
    raise StateError(f"{_FORMAT}. This call has other members")


def write_answer(token: str, method: str, result: object) -> bytes:
    """Return the answer to a call.

    :param token: the new token.
    :param method: name of the method, for errors.
    :param result: result of the method.
    :raises TypeError: if the result cannot be written as JSON.
    """
    try:
        return json.dumps({"token": token, "result": result}, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"{method}: the result must be JSON{got(result)}. Return JSON values only: {error}") from error


def _parse_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a repeated name")
    return members


def _parse_float(number: str) -> float:
    if not math.isfinite(value := float(number)):
        raise ValueError("a number that is not finite")
    return value
