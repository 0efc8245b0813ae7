"""``mingce bench casework``: the county's case work at the size of a large county, beside what is promised."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from keys.clock import SystemClock
from keys.files import write_atomic
from scripts.benchmarks.casework import Casework, measure_casework
from scripts.benchmarks.machine import describe_machine
from scripts.home import JsonOption
from scripts.language import say
from scripts.output import print_table, progress_bars

FORMAT = "mingce-bench-casework/1"
FULL, QUICK = 100_000, 2_000
STEPS = {
    "import": ("导入移交", "hand-overs"),
    "eligibility": ("准入判断", "eligibility"),
    "what_if": ("政策试算", "what-if"),
    "writes": ("成批写入", "grouped writes"),
    "queue": ("审核队列", "queue"),
    "audit": ("核对审计链", "audit chain"),
}


def bench_casework(
    quick: Annotated[bool, typer.Option("--quick", help="a few seconds: a smoke test, not figures to quote")] = False,
    households: Annotated[int | None, typer.Option(min=100, max=1_000_000, help="how many")] = None,
    out: Annotated[Path | None, typer.Option(help="where to write the JSON document")] = None,
    json_: JsonOption = False,
) -> None:
    """Take 100,000 made-up households in, judge, move and queue them, and try another policy, in a scratch store.

    About two minutes; exit code 1 if something took longer than promised (not with --quick or --households).

    Example: mingce bench casework --out casework.json
    """
    machine = describe_machine(SystemClock())
    with progress_bars(quiet=json_) as steps:
        measured = measure_casework(
            households or (QUICK if quick else FULL), tell=lambda step: steps.begin(say(*STEPS[step]))
        )
    encoded = json.dumps({"format": FORMAT, "machine": machine, **asdict(measured)}, ensure_ascii=False, indent=2)
    if out is not None:
        write_atomic(out, f"{encoded}\n".encode())
    if json_:
        typer.echo(encoded)
    else:
        _print(measured)
    if households is None and not quick and not all(kept for *_, kept in _lines(measured)):
        raise typer.Exit(1)


def _lines(measured: Casework) -> list[tuple[str, str, str, str, bool]]:
    """What, how much by the clock and by the processor, the promise, and whether it was kept by the clock."""
    rows, households, waiting = measured.handover_rows, measured.households, measured.queue_waiting
    return [
        _line(measured, say(f"导入 {rows:,} 行移交", f"import of {rows:,} rows"), "import_s", "{:,.2f} s"),
        _line(
            measured,
            say(f"{households:,} 户准入判断", f"eligibility of {households:,} households"),
            "eligibility_s",
            "{:,.2f} s",
        ),
        _line(measured, say("政策试算", "what-if"), "what_if_s", "{:,.2f} s"),
        _line(measured, say("成批写入（含审计行）", "grouped writes, with audit rows"), "writes_per_s", "{:,.0f} /s"),
        _line(
            measured,
            say(f"队列一页（共 {waiting:,} 户），p95", f"queue page of {waiting:,}, p95"),
            "queue_page_p95_ms",
            "{:,.1f} ms",
        ),
    ]


def _line(measured: Casework, what: str, name: str, shown: str) -> tuple[str, str, str, str, bool]:
    found, limit = getattr(measured, name), measured.limits[name]
    kept = found >= limit if name == "writes_per_s" else found <= limit
    promise = (">= " if name == "writes_per_s" else "<= ") + shown.format(limit)
    return what, shown.format(found), shown.format(measured.processor[name]), promise, kept


def _print(measured: Casework) -> None:
    columns = [say("项目", "what"), say("实测", "measured"), say("处理器时间", "processor"), say("要求", "promised")]
    rows = [line[:4] for line in _lines(measured)]
    audit = say(f"核对 {measured.audit_rows:,} 行审计", f"verify {measured.audit_rows:,} audit rows")
    rows.append((audit, f"{measured.audit_verify_s:,.2f} s", f"{measured.processor['audit_verify_s']:,.2f} s", ""))
    print_table(say(f"{measured.households:,} 户", f"{measured.households:,} households"), columns, rows)
