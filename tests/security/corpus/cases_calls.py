"""Cases that name what must not be named: to call it, to traverse it, to import, to open, or to keep it."""

from collections.abc import Iterator

from tests.security.corpus.assembler import call, data, dic, glob, lst, num, o, stock, text, tup
from tests.security.corpus.case import Case, Group

M = "tests.security.corpus.marker"
PROBE = "tests.security.corpus.probe"
HIT = glob(M, "hit")
CALL_HIT = HIT + o.EMPTY_TUPLE + o.REDUCE

# Registered with copyreg before the first case, as an application might have: see `readers.prepare`.
EXT_CALLED = 0xC1  # one byte
EXT_CLASS = 0x0ACE  # two bytes
EXT_WIDE = 0x00C0FFEE  # four bytes
EXT_UNUSED = 0xC2  # registered, and never looked up before


def _new(name: str) -> bytes:
    return glob(M, name) + o.EMPTY_TUPLE + o.NEWOBJ


def calls() -> Iterator[Case]:
    """A callable is named and called, by every opcode that calls."""
    g = Group("call", "stock")
    yield g.refused("reduce", "GLOBAL, then REDUCE", o.GLOBAL(M, "hit"), o.EMPTY_TUPLE, o.REDUCE)
    yield g.refused("stack-global", "the name from the stack, then REDUCE", CALL_HIT)
    yield g.refused("protocol-2", "the same in protocol 2", o.GLOBAL(M, "hit"), o.EMPTY_TUPLE, o.REDUCE, protocol=2)
    yield g.refused("inst", "INST looks up and calls", o.MARK, num(1), o.INST(M, "OnInit"))
    yield g.refused("obj", "OBJ calls a class found on the stack", o.MARK, glob(M, "OnInit"), num(1), o.OBJ)
    yield g.refused("newobj", "NEWOBJ runs __new__", _new("OnNew"))
    yield g.refused("newobj-ex", "NEWOBJ_EX too", glob(M, "OnNew"), o.EMPTY_TUPLE, dic(text("a"), num(1)), o.NEWOBJ_EX)
    yield g.refused("setstate", "BUILD runs __setstate__", _new("OnState"), o.EMPTY_DICT, o.BUILD)
    slots = tup(o.NONE, dic(text("x"), num(1)))
    yield g.refused("setattr", "BUILD with slots runs __setattr__", _new("OnSetattr"), slots, o.BUILD)
    yield g.refused("append", "APPEND runs append", _new("OnMethod"), num(1), o.APPEND)
    yield g.refused("appends", "APPENDS runs extend", _new("OnMethod"), o.MARK, num(1), o.APPENDS)
    yield g.refused("setitem", "SETITEM runs __setitem__", _new("OnMethod"), num(1), num(2), o.SETITEM)
    yield g.refused("additems", "ADDITEMS runs add", _new("OnMethod"), o.MARK, num(1), o.ADDITEMS)
    yield g.refused("hash-key", "a key is hashed", o.EMPTY_DICT, _new("OnHash"), num(1), o.SETITEM)
    yield g.refused("hash-element", "an element is hashed", o.EMPTY_SET, o.MARK, _new("OnHash"), o.ADDITEMS)
    yield g.refused("hash-frozen", "a frozenset hashes its elements", o.MARK, _new("OnHash"), o.FROZENSET)
    yield g.refused("dropped", "code that runs when an instance is dropped", _new("OnDel"), o.POP, o.NONE)
    yield g.refused("metaclass", "the metaclass is what runs", call(M, "OnMetaCall"))
    yield g.refused("in-a-key", "the call's result is a key", dic(CALL_HIT, num(1)))
    yield g.refused("result-popped", "the result is thrown away", CALL_HIT, o.POP, dic(text("user"), num(7)))
    yield g.refused("result-to-mark", "thrown away with all to the mark", o.MARK, CALL_HIT, o.POP_MARK, o.NEWTRUE)
    yield g.refused("no-stop", "the payload ends after the call", whole=stock(CALL_HIT)[:-1])
    yield g.refused(
        "memo", "the callable goes through the memo", HIT, o.MEMOIZE, o.POP, o.BINGET(0), o.EMPTY_TUPLE, o.REDUCE
    )
    behind = o.PROTO(4) + o.FRAME(2) + o.NONE + o.POP + CALL_HIT + o.STOP
    yield g.refused("behind-the-frame", "the call stands after the frame", whole=behind)
    yield g.refused("second-frame", "and in a frame of its own", o.NONE, o.POP, o.FRAME(len(CALL_HIT) + 1), CALL_HIT)
    yield g.refused(
        "getattr",
        "a method by getattr",
        call("builtins", "getattr", glob(M, "Inner"), text("hit")),
        o.EMPTY_TUPLE,
        o.REDUCE,
    )
    source = f"__import__({M!r}, fromlist=['hit']).hit()"
    yield g.refused("eval", "an expression", call("builtins", "eval", text(source)))
    yield g.refused("exec", "a statement", call("builtins", "exec", text(source)))
    yield g.refused(
        "old-names",
        "names of Python 2 are translated",
        o.GLOBAL("__builtin__", "eval"),
        text(source),
        o.TUPLE1,
        o.REDUCE,
        protocol=2,
    )
    yield g.refused("system", "a command line", call("os", "system", text(": > ran")))
    yield g.refused("posix", "the module behind os", call("posix", "mkdir", text("ran")))
    yield g.refused("subprocess", "a process", call("subprocess", "call", lst(text("touch"), text("ran"))))
    yield g.refused(
        "methodcaller",
        "a call put together",
        call("operator", "methodcaller", text("hit")),
        tup(glob(M, "Inner")),
        o.REDUCE,
    )
    yield g.refused("partial", "a call with its arguments", call("functools", "partial", HIT), o.EMPTY_TUPLE, o.REDUCE)
    yield g.refused("map", "a list made by calls", call("builtins", "list", call("builtins", "map", HIT, lst(num(1)))))
    yield g.refused("inner-pickle", "a pickle in a pickle", call("pickle", "loads", data(stock(CALL_HIT))))
    yield g.refused("inner-c-pickle", "by the C module", call("_pickle", "loads", data(stock(CALL_HIT))))
    yield g.refused(
        "reconstructor",
        "copyreg's own constructor",
        call("copyreg", "_reconstructor", glob(M, "OnNew"), glob(M, "OnNew"), o.NONE),
    )
    yield g.refused("copyreg-new", "copyreg's NEWOBJ", call("copyreg", "__newobj__", glob(M, "OnNew")))
    yield g.refused(
        "factory", "a default factory, called by the next missing key", call("collections", "defaultdict", HIT)
    )
    yield g.refused(
        "text-opcodes", "protocol 0 all the way", o.GLOBAL(M, "hit"), o.MARK, o.INT(1), o.TUPLE, o.REDUCE, protocol=0
    )


def dotted() -> Iterator[Case]:
    """Names with dots: protocol 4 looks attributes up, from an allowed module or class on."""
    g = Group("dotted", "stock")
    path = call("pathlib", "PosixPath", text("ran"))
    yield g.refused("marker", "a name that only a dot reaches", call(M, "Inner.hit"))
    yield g.refused("touch", "a method of a safe class", call("pathlib", "PosixPath.touch", path))
    yield g.refused(
        "read",
        "a method that reads",
        call("pathlib", "PosixPath.read_bytes", call("pathlib", "PosixPath", text("secret"))),
    )
    yield g.refused(
        "module-in-module", "a module that a safe one has imported", call("pathlib", "os.mkdir", text("ran"))
    )
    yield g.refused("uuid-os", "the same from another one", call("uuid", "os.mkdir", text("ran")))
    yield g.refused("sys-modules", "every module there is", call("collections", "_sys.modules.copy"))
    yield g.refused("exit", "an exception that is no Exception", call("fractions", "sys.exit", num(3)))
    yield g.refused("subclasses", "all classes", call("builtins", "object.__subclasses__"))
    yield g.refused(
        "format", "attributes by a format string", call("builtins", "str.format", text("{0.__class__.__mro__}"), num(1))
    )
    yield g.refused("power", "an operator of a safe type", call("builtins", "int.__pow__", num(7), num(3_000_000)))
    yield g.refused(
        "repeat", "a repetition of a safe type", call("builtins", "bytes.__mul__", data(b"x"), num(300 << 20))
    )
    yield g.refused("now", "a class method", call("datetime", "datetime.now"))
    yield g.refused(
        "fromkeys",
        "a class method with an iterable",
        call("builtins", "dict.fromkeys", call("builtins", "range", num(10**7))),
    )
    yield g.refused("mro", "the class of a class", call("decimal", "Decimal.mro"))
    yield g.refused(
        "setattr", "a class is changed", call("builtins", "type.__setattr__", glob("uuid", "UUID"), text("hex"), num(1))
    )
    yield g.refused(
        "namedtuple", "a class is made, from source", call("collections", "namedtuple", text("Row"), text("a b"))
    )
    yield g.refused("globals", "the globals of a function", glob("uuid", "uuid4.__globals__"))
    yield g.refused("locals", "a name inside a function", glob(M, "hit.<locals>.name"))
    yield g.refused(
        "by-getattr",
        "old protocols keep the dot in the name",
        o.GLOBAL("pathlib", "PosixPath.touch"),
        path,
        o.TUPLE1,
        o.REDUCE,
        protocol=2,
    )
    yield g.refused("dots-only", "nothing between the dots", glob("uuid", "UUID.."))


def extension() -> Iterator[Case]:
    """Extension codes of copyreg: once used they are cached, and `find_class` is not asked."""
    g = Group("extension", "stock")
    yield g.refused("one-byte", "a cached function", o.EXT1(EXT_CALLED), o.EMPTY_TUPLE, o.REDUCE)
    yield g.refused("two-bytes", "a cached class", o.EXT2(EXT_CLASS), o.EMPTY_TUPLE, o.REDUCE)
    yield g.refused("four-bytes", "a cached class with a code of four bytes", o.EXT4(EXT_WIDE), o.EMPTY_TUPLE, o.NEWOBJ)
    yield g.refused("value", "a cached function is the value", o.EXT1(EXT_CALLED))
    yield g.refused("in-dict", "or a member of it", dic(text("f"), o.EXT1(EXT_CALLED)))
    yield g.refused("first-use", "a code that nobody has used", o.EXT1(EXT_UNUSED), o.EMPTY_TUPLE, o.REDUCE)
    yield g.refused("unregistered", "a code that nobody has registered", o.EXT2(0x0BAD))
    yield g.refused("zero", "code 0", o.EXT1(0))
    yield g.refused("negative", "a negative code", o.EXT4(-2))
    yield g.refused("callable-key", "a cached function is hashed", o.EMPTY_SET, o.MARK, o.EXT1(EXT_CALLED), o.ADDITEMS)


def imports() -> Iterator[Case]:
    """A lookup imports a module that the payload chose."""
    g = Group("import", "stock")
    yield g.refused("by-global", "GLOBAL imports", o.GLOBAL(PROBE, "name"))
    yield g.refused("by-stack-global", "STACK_GLOBAL imports", glob(PROBE, "name"))
    yield g.refused("by-inst", "INST imports", o.MARK, o.INST(PROBE, "name"))
    yield g.refused("missing-name", "the name is not there, the module has run", glob(PROBE, "missing"))
    yield g.refused(
        "missing-module", "a module that is not there is looked for", glob("tests.security.corpus.nowhere", "x")
    )
    yield g.refused("stdlib", "a module nobody needs", glob("colorsys", "ONE_THIRD"))
    yield g.refused("import-module", "a function that imports", call("importlib", "import_module", text(PROBE)))
    yield g.refused("dunder-import", "the builtin", call("builtins", "__import__", text(PROBE)))
    yield g.refused("codec", "a codec is a module", call("_codecs", "encode", text("x"), text("rot13")))
    yield g.refused("str-codec", "a safe type that takes a codec", call("builtins", "str", data(b"x"), text("hz")))
    yield g.refused("bytes-codec", "another one", call("builtins", "bytes", text("x"), text("shift_jis")))
    yield g.refused(
        "bytearray-codec",
        "and the one with a class of its own",
        call("builtins", "bytearray", text("x"), text("euc_kr")),
    )
    yield g.refused("old-module", "an old name is translated", o.GLOBAL("CGIHTTPServer", "nobody_is_home"), protocol=2)
    yield g.refused(
        "unicode-names", "the names in the text opcodes", o.UNICODE(PROBE), o.UNICODE("name"), o.STACK_GLOBAL
    )


def files() -> Iterator[Case]:
    """A file, a socket or a library is opened."""
    g = Group("file", "stock")
    yield g.refused("open", "a file is read", call("builtins", "open", text("secret")))
    yield g.refused("io-open", "by the module behind it", call("_io", "open", text("secret")))
    yield g.refused("fileio", "by the class", call("io", "FileIO", text("secret")))
    yield g.refused("write", "a file is made", call("builtins", "open", text("ran"), text("w")))
    yield g.refused("linecache", "a file's line", call("linecache", "getline", text("secret"), num(1)))
    yield g.refused("listdir", "a directory is read", call("os", "listdir", text(".")))
    yield g.refused("remove", "a file is removed", call("os", "remove", text("secret")))
    yield g.refused("zoneinfo", "a time zone is a file", call("zoneinfo", "ZoneInfo", text("Europe/Prague")))
    yield g.refused("socket", "a socket", call("socket", "socket"))
    yield g.refused("database", "a database is made", call("sqlite3", "connect", text("ran")))
    yield g.refused("environment", "the environment is changed", call("os", "putenv", text("SEALED"), text("1")))


def classes() -> Iterator[Case]:
    """A class, a function or a module becomes a value."""
    g = Group("class", "stock")
    for module, name in (
        ("builtins", "int"),
        ("builtins", "object"),
        ("builtins", "type"),
        ("builtins", "len"),
        ("datetime", "date"),
        ("collections", "OrderedDict"),
        ("uuid", "UUID"),
        ("pathlib", "PurePosixPath"),
        ("decimal", "Decimal"),
        ("tests.security.corpus.registered", "Point"),
        ("tests.security.corpus.registered", "Colour"),
    ):
        yield g.refused(
            f"{module.rpartition('.')[2]}-{name}", "the value is the class or function itself", glob(module, name)
        )
    yield g.refused("member", "a class inside a dict", dic(text("kind"), glob("builtins", "list")))
    yield g.refused("key", "a class as a key", dic(glob("builtins", "set"), num(1)))
    yield g.refused("element", "a class in a set", o.EMPTY_SET, o.MARK, glob("builtins", "dict"), o.ADDITEMS)
    yield g.refused("of-a-value", "the class of a value", call("builtins", "type", num(1)))
    yield g.refused("made", "a new class", call("builtins", "type", text("Made"), o.EMPTY_TUPLE, o.EMPTY_DICT))
    yield g.refused(
        "made-newobj",
        "a new class by NEWOBJ",
        glob("builtins", "type"),
        tup(text("M"), o.EMPTY_TUPLE, o.EMPTY_DICT),
        o.NEWOBJ,
    )
    yield g.refused("exception", "an exception as a value", call("builtins", "SystemExit", num(1)))
    yield g.refused(
        "generic", "a class with parameters", call("types", "GenericAlias", glob("builtins", "list"), num(1))
    )
    yield g.refused(
        "factory", "the class hides in a defaultdict", call("collections", "defaultdict", glob("pathlib", "PosixPath"))
    )


def cases() -> Iterator[Case]:
    for group in (calls, dotted, extension, imports, files, classes):
        yield from group()
