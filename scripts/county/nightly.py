"""``mingce bureau nightly``: the T+1 job. Interest up to a day, then the day's figures."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

import typer

from keys.files import exclusive_lock
from matcher.attachments import Attachments
from matcher.claims.service import Claims
from matcher.downloads import Downloads
from matcher.figures.service import Figures
from scripts.county.acting import open_office
from scripts.home import ConfigOption, JsonOption, open_home
from scripts.language import say
from scripts.output import print_result

LOCK = "nightly.lock"


def nightly(
    day: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="the day to compute; else yesterday")
    ] = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Accrue all interest up to the end of a day and compute that day's figures. Run it each night after the banks'
    files are in; again for the same day it changes nothing, and for a day that was missed it fills the gap.

    Needs no account: it computes and decides nothing. Exit code 4 if some household's loans cannot be computed.

    Example: mingce bureau nightly --day 2025-03-20
    """
    home = open_home(config, "bureau")
    with exclusive_lock(home.path / LOCK):
        office = open_office(home)
        wanted = office.today() - timedelta(days=1) if day is None else day.date()
        accrued = Claims(office).accrue(wanted)
        figures = Figures(office).compute(wanted)
        Downloads(office).sweep()
        Attachments(office).remove_orphans()
    result = {"day": wanted, "accrual": vars(accrued), "figures": vars(figures)}
    lines = [
        say(
            f"计息至 {accrued.through}：贷款 {accrued.loans:,} 笔，{accrued.lines:,} 行；"
            f"新增 {accrued.added:,}，变动 {accrued.changed:,}，删除 {accrued.removed:,}",
            f"Accrued up to {accrued.through}: {accrued.loans:,} loans, {accrued.lines:,} lines; "
            f"{accrued.added:,} new, {accrued.changed:,} changed, {accrued.removed:,} removed",
        ),
        say(
            f"{wanted} 指标 {figures.cells:,} 个，{'已更新' if figures.changed else '没有变化'}",
            f"{figures.cells:,} figures of {wanted}, {'renewed' if figures.changed else 'unchanged'}",
        ),
    ]
    lines += [
        say(
            f"家庭 {fault.household_id} 的贷款无法计息（{fault.code}），其余不受影响",
            f"Household {fault.household_id}: its loans cannot be computed ({fault.code}); all others are",
        )
        for fault in accrued.faults
    ]
    print_result(result, lines, as_json=json_)
    if accrued.faults:
        raise typer.Exit(4)
