"""``mingce visit export | import | sheet``: files that leave for a bank or a laptop, and what comes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from matcher.accounts.accounts import Accounts
from matcher.exports import Format
from matcher.rejects import ROW_REASONS
from matcher.visits.marketing import RowProblem
from matcher.visits.problems import FORM_PROBLEMS
from matcher.visits.service import Visits
from matcher.visits.sheet_import import SheetConflict, SheetProblem
from scripts.county.acting import AsOption, Desk, PasswordFileOption, at_desk, open_desk
from scripts.home import ConfigOption, DryRunOption, JsonOption
from scripts.language import say
from scripts.messages import Refused, explain_code
from scripts.output import format_of, print_result

REFUSED = 3
_SHOWN = 50

sheet = typer.Typer(no_args_is_help=True, help="离线采集表（一个工作簿）。 The offline workbook.")


def add_to(app: typer.Typer) -> None:
    app.command("export")(export)
    app.command("import")(import_)
    app.add_typer(sheet, name="sheet")


@at_desk
def export(
    desk: Desk,
    file: Annotated[Path, typer.Argument(help="where to write it: .xlsx or .csv")],
    area: Annotated[str, typer.Option(help="a division or its first digits")],
    purpose: Annotated[str, typer.Option(help="what the file is for; kept in the audit log")] = "走访任务下发",
    bank: Annotated[str | None, typer.Option(help="the bank's name; a bank's own account needs none")] = None,
    json_: JsonOption = False,
) -> None:
    """Write the visit list for a bank's 数字营销系统: its own customers only (docs/reference/marketing-export.md).

    Example: mingce visit export 走访名单.xlsx --area 330922 --bank 嵊泗农商银行 --as jingban
    """
    if bank is None and desk.actor.bank is None:
        raise Refused("请用 --bank 说明给哪家银行", "Say for which bank: --bank NAME")
    fingerprint = desk.actor.bank if bank is None else Accounts(desk.office).get_bank(bank)
    done = Visits(desk.office).export_visits(
        desk.actor, file, bank=str(fingerprint), area=area, purpose=purpose, format=format_of(file, Format)
    )
    lines = [
        say(
            f"已写入 {file}：{done.visits:,} 个任务，{done.rows:,} 行",
            f"Wrote {file}: {done.visits:,} visits, {done.rows:,} rows",
        ),
        f"SHA-256 {done.sha256}",
    ]
    print_result({"file": str(file), **asdict(done)}, lines, as_json=json_)


@at_desk
def import_(
    desk: Desk,
    file: Annotated[Path, typer.Argument(help="what the bank's system returned: .xlsx or .csv")],
    dry_run: DryRunOption = False,
    json_: JsonOption = False,
) -> None:
    """Take in who visited whom, when, where and with what outcome. The same file again changes nothing.

    Exit code 3 if rows were not taken; they are listed with row and column.

    Example: mingce visit import 走访结果.xlsx --as yinhang
    """
    done = Visits(desk.office).import_visits(desk.actor, file, dry_run=dry_run)
    lines = [
        _trial(dry_run)
        + say(
            f"已到户 {len(done.started):,}，未成功 {len(done.failed):,}，无变化 {len(done.unchanged):,}，"
            f"未采用 {len(done.problems):,} 行",
            f"{len(done.started):,} started, {len(done.failed):,} failed, {len(done.unchanged):,} known already, "
            f"{len(done.problems):,} rows not taken",
        ),
        *_listed([_row_line(problem) for problem in done.problems]),
    ]
    print_result({**asdict(done), "dry_run": dry_run}, lines, as_json=json_)
    if done.problems:
        raise typer.Exit(REFUSED)


@sheet.command("out")
def sheet_out(
    file: Annotated[Path, typer.Argument(help="where to write it: .xlsx")],
    as_: AsOption = None,
    password_file: PasswordFileOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Write your own open visits as a workbook to fill in without a network. It holds ID numbers: keep it safe.

    Example: mingce visit sheet out 走访.xlsx --as jingli
    """
    if file.suffix.lower() != ".xlsx":
        raise Refused("文件名须以 .xlsx 结尾", "The file's name has to end in .xlsx")
    desk = open_desk(config, as_, password_file)
    count = Visits(desk.office).export_sheet(desk.actor, file)
    line = say(
        f"已写入 {file}：{count:,} 户。文件含个人信息，用后请删除。",
        f"Wrote {file}: {count:,} households. It holds personal data: delete it after use.",
    )
    print_result({"file": str(file), "visits": count}, [line], as_json=json_)


@sheet.command("in")
@at_desk
def sheet_in(
    desk: Desk,
    file: Annotated[Path, typer.Argument(help="the workbook, filled in")],
    dry_run: DryRunOption = False,
    json_: JsonOption = False,
) -> None:
    """Take in a filled-in workbook: visits start, forms are saved. The same file again changes nothing.

    Exit code 3 if something was not taken: faults with sheet, row and column, conflicts with both sides.

    Example: mingce visit sheet in 走访.xlsx --as jingli
    """
    done = Visits(desk.office).import_sheet(desk.actor, file, dry_run=dry_run)
    lines = [
        _trial(dry_run)
        + say(
            f"已保存 {len(done.saved):,} 户，无变化 {len(done.unchanged):,}，未填写 {len(done.blank):,}，"
            f"冲突 {len(done.conflicts):,}，须改正 {len(done.problems):,} 处",
            f"{len(done.saved):,} saved, {len(done.unchanged):,} unchanged, {len(done.blank):,} not filled in, "
            f"{len(done.conflicts):,} conflicts, {len(done.problems):,} to be put right",
        ),
        *_listed([_cell_line(problem) for problem in done.problems]),
        *_listed([line for conflict in done.conflicts for line in _conflict_lines(conflict)]),
    ]
    print_result({**asdict(done), "dry_run": dry_run}, lines, as_json=json_)
    if done.problems or done.conflicts:
        raise typer.Exit(REFUSED)


def _trial(dry_run: bool) -> str:
    return say("演练：", "dry run: ") if dry_run else ""


def _listed(lines: Sequence[str]) -> list[str]:
    more = len(lines) - _SHOWN
    rest = [say(f"  另有 {more:,} 行，见 --json", f"  {more:,} more: see --json")] if more > 0 else []
    return [*(f"  {line}" for line in lines[:_SHOWN]), *rest]


def _cell_line(problem: SheetProblem) -> str:
    where = say(f"{problem.sheet} 第 {problem.row} 行", f"{problem.sheet} row {problem.row}")
    is_of_form = problem.code in FORM_PROBLEMS
    words = problem.text if is_of_form else explain_code(problem.code, problem.text, problem.params)[0]
    return f"{where} {problem.column}: {words}"


def _row_line(problem: RowProblem) -> str:
    where = say(f"第 {problem.row} 行", f"row {problem.row}")
    if problem.code in FORM_PROBLEMS:
        words = problem.detail
    elif problem.code in ROW_REASONS:
        words = say(*ROW_REASONS[problem.code])
    else:
        words = explain_code(problem.code, problem.detail, problem.params)[0]
    return f"{where} {problem.column}: {words}"


def _conflict_lines(conflict: SheetConflict) -> list[str]:
    head = say(
        f"第 {conflict.row} 行：走访任务 {conflict.visit_id} 已被更新（现存 → 本文件）",
        f"row {conflict.row}: visit {conflict.visit_id} has changed (stored → this file)",
    )
    return [head, *(f"  {d.heading}: {d.stored or '-'} → {d.offered or '-'}" for d in conflict.differences)]
