"""Whose loan it is: the person by ID number, and by which household and listing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from matcher.loans.errors import BorrowerUnknown, NotOnFinalList, TwoHouseholds
from matcher.loans.work import Work
from psi.identifiers import mask


@dataclass(frozen=True)
class Borrower:
    """A member of a household; ``listing_id`` says by what it is on the final list, where that was asked."""

    member_id: int
    household_id: int
    division: str
    listing_id: int | None = None


_LISTED = """
    SELECT member_id, member.household_id, division, listing_id, list_year
    FROM member JOIN household USING (household_id) JOIN listing USING (household_id)
    WHERE item_ref = ?1 AND left_at IS NULL
    AND effective_from <= ?2 AND (effective_to IS NULL OR ?2 < effective_to)
    ORDER BY list_year DESC
"""
_KNOWN = """
    SELECT member_id, member.household_id, division FROM member JOIN household USING (household_id)
    WHERE item_ref = ? AND left_at IS NULL ORDER BY member.household_id DESC LIMIT 1
"""


def find_listed(work: Work, item: str, on: date) -> Borrower:
    """The borrower by the household that was on the final list that day.

    A family may be on it by two years' lists: the newer one counts. Two households of one year are for a person to
    settle. Raises BorrowerUnknown, NotOnFinalList, TwoHouseholds.
    """
    reference = work.reference(item)
    rows = work.database.execute(_LISTED, [reference, on.isoformat()]).fetchall()
    if not rows:
        find_known(work, item)
        raise NotOnFinalList("not on the final list that day", item=mask(item), on=on.isoformat())
    *found, list_year = rows[0]
    if any(row[-1] == list_year for row in rows[1:]):
        raise TwoHouseholds("two households were on the final list", item=mask(item), on=on.isoformat())
    return _in_care(work, Borrower(*found), item)


def find_known(work: Work, item: str) -> Borrower:
    """The borrower by the newest household with this person. Raises BorrowerUnknown."""
    row = work.database.execute(_KNOWN, [work.reference(item)]).fetchone()
    if row is None:
        raise BorrowerUnknown("in no household here", item=mask(item))
    return _in_care(work, Borrower(*row), item)


def _in_care(work: Work, borrower: Borrower, item: str) -> Borrower:
    """Another county's borrower is nobody's for an account of this one (decision 30)."""
    if not work.actor.cares_for(borrower.division):
        raise BorrowerUnknown("in no household here", item=mask(item))
    return borrower


def find_listed_or_known(work: Work, item: str, on: date) -> Borrower:
    """By the final list where it is on it, else by the newest household. Raises BorrowerUnknown, TwoHouseholds."""
    try:
        return find_listed(work, item, on)
    except NotOnFinalList:
        return find_known(work, item)
