"""``mingce keys``: identities, epochs and the key-encryption key of one home."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from keys.clock import format_time
from keys.destruction import Destruction
from keys.files import write_atomic
from keys.identity import readable_fingerprint
from scripts.home import (
    ConfigOption,
    DryRunOption,
    Home,
    JsonOption,
    YesOption,
    open_any_home,
    open_home,
    open_kek,
    read_identity,
    require_yes,
)
from scripts.keyring import rotation
from scripts.keyring.rotation import CONDITIONS, open_rotation
from scripts.language import say
from scripts.messages import Refused
from scripts.output import notice, print_result

app = typer.Typer(no_args_is_help=True, help="密钥与身份。 Identities, epochs, the key-encryption key.")
app.command("plan")(rotation.plan)
app.command("apply")(rotation.apply)

DatasetArgument = Annotated[str, typer.Argument(help="the dataset")]
EpochArgument = Annotated[str, typer.Argument(help="the epoch, for example 2026")]


@app.command("list")
def list_(config: ConfigOption = None, json_: JsonOption = False) -> None:
    """The home's identity, all epochs, and the signed records of destroyed keys.

    Example: mingce keys list
    """
    keystore = open_any_home(config).open_keys()
    identity = keystore.get_public_identity()
    epochs = keystore.list_epochs()
    destructions = keystore.list_destructions()
    result = {
        "identity": {"name": identity.name, "kind": identity.kind, "fingerprint": identity.fingerprint},
        "epochs": [
            {
                "dataset": e.dataset,
                "epoch": e.epoch,
                "state": e.state,
                "fingerprint": e.fingerprint,
                "not_before": format_time(e.not_before),
                "not_after": format_time(e.not_after),
            }
            for e in epochs
        ],
        "destructions": [
            {
                "dataset": d.dataset,
                "epoch": d.epoch,
                "fingerprint": d.fingerprint,
                "actor": d.actor,
                "destroyed_at": format_time(d.destroyed_at),
                "reason": d.reason,
                "removed": d.removed,
                "is_shredded": d.shredded_at is not None,
                "envelope": json.loads(d.envelope),
            }
            for d in destructions
        ],
    }
    lines = [f"{identity.name}  {readable_fingerprint(identity.fingerprint)}"]
    lines += [f"{e.dataset}/{e.epoch}  {e.state}  {readable_fingerprint(e.fingerprint)}" for e in epochs]
    lines += [_destruction_line(d) for d in destructions]
    print_result(result, lines, as_json=json_)


@app.command("create-epoch")
def create_epoch(
    dataset: DatasetArgument,
    epoch: EpochArgument,
    activate: Annotated[bool, typer.Option("--activate", help="and serve it at once")] = False,
    days: Annotated[int, typer.Option(min=1, max=1100, help="how long it may be used")] = 400,
    config: ConfigOption = None,
    dry_run: DryRunOption = False,
    json_: JsonOption = False,
) -> None:
    """A new key for a dataset: about one a year.

    Example: mingce keys create-epoch base 2026 --activate
    """
    home = open_home(config, "province")
    if dataset not in home.settings.dataset:
        raise Refused(f"mingce.toml 里没有名单 {dataset}", f"No dataset {dataset} in mingce.toml")
    if not dry_run:
        open_rotation(home).create(dataset, epoch, days=days)
        if activate:
            _activate(home, dataset, epoch)
    _print_state(dataset, epoch, "active" if activate else "pending", dry_run=dry_run, as_json=json_)


@app.command("activate")
def activate(
    dataset: DatasetArgument,
    epoch: EpochArgument,
    config: ConfigOption = None,
    dry_run: DryRunOption = False,
    json_: JsonOption = False,
) -> None:
    """Serve an epoch, and make it the one that banks use as soon as it has an edition and budgets.

    Until then the epoch before it stays the current one, and both are served. Run it again, or
    `keys apply`, when the first edition is published.

    Example: mingce keys activate base 2027
    """
    home = open_home(config, "province")
    if not dry_run:
        _activate(home, dataset, epoch)
    _print_state(dataset, epoch, "active", dry_run=dry_run, as_json=json_)


@app.command("expire")
def expire(
    dataset: DatasetArgument,
    epoch: EpochArgument,
    config: ConfigOption = None,
    dry_run: DryRunOption = False,
    json_: JsonOption = False,
) -> None:
    """Stop evaluating under an epoch's key; what banks already have stays readable to them.

    Example: mingce keys expire base 2026
    """
    home = open_home(config, "province")
    if not dry_run:
        open_rotation(home).expire(dataset, epoch)
    _print_state(dataset, epoch, "expired", dry_run=dry_run, as_json=json_)


@app.command("destroy")
def destroy(
    dataset: DatasetArgument,
    epoch: EpochArgument,
    reason: Annotated[str, typer.Option(help="for the record")],
    yes: YesOption = False,
    config: ConfigOption = None,
    dry_run: DryRunOption = False,
    json_: JsonOption = False,
) -> None:
    """Destroy an expired epoch's key and its files. This cannot be undone; a signed record of it stays.

    Copies in backups are not reached: destroy those too.

    Example: mingce keys destroy base 2026 --reason 年度归档
    """
    home = open_home(config, "province")
    if not dry_run:
        require_yes(
            yes,
            f"销毁 {dataset} {epoch} 期的密钥？不可恢复",
            f"Destroy the key of {dataset} {epoch}? It cannot come back",
        )
        open_rotation(home).destroy(dataset, epoch, reason)
    _print_state(dataset, epoch, "destroyed", dry_run=dry_run, as_json=json_)


@app.command("rotate")
def rotate(
    dataset: DatasetArgument,
    epoch: EpochArgument,
    days: Annotated[int, typer.Option(min=1, max=1100, help="how long it may be used")] = 400,
    config: ConfigOption = None,
    dry_run: DryRunOption = False,
    json_: JsonOption = False,
) -> None:
    """Create and activate the next epoch now, without waiting for the plan; the one before stays served.

    Banks are sent to it once it has an edition (`province refresh`) and budgets (they are per epoch).

    Example: mingce keys rotate base 2027
    """
    create_epoch(dataset, epoch, activate=True, days=days, config=config, dry_run=dry_run, json_=json_)


@app.command("rotate-kek")
def rotate_kek(
    new: Annotated[str, typer.Argument(help="file:PATH, env:NAME or passphrase")],
    config: ConfigOption = None,
    dry_run: DryRunOption = False,
    json_: JsonOption = False,
) -> None:
    """Wrap every key again under another key-encryption key; then change `keys.kek` in mingce.toml.

    Example: mingce keys rotate-kek file:secrets/kek-2027
    """
    home = open_any_home(config)
    if not dry_run:
        home.open_keys().rewrap(open_kek(home.path, new))
    print_result(
        {"kek": new, "dry_run": dry_run},
        [
            say(
                f'已换用 {new}；请把 mingce.toml 的 keys.kek 改为 "{new}"。',
                f'Done; now set keys.kek = "{new}" in mingce.toml.',
            )
        ],
        as_json=json_,
    )


@app.command("export")
def export(
    out: Annotated[Path, typer.Option(help="where to write the public identity")] = Path("identity.json"),
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Write the home's public identity, to be given to the other parties.

    Example: mingce keys export --out bank.identity.json
    """
    identity = open_any_home(config).open_keys().get_public_identity()
    write_atomic(out, identity.to_json())
    print_result(
        {"file": str(out), "fingerprint": identity.fingerprint},
        [say(f"已写入 {out}", f"Wrote {out}"), readable_fingerprint(identity.fingerprint)],
        as_json=json_,
    )


@app.command("fingerprint")
def fingerprint(identity: Annotated[Path, typer.Argument(help="an identity.json")], json_: JsonOption = False) -> None:
    """Show an identity file's fingerprint, for reading over the telephone.

    Example: mingce keys fingerprint province.identity.json
    """
    party = read_identity(identity)
    print_result(
        {"name": party.name, "kind": party.kind, "fingerprint": party.fingerprint},
        [f"{party.name} ({party.kind})", readable_fingerprint(party.fingerprint)],
        as_json=json_,
    )


@app.command("compare")
def compare(
    first: Annotated[Path, typer.Argument(help="an identity.json")],
    second: Annotated[str, typer.Argument(help="another identity.json, or a fingerprint as it was read to you")],
    json_: JsonOption = False,
) -> None:
    """Compare two fingerprints; exit code 6 if they differ.

    Example: mingce keys compare province.identity.json "33b4 01e9 …"
    """
    mine = read_identity(first).fingerprint
    theirs = read_identity(Path(second)).fingerprint if Path(second).is_file() else _plain(second)
    same = mine == theirs
    print_result(
        {"same": same, "first": mine, "second": theirs},
        [
            say("指纹一致。", "The fingerprints are the same.")
            if same
            else say("指纹不一致！不要继续。", "The fingerprints DIFFER. Do not go on.")
        ],
        as_json=json_,
    )
    if not same:
        raise typer.Exit(6)


def _activate(home: Home, dataset: str, epoch: str) -> None:
    missing = open_rotation(home).activate(dataset, epoch)
    if missing:
        notice(
            say("已启用，但各方仍用原来的一期：", "Active, but callers stay with the epoch before: ")
            + say(*CONDITIONS[missing])
        )


def _destruction_line(record: Destruction) -> str:
    state = "" if record.shredded_at else say("（残留未清完，请运行 keys apply）", " (traces left: run `keys apply`)")
    when = format_time(record.destroyed_at)
    return say(
        f"已销毁 {record.dataset}/{record.epoch}  {when}  {record.actor}：{record.reason}{state}",
        f"destroyed {record.dataset}/{record.epoch}  {when}  {record.actor}: {record.reason}{state}",
    )


def _plain(text: str) -> str:
    return "".join(text.split()).replace("-", "").replace(":", "").lower()


def _print_state(dataset: str, epoch: str, state: str, *, dry_run: bool, as_json: bool) -> None:
    word = say("演练：", "dry run: ") if dry_run else ""
    print_result(
        {"dataset": dataset, "epoch": epoch, "state": state, "dry_run": dry_run},
        [f"{word}{dataset}/{epoch} → {state}"],
        as_json=as_json,
    )
