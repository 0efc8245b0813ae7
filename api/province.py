"""The province's endpoint: docs/reference/protocol.md sections 3 to 6, and nothing else.

From outside to inside: ProblemBoundary (request ids, problem documents, audit of refusals),
SignatureGate (who sent it, whole and in time), and the routes in api/routes.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import uuid4

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api.boundary import ProblemBoundary, Refusals
from api.certificates import CertificateCheck, certificate_of_connection, certificate_of_proxy
from api.evaluations import EpochKeys, Evaluations
from api.gate import SignatureGate
from api.limits import Limits
from api.listening import Listening
from api.metrics import Metrics
from api.routes import Services, evaluate_route, open_router, router
from api.serving import serve
from keys.clock import Clock
from keys.keystore import KeyStore
from matcher.province.editions import EditionFolders
from matcher.province.ledger import Ledger
from psi.errors import MingceError


def create_province_app(
    home: Path,
    keystore: KeyStore,
    ledger: Ledger,
    clock: Clock,
    *,
    limits: Limits | None = None,
    listening: Listening | None = None,
    new_request_id: Callable[[], str] = lambda: uuid4().hex,
) -> FastAPI:
    """The application; ``home`` holds the editions. Keys of active epochs are opened here, not at the first request.

    Raises IdentityMissing, and what opening a key raises: a province that cannot answer does not start.
    """
    limits, listening = limits or Limits(), listening or Listening()
    metrics, keys = Metrics(), EpochKeys(keystore)
    keys.open_active(dataset.name for dataset in ledger.list_datasets())
    evaluations = Evaluations(ledger, keys, metrics, limits)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        letting_go = asyncio.create_task(_let_go(keys, limits.key_check_s))
        yield
        letting_go.cancel()
        await run_in_threadpool(evaluations.close)

    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False, lifespan=lifespan)
    folders = EditionFolders(home, keystore.get_public_identity())
    app.state.services = Services(ledger, keys, evaluations, folders, metrics, clock, keystore.get_identity())
    app.router.routes.append(evaluate_route)
    app.include_router(open_router)
    app.include_router(router)
    for kind in (HTTPException, RequestValidationError):
        app.add_exception_handler(kind, _pass_on)
    # The last one added stands outermost.
    app.add_middleware(
        SignatureGate,
        ledger=ledger,
        clock=clock,
        limits=limits,
        check_certificate=CertificateCheck(
            ledger.certificates,
            certificate_of_proxy if listening.behind_proxy else certificate_of_connection,
            required=listening.require_client_certificate,
        ),
        overloaded=lambda scope: evaluations.full and scope["path"].endswith("/evaluate"),
    )
    app.add_middleware(
        ProblemBoundary,
        refusals=Refusals(ledger, clock, unknown_per_minute=limits.unknown_refusals_per_minute),
        metrics=metrics,
        new_request_id=new_request_id,
    )
    return app


def serve_province(
    home: Path,
    keystore: KeyStore,
    ledger: Ledger,
    clock: Clock,
    *,
    listening: Listening | None = None,
    limits: Limits | None = None,
    on_listening: Callable[[str], None] = lambda address: None,
) -> None:
    """Serve until stopped. Another process may serve the same home at another address: what must be exact is
    decided in the database. Raises what api.serving.serve and create_province_app raise.
    """
    listening, limits = listening or Listening(), limits or Limits()

    def create() -> FastAPI:
        return create_province_app(home, keystore, ledger, clock, limits=limits, listening=listening)

    serve(create, listening, limits, on_listening)


async def _let_go(keys: EpochKeys, every_s: float) -> None:
    """What another process expired or destroyed leaves this one's memory too."""
    while True:
        await asyncio.sleep(every_s)
        with suppress(MingceError):  # a store that fails now is asked again, and fails the requests by itself
            await run_in_threadpool(keys.let_go)


async def _pass_on(_: Request, error: Exception) -> Response:
    """To the boundary, which alone turns errors into answers."""
    raise error
