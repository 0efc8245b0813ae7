"""补充: households past their label or the county's own refinement, and members that no match found."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from fastapi import APIRouter, Form, Path, Request
from starlette.responses import HTMLResponse, Response

from api.bureau.services import CurrentActor, CurrentOffice
from api.console.faults import seen_at
from api.console.household_page import attempt
from api.console.language import say
from api.console.refining import ACTS
from api.console.rendering import render
from matcher.bureau.actors import Permission
from matcher.bureau.office import Office
from matcher.households import Households
from matcher.households.showing import HouseholdRow
from matcher.reasons import REASONS

router = APIRouter(prefix="/households")

MOST_NUMBERS = 200
_APART = re.compile(r"[\s,，;；、]+")
SUPPLEMENTABLE = frozenset(state for state, acts in ACTS.items() if "supplement" in acts)

Number = Annotated[int, Path(ge=1, le=2**53)]
RowNumber = Annotated[int, Form(ge=1, le=2**53)]
Key = Annotated[str, Form(pattern=r"^[0-9a-f]{32}$")]
Line = Annotated[str, Form(max_length=300)]
Relation = Annotated[str, Form(pattern=r"^[a-z_]{0,20}$")]


@router.get("/supplements")
def show(request: Request, actor: CurrentActor, office: CurrentOffice) -> HTMLResponse:
    """Which households: by the numbers of the list, typed or pasted from a table's column."""
    actor.require(Permission.SUPPLEMENT)
    return _page(request, office)


@router.post("/supplements")
def look_up(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    numbers: Annotated[str, Form(max_length=20_000)] = "",
) -> HTMLResponse:
    """Those households as they stand, to be ticked; nothing changes."""
    actor.require(Permission.SUPPLEMENT)
    wanted = list(dict.fromkeys(filter(None, _APART.split(numbers))))
    if not wanted or len(wanted) > MOST_NUMBERS:
        words = say(request, "请填家庭编号") if not wanted else say(request, "一次最多 200 个编号")
        return _page(request, office, numbers=numbers, problems=[("numbers", words)])
    rows = Households(office).find_numbers(actor, wanted)
    missing = [number for number in wanted if number not in {row.household_no for row in rows}]
    return _page(request, office, numbers=numbers, rows=list(rows), missing=missing, looked=True)


@router.post("/{household}/members")
def add_member(
    request: Request,
    household: Number,
    actor: CurrentActor,
    office: CurrentOffice,
    key: Key,
    number: Annotated[str, Form(max_length=40)] = "",
    name: Annotated[str, Form(max_length=60)] = "",
    relation: Relation = "",
    remark: Line = "",
) -> Response:
    """A member that no match found."""
    typed = {"number": number, "name": name, "relation": relation, "member_remark": remark, "form": "add_member"}

    def add() -> Response:
        Households(office).add_member(actor, household, number, name, relation=relation, remark=remark, key=key)
        return _back(household, "member_added")

    return attempt(request, actor, office, household, add, typed)


@router.post("/{household}/members/leave")
def remove_member(
    request: Request,
    household: Number,
    actor: CurrentActor,
    office: CurrentOffice,
    key: Key,
    member: RowNumber,
    remark: Line = "",
) -> Response:
    """Somebody is no member any more: moved out, divided off, died."""

    def remove() -> Response:
        Households(office).remove_member(actor, member, remark, key=key)
        return _back(household, "member_left")

    typed = {"leaving": str(member), "member_remark": remark, "form": "remove_member"}
    return attempt(request, actor, office, household, remove, typed)


def _back(household: int, done: Literal["member_added", "member_left"]) -> Response:
    return seen_at(f"/households/{household}", done, "members")


def _page(
    request: Request,
    office: Office,
    *,
    numbers: str = "",
    rows: list[HouseholdRow] | None = None,
    missing: list[str] | None = None,
    problems: list[tuple[str, str]] | None = None,
    looked: bool = False,
) -> HTMLResponse:
    return render(
        request,
        "supplements.html",
        title=say(request, "补充家庭"),
        crumbs=[(say(request, "名单"), "/households")],
        status=422 if problems else 200,
        numbers=numbers,
        rows=rows or [],
        missing=missing or [],
        problems=problems or [],
        looked=looked,
        supplementable=SUPPLEMENTABLE,
        reasons={code: reason for code, reason in REASONS.items() if code != "NX1"},
        key=office.random_bytes(16).hex(),
    )
