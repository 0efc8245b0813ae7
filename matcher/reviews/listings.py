"""The final list: from which day to which a household is on it, and by which decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.households.cases import care_of
from matcher.personal.fields import shown_reasons
from matcher.reviews.cases import read_case_for
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


Stays = Literal["present", "waiting", "suspended", "ended", "all"]
_LAST = (
    "NOT EXISTS (SELECT 1 FROM listing later WHERE later.household_id = listing.household_id"
    " AND later.listing_id > listing.listing_id)"
)
_STAYS: Mapping[Stays, str] = {
    "present": "effective_to IS NULL",
    "waiting": f"{_LAST} AND EXISTS (SELECT 1 FROM decision open WHERE open.household_id = listing.household_id"  # noqa: S608
    " AND open.state = 'proposed' AND open.verdict IN ('graduate', 'suspend', 'resume', 'remove'))",
    "suspended": f"household.state = 'SUSPENDED' AND {_LAST}",
    "ended": "effective_to IS NOT NULL",
    "all": "1",
}


@dataclass(frozen=True)
class StayRow:
    """A stay in a list, with its household; ``proposed``: the verdict of an open proposal to change it."""

    listing_id: int
    household_id: int
    household_no: str
    township: str
    list_year: int
    state: str
    effective_from: str
    effective_to: str | None
    ended_as: str | None
    reasons: tuple[str, ...]
    bank: str | None
    proposed: str | None
    decision_id: int | None
    digest: str | None
    proposed_by: str | None


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

    def list_page(
        self, actor: Actor, stays: Stays = "present", area: str = "", *, after: int = 0, size: int = 50
    ) -> list[StayRow]:
        """Stays in the account's care by number, ``size`` at most, those beyond number ``after``; ``stays``: on the
        list today, with a change that waits for a second person, suspended now, ended ones, all. Raises NotAllowed."""
        actor.require(Permission.SEE_HOUSEHOLDS)
        care, values = care_of(actor)
        rows = fetch_records(
            self._office.database,
            "SELECT listing_id, listing.household_id, household_no, township, list_year, household.state,"  # noqa: S608
            " effective_from, effective_to, ended_as, listing.reasons, bank.name AS bank, decision.verdict AS proposed,"
            " decision.decision_id, decision.digest, decision.proposed_by"
            " FROM listing JOIN household USING (household_id) LEFT JOIN bank ON bank.fingerprint = household.bank"
            " LEFT JOIN decision ON decision.household_id = listing.household_id AND decision.state = 'proposed'"
            f" WHERE {_STAYS[stays]} AND household.division GLOB ? || '*' AND listing_id > ? AND {care}"
            " ORDER BY listing_id LIMIT ?",
            [area, after, *values, size],
        )
        return [StayRow(**{**row, "reasons": _shown(actor, row["reasons"])}) for row in rows]

    def count(self, actor: Actor, area: str = "") -> dict[Stays, int]:
        """How many stays of each kind :meth:`list_page` has. Raises NotAllowed."""
        actor.require(Permission.SEE_HOUSEHOLDS)
        care, values = care_of(actor)
        sums = ", ".join(f'COALESCE(SUM({condition}), 0) AS "{kind}"' for kind, condition in _STAYS.items())
        sql = f"SELECT {sums} FROM listing JOIN household USING (household_id)"  # noqa: S608
        return fetch_records(  # type: ignore[return-value]
            self._office.database, f"{sql} WHERE household.division GLOB ? || '*' AND {care}", [area, *values]
        )[0]

    def list_of(self, actor: Actor, household_id: int) -> list[Listing]:
        """Every stay of a household, in order. Raises NotAllowed, HouseholdUnknown."""
        read_case_for(self._office, actor, household_id, Permission.SEE_HOUSEHOLDS)
        rows = fetch_records(
            self._office.database, "SELECT * FROM listing WHERE household_id = ? ORDER BY listing_id", [household_id]
        )
        return [Listing(**{**row, "reasons": _shown(actor, row["reasons"])}) for row in rows]


def _shown(actor: Actor, reasons: str) -> tuple[str, ...]:
    return shown_reasons(actor, filter(None, reasons.split(",")))
