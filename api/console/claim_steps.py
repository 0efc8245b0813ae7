"""What is done to a claim: its steps, the bank's own figures, exceptions settled, the audit's sample and findings."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, File, Form, Path, Request, UploadFile
from starlette.responses import RedirectResponse, Response

from api.bureau.services import CurrentActor, CurrentOffice
from api.console.addresses import with_notice
from api.console.claim_page import exceptions, overview, sample
from api.console.faults import carry_out, seen_at
from api.console.uploads import read_table_upload
from matcher.claims.sampling import OK
from matcher.claims.service import Claims
from matcher.claims.steps import Step

router = APIRouter(prefix="/claims")

Number = Annotated[int, Path(ge=1, le=2**53)]
RowNumber = Annotated[int, Form(ge=1, le=2**53)]
Key = Annotated[str, Form(pattern=r"^[0-9a-f]{32}$")]
Remark = Annotated[str, Form(max_length=200)]
StepName = Literal[
    "freeze", "check", "audit", "submit", "take-up", "return", "approve", "pass-on", "grant", "pay", "close"
]


@router.post("/{claim}/steps/{step}")
def move(
    request: Request,
    claim: Number,
    step: StepName,
    actor: CurrentActor,
    office: CurrentOffice,
    key: Key,
    remark: Remark = "",
) -> Response:
    """Take a claim a step on; freezing is the first."""

    def take() -> Response:
        if step == "freeze":
            Claims(office).freeze(actor, claim, key=key)
        else:
            Claims(office).move(actor, claim, Step(step), remark=remark, key=key)
        return seen_at(f"/claims/{claim}", "moved")

    again = partial(overview, request, actor, office, claim, typed={"step": step, "remark": remark})
    return carry_out(request, take, again, form=f"step-{step}", fields={"text_not_plain": f"remark-{step}"})


@router.post("/{claim}/verify")
def verify(request: Request, claim: Number, actor: CurrentActor, office: CurrentOffice) -> Response:
    """Whether the lines are those that were frozen."""

    def check() -> Response:
        Claims(office).verify(actor, claim)
        return seen_at(f"/claims/{claim}", "verified")

    return carry_out(request, check, partial(overview, request, actor, office, claim), form="digest")


@router.post("/{claim}/figures")
def compare(
    request: Request,
    claim: Number,
    actor: CurrentActor,
    office: CurrentOffice,
    file: Annotated[UploadFile | None, File()] = None,
) -> Response:
    """The bank's own figures beside the frozen lines; every difference becomes an exception."""

    def take() -> Response:
        content, suffix = read_table_upload(file)
        if not Claims(office).take_figures(actor, claim, content, suffix).differences:
            return seen_at(f"/claims/{claim}/exceptions", "compared")
        address = with_notice(f"/claims/{claim}/exceptions", "differs") + "&kind=difference"
        return RedirectResponse(address, status_code=303)

    return carry_out(request, take, partial(exceptions, request, actor, office, claim), form="file")


@router.post("/{claim}/exceptions")
def settle(
    request: Request,
    claim: Number,
    actor: CurrentActor,
    office: CurrentOffice,
    key: Key,
    exception: RowNumber,
    why: Remark = "",
) -> Response:
    """Say why an exception stands."""
    at = f"why-{exception}"

    def say_why() -> Response:
        Claims(office).settle(actor, exception, why, key=key)
        return seen_at(f"/claims/{claim}/exceptions", "settled")

    again = partial(exceptions, request, actor, office, claim, typed={"exception": str(exception), "why": why})
    return carry_out(request, say_why, again, form=at, fields={"text_not_plain": at})


@router.post("/{claim}/sample")
def draw(
    request: Request,
    claim: Number,
    actor: CurrentActor,
    office: CurrentOffice,
    key: Key,
    size: Annotated[int, Form(ge=1, le=100_000)],
) -> Response:
    """Draw the auditor's sample, once."""

    def take() -> Response:
        Claims(office).sample(actor, claim, size, key=key)
        return seen_at(f"/claims/{claim}/sample", "drawn")

    return carry_out(request, take, partial(sample, request, actor, office, claim), form="size")


@router.post("/{claim}/findings")
def find(
    request: Request,
    claim: Number,
    actor: CurrentActor,
    office: CurrentOffice,
    key: Key,
    line: RowNumber,
    act: Annotated[Literal["ok", "wrong"], Form()],
    finding: Remark = "",
) -> Response:
    """What the auditor found of a sampled line: nothing, or what is wrong."""
    at = f"finding-{line}"

    def enter() -> Response:
        Claims(office).find(actor, claim, line, OK if act == "ok" else finding, key=key)
        return seen_at(f"/claims/{claim}/sample", "found")

    again = partial(sample, request, actor, office, claim, typed={"line": str(line), "finding": finding})
    return carry_out(request, enter, again, form=at, fields={"text_not_plain": at})
