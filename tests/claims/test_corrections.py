"""What is found out after a claim was frozen: it goes into the next one as a difference, and the old one stays."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bureau_office import BANK_NO
from claim_desk import BANK_CLERK, YUAN, Desk, make_desk
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from matcher.claims.accrual import PARTS
from matcher.claims.computing import compute_household
from matcher.claims.errors import ClaimNotReady
from matcher.claims.records import read_families
from matcher.claims.service import Claims
from matcher.states import MoveInvalid
from matcher.subsidy.periods import Balance, Movement

COUNTY = "330922"
START, END = date(2023, 6, 21), date(2025, 6, 21)
PRINCIPAL = 100_000 * YUAN


def lend(desk: Desk) -> int:
    loan = desk.lender.add_loan(desk.lender.add_household(), START, END, [("drawdown", START, PRINCIPAL)])
    desk.claims.accrue(date(2025, 12, 31))
    for line in desk.rows("SELECT settled_on FROM interest_line ORDER BY settled_on"):
        desk.pay_all(loan, date.fromisoformat(line["settled_on"]))
        desk.claims.accrue(date(2025, 12, 31))
    return loan


def freeze(desk: Desk, year: int) -> int:
    claim = desk.claims.open(BANK_CLERK, BANK_NO, COUNTY, year)
    desk.claims.freeze(BANK_CLERK, claim)
    return claim


def claimed(desk: Desk, claim: int) -> list[dict[str, Any]]:
    return desk.rows("SELECT * FROM interest_line WHERE claim_id = ? ORDER BY line_id", claim)


def adjustments(desk: Desk) -> list[dict[str, Any]]:
    return desk.rows("SELECT * FROM interest_line WHERE kind = 'adjustment' ORDER BY line_id")


def test_a_stop_from_a_past_day_takes_back_in_the_next_claim(desk: Desk) -> None:
    loan = lend(desk)
    first = freeze(desk, 2024)
    before = claimed(desk, first)
    desk.take_out(loan, "stop", date(2024, 10, 1), None)
    desk.claims.accrue(date(2025, 12, 31))
    assert claimed(desk, first) == before
    (one,) = adjustments(desk)
    assert (one["period_start"], one["claim_year"], one["claimable"], one["reason"]) == ("2024-09-21", 2025, 1, "")
    assert one["balance_days"] == -PRINCIPAL * 81
    assert one["fiscal"] < 0
    second = freeze(desk, 2025)
    (row,) = claimed(desk, second)
    assert row["line_id"] == one["line_id"]  # nothing else: the loan's subsidy has stopped
    amounts = desk.claims.get(BANK_CLERK, second).summary.amounts
    assert amounts.fiscal == one["fiscal"]


def test_a_correction_of_a_correction(desk: Desk) -> None:
    loan = lend(desk)
    freeze(desk, 2024)
    desk.take_out(loan, "overdue", date(2024, 10, 1), date(2024, 10, 11))
    freeze(desk, 2025)
    desk.run("DELETE FROM loan_span")
    desk.take_out(loan, "overdue", date(2024, 10, 1), date(2024, 10, 6))
    desk.claims.accrue(date(2026, 1, 9))
    first, second = adjustments(desk)
    assert (first["balance_days"], second["balance_days"]) == (-PRINCIPAL * 10, PRINCIPAL * 5)
    assert (first["claim_year"], second["claim_year"]) == (2025, 2026)
    told = desk.claims.explain(BANK_CLERK, second["line_id"])
    assert [earlier.kind for earlier in told.earlier] == ["regular", "adjustment"]
    taken = sum(earlier.parts.fiscal for earlier in told.earlier)
    assert told.target.fiscal - taken == told.amounts.fiscal


def test_a_correction_that_is_no_longer_one_disappears(desk: Desk) -> None:
    loan = lend(desk)
    freeze(desk, 2024)
    desk.take_out(loan, "suspension", date(2024, 10, 1), None)
    desk.claims.accrue(date(2025, 12, 31))
    assert len(adjustments(desk)) == 1
    desk.run("DELETE FROM loan_span")
    assert desk.claims.accrue(date(2026, 1, 1)).removed == 1
    assert adjustments(desk) == []


def test_interest_taken_back_after_the_claim_takes_the_subsidy_back(desk: Desk) -> None:
    lend(desk)
    claim = freeze(desk, 2024)
    last = claimed(desk, claim)[-1]
    desk.run("DELETE FROM movement WHERE kind = 'interest' AND on_day >= ?", last["settled_on"])
    desk.claims.accrue(date(2025, 12, 31))
    (one,) = adjustments(desk)
    assert (one["adjusts"], one["reason"], one["excess"]) == (last["line_id"], "unpaid", -last["excess"])


def test_a_loan_that_turns_out_to_have_ended_before_gives_everything_after_back(desk: Desk) -> None:
    loan = lend(desk)
    claim = freeze(desk, 2024)
    desk.enter(loan, "repayment", date(2024, 3, 1), PRINCIPAL)
    desk.lender.office.database.execute("UPDATE loan SET state = 'EARLY_SETTLED' WHERE loan_id = ?", [loan])
    desk.claims.accrue(date(2025, 12, 31))
    gone = {row["adjusts"]: row for row in adjustments(desk)}
    for row in claimed(desk, claim):
        if row["period_start"] > "2024-03-01":
            assert (gone[row["line_id"]]["excess"], gone[row["line_id"]]["reason"]) == (-row["excess"], "no_period")


def test_every_line_is_explained_from_what_is_stored(desk: Desk) -> None:
    loan = lend(desk)
    freeze(desk, 2024)
    desk.take_out(loan, "overdue", date(2024, 10, 1), date(2024, 10, 11))
    desk.claims.accrue(date(2025, 12, 31))
    for row in desk.rows("SELECT * FROM interest_line"):
        told = desk.claims.explain(BANK_CLERK, row["line_id"])
        assert told.amounts.fiscal == row["fiscal"]
        assert {step.name: step.amount for step in told.steps} == vars(told.target)
        assert told.clauses[0].startswith("一（二）")
        if row["kind"] == "regular":
            assert told.target == told.amounts


class Corrections(RuleBasedStateMachine):
    """Any order of late entries, nights and frozen years."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.desk = make_desk(Path(self.folder.name))
        self.loans: list[int] = []
        self.frozen: dict[int, list[dict[str, Any]]] = {}
        self.day = date(2025, 1, 15)
        self.desk.set_day(self.day)
        self.household = self.desk.lender.add_household([(date(2023, 1, 1), date(2024, 6, 1))])

    def teardown(self) -> None:
        self.desk.office.close()
        self.folder.cleanup()

    @initialize(principal=st.integers(1_000_000, 60_000_000))
    def begin(self, principal: int) -> None:
        """A loan whose interest was always paid, claimed for 2023."""
        self.lend(principal, 0, True)
        self.pay_what_is_due()
        self.freeze(2023)

    @rule(principal=st.integers(1, 60_000_000), start=st.integers(0, 300), same=st.booleans())
    @precondition(lambda self: len(self.loans) < 3)
    def lend(self, principal: int, start: int, same: bool) -> None:
        household = self.household if same else self.desk.lender.add_household()
        first = START + timedelta(days=start)
        loan = self.desk.lender.add_loan(household, first, END, [("drawdown", first, principal)])
        self.loans.append(loan)

    @rule(at=st.integers(0, 500), share=st.integers(1, 4), place=st.integers(0, 2))
    def repay(self, at: int, share: int, place: int) -> None:
        loan = self.loans[place % len(self.loans)]
        rows = self.desk.rows(
            "SELECT kind, on_day, amount FROM movement WHERE loan_id = ? AND kind <> 'interest'", loan
        )
        moved = [
            Movement(date.fromisoformat(r["on_day"]), -r["amount"] if r["kind"] == "repayment" else r["amount"])
            for r in rows
        ]
        balance = Balance.of(moved)
        day = balance.days[0] + timedelta(days=at)
        left = min([balance.on(day), *(balance.on(later) for later in balance.days if later > day)])
        if left >= share:
            self.desk.enter(loan, "repayment", day, left // share)

    @rule(at=st.integers(0, 500), amount=st.integers(1, 30_000_000), place=st.integers(0, 2))
    def draw(self, at: int, amount: int, place: int) -> None:
        loan = self.loans[place % len(self.loans)]
        (row,) = self.desk.rows("SELECT MIN(on_day) AS first FROM movement WHERE loan_id = ?", loan)
        self.desk.enter(loan, "drawdown", date.fromisoformat(row["first"]) + timedelta(days=at), amount)

    @rule(place=st.integers(0, 2), at=st.integers(0, 500), amount=st.integers(1, 2_000_000))
    def pay(self, place: int, at: int, amount: int) -> None:
        self.desk.enter(self.loans[place % len(self.loans)], "interest", START + timedelta(days=at), amount)

    @rule()
    def pay_what_is_due(self) -> None:
        self.desk.claims.accrue(self.day - timedelta(days=1))
        for loan in self.loans:
            self.desk.pay_all(loan, self.day - timedelta(days=1))

    @rule(
        kind=st.sampled_from(["overdue", "extension", "suspension", "stop"]),
        at=st.integers(0, 500),
        days=st.none() | st.integers(1, 200),
        place=st.integers(0, 2),
    )
    def take_out(self, kind: str, at: int, days: int | None, place: int) -> None:
        first = START + timedelta(days=at)
        last = None if days is None else first + timedelta(days=days)
        self.desk.take_out(self.loans[place % len(self.loans)], kind, first, last)

    @rule()
    def think_better_of_it(self) -> None:
        self.desk.run("DELETE FROM loan_span WHERE span_id = (SELECT MAX(span_id) FROM loan_span)")
        self.desk.run(
            "DELETE FROM movement WHERE movement_id = (SELECT MAX(movement_id) FROM movement WHERE kind='interest')"
        )

    @rule(days=st.integers(1, 120))
    def pass_days(self, days: int) -> None:
        self.day += timedelta(days=days)
        self.desk.set_day(self.day)

    @rule(year=st.sampled_from([2023, 2024, 2025]))
    def freeze(self, year: int) -> None:
        self.pay_what_is_due()
        claim = self.desk.claims.open(BANK_CLERK, BANK_NO, COUNTY, year)
        try:
            self.desk.claims.freeze(BANK_CLERK, claim)
        except (ClaimNotReady, MoveInvalid):
            return
        self.frozen[claim] = claimed(self.desk, claim)

    @rule()
    def reopen(self) -> None:
        """Another process looks at the same store."""
        self.desk.claims = Claims(self.desk.office)

    @invariant()
    def what_is_stored_is_what_the_records_say(self) -> None:
        desk, yesterday = self.desk, self.day - timedelta(days=1)
        done = desk.claims.accrue(yesterday)
        again = desk.claims.accrue(yesterday)
        assert (again.added, again.changed, again.removed, again.digest) == (0, 0, 0, done.digest)
        for claim, rows in self.frozen.items():
            assert claimed(desk, claim) == rows
            desk.claims.verify(BANK_CLERK, claim)
        for household in read_families(desk.office.database):
            for loan_id, lines in compute_household(household.loans, done.through).items():
                stored = desk.rows("SELECT * FROM interest_line WHERE loan_id = ?", loan_id)
                within = household.loans[0].policy.subsidy.paid_within
                was_claimed = {row["period_start"] for row in stored if row["kind"] == "regular" and row["claim_id"]}
                wanted = {
                    name: sum(
                        getattr(line.parts, name)
                        for line in lines
                        if line.period.start.isoformat() not in was_claimed or line.is_paid(within)
                    )
                    for name in PARTS
                }
                assert {name: sum(row[name] for row in stored) for name in PARTS} == wanted

    @invariant()
    def parts_add_up(self) -> None:
        for row in self.desk.rows("SELECT * FROM interest_line"):
            assert row["customer"] + row["fiscal"] + row["bank"] == row["gross"]
            assert row["province"] + row["local"] == row["fiscal"]


TestCorrections = Corrections.TestCase
TestCorrections.settings = settings(
    max_examples=25, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
)
