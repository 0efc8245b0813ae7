from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from bureau_office import BANK_NO
from claim_desk import BANK_CLERK, COUNTY, END, START, YUAN, Desk, make_desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = make_desk(tmp_path)
    yield made
    made.office.close()


@pytest.fixture
def claim(desk: Desk) -> int:
    """Three families' loans, all interest paid; the claim for 2024 is open."""
    for place in range(3):
        household = desk.lender.add_household()
        principal = (place + 1) * 100_000 * YUAN
        loan = desk.lender.add_loan(household, START, END, [("drawdown", START, principal)])
        desk.claims.accrue(date(2025, 12, 31))
        for due in (date(2024, 6, 20), date(2024, 9, 20), date(2024, 12, 20)):
            desk.pay_all(loan, due)
            desk.claims.accrue(date(2025, 12, 31))
    return desk.claims.open(BANK_CLERK, BANK_NO, COUNTY, 2024)
