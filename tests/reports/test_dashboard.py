"""The dashboard shows what was kept, beside targets, budget and months; the outside sees no small cell."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from bureau_office import (
    ADMIN,
    AUDITOR,
    BANK_ADMIN,
    HANDLER,
    OTHER_TOWNSHIP_CODE,
    TOWNSHIP,
    TOWNSHIP_CODE,
    make_office,
)
from dashboard_scene import LAST, NAMES, keep, two_years

from matcher.bureau.actors import Actor, NotAllowed
from matcher.bureau.office import Office
from matcher.figures.service import Figures
from matcher.reports.dashboard import Dashboard, Dashboards
from matcher.reports.document import HIDDEN, Value
from matcher.reports.sight import Number
from matcher.rows import fetch_all


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    office = make_office(tmp_path / "bureau")
    two_years(office)
    yield office
    office.close()


def board(office: Office, actor: Actor = HANDLER, **more: object) -> Dashboard:
    found = Dashboards(office, NAMES).show(actor, **more)  # type: ignore[arg-type]
    assert found is not None
    return found


def values(numbers: tuple[Number, ...] | None) -> list[Value]:
    assert numbers is not None
    return [one.value for one in numbers]


def goal(found: Dashboard, no: int) -> tuple[Value, Value, bool | None, Value]:
    (one,) = [one for one in found.goals if one.no == no]
    return (one.now.value if one.now else None, one.completion, one.is_reached, one.change)


def test_without_figures_there_is_none_and_nothing_is_computed(office: Office) -> None:
    assert Dashboards(office, NAMES).show(HANDLER) is None
    assert fetch_all(office.database, "SELECT * FROM figure_day") == []


def test_it_shows_yesterday_or_the_last_day_before_the_one_asked_for(office: Office) -> None:
    keep(office)
    assert (board(office).day, board(office).is_current) == (LAST, True)
    assert board(office, day=date(2025, 2, 10)).day == date(2025, 1, 31)
    assert not board(office, day=date(2025, 2, 10)).is_current
    assert Dashboards(office, NAMES).show(HANDLER, date(2024, 1, 1)) is None


def test_a_day_computed_before_it_was_over_is_not_shown(office: Office) -> None:
    keep(office)
    Figures(office).compute(office.today())
    assert board(office).day == LAST
    with office.writing() as database:
        database.execute("UPDATE figure_day SET computed_at = '2025-03-02T10:00:00Z' WHERE day = ?", [LAST.isoformat()])
    assert board(office).day == date(2025, 2, 28)


def test_targets_are_compared_as_the_reports_do(office: Office) -> None:
    keep(office)
    found = board(office)
    assert goal(found, 2) == (9, Decimal("0.1"), False, 0)
    assert goal(found, 4)[0] == Decimal("90.00")
    assert goal(found, 6) == (Decimal("52.00"), Decimal("1.0"), False, Decimal("0.00"))
    assert goal(found, 7)[0] == Decimal("0.00")  # 20 yuan this year, in 万元
    assert goal(found, 8)[0] == Decimal("104.00")
    (balance,) = [one for one in found.goals if one.no == 6]
    assert [value for _, value in balance.trend] == [30, 30, 28, 52, 52]
    assert [day for day, _ in balance.trend][-1] == LAST
    assert balance.target == 5000


def test_the_funnel_narrows_by_township(office: Office) -> None:
    keep(office)
    found = board(office)
    assert values(found.whole) == [9, 9, 9, 9, 5]
    assert {row.name: values(row.numbers) for row in found.funnel} == {
        "菜园镇": [7, 7, 7, 7, 5],
        "嵊山镇": [2, 2, 2, 2, 0],
    }
    assert {row.code: values(row.numbers)[3] for row in found.by_product if row.numbers[0].value} == {
        "jingying": Decimal("24.00"),
        "zhuxue": Decimal("28.00"),
    }


def test_a_township_or_product_has_its_own_numbers_and_no_target(office: Office) -> None:
    keep(office)
    found = board(office, township=OTHER_TOWNSHIP_CODE)
    assert goal(found, 2) == (2, None, None, 0)
    assert all(one.target is None for one in found.goals)
    assert [month.balance.value for month in found.months] == [0, 0, 0, 12, 12]
    found = board(office, product="jingying")
    assert (goal(found, 2)[0], goal(found, 6)[0]) == (None, Decimal("24.00"))
    assert found.whole is None


def test_months_tell_balance_flow_and_average_rates(office: Office) -> None:
    keep(office)
    months = board(office).months
    assert [month.day.isoformat() for month in months] == [
        "2024-11-30", "2024-12-31", "2025-01-31", "2025-02-28", "2025-03-02",
    ]  # fmt: skip
    assert [month.balance.value for month in months] == [30, 30, 28, 52, 52]
    assert [month.lent.value if month.lent else None for month in months] == [None, 0, 0, 24, 0]
    assert {(month.rate_before, month.rate_after) for month in months} == {(Decimal("4.35"), Decimal("3.80"))}


def test_average_rates_weigh_what_each_loan_still_owes(office: Office) -> None:
    with office.writing() as database:
        database.execute("UPDATE loan SET contract_rate = '4.75' WHERE loan_id = 1")
    keep(office)
    before = {month.day: month.rate_before for month in board(office).months}
    assert before[date(2024, 12, 31)] == Decimal("4.43")  # one loan of five
    assert before[LAST] == Decimal("4.38")  # 4 of 52


def test_subsidy_of_the_year_stands_against_the_budget(office: Office) -> None:
    keep(office)
    subsidy = board(office).subsidy
    assert (subsidy.year, subsidy.since, subsidy.budget) == (2025, date(2024, 12, 31), Decimal("95.00"))
    assert (values(subsidy.numbers)[0], subsidy.used) == (Decimal("0.00"), Decimal("0.0"))
    in_2024 = board(office, day=date(2024, 12, 31)).subsidy
    assert values(in_2024.numbers)[0] == Decimal("0.01")  # five times 16.50 yuan
    assert board(office, township=TOWNSHIP_CODE).subsidy.budget is None


def test_every_number_names_the_records_behind_it(office: Office) -> None:
    keep(office)
    found = board(office)
    for number in (*(found.whole or ()), *(one for row in found.funnel for one in row.numbers), found.overdue):
        trace = Figures(office).trace(HANDLER, number.figure, found.day, number.township, number.product)
        counted = trace.households if number.unit == "户" else Decimal(trace.value) / 1_000_000
        assert counted == number.value
    assert found.overdue.value == Decimal("4.00")


def test_the_outside_sees_no_small_cell_and_picks_nothing_out(office: Office) -> None:
    keep(office)
    for actor, more in ((BANK_ADMIN, {}), (AUDITOR, {"outside": True}), (BANK_ADMIN, {"township": TOWNSHIP_CODE})):
        found = board(office, actor, **more)
        assert (found.outside, found.township) == (True, "")
        assert values(found.whole)[:2] == [9, 9]
        assert [values(row.numbers)[0] for row in found.funnel] == [HIDDEN, HIDDEN]  # two, and what would tell of them
        assert [values(row.numbers)[0] for row in found.by_product if row.numbers[0].figure == "households_benefited"][
            :1
        ] == [HIDDEN]
        assert found.overdue.value is HIDDEN  # one family


def test_an_account_for_townships_sees_its_own(office: Office) -> None:
    keep(office)
    found = board(office, TOWNSHIP)
    assert (found.township, list(found.townships), values(found.whole)[0]) == (TOWNSHIP_CODE, [TOWNSHIP_CODE], 7)
    assert [row.code for row in found.funnel] == [TOWNSHIP_CODE]
    with pytest.raises(NotAllowed):
        board(office, TOWNSHIP, township=OTHER_TOWNSHIP_CODE)
    with pytest.raises(NotAllowed):
        board(office, TOWNSHIP, outside=True)
    with pytest.raises(NotAllowed):
        board(office, ADMIN)


def test_without_a_policy_there_are_figures_and_no_targets(office: Office) -> None:
    keep(office)
    with office.writing() as database:
        (gates,) = [database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'policy'")]
        for (gate,) in gates.fetchall():
            database.execute(f"DROP TRIGGER {gate}")
        database.execute("UPDATE policy SET state = 'withdrawn'")
    found = board(office)
    assert (found.goals, found.policy, found.subsidy.budget) == ((), None, None)
    assert values(found.whole) == [9, 9, 9, 9, 5]
