"""部门校验: what households still lack, what departments answered, and the datasets that the county is connected to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Form, Query, Request
from pydantic import StringConstraints
from starlette.responses import HTMLResponse, Response

from api.bureau.services import CurrentActor, CurrentOffice
from api.console.addresses import with_query
from api.console.check_entry import departments, tabs
from api.console.exporting import CurrentTaking, first_of, hand_out_file
from api.console.language import mark, say
from api.console.names import county_names, department_words, links_of
from api.console.rendering import render
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.checks.links import CheckRuns
from matcher.checks.listing import AnswerFilter, CheckLists, MissingCounts, MissingFilter
from matcher.checks.sheets import write_answers, write_missing
from matcher.downloads import Wanted
from matcher.households import Households, Policies
from matcher.policy import PolicyUnknown
from matcher.policy.model import Checks
from matcher.schemas import ListSchema

router = APIRouter()

PAGE = 25  # households
ANSWERS = 50
MOST_COUNTED = 1_000
LOOKED_AT = 8_000  # households for one page or its counts: what they take stays the same however many are under way
MOST_EXPORTED = 20_000
STALE_SHARE = 0.8  # of the time that an answer counts: from then on it is shown as ageing
RUN_STATES: Mapping[str, tuple[str, str]] = {
    "PROPOSED": (mark("已提出"), "plain"),
    "AUTHORISED": (mark("已授权"), "plain"),
    "RUNNING": (mark("进行中"), "warn"),
    "COMPLETED": (mark("已完成"), "good"),
    "RELEASED": (mark("已导出"), "good"),
    "ABORTED": (mark("已中断"), "bad"),
    "ARCHIVED": (mark("已归档"), "plain"),
}

County = Annotated[str, StringConstraints(pattern=r"^([0-9]{6})?$")]
Area = Annotated[str, StringConstraints(pattern=r"^([0-9]{9}([0-9]{3})?)?$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9._-]{0,64}$")]
Why = Literal["", "never", "too_old"]
Key = Annotated[str, Form(pattern=r"^[0-9a-f]{32}$")]
Reason = Annotated[str, Form(max_length=300)]


@router.get("/checks")
def show_missing(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    county: County = "",
    township: Area = "",
    department: Name = "",
    why: Why = "",
    after: Annotated[int, Query(ge=0, le=2**53)] = 0,
) -> HTMLResponse:
    """What households under way still lack; for a department's own people what they entered."""
    if not actor.may(Permission.SEE_HOUSEHOLDS):
        return _own(request, actor, office)
    return _missing(request, actor, office, MissingFilter(_county(office, county), township, department, why), after)


@router.post("/checks/export")
def export_missing(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    taking: CurrentTaking,
    county: Annotated[County, Form()] = "",
    township: Annotated[Area, Form()] = "",
    department: Annotated[Name, Form()] = "",
    why: Annotated[Why, Form()] = "",
    whole: Annotated[bool, Form()] = False,
) -> Response:
    """The list, to be filled in by a department and entered as a file; in full only once a second person agreed."""
    actor.require(Permission.SEE_HOUSEHOLDS)
    wanted = MissingFilter(_county(office, county), township, department, why)

    def make(path: Path) -> int:
        checks = Policies(office).policy_for(wanted.county, office.today()).policy.checks
        page = CheckLists(office).page_missing(actor, wanted, checks, office.today(), size=MOST_EXPORTED)
        named = department or (checks.required[0] if len(checks.required) == 1 else "")
        schema = departments(request).get(named)
        return write_missing(office, actor, path, page.rows, schema=schema, format=taking.format, whole=whole)

    needs = Permission.REVEAL if whole else Permission.SEE_HOUSEHOLDS
    out = Wanted(say(request, "尚缺的部门核验"), f"待核验.{taking.format}", "checks/missing", needs, whole)
    back_words = say(request, "部门校验")
    return hand_out_file(request, actor, office, taking, out, make, back="/checks", back_words=back_words)


@router.get("/checks/answers")
def show_answers(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    township: Area = "",
    department: Name = "",
    source: Literal["", "match", "manual"] = "",
    listed: Literal["", "yes", "no"] = "",
    before: Annotated[int | None, Query(ge=1, le=2**53)] = None,
) -> HTMLResponse:
    """What departments answered, the answer entered last first."""
    return _answers(request, actor, office, AnswerFilter(township, department, source, listed), before)


@router.post("/checks/answers/export")
def export_answers(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    taking: CurrentTaking,
    township: Annotated[Area, Form()] = "",
    department: Annotated[Name, Form()] = "",
    source: Annotated[Literal["", "match", "manual"], Form()] = "",
    listed: Annotated[Literal["", "yes", "no"], Form()] = "",
) -> Response:
    """The list as it is shown: names masked, what is sensitive for those alone who may see it."""
    wanted = AnswerFilter(township, department, source, listed)

    def make(path: Path) -> int:
        rows = CheckLists(office).page_answers(actor, wanted, size=MOST_EXPORTED)
        return write_answers(actor, path, rows, format=taking.format)

    needs = first_of(actor, Permission.SEE_SENSITIVE, Permission.SEE_HOUSEHOLDS)
    out = Wanted(say(request, "部门核验结果"), f"部门核验结果.{taking.format}", "checks/answers", needs, False)
    back_words = say(request, "核验结果")
    return hand_out_file(request, actor, office, taking, out, make, back="/checks/answers", back_words=back_words)


@router.get("/checks/datasets")
def show_datasets(request: Request, actor: CurrentActor, office: CurrentOffice) -> HTMLResponse:
    """The departments' datasets that the county checks against by matching, and their last runs."""
    links = links_of(request)
    required = {
        name
        for county in sorted(office.divisions)
        for name in _checks_of(office, county, office.today()).required
    }  # fmt: skip
    connected = {link.name for link in links.open}
    return render(
        request, "check-datasets.html", title=say(request, "已连接的名单"), tabs=tabs(actor), broken=links.broken,
        links=CheckRuns(office, links).show(actor), by_hand=sorted(required - connected), run_words=RUN_STATES,
        crumbs=[(say(request, "部门校验"), "/checks")],
    )  # fmt: skip


def _missing(
    request: Request,
    actor: Actor,
    office: Office,
    wanted: MissingFilter,
    after: int,
    *,
    problems: list[tuple[str, str]] | None = None,
    status: int = 200,
) -> HTMLResponse:
    today, lists = office.today(), CheckLists(office)
    checks = _checks_of(office, wanted.county, today)
    page = (
        lists.page_missing(actor, wanted, checks, today, after=after, size=PAGE, look_at=LOOKED_AT)
        if checks.required
        else None
    )
    counted = MissingFilter(wanted.county, wanted.area)
    is_all = not wanted.why and (not wanted.department or [*checks.required] == [wanted.department])
    if page and is_all and after == 0 and page.next is None:  # all of it is on the page
        by_department = {
            one: {r.household_id for r in page.rows if r.lacks.department == one} for one in checks.required
        }
        counts = MissingCounts({one: len(found) for one, found in by_department.items()}, whole=True)
    else:
        counts = lists.count_missing(actor, counted, checks, today, most=MOST_COUNTED, look_at=LOOKED_AT)
    return render(
        request,
        "checks.html",
        title=say(request, "部门校验"),
        tabs=tabs(actor),
        wanted=wanted,
        counties=sorted(office.divisions),
        county_names=county_names(office),
        checks=checks,
        page=page,
        counts=counts,
        most=MOST_COUNTED,
        looked_at=LOOKED_AT,
        department_words=department_words(request),
        townships=[one for one in Households(office).list_townships(actor) if one.startswith(wanted.county)],
        enters=actor.may(Permission.ENTER_CHECK),
        exports=actor.may(Permission.EXPORT),
        exports_whole=actor.may(Permission.EXPORT) and actor.may(Permission.REVEAL),
        keys=[office.random_bytes(16).hex() for _ in range(2)],
        age_of=lambda as_of: (today - date.fromisoformat(as_of)).days,
        address=lambda **changes: with_query(request, after=None, **changes),
        next_address=with_query(request, after=page.next) if page and page.next else None,
        is_first=after == 0,
        problems=problems or [],
        status=status,
    )


def _answers(
    request: Request,
    actor: Actor,
    office: Office,
    wanted: AnswerFilter,
    before: int | None,
    *,
    problems: list[tuple[str, str]] | None = None,
    status: int = 200,
) -> HTMLResponse:
    lists = CheckLists(office)
    rows = lists.page_answers(actor, wanted, before=before, size=ANSWERS + 1)
    ages = [_checks_of(office, county, office.today()).max_age_days for county in office.divisions]
    schemas = departments(request)
    return render(
        request,
        "check-answers.html",
        title=say(request, "核验结果"),
        crumbs=[(say(request, "部门校验"), "/checks")],
        tabs=tabs(actor),
        wanted=wanted,
        rows=rows[:ANSWERS],
        labels={row.answer.check_id: _label(schemas, row.answer.department, row.answer.label) for row in rows},
        max_age=min(ages),
        ageing=int(min(ages) * STALE_SHARE),
        sees=actor.may(Permission.SEE_SENSITIVE),
        known=lists.list_departments(),
        department_words=department_words(request),
        townships=Households(office).list_townships(actor),
        exports=actor.may(Permission.EXPORT),
        key=office.random_bytes(16).hex(),
        next_address=with_query(request, before=rows[ANSWERS - 1].answer.check_id) if len(rows) > ANSWERS else None,
        first_address=with_query(request, before=None),
        is_first=before is None,
        problems=problems or [],
        status=status,
    )


def _own(request: Request, actor: Actor, office: Office) -> HTMLResponse:
    return render(
        request, "checks-own.html", title=say(request, "部门校验"), tabs=tabs(actor),
        entries=CheckLists(office).list_own(actor), department_words=department_words(request),
    )  # fmt: skip


def _county(office: Office, given: str) -> str:
    """The county that is meant, else the office's first."""
    return given if given in office.divisions else min(office.divisions)


def _checks_of(office: Office, county: str, today: date) -> Checks:
    """What the policy in force asks for; nothing where there is none."""
    try:
        return Policies(office).policy_for(county, today).policy.checks
    except PolicyUnknown:
        return Checks()


def _label(schemas: Mapping[str, ListSchema], department: str, label: Mapping[str, str] | None) -> str:
    schema = schemas.get(department)
    if not label:
        return ""
    if schema is None:
        return "；".join(f"{name} {value}" for name, value in label.items())
    parts = [f"{one.headings[0]} {one.describe(label[one.name])}" for one in schema.fields if label.get(one.name)]
    return "；".join(parts)
