"""Suites: what a manifest's suite name and the wire's suite number stand for.

There is one, ristretto255-SHA512 (RFC 9497 section 4.1, with the group of RFC 9496).
Lengths are in bytes and named as in RFC 9497 section 4: Ne, Ns, Nh.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Suite:
    """One ciphersuite of RFC 9497 section 4, as this software uses it.

    ``identifier`` is the RFC's name, ``number`` the byte on the wire
    (docs/reference/protocol.md section 5).
    """

    identifier: str
    number: int
    element_bytes: int  # Ne
    scalar_bytes: int  # Ns
    output_bytes: int  # Nh

    @property
    def proof_bytes(self) -> int:
        """c and s, each a scalar (RFC 9497 section 2.2.1)."""
        return 2 * self.scalar_bytes

    def context_string(self, mode: int) -> bytes:
        """RFC 9497 section 3.1 CreateContextString."""
        return b"OPRFV1-" + mode.to_bytes(1, "big") + b"-" + self.identifier.encode()

    def key_fingerprint(self, public_key: bytes) -> str:
        """The lower-case hex SHA-256 of the encoded public key: how people and requests name an epoch's key."""
        return hashlib.sha256(public_key).hexdigest()


RISTRETTO255_SHA512 = Suite("ristretto255-SHA512", number=1, element_bytes=32, scalar_bytes=32, output_bytes=64)
