"""The bank's store by itself: states, batches, damage, alarms."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pysqlite3
import pytest
from sqlite_utils import Database

from keys.clock import SettableClock, format_time
from keys.database import DatabaseDamaged
from keys.identity import Identity
from matcher.alarms import AlarmNotFound
from matcher.bank.batches import BatchNotPending, PendingBatch
from matcher.bank.editions import EditionUnknown, KnownEdition
from matcher.bank.migrations import BANK_MIGRATIONS
from matcher.bank.plan import BatchSize
from matcher.bank.runs import TRANSITIONS, Run, RunNotFound, RunStateInvalid
from matcher.bank.screening import SCREENING_SCHEMA, CustomerNotAsked, screen
from matcher.bank.store import BankStore
from matcher.bank.warrants import Terms, Warrant
from matcher.sealing import SealedDataDamaged
from matcher.tables import CustomerList
from psi.edition import LabelSchema, Manifest
from psi.errors import InputError, ProofInvalid
from psi.transcript import BatchDigests

SECRET = bytes([5]) * 32
TERMS = Terms(
    purpose="匹配",
    legal_basis="同意",
    agreement_no="演示-2026-01",
    dataset="base",
    divisions=("330922",),
    max_new_customers=100,
    not_before=datetime(2026, 1, 1, tzinfo=UTC),
    not_after=datetime(2027, 1, 1, tzinfo=UTC),
)
WARRANT = Warrant(TERMS, "ab" * 32, ("张三", "李四"))
DIGESTS = BatchDigests("aa" * 32, "bb" * 32)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[BankStore]:
    opened = BankStore(tmp_path, SECRET, SettableClock())
    yield opened
    opened.close()


def manifest(epoch: str = "2026", edition: int = 1) -> Manifest:
    now = format_time(SettableClock().now())
    key = bytes(32)
    return Manifest(
        dataset="base",
        epoch=epoch,
        edition=edition,
        public_key=key.hex(),
        fingerprint=hashlib.sha256(key).hexdigest(),
        created_at=now,
        not_before=now,
        not_after=now,
        label=LabelSchema(),
        divisions={},
        slices=(),
        previous=None,
    )


def propose(store: BankStore, epoch: str = "2026") -> Run:
    edition = KnownEdition(manifest(epoch), "cc" * 32)
    return store.runs.propose(
        store.random_bytes(16).hex(),
        bytes(32),
        edition,
        ["330922"],
        WARRANT,
        operator="演示员",
        list_name="a.csv",
        customers=3,
    )


def items(count: int, first: int = 0) -> pa.FixedSizeBinaryArray:
    return pa.array([b"990000%012d" % number for number in range(first, first + count)], pa.binary(18))


def test_a_run_needs_an_operator(store: BankStore) -> None:
    edition = KnownEdition(manifest(), "cc" * 32)
    with pytest.raises(InputError):
        store.runs.propose("00" * 16, bytes(32), edition, [], WARRANT, operator=" ", list_name="a.csv", customers=3)


def rows(count: int) -> pa.Int64Array:
    return pa.array(range(2, count + 2), pa.int64())


@pytest.mark.parametrize("start", TRANSITIONS)
def test_a_run_moves_along_its_states_only(store: BankStore, start: str) -> None:
    ways = {
        "PROPOSED": [],
        "AUTHORISED": ["AUTHORISED"],
        "RUNNING": ["AUTHORISED", "RUNNING"],
        "COMPLETED": ["AUTHORISED", "RUNNING", "COMPLETED"],
        "ABORTED": ["ABORTED"],
        "RELEASED": ["AUTHORISED", "RUNNING", "COMPLETED", "RELEASED"],
        "ARCHIVED": ["ABORTED", "ARCHIVED"],
    }
    for target in TRANSITIONS:
        run = propose(store)
        for state in ways[start]:
            store.runs.change_state(run.run_id, state, "演示员")
        if target in TRANSITIONS[start]:
            store.runs.change_state(run.run_id, target, "演示员")
            assert store.runs.get(run.run_id).state == target
        else:
            with pytest.raises(RunStateInvalid):
                store.runs.change_state(run.run_id, target, "演示员")
            assert store.runs.get(run.run_id).state == start


def test_records_of_an_unfinished_or_unknown_run_are_not_given(store: BankStore) -> None:
    run = propose(store)
    with pytest.raises(RunStateInvalid):
        store.iterate_records(run.run_id)
    with pytest.raises(RunStateInvalid):
        store.runs.release(run.run_id, "演示员", "")
    with pytest.raises(RunNotFound):
        store.iterate_records("00" * 16)


def test_a_release_may_be_repeated_and_each_is_recorded(store: BankStore) -> None:
    run = propose(store)
    for state in ("AUTHORISED", "RUNNING"):
        store.runs.change_state(run.run_id, state, "演示员")
    store.runs.complete(run.run_id, "演示员", asked=1, charged=2, matched=3)
    store.runs.release(run.run_id, "演示员", "first")
    store.runs.release(run.run_id, "演示员", "second")
    assert store.runs.get(run.run_id).state == "RELEASED"
    assert [event["note"] for event in store.runs.list_events(run.run_id)][-2:] == ["first", "second"]


def test_what_was_left_unfinished_is_aborted(store: BankStore) -> None:
    first, second = propose(store), propose(store)
    store.runs.change_state(second.run_id, "AUTHORISED", "演示员")
    assert set(store.runs.abort_unfinished("下一个")) == {first.run_id, second.run_id}
    assert store.runs.abort_unfinished("下一个") == []
    assert store.runs.list_events(first.run_id)[-1] == {
        "state": "ABORTED",
        "at": "2026-01-05T09:00:00Z",
        "operator": "下一个",
        "note": "interrupted",
    }


def test_batches_are_kept_by_epoch(store: BankStore) -> None:
    this, other = propose(store), propose(store, "2027")
    store.batches.add(this, items(5), rows(5), [BatchSize(3, 4), BatchSize(2, 4)])
    store.batches.add(other, items(2), rows(2), [BatchSize(2, 4)])
    first, second = store.batches.list_pending("base", "2026")
    assert (first.n, second.n, first.run_id) == (3, 2, this.run_id)
    assert store.batches.get_items(second) == b"".join(items(5).to_pylist()[3:])
    outputs = bytes(range(64)) * 2
    store.batches.complete(second, outputs, DIGESTS)
    assert store.batches.list_pending("base", "2026") == [first]
    answers = store.batches.load_answers("base", "2026")
    assert answers.items.to_pylist() == items(2, 3).to_pylist()
    assert answers.outputs.to_pylist() == [bytes(range(64))] * 2
    assert store.batches.load_items("base", "2026").to_pylist() == items(5).to_pylist()
    assert store.batches.list_digests("base", "2026") == {second.request_id: DIGESTS}
    assert len(store.batches.load_answers("base", "2027").items) == 0


def test_a_plan_is_stored_whole_or_not_at_all(store: BankStore) -> None:
    def sizes() -> Iterator[BatchSize]:
        yield BatchSize(2, 4)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.batches.add(propose(store), items(4), rows(4), sizes())
    assert store.batches.list_pending("base", "2026") == []


def tamper(home: Path, statement: str) -> None:
    connection = pysqlite3.connect(str(home / "bank.sqlite"))
    with connection:
        connection.execute(statement)
    connection.close()


def test_sealed_columns_are_bound_to_their_row(tmp_path: Path, store: BankStore) -> None:
    run = propose(store)
    store.batches.add(run, items(4), rows(4), [BatchSize(2, 4), BatchSize(2, 4)])
    first, second = store.batches.list_pending("base", "2026")
    tamper(
        tmp_path,
        "UPDATE batch SET sealed_items = (SELECT sealed_items FROM batch WHERE no = 2) WHERE no = 1",
    )
    with pytest.raises(SealedDataDamaged):
        store.batches.get_items(first)
    assert store.batches.get_items(second)
    tamper(tmp_path, "UPDATE run SET sealed_seed = zeroblob(60)")
    with pytest.raises(SealedDataDamaged):
        store.runs.get_seed(run.run_id)


def test_another_secret_opens_nothing(tmp_path: Path, store: BankStore) -> None:
    store.batches.add(propose(store), items(2), rows(2), [BatchSize(2, 4)])
    other = BankStore(tmp_path, bytes(32), SettableClock())
    with pytest.raises(SealedDataDamaged):
        other.batches.load_items("base", "2026")
    other.close()


def test_d37_a_damaged_database_is_refused(tmp_path: Path) -> None:
    store = BankStore(tmp_path, SECRET, SettableClock())
    for _ in range(50):
        propose(store)
    store.close()
    path = tmp_path / "bank.sqlite"
    content = bytearray(path.read_bytes())
    content[4_096 : 4_096 * 3] = bytes(4_096 * 2)
    path.write_bytes(content)
    with pytest.raises(DatabaseDamaged):
        BankStore(tmp_path, SECRET, SettableClock())


def test_the_file_is_private(tmp_path: Path, store: BankStore) -> None:
    assert (tmp_path / "bank.sqlite").stat().st_mode & 0o777 == 0o600


def test_alarms_stay_until_a_person_has_seen_them(store: BankStore) -> None:
    store.alarms.sound(ProofInvalid("does not hold", batch=3), "run")
    (alarm,) = store.get_status().alarms
    assert (alarm.code, alarm.detail, alarm.params, alarm.subject) == (
        "proof_invalid",
        "does not hold",
        {"batch": 3},
        "run",
    )
    store.alarms.acknowledge(alarm.alarm_id, "甲")
    store.alarms.acknowledge(alarm.alarm_id, "乙")
    (kept,) = store.alarms.list_all()
    assert (kept.acknowledged_by, kept.acknowledged_at) == ("甲", "2026-01-05T09:00:00Z")
    assert not store.get_status().is_red
    with pytest.raises(AlarmNotFound):
        store.alarms.acknowledge(99, "甲")


def test_an_edition_nobody_accepted(store: BankStore) -> None:
    with pytest.raises(EditionUnknown):
        store.editions.get_manifest("base", "2026", 1)


def test_screening_needs_an_answer_for_every_customer(store: BankStore) -> None:
    answers = store.batches.load_answers("base", "2026")
    listed = CustomerList(
        pa.array([2], pa.int64()),
        pa.py_buffer(b"990000000000000000"),
        pa.py_buffer(b"\0"),
        [],
        names=pa.array(["演示"]),
    )
    with pytest.raises(CustomerNotAsked):
        next(screen(listed, answers, [], manifest()))


def test_records_are_given_by_block_in_order(store: BankStore) -> None:
    run = propose(store)
    for state in ("AUTHORISED", "RUNNING"):
        store.runs.change_state(run.run_id, state, "演示员")
    blocks = [record_batch(first, 3) for first in (0, 3)]
    assert [store.screenings.add_block(run.run_id, number, block) for number, block in enumerate(blocks)] == [2, 1]
    store.runs.complete(run.run_id, "演示员", asked=0, charged=0, matched=3)
    assert list(store.iterate_records(run.run_id)) == blocks
    matched = [row for block in store.iterate_records(run.run_id, matched_only=True) for row in block.to_pylist()]
    assert [row["row_no"] for row in matched] == [0, 2, 4]


def record_batch(first: int, count: int) -> pa.RecordBatch:
    rows = [
        {
            "row_no": number,
            "name": "演示",
            "item": "990000000000000000",
            "matched": number % 2 == 0,
            "input_state": "ok",
        }
        for number in range(first, first + count)
    ]
    return pa.RecordBatch.from_pylist(rows, schema=SCREENING_SCHEMA)


def test_an_answer_that_nobody_waits_for_is_refused(store: BankStore) -> None:
    store.batches.add(propose(store), items(2), rows(2), [BatchSize(2, 4)])
    (batch,) = store.batches.list_pending("base", "2026")
    store.batches.complete(batch, bytes(128), DIGESTS)
    for unexpected in (batch, PendingBatch("00" * 16, "00" * 16, 1, 256, None)):
        with pytest.raises(BatchNotPending):
            store.batches.complete(unexpected, bytes([1]) * 128, DIGESTS)
    assert store.batches.load_answers("base", "2026").outputs.to_pylist() == [bytes(64)] * 2


def test_what_was_asked_before_there_were_records_waits_for_none(tmp_path: Path) -> None:
    """A store of the first schema with one answered and one pending batch, brought up to date."""
    database = Database(pysqlite3.connect(str(tmp_path / "bank.sqlite")))
    BANK_MIGRATIONS.apply(database, stop_before="m003_accountability")
    run = ["ab" * 16, "COMPLETED", "base", "2026", 1, "cc" * 32, 64, "[]", "匹配", "同意", "演示员", "a.csv", b"x", 2]
    marks = ", ".join("?" * len(run))
    database.execute(f"INSERT INTO run VALUES ({marks}, NULL, NULL, NULL, '2026-01-05T09:00:00Z')", run)  # noqa: S608
    for number, state, outputs in ((1, "DONE", b"x"), (2, "PENDING", None)):
        batch = [
            f"{number:032x}",
            "ab" * 16,
            number,
            "base",
            "2026",
            1,
            256,
            state,
            b"x",
            outputs,
            "dd" * 32,
            "ee" * 32,
        ]
        marks = ", ".join("?" * len(batch))
        database.execute(f"INSERT INTO batch VALUES ({marks}, '2026-01-05T09:00:00Z', NULL)", batch)  # noqa: S608
    database.conn.commit()
    database.close()
    store = BankStore(tmp_path, SECRET, SettableClock())
    store.records.sign_missing(Identity("演示银行", "bank", bytes(32)), lambda fingerprint, batch: "")
    assert store.records.list_all() == []
    assert [batch.request_id for batch in store.batches.list_pending("base", "2026")] == [f"{2:032x}"]
    assert (store.runs.get("ab" * 16).warrant_sha256, store.batches.count_customers("ab" * 32)) == (None, 0)
    store.close()
