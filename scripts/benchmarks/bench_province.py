"""``mingce bench province``: a province's list of millions of rows, from a made-up file to look-ups in its slices."""

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
from scripts.benchmarks.province_size import Watched, measure_province
from scripts.home import JsonOption
from scripts.language import say
from scripts.output import print_table, progress_bars

FORMAT = "mingce-bench-province/1"
FULL, QUICK = 1_000_000, 20_000
MEMORY_LIMIT_MIB = 2_048
STEPS = {
    "generate": ("生成名单", "make up a list"),
    "first edition": ("首版", "first edition"),
    "a night": ("每日更新", "a night"),
    "a night by changes": ("按变更清单更新", "a night by changes"),
    "compaction": ("合并为全量", "compaction"),
    "look-up": ("查找", "look-up"),
}


def bench_province(
    quick: Annotated[bool, typer.Option("--quick", help="half a minute: a smoke test, not figures to quote")] = False,
    rows: Annotated[int | None, typer.Option(min=5_000, max=100_000_000, help="rows of the list")] = None,
    county: Annotated[str, typer.Option(help="province: 90 slices; 330922: all rows in one slice")] = "province",
    folder: Annotated[Path | None, typer.Option(help="where to work: about 900 bytes a row, removed after")] = None,
    out: Annotated[Path | None, typer.Option(help="where to write the JSON document")] = None,
    json_: JsonOption = False,
) -> None:
    """Publish a made-up list, a night in which 1,000 rows left, one by a change list, compact them, and look people up.

    A minute for a million rows. Exit code 1 if a command needed more than 2 GiB of memory.

    Example: mingce bench province --rows 10000000 --out province.json
    """
    machine = describe_machine(SystemClock())
    wanted = rows or (QUICK if quick else FULL)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    with progress_bars(quiet=json_) as steps, TemporaryDirectory(prefix="mingce-bench-", dir=folder) as name:
        measured = list(measure_province(Path(name), wanted, county, lambda step: steps.begin(say(*STEPS[step]))))
    document = {"format": FORMAT, "machine": machine, "rows": wanted, "county": county}
    encoded = json.dumps({**document, "steps": [asdict(step) for step in measured]}, ensure_ascii=False, indent=2)
    if out is not None:
        write_atomic(out, f"{encoded}\n".encode())
    if json_:
        typer.echo(encoded)
    else:
        _print(wanted, measured)
    if any(step.max_anonymous_mib > MEMORY_LIMIT_MIB for step in measured):
        raise typer.Exit(1)


def _print(rows: int, measured: list[Watched]) -> None:
    columns = [
        *("", say("用时 s", "wall s"), say("处理器 s", "cpu s"), say("行/秒", "rows/s")),
        *(say("自有内存 MiB", "own memory MiB"), say("驻留峰值 MiB", "resident MiB")),
        *(say("磁盘峰值 MiB", "disk at most MiB"), say("磁盘 MiB", "disk MiB")),
    ]
    lines = [
        (
            each.step.partition(" ")[2],
            each.wall_s,
            each.cpu_s,
            f"{each.rows_per_s:,}",
            *(each.max_anonymous_mib, each.max_rss_mib, f"{each.max_disk_mib:,}", f"{each.disk_mib:,}"),
        )
        for each in measured
    ]
    print_table(say(f"{rows:,} 行", f"{rows:,} rows"), columns, lines)
