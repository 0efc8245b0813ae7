"""Doing on Spark, ahead of a refresh, all that the refresh would do with the rows: reading, checking and encoding.

Guards, canaries, slices, signature and publication stay with the refresh (matcher.province.publisher), which takes up
what lies in the staging folder as it takes up its own work after a break. So whatever breaks here, nothing is half
published, and whoever starts again, here or on one machine, goes on from where this ended.
"""

from __future__ import annotations

import json
import secrets
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from keys.clock import Clock
from keys.files import make_folder
from keys.keystore import KeyStore
from matcher.province.batches import Batches
from matcher.province.canaries import Canaries
from matcher.province.editions import Edition, EditionFolders, Source
from matcher.province.ledger import Ledger
from matcher.province.making import EditionMaker, Kind, encoded_schemas, work_key
from matcher.province.parts import MAX_PARTS
from matcher.province.plan import DatasetPlan, ListShrunk, Observer
from matcher.province.rows import first_names, write_part
from matcher.province.staging import STAGING_SECRET, About, StagedList, Staging, find_list, list_key
from matcher.province.standing import Standing
from matcher.rejects import Reject
from matcher.spark import tasks
from matcher.spark.keydesk import KeyDesk
from matcher.spark.session import run, run_and_shuffle
from matcher.tables.cutting import CutFile, cut_file
from psi.encoding import BaseRows
from psi.errors import InputError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PART_ROWS = 131_072
PIECE_BYTES = 16 << 20  # of CSV
NO_ROWS = BaseRows(b"", b"", pa.array([], pa.uint32()))


class SparkAhead:
    """The work on one province's home, with the home's lock held. Raises Locked."""

    def __init__(
        self,
        session: SparkSession,
        home: Path,
        keystore: KeyStore,
        ledger: Ledger,
        clock: Clock,
        *,
        part_rows: int = PART_ROWS,
        piece_bytes: int = PIECE_BYTES,
    ) -> None:
        self._session = session
        self._keys = keystore
        self._ledger = ledger
        self._part_rows = part_rows
        self._piece_bytes = piece_bytes
        self._staging = Staging(home, lambda: keystore.get_store_secret(STAGING_SECRET))
        folders = EditionFolders(home, keystore.get_identity().public)
        self._standing = Standing(home, ledger, folders)
        self._maker = EditionMaker(keystore, folders, clock, threads=0)
        self._canaries = Canaries(home, keystore, ledger, clock, secrets.token_bytes)

    def prepare(
        self, plan: DatasetPlan, source: Path, observer: Observer, *, actor: str, accept_shrink: bool, full: bool
    ) -> None:
        """Leave in staging what a refresh from ``source`` would have done, but for putting it together.

        Raises as Publisher.refresh does, SparkFailed, KeysRefused.
        """
        with self._standing.exclusive():
            self._standing.require_label(plan)
            current = self._standing.current(plan)
            observer.step("look")
            cut = cut_file(source, tasks.mapping_of(plan), self._piece_bytes)
            if current is not None and not full and cut.sha256 in (current.source.sha256, *current.source.withdrawn):
                return  # nothing to do, or not to be done: the refresh will say which
            with KeyDesk(*self._addresses()) as desk:
                job = self._job(plan, source, cut, desk)
                staged = self._read(job, desk, observer)
                job = replace(job, parts=staged.parts)  # of a list that was read before
                staged = self._canaries.join(plan, staged, self._maker.reference_key(plan), dry_run=True)
                tally = self._maker.compare(plan, staged, current, observer)
                kind = self._maker.choose_kind(plan, staged, current, tally, accept_shrink=accept_shrink, full=full)
                if tally.changes:
                    self._encode(job, desk, staged, current, kind, observer, actor)

    def _addresses(self) -> tuple[str, str]:
        """Where the desk listens, and the name by which executors reach this host: Spark's own for its driver."""
        settings = self._session.sparkContext.getConf()
        host = str(settings.get("spark.driver.host"))
        return str(settings.get("spark.driver.bindAddress", host)), host

    def _job(self, plan: DatasetPlan, source: Path, cut: CutFile, desk: KeyDesk) -> tasks.Job:
        parts = min(max(-(-cut.lines // self._part_rows), 1), MAX_PARTS)
        folder = self._staging.job(plan)
        return tasks.Job(plan, str(source), cut, str(folder), list_key(plan, cut.sha256), parts, desk.address)

    # Reading

    def _read(self, job: tasks.Job, desk: KeyDesk, observer: Observer) -> StagedList:
        sealer, reference_key = self._staging.sealer(job.plan), self._maker.reference_key(job.plan)
        found = find_list(job.list_folder, sealer, reference_key, job.key)
        if found is not None:
            return found
        observer.step("read", job.cut.lines)
        shutil.rmtree(job.list_folder, ignore_errors=True)
        make_folder(job.list_folder)
        with desk.handing_out(tasks.READ, {**self._staging_key(), "references": tasks.as_text(reference_key)}):
            notes = run_and_shuffle(
                self._session,
                len(job.cut.pieces),
                partial(tasks.read_pieces, job),
                tasks.PIECE_SCHEMA,
                job.parts + 1,
                partial(tasks.settle_parts, job),
                tasks.NOTE_SCHEMA,
            )
        about = _about(job, [json.loads(note) for note in notes])
        for part in (part for part, rows in enumerate(about.part_rows) if not rows):
            write_part(job.list_folder, sealer, job.key, part, NO_ROWS, about.label_width)
        staged = StagedList(job.list_folder, about, sealer)
        if not len(staged):
            raise ListShrunk("the list is empty", rows=0, removed_share=1.0, limit=job.plan.shrink_limit)
        staged.save()
        return staged

    # Encoding

    def _encode(
        self,
        job: tasks.Job,
        desk: KeyDesk,
        staged: StagedList,
        current: Edition | None,
        kind: Kind,
        observer: Observer,
        actor: str,
    ) -> None:
        observer.step("encode", len(staged))
        work = work_key(staged, current, kind)
        batches = Batches(job.batches_folder, work, job.parts, encoded_schemas(job.plan))
        missing = [part for part in range(job.parts) if not batches.is_done(part)]
        if current is not None:
            self._lay_out_remembered(job, staged, current, kind)
        extra = {str(part): tasks.rows_as_text(rows) for part, rows in staged.extra.items()}
        if not missing:
            return
        keys = tasks.keys_as_text(self._maker.encoding_keys(job.plan, staged))
        encoding = tasks.Encoding(work, kind, tuple(missing), remembered=current is not None)
        record = partial(self._record, job.plan, actor)
        with desk.handing_out(tasks.ENCODE, {**self._staging_key(), **keys, "extra": extra}, record):
            run(self._session, len(missing), partial(tasks.encode_parts, job, encoding), tasks.NOTE_SCHEMA)

    def _lay_out_remembered(self, job: tasks.Job, staged: StagedList, current: Edition, kind: Kind) -> None:
        """The home is not for executors: what is remembered of the rows reaches them through staging."""
        make_folder(job.remembered_folder)
        remembered = staged.open_remembered(current, full=kind == "full")
        for part in range(job.parts):
            tasks.write_remembered(job.remembered_folder, part, remembered.read(part))

    def _staging_key(self) -> dict[str, str]:
        return {"staging": tasks.as_text(self._keys.get_store_secret(STAGING_SECRET))}

    def _record(self, plan: DatasetPlan, actor: str, host: str) -> None:
        """Who is about to be given the epoch's key: whatever becomes of this process then, it stands in the audit."""
        self._ledger.record_act(actor, "hand_out_epoch_key", plan.dataset, epoch=plan.epoch, worker=host)


def _about(job: tasks.Job, notes: list[dict[str, Any]]) -> About:
    pieces = sorted((note for note in notes if "piece" in note), key=lambda note: note["piece"])
    for piece in pieces:
        if piece["fault"]:
            raise _listed_fault(piece["fault"])
    sheets = next((piece["sheets"] for piece in pieces if piece["sheets"]), [""])
    parts = {note["part"]: note for note in notes if "part" in note}
    repeated = [
        Reject(*reject)._replace(sheet=sheets[int(reject[3])])
        for number in sorted(parts)
        for reject in parts[number]["repeated"]
    ]
    rejects = [Reject(*reject) for piece in pieces for reject in piece["rejects"]]
    if repeated:
        rejects = sorted(rejects + repeated, key=lambda reject: (sheets.index(reject.sheet), reject.row))
    names: dict[tuple[str, str], int] = {}
    divisions: dict[int, int] = {}
    for note in parts.values():
        for code, name, place in note["names"]:
            names[code, name] = min(place, names.get((code, name), place))
        for division, rows in note["divisions"].items():
            divisions[int(division)] = divisions.get(int(division), 0) + rows
    part_rows = [parts[number]["rows"] if number in parts else 0 for number in range(job.parts)]
    source = Source(job.cut.sha256, sum(part_rows), len(rejects), divisions=divisions)
    return About(job.key, job.plan.label.width, first_names(names), source, part_rows, divisions, rejects)


def _listed_fault(fault: dict[str, Any]) -> InputError:
    """What reading the list raised on an executor."""
    kind = type("ListFault", (InputError,), {"code": fault["code"]})
    error: InputError = kind(fault["detail"], **fault["params"])
    return error
