"""Every write, flush, rename, deletion and commit of a command fails in turn: once, from then on, or by a kill.

After each fault the error is clear, the stores are whole and say what they said before (or what they will say in the
end), a file whose flush failed is not flushed again, and the same command run again comes to the same end as if
nothing had happened.
"""

from __future__ import annotations

import errno
import json
import re
import shutil
import signal
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from county import NOW
from failing_disk import FAULTS, HERE, NONE, Ended, FailingDisk, Fault, Mode, sample, try_every_step
from parties import Made, check_bureau, check_province, facts, find_leftovers, list_charges, serving
from scenarios import SCENARIOS, Change, Scenario

from scripts.home import DEMO_CLOCK

LIKE_A_TEST_NUMBER = re.compile(r"990000\d{11}[0-9X]")
SAMPLED = 8  # steps of each command in the ordinary suite

Said = dict[str, list[list[tuple[object, ...]]]]


@dataclass
class Trial:
    """One command, in a copy of the same folder each time."""

    scenario: Scenario
    disk: FailingDisk
    made: Made
    work: Path

    def __post_init__(self) -> None:
        self.prepared, self.looked_at = self.work.with_name("prepared"), self.work.with_name("looked at")
        shutil.copytree(self.made.folder, self.prepared)
        for words in self.scenario.before:
            self.disk.do(self.prepared, *words, **self.environment)
        self.begin()
        self.before = self.say()
        whole = self.run(NONE)
        assert whole.code == 0, whole
        self.steps = whole.steps
        self.end = self.say()
        assert self.end != self.before

    @property
    def environment(self) -> dict[str, str]:
        return {"MINGCE_PROVINCE__URL": self.made.url, DEMO_CLOCK: NOW}

    @property
    def home(self) -> Path:
        return self.work / self.scenario.party

    def say(self) -> Said:
        """What the home says, and whether the file that the command leaves is there.

        A copy is looked at: the next command finds the home as the last one left it, an unfinished log too.
        """
        shutil.rmtree(self.looked_at, ignore_errors=True)
        shutil.copytree(self.home, self.looked_at)
        left = self.scenario.leaves
        return {**facts(self.looked_at), "left": [[(left is not None and (self.home / left).exists(),)]]}

    def begin(self) -> None:
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.copytree(self.prepared, self.work)

    def run(self, fault: Fault, words: tuple[object, ...] = ()) -> Ended:
        words = (*(words or self.scenario.words), "--json")
        return self.disk.run(self.work, *words, fault=fault, root=self.home, **self.environment)

    def fail(self, fault: Fault) -> None:
        self.begin()
        charged = self.count_charges()
        ended = self.run(fault)
        self.check_end(ended, fault)
        self.check_stores()
        due = self.scenario.again if self.now == self.end else (0,)
        if due:
            again = self.run(NONE)
            assert again.code in due, (str(fault), ended, again)
        self.check_stores()
        assert self.now == self.end, (str(fault), ended)
        if self.scenario.tidy:
            assert self.run(NONE, self.scenario.tidy).code == 0
        assert find_leftovers(self.home) == [], ended.failed_at
        self.scenario.then(self.prepared / self.scenario.party, self.home)
        assert self.count_charges() == charged + self.scenario.charges  # whatever happened on the way

    def count_charges(self) -> int:
        return len(list_charges(self.made.served)) if self.scenario.party == "bank" else 0

    def check_end(self, ended: Ended, fault: Fault) -> None:
        if ended.code == -signal.SIGKILL:
            assert fault.mode is Mode.KILL
            return
        assert fault.mode is not Mode.KILL or ended.steps < fault.at  # a match's steps differ by a few from run to run
        assert "Traceback" not in ended.err, ended.err
        assert not LIKE_A_TEST_NUMBER.search(ended.out + ended.err)
        assert ended.code != 99
        assert ended.flushed_again == 0, f"{ended.failed_at}: flushed again after its flush had failed"
        if ended.code:
            error = json.loads(ended.out)["error"]
            assert error["code"]
            assert error["message"]

    def check_stores(self) -> None:
        self.now = self.say()
        if self.scenario.change is Change.ONE:
            assert self.now in (self.before, self.end), (self.before, self.now, self.end)
        if self.scenario.change is Change.ROWS:
            self.check_rows()
        if (self.home / "province.sqlite").exists():
            check_province(self.looked_at)
        if (self.home / "bureau.sqlite").exists():
            check_bureau(self.looked_at)

    def check_rows(self) -> None:
        """No row is lost, none is there twice, and none says what it said neither before nor in the end."""
        for before, now, end in zip(*map(_count_rows, (self.before, self.now, self.end)), strict=True):
            assert not now - (before | end), (before, now, end)
            assert not (before & end) - now, (before, now, end)


def _count_rows(said: Said) -> list[Counter[tuple[object, ...]]]:
    return [Counter(rows) for store in said.values() for rows in store]


@pytest.fixture(
    params=[pytest.param(each, id=each.name, marks=[pytest.mark.slow] * each.is_slow) for each in SCENARIOS]
)
def trial(request: pytest.FixtureRequest, disk: FailingDisk, tmp_path: Path) -> Trial:
    made = request.getfixturevalue("county" if request.param.is_in_county else "made")
    return Trial(request.param, disk, made, tmp_path / "work")


def test_a_step_fails(trial: Trial) -> None:
    """A sample of the steps, each with another fault."""
    for fault in sample(trial.steps, SAMPLED):
        trial.fail(fault)


@pytest.mark.exhaustive
@pytest.mark.parametrize(("mode", "error"), FAULTS, ids=lambda value: str(value))
def test_every_step_fails(trial: Trial, mode: Mode, error: int) -> None:
    try_every_step(trial.steps, mode, error, trial.fail)


def test_an_endpoint_whose_disk_fails_ends_and_the_next_one_goes_on(
    tmp_path: Path, disk: FailingDisk, made: Made
) -> None:
    """Nothing is half done, and the process ends by itself (security.md)."""
    folder, told = tmp_path / "work", tmp_path / "fail"
    shutil.copytree(made.folder, folder)
    home = folder / "province"
    match = ("bank", "match", "customers.csv", "--config", "bank")
    program = (HERE / "failing_server.py", told, home)
    with serving(folder, *program, LD_PRELOAD=str(disk.library)) as (url, server):
        assert disk.do(folder, *match, "--dry-run", MINGCE_PROVINCE__URL=url)["new"] == 60
        told.touch()
        while told.exists():
            time.sleep(0.01)
        refused = httpx.get(f"{url}/v1/datasets", trust_env=False)  # unsigned: its refusal cannot be put on record
        assert refused.status_code == 401
        assert server.wait(timeout=30) == 1
    log = (folder / "serve.log").read_text("utf-8")
    assert "Traceback" not in log
    assert list_charges(home) == []
    facts(home)
    check_province(home)
    with serving(folder) as (url, _):
        assert disk.do(folder, *match, MINGCE_PROVINCE__URL=url)["matched"] == 20
    assert list_charges(home) == [256]


def test_a_file_that_cannot_be_written_is_told_as_json_too(tmp_path: Path, disk: FailingDisk, made: Made) -> None:
    """Found: `--json` printed nothing at all, and a full disk was called wrong input (exit code 3)."""
    fault = Fault(1, Mode.FROM_THEN_ON, errno.ENOSPC)
    words = ("keys", "export", "--out", tmp_path / "identity.json", "--config", made.folder / "bank", "--json")
    ended = disk.run(made.folder, *words, fault=fault, root=tmp_path)
    assert ended.code == 1, ended
    error = json.loads(ended.out)["error"]
    assert error["code"] == "file_failed"
    assert str(tmp_path / "identity.json") in error["message"] or "No space" in error["message"]
    assert list(tmp_path.iterdir()) == []
