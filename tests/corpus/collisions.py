"""Elements that share one hash, for every hashable type whose hash is not keyed by the process.

Numbers hash modulo the prime 2**61 - 1. What is built of numbers (tuples, fractions, addresses) inherits that.
"""

import ipaddress
import math
from collections.abc import Callable, Iterable, Iterator

from tests.corpus.assembler import data, lst, num, o, text, tup, typed

PRIME = (1 << 61) - 1
MAX_BYTES = 8 * 1024


def _ints() -> Iterator[bytes]:
    number = PRIME
    while True:
        yield num(number)
        number += PRIME


def _tuples() -> Iterator[bytes]:
    return (tup(number) for number in _ints())


def _frozensets() -> Iterator[bytes]:
    return (typed("fs", lst(number)) for number in _ints())


def _decimals() -> Iterator[bytes]:
    number = PRIME
    while True:
        yield typed("n", text(str(number)))
        number += PRIME


def _fractions() -> Iterator[bytes]:
    """Multiples of the prime over small denominators: their hash is 0."""
    for factor in range(1, 5):
        for denominator in range(2, 256):
            if math.gcd(factor, denominator) == 1:
                for numerator in (factor * PRIME, -factor * PRIME):
                    yield typed("fr", tup(num(numerator), num(denominator)))


def _wide() -> Iterator[int]:
    number = 5 + (PRIME << 60)
    while True:
        yield number
        number += PRIME


def _addresses() -> Iterator[bytes]:
    return (typed("ip6", text(str(ipaddress.IPv6Address(number)))) for number in _wide())


def _networks() -> Iterator[bytes]:
    """The hash is that of the address and the mask, of 128 ones, by exclusive or."""
    mask = (1 << 128) - 1
    return (typed("net6", text(str(ipaddress.IPv6Network((number ^ mask, 128))))) for number in _wide())


def _uuids() -> Iterator[bytes]:
    return (typed("u", data(number.to_bytes(16, "big"))) for number in _wide())


def _complexes() -> Iterator[bytes]:
    """The hash is real + 1000003 * imag: a step of the one is undone by the other."""
    step = 0
    while True:
        yield typed("c", tup(o.BINFLOAT(1000003.0 * step), o.BINFLOAT(-1.0 * step)))
        step += 1


COLLIDING: dict[str, Callable[[], Iterator[bytes]]] = {
    "int": _ints,
    "tuple": _tuples,
    "frozenset": _frozensets,
    "decimal": _decimals,
    "fraction": _fractions,
    "address": _addresses,
    "network": _networks,
    "uuid": _uuids,
    "complex": _complexes,
}


def fill(elements: Iterable[bytes], head: bytes, value: bytes, tail: bytes, size: int = MAX_BYTES) -> bytes:
    """As many elements as a payload of that size has room for, each followed by a value."""
    parts, room = [head], size - len(head) - len(tail) - len(o.STOP)
    for element in elements:
        room -= len(element) + len(value)
        if room < 0:
            break
        parts += [element, value]
    return b"".join([*parts, tail])
