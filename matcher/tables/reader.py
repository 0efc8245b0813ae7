"""One way into a table file, whatever its format."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from matcher.columns import ColumnMapping
from matcher.tables.batch import DEFAULT_BATCH_ROWS, TableBatch
from matcher.tables.csv_reader import read_csv
from matcher.tables.errors import FormatUnknown, NoRows, TableEmpty
from matcher.tables.parquet_reader import read_parquet
from matcher.tables.xlsx_reader import read_xlsx
from psi.errors import InputError

_READERS = {".csv": read_csv, ".txt": read_csv, ".xlsx": read_xlsx, ".parquet": read_parquet}
# What a file begins with, whatever it is called.
_ZIP, _PARQUET, _OLD_EXCEL = b"PK\x03\x04", b"PAR1", b"\xd0\xcf\x11\xe0"


def read_table(path: Path, columns: ColumnMapping, *, batch_rows: int = DEFAULT_BATCH_ROWS) -> Iterator[TableBatch]:
    """The rows of a CSV, XLSX or Parquet file in batches, in the file's order.

    Every row comes out, as data or as a Reject. Raises FileNotFoundError, FormatUnknown, EncodingUnknown,
    TableDamaged, TableTooLarge, TableEmpty, ColumnMissing, ColumnAmbiguous, HeaderMissing, ColumnType:
    all but TableDamaged and TableTooLarge before the first batch.
    """
    reader = _READERS[_format(path)]
    empty = True
    try:
        for batch in reader(path, columns, batch_rows):
            empty = empty and not (len(batch.rows) or batch.rejects)
            yield batch
    except InputError as error:
        error.params.setdefault("file", path.name)
        raise
    if empty:
        raise NoRows("no row of data", file=path.name)


def _format(path: Path) -> str:
    with path.open("rb") as stream:
        start = stream.read(4)
    if not start:
        raise TableEmpty("the file is empty", file=path.name)
    suffix = path.suffix.lower()
    is_binary = {".xlsx": start == _ZIP, ".parquet": start == _PARQUET}
    is_text = suffix in _READERS and start not in (_ZIP, _PARQUET, _OLD_EXCEL)
    if not is_binary.get(suffix, is_text):
        raise FormatUnknown("the content is not what the name says, or neither CSV, XLSX nor Parquet", file=path.name)
    return suffix
