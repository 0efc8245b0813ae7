"""Which visits are a bank's business: its own customers', and none that another bank's manager makes."""

from __future__ import annotations

from matcher.bureau.actors import Actor, NotInCare
from matcher.bureau.office import Office
from matcher.households.cases import HANDED_OVER_BY
from matcher.rows import fetch_all
from matcher.visits.records import VisitRow

# Of a row of household: a member whom this bank handed over, or none that any bank did (the county supplemented it).
OF_BANK = (
    f"({HANDED_OVER_BY} OR NOT EXISTS ("  # noqa: S608  (fixed texts)
    "SELECT 1 FROM household_bank held WHERE held.household_id = household.household_id))"
)
# Of a row of visit with its household, the bank bound twice: a household may be a customer of two banks.
SEEN_BY_BANK = (
    f"(CASE WHEN manager IS NULL THEN {OF_BANK}"  # noqa: S608  (fixed texts)
    " ELSE EXISTS (SELECT 1 FROM account WHERE name = manager AND account.bank = ?) END)"
)


def is_of_bank(office: Office, bank: str, household_id: int) -> bool:
    sql = f"SELECT 1 FROM household WHERE {OF_BANK} AND household_id = ?"  # noqa: S608  (a fixed text)
    return bool(fetch_all(office.database, sql, [bank, household_id]))


def require_bank(office: Office, actor: Actor, visit: VisitRow) -> None:
    """What a bank's account plans is its bank's business. Raises NotInCare."""
    if not actor.bank:
        return
    if not is_of_bank(office, actor.bank, visit.household_id):
        raise NotInCare()
    if visit.manager is not None and not fetch_all(
        office.database, "SELECT 1 FROM account WHERE name = ? AND bank = ?", [visit.manager, actor.bank]
    ):
        raise NotInCare()
