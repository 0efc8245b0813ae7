"""The audit chain: every row carries the hash of the one before it.

Triggers refuse updates and deletes; whoever goes round them breaks the chain, which
:func:`verify_chain` shows. Cutting rows off the end leaves a shorter chain that is
whole in itself, so keep the head that :func:`verify_chain` returns somewhere else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlite_utils import Database

from keys.clock import format_time
from psi.errors import VerificationError

GENESIS = "0" * 64


class AuditBroken(VerificationError):
    """The audit chain does not hold; ``params["seq"]`` is the first row that does not fit."""

    code = "audit_broken"


@dataclass(frozen=True)
class AuditHead:
    """The last row of a chain: its number (0 for an empty chain) and its hash."""

    seq: int
    hash: str


def append_row(
    db: Database, *, at: datetime, actor: str, action: str, subject: str, detail: Mapping[str, object]
) -> int:
    """Add one row, inside the caller's write transaction; returns its number. ``detail`` may hold no personal data."""
    last = db.execute("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
    seq, previous = (last[0] + 1, last[1]) if last else (1, GENESIS)
    content = (seq, format_time(at), actor, action, subject, _canonical_json(detail), previous)
    db.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*content, _row_hash(content)))
    return int(seq)


def verify_chain(db: Database) -> AuditHead:
    """Recompute the whole chain. Raises AuditBroken naming the first bad row."""
    head = AuditHead(0, GENESIS)
    for *content, stored_hash in db.execute(
        "SELECT seq, at, actor, action, subject, detail, previous, hash FROM audit ORDER BY seq"
    ):
        seq, previous = content[0], content[-1]
        if seq != head.seq + 1 or previous != head.hash or stored_hash != _row_hash(content):
            raise AuditBroken("the audit chain is broken", seq=seq)
        head = AuditHead(seq, stored_hash)
    return head


def _row_hash(content: object) -> str:
    """SHA-256 over the JSON array [seq, at, actor, action, subject, detail, previous]; ``detail`` is a string in it."""
    return hashlib.sha256(_canonical_json(content).encode()).hexdigest()


def _canonical_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
