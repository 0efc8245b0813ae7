"""Stored forms: opened, masked for showing, and compared side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from matcher.bureau.office import Office
from matcher.masking import mask_address, mask_name
from matcher.rows import fetch_records
from matcher.visits.form import VisitForm, heading_of, read_form
from matcher.visits.model import Difference, SavedForm
from matcher.visits.records import placeholders
from psi.identifiers import mask

_AT_ONCE = 500  # bound values in one statement


def present_form(office: Office, visit_id: int) -> SavedForm | None:
    """The form that counts of a visit, whole: for other parts, which mask what they show."""
    found = list(_forms(office, "visit.visit_id = ?", [visit_id]))
    return found[0] if found else None


def accepted_forms(office: Office, household_ids: Sequence[int]) -> dict[int, SavedForm]:
    """The form of each household's newest accepted visit; households without one are left out."""
    found: dict[int, SavedForm] = {}
    for start in range(0, len(household_ids), _AT_ONCE):
        part = household_ids[start : start + _AT_ONCE]
        condition = f"visit.state = 'ACCEPTED' AND visit.household_id IN ({placeholders(part)})"
        for saved in _forms(office, condition, part):  # by visit: a later one takes the place of an earlier
            found[saved.household_id] = saved
    return found


def masked_form(form: VisitForm, *, with_address: bool) -> dict[str, Any]:
    """A form as JSON with ID numbers, names and telephones masked.

    ``with_address``: for who goes there; everybody else sees its first characters and may have it revealed.
    """
    values = form.model_dump(mode="json")
    if not with_address:
        values["head"]["address"] = mask_address(values["head"]["address"])
    for member in values["members"]:
        member["id_number"], member["name"] = mask(member["id_number"]), mask_name(member["name"])
        member["phone"] = mask(member["phone"])
    values["signatures"]["applicant"]["name"] = mask_name(values["signatures"]["applicant"]["name"])
    return values


def compare_forms(stored: VisitForm, offered: VisitForm) -> list[Difference]:
    """Field by field where two forms differ, side by side; ID numbers are masked."""
    before, after = dict(_flat(stored.model_dump(mode="json"))), dict(_flat(offered.model_dump(mode="json")))
    found = []
    for location in [*before, *(location for location in after if location not in before)]:
        old, new = before.get(location, ""), after.get(location, "")
        if old != new:
            hide = mask if location[-1] in ("id_number", "phone") else str
            path = ".".join(map(str, location))
            found.append(Difference(path, heading_of(location), hide(str(old)), hide(str(new))))
    return found


def _flat(value: Any, location: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], object]]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _flat(part, (*location, name))
    elif isinstance(value, list) and all(isinstance(part, dict) for part in value):
        for place, part in enumerate(value):
            yield from _flat(part, (*location, place))
    else:
        yield location, "、".join(map(str, value)) if isinstance(value, list) else value


def _forms(office: Office, condition: str, values: Sequence[object]) -> Iterator[SavedForm]:
    sql = (
        "SELECT visit.visit_id, household_id, kind, digest, collector, saved_at, device_key, sealed,"  # noqa: S608
        " CASE WHEN visit.state = 'ACCEPTED' THEN decided_at END AS accepted_at"
        f" FROM visit JOIN form ON form.visit_id = visit.visit_id AND replaced_at IS NULL WHERE {condition}"
        " ORDER BY visit.visit_id"
    )
    for row in fetch_records(office.database, sql, values):
        content = office.personal.open(row.pop("sealed"), "form", "sealed", row.pop("device_key"))
        yield SavedForm(**row, form=read_form(content))
