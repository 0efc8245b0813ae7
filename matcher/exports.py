"""Tables out: XLSX, CSV and Parquet that open safely in a spreadsheet (docs/reference/tables.md).

Every cell is text. A spreadsheet must neither run a cell (``=1+1``) nor turn an ID number into a
floating-point one, and what it saves again must read back as the same numbers.
"""

from __future__ import annotations

import codecs
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import xlsxwriter

from keys.files import atomic_writer, building_path, make_folder
from matcher.watermark import mark_sheet
from psi.errors import InputError

Format = Literal["xlsx", "csv", "parquet"]
Column: TypeAlias = Any  # a chunked Arrow array of strings

SHEET_ROWS = 1_000_000  # of data; a sheet of Excel ends at 1,048,576
MAX_CELL_CHARACTERS = 32_767  # Excel's limit; the writer would drop a longer one without a word
_ROWS_AT_ONCE = 65_536
_WIDTHS = (8, 40)
_A4 = 9  # as xlsxwriter counts papers
_CREATED = datetime(2000, 1, 1)  # noqa: DTZ001  (one content, one file: the writer would put today)

# What a spreadsheet takes for a formula, in either width, also behind blanks.
_ACTIVE = r"^[\s\x{3000}]*[=+\-@\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}]|^[\t\r\n]"
_ID_NUMBER = r"^[0-9]{15}([0-9]{2}[0-9Xx])?$"


class CellTooLong(InputError):
    """A cell is longer than a spreadsheet can hold; ``params``: column, limit."""

    code = "cell_too_long"


def write_export(
    path: Path,
    columns: Mapping[str, pa.Array[Any] | pa.ChunkedArray[Any]],
    *,
    format: Format,
    id_columns: Collection[str] = (),
    number_columns: Collection[str] = (),
) -> None:
    """Write columns of equal length under their names; nulls become empty cells.

    ``number_columns`` hold numbers that the program formed itself: their minus signs stay as they are in CSV.
    The file appears whole or not at all, readable by its owner only. Raises CellTooLong (XLSX), OSError.
    """
    table = pa.table({name: column.cast(pa.string()) for name, column in columns.items()})
    with atomic_writer(path) as stream:
        if format == "csv":
            _write_csv(stream, table, id_columns, number_columns)
        elif format == "xlsx":
            _write_xlsx(stream, path, table, id_columns)
        else:
            pq.write_table(table, stream, compression="zstd")


@dataclass(frozen=True)
class Sheet:
    """A named sheet of a workbook. ``choices`` gives columns the values that a cell may be chosen from."""

    name: str
    columns: Mapping[str, pa.Array[Any] | pa.ChunkedArray[Any]]
    id_columns: Collection[str] = ()
    choices: Mapping[str, Sequence[str]] = field(default_factory=dict)


def write_workbook(path: Path, sheets: Sequence[Sheet]) -> None:
    """Write several sheets, each of up to SHEET_ROWS rows, as :func:`write_export` writes one."""
    with atomic_writer(path) as stream, _workbook(stream, path) as workbook:
        for sheet in sheets:
            table = pa.table({name: column.cast(pa.string()) for name, column in sheet.columns.items()})
            _check_cells(table)
            _write_sheet(workbook, table, sheet.id_columns, sheet.name, sheet.choices)


def _write_csv(stream: BinaryIO, table: pa.Table, id_columns: Collection[str], number_columns: Collection[str]) -> None:
    """UTF-8 with a mark, which Excel needs. A TAB before an ID number keeps it text; every reader of ours strips it."""
    names = {name: "\t" if name in id_columns else None for name in table.column_names}
    columns = [
        _text(table[name]) if name in number_columns else _neutralise(table[name], prefix)
        for name, prefix in names.items()
    ]
    header = _neutralise(pa.chunked_array([table.column_names], pa.string()), None).to_pylist()
    stream.write(codecs.BOM_UTF8)
    pyarrow.csv.write_csv(pa.table(columns, names=header), stream)


def _text(column: Column) -> Column:
    filled: Column = pc.fill_null(column, "")
    return filled


def _neutralise(column: Column, id_prefix: str | None) -> Column:
    column = pc.fill_null(column, "")
    safe = pc.if_else(pc.match_substring_regex(column, _ACTIVE), _prefixed("'", column), column)
    if id_prefix is None:
        return safe
    return pc.if_else(pc.match_substring_regex(column, _ID_NUMBER), _prefixed(id_prefix, column), safe)


def _prefixed(prefix: str, column: Column) -> Column:
    return pc.binary_join_element_wise(pa.scalar(prefix), column, pa.scalar(""))


def _write_xlsx(stream: BinaryIO, path: Path, table: pa.Table, id_columns: Collection[str]) -> None:
    _check_cells(table)
    with _workbook(stream, path) as workbook:
        for start in range(0, max(len(table), 1), SHEET_ROWS):
            _write_sheet(workbook, table.slice(start, SHEET_ROWS), id_columns)


def _check_cells(table: pa.Table) -> None:
    """The writer would drop a cell that is too long. Raises CellTooLong."""
    for name in table.column_names:
        if (pc.max(pc.utf8_length(table[name])).as_py() or 0) > MAX_CELL_CHARACTERS:
            raise CellTooLong("a cell is longer than a spreadsheet can hold", column=name, limit=MAX_CELL_CHARACTERS)


@contextmanager
def _workbook(stream: BinaryIO, path: Path) -> Iterator[xlsxwriter.Workbook]:
    """The writer's temporary files lie beside ``path`` until it is done: they hold ID numbers."""
    scratch = make_folder(building_path(path.with_name(f"{path.name}.rows")))
    try:
        with xlsxwriter.Workbook(stream, {"constant_memory": True, "tmpdir": str(scratch)}) as workbook:
            workbook.set_properties({"created": _CREATED})
            yield workbook
    finally:
        shutil.rmtree(scratch)


def _write_sheet(
    workbook: xlsxwriter.Workbook,
    table: pa.Table,
    id_columns: Collection[str],
    name: str | None = None,
    choices: Mapping[str, Sequence[str]] | None = None,
) -> None:
    sheet = workbook.add_worksheet(name)
    heading = workbook.add_format({"bold": True, "bottom": 1})
    text = workbook.add_format({"num_format": "@"})  # stays text when somebody edits the cell
    sheet.freeze_panes(1, 0)
    sheet.set_landscape()
    sheet.set_paper(_A4)
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(0)
    mark_sheet(sheet, is_first=len(workbook.worksheets()) == 1)
    for place, column in enumerate(table.column_names):
        longest = max(_display_width(cell) for cell in [column, *table[column].slice(0, 100).to_pylist()])
        sheet.set_column(place, place, min(max(longest + 2, _WIDTHS[0]), _WIDTHS[1]), text)
        sheet.write_string(0, place, column, heading)
        if choices and column in choices:
            sheet.data_validation(1, place, SHEET_ROWS, place, {"validate": "list", "source": list(choices[column])})
    formats = [text if column in id_columns else None for column in table.column_names]
    row = 1
    for batch in table.to_batches(_ROWS_AT_ONCE):
        for cells in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            for place, cell in enumerate(cells):
                if cell:
                    sheet.write_string(row, place, cell, formats[place])
            row += 1


def _display_width(text: str | None) -> int:
    """A Chinese character is as wide as two digits."""
    return sum(1 if character.isascii() else 2 for character in text or "")
