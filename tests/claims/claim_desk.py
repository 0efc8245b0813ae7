"""A bureau with loans, for the tests of claims: rows laid by scripts.benchmarks.lending, days set by the test."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from bureau_office import AUDITOR, BANK_NO, CHECKER, HANDLER, OTHER_CHECKER, PROVINCE, make_office

from keys.clock import SettableClock
from matcher.bureau.actors import Actor, Role
from matcher.bureau.office import Office
from matcher.claims.service import Claims
from matcher.claims.steps import Step
from matcher.policy import list_examples
from scripts.benchmarks.lending import AT, Lender

SHENGSI, LINPING = (
    next(path for path in list_examples() if path.name.startswith(county)) for county in ("330922", "330113")
)
YUAN = 100
COUNTY = "330922"
START, END = date(2024, 3, 21), date(2025, 3, 21)
BANK_CLERK = Actor("yinhang", frozenset({Role.BANK_ADMIN}), bank=BANK_NO)
BANK_CHECKER = Actor("yinhang2", frozenset({Role.BANK_ADMIN}), bank=BANK_NO)


@dataclass
class Desk:
    """What a test works with."""

    office: Office
    clock: SettableClock
    lender: Lender
    claims: Claims

    def set_day(self, day: date) -> None:
        """It is ten in the morning in Beijing of this day."""
        self.clock.at = datetime(day.year, day.month, day.day, 2, 0, tzinfo=UTC)

    def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        with self.office.writing() as database:
            return list(database.query(sql, list(values)))

    def run(self, sql: str, *values: object) -> None:
        with self.office.writing() as database:
            database.execute(sql, list(values))

    def enter(self, loan_id: int, kind: str, on_day: date, amount: int) -> None:
        (row,) = self.rows("SELECT COALESCE(MAX(movement_id), 0) + 1 AS n FROM movement")
        self.run(
            "INSERT INTO movement (loan_id, reference, kind, on_day, amount, entered_at) VALUES (?, ?, ?, ?, ?, ?)",
            loan_id, f"late{row['n']}", kind, on_day.isoformat(), amount, AT,
        )  # fmt: skip

    def take_out(self, loan_id: int, kind: str, start: date, end: date | None) -> None:
        self.run(
            "INSERT INTO loan_span (loan_id, kind, from_day, to_day, reason, remark, entered_by, entered_at)"
            " VALUES (?, ?, ?, ?, '', '', 'x', ?) ON CONFLICT DO NOTHING",
            loan_id, kind, start.isoformat(), end and end.isoformat(), AT,
        )  # fmt: skip

    def pay_all(self, loan_id: int, on_day: date) -> None:
        """The customer pays whatever is due by then."""
        (row,) = self.rows(
            "SELECT COALESCE(SUM(interest_due - interest_paid), 0) AS due FROM interest_line"
            " WHERE loan_id = ? AND settled_on <= ?",
            loan_id, on_day.isoformat(),
        )  # fmt: skip
        if row["due"] > 0:
            self.enter(loan_id, "interest", on_day, row["due"])


def make_desk(home: Path, policy: Path = SHENGSI) -> Desk:
    clock = SettableClock(datetime(2026, 1, 10, 2, 0, tzinfo=UTC))
    office = make_office(home, clock)
    return Desk(office, clock, Lender(office, policy, BANK_NO), Claims(office))


def own_figures(desk: Desk, claim_id: int, folder: Path, change: Callable[[list[dict[str, str]]], object]) -> Path:
    """The claim's lines as the bank might hand them in, changed by the test."""
    path = folder / "银行数字.csv"
    desk.claims.export(BANK_CLERK, claim_id, path, "csv")
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    change(rows)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def nothing(_: list[dict[str, str]]) -> None:
    pass


def walk(desk: Desk, claim_id: int, folder: Path, until: str = "CLOSED") -> None:
    """Take a claim all the way, each step by whoever has to."""
    desk.claims.freeze(BANK_CLERK, claim_id)
    desk.claims.reconcile(BANK_CLERK, claim_id, own_figures(desk, claim_id, folder, nothing))
    for exception in desk.claims.get(BANK_CLERK, claim_id).exceptions:
        desk.claims.settle(BANK_CLERK, exception.exception_id, "已核对")
    who = {
        Step.CHECK: BANK_CHECKER, Step.AUDIT: AUDITOR, Step.SUBMIT: BANK_CLERK, Step.TAKE_UP: HANDLER,
        Step.APPROVE: CHECKER, Step.PASS_ON: HANDLER, Step.GRANT: PROVINCE, Step.PAY: OTHER_CHECKER,
        Step.CLOSE: CHECKER,
    }  # fmt: skip
    for step, actor in who.items():
        if desk.claims.get(BANK_CLERK, claim_id).summary.state == until:
            return
        if step is Step.AUDIT:
            for line in desk.claims.sample(AUDITOR, claim_id, 4):
                desk.claims.find(AUDITOR, claim_id, line, "ok")
        desk.claims.move(actor, claim_id, step)
