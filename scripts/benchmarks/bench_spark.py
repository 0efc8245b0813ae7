"""``mingce bench spark``: a first edition on a local Spark cluster beside one on one machine."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from keys.clock import SystemClock
from keys.files import write_atomic
from scripts.benchmarks.machine import describe_machine
from scripts.benchmarks.spark import measure_spark
from scripts.home import JsonOption
from scripts.language import say
from scripts.output import print_table, progress_bars

FORMAT = "mingce-bench-spark/1"
STEPS = {
    "generate": ("生成名单", "make up a list"),
    "one machine": ("单机", "one machine"),
    "Spark": ("Spark 集群", "Spark"),
}


def bench_spark(
    rows: Annotated[int, typer.Option(min=1_000, max=100_000_000, help="rows of the list")] = 1_000_000,
    folder: Annotated[Path | None, typer.Option(help="where to work: about 1,500 bytes a row, removed after")] = None,
    out: Annotated[Path | None, typer.Option(help="where to write the JSON document")] = None,
    json_: JsonOption = False,
) -> None:
    """Publish a made-up list on one machine and on a local Spark cluster, compare the bytes, and tell what each took.

    Needs the extra `spark` and Java. One to three minutes for a million rows.

    Example: mingce bench spark --rows 1000000 --out spark.json
    """
    machine = describe_machine(SystemClock())
    with progress_bars(quiet=json_) as steps, TemporaryDirectory(prefix="mingce-bench-", dir=folder) as name:
        measured = measure_spark(Path(name), rows, lambda step: steps.begin(say(*STEPS[step])))
    document = {"format": FORMAT, "machine": machine, **asdict(measured)}
    encoded = json.dumps(document, ensure_ascii=False, indent=2) + "\n"
    if out is not None:
        write_atomic(out, encoded.encode())
    if json_:
        typer.echo(encoded, nl=False)
        return
    columns = [
        *("", say("用时 s", "wall s"), say("行/秒", "rows/s"), say("处理器 s", "cpu s"), say("µs/行", "µs a row")),
        *("Java s", say("执行节点 Python s", "workers s"), say("驱动 Python s", "driver s")),
    ]
    lines = [
        (
            *(say(*STEPS[took.way]), took.wall_s, f"{took.rows_per_s:,}", took.cpu_s, took.cpu_us_a_row),
            *(took.java_s, took.workers_s, took.driver_s),
        )
        for took in (measured.one_machine, measured.spark)
    ]
    print_table(say(f"{rows:,} 行，字节相同", f"{rows:,} rows, the same bytes"), columns, lines)
