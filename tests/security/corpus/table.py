"""The results as tables: groups by readers, as text and as reStructuredText."""

import platform
from collections import Counter
from collections.abc import Sequence
from importlib import metadata
from typing import Protocol

ALL = "all"
HEADINGS = {
    "ours": "this library",
    "plain": "``pickle.loads``",
    "recipe": "``find_class``, exact names",
    "modules": "``find_class``, whole modules",
    "picklescan": "picklescan as a gate",
}


class Outcome(Protocol):
    """What a table needs of a result."""

    @property
    def reader(self) -> str: ...
    @property
    def group(self) -> str: ...
    @property
    def layout(self) -> str: ...
    @property
    def harm(self) -> str: ...


def as_text(results: Sequence[Outcome]) -> str:
    """For each group and reader: cases that ran code, cases with another fault, all cases."""
    readers, rows = _rows(results)
    width = max(len(group) for group, _ in rows)
    lines = [f"{'':{width}}  " + "  ".join(f"{reader:>16}" for reader in readers)]
    lines.append(f"{'group':{width}}  " + "  ".join(f"{'ran/other/cases':>16}" for _ in readers))
    for group, cells in rows:
        lines.append(f"{group:{width}}  " + "  ".join(f"{f'{ran}/{other}/{total}':>16}" for ran, other, total in cells))
    return "\n".join(lines)


def write_rst(results: Sequence[Outcome]) -> str:
    """The same as a list-table, with what it was measured on."""
    readers, rows = _rows(results)
    foreign = {result.group for result in results if result.layout != "ours"}
    versions = f"CPython {platform.python_version()}"
    if "picklescan" in readers:
        versions += f", picklescan {metadata.version('picklescan')}"
    lines = [
        ".. made by: python -m tests.security.corpus.run --table docs/corpus-table.rst",
        "",
        ".. list-table:: Cases in which code ran / another effect, a broken limit or a wrongly accepted value",
        "   :header-rows: 1",
        "",
    ]
    lines += _row(["group", "cases", *(HEADINGS[reader] for reader in readers)])
    for group, cells in rows:
        line = [group, str(cells[0][2])]
        for reader, (ran, other, _) in zip(readers, cells, strict=True):
            compared = reader == "ours" or group in foreign or group == ALL
            line.append(f"{ran} / {other}" if compared else "\N{EN DASH}")
        lines += _row(line)
    lines += [
        "",
        f"Measured on {versions}. A dash: all payloads of the group are in this library's own form,",
        "which other readers refuse for want of a ``persistent_load``.",
    ]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> list[str]:
    return [f"   {'* -' if index == 0 else '  -'} {cell}" for index, cell in enumerate(cells)]


def _rows(results: Sequence[Outcome]) -> tuple[list[str], list[tuple[str, list[tuple[int, int, int]]]]]:
    readers = list(dict.fromkeys(result.reader for result in results))
    groups = list(dict.fromkeys(result.group for result in results))
    counted = Counter((result.reader, result.group, result.harm) for result in results)
    for (reader, _, harm), count in list(counted.items()):
        counted[reader, ALL, harm] += count

    def cell(reader: str, group: str) -> tuple[int, int, int]:
        ran, other, none = (counted[reader, group, harm] for harm in ("ran", "other", ""))
        return ran, other, ran + other + none

    return readers, [(group, [cell(reader, group) for reader in readers]) for group in [*groups, ALL]]
