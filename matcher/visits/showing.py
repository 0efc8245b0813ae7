"""Visits as people see them: lists within an account's care, one visit with its evidence, forms for the other parts.

What an answer shows is masked. Only whoever makes a visit gets its form whole, to go on with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from matcher.attachments import Attachments
from matcher.bureau.actors import Actor, Permission, Role
from matcher.bureau.office import Office
from matcher.rows import fetch_all, fetch_records
from matcher.visits.care import SEEN_BY_BANK
from matcher.visits.collecting import missing_for_submission
from matcher.visits.form import VisitForm
from matcher.visits.forms import masked_form, present_form
from matcher.visits.model import SavedForm, Visit, VisitDetails, VisitMove, VisitUnknown
from matcher.visits.records import read_own

MAX_PAGE = 500
_VISIT = (
    "SELECT visit_id, household_id, household_no, division, kind, attempt, visit.state, grid, planned_for, manager,"
    " grid_officer, outcome, collector, submitted_at, decided_by, remark, version FROM visit"
    " JOIN household USING (household_id)"
)


@dataclass(frozen=True)
class VisitFilter:
    """What a list shows: each given value narrows it. ``area`` is a prefix of the division; days are ISO dates."""

    area: str = ""
    grid: str = ""
    state: str = ""
    kind: str = ""
    manager: str = ""
    planned_from: str = ""
    planned_to: str = ""
    household_id: int | None = None

    def conditions(self) -> Iterator[tuple[str, object]]:
        for value, condition in (
            (self.area, "division GLOB ? || '*'"),
            (self.grid, "grid = ?"),
            (self.state, "visit.state = ?"),
            (self.kind, "kind = ?"),
            (self.manager, "manager = ?"),
            (self.planned_from, "planned_for >= ?"),
            (self.planned_to, "planned_for <= ?"),
            (self.household_id, "visit.household_id = ?"),
        ):
            if value:
                yield condition, value


def list_visits(office: Office, actor: Actor, wanted: VisitFilter, *, after: int = 0, size: int = 50) -> list[Visit]:
    """By number, ``size`` at most, those beyond number ``after``; only what is in the account's care."""
    actor.require(Permission.SEE_HOUSEHOLDS)
    conditions = [*wanted.conditions(), *_care(actor), ("visit_id > ?", [after])]
    values = [value for _, given in conditions for value in (given if isinstance(given, list) else [given])]
    where = " AND ".join(condition for condition, _ in conditions)
    rows = fetch_records(
        office.database,
        f"{_VISIT} WHERE {where} ORDER BY visit_id LIMIT ?",
        [*values, max(1, min(size, MAX_PAGE))],
    )
    return [Visit(**row) for row in rows]


def count_visits(office: Office, actor: Actor, wanted: VisitFilter) -> dict[str, int]:
    """How many of each state, as ``list_visits`` would show them; ``wanted.state`` is left aside."""
    actor.require(Permission.SEE_HOUSEHOLDS)
    conditions = [*replace(wanted, state="").conditions(), *_care(actor)]
    values = [value for _, given in conditions for value in (given if isinstance(given, list) else [given])]
    where = " AND ".join(condition for condition, _ in conditions) or "1"
    rows = fetch_all(
        office.database,
        "SELECT visit.state, COUNT(*) FROM visit JOIN household USING (household_id)"  # noqa: S608  (fixed texts)
        f" WHERE {where} GROUP BY visit.state",
        values,
    )
    return dict(rows)


def show_visit(office: Office, actor: Actor, visit_id: int) -> VisitDetails:
    """Raises VisitUnknown, also where the visit is not in the account's care."""
    visit = _visible(office, actor, visit_id)
    saved = present_form(office, visit_id)
    moves = fetch_records(
        office.database,
        "SELECT attempt, from_state, to_state, at, account, outcome, remark FROM visit_move WHERE visit_id = ?"
        " ORDER BY move_id",
        [visit_id],
    )
    missing = missing_for_submission(office, visit_id)
    return VisitDetails(
        visit=visit,
        form=masked_form(saved.form, with_address=actor.may(Permission.VISIT)) if saved else None,
        form_digest=saved.digest if saved else None,
        has_place="place" not in missing,
        attachments=tuple(Attachments(office).list_of(f"visit/{visit_id}")),
        missing=tuple(missing),
        notes=tuple(compare_with_match(office, visit.household_id, saved.form)) if saved else (),
        moves=tuple(VisitMove(**row) for row in moves),
    )


def place_of(office: Office, actor: Actor, visit_id: int) -> dict[str, Any] | None:
    """Where the visit began, with its track, in the caller's transaction, because who looked is recorded.

    For those who accept visits, within their care. Raises NotAllowed, VisitUnknown.
    """
    actor.require(Permission.ACCEPT_VISIT)
    _visible(office, actor, visit_id)
    ((sealed,),) = fetch_all(office.database, "SELECT sealed_place FROM visit WHERE visit_id = ?", [visit_id])
    office.record_within(actor, "visit.place", f"visit/{visit_id}")
    return office.personal.open(sealed, "visit", "sealed_place", visit_id) if sealed else None


def own_form(office: Office, actor: Actor, visit_id: int) -> SavedForm | None:
    """The form whole, for the account that makes the visit. Raises VisitUnknown, NotAllowed."""
    read_own(office, actor, visit_id)
    return present_form(office, visit_id)


def compare_with_match(office: Office, household_id: int, form: VisitForm) -> list[str]:
    """What a reviewer should know: matched people who are not on the form, another size than the label's."""
    people = fetch_records(
        office.database, "SELECT item_ref, sealed_person FROM candidate WHERE household_id = ?", [household_id]
    )
    on_form = {office.personal.item_reference(m.id_number) for m in form.members if m.id_number}
    absent = [person for person in people if person["item_ref"] not in on_form]
    notes = [f"名单匹配到的成员有 {len(absent)} 人不在采集表上"] if absent else []
    applicant = office.personal.item_reference(form.applicant.id_number)
    if people and applicant not in {person["item_ref"] for person in people}:
        notes.append("申请人不是名单匹配到的客户")
    ((size,),) = office.database.execute(
        "SELECT household_size FROM household WHERE household_id = ?", [household_id]
    ).fetchall()
    if size and int(size) != len(form.members):
        notes.append(f"采集表 {len(form.members)} 人，名单标签家庭人数 {int(size)} 人")
    return notes


def _visible(office: Office, actor: Actor, visit_id: int) -> Visit:
    found = list_visits(office, actor, VisitFilter(), after=visit_id - 1, size=1)
    if not found or found[0].visit_id != visit_id:
        raise VisitUnknown("no such visit in this account's care", visit=visit_id)
    return found[0]


def _care(actor: Actor) -> Iterator[tuple[str, list[object]]]:
    """What an account may see: its townships, its bank's customers, and a manager only the visits to make."""
    if actor.townships:
        yield "(" + " OR ".join("division GLOB ? || '*'" for _ in actor.townships) + ")", list(actor.townships)
    if actor.bank:
        yield SEEN_BY_BANK, [actor.bank, actor.bank]
    if actor.roles == frozenset({Role.BANK_MANAGER}):
        yield "manager = ?", [actor.name]
