"""``mingce bench``: what it measures is the real thing, and adds up."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scripts.benchmarks.bench import FORMAT
from scripts.benchmarks.endpoint import Spans, measure_endpoint
from scripts.benchmarks.kernel import made_up_items, measure_kernel
from scripts.benchmarks.load import Generator, Outcome, percentiles_ms
from scripts.benchmarks.measure import MIN_RUNS, measure
from scripts.benchmarks.peers import STEPS, compare_with_openmined
from scripts.benchmarks.pipeline import measure_pipeline
from scripts.benchmarks.processes import measure_processes
from scripts.benchmarks.province_size import QUERIES, measure_province
from scripts.benchmarks.served import ProvinceFixture
from scripts.benchmarks.whole_job import BenchFailed, Job


def test_medians_are_taken_in_turn() -> None:
    order: list[str] = []
    times = measure({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, MIN_RUNS)
    assert "".join(order) == "ab" * (MIN_RUNS + 1)
    assert times["a"].runs == MIN_RUNS


def test_items_have_the_items_shape_and_differ() -> None:
    packed = made_up_items(100, start=50)
    assert len(packed) == 1800
    assert len({packed[at : at + 18] for at in range(0, len(packed), 18)}) == 100
    assert packed.startswith(b"990000000000000050")


def test_kernel_figures() -> None:
    figures = measure_kernel(32, MIN_RUNS)
    names = {figure.name for figure in figures}
    assert {"evaluate", "blind", "blind_evaluate with proof", "finalize with verification"} <= names
    assert all(figure.items == 32 for figure in figures)
    assert all(figure.one_core_us > 0.5 and figure.all_cores_us > 0.5 for figure in figures)


def test_pipeline_figures_add_up() -> None:
    measured = measure_pipeline(500, MIN_RUNS)
    besides = sum(measured.steps_us.values())
    for kind in ("one_core", "all_cores"):
        assert measured.besides_percent[kind] == pytest.approx(100 * besides / measured.encode_us[kind], rel=0.02)


def test_both_sides_find_the_same() -> None:
    compared = compare_with_openmined(40, 30, MIN_RUNS)
    assert compared.common == 15
    for seconds in (compared.openmined_s, compared.one_core_s, compared.all_cores_s):
        assert seconds["all steps"] == pytest.approx(sum(seconds[step] for step in STEPS), abs=1e-3)


def test_a_failing_command_is_named(tmp_path: Path) -> None:
    with pytest.raises(BenchFailed) as caught:
        Job(tmp_path).run("province", "refresh", "--config", "nowhere")
    assert caught.value.params["step"] == "province refresh"


def test_quick_writes_its_document(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    command = [sys.executable, "-m", "scripts.cli", "bench", "--quick", "--out", str(out), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    document = json.loads(out.read_text("utf-8"))
    assert json.loads(done.stdout) == document
    assert document["format"] == FORMAT
    assert document["machine"]["backend"]
    assert document["multiplication"]["peers"]["OpenSSL X25519"]["us"] > 1
    assert document["kernel"]


@pytest.mark.slow
def test_a_province_is_measured_through_the_real_command(tmp_path: Path) -> None:
    told: list[str] = []
    steps = list(measure_province(tmp_path, 5_000, "330922", told.append))
    assert told == ["generate", "first edition", "a night", "a night by changes", "compaction", "look-up"]
    assert [step.rows for step in steps] == [5_000, 5_000, 5_000, 5_000, QUERIES]
    assert all(step.max_rss_mib >= step.max_anonymous_mib > 10 and step.disk_mib > 0 for step in steps)
    found = json.loads((tmp_path / "output").read_text("utf-8"))
    # Of 5,000 members 1,000 left in the first night and 334 in the second, 333 others than are asked for came back.
    assert (found["queries"], found["found"]) == (QUERIES, 3_666)


def test_latencies_count_from_the_moment_a_request_was_due(tmp_path: Path) -> None:
    """A server that stalls is charged for everyone who would have come meanwhile."""
    fixture = ProvinceFixture.create(tmp_path / "province")
    stalled_s, per_s, seconds = 0.5, 40, 0.4
    generator = Generator([("127.0.0.1", 1)], fixture, 16)

    async def send_late(request: bytes, due_s: float, outcome: Outcome) -> None:
        await asyncio.sleep(stalled_s)
        outcome.statuses[200] += 1
        outcome.latencies_s.append(time.perf_counter() - due_s)

    generator._send = send_late  # type: ignore[method-assign]
    generator._watch_health = no_health  # type: ignore[method-assign]
    outcome = generator.open_loop(seconds, per_s)
    assert outcome.statuses[200] > per_s * seconds / 2  # nobody waited for an answer before asking
    assert min(outcome.latencies_s) >= stalled_s


async def no_health(_: Outcome) -> None:
    await asyncio.sleep(60)


def test_percentiles_are_of_all_times() -> None:
    found = percentiles_ms([milliseconds / 1000 for milliseconds in range(1, 1_001)])
    assert found == {"p50": 500.5, "p90": 900.1, "p99": 990.01, "p99.9": 999.0, "max": 1000.0}
    assert percentiles_ms([]) == {}


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="server and generator need a core each")
def test_the_endpoint_is_measured_through_the_real_command() -> None:
    told: list[str] = []
    spans = Spans(rounds=1, kernel_s=0.2, http_s=0.5, overload_s=0.5, latency_s=0.3)
    cores = os.sched_getaffinity(0)
    found = measure_endpoint(spans, soak_minutes=0.02, soak_load=0.2, tell=told.append)
    assert told == ["throughput", "overload", "latency", "soak"]
    assert os.sched_getaffinity(0) == cores
    assert found.throughput.http_per_s > 0
    assert 0 < found.throughput.cpu_ratio < 1  # the server does all that the kernel does, and more
    assert set(found.throughput.cpu_ms) == {"kernel", "workers", "event_loop"}
    assert set(found.overload.statuses) <= {"200", "503"}
    assert [row.errors for row in found.latency] == [0, 0, 0]
    assert found.soak is not None
    assert found.soak.errors == 0
    assert found.soak.answered > 0


@pytest.mark.slow
def test_two_processes_over_one_home_are_measured_and_charge_every_batch_once() -> None:
    told: list[str] = []
    found = measure_processes(2, rounds=1, seconds=0.5, tell=told.append)
    assert told == ["one process", "2 processes"]
    assert [row.processes for row in found.rows] == [1, 2]
    assert all(row.per_s > 0 and row.cpu_ms > 0 and row.answered > 0 for row in found.rows)
    assert found.charged == found.answered * 4_096
