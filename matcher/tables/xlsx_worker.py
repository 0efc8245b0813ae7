"""The process in which a workbook is parsed: one file, then it ends.

matcher.tables.xlsx_reader starts it as ``python -P -m matcher.tables.xlsx_worker PATH BATCH_ROWS CPU_S MEMORY_BYTES``
and speaks with it in turns. For every visible sheet with a cell in it the worker writes one line of JSON
(``sheet``, ``row`` and ``header``), reads one (the fields and their positions), and writes an Arrow stream of
those columns as text. It ends with a line ``{"end": ""}``, or ``{"fault": …}`` if the file cannot be read.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from io import BufferedWriter
from itertools import islice
from typing import cast

import pyarrow as pa
from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
    SheetVisibleEnum,
)

Cell = int | float | str | bool | date | datetime | time | timedelta

EXACT = 1e15  # a spreadsheet keeps 15 digits of a number


def limit_self(cpu_s: int, memory: int) -> None:
    """No core file, no file growth, bounded time and memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def say(**message: object) -> None:
    sys.stdout.buffer.write(json.dumps(message).encode() + b"\n")
    sys.stdout.buffer.flush()


def send_sheet(sheet: CalamineSheet, batch_rows: int) -> None:
    rows = sheet.iter_rows()
    row, header = next((row, cells) for row, cells in enumerate(rows, start=1) if any(cells))
    say(sheet=sheet.name, row=row, header=[as_text(cell)[:100] for cell in header])
    places: dict[str, int] = json.loads(sys.stdin.buffer.readline())
    schema = pa.schema([pa.field(name, pa.string()) for name in places])
    with pa.ipc.new_stream(cast(BufferedWriter, sys.stdout.buffer), schema) as writer:
        while chunk := list(islice(rows, batch_rows)):
            columns = [pa.array(texts(chunk, name, place), pa.string()) for name, place in places.items()]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
    sys.stdout.buffer.flush()


def texts(rows: list[list[Cell]], name: str, place: int) -> Iterator[str]:
    convert = number_as_text if name == "number" else as_text
    return (cell if type(cell) is str else convert(cell) for cell in (row[place] for row in rows))


def number_as_text(cell: Cell) -> str:
    """A numeric ID cell has lost digits, or may have: the normaliser refuses the form that a spreadsheet shows."""
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        return as_spreadsheet_float(cell)
    return as_text(cell)


def as_spreadsheet_float(cell: float) -> str:
    return f"{cell:.14E}"


def as_text(cell: Cell) -> str:
    if isinstance(cell, bool):
        return str(int(cell))
    if isinstance(cell, int | float) and abs(cell) >= EXACT:
        return as_spreadsheet_float(cell)
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, date | time):
        return cell.isoformat()
    return str(cell)


def send_workbook(path: str, batch_rows: int) -> None:
    with CalamineWorkbook.from_path(path) as workbook:
        for place, about in enumerate(workbook.sheets_metadata):
            if about.typ == SheetTypeEnum.WorkSheet and about.visible == SheetVisibleEnum.Visible:
                sheet = workbook.get_sheet_by_index(place)
                if sheet.start is not None:
                    send_sheet(sheet, batch_rows)


def main() -> None:
    path, batch_rows, cpu_s, memory = sys.argv[1], *map(int, sys.argv[2:])
    limit_self(cpu_s, memory)
    try:
        send_workbook(path, batch_rows)
        say(end="")
    except PasswordError:
        say(fault="protected by a password")
    except (CalamineError, OSError) as error:
        say(fault=f"not a sound workbook: {type(error).__name__}")


if __name__ == "__main__":
    main()
