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


def _lines(measured: Casework) -> list[tuple[str, str, str, bool]]:
    """What, how much, the promise, and whether it was kept."""
    limits = measured.limits
    return [
        (
            say(f"导入 {measured.handover_rows:,} 行移交", f"import of {measured.handover_rows:,} rows"),
            f"{measured.import_s:.2f} s", f"<= {limits['import_s']:.0f} s", measured.import_s <= limits["import_s"],
        ),
        (
            say(f"{measured.households:,} 户准入判断", f"eligibility of {measured.households:,} households"),
            f"{measured.eligibility_s:.2f} s", f"<= {limits['eligibility_s']:.0f} s",
            measured.eligibility_s <= limits["eligibility_s"],
        ),
        (
            say("政策试算", "what-if"),
            f"{measured.what_if_s:.2f} s", f"<= {limits['what_if_s']:.0f} s", measured.what_if_s <= limits["what_if_s"],
        ),
        (
            say("成批写入（含审计行）", "grouped writes, with audit rows"),
            f"{measured.writes_per_s:,.0f} /s", f">= {limits['writes_per_s']:,.0f} /s",
            measured.writes_per_s >= limits["writes_per_s"],
        ),
        (
            say(f"队列一页（共 {measured.queue_waiting:,} 户），p95", f"queue page of {measured.queue_waiting:,}, p95"),
            f"{measured.queue_page_p95_ms:.1f} ms", f"<= {limits['queue_page_p95_ms']:.0f} ms",
            measured.queue_page_p95_ms <= limits["queue_page_p95_ms"],
        ),
    ]  # fmt: skip


def _print(measured: Casework) -> None:
    columns = [say(*pair) for pair in (("项目", "what"), ("实测", "measured"), ("要求", "promised"))]
    rows: list[tuple[str, str, str]] = [(what, found, limit) for what, found, limit, _ in _lines(measured)]
    rows.append((say(f"核对 {measured.audit_rows:,} 行审计", f"verify {measured.audit_rows:,} audit rows"),
                 f"{measured.audit_verify_s:.2f} s", ""))  # fmt: skip
    print_table(say(f"{measured.households:,} 户", f"{measured.households:,} households"), columns, rows)
