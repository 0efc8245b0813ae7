"""The bank's store: one SQLite file and a folder of slices, explained in docs/reference/bank-store.md.

The store is used by one process at a time (:meth:`BankStore.lock`) and from one thread.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from sqlite_utils import Database

from keys.clock import Clock
from keys.database import erase_traces, open_database, write_transaction
from keys.files import exclusive_lock, make_folder
from keys.identity import PublicIdentity
from keys.operators import Operators
from matcher.alarms import Alarm, Alarms
from matcher.bank.batches import Batches
from matcher.bank.editions import Editions, KnownEdition
from matcher.bank.fingerprints import Views
from matcher.bank.forgetting import Forgetting, Forgotten
from matcher.bank.migrations import BANK_MIGRATIONS
from matcher.bank.openings import Openings, StoredOpening, list_openings
from matcher.bank.records import Records
from matcher.bank.runs import Run, Runs
from matcher.bank.screening import Screenings
from matcher.bank.told import ToldBudgets
from matcher.bank.warrants import Warrants
from matcher.rows import fetch_records
from matcher.schemas import KUOZHONG, ListSchema
from matcher.sealing import Sealer
from matcher.slices import open_slice
from psi.edition import Manifest, Slice, SliceEntry
from psi.lookup import Overlay

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
        self,
        home: Path,
        secret: bytes,
        clock: Clock,
        random_bytes: Callable[[int], bytes] = os.urandom,
        *,
        name: str = "bank",
        schema: ListSchema = KUOZHONG,
    ) -> None:
        """``name`` is that of its files, ``schema`` the one that the labels must have: a bureau, too, keeps such
        a store in a folder for each department's dataset that it checks against.
        """
        self._home = home
        self._lock = home / f"{name}.lock"
        self._clock = clock
        self._database: Database = open_database(home / f"{name}.sqlite", BANK_MIGRATIONS)
        self.random_bytes = random_bytes
        sealer = Sealer(secret, name, random_bytes)
        self.editions = Editions(self._database, clock, schema)
        self.runs = Runs(self._database, sealer, clock)
        self.batches = Batches(self._database, sealer, clock, random_bytes)
        self.alarms = Alarms(self._database, clock)
        self.records = Records(self._database, clock, self.alarms)
        self.screenings = Screenings(self._database, sealer)
        self.forgetting = Forgetting(self._database, clock)
        self.views = Views(self._database)
        self.told = ToldBudgets(self._database, clock)

    def close(self) -> None:
        self._database.close()

    def openings(self, operators: Operators) -> Openings:
        """The audits of this bank, to be approved by the operators of its home."""
        return Openings(self._database, self._clock, self.records, operators)

    def list_openings(self) -> list[StoredOpening]:
        """The audits of this bank, for showing: the newest first."""
        return list_openings(self._database)

    def now(self) -> datetime:
        return self._clock.now()

    def lock(self) -> AbstractContextManager[None]:
        """Held by whoever matches. Raises Locked at once if another process does."""
        return exclusive_lock(self._lock)

    def warrants(self, operators: Operators, bank: PublicIdentity) -> Warrants:
        """The bank's warrants, to be signed and verified with the operators of its home."""
        return Warrants(self._database, self._clock, operators, bank.fingerprint)

    def slice_path(self, entry: SliceEntry) -> Path:
        """Where a slice's bytes belong: named by their hash, so that editions share unchanged slices."""
        return make_folder(self._home / "slices") / f"{entry.sha256}.arrow"

    def open_divisions(self, edition: KnownEdition, divisions: Sequence[str]) -> list[Slice | Overlay]:
        """What an adopted edition says of some divisions: mapped slices, a delta's over its base's.

        Raises SliceInvalid.
        """

        def open_one(manifest: Manifest, division: str) -> Slice:
            entry = manifest.get_slice(division)
            return open_slice(self.slice_path(entry), entry, manifest.label.width)

        if edition.base is None:
            return [open_one(edition.manifest, division) for division in divisions]
        return [
            Overlay(open_one(edition.base.manifest, division), open_one(edition.manifest, division))
            for division in divisions
        ]

    def remove_unused_slices(self) -> None:
        """Delete slices, whole or partly downloaded, that no current edition uses."""
        in_use = {f"{sha256}.arrow" for sha256 in self.editions.list_slices_in_use()}
        for path in (self._home / "slices").glob("*.arrow*"):
            if path.name not in in_use:
                path.unlink()

    def iterate_records(self, run_id: str, *, matched_only: bool = False) -> Iterator[pa.RecordBatch]:
        """The screening records of a finished run, in the order of its list: batches of screening_schema.

        Raises RunNotFound, RunStateInvalid (not completed), SealedDataDamaged.
        """
        self.runs.require_finished(run_id)
        return self.screenings.iterate(run_id, matched_only=matched_only)

    def archive_old_runs(self, keep: int, operator: str) -> int:
        """Remove the screening records of all but the newest ``keep`` finished runs of each dataset; how many runs.

        What was asked and answered stays: batches, seeds, digests and counts. The caller holds the lock.
        """
        runs = self.runs.list_all()
        old = [
            run for dataset in sorted({run.dataset for run in runs}) for run in self.runs.list_finished(dataset)[keep:]
        ]
        with write_transaction(self._database):
            for run in old:
                self.runs.archive_within(run.run_id, operator)
                self.screenings.remove_within(run.run_id)
            for run in runs:
                if run.state == "ABORTED":  # what it had stored before it broke off
                    self.screenings.remove_within(run.run_id)
        return len(old)

    def forget_epoch(
        self, dataset: str, epoch: str, operator: str, *, openings: bool = False, early: bool = False
    ) -> Forgotten:
        """Forget what an epoch's key opened, slices included, and clear the file of it. The caller holds the lock.

        ``openings`` forgets what an auditor would need, too; ``early`` allows it before the epoch is over.
        Raises EpochUnseen, EpochStillValid, RecordsUnsettled.
        """
        forgotten = self.forgetting.forget(dataset, epoch, operator, openings=openings, early=early)
        self.remove_unused_slices()
        return replace(forgotten, is_shredded=erase_traces(self._database))

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
