"""``mingce province``: hold the base list, publish editions, serve evaluations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from keys.clock import SystemClock
from keys.files import make_folder, write_atomic
from keys.receipts import export_receipt_keys
from scripts import templates
from scripts.alarms import alarm_line
from scripts.asking import record_commands
from scripts.home import ConfigOption, DryRunOption, JsonOption, actor, create_home, open_home, read_identity
from scripts.language import say
from scripts.output import print_result
from scripts.sending import canaries, editions, province_budgets, spark
from scripts.sending.datasets import DatasetOption, add_dataset, chosen_dataset, register_dataset
from scripts.sending.ledgers import current_epoch, open_ledger
from scripts.sending.province_budgets import describe_budgets, print_budgets
from scripts.sending.serving import (
    AddressFileOption,
    ClientCaOption,
    HostOption,
    PortOption,
    ServeOptions,
    TlsCertOption,
    TlsKeyOption,
    UnixSocketOption,
    serve_home,
)

app = typer.Typer(no_args_is_help=True, help="省财政厅：发布名单、提供匹配。 Publish editions, answer evaluations.")
app.registered_commands += editions.app.registered_commands
app.add_typer(province_budgets.app)
app.add_typer(canaries.app, name="canaries")
app.command("records")(record_commands.province_records)
app.command("encode-on-spark")(spark.encode_on_spark)


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="the new home")],
    name: Annotated[str, typer.Option(help="who this is")] = "省财政厅",
    dataset: Annotated[str, typer.Option(help="the name of its base list")] = "base",
    json_: JsonOption = False,
) -> None:
    """Make a province's home: configuration, keys, an empty ledger.

    Example: mingce province init province --name 浙江省财政厅
    """
    home = create_home(folder, "province", name, templates.province(name, dataset), SystemClock())
    register_dataset(home, dataset)
    fingerprint = home.open_keys().get_public_identity().fingerprint
    print_result(
        {"home": str(home.path), "fingerprint": fingerprint, "dataset": dataset},
        [
            say(f"已建立：{home.path}", f"Created: {home.path}"),
            say(f"本机身份指纹：{fingerprint}", f"Identity fingerprint: {fingerprint}"),
            say("下一步：建立密钥期", "Next: create an epoch:")
            + f"  mingce keys create-epoch {dataset} 2026 --activate",
        ],
        as_json=json_,
    )


app.command("add-dataset")(add_dataset)


@app.command("register")
def register(
    identity: Annotated[Path, typer.Argument(help="the bank's or bureau's identity.json")],
    division: Annotated[list[str], typer.Option("--division", help="a county it may match, six digits; repeat")],
    entity: Annotated[
        str | None, typer.Option(help="the legal entity it acts for, if another key is registered for it already")
    ] = None,
    dataset: DatasetOption = None,
    config: ConfigOption = None,
    dry_run: DryRunOption = False,
    json_: JsonOption = False,
) -> None:
    """Register a bank or bureau and what it may match. How much it may ask, two operators decide: `declare`, `approve`.

    Example: mingce province register bank.identity.json --division 330922
    """
    home = open_home(config, "province")
    party, dataset = read_identity(identity), chosen_dataset(home, dataset)
    acts_for = party.name if entity is None else entity
    ledger = open_ledger(home)
    ledger.require_receiver(dataset, party.kind)
    if not dry_run:
        acts_for = ledger.register_party(party, entity=entity, actor=actor()).entity
        ledger.grant(party.fingerprint, dataset, divisions=division, actor=actor())
    print_result(
        {
            "party": party.name,
            "fingerprint": party.fingerprint,
            "entity": acts_for,
            "dataset": dataset,
            "divisions": division,
            "dry_run": dry_run,
        },
        [
            say(
                f"{party.name}（{party.kind}） 法人 {acts_for}，指纹 {party.fingerprint}",
                f"{party.name} ({party.kind}) of {acts_for}, {party.fingerprint}",
            ),
            say(f"可匹配 {'、'.join(division)}", f"may match {', '.join(division)}"),
            say("请通过电话与对方核对指纹。", "Compare the fingerprint with them by telephone."),
            say("下一步：由两位经办人申报、复核其客户数：", "Next: two operators declare and approve its customers:")
            + f"  mingce {home.settings.party} declare {acts_for} --dataset {dataset} --customers …",
        ],
        as_json=json_,
    )


@app.command()
def serve(
    config: ConfigOption = None,
    host: HostOption = None,
    port: PortOption = None,
    unix_socket: UnixSocketOption = None,
    tls_cert: TlsCertOption = None,
    tls_key: TlsKeyOption = None,
    client_ca: ClientCaOption = None,
    address_file: AddressFileOption = None,
) -> None:
    """Answer banks until stopped (Ctrl-C or SIGTERM lets running requests finish).

    Example: mingce province serve --port 8443
    """
    options = ServeOptions(host, port, unix_socket, tls_cert, tls_key, client_ca)
    serve_home(open_home(config, "province"), options, address_file)


@app.command("export-receipt-keys")
def export_receipt_keys_(
    bureau: Annotated[Path, typer.Argument(help="the bureau's identity.json")],
    division: Annotated[list[str], typer.Option("--division", help="its counties, six digits; repeat")],
    out: Annotated[Path, typer.Option(help="the sealed file to hand over")] = Path("receipt-keys.mck"),
    dataset: DatasetOption = None,
    epoch: Annotated[str | None, typer.Option(help="else the dataset's current epoch")] = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Give a bureau the keys by which it checks that a candidate really matched. Sealed to its identity.

    Example: mingce province export-receipt-keys bureau.identity.json --division 330922
    """
    home = open_home(config, "province")
    recipient, dataset = read_identity(bureau), chosen_dataset(home, dataset)
    keystore = home.open_keys()
    epoch = epoch or current_epoch(open_ledger(home), dataset)
    make_folder(out.parent)
    write_atomic(out, export_receipt_keys(keystore, recipient, dataset, epoch, division))
    print_result(
        {"file": str(out), "bureau": recipient.fingerprint, "dataset": dataset, "epoch": epoch, "divisions": division},
        [say(f"已写入 {out}，只有 {recipient.name} 能打开。", f"Wrote {out}; only {recipient.name} can open it.")],
        as_json=json_,
    )


@app.command()
def status(config: ConfigOption = None, json_: JsonOption = False) -> None:
    """Epochs, editions, budgets and alarms at a glance. Exit code 6 while an alarm waits.

    Example: mingce province status --json
    """
    home = open_home(config, "province")
    ledger, keystore = open_ledger(home), home.open_keys()
    result: list[dict[str, object]] = []
    lines: list[str] = []
    for dataset in ledger.list_datasets():
        for epoch in keystore.list_epochs(dataset.name):
            current = ledger.current_edition(dataset.name, epoch.epoch)
            edition = current.edition if current else None
            rows = current.rows if current else 0
            result.append(
                {"dataset": dataset.name, "epoch": epoch.epoch, "state": epoch.state, "edition": edition, "rows": rows}
            )
            lines.append(
                say(
                    f"{dataset.name} {epoch.epoch} 期：{epoch.state}，版本 {edition or '无'}，{rows:,} 行",
                    f"{dataset.name} epoch {epoch.epoch}: {epoch.state}, edition {edition or 'none'}, {rows:,} rows",
                )
            )
    alarms, budgets = ledger.list_alarms(waiting_only=True), describe_budgets(ledger)
    lines = [alarm_line(alarm) for alarm in alarms] + (lines or [say("还没有密钥期。", "No epoch yet.")])
    result_of_all = {"epochs": result, "budgets": budgets, "alarms": [vars(alarm) for alarm in alarms]}
    print_result(result_of_all, lines, as_json=json_)
    if budgets and not json_:
        print_budgets(ledger)
    if alarms:
        raise typer.Exit(6)
