"""Whom a figure counts once: a family, whatever number and case each year's base list gave it."""

from __future__ import annotations

from sqlite_utils import Database

# Every linked case with the first case of the same people: from case to case by most people shared.
_FAMILIES = """
CREATE TEMP TABLE family AS
WITH RECURSIVE
earlier (household_id, earlier_id) AS (
    SELECT household_id, earlier_id FROM (
        SELECT household_id, earlier_id, ROW_NUMBER() OVER (
            PARTITION BY household_id ORDER BY shared DESC, earlier_id) AS place
        FROM household_link)
    WHERE place = 1),
chain (household_id, first_id) AS (
    SELECT household_id, earlier_id FROM earlier
    UNION ALL
    SELECT chain.household_id, earlier.earlier_id FROM chain JOIN earlier ON earlier.household_id = chain.first_id)
SELECT household_id, MIN(first_id) AS first_id FROM chain
WHERE first_id NOT IN (SELECT household_id FROM earlier) GROUP BY household_id"""

FAMILY_OF = "COALESCE((SELECT first_id FROM family WHERE family.household_id = {household}), {household})"
"""SQL: the case that stands for a family; ``{household}`` is any of its cases."""


def make_families(database: Database) -> None:
    """Put the temporary table ``family`` beside the store's, inside the caller's transaction, which rolls it back."""
    database.conn.execute(_FAMILIES)
    database.conn.execute("CREATE UNIQUE INDEX temp.family_by_case ON family (household_id)")
