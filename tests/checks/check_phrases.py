"""Refuse phrases that are not idiomatic English, also where a line wraps: ``check_phrases.py [FILE...]``.

Without files, everything in `DIRECTORIES` and next to them is checked. `PHRASES` maps a regular expression to the text
to write. A space in it stands for any white space.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).parents[2]
DIRECTORIES = ("docs", "examples")
SUFFIXES = {".md", ".py", ".rst"}
PHRASES = {
    "as ever": "as usual, unchanged",
    "no news": "expected",
    "harms nobody": "is logged and ignored",
    "of (before|above|below|here)": "previous, the ... above, this ...",
    "what is none": "an invalid ..., an unknown ...",
    "what is no(?! longer| more)": "anything except ...",
    "an object of Python": "a Python object",
    "whoever has": "anyone who has, an attacker with",
    "say of": "state, describe",
}
SPACE = r"(?:\s+|\s*\n\s*#:?\s*)"  # comments wrap too
WORDS = re.compile("|".join(rf"\b(?:{phrase})\b".replace(" ", SPACE) for phrase in PHRASES), re.IGNORECASE)


def files() -> list[pathlib.Path]:
    found = [path for name in DIRECTORIES for path in (ROOT / name).rglob("*")]
    return sorted(path for path in (*ROOT.iterdir(), *found) if path.suffix in SUFFIXES and path.is_file())


def advice(found: str) -> str:
    words = re.sub(r"[\s#:]+", " ", found)
    return next(instead for phrase, instead in PHRASES.items() if re.fullmatch(phrase, words, re.IGNORECASE))


def main(paths: list[pathlib.Path]) -> int:
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
