"""Whom a figure counts once: a family, in all its cases."""

from __future__ import annotations

from sqlite_utils import Database

from matcher.households.families import read_families

FAMILY_OF = "COALESCE((SELECT first_id FROM family WHERE family.household_id = {household}), {household})"
"""SQL: the case that stands for a family; ``{household}`` is any of its cases."""


def make_families(database: Database) -> None:
    """Put the temporary table ``family`` beside the store's, inside the caller's transaction, which rolls it back."""
    database.conn.execute("CREATE TEMP TABLE family (household_id INTEGER PRIMARY KEY, first_id INTEGER NOT NULL)")
    database.conn.executemany("INSERT INTO family VALUES (?, ?)", read_families(database).items())
