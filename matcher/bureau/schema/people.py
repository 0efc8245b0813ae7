"""Who works here, what they did (the audit chain), and under which rules (adopted policies)."""

from __future__ import annotations

TABLES = (
    """
    CREATE TABLE account (
        account_id    INTEGER PRIMARY KEY,
        name          TEXT NOT NULL UNIQUE,  -- what a person signs in with, and what every record names
        display_name  TEXT NOT NULL,
        roles         TEXT NOT NULL,         -- JSON array of matcher.bureau.actors.Role
        townships     TEXT NOT NULL,         -- JSON array of division prefixes (9 digits) in their care; [] is all
        bank          TEXT REFERENCES bank (fingerprint),  -- for a bank's own people
        state         TEXT NOT NULL CHECK (state IN ('proposed', 'active', 'closed')),
        password      TEXT NOT NULL,         -- argon2id, or '' until the person has set one
        failed        INTEGER NOT NULL DEFAULT 0,  -- sign-ins that failed since the last that did not
        blocked_until TEXT,
        created_by    TEXT NOT NULL,
        approved_by   TEXT,
        created_at    TEXT NOT NULL,
        updated_at    TEXT NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE session (
        token_sha256 BLOB PRIMARY KEY,  -- the token itself is with the caller alone
        account_id   INTEGER NOT NULL REFERENCES account (account_id),
        created_at   TEXT NOT NULL,
        used_at      TEXT NOT NULL,
        expires_at   TEXT NOT NULL,
        ended_at     TEXT
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE idempotency (
        account        TEXT NOT NULL,
        key            TEXT NOT NULL,
        request_sha256 BLOB NOT NULL,  -- the same key with another request is refused
        outcome        TEXT NOT NULL,  -- JSON, without personal data
        at             TEXT NOT NULL,
        PRIMARY KEY (account, key)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE audit (
        seq      INTEGER PRIMARY KEY,
        at       TEXT NOT NULL,
        actor    TEXT NOT NULL,  -- an account's name, or the operating system's user on the command line
        action   TEXT NOT NULL,  -- part.verb, as household.move
        subject  TEXT NOT NULL,  -- table/number, as household/17
        detail   TEXT NOT NULL,  -- JSON: role, purpose, before and after digests; never personal data
        previous TEXT NOT NULL,  -- the hash of the row before
        hash     TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX audit_by_subject ON audit (subject)",
    """
    CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'audit rows are never changed'); END;
    """,
    """
    CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'audit rows are never deleted'); END;
    """,
    """
    CREATE TABLE policy (
        sha256      TEXT PRIMARY KEY,   -- of the file; decisions and contracts name it
        county      TEXT NOT NULL,
        version     TEXT NOT NULL,
        valid_from  TEXT NOT NULL,
        valid_to    TEXT NOT NULL,
        content     BLOB NOT NULL,      -- the file to the letter
        state       TEXT NOT NULL CHECK (state IN ('proposed', 'adopted', 'withdrawn')),
        proposed_by TEXT NOT NULL,
        proposed_at TEXT NOT NULL,
        adopted_by  TEXT CHECK (adopted_by <> proposed_by),
        adopted_at  TEXT
    ) STRICT
    """,
)
