"""Tetra on this library's state layer: components behave as on Tetra's own layer.

Each suite runs twice, in separate pytest processes: on Tetra's layer, and on this library's layer, see tetra_plugin.py.
The stories here need only the installed package. tetra_suite.py runs Tetra's own tests.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import coverage
import pytest

from tests.support import ROOT

HERE = Path(__file__).parent


class Report(NamedTuple):
    """The result of a run: the outcome of each test, and the number of calls of seal and unseal."""

    outcomes: dict[str, str]
    calls: dict[str, int]
    output: str

    @property
    def failed(self) -> set[str]:
        return {name for name, outcome in self.outcomes.items() if outcome == "failed"}


def run(directory: Path, *words: str, ours: bool, python: list[str], report: Path) -> Report:
    """Run a suite. What it says when it is cut short is the error."""
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT, HERE))),
        "PYTHONDONTWRITEBYTECODE": "1",
        "TETRA_OURS": "1" if ours else "",
        "TETRA_REPORT": str(report),
    }
    command = [*python, "-m", "pytest", "-q", "-p", "tetra_plugin", "-p", "no:cacheprovider", *words]
    done = subprocess.run(command, cwd=directory, env=env, capture_output=True, text=True, timeout=1800)
    assert done.returncode in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED), done.stdout + done.stderr
    return Report(**json.loads(report.read_text()), output=done.stdout)


def test_components_do_the_same_on_either_layer(tmp_path):
    """Every story passes on both layers; those marked `ours` run on this library's only."""
    words = ("-c", os.devnull, "--rootdir", ".", "--confcutdir", ".", "-p", "tetra_shop.setup", "tetra_stories.py")
    python = [sys.executable]
    if measuring := coverage.Coverage.current():
        data = Path(str(measuring.get_option("run:data_file"))).absolute()
        python += ["-m", "coverage", "run", "-p", f"--rcfile={ROOT / 'setup.cfg'}", f"--data-file={data}"]
    theirs = run(HERE, *words, "-m", "not ours", ours=False, python=python, report=tmp_path / "theirs")
    ours = run(HERE, *words, ours=True, python=python, report=tmp_path / "ours")
    assert set(theirs.outcomes.values()) == {"passed"}, theirs.output
    assert set(ours.outcomes.values()) == {"passed"}, ours.output
    assert set(theirs.outcomes) < set(ours.outcomes)
    assert theirs.calls == {}
    assert ours.calls["seal"] > len(theirs.outcomes)
    assert ours.calls["unseal"] > len(theirs.outcomes)


def test_what_the_benchmark_compares_is_equal():
    """Every codec of benchmarks/state.py returns the same value. Nothing is timed here."""
    code = "import state; state._set_up(); print(*(len(state._cases(each)[1]) for each in state.STATES.values()))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT / "benchmarks",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.stdout.split() == ["5"] * 3, done.stderr
