"""Which visits are a bank's business: its own customers', and none that another bank's manager makes."""

from __future__ import annotations

from matcher.bureau.actors import Actor
from matcher.bureau.office import Office
from matcher.rows import fetch_all
from matcher.visits.model import ManagerUnsuitable
from matcher.visits.records import VisitRow

# Of a row of household: a member whom this bank handed over, or none that any bank did (the county supplemented it).
OF_BANK = (
    "(EXISTS (SELECT 1 FROM candidate JOIN candidate_source USING (candidate_id) JOIN handover USING (handover_id)"
    " WHERE candidate.household_id = household.household_id AND handover.bank = ?)"
    " OR NOT EXISTS (SELECT 1 FROM candidate WHERE candidate.household_id = household.household_id))"
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
    """What a bank's account plans is its bank's business. Raises ManagerUnsuitable."""
    if not actor.bank:
        return
    if not is_of_bank(office, actor.bank, visit.household_id):
        raise ManagerUnsuitable("no customer of this bank", manager=actor.name, reason="bank")
    if visit.manager is not None and not fetch_all(
        office.database, "SELECT 1 FROM account WHERE name = ? AND bank = ?", [visit.manager, actor.bank]
    ):
        raise ManagerUnsuitable("another office's visit", manager=actor.name, reason="bank")
