"""The fuzzer: it runs, reaches what it aims at, repeats itself by seed, and would notice a violation."""

import subprocess
import sys
from itertools import repeat

import pytest

from tests.properties.revocation_model import memory_backend, model_with
from tests.security import fuzz


def test_fuzz():
    """A few thousand rounds find no violation, and each target sees both valid and refused input."""
    outcomes = fuzz.fuzz(1, repeat(None, 3000))
    for seen in (
        ("token", "opened"),
        ("token", "malformed"),
        ("token", "unknown_key"),
        ("token", "bad_signature"),
        ("cookie", "opened"),
        ("cookie", "no cookie"),
        ("cookie", "malformed"),
        ("cookie", "unknown_key"),
        ("cookie", "bad_signature"),
        ("payload", "loaded"),
        ("payload", "forbidden_value"),
        ("own", "parsed"),
        ("own", "forbidden_value"),
    ):
        assert outcomes[seen] > 10, seen


def test_fuzz_repeats():
    """One seed gives one run, so that a violation can be found again; another seed gives another run."""
    assert fuzz.fuzz(2, repeat(None, 200)) == fuzz.fuzz(2, repeat(None, 200)) != fuzz.fuzz(3, repeat(None, 200))


def test_the_model_repeats():
    """One seed gives one run of the model of revocation."""
    first, second = (fuzz.run_model(2, model_with(memory_backend()), repeat(None, 1)) for _ in range(2))
    assert first == second
    assert first["steps"] > 100


class Opener:
    """A sealer without a signature check: it opens whatever it gets."""

    payload = b"forged"

    def unseal(self, token):
        return self


class Raiser:
    """A sealer that raises something else."""

    def unseal(self, token):
        raise IndexError(len(token))


@pytest.mark.parametrize(("broken", "problem"), [(Opener, "sealed"), (Raiser, "IndexError")])
def test_fuzz_notices(broken, problem):
    """A sealer that opens forged tokens, or raises something else, is a violation that carries the input."""

    class BrokenTarget(fuzz.TokenTarget):
        def __init__(self, rng):
            super().__init__(rng)
            self.openers = [broken()]

        def make(self, rng):
            return b"forged token"

    with pytest.raises(fuzz.ViolationError, match=problem) as caught:
        fuzz.fuzz(1, repeat(None, 1), [BrokenTarget])
    assert (caught.value.target, caught.value.data) == ("token", b"forged token")


def test_fuzz_as_a_command():
    """The command prints its seed, so that a run can be repeated."""
    command = [sys.executable, "-m", fuzz.__name__, "--seconds", "0", "--seed", "7"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "seed 7\n", "")
