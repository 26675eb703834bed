"""The grammar of the allow-list pickle. It decides whether a payload may be unpickled.

The grammar has 26 of pickle's 68 opcodes. None of them names, imports, calls or builds anything, and there is no memo,
so the size of a payload bounds the size of its value.

Checking has three stages; most payloads need only the first:

1. One regular expression matches as many opcodes as cannot exceed a limit.
2. A loop matches the rest, and strings of 256 bytes or more, whose length a regular expression cannot count.
3. The number of bytes is an upper bound for nesting, values, typed values and hashed weight. Only if a bound exceeds
   its limit, `_measure` or `_measure_hashed` counts exactly.
"""

import pickletools
import re
from collections.abc import Callable
from typing import cast

from sealedsession.errors import UnsealError
from sealedsession.serialization.limits import SET_CODES, Limits


def _length_prefixed_pattern(max_length: int) -> bytes:
    """Return a regular expression for a one-byte length, up to `max_length`, followed by that many bytes.

    A regular expression cannot count, so there is one alternative for each length.
    """
    return b"(?:" + b"|".join(re.escape(bytes((n,))) + b".{%d}+" % n for n in range(max_length + 1)) + b")"


def _compile_matcher(int_bytes: int, max_count: bytes = b"") -> Callable[..., re.Match[bytes]]:
    """Return a function that matches up to `max_count` opcodes with their arguments, from a position on.

    Group 1 of the match is STOP at the end of the payload, if the match reaches it. The function never returns None,
    because zero opcodes match too. All quantifiers are possessive, so matching takes linear time.

    :param int_bytes: the maximum length of the argument of LONG1.
    :param max_count: a decimal number, or empty for any number of opcodes.
    """
    pattern = (
        rb"(?:\x8c" + _length_prefixed_pattern(255)  # SHORT_BINUNICODE
        + rb"|[NQ\x88\x89}\](us)eat\x85\x86\x87]"  # NONE BINPERSID NEWTRUE NEWFALSE, and the opcodes of containers
        + rb"|K.|M..|J.{4}|G.{8}"  # BININT1 BININT2 BININT BINFLOAT
        + rb"|C" + _length_prefixed_pattern(255)  # SHORT_BINBYTES
        + rb"|\x8a" + _length_prefixed_pattern(int_bytes)  # LONG1
        + rb"){0," + max_count + rb"}+(\.\Z)?+"
    )  # fmt: skip
    return cast("Callable[..., re.Match[bytes]]", re.compile(pattern, re.DOTALL).match)


_LONG_STRINGS = b"XB"  # BINUNICODE and BINBYTES, which have a four-byte length
_STOP = ord(".")

# The opcodes that open a level of nesting. The number of these bytes, including those in
# arguments, is an upper bound for the nesting.
_OPENERS = b"\x85\x86\x87t]})"
_NOT_OPENERS = bytes(set(range(256)) - set(_OPENERS))
# The opcodes that add to the weight of a value (see `Limits`). MARK is counted in place of TUPLE: each TUPLE has its
# MARK, and the byte of TUPLE is a frequent letter.
_WEIGHTY = b"NKMJG\x88\x89\x8a)(\x85\x86\x87]}Q"
_NOT_WEIGHTY = bytes(set(range(256)) - set(_WEIGHTY))
_NOT_COUNTED = bytes(set(range(256)) - set(_OPENERS) - set(_WEIGHTY))


class Grammar:
    """The grammar with the limits of one configuration."""

    __slots__ = ("_limits", "_match_all", "_match_within_limits", "_size")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._size = limits.size
        # Each level, value and unit of weight takes at least one opcode. A typed value takes at least three opcodes in
        # addition to its data. Therefore, this number of opcodes cannot exceed any of the four limits.
        count = min(limits.depth, limits.nodes, 3 * limits.typed, limits.hashed)
        self._match_within_limits = _compile_matcher(limits.int_bytes, b"%d" % count)
        self._match_all = _compile_matcher(limits.int_bytes)

    def check(self, payload: bytes) -> None:
        """Check everything that must hold before a payload is read: size, opcodes and limits.

        :raises UnsealError: ``forbidden_value``, with the first violation.
        """
        match = self._match_within_limits(payload)
        if not match.lastindex or len(payload) > self._size:
            self._check_rest(payload, match.end())

    def _check_rest(self, payload: bytes, position: int) -> None:
        """Check the size, the opcodes from a position on, and the limits.

        :raises UnsealError: ``forbidden_value``, with the first violation.
        """
        limits = self._limits
        if len(payload) > self._size:
            raise UnsealError("forbidden_value", f"a payload of {len(payload)} bytes; the limit is {self._size}")
        # A level and a value take at least one byte, a typed value at least four. The content of long strings has none.
        rest = self._remove_long_strings(payload, position)
        length = len(rest)
        counted = rest.translate(None, _NOT_COUNTED) if length > min(limits.depth, limits.hashed) else b""
        if (
            length > limits.nodes
            or (len(counted) > limits.depth and len(counted.translate(None, _NOT_OPENERS)) > limits.depth)
            or (length > 4 * limits.typed and rest.count(_PERSID) > limits.typed)
        ):
            limits.check(*_measure(payload))
        if (
            len(counted) > limits.hashed
            and len(counted.translate(None, _NOT_WEIGHTY)) > limits.hashed
            and _measure_hashed(payload, len) > limits.hashed  # counts bytes in flat lists: faster, and never too low
        ):
            limits.check_hashed(_measure_hashed(payload))

    def _remove_long_strings(self, payload: bytes, position: int) -> bytes:
        """Check the opcodes from a position on.

        :returns: the payload without the content of its long strings. Their opcodes and lengths remain.
        :raises UnsealError: ``forbidden_value``, with the first opcode that is not in the grammar.
        """
        parts = []
        start = 0
        while not (match := self._match_all(payload, position)).lastindex:
            position = match.end()
            if position + 5 > len(payload) or payload[position] not in _LONG_STRINGS:
                raise UnsealError(
                    "forbidden_value", f"a payload that this library does not write: {_describe(payload, position)}"
                )
            parts.append(payload[start : position + 5])
            start = position = position + 5 + int.from_bytes(payload[position + 1 : position + 5], "little")
        parts.append(payload[start:])
        return b"".join(parts)


_OPCODE_NAMES = {ord(opcode.code): opcode.name for opcode in pickletools.opcodes}
# The ways in which stock pickles name a global: GLOBAL or INST with two lines, and STACK_GLOBAL after two strings, each
# of which may be memoized.
_NAME = rb"([!-~]{1,80})"
_GLOBAL = re.compile(
    rb"[ci]" + _NAME + rb"\n" + _NAME + rb"\n|\x8c." + _NAME + rb"\x94?\x8c." + _NAME + rb"\x94?\x93", re.DOTALL
)


def _describe(payload: bytes, position: int) -> str:
    """Describe a violation for the log: the opcode at a position, and the first global that the payload may name."""
    if position >= len(payload):
        return f"it ends at byte {len(payload)}"
    opcode = _OPCODE_NAMES.get(payload[position], f"byte {payload[position]:02x}")
    match = _GLOBAL.search(payload)
    name = b".".join(filter(None, match.groups())).decode("ascii") if match else ""
    return f"{opcode} at byte {position}" + (f", and it names the global {name}" if name else "")


_ARGUMENT_BYTES = {ord("K"): 1, ord("M"): 2, ord("J"): 4, ord("G"): 8}
_LENGTH_BYTES = {0x8C: 1, ord("C"): 1, 0x8A: 1, ord("X"): 4, ord("B"): 4}  # of the length before an argument
_MARK, _PERSID, _LIST = ord("("), ord("Q"), ord("]")
_EMPTY_CONTAINERS = b"]})"
_POPS = {0x85: 1, 0x86: 2, 0x87: 3, ord("a"): 1, ord("s"): 2}  # values from the stack
_POPS_TO_MARK = b"teu"
_ADDS_TO_CONTAINER = b"aseu"
_SETS_ITEMS = b"su"


def _measure(payload: bytes) -> tuple[int, int, int]:
    """Return the levels of nesting, the number of values and the number of typed values of a payload's value.

    The function runs the opcodes on a stack of depths: in place of each value, the stack has its depth.

    :param payload: must match the grammar.
    """
    stack: list[int] = []
    marks: list[int] = []
    deepest = nodes = typed = position = 0
    while (opcode := payload[position]) != _STOP:
        position += 1
        if opcode == _MARK:
            marks.append(len(stack))
            continue
        if opcode == _PERSID:
            nodes -= 1  # (code, data) becomes a typed value of the same depth; the code does not count as a value
            typed += 1
            continue
        if opcode in _POPS or opcode in _POPS_TO_MARK:
            start = marks.pop() if opcode in _POPS_TO_MARK and marks else len(stack) - _POPS.get(opcode, 0)
            depth = max(stack[max(start, 0) :], default=0) + 1
            del stack[max(start, 0) :]
            if opcode in _ADDS_TO_CONTAINER and stack:
                depth = max(depth, stack.pop())
        else:
            depth = 1 if opcode in _EMPTY_CONTAINERS else 0
            width = _LENGTH_BYTES.get(opcode, 0)
            position += width + int.from_bytes(payload[position : position + width], "little")
            position += _ARGUMENT_BYTES.get(opcode, 0)
        nodes += opcode not in _ADDS_TO_CONTAINER
        stack.append(depth)
        deepest = max(deepest, depth)
    return deepest, nodes, typed


_FLAT = (
    rb"(?:\x8c"
    + _length_prefixed_pattern(255)
    + rb"|C"
    + _length_prefixed_pattern(255)
    + rb"|[NQ\x88\x89)\x85-\x87]|K.|M..|J.{4}|G.{8}|\x8a"
    + _length_prefixed_pattern(32)
    + rb")"
)
# The members of a list, if no member is a container whose content is hashed.
_match_flat_members = re.compile(rb"\(" + _FLAT + rb"*+e", re.DOTALL).match
_find_flat_opcodes = re.compile(rb"(?=(.))" + _FLAT, re.DOTALL).findall
_TEXT = b"\x8cXCB"
_SET_CODES = tuple(code.encode() for code in SET_CODES)


def _weigh_flat(members: bytes) -> int:
    return sum(opcode not in _TEXT for opcode in _find_flat_opcodes(members))


def _measure_hashed(payload: bytes, weigh_flat: Callable[[bytes], int] = _weigh_flat) -> int:
    """Return the total weight of the keys and elements that are hashed while a payload is read (see `Limits`).

    The function runs the opcodes on a stack of weights: in place of each value, the stack has its weight, and the part
    of the weight that was counted already. A part is counted once, even if it is in a key of another container.

    :param payload: must match the grammar.
    :param weigh_flat: returns the weight of the members of a flat list, or a larger number.
    """
    # Weight, counted weight, and the text of a value; of a tuple, the text of its first member, which may be a code.
    stack: list[tuple[int, int, bytes]] = []
    marks: list[int] = []
    total = position = 0
    while (opcode := payload[position]) != _STOP:
        position += 1
        if opcode == _MARK:
            marks.append(len(stack))
        elif opcode == _PERSID:
            weight, counted, code = stack.pop() if stack else (0, 0, b"")
            if code in _SET_CODES:
                total += weight - 2 - counted  # the pair and the list are not hashed
                counted = weight - 2
            stack.append((weight + 1, counted, b""))
        elif opcode in _POPS or opcode in _POPS_TO_MARK:
            start = marks.pop() if opcode in _POPS_TO_MARK and marks else len(stack) - _POPS.get(opcode, 0)
            taken = stack[max(start, 0) :]
            del stack[max(start, 0) :]
            weight, counted, code = sum(each[0] for each in taken), sum(each[1] for each in taken), b""
            if opcode in _SETS_ITEMS:
                keys = sum(each[0] - each[1] for each in taken[::2])
                total += keys
                counted += keys
            if opcode not in _ADDS_TO_CONTAINER:
                weight += 1
                code = taken[0][2] if taken else b""
            elif stack:
                container = stack.pop()
                weight, counted = weight + container[0], counted + container[1]
            stack.append((weight, counted, code))
        else:
            width = _LENGTH_BYTES.get(opcode, 0)
            argument = position + width
            position = argument + int.from_bytes(payload[position:argument], "little") + _ARGUMENT_BYTES.get(opcode, 0)
            weight = opcode not in _TEXT
            if opcode == _LIST and payload[position] == _MARK and (members := _match_flat_members(payload, position)):
                position = members.end()
                weight += weigh_flat(members[0][1:-1])
            stack.append((weight, 0, b"" if weight else payload[argument:position]))
    return total
