"""The bank's side of an epoch's end: what it learned under the epoch's key is forgotten for good.

The PRF outputs are the bank's keys to the labels of the epoch's editions; once an epoch is over and its
results are exported they serve no purpose. Items, row numbers and seeds stay as long as an auditor may ask
to open a batch, unless they are to be forgotten too. Counts, digests, signed records and the accepted
manifests always stay: they are evidence, and say nothing about a person.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

from sqlite_utils import Database

from keys.clock import Clock, format_time, parse_time
from keys.database import write_transaction
from matcher.rows import fetch_all, fetch_first, fetch_records
from psi.errors import InputError, MingceError


class EpochUnseen(InputError):
    """This bank knows nothing of such an epoch."""

    code = "epoch_unseen"


class EpochStillValid(MingceError):
    """The epoch is not over: forgetting now means asking, and paying, for every customer again. Params: not_after."""

    code = "epoch_still_valid"


class RecordsUnsettled(MingceError):
    """Some batches of the epoch have no exchange record that the province signed; params: ``batches``."""

    code = "records_unsettled"


@dataclass(frozen=True)
class Forgotten:
    """What is forgotten, or would be: batches and customers with an output; batches that could be opened to an auditor.

    ``is_shredded``: False as long as another process keeps traces in the file; then forget once more.
    """

    dataset: str
    epoch: str
    batches: int
    customers: int
    openings: int
    is_shredded: bool = True


class Forgetting:
    """The sealed columns of ``batch`` and ``run``, and the table ``forgotten_epoch``."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def preview(self, dataset: str, epoch: str, *, openings: bool = False, early: bool = False) -> Forgotten:
        """What :meth:`forget` would forget. Raises EpochUnseen, EpochStillValid, RecordsUnsettled."""
        self._refuse_valid(dataset, epoch, early)
        if openings:
            self._refuse_unsettled(dataset, epoch)
        answered, customers, openable = fetch_all(
            self._database,
            "SELECT COALESCE(SUM(length(sealed_outputs) > 0), 0),"
            " COALESCE(SUM(iif(length(sealed_outputs) > 0, n, 0)), 0), COALESCE(SUM(length(sealed_items) > 0), 0)"
            " FROM batch WHERE dataset = ? AND epoch = ?",
            [dataset, epoch],
        )[0]
        return Forgotten(dataset, epoch, answered, customers, openable if openings else 0)

    def forget(
        self, dataset: str, epoch: str, operator: str, *, openings: bool = False, early: bool = False
    ) -> Forgotten:
        """Empty the sealed columns in one transaction, and note who did it. Again it changes nothing.

        The caller clears the file afterwards (keys.database.erase_traces). Raises like preview.
        """
        with write_transaction(self._database):
            forgotten = self.preview(dataset, epoch, openings=openings, early=early)
            place = [dataset, epoch]
            for statement in _OUTPUTS + (_OPENINGS if openings else ()):
                self._database.execute(statement, place)
            if forgotten.batches or forgotten.openings:
                at = format_time(self._clock.now())
                row = [*place, at, operator, forgotten.batches, forgotten.customers, forgotten.openings]
                self._database.execute(
                    "INSERT INTO forgotten_epoch (dataset, epoch, at, operator, batches, customers, openings)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?)",
                    row,
                )
        return forgotten

    def list_all(self) -> list[dict[str, Any]]:
        """dataset, epoch, at, operator, batches, customers, openings; the oldest first."""
        return fetch_records(
            self._database,
            "SELECT dataset, epoch, at, operator, batches, customers, openings FROM forgotten_epoch ORDER BY number",
        )

    def _refuse_valid(self, dataset: str, epoch: str, early: bool) -> None:
        row = fetch_first(
            self._database,
            "SELECT envelope FROM edition WHERE dataset = ? AND epoch = ? ORDER BY edition DESC LIMIT 1",
            [dataset, epoch],
        )
        if row is None:
            raise EpochUnseen("no edition of this epoch was ever accepted", dataset=dataset, epoch=epoch)
        not_after = json.loads(base64.b64decode(json.loads(row[0])["payload"]))["not_after"]
        if not early and self._clock.now() <= parse_time(not_after):
            raise EpochStillValid("the epoch is not over", dataset=dataset, epoch=epoch, not_after=not_after)

    def _refuse_unsettled(self, dataset: str, epoch: str) -> None:
        ((batches,),) = fetch_all(
            self._database,
            "SELECT COUNT(*) FROM batch LEFT JOIN exchange_record ON exchange_record.sha256 = batch.record_sha256"
            " WHERE batch.dataset = ? AND batch.epoch = ? AND asked_run_id IS NOT NULL"
            " AND (record_sha256 IS NULL OR exchange_record.state = 'SIGNED')",
            [dataset, epoch],
        )
        if batches:
            raise RecordsUnsettled("batches without a settled exchange record", batches=batches, epoch=epoch)


# What is forgotten becomes empty rather than absent: a batch that is DONE has an output, if only of no bytes.
_OUTPUTS = (
    "UPDATE batch SET sealed_outputs = x'' WHERE dataset = ? AND epoch = ? AND state = 'DONE'",
    "UPDATE edition SET slices = '[]' WHERE dataset = ? AND epoch = ? AND slices IS NOT NULL",
)
_OPENINGS = (
    "UPDATE batch SET sealed_items = x'', sealed_rows = NULL WHERE dataset = ? AND epoch = ?",
    "UPDATE run SET sealed_seed = x'' WHERE dataset = ? AND epoch = ?",
)
