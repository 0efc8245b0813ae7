"""The banks' files that were entered, and the rows of them that were not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from matcher.bureau.actors import Actor, NotInCare, Permission
from matcher.bureau.office import Office
from matcher.loans.errors import EventRefused
from matcher.loans.file_import import RowReject
from matcher.rows import fetch_all, fetch_records


class LoanFileUnknown(EventRefused):
    """No file has this number; params ``file_id``."""

    code = "loan_file_unknown"


@dataclass(frozen=True)
class ImportedFile:
    """``business_date``: the latest day in it; ``accepted`` of its ``rows`` stand in the store."""

    file_id: int
    bank: str
    fingerprint: str
    business_date: str
    rows: int
    accepted: int
    imported_by: str
    imported_at: str
    sha256: str

    @property
    def rejected(self) -> int:
        return self.rows - self.accepted


_FILES = """
    SELECT file_id, bank.name AS bank, bank.fingerprint, business_date, rows, accepted, imported_by, imported_at, sha256
    FROM loan_file JOIN bank ON bank.fingerprint = loan_file.bank
"""


# A file is of all the counties that its bank lends in, and the rows that were not entered are of no household: so an
# account with a narrower care than the whole office's sees what it sent itself, which it had in its hands, and no more.
_SEEN = "(?1 IS NULL OR loan_file.bank = ?1) AND (?2 = 0 OR imported_by = ?3)"


class ImportedFiles:
    """Looks at what one office imported. Every method needs SEE_LOANS; a bank's people see their own bank's, and
    those of some counties or townships the files that they imported themselves."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def list(self, actor: Actor, *, before: int = 2**53, limit: int = 50) -> list[ImportedFile]:
        """The newest first, from before a number on. Raises NotAllowed."""
        actor.require(Permission.SEE_LOANS)
        rows = fetch_records(
            self._office.database,
            f"{_FILES} WHERE {_SEEN} AND file_id < ?4 ORDER BY file_id DESC LIMIT ?5",
            [actor.bank, bool(actor.townships), actor.name, before, limit],
        )
        return [ImportedFile(**row) for row in rows]

    def get(self, actor: Actor, file_id: int) -> ImportedFile:
        """Raises NotAllowed, NotInCare, LoanFileUnknown."""
        actor.require(Permission.SEE_LOANS)
        rows = fetch_records(self._office.database, f"{_FILES} WHERE file_id = ?", [file_id])
        if not rows:
            raise LoanFileUnknown("no such file", file_id=file_id)
        found = ImportedFile(**rows[0])
        actor.require(Permission.SEE_LOANS, bank=found.fingerprint)
        if actor.townships and found.imported_by != actor.name:
            raise NotInCare()
        return found

    def rejects(self, actor: Actor, file_id: int, *, first: int = 0, count: int = -1) -> Sequence[RowReject]:
        """As they stand in the file. Raises NotAllowed, LoanFileUnknown."""
        self.get(actor, file_id)
        rows = fetch_all(
            self._office.database,
            "SELECT sheet, row, reason, column_name, masked_item, params FROM loan_file_reject WHERE file_id = ?"
            " ORDER BY sheet, row LIMIT ? OFFSET ?",
            [file_id, count, first],
        )
        return [
            RowReject(sheet, row, reason, heading, number, json.loads(params))
            for sheet, row, reason, heading, number, params in rows
        ]

    def reasons(self, actor: Actor, file_id: int) -> dict[str, int]:
        """How many rows were rejected for each reason, the most frequent first. Raises NotAllowed, LoanFileUnknown."""
        self.get(actor, file_id)
        sql = "SELECT reason, COUNT(*) FROM loan_file_reject WHERE file_id = ? GROUP BY 1 ORDER BY 2 DESC, 1"
        return dict(fetch_all(self._office.database, sql, [file_id]))
