"""The schema of what certificates.py keeps."""

from __future__ import annotations

STATEMENTS = (
    """
CREATE TABLE client_certificate (
    spki_sha256 TEXT PRIMARY KEY CHECK (length(spki_sha256) = 64),
    party TEXT NOT NULL REFERENCES party (fingerprint),
    bound_at TEXT NOT NULL
) STRICT, WITHOUT ROWID
""",
    "CREATE INDEX client_certificate_by_party ON client_certificate (party)",
)
