"""One loan: what was agreed, what moved, what it costs whom; and its subsidy held up or ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Form, Path, Request
from starlette.responses import HTMLResponse, Response

from api.bureau.services import CurrentActor, CurrentOffice
from api.console.exporting import CurrentTaking, ListOut, hand_out_list
from api.console.faults import FormFault, carry_out, day_of, seen_at
from api.console.language import mark, say
from api.console.line_cells import AMOUNTS, LINE_KINDS, amount_cells
from api.console.loan_view import ENTRY_WORDS, SPAN_WORDS, view
from api.console.rendering import render
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.claims.views import ClaimViews
from matcher.loans import Loans
from matcher.reasons import REASONS
from matcher.subsidy.lines import plain_yuan

router = APIRouter(prefix="/loans")

Number = Annotated[int, Path(ge=1, le=2**53)]
Key = Annotated[str, Form(pattern=r"^[0-9a-f]{32}$")]
ReasonCode = Annotated[str, Form(pattern=r"^(N[0-9X][0-9])?$")]
Remark = Annotated[str, Form(max_length=200)]
Text = Annotated[str, Form(max_length=20)]
LINE_COLUMNS = (
    "行号", "合同编号", "结息期起", "结息期止", "结息日", "类别", "申报", *AMOUNTS, "已付利息", "应付利息",
)  # fmt: skip
_FIELDS: Mapping[str, str] = {
    "loan_day_in_future": "day",
    "loan_span_invalid": "day",
}
DONE: Mapping[str, str] = {
    "suspended": mark("已暂停贴息。今夜重新计息，已申报的部分在下一次申报中更正。"),
    "resumed": mark("已恢复贴息。今夜重新计息。"),
    "stopped": mark("已停止贴息。今夜重新计息，已申报的部分在下一次申报中更正。"),
}


@router.get("/{loan}")
def show(request: Request, loan: Number, actor: CurrentActor, office: CurrentOffice, done: str = "") -> HTMLResponse:
    return _page(request, actor, office, loan, done=DONE.get(done, ""))


@router.post("/{loan}/suspend")
def suspend(
    request: Request,
    loan: Number,
    actor: CurrentActor,
    office: CurrentOffice,
    key: Key,
    day: Text = "",
    reason: ReasonCode = "",
    remark: Remark = "",
) -> Response:
    """No subsidy from a day on, until it is resumed."""
    typed = {"act": "suspend", "day": day, "reason": reason, "remark": remark}
    return _decide(
        request, actor, office, loan, "suspended", typed,
        lambda from_day: Loans(office).suspend(actor, loan, from_day, reason=reason, remark=remark, key=key),
    )  # fmt: skip


@router.post("/{loan}/resume")
def resume(
    request: Request,
    loan: Number,
    actor: CurrentActor,
    office: CurrentOffice,
    key: Key,
    day: Text = "",
    remark: Remark = "",
) -> Response:
    """Subsidy again from a day on."""
    typed = {"act": "resume", "day": day, "remark": remark}
    return _decide(
        request, actor, office, loan, "resumed", typed,
        lambda on_day: Loans(office).resume(actor, loan, on_day, remark=remark, key=key),
    )  # fmt: skip


@router.post("/{loan}/stop")
def stop(
    request: Request,
    loan: Number,
    actor: CurrentActor,
    office: CurrentOffice,
    key: Key,
    day: Text = "",
    reason: ReasonCode = "",
    remark: Remark = "",
) -> Response:
    """No subsidy from a day on, for good."""
    typed = {"act": "stop", "day": day, "reason": reason, "remark": remark}
    return _decide(
        request, actor, office, loan, "stopped", typed,
        lambda from_day: Loans(office).stop(actor, loan, from_day, reason=reason, remark=remark, key=key),
    )  # fmt: skip


@router.post("/{loan}/lines/export")
def export_lines(
    request: Request, loan: Number, actor: CurrentActor, office: CurrentOffice, taking: CurrentTaking
) -> Response:
    """The loan's interest lines, claimed and yet to be claimed, as the page has them."""
    Loans(office).show(actor, loan)  # another's is answered as one that is not there
    lines = ClaimViews(office).of_loan(actor, loan)
    out = ListOut(
        mark("贴息明细"), f"loan/{loan}", Permission.SEE_LOANS, LINE_COLUMNS, part=str(loan),
        numbers=(*AMOUNTS, "已付利息", "应付利息"),
    )  # fmt: skip

    def make_rows() -> list[tuple[str, ...]]:
        return [
            (str(one.line_id), one.contract_no, one.period_start, one.period_end, one.settled_on, LINE_KINDS[one.kind],
             str(one.claim_year) if of.claim_id else "待申报" if of.claimable else "未到期或未付清",
             *amount_cells(one.amounts), plain_yuan(one.interest_paid), plain_yuan(one.interest_due))
            for of in lines
            for one in [of.line]
        ]  # fmt: skip

    return hand_out_list(request, actor, office, taking, out, make_rows, back=f"/loans/{loan}#lines")


def _decide(
    request: Request,
    actor: Actor,
    office: Office,
    loan: int,
    done: str,
    typed: Mapping[str, str],
    step: Callable[[date], object],
) -> Response:
    """The step, then the page that says so; or the page again with why not, and what was typed."""

    def decide() -> Response:
        day = day_of(typed["day"], "day", mark("请填日期"))
        if typed.get("reason") == "":
            raise FormFault("reason", mark("请选原因"))
        step(day)
        return seen_at(f"/loans/{loan}", done)

    again = partial(_page, request, actor, office, loan, typed=typed)
    return carry_out(request, decide, again, form="decide", fields=_FIELDS)


def _page(
    request: Request,
    actor: Actor,
    office: Office,
    loan: int,
    *,
    done: str = "",
    problems: list[tuple[str, str]] | None = None,
    typed: Mapping[str, str] | None = None,
    status: int = 200,
) -> HTMLResponse:
    shown = view(office, actor, loan)
    return render(
        request,
        "loan.html",
        title=shown.detail.loan.contract_no,
        crumbs=[(say(request, "贷款贴息"), "/loans")],
        status=status,
        view=shown,
        detail=shown.detail,
        loan=shown.detail.loan,
        done=say(request, done),
        problems=problems or [],
        typed=typed or {},
        reasons={code: reason for code, reason in REASONS.items() if code != "NX1"} if shown.acts else {},
        entry_words=ENTRY_WORDS,
        span_words=SPAN_WORDS,
        today=office.today().isoformat(),
        key=office.random_bytes(16).hex(),
        may_export=actor.may(Permission.EXPORT),
        export_key=office.random_bytes(16).hex(),
    )
