"""The types of values a session can hold, besides the plain ones: type <-> (code, data).

Rules:

1. Plain types are None, bool, int, float, str, bytes, list, tuple and dict. Serializers write them as they are.
2. Every other type is registered: a short code for the wire, `encode` from the value to data, and `decode` back.
3. A type means exactly that type. A subclass is another type and has to be registered itself.
4. `decode` gets data that may be hostile. It checks exact types, shape and size, builds the value by the public,
   checking constructor, and never calls, imports or opens what the data names. Whatever it raises refuses the token.
5. `encode` is canonical: equal state gives equal data in every process, whatever its hash seed, because changes
   are found by comparing serialized sessions.
"""

import types
from abc import ABCMeta
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from sealedsession.default_types import CLASSES, DEFAULT_TYPES, PLAIN
from sealedsession.errors import ConfigError, NotSerializable

T = TypeVar("T")

MAX_DEPTH = 256  # nesting; recursive users of a session, repr and json among them, stop at about 1,000
MAX_INT_BYTES = 32  # 256 bits: ids, hashes and keys fit, and str() of the largest takes no time
_CODE = 32  # characters of a code

# Methods that pickle's opcodes could call on an instance while a payload is being read. Instances of classes that
# have one are made after the reading is over.
_REACHABLE = ("append", "extend", "add", "__setitem__", "__setstate__", "__call__")
_ATTRIBUTE_HOOKS = ("__getattr__", "__getattribute__")
_OBJECT_LOOKUP = object.__getattribute__


class ValueType(NamedTuple):
    """A registered type.

    :param deferred: whether instances may only be made after the whole payload has been read.
    """

    cls: type
    code: str
    encode: Callable[[Any], object]
    decode: Callable[[Any], object]
    deferred: bool


class Registry:
    """The value types that one middleware's sessions can hold: those below, and those registered."""

    __slots__ = ("by_code", "by_type")

    def __init__(self) -> None:
        self.by_type: dict[type, ValueType] = {}
        self.by_code: dict[str, ValueType] = {}
        for cls, code, encode, decode in DEFAULT_TYPES:
            self._add(ValueType(cls, code, encode, decode, _is_reachable(cls)))
        for cls in (set, frozenset):
            self._add(self.by_type[cls]._replace(encode=self._in_order, deferred=False))
        # A class as a value. Its methods could be looked up during the reading, so it is made afterwards.
        self._add(ValueType(type, "t", _encode_class, _decode_class, True))
        self.by_type[ABCMeta] = self.by_type[type]  # the class of the class Fraction, for one

    def register(self, cls: type[T], code: str, *, encode: Callable[[T], object], decode: Callable[[Any], T]) -> None:
        """Let sessions hold instances of exactly this class.

        :param code: 1 to 32 characters, the type's name on the wire. It may never be given to another type.
        :param encode: makes plain data, or values of registered types, of an instance.
        :param decode: makes an instance of such data. The data may be hostile: see the rules of this module.
        :raises ConfigError: when the type or the code is taken, or the code is not a short string.
        """
        if not isinstance(cls, type):
            raise ConfigError(f"register() takes a class, and a {type(cls).__name__} was given")
        if type(code) is not str or not 1 <= len(code) <= _CODE:
            raise ConfigError(f"the code of {cls.__qualname__} has to be a str of 1 to {_CODE} characters")
        if cls in PLAIN or cls in self.by_type:
            raise ConfigError(f"sessions hold {cls.__qualname__} already: it cannot be registered again")
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

    def _add(self, entry: ValueType) -> None:
        self.by_type[entry.cls] = self.by_code[entry.code] = entry

    def _in_order(self, elements: Iterable[object]) -> list[object]:
        """A set's elements in an order that depends on nothing but them."""
        members: list[Any] = list(elements)
        kinds = {type(member) for member in members}
        if len(kinds) <= 1 and kinds <= {str, int, bytes}:
            return sorted(members)
        return sorted(members, key=lambda member: _spelling(member, self.by_type))


def _is_reachable(cls: type) -> bool:
    """Whether an opcode could call into the class. The attribute look-up that builtins have is no such call."""
    bases = cls.__mro__[:-1]
    return any(name in vars(base) for base in bases for name in _REACHABLE) or any(
        not isinstance(vars(base).get(name, _OBJECT_LOOKUP), types.WrapperDescriptorType)
        for base in bases
        for name in _ATTRIBUTE_HOOKS
    )


def _spelling(value: Any, by_type: Mapping[type, ValueType]) -> tuple[str, object]:
    """A sort key for values of any types: with equal first members, the second ones can be compared."""
    kind = type(value)
    if kind is tuple or kind is list:
        return (kind.__name__, [_spelling(member, by_type) for member in value])
    if kind is dict:
        return ("dict", [_spelling(item, by_type) for item in value.items()])
    entry = by_type.get(kind)
    return (kind.__name__, repr(value)) if entry is None else (entry.code, _spelling(entry.encode(value), by_type))


def _encode_class(value: type) -> object:
    if CLASSES.get(value.__name__) is not value:
        name = f"{value.__module__}.{value.__qualname__}"
        raise TypeError(f"{name} is a class, and only the classes of default types can be values")
    return value.__name__


def _decode_class(data: object) -> type:
    if type(data) is not str:
        raise TypeError(f"a {type(data).__name__} for the name of a class")
    return CLASSES[data]


def find_fault(value: Any, registry: Registry) -> NotSerializable | None:
    """Find the first value that cannot be stored, for an error that names its path.

    Slow, and called only when a serializer has failed.
    """
    return _find_fault(value, registry, "session", ())


def _find_fault(value: Any, registry: Registry, path: str, parents: tuple[int, ...]) -> NotSerializable | None:
    if id(value) in parents:
        return NotSerializable(path, type(value), "it contains itself. Store a value without the circle")
    if len(parents) > MAX_DEPTH:
        return NotSerializable(path[:60] + "...", type(value), f"it is nested more than {MAX_DEPTH} deep")
    inside = (*parents, id(value))
    kind = type(value)
    if kind is int:
        return _int_fault(value, path)
    if kind is dict:
        for key, member in value.items():
            key_path = f"{path}[{_short(key)}]"
            fault = _find_fault(key, registry, f"{key_path} (the key)", inside) or _find_fault(
                member, registry, key_path, inside
            )
            if fault:
                return fault
    elif kind is list or kind is tuple:
        for index, member in enumerate(value):
            if fault := _find_fault(member, registry, f"{path}[{index}]", inside):
                return fault
    elif kind not in PLAIN:
        return _typed_fault(value, registry, path, inside)
    return None


def _typed_fault(value: Any, registry: Registry, path: str, inside: tuple[int, ...]) -> NotSerializable | None:
    kind = type(value)
    entry = registry.by_type.get(kind)
    name = f"{kind.__module__}.{kind.__qualname__}"
    if entry is None:
        return NotSerializable(
            path,
            kind,
            f"values of type {name} are not stored in sessions. Store plain values "
            "(str, int, list, dict, datetime ...), or what it takes to fetch it again",
        )
    try:
        data = entry.encode(value)
    except Exception as error:  # noqa: BLE001  # an encoder is anybody's code, and its complaint is the message
        return NotSerializable(path, kind, f"this {name} cannot be stored: {error}")
    if fault := _find_fault(data, registry, path, inside):
        return fault
    try:
        entry.decode(data)
    except Exception as error:  # noqa: BLE001  # likewise
        return NotSerializable(path, kind, f"this {name} is beyond what a session takes: {error}")
    return None


def _int_fault(value: int, path: str) -> NotSerializable | None:
    if value.bit_length() < 8 * MAX_INT_BYTES:
        return None
    return NotSerializable(
        path,
        int,
        f"it has {value.bit_length()} bits, and {8 * MAX_INT_BYTES - 1} is the most. Store it as bytes or str",
    )


def _short(key: object) -> str:
    text = repr(key)
    return text if len(text) <= 60 else text[:57] + "..."
