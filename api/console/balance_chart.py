"""A loan's balance over time as a small drawing: steps, with the days that bear no subsidy behind them.

Everything is in the drawing's own units; the table beside it has the numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

WIDTH, HEIGHT = 720, 160
_LEFT, _RIGHT, _TOP, _BOTTOM = 90, 12, 12, 28


@dataclass(frozen=True)
class Step:
    """``balance`` (分) is owed from ``day`` on."""

    day: date
    balance: int


@dataclass(frozen=True)
class Shade:
    """Days drawn darker, in the drawing's units."""

    x: float
    width: float


@dataclass(frozen=True)
class BalanceChart:
    """``path``: of an SVG path; ``ticks``: (x, day); ``levels``: (y, 分)."""

    path: str
    shades: tuple[Shade, ...]
    ticks: tuple[tuple[float, date], ...]
    levels: tuple[tuple[float, int], ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    base: int = HEIGHT - _BOTTOM


def draw(steps: Sequence[Step], until: date, bare: Sequence[tuple[date, date]] = ()) -> BalanceChart | None:
    """``bare``: spans without subsidy, half-open. None for a loan on which nothing has moved."""
    if not steps or until <= steps[0].day:
        return None
    first, days = steps[0].day, (until - steps[0].day).days
    most = max(step.balance for step in steps) or 1

    def x(day: date) -> float:
        inside = min(max((day - first).days, 0), days)
        return round(_LEFT + inside * (WIDTH - _LEFT - _RIGHT) / days, 1)

    def y(balance: int) -> float:
        return round(HEIGHT - _BOTTOM - balance * (HEIGHT - _TOP - _BOTTOM) / most, 1)

    parts = [f"M{x(first)} {y(0)}"]
    for step in steps:
        parts.append(f"H{x(step.day)}V{y(step.balance)}")
    parts.append(f"H{x(until)}")
    shades = [Shade(x(start), round(x(end) - x(start), 1)) for start, end in bare if end > first and start < until]
    return BalanceChart(
        "".join(parts), tuple(shade for shade in shades if shade.width > 0),
        ((x(first), first), (x(until), until)), ((y(0), 0), (y(most), most)),
    )  # fmt: skip
