"""``mingce province``: hold the base list, publish editions, serve evaluations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from api.province import serve_province
from keys.clock import SystemClock
from keys.files import make_folder, write_atomic
from keys.receipts import export_receipt_keys
from matcher.province.ledger import Ledger
from matcher.province.publisher import DatasetPlan, Observer, Outcome, Publisher
from matcher.rejects import write_rejects
from psi.edition import LabelSchema
from scripts import templates
from scripts.home import ConfigOption, DryRunOption, Home, JsonOption, create_home, open_home, read_identity
from scripts.language import say
from scripts.messages import Refused
from scripts.output import Steps, notice, print_result, progress_bars

app = typer.Typer(no_args_is_help=True, help="省财政厅：发布名单、提供匹配。 Publish editions, answer evaluations.")

DatasetOption = Annotated[str, typer.Option(help="which dataset of mingce.toml")]
SourceOption = Annotated[Path | None, typer.Option("--source", help="the list; else the dataset's `source` setting")]
AcceptShrinkOption = Annotated[
    bool, typer.Option("--accept-shrink", help="publish although many rows are gone: you have looked at the list")
]

STEP_NAMES = {
    "look": ("检查来源", "look at the source"),
    "read": ("读取并校验", "read and check"),
    "stage": ("保存", "stage"),
    "compare": ("比对变化", "compare"),
    "encode": ("加密编码", "encode"),
    "write slices": ("写入分片", "write slices"),
    "write manifest": ("签发清单", "sign the manifest"),
    "write state": ("保存状态", "write state"),
    "flush": ("落盘", "flush to disk"),
    "check": ("回读校验", "check from disk"),
    "record": ("登记发布", "record"),
    "done": ("完成", "done"),
}


class _BarObserver(Observer):
    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    def step(self, name: str, total: int | None = None) -> None:
        self._steps.begin(say(*STEP_NAMES[name]), total)

    def progress(self, done: int) -> None:
        self._steps.advance_to(done)


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="the new home")],
    name: Annotated[str, typer.Option(help="who this is")] = "省财政厅",
    dataset: DatasetOption = "base",
    json_: JsonOption = False,
) -> None:
    """Make a province's home: configuration, keys, an empty ledger.

    Example: mingce province init province --name 浙江省财政厅
    """
    home = create_home(folder, "province", name, templates.province(name, dataset), SystemClock())
    ledger = Ledger.open(home.path, home.clock)
    ledger.register_dataset(
        dataset,
        title=home.settings.dataset[dataset].title,
        label_schema=_label(home, dataset).model_dump(mode="json", by_alias=True),
    )
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


@app.command("register")
def register(
    identity: Annotated[Path, typer.Argument(help="the bank's or bureau's identity.json")],
    division: Annotated[list[str], typer.Option("--division", help="a county it may match, six digits; repeat")],
    customers: Annotated[int, typer.Option(min=0, help="declared customers; the budget is 1.1 times that")] = 0,
    dataset: DatasetOption = "base",
    epoch: Annotated[str | None, typer.Option(help="else the dataset's current epoch")] = None,
    config: ConfigOption = None,
    dry_run: DryRunOption = False,
    json_: JsonOption = False,
) -> None:
    """Register a bank or bureau: what it may match and how many numbers it may ask.

    Example: mingce province register bank.identity.json --division 330922 --customers 50000
    """
    home = open_home(config, "province")
    party = read_identity(identity)
    ledger = Ledger.open(home.path, home.clock)
    epoch = epoch or _current_epoch(ledger, dataset)
    limit = customers + -(-customers // 10)
    if not dry_run:
        ledger.register_party(party)
        ledger.grant(party.fingerprint, dataset, divisions=division)
        ledger.set_budget(party.fingerprint, dataset, epoch, limit)
    print_result(
        {
            "party": party.name,
            "fingerprint": party.fingerprint,
            "dataset": dataset,
            "epoch": epoch,
            "divisions": division,
            "budget": limit,
            "dry_run": dry_run,
        },
        [
            say(
                f"{party.name}（{party.kind}） 指纹 {party.fingerprint}",
                f"{party.name} ({party.kind}), {party.fingerprint}",
            ),
            say(
                f"可匹配 {'、'.join(division)}，{epoch} 期额度 {limit:,} 个号码",
                f"may match {', '.join(division)}; {limit:,} numbers in epoch {epoch}",
            ),
            say("请通过电话与对方核对指纹。", "Compare the fingerprint with them by telephone."),
        ],
        as_json=json_,
    )


@app.command("import")
def import_(
    dataset: DatasetOption = "base",
    source: SourceOption = None,
    rejects: Annotated[Path | None, typer.Option(help="where refused rows are listed (CSV)")] = None,
    config: ConfigOption = None,
    dry_run: DryRunOption = False,
    json_: JsonOption = False,
) -> None:
    """Read and check a base list and keep it, sealed, for `encode`.

    Example: mingce province import --source 基础名单.xlsx --rejects 退回.csv
    """
    home = open_home(config, "province")
    with progress_bars(quiet=json_) as steps:
        outcome, refused = _publisher(home).import_list(
            _plan(home, dataset), _source(home, dataset, source), _BarObserver(steps), dry_run=dry_run
        )
    if rejects is not None:
        write_rejects(rejects, refused)
    elif refused:
        notice(say("有退回行，用 --rejects 文件名 导出明细。", "Rows were refused; list them with --rejects FILE."))
    _print_outcome(outcome, as_json=json_)


@app.command()
def encode(
    dataset: DatasetOption = "base",
    accept_shrink: AcceptShrinkOption = False,
    config: ConfigOption = None,
    dry_run: DryRunOption = False,
    json_: JsonOption = False,
) -> None:
    """Build the next edition from the imported list; `publish` makes it the one served.

    Example: mingce province encode
    """
    home = open_home(config, "province")
    with progress_bars(quiet=json_) as steps:
        outcome = _publisher(home).encode(
            _plan(home, dataset), accept_shrink=accept_shrink, dry_run=dry_run, observer=_BarObserver(steps)
        )
    _print_outcome(outcome, as_json=json_)


@app.command()
def publish(
    dataset: DatasetOption = "base",
    config: ConfigOption = None,
    dry_run: DryRunOption = False,
    json_: JsonOption = False,
) -> None:
    """Make the encoded edition the one that is served.

    Example: mingce province publish
    """
    home = open_home(config, "province")
    with progress_bars(quiet=json_) as steps:
        outcome = _publisher(home).publish(_plan(home, dataset), _BarObserver(steps), dry_run=dry_run)
    _print_outcome(outcome, as_json=json_)


@app.command()
def refresh(
    dataset: DatasetOption = "base",
    source: SourceOption = None,
    accept_shrink: AcceptShrinkOption = False,
    rejects: Annotated[Path | None, typer.Option(help="where refused rows are listed (CSV)")] = None,
    config: ConfigOption = None,
    dry_run: DryRunOption = False,
    json_: JsonOption = False,
) -> None:
    """For cron: publish a new edition if the list changed, and only then. One line says what happened.

    Exit codes: 0 published or unchanged; 3 the list cannot be read; 4 it looks wrong (empty, shrunken) and
    waits for an operator; 7 another refresh is at work.

    Example: mingce province refresh --json
    """
    home = open_home(config, "province")
    with progress_bars(quiet=json_) as steps:
        outcome, refused = _publisher(home).refresh(
            _plan(home, dataset),
            _source(home, dataset, source),
            accept_shrink=accept_shrink,
            dry_run=dry_run,
            observer=_BarObserver(steps),
        )
    if rejects is not None:
        write_rejects(rejects, refused)
    if not dry_run:
        Ledger.open(home.path, home.clock).prune(home.clock.now())
    _print_outcome(outcome, as_json=json_)


@app.command()
def serve(
    config: ConfigOption = None,
    host: Annotated[str | None, typer.Option(help="else the `serve.host` setting")] = None,
    port: Annotated[int | None, typer.Option(help="else the `serve.port` setting; 0 picks a free one")] = None,
    address_file: Annotated[Path | None, typer.Option(help="write the address here once connections are taken")] = None,
) -> None:
    """Answer banks until stopped (Ctrl-C or SIGTERM lets running requests finish).

    Example: mingce province serve --port 8443
    """
    home = open_home(config, "province")
    settings = home.settings.serve
    address = host or settings.host

    def listening(bound_port: int) -> None:
        url = f"http://{address}:{bound_port}"
        if address_file is not None:
            write_atomic(address_file, url.encode())
        notice(say(f"正在服务：{url}（Ctrl-C 停止）", f"Serving {url} (Ctrl-C stops)"))

    serve_province(
        home.path,
        home.open_keys(),
        Ledger.open(home.path, home.clock),
        home.clock,
        host=address,
        port=settings.port if port is None else port,
        workers=settings.workers,
        on_listening=listening,
    )


@app.command("export-receipt-keys")
def export_receipt_keys_(
    bureau: Annotated[Path, typer.Argument(help="the bureau's identity.json")],
    division: Annotated[list[str], typer.Option("--division", help="its counties, six digits; repeat")],
    out: Annotated[Path, typer.Option(help="the sealed file to hand over")] = Path("receipt-keys.mck"),
    dataset: DatasetOption = "base",
    epoch: Annotated[str | None, typer.Option(help="else the dataset's current epoch")] = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Give a bureau the keys by which it checks that a candidate really matched. Sealed to its identity.

    Example: mingce province export-receipt-keys bureau.identity.json --division 330922
    """
    home = open_home(config, "province")
    recipient = read_identity(bureau)
    keystore = home.open_keys()
    epoch = epoch or _current_epoch(Ledger.open(home.path, home.clock), dataset)
    make_folder(out.parent)
    write_atomic(out, export_receipt_keys(keystore, recipient, dataset, epoch, division))
    print_result(
        {"file": str(out), "bureau": recipient.fingerprint, "dataset": dataset, "epoch": epoch, "divisions": division},
        [say(f"已写入 {out}，只有 {recipient.name} 能打开。", f"Wrote {out}; only {recipient.name} can open it.")],
        as_json=json_,
    )


@app.command()
def status(config: ConfigOption = None, json_: JsonOption = False) -> None:
    """Datasets, epochs, editions and budgets at a glance.

    Example: mingce province status --json
    """
    home = open_home(config, "province")
    ledger, keystore = Ledger.open(home.path, home.clock), home.open_keys()
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
    print_result({"epochs": result}, lines or [say("还没有密钥期。", "No epoch yet.")], as_json=json_)


def _publisher(home: Home) -> Publisher:
    return Publisher(home.path, home.open_keys(), Ledger.open(home.path, home.clock), home.clock)


def _label(home: Home, dataset: str) -> LabelSchema:
    return LabelSchema(width=home.settings.dataset[dataset].label_width)


def _plan(home: Home, dataset: str) -> DatasetPlan:
    if dataset not in home.settings.dataset:
        raise Refused(f"mingce.toml 里没有名单 {dataset}", f"No dataset {dataset} in mingce.toml")
    settings = home.settings.dataset[dataset]
    return DatasetPlan(
        dataset=dataset,
        epoch=_current_epoch(Ledger.open(home.path, home.clock), dataset),
        label=_label(home, dataset),
        bucket=settings.bucket,
        duplicates=settings.duplicates,
        shrink_limit=settings.shrink_limit,
        columns=settings.columns,
    )


def _current_epoch(ledger: Ledger, dataset: str) -> str:
    epoch = ledger.get_dataset(dataset).current_epoch
    if epoch is None:
        raise Refused(
            f"名单 {dataset} 还没有密钥期；先运行 mingce keys create-epoch {dataset} 2026 --activate",
            f"Dataset {dataset} has no epoch yet; run mingce keys create-epoch {dataset} 2026 --activate",
        )
    return epoch


def _source(home: Home, dataset: str, given: Path | None) -> Path:
    source = given or home.settings.dataset[dataset].source
    if source is None:
        raise Refused(
            "没有指定名单文件；用 --source 或在 mingce.toml 设置 source",
            "No source; use --source or set `source` in mingce.toml",
        )
    path = given if given is not None else home.resolve(source)
    if not path.is_file():
        raise Refused(f"没有文件 {path}", f"No file {path}")
    return path


OUTCOMES = {
    "imported": ("已导入", "imported"),
    "encoded": ("已编码，待发布", "encoded, not yet published"),
    "published": ("已发布", "published"),
    "unchanged": ("名单无变化，未发布新版本", "unchanged, nothing published"),
    "would_encode": ("演练：将编码", "dry run: would encode"),
    "would_publish": ("演练：将发布", "dry run: would publish"),
    "checked": ("演练：可导入", "dry run: can be imported"),
}


def _print_outcome(outcome: Outcome, *, as_json: bool) -> None:
    edition = "" if outcome.edition is None else say(f" 第 {outcome.edition} 版", f" edition {outcome.edition}")
    line = say(
        f"{outcome.dataset} {outcome.epoch} 期{edition}：{OUTCOMES[outcome.outcome][0]}；共 {outcome.rows:,} 行，"
        f"新增 {outcome.added:,}、变更 {outcome.changed:,}、退出 {outcome.removed:,}、退回 {outcome.rejected:,}",
        f"{outcome.dataset} epoch {outcome.epoch}{edition}: {OUTCOMES[outcome.outcome][1]}; {outcome.rows:,} rows, "
        f"{outcome.added:,} added, {outcome.changed:,} changed, {outcome.removed:,} removed, "
        f"{outcome.rejected:,} refused",
    )
    print_result(outcome.as_dict(), [line], as_json=as_json)
