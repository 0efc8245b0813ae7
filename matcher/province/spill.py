"""A list on its way through a file that is larger than memory: in runs, each sealed in pieces, one for each part."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from keys.files import make_folder
from matcher.columns import list_columns
from matcher.province.parts import cut_sorted
from matcher.province.plan import DatasetPlan, Observer
from matcher.sealing import Sealer
from matcher.tables.checks import check_labels
from matcher.tables.lists import Sifted, sift_table
from psi.columns import data_of, sorted_positions
from psi.remembered import row_references

RUN_ROWS = 1_048_576  # of the file, in memory at a time
_READ_BYTES = 1 << 20


class Spill:
    """Runs on disk in sealed pieces, one for each part; a single run stays in memory."""

    def __init__(self, folder: Path, sealer: Sealer) -> None:
        self._folder = make_folder(folder)
        self._sealer = sealer
        self._waiting: tuple[pa.Table, list[bytes]] | None = None
        self._places: list[list[tuple[int, int]]] = []  # by run and part: where in the run's file, and how long

    def add(self, run: pa.Table, starts: list[bytes]) -> None:
        if self._waiting is not None:
            self._write(*self._waiting)
        self._waiting = (run, starts)

    def finish(self) -> int:
        """How many parts there are."""
        if self._waiting is None:
            return 0
        parts = len(self._waiting[1]) + 1
        if self._places:
            self._write(*self._waiting)
            self._waiting = None
        return parts

    def read(self, part: int) -> pa.Table:
        """One part of all runs, equal items in the file's order."""
        if self._waiting is not None:
            run, starts = self._waiting
            return _cut(run, starts)[part].drop_columns(["ref"]).combine_chunks()
        pieces = []
        for number, places in enumerate(self._places):
            offset, length = places[part]
            with (self._folder / str(number)).open("rb") as stream:
                stream.seek(offset)
                sealed = stream.read(length)
            pieces.append(unpack(self._sealer.open(sealed, "runs", str(number), str(part))))
        return pa.concat_tables(pieces).combine_chunks()

    def _write(self, run: pa.Table, starts: list[bytes]) -> None:
        number, places, offset = len(self._places), [], 0
        with (self._folder / str(number)).open("xb") as stream:  # never read after a break, so never flushed to disk
            for part, piece in enumerate(_cut(run, starts)):
                sealed = self._sealer.seal(pack(piece.drop_columns(["ref"])), "runs", str(number), str(part))
                stream.write(sealed)
                places.append((offset, len(sealed)))
                offset += len(sealed)
        self._places.append(places)


def read_runs(
    plan: DatasetPlan, path: Path, sifted: Sifted, reference_key: bytes, observer: Observer
) -> Iterator[pa.Table]:
    """The good rows of a file, so many at a time, ordered by reference; equal items in the file's order."""
    mapping = list_columns(plan.schema, one_division=plan.division is not None).override(plan.columns)
    batches = (pa.table(batch) for batch in sift_table(path, mapping, check_labels(plan.schema), sifted))
    for tables in _gather_rows(batches, observer):
        table = pa.concat_tables(tables).combine_chunks()
        references = row_references(reference_key, data_of(table["item"]))
        table = table.append_column("ref", references).take(sorted_positions(references))
        yield table.combine_chunks()


def _gather_rows(batches: Iterable[pa.Table], observer: Observer) -> Iterator[list[pa.Table]]:
    tables: list[pa.Table] = []
    rows = done = 0
    for batch in batches:
        tables.append(batch)
        rows, done = rows + batch.num_rows, done + batch.num_rows
        if rows >= RUN_ROWS:
            yield tables
            tables, rows = [], 0
        observer.progress(done)
    if rows:
        yield tables


def look_through(path: Path) -> tuple[str, int]:
    """The file's SHA-256, and about how many rows it has: its lines, of Parquet what it says of itself."""
    digest, lines, size = hashlib.sha256(), 1, 0
    with path.open("rb") as stream:
        while block := stream.read(_READ_BYTES):
            digest.update(block)
            lines += block.count(b"\n")
            size += len(block)
    if path.suffix.lower() == ".parquet":
        try:
            lines = pq.read_metadata(path).num_rows
        except (pa.ArrowException, OSError):
            lines = 1  # reading it will say what is wrong
    elif path.suffix.lower() == ".xlsx":
        lines = size // 20
    return digest.hexdigest(), max(lines, 1)


def pack(table: pa.Table) -> bytes:
    """As an Arrow stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def unpack(content: bytes) -> pa.Table:
    """The inverse."""
    return pa.ipc.open_stream(content).read_all().combine_chunks()


def _cut(run: pa.Table, starts: list[bytes]) -> list[pa.Table]:
    ranges = cut_sorted(data_of(run["ref"]).to_pybytes(), starts)
    return [run.slice(start, stop - start) for start, stop in ranges]
