"""Size limits of payloads, for both serializers.

Rules:

1. A limit bounds the time and memory that a forged payload can cost. It can be lowered, never raised.
2. Serializers check the same limits when they write, so that every payload they write can be read again.
3. Except for `size`, a limit measures the value and not its encoding: both serializers count the same.
"""

import dataclasses
from typing import ClassVar, cast

from sealedsession.errors import ConfigError, UnsealError, got

SET_CODES = ("s", "fs")  # the codes of set and frozenset, whose elements are hashed when a payload is read

_MIN_INT_BYTES = 4  # pickle has an opcode for ints of this size, which a lower limit would not restrict


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of a session's payload. The defaults are the maximum values.

    :param size: bytes. A cookie holds 3 KB, or up to three times as much if it is compressed.
    :param depth: levels of nesting. Python code that recurses over a session, such as repr() and json, fails at about
        1,000 levels.
    :param nodes: values, including keys. At the default, `size` is reached first.
    :param typed: values of registered types, including the default types. A cookie has room for about 150 dates, but
        for more Decimals than this.
    :param hashed: total weight of dict keys and set elements other than str and bytes. An attacker who has stolen the
        sealing keys can make their hashes collide, and Python then compares each with all others. A plain value weighs
        1, a value of a registered type 2, each plus the weight of its content: a tuple of two ints weighs 3, a date 2.
    :param int_bytes: bytes of an int in two's complement, at least 4. 32 bytes are enough for the int of a UUID, and
        str() is fast.
    :raises ConfigError: if a limit is not an int, less than 1 (``int_bytes``: 4), or above its default.
    """

    object_name: ClassVar[str] = "session"  # for error messages

    size: int = 8 * 1024
    depth: int = 256
    nodes: int = 8 * 1024
    typed: int = 256
    hashed: int = 256
    int_bytes: int = 32

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value, most = getattr(self, field.name), cast(int, field.default)
            least = _MIN_INT_BYTES if field.name == "int_bytes" else 1
            if type(value) is not int or not least <= value <= most:
                actual = f", got {value}" if type(value) is int else got(value)
                raise ConfigError(f"limits: {field.name} must be an int from {least} to {most}{actual}")

    def check(self, depth: int, nodes: int, typed: int) -> None:
        """Check the measurements of a payload.

        :param depth: levels of nesting.
        :param nodes: number of values, including keys.
        :param typed: number of values of registered types.
        :raises UnsealError: ``forbidden_value``, with the first limit that is exceeded.
        """
        if depth > self.depth:
            raise UnsealError("forbidden_value", f"a payload nested more than {self.depth} levels deep")
        if nodes > self.nodes:
            raise LimitExceededError("forbidden_value", f"a payload of {nodes} values; the limit is {self.nodes}")
        if typed > self.typed:
            raise LimitExceededError("forbidden_value", f"a payload of {typed} typed values; the limit is {self.typed}")

    def check_hashed(self, weight: int) -> None:
        """Check the total weight of dict keys and set elements.

        :raises UnsealError: ``forbidden_value``, if the weight exceeds the limit.
        """
        if weight > self.hashed:
            problem = f"keys and elements, other than str and bytes, of weight {weight}; the limit is {self.hashed}"
            raise LimitExceededError("forbidden_value", f"a payload with {problem}")

    def allows_int(self, value: int) -> bool:
        """Return whether an int fits into ``int_bytes`` bytes, in two's complement."""
        most = 1 << (8 * self.int_bytes - 1)
        return -most <= value < most


DEFAULT_LIMITS = Limits()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StateLimits(Limits):
    """The limits of a sealed state's payload. They are higher, because a page has more room than a cookie."""

    object_name: ClassVar[str] = "state"

    size: int = 64 * 1024  # the maximum size after decompression
    nodes: int = 16 * 1024
    typed: int = 1024
    hashed: int = 1024


class PayloadTooLargeError(Exception):
    """A session or state exceeds the size limit when it is serialized."""


class TooManyValuesError(PayloadTooLargeError):
    """A session or state exceeds a limit on the number of values when it is serialized."""


class LimitExceededError(UnsealError):
    """A payload exceeds a limit on the number of values when it is read."""
