"""The gate before every page: a request goes in whole, from our own pages, with a session, and where its roles lead.

A page needs no guard of its own: its first path segment is a section, and a path without one is nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.formparsers import MultiPartParser
from starlette.requests import HTTPConnection, Request
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from api.bodies import BodyReader, replay
from api.bureau.gate import Caller
from api.console.sections import BY_PATH
from api.console.sessions import SESSION, require_form_token, require_same_origin
from api.limits import Limits
from api.problems import Busy, NotFound, UnsupportedMediaType
from matcher.accounts.model import SecondFactorMissing, SessionInvalid
from matcher.accounts.sessions import Sessions
from matcher.bureau.actors import Actor, NotAllowed
from psi.errors import MingceError

OPEN = frozenset({"sign-in", "password", "language", "static", "favicon.ico"})
"""Without a session."""
OWN = frozenset({"", "todo", "me", "sign-out", "second-factor"})
"""For everybody who has one."""
UNFINISHED = frozenset({"second-factor", "sign-out"})
"""For a session, too, that lacks the second factor."""
MAX_OPEN_BYTES = 16 << 10
MAX_FORM_BYTES = 1 << 20
MAX_UPLOAD_BYTES = 16 << 20
MultiPartParser.spool_max_size = MAX_UPLOAD_BYTES  # above its 1 MB, ID numbers would lie in a temporary file
_UPLOAD = "multipart/form-data"
_FORM = "application/x-www-form-urlencoded"


class ConsoleGate:
    def __init__(self, app: ASGIApp, *, sessions: Sessions, limits: Limits) -> None:
        self._app = app
        self._sessions = sessions
        self._bodies = BodyReader(limits)
        self._limits = limits
        self._open: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        connection, first = HTTPConnection(scope), scope["path"].split("/")[1]
        writes = scope["method"] not in ("GET", "HEAD")
        with ExitStack() as held:
            try:
                if first not in OPEN:
                    await self._sign_in(connection, first)
                if writes:
                    _require_form(connection)
                actor: Actor | None = getattr(connection.state, "actor", None)
                held.enter_context(self._place_for(actor))
            except MingceError as refused:
                if writes:  # cut off while it still sends, a proxy would tell its sender that nobody is here
                    await self._bodies.let_finish(receive, MAX_UPLOAD_BYTES)
                if isinstance(refused, SecondFactorMissing):
                    await RedirectResponse("/second-factor", status_code=303)(scope, receive, send)
                elif isinstance(refused, SessionInvalid) and not writes:
                    await _to_sign_in(connection)(scope, receive, send)
                else:  # what was typed is still on the page behind
                    raise
                return
            if writes:
                receive = await self._read_form(connection, receive)
                if actor is not None:
                    connection.app.state.todo.forget(actor)
            await self._app(scope, receive, send)

    @contextmanager
    def _place_for(self, actor: Actor | None) -> Iterator[None]:
        """No account holds more requests at once than a browser needs, however many tabs or devices. Raises Busy."""
        if actor is None:
            yield
            return
        held = self._open[actor.name]
        if self._open.total() >= self._limits.open_requests or held >= self._limits.open_requests_per_party:
            raise Busy("too many open requests")
        self._open[actor.name] = held + 1
        try:
            yield
        finally:
            self._open[actor.name] -= 1

    async def _sign_in(self, connection: HTTPConnection, first: str) -> None:
        """Raises SessionInvalid, SecondFactorMissing, NotAllowed, NotFound."""
        session = connection.cookies.get(SESSION, "")
        actor: Actor = await run_in_threadpool(self._sessions.get_actor, session, whole=first not in UNFINISHED)
        connection.state.actor, connection.state.session = actor, session
        connection.state.party = Caller(actor.name)
        if first in OWN:
            return
        section = BY_PATH.get(first)
        if section is None:
            raise NotFound("no such page")
        if not section.is_open_to(actor):
            raise NotAllowed("this section is not the account's", permission=section.path)

    async def _read_form(self, connection: HTTPConnection, receive: Receive) -> Receive:
        """Raises FormNotOurs, TooLarge, BodyTimeout."""
        session = getattr(connection.state, "session", None)
        most_bytes = MAX_UPLOAD_BYTES if _kind(connection) == _UPLOAD else MAX_FORM_BYTES
        body, _ = await self._bodies.read(receive, MAX_OPEN_BYTES if session is None else most_bytes)
        if session is not None:
            form = await Request(connection.scope, replay(body, receive)).form(max_files=20, max_fields=2_000)
            token = form.get("token", "")
            require_form_token(session, token if isinstance(token, str) else "")
        return replay(body, receive)


def _kind(connection: HTTPConnection) -> str:
    return connection.headers.get("content-type", "").partition(";")[0].strip().lower()


def _require_form(connection: HTTPConnection) -> None:
    """Raises FormNotOurs, UnsupportedMediaType."""
    require_same_origin(connection)
    if _kind(connection) not in (_FORM, _UPLOAD) or "content-encoding" in connection.headers:
        raise UnsupportedMediaType("a form is expected here")


def _to_sign_in(connection: HTTPConnection) -> RedirectResponse:
    wanted = connection.url.path + (f"?{connection.url.query}" if connection.url.query else "")
    keep = connection.scope["method"] == "GET" and wanted != "/"
    return RedirectResponse(f"/sign-in?next={quote(wanted)}" if keep else "/sign-in", status_code=303)
