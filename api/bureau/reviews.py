"""Reviews: the queues, a household's file, decisions of two persons, what is said against them, the final list."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import Field, StringConstraints

from api.bureau.bodies import Body, Day, IdempotencyKey, Line, Number, Remark, StrictRoute
from api.bureau.services import CurrentActor, CurrentOffice
from matcher.bureau.bulk import summarise
from matcher.reviews import Reviews
from matcher.reviews.queue import CLAIMED, LARGEST_PAGE, QueueFilter, Stage

router = APIRouter(prefix="/v1", route_class=StrictRoute, tags=["reviews"])

MOST_AT_ONCE = 1_000

Digits = Annotated[str, StringConstraints(pattern=r"^[0-9]{0,12}$")]
ReasonCode = Annotated[str, StringConstraints(pattern=r"^N[0-9X][0-9]$")]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Numbers = Annotated[list[Number], Field(min_length=1, max_length=MOST_AT_ONCE)]
Reasons = Annotated[list[ReasonCode], Field(max_length=6)]
Place = Annotated[int, Path(ge=1, le=2**53)]  # a number in an address
AnyVerdict = Literal["approve", "reject", "return", "graduate", "suspend", "resume", "remove", "give_up"]


class Proposal(Body):
    """``reasons`` are codes of docs/reference/reasons.md; ``remark`` is for colleagues and kept sealed."""

    verdict: AnyVerdict
    reasons: Reasons = Field(default_factory=list)
    remark: Remark = ""


class Proposals(Proposal):
    households: Numbers


class Answer(Body):
    """``digest``: of the proposal that this person has seen."""

    digest: Digest
    remark: Remark = ""


class TakingBack(Body):
    remark: Remark = ""


class Seen(Body):
    decision: Number
    digest: Digest


class Confirmations(Body):
    decisions: Annotated[list[Seen], Field(min_length=1, max_length=MOST_AT_ONCE)]
    remark: Remark = ""


class Households(Body):
    households: Numbers


class Telling(Body):
    how: Line


class Deliberation(Body):
    households: Numbers
    result: Literal["agreed", "objected"]
    held_on: Day
    why: Remark = ""


class Speech(Body):
    """Who says what, and when it was received."""

    who: Line
    why: Annotated[str, Field(min_length=1, max_length=2_000)]
    received_on: Day


@router.get("/reviews/queue")
def page(
    actor: CurrentActor,
    office: CurrentOffice,
    stage: Stage = "to_propose",
    township: Digits = "",
    claimed: Annotated[str, Query(pattern=CLAIMED)] = "all",
    reason: ReasonCode | None = None,
    late_after_days: Annotated[int, Query(ge=0, le=3_650)] = 15,
    late_only: bool = False,
    after: str | None = None,
    size: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 50,
) -> dict[str, Any]:
    """One page of a queue, the longest waiting first; ``next`` is what to send as ``after``."""
    wanted = QueueFilter(stage, township, claimed, reason or "", late_after_days, late_only)
    return asdict(Reviews(office).queue.page(actor, wanted, after=after, size=size))


@router.get("/reviews/{household}")
def show(household: Place, actor: CurrentActor, office: CurrentOffice) -> dict[str, Any]:
    """A household's file: facts with their sources, every rule, what is wanting, the open proposal and what changed."""
    return asdict(Reviews(office).files.show(actor, household))


@router.post("/reviews/{household}/claim")
def claim(household: Place, _: IdempotencyKey, actor: CurrentActor, office: CurrentOffice) -> dict[str, Any]:
    """Take a household in hand; again it changes nothing."""
    return asdict(Reviews(office).queue.claim(actor, household))


@router.post("/reviews/{household}/release", status_code=204)
def release(household: Place, _: IdempotencyKey, actor: CurrentActor, office: CurrentOffice) -> None:
    """Give a household back to the queue; again it changes nothing."""
    Reviews(office).queue.release(actor, household)


@router.post("/reviews/{household}/decisions", status_code=201)
def propose(
    household: Place, proposal: Proposal, key: IdempotencyKey, actor: CurrentActor, office: CurrentOffice
) -> dict[str, Any]:
    """Propose a verdict; a second person answers it."""
    done = Reviews(office).decisions.propose(
        actor, household, proposal.verdict, reasons=proposal.reasons, remark=proposal.remark, key=key
    )
    return asdict(done)


@router.post("/reviews/decisions")
def propose_many(
    proposals: Proposals, key: IdempotencyKey, actor: CurrentActor, office: CurrentOffice
) -> dict[str, Any]:
    """The same verdict for many households, with an outcome for each."""
    return summarise(
        Reviews(office).decisions.propose_many(
            actor,
            proposals.households,
            proposals.verdict,
            reasons=proposals.reasons,
            remark=proposals.remark,
            key=key,
        )
    )


@router.post("/decisions/{decision}/confirm")
def confirm(
    decision: Place, answer: Answer, key: IdempotencyKey, actor: CurrentActor, office: CurrentOffice
) -> dict[str, Any]:
    """Confirm what another person proposed; the household moves at once."""
    done = Reviews(office).decisions.confirm(actor, decision, answer.digest, remark=answer.remark, key=key)
    return asdict(done)


@router.post("/decisions/{decision}/send-back")
def send_back(
    decision: Place, answer: Answer, key: IdempotencyKey, actor: CurrentActor, office: CurrentOffice
) -> dict[str, Any]:
    """Give a proposal back to whoever made it, with a remark."""
    done = Reviews(office).decisions.send_back(actor, decision, answer.digest, remark=answer.remark, key=key)
    return asdict(done)


@router.post("/decisions/{decision}/withdraw")
def withdraw(
    decision: Place, taking_back: TakingBack, key: IdempotencyKey, actor: CurrentActor, office: CurrentOffice
) -> dict[str, Any]:
    """Take back what one proposed oneself, while nobody has answered it."""
    return asdict(Reviews(office).decisions.withdraw(actor, decision, remark=taking_back.remark, key=key))


@router.post("/decisions/confirm")
def confirm_many(
    confirmations: Confirmations, key: IdempotencyKey, actor: CurrentActor, office: CurrentOffice
) -> dict[str, Any]:
    """Confirm many at once, with an outcome for each."""
    digests = {seen.decision: seen.digest for seen in confirmations.decisions}
    return summarise(Reviews(office).decisions.confirm_many(actor, digests, remark=confirmations.remark, key=key))


@router.post("/confirmations")
def begin(households: Households, key: IdempotencyKey, actor: CurrentActor, office: CurrentOffice) -> dict[str, Any]:
    """Begin the confirmation of approved households."""
    return summarise(Reviews(office).confirmations.begin(actor, households.households, key=key))


@router.post("/confirmations/{household}/told", status_code=204)
def tell(household: Place, telling: Telling, key: IdempotencyKey, actor: CurrentActor, office: CurrentOffice) -> None:
    """The family was told otherwise than by SMS."""
    Reviews(office).confirmations.tell(actor, household, telling.how, key=key)


@router.post("/reviews/{household}/refusal/told", status_code=204)
def tell_refusal(
    household: Place, telling: Telling, key: IdempotencyKey, actor: CurrentActor, office: CurrentOffice
) -> None:
    """A refused family was told of it otherwise than by SMS: why, and that it may appeal."""
    Reviews(office).refusals.tell(actor, household, telling.how, key=key)


@router.post("/confirmations/deliberations")
def deliberate(word: Deliberation, key: IdempotencyKey, actor: CurrentActor, office: CurrentOffice) -> dict[str, Any]:
    """What the village group said of these households."""
    done = Reviews(office).deliberations.record(
        actor, word.households, word.result, word.held_on, why=word.why, key=key
    )
    return summarise(done)


@router.post("/confirmations/close")
def close(households: Households, key: IdempotencyKey, actor: CurrentActor, office: CurrentOffice) -> dict[str, Any]:
    """Put households on the final list whose confirmation is over."""
    return summarise(Reviews(office).confirmations.close(actor, households.households, key=key))


@router.post("/reviews/{household}/appeals", status_code=201)
def appeal(
    household: Place, speech: Speech, key: IdempotencyKey, actor: CurrentActor, office: CurrentOffice
) -> dict[str, Any]:
    """A refused family's appeal, possible once: the review begins again."""
    number = Reviews(office).objections.appeal(
        actor, household, who=speech.who, why=speech.why, received_on=speech.received_on, key=key
    )
    return {"objection_id": number}


@router.post("/reviews/{household}/objections", status_code=201)
def enter_objection(
    household: Place, speech: Speech, key: IdempotencyKey, actor: CurrentActor, office: CurrentOffice
) -> dict[str, Any]:
    """Somebody's objection while the confirmation runs: the review begins again."""
    number = Reviews(office).objections.enter(
        actor, household, who=speech.who, why=speech.why, received_on=speech.received_on, key=key
    )
    return {"objection_id": number}
