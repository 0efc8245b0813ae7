"""A province's ledger with one dataset, for the tests of budgets; and the program that charges in processes of its own.

Run as a program: ``budgeting.py HOME PARTY FIRST COUNT N`` charges COUNT batches of N and prints how many were granted.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

from keys.clock import SettableClock
from keys.identity import Identity, PublicIdentity
from matcher.province.ledger import Ledger
from matcher.province.records import BudgetExhausted

DATASET, EPOCH = "base", "2026"
BODY, OTHER_BODY = b"\x01" * 32, b"\x02" * 32


def bank(name: str = "演示银行", seed: int = 1) -> PublicIdentity:
    return Identity(name, "bank", bytes([seed]) * 32).public


def key(number: int) -> str:
    return f"{number:032x}"


def open_ledger(home: Path, clock: SettableClock) -> Ledger:
    """A new ledger with the dataset and one bank, which has no budget yet."""
    ledger = Ledger.open(home, clock)
    ledger.register_dataset(DATASET, title="基础名单库", label_schema={"schema": "kuozhong/1"})
    ledger.register_party(bank())
    return ledger


def charge(ledger: Ledger, number: int, n: int, party: PublicIdentity | None = None, body: bytes = BODY) -> bool:
    party = party or bank()
    return ledger.charge(
        party=party.fingerprint, dataset=DATASET, epoch=EPOCH, idempotency_key=key(number), body_sha256=body, n=n
    )


def spend(ledger: Ledger, party: PublicIdentity, first: int, count: int, n: int) -> int:
    """How many elements of so many batches were granted."""
    granted = 0
    for number in range(first, first + count):
        with suppress(BudgetExhausted):
            granted += n * charge(ledger, number, n, party)
    return granted


if __name__ == "__main__":
    home, name, seed, first, count, n = Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:])
    print(spend(Ledger.open(home, SettableClock()), bank(name, seed), first, count, n))
