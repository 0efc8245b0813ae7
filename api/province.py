"""The province's endpoint: docs/reference/protocol.md sections 3 to 6, and nothing else.

From outside to inside: ProblemBoundary (request ids, problem documents, audit of refusals),
SignatureGate (who sent it, whole and in time), and the routes in api/routes.py.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api.boundary import ProblemBoundary, Refusals
from api.evaluations import EpochKeys, Evaluations
from api.gate import SignatureGate
from api.limits import Limits
from api.logs import configure_logging
from api.metrics import Metrics
from api.routes import Services, open_router, router
from api.slowheads import protocol_with_deadline
from keys.clock import Clock
from keys.keystore import KeyStore
from matcher.province.editions import EditionFolders
from matcher.province.ledger import Ledger

KEEP_ALIVE_S = 5
SHUTDOWN_S = 30
BACKLOG = 1_024


def create_province_app(
    home: Path,
    keystore: KeyStore,
    ledger: Ledger,
    clock: Clock,
    *,
    limits: Limits | None = None,
    new_request_id: Callable[[], str] = lambda: uuid4().hex,
) -> FastAPI:
    """The application; ``home`` holds the editions. Keys of active epochs are opened here, not at the first request.

    Raises IdentityMissing, and what opening a key raises: a province that cannot answer does not start.
    """
    limits, metrics, keys = limits or Limits(), Metrics(), EpochKeys(keystore)
    keys.open_active(dataset.name for dataset in ledger.list_datasets())
    evaluations = Evaluations(ledger, keys, metrics, limits)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(evaluations.close)

    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False, lifespan=lifespan)
    folders = EditionFolders(home, keystore.get_public_identity())
    app.state.services = Services(ledger, keys, evaluations, folders, metrics, clock)
    app.include_router(open_router)
    app.include_router(router)
    for kind in (HTTPException, RequestValidationError):
        app.add_exception_handler(kind, _pass_on)
    # The last one added stands outermost.
    app.add_middleware(SignatureGate, ledger=ledger, clock=clock, limits=limits)
    app.add_middleware(
        ProblemBoundary,
        refusals=Refusals(ledger, clock, unknown_per_minute=limits.unknown_refusals_per_minute),
        metrics=metrics,
        new_request_id=new_request_id,
    )
    return app


def make_server(app: FastAPI, *, head_deadline_s: float = Limits.head_deadline_s) -> uvicorn.Server:
    """A server that says nothing about itself and keeps no log of what was sent."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=protocol_with_deadline(head_deadline_s),
            ws="none",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=SHUTDOWN_S,
        )
    )


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; ``port`` 0 picks a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    # Inherited by every connection: head and body of an answer are two writes, and 40 ms lie between them otherwise.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def serve_province(
    home: Path,
    keystore: KeyStore,
    ledger: Ledger,
    clock: Clock,
    *,
    host: str,
    port: int,
    workers: int = 2,
    on_listening: Callable[[int], None] = lambda port: None,
) -> None:
    """Serve until SIGINT or SIGTERM, then let running requests finish; log to standard error.

    ``workers`` is how many batches are worked on at once. ``port`` 0 picks a free one;
    ``on_listening`` hears the port once connections are taken.
    """
    configure_logging(sys.stderr)
    app = create_province_app(home, keystore, ledger, clock, limits=Limits(evaluation_threads=workers))
    with listen(host, port) as listener:
        on_listening(listener.getsockname()[1])
        make_server(app).run(sockets=[listener])


async def _pass_on(_: Request, error: Exception) -> Response:
    """To the boundary, which alone turns errors into answers."""
    raise error
