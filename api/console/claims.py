"""申报: every claim with how far it has come and whom it waits for; and a new one opened."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.bureau.services import CurrentActor, CurrentOffice
from api.console.claim_view import STEP_WORDS
from api.console.faults import carry_out
from api.console.language import say
from api.console.names import county_names
from api.console.rendering import render
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.claims.queries import ClaimSummary
from matcher.claims.service import Claims
from matcher.claims.views import ClaimViews, NextStep
from matcher.loans import Loans

router = APIRouter()

Key = Annotated[str, Form(pattern=r"^[0-9a-f]{32}$")]


@dataclass(frozen=True)
class ClaimRow:
    claim: ClaimSummary
    next_steps: list[NextStep]

    @property
    def is_mine(self) -> bool:
        """Whether one of the steps waits for whoever looks."""
        return any(step.is_own and not step.was_own for step in self.next_steps)


@router.get("/claims")
def show_list(request: Request, actor: CurrentActor, office: CurrentOffice) -> HTMLResponse:
    """The latest year first."""
    return _page(request, actor, office)


@router.post("/claims/new")
def open_claim(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    key: Key,
    year: Annotated[int, Form(ge=2000, le=2099)],
    county: Annotated[str, Form(pattern=r"^[0-9]{6}$")],
) -> Response:
    """Open the bank's claim for a year, or find the one that is open."""

    def open_it() -> Response:
        actor.require(Permission.PREPARE_CLAIM)
        claim = Claims(office).open(actor, Loans(office).bank(actor), county, year, key=key)
        return RedirectResponse(f"/claims/{claim}", status_code=303)

    return carry_out(request, open_it, partial(_page, request, actor, office, typed={"year": year}), form="year")


def list_claims(actor: Actor, office: Office) -> list[ClaimRow]:
    """The claims in the account's sight, the latest year first, each with what comes next. Raises NotAllowed."""
    views = ClaimViews(office)
    return [ClaimRow(claim, views.next_steps(actor, claim.claim_id)) for claim in Claims(office).list(actor)]


def _page(
    request: Request,
    actor: Actor,
    office: Office,
    *,
    typed: dict[str, Any] | None = None,
    problems: list[tuple[str, str]] | None = None,
    status: int = 200,
) -> HTMLResponse:
    return render(
        request,
        "claims.html",
        title=say(request, "申报"),
        status=status,
        rows=list_claims(actor, office),
        counties=county_names(office),
        step_words=STEP_WORDS,
        may_open=actor.may(Permission.PREPARE_CLAIM),
        may_export=actor.may(Permission.EXPORT),
        year=(typed or {}).get("year", office.today().year - 1),
        problems=problems or [],
        key=office.random_bytes(16).hex(),
    )
