"""Refreshing a list: what is served is the whole old edition or the whole new one, whatever happens."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from publishing import DATASET, EPOCH, PLAN, create_home, number, open_publisher, refresh, write_list

from keys.files import Locked, exclusive_lock
from matcher.province.editions import Edition
from matcher.province.plan import ListShrunk, NothingStaged, Observer
from matcher.sealing import SealedDataDamaged
from matcher.tables.errors import TableEmpty
from psi.errors import InputError
from psi.remembered import EditionInconsistent

PROGRAM = Path(__file__).with_name("publishing.py")
OLD = {person: 2 for person in range(40)}
NEW = {person: 3 if person == 7 else 2 for person in range(2, 45)}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    create_home(tmp_path / "province")
    return tmp_path / "province"


def served(home: Path) -> Edition:
    """The edition that the ledger names, every file of it checked."""
    publisher = open_publisher(home)
    record = publisher._ledger.current_edition(DATASET, EPOCH)
    assert record is not None
    edition = publisher.folders.read(DATASET, EPOCH, record.edition)
    edition.check_files()
    edition.open_divisions()
    publisher._ledger.verify_audit()
    return edition


def live_rows(edition: Edition) -> int:
    return edition.count_live()


def leftovers(home: Path) -> list[str]:
    return [path.name for path in home.rglob(".building-*")]


def run_program(home: Path, source: Path, *step: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(PROGRAM), str(home), str(source), *step], capture_output=True, text=True, check=False
    )


def test_first_refresh_publishes_then_the_same_file_changes_nothing(home: Path, tmp_path: Path) -> None:
    source = write_list(tmp_path / "a.csv", OLD)
    first = refresh(home, source, Observer())
    assert (first.outcome, first.edition, first.added, first.rows) == ("published", 1, 40, 40)
    again = refresh(home, source, Observer())
    assert (again.outcome, again.edition) == ("unchanged", 1)
    assert served(home).manifest.rows == 48


def test_only_changed_rows_are_encoded(home: Path, tmp_path: Path) -> None:
    refresh(home, write_list(tmp_path / "a.csv", OLD), Observer())
    outcome = refresh(home, write_list(tmp_path / "b.csv", NEW), Observer())
    assert (outcome.added, outcome.changed, outcome.removed, outcome.unchanged) == (5, 1, 2, 37)
    edition = served(home)
    assert (edition.manifest.edition, live_rows(edition)) == (2, 43)


def test_a_list_in_another_order_is_not_a_new_edition(home: Path, tmp_path: Path) -> None:
    refresh(home, write_list(tmp_path / "a.csv", OLD), Observer())
    turned = dict(reversed(OLD.items()))
    assert refresh(home, write_list(tmp_path / "b.csv", turned), Observer()).outcome == "unchanged"


def test_manifests_form_a_chain(home: Path, tmp_path: Path) -> None:
    refresh(home, write_list(tmp_path / "a.csv", OLD), Observer())
    first = served(home)
    refresh(home, write_list(tmp_path / "b.csv", NEW), Observer())
    assert first.manifest.previous is None
    assert served(home).manifest.previous == first.manifest_sha256


def test_dry_run_changes_nothing(home: Path, tmp_path: Path) -> None:
    publisher = open_publisher(home)
    outcome, _ = publisher.refresh(PLAN, write_list(tmp_path / "a.csv", OLD), dry_run=True)
    assert (outcome.outcome, outcome.added) == ("would_publish", 40)
    assert not list((home / "editions").glob("base"))


def test_d29_killed_at_every_step_the_old_edition_stays_whole(home: Path, tmp_path: Path) -> None:
    old, new = write_list(tmp_path / "a.csv", OLD), write_list(tmp_path / "b.csv", NEW)
    steps = run_program(home, old).stdout.split("\n")[:-1]
    assert steps[0] == "look"
    assert steps[-1] == "done"
    for step in steps[:-1]:
        killed = run_program(home, new, step)
        assert killed.returncode == -signal.SIGKILL
        edition = served(home)
        assert live_rows(edition) == (43 if step == "prune" else 40)
    outcome = refresh(home, new, Observer())
    assert outcome.outcome == "unchanged"  # the last kill came after the record: nothing is left to do
    assert served(home).manifest.edition == 2
    assert leftovers(home) == []


@pytest.mark.slow
def test_d29_killed_at_random_moments(home: Path, tmp_path: Path) -> None:
    """Within the time that a refresh takes here, so that most of them are killed at work."""
    moments = random.Random(20260105)
    lists = [write_list(tmp_path / "a.csv", OLD), write_list(tmp_path / "b.csv", NEW)]
    exit_codes = []
    with subprocess.Popen(
        [sys.executable, str(PROGRAM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as killer:
        assert killer.stdin
        assert killer.stdout

        def refresh_killed(source: Path, seconds: float) -> tuple[int, float]:
            print(home, source, seconds, file=killer.stdin, flush=True)
            exit_code, ran = killer.stdout.readline().split()
            return int(exit_code), float(ran)

        refresh_killed(lists[0], 60)
        exit_code, whole = refresh_killed(lists[1], 60)
        assert exit_code == 0
        for attempt in range(100):
            source = lists[attempt % 2]
            exit_codes.append(refresh_killed(source, moments.uniform(0, whole))[0])
            assert live_rows(served(home)) in (40, 43)
            refresh(home, source, Observer())
            assert live_rows(served(home)) == (43 if source == lists[1] else 40)
            assert leftovers(home) == []
    assert set(exit_codes) <= {0, -signal.SIGKILL}
    assert exit_codes.count(-signal.SIGKILL) >= 20


def test_d34_one_runs_the_other_is_told(home: Path, tmp_path: Path) -> None:
    source = write_list(tmp_path / "a.csv", OLD)
    (home / "editions").mkdir()
    with exclusive_lock(home / "editions" / "lock"), pytest.raises(Locked):
        refresh(home, source, Observer())
    assert refresh(home, source, Observer()).outcome == "published"


def test_d34_a_killed_job_leaves_no_lock(home: Path, tmp_path: Path) -> None:
    source = write_list(tmp_path / "a.csv", OLD)
    assert run_program(home, source, "encode").returncode == -signal.SIGKILL
    assert refresh(home, source, Observer()).outcome == "published"


def test_d36_an_empty_list_is_refused(home: Path, tmp_path: Path) -> None:
    refresh(home, write_list(tmp_path / "a.csv", OLD), Observer())
    with pytest.raises(TableEmpty):
        refresh(home, write_list(tmp_path / "b.csv", {}), Observer())
    assert served(home).manifest.edition == 1


def test_d36_a_list_without_a_usable_row_is_refused(home: Path, tmp_path: Path) -> None:
    source = write_list(tmp_path / "a.csv", OLD)
    source.write_text(source.read_text("utf-8").replace("3399", "33x9"), "utf-8")
    with pytest.raises(ListShrunk):
        refresh(home, source, Observer())


def test_d36_a_shrunken_list_waits_for_an_operator(home: Path, tmp_path: Path) -> None:
    refresh(home, write_list(tmp_path / "a.csv", OLD), Observer())
    shrunken = write_list(tmp_path / "b.csv", {person: 2 for person in range(16)})  # 60 % fewer
    with pytest.raises(ListShrunk) as caught:
        refresh(home, shrunken, Observer())
    assert caught.value.params["removed"] == 24
    assert live_rows(served(home)) == 40
    outcome, _ = open_publisher(home).refresh(PLAN, shrunken, accept_shrink=True)
    assert outcome.outcome == "published"
    assert live_rows(served(home)) == 16


def test_import_encode_publish_step_by_step(home: Path, tmp_path: Path) -> None:
    publisher = open_publisher(home)
    with pytest.raises(NothingStaged):
        publisher.encode(PLAN)
    outcome, _ = publisher.import_list(PLAN, write_list(tmp_path / "a.csv", OLD))
    assert outcome.outcome == "imported"
    assert publisher.encode(PLAN, dry_run=True).outcome == "would_encode"
    assert publisher.encode(PLAN).outcome == "encoded"
    assert publisher.publish(PLAN, dry_run=True).outcome == "would_publish"
    assert publisher._ledger.current_edition(DATASET, EPOCH) is None
    assert publisher.publish(PLAN).rows == 40
    assert live_rows(served(home)) == 40
    with pytest.raises(NothingStaged):
        publisher.publish(PLAN)


def test_the_staged_list_is_sealed(home: Path, tmp_path: Path) -> None:
    publisher = open_publisher(home)
    publisher.import_list(PLAN, write_list(tmp_path / "a.csv", OLD))
    staged = [path for path in (home / "staging").rglob("*") if path.is_file()]
    assert staged
    assert not any(number(1).encode() in path.read_bytes() for path in staged)
    for path in staged:
        content = path.read_bytes()
        path.write_bytes(content[:-1])
        with pytest.raises(SealedDataDamaged):
            publisher.encode(PLAN)
        path.write_bytes(content)
    assert publisher.encode(PLAN).rows == 40


def test_no_id_number_stays_in_the_home(home: Path, tmp_path: Path) -> None:
    refresh(home, write_list(tmp_path / "a.csv", OLD), Observer())
    stored = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert not any(number(person).encode() in stored for person in OLD)


def test_a_damaged_state_is_noticed_before_anything_is_built(home: Path, tmp_path: Path) -> None:
    refresh(home, write_list(tmp_path / "a.csv", OLD), Observer())
    state = served(home).folder / "private" / "rows.arrow"
    state.write_bytes(state.read_bytes()[:200])
    with pytest.raises(EditionInconsistent):
        refresh(home, write_list(tmp_path / "b.csv", NEW), Observer())


def test_the_label_layout_cannot_change_within_an_epoch(home: Path, tmp_path: Path) -> None:
    refresh(home, write_list(tmp_path / "a.csv", OLD), Observer())
    wider = PLAN.__class__(DATASET, EPOCH, label_width=96, bucket=16)
    with pytest.raises(InputError, match="fixed"):
        open_publisher(home).refresh(wider, write_list(tmp_path / "b.csv", NEW))
