"""The claim's table and the figures over loans, interest and a claim made by the real parts: the worked example."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

from bureau_office import BANK_ADMIN, BANK_NO, HANDLER, make_office
from lending import LAST_DAY, entry, final_households, lend

from keys.clock import SettableClock
from matcher.claims.service import Claims
from matcher.figures.service import Figures
from matcher.loans import Loans
from matcher.reports.document import Report, Value
from matcher.reports.service import Reports

PAID = {"2024-06-20": 44_333, "2024-09-20": 97_111, "2024-12-20": 96_056, "2025-03-20": 95_000, "2025-05-10": 52_778}
YEAR_END = date(2024, 12, 31)


def totals(report: Report, table: int) -> dict[str, Value]:
    found = report.tables[table]
    assert found.total is not None
    return dict(zip([column.key for column in found.columns], found.total, strict=True))


def test_the_worked_example_from_the_loan_to_the_reports(tmp_path: Path) -> None:
    office = make_office(tmp_path, SettableClock(datetime(2026, 1, 10, 2, 0, tzinfo=UTC)))
    for place, household in enumerate(final_households(office, 2)):
        lend(office, household, f"HT-{place}")
        for day, amount in PAID.items():
            Loans(office).record(
                BANK_ADMIN, BANK_NO, entry("interest", date.fromisoformat(day), amount, day, f"HT-{place}")
            )
        Loans(office).record(BANK_ADMIN, BANK_NO, entry("repayment", LAST_DAY, 10_000_000, "end", f"HT-{place}"))
    claims, reports = Claims(office), Reports(office)
    claims.accrue(date(2025, 12, 31))
    claim = claims.open(BANK_ADMIN, BANK_NO, "330922", 2024)
    draft = reports.claim(HANDLER, claim)
    claims.freeze(BANK_ADMIN, claim)
    report = reports.claim(BANK_ADMIN, claim)
    assert [table.rows for table in draft.tables] == [table.rows for table in report.tables]

    summary = claims.get(BANK_ADMIN, claim).summary
    for place in range(3):
        total = totals(report, place)
        assert total["fiscal"] == Decimal("343.76") == Decimal(summary.amounts.fiscal).scaleb(-2)  # twice 171.88
        for part in ("gross", "excess", "bank", "province", "local"):
            assert total[part] == Decimal(getattr(summary.amounts, part)).scaleb(-2)
    contract = totals(report, 2)
    assert (contract["opening"], contract["lent"], contract["closing"]) == (
        0,
        Decimal("200000.00"),
        Decimal("200000.00"),
    )
    lines = report.tables[0]
    assert lines.column("days") == (42, 92, 91) * 2
    assert lines.column("fiscal") == (Decimal("32.09"), Decimal("70.28"), Decimal("69.51")) * 2
    assert lines.column("interest_paid") == (Decimal("443.33"), Decimal("971.11"), Decimal("960.56")) * 2
    assert set(lines.column("listed_from")) == {date(2024, 1, 15)}
    assert all(lines.column("commitment_no"))

    figures = Figures(office)
    figures.compute(YEAR_END)
    table = figures.get_table(HANDLER, YEAR_END)
    assert table.get_cell("subsidy_fiscal").value == summary.amounts.fiscal
    assert table.get_cell("interest_saved").value == summary.amounts.excess
    assert table.get_cell("loan_balance").value == 20_000_000
    figures.compute(date(2025, 12, 31))
    later = figures.get_table(HANDLER, date(2025, 12, 31))
    assert later.get_cell("subsidy_fiscal").value == summary.amounts.fiscal + 2 * 106_95
    assert (later.get_cell("loan_balance").value, later.get_cell("households_benefited").value) == (0, 2)
    office.close()
