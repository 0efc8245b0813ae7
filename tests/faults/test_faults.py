"""Every write, flush, rename, deletion and commit of a command fails in turn: once, from then on, or by a kill.

After each fault the error is clear, the stores are whole and say what they said before (or what they will say in the
end), a file whose flush failed is not flushed again, and the same command run again comes to the same end as if
nothing had happened.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest
from failing_disk import FAULTS, NONE, Ended, FailingDisk, Fault, Mode, sample, try_every_step
from parties import Made, check_province, facts, find_leftovers, list_charges
from scenarios import SCENARIOS, Scenario

LIKE_A_TEST_NUMBER = re.compile(r"990000\d{11}[0-9X]")
SAMPLED = 8  # steps of each command in the ordinary suite


@dataclass
class Trial:
    """One command, in a copy of the same folder each time."""

    scenario: Scenario
    disk: FailingDisk
    made: Made
    work: Path

    def __post_init__(self) -> None:
        self.prepared = self.work.with_name("prepared")
        shutil.copytree(self.made.folder, self.prepared)
        for words in self.scenario.before:
            self.disk.do(self.prepared, *words)
        self.begin()
        self.before = self.say()
        whole = self.run(NONE)
        assert whole.code == 0, whole
        self.steps = whole.steps
        self.end = self.say()
        assert self.end != self.before

    @property
    def home(self) -> Path:
        return self.work / self.scenario.party

    def say(self) -> dict[str, object]:
        """What the home says, and whether the file that the command leaves is there."""
        left = self.scenario.leaves
        return {**facts(self.home), "left": left is not None and (self.home / left).exists()}

    def begin(self) -> None:
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.copytree(self.prepared, self.work)

    def run(self, fault: Fault) -> Ended:
        words = (*self.scenario.words, "--json")
        return self.disk.run(self.work, *words, fault=fault, root=self.home, MINGCE_PROVINCE__URL=self.made.url)

    def fail(self, fault: Fault) -> None:
        self.begin()
        charged = list_charges(self.made.served)
        ended = self.run(fault)
        self.check_end(ended, fault)
        self.check_stores()
        due = self.scenario.again if self.now == self.end else (0,)
        if due:
            again = self.run(NONE)
            assert again.code in due, (str(fault), ended, again)
        self.check_stores()
        assert self.now == self.end, (str(fault), ended)
        assert find_leftovers(self.home) == [], ended.failed_at
        if self.scenario.party == "bank":  # one batch, whatever happened on the way
            assert len(list_charges(self.made.served)) == len(charged) + 1

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
        if self.scenario.is_one_change:
            assert self.now in (self.before, self.end), (self.before, self.now, self.end)
        if (self.home / "province.sqlite").exists():
            check_province(self.home)


@pytest.fixture(
    params=[pytest.param(each, id=each.name, marks=[pytest.mark.slow] * each.is_slow) for each in SCENARIOS]
)
def trial(request: pytest.FixtureRequest, disk: FailingDisk, made: Made, tmp_path: Path) -> Trial:
    return Trial(request.param, disk, made, tmp_path / "work")


def test_a_step_fails(trial: Trial) -> None:
    """A sample of the steps, each with another fault."""
    for fault in sample(trial.steps, SAMPLED):
        trial.fail(fault)


@pytest.mark.exhaustive
@pytest.mark.parametrize(("mode", "error"), FAULTS, ids=lambda value: str(value))
def test_every_step_fails(trial: Trial, mode: Mode, error: int) -> None:
    try_every_step(trial.steps, mode, error, trial.fail)
