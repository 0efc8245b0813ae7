"""The audit chain: every row carries the hash of the one before it.

Triggers refuse updates and deletes; whoever goes round them breaks the chain, which :func:`find_faults` shows row
by row. Cutting rows off the end, or writing the whole chain anew, leaves a chain that is whole in itself: only a head
that is kept elsewhere (matcher.audit_head) shows that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Literal, TypeAlias

from sqlite_utils import Database

from keys.clock import format_time
from psi.errors import VerificationError

GENESIS = "0" * 64
_LOOK_AROUND = 2_000  # rows before and after, in which a moved row's first number is looked for

ChainRow: TypeAlias = tuple[int, str, str, str, str, str, str, str]
"""seq, at, actor, action, subject, detail (JSON text), the hash of the row before, and its own."""
FaultKind = Literal["edited", "moved", "missing", "inserted", "replaced", "cut"]


class AuditBroken(VerificationError):
    """The audit chain does not hold; ``params``: ``seq``, the first row that does not fit, and ``kind``."""

    code = "audit_broken"


@dataclass(frozen=True)
class AuditHead:
    """The last row of a chain: its number (0 for an empty chain) and its hash."""

    seq: int
    hash: str


@dataclass(frozen=True)
class Fault:
    """One place where the chain does not hold.

    ``edited``: row ``seq`` is not what its hash was made of. ``moved``: it is the row that was written as number
    ``other``. ``missing``: rows ``seq`` to ``other`` are not there. ``inserted``: the row has a number below 1.
    ``replaced``: row ``seq`` fits itself, but the row after it was written behind another one, or a head that was kept
    names another. ``cut``: the chain ends before row ``seq``, which a kept head names.
    """

    seq: int
    kind: FaultKind
    other: int | None = None


@dataclass(frozen=True)
class Verified:
    """What a verification found: the chain's end and where it does not hold."""

    head: AuditHead
    faults: tuple[Fault, ...]


def append_row(
    db: Database, *, at: datetime, actor: str, action: str, subject: str, detail: Mapping[str, object]
) -> int:
    """Add one row, inside the caller's write transaction; returns its number. ``detail`` may hold no personal data."""
    last = db.execute("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
    seq, previous = (last[0] + 1, last[1]) if last else (1, GENESIS)
    content = (seq, format_time(at), actor, action, subject, _canonical_json(detail), previous)
    db.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*content, _row_hash(content)))
    return int(seq)


def last_row(db: Database) -> AuditHead:
    """The head as it is stored; nothing is recomputed."""
    row = db.execute("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
    return AuditHead(*row) if row else AuditHead(0, GENESIS)


def verify_chain(db: Database) -> AuditHead:
    """Recompute the whole chain. Raises AuditBroken naming the first bad row."""
    for fault in find_faults(chain_rows(db)):
        raise AuditBroken("the audit chain is broken", seq=fault.seq, kind=fault.kind)
    return last_row(db)


def chain_rows(db: Database) -> Iterator[ChainRow]:
    """The chain as it is stored, in rising order."""
    yield from db.execute("SELECT seq, at, actor, action, subject, detail, previous, hash FROM audit ORDER BY seq")


def verify_rows(rows: Iterable[ChainRow], kept: Sequence[AuditHead] = (), *, most: int = 100) -> Verified:
    """Recompute a whole chain, and hold it against heads from outside; at most so many faults."""
    head = AuditHead(0, GENESIS)

    def passing() -> Iterator[ChainRow]:
        nonlocal head
        for row in rows:
            head = AuditHead(row[0], row[-1])
            yield row

    passed = passing()
    faults = tuple(islice(find_faults(passed, kept), most))
    for _ in passed:  # the head is the last row's, however many faults come before it
        pass
    return Verified(head, faults)


def find_faults(rows: Iterable[ChainRow], kept: Sequence[AuditHead] = ()) -> Iterator[Fault]:
    """Recompute the whole chain and say where it does not hold, in order; ``kept`` are heads from outside the store.

    ``rows`` come in rising order. After a fault they are taken as they stand, so that one change is one fault.
    """
    seq, head, is_at_fault = 0, GENESIS, False
    for row in rows:
        content, stored = row[:-1], row[-1]
        number, previous = row[0], row[-2]
        faults: list[Fault] = []
        if number < 1:
            yield Fault(number, "inserted")
            continue
        if number > seq + 1:
            faults.append(Fault(seq + 1, "missing", number - 1))
        elif previous != head and not is_at_fault and stored == _row_hash(content):
            yield Fault(max(seq, 1), "replaced")
        if stored != _row_hash(content):
            origin = _original_number(content, stored)
            faults.append(Fault(number, "edited") if origin is None else Fault(number, "moved", origin))
        elif any(one.seq == number and one.hash != stored for one in kept):
            faults.append(Fault(number, "replaced"))
        yield from faults
        seq, head, is_at_fault = number, stored, bool(faults)
    ends = [one.seq for one in kept if one.seq > seq]
    if ends:
        yield Fault(seq + 1, "cut", max(ends))


def _original_number(content: Sequence[object], stored: str) -> int | None:
    """The number under which a row was written, if it is near its present one."""
    number = int(str(content[0]))
    for distance in range(1, _LOOK_AROUND + 1):
        for other in (number - distance, number + distance):
            if other > 0 and _row_hash((other, *content[1:])) == stored:
                return other
    return None


def _row_hash(content: object) -> str:
    """SHA-256 over the JSON array [seq, at, actor, action, subject, detail, previous]; ``detail`` is a string in it."""
    return hashlib.sha256(_canonical_json(content).encode()).hexdigest()


def _canonical_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
