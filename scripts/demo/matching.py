"""The demo's first part: three parties, one match, compared row by row with what the generator knows."""

from __future__ import annotations

import csv
import shutil
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from matcher.generate.places import list_towns
from scripts.demo.runner import Demo, DemoFailed

COUNTY = "330922"
BANK, BUREAU, PROVINCE = "嵊泗农商银行（演示）", "嵊泗县财政局（演示）", "省财政厅（演示）"


@dataclass(frozen=True)
class Matched:
    """What the match found. ``wrong``: rows that differ from the plain comparison."""

    customers: int
    matched: int
    asked_again: int
    candidates: int
    households: int
    wrong: int


def match(show: Demo, *, customers: int, rows: int, seed: int) -> Matched:
    """From two lists to the bureau's candidates. Raises DemoFailed if they are not the plain intersection."""
    show.title("生成演示数据（虚构人员，号段从未分配）", "Make up people (ID prefixes that were never assigned)")
    people = ("--county", COUNTY, "--rows", rows, "--seed", seed)
    shape = ("--overlap", 0.6, "--dirty", 0.002, "--truth", "答案.csv")
    show.run("generate", "county", "基础名单.csv", *people)
    show.run("generate", "customers", "客户清单.xlsx", *people, "--customers", customers, *shape)
    _meet(show, customers)
    show.title("省财政厅：加密编码并发布", "Province: encode and publish")
    show.run("province", "refresh", "--source", "基础名单.csv", "--config", "province")
    show.title("省财政厅：启动匹配服务", "Province: serve")
    with show.serving("province", "province") as url:
        show.set_variable("MINGCE_PROVINCE__URL", url)
        show.title("农商银行：匹配", "Bank: match")
        matched = show.run("bank", "match", "客户清单.xlsx", "--rejects", "退回.csv", "--config", "bank")
        show.title("再次运行：不再查询", "Again: nothing is asked twice")
        again = show.run("bank", "match", "客户清单.xlsx", "--config", "bank")
    show.title("导出、移交", "Export, hand over")
    show.run("bank", "export", "初筛名单.xlsx", "--config", "bank")
    show.run("bank", "export", "初筛名单.parquet", "--config", "bank", echo=False)
    show.run("bank", "handover", "移交.mch", "--config", "bank")
    show.run("bureau", "import", "移交.mch", "--config", "bureau")
    listed = show.run("bureau", "list", "--config", "bureau", "--limit", 5, echo=False)
    found = Matched(
        matched["customers"],
        matched["matched"],
        again["asked"],
        listed["candidates"],
        listed["households"],
        _compare(show.folder),
    )
    if found.wrong or found.asked_again or found.candidates != found.matched:
        raise DemoFailed("the result is not the plain intersection", step="compare", **vars(found))
    return found


def _meet(show: Demo, customers: int) -> None:
    """Homes, identities, a warrant, a budget, receipt keys."""
    show.title("三方各自初始化，交换身份", "Each party makes its home; identities are exchanged")
    show.run("province", "init", "province", "--name", PROVINCE)
    show.run("bank", "init", "bank", "--name", BANK, "--division", COUNTY)
    show.run("bureau", "init", "bureau", "--name", BUREAU, "--division", COUNTY)
    config = show.folder / "bureau" / "mingce.toml"
    towns = "".join(f'"{town.code}" = "{town.name}"\n' for town in list_towns(COUNTY))
    settings = f"# 虚构数据 made-up people\ndemo = true\n{config.read_text('utf-8')}\n[townships]\n{towns}"
    config.write_text(settings, "utf-8")
    for home, identity in (("bank", "province"), ("bank", "bureau"), ("bureau", "province"), ("bureau", "bank")):
        shutil.copy(show.folder / identity / "identity.json", show.folder / home / f"{identity}.identity.json")
    _authorise(show, customers)
    show.run("keys", "create-epoch", "base", "2026", "--activate", "--config", "province")
    show.run("province", "register", "bank/identity.json", "--division", COUNTY, "--config", "province")
    _grant_budget(show, customers)
    keys = ("bureau/identity.json", "--division", COUNTY, "--out", "receipt-keys.mck")
    show.run("province", "export-receipt-keys", *keys, "--config", "province")
    show.run("bureau", "trust", "bureau/province.identity.json", "--config", "bureau")
    show.run("bureau", "trust", "bureau/bank.identity.json", "--config", "bureau")
    show.run("bureau", "import-receipt-keys", "receipt-keys.mck", "--config", "bureau")


def _authorise(show: Demo, customers: int) -> None:
    """Two made-up operators at the bank sign what it may ask."""
    show.title("农商银行：两人签署匹配授权书", "Bank: two operators sign a warrant")
    secret = show.make_operators("bank")
    terms = ("--agreement", "演示-2026-01", "--max-new-customers", max(customers, 10_000))
    proposer = ("--operator", "bank-proposer.operator", *secret, "--config", "bank")
    warrant = show.run("bank", "warrant", "propose", *terms, *proposer)["warrant"]
    approver = ("--operator", "bank-approver.operator", *secret, "--config", "bank")
    show.run("bank", "warrant", "sign", warrant, *approver)


def _grant_budget(show: Demo, customers: int) -> None:
    """Two made-up operators at the province decide how much the bank may ask."""
    show.title("省财政厅：一人申报、一人复核银行额度", "Province: one declares the bank's budget, another approves")
    secret = show.make_operators("province")
    proposer = ("--operator", "province-proposer.operator", *secret, "--config", "province")
    numbers = ("--customers", customers, "--new-a-night", 100, "--reason", "演示")
    declared = show.run("province", "declare", BANK, *numbers, *proposer)["declaration_id"]
    approver = ("--operator", "province-approver.operator", *secret, "--config", "province")
    show.run("province", "approve", declared, *approver)


def _compare(folder: Path) -> int:
    """How many rows differ between the screening list and what the generator knows to be true."""
    with (folder / "答案.csv").open(encoding="utf-8", newline="") as stream:
        expected = {(row["item"], row["household_no"]) for row in csv.DictReader(stream) if row["listed"] == "1"}
    found = pq.read_table(folder / "初筛名单.parquet")
    actual = set(zip(found["证件号码"].to_pylist(), found["家庭编号"].to_pylist(), strict=True))
    return len(expected ^ actual)
