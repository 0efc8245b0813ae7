"""An epoch's end at the bank: what its key opened leaves the file, the evidence stays."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pysqlite3
import pytest
from showing import DATASET, Publisher, open_store

from keys.clock import SettableClock
from matcher.bank.editions import KnownEdition
from matcher.bank.forgetting import EpochStillValid, EpochUnseen, RecordsUnsettled
from matcher.bank.plan import BatchSize
from matcher.bank.runs import EpochForgotten, Run
from matcher.bank.store import BankStore
from matcher.bank.warrants import Terms, Warrant
from psi.edition import parse_manifest
from psi.transcript import BatchDigests

TERMS = Terms(
    purpose="匹配",
    legal_basis="同意",
    agreement_no="演示-2026-01",
    dataset=DATASET,
    divisions=("330922",),
    max_new_customers=100,
    not_before=datetime(2026, 1, 1, tzinfo=UTC),
    not_after=datetime(2027, 1, 1, tzinfo=UTC),
)
WARRANT = Warrant(TERMS, "ab" * 32, ("张三", "李四"))
DIGESTS = BatchDigests("aa" * 32, "bb" * 32)


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def store(tmp_path: Path, clock: SettableClock) -> Iterator[BankStore]:
    opened = open_store(tmp_path / "bank", clock)
    yield opened
    opened.close()


def asked(store: BankStore, epoch: str, *, pending: bool = False) -> Run:
    """A run of three answered customers in an epoch of one edition, and two more whose answer never came."""
    publisher = Publisher(epoch, days=30 if epoch == "2025" else 400)
    publisher.publish()
    publisher.show(store, 1)
    edition = KnownEdition(parse_manifest(publisher.payloads[0]), "cc" * 32)
    store.editions.adopt(edition, [])
    run = store.runs.propose(
        os.urandom(16).hex(), b"s" * 32, edition, ["330922"], WARRANT, operator="演示员", list_name="a", customers=5
    )
    items = pa.array([b"990000%012d" % number for number in range(5)], pa.binary(18))
    sizes = [BatchSize(3, 256), BatchSize(2, 256)] if pending else [BatchSize(3, 256)]
    store.batches.add(run, items, pa.array(range(2, 7), pa.int64()), sizes)
    first, *_ = store.batches.list_pending(DATASET, epoch)
    store.batches.mark_sent(first, run.run_id)
    store.batches.complete(first, bytes(range(64)) * 3, DIGESTS)
    return run


def settle(store: BankStore) -> None:
    store._database.execute("UPDATE batch SET record_sha256 = '' WHERE asked_run_id IS NOT NULL")


def sealed_of(store: BankStore, epoch: str, *columns: str) -> list[bytes]:
    found = []
    for column in columns:
        table = "run" if column == "sealed_seed" else "batch"
        rows = store._database.execute(f"SELECT {column} FROM {table} WHERE epoch = ?", [epoch]).fetchall()  # noqa: S608
        found += [value for (value,) in rows if value]
    return found


def on_disk(tmp_path: Path, sealed: list[bytes]) -> list[bool]:
    content = b"".join(path.read_bytes() for path in (tmp_path / "bank").rglob("*") if path.is_file())
    return [value in content or value[12:60] in content for value in sealed]


def test_outputs_leave_the_file_and_what_an_auditor_needs_stays(
    store: BankStore, clock: SettableClock, tmp_path: Path
) -> None:
    for epoch in ("2025", "2026"):
        asked(store, epoch)
    clock.advance(timedelta(days=31).total_seconds())
    gone = sealed_of(store, "2025", "sealed_outputs")
    kept = sealed_of(store, "2025", "sealed_items", "sealed_rows", "sealed_seed") + sealed_of(
        store, "2026", "sealed_items", "sealed_rows", "sealed_outputs", "sealed_seed"
    )
    assert all(on_disk(tmp_path, gone + kept))
    found = store.forget_epoch(DATASET, "2025", "演示员")
    assert (found.batches, found.customers, found.openings, found.is_shredded) == (1, 3, 0, True)
    assert not any(on_disk(tmp_path, gone))
    assert all(on_disk(tmp_path, kept))
    assert len(store.batches.load_answers(DATASET, "2025").items) == 0
    assert len(store.batches.load_items(DATASET, "2025")) == 0, "whoever matches again asks again"
    assert len(store.batches.load_answers(DATASET, "2026").items) == 3
    assert list(store.batches.list_digests(DATASET, "2025").values()) == [DIGESTS]
    (request_id,) = store.batches.list_digests(DATASET, "2025")
    assert store.batches.get_asked(request_id).rows == (2, 3, 4)
    assert len(store.views.list_epochs()) == 2, "the accepted manifests are evidence"


def test_openings_too_once_the_records_are_settled(store: BankStore, clock: SettableClock, tmp_path: Path) -> None:
    run = asked(store, "2025", pending=True)
    clock.advance(timedelta(days=31).total_seconds())
    gone = sealed_of(store, "2025", "sealed_outputs", "sealed_items", "sealed_rows", "sealed_seed")
    with pytest.raises(RecordsUnsettled) as caught:
        store.forget_epoch(DATASET, "2025", "演示员", openings=True)
    assert caught.value.params["batches"] == 1
    settle(store)
    found = store.forget_epoch(DATASET, "2025", "演示员", openings=True)
    assert (found.batches, found.customers, found.openings) == (1, 3, 2)
    assert not any(on_disk(tmp_path, gone))
    (request_id,) = store.batches.list_digests(DATASET, "2025")
    for attempt in (lambda: store.batches.get_asked(request_id), lambda: store.runs.get_seed(run.run_id)):
        with pytest.raises(EpochForgotten):
            attempt()
    assert store.batches.list_pending(DATASET, "2025") == []


def test_it_is_noted_who_forgot_and_again_changes_nothing(store: BankStore, clock: SettableClock) -> None:
    asked(store, "2025")
    clock.advance(timedelta(days=31).total_seconds())
    before = store.forgetting.preview(DATASET, "2025")
    assert store.forgetting.list_all() == []
    assert store.forget_epoch(DATASET, "2025", "演示员") == before
    assert store.forget_epoch(DATASET, "2025", "演示员").customers == 0
    (note,) = store.forgetting.list_all()
    assert (note["epoch"], note["operator"], note["customers"]) == ("2025", "演示员", 3)


def test_an_epoch_that_is_not_over_is_kept(store: BankStore, clock: SettableClock) -> None:
    asked(store, "2026")
    clock.advance(timedelta(days=399).total_seconds())
    with pytest.raises(EpochStillValid):
        store.forget_epoch(DATASET, "2026", "演示员")
    assert len(store.batches.load_answers(DATASET, "2026").items) == 3
    assert store.forget_epoch(DATASET, "2026", "演示员", early=True).customers == 3
    with pytest.raises(EpochUnseen):
        store.forget_epoch(DATASET, "1999", "演示员", early=True)


def test_slices_of_the_epoch_go(store: BankStore, clock: SettableClock, tmp_path: Path) -> None:
    asked(store, "2025")
    slices = tmp_path / "bank" / "slices"
    slices.mkdir()
    (slices / f"{'ee' * 32}.arrow").write_bytes(b"slice")
    store._database.execute("UPDATE edition SET slices = ? WHERE epoch = '2025'", [f'["{"ee" * 32}"]'])
    store.remove_unused_slices()
    assert [path.name for path in slices.iterdir()] == [f"{'ee' * 32}.arrow"]
    clock.advance(timedelta(days=31).total_seconds())
    store.forget_epoch(DATASET, "2025", "演示员")
    assert list(slices.iterdir()) == []


def test_a_reader_in_the_way_is_told_of(store: BankStore, clock: SettableClock, tmp_path: Path) -> None:
    asked(store, "2025")
    clock.advance(timedelta(days=31).total_seconds())
    gone = sealed_of(store, "2025", "sealed_outputs")
    reader = pysqlite3.connect(str(tmp_path / "bank" / "bank.sqlite"), isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM batch").fetchall()
    store._database.conn.execute("PRAGMA busy_timeout = 50")
    assert store.forget_epoch(DATASET, "2025", "演示员").is_shredded is False
    reader.close()
    assert store.forget_epoch(DATASET, "2025", "演示员").is_shredded is True
    assert not any(on_disk(tmp_path, gone))
