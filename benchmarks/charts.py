"""Draw charts as SVG: ``dots`` for ratios of many rows in a few cases, ``lines`` for costs that grow with an amount.

The charts are written as text, without a library. The colours are those of Okabe and Ito, which people with any kind of
colour blindness can distinguish. Each series also has its own shape. The background is always white.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from xml.sax.saxutils import escape

from tables import shown

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00")
_WIDTH, _LABELS, _RIGHT, _TOP, _ROW, _BOTTOM = 860, 250, 40, 64, 26, 46  # pixels
_PLOT = _WIDTH - _LABELS - _RIGHT
_LOG_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)

Scale = Callable[[float], float]


def dots(
    title: str, rows: Mapping[str, Sequence[float | None]], series: Sequence[str], *, log: bool = True, ours: str = ""
) -> str:
    """Draw a line for each row, with a mark for each series.

    :param log: a logarithmic axis; or else one from 0 to 1, or a little more where a value is.
    :param ours: the row that stands out.
    """
    values = [value for cells in rows.values() for value in cells if value is not None and value > 0]
    ticks = _log_ticks(values) if log else [tick / 4 for tick in range(max(4, math.ceil(max(values) * 4)) + 1)]
    scale = _log_scale(ticks) if log else _linear_scale(ticks[0], ticks[-1], _LABELS, _PLOT)
    bottom = _TOP + _ROW * len(rows)
    band = _TOP + _ROW * list(rows).index(ours) if ours in rows else None
    parts = [f'<rect y="{band}" width="{_WIDTH}" height="{_ROW}" fill="#E8F1F8"/>'] if band else []
    parts += [*_grid_x(ticks, scale, bottom), *_legend(series)]
    for number, (name, cells) in enumerate(rows.items()):
        y = _TOP + _ROW * number + _ROW / 2
        weight = ' font-weight="bold"' if name == ours else ""
        parts.append(f'<text x="{_LABELS - 12}" y="{y + 4.5:.1f}" text-anchor="end"{weight}>{escape(name)}</text>')
        parts.append(f'<line x1="{_LABELS}" x2="{_LABELS + _PLOT}" y1="{y}" y2="{y}" stroke="#DDDDDD"/>')
        for at, value in enumerate(cells):
            if value is not None:
                low, high = ticks[0], ticks[-1]
                parts.append(_mark(at, scale(min(max(value, low), high)), y, f"{name}, {series[at]}: {shown(value)}"))
    return _document(title, parts, bottom + _BOTTOM)


def lines(title: str, xs: Sequence[float], rows: Mapping[str, Sequence[float | None]], *, x_label: str) -> str:
    """Draw a curve for each row, over the same xs."""
    height, left = 300, 70
    width = _WIDTH - left - _RIGHT
    top_value = _nice_top(max(value for cells in rows.values() for value in cells if value is not None))
    x_scale = _linear_scale(0, max(xs), left, width)
    y_scale = _linear_scale(0, top_value, _TOP + height, -height)
    bottom = _TOP + height
    parts = _legend(list(rows))
    for step in range(6):
        value = top_value * step / 5
        y = y_scale(value)
        parts.append(f'<line x1="{left}" x2="{left + width}" y1="{y:.1f}" y2="{y:.1f}" stroke="#DDDDDD"/>')
        parts.append(f'<text x="{left - 8}" y="{y + 4.5:.1f}" text-anchor="end">{shown(value)}</text>')
        x_value = max(xs) * step / 5
        parts.append(f'<text x="{x_scale(x_value):.1f}" y="{bottom + 18}" text-anchor="middle">{x_value:,.0f}</text>')
    parts.append(f'<text x="{left + width / 2}" y="{bottom + 38}" text-anchor="middle">{escape(x_label)}</text>')
    for at, (name, cells) in enumerate(rows.items()):
        points = [
            (x_scale(x), y_scale(value), x, value) for x, value in zip(xs, cells, strict=True) if value is not None
        ]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _, _ in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{_COLOURS[at]}" stroke-width="1.5"/>')
        parts += [_mark(at, x, y, f"{name}, {at_x:,}: {shown(value)}") for x, y, at_x, value in points]
    return _document(title, parts, bottom + _BOTTOM + 8)


def _document(title: str, parts: Sequence[str], height: float) -> str:
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:.0f}" width="{_WIDTH}" '
            f'height="{height:.0f}" font-family="sans-serif" font-size="13" fill="#222222" role="img">',
            f"<title>{escape(title)}</title>",
            '<rect width="100%" height="100%" fill="#FFFFFF"/>',
            f'<text x="12" y="22" font-size="15" font-weight="bold">{escape(title)}</text>',
            *parts,
            "</svg>\n",
        ]
    )


def _legend(series: Sequence[str]) -> list[str]:
    parts, x = [], 18.0
    for at, name in enumerate(series):
        parts.append(_mark(at, x, 43, name))
        parts.append(f'<text x="{x + 11:.0f}" y="47">{escape(name)}</text>')
        x += 38 + 7.4 * len(name)
    return parts


def _grid_x(ticks: Sequence[float], scale: Scale, bottom: float) -> list[str]:
    parts = []
    for tick in ticks:
        x = scale(tick)
        stroke, width = ("#555555", 1.5) if tick == 1 else ("#DDDDDD", 1)
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{bottom}" stroke="{stroke}" stroke-width="{width}"/>'
        )
        parts.append(f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{tick:g}</text>')
    return parts


def _mark(series: int, x: float, y: float, title: str) -> str:
    """Draw a circle, square, triangle or diamond, in turn. Shape and colour distinguish the series."""
    symbols = (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5"',
        f'<rect x="{x - 4.5:.1f}" y="{y - 4.5:.1f}" width="9" height="9"',
        f'<path d="M{x:.1f} {y - 6:.1f} l6 10.5 h-12 z"',
        f'<path d="M{x:.1f} {y - 6.5:.1f} l6.5 6.5 l-6.5 6.5 l-6.5 -6.5 z"',
    )
    colour = _COLOURS[series % len(_COLOURS)]
    return (
        f'{symbols[series % len(symbols)]} fill="{colour}" fill-opacity="0.85" stroke="#FFFFFF" stroke-width="0.8">'
        f"<title>{escape(title)}</title></{symbols[series % len(symbols)][1:].split()[0]}>"
    )


def _log_ticks(values: Sequence[float]) -> Sequence[float]:
    low = max((tick for tick in _LOG_TICKS if tick <= min(*values, 1)), default=_LOG_TICKS[0])
    high = min((tick for tick in _LOG_TICKS if tick >= max(*values, 2)), default=_LOG_TICKS[-1])
    return [tick for tick in _LOG_TICKS if low <= tick <= high]


def _log_scale(ticks: Sequence[float]) -> Scale:
    linear = _linear_scale(math.log(ticks[0]), math.log(ticks[-1]), _LABELS, _PLOT)
    return lambda value: linear(math.log(value))


def _linear_scale(low: float, high: float, start: float, length: float) -> Scale:
    return lambda value: start + length * (value - low) / (high - low)


def _nice_top(value: float) -> float:
    size = 10.0 ** math.floor(math.log10(value))
    return next(size * step for step in (1, 1.5, 2, 2.5, 3, 4, 5, 7.5, 10) if size * step >= value)
