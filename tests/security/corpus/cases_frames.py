"""Cases whose meaning is the frame: what one reader takes for the bytes of a string is code for another."""

from collections.abc import Iterator

from tests.security.corpus.assembler import call, dic, glob, num, o, ours, text
from tests.security.corpus.case import BOUNDED, Case, Group
from tests.security.corpus.cases_calls import CALL_HIT, EXT_CALLED, PROBE


def cases() -> Iterator[Case]:
    """The frame ends inside an argument: a reader from a file then reads other opcodes than a scan saw."""
    g = Group("frame", "stock")
    tokens = {
        "int": o.BININT(0x01010101),
        "float": o.BINFLOAT(1.5),
        "long": o.LONG1(b"\x01" * 8),
        "text": o.SHORT_BINUNICODE("abcdefgh"),
        "bytes": o.SHORT_BINBYTES(b"abcdefgh"),
    }
    for name, token in tokens.items():
        yield g.refused(
            f"{name}-call",
            "bytes of a string become a call",
            whole=_straddle(token, CALL_HIT),
            headless=BOUNDED,
            elsewhere=BOUNDED,
        )
    hidden = {
        "extension": o.EXT1(EXT_CALLED) + o.EMPTY_TUPLE + o.REDUCE,
        "import": glob(PROBE, "name"),
        "memo": o.NONE + o.LONG_BINPUT(1 << 28),
        "dotted": call("pathlib", "os.mkdir", text("ran")),
        "allocate": call("builtins", "bytearray", num(300 << 20)),
    }
    for name, opcodes in hidden.items():
        yield g.refused(
            f"int-{name}",
            f"the hidden opcodes: {name}",
            whole=_straddle(tokens["int"], opcodes),
            headless=BOUNDED,
            elsewhere=BOUNDED,
        )
    body = ours(dic(text("a"), num(1)))
    for name, length in {"short": 3, "long": len(body) + 1, "zero": 0, "huge": 1 << 62, "wide": 400 << 20}.items():
        wrong = o.PROTO(4) + o.FRAME(length) + body
        # A frame that is too short is no harm by itself: readers go on behind it.
        elsewhere = BOUNDED if length < len(body) else None
        yield g.refused(
            f"length-{name}", "a frame of another length", whole=wrong, headless=BOUNDED, elsewhere=elsewhere
        )
    yield g.refused("two", "a frame in the frame", o.FRAME(2), o.NONE, elsewhere=BOUNDED)


def _straddle(token: bytes, hidden: bytes) -> bytes:
    """A pickle whose frame ends two bytes into the argument of a token.

    Readers that drop these two bytes take two more from behind the token: the head of a string of bytes. What is
    in the string are opcodes then.
    """
    start = 1 if token[:1] in (o.BININT(0)[:1], o.BINFLOAT(0)[:1]) else 2  # a counted argument follows its length
    carrier = o.SHORT_BINBYTES(hidden + o.STOP)
    return o.PROTO(4) + o.FRAME(start + 2) + token + carrier + o.TUPLE2 + o.STOP
