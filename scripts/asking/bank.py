"""``mingce bank``: match the bank's customers against the province's list, and hand the matches on."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, cast

import typer

from api.matching import MatchJob, preview_match, run_match
from keys.clock import SystemClock
from matcher.bank.runs import Run
from matcher.bank.screening_list import ID_COLUMN, screening_columns
from matcher.bank.store import BankStore
from matcher.bank.warrants import Warrant, WarrantExceeded, WarrantMissing, WarrantNotInForce, Warrants
from matcher.columns import CUSTOMER_COLUMNS
from matcher.exports import Format, write_export
from matcher.handover import write_run_handover
from matcher.slices import file_sha256
from matcher.tables import CustomerList, read_customers
from psi.errors import MingceError
from scripts import templates
from scripts.alarms import alarm_line
from scripts.asking import bank_changes, bank_epochs, record_commands, warrant_commands
from scripts.asking.bank_home import open_store, open_warrants
from scripts.asking.matching import bar_observer, connect, report_rejects
from scripts.home import ConfigOption, DryRunOption, JsonOption, actor, create_home, open_home, read_identity
from scripts.language import say
from scripts.messages import Refused, explain, require_file
from scripts.output import format_of, print_result, print_table, progress_bars

app = typer.Typer(no_args_is_help=True, help="农商银行：匹配客户、导出初筛名单。 Match customers, export, hand over.")

app.add_typer(warrant_commands.app, name="warrant")
app.command("records")(record_commands.bank_records)
app.registered_commands += bank_changes.app.registered_commands + bank_epochs.app.registered_commands

RunOption = Annotated[str | None, typer.Option("--run", help="which run; else the last completed one")]


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="the new home")],
    name: Annotated[str, typer.Option(help="who this is")] = "农商银行",
    url: Annotated[str, typer.Option(help="the province's address")] = "https://province.example:8443",
    division: Annotated[list[str], typer.Option("--division", help="a county to look in, six digits; repeat")] = [],  # noqa: B006
    dataset: Annotated[str, typer.Option(help="the province's dataset")] = "base",
    json_: JsonOption = False,
) -> None:
    """Make a bank's home: configuration, keys, identity.

    Example: mingce bank init bank --name 嵊泗农商银行 --division 330922
    """
    home = create_home(folder, "bank", name, templates.bank(name, url, dataset, division), SystemClock())
    fingerprint = home.open_keys().get_public_identity().fingerprint
    print_result(
        {"home": str(home.path), "fingerprint": fingerprint},
        [
            say(f"已建立：{home.path}", f"Created: {home.path}"),
            say(f"本机身份指纹：{fingerprint}", f"Identity fingerprint: {fingerprint}"),
            say(
                "下一步：把 identity.json 交给省财政厅登记，并取得 province.identity.json。",
                "Next: give identity.json to the province, and get its province.identity.json.",
            ),
        ],
        as_json=json_,
    )


@app.command()
def match(
    customers: Annotated[Path, typer.Argument(help="the customer list: CSV, XLSX or Parquet")],
    epoch: Annotated[str | None, typer.Option(help="else the province's current epoch")] = None,
    rejects: Annotated[Path | None, typer.Option(help="where refused rows are listed (CSV)")] = None,
    warrant: Annotated[
        str | None, typer.Option(help="the warrant to run under; else the newest that allows it")
    ] = None,
    config: ConfigOption = None,
    dry_run: DryRunOption = False,
    json_: JsonOption = False,
) -> None:
    """Match a customer list. Asks the province only for customers not asked before in this epoch.

    Broken off at any point, it goes on where it was when run again; nothing is charged twice.

    Example: mingce bank match 客户清单.xlsx --rejects 退回.csv
    """
    home = open_home(config, "bank")
    settings = home.settings.match
    path = require_file(customers)
    listed = read_customers(path, CUSTOMER_COLUMNS.override(settings.columns), duplicates=settings.duplicates)
    report_rejects(listed, rejects)
    store, divisions = open_store(home), tuple(settings.divisions)
    max_age = timedelta(days=settings.max_age_days)
    warrants = open_warrants(home, store)
    with connect(home, home.settings.province) as client:
        province = read_identity(home.resolve(home.settings.province.identity))
        if dry_run:
            found, refusal = _try_warrant(warrants, settings.dataset, divisions, warrant)
            preview = preview_match(
                settings.dataset,
                listed,
                warrant=found,
                epoch=epoch,
                max_age=max_age,
                store=store,
                client=client,
                province=province,
            )
            _print_preview(preview, found, refusal, as_json=json_)
            return
        job = MatchJob(
            dataset=settings.dataset,
            divisions=divisions,
            warrant=warrants.require(settings.dataset, divisions, warrant),
            list_name=path.name,
            epoch=epoch,
            operator=actor(),
            list_sha256=file_sha256(path),
            max_age=max_age,
            keep_runs=settings.keep_runs,
        )
        with progress_bars(quiet=json_) as steps:
            run = run_match(job, listed, store=store, client=client, province=province, observe=bar_observer(steps))
    _print_run(run, listed, as_json=json_)


@app.command()
def export(
    out: Annotated[Path, typer.Argument(help="where to: .xlsx, .csv or .parquet")],
    run: RunOption = None,
    unmatched: Annotated[bool, typer.Option("--unmatched", help="also the customers who are not on the list")] = False,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Write the 初筛名单 of a run. ID numbers stay text; nothing in it can become a formula.

    Example: mingce bank export 初筛名单.xlsx
    """
    home = open_home(config, "bank")
    store = open_store(home)
    chosen = _completed_run(store, run)
    columns = screening_columns(store, chosen, unmatched=unmatched)
    write_export(out, columns, format=format_of(out, Format), id_columns=(ID_COLUMN,))
    rows = len(columns[ID_COLUMN])
    print_result(
        {"file": str(out), "run": chosen.run_id, "rows": rows},
        [say(f"初筛名单 {rows:,} 行 → {out}", f"Screening list, {rows:,} rows → {out}")],
        as_json=json_,
    )


@app.command()
def handover(
    out: Annotated[Path, typer.Argument(help="the sealed file for the bureau (.mch)")],
    run: RunOption = None,
    bureau: Annotated[
        Path | None, typer.Option(help="the bureau's identity.json; else the `handover.bureau` setting")
    ] = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Write the matches of a run for the finance bureau: signed by the bank, sealed to the bureau.

    Example: mingce bank handover 移交.mch
    """
    home = open_home(config, "bank")
    target = bureau or (home.settings.handover.bureau and home.resolve(home.settings.handover.bureau))
    if target is None:
        raise Refused(
            "没有指定财政局；用 --bureau 或设置 handover.bureau", "No bureau; use --bureau or set handover.bureau"
        )
    recipient = read_identity(target)
    store = open_store(home)
    chosen = _completed_run(store, run)
    rows = write_run_handover(out, store, chosen, home.open_keys().get_identity(), recipient, home.clock)
    print_result(
        {"file": str(out), "run": chosen.run_id, "rows": rows, "bureau": recipient.fingerprint},
        [
            say(
                f"移交文件 {rows:,} 行 → {out}，只有 {recipient.name} 能打开。",
                f"Hand-over, {rows:,} rows → {out}; only {recipient.name} can open it.",
            )
        ],
        as_json=json_,
    )


@app.command()
def status(config: ConfigOption = None, json_: JsonOption = False) -> None:
    """Alarms, editions, what was asked, and the last runs. Exit code 6 while an alarm waits.

    Example: mingce bank status
    """
    store = open_store(open_home(config, "bank"))
    found, unsettled = store.get_status(), len(store.records.list_unsettled())
    result = {
        "alarms": [vars(alarm) for alarm in found.alarms],
        "editions": found.editions,
        "asked": found.asked,
        "runs": [vars(run) for run in found.runs],
        "unsettled_records": unsettled,
    }
    lines = [alarm_line(alarm) for alarm in found.alarms]
    if unsettled:
        lines.append(
            say(
                f"{unsettled} 份交换记录省方尚未签署，下次匹配时补送。",
                f"{unsettled} exchange records wait for the province's signature; the next match hands them in.",
            )
        )
    lines += [f"{e['dataset']}/{e['epoch']} #{e['edition']}  {e['fingerprint'][:16]}…" for e in found.editions]
    print_result(result, lines or [say("没有警报。", "No alarm.")], as_json=json_)
    if found.runs and not json_:
        print_table(
            say("匹配记录", "Runs"),
            [
                say("编号", "run"),
                say("时间", "at"),
                say("状态", "state"),
                say("客户", "customers"),
                say("查询", "asked"),
                say("命中", "matched"),
            ],
            [[r.run_id[:8], r.created_at, r.state, r.customers, r.asked, r.matched] for r in found.runs[:10]],
        )
    if found.is_red:
        raise typer.Exit(6)


@app.command("acknowledge")
def acknowledge(
    alarm: Annotated[int, typer.Argument(help="the alarm's number")],
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Note that a person has seen an alarm and dealt with it.

    Example: mingce bank acknowledge 3
    """
    open_store(open_home(config, "bank")).alarms.acknowledge(alarm, actor())
    print_result({"alarm": alarm}, [say(f"警报 {alarm} 已确认。", f"Alarm {alarm} acknowledged.")], as_json=json_)


def _completed_run(store: BankStore, given: str | None) -> Run:
    if given is not None:
        return store.runs.get(given)
    for run in store.runs.list_all():
        if run.state in ("COMPLETED", "RELEASED"):
            return run
    raise Refused("还没有完成的匹配；先运行 mingce bank match", "No completed run yet; run mingce bank match")


def _try_warrant(
    warrants: Warrants, dataset: str, divisions: tuple[str, ...], named: str | None
) -> tuple[Warrant | None, MingceError | None]:
    """The warrant that a run would have, or why it would have none."""
    try:
        return warrants.require(dataset, divisions, named), None
    except (WarrantMissing, WarrantNotInForce, WarrantExceeded) as error:
        return None, error


def _print_preview(
    preview: dict[str, object], warrant: Warrant | None, refusal: MingceError | None, *, as_json: bool
) -> None:
    """What would be done, and whether the warrant allows it."""
    if warrant is not None:
        try:
            warrant.require_customers(cast(int, preview["under_warrant"]))
        except WarrantExceeded as error:
            refusal = error
    allowed = say("授权书允许。", "The warrant allows it.")
    if refusal is not None:
        allowed = "！" + say("。", ". ").join(explain(refusal))
    line = say(
        "演练：{customers:,} 个客户，其中 {new:,} 个本期未查询；将发送 {elements:,} 个元素，额度剩余 {remaining:,}",
        "dry run: {customers:,} customers, {new:,} not asked in this epoch; "
        "would send {elements:,} elements, {remaining:,} left in the budget",
    )
    result = {
        **preview,
        "dry_run": True,
        "warrant": None if warrant is None else warrant.sha256,
        "refused": None if refusal is None else refusal.code,
    }
    print_result(result, [line.format(**preview), allowed], as_json=as_json)


def _print_run(run: Run, listed: CustomerList, *, as_json: bool) -> None:
    result = {**vars(run), "rejected": len(listed.rejects)}
    refused = len(listed.rejects)
    lines = [
        say(
            f"匹配完成：{run.dataset} {run.epoch} 期第 {run.edition} 版",
            f"Matched: {run.dataset} epoch {run.epoch} edition {run.edition}",
        ),
        say(
            f"客户 {run.customers:,}，本次查询 {run.asked:,}（含填充计费 {run.charged:,}），"
            f"命中 {run.matched:,}，退回 {refused:,}",
            f"{run.customers:,} customers, {run.asked:,} asked now ({run.charged:,} charged with padding), "
            f"{run.matched:,} matched, {refused:,} refused",
        ),
        say("下一步：mingce bank export 初筛名单.xlsx", "Next: mingce bank export list.xlsx"),
    ]
    print_result(result, lines, as_json=as_json)
