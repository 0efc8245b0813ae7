"""The console as an application of its own, beside the JSON interface over the same office.

From outside to inside: ProblemBoundary (request ids, error pages, audit of refusals), ConsoleGate (whole, from our own
pages, with a session, where its roles lead), and the routers of the sections.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from fastapi import APIRouter, FastAPI
from starlette.staticfiles import StaticFiles

from api.boundary import ProblemBoundary, Refusals
from api.bureau.authenticating import Authenticating
from api.bureau.services import Services
from api.console import home, sign_in
from api.console.errors import describe_page_problem, error_page
from api.console.gate import ConsoleGate
from api.limits import Limits
from api.metrics import RequestMetrics
from matcher.accounts.refusals import RefusedActs
from matcher.bureau.office import Office

STATIC = Path(__file__).parent / "static"
ROUTERS: Sequence[APIRouter] = (home.router, sign_in.router)


@dataclass(frozen=True)
class Site:
    """What every page says of the place it stands in. ``demo``: its people are made up."""

    name: str
    demo: bool = False


def create_console_app(
    office: Office,
    site: Site,
    authenticating: Authenticating,
    metrics: RequestMetrics,
    *,
    limits: Limits | None = None,
    new_request_id: Callable[[], str] = lambda: uuid4().hex,
) -> FastAPI:
    """The application over one office, which the caller closes afterwards."""
    limits = limits or Limits()
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.services = Services(office, authenticating, metrics)
    app.state.site = site
    for router in ROUTERS:
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_middleware(ConsoleGate, sessions=authenticating.sessions, limits=limits)
    refusals = Refusals(RefusedActs(office), office.clock, unknown_per_minute=limits.unknown_refusals_per_minute)
    app.add_middleware(
        ProblemBoundary,
        refusals=refusals,
        metrics=metrics,
        new_request_id=new_request_id,
        describe=describe_page_problem,
        respond=error_page,
    )
    return app
