"""The signed head of an audit chain: what is kept outside the store, so that a cut or rewritten chain shows.

Signed with the home's identity, printed and kept by somebody else. docs/reference/signed-documents.md has the format.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime

from keys.clock import format_time, parse_time
from keys.envelope import open_envelope, sign_envelope
from keys.identity import Identity, PublicIdentity
from keys.strictjson import JsonInvalid, parse_object, require_text
from matcher.audit import AuditHead
from psi.errors import VerificationError

HEAD_TYPE = "application/vnd.mingce.audit-head+json"
HEAD_FORMAT = "mingce-audit-head/1"
MAX_HEAD_BYTES = 8 * 1024

_TEXTS = ("format", "home", "hash", "signed_by", "signed_at")


class AuditHeadInvalid(VerificationError):
    """A signed document is no head of format mingce-audit-head/1."""

    code = "audit_head_invalid"


@dataclass(frozen=True)
class SignedHead:
    """``home``: fingerprint of the identity whose chain it is; ``signed_by``: the account that had it signed."""

    home: str
    head: AuditHead
    signed_by: str
    signed_at: datetime


def sign_head(identity: Identity, head: AuditHead, *, signed_by: str, at: datetime) -> bytes:
    """The document: an envelope by the home's identity."""
    document = {
        "format": HEAD_FORMAT,
        "home": identity.public.fingerprint,
        "seq": head.seq,
        "hash": head.hash,
        "signed_by": signed_by,
        "signed_at": format_time(at),
    }
    payload = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    return sign_envelope(identity, HEAD_TYPE, payload)


def open_head(envelope: bytes, signer: PublicIdentity) -> SignedHead:
    """Raises AuditHeadInvalid, EnvelopeInvalid, UntrustedSigner, SignatureInvalid."""
    payload = open_envelope(envelope, HEAD_TYPE, signer)
    try:
        found = parse_object(payload, (*_TEXTS, "seq"), max_bytes=MAX_HEAD_BYTES)
        texts = {name: require_text(found[name]) for name in _TEXTS}
        seq, signed_at = found["seq"], parse_time(texts["signed_at"])
    except (JsonInvalid, ValueError):
        raise AuditHeadInvalid("not a head of an audit chain") from None
    if texts["format"] != HEAD_FORMAT or texts["home"] != signer.fingerprint:
        raise AuditHeadInvalid("not a mingce-audit-head/1 document of this home")
    if type(seq) is not int or seq < 1 or not re.fullmatch(r"[0-9a-f]{64}", texts["hash"]):
        raise AuditHeadInvalid("not the number and hash of a row")
    return SignedHead(texts["home"], AuditHead(seq, texts["hash"]), texts["signed_by"], signed_at)
