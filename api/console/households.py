"""名单: the households in an account's care, one household's page, and looking people up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated, Literal

from fastapi import APIRouter, Form, Path, Query, Request
from pydantic import StringConstraints
from starlette.responses import HTMLResponse, Response

from api.bureau.services import CurrentActor, CurrentOffice
from api.console.addresses import with_query
from api.console.errors import words_of_problem
from api.console.exporting import CurrentTaking, ListOut, hand_out_list, walk
from api.console.household_page import attempt, household_page
from api.console.language import mark, say
from api.console.refining import acts_for
from api.console.rendering import moment, render
from matcher.bureau.actors import Permission
from matcher.households import HouseholdFilter, Households
from matcher.households.showing import MAX_PAGE, HouseholdRow
from matcher.personal.reveal import Personal, RevealField, SearchInvalid
from matcher.reasons import REASONS, describe
from matcher.states import HOUSEHOLD
from matcher.visits.service import Visits

router = APIRouter()

PAGE = 50
FEWEST_DIGITS = 6  # of what is taken for a number and not for a name
Number = Annotated[int, Path(ge=1, le=2**53)]
RowNumber = Annotated[int, Form(ge=1, le=2**53)]
Line = Annotated[str, Form(max_length=200)]
COLUMNS = (
    "家庭编号", "年度", "乡镇（街道）", "行政区划", "家庭人数", "已知成员", "扩中", "原因标签", "状态", "自",
    "走访银行",
)  # fmt: skip
OptionalReason = Annotated[str, StringConstraints(pattern=r"^(N[0-9X][0-9])?$")]
Bank = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{0,128}$")]
Digits = Annotated[str, StringConstraints(pattern=r"^[0-9]{0,12}$")]
Year = Annotated[str, StringConstraints(pattern=r"^(20[0-9]{2})?$")]
State = Literal[
    "", "IMPORTED", "MATCHED", "REFINED_IN", "REFINED_OUT", "SUPPLEMENTED", "TO_VISIT", "VISITED", "PENDING_REVIEW",
    "IN_REVIEW", "APPROVED", "REJECTED", "RETURNED", "CONFIRMING", "FINAL", "GRADUATED", "REMOVED", "SUSPENDED",
]  # fmt: skip


@router.get("/households")
def show_list(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    area: Digits = "",
    state: State = "",
    year: Year = "",
    conflicts: bool = False,
    reason: OptionalReason = "",
    bank: Bank = "",
    after: Annotated[int, Query(ge=0, le=2**53)] = 0,
) -> HTMLResponse:
    """One page of the list, by number; its address holds the filters."""
    households = Households(office)
    wanted = HouseholdFilter(area, state, int(year) if year else None, conflicts, reason, bank)
    rows = households.list(actor, wanted, after=after, size=PAGE + 1)
    return render(
        request,
        "households.html",
        title=say(request, "名单"),
        wanted=wanted,
        states=HOUSEHOLD.words,
        counts=households.count(actor, replace(wanted, state="")),
        townships=households.list_townships(actor),
        years=households.list_years(actor),
        banks=households.list_banks(actor),
        reasons=REASONS if actor.may(Permission.SEE_SENSITIVE) else {},
        acts=acts_for(actor, state),
        back=str(with_query(request)),
        may_export=actor.may(Permission.EXPORT),
        keys=[office.random_bytes(16).hex() for _ in range(2)],
        rows=rows[:PAGE],
        is_first=after == 0,
        first_address=with_query(request, after=None),
        next_address=with_query(request, after=rows[PAGE - 1].household_id) if len(rows) > PAGE else None,
        state_address=lambda one: with_query(request, state=one, after=None),
    )


@router.post("/households/export")
def export(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    taking: CurrentTaking,
    area: Annotated[Digits, Form()] = "",
    state: Annotated[State, Form()] = "",
    year: Annotated[Year, Form()] = "",
    conflicts: Annotated[bool, Form()] = False,
    code: Annotated[OptionalReason, Form()] = "",
    bank: Annotated[Bank, Form()] = "",
) -> Response:
    """The list as the filters show it, without a person."""
    chosen = HouseholdFilter(area, state, int(year) if year else None, conflicts, code, bank)
    out = ListOut(mark("家庭名单"), "households", Permission.SEE_HOUSEHOLDS, COLUMNS)
    households, place_of = Households(office), request.app.state.site.place_of

    def read(last: HouseholdRow | None) -> Sequence[HouseholdRow]:
        return households.list(actor, chosen, after=last.household_id if last else 0, size=MAX_PAGE)

    return hand_out_list(
        request, actor, office, taking, out, lambda: [_cells(place_of, row) for row in walk(read)], back="/households"
    )


@router.post("/households/search")
def search(request: Request, actor: CurrentActor, office: CurrentOffice, wanted: Line = "") -> HTMLResponse:
    """People by their whole number or name. A form and no address: neither belongs into a history or a log."""
    personal, problems, found = Personal(office), [], []
    by_number = sum(one.isdigit() for one in wanted) >= FEWEST_DIGITS
    try:
        found = (personal.search_number if by_number else personal.search_name)(actor, wanted)
    except SearchInvalid as error:
        problems = [("wanted", words_of_problem(request, error.code, {"params": error.params})[0])]
    return render(
        request, "search.html", title=say(request, "查找"), crumbs=[(say(request, "名单"), "/households")],
        found=found, by_number=by_number, problems=problems, status=422 if problems else 200,
    )  # fmt: skip


@router.get("/households/{household}")
def show(
    request: Request, household: Number, actor: CurrentActor, office: CurrentOffice, done: str = ""
) -> HTMLResponse:
    """One household, with what this account may do for it."""
    return household_page(request, actor, office, household, done=done)


@router.post("/households/{household}/reveal")
def reveal(
    request: Request,
    household: Number,
    actor: CurrentActor,
    office: CurrentOffice,
    member: RowNumber,
    field: Annotated[RevealField, Form()],
    reason: Line = "",
) -> Response:
    """One field of one person in the clear, for a minute; the audit log has who, whose, what and why."""

    def show_it() -> Response:
        value = Personal(office).reveal(actor, member, field, reason)
        page = household_page(request, actor, office, household, revealed={member: (field, value)})
        page.headers["Refresh"] = f"60; url=/households/{household}"  # also where no script runs
        return page

    return attempt(request, actor, office, household, show_it, {"member": str(member), "reason": reason})


@router.post("/households/{household}/place")
def place(
    request: Request, household: Number, actor: CurrentActor, office: CurrentOffice, visit: RowNumber
) -> HTMLResponse:
    """Where a visit began; who looked is recorded."""
    found = Visits(office).place_of(actor, visit)
    return household_page(request, actor, office, household, places={visit: found})


@router.get("/households/images/{visit}/{attachment}")
def image(visit: Number, attachment: Number, actor: CurrentActor, office: CurrentOffice) -> Response:
    """A photo or signature of a visit; who looked is recorded."""
    return Response(Visits(office).read_image(actor, visit, attachment), media_type="image/jpeg")


def _cells(place_of: Callable[[str], str], row: HouseholdRow) -> tuple[str, ...]:
    return (
        row.household_no, str(row.list_year), place_of(row.township), row.division, row.household_size,
        str(row.members), "是" if row.expanding else "否", describe(row.reasons), HOUSEHOLD.words[row.state],
        moment(row.state_since)[:10], row.bank or "",
    )  # fmt: skip
