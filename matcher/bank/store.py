"""The bank's store: one SQLite file and a folder of slices, explained in docs/reference/bank-store.md.

The store is used by one process at a time (:meth:`BankStore.lock`) and from one thread.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from sqlite_utils import Database

from keys.clock import Clock
from keys.database import open_database
from keys.files import exclusive_lock, make_folder
from matcher.alarms import Alarm, Alarms
from matcher.bank.batches import Batches
from matcher.bank.editions import Editions
from matcher.bank.migrations import BANK_MIGRATIONS
from matcher.bank.runs import Run, Runs
from matcher.bank.screening import Screenings
from matcher.rows import fetch_records
from matcher.sealing import Sealer
from psi.edition import SliceEntry

FILE_NAME = "bank.sqlite"
STORE_SECRET = "bank-store"  # noqa: S105 (the name under which keys.KeyStore keeps it)


@dataclass(frozen=True)
class Status:
    """What ``mingce bank status`` shows. Red as long as an alarm waits to be acknowledged."""

    is_red: bool
    alarms: list[Alarm]  # those not acknowledged, the oldest first
    runs: list[Run]  # the newest first
    editions: list[dict[str, Any]]  # dataset, epoch, edition, fingerprint, adopted_at of the current ones
    asked: list[dict[str, Any]]  # dataset, epoch, items, elements, pending batches


class BankStore:
    """Everything the bank keeps. Its parts are the tables' own classes."""

    def __init__(
        self, home: Path, secret: bytes, clock: Clock, random_bytes: Callable[[int], bytes] = os.urandom
    ) -> None:
        self._home = home
        self._database: Database = open_database(home / FILE_NAME, BANK_MIGRATIONS)
        self.random_bytes = random_bytes
        sealer = Sealer(secret, "bank", random_bytes)
        self.editions = Editions(self._database, clock)
        self.runs = Runs(self._database, sealer, clock)
        self.batches = Batches(self._database, sealer, clock, random_bytes)
        self.alarms = Alarms(self._database, clock)
        self.screenings = Screenings(self._database, sealer)

    def close(self) -> None:
        self._database.close()

    def lock(self) -> AbstractContextManager[None]:
        """Held by whoever matches. Raises Locked at once if another process does."""
        return exclusive_lock(self._home / "bank.lock")

    def slice_path(self, entry: SliceEntry) -> Path:
        """Where a slice's bytes belong: named by their hash, so that editions share unchanged slices."""
        return make_folder(self._home / "slices") / f"{entry.sha256}.arrow"

    def remove_unused_slices(self) -> None:
        """Delete slices, whole or partly downloaded, that no current edition uses."""
        in_use = {f"{sha256}.arrow" for sha256 in self.editions.list_slices_in_use()}
        for path in (self._home / "slices").glob("*.arrow*"):
            if path.name not in in_use:
                path.unlink()

    def iterate_records(self, run_id: str, *, matched_only: bool = False) -> Iterator[pa.RecordBatch]:
        """The screening records of a finished run, in the order of its list: batches of SCREENING_SCHEMA.

        Raises RunNotFound, RunStateInvalid (not completed), SealedDataDamaged.
        """
        self.runs.require_finished(run_id)
        return self.screenings.iterate(run_id, matched_only=matched_only)

    def get_status(self) -> Status:
        waiting = self.alarms.list_waiting()
        editions = fetch_records(
            self._database,
            "SELECT dataset, epoch, MAX(edition) AS edition, fingerprint, adopted_at"
            " FROM edition JOIN epoch_pin USING (dataset, epoch) WHERE adopted_at IS NOT NULL"
            " GROUP BY dataset, epoch ORDER BY adopted_at",
        )
        asked = fetch_records(
            self._database,
            "SELECT dataset, epoch, SUM(n) AS items, SUM(padded) AS elements, SUM(state = 'PENDING') AS pending_batches"
            " FROM batch GROUP BY dataset, epoch ORDER BY MIN(rowid)",
        )
        return Status(bool(waiting), waiting, self.runs.list_all(), editions, asked)
