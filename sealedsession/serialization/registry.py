"""The registry: the types that a session or a sealed state can hold, and how each is encoded.

Rules:

1. Serializers write plain types (None, bool, int, float, str, bytes, list, tuple and dict) as they are.
2. Every other type must be registered with a code for the wire, and with functions that convert a value to data and
   back, `encode` and `decode`.
3. A type means exactly that type. A subclass is another type and must be registered itself.
4. `decode` may get hostile data. It checks exact types, lengths and ranges, then calls the class's public constructor.
   It never calls, imports or opens what the data names. To refuse data, it raises one of `DECODE_ERRORS`.
5. `encode` is canonical: equal values give equal data in every process, regardless of hash seeds. Changes to a session
   are found by comparing payloads.
"""

import enum
import struct
import types
import uuid
import zoneinfo
from abc import ABCMeta
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, NamedTuple, Self, TypeVar

from sealedsession.errors import ConfigError, SealedSessionError, got
from sealedsession.serialization import class_codecs
from sealedsession.serialization.standard_types import CLASS_VALUES, DEFAULT_TYPES, PLAIN_TYPES

T = TypeVar("T")

_MAX_CODE_LENGTH = 32  # characters

# The methods that pickle opcodes call on an instance while a payload is read. Instances of classes that have one are
# created after the payload has been read. This is a second line of defence: the grammar permits only opcodes that call
# append, extend and __setitem__.
_OPCODE_METHODS = ("append", "extend", "add", "__setitem__", "__setstate__", "__call__")
_ATTRIBUTE_HOOKS = ("__getattr__", "__getattribute__")
_OBJECT_LOOKUP = object.__getattribute__


# The errors by which parsers and decoders refuse a payload. Any other error, such as an OSError or a timeout raised by
# a signal handler, is not the payload's fault: it reaches the application, and the browser keeps its cookie.
DECODE_ERRORS: tuple[type[Exception], ...] = (
    ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, MemoryError, RuntimeError,
    SealedSessionError, StopIteration, TypeError, ValueError,
)  # fmt: skip


class ValueType(NamedTuple):
    """A registered type.

    :ivar deferred: True if instances may only be created after the whole payload has been read.
    :ivar fetch: fetches values that are kept by reference. It gets a list of the references that `decode` returned for
        one payload, and returns a list of as many values. If a type has a ``fetch`` and is not deferred, its instances
        are replaced by whatever `decode` returns. See state/registry.py.
    :ivar allow_nested: False to refuse data that contains deferred values, because such a reference would have to be
        fetched alone.
    """

    cls: type
    code: str
    encode: Callable[[Any], object]
    decode: Callable[[Any], object]
    deferred: bool
    fetch: Callable[[list[Any]], list[Any]] | None = None
    allow_nested: bool = True


class Registry:
    """The types that the sessions of one middleware can hold: the default types and those that are registered.

    :ivar by_type: the entry of each type.
    :ivar by_code: the entry of each code.
    """

    __slots__ = ("by_code", "by_type")

    import_path: ClassVar[str] = "sealedsession.default_registry"  # what applications import, for error messages

    def __init__(self) -> None:
        self.by_type: dict[type, ValueType] = {}
        self.by_code: dict[str, ValueType] = {}
        for cls, code, encode, decode in DEFAULT_TYPES:
            self.add(ValueType(cls, code, encode, decode, _has_opcode_methods(cls)))
        # Sets and UUIDs are created at once, because they can be parts of keys. They have an `add` or a `__setstate__`.
        for cls in (set, frozenset):
            self.add(self.by_type[cls]._replace(encode=self._encode_set, deferred=False))
        self.add(self.by_type[uuid.UUID]._replace(deferred=False))
        # SETITEM with a slice as the key would assign to a part of a list, and a range could then fill all memory.
        self.add(self.by_type[slice]._replace(deferred=True))
        # A class can be a value. It is created after the payload has been read, because opcodes could look
        # up its methods.
        self.add(ValueType(type, "t", _encode_class, _decode_class, True))
        self.by_type[ABCMeta] = self.by_type[type]  # the type of some of these classes, such as Fraction

    def copy(self) -> Self:
        """Return a registry with the same types. To register a type with one of the two does not change the other."""
        made = type(self)()
        for code, entry in self.by_code.items():
            made.by_code.setdefault(code, entry)
        for cls, entry in self.by_type.items():
            made.by_type.setdefault(cls, entry)
        return made

    def register(self, cls: type[T], code: str, *, encode: Callable[[T], object], decode: Callable[[Any], T]) -> None:
        """Let sessions hold instances of exactly this class.

        :param code: the type's name on the wire, 1 to 32 characters. Never use it for another type later.
        :param encode: converts an instance to plain data or to values of registered types.
        :param decode: converts such data to an instance. The data may be hostile: check it before you use it. To
            refuse it, raise a ValueError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError,
            EOFError or RuntimeError: the cookie is then rejected. Any other exception reaches the application.
        :raises ConfigError: if the type or the code is registered already, or an argument is invalid.
        """
        if not isinstance(cls, type):
            raise ConfigError(f"register: cls must be a class{got(cls)}")
        name = cls.__qualname__
        if type(code) is not str or not 1 <= len(code) <= _MAX_CODE_LENGTH:
            actual = f", got {len(code)} characters" if type(code) is str else got(code)
            raise ConfigError(f"{name}: the code must be a str of 1 to {_MAX_CODE_LENGTH} characters{actual}")
        if cls in PLAIN_TYPES or cls in self.by_type:
            raise ConfigError(f"{name}: sessions can hold this type already. Do not register it again")
        if not callable(encode) or not callable(decode):
            raise ConfigError(
                f"{name}: encode and decode must be functions{got(decode if callable(encode) else encode)}"
            )
        if code in self.by_code:
            other = self.by_code[code].cls.__qualname__
            raise ConfigError(f"{name}: the code {code!r} belongs to {other}. Choose another code")

        def decode_exactly(data: Any) -> T:
            value = decode(data)
            if type(value) is not cls:
                raise TypeError(f"the decoder of {code!r} must return a {name}{got(value)}")
            return value

        self.add(ValueType(cls, code, encode, decode_exactly, _has_opcode_methods(cls)))

    def register_enum(self, cls: type[enum.Enum], code: str) -> None:
        """Let sessions hold the members of an enum. They are stored by value.

        :param code: as in `register`.
        :raises ConfigError: as `register`, and if the enum is a Flag or a member has an unhashable value.
        """
        self.add_codec(cls, code, class_codecs.enum_codec(cls))

    def register_dataclass(self, cls: type[Any], code: str) -> None:
        """Let sessions hold a dataclass. The values of its fields are stored in order, each of exactly the annotated
        type.

        Reading an instance calls the class with values that may be hostile. They are of the annotated types, and
        ``__init__`` and ``__post_init__`` must expect every such value. Change the code whenever the fields change,
        because stored sessions then do not fit the class.

        :param code: as in `register`.
        :raises ConfigError: as `register`, and if an annotation cannot be checked.
        """
        self.add_codec(cls, code, class_codecs.dataclass_codec(cls))

    def register_namedtuple(self, cls: type[Any], code: str) -> None:
        """Let sessions hold a named tuple. If it has annotations, its members must be of exactly these types.

        :param code: as in `register`.
        :raises ConfigError: as `register`, and if an annotation cannot be checked.
        """
        self.add_codec(cls, code, class_codecs.namedtuple_codec(cls))

    def register_subclass(self, cls: type[Any], code: str) -> None:
        """Let sessions hold a subclass of str, int, float or bytes. Reading calls the class with the plain value.

        :param code: as in `register`.
        :raises ConfigError: as `register`, and if the class is not such a subclass.
        """
        self.add_codec(cls, code, class_codecs.subclass_codec(cls))

    def register_zoneinfo(self, names: Iterable[str], code: str = "zone") -> None:
        """Let sessions hold these time zones, as values and in a datetime or time. The zones are loaded immediately.

        :param names: IANA names, such as ``Europe/Berlin``.
        :param code: as in `register`.
        :raises ConfigError: as `register`, and if a zone does not exist on this machine.
        """
        self.add_codec(zoneinfo.ZoneInfo, code, class_codecs.zoneinfo_codec(names))

    def begin_payload(self) -> None:
        """Prepare for reading or writing one payload. Types that share a budget renew it here."""

    def find_family(self, _: type, /) -> ValueType | None:
        """Look for a family that an unregistered type belongs to, and register the type with it.

        :returns: the family's entry, or None. A plain `Registry` has no families: see state/registry.py.
        """
        return None

    def unhashable_during_load(self, key: Any) -> type | None:
        """Look for a value that cannot be hashed while a payload is read, because it is created only afterwards.

        :param key: a dict key. Tuples and frozensets are searched.
        :returns: the type of the first such value, or None.
        """
        kind = type(key)
        if kind is tuple or kind is frozenset:
            return next(filter(None, map(self.unhashable_during_load, key)), None)
        entry = self.by_type.get(kind)
        return kind if entry is not None and entry.deferred else None

    def advice_for(self, _: type, /) -> str | None:
        """Return what to do about a value of an unregistered type, for an error message.

        :returns: None if the advice is to register the type.
        """
        return None

    def set_sorter(self) -> Callable[[Iterable[object]], list[object]]:
        """Return a function that sorts the elements of a set, in an order that depends on the elements only.

        Use one function for all sets of one payload: it caches what it needs for sets in sets.
        """
        sort_key = _SortKeys(self.by_type).sort_key

        def sort_set(elements: Iterable[object]) -> list[object]:
            members: list[Any] = list(elements)
            kinds = {type(member) for member in members}
            if len(kinds) <= 1 and kinds <= {str, int, bytes}:
                return sorted(members)
            return sorted(members, key=sort_key)

        return sort_set

    def _encode_set(self, elements: Iterable[object]) -> list[object]:
        return self.set_sorter()(elements)

    def add_codec(self, cls: type[Any], code: str, codec: class_codecs.Codec) -> None:
        """Let sessions hold instances of a class, by a codec."""
        self.register(cls, code, encode=codec.encode, decode=codec.decode)

    def add(self, entry: ValueType) -> None:
        """Add an entry, or replace the one of the same type, without checks."""
        self.by_type[entry.cls] = self.by_code[entry.code] = entry


def _has_opcode_methods(cls: type) -> bool:
    """Return whether an opcode could call into the class. The built-in attribute look-up is not such a call."""
    bases = cls.__mro__[:-1]
    return any(name in vars(base) for base in bases for name in _OPCODE_METHODS) or any(
        not isinstance(vars(base).get(name, _OBJECT_LOOKUP), types.WrapperDescriptorType)
        for base in bases
        for name in _ATTRIBUTE_HOOKS
    )


class _SortKeys:
    """Sort keys for values of any types. Each begins with the name of the type, so any two can be compared."""

    def __init__(self, by_type: Mapping[type, ValueType]) -> None:
        self._by_type = by_type
        # By id, so that a shared value is converted once. The value is stored too, so that its id is not reused.
        self._cache: dict[int, tuple[Any, tuple[str, object]]] = {}

    def sort_key(self, value: Any) -> tuple[str, object]:
        """Return the sort key of a value."""
        if id(value) not in self._cache:
            self._cache[id(value)] = (value, self._make(value))
        return self._cache[id(value)][1]

    def _make(self, value: Any) -> tuple[str, object]:
        kind = type(value)
        if kind is tuple or kind is list:
            return (kind.__name__, [self.sort_key(member) for member in value])
        if kind is set or kind is frozenset:
            return (kind.__name__, sorted(self.sort_key(member) for member in value))
        if kind is dict:
            return ("dict", [(self.sort_key(key), self.sort_key(member)) for key, member in value.items()])
        entry = self._by_type.get(kind)
        if kind is float:
            return ("float", struct.pack(">d", value))  # repr() is the same for nan and -nan
        if entry is None:
            return (kind.__name__, repr(value))
        return ("~" + entry.code, self.sort_key(entry.encode(value)))


def _encode_class(value: type) -> object:
    if CLASS_VALUES.get(value.__name__) is not value:
        name = f"{value.__module__}.{value.__qualname__}"
        raise TypeError(f"{name} is a class, and only the classes of plain and default types can be values")
    return value.__name__


def _decode_class(data: object) -> type:
    if type(data) is not str:
        raise TypeError(f"expected the name of a class, got {type(data).__name__}")
    return CLASS_VALUES[data]


default_registry: Registry = Registry()  # the registry of every SessionConfig for which none is given
