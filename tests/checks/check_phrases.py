"""Refuse phrases that are not idiomatic English: ``check_phrases.py [FILE...]``.

Without files, everything in `DIRECTORIES` and in the root folder is checked, including code, because most phrases occur
only in docstrings, comments and messages. `PHRASES` maps a regular expression to a better wording. A space in the
expression also stands for a line break, in a paragraph, a comment or a string that continues on the next line.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).parents[2]
DIRECTORIES = ("sealedsession", "docs", "examples", "benchmarks", "tests")
GENERATED = ("docs/_build",)
SUFFIXES = {".html", ".ini", ".js", ".md", ".py", ".rst"}
PHRASES = {
    "anew": "again, new",
    "as ever": "as usual, unchanged",
    "as good as": "equivalent to, almost",
    "an object of Python": "a Python object",
    "(?:is|are) asked": "is called, is checked, the user must ...",
    "(?:is|are) told(?! apart)": "receives, is notified, knows",
    "but for(?! more)": "except for",
    "gives? back": "returns",
    "harms nobody": "is logged and ignored",
    "(?<!would\\s)(?:has|have) to be": "must be",
    "in earnest": "in a real application",
    "is none of(?! these| those| the)": "is not in",
    "no news": "expected",
    "of (?:before|above|below|here)": "previous, the ... above, this ...",
    "one to a line": "each on its own line",
    "say of": "state, describe",
    "shall": "must, will",
    "that is (?-i:none)": "an invalid ..., an unknown ...",
    "the cure": "the fix",
    "the very": "the same, exactly the",
    "to so many": "to that number of",
    "what (?:a|an|the|it) \\w+ (?:held|holds|takes|says)": "the ...'s content, a noun",
    "what is (?-i:none)": "an invalid ..., an unknown ...",
    "what is no(?! longer| more)": "anything except ...",
    "who(?:m)?ever (?:calls|has|is|makes|reads)": "anyone who ..., an attacker with ..., the caller",
}
# White space, perhaps with the end of a line, and the beginning of the next line of a comment or string.
SPACE = r"""(?:\s+|\s*["']?\s*\n\s*(?:\#:?|\*|[bfr]{0,2}["'])?\s*)"""
WORDS = re.compile("|".join(rf"\b(?:{phrase})\b".replace(" ", SPACE) for phrase in PHRASES), re.IGNORECASE)


def files() -> list[pathlib.Path]:
    """Return the files to check: all except generated ones and this one, which quotes the phrases."""
    found = [*ROOT.iterdir(), *(path for name in DIRECTORIES for path in (ROOT / name).rglob("*"))]
    skipped = tuple(ROOT / name for name in GENERATED)
    return sorted(
        path
        for path in found
        if path.suffix in SUFFIXES
        and path.is_file()
        and path != pathlib.Path(__file__).resolve()
        and not any(path.is_relative_to(folder) for folder in skipped)
    )


def advice(found: str) -> str:
    """Return the better wording for a phrase as it was found, perhaps with a line break."""
    words = re.sub(r"""[\s#:*"']+|\b[bfr]{1,2}["']""", " ", found)
    return next(instead for phrase, instead in PHRASES.items() if re.fullmatch(phrase, words, re.IGNORECASE))


def main(paths: list[pathlib.Path]) -> int:
    """Print every phrase that was found, and return the exit status."""
    faults = 0
    for path in paths:
        text = path.read_text(encoding="utf-8")
        for match in WORDS.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            print(f"{path}:{line}: {' '.join(match[0].split())!r}: write {advice(match[0])}")
            faults += 1
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main([pathlib.Path(name) for name in sys.argv[1:]] or files()))
