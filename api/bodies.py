"""Request bodies, read whole before anything is done with them: within a length and a deadline."""

from __future__ import annotations

import asyncio
import hashlib

from starlette.types import Message, Receive

from api.limits import Limits
from api.problems import BodyTimeout
from api.wire import TooLarge

LINGER_S = 1.0


class Disconnected(Exception):
    """The caller went away; nobody is left to answer."""


class BodyReader:
    """What one endpoint reads. What a refused caller still sends is read to its end and dropped, so that it can read
    its refusal; when many are refused at once, the rest are answered and cut off."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._refusing = 0

    async def read(self, receive: Receive, most_bytes: int, *, keep: bool = True) -> tuple[bytes, bytes]:
        """(the body, or nothing unless kept; its SHA-256). Raises TooLarge, BodyTimeout, Disconnected."""
        digest = hashlib.sha256()
        parts: list[bytes] = []
        size, more = 0, True
        try:
            async with asyncio.timeout(self._limits.body_deadline_s):
                while more and size <= most_bytes:
                    part, more = await _receive_part(receive)
                    digest.update(part)
                    size += len(part)
                    if keep:
                        parts.append(part)
        except TimeoutError:
            raise BodyTimeout("the body did not arrive in time") from None
        if size > most_bytes:
            raise TooLarge("refused at the limit")
        return b"".join(parts), digest.digest()

    async def let_finish(self, receive: Receive, most_bytes: int) -> None:
        """Read what a refused caller still sends; not of too many at once."""
        if self._refusing >= self._limits.refused_bodies:
            return
        self._refusing += 1
        try:
            await self.read(receive, most_bytes, keep=False)
        finally:
            self._refusing -= 1


async def linger(receive: Receive) -> None:
    """Read and drop what is still coming, for a moment, so that the answer is not lost with the connection."""
    try:
        async with asyncio.timeout(LINGER_S):
            more = True
            while more:
                _, more = await _receive_part(receive)
    except (TimeoutError, Disconnected):
        return


def replay(body: bytes, receive: Receive) -> Receive:
    """A ``receive`` that gives the body that was read, then what the connection gives."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return waiting.pop() if waiting else await receive()

    return replayed


async def _receive_part(receive: Receive) -> tuple[bytes, bool]:
    """(bytes, whether more will come). Raises Disconnected."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Disconnected
    return message.get("body", b""), message.get("more_body", False)
