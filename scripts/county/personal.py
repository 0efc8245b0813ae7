"""``mingce bureau find|reveal|purge|purges``: people in the bureau's store, and the end of what is kept of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast, get_args

import typer

from keys.clock import format_time
from keys.files import write_atomic
from matcher.personal.purge import Purge
from matcher.personal.purge_record import PurgeRecord
from matcher.personal.retention import KINDS, Kind
from matcher.personal.reveal import FoundPerson, Personal, RevealField
from scripts.county.acting import AsOption, Desk, PasswordFileOption, at_desk, open_desk
from scripts.home import ConfigOption, DryRunOption, JsonOption
from scripts.language import say
from scripts.messages import Refused
from scripts.output import print_result, print_table

app = typer.Typer()

_KEPT = {
    "claim_open": ("贴息申请未办结", "a claim is open"),
    "loan_open": ("贷款未结清", "a loan is open"),
    "objection_open": ("申诉或异议未办结", "an appeal or objection is open"),
    "decision_open": ("有待复核的决定", "a decision waits"),
    "visit_open": ("走访未结束", "a visit is open"),
}


@app.command()
def find(
    name: Annotated[str | None, typer.Option(help="the whole name")] = None,
    ask_number: Annotated[bool, typer.Option("--number", help="ask for an ID number; it is not echoed")] = False,
    as_: AsOption = None,
    password_file: PasswordFileOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Find a person by the whole name or ID number. What is shown is masked; the audit log has that it was asked.

    A number is typed in, not given on the command line, where other users and the shell's history would see it.

    Example: mingce bureau find --name 演示 --as jingban
    """
    if (name is None) == (not ask_number):
        raise Refused("请用 --name 或 --number 之一", "Give either --name or --number")
    desk = open_desk(config, as_, password_file)
    people = Personal(desk.office)
    if name is not None:
        found = people.search_name(desk.actor, name)
    else:
        number = typer.prompt(say("证件号码", "ID number"), hide_input=True, err=True)
        found = people.search_number(desk.actor, number)
    _print_found(found, as_json=json_)


@app.command()
def reveal(
    member: Annotated[int, typer.Argument(help="the member's number, from `bureau find`")],
    field: Annotated[str, typer.Option(help="number, name, phone or address")],
    reason: Annotated[str, typer.Option(help="why it has to be seen; kept in the audit log")],
    as_: AsOption = None,
    password_file: PasswordFileOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Show one field of one person in the clear. Each time is a row in the audit log, a refused time too.

    Example: mingce bureau reveal 12 --field number --reason 电话核对 --as jingban
    """
    if field not in get_args(RevealField):
        raise Refused("--field 须为 number、name、phone 或 address", "--field is number, name, phone or address")
    desk = open_desk(config, as_, password_file)
    value = Personal(desk.office).reveal(desk.actor, member, cast(RevealField, field), reason)
    line = value or say("没有登记。", "Not known.")
    print_result({"member": member, "field": field, "value": value}, [line], as_json=json_)


@app.command()
@at_desk
def purge(
    desk: Desk,
    out: Annotated[
        Path | None, typer.Option(help="where to put the signed record; it is kept in the store too")
    ] = None,
    dry_run: DryRunOption = False,
    json_: JsonOption = False,
) -> None:
    """Delete what is kept no longer, by the section `retention` of mingce.toml, and sign what it was.

    Exit code 7 if another process keeps traces of it in the database's files: stop it, then run this again.

    Example: mingce bureau purge --dry-run --as fuhe
    """
    done = _purge_of(desk).run(desk.actor, dry_run=dry_run)
    if out is not None and done.envelope is not None:
        write_atomic(out, done.envelope)
    result = {**_as_json(done.record), "purge": done.purge_id, "cleared": done.is_cleared, "dry_run": dry_run}
    if json_:
        print_result(result, [], as_json=True)
    else:
        _print_record(done.record, dry_run=dry_run)
        if not done.is_cleared:
            typer.echo(
                say(
                    "另一进程占用数据库，文件里还有残留；停止它后再运行一次。",
                    "Another process uses the database; traces are left in its files. Stop it and run this again.",
                ),
                err=True,
            )
    if not done.is_cleared:
        raise typer.Exit(7)


@app.command()
@at_desk
def purges(
    desk: Desk,
    out: Annotated[Path | None, typer.Option(help="a folder to put every signed record in")] = None,
    json_: JsonOption = False,
) -> None:
    """Every purge so far, its signature verified; with --out the signed records again, one file each.

    Example: mingce bureau purges --as shenji
    """
    records = _purge_of(desk).list_records(desk.actor)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        for one in records:
            write_atomic(out / f"purge-{one.number}.json", one.envelope)
    result = [{"purge": one.number, **_as_json(one.record), "cleared_at": one.cleared_at} for one in records]
    lines = [
        f"{one.number}  {format_time(one.record.at)}  {one.record.account}  "
        + "，".join(f"{kind.kind} {kind.rows:,}" for kind in one.record.kinds if kind.rows)
        for one in records
    ]
    print_result({"purges": result}, lines or [say("还没有清除过。", "Nothing was purged yet.")], as_json=json_)


def _purge_of(desk: Desk) -> Purge:
    retention = desk.home.settings.retention.periods
    return Purge(desk.office, retention, desk.home.open_keys().get_identity())


def _print_found(found: list[FoundPerson], *, as_json: bool) -> None:
    if as_json:
        print_result({"people": [vars(one) for one in found]}, [], as_json=True)
        return
    print_table(
        say(f"找到 {len(found)} 人", f"{len(found)} found"),
        [say("成员", "member"), say("家庭", "household"), say("家庭编号", "household no."), say("行政区划", "division"),
         say("状态", "state"), say("姓名", "name"), say("证件号码", "ID number")],
        [[one.member_id, one.household_id, one.household_no, one.division, one.state, one.name, one.number]
         for one in found],
    )  # fmt: skip


def _print_record(record: PurgeRecord, *, dry_run: bool) -> None:
    if not record.rows:
        typer.echo(say("没有到期的记录。", "Nothing is due."))
    else:
        _print_kinds(record, dry_run=dry_run)
    for reason, households in record.kept.items():
        zh, en = _KEPT[reason]
        typer.echo(say(f"期满但保留 {households:,} 户：{zh}", f"{households:,} due households kept: {en}"))


def _print_kinds(record: PurgeRecord, *, dry_run: bool) -> None:
    print_table(
        say("演练：将清除", "dry run: would be purged") if dry_run else say("已清除", "Purged"),
        [
            say("种类", "kind"),
            say("内容", "what"),
            say("期限（天）", "days"),
            say("早于", "before"),
            say("记录", "rows"),
        ],
        [
            [one.kind, say(*KINDS[cast(Kind, one.kind)]), one.days, one.before[:10], f"{one.rows:,}"]
            for one in record.kinds
            if one.rows
        ],
    )


def _as_json(record: PurgeRecord) -> dict[str, object]:
    return {
        "at": format_time(record.at),
        "account": record.account,
        "kinds": [vars(one) for one in record.kinds],
        "kept": dict(record.kept),
    }
