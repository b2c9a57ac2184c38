"""Lines on logarithmic axes as SVG: enough to see a slope."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 340, 260
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 30, 44
INK, FAINT, MEASURED, LAW = "#222222", "#dddddd", "#1f5fa8", "#b0572b"


@dataclass(frozen=True)
class Panel:
    """One diagram.

    Attributes:
        points: measured (x, y), all above 0.
        slope: of the law drawn through the last point: y ∝ x to this power.
        law: its name.
    """

    title: str
    x_label: str
    y_label: str
    points: Sequence[tuple[float, float]]
    slope: float
    law: str


def figure(panels: Sequence[Panel]) -> str:
    """Panels side by side."""
    width = WIDTH * len(panels)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{HEIGHT}" '
        f'viewBox="0 0 {width} {HEIGHT}" font-family="sans-serif" font-size="11" fill="{INK}">',
        f'<rect width="{width}" height="{HEIGHT}" fill="white"/>',
    ]
    for i, panel in enumerate(panels):
        parts += [f'<g transform="translate({i * WIDTH} 0)">', *_drawn(panel), "</g>"]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _drawn(panel: Panel) -> list[str]:
    points = sorted(panel.points)
    last_x, last_y = points[-1]
    law = [(x, last_y * (x / last_x) ** panel.slope) for x, _ in points]
    heights = [y for _, y in (*points, *law)]
    low, high = min(heights) / 1.3, max(heights) * 1.3

    def at(x: float, y: float) -> tuple[float, float]:
        across = _share(x, points[0][0], last_x) * (WIDTH - LEFT - RIGHT)
        return LEFT + across, HEIGHT - BOTTOM - _share(y, low, high) * (HEIGHT - TOP - BOTTOM)

    parts = [_text(LEFT, 18, panel.title, "start")]
    for tick in _ticks(low, high):
        _, y = at(last_x, tick)
        parts.append(_line(LEFT, y, WIDTH - RIGHT, y, FAINT))
        parts.append(_text(LEFT - 6, y + 4, f"{tick:g}", "end"))
    for tick, _ in points:
        x, _ = at(tick, low)
        parts.append(_text(x, HEIGHT - BOTTOM + 16, f"{tick:g}"))
    parts.append(_path([at(*point) for point in law], LAW, ' stroke-dasharray="4 3"'))
    parts.append(_path([at(*point) for point in points], MEASURED))
    for point in points:
        x, y = at(*point)
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{MEASURED}"/>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(_text(middle, HEIGHT - 10, f"{panel.x_label}; dashed: {panel.law}"))
    upright = f' transform="rotate(-90 14 {HEIGHT / 2:g})"'
    return [*parts, _text(14, HEIGHT / 2, panel.y_label, more=upright)]


def _share(value: float, low: float, high: float) -> float:
    """Where a value stands between two others, by logarithm."""
    return math.log(value / low) / math.log(high / low) if high > low else 0.5


def _ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times the powers of ten in between."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    all_ = [digit * 10.0**power for power in powers for digit in (1, 2, 5)]
    return [tick for tick in all_ if low <= tick <= high]


def _text(x: float, y: float, text: str, anchor: str = "middle", more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="{colour}"/>'


def _path(points: Sequence[tuple[float, float]], colour: str, more: str = "") -> str:
    steps = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return f'<path d="M{steps}" fill="none" stroke="{colour}" stroke-width="1.5"{more}/>'
