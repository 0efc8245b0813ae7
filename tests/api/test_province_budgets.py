"""Budgets at the real endpoint: two allowances, the bank's own words for a refusal, clocks that step, alarms."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import UTC, datetime

import pytest
from bank_home import IMPATIENT
from province_home import BANK, BUDGET, DATASET, EPOCH, OTHER_BANK, ProvinceHome, RunningProvince, blinded

from api.client import Connection, ProvinceClient
from api.refusals import BudgetExhausted, BudgetWaits
from keys.identity import Identity
from scripts.messages import exit_code, explain

NEW_KEY = Identity("演示银行（新密钥）", "bank", bytes([4]) * 32)


@pytest.fixture
def nightly(province: RunningProvince) -> RunningProvince:
    """The first bank has a full pass of 1,000 and 256 a night."""
    province.home.ledger.set_budget(BANK.public.fingerprint, DATASET, EPOCH, 1_000, nightly=256)
    return province


def ask(province: RunningProvince, n: int, bank: Identity = BANK) -> tuple[int, dict[str, object]]:
    answer = province.evaluate(province.request(blinded(n)[1]), bank)
    return answer.status_code, {} if answer.status_code == 200 else answer.json()


def alarm_codes(home: ProvinceHome) -> list[str]:
    return [alarm.code for alarm in home.ledger.list_alarms(waiting_only=True)]


def test_what_is_left_and_when_more_comes(nightly: RunningProvince) -> None:
    ask(nightly, 1_000)
    ask(nightly, 200)
    assert nightly.get(BUDGET).json() == {
        "limit": 1_000,
        "used": 1_000,
        "nightly": 256,
        "used_today": 200,
        "remaining": 56,
        "next_at": "2026-01-05T16:00:00Z",
    }
    status, problem = ask(nightly, 57)
    assert (status, problem["code"], problem["remaining"]) == (403, "budget_exhausted", 56)
    assert problem["next_at"] == "2026-01-05T16:00:00Z"
    assert ask(nightly, 257)[1]["next_at"] is None, "no night will ever hold it"
    assert alarm_codes(nightly.home) == ["budget_refused"]


def test_the_banks_client_says_what_to_do(nightly: RunningProvince) -> None:
    connection = Connection(nightly.url, timeout_s=10)
    ask(nightly, 1_000)
    with ProvinceClient(connection, BANK, nightly.home.clock, IMPATIENT) as client:
        client.evaluate(DATASET, EPOCH, nightly.request(blinded(200)[1]))
        with pytest.raises(BudgetWaits) as waits:
            client.evaluate(DATASET, EPOCH, nightly.request(blinded(200)[1]))
        with pytest.raises(BudgetExhausted) as exhausted:
            client.evaluate(DATASET, EPOCH, nightly.request(blinded(300)[1]))
    what, following = explain(waits.value)
    assert "剩余 56 个元素" in what
    assert "北京时间 2026-01-06 00:00" in what
    assert "再运行一次" in following
    assert type(exhausted.value) is BudgetExhausted
    assert "申报变更" in explain(exhausted.value)[1]
    assert (exit_code(waits.value), exit_code(exhausted.value)) == (5, 4)


def test_two_keys_of_one_bank_share_its_budget(nightly: RunningProvince) -> None:
    ledger = nightly.home.ledger
    ledger.register_party(NEW_KEY.public, entity=BANK.public.name)
    ledger.grant(NEW_KEY.public.fingerprint, DATASET, divisions=None)
    assert ask(nightly, 900)[0] == 200
    assert ask(nightly, 356, NEW_KEY)[0] == 200
    assert ask(nightly, 1, NEW_KEY)[0] == 403
    assert nightly.get(BUDGET, sender=NEW_KEY).json() == nightly.get(BUDGET).json()
    assert nightly.get(BUDGET, sender=OTHER_BANK).json()["used"] == 0


def test_d25_both_keys_at_once_never_overspend(nightly: RunningProvince) -> None:
    ledger = nightly.home.ledger
    ledger.register_party(NEW_KEY.public, entity=BANK.public.name)
    ledger.grant(NEW_KEY.public.fingerprint, DATASET, divisions=None)
    outcomes: Counter[int] = Counter()

    def spend(bank: Identity) -> None:
        for _ in range(10):
            outcomes[ask(nightly, 32, bank)[0]] += 1

    threads = [threading.Thread(target=spend, args=(bank,)) for bank in (BANK, NEW_KEY) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == {200: 1_256 // 32, 403: 60 - 1_256 // 32}
    assert nightly.home.query("SELECT used, used_nightly FROM budget WHERE entity = ?", BANK.public.name) == [
        (1_000, 248)
    ]


@pytest.mark.parametrize("days", [-2, 2])
def test_d28_a_clock_two_days_off_during_use(nightly: RunningProvince, days: int) -> None:
    home, right = nightly.home, nightly.home.clock.now()
    ask(nightly, 1_000)
    edition = nightly.get(f"/v1/datasets/{DATASET}").json()["epochs"][0]["edition"]
    granted = 0
    for step in (0, days, 0, days, 0):
        home.clock.at = right
        home.clock.advance(step * 86_400)
        granted += sum(n for n in (128, 128, 128) if ask(nightly, n)[0] == 200)
    assert granted == (256 if days < 0 else 512)
    sequence = [row[0] for row in home.query("SELECT seq FROM audit ORDER BY seq")]
    assert sequence == list(range(1, len(sequence) + 1))
    assert nightly.get(f"/v1/datasets/{DATASET}").json()["epochs"][0]["edition"] == edition
    assert "clock_behind" in alarm_codes(home) if days > 0 else "clock_behind" not in alarm_codes(home)


def test_d28_over_midnight_in_beijing(nightly: RunningProvince) -> None:
    clock = nightly.home.clock
    clock.at = datetime(2026, 1, 5, 15, 59, 59, tzinfo=UTC)
    ask(nightly, 1_000)
    assert ask(nightly, 256)[0] == 200
    assert ask(nightly, 1)[0] == 403
    clock.advance(1)
    assert ask(nightly, 256)[0] == 200
    for step in (-2, 2, -2, 2):
        clock.advance(step)
        assert ask(nightly, 1)[0] == 403


def test_d26_a_retry_after_midnight_is_free_and_byte_identical(nightly: RunningProvince) -> None:
    request = nightly.request(blinded(1_100)[1])
    first = nightly.evaluate(request)
    nightly.home.clock.advance(2 * 86_400)
    assert nightly.evaluate(request).content == first.content
    assert nightly.home.query("SELECT used, used_nightly FROM budget WHERE entity = ?", BANK.public.name) == [
        (1_000, 100)
    ]


def test_metrics_count_without_naming_anyone(nightly: RunningProvince) -> None:
    request = nightly.request(blinded(100)[1])
    nightly.evaluate(request)
    nightly.evaluate(request)
    ask(nightly, 2_000)
    text = nightly.client.get("/metrics").text
    assert "mingce_elements_charged_total 100.0" in text
    assert "mingce_alarms_waiting 1.0" in text
    assert BANK.public.name not in text
    assert BANK.public.fingerprint not in text
    nightly.home.ledger.acknowledge_alarm(1, actor="张三")
    assert "mingce_alarms_waiting 0.0" in nightly.client.get("/metrics").text
