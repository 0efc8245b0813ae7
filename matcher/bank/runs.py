"""Match runs: what was asked for, by whom, on which legal basis, and how it went."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlite_utils import Database

from keys.clock import Clock, format_time
from keys.database import write_transaction
from matcher.bank.editions import KnownEdition
from matcher.bank.warrants import Warrant
from matcher.rows import fetch_all, fetch_first, fetch_records
from matcher.sealing import Sealer
from psi.errors import InputError, MingceError

SEED_BYTES = 32

# domain.md section 5. A run that was broken off is aborted by the next one, which takes over its pending batches.
TRANSITIONS = {
    "PROPOSED": {"AUTHORISED", "ABORTED"},
    "AUTHORISED": {"RUNNING", "ABORTED"},
    "RUNNING": {"COMPLETED", "ABORTED"},
    "COMPLETED": {"RELEASED", "ARCHIVED"},
    "RELEASED": {"ARCHIVED"},
    "ABORTED": {"ARCHIVED"},
    "ARCHIVED": set(),
}
UNFINISHED = ("PROPOSED", "AUTHORISED", "RUNNING")
FINISHED = ("COMPLETED", "RELEASED")  # their screening records are there; those of an archived run are not


class RunNotFound(InputError):
    """No run has this id."""

    code = "run_not_found"


class EpochForgotten(InputError):
    """What is asked for was forgotten with its epoch (matcher.bank.forgetting)."""

    code = "epoch_forgotten"


class RunStateInvalid(MingceError):
    """A run cannot go from its present state to the one asked for."""

    code = "run_state_invalid"


@dataclass(frozen=True)
class Run:
    """One row of ``run``; the counts are None until the run is COMPLETED.

    ``agreement_no`` and ``warrant_sha256`` are None for runs from before there were warrants,
    ``list_sha256`` where the list came from no file.
    """

    run_id: str
    state: str
    dataset: str
    epoch: str
    edition: int
    manifest_sha256: str
    label_width: int
    divisions: tuple[str, ...]
    purpose: str
    legal_basis: str
    operator: str
    list_name: str
    customers: int
    asked: int | None
    charged: int | None
    matched: int | None
    created_at: str
    agreement_no: str | None
    warrant_sha256: str | None
    list_sha256: str | None


_COLUMNS = ", ".join(Run.__dataclass_fields__)


class Runs:
    """The tables ``run`` and ``run_event``."""

    def __init__(self, database: Database, sealer: Sealer, clock: Clock) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock

    def propose(
        self,
        run_id: str,
        seed: bytes,
        edition: KnownEdition,
        divisions: Sequence[str],
        warrant: Warrant,
        *,
        operator: str,
        list_name: str,
        customers: int,
        list_sha256: str | None = None,
    ) -> Run:
        """Record a run in state PROPOSED, with the seed of its blinds. ``operator`` is who started it."""
        if not operator.strip():
            raise InputError("a run needs an operator", field="operator")
        manifest = edition.manifest
        record = {
            "run_id": run_id,
            "state": "PROPOSED",
            "dataset": manifest.dataset,
            "epoch": manifest.epoch,
            "edition": manifest.edition,
            "manifest_sha256": edition.sha256,
            "label_width": manifest.label.width,
            "divisions": json.dumps(list(divisions)),
            "purpose": warrant.terms.purpose,
            "legal_basis": warrant.terms.legal_basis,
            "agreement_no": warrant.terms.agreement_no,
            "warrant_sha256": warrant.sha256,
            "operator": operator,
            "list_name": list_name,
            "list_sha256": list_sha256,
            "sealed_seed": self._sealer.seal(seed, "run", "sealed_seed", run_id),
            "customers": customers,
            "created_at": format_time(self._clock.now()),
        }
        with write_transaction(self._database):
            self._database.table("run").insert(record)
            self._record_event(run_id, "PROPOSED", operator, "")
        return self.get(run_id)

    def get(self, run_id: str) -> Run:
        """Raises RunNotFound."""
        row = fetch_first(self._database, f"SELECT {_COLUMNS} FROM run WHERE run_id = ?", [run_id])  # noqa: S608
        if row is None:
            raise RunNotFound("no run has this id", run=run_id)
        return _run(row)

    def list_all(self) -> list[Run]:
        """Every run, the newest first."""
        rows = fetch_all(self._database, f"SELECT {_COLUMNS} FROM run ORDER BY rowid DESC")  # noqa: S608
        return [_run(row) for row in rows]

    def list_events(self, run_id: str) -> list[dict[str, Any]]:
        """state, at, operator and note of every change of state, the oldest first."""
        return fetch_records(
            self._database,
            "SELECT state, at, operator, note FROM run_event WHERE run_id = ? ORDER BY rowid",
            [run_id],
        )

    def get_seed(self, run_id: str) -> bytes:
        """The 32 secret bytes from which the blinds of the run's batches are derived. Raises EpochForgotten."""
        ((sealed,),) = fetch_all(self._database, "SELECT sealed_seed FROM run WHERE run_id = ?", [run_id])
        if not sealed:
            raise EpochForgotten("the run's seed was forgotten with its epoch", run=run_id)
        return self._sealer.open(sealed, "run", "sealed_seed", run_id)

    def change_state(self, run_id: str, state: str, operator: str, note: str = "") -> None:
        """Move a run along TRANSITIONS. Raises RunNotFound, RunStateInvalid."""
        with write_transaction(self._database):
            self._change_state(run_id, state, operator, note)

    def complete(self, run_id: str, operator: str, *, asked: int, charged: int, matched: int) -> None:
        """RUNNING to COMPLETED, with the counts, in one transaction."""
        with write_transaction(self._database):
            self._change_state(run_id, "COMPLETED", operator, "")
            self._database.execute(
                "UPDATE run SET asked = ?, charged = ?, matched = ? WHERE run_id = ?", [asked, charged, matched, run_id]
            )

    def list_finished(self, dataset: str) -> list[Run]:
        """The runs over one dataset whose screening records are there, the newest first."""
        return [run for run in self.list_all() if run.dataset == dataset and run.state in FINISHED]

    def require_finished(self, run_id: str) -> Run:
        """The run, if its screening records are complete. Raises RunNotFound, RunStateInvalid."""
        run = self.get(run_id)
        if run.state not in FINISHED:
            raise RunStateInvalid("the run is not completed", run=run_id, present=run.state, wanted="COMPLETED")
        return run

    def release(self, run_id: str, operator: str, note: str) -> None:
        """Record that results left the bank; ``note`` says where to. May be done more than once."""
        with write_transaction(self._database):
            if self.require_finished(run_id).state == "COMPLETED":
                self._change_state(run_id, "RELEASED", operator, note)
            else:
                self._record_event(run_id, "RELEASED", operator, note)

    def abort_unfinished(self, operator: str) -> list[str]:
        """Abort what a killed process left behind; returns the run ids. The caller holds the store's lock."""
        left = [run.run_id for run in self.list_all() if run.state in UNFINISHED]
        for run_id in left:
            self.change_state(run_id, "ABORTED", operator, "interrupted")
        return left

    def archive_within(self, run_id: str, operator: str) -> None:
        """To ARCHIVED, in a transaction that the caller has begun. Raises RunNotFound, RunStateInvalid."""
        self._change_state(run_id, "ARCHIVED", operator, "screening records removed")

    def _change_state(self, run_id: str, state: str, operator: str, note: str) -> None:
        present = self.get(run_id).state
        if state not in TRANSITIONS[present]:
            raise RunStateInvalid("the run is in another state", run=run_id, present=present, wanted=state)
        self._database.execute("UPDATE run SET state = ? WHERE run_id = ?", [state, run_id])
        self._record_event(run_id, state, operator, note)

    def _record_event(self, run_id: str, state: str, operator: str, note: str) -> None:
        at = format_time(self._clock.now())
        self._database.execute("INSERT INTO run_event VALUES (?, ?, ?, ?, ?)", [run_id, state, at, operator, note])


def _run(row: Sequence[object]) -> Run:
    values = dict(zip(Run.__dataclass_fields__, row, strict=True))
    values["divisions"] = tuple(json.loads(str(values["divisions"])))
    return Run(**values)  # type: ignore[arg-type]
