"""What must hold after every case of the threat list (docs/reference/cases.md), whatever the case did.

:func:`check_folder` looks at what a case left on disk; tests/conftest.py calls it after every ``test_dNN``. The
endpoint's tests also call :func:`check_alive`, :func:`check_answer`, :func:`check_logs` (tests/api/province_home.py).
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import httpx
import pysqlite3
from cryptography.hazmat.primitives import hashes
from sqlite_utils import Database

from matcher.audit import verify_chain

# Only these prefixes are used for made-up people: they were never assigned.
LIKE_A_TEST_NUMBER = re.compile(rb"(?:990000|3399\d\d)\d{11}[\dXx]")
_HEX = re.compile(rb"[0-9a-f]{32,}")  # fingerprints and digests, in which a run of digits means nothing
LISTS = {".csv", ".txt", ".xlsx", ".parquet"}  # the parties' own lists hold numbers; nothing else may
HASHED = 100  # so many numbers of the lists are looked for as SHA-256 and SM3 too


class LogRecorder:
    """A structlog processor that keeps what is logged, before anything is masked."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def __call__(self, _logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        self._lines.append(repr(event))
        return event

    def take(self) -> str:
        """What was logged since the last call."""
        lines, self._lines = self._lines, []
        return "\n".join(lines)


RECORDED_LOGS = LogRecorder()


def check_alive(client: httpx.Client) -> None:
    started_s = time.monotonic()
    assert client.get("/healthz", timeout=2).status_code == 200
    assert time.monotonic() - started_s < 2


def check_answer(answer: httpx.Response) -> None:
    """No failure but an outage that says when to come back."""
    assert answer.status_code < 500 or (answer.status_code == 503 and "retry-after" in answer.headers)
    if answer.status_code >= 400:
        check_problem(answer)


def check_problem(answer: httpx.Response) -> None:
    """A problem document that names its code and repeats nothing of the request."""
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == f"urn:mingce:{problem['code']}"
    assert problem["status"] == answer.status_code
    assert problem["request_id"]
    check_silent(answer.content, "an answer")
    for name, value in answer.request.headers.items():
        if name in ("signature", "signature-input", "idempotency-key", "content-digest"):
            assert not value or value not in answer.text


def check_silent(content: bytes, where: str) -> None:
    """No made-up person's number and no stack trace."""
    assert not LIKE_A_TEST_NUMBER.search(_HEX.sub(b"", content)), f"an ID number in {where}"
    assert b"Traceback (most recent call last)" not in content, f"a stack trace in {where}"


def check_logs() -> str:
    """What was logged since the last check, found silent."""
    logged = RECORDED_LOGS.take()
    check_silent(logged.encode(), "the log")
    return logged


def check_folder(folder: Path, *, damaged: bool = False) -> None:
    """Every database under ``folder`` is sound (unless the case damaged it), and nothing but lists holds a number."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert [path for path in files if re.fullmatch(r"core(\.\d+)?", path.name)] == [], "a core file"
    listed = b"\n".join(path.read_bytes() for path in files if path.suffix == ".csv")
    digests = set(_digests(LIKE_A_TEST_NUMBER.findall(listed)[:HASHED]))
    for path in files:
        if path.suffix in LISTS:
            continue
        content = path.read_bytes()
        check_silent(content, path.name)
        assert not any(digest in content for digest in digests), f"a number's hash in {path.name}"
        if path.suffix == ".sqlite" and not damaged:
            check_database(path)


def check_database(path: Path) -> None:
    """Whole by SQLite's own check, and the audit chain unbroken where there is one."""
    connection = pysqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'audit'").fetchone():
            rows = connection.execute("SELECT COUNT(*) FROM audit").fetchone()[0]
            assert verify_chain(Database(connection)).seq == rows
    finally:
        connection.close()


def _digests(numbers: list[bytes]) -> Iterator[bytes]:
    for number in numbers:
        sm3 = hashes.Hash(hashes.SM3())
        sm3.update(number)
        for digest in (hashlib.sha256(number).digest(), sm3.finalize()):
            yield digest
            yield digest.hex().encode()
