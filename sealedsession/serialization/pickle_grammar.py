"""The grammar of the allow-list pickle: what a payload may be, decided before any of it is read.

26 opcodes of pickle's 68 (two more, PROTO and FRAME, stand in the head that is never stored). None of them names,
imports, calls or builds anything, and there is no memo: a payload is as large as the value it makes. One regular
expression matches as many opcodes as cannot break a limit, and with most sessions that is all. Behind them, and behind
strings of 256 bytes and more, whose length it cannot count, a loop goes on. Nesting, the numbers of nodes and of typed
values, and the weight of what is hashed are then bounded by the numbers of bytes, and counted exactly only if these say
nothing.
"""

import pickletools
import re
from collections.abc import Callable
from typing import cast

from sealedsession.errors import UnsealError
from sealedsession.serialization.limits import SET_CODES, Limits


def _counted(most: int) -> bytes:
    """A one-byte length of at most `most`, and as many bytes: spelled out, so that a regular expression can count."""
    return b"(?:" + b"|".join(re.escape(bytes((n,))) + b".{%d}+" % n for n in range(most + 1)) + b")"


def _matcher(int_bytes: int, most: bytes = b"") -> Callable[..., re.Match[bytes]]:
    """What matches up to `most` opcodes with their arguments, and as group 1 the end of a payload.

    Possessive: linear, no backtracking. It never returns None, as no opcode at all is a match.
    """
    pattern = (
        rb"(?:\x8c" + _counted(255)  # SHORT_BINUNICODE
        + rb"|[NQ\x88\x89}\](us)eat\x85\x86\x87]"  # NONE BINPERSID NEWTRUE NEWFALSE, and those of containers
        + rb"|K.|M..|J.{4}|G.{8}"  # BININT1 BININT2 BININT BINFLOAT
        + rb"|C" + _counted(255)  # SHORT_BINBYTES
        + rb"|\x8a" + _counted(int_bytes)  # LONG1
        + rb"){0," + most + rb"}+(\.\Z)?+"
    )  # fmt: skip
    return cast("Callable[..., re.Match[bytes]]", re.compile(pattern, re.DOTALL).match)


_LONG_STRINGS = b"XB"  # BINUNICODE and BINBYTES: a four-byte length
_STOP = ord(".")

# Opcodes that open a level of nesting. A payload with few of these bytes, wherever they stand, is not deep.
_OPENERS = b"\x85\x86\x87t]})"
_NOT_OPENERS = bytes(set(range(256)) - set(_OPENERS))
# Opcodes that add to the weight of a value, see `Limits`. MARK stands for TUPLE, which is a frequent letter, and never
# comes without a MARK.
_WEIGHTY = b"NKMJG\x88\x89\x8a)(\x85\x86\x87]}Q"
_NOT_WEIGHTY = bytes(set(range(256)) - set(_WEIGHTY))
_NOT_COUNTED = bytes(set(range(256)) - set(_OPENERS) - set(_WEIGHTY))


class Grammar:
    """The grammar, with the limits of one configuration."""

    __slots__ = ("_depth", "_few", "_hashed", "_limits", "_match", "_nodes", "_size", "_typed", "match_few")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._size, self._depth, self._nodes, self._typed = limits.size, limits.depth, limits.nodes, limits.typed
        self._hashed = limits.hashed
        self._few = min(limits.depth, limits.hashed)
        # A level, a node and a unit of weight take an opcode each at least, and a typed value three besides the data: a
        # payload of so few opcodes is within all four limits.
        few = min(limits.depth, limits.nodes, 3 * limits.typed, limits.hashed)
        self.match_few = _matcher(limits.int_bytes, b"%d" % few)
        self._match = _matcher(limits.int_bytes)

    def check(self, payload: bytes) -> None:
        """Check everything that must hold before a payload is read: size, grammar, nesting, nodes, hashed values.

        :raises UnsealError: naming what does not hold.
        """
        match = self.match_few(payload)
        if not match.lastindex or len(payload) > self._size:
            self.check_on(payload, match)

    def check_on(self, payload: bytes, match: re.Match[bytes]) -> None:
        """Go on where `match_few` stopped, with what its match does not say.

        :raises UnsealError: naming what does not hold.
        """
        if len(payload) > self._size:
            raise UnsealError("forbidden_value", f"a payload of {len(payload)} bytes, and {self._size} is the most")
        # A level and a node take a byte at least, and a typed value four: what long strings hold makes none.
        rest = self._check_by_parts(payload, match.end())
        length = len(rest)
        counted = rest.translate(None, _NOT_COUNTED) if length > self._few else b""
        if (
            length > self._nodes
            or (len(counted) > self._depth and len(counted.translate(None, _NOT_OPENERS)) > self._depth)
            or (length > 4 * self._typed and rest.count(_PERSID) > self._typed)
        ):
            self._limits.check(*_measure(payload))
        if (
            len(counted) > self._hashed
            and len(counted.translate(None, _NOT_WEIGHTY)) > self._hashed
            and _hashed(payload, len) > self._hashed  # in flat lists bytes are counted, which is faster
        ):
            self._limits.check_hashed(_hashed(payload))

    def _check_by_parts(self, payload: bytes, position: int) -> bytes:
        """Go on where `check_on` began: a payload of many opcodes, or with long strings, or one that is not ours.

        :returns: the payload without what its long strings hold: opcode and length of each are in it.
        :raises UnsealError: naming the first opcode that is not in the grammar.
        """
        parts = []
        start = 0
        while not (match := self._match(payload, position)).lastindex:
            position = match.end()
            if position + 5 > len(payload) or payload[position] not in _LONG_STRINGS:
                raise UnsealError("forbidden_value", f"a payload that is not ours: {_describe(payload, position)}")
            parts.append(payload[start : position + 5])
            start = position = position + 5 + int.from_bytes(payload[position + 1 : position + 5], "little")
        parts.append(payload[start:])
        return b"".join(parts)


_NAMES = {ord(opcode.code): opcode.name for opcode in pickletools.opcodes}
# GLOBAL and INST with their two lines, and STACK_GLOBAL behind two strings, perhaps memoized: what stock pickles have.
_NAME = rb"([!-~]{1,80})"
_GLOBAL = re.compile(
    rb"[ci]" + _NAME + rb"\n" + _NAME + rb"\n|\x8c." + _NAME + rb"\x94?\x8c." + _NAME + rb"\x94?\x93", re.DOTALL
)


def _describe(payload: bytes, position: int) -> str:
    """What is wrong at a place, for the log: the opcode's name, and the first global that seems to be named."""
    if position >= len(payload):
        return f"it ends at byte {len(payload)}"
    opcode = _NAMES.get(payload[position], f"byte {payload[position]:02x}")
    names = _GLOBAL.search(payload)
    named = b".".join(filter(None, names.groups())).decode("ascii") if names else ""
    return f"{opcode} at byte {position}" + (f", and it names the global {named}" if named else "")


# How an opcode moves on, and what it takes from the stack.
_ARGUMENT = {ord("K"): 1, ord("M"): 2, ord("J"): 4, ord("G"): 8}
_LENGTH = {0x8C: 1, ord("C"): 1, 0x8A: 1, ord("X"): 4, ord("B"): 4}  # bytes of the length before an argument
_MARK, _PERSID, _LIST = ord("("), ord("Q"), ord("]")
_EMPTY_CONTAINERS = b"]})"
_TAKES = {0x85: 1, 0x86: 2, 0x87: 3, ord("a"): 1, ord("s"): 2}
_TAKES_TO_MARK = b"teu"
_ADDS_TO_CONTAINER = b"aseu"
_SETS_ITEMS = b"su"


def _measure(payload: bytes) -> tuple[int, int, int]:
    """The nesting, the number of nodes and that of typed values, of the value that a payload of the grammar makes.

    It runs the opcodes on depths: what an opcode would push is how deep it would be.
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
            nodes -= 1  # what was (code, data) is the typed value: as deep, and the code is no value
            typed += 1
            continue
        if opcode in _TAKES or opcode in _TAKES_TO_MARK:
            start = marks.pop() if opcode in _TAKES_TO_MARK and marks else len(stack) - _TAKES.get(opcode, 0)
            depth = max(stack[max(start, 0) :], default=0) + 1
            del stack[max(start, 0) :]
            if opcode in _ADDS_TO_CONTAINER and stack:
                depth = max(depth, stack.pop())
        else:
            depth = 1 if opcode in _EMPTY_CONTAINERS else 0
            width = _LENGTH.get(opcode, 0)
            position += width + int.from_bytes(payload[position : position + width], "little")
            position += _ARGUMENT.get(opcode, 0)
        nodes += opcode not in _ADDS_TO_CONTAINER
        stack.append(depth)
        deepest = max(deepest, depth)
    return deepest, nodes, typed


_FLAT = (
    rb"(?:\x8c"
    + _counted(255)
    + rb"|C"
    + _counted(255)
    + rb"|[NQ\x88\x89)\x85-\x87]|K.|M..|J.{4}|G.{8}|\x8a"
    + _counted(32)
    + rb")"
)
# The members of a list, if none of them is a container in which something is hashed.
_FLAT_MEMBERS = re.compile(rb"\(" + _FLAT + rb"*+e", re.DOTALL).match
_flat_opcodes = re.compile(rb"(?=(.))" + _FLAT, re.DOTALL).findall
_TEXT = b"\x8cXCB"
_SET_CODES = tuple(code.encode() for code in SET_CODES)


def _weight_of_flat(members: bytes) -> int:
    return sum(found not in _TEXT for found in _flat_opcodes(members))


def _hashed(payload: bytes, weight_of_flat: Callable[[bytes], int] = _weight_of_flat) -> int:
    """Return the weight of everything that is hashed while a payload of the grammar is read.

    It runs the opcodes on pairs of weights: that of a value, and how much of it has been counted already. What is
    counted once is not counted again where it is in a key of another container.

    :param weight_of_flat: gives the weight of the members of a flat list, or a number above it.
    """
    stack: list[tuple[int, int, bytes]] = []  # the last is the text of a code, or of the first member of a tuple
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
        elif opcode in _TAKES or opcode in _TAKES_TO_MARK:
            start = marks.pop() if opcode in _TAKES_TO_MARK and marks else len(stack) - _TAKES.get(opcode, 0)
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
            width = _LENGTH.get(opcode, 0)
            argument = position + width
            position = argument + int.from_bytes(payload[position:argument], "little") + _ARGUMENT.get(opcode, 0)
            weight = opcode not in _TEXT
            if opcode == _LIST and payload[position] == _MARK and (members := _FLAT_MEMBERS(payload, position)):
                position = members.end()
                weight += weight_of_flat(members[0][1:-1])
            stack.append((weight, 0, b"" if weight else payload[argument:position]))
    return total
