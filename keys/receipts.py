"""Receipt keys on their way from a province to a bureau: signed by the one, sealed to the other.

With them the bureau checks that a candidate carries a label the province issued
(docs/reference/protocol.md section 2). A bureau gets the keys of its own divisions only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from keys.envelope import MAX_ENVELOPE_BYTES, open_envelope, sign_envelope
from keys.identity import Identity, PublicIdentity
from keys.keystore import KeyStore
from keys.strictjson import JsonInvalid, parse_object, require_text
from psi.errors import VerificationError

PAYLOAD_TYPE = "application/vnd.mingce.receipt-keys+json"


class ReceiptKeysInvalid(VerificationError):
    """A file of receipt keys is not what the province wrote for this bureau."""

    code = "receipt_keys_invalid"


@dataclass(frozen=True, repr=False)
class ReceiptKeys:
    """The receipt keys (32 bytes each) of some divisions of one dataset and epoch."""

    dataset: str
    epoch: str
    keys: dict[str, bytes]


def export_receipt_keys(
    keystore: KeyStore, bureau: PublicIdentity, dataset: str, epoch: str, divisions: Sequence[str]
) -> bytes:
    """A file that only ``bureau`` can open, signed by the key store's own identity."""
    payload = {
        "bureau": bureau.fingerprint,
        "dataset": dataset,
        "epoch": epoch,
        "keys": {division: keystore.receipt_key(dataset, epoch, division).hex() for division in sorted(divisions)},
    }
    return bureau.seal(sign_envelope(keystore.get_identity(), PAYLOAD_TYPE, json.dumps(payload).encode()))


def open_receipt_keys(content: bytes, bureau: Identity, province: PublicIdentity) -> ReceiptKeys:
    """Raises ReceiptKeysInvalid, or the envelope's and the seal's VerificationError kinds."""
    payload = open_envelope(bureau.unseal(content), PAYLOAD_TYPE, province)
    try:
        document = parse_object(payload, ("bureau", "dataset", "epoch", "keys"), max_bytes=MAX_ENVELOPE_BYTES)
        texts = {name: require_text(document[name]) for name in ("bureau", "dataset", "epoch")}
        keys = {division: _key(division, text) for division, text in _members(document["keys"]).items()}
    except JsonInvalid as error:
        raise ReceiptKeysInvalid(f"not a file of receipt keys: {error.detail}") from None
    if texts["bureau"] != bureau.public.fingerprint:
        raise ReceiptKeysInvalid("the keys are for another bureau")
    return ReceiptKeys(texts["dataset"], texts["epoch"], keys)


def _members(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise JsonInvalid("the keys are no object")
    return value


def _key(division: str, text: object) -> bytes:
    digits = require_text(text)
    if not re.fullmatch(r"[0-9]{6}", division) or not re.fullmatch(r"[0-9a-f]{64}", digits):
        raise JsonInvalid("a key is not 32 bytes for a division")
    return bytes.fromhex(digits)
