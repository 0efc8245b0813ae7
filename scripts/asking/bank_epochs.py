"""``mingce bank``: fingerprints that two banks compare, and an epoch's end at the bank."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from keys.files import write_atomic
from matcher.bank.fingerprints import (
    Comparison,
    EpochView,
    View,
    compare_code,
    compare_views,
    decode_view,
    encode_view,
    parse_code,
)
from scripts.asking.bank_home import open_store
from scripts.home import ConfigOption, DryRunOption, JsonOption, YesOption, actor, open_home, require_yes
from scripts.language import say
from scripts.messages import Refused
from scripts.output import print_result

app = typer.Typer(add_completion=False)

NOT_COMPARABLE = 4
NOT_AUTHENTIC = 6

PARTS = {
    "signer": ("签名的省财政厅身份", "the province's identity"),
    "public_key": ("密钥期的公钥", "the epoch's public key"),
    "edition": ("同一版本号的清单", "the manifest under one edition number"),
    "chain": ("版本之间的哈希链", "the chain of manifests"),
}


@app.command("fingerprint")
def fingerprint(
    out: Annotated[Path | None, typer.Option(help="also write the file that another bank compares")] = None,
    epoch: Annotated[str | None, typer.Option(help="this epoch only")] = None,
    edition: Annotated[int | None, typer.Option(min=1, help="the code of this edition; else of the newest")] = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """What the province showed this bank, as 30 digits to read over the telephone, or as a file.

    The digits stand for the epoch's key and all editions up to the one named: two banks that
    were shown the same have the same digits.

    Example: mingce bank fingerprint --out 指纹.json
    """
    home = open_home(config, "bank")
    view = open_store(home).views.make(home.open_keys().get_public_identity(), home.clock.now())
    if out is not None:
        write_atomic(out, encode_view(view))
    shown = [each for each in view.epochs if epoch in (None, each.epoch)]
    codes = [
        {
            "dataset": each.dataset,
            "epoch": each.epoch,
            "fingerprint": each.fingerprint,
            "edition": edition or each.latest,
            "code": each.code(edition or each.latest),
        }
        for each in shown
    ]
    lines = [_code_line(each, edition or each.latest) for each in shown]
    if out is not None:
        lines.append(say(f"已写入 {out}，可发给另一家银行比对。", f"Wrote {out}, for another bank to compare."))
    result = {"party": view.party, "epochs": codes, "file": None if out is None else str(out)}
    print_result(result, lines or [say("还没有取得任何版本。", "No edition was fetched yet.")], as_json=json_)


@app.command("compare-fingerprint")
def compare_fingerprint(
    other: Annotated[str, typer.Argument(help="the other bank's file, or the 30 digits that it reads out")],
    epoch: Annotated[str | None, typer.Option(help="of which epoch the digits are; else the newest")] = None,
    edition: Annotated[int | None, typer.Option(min=1, help="of which edition the digits are")] = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Compare what the province showed two banks. A difference is an alarm: exit code 6.

    A file may be altered on its way: read out its digits too. Exit code 4: nothing in common to compare yet.

    Example: mingce bank compare-fingerprint 另一家.json
    """
    home = open_home(config, "bank")
    store = open_store(home)
    mine = store.views.list_epochs()
    theirs: View | None = None
    if Path(other).is_file():
        theirs = decode_view(Path(other).read_bytes())
        found = compare_views(mine, theirs.epochs)
    else:
        found = _compare_digits(mine, other, epoch, edition)
    different = [each for each in found if each.verdict == "different"]
    for each in different:
        store.alarms.sound(each.error)
    lines = [_comparison_line(each) for each in found]
    if theirs is not None:
        lines.append(say(f"对方：{theirs.party}；请电话核对：", f"The other side: {theirs.party}; by telephone:"))
        lines += [_code_line(each, each.latest) for each in theirs.epochs]
    print_result({"same": not different, "epochs": [vars(each) for each in found]}, lines, as_json=json_)
    if different:
        raise typer.Exit(NOT_AUTHENTIC)
    if not any(each.verdict in ("same", "compatible") for each in found):
        raise typer.Exit(NOT_COMPARABLE)


@app.command("forget-epoch")
def forget_epoch(
    epoch: Annotated[str, typer.Argument(help="the epoch that is over")],
    dataset: Annotated[str | None, typer.Option(help="else the `match.dataset` setting")] = None,
    openings: Annotated[
        bool, typer.Option("--openings", help="also what an auditor would need: no batch can be opened after that")
    ] = False,
    early: Annotated[bool, typer.Option("--early", help="although the epoch is not over")] = False,
    yes: YesOption = False,
    config: ConfigOption = None,
    dry_run: DryRunOption = False,
    json_: JsonOption = False,
) -> None:
    """Forget what an epoch's key opened: PRF outputs and slices leave the bank's store for good.

    Results, counts, digests and signed records stay. Copies in backups are not reached: destroy those too.
    Exit code 7 if another process keeps traces of it in the database's files: stop it, then run this again.

    Example: mingce bank forget-epoch 2026 --dry-run
    """
    home = open_home(config, "bank")
    store = open_store(home)
    dataset = dataset or home.settings.match.dataset
    with store.lock():
        found = store.forgetting.preview(dataset, epoch, openings=openings, early=early)
        if not dry_run:
            require_yes(yes, f"遗忘 {dataset} {epoch} 期？不可恢复", f"Forget {dataset} {epoch}? It cannot come back")
            found = store.forget_epoch(dataset, epoch, actor(), openings=openings, early=early)
    prefix = say("演练：将遗忘 ", "dry run: would forget ") if dry_run else say("已遗忘 ", "forgotten: ")
    lines = [
        prefix
        + say(
            f"{dataset} {epoch} 期：{found.customers:,} 个客户的查询结果（{found.batches} 批）",
            f"{dataset} epoch {epoch}: the outputs of {found.customers:,} customers ({found.batches} batches)",
        )
    ]
    if openings:
        lines.append(
            say(
                f"{found.openings} 个批次此后不能再向审计方打开。",
                f"{found.openings} batches can no longer be opened to an auditor.",
            )
        )
    if not found.is_shredded:
        lines.append(
            say(
                "另一进程占用数据库，文件里还有残留；停止它后再运行一次。",
                "Another process uses the database; traces are left in its files. Stop it and run this again.",
            )
        )
    print_result({**vars(found), "dry_run": dry_run}, lines, as_json=json_)
    if not dry_run and not found.is_shredded:
        raise typer.Exit(7)


def _compare_digits(mine: list[EpochView], text: str, epoch: str | None, edition: int | None) -> list[Comparison]:
    if not mine:
        raise Refused(
            "本行还没有取得任何版本",
            "This bank has fetched no edition yet",
            "先运行 mingce bank match，取得后再核对。",
            "Run mingce bank match first, then compare.",
        )
    if edition is not None:
        epoch = epoch or mine[-1].epoch
    found = compare_code(mine, parse_code(text), epoch, edition)
    newest = mine[-1]
    unknown = Comparison(newest.dataset, epoch or newest.epoch, "unlinked", mine=str(newest.latest))
    return [found or unknown]


def _code_line(view: EpochView, edition: int) -> str:
    code = view.code(edition) or say("（没有见过这一版）", "(this edition was not seen)")
    return say(
        f"{view.dataset} {view.epoch} 期第 {edition} 版：{code}",
        f"{view.dataset} epoch {view.epoch} edition {edition}: {code}",
    )


def _comparison_line(found: Comparison) -> str:
    place = say(f"{found.dataset} {found.epoch} 期：", f"{found.dataset} epoch {found.epoch}: ")
    if found.verdict == "different":
        part = say(*PARTS[found.part])
        number = "" if found.edition is None else say(f"（第 {found.edition} 版）", f" (edition {found.edition})")
        return place + say(
            f"不同！省财政厅给两家看到的内容不同：{part}{number}；本方 {found.mine}，对方 {found.theirs}",
            f"DIFFERENT: the province showed two banks different things: {part}{number}; "
            f"mine {found.mine}, theirs {found.theirs}",
        )
    if found.verdict == "same":
        return place + say(f"相同（第 {found.edition} 版）", f"same (edition {found.edition})")
    if found.verdict == "compatible":
        return place + say(
            f"一致，只是一方更新（本方第 {found.mine} 版，对方第 {found.theirs} 版）",
            f"compatible, one is newer (mine {found.mine}, theirs {found.theirs})",
        )
    if found.verdict == "unlinked":
        return place + say(
            "还不能比对：两家没有共同见过足够新的版本；双方各匹配一次后再比",
            "cannot be compared yet: the two have no recent edition in common; let both match once and compare again",
        )
    whose = say("只有本行见过", "only this bank saw it") if found.verdict == "only_mine" else ""
    return place + (whose or say("只有对方见过", "only the other bank saw it"))
