"""Bytes for dummy rows and tombstones: they look random to everybody but are the same whenever an edition is made.

So an edition is canonical: the same key, rows and state give the same bytes, on one machine or many, at the first try
or after a break.
"""

from __future__ import annotations

from collections.abc import Callable

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE = bytes(16)  # each stream has a key of its own


def noise_streams(secret: bytes, context: str) -> Callable[[str], Callable[[int], bytes]]:
    """From a name to a stream: the next n bytes of ChaCha20 (RFC 8439) under HKDF-SHA-256(secret, context, name).

    ``secret`` is 32 bytes and known to the sender only; ``context`` is used for one edition.
    """

    def open_stream(name: str) -> Callable[[int], bytes]:
        info = f"mingce/1 noise\x00{context}\x00{name}".encode()
        key = HKDF(hashes.SHA256(), 32, salt=None, info=info).derive(secret)
        encryptor = Cipher(ChaCha20(key, _NONCE), mode=None).encryptor()
        return lambda length: encryptor.update(bytes(length))

    return open_stream
