"""What is done to a claim: its steps, the bank's own figures, exceptions settled, the audit's sample and findings."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, File, Form, Path, Request, UploadFile
from starlette.responses import RedirectResponse, Response

from api.bureau.services import CurrentActor, CurrentOffice
from api.console.addresses import with_notice
from api.console.claim_page import exceptions, overview, sample
from api.console.faults import refused
from api.console.uploads import read_table_upload
from matcher.claims.sampling import OK
from matcher.claims.service import Claims
from matcher.claims.steps import Step
from psi.errors import MingceError

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
    claims = Claims(office)
    try:
        if step == "freeze":
            claims.freeze(actor, claim, key=key)
        else:
            claims.move(actor, claim, Step(step), remark=remark, key=key)
    except MingceError as error:
        found = refused(request, error, {"text_not_plain": f"remark-{step}"}, f"step-{step}")
        problems = [(f"remark-{step}" if field == "remark" else field, words) for field, words in found.problems]
        return overview(
            request, actor, office, claim, problems=problems, typed={"step": step, "remark": remark},
            status=found.status,
        )  # fmt: skip
    return RedirectResponse(with_notice(f"/claims/{claim}", "moved"), status_code=303)


@router.post("/{claim}/verify")
def verify(request: Request, claim: Number, actor: CurrentActor, office: CurrentOffice) -> Response:
    """Whether the lines are those that were frozen."""
    try:
        Claims(office).verify(actor, claim)
    except MingceError as error:
        found = refused(request, error, {}, "digest")
        return overview(request, actor, office, claim, problems=found.problems, status=found.status)
    return RedirectResponse(with_notice(f"/claims/{claim}", "verified"), status_code=303)


@router.post("/{claim}/figures")
def compare(
    request: Request,
    claim: Number,
    actor: CurrentActor,
    office: CurrentOffice,
    file: Annotated[UploadFile | None, File()] = None,
) -> Response:
    """The bank's own figures beside the frozen lines; every difference becomes an exception."""
    try:
        content, suffix = read_table_upload(file)
        done = Claims(office).take_figures(actor, claim, content, suffix)
    except MingceError as error:
        found = refused(request, error, {}, "file")
        return exceptions(request, actor, office, claim, problems=found.problems, status=found.status)
    said = "differs" if done.differences else "compared"
    kind = "&kind=difference" if done.differences else ""
    return RedirectResponse(with_notice(f"/claims/{claim}/exceptions", said) + kind, status_code=303)


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
    try:
        Claims(office).settle(actor, exception, why, key=key)
    except MingceError as error:
        found = refused(request, error, {}, f"why-{exception}")
        problems = [(f"why-{exception}", words) for _, words in found.problems]
        typed = {"exception": str(exception), "why": why}
        return exceptions(request, actor, office, claim, problems=problems, typed=typed, status=found.status)
    return RedirectResponse(with_notice(f"/claims/{claim}/exceptions", "settled"), status_code=303)


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
    try:
        Claims(office).sample(actor, claim, size, key=key)
    except MingceError as error:
        found = refused(request, error, {}, "size")
        return sample(request, actor, office, claim, problems=found.problems, status=found.status)
    return RedirectResponse(with_notice(f"/claims/{claim}/sample", "drawn"), status_code=303)


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
    try:
        Claims(office).find(actor, claim, line, OK if act == "ok" else finding, key=key)
    except MingceError as error:
        found = refused(request, error, {}, f"finding-{line}")
        problems = [(f"finding-{line}", words) for _, words in found.problems]
        typed = {"line": str(line), "finding": finding}
        return sample(request, actor, office, claim, problems=problems, typed=typed, status=found.status)
    return RedirectResponse(with_notice(f"/claims/{claim}/sample", "found"), status_code=303)
