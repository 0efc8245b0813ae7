"""One claim as a document being built: how far it is, its lines, their totals, what to look at, the audit's sample."""

from __future__ import annotations

from pathlib import Path as FilePath
from typing import Annotated

from fastapi import APIRouter, Form, Path, Query, Request
from pydantic import StringConstraints
from starlette.responses import HTMLResponse, Response

from api.bureau.services import CurrentActor, CurrentOffice, CurrentReports
from api.console.addresses import with_query
from api.console.claim_view import CONFLICTS, WAITS, claim_page
from api.console.exporting import CurrentTaking, Taking, hand_out_file
from api.console.language import mark, say
from api.console.loan_view import product_names
from api.console.paging import Page
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.claims.exceptions import KINDS
from matcher.claims.service import Claims
from matcher.claims.steps import TOUCHABLE
from matcher.claims.views import ClaimViews, Grouping, LineFilter, LineKind
from matcher.downloads import Wanted
from matcher.downloads.packing import Make
from matcher.loans import Loans

router = APIRouter(prefix="/claims")

PAGE = 50
Number = Annotated[int, Path(ge=1, le=2**53)]
PageNumber = Annotated[int, Query(ge=1, le=10**6)]
Key = Annotated[str, Form(pattern=r"^[0-9a-f]{32}$")]
Line = Annotated[str, Form(max_length=200)]
Digits = Annotated[str, StringConstraints(pattern=r"^[0-9]{0,12}$")]
Code = Annotated[str, StringConstraints(pattern=r"^[a-z]{0,20}$")]
ExceptionKind = Annotated[str, StringConstraints(pattern=rf"^({'|'.join(KINDS)})?$")]
DONE = {
    "moved": mark("已办理。"),
    "verified": mark("明细与冻结时一致。"),
    "settled": mark("已记录说明。"),
    "compared": mark("已比对，没有差异。"),
    "differs": mark("已比对，差异列在下面，每一项都须说明。"),
    "drawn": mark("样本已抽取，种子已记录，不可重抽。"),
    "found": mark("结论已记录。"),
}


@router.get("/{claim}")
def show(request: Request, claim: Number, actor: CurrentActor, office: CurrentOffice, done: str = "") -> HTMLResponse:
    return overview(request, actor, office, claim, done=DONE.get(done, ""))


@router.get("/{claim}/lines")
def show_lines(
    request: Request,
    claim: Number,
    actor: CurrentActor,
    office: CurrentOffice,
    kind: LineKind = "",
    number: Annotated[str, Query(max_length=60)] = "",
    township: Digits = "",
    product: Code = "",
    page: PageNumber = 1,
) -> HTMLResponse:
    """The lines that the filters choose, and what they add up to."""
    wanted, views = LineFilter(kind, number.strip(), township, product), ClaimViews(office)
    found = views.lines(actor, claim, wanted, first=(page - 1) * PAGE, count=PAGE)
    return claim_page(
        request, actor, office, claim, "lines", found=found, wanted=wanted, products=product_names(office),
        choices=Loans(office).list_choices(actor) if actor.may(Permission.SEE_LOANS) else {},
        page=Page(page, PAGE, found.count), address=lambda number: with_query(request, page=number),
    )  # fmt: skip


@router.get("/{claim}/totals")
def show_totals(
    request: Request,
    claim: Number,
    actor: CurrentActor,
    office: CurrentOffice,
    by: Grouping = "contract",
    page: PageNumber = 1,
) -> HTMLResponse:
    """The claim's amounts by contract, household, product or township; each sum is of the lines."""
    found = ClaimViews(office).totals(actor, claim, by, first=(page - 1) * PAGE, count=PAGE)
    return claim_page(
        request, actor, office, claim, "totals", found=found, by=by, page=Page(page, PAGE, found.groups),
        address=lambda number: with_query(request, page=number), products=product_names(office),
    )  # fmt: skip


@router.get("/{claim}/exceptions")
def show_exceptions(
    request: Request,
    claim: Number,
    actor: CurrentActor,
    office: CurrentOffice,
    kind: ExceptionKind = "",
    page: PageNumber = 1,
    done: str = "",
) -> HTMLResponse:
    """What people have to look at, the open ones first."""
    return exceptions(request, actor, office, claim, kind=kind, number=page, done=DONE.get(done, ""))


@router.get("/{claim}/sample")
def show_sample(
    request: Request,
    claim: Number,
    actor: CurrentActor,
    office: CurrentOffice,
    page: PageNumber = 1,
    done: str = "",
) -> HTMLResponse:
    return sample(request, actor, office, claim, number=page, done=DONE.get(done, ""))


@router.post("/{claim}/export")
def export(
    request: Request, claim: Number, actor: CurrentActor, office: CurrentOffice, taking: CurrentTaking
) -> Response:
    """The frozen lines with the columns in which a bank hands in its own figures; no personal data."""

    def make(path: FilePath) -> int:
        return Claims(office).export(actor, claim, path, taking.format)

    name = f"贴息明细-{claim}.{taking.format}"
    wanted = Wanted(say(request, "贴息明细"), name, f"claim/{claim}", Permission.SEE_LOANS, personal=False)
    return _hand_out(request, actor, office, claim, taking, wanted, make)


@router.post("/{claim}/workbook")
def workbook(
    request: Request,
    claim: Number,
    actor: CurrentActor,
    office: CurrentOffice,
    reports: CurrentReports,
    taking: CurrentTaking,
) -> Response:
    """贷款贴息申请汇总表. Borrowers' names are in it, so a second person agrees first."""
    report = reports.claim(actor, claim)

    def make(path: FilePath) -> int:
        return reports.export(actor, report, path, format="xlsx", purpose=taking.reason).rows

    name = f"贷款贴息申请汇总表-{claim}.xlsx"
    wanted = Wanted(report.title, name, f"claim/{claim}", Permission.SEE_LOANS, personal=True)
    return _hand_out(request, actor, office, claim, taking, wanted, make)


def overview(
    request: Request,
    actor: Actor,
    office: Office,
    claim: int,
    *,
    done: str = "",
    problems: list[tuple[str, str]] | None = None,
    typed: dict[str, str] | None = None,
    status: int = 200,
) -> HTMLResponse:
    """``typed``: the step that was refused, and its remark."""
    return claim_page(
        request, actor, office, claim, "", done=done, problems=problems or (), status=status, typed=typed or {},
        next_steps=ClaimViews(office).next_steps(actor, claim), waits=WAITS,
    )  # fmt: skip


def exceptions(
    request: Request,
    actor: Actor,
    office: Office,
    claim: int,
    *,
    kind: str = "",
    number: int = 1,
    done: str = "",
    problems: list[tuple[str, str]] | None = None,
    typed: dict[str, str] | None = None,
    status: int = 200,
) -> HTMLResponse:
    """``typed``: the exception whose settlement was refused, and its text."""
    found = ClaimViews(office).exceptions(actor, claim, kind, first=(number - 1) * PAGE, count=PAGE)
    counts = {each: found.counts.get(each, 0) for each in KINDS}
    total = sum(counts.values())
    page = Page(number, PAGE, counts[kind] if kind else total)
    state = Claims(office).head(actor, claim).summary.state
    return claim_page(
        request, actor, office, claim, "exceptions", done=done, problems=problems or (), status=status,
        rows=found.exceptions, page=page, kind=kind, counts=counts, total=total,
        address=lambda number: with_query(request, page=number, done=None), typed=typed or {}, conflicts=CONFLICTS,
        settles=actor.may(Permission.PREPARE_CLAIM) and state in TOUCHABLE,
        settles_findings=actor.may(Permission.AUDIT_CLAIM) and state in TOUCHABLE,
    )  # fmt: skip


def sample(
    request: Request,
    actor: Actor,
    office: Office,
    claim: int,
    *,
    number: int = 1,
    done: str = "",
    problems: list[tuple[str, str]] | None = None,
    typed: dict[str, str] | None = None,
    status: int = 200,
) -> HTMLResponse:
    """``typed``: the line whose finding was refused, and its text."""
    found = ClaimViews(office).lines(actor, claim, LineFilter("sample"), first=(number - 1) * PAGE, count=PAGE)
    state = Claims(office).head(actor, claim).summary.state
    return claim_page(
        request, actor, office, claim, "sample", done=done, problems=problems or (), status=status, found=found,
        page=Page(number, PAGE, found.count), address=lambda number: with_query(request, page=number, done=None),
        typed=typed or {}, audits=actor.may(Permission.AUDIT_CLAIM) and state == "BANK_CHECKED", size=30,
    )  # fmt: skip


def _hand_out(
    request: Request, actor: Actor, office: Office, claim: int, taking: Taking, wanted: Wanted, make: Make
) -> Response:
    back_words = say(request, "申报")
    return hand_out_file(request, actor, office, taking, wanted, make, back=f"/claims/{claim}", back_words=back_words)
