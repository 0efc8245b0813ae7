"""``mingce backup``: a home as one sealed file, and back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from nacl.public import PrivateKey

from keys.backupfile import SUFFIX, BackupKeyInvalid, BackupRecipient, create_backup_key, open_backup_key
from keys.clock import SystemClock
from keys.files import write_atomic
from keys.identity import PublicIdentity, readable_fingerprint
from matcher.keeping.backup import Made, Observer, create_backup, plan_backup, restore_backup, verify_backup
from matcher.keeping.packing import BackupList
from matcher.keeping.settling import Settled, settle_with_loss, settle_without_loss
from scripts.home import ConfigOption, DryRunOption, Home, JsonOption, actor, open_any_home, read_identity
from scripts.keyring.signing import PassphraseFileOption, open_operator, read_file, read_passphrase
from scripts.language import say
from scripts.messages import Refused, require_file
from scripts.output import Steps, print_result, progress_bars

app = typer.Typer(no_args_is_help=True, help="备份与恢复。 Backups of a home, and back.")

FileArgument = Annotated[Path, typer.Argument(help=f"the backup (….{SUFFIX[1:]})")]
KeyOption = Annotated[Path, typer.Option("--key", help="the backup key, from `mingce backup keygen`")]
IdentityOption = Annotated[
    Path | None, typer.Option("--identity", help="the party's identity.json: refuse a backup that another one signed")
]

TITLES = {
    "freeze": ("定格", "freeze"),
    "check": ("检查副本", "check the copy"),
    "write": ("写入", "write"),
    "read back": ("读回核对", "read back"),
    "restore": ("恢复", "restore"),
}


class _Shown(Observer):
    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    def begin(self, title: str, total: int | None = None) -> None:
        self._steps.begin(say(*TITLES[title]), total)

    def advance_to(self, done: int) -> None:
        self._steps.advance_to(done)


@app.command()
def keygen(
    name: Annotated[str, typer.Argument(help="who keeps the key, such as 省厅信息中心")],
    out: Annotated[Path, typer.Option(help="the key file; it never comes near the host that is backed up")],
    passphrase_file: PassphraseFileOption = None,
    json_: JsonOption = False,
) -> None:
    """Make a backup key on another machine, wrapped under a passphrase of 12 characters or more, and its public half.

    Example: mingce backup keygen 信息中心 --out backup.key
    """
    public_file = out.with_name(f"{out.name}.pub")
    for path in (out, public_file):
        if path.exists():
            raise Refused(f"{path} 已存在，不会覆盖", f"{path} exists; it is never overwritten")
    key, recipient = create_backup_key(name, read_passphrase(passphrase_file, confirm=True), os.urandom)
    write_atomic(out, key)
    write_atomic(public_file, recipient.to_json())
    print_result(
        {"key": str(out), "public": str(public_file), "public_key": recipient.public_key.hex()},
        [
            say(f"密钥 {out}：离线保管，不要放到被备份的主机上。", f"Keep {out} offline, never on the host."),
            say(
                f"公钥 {public_file}：放到主机上，写入 mingce.toml 的 [backup] recipient。",
                f"Put {public_file} on the host and name it in mingce.toml, [backup] recipient.",
            ),
            readable_fingerprint(recipient.public_key.hex()),
        ],
        as_json=json_,
    )


@app.command()
def create(
    out: Annotated[Path | None, typer.Option(help="the file to write; else a new one in the `backup.folder`")] = None,
    recipient: Annotated[Path | None, typer.Option(help="else the `backup.recipient` setting")] = None,
    config: ConfigOption = None,
    dry_run: DryRunOption = False,
    json_: JsonOption = False,
) -> None:
    """Back the home up while it works: frozen in a moment, checked on the copy, sealed, read back.

    Example: mingce backup create --config province
    """
    home = open_any_home(config)
    to = _recipient(home, recipient)
    target = (out or home.resolve(home.settings.backup.folder) / _file_name(home)).resolve()
    if target.is_relative_to(home.path):
        raise Refused("备份须写到本目录之外", "A backup is written outside the home")
    if dry_run:
        _print_made(plan_backup(home.path, target, _kek_file(home)), to, dry_run=True, as_json=json_)
        return
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    identity = home.open_keys().get_identity()
    with progress_bars(quiet=json_) as steps:
        made = create_backup(
            home.path,
            target,
            to,
            identity,
            home.clock,
            software=version("mingce"),
            never=_kek_file(home),
            observer=_Shown(steps),
        )
    _print_made(made, to, dry_run=False, as_json=json_)


@app.command()
def verify(
    file: FileArgument,
    key: KeyOption,
    identity: IdentityOption = None,
    passphrase_file: PassphraseFileOption = None,
    json_: JsonOption = False,
) -> None:
    """Read a whole backup and compare every file with its signed list. Writes nothing.

    Example: mingce backup verify province.mcbk --key backup.key
    """
    opened, expected = _open_key(key, passphrase_file), _expected(identity)
    with progress_bars(quiet=json_) as steps:
        listed = verify_backup(require_file(file), opened, expected, _Shown(steps))
    print_result(_describe(listed), [*_lines(listed), say("备份完好。", "The backup is sound.")], as_json=json_)


@app.command()
def restore(
    file: FileArgument,
    folder: Annotated[Path, typer.Argument(help="the new home: missing, or empty")],
    key: KeyOption,
    identity: IdentityOption = None,
    passphrase_file: PassphraseFileOption = None,
    dry_run: DryRunOption = False,
    json_: JsonOption = False,
) -> None:
    """Make an empty folder the home that was backed up, whole or not at all. It then waits for `backup settle`.

    Example: mingce backup restore province.mcbk province --key backup.key
    """
    opened, expected = _open_key(key, passphrase_file), _expected(identity)
    with progress_bars(quiet=json_) as steps:
        if dry_run:
            listed = verify_backup(require_file(file), opened, expected, _Shown(steps))
        else:
            listed = restore_backup(
                require_file(file),
                opened,
                folder,
                SystemClock(),
                actor=actor(),
                expected=expected,
                observer=_Shown(steps),
            )
    print_result(
        {"home": str(folder), "dry_run": dry_run, **_describe(listed)},
        [
            *_lines(listed),
            say(f"将恢复到 {folder}", f"Would restore to {folder}")
            if dry_run
            else say(f"已恢复到 {folder}", f"Restored to {folder}"),
            say(
                "下一步：放回 secrets/（密钥加密密钥见 mingce shares combine），再运行 mingce backup settle。",
                "Next: put secrets/ back (the key-encryption key: mingce shares combine), then mingce backup settle.",
            ),
        ],
        as_json=json_,
    )


@app.command()
def settle(
    reason: Annotated[str, typer.Option(help="what happened, for the records; the second operator need not")] = "",
    nothing_lost: Annotated[
        bool | None,
        typer.Option(
            "--nothing-lost/--something-lost",
            help="the old home did nothing after the backup, as it was stopped first: two operators sign that;"
            " or nobody can be sure of it",
        ),
    ] = None,
    operator: Annotated[
        Path | None,
        typer.Option("--operator", help="your own key file, for --nothing-lost; registered before the backup"),
    ] = None,
    passphrase_file: PassphraseFileOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Let a restored home work again. If something may be lost, a sender's epochs end: the next one begins anew.

    That nothing was lost takes two operators, who run this in turn. Exit code 4 while the second is missing.

    Example: mingce backup settle --something-lost --reason 磁盘损坏 --config province
    """
    if nothing_lost is None:
        raise Refused(
            "请说明：--nothing-lost（备份之后原主机什么也没做），或 --something-lost（不能确定）",
            "Say which: --nothing-lost (the old home did nothing after the backup) or --something-lost (not sure)",
        )
    home = open_any_home(config)
    if not nothing_lost:
        settled = settle_with_loss(home.path, home.clock, actor=actor(), reason=reason)
    elif operator is None:
        raise Refused(
            "“没有丢失”须由两人签署：请用 --operator 给出本人密钥文件",
            "Two operators sign that nothing was lost: give your key file with --operator",
        )
    else:
        signer = open_operator(operator, passphrase_file)
        settled = settle_without_loss(home.path, home.clock, signer, actor=actor(), reason=reason)
    print_result(vars(settled), list(_settled_lines(settled)), as_json=json_)
    if settled.waits:
        raise typer.Exit(4)


def _settled_lines(settled: Settled) -> Iterator[str]:
    if settled.waits:
        yield say(
            "已签署，等待另一名复核人用自己的密钥运行同一命令。",
            "Signed; another operator runs the same command with their own key.",
        )
        return
    yield say("已登记，可以继续工作。", "Recorded; the home works again.")
    if settled.ended_epochs:
        ended = say("、", ", ").join(settled.ended_epochs)
        yield say(f"已停用的密钥期：{ended}", f"Epochs that ended: {ended}")
        yield say(
            "下一步：用从未用过的名字建新密钥期（mingce keys create-epoch），再申报、发布。",
            "Next: create an epoch under a name that was never used, then declare and publish.",
        )
    elif not settled.nothing_lost:
        yield say(
            "下一步：按 docs/how-to/back-up-and-restore.md 与对方逐项核对备份之后的往来。",
            "Next: compare with the others what happened after the backup (docs/how-to/back-up-and-restore.md).",
        )


def _recipient(home: Home, given: Path | None) -> BackupRecipient:
    path = given or (home.settings.backup.recipient and home.resolve(home.settings.backup.recipient))
    if path is None:
        raise Refused(
            "还没有备份公钥：在另一台机器上运行 mingce backup keygen，把公钥写入 [backup] recipient",
            "No backup key: run mingce backup keygen on another machine and name its public half in [backup] recipient",
        )
    return BackupRecipient.from_json(read_file(path))


def _file_name(home: Home) -> str:
    return f"{home.path.name}-{home.clock.now():%Y%m%dT%H%M%SZ}{SUFFIX}"


def _kek_file(home: Home) -> tuple[Path, ...]:
    """The key-encryption key's file, which is in no backup, wherever it is."""
    kind, _, rest = home.settings.keys.kek.partition(":")
    return (home.resolve(Path(rest)),) if kind == "file" else ()


def _open_key(path: Path, passphrase_file: Path | None) -> PrivateKey:
    content = read_file(path)
    if b"wrapped_key" not in content:
        raise BackupKeyInvalid("the public half opens nothing")
    return open_backup_key(content, read_passphrase(passphrase_file))


def _expected(identity: Path | None) -> PublicIdentity | None:
    return None if identity is None else read_identity(identity)


def _describe(listed: BackupList) -> dict[str, object]:
    return {
        "party": listed.identity.kind,
        "name": listed.identity.name,
        "fingerprint": listed.identity.fingerprint,
        "made_at": listed.made_at,
        "software": listed.software,
        "files": len(listed.files),
        "bytes": listed.total_bytes,
        "left_out": list(listed.left_out),
        "audit": {name: {"seq": seq, "hash": digest} for name, (seq, digest) in listed.audit.items()},
    }


def _lines(listed: BackupList) -> list[str]:
    name, at, files = listed.identity.name, listed.made_at, f"{len(listed.files):,}"
    return [
        say(
            f"{name} 的备份，{at}，{files} 个文件，{listed.total_bytes:,} 字节",
            f"A backup of {name}, {at}, {files} files, {listed.total_bytes:,} bytes",
        ),
        say("签署者指纹：", "Signed by: ") + readable_fingerprint(listed.identity.fingerprint),
    ]


def _print_made(made: Made, recipient: BackupRecipient, *, dry_run: bool, as_json: bool) -> None:
    print_result(
        {
            "file": str(made.file),
            "files": made.files,
            "bytes": made.bytes,
            "left_out": list(made.left_out),
            "audit": {name: {"seq": seq, "hash": digest} for name, (seq, digest) in made.audit.items()},
            "recipient": recipient.public_key.hex(),
            "dry_run": dry_run,
        },
        [
            (say("将写入", "Would write") if dry_run else say("已写入", "Wrote"))
            + say(
                f" {made.file}：{made.files:,} 个文件，{made.bytes:,} 字节，只有 {recipient.name} 的密钥能打开",
                f" {made.file}: {made.files:,} files, {made.bytes:,} bytes; only {recipient.name}'s key opens it",
            ),
            say("不在备份里：", "Left out: ") + say("、", ", ").join(made.left_out),
        ],
        as_json=as_json,
    )
