"""Charts as geometry; charts.html draws them as SVG. Numbers are shown as they were given, never as they were drawn.

Every chart has a title and a sentence for those who do not see it, and a table beside it says the same. Lines differ
in dashes and marks, bars in patterns, so that no meaning hangs on a colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import floor, log10

Amount = Decimal | int | None
TICKS = 4


@dataclass(frozen=True)
class Point:
    x: float
    y: float
    words: str


@dataclass(frozen=True)
class Line:
    """``style``: 0, 1, 2: its colour, dashes and marks; ``path``: of an SVG path, with gaps where nothing is known."""

    name: str
    style: int
    path: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class LineChart:
    """``box``: left, top, right, bottom of the plot in a picture of ``width`` × ``height``."""

    name: str
    title: str
    words: str
    unit: str
    width: int
    height: int
    box: tuple[int, int, int, int]
    ticks: tuple[tuple[float, str], ...]
    labels: tuple[tuple[float, str], ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Bar:
    """``length`` of the longest one there may be; ``shown``: the number beside it; ``style``: its pattern."""

    label: str
    y: float
    length: float
    shown: str
    note: str
    style: int


@dataclass(frozen=True)
class BarChart:
    """Bars across, each with its number; ``mark``: where a budget or target stands, and its words."""

    name: str
    title: str
    words: str
    width: int
    height: int
    left: int
    bar_height: int
    bars: tuple[Bar, ...]
    mark: tuple[float, str] | None = None


@dataclass(frozen=True)
class Spark:
    """A small line without axes; its words say how it went."""

    path: str
    last: tuple[float, float]
    words: str


def line_chart(
    name: str,
    title: str,
    words: str,
    unit: str,
    labels: Sequence[str],
    series: Sequence[tuple[str, Sequence[Amount], Sequence[str]]],
    *,
    size: tuple[int, int] = (680, 300),
    from_nought: bool = True,
) -> LineChart:
    """``series``: name, values and the values in words; a None is a gap. An axis from nought, but for rates."""
    width, height = size
    left, top, right, bottom = box = (64, 34, width - 20, height - 34)
    known = [float(value) for _, values, _ in series for value in values if value is not None]
    low, high, step = _axis(known, from_nought=from_nought)
    places = _places(len(labels), left, right)

    def height_of(value: float) -> float:
        return round(bottom - (bottom - top) * (value - low) / (high - low), 1)

    ticks = []
    for count in range(round((high - low) / step) + 1):
        value = low + count * step
        ticks.append((height_of(value), _tick(value, step)))
    return LineChart(
        name, title, words, unit, width, height, box, tuple(ticks),
        tuple(_thinned(places, labels, right - left)),
        tuple(
            _line(one, style, places, [None if v is None else height_of(float(v)) for v in values], shown)
            for style, (one, values, shown) in enumerate(series)
        ),
    )  # fmt: skip


def bar_chart(
    name: str,
    title: str,
    words: str,
    rows: Sequence[tuple[str, Amount, str, str]],
    *,
    mark: tuple[Decimal, str] | None = None,
    patterns: bool = False,
    width: int = 680,
    left: int = 150,
    right: int = 170,
    pitch: int = 46,
) -> BarChart:
    """``rows``: label, value, the value in words, a note; as long as the share of the longest one or the mark,
    each in a pattern of its own if ``patterns``. ``left`` and ``right``: room for the
    words; ``pitch``: from bar to bar."""
    bar_height, room = pitch * 2 // 3, width - left - right
    values = [float(value or 0) for _, value, _, _ in rows]
    most = max([*values, float(mark[0]) if mark else 0]) or 1
    top = 36 if mark else 6
    bars = tuple(
        Bar(
            label, top + place * pitch, round(room * values[place] / most, 1), shown, note, place % 3 if patterns else 0
        )
        for place, (label, _, shown, note) in enumerate(rows)
    )
    at = (round(left + room * float(mark[0]) / most, 1), mark[1]) if mark else None
    return BarChart(name, title, words, width, top + len(rows) * pitch, left, bar_height, bars, at)


def spark(values: Sequence[Amount], words: str, *, width: int = 96, height: int = 28) -> Spark | None:
    """None with fewer than two values: there is nothing to go up or down."""
    known = [float(value) for value in values if value is not None]
    if len(known) < 2:
        return None
    low, high = min(known), max(known)
    span = (high - low) or 1
    points = [
        (round(3 + (width - 6) * place / (len(known) - 1), 1), round(height - 4 - (height - 8) * (v - low) / span, 1))
        for place, v in enumerate(known)
    ]
    return Spark(_path([points]), points[-1], words)


def _line(
    name: str, style: int, places: Sequence[float], heights: Sequence[float | None], shown: Sequence[str]
) -> Line:
    points = [Point(x, y, words) for x, y, words in zip(places, heights, shown, strict=True) if y is not None]
    runs: list[list[tuple[float, float]]] = [[]]
    for x, y in zip(places, heights, strict=True):
        if y is None:
            runs.append([])
        else:
            runs[-1].append((x, y))
    return Line(name, style, _path(runs), tuple(points))


def _path(runs: Sequence[Sequence[tuple[float, float]]]) -> str:
    return "".join(f"{'M' if place == 0 else 'L'}{x:g} {y:g}" for run in runs for place, (x, y) in enumerate(run))


def _axis(known: Sequence[float], *, from_nought: bool) -> tuple[float, float, float]:
    """Lowest and highest tick, and the step: 1, 2, 2.5 or 5 times a power of ten."""
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    if from_nought:
        low, high = min(low, 0.0), max(high, 0.0)
    if high - low < 1e-9:
        low, high = (low, low + 1) if from_nought else (low - 0.5, low + 0.5)
    raw = (high - low) / TICKS
    power = 10.0 ** floor(log10(raw))
    step = next(power * nice for nice in (1, 2, 2.5, 5, 10) if power * nice >= raw * 0.999)
    lowest = floor(low / step + 1e-9) * step
    highest = -floor(-high / step + 1e-9) * step
    return lowest, max(highest, lowest + step), step


def _tick(value: float, step: float) -> str:
    decimals = max(0, -floor(log10(step) + 1e-9))
    if decimals and abs(step * 10**decimals - round(step * 10**decimals)) > 1e-6:
        decimals += 1  # steps of 2.5
    return f"{value:,.{decimals}f}"


def _places(count: int, left: int, right: int) -> list[float]:
    if count == 1:
        return [(left + right) / 2]
    margin = 24
    step = (right - left - 2 * margin) / max(count - 1, 1)
    return [round(left + margin + step * place, 1) for place in range(count)]


def _thinned(places: Sequence[float], labels: Sequence[str], room: int) -> list[tuple[float, str]]:
    """As many labels as find room, the last always."""
    if not labels:
        return []
    widest = 9 * max(len(label) for label in labels) + 8
    every = max(1, -(-len(labels) * widest // room))
    return [
        (x, label) for place, (x, label) in enumerate(zip(places, labels, strict=True))
        if (len(labels) - 1 - place) % every == 0
    ]  # fmt: skip
