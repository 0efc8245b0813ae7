"""The plain part of a UTF-8 CSV file, which is nearly always all of it, read by Arrow instead of Python's csv module.

Plain means that every line is a record, and that a quote stands round a whole cell and nowhere else: no lone carriage
returns, no empty lines. From the first block that is not plain the csv module goes on (matcher.tables.csv_reader).
Both give the same.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import IO, Literal, cast

import pyarrow as pa
import pyarrow.csv as arrow_csv

from matcher.tables.batch import TableBatch, batches_of_records, row_numbers

_BYTES_A_ROW = 128  # a guess, from which a block's size follows


@dataclass
class Rest:
    """Where a file goes on: the offset in bytes, and the number of the row there."""

    offset: int
    row: int


def read_plain(
    path: Path, separator: str, width: int, places: Mapping[str, int], rest: Rest, batch_rows: int
) -> Generator[TableBatch]:
    """Batches of the plain rows from ``rest`` on, which is moved to the first byte that is not read: of a block that
    is not plain, or the end. The file is known to be UTF-8. ``places`` are the wanted columns of ``width``.
    """
    with path.open("rb") as stream:
        stream.seek(rest.offset)
        while block := stream.read(batch_rows * _BYTES_A_ROW):
            block += stream.readline()
            if not _is_plain(block, separator.encode()):
                return
            table = _parse(block, separator, width, places)
            if table is None:  # a row of more or fewer cells
                records = csv.reader(StringIO(block.decode(), newline=""), delimiter=separator, strict=True)
                yield from batches_of_records(records, width, places, rest.row, batch_rows)
                rows = block.count(b"\n") + (not block.endswith(b"\n"))
            else:
                rows = table.num_rows
                for first in range(0, rows, batch_rows):
                    part = table.slice(first, batch_rows)
                    columns = {name: part[str(place)].combine_chunks() for name, place in places.items()}
                    begin = rest.row + first
                    yield TableBatch(row_numbers(range(begin, begin + part.num_rows)), columns)
            rest.offset, rest.row = rest.offset + len(block), rest.row + rows


def _is_plain(block: bytes, separator: bytes) -> bool:
    if b"\0" in block or block.count(b"\r") != block.count(b"\r\n"):
        return False
    # From left to right: the first quote begins a cell, the next one ends it, and so on.
    quoted = rb'"(?:(?<=[%b\n]")|(?<=\A"))[^"\r\n]*"(?=[%b\r\n]|\Z)' % (separator, separator)
    if 2 * len(re.findall(quoted, block)) != block.count(b'"'):
        return False
    if block.startswith((b"\n", b"\r\n")) or b"\n\n" in block or b"\n\r\n" in block:
        return False
    return max(map(len, block.split(b"\n"))) < csv.field_size_limit()


def _parse(block: bytes, separator: str, width: int, places: Mapping[str, int]) -> pa.Table | None:
    ragged = False

    def note(_: arrow_csv.InvalidRow) -> Literal["skip"]:
        nonlocal ragged
        ragged = True
        return "skip"

    names = [str(place) for place in range(width)]
    wanted = [str(place) for place in sorted(set(places.values()))]
    table = arrow_csv.read_csv(
        cast("IO[bytes]", pa.BufferReader(block)),
        read_options=arrow_csv.ReadOptions(column_names=names, use_threads=False, block_size=len(block) + 1),
        parse_options=arrow_csv.ParseOptions(
            delimiter=separator,
            double_quote=False,
            ignore_empty_lines=False,
            invalid_row_handler=note,
        ),
        convert_options=arrow_csv.ConvertOptions(
            check_utf8=False, column_types=dict.fromkeys(names, pa.string()), include_columns=wanted
        ),
    )
    return None if ragged else table
