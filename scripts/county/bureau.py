"""``mingce bureau``: take over a bank's matches as candidates."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from keys.clock import SystemClock
from keys.files import write_atomic
from keys.receipts import open_receipt_keys
from matcher.bureau.office import STORE_SECRET
from matcher.bureau.store import BureauStore
from matcher.canaries import open_canaries
from matcher.handover import read_handover
from scripts import templates
from scripts.alarms import alarm_line
from scripts.asking import record_commands
from scripts.county import bureau_serve, check_answers, checks, nightly, personal
from scripts.home import ConfigOption, DryRunOption, Home, JsonOption, actor, create_home, open_home, read_identity
from scripts.language import say
from scripts.messages import Refused
from scripts.output import print_result, print_table

app = typer.Typer(no_args_is_help=True, help="县财政局：接收候选家庭。 Take over candidates.")

app.add_typer(checks.app)
app.add_typer(check_answers.app)
app.add_typer(personal.app)
app.command("records")(record_commands.bureau_records)
app.command()(bureau_serve.serve)
app.command()(nightly.nightly)

PROVINCE_IDENTITY = "province.identity.json"


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="the new home")],
    name: Annotated[str, typer.Option(help="who this is")] = "县财政局",
    division: Annotated[list[str], typer.Option("--division", help="a county in its care, six digits; repeat")] = [],  # noqa: B006
    json_: JsonOption = False,
) -> None:
    """Make a bureau's home: configuration, keys, identity.

    Example: mingce bureau init bureau --name 嵊泗县财政局 --division 330922
    """
    home = create_home(folder, "bureau", name, templates.bureau(name, division), SystemClock())
    fingerprint = home.open_keys().get_public_identity().fingerprint
    print_result(
        {"home": str(home.path), "fingerprint": fingerprint},
        [
            say(f"已建立：{home.path}", f"Created: {home.path}"),
            say(f"本机身份指纹：{fingerprint}", f"Identity fingerprint: {fingerprint}"),
        ],
        as_json=json_,
    )


@app.command()
def trust(
    identity: Annotated[Path, typer.Argument(help="the province's or a bank's identity.json")],
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Trust a bank's hand-overs, or the province's receipt keys. Compare the fingerprint by telephone first.

    Example: mingce bureau trust bank.identity.json
    """
    home = open_home(config, "bureau")
    party = read_identity(identity)
    if party.kind == "bank":
        _store(home).add_bank(party)
    elif party.kind == "province":
        write_atomic(home.path / PROVINCE_IDENTITY, party.to_json())
    else:
        raise Refused("只能信任银行或省财政厅", "Only a bank or the province can be trusted")
    print_result(
        {"name": party.name, "kind": party.kind, "fingerprint": party.fingerprint},
        [say(f"已信任 {party.name}，指纹 {party.fingerprint}", f"Trusted: {party.name}, {party.fingerprint}")],
        as_json=json_,
    )


@app.command("import-receipt-keys")
def import_receipt_keys(
    file: Annotated[Path, typer.Argument(help="the province's sealed file (.mck)")],
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Store the keys by which receipts are checked: once for each epoch.

    Example: mingce bureau import-receipt-keys receipt-keys.mck
    """
    home = open_home(config, "bureau")
    province = read_identity(home.path / PROVINCE_IDENTITY)
    keys = open_receipt_keys(_read(file), home.open_keys().get_identity(), province)
    _store(home).add_receipt_keys(keys)
    print_result(
        {"dataset": keys.dataset, "epoch": keys.epoch, "divisions": sorted(keys.keys)},
        [
            say(
                f"已保存 {keys.dataset} {keys.epoch} 期的凭据密钥：{'、'.join(sorted(keys.keys))}",
                f"Stored the receipt keys of {keys.dataset} {keys.epoch}: {', '.join(sorted(keys.keys))}",
            )
        ],
        as_json=json_,
    )


@app.command("import-canaries")
def import_canaries(
    file: Annotated[Path, typer.Argument(help="the province's sealed file (.mcc)")],
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Recognise the province's canaries from now on: rows that show that a bank has been guessing numbers.

    Example: mingce bureau import-canaries canaries.mcc
    """
    home = open_home(config, "bureau")
    province = read_identity(home.path / PROVINCE_IDENTITY)
    canaries = open_canaries(_read(file), home.open_keys().get_identity(), province)
    new = _store(home).add_canaries(canaries)
    print_result(
        {"dataset": canaries.dataset, "canaries": len(canaries.households), "new": new},
        [
            say(
                f"{canaries.dataset}：金丝雀 {len(canaries.households):,} 户，新增 {new:,}",
                f"{canaries.dataset}: {len(canaries.households):,} canaries, {new:,} new",
            )
        ],
        as_json=json_,
    )


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="the bank's hand-over (.mch)")],
    config: ConfigOption = None,
    dry_run: DryRunOption = False,
    json_: JsonOption = False,
) -> None:
    """Take over a bank's matches. Every row's receipt is checked; the same file again changes nothing.

    Exit code 6 if rows were refused because their receipts do not hold.

    Example: mingce bureau import 移交.mch
    """
    home = open_home(config, "bureau")
    store = _store(home)
    handover = read_handover(file, identity=home.open_keys().get_identity(), trusted_banks=store.list_banks())
    done = store.import_handover(handover, actor(), dry_run=dry_run)
    refused = sum(done.refused.values())
    result = {**vars(done), "refused": refused, "refused_by_reason": dict(done.refused), "dry_run": dry_run}
    if done.already_imported:
        lines = [say("此文件已导入过，未作改动。", "This file was imported before; nothing changed.")]
    else:
        word = say("演练：", "dry run: ") if dry_run else ""
        lines = [
            word
            + say(
                f"来自 {handover.bank.name}：{done.rows:,} 行，接收 {done.accepted:,}，拒收 {refused:,}；"
                f"新增候选 {done.new_candidates:,} 人、{done.new_households:,} 户，冲突 {done.conflicts:,}，"
                f"与往年同一批人 {done.links:,} 户",
                f"From {handover.bank.name}: {done.rows:,} rows, {done.accepted:,} accepted, {refused:,} refused; "
                f"{done.new_candidates:,} new candidates in {done.new_households:,} new households, "
                f"{done.conflicts:,} conflicts, {done.links:,} links with earlier years",
            )
        ]
    print_result(result, lines, as_json=json_)
    if refused:
        raise typer.Exit(6)


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, help="how many households to show")] = 20,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Candidates by household; names and numbers are masked.

    Example: mingce bureau list --limit 50
    """
    store = _store(open_home(config, "bureau"))
    counts = store.count()
    households = list(islice(store.iterate_households(), limit))
    result = {
        "households": counts["household"],
        "candidates": counts["candidate"],
        "conflicts": counts["conflict"],
        "handovers": counts["handover"],
        "waiting_alarms": counts["waiting_alarms"],
        "shown": [
            {**vars(household), "members": [vars(c) for c in store.iterate_candidates(household.household_id)]}
            for household in households
        ],
    }
    line = say(
        f"共 {counts['household']:,} 户、{counts['candidate']:,} 人；"
        f"冲突 {counts['conflict']:,}，警报 {counts['waiting_alarms']:,}",
        f"{counts['household']:,} households, {counts['candidate']:,} people; "
        f"{counts['conflict']:,} conflicts, {counts['waiting_alarms']:,} alarms",
    )
    print_result(result, [line], as_json=json_)
    if not json_:
        rows = [
            [
                household.household_no,
                household.division,
                household.household_size,
                household.members_found,
                say("是", "yes") if household.expanding == "1" else say("否", "no"),
                household.reasons,
                "  ".join(f"{c.name} {c.item}" for c in store.iterate_candidates(household.household_id)),
            ]
            for household in households
        ]
        print_table(
            say("候选家庭", "Candidates"),
            [
                say("家庭编号", "household"),
                say("行政区划", "division"),
                say("家庭人数", "size"),
                say("已匹配", "found"),
                say("是否扩中家庭", "expanding"),
                say("非扩中原因标签", "reasons"),
                say("成员", "members"),
            ],
            rows,
        )


@app.command()
def status(config: ConfigOption = None, json_: JsonOption = False) -> None:
    """Hand-overs and alarms. Exit code 6 while an alarm waits.

    Example: mingce bureau status
    """
    store = _store(open_home(config, "bureau"))
    alarms = store.alarms.list_waiting()
    handovers = store.list_handovers()
    lines = [alarm_line(alarm) for alarm in alarms]
    lines += [f"{h['imported_at']}  {h['bank']}  {h['accepted']:,}/{h['rows']:,}" for h in handovers]
    print_result(
        {"alarms": [vars(alarm) for alarm in alarms], "handovers": handovers},
        lines or [say("还没有移交。", "No hand-over yet.")],
        as_json=json_,
    )
    if alarms:
        raise typer.Exit(6)


def _store(home: Home) -> BureauStore:
    secret, divisions = home.open_keys().get_store_secret, home.settings.divisions
    return home.open_once("bureau", lambda: BureauStore(home.path, secret(STORE_SECRET), home.clock, divisions))


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise Refused(f"读不了 {file}：{error.strerror}", f"Cannot read {file}: {error.strerror}") from None
