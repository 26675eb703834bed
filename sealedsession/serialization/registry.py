"""The types of values a session or a state can hold, besides the plain ones: type <-> (code, data).

Rules:

1. Plain types are None, bool, int, float, str, bytes, list, tuple and dict. Serializers write them as they are.
2. Every other type is registered: a short code for the wire, `encode` from the value to data, and `decode` back.
3. A type means exactly that type. A subclass is another type and has to be registered itself.
4. `decode` gets data that may be hostile. It checks exact types, shape and size, builds the value by the public,
   checking constructor, and never calls, imports or opens what the data names. It refuses data by one of `REFUSALS`.
5. `encode` is canonical: equal state gives equal data in every process, whatever its hash seed, because changes
   are found by comparing serialized sessions.
"""

import enum
import struct
import types
import uuid
import zoneinfo
from abc import ABCMeta
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, NamedTuple, TypeVar

from sealedsession.errors import ConfigError, SealedSessionError, got
from sealedsession.serialization import class_codecs as shapes
from sealedsession.serialization.standard_types import CLASSES, DEFAULT_TYPES, PLAIN

T = TypeVar("T")

_CODE = 32  # characters of a code

# Methods that pickle's opcodes call on an instance while a payload is being read. Instances of classes that have one
# are made after the reading is over. The grammar lets only append, extend and __setitem__ be reached; this does not
# rely on it.
_REACHABLE = ("append", "extend", "add", "__setitem__", "__setstate__", "__call__")
_ATTRIBUTE_HOOKS = ("__getattr__", "__getattribute__")
_OBJECT_LOOKUP = object.__getattribute__


# What parsers and decoders raise for data that they do not accept: the payload is refused. Any other error, such as an
# OSError or a signal handler's timeout, is not the payload's fault. It reaches the application, and the browser keeps
# its cookie.
REFUSALS: tuple[type[Exception], ...] = (
    ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, MemoryError, RuntimeError,
    SealedSessionError, StopIteration, TypeError, ValueError,
)  # fmt: skip


class ValueType(NamedTuple):
    """A registered type.

    :param deferred: whether instances may only be made after the whole payload has been read.
    :param fetch: given what `decode` made for all instances in a payload, gets the values; see references.py. A type
        that has one and is not deferred becomes its data: that is what `decode` gives back, whatever is in it.
    :param plain: whether data is refused that holds what is made after the reading, and so would be fetched alone.
    """

    cls: type
    code: str
    encode: Callable[[Any], object]
    decode: Callable[[Any], object]
    deferred: bool
    fetch: Callable[[list[Any]], list[Any]] | None = None
    plain: bool = False


class Registry:
    """The value types that one middleware's sessions can hold: the default ones, and those registered."""

    __slots__ = ("by_code", "by_type")

    import_path: ClassVar[str] = "sealedsession.default_registry"  # in the code of an application, for errors

    def __init__(self) -> None:
        self.by_type: dict[type, ValueType] = {}
        self.by_code: dict[str, ValueType] = {}
        for cls, code, encode, decode in DEFAULT_TYPES:
            self._add(ValueType(cls, code, encode, decode, _is_reachable(cls)))
        for cls in (set, frozenset):
            self._add(self.by_type[cls]._replace(encode=self._in_order, deferred=False))
        # Sets, and UUIDs, which have a __setstate__, can be keys and so have to be made at once.
        self._add(self.by_type[uuid.UUID]._replace(deferred=False))
        # A slice as the key of SETITEM would assign to a part of a list, and so let a range fill all memory.
        self._add(self.by_type[slice]._replace(deferred=True))
        # A class as a value. Its methods could be looked up during the reading, so it is made afterwards.
        self._add(ValueType(type, "t", _encode_class, _decode_class, True))
        self.by_type[ABCMeta] = self.by_type[type]  # the class of the class Fraction, for one

    def register(self, cls: type[T], code: str, *, encode: Callable[[T], object], decode: Callable[[Any], T]) -> None:
        """Let sessions hold instances of exactly this class.

        :param code: 1 to 32 characters, the type's name on the wire. It may never be given to another type.
        :param encode: makes plain data, or values of registered types, of an instance.
        :param decode: makes an instance from such data. The data may be hostile: see the rules of this module. It
            refuses data by raising a ValueError, TypeError, LookupError, AttributeError, ArithmeticError,
            AssertionError, EOFError or RuntimeError: the cookie is then rejected. Any other exception reaches the
            application.
        :raises ConfigError: when the type or the code is taken, or the code is not a short string.
        """
        if not isinstance(cls, type):
            raise ConfigError(f"register() takes a class{got(cls)}")
        if type(code) is not str or not 1 <= len(code) <= _CODE:
            raise ConfigError(f"the code of {cls.__qualname__} has to be a str of 1 to {_CODE} characters")
        if cls in PLAIN or cls in self.by_type:
            raise ConfigError(f"sessions hold {cls.__qualname__} already: it cannot be registered again")
        if not callable(encode) or not callable(decode):
            raise ConfigError(f"encode and decode of {cls.__qualname__} have to be functions")
        if code in self.by_code:
            raise ConfigError(
                f"code {code!r} is that of {self.by_code[code].cls.__qualname__}: {cls.__qualname__} needs another"
            )

        def checked(data: Any) -> T:
            value = decode(data)
            if type(value) is not cls:
                raise TypeError(f"the decoder of {code!r} made a {type(value).__name__}")
            return value

        self._add(ValueType(cls, code, encode, checked, _is_reachable(cls)))

    def register_enum(self, cls: type[enum.Enum], code: str) -> None:
        """Let sessions hold the members of an enum, by value.

        :raises ConfigError: as `register`, and for a Flag, or values that are not hashable.
        """
        self._register(cls, code, shapes.enum_codec(cls))

    def register_dataclass(self, cls: type[Any], code: str) -> None:
        """Let sessions hold a dataclass: the values of its fields, each of exactly the annotated types, in order.

        Reading one calls the class with possibly hostile values of these types: its ``__init__`` and ``__post_init__``
        have to expect any of them. When the fields change, stored sessions do not fit any more: change the code too.

        :raises ConfigError: as `register`, and for annotations that cannot be checked.
        """
        self._register(cls, code, shapes.dataclass_codec(cls))

    def register_namedtuple(self, cls: type[Any], code: str) -> None:
        """Let sessions hold a named tuple; where it has annotations, with members of exactly these types.

        :raises ConfigError: as `register`, and for annotations that cannot be checked.
        """
        self._register(cls, code, shapes.namedtuple_codec(cls))

    def register_subclass(self, cls: type[Any], code: str) -> None:
        """Let sessions hold a subclass of str, int, float or bytes, made by calling it with the plain value.

        :raises ConfigError: as `register`.
        """
        self._register(cls, code, shapes.subclass_codec(cls))

    def register_zoneinfo(self, names: Iterable[str], code: str = "zone") -> None:
        """Let sessions hold these IANA time zones, alone and in a datetime or time. They are loaded here and now.

        :raises ConfigError: as `register`, and for a zone that this machine does not have.
        """
        self._register(zoneinfo.ZoneInfo, code, shapes.zoneinfo_codec(names))

    def begin(self) -> None:
        """Prepare for one payload, that is read or written. Types that share a budget renew it here."""

    def adopt(self, _: type, /) -> bool:
        """Whether a type that is not registered has become so now, as one of a family: see references.py."""
        return False

    def unhashable_during_load(self, key: Any) -> type | None:
        """The type of the first value in a key, itself or within tuples and frozensets, that is made only after a
        payload has been read, and so cannot be in what is hashed meanwhile.
        """
        kind = type(key)
        if kind is tuple or kind is frozenset:
            return next(filter(None, map(self.unhashable_during_load, key)), None)
        entry = self.by_type.get(kind)
        return kind if entry is not None and entry.deferred else None

    def advice_for(self, _: type, /) -> str | None:
        """What to do about a value of a type that is not registered, for errors; None where that is to register it."""
        return None

    def _register(self, cls: type[Any], code: str, codec: shapes.Codec) -> None:
        self.register(cls, code, encode=codec.encode, decode=codec.decode)

    def _add(self, entry: ValueType) -> None:
        self.by_type[entry.cls] = self.by_code[entry.code] = entry

    def ordering(self) -> Callable[[Iterable[object]], list[object]]:
        """A function that puts a set's elements in an order that depends on nothing but them.

        It is for the sets of one session, while that is written: a set within a set is looked at once.
        """
        spell = _Speller(self.by_type).spell

        def in_order(elements: Iterable[object]) -> list[object]:
            members: list[Any] = list(elements)
            kinds = {type(member) for member in members}
            if len(kinds) <= 1 and kinds <= {str, int, bytes}:
                return sorted(members)
            return sorted(members, key=spell)

        return in_order

    def _in_order(self, elements: Iterable[object]) -> list[object]:
        return self.ordering()(elements)


def _is_reachable(cls: type) -> bool:
    """Whether an opcode could call into the class. The attribute look-up that builtins have is no such call."""
    bases = cls.__mro__[:-1]
    return any(name in vars(base) for base in bases for name in _REACHABLE) or any(
        not isinstance(vars(base).get(name, _OBJECT_LOOKUP), types.WrapperDescriptorType)
        for base in bases
        for name in _ATTRIBUTE_HOOKS
    )


class _Speller:
    """Gives sort keys for values of any types: with equal first members, the second ones can be compared."""

    def __init__(self, by_type: Mapping[type, ValueType]) -> None:
        self._by_type = by_type
        # What is shared is spelled once. The value is kept too, so that no other one gets its id.
        self._spelled: dict[int, tuple[Any, tuple[str, object]]] = {}

    def spell(self, value: Any) -> tuple[str, object]:
        """The sort key of a value."""
        if id(value) not in self._spelled:
            self._spelled[id(value)] = (value, self._spell(value))
        return self._spelled[id(value)][1]

    def _spell(self, value: Any) -> tuple[str, object]:
        kind = type(value)
        if kind is tuple or kind is list:
            return (kind.__name__, [self.spell(member) for member in value])
        if kind is set or kind is frozenset:
            return (kind.__name__, sorted(self.spell(member) for member in value))
        if kind is dict:
            return ("dict", [(self.spell(key), self.spell(member)) for key, member in value.items()])
        entry = self._by_type.get(kind)
        if kind is float:
            return ("float", struct.pack(">d", value))  # nan and -nan look alike
        if entry is None:
            return (kind.__name__, repr(value))
        return ("~" + entry.code, self.spell(entry.encode(value)))


def _encode_class(value: type) -> object:
    if CLASSES.get(value.__name__) is not value:
        name = f"{value.__module__}.{value.__qualname__}"
        raise TypeError(f"{name} is a class, and only the classes of default types can be values")
    return value.__name__


def _decode_class(data: object) -> type:
    if type(data) is not str:
        raise TypeError(f"a {type(data).__name__} for the name of a class")
    return CLASSES[data]


# What a SessionConfig without a registry of its own uses.
default_registry = Registry()
