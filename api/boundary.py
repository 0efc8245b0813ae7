"""The outermost layer: every request gets an id, every error becomes a problem document, every refusal is recorded.

What is logged is built from our own words (route templates, codes, places in our code),
never from what was sent, so no ID number can get into a log by this way.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.bodies import Disconnected, linger
from api.metrics import RequestMetrics
from api.problems import BodyTimeout, Problem, describe_problem
from api.routes import evaluate_route
from api.wire import TooLarge
from keys.clock import Clock
from psi.errors import MingceError

log = structlog.get_logger("mingce.api")
UNKNOWN = "unknown"
LINGERING = (TooLarge, BodyTimeout)  # the body may still be coming: a connection cut at once would lose the answer
_PROVES_NOTHING = frozenset({"replayed", "clock_skew"})  # anyone can send again what a party signed once


class BrokenOff(Exception):
    """An answer failed half-way; the server closes the connection, which tells the caller."""


class Caller(Protocol):
    """Who was found to call: ``name`` for the log, ``fingerprint`` for the audit. In ``scope["state"]["party"]``."""

    @property
    def name(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...


class AuditBook(Protocol):
    """Where refused acts are written down."""

    def record_refusal(self, *, actor: str, subject: str, code: str, **detail: object) -> None: ...


class Refusals:
    """Audit rows for refused acts. Callers who prove nothing can cause only so many rows a minute."""

    def __init__(self, book: AuditBook, clock: Clock, *, unknown_per_minute: int) -> None:
        self._book = book
        self._clock = clock
        self._unknown_per_minute = unknown_per_minute
        self._lock = threading.Lock()
        self._minute = 0
        self._written = 0
        self._omitted = 0

    def record(self, party: Caller | None, route: str, code: str) -> None:
        """Raises DatabaseBusy, StoreUnavailable."""
        if party is not None and code not in _PROVES_NOTHING:
            self._book.record_refusal(actor=party.fingerprint, subject=route, code=code)
            return
        omitted = self._take_turn()
        if omitted is not None:
            actor = UNKNOWN if party is None else party.fingerprint
            self._book.record_refusal(actor=actor, subject=route, code=code, omitted_before=omitted)

    def _take_turn(self) -> int | None:
        """How many were left out since the last row, or None if this one is left out too."""
        minute = int(self._clock.now().timestamp() // 60)
        with self._lock:
            if minute != self._minute:
                self._minute, self._written = minute, 0
            if self._written >= self._unknown_per_minute:
                self._omitted += 1
                return None
            self._written += 1
            omitted, self._omitted = self._omitted, 0
            return omitted


class ProblemBoundary:
    """``describe`` says what an error looks like from outside, ``respond`` writes it down."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        refusals: Refusals,
        metrics: RequestMetrics,
        new_request_id: Callable[[], str],
        describe: Callable[[BaseException], Problem] = describe_problem,
        respond: Callable[[Problem, str, Scope], Response] = lambda problem, request_id, _: problem.response(
            request_id
        ),
    ) -> None:
        self._app = app
        self._refusals = refusals
        self._metrics = metrics
        self._new_request_id = new_request_id
        self._describe = describe
        self._respond = respond

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope.setdefault("state", {})
        exchange = _Exchange(scope, receive, send)
        request_id = self._new_request_id()
        started_s = time.perf_counter()
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except Disconnected:
            pass
        except Exception as error:
            problem = self._describe(error)
            _log_error(error, problem, request_id)
            self._metrics.problems.labels(problem.code).inc()
            if exchange.status:
                raise BrokenOff from None
            await self._record(scope, problem)
            await self._answer(scope, exchange, problem, request_id, lingering=isinstance(error, LINGERING))
        finally:
            self._finish(scope, exchange, request_id, time.perf_counter() - started_s)

    async def _record(self, scope: Scope, problem: Problem) -> None:
        """A refusal stands even when its audit row cannot be written; the log then says so."""
        if not problem.kind.refusal:
            return
        try:
            await run_in_threadpool(self._refusals.record, scope["state"].get("party"), _route(scope), problem.code)
        except MingceError as error:
            log.error("refusal not in the audit", code=problem.code, reason=error.code)

    async def _answer(
        self, scope: Scope, exchange: _Exchange, problem: Problem, request_id: str, *, lingering: bool
    ) -> None:
        response = self._respond(problem, request_id, scope)
        if not (lingering and exchange.body_begun):
            await response(scope, exchange.receive, exchange.send)
            return
        await exchange.send(
            {"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers}
        )
        await exchange.send({"type": "http.response.body", "body": response.body, "more_body": True})
        await linger(exchange.receive)
        await exchange.send({"type": "http.response.body", "body": b"", "more_body": False})

    def _finish(self, scope: Scope, exchange: _Exchange, request_id: str, seconds: float) -> None:
        route, status = _route(scope), exchange.status
        self._metrics.requests.labels(route, status or "none").inc()
        party: Caller | None = scope["state"].get("party")
        log.info(
            "request",
            request_id=request_id,
            route=route,
            status=status,
            party=UNKNOWN if party is None else party.name,
            milliseconds=round(seconds * 1000, 1),
        )


class _Exchange:
    """One request and its answer, watched: how far its body was read, which status it got.

    An answer that comes before the end of the body closes the connection: nobody waits for the rest.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self.body_begun = False
        self.body_complete = not any(name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"])
        self.status = 0

    async def receive(self) -> Message:
        message = await self._receive()
        self.body_begun = True
        if message["type"] == "http.request" and not message.get("more_body", False):
            self.body_complete = True
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if not self.body_complete:
                message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
        await self._send(message)


def _route(scope: Scope) -> str:
    """The route's template: one of few, and nothing the caller wrote."""
    if scope.get("endpoint") is evaluate_route.endpoint:
        return evaluate_route.path
    return getattr(scope.get("route"), "path", None) or scope.get("root_path") or "none"  # the console's /static


def _log_error(error: Exception, problem: Problem, request_id: str) -> None:
    """Errors raised on purpose with their detail; any other with the places it passed, without its message."""
    if problem.kind.status < 500 or problem.code == "busy":
        return
    places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
    detail = error.detail if isinstance(error, MingceError) else ""
    log.error("failed", request_id=request_id, error=type(error).__name__, detail=detail, places=places)
