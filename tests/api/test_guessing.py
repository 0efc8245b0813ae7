"""A bank that guesses numbers, end to end: the canary at the bureau, and the hit rate at the bank itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from bank_home import IMPATIENT, OPERATOR, WARRANT, bank_store, customers, item
from province_home import BANK, DATASET, EPOCH, GRANTED, ProvinceHome, RunningProvince

from api.client import Connection, ProvinceClient
from api.matching import MatchJob, run_match
from keys.identity import Identity
from keys.receipts import export_receipt_keys, open_receipt_keys
from matcher.bank import plan
from matcher.bank.runs import Run
from matcher.bureau.store import BureauStore
from matcher.canaries import open_canaries
from matcher.handover import read_handover, write_run_handover
from matcher.province.canaries import Canaries, Canary
from matcher.province.plan import DatasetPlan
from matcher.province.publisher import Publisher
from psi.identifiers import mask

BUREAU = Identity("演示县财政局", "bureau", bytes([9]) * 32)
PLAN = DatasetPlan(DATASET, EPOCH, bucket=64)
LISTED = 60
HEADER = "证件号码,家庭编号,家庭人数,行政区划,是否扩中家庭,非扩中原因标签"


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "BATCH_SIZES", (16, 64))


def publish_with_canaries(home: ProvinceHome, folder: Path) -> list[Canary]:
    """A list of the first 60 people with five canaries among them."""
    rows = [f"{item(number).decode()},H{number:05d},3,{GRANTED}100,是," for number in range(LISTED)]
    source = folder / "list.csv"
    source.write_text("\n".join([HEADER, *rows]) + "\n", "utf-8")
    canaries = Canaries(home.path, home.keystore, home.ledger, home.clock, os.urandom)
    planted = canaries.plant(PLAN, source, division=GRANTED, count=5, prefix="990000", actor="张三")
    outcome, _ = Publisher(home.path, home.keystore, home.ledger, home.clock).refresh(PLAN, source, accept_shrink=True)
    assert outcome.rows == LISTED + 5
    return planted


def match(folder: Path, province: RunningProvince, items: list[bytes]) -> Run:
    job = MatchJob(DATASET, (GRANTED,), WARRANT, "customers.csv", operator=OPERATOR)
    clock = province.home.clock
    client = ProvinceClient(Connection(province.url, timeout_s=10), BANK, clock, IMPATIENT)
    with bank_store(folder, clock) as store, client:
        identity = province.home.keystore.get_public_identity()
        return run_match(job, customers(items), store=store, client=client, province=identity)


def hand_over(folder: Path, bank_home: Path, province: RunningProvince, run: Run) -> dict[str, object]:
    """To a bureau that knows the canaries; what it accepted, refused, and is alarmed about."""
    home = province.home
    identity = home.keystore.get_public_identity()
    canaries = Canaries(home.path, home.keystore, home.ledger, home.clock, os.urandom)
    listed = open_canaries(canaries.export(DATASET, BUREAU.public, [GRANTED], actor="张三"), BUREAU, identity)
    keys = export_receipt_keys(home.keystore, BUREAU.public, DATASET, EPOCH, [GRANTED])
    with bank_store(bank_home, home.clock) as store:
        write_run_handover(folder / "移交.mch", store, run, BANK, BUREAU.public, home.clock)
    bureau = BureauStore(folder / "bureau", b"s" * 32, home.clock, [GRANTED])
    bureau.add_bank(BANK.public)
    bureau.add_receipt_keys(open_receipt_keys(keys, BUREAU, identity))
    bureau.add_canaries(listed)
    handover = read_handover(folder / "移交.mch", identity=BUREAU, trusted_banks=bureau.list_banks())
    done = bureau.import_handover(handover, "经办员")
    result = {
        "accepted": done.accepted,
        "refused": dict(done.refused),
        "alarms": [(alarm.code, alarm.params.get("rows")) for alarm in bureau.alarms.list_waiting()],
        "rows": [row["masked_item"] for row in bureau.list_refused(done.handover_id)],
    }
    bureau.close()
    return result


def test_an_honest_bank_never_meets_a_canary(tmp_path: Path, province: RunningProvince) -> None:
    publish_with_canaries(province.home, tmp_path)
    run = match(tmp_path / "bank", province, [item(number) for number in range(90)])
    assert run.matched == LISTED
    assert hand_over(tmp_path, tmp_path / "bank", province, run) == {
        "accepted": LISTED,
        "refused": {},
        "alarms": [],
        "rows": [],
    }


def test_a_guesser_is_given_away_by_a_canary(tmp_path: Path, province: RunningProvince) -> None:
    planted = publish_with_canaries(province.home, tmp_path)
    guessed = planted[2].item
    run = match(tmp_path / "bank", province, [*(item(number) for number in range(30)), guessed.encode()])
    assert run.matched == 31, "to the bank a canary is a match like any other"
    assert hand_over(tmp_path, tmp_path / "bank", province, run) == {
        "accepted": 30,
        "refused": {"canary": 1},
        "alarms": [("canary_found", 1)],
        "rows": [mask(guessed)],
    }


def test_made_up_numbers_show_in_the_banks_own_hit_rate(tmp_path: Path, province: RunningProvince) -> None:
    publish_with_canaries(province.home, tmp_path)
    usual = [item(number) for number in range(100)]
    for _ in range(3):
        match(tmp_path / "bank", province, usual)
    run = match(tmp_path / "bank", province, usual + [item(number) for number in range(500, 560)])
    assert run.state == "COMPLETED", "the alarm is for people; it stops nothing"
    with bank_store(tmp_path / "bank", province.home.clock) as store:
        (alarm,) = store.get_status().alarms
    assert (alarm.code, alarm.subject) == ("hit_rate_low", run.run_id)
    assert alarm.params == {"of": "new", "customers": 60, "matched": 0, "expected": 36}
