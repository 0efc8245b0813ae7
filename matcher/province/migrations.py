"""The schema of the province's ledger. docs/reference/province-store.md explains every column."""

from __future__ import annotations

from sqlite_utils import Database, Migrations

from matcher.numbering import give_once
from matcher.province import budget_tables, certificate_tables, record_tables

PROVINCE_MIGRATIONS = Migrations("province")

_PARTIES = """
CREATE TABLE party (
    fingerprint TEXT PRIMARY KEY CHECK (length(fingerprint) = 64),
    name TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL CHECK (kind IN ('bank', 'bureau', 'department')),
    verify_key BLOB NOT NULL CHECK (length(verify_key) = 32),
    state TEXT NOT NULL CHECK (state IN ('active', 'suspended')),
    registered_at TEXT NOT NULL
) STRICT;

CREATE TABLE dataset (
    name TEXT PRIMARY KEY,
    title TEXT NOT NULL,
    label_schema TEXT NOT NULL CHECK (json_valid(label_schema)),
    current_epoch TEXT,
    created_at TEXT NOT NULL
) STRICT;

CREATE TABLE grant (
    party TEXT NOT NULL REFERENCES party (fingerprint),
    dataset TEXT NOT NULL REFERENCES dataset (name),
    divisions TEXT CHECK (divisions IS NULL OR json_type(divisions) = 'array'),
    granted_at TEXT NOT NULL,
    PRIMARY KEY (party, dataset)
) STRICT, WITHOUT ROWID;
"""

_EVALUATIONS = """
CREATE TABLE budget (
    party TEXT NOT NULL REFERENCES party (fingerprint),
    dataset TEXT NOT NULL REFERENCES dataset (name),
    epoch TEXT NOT NULL,
    lim INTEGER NOT NULL CHECK (lim BETWEEN 0 AND 4294967296),
    used INTEGER NOT NULL DEFAULT 0 CHECK (used >= 0),
    PRIMARY KEY (party, dataset, epoch)
) STRICT, WITHOUT ROWID;

CREATE TABLE charge (
    party TEXT NOT NULL REFERENCES party (fingerprint),
    idempotency_key TEXT NOT NULL CHECK (length(idempotency_key) = 32),
    dataset TEXT NOT NULL,
    epoch TEXT NOT NULL,
    body_sha256 TEXT NOT NULL CHECK (length(body_sha256) = 64),
    n INTEGER NOT NULL CHECK (n BETWEEN 1 AND 65535),
    charged_at TEXT NOT NULL,
    answered_at TEXT,
    answer_sha256 TEXT CHECK (length(answer_sha256) = 64),
    PRIMARY KEY (party, idempotency_key),
    FOREIGN KEY (party, dataset, epoch) REFERENCES budget (party, dataset, epoch)
) STRICT, WITHOUT ROWID;

CREATE TABLE nonce (
    keyid TEXT NOT NULL,
    nonce TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    PRIMARY KEY (keyid, nonce)
) STRICT, WITHOUT ROWID;

CREATE INDEX nonce_by_expiry ON nonce (expires_at);
"""

_EDITIONS = """
CREATE TABLE edition (
    dataset TEXT NOT NULL REFERENCES dataset (name),
    epoch TEXT NOT NULL,
    edition INTEGER NOT NULL CHECK (edition >= 1),
    manifest_sha256 TEXT NOT NULL CHECK (length(manifest_sha256) = 64),
    folder TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL CHECK (state IN ('current', 'superseded')),
    published_at TEXT NOT NULL,
    rows INTEGER NOT NULL CHECK (rows >= 0),
    counts TEXT NOT NULL CHECK (json_type(counts) = 'object'),
    PRIMARY KEY (dataset, epoch, edition)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX one_current_edition ON edition (dataset, epoch) WHERE state = 'current';
"""

_AUDIT = """
CREATE TABLE audit (
    seq INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL CHECK (json_type(detail) = 'object'),
    previous TEXT NOT NULL CHECK (length(previous) = 64),
    hash TEXT NOT NULL CHECK (length(hash) = 64)
) STRICT;

CREATE TRIGGER audit_only_at_the_end BEFORE INSERT ON audit
WHEN NEW.seq <> (SELECT COALESCE(MAX(seq), 0) + 1 FROM audit)
BEGIN SELECT RAISE(ABORT, 'audit rows are only added at the end'); END;

CREATE TRIGGER audit_never_updated BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'audit rows never change'); END;

CREATE TRIGGER audit_never_deleted BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'audit rows are never deleted'); END;
"""


@PROVINCE_MIGRATIONS()
def m001_ledger(db: Database) -> None:
    for script in (_PARTIES, _EVALUATIONS, _EDITIONS, _AUDIT):
        db.executescript(script)


@PROVINCE_MIGRATIONS()
def m002_life_of_editions(db: Database) -> None:
    for column in ("base INTEGER", "restored INTEGER", "pruned_at TEXT"):
        db.execute(f"ALTER TABLE edition ADD COLUMN {column}")


@PROVINCE_MIGRATIONS()
def m003_budgets_of_entities(db: Database) -> None:
    for statement in budget_tables.STATEMENTS:
        db.execute(statement)


@PROVINCE_MIGRATIONS()
def m006_client_certificates(db: Database) -> None:
    for statement in certificate_tables.STATEMENTS:
        db.execute(statement)


@PROVINCE_MIGRATIONS()
def m005_receivers_of_datasets(db: Database) -> None:
    db.execute(
        "ALTER TABLE dataset ADD COLUMN receivers TEXT NOT NULL"
        """ DEFAULT '["bank", "bureau"]' CHECK (json_type(receivers) = 'array')"""
    )


@PROVINCE_MIGRATIONS()
def m004_exchange_records(db: Database) -> None:
    for statement in record_tables.STATEMENTS:
        db.execute(statement)


@PROVINCE_MIGRATIONS()
def m007_numbers(db: Database) -> None:
    for statement in give_once("alarm", "declaration"):
        db.execute(statement)
