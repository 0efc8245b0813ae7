"""One endpoint process beside several over the same home, in turns, on all cores; and whether the budget is one."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from keys.clock import SystemClock
from matcher.province.ledger import Ledger
from scripts.benchmarks.endpoint import BATCH, CALLERS
from scripts.benchmarks.load import Generator, Outcome, percentiles_ms
from scripts.benchmarks.served import DATASET, EPOCH, ProvinceFixture, ServedProvince
from scripts.benchmarks.whole_job import BenchFailed

ROUNDS, SECONDS = 7, 4.0
_SETTLE_S = 0.5


@dataclass(frozen=True)
class Row:
    """``per_s`` is evaluations (elements) a second by the clock, median of the rounds; ``cpu_ms`` the servers'
    processor time for one batch, ``cores`` how much of the machine they had by it.
    """

    processes: int
    per_s: int
    cpu_ms: float
    cores: float
    answered: int
    put_off: int
    answered_ms: dict[str, float]


@dataclass(frozen=True)
class Processes:
    """``ratio`` is the median of the rounds' own, ``cpu_ratio`` of processor time for one batch, one process's over
    the several's. ``charged`` are the elements on the ledger, of ``answered`` batches.
    """

    cores: int
    callers: int
    rows: tuple[Row, Row]
    ratio: float
    cpu_ratio: float
    answered: int
    charged: int


def measure_processes(
    processes: int, *, rounds: int = ROUNDS, seconds: float = SECONDS, tell: Callable[[str], object]
) -> Processes:
    """As many callers for one process as for several; all share the machine with them. Raises BenchFailed."""
    cores, callers = os.sched_getaffinity(0), CALLERS * processes
    with TemporaryDirectory(prefix="mingce-bench-") as name:
        fixture = ProvinceFixture.create(Path(name) / "province")
        with ExitStack() as stack:
            tell("one process")
            servers = [stack.enter_context(ServedProvince(fixture, cores))]
            tell(f"{processes} processes")
            servers += [stack.enter_context(ServedProvince(fixture, cores, n)) for n in range(2, processes + 1)]
            few, many = _Series(servers[:1], fixture), _Series(servers, fixture)
            for _ in range(rounds):
                few.run(seconds, callers)
                many.run(seconds, callers)
        charged = _charged(fixture)
    one, several = few.describe(), many.describe()
    answered = few.answered_ever + many.answered_ever
    if charged != answered * BATCH:
        raise BenchFailed(f"{charged} elements were charged for {answered} batches of {BATCH}", step="processes")
    ratio = median(b / a for a, b in zip(few.rates, many.rates, strict=True))
    cpu_ratio = one.cpu_ms / several.cpu_ms
    return Processes(len(cores), callers, (one, several), round(ratio, 3), round(cpu_ratio, 3), answered, charged)


class _Series:
    """The rounds of one arrangement."""

    def __init__(self, servers: list[ServedProvince], fixture: ProvinceFixture) -> None:
        self.rates: list[float] = []
        self.answered_ever = 0
        self._servers = servers
        self._generator = Generator([server.place for server in servers], fixture, BATCH)
        self._total = Outcome()
        self._cpu_s = 0.0

    def run(self, seconds: float, callers: int) -> None:
        self.answered_ever += self._generator.closed_loop(_SETTLE_S, callers).statuses[200]
        before = self._used_s()
        outcome = self._generator.closed_loop(seconds, callers)
        self._cpu_s += self._used_s() - before
        if outcome.errors:
            raise BenchFailed(f"answers other than 200 and 503: {dict(outcome.statuses)}", step="processes")
        self.rates.append(outcome.good_per_s * BATCH)
        self.answered_ever += outcome.statuses[200]
        self._total.seconds += outcome.seconds
        self._total.statuses += outcome.statuses
        self._total.latencies_s += outcome.latencies_s

    def describe(self) -> Row:
        answered = self._total.statuses[200]
        return Row(
            len(self._servers),
            round(median(self.rates)),
            round(self._cpu_s / answered * 1000, 2),
            round(self._cpu_s / self._total.seconds, 2),
            answered,
            self._total.statuses[503] + self._total.statuses[429],
            percentiles_ms(self._total.latencies_s),
        )

    def _used_s(self) -> float:
        return sum(server.used().all_s for server in self._servers)


def _charged(fixture: ProvinceFixture) -> int:
    ledger = Ledger.open(fixture.path, SystemClock())
    try:
        budgets = [ledger.find_budget(bank.public.fingerprint, DATASET, EPOCH) for bank in fixture.banks]
        return sum(budget.used for budget in budgets if budget is not None)
    finally:
        ledger.close()
