"""What was deleted when its time was over (matcher.personal.purge)."""

from __future__ import annotations

TABLES = (
    "ALTER TABLE household ADD COLUMN purged_at TEXT",  # nothing here says any more who lived in it
    """
    CREATE TABLE purge (
        purge_id   INTEGER PRIMARY KEY,
        at         TEXT NOT NULL,
        account    TEXT NOT NULL,
        envelope   BLOB NOT NULL,  -- the record signed with the home's identity: kinds, counts, digests of references
        audit_seq  INTEGER NOT NULL REFERENCES audit (seq),
        cleared_at TEXT            -- attachments' files are gone, and no trace of what was deleted is in the database's
    ) STRICT
    """,
    """
    CREATE TRIGGER purge_kept BEFORE UPDATE ON purge
    WHEN (NEW.at, NEW.account, NEW.envelope, NEW.audit_seq) IS NOT (OLD.at, OLD.account, OLD.envelope, OLD.audit_seq)
    BEGIN SELECT RAISE(ABORT, 'purge: a record is never changed'); END;
    """,
    """
    CREATE TRIGGER purge_stays BEFORE DELETE ON purge
    BEGIN SELECT RAISE(ABORT, 'purge: a record is never deleted'); END;
    """,
)
