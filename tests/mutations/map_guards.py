"""Find a mutant of mutmut for each row of tests/mutations/guards.py: ``python tests/mutations/map_guards.py [FILE]``.

The script writes a tab-separated table to the file, or to standard output: the row, its module and line, the kind of
correspondence, the mutants, and their results where ``make mutations`` has stored them in ``.mutations``. The kinds
are, from the closest one:

``same``: a mutant has the syntax tree of the row's change.
``inside``: a mutant changes a part of the text that the row changes, such as one comparison of a condition.
``line``: a mutant changes something else on the same lines.
``none``: mutmut has no mutant on these lines. The column after it has the reason.
``stale``: the row's text is no longer in the package.

Only ``same``, and ``inside`` with a killed mutant, show that the unit tests notice the loss of the guard.
"""

import ast
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mutmut.mutation.file_mutation import mutate_file_contents
from mutmut.stats import status_by_exit_code

sys.path.insert(0, os.fspath(Path(__file__).parents[2]))
from tests.mutations.guards import MUTATIONS, Mutation

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "sealedsession"
SHOWN = 3  # mutants for each row
MARK, ORIGINAL = "__mutmut_", "orig"


class Mutant(NamedTuple):
    """A mutant of one function. The positions are those of the changed text in the module, in characters."""

    name: str
    start: int
    end: int
    tree: str
    original_tree: str


def common_prefix(a: str, b: str) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def changed_span(old: str, new: str) -> tuple[int, int]:
    """Return the start and the end of the text in ``old`` that ``new`` replaces."""
    start = common_prefix(old, new)
    return start, len(old) - common_prefix(old[start:][::-1], new[start:][::-1])


def functions(text: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Yield the functions of a module that are not in other functions, with the names that mutmut derives."""
    for node in ast.parse(text).body:
        for child in node.body if isinstance(node, ast.ClassDef) else [node]:
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                prefix = f"xǁ{node.name}ǁ" if isinstance(node, ast.ClassDef) else "x_"
                yield child.name if MARK in child.name else prefix + child.name, child


def source(text: str, function: ast.FunctionDef | ast.AsyncFunctionDef) -> tuple[int, str]:
    """Return the position of a function's signature after its name, and the text from there."""
    lines = text.splitlines(keepends=True)
    start = sum(map(len, lines[: function.lineno - 1]))
    end = sum(map(len, lines[: function.end_lineno]))
    start = text.index("(", start)
    return start, text[start:end].rstrip()


def tree(function: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    return ast.dump(ast.Module([function.args, *function.body], []))  # type: ignore[list-item]


def mutants(path: Path) -> list[Mutant]:
    """Return the mutants of one module."""
    text = path.read_text(encoding="utf-8")
    mutated = mutate_file_contents(os.fspath(path.relative_to(ROOT)), text).code
    originals = {name: (*source(text, function), function) for name, function in functions(text)}
    found = []
    for name, function in functions(mutated):
        base, mark, number = name.partition(MARK)
        if not mark or number == ORIGINAL or base not in originals:
            continue
        position, original, original_function = originals[base]
        start, end = changed_span(original, source(mutated, function)[1])
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        found.append(
            Mutant(f"{module}.{name}", position + start, position + end, tree(function), tree(original_function))
        )
    return found


def locate(row: Mutation) -> Path | None:
    """Return the module that has a row's text exactly once."""
    path = PACKAGE / row.file
    return path if path.exists() and path.read_text(encoding="utf-8").count(row.old) == 1 else None


def reason(text: str, start: int) -> str:
    """Return why mutmut has no mutant at a position."""
    line = text.count("\n", 0, start) + 1
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            if first <= line <= (node.end_lineno or line):
                return "decorated function" if node.decorator_list else "no operator for this code"
    return "module level or class body"


def results() -> dict[str, str]:
    """Return the stored result of every mutant."""
    found = {}
    for path in (ROOT / ".mutations").rglob("*.meta"):
        for name, exit_code in json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"].items():
            if exit_code is not None:
                found[name] = status_by_exit_code[exit_code]
    return found


def correspondence(row: Mutation, text: str, candidates: list[Mutant]) -> tuple[int, str, list[Mutant]]:
    """Compare a row with the mutants of its module.

    :returns: the start of the row's change in the module, the kind of the correspondence, and the mutants.
    """
    at = text.index(row.old)
    low, high = changed_span(row.old, row.new)
    start, end = at + low, at + high
    trees = {tree(function) for _, function in functions(text.replace(row.old, row.new))}
    first, last = text.rindex("\n", 0, start) + 1, (text + "\n").index("\n", max(start, end - 1))
    near = [mutant for mutant in candidates if mutant.start <= last and mutant.end >= first]
    same = [mutant for mutant in near if mutant.tree in trees and mutant.tree != mutant.original_tree]
    inside = [mutant for mutant in near if start <= mutant.start and mutant.end <= max(end, start + 1)]
    for kind, chosen in (("same", same), ("inside", inside), ("line", near)):
        if chosen:
            return start, kind, chosen
    return start, "none", []


def main(words: list[str]) -> int:
    """Write the table, and the number of rows for each kind of correspondence."""
    os.chdir(ROOT)  # mutmut reads its configuration in the current directory
    done, by_path, counts = results(), dict[Path, list[Mutant]](), Counter[str]()
    lines = ["\t".join(("row", "module", "line", "kind", "mutants or reason"))]
    for row in MUTATIONS:
        path = locate(row)
        if path is None:
            counts["stale"] += 1
            lines.append("\t".join((row.name, row.file, "", "stale", "")))
            continue
        if path not in by_path:
            by_path[path] = mutants(path)
        text = path.read_text(encoding="utf-8")
        start, kind, chosen = correspondence(row, text, by_path[path])
        chosen.sort(key=lambda mutant: done.get(mutant.name) not in ("killed", "timeout"))
        note = ", ".join(f"{mutant.name} ({done.get(mutant.name, 'not run')})" for mutant in chosen[:SHOWN])
        killed = any(done.get(mutant.name) in ("killed", "timeout") for mutant in chosen)
        counts[kind + (", killed" if killed else "")] += 1
        line = str(text.count("\n", 0, start) + 1)
        lines.append(
            "\t".join((row.name, os.fspath(path.relative_to(PACKAGE)), line, kind, note or reason(text, start)))
        )
    if words:
        Path(words[0]).write_text("\n".join(lines) + "\n", encoding="utf-8")
    else:
        print("\n".join(lines))
    print(", ".join(f"{kind}: {count}" for kind, count in sorted(counts.items())), file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
