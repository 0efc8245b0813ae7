"""What the dashboard and the wall show, in words and charts, made of the day's figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from urllib.parse import urlencode

from starlette.requests import Request

from api.console.charts import BarChart, LineChart, Spark, bar_chart, line_chart, spark
from api.console.language import mark, say
from matcher.reports.dashboard import Dashboard, Goal
from matcher.reports.document import HIDDEN, Value, percent
from matcher.reports.sight import Number

STAGES = (mark("匹配候选"), mark("走访建档"), mark("签约授信"), mark("放款惠及"), mark("已获减息"))
"""In the order of matcher.reports.dashboard.FUNNEL."""
SUBSIDY = (
    mark("已结息且已付"), mark("已申报"), mark("已拨付"), mark("其中省级"), mark("其中地方"), mark("银行让利"),
)  # fmt: skip
PRODUCT = (mark("惠及户数"), mark("放款笔数"), mark("累计放款"), mark("贷款余额"), mark("累计减息"))


@dataclass(frozen=True)
class Shown:
    """A number as a page shows it; ``address`` opens the records behind it, '' where that is not allowed."""

    words: str
    unit: str
    address: str = ""
    is_hidden: bool = False


@dataclass(frozen=True)
class GoalRow:
    goal: Goal
    target: str
    now: Shown
    completion: str
    change: str
    spark: Spark | None


@dataclass(frozen=True)
class Charts:
    funnel: BarChart | None
    balance: LineChart | None
    rates: LineChart | None
    subsidy: BarChart


def words_of(value: Value) -> str:
    """Thousands set apart; a hidden one as the reports write it; nothing as a dash."""
    if value is None:
        return "—"
    if value is HIDDEN:
        return HIDDEN.value
    return f"{value:,}" if isinstance(value, int | Decimal) else str(value)


def show_number(board: Dashboard, number: Number | None) -> Shown:
    if number is None:
        return Shown("—", "")
    is_open = not board.outside and isinstance(number.value, int | Decimal) and number.value != 0
    return Shown(
        words_of(number.value), number.unit, records_address(board.day, number) if is_open else "",
        number.value is HIDDEN,
    )  # fmt: skip


def records_address(day: date, number: Number) -> str:
    asked = {
        "name": number.figure, "day": day, "township": number.township, "product": number.product,
        "since": number.since or "",
    }  # fmt: skip
    return f"/dashboard/records?{urlencode({name: value for name, value in asked.items() if value})}"


def goal_rows(request: Request, board: Dashboard) -> list[GoalRow]:
    rows = []
    for goal in board.goals:
        values = [value for _, value in goal.trend]
        went = say(request, "%(from)s 的 %(first)s 到 %(to)s 的 %(last)s")
        words = went % {
            "from": goal.trend[0][0], "first": _plain(values[0]), "to": goal.trend[-1][0], "last": _plain(values[-1]),
        } if values else ""  # fmt: skip
        completion = "—" if goal.completion is None else words_of(goal.completion)
        rows.append(
            GoalRow(
                goal, words_of(goal.target), show_number(board, goal.now),
                completion + ("%" if isinstance(goal.completion, Decimal) else ""), _change(goal.change),
                spark(values, words),
            )
        )  # fmt: skip
    return rows


@dataclass(frozen=True)
class Sizes:
    """In the picture's own units; how large it is on a screen is the style's part."""

    lines: tuple[int, int] = (680, 300)
    bars: tuple[int, int, int, int] = (680, 150, 170, 46)  # width, left, right, pitch


PAGE, WALL = Sizes(), Sizes((1000, 430), (1000, 170, 290, 74))


def make_charts(request: Request, board: Dashboard, sizes: Sizes = PAGE) -> Charts:
    return Charts(
        _funnel(request, board, sizes), _balance(request, board, sizes), _rates(request, board, sizes),
        _subsidy(request, board, sizes),
    )  # fmt: skip


def _funnel(request: Request, board: Dashboard, sizes: Sizes) -> BarChart | None:
    if board.whole is None:
        return None
    rows: list[tuple[str, Decimal | int | None, str, str]] = []
    before: Decimal | int | None = None
    for title, number in zip(STAGES, board.whole, strict=True):
        value = _amount(number.value)
        share = percent(value, before) if value is not None and before else None
        note = say(request, "上一步的 %(share)s%%") % {"share": share} if share is not None else ""
        rows.append((say(request, title), value, f"{words_of(number.value)} {say(request, '户')}", note))
        before = value
    words = say(request, "，").join(f"{label} {shown}" for label, _, shown, _ in rows)
    width, left, right, pitch = sizes.bars
    title = say(request, "从匹配到减息的户数")
    return bar_chart("funnel", title, words, rows, width=width, left=left, right=right, pitch=pitch)


def _balance(request: Request, board: Dashboard, sizes: Sizes) -> LineChart | None:
    if not board.months:
        return None
    values = [_amount(month.balance.value) for month in board.months]
    shown = [words_of(month.balance.value) for month in board.months]
    return line_chart(
        "balance", say(request, "各月末贷款余额"), _walk(board, shown), say(request, "万元"), _labels(board),
        [(say(request, "贷款余额"), values, shown)], size=sizes.lines,
    )  # fmt: skip


def _rates(request: Request, board: Dashboard, sizes: Sizes) -> LineChart | None:
    before = [_amount(month.rate_before) for month in board.months]
    after = [_amount(month.rate_after) for month in board.months]
    if not any(value is not None for value in (*before, *after)):
        return None
    series = [
        (say(request, name), values, [f"{words_of(value)}%" for value in values])
        for name, values in ((mark("优惠前（合同利率）"), before), (mark("优惠后（客户利率）"), after))
    ]
    words = say(request, "；").join(f"{name}：{_walk(board, shown)}" for name, _, shown in series)
    return line_chart(
        "rates", say(request, "平均利率（按余额加权）"), words, "%", _labels(board), series, size=sizes.lines,
        from_nought=False,
    )  # fmt: skip


def _subsidy(request: Request, board: Dashboard, sizes: Sizes) -> BarChart:
    subsidy = board.subsidy
    rows = [
        (say(request, title), _amount(number.value), f"{words_of(number.value)} {say(request, '万元')}", "")
        for title, number in zip(SUBSIDY[:3], subsidy.numbers[:3], strict=True)
    ]
    goal = None
    if subsidy.budget is not None:
        goal = (subsidy.budget, say(request, "预算 %(amount)s 万元") % {"amount": words_of(subsidy.budget)})
    words = say(request, "，").join([f"{label} {shown}" for label, _, shown, _ in rows] + ([goal[1]] if goal else []))
    title = say(request, "%(year)s 年财政贴息与预算") % {"year": subsidy.year}
    width, left, right, pitch = sizes.bars
    return bar_chart(
        "subsidy", title, words, rows, mark=goal, patterns=True, width=width, left=left, right=right, pitch=pitch
    )


def _labels(board: Dashboard) -> list[str]:
    """26-03; the year is in the first and every January's."""
    return [f"{month.day:%y-%m}" for month in board.months]


def _walk(board: Dashboard, shown: Sequence[str]) -> str:
    return "; ".join(f"{month.day:%Y-%m} {words}" for month, words in zip(board.months, shown, strict=True))


def _amount(value: Value) -> Decimal | int | None:
    return value if isinstance(value, int | Decimal) else None


def _change(value: Value) -> str:
    if not isinstance(value, int | Decimal):
        return words_of(value)
    return f"+{value:,}" if value > 0 else f"{value:,}"


def _plain(value: Decimal) -> str:
    return f"{value.normalize():,f}"
