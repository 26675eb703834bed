"""The values that the tests of both serializers share: examples, hypothesis strategies, and exact comparison."""

import datetime
import struct
import uuid
from collections import Counter, OrderedDict, defaultdict, deque
from decimal import Decimal
from fractions import Fraction
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path, PurePosixPath, PureWindowsPath

from hypothesis import strategies as st

from sealedsession.serialization.limits import PayloadTooLargeError, TooManyValuesError
from sealedsession.serialization.registry import Registry
from sealedsession.serialization.safe_pickle import PickleSerializer
from sealedsession.serialization.standard_types import DEFAULT_TYPES, PLAIN_TYPES

HOUR = datetime.timedelta(hours=1)
ZONE = datetime.timezone(-HOUR / 3)
NAMED_ZONE = datetime.timezone(HOUR, "CET")
NOON = datetime.datetime(2030, 6, 1, 12)


def bits(number):
    """A float as its eight bytes: NaNs differ in them, and so do 0.0 and -0.0."""
    return struct.pack("<d", number)


def exactly(value, of_float=bits):
    """A form in which values are equal only if types, contents, order and spelling are.

    :param of_float: the part of a float that must be equal.
    """
    kind = type(value)
    if isinstance(value, dict):
        items = tuple((exactly(key, of_float), exactly(member, of_float)) for key, member in value.items())
        return kind, getattr(value, "default_factory", None), items
    if kind in (list, tuple, deque):
        return kind, getattr(value, "maxlen", None), tuple(exactly(member, of_float) for member in value)
    if kind in (set, frozenset):
        return kind, frozenset(exactly(member, of_float) for member in value)
    return kind, of_float(value) if kind is float else repr(value)


HASHABLE_EXAMPLES = [
    None, True, False, 0, -1, 1.5, -0.0, float("inf"), "", "text", "\ud800", b"", b"\0\xff", (), (1,), (1, "a", (b"",)),
    NOON, NOON.replace(microsecond=1), NOON.replace(fold=1), NOON.replace(tzinfo=datetime.UTC),
    NOON.replace(tzinfo=ZONE), NOON.replace(tzinfo=NAMED_ZONE), NOON.replace(tzinfo=NAMED_ZONE, fold=1),
    datetime.datetime.min, datetime.datetime.max, datetime.date(1, 1, 1), datetime.date.max,
    datetime.time(), datetime.time(12, 30, 1, 5), datetime.time(12, fold=1), datetime.time(12, tzinfo=datetime.UTC),
    datetime.time(12, tzinfo=NAMED_ZONE, fold=1), datetime.timedelta(), -HOUR, datetime.timedelta.min,
    datetime.timedelta.max, datetime.UTC, ZONE, NAMED_ZONE, datetime.timezone(HOUR, ""),
    datetime.timezone(datetime.timedelta(microseconds=-1)),
    Decimal("1.50"), Decimal("-0"), Decimal("1E+3"), Decimal("Infinity"), Fraction(-1, 3), 1.5j, complex(-0.0, -0.0),
    range(5), range(5, -5, -2), range(0), ..., NotImplemented, uuid.UUID(int=1),
    PurePosixPath("/a/b c"), PurePosixPath("."), PurePosixPath("//a"), PureWindowsPath("C:\\a\\b"),
    PureWindowsPath("\\\\host\\share\\a"), Path("/etc/hosts"), Path("ü\udcff"),
    IPv4Address("127.0.0.1"), IPv6Address("::1"), IPv6Address("fe80::1%eth0"), IPv4Network("10.0.0.0/8"),
    IPv6Network("2001:db8::/32"), frozenset(), frozenset([1, "a", None]), frozenset([(1, frozenset([b"x"]))]),
]  # fmt: skip
OTHER_EXAMPLES = [
    [], [1, [2, [3]]], {}, {"b": 1, "a": {2: None}}, float("nan"), Decimal("NaN"), Decimal("-NaN12"),
    slice(None), slice(1, -2, 3), bytearray(), bytearray(b"\0\xff"), OrderedDict(), OrderedDict(b=1, a=[2]), Counter(),
    Counter(b=2, a=-1, c=0), defaultdict(None, a=1), defaultdict(list, b=[1], a=[]), defaultdict(int), deque(),
    deque([1, "a"]), deque([1, 2], 2), deque(maxlen=0), set(), {1, "a", None, (2,)}, {frozenset([1]), frozenset([2])},
    *PLAIN_TYPES, *(row.cls for row in DEFAULT_TYPES),
]  # fmt: skip
EXAMPLES = HASHABLE_EXAMPLES + OTHER_EXAMPLES

INT64 = st.integers(-(2**63), 2**63 - 1)
ZONES = st.builds(
    datetime.timezone, st.timedeltas(-23 * HOUR, 23 * HOUR), st.text(max_size=10)
) | st.timedeltas(-23 * HOUR, 23 * HOUR).map(datetime.timezone)  # fmt: skip
MAYBE_ZONES = st.none() | st.just(datetime.UTC) | ZONES
ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=300)
PATH_TEXT = st.text("abcü .-_", min_size=1, max_size=8)
HASHABLE_LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**255) + 1, 2**255 - 1),
    st.floats(allow_nan=False),
    ANY_TEXT,
    st.binary(max_size=300),
    st.builds(datetime.datetime.replace, st.datetimes(), tzinfo=MAYBE_ZONES, fold=st.integers(0, 1)),
    st.dates(),
    st.builds(datetime.time.replace, st.times(), tzinfo=MAYBE_ZONES, fold=st.integers(0, 1)),
    st.timedeltas(),
    ZONES,
    st.builds("{}{}E{}".format, st.sampled_from(["", "-"]), st.integers(0, 10**30), st.integers(-900, 900)).map(
        Decimal
    ),
    st.fractions(),
    st.complex_numbers(allow_nan=False),
    st.builds(range, INT64, INT64, INT64.filter(bool)),
    st.sampled_from([..., NotImplemented]),
    st.uuids(),
    *(
        st.lists(PATH_TEXT, max_size=4).map(lambda parts, cls=cls: cls(*parts))
        for cls in (PurePosixPath, PureWindowsPath, Path)
    ),
    st.ip_addresses(),
    st.builds(
        lambda address, bits: IPv4Network((address, bits), strict=False), st.ip_addresses(v=4), st.integers(0, 32)
    ),
    st.builds(
        lambda address, bits: IPv6Network((address, bits), strict=False), st.ip_addresses(v=6), st.integers(0, 128)
    ),
)
HASHABLES = st.recursive(
    HASHABLE_LEAVES,
    lambda inner: st.lists(inner, max_size=4).map(tuple) | st.frozensets(inner, max_size=4),
    max_leaves=6,
)
MAYBE_INT64 = st.none() | INT64
LEAVES = st.one_of(
    HASHABLES,
    st.floats(),
    st.complex_numbers(),
    st.builds(slice, MAYBE_INT64, MAYBE_INT64, MAYBE_INT64),
    st.binary(max_size=50).map(bytearray),
    st.sets(HASHABLES, max_size=5),
    st.dictionaries(HASHABLES, st.integers(-5, 5), max_size=4).map(Counter),
    st.sampled_from([*PLAIN_TYPES, *(row.cls for row in DEFAULT_TYPES)]),
)
FACTORIES = st.sampled_from([None, list, dict, set, int, float, str, bool, tuple, bytes])


def fits(value: object) -> bool:
    """Check that a value is within the default limits: nested sets and keys may together weigh too much."""
    try:
        PickleSerializer(Registry()).dumps(value)
    except (PayloadTooLargeError, TooManyValuesError):
        return False
    return True


VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.lists(inner, max_size=5).map(tuple),
        st.dictionaries(HASHABLES, inner, max_size=4),
        st.dictionaries(HASHABLES, inner, max_size=4).map(OrderedDict),
        st.builds(defaultdict, FACTORIES, st.dictionaries(HASHABLES, inner, max_size=4)),
        st.builds(deque, st.lists(inner, max_size=4), st.none() | st.integers(4, 2**63 - 1)),
    ),
    max_leaves=8,
).filter(fits)
