"""Every step of a backup and of a restore fails in turn; and the drill: a province lost, restored, and asked again."""

from __future__ import annotations

import json
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest
from failing_disk import FAULTS, NONE, Ended, FailingDisk, Fault, Mode, sample, try_every_step
from parties import Made, check_province, facts, find_leftovers, list_charges, serving, signed, write_list
from scenarios import BACKUP, RESTORE

from matcher.keeping.restored import MARK

SAMPLED = 10
NEXT = (*BACKUP[:3], "kept/next.mcbk", *BACKUP[4:])
VERIFY = ("backup", "verify", *RESTORE[2:3], *RESTORE[4:])


@dataclass
class Trial:
    """A backup, or a restore from one, in a copy of the same folder each time."""

    disk: FailingDisk
    made: Made
    work: Path
    words: tuple[str, ...]

    def __post_init__(self) -> None:
        self.prepared = self.work.with_name("prepared")
        shutil.copytree(self.made.folder, self.prepared)
        if self.words is RESTORE:
            self.disk.do(self.prepared, *BACKUP)

    def begin(self) -> None:
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.copytree(self.prepared, self.work)

    def run(self, fault: Fault, words: tuple[str, ...] | None = None) -> Ended:
        return self.disk.run(self.work, *(words or self.words), "--json", fault=fault)

    def count(self) -> int:
        self.begin()
        whole = self.run(NONE)
        assert whole.code == 0, whole
        return whole.steps

    def fail(self, fault: Fault) -> None:
        self.begin()
        before = facts(self.work / "province")
        ended = self.run(fault)
        self.check_end(ended, fault)
        assert facts(self.work / "province") == before
        check_province(self.work / "province")
        self.check_result(ended)
        again = self.run(NONE)
        assert again.code in ((0,) if ended.code else (3,)), (str(fault), ended, again)
        assert self.run(NONE, VERIFY).code == 0
        if self.words is BACKUP and find_leftovers(self.work):  # what could not be deleted goes with the next one
            assert not ended.code
            assert self.run(NONE, NEXT).code == 0
        assert find_leftovers(self.work) == [], ended.failed_at

    def check_end(self, ended: Ended, fault: Fault) -> None:
        if ended.code == -signal.SIGKILL:
            assert fault.mode is Mode.KILL
            return
        assert ended.code != 99
        assert "Traceback" not in ended.err, ended.err
        assert ended.flushed_again == 0, ended.failed_at
        if ended.code:
            assert json.loads(ended.out)["error"]["code"]

    def check_result(self, ended: Ended) -> None:
        """Whole or not there, whatever happened."""
        if self.words is BACKUP:
            if (self.work / "kept" / "b.mcbk").exists():
                assert self.run(NONE, VERIFY).code == 0
                if ended.code:  # killed, or the disk failed, between its rename and the end
                    (self.work / "kept" / "b.mcbk").unlink()
            return
        again = self.work / "again"
        if again.exists() and any(again.iterdir()):
            assert (again / MARK).exists()
            check_province(again)
            if ended.code:
                shutil.rmtree(again)


@pytest.mark.parametrize("words", [BACKUP, RESTORE], ids=["backup", "restore"])
def test_a_step_fails(words: tuple[str, ...], disk: FailingDisk, made: Made, tmp_path: Path) -> None:
    trial = Trial(disk, made, tmp_path / "work", words)
    steps = trial.count()
    assert steps > SAMPLED
    for fault in sample(steps, SAMPLED):
        trial.fail(fault)


@pytest.mark.exhaustive
@pytest.mark.parametrize("words", [BACKUP, RESTORE], ids=["backup", "restore"])
@pytest.mark.parametrize(("mode", "error"), FAULTS, ids=str)
def test_every_step_fails(
    words: tuple[str, ...], mode: Mode, error: int, disk: FailingDisk, made: Made, tmp_path: Path
) -> None:
    trial = Trial(disk, made, tmp_path / "work", words)
    try_every_step(trial.count(), mode, error, trial.fail)


def test_the_drill(disk: FailingDisk, made: Made, tmp_path: Path) -> None:
    """A province serves, is backed up, goes on, is lost, and comes back by its shares and its backup on another place.

    What it did after the backup cannot be had again for nothing: the epoch is over; in the new one a bank asks anew.
    """
    trial = Trial(disk, made, tmp_path / "work", BACKUP)
    trial.begin()
    work = trial.work
    shares = disk.do(work, "shares", "split", "province/secrets/kek", "-k", 2, "-n", 3, "--out", "kept/shares")
    with serving(work) as (url, _):
        disk.do(work, *BACKUP)  # while it serves
        disk.do(work, "bank", "match", "customers.csv", "--config", "bank", MINGCE_PROVINCE__URL=url)
        assert list_charges(work / "province")
        disk.do(work, "province", "refresh", "--source", "changed.csv", "--config", "province")
    shutil.rmtree(work / "province")

    disk.do(work, *RESTORE[:3], "province", *RESTORE[4:], "--identity", "bank/province.identity.json")
    assert list_charges(work / "province") == []  # the backup knows of none: this is what must not be used
    disk.do(work, "shares", "combine", *shares["files"][1:], "--out", "province/secrets/kek")
    refused = disk.run(work, "province", "serve", "--port", 0, "--config", "province")
    assert refused.code == 4
    assert "restore_unsettled" in refused.err
    settle = ("backup", "settle", "--something-lost", "--reason", "演练", "--config", "province")
    assert disk.do(work, *settle)["ended_epochs"] == ["base/2026"]
    check_province(work / "province")

    with serving(work) as (url, _):
        asked = disk.run(work, "bank", "match", "customers.csv", "--config", "bank", "--json", MINGCE_PROVINCE__URL=url)
        assert asked.code != 0, "nothing is evaluated under the old key"
        assert list_charges(work / "province") == []
    disk.do(work, "keys", "create-epoch", "base", "2026-r1", "--activate", "--config", "province")
    declare = ("province", "declare", "演示银行", "--customers", 1_000_000, "--reason", "演练", *signed("province", 0))
    declared = disk.do(work, *declare)
    disk.do(work, "province", "approve", declared["declaration_id"], *signed("province", 1))
    write_list(work / "new.csv", dict.fromkeys(range(40, 90), 3))
    disk.do(work, "province", "refresh", "--source", "new.csv", "--config", "province")
    with serving(work) as (url, _):
        matched = disk.do(work, "bank", "match", "customers.csv", "--config", "bank", MINGCE_PROVINCE__URL=url)
    assert matched["matched"] == 50
    assert len(list_charges(work / "province")) == 1
    check_province(work / "province")
