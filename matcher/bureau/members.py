"""The members of a household as they are stored: sealed, and found by blind index."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from sqlite_utils import Database

from matcher.bureau.personal import PersonalData

MemberSource = Literal["match", "form", "county"]


@dataclass(frozen=True)
class Person:
    """``item`` is a normalised ID number, ``relation`` a code of matcher.visits.form.RELATIONS or empty."""

    item: str = field(repr=False)
    name: str = field(repr=False)
    relation: str = ""


def open_member(personal: PersonalData, member_id: int, sealed: bytes) -> Person:
    """What ``member.sealed`` holds. Raises SealedDataDamaged."""
    return Person(**personal.open(sealed, "member", "sealed", member_id))


class MemberWriter:
    """Adds and renews members inside the caller's transaction. ``names``: those to come, to index them at once."""

    def __init__(self, database: Database, personal: PersonalData, now: str, names: Iterable[str] = ()) -> None:
        self._database = database
        self._personal = personal
        self._now = now
        self._name_references = personal.name_references(names)

    def put(
        self,
        household_id: int,
        person: Person,
        source: MemberSource,
        candidate_id: int | None = None,
        reference: bytes | None = None,
    ) -> tuple[int, str | None]:
        """Add a person to a household, or complete what is known of one; returns the member's number.

        ``reference`` is the blind index of the number, where the caller has it.

        The second part is the name that the store had before where this one is another: both names
        are then kept, the old one here and the new one with the conflict that the caller notes.
        """
        reference = reference or self._personal.item_reference(person.item)
        known = self._database.execute(
            "SELECT member_id, name_ref, sealed FROM member WHERE household_id = ? AND item_ref = ?",
            [household_id, reference],
        ).fetchone()
        if known is None:
            return self._add(household_id, person, source, candidate_id, reference), None
        member_id, name_reference, sealed = known
        if name_reference == self._name_reference(person.name) and candidate_id is None and not person.relation:
            return int(member_id), None
        before = open_member(self._personal, member_id, sealed)
        differs = bool(before.name and person.name) and name_reference != self._name_reference(person.name)
        after = Person(before.item, before.name or person.name, person.relation or before.relation)
        self._write(member_id, after)
        self._database.execute(
            "UPDATE member SET candidate_id = COALESCE(?1, candidate_id),"
            " left_at = CASE WHEN ?2 = 'match' THEN left_at END WHERE member_id = ?3",  # a person said that they left
            [candidate_id, source, member_id],
        )
        return int(member_id), before.name if differs else None

    def rename(self, member_id: int, name: str) -> None:
        """After a person settled which of two names is right."""
        (sealed,) = self._database.execute("SELECT sealed FROM member WHERE member_id = ?", [member_id]).fetchone()
        before = open_member(self._personal, member_id, sealed)
        self._write(member_id, Person(before.item, name, before.relation))

    def _add(
        self, household_id: int, person: Person, source: MemberSource, candidate_id: int | None, reference: bytes
    ) -> int:
        cursor = self._database.execute(
            "INSERT INTO member (household_id, candidate_id, item_ref, name_ref, sealed, source, created_at,"
            " updated_at) VALUES (?, ?, ?, x'', x'', ?, ?, ?)",
            [household_id, candidate_id, reference, source, self._now, self._now],
        )
        member_id = int(cursor.lastrowid or 0)
        self._write(member_id, person)
        return member_id

    def _write(self, member_id: int, person: Person) -> None:
        self._database.execute(
            "UPDATE member SET name_ref = ?, sealed = ?, updated_at = ? WHERE member_id = ?",
            [
                self._name_reference(person.name),
                self._personal.seal(vars(person), "member", "sealed", member_id),
                self._now,
                member_id,
            ],
        )

    def _name_reference(self, name: str) -> bytes:
        if name not in self._name_references:
            self._name_references[name] = self._personal.name_reference(name)
        return self._name_references[name]
