"""工作台: what waits for somebody, the longest waiting first, and the same step for many at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal, get_args
from urllib.parse import unquote

from fastapi import APIRouter, Form, Query, Request
from pydantic import StringConstraints
from starlette.responses import HTMLResponse, Response

from api.bureau.services import CurrentActor, CurrentOffice
from api.console.addresses import with_query
from api.console.errors import words_of_problem
from api.console.exporting import CurrentTaking, ListOut, hand_out_list
from api.console.language import mark, say
from api.console.rendering import render
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.households import Households
from matcher.reasons import REASONS, describe
from matcher.reviews import Reviews
from matcher.reviews.queue import CLAIMED, LARGEST_PAGE, QueueFilter, QueueItem, Stage
from matcher.states import HOUSEHOLD
from matcher.waiting import what_comes

router = APIRouter()

TITLE = mark("工作台")
STAGES: Mapping[Stage, str] = {
    "to_propose": mark("待审核"),
    "to_confirm": mark("待复核"),
    "approved": mark("待开始确认"),
    "confirming": mark("确认期中"),
    "not_met": mark("未见到人"),
}
VERDICTS: Mapping[Stage, tuple[str, ...]] = {
    "to_propose": ("approve", "reject", "return"),
    "to_confirm": (),
    "approved": (),
    "confirming": (),
    "not_met": ("give_up",),
}
"""What can be proposed for many rows of a queue at once."""
STATES: Mapping[Stage, tuple[str, ...]] = {
    "to_propose": ("PENDING_REVIEW", "IN_REVIEW"),
    "to_confirm": ("IN_REVIEW", "TO_VISIT", "RETURNED", "FINAL", "SUSPENDED"),
    "not_met": ("TO_VISIT", "RETURNED"),
}
"""Of a household, by stage; the stages that are left out have one each."""
PAGE = 50
COLUMNS = (
    "家庭编号", "户主", "人数", "乡镇（街道）", "状态", "原因标签", "停留天数", "超期", "领取人", "提出人", "下一步",
)  # fmt: skip
"""Of the file; names masked."""
MOST_AT_ONCE = 200
Act = Literal["claim", "release", "propose", "confirm", "begin", "close"]
Verdict = Literal["approve", "reject", "return", "give_up"]
_PICK = re.compile(r"([0-9]{1,15})/([^/]{1,60})(?:/([0-9]{1,15})/([0-9a-f]{64}))?")

State = Literal["", "PENDING_REVIEW", "IN_REVIEW", "TO_VISIT", "RETURNED", "FINAL", "SUSPENDED"]
Claimed = Annotated[str, Query(pattern=CLAIMED)]
Digits = Annotated[str, StringConstraints(pattern=r"^[0-9]{0,12}$")]
OptionalReason = Annotated[str, StringConstraints(pattern=r"^(N[0-9X][0-9])?$")]
Key = Annotated[str, Form(pattern=r"^[0-9a-f]{32}$")]
Remark = Annotated[str, Form(max_length=2_000)]


@dataclass(frozen=True)
class Picked:
    """A row that was ticked, as its box names it: ``decision`` and ``digest`` are of the open proposal."""

    household: int
    number: str
    decision: int | None
    digest: str | None


@dataclass(frozen=True)
class Result:
    """What became of one row; ``why`` says what stood against it, in words."""

    household: int
    number: str
    done: bool
    why: str
    next: str


@router.get("/queue")
def show(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    stage: Stage | None = None,
    township: Digits = "",
    claimed: Claimed = "all",
    reason: OptionalReason = "",
    late_after_days: Annotated[int, Query(ge=0, le=3_650)] = 15,
    late_only: bool = False,
    state: State = "",
    after: str | None = None,
) -> HTMLResponse:
    """One page of a queue; its address holds the filters, so it can be sent to a colleague."""
    stage = stage or ("to_propose" if actor.may(Permission.REVIEW) else "to_confirm")
    wanted = QueueFilter(stage, township, claimed, reason, late_after_days, late_only, state)
    queue = Reviews(office).queue
    page = queue.page(actor, wanted, after=after, size=PAGE)
    return render(
        request,
        "queue.html",
        title=say(request, "工作台"),
        stages=STAGES,
        totals={
            one: page.total if one == stage and not state else queue.count(actor, replace(wanted, stage=one, state=""))
            for one in get_args(Stage)
        },
        wanted=wanted,
        page=page,
        coming=None if page.items else what_comes(office, actor),
        is_first=after is None,
        next_steps={item.household_id: next_step(actor, item, office) for item in page.items},
        next_address=with_query(request, after=page.next) if page.next else None,
        first_address=with_query(request, after=None),
        stage_address=lambda one: with_query(request, stage=one, state=None, after=None),
        states={one: HOUSEHOLD.words[one] for one in STATES.get(stage, ())},
        townships=Households(office).list_townships(actor),
        claimants=[name for name in queue.list_claimants(actor) if name != actor.name],
        reasons=REASONS if actor.may(Permission.SEE_SENSITIVE) else {},
        acts=_acts(actor, stage),
        verdicts=VERDICTS[stage],
        may_export=actor.may(Permission.EXPORT),
        key=office.random_bytes(16).hex(),
    )


@router.post("/queue")
def act(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    act: Annotated[Act, Form()],
    key: Key,
    pick: Annotated[list[str] | None, Form(max_length=MOST_AT_ONCE)] = None,
    verdict: Annotated[Verdict | None, Form()] = None,
    reason: Annotated[list[OptionalReason] | None, Form(max_length=6)] = None,
    remark: Remark = "",
) -> HTMLResponse:
    """The same step for every row that was ticked. Sent twice, the second shows what the first did."""
    back = f"/queue?{request.url.query}"
    picked = [_picked(p) for p in map(_PICK.fullmatch, pick or ()) if p]
    results = (
        _results(request, office, actor, act, picked, verdict, [code for code in reason or () if code], remark, key)
        if picked and (act != "propose" or verdict)
        else []
    )
    return render(
        request, "queue-results.html", title=say(request, "办理结果"), crumbs=[(say(request, "工作台"), back)],
        results=results, back=back,
    )  # fmt: skip


@router.post("/queue/export")
def export(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    taking: CurrentTaking,
    stage: Annotated[Stage, Form()],
    township: Annotated[Digits, Form()] = "",
    claimed: Annotated[str, Form(pattern=CLAIMED)] = "all",
    reason_code: Annotated[OptionalReason, Form()] = "",
    late_after_days: Annotated[int, Form(ge=0, le=3_650)] = 15,
    late_only: Annotated[bool, Form()] = False,
    state: Annotated[State, Form()] = "",
) -> Response:
    """The queue as the filters show it, masked."""
    chosen = QueueFilter(stage, township, claimed, reason_code, late_after_days, late_only, state)
    out = ListOut(TITLE, f"queue/{stage}", Permission.SEE_HOUSEHOLDS, COLUMNS, part=say(request, STAGES[stage]))
    place_of = request.app.state.site.place_of

    def make_rows() -> list[tuple[str, ...]]:
        return [_cells(actor, office, place_of, row) for row in _every(office, actor, chosen)]

    return hand_out_list(request, actor, office, taking, out, make_rows, back="/queue")


def _every(office: Office, actor: Actor, wanted: QueueFilter) -> Iterator[QueueItem]:
    """Every household that the filter shows. Raises NotAllowed."""
    queue, after = Reviews(office).queue, None
    while True:
        page = queue.page(actor, wanted, after=after, size=LARGEST_PAGE)
        yield from page.items
        if (after := page.next) is None:
            return


def _cells(actor: Actor, office: Office, place_of: Callable[[str], str], row: QueueItem) -> tuple[str, ...]:
    return (
        row.household_no, row.applicant, row.members, place_of(row.township), HOUSEHOLD.words[row.state],
        describe(row.reasons), str(row.waits_days), "超期" if row.is_late else "", row.claimed_by or "",
        row.proposed_by or "", next_step(actor, row, office),
    )  # fmt: skip


def next_step(actor: Actor, item: QueueItem, office: Office) -> str:
    """What this person can do with the row, or whom it waits for; in Chinese, the catalogue has the English."""
    if item.decision_id is not None:
        if item.proposed_by == actor.name:
            return mark("等另一人复核")
        return mark("复核") if actor.may(Permission.DECIDE) else mark("等复核岗")
    if item.state in ("TO_VISIT", "RETURNED"):
        return mark("再安排走访，或提出不再走访")
    if item.state == "APPROVED":
        return mark("开始确认") if actor.may(Permission.REVIEW) else mark("等经办岗开始确认")
    if item.state == "CONFIRMING":
        return mark("等确认期满") if (item.ends_on or "") >= office.today().isoformat() else mark("核对后列入最终名单")
    if not actor.may(Permission.REVIEW):
        return mark("等经办岗")
    if item.claimed_by is None:
        return mark("领取")
    return mark("提出意见") if item.claimed_by == actor.name else mark("由他人办理")


def _picked(found: re.Match[str]) -> Picked:
    household, number, decision, digest = found.groups()
    return Picked(int(household), unquote(number), int(decision) if decision else None, digest)


def _acts(actor: Actor, stage: Stage) -> list[Act]:
    """What can be done with many rows of a queue at once."""
    may_review, may_decide = actor.may(Permission.REVIEW), actor.may(Permission.DECIDE)
    found: dict[Stage, list[Act]] = {
        "to_propose": ["claim", "release", "propose"] if may_review else ["release"],
        "to_confirm": ["confirm"] if may_decide else [],
        "approved": ["begin"] if may_review else [],
        "confirming": ["close"] if may_decide else [],
        "not_met": ["propose"] if may_review else [],
    }
    return found[stage]


def _results(
    request: Request,
    office: Office,
    actor: Actor,
    act: Act,
    picked: Sequence[Picked],
    verdict: Verdict | None,
    reasons: Sequence[str],
    remark: str,
    key: str,
) -> list[Result]:
    reviews, ids = Reviews(office), [one.household for one in picked]
    if act == "confirm":
        digests = {one.decision: one.digest for one in picked if one.decision and one.digest}
        outcomes = reviews.decisions.confirm_many(actor, digests, remark=remark, key=key)
        rows = {one.decision: one for one in picked}
    else:
        rows = {one.household: one for one in picked}
        if act == "claim":
            outcomes = reviews.queue.claim_many(actor, ids, key=key)
        elif act == "release":
            outcomes = reviews.queue.release_many(actor, ids, key=key)
        elif act == "begin":
            outcomes = reviews.confirmations.begin(actor, ids, key=key)
        elif act == "close":
            outcomes = reviews.confirmations.close(actor, ids, key=key)
        elif verdict is not None:
            outcomes = reviews.decisions.propose_many(actor, ids, verdict, reasons=reasons, remark=remark, key=key)
    found = []
    for outcome in outcomes:
        said = {"params": outcome.params}
        why, next_step = words_of_problem(request, outcome.code, said) if outcome.code else ("", "")
        row = rows[outcome.id]
        found.append(Result(row.household, row.number, outcome.outcome == "done", why, next_step))
    return found
