"""Change lists that are taken in once, out of order, too late, or not at all; and what a break costs."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from changing import BASE, COUNTIES, Home, differences, files, row, write_changes, write_people
from publishing import create_home, number, open_publisher

from matcher.columns import ColumnMissing
from matcher.province.plan import (
    ChangesMisfit,
    ChangesOutOfOrder,
    ChangesUnclear,
    ListShrunk,
    ListSuperseded,
    ListWithdrawn,
    WholeListNeeded,
)
from matcher.tables.errors import TableEmpty
from psi.remembered import EditionInconsistent

PROGRAM = Path(__file__).with_name("publishing.py")
NIGHT = {person: facts for person, facts in BASE.items() if person > 1} | {3: (4, COUNTIES[1]), 70: (1, COUNTIES[0])}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Home:
    folder = tmp_path_factory.mktemp("prepared")
    create_home(folder / "province")
    home = Home(folder / "province")
    home.refresh(write_people(folder / "base.csv", BASE))
    return home


@pytest.fixture
def home(prepared: Home, tmp_path: Path) -> Home:
    shutil.copytree(prepared.path, tmp_path / "province")
    shutil.copy(prepared.path.parent / "base.csv", tmp_path)
    write_changes(tmp_path / "night.csv", *differences(BASE, NIGHT))
    return Home(tmp_path / "province")


def test_the_same_change_list_again_changes_nothing(home: Home, tmp_path: Path) -> None:
    assert home.change(tmp_path / "night.csv")[0].outcome == "published"
    shutil.copy(tmp_path / "night.csv", tmp_path / "copy.csv")
    again, _ = home.change(tmp_path / "copy.csv")
    assert (again.outcome, again.edition, again.rows) == ("unchanged", 2, len(NIGHT))


def test_a_week_later_it_is_published_anew_and_changes_nothing(home: Home, tmp_path: Path) -> None:
    home.change(tmp_path / "night.csv")
    due = Home(home.path, replace(home.plan, renew_days=0))
    again, _ = due.change(tmp_path / "night.csv")
    assert (again.outcome, again.edition, again.unchanged) == ("published", 3, len(NIGHT))
    assert home.current().source.sha256 == again.source_sha256
    nothing, _ = due.change(write_changes(tmp_path / "nothing.csv"))
    assert (nothing.outcome, nothing.edition, nothing.kind) == ("published", 4, "delta")
    assert home.change(write_changes(tmp_path / "none.csv", "", ""))[0].outcome == "unchanged"


def test_a_dry_run_changes_nothing(home: Home, tmp_path: Path) -> None:
    before = files(home.current())
    planned, _ = home.change(tmp_path / "night.csv", dry_run=True)
    assert (planned.outcome, planned.kind, planned.added, planned.removed) == ("would_publish", "delta", 1, 2)
    assert files(home.current()) == before
    assert not list((home.path / "staging").rglob("*.arrow"))


def test_changes_that_were_compacted_are_not_taken_in_again(home: Home, tmp_path: Path) -> None:
    home.change(tmp_path / "night.csv")
    full, _ = home.change(tmp_path / "night.csv", full=True)
    assert (full.outcome, full.kind, full.unchanged) == ("published", "full", len(NIGHT))


def test_a_whole_list_from_before_the_changes_is_refused_and_a_newer_one_is_not(home: Home, tmp_path: Path) -> None:
    home.change(tmp_path / "night.csv")
    with pytest.raises(ListSuperseded):
        home.refresh(tmp_path / "base.csv")
    newer, _ = home.refresh(write_people(tmp_path / "newer.csv", NIGHT))
    assert newer.outcome == "unchanged", "it says what the changes said"
    changed, _ = home.refresh(write_people(tmp_path / "newest.csv", {**NIGHT, 90: (2, COUNTIES[0])}))
    assert (changed.outcome, changed.added) == ("published", 1)


def test_changes_that_were_rolled_back_are_held_back(home: Home, tmp_path: Path) -> None:
    home.change(tmp_path / "night.csv")
    open_publisher(home.path).rollback(home.plan, 1, reason="演练", actor="演示员")
    with pytest.raises(ListWithdrawn):
        home.change(tmp_path / "night.csv")
    assert home.refresh(tmp_path / "base.csv")[0].outcome == "unchanged"
    mended, _ = home.change(write_changes(tmp_path / "mended.csv", f"删除,{number(5)},,,,,"))
    assert (mended.outcome, mended.edition, mended.removed) == ("published", 4, 1)


def test_an_edition_that_it_follows_on(home: Home, tmp_path: Path) -> None:
    with pytest.raises(ChangesOutOfOrder) as caught:
        home.change(tmp_path / "night.csv", since=2)
    assert caught.value.params == {"edition": 1, "since": 2}
    assert home.change(tmp_path / "night.csv", since=1)[0].edition == 2
    Home(home.path, replace(home.plan, renew_days=0)).change(tmp_path / "night.csv")
    next_night = write_changes(tmp_path / "next.csv", f"删除,{number(5)},,,,,")
    with pytest.raises(ChangesOutOfOrder):
        home.change(next_night, since=1)
    assert home.change(next_night, since=2)[0].edition == 4, "edition 3 only renewed edition 2"


def test_too_much_that_does_not_fit_is_refused(home: Home, tmp_path: Path) -> None:
    rows = [f"新增,{row(1, 2, COUNTIES[1])}", f"删除,{number(99)},,,,,", f"变更,{row(98, 2, COUNTIES[1])}"]
    before = files(home.current())
    with pytest.raises(ChangesMisfit) as caught:
        home.change(write_changes(tmp_path / "wrong.csv", *rows))
    assert caught.value.params == {"edition": 1, "rows": 3, "misfits": 3}
    assert files(home.current()) == before
    outcome, rejects = home.change(write_changes(tmp_path / "one.csv", rows[2], f"变更,{row(5, 4, COUNTIES[1])}"))
    assert (outcome.added, outcome.changed, outcome.misfits, outcome.rejected) == (1, 1, 1, 0)
    assert [(each.row, each.reason) for each in rejects] == [(2, "not_there")]


@pytest.mark.parametrize(
    ("rows", "reason", "place"),
    [
        ([f"变更,{row(5, 3, COUNTIES[1])}", f"变更,{row(5, 4, COUNTIES[1])}"], "twice", 3),
        ([f"删除,{number(5)},,,,,", f"新增,{row(5, 4, COUNTIES[1])}"], "twice", 3),
        ([f"新增,{row(70, 3, COUNTIES[1])}", f"I,{row(71, 4, COUNTIES[1])}"], "operation", 3),
        ([f",{row(71, 4, COUNTIES[1])}"], "operation", 2),
    ],
)
def test_a_change_list_that_cannot_be_understood(
    home: Home, tmp_path: Path, rows: list[str], reason: str, place: int
) -> None:
    with pytest.raises(ChangesUnclear) as caught:
        home.change(write_changes(tmp_path / "wrong.csv", *rows))
    assert (caught.value.params["reason"], caught.value.params["row"]) == (reason, place)


def test_the_same_row_twice_counts_once(home: Home, tmp_path: Path) -> None:
    rows = [f"Changed,{row(5, 4, COUNTIES[1])}"] * 2 + [f"gone,{number(6)},,,,,"]
    outcome, rejects = home.change(write_changes(tmp_path / "twice.csv", *rows))
    assert (outcome.changed, outcome.removed, outcome.rejected) == (1, 1, 1)
    assert [(each.row, each.reason, each.kept_row) for each in rejects] == [(3, "duplicate", 2)]


def test_files_that_are_no_change_list(home: Home, tmp_path: Path) -> None:
    with pytest.raises(ColumnMissing):
        home.change(write_people(tmp_path / "whole.csv", NIGHT))
    (tmp_path / "empty.csv").write_bytes(b"")
    with pytest.raises(TableEmpty):
        home.change(tmp_path / "empty.csv")


def test_too_many_left_and_all_of_them(home: Home, tmp_path: Path) -> None:
    gone = [f"删除,{number(person)},,,,," for person in BASE]
    careful = Home(home.path, replace(home.plan, shrink_limit=0.1))
    with pytest.raises(ListShrunk):
        careful.change(write_changes(tmp_path / "some.csv", *gone[:10]))
    assert careful.change(tmp_path / "some.csv", accept_shrink=True)[0].removed == 10
    with pytest.raises(ListShrunk):
        careful.change(write_changes(tmp_path / "all.csv", *gone[10:]), accept_shrink=True)


def test_when_only_a_whole_list_will_do(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(where: Home) -> object:
        with pytest.raises(WholeListNeeded) as caught:
            where.change(tmp_path / "night.csv")
        return caught.value.params["reason"]

    create_home(tmp_path / "new")
    assert refused(Home(tmp_path / "new")) == "no_edition"
    older = home.copy("older")
    note = older.current().folder / "private" / "source.json"
    note.write_text('{"sha256": "00", "rows": 60, "rejected": 0, "withdrawn": [], "canaries": ""}')
    assert refused(older) == "older_version"
    assert older.refresh(tmp_path / "base.csv")[0].outcome == "published", "anew, so that changes can follow"
    assert older.change(tmp_path / "night.csv")[0].outcome == "published"
    planted = home.copy("planted")
    planted.plant(tmp_path / "base.csv")
    assert refused(planted) == "canaries"
    planted.refresh(tmp_path / "base.csv")
    assert planted.change(tmp_path / "night.csv")[0].outcome == "published"
    monkeypatch.setattr("matcher.province.change_list.MAX_ROWS", 3)
    assert refused(home) == "too_many"


def test_remembered_rows_that_are_damaged(home: Home, tmp_path: Path) -> None:
    state = home.current().folder / "private" / "rows.arrow"
    state.write_bytes(state.read_bytes()[:100])
    with pytest.raises(EditionInconsistent):
        home.change(tmp_path / "night.csv")


@pytest.mark.parametrize("steps", [("encode", "record"), pytest.param((), id="every step", marks=pytest.mark.slow)])
def test_killed_then_the_same_bytes(home: Home, tmp_path: Path, steps: tuple[str, ...]) -> None:
    undisturbed = home.copy("undisturbed")
    words = [sys.executable, str(PROGRAM)]
    names = subprocess.run(
        [*words, str(undisturbed.path), "+" + str(tmp_path / "night.csv")], check=True, capture_output=True, text=True
    ).stdout.split("\n")[:-1]
    assert (names[0], names[-1]) == ("look", "done")
    before = files(home.current())
    for step in [*steps, "prune"] if steps else names[:-1]:
        ended = subprocess.run([*words, str(home.path), "+" + str(tmp_path / "night.csv"), step], check=False)
        assert ended.returncode == -signal.SIGKILL
        if step != "prune":
            assert files(home.current()) == before
    assert home.change(tmp_path / "night.csv")[0].outcome == "unchanged", "the last kill came after the record"
    assert files(home.current()) == files(undisturbed.current())
    assert not list((home.path / "editions").rglob(".building-*"))


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("function", ["fsync", "rename"])
def test_a_disk_that_fails_at_any_call(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str, error: int
) -> None:
    """The n-th call fails, for n = 1, 2, 3 …, until a night passes without it; then the bytes are the usual ones."""
    undisturbed = home.copy("undisturbed")
    undisturbed.change(tmp_path / "night.csv")
    before, end = files(home.current()), files(undisturbed.current())
    real = getattr(os, function)
    failed = 0
    for n in range(1, 100):
        calls = 0

        def failing(*given: object, n: int = n) -> object:
            nonlocal calls
            calls += 1
            if calls == n:
                raise OSError(error, os.strerror(error))
            return real(*given)

        with monkeypatch.context() as patch:
            patch.setattr(os, function, failing)
            try:
                home.change(tmp_path / "night.csv")
            except OSError:
                failed += 1
        if calls < n:
            break
        if (now := files(home.current())) != before:
            assert now == end, "the error came after the ledger had named the new edition"
            break
    assert failed >= 1
    home.change(tmp_path / "night.csv")
    assert files(home.current()) == end
