"""How much a session may come to, in either serializer, and what is wrong with a value that cannot be stored."""

import dataclasses
from typing import ClassVar, cast

from sealedsession.errors import ConfigError, UnsealError

SET_CODES = ("s", "fs")  # of set and frozenset, whose elements are hashed when a payload is read

_LEAST_INT_BYTES = 4  # pickle has opcodes for ints of that size


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a payload may come to. The defaults are the most that can be set.

    :param size: bytes. A cookie holds 3 KB, deflated up to three times as much.
    :param depth: levels of nesting. What recurses over a session, repr and json among them, stops at about 1,000.
    :param nodes: values, keys included; at the default as many as there can be bytes.
    :param typed: values of types that are not plain. A cookie holds 150 dates; of smaller ones, such as Decimal, it
        could hold more than the limit.
    :param hashed: weight of the keys of dicts and the elements of sets, other than str and bytes. An attacker with the
        keys can make these collide, and each is then compared with all others. Each counts as one, a value of a type
        that is not plain as two, and what is inside of it counts too: a tuple of two ints as three, a date as two.
    :param int_bytes: bytes of an int. One bit is the sign: at 32 bytes a UUID fits, and str() takes no time.
    :raises ConfigError: for a limit that is no positive int, above the default, or under 4 for ``int_bytes``.
    """

    what: ClassVar[str] = "session"  # is limited, for errors

    size: int = 8 * 1024
    depth: int = 256
    nodes: int = 8 * 1024
    typed: int = 256
    hashed: int = 256
    int_bytes: int = 32

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value, most = getattr(self, field.name), cast(int, field.default)
            least = _LEAST_INT_BYTES if field.name == "int_bytes" else 1
            if type(value) is not int or not least <= value <= most:
                raise ConfigError(f"limits: {field.name} has to be an int from {least} to {most}")

    def check(self, depth: int, nodes: int, typed: int) -> None:
        """Check the measures of a payload.

        :raises UnsealError: naming the first that is beyond its limit.
        """
        if depth > self.depth:
            raise UnsealError("forbidden_value", f"a payload nested more than {self.depth} deep")
        if nodes > self.nodes:
            raise TooMany("forbidden_value", f"a payload of {nodes} values, and {self.nodes} is the most")
        if typed > self.typed:
            raise TooMany("forbidden_value", f"a payload of {typed} typed values, and {self.typed} is the most")

    def check_hashed(self, weight: int) -> None:
        """Check the weight of what is hashed.

        :raises UnsealError: when it is beyond the limit.
        """
        if weight > self.hashed:
            problem = f"keys and elements, other than str and bytes, of weight {weight}, and {self.hashed} is the most"
            raise TooMany("forbidden_value", f"a payload with {problem}")

    def takes_int(self, value: int) -> bool:
        """Whether an int fits, in two's complement."""
        most = 1 << (8 * self.int_bytes - 1)
        return -most <= value < most


DEFAULT_LIMITS = Limits()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StateLimits(Limits):
    """What a sealed state may come to. It travels in the body of a page, which has more room than a cookie."""

    what: ClassVar[str] = "state"

    size: int = 64 * 1024  # as much as is inflated
    nodes: int = 16 * 1024
    typed: int = 1024
    hashed: int = 1024


class TooLarge(Exception):
    """A session or a state that is larger than a reader takes, when it is serialized."""


class TooManyValues(TooLarge):
    """A session or a state of more values than a reader takes, when it is serialized."""


class TooMany(UnsealError):
    """A payload of more values than a reader takes."""
