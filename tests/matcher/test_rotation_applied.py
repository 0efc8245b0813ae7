"""Doing the rotation's plan on a real home: once, again, killed anywhere, and over years of crooked clocks."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import keys.keystore
import matcher.province.rotation
from keys.clock import SettableClock
from keys.epochs import EpochStateError
from keys.files import Locked, exclusive_lock
from keys.identity import Identity
from keys.keystore import EpochUnknown, KeyStore
from keys.rotation import DONE_BY_APPLY, RotationPolicy
from keys.wrap import FileKek, create_kek_file
from matcher.province.ledger import Ledger
from matcher.province.rotation import Rotation
from psi.errors import InputError

DATASET = "base"
START = datetime(2026, 1, 1, tzinfo=UTC)
BANK = Identity("演示银行", "bank", bytes([1]) * 32)


@dataclass
class Home:
    path: Path
    clock: SettableClock
    keystore: KeyStore
    ledger: Ledger
    policy: RotationPolicy

    @classmethod
    def create(cls, path: Path, policy: RotationPolicy | None = None) -> Home:
        path.mkdir(mode=0o700)
        create_kek_file(path / "kek")
        home = cls.open(path, START, policy)
        home.keystore.create_identity("演示省", "province")
        home.ledger.register_dataset(DATASET, title="基础名单库", label_schema={})
        home.ledger.register_party(BANK.public)
        return home

    @classmethod
    def open(cls, path: Path, at: datetime, policy: RotationPolicy | None = None) -> Home:
        clock = SettableClock(at)
        keystore = KeyStore(path, FileKek(path / "kek"), clock=clock, actor="cron")
        return cls(path, clock, keystore, Ledger.open(path, clock), policy or RotationPolicy())

    def close(self) -> None:
        self.keystore.close()
        self.ledger.close()

    @property
    def rotation(self) -> Rotation:
        return Rotation(self.path, self.keystore, self.ledger, self.clock, {DATASET: self.policy}, actor="cron")

    def create_epoch(self, name: str, *, begins: float, ends: float) -> None:
        span = {"not_before": START + timedelta(days=begins), "not_after": START + timedelta(days=ends)}
        self.keystore.create_epoch(DATASET, name, **span)

    def publish(self, epoch: str, edition: int = 1) -> None:
        """Folders as a publication leaves them; what is in them does not matter here."""
        folder = self.path / "editions" / DATASET / epoch / str(edition)
        for part in ("public/slices", "private"):
            (folder / part).mkdir(parents=True)
            (folder / part / "rows.arrow").write_bytes(b"rows")
        self.ledger.record_edition(
            dataset=DATASET,
            epoch=epoch,
            edition=edition,
            manifest_sha256=f"{edition:064x}",
            folder=str(folder.relative_to(self.path)),
            rows=1,
            counts={},
        )

    def declare(self, epoch: str) -> None:
        self.ledger.set_budget(BANK.public.fingerprint, DATASET, epoch, 100)

    def states(self) -> dict[str, str]:
        return {record.epoch: record.state for record in self.keystore.list_epochs(DATASET)}

    @property
    def current(self) -> str | None:
        return self.ledger.get_dataset(DATASET).current_epoch

    def audited(self) -> list[tuple[str, str]]:
        """(epoch, change) of every key event in the audit, which must be whole."""
        self.ledger.verify_audit()
        with self.ledger._store.reading() as db:
            rows = db.execute("SELECT subject, detail FROM audit WHERE action = 'epoch_key' ORDER BY seq").fetchall()
        return [(subject.partition("/")[2], json.loads(detail)["change"]) for subject, detail in rows]

    def events(self) -> list[tuple[str, str]]:
        kept = ("epoch create", "epoch active", "epoch expired", "epoch destroyed")
        events = [event for event in self.keystore.list_events() if event.action in kept]
        return [(event.subject.partition("/")[2], event.action.removeprefix("epoch ")) for event in events]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home.create(tmp_path / "province")
    yield made
    made.close()


@pytest.fixture
def ripe(home: Home) -> Home:
    """Every kind of step is due at once, on day 400."""
    home.create_epoch("2025", begins=-400, ends=-10)
    home.keystore.activate_epoch(DATASET, "2025")
    home.publish("2025", 1)
    home.publish("2025", 2)
    home.keystore.expire_epoch(DATASET, "2025")
    home.create_epoch("2026", begins=-30, ends=365)
    home.rotation.activate(DATASET, "2026")
    home.publish("2026")
    home.declare("2026")
    home.create_epoch("2027", begins=0, ends=430)
    home.publish("2027")
    home.declare("2027")
    home.clock.at = START + timedelta(days=400)
    return home


def steps_of(done: list[Any]) -> list[tuple[str, str]]:
    return [(step.kind, step.epoch) for step in done]


def due(home: Home) -> list[tuple[str, str]]:
    now = home.clock.now()
    return [(step.kind, step.epoch) for step in home.rotation.plan() if step.kind in DONE_BY_APPLY and step.is_due(now)]


def test_apply_does_all_that_is_due_and_then_nothing_is(ripe: Home) -> None:
    done = ripe.rotation.apply()
    assert steps_of(done) == [
        ("destroy", "2025"),
        ("activate", "2027"),
        ("create", "2028"),
        ("activate", "2028"),
        ("make_current", "2027"),
        ("expire", "2026"),
    ]
    assert ripe.states() == {"2025": "destroyed", "2026": "expired", "2027": "active", "2028": "active"}
    assert ripe.current == "2027"
    assert due(ripe) == []
    assert ripe.rotation.apply() == []
    assert ripe.audited() == ripe.events()
    created = ripe.keystore.get_epoch(DATASET, "2028")
    assert created.not_before < ripe.clock.now() - timedelta(days=2)
    assert created.not_after == START + timedelta(days=430 + 365)


def test_a_plan_changes_nothing(ripe: Home) -> None:
    before = {
        path: path.read_bytes() for path in ripe.path.rglob("*") if path.is_file() and path.suffix != ".sqlite-shm"
    }
    assert due(ripe)
    assert ripe.rotation.plan() == ripe.rotation.plan(ripe.clock.now())
    after = {
        path: path.read_bytes() for path in ripe.path.rglob("*") if path.is_file() and path.suffix != ".sqlite-shm"
    }
    assert {path for path in before | after if before.get(path) != after.get(path)} <= {
        path for path in after if path.name.endswith(("-wal", "-shm"))
    }


def test_destroying_takes_the_files_and_leaves_the_record(ripe: Home) -> None:
    ripe.rotation.apply()
    assert not (ripe.path / "editions" / DATASET / "2025").exists()
    (record,) = ripe.keystore.list_destructions()
    assert record.epoch == "2025"
    assert record.actor == "cron"
    assert record.removed == tuple(
        f"editions/base/2025/{number}/{part}" for number in (1, 2) for part in ("public", "private")
    )


def test_published_files_may_be_kept(ripe: Home) -> None:
    ripe.policy = RotationPolicy(public_editions="keep")
    (ripe.path / "editions" / DATASET / "2025" / ".building-3" / "private").mkdir(parents=True)
    ripe.rotation.apply()
    folder = ripe.path / "editions" / DATASET / "2025"
    assert sorted(str(path.relative_to(folder)) for path in folder.glob("*/*")) == ["1/public", "2/public"]
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []
    assert ripe.keystore.list_destructions()[0].removed == (
        "editions/base/2025/1/private",
        "editions/base/2025/2/private",
    )
    assert due(ripe) == []


def test_files_that_come_back_from_a_backup_go_again(ripe: Home) -> None:
    ripe.rotation.apply()
    (ripe.path / "editions" / DATASET / "2025" / "1" / "private").mkdir(parents=True)
    assert due(ripe) == [("destroy", "2025")]
    ripe.rotation.apply()
    assert not (ripe.path / "editions" / DATASET / "2025").exists()
    assert len(ripe.keystore.list_destructions()) == 1


def test_what_cannot_be_finished_now_waits_for_the_next_call(ripe: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys.keystore, "erase_traces", lambda database: False)
    assert ("destroy", "2025") in steps_of(ripe.rotation.apply())
    assert due(ripe) == [("destroy", "2025")]
    assert steps_of(ripe.rotation.apply()) == [("destroy", "2025")]
    monkeypatch.undo()
    assert steps_of(ripe.rotation.apply()) == [("destroy", "2025")]
    assert due(ripe) == []
    assert ripe.audited() == ripe.events()


def test_d30_a_full_disk_in_the_middle_is_made_good(ripe: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(matcher.province.rotation.shutil, "rmtree", full)
    with pytest.raises(OSError, match="No space"):
        ripe.rotation.apply()
    assert ripe.states()["2025"] == "expired", "the key goes last"
    monkeypatch.undo()
    ripe.rotation.apply()
    assert ripe.states()["2025"] == "destroyed"
    assert ripe.audited() == ripe.events()


def test_no_refresh_works_meanwhile(ripe: Home) -> None:
    before = ripe.states()
    with exclusive_lock(ripe.path / "editions" / "lock"), pytest.raises(Locked):
        ripe.rotation.apply()
    assert ripe.states() == before


# By hand


def test_a_new_epoch_does_not_become_current_before_it_can_be_used(home: Home) -> None:
    home.create_epoch("2026", begins=-30, ends=365)
    assert home.rotation.activate(DATASET, "2026") == "", "nobody is served yet, so nobody loses anything"
    assert home.current == "2026"
    home.publish("2026")
    home.declare("2026")
    home.create_epoch("2027", begins=-1, ends=730)
    assert home.rotation.activate(DATASET, "2027") == "edition"
    assert (home.current, home.states()["2027"]) == ("2026", "active")
    home.publish("2027")
    assert home.rotation.activate(DATASET, "2027") == "budgets"
    assert home.current == "2026"
    home.declare("2027")
    assert home.rotation.activate(DATASET, "2027") == ""
    assert home.current == "2027"
    assert home.audited() == home.events()


def test_an_epoch_created_by_hand_is_audited_and_valid_at_once(home: Home) -> None:
    made = home.rotation.create(DATASET, "2026", days=400)
    assert (made.state, made.not_after) == ("pending", START + timedelta(days=400))
    assert made.not_before < START - timedelta(days=2), "a clock put back by two days does not undo it"
    assert home.audited() == [("2026", "create")]


def test_by_hand_too_states_only_move_forward(ripe: Home) -> None:
    rotation = ripe.rotation
    with pytest.raises(EpochUnknown):
        rotation.activate(DATASET, "1999")
    with pytest.raises(EpochStateError):
        rotation.activate(DATASET, "2025")
    with pytest.raises(EpochStateError):
        rotation.destroy(DATASET, "2026", "too early")
    assert (ripe.path / "editions" / DATASET / "2026").exists(), "refused before any file is touched"
    with pytest.raises(InputError):
        rotation.destroy(DATASET, "2025", " ")
    assert rotation.expire(DATASET, "2026").state == "expired"
    assert rotation.destroy(DATASET, "2025", "年度归档").state == "destroyed"
    assert ripe.keystore.list_destructions()[0].reason == "年度归档"
    rotation.destroy(DATASET, "2025", "again")
    assert len(ripe.keystore.list_destructions()) == 1


# Killed at any point

POINTS = [
    (keys.keystore, "erase_traces"),
    (matcher.province.rotation.shutil, "rmtree"),
    (KeyStore, "create_epoch"),
    (KeyStore, "activate_epoch"),
    (KeyStore, "expire_epoch"),
    (KeyStore, "destroy_epoch"),
    (KeyStore, "finish_destructions"),
    (Ledger, "set_current_epoch"),
    (Ledger, "record_key_events"),
]


class Killer:
    """Counts the moments before and after each durable step, and dies at the chosen one."""

    def __init__(self, at: int) -> None:
        self.at, self.count = at, 0

    def moment(self) -> None:
        self.count += 1
        if self.count == self.at:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **options: Any) -> Any:
            self.moment()
            result = function(*arguments, **options)
            self.moment()
            return result

        return wrapped


def apply_and_die(path: Path, at: datetime, moment: int) -> bool:
    """Apply the plan in a process of its own that dies at a moment; False if it came to its end."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            killer = Killer(moment)
            for place, name in POINTS:
                setattr(place, name, killer.around(getattr(place, name)))
            Home.open(path, at).rotation.apply()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def end_of(home: Home) -> tuple[object, ...]:
    folders = sorted(str(path.relative_to(home.path)) for path in (home.path / "editions").rglob("*"))
    removed = [(record.epoch, record.removed) for record in home.keystore.list_destructions()]
    assert all(record.shredded_at is not None for record in home.keystore.list_destructions())
    spans = [(record.epoch, record.not_before, record.not_after) for record in home.keystore.list_epochs()]
    assert home.audited() == home.events()
    return home.states(), home.current, folders, removed, spans, home.events()


def test_killed_at_any_step_and_run_again_the_end_is_the_same(ripe: Home, tmp_path: Path) -> None:
    ripe.close()
    at, moment = START + timedelta(days=400), 0
    whole = tmp_path / "whole"
    shutil.copytree(ripe.path, whole)
    apply_and_die(whole, at, 0)
    expected = Home.open(whole, at)
    end = end_of(expected)
    expected.close()
    while True:
        moment += 1
        path = tmp_path / "killed"
        shutil.copytree(ripe.path, path)
        was_killed = apply_and_die(path, at, moment)
        home = Home.open(path, at)
        home.rotation.apply()
        assert end_of(home) == end, f"killed at moment {moment}"
        assert due(home) == []
        home.close()
        shutil.rmtree(path)
        if not was_killed:
            break
    assert moment > 25


# Years


def wrapped_keys(home: Home) -> dict[str, bytes]:
    rows = home.keystore._vault.list_rows("SELECT epoch, wrapped_key FROM epoch WHERE wrapped_key IS NOT NULL")
    return {row["epoch"]: row["wrapped_key"] for row in rows}


@pytest.mark.parametrize("seed", range(3))
def test_d28_four_years_with_a_clock_that_is_days_off(tmp_path: Path, seed: int) -> None:
    """Cron runs about weekly; each reading of the clock is up to two days off; refreshes and budgets come late."""
    chance = random.Random(seed)
    home = Home.create(tmp_path / "province", RotationPolicy(365, 60, 30, 90))
    home.create_epoch("2026", begins=-4, ends=365)
    home.rotation.activate(DATASET, "2026")
    home.publish("2026")
    home.declare("2026")
    true, expired_at, seen, unserved = START, {}, {}, 0
    while true < START + timedelta(days=4 * 365):
        true += timedelta(days=chance.choice([1, 3, 7, 12]))
        home.clock.at = true + timedelta(hours=chance.randint(-48, 48))
        seen |= wrapped_keys(home)
        before = {record.epoch: record for record in home.keystore.list_epochs() if record.state == "active"}
        for step in home.rotation.apply():
            if step.kind == "expire":
                assert true >= before[step.epoch].not_after
                expired_at[step.epoch] = true
            if step.kind == "destroy":
                assert true - expired_at[step.epoch] >= timedelta(days=90)
        assert due(home) == []
        home.ledger.verify_audit()
        for epoch, state in home.states().items():
            if state == "active" and chance.random() < 0.8:
                if home.ledger.current_edition(DATASET, epoch) is None:
                    home.publish(epoch)
                else:
                    home.declare(epoch)
        current = home.keystore.get_epoch(DATASET, home.current or "")
        unserved += not (current.state == "active" and current.not_before <= true <= current.not_after)
    assert unserved == 0
    assert home.states() == {"2026": "destroyed", "2027": "destroyed", "2028": "destroyed"} | {
        name: state for name, state in home.states().items() if name >= "2029"
    }
    assert home.audited() == home.events()
    assert [record.epoch for record in home.keystore.list_destructions()] == ["2026", "2027", "2028"]
    content = b"".join(path.read_bytes() for path in home.path.rglob("*") if path.is_file())
    assert not [epoch for epoch in ("2026", "2027", "2028") if seen[epoch] in content]
    assert seen[home.current or ""] in content
    home.close()
