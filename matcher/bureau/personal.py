"""Personal data in the bureau's store: sealed at rest, found by blind index, masked unless revealed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any

from matcher.sealing import Sealer, derive_store_key
from psi.blindindex import blind_index
from psi.columns import data_of, fixed

NAME_BYTES = 128  # of a name in UTF-8, padded: longer ones are cut for the index alone


class PersonalData:
    """Seals JSON objects into one table's row, and makes the references by which people are found."""

    def __init__(self, secret: bytes, random_bytes: Callable[[int], bytes] = os.urandom) -> None:
        self.sealer = Sealer(secret, "bureau", random_bytes)
        self.reference_key = derive_store_key(secret, "bureau item reference")
        self._name_key = derive_store_key(secret, "bureau name reference")

    def seal(self, values: Mapping[str, Any], table: str, column: str, row: object) -> bytes:
        """``row`` is the row's key: a ciphertext opens in its own row only."""
        return self.sealer.seal(_json(values), table, column, str(row))

    def open(self, sealed: bytes, table: str, column: str, row: object) -> dict[str, Any]:
        """The inverse of :meth:`seal`. Raises SealedDataDamaged."""
        values: dict[str, Any] = json.loads(self.sealer.open(sealed, table, column, str(row)))
        return values

    def item_reference(self, item: str) -> bytes:
        """Blind index (16 bytes) of a normalised ID number of 18 characters."""
        return self._reference(self.reference_key, item.encode("ascii"))

    def name_reference(self, name: str) -> bytes:
        """Blind index (16 bytes) of a name, blanks removed."""
        return self._reference(self._name_key, "".join(name.split()).encode()[:NAME_BYTES].ljust(NAME_BYTES, b"\0"))

    def _reference(self, key: bytes, content: bytes) -> bytes:
        return data_of(blind_index(key, fixed(content, len(content)))).to_pybytes()


def _json(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
