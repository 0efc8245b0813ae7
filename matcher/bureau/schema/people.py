"""Who works here, what they did (the audit chain), and under which rules (adopted policies)."""

from __future__ import annotations

TABLES = (
    """
    CREATE TABLE account (
        account_id          INTEGER PRIMARY KEY,
        name                TEXT NOT NULL UNIQUE,  -- what a person signs in with, and what every record names
        display_name        TEXT NOT NULL,
        roles               TEXT NOT NULL,         -- JSON array of matcher.bureau.actors.Role
        townships           TEXT NOT NULL,         -- JSON array of division prefixes in their care; [] is all
        bank                TEXT REFERENCES bank (fingerprint),  -- for a bank's own people
        state               TEXT NOT NULL CHECK (state IN ('proposed', 'active', 'closed')),
        password            TEXT NOT NULL,         -- argon2id; '' until the account is active
        password_expires_at TEXT,                  -- of a one-time password; null once the person has chosen their own
        created_by          TEXT NOT NULL,         -- an account, or 'os:USER' for the holder of the home
        approved_by         TEXT CHECK (approved_by <> created_by),
        reset_by            TEXT,                  -- who asked for a new one-time password; another has to agree
        created_at          TEXT NOT NULL,
        updated_at          TEXT NOT NULL,
        CHECK (state <> 'active' OR approved_by IS NOT NULL OR created_by LIKE 'os:%')
    ) STRICT
    """,
    """
    CREATE TABLE sign_in_origin (
        account_id    INTEGER NOT NULL REFERENCES account (account_id),
        device        BLOB NOT NULL,     -- SHA-256 of the token of a device that has signed in; x'' for all others
        failed        INTEGER NOT NULL,  -- sign-ins from there since the last that succeeded
        blocked_until TEXT,
        used_at       TEXT NOT NULL,
        PRIMARY KEY (account_id, device)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE session (
        token_sha256 BLOB PRIMARY KEY,  -- the token itself is with the caller alone
        account_id   INTEGER NOT NULL REFERENCES account (account_id),
        created_at   TEXT NOT NULL,
        used_at      TEXT NOT NULL,
        expires_at   TEXT NOT NULL,
        ended_at     TEXT,
        second_factor INTEGER NOT NULL CHECK (second_factor IN (0, 1))  -- whether it began with a bound device's code
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX session_of_account ON session (account_id)",
    """
    CREATE TABLE second_factor (
        account_id INTEGER PRIMARY KEY REFERENCES account (account_id),
        secret     BLOB NOT NULL,     -- sealed: {secret: base 32}
        last_step  INTEGER NOT NULL,  -- of the last code used (RFC 6238): none is good twice
        bound_at   TEXT,              -- null while the person has yet to show that their device has the secret
        reset_by   TEXT               -- who asked for an end of it; another has to agree
    ) STRICT
    """,
    """
    CREATE TABLE idempotency (
        account        TEXT NOT NULL,
        key            TEXT NOT NULL,
        request_digest TEXT NOT NULL,  -- Office.digest; the same key with another request is refused
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
    # Decisions and contracts name a policy by its hash: what it says never changes, and what was adopted stays.
    """
    CREATE TRIGGER policy_kept BEFORE UPDATE ON policy
    WHEN (NEW.sha256, NEW.county, NEW.version, NEW.valid_from, NEW.valid_to, NEW.content, NEW.proposed_by)
      <> (OLD.sha256, OLD.county, OLD.version, OLD.valid_from, OLD.valid_to, OLD.content, OLD.proposed_by)
    OR OLD.state <> 'proposed'
    BEGIN SELECT RAISE(ABORT, 'policy: kept as it was'); END;
    """,
    """
    CREATE TRIGGER policy_no_delete BEFORE DELETE ON policy
    BEGIN SELECT RAISE(ABORT, 'policy: never deleted'); END;
    """,
)

# As policies and datasets name it, for a department's own people; one without it answers for no department.
DEPARTMENTS = ("ALTER TABLE account ADD COLUMN department TEXT",)
