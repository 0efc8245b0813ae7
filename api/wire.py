"""The bodies of ``evaluate``, as bytes: docs/reference/protocol.md section 5.

Server and client share this module. It knows shapes only: whether an element is a group
element and whether a proof holds is for psi to say.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field

from psi.errors import BadElement, InputError, VerificationError
from psi.oprf import MAX_BATCH, MODE_VOPRF
from psi.suites import RISTRETTO255_SHA512

REQUEST_TYPE = "application/vnd.mingce.evaluate-request"
ANSWER_TYPE = "application/vnd.mingce.evaluate-answer"
SUITE, MODE = RISTRETTO255_SHA512, MODE_VOPRF
ELEMENT_BYTES = SUITE.element_bytes
PROOF_BYTES = SUITE.proof_bytes
MAX_ELEMENTS = MAX_BATCH

_HEADER = struct.Struct(">4s4BI32s16s")  # magic, version, suite, mode, 0, n, fingerprint, request id
HEADER_BYTES = _HEADER.size
MAX_REQUEST_BYTES = HEADER_BYTES + ELEMENT_BYTES * MAX_ELEMENTS
MAX_ANSWER_BYTES = MAX_REQUEST_BYTES + PROOF_BYTES

_REQUEST_MAGIC, _ANSWER_MAGIC = b"MCEQ", b"MCEA"
_VERSION = 1


class BadBody(InputError):
    """A request body is not of the one shape; nothing was charged."""

    code = "bad_body"


class SuiteMismatch(InputError):
    """A request asks for a suite or mode that is not served; there is no falling back to another."""

    code = "suite_mismatch"


class TooLarge(InputError):
    """A request holds, or would hold, more than 65,535 elements."""

    code = "too_large"


class AnswerInvalid(VerificationError):
    """An answer is not the one to our request: another shape, key, request id or number of elements."""

    code = "answer_invalid"


@dataclass(frozen=True)
class EvaluateRequest:
    """n blinded elements (n*32 bytes) for the key with this fingerprint (32 bytes); request_id is 16 bytes."""

    fingerprint: bytes
    request_id: bytes
    elements: bytes | memoryview = field(repr=False)

    @property
    def n(self) -> int:
        return len(self.elements) // ELEMENT_BYTES

    @property
    def idempotency_key(self) -> str:
        """The request id as the header and the ledger carry it: 32 lower-case hex digits."""
        return self.request_id.hex()


@dataclass(frozen=True)
class EvaluateAnswer:
    """n evaluated elements (n*32 bytes) in the order of the request, and the proof (64 bytes): unverified."""

    evaluated_elements: bytes | memoryview = field(repr=False)
    proof: bytes = field(repr=False)


def idempotency_header(request: EvaluateRequest) -> str:
    """The Idempotency-Key field: the request id as a structured-field string."""
    return f'"{request.idempotency_key}"'


def encode_request(request: EvaluateRequest) -> bytes:
    return b"".join((_header(_REQUEST_MAGIC, request), request.elements))


def decode_request(body: bytes) -> EvaluateRequest:
    """Raises BadBody, SuiteMismatch, TooLarge; BadElement where the elements are not n times 32 bytes."""
    if len(body) < HEADER_BYTES:
        raise BadBody("shorter than a header")
    magic, version, suite, mode, reserved, n, fingerprint, request_id = _HEADER.unpack_from(body)
    if (magic, version, reserved) != (_REQUEST_MAGIC, _VERSION, 0):
        raise BadBody("not an evaluate request of version 1")
    if (suite, mode) != (SUITE.number, MODE):
        raise SuiteMismatch("only ristretto255-SHA512 in mode VOPRF is served")
    if n > MAX_ELEMENTS:
        raise TooLarge("more than 65,535 elements")
    if n == 0:
        raise BadBody("no elements")
    elements = memoryview(body)[HEADER_BYTES:]
    if len(elements) != n * ELEMENT_BYTES:
        raise BadElement("the elements are not n times 32 bytes", index=min(n, len(elements) // ELEMENT_BYTES))
    return EvaluateRequest(fingerprint, request_id, elements)


def encode_answer(request: EvaluateRequest, evaluated_elements: bytes, proof: bytes) -> bytes:
    return b"".join((_header(_ANSWER_MAGIC, request), evaluated_elements, proof))


def decode_answer(body: bytes, request: EvaluateRequest) -> EvaluateAnswer:
    """The answer to this very request. Raises AnswerInvalid; the proof is still to be verified."""
    if body[:HEADER_BYTES] != _header(_ANSWER_MAGIC, request):
        raise AnswerInvalid("the answer's header is not that of our request")
    proof_at = HEADER_BYTES + ELEMENT_BYTES * request.n
    if len(body) != proof_at + PROOF_BYTES:
        raise AnswerInvalid("the answer is not n elements and a proof")
    return EvaluateAnswer(memoryview(body)[HEADER_BYTES:proof_at], body[proof_at:])


def body_digest(body: bytes | memoryview) -> bytes:
    """The SHA-256 that Content-Digest carries and both sides keep."""
    return hashlib.sha256(body).digest()


def _header(magic: bytes, request: EvaluateRequest) -> bytes:
    return _HEADER.pack(magic, _VERSION, SUITE.number, MODE, 0, request.n, request.fingerprint, request.request_id)
