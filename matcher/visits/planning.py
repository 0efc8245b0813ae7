"""Who is visited, when and by whom: plans by township and grid, revisits by the policy, assignment to managers."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache, partial

from keys.clock import BEIJING, parse_time
from matcher.accounts.model import actor_of
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.personal.fields import require_plain
from matcher.policy import Policy
from matcher.rows import fetch_all, fetch_records
from matcher.visits.care import OF_BANK, is_of_bank, require_bank
from matcher.visits.model import ManagerUnsuitable, VisitNotPlannable, VisitState
from matcher.visits.records import VisitRow, move_visit, placeholders, policy_of, read_for_change, read_visit

_FIRST_STATES = ("TO_VISIT", "RETURNED")  # the second: a review sent the household back to be visited again
_VILLAGE_DIGITS = 12
_LONGEST_NAME = 60
_MAY_FAIL_AGAIN = frozenset({"absent", "refused", "wrong_address"})  # who has moved away or died is not visited again
_OPEN_VISIT = (
    "EXISTS (SELECT 1 FROM visit WHERE visit.household_id = household.household_id"
    " AND visit.state NOT IN ('ACCEPTED', 'FAILED', 'CANCELLED'))"
)


@dataclass(frozen=True)
class Planned:
    """How many households of an area got a visit, and how many that stand there did not, by reason."""

    planned: int
    again: int
    attempts_used: int
    gone: int


@dataclass(frozen=True)
class _Standing:
    """A household to be visited: its last visit since it waits, failed or cancelled, if there is one."""

    household_id: int
    division: str
    visit_id: int | None
    state: str | None
    attempt: int | None
    outcome: str | None


def plan_area(
    office: Office, actor: Actor, area: str, planned_for: date, *, grid: str = "", households: Sequence[int] = ()
) -> Planned:
    """Plan a visit for every household of ``area`` (a prefix of the division) that waits for one; in one transaction.

    A failed visit is planned again as long as the policy has attempts left. ``households`` narrows it to these.
    """
    actor.require(Permission.PLAN_VISITS, division=area)
    grid = require_plain(grid, "grid", optional=True, longest=_LONGEST_NAME)
    counts = {"planned": 0, "again": 0, "attempts_used": 0, "gone": 0}
    policy = cache(partial(policy_of, office))
    for standing in _waiting(office, actor, area, households):
        try:
            _plan_one(office, actor, standing, planned_for, grid, policy)
            counts["planned" if standing.visit_id is None else "again"] += 1
        except VisitNotPlannable as error:
            counts["attempts_used" if error.params["reason"] == "attempts" else "gone"] += 1
    office.record_within(
        actor,
        "visit.plan",
        f"division/{area}",
        planned_for=planned_for.isoformat(),
        chosen=len(households),
        counts=counts,
    )
    return Planned(**counts)


def plan_revisits(office: Office, actor: Actor, area: str, planned_for: date) -> int:
    """Plan a 回访 of every household on the final list that nobody has visited for the policy's months."""
    actor.require(Permission.PLAN_VISITS, division=area)
    sql = (
        "SELECT household_id, division, (SELECT MAX(submitted_at) FROM visit"  # noqa: S608  (fixed texts)
        "  WHERE visit.household_id = household.household_id AND visit.state = 'ACCEPTED')"
        f" FROM household WHERE state = 'FINAL' AND division GLOB ? || '*' AND NOT {_OPEN_VISIT}"
    )
    rows = fetch_all(office.database, sql, [area])
    policy = cache(partial(policy_of, office))
    due = [
        (household_id, division)
        for household_id, division, visited_at in rows
        if visited_at is None or add_months(_day(visited_at), policy(division[:6]).visits.revisit_months) <= planned_for
    ]
    for household_id, division in due:
        _insert(office, household_id, "revisit", _grid(division), planned_for)
    office.record_within(
        actor, "visit.plan_revisits", f"division/{area}", planned_for=planned_for.isoformat(), planned=len(due)
    )
    return len(due)


def assigner(office: Office, actor: Actor, manager: str, grid_officer: str) -> Callable[[int], None]:
    """What gives one visit to an account. Raises ManagerUnsuitable, TextNotPlain."""
    visitor = _visitor(office, actor, manager)
    grid_officer = require_plain(grid_officer, "grid_officer", optional=True, longest=_LONGEST_NAME)
    return lambda visit_id: _assign(office, actor, visit_id, visitor, grid_officer)


def unassign(office: Office, actor: Actor, visit_id: int, version: int | None) -> VisitState:
    """Take an assigned visit back to the plan."""
    visit = read_for_change(
        office, actor, Permission.PLAN_VISITS, visit_id, version, partial(require_bank, office, actor)
    )
    return move_visit(office, actor, visit, "PLANNED", changes={"manager": None, "grid_officer": ""})


def cancel(office: Office, actor: Actor, visit_id: int, why: str, version: int | None) -> VisitState:
    """Give up a visit that nobody has begun; ``why`` without personal data. It counts as no attempt, and the next plan
    of the area may bring it back. Raises TextNotPlain, MoveInvalid."""
    why = require_plain(why, "remark")
    visit = read_for_change(
        office, actor, Permission.PLAN_VISITS, visit_id, version, partial(require_bank, office, actor)
    )
    if visit.state == "ASSIGNED":
        move_visit(office, actor, visit, "PLANNED", changes={"manager": None, "grid_officer": ""})
        visit = read_visit(office, visit_id)
    return move_visit(office, actor, visit, "CANCELLED", remark=why)


def planned_in(office: Office, actor: Actor, area: str, grid: str = "") -> list[int]:
    """Visits of an area, or of one grid of it, that wait to be assigned."""
    actor.require(Permission.PLAN_VISITS, division=area)
    rows = fetch_all(
        office.database,
        "SELECT visit_id FROM visit JOIN household USING (household_id)"
        " WHERE visit.state = 'PLANNED' AND division GLOB ?1 || '*' AND (?2 = '' OR grid = ?2) ORDER BY visit_id",
        [area, grid],
    )
    return [visit_id for (visit_id,) in rows]


def _waiting(office: Office, actor: Actor, area: str, households: Sequence[int]) -> list[_Standing]:
    """Households in a state to be visited without an open visit; a bank plans for its own customers' only."""
    chosen = f"AND household.household_id IN ({placeholders(households)})" if households else ""
    bank = f"AND {OF_BANK}" if actor.bank else ""
    sql = (
        "SELECT household.household_id, division, last.visit_id, last.state, last.attempt, last.outcome"  # noqa: S608
        " FROM household"
        " LEFT JOIN visit AS last ON last.visit_id = (SELECT MAX(visit_id) FROM visit"
        "  WHERE visit.household_id = household.household_id AND visit.state IN ('FAILED', 'CANCELLED')"
        "  AND visit.kind = 'first'"
        "  AND visit.created_at >= household.state_since)"
        f" WHERE household.state IN ({placeholders(_FIRST_STATES)}) AND division GLOB ? || '*'"
        f" AND NOT {_OPEN_VISIT} {bank} {chosen} ORDER BY household.household_id"
    )
    rows = fetch_records(
        office.database, sql, [*_FIRST_STATES, area, *([actor.bank] if actor.bank else []), *households]
    )
    return [_Standing(**row) for row in rows]


def _plan_one(
    office: Office,
    actor: Actor,
    standing: _Standing,
    planned_for: date,
    grid: str,
    policy: Callable[[str], Policy],
) -> None:
    """Raises VisitNotPlannable."""
    if standing.visit_id is None or standing.attempt is None:
        _insert(office, standing.household_id, "first", grid or _grid(standing.division), planned_for)
        return
    attempt = standing.attempt
    if standing.state == "FAILED":
        if standing.outcome not in _MAY_FAIL_AGAIN:
            raise VisitNotPlannable("moved away or died", household=standing.household_id, reason="gone")
        if attempt >= policy(standing.division[:6]).visits.attempts:
            raise VisitNotPlannable("no attempt left", household=standing.household_id, reason="attempts")
        attempt += 1
    changes = {
        "attempt": attempt,
        "planned_for": planned_for.isoformat(),
        "manager": None,
        "grid_officer": "",
        "outcome": None,
        "started_at": None,
        "sealed_place": None,
    }
    move_visit(office, actor, read_visit(office, standing.visit_id), "PLANNED", changes=changes)


def add_months(day: date, months: int) -> date:
    """The same day so many months later, or the last one of a shorter month."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def _day(moment: str) -> date:
    return parse_time(moment).astimezone(BEIJING).date()


def _grid(division: str) -> str:
    """The village's division where nobody names a grid; '' if the division says no village."""
    return division if len(division) == _VILLAGE_DIGITS else ""


def _insert(office: Office, household_id: int, kind: str, grid: str, planned_for: date) -> None:
    office.database.execute(
        "INSERT INTO visit (household_id, kind, state, grid, planned_for, created_at, updated_at)"
        " VALUES (?1, ?2, 'PLANNED', ?3, ?4, ?5, ?5)",
        [household_id, kind, grid, planned_for.isoformat(), office.now()],
    )


def may_make(office: Office, actor: Actor, manager: str, visit: VisitRow) -> Actor:
    """The account ``manager``, if ``actor`` may give it this visit. Raises NotAllowed, ManagerUnsuitable."""
    visitor = _visitor(office, actor, manager)
    _require_fit(office, actor, visitor, visit)
    return visitor


def _require_fit(office: Office, actor: Actor, visitor: Actor, visit: VisitRow) -> None:
    actor.require(Permission.PLAN_VISITS, division=visit.division)
    require_bank(office, actor, visit)
    if not visitor.cares_for(visit.division):
        raise ManagerUnsuitable("not in this account's care", manager=visitor.name, reason="township")
    if visitor.bank and not is_of_bank(office, visitor.bank, visit.household_id):
        raise ManagerUnsuitable("no customer of this bank", manager=visitor.name, reason="bank")


def _assign(office: Office, actor: Actor, visit_id: int, visitor: Actor, grid_officer: str) -> None:
    visit = read_visit(office, visit_id)
    _require_fit(office, actor, visitor, visit)
    if visit.state == "ASSIGNED":
        move_visit(office, actor, visit, "PLANNED", changes={"manager": None})
        visit = read_visit(office, visit_id)
    move_visit(office, actor, visit, "ASSIGNED", changes={"manager": visitor.name, "grid_officer": grid_officer})


def _visitor(office: Office, actor: Actor, name: str) -> Actor:
    """The account that is to make visits. Raises ManagerUnsuitable."""
    rows = fetch_records(
        office.database,
        "SELECT name, roles, townships, bank, department FROM account WHERE name = ? AND state = 'active'",
        [name],
    )
    if not rows:
        raise ManagerUnsuitable("no active account has this name", manager=name, reason="unknown")
    visitor = actor_of(rows[0])
    if not visitor.may(Permission.VISIT):
        raise ManagerUnsuitable("the account makes no visits", manager=name, reason="role")
    if actor.bank and visitor.bank != actor.bank:
        raise ManagerUnsuitable("another bank's", manager=name, reason="bank")
    return visitor
