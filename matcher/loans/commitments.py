"""身份承诺书 as people see them: listed and masked, and their text to print."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from matcher.bureau.actors import Actor, Permission
from matcher.bureau.members import open_member
from matcher.bureau.office import Office
from matcher.households.cases import care_of
from matcher.loans.commitment import Template, load_template
from matcher.loans.errors import BankUnknown, BorrowerUnknown, CommitmentUnknown
from matcher.masking import mask_name
from matcher.rows import fetch_first, fetch_records
from psi.identifiers import mask


@dataclass(frozen=True)
class CommitmentRow:
    """One of them. ``signer`` and ``item`` are masked; ``loan_id``: of the contract, once it is there."""

    commitment_id: int
    commitment_no: str
    contract_no: str
    bank: str
    household_id: int
    household_no: str
    division: str
    signer: str
    item: str
    signed_on: str
    way: str
    template_version: str
    text_sha256: str
    image_sha256: str | None
    loan_id: int | None
    entered_by: str
    entered_at: str


@dataclass(frozen=True)
class CommitmentText:
    """The filled-in text, its first line being the title; ``sha256`` is of the template (see Template)."""

    text: str
    version: str
    sha256: str


_ROWS = """
    SELECT commitment.commitment_id, commitment_no, commitment.contract_no, bank.name AS bank,
        commitment.bank AS fingerprint, commitment.household_id, household_no, division, member_id, member.sealed,
        commitment.signed_on, way, template_version, text_sha256, attachment.sha256 AS image_sha256, loan.loan_id,
        commitment.entered_by, commitment.entered_at
    FROM commitment JOIN household USING (household_id) JOIN bank ON bank.fingerprint = commitment.bank
    JOIN member ON member_id = signer LEFT JOIN attachment USING (attachment_id)
    LEFT JOIN loan ON loan.bank = commitment.bank AND loan.contract_no = commitment.contract_no
"""


class Commitments:
    """Looks at one office's commitments; Loans enters them."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def list(self, actor: Actor, number: str = "", *, before: int = 2**53, limit: int = 50) -> list[CommitmentRow]:
        """The newest first; ``number``: of a commitment, a contract or a household. Raises NotAllowed."""
        actor.require(Permission.SEE_LOANS)
        conditions, values = ["commitment.commitment_id < ?"], list[object]([before])
        if actor.bank is not None:
            conditions.append("commitment.bank = ?")
            values.append(actor.bank)
        if number:
            conditions.append("? IN (commitment_no, commitment.contract_no, household_no)")
            values.append(number)
        if actor.townships:
            conditions.append("(" + " OR ".join(["substr(division, 1, ?) = ?"] * len(actor.townships)) + ")")
            values += [part for prefix in actor.townships for part in (len(prefix), prefix)]
        sql = f"{_ROWS} WHERE {' AND '.join(conditions)} ORDER BY commitment.commitment_id DESC LIMIT ?"
        return [_row(self._office, row) for row in fetch_records(self._office.database, sql, [*values, limit])]

    def get(self, actor: Actor, commitment_id: int) -> CommitmentRow:
        """Raises CommitmentUnknown, NotAllowed."""
        actor.require(Permission.SEE_LOANS)
        sql = f"{_ROWS} WHERE commitment.commitment_id = ?"
        found = fetch_records(self._office.database, sql, [commitment_id])
        if not found:
            raise CommitmentUnknown("no such commitment", commitment_id=commitment_id)
        actor.require(Permission.SEE_LOANS, division=found[0]["division"], bank=found[0]["fingerprint"])
        return _row(self._office, found[0])

    def text_of(self, row: CommitmentRow) -> CommitmentText:
        """The text that was signed, by the version that was signed."""
        values = {
            "household_no": row.household_no,
            "bank": row.bank,
            "masked_item": row.item,
            "contract_no": row.contract_no,
            "commitment_no": row.commitment_no,
        }
        return _filled(load_template(row.template_version), values)

    def text_to_sign(
        self, actor: Actor, household_no: str, *, bank: str, contract_no: str, commitment_no: str
    ) -> CommitmentText:
        """The newest text, for the applicant of the newest household of this number in the account's care.

        Raises NotAllowed, BankUnknown, BorrowerUnknown.
        """
        actor.require(Permission.ENTER_LOANS, bank=bank)
        named = fetch_first(self._office.database, "SELECT name FROM bank WHERE fingerprint = ?", [bank])
        if named is None:
            raise BankUnknown("no such bank", bank=bank)
        care, values = care_of(actor)
        row = fetch_first(
            self._office.database,
            "SELECT member_id, sealed FROM household JOIN member USING (household_id)"  # noqa: S608 (our own condition)
            f" WHERE household_no = ? AND left_at IS NULL AND {care}"
            " ORDER BY list_year DESC, household_id DESC, is_applicant DESC, member_id LIMIT 1",
            [household_no, *values],
        )
        if row is None:
            raise BorrowerUnknown("no household of this number here", item=household_no[:20])
        filled = {
            "household_no": household_no,
            "bank": str(named[0]),
            "masked_item": mask(open_member(self._office.personal, *row).item),
            "contract_no": contract_no,
            "commitment_no": commitment_no,
        }
        return _filled(load_template(), filled)


def _filled(template: Template, values: dict[str, str]) -> CommitmentText:
    return CommitmentText(template.fill(values), template.version, template.sha256)


def _row(office: Office, row: dict[str, Any]) -> CommitmentRow:
    del row["fingerprint"]
    person = open_member(office.personal, row.pop("member_id"), row.pop("sealed"))
    return CommitmentRow(**row, signer=mask_name(person.name), item=mask(person.item))
