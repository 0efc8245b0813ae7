"""What the hand-over's tests need: parties, matched rows with true receipts, and a bank's run."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from keys.clock import SettableClock, format_time
from keys.identity import Identity
from matcher.bank.editions import LABEL_FIELDS
from matcher.bank.runs import Run
from matcher.bank.screening import SCREENING_SCHEMA
from matcher.handover import Handover, read_handover, write_handover
from psi import _native
from psi.edition import pack_labels
from psi.identifiers import check_character

BANK = Identity("演示银行", "bank", bytes([1]) * 32)
OTHER_BANK = Identity("另一银行", "bank", bytes([2]) * 32)
BUREAU = Identity("演示县财政局", "bureau", bytes([3]) * 32)
DATASET, EPOCH, COUNTY, NEIGHBOUR = "base", "2026", "330922", "330921"
WIDTH = 64
CLOCK = SettableClock()


def item(number: int) -> str:
    """A valid number under a prefix that was never assigned."""
    body = f"990000{1960 + number // 1_000 % 40}0101{number % 1_000:03d}"
    return body + check_character(body)


@dataclass(frozen=True)
class Match:
    """A matched customer as the province's label describes them."""

    item: str
    household_no: str = "H1"
    name: str = "演示"
    household_size: str = "3"
    division: str = f"{COUNTY}100"
    expanding: str = "1"
    reasons: str = ""
    row_version: int = 1


def receipt_key(division: str, epoch: str = EPOCH) -> bytes:
    return hashlib.sha256(f"{epoch} {division}".encode()).digest()


def matches(count: int, first: int = 0, **changes: Any) -> list[Match]:
    """Two people to a household."""
    return [Match(item(n), household_no=f"H{n // 2:06d}", **changes) for n in range(first, first + count)]


def true_receipts(rows: Sequence[Match], epoch: str = EPOCH) -> list[bytes]:
    """Receipts as the province issues them, by the key of each row's county."""
    places: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        places.setdefault(row.division[:6], []).append(place)
    issued = [b""] * len(rows)
    for county, mine in places.items():
        part = [rows[place] for place in mine]
        labels = pack_labels([pa.array([getattr(row, name) for row in part]) for name in LABEL_FIELDS], WIDTH)
        found = _native.receipts(
            receipt_key(county, epoch),
            "".join(row.item for row in part).encode(),
            18,
            b"".join(row.row_version.to_bytes(4, "little") for row in part),
            labels,
            WIDTH,
            dataset=DATASET,
            epoch=epoch,
        )
        for count, place in enumerate(mine):
            issued[place] = found[16 * count : 16 * count + 16]
    return issued


def screening(rows: Sequence[Match], receipts: Sequence[bytes] | None = None, epoch: str = EPOCH) -> pa.RecordBatch:
    """Screening records of these rows, and of as many customers who are on no list."""
    receipts = true_receipts(rows, epoch) if receipts is None else receipts
    found = [
        {"row_no": 2 * place, "matched": True, "input_state": "ok", **vars(row), "receipt": receipt}
        for place, (row, receipt) in enumerate(zip(rows, receipts, strict=True))
    ]
    absent = [
        {"row_no": 2 * place + 1, "name": "路人", "item": item(900_000 + place), "matched": False, "input_state": "ok"}
        for place in range(len(rows))
    ]
    records = sorted(found + absent, key=lambda record: record["row_no"])
    return pa.RecordBatch.from_pylist(records, schema=SCREENING_SCHEMA)


RUN = Run(
    run_id="ab" * 16,
    state="COMPLETED",
    dataset=DATASET,
    epoch=EPOCH,
    edition=1,
    manifest_sha256="cd" * 32,
    label_width=WIDTH,
    divisions=(COUNTY,),
    purpose="匹配",
    legal_basis="同意",
    operator="演示员",
    list_name="a.csv",
    customers=4,
    asked=4,
    charged=256,
    matched=2,
    created_at="2026-01-05T09:00:00Z",
    agreement_no="演示-2026-01",
    warrant_sha256="ef" * 32,
    list_sha256="01" * 32,
)


def hand_over(
    path: Path,
    rows: Sequence[Match],
    receipts: Sequence[bytes] | None = None,
    *,
    bank: Identity = BANK,
    epoch: str = EPOCH,
    edition: int = 1,
) -> Handover:
    """Write a hand-over and read it as the bureau."""
    write_handover(
        path,
        identity=bank,
        bureau=BUREAU.public,
        run=replace(RUN, epoch=epoch, edition=edition),
        created_at=format_time(CLOCK.now()),
        records=[screening(rows, receipts, epoch)],
    )
    return read_handover(path, identity=BUREAU, trusted_banks=[BANK.public, OTHER_BANK.public])
