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
        sealed_label BLOB NOT NULL,    -- JSON: the agreed label with the record's own date, {} if not listed
        reasons      TEXT NOT NULL,    -- reason codes that follow from it, joined by ','
        as_of        TEXT NOT NULL,    -- the day of the answer: of the edition matched against, or of the document
        origin       TEXT NOT NULL,    -- dataset/epoch/edition, or the document's number for a manual entry
        run_id       TEXT,
        entered_by   TEXT NOT NULL,
        entered_at   TEXT NOT NULL,
        UNIQUE (member_id, department, origin, as_of)
    ) STRICT
    """,
    "CREATE INDEX check_by_household ON department_check (household_id, department)",
    # What counts of each member and department: the newest answer.
    """
    CREATE VIEW present_check AS
    SELECT * FROM department_check one WHERE NOT EXISTS (
        SELECT 1 FROM department_check other
        WHERE other.member_id = one.member_id AND other.department = one.department
        AND (other.as_of, other.check_id) > (one.as_of, one.check_id))
    """,
)
