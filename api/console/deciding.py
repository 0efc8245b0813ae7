"""What is done for one household: taken in hand, proposed, answered, made known, spoken against."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Path, Request
from starlette.responses import Response

from api.bureau.services import CurrentActor, CurrentOffice
from api.console.faults import FormFault, seen_at
from api.console.household_page import attempt, outcome_page
from api.console.language import mark
from matcher.bureau.actors import Actor
from matcher.bureau.office import Office
from matcher.reviews import Reviews

router = APIRouter(prefix="/households")

Number = Annotated[int, Path(ge=1, le=2**53)]
RowNumber = Annotated[int, Form(ge=1, le=2**53)]
Key = Annotated[str, Form(pattern=r"^[0-9a-f]{32}$")]
Digest = Annotated[str, Form(pattern=r"^[0-9a-f]{64}$")]
Remark = Annotated[str, Form(max_length=2_000)]
Line = Annotated[str, Form(max_length=200)]
ReasonCodes = Annotated[list[Annotated[str, Form(pattern=r"^N[0-9X][0-9]$")]] | None, Form(max_length=6)]
Verdict = Literal["approve", "reject", "return", "graduate", "suspend", "resume", "remove", "give_up"]


@router.post("/{household}/claim")
def claim(request: Request, household: Number, actor: CurrentActor, office: CurrentOffice) -> Response:
    """Take the household in hand; again it changes nothing."""
    return _do(request, actor, office, household, "claimed", lambda: Reviews(office).queue.claim(actor, household))


@router.post("/{household}/release")
def release(request: Request, household: Number, actor: CurrentActor, office: CurrentOffice) -> Response:
    """Give it back to the queue; again it changes nothing."""
    return _do(request, actor, office, household, "released", lambda: Reviews(office).queue.release(actor, household))


@router.post("/{household}/propose")
def propose(
    request: Request,
    household: Number,
    actor: CurrentActor,
    office: CurrentOffice,
    key: Key,
    verdict: Annotated[Verdict | None, Form()] = None,
    reason: ReasonCodes = None,
    remark: Remark = "",
) -> Response:
    """Propose a verdict; a second person answers it."""
    typed = {"verdict": verdict, "reason": reason or [], "remark": remark}

    def step() -> object:
        if verdict is None:
            raise FormFault("verdict", mark("请先选一种意见"))
        decisions = Reviews(office).decisions
        return decisions.propose(actor, household, verdict, reasons=reason or (), remark=remark, key=key)

    return _do(request, actor, office, household, "proposed", step, typed)


@router.post("/{household}/answer")
def answer(
    request: Request,
    household: Number,
    actor: CurrentActor,
    office: CurrentOffice,
    key: Key,
    decision: RowNumber,
    digest: Digest,
    act: Annotated[Literal["confirm", "send_back"], Form()],
    remark: Remark = "",
) -> Response:
    """The second person's word on what ``digest`` stands for: on what they saw, and on nothing else."""
    decisions = Reviews(office).decisions
    step = decisions.confirm if act == "confirm" else decisions.send_back
    done = "confirmed" if act == "confirm" else "sent_back"
    typed = {"remark": remark}
    return _do(
        request, actor, office, household, done, lambda: step(actor, decision, digest, remark=remark, key=key), typed
    )


@router.post("/{household}/withdraw")
def withdraw(
    request: Request,
    household: Number,
    actor: CurrentActor,
    office: CurrentOffice,
    key: Key,
    decision: RowNumber,
    remark: Remark = "",
) -> Response:
    """Take back one's own proposal while nobody has answered it."""
    decisions = Reviews(office).decisions
    return _do(
        request, actor, office, household, "withdrawn",
        lambda: decisions.withdraw(actor, decision, remark=remark, key=key), {"remark": remark},
    )  # fmt: skip


@router.post("/{household}/begin")
def begin(request: Request, household: Number, actor: CurrentActor, office: CurrentOffice, key: Key) -> Response:
    """Begin the confirmation of an approved household."""
    return _do(
        request, actor, office, household, "begun",
        lambda: Reviews(office).confirmations.begin(actor, [household], key=key),
    )  # fmt: skip


@router.post("/{household}/told")
def tell(
    request: Request, household: Number, actor: CurrentActor, office: CurrentOffice, key: Key, how: Line = ""
) -> Response:
    """The family was told otherwise than by SMS."""
    return _do(
        request, actor, office, household, "told",
        lambda: Reviews(office).confirmations.tell(actor, household, how, key=key), {"how": how},
    )  # fmt: skip


@router.post("/{household}/refusal-told")
def tell_refusal(
    request: Request, household: Number, actor: CurrentActor, office: CurrentOffice, key: Key, how: Line = ""
) -> Response:
    """A refused family was told why, otherwise than by SMS."""
    return _do(
        request, actor, office, household, "refusal_told",
        lambda: Reviews(office).refusals.tell(actor, household, how, key=key), {"how": how},
    )  # fmt: skip


@router.post("/{household}/village")
def hear_village(
    request: Request,
    household: Number,
    actor: CurrentActor,
    office: CurrentOffice,
    key: Key,
    held_on: Annotated[date, Form()],
    result: Annotated[Literal["agreed", "objected"], Form()],
    why: Remark = "",
) -> Response:
    """What the village group said; if it objected, the review begins again."""
    return _do(
        request, actor, office, household, "village",
        lambda: Reviews(office).deliberations.record(actor, [household], result, held_on, why=why, key=key),
        {"village_why": why, "held_on": held_on.isoformat()},
    )  # fmt: skip


@router.post("/{household}/close")
def close(request: Request, household: Number, actor: CurrentActor, office: CurrentOffice, key: Key) -> Response:
    """Put a household on the final list whose confirmation is over."""
    return _do(
        request, actor, office, household, "closed",
        lambda: Reviews(office).confirmations.close(actor, [household], key=key),
    )  # fmt: skip


@router.post("/{household}/speak")
def speak(
    request: Request,
    household: Number,
    actor: CurrentActor,
    office: CurrentOffice,
    key: Key,
    kind: Annotated[Literal["appeal", "objection"], Form()],
    received_on: Annotated[date, Form()],
    who: Line = "",
    why: Remark = "",
) -> Response:
    """A refused family's appeal, or somebody's objection: the review begins again."""
    objections = Reviews(office).objections
    enter = objections.appeal if kind == "appeal" else objections.enter
    typed = {"who": who, "why": why, "received_on": received_on.isoformat()}
    return _do(
        request, actor, office, household, kind,
        lambda: enter(actor, household, who=who, why=why, received_on=received_on, key=key), typed,
    )  # fmt: skip


def _do(
    request: Request,
    actor: Actor,
    office: Office,
    household: int,
    done: str,
    step: Callable[[], object],
    typed: dict[str, Any] | None = None,
) -> Response:
    """The step, and then the household's page, which says that it was done."""

    def carried_out() -> Response:
        outcome = step()
        for one in outcome if isinstance(outcome, list) else ():
            if one.code:
                return outcome_page(request, actor, office, household, one, typed or {})
        return seen_at(f"/households/{household}", done)

    return attempt(request, actor, office, household, carried_out, typed or {})
