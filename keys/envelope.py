"""Signed documents: DSSE envelopes with Ed25519 signatures.

Follows the DSSE protocol 1.0.2 (secure-systems-lab/dsse, protocol.md and envelope.md),
narrowed as docs/reference/edition.md says: ``keyid`` is the signer's fingerprint, base64 is
the canonical form of RFC 4648 section 4. A document of one party carries exactly one
signature (:func:`open_envelope`); one that several must agree to carries theirs side by side
over the same bytes (:func:`open_countersigned`).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from keys.identity import Identity, PublicIdentity
from keys.strictjson import JsonInvalid, parse_object, require_members, require_text
from psi.errors import InputError, MingceError, VerificationError

MAX_ENVELOPE_BYTES = 8 * 1024 * 1024
MAX_SIGNATURES = 8


class EnvelopeInvalid(VerificationError):
    """Bytes are not an envelope of the expected payload type."""

    code = "envelope_invalid"


class UntrustedSigner(VerificationError):
    """The envelope names another signer than the pinned one; ``params`` has both fingerprints."""

    code = "untrusted_signer"


class SignerUnknown(VerificationError):
    """A signature is by nobody who may sign such a document; ``params["found"]`` is the fingerprint it names."""

    code = "signer_unknown"


class SignaturesMissing(MingceError):
    """A sound document still lacks signatures; params ``found`` and ``needed``."""

    code = "signatures_missing"


class AlreadySigned(InputError):
    """The same person signs once; ``params["fingerprint"]``."""

    code = "already_signed"


@dataclass(frozen=True)
class Countersigned:
    """A payload and all who signed it, in the order of their signatures; that order is not itself signed."""

    payload: bytes
    signers: tuple[PublicIdentity, ...]


def sign_envelope(identity: Identity, payload_type: str, payload: bytes) -> bytes:
    """The envelope around ``payload``, as compact JSON; the same input gives the same bytes."""
    return _encode(payload_type, payload, [(identity.public.fingerprint, _signature(identity, payload_type, payload))])


def add_signature(envelope: bytes, identity: Identity) -> bytes:
    """The same document with one more signature. What others signed before is not verified here.

    Raises EnvelopeInvalid, AlreadySigned.
    """
    payload_type, payload, signatures = _parse(envelope, MAX_ENVELOPE_BYTES)
    if any(keyid == identity.public.fingerprint for keyid, _ in signatures):
        raise AlreadySigned("signed by this key already", fingerprint=identity.public.fingerprint)
    signed = (identity.public.fingerprint, _signature(identity, payload_type, payload))
    return _encode(payload_type, payload, [*signatures, signed])


def open_envelope(
    envelope: bytes, payload_type: str, trusted: PublicIdentity, *, max_bytes: int = MAX_ENVELOPE_BYTES
) -> bytes:
    """The payload, once its signature by ``trusted`` has been verified.

    Raises EnvelopeInvalid (not such an envelope), UntrustedSigner (another signer is named;
    params ``expected`` and ``found``) or SignatureInvalid (the named signer did not sign this).
    """
    found_type, payload, keyid, signature = _parse_single(envelope, max_bytes)
    if found_type != payload_type:
        raise EnvelopeInvalid("another payload type", expected=payload_type)
    if keyid != trusted.fingerprint:
        raise UntrustedSigner("signed by another identity", expected=trusted.fingerprint, found=keyid)
    trusted.verify(_signed_bytes(payload_type, payload), signature)
    return payload


def open_countersigned(
    envelope: bytes,
    payload_type: str,
    find_identity: Callable[[str], PublicIdentity | None],
    *,
    minimum: int = 2,
    max_bytes: int = MAX_ENVELOPE_BYTES,
) -> Countersigned:
    """The payload and its signers, once every signature has been verified and there are ``minimum`` of them.

    ``find_identity`` gives the identity of a fingerprint, or None for one that may not sign. Signers are
    distinct keys. Raises EnvelopeInvalid, SignerUnknown, SignatureInvalid, SignaturesMissing.
    """
    found_type, payload, signatures = _parse(envelope, max_bytes)
    if found_type != payload_type:
        raise EnvelopeInvalid("another payload type", expected=payload_type)
    signers = []
    for keyid, signature in signatures:
        signer = find_identity(keyid)
        if signer is None or signer.fingerprint != keyid:
            raise SignerUnknown("signed by a key that may not sign this", found=keyid)
        signer.verify(_signed_bytes(payload_type, payload), signature)
        signers.append(signer)
    if len(signers) < minimum:
        raise SignaturesMissing("the document lacks signatures", found=len(signers), needed=minimum)
    return Countersigned(payload, tuple(signers))


def claimed_signer(envelope: bytes, *, max_bytes: int = MAX_ENVELOPE_BYTES) -> str:
    """The fingerprint an envelope claims, to choose whom to verify it against. Nothing is verified."""
    return _parse_single(envelope, max_bytes)[2]


def claimed_signers(envelope: bytes, *, max_bytes: int = MAX_ENVELOPE_BYTES) -> list[str]:
    """The fingerprints of all who claim to have signed. Nothing is verified."""
    return [keyid for keyid, _ in _parse(envelope, max_bytes)[2]]


def unverified_payload(envelope: bytes, *, max_bytes: int = MAX_ENVELOPE_BYTES) -> bytes:
    """What an envelope holds, for showing it to a person before it is verified."""
    return _parse(envelope, max_bytes)[1]


def _signed_bytes(payload_type: str, payload: bytes) -> bytes:
    """PAE of DSSE protocol.md: ``"DSSEv1" SP LEN(type) SP type SP LEN(body) SP body``."""
    encoded_type = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(encoded_type), encoded_type, len(payload), payload)


def _signature(identity: Identity, payload_type: str, payload: bytes) -> bytes:
    return identity.sign(_signed_bytes(payload_type, payload))


def _encode(payload_type: str, payload: bytes, signatures: list[tuple[str, bytes]]) -> bytes:
    envelope = {
        "payloadType": payload_type,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [
            {"keyid": keyid, "sig": base64.b64encode(signature).decode()} for keyid, signature in signatures
        ],
    }
    return json.dumps(envelope, ensure_ascii=False, separators=(",", ":")).encode()


def _parse_single(envelope: bytes, max_bytes: int) -> tuple[str, bytes, str, bytes]:
    """(payload type, payload, keyid, signature); nothing verified yet. Raises EnvelopeInvalid."""
    payload_type, payload, signatures = _parse(envelope, max_bytes)
    if len(signatures) != 1:
        raise EnvelopeInvalid("such an envelope has exactly one signature")
    return payload_type, payload, *signatures[0]


def _parse(envelope: bytes, max_bytes: int) -> tuple[str, bytes, list[tuple[str, bytes]]]:
    """(payload type, payload, [(keyid, signature)]); nothing verified yet. Raises EnvelopeInvalid."""
    try:
        outer = parse_object(envelope, ("payloadType", "payload", "signatures"), max_bytes=max_bytes)
        listed = outer["signatures"]
        if not isinstance(listed, list) or not 1 <= len(listed) <= MAX_SIGNATURES:
            raise EnvelopeInvalid(f"an envelope has 1 to {MAX_SIGNATURES} signatures")
        signatures = [_parse_signature(entry) for entry in listed]
        if len({keyid for keyid, _ in signatures}) != len(signatures):
            raise EnvelopeInvalid("one signer stands twice")
        return require_text(outer["payloadType"]), _decode(outer["payload"]), signatures
    except JsonInvalid as error:
        raise EnvelopeInvalid(error.detail) from None


def _parse_signature(entry: object) -> tuple[str, bytes]:
    members = require_members(entry, ("keyid", "sig"))
    keyid = require_text(members["keyid"])
    if not re.fullmatch(r"[0-9a-f]{64}", keyid):
        raise EnvelopeInvalid("keyid is not a fingerprint")
    return keyid, _decode(members["sig"])


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
