"""Parquet, as another system's export gives it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from matcher.columns import ColumnMapping
from matcher.tables.batch import TableBatch, row_numbers
from matcher.tables.errors import ColumnType, TableDamaged


def read_parquet(path: Path, mapping: ColumnMapping, batch_rows: int) -> Iterator[TableBatch]:
    """Text columns; whole numbers and yes/no are taken as text except for the ID number.

    Raises the errors of matcher.tables.errors and matcher.columns.
    """
    yield from read_row_groups(path, mapping, batch_rows)


def read_row_groups(
    path: Path, mapping: ColumnMapping, batch_rows: int, groups: range | None = None, row: int = 2
) -> Iterator[TableBatch]:
    """The same of some row groups, else of all, of which the first row is ``row`` as if a header stood in row 1."""
    try:
        with pq.ParquetFile(path) as table:
            schema = table.schema_arrow
            places = mapping.locate(schema.names)
            for name, place in places.items():
                _check_type(path, name, schema.field(place).type)
            wanted = [schema.names[place] for place in places.values()]
            chosen = None if groups is None else list(groups)
            for batch in table.iter_batches(batch_size=batch_rows, columns=wanted, row_groups=chosen):
                batch.validate(full=True)  # a file may hold text that is not UTF-8
                columns = {name: _as_text(batch.column(schema.names[place])) for name, place in places.items()}
                yield TableBatch(row_numbers(range(row, row + batch.num_rows)), columns)
                row += batch.num_rows
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        raise TableDamaged(f"not a sound Parquet file: {type(error).__name__}", file=path.name) from None


def _check_type(path: Path, name: str, kind: pa.DataType) -> None:
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    if pa.types.is_string(value) or pa.types.is_large_string(value) or pa.types.is_string_view(value):
        return
    if name != "number" and (pa.types.is_integer(value) or pa.types.is_boolean(value)):
        return
    raise ColumnType("this type cannot hold the field", file=path.name, field=name, type=str(kind))


def _as_text(column: pa.Array[Any]) -> pa.Array[Any]:
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    text = column.cast(pa.string()).fill_null("")
    return text
