"""What our reader accepts, a stock unpickler with nothing of ours but `persistent_load` reads as the same value."""

import base64
import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sealedsession.errors import UnsealError
from sealedsession.serialization.registry import Registry
from sealedsession.serialization.safe_pickle import PickleSerializer
from sealedsession.serialization.standard_types import PLAIN_TYPES
from tests.properties.differential_child import describe
from tests.security.corpus import seeds
from tests.support import ROOT
from tests.support.value_strategies import CONTAINERS, LEAVES, UNHASHABLE_LEAVES, values

serializer = PickleSerializer(Registry())
StockReader = Callable[[bytes], list[object]]

_examples = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


@pytest.fixture(scope="module")
def stock() -> Iterator[StockReader]:
    """Asks the child for the description of what it reads."""
    command = [sys.executable, "-m", "tests.properties.differential_child"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin
        assert child.stdout

        def read(payload: bytes) -> list[object]:
            child.stdin.write(base64.b64encode(payload) + b"\n")
            child.stdin.flush()
            return json.loads(child.stdout.readline())

        yield read
        child.stdin.close()
        assert child.wait() == 0


def _described(payload: bytes) -> object:
    """Our reading, or None where it is refused."""
    try:
        value = serializer.loads(payload)
    except UnsealError:
        return None
    return json.loads(json.dumps(describe(value)))


def _assert_alike(stock: StockReader, payload: bytes, ours: object) -> None:
    """The stock unpickler makes the same value.

    It may refuse what is not written so: of values that the payload throws away (left on the stack, or under a key
    that is set again) it decodes those that our reader would have made afterwards. Of what we write of the value
    it must make the same.
    """
    theirs = stock(payload)
    if theirs == ours:
        return
    written = serializer.dumps(serializer.loads(payload))
    assert theirs[0] == "raised", payload.hex()
    assert written != payload
    assert stock(written) == ours, payload.hex()


def test_every_type_has_a_strategy() -> None:
    """The values that are tried are of every type that a session holds by default."""
    registry = Registry()
    assert {*LEAVES, *UNHASHABLE_LEAVES, *CONTAINERS} == {
        *PLAIN_TYPES,
        *(entry.cls for entry in registry.by_code.values()),
    }


@_examples
@given(value=values)
def test_what_is_written_is_read_alike(stock: StockReader, value: object) -> None:
    """A value that was written is read back as it was, by our reader and by a stock unpickler."""
    payload = serializer.dumps(value)
    ours = _described(payload)
    assert ours == json.loads(json.dumps(describe(value)))
    assert stock(payload) == ours


@_examples
@given(value=values, data=st.data())
def test_what_is_accepted_is_read_alike(stock: StockReader, value: object, data: st.DataObject) -> None:
    """Where our reader accepts bytes that were changed, a stock unpickler makes the same value of them."""
    payload = bytearray(serializer.dumps(value))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(payload)))
        until = at + data.draw(st.integers(0, 2))
        payload[at:until] = data.draw(st.sampled_from([b"", b"N", b"]", b"K\x07", b"\x85", b"(", b"0", b"\x8c\x01s"]))
    ours = _described(bytes(payload))
    if ours is not None:
        _assert_alike(stock, bytes(payload), ours)


def test_accepted_mutations_of_the_seeds_are_read_alike(stock: StockReader) -> None:
    """Of thousands of changed seeds, hundreds are accepted, and a stock unpickler makes the same values of these."""
    rng = random.Random(3)
    payloads = [seed.payload for seed in seeds.read() if len(seed.payload) < 400]
    accepted = 0
    for _ in range(6000):
        payload = bytearray(rng.choice(payloads))
        for _ in range(rng.randint(0, 2)):
            at = rng.randrange(len(payload) + 1)
            donor = rng.choice(payloads)
            start = rng.randrange(len(donor) + 1)
            payload[at : at + rng.randint(0, 4)] = donor[start : start + rng.randint(0, 6)]
        ours = _described(bytes(payload))
        if ours is not None:
            accepted += 1
            _assert_alike(stock, bytes(payload), ours)
    assert accepted > 300


def test_a_difference_would_show(stock: StockReader) -> None:
    """The child tells values apart that are equal, and says so when it refuses."""
    assert stock(b"K\x01.") != stock(b"\x88.") != stock(b"G\x3f\xf0\0\0\0\0\0\0.")
    assert stock(b"\x8c\x01s]K\x01a\x86Q.") != stock(b"\x8c\x02fs]K\x01a\x86Q.")
    assert stock(b"a.") == ["raised", "UnpicklingError"]
