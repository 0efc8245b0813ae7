"""Audits at the bank: which draws two operators approved, and when they were opened."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from sqlite_utils import Database

from keys.clock import Clock, format_time
from keys.database import write_transaction
from keys.envelope import EnvelopeInvalid, add_signature, sign_envelope
from keys.identity import Identity
from keys.operators import OperatorNotAllowed, Operators
from matcher.audit_draw import Draw, DrawInvalid
from matcher.bank.records import Records
from matcher.exchange_record import ExchangeRecord
from matcher.rows import fetch_first, fetch_records
from psi.errors import MingceError

APPROVAL_TYPE = "application/vnd.mingce.audit-approval+json"
APPROVAL_FORMAT = "mingce-audit-approval/1"


class OpeningNotApproved(MingceError):
    """Two operators have not yet approved that these positions are opened to this auditor."""

    code = "opening_not_approved"


@dataclass(frozen=True)
class StoredOpening:
    """One row of ``audit_opening``; ``auditor`` is a fingerprint."""

    draw_sha256: str
    record_sha256: str
    auditor: str
    positions: int
    approved_at: str | None
    opened_at: str | None
    opening_sha256: str | None


class Openings:
    """The table ``audit_opening``, with the operators who may approve."""

    def __init__(self, database: Database, clock: Clock, records: Records, operators: Operators) -> None:
        self._database = database
        self._clock = clock
        self._records = records
        self._operators = operators

    def approve(self, draw: Draw, draw_sha256: str, signer: Identity) -> bool:
        """Sign that a draw may be opened; True once two operators have.

        Raises DrawInvalid, RecordUnknown (not one of ours), AlreadySigned, OperatorNotAllowed.
        """
        self.find_record(draw)
        payload = _approval(draw, draw_sha256)
        with write_transaction(self._database):
            row = self._find_approval(draw_sha256)
            if row is None:
                self._operators.require(signer.public.fingerprint, "propose")
                values = [draw_sha256, draw.record_sha256, draw.auditor.fingerprint, len(draw.positions)]
                self._database.execute(
                    "INSERT INTO audit_opening (draw_sha256, record_sha256, auditor, positions, approval)"
                    " VALUES (?, ?, ?, ?, ?)",
                    [*values, sign_envelope(signer, APPROVAL_TYPE, payload)],
                )
                return False
            self._operators.require(signer.public.fingerprint, "approve")
            approval = add_signature(row, signer)
            self._verify(approval, payload)
            self._database.execute(
                "UPDATE audit_opening SET approval = ?, approved_at = ? WHERE draw_sha256 = ?",
                [approval, format_time(self._clock.now()), draw_sha256],
            )
            return True

    def require_approved(self, draw: Draw, draw_sha256: str) -> tuple[str, ...]:
        """The names of the operators who approved, verified anew.

        Raises OpeningNotApproved; SignaturesMissing after the first; what verifying raises.
        """
        approval = self._find_approval(draw_sha256)
        if approval is None:
            raise OpeningNotApproved("nobody has approved this draw", found=0)
        try:
            return self._verify(approval, _approval(draw, draw_sha256))
        except OperatorNotAllowed:
            raise OpeningNotApproved("who signed may not approve", found=0) from None

    def find_record(self, draw: Draw) -> ExchangeRecord:
        """The record that a draw is about, as this bank signed it. Raises RecordUnknown, DrawInvalid."""
        record = self._records.read(draw.record_sha256)
        if (draw.bank, draw.elements) != (record.bank, record.elements):
            raise DrawInvalid("the draw is not about this bank's record")
        return record

    def mark_opened(self, draw_sha256: str, opening_sha256: str) -> None:
        """What was given out, and when: before it is."""
        with write_transaction(self._database):
            self._database.execute(
                "UPDATE audit_opening SET opened_at = ?, opening_sha256 = ? WHERE draw_sha256 = ?",
                [format_time(self._clock.now()), opening_sha256, draw_sha256],
            )

    def list_all(self) -> list[StoredOpening]:
        """The newest first."""
        return list_openings(self._database)

    def _verify(self, approval: bytes, payload: bytes) -> tuple[str, ...]:
        opened = self._operators.open_decision(approval, APPROVAL_TYPE)
        if opened.payload != payload:
            raise EnvelopeInvalid("the approval is of another draw")
        return tuple(signer.name for signer in opened.signers)

    def _find_approval(self, draw_sha256: str) -> bytes | None:
        row = fetch_first(self._database, "SELECT approval FROM audit_opening WHERE draw_sha256 = ?", [draw_sha256])
        return None if row is None else bytes(row[0])


def list_openings(database: Database) -> list[StoredOpening]:
    """The newest first, for showing: no operator has to be known."""
    columns = ", ".join(StoredOpening.__dataclass_fields__)
    rows = fetch_records(database, f"SELECT {columns} FROM audit_opening ORDER BY rowid DESC")  # noqa: S608
    return [StoredOpening(**row) for row in rows]


def _approval(draw: Draw, draw_sha256: str) -> bytes:
    document = {
        "format": APPROVAL_FORMAT,
        "bank": draw.bank,
        "draw_sha256": draw_sha256,
        "record_sha256": draw.record_sha256,
        "auditor": draw.auditor.fingerprint,
        "positions_sha256": hashlib.sha256(json.dumps(draw.positions).encode()).hexdigest(),
    }
    return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
