"""The pages of the documentation, and the code and tables in them."""

import re
import textwrap
from collections.abc import Iterator
from typing import Any

from tests.support import ROOT

README = (ROOT / "README.rst").read_text()
DOCS = ROOT / "docs"
PAGES = {  # by their names in the documentation, such as howto/types
    path.relative_to(DOCS).with_suffix("").as_posix(): path.read_text()
    for path in DOCS.rglob("*.rst")
    if "_build" not in path.parts
}


def blocks(text: str, language: str) -> list[str]:
    """The code blocks of a page in one language. One with a caption is a file of a project: its page has a test."""
    found = re.findall(rf"^\.\. code-block:: {language}\n\n((?:   .*\n|\n)+)", text, re.MULTILINE)
    return [textwrap.dedent(block) for block in found]


def block_with(text: str, *words: str, language: str = "python") -> str:
    """The one code block that holds all of these words."""
    (block,) = [block for block in blocks(text, language) if all(word in block for word in words)]
    return block


def section(text: str, title: str) -> str:
    """A page from one title to the next of its kind."""
    match = re.search(
        rf"^{re.escape(title)}\n([-~=])\1+\n(.*?)(?=^[^\n]+\n\1{{3,}}\n|\Z)", text, re.MULTILINE | re.DOTALL
    )
    assert match, f"there is no section {title!r}"
    return match[2]


def rows(text: str) -> Iterator[list[str]]:
    """The rows of a page's list tables, the head of each included."""
    for row in re.split(r"^ +\* - ", text, flags=re.MULTILINE)[1:]:
        yield [" ".join(cell.split()) for cell in re.split(r"^ +-(?: |$)", row, flags=re.MULTILINE)]


def run(code: str) -> dict[str, Any]:
    """Run a code block as a module that is imported."""
    namespace: dict[str, Any] = {"__name__": "from_the_docs"}
    exec(compile(code, "code block", "exec"), namespace)
    return namespace


def literals(cell: str) -> list[str]:
    return re.findall(r"``(.+?)``", cell)
