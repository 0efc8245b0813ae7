"""What is known before anybody asks at the door, so that a sheet or a tablet does not begin empty."""

from __future__ import annotations

from typing import Any

from matcher.bureau.actors import Actor
from matcher.bureau.members import Person, open_member
from matcher.bureau.office import Office
from matcher.rows import fetch_all, fetch_records
from matcher.visits.forms import present_form
from psi.identifiers import sex


def known_form(
    office: Office, actor: Actor, visit_id: int, household_id: int, *, grid: str, grid_officer: str
) -> dict[str, Any]:
    """The stored form of a visit, or what is known of a household: nothing that another bank handed over. As JSON;
    of a form that is not stored yet only some fields are there."""
    saved = present_form(office, visit_id)
    if saved is not None:
        return saved.form.model_dump(mode="json")
    known = fetch_records(
        office.database,
        "SELECT member_id, sealed FROM member WHERE household_id = ?1 AND left_at IS NULL AND (?2 IS NULL OR EXISTS ("
        " SELECT 1 FROM candidate_source JOIN handover USING (handover_id)"
        " WHERE candidate_source.candidate_id = member.candidate_id AND handover.bank = ?2)) ORDER BY member_id",
        [household_id, actor.bank],
    )
    people = [open_member(office.personal, member["member_id"], member["sealed"]) for member in known]
    head = {"manager": display_name(office, actor), "grid_officer": grid_officer, "grid": grid}
    return {"head": head, "members": [_member(person) for person in people], "debts": [], "needs": []}


def display_name(office: Office, actor: Actor) -> str:
    rows = fetch_all(office.database, "SELECT display_name FROM account WHERE name = ?", [actor.name])
    return str(rows[0][0]) if rows else ""


def _member(person: Person) -> dict[str, str]:
    return {"relation": person.relation, "name": person.name, "sex": sex(person.item), "id_number": person.item}
