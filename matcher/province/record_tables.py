"""Migration m004's statements: exchange records, and which charges they account for."""

from __future__ import annotations

STATEMENTS = (
    """
    CREATE TABLE exchange_record (
        sha256 TEXT PRIMARY KEY CHECK (length(sha256) = 64),
        party TEXT NOT NULL REFERENCES party (fingerprint),
        run_id TEXT NOT NULL CHECK (length(run_id) = 32),
        warrant_sha256 TEXT NOT NULL CHECK (length(warrant_sha256) = 64),
        dataset TEXT NOT NULL REFERENCES dataset (name),
        epoch TEXT NOT NULL,
        edition INTEGER NOT NULL,
        batches INTEGER NOT NULL,
        elements INTEGER NOT NULL,
        envelope BLOB NOT NULL,
        recorded_at TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX exchange_record_by_place ON exchange_record (dataset, epoch, party)",
    """
    CREATE TABLE recorded_charge (
        party TEXT NOT NULL REFERENCES party (fingerprint),
        idempotency_key TEXT NOT NULL,
        sha256 TEXT NOT NULL REFERENCES exchange_record (sha256),
        PRIMARY KEY (party, idempotency_key)
    ) STRICT, WITHOUT ROWID
    """,
)
