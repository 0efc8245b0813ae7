"""Banks in processes of their own, which can be killed.

Run as a script it reads one JSON line for each bank to start, ``[home, url, customers, event, seconds]``,
forks, answers with the process id, waits for its end, and answers with its exit code. A bank with an
``event`` kills itself, as if the power failed, when its match tells the event-th progress; one with
``seconds`` is killed when they are over.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Self

from bank_home import BANK, IMPATIENT, OPERATOR, WARRANT, bank_store, customers, item
from fake_province import DATASET, DIVISION, PROVINCE

from api.client import Connection, ProvinceClient
from api.matching import MatchJob, run_match
from api.progress import Progress
from keys.clock import SystemClock
from matcher.bank import plan

ROOT = Path(__file__).parents[2]


class BankProcesses:
    """The test's end: starts one bank after another."""

    def __init__(self) -> None:
        paths = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "api")])
        self._starter = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": paths},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._starter.communicate(timeout=30)

    def start(self, home: Path, url: str, count: int, *, event: int | None = None, seconds: float | None = None) -> int:
        """The process id of a bank that matches ``count`` customers at ``home``."""
        assert self._starter.stdin is not None
        self._starter.stdin.write(json.dumps([str(home), url, count, event, seconds]) + "\n")
        self._starter.stdin.flush()
        return self._read()

    def wait(self) -> int:
        """The exit code of the bank started last; a signal's number is negative."""
        return self._read()

    def _read(self) -> int:
        assert self._starter.stdout is not None
        return int(self._starter.stdout.readline())


def run_bank(home: Path, url: str, count: int, event: int | None) -> None:
    plan.BATCH_SIZES = (64,)
    told = 0

    def observe(_: Progress) -> None:
        nonlocal told
        told += 1
        if told == event:
            os.kill(os.getpid(), signal.SIGKILL)

    listed = customers([item(number) for number in range(count)])
    job = MatchJob(DATASET, (DIVISION,), WARRANT, "customers.csv", operator=OPERATOR)
    client = ProvinceClient(Connection(url, timeout_s=10), BANK, SystemClock(), IMPATIENT)
    with bank_store(home) as store, client:
        run_match(job, listed, store=store, client=client, province=PROVINCE.public, observe=observe)


def main() -> None:
    for line in sys.stdin:
        home, url, count, event, seconds = json.loads(line)
        process = os.fork()
        if process == 0:
            code = 1
            try:
                run_bank(Path(home), url, count, event)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        print(process, flush=True)
        if seconds is not None:
            time.sleep(seconds)
            os.kill(process, signal.SIGKILL)
        print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
