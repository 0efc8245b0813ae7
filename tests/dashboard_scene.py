"""An office whose figures of several months are kept: what the dashboard shows."""

from __future__ import annotations

from datetime import date

from bureau_office import MANAGER, OTHER_TOWNSHIP_CODE, TOWNSHIP_CODE, add_households
from figures_scene import Scene

from matcher.bureau.office import Office
from matcher.figures.service import Figures

NAMES = {TOWNSHIP_CODE: "菜园镇", OTHER_TOWNSHIP_CODE: "嵊山镇"}
MONTHS = (date(2024, 11, 30), date(2024, 12, 31), date(2025, 1, 31), date(2025, 2, 28))
LAST = date(2025, 3, 2)  # the day before the tests' own


def two_years(office: Office) -> Scene:
    """Seven families of one township and two of another: nine loans of 60,000 yuan and a few, two products; interest
    of 2024 above the target: five lines of 33 yuan, half of them finance's; 20,000 repaid in January 2025."""
    scene = Scene(office)
    ids = add_households(office, 7) + add_households(office, 2, first=7, division=OTHER_TOWNSHIP_CODE)
    with office.writing() as database:
        database.execute("UPDATE household SET created_at = '2024-01-02T01:00:00Z'")
    for place, household in enumerate(ids):
        year = "2024" if place < 5 else "2025"
        scene.file(household, f"{year}-01-10")
        scene.listing(household, f"{year}-01-20")
        scene.facility(household, f"{year}-01-25", 100_000_00, manager=MANAGER.name)
        product = "jingying" if place % 2 else "zhuxue"
        loan = scene.loan(household, f"{year}-02-01", 60_000_00, product=product, contract_no=f"HT{place:018d}")
        if year == "2024":
            scene.line(loan, "2024-02-01", "2024-03-21", "2024-03-20", gross=533_00, customer=500_00, fiscal=16_50,
                       interest_paid=500_00, interest_due=500_00)  # fmt: skip
        if place == 0:
            scene.line(loan, "2024-12-21", "2025-02-21", "2025-02-20", gross=120_00, customer=100_00, fiscal=10_00)
            scene.movement(loan, "repayment", "2025-01-15", 20_000_00)
            scene.overdue(loan, "2025-02-01")
    return scene


def keep(office: Office, *days: date) -> None:
    for day in days or (*MONTHS, LAST):
        Figures(office).compute(day)


def add_claim(office: Office) -> None:
    """A claim for 2024 that is still accruing, over all lines."""
    with office.writing() as database:
        database.execute(
            "INSERT INTO claim (bank, county, year, state, created_by, created_at, updated_at)"
            " SELECT bank, '330922', 2024, 'ACCRUING', '', asked, asked"
            " FROM (SELECT bank, '2024-12-31T04:00:00Z' AS asked FROM loan LIMIT 1)"
        )
        database.execute(
            """UPDATE interest_line SET claim_year = 2024, terms = '{"contract_rate":"4.35","customer_rate":"3.8"}'"""
        )
