"""What was erased is in no file of a home: not in its store, not in the log beside it, not as a photo or a slice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pysqlite3

from matcher.attachments import FOLDER

_FAMILIES = (
    "SELECT sealed FROM member",
    "SELECT item_ref FROM member",
    "SELECT sealed_person FROM candidate",
    "SELECT sealed FROM form",
    "SELECT sealed_label FROM department_check",
    "SELECT sealed_place FROM visit",
)
_OUTPUTS = ("SELECT sealed_outputs FROM batch",)
_PIECE = 32  # bytes


def check_families(before: Path, now: Path) -> None:
    """Of those who went, and of photos without a row."""
    _check_erased(before, now, "bureau.sqlite", _FAMILIES)
    assert _ask(now / "bureau.sqlite", "SELECT COUNT(*) FROM purge WHERE cleared_at IS NULL") == [0]
    files = {path.name for path in (now / FOLDER).iterdir()}
    assert files == set(_ask(now / "bureau.sqlite", "SELECT file FROM attachment"))


def check_outputs(before: Path, now: Path) -> None:
    """Of what an epoch's key opened."""
    _check_erased(before, now, "bank.sqlite", _OUTPUTS)


def _check_erased(before: Path, now: Path, store: str, sealed: Sequence[str]) -> None:
    held, stays = ({value for sql in sealed for value in _ask(home / store, sql) if value} for home in (before, now))
    assert _find(held, before, store) == held, "what is not found where it is would prove nothing"
    assert _find(held, now, store) == held & stays


def _find(values: set[bytes], home: Path, store: str) -> set[bytes]:
    """Those whose beginning or end stands in the store's files; SQLite cuts a long one into pages."""
    content = b"".join(path.read_bytes() for path in home.glob(f"{store}*"))
    return {value for value in values if value[:_PIECE] in content or value[-_PIECE:] in content}


def _ask(store: Path, sql: str) -> list[Any]:
    connection = pysqlite3.connect(str(store))
    try:
        return [value for (value,) in connection.execute(sql)]
    finally:
        connection.close()
