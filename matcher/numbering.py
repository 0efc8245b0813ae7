"""Numbers that are given once: of visits, loans, claims, alarms, and of all else that pages and papers name.

SQLite gives a row one more than the highest number there is. After a restore from a backup that would be numbers
which papers, addresses and tablets already use for something else. With AUTOINCREMENT it gives one more than the
highest that it remembers, and a restore (matcher.keeping.restored) makes it remember a higher one.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlite_utils import Database

A_SECOND = 1_000
"""So many numbers lie between two restores for each second between them."""
LEAST_GAP = 1_000_000  # where the clock says less than the numbers do
_BEGIN = datetime(2020, 1, 1, tzinfo=UTC)


def give_once(*tables: str) -> tuple[str, ...]:
    """The statements that add AUTOINCREMENT to tables that have rows and triggers: nothing in the file changes but
    the word, so the schema's text is edited (https://sqlite.org/lang_altertable.html, the end of section 8)."""
    listed = ", ".join(f"'{table}'" for table in tables)
    return (
        "CREATE TABLE numbered (number INTEGER PRIMARY KEY AUTOINCREMENT)",  # makes sqlite_sequence, which stays
        "DROP TABLE numbered",
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_schema SET sql = replace(sql, 'INTEGER PRIMARY KEY', 'INTEGER PRIMARY KEY AUTOINCREMENT')"  # noqa: S608
        f" WHERE type = 'table' AND name IN ({listed})",  # our own names
        "PRAGMA writable_schema = RESET",
    )


def skip_within(database: Database, moment: datetime) -> None:
    """Numbers go on from ``moment``: beyond whatever was given since the backup, also by an earlier restore of it.

    Twelve digits, so that none is taken for an ID number, and until 2051.
    """
    begin = int((moment - _BEGIN).total_seconds()) * A_SECOND
    for (table,) in database.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql LIKE '%PRIMARY KEY AUTOINCREMENT%'"
    ).fetchall():
        (highest,) = database.execute(f"SELECT COALESCE(MAX(rowid), 0) FROM {table}").fetchone()  # noqa: S608
        given = database.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", [table]).fetchone()
        beyond = max(begin, max(highest, given[0] if given else 0) + LEAST_GAP)
        database.execute("DELETE FROM sqlite_sequence WHERE name = ?", [table])
        database.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", [table, beyond])
