"""The responder's end of a one-shot exchange over HTTP: one session, one peer, one request, one answer.

    POST <session path>           a request message        202: being worked on
    GET  <session path>/answer                             200: the answer message; 202: come again

The path holds 128 random bits and is told to the peer by a person; without it there is nothing
to talk to. Who asked, and who answered, is said by the messages' signatures (api.exchange_message),
so HTTP carries them and is trusted with nothing. The same request may be posted again; another is
refused. The server ends by itself: some time after the answer was fetched, or when its time is up.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import threading

import uvicorn
from fastapi import FastAPI, Request
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from api.exchange_message import (
    MAX_OVERHEAD,
    MEDIA_TYPE,
    SESSION_BYTES,
    ExchangeMessage,
    decode_request,
    encode_message,
    message_digest,
)
from api.problems import BodyTimeout, NotFound, UnsupportedMediaType, describe_problem
from api.wire import BadBody, TooLarge
from keys.clock import Clock
from keys.httpsig import BadSignature
from keys.identity import Identity, PublicIdentity
from matcher.province.records import IdempotencyMismatch
from psi.errors import MingceError, VerificationError
from psi.exchange import Responder, count_elements, message_bytes

SLOWEST_BYTES_PER_S = 64 * 1024
HEADER_DEADLINE_S = 30.0
OPEN_CONNECTIONS = 16
POLL_S = 0.1


class ExchangeExpired(MingceError):
    """The session's time was up before the peer had asked and fetched its answer."""

    code = "exchange_expired"


class ExchangeSession:
    """One responder's session. ``session`` is 32 hex digits, the secret part of the path."""

    def __init__(self, responder: Responder, identity: Identity, peer: PublicIdentity, clock: Clock) -> None:
        self.session = secrets.token_hex(SESSION_BYTES)
        self.path = f"/v1/exchange/{self.session}"
        self.max_body_bytes = MAX_OVERHEAD + message_bytes(responder.max_requested)
        self.requested: int | None = None
        self.answer: bytes | None = None
        self.error: MingceError | None = None
        self.ended = threading.Event()
        self._responder = responder
        self._identity = identity
        self._peer = peer
        self._clock = clock
        self._asked_digest: str | None = None
        self._work: asyncio.Task[None] | None = None

    @property
    def asked(self) -> bool:
        return self._asked_digest is not None

    def submit(self, body: bytes) -> None:
        """Take the session's one request. Raises BadSignature, BadBody, IdempotencyMismatch."""
        digest = message_digest(body)
        if self._asked_digest is not None:
            if self._asked_digest != digest:
                raise IdempotencyMismatch("the session was used with another request")
            return
        try:
            message = decode_request(body, sender=self._peer, recipient=self._identity.public)
        except VerificationError as error:
            raise BadSignature(error.detail) from error
        if message.session != self.session:
            raise BadBody("the request is of another session")
        self._asked_digest = digest
        self._work = asyncio.get_running_loop().create_task(self._respond(message, digest))

    async def _respond(self, request: ExchangeMessage, digest: str) -> None:
        (asked,) = request.parts
        try:
            response = await run_in_threadpool(self._responder.respond, asked)
        except MingceError as error:
            self.error = error
            self.ended.set()
            return
        self.requested = count_elements(response)
        parts = (self._responder.setup, response)
        answer = ExchangeMessage("answer", self.session, digest, parts)
        self.answer = encode_message(answer, self._identity, self._peer, self._clock.now())


def create_exchange_app(session: ExchangeSession) -> FastAPI:
    """The two routes of a session; errors are problem documents that repeat nothing."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

    @app.exception_handler(MingceError)
    @app.exception_handler(HTTPException)
    @app.exception_handler(Exception)
    async def problem(_: Request, error: Exception) -> Response:
        return describe_problem(error).response(secrets.token_hex(8))

    @app.post("/v1/exchange/{session_id}")
    async def ask(session_id: str, request: Request) -> Response:
        _check_session(session, session_id)
        if request.headers.get("content-type") != MEDIA_TYPE or "content-encoding" in request.headers:
            raise UnsupportedMediaType("an exchange message, not compressed")
        session.submit(await _read_body(request, session.max_body_bytes))
        return Response(status_code=202, headers={"Retry-After": "1"})

    @app.get("/v1/exchange/{session_id}/answer")
    async def answer(session_id: str) -> Response:
        _check_session(session, session_id)
        if session.error is not None:
            raise BadBody("the request could not be worked on")
        if not session.asked:
            raise NotFound("nothing was asked yet")
        if session.answer is None:
            return Response(status_code=202, headers={"Retry-After": "1"})
        return Response(session.answer, media_type=MEDIA_TYPE, background=BackgroundTask(session.ended.set))

    return app


def serve_exchange(
    session: ExchangeSession,
    listener: socket.socket,
    *,
    time_limit_s: float,
    linger_s: float,
) -> None:
    """Serve until the answer was fetched (and ``linger_s`` passed, for a peer who lost it) or the time is up.

    Raises ExchangeExpired, or what the peer's request raised in Responder.respond.
    """

    config = uvicorn.Config(
        create_exchange_app(session),
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        limit_concurrency=OPEN_CONNECTIONS,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=5,
    )
    asyncio.run(_serve(uvicorn.Server(config), session, listener, time_limit_s, linger_s))
    if session.error is not None:
        raise session.error
    if not session.ended.is_set():
        raise ExchangeExpired("nobody asked and fetched in time", time_limit_s=time_limit_s)


async def _serve(
    server: uvicorn.Server, session: ExchangeSession, listener: socket.socket, time_limit_s: float, linger_s: float
) -> None:
    watch = asyncio.create_task(_stop_in_time(server, session, time_limit_s, linger_s))
    try:
        await server.serve(sockets=[listener])
    finally:
        watch.cancel()


async def _stop_in_time(server: uvicorn.Server, session: ExchangeSession, time_limit_s: float, linger_s: float) -> None:
    loop = asyncio.get_running_loop()
    until = loop.time() + time_limit_s
    while not session.ended.is_set() and loop.time() < until:
        await asyncio.sleep(POLL_S)
    await asyncio.sleep(min(linger_s, max(0.0, until - loop.time())))
    server.should_exit = True


def _check_session(session: ExchangeSession, claimed: str) -> None:
    if not secrets.compare_digest(claimed.encode(), session.session.encode()):
        raise NotFound("no such session")


async def _read_body(request: Request, limit: int) -> bytes:
    """Raises TooLarge (by Content-Length before a byte is read), BodyTimeout."""
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared) > limit:
        raise TooLarge("refused by its Content-Length")
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(HEADER_DEADLINE_S + limit / SLOWEST_BYTES_PER_S):
            async for part in request.stream():
                size += len(part)
                if size > limit:
                    raise TooLarge("refused at the limit")
                parts.append(part)
    except TimeoutError:
        raise BodyTimeout("the body did not arrive in time") from None
    except ClientDisconnect:
        raise BadBody("the body broke off") from None
    return b"".join(parts)
