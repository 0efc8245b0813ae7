"""The gate before every route: a request goes in only whole, in time, and with a session.

It stands in front of the router, so a new route is protected by where it stands; :data:`OPEN` and :data:`WATCHED`
are the only exceptions. The session is looked up before the body is read: a stranger makes the server keep no body.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.bodies import BodyReader, replay
from api.bureau.bodies import MAX_JSON_BYTES, MAX_UPLOAD_BYTES
from api.limits import Limits
from api.problems import Busy, UnsupportedMediaType
from api.wire import TooLarge
from matcher.accounts.model import SessionInvalid
from matcher.accounts.sessions import Sessions
from matcher.bureau.actors import Actor
from psi.errors import MingceError

WATCHED = frozenset({"/healthz", "/metrics"})  # answered however much there is to do, whatever the body
OPEN = frozenset({("POST", "/v1/sessions"), ("POST", "/v1/password")})
MAX_OPEN_BYTES = 16 << 10
LARGE_BODIES = 8  # uploads at once

_BEARER = re.compile(r"Bearer ([A-Za-z0-9_-]{43})")


@dataclass(frozen=True)
class Caller:
    """An account as the log and the record of refusals name it: ``request.state.party``."""

    name: str

    @property
    def fingerprint(self) -> str:
        return self.name


class SessionGate:
    def __init__(self, app: ASGIApp, *, sessions: Sessions, limits: Limits) -> None:
        self._app = app
        self._sessions = sessions
        self._limits = limits
        self._bodies = BodyReader(limits)
        self._large = asyncio.Semaphore(LARGE_BODIES)
        self._open: Counter[str] = Counter()  # of each account; a stranger never holds a place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in WATCHED:
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        is_open = (scope["method"], scope["path"]) in OPEN
        most_bytes = MAX_OPEN_BYTES if is_open else MAX_UPLOAD_BYTES
        length = _declared_length(headers)
        if length is not None and length > most_bytes:
            raise TooLarge("refused by its Content-Length")
        is_large = "transfer-encoding" in headers or (length is not None and length > MAX_JSON_BYTES)
        try:
            if "content-encoding" in headers:
                raise UnsupportedMediaType("no Content-Encoding is taken")
            if is_large and self._large.locked():
                raise Busy("too many uploads")
            account = None if is_open else await self._authenticate(scope, headers)
            self._take_place(account)
        except MingceError:
            await self._bodies.let_finish(receive, most_bytes)
            raise
        try:
            async with self._large if is_large else nullcontext():
                body, _ = await self._bodies.read(receive, most_bytes)
            await self._app(scope, replay(body, receive), send)
        finally:
            if account is not None:
                self._open[account] -= 1

    async def _authenticate(self, scope: Scope, headers: dict[str, str]) -> str:
        """The account's name. Raises SessionInvalid."""
        token = _BEARER.fullmatch(headers.get("authorization", ""))
        if token is None:
            raise SessionInvalid("no session")
        actor: Actor = await run_in_threadpool(self._sessions.get_actor, token.group(1))
        scope["state"]["party"] = Caller(actor.name)
        scope["state"]["actor"] = actor
        scope["state"]["token"] = token.group(1)
        return actor.name

    def _take_place(self, account: str | None) -> None:
        """Raises Busy."""
        if account is None:
            return
        held = self._open[account]
        if self._open.total() >= self._limits.open_requests or held >= self._limits.open_requests_per_party:
            raise Busy("too many open requests")
        self._open[account] = held + 1


def _declared_length(headers: dict[str, str]) -> int | None:
    declared = headers.get("content-length", "")
    return int(declared) if declared.isascii() and declared.isdigit() else None


class PrivateAnswers:
    """Outermost: no answer is kept by anybody in between, and none is taken for another type."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Cache-Control"] = "no-store"
                headers["X-Content-Type-Options"] = "nosniff"
            await send(message)

        await self._app(scope, receive, sent if scope["type"] == "http" else send)
