"""The demo's second part: from candidates to the final list, through checks, visits and review by two persons."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from scripts.demo.matching import BANK, BUREAU, COUNTY
from scripts.demo.runner import Demo, DemoFailed

TOWNSHIP = "330922106"  # 花鸟乡, the smallest
DEPARTMENT = "minzheng"

ADMINISTRATORS = ("guanli1", "guanli2")
ACCOUNTS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("jingban", "演示经办", ("--role", "handler")),
    ("fuhe", "演示复核", ("--role", "checker")),
    ("zhenjie", "演示镇街", ("--role", "township", "--township", TOWNSHIP)),
    ("bumen", "演示部门", ("--role", "department", "--department", DEPARTMENT)),
    ("jingli", "演示客户经理", ("--role", "bank_manager", "--bank", BANK)),
    ("hangguan", "演示行管", ("--role", "bank_admin", "--bank", BANK)),
    ("hangfuhe", "演示行管复核", ("--role", "bank_admin", "--bank", BANK)),
    ("shenji", "演示审计", ("--role", "auditor")),
    ("sheng", "演示省厅", ("--role", "province")),
)
"""Everybody but the two administrators: name, person, roles."""


@dataclass(frozen=True)
class Listed:
    """How many households came how far."""

    visited: int
    approved: int
    final: int


def review(show: Demo, today: date, *, rows: int, seed: int) -> Listed:
    """Carry one township's households to the final list. Raises DemoFailed."""
    _make_accounts(show)
    _adopt_policy(show, today)
    _check_department(show, rows, seed)
    visited = _visit(show, today)
    approved = _decide(show, today)
    final = _confirm(show, today)
    return Listed(visited, approved, final)


def _make_accounts(show: Demo) -> None:
    show.title("县财政局：两位管理员，为各岗位建立账号", "Bureau: two administrators make everybody's account")
    for name in ADMINISTRATORS:
        founded = show.run("account", "found", name, "--display-name", "演示管理员", "--config", "bureau")
        _choose_password(show, name, founded)
    for name, person, roles in ACCOUNTS:
        show.act(ADMINISTRATORS[0], "account", "create", name, "--display-name", person, *roles)
        _choose_password(show, name, show.act(ADMINISTRATORS[1], "account", "approve", name, echo=False))


def _choose_password(show: Demo, name: str, made: dict[str, object]) -> None:
    """Everybody chooses the one that lies open: it is a demo."""
    once = show.folder / "一次性口令.txt"
    once.write_text(f"{made['one_time_password']}\n", "utf-8")
    files = ("--password-file", once.name, "--new-password-file", "口令.txt", "--config", "bureau")
    show.run("account", "set-password", name, *files, echo=False)
    once.unlink()


def _adopt_policy(show: Demo, today: date) -> None:
    """The county's example, prolonged over the demo's years; two persons put it in force."""
    show.title("县财政局：一人提交政策文件，一人采用", "Bureau: one proposes the policy file, another adopts it")
    show.run("policy", "example", COUNTY, "政策.toml")
    file = show.folder / "政策.toml"
    text = file.read_text("utf-8")
    for setting, value in (
        ("version", '"demo-1"'),
        ("valid_from", f"{today.year}-01-01"),
        ("valid_to", f"{today.year + 4}-12-31"),
    ):
        text = re.sub(rf"^{setting} = .*$", f"{setting} = {value}", text, count=1, flags=re.MULTILINE)
    for years, planned in enumerate((2023, 2024, 2025), start=1):  # its targets move along, to where the demo ends
        text = text.replace(f"{planned} = ", f"{today.year + years} = ")
    file.write_text(text, "utf-8")
    proposed = show.act("jingban", "policy", "propose", "政策.toml")
    show.act("fuhe", "policy", "adopt", proposed["sha256"][:12])


def _check_department(show: Demo, rows: int, seed: int) -> None:
    """The civil affairs office answers by matching, as the province did, and learns nobody's number."""
    show.title("民政局：发布救助名单；县财政局核验", "Civil affairs: publish its list; the bureau checks against it")
    people = ("--county", COUNTY, "--rows", rows, "--seed", seed)
    home = ("--config", DEPARTMENT)
    show.run("generate", "department", "社会救助.csv", "--kind", DEPARTMENT, *people)
    show.run("department", "init", DEPARTMENT, "--name", "嵊泗县民政局（演示）", "--label", "minzheng/1")
    secret = show.make_operators(DEPARTMENT)
    show.run("keys", "create-epoch", DEPARTMENT, "2026", "--activate", *home)
    show.run("department", "refresh", "--source", "社会救助.csv", *home)
    show.run("department", "register", "bureau/identity.json", "--division", COUNTY, *home)
    numbers = ("--customers", rows, "--reason", "演示核验协议")
    operators = [("--operator", f"{DEPARTMENT}-{role}.operator", *secret, *home) for role in ("proposer", "approver")]
    declared = show.run("department", "declare", BUREAU, *numbers, *operators[0])["declaration_id"]
    show.run("department", "approve", declared, *operators[1])
    secret = show.make_operators("bureau")
    with show.serving("department", DEPARTMENT) as url:
        link = ("--identity", f"{DEPARTMENT}/identity.json", "--label", "minzheng/1", "--url", url)
        show.run("bureau", "add-department", DEPARTMENT, *link, "--config", "bureau")
        signers = [
            ("--operator", f"bureau-{role}.operator", *secret, "--config", "bureau")
            for role in ("proposer", "approver")
        ]
        terms = ("--dataset", DEPARTMENT, "--agreement", "演示-2026-02", "--max-new-people", rows)
        warrant = show.run("bureau", "warrant", "propose", *terms, *signers[0])["warrant"]
        show.run("bureau", "warrant", "sign", warrant, "--dataset", DEPARTMENT, *signers[1])
        show.run("bureau", "check", "--dataset", DEPARTMENT, "--config", "bureau")
    show.act("jingban", "bureau", "take-checks", DEPARTMENT)


def _visit(show: Demo, today: date) -> int:
    """Refine, plan, visit. Forms, photos and signatures are made up; a checker takes them as evidence."""
    show.title("县财政局：细化；农商行客户经理：入户走访", "Bureau: refine. The bank's manager: visits")
    show.act("jingban", "household", "refine", "--in", "--out", "N01,N02,N03,N04,N05,N22", "--remark", "按政策口径")
    show.act("jingban", "household", "visit-list", "--area", TOWNSHIP)
    for attempt, day in enumerate((3, 4, 5), start=1):  # whoever was not met is visited again
        show.act("jingban", "visit", "plan", TOWNSHIP, "--on", today + timedelta(days=day))
        if attempt == 1:
            show.act("jingban", "visit", "export", "走访任务.xlsx", "--area", TOWNSHIP, "--bank", BANK)
        show.act("jingban", "visit", "assign", "--area", TOWNSHIP, "--to", "jingli", "--officer", "演示网格员")
        show.go_to(today + timedelta(days=day))
        show.act("jingli", "generate", "visits", "--seed", attempt)
    listed = show.act("fuhe", "visit", "list", "--state", "SUBMITTED", "--size", 500, echo=False)
    submitted = [visit["visit_id"] for visit in listed["visits"]]
    show.act("fuhe", "visit", "accept", *submitted)
    return len(submitted)


def _decide(show: Demo, today: date) -> int:
    """The handler proposes what the rules say, the checker confirms what was seen; who is refused is told why."""
    show.title("县财政局：一人提出审核意见，一人复核", "Bureau: one proposes, another confirms")
    show.go_to(today + timedelta(days=5))
    waiting = [row["household_id"] for row in _queue(show, "jingban", "to_propose")]
    proposed = show.act("jingban", "review", "propose", *waiting, "--verdict", "approve", accept=(0, 3))
    unfit = [one["id"] for one in proposed["outcomes"] if one["outcome"] == "refused"]
    for reasons, households in _by_reasons(show, unfit).items():
        words = ("--verdict", "reject", *reasons, "--remark", "按政策口径不符合条件")
        show.act("jingban", "review", "propose", *households, *words)
    seen = [f"{row['decision_id']}@{row['digest'][:12]}" for row in _queue(show, "fuhe", "to_confirm")]
    show.act("fuhe", "review", "confirm", *seen)
    show.act("jingban", "review", "refusals", "未通过告知.xlsx")
    show.note(
        f"审核通过 {len(seen) - len(unfit)} 户，未通过 {len(unfit)} 户并已告知理由",
        f"{len(seen) - len(unfit)} approved; {len(unfit)} refused and told why",
    )
    return len(seen) - len(unfit)


def _by_reasons(show: Demo, households: Sequence[int]) -> dict[tuple[str, ...], list[int]]:
    """What the rules say against each of these, as the options that say so."""
    found: dict[tuple[str, ...], list[int]] = {}
    for household in households:
        told = show.act("jingban", "review", "show", household, echo=False)["evidence"]["assessment"]["reasons"]
        found.setdefault(tuple(word for reason in told for word in ("--reason", reason)), []).append(household)
    return found


def _confirm(show: Demo, today: date) -> int:
    """Families are told, the village deliberates, nobody objects; then the list is final."""
    show.title("短信通知、村小组评议，形成最终名单", "SMS, village deliberation, the final list")
    show.act("jingban", "review", "confirm-list", "--all", "--sms", "短信通知.xlsx", "--village", "村小组评议.xlsx")
    show.go_to(today + timedelta(days=9))
    confirming = [row["household_id"] for row in _queue(show, "jingban", "confirming")]
    held_on = ("--held-on", today + timedelta(days=8))
    show.act("zhenjie", "review", "deliberation", *confirming, *held_on, "--agreed")
    show.go_to(today + timedelta(days=15))
    closed = show.act("fuhe", "review", "close", "--all")
    show.act("jingban", "review", "final", "最终名单.xlsx", "--purpose", "存档")
    show.act("jingban", "review", "final", "最终名单（银行）.xlsx", "--bank", BANK, "--purpose", "放款核对")
    if not confirming:
        raise DemoFailed("no household reached the final list", step="review close", **closed)
    return len(confirming)


def _queue(show: Demo, account: str, stage: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = show.act(account, "review", "queue", "--stage", stage, "--size", 200, echo=False)[
        "items"
    ]
    return rows
