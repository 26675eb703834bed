"""base64url: strict, and the same with and without pybase64."""

import importlib.util
import sys
from base64 import urlsafe_b64encode
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sealedsession.sealing import base64url

ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def without_pybase64() -> ModuleType:
    """Return the module as it is without pybase64."""
    spec = importlib.util.spec_from_file_location("base64url_of_the_standard_library", Path(base64url.__file__))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "pybase64", None)  # importing it raises ImportError
        spec.loader.exec_module(module)
    return module


MODULES = {"pybase64": base64url, "standard library": without_pybase64()}
each_module = pytest.mark.parametrize("module", MODULES.values(), ids=MODULES)


def decode_or_none(module: ModuleType, text: bytes) -> bytes | None:
    try:
        value: bytes = module.decode(text)
    except ValueError:
        return None
    return value


def test_both_are_tested():
    """One of the modules uses pybase64, and the other one uses the standard library."""
    assert MODULES["pybase64"]._b64decode is not None
    assert MODULES["standard library"]._b64decode is None


@each_module
@given(data=st.binary(max_size=300))
@example(data=b"\xff\xef\xfe" * 40)
def test_round_trip(module, data):
    """Encoding returns base64url without padding. Decoding returns the same bytes."""
    text = module.encode(data)
    assert text == urlsafe_b64encode(data).rstrip(b"=").decode()
    assert module.decode(text.encode()) == data


@each_module
@pytest.mark.parametrize("size", [1, 2, 3, 4, 30, 31, 32, 100])
def test_one_text_for_one_value(module, size):
    """A text with one byte replaced is refused, or is the encoding of another value."""
    data = bytes(range(251 - size, 251))
    text = module.encode(data).encode()
    for position in range(len(text)):
        for byte in range(256):
            other = text[:position] + bytes((byte,)) + text[position + 1 :]
            value = decode_or_none(module, other)
            assert (
                (value is None) if byte not in ALPHABET else (value is None or module.encode(value).encode() == other)
            )


@each_module
@pytest.mark.parametrize(
    "foreign", [b"=", b"==", b"===", b"+", b"/", b" ", b"\n", b"\r\n", b"\0", b".", b"%3D", b"\xff"]
)
def test_nothing_is_skipped(module, foreign):
    """A text with an inserted character outside of the alphabet is refused."""
    for size in range(7):
        text = module.encode(bytes(size)).encode()
        for position in range(len(text) + 1):
            assert decode_or_none(module, text[:position] + foreign + text[position:]) is None


@each_module
@pytest.mark.parametrize("length", [1, 5, 9, 121])
def test_no_text_is_that_long(module, length):
    """A text of one character more than a multiple of four is refused."""
    assert decode_or_none(module, b"A" * length) is None


@given(text=st.one_of(st.binary(max_size=60), st.text(ALPHABET.decode() + "+/=", max_size=60).map(str.encode)))
def test_both_say_the_same(text):
    """With and without pybase64, a text decodes to the same value or is refused."""
    assert decode_or_none(MODULES["pybase64"], text) == decode_or_none(MODULES["standard library"], text)
