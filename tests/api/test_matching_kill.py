"""The bank's process killed anywhere and run again: the same result, and no batch charged twice."""

from __future__ import annotations

import itertools
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from bank_home import BANK, bank_store, item, match, records, residents
from bank_process import BankProcesses
from fake_province import DATASET, EPOCH, FakeProvince
from sqlite_utils import Database

from api.progress import Progress
from keys.database import DatabaseUnavailable, write_transaction
from matcher import alarms
from matcher.bank import batches, editions, plan, runs, screening
from matcher.bank import records as bank_records
from matcher.bank.records import verify_countersigned
from matcher.bank.store import BankStore
from matcher.exchange_record import decode_record
from psi.transcript import BatchDigests

CUSTOMERS = 300
BATCHES = 5  # of 64 elements
MATCHED = 120
SEED = 20260105


@pytest.fixture
def province(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeProvince]:
    monkeypatch.setattr(plan, "BATCH_SIZES", (64,))
    with FakeProvince(BANK.public) as running:
        running.publish(residents([item(number) for number in range(MATCHED)]))
        yield running


@pytest.fixture(scope="module")
def banks() -> Iterator[BankProcesses]:
    with BankProcesses() as running:
        yield running


def finish(home: Path, province: FakeProvince) -> None:
    """Run again, here; then check the result, what was charged, and what the broken run left behind."""
    run = match(home, province, [item(number) for number in range(CUSTOMERS)])
    assert (run.state, run.customers, run.matched) == ("COMPLETED", CUSTOMERS, MATCHED)
    found = records(home, run)
    assert [row["item"].encode() for row in found] == [item(number) for number in range(CUSTOMERS)]
    assert [row["matched"] for row in found] == [True] * MATCHED + [False] * (CUSTOMERS - MATCHED)
    with bank_store(home) as store:
        charged = {name: n for name, n in province.charges.items() if name not in province.accounted}
        assert charged == dict.fromkeys(store.batches.list_digests(DATASET, EPOCH), 64)
        assert len(charged) == BATCHES
        check_records(store, province)
        province.accounted.update(
            charged
        )  # a killed bank's last request may still arrive while another bank is at work
        status = store.get_status()
        assert not status.is_red
        assert status.asked[0]["items"] == CUSTOMERS
        assert status.asked[0]["pending_batches"] == 0
        assert {old.state for old in status.runs[1:]} <= {"ABORTED", "COMPLETED"}
    assert [path.suffix for path in (home / "slices").iterdir()] == [".arrow"]


def check_records(store: BankStore, province: FakeProvince) -> None:
    """Every batch that was charged stands, with its answer, in one record that both sides signed."""
    assert store.records.list_unsettled() == []
    accounted: dict[str, BatchDigests] = {}
    for stored in store.records.list_all():
        payload = verify_countersigned(stored.envelope, stored.sha256, BANK.public, province.public)
        for batch in decode_record(payload).batches:
            if batch.answer_sha256 is not None:
                assert batch.request_id not in accounted
                assert batch.elements == province.charges[batch.request_id]
                accounted[batch.request_id] = BatchDigests(batch.request_sha256, batch.answer_sha256)
    assert accounted == store.batches.list_digests(DATASET, EPOCH)
    assert accounted.keys() == province.charges.keys() - province.accounted


def test_killed_at_every_step(tmp_path: Path, province: FakeProvince, banks: BankProcesses) -> None:
    told: list[Progress] = []
    match(tmp_path / "whole", province, [item(number) for number in range(CUSTOMERS)], observe=told.append)
    province.accounted.update(province.charges)
    assert {progress.step for progress in told} == {
        "manifest",
        "slices",
        "plan",
        "evaluate",
        "look_up",
        "record",
        "completed",
    }
    for event in range(1, len(told) + 1):
        home = tmp_path / str(event)
        banks.start(home, province.url, CUSTOMERS, event=event)
        assert banks.wait() == -signal.SIGKILL, told[event - 1]
        finish(home, province)


def test_every_database_step_may_fail(tmp_path: Path, province: FakeProvince, monkeypatch: pytest.MonkeyPatch) -> None:
    """The n-th transaction of a run fails at its commit, for n = 1, 2, 3 ... until a run passes."""
    for failing in range(1, 100):
        home = tmp_path / str(failing)
        counter = itertools.count(1)

        @contextmanager
        def failing_transaction(
            database: Database, counter: Iterator[int] = counter, failing: int = failing
        ) -> Iterator[Database]:
            with write_transaction(database):
                yield database
                if next(counter) == failing:
                    raise DatabaseUnavailable("disk full")

        with monkeypatch.context() as patch:
            for module in (alarms, batches, editions, bank_records, runs, screening):
                patch.setattr(module, "write_transaction", failing_transaction)
            try:
                match(home, province, [item(number) for number in range(CUSTOMERS)])
            except DatabaseUnavailable:
                passed = False
            else:
                passed = True
        finish(home, province)
        if passed:
            assert failing > 10
            return
    pytest.fail("no run passed")


def test_killed_after_the_charge_and_before_the_answer(
    tmp_path: Path, province: FakeProvince, banks: BankProcesses
) -> None:
    """The answer is lost with the bank that waited for it; the next one gets it for nothing."""
    arrived = threading.Event()
    go_on = threading.Event()

    def hold(_: str) -> None:
        arrived.set()
        go_on.wait(timeout=20)

    province.before_answer = hold
    bank = banks.start(tmp_path, province.url, CUSTOMERS)
    assert arrived.wait(timeout=20)
    os.kill(bank, signal.SIGKILL)
    assert banks.wait() == -signal.SIGKILL
    go_on.set()
    assert 1 <= len(province.charges) <= 2
    finish(tmp_path, province)


def test_killed_at_random_moments_again_and_again(tmp_path: Path, province: FakeProvince, banks: BankProcesses) -> None:
    """Homes killed five times each, at moments drawn from what a run takes; then finished."""
    moments = random.Random(SEED)
    for number in range(3):
        home = tmp_path / str(number)
        for _ in range(5):
            banks.start(home, province.url, CUSTOMERS, seconds=moments.uniform(0, 0.5))
            assert banks.wait() in (0, -signal.SIGKILL), f"seed {SEED}"
        finish(home, province)


def test_a_batch_planned_before_the_break_is_sent_again_byte_for_byte(
    tmp_path: Path, province: FakeProvince, banks: BankProcesses
) -> None:
    bodies: dict[str, set[bytes]] = {}
    evaluate = province.evaluate

    def listen(body: bytes) -> object:
        bodies.setdefault(body[44:60].hex(), set()).add(body)
        return evaluate(body)

    province.evaluate = listen  # type: ignore[method-assign,assignment]
    province.before_answer = lambda _: time.sleep(0.05)
    for event in (7, 8, 9):
        banks.start(tmp_path, province.url, CUSTOMERS, event=event)
        assert banks.wait() == -signal.SIGKILL
    finish(tmp_path, province)
    assert len(bodies) == BATCHES
    assert all(len(variants) == 1 for variants in bodies.values())
