"""``mingce bench console``: every page of the console at the size of a large county, beside what is promised."""

from __future__ import annotations

import json
import tempfile
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from keys.clock import SystemClock
from keys.files import write_atomic
from scripts.benchmarks.console import RENDERS, REQUESTS, MeasuredConsole, measure_console, slowest
from scripts.benchmarks.machine import describe_machine
from scripts.home import JsonOption
from scripts.language import say
from scripts.output import print_table, progress_bars

FORMAT = "mingce-bench-console/1"
FULL, QUICK = 100_000, 1_000
SHOWN = 20
_STEPS = {
    "import": ("导入移交", "hand-overs"),
    "move": ("细化、走访、审核", "refine, visit, review"),
    "lend": ("贷款与指标", "loans and figures"),
    "render": ("浏览器首屏", "first render"),
}


def bench_console(
    quick: Annotated[bool, typer.Option("--quick", help="half a minute: a smoke test, not figures to quote")] = False,
    households: Annotated[int | None, typer.Option(min=1_000, max=1_000_000, help="how many")] = None,
    folder: Annotated[
        Path | None, typer.Option(help="keep the made-up county here for the next run; else it is made and deleted")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="where to write the JSON document")] = None,
    json_: JsonOption = False,
) -> None:
    """Serve 100,000 made-up households and read every page that each role's links lead to, one after another.

    About five minutes; exit code 1 if a page took longer or was larger than promised (not with --quick or
    --households). The first render is measured where Chromium and the developers' dependencies are installed.

    Example: mingce bench console --folder build/county --out console.json
    """
    machine = describe_machine(SystemClock())
    with (
        tempfile.TemporaryDirectory() if folder is None else nullcontext(folder) as place,
        progress_bars(quiet=json_) as steps,
    ):
        measured = measure_console(
            Path(place),
            households or (QUICK if quick else FULL),
            tell=lambda step: steps.begin(say(*_STEPS.get(step, (step, step)))),
            requests=2 if quick else REQUESTS,
            renders=1 if quick else RENDERS,
        )
    encoded = json.dumps({"format": FORMAT, "machine": machine, **asdict(measured)}, ensure_ascii=False, indent=2)
    if out is not None:
        write_atomic(out, f"{encoded}\n".encode())
    if json_:
        typer.echo(encoded)
    else:
        _print(measured)
    if households is None and not quick and measured.too_much():
        raise typer.Exit(1)


def _print(measured: MeasuredConsole) -> None:
    columns = (say("页面", "page"), say("角色", "role"), "p50 ms", "p95 ms", say("处理器 ms", "cpu ms"), "KiB")
    rows = [
        (page.shape, page.role, page.p50_ms, page.p95_ms, page.cpu_ms, page.kib) for page in slowest(measured)[:SHOWN]
    ]
    title = say(
        f"{measured.households:,} 户，{len(measured.pages)} 种页面中最慢的",
        f"{measured.households:,} households, the slowest of {len(measured.pages)} pages",
    )
    print_table(title, columns, rows)
    renders = sorted(measured.first_render_ms.items())
    print_table(say("处理器降至四分之一时的首屏", "First render at a quarter of the processor"), ("", "ms"), renders)
    for line in measured.too_much():
        typer.echo(say(f"超出：{line}", f"over the limit: {line}"))
