"""The programme's reports as pages, for print, and as files: of the figures as the nightly job left them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.responses import HTMLResponse, Response

from api.bureau.services import CurrentActor, CurrentOffice, CurrentReports
from api.console.dashboard_view import words_of
from api.console.exporting import hand_out
from api.console.language import mark, say
from api.console.rendering import render
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.claims.service import Claims
from matcher.downloads import Wanted
from matcher.figures.service import Figures, FiguresMissing
from matcher.masking import mask_name
from matcher.reports.document import Column, Report, Row, Table, Value
from matcher.reports.service import ReportFormat, ReportPeriodInvalid, Reports
from matcher.states import CLAIM

router = APIRouter()

ROWS_ON_PAGE = 50
"""Of a table; a file has them all."""

Kind = Literal["kpi", "monthly", "staff", "year", "claim"]
KINDS: Mapping[Kind, tuple[str, str]] = {
    "monthly": (mark("成效监测表（月报）"), mark("指标、分乡镇、分产品；次月第 5 个工作日前报送")),
    "kpi": (mark("指标完成情况表"), mark("附件 1 各项指标对照各年目标")),
    "staff": (mark("考核指标表"), mark("客户经理走访、签约、日均贷款余额")),
    "year": (mark("年度总结数据表"), mark("指标、分乡镇、分产品、分月、申报")),
    "claim": (mark("贷款贴息申请汇总表"), mark("按申报列出每一计息行，及分户、分合同合计")),
}
"""Title, and what is in it."""
OF_FIGURES = frozenset({"kpi", "monthly", "year"})
WITH_NAMES = frozenset({"claim"})
Key = Annotated[str, Form(pattern=r"^[0-9a-f]{32}$")]
Reason = Annotated[str, Form(max_length=300)]
Typed = Annotated[str, Query(max_length=10)]


@dataclass(frozen=True)
class Asked:
    """What of a report, as an address has it; what is missing is the newest. ``outside``: for beyond the government
    side."""

    day: Typed = ""
    month: Typed = ""
    year: Typed = ""
    start: Typed = ""
    end: Typed = ""
    claim: Annotated[int, Query(ge=0, le=2**53)] = 0
    outside: bool = False


CurrentAsked = Annotated[Asked, Depends()]


@dataclass(frozen=True)
class ShownTable:
    """A table as the page shows it: cells in words; ``left``: how many rows a file has beyond."""

    table: Table
    rows: tuple[tuple[str, ...], ...]
    total: tuple[str, ...] | None
    left: int


@router.get("/dashboard/reports")
def list_reports(request: Request, actor: CurrentActor, office: CurrentOffice) -> HTMLResponse:
    """Which reports there are, each with the form that asks for it."""
    last = _last_day(actor, office)
    claims = Claims(office).list(actor) if actor.may(Permission.SEE_LOANS) else []
    return render(
        request, "reports.html", title=say(request, "报表"), crumbs=[(say(request, "看板"), "/dashboard")],
        as_of=last.isoformat() if last else "", last=last, kinds=_kinds(actor), claims=claims,
        states=CLAIM.words,
    )  # fmt: skip


@router.get("/dashboard/reports/{kind}")
def show(
    request: Request,
    kind: Kind,
    asked: CurrentAsked,
    actor: CurrentActor,
    office: CurrentOffice,
    reports: CurrentReports,
) -> HTMLResponse:
    """A report in full, but for names and the many lines of a claim."""
    last = _last_day(actor, office)
    report = _make(kind, asked, actor, reports, last)
    return render(
        request, "report.html", title=say(request, KINDS[kind][0]),
        crumbs=[(say(request, "看板"), "/dashboard"), (say(request, "报表"), "/dashboard/reports")],
        as_of=last.isoformat() if last and kind in OF_FIGURES else "", report=report, kind=kind, asked=asked,
        tables=[_shown(one) for one in report.tables], may_export=actor.may(Permission.EXPORT),
        personal=kind in WITH_NAMES, key=office.random_bytes(16).hex(),
    )  # fmt: skip


@router.post("/dashboard/reports/{kind}")
def download(
    request: Request,
    kind: Kind,
    asked: CurrentAsked,
    actor: CurrentActor,
    office: CurrentOffice,
    reports: CurrentReports,
    key: Key,
    reason: Reason = "",
    format: Annotated[ReportFormat, Form()] = "xlsx",
) -> Response:
    """The same report as a file. A claim's has borrowers' names, so a second person agrees first."""
    report = _make(kind, asked, actor, reports, _last_day(actor, office))

    def make(path: Path) -> int:
        return reports.export(actor, report, path, format=format, purpose=reason).rows

    needs = Permission.SEE_LOANS if kind == "claim" else Permission.SEE_FIGURES
    wanted = Wanted(report.title, f"{report.title}.{format}", report.subject, needs, personal=kind in WITH_NAMES)
    return hand_out(request, actor, office, wanted, make, reason=reason, key=key)


def _make(kind: Kind, asked: Asked, actor: Actor, reports: Reports, last: date | None) -> Report:
    """Raises FiguresMissing, ReportPeriodInvalid, ClaimUnknown, NotAllowed, PolicyUnknown."""
    if kind == "claim":
        return reports.claim(actor, asked.claim)
    if last is None:
        raise FiguresMissing("nothing has been computed yet", day="")
    outside = asked.outside
    if kind == "monthly":
        first = _date(f"{asked.month}-01") if asked.month else last
        return reports.monthly(actor, first.year, first.month, outside=outside, until=last)
    if kind == "year":
        year = _date(f"{asked.year}-01-01").year if asked.year else last.year
        return reports.year(actor, year, outside=outside, until=last)
    if kind == "staff":
        start = _date(asked.start) if asked.start else last.replace(day=1)
        return reports.staff(actor, start, _date(asked.end) if asked.end else last)
    day = min(_date(asked.day), last) if asked.day else last
    return reports.kpi(actor, day, outside=outside, until=last)


def _date(typed: str) -> date:
    """Raises ReportPeriodInvalid."""
    try:
        return date.fromisoformat(typed)
    except ValueError:
        raise ReportPeriodInvalid("not a day", start=typed, end=typed) from None


def _last_day(actor: Actor, office: Office) -> date | None:
    """The last one with figures: reports are of T+1."""
    return Figures(office).last_until(actor, office.today() - timedelta(days=1))


def _kinds(actor: Actor) -> dict[Kind, tuple[str, str]]:
    """Those that the account may see: reports of figures are of the whole county."""
    whole = actor.cares_for("")
    return {
        kind: words for kind, words in KINDS.items()
        if (actor.may(Permission.SEE_LOANS) if kind == "claim" else whole)
    }  # fmt: skip


def _shown(table: Table) -> ShownTable:
    rows = tuple(_cells(table, row) for row in table.rows[:ROWS_ON_PAGE])
    total = None if table.total is None else _cells(table, table.total)
    return ShownTable(table, rows, total, len(table.rows) - len(rows))


def _cells(table: Table, row: Row) -> tuple[str, ...]:
    return tuple(_cell(column, value) for column, value in zip(table.columns, row, strict=True))


def _cell(column: Column, value: Value) -> str:
    """People's names stay masked on a page."""
    if value is None:
        return ""
    return mask_name(value) if column.key == "borrower" and isinstance(value, str) else words_of(value)
