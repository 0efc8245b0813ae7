"""Opening single positions of a request to an auditor, and what the auditor recomputes.

Only the receiver has the seed of a run, so only it can name the scalar behind a position. A blinded
element commits to its item: B = H(x) + r*G (or r*H(x)) has no second opening (x', r') that anybody can
find without solving discrete logarithms, and s*G, a padding element, opens as no item at all.
Derivations: docs/reference/protocol.md section 7.
"""

from __future__ import annotations

import hashlib
from typing import Literal

from psi.errors import BadScalar
from psi.oprf import MODE_VOPRF, BlindedBatch, SecretKey
from psi.suites import RISTRETTO255_SHA512

Blinding = Literal["additive", "multiplicative"]
SCALAR_BYTES = RISTRETTO255_SHA512.scalar_bytes
GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493  # RFC 9496 section 4


def derive_blind(seed: bytes, context: bytes, position: int, item: bytes) -> bytes:
    """The scalar of a customer's position, 32 bytes: secret until it is opened."""
    return _scalar(b"mingce/1 blind", seed, context, position, item)


def derive_padding(seed: bytes, context: bytes, place: int) -> bytes:
    """The scalar of the padding element number ``place``, counted from 0 behind the customers."""
    return _scalar(b"mingce/1 padding", seed, context, place, b"")


def customer_element(item: bytes, blind: bytes, blinding: Blinding) -> bytes:
    """The blinded element that an item and a scalar make. Raises BadScalar."""
    return BlindedBatch.with_blinds(MODE_VOPRF, item, len(item), blind, blinding=blinding).blinded_elements


def padding_element(scalar: bytes) -> bytes:
    """s*G. Raises BadScalar."""
    if len(scalar) != SCALAR_BYTES:
        raise BadScalar("a scalar has 32 bytes")
    return SecretKey.from_bytes(scalar).public_key


def _scalar(label: bytes, seed: bytes, context: bytes, place: int, item: bytes) -> bytes:
    hashed = label + b"\x00" + len(context).to_bytes(2, "big") + context + seed + place.to_bytes(8, "big") + item
    return (int.from_bytes(hashlib.sha512(hashed).digest(), "little") % GROUP_ORDER).to_bytes(SCALAR_BYTES, "little")
