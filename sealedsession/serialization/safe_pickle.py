"""The allow-list pickle serializer. No other module imports pickle.

The format is pickle protocol 4, reduced to 26 opcodes and without its constant head. Plain types are written natively.
Every other value is a BINPERSID of (code, data), by the entries of registry.py.

These rules hold for every payload, including forged ones:

1. The grammar (pickle_grammar.py) must match the whole payload before it is unpickled. No opcode of the grammar names,
   imports, calls or builds anything. There is no memo, so the size of a payload bounds the size of its value.
2. The unpickler's `find_class` always refuses. To run code, an attacker would have to defeat both this and the grammar.
3. Size, nesting and the length of ints are checked before the payload is unpickled.
4. Instances of classes that opcodes could call into are created after the payload has been unpickled.
5. Every refusal is an `UnsealError` with the reason ``forbidden_value``.
"""

import pickle
import struct
from collections.abc import Callable
from io import BytesIO
from typing import Any

from sealedsession.errors import UnsealError
from sealedsession.serialization.deferred import Deferred, FetchError, contains_deferred, resolve_deferred
from sealedsession.serialization.diagnosis import FaultFinder
from sealedsession.serialization.limits import (
    DEFAULT_LIMITS,
    LimitExceededError,
    Limits,
    PayloadTooLargeError,
    TooManyValuesError,
)
from sealedsession.serialization.pickle_grammar import Grammar
from sealedsession.serialization.registry import DECODE_ERRORS, Registry, default_registry

# The pickler's head, which is PROTO 4 and one FRAME around the whole payload, is not stored. This saves 15 characters
# of a cookie. The reader adds the FRAME, so an attacker cannot choose its length: with a frame that ends inside an
# argument, some versions of the unpickler run other opcodes than the grammar has checked (CPython gh-154848). The
# unpickler does not need PROTO.
_FRAME_OPCODE = 0x95
_pack_frame = struct.Struct("<BQ").pack  # the opcode, and the number of bytes that follow
_PROTO_LENGTH, _HEAD_LENGTH = 2, 11  # bytes; around less than 4 bytes, the pickler writes no FRAME

_READ_ERRORS: tuple[type[Exception], ...] = (*DECODE_ERRORS, pickle.UnpicklingError)


class _NotPlainError(Exception):
    """Stops a pickler at the first value that it cannot write. The argument is the type of the value."""


class _RefusedError(Exception):
    """Stops the unpickler at a value that a payload must not contain."""


class _Writer:
    """A C pickler without a memo, and the file that it writes to.

    Creating one takes as long as pickling a small session, so serializers keep them in lists. A writer that `list.pop`
    has removed belongs to one thread until `list.append` returns it.
    """

    __slots__ = ("_max_length", "_written", "dump", "pickler")

    def __init__(self, pickler_class: type[pickle.Pickler], size: int) -> None:
        self.pickler: Any = pickler_class(self, 4)
        self.pickler.fast = True
        self.dump: Callable[[object], None] = self.pickler.dump
        self._written = b""
        self._max_length = size + _HEAD_LENGTH

    def write(self, data: bytes) -> None:
        """Receive the pickler's output.

        :raises PayloadTooLargeError: before the output exceeds the limit. A shared value is written wherever it
            occurs, so the output could grow without bound.
        """
        # The pickler writes pieces of 64 KiB, so a payload within the limit is a single piece.
        if self._written or len(data) > self._max_length:
            raise PayloadTooLargeError
        self._written = data

    def take_payload(self) -> bytes:
        """Return the last dump without its head, and prepare for the next one."""
        written, self._written = self._written, b""
        return written[_HEAD_LENGTH if written[_PROTO_LENGTH] == _FRAME_OPCODE else _PROTO_LENGTH :]


class _Reader:
    """A C unpickler without a memo, and the file that it reads from. Serializers reuse readers as they reuse writers.

    An unpickler can read one pickle after another. After an error it is discarded, because it may have stopped in the
    middle of a pickle.

    :ivar fill: replaces the content of the file by the bytes of one pickle, without a copy.
    """

    __slots__ = ("fill", "load", "unpickler")

    def __init__(self, unpickler_class: type[pickle.Unpickler]) -> None:
        file = BytesIO()
        self.fill: Callable[[bytes], None] = file.__init__  # type: ignore[misc]
        self.unpickler: Any = unpickler_class(file)
        self.load: Callable[[], object] = self.unpickler.load


class _PlainPickler(pickle.Pickler):
    def reducer_override(self, value: object) -> Any:
        raise _NotPlainError(type(value))


class PickleSerializer:
    """Serializes values as allow-list pickle.

    :param registry: the types that values can have, besides the plain ones.
    :param limits: the limits of a payload.
    """

    __slots__ = (
        "_check",
        "_limits",
        "_plain_writers",
        "_readers",
        "_registry",
        "_typed_pickler_class",
        "_typed_writers",
        "_unpickler_class",
    )

    def __init__(self, registry: Registry = default_registry, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._check = Grammar(limits).check
        self._registry = registry
        self._plain_writers: list[_Writer] = []
        self._typed_writers: list[_Writer] = []
        self._readers: list[_Reader] = []
        by_type, by_code = registry.by_type.get, registry.by_code.get

        class TypedPickler(_PlainPickler):
            sort_set: Callable[[Any], list[object]]  # set before each dump

            def persistent_id(self, value: object) -> object:
                kind = type(value)
                entry = by_type(kind)
                if entry is None:
                    return None
                data = self.sort_set(value) if kind is set or kind is frozenset else entry.encode(value)
                return (entry.code, data)

        class AllowListUnpickler(pickle.Unpickler):
            has_deferred = False

            def find_class(self, module: str, name: str) -> Any:
                raise _RefusedError(f"an opcode that names the global {module}.{name}")

            def persistent_load(self, pid: object) -> object:
                if type(pid) is not tuple or len(pid) != 2 or type(pid[0]) is not str:
                    raise _RefusedError("a typed value that is not (code, data)")
                code, data = pid
                entry = by_code(code)
                if entry is None:
                    raise _RefusedError(f"a value of type {code[:32]!a}, which is not registered")
                if self.has_deferred and not entry.allow_nested and contains_deferred(data):
                    raise _RefusedError(f"a value of type {code!a}, whose data contains a deferred value")
                # Data of a `Deferred` is not searched again, so all searches together visit each value once.
                if entry.deferred or (self.has_deferred and entry.fetch is None and contains_deferred(data)):
                    self.has_deferred = True
                    return Deferred(entry, data)
                return entry.decode(data)

        self._typed_pickler_class = TypedPickler
        self._unpickler_class = AllowListUnpickler

    def dumps(self, value: object, known: bytes | None = None) -> bytes:
        """Serialize a value.

        :param known: a payload that `loads` has accepted. An equal result is not parsed again.
        :returns: a payload that `loads` accepts.
        :raises NotSerializableError: if a value cannot be stored. The error has its path.
        :raises PayloadTooLargeError: if the payload would exceed the size limit.
        """
        try:
            writer = self._plain_writers.pop()
        except IndexError:
            writer = _Writer(_PlainPickler, self._limits.size)
        try:
            writer.dump(value)
            payload = writer.take_payload()
            if payload != known:
                self._check(payload)
            # Only after the check: in fast mode, a pickler that has met a frozenset keeps a wrong count of its nesting
            # (CPython gh-146059).
            self._plain_writers.append(writer)
            return payload
        except PayloadTooLargeError:
            raise
        except Exception:  # noqa: BLE001, S110  # the typed pickler writes the value or finds out why it cannot
            pass
        return self._dumps_typed(value, known)

    def _dumps_typed(self, value: object, known: bytes | None) -> bytes:
        try:
            writer = self._typed_writers.pop()
        except IndexError:
            writer = _Writer(self._typed_pickler_class, self._limits.size)
        try:
            self._registry.begin_payload()
            writer.pickler.sort_set = self._registry.set_sorter()
            writer.dump(value)
            payload = writer.take_payload()
            if payload != known:
                self.loads(payload, fetch=False)  # never seal a payload that cannot be read
        except PayloadTooLargeError:
            raise
        except LimitExceededError:
            raise TooManyValuesError from None
        except Exception as error:  # an application's encoders may raise anything
            if type(error) is _NotPlainError and self._registry.find_family(*error.args):
                return self._dumps_typed(value, known)
            raise FaultFinder(self._registry, self._limits).find(value, error) from error
        self._typed_writers.append(writer)
        return payload

    def loads(self, payload: bytes, *, fetch: bool = True) -> object:
        """Parse a payload.

        :param fetch: if False, values that are kept by reference are checked but not fetched, and the values that
            contain them are not created.
        :returns: the value.
        :raises UnsealError: ``forbidden_value``, for every payload that the grammar, the limits or a decoder refuses.
            Errors that a registered ``fetch`` raises are not wrapped.
        """
        self._check(payload)
        try:
            reader = self._readers.pop()
        except IndexError:
            reader = _Reader(self._unpickler_class)
        reader.fill(_pack_frame(_FRAME_OPCODE, len(payload)) + payload)
        try:
            value = reader.load()
            if reader.unpickler.has_deferred:
                reader.unpickler.has_deferred = False
                if fetch:
                    self._registry.begin_payload()
                value = resolve_deferred(value, fetch=fetch)
            self._readers.append(reader)
            return value
        except _RefusedError as error:
            raise UnsealError("forbidden_value", f"a payload with {error}") from None
        except FetchError as error:
            fetch_error: Exception = error.args[0]
        except _READ_ERRORS as error:
            raise UnsealError("forbidden_value", f"a payload that cannot be read: {type(error).__name__}") from error
        raise fetch_error  # outside of the handler, so that the error keeps its own __cause__ and __context__
