"""The schema of the bank's store, ``<home>/bank.sqlite``. Explained in docs/reference/bank-store.md."""

from __future__ import annotations

from sqlite_utils import Database, Migrations

from matcher.alarms import ALARM_TABLE
from matcher.numbering import give_once

BANK_MIGRATIONS = Migrations("bank")

_TABLES = (
    """
    CREATE TABLE epoch_pin (
        dataset     TEXT NOT NULL,
        epoch       TEXT NOT NULL,
        public_key  TEXT NOT NULL,  -- hex; the first one a signed manifest gave, and the only one ever accepted
        fingerprint TEXT NOT NULL,  -- hex SHA-256 of the public key
        pinned_at   TEXT NOT NULL,
        PRIMARY KEY (dataset, epoch)
    ) STRICT
    """,
    """
    CREATE TABLE edition (
        dataset         TEXT NOT NULL,
        epoch           TEXT NOT NULL,
        edition         INTEGER NOT NULL,
        manifest_sha256 TEXT NOT NULL,  -- of the payload; the next edition's "previous"
        envelope        BLOB NOT NULL,  -- as received and verified: evidence of what the province signed
        seen_at         TEXT NOT NULL,
        adopted_at      TEXT,           -- set once every slice the bank uses was found sound
        slices          TEXT,           -- JSON list: the SHA-256 of those slices
        PRIMARY KEY (dataset, epoch, edition)
    ) STRICT
    """,
    """
    CREATE TABLE run (
        run_id          TEXT PRIMARY KEY,  -- 32 hex digits, random
        state           TEXT NOT NULL CHECK (state IN
            ('PROPOSED', 'AUTHORISED', 'RUNNING', 'COMPLETED', 'ABORTED', 'RELEASED', 'ARCHIVED')),
        dataset         TEXT NOT NULL,
        epoch           TEXT NOT NULL,
        edition         INTEGER NOT NULL,
        manifest_sha256 TEXT NOT NULL,
        label_width     INTEGER NOT NULL,  -- bytes; receipts cover the padded label
        divisions       TEXT NOT NULL,     -- JSON list of the slices looked at
        purpose         TEXT NOT NULL,     -- PIPL 6, 13: recorded for every run
        legal_basis     TEXT NOT NULL,
        operator        TEXT NOT NULL,
        list_name       TEXT NOT NULL,     -- the customer file's name, without its folder
        sealed_seed     BLOB NOT NULL,     -- 32 bytes; the blinds of the batches planned by this run come from it
        customers       INTEGER NOT NULL,  -- rows of the list
        asked           INTEGER,           -- items whose answers came in this run; NULL until COMPLETED
        charged         INTEGER,           -- elements of those batches, padding included
        matched         INTEGER,           -- rows of the list with a label
        created_at      TEXT NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE run_event (
        run_id   TEXT NOT NULL REFERENCES run (run_id),
        state    TEXT NOT NULL,
        at       TEXT NOT NULL,
        operator TEXT NOT NULL,
        note     TEXT NOT NULL DEFAULT ''  -- for ABORTED the error's code
    ) STRICT
    """,
    """
    CREATE TABLE batch (
        request_id     TEXT PRIMARY KEY,  -- 32 hex digits, random; also the Idempotency-Key and the blinding context
        run_id         TEXT NOT NULL REFERENCES run (run_id),  -- whose seed the blinds come from
        no             INTEGER NOT NULL,  -- 1, 2, 3 ... within the run
        dataset        TEXT NOT NULL,
        epoch          TEXT NOT NULL,
        n              INTEGER NOT NULL CHECK (n BETWEEN 1 AND padded),
        padded         INTEGER NOT NULL CHECK (padded <= 65535),
        state          TEXT NOT NULL CHECK (state IN ('PENDING', 'DONE')),
        sealed_items   BLOB NOT NULL,     -- n*18 bytes
        sealed_outputs BLOB,              -- n*64 bytes; present exactly when DONE
        request_sha256 TEXT,              -- of the bodies as they went over the wire, for a later audit
        answer_sha256  TEXT,
        planned_at     TEXT NOT NULL,
        answered_at    TEXT,
        UNIQUE (run_id, no),
        CHECK ((state = 'DONE') = (sealed_outputs IS NOT NULL))
    ) STRICT
    """,
    "CREATE INDEX batch_by_epoch ON batch (dataset, epoch, state)",
    """
    CREATE TABLE screening_block (
        run_id  TEXT NOT NULL REFERENCES run (run_id),
        block   INTEGER NOT NULL,
        rows    INTEGER NOT NULL,
        matched INTEGER NOT NULL,
        sealed  BLOB NOT NULL,  -- an Arrow IPC stream of the screening records
        PRIMARY KEY (run_id, block)
    ) STRICT
    """,
    ALARM_TABLE,
)


@BANK_MIGRATIONS()
def m001_first_tables(database: Database) -> None:
    for statement in _TABLES:
        database.execute(statement)


_ACCOUNTABILITY = (
    """
    CREATE TABLE warrant (
        sha256      TEXT PRIMARY KEY CHECK (length(sha256) = 64),  -- of the signed payload
        state       TEXT NOT NULL CHECK (state IN ('PROPOSED', 'SIGNED', 'REVOKED')),
        envelope    BLOB NOT NULL,  -- with one signature or two
        proposed_at TEXT NOT NULL,
        signed_at   TEXT,
        revoked_at  TEXT,
        revocation  BLOB,           -- signed by the operator who took it back
        CHECK ((state = 'REVOKED') = (revocation IS NOT NULL))
    ) STRICT
    """,
    "ALTER TABLE run ADD COLUMN agreement_no TEXT",
    "ALTER TABLE run ADD COLUMN warrant_sha256 TEXT",  # NULL for runs from before there were warrants
    "ALTER TABLE run ADD COLUMN list_sha256 TEXT",  # of the customer file, so that an auditor gets the same file
    "ALTER TABLE batch ADD COLUMN sealed_rows BLOB",  # n*8 bytes: the items' row numbers in that file
    "ALTER TABLE batch ADD COLUMN asked_run_id TEXT REFERENCES run (run_id)",  # which sent it last; NULL: never sent
    "ALTER TABLE batch ADD COLUMN record_sha256 TEXT",  # the exchange record that names it with its answer
    "UPDATE batch SET asked_run_id = run_id, record_sha256 = '' WHERE state = 'DONE'",  # from before there were records
    """
    CREATE TABLE exchange_record (
        sha256        TEXT PRIMARY KEY CHECK (length(sha256) = 64),  -- of the signed payload
        run_id        TEXT NOT NULL REFERENCES run (run_id),
        dataset       TEXT NOT NULL,
        epoch         TEXT NOT NULL,
        state         TEXT NOT NULL CHECK (state IN ('SIGNED', 'COUNTERSIGNED', 'DISPUTED')),
        envelope      BLOB NOT NULL,  -- signed by the bank, and by the province once COUNTERSIGNED
        elements      INTEGER NOT NULL,
        signed_at     TEXT NOT NULL,
        settled_at    TEXT
    ) STRICT
    """,
    """
    CREATE TABLE audit_opening (
        draw_sha256    TEXT PRIMARY KEY CHECK (length(draw_sha256) = 64),  -- of the auditor's signed payload
        record_sha256  TEXT NOT NULL REFERENCES exchange_record (sha256),
        auditor        TEXT NOT NULL,  -- fingerprint
        positions      INTEGER NOT NULL,
        approval       BLOB NOT NULL,  -- the operators' decision to open, with one signature or two
        approved_at    TEXT,
        opened_at      TEXT,
        opening_sha256 TEXT            -- of the sealed file that was given out
    ) STRICT
    """,
)


@BANK_MIGRATIONS()
def m003_accountability(database: Database) -> None:
    for statement in _ACCOUNTABILITY:
        database.execute(statement)


@BANK_MIGRATIONS()
def m005_forgotten_epochs(database: Database) -> None:
    database.execute(
        """
        CREATE TABLE forgotten_epoch (
            number    INTEGER PRIMARY KEY,
            dataset   TEXT NOT NULL,
            epoch     TEXT NOT NULL,
            at        TEXT NOT NULL,
            operator  TEXT NOT NULL,
            batches   INTEGER NOT NULL,  -- whose PRF outputs are gone since
            customers INTEGER NOT NULL,
            openings  INTEGER NOT NULL   -- batches that no auditor can have opened any more
        ) STRICT
        """
    )


@BANK_MIGRATIONS()
def m006_told_budgets(database: Database) -> None:
    database.execute(
        """
        CREATE TABLE told_budget (
            dataset   TEXT NOT NULL,
            epoch     TEXT NOT NULL,
            total     INTEGER NOT NULL,  -- elements of the full pass
            used      INTEGER NOT NULL,
            remaining INTEGER NOT NULL,  -- what could be asked then, a nightly allowance included
            told_at   TEXT NOT NULL,     -- by this side's clock
            PRIMARY KEY (dataset, epoch)
        ) STRICT
        """
    )


@BANK_MIGRATIONS()
def m007_numbers(database: Database) -> None:
    for statement in give_once("alarm", "forgotten_epoch"):
        database.execute(statement)
