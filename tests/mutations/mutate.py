"""Mutate one package and run its unit tests for each mutant: ``python tests/mutations/mutate.py PACKAGE [MUTANT ...]``.

mutmut makes the mutants, and setup.cfg configures it. This script adds the modules to mutate and their tests. It runs
mutmut in a copy of the repository, ``.mutations/PACKAGE``, and stops it after `LIMIT` seconds. The next run for the
same package continues there. Delete the directory to start again.

With names of mutants, or patterns such as ``*.x_unseal__*``, only these run, even if they have a result already.

The output ends with the number of mutants for each result. ``.mutations/PACKAGE.txt`` has the difference of every
mutant that was not killed. In the copy, ``mutmut show`` and ``mutmut browse`` work as usual.

mutmut has no mutants of module level code, class bodies, and functions with decorators other than ``staticmethod`` and
``classmethod``. It calls every other function through a wrapper, so tests that inspect frames cannot run under it.
"""

import configparser
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
WORK = ROOT / ".mutations"
COPIED = ("sealedsession", "tests", "docs", "examples", "setup.cfg", "pyproject.toml", "README.rst")
NOT_COPIED = shutil.ignore_patterns("__pycache__", "_build", "performance")
LIMIT = 30 * 60  # seconds
GRACE = 60  # seconds in which mutmut stops its workers and stores their results


class Package(NamedTuple):
    """One package or top-level module.

    :param modules: patterns of the files to mutate, below ``sealedsession``.
    :param tests: files and folders below ``tests/unit``, and options that deselect tests which inspect frames.
    """

    modules: tuple[str, ...]
    tests: tuple[str, ...]


# The texts of errors and log records. One of the tests reads the source, to which mutmut adds the mutants.
MESSAGES = ("test_messages.py", "--deselect=tests/unit/test_messages.py::test_every_message_has_a_case")
PACKAGES = {
    "cookie": Package(("cookie.py",), ("test_cookie.py",)),
    "session": Package(("session.py",), ("test_session.py", "test_own.py", "test_lifetimes.py", "lifecycle")),
    "own": Package(("own.py",), ("test_own.py",)),
    "lifecycle": Package(
        ("lifecycle/*",),
        ("lifecycle", "test_own.py", "test_lifetimes.py", "test_options.py", "test_events.py"),
    ),
    "sealing": Package(("sealing/*",), ("sealing",)),
    "serialization": Package(
        ("serialization/*",),
        (
            "serialization",
            "state/test_state_registry.py",
            "--deselect=tests/unit/serialization/test_values.py::test_depth",  # the wrappers count as frames
            "--deselect=tests/unit/serialization/test_pickling.py::test_depth",
        ),
    ),
    "revocation": Package(("revocation/*",), ("revocation", "lifecycle/test_revocation.py")),
    "state": Package(("state/*",), ("state",)),
    "integrations/django": Package(("integrations/django/*",), ("integrations/django",)),
    "integrations/hyperdiv": Package(("integrations/hyperdiv/*",), ("integrations/test_hyperdiv.py",)),
}


def copy_repository(package: Package, to: Path) -> None:
    """Copy what the tests need, and add the package's files and tests to mutmut's configuration.

    Modification times are kept, so that mutmut sees which modules have changed since the previous run.
    """
    to.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        source, target = ROOT / name, to / name
        if source.is_dir():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target, ignore=NOT_COPIED)
        else:
            shutil.copy2(source, target)
    config = configparser.RawConfigParser()
    config.read(to / "setup.cfg", encoding="utf-8")
    config["mutmut"]["only_mutate"] = "\n".join(f"sealedsession/{pattern}" for pattern in package.modules)
    tests = (word if word.startswith("-") else f"tests/unit/{word}" for word in (*package.tests, *MESSAGES))
    config["mutmut"]["pytest_add_cli_args_test_selection"] = "\n".join(tests)
    with (to / "setup.cfg").open("w", encoding="utf-8") as file:
        config.write(file)


def run_mutmut(directory: Path, children: int, mutants: list[str]) -> int:
    """Run mutmut until it ends or the time is over.

    :param mutants: names or patterns of the mutants to run; empty for all that have no result yet.
    :returns: mutmut's exit code. It is 0 too if the time was over.
    """
    command = [Path(sys.executable).with_name("mutmut"), "run", "--max-children", str(children), *mutants]
    with subprocess.Popen(command, cwd=directory) as process:
        try:
            return process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)  # mutmut waits for its workers, and stores the results
        try:
            return process.wait(GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            return 0


def report(directory: Path, to: Path) -> Counter[str]:
    """Write the difference of each mutant that was not killed, and count the mutants for each result."""
    # mutmut is an extra, and reads its configuration in the current directory.
    from mutmut.mutation.data import SourceFileMutationData
    from mutmut.mutation.diff_apply import get_diff_for_mutant
    from mutmut.stats import status_by_exit_code

    os.chdir(directory)
    counts: Counter[str] = Counter()
    with to.open("w", encoding="utf-8") as file:
        for meta in sorted(Path("mutants").rglob("*.meta")):
            path = meta.relative_to("mutants").with_suffix("")
            data = SourceFileMutationData(path=path)
            data.load()
            for mutant, exit_code in data.exit_code_by_key.items():
                result = status_by_exit_code[exit_code]
                counts[result] += 1
                if result not in ("killed", "timeout", "not checked"):
                    print(f"# {mutant}: {result}\n{get_diff_for_mutant(mutant, path=path)}\n", file=file)
    return counts


def main(words: list[str]) -> int:
    """Run mutmut for the package that is named, and its mutants that are named."""
    if not words or words[0] not in PACKAGES:
        print(f"PACKAGE must be one of: {', '.join(PACKAGES)}", file=sys.stderr)
        return 2
    name, *mutants = words
    directory, listing = WORK / name, WORK / f"{name.replace('/', '-')}.txt"
    copy_repository(PACKAGES[name], directory)
    if exit_code := run_mutmut(directory, os.cpu_count() or 1, mutants):
        return exit_code
    counts = report(directory, listing)
    print(f"{name}: {counts.total()} mutants: {', '.join(f'{count} {result}' for result, count in counts.items())}")
    print(f"Survivors: {listing}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
