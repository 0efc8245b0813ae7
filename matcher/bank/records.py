"""Exchange records at the bank: signed for every batch that may have been charged, kept until countersigned.

A batch that was sent waits for a record from the moment before it is sent (Batches.mark_sent), so
a process killed at any point leaves nothing charged unrecorded: the next run signs what is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlite_utils import Database

from keys.clock import Clock, format_time
from keys.database import write_transaction
from keys.envelope import EnvelopeInvalid, SignaturesMissing, open_countersigned, sign_envelope, unverified_payload
from keys.identity import Identity, PublicIdentity
from matcher.alarms import Alarms
from matcher.bank.batches import PendingBatch
from matcher.exchange_record import (
    MAX_RECORD_BATCHES,
    MAX_RECORD_BYTES,
    RECORD_TYPE,
    ExchangeRecord,
    RecordedBatch,
    decode_record,
    encode_record,
    record_sha256,
)
from matcher.rows import fetch_all, fetch_records
from psi.errors import InputError, MingceError


class RecordUnknown(InputError):
    """No exchange record has this id, or more than one begins so."""

    code = "record_unknown"


class RecordNotCountersigned(MingceError):
    """The province has not signed the record: an auditor could not rely on it."""

    code = "record_not_countersigned"


@dataclass(frozen=True)
class StoredRecord:
    """One row of ``exchange_record``. SIGNED: not handed in yet; DISPUTED: the province charged something else."""

    sha256: str
    run_id: str
    dataset: str
    epoch: str
    state: str  # SIGNED, COUNTERSIGNED, DISPUTED
    envelope: bytes
    elements: int
    signed_at: str
    settled_at: str | None


class Records:
    """The table ``exchange_record``."""

    def __init__(self, database: Database, clock: Clock, alarms: Alarms) -> None:
        self._database = database
        self._clock = clock
        self._alarms = alarms

    def sign_missing(self, identity: Identity, digest_request: Callable[[str, PendingBatch], str]) -> None:
        """Sign a record for every run that sent batches which no record names yet, whole or broken off.

        ``digest_request`` gives the SHA-256 of the request of a batch whose answer was not kept, from the
        fingerprint of the epoch's pinned key and the batch.
        """
        for run_id, dataset, epoch in self._list_runs():
            unrecorded = self._list_unrecorded(run_id, dataset, epoch)
            pinned = self.get_pinned_fingerprint(dataset, epoch)
            for start in range(0, len(unrecorded), MAX_RECORD_BATCHES):
                part = unrecorded[start : start + MAX_RECORD_BATCHES]
                batches = [
                    RecordedBatch(
                        batch.request_id,
                        batch.padded,
                        request or digest_request(pinned, batch),
                        answer,
                    )
                    for batch, request, answer in part
                ]
                self._sign(identity, run_id, dataset, epoch, batches)

    def list_all(self) -> list[StoredRecord]:
        """The newest first."""
        rows = fetch_records(self._database, "SELECT * FROM exchange_record ORDER BY rowid DESC")
        return [StoredRecord(**row) for row in rows]

    def list_unsettled(self) -> list[StoredRecord]:
        """Those without the province's signature, the oldest first."""
        return [record for record in reversed(self.list_all()) if record.state != "COUNTERSIGNED"]

    def get(self, record: str) -> StoredRecord:
        """By its id or how that begins. Raises RecordUnknown."""
        found = [stored for stored in self.list_all() if record and stored.sha256.startswith(record)]
        if len(found) != 1:
            raise RecordUnknown("no exchange record, or more than one, begins so")
        return found[0]

    def get_pinned_fingerprint(self, dataset: str, epoch: str) -> str:
        """Of the epoch's key, which every request names."""
        ((pinned,),) = fetch_all(
            self._database, "SELECT fingerprint FROM epoch_pin WHERE dataset = ? AND epoch = ?", [dataset, epoch]
        )
        return str(pinned)

    def read(self, record: str) -> ExchangeRecord:
        """What a record of this store says. Raises RecordUnknown."""
        return decode_record(unverified_payload(self.get(record).envelope))

    def settle(
        self, record: StoredRecord, countersigned: bytes, bank: PublicIdentity, province: PublicIdentity
    ) -> None:
        """Keep the record with both signatures, once they verify.

        Raises EnvelopeInvalid, SignerUnknown, SignatureInvalid.
        """
        verify_countersigned(countersigned, record.sha256, bank, province)
        with write_transaction(self._database):
            self._database.execute(
                "UPDATE exchange_record SET state = 'COUNTERSIGNED', envelope = ?, settled_at = ? WHERE sha256 = ?",
                [countersigned, format_time(self._clock.now()), record.sha256],
            )

    def dispute(self, record: StoredRecord, error: MingceError) -> None:
        """The province refuses to sign: an alarm, once for each record. It is handed in again with every run."""
        with write_transaction(self._database):
            changed = self._database.execute(
                "UPDATE exchange_record SET state = 'DISPUTED' WHERE sha256 = ? AND state = 'SIGNED'", [record.sha256]
            )
            if changed.rowcount == 1:
                self._alarms.sound_within(error, record.run_id)

    def _list_runs(self) -> list[tuple[str, str, str]]:
        return fetch_all(
            self._database,
            "SELECT DISTINCT asked_run_id, dataset, epoch FROM batch"
            " WHERE asked_run_id IS NOT NULL AND record_sha256 IS NULL ORDER BY rowid",
        )

    def _list_unrecorded(
        self, run_id: str, dataset: str, epoch: str
    ) -> list[tuple[PendingBatch, str | None, str | None]]:
        """Batches with the digests of what went over the wire, None for those whose answer was not kept."""
        rows = fetch_all(
            self._database,
            "SELECT request_id, run_id, n, padded, NULL, request_sha256, answer_sha256 FROM batch"
            " WHERE asked_run_id = ? AND dataset = ? AND epoch = ? AND record_sha256 IS NULL ORDER BY rowid",
            [run_id, dataset, epoch],
        )
        return [(PendingBatch(*row[:5]), row[5], row[6]) for row in rows]

    def _sign(
        self, identity: Identity, run_id: str, dataset: str, epoch: str, batches: Sequence[RecordedBatch]
    ) -> None:
        """One record and the marks on its batches, in one transaction."""
        ((edition, manifest_sha256, warrant_sha256),) = fetch_all(
            self._database, "SELECT edition, manifest_sha256, warrant_sha256 FROM run WHERE run_id = ?", [run_id]
        )
        now = self._clock.now()
        record = ExchangeRecord(
            bank=identity.public.fingerprint,
            run_id=run_id,
            warrant_sha256=warrant_sha256,
            dataset=dataset,
            epoch=epoch,
            edition=edition,
            manifest_sha256=manifest_sha256,
            signed_at=now,
            batches=tuple(batches),
        )
        payload = encode_record(record)
        sha256 = record_sha256(payload)
        with write_transaction(self._database):
            self._database.execute(
                "INSERT INTO exchange_record VALUES (?, ?, ?, ?, 'SIGNED', ?, ?, ?, NULL)",
                [
                    sha256,
                    run_id,
                    dataset,
                    epoch,
                    sign_envelope(identity, RECORD_TYPE, payload),
                    record.elements,
                    format_time(now),
                ],
            )
            self._database.conn.executemany(
                "UPDATE batch SET record_sha256 = ? WHERE request_id = ?",
                [(sha256, batch.request_id) for batch in batches],
            )


def verify_countersigned(envelope: bytes, sha256: str, bank: PublicIdentity, province: PublicIdentity) -> bytes:
    """The payload of the record named so, signed by exactly these two.

    Raises EnvelopeInvalid (another record, or one signature), SignerUnknown, SignatureInvalid.
    """
    signers = {party.fingerprint: party for party in (bank, province)}
    try:
        opened = open_countersigned(envelope, RECORD_TYPE, signers.get, max_bytes=MAX_RECORD_BYTES)
    except SignaturesMissing:
        raise EnvelopeInvalid("a signature is missing") from None
    if record_sha256(opened.payload) != sha256:
        raise EnvelopeInvalid("another record than the one handed in")
    return opened.payload
