"""``mingce bureau check`` and what belongs to it: households against departments' datasets."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from api.matching import MatchJob, preview_match, run_match
from keys.epochs import check_name
from keys.files import write_atomic
from matcher.bank.runs import Run
from matcher.checks.exporting import export_results
from matcher.checks.results import count_results
from matcher.checks.service import DepartmentChecks
from matcher.columns import PEOPLE_COLUMNS
from matcher.exports import Format
from matcher.slices import file_sha256
from matcher.tables import CustomerList, read_customers
from scripts import templates
from scripts.alarms import alarm_line
from scripts.asking.matching import bar_observer, connect, report_rejects
from scripts.county import check_warrants
from scripts.county.acting import AsOption, PasswordFileOption, open_desk, open_office
from scripts.county.checking import (
    LinkOption,
    keep_budget,
    latest_run,
    list_links,
    open_link,
    read_sender,
    require_for_bureaus,
)
from scripts.home import ConfigOption, DryRunOption, Home, JsonOption, actor, open_home
from scripts.language import say
from scripts.messages import Refused, require_file
from scripts.output import format_of, print_result, progress_bars
from scripts.sending.datasets import added_section, adopt_schema

app = typer.Typer()
app.add_typer(check_warrants.app, name="warrant")

RunOption = Annotated[str | None, typer.Option("--run", help="which run; else the last completed one")]


@app.command("add-department")
def add_department(
    name: Annotated[str, typer.Argument(help="what to call it here: lower-case letters, digits, - . _")],
    identity: Annotated[Path, typer.Option(help="the department's identity.json")],
    label: Annotated[str, typer.Option(help="the label schema agreed on: a built-in one, or a .toml file of it")],
    url: Annotated[str, typer.Option(help="the department's address")] = "https://department.example:8443",
    dataset: Annotated[str | None, typer.Option(help="what the department calls it; else as here")] = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Check against a department's dataset from now on. Compare its fingerprint by telephone first.

    Example: mingce bureau add-department minzheng --identity minzheng.identity.json --label minzheng/1
    """
    home = open_home(config, "bureau")
    check_name(name, "department")
    if name in home.settings.department:
        raise Refused(f"mingce.toml 里已有 [department.{name}]", f"There is a [department.{name}] already")
    party = read_sender(identity)
    schema, label = adopt_schema(label, home.path)
    require_for_bureaus(schema)
    copy = f"{name}.identity.json"
    write_atomic(home.path / copy, party.to_json())
    with added_section(home.path, templates.department_link(name, url, copy, dataset or name, label)):
        open_link(open_home(config, "bureau"), name)
    print_result(
        {"department": name, "name": party.name, "fingerprint": party.fingerprint, "label": schema.name},
        [
            say(f"已登记 {party.name}，指纹 {party.fingerprint}", f"Added {party.name}, {party.fingerprint}"),
            say("请通过电话与对方核对指纹。", "Compare the fingerprint with them by telephone."),
        ],
        as_json=json_,
    )


@app.command()
def check(
    people: Annotated[
        Path | None,
        typer.Argument(help="the list of numbers: CSV, XLSX or Parquet; else every member"),
    ] = None,
    dataset: LinkOption = None,
    epoch: Annotated[str | None, typer.Option(help="else the department's current epoch")] = None,
    rejects: Annotated[Path | None, typer.Option(help="where refused rows are listed (CSV)")] = None,
    warrant: Annotated[
        str | None, typer.Option(help="the warrant to run under; else the newest that allows it")
    ] = None,
    config: ConfigOption = None,
    dry_run: DryRunOption = False,
    json_: JsonOption = False,
) -> None:
    """Check people against a department's dataset. The department learns only how many numbers were asked.

    Asks only for numbers not asked before in this epoch. Results stay here, sealed; `export-check` shows them.

    Example: mingce bureau check 待核验.xlsx --dataset minzheng
    """
    home = open_home(config, "bureau")
    link = open_link(home, dataset)
    listed = _people(home, people, rejects)
    store, department, settings = link.store, link.department(), link.settings
    max_age = timedelta(days=settings.max_age_days)
    with connect(home, settings) as client:
        if dry_run:
            preview = preview_match(
                settings.dataset,
                listed,
                warrant=None,
                epoch=epoch,
                max_age=max_age,
                store=store,
                client=client,
                province=department,
            )
            _print_preview(preview, as_json=json_)
            return
        job = MatchJob(
            dataset=settings.dataset,
            divisions=link.divisions,
            warrant=link.warrants.require(settings.dataset, link.divisions, warrant),
            list_name=people.name if people else "households",
            epoch=epoch,
            operator=actor(),
            list_sha256=file_sha256(people) if people else None,
            max_age=max_age,
            keep_runs=settings.keep_runs,
        )
        with progress_bars(quiet=json_) as steps:
            run = run_match(job, listed, store=store, client=client, province=department, observe=bar_observer(steps))
        keep_budget(link, client, run.epoch)
    _print_run(link.name, run, count_results(store, run, link.schema), len(listed.rejects), as_json=json_)


@app.command("export-check")
def export_check(
    out: Annotated[Path, typer.Argument(help="where to: .xlsx, .csv or .parquet")],
    dataset: LinkOption = None,
    run: RunOption = None,
    listed_only: Annotated[bool, typer.Option("--listed-only", help="only those who are on the list")] = False,
    unmasked: Annotated[bool, typer.Option("--unmasked", help="with whole numbers and names; needs --reason")] = False,
    reason: Annotated[str, typer.Option(help="why they must be shown whole; kept in the audit log")] = "",
    as_: AsOption = None,
    password_file: PasswordFileOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Write the results of a check. Numbers and names are masked unless a reason is given; every export is recorded.

    Example: mingce bureau export-check 救助核验.xlsx --dataset minzheng --as jingban
    """
    if unmasked and not reason.strip():
        raise Refused("--unmasked 须用 --reason 说明理由", "--unmasked needs a --reason")
    desk = open_desk(config, as_, password_file)
    link = open_link(desk.home, dataset)
    chosen = latest_run(link, run)
    rows = export_results(
        desk.office,
        desk.actor,
        out,
        store=link.store,
        run=chosen,
        schema=link.schema,
        format=format_of(out, Format),
        reason=reason.strip() if unmasked else "",
        listed_only=listed_only,
    )
    print_result(
        {"file": str(out), "run": chosen.run_id, "rows": rows, "masked": not unmasked},
        [say(f"核验结果 {rows:,} 行 → {out}", f"Results, {rows:,} rows → {out}")],
        as_json=json_,
    )


@app.command()
def checks(config: ConfigOption = None, json_: JsonOption = False) -> None:
    """Every department's dataset: its last runs, and alarms. Exit code 6 while an alarm waits.

    Example: mingce bureau checks
    """
    home = open_home(config, "bureau")
    result: list[dict[str, object]] = []
    lines: list[str] = []
    for link in list_links(home):
        found = link.store.get_status()
        result.append(
            {
                "department": link.name,
                "alarms": [vars(alarm) for alarm in found.alarms],
                "runs": [vars(run) for run in found.runs],
            }
        )
        lines += [f"{link.name}  {alarm_line(alarm)}" for alarm in found.alarms]
        lines += [f"{link.name}  {_run_line(run)}" for run in found.runs[:5]]
    print_result({"departments": result}, lines or [say("还没有核验。", "No check yet.")], as_json=json_)
    if any(one["alarms"] for one in result):
        raise typer.Exit(6)


@app.command("acknowledge-check")
def acknowledge_check(
    alarm: Annotated[int, typer.Argument(help="the alarm's number")],
    dataset: LinkOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Note that a person has seen an alarm of a department's dataset and dealt with it.

    Example: mingce bureau acknowledge-check 1 --dataset minzheng
    """
    home = open_home(config, "bureau")
    open_link(home, dataset).store.alarms.acknowledge(alarm, actor())
    print_result({"alarm": alarm}, [say(f"警报 {alarm} 已确认。", f"Alarm {alarm} acknowledged.")], as_json=json_)


def _people(home: Home, path: Path | None, rejects: Path | None) -> CustomerList:
    """The list to check: a file's, or every member of every household. Raises Refused."""
    if path is not None:
        listed = read_customers(require_file(path), PEOPLE_COLUMNS)
        report_rejects(listed, rejects)
        return listed
    people = DepartmentChecks(open_office(home)).list_people()
    if not len(people):
        raise Refused(
            "还没有家庭成员；先导入移交，或指定名单文件", "Nobody to check yet; import a hand-over, or name a list"
        )
    return people


def _print_preview(preview: dict[str, object], *, as_json: bool) -> None:
    line = say(
        "演练：{customers:,} 人，其中 {new:,} 人本期未查询；将发送 {elements:,} 个元素，额度剩余 {remaining:,}",
        "dry run: {customers:,} people, {new:,} not asked in this epoch; "
        "would send {elements:,} elements, {remaining:,} left in the budget",
    )
    print_result({**preview, "dry_run": True}, [line.format(**preview)], as_json=as_json)


def _run_line(run: Run) -> str:
    return say(
        f"{run.run_id[:8]} {run.created_at} {run.state}：{run.customers:,} 人，在名单 {run.matched or 0:,}",
        f"{run.run_id[:8]} {run.created_at} {run.state}: {run.customers:,} people, {run.matched or 0:,} on the list",
    )


def _print_run(name: str, run: Run, counts: dict[str, dict[str, int]], rejected: int, *, as_json: bool) -> None:
    lines = [
        say(
            f"核验完成：{name}（{run.dataset} {run.epoch} 期第 {run.edition} 版）",
            f"Checked: {name} ({run.dataset} epoch {run.epoch} edition {run.edition})",
        ),
        say(
            f"{run.customers:,} 人，本次查询 {run.asked:,}，在名单 {run.matched:,}，退回 {rejected:,}",
            f"{run.customers:,} people, {run.asked:,} asked now, {run.matched:,} on the list, {rejected:,} refused",
        ),
        *(
            f"  {heading}：" + "，".join(f"{value} {count:,}" for value, count in sorted(found.items()))
            for heading, found in counts.items()
            if found
        ),
        say(
            f"下一步：mingce bureau export-check 核验.xlsx --dataset {name}",
            f"Next: mingce bureau export-check list.xlsx --dataset {name}",
        ),
    ]
    print_result({"department": name, **vars(run), "rejected": rejected, "counts": counts}, lines, as_json=as_json)
