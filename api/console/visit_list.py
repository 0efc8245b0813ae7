"""走访: today's visits for whoever makes them; for everybody else the list, and the same step for many at once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from itertools import groupby
from typing import Annotated, Literal

from fastapi import APIRouter, Form, Query, Request
from pydantic import StringConstraints
from starlette.responses import HTMLResponse, Response

from api.bureau.services import CurrentActor, CurrentOffice
from api.console.addresses import with_query
from api.console.exporting import MOST_EXPORTED, CurrentTaking, ListOut, hand_out_list, walk
from api.console.faults import carry_out
from api.console.language import mark, say
from api.console.outcomes import Result, result_of
from api.console.rendering import render, state_words
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.households import Households
from matcher.states import VISIT
from matcher.visits.model import KINDS, OUTCOMES, Visit
from matcher.visits.service import Visits
from matcher.visits.showing import MAX_PAGE, VisitFilter

router = APIRouter(prefix="/visits")

PAGE = 50
MOST_AT_ONCE = 200
COLUMNS = (
    "任务编号", "家庭编号", "行政区划", "网格", "走访类型", "第几次", "状态", "结果", "计划走访日期", "客户经理",
    "网格员", "提交时间", "采纳",
)  # fmt: skip
"""Of the file."""
UNBEGUN = ("PLANNED", "ASSIGNED")
_OVER = ("ACCEPTED", "FAILED", "CANCELLED", "SUBMITTED")
STATE_KINDS = {"ACCEPTED": "good", "SUBMITTED": "good", "RETURNED": "warn", "FAILED": "bad"}
Act = Literal["assign", "cancel", "accept"]
_PICK = re.compile(r"([0-9]{1,15})/([0-9]{1,15})/(.{1,60})")

Digits = Annotated[str, StringConstraints(pattern=r"^[0-9]{0,12}$")]
Name = Annotated[str, StringConstraints(max_length=32)]
Grid = Annotated[str, StringConstraints(max_length=60)]
State = Annotated[str, StringConstraints(pattern=r"^[A-Z]{0,20}$")]
Key = Annotated[str, Form(pattern=r"^[0-9a-f]{32}$")]
Line = Annotated[str, Form(max_length=200)]


@dataclass(frozen=True)
class ListFilter:
    """What the list's address says. ``late``: planned for a day before ``today``, and nobody has handed it in."""

    state: str
    area: str
    grid: str
    kind: str
    manager: str
    late: bool
    today: date

    @property
    def wanted(self) -> VisitFilter:
        to = (self.today - timedelta(days=1)).isoformat() if self.late else ""
        return VisitFilter(self.area, self.grid, self.state, self.kind, self.manager, planned_to=to)


@router.get("")
def show(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    view: Literal["", "list"] = "",
    state: State | None = None,
    area: Digits = "",
    grid: Grid = "",
    kind: Literal["", "first", "revisit"] = "",
    manager: Name = "",
    late: bool = False,
    after: Annotated[int, Query(ge=0, le=2**53)] = 0,
) -> HTMLResponse:
    """Whoever makes visits sees theirs; the list's address holds the filters, so it can be sent to a colleague."""
    if not view and state is None and actor.may(Permission.VISIT):
        return door_page(request, actor, office)
    if state is None:
        state = _first_state(actor)
    return _list(request, actor, office, ListFilter(state, area, grid, kind, manager, late, office.today()), after)


@router.post("")
def act(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    act: Annotated[Act, Form()],
    key: Key,
    pick: Annotated[list[str] | None, Form(max_length=MOST_AT_ONCE)] = None,
    manager: Line = "",
    grid_officer: Line = "",
    why: Line = "",
) -> Response:
    """The same step for every visit that was ticked. Sent twice, the second shows what the first did."""
    found = [one for one in map(_PICK.fullmatch, pick or ()) if one]
    picked = {int(one[1]): (int(one[2]), one[3]) for one in found}

    def step() -> Response:
        return _results(request, _do_each(request, actor, office, act, picked, key, manager, grid_officer, why))

    return carry_out(request, step, partial(_results, request, ()), form="visits")


@router.post("/export")
def export(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    taking: CurrentTaking,
    state: Annotated[State, Form()] = "",
    area: Annotated[Digits, Form()] = "",
    grid: Annotated[Grid, Form()] = "",
    kind: Annotated[Literal["", "first", "revisit"], Form()] = "",
    manager: Annotated[Name, Form()] = "",
    late: Annotated[bool, Form()] = False,
) -> Response:
    """The list as it is shown: households' numbers and no names."""
    chosen = ListFilter(state, area, grid, kind, manager, late, office.today())
    out = ListOut(mark("走访清单"), "visits", Permission.SEE_HOUSEHOLDS, COLUMNS)
    visits = Visits(office)

    def read(last: Visit | None) -> Sequence[Visit]:
        return visits.list_visits(actor, chosen.wanted, after=last.visit_id if last else 0, size=MAX_PAGE)

    def make_rows() -> list[tuple[str | None, ...]]:
        return [_cells(one) for one in walk(read, most=MOST_EXPORTED)]

    return hand_out_list(request, actor, office, taking, out, make_rows, back="/visits")


def _results(
    request: Request, results: Sequence[Result], *, problems: Sequence[tuple[str, str]] = (), status: int = 200
) -> HTMLResponse:
    """A line for each visit; or ``problems``, for which nothing was done at all."""
    back = f"/visits?{request.url.query}"
    return render(
        request, "visit-results.html", title=say(request, "办理结果"), crumbs=[(say(request, "走访"), back)],
        results=results, back=back, problem=problems[0][1] if problems else "", status=status,
    )  # fmt: skip


def door_page(
    request: Request,
    actor: Actor,
    office: Office,
    *,
    problems: Sequence[tuple[str, str]] = (),
    status: int = 200,
) -> HTMLResponse:
    """By grid; late ones first."""
    visits = Visits(office).list_door(actor)
    site = request.app.state.site

    def name_of_grid(one: Visit) -> str:
        return str(site.place_of(one.grid or one.division))

    visits.sort(key=lambda one: (name_of_grid(one.visit), not one.is_late, one.visit.planned_for, one.visit.visit_id))
    groups = [(name, list(of_grid)) for name, of_grid in groupby(visits, lambda one: name_of_grid(one.visit))]
    return render(
        request, "visits-door.html", title=say(request, "走访"), groups=groups, kinds=KINDS, status=status,
        late=sum(one.is_late for one in visits), total=len(visits), state_kinds=STATE_KINDS, problems=problems,
        today=office.today().isoformat(), key=office.random_bytes(16).hex(),
    )  # fmt: skip


def _list(
    request: Request,
    actor: Actor,
    office: Office,
    chosen: ListFilter,
    after: int,
    *,
    problems: Sequence[tuple[str, str]] = (),
    status: int = 200,
) -> HTMLResponse:
    visits = Visits(office)
    rows = visits.list_visits(actor, chosen.wanted, after=after, size=PAGE + 1)
    counts = visits.count_visits(actor, chosen.wanted)
    plans = actor.may(Permission.PLAN_VISITS)
    return render(
        request,
        "visits.html",
        title=say(request, "走访"),
        status=status,
        problems=problems,
        chosen=chosen,
        counts=counts,
        total=sum(counts.values()),
        rows=rows[:PAGE],
        is_late=lambda one: one.state not in _OVER and one.planned_for < chosen.today.isoformat(),
        state_kinds=STATE_KINDS,
        states=VISIT.words,
        kinds=KINDS,
        outcomes=OUTCOMES,
        townships=Households(office).list_townships(actor),
        assigns=plans and chosen.state in UNBEGUN,
        accepts=actor.may(Permission.ACCEPT_VISIT) and chosen.state == "SUBMITTED",
        plans=plans,
        makes=actor.may(Permission.VISIT),
        exports=actor.may(Permission.EXPORT),
        visitors=visits.list_visitors(actor) if plans and chosen.state in UNBEGUN else [],
        is_first=after == 0,
        first_address=with_query(request, after=None),
        next_address=with_query(request, after=rows[PAGE - 1].visit_id) if len(rows) > PAGE else None,
        state_address=lambda one: f"/visits?view=list&state={one}" + _kept(chosen),
        key=office.random_bytes(16).hex(),
        export_key=office.random_bytes(16).hex(),
    )


def _kept(chosen: ListFilter) -> str:
    return f"&area={chosen.area}" if chosen.area else ""


def _first_state(actor: Actor) -> str:
    """Where an account's own work is."""
    if actor.may(Permission.ACCEPT_VISIT):
        return "SUBMITTED"
    return "PLANNED" if actor.may(Permission.PLAN_VISITS) else ""


def _do_each(
    request: Request,
    actor: Actor,
    office: Office,
    act: Act,
    picked: Mapping[int, tuple[int, str]],
    key: str,
    manager: str,
    grid_officer: str,
    why: str,
) -> list[Result]:
    visits, ids = Visits(office), list(picked)
    if not ids:
        return []
    if act == "assign":
        outcomes = visits.assign_many(actor, ids, manager, grid_officer=grid_officer, key=key)
    elif act == "cancel":
        outcomes = visits.cancel_many(actor, ids, why, key=key)
    else:
        outcomes = visits.accept_many(actor, ids, key=key)
    return [result_of(request, one, one.id, picked[one.id][1]) for one in outcomes]


def _cells(one: Visit) -> tuple[str | None, ...]:
    return (
        str(one.visit_id), one.household_no, one.division, one.grid, KINDS[one.kind], str(one.attempt),
        state_words(one.state, "visit"), OUTCOMES.get(one.outcome or "", ""), one.planned_for, one.manager,
        one.grid_officer, one.submitted_at, one.decided_by,
    )  # fmt: skip
