"""计划与分派: who is visited when and by whom, grid by grid, and the files that go out and come back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, File, Form, Request, UploadFile
from starlette.responses import HTMLResponse, Response

from api.bureau.services import CurrentActor, CurrentOffice
from api.console.errors import words_of_problem
from api.console.exporting import hand_out, send_file
from api.console.faults import carry_out
from api.console.language import language_of, mark, say
from api.console.names import county_names
from api.console.outcomes import Result, result_of
from api.console.rendering import render
from api.console.uploads import read_table_upload
from api.console.visit_list import door_page
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.downloads import FileOut, Wanted
from matcher.households import Households
from matcher.rejects import ROW_REASONS
from matcher.visits.marketing import RowProblem
from matcher.visits.planning import Planned
from matcher.visits.problems import FORM_PROBLEMS
from matcher.visits.service import Visits
from matcher.visits.sheet_import import SheetProblem
from matcher.visits.showing import VisitFilter

router = APIRouter(prefix="/visits")

_FIELDS = {
    "manager_unsuitable": "manager", "policy_unknown": "area", "upload_unusable": "file", "format_unknown": "file",
    "table_damaged": "file", "table_empty": "file", "column_missing": "file",
}  # fmt: skip
Area = Annotated[str, Form(pattern=r"^[0-9]{6,12}$")]
Key = Annotated[str, Form(pattern=r"^[0-9a-f]{32}$")]
Grid = Annotated[str, Form(max_length=60)]
Line = Annotated[str, Form(max_length=200)]


@router.get("/plan")
def show(request: Request, actor: CurrentActor, office: CurrentOffice) -> HTMLResponse:
    return _plan_page(request, actor, office)


@router.post("/plan")
def plan(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    area: Area,
    planned_for: Annotated[date, Form()],
    grid: Grid = "",
) -> Response:
    """A visit for every household of the area that waits for one; again it plans nothing."""
    typed = {"area": area, "planned_for": planned_for.isoformat(), "grid": grid}

    def step() -> str:
        done = Visits(office).plan(actor, area, planned_for, grid=grid)
        return _planned(request, done)

    return _do(request, actor, office, step, typed)


@router.post("/revisits")
def plan_revisits(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    area: Area,
    planned_for: Annotated[date, Form()],
) -> Response:
    def step() -> str:
        done = Visits(office).plan_revisits(actor, area, planned_for)
        return say(request, "已计划回访 %(count)s 户。") % {"count": f"{done:,}"}

    return _do(request, actor, office, step, {"area": area, "planned_for": planned_for.isoformat()})


@router.post("/assign")
def assign(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    key: Key,
    area: Area,
    manager: Line = "",
    grid: Grid = "",
    grid_officer: Line = "",
) -> Response:
    """Every planned visit of a township, or of one grid of it, to one account; a result for each."""
    visits, typed = Visits(office), {"area": area, "manager": manager, "grid": grid, "grid_officer": grid_officer}

    def step() -> Response:
        outcomes = visits.assign_area(actor, area, manager, grid=grid, grid_officer=grid_officer, key=key)
        numbers = _numbers(visits, actor, [one.id for one in outcomes])
        results = [result_of(request, one, one.id, numbers.get(one.id, str(one.id))) for one in outcomes]
        return _results(request, results, back="/visits/plan")

    again = partial(_plan_page, request, actor, office, typed=typed)
    return carry_out(request, step, again, form="assign", fields=_FIELDS)


@router.post("/sheet")
def get_sheet(request: Request, actor: CurrentActor, office: CurrentOffice) -> Response:
    """The account's own open visits as a workbook. A form and no link: it holds ID numbers and is recorded."""
    return send_file(FileOut("", "走访.xlsx", Visits(office).sheet_content(actor)))


@router.post("/sheet-in")
def take_sheet(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    file: Annotated[UploadFile | None, File()] = None,
    dry_run: Annotated[bool, Form()] = False,
) -> Response:
    """That workbook filled in; the same again changes nothing."""
    actor.require(Permission.VISIT)

    def step() -> Response:
        content, _ = read_table_upload(file)
        done = Visits(office).take_sheet(actor, content, dry_run=dry_run)
        return render(
            request, "visit-file-results.html", title=say(request, "离线表格"),
            crumbs=[(say(request, "走访"), "/visits")],
            done={mark("已保存"): done.saved, mark("没有变化"): done.unchanged, mark("还没填"): done.blank},
            conflicts=done.conflicts, problems=_lines(request, done.problems), dry_run=dry_run, back="/visits",
            status=422 if done.problems else 200,
        )  # fmt: skip

    return carry_out(request, step, partial(door_page, request, actor, office), form="file", fields=_FIELDS)


@router.post("/bank-export")
def export_for_bank(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    key: Key,
    bank: Line,
    area: Area,
    format: Annotated[Literal["xlsx", "csv"], Form()] = "xlsx",
    reason: Line = "",
) -> Response:
    """For the bank's own 数字营销系统: its customers' names and numbers, so a second person has to agree."""
    actor.require(Permission.PLAN_VISITS)
    actor.require(Permission.EXPORT, division=area, bank=bank)

    def make(path: Path) -> int:
        visits = Visits(office)
        return visits.export_visits(actor, path, bank=bank, area=area, purpose=reason, format=format).rows

    out = Wanted(
        say(request, "走访名单（数字营销系统）"), f"走访名单.{format}", f"visits/{bank}", Permission.EXPORT, True
    )
    step = partial(hand_out, request, actor, office, out, make, reason=reason, key=key)
    again = partial(_plan_page, request, actor, office, typed={"area": area})
    return carry_out(request, step, again, form="bank-files")


@router.post("/bank-import")
def import_from_bank(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    file: Annotated[UploadFile | None, File()] = None,
    dry_run: Annotated[bool, Form()] = False,
) -> Response:
    """What that system returns: starts and failures; the same file again changes nothing."""
    actor.require(Permission.PLAN_VISITS)

    def step() -> Response:
        content, suffix = read_table_upload(file)
        done = Visits(office).take_visits(actor, content, suffix, dry_run=dry_run)
        return render(
            request, "visit-file-results.html", title=say(request, "数字营销系统回传"),
            crumbs=[(say(request, "走访"), "/visits"), (say(request, "计划与分派"), "/visits/plan")],
            done={mark("已到户"): done.started, mark("未走成"): done.failed, mark("没有变化"): done.unchanged},
            conflicts=(), problems=_lines(request, done.problems), dry_run=dry_run, back="/visits/plan",
            status=422 if done.problems else 200,
        )  # fmt: skip

    return carry_out(request, step, partial(_plan_page, request, actor, office), form="file", fields=_FIELDS)


@dataclass(frozen=True)
class FaultLine:
    """A place of a file, and what is wrong there in words."""

    sheet: str
    row: int
    column: str
    words: str


def _lines(request: Request, problems: Sequence[SheetProblem | RowProblem]) -> list[FaultLine]:
    """In the reader's language but for what only the form says."""
    return [
        FaultLine(one.sheet if isinstance(one, SheetProblem) else "", one.row, one.column, _words(request, one))
        for one in problems
    ]


def _words(request: Request, one: SheetProblem | RowProblem) -> str:
    said = one.text if isinstance(one, SheetProblem) else one.detail
    if one.code in FORM_PROBLEMS:
        return said
    if one.code in ROW_REASONS:
        return ROW_REASONS[one.code][language_of(request) == "en"]
    return words_of_problem(request, one.code, {"params": one.params, "detail": said})[0] or said


def _do(request: Request, actor: Actor, office: Office, step: Callable[[], str], typed: Mapping[str, str]) -> Response:
    """The step, and the page with what it did; or why not, with what was typed. Again it does nothing more."""
    again = partial(_plan_page, request, actor, office, typed=typed)
    return carry_out(
        request, lambda: _plan_page(request, actor, office, done=step()), again, form="plan", fields=_FIELDS
    )


def _planned(request: Request, done: Planned) -> str:
    words = say(
        request,
        "已计划 %(planned)s 户，再次计划 %(again)s 户；次数用尽 %(used)s 户、已迁出或死亡 %(gone)s 户没有计划。",
    )
    return words % {
        "planned": f"{done.planned:,}", "again": f"{done.again:,}", "used": f"{done.attempts_used:,}",
        "gone": f"{done.gone:,}",
    }  # fmt: skip


def _numbers(visits: Visits, actor: Actor, ids: Sequence[int]) -> dict[int, str]:
    """The households' numbers of visits, by visit."""
    if not ids:
        return {}
    rows = visits.list_visits(actor, VisitFilter(), after=min(ids) - 1, size=500)
    return {one.visit_id: one.household_no for one in rows}


def _results(request: Request, results: Sequence[Result], *, back: str) -> HTMLResponse:
    return render(
        request, "visit-results.html", title=say(request, "办理结果"), crumbs=[(say(request, "走访"), "/visits")],
        results=results, back=back, problem="",
    )  # fmt: skip


def _plan_page(
    request: Request,
    actor: Actor,
    office: Office,
    *,
    done: str = "",
    problems: Sequence[tuple[str, str]] = (),
    typed: Mapping[str, str] | None = None,
    status: int = 200,
) -> HTMLResponse:
    """Raises NotAllowed."""
    visits, households = Visits(office), Households(office)
    grids = visits.list_grids(actor)
    counties = sorted({*(code[:6] for code in actor.townships), *(() if actor.townships else office.divisions)})
    townships = sorted({*households.list_townships(actor), *(one.township for one in grids)})
    areas, names = (townships if actor.townships else [*counties, *townships]), county_names(office)
    return render(
        request,
        "visits-plan.html",
        title=say(request, "计划与分派"),
        crumbs=[(say(request, "走访"), "/visits")],
        status=status,
        grids=grids,
        columns=("PLANNED", "ASSIGNED", "STARTED", "COLLECTED", "RETURNED", "SUBMITTED"),
        areas=areas,
        area_words={code: names.get(code) or request.app.state.site.place_of(code) for code in areas},
        visitors=visits.list_visitors(actor),
        banks=households.list_banks(actor),
        exports=actor.may(Permission.EXPORT),
        today=office.today().isoformat(),
        done=done,
        problems=problems,
        typed=typed or {},
        key=office.random_bytes(16).hex(),
        assign_key=office.random_bytes(16).hex(),
    )
