"""Four households on their way, one of them with a loan and a claim: what tests of all parts together look at.

Each has a sensitive reason (N10) from its label, from a department's answer and in the decision's remark, so that
whoever may not see it must not see it anywhere.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import NamedTuple

from bureau_office import BANK_ADMIN, BANK_NO, CHECKER, HANDLER, TOWNSHIP, add_households, make_office, person, spring
from handed_over import COUNTY
from lending import entry, lend
from made_check import MINZHENG
from reviewing import begin, decide, enter_checks, state_of
from visiting import collect, form_values, household_items, plan_and_assign, to_be_visited

from keys.clock import SettableClock
from matcher.bureau.office import Office
from matcher.checks.service import DepartmentChecks
from matcher.claims.service import Claims
from matcher.loans import Loans
from matcher.reviews import Reviews
from matcher.rows import fetch_all
from matcher.visits.service import Visits

NUMBERS = [person(n) for n in range(8)]


class World(NamedTuple):
    """``final`` is on the list and has a loan and a claim; ``confirming`` is being made known; ``planned`` waits for
    its visit; ``refused`` was refused. Close the office."""

    office: Office
    clock: SettableClock
    final: int
    confirming: int
    planned: int
    refused: int


def walk(home: Path) -> World:
    clock = spring()
    office = make_office(home, clock)
    begin(office)
    final, confirming, planned, refused = add_households(office, 4)
    with office.writing() as database:
        for table in ("household", "candidate"):
            database.execute(f"UPDATE {table} SET reasons = 'N01,N10'")  # noqa: S608
    to_be_visited(office, [final, confirming, refused])
    for place, visit in zip((0, 1, 3), plan_and_assign(office, [final, confirming, refused]), strict=True):
        collect(office, visit, form_values(household_items(place), office.today().isoformat()))
        Visits(office).accept(CHECKER, visit)
    enter_checks(office, [final, confirming])
    label = {"assistance": "低保", "as_of": "2025-01-01"}
    for member in (1, 3):
        DepartmentChecks(office).enter(
            HANDLER, member, "minzheng", MINZHENG, label=label, as_of=office.today(), document_no="演示-2"
        )
    for household in (final, confirming):
        decide(office, household, remark="低保边缘，人工核实后纳入")
    decide(office, refused, "reject", reasons=["N01", "N10"], remark="低保边缘，收入超过上限")
    reviews = Reviews(office)
    reviews.confirmations.begin(HANDLER, [final])
    reviews.confirmations.tell(HANDLER, final, "电话告知")
    reviews.deliberations.record(TOWNSHIP, [final], "agreed", office.today())
    clock.advance(8 * 86_400)
    reviews.confirmations.close(CHECKER, [final])
    assert state_of(office, final) == "FINAL"
    reviews.confirmations.begin(HANDLER, [confirming])
    to_be_visited(office, [planned])
    plan_and_assign(office, [planned])
    start = office.today()
    lend(office, final, on_day=start, starts_on=start, ends_on=date(2026, 3, 1))
    clock.advance(120 * 86_400)
    Claims(office).accrue(date(2025, 7, 1))
    ((due,),) = fetch_all(
        office.database, "SELECT SUM(interest_due) FROM interest_line WHERE settled_on < '2025-07-01'"
    )
    Loans(office).record(BANK_ADMIN, BANK_NO, entry("interest", date(2025, 7, 2), due, "2"))
    Claims(office).accrue(date(2025, 7, 2))
    Claims(office).open(BANK_ADMIN, BANK_NO, COUNTY, 2025)
    return World(office, clock, final, confirming, planned, refused)
