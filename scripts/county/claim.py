"""``mingce claim``: a year's subsidy claimed, compared, audited, reviewed and paid (docs/reference/claims.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from matcher.accounts.accounts import Accounts
from matcher.claims.service import Claims
from matcher.claims.steps import Step
from matcher.exports import Format
from matcher.subsidy.lines import yuan
from scripts.county.acting import Desk, at_desk
from scripts.county.claim_printing import (
    difference_line,
    exception_line,
    explanation_document,
    explanation_lines,
    line_document,
    print_summary,
    print_verified,
    state_word,
    summary_document,
)
from scripts.county.subsidy import NAMES
from scripts.home import JsonOption
from scripts.language import say
from scripts.messages import Refused
from scripts.output import format_of, out, print_result, print_table

app = typer.Typer(no_args_is_help=True, help="贴息申报：核算、核对、审计、审核、拨付。 Claims of subsidy.")

ClaimArgument = Annotated[int, typer.Argument(help="the claim's number")]


@app.command("open")
@at_desk
def open_(
    desk: Desk,
    year: Annotated[int, typer.Argument(help="the year of settlement")],
    bank: Annotated[str | None, typer.Option(help="the bank's name; else your own")] = None,
    county: Annotated[str | None, typer.Option(help="six digits; else the bureau's only county")] = None,
    json_: JsonOption = False,
) -> None:
    """Open a bank's claim for a year, or find the one that is open. It accrues until it is frozen.

    Example: mingce claim open 2024 --as yinhang
    """
    fingerprint = Accounts(desk.office).get_bank(bank) if bank else desk.actor.bank
    counties = sorted(desk.office.divisions)
    if fingerprint is None or (county is None and len(counties) != 1):
        raise Refused("请用 --bank 说明银行，用 --county 说明县", "Name the bank (--bank) and the county (--county)")
    claims = Claims(desk.office)
    claim_id = claims.open(desk.actor, fingerprint, county or counties[0], year)
    print_summary(claims.get(desk.actor, claim_id).summary, as_json=json_)


@app.command("list")
@at_desk
def list_(
    desk: Desk,
    json_: JsonOption = False,
) -> None:
    """All claims, the latest year first; a bank's own people see their bank's.

    Example: mingce claim list --as jingban
    """
    found = Claims(desk.office).list(desk.actor)
    print_result({"claims": [summary_document(summary) for summary in found]}, [], as_json=json_)
    if not json_:
        print_table(
            say("申报", "Claims"),
            ["", say("年度", "year"), say("县", "county"), say("银行", "bank"), say("状态", "state"),
             say("行", "lines"), say("财政贴息", "finance"), say("银行让利", "bank"), say("未结", "open")],
            [
                (s.claim_id, s.year, s.county, s.bank_name, state_word(s.state), f"{s.lines:,}", yuan(s.amounts.fiscal),
                 yuan(s.amounts.bank), s.open_exceptions)
                for s in found
            ],
        )  # fmt: skip


@app.command()
@at_desk
def show(
    desk: Desk,
    claim: ClaimArgument,
    lines: Annotated[int, typer.Option(min=0, max=1_000, help="how many lines to show")] = 20,
    first: Annotated[int, typer.Option(min=0, help="leave out so many before")] = 0,
    json_: JsonOption = False,
) -> None:
    """One claim: amounts, its way so far, what has to be settled, its lines.

    Example: mingce claim show 3 --as jingban
    """
    page = Claims(desk.office).get(desk.actor, claim, first=first, count=lines)
    if json_:
        document = {
            **summary_document(page.summary),
            "steps": [vars(step) for step in page.steps],
            "exceptions": [vars(exception) for exception in page.exceptions],
            "shown": [line_document(line) for line in page.lines],
        }
        print_result(document, [], as_json=True)
        return
    print_summary(page.summary, as_json=False)
    for step in page.steps:
        out.print(f"{step.at}  {state_word(step.to_state)}  {step.account}  {step.remark}", markup=False)
    for exception in page.exceptions:
        out.print(exception_line(exception), markup=False)
    print_table(
        say("申报行", "Lines"),
        [say("行号", "line"), say("合同", "contract"), say("起", "from"), say("止", "to"),
         *(say(*words) for words in NAMES.values()), say("抽查", "sample")],
        [
            (each.line_id, each.contract_no, each.period_start, each.period_end,
             *(yuan(amount) for amount in vars(each.amounts).values()), each.finding or ("·" if each.in_sample else ""))
            for each in page.lines
        ],
    )  # fmt: skip


@app.command()
@at_desk
def freeze(
    desk: Desk,
    claim: ClaimArgument,
    json_: JsonOption = False,
) -> None:
    """Compute everything once more and freeze the lines that are due and paid. They never change again.

    `claim show` says beforehand what would be taken.

    Example: mingce claim freeze 3 --as yinhang
    """
    print_summary(Claims(desk.office).freeze(desk.actor, claim), as_json=json_)


@app.command()
@at_desk
def reconcile(
    desk: Desk,
    claim: ClaimArgument,
    file: Annotated[Path, typer.Argument(help="the bank's own figures (CSV, XLSX)")],
    json_: JsonOption = False,
) -> None:
    """Compare a frozen claim with the bank's own figures; every difference has to be settled.

    Exit code 4 if there are differences.

    Example: mingce claim reconcile 3 银行数字.xlsx --as yinhang
    """
    done = Claims(desk.office).reconcile(desk.actor, claim, file)
    result = {
        "claim": claim,
        "lines": done.lines,
        "rows": done.rows,
        "differences": [{**vars(each), "kind": each.kind} for each in done.differences],
    }
    lines = [
        say(
            f"申报 {done.lines:,} 行，银行 {done.rows:,} 行，不一致 {len(done.differences):,} 行",
            f"{done.lines:,} lines here, {done.rows:,} at the bank, {len(done.differences):,} differ",
        )
    ]
    print_result(result, [*lines, *map(difference_line, done.differences)], as_json=json_)
    if done.differences:
        raise typer.Exit(4)


@app.command()
@at_desk
def settle(
    desk: Desk,
    exception: Annotated[int, typer.Argument(help="its number in `claim show`")],
    why: Annotated[str, typer.Option(help="in a sentence, without names and numbers of people")],
    json_: JsonOption = False,
) -> None:
    """Say why an exception stands: the auditor of a finding, the bank of everything else.

    Example: mingce claim settle 12 --why 银行系统舍入不同 --as yinhang
    """
    Claims(desk.office).settle(desk.actor, exception, why)
    print_result({"exception": exception}, [say("已处理。", "Settled.")], as_json=json_)


@app.command()
@at_desk
def sample(
    desk: Desk,
    claim: ClaimArgument,
    size: Annotated[int, typer.Option(min=1, help="how many lines")],
    json_: JsonOption = False,
) -> None:
    """Draw the auditor's sample, once: from a seed that is recorded, so that anybody can draw it again.

    Example: mingce claim sample 3 --size 30 --as shenji
    """
    claims = Claims(desk.office)
    drawn = claims.sample(desk.actor, claim, size)
    seed = claims.get(desk.actor, claim).summary.seed
    lines = [say(f"抽取 {len(drawn)} 行，种子 {seed}", f"{len(drawn)} lines, seed {seed}"), " ".join(map(str, drawn))]
    print_result({"claim": claim, "seed": seed, "lines": drawn}, lines, as_json=json_)


@app.command()
@at_desk
def finding(
    desk: Desk,
    claim: ClaimArgument,
    line: Annotated[int, typer.Argument(help="a line of the sample")],
    text: Annotated[str, typer.Argument(help="ok, or what is wrong")],
    json_: JsonOption = False,
) -> None:
    """Note what the auditor found of a sampled line.

    Example: mingce claim finding 3 118 ok --as shenji
    """
    Claims(desk.office).find(desk.actor, claim, line, text)
    print_result({"claim": claim, "line": line}, [say("已记录。", "Noted.")], as_json=json_)


@app.command()
@at_desk
def move(
    desk: Desk,
    claim: ClaimArgument,
    step: Annotated[Step, typer.Argument(help="docs/reference/claims.md")],
    remark: Annotated[str, typer.Option(help="without names and numbers of people; needed for `return`")] = "",
    json_: JsonOption = False,
) -> None:
    """Take a claim a step on; where money is decided, as another person than before.

    Example: mingce claim move 3 submit --as yinhang
    """
    print_summary(Claims(desk.office).move(desk.actor, claim, step, remark=remark), as_json=json_)


@app.command()
@at_desk
def verify(
    desk: Desk,
    claim: ClaimArgument,
    json_: JsonOption = False,
) -> None:
    """Whether a frozen claim's lines are those that were frozen. Exit code 6 if not.

    Example: mingce claim verify 3 --as shenji
    """
    print_verified(Claims(desk.office).verify(desk.actor, claim), as_json=json_)


@app.command()
@at_desk
def export(
    desk: Desk,
    claim: ClaimArgument,
    file: Annotated[Path, typer.Argument(help="a new .xlsx, .csv or .parquet")],
    json_: JsonOption = False,
) -> None:
    """Write a claim's lines without any person's data, with the columns that `claim reconcile` reads.

    Example: mingce claim export 3 申报行.xlsx --as yinhang
    """
    rows = Claims(desk.office).export(desk.actor, claim, file, format_of(file, Format))
    lines = [say(f"已写出 {rows:,} 行：{file}", f"Wrote {rows:,} rows: {file}")]
    print_result({"claim": claim, "rows": rows, "file": str(file)}, lines, as_json=json_)


@app.command()
@at_desk
def explain(
    desk: Desk,
    line: Annotated[int, typer.Argument(help="a line's number")],
    json_: JsonOption = False,
) -> None:
    """How a line came about: what it was made of, each step with the numbers put in, the clause it follows.

    Example: mingce claim explain 118 --as shenji
    """
    told = Claims(desk.office).explain(desk.actor, line)
    print_result(explanation_document(told), explanation_lines(told), as_json=json_)
