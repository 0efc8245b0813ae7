"""Signed documents: DSSE envelopes with exactly one Ed25519 signature.

Follows the DSSE protocol 1.0.2 (secure-systems-lab/dsse, protocol.md and envelope.md),
narrowed as docs/reference/edition.md says: one signature, ``keyid`` is the signer's
fingerprint, base64 is the canonical form of RFC 4648 section 4.
"""

from __future__ import annotations

import base64
import binascii
import json
import re

from keys.identity import Identity, PublicIdentity
from keys.strictjson import JsonInvalid, parse_object, require_members, require_text
from psi.errors import VerificationError

MAX_ENVELOPE_BYTES = 8 * 1024 * 1024


class EnvelopeInvalid(VerificationError):
    """Bytes are not an envelope of the expected payload type."""

    code = "envelope_invalid"


class UntrustedSigner(VerificationError):
    """The envelope names another signer than the pinned one; ``params`` has both fingerprints."""

    code = "untrusted_signer"


def sign_envelope(identity: Identity, payload_type: str, payload: bytes) -> bytes:
    """The envelope around ``payload``, as compact JSON; the same input gives the same bytes."""
    signature = identity.sign(_signed_bytes(payload_type, payload))
    envelope = {
        "payloadType": payload_type,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": identity.public.fingerprint, "sig": base64.b64encode(signature).decode()}],
    }
    return json.dumps(envelope, ensure_ascii=False, separators=(",", ":")).encode()


def open_envelope(
    envelope: bytes, payload_type: str, trusted: PublicIdentity, *, max_bytes: int = MAX_ENVELOPE_BYTES
) -> bytes:
    """The payload, once its signature by ``trusted`` has been verified.

    Raises EnvelopeInvalid (not such an envelope), UntrustedSigner (another signer is named;
    params ``expected`` and ``found``) or SignatureInvalid (the named signer did not sign this).
    """
    found_type, payload, keyid, signature = _parse(envelope, max_bytes)
    if found_type != payload_type:
        raise EnvelopeInvalid("another payload type", expected=payload_type)
    if keyid != trusted.fingerprint:
        raise UntrustedSigner("signed by another identity", expected=trusted.fingerprint, found=keyid)
    trusted.verify(_signed_bytes(payload_type, payload), signature)
    return payload


def claimed_signer(envelope: bytes, *, max_bytes: int = MAX_ENVELOPE_BYTES) -> str:
    """The fingerprint an envelope claims, to choose whom to verify it against. Nothing is verified."""
    return _parse(envelope, max_bytes)[2]


def _signed_bytes(payload_type: str, payload: bytes) -> bytes:
    """PAE of DSSE protocol.md: ``"DSSEv1" SP LEN(type) SP type SP LEN(body) SP body``."""
    encoded_type = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(encoded_type), encoded_type, len(payload), payload)


def _parse(envelope: bytes, max_bytes: int) -> tuple[str, bytes, str, bytes]:
    """(payload type, payload, keyid, signature); nothing verified yet. Raises EnvelopeInvalid."""
    try:
        outer = parse_object(envelope, ("payloadType", "payload", "signatures"), max_bytes=max_bytes)
        signatures = outer["signatures"]
        if not isinstance(signatures, list) or len(signatures) != 1:
            raise EnvelopeInvalid("an envelope has exactly one signature")
        inner = require_members(signatures[0], ("keyid", "sig"))
        keyid = require_text(inner["keyid"])
        if not re.fullmatch(r"[0-9a-f]{64}", keyid):
            raise EnvelopeInvalid("keyid is not a fingerprint")
        return require_text(outer["payloadType"]), _decode(outer["payload"]), keyid, _decode(inner["sig"])
    except JsonInvalid as error:
        raise EnvelopeInvalid(error.detail) from None


def _decode(value: object) -> bytes:
    """Canonical base64 only: every byte string has one spelling."""
    text = require_text(value)
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise EnvelopeInvalid("not base64") from None
    if base64.b64encode(decoded).decode() != text:
        raise EnvelopeInvalid("base64 is not canonical")
    return decoded
