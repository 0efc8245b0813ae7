"""看板: figures of T+1 beside targets and budget; every number opens the records behind it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from pydantic import StringConstraints
from starlette.responses import HTMLResponse, Response

from api.bureau.services import CurrentActor, CurrentOffice
from api.console.addresses import with_query
from api.console.dashboard_view import (
    PRODUCT,
    STAGES,
    SUBSIDY,
    goal_rows,
    make_charts,
    records_address,
    show_number,
    words_of,
)
from api.console.errors import words_of_problem
from api.console.exporting import CurrentTaking, ListOut, hand_out_list
from api.console.language import mark, say
from api.console.rendering import render
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.figures.definitions import Unit
from matcher.figures.records import Record
from matcher.figures.service import Figures, Trace
from matcher.reports.dashboard import Dashboards
from matcher.reports.sight import Number
from matcher.subsidy.lines import yuan

router = APIRouter()

PAGE = 100
MOST_ALARMS = 5
KINDS: Mapping[str, str] = {
    "household": mark("家庭"),
    "visit": mark("走访"),
    "visit_move": mark("走访步骤"),
    "listing": mark("名单登记"),
    "facility": mark("授信"),
    "loan": mark("贷款"),
    "interest_line": mark("计息行"),
    "form": mark("采集表"),
    "policy": mark("政策"),
}
"""What a record is called."""

Name = Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,40}$")]
Township = Annotated[str, StringConstraints(pattern=r"^(\d{9})?$")]
Product = Annotated[str, StringConstraints(pattern=r"^[a-z]{0,20}$")]
Offset = Annotated[int, Query(ge=0, le=10**7)]
Key = Annotated[str, Form(pattern=r"^[0-9a-f]{32}$")]
Reason = Annotated[str, Form(max_length=300)]


@dataclass(frozen=True)
class RecordRow:
    """A record as the page shows it; ``address`` leads to its own page, where the account has one."""

    kind: str
    number: str
    address: str
    household: int | None
    township: str
    product: str
    value: str


@router.get("/dashboard")
def show(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    day: str = "",
    township: Township = "",
    product: Product = "",
) -> HTMLResponse:
    """The figures of a day, of yesterday without one; its address holds the filters."""
    title = say(request, "看板")
    wanted, problems = _day(request, day)
    board = Dashboards(office, request.app.state.site.townships).show(actor, wanted, township, product)
    if board is None:
        return render(request, "dashboard-empty.html", title=title)
    return render(
        request, "dashboard.html", title=title, as_of=board.day.isoformat(), board=board, problems=problems,
        goals=goal_rows(request, board), charts=make_charts(request, board), stages=STAGES, subsidy_words=SUBSIDY,
        product_words=PRODUCT, number=lambda one: show_number(board, one), words_of=words_of,
        alarms=_alarms(request, actor, office),
        may_see_runs=any(one.path == "runs" for one in request.app.state.sections), status=422 if problems else 200,
    )  # fmt: skip


@router.get("/dashboard/records")
def records(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    name: Name,
    day: date,
    township: Township = "",
    product: Product = "",
    since: date | None = None,
    after: Offset = 0,
) -> HTMLResponse:
    """The records that a number is made of; they are read anew and may have changed since the day was computed."""
    found = Figures(office).trace(actor, name, day, township, product, limit=PAGE + 1, offset=after)
    earlier = Number(None, "", name, township, product)
    return render(
        request, "dashboard-records.html", title=say(request, found.definition.zh), as_of=day.isoformat(),
        crumbs=[(say(request, "看板"), _board_address(day, township, product))], found=found,
        value=_words(found.value, found.definition.unit), unit=_unit(found), kept_value=(
            None if found.kept is None else _words(found.kept, found.definition.unit)
        ),
        rows=[_row(request, actor, found, one) for one in found.records[:PAGE]],
        products=Dashboards(office, {}).product_names(day), township=township, product=product,
        since=since, earlier_address=records_address(since, earlier) if since else "",
        first=after + 1, next_address=with_query(request, after=after + PAGE) if len(found.records) > PAGE else "",
        first_address=with_query(request, after=None) if after else "", may_export=actor.may(Permission.EXPORT),
        key=office.random_bytes(16).hex(), asked={"name": name, "day": day, "township": township, "product": product},
    )  # fmt: skip


@router.post("/dashboard/records")
def download_records(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    taking: CurrentTaking,
    name: Annotated[Name, Form()],
    day: Annotated[date, Form()],
    township: Annotated[Township, Form()] = "",
    product: Annotated[Product, Form()] = "",
) -> Response:
    """The whole list: numbers of records, no names."""
    figures = Figures(office)
    head = figures.trace(actor, name, day, township, product, limit=0)
    columns = ("记录", "家庭", "乡镇（街道）", "产品", f"数值（{_unit(head)}）")
    zh, unit = head.definition.zh, _unit_of(head)
    out = ListOut(zh, f"figure_day/{day}", Permission.SEE_FIGURES, columns, part=str(day), numbers=columns[-1:])

    def make_rows() -> Iterator[tuple[str, ...]]:
        offset = 0
        while records := figures.trace(actor, name, day, township, product, offset=offset).records:
            offset += len(records)
            for one in records:
                household = str(one.household_id or "")
                yield one.record, household, one.township, one.product, _words(one.value, unit)

    return hand_out_list(request, actor, office, taking, out, make_rows, back=_board_address(day, township, product))


def _day(request: Request, typed: str) -> tuple[date | None, list[tuple[str, str]]]:
    try:
        return (date.fromisoformat(typed) if typed else None), []
    except ValueError:
        return None, [("day", say(request, "日期写作 2026-03-05"))]


def _board_address(day: date, township: str, product: str) -> str:
    asked = {"day": day.isoformat(), "township": township, "product": product}
    return "/dashboard?" + "&".join(f"{name}={value}" for name, value in asked.items() if value)


def _alarms(request: Request, actor: Actor, office: Office) -> tuple[int, list[str]]:
    """How many wait, and the words of the newest: for those who may open where they are dealt with."""
    if not (actor.may(Permission.SEE_AUDIT) or actor.may(Permission.REFINE)):
        return 0, []
    waiting = office.alarms.list_waiting()
    newest = waiting[-1 : -MOST_ALARMS - 1 : -1]
    words = [words_of_problem(request, one.code, {"params": one.params, "detail": one.detail})[0] for one in newest]
    return len(waiting), [said or one.code for said, one in zip(words, newest, strict=True)]


def _row(request: Request, actor: Actor, found: Trace, one: Record) -> RecordRow:
    kind, _, number = one.record.partition("/")
    address = ""
    if kind == "loan" and actor.may(Permission.SEE_LOANS):
        address = f"/loans/{number}"
    elif kind == "household" and actor.may(Permission.SEE_HOUSEHOLDS):
        address = f"/households/{number}"
    household = one.household_id if actor.may(Permission.SEE_HOUSEHOLDS) else None
    return RecordRow(
        say(request, KINDS.get(kind, kind)), number, address, household, one.township, one.product,
        _words(one.value, _unit_of(found)),
    )  # fmt: skip


def _unit_of(found: Trace) -> Unit:
    return found.definition.unit


def _unit(found: Trace) -> str:
    """Amounts in a list are whole yuan and 分, not 万元."""
    return "元" if _unit_of(found) is Unit.FEN else _unit_of(found).value


def _words(value: int, unit: Unit) -> str:
    return yuan(value) if unit is Unit.FEN else f"{value:,}"
