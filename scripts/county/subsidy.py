"""``mingce subsidy``: what a loan's interest costs whom, computed and explained line by line."""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer

from matcher.loans.explaining import describe_lines, lines_of_loan
from matcher.policy import list_examples, load_policy
from matcher.policy.reading import LoadedPolicy
from matcher.subsidy.lines import Line, explain, total, totals_by_year, yuan
from matcher.subsidy.periods import Movement
from scripts.home import JsonOption
from scripts.language import say
from scripts.messages import Refused
from scripts.output import out, print_result, print_table

app = typer.Typer(no_args_is_help=True, help="贴息测算与说明。 Compute and explain a loan's subsidy.")

NAMES = {
    "gross": ("应计利息", "interest"),
    "customer": ("客户承担", "customer"),
    "excess": ("超出部分", "excess"),
    "fiscal": ("财政贴息", "finance"),
    "bank": ("银行让利", "bank"),
    "province": ("其中省级", "of it, province"),
    "local": ("其中地方", "of it, local"),
}
_AMOUNT = re.compile(r"\d{1,12}(\.\d{1,2})?")
_RATE = re.compile(r"\d{1,2}(\.\d{1,6})?")


@app.callback()
def group() -> None:
    """A group, although it has one command so far: its name says what is done."""


@app.command("explain")
def explain_(
    principal: Annotated[str, typer.Argument(help="yuan lent at the start, for example 100000")],
    rate: Annotated[str, typer.Option(help="the contract's rate, percent a year, before any concession")],
    start: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="the first day of interest")],
    end: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="the day of repayment, not counted")],
    policy: Annotated[str, typer.Option(help="a policy file, or the county of a built-in example, six digits")],
    repay: Annotated[list[str] | None, typer.Option(help="a repayment before the end: DATE=YUAN; repeat")] = None,
    json_: JsonOption = False,
) -> None:
    """Compute one loan's interest lines, and show each step with the rule it follows.

    Example: mingce subsidy explain 100000 --rate 4.35 --from 2024-05-10 --to 2025-05-10 --policy 330922
    """
    loaded = find_policy(policy)
    begin, last = start.date(), end.date()
    if begin >= last:
        raise Refused("结束日须晚于起息日", "The end must be after the start")
    if not _RATE.fullmatch(rate):
        raise Refused(f"利率写作百分数，如 4.35：{rate}", f"A rate is percent, such as 4.35: {rate}")
    repayments = [_repayment(text, begin, last) for text in repay or []]
    lines = lines_of_loan(loaded, parse_amount(principal), Decimal(rate), begin, last, repayments)
    if json_:
        print_result(describe_lines(loaded, lines), [], as_json=True)
        return
    _print(loaded, lines)


def find_policy(given: str) -> LoadedPolicy:
    if re.fullmatch(r"\d{6}", given):
        for path in list_examples():
            if path.name.startswith(given):
                return load_policy(path)
        raise Refused(
            f"没有 {given} 的示例政策，请给出政策文件", f"There is no example for {given}; give a policy file"
        )
    return load_policy(Path(given))


def parse_amount(text: str) -> int:
    """Yuan as a person writes them, in 分."""
    if not _AMOUNT.fullmatch(text):
        raise Refused(f"金额写作元，至多两位小数：{text}", f"An amount is yuan with at most two places: {text}")
    return int(Decimal(text) * 100)


def _repayment(text: str, begin: date, last: date) -> Movement:
    day, _, amount = text.partition("=")
    try:
        on = date.fromisoformat(day)
    except ValueError:
        raise Refused(f"还款写作 日期=金额：{text}", f"A repayment is DATE=YUAN: {text}") from None
    if not begin < on < last:
        raise Refused(f"还款日不在贷款期内：{text}", f"The repayment is outside the loan: {text}")
    return Movement(on, -parse_amount(amount))


def _print(loaded: LoadedPolicy, lines: list[Line]) -> None:
    policy = loaded.policy
    out.print(f"{policy.county_name} {policy.version}　{policy.document}", markup=False)
    out.print(policy.subsidy.clause, markup=False)
    for line in lines:
        period = line.period
        out.print(
            say(
                f"\n{period.start} 至 {period.end}（不含），{period.days} 天，{period.settled_on} 结息，"
                f"余额积数 {yuan(line.balance_days)} 元·天",
                f"\n{period.start} to {period.end} (not included), {period.days} days, due on {period.settled_on}, "
                f"balance × days {yuan(line.balance_days)}",
            ),
            markup=False,
        )
        for step in explain(line):
            out.print(f"  {say(*NAMES[step.name])}　{step.formula} = {yuan(step.amount)}", markup=False)
    years = totals_by_year(lines)
    rows = [(str(year), parts) for year, parts in years.items()] + [(say("合计", "total"), total(lines))]
    print_table(
        say("按结息年度，元", "By year of settlement, yuan"),
        ["", *(say(*words) for words in NAMES.values())],
        [(name, *(yuan(amount) for amount in vars(parts).values())) for name, parts in rows],
    )
    out.print(say("R2：四舍五入到分；DOWN2：舍去分以下；每条结息行只舍入一次。",
                  "R2 rounds half up to 分, DOWN2 down; each line is rounded once."), markup=False)  # fmt: skip
