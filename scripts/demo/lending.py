"""The demo's third part: two years of loans in simulated time, subsidised, claimed, audited, reported."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from scripts.demo.runner import Demo

SAMPLE = 3  # lines that the auditor looks at


@dataclass(frozen=True)
class Lent:
    """Loans, the lines of the first year's claim, and what finance pays of it, in yuan."""

    loans: int
    claim_lines: int
    claim_fiscal: str


def last_day(listed_on: date) -> date:
    """Of the demo's two years of loans."""
    return date((listed_on + timedelta(days=1)).year + 2, 12, 31)


def lend(show: Demo, listed_on: date) -> Lent:
    """From the final list to two years' claims and reports. Raises DemoFailed."""
    first, last = listed_on + timedelta(days=1), last_day(listed_on)
    years = (last.year - 1, last.year)
    show.title("农商行：放款、还款，每月一份贷款文件", "Bank: loans and repayments, one file a month")
    span = ("--policy", "政策.toml", "--from", first, "--to", last, "--per", "month")
    made = show.run("generate", "loans", "最终名单（银行）.xlsx", "贷款文件", *span)
    files = sorted(path.relative_to(show.folder) for path in (show.folder / "贷款文件").glob("*.csv"))
    show.go_to(last + timedelta(days=1))
    show.act("hangguan", "loan", "import", *files)
    show.title("每夜 T+1：计息、指标（演示只算各季末）", "Each night: interest and figures (here: quarters)")
    for day in _quarter_ends(first, last):
        show.run("bureau", "nightly", "--day", day, "--config", "bureau", echo=day == last)
    claims = [_claim(show, year) for year in years]
    _report(show, years[1], last)
    return Lent(made["kinds"]["合同"], claims[0]["lines"], claims[0]["amounts"]["fiscal"])


def _claim(show: Demo, year: int) -> dict[str, Any]:
    """A year's claim through the bank, the auditor, the county and the province, each step by whom it is for."""
    show.title(
        f"{year} 年贴息申报：冻结、核对、审计、逐级审核、拨付", f"Claim for {year}: freeze, compare, audit, review, pay"
    )
    number = show.act("hangguan", "claim", "open", year)["claim_id"]
    show.act("hangguan", "claim", "freeze", number)
    show.act("hangguan", "claim", "export", number, f"贴息明细-{year}.csv", echo=False)
    show.act("hangguan", "claim", "reconcile", number, f"贴息明细-{year}.csv")
    show.act("hangfuhe", "claim", "move", number, "check")
    sample = show.act("shenji", "claim", "sample", number, "--size", SAMPLE)
    for line in sample["lines"]:
        show.act("shenji", "claim", "finding", number, line, "ok", echo=False)
    show.act("shenji", "claim", "move", number, "audit")
    state = show.act("hangguan", "claim", "show", number, echo=False)
    for exception in state["exceptions"]:
        show.act("hangguan", "claim", "settle", exception["exception_id"], "--why", "已核对原始凭证", echo=False)
    for account, step in (
        ("hangguan", "submit"),
        ("jingban", "take-up"),
        ("fuhe", "approve"),
        ("fuhe", "pass-on"),
        ("sheng", "grant"),
        ("fuhe", "pay"),
        ("fuhe", "close"),
    ):
        show.act(account, "claim", "move", number, step)
    show.act("hangguan", "report", "claim", number, "--out", f"贷款贴息申请汇总表-{year}.xlsx")
    return state


def _report(show: Demo, year: int, last: date) -> None:
    show.title("成效监测表、指标、考核、年底总结", "Monthly table, indicators, staff figures, year's end")
    show.act("jingban", "report", "monthly", f"{year}-12", "--out", f"成效监测表-{year}-12.xlsx")
    show.act("jingban", "report", "kpi", "--on", last, "--out", f"指标完成情况-{year}.xlsx")
    show.act("jingban", "report", "staff", "--from", f"{year}-01-01", "--to", last, "--out", f"考核-{year}.xlsx")
    show.act("jingban", "report", "year", year, "--out", f"年底总结-{year}.xlsx")
    show.title("审计链：复核，并留存当日链头", "Audit chain: verify, and keep its head")
    show.act("shenji", "audit", "head", "--out", "审计链头.json", "--text", "审计链头.txt")
    show.run("audit", "verify", "--head", "审计链头.json", "--config", "bureau")


def _quarter_ends(first: date, last: date) -> list[date]:
    ends = [date(year, month + 1, 1) for year in range(first.year, last.year + 1) for month in (3, 6, 9)]
    ends += [date(year + 1, 1, 1) for year in range(first.year, last.year + 1)]
    return [day for end in sorted(ends) if first <= (day := end - timedelta(days=1)) <= last]
