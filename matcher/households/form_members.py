"""Putting people into a household, as an accepted visit form or the county names them."""

from __future__ import annotations

from collections.abc import Sequence

from matcher.bureau.conflicts import note_two_names
from matcher.bureau.members import MemberSource, MemberWriter, Person
from matcher.bureau.office import Office


def take_members_within(office: Office, household_id: int, people: Sequence[Person], applicant: str) -> None:
    """Add the people of a form to its household, in the caller's transaction; ``applicant`` is an ID number.

    Whoever was matched but is not on the form stays a member: that is for a person to settle. A number that the
    form gives with another name is noted as a conflict.
    """
    office.database.execute("UPDATE member SET is_applicant = 0 WHERE household_id = ?", [household_id])
    for person in people:
        member_id = put_member_within(office, household_id, person, "form")
        if person.item == applicant:
            office.database.execute("UPDATE member SET is_applicant = 1 WHERE member_id = ?", [member_id])


def put_member_within(office: Office, household_id: int, person: Person, source: MemberSource) -> int:
    """One person; returns the member's number. Another name for a known number becomes a conflict."""
    now = office.now()
    member_id, other_name = MemberWriter(office.database, office.personal, now).put(household_id, person, source)
    if other_name is not None:
        names = (other_name, person.name)
        note_two_names(office.database, office.personal, household_id, person.item, names, handover_id=None, now=now)
    return member_id
