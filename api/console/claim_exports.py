"""申报 as files: the claims, one claim's lines as the filters show them, its sums, and what people looked at."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from api.bureau.services import CurrentActor, CurrentOffice
from api.console.claim_page import Code, Digits, ExceptionKind, Number
from api.console.claim_view import STEP_WORDS
from api.console.claims import list_claims
from api.console.exporting import CurrentTaking, ListOut, count_through, hand_out_list
from api.console.language import mark
from api.console.line_cells import AMOUNTS, LINE_KINDS, amount_cells
from api.console.loan_view import product_names
from api.console.names import county_names
from matcher.bureau.actors import ROLE_WORDS, Permission
from matcher.claims.exceptions import KINDS, ClaimException
from matcher.claims.views import ClaimViews, Grouping, LineFilter, LineKind, NextStep
from matcher.states import CLAIM
from matcher.subsidy.lines import plain_yuan

router = APIRouter(prefix="/claims")

AT_ONCE = 5_000
CLAIM_COLUMNS = ("年度", "银行", "县（市、区）", "状态", "行数", *AMOUNTS, "待处理事项", "下一步与经办")
LINE_COLUMNS = (
    "行号", "合同编号", "结息期起", "结息期止", "结息日", "类别", "申报年度", "余额积数（元·天）", *AMOUNTS, "实付利息",
    "抽查", "抽查结论",
)  # fmt: skip
EXCEPTION_COLUMNS = ("编号", "种类", "合同编号", "行号", "细节", "说明", "说明人")
GROUPS: dict[Grouping, str] = {
    "contract": mark("合同编号"),
    "household": mark("家庭编号"),
    "product": mark("产品"),
    "township": mark("乡镇（街道）"),
}
Grouped = Annotated[Grouping, Form()]


@router.post("/export")
def export_claims(request: Request, actor: CurrentActor, office: CurrentOffice, taking: CurrentTaking) -> Response:
    """Every claim that the list shows."""
    out = ListOut(mark("贴息申报"), "claims", Permission.SEE_LOANS, CLAIM_COLUMNS, numbers=AMOUNTS)
    counties = county_names(office)

    def make_rows() -> Iterator[tuple[str, ...]]:
        for row in list_claims(actor, office):
            claim = row.claim
            following = "；".join(map(_next_step, row.next_steps))
            yield (
                str(claim.year), claim.bank_name, counties.get(claim.county, claim.county), CLAIM.words[claim.state],
                str(claim.lines), *amount_cells(claim.amounts), str(claim.open_exceptions), following,
            )  # fmt: skip

    return hand_out_list(request, actor, office, taking, out, make_rows, back="/claims")


@router.post("/{claim}/lines/export")
def export_lines(
    request: Request,
    claim: Number,
    actor: CurrentActor,
    office: CurrentOffice,
    taking: CurrentTaking,
    kind: Annotated[LineKind, Form()] = "",
    number: Annotated[str, Form(max_length=60)] = "",
    township: Annotated[Digits, Form()] = "",
    product: Annotated[Code, Form()] = "",
) -> Response:
    """The lines that the filters choose, before they are frozen and after; no personal data."""
    wanted, views = LineFilter(kind, number.strip(), township, product), ClaimViews(office)
    columns, numbers = LINE_COLUMNS, ("余额积数（元·天）", *AMOUNTS, "实付利息")
    out = ListOut(mark("申报明细"), f"claim/{claim}", Permission.SEE_LOANS, columns, part=str(claim), numbers=numbers)

    def make_rows() -> Iterator[tuple[str, ...]]:
        for one in count_through(lambda first: views.lines(actor, claim, wanted, first=first, count=AT_ONCE).lines):
            yield (
                str(one.line_id), one.contract_no, one.period_start, one.period_end, one.settled_on,
                LINE_KINDS[one.kind], str(one.claim_year), plain_yuan(one.balance_days), *amount_cells(one.amounts),
                plain_yuan(one.interest_paid), "是" if one.in_sample else "", one.finding or "",
            )  # fmt: skip

    back = f"/claims/{claim}/{'sample' if kind == 'sample' else 'lines'}"
    return hand_out_list(request, actor, office, taking, out, make_rows, back=back)


@router.post("/{claim}/totals/export")
def export_totals(
    request: Request,
    claim: Number,
    actor: CurrentActor,
    office: CurrentOffice,
    taking: CurrentTaking,
    by: Grouped = "contract",
) -> Response:
    """The claim's amounts by contract, household, product or township."""
    views, products, place_of = ClaimViews(office), product_names(office), request.app.state.site.place_of
    columns = (GROUPS[by], "合同数", "行数", *AMOUNTS)
    out = ListOut(mark("申报汇总"), f"claim/{claim}", Permission.SEE_LOANS, columns, part=str(claim), numbers=AMOUNTS)

    def make_rows() -> Iterator[tuple[str, ...]]:
        for one in count_through(lambda first: views.totals(actor, claim, by, first=first, count=AT_ONCE).totals):
            key = place_of(one.key) if by == "township" else products.get(one.key, one.key)
            yield key, str(one.contracts), str(one.lines), *amount_cells(one.amounts)

    return hand_out_list(request, actor, office, taking, out, make_rows, back=f"/claims/{claim}/totals?by={by}")


@router.post("/{claim}/exceptions/export")
def export_exceptions(
    request: Request,
    claim: Number,
    actor: CurrentActor,
    office: CurrentOffice,
    taking: CurrentTaking,
    kind: Annotated[ExceptionKind, Form()] = "",
) -> Response:
    """What people have to look at, the open ones first, and what they said."""
    views = ClaimViews(office)
    out = ListOut(mark("待处理事项"), f"claim/{claim}", Permission.SEE_LOANS, EXCEPTION_COLUMNS, part=str(claim))

    def make_rows() -> Iterator[tuple[str, ...]]:
        def read(first: int) -> Sequence[ClaimException]:
            return views.exceptions(actor, claim, kind, first=first, count=AT_ONCE).exceptions

        for one in count_through(read):
            yield (
                str(one.exception_id), KINDS[one.kind], one.contract_no or str(one.detail.get("contract_no", "")),
                str(one.line_id or ""), json.dumps(one.detail, ensure_ascii=False), one.settlement or "",
                one.settled_by or "",
            )  # fmt: skip

    return hand_out_list(request, actor, office, taking, out, make_rows, back=f"/claims/{claim}/exceptions")


def _next_step(one: NextStep) -> str:
    return f"{STEP_WORDS[one.name][0]}（{'、'.join(ROLE_WORDS[role] for role in one.roles)}）"
