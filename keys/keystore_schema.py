"""The tables of ``<home>/keys.sqlite``. Secrets stand in them only as wrapped bytes (keys.wrap)."""

from __future__ import annotations

from sqlite_utils import Database, Migrations

MIGRATIONS = Migrations("keys")


@MIGRATIONS()
def m001_first_tables(database: Database) -> None:
    for statement in (
        # One row for each key of each dataset. A destroyed epoch keeps its public facts.
        """
        CREATE TABLE epoch (
            dataset TEXT NOT NULL,
            epoch TEXT NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('pending', 'active', 'expired', 'destroyed')),
            public_key BLOB NOT NULL CHECK (length(public_key) = 32),
            wrapped_key BLOB,           -- the OPRF key; NULL once destroyed
            wrapped_secret BLOB,        -- what references, digests and receipts derive from; NULL once destroyed
            created_at TEXT NOT NULL,
            not_before TEXT NOT NULL,   -- the span told to banks in every manifest
            not_after TEXT NOT NULL,
            activated_at TEXT,
            expired_at TEXT,
            destroyed_at TEXT,
            PRIMARY KEY (dataset, epoch),
            CHECK ((state = 'destroyed') = (wrapped_key IS NULL)),
            CHECK ((state = 'destroyed') = (wrapped_secret IS NULL))
        ) STRICT
        """,
        # The one identity this home acts as.
        """
        CREATE TABLE identity (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            name TEXT NOT NULL,
            kind TEXT NOT NULL,
            verify_key BLOB NOT NULL CHECK (length(verify_key) = 32),
            wrapped_seed BLOB NOT NULL,
            created_at TEXT NOT NULL
        ) STRICT
        """,
        # Keys under which this party's own stores and files are encrypted.
        """
        CREATE TABLE store_secret (
            name TEXT PRIMARY KEY,
            wrapped BLOB NOT NULL,
            created_at TEXT NOT NULL
        ) STRICT
        """,
        # A known value under the key-encryption key in force: nothing is wrapped under another.
        """
        CREATE TABLE kek_check (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            wrapped BLOB NOT NULL,
            provider TEXT NOT NULL
        ) STRICT
        """,
        # Every change of state and every opening of a key: when, who, what, about which, why.
        """
        CREATE TABLE event (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            at TEXT NOT NULL,
            actor TEXT NOT NULL,
            action TEXT NOT NULL,
            subject TEXT NOT NULL,
            detail TEXT NOT NULL
        ) STRICT
        """,
        "CREATE TRIGGER event_kept BEFORE DELETE ON event BEGIN SELECT RAISE(ABORT, 'events are kept'); END",
        "CREATE TRIGGER event_fixed BEFORE UPDATE ON event BEGIN SELECT RAISE(ABORT, 'events are fixed'); END",
    ):
        database.conn.execute(statement)


@MIGRATIONS()
def m002_destructions(database: Database) -> None:
    for statement in (
        # One row for each destroyed key: the record this party signed, kept for ever.
        """
        CREATE TABLE destruction (
            dataset TEXT NOT NULL,
            epoch TEXT NOT NULL,
            envelope BLOB NOT NULL,     -- keys.destruction
            shredded_at TEXT,           -- when nothing of the key was left in this file and its log
            PRIMARY KEY (dataset, epoch),
            FOREIGN KEY (dataset, epoch) REFERENCES epoch (dataset, epoch)
        ) STRICT
        """,
        "CREATE TRIGGER destruction_kept BEFORE DELETE ON destruction"
        " BEGIN SELECT RAISE(ABORT, 'destructions are kept'); END",
    ):
        database.conn.execute(statement)


@MIGRATIONS()
def m003_operators(database: Database) -> None:
    for statement in (
        # The persons who may decide for this party. A revoked one stays, and never comes back.
        """
        CREATE TABLE operator (
            fingerprint TEXT PRIMARY KEY CHECK (length(fingerprint) = 64),
            name TEXT NOT NULL UNIQUE,
            verify_key BLOB NOT NULL CHECK (length(verify_key) = 32),
            roles TEXT NOT NULL CHECK (json_type(roles) = 'array'),
            state TEXT NOT NULL CHECK (state IN ('active', 'revoked')),
            registered_at TEXT NOT NULL,
            revoked_at TEXT,
            CHECK ((state = 'revoked') = (revoked_at IS NOT NULL))
        ) STRICT
        """,
        # Registrations and revocations that wait for their second signature.
        """
        CREATE TABLE operator_proposal (
            action TEXT NOT NULL CHECK (action IN ('register', 'revoke')),
            fingerprint TEXT NOT NULL,
            proposer TEXT NOT NULL REFERENCES operator (fingerprint),
            envelope BLOB NOT NULL,
            proposed_at TEXT NOT NULL,
            PRIMARY KEY (action, fingerprint)
        ) STRICT
        """,
    ):
        database.conn.execute(statement)
