"""Application types for the corpus: registered with our registry, and on the safe lists of the other readers.

The decoders follow the rules of `sealedsession.serialization.registry`. The containers prove that no opcode calls into
an instance: all their methods are the marker.
"""

import collections
import dataclasses
import enum

from sealedsession.serialization.registry import Registry
from tests.security.corpus.marker import hit


class Colour(enum.Enum):
    RED = 1
    BLUE = "blue"


@dataclasses.dataclass(frozen=True)
class Point:
    x: int
    y: int


Pair = collections.namedtuple("Pair", "left right")


class _Uncopied:
    """Copying would call the methods that must not be called by opcodes."""

    def __deepcopy__(self, _: object) -> object:
        return self


class Basket(_Uncopied):
    """A container whose methods have the names that opcodes call."""

    def __init__(self, items: list[object]) -> None:
        self.items = items

    def __repr__(self) -> str:
        return f"Basket({self.items!r})"

    def __eq__(self, other: object) -> bool:
        return type(other) is Basket and self.items == other.items

    __hash__ = None  # type: ignore[assignment]
    append = extend = add = __setitem__ = __setstate__ = __call__ = hit


class Row(_Uncopied, list):  # type: ignore[type-arg]
    """A list of its own kind: the unpickler calls the methods of a subclass."""

    append = extend = __setitem__ = hit


class Table(_Uncopied, dict):  # type: ignore[type-arg]
    """A dict of its own kind."""

    __setitem__ = hit


class Open:
    """Answers for every attribute, `append` and `extend` among them."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return hit

    def __repr__(self) -> str:
        return "Open()"

    def __eq__(self, other: object) -> bool:
        return type(other) is Open

    __hash__ = None  # type: ignore[assignment]


TYPES = (Colour, Point, Pair, Basket, Row, Table, Open)
_COLOURS: dict[tuple[type, object], Colour] = {(type(member.value), member.value): member for member in Colour}


def _ints(data: object) -> tuple[int, int]:
    left, right = data  # type: ignore[misc]
    if type(data) is not tuple or type(left) is not int or type(right) is not int:
        raise TypeError("not two ints")
    return left, right


def _exactly(kind: type, data: object) -> object:
    if type(data) is not kind:
        raise TypeError(f"not a {kind.__name__}")
    return data


def _pair(data: object) -> object:
    left, right = data  # type: ignore[misc]
    return Pair(left, right)


def registry() -> Registry:
    """A registry with the types of this module."""
    made = Registry()
    made.register(Colour, "t:colour", encode=lambda value: value.value, decode=lambda data: _COLOURS[type(data), data])
    made.register(Point, "t:point", encode=lambda value: (value.x, value.y), decode=lambda data: Point(*_ints(data)))
    made.register(Pair, "t:pair", encode=tuple, decode=_pair)
    made.register(
        Basket, "t:basket", encode=lambda value: value.items, decode=lambda data: Basket(_exactly(list, data))
    )
    made.register(Row, "t:row", encode=list, decode=lambda data: Row(_exactly(list, data)))
    made.register(Table, "t:table", encode=dict, decode=lambda data: Table(_exactly(dict, data)))
    made.register(Open, "t:open", encode=lambda _: None, decode=lambda data: Open())
    return made
