"""For whoever stands at the door: the visits to make, and what goes along on a tablet without a network."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from matcher.attachments import Attachments
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.policy import PolicyUnknown
from matcher.rows import fetch_all, fetch_records
from matcher.visits.model import Visit
from matcher.visits.prefilling import known_form
from matcher.visits.records import placeholders, policy_of

OPEN = ("ASSIGNED", "STARTED", "COLLECTED", "RETURNED")
"""States in which the assigned account has something to do."""
DAYS_AHEAD = 7
MOST_ALONG = 60  # people's data on a device that can be lost
_LONGEST_LIST = 500


@dataclass(frozen=True)
class DoorVisit:
    """A visit to make. ``is_late``: its day is over; ``is_begun``: somebody was at the door already."""

    visit: Visit
    is_late: bool
    is_begun: bool


@dataclass(frozen=True)
class Luggage:
    """One visit as a device takes it along. ``form``: as far as it is known, JSON; ``images``: kinds that are there;
    ``place``: where this account was when it visited the family before, WGS-84, or None."""

    visit: Visit
    is_late: bool
    form: dict[str, Any]
    is_saved: bool
    images: tuple[str, ...]
    place: dict[str, float] | None
    products: tuple[tuple[str, str], ...]


def list_door(office: Office, actor: Actor) -> list[DoorVisit]:
    """The account's open visits, the earliest day first. Raises NotAllowed."""
    actor.require(Permission.VISIT)
    rows = fetch_records(
        office.database,
        "SELECT visit_id, household_id, household_no, division, kind, attempt, visit.state, grid, planned_for,"  # noqa: S608
        " manager, grid_officer, outcome, collector, submitted_at, decided_by, remark, version FROM visit"
        f" JOIN household USING (household_id) WHERE manager = ? AND visit.state IN ({placeholders(OPEN)})"
        " ORDER BY planned_for, grid, household_no LIMIT ?",
        [actor.name, *OPEN, _LONGEST_LIST],
    )
    today = office.today().isoformat()
    visits = [Visit(**row) for row in rows]
    return [DoorVisit(one, one.planned_for < today, one.state != "ASSIGNED") for one in visits]


def take_along(office: Office, actor: Actor) -> list[Luggage]:
    """The open visits of this week and before with what is known of the families, in the caller's transaction,
    because it is recorded. Raises NotAllowed."""
    last = (office.today() + timedelta(days=DAYS_AHEAD)).isoformat()
    chosen = [one for one in list_door(office, actor) if one.visit.planned_for <= last][:MOST_ALONG]
    found = [_pack(office, actor, one) for one in chosen]
    office.record_within(
        actor, "visit.take_along", f"account/{actor.name}", visits=[one.visit.visit_id for one in chosen]
    )
    return found


def _pack(office: Office, actor: Actor, one: DoorVisit) -> Luggage:
    visit = one.visit
    form = known_form(
        office, actor, visit.visit_id, visit.household_id, grid=visit.grid, grid_officer=visit.grid_officer
    )
    images = {image.kind for image in Attachments(office).list_of(f"visit/{visit.visit_id}")}
    return Luggage(
        visit,
        one.is_late,
        form,
        "income" in form,
        tuple(sorted(images)),
        _last_place(office, actor, visit.household_id),
        _products(office, visit.division),
    )


def _products(office: Office, division: str) -> tuple[tuple[str, str], ...]:
    """None while no policy is in force: the family is visited all the same."""
    try:
        return tuple((product.code, product.name) for product in policy_of(office, division).loan.products)
    except PolicyUnknown:
        return ()


def _last_place(office: Office, actor: Actor, household_id: int) -> dict[str, float] | None:
    """Where this very account stood at its newest visit to the family: nobody else's places are told."""
    rows = fetch_all(
        office.database,
        "SELECT visit_id, sealed_place FROM visit WHERE household_id = ? AND manager = ? AND sealed_place IS NOT NULL"
        " ORDER BY visit_id DESC LIMIT 1",
        [household_id, actor.name],
    )
    if not rows:
        return None
    visit_id, sealed = rows[0]
    place = office.personal.open(sealed, "visit", "sealed_place", visit_id)
    return {"latitude": place["latitude"], "longitude": place["longitude"]}
