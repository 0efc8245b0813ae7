"""XLSX, parsed by calamine in a process of its own that may die.

A workbook is a foreign zip of XML, and a few kilobytes of it can ask for hundreds of gigabytes: a
cell in the last row and column makes the parser allocate the whole grid and abort. So the parser
runs in a child with limited memory and time (matcher.tables.xlsx_worker); whatever happens to it,
the caller gets an error that names the file.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BufferedReader, BufferedWriter
from pathlib import Path
from typing import Any, cast

import pyarrow as pa

from matcher.columns import ColumnMapping
from matcher.tables.batch import DEFAULT_BATCH_ROWS, TableBatch, row_numbers
from matcher.tables.errors import FormatUnknown, TableDamaged, TableEmpty, TableTooLarge
from psi.errors import InputError

MAX_UNPACKED_BYTES = 2 << 30
MAX_MEMORY_BYTES = 3 << 30
MAX_CPU_S = 600
_GONE = b'{"fault": "the workbook is too large, or it broke the parser"}'


def read_xlsx(path: Path, mapping: ColumnMapping, batch_rows: int) -> Iterator[TableBatch]:
    """Every visible sheet that is not empty; each must carry the columns. A numeric ID cell reads as ``9.9E+17``.

    Raises the errors of matcher.tables.errors and matcher.columns.
    """
    _check_unpacked_size(path)
    fields: set[str] = set()
    with _worker(path, batch_rows) as (to_worker, from_worker):
        while "sheet" in (message := json.loads(from_worker.readline() or _GONE)):
            places = _locate(mapping, message)
            fields = fields or set(places)
            if set(places) != fields:
                raise TableDamaged("the sheets have different columns", file=path.name, sheet=message["sheet"])
            to_worker.write(json.dumps(places).encode() + b"\n")
            to_worker.flush()
            yield from _receive(from_worker, message["sheet"], message["row"] + 1)
        if "fault" in message:
            raise TableDamaged(message["fault"], file=path.name)


def read_sheets(path: Path, mappings: Mapping[str, ColumnMapping]) -> Iterator[TableBatch]:
    """The named visible sheets of a workbook that is made of several, each with its own columns; others are skipped.

    Raises the errors of matcher.tables.errors and matcher.columns; TableEmpty if no sheet of these names has a row.
    """
    if not zipfile.is_zipfile(path):
        raise FormatUnknown("not a workbook (.xlsx)", file=path.name)
    _check_unpacked_size(path)
    found = False
    with _worker(path, DEFAULT_BATCH_ROWS) as (to_worker, from_worker):
        while "sheet" in (message := json.loads(from_worker.readline() or _GONE)):
            mapping = mappings.get(message["sheet"])
            places = _locate(mapping, message) if mapping else {}
            to_worker.write(json.dumps(places).encode() + b"\n")
            to_worker.flush()
            for batch in _receive(from_worker, message["sheet"], message["row"] + 1):
                if mapping:
                    found = True
                    yield batch
        if "fault" in message:
            raise TableDamaged(message["fault"], file=path.name)
    if not found:
        raise TableEmpty("none of its sheets has a row", file=path.name)


def _locate(mapping: ColumnMapping, message: Mapping[str, Any]) -> dict[str, int]:
    try:
        return mapping.locate(message["header"])
    except InputError as error:
        error.params["sheet"] = message["sheet"]
        raise


def _receive(stream: BufferedReader, sheet: str, row: int) -> Iterator[TableBatch]:
    with pa.ipc.open_stream(stream) as reader:
        for batch in reader:
            columns = dict(zip(batch.schema.names, batch.columns, strict=True))
            yield TableBatch(row_numbers(range(row, row + batch.num_rows)), columns, sheet=sheet)
            row += batch.num_rows


def _check_unpacked_size(path: Path) -> None:
    """An honest zip bomb is refused by what it says of itself; the worker's limits are for the others."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error, OSError) as error:
        raise TableDamaged(f"not a sound workbook: {type(error).__name__}", file=path.name) from None
    if unpacked > MAX_UNPACKED_BYTES:
        raise TableTooLarge("the workbook is too large when unpacked", file=path.name, limit=MAX_UNPACKED_BYTES)


@contextmanager
def _worker(path: Path, batch_rows: int) -> Iterator[tuple[BufferedWriter, BufferedReader]]:
    """The worker's standard input and output. It inherits no environment, and ends with the block."""
    root = Path(__file__).resolve().parents[2]
    limits = [str(batch_rows), str(MAX_CPU_S), str(MAX_MEMORY_BYTES)]
    process = subprocess.Popen(  # noqa: S603  (no shell, and our own module)
        [sys.executable, "-P", "-m", "matcher.tables.xlsx_worker", str(path.resolve()), *limits],
        env={"PYTHONPATH": os.pathsep.join([str(root), *(os.path.abspath(entry) for entry in sys.path)])},
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    to_worker, from_worker = cast(BufferedWriter, process.stdin), cast(BufferedReader, process.stdout)
    try:
        yield to_worker, from_worker
    except (ValueError, OSError) as error:  # a line or a stream that broke off
        raise TableDamaged(f"the workbook broke the parser: {type(error).__name__}", file=path.name) from None
    finally:
        process.kill()
        process.wait()
        from_worker.close()
        with suppress(BrokenPipeError):
            to_worker.close()
