"""Receipt keys on their way from a province to a bureau: signed by the one, sealed to the other.

With them the bureau checks that a candidate carries a label the province issued
(docs/reference/protocol.md section 2). A bureau gets the keys of its own divisions only.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from keys.envelope import open_envelope, sign_envelope
from keys.identity import Identity, PublicIdentity
from keys.keystore import KeyStore
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
        document = json.loads(payload)
        if document["bureau"] != bureau.public.fingerprint:
            raise ReceiptKeysInvalid("the keys are for another bureau")
        keys = {str(division): bytes.fromhex(key) for division, key in document["keys"].items()}
        return ReceiptKeys(str(document["dataset"]), str(document["epoch"]), keys)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ReceiptKeysInvalid(f"not a file of receipt keys: {type(error).__name__}") from None
