"""最终名单: who is on it from when to when, and the changes that two persons make to it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Form, Query, Request
from pydantic import StringConstraints
from starlette.responses import HTMLResponse, Response

from api.bureau.services import CurrentActor, CurrentOffice
from api.console.addresses import with_query
from api.console.exporting import CurrentTaking, ListOut, hand_out_file, hand_out_list, walk
from api.console.language import mark, say
from api.console.outcomes import results_page
from api.console.rendering import render
from matcher.bureau.actors import Permission
from matcher.bureau.bulk import Outcome
from matcher.downloads import Wanted
from matcher.households import Households
from matcher.reasons import REASONS, describe
from matcher.reviews import Reviews
from matcher.reviews.exports import ENDINGS
from matcher.reviews.listings import StayRow, Stays
from matcher.states import HOUSEHOLD

router = APIRouter(prefix="/households/final")

PAGE = 50
MOST_AT_ONCE = 200
TITLE = mark("最终名单")
STAYS: Mapping[Stays, str] = {
    "present": mark("在名单上"),
    "waiting": mark("变更待复核"),
    "suspended": mark("已暂停"),
    "ended": mark("已终止"),
    "all": mark("全部"),
}
VERDICTS: Mapping[Stays, tuple[str, ...]] = {
    "present": ("graduate", "suspend", "remove"),
    "suspended": ("resume", "remove"),
}
"""What can be proposed for many of them at once."""
COLUMNS = ("家庭编号", "年度", "乡镇（街道）", "状态", "生效日期", "终止日期", "终止方式", "终止原因", "走访银行")
_PICK = re.compile(r"([0-9]{1,15})(?:/([0-9]{1,15})/([0-9a-f]{64}))?")

Digits = Annotated[str, StringConstraints(pattern=r"^[0-9]{0,12}$")]
Kind = Annotated[Literal["present", "waiting", "suspended", "ended", "all"], Query()]
Code = Annotated[str, Form(pattern=r"^(N[0-9X][0-9])?$")]
Key = Annotated[str, Form(pattern=r"^[0-9a-f]{32}$")]
Line = Annotated[str, Form(max_length=300)]


@router.get("")
def show(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    stays: Kind = "present",
    area: Digits = "",
    after: Annotated[int, Query(ge=0, le=2**53)] = 0,
) -> HTMLResponse:
    """One page of the stays; its address holds the filters."""
    listings = Reviews(office).listings
    rows = listings.list_page(actor, stays, area, after=after, size=PAGE + 1)
    changes = actor.may(Permission.LIST_END)
    return render(
        request,
        "final-list.html",
        title=say(request, "最终名单"),
        crumbs=[(say(request, "名单"), "/households")],
        rows=rows[:PAGE],
        stays=stays,
        kinds=STAYS,
        counts=listings.count(actor, area),
        area=area,
        townships=Households(office).list_townships(actor),
        stays_address=lambda one: with_query(request, stays=one, after=None),
        next_address=with_query(request, after=rows[PAGE - 1].listing_id) if len(rows) > PAGE else None,
        first_address=with_query(request, after=None) if after else None,
        verdicts=VERDICTS.get(stays, ()) if changes else (),
        confirms=changes and stays == "waiting",
        may_export=actor.may(Permission.EXPORT),
        may_take_whole=actor.may(Permission.EXPORT) and actor.may(Permission.SEE_LOANS),
        banks=Households(office).list_banks(actor),
        reasons={code: reason for code, reason in REASONS.items() if code != "NX1"},
        keys=[office.random_bytes(16).hex() for _ in range(3)],
    )


@router.post("")
def change(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    key: Key,
    act: Annotated[Literal["propose", "confirm"], Form()],
    pick: Annotated[list[str] | None, Form(max_length=MOST_AT_ONCE)] = None,
    verdict: Annotated[Literal["graduate", "suspend", "resume", "remove"] | None, Form()] = None,
    reason: Annotated[list[Code] | None, Form(max_length=6)] = None,
    remark: Annotated[str, Form(max_length=2_000)] = "",
) -> HTMLResponse:
    """Propose the same change for all that were ticked, or confirm what another proposed; each has its result."""
    picked = [found for found in map(_PICK.fullmatch, pick or ()) if found]
    decisions, outcomes = Reviews(office).decisions, list[Outcome]()
    if act == "confirm":
        homes = {int(one[2]): int(one[1]) for one in picked if one[2]}
        digests = {int(one[2]): one[3] for one in picked if one[2]}
        done = decisions.confirm_many(actor, digests, remark=remark, key=key) if digests else []
        outcomes = [Outcome(homes[one.id], one.outcome, one.result, one.code, one.params) for one in done]
    elif verdict is not None and picked:
        codes = [code for code in reason or () if code]
        ids = [int(one[1]) for one in picked]
        outcomes = decisions.propose_many(actor, ids, verdict, reasons=codes, remark=remark, key=key)
    back = f"/households/final?{request.url.query}"
    return results_page(request, actor, office, outcomes, back=back, back_words=say(request, "最终名单"))


@router.post("/export")
def export(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    taking: CurrentTaking,
    stays: Annotated[Literal["present", "waiting", "suspended", "ended", "all"], Form()] = "present",
    area: Annotated[str, Form(pattern=r"^[0-9]{0,12}$")] = "",
) -> Response:
    """What the list shows: households without a person."""
    out = ListOut(TITLE, "households/final", Permission.SEE_HOUSEHOLDS, COLUMNS)
    listings = Reviews(office).listings

    def read(last: StayRow | None) -> Sequence[StayRow]:
        return listings.list_page(actor, stays, area, after=last.listing_id if last else 0, size=1_000)

    def make_rows() -> list[tuple[str, ...]]:
        return [_cells(request, row) for row in walk(read)]

    return hand_out_list(request, actor, office, taking, out, make_rows, back="/households/final")


@router.post("/export-bank")
def export_for_bank(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    taking: CurrentTaking,
    bank: Annotated[str, Form(pattern=r"^[0-9a-f]{8,128}$")],
) -> Response:
    """A bank's own customers' families with their numbers, so that it can lend to them: two persons."""
    name = f"最终名单（银行）.{taking.format}"
    wanted = Wanted(say(request, "最终名单（银行）"), name, "households/final", Permission.SEE_LOANS, True)
    exports = Reviews(office).exports

    def make(path: Path) -> int:
        return exports.write_final_list(actor, path, format=taking.format, purpose=taking.reason, bank=bank).rows

    back_words = say(request, TITLE)
    return hand_out_file(request, actor, office, taking, wanted, make, back="/households/final", back_words=back_words)


def _cells(request: Request, row: StayRow) -> tuple[str, ...]:
    place = request.app.state.site.place_of(row.township)
    return (
        row.household_no, str(row.list_year), place, HOUSEHOLD.words[row.state], row.effective_from,
        row.effective_to or "", ENDINGS.get(row.ended_as or "", ""), describe(row.reasons), row.bank or "",
    )  # fmt: skip
