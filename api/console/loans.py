"""贷款贴息: the loans in an account's care, found by filters that stand in the page's address."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path as FilePath
from typing import Annotated, Literal

from fastapi import APIRouter, Form, Query, Request
from pydantic import StringConstraints
from starlette.responses import RedirectResponse, Response

from api.bureau.services import CurrentActor, CurrentOffice
from api.console.addresses import with_query
from api.console.exporting import CurrentTaking, hand_out_file
from api.console.language import mark, say
from api.console.loan_view import product_names
from api.console.rendering import render
from matcher.accounts.accounts import Accounts
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.downloads import Wanted
from matcher.loans import Loans
from matcher.loans.exporting import write_loans
from matcher.loans.listing import Filter
from matcher.states import LOAN, SUBSIDY
from psi.identifiers import normalise_one

router = APIRouter()

PAGE = 50
State = Literal[
    "", "APPLIED", "COMMITMENT_SIGNED", "CREDIT_APPROVED", "CONTRACTED", "ACTIVE", "OVERDUE", "SETTLED",
    "EARLY_SETTLED", "EXTENDED", "WRITTEN_OFF",
]  # fmt: skip
SubsidyState = Literal["", "ELIGIBLE", "SUSPENDED", "STOPPED", "COMPLETED"]
Digits = Annotated[str, StringConstraints(pattern=r"^[0-9]{0,12}$")]
Code = Annotated[str, StringConstraints(pattern=r"^[a-z]{0,20}$")]
Words = Annotated[str, Query(max_length=60)]
_NO_PEOPLE = mark("证件号码不能写在地址里：请到“名单”查找人员，再从家庭页打开贷款")
Key = Annotated[str, Form(pattern=r"^[0-9a-f]{32}$")]
Line = Annotated[str, Form(max_length=200)]


@router.get("/loans")
def show_list(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    bank: Words = "",
    township: Digits = "",
    state: State = "",
    subsidy: SubsidyState = "",
    product: Code = "",
    number: Words = "",
    after: Annotated[int, Query(ge=0, le=2**53)] = 0,
    refused: Literal["", "number"] = "",
) -> Response:
    """One page of the list, by number; its totals are of all that the filters choose."""
    loans, number = Loans(office), number.strip()
    if normalise_one(number)[0] is not None:
        return RedirectResponse(with_query(request, number=None, refused="number"), status_code=303)
    wanted = Filter(state, subsidy, product, township, _bank(office, actor, bank), None, "", number)
    rows = loans.find(actor, wanted, after=after, limit=PAGE + 1)
    return render(
        request,
        "loans.html",
        title=say(request, "贷款贴息"),
        problems=[("number", say(request, _NO_PEOPLE))] if refused else [],
        wanted=wanted,
        bank=bank,
        banks=[] if actor.bank else Accounts(office).list_banks(),
        choices=loans.list_choices(actor),
        products=product_names(office),
        states=LOAN.words,
        subsidy_states=SUBSIDY.words,
        totals=loans.sum_up(actor, wanted),
        overdue=loans.sum_up(actor, replace(wanted, state="OVERDUE")).loans,
        rows=rows[:PAGE],
        is_first=after == 0,
        first_address=with_query(request, after=None),
        next_address=with_query(request, after=rows[PAGE - 1].loan_id) if len(rows) > PAGE else None,
        overdue_address=with_query(request, state="OVERDUE", after=None),
        may_enter=actor.may(Permission.ENTER_LOANS),
        may_export=actor.may(Permission.EXPORT),
        hidden={name: value for name, value in asdict(wanted).items() if value},
        key=office.random_bytes(16).hex(),
    )


@router.post("/loans/export")
def export(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    taking: CurrentTaking,
    bank: Annotated[str, Form(pattern=r"^([0-9a-f]{64})?$")] = "",
    township: Annotated[Digits, Form()] = "",
    state: Annotated[State, Form()] = "",
    subsidy_state: Annotated[SubsidyState, Form()] = "",
    product: Annotated[Code, Form()] = "",
    number: Annotated[str, Form(max_length=60)] = "",
) -> Response:
    """What the filters choose, masked as on the page."""
    wanted = Filter(state, subsidy_state, product, township, bank, None, "", number)

    def make(path: FilePath) -> int:
        return write_loans(path, Loans(office).find(actor, wanted, limit=-1), taking.format)

    title = say(request, "贷款清单")
    out = Wanted(title, f"贷款清单.{taking.format}", "loan", Permission.SEE_LOANS, personal=False)
    return hand_out_file(request, actor, office, taking, out, make, back="/loans", back_words=say(request, "贷款贴息"))


def _bank(office: Office, actor: Actor, name: str) -> str:
    """The fingerprint of a bank that was chosen by name. Raises BankUnknown."""
    return Loans(office).bank(actor, name) if name else ""
