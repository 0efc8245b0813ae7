"""Stopwatches: medians of repeated runs, with the things to be compared run in turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

from psi.oprf import thread_count

MIN_RUNS = 5
Work = Callable[[], object]


@dataclass(frozen=True)
class Timing:
    """Medians of ``runs`` runs. ``cpu_s`` is the processor time of all threads of this process."""

    wall_s: float
    cpu_s: float
    runs: int

    def microseconds(self, items: int) -> float:
        """Wall-clock time for one item."""
        return round(self.wall_s / items * 1e6, 3)


@dataclass(frozen=True)
class Scaling:
    """One piece of work on one core and on all of them.

    ``thread_overhead`` is all-core time * cores / one-core time: 1.0 is perfect, and other processes raise it.
    ``cores_given`` is how many cores the all-core run got: less than there are means that others were running.
    ``cpu_overhead`` is the ratio of processor times: what threading itself costs, whoever else is running.
    """

    name: str
    items: int
    one_core_us: float
    all_cores_us: float
    thread_overhead: float
    cores_given: float
    cpu_overhead: float


def measure(works: Mapping[str, Work], runs: int) -> dict[str, Timing]:
    """Time each piece of work ``runs`` times, after one run to warm up.

    They take turns, so that a change of the machine's load or clock meets all of them alike.
    """
    for work in works.values():
        work()
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for _ in range(runs):
        for name, work in works.items():
            wall, cpu = time.perf_counter(), time.process_time()
            work()
            samples[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return {
        name: Timing(median(wall for wall, _ in taken), median(cpu for _, cpu in taken), runs)
        for name, taken in samples.items()
    }


def measure_one(work: Work, runs: int) -> Timing:
    return measure({"": work}, runs)[""]


def measure_scaling(name: str, items: int, work: Callable[[int], object], runs: int) -> Scaling:
    """``work`` takes the number of threads; 0 means all cores."""
    times = measure({"one": lambda: work(1), "all": lambda: work(0)}, runs)
    one, everything = times["one"], times["all"]
    return Scaling(
        name,
        items,
        one.microseconds(items),
        everything.microseconds(items),
        round(everything.wall_s * thread_count() / one.wall_s, 3),
        round(everything.cpu_s / everything.wall_s, 2),
        round(everything.cpu_s / one.cpu_s, 3),
    )
