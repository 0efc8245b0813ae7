"""确认期: the families are told, the village groups speak, the days run; and refused families learn of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Form, Query, Request
from pydantic import StringConstraints
from starlette.responses import HTMLResponse, Response

from api.bureau.services import CurrentActor, CurrentOffice
from api.console.addresses import with_query
from api.console.exporting import MOST_EXPORTED, CurrentTaking, ListOut, Taking, hand_out_file, hand_out_list, walk
from api.console.faults import FormFault, carry_out, day_of
from api.console.language import mark, say
from api.console.outcomes import results_page
from api.console.rendering import moment, render
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.bulk import Outcome
from matcher.bureau.office import Office
from matcher.downloads import Wanted
from matcher.downloads.packing import Make
from matcher.households import Households
from matcher.reviews import Reviews
from matcher.reviews.cases import require_any
from matcher.reviews.running import RunningRow, WaitsFor, count_running, list_running
from matcher.reviews.sheets import Exported

router = APIRouter(prefix="/households/confirmations")

PAGE = 50
MOST_AT_ONCE = 200
HERE = "/households/confirmations"
WAITS: Mapping[WaitsFor, str] = {
    "sms": mark("待告知家庭"),
    "village": mark("待村小组评议"),
    "days": mark("待异议期满"),
    "close": mark("可列入最终名单"),
}
Act = Literal["told", "agreed", "objected", "close", "refusal_told"]
File = Literal["sms", "deliberation", "refusal_sms", "record"]
_FILES: Mapping[File, tuple[str, bool]] = {
    "sms": (mark("确认期短信"), True),
    "deliberation": (mark("村小组评议表"), True),
    "refusal_sms": (mark("审核不通过短信"), True),
    "record": (mark("审核记录"), False),
}
"""Title, and whether a telephone or a name is in it."""
VILLAGE_WORDS = {"agreed": mark("同意"), "objected": mark("有异议")}
COLUMNS = ("家庭编号", "乡镇（街道）", "确认期开始", "异议截止", "告知时间", "评议", "评议日期", "等什么")
"""Of the list as a file."""

Digits = Annotated[str, StringConstraints(pattern=r"^[0-9]{0,12}$")]
Key = Annotated[str, Form(pattern=r"^[0-9a-f]{32}$")]
Line = Annotated[str, Form(max_length=300)]
Day = Annotated[str, Form(pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2})?$")]


@router.get("")
def show(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    waits_for: Annotated[Literal["", "sms", "village", "days", "close"], Query()] = "",
    area: Digits = "",
    after: Annotated[int, Query(ge=0, le=2**53)] = 0,
) -> HTMLResponse:
    """What runs, by what it waits for; refused families that do not know of it yet."""
    require_any(actor, Permission.REVIEW, Permission.DECIDE, Permission.OBJECT)
    rows = list_running(office, actor, waits_for or None, area, after=after, size=PAGE + 1)
    return render(
        request,
        "confirmations.html",
        title=say(request, "确认期"),
        crumbs=[(say(request, "名单"), "/households")],
        rows=rows[:PAGE],
        waits=WAITS,
        waits_for=waits_for,
        counts=count_running(office, actor, area),
        area=area,
        townships=Households(office).list_townships(actor),
        acts=_acts(actor, waits_for),
        untold=Reviews(office).refusals.list_untold(actor)[:MOST_AT_ONCE] if actor.may(Permission.REVIEW) else [],
        may_export=actor.may(Permission.EXPORT),
        may_write=actor.may(Permission.REVIEW) and actor.may(Permission.EXPORT),
        may_record=actor.may(Permission.DECIDE) and actor.may(Permission.EXPORT),
        waits_address=lambda one: with_query(request, waits_for=one, after=None),
        next_address=with_query(request, after=rows[PAGE - 1].confirmation_id) if len(rows) > PAGE else None,
        first_address=with_query(request, after=None) if after else None,
        today=office.today().isoformat(),
        keys=[office.random_bytes(16).hex() for _ in range(7)],
    )


@router.post("")
def act_on_many(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    key: Key,
    act: Annotated[Act, Form()],
    pick: Annotated[list[Annotated[int, Form(ge=1, le=2**53)]] | None, Form(max_length=MOST_AT_ONCE)] = None,
    how: Line = "",
    held_on: Day = "",
    why: Annotated[str, Form(max_length=2_000)] = "",
) -> Response:
    """The same for every family that was ticked, each with its result."""
    results = partial(
        results_page, request, actor, office, back=f"{HERE}?{request.url.query}", back_words=say(request, "确认期")
    )

    def step() -> Response:
        return results(_do(office, actor, act, pick, how=how, held_on=held_on, why=why, key=key) if pick else [])

    return carry_out(request, step, results, form="how")


@router.post("/export")
def export(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    taking: CurrentTaking,
    file: Annotated[File, Form()],
    township: Annotated[str, Form(pattern=r"^[0-9]{0,12}$")] = "",
    since: Day = "",
    until: Day = "",
) -> Response:
    """A file of the confirmation. What has telephones or names in it takes a second person."""
    title, personal = _FILES[file]
    actor.require(Permission.DECIDE if file == "record" else Permission.REVIEW)
    # Whoever agrees sees no telephones by that, but has to be of the finance bureau as well.
    needs = Permission.DECIDE if file == "record" else Permission.SEE_SENSITIVE
    wanted = Wanted(say(request, title), f"{title}.{taking.format}", f"confirmations/{file}", needs, personal)
    make = _maker(office, actor, file, taking, township, since, until)
    return hand_out_file(request, actor, office, taking, wanted, make, back=HERE, back_words=say(request, "确认期"))


@router.post("/export-list")
def export_list(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    taking: CurrentTaking,
    waits_for: Annotated[Literal["", "sms", "village", "days", "close"], Form()] = "",
    area: Annotated[Digits, Form()] = "",
) -> Response:
    """What runs, as the filters show it: households without a person."""
    require_any(actor, Permission.REVIEW, Permission.DECIDE, Permission.OBJECT)
    out = ListOut(mark("确认期"), "confirmations", Permission.SEE_HOUSEHOLDS, COLUMNS)
    place_of = request.app.state.site.place_of

    def read(last: RunningRow | None) -> Sequence[RunningRow]:
        after = last.confirmation_id if last else 0
        return list_running(office, actor, waits_for or None, area, after=after, size=MOST_EXPORTED)

    def make_rows() -> list[tuple[str, ...]]:
        return [_cells(place_of, row) for row in walk(read)]

    return hand_out_list(request, actor, office, taking, out, make_rows, back=HERE)


def _acts(actor: Actor, waits_for: str) -> tuple[str, ...]:
    """What this account may do at once for many that wait for the same."""
    permission = {"sms": Permission.REVIEW, "village": Permission.OBJECT, "close": Permission.DECIDE}.get(waits_for)
    acts = {"sms": ("told",), "village": ("agreed", "objected"), "close": ("close",)}.get(waits_for, ())
    return acts if permission is not None and actor.may(permission) else ()


def _do(
    office: Office, actor: Actor, act: Act, ids: Sequence[int], *, how: str, held_on: str, why: str, key: str
) -> list[Outcome]:
    """Raises NotAllowed, TextNotPlain, FormFault."""
    reviews = Reviews(office)
    if act == "told":
        return reviews.confirmations.tell_many(actor, ids, how, key=key)
    if act == "refusal_told":
        return reviews.refusals.tell_many(actor, ids, how, key=key)
    if act == "close":
        return reviews.confirmations.close(actor, ids, key=key)
    words = mark("评议日期须是今天或以前的一天")
    day = day_of(held_on, "held_on", words)
    if day > office.today():
        raise FormFault("held_on", words)
    return reviews.deliberations.record(actor, ids, act, day, why=why, key=key)


def _maker(office: Office, actor: Actor, file: File, taking: Taking, township: str, since: str, until: str) -> Make:
    """Writes the file. Texts that wait for a second person tell nobody yet: whoever sends them says so afterwards."""
    reviews, format, purpose = Reviews(office), taking.format, taking.reason

    def write(path: Path) -> Exported:
        if file == "record":
            first, last = (day_of(one, "reason", mark("请填起止日期")) for one in (since, until))
            return reviews.record_book.write(actor, path, format=format, purpose=purpose, first=first, last=last)
        if file == "deliberation":
            return reviews.exports.write_deliberations(actor, path, format=format, purpose=purpose, township=township)
        texts = reviews.exports if file == "sms" else reviews.refusals
        return texts.write_sms(actor, path, format=format, purpose=purpose, counts_as_told=False)

    return lambda path: write(path).rows


def _cells(place_of: Callable[[str], str], row: RunningRow) -> tuple[str, ...]:
    return (
        row.household_no, place_of(row.division), row.begun_on, row.ends_on, moment(row.sms_at),
        VILLAGE_WORDS.get(row.village_result or "", ""), row.village_on or "", WAITS[row.waits_for],
    )  # fmt: skip
