"""Hypothesis strategies for every value that a session holds by default: by type, and nested in one another."""

import collections
import datetime
import decimal
import fractions
import ipaddress
import pathlib
import string
import types
import uuid
from typing import Any

from hypothesis import strategies as st

from sealedsession.serialization.standard_types import CLASS_VALUES

_texts = st.text(st.characters(), max_size=20)  # lone surrogates included
_int64 = st.integers(-(2**63), 2**63 - 1)
_ints = st.integers(-(2**255), 2**255 - 1)
_names = st.text(string.ascii_letters + string.digits + "._-é ", min_size=1, max_size=12)
_zones = st.builds(
    datetime.timezone,
    st.timedeltas(datetime.timedelta(hours=-23, minutes=-59), datetime.timedelta(hours=23, minutes=59)),
) | st.builds(datetime.timezone, st.timedeltas(datetime.timedelta(0), datetime.timedelta(hours=23)), _texts)
_maybe_zones = st.none() | st.just(datetime.UTC) | _zones
_folds = st.integers(0, 1)
_decimals = st.builds(
    lambda digits, exponent, sign: decimal.Decimal((sign, tuple(digits), exponent)),
    st.lists(st.integers(0, 9), min_size=1, max_size=30),
    st.integers(-900, 900),
    _folds,
) | st.sampled_from([decimal.Decimal(text) for text in ("NaN", "-NaN7", "Infinity", "-Infinity", "0", "-0.00")])

# Each type that holds no other value, and what it can be.
LEAVES: dict[type, st.SearchStrategy[Any]] = {
    type(None): st.none(),
    bool: st.booleans(),
    int: _ints,
    float: st.floats(),
    str: _texts | st.text(min_size=256, max_size=300),
    bytes: st.binary(max_size=300),
    complex: st.complex_numbers(),
    range: st.builds(range, _int64, _int64, _int64.filter(bool)),
    types.EllipsisType: st.just(...),
    types.NotImplementedType: st.just(NotImplemented),
    datetime.datetime: st.builds(
        lambda value, fold, zone: value.replace(fold=fold, tzinfo=zone), st.datetimes(), _folds, _maybe_zones
    ),
    datetime.date: st.dates(),
    datetime.time: st.builds(
        lambda value, fold, zone: value.replace(fold=fold, tzinfo=zone), st.times(), _folds, _maybe_zones
    ),
    datetime.timedelta: st.timedeltas(),
    datetime.timezone: _zones,
    decimal.Decimal: _decimals,
    fractions.Fraction: st.builds(fractions.Fraction, _ints, st.integers(1, 2**64)),
    uuid.UUID: st.uuids(),
    pathlib.PurePosixPath: st.lists(_names, max_size=4).map(lambda parts: pathlib.PurePosixPath(*parts)),
    pathlib.PureWindowsPath: st.lists(_names, max_size=4).map(lambda parts: pathlib.PureWindowsPath("c:\\", *parts)),
    type(pathlib.Path()): st.lists(_names, max_size=4).map(lambda parts: pathlib.Path("/", *parts)),
    ipaddress.IPv4Address: st.ip_addresses(v=4),
    ipaddress.IPv6Address: st.ip_addresses(v=6),
    ipaddress.IPv4Network: st.builds(
        lambda address, prefix: ipaddress.IPv4Network((address, prefix), strict=False),
        st.ip_addresses(v=4),
        st.integers(0, 32),
    ),
    ipaddress.IPv6Network: st.builds(
        lambda address, prefix: ipaddress.IPv6Network((address, prefix), strict=False),
        st.ip_addresses(v=6),
        st.integers(0, 128),
    ),
}
# The same for those that cannot be in a set, or not on every version.
UNHASHABLE_LEAVES: dict[type, st.SearchStrategy[Any]] = {
    slice: st.builds(slice, *[st.none() | _int64] * 3),
    bytearray: st.binary(max_size=20).map(bytearray),
    type: st.sampled_from(sorted(CLASS_VALUES.values(), key=lambda cls: cls.__name__)),
}
_FACTORIES = st.sampled_from([None, list, dict, set, int, float, str, bool, tuple, bytes])

hashables: st.SearchStrategy[Any] = st.recursive(
    st.one_of(*LEAVES.values()),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=6,
)


def _containers(inner: st.SearchStrategy[Any]) -> dict[type, st.SearchStrategy[Any]]:
    lists, items = st.lists(inner, max_size=4), st.dictionaries(hashables, inner, max_size=4)
    return {
        list: lists,
        tuple: lists.map(tuple),
        dict: items,
        set: st.sets(hashables, max_size=4),
        frozenset: st.frozensets(hashables, max_size=4),
        collections.OrderedDict: items.map(collections.OrderedDict),
        collections.Counter: st.dictionaries(hashables, _ints, max_size=4).map(collections.Counter),
        collections.defaultdict: st.builds(collections.defaultdict, _FACTORIES, items),
        collections.deque: st.builds(collections.deque, lists, st.none() | st.integers(4, 2**63 - 1)),
    }


CONTAINERS = _containers(st.none())

values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(*LEAVES.values(), *UNHASHABLE_LEAVES.values()),
    lambda inner: st.one_of(*_containers(inner).values()),
    max_leaves=12,
)
