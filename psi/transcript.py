"""What both sides keep of every batch, so that they can be held to it later.

A digest is the SHA-256 of a body's exact bytes. The request's body names the key and
the request id and holds the ordered blinded elements; the answer's holds the ordered
evaluated elements and the proof (docs/reference/protocol.md section 5). So two equal
pairs of digests mean that both parties saw the same batch, bit by bit. Together with the
seed of its blinds, which only the receiver has, a receiver can open single positions to
an auditor: item and blind give the blinded element in the request of that digest.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from psi.errors import VerificationError


class TranscriptMismatch(VerificationError):
    """The two parties' records of one batch differ; ``params["part"]`` is ``request`` or ``answer``."""

    code = "transcript_mismatch"


@dataclass(frozen=True)
class BatchDigests:
    """Lower-case hex SHA-256 of one batch's two bodies."""

    request_sha256: str
    answer_sha256: str

    def verify_equal(self, other: BatchDigests) -> None:
        """Raises TranscriptMismatch unless ``other`` is a record of the same exchange."""
        if self.request_sha256 != other.request_sha256:
            raise TranscriptMismatch("the requests differ", part="request")
        if self.answer_sha256 != other.answer_sha256:
            raise TranscriptMismatch("the answers differ", part="answer")


def digest_batch(request: bytes | memoryview, answer: bytes | memoryview) -> BatchDigests:
    """The record of one batch: both bodies as they went over the wire."""
    return BatchDigests(hashlib.sha256(request).hexdigest(), hashlib.sha256(answer).hexdigest())
