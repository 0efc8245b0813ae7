"""``mingce generate loans``: years of a bank's daily loan files for the households of a final list."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from matcher.generate.loans import Format, LoanSpec, Per, generate_loan_files, read_final_list
from scripts.county.subsidy import find_policy
from scripts.home import JsonOption
from scripts.language import say
from scripts.output import print_result

app = typer.Typer()

_DAYS = ["%Y-%m-%d"]


@app.command()
def loans(
    final_list: Annotated[Path, typer.Argument(help="the final list as `review final` writes it for a bank")],
    folder: Annotated[Path, typer.Argument(help="where the files go")],
    policy: Annotated[str, typer.Option(help="a policy file, or the county of a built-in example, six digits")],
    since: Annotated[datetime, typer.Option("--from", formats=_DAYS, help="nothing is lent before this day")],
    until: Annotated[datetime, typer.Option("--to", formats=_DAYS, help="nothing is reported after this day")],
    share: Annotated[float, typer.Option(min=0, max=1, help="the share of the households that borrow")] = 0.4,
    seed: Annotated[int, typer.Option(help="the same seed makes the same loans")] = 1,
    per: Annotated[Per, typer.Option(help="one file a day or a month")] = "day",
    format_: Annotated[Format, typer.Option("--format", help="how the file is written")] = "csv",
    json_: JsonOption = False,
) -> None:
    """Made-up loans: drawn, repaid, prepaid, overdue, extended, written off, with a few entries taken back.

    Example: mingce generate loans 最终名单.xlsx 贷款日报 --policy 330922 --from 2024-01-01 --to 2025-12-31
    """
    spec = LoanSpec(find_policy(policy).policy, since.date(), until.date(), share, seed)
    households = read_final_list(final_list)
    made = generate_loan_files(folder, households, spec, per=per, format=format_)
    rows = sum(made.rows.values())
    kinds = say("，", ", ").join(f"{kind} {count:,}" for kind, count in sorted(made.rows.items()))
    print_result(
        {"folder": str(folder), "files": len(made.files), "rows": rows, "kinds": dict(made.rows)},
        [
            say(
                f"{len(households):,} 户 → {len(made.files):,} 个文件 {rows:,} 行（虚构）：{kinds}",
                f"{len(households):,} households → {len(made.files):,} files, {rows:,} made-up rows: {kinds}",
            )
        ],
        as_json=json_,
    )
