"""What uvicorn leaves open on a connection: deadlines for handshake, head and a stalled answer, a bound on idle ones.

Bodies have their own deadline (api/gate.py), idle connections uvicorn's keep-alive.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any, ClassVar

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from api.limits import Limits
from api.problems import describe_problem
from api.wire import BadBody
from keys.database import DatabaseUnavailable, require_sound_disk

KEEP_ALIVE_S = 5
SHUTDOWN_S = 30  # within so long a process that is told to stop has ended
FINISH_S = 25  # so long it lets begun requests finish
SLOWEST_BYTES_PER_S = 1_024  # a caller who takes less of its answer is cut off
GOODBYE_S = 3.0  # how long a caller may take to close its side of TLS


class GuardedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 with the deadlines of :class:`Limits`, and the caller's certificate in ``scope["state"]``."""

    limits: ClassVar[Limits]
    waiting: ClassVar[dict[GuardedProtocol, None]]  # those without a whole head yet, longest first
    _deadline: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        tls = transport.get_extra_info("ssl_object")
        self.app_state = {**self.app_state, "client_certificate": tls and tls.getpeercert(binary_form=True)}
        self._await_head()

    def handle_events(self) -> None:
        super().handle_events()
        if self.conn.their_state is not h11.IDLE:
            self._forget_deadline()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_deadline()
        self.resume_writing()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_stall(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP gets a problem document too; nobody but this protocol saw it, so it has no request id."""
        answer = describe_problem(BadBody("not HTTP/1.1")).response("")
        headers = [*answer.raw_headers, (b"connection", b"close")]
        head, body = h11.Response(status_code=400, headers=headers), h11.Data(bytes(answer.body))
        try:
            for event in (head, body, h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        except h11.LocalProtocolError:  # an answer had begun: closing is all that can be said
            pass
        self.transport.close()

    def _watch_stall(self, waiting_bytes: int) -> None:
        deadline_s = self.limits.stall_deadline_s
        self._stalled = self.loop.call_later(
            deadline_s, self._check_stall, waiting_bytes - deadline_s * SLOWEST_BYTES_PER_S
        )

    def _check_stall(self, most_bytes: float) -> None:
        waiting_bytes = self.transport.get_write_buffer_size()
        if waiting_bytes > most_bytes:
            self.transport.abort()
        else:
            self._watch_stall(waiting_bytes)

    def _await_head(self) -> None:
        self._forget_deadline()
        if self.conn.their_state is not h11.IDLE or self.transport.is_closing():
            return
        self._deadline = self.loop.call_later(self.limits.head_deadline_s, self._close)
        self.waiting[self] = None
        if len(self.waiting) > self.limits.waiting_connections:
            next(iter(self.waiting))._close()

    def _forget_deadline(self) -> None:
        self.waiting.pop(self, None)
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _close(self) -> None:
        self._forget_deadline()
        if not self.transport.is_closing():
            self.transport.close()


class GuardedServer(uvicorn.Server):
    """A server that says nothing about itself, keeps no log of what was sent, and speaks TLS if it has a context."""

    def __init__(self, app: ASGIApp, limits: Limits, tls: ssl.SSLContext | None = None) -> None:
        protocol = type("Protocol", (GuardedProtocol,), {"limits": limits, "waiting": {}})
        config = uvicorn.Config(
            app,
            http=protocol,
            ws="none",
            access_log=False,
            log_config=None,
            log_level="critical",  # what goes wrong is logged by api/boundary.py, in one line and without a trace
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=FINISH_S,
        )
        super().__init__(config)
        self._limits = limits
        self._tls = tls

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        with asyncio.Runner(loop_factory=self._new_loop) as runner:
            runner.run(self.serve(sockets=sockets))

    async def on_tick(self, counter: int) -> bool:
        """Whether to stop: after a failed flush only a new process, which recovers from the disk, may go on."""
        try:
            require_sound_disk()
        except DatabaseUnavailable:
            return True
        return await super().on_tick(counter)

    def _new_loop(self) -> asyncio.AbstractEventLoop:
        """uvicorn sets no deadline for a TLS handshake, and asyncio's own is a minute."""
        limits, tls = self._limits, self._tls

        class GuardedLoop(asyncio.SelectorEventLoop):
            async def create_server(self, *arguments: Any, **options: Any) -> asyncio.Server:
                if tls is not None:
                    deadline_s = limits.handshake_deadline_s
                    options |= {"ssl": tls, "ssl_handshake_timeout": deadline_s, "ssl_shutdown_timeout": GOODBYE_S}
                return await super().create_server(*arguments, **options)

        return GuardedLoop()
