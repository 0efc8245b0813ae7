"""Personal data in the bureau's store: sealed at rest, found by blind index, masked unless revealed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
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
        values: dict[str, Any] = json.loads(self.sealer.open(sealed, table, column, str(row)).decode())
        return values

    def item_reference(self, item: str) -> bytes:
        """Blind index (16 bytes) of a normalised ID number of 18 characters."""
        content = item.encode("ascii")
        return data_of(blind_index(self.reference_key, fixed(content, len(content)))).to_pybytes()

    def name_reference(self, name: str) -> bytes:
        """Blind index (16 bytes) of a name, blanks removed."""
        return self.name_references([name])[name]

    def name_references(self, names: Iterable[str]) -> dict[str, bytes]:
        """The same for many: one call of the kernel, which begins its threads anew each time."""
        distinct = list(dict.fromkeys(names))
        padded = b"".join("".join(name.split()).encode()[:NAME_BYTES].ljust(NAME_BYTES, b"\0") for name in distinct)
        found: list[Any] = blind_index(self._name_key, fixed(padded, NAME_BYTES)).to_pylist()
        return dict(zip(distinct, found, strict=True))


def _json(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
