"""Cases about the shape of a payload: dialects, persistent ids, buffers, stumps, and calls into instances."""

import pickletools
from collections.abc import Iterator

from tests.security.corpus.assembler import call, data, dic, lst, num, o, ours, stock, text, tup, typed
from tests.security.corpus.case import BOUNDED, Case, Group


def dialect() -> Iterator[Case]:
    """Opcodes and streams that the stored form does not have. By themselves they do no harm."""
    g = Group("dialect", "stock", elsewhere=BOUNDED)
    for name, parts in {
        "INT": o.INT(7),
        "INT-bool": o.INT(b"01"),
        "LONG": o.LONG(b"7L"),
        "FLOAT": o.FLOAT(1.5),
        "STRING": o.STRING(b"'a'"),
        "BINSTRING": o.BINSTRING(b"a"),
        "SHORT_BINSTRING": o.SHORT_BINSTRING(b"a"),
        "UNICODE": o.UNICODE("a"),
        "LIST": o.MARK + num(1) + o.LIST,
        "DICT": o.MARK + num(1) + num(2) + o.DICT,
        "LONG4": o.LONG4(7),
        "BINUNICODE8": o.BINUNICODE8("a"),
        "BINBYTES8": o.BINBYTES8(b"a"),
        "BYTEARRAY8": o.BYTEARRAY8(b"a"),
        "EMPTY_SET": o.EMPTY_SET,
        "ADDITEMS": o.EMPTY_SET + o.MARK + num(1) + o.ADDITEMS,
        "FROZENSET": o.MARK + num(1) + o.FROZENSET,
        "PUT-GET": text("a") + o.PUT(0) + o.POP + o.GET(0),
        "BINPUT-BINGET": text("a") + o.BINPUT(0) + o.POP + o.BINGET(0),
        "LONG_BINPUT": text("a") + o.LONG_BINPUT(1) + o.POP + o.LONG_BINGET(1),
        "MEMOIZE": text("a") + o.MEMOIZE,
        "DUP": num(1) + o.DUP + o.TUPLE2,
        "POP": num(1) + num(2) + o.POP,
        "POP_MARK": num(1) + o.MARK + num(2) + o.POP_MARK,
    }.items():
        yield g.refused(name, f"{name} is not in the grammar", parts)
    plain = dic(text("a"), num(1))
    yield g.refused("proto-twice", "a second PROTO", o.PROTO(4), plain)
    yield g.refused("proto-inside", "PROTO between the values", text("a"), o.PROTO(2), num(1), o.TUPLE2)
    for protocol in (2, 3, 5):
        body = stock(plain, protocol=protocol)
        yield g.refused(
            f"protocol-{protocol}", f"protocol {protocol} says so in its head", whole=body, headless=BOUNDED
        )
    for protocol in (1, 6, 255):
        body = stock(plain, protocol=protocol)
        yield g.refused(f"protocol-{protocol}", "a protocol that is never written", whole=body, headless=BOUNDED)
    yield g.refused("no-frame", "protocol 4 without a frame", whole=o.PROTO(4) + ours(plain), headless=BOUNDED)
    yield g.refused("trailing-byte", "a byte after STOP", whole=stock(plain) + b"\0")
    yield g.refused("trailing-pickle", "a pickle after the pickle", whole=stock(plain) + stock(o.NONE))
    yield g.refused("leading-byte", "a byte before PROTO", whole=b"\n" + stock(plain), elsewhere=None)
    h = Group("dialect", "ours", elsewhere=BOUNDED)
    yield h.refused("ours-trailing-byte", "a byte after STOP", plain, o.STOP)
    yield h.refused("ours-two", "two payloads", plain, o.STOP, plain)
    yield h.refused("ours-headed", "the head is stored", whole=stock(plain))
    yield h.refused("ours-framed", "the frame is stored", o.FRAME(2), o.NONE)
    yield h.refused(
        "additems-typed", "an opcode of sets on a typed set", typed("s", o.EMPTY_LIST), o.MARK, num(1), o.ADDITEMS
    )
    for name, parts in {
        "leftover": num(1) + num(2),
        "long-for-short": o.BINUNICODE("a"),
        "bytes-for-short": o.BINBYTES(b"a"),
        "wide-int": o.BININT(1),
        "negative-zero-int": o.LONG1(b"\0"),
        "append-one-by-one": lst() + num(1) + o.APPEND + num(2) + o.APPEND,
        "empty-appends": o.EMPTY_LIST + o.MARK + o.APPENDS,
        "empty-setitems": o.EMPTY_DICT + o.MARK + o.SETITEMS,
        "short-tuple-by-mark": o.MARK + num(1) + o.TUPLE,
        "same-key-twice": dic(text("a"), num(1), text("a"), num(2)),
        "equal-keys": dic(num(1), text("int"), o.NEWTRUE, text("bool"), o.BINFLOAT(1.0), text("float")),
        "unsorted-set": typed("s", lst(num(2), num(1), num(2))),
        "mark-below": o.MARK + num(1),
    }.items():
        yield h.bounded(f"ours-{name}", "in the grammar, and never written so", parts)


def persid() -> Iterator[Case]:
    """Persistent ids: ours are (code, data), and nothing else."""
    g = Group("persid", "ours")
    for name, parts in {
        "int": num(1),
        "none": o.NONE,
        "text": text("u"),
        "bytes": data(b"u"),
        "empty": o.EMPTY_TUPLE,
        "list": lst(text("u"), data(bytes(16))),
        "dict": dic(text("u"), data(bytes(16))),
        "one": tup(text("u")),
        "three": tup(text("u"), data(bytes(16)), o.NONE),
        "int-code": tup(num(0), o.NONE),
        "bytes-code": tup(data(b"u"), data(bytes(16))),
        "none-code": tup(o.NONE, o.NONE),
        "unhashable-code": tup(o.EMPTY_LIST, o.NONE),
        "tuple-code": tup(tup(text("u")), data(bytes(16))),
        "empty-code": tup(text(""), o.NONE),
        "unknown-code": tup(text("zz"), o.NONE),
        "class-name": tup(text("datetime.date"), text("2024-02-29")),
        "dotted": tup(text("u.__class__"), data(bytes(16))),
        "long-code": tup(text("x" * 5000), o.NONE),
        "nul-code": tup(text("u\0"), data(bytes(16))),
        "surrogate-code": tup(text("\udc80"), o.NONE),
        "upper-code": tup(text("U"), data(bytes(16))),
        "typed-code": tup(typed("n", text("1")), o.NONE),
        "typed-id": typed("fs", lst(text("u"))),
        "later-code": tup(typed("q", tup(o.EMPTY_LIST, o.NONE)), o.NONE),
    }.items():
        yield g.refused(name, "an id that is not (code, data) of a registered type", parts, o.BINPERSID)
    yield g.refused("nothing", "BINPERSID of an empty stack", o.BINPERSID)
    yield g.refused("mark", "BINPERSID of a mark", o.MARK, o.BINPERSID)
    s = Group("persid", "stock")
    yield s.refused("line", "the id in a line", o.PERSID("u"))
    yield s.refused("line-call", "an id that looks like a name", o.PERSID("tests.security.corpus.marker.hit"))
    yield s.refused(
        "inner-pickle", "an id that is a pickle", data(stock(call("tests.security.corpus.marker", "hit"))), o.BINPERSID
    )


def buffer() -> Iterator[Case]:
    """Buffers out of band, and views of memory."""
    g = Group("buffer", "stock")
    yield g.refused("next", "a buffer that nobody gave", o.NEXT_BUFFER)
    yield g.refused("next-readonly", "and made read-only", o.NEXT_BUFFER, o.READONLY_BUFFER)
    yield g.refused("readonly-bytearray", "a view of a bytearray", o.BYTEARRAY8(b"abc"), o.READONLY_BUFFER)
    yield g.refused(
        "readonly-bytes", "of bytes, which are read-only", data(b"abc"), o.READONLY_BUFFER, elsewhere=BOUNDED
    )
    yield g.refused("readonly-list", "of a list", o.EMPTY_LIST, o.READONLY_BUFFER)
    yield g.refused("view", "a view by its class", call("builtins", "memoryview", data(b"abc")))
    yield g.refused("pickle-buffer", "a buffer by its class", call("pickle", "PickleBuffer", data(b"abc")))


def malformed() -> Iterator[Case]:
    """No pickles at all: they are refused, and nothing crashes."""
    g, s = Group("malformed", "ours"), Group("malformed", "stock")
    yield g.refused("empty", "no bytes", whole=b"")
    yield g.refused("stop", "STOP alone")
    yield g.refused("mark", "a mark for a value", o.MARK)
    yield g.refused("no-stop", "the end is missing", whole=dic(text("a"), num(1)))
    yield g.refused("unknown", "a byte that is no opcode", b"\xff")
    yield g.refused("text", "a text", whole=b"user=7")
    yield g.refused("json", "another format", whole=b'{"a": 1}.')
    for opcode in pickletools.opcodes:
        if opcode.stack_before and opcode.arg is None and opcode.name not in ("STOP", "POP_MARK"):
            yield s.refused(
                f"starved-{opcode.name}", f"{opcode.name} finds nothing on the stack", getattr(o, opcode.name)
            )
    for name, parts in {
        "setitems-odd": o.EMPTY_DICT + o.MARK + num(1) + o.SETITEMS,
        "append-to-int": num(1) + num(2) + o.APPEND,
        "appends-to-tuple": o.EMPTY_TUPLE + o.MARK + num(1) + o.APPENDS,
        "setitem-on-list": o.EMPTY_LIST + num(0) + num(1) + o.SETITEM,
        "setitem-on-text": text("a") + num(0) + num(1) + o.SETITEM,
        "list-key": o.EMPTY_DICT + o.EMPTY_LIST + num(1) + o.SETITEM,
        "dict-key": o.EMPTY_DICT + o.EMPTY_DICT + num(1) + o.SETITEM,
        "below-the-mark": num(1) + o.MARK + num(2) + o.TUPLE2,
        "append-below-mark": o.EMPTY_LIST + o.MARK + num(1) + o.APPEND,
        "two-marks": o.MARK + o.MARK + num(1) + o.TUPLE + o.APPENDS,
        "stop-in-mark": o.EMPTY_LIST + o.MARK,
    }.items():
        yield g.refused(name, "operands of the wrong kind", parts)
    for name, parts in {
        "reduce-int": num(1) + o.EMPTY_TUPLE + o.REDUCE,
        "newobj-int": num(1) + o.EMPTY_TUPLE + o.NEWOBJ,
        "newobj-ex-list": num(1) + o.EMPTY_TUPLE + o.EMPTY_LIST + o.NEWOBJ_EX,
        "global-of-ints": num(1) + num(2) + o.STACK_GLOBAL,
        "global-utf-8": o.GLOBAL(b"\xff", b"\xfe"),
        "build-int": num(1) + o.EMPTY_LIST + o.BUILD,
        "float-word": o.FLOAT(b"one"),
        "string-quotes": o.STRING(b"abc"),
        "frozenset-of-lists": o.MARK + o.EMPTY_LIST + o.FROZENSET,
        "obj-of-nothing": o.MARK + o.OBJ,
    }.items():
        yield s.refused(name, "operands of the wrong kind", parts)
    whole = ours(
        dic(
            text("id"),
            typed("u", data(bytes(16))),
            text("n"),
            o.BINFLOAT(1.5),
            text("when"),
            typed("date", text("2024-02-29")),
        )
    )
    for end in range(1, len(whole), 5):
        yield g.refused(f"cut-at-{end}", "the payload ends too early", whole=whole[:end])


def method() -> Iterator[Case]:
    """Opcodes that store would call methods of an instance of a registered type."""
    g = Group("method", "ours")
    stores = {
        "append": num(1) + o.APPEND,
        "appends": o.MARK + num(1) + o.APPENDS,
        "empty-appends": o.MARK + o.APPENDS,
        "setitem": num(0) + num(1) + o.SETITEM,
        "setitems": o.MARK + num(0) + num(1) + o.SETITEMS,
    }
    instances = {
        "basket": typed("t:basket", o.EMPTY_LIST),
        "row": typed("t:row", o.EMPTY_LIST),
        "table": typed("t:table", o.EMPTY_DICT),
        "open": typed("t:open", o.NONE),
        "bytearray": typed("ba", data(b"a")),
        "deque": typed("q", tup(o.EMPTY_LIST, o.NONE)),
        "ordered": typed("od", o.EMPTY_DICT),
        "class": typed("t", text("list")),
    }
    for kind, instance in instances.items():
        for name, store in stores.items():
            if name != "empty-appends":
                yield g.refused(f"{kind}-{name}", f"{name} on a {kind}", instance, store)
    yield g.bounded("nothing-stored", "an instance stores nothing", instances["row"], stores["empty-appends"])
    yield g.refused("key", "an instance that cannot be a key yet", dic(instances["open"], num(1)))
    yield g.refused("in-a-key", "inside a key", dic(tup(instances["row"]), num(1)))
    s = Group("method", "stock")
    yield s.refused(
        "additems",
        "ADDITEMS on an instance",
        call("tests.security.corpus.registered", "Basket", o.EMPTY_LIST),
        o.MARK,
        num(1),
        o.ADDITEMS,
    )
    yield s.refused(
        "build",
        "BUILD on an instance",
        call("tests.security.corpus.registered", "Basket", o.EMPTY_LIST),
        o.EMPTY_DICT,
        o.BUILD,
    )
    yield s.refused(
        "call",
        "an instance is called",
        call("tests.security.corpus.registered", "Basket", o.EMPTY_LIST),
        o.EMPTY_TUPLE,
        o.REDUCE,
    )
    yield s.refused(
        "row", "a list of another class", call("tests.security.corpus.registered", "Row"), o.MARK, num(1), o.APPENDS
    )


def cases() -> Iterator[Case]:
    for group in (dialect, persid, buffer, malformed, method):
        yield from group()
