"""A province of the benchmark's own: its home, and `mingce province serve` on chosen cores, watched through /proc."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Self

from keys.clock import SystemClock
from keys.identity import Identity
from matcher.province.ledger import Ledger
from psi.edition import LabelSchema
from scripts import templates
from scripts.benchmarks.whole_job import BenchFailed
from scripts.home import create_home

DATASET, EPOCH = "base", "2026"
EVALUATE = f"/v1/datasets/{DATASET}/epochs/{EPOCH}/evaluate"
BANKS = 8
START_TIMEOUT_S = 60.0
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class ProvinceFixture:
    """A home with one active epoch, and banks that may ask without end. ``fingerprint`` is of the epoch's key."""

    path: Path
    banks: tuple[Identity, ...]
    fingerprint: bytes

    @classmethod
    def create(cls, path: Path) -> Self:
        clock = SystemClock()
        home = create_home(path, "province", "bench province", templates.province("bench province", DATASET), clock)
        keystore, ledger = home.open_keys(), Ledger.open(path, clock)
        now = clock.now().replace(microsecond=0)
        ledger.register_dataset(DATASET, title="bench", label_schema=LabelSchema().model_dump(by_alias=True))
        keystore.create_epoch(DATASET, EPOCH, not_before=now, not_after=now + timedelta(days=2))
        epoch = keystore.activate_epoch(DATASET, EPOCH)
        ledger.set_current_epoch(DATASET, EPOCH)
        banks = tuple(Identity(f"bench bank {number}", "bank", os.urandom(32)) for number in range(BANKS))
        for bank in banks:
            party = ledger.register_party(bank.public).fingerprint
            ledger.grant(party, DATASET, divisions=None)
            ledger.set_budget(party, DATASET, EPOCH, 2**32)
        ledger.close()
        keystore.close()
        return cls(path, banks, bytes.fromhex(epoch.fingerprint))


@dataclass(frozen=True)
class Used:
    """Processor seconds so far of the thread that reads and writes, of those that check and record, of the kernel."""

    loop_s: float
    workers_s: float
    kernel_s: float

    def since(self, before: Used) -> Used:
        return Used(self.loop_s - before.loop_s, self.workers_s - before.workers_s, self.kernel_s - before.kernel_s)

    @property
    def all_s(self) -> float:
        return self.loop_s + self.workers_s + self.kernel_s


class ServedProvince:
    """The command a user types, in a process of its own on these cores only. Ended by leaving the block."""

    def __init__(self, fixture: ProvinceFixture, cores: set[int], number: int = 1) -> None:
        """``number`` tells processes over one home apart."""
        self.host = "127.0.0.1"
        address = fixture.path / f"address-{number}"
        address.unlink(missing_ok=True)
        self._output = fixture.path / f"output-{number}"
        words = ["province", "serve", "--port", "0", "--address-file", str(address), "--config", str(fixture.path)]
        with self._output.open("wb") as sink:
            self._process = subprocess.Popen(  # noqa: S603  our own command line
                [sys.executable, "-m", "scripts.cli", *words],
                stdout=sink,
                stderr=sink,
                preexec_fn=lambda: os.sched_setaffinity(0, cores),
            )
        until = time.monotonic() + START_TIMEOUT_S
        while not address.exists():
            if self._process.poll() is not None or time.monotonic() > until:
                self._process.kill()
                raise BenchFailed(self._output.read_text("utf-8", "replace")[-2000:], step="province serve")
            time.sleep(0.05)
        self.port = int(address.read_text("utf-8").rpartition(":")[2])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def place(self) -> tuple[str, int]:
        return self.host, self.port

    def resident_bytes(self) -> int:
        return int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]) * _PAGE

    def open_files(self) -> int:
        return len(list(Path(f"/proc/{self._process.pid}/fd").iterdir()))

    def used(self) -> Used:
        """By thread, from the scheduler's own count. The busiest thread that is not the first is the kernel's."""
        tasks = Path(f"/proc/{self._process.pid}/task")
        spent = {int(task.name): int((task / "schedstat").read_text().split()[0]) / 1e9 for task in tasks.iterdir()}
        loop_s = spent.pop(self._process.pid)
        kernel_s = max(spent.values(), default=0.0)
        return Used(loop_s, sum(spent.values()) - kernel_s, kernel_s)
