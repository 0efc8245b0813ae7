"""Files taken by a browser: who asked for which, who agreed, whether it was fetched."""

from __future__ import annotations

TABLES = (
    """
    CREATE TABLE download (
        download_id INTEGER PRIMARY KEY,
        number      TEXT NOT NULL UNIQUE,  -- as it stands in the file: the day and six letters
        account     TEXT NOT NULL,
        bank        TEXT,                  -- of the account, as is what follows: who agrees has no narrower a care
        townships   TEXT NOT NULL,         -- JSON array
        needs       TEXT NOT NULL,         -- the permission that the content takes
        key         TEXT NOT NULL,         -- the same key of an account again is the same request
        title       TEXT NOT NULL,
        file_name   TEXT NOT NULL,
        subject     TEXT NOT NULL,
        reason      TEXT NOT NULL,
        personal    INTEGER NOT NULL CHECK (personal IN (0, 1)),
        row_count   INTEGER NOT NULL,
        bytes       INTEGER NOT NULL,
        sha256      TEXT NOT NULL,         -- of the file with its mark
        asked_at    TEXT NOT NULL,
        state       TEXT NOT NULL CHECK (state IN ('asked', 'agreed', 'refused', 'fetched', 'expired')),
        until       TEXT,                  -- the end of waiting: to be agreed to, then to be fetched
        decided_by  TEXT CHECK (decided_by <> account),
        decided_at  TEXT,
        remark      TEXT NOT NULL,         -- of who decided
        ended_at    TEXT,                  -- when it was fetched, refused or given up
        UNIQUE (account, key),
        CHECK (state NOT IN ('agreed', 'refused') OR decided_by IS NOT NULL),
        CHECK (state <> 'fetched' OR personal = 0 OR decided_by IS NOT NULL),
        CHECK ((state IN ('asked', 'agreed')) = (until IS NOT NULL)),
        CHECK ((state IN ('asked', 'agreed')) = (ended_at IS NULL))
    ) STRICT
    """,
    "CREATE INDEX download_open ON download (until) WHERE until IS NOT NULL",
    # What was asked for is what is agreed to and fetched, and what came to its end stays there.
    """
    CREATE TRIGGER download_is_kept BEFORE UPDATE ON download
    WHEN (NEW.number, NEW.account, NEW.needs, NEW.title, NEW.subject, NEW.reason, NEW.personal, NEW.row_count,
          NEW.sha256) <> (OLD.number, OLD.account, OLD.needs, OLD.title, OLD.subject, OLD.reason, OLD.personal,
          OLD.row_count, OLD.sha256)
    OR OLD.ended_at IS NOT NULL
    OR (NEW.state = 'fetched' AND OLD.state <> 'agreed')
    BEGIN SELECT RAISE(ABORT, 'download: never changed once asked for'); END;
    """,
    """
    CREATE TABLE download_content (
        download_id INTEGER PRIMARY KEY REFERENCES download (download_id),
        sealed      BLOB NOT NULL  -- the file, until it is fetched or its time is over
    ) STRICT
    """,
)
