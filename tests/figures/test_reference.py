"""Nobody changes a definition without raising its version."""

from __future__ import annotations

import hashlib

from matcher.figures.definitions import DEFINITIONS, VERSION

# Version -> SHA-256 of all statements, their units and ways of counting. A changed statement is another version.
KNOWN = {
    "1": "e55ce3382652f39c0216f32d2399bb26f3de523ed7e3a43a2b8f77424aaf06de",
    "2": "cd3496a0c6a3f427930b7b98af61cdf1442260c2b19b071d37a204153c08eb0d",
    "3": "1a721044be33a7f1670d8fcbc1f9edc2612f22e8038869523003db5ab1cd5f22",
}


def test_a_changed_definition_has_another_version() -> None:
    digest = hashlib.sha256()
    for definition in DEFINITIONS.values():
        words = (definition.name, definition.unit, definition.counted, definition.basis, definition.records)
        digest.update("\n".join((*words, str(definition.by_product), "")).encode())
    assert KNOWN[VERSION] == digest.hexdigest()
