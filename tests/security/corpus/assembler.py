"""An assembler for pickles: every opcode of Python's own table by its name, and the two forms a payload comes in.

An opcode without an argument is a constant (``o.NONE``), any other a function of the argument (``o.BININT1(7)``).
Counted arguments take ``length=`` for a length field that lies.
"""

import pickletools
import struct
from collections.abc import Callable
from types import SimpleNamespace

# How the fixed-width arguments of the table are packed.
_FIXED = {"uint1": "<B", "uint2": "<H", "int4": "<i", "uint4": "<I", "uint8": "<Q", "float8": ">d"}
# The width of the length field before the counted ones.
_COUNTED = {
    "string1": "<B",
    "string4": "<i",
    "bytes1": "<B",
    "bytes4": "<I",
    "bytes8": "<Q",
    "bytearray8": "<Q",
    "unicodestring1": "<B",
    "unicodestring4": "<I",
    "unicodestring8": "<Q",
    "long1": "<B",
    "long4": "<i",
}


def _as_bytes(value: object) -> bytes:
    if isinstance(value, int):
        bits = (value if value >= 0 else ~value).bit_length()
        return value.to_bytes(bits // 8 + 1, "little", signed=True) if value else b""
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else bytes(value)  # type: ignore[call-overload]


def _line(value: object) -> bytes:
    return (value if isinstance(value, bytes) else str(value).encode()) + b"\n"


def _encoder(opcode: pickletools.OpcodeInfo) -> bytes | Callable[..., bytes]:
    code = opcode.code.encode("latin-1")
    if opcode.arg is None:
        return code
    kind = opcode.arg.name
    if kind in _FIXED:
        return lambda value: code + struct.pack(_FIXED[kind], value)
    if kind in _COUNTED:

        def counted(value: object, length: int | None = None) -> bytes:
            data = _as_bytes(value)
            field = struct.pack(_COUNTED[kind], len(data)) if length is None else _field(_COUNTED[kind], length)
            return code + field + data

        return counted
    return lambda *values: code + b"".join(map(_line, values))  # the arguments that end with a line


def _field(layout: str, length: int) -> bytes:
    """A length of any sign, as it would overflow into the field."""
    width = struct.calcsize(layout)
    return (length % (1 << 8 * width)).to_bytes(width, "little")


o = SimpleNamespace(**{opcode.name: _encoder(opcode) for opcode in pickletools.opcodes})

# Values that most cases need.


def text(value: str) -> bytes:
    """A str, in the opcode that fits."""
    return o.SHORT_BINUNICODE(value) if len(_as_bytes(value)) < 256 else o.BINUNICODE(value)


def data(value: bytes) -> bytes:
    """Bytes, in the opcode that fits."""
    return o.SHORT_BINBYTES(value) if len(value) < 256 else o.BINBYTES(value)


def num(value: int) -> bytes:
    """An int, in the opcode that the pickler takes for it."""
    if 0 <= value < 1 << 8:
        return o.BININT1(value)
    if 0 <= value < 1 << 16:
        return o.BININT2(value)
    return o.BININT(value) if -(1 << 31) <= value < 1 << 31 else o.LONG1(value)


def tup(*members: bytes) -> bytes:
    """A tuple of what the parts make."""
    short = (o.EMPTY_TUPLE, o.TUPLE1, o.TUPLE2, o.TUPLE3)
    body = b"".join(members)
    return body + short[len(members)] if len(members) < 4 else o.MARK + body + o.TUPLE


def lst(*members: bytes) -> bytes:
    """A list, as the pickler writes it: one member goes in by APPEND, more by APPENDS."""
    if len(members) < 2:
        return o.EMPTY_LIST + b"".join(member + o.APPEND for member in members)
    return o.EMPTY_LIST + o.MARK + b"".join(members) + o.APPENDS


def dic(*items: bytes) -> bytes:
    """A dict of keys and values in turn, as the pickler writes it."""
    if len(items) < 3:
        return o.EMPTY_DICT + (b"".join(items) + o.SETITEM if items else b"")
    return o.EMPTY_DICT + o.MARK + b"".join(items) + o.SETITEMS


def typed(code: str, content: bytes) -> bytes:
    """A typed value of the stored form: BINPERSID of (code, data)."""
    return text(code) + content + o.TUPLE2 + o.BINPERSID


def glob(module: str, name: str) -> bytes:
    """A global by name, dotted names included."""
    return text(module) + text(name) + o.STACK_GLOBAL


def call(module: str, name: str, *arguments: bytes) -> bytes:
    """What a global returns for these arguments."""
    return glob(module, name) + tup(*arguments) + o.REDUCE


# The two forms.


def ours(*parts: bytes) -> bytes:
    """A payload as it is stored: no head, STOP at the end."""
    return b"".join(parts) + o.STOP


def stock(*parts: bytes, protocol: int = 4) -> bytes:
    """A pickle as other readers take it: PROTO, from protocol 4 on one exact frame, STOP at the end."""
    body = ours(*parts)
    return o.PROTO(protocol) + (o.FRAME(len(body)) if protocol >= 4 else b"") + body


def with_head(payload: bytes) -> bytes:
    """A stored payload with the head that its reader puts in front of it."""
    return o.PROTO(4) + o.FRAME(len(payload)) + payload


def without_head(pickle: bytes) -> bytes:
    """What remains of a pickle without PROTO and FRAME, whatever they say: the opcodes our reader would meet."""
    rest = pickle[2:] if pickle[:1] == o.PROTO(4)[:1] else pickle
    return rest[9:] if rest[:1] == o.FRAME(0)[:1] else rest
