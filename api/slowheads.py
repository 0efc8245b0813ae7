"""A connection that does not finish a request's head in time is closed; uvicorn alone would wait for ever."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


class HeadDeadlineProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 with a deadline for each head, from the connection or the last answer on.

    Bodies have their own deadline (api/gate.py), idle connections uvicorn's keep-alive.
    """

    deadline_s: ClassVar[float] = 30.0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
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
        super().connection_lost(exc)

    def _await_head(self) -> None:
        self._forget_deadline()
        if self.conn.their_state is h11.IDLE:
            self._deadline = self.loop.call_later(self.deadline_s, self._close)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _close(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()


def protocol_with_deadline(seconds: float) -> type[Any]:
    """The protocol class for uvicorn's ``http`` setting."""
    return type("HeadDeadlineProtocol", (HeadDeadlineProtocol,), {"deadline_s": seconds})
