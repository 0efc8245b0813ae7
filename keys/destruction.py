"""The record of a destroyed epoch key: who destroyed which key, when, why, and what went with it.

A signed envelope of the payload below, kept in ``keys.sqlite`` for ever. It proves that this party said
so; copies of the key in backups are beyond it, and must be destroyed by whoever keeps the backups.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from keys.clock import format_time, parse_time
from keys.envelope import open_envelope, sign_envelope
from keys.epochs import EpochRecord
from keys.identity import Identity, PublicIdentity
from keys.strictjson import JsonInvalid, parse_object, require_text
from psi.errors import VerificationError

PAYLOAD_TYPE = "application/vnd.mingce.destruction+json"
FORMAT = "mingce-destruction/1"
_TEXTS = ("format", "dataset", "epoch", "public_key", "fingerprint", "actor", "reason", "destroyed_at")
_MAX_BYTES = 1024 * 1024


class DestructionInvalid(VerificationError):
    """A destruction record is not of format mingce-destruction/1."""

    code = "destruction_invalid"


@dataclass(frozen=True)
class Destruction:
    """``removed`` names what went with the key. ``shredded_at`` is None while traces of it may be left."""

    dataset: str
    epoch: str
    public_key: str
    fingerprint: str
    actor: str
    reason: str
    destroyed_at: datetime
    removed: tuple[str, ...]
    envelope: bytes
    shredded_at: datetime | None = None


def sign_destruction(
    identity: Identity, record: EpochRecord, *, actor: str, reason: str, at: datetime, removed: Sequence[str]
) -> bytes:
    """The envelope that says that the key of ``record`` was destroyed."""
    payload = {
        "format": FORMAT,
        "dataset": record.dataset,
        "epoch": record.epoch,
        "public_key": record.public_key.hex(),
        "fingerprint": record.fingerprint,
        "actor": actor,
        "reason": reason,
        "destroyed_at": format_time(at),
        "removed": list(removed),
    }
    return sign_envelope(identity, PAYLOAD_TYPE, json.dumps(payload, ensure_ascii=False).encode())


def open_destruction(envelope: bytes, signer: PublicIdentity) -> Destruction:
    """Raises DestructionInvalid, or the envelope's VerificationError kinds."""
    payload = open_envelope(envelope, PAYLOAD_TYPE, signer)
    try:
        document = parse_object(payload, (*_TEXTS, "removed"), max_bytes=_MAX_BYTES)
        texts = {name: require_text(document[name]) for name in _TEXTS}
        removed = document["removed"]
        if texts["format"] != FORMAT or not isinstance(removed, list):
            raise DestructionInvalid("not a mingce-destruction/1 record")
        destroyed_at = parse_time(texts["destroyed_at"])
        paths = tuple(require_text(path) for path in removed)
    except (JsonInvalid, ValueError) as error:
        raise DestructionInvalid(f"not a destruction record: {type(error).__name__}") from None
    return Destruction(
        dataset=texts["dataset"],
        epoch=texts["epoch"],
        public_key=texts["public_key"],
        fingerprint=texts["fingerprint"],
        actor=texts["actor"],
        reason=texts["reason"],
        destroyed_at=destroyed_at,
        removed=paths,
        envelope=envelope,
    )
