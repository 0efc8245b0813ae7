"""At the door and after: the start, the form, the failed visit, the submission, and what a second person says of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from keys.clock import BEIJING
from matcher.attachments import Attachments
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.members import Person
from matcher.bureau.office import Office
from matcher.households import Households
from matcher.households.form_members import take_members_within
from matcher.personal.fields import require_plain
from matcher.visits.form import FORM_VERSION, VisitForm, make_problem, read_form
from matcher.visits.forms import present_form
from matcher.visits.model import FAILURES, DeviceKeyReused, VisitIncomplete, VisitState
from matcher.visits.place import Place, check_start
from matcher.visits.problems import FormInvalid, FormProblem
from matcher.visits.records import (
    VisitRow,
    move_visit,
    policy_of,
    read_for_change,
    read_own,
)
from psi.errors import InputError

NEEDED_IMAGES = ("photo", "signature_applicant", "signature_manager", "signature_officer")
_DEVICE_KEY = re.compile(r"[0-9A-Za-z_-]{8,64}")


def start(
    office: Office, actor: Actor, visit_id: int, place: Place, started_at: str | None, version: int | None
) -> VisitState:
    """At the household's door, with the tablet's place."""
    visit = read_own(office, actor, visit_id, version)
    return begin(office, actor, visit, place, started_at)


def begin(office: Office, actor: Actor, visit: VisitRow, place: Place, started_at: str | None) -> VisitState:
    """The same once it is clear that ``actor`` may report it. Raises PlaceInvalid, MoveInvalid."""
    moment = check_start(office.clock, started_at) if started_at else office.now()
    sealed = office.personal.seal(place.model_dump(mode="json"), "visit", "sealed_place", visit.visit_id)
    return move_visit(office, actor, visit, "STARTED", changes={"started_at": moment, "sealed_place": sealed})


def fail(office: Office, actor: Actor, visit_id: int, outcome: str, remark: str, version: int | None) -> VisitState:
    """Nobody was met, or not those who live on the list. ``outcome`` is one of FAILURES."""
    visit = read_own(office, actor, visit_id, version)
    return end_without_form(office, actor, visit, outcome, remark)


def end_without_form(office: Office, actor: Actor, visit: VisitRow, outcome: str, remark: str = "") -> VisitState:
    """The same once it is clear that ``actor`` may report it. Raises InputError, MoveInvalid."""
    if outcome not in FAILURES:
        raise InputError("no such outcome of a visit", outcome=outcome[:20], known=sorted(FAILURES))
    return move_visit(office, actor, visit, "FAILED", outcome=outcome, remark=remark, changes={"outcome": outcome})


def save_form(
    office: Office, actor: Actor, visit_id: int, values: Mapping[str, Any], device_key: str, version: int | None
) -> VisitState:
    """Keep a form; an earlier one of the visit is set aside. The same form and device key again change nothing."""
    visit = read_own(office, actor, visit_id)
    form = check_form(office, visit.division, read_form(values))
    content = form.model_dump(mode="json")
    digest = office.digest(content)
    if _is_known(office, visit, device_key, digest):
        return VisitState(visit.visit_id, visit.household_id, visit.state, visit.attempt, visit.version)
    visit = read_own(office, actor, visit_id, version)
    state = move_visit(office, actor, visit, "COLLECTED")  # first, so that an illegal move is what is told
    office.database.execute(
        "UPDATE form SET replaced_at = ? WHERE visit_id = ? AND replaced_at IS NULL", [office.now(), visit_id]
    )
    sealed = office.personal.seal(content, "form", "sealed", device_key)
    office.database.execute(
        "INSERT INTO form (visit_id, schema_version, sealed, digest, device_key, saved_by, saved_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        [visit_id, FORM_VERSION, sealed, digest, device_key, actor.name, office.now()],
    )
    office.record_within(actor, "visit.form", f"visit/{visit_id}", form=digest)
    return state


def check_form(office: Office, division: str, form: VisitForm) -> VisitForm:
    """What a form can only be held against here: today, and the county's products, whose codes it gets.

    Raises FormInvalid, PolicyUnknown.
    """
    today = office.clock.now().astimezone(BEIJING).date()
    problems: list[FormProblem] = []
    if form.head.visited_on > today:
        problems.append(make_problem(("head", "visited_on"), "in_the_future"))
    for name, signature in form.signatures:
        if signature.signed_on > today:
            problems.append(make_problem(("signatures", name, "signed_on"), "in_the_future"))
    products = policy_of(office, division).loan.products
    codes = {product.name: product.code for product in products} | {product.code: product.code for product in products}
    shown = "、".join(product.name for product in products)
    for place, need in enumerate(form.needs):
        if need.product not in codes:
            problems.append(make_problem(("needs", place, "product"), "product_unknown", choices=shown))
    if problems:
        raise FormInvalid(problems)
    needs = tuple(need.model_copy(update={"product": codes[need.product]}) for need in form.needs)
    return form.model_copy(update={"needs": needs})


def submit(office: Office, actor: Actor, visit_id: int, version: int | None) -> VisitState:
    """Hand in a visit with its evidence; a first visit takes the household to VISITED."""
    visit = read_own(office, actor, visit_id, version)
    if visit.state == "COLLECTED" and (missing := missing_for_submission(office, visit_id)):
        raise VisitIncomplete("evidence is missing", visit=visit_id, missing=missing)
    changes = {
        "collector": actor.name,
        "submitted_at": office.now(),
        "outcome": "done",
        "decided_by": None,
        "decided_at": None,
    }
    state = move_visit(office, actor, visit, "SUBMITTED", outcome="done", changes=changes)
    if visit.kind == "first" and visit.household_state in ("TO_VISIT", "RETURNED"):
        Households(office).move_within(actor, visit.household_id, "VISITED", purpose=f"visit/{visit_id}")
    return state


def missing_for_submission(office: Office, visit_id: int) -> list[str]:
    """``form``, ``place`` or an image's kind that the visit still lacks."""
    (found,) = office.database.execute(
        "SELECT sealed_place IS NOT NULL, EXISTS (SELECT 1 FROM form WHERE form.visit_id = visit.visit_id"
        " AND replaced_at IS NULL) FROM visit WHERE visit_id = ?",
        [visit_id],
    ).fetchall()
    has_place, has_form = found
    kinds = {attachment.kind for attachment in Attachments(office).list_of(f"visit/{visit_id}")}
    missing = [] if has_form else ["form"]
    missing += [] if has_place else ["place"]
    return missing + [kind for kind in NEEDED_IMAGES if kind not in kinds]


def accept(office: Office, actor: Actor, visit_id: int, version: int | None) -> VisitState:
    """A second person takes the visit as evidence: the form's members are the household's from here on, and after a
    first visit it waits for its review."""
    visit = _for_decision(office, actor, visit_id, version)
    changes = {"decided_by": actor.name, "decided_at": office.now()}
    state = move_visit(office, actor, visit, "ACCEPTED", changes=changes)
    saved = present_form(office, visit_id)
    if saved is not None:
        people = [Person(m.id_number, m.name, m.relation) for m in saved.form.members if m.id_number]
        take_members_within(office, visit.household_id, people, saved.form.applicant.id_number)
    if visit.kind == "first" and visit.household_state == "VISITED":
        Households(office).move_within(actor, visit.household_id, "PENDING_REVIEW", purpose=f"visit/{visit_id}")
    return state


def return_visit(office: Office, actor: Actor, visit_id: int, remark: str, version: int | None) -> VisitState:
    """A second person sends the visit back to be completed; ``remark`` says what is wrong, without personal data."""
    require_plain(remark, "remark")
    visit = _for_decision(office, actor, visit_id, version)
    changes = {"decided_by": actor.name, "decided_at": office.now()}
    return move_visit(office, actor, visit, "RETURNED", remark=remark, changes=changes)


def _for_decision(office: Office, actor: Actor, visit_id: int, version: int | None) -> VisitRow:
    def require_second(visit: VisitRow) -> None:
        actor.require_other(visit.collector)
        actor.require_other(visit.manager)

    return read_for_change(office, actor, Permission.ACCEPT_VISIT, visit_id, version, require_second)


def _is_known(office: Office, visit: VisitRow, device_key: str, digest: str) -> bool:
    """Whether this very form came before under this key. Raises DeviceKeyReused."""
    if not _DEVICE_KEY.fullmatch(device_key):
        raise DeviceKeyReused("not 8 to 64 letters, digits, - or _")
    known = office.database.execute("SELECT visit_id, digest FROM form WHERE device_key = ?", [device_key]).fetchone()
    if known is not None and tuple(known) != (visit.visit_id, digest):
        raise DeviceKeyReused("another form came under this device key")
    return known is not None
