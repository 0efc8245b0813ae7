"""Batches of the evaluate request: planned and sealed before they are sent, kept with their answers.

A batch belongs to an epoch's key. What it needs to be sent again byte for byte (items,
request id, the planning run's seed) is on disk before the first byte goes out, so a
retry after a break meets the sender's idempotency record and is not charged twice.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pyarrow as pa
from sqlite_utils import Database

from keys.clock import Clock, format_time
from keys.database import write_transaction
from matcher.bank.plan import BatchSize
from matcher.bank.runs import EpochForgotten, Run
from matcher.rows import fetch_all, fetch_first
from matcher.sealing import Sealer
from psi.columns import data_of, fixed
from psi.errors import MingceError
from psi.identifiers import ITEM_BYTES
from psi.transcript import BatchDigests

OUTPUT_BYTES = 64
REQUEST_ID_BYTES = 16

_SELECT_COLUMN = {
    "sealed_items": "SELECT sealed_items FROM batch WHERE request_id = ?",
    "sealed_rows": "SELECT sealed_rows FROM batch WHERE request_id = ?",
    "sealed_outputs": "SELECT sealed_outputs FROM batch WHERE request_id = ?",
}


class BatchNotPending(MingceError):
    """An answer for a batch that waits for none."""

    code = "batch_not_pending"


@dataclass(frozen=True)
class PendingBatch:
    """A batch whose answer is not stored yet. ``run_id`` planned it and holds the seed of its blinds.

    It counts to the warrant of the run that sent it last, or of the one that planned it.
    """

    request_id: str
    run_id: str
    n: int
    padded: int
    warrant_sha256: str | None


@dataclass(frozen=True, repr=False)
class AskedBatch:
    """A batch with its n items (n*18 bytes) and their row numbers in the customer file."""

    batch: PendingBatch
    items: bytes
    rows: tuple[int, ...]


@dataclass(frozen=True, repr=False)
class Answers:
    """Items asked under an epoch's key and their PRF outputs, row by row."""

    items: pa.FixedSizeBinaryArray
    outputs: pa.FixedSizeBinaryArray


class Batches:
    """The table ``batch``."""

    def __init__(self, database: Database, sealer: Sealer, clock: Clock, random_bytes: Callable[[int], bytes]) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock
        self._random_bytes = random_bytes

    def add(self, run: Run, items: pa.FixedSizeBinaryArray, rows: pa.Int64Array, sizes: Iterable[BatchSize]) -> None:
        """Store the plan of a run: ``items`` cut into batches of the given sizes, all or none of them.

        ``rows`` are the items' row numbers in the customer file, for whoever opens a position to an auditor.
        """
        start = 0
        with write_transaction(self._database):
            for no, size in enumerate(sizes, start=1):
                request_id = self._random_bytes(REQUEST_ID_BYTES).hex()
                part = data_of(items.slice(start, size.n)).to_pybytes()
                places = struct.pack(f"<{size.n}q", *rows.slice(start, size.n).to_pylist())
                self._database.table("batch").insert(
                    {
                        "request_id": request_id,
                        "run_id": run.run_id,
                        "no": no,
                        "dataset": run.dataset,
                        "epoch": run.epoch,
                        "n": size.n,
                        "padded": size.padded,
                        "state": "PENDING",
                        "sealed_items": self._sealer.seal(part, "batch", "sealed_items", request_id),
                        "sealed_rows": self._sealer.seal(places, "batch", "sealed_rows", request_id),
                        "planned_at": format_time(self._clock.now()),
                    }
                )
                start += size.n

    def count_customers(self, warrant_sha256: str) -> int:
        """How many customers were asked, or are planned to be, under a warrant: by all its runs, in every epoch."""
        found = fetch_first(
            self._database,
            "SELECT COALESCE(SUM(n), 0) FROM batch JOIN run ON run.run_id = COALESCE(batch.asked_run_id, batch.run_id)"
            " WHERE warrant_sha256 = ?",
            [warrant_sha256],
        )
        return int(found[0]) if found else 0

    def mark_sent(self, batch: PendingBatch, run_id: str) -> None:
        """A run is about to send the batch: from now on it may be charged, counts to this run's warrant, and
        waits for an exchange record that names it."""
        with write_transaction(self._database):
            self._database.execute(
                "UPDATE batch SET asked_run_id = ?, record_sha256 = NULL WHERE request_id = ? AND state = 'PENDING'",
                [run_id, batch.request_id],
            )

    def list_pending(self, dataset: str, epoch: str) -> list[PendingBatch]:
        """What is planned and not answered, in the order of planning, whichever run planned it."""
        rows = fetch_all(
            self._database,
            "SELECT request_id, batch.run_id, n, padded, warrant_sha256 FROM batch"
            " JOIN run ON run.run_id = COALESCE(batch.asked_run_id, batch.run_id)"
            " WHERE batch.dataset = ? AND batch.epoch = ? AND batch.state = 'PENDING' AND length(sealed_items) > 0"
            " ORDER BY batch.rowid",
            [dataset, epoch],
        )
        return [PendingBatch(*row) for row in rows]

    def get_items(self, batch: PendingBatch) -> bytes:
        """n*18 bytes."""
        return self._open(batch.request_id, "sealed_items")

    def get_asked(self, request_id: str) -> AskedBatch:
        """A batch with what an opening needs: its items, and where they stand in the customer file.

        Raises BatchNotPending if there is none.
        """
        row = fetch_first(
            self._database, "SELECT request_id, run_id, n, padded, NULL FROM batch WHERE request_id = ?", [request_id]
        )
        if row is None:
            raise BatchNotPending("no such batch", request_id=request_id)
        batch = PendingBatch(*row)
        rows = struct.unpack(f"<{batch.n}q", self._open(request_id, "sealed_rows"))
        return AskedBatch(batch, self.get_items(batch), rows)

    def complete(self, batch: PendingBatch, outputs: bytes, digests: BatchDigests) -> None:
        """Store n*64 bytes of verified outputs and both digests, and mark the batch DONE, in one transaction.

        Raises BatchNotPending.
        """
        sealed = self._sealer.seal(outputs, "batch", "sealed_outputs", batch.request_id)
        with write_transaction(self._database):
            cursor = self._database.execute(
                "UPDATE batch SET state = 'DONE', sealed_outputs = ?, request_sha256 = ?, answer_sha256 = ?,"
                " answered_at = ? WHERE request_id = ? AND state = 'PENDING'",
                [
                    sealed,
                    digests.request_sha256,
                    digests.answer_sha256,
                    format_time(self._clock.now()),
                    batch.request_id,
                ],
            )
            if cursor.rowcount != 1:
                raise BatchNotPending("the batch is answered already, or unknown", request_id=batch.request_id)

    def load_items(self, dataset: str, epoch: str) -> pa.FixedSizeBinaryArray:
        """Every item that stands in a batch of this epoch, answered or not; those forgotten since do not count."""
        batches = self._list_ids(dataset, epoch, ("PENDING", "DONE"))
        return fixed(b"".join(self._open(request_id, "sealed_items") for request_id in batches), ITEM_BYTES)

    def load_answers(self, dataset: str, epoch: str) -> Answers:
        """Every answered item of this epoch with its PRF output."""
        batches = self._list_ids(dataset, epoch, ("DONE",))
        items = b"".join(self._open(request_id, "sealed_items") for request_id in batches)
        outputs = b"".join(self._open(request_id, "sealed_outputs") for request_id in batches)
        return Answers(fixed(items, ITEM_BYTES), fixed(outputs, OUTPUT_BYTES))

    def list_digests(self, dataset: str, epoch: str) -> dict[str, BatchDigests]:
        """By request id, what an auditor compares with the province's record of the same batches."""
        rows = fetch_all(
            self._database,
            "SELECT request_id, request_sha256, answer_sha256 FROM batch"
            " WHERE dataset = ? AND epoch = ? AND state = 'DONE' ORDER BY rowid",
            [dataset, epoch],
        )
        return {request_id: BatchDigests(request, answer) for request_id, request, answer in rows}

    def _list_ids(self, dataset: str, epoch: str, states: tuple[str, ...]) -> list[str]:
        rows = fetch_all(
            self._database,
            "SELECT request_id, state FROM batch WHERE dataset = ? AND epoch = ?"
            " AND length(iif(state = 'DONE', sealed_outputs, sealed_items)) > 0 ORDER BY rowid",
            [dataset, epoch],
        )
        return [request_id for request_id, state in rows if state in states]

    def _open(self, request_id: str, column: str) -> bytes:
        """One batch's column; read one at a time, so that only the plaintext is in memory whole."""
        ((sealed,),) = fetch_all(self._database, _SELECT_COLUMN[column], [request_id])
        if not sealed:
            raise EpochForgotten("this part of the batch was forgotten with its epoch", request_id=request_id)
        return self._sealer.open(sealed, "batch", column, request_id)
