"""Reading rows from a store: whole answers, so that no cursor stays open between calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlite_utils import Database

from keys.database import reading


def fetch_all(database: Database, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
    """Every row. Raises what keys.database.reading raises."""
    with reading(database):
        rows: list[tuple[Any, ...]] = database.conn.execute(sql, list(values)).fetchall()
    return rows


def fetch_first(database: Database, sql: str, values: Sequence[object] = ()) -> tuple[Any, ...] | None:
    """The first row, or None."""
    rows = fetch_all(database, sql, values)
    return rows[0] if rows else None


def fetch_records(database: Database, sql: str, values: Sequence[object] = ()) -> list[dict[str, Any]]:
    """Every row as a dictionary by column name."""
    with reading(database):
        return list(database.query(sql, list(values)))
