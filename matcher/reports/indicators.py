"""The plan's indicators (附件1 指标目标清单) measured by the figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum

from matcher.figures.records import Cell
from matcher.figures.service import DayTable
from matcher.figures.suppression import is_small
from matcher.policy.model import Target
from matcher.reports.document import HIDDEN, Value, percent, wan


class Compared(StrEnum):
    """What of a figure a target speaks of."""

    END = "end"  # as it stands at the end of the period
    YEAR = "year"  # what came together since the year began
    GROWTH = "growth"  # income_after over income_before


@dataclass(frozen=True)
class Indicator:
    """``words``: how a target's text begins; ``factor``: the figure is multiplied by it."""

    words: str
    figure: str
    unit: str
    compared: Compared = Compared.END
    factor: int = 1


LEVERAGE = 2
INDICATORS = (
    Indicator("推出共富贷系列产品", "products_offered", "个"),
    Indicator("走访、建档扩中家庭", "households_filed", "户"),
    Indicator("签约、授信扩中家庭", "households_signed", "户"),
    Indicator("总授信金额", "facility_amount", "万元"),
    Indicator("惠及扩中家庭", "households_benefited", "户"),
    Indicator("各项贷款余额", "loan_balance", "万元"),
    Indicator("减少扩中家庭年贷款利息支出", "interest_saved", "万元", Compared.YEAR),
    Indicator("撬动产业资金金额", "loan_balance", "万元", factor=LEVERAGE),
    Indicator("有贷款扩中家庭新增收入", "income_after", "%", Compared.GROWTH),
)


def indicator_of(target: Target) -> Indicator | None:
    """How a target is measured; None if its words are none of the plan's."""
    return next((indicator for indicator in INDICATORS if target.indicator.startswith(indicator.words)), None)


@dataclass(frozen=True)
class Measured:
    """An indicator's values as a report shows them; ``reached``: what the target is compared with."""

    month: Value
    year: Value
    end: Value
    last_year: Value
    completion: Value
    is_reached: bool | None


@dataclass(frozen=True)
class Period:
    """The days whose figures a report needs: its last one, and those with which it is compared."""

    end: DayTable
    month_before: DayTable
    year_before: DayTable
    last_year: DayTable
    last_year_before: DayTable


def days_of(day: date) -> tuple[date, ...]:
    """The days of a :class:`Period` that ends on ``day``."""
    try:
        last_year = day.replace(year=day.year - 1)
    except ValueError:  # 29 February
        last_year = day - timedelta(days=366)
    one = timedelta(days=1)
    return (
        day,
        day.replace(day=1) - one,
        date(day.year - 1, 12, 31),
        last_year,
        date(day.year - 2, 12, 31),
    )


def measure(indicator: Indicator, target: Decimal | None, period: Period, *, outside: bool) -> Measured:
    """One indicator for the whole county. ``target`` is of the period's year; ``outside`` hides small cells."""
    if indicator.compared is Compared.GROWTH:
        return _measure_growth(target, period, outside=outside)
    cells = [
        table.get_cell(indicator.figure)
        for table in (period.end, period.month_before, period.year_before, period.last_year, period.last_year_before)
    ]
    end, month_before, year_before, last_year, last_year_before = cells
    by_year = indicator.compared is Compared.YEAR
    reached = (end.value - year_before.value if by_year else end.value) * indicator.factor
    is_hidden = outside and any(is_small(cell.households) for cell in ((end, year_before) if by_year else (end,)))

    def shown(*of: Cell) -> Value:
        """The first, or how much it is above the second."""
        value = (of[0].value - (of[1].value if len(of) > 1 else 0)) * indicator.factor
        if outside and any(is_small(cell.households) for cell in of):
            return HIDDEN
        if outside and indicator.unit == "户" and is_small(abs(value)):
            return HIDDEN
        return _in_unit(value, indicator.unit)

    return Measured(
        month=shown(end, month_before),
        year=shown(end, year_before),
        end=shown(end),
        last_year=shown(last_year, last_year_before) if by_year else shown(last_year),
        completion=HIDDEN if is_hidden else _completion(reached, target, indicator.unit),
        is_reached=None if is_hidden or target is None else _plain(reached, indicator.unit) >= target,
    )


def _measure_growth(target: Decimal | None, period: Period, *, outside: bool) -> Measured:
    """Growth of income in percent, of the households that two forms tell it of."""
    before, after = period.end.get_cell("income_before"), period.end.get_cell("income_after")
    grown = 100 * (after.value - before.value)
    end, last_year = (_growth(table, outside=outside) for table in (period.end, period.last_year))
    if end is HIDDEN or target is None or not before.value:
        return Measured(None, None, end, last_year, HIDDEN if end is HIDDEN else None, None)
    is_reached = grown >= target * before.value
    return Measured(None, None, end, last_year, percent(grown, target * before.value), is_reached)


def _growth(table: DayTable, *, outside: bool) -> Value:
    before, after = table.get_cell("income_before"), table.get_cell("income_after")
    if outside and is_small(before.households):
        return HIDDEN
    return percent(after.value - before.value, before.value)


def _completion(value: int, target: Decimal | None, unit: str) -> Decimal | None:
    return None if target is None else percent(_plain(value, unit), target)


def _plain(value: int, unit: str) -> Decimal:
    """A figure in the indicator's unit, not rounded."""
    return Decimal(value).scaleb(-6) if unit == "万元" else Decimal(value)


def _in_unit(value: int, unit: str) -> Value:
    return wan(value) if unit == "万元" else value


def target_in_unit(target: Decimal) -> Value:
    """A target as the plan writes it: whole where it is whole."""
    return int(target) if target == target.to_integral_value() else target.quantize(Decimal("0.01"), ROUND_HALF_UP)


def targets_of(targets: Sequence[Target], year: int) -> list[tuple[Target, Indicator | None, Decimal | None]]:
    """Each target with how it is measured and its value for a year, if it has one."""
    return [(target, indicator_of(target), target.by_year.get(str(year))) for target in targets]
