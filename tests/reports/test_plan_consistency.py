"""The plan's own numbers fit together, and the indicators follow its arithmetic (附件1 of 嵊政办发〔2023〕41号)."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from matcher.figures.records import Cell
from matcher.figures.service import DayTable
from matcher.policy import list_examples, load_policy
from matcher.reports.indicators import INDICATORS, LEVERAGE, Compared, Period, indicator_of, measure

POLICY = next(load_policy(path).policy for path in list_examples() if path.name.startswith("330922"))
TARGETS = {target.no: target for target in POLICY.targets}
YEARS = ("2023", "2024", "2025")


@pytest.mark.parametrize("year", YEARS)
def test_interest_saved_is_the_balance_at_3_8_points(year: str) -> None:
    """Row 7 is row 6 x 3.8 %, rounded to the whole or half 万元 that the plan writes."""
    saved = TARGETS[6].by_year[year] * Decimal("0.038")
    assert abs(saved - TARGETS[7].by_year[year]) <= Decimal("0.5")
    assert year != "2023" or saved == TARGETS[7].by_year[year] == Decimal("66.5")
    assert year != "2025" or saved == TARGETS[7].by_year[year] == 190


def test_three_years_of_15_percent_are_above_50() -> None:
    grown = Decimal("1.15") ** 3
    assert grown == Decimal("1.520875")
    assert TARGETS[9].by_year["2025"] == 15
    assert grown - 1 > Decimal("0.50")


def test_leverage_is_twice_the_balance_of_2025() -> None:
    assert LEVERAGE * TARGETS[6].by_year["2025"] == TARGETS[8].by_year["2025"] == 10_000


def test_facilities_are_ten_wan_a_household() -> None:
    for year in YEARS:
        assert TARGETS[4].by_year[year] == 10 * TARGETS[3].by_year[year]


def test_every_target_is_measured() -> None:
    assert [indicator_of(target) for target in POLICY.targets] == list(INDICATORS)
    assert [target.unit for target in POLICY.targets] == [indicator.unit for indicator in INDICATORS]


@pytest.mark.parametrize("number", sorted(TARGETS))
@pytest.mark.parametrize("year", YEARS)
def test_a_county_that_meets_a_target_to_the_unit_is_at_100_percent(number: int, year: str) -> None:
    target = TARGETS[number]
    indicator = indicator_of(target)
    assert indicator is not None
    wanted = target.by_year[year]
    unit = 1_000_000 if indicator.unit == "万元" else 1
    cells = [Cell(indicator.figure, "", "", int(wanted * unit / indicator.factor), 900)]
    if indicator.compared is Compared.GROWTH:
        cells = [Cell("income_before", "", "", 20_000, 9), Cell("income_after", "", "", 200 * (100 + int(wanted)), 9)]
    end = DayTable(date(int(year), 12, 31), "1", {(cell.name, "", ""): cell for cell in cells})
    empty = DayTable(date(2022, 12, 31), "1", {})
    measured = measure(indicator, wanted, Period(end, empty, empty, empty, empty), outside=False)
    assert measured.completion == Decimal("100.0")
    assert measured.is_reached
    less = {key: cell._replace(value=cell.value - 1) for key, cell in end.cells.items() if cell.name != "income_before"}
    below = DayTable(end.day, "1", {**end.cells, **less})
    assert not measure(indicator, wanted, Period(below, empty, empty, empty, empty), outside=False).is_reached
