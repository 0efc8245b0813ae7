"""A report for programs: CSV, a file for each table, and JSON. Amounts are text in both: exact, whoever reads them."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow as pa

from keys.files import write_atomic
from matcher.exports import write_export
from matcher.reports.document import HIDDEN, Report, Table, Value


def write_csv(path: Path, report: Report) -> list[Path]:
    """The first table to ``path``, each other one beside it with its name added; returns them. Raises OSError."""
    files = [path, *(path.with_name(f"{path.stem}-{table.name}{path.suffix}") for table in report.tables[1:])]
    for file, table in zip(files, report.tables, strict=True):
        columns = {
            column.name: pa.array([as_text(row[place]) for row in table.all_rows], pa.string())
            for place, column in enumerate(table.columns)
        }
        texts = [column.name for column in table.columns if column.kind == "text"]
        numbers = [column.name for column in table.columns if column.kind == "number"]
        write_export(file, columns, format="csv", id_columns=texts, number_columns=numbers)
    return files


def write_json(path: Path, report: Report) -> list[Path]:
    """One document (docs/reference/reports.md). Raises OSError."""
    write_atomic(path, json.dumps(as_document(report), ensure_ascii=False).encode() + b"\n")
    return [path]


def as_document(report: Report) -> dict[str, object]:
    """The report as JSON values: whole numbers as numbers, decimals as text, hidden ones as ``"＊"``."""
    return {
        "report": report.name,
        "subject": report.subject,
        "title": report.title,
        "fields": dict(report.fields),
        "definitions": report.definitions,
        "outside": report.is_outside,
        "demo": report.is_demo,
        "tables": [_table(table) for table in report.tables],
        "notes": list(report.notes),
    }


def as_text(value: Value) -> str:
    """A cell of CSV: yuan with their two places, no thousands separators, days as 2025-03-05."""
    if value is None:
        return ""
    if value is HIDDEN:
        return HIDDEN.value
    if isinstance(value, date):
        return value.isoformat()
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _table(table: Table) -> dict[str, object]:
    keys = [column.key for column in table.columns]

    def row(values: tuple[Value, ...]) -> dict[str, object]:
        return {
            key: value if value is None or isinstance(value, int) else as_text(value)
            for key, value in zip(keys, values, strict=True)
        }

    return {
        "name": table.name,
        "title": table.title,
        "columns": {column.key: column.name for column in table.columns},
        "rows": [row(values) for values in table.rows],
        "total": row(table.total) if table.total is not None else None,
    }
