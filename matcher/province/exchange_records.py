"""Exchange records at the province: compared with its own charges, countersigned, kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from keys.clock import format_time
from keys.envelope import add_signature, open_envelope
from keys.identity import Identity
from matcher.exchange_record import (
    MAX_RECORD_BYTES,
    RECORD_TYPE,
    ExchangeRecord,
    RecordedBatch,
    RecordInvalid,
    decode_record,
    record_sha256,
)
from matcher.province.provinceday import day_of
from matcher.province.records import Party, UnknownRecord
from matcher.province.store import ProvinceStore
from psi.errors import VerificationError

SETTLING = timedelta(days=2)  # so long a charge may wait for its record before it counts as unaccounted for


class RecordMismatch(VerificationError):
    """A bank's record is not what the province charged.

    Params: ``part`` (batch, place, elements, request, answer), ``index`` of the batch in the record, and ``batch``.
    """

    code = "record_mismatch"


@dataclass(frozen=True)
class StoredRecord:
    """One row of ``exchange_record``; ``party`` is the bank's fingerprint."""

    sha256: str
    party: str
    run_id: str
    warrant_sha256: str
    dataset: str
    epoch: str
    edition: int
    batches: int
    elements: int
    recorded_at: str


_COLUMNS = ", ".join(StoredRecord.__dataclass_fields__)


class ExchangeRecords:
    """Part of the ledger: see :attr:`matcher.province.ledger.Ledger.exchange_records`."""

    def __init__(self, store: ProvinceStore) -> None:
        self._store = store

    def countersign(self, envelope: bytes, party: Party, dataset: str, epoch: str, province: Identity) -> bytes:
        """The bank's record with the province's signature beside the bank's; the same record gives the same bytes.

        Raises RecordInvalid (no record, or not signed by this bank); RecordMismatch, which also leaves an
        alarm, one a day. Nothing is kept then.
        """
        try:
            payload = open_envelope(envelope, RECORD_TYPE, party.identity, max_bytes=MAX_RECORD_BYTES)
        except VerificationError as error:
            raise RecordInvalid(f"not signed by this bank: {error.code}") from None
        record = decode_record(payload)
        if (record.bank, record.dataset, record.epoch) != (party.fingerprint, dataset, epoch):
            raise RecordInvalid("the record is of another bank, dataset or epoch")
        countersigned = add_signature(envelope, province)
        try:
            with self._store.writing():
                self._keep(record_sha256(payload), record, countersigned)
        except RecordMismatch as error:
            about = f"{party.entity} {dataset}/{epoch} {day_of(self._store.clock.now())}"
            with self._store.writing():
                self._store.alarms.sound_once_within(error, about)
            raise
        return countersigned

    def list_all(self, party: str | None = None) -> list[StoredRecord]:
        """Every record, or one bank's (its fingerprint), the newest first."""
        with self._store.reading() as db:
            rows = db.query(
                f"SELECT {_COLUMNS} FROM exchange_record"  # noqa: S608
                " WHERE :party IS NULL OR party = :party ORDER BY rowid DESC",
                {"party": party},
            )
            return [StoredRecord(**row) for row in rows]

    def get(self, sha256: str) -> tuple[str, bytes]:
        """(id, countersigned document) of a record named by its id or how that begins. Raises UnknownRecord."""
        with self._store.reading() as db:
            rows = list(
                db.query(
                    "SELECT sha256, envelope FROM exchange_record WHERE substr(sha256, 1, ?) = ? LIMIT 2",
                    [len(sha256), sha256],
                )
            )
        if len(rows) != 1:
            raise UnknownRecord("no exchange record, or more than one, begins so")
        return rows[0]["sha256"], bytes(rows[0]["envelope"])

    def list_unaccounted(self, now: datetime) -> list[dict[str, Any]]:
        """Per bank, dataset and epoch: charges older than two days that no record names (charges, elements, since)."""
        with self._store.reading() as db:
            return list(
                db.query(
                    "SELECT charge.party, charge.dataset, charge.epoch, COUNT(*) AS charges, SUM(n) AS elements,"
                    " MIN(charged_at) AS since FROM charge LEFT JOIN recorded_charge USING (party, idempotency_key)"
                    " WHERE sha256 IS NULL AND charged_at < ? GROUP BY 1, 2, 3 ORDER BY since",
                    [format_time(now - SETTLING)],
                )
            )

    def concerns(self, party: str, dataset: str) -> bool:
        """Whether a party was ever charged in a dataset; it may account for that though its grant is gone."""
        with self._store.reading():
            row = self._store.find_row("SELECT 1 FROM charge WHERE party = ? AND dataset = ?", party, dataset)
        return row is not None

    def _keep(self, sha256: str, record: ExchangeRecord, envelope: bytes) -> None:
        """Inside a transaction: every batch is compared first, then all is kept, once."""
        charged = [batch for index, batch in enumerate(record.batches) if self._compare(record, index, batch)]
        row = (
            sha256,
            record.bank,
            record.run_id,
            record.warrant_sha256,
            record.dataset,
            record.epoch,
            record.edition,
            len(record.batches),
            record.elements,
            envelope,
            self._store.now(),
        )
        db = self._store.db
        kept = db.execute("INSERT OR IGNORE INTO exchange_record VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        if kept.rowcount != 1:
            return
        for batch in charged:
            db.execute(
                "INSERT OR REPLACE INTO recorded_charge VALUES (?, ?, ?)", (record.bank, batch.request_id, sha256)
            )
        detail = {"epoch": record.epoch, "run": record.run_id, "sha256": sha256, "elements": record.elements}
        self._store.audit(record.bank, "exchange_record", record.dataset, **detail)

    def _compare(self, record: ExchangeRecord, index: int, batch: RecordedBatch) -> bool:
        """Whether the batch was charged, exactly as the record says. Raises RecordMismatch.

        A batch without an answer may have got lost on its way: then there is no charge, and nothing to account for.
        """
        charge = self._store.find_row(
            "SELECT dataset, epoch, n, body_sha256, answer_sha256 FROM charge WHERE party = ? AND idempotency_key = ?",
            record.bank,
            batch.request_id,
        )
        if charge is None:
            if batch.answer_sha256 is None:
                return False
            raise _mismatch("batch", index, batch)
        if (charge["dataset"], charge["epoch"]) != (record.dataset, record.epoch):
            raise _mismatch("place", index, batch)
        if charge["n"] != batch.elements:
            raise _mismatch("elements", index, batch)
        if charge["body_sha256"] != batch.request_sha256:
            raise _mismatch("request", index, batch)
        if batch.answer_sha256 not in (None, charge["answer_sha256"]):
            raise _mismatch("answer", index, batch)
        return True


def _mismatch(part: str, index: int, batch: RecordedBatch) -> RecordMismatch:
    return RecordMismatch("the record is not what was charged", part=part, index=index, batch=batch.request_id)
