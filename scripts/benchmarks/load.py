"""An open-loop generator: requests leave when they are due, whether or not earlier ones were answered.

So a server that stalls is charged for everyone who would have come meanwhile (no coordinated omission): a latency
runs from the moment a request was due to the last byte of its answer.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Self

from api.wire import REQUEST_TYPE, EvaluateRequest, encode_request, idempotency_header
from keys.clock import SystemClock
from keys.httpsig import sign_request
from psi.oprf import MODE_VOPRF, BlindedBatch
from scripts.benchmarks.kernel import ITEM_BYTES, made_up_items
from scripts.benchmarks.served import EVALUATE, ProvinceFixture

TIMEOUT_S = 30.0
KEPT_S = 3.0  # less than the server's keep-alive
HEALTH_EVERY_S = 0.1
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: bench\r\n\r\n"


@dataclass
class Outcome:
    """``latencies_s`` of answers 200 only; ``statuses`` counts 0 for a connection that broke or timed out."""

    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    latencies_s: list[float] = field(default_factory=list)
    health_s: list[float] = field(default_factory=list)

    @property
    def good_per_s(self) -> float:
        return self.statuses[200] / self.seconds

    @property
    def errors(self) -> int:
        """Answers that are neither the result nor a request to come back later."""
        return sum(count for status, count in self.statuses.items() if status not in (200, 429, 503))


def percentiles_ms(times_s: list[float]) -> dict[str, float]:
    """p50, p90, p99, p99.9 and the longest, in milliseconds."""
    if len(times_s) < 2:
        return {}
    cuts = quantiles(times_s, n=1000, method="inclusive")
    named = {"p50": cuts[499], "p90": cuts[899], "p99": cuts[989], "p99.9": cuts[998], "max": max(times_s)}
    return {name: round(value * 1000, 2) for name, value in named.items()}


class Generator:
    """Evaluate requests of one size, signed by each bank in turn, and /healthz beside them."""

    def __init__(self, places: Sequence[tuple[str, int]], fixture: ProvinceFixture, batch: int) -> None:
        """``places`` are the endpoints' addresses, asked in turn; /healthz at the first."""
        self._first = places[0]
        self._places = itertools.cycle(places)
        self._fixture = fixture
        self._elements = BlindedBatch(MODE_VOPRF, made_up_items(batch), ITEM_BYTES, seed=bytes(32)).blinded_elements
        self._banks = itertools.cycle(fixture.banks)
        self._random = random.Random(0)  # noqa: S311  arrival times, not secrets
        self._idle: dict[tuple[str, int], list[_Link]] = {place: [] for place in places}

    def closed_loop(self, seconds: float, callers: int) -> Outcome:
        """As fast as ``callers`` get answers: what the endpoint can do."""

        async def load(outcome: Outcome) -> None:
            until_s = time.perf_counter() + seconds

            async def call_on() -> None:
                while time.perf_counter() < until_s:
                    await self._send(self._request(), time.perf_counter(), outcome)

            await asyncio.gather(*(call_on() for _ in range(callers)))

        return asyncio.run(self._watched(load))

    def open_loop(self, seconds: float, per_s: float) -> Outcome:
        """Poisson arrivals at ``per_s``."""

        async def load(outcome: Outcome) -> None:
            due_s = began_s = time.perf_counter()
            sent: set[asyncio.Task[None]] = set()
            while due_s < began_s + seconds:
                request = self._request()  # signed before it is due
                await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
                task = asyncio.create_task(self._send(request, due_s, outcome))
                sent.add(task)
                task.add_done_callback(sent.discard)
                due_s += self._random.expovariate(per_s)
            await asyncio.gather(*sent)

        return asyncio.run(self._watched(load))

    async def _watched(self, load: Callable[[Outcome], Awaitable[None]]) -> Outcome:
        outcome = Outcome()
        health = asyncio.create_task(self._watch_health(outcome))
        began_s = time.perf_counter()
        await load(outcome)
        outcome.seconds = time.perf_counter() - began_s
        health.cancel()
        for links in self._idle.values():
            while links:
                links.pop().writer.close()
        return outcome

    async def _watch_health(self, outcome: Outcome) -> None:
        """Open loop too, at one request every HEALTH_EVERY_S; each on its own connection, as monitors do."""
        due_s = time.perf_counter()

        async def ask(due_s: float) -> None:
            link = await _Link.open(self._first)
            try:
                await link.exchange(HEALTH)
                outcome.health_s.append(time.perf_counter() - due_s)
            finally:
                link.writer.close()

        async with asyncio.TaskGroup() as group:
            while True:
                await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
                group.create_task(ask(due_s))
                due_s += HEALTH_EVERY_S

    async def _send(self, request: bytes, due_s: float, outcome: Outcome) -> None:
        place = next(self._places)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                link = self._take_idle(self._idle[place]) or await _Link.open(place)
                status, stays_open = await link.exchange(request)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            outcome.statuses[0] += 1
            return
        outcome.statuses[status] += 1
        if status == 200:
            outcome.latencies_s.append(time.perf_counter() - due_s)
        if stays_open:
            link.idle_since_s = time.perf_counter()
            self._idle[place].append(link)
        else:
            link.writer.close()

    @staticmethod
    def _take_idle(links: list[_Link]) -> _Link | None:
        """The connection used last, unless the server may be closing it just now."""
        if links and time.perf_counter() - links[-1].idle_since_s < KEPT_S:
            return links.pop()
        while links:
            links.pop().writer.close()
        return None

    def _request(self) -> bytes:
        """Head and body of a new request of the next bank."""
        request = EvaluateRequest(self._fixture.fingerprint, os.urandom(16), self._elements)
        body = encode_request(request)
        headers = {"Content-Type": REQUEST_TYPE, "Idempotency-Key": idempotency_header(request)}
        url = f"http://bench{EVALUATE}"
        sign_request(next(self._banks), method="POST", url=url, headers=headers, body=body, now=SystemClock().now())
        lines = [f"POST {EVALUATE} HTTP/1.1", "Host: bench", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass
class _Link:
    """One connection. The least HTTP there is, so that the generator's core is no limit."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    idle_since_s: float = 0.0

    @classmethod
    async def open(cls, place: tuple[str, int]) -> Self:
        return cls(*await asyncio.open_connection(*place, limit=1 << 20))

    async def exchange(self, request: bytes) -> tuple[int, bool]:
        """(status, whether the connection stays open), after the whole answer was read."""
        self.writer.write(request)
        head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        length = re.search(rb"\r\ncontent-length: (\d+)", head)
        await self.reader.readexactly(int(length[1]) if length else 0)
        return int(head.split(b" ", 2)[1]), b"\r\nconnection: close" not in head
