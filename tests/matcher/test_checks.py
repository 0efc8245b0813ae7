"""Department checks at the bureau: stores apart, results with their day, masked unless asked for."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from handed_over import COUNTY, EPOCH, item

from keys.clock import SettableClock, format_time
from keys.envelope import sign_envelope
from keys.files import Locked
from keys.identity import Identity
from matcher.bank.editions import KnownEdition
from matcher.bank.runs import Run, RunStateInvalid
from matcher.bank.screening import screening_schema
from matcher.bank.store import BankStore
from matcher.bank.warrants import Terms, Warrant
from matcher.checks.results import count_results, iterate_results, open_check_store, result_columns
from matcher.schemas import get_schema
from matcher.sealing import SealedDataDamaged
from psi.edition import PAYLOAD_TYPE, Manifest
from psi.errors import InputError
from psi.suites import RISTRETTO255_SHA512

SCHEMA = get_schema("budongchan/1")
DEPARTMENT = Identity("演示局", "department", bytes([6]) * 32)
PUBLIC_KEY = bytes.fromhex("e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76")
TERMS = Terms(
    purpose="核验",
    legal_basis="授权",
    agreement_no="01",
    dataset="budongchan",
    divisions=(COUNTY,),
    max_new_customers=100,
    not_before=datetime(2026, 1, 1, tzinfo=UTC),
    not_after=datetime(2027, 1, 1, tzinfo=UTC),
)


def open_store(home: Path, name: str = "budongchan", secret: bytes = bytes(32)) -> BankStore:
    return open_check_store(home, name, secret, SettableClock(), SCHEMA)


def checked(store: BankStore, *, finish: bool = True) -> Run:
    """A run whose list has three people: one with two homes, one without a date, one who is on no list."""
    clock = SettableClock()
    now = format_time(clock.now())
    manifest = Manifest(
        dataset="budongchan",
        epoch=EPOCH,
        edition=7,
        public_key=PUBLIC_KEY.hex(),
        fingerprint=RISTRETTO255_SHA512.key_fingerprint(PUBLIC_KEY),
        created_at=now,
        not_before=now,
        not_after="2030-01-01T00:00:00Z",
        label=SCHEMA.label(),
        divisions={},
        slices=(),
        previous=None,
    )
    envelope = sign_envelope(DEPARTMENT, PAYLOAD_TYPE, manifest.encode())
    edition = store.editions.accept(envelope, DEPARTMENT.public, "budongchan", EPOCH)
    assert isinstance(edition, KnownEdition)
    warrant = Warrant(TERMS, "ab" * 32, ("张三", "李四"))
    run = store.runs.propose(
        "ab" * 16, bytes(32), edition, [COUNTY], warrant, operator="经办员", list_name="a.csv", customers=3
    )
    block = pa.RecordBatch.from_pylist(records(), screening_schema(("homes", "as_of")))
    store.screenings.add_block(run.run_id, 0, block)
    if finish:
        for state in ("AUTHORISED", "RUNNING"):
            store.runs.change_state(run.run_id, state, "经办员")
        store.runs.complete(run.run_id, "经办员", asked=3, charged=256, matched=2)
    return store.runs.get(run.run_id)


def records() -> list[dict[str, Any]]:
    found = {"matched": True, "row_version": 1, "receipt": bytes(16), "input_state": "ok"}
    return [
        {"row_no": 2, "name": "演甲", "item": item(1), "homes": "2", "as_of": "2025-03-01", **found},
        {"row_no": 3, "name": "演乙", "item": item(2), "homes": "1", "as_of": "", **found},
        {"row_no": 5, "name": "", "item": item(3), "matched": False, "input_state": "ok"},
    ]


def test_a_result_says_what_the_label_says_and_as_of_when(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    run = checked(store)
    results = list(iterate_results(store, run))
    today = SettableClock().now().date().isoformat()
    assert [(r.row_no, r.listed, r.label, r.as_of) for r in results] == [
        (2, True, {"homes": "2", "as_of": "2025-03-01"}, "2025-03-01"),
        (3, True, {"homes": "1", "as_of": ""}, today),
        (5, False, {}, today),
    ]
    assert {(r.dataset, r.epoch, r.edition, r.run_id) for r in results} == {("budongchan", EPOCH, 7, run.run_id)}
    assert [r.item for r in results] == [item(1), item(2), item(3)]
    assert item(1) not in repr(results[0])
    assert "演甲" not in repr(results[0])
    assert count_results(store, run, SCHEMA) == {"住房套数": {"2": 1, "1": 1}}


def test_columns_are_masked_unless_asked_for(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    run = checked(store)
    masked = result_columns(store, run, SCHEMA, masked=True, listed_only=False)
    assert masked["证件号码"].to_pylist() == [f"99************{item(n)[-2:]}" for n in (1, 2, 3)]
    assert masked["姓名"].to_pylist() == ["演**", "演**", ""]
    assert masked["是否在名单"].to_pylist() == ["是", "是", "否"]
    assert masked["住房套数"].to_pylist() == ["2", "1", ""]
    whole = result_columns(store, run, SCHEMA, masked=False, listed_only=True)
    assert whole["证件号码"].to_pylist() == [item(1), item(2)]


def test_only_a_finished_run_has_results(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    run = checked(store, finish=False)
    with pytest.raises(RunStateInvalid):
        list(iterate_results(store, run))


def test_two_departments_never_share_a_store(tmp_path: Path) -> None:
    """The same dataset and epoch names at two departments: keys, answers and results are of one folder only."""
    first, second = open_store(tmp_path, "one", bytes([1]) * 32), open_store(tmp_path, "two", bytes([2]) * 32)
    run = checked(first)
    assert second.runs.list_all() == []
    assert second.get_status().editions == []
    with first.lock(), second.lock(), pytest.raises(Locked), first.lock():
        pass
    first.close()
    second.close()
    moved = tmp_path / "checks" / "two" / "check.sqlite"
    moved.write_bytes((tmp_path / "checks" / "one" / "check.sqlite").read_bytes())
    with pytest.raises(SealedDataDamaged):
        list(iterate_results(open_store(tmp_path, "two", bytes([2]) * 32), run))


@pytest.mark.parametrize("name", ["..", "../x", "", "a/b", "A", "x" * 64])
def test_a_name_never_leaves_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError):
        open_store(tmp_path / "home", name)
    assert not (tmp_path / "home").exists()


def test_no_number_or_name_in_the_clear(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    checked(store)
    store.close()
    content = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for person in (1, 2, 3):
        assert item(person).encode() not in content
    assert "演甲".encode() not in content
