"""Delta editions, compaction, roll-back and pruning: whatever happens, what is served is one whole edition."""

from __future__ import annotations

import errno
import json
import pkgutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from publishing import DATASET, EPOCH, PLAN, create_home, open_publisher, refresh, roll_back, write_list

from keys.clock import SettableClock
from keys.keystore import KeyStore
from keys.wrap import FileKek
from matcher.province.editions import Edition
from matcher.province.ledger import Ledger
from matcher.province.plan import ListWithdrawn, Observer, Outcome
from matcher.province.publisher import EditionGone, Publisher
from psi.edition import TOMBSTONE
from psi.errors import InputError
from psi.remembered import EditionInconsistent

PROGRAM = Path(__file__).with_name("publishing.py")
OLD = {person: 2 for person in range(40)}
NIGHT = {person: 3 if person == 7 else 2 for person in range(41) if person != 5}  # one changed, joined, left
NEXT_NIGHT = {**NIGHT, 8: 4}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    create_home(tmp_path / "province")
    return tmp_path / "province"


@pytest.fixture
def lists(tmp_path: Path) -> Callable[[dict[int, int]], Path]:
    def write(people: dict[int, int]) -> Path:
        return write_list(tmp_path / f"{hash(frozenset(people.items()))}.csv", people)

    return write


Lists = Callable[[dict[int, int]], Path]


def served(home: Path) -> Edition:
    """The edition that the ledger names: every file of it, and of its base, checked."""
    publisher = open_publisher(home)
    record = publisher._ledger.current_edition(DATASET, EPOCH)
    assert record is not None
    edition = publisher.folders.read(DATASET, EPOCH, record.edition)
    edition.check_files()
    edition.open_divisions()
    assert record.base == (None if edition.base is None else edition.base.manifest.edition)
    publisher._ledger.verify_audit()
    return edition


def sizes(edition: Edition) -> int:
    return edition.count_live()


def run_program(home: Path, *words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PROGRAM), str(home), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def folders(home: Path) -> list[int]:
    return sorted(int(path.name) for path in (home / "editions" / DATASET / EPOCH).iterdir())


def test_a_night_is_a_delta_over_the_last_full_edition(home: Path, lists: Lists) -> None:
    refresh(home, lists(OLD), Observer())
    outcome = refresh(home, lists(NIGHT), Observer())
    assert (outcome.kind, outcome.added, outcome.changed, outcome.removed, outcome.rows) == ("delta", 1, 1, 1, 40)
    refresh(home, lists(NEXT_NIGHT), Observer())
    edition = served(home)
    assert edition.base is not None
    assert (edition.manifest.edition, edition.base.manifest.edition, sizes(edition)) == (3, 1, 40)
    ((division, part),) = edition.open_slices().items()
    versions = memoryview(part.versions).cast("B").cast("I").tolist()
    assert (division, part.rows, versions.count(TOMBSTONE), versions.count(2)) == (330922, 16, 1, 2)
    assert len(edition.open_state()) == 4  # nothing of the base is written again


def test_too_much_changed_since_the_base_makes_a_full_edition(home: Path, lists: Lists) -> None:
    refresh(home, lists(OLD), Observer())
    kinds = [refresh(home, lists({**OLD, **dict.fromkeys(range(3 * n), 9)}), Observer()).kind for n in (1, 2)]
    assert kinds == ["delta", "full"]
    assert served(home).base is None
    assert refresh(home, lists({**OLD, **dict.fromkeys(range(6), 9), 30: 5}), Observer()).kind == "delta"
    assert served(home).manifest.base == served(home).base.reference  # type: ignore[union-attr]
    assert served(home).base.manifest.edition == 3  # type: ignore[union-attr]


def test_a_division_that_everybody_left_keeps_a_slice_of_dummies(home: Path, lists: Lists, tmp_path: Path) -> None:
    refresh(home, lists(OLD), Observer())
    elsewhere = write_list(tmp_path / "elsewhere.csv", OLD, division="330921")
    outcome = refresh(home, elsewhere, Observer(), replace(PLAN, delta_limit=0.0, shrink_limit=1.0))
    edition = served(home)
    assert (outcome.outcome, edition.manifest.kind) == ("published", "full")
    assert [(entry.division, entry.rows) for entry in edition.manifest.slices] == [("330921", 48), ("330922", 16)]


def test_full_compacts_though_nothing_changed(home: Path, lists: Lists) -> None:
    publisher = open_publisher(home)
    publisher.refresh(PLAN, lists(OLD))
    publisher.refresh(PLAN, lists(NIGHT))
    outcome, _ = publisher.refresh(PLAN, lists(NIGHT), full=True)
    assert (outcome.outcome, outcome.kind, outcome.edition) == ("published", "full", 3)
    again, _ = publisher.refresh(PLAN, lists(NIGHT), full=True)
    assert again.outcome == "unchanged"
    assert sizes(served(home)) == 40


def test_no_deltas_where_none_are_wanted(home: Path, lists: Lists) -> None:
    never = replace(PLAN, delta_limit=0.0)
    refresh(home, lists(OLD), Observer(), never)
    assert refresh(home, lists(NIGHT), Observer(), never).kind == "full"


def test_an_unchanged_list_is_published_anew_after_a_week(home: Path, lists: Lists) -> None:
    clock = SettableClock()
    keystore = KeyStore(home, FileKek(home / "kek"), clock=clock, actor="test")
    publisher = Publisher(home, keystore, Ledger.open(home, clock), clock)
    publisher.refresh(PLAN, lists(OLD))
    clock.advance(timedelta(days=7).total_seconds() - 1)
    assert publisher.refresh(PLAN, lists(OLD))[0].outcome == "unchanged"
    clock.advance(1)
    outcome, _ = publisher.refresh(PLAN, lists(OLD))
    assert (outcome.outcome, outcome.kind, outcome.edition) == ("published", "delta", 2)
    assert publisher.refresh(PLAN, lists(OLD))[0].outcome == "unchanged"
    assert sizes(served(home)) == 40


def test_dry_runs_say_the_kind_and_change_nothing(home: Path, lists: Lists) -> None:
    publisher = open_publisher(home)
    publisher.refresh(PLAN, lists(OLD))
    outcome, _ = publisher.refresh(PLAN, lists(NIGHT), dry_run=True)
    assert (outcome.outcome, outcome.kind, outcome.edition) == ("would_publish", "delta", 2)
    outcome, _ = publisher.refresh(PLAN, lists(NIGHT), dry_run=True, full=True)
    assert outcome.kind == "full"
    assert folders(home) == [1]


def test_encode_and_publish_make_deltas_too(home: Path, lists: Lists) -> None:
    refresh(home, lists(OLD), Observer())
    publisher = open_publisher(home)
    publisher.import_list(PLAN, lists(NIGHT))
    assert publisher.encode(PLAN, dry_run=True).kind == "delta"
    assert publisher.encode(PLAN).kind == "delta"
    assert (publisher.publish(PLAN).rows, served(home).manifest.kind) == (40, "delta")


def test_d29_killed_at_every_step_of_a_delta(home: Path, lists: Lists) -> None:
    refresh(home, lists(OLD), Observer())
    refresh(home, lists(NIGHT), Observer())
    steps = [
        *("look", "read", "compare", "encode", "write slices", "write manifest", "write state"),
        *("flush", "check", "record", "prune"),
    ]
    for step in steps:
        killed = run_program(home, lists(NEXT_NIGHT), step)
        assert killed.returncode == -signal.SIGKILL
        assert served(home).manifest.edition == (3 if step == "prune" else 2)
    assert refresh(home, lists(NEXT_NIGHT), Observer()).outcome == "unchanged"
    assert folders(home) == [1, 2, 3]


def test_d29_killed_at_every_step_of_a_roll_back(home: Path, lists: Lists) -> None:
    for people in (OLD, NIGHT, NEXT_NIGHT):
        refresh(home, lists(people), Observer())
    steps = ["look", "write slices", "write manifest", "write state", "flush", "check", "record", "prune"]
    for step in steps:
        assert run_program(home, 2, step).returncode == -signal.SIGKILL
        assert served(home).manifest.edition == (4 if step == "prune" else 3)
    assert folders(home) == [1, 2, 3, 4]


def test_d29_killed_while_old_editions_are_removed(home: Path, lists: Lists) -> None:
    for count in range(3):
        refresh(home, lists({**OLD, **dict.fromkeys(range(count), 3)}), Observer())
    changed = lists({**OLD, **dict.fromkeys(range(3), 3)})
    assert run_program(home, changed, "remove", 1).returncode == -signal.SIGKILL
    assert (served(home).manifest.edition, folders(home)) == (4, [1, 2, 3, 4])
    records = open_publisher(home)._ledger.list_editions(DATASET, EPOCH)
    assert [record.edition for record in records if record.pruned_at] == [2, 3]
    assert refresh(home, changed, Observer()).outcome == "unchanged"
    assert folders(home) == [1, 4]


FAULTS: list[tuple[str, int]] = [
    ("keys.files.os.fsync", errno.EIO),
    ("keys.files.os.rename", errno.EIO),
    ("psi.columnfile.os.pwrite", errno.ENOSPC),
    ("matcher.province.editions.shutil.copyfile", errno.ENOSPC),
    ("pathlib.Path.write_bytes", errno.ENOSPC),
]


def fail_each_time(
    home: Path, monkeypatch: pytest.MonkeyPatch, target: str, number: int, work: Callable[[], Outcome]
) -> int:
    """Let the n-th call fail, n = 1, 2, 3 ... until the work gets through; each time the old edition stays served."""
    before = served(home).manifest.edition
    for nth in range(1, 100):
        count = 0
        with monkeypatch.context() as patch:
            true_call = _resolve(target)

            def failing(*arguments: Any, nth: int = nth, true_call: Any = true_call, **options: Any) -> Any:
                nonlocal count
                count += 1
                if count == nth:
                    raise OSError(number, "made to fail")
                return true_call(*arguments, **options)

            patch.setattr(target, failing)
            try:
                work()
            except OSError:
                pass
            else:
                return nth - 1
        assert served(home).manifest.edition == before
    raise AssertionError("the work never gets through")


def _resolve(target: str) -> Any:
    module, _, name = target.rpartition(".")
    return getattr(pkgutil.resolve_name(module), name)


@pytest.mark.parametrize(("target", "number"), FAULTS)
def test_d30_d31_a_disk_that_fails_under_a_delta(
    home: Path, lists: Lists, monkeypatch: pytest.MonkeyPatch, target: str, number: int
) -> None:
    refresh(home, lists(OLD), Observer())
    refresh(home, lists(NIGHT), Observer())
    failed = fail_each_time(home, monkeypatch, target, number, lambda: refresh(home, lists(NEXT_NIGHT), Observer()))
    assert failed > 0 or "copyfile" in target
    assert (served(home).manifest.edition, folders(home)) == (3, [1, 2, 3])


@pytest.mark.parametrize(("target", "number"), FAULTS)
def test_d30_d31_a_disk_that_fails_under_a_roll_back(
    home: Path, lists: Lists, monkeypatch: pytest.MonkeyPatch, target: str, number: int
) -> None:
    refresh(home, lists(OLD), Observer())
    refresh(home, lists(NIGHT), Observer())
    failed = fail_each_time(home, monkeypatch, target, number, lambda: roll_back(home, 1, Observer()))
    assert failed > 0 or "pwrite" in target
    assert (served(home).manifest.edition, sizes(served(home))) == (3, 40)


def test_a_delta_whose_base_was_replaced_is_noticed(home: Path, lists: Lists) -> None:
    refresh(home, lists(OLD), Observer())
    refresh(home, lists(NIGHT), Observer())
    current = served(home)
    assert current.base is not None
    current.base.manifest_path.write_bytes(current.manifest_path.read_bytes())
    with pytest.raises(EditionInconsistent):
        refresh(home, lists(NEXT_NIGHT), Observer())


def test_a_roll_back_says_again_what_an_earlier_edition_said(home: Path, lists: Lists) -> None:
    for people in (OLD, NIGHT, NEXT_NIGHT):
        refresh(home, lists(people), Observer())
    earlier = open_publisher(home).folders.read(DATASET, EPOCH, 2)
    outcome = roll_back(home, 2, Observer())
    assert (outcome.outcome, outcome.edition, outcome.kind, outcome.rows) == ("rolled_back", 4, "delta", 40)
    edition = served(home)
    assert edition.manifest.slices == earlier.manifest.slices
    assert edition.manifest.previous is not None
    assert edition.manifest.base == earlier.manifest.base
    assert edition.count_live() == 40


def test_the_reason_for_a_roll_back_stands_in_the_audit(home: Path, lists: Lists) -> None:
    refresh(home, lists(OLD), Observer())
    refresh(home, lists(NIGHT), Observer())
    roll_back(home, 1, Observer())
    ledger = open_publisher(home)._ledger
    actor, detail = ledger._store._db.execute(
        "SELECT actor, detail FROM audit WHERE action = 'roll_back_edition'"
    ).fetchone()
    assert (actor, json.loads(detail)["reason"], json.loads(detail)["restored"]) == ("演示员", "演练", 1)
    assert ledger.current_edition(DATASET, EPOCH).restored == 1  # type: ignore[union-attr]
    ledger.verify_audit()


def test_the_list_rolled_back_from_is_held_back_until_it_changes(home: Path, lists: Lists) -> None:
    refresh(home, lists(OLD), Observer())
    refresh(home, lists(NIGHT), Observer())
    roll_back(home, 1, Observer())
    with pytest.raises(ListWithdrawn):
        refresh(home, lists(NIGHT), Observer())
    publisher = open_publisher(home)
    publisher.import_list(PLAN, lists(NIGHT))
    with pytest.raises(ListWithdrawn):
        publisher.encode(PLAN)
    assert refresh(home, lists(OLD), Observer()).outcome == "unchanged"
    assert roll_back(home, 2, Observer()).outcome == "rolled_back"  # forward again: the list was right after all
    assert refresh(home, lists(NIGHT), Observer()).outcome == "unchanged"
    assert refresh(home, lists(NEXT_NIGHT), Observer()).outcome == "published"


def test_a_dry_roll_back_changes_nothing(home: Path, lists: Lists) -> None:
    refresh(home, lists(OLD), Observer())
    refresh(home, lists(NIGHT), Observer())
    publisher = open_publisher(home)
    outcome = publisher.rollback(PLAN, 1, reason="演练", actor="演示员", dry_run=True)
    assert (outcome.outcome, outcome.edition, outcome.rows) == ("would_roll_back", 3, 40)
    assert folders(home) == [1, 2]


def test_there_is_no_way_back_to_what_is_not_there(home: Path, lists: Lists) -> None:
    with pytest.raises(EditionGone):
        roll_back(home, 1, Observer())
    refresh(home, lists(OLD), Observer())
    for number in (1, 2):  # the current one, and one that never was
        with pytest.raises(EditionGone):
            roll_back(home, number, Observer())
    with pytest.raises(InputError):
        open_publisher(home).rollback(PLAN, 1, reason=" ", actor="演示员")


def test_only_editions_that_nothing_needs_are_removed(home: Path, lists: Lists) -> None:
    few = replace(PLAN, keep_editions=2)
    for size in range(2, 8):
        refresh(home, lists({**OLD, 1: size}), Observer(), few)
    assert folders(home) == [1, 5, 6]
    publisher = open_publisher(home)
    publisher.refresh(few, lists({**OLD, 1: 7}), full=True)
    assert folders(home) == [1, 6, 7]
    refresh(home, lists({**OLD, 1: 8}), Observer(), few)
    assert folders(home) == [7, 8]
    with pytest.raises(EditionGone):
        roll_back(home, 3, Observer(), few)
    assert sizes(served(home)) == 40
