"""``mingce bench endpoint``: the province's endpoint over HTTP beside the bare kernel, on this machine."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from keys.clock import SystemClock
from keys.files import write_atomic
from scripts.benchmarks.endpoint import FULL, QUICK, Endpoint, Soak, measure_endpoint
from scripts.benchmarks.machine import describe_machine
from scripts.benchmarks.processes import ROUNDS, SECONDS, measure_processes
from scripts.home import JsonOption
from scripts.language import say
from scripts.output import out as console
from scripts.output import print_table, progress_bars

FORMAT = "mingce-bench-endpoint/1"
PROCESSES_FORMAT = "mingce-bench-processes/1"
STEPS = {
    "throughput": ("吞吐", "throughput"),
    "overload": ("三倍过载", "overload"),
    "latency": ("开环时延", "open-loop latency"),
    "soak": ("长时间运行", "soak"),
}


def bench_endpoint(
    quick: Annotated[bool, typer.Option("--quick", help="a few seconds: a smoke test, not figures to quote")] = False,
    soak_minutes: Annotated[float, typer.Option(min=0, help="then run so long at --load, and watch memory")] = 0,
    load: Annotated[float, typer.Option(min=0.05, max=1, help="share of the capacity that the soak asks for")] = 0.7,
    processes: Annotated[
        int | None, typer.Option(min=2, max=16, help="instead: one process beside so many over the same home")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="where to write the JSON document")] = None,
    json_: JsonOption = False,
) -> None:
    """Evaluations a second over HTTP at batches of 4,096 against the bare kernel in turns; overload; open-loop latency.

    Server and generator have one core each, so two cores are needed and the rest of the machine should be idle.
    About a minute and a half without a soak.

    With --processes, what more processes bring on this machine, and that each batch is charged once: a minute.

    Example: mingce bench endpoint --soak-minutes 30 --out endpoint.json
    """
    machine = describe_machine(SystemClock())
    if processes is not None:
        _bench_processes(processes, machine, quick=quick, out=out, as_json=json_)
        return
    with progress_bars(quiet=json_) as steps:
        measured = measure_endpoint(
            QUICK if quick else FULL,
            soak_minutes=soak_minutes,
            soak_load=load,
            tell=lambda step: steps.begin(say(*STEPS[step])),
        )
    document = {"format": FORMAT, "machine": machine, "quick": quick, **asdict(measured)}
    if not _write(document, out, as_json=json_):
        _print(measured)


def _bench_processes(
    processes: int, machine: dict[str, object], *, quick: bool, out: Path | None, as_json: bool
) -> None:
    with progress_bars(quiet=as_json) as steps:
        rounds, seconds = (1, 1.0) if quick else (ROUNDS, SECONDS)
        measured = measure_processes(processes, rounds=rounds, seconds=seconds, tell=steps.begin)
    document = {"format": PROCESSES_FORMAT, "machine": machine, "quick": quick, **asdict(measured)}
    if not _write(document, out, as_json=as_json):
        columns = [
            *(say("进程", "processes"), say("次/秒", "per second"), say("每批处理器毫秒", "processor ms a batch")),
            *(say("用核", "cores had"), say("应答", "answered"), say("推迟", "put off"), "p50", "p99"),
        ]
        print_table(
            say(f"{measured.cores} 核、{measured.callers} 路", f"{measured.cores} cores, {measured.callers} callers"),
            columns,
            [
                (
                    *(row.processes, f"{row.per_s:,}", row.cpu_ms, row.cores, row.answered, row.put_off),
                    *(row.answered_ms.get(name, "") for name in ("p50", "p99")),
                )
                for row in measured.rows
            ],
        )


def _write(document: dict[str, object], out: Path | None, *, as_json: bool) -> bool:
    """Whether it went to standard output."""
    encoded = json.dumps(document, ensure_ascii=False, indent=2) + "\n"
    if out is not None:
        write_atomic(out, encoded.encode())
    if as_json:
        typer.echo(encoded, nl=False)
    return as_json


def _print(measured: Endpoint) -> None:
    throughput, overload = measured.throughput, measured.overload
    spent = ", ".join(f"{part} {value}" for part, value in throughput.cpu_ms.items())
    lines = [
        say(
            f"HTTP {throughput.http_per_s:,} 次/秒，裸内核 {throughput.kernel_per_s:,} 次/秒：{throughput.ratio:.1%}"
            f"（按处理器时间 {throughput.cpu_ratio:.1%}）",
            f"HTTP {throughput.http_per_s:,}/s, bare kernel {throughput.kernel_per_s:,}/s: {throughput.ratio:.1%}"
            f" ({throughput.cpu_ratio:.1%} by processor time)",
        ),
        say(f"每批处理器毫秒：{spent}", f"processor ms a batch: {spent}")
        + say(f"（裸内核 {throughput.kernel_cpu_ms}）", f" (bare kernel {throughput.kernel_cpu_ms})"),
        say(
            f"满载时 /healthz p99：{throughput.healthz_ms.get('p99')} 毫秒",
            f"/healthz p99 while saturated: {throughput.healthz_ms.get('p99')} ms",
        ),
        say(
            f"三倍过载：有效产出 {overload.goodput:.1%}，状态 {overload.statuses}，"
            f"/healthz p99 {overload.healthz_ms.get('p99')} 毫秒",
            f"three times the capacity: goodput {overload.goodput:.1%}, statuses {overload.statuses}, "
            f"/healthz p99 {overload.healthz_ms.get('p99')} ms",
        ),
    ]
    for line in lines:
        console.print(line, markup=False)
    percentiles = ("p50", "p90", "p99", "p99.9", "max")
    print_table(
        say("开环时延，毫秒（自应发之时起）", "Open-loop latency, ms (from the moment a request was due)"),
        (say("负载", "load"), say("批/秒", "batches/s"), *percentiles, say("错误", "errors")),
        [
            (f"{row.load:.0%}", row.per_s, *(row.answered_ms.get(name, "") for name in percentiles), row.errors)
            for row in measured.latency
        ],
    )
    if measured.soak is not None:
        _print_soak(measured.soak)


def _print_soak(soak: Soak) -> None:
    files = f"{soak.open_files[0]}–{soak.open_files[1]}"
    console.print(
        say(
            f"{soak.minutes} 分钟、{soak.load:.0%} 负载：应答 {soak.answered:,}，推迟 {soak.put_off:,}，"
            f"错误 {soak.errors:,}；内存 {soak.resident_mib} MiB，每十分钟 {soak.resident_mib_per_10_min:+} MiB；"
            f"打开的文件 {files}",
            f"{soak.minutes} minutes at {soak.load:.0%}: {soak.answered:,} answered, {soak.put_off:,} put off, "
            f"{soak.errors:,} errors; {soak.resident_mib} MiB resident, {soak.resident_mib_per_10_min:+} MiB in ten "
            f"minutes; {files} open files",
        ),
        markup=False,
    )
