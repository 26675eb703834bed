"""The corpus of hostile payloads: our reader passes it, it is complete, and its runner can fail."""

import json
import pickletools
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from sealedsession.serialization.registry import Registry
from tests.security.corpus.cases import all_cases, opcodes
from tests.support import ROOT

HOSTILE = [case for case in all_cases() if case.hostile]


@cache
def _run(directory: Path, *options: str) -> tuple[subprocess.CompletedProcess[str], list[dict[str, Any]]]:
    """Run the command: it forks, and a process of its own has no threads that were forked away."""
    report = directory / f"{'-'.join(options)}.json"
    command = [sys.executable, "-m", "tests.security.corpus.run", "--json", str(report), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1800)
    return done, json.loads(report.read_text())


@pytest.fixture(scope="session")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("corpus")


@pytest.mark.parametrize("group", sorted({case.group for case in all_cases()}))
def test_our_reader_passes_the_group(group: str, reports: Path) -> None:
    """Every case of the group goes as expected: nothing ran, no event, no limit broken, no wrong value."""
    _, results = _run(reports)
    faults = {result["id"]: result["faults"] for result in results if result["group"] == group}
    assert len(faults) == sum(case.group == group for case in all_cases())
    assert {name: found for name, found in faults.items() if found} == {}


def test_the_command_counts(reports: Path) -> None:
    """The last line of the command counts passes and failures, and its exit status says whether there are any."""
    done, results = _run(reports)
    failed = sum(bool(result["harm"]) for result in results)
    assert done.stdout.splitlines()[-1] == f"{len(all_cases()) - failed} passed, {failed} failed"
    assert done.returncode == bool(failed)


def test_every_opcode_is_in_a_hostile_case() -> None:
    """Each of pickle's opcodes occurs in at least one hostile payload."""
    assert {opcode.name for opcode in pickletools.opcodes} == set().union(*map(opcodes, HOSTILE))


def test_there_are_enough_cases() -> None:
    """The corpus is as large as it is said to be: hostile cases, data for decoders, and values that must be read."""
    groups = [case.group for case in all_cases()]
    assert len(HOSTILE) >= 250
    assert groups.count("decoder") >= 60
    assert groups.count("positive") >= 60


@pytest.mark.parametrize("code", sorted(Registry().by_code))
def test_every_type_has_cases(code: str) -> None:
    """Every default type has data that its decoder must refuse, and data that it must take."""
    named = bytes((0x8C, len(code))) + code.encode()
    assert any(case.group == "decoder" and case.payload.startswith(named) for case in HOSTILE)
    assert any(case.group == "positive" and case.payload.startswith(named) for case in all_cases())


@pytest.mark.parametrize(
    ("reader", "group", "least"),
    [("plain", "call", 35), ("plain", "extension", 3), ("recipe", "extension", 3), ("modules", "dotted", 1)],
)
def test_a_weak_reader_is_seen_to_run_code(reader: str, group: str, least: int, reports: Path) -> None:
    """The runner sees code run where readers without a closed form run it, and fails."""
    done, results = _run(reports, "--reader", reader, "--group", group)
    assert sum(result["harm"] == "ran" for result in results) >= least
    assert done.returncode == 1


@pytest.mark.parametrize("group", ["import", "file", "class", "build", "state"])
def test_a_weak_reader_is_seen_to_do_harm(group: str, reports: Path) -> None:
    """The runner sees what plain pickle imports, opens, changes and accepts, and fails."""
    done, results = _run(reports, "--reader", "plain", "--group", group)
    assert sum(bool(result["harm"]) for result in results) >= len(results) / 4
    assert done.returncode == 1


@pytest.fixture(scope="session")
def weak_readers() -> dict[str, tuple[str, list[str]]]:
    command = [sys.executable, "-m", "tests.security.corpus.weak"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1800, check=True)
    return json.loads(done.stdout)


def test_every_fault_is_caught(weak_readers: dict[str, tuple[str, list[str]]]) -> None:
    """Of readers that have one fault each, the runner names every single one."""
    missed = {
        name: found for name, (expected, found) in weak_readers.items() if not any(expected in it for it in found)
    }
    assert len(weak_readers) >= 20
    assert missed == {}


def test_the_table_is_of_this_corpus() -> None:
    """The table in the documentation has the groups and the counts of this corpus, and nothing of ours failed."""
    rows = re.findall(r"\* - (\S+)\n +- (\d+)\n +- (\d+ / \d+)", (ROOT / "docs" / "corpus-table.rst").read_text())
    groups = [case.group for case in HOSTILE]
    expected = {group: (str(groups.count(group)), "0 / 0") for group in groups}
    assert {name: (count, ours) for name, count, ours in rows} == {**expected, "all": (str(len(HOSTILE)), "0 / 0")}
