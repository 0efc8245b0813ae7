"""Reading one household for a change, and finding out whether an account may make it."""

from __future__ import annotations

from dataclasses import dataclass

from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.households.errors import HouseholdUnknown
from matcher.rows import fetch_first

HANDED_OVER_BY = (
    "EXISTS (SELECT 1 FROM household_bank held WHERE held.household_id = household.household_id AND held.bank = ?)"
)
"""SQL: of a row of ``household``: the bank, which is bound, handed a member of it over."""


@dataclass(frozen=True)
class Case:
    """A household as a change finds it."""

    household_id: int
    state: str
    division: str

    @property
    def county(self) -> str:
        return self.division[:6]


def care_of(actor: Actor) -> tuple[str, list[object]]:
    """An SQL condition on ``household`` and its values: what is in an account's care.

    Its townships; and for a bank's own people the households that the bank handed a member of over.
    """
    conditions, values = ["1"], list[object]()
    if actor.townships:
        conditions.append("(" + " OR ".join("household.division GLOB ? || '*'" for _ in actor.townships) + ")")
        values += actor.townships
    if actor.bank is not None:
        conditions.append(HANDED_OVER_BY)
        values.append(actor.bank)
    return " AND ".join(conditions), values


def read_case_within(office: Office, actor: Actor, household_id: int, permission: Permission) -> Case:
    """Raises HouseholdUnknown, also for one that is not in the account's care, and NotAllowed."""
    actor.require(permission)
    care, values = care_of(actor)
    row = fetch_first(
        office.database,
        f"SELECT household_id, state, division FROM household WHERE household_id = ? AND {care}",  # noqa: S608
        [household_id, *values],
    )
    if row is None:
        raise HouseholdUnknown("no such household in this account's care", household=household_id)
    return Case(*row)
