"""A match under its warrant: not one customer, division or day more, over all runs together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from bank_home import BANK, OPERATOR, TERMS, bank_store, connect, customers, item, residents
from fake_province import DATASET, DIVISION, FakeProvince

from api.matching import MatchJob, preview_match, run_match
from api.retry import ProvinceUnavailable
from keys.clock import SettableClock
from matcher.bank import plan
from matcher.bank.runs import Run
from matcher.bank.warrants import Warrant, WarrantExceeded, WarrantNotInForce
from psi.errors import InputError


def warrant(number: int = 1, **terms: object) -> Warrant:
    return Warrant(replace(TERMS, **terms), f"{number:064x}", ("张三", "李四"))  # type: ignore[arg-type]


@pytest.fixture
def province(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeProvince]:
    monkeypatch.setattr(plan, "BATCH_SIZES", (16,))
    with FakeProvince(BANK.public, clock=SettableClock()) as running:
        running.publish(residents([item(number) for number in range(10)]))
        yield running


def ask(
    home: Path, province: FakeProvince, count: int, under: Warrant, divisions: tuple[str, ...] = (DIVISION,)
) -> Run:
    job = MatchJob(DATASET, divisions, under, "customers.csv", operator=OPERATOR)
    listed = customers([item(number) for number in range(count)])
    with bank_store(home, province.clock) as store, connect(province) as client:
        return run_match(job, listed, store=store, client=client, province=province.public)


def test_the_run_names_its_warrant(tmp_path: Path, province: FakeProvince) -> None:
    under = warrant()
    run = ask(tmp_path, province, 20, under)
    assert (run.warrant_sha256, run.agreement_no) == (under.sha256, TERMS.agreement_no)
    with bank_store(tmp_path) as store:
        authorised = store.runs.list_events(run.run_id)[1]
    assert (authorised["state"], authorised["note"]) == ("AUTHORISED", under.sha256)


def test_one_customer_too_many_is_not_asked(tmp_path: Path, province: FakeProvince) -> None:
    with pytest.raises(WarrantExceeded) as caught:
        ask(tmp_path, province, 21, warrant(max_new_customers=20))
    assert (caught.value.params["allowed"], caught.value.params["wanted"]) == (20, 21)
    assert province.charges == {}
    with bank_store(tmp_path) as store:
        assert store.runs.list_all() == []
    assert ask(tmp_path, province, 20, warrant(max_new_customers=20)).asked == 20


def test_all_runs_under_a_warrant_count_together(tmp_path: Path, province: FakeProvince) -> None:
    under = warrant(max_new_customers=30)
    assert ask(tmp_path, province, 20, under).asked == 20
    assert ask(tmp_path, province, 30, under).asked == 10
    assert ask(tmp_path, province, 30, under).asked == 0  # no new customer: nothing is counted
    with pytest.raises(WarrantExceeded):
        ask(tmp_path, province, 31, under)
    assert ask(tmp_path, province, 31, warrant(2, max_new_customers=1)).asked == 1


def test_what_an_earlier_warrant_left_over_counts_to_the_one_that_asks_it(
    tmp_path: Path, province: FakeProvince
) -> None:
    province.before_answer = lambda _: setattr(province, "flaky_share", 1.0)
    with pytest.raises(ProvinceUnavailable):
        ask(tmp_path, province, 64, warrant(1))
    province.flaky_share, province.before_answer = 0.0, lambda _: None
    with bank_store(tmp_path) as store:
        left = sum(batch.n for batch in store.batches.list_pending(DATASET, "2026"))
    assert 0 < left < 64
    with pytest.raises(WarrantExceeded):
        ask(tmp_path, province, 64, warrant(2, max_new_customers=left - 1))
    assert ask(tmp_path, province, 64, warrant(2, max_new_customers=left)).asked == left
    with bank_store(tmp_path) as store:
        counted = [store.batches.count_customers(warrant(number).sha256) for number in (1, 2)]
    assert counted == [64 - left, left]


def test_beyond_divisions_or_time_nothing_is_even_fetched(tmp_path: Path, province: FakeProvince) -> None:
    with pytest.raises(WarrantExceeded):
        ask(tmp_path, province, 1, warrant(divisions=("330921",)))
    with pytest.raises(WarrantExceeded):
        ask(tmp_path, province, 1, warrant(dataset="other"))
    over = warrant(not_after=province.clock.now() - timedelta(seconds=1))
    with pytest.raises(WarrantNotInForce):
        ask(tmp_path, province, 1, over)
    assert province.requests == []


def test_a_run_needs_divisions(tmp_path: Path, province: FakeProvince) -> None:
    with pytest.raises(InputError):
        ask(tmp_path, province, 1, warrant(), divisions=())


def test_a_preview_tells_what_the_warrant_would_lack(tmp_path: Path, province: FakeProvince) -> None:
    ask(tmp_path, province, 20, warrant())
    listed = customers([item(number) for number in range(50)])
    with bank_store(tmp_path, province.clock) as store, connect(province) as client:
        for under, customers_under in ((warrant(), 50), (warrant(2), 30), (None, None)):
            preview = preview_match(
                DATASET, listed, warrant=under, store=store, client=client, province=province.public
            )
            assert preview["under_warrant"] == customers_under
