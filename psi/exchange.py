"""The one-shot exchange: two organisations learn their common numbers once, without labels.

openmined-psi's ECDH protocol over P-256, its messages being exactly that library's
serialised protobufs: the *requester* sends its blinded numbers; the *responder* answers
with a set-up message (its own list under a session key) and a response (the requester's
elements under the same key); the requester learns which of its numbers are common. The
responder learns how many numbers were asked, the requester how many the responder has.

Nothing proves that the other side computed honestly or used its true list. Set-up
messages are written as RAW, that is as the sorted elements themselves: exact, whereas the
library's filters (GCS, BLOOM_FILTER) trade size for false matches, and its GCS overflows
64 bits at county sizes. A filter from another party is read if it is tight enough.

Every step runs in a process of its own (psi.exchange_worker), because the library parses a
stranger's bytes in C++ and some messages make it abort or hang: such an end is an error
here, never the end of the caller. No disk, no network.
"""

from __future__ import annotations

import os
import re
import signal
import struct
import subprocess
import sys
import threading
from array import array
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO, cast

from psi.errors import InputError

ITEM_WIDTH = 18
ELEMENT_BYTES = 35  # a 33-byte compressed point (SEC 1 section 2.3.3) behind its protobuf tag and length
MESSAGE_OVERHEAD = 64
RESULTS = {"request": 2, "setup": 2, "respond": 1, "intersect": 2}  # fields that each step answers with

PEER_REASONS = {
    "not_protobuf": "the bytes are not this message of openmined-psi",
    "size_only": "the request asks only for the size of the intersection",
    "count": "the message holds another number of elements than agreed",
    "too_large": "the message is longer than the agreed number of elements allows",
    "bad_point": "an element is not a compressed point of P-256",
    "repeated": "an element appears twice in the response",
    "unsorted": "the elements of the set-up message are not in ascending order",
    "no_structure": "the set-up message holds no data structure",
    "bad_structure": "the parameters of the set-up message's filter make no sense",
    "loose_filter": "the set-up message's filter would report numbers that are not common",
    "library": "openmined-psi refused the message",
}


class ExchangePeerMessage(InputError):
    """The other party's message cannot be used; ``params["reason"]`` is a key of PEER_REASONS."""

    code = "exchange_peer_message"


class ExchangeWorkerDied(InputError):
    """The process of a step ended without an answer: most likely the message was made to do that.

    ``params``: ``step``; ``reason`` is ``crashed`` (with ``signal``), ``timed_out``, ``memory`` or ``bad_reply``.
    """

    code = "exchange_worker_died"


@dataclass(frozen=True)
class Limits:
    """What one step may use. The defaults leave a slow machine some twentyfold room."""

    max_items: int = 2_000_000
    base_s: float = 30.0
    per_item_s: float = 0.002
    base_bytes: int = 512 << 20
    per_item_bytes: int = 2048


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class Intersection:
    """Positions of the common items in the requester's list, ascending.

    ``expected_false_matches`` is 0 for a RAW set-up message; for a filter it bounds how
    many of the positions are expected to be wrong.
    """

    positions: Sequence[int]
    expected_false_matches: float


class Requester:
    """The party that learns the intersection. Its key must outlive the wait for the answer."""

    def __init__(self, key: bytes, count: int, *, limits: Limits = DEFAULT_LIMITS) -> None:
        self._key = key
        self.count = count
        self._limits = limits

    @classmethod
    def create(cls, items: bytes, *, limits: Limits = DEFAULT_LIMITS) -> tuple[Requester, bytes]:
        """A new session over ``items`` (n*18 ASCII, distinct) and its request message.

        Raises InputError for items that are not normalised or appear twice.
        """
        count = _count_items(items, limits)
        max_reply = message_bytes(count)
        key, request = _run_step("request", items, elements=count, max_reply=max_reply, limits=limits)
        return cls(key, count, limits=limits), request

    def expose_key(self) -> bytes:
        """The 32 secret bytes of the session, for a sealed file only."""
        return self._key

    def intersect(self, setup: bytes, response: bytes) -> Intersection:
        """Read the responder's two messages. Raises ExchangePeerMessage, ExchangeWorkerDied."""
        check_length(response, self.count)
        check_length(setup, self._limits.max_items)
        elements = self.count + count_elements(setup)
        encoded, false_matches = _run_step(
            "intersect",
            self._key,
            encode_integer(self.count),
            setup,
            response,
            elements=elements,
            max_reply=4 * self.count + MESSAGE_OVERHEAD,
            limits=self._limits,
        )
        try:
            positions = array("I", encoded)
            expected = struct.unpack("d", false_matches)[0]
        except (ValueError, struct.error):
            raise ExchangeWorkerDied("the step's answer is damaged", step="intersect", reason="bad_reply") from None
        ascending = all(left < right for left, right in pairwise(positions))
        if not ascending or (positions and positions[-1] >= self.count):
            raise ExchangeWorkerDied("the step's answer is damaged", step="intersect", reason="bad_reply")
        return Intersection(positions, expected)

    def __repr__(self) -> str:
        return f"Requester(count={self.count})"


class Responder:
    """The party whose list is asked. The key lives as long as this object and is never stored."""

    def __init__(self, items: bytes, *, max_requested: int, limits: Limits = DEFAULT_LIMITS) -> None:
        """Encrypt ``items`` (n*18 ASCII, distinct) under a new key; ``setup`` is the message for the requester.

        ``max_requested`` is the agreed number of items one request may hold: it alone keeps
        a requester from trying every number there is.
        """
        self.count = _count_items(items, limits)
        self.max_requested = min(max_requested, limits.max_items)
        self._limits = limits
        max_reply = message_bytes(self.count)
        self._key, self.setup = _run_step("setup", items, elements=self.count, max_reply=max_reply, limits=limits)

    def respond(self, request: bytes) -> bytes:
        """The response to a request; the same request gives the same bytes.

        Raises ExchangePeerMessage, ExchangeWorkerDied.
        """
        check_length(request, self.max_requested)
        elements = count_elements(request) + 1
        (response,) = _run_step(
            "respond",
            self._key,
            encode_integer(self.max_requested),
            request,
            elements=elements,
            max_reply=message_bytes(elements),
            limits=self._limits,
        )
        return response

    def __repr__(self) -> str:
        return f"Responder(count={self.count}, max_requested={self.max_requested})"


def message_bytes(elements: int) -> int:
    """No message of so many elements is longer."""
    return elements * ELEMENT_BYTES + MESSAGE_OVERHEAD


def count_elements(message: bytes) -> int:
    """How many elements a request, a response or a RAW set-up message of this length holds."""
    return len(message) // ELEMENT_BYTES


def check_length(message: bytes, elements: int) -> None:
    """Raises ExchangePeerMessage if a message is longer than ``elements`` elements make it."""
    if len(message) > message_bytes(elements):
        raise ExchangePeerMessage(PEER_REASONS["too_large"], reason="too_large")


def encode_integer(value: int) -> bytes:
    return value.to_bytes(8, "big")


def encode_fields(fields: Iterable[bytes]) -> bytes:
    """Frames between this module and its worker: 8-byte big-endian length, then the bytes, for each field."""
    return b"".join(part for field in fields for part in (encode_integer(len(field)), field))


def decode_fields(data: bytes) -> list[bytes]:
    """The inverse of :func:`encode_fields`. Raises ValueError on anything else."""
    fields, at = [], 0
    while at < len(data):
        start = at + 8
        end = start + int.from_bytes(data[at:start], "big")
        if end > len(data):
            raise ValueError("truncated frame")
        fields.append(data[start:end])
        at = end
    return fields


def _count_items(items: bytes, limits: Limits) -> int:
    if re.fullmatch(rb"(?:[0-9]{17}[0-9X])++", items) is None:
        raise InputError("items are not a non-empty run of normalised 18-character numbers")
    count = len(items) // ITEM_WIDTH
    if count > limits.max_items:
        raise InputError("more items than an exchange may hold", items=count, limit=limits.max_items)
    return count


def _run_step(step: str, *arguments: bytes, elements: int, max_reply: int, limits: Limits) -> list[bytes]:
    cpu_s = limits.base_s + elements * limits.per_item_s
    memory = limits.base_bytes + elements * limits.per_item_bytes
    process = _start_worker(cpu_s, memory)
    reply, timed_out = _converse(process, encode_fields((step.encode(), *arguments)), max_reply, 3 * cpu_s)
    if timed_out or process.returncode == -signal.SIGXCPU:
        raise ExchangeWorkerDied("the step took too long", step=step, reason="timed_out")
    if process.returncode != 0:
        raise ExchangeWorkerDied("the step crashed", step=step, reason="crashed", signal=max(-process.returncode, 0))
    return _read_reply(step, reply)


def _start_worker(cpu_s: float, memory: int) -> subprocess.Popen[bytes]:
    """The worker inherits no environment (a passphrase may be in it), no file and no folder."""
    root = Path(__file__).resolve().parent.parent
    path = [str(root), *(os.path.abspath(entry) for entry in sys.path)]
    return subprocess.Popen(  # noqa: S603  (no shell, and no foreign argument)
        [sys.executable, "-P", "-m", "psi.exchange_worker", str(int(cpu_s) + 1), str(memory)],
        env={"PYTHONPATH": os.pathsep.join(path)},
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def _converse(process: subprocess.Popen[bytes], message: bytes, max_reply: int, wall_s: float) -> tuple[bytes, bool]:
    """Feed the worker, read at most ``max_reply`` bytes and a little, and see it end within ``wall_s`` seconds."""
    stdin, stdout = cast(IO[bytes], process.stdin), cast(IO[bytes], process.stdout)
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        process.kill()

    timer = threading.Timer(wall_s, expire)
    feeder = threading.Thread(target=_feed, args=(stdin, message), daemon=True)
    try:
        timer.start()
        feeder.start()
        reply = stdout.read(max_reply + 2 * MESSAGE_OVERHEAD)
        if stdout.read(1):
            process.kill()
        process.wait()
    finally:
        timer.cancel()
        process.kill()
        process.wait()
        stdout.close()
    return reply, expired.is_set()


def _feed(stream: IO[bytes], message: bytes) -> None:
    with suppress(OSError), stream:
        stream.write(message)


def _read_reply(step: str, reply: bytes) -> list[bytes]:
    try:
        status, *results = decode_fields(reply)
    except ValueError:
        raise ExchangeWorkerDied("the step's answer is damaged", step=step, reason="bad_reply") from None
    if status == b"ok" and len(results) == RESULTS[step]:
        return results
    reason = results[0].decode("ascii", "replace") if status == b"refused" and results else ""
    if reason == "not_distinct":
        raise InputError("an item appears twice in the list")
    if reason == "memory":
        raise ExchangeWorkerDied("the step needed more memory than it may have", step=step, reason="memory")
    if reason in PEER_REASONS:
        raise ExchangePeerMessage(PEER_REASONS[reason], reason=reason)
    raise ExchangeWorkerDied("the step's answer is damaged", step=step, reason="bad_reply")
