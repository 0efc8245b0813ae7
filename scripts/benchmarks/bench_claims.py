"""``mingce bench claims``: interest, claims and the nightly job at a county's size, beside what is promised."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from keys.clock import SystemClock
from keys.files import write_atomic
from scripts.benchmarks.claims import Claiming, measure_claims
from scripts.benchmarks.machine import describe_machine
from scripts.home import JsonOption
from scripts.language import say
from scripts.output import print_table, progress_bars

FORMAT = "mingce-bench-claims/1"
FULL, QUICK = (100_000, 2_500), (400, 50)  # households, loans
STEPS = {
    "lay": ("造数据", "made-up loans"),
    "accrue": ("计息", "interest"),
    "nightly": ("夜间任务", "nightly job"),
    "claim": ("申报", "claim"),
}


def bench_claims(
    quick: Annotated[bool, typer.Option("--quick", help="a few seconds: a smoke test, not figures to quote")] = False,
    out: Annotated[Path | None, typer.Option(help="where to write the JSON document")] = None,
    json_: JsonOption = False,
) -> None:
    """Compute the interest of 2,500 loans among 100,000 households, claim a year of it, run a night; all made up.

    About a minute, most of it for laying the data; exit code 1 if something took longer than promised (not --quick).

    Example: mingce bench claims --out claims.json
    """
    machine = describe_machine(SystemClock())
    with progress_bars(quiet=json_) as steps:
        measured = measure_claims(*(QUICK if quick else FULL), tell=lambda step: steps.begin(say(*STEPS[step])))
    document = {"format": FORMAT, "machine": machine, **asdict(measured)}
    encoded = json.dumps(document, ensure_ascii=False, indent=2)
    if out is not None:
        write_atomic(out, f"{encoded}\n".encode())
    if json_:
        typer.echo(encoded)
    else:
        households, loans = f"{measured.households:,}", f"{measured.loans:,}"
        print_table(
            say(f"{households} 户，{loans} 笔贷款", f"{households} households, {loans} loans"),
            ["", say("秒", "s"), say("处理器秒", "cpu s"), say("目标", "promised")],
            [(words, getattr(measured, name), measured.cpu_s[name], most) for words, name, most in _lines(measured)],
        )  # fmt: skip
    if not quick and any(getattr(measured, name) > most for _, name, most in _lines(measured)):
        raise typer.Exit(1)


def _lines(done: Claiming) -> list[tuple[str, str, int]]:
    """(what, field, the most seconds that are promised)."""
    lines, claimed = f"{done.lines:,}", f"{done.claim_lines:,}"
    return [
        (say(f"首次计息 {lines} 行", f"{lines} lines for the first time"), "first_s", 5),
        (say(f"重新计息 {lines} 行", f"{lines} lines again"), "recompute_s", 5),
        (say("夜间任务", "a night"), "nightly_s", 30),
        (say("夜间任务，再次", "the same night again"), "nightly_again_s", 30),
        (say(f"冻结 {claimed} 行并出汇总表", f"{claimed} lines frozen, and the workbook"), "claim_s", 10),
    ]
