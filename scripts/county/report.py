"""``mingce report``: the programme's reports, on the screen, laid out for print, and as data."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from matcher.figures.service import Figures
from matcher.reports.document import Report, Table
from matcher.reports.plain import as_document, as_text
from matcher.reports.service import ReportFormat, Reports
from scripts.county.acting import Desk, at_desk
from scripts.home import JsonOption
from scripts.language import say
from scripts.output import format_of, out, print_result, print_table

app = typer.Typer(
    no_args_is_help=True, help="报表：指标、监测表、考核、申请汇总、年终。 Reports, and the records behind them."
)

OutOption = Annotated[Path | None, typer.Option("--out", help="write it: .xlsx for print, .csv or .json; else show it")]
PurposeOption = Annotated[str, typer.Option(help="what the file is for: stands in the audit log")]
OutsideOption = Annotated[bool, typer.Option("--outside", help="leaves the government side: hide small cells")]
_DAY = ["%Y-%m-%d"]
DayOption = Annotated[datetime | None, typer.Option("--on", formats=_DAY, help="the last day; else yesterday")]
SHOWN_ROWS = 30


@app.command()
@at_desk
def kpi(
    desk: Desk,
    on: DayOption = None,
    out_: OutOption = None,
    purpose: PurposeOption = "绩效跟踪",
    outside: OutsideOption = False,
    json_: JsonOption = False,
) -> None:
    """The plan's indicators beside their targets.

    Example: mingce report kpi --on 2025-02-28 --out 指标完成情况.xlsx --as jingban
    """
    day = on.date() if on else desk.office.today() - timedelta(days=1)
    _give(desk, _reports(desk).kpi(desk.actor, day, outside=outside), out_, purpose, json_)


@app.command()
@at_desk
def monthly(
    desk: Desk,
    month: Annotated[datetime, typer.Argument(formats=["%Y-%m"], help="for example 2025-02")],
    out_: OutOption = None,
    purpose: PurposeOption = "每月初报送工作专班",
    outside: OutsideOption = False,
    json_: JsonOption = False,
) -> None:
    """成效监测表 of a month, with its tables by township and by product.

    Example: mingce report monthly 2025-02 --out 成效监测表.xlsx --as jingban
    """
    report = _reports(desk).monthly(desk.actor, month.year, month.month, outside=outside)
    _give(desk, report, out_, purpose, json_)


@app.command()
@at_desk
def staff(
    desk: Desk,
    start: Annotated[datetime, typer.Option("--from", formats=_DAY, help="the first day")],
    end: Annotated[datetime, typer.Option("--to", formats=_DAY, help="the last day, counted")],
    out_: OutOption = None,
    purpose: PurposeOption = "考核",
    json_: JsonOption = False,
) -> None:
    """Visits, signed households and amounts, borrowing households and average balance, by manager.

    Example: mingce report staff --from 2025-01-01 --to 2025-03-31 --out 考核.xlsx --as yinhang
    """
    _give(desk, _reports(desk).staff(desk.actor, start.date(), end.date()), out_, purpose, json_)


@app.command()
@at_desk
def claim(
    desk: Desk,
    number: Annotated[int, typer.Argument(help="of the claim, as `mingce claim list` shows it")],
    out_: OutOption = None,
    purpose: PurposeOption = "贴息申报",
    json_: JsonOption = False,
) -> None:
    """贷款贴息申请汇总表 of a claim: every line, and the totals by household and by contract.

    Example: mingce report claim 1 --out 贴息申请汇总表.xlsx --as jingban
    """
    _give(desk, _reports(desk).claim(desk.actor, number), out_, purpose, json_)


@app.command()
@at_desk
def year(
    desk: Desk,
    year: Annotated[int, typer.Argument(min=2000, max=2100, help="for example 2025")],
    out_: OutOption = None,
    purpose: PurposeOption = "年底报送总结",
    outside: OutsideOption = False,
    json_: JsonOption = False,
) -> None:
    """The tables of the year-end summary.

    Example: mingce report year 2025 --out 年度总结.xlsx --as jingban
    """
    _give(desk, _reports(desk).year(desk.actor, year, outside=outside), out_, purpose, json_)


@app.command()
@at_desk
def trace(
    desk: Desk,
    name: Annotated[str, typer.Argument(help="a figure of docs/reference/figures.md")],
    on: DayOption = None,
    township: Annotated[str, typer.Option(help="nine digits; else the whole county")] = "",
    product: Annotated[str, typer.Option(help="a product's code; else all")] = "",
    json_: JsonOption = False,
) -> None:
    """The records behind a number.

    Example: mingce report trace loan_balance --on 2025-02-28 --township 330922100 --as jingban
    """
    day = on.date() if on else desk.office.today() - timedelta(days=1)
    found = Figures(desk.office).trace(desk.actor, name, day, township, product)
    definition = found.definition
    document = {
        "figure": name,
        "meaning": definition.meaning,
        "day": day.isoformat(),
        "township": township,
        "product": product,
        "unit": definition.unit.value,
        "value": found.value,
        "kept": found.kept,
        "households": found.households,
        "records": [record._asdict() for record in found.records],
    }
    lines = [
        say(
            f"{definition.zh}（{day}）：{found.value:,} {definition.unit.value}，涉及 {found.households:,} 户",
            f"{name} on {day}: {found.value:,} {definition.unit.value}, {found.households:,} households behind it",
        )
    ]
    if found.kept not in (None, found.value):
        lines.append(
            say(f"当日留存的数是 {found.kept:,}：此后有补录。", f"Kept that day: {found.kept:,}; records came late.")
        )
    print_result(document, lines, as_json=json_)
    if not json_:
        columns = [say("记录", "record"), say("乡镇", "township"), say("产品", "product"), say("数值", "value")]
        rows = [(record.record, record.township, record.product, f"{record.value:,}") for record in found.records]
        print_table(definition.zh, columns, rows)


def _reports(desk: Desk) -> Reports:
    settings = desk.home.settings
    return Reports(desk.office, settings.townships, is_demo=settings.demo)


def _give(desk: Desk, report: Report, path: Path | None, purpose: str, as_json: bool) -> None:
    """Write the report to a file, or show it."""
    if path is None:
        if as_json:
            print_result(as_document(report), [], as_json=True)
        else:
            _show(report)
        return
    file_format: ReportFormat = format_of(path, ReportFormat)
    written = _reports(desk).export(desk.actor, report, path, format=file_format, purpose=purpose)
    files = [str(file) for file in written.files]
    print_result(
        {
            "report": report.name,
            "files": files,
            "rows": written.rows,
            "sha256": written.sha256,
            "audit": written.audit_seq,
        },
        [
            say(
                f"{report.title}：{written.rows:,} 行 → {'、'.join(files)}（审计第 {written.audit_seq} 条）",
                f"{report.title}: {written.rows:,} rows → {', '.join(files)} (audit row {written.audit_seq})",
            )
        ],
        as_json=as_json,
    )


def _show(report: Report) -> None:
    out.print(report.title, markup=False)
    out.print("　".join(f"{name}：{value}" for name, value in report.fields), markup=False)
    for table in report.tables:
        _show_table(table)
    for note in report.notes:
        out.print(note, markup=False)


def _show_table(table: Table) -> None:
    rows = [*table.rows[:SHOWN_ROWS], *((table.total,) if table.total else ())]
    left = len(table.rows) - SHOWN_ROWS
    more = (
        say(f"（另有 {left:,} 行，用 --out 写出）", f" ({left:,} more rows; write them with --out)") if left > 0 else ""
    )
    cells = [[f"{value:,}" if isinstance(value, int) else as_text(value) for value in row] for row in rows]
    print_table(table.title + more, [column.name for column in table.columns], cells)
