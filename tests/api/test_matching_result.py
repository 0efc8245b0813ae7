"""What a match must come to: the plain intersection, with the right labels, and nothing asked twice."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from bank_home import BANK, OPERATOR, SECRET, WARRANT, bank_store, connect, customers, item, match, records, residents
from fake_province import DATASET, DIVISION, EPOCH, FakeProvince, Resident
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.matching import MatchJob, preview_match, run_match
from api.progress import Progress
from api.refusals import BudgetExhausted
from api.retry import ProvinceUnavailable
from keys.files import Locked
from matcher.bank import plan
from matcher.bank.runs import RunStateInvalid
from psi.errors import InputError

NEIGHBOUR = "330921"
DIVISIONS = (DIVISION, NEIGHBOUR)
LABEL_FIELDS = ("household_no", "household_size", "division", "expanding", "reasons")


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "BATCH_SIZES", (16, 64))


@pytest.fixture
def province() -> Iterator[FakeProvince]:
    with FakeProvince(BANK.public) as running:
        yield running


residents_strategy = st.dictionaries(
    st.integers(0, 200),
    st.builds(
        dict,
        household_no=st.integers(0, 9_999).map(lambda n: f"家{n}"),
        household_size=st.integers(1, 12).map(str),
        division=st.sampled_from([DIVISION, f"{DIVISION}100", f"{NEIGHBOUR}001002"]),
        expanding=st.sampled_from("01"),
        reasons=st.lists(st.sampled_from(["N01", "N05", "NX1"]), unique=True, max_size=3).map(",".join),
        version=st.integers(1, 2**32 - 1),
    ),
    max_size=120,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    base=residents_strategy,
    lists=st.lists(st.sets(st.integers(0, 200), max_size=150), min_size=1, max_size=3),
    both=st.booleans(),
)
def test_a_match_is_the_plain_intersection(base: dict[int, dict[str, str]], lists: list[set[int]], both: bool) -> None:
    """Over several lists of one bank: each run's records equal the plain look-up, and nothing is asked twice."""
    divisions = DIVISIONS if both else (DIVISION,)
    with tempfile.TemporaryDirectory() as folder, FakeProvince(BANK.public) as province:
        province.publish([Resident(item(number), **fields) for number, fields in base.items()])
        if NEIGHBOUR not in province.edition.slices:
            divisions = (DIVISION,)
        asked: set[int] = set()
        for numbers in lists:
            listed = sorted(numbers)
            run = match(Path(folder), province, [item(number) for number in listed], divisions=divisions)
            found = records(Path(folder), run)
            assert [row["item"].encode() for row in found] == [item(number) for number in listed]
            assert [row["row_no"] for row in found] == list(range(2, len(listed) + 2))
            for number, row in zip(listed, found, strict=True):
                label = base.get(number)
                expected = label is not None and label["division"][:6] in divisions
                assert row["matched"] is expected
                for name in LABEL_FIELDS:
                    assert row[name] == (label[name] if expected and label else None)
                assert row["row_version"] == (label["version"] if expected and label else None)
                assert (row["receipt"] is not None) is expected
            assert run.asked == len(numbers - asked)
            assert run.matched == sum(row["matched"] for row in found)
            asked |= numbers
        assert province.charged == sum(len(body) - 60 for body, _ in province.answers.values()) // 32
        assert all(size in (16, 64) for size in province.charges.values())


def test_a_second_run_asks_nothing(tmp_path: Path, province: FakeProvince) -> None:
    province.publish(residents([item(n) for n in range(100)]))
    first = match(tmp_path, province, [item(n) for n in range(50, 150)])
    charged = province.charged
    second = match(tmp_path, province, [item(n) for n in range(50, 150)])
    assert (first.asked, first.charged, first.matched) == (100, 128, 50)
    assert (second.asked, second.charged, second.matched) == (0, 0, 50)
    assert province.charged == charged == 128
    assert records(tmp_path, first) == records(tmp_path, second)


def test_a_new_edition_costs_no_query(tmp_path: Path, province: FakeProvince) -> None:
    province.publish(residents([item(n) for n in range(100)]))
    match(tmp_path, province, [item(n) for n in range(50, 150)])
    changed = residents([item(n) for n in range(120)], reasons="N30", version=2)
    province.publish(changed, 2, previous=province.first_edition.payload_sha256)
    run = match(tmp_path, province, [item(n) for n in range(50, 150)])
    assert (run.edition, run.asked, run.matched) == (2, 0, 70)
    assert {row["reasons"] for row in records(tmp_path, run) if row["matched"]} == {"N30"}


def test_an_empty_list(tmp_path: Path, province: FakeProvince) -> None:
    province.publish(residents([item(0)]))
    run = match(tmp_path, province, [])
    assert (run.state, run.customers, run.asked, run.matched) == ("COMPLETED", 0, 0, 0)
    assert records(tmp_path, run) == []


def test_steps_are_told_in_order(tmp_path: Path, province: FakeProvince) -> None:
    province.publish(residents([item(n) for n in range(100)]))
    told: list[Progress] = []
    match(tmp_path, province, [item(n) for n in range(200)], observe=told.append)
    steps = list(dict.fromkeys(progress.step for progress in told))
    assert steps == ["manifest", "slices", "plan", "evaluate", "look_up", "record", "completed"]
    evaluated = [progress for progress in told if progress.step == "evaluate"]
    assert [progress.done for progress in evaluated] == sorted(progress.done for progress in evaluated)
    assert evaluated[-1] == Progress("evaluate", 208, 208)
    assert told[-1] == Progress("completed", 200, 200)


def test_the_run_records_why_and_by_whom(tmp_path: Path, province: FakeProvince) -> None:
    province.publish(residents([item(0)]))
    run = match(tmp_path, province, [item(0)])
    terms = WARRANT.terms
    assert (run.purpose, run.legal_basis, run.agreement_no) == (terms.purpose, terms.legal_basis, terms.agreement_no)
    assert (run.warrant_sha256, run.operator) == (WARRANT.sha256, OPERATOR)
    assert (run.list_name, run.divisions, run.manifest_sha256) == (
        "customers.csv",
        (DIVISION,),
        province.edition.payload_sha256,
    )
    with bank_store(tmp_path) as store:
        states = [event["state"] for event in store.runs.list_events(run.run_id)]
        assert states == ["PROPOSED", "AUTHORISED", "RUNNING", "COMPLETED"]
        store.runs.release(run.run_id, "演示员", "to the bureau")
        with pytest.raises(RunStateInvalid):
            store.runs.change_state(run.run_id, "RUNNING", "演示员")


def test_an_exhausted_budget_stops_the_run_and_keeps_what_was_answered(tmp_path: Path, province: FakeProvince) -> None:
    province.publish(residents([item(n) for n in range(100)]))
    province.budget = 130
    with pytest.raises(BudgetExhausted):
        match(tmp_path, province, [item(n) for n in range(200)])
    with bank_store(tmp_path) as store:
        status = store.get_status()
        assert (status.runs[0].state, status.is_red) == ("ABORTED", False)
        assert store.runs.list_events(status.runs[0].run_id)[-1]["note"] == "budget_exhausted"
        assert len(store.batches.load_answers(DATASET, EPOCH).items) == 128
    province.budget = 1_000
    run = match(tmp_path, province, [item(n) for n in range(200)])
    assert (run.matched, run.asked) == (100, 72)
    assert province.charged == 208


def test_a_province_that_is_away_leaves_a_run_to_be_taken_up(tmp_path: Path, province: FakeProvince) -> None:
    province.publish(residents([item(n) for n in range(100)]))
    province.flaky_share = 1.0
    with pytest.raises(ProvinceUnavailable):
        match(tmp_path, province, [item(0)])
    province.flaky_share = 0.3
    assert match(tmp_path, province, [item(0)]).matched == 1


def test_one_match_at_a_time(tmp_path: Path, province: FakeProvince) -> None:
    province.publish(residents([item(0)]))
    with bank_store(tmp_path) as store, store.lock(), pytest.raises(Locked):
        match(tmp_path, province, [item(0)])


def test_a_division_that_the_edition_does_not_have(tmp_path: Path, province: FakeProvince) -> None:
    province.publish(residents([item(0)]))
    with pytest.raises(InputError):
        match(tmp_path, province, [item(0)], divisions=("990000",))
    with pytest.raises(InputError):
        match(tmp_path, province, [item(0)], divisions=())


def test_a_preview_changes_nothing(tmp_path: Path, province: FakeProvince) -> None:
    province.publish(residents([item(n) for n in range(100)]))
    match(tmp_path, province, [item(n) for n in range(10)])
    job = MatchJob(DATASET, (DIVISION,), WARRANT, "customers.csv", operator=OPERATOR)
    with bank_store(tmp_path) as store, connect(province) as client:
        before = store.get_status()
        listed = customers([item(n) for n in range(100)])
        preview = preview_match(DATASET, listed, warrant=WARRANT, store=store, client=client, province=province.public)
        assert preview == {
            "epoch": EPOCH,
            "edition": 1,
            "customers": 100,
            "new": 90,
            "elements": 128,
            "remaining": province.budget - 16,
            "under_warrant": 100,
        }
        assert store.get_status() == before
        run = run_match(job, listed, store=store, client=client, province=province.public)
        assert (run.asked, run.charged) == (90, 128)


def test_no_customer_and_no_secret_in_the_clear(tmp_path: Path, province: FakeProvince) -> None:
    """D46, the bank's store: neither numbers nor names, outputs nor keys, in any file."""
    province.publish(residents([item(n) for n in range(20)]))
    run = match(tmp_path, province, [item(n) for n in range(10, 30)])
    with bank_store(tmp_path) as store:
        outputs = store.batches.load_answers(DATASET, EPOCH).outputs
        needles = [item(15), item(25), "演示1".encode(), SECRET, outputs[0].as_py(), store.runs.get_seed(run.run_id)]
    for path in tmp_path.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not [needle for needle in needles if needle in content], path.name
