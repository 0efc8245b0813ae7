"""What an error of the bureau's work looks like over HTTP (RFC 9457).

The caller is a person of the bureau, a township or a bank who has to act on it, so unlike the province's endpoint
this one shows an error's detail and params; whoever raises an error has masked them (psi/errors.py). What was sent
is not repeated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from api.logs import mask_numbers
from api.problems import Kind, Problem
from psi.errors import InputError, MingceError, VerificationError

KINDS: Mapping[str, Kind] = {
    "bad_body": Kind(400, "The request cannot be read", refusal=False),
    "json_invalid": Kind(400, "The body is not strict JSON", refusal=False),
    "idempotency_key_missing": Kind(400, "The Idempotency-Key header is missing", refusal=False),
    "sign_in_failed": Kind(401, "No sign-in", refusal=False),  # matcher.accounts.sign_in has recorded it
    "session_invalid": Kind(401, "No session, or it has ended"),
    "not_allowed": Kind(403, "The account may not do this"),
    "not_in_care": Kind(404, "There is no such thing in the account's care"),
    "same_person": Kind(403, "A second person has to do this"),
    "collector_decides": Kind(403, "Whoever collected the form does not decide"),
    "second_factor_missing": Kind(403, "Sessions need a second factor here: bind a device in the console"),
    "password_not_chosen": Kind(403, "The one-time password is only good for choosing one's own", refusal=False),
    "not_found": Kind(404, "There is no such thing", refusal=False),
    "method_not_allowed": Kind(405, "The method is not allowed here", refusal=False),
    "body_timeout": Kind(408, "The body did not arrive in time", refusal=False),
    "too_large": Kind(413, "The request is too large", refusal=False),
    "unsupported_media_type": Kind(415, "The body has another type or encoding", refusal=False),
    "body_invalid": Kind(422, "The body is not what is expected here", refusal=False),
    "format_unknown": Kind(422, "The file is of another format", refusal=False),
    "encoding_unknown": Kind(422, "The file's text encoding cannot be told", refusal=False),
    "idempotency_conflict": Kind(422, "The key was used with another request", refusal=False),
    "internal": Kind(500, "The server failed", refusal=False),
    "busy": Kind(503, "The server is busy", retry_after_s=2, refusal=False),
    "unavailable": Kind(503, "The server cannot use its own store", retry_after_s=60, refusal=False),
}
UNKNOWN = Kind(404, "There is no such thing", refusal=False)
REFUSED_INPUT = Kind(422, "The input cannot be used", refusal=False)
REFUSED_NOW = Kind(409, "Not possible as things stand", refusal=False)

_STORE_FAILED = frozenset(
    {"database_unavailable", "database_damaged", "sealed_data_damaged", "audit_broken", "sqlite_too_old"}
)
_HTTP_CODES = {404: "not_found", 405: "method_not_allowed"}
_MEMBER = re.compile(r"[a-z_]{1,40}")  # our own fields' names: without digits, they can carry no ID number


def describe_problem(error: BaseException) -> Problem:
    """What an error looks like from outside; ``internal`` if it was not raised on purpose for the outside.

    Errors of the bureau's work need no entry in KINDS: what is not there is ``…_unknown`` and 404, input that cannot
    be used 422, and what cannot be done as things stand 409.
    """
    code, kind, members = _look_up(error)
    headers = {}
    if kind.retry_after_s is not None:
        headers["Retry-After"] = str(kind.retry_after_s)
    if kind.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Problem(code, kind, members, headers)


def _look_up(error: BaseException) -> tuple[str, Kind, Mapping[str, object]]:
    if isinstance(error, RequestValidationError):
        return "body_invalid", KINDS["body_invalid"], {"faults": [_fault(found) for found in error.errors()]}
    if isinstance(error, HTTPException):
        refused = 400 <= error.status_code < 500
        code = _HTTP_CODES.get(error.status_code, "bad_body" if refused else "internal")
        return code, KINDS[code], {}
    if isinstance(error, MingceError):
        code = "unavailable" if error.code in _STORE_FAILED else error.code
        kind = KINDS.get(code) or _kind_of(error)
        if kind is not None:
            return code, kind, {} if kind.status >= 500 else _shown(error)
    return "internal", KINDS["internal"], {}


def _kind_of(error: MingceError) -> Kind | None:
    """The kind of an error that is not in the table; None for one that is no answer to the caller."""
    if error.code.endswith(("_unknown", "_not_found")):
        return UNKNOWN
    if isinstance(error, InputError | VerificationError):
        return REFUSED_INPUT
    return REFUSED_NOW if type(error).__module__.startswith("matcher.") else None


def _shown(error: MingceError) -> Mapping[str, object]:
    return mask_numbers(None, "", {"detail": error.detail, "params": dict(error.params)})


def _fault(found: Mapping[str, Any]) -> dict[str, object]:
    """Where in the request and what kind of fault, never the value; an unknown member is not named either."""
    return {"place": _place(found["loc"]), "fault": str(found["type"])}


def _place(parts: Sequence[object]) -> str:
    return ".".join(
        str(part) if isinstance(part, int) or (isinstance(part, str) and _MEMBER.fullmatch(part)) else "?"
        for part in parts
    )
