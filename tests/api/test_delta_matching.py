"""Lists, deltas, compactions and roll-backs by a real province, followed by a bank over its real endpoint."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from bank_home import IMPATIENT, OPERATOR, WARRANT, bank_store, customers, item
from hypothesis import given, settings
from hypothesis import strategies as st
from province_home import BANK, DATASET, EPOCH, GRANTED, OTHER_DIVISION, ProvinceHome, RunningProvince

from api.client import Connection, ProvinceClient
from api.matching import MatchJob, run_match
from matcher.bank import plan
from matcher.bank.changes import NothingToCompare, changes_columns, choose_runs, compare_runs
from matcher.bank.runs import Run, RunStateInvalid
from matcher.province.plan import DatasetPlan
from matcher.province.publisher import Publisher

PLAN = DatasetPlan(DATASET, EPOCH, bucket=16, delta_limit=0.6, shrink_limit=1.0, keep_editions=4)
HEADER = "证件号码,家庭编号,家庭人数,行政区划,是否扩中家庭,非扩中原因标签"
ASKED = range(30)
People = dict[int, tuple[str, int]]  # a number: its division and the household's size


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "BATCH_SIZES", (16, 64))


class Life:
    """A province that publishes list after list, and a bank that matches the same customers again and again."""

    def __init__(self, province: RunningProvince, folder: Path) -> None:
        self.province = province
        self._folder = folder
        home = province.home
        self.publisher = Publisher(home.path, home.keystore, home.ledger, home.clock)
        self.history: dict[int, People] = {}

    @property
    def bank(self) -> Path:
        return self._folder / "bank"

    @property
    def current(self) -> People:
        return self.history[max(self.history)]

    def publish(self, people: People, *, full: bool = False) -> str:
        source = self._folder / "list.csv"
        rows = [
            f"{item(who).decode()},H{who},{size},{division}100,是," for who, (division, size) in sorted(people.items())
        ]
        source.write_text("\n".join([HEADER, *rows]) + "\n", "utf-8")
        outcome, _ = self.publisher.refresh(PLAN, source, full=full, accept_shrink=True)
        if outcome.outcome == "published":
            assert outcome.edition is not None
            self.history[outcome.edition] = people
        return outcome.kind

    def roll_back(self, to: int) -> None:
        outcome = self.publisher.rollback(PLAN, to, reason="演练", actor="演示员")
        assert outcome.edition is not None
        self.history[outcome.edition] = self.history[to]

    def match(self, keep_runs: int | None = None, asked: range = ASKED) -> Run:
        home = self.province.home
        job = MatchJob(DATASET, (GRANTED,), WARRANT, "customers.csv", operator=OPERATOR, keep_runs=keep_runs)
        client = ProvinceClient(Connection(self.province.url, timeout_s=10), BANK, home.clock, IMPATIENT)
        listed = customers([item(number) for number in asked])
        with bank_store(self.bank, home.clock) as store, client:
            return run_match(job, listed, store=store, client=client, province=home.keystore.get_public_identity())

    def found(self, run: Run) -> dict[int, int]:
        """What the bank has in its store: customer and household size."""
        with bank_store(self.bank) as store:
            rows = [row for batch in store.iterate_records(run.run_id) for row in batch.to_pylist()]
        return {number: int(row["household_size"]) for number, row in enumerate(rows) if row["matched"]}

    def expected(self) -> dict[int, int]:
        return {
            who: size for who, (division, size) in sorted(self.current.items()) if who in ASKED and division == GRANTED
        }


@contextmanager
def living(made: Path, folder: Path) -> Iterator[Life]:
    shutil.copytree(made, folder / "province")
    home = ProvinceHome.open(folder / "province")
    province = RunningProvince.start(home)
    try:
        yield Life(province, folder)
        province.check_invariants()
    finally:
        province.stop()
        home.close()


@pytest.fixture
def life(home_as_made: Path, tmp_path: Path) -> Iterator[Life]:
    with living(home_as_made, tmp_path) as started:
        yield started


def county(sizes: dict[int, int], division: str = GRANTED) -> People:
    return {who: (division, size) for who, size in sizes.items()}


BASE = county({who: 2 for who in range(20)}) | county({who: 3 for who in range(40, 60)}, OTHER_DIVISION)

people = st.dictionaries(
    st.integers(0, 35),
    st.tuples(st.sampled_from([GRANTED, OTHER_DIVISION]), st.integers(1, 3)),
    min_size=1,
    max_size=12,
)
step = st.one_of(st.tuples(st.just("change"), people, st.booleans()), st.tuples(st.just("back"), st.integers(0, 5)))


@settings(max_examples=8, deadline=None)
@given(steps=st.lists(step, min_size=2, max_size=6))
def test_at_the_bank_is_exactly_the_newest_list(
    home_as_made: Path, tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[object, ...]]
) -> None:
    with living(home_as_made, tmp_path_factory.mktemp("life")) as life:
        life.publish(BASE)
        life.match()
        charged = life.province.home.used(BANK)
        for kind, *arguments in steps:
            if kind == "change":
                changed, full = arguments
                life.publish({**life.current, **changed}, full=bool(full))  # type: ignore[dict-item]
            else:
                earlier = sorted(life.history)[:-1][-int(arguments[0]) - 1 :][:1]  # type: ignore[call-overload]
                kept = {r.edition for r in life.province.home.ledger.list_editions(DATASET, EPOCH) if not r.pruned_at}
                for number in set(earlier) & kept:
                    life.roll_back(number)
            assert life.found(life.match()) == life.expected()
        assert life.province.home.used(BANK) == charged


def test_small_changes_make_deltas_and_many_a_full_edition(life: Life) -> None:
    assert life.publish(BASE) == "full"
    assert life.publish({**BASE, 1: (GRANTED, 5)}) == "delta"
    assert life.publish({**BASE, 1: (GRANTED, 5), 2: (GRANTED, 5)}) == "delta"
    assert life.publish({**BASE, **county({who: 6 for who in range(30)})}) == "full"
    assert life.publish({**BASE, 70: ("330113", 1)}) == "full"  # a division that the base has not
    assert life.found(life.match()) == life.expected()


def test_what_changed_since_the_last_run_comes_out_as_a_list_without_a_query(life: Life) -> None:
    life.publish(BASE)
    first = life.match()
    with bank_store(life.bank) as store, pytest.raises(NothingToCompare):
        choose_runs(store, DATASET, None, None)
    changed = {who: place for who, place in BASE.items() if who != 3}
    life.publish({**changed, 4: (GRANTED, 7), 25: (GRANTED, 1)})
    charged = life.province.home.used(BANK)
    second = life.match()
    assert (second.asked, life.province.home.used(BANK)) == (0, charged)
    with bank_store(life.bank) as store:
        run, since = choose_runs(store, DATASET, None, None)
        assert (run.run_id, since.run_id) == (second.run_id, first.run_id)
        changes = compare_runs(store, run, since)
        columns = {name: column.to_pylist() for name, column in changes_columns(store, changes).items()}
    assert changes.counts == {"newly_on": 1, "dropped": 1, "label_changed": 1}
    found = dict(
        zip(
            columns["证件号码"],
            zip(columns["变化"], columns["原家庭人数"], columns["家庭人数"], strict=True),
            strict=True,
        )
    )
    assert found == {
        item(3).decode(): ("退出名单", "2", None),
        item(4).decode(): ("标签变化", "2", "7"),
        item(25).decode(): ("新进名单", None, "1"),
    }
    assert set(columns["原版本"]) == {f"{DATASET}/{EPOCH}/{first.edition}"}


def test_nothing_changed_and_new_customers(life: Life) -> None:
    life.publish(BASE)
    life.match(asked=range(15))
    life.match(asked=range(18))
    with bank_store(life.bank) as store:
        changes = compare_runs(store, *choose_runs(store, DATASET, None, None))
    assert changes.counts == {"newly_on": 3, "dropped": 0, "label_changed": 0}


def test_records_of_old_runs_are_removed_and_what_was_asked_stays(life: Life) -> None:
    life.publish(BASE)
    runs = [life.match(keep_runs=2) for _ in range(4)]
    with bank_store(life.bank) as store:
        assert [store.runs.get(run.run_id).state for run in runs] == ["ARCHIVED", "ARCHIVED", "COMPLETED", "COMPLETED"]
        with pytest.raises(RunStateInvalid):
            store.iterate_records(runs[0].run_id)
        assert len(store.batches.load_answers(DATASET, EPOCH).items) == len(ASKED)
        assert len(store.runs.get_seed(runs[0].run_id)) == 32
        compare_runs(store, *choose_runs(store, DATASET, None, None))
        blocks = store._database.execute("SELECT COUNT(DISTINCT run_id) FROM screening_block").fetchone()
    assert blocks == (2,)


def test_an_edition_that_is_no_longer_kept_is_not_found(life: Life) -> None:
    life.publish(BASE)
    for size in range(3, 10):
        life.publish({**BASE, 1: (GRANTED, size)})
    records = life.province.home.ledger.list_editions(DATASET, EPOCH)
    kept = [record.edition for record in records if record.pruned_at is None]
    assert kept == [2, 6, 7, 8, 9]  # the newest four, and their base
    path = f"/v1/datasets/{DATASET}/epochs/{EPOCH}/editions/4/manifest"
    assert life.province.get(path).status_code == 404
    assert life.province.get(path.replace("/4/", "/2/")).status_code == 200
    assert life.found(life.match()) == life.expected()
