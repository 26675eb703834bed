"""The seeds that fuzzing left: none of them makes anything happen but a value or the one error."""

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.support import ROOT


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    """All seeds, read in a process of its own: an audit hook cannot be taken away again."""
    command = [sys.executable, "-m", "tests.security.corpus.seeds", "check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=True)
    return json.loads(done.stdout)


def test_there_are_seeds_of_both_kinds(report: dict[str, Any]) -> None:
    """Seeds are read and seeds are refused, hundreds of them."""
    assert report["read"] > 100
    assert report["refused"] > 300


def test_no_seed_causes_an_event(report: dict[str, Any]) -> None:
    """No seed makes a find_class, an import, an open or any other audit event happen, and none runs code."""
    assert report["events"] == []
    assert report["marks"] == []


def test_every_refusal_is_the_one_error(report: dict[str, Any]) -> None:
    """A seed that is refused raises UnsealError, and nothing else."""
    assert report["errors"] == []


def test_the_hook_hears(report: dict[str, Any]) -> None:
    """The audit hook that heard nothing hears a file that is opened."""
    assert report["control"] == ["open"]
