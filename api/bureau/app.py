"""The bureau's endpoint: docs/reference/bureau-api.md, JSON for programs.

From outside to inside: ProblemBoundary (request ids, problem documents, audit of refusals), SessionGate (whole, in
time, with a session), Concealing (not there, or not in one's care), and the routers. A route calls one method of one
part, which is one transaction, committed before the answer.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any
from uuid import uuid4

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response

from api.boundary import ProblemBoundary, Refusals
from api.bureau import claims as claim_routes
from api.bureau import figures as figure_routes
from api.bureau import households as household_routes
from api.bureau import loans as loan_routes
from api.bureau import people as people_routes
from api.bureau import reviews as review_routes
from api.bureau import sessions as session_routes
from api.bureau import visits as visit_routes
from api.bureau.authenticating import Authenticating
from api.bureau.bodies import StrictRoute, takes_key
from api.bureau.concealing import Concealing
from api.bureau.description import complete
from api.bureau.gate import OPEN, WATCHED, PrivateAnswers, SessionGate
from api.bureau.problems import describe_problem
from api.bureau.services import CurrentServices, Services
from api.limits import Limits
from api.metrics import METRICS_TYPE, RequestMetrics
from keys.database import DatabaseBusy, DatabaseUnavailable
from matcher.accounts.refusals import RefusedActs
from matcher.accounts.sessions import Sessions
from matcher.accounts.sign_in import SignIn
from matcher.bureau.office import Office
from matcher.reports.service import Reports

_VERSION = version("mingce")

ROUTERS: Sequence[APIRouter] = (
    session_routes.router,
    people_routes.router,
    household_routes.router,
    visit_routes.router,
    review_routes.router,
    loan_routes.router,
    claim_routes.router,
    figure_routes.router,
)
"""One of each part, api/bureau/<part>.py."""

open_router = APIRouter(route_class=StrictRoute, tags=["service"])


@open_router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Whether this process answers."""
    return {"status": "ok", "version": _VERSION}


@open_router.get("/metrics", response_class=PlainTextResponse)
def metrics(services: CurrentServices) -> Response:
    """Prometheus text: requests, problems, alarms. Labels name nobody."""
    with suppress(DatabaseBusy, DatabaseUnavailable):  # then the last known number stands
        services.metrics.alarms_waiting.set(len(services.office.alarms.list_waiting()))
    return Response(services.metrics.render(), media_type=METRICS_TYPE)


@open_router.get("/v1/openapi.json")
def description(request: Request) -> dict[str, Any]:
    """This interface in OpenAPI 3.1."""
    app: FastAPI = request.app
    if not hasattr(app.state, "description"):  # it takes as long as many requests
        app.state.description = complete(app.openapi(), _is_open)
    described: dict[str, Any] = app.state.description
    return described


@dataclass(frozen=True)
class RouteLine:
    """One route, for the reference. ``is_open``: without a session; ``takes_key``: an Idempotency-Key."""

    method: str
    path: str
    summary: str
    is_open: bool
    takes_key: bool


def list_routes() -> Iterator[RouteLine]:
    """Every route, part by part."""
    for router in (open_router, *ROUTERS):
        for route in router.routes:
            if not isinstance(route, StrictRoute):
                raise TypeError(f"{route} takes JSON that two readers read in two ways: use StrictRoute")
            for method in sorted(route.methods or ()):
                yield RouteLine(
                    method,
                    route.path,
                    (route.description or "").split("\n")[0],
                    _is_open(method, route.path),
                    takes_key(route),
                )


def _is_open(method: str, path: str) -> bool:
    return path in WATCHED or (method, path) in OPEN


def create_bureau_app(
    office: Office,
    *,
    limits: Limits | None = None,
    sign_in: SignIn | None = None,
    sessions: Sessions | None = None,
    reports: Reports | None = None,
    new_request_id: Callable[[], str] = lambda: uuid4().hex,
) -> FastAPI:
    """The application over one office, which the caller closes afterwards; ``reports`` name its townships."""
    limits, sign_in = limits or Limits(), sign_in or SignIn(office)
    sessions = sessions or Sessions(office, sign_in)
    metrics, authenticating = RequestMetrics(), Authenticating(sign_in, sessions, limits)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(authenticating.close)

    app = FastAPI(
        title="名册 bureau",
        version=_VERSION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.state.services = Services(office, reports or Reports(office), authenticating, metrics)
    list(list_routes())  # refuses a router that forgot StrictRoute
    for router in (open_router, *ROUTERS):
        app.include_router(router)
    for kind in (HTTPException, RequestValidationError):
        app.add_exception_handler(kind, pass_on)
    # The last one added stands outermost.
    app.add_middleware(Concealing)
    app.add_middleware(SessionGate, sessions=sessions, limits=limits)
    refusals = Refusals(RefusedActs(office), office.clock, unknown_per_minute=limits.unknown_refusals_per_minute)
    app.add_middleware(
        ProblemBoundary, refusals=refusals, metrics=metrics, new_request_id=new_request_id, describe=describe_problem
    )
    app.add_middleware(PrivateAnswers)
    return app


async def pass_on(_: Request, error: Exception) -> Response:
    """To the boundary, which alone turns errors into answers."""
    raise error
