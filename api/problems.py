"""Errors as problem documents (RFC 9457): the one place where they get a status.

docs/reference/protocol.md section 6 lists them. A problem never repeats what was sent: its
members come from the table below and from the parameters that the table names, and an
error that is not in the table says nothing at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from psi.errors import InputError, MingceError

PROBLEM_TYPE = "application/problem+json"


class NotFound(InputError):
    """Nothing there, or nothing that the caller may know of."""

    code = "not_found"


class MethodNotAllowed(InputError):
    code = "method_not_allowed"


class RangeNotSatisfiable(InputError):
    """A byte range begins behind the end (RFC 9110 section 15.5.17); params: ``length``."""

    code = "range_not_satisfiable"


class UnsupportedMediaType(InputError):
    """Another Content-Type than the one expected, or any Content-Encoding."""

    code = "unsupported_media_type"


class IdempotencyKeyMissing(InputError):
    code = "idempotency_key_missing"


class KeyEpoch(InputError):
    """The epoch or key asked for is not served; the params say which epoch, key and manifest are."""

    code = "key_epoch"


class InFlight(MingceError):
    """The same request is being worked on."""

    code = "in_flight"


class Busy(MingceError):
    """More work than places; nothing was done."""

    code = "busy"


class BodyTimeout(MingceError):
    """A body did not arrive within its deadline."""

    code = "body_timeout"


@dataclass(frozen=True)
class Kind:
    """How one code looks on the wire. ``refusal``: it leaves an audit row, because somebody was denied something."""

    status: int
    title: str
    shown: tuple[str, ...] = ()
    retry_after_s: int | None = None
    refusal: bool = True


_CURRENT = ("current_epoch", "fingerprint", "edition", "manifest_sha256")

KINDS: Mapping[str, Kind] = {
    "bad_body": Kind(400, "The request cannot be read"),
    "bad_element": Kind(400, "An element is not a valid group element", ("index",)),
    "suite_mismatch": Kind(400, "This suite or mode is not served"),
    "idempotency_key_missing": Kind(400, "The Idempotency-Key header is missing"),
    "record_invalid": Kind(400, "The exchange record cannot be read, or is not the caller's"),
    "bad_signature": Kind(401, "The request is not signed as it must be"),
    "clock_skew": Kind(401, "The request's time is too far from the server's", ("seconds",)),
    "bad_certificate": Kind(401, "The connection's client certificate is not the signer's"),
    "replayed": Kind(401, "The request was sent before"),
    "not_granted": Kind(403, "The caller may not do this"),
    "budget_exhausted": Kind(403, "The budget does not hold so many elements", ("remaining", "next_at")),
    "not_found": Kind(404, "There is no such thing"),
    "method_not_allowed": Kind(405, "The method is not allowed here"),
    "body_timeout": Kind(408, "The body did not arrive in time", refusal=False),
    "key_epoch": Kind(409, "The expected key is not served", _CURRENT),
    "record_mismatch": Kind(409, "The exchange record is not what was charged", ("part", "index")),
    "in_flight": Kind(409, "The same request is being worked on", retry_after_s=1, refusal=False),
    "too_large": Kind(413, "The request is too large"),
    "unsupported_media_type": Kind(415, "The body has another type or encoding"),
    "range_not_satisfiable": Kind(416, "The range begins behind the end", refusal=False),
    "idempotency_mismatch": Kind(422, "The idempotency key was used with another request"),
    "internal": Kind(500, "The server failed", refusal=False),
    "busy": Kind(503, "The server is busy", retry_after_s=2, refusal=False),
    "unavailable": Kind(503, "The server cannot use its own store", retry_after_s=60, refusal=False),
}

_ON_THE_WIRE = {
    "epoch_unknown": "not_found",
    "database_unavailable": "unavailable",
    "database_damaged": "unavailable",
    "edition_inconsistent": "unavailable",
}
_HTTP_CODES = {404: "not_found", 405: "method_not_allowed"}


@dataclass(frozen=True)
class Problem:
    """One error on its way out."""

    code: str
    kind: Kind
    members: Mapping[str, object]
    headers: Mapping[str, str]

    def response(self, request_id: str) -> JSONResponse:
        document = {
            "type": f"urn:mingce:{self.code}",
            "title": self.kind.title,
            "status": self.kind.status,
            "code": self.code,
            "request_id": request_id,
            **self.members,
        }
        return JSONResponse(document, self.kind.status, dict(self.headers), media_type=PROBLEM_TYPE)


def describe_problem(error: BaseException) -> Problem:
    """What an error looks like from outside; ``internal`` if it was not raised on purpose for the outside."""
    code, params = _code_of(error)
    kind = KINDS[code]
    headers = {}
    if kind.retry_after_s is not None:
        headers["Retry-After"] = str(kind.retry_after_s)
    if isinstance(error, RangeNotSatisfiable):
        headers["Content-Range"] = f"bytes */{error.params['length']}"
    return Problem(code, kind, {name: params.get(name) for name in kind.shown}, headers)


def _code_of(error: BaseException) -> tuple[str, Mapping[str, object]]:
    if isinstance(error, MingceError):
        code = _ON_THE_WIRE.get(error.code, error.code)
        return (code, error.params) if code in KINDS else ("internal", {})
    if isinstance(error, RequestValidationError):
        return "bad_body", {}
    if isinstance(error, HTTPException):
        refused = 400 <= error.status_code < 500
        return _HTTP_CODES.get(error.status_code, "bad_body" if refused else "internal"), {}
    return "internal", {}
