"""Refuse wordings of messages in tests: ``python tests/checks/check_wordings.py``. See `ALLOWED` for where they belong.

A wording is three words in a row, in a ``match=`` argument, or in a comparison by ``in`` or ``==`` with the text of an
error, a log record or an output. Values of ``pytest.mark.parametrize`` are followed. A text that a test assigns to a
variable first is not found: review has to.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]
ALLOWED = ("unit/test_messages.py", "unit/integrations/django/test_django_messages.py")
WORDING = re.compile(r"\b[A-Za-z']{2,} [A-Za-z']{2,} [A-Za-z']{2,}\b")
TEXT = re.compile(r"\bstr\(|\bgetMessage\(|\bcaplog\.(text|messages)|\breadouterr\(|\.(stderr|stdout|err|out)\b")


def texts_in(tree: ast.AST) -> Iterator[ast.expr]:
    """The expressions that a test compares with the text of an error, a log record or an output."""
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "match":
            yield node.value
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.Eq):
            sides = [node.left, *node.comparators]
            others = [side for side in sides if not TEXT.search(ast.unparse(side))]
            yield from others if len(others) < len(sides) else []


def values_of(function: ast.AST, name: str) -> Iterator[ast.AST]:
    """The values of a test's parameter."""
    for decorator in getattr(function, "decorator_list", []):
        if not isinstance(decorator, ast.Call) or len(decorator.args) != 2:
            continue
        names = re.findall(r"\w+", ast.unparse(decorator.args[0]))
        for row in getattr(decorator.args[1], "elts", []) if name in names else []:
            values = getattr(row.value, "elt", row.value) if isinstance(row, ast.Starred) else row
            cells = values.elts if isinstance(values, ast.Tuple) else []
            yield cells[names.index(name)] if len(cells) == len(names) else values


def wordings(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a file with a wording, and the wordings."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    for function in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, functions)):
        found: list[ast.AST] = [*texts_in(function)]
        names = {node.id for each in found for node in ast.walk(each) if isinstance(node, ast.Name)}
        found += [value for name in sorted(names) for value in values_of(function, name)]
        for constant in (node for each in found for node in ast.walk(each) if isinstance(node, ast.Constant)):
            if isinstance(constant.value, str) and WORDING.search(constant.value):
                yield constant.lineno, constant.value


def main() -> int:
    """Print the wordings, and return 1 if there are any."""
    failed = 0
    for path in sorted(TESTS.rglob("*.py")):
        if not str(path.relative_to(TESTS)).startswith(ALLOWED):
            for line, text in sorted({*wordings(path)}):
                print(f"{path.relative_to(TESTS.parent)}:{line}: {text}")
                failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
