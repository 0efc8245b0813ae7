"""为什么是这个数: one interest line told in full, and a loan that nobody has taken yet tried out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import HTMLResponse

from api.bureau.services import CurrentActor, CurrentOffice
from api.console.errors import words_of_problem
from api.console.faults import refused
from api.console.language import mark, say
from api.console.names import county_names
from api.console.rendering import render
from matcher.bureau.actors import Permission
from matcher.bureau.office import Office
from matcher.claims.service import Claims
from matcher.households.policies import Policies
from matcher.loans.explaining import lines_of_loan
from matcher.policy import PolicyUnknown
from matcher.subsidy.lines import Line, explain, total, totals_by_year
from matcher.subsidy.periods import Movement
from psi.errors import InputError, MingceError

router = APIRouter()

Number = Annotated[int, Path(ge=1, le=2**53)]
Typed = Annotated[str, Query(max_length=2_000)]
_AMOUNT = re.compile(r"[0-9]{1,10}(\.[0-9]{1,2})?")
_RATE = re.compile(r"[0-9]{1,2}(\.[0-9]{1,6})?")
_FIELDS: Mapping[str, str] = {
    "contract_dates_invalid": "end",
    "loan_movements_invalid": "repayments",
    "subsidy_terms_invalid": "rate",
}
_FAULTS: Mapping[str, str] = {
    "principal": mark("金额写作 100000 或 100000.00，单位元"),
    "rate": mark("利率写作 4.35，单位 %"),
    "start": mark("请填起息日"),
    "end": mark("请填到期日，试算最长十年"),
    "repayments": mark("每行一笔：日期、空格、金额，如 2024-08-15 80000"),
}
_MOST_REPAYMENTS = 200
_LONGEST_DAYS = 3_653


@router.get("/claims/lines/{line}")
def show_line(request: Request, line: Number, actor: CurrentActor, office: CurrentOffice) -> HTMLResponse:
    """Every input, each step with the numbers put in, and the clause it follows."""
    told = Claims(office).explain(actor, line)
    crumbs: list[tuple[str, str | None]] = [(say(request, "申报"), "/claims")]
    if told.claim_id is not None:
        title = say(request, "%(year)s 年贴息申报") % {"year": told.claim_year}
        crumbs.append((title, f"/claims/{told.claim_id}"))
    return render(
        request, "line-explained.html", title=say(request, "为什么是这个数"), crumbs=crumbs, told=told,
        sees_loans=actor.may(Permission.SEE_LOANS),
    )  # fmt: skip


@router.get("/loans/calculator")
def calculate(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    county: Annotated[str, Query(pattern=r"^([0-9]{6})?$")] = "",
    principal: Typed = "",
    rate: Typed = "",
    start: Typed = "",
    end: Typed = "",
    repayments: Typed = "",
) -> HTMLResponse:
    """试算贴息: a loan drawn whole on its first day. Nothing is stored; its address can be sent to a colleague."""
    actor.require(Permission.SEE_LOANS)
    typed = {"principal": principal, "rate": rate, "start": start, "end": end, "repayments": repayments}
    counties = sorted(office.divisions)
    county = county or counties[0]
    problems: list[tuple[str, str]] = []
    lines: list[Line] = []
    status = 200
    if principal:
        try:
            lines = _compute(office, county, typed)
        except _NotReadable as error:
            problems, status = [(error.field, say(request, _FAULTS[error.field]))], 422
        except PolicyUnknown as error:
            words, _ = words_of_problem(request, error.code, {"params": dict(error.params)})
            problems, status = [("start", words)], 422
        except MingceError as error:
            found = refused(request, error, _FIELDS, "principal")
            problems, status = found.problems, found.status
    return render(
        request, "calculator.html", title=say(request, "试算贴息"), crumbs=[(say(request, "贷款贴息"), "/loans")],
        status=status, typed=typed, county=county, counties=counties, county_names=county_names(office),
        problems=problems, lines=lines, explain=explain,
        total=total(lines), by_year=totals_by_year(lines),
        policy=Policies(office).policy_for(county, date.fromisoformat(start)) if lines else None,
    )  # fmt: skip


class _NotReadable(InputError):
    """A field that was typed cannot be read; never leaves this module."""

    code = "bad_input"

    def __init__(self, field: str) -> None:
        super().__init__("not readable", field=field)
        self.field = field


def _compute(office: Office, county: str, typed: Mapping[str, str]) -> list[Line]:
    amount, rate = typed["principal"].replace(",", "").strip(), typed["rate"].strip().removesuffix("%")
    for field, text, pattern in (("principal", amount, _AMOUNT), ("rate", rate, _RATE)):
        if not pattern.fullmatch(text):
            raise _NotReadable(field)
    first, last = _day("start", typed["start"]), _day("end", typed["end"])
    if (last - first).days > _LONGEST_DAYS:
        raise _NotReadable("end")
    loaded = Policies(office).policy_for(county, first)
    repaid = [_repayment(row) for row in typed["repayments"].splitlines() if row.strip()]
    if len(repaid) > _MOST_REPAYMENTS or not int(Decimal(amount) * 100):
        raise _NotReadable("repayments" if repaid else "principal")
    return lines_of_loan(loaded, int(Decimal(amount) * 100), Decimal(rate), first, last, repaid)


def _repayment(row: str) -> Movement:
    day, _, amount = row.strip().partition(" ")
    amount = amount.replace(",", "").strip()
    if not _AMOUNT.fullmatch(amount):
        raise _NotReadable("repayments")
    return Movement(_day("repayments", day), -int(Decimal(amount) * 100))


def _day(field: str, text: str) -> date:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise _NotReadable(field) from None
