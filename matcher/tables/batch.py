"""What every reader yields, and how rows of strings become columns."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, cast

import pyarrow as pa

from matcher.rejects import Reject
from psi.identifiers import mask

DEFAULT_BATCH_ROWS = 8_192  # more rows as Python lists fall out of the cache: half the speed at 65,536


@dataclass(frozen=True, repr=False)
class TableBatch:
    """Some consecutive rows of a file: row numbers as a person counts them in the sheet (the header is row 1),
    the wanted columns as string arrays of the same length, and the rows that are no data.
    """

    rows: pa.Int64Array
    columns: Mapping[str, pa.Array[Any]]
    rejects: list[Reject] = field(default_factory=list)
    sheet: str = ""


def batches_of_records(
    records: Iterator[Sequence[str]], width: int, places: Mapping[str, int], first_row: int, batch_rows: int
) -> Iterator[TableBatch]:
    """Turn records of ``width`` strings into batches. A record of another width becomes a Reject."""
    row = first_row
    while chunk := list(islice(records, batch_rows)):
        numbers: Sequence[int] = range(row, row + len(chunk))
        rejects: list[Reject] = []
        row += len(chunk)
        if set(map(len, chunk)) != {width}:
            rejects = [
                _reject(number, record, places)
                for number, record in zip(numbers, chunk, strict=True)
                if len(record) != width
            ]
            numbers = [number for number, record in zip(numbers, chunk, strict=True) if len(record) == width]
            chunk = [record for record in chunk if len(record) == width]
        columns = {name: pa.array([record[place] for record in chunk], pa.string()) for name, place in places.items()}
        yield TableBatch(row_numbers(numbers), columns, rejects)


def _reject(row: int, record: Sequence[str], places: Mapping[str, int]) -> Reject:
    place = places.get("number", len(record))  # not every table is of people
    number = record[place] if place < len(record) else ""
    return Reject(row, "ragged_row" if record else "empty", mask(number))


def row_numbers(numbers: Sequence[int]) -> pa.Int64Array:
    column = pa.Array.from_buffers(pa.int64(), len(numbers), [None, pa.py_buffer(array("q", numbers))])
    return cast("pa.Int64Array", column)
