"""``mingce generate``: made-up counties, customers and departments. Nobody in them can exist: no such prefix does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from matcher.generate import county as counties
from matcher.generate import customers as customer_lists
from matcher.generate import departments as department_lists
from matcher.generate.county import generate_county
from matcher.generate.customers import CustomerSpec, generate_customers
from matcher.generate.departments import DepartmentKind, generate_department
from matcher.generate.households import CountySpec
from scripts.home import JsonOption
from scripts.language import say
from scripts.made_up import generate_casework, generate_loans
from scripts.output import format_of, print_result

app = typer.Typer(no_args_is_help=True, help="生成虚构数据。 Make up lists for trying things out.")
app.add_typer(generate_casework.app)
app.add_typer(generate_loans.app)

CountyOption = Annotated[str, typer.Option(help="330922 (嵊泗), 330113 (临平), or province")]
RowsOption = Annotated[int, typer.Option(min=1, help="people on the base list, about")]
SeedOption = Annotated[int, typer.Option(help="the same seed makes the same people")]


@app.command()
def county(
    out: Annotated[Path, typer.Argument(help="where to: .csv or .parquet")],
    county: CountyOption = "330922",
    rows: RowsOption = 70_000,
    seed: SeedOption = 1,
    json_: JsonOption = False,
) -> None:
    """A base list of made-up households.

    Example: mingce generate county 基础名单.csv --rows 70000
    """
    summary = generate_county(out, CountySpec(rows, seed, county), format=format_of(out, counties.Format))
    print_result(
        {"file": str(out), "rows": summary.rows, "households": summary.households},
        [
            say(
                f"{summary.households:,} 户 {summary.rows:,} 人（虚构）→ {out}",
                f"{summary.households:,} households, {summary.rows:,} made-up people → {out}",
            )
        ],
        as_json=json_,
    )


@app.command()
def customers(
    out: Annotated[Path, typer.Argument(help="where to: .csv, .xlsx or .parquet")],
    truth: Annotated[Path, typer.Option(help="where to write what must come of each row (CSV)")] = Path("答案.csv"),
    customers: Annotated[int, typer.Option(min=1, help="how many customers")] = 50_000,
    overlap: Annotated[float, typer.Option(min=0, max=1, help="the share of them who are on the base list")] = 0.6,
    dirty: Annotated[float, typer.Option(min=0, max=1, help="the share of spoiled rows")] = 0.02,
    county: CountyOption = "330922",
    rows: RowsOption = 70_000,
    seed: SeedOption = 1,
    json_: JsonOption = False,
) -> None:
    """A bank's customers beside the base list of the same county, rows and seed.

    Example: mingce generate customers 客户清单.xlsx --customers 50000 --rows 70000
    """
    spec = CustomerSpec(CountySpec(rows, seed, county), customers, overlap=overlap, dirty=dirty, seed=seed)
    listed = generate_customers(out, truth, spec, format=format_of(out, customer_lists.Format))
    print_result(
        {"file": str(out), "truth": str(truth), "customers": customers, "listed": listed},
        [
            say(
                f"{customers:,} 个客户（虚构），其中 {listed:,} 个在名单上 → {out}",
                f"{customers:,} made-up customers, {listed:,} of them listed → {out}",
            )
        ],
        as_json=json_,
    )


@app.command()
def department(
    out: Annotated[Path, typer.Argument(help="where to: .csv, .xlsx or .parquet")],
    kind: Annotated[DepartmentKind, typer.Option(help="民政, 公安, 不动产 or 公积金")],
    truth: Annotated[Path, typer.Option(help="where to write what must come of each number (CSV)")] = Path(
        "部门答案.csv"
    ),
    county: CountyOption = "330922",
    rows: RowsOption = 70_000,
    seed: SeedOption = 1,
    json_: JsonOption = False,
) -> None:
    """A department's list about the people of the base list of the same county, rows and seed.

    Example: mingce generate department 救助名单.csv --kind minzheng --rows 7000
    """
    spec = CountySpec(rows, seed, county)
    made = generate_department(out, truth, kind, spec, format=format_of(out, department_lists.Format))
    print_result(
        {"file": str(out), "truth": str(truth), "kind": kind, "rows": made.rows, "households": made.households},
        [
            say(
                f"{made.households:,} 户中的 {made.rows:,} 人（虚构）→ {out}",
                f"{made.rows:,} made-up people of {made.households:,} households → {out}",
            )
        ],
        as_json=json_,
    )
