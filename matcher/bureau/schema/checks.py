"""What departments say of a household's members."""

from __future__ import annotations

TABLES = (
    """
    CREATE TABLE department_check (
        check_id     INTEGER PRIMARY KEY,
        household_id INTEGER NOT NULL REFERENCES household (household_id),
        member_id    INTEGER NOT NULL REFERENCES member (member_id),
        department   TEXT NOT NULL,    -- as the policy's checks.required and [department.NAME] name it
        source       TEXT NOT NULL CHECK (source IN ('match', 'manual')),
        listed       INTEGER NOT NULL CHECK (listed IN (0, 1)),
        sealed_label BLOB NOT NULL,    -- JSON: the agreed label, {} if not listed
        reasons      TEXT NOT NULL,    -- reason codes that follow from it, joined by ','
        as_of        TEXT NOT NULL,    -- the day the department vouches for
        origin       TEXT NOT NULL,    -- dataset/epoch/edition, or the document's number for a manual entry
        run_id       TEXT,
        entered_by   TEXT NOT NULL,
        entered_at   TEXT NOT NULL,
        UNIQUE (member_id, department, origin, as_of)
    ) STRICT
    """,
    "CREATE INDEX check_by_household ON department_check (household_id, department)",
)
