"""A bank's side for the client's tests: made-up customers, a store, a client with short patience."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from fake_province import DATASET, DIVISION, FakeProvince, Resident

from api.client import Connection, ProvinceClient
from api.matching import MatchJob, run_match
from api.progress import Progress
from api.retry import RetryPolicy
from keys.clock import Clock, SystemClock
from keys.identity import Identity
from matcher.bank.runs import Run
from matcher.bank.store import BankStore
from matcher.bank.warrants import Terms, Warrant
from matcher.tables import CustomerList
from psi.identifiers import check_character

BANK = Identity("演示银行", "bank", bytes([1]) * 32)
SECRET = bytes([5]) * 32
IMPATIENT = RetryPolicy(attempts=8, first_wait_s=0.002, longest_wait_s=0.02)
OPERATOR = "演示员"
TERMS = Terms(
    purpose="扩中家庭名单匹配",
    legal_basis="客户单独同意",
    agreement_no="演示-2026-01",
    dataset=DATASET,
    divisions=("330902", "330921", "330922", "990000"),
    max_new_customers=10_000_000,
    not_before=datetime(2000, 1, 1, tzinfo=UTC),
    not_after=datetime(2100, 1, 1, tzinfo=UTC),
)
WARRANT = Warrant(TERMS, "ab" * 32, ("张三", "李四"))


def item(number: int) -> bytes:
    """A valid ID number that nobody has: 990000 was never assigned. Numbers 0 to 9,999,999 are distinct."""
    year, rest = 1960 + number // 1_000 % 40, number // 40_000
    body = f"990000{year}{rest % 12 + 1:02d}{rest // 12 % 28 + 1:02d}{number % 1_000:03d}"
    return (body + check_character(body)).encode()


def customers(items: Sequence[bytes]) -> CustomerList:
    return CustomerList(
        pa.array(range(2, len(items) + 2), pa.int64()),
        pa.py_buffer(b"".join(items)),
        pa.py_buffer(bytes(len(items))),
        [],
        names=pa.array([f"演示{number}" for number in range(len(items))], pa.string()),
    )


def residents(items: Iterable[bytes], **changes: Any) -> list[Resident]:
    """One household for every two of them."""
    return [Resident(item, household_no=f"H{place // 2:06d}", **changes) for place, item in enumerate(items)]


def open_store(home: Path, clock: Clock | None = None) -> BankStore:
    return BankStore(home, SECRET, clock or SystemClock())


def connect(province: FakeProvince, retry: RetryPolicy = IMPATIENT) -> ProvinceClient:
    return ProvinceClient(Connection(province.url, timeout_s=10), BANK, province.clock, retry)


@contextmanager
def bank_store(home: Path, clock: Clock | None = None) -> Iterator[BankStore]:
    store = open_store(home, clock)
    try:
        yield store
    finally:
        store.close()


def match(
    home: Path,
    province: FakeProvince,
    items: Sequence[bytes],
    *,
    divisions: tuple[str, ...] = (DIVISION,),
    observe: Callable[[Progress], object] = lambda progress: None,
) -> Run:
    """One run of a bank at ``home``, from opening the store to closing it."""
    job = MatchJob(DATASET, divisions, WARRANT, "customers.csv", operator=OPERATOR)
    with bank_store(home, province.clock) as store, connect(province) as client:
        return run_match(job, customers(items), store=store, client=client, province=province.public, observe=observe)


def records(home: Path, run: Run) -> list[dict[str, Any]]:
    """The run's screening records as rows."""
    with bank_store(home) as store:
        return [row for batch in store.iterate_records(run.run_id) for row in batch.to_pylist()]
