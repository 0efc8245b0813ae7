"""The T+1 figures: what each day's dashboard and reports show."""

from __future__ import annotations

TABLES = (
    """
    CREATE TABLE figure_day (
        day         TEXT PRIMARY KEY,  -- figures as of the end of this day
        computed_at TEXT NOT NULL,
        definitions TEXT NOT NULL,     -- version of docs/reference/figures.md
        digest      TEXT NOT NULL      -- of all its figures: running a day again shows whether anything changed
    ) STRICT
    """,
    """
    CREATE TABLE figure (
        day        TEXT NOT NULL REFERENCES figure_day (day),
        name       TEXT NOT NULL,      -- docs/reference/figures.md
        township   TEXT NOT NULL,      -- '' for the county
        product    TEXT NOT NULL,      -- '' for all
        value      INTEGER NOT NULL,   -- in the definition's unit; amounts in 分
        households INTEGER NOT NULL,   -- behind the value: what makes a cell a small one
        PRIMARY KEY (day, name, township, product)
    ) STRICT, WITHOUT ROWID
    """,
)
