"""T+1: which lines a loan has, what they are made of, and that a second run changes nothing."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import pytest
from claim_desk import LINPING, YUAN, Desk, make_desk

from psi.errors import InputError

START, END = date(2024, 5, 10), date(2025, 5, 10)
PRINCIPAL = 100_000 * YUAN


def lend(desk: Desk, *more: tuple[str, date, int], household: int | None = None, **changes: object) -> int:
    if household is None:
        household = desk.lender.add_household()
    return desk.lender.add_loan(household, START, END, [("drawdown", START, PRINCIPAL), *more], **changes)


def lines(desk: Desk, loan_id: int) -> list[dict[str, object]]:
    return desk.rows("SELECT * FROM interest_line WHERE loan_id = ? ORDER BY period_start", loan_id)


def pieces(line: dict[str, object]) -> list[list[object]]:
    found: list[list[object]] = json.loads(str(line["pieces"]))
    return found


def test_a_year_over_two_claim_years_to_the_fen(desk: Desk) -> None:
    """The worked example of the rules: five settlements, 171.88 in the first year and 106.95 in the second."""
    loan = lend(desk)
    done = desk.claims.accrue(date(2025, 12, 31))
    assert (done.loans, done.lines, done.added, done.changed, done.removed) == (1, 5, 5, 0, 0)
    found = lines(desk, loan)
    assert [(line["settled_on"], line["fiscal"]) for line in found] == [
        ("2024-06-20", 3209), ("2024-09-20", 7028), ("2024-12-20", 6951), ("2025-03-20", 6875), ("2025-05-10", 3820),
    ]  # fmt: skip
    assert [line["claim_year"] for line in found] == [2024, 2024, 2024, 2025, 2025]


def test_running_a_day_again_changes_nothing_and_never_goes_back(desk: Desk) -> None:
    lend(desk)
    first = desk.claims.accrue(date(2024, 8, 1))
    again = desk.claims.accrue(date(2024, 8, 1))
    assert (again.added, again.changed, again.removed, again.digest) == (0, 0, 0, first.digest)
    earlier = desk.claims.accrue(date(2024, 7, 1))
    assert (earlier.through, earlier.digest) == (date(2024, 8, 1), first.digest)


def test_every_night_leads_where_one_run_leads(tmp_path: Path) -> None:
    slow, fast = make_desk(tmp_path / "slow"), make_desk(tmp_path / "fast")
    last = START + timedelta(days=140)
    for each in (slow, fast):
        lend(each, ("repayment", date(2024, 7, 5), 20_000 * YUAN), ("interest", date(2024, 6, 20), 44_333))
    day = START
    while day < last:
        slow.claims.accrue(day)
        day += timedelta(days=1)
    assert slow.claims.accrue(last).digest == fast.claims.accrue(last).digest
    slow.office.close()
    fast.office.close()


def test_the_running_period_grows_and_is_not_claimable(desk: Desk) -> None:
    loan = lend(desk)
    desk.claims.accrue(date(2024, 8, 1))
    running = lines(desk, loan)[-1]
    assert (running["period_end"], running["settled_on"]) == ("2024-08-02", "2024-09-20")
    assert (running["balance_days"], running["claimable"]) == (PRINCIPAL * 42, 0)


@pytest.mark.parametrize("paid_on", [date(2024, 6, 20), date(2024, 8, 1)])
def test_only_paid_interest_can_be_claimed(desk: Desk, paid_on: date) -> None:
    loan = lend(desk)
    desk.claims.accrue(date(2024, 6, 20))
    assert lines(desk, loan)[0]["claimable"] == 0
    desk.enter(loan, "interest", paid_on, 44_333)
    desk.claims.accrue(date(2024, 9, 1))
    first, second = lines(desk, loan)
    assert (first["interest_due"], first["interest_paid"], first["claimable"]) == (44_333, 44_333, 1)
    assert second["claimable"] == 0


@pytest.mark.parametrize(("paid", "claimable"), [(44_333 - 100, 1), (44_333 - 101, 0), (44_333 * 3, 1)])
def test_a_bank_may_round_within_the_policys_tolerance(desk: Desk, paid: int, claimable: int) -> None:
    loan = lend(desk, ("interest", date(2024, 6, 20), paid))
    desk.claims.accrue(date(2024, 6, 20))
    assert lines(desk, loan)[0]["claimable"] == claimable


def test_what_is_paid_too_much_pays_nothing_that_has_not_begun(desk: Desk) -> None:
    loan = lend(desk, ("interest", date(2024, 6, 20), 44_333 * 9))
    desk.claims.accrue(date(2024, 9, 30))
    assert [line["interest_paid"] for line in lines(desk, loan)] == [44_333, 0, 0]


@pytest.mark.parametrize("kind", ["overdue", "extension", "suspension", "stop"])
def test_days_taken_out_bear_no_subsidy(desk: Desk, kind: str) -> None:
    loan = lend(desk)
    desk.take_out(loan, kind, date(2024, 6, 1), date(2024, 6, 11))
    desk.claims.accrue(date(2024, 6, 20))
    (line,) = lines(desk, loan)
    assert line["balance_days"] == PRINCIPAL * 32
    assert pieces(line)[1] == ["2024-06-01", "2024-06-11", PRINCIPAL, 0, kind]
    assert line["interest_due"] == 44_333  # the customer owes the whole balance's interest


def test_a_stop_without_an_end_holds_for_good(desk: Desk) -> None:
    loan = lend(desk)
    desk.take_out(loan, "stop", date(2024, 6, 21), None)
    desk.claims.accrue(date(2025, 12, 31))
    assert [line["excess"] != 0 for line in lines(desk, loan)] == [True, False, False, False, False]


def test_an_early_settlement_ends_the_last_period_on_its_day(desk: Desk) -> None:
    loan = lend(desk, ("repayment", date(2024, 11, 30), PRINCIPAL), state="EARLY_SETTLED")
    desk.claims.accrue(date(2025, 12, 31))
    last = lines(desk, loan)[-1]
    assert (last["period_start"], last["period_end"], last["settled_on"]) == ("2024-09-21", "2024-11-30", "2024-11-30")


def test_a_graduated_family_keeps_its_draws_but_not_new_ones(desk: Desk) -> None:
    household = desk.lender.add_household([(date(2024, 1, 1), date(2024, 6, 1))])
    later = ("drawdown", date(2024, 6, 1), 50_000 * YUAN)
    loan = lend(desk, later, ("repayment", date(2024, 6, 15), 30_000 * YUAN), household=household)
    desk.claims.accrue(date(2024, 6, 20))
    (line,) = lines(desk, loan)
    assert pieces(line) == [
        ["2024-05-10", "2024-06-01", PRINCIPAL, PRINCIPAL, ""],
        ["2024-06-01", "2024-06-15", PRINCIPAL + 50_000 * YUAN, PRINCIPAL, "graduated"],
        ["2024-06-15", "2024-06-21", 120_000 * YUAN, 70_000 * YUAN, "graduated"],  # the oldest draw is repaid first
    ]


@pytest.mark.parametrize("ended_as", ["SUSPENDED", "REMOVED"])
def test_a_household_off_the_list_bears_nothing_until_it_is_back(desk: Desk, ended_as: str) -> None:
    listed = [(date(2024, 1, 1), date(2024, 6, 1)), (date(2024, 6, 11), None)]
    loan = lend(desk, household=desk.lender.add_household(listed, ended_as))
    desk.claims.accrue(date(2024, 6, 20))
    (line,) = lines(desk, loan)
    assert pieces(line)[1] == ["2024-06-01", "2024-06-11", PRINCIPAL, 0, "off_list"]


def test_loans_of_a_household_share_its_cap_over_all_banks(desk: Desk) -> None:
    household = desk.lender.add_household()
    first = lend(desk, ("drawdown", date(2024, 6, 1), 300_000 * YUAN), household=household)
    second = desk.lender.add_loan(household, date(2024, 5, 20), END, [("drawdown", date(2024, 5, 20), 20_000_000)])
    desk.claims.accrue(date(2024, 6, 20))
    (line,) = lines(desk, first)
    assert line["balance_days"] == PRINCIPAL * 22 + 400_000 * YUAN * 20
    (line,) = lines(desk, second)
    assert pieces(line) == [
        ["2024-05-20", "2024-06-01", 20_000_000, 20_000_000, ""],
        ["2024-06-01", "2024-06-21", 20_000_000, 10_000_000, "cap"],
    ]


def test_the_cases_of_one_family_share_its_cap(desk: Desk) -> None:
    """Removed in one year and listed anew in another, under another number."""
    first, second = desk.lender.add_household(), desk.lender.add_household()
    desk.run("INSERT INTO household_link VALUES (?, ?, 2, '')", second, first)
    loans = [lend(desk, ("drawdown", START, 200_000 * YUAN), household=household) for household in (first, second)]
    desk.claims.accrue(date(2024, 6, 20))
    counted = [pieces(line)[0][3] for loan in loans for line in lines(desk, loan)]
    assert counted == [300_000 * YUAN, 200_000 * YUAN]


def test_a_county_with_a_capped_finance_share(tmp_path: Path) -> None:
    desk = make_desk(tmp_path, LINPING)
    household = desk.lender.add_household()
    start = date(2024, 3, 1)
    loan = desk.lender.add_loan(
        household, start, date(2025, 3, 1), [("drawdown", start, PRINCIPAL)], contract_rate="7.0", customer_rate="3.0"
    )
    desk.claims.accrue(date(2025, 12, 31))
    total = {name: sum(line[name] for line in lines(desk, loan)) for name in ("excess", "fiscal", "bank", "province")}  # type: ignore[misc]
    assert total["fiscal"] + total["bank"] == total["excess"]
    assert 152_080 <= total["fiscal"] <= 152_083  # 1.5 points of 365 days, cut off in each of five lines
    desk.office.close()


def test_records_that_no_loan_can_have_stop_one_household_only(desk: Desk) -> None:
    good = lend(desk)
    bad = lend(desk, ("repayment", date(2024, 6, 1), PRINCIPAL * 2))
    done = desk.claims.accrue(date(2024, 6, 20))
    assert [fault.code for fault in done.faults] == ["loan_movements_invalid"]
    assert (len(lines(desk, good)), len(lines(desk, bad))) == (1, 0)
    desk.claims.accrue(date(2024, 6, 21))
    assert [alarm.code for alarm in desk.office.alarms.list_waiting()] == ["loan_movements_invalid"]


def test_a_day_that_is_not_over_is_refused(desk: Desk) -> None:
    with pytest.raises(InputError):
        desk.claims.accrue(desk.office.today())


def test_a_late_correction_of_an_unclaimed_line_just_replaces_it(desk: Desk) -> None:
    loan = lend(desk)
    desk.claims.accrue(date(2024, 12, 31))
    desk.enter(loan, "repayment", date(2024, 7, 1), PRINCIPAL // 2)
    done = desk.claims.accrue(date(2024, 12, 31))
    assert (done.added, done.removed) == (0, 0)
    assert done.changed == 3
    assert {line["kind"] for line in lines(desk, loan)} == {"regular"}


def test_each_run_leaves_an_audit_row(desk: Desk) -> None:
    lend(desk)
    desk.claims.accrue(date(2024, 6, 20))
    (row,) = desk.rows("SELECT * FROM audit WHERE action = 'claim.accrue'")
    assert (row["subject"], row["actor"]) == ("accrual/2024-06-20", "system")
    desk.office.verify_audit()
