"""What tests of reviews need: households that wait for one with all that it takes, and the steps to the final list."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from bureau_office import CHECKER, HANDLER, TOWNSHIP, add_households
from visiting import add_accounts, adopt_policy, collect, form_values, household_items, plan_and_assign, to_be_visited

from keys.clock import SettableClock
from matcher.bureau.actors import Actor
from matcher.bureau.office import Office
from matcher.checks.service import DepartmentChecks
from matcher.reviews import Reviews
from matcher.reviews.records import Decision
from matcher.schemas import get_schema
from matcher.visits.service import Visits

DAY_S = 86_400
FITTING = {"income__wage": "40000", "income__total": "52000.50"}  # below the limit for two people


def begin(office: Office) -> None:
    """Accounts and a policy in force: what an office needs before its first review."""
    add_accounts(office)
    adopt_policy(office)


def add_waiting(office: Office, count: int = 1, *, first: int = 0, **changes: object) -> list[int]:
    """``count`` households in PENDING_REVIEW with an accepted form and every required check; after :func:`begin`."""
    households = add_households(office, count, first=first)
    to_be_visited(office, households)
    for place, visit in enumerate(plan_and_assign(office, households), start=first):
        values = form_values(household_items(place), office.today().isoformat(), **{**FITTING, **changes})
        collect(office, visit, values)
        Visits(office).accept(CHECKER, visit)
    enter_checks(office, households)
    return households


def enter_checks(
    office: Office, households: Sequence[int], as_of: date | None = None, document: str = "演示-1"
) -> None:
    """The civil affairs department's answer for every present member: on no list."""
    checks, schema = DepartmentChecks(office), get_schema("minzheng/1")
    for household in households:
        members = office.database.execute(
            "SELECT member_id FROM member WHERE household_id = ? AND left_at IS NULL", [household]
        ).fetchall()
        for (member,) in members:
            checks.enter(
                HANDLER, member, "minzheng", schema, label=None, as_of=as_of or office.today(), document_no=document
            )


def decide(
    office: Office, household: int, verdict: str = "approve", *, remark: str = "", reasons: Sequence[str] = (),
    first: Actor = HANDLER, second: Actor = CHECKER,
) -> Decision:  # fmt: skip
    """Proposed by one, confirmed by the other."""
    decisions = Reviews(office).decisions
    proposed = decisions.propose(first, household, verdict, reasons=reasons, remark=remark)  # type: ignore[arg-type]
    return decisions.confirm(second, proposed.decision_id, proposed.digest)


def confirm_quietly(office: Office, clock: SettableClock, household: int) -> None:
    """From APPROVED to FINAL: told, agreed to, and the days over."""
    confirmations = Reviews(office).confirmations
    confirmations.begin(HANDLER, [household])
    confirmations.tell(HANDLER, household, "电话告知")
    Reviews(office).deliberations.record(TOWNSHIP, [household], "agreed", office.today())
    clock.advance(8 * DAY_S)
    (outcome,) = confirmations.close(CHECKER, [household])
    assert outcome.outcome == "done", outcome


def state_of(office: Office, household: int) -> str:
    ((state,),) = office.database.execute("SELECT state FROM household WHERE household_id = ?", [household]).fetchall()
    return str(state)
