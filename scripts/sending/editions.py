"""``mingce province import``, ``encode``, ``publish``, ``refresh`` and ``rollback``: the life of an edition."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from matcher.keeping.refreshed import noting_refresh
from matcher.province.plan import DatasetPlan, Observer, Outcome
from matcher.province.publisher import Publisher
from matcher.rejects import Reject, write_rejects
from scripts.home import ConfigOption, DryRunOption, Home, JsonOption, actor, open_home
from scripts.language import say
from scripts.messages import Refused, require_file
from scripts.output import Steps, notice, print_result, progress_bars
from scripts.sending.datasets import DatasetOption, chosen_dataset, schema_of
from scripts.sending.ledgers import current_epoch, open_ledger

app = typer.Typer(add_completion=False)

SourceOption = Annotated[Path | None, typer.Option("--source", help="the list; else the dataset's `source` setting")]
AcceptShrinkOption = Annotated[
    bool, typer.Option("--accept-shrink", help="publish although many rows are gone: you have looked at the list")
]
ChangesOption = Annotated[
    Path | None, typer.Option("--changes", help="in place of the list what changed in it: its columns, and 操作")
]
SinceOption = Annotated[
    int | None, typer.Option("--since", min=1, help="refuse the change list unless this edition is the one it changes")
]
EpochOption = Annotated[str | None, typer.Option(help="this epoch only; else all that are served")]
FullOption = Annotated[bool, typer.Option("--full", help="make a full edition, though a delta would do")]

_MISFITS = "Some rows did not fit the list and were taken in as they stand; list them with --rejects FILE."

STEP_NAMES = {
    "look": ("检查来源", "look at the source"),
    "read": ("读取并校验", "read and check"),
    "stage": ("去重并封存", "sort out and seal"),
    "compare": ("比对变化", "compare"),
    "encode": ("加密编码", "encode"),
    "write slices": ("写入分片", "write slices"),
    "write manifest": ("签发清单", "sign the manifest"),
    "write state": ("保存状态", "write state"),
    "flush": ("落盘", "flush to disk"),
    "check": ("回读校验", "check from disk"),
    "record": ("登记发布", "record"),
    "prune": ("检查旧版本", "look for old editions"),
    "remove": ("清理旧版本", "remove old editions"),
    "done": ("完成", "done"),
}


class BarObserver(Observer):
    """Shows the steps as they come."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    def step(self, name: str, total: int | None = None) -> None:
        self._steps.begin(say(*STEP_NAMES[name]), total)

    def progress(self, done: int) -> None:
        self._steps.advance_to(done)


@app.command("import")
def import_(
    dataset: DatasetOption = None,
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
            dataset_plan(home, dataset), list_source(home, dataset, source), BarObserver(steps), dry_run=dry_run
        )
    if rejects is not None:
        write_rejects(rejects, refused)
    elif refused:
        notice(say("有退回行，用 --rejects 文件名 导出明细。", "Rows were refused; list them with --rejects FILE."))
    _print_outcome(outcome, as_json=json_)


@app.command()
def encode(
    dataset: DatasetOption = None,
    accept_shrink: AcceptShrinkOption = False,
    full: FullOption = False,
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
            dataset_plan(home, dataset),
            accept_shrink=accept_shrink,
            full=full,
            dry_run=dry_run,
            observer=BarObserver(steps),
        )
    _print_outcome(outcome, as_json=json_)


@app.command()
def publish(
    dataset: DatasetOption = None,
    config: ConfigOption = None,
    dry_run: DryRunOption = False,
    json_: JsonOption = False,
) -> None:
    """Make the encoded edition the one that is served.

    Example: mingce province publish
    """
    home = open_home(config, "province")
    with progress_bars(quiet=json_) as steps:
        outcome = _publisher(home).publish(dataset_plan(home, dataset), BarObserver(steps), dry_run=dry_run)
    _print_outcome(outcome, as_json=json_)


@app.command()
def refresh(
    dataset: DatasetOption = None,
    source: SourceOption = None,
    changes: ChangesOption = None,
    since: SinceOption = None,
    accept_shrink: AcceptShrinkOption = False,
    full: FullOption = False,
    epoch: EpochOption = None,
    rejects: Annotated[Path | None, typer.Option(help="where refused rows are listed (CSV)")] = None,
    config: ConfigOption = None,
    dry_run: DryRunOption = False,
    json_: JsonOption = False,
) -> None:
    """For cron: publish a new edition if the list changed or the last one is a week old. One line says what happened.

    While a new epoch takes over from an old one, both are refreshed, with a line for each. One that was killed, or
    found the disk full, is simply run again: rows that were sealed already are not sealed again.

    With --changes only who came, changed or left is read, and the time it takes grows with that, not with the list.
    The same list again changes nothing.

    Exit codes: 0 published or unchanged; 3 the list cannot be read; 4 it looks wrong (empty, shrunken, rolled
    back before, changes that do not fit the edition) and waits for an operator; 7 another refresh is at work.

    Example: mingce province refresh --json

    Example: mingce province refresh --changes 变更.csv --since 12
    """
    home = open_home(config, "province")
    if changes is not None and source is not None:
        raise Refused("--source 与 --changes 只能用一个", "Either --source or --changes")
    if since is not None and changes is None:
        raise Refused("--since 只用于 --changes", "--since goes with --changes")
    outcomes: list[Outcome] = []
    refused: list[Reject] = []
    noting = nullcontext() if dry_run else noting_refresh(home.path, chosen_dataset(home, dataset), home.clock)
    with noting, progress_bars(quiet=json_) as steps:
        file = list_source(home, dataset, source or changes)
        for each in [epoch] if epoch else served_epochs(home, dataset):
            outcome, found = _publisher(home).refresh(
                dataset_plan(home, dataset, each),
                file,
                changes=changes is not None,
                since=since,
                accept_shrink=accept_shrink,
                full=full,
                dry_run=dry_run,
                observer=BarObserver(steps),
            )
            outcomes.append(outcome)
            refused = found or refused
    if rejects is not None:
        write_rejects(rejects, refused)
    elif any(each.misfits for each in outcomes):
        notice(say("有变更行与名单不符，已按所写内容并入；用 --rejects 文件名 导出明细。", _MISFITS))
    if not dry_run:
        open_ledger(home).prune(home.clock.now())
    current, *others = outcomes
    result = {**current.as_dict(), **({"other_epochs": [each.as_dict() for each in others]} if others else {})}
    print_result(result, [outcome_line(each) for each in outcomes], as_json=json_)


@app.command()
def rollback(
    to: Annotated[int, typer.Option(min=1, help="the edition whose content is published again")],
    reason: Annotated[str, typer.Option(help="why; it stands in the audit")],
    dataset: DatasetOption = None,
    config: ConfigOption = None,
    dry_run: DryRunOption = False,
    json_: JsonOption = False,
) -> None:
    """Publish what an earlier edition said, under a new and higher number. Banks follow with their next match.

    The list file rolled back from is not published again by a refresh; mend it first.

    Example: mingce province rollback --to 12 --reason 导出名单缺少两个镇
    """
    home = open_home(config, "province")
    with progress_bars(quiet=json_) as steps:
        outcome = _publisher(home).rollback(
            dataset_plan(home, dataset), to, reason=reason, actor=actor(), dry_run=dry_run, observer=BarObserver(steps)
        )
    _print_outcome(outcome, as_json=json_)


def _publisher(home: Home) -> Publisher:
    return Publisher(home.path, home.open_keys(), open_ledger(home), home.clock)


def served_epochs(home: Home, given: str | None) -> list[str]:
    """The current epoch first and, while another takes over from it, every other one that is served."""
    dataset = chosen_dataset(home, given)
    current, now = current_epoch(open_ledger(home), dataset), home.clock.now()
    epochs = home.open_keys().list_epochs(dataset)
    others = [each.epoch for each in epochs if each.state == "active" and now <= each.not_after]
    return [current, *(name for name in others if name != current)]


def dataset_plan(home: Home, given: str | None, epoch: str | None = None) -> DatasetPlan:
    """How a dataset is published in ``epoch``, else in the current one."""
    dataset = chosen_dataset(home, given)
    settings = home.settings.dataset[dataset]
    return DatasetPlan(
        dataset=dataset,
        epoch=epoch or current_epoch(open_ledger(home), dataset),
        schema=schema_of(home, dataset),
        label_width=settings.label_width,
        division=settings.division,
        bucket=settings.bucket,
        duplicates=settings.duplicates,
        shrink_limit=settings.shrink_limit,
        delta_limit=settings.delta_limit,
        renew_days=settings.renew_days,
        keep_editions=settings.keep_editions,
        columns=settings.columns,
    )


def list_source(home: Home, dataset: str | None, given: Path | None) -> Path:
    source = given or home.settings.dataset[chosen_dataset(home, dataset)].source
    if source is None:
        raise Refused(
            "没有指定名单文件；用 --source 或在 mingce.toml 设置 source",
            "No source; use --source or set `source` in mingce.toml",
        )
    return require_file(given if given is not None else home.resolve(source))


OUTCOMES = {
    "imported": ("已导入", "imported"),
    "encoded": ("已编码，待发布", "encoded, not yet published"),
    "published": ("已发布", "published"),
    "rolled_back": ("已回退发布", "rolled back"),
    "unchanged": ("名单无变化，未发布新版本", "unchanged, nothing published"),
    "would_encode": ("演练：将编码", "dry run: would encode"),
    "would_publish": ("演练：将发布", "dry run: would publish"),
    "would_roll_back": ("演练：将回退", "dry run: would roll back"),
    "checked": ("演练：可导入", "dry run: can be imported"),
}


KINDS = {"full": ("（全量）", " (full)"), "delta": ("（增量）", " (delta)"), "": ("", "")}


def _print_outcome(outcome: Outcome, *, as_json: bool) -> None:
    print_result(outcome.as_dict(), [outcome_line(outcome)], as_json=as_json)


def outcome_line(outcome: Outcome) -> str:
    """What became of a list, in one line."""
    edition = "" if outcome.edition is None else say(f" 第 {outcome.edition} 版", f" edition {outcome.edition}")
    edition += say(*KINDS[outcome.kind])
    return say(
        f"{outcome.dataset} {outcome.epoch} 期{edition}：{OUTCOMES[outcome.outcome][0]}；共 {outcome.rows:,} 行，"
        f"新增 {outcome.added:,}、变更 {outcome.changed:,}、退出 {outcome.removed:,}、退回 {outcome.rejected:,}",
        f"{outcome.dataset} epoch {outcome.epoch}{edition}: {OUTCOMES[outcome.outcome][1]}; {outcome.rows:,} rows, "
        f"{outcome.added:,} added, {outcome.changed:,} changed, {outcome.removed:,} removed, "
        f"{outcome.rejected:,} refused",
    )
