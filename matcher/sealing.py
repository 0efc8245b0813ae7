"""Columns of a store that are encrypted, each bound to its place.

AES-256-GCM under a key derived from the party's store secret. The associated data
name the store, table, column and row, so that a ciphertext copied to another place
does not open there.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from psi.errors import VerificationError

NONCE_BYTES = 12
KEY_BYTES = 32


class SealedDataDamaged(VerificationError):
    """A sealed column does not open: damaged, moved from another row, or under another secret."""

    code = "sealed_data_damaged"


def derive_store_key(secret: bytes, purpose: str) -> bytes:
    """One 32-byte key of a store for one ``purpose`` (HKDF-SHA-256, RFC 5869)."""
    return HKDF(hashes.SHA256(), KEY_BYTES, salt=None, info=b"mingce/1 store " + purpose.encode()).derive(secret)


class Sealer:
    """Seals and opens the columns of one store."""

    def __init__(self, secret: bytes, store: str, random_bytes: Callable[[int], bytes] = os.urandom) -> None:
        self._cipher = AESGCM(derive_store_key(secret, f"{store} sealing"))
        self._store = store
        self._random_bytes = random_bytes

    def __repr__(self) -> str:
        return f"<Sealer {self._store}>"

    def seal(self, plaintext: bytes, table: str, column: str, row: str) -> bytes:
        """nonce (12 bytes) || ciphertext || tag (16 bytes)."""
        nonce = self._random_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plaintext, self._place(table, column, row))

    def open(self, sealed: bytes, table: str, column: str, row: str) -> bytes:
        """The inverse. Raises SealedDataDamaged naming the place."""
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], self._place(table, column, row))
        except (InvalidTag, ValueError):
            raise SealedDataDamaged("a sealed column does not open", store=self._store, table=table) from None

    def _place(self, table: str, column: str, row: str) -> bytes:
        return "\x00".join((self._store, table, column, row)).encode()
