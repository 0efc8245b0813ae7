"""Errors that every layer shares.

Inner layers raise these typed errors and nothing else; only the edges turn them
into words for a person (scripts/messages.py, Chinese first) or into problem
documents for a machine (api/problems.py).

An error carries a stable ``code``, an English ``detail`` for engineers, and
``params`` that the edges may show. Neither may hold a secret or an unmasked ID
number: whoever raises masks first.
"""

from __future__ import annotations

from typing import ClassVar


class MingceError(Exception):
    """Base of every error this software raises on purpose."""

    code: ClassVar[str] = "internal"

    def __init__(self, detail: str = "", **params: object) -> None:
        super().__init__(detail or self.code)
        self.detail = detail
        self.params = params


class InputError(MingceError):
    """Something handed to us cannot be used as it is; it names the place."""

    code = "bad_input"


class BadElement(InputError):
    """A byte string is not the canonical encoding of a non-identity group element.

    RFC 9496 section 4.3.1 and RFC 9497 section 2.1. ``params["index"]`` is the
    position of the first refused element in its batch.
    """

    code = "bad_element"


class BadScalar(InputError):
    """A byte string is not a canonical, non-zero scalar (RFC 9497 section 2.1)."""

    code = "bad_scalar"


class BatchSize(InputError):
    """A batch is empty or holds more than 65,535 elements (RFC 9497 section 2.2.1)."""

    code = "batch_size"


class VerificationError(MingceError):
    """Something that must be authentic is not. Nothing of it may be kept."""

    code = "verification_failed"


class ProofInvalid(VerificationError):
    """The sender's DLEQ proof does not hold for this batch (RFC 9497 section 2.2.2)."""

    code = "proof_invalid"


class LabelInvalid(VerificationError):
    """A sealed label does not open under the key that its PRF output gives."""

    code = "label_invalid"


class BackendError(MingceError):
    """The arithmetic backend is unavailable or failed its start-up self-check."""

    code = "backend_failed"
