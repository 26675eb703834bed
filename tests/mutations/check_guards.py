"""Run the mutants of tests/mutations/guards.tsv: ``python tests/mutations/check_guards.py [WORD ...]``.

Each row of the table is a guard: a check, bound or refusal that must not be lost. Its columns are the module, the
function, the guard in words, a mutant of mutmut that damages the guard, the test that fails then, and how this was
seen. Words choose the rows whose module or guard contains one of them.

``mutant``: the test failed with the mutant. This script applies it to a copy of the package, without mutmut's wrappers,
and runs the test, which must fail.

``removal``: the test failed when the guard was removed, as guards.py does. The row names no mutant, and the script only
runs the test, which must pass.

The table does not have all guards yet: guards.py has them, and this script replaces it when the table is complete.

Names of mutants contain numbers, which change with the function. A row whose mutant is missing, or is not noticed by
the test, is reported: read the list of ``make mutations``, and name another mutant.
"""

import ast
import csv
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from mutmut.mutation.file_mutation import mutate_file_contents

ROOT = Path(__file__).parents[2]
TABLE = Path(__file__).with_name("guards.tsv")
COPIED = ("sealedsession", "tests", "docs", "examples", "setup.cfg", "pyproject.toml", "README.rst")
NOT_COPIED = shutil.ignore_patterns("__pycache__", "_build", "performance")
LIMIT = 120  # seconds for one mutant
# Without a guard, memory may be filled. The process cannot have more than 3 GB.
PYTEST = """
import resource, sys, pytest
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
sys.exit(pytest.main(["-x", "-q", "--no-cov", "-p", "no:cacheprovider", *sys.argv[1:]]))
"""
PASSED, FAILED = 0, 1  # exit codes of pytest


class Guard(NamedTuple):
    """A row of the table. The columns are those of the module's docstring."""

    module: str
    function: str
    guard: str
    mutant: str
    test: str
    seen: str


def read_table(words: list[str]) -> list[Guard]:
    """Return the rows that words choose, or all."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = [Guard(*row) for row in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)][1:]
    return [row for row in rows if not words or any(word in f"{row.module} {row.guard}" for word in words)]


def find_functions(code: str) -> dict[str, tuple[int, int]]:
    """Return where the functions of a module are: from the parenthesis after the name to the end, in characters.

    Functions inside of functions have no mutants of their own. The names are those of mutmut.
    """
    lines = code.splitlines(keepends=True)
    found = {}
    for node in ast.parse(code).body:
        for child in node.body if isinstance(node, ast.ClassDef) else [node]:
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                prefix = f"xǁ{node.name}ǁ" if isinstance(node, ast.ClassDef) else "x_"
                name = child.name if "__mutmut_" in child.name else prefix + child.name
                start = code.index("(", len("".join(lines[: child.lineno - 1])))
                found[name] = start, len("".join(lines[: child.end_lineno]))
    return found


def apply_mutant(text: str, mutated: str, mutant: str) -> str | None:
    """Replace one function of a module by a mutant.

    :param mutated: mutmut's output for the module, with all its mutants.
    :param mutant: the mutant's name, without the module.
    :returns: the new text, or None if mutmut does not make this mutant.
    """
    original = find_functions(text).get(mutant.partition("__mutmut_")[0])
    replacement = find_functions(mutated).get(mutant)
    if original is None or replacement is None:
        return None
    return text[: original[0]] + mutated[slice(*replacement)] + text[original[1] :]


def run(directory: Path, tests: list[str]) -> int:
    """Run tests in a copy, and return pytest's exit code; `FAILED` if they do not end."""
    command = [sys.executable, "-c", PYTEST, *tests]
    environment = {**os.environ, "PYTHONPATH": os.fspath(directory), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, timeout=LIMIT, check=False)
    except subprocess.TimeoutExpired:
        return FAILED
    return done.returncode


def main(words: list[str]) -> int:
    """Check the rows that words choose, or all."""
    os.chdir(ROOT)  # mutmut reads its configuration in the current directory
    problems, mutated = 0, dict[str, str]()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for part in COPIED:
            if (ROOT / part).is_dir():
                shutil.copytree(ROOT / part, directory / part, ignore=NOT_COPIED)
            else:
                shutil.copy(ROOT / part, directory / part)
        for row in read_table(words):
            path = directory / "sealedsession" / row.module
            result = "ok"
            if run(directory, [row.test]) != PASSED:
                result = "the test does not pass"
            elif row.mutant:
                text = path.read_text(encoding="utf-8")
                if row.module not in mutated:
                    mutated[row.module] = mutate_file_contents(f"sealedsession/{row.module}", text).code
                changed = apply_mutant(text, mutated[row.module], row.mutant.rpartition(".")[2])
                if changed is None:
                    result = "no such mutant"
                else:
                    path.write_text(changed, encoding="utf-8")
                    result = "ok" if run(directory, [row.test]) == FAILED else "survived"
                    path.write_text(text, encoding="utf-8")
            problems += result != "ok"
            print(f"{row.module}\t{row.guard}\t{result}", flush=True)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
