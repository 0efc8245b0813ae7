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
from api.console.downloads import hand_out
from api.console.faults import FormFault, carry_out, day_of
from api.console.language import mark, say
from api.console.outcomes import results_page
from api.console.rendering import render
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.bulk import Outcome
from matcher.bureau.office import Office
from matcher.downloads import Wanted
from matcher.households import Households
from matcher.reviews import Reviews
from matcher.reviews.cases import require_any
from matcher.reviews.running import WaitsFor, count_running, list_running

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
        may_write=actor.may(Permission.REVIEW) and actor.may(Permission.EXPORT),
        may_record=actor.may(Permission.DECIDE) and actor.may(Permission.EXPORT),
        waits_address=lambda one: with_query(request, waits_for=one, after=None),
        next_address=with_query(request, after=rows[PAGE - 1].confirmation_id) if len(rows) > PAGE else None,
        first_address=with_query(request, after=None) if after else None,
        today=office.today().isoformat(),
        keys=[office.random_bytes(16).hex() for _ in range(6)],
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
    key: Key,
    file: Annotated[File, Form()],
    format: Annotated[Literal["xlsx", "csv"], Form()] = "xlsx",
    township: Annotated[str, Form(pattern=r"^[0-9]{0,12}$")] = "",
    since: Day = "",
    until: Day = "",
    reason: Line = "",
) -> Response:
    """A file of the confirmation. What has telephones or names in it takes a second person."""
    title, personal = _FILES[file]
    actor.require(Permission.DECIDE if file == "record" else Permission.REVIEW)
    # Whoever agrees sees no telephones by that, but has to be of the finance bureau as well.
    needs = Permission.DECIDE if file == "record" else Permission.SEE_SENSITIVE
    wanted = Wanted(say(request, title), f"{title}.{format}", f"confirmations/{file}", needs, personal)

    def step() -> Response:
        make = _maker(office, actor, file, format, township, since, until, reason)
        return hand_out(request, actor, office, wanted, make, reason=reason, key=key)

    again = partial(results_page, request, actor, office, back=HERE, back_words=say(request, "确认期"))
    return carry_out(request, step, again, form="reason")


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


def _maker(
    office: Office, actor: Actor, file: File, format: Literal["xlsx", "csv"], township: str, since: str, until: str,
    purpose: str,
) -> Callable[[Path], int]:  # fmt: skip
    """Writes the file. Texts that wait for a second person tell nobody yet: whoever sends them says so afterwards.

    Raises FormFault for a day that is none.
    """
    reviews = Reviews(office)
    if file == "record":
        first, last = (day_of(one, "reason", mark("请填起止日期")) for one in (since, until))
        return lambda path: (
            reviews.record_book.write(actor, path, format=format, purpose=purpose, first=first, last=last).rows
        )
    if file == "deliberation":
        return lambda path: (
            reviews.exports.write_deliberations(actor, path, format=format, purpose=purpose, township=township).rows
        )
    texts = reviews.exports if file == "sms" else reviews.refusals
    return lambda path: texts.write_sms(actor, path, format=format, purpose=purpose, counts_as_told=False).rows
