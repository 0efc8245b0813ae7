"""The bank's client and the real province endpoint, together: the match, the budget and a run killed between them."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from bank_home import IMPATIENT, OPERATOR, WARRANT, bank_store, customers, item, residents
from fake_province import encode_slice
from province_home import BANK, DATASET, EPOCH, GRANTED, OTHER_DIVISION, ProvinceHome, RunningProvince

from api.client import Connection, ProvinceClient
from api.matching import MatchJob, run_match
from api.refusals import AccessRefused, BudgetExhausted, ClockRefused, SignatureRefused
from keys.clock import Clock, SettableClock, format_time
from keys.identity import Identity
from matcher.bank import plan
from matcher.bank.runs import Run
from matcher.province.editions import Draft, EditionFolders, Source
from matcher.slices import write_slice_file
from psi.edition import LabelSchema, SliceEntry, parse_slice
from psi.remembered import empty_state

MATCHED = 70


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "BATCH_SIZES", (16, 64))


def publish(home: ProvinceHome) -> None:
    """Edition 2: real rows under the epoch's real key."""
    label = LabelSchema()
    base = residents([item(number) for number in range(MATCHED)], division=f"{GRANTED}100")
    key = home.keystore.open_epoch_key(DATASET, EPOCH)
    receipt_key = home.keystore.receipt_key(DATASET, EPOCH, GRANTED)
    content = encode_slice(base, GRANTED, key, receipt_key, label)
    draft = Draft(
        dataset=DATASET,
        epoch=EPOCH,
        edition=2,
        public_key=home.epoch.public_key,
        created_at=format_time(home.clock.now()),
        not_before=format_time(home.epoch.not_before),
        not_after=format_time(home.epoch.not_after),
        label=label,
        bucket=64,
        divisions={GRANTED: "嵊泗县"},
        previous=home.edition.manifest_sha256,
        state=[empty_state()],
        source=Source(sha256="0" * 64, rows=MATCHED, rejected=0),
    )
    folders = EditionFolders(home.path, home.keystore.get_public_identity())

    def fill(folder: Path) -> list[SliceEntry]:
        return [write_slice_file(folder, GRANTED, parse_slice(pa.py_buffer(content), label.width), 64, label)]

    home.edition = folders.write(draft, fill, home.keystore.get_identity())
    home._record()


def match(
    folder: Path,
    province: RunningProvince,
    count: int,
    *,
    division: str = GRANTED,
    bank: Identity = BANK,
    clock: Clock | None = None,
) -> Run:
    clock = clock or province.home.clock
    job = MatchJob(DATASET, (division,), WARRANT, "customers.csv", operator=OPERATOR)
    client = ProvinceClient(Connection(province.url, timeout_s=10), bank, clock, IMPATIENT)
    listed = customers([item(number) for number in range(count)])
    with bank_store(folder, clock) as store, client:
        identity = province.home.keystore.get_public_identity()
        return run_match(job, listed, store=store, client=client, province=identity)


def test_a_match_with_the_real_province(tmp_path: Path, province: RunningProvince) -> None:
    publish(province.home)
    run = match(tmp_path / "bank", province, 100)
    assert (run.state, run.edition, run.matched, run.asked, run.charged) == ("COMPLETED", 2, MATCHED, 100, 128)
    assert province.home.used(BANK) == 128
    again = match(tmp_path / "bank", province, 110)
    assert (again.matched, again.asked, again.charged) == (MATCHED, 10, 16)
    assert province.home.used(BANK) == 144


def test_both_sides_keep_the_same_digests(tmp_path: Path, province: RunningProvince) -> None:
    publish(province.home)
    match(tmp_path / "bank", province, 100)
    with bank_store(tmp_path / "bank") as store:
        ours = store.batches.list_digests(DATASET, EPOCH)
    theirs = province.home.query("SELECT idempotency_key, body_sha256, answer_sha256 FROM charge")
    assert {name: (d.request_sha256, d.answer_sha256) for name, d in ours.items()} == {
        name: (request, answer) for name, request, answer in theirs
    }


def test_the_budget_ends_the_run_with_its_own_error(tmp_path: Path, province: RunningProvince) -> None:
    publish(province.home)
    with pytest.raises(BudgetExhausted):
        match(tmp_path / "bank", province, 1_100)
    used = province.home.used(BANK)
    assert used == 960
    province.home.ledger.set_budget(BANK.public.fingerprint, DATASET, EPOCH, 2_000)
    assert match(tmp_path / "bank", province, 1_100).matched == MATCHED
    assert province.home.used(BANK) == 1_100 // 64 * 64 + 16


def test_a_slice_that_is_not_granted(tmp_path: Path, province: RunningProvince) -> None:
    with pytest.raises(AccessRefused):
        match(tmp_path / "bank", province, 10, division=OTHER_DIVISION)
    assert province.home.used(BANK) == 0


def test_a_bank_that_the_province_does_not_know(tmp_path: Path, province: RunningProvince) -> None:
    stranger = Identity("路人", "bank", bytes([3]) * 32)
    with pytest.raises(SignatureRefused):
        match(tmp_path / "bank", province, 10, bank=stranger)


def test_a_clock_ten_minutes_off(tmp_path: Path, province: RunningProvince) -> None:
    clock = SettableClock(province.home.clock.now())
    clock.advance(600)
    with pytest.raises(ClockRefused):
        match(tmp_path / "bank", province, 10, clock=clock)
