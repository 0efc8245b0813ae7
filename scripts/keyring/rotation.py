"""``mingce keys plan`` and ``apply``: the rotation's steps in words, and doing them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from keys.clock import format_time, parse_time
from keys.rotation import DONE_BY_APPLY, Step
from matcher.province.rotation import Rotation
from scripts.home import ConfigOption, DryRunOption, Home, JsonOption, actor, open_home
from scripts.language import say
from scripts.messages import Refused
from scripts.output import print_result
from scripts.sending.ledgers import open_ledger

NEEDS_AN_OPERATOR = 4

KINDS = {
    "create": ("建立", "create"),
    "activate": ("启用", "activate"),
    "publish": ("发布", "publish"),
    "make_current": ("切换", "make current"),
    "expire": ("停用", "expire"),
    "destroy": ("销毁", "destroy"),
    "warn": ("注意", "warning"),
}

REASONS = {
    "next_epoch": (
        "{previous} 期结束前 {days} 天建立下一期，有效期至 {not_after}",
        "{days} days before epoch {previous} ends; valid until {not_after}",
    ),
    "first_epoch": ("没有启用的密钥期，随即启用", "no epoch is active, so at once"),
    "overlap": (
        "{previous} 期结束前 {days} 天启用，此后新旧两期同时服务",
        "{days} days before epoch {previous} ends; both are served from here on",
    ),
    "first_edition": (
        "本期还没有版本；由 mingce province refresh 发布",
        "nothing is published in it yet; `mingce province refresh` does it",
    ),
    "take_over": ("本期可用后，各方改用本期", "callers are sent to it once it can be used"),
    "ended": ("有效期已过，由新一期接替", "its time is over, and another epoch serves"),
    "retained": (
        "停用满 {days} 天，销毁密钥和内部数据，不可恢复",
        "{days} days after it expired its key is destroyed for good",
    ),
    "unfinished": ("密钥已销毁，但残留数据还没有清完", "its key is destroyed, but traces are left to clear"),
    "overdue": (
        "“{step}”已过期未办；请确认 keys apply 与 province refresh 每晚运行",
        "'{step}' is overdue; see that `keys apply` and `province refresh` run every night",
    ),
    "no_epoch": (
        "还没有密钥期；运行 mingce keys create-epoch",
        "there is no epoch yet; run `mingce keys create-epoch`",
    ),
    "nobody_served": (
        "当前期现在不能用（未启用、未发布或已过有效期），各方无法匹配",
        "the current epoch cannot be used now (not active, nothing published, or over): nobody is served",
    ),
    "never_used": (
        "这一期从未启用就已过有效期，不会再用",
        "it was never activated and its time is over; it will not be used",
    ),
    "ends_without_successor": (
        "本期到 {ends} 为止，还没有可接替的一期",
        "it ends at {ends} and no other epoch can take over yet",
    ),
    "budgets_missing": (
        "本期只有 {callers} 家有额度，前一期有 {expected} 家；请为其余各家申报",
        "only {callers} have a budget in it, {expected} in the epoch before; declare the others",
    ),
}

CONDITIONS = {
    "edition": ("等首个版本发布", "waits for its first edition"),
    "budgets": ("等各家的额度核定", "waits for budgets"),
    "successor": ("等接替的一期可用", "waits for a successor that can be used"),
}


def open_rotation(home: Home) -> Rotation:
    policies = {name: settings.rotation.policy for name, settings in home.settings.dataset.items()}
    return Rotation(home.path, home.open_keys(), open_ledger(home), home.clock, policies, actor=actor())


def plan(
    at: Annotated[str | None, typer.Option("--at", help="as seen at this time, 2026-01-05T09:00:00Z; else now")] = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """What is ahead of each epoch: when the next is created, served, made current; when the old one ends.

    Example: mingce keys plan
    """
    home = open_home(config, "province")
    now = home.clock.now() if at is None else _parse(at)
    steps = open_rotation(home).plan(now)
    result = {"at": format_time(now), "steps": [_document(step, now) for step in steps]}
    print_result(result, [_line(step, now) for step in steps], as_json=json_)


def apply(config: ConfigOption = None, dry_run: DryRunOption = False, json_: JsonOption = False) -> None:
    """For cron: do the steps of the plan that are due. Broken off at any point, run it again.

    Exit codes: 0 all is well; 4 done, but a warning waits for an operator; 7 a refresh is at work.

    Example: mingce keys apply
    """
    home = open_home(config, "province")
    rotation = open_rotation(home)
    now = home.clock.now()
    if dry_run:
        done = [step for step in rotation.plan(now) if step.kind in DONE_BY_APPLY and step.is_due(now)]
    else:
        done = rotation.apply()
    warnings = [step for step in rotation.plan(now) if step.kind == "warn"]
    if dry_run:
        prefix = say("演练：将", "dry run: would ")
    else:
        prefix = say("已", "done: ")
    lines = [f"{prefix}{_line(step)}" for step in done] + [_line(step) for step in warnings]
    result = {
        "at": format_time(now),
        "dry_run": dry_run,
        "done": [_document(step, now) for step in done],
        "warnings": [_document(step, now) for step in warnings],
    }
    print_result(result, lines or [say("没有到期的步骤。", "Nothing is due.")], as_json=json_)
    if warnings:
        raise typer.Exit(NEEDS_AN_OPERATOR)


def reason_in_words(step: Step) -> str:
    """Why, in the user's language."""
    params = dict(step.params)
    if "step" in params:
        params["step"] = say(*KINDS[str(params["step"])])
    if step.not_after is not None:
        params["not_after"] = format_time(step.not_after)
    shown = {name: format_time(value) if isinstance(value, datetime) else value for name, value in params.items()}
    words = say(*REASONS[step.reason]).format(**shown)
    if step.waits_for:
        words += say("；", "; ") + say(*CONDITIONS[step.waits_for])
    return words


def _line(step: Step, now: datetime | None = None) -> str:
    """``now`` marks what is due."""
    place = f"{step.dataset}/{step.epoch}" if step.epoch else step.dataset
    is_due = now is not None and step.is_due(now) and step.kind != "warn"
    mark = say("（到期）", " (due)") if is_due else ""
    return f"{say(*KINDS[step.kind])} {place}  {format_time(step.due)}{mark}  {reason_in_words(step)}"


def _document(step: Step, now: datetime) -> dict[str, object]:
    params = {name: format_time(value) if isinstance(value, datetime) else value for name, value in step.params.items()}
    return {
        "kind": step.kind,
        "dataset": step.dataset,
        "epoch": step.epoch,
        "due": format_time(step.due),
        "is_due": step.is_due(now),
        "waits_for": step.waits_for,
        "reason": step.reason,
        "params": params,
        "words": reason_in_words(step),
    }


def _parse(text: str) -> datetime:
    try:
        return parse_time(text).astimezone(UTC)
    except ValueError:
        raise Refused(
            f"时间格式应如 2026-01-05T09:00:00Z，不是 {text}", f"A time is like 2026-01-05T09:00:00Z, not {text}"
        ) from None
