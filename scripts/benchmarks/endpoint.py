"""The endpoint over HTTP beside the bare kernel: rate, latency, overload, and a soak.

The server may use one core, the generator another, and the bare kernel is measured on the server's core while the
server rests, in turns with it: so the ratio means something on a machine whose speed changes. docs/reference/
performance.md says how to read the figures.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import linear_regression, median
from tempfile import TemporaryDirectory

from psi.oprf import MODE_VOPRF, BlindedBatch, SecretKey, blind_evaluate
from scripts.benchmarks.kernel import ITEM_BYTES, made_up_items
from scripts.benchmarks.load import Generator, Outcome, percentiles_ms
from scripts.benchmarks.served import ProvinceFixture, ServedProvince, Used
from scripts.benchmarks.whole_job import BenchFailed

BATCH = 4_096
CALLERS = 4  # enough to keep the server busy while one answer is on its way
OVERLOAD = 3.0
LOADS = (0.5, 0.7, 0.9)
WARM_UP_S = 180.0  # of a soak: caches fill
SAMPLE_EVERY_S = 5.0
Told = Callable[[str], object]


@dataclass(frozen=True)
class Spans:
    """Seconds of each part, and how often kernel and HTTP take turns."""

    rounds: int
    kernel_s: float
    http_s: float
    overload_s: float
    latency_s: float


FULL = Spans(rounds=9, kernel_s=1.0, http_s=3.0, overload_s=10.0, latency_s=10.0)
QUICK = Spans(rounds=1, kernel_s=0.3, http_s=1.0, overload_s=1.5, latency_s=1.0)


@dataclass(frozen=True)
class Throughput:
    """Evaluations (elements) a second, medians of the rounds; the ratios are medians of each round's own.

    ``cpu_ms``: the server's processor time for one batch, by what spent it; ``cpu_ratio`` compares the bare kernel's
    processor time with the server's, which other processes on the machine change less.
    """

    batch: int
    kernel_per_s: float
    http_per_s: float
    ratio: float
    cpu_ratio: float
    kernel_cpu_ms: float
    cpu_ms: dict[str, float]
    healthz_ms: dict[str, float]


@dataclass(frozen=True)
class Overload:
    """``goodput`` is batches answered, as a share of what the endpoint can do."""

    offered: float
    goodput: float
    statuses: dict[str, int]
    answered_ms: dict[str, float]
    healthz_ms: dict[str, float]


@dataclass(frozen=True)
class Latency:
    """Open-loop, from the moment a request was due, at a share of what the endpoint can do."""

    load: float
    per_s: float
    errors: int
    answered_ms: dict[str, float]


@dataclass(frozen=True)
class Soak:
    """Slopes are fitted to samples after the warm-up."""

    minutes: float
    load: float
    answered: int
    put_off: int
    errors: int
    answered_ms: dict[str, float]
    resident_mib: float
    resident_mib_per_10_min: float
    open_files: tuple[int, int]


@dataclass(frozen=True)
class Endpoint:
    cores: dict[str, int]
    throughput: Throughput
    overload: Overload
    latency: list[Latency]
    soak: Soak | None


def measure_endpoint(spans: Spans, *, soak_minutes: float, soak_load: float, tell: Told) -> Endpoint:
    """Everything, in a folder that is removed. Raises BenchFailed."""
    cores = sorted(os.sched_getaffinity(0))
    server_core, generator_core = cores[-1], cores[0]
    with TemporaryDirectory(prefix="mingce-bench-") as name, _pinned(generator_core):
        fixture = ProvinceFixture.create(Path(name) / "province")
        with ServedProvince(fixture, {server_core}) as server:
            generator = Generator([server.place], fixture, BATCH)
            tell("throughput")
            throughput = _throughput(server, generator, server_core, spans)
            capacity = throughput.http_per_s / BATCH
            tell("overload")
            overload = _overload(generator, capacity, spans)
            tell("latency")
            latency = [_latency(generator, load, capacity, spans) for load in LOADS]
            soak = None
            if soak_minutes:
                tell("soak")
                soak = _soak(server, generator, soak_minutes, soak_load, capacity)
    return Endpoint({"server": server_core, "generator": generator_core}, throughput, overload, latency, soak)


def measure_bare_kernel(seconds: float) -> tuple[float, float]:
    """(elements a second, processor seconds an element) of this process, on whatever core it may use."""
    key = SecretKey.generate()
    elements = BlindedBatch(MODE_VOPRF, made_up_items(BATCH), ITEM_BYTES, seed=bytes(32)).blinded_elements
    blind_evaluate(MODE_VOPRF, key, elements)
    done, began_s, began_cpu_s = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - began_s < seconds:
        blind_evaluate(MODE_VOPRF, key, elements)
        done += BATCH
    return done / (time.perf_counter() - began_s), (time.process_time() - began_cpu_s) / done


def _throughput(server: ServedProvince, generator: Generator, core: int, spans: Spans) -> Throughput:
    generator.closed_loop(min(1.0, spans.http_s), CALLERS)
    kernels, served, used, health = [], [], [], []
    for _ in range(spans.rounds):
        kernels.append(_bare_kernel_on(core, spans.kernel_s))
        before = server.used()
        outcome = generator.closed_loop(spans.http_s, CALLERS)
        if outcome.statuses.keys() != {200}:
            raise BenchFailed(f"answers other than 200: {dict(outcome.statuses)}", step="throughput")
        served.append(outcome.good_per_s * BATCH)
        used.append((server.used().since(before), outcome.statuses[200]))
        health += outcome.health_s
    kernel_cpu_s = [cpu_s * BATCH for _, cpu_s in kernels]
    batches = sum(count for _, count in used)

    def milliseconds(part: Callable[[Used], float]) -> float:
        return round(sum(part(spent) for spent, _ in used) / batches * 1000, 2)

    return Throughput(
        BATCH,
        round(median(rate for rate, _ in kernels)),
        round(median(served)),
        round(median(rate / bare for rate, (bare, _) in zip(served, kernels, strict=True)), 3),
        round(median(bare * count / spent.all_s for bare, (spent, count) in zip(kernel_cpu_s, used, strict=True)), 3),
        round(median(kernel_cpu_s) * 1000, 2),
        {
            "kernel": milliseconds(lambda spent: spent.kernel_s),
            "workers": milliseconds(lambda spent: spent.workers_s),
            "event_loop": milliseconds(lambda spent: spent.loop_s),
        },
        percentiles_ms(health),
    )


def _overload(generator: Generator, capacity: float, spans: Spans) -> Overload:
    outcome = generator.open_loop(spans.overload_s, OVERLOAD * capacity)
    return Overload(
        OVERLOAD,
        round(outcome.good_per_s / capacity, 3),
        {str(status): count for status, count in sorted(outcome.statuses.items())},
        percentiles_ms(outcome.latencies_s),
        percentiles_ms(outcome.health_s),
    )


def _latency(generator: Generator, load: float, capacity: float, spans: Spans) -> Latency:
    outcome = generator.open_loop(spans.latency_s, load * capacity)
    return Latency(load, round(load * capacity, 1), outcome.errors, percentiles_ms(outcome.latencies_s))


def _soak(server: ServedProvince, generator: Generator, minutes: float, load: float, capacity: float) -> Soak:
    """Many short open loops in a row, with a sample of the server's memory and files after each."""
    total, samples, files = Outcome(), [], []
    began_s = time.monotonic()
    while (elapsed_s := time.monotonic() - began_s) < minutes * 60:
        outcome = generator.open_loop(SAMPLE_EVERY_S, load * capacity)
        total.statuses += outcome.statuses
        total.latencies_s += outcome.latencies_s
        samples.append((elapsed_s, server.resident_bytes() / 2**20))
        files.append(server.open_files())
    settled = [(at_s, mib) for at_s, mib in samples if at_s >= min(WARM_UP_S, minutes * 30)]
    slope = linear_regression(*zip(*settled, strict=True)).slope if len(settled) > 1 else 0.0
    return Soak(
        minutes,
        load,
        total.statuses[200],
        total.statuses[429] + total.statuses[503],
        total.errors,
        percentiles_ms(total.latencies_s),
        round(samples[-1][1], 1),
        round(slope * 600, 3),
        (min(files), max(files)),
    )


def _bare_kernel_on(core: int, seconds: float) -> tuple[float, float]:
    script = f"from scripts.benchmarks.endpoint import measure_bare_kernel as m; print(*m({seconds}))"
    done = subprocess.run(  # noqa: S603  our own code, on another core
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        check=False,
    )
    if done.returncode:
        raise BenchFailed(done.stderr[-2000:], step="kernel")
    rate, cpu_s = map(float, done.stdout.split())
    return rate, cpu_s


@contextmanager
def _pinned(core: int) -> Iterator[None]:
    """This process on one core, and afterwards on those it had."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
