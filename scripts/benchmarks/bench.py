"""``mingce bench``: what this machine does in how much time, beside what others do in the same run."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from keys.clock import SystemClock
from keys.files import write_atomic
from scripts.benchmarks.bench_casework import bench_casework
from scripts.benchmarks.bench_claims import bench_claims
from scripts.benchmarks.bench_console import bench_console
from scripts.benchmarks.bench_endpoint import bench_endpoint
from scripts.benchmarks.bench_province import bench_province
from scripts.benchmarks.bench_spark import bench_spark
from scripts.benchmarks.kernel import measure_checks, measure_kernel
from scripts.benchmarks.machine import describe_machine
from scripts.benchmarks.measure import MIN_RUNS, Scaling
from scripts.benchmarks.multiplication import Multiplications, measure_multiplications
from scripts.benchmarks.peers import STEPS, Comparison, compare_with_openmined
from scripts.benchmarks.pipeline import Pipeline, measure_pipeline
from scripts.benchmarks.whole_job import Step, measure_whole_job
from scripts.home import JsonOption
from scripts.language import say
from scripts.output import out as console
from scripts.output import print_table, progress_bars

FORMAT = "mingce-bench/1"

app = typer.Typer(add_completion=False, invoke_without_command=True)
app.command("endpoint")(bench_endpoint)
app.command("casework")(bench_casework)
app.command("claims")(bench_claims)
app.command("province")(bench_province)
app.command("spark")(bench_spark)
app.command("console")(bench_console)


class Size(StrEnum):
    """Sizes of the programme: customers × base rows."""

    S = "S"  # 50,000 × 70,000
    M = "M"  # 300,000 × 400,000
    L = "L"  # 800,000 × 1,200,000


@dataclass(frozen=True)
class Effort:
    """How much: items of a batch, rows of the pipeline, both lists of the comparison, rounds of multiplications."""

    batch: int
    rows: int
    sender_items: int
    receiver_items: int
    rounds: int
    runs: int


QUICK = Effort(256, 2_000, 350, 250, MIN_RUNS, MIN_RUNS)
FULL = Effort(4_096, 70_000, 14_000, 10_000, 31, 7)


@app.callback()
def bench(
    context: typer.Context,
    quick: Annotated[bool, typer.Option("--quick", help="a few seconds: a smoke test, not figures to quote")] = False,
    size: Annotated[
        Size | None, typer.Option(help="also run the whole job once, with the memory of each process")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="where to write the JSON document")] = None,
    json_: JsonOption = False,
) -> None:
    """Measure the kernel, an edition's pipeline, and in the same run openmined-psi, OpenSSL and crypto_mb.

    Medians; the rest of the machine should be idle, and the load average is reported.

    Example: mingce bench --size L --out bench.json
    """
    if context.invoked_subcommand is not None:
        return
    effort = QUICK if quick else FULL
    with progress_bars(quiet=json_) as steps:
        steps.begin(say("内核", "kernel"))
        machine = describe_machine(SystemClock())
        kernel, checks = measure_kernel(effort.batch, effort.runs), measure_checks(effort.batch, effort.runs)
        steps.begin(say("编码流程", "pipeline"))
        pipeline = measure_pipeline(effort.rows, MIN_RUNS)
        steps.begin("openmined-psi")
        compared = compare_with_openmined(effort.sender_items, effort.receiver_items, MIN_RUNS)
        steps.begin("X25519")
        multiplications = measure_multiplications(effort.batch, effort.rounds)
        steps.begin(say("全流程", "the whole job"))
        whole = [] if size is None else measure_whole_job(size.value)
    document = {
        "format": FORMAT,
        "machine": machine,
        "effort": asdict(effort),
        "kernel": [asdict(scaling) for scaling in kernel],
        "checks_us": checks,
        "pipeline": asdict(pipeline),
        "openmined_psi": asdict(compared),
        "multiplication": asdict(multiplications),
        "whole_job": {"size": size and size.value, "steps": [asdict(step) for step in whole]},
    }
    encoded = json.dumps(document, ensure_ascii=False, indent=2) + "\n"
    if out is not None:
        write_atomic(out, encoded.encode())
    if json_:
        typer.echo(encoded, nl=False)
        return
    _print_machine(machine)
    _print_kernel(kernel, checks)
    _print_multiplications(multiplications)
    _print_pipeline(pipeline)
    _print_compared(compared)
    if whole:
        _print_whole(size, whole)


def _print_machine(machine: dict[str, object]) -> None:
    console.print(
        f"{machine['cpu']}, {machine['cores']} × {machine['cpu_mhz']:.0f} MHz, {machine['backend']}, "
        f"{say('负载', 'load')} {machine['load_average']}, Python {machine['python']}, {machine['versions']}",
        markup=False,
    )


def _print_kernel(kernel: list[Scaling], checks: dict[str, float]) -> None:
    columns = (
        "", say("单核 µs", "one core µs"), say("全核 µs", "all cores µs"),
        say("线程开销", "thread overhead"), say("得到的核数", "cores given"), say("处理器开销", "cpu overhead"),
    )  # fmt: skip
    rows: list[tuple[object, ...]] = [
        (s.name, s.one_core_us, s.all_cores_us, f"{s.thread_overhead:.2f}", s.cores_given, f"{s.cpu_overhead:.2f}")
        for s in kernel
    ]
    rows += [(name, "", us, "", "", "") for name, us in checks.items()]
    print_table(
        say(f"内核，每元素，一批 {kernel[0].items}", f"Kernel, per element, a batch of {kernel[0].items}"),
        columns,
        rows,
    )


def _print_multiplications(measured: Multiplications) -> None:
    columns = ("", say("单核 µs", "one core µs"), say("我方 ÷ 对方", "ours ÷ theirs"),
               say("不受干扰时", "undisturbed"))  # fmt: skip
    rows: list[tuple[object, ...]] = [(say("本软件：乘、编码", "ours: multiply, encode"),
                                       measured.ours_us, "", "")]  # fmt: skip
    rows += [(name, peer.us, peer.ratio, peer.ratio_undisturbed) for name, peer in measured.peers.items()]
    if "crypto_mb X25519" not in measured.peers:
        rows.append(("crypto_mb X25519", say("未安装", "not installed"), "", ""))
    print_table(say(f"点乘，{measured.rounds} 轮", f"One multiplication, {measured.rounds} rounds"), columns, rows)


def _print_pipeline(measured: Pipeline) -> None:
    kinds = ("one_core", "all_cores")
    columns = ("", say("单核", "one core"), say("全核", "all cores"))
    rows: list[tuple[object, ...]] = [(name, us, "") for name, us in measured.steps_us.items()]
    rows.append((say("编码", "encode"), *(measured.encode_us[kind] for kind in kinds)))
    rows.append((say("其中纯 PRF", "of it, the bare PRF"), *(measured.kernel_us[kind] for kind in kinds)))
    rows.append(
        (say("其余各步占编码 %", "all the rest, % of the encode"), *(measured.besides_percent[kind] for kind in kinds))
    )
    print_table(
        say(f"一版名单 {measured.rows:,} 行，每行 µs", f"An edition of {measured.rows:,} rows, µs a row"), columns, rows
    )


def _print_compared(compared: Comparison) -> None:
    columns = (
        "", "openmined-psi s", say("本软件单核 s", "ours, one core s"), say("本软件全核 s", "ours, all cores s"),
        say("倍数（单核）", "ratio, one core"), say("倍数（全核）", "ratio, all cores"),
    )  # fmt: skip
    rows = [
        (
            step, compared.openmined_s[step], compared.one_core_s[step], compared.all_cores_s[step],
            compared.ratio_one_core[step], compared.ratio_all_cores[step],
        )
        for step in (*STEPS, "all steps")
    ]  # fmt: skip
    sizes = f"{compared.receiver_items:,} × {compared.sender_items:,}"
    print_table(say(f"同样的名单 {sizes}", f"The same lists, {sizes}"), columns, rows)


def _print_whole(size: Size | None, whole: list[Step]) -> None:
    columns = ("", say("用时 s", "wall s"), say("处理器 s", "cpu s"), say("内存峰值 MiB", "peak memory MiB"))
    rows = [(step.step, step.wall_s, step.cpu_s, step.max_rss_mib) for step in whole]
    print_table(say(f"全流程，规模 {size}", f"The whole job, size {size}"), columns, rows)
