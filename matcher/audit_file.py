"""An audit chain as a file, for whoever verifies it without the home (docs/reference/signed-documents.md).

Unsigned, because a chain proves itself up to its end, and a signed head (matcher.audit_head) proves the end.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import cast

from keys.files import atomic_writer
from matcher.audit import GENESIS, AuditHead, ChainRow
from psi.errors import InputError

CHAIN_FORMAT = "mingce-audit-chain/1"
MOST_LINE_BYTES = 1024 * 1024


class AuditChainInvalid(InputError):
    """A file is no exported chain, or another home's; ``params``: ``line``."""

    code = "audit_chain_invalid"


def write_chain(path: Path, home: str, rows: Iterable[ChainRow]) -> AuditHead:
    """The rows as they stand, sound or not; ``home``: the fingerprint. Returns the last one. Raises OSError."""
    head = AuditHead(0, GENESIS)
    with atomic_writer(path) as stream:
        stream.write(_line({"format": CHAIN_FORMAT, "home": home}))
        for row in rows:
            stream.write(_line(row))
            head = AuditHead(row[0], row[-1])
    return head


def read_chain(path: Path, home: str) -> Iterator[ChainRow]:
    """The rows of ``home``'s chain, in rising order, one at a time. Raises AuditChainInvalid, OSError."""
    number, before = 0, None
    with path.open("rb") as stream:
        for number, line in enumerate(iter(partial(stream.readline, MOST_LINE_BYTES), b""), 1):
            match _parse(line, number):
                case {"format": str(format), "home": str(of)} if (number, format, of) == (1, CHAIN_FORMAT, home):
                    pass
                case [int(seq), str(), str(), str(), str(), str(), str(), str()] as row if number > 1 and (
                    before is None or seq > before
                ):
                    before = seq
                    yield cast(ChainRow, tuple(row))
                case _:
                    raise AuditChainInvalid("not the chain of this home, or a row out of its order", line=number)
    if number == 0:
        raise AuditChainInvalid("not the chain of this home, or a row out of its order", line=1)


def _line(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _parse(line: bytes, number: int) -> object:
    """A line is as it was written, byte for byte: one that was cut is none, nor is one of other JSON."""
    try:
        value: object = json.loads(line)
        if _line(value) == line:
            return value
    except (ValueError, RecursionError):
        pass
    raise AuditChainInvalid("not a line of an exported chain", line=number)
