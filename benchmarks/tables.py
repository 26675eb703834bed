"""A table of results. It is rendered as text, as reStructuredText, and as JSON, from which it can be read."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

Cell = float | int | str | None


@dataclass
class Table:
    """The results of several rows in several cases.

    :param name: names the table among those of its part, and the file that it is written to.
    :param unit: what stands behind the numbers: ``x`` for ratios, ``bytes``, or nothing.
    :param rows: by the name of what was measured, a cell for each column. None: it was not measured.
    """

    name: str
    title: str
    columns: list[str]
    unit: str = "x"
    rows: dict[str, list[Cell]] = field(default_factory=dict)

    @classmethod
    def of_json(cls, data: dict[str, Any]) -> Self:
        """Return the table that `as_json` has converted."""
        return cls(**data)

    def as_json(self) -> dict[str, Any]:
        """Return the table as plain values, with rounded numbers."""
        rows = {name: [_rounded(cell) for cell in cells] for name, cells in self.rows.items()}
        return asdict(self) | {"rows": rows}

    def column(self, name: str) -> dict[str, Cell]:
        """Return one column, by the names of the rows."""
        at = self.columns.index(name)
        return {row: cells[at] for row, cells in self.rows.items()}

    def as_text(self) -> str:
        """Return the title and aligned columns."""
        lines = [["", *self.columns], *([name, *map(self._shown, cells)] for name, cells in self.rows.items())]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join([self.title, "", *(_aligned(line, widths) for line in lines), ""])

    def as_rst(self) -> str:
        """Return a list-table without a title."""
        wide = max(20, 100 - 12 * len(self.columns)) if self.unit else 0
        widths = f"   :widths: {wide} {' '.join(['12'] * len(self.columns))}\n" if wide else ""
        head = f".. list-table::\n   :header-rows: 1\n{widths}\n"
        lines = [["", *self.columns], *([name, *map(self._shown, cells)] for name, cells in self.rows.items())]
        return head + "".join(_rst_row(line) for line in lines)

    def _shown(self, cell: Cell) -> str:
        if cell is None:
            return "-"
        if isinstance(cell, str):
            return cell
        return f"{cell:,}" if isinstance(cell, int) else shown(cell, self.unit)


def shown(number: float, unit: str = "x") -> str:
    """Return a number with its significant digits."""
    digits = 0 if abs(number) >= 100 else 1 if abs(number) >= 10 else 2
    return f"{number:.{digits}f}{unit if unit == 'x' else ''}"


def _rounded(cell: Cell) -> Cell:
    return float(f"{cell:.3g}") if isinstance(cell, float) else cell


def _aligned(line: Sequence[str], widths: Sequence[int]) -> str:
    others = [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
    return "  ".join([line[0].ljust(widths[0]), *others]).rstrip()


def _rst_row(line: Sequence[str]) -> str:
    marks = ["   * -", *["     -"] * (len(line) - 1)]
    cells = [r"\-" if cell == "-" else cell for cell in line]  # a hyphen alone would be a list
    return "".join(f"{mark} {cell}".rstrip() + "\n" for mark, cell in zip(marks, cells, strict=True))
