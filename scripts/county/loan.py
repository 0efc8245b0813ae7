"""``mingce loan``: what banks report of their loans, and what the county decides about their subsidy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer

from keys.files import write_atomic
from matcher.loans import Loans
from matcher.loans.events import Recorded
from matcher.loans.listing import Filter
from matcher.loans.loan_file import Row, read_event
from scripts.county.acting import AsOption, Desk, PasswordFileOption, at_desk, open_desk
from scripts.county.loan_printing import describe, describe_import, print_loans, print_rejects, write_rejects
from scripts.home import ConfigOption, DryRunOption, JsonOption
from scripts.language import say
from scripts.output import print_result

app = typer.Typer(
    no_args_is_help=True, help="贷款：导入、登记、贴息暂停与停止。 Loans, and their subsidy held up or ended."
)

BankOption = Annotated[str, typer.Option(help="the bank's name; else the account's own, or the only one")]
LoanArgument = Annotated[int, typer.Argument(help="the loan's number, as `loan list` shows it")]
ContractArgument = Annotated[str, typer.Argument(help="the contract's number at the bank")]
_DAY = ["%Y-%m-%d"]
FromOption = Annotated[datetime, typer.Option("--from", formats=_DAY, help="the first day without subsidy")]
ReasonOption = Annotated[str, typer.Option(help="a reason code, docs/reference/reasons.md")]
RemarkOption = Annotated[str, typer.Option(help="for colleagues; no personal data")]
NumberFileOption = Annotated[
    Path | None, typer.Option("--number-file", help="a file that holds the borrower's ID number; else it is asked for")
]


@app.command("import")
@at_desk
def import_(
    desk: Desk,
    files: Annotated[list[Path], typer.Argument(help="a bank's daily files, the oldest first: .csv, .xlsx, .parquet")],
    bank: BankOption = "",
    rejects: Annotated[Path | None, typer.Option(help="write the rows that were not entered: .csv or .xlsx")] = None,
    dry_run: DryRunOption = False,
    json_: JsonOption = False,
) -> None:
    """Enter a bank's daily loan files. A row is entered whole or not at all; the same file again changes nothing.

    Exit code 3 if rows were rejected; mend the cause and run the same file again.

    Example: mingce loan import 贷款日报-20250228.xlsx --rejects 未登记.xlsx --as yinhang
    """
    loans, columns = Loans(desk.office), desk.home.settings.loan_file.columns
    of_bank = loans.bank(desk.actor, bank)
    done = [
        (file.name, loans.import_file(desk.actor, of_bank, file, columns=columns, dry_run=dry_run)) for file in files
    ]
    found = [(name, reject) for name, file in done for reject in file.rejects]
    if rejects is not None:
        write_rejects(rejects, found)
    print_result(
        {"files": [{"file": name, **asdict(file)} for name, file in done], "dry_run": dry_run},
        [describe_import(name, file, dry_run=dry_run) for name, file in done],
        as_json=json_,
    )
    if found and not json_:
        print_rejects(found)
    if found:
        raise typer.Exit(3)


@app.command()
@at_desk
def files(
    desk: Desk,
    limit: Annotated[int, typer.Option(min=1, max=500, help="how many to show")] = 20,
    json_: JsonOption = False,
) -> None:
    """Loan files that were entered, the newest first, with the rows that were not.

    Example: mingce loan files --as jingban
    """
    found = Loans(desk.office).files(desk.actor, limit=limit)
    lines = [
        f"{file['business_date']}  {file['bank']}  {file['accepted']:,}/{file['rows']:,}  {file['imported_by']}"
        for file in found
    ]
    result = [{**file, "rejects": [asdict(reject) for reject in file["rejects"]]} for file in found]
    print_result({"files": result}, lines or [say("还没有贷款文件。", "No loan file yet.")], as_json=json_)
    waiting = [(file["business_date"], reject) for file in found for reject in file["rejects"]]
    if waiting and not json_:
        print_rejects(waiting)


@app.command("list")
@at_desk
def list_(
    desk: Desk,
    state: Annotated[str, typer.Option(help="a state of docs/reference/states.md")] = "",
    subsidy: Annotated[str, typer.Option(help="ELIGIBLE, SUSPENDED, STOPPED or COMPLETED")] = "",
    product: Annotated[str, typer.Option(help="a product's code")] = "",
    township: Annotated[str, typer.Option(help="first digits of a division")] = "",
    household: Annotated[int | None, typer.Option(help="a household's number here")] = None,
    contract: Annotated[str, typer.Option(help="a contract's number")] = "",
    after: Annotated[int, typer.Option(help="where the page before ended")] = 0,
    size: Annotated[int, typer.Option(min=1, max=500, help="how many to show")] = 50,
    json_: JsonOption = False,
) -> None:
    """Loans by number; names and ID numbers are masked.

    Example: mingce loan list --state OVERDUE --township 330922100 --as jingban
    """
    where = Filter(state, subsidy, product, township, "", household, contract)
    found = Loans(desk.office).find(desk.actor, where, after=after, limit=size)
    print_result(
        {"loans": [asdict(loan) for loan in found]},
        [say(f"{len(found):,} 笔", f"{len(found):,} loans")],
        as_json=json_,
    )
    if found and not json_:
        print_loans(found)


@app.command()
@at_desk
def show(
    desk: Desk,
    loan: LoanArgument,
    json_: JsonOption = False,
) -> None:
    """One loan: its contract, commitment and list day, every entry, and the days that bear no subsidy.

    Example: mingce loan show 17 --as jingban
    """
    found = Loans(desk.office).show(desk.actor, loan)
    print_result(asdict(found), describe(found), as_json=json_)


@app.command()
@at_desk
def commitment(
    desk: Desk,
    household: Annotated[int, typer.Argument(help="the household's number here")],
    contract: ContractArgument,
    number: Annotated[str, typer.Argument(help="the commitment's number")],
    out_: Annotated[Path, typer.Argument(metavar="OUT", help="where to: .html, for a browser to print")],
    bank: BankOption = "",
    version: Annotated[str, typer.Option(help="of the template; else the newest")] = "",
    json_: JsonOption = False,
) -> None:
    """The 身份承诺书 of a household's applicant as a page to print and sign; the ID number on it is masked.

    Example: mingce loan commitment 17 HT-2025-001 CN-2025-001 承诺书.html --as yinhang
    """
    loans = Loans(desk.office)
    page = loans.commitment_page(
        desk.actor,
        household,
        bank=loans.bank(desk.actor, bank),
        contract_no=contract,
        commitment_no=number,
        version=version,
    )
    write_atomic(out_, page.encode("utf-8"))
    print_result({"file": str(out_)}, [say(f"已写入 {out_}", f"Wrote {out_}")], as_json=json_)


@app.command()
def commit(
    contract: ContractArgument,
    number: Annotated[str, typer.Argument(help="the commitment's number")],
    on: Annotated[datetime, typer.Option("--on", formats=_DAY, help="the day it was signed")],
    witness: Annotated[str, typer.Option(help="who saw it signed")] = "",
    way: Annotated[str, typer.Option(help="paper or device")] = "paper",
    version: Annotated[str, typer.Option(help="of the template; else the newest")] = "",
    number_file: NumberFileOption = None,
    bank: BankOption = "",
    as_: AsOption = None,
    password_file: PasswordFileOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Enter a commitment that a borrower signed.

    Example: mingce loan commit HT-2025-001 CN-2025-001 --on 2025-02-28 --witness 王某 --as yinhang
    """
    cells = {"contract_no": contract, "commitment_no": number, "witness": witness, "way": way}
    cells |= {"kind": "commitment", "on_day": _day(on), "template_version": version}
    _record(config, as_, password_file, bank, number_file, cells, json_)


@app.command()
@at_desk
def image(
    desk: Desk,
    commitment_id: Annotated[int, typer.Argument(metavar="COMMITMENT", help="its number here, as `loan commit` says")],
    file: Annotated[Path, typer.Argument(help="JPEG or PNG")],
    json_: JsonOption = False,
) -> None:
    """Keep the scanned image of a signed commitment. Only its pixels are kept, sealed; it is never replaced.

    Example: mingce loan image 4 承诺书.jpg --as yinhang
    """
    kept = Loans(desk.office).add_image(desk.actor, commitment_id, file.read_bytes())
    print_result(asdict(kept), [f"{kept.width}×{kept.height}  SHA-256 {kept.sha256}"], as_json=json_)


@app.command()
def sign(
    contract: ContractArgument,
    principal: Annotated[str, typer.Argument(help="yuan, for example 100000")],
    product: Annotated[str, typer.Option(help="a product's code or name")],
    rate: Annotated[str, typer.Option(help="percent a year, before any concession")],
    customer_rate: Annotated[str, typer.Option(help="percent a year that the customer pays")],
    on: Annotated[datetime, typer.Option("--on", formats=_DAY, help="the day it was signed: its policy counts")],
    start: Annotated[datetime, typer.Option("--from", formats=_DAY, help="the first day of interest")],
    end: Annotated[datetime, typer.Option("--to", formats=_DAY, help="the day it is due, not counted")],
    facility: Annotated[str, typer.Option(help="the number of the facility it is under")] = "",
    purpose: Annotated[str, typer.Option(help="what it is for; no personal data")] = "",
    manager: Annotated[str, typer.Option(help="the bank's manager, for the staff figures")] = "",
    number_file: NumberFileOption = None,
    bank: BankOption = "",
    as_: AsOption = None,
    password_file: PasswordFileOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Enter a contract. It has to be within the policy, the cap and the final list, with a commitment signed.

    Example: mingce loan sign HT-1 100000 --product jingying --rate 4.35 --customer-rate 3.8
    --on 2025-02-28 --from 2025-03-01 --to 2026-03-01 --as yinhang
    """
    cells = {"contract_no": contract, "amount": principal, "product": product, "purpose": purpose, "manager": manager}
    cells |= {"contract_rate": rate, "customer_rate": customer_rate, "facility_no": facility, "kind": "contract"}
    cells |= {"on_day": _day(on), "starts_on": _day(start), "ends_on": _day(end)}
    _record(config, as_, password_file, bank, number_file, cells, json_)


@app.command()
@at_desk
def suspend(
    desk: Desk,
    loan: LoanArgument,
    from_: FromOption,
    reason: ReasonOption = "N31",
    remark: RemarkOption = "",
    json_: JsonOption = False,
) -> None:
    """No subsidy from a day on, until it is resumed. Days already claimed are taken back in the next claim.

    Example: mingce loan suspend 17 --from 2025-02-01 --reason N31 --as jingban
    """
    done = Loans(desk.office).suspend(desk.actor, loan, from_.date(), reason=reason, remark=remark)
    _print_done(done, json_)


@app.command()
@at_desk
def resume(
    desk: Desk,
    loan: LoanArgument,
    on: Annotated[datetime, typer.Option("--on", formats=_DAY, help="the first day with subsidy again")],
    remark: RemarkOption = "",
    json_: JsonOption = False,
) -> None:
    """Subsidy again from a day on.

    Example: mingce loan resume 17 --on 2025-03-01 --as jingban
    """
    _print_done(Loans(desk.office).resume(desk.actor, loan, on.date(), remark=remark), json_)


@app.command()
@at_desk
def stop(
    desk: Desk,
    loan: LoanArgument,
    from_: FromOption,
    reason: ReasonOption = "N31",
    remark: RemarkOption = "",
    json_: JsonOption = False,
) -> None:
    """No subsidy from a day on, for good. Days already claimed are taken back in the next claim.

    Example: mingce loan stop 17 --from 2025-02-01 --reason N31 --as jingban
    """
    done = Loans(desk.office).stop(desk.actor, loan, from_.date(), reason=reason, remark=remark)
    _print_done(done, json_)


def _record(
    config: Path | None,
    as_: str | None,
    password_file: Path | None,
    bank: str,
    number_file: Path | None,
    cells: Mapping[str, str],
    json_: bool,
) -> None:
    """One event, read as a row of a file is."""
    desk = open_desk(config, as_, password_file)
    loans = Loans(desk.office)
    number = number_file.read_text("utf-8").strip() if number_file else _ask_number()
    event = read_event(Row({**cells, "number": number}))
    _print_done(loans.record(desk.actor, loans.bank(desk.actor, bank), event), json_)


def _ask_number() -> str:
    """Not as an argument: those stand in the shell's history and in the list of processes."""
    return str(typer.prompt(say("借款人证件号码", "The borrower's ID number"), hide_input=True, err=True))


def _print_done(done: Recorded, json_: bool) -> None:
    line = say(f"已登记：{done.subject}", f"Entered: {done.subject}")
    known = say(f"此前已登记，未作改动：{done.subject}", f"Entered before, nothing changed: {done.subject}")
    print_result(asdict(done), [line if done.is_new else known], as_json=json_)


def _day(moment: datetime) -> str:
    day: date = moment.date()
    return day.isoformat()
