"""The console as an application of its own, beside the JSON interface over the same office.

From outside to inside: ProtectedAnswers (headers), ProblemBoundary (request ids, error pages, audit of refusals),
ConsoleGate (whole, from our own pages, with a session, where its roles lead), and the routers of the sections.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from api.boundary import ProblemBoundary, Refusals
from api.bureau.app import pass_on
from api.bureau.concealing import Concealing
from api.bureau.services import Services
from api.console import (
    accounts,
    audit,
    check_entry,
    checks,
    claim_exports,
    claim_page,
    claim_steps,
    claims,
    commitments,
    confirming,
    conflicts,
    dashboard,
    deciding,
    downloads,
    explaining,
    home,
    households,
    listing,
    loan_files,
    loan_page,
    loans,
    policies,
    policy_trials,
    queue,
    refining,
    reports,
    run_exports,
    runs,
    second_factor,
    sign_in,
    supplements,
    todo,
    visit_list,
    visit_planning,
    visit_tablet,
    visits,
    wall,
)
from api.console.errors import describe_page_problem, error_page
from api.console.gate import ConsoleGate
from api.console.headers import ProtectedAnswers
from api.console.sections import SECTIONS
from api.console.trying import TrialWorker
from api.limits import Limits
from matcher.accounts.refusals import RefusedActs
from matcher.checks.links import Links

STATIC = Path(__file__).parent / "static"
ROUTERS: Sequence[APIRouter] = (
    home.router,
    todo.router,
    sign_in.router,
    second_factor.router,
    accounts.router,
    audit.router,
    queue.router,
    refining.router,
    conflicts.router,
    supplements.router,
    confirming.router,
    listing.router,
    households.router,
    deciding.router,
    downloads.router,
    dashboard.router,
    reports.router,
    wall.router,
    checks.router,
    check_entry.router,
    policy_trials.router,
    policies.router,
    runs.router,
    run_exports.router,
    loans.router,
    loan_files.router,
    commitments.router,
    explaining.router,
    loan_page.router,
    claims.router,
    claim_exports.router,  # before what takes any last word of a claim's paths
    claim_page.router,
    claim_steps.router,
    visit_tablet.router,
    visit_planning.router,
    visit_list.router,
    visits.router,  # last: its paths are numbers
)


@dataclass(frozen=True)
class Site:
    """What every page says of the place it stands in. ``demo``: its people are made up; ``townships``: by code."""

    name: str
    demo: bool = False
    townships: Mapping[str, str] = field(default_factory=dict)

    def place_of(self, division: str) -> str:
        """A township's name, for a longer code with the rest of it; a code stands for itself without one."""
        name = self.townships.get(division[:9])
        return division if name is None else name + division[9:]


def create_console_app(
    services: Services,
    site: Site,
    *,
    links: Links | None = None,
    limits: Limits | None = None,
    new_request_id: Callable[[], str] = lambda: uuid4().hex,
) -> FastAPI:
    """The application over the services that the JSON interface made and closes."""
    limits, office = limits or Limits(), services.office
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.services = services
    app.state.site = site
    app.state.links = links or Links()
    app.state.trials = TrialWorker(office)
    app.state.todo = todo.Todo(office)
    app.state.sections = tuple(one for one in SECTIONS if f"/{one.path}" in _pages())
    for router in ROUTERS:
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    for kind in (HTTPException, RequestValidationError):
        app.add_exception_handler(kind, pass_on)
    # The last one added stands outermost.
    app.add_middleware(Concealing)
    app.add_middleware(ConsoleGate, sessions=services.authenticating.sessions, limits=limits)
    refusals = Refusals(RefusedActs(office), office.clock, unknown_per_minute=limits.unknown_refusals_per_minute)
    app.add_middleware(
        ProblemBoundary,
        refusals=refusals,
        metrics=services.metrics,
        new_request_id=new_request_id,
        describe=describe_page_problem,
        respond=error_page,
    )
    app.add_middleware(ProtectedAnswers)
    return app


def _pages() -> set[str]:
    return {route.path for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)}
