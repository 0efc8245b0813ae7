"""docs/reference/bureau-api.md, from the routes themselves."""

from __future__ import annotations

from collections.abc import Iterator

from api.bureau.app import list_routes

HEAD = """\
# The bureau's interface

Made from the program by `make reference`; a test fails when it is out of date.

`mingce bureau serve` answers the console and the tablets on loopback; a reverse proxy on the same machine stands in
front of it ([reverse-proxy.md](../how-to/reverse-proxy.md)). `GET /v1/openapi.json` describes every body and answer in
OpenAPI 3.1.

## A request
- **Session.** `POST /v1/sessions` with `name`, `password` and the `device` that the last sign-in on this device
  answered; the answer's `token` goes into `Authorization: Bearer …`. A session ends after 30 minutes without a request,
  after 12 hours, when it is deleted, when the password changes, and when the account is closed. Without one, only the
  routes marked "open" answer.
- **Body.** `application/json`, at most 1 MiB, strict: UTF-8, no member twice or unknown, no fraction, no number beyond
  64 bits, no lone surrogate. Money is an integer in 分; rates, places and other fractions are text; days are
  `2025-03-03`, times `2025-03-03T01:00:00Z`. An upload is one file as the body, of a type that the route names, at most
  16 MiB.
- **Once.** A route marked "key" takes `Idempotency-Key: "…"`, 1 to 64 printable ASCII characters in quotes, made by the
  caller for each act of a person. The same key with the same request gives the recorded outcome and changes nothing;
  with another request it is refused (`idempotency_conflict`).
- **Committed.** One request is one transaction; the answer comes after its commit. Bulk routes answer an outcome for
  each row and never fail as a whole.
- **Masked.** ID numbers and names are masked in every answer; one is revealed by a route of its own, with a reason.

## Problems
`application/problem+json` (RFC 9457): `type`, `title`, `status`, `code`, `request_id`, and where they help `detail`,
`params` or, for a body of another shape, `faults` (place and kind; never the value).

| status | when |
|---|---|
| 400 | the request cannot be read: `bad_body`, `json_invalid`, `idempotency_key_missing` |
| 401 | `session_invalid`, `sign_in_failed` |
| 403 | `not_allowed`, `same_person`, `password_not_chosen`; the first two leave an audit row |
| 404 | nothing there: `not_found`, `…_unknown`, `not_in_care` |
| 405, 408, 413, 415 | `method_not_allowed`, `body_timeout`, `too_large`, `unsupported_media_type` |
| 409 | not possible as things stand: a state, a version, a limit |
| 422 | input that cannot be used: `body_invalid`, `idempotency_conflict`, and every other refused input |
| 503 | `busy`, `unavailable`: nothing was done; come back after `Retry-After` seconds |

An account of some townships or of one bank is told `not_in_care` of a number that is nobody's and of one that is
another's alike, and each time the audit log has a row.

What a code means for the person stands in the program's messages, by the same code.

## Routes
"""


def reference() -> str:
    return HEAD + "\n".join(["", *_routes(), ""])


def _routes() -> Iterator[str]:
    yield "| | | | |"
    yield "|---|---|---|---|"
    for route in list_routes():
        needs = "open" if route.is_open else "key" if route.takes_key else ""
        yield f"| {route.method} | `{route.path}` | {route.summary.replace('``', '`')} | {needs} |"
