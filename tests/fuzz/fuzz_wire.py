"""What comes over HTTP: bodies, signature fields, and a province's answers to a bank."""

from __future__ import annotations

import json
from datetime import timedelta
from functools import cache

import httpx
from fuzz_target import Target, require_silent

from api.client import Connection, ProvinceClient
from api.gate import _declared_digest
from api.refusals import ProvinceRefused, refusal
from api.retry import RetryPolicy, TryLater
from api.wire import (
    REQUEST_TYPE,
    EvaluateRequest,
    decode_answer,
    decode_request,
    encode_answer,
    encode_request,
    idempotency_header,
)
from keys.clock import SettableClock
from keys.httpsig import sign_request, verify_request
from keys.identity import Identity
from psi.errors import InputError, MingceError
from psi.oprf import MODE_VOPRF, BlindedBatch, DecodedElements, SecretKey, blind_evaluate

BANK = Identity("演示银行", "bank", bytes([1]) * 32)
CLOCK = SettableClock()
KEY = SecretKey.derive(MODE_VOPRF, bytes(32), b"fuzz")
ITEMS = b"".join(b"990000%012d" % number for number in range(3))


@cache
def batch() -> tuple[BlindedBatch, EvaluateRequest]:
    blinded = BlindedBatch(MODE_VOPRF, ITEMS, 18, seed=bytes(32), pad_to=4)
    return blinded, EvaluateRequest(bytes(32), bytes(range(16)), blinded.blinded_elements)


def read_request(data: bytes) -> None:
    """Decoded as the endpoint does before it charges; what is accepted encodes to the same bytes."""
    request = decode_request(data)
    assert encode_request(request) == data
    DecodedElements(request.elements)


def request_seeds() -> list[bytes]:
    return [encode_request(batch()[1]), encode_request(EvaluateRequest(bytes(32), bytes(16), bytes(32)))]


def read_answer(data: bytes) -> None:
    blinded, request = batch()
    answer = decode_answer(data, request)
    blinded.finalize(answer.evaluated_elements, answer.proof, KEY.public_key)
    assert data == answer_seeds()[0], "an answer with another proof was accepted"


def answer_seeds() -> list[bytes]:
    request = batch()[1]
    return [encode_answer(request, *blind_evaluate(MODE_VOPRF, KEY, request.elements))]


def read_signature(data: bytes) -> None:
    """Lines of ``name: value`` as the server gives them, the names in lower case; any body has the declared digest."""
    lines = [line.partition(":") for line in data.decode("latin-1").split("\n")]
    headers = [(name.strip().lower(), value.strip()) for name, _, value in lines if name.strip()]
    verify_request(
        method="POST",
        path="/v1/datasets/base/epochs/2026/evaluate",
        query="",
        headers=headers,
        body_digest=_declared_digest(headers),
        find_identity=lambda fingerprint: BANK.public if fingerprint == BANK.public.fingerprint else None,
        now=CLOCK.now(),
    )


def signature_seeds() -> list[bytes]:
    seeds = []
    for body, minutes in ((encode_request(batch()[1]), 0), (None, 0), (b"x", 60)):
        headers = (
            {} if body is None else {"Content-Type": REQUEST_TYPE, "Idempotency-Key": idempotency_header(batch()[1])}
        )
        sign_request(
            BANK,
            method="POST",
            url="https://p.invalid/v1/datasets/base/epochs/2026/evaluate",
            headers=headers,
            body=body,
            now=CLOCK.now() + timedelta(minutes=minutes),
            nonce="A" * 22,
        )
        seeds.append("\n".join(f"{name}: {value}" for name, value in headers.items()).encode("latin-1"))
    return seeds


def read_problem(data: bytes) -> None:
    """A refusal's status and document; it becomes one of two exceptions and shows nothing but short codes."""
    status = 400 + data[0] if data else 400
    error = refusal(status, data[1:], None)
    assert isinstance(error, ProvinceRefused | TryLater)
    require_silent(error, str(getattr(error, "params", "")))
    if "unknown" in (getattr(error, "problem", ""), getattr(error, "params", {}).get("problem")):
        raise InputError("not a problem document")


def problem_seeds() -> list[bytes]:
    codes = ("busy", "key_epoch", "budget_exhausted", "in_flight", "clock_skew")
    return [
        bytes([3])
        + json.dumps({"type": f"urn:mingce:{code}", "status": 403, "code": code, "fingerprint": "ab" * 32}).encode()
        for code in codes
    ]


@cache
def bank_client() -> tuple[ProvinceClient, list[httpx.Response]]:
    """A client, and the list from which its next answer is taken."""
    answers: list[httpx.Response] = []
    client = ProvinceClient(Connection("http://127.0.0.1:1"), BANK, CLOCK, RetryPolicy(attempts=1, first_wait_s=0))
    client._http = httpx.Client(
        base_url="http://127.0.0.1:1", transport=httpx.MockTransport(lambda request: answers.pop())
    )
    return client, answers


def read_documents(data: bytes) -> None:
    """A province's JSON answers through the bank's own client; the first line is a header that it chooses too."""
    header, _, body = data.partition(b"\n")
    status = 503 if header.startswith(b"!") else 200
    headers = [(b"Retry-After", header.lstrip(b"!"))]
    client, answers = bank_client()
    answers[:] = [httpx.Response(status, headers=headers, stream=httpx.ByteStream(body)) for _ in range(3)]
    try:
        client.get_budget("base", "2026")
    except MingceError:
        client.get_manifest("base", client.get_current_epoch("base"))


def document_seeds() -> list[bytes]:
    return [
        b"5\n" + json.dumps({"limit": 1100, "used": 3, "remaining": 1097}).encode(),
        b"Sun, 06 Nov 2026 08:49:37 GMT\n"
        + json.dumps({"dataset": "base", "current_epoch": "2026", "epochs": []}).encode(),
        b"!120\n" + json.dumps({"code": "busy"}).encode(),
        b"!Sun, 06 Nov 2026 08:49:37 +0800\n{}",
    ]


TARGETS = [
    Target("evaluate_request", "the body of evaluate, at the province", read_request, request_seeds),
    Target("evaluate_answer", "its answer, at the bank, to the proof", read_answer, answer_seeds),
    Target("signature_fields", "RFC 9421 fields of a request", read_signature, signature_seeds),
    Target("problem", "a refusal's problem document, at the bank", read_problem, problem_seeds),
    Target(
        "province_documents", "a province's JSON answers and Retry-After, at the bank", read_documents, document_seeds
    ),
]
