"""``mingce province canaries``: planted rows by which guessing shows."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from keys.files import make_folder, write_atomic
from matcher.province.canaries import Canaries, Canary
from psi.identifiers import mask
from scripts.home import ConfigOption, Home, JsonOption, actor, open_home, read_identity
from scripts.language import say
from scripts.messages import Refused
from scripts.output import print_result, print_table
from scripts.sending.datasets import DatasetOption, chosen_dataset
from scripts.sending.editions import SourceOption, dataset_plan, list_source
from scripts.sending.ledgers import open_ledger

app = typer.Typer(no_args_is_help=True, help="金丝雀行：谁查到，谁在猜号码。 Rows that only a guesser finds.")


@app.command()
def plant(
    division: Annotated[str, typer.Option(help="the county, six digits")],
    prefix: Annotated[str, typer.Option(help="the first six digits of the numbers; have them confirmed as unassigned")],
    count: Annotated[int, typer.Option(min=1, max=1_000, help="how many")] = 20,
    dataset: DatasetOption = None,
    source: SourceOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Make rows for numbers that nobody has; the next `refresh` publishes them with the list.

    Example: mingce province canaries plant --division 330922 --prefix 339900 --count 20
    """
    home = open_home(config, "province")
    dataset = chosen_dataset(home, dataset)
    path = list_source(home, dataset, source)
    plan = dataset_plan(home, dataset)
    planted = _canaries(home).plant(plan, path, division=division, count=count, prefix=prefix, actor=actor())
    print_result(
        {"dataset": dataset, "division": division, "planted": len(planted)},
        [
            say(
                f"{dataset} {division}：新增金丝雀 {len(planted)} 行。",
                f"{dataset} {division}: {len(planted)} canaries.",
            ),
            say(
                "下一步：请公安核实号码未赋码（canaries list --reveal），发布后把名单交给县财政局（canaries export）。",
                "Next: have the police confirm that the numbers are nobody's (canaries list --reveal); "
                "once published, give them to the bureau (canaries export).",
            ),
        ],
        as_json=json_,
    )


@app.command("list")
def list_(
    reveal: Annotated[
        bool, typer.Option("--reveal", help="numbers in clear; needs --reason, leaves an audit row")
    ] = False,
    reason: Annotated[str, typer.Option(help="why they are shown")] = "",
    dataset: DatasetOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """The canaries of a dataset, masked unless they are revealed.

    Example: mingce province canaries list
    """
    home = open_home(config, "province")
    dataset = chosen_dataset(home, dataset)
    if reveal and not reason.strip():
        raise Refused("用 --reason 写明为什么查看", "Say with --reason why they are shown")
    found = _canaries(home).list_all(dataset)
    if reveal:
        open_ledger(home).record_act(actor(), "reveal_canaries", dataset, reason=reason.strip(), count=len(found))
    rows = [_described(canary, reveal=reveal) for canary in found]
    if json_:
        print_result({"dataset": dataset, "canaries": rows}, [], as_json=True)
        return
    heads = [
        say("编号", "no."),
        say("证件号码", "number"),
        say("家庭编号", "household"),
        say("行政区划", "division"),
        say("时间", "planted at"),
    ]
    print_table(say("金丝雀", "Canaries"), heads, [list(row.values()) for row in rows])


@app.command()
def export(
    bureau: Annotated[Path, typer.Argument(help="the bureau's identity.json")],
    division: Annotated[list[str], typer.Option("--division", help="its counties, six digits; repeat")],
    out: Annotated[Path, typer.Option(help="the sealed file to hand over")] = Path("canaries.mcc"),
    dataset: DatasetOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Give a bureau the household numbers by which it recognises canaries; no ID number. Sealed to its identity.

    Example: mingce province canaries export bureau.identity.json --division 330922
    """
    home = open_home(config, "province")
    recipient, dataset = read_identity(bureau), chosen_dataset(home, dataset)
    make_folder(out.parent)
    write_atomic(out, _canaries(home).export(dataset, recipient, division, actor=actor()))
    print_result(
        {"file": str(out), "bureau": recipient.fingerprint, "dataset": dataset, "divisions": division},
        [say(f"已写入 {out}，只有 {recipient.name} 能打开。", f"Wrote {out}; only {recipient.name} can open it.")],
        as_json=json_,
    )


def _canaries(home: Home) -> Canaries:
    return Canaries(home.path, home.open_keys(), open_ledger(home), home.clock, os.urandom)


def _described(canary: Canary, *, reveal: bool) -> dict[str, object]:
    show = str if reveal else mask
    return {
        "number": canary.number,
        "item": show(canary.item),
        "household_no": show(canary.household_no),
        "division": canary.division,
        "planted_at": canary.planted_at,
    }
