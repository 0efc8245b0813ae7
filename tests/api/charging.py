"""Charge a ledger and die: ``charging.py HOME PARTY ROUNDS``.

Each round is a child process that charges until it is killed at a random moment; what it was told is done it prints
as a line with the idempotency key. The children are forks of this process, which never opens the ledger itself.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import sys
import time
from pathlib import Path

from keys.clock import SettableClock
from matcher.province.ledger import Ledger

N = 3
LONGEST_S = 0.1


def charge_until_killed(home: Path, party: str, first: int) -> None:
    ledger = Ledger.open(home, SettableClock())
    for number in itertools.count(first):
        key = f"{number:032x}"
        ledger.charge(party=party, dataset="base", epoch="2026", idempotency_key=key, body_sha256=bytes(32), n=N)
        os.write(1, f"{key}\n".encode())


def main(home: Path, party: str, rounds: int) -> None:
    moments = random.Random(20260105)
    for place in range(rounds):
        child = os.fork()
        if child == 0:
            charge_until_killed(home, party, place * 1_000_000)
        time.sleep(moments.uniform(0, LONGEST_S))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
