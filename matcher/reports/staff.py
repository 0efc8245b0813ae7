"""Staff figures (考核): visits, signed households and amounts, borrowing households and daily average balance."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from sqlite_utils import Database

from matcher.figures.records import end_of
from matcher.reports.document import Column, Report, Row, Table, wan
from matcher.subsidy.periods import Balance, Movement

_VISITS = """
SELECT move.account, SUM(to_state = 'STARTED'), COUNT(DISTINCT CASE to_state WHEN 'SUBMITTED' THEN household_id END)
FROM visit_move move JOIN visit USING (visit_id) LEFT JOIN account ON account.name = move.account
WHERE to_state IN ('STARTED', 'SUBMITTED') AND at >= :after AND at < :before AND (:bank IS NULL OR account.bank = :bank)
GROUP BY move.account"""
_SIGNED = """
SELECT manager, COUNT(DISTINCT household_id), SUM(amount) FROM facility
WHERE agreed_on BETWEEN :start AND :end AND (:bank IS NULL OR bank = :bank) GROUP BY manager"""
_MOVEMENTS = """
SELECT loan.manager, loan.household_id, loan.loan_id, on_day,
       CASE kind WHEN 'drawdown' THEN movement.amount ELSE -movement.amount END
FROM movement JOIN loan USING (loan_id)
WHERE kind IN ('drawdown', 'repayment') AND on_day <= :end AND (:bank IS NULL OR loan.bank = :bank)"""


@dataclass
class StaffFigures:
    """One manager's figures over a period; amounts in 分."""

    visits: int = 0
    households_visited: int = 0
    households_signed: int = 0
    facility_amount: int = 0
    households_borrowing: int = 0  # with principal outstanding at the period's end
    balance: int = 0  # at the period's end
    average_balance: int = 0  # of the period's days, half up

    def row(self) -> Row:
        return (
            self.visits,
            self.households_visited,
            self.households_signed,
            wan(self.facility_amount),
            self.households_borrowing,
            wan(self.balance),
            wan(self.average_balance),
        )


def read_staff(database: Database, start: date, end: date, bank: str | None) -> dict[str, StaffFigures]:
    """By manager, both days included; ``bank``: of its people and loans only."""
    times: dict[str, object] = {
        "start": start.isoformat(),
        "end": end.isoformat(),
        "after": end_of(start - timedelta(days=1)),
        "before": end_of(end),
        "bank": bank,
    }
    staff: defaultdict[str, StaffFigures] = defaultdict(StaffFigures)
    for manager, visits, households in database.execute(_VISITS, times).fetchall():
        staff[manager].visits, staff[manager].households_visited = visits, households
    for manager, households, amount in database.execute(_SIGNED, times).fetchall():
        staff[manager].households_signed, staff[manager].facility_amount = households, amount
    _read_balances(database, times, start, end, staff)
    return dict(staff)


def _read_balances(
    database: Database, times: dict[str, object], start: date, end: date, staff: Mapping[str, StaffFigures]
) -> None:
    loans: defaultdict[tuple[str, int, int], list[Movement]] = defaultdict(list)
    for manager, household, loan, on_day, amount in database.execute(_MOVEMENTS, times).fetchall():
        loans[manager, household, loan].append(Movement(date.fromisoformat(on_day), amount))
    balance_days: defaultdict[str, int] = defaultdict(int)
    borrowing: defaultdict[str, set[int]] = defaultdict(set)
    after = end + timedelta(days=1)
    for (manager, household, _), movements in loans.items():
        balance = Balance.of(movements)
        balance_days[manager] += balance.balance_days(start, after)
        staff[manager].balance += balance.on(end)
        if balance.on(end):
            borrowing[manager].add(household)
    days = (after - start).days
    for manager, total in balance_days.items():
        staff[manager].average_balance = (2 * total + days) // (2 * days)
        staff[manager].households_borrowing = len(borrowing[manager])


def make_staff(
    staff: Mapping[str, StaffFigures], names: Mapping[str, str], county_name: str, start: date, end: date, made_on: date
) -> Report:
    """``names``: of the accounts, for display."""
    columns = (
        Column("no", "序号", width=6),
        Column("manager", "账号", "text", 16),
        Column("name", "姓名", "text", 14),
        Column("visits", "走访户次", width=11),
        Column("households_visited", "走访户数", width=11),
        Column("households_signed", "签约户数", width=11),
        Column("facility_amount", "签约金额（万元）", width=16),
        Column("households_borrowing", "期末贷款户数", width=13),
        Column("balance", "期末贷款余额（万元）", width=18),
        Column("average_balance", "日均贷款余额（万元）", width=18),
    )
    rows = tuple(
        (place, manager, names.get(manager, manager or "（未指定）"), *staff[manager].row())
        for place, manager in enumerate(sorted(staff), 1)
    )
    whole = StaffFigures(*(sum(getattr(one, name) for one in staff.values()) for name in vars(StaffFigures())))
    title = "走访、签约、贷款考核指标表"
    return Report(
        name="staff",
        subject=f"period/{start}/{end}",
        title=f"{county_name}{title}",
        fields=(("考核期", f"{start} 至 {end}"), ("编制日期", made_on.isoformat())),
        tables=(Table("考核", title, columns, rows, (None, "", "合计", *whole.row())),),
        notes=(
            "一户由两人办理的，各计一户，合计为各人之和。",
            "日均贷款余额 = 考核期内每日余额之和 ÷ 天数；万元数由分四舍五入得出。",
        ),
        signatures=("填表人", "审核人"),
    )
