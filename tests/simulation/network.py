"""The line between a bank and the province: it loses, delays, repeats, cuts and, when told to, forges.

Requests go to the province's real ASGI application. Every one that arrives is also put to the plain model of
the province, and the two must say the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import httpx
from expected import Sent
from mortal import Killed

if TYPE_CHECKING:
    from world import World

FAULTS = ("request lost", "request late", "request twice", "answer lost", "answer late", "answer cut")
ATTACKS = ("proof", "element", "swap", "answer id", "manifest", "rollback", "slice")
BUSY_SHARE = 0.05
Answer = tuple[int, list[tuple[str, str]], bytes]


class Network(httpx.BaseTransport):
    """One bank's line for the length of one run. ``faults``: what happens to the n-th request, from 1."""

    def __init__(self, world: World, bank: str, faults: Mapping[int, str], attack: str = "") -> None:
        self._world = world
        self._bank = bank
        self._faults = faults
        self._attack = attack
        self._requests = 0
        self.forged = False
        self.refusals: set[str] = set()  # codes that the bank was told and that are final

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._requests += 1
        fault = self._faults.get(self._requests, "")
        sent = _read(self._bank, request)
        scope = _scope(request)
        if self._world.province.died_at:
            self._world.raise_province()
            raise httpx.ConnectError("nobody listens")
        if fault == "request lost":
            raise httpx.ConnectError(fault)
        if fault == "request late":
            self._world.held.append((sent, scope))
            raise httpx.ReadTimeout(fault)
        if self._world.random.random() < BUSY_SHARE:
            return _respond(_busy(self._world.random.choice(["in_flight", "busy"])))
        try:
            answer = self._world.deliver(sent, scope)
            if fault == "request twice":
                answer = self._world.deliver(sent, scope)
        except Killed as death:
            raise httpx.ReadError(str(death)) from None
        if fault in ("answer lost", "answer late"):
            raise (httpx.ReadError if fault == "answer lost" else httpx.ReadTimeout)(fault)
        if fault == "answer cut":
            status, headers, body = answer
            return httpx.Response(status, headers=headers, stream=_Cut(body))
        answer = self._forge(sent, answer)
        if answer[0] >= 400 and (code := json.loads(answer[2])["code"]) != "replayed":
            self.refusals.add(code)
        return _respond(answer)

    def _forge(self, sent: Sent, answer: Answer) -> Answer:
        status, headers, body = answer
        forged = body
        if status in (200, 206):
            if sent.is_evaluate:
                forged = _forge_evaluated(self._attack, body, sent.n)
            elif sent.path.endswith("/manifest"):
                forged = self._forge_manifest(sent, body)
            elif "/slices/" in sent.path and self._attack == "slice":
                forged = _flip(body, len(body) // 2)
        if forged != body:
            self.forged = True
        return status, headers if len(forged) == len(body) else [], forged

    def _forge_manifest(self, sent: Sent, body: bytes) -> bytes:
        if self._attack == "manifest":
            envelope = json.loads(body)
            payload = envelope["payload"]
            envelope["payload"] = ("B" if payload[100] == "A" else "A").join((payload[:100], payload[101:]))
            return json.dumps(envelope).encode()
        if self._attack == "rollback":
            return self._world.older_manifest(sent.bank, sent.epoch) or body
        return body


def _forge_evaluated(attack: str, body: bytes, n: int) -> bytes:
    header, elements, proof = body[:60], body[60 : 60 + 32 * n], body[60 + 32 * n :]
    if attack == "proof":
        proof = _flip(proof, 40)
    if attack == "element":
        elements = bytes(32) + elements[32:]
    if attack == "swap":
        elements = elements[32:64] + elements[:32] + elements[64:]
    if attack == "answer id":
        header = _flip(header, 50)
    return header + elements + proof


def _flip(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def _busy(code: str) -> Answer:
    status = 409 if code == "in_flight" else 503
    headers = [("content-type", "application/problem+json"), ("retry-after", "0")]
    return status, headers, json.dumps({"code": code, "status": status}).encode()


def _respond(answer: Answer) -> httpx.Response:
    status, headers, body = answer
    return httpx.Response(status, headers=headers, stream=_Whole(body))


class _Whole(httpx.SyncByteStream):
    def __init__(self, body: bytes) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        yield self._body


class _Cut(_Whole):
    """Breaks in the middle."""

    def __iter__(self) -> Iterator[bytes]:
        yield self._body[: len(self._body) // 2]
        raise httpx.ReadError("answer cut")


def _read(bank: str, request: httpx.Request) -> Sent:
    signed = request.headers["signature-input"]
    created, nonce = re.search(r";created=(\d+)", signed), re.search(r';nonce="([^"]+)"', signed)
    assert created is not None
    assert nonce is not None
    return Sent(bank, request.method, request.url.path, int(created[1]), nonce[1], request.read())


def _scope(request: httpx.Request) -> dict[str, object]:
    """The request as an ASGI server hands it on."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": request.url.path,
        "raw_path": request.url.raw_path,
        "query_string": request.url.query,
        "root_path": "",
        "headers": _lowered(request.headers.raw),
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }


def _lowered(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [(name.lower(), value) for name, value in headers]
