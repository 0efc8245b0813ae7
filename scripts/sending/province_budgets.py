"""``mingce province``, the part about budgets: declared numbers, two persons' decisions, alarms."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from matcher.province.declaration import DeclarationRecord
from matcher.province.ledger import Ledger
from matcher.province.records import PartyState
from scripts.alarms import alarm_line
from scripts.home import ConfigOption, JsonOption, actor, open_home
from scripts.keyring.signing import OperatorOption, PassphraseFileOption, open_operator
from scripts.language import say
from scripts.output import print_result, print_table
from scripts.sending.datasets import DatasetOption, chosen_dataset
from scripts.sending.ledgers import current_epoch, open_declarations, open_ledger

app = typer.Typer()

NumberArgument = Annotated[int, typer.Argument(help="the declaration's number")]

STATES = {
    "proposed": ("待复核", "waits for approval"),
    "approved": ("已批准", "approved"),
    "rejected": ("已否决", "rejected"),
}


@app.command()
def declare(
    entity: Annotated[str, typer.Argument(help="the legal entity, as `register` printed it")],
    customers: Annotated[int, typer.Option(min=0, help="its customers in these counties")],
    reason: Annotated[str, typer.Option(help="on what the numbers rest; kept as evidence")],
    operator: OperatorOption,
    new_a_night: Annotated[int, typer.Option(min=0, help="new customers that it may ask every night")] = 0,
    dataset: DatasetOption = None,
    epoch: Annotated[str | None, typer.Option(help="else the dataset's current epoch")] = None,
    passphrase_file: PassphraseFileOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Declare how many customers a bank has, and how many new ones a night. Nothing changes before `approve`.

    Example: mingce province declare 某农商银行 --customers 50000 --new-a-night 50 --reason 年报 --operator a.operator
    """
    home = open_home(config, "province")
    declarations, dataset = open_declarations(home), chosen_dataset(home, dataset)
    epoch = epoch or current_epoch(open_ledger(home), dataset)
    signer = open_operator(operator, passphrase_file)
    declared = declarations.declare(
        signer,
        entity=entity,
        dataset=dataset,
        epoch=epoch,
        customers=customers,
        new_a_night=new_a_night,
        reason=reason,
    )
    command = f"mingce {home.settings.party} approve {declared.declaration_id}"
    following = say(
        f"下一步：由另一位经办人复核  {command} --operator 复核人.operator",
        f"Next: another operator approves:  {command} --operator OTHER.operator",
    )
    print_result(_described(declared), [_line(declared), following], as_json=json_)


@app.command()
def approve(
    declaration: NumberArgument,
    operator: OperatorOption,
    passphrase_file: PassphraseFileOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Approve another operator's declaration: the budget changes at once. What is used stays used.

    Example: mingce province approve 3 --operator li.operator
    """
    declarations = open_declarations(open_home(config, "province"))
    if not json_:
        print_result({}, [_line(declarations.get(declaration))], as_json=False)
    approved = declarations.approve(declaration, open_operator(operator, passphrase_file))
    print_result(_described(approved), [_line(approved)], as_json=json_)


@app.command()
def reject(
    declaration: NumberArgument,
    reason: Annotated[str, typer.Option(help="why; kept as evidence")],
    operator: OperatorOption,
    passphrase_file: PassphraseFileOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Reject a declaration that waits, or withdraw your own. No budget changes.

    Example: mingce province reject 3 --reason 数字与年报不符 --operator li.operator
    """
    declarations = open_declarations(open_home(config, "province"))
    rejected = declarations.reject(declaration, open_operator(operator, passphrase_file), reason=reason)
    print_result(_described(rejected), [_line(rejected)], as_json=json_)


@app.command()
def declarations(
    waiting: Annotated[bool, typer.Option("--waiting", help="only those that wait for approval")] = False,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Every declaration: who proposed it, who decided, and what became of it.

    Example: mingce province declarations --waiting
    """
    home = open_home(config, "province")
    found = open_declarations(home).list_all(state="proposed" if waiting else None)
    names = {one.fingerprint: one.name for one in home.open_keys().operators.list_all()}
    if json_:
        print_result({"declarations": [_described(one) for one in found]}, [], as_json=True)
        return
    heads = [
        say("编号", "no."),
        say("法人", "entity"),
        say("名单/密钥期", "dataset/epoch"),
        say("客户", "customers"),
        say("每晚新增", "new a night"),
        say("状态", "state"),
        say("申报", "proposed by"),
        say("复核", "decided by"),
    ]
    rows = [
        [
            one.declaration_id,
            one.entity,
            f"{one.dataset}/{one.epoch}",
            f"{one.customers:,}",
            f"{one.new_a_night:,}",
            say(*STATES[one.state]),
            names.get(one.proposed_by, one.proposed_by[:16]),
            names.get(one.decided_by or "", ""),
        ]
        for one in found
    ]
    print_table(say("申报", "Declarations"), heads, rows)


@app.command()
def budgets(config: ConfigOption = None, json_: JsonOption = False) -> None:
    """What each legal entity may ask and has asked. Every budget is checked against its two signatures.

    Example: mingce province budgets
    """
    home = open_home(config, "province")
    open_declarations(home).verify_budgets()
    ledger = open_ledger(home)
    if json_:
        print_result({"budgets": describe_budgets(ledger)}, [], as_json=True)
    else:
        print_budgets(ledger)


@app.command()
def suspend(
    party: Annotated[str, typer.Argument(help="the registered name")],
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Shut one key of a bank or bureau out, from its next request on.

    Example: mingce province suspend 嵊泗农商银行
    """
    _set_state(party, "suspended", config, json_, say("已暂停", "suspended"))


@app.command()
def resume(
    party: Annotated[str, typer.Argument(help="the registered name")],
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Let a suspended key in again.

    Example: mingce province resume 嵊泗农商银行
    """
    _set_state(party, "active", config, json_, say("已恢复", "let in again"))


@app.command()
def alarms(
    all_: Annotated[bool, typer.Option("--all", help="also those that somebody has acknowledged")] = False,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """What a person has to see. Exit code 6 while an alarm waits.

    Example: mingce province alarms
    """
    found = open_ledger(open_home(config, "province")).list_alarms(waiting_only=not all_)
    lines = [alarm_line(alarm) for alarm in found]
    print_result({"alarms": [vars(alarm) for alarm in found]}, lines or [say("没有警报。", "No alarm.")], as_json=json_)
    if any(alarm.acknowledged_at is None for alarm in found):
        raise typer.Exit(6)


@app.command()
def acknowledge(
    alarm: Annotated[int, typer.Argument(help="the alarm's number")],
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Note that a person has seen an alarm and dealt with it. docs/how-to/handle-an-alarm.md says how.

    Example: mingce province acknowledge 3
    """
    open_ledger(open_home(config, "province")).acknowledge_alarm(alarm, actor=actor())
    print_result({"alarm": alarm}, [say(f"警报 {alarm} 已确认。", f"Alarm {alarm} acknowledged.")], as_json=json_)


def _set_state(name: str, state: PartyState, config: Path | None, json_: bool, word: str) -> None:
    ledger = open_ledger(open_home(config, "province"))
    party = ledger.get_party(name)
    ledger.set_party_state(party.fingerprint, state, actor=actor())
    print_result({"party": name, "state": state}, [f"{name}  {word}"], as_json=json_)


def _described(declared: DeclarationRecord) -> dict[str, object]:
    return {**asdict(declared), "limit": declared.limit, "nightly": declared.nightly}


def _line(declared: DeclarationRecord) -> str:
    place = f"{declared.entity} {declared.dataset}/{declared.epoch}"
    return say(
        f"申报 {declared.declaration_id}（{STATES[declared.state][0]}）：{place}，客户 {declared.customers:,}"
        f"（全量额度 {declared.limit:,} 个元素），每晚新增 {declared.new_a_night:,}（每晚额度 {declared.nightly:,}）",
        f"Declaration {declared.declaration_id} ({STATES[declared.state][1]}): {place}, {declared.customers:,} "
        f"customers (full pass {declared.limit:,} elements), {declared.new_a_night:,} new ones a night "
        f"({declared.nightly:,} elements)",
    )


def describe_budgets(ledger: Ledger) -> list[dict[str, object]]:
    return [
        {
            "entity": one.entity,
            "dataset": one.dataset,
            "epoch": one.epoch,
            **asdict(one.budget),
            "remaining": one.budget.remaining,
        }
        for one in ledger.list_budgets()
    ]


def print_budgets(ledger: Ledger) -> None:
    heads = [
        say("法人", "entity"),
        say("名单/密钥期", "dataset/epoch"),
        say("全量额度", "full pass"),
        say("已用", "used"),
        say("每晚额度", "nightly"),
        say("今日已用", "used today"),
        say("现在可查", "left now"),
    ]
    rows = []
    for one in ledger.list_budgets():
        budget = one.budget
        numbers = (budget.limit, budget.used, budget.nightly, budget.used_today, budget.remaining)
        rows.append([one.entity, f"{one.dataset}/{one.epoch}", *(f"{number:,}" for number in numbers)])
    print_table(say("额度（元素）", "Budgets (elements)"), heads, rows)
