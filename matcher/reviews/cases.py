"""What every part of a review reads of a household first."""

from __future__ import annotations

from dataclasses import dataclass

from matcher.bureau.actors import Actor, NotAllowed, Permission
from matcher.bureau.office import Office
from matcher.households import HouseholdUnknown
from matcher.rows import fetch_records


@dataclass(frozen=True)
class Case:
    """A household as the review sees it. ``reasons`` are the codes of its newest label."""

    household_id: int
    household_no: str
    state: str
    division: str
    reasons: tuple[str, ...]
    claimed_by: str | None
    claimed_at: str | None


def read_case(office: Office, household_id: int) -> Case:
    """Raises HouseholdUnknown."""
    rows = fetch_records(
        office.database,
        "SELECT household_id, household_no, state, division, reasons, claimed_by, claimed_at FROM household"
        " WHERE household_id = ?",
        [household_id],
    )
    if not rows:
        raise HouseholdUnknown("no household has this number", household=household_id)
    (row,) = rows
    return Case(**{**row, "reasons": tuple(filter(None, row["reasons"].split(",")))})


def read_case_for(office: Office, actor: Actor, household_id: int, *permissions: Permission) -> Case:
    """The same for an account with one of these, in its care. Raises NotAllowed, before anything is read."""
    require_any(actor, *permissions)
    case = read_case(office, household_id)
    require_any(actor, *permissions, division=case.division)
    return case


def require_any(actor: Actor, *permissions: Permission, division: str | None = None) -> None:
    """Raises NotAllowed unless the account has one of these, for this division."""
    for permission in permissions:
        if actor.may(permission):
            return actor.require(permission, division=division)
    raise NotAllowed("the account may not do this", permission=permissions[0].value)
