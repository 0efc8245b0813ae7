"""A province's home for the publisher's tests, and the program that a refresh is killed in.

Run as a program it does one refresh, with a + before the file by a change list, or with a number instead of a file one
roll-back: ``publishing.py HOME SOURCE|+CHANGES|NUMBER [STEP [KEEP]]``, keeps KEEP editions, and kills itself with
SIGKILL as soon as it reaches the named step. Without anything it forks, for every ``HOME SOURCE SECONDS`` on its
standard input, a process that refreshes and is killed after so long, and answers with its exit code and how long it
ran.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from keys.clock import SettableClock
from keys.keystore import KeyStore
from keys.wrap import FileKek, create_kek_file
from matcher.province.ledger import Ledger
from matcher.province.plan import DatasetPlan, Observer, Outcome
from matcher.province.publisher import Publisher
from psi.edition import LabelSchema
from psi.identifiers import check_character

DATASET, EPOCH = "base", "2026"
PLAN = DatasetPlan(DATASET, EPOCH, bucket=16)
HEADER = "证件号码,家庭编号,家庭人数,行政区划,是否扩中家庭,非扩中原因标签"


def number(person: int) -> str:
    body = f"3399001980{person // 900 % 12 + 1:02d}{person % 28 + 1:02d}{person % 1000:03d}"
    return body + check_character(body)


def write_list(path: Path, people: dict[int, int], division: str = "330922") -> Path:
    """A base list of made-up people: person -> household size."""
    rows = [f"{number(person)},H{person},{size},{division},是," for person, size in people.items()]
    path.write_text("\n".join([HEADER, *rows]) + "\n", "utf-8")
    return path


def create_home(home: Path) -> None:
    clock = SettableClock()
    home.mkdir(mode=0o700)
    create_kek_file(home / "kek")
    keystore = KeyStore(home, FileKek(home / "kek"), clock=clock, actor="test")
    keystore.create_identity("演示省", "province")
    keystore.create_epoch(DATASET, EPOCH, not_before=clock.now(), not_after=clock.now() + timedelta(days=400))
    keystore.activate_epoch(DATASET, EPOCH)
    ledger = Ledger.open(home, clock)
    ledger.register_dataset(DATASET, title="基础名单库", label_schema=LabelSchema().model_dump(by_alias=True))
    ledger.set_current_epoch(DATASET, EPOCH)
    ledger.close()
    keystore.close()


def open_publisher(home: Path) -> Publisher:
    clock = SettableClock()
    keystore = KeyStore(home, FileKek(home / "kek"), clock=clock, actor="test")
    return Publisher(home, keystore, Ledger.open(home, clock), clock)


class KillAt(Observer):
    """Dies at a step; with ``step=None`` lists the steps on standard output instead."""

    def __init__(self, step: str | None) -> None:
        self._step = step

    def step(self, name: str, total: int | None = None) -> None:
        if self._step is None:
            print(name, flush=True)
        elif name == self._step:
            os.kill(os.getpid(), signal.SIGKILL)


def refresh(home: Path, source: Path, observer: Observer, plan: DatasetPlan = PLAN) -> Outcome:
    outcome, _ = open_publisher(home).refresh(plan, source, observer=observer)
    return outcome


def roll_back(home: Path, number: int, observer: Observer, plan: DatasetPlan = PLAN) -> Outcome:
    return open_publisher(home).rollback(plan, number, reason="演练", actor="演示员", observer=observer)


def refresh_killed(home: Path, source: Path, seconds: float) -> tuple[int, float]:
    """In a process that is forked here and begins with everything loaded."""
    began, process = time.monotonic(), os.fork()
    if process == 0:
        refresh(home, source, Observer())
        os._exit(0)
    ended = 0
    while not ended and time.monotonic() < began + seconds:
        time.sleep(0.001)
        ended, status = os.waitpid(process, os.WNOHANG)
    if not ended:
        os.kill(process, signal.SIGKILL)
        _, status = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(status), time.monotonic() - began


if __name__ == "__main__" and len(sys.argv) == 1:
    for line in sys.stdin:
        forked_home, forked_source, for_seconds = line.split()
        print(*refresh_killed(Path(forked_home), Path(forked_source), float(for_seconds)), flush=True)
elif __name__ == "__main__":
    where, what, *rest = sys.argv[1:]
    killer = KillAt(rest[0] if rest else None)
    kept = replace(PLAN, keep_editions=int(rest[1])) if len(rest) > 1 else PLAN
    if what.isdecimal():
        roll_back(Path(where), int(what), killer, kept)
    else:
        is_change_list = what.startswith("+")
        source = Path(what.removeprefix("+"))
        open_publisher(Path(where)).refresh(kept, source, changes=is_change_list, observer=killer)
