"""What the pages of runs and keys draw: epochs on a time line, allowances as bars, alarms in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from starlette.requests import Request

from api.console.language import language_of, mark
from api.words import explain_code
from keys.clock import BEIJING, parse_time
from matcher.alarms import Alarm
from matcher.checks.links import BudgetView, LinkView
from matcher.households.received import EpochRow

WIDTH, ROW, LEFT = 960, 44, 200  # of the drawing, in its own units
_WORDS = 40  # of a year's number
_MARGIN = timedelta(days=20)
_ENDS_SOON = timedelta(days=30)
_LOW = 0.2  # of an allowance that is left: from then on the bar warns


@dataclass(frozen=True)
class Tick:
    """An edition: ``x`` in the drawing; ``words`` for the title."""

    x: int
    words: str


@dataclass(frozen=True)
class EpochLine:
    """One epoch of a dataset. ``state``: words; ``kind``: the colour beside them. ``x`` to ``x_end``: its time."""

    name: str
    epoch: str
    state: str
    kind: str
    begins: str
    ends: str  # '' where the bureau is not told
    editions: str
    last: str
    y: int
    x: int
    x_end: int
    ticks: tuple[Tick, ...]


@dataclass(frozen=True)
class TimeLine:
    """The drawing: its size, the years' places, the present."""

    lines: tuple[EpochLine, ...]
    width: int
    height: int
    left: int
    years: tuple[tuple[int, str], ...]
    now: int


@dataclass(frozen=True)
class Bar:
    """An allowance: ``used`` in hundredths; ``is_low``: less than a fifth is left."""

    name: str
    view: BudgetView
    used: int
    is_low: bool


@dataclass(frozen=True)
class AlarmLine:
    """``place``: bureau, or the dataset's code; ``what`` happened and ``following``: what to do."""

    place: str
    place_words: str
    alarm: Alarm
    what: str
    following: str
    may_acknowledge: bool


@dataclass(frozen=True)
class _Span:
    name: str
    epoch: str
    state: str
    kind: str
    begins: datetime
    ends: datetime | None
    editions: tuple[tuple[int, datetime], ...]


def epoch_lines(
    epochs: Sequence[EpochRow], views: Sequence[LinkView], now: datetime, names: Callable[[str], str]
) -> TimeLine:
    """Every epoch that the bureau knows of: of the base list by what was handed over, of departments by manifests."""
    spans = [*_of_base(epochs), *(span for view in views for span in _of_link(view, now))]
    moments = [now, *(one.begins for one in spans), *(one.ends for one in spans if one.ends)]
    first, last = min(moments) - _MARGIN, max(moments) + _MARGIN

    def place(moment: datetime) -> int:
        return LEFT + round((WIDTH - LEFT) * ((moment - first) / (last - first)))

    lines = []
    for row, span in enumerate(spans):
        ticks = tuple(Tick(place(at), f"{number} · {_day(at)}") for number, at in span.editions)
        end = span.ends or (now if span.kind == "good" else max([span.begins, *(at for _, at in span.editions)]))
        newest = max(span.editions, default=None)
        lines.append(
            EpochLine(
                names(span.name), span.epoch, span.state, span.kind, _day(span.begins),
                _day(span.ends) if span.ends else "", _numbers(span.editions),
                f"{newest[0]} · {_day(newest[1])}" if newest else "", 30 + row * ROW,
                place(span.begins), max(place(end), place(span.begins) + 4), ticks,
            )
        )  # fmt: skip
    years = [datetime(year, 1, 1, tzinfo=BEIJING) for year in range(first.year, last.year + 2)]
    marks = tuple((place(one), str(one.year)) for one in years if first <= one <= last and place(one) < WIDTH - _WORDS)
    return TimeLine(tuple(lines), WIDTH, 40 + len(spans) * ROW, LEFT, marks, place(now))


def bars(views: Sequence[LinkView]) -> list[Bar]:
    """One for each allowance that a department told of."""
    found = []
    for view in views:
        for budget in view.budgets:
            total = max(budget.told.total, budget.told.used + budget.told.remaining, 1)
            found.append(
                Bar(
                    view.link.name, budget, min(100, round(100 * budget.told.used / total)),
                    budget.told.remaining < _LOW * total,
                )
            )  # fmt: skip
    return found


def alarm_lines(
    request: Request, place: str, place_words: str, alarms: Sequence[Alarm], may_acknowledge: bool
) -> list[AlarmLine]:
    """In the reader's words, also what to do on a machine: operators read them too."""
    language = language_of(request)
    return [
        AlarmLine(place, place_words, one, *explain_code(one.code, one.detail, one.params, language), may_acknowledge)
        for one in alarms
    ]


def _of_base(epochs: Sequence[EpochRow]) -> list[_Span]:
    return [
        _Span(
            one.dataset, one.epoch, mark("现行") if one.is_newest else mark("已被新一期取代"),
            "good" if one.is_newest else "plain", parse_time(one.received_at), None,
            tuple((number, parse_time(first)) for number, first, _ in one.editions),
        )
        for one in epochs
    ]  # fmt: skip


def _of_link(view: LinkView, now: datetime) -> list[_Span]:
    """An epoch is valid as long as its newest edition is."""
    spans = []
    for epoch in dict.fromkeys(one.epoch for one in view.editions):
        mine = [one for one in view.editions if one.epoch == epoch]
        newest = max(mine, key=lambda one: one.edition)
        ends = parse_time(newest.not_after)
        if newest.forgotten_at:
            state, kind = mark("已遗忘"), "plain"
        elif ends < now:
            state, kind = mark("已过期"), "bad"
        elif ends - now < _ENDS_SOON:
            state, kind = mark("将到期"), "warn"
        else:
            state, kind = mark("有效"), "good"
        editions = tuple((one.edition, parse_time(one.created_at)) for one in mine)
        begins = min(parse_time(one.not_before) for one in mine)
        spans.append(_Span(view.link.name, epoch, state, kind, begins, ends, editions))
    return spans


def _numbers(editions: Sequence[tuple[int, datetime]]) -> str:
    numbers = sorted(number for number, _ in editions)
    if not numbers:
        return ""
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]}–{numbers[-1]}"


def _day(moment: datetime) -> str:
    return f"{moment.astimezone(BEIJING):%Y-%m-%d}"
