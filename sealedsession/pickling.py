"""The allow-list pickle: the one module that imports pickle.

The form is protocol 4, cut down to 26 of pickle's 68 opcodes, without its constant head. None, bool, int, float, str,
bytes, list, tuple and dict are written natively. Every other value is a BINPERSID of (code, data), see values.py.

What holds for every payload, a forged one too:

1. One compiled grammar matches the whole payload before any of it is read: no opcode in it names, imports, calls
   or builds anything, and there is no memo, so a payload is as large as the value it makes.
2. The reader is a C unpickler whose `find_class` always refuses. Running code would take both to fail.
3. Size, nesting and integer length are bounded before the reading starts.
4. Instances that opcodes could call into are made after the reading is over.
5. Every failure is one error, `UnsealError("forbidden_value")`.
"""

import pickle
import pickletools
import re
import struct
from collections.abc import Callable
from io import BytesIO
from typing import Any, cast

from sealedsession.errors import NotSerializable, UnsealError
from sealedsession.values import MAX_DEPTH, MAX_INT_BYTES, Registry, find_fault

# A cookie holds 3 KB. Colliding keys, the costliest payloads left, take about 5 ms at this size.
MAX_BYTES = 16 * 1024

# Protocol 4 and one frame around the whole payload. It is put in front here and never stored: 15 characters less
# in a cookie, and nobody else chooses the frame (a frame that ends inside an argument makes some versions of the
# unpickler run other opcodes than a scan saw: CPython gh-154848).
_PROTOCOL_AND_FRAME = b"\x80\x04\x95"
_FRAME = struct.Struct("<Q")  # the frame's length
_HEAD_LENGTH = len(_PROTOCOL_AND_FRAME) + _FRAME.size


def _counted(most: int) -> bytes:
    """A one-byte length of at most `most`, and as many bytes: spelled out, so that a regular expression can count."""
    return b"(?:" + b"|".join(re.escape(bytes((n,))) + b".{%d}+" % n for n in range(most + 1)) + b")"


_TOKEN = (
    rb"\x8c" + _counted(255)  # SHORT_BINUNICODE
    + rb"|[N\x88\x89}\](us)eat\x85\x86\x87]"  # NONE NEWTRUE NEWFALSE, containers, MARK, SETITEM(S), APPEND(S), TUPLE*
    + rb"|K.|M..|J.{4}|G.{8}"  # BININT1 BININT2 BININT BINFLOAT
    + rb"|C" + _counted(255)  # SHORT_BINBYTES
    + rb"|\x8a" + _counted(MAX_INT_BYTES)  # LONG1
    + rb"|(Q)"  # BINPERSID: group 1 tells that there is a typed value
)  # fmt: skip
_tokens = re.compile(b"(?:" + _TOKEN + b")*+", re.DOTALL).match
_whole = re.compile(b"(?:" + _TOKEN + rb")*+\.", re.DOTALL).fullmatch  # possessive: linear, no backtracking
_LONG_STRINGS = b"XB"  # BINUNICODE and BINBYTES: a four-byte length
_STOP = b"."

# Opcodes that open a level of nesting. A payload with few of these bytes, wherever they stand, is not deep.
_OPENERS = b"\x85\x86\x87t]})Q"
_NOT_OPENERS = bytes(set(range(256)) - set(_OPENERS))


class _NotPlain(Exception):
    """Leaves the plain pickler at the first value that is not plain."""


class TooLarge(Exception):
    """The serialized session is larger than a reader takes."""


class _Writer:
    """A C pickler without a memo, and the file it writes to. Making one costs as much as pickling a small session,
    so that they are kept: taken out of a list by pop, a writer belongs to one caller until append gives it back.
    """

    __slots__ = ("dump", "written")

    def __init__(self, pickler_class: type[pickle.Pickler]) -> None:
        pickler = pickler_class(self, 4)
        pickler.fast = True
        self.dump = pickler.dump
        self.written = b""

    def write(self, data: bytes) -> None:
        # What is shared is written wherever it occurs, and could grow without end. The pickler writes in pieces of
        # 64 KiB: whatever is small enough comes in one piece.
        if self.written or len(data) > MAX_BYTES + _HEAD_LENGTH:
            raise TooLarge
        self.written = data

    def take(self) -> bytes:
        """The payload, without the head; nothing under four bytes has a frame."""
        written, self.written = self.written, b""
        return written[_HEAD_LENGTH:] if written.startswith(_PROTOCOL_AND_FRAME) else written[2:]


class _PlainPickler(pickle.Pickler):
    def reducer_override(self, _: object) -> Any:
        raise _NotPlain


class _Deferred:
    """Stands for a value that is made after the reading. It cannot be a key, and no opcode finds a method on it."""

    __slots__ = ("data", "decode")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, decode: Callable[[Any], object], data: object) -> None:
        self.decode = decode
        self.data = data


class PickleSerializer:
    """Sessions to payloads and back, with the value types of one registry."""

    __slots__ = ("_Reader", "_TypedPickler", "_plain_writers", "_registry", "_typed_writers")

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._plain_writers: list[_Writer] = []
        self._typed_writers: list[_Writer] = []
        by_type, by_code = registry.by_type.get, registry.by_code.get

        class TypedPickler(pickle.Pickler):
            def persistent_id(self, value: object) -> object:
                entry = by_type(type(value))
                return None if entry is None else (entry.code, entry.encode(value))

            def reducer_override(self, _: object) -> Any:
                raise _NotPlain

        class Reader(pickle.Unpickler):
            deferred = False

            def find_class(self, module: str, name: str) -> Any:
                raise UnsealError("forbidden_value", f"a payload that names the global {module}.{name}")

            def persistent_load(self, pid: object) -> object:
                if type(pid) is not tuple or len(pid) != 2 or type(pid[0]) is not str:
                    raise UnsealError("forbidden_value", "a typed value that is not (code, data)")
                code, data = pid
                entry = by_code(code)
                if entry is None:
                    raise UnsealError("forbidden_value", f"a value of the type {code[:32]!r}, which is not registered")
                if entry.deferred or (self.deferred and _holds_deferred(data)):
                    self.deferred = True
                    return _Deferred(entry.decode, data)
                return entry.decode(data)

        self._TypedPickler = TypedPickler
        self._Reader = Reader

    def dumps(self, value: object, known: bytes | None = None) -> bytes:
        """Serialize a value into a payload that `loads` accepts.

        :param known: a payload that `loads` has accepted. It is returned itself, the same object, when the value
            still serializes to it.
        :raises NotSerializable: naming the path of the value that cannot be stored.
        :raises TooLarge: when the payload would be over `MAX_BYTES`.
        """
        try:
            payload = _write(self._plain_writers, _PlainPickler, value)
            if known is not None and payload == known:
                return known
            if not _has_typed_values(payload):
                return payload
        except (_NotPlain, UnsealError):
            pass  # typed values: the second pass takes them, and finds what neither can store
        except (ValueError, RecursionError) as error:
            raise self._fault(value, error) from error
        try:
            payload = _write(self._typed_writers, self._TypedPickler, value)
            if known is not None and payload == known:
                return known
            self.loads(payload)  # what cannot be read back is not sealed
        except TooLarge:
            raise
        except Exception as error:  # encoders are anybody's code
            raise self._fault(value, error) from error
        return payload

    def loads(self, payload: bytes) -> object:
        """Make the value that a payload holds.

        :raises UnsealError: ``forbidden_value`` for every payload that `dumps` does not write.
        """
        typed = _has_typed_values(payload)
        reader = self._Reader(BytesIO(_PROTOCOL_AND_FRAME + _FRAME.pack(len(payload)) + payload))
        try:
            value = reader.load()
            return _release(value) if typed and reader.deferred else value
        except UnsealError:
            raise
        except Exception as error:  # the unpickler raises many, decoders any: all say that the payload is not ours
            raise UnsealError("forbidden_value", f"a payload that cannot be read: {type(error).__name__}") from error

    def _fault(self, value: object, error: Exception) -> NotSerializable:
        return find_fault(value, self._registry) or NotSerializable("session", None, f"it cannot be stored: {error}")


def _write(writers: list[_Writer], pickler_class: type[pickle.Pickler], value: object) -> bytes:
    try:
        writer = writers.pop()
    except IndexError:
        writer = _Writer(pickler_class)
    writer.dump(value)  # a writer whose dump has failed is not used again
    payload = writer.take()
    writers.append(writer)
    return payload


def _has_typed_values(payload: bytes) -> bool:
    """Check all that has to hold before a payload is read: size, grammar, nesting.

    :returns: whether it holds a typed value.
    :raises UnsealError: naming what does not hold.
    """
    length = len(payload)
    if length > MAX_BYTES:
        raise UnsealError("forbidden_value", f"a payload of {length} bytes, and {MAX_BYTES} is the most")
    match = _whole(payload)
    typed = _match_by_parts(payload) if match is None else match.lastindex is not None
    # As deep as it has openers at the most, and that as it has bytes. Counted exactly only if that says nothing.
    if length > MAX_DEPTH and len(payload.translate(None, _NOT_OPENERS)) > MAX_DEPTH and _depth(payload) > MAX_DEPTH:
        raise UnsealError("forbidden_value", f"a payload nested more than {MAX_DEPTH} deep")
    return typed


def _match_by_parts(payload: bytes) -> bool:
    """Match a payload with strings of 256 bytes and more, which a regular expression cannot count; or find the fault.

    :returns: whether it holds a typed value.
    :raises UnsealError: naming the first opcode that is not in the grammar.
    """
    typed = False
    position = 0
    while True:
        match = cast(re.Match[bytes], _tokens(payload, position))  # it matches nothing, too
        typed = typed or match.lastindex is not None
        position = match.end()
        opcode = payload[position : position + 1]
        if opcode == _STOP and position + 1 == len(payload):
            return typed
        if not opcode or opcode not in _LONG_STRINGS or position + 5 > len(payload):
            raise UnsealError("forbidden_value", f"a payload that is not ours: {_name(opcode)} at byte {position}")
        position += 5 + int.from_bytes(payload[position + 1 : position + 5], "little")


def _name(opcode: bytes) -> str:
    """An opcode's name in the pickle documentation, for the log."""
    names = {known.code: known.name for known in pickletools.opcodes}
    return names.get(opcode.decode("latin-1"), f"byte {opcode.hex()}") if opcode else "the end"


_ARGUMENT = {ord("K"): 1, ord("M"): 2, ord("J"): 4, ord("G"): 8}
_LENGTH = {0x8C: 1, ord("C"): 1, 0x8A: 1, ord("X"): 4, ord("B"): 4}  # bytes of the length before an argument
_MARK, _TUPLE, _PERSID = ord("("), ord("t"), ord("Q")
_TAKES = {0x85: 1, 0x86: 2, 0x87: 3, ord("Q"): 1, ord("a"): 1, ord("s"): 2}
_TAKES_TO_MARK = b"teu"
_ADDS_TO_CONTAINER = b"aseu"


def _depth(payload: bytes) -> int:
    """The nesting of the value that a payload of the grammar makes, by running its opcodes on depths."""
    stack: list[int] = []
    marks: list[int] = []
    deepest = position = 0
    try:
        while (opcode := payload[position]) != _STOP[0]:
            position += 1
            if opcode == _MARK:
                marks.append(len(stack))
                continue
            if opcode in _TAKES or opcode in _TAKES_TO_MARK:
                count = len(stack) - marks.pop() if opcode in _TAKES_TO_MARK else _TAKES[opcode]
                members = stack[len(stack) - count :]
                del stack[len(stack) - count :]
                depth = max(members, default=0) + 1
                if opcode in _ADDS_TO_CONTAINER:
                    depth = max(depth, stack.pop())
            else:
                depth = 1 if opcode in b"]})" else 0
                width = _LENGTH.get(opcode, 0)
                length = int.from_bytes(payload[position : position + width], "little")
                position += width + length + _ARGUMENT.get(opcode, 0)
            stack.append(depth)
            deepest = max(deepest, depth)
    except IndexError:
        return MAX_DEPTH + 1  # it takes what is not there; the unpickler would refuse it as well
    return deepest


def _holds_deferred(data: Any) -> bool:
    kind = type(data)
    if kind is _Deferred:
        return True
    if kind is dict:
        return any(map(_holds_deferred, data.values()))
    return (kind is list or kind is tuple) and any(map(_holds_deferred, data))


def _release(value: Any) -> object:
    """Make the deferred values, from the inside out. Nesting is bounded, and so is this recursion."""
    kind = type(value)
    if kind is _Deferred:
        return value.decode(_release(value.data))
    if kind is list:
        value[:] = map(_release, value)
    elif kind is tuple:
        return tuple(map(_release, value))
    elif kind is dict:
        for key, member in value.items():
            value[key] = _release(member)
    return value
