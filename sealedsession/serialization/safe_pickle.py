"""The allow-list pickle: the one module that imports pickle.

The form is protocol 4, cut down to 26 opcodes, without its constant head. None, bool, int, float, str,
bytes, list, tuple and dict are written natively. Every other value is a BINPERSID of (code, data), see values.py.

What holds for every payload, a forged one too:

1. The grammar matches the whole payload before any of it is read, see grammar.py: no opcode in it names, imports,
   calls or builds anything, and there is no memo, so a payload is as large as the value it makes.
2. The reader is a C unpickler whose `find_class` always refuses. Running code would take both to fail.
3. Size, nesting and integer length are bounded before the reading starts.
4. Instances that opcodes could call into are made after the reading is over.
5. Every refusal is one error, `UnsealError("forbidden_value")`.
"""

import pickle
import struct
from collections.abc import Callable
from io import BytesIO
from typing import Any

from sealedsession.errors import UnsealError
from sealedsession.serialization.deferred import Deferred, NotFetched, contains_deferred, make
from sealedsession.serialization.diagnosis import FaultFinder
from sealedsession.serialization.limits import DEFAULT_LIMITS, Limits, TooLarge, TooMany, TooManyValues
from sealedsession.serialization.pickle_grammar import Grammar
from sealedsession.serialization.registry import REFUSALS, Registry, default_registry

# The pickler's head, protocol 4 and one frame around the whole payload, is never stored: 15 characters less in a
# cookie. The frame is put in front here, and nobody else chooses it (a frame that ends inside an argument makes some
# versions of the unpickler run other opcodes than a scan saw: CPython gh-154848). The unpickler asks for no protocol.
_FRAME_OPCODE = 0x95
_frame = struct.Struct("<BQ").pack  # the opcode, and how many bytes follow
_FRAME_AT, _HEAD_LENGTH = 2, 11  # in what the pickler writes; it frames nothing under 4 bytes


_REFUSALS: tuple[type[Exception], ...] = (*REFUSALS, pickle.UnpicklingError)


class _NotPlain(Exception):
    """Leaves a pickler at the first value that it has no form for; with its type."""


class _Refused(Exception):
    """Leaves the unpickler at what a payload may not hold."""


class _Writer:
    """A C pickler without a memo, and the file it writes to. Making one costs as much as pickling a small session,
    so that they are kept: taken out of a list by pop, a writer belongs to one caller until append gives it back.

    :ivar written: what was dumped, with the head. Whoever takes it leaves nothing there.
    """

    __slots__ = ("_most", "dump", "pickler", "written")

    def __init__(self, pickler_class: type[pickle.Pickler], size: int) -> None:
        self.pickler: Any = pickler_class(self, 4)
        self.pickler.fast = True
        self.dump: Callable[[object], None] = self.pickler.dump
        self.written = b""
        self._most = size + _HEAD_LENGTH

    def write(self, data: bytes) -> None:
        # What is shared is written wherever it occurs, and could grow without end. The pickler writes in pieces of
        # 64 KiB: whatever is small enough comes in one piece.
        if self.written or len(data) > self._most:
            raise TooLarge
        self.written = data


class _Source:
    """A C unpickler without a memo, and the file it reads from: kept and lent as a `_Writer` is, for the same reason.

    An unpickler may read one pickle after another. One that has failed, somewhere in the middle, is not given back.

    :ivar fill: starts the file anew with the bytes of one pickle, which it takes over without a copy.
    """

    __slots__ = ("fill", "load", "reader")

    def __init__(self, reader_class: type[pickle.Unpickler]) -> None:
        file = BytesIO()
        self.fill: Callable[[bytes], None] = file.__init__  # type: ignore[misc]
        self.reader: Any = reader_class(file)
        self.load: Callable[[], object] = self.reader.load


class _PlainPickler(pickle.Pickler):
    def reducer_override(self, value: object) -> Any:
        raise _NotPlain(type(value))


class PickleSerializer:
    """Sessions to payloads and back, with the value types of one registry."""

    __slots__ = (
        "_Reader",
        "_TypedPickler",
        "_check_on",
        "_limits",
        "_match_few",
        "_plain_writers",
        "_registry",
        "_size",
        "_sources",
        "_typed_writers",
    )

    def __init__(self, registry: Registry = default_registry, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._size = limits.size
        grammar = Grammar(limits)
        self._match_few = grammar.match_few  # here without the frame of `check`, and as often as not all there is to it
        self._check_on = grammar.check_on
        self._registry = registry
        self._plain_writers: list[_Writer] = []
        self._sources: list[_Source] = []
        self._typed_writers: list[_Writer] = []
        by_type, by_code = registry.by_type.get, registry.by_code.get

        class TypedPickler(_PlainPickler):
            in_order: Callable[[Any], list[object]]  # given for every session

            def persistent_id(self, value: object) -> object:
                kind = type(value)
                entry = by_type(kind)
                if entry is None:
                    return None
                data = self.in_order(value) if kind is set or kind is frozenset else entry.encode(value)
                return (entry.code, data)

        class Reader(pickle.Unpickler):
            deferred = False

            def find_class(self, module: str, name: str) -> Any:
                raise _Refused(f"an opcode that names the global {module}.{name}")

            def persistent_load(self, pid: object) -> object:
                if type(pid) is not tuple or len(pid) != 2 or type(pid[0]) is not str:
                    raise _Refused("a typed value that is not (code, data)")
                code, data = pid
                entry = by_code(code)
                if entry is None:
                    raise _Refused(f"a value of the type {code[:32]!a}, which is not registered")
                if self.deferred and entry.plain and contains_deferred(data):
                    raise _Refused(f"a value of the type {code!a}, in whose data there is one that is made afterwards")
                # What is not searched is its own data, and within others again: each value is searched once in all.
                if entry.deferred or (self.deferred and entry.fetch is None and contains_deferred(data)):
                    self.deferred = True
                    return Deferred(entry, data)
                return entry.decode(data)

        self._TypedPickler = TypedPickler
        self._Reader = Reader

    def dumps(self, value: object, known: bytes | None = None) -> bytes:
        """Serialize a value into a payload that `loads` accepts.

        :param known: a payload that `loads` has accepted. It is returned itself, the same object, when the value
            still serializes to it.
        :raises NotSerializableError: naming the path of the value that cannot be stored.
        :raises TooLarge: when the payload would be larger than the limit.
        """
        try:
            try:
                writer = self._plain_writers.pop()
            except IndexError:
                writer = _Writer(_PlainPickler, self._size)
            writer.dump(value)
            written, writer.written = writer.written, b""
            payload = written[_HEAD_LENGTH if written[_FRAME_AT] == _FRAME_OPCODE else _FRAME_AT :]
            if known is not None and payload == known:
                self._plain_writers.append(writer)
                return known
            match = self._match_few(payload)
            if not match.lastindex or len(payload) > self._size:
                self._check_on(payload, match)
            # Given back only now: a pickler in fast mode that has met a frozenset has miscounted (CPython gh-146059).
            self._plain_writers.append(writer)
            return payload
        except TooLarge:
            raise
        except Exception:  # noqa: BLE001, S110  # whatever the plain pickler cannot do, the other one does or explains
            pass
        return self._dumps_typed(value, known)

    def _dumps_typed(self, value: object, known: bytes | None) -> bytes:
        try:
            try:
                writer = self._typed_writers.pop()
            except IndexError:
                writer = _Writer(self._TypedPickler, self._size)
            self._registry.begin()
            writer.pickler.in_order = self._registry.ordering()
            writer.dump(value)
            written, writer.written = writer.written, b""
            payload = written[_HEAD_LENGTH if written[_FRAME_AT] == _FRAME_OPCODE else _FRAME_AT :]
            if known is not None and payload == known:
                payload = known
            else:
                self.loads(payload, fetching=False)  # what cannot be read back is not sealed
        except TooLarge:
            raise
        except TooMany:
            raise TooManyValues from None
        except Exception as error:  # encoders are anybody's code
            if type(error) is _NotPlain and self._registry.adopt(*error.args):
                return self._dumps_typed(value, known)
            raise FaultFinder(self._registry, self._limits).find(value, error) from error
        self._typed_writers.append(writer)
        return payload

    def loads(self, payload: bytes, *, fetching: bool = True) -> object:
        """Make the value that a payload holds.

        :param fetching: without it, what is kept by reference is only checked, and what holds it is not made.
        :raises UnsealError: ``forbidden_value`` for every payload that is not of the form. What a ``fetch`` of the
            registry raises passes.
        """
        match = self._match_few(payload)
        if not match.lastindex or len(payload) > self._size:
            self._check_on(payload, match)
        try:
            source = self._sources.pop()
        except IndexError:
            source = _Source(self._Reader)
        source.fill(_frame(_FRAME_OPCODE, len(payload)) + payload)
        try:
            value = source.load()
            if source.reader.deferred:
                source.reader.deferred = False
                if fetching:
                    self._registry.begin()
                value = make(value, fetching)
            self._sources.append(source)
            return value
        except _Refused as error:
            raise UnsealError("forbidden_value", f"a payload with {error}") from None
        except NotFetched as error:
            passing: Exception = error.args[0]
        except _REFUSALS as error:
            raise UnsealError("forbidden_value", f"a payload that cannot be read: {type(error).__name__}") from error
        raise passing  # here, where it keeps the cause that it came with
