"""Budgets of legal entities: two allowances, the province's day, clocks that step, and who shares what."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import budgeting
import pysqlite3
import pytest
from budgeting import BODY, DATASET, EPOCH, OTHER_BODY, bank, charge, key, open_ledger, spend
from sqlite_utils import Database, Migrations

from keys.clock import SettableClock
from keys.database import open_database
from matcher.province import budget_tables, migrations
from matcher.province.budgets import allowance, full_pass_allowance
from matcher.province.ledger import Ledger
from matcher.province.pace import Activity, find_unusual
from matcher.province.provinceday import day_end, day_of
from matcher.province.records import AnswerDiffers, Budget, BudgetExhausted, PartyConflict
from matcher.province.store import FILE_NAME
from psi.errors import InputError

HOUR, DAY = 3600, 86_400


@pytest.fixture
def clock() -> SettableClock:
    """09:00 UTC, 17:00 in Beijing."""
    return SettableClock()


@pytest.fixture
def ledger(tmp_path: Path, clock: SettableClock) -> Iterator[Ledger]:
    ledger = open_ledger(tmp_path, clock)
    ledger.set_budget(bank().fingerprint, DATASET, EPOCH, 1_000, nightly=256)
    yield ledger
    ledger.verify_audit()
    ledger.close()


def budget(ledger: Ledger) -> Budget:
    found = ledger.find_budget(bank().fingerprint, DATASET, EPOCH)
    assert found is not None
    return found


def refused(ledger: Ledger, number: int, n: int) -> BudgetExhausted:
    before = budget(ledger)
    with pytest.raises(BudgetExhausted) as caught:
        charge(ledger, number, n)
    assert budget(ledger) == before, "nothing is charged"
    return caught.value


def waiting(ledger: Ledger) -> list[str]:
    return [alarm.code for alarm in ledger.list_alarms(waiting_only=True)]


# How large the allowances are


@pytest.mark.parametrize(
    ("customers", "elements"),
    [
        (0, 0),
        (1, 256),
        (30, 256),
        (232, 256),
        (233, 1_024),
        (300, 1_024),
        (930, 1_024),
        (3_000, 4_096),
        (50_000, 57_344),
    ],
)
def test_a_full_pass_is_eleven_tenths_in_whole_batches(customers: int, elements: int) -> None:
    assert full_pass_allowance(customers) == elements
    assert allowance(customers) <= elements, "a small bank's padded list fits"
    assert elements <= customers * 11 // 10 + 1 + 3_071, "at most one batch's padding more"


def test_thirty_new_customers_a_night_cost_one_small_batch() -> None:
    assert (allowance(0), allowance(30), allowance(257)) == (0, 256, 1_024)


# The full pass first, then the day's allowance


def test_the_nightly_allowance_comes_after_the_full_pass(ledger: Ledger) -> None:
    charge(ledger, 1, 900)
    assert budget(ledger).remaining == 100 + 256
    charge(ledger, 2, 200)
    assert budget(ledger) == Budget(1_000, 1_000, 256, 100, 100, next_at="2026-01-05T16:00:00Z")
    assert refused(ledger, 3, 157).params["remaining"] == 156
    charge(ledger, 3, 156)
    assert budget(ledger).remaining == 0
    rows = ledger.store.db.conn.execute("SELECT n, from_nightly, day FROM charge ORDER BY idempotency_key").fetchall()
    assert rows == [(900, 0, "2026-01-05"), (200, 100, "2026-01-05"), (156, 156, "2026-01-05")]


def test_the_day_begins_at_midnight_in_beijing(ledger: Ledger, clock: SettableClock) -> None:
    charge(ledger, 1, 1_000)
    charge(ledger, 2, 256)
    clock.at = datetime(2026, 1, 5, 15, 59, 59, tzinfo=UTC)
    assert refused(ledger, 3, 1).params["next_at"] == "2026-01-05T16:00:00Z"
    clock.advance(1)
    assert budget(ledger).remaining == 256
    charge(ledger, 3, 256)
    assert budget(ledger) == Budget(1_000, 1_000, 256, 256, 512, next_at="2026-01-06T16:00:00Z")


def test_what_a_day_leaves_is_gone_the_next(ledger: Ledger, clock: SettableClock) -> None:
    charge(ledger, 1, 1_000)
    clock.advance(30 * DAY)
    assert budget(ledger).remaining == 256


def test_next_at_is_told_only_if_it_helps(ledger: Ledger, clock: SettableClock) -> None:
    charge(ledger, 1, 990)
    charge(ledger, 2, 260)
    assert refused(ledger, 3, 256).params["next_at"] == "2026-01-05T16:00:00Z"
    assert refused(ledger, 4, 257).params["next_at"] is None
    ledger.set_budget(bank().fingerprint, DATASET, EPOCH, 1_000)
    assert refused(ledger, 5, 1).params["next_at"] is None


def test_a_days_end_is_in_utc() -> None:
    assert day_of(datetime(2026, 1, 5, 16, tzinfo=UTC)) == "2026-01-06"
    assert day_end("2026-12-31") == datetime(2026, 12, 31, 16, tzinfo=UTC)


# D28: clocks that step


@pytest.mark.parametrize("step_days", [-2, -1, 1, 2])
def test_d28_a_clock_that_steps_and_comes_back_opens_no_day_twice(
    ledger: Ledger, clock: SettableClock, step_days: int
) -> None:
    charge(ledger, 1, 1_000)
    right = clock.now()
    granted, number = 0, 2
    for moment in (right, right + timedelta(days=step_days), right, right + timedelta(days=step_days), right):
        clock.at = moment
        granted += spend(ledger, bank(), number, 3, 128)
        number += 3
    days = {day_of(right)} | ({day_of(right + timedelta(days=step_days))} if step_days > 0 else set())
    assert granted == 256 * len(days), "one allowance for each day that was ever reached, going forward"
    assert ledger.verify_audit().seq > 0


def test_d28_over_midnight_and_back_again(ledger: Ledger, clock: SettableClock) -> None:
    charge(ledger, 1, 1_000)
    clock.at = datetime(2026, 1, 5, 15, 59, 59, tzinfo=UTC)
    assert spend(ledger, bank(), 10, 2, 256) == 256
    granted = 0
    for number in range(20, 30):
        clock.advance(-2 if number % 2 else 2)
        granted += spend(ledger, bank(), number, 1, 256)
    assert granted == 256, "the new day's, once"
    assert waiting(ledger) == ["budget_refused"] * 2, "seconds around midnight are no clock alarm"


def test_d28_a_clock_far_behind_sounds_an_alarm_and_two_persons_can_mend_the_day(
    ledger: Ledger, clock: SettableClock
) -> None:
    clock.advance(400 * DAY)
    charge(ledger, 1, 1_000)
    charge(ledger, 2, 100)
    clock.advance(-400 * DAY)
    charge(ledger, 3, 100)
    assert "clock_behind" in waiting(ledger)
    assert budget(ledger).next_at == "2027-02-09T16:00:00Z"
    ledger.set_budget(bank().fingerprint, DATASET, EPOCH, 1_000, nightly=256)
    assert budget(ledger) == Budget(1_000, 1_000, 256, 0, 200, next_at="2026-01-05T16:00:00Z")
    clock.advance(400 * DAY)
    assert budget(ledger).remaining == 56, "what was charged to that day stays charged to it"


def test_d28_a_restart_changes_nothing(ledger: Ledger, clock: SettableClock, tmp_path: Path) -> None:
    charge(ledger, 1, 1_100)
    again = Ledger.open(tmp_path, clock)
    assert budget(again) == budget(ledger)
    with pytest.raises(BudgetExhausted):
        charge(again, 2, 157)
    assert charge(again, 1, 1_100) is False
    again.close()


# D25, D26: parallel and repeated


def test_d25_eight_threads_and_both_allowances(ledger: Ledger) -> None:
    granted: list[int] = []
    threads = [
        threading.Thread(target=lambda first=first: granted.append(spend(ledger, bank(), first, 40, 10)))
        for first in range(0, 8_000, 1_000)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(granted) == 1_250, "125 batches of 10 fit into 1,000 + 256"
    assert (budget(ledger).used, budget(ledger).used_today) == (1_000, 250)


def test_d25_processes_with_two_keys_of_one_bank_never_overspend(ledger: Ledger, tmp_path: Path) -> None:
    ledger.register_party(bank("演示银行新密钥", 2), entity="演示银行")
    keys = [("演示银行", 1), ("演示银行新密钥", 2)] * 2
    processes = [
        subprocess.Popen(
            [sys.executable, budgeting.__file__, str(tmp_path), name, str(seed), str(1_000 * number), "40", "10"],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
            env={"PYTHONPATH": f"{Path(__file__).parents[2]}:{Path(__file__).parent}", "PATH": ""},
        )
        for number, (name, seed) in enumerate(keys)
    ]
    assert sum(int(process.communicate(timeout=60)[0]) for process in processes) == 1_250
    assert (budget(ledger).used, budget(ledger).used_nightly) == (1_000, 250)
    (charged,) = ledger.store.db.conn.execute("SELECT SUM(n) FROM charge").fetchone()
    assert charged == 1_250


def test_d26_a_retry_on_another_day_is_free(ledger: Ledger, clock: SettableClock) -> None:
    charge(ledger, 1, 1_200)
    before = budget(ledger)
    clock.advance(2 * DAY)
    assert [charge(ledger, 1, 1_200) for _ in range(5)] == [False] * 5
    assert (budget(ledger).used, budget(ledger).used_nightly) == (before.used, before.used_nightly)


# Legal entities


def test_a_second_key_shares_the_banks_budget(ledger: Ledger) -> None:
    second = ledger.register_party(bank("演示银行新密钥", 2), entity="演示银行")
    assert second.entity == "演示银行"
    charge(ledger, 1, 1_000)
    charge(ledger, 2, 200, bank("演示银行新密钥", 2))
    assert ledger.find_budget(second.fingerprint, DATASET, EPOCH) == budget(ledger)
    assert budget(ledger).used_today == 200
    assert [one.entity for one in ledger.list_budgets()] == ["演示银行"]


def test_another_bank_has_nothing_of_it(ledger: Ledger) -> None:
    other = ledger.register_party(bank("另一银行", 2))
    assert ledger.find_budget(other.fingerprint, DATASET, EPOCH) is None


def test_a_key_never_moves_to_another_entity(ledger: Ledger) -> None:
    ledger.register_party(bank("另一银行", 2))
    with pytest.raises(PartyConflict):
        ledger.register_party(bank("另一银行", 2), entity="演示银行")
    assert ledger.register_party(bank("另一银行", 2), entity="另一银行").entity == "另一银行"


def test_an_entity_has_one_spelling(ledger: Ledger) -> None:
    assert ledger.register_party(bank("二", 2), entity=" 演示　银行  股份 ").entity == "演示 银行 股份"
    assert ledger.register_party(bank("三", 3), entity="ＡＢＣ银行").entity == "ABC银行"
    for name in ("", "  ", "a" * 201, "演示\x00银行"):
        with pytest.raises(InputError):
            ledger.register_party(bank("四", 4), entity=name)


# Alarms


def test_a_refusal_sounds_one_alarm_a_day(ledger: Ledger, clock: SettableClock) -> None:
    charge(ledger, 1, 1_000)
    for number in range(2, 6):
        refused(ledger, number, 300)
    assert waiting(ledger).count("budget_refused") == 1
    clock.advance(DAY)
    refused(ledger, 9, 300)
    assert waiting(ledger).count("budget_refused") == 2
    params = ledger.list_alarms()[-1].params
    assert (params["entity"], params["n"], params["remaining"]) == ("演示银行", 300, 256)


def test_a_second_answer_with_other_bytes_sounds_an_alarm(ledger: Ledger) -> None:
    charge(ledger, 1, 1)
    answer = {"party": bank().fingerprint, "idempotency_key": key(1)}
    ledger.record_answer(**answer, answer_sha256=BODY)
    for _ in range(2):
        with pytest.raises(AnswerDiffers):
            ledger.record_answer(**answer, answer_sha256=OTHER_BODY)
    assert waiting(ledger) == ["answer_differs"]


def test_an_alarm_waits_until_somebody_acknowledges_it(ledger: Ledger) -> None:
    refused(ledger, 1, 2_000)
    (alarm,) = ledger.list_alarms(waiting_only=True)
    head = ledger.verify_audit()
    for name in ("张三", "李四"):
        ledger.acknowledge_alarm(alarm.alarm_id, actor=name)
    assert ledger.list_alarms(waiting_only=True) == []
    assert ledger.list_alarms()[0].acknowledged_by == "张三"
    assert ledger.verify_audit().seq == head.seq + 1
    refused(ledger, 2, 2_000)
    assert ledger.list_alarms(waiting_only=True) == [], "the same day's was seen"


ABOUT = {"entity": "演示银行", "dataset": DATASET, "epoch": EPOCH, "day": "2026-01-05"}


@pytest.mark.parametrize(
    ("today", "total", "found"),
    [
        (50_176, 50_176, []),  # the declared customers at once
        (50_432, 50_432, []),  # and one night's new ones
        (50_433, 50_433, ["pace_day"]),
        (256, 57_600, []),  # a usual night after the pass
        (1_024, 57_600, []),
        (1_025, 57_600, ["pace_reserve"]),
        (7_168, 50_176 + 1_024, []),  # only the last 1,024 are beyond the declared customers
        (57_344, 57_344, ["pace_day", "pace_reserve"]),
    ],
)
def test_pace(today: int, total: int, found: list[str]) -> None:
    activity = Activity(**ABOUT, today=today, total=total)
    assert [error.code for error in find_unusual(activity, expected=50_176, nightly=256)] == found


def test_pace_is_looked_at_with_every_charge(ledger: Ledger, clock: SettableClock) -> None:
    ledger.set_budget(bank().fingerprint, DATASET, EPOCH, 20_000, nightly=256, expected=10_000)
    charge(ledger, 1, 10_000)
    assert waiting(ledger) == []
    clock.advance(DAY)
    for number in range(2, 8):
        charge(ledger, number, 256)
    assert waiting(ledger) == ["pace_reserve"], "five small batches beyond the declared customers in a day"
    clock.advance(DAY)
    charge(ledger, 9, 256)
    assert waiting(ledger) == ["pace_reserve"]


# The migration


def test_budgets_of_the_first_version_become_their_entities(tmp_path: Path) -> None:
    first = Migrations("province")
    first()(migrations.m001_ledger)
    old = open_database(tmp_path / FILE_NAME, first)
    fill_first_version(old)
    old.close()
    ledger = Ledger.open(tmp_path, SettableClock())
    found = ledger.find_budget(bank().fingerprint, DATASET, EPOCH)
    assert found == Budget(limit=100, used=30)
    assert ledger.get_party("演示银行").entity == "演示银行"
    assert charge(ledger, 1, 30) is False, "what was paid stays paid"
    assert ledger.store.db.conn.execute("SELECT day, from_nightly, n FROM charge").fetchall() == [("2026-01-06", 0, 30)]
    charge(ledger, 2, 70)
    assert ledger.store.db.conn.execute("PRAGMA foreign_key_check").fetchall() == []
    ledger.close()


def test_a_migration_that_breaks_off_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Migrations("province")
    first()(migrations.m001_ledger)
    old = open_database(tmp_path / FILE_NAME, first)
    fill_first_version(old)
    old.close()
    with monkeypatch.context() as patch:
        patch.setattr(budget_tables, "STATEMENTS", (*budget_tables.STATEMENTS, "CREATE TABLE party (x)"))
        with pytest.raises(pysqlite3.OperationalError):
            Ledger.open(tmp_path, SettableClock())
    ledger = Ledger.open(tmp_path, SettableClock())
    assert ledger.find_budget(bank().fingerprint, DATASET, EPOCH) == Budget(limit=100, used=30)
    ledger.close()


def fill_first_version(database: Database) -> None:
    party, at = bank(), "2026-01-05T09:00:00Z"
    who = (party.fingerprint, party.name, "bank", party.verify_key, "active", at)
    database.execute("INSERT INTO party VALUES (?, ?, ?, ?, ?, ?)", who)
    database.execute("INSERT INTO dataset VALUES (?, '', '{}', ?, ?)", (DATASET, EPOCH, at))
    database.execute("INSERT INTO budget VALUES (?, ?, ?, 100, 30)", (party.fingerprint, DATASET, EPOCH))
    charged = (party.fingerprint, key(1), DATASET, EPOCH, "01" * 32, "2026-01-05T16:00:01Z")
    database.execute("INSERT INTO charge VALUES (?, ?, ?, ?, ?, 30, ?, NULL, NULL)", charged)
