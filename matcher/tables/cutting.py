"""A list's file cut into pieces that can be read apart and give, one after another, the rows of the whole.

A CSV file is cut at the ends of its lines, unless a cell might hold one: then, like a workbook, it is one piece.
Parquet is cut into its row groups.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pyarrow.parquet as pq

from matcher.columns import ColumnMapping
from matcher.tables.batch import DEFAULT_BATCH_ROWS, TableBatch, batches_of_records
from matcher.tables.csv_reader import detect_encoding, refusal_of, separator_of
from matcher.tables.errors import TableDamaged
from matcher.tables.parquet_reader import read_row_groups
from matcher.tables.reader import read_table

_BLOCK_BYTES = 1 << 20
_CSV = (".csv", ".txt")


@dataclass(frozen=True)
class Piece:
    """``start`` to ``stop`` are bytes of CSV or row groups of Parquet; ``row`` is its first row as a person counts.

    ``sha256`` is of those bytes, so that nobody reads another file's; empty where they are not cut.
    """

    start: int
    stop: int
    row: int
    sha256: str = ""


@dataclass(frozen=True)
class CutFile:
    """What the pieces of a file have in common. ``lines`` are about its rows; ``header`` is for CSV that was cut."""

    sha256: str
    size: int
    lines: int
    pieces: tuple[Piece, ...]
    header: tuple[str, ...] = ()
    encoding: str = ""
    separator: str = ""


def cut_file(path: Path, mapping: ColumnMapping, piece_bytes: int) -> CutFile:
    """Look through a list's file once. Raises what read_table raises before its first batch."""
    next(read_table(path, mapping, batch_rows=1))
    if path.suffix.lower() == ".parquet":
        return _cut_parquet(path)
    if path.suffix.lower() in _CSV:
        return _cut_csv(path, piece_bytes)
    whole = _look_through(path)
    return CutFile(whole.sha256, whole.size, max(whole.size // 20, 1), (Piece(0, 0, 0),))


def read_piece(path: Path, mapping: ColumnMapping, cut: CutFile, number: int) -> Iterator[TableBatch]:
    """The rows of one piece. Raises as read_table does, TableDamaged if the file is not the one that was cut."""
    piece = cut.pieces[number]
    if path.stat().st_size != cut.size:
        raise TableDamaged("another file stands here than the one that was looked through", file=path.name)
    if cut.header:
        return _read_lines(path, mapping, cut, piece)
    if path.suffix.lower() == ".parquet":
        return read_row_groups(path, mapping, DEFAULT_BATCH_ROWS, range(piece.start, piece.stop), piece.row)
    return read_table(path, mapping)


def _read_lines(path: Path, mapping: ColumnMapping, cut: CutFile, piece: Piece) -> Iterator[TableBatch]:
    with path.open("rb") as stream:
        stream.seek(piece.start)
        content = stream.read(piece.stop - piece.start)
    if hashlib.sha256(content).hexdigest() != piece.sha256:
        raise TableDamaged("another file stands here than the one that was looked through", file=path.name)
    lines = io.TextIOWrapper(io.BytesIO(content), encoding=cut.encoding, newline="")
    records = csv.reader(lines, delimiter=cut.separator, strict=True)
    places = mapping.locate(cut.header)
    try:
        yield from batches_of_records(records, len(cut.header), places, piece.row, DEFAULT_BATCH_ROWS)
    except csv.Error as error:
        raise refusal_of(error, path, piece.row - 1 + records.line_num) from None


@dataclass(frozen=True)
class _Looked:
    sha256: str
    size: int
    lines: int
    is_plain: bool  # every line is one record


def _look_through(path: Path) -> _Looked:
    digest, lines, size, is_plain, last = hashlib.sha256(), 0, 0, True, b""
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
            size += len(block)
            lines += block.count(b"\n")
            if is_plain:
                joined = last + block
                returns = joined.count(b"\r") - joined.endswith(b"\r")
                is_plain = b'"' not in block and returns == joined.count(b"\r\n")
            last = b"\r" if block.endswith(b"\r") else b""
    return _Looked(digest.hexdigest(), size, lines, is_plain and not last)


def _cut_csv(path: Path, piece_bytes: int) -> CutFile:
    looked, encoding = _look_through(path), detect_encoding(path)
    lines = max(looked.lines, 1)
    if not looked.is_plain or encoding == "utf-16":  # in which a line's end may be half of a character
        return CutFile(looked.sha256, looked.size, lines + 1, (Piece(0, 0, 0),))
    with path.open(encoding=encoding, newline="") as stream:
        separator = separator_of(stream.readline())
        stream.seek(0)
        records = enumerate(csv.reader(stream, delimiter=separator, strict=True), start=1)
        row, header = next((row, cells) for row, cells in records if any(cell.strip() for cell in cells))
    plain = "utf-8" if encoding == "utf-8-sig" else encoding
    pieces = tuple(_lines(path, row, piece_bytes))
    return CutFile(looked.sha256, looked.size, lines + 1, pieces, tuple(header), plain, separator)


def _lines(path: Path, header_row: int, piece_bytes: int) -> Iterator[Piece]:
    """What stands below the header, cut behind the line that fills a piece."""
    row = header_row + 1
    with path.open("rb") as stream:
        start = sum(map(len, islice(stream, header_row)))
        stream.seek(start)
        while content := stream.read(piece_bytes):
            content += stream.readline()
            yield Piece(start, start + len(content), row, hashlib.sha256(content).hexdigest())
            start += len(content)
            row += content.count(b"\n")


def _cut_parquet(path: Path) -> CutFile:
    looked, pieces, row = _look_through(path), [], 2
    with pq.ParquetFile(path) as table:
        for group in range(table.num_row_groups):
            pieces.append(Piece(group, group + 1, row))
            row += table.metadata.row_group(group).num_rows
    return CutFile(looked.sha256, looked.size, max(row - 2, 1), tuple(pieces))
