"""What hostile payloads call to prove that they ran: it sets a flag and creates an empty file where it stands.

Every case has a fresh directory of its own. Nothing here does anything else.
"""

from pathlib import Path

HITS: list[str] = []
FILE = "ran"


def hit(*_: object, **__: object) -> str:
    """Leave the two marks."""
    HITS.append(FILE)
    Path(FILE).touch()
    return FILE


class OnNew:
    """Runs when it is allocated: NEWOBJ, NEWOBJ_EX, OBJ, INST."""

    def __new__(cls, *_: object, **__: object) -> "OnNew":
        hit()
        return object.__new__(cls)


class OnInit:
    """Runs when it is called: REDUCE, OBJ, INST."""

    def __init__(self, *_: object) -> None:
        hit()


class OnState:
    """Runs when it gets its state: BUILD."""

    def __setstate__(self, state: object) -> None:
        hit()


class OnSetattr:
    """Runs when an attribute is set: BUILD with the state of slots."""

    __slots__ = ("x",)

    def __setattr__(self, name: str, value: object) -> None:
        hit()


class OnHash:
    """Runs when it is a key or an element: SETITEM, SETITEMS, ADDITEMS, FROZENSET."""

    def __hash__(self) -> int:
        hit()
        return 0


class OnDel:
    """Runs when it is dropped."""

    def __del__(self) -> None:
        hit()


class OnMethod:
    """Runs when an opcode stores into it: APPEND, APPENDS, SETITEM, SETITEMS, ADDITEMS."""

    append = extend = add = __setitem__ = hit


class _Meta(type):
    def __call__(cls, *_: object) -> None:
        hit()


class OnMetaCall(metaclass=_Meta):
    """Runs in its metaclass when it is called."""


class Inner:
    """Holds what only a dotted name reaches."""

    hit = staticmethod(hit)
