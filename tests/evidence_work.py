"""Enter departments' answers and die: ``evidence_work.py HOME ROUNDS``.

Each round is a child process that enters answers until it is killed at a random moment; what it was told is done it
prints as a line with the document's number. The children are forks of this process, which never opens the store.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import sys
import time
from pathlib import Path

from bureau_office import HANDLER, SECRET, spring
from handed_over import COUNTY

from matcher.bureau.office import Office
from matcher.checks.service import DepartmentChecks
from matcher.schemas import get_schema

LONGEST_S = 0.06


def enter_until_killed(home: Path, first: int) -> None:
    office = Office(home, SECRET, spring(), [COUNTY])
    checks, schema = DepartmentChecks(office), get_schema("minzheng/1")
    for number in itertools.count(first):
        document = f"演示-{number}"
        checks.enter(HANDLER, 1, "minzheng", schema, label=None, as_of=office.today(), document_no=document)
        os.write(1, f"{document}\n".encode())


def main(home: Path, rounds: int) -> None:
    moments = random.Random(20260105)
    for place in range(rounds):
        child = os.fork()
        if child == 0:
            enter_until_killed(home, place * 1_000_000)
        time.sleep(moments.uniform(0, LONGEST_S))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
