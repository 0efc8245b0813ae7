"""A night by a change list gives the very edition that a refresh with the whole new list would give."""

from __future__ import annotations

import random
import shutil
from functools import partial
from pathlib import Path

import pytest
from changing import BASE, COUNTIES, Home, People, assert_same, counted, differences, row, write_changes, write_people
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from publishing import HEADER, create_home, number

import matcher.province.parts
from keys.clock import SettableClock
from matcher.province.ledger import Ledger
from psi.slicing import SliceBuilder


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Home:
    folder = tmp_path_factory.mktemp("prepared")
    create_home(folder / "province")
    home = Home(folder / "province")
    home.refresh(write_people(folder / "base.csv", BASE))
    return home


def a_later_night(rng: random.Random, people: People) -> People:
    """Some join, some change or move, some leave; now and then many, or a whole division."""
    after = dict(people)
    many = rng.choice((2, 2, 3, 10, 25))
    for _ in range(rng.randrange(many + 1)):
        after[rng.randrange(90)] = (rng.randrange(1, 5), rng.choice(COUNTIES[:2] if rng.random() < 0.9 else COUNTIES))
    for person in rng.sample(sorted(after), min(len(after) - 1, rng.randrange(many + 1))):
        del after[person]
    if rng.random() < 0.1:
        after = {person: facts for person, facts in after.items() if facts[1] != COUNTIES[0]} or after
    return after


def compare_nights(prepared: Home, tmp_path: Path, seed: int, nights: int = 4) -> None:
    """The same nights in two homes with one key, by whole lists and by change lists."""
    rng = random.Random(seed)
    by_list, by_changes = (tmp_path / name for name in ("by list", "by changes"))
    for path in (by_list, by_changes):
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(prepared.path, path)
    one, other = Home(by_list), Home(by_changes)
    people = BASE
    for night in range(nights):
        after = a_later_night(rng, people)
        rows = differences(people, after)
        same = rng.sample(sorted(after.keys() & people), min(1, len(after.keys() & people)))
        rows += [f"变更,{row(person, *after[person])}" for person in same if after[person] == people[person]]
        rng.shuffle(rows)
        shuffled = dict(rng.sample(sorted(after.items()), len(after)))
        full = rng.random() < 0.2
        whole, _ = one.refresh(write_people(tmp_path / f"{night}.csv", shuffled), full=full)
        changed, _ = other.change(write_changes(tmp_path / f"{night} changes.csv", *rows), full=full)
        assert counted(changed) == counted(whole)
        assert changed.misfits == 0
        assert_same(one, other)
        people = after


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(seed=st.integers(0, 2**32))
def test_the_same_edition_byte_for_byte(prepared: Home, tmp_path: Path, seed: int) -> None:
    compare_nights(prepared, tmp_path, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40))
def test_the_same_edition_byte_for_byte_often(prepared: Home, tmp_path: Path, seed: int) -> None:
    compare_nights(prepared, tmp_path, seed, nights=8)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_where_few_rows_fit_into_memory(
    prepared: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(matcher.province.parts, "PART_ROWS", 7)
    monkeypatch.setattr("matcher.province.editions.PART_ROWS", 11)
    monkeypatch.setattr("matcher.province.making.SliceBuilder", partial(SliceBuilder, block_rows=20))
    compare_nights(prepared, tmp_path, seed)


def test_canaries_stay_and_give_way_as_they_do_under_a_whole_list(prepared: Home, tmp_path: Path) -> None:
    """One's number and another's household become somebody's; the third's county loses all its people."""
    shutil.copytree(prepared.path, tmp_path / "by list")
    one = Home(tmp_path / "by list")
    base = write_people(tmp_path / "base.csv", BASE)
    number_taken, household_taken, _ = one.plant(base)
    one.refresh(base)
    other = one.copy("by changes")
    rows = [row(person, *facts) for person, facts in BASE.items()]
    new = [
        f"{number_taken.item},H900,4,{COUNTIES[1]},是,",
        row(80, 4, COUNTIES[1]).replace("H80,", f"{household_taken.household_no},"),
    ]
    whole, _ = one.refresh(_write(tmp_path / "1.csv", [*rows, *new]))
    changed, _ = other.change(write_changes(tmp_path / "1 changes.csv", *(f"新增,{each}" for each in new)))
    assert counted(changed) == counted(whole)
    assert (changed.added, changed.changed, changed.removed) == (1, 1, 1)
    assert changed.misfits == 0, "the place of a canary is free"
    assert_same(one, other)
    here = {person: facts for person, facts in BASE.items() if facts[1] == COUNTIES[1]}
    rest = [*(row(person, *facts) for person, facts in here.items()), *new]
    whole, _ = one.refresh(_write(tmp_path / "2.csv", rest))
    changed, _ = other.change(write_changes(tmp_path / "2 changes.csv", *differences(BASE, here)))
    assert counted(changed) == counted(whole)
    assert changed.removed == len(BASE) - len(here) + 1
    assert_same(one, other)
    for home in (one, other):
        alarms = Ledger.open(home.path, SettableClock()).list_alarms()
        assert [alarm.params["number"] for alarm in alarms] == [number_taken.number, household_taken.number]


def test_a_row_that_is_refused_takes_its_person_off_the_list(prepared: Home, tmp_path: Path) -> None:
    shutil.copytree(prepared.path, tmp_path / "by list")
    one = Home(tmp_path / "by list")
    other = one.copy("by changes")
    rows = [row(person, "many" if person == 7 else 2, BASE[person][1]) for person in BASE]
    whole, refused = one.refresh(_write(tmp_path / "1.csv", rows))
    changed, same = other.change(write_changes(tmp_path / "1 changes.csv", f"变更,{row(7, 'many', BASE[7][1])}"))
    assert counted(changed) == counted(whole)
    assert (changed.removed, changed.rejected, changed.misfits) == (1, 1, 0)
    assert [(each.reason, each.number, each.heading) for each in refused] == [
        (each.reason, each.number, each.heading) for each in same
    ]
    assert_same(one, other)
    mended, _ = other.change(write_changes(tmp_path / "2 changes.csv", f"变更,{row(7, 2, BASE[7][1])}"))
    one.refresh(_write(tmp_path / "2.csv", [row(person, *BASE[person]) for person in BASE]))
    assert (mended.added, mended.misfits) == (1, 1), "it is not there, though said to be changed, and comes back"
    assert_same(one, other)


def test_names_of_new_divisions_are_taken_in(prepared: Home, tmp_path: Path) -> None:
    shutil.copytree(prepared.path, tmp_path / "home")
    home = Home(tmp_path / "home")
    lines = ["操作,证件号码,家庭编号,家庭人数,行政区划,行政区划名称,是否扩中家庭,非扩中原因标签"]
    lines += [
        f"新增,{number(70)},H70,2,{COUNTIES[2]},松阳县,是,",
        f"新增,{number(71)},H71,2,{COUNTIES[0]}100,菜园镇,是,",
    ]
    (tmp_path / "changes.csv").write_text("\n".join(lines) + "\n", "utf-8")
    outcome, _ = home.change(tmp_path / "changes.csv")
    edition = home.current()
    assert (outcome.kind, outcome.added) == ("full", 2), "a division that its base does not have"
    assert edition.manifest.divisions == {COUNTIES[0] + "100": "菜园镇", COUNTIES[2]: "松阳县"}


def _write(path: Path, rows: list[str]) -> Path:
    path.write_text("\n".join([HEADER, *rows]) + "\n", "utf-8")
    return path
