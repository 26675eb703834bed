"""Elements that share one hash, for every hashable type whose hash is not keyed by the process.

Numbers hash modulo the prime 2**61 - 1. What is built of numbers (tuples, fractions, addresses) inherits that.
"""

import ipaddress
import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import combinations, combinations_with_replacement, count, islice

from tests.security.corpus.assembler import data, lst, num, o, text, tup, typed

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


# ------------------------------------------------------------------------------------------- pairs of kinds, one hash


def _fits(wanted: int) -> bool:
    """Whether ints have the hash."""
    return 0 < wanted < PRIME


_INSIDE = next(number for number in range(1, 1000) if _fits(hash((number,))) and _fits(hash(frozenset([number]))))
# Hashes that elements of two kinds can share: that of a tuple or a frozenset of one int, or a small one.
_SHARED = {"tuple": hash((_INSIDE,)), "frozenset": hash(frozenset([_INSIDE]))}
_SMALL = 5


def _with_hash(wanted: int) -> Iterator[int]:
    return count(wanted + PRIME, PRIME)


def _network(number: int) -> bytes:
    return typed("net6", text(str(ipaddress.IPv6Network((number ^ ((1 << 128) - 1), 128)))))


# For each kind, an element that has the hash of an int; for tuples and frozensets, of one that holds it.
_ALIKE: dict[str, Callable[[int], bytes]] = {
    "int": num,
    "tuple": lambda number: tup(num(number)),
    "frozenset": lambda number: typed("fs", lst(num(number))),
    "decimal": lambda number: typed("n", text(str(number))),
    "fraction": lambda number: typed("fr", tup(num(number), num(1))),
    "network": _network,
    "uuid": lambda number: typed("u", data(number.to_bytes(16, "big"))),
    "complex": lambda step: typed("c", tup(o.BINFLOAT(1000003.0 * step + _SMALL), o.BINFLOAT(-1.0 * step))),
}
# Equal values of several types, as the first member of tuples that are told apart by the second.
_EQUAL: dict[str, bytes] = {
    "bool": o.NEWTRUE,
    "float": o.BINFLOAT(1.0),
    "decimal": typed("n", text("1")),
    "fraction": typed("fr", tup(num(1), num(1))),
    "complex": typed("c", tup(o.BINFLOAT(1.0), o.BINFLOAT(0.0))),
}

Weigh = Callable[[bytes], bool]  # whether a payload is within the limits


def pairs() -> Iterator[tuple[str, Callable[[], Iterator[bytes]], Callable[[], Iterator[bytes]]]]:
    """Kinds of elements that collide with each other, by two, with what makes them."""
    for one, other in combinations_with_replacement(_ALIKE, 2):
        shared = {kind for kind in (one, other) if kind in _SHARED}
        if len(shared) == 2 or (shared and "complex" in (one, other)):
            continue  # nobody can choose these hashes
        wanted = _SHARED[min(shared)] if shared else _SMALL
        yield f"{one}-{other}", partial(_elements, one, wanted), partial(_elements, other, wanted)
    for one, other in combinations(_EQUAL, 2):
        yield f"in-{one}-{other}", partial(_wrapped, one), partial(_wrapped, other)


def _elements(kind: str, wanted: int) -> Iterator[bytes]:
    numbers = (
        count(_INSIDE + PRIME, PRIME) if kind in _SHARED else count(2) if kind == "complex" else _with_hash(wanted)
    )
    return map(_ALIKE[kind], numbers)


def _wrapped(kind: str) -> Iterator[bytes]:
    return (tup(_EQUAL[kind], num(number)) for number in _with_hash(_SMALL))


def mixed(
    first: Callable[[], Iterator[bytes]], second: Callable[[], Iterator[bytes]], share: float, fits: Weigh
) -> bytes:
    """A dict of as many keys as are within the limits, of which a share is of the first kind and comes first."""

    def payload(number: int) -> bytes:
        of_first = round(number * share)
        keys = [*islice(first(), of_first), *islice(second(), number - of_first)]
        return o.EMPTY_DICT + o.MARK + b"".join(key + o.NONE for key in keys) + o.SETITEMS

    most = bisect_left(range(1, 1 << 12), True, key=lambda number: not fits(payload(number) + o.STOP))
    return payload(most)
