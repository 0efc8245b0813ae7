"""What executors do: read a piece of the list, settle a part of it, encode a part. Nothing here knows of Spark.

Each task takes numbers and gives notes; the rows go from one to the next in sealed pieces, through Spark's shuffle,
and end in files of the staging folder, which driver and executors see at the same place. A file is written under a
name of the attempt's own and renamed, so that two attempts at one task, of which one was thought dead, do no harm.
"""

from __future__ import annotations

import hmac
import json
import os
import shutil
import socket
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, cast
from uuid import uuid4

import pyarrow as pa

from keys.files import BUILDING, FOLDER_MODE, write_atomic
from matcher.columns import ColumnMapping, list_columns
from matcher.province.batches import Batches
from matcher.province.making import Kind, encode_part, encoded_schemas
from matcher.province.parts import cut_sorted, part_starts
from matcher.province.plan import DatasetPlan
from matcher.province.rows import count_divisions, join_rows, read_part, rows_of_table, write_part
from matcher.province.spill import pack, unpack
from matcher.province.staging import staging_sealer
from matcher.sealing import Sealer
from matcher.spark.keydesk import DeskAddress, ask_for_keys
from matcher.tables.checks import check_labels
from matcher.tables.cutting import CutFile, read_piece
from matcher.tables.lists import Sifted, drop_duplicates, sift_batches
from psi.columns import data_of, pc, required_schema, sorted_positions
from psi.encoding import BaseRows, EncodingKeys
from psi.errors import MingceError
from psi.oprf import SecretKey
from psi.remembered import STATE_SCHEMA, Remembered, row_references

PIECE_SCHEMA = required_schema({"part": pa.int32(), "place": pa.int64(), "piece": pa.binary()})
NOTE_SCHEMA = required_schema({"note": pa.string()})
RUN_ROWS = 262_144  # read before they are ordered and cut
READ, ENCODE = "read", "encode"  # the steps for which the desk hands out keys
_RUNS = 1 << 20  # of one piece, at the most

Batch: TypeAlias = "pa.RecordBatch"


@dataclass(frozen=True)
class Job:
    """What every task is told. ``key`` names the staged list, ``parts`` is their number, ``desk`` has the keys."""

    plan: DatasetPlan
    source: str
    cut: CutFile
    folder: str
    key: str
    parts: int
    desk: DeskAddress

    @property
    def list_folder(self) -> Path:
        return Path(self.folder) / "list"

    @property
    def remembered_folder(self) -> Path:
        return Path(self.folder) / "remembered"

    @property
    def batches_folder(self) -> Path:
        return Path(self.folder) / "batches"


@dataclass(frozen=True)
class Encoding:
    """What encoding is told besides: whose ``work`` it is, which ``parts``, and whether rows are ``remembered``."""

    work: str
    kind: Kind
    parts: tuple[int, ...]
    remembered: bool


class TaskFailed(Exception):
    """Says where and what kind of failure it was, and nothing of the rows."""


def read_pieces(job: Job, numbers: Iterable[Batch]) -> Iterator[Batch]:
    """Numbers of the file's pieces -> PIECE_SCHEMA: by part, sealed good rows; for part ``job.parts``, a note."""
    with _told_plainly():
        for number in _numbers(numbers):
            yield from _read_piece(job, number)


def settle_parts(job: Job, pieces: Iterable[Batch]) -> Iterator[Batch]:
    """One part's pieces -> NOTE_SCHEMA, after one row for every number was sealed into the staging folder."""
    with _told_plainly():
        found = [row for batch in pieces for row in batch.to_pylist()]
        notes = [row["piece"].decode() for row in found if row["part"] == job.parts]
        for part in {row["part"] for row in found} - {job.parts}:
            places = {row["place"]: row["piece"] for row in found if row["part"] == part}
            notes.append(json.dumps(_settle(job, part, places), ensure_ascii=False))
        yield pa.record_batch([pa.array(notes, pa.string())], schema=NOTE_SCHEMA)


def encode_parts(job: Job, encoding: Encoding, numbers: Iterable[Batch]) -> Iterator[Batch]:
    """Places in ``encoding.parts`` -> NOTE_SCHEMA, after their encoded rows were put into the staging folder."""
    with _told_plainly():
        for number in _numbers(numbers):
            part = encoding.parts[number]
            _encode(job, encoding, part)
            yield pa.record_batch([pa.array([json.dumps({"part": part})])], schema=NOTE_SCHEMA)


def _read_piece(job: Job, number: int) -> Iterator[Batch]:
    keys = ask_for_keys(job.desk, READ)
    secret, reference_key = _bytes(keys, "staging"), _bytes(keys, "references")
    sifted, fault, run = Sifted(), {}, 0
    batches = read_piece(Path(job.source), mapping_of(job.plan), job.cut, number)
    good = sift_batches(batches, check_labels(job.plan.schema), sifted)
    try:
        for run, table in enumerate(_gather(pa.table(batch) for batch in good)):
            place = number * _RUNS + run
            yield from _cut(job, table, place, secret, reference_key)
    except MingceError as error:  # the list is at fault: trying again would not mend it
        fault = {"code": error.code, "detail": error.detail, "params": {k: str(v) for k, v in error.params.items()}}
    note = {"piece": number, "sheets": sifted.sheets, "rejects": sifted.rejects, "fault": fault}
    yield _piece(job.parts, number, json.dumps(note, ensure_ascii=False).encode())


def _gather(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    waiting: list[pa.Table] = []
    rows = 0
    for table in tables:
        waiting.append(table)
        rows += table.num_rows
        if rows >= RUN_ROWS:
            yield pa.concat_tables(waiting).combine_chunks()
            waiting, rows = [], 0
    if waiting:
        yield pa.concat_tables(waiting).combine_chunks()


def _cut(job: Job, table: pa.Table, place: int, secret: bytes, reference_key: bytes) -> Iterator[Batch]:
    """As matcher.province.spill cuts a run: ordered by reference, equal items in the file's order."""
    references = row_references(reference_key, data_of(table["item"]))
    order = sorted_positions(references)
    table = table.take(order).combine_chunks()
    ranges = cut_sorted(data_of(references.take(order)).to_pybytes(), part_starts(job.parts))
    for part, (start, stop) in enumerate(ranges):
        if stop > start:
            yield _piece(part, place, _seal(job, pack(table.slice(start, stop - start)), place, part, secret))


def _seal(job: Job, content: bytes, place: int, part: int, secret: bytes) -> bytes:
    """The same bytes whenever the same piece is sealed: Spark gives a job up whose tasks, tried again, differ.

    The nonce is a keyed digest of the content and its place, so none is used for two contents.
    """
    nonce = hmac.digest(secret, f"mingce/1 piece\x00{place}\x00{part}\x00".encode() + content, "sha256")
    sealer = staging_sealer(secret, job.plan, lambda length: nonce[:length])
    return sealer.seal(content, "pieces", str(place), str(part))


def _settle(job: Job, part: int, pieces: dict[int, bytes]) -> dict[str, Any]:
    sealer = _sealer(job, ask_for_keys(job.desk, READ))
    tables = [unpack(sealer.open(pieces[place], "pieces", str(place), str(part))) for place in sorted(pieces)]
    table = pa.concat_tables(tables).combine_chunks()
    del tables
    sheets = [str(number) for number in range(1 + pc.max(table["sheet"]).as_py())]  # the driver knows their names
    table, repeated = drop_duplicates(table, job.plan.duplicates, sheets)
    names: dict[tuple[str, str], int] = {}
    divisions: dict[int, int] = {}
    rows = rows_of_table(job.plan, table, names)
    count_divisions(divisions, rows)
    with _own_folder(job.list_folder) as own:
        write_part(own, sealer, job.key, part, rows, job.plan.label.width)
    listed = [(*pair, place) for pair, place in names.items()]
    return {"part": part, "rows": len(rows), "divisions": divisions, "names": listed, "repeated": repeated}


def _encode(job: Job, encoding: Encoding, part: int) -> None:
    keys = ask_for_keys(job.desk, ENCODE)
    rows = read_part(job.list_folder, _sealer(job, keys), job.key, part)
    extra = keys["extra"]
    if isinstance(extra, dict) and str(part) in extra:
        rows = join_rows(rows, rows_from_text(extra[str(part)]))
    before = _remembered(job, part) if encoding.remembered else Remembered(*2 * [STATE_SCHEMA.empty_table()])
    encoded = encode_part(job.plan, rows, before, before, _encoding_keys(keys), encoding.kind, threads=1)
    with _own_folder(job.batches_folder) as own:
        Batches(own, encoding.work, job.parts, encoded_schemas(job.plan)).write(part, encoded)
        (own / "key").unlink()


def keys_as_text(keys: EncodingKeys) -> dict[str, Any]:
    """For the desk to hand out; the inverse is with the tasks."""
    receipts = {str(division): as_text(key) for division, key in keys.receipt_keys.items()}
    own = {"references": as_text(keys.reference_key), "digests": as_text(keys.digest_key)}
    return {**own, "key": as_text(keys.key.expose_bytes()), "receipts": receipts}


def rows_as_text(rows: BaseRows) -> list[str]:
    """A few rows, to go with the keys."""
    return [as_text(bytes(rows.items)), as_text(bytes(rows.labels)), as_text(data_of(rows.slices).to_pybytes())]


def rows_from_text(text: list[str]) -> BaseRows:
    """The inverse."""
    items, labels, slices = map(b64decode, text)
    column = pa.Array.from_buffers(pa.uint32(), len(slices) // 4, [None, pa.py_buffer(slices)])
    return BaseRows(items, labels, column)


def _encoding_keys(keys: dict[str, Any]) -> EncodingKeys:
    return EncodingKeys(
        key=SecretKey.from_bytes(_bytes(keys, "key")),
        reference_key=_bytes(keys, "references"),
        digest_key=_bytes(keys, "digests"),
        receipt_keys={int(division): b64decode(key) for division, key in keys["receipts"].items()},
    )


def write_remembered(folder: Path, part: int, remembered: Remembered) -> None:
    """What is remembered of a part's rows, for the task that encodes it."""
    for kind in ("base", "changed"):
        write_atomic(folder / f"{part}-{kind}", pack(getattr(remembered, kind)))


def _remembered(job: Job, part: int) -> Remembered:
    return Remembered(
        *(unpack((job.remembered_folder / f"{part}-{kind}").read_bytes()) for kind in ("base", "changed"))
    )


def mapping_of(plan: DatasetPlan) -> ColumnMapping:
    """The columns that a list of this plan must have."""
    return list_columns(plan.schema, one_division=plan.division is not None).override(plan.columns)


@contextmanager
def _own_folder(target: Path) -> Iterator[Path]:
    """A folder of this attempt's own, whose files take their places in ``target`` at the end, the newest last."""
    own = target / f"{BUILDING}{uuid4().hex}"
    own.mkdir(mode=FOLDER_MODE)  # not its parents: the work may be over, and the staging folder gone
    try:
        yield own
        for path in sorted(own.iterdir(), key=lambda path: (path.suffix == ".json", path.name)):
            os.replace(path, target / path.name)
    finally:
        shutil.rmtree(own, ignore_errors=True)


@contextmanager
def _told_plainly() -> Iterator[None]:
    """Spark writes what a task raises, with its text, into its logs. So the text is ours, and holds no cell."""
    try:
        yield
    except MingceError as error:
        reason = f"{error.code} {error.params.get('reason', '')}".strip()
    except OSError as error:
        reason = f"{type(error).__name__}: {error.strerror or 'no more is known'}"
    except Exception as error:
        reason = type(error).__name__
    else:
        return
    raise TaskFailed(f"[[{reason}; {socket.gethostname()}]]") from None


def _numbers(batches: Iterable[Batch]) -> Iterator[int]:
    for batch in batches:
        yield from cast("list[int]", batch.column(0).to_pylist())


def _piece(part: int, place: int, content: bytes) -> Batch:
    columns = [pa.array([part], pa.int32()), pa.array([place], pa.int64()), pa.array([content], pa.binary())]
    return pa.record_batch(columns, schema=PIECE_SCHEMA)


def _sealer(job: Job, keys: dict[str, Any]) -> Sealer:
    return staging_sealer(_bytes(keys, "staging"), job.plan)


def _bytes(keys: dict[str, Any], name: str) -> bytes:
    return b64decode(str(keys[name]))


def as_text(secret: bytes) -> str:
    """For the desk to hand out."""
    return b64encode(secret).decode("ascii")
