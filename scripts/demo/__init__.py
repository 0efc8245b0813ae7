"""``mingce demo``: the whole programme on made-up people, by the same commands that its users would type."""

from __future__ import annotations

import json
import shutil
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from keys.clock import BEIJING, SystemClock
from scripts.demo.casework import Listed, review
from scripts.demo.console import MARK, serve_demo
from scripts.demo.lending import Lent, last_day, lend
from scripts.demo.matching import match
from scripts.demo.open_work import leave_work
from scripts.demo.runner import Demo
from scripts.home import JsonOption
from scripts.language import say
from scripts.messages import Refused
from scripts.output import out

LISTED_AFTER = timedelta(days=15)  # when the final list stands
TO_MATCH, TO_THE_END = 31, 200  # commands, about

app = typer.Typer(add_completion=False)


@app.command()
def demo(
    folder: Annotated[Path, typer.Option(help="where everything is put; a former demo there is replaced")] = Path(
        "demo"
    ),
    customers: Annotated[int, typer.Option(min=100, help="the bank's customers")] = 50_000,
    rows: Annotated[int, typer.Option(min=100, help="people on the base list")] = 70_000,
    seed: Annotated[int, typer.Option(help="other made-up people")] = 20260105,
    only_match: Annotated[bool, typer.Option("--only-match", help="stop at the candidates")] = False,
    serve: Annotated[bool, typer.Option("--serve", help="only open the console on the demo that is there")] = False,
    no_serve: Annotated[
        bool, typer.Option("--no-serve", help="do not open the console at the end; without a terminal it never is")
    ] = False,
    json_: JsonOption = False,
) -> None:
    """Match, visit, review, lend, subsidise, claim, report: three parties on this machine, made-up people.

    At the end the bureau's console is open on all of it, until Ctrl-C.

    Example: mingce demo --customers 5000 --rows 7000
    """
    if serve:
        serve_demo(folder)
        return
    started = time.monotonic()
    _prepare(folder)
    show = Demo(folder, quiet=json_)
    with show.watched(TO_MATCH if only_match else TO_THE_END):
        matched = match(show, customers=customers, rows=rows, seed=seed)
        seconds = time.monotonic() - started
        carried = None if only_match else _carry_on(show, rows=rows, seed=seed)
    result: dict[str, object] = {"folder": str(folder.resolve()), "match_seconds": round(seconds, 1), **vars(matched)}
    lines = [
        say(
            f"匹配用时 {seconds:.0f} 秒，与明文比对完全一致：{matched.matched:,} 人，{matched.households:,} 户。",
            f"Matched in {seconds:.0f} s, equal to the plain comparison: {matched.matched:,} people,"
            f" {matched.households:,} households.",
        )
    ]
    if carried:
        listed, lent = carried
        result |= {**vars(listed), **vars(lent)}
        lines.append(
            say(
                f"走访 {listed.visited:,} 户，最终名单 {listed.final:,} 户，贷款 {lent.loans:,} 笔；"
                f"首年申报 {lent.claim_lines:,} 行，财政贴息 {lent.claim_fiscal} 元。",
                f"{listed.visited:,} visited, {listed.final:,} on the final list, {lent.loans:,} loans;"
                f" the first year's claim: {lent.claim_lines:,} lines, {lent.claim_fiscal} yuan from finance.",
            )
        )
        lines.append(
            say(
                f"请看 {folder} 里的工作簿：各阶段名单、贷款贴息申请汇总表、成效监测表、年底总结等。",
                f"Look into {folder}: the lists, the claim and the reports are workbooks (.xlsx).",
            )
        )
    result["seconds"] = round(time.monotonic() - started, 1)
    if json_:
        sys.stdout.write(json.dumps(result, ensure_ascii=False) + "\n")
        return
    lines.append(say(f"共用时 {result['seconds']} 秒。", f"{result['seconds']} s in all."))
    out.print("\n" + "\n".join(lines), markup=False)
    if only_match:
        return
    if no_serve or not (sys.stdin.isatty() and sys.stdout.isatty()):
        command = f"mingce demo --serve --folder {folder}"
        out.print(say(f"打开控制台：{command}", f"Open the console: {command}"), markup=False)
    else:
        serve_demo(folder)


def _carry_on(show: Demo, *, rows: int, seed: int) -> tuple[Listed, Lent]:
    """Everything after the match. Raises DemoFailed."""
    today = SystemClock().now().astimezone(BEIJING).date()
    listed = review(show, today, rows=rows, seed=seed)
    lent = lend(show, today + LISTED_AFTER)
    leave_work(show, last_day(today + LISTED_AFTER) + timedelta(days=5))
    (show.folder / MARK).write_text(show.moment, "utf-8")
    return listed, lent


def _prepare(folder: Path) -> None:
    """An empty folder. Raises Refused rather than delete anything that is not a former demo."""
    if folder.exists() and any(folder.iterdir()) and not (folder / MARK).exists():
        raise Refused(f"{folder} 不是空的，也不是先前的演示", f"{folder} is neither empty nor a former demo")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / MARK).touch()
