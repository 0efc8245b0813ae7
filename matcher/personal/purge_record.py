"""The record of a purge: what was deleted, how much of it, by which clock. Signed with the home's identity.

It names nobody. A kind's digest is SHA-256 over the references of its rows, sorted, each followed by a line feed: who
has a backup from before can make it again and sees that exactly those rows went. docs/reference/signed-documents.md
has the format.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from keys.clock import format_time, parse_time
from keys.envelope import open_envelope, sign_envelope
from keys.identity import Identity, PublicIdentity
from keys.strictjson import JsonInvalid, parse_object, require_members, require_text
from psi.errors import VerificationError

PURGE_TYPE = "application/vnd.mingce.purge+json"
PURGE_FORMAT = "mingce-purge/1"
MAX_PURGE_BYTES = 64 * 1024


class PurgeRecordInvalid(VerificationError):
    """A signed document is no record of format mingce-purge/1."""

    code = "purge_record_invalid"


@dataclass(frozen=True)
class PurgedKind:
    """``rows`` records whose clock began before ``before`` and ran ``days`` days; ``references``: the digest."""

    kind: str
    days: int
    before: str
    rows: int
    references: str


@dataclass(frozen=True)
class PurgeRecord:
    """``kept``: how many households whose clock had run out were kept, by what is open about them."""

    home: str
    account: str
    at: datetime
    kinds: tuple[PurgedKind, ...]
    kept: Mapping[str, int]

    @property
    def rows(self) -> int:
        return sum(one.rows for one in self.kinds)


def digest_references(references: Iterable[str]) -> str:
    hashed = hashlib.sha256()
    for reference in sorted(references):
        hashed.update(reference.encode() + b"\n")
    return hashed.hexdigest()


def sign_purge(identity: Identity, record: PurgeRecord) -> bytes:
    """The envelope."""
    document = {
        "format": PURGE_FORMAT,
        "home": record.home,
        "account": record.account,
        "at": format_time(record.at),
        "kinds": [vars(one) for one in record.kinds],
        "kept": dict(record.kept),
    }
    payload = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    return sign_envelope(identity, PURGE_TYPE, payload)


def open_purge(envelope: bytes, signer: PublicIdentity) -> PurgeRecord:
    """Raises PurgeRecordInvalid, EnvelopeInvalid, UntrustedSigner, SignatureInvalid."""
    payload = open_envelope(envelope, PURGE_TYPE, signer)
    try:
        found = parse_object(payload, ("format", "home", "account", "at", "kinds", "kept"), max_bytes=MAX_PURGE_BYTES)
        if found["format"] != PURGE_FORMAT or found["home"] != signer.fingerprint:
            raise PurgeRecordInvalid("not a mingce-purge/1 record of this home")
        kinds, kept = found["kinds"], found["kept"]
        if not isinstance(kinds, list) or not isinstance(kept, dict):
            raise PurgeRecordInvalid("kinds is no list, or kept no object")
        return PurgeRecord(
            signer.fingerprint,
            require_text(found["account"]),
            parse_time(require_text(found["at"])),
            tuple(_parse_kind(one) for one in kinds),
            {reason: _count(households) for reason, households in kept.items()},
        )
    except (JsonInvalid, ValueError):
        raise PurgeRecordInvalid("not a record of a purge") from None


def _parse_kind(value: object) -> PurgedKind:
    found = require_members(value, tuple(PurgedKind.__dataclass_fields__))
    return PurgedKind(
        require_text(found["kind"]),
        _count(found["days"]),
        require_text(found["before"]),
        _count(found["rows"]),
        require_text(found["references"]),
    )


def _count(value: object) -> int:
    if type(value) is not int or value < 0:
        raise PurgeRecordInvalid("not a count")
    return value
