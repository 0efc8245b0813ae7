"""Finding a person, and showing one field of theirs unmasked: each with a row in the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from matcher.bureau.actors import Actor, NotAllowed, Permission
from matcher.bureau.members import open_member
from matcher.bureau.office import Office
from matcher.masking import mask_name
from matcher.personal.fields import require_plain
from matcher.rows import fetch_all, fetch_first, fetch_records
from psi.errors import InputError
from psi.identifiers import mask, normalise_one

RevealField = Literal["number", "name", "phone", "address"]
SearchBy = Literal["number", "name"]


class MemberUnknown(InputError):
    """No member of a household has this number; params: ``member``."""

    code = "member_unknown"


class SearchInvalid(InputError):
    """Neither a valid ID number nor a name; params: ``reason`` (the normaliser's verdict, or ``empty``)."""

    code = "search_invalid"


@dataclass(frozen=True)
class FoundPerson:
    """A member, masked, and the household that they are in."""

    member_id: int
    household_id: int
    household_no: str
    division: str
    state: str
    name: str
    number: str


class Personal:
    """The people in an office's store."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def reveal(self, actor: Actor, member_id: int, field: RevealField, reason: str) -> str:
        """One field of one person in the clear, '' if it is not known. The audit log has who, whose, what and why,
        before the value is given out; a refused attempt stands there too.

        Phone and address are those of the household's newest form. Raises NotAllowed, MemberUnknown, TextNotPlain.
        """
        purpose = require_plain(reason, "reason")
        if field not in get_args(RevealField):
            raise InputError("no such field", field=field)
        row = fetch_first(
            self._office.database,
            "SELECT household_id, division, household.bank, sealed FROM member JOIN household USING (household_id)"
            " WHERE member_id = ?",
            [member_id],
        )
        division, bank = row[1:3] if row else (None, None)
        try:
            actor.require(Permission.REVEAL)
            actor.require(Permission.REVEAL, division=division, bank=bank)
        except NotAllowed:
            self._record(actor, "person.reveal_refused", member_id, field, purpose)
            raise
        if row is None:
            raise MemberUnknown("no such member", member=member_id)
        person = open_member(self._office.personal, member_id, row[3])
        known = {"number": person.item, "name": person.name}
        value = known[field] if field in known else self._of_form(row[0], person.item, field)
        self._record(actor, "person.reveal", member_id, field, purpose)
        return value

    def search_number(self, actor: Actor, number: str) -> list[FoundPerson]:
        """Members with this ID number, as a person may type it. Raises NotAllowed, SearchInvalid."""
        actor.require(Permission.SEE_HOUSEHOLDS)
        item, verdict = normalise_one(number)
        if item is None:
            raise SearchInvalid("not an ID number", reason=verdict.code)
        return self._search(actor, "item_ref", self._office.personal.item_reference(item), {"number": item})

    def search_name(self, actor: Actor, name: str) -> list[FoundPerson]:
        """Members with exactly this name, blanks apart. Raises NotAllowed, SearchInvalid."""
        actor.require(Permission.SEE_HOUSEHOLDS)
        if not name.strip():
            raise SearchInvalid("no name", reason="empty")
        return self._search(actor, "name_ref", self._office.personal.name_reference(name), {"name": name})

    def _search(self, actor: Actor, column: str, reference: bytes, wanted: Mapping[str, str]) -> list[FoundPerson]:
        rows = fetch_records(
            self._office.database,
            "SELECT member_id, household_id, household_no, household.division, state, household.bank, sealed"  # noqa: S608
            f" FROM member JOIN household USING (household_id) WHERE {column} = ? AND left_at IS NULL"
            " ORDER BY household_id",
            [reference],
        )
        found = []
        for row in rows:
            sealed, bank = row.pop("sealed"), row.pop("bank")
            if actor.cares_for(row["division"]) and actor.bank in (None, bank):
                person = open_member(self._office.personal, row["member_id"], sealed)
                found.append(FoundPerson(**row, name=mask_name(person.name), number=mask(person.item)))
        with self._office.writing():
            by = next(iter(wanted))
            self._office.record_within(actor, "person.search", f"search/{by}", after=wanted, found=len(found))
        return found

    def _of_form(self, household_id: int, item: str, field: str) -> str:
        """A member's phone, or the household's address."""
        rows = fetch_all(
            self._office.database,
            "SELECT form.sealed, device_key FROM form JOIN visit USING (visit_id)"
            " WHERE household_id = ? AND replaced_at IS NULL ORDER BY form_id DESC LIMIT 1",
            [household_id],
        )
        for sealed, device_key in rows:
            form = self._office.personal.open(sealed, "form", "sealed", device_key)
            if field == "address":
                return str(form["head"]["address"])
            return next((str(one["phone"]) for one in form["members"] if one["id_number"] == item), "")
        return ""

    def _record(self, actor: Actor, action: str, member_id: int, field: str, purpose: str) -> None:
        with self._office.writing():
            self._office.record_within(actor, action, f"member/{member_id}", purpose=purpose, field=field)
