"""The final list: from which day to which a household is on it, and by which decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.personal.fields import shown_reasons
from matcher.reviews.cases import read_case
from matcher.rows import fetch_records


@dataclass(frozen=True)
class Listing:
    """One stay on the final list: ``effective_from`` is its first day, ``effective_to`` the first day after it."""

    listing_id: int
    household_id: int
    decision_id: int
    policy: str
    effective_from: str
    effective_to: str | None
    ended_as: str | None
    reasons: tuple[str, ...]


class Listings:
    """The table ``listing``. Loans look there whether a household is on the list on a day."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def begin_within(self, actor: Actor, household_id: int, decision_id: int, policy: str) -> str:
        """A household that has just become FINAL is on the list from today; returns the day."""
        today = self._office.today().isoformat()
        self._office.database.execute(
            "INSERT INTO listing (household_id, decision_id, policy, effective_from) VALUES (?, ?, ?, ?)",
            [household_id, decision_id, policy, today],
        )
        self._office.record_within(
            actor, "listing.begin", f"household/{household_id}", decision=decision_id, policy=policy, day=today
        )
        return today

    def end_within(self, actor: Actor, household_id: int, ended_as: str, reasons: Sequence[str]) -> None:
        """From today a household is no longer on the list. The stay of a suspended one has ended already."""
        today = self._office.today().isoformat()
        self._office.database.execute(
            "UPDATE listing SET effective_to = ?, ended_as = ?, reasons = ?"
            " WHERE household_id = ? AND effective_to IS NULL",
            [today, ended_as, ",".join(reasons), household_id],
        )
        self._office.record_within(
            actor, "listing.end", f"household/{household_id}", ended_as=ended_as, day=today,
            after={"reasons": sorted(reasons)},
        )  # fmt: skip

    def list_of(self, actor: Actor, household_id: int) -> list[Listing]:
        """Every stay of a household, in order. Raises NotAllowed, HouseholdUnknown."""
        actor.require(Permission.SEE_HOUSEHOLDS, division=read_case(self._office, household_id).division)
        rows = fetch_records(
            self._office.database, "SELECT * FROM listing WHERE household_id = ? ORDER BY listing_id", [household_id]
        )
        return [
            Listing(**{**row, "reasons": shown_reasons(actor, filter(None, row["reasons"].split(",")))}) for row in rows
        ]
