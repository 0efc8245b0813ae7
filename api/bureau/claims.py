"""Claims from opening to payment, and each line explained (docs/reference/claims.md). Money is 分."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query
from pydantic import Field, StringConstraints

from api.bureau.bodies import Body, IdempotencyKey, Line, Number, StrictRoute, upload
from api.bureau.services import CurrentActor, CurrentOffice
from matcher.claims.service import LONGEST_PAGE, Claims
from matcher.claims.steps import Step

router = APIRouter(prefix="/v1", route_class=StrictRoute, tags=["claims"])

_FILES = {"text/csv": ".csv", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx"}
Place = Annotated[int, Path(ge=1, le=2**53)]
Plain = Annotated[str, Field(max_length=200)]


class NewClaim(Body):
    """``bank``: a fingerprint."""

    bank: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    county: Annotated[str, StringConstraints(pattern=r"^[0-9]{6}$")]
    year: Annotated[int, Field(ge=2000, le=2099)]


class Settlement(Body):
    why: Line


class Size(Body):
    size: Annotated[int, Field(ge=1, le=100_000)]


class Finding(Body):
    """``ok``, or what is wrong."""

    line: Number
    finding: Line


class Remark(Body):
    remark: Plain = ""


@router.get("/claims")
def find(actor: CurrentActor, office: CurrentOffice) -> dict[str, Any]:
    """All claims, the latest year first; a bank's people see their own bank's."""
    return {"claims": [asdict(claim) for claim in Claims(office).list(actor)]}


@router.post("/claims", status_code=201)
def open_(body: NewClaim, key: IdempotencyKey, actor: CurrentActor, office: CurrentOffice) -> dict[str, Any]:
    """Open a bank's claim for a year, or find the one that is open."""
    return {"claim": Claims(office).open(actor, body.bank, body.county, body.year, key=key)}


@router.get("/claims/{claim}")
def show(
    claim: Place,
    actor: CurrentActor,
    office: CurrentOffice,
    after: Annotated[int, Query(ge=0, le=10**7)] = 0,
    size: Annotated[int, Query(ge=1, le=LONGEST_PAGE)] = 100,
) -> dict[str, Any]:
    """One claim: amounts, its way so far, what has to be settled, and a page of its lines."""
    page = Claims(office).get(actor, claim, first=after, count=size)
    return {**asdict(page), "next": after + size if len(page.lines) == size else None}


@router.get("/claims/{claim}/verification")
def verify(claim: Place, actor: CurrentActor, office: CurrentOffice) -> dict[str, Any]:
    """Whether a frozen claim's lines are those that were frozen: ``claim_tampered`` if not."""
    return asdict(Claims(office).verify(actor, claim))


@router.get("/interest-lines/{line}")
def explain(line: Place, actor: CurrentActor, office: CurrentOffice) -> dict[str, Any]:
    """How a line came about: its pieces, each step with the numbers put in, the clause it follows."""
    return asdict(Claims(office).explain(actor, line))


@router.post("/claims/{claim}/freeze")
def freeze(claim: Place, key: IdempotencyKey, actor: CurrentActor, office: CurrentOffice) -> dict[str, Any]:
    """Compute everything once more and freeze the lines that are due and paid."""
    return asdict(Claims(office).freeze(actor, claim, key=key))


@router.post("/claims/{claim}/figures")
def reconcile(
    claim: Place,
    _: IdempotencyKey,
    actor: CurrentActor,
    office: CurrentOffice,
    content: Annotated[bytes, upload(*_FILES)],
    content_type: Annotated[str, Header()],
) -> dict[str, Any]:
    """Compare with the bank's own figures, CSV or XLSX; every difference becomes an exception."""
    suffix: Any = _FILES[content_type]
    done = Claims(office).take_figures(actor, claim, content, suffix)
    return {**asdict(done), "differences": [{**asdict(each), "kind": each.kind} for each in done.differences]}


@router.post("/claim-exceptions/{exception}/settle")
def settle(
    exception: Place, body: Settlement, key: IdempotencyKey, actor: CurrentActor, office: CurrentOffice
) -> dict[str, Any]:
    """Say why an exception stands."""
    Claims(office).settle(actor, exception, body.why, key=key)
    return {"exception": exception}


@router.post("/claims/{claim}/sample")
def sample(claim: Place, body: Size, key: IdempotencyKey, actor: CurrentActor, office: CurrentOffice) -> dict[str, Any]:
    """Draw the auditor's sample, once."""
    return {"lines": Claims(office).sample(actor, claim, body.size, key=key)}


@router.post("/claims/{claim}/findings")
def finding(
    claim: Place, body: Finding, key: IdempotencyKey, actor: CurrentActor, office: CurrentOffice
) -> dict[str, Any]:
    """What the auditor found of a sampled line."""
    Claims(office).find(actor, claim, body.line, body.finding, key=key)
    return {"line": body.line}


@router.post("/claims/{claim}/steps/{step}")
def move(
    claim: Place, step: Step, body: Remark, key: IdempotencyKey, actor: CurrentActor, office: CurrentOffice
) -> dict[str, Any]:
    """Take a claim a step on: check, audit, submit, take-up, return, approve, pass-on, grant, pay, close."""
    return asdict(Claims(office).move(actor, claim, step, remark=body.remark, key=key))
