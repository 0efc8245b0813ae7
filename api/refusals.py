"""What the province says instead of an answer (docs/reference/protocol.md section 6), as exceptions."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from api.retry import TryLater
from keys.clock import BEIJING, parse_time
from psi.errors import MingceError, VerificationError

_CODE = re.compile(r"[a-z][a-z_]{0,63}")  # no digits: what is shown and logged can carry no ID number
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
RETRYABLE_STATUS = {408, 429, 502, 503, 504}
RETRYABLE_PROBLEM = {
    "in_flight",  # the same request is still being worked on
    "replayed",  # a gateway sent our request twice; the next attempt has a new nonce
}


class ProvinceRefused(MingceError):
    """The province refused for good. Params: status and problem, its machine-readable code."""

    code = "province_refused"


class SignatureRefused(ProvinceRefused):
    """The province does not know this bank's key, or a gateway altered the signed parts of the request."""

    code = "signature_refused"


class CertificateRefused(ProvinceRefused):
    """The province wants a client certificate that is bound to this bank, and did not get one."""

    code = "certificate_refused"


class ClockRefused(ProvinceRefused):
    """This machine's clock is more than five minutes from the province's."""

    code = "clock_refused"


class AccessRefused(ProvinceRefused):
    """The dataset is not granted to this bank (or does not exist)."""

    code = "access_refused"


class BudgetExhausted(ProvinceRefused):
    """The bank's budget of elements in this epoch does not cover the batch, today or later; it was not charged.

    Params: remaining, what can be asked now.
    """

    code = "budget_exhausted"


class BudgetWaits(BudgetExhausted):
    """Today's allowance does not cover the batch, the next day's will; it was not charged.

    Params: remaining, next_at.
    """

    code = "budget_waits"


class EpochRefused(ProvinceRefused):
    """The epoch is not served (any more) under the pinned key; the next run asks which one is. Params: fingerprint."""

    code = "epoch_refused"


class RecordDisputed(ProvinceRefused, VerificationError):
    """The province charged something else than our exchange record says. Params: part, index of the batch."""

    code = "record_disputed"


_REFUSALS: Mapping[str, type[ProvinceRefused]] = {
    "bad_signature": SignatureRefused,
    "bad_certificate": CertificateRefused,
    "clock_skew": ClockRefused,
    "not_granted": AccessRefused,
    "not_found": AccessRefused,
    "budget_exhausted": BudgetExhausted,
    "key_epoch": EpochRefused,
    "record_mismatch": RecordDisputed,
}


def refusal(status: int, content: bytes, retry_after_s: float | None) -> Exception:
    """The exception that an answer which is no success stands for: TryLater, or a ProvinceRefused for good.

    ``content`` should be a problem document (RFC 9457), but may be anything.
    """
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        document = None
    problem, fingerprint = _text(document, "code", _CODE) or "unknown", _text(document, "fingerprint", _FINGERPRINT)
    if status in RETRYABLE_STATUS or problem in RETRYABLE_PROBLEM:
        return TryLater(problem, retry_after_s)
    params: dict[str, Any] = {"fingerprint": fingerprint} if fingerprint else {}
    kind = _REFUSALS.get(problem, ProvinceRefused)
    if kind is BudgetExhausted:
        params |= _what_is_left(document)
        kind = BudgetWaits if "next_at" in params else BudgetExhausted
    if kind is RecordDisputed:
        params |= _where_it_differs(document)
    return kind("the province refused the request", status=status, problem=problem, **params)


def _what_is_left(document: Any) -> dict[str, Any]:
    """``remaining``, and ``next_at`` in the province's time of day, as far as the document tells them."""
    found: dict[str, Any] = {}
    remaining = document.get("remaining")
    if type(remaining) is int and 0 <= remaining <= 2**32:
        found["remaining"] = remaining
    with suppress(KeyError, TypeError, ValueError, OverflowError):
        found["next_at"] = f"{parse_time(document['next_at']).astimezone(BEIJING):%Y-%m-%d %H:%M}"
    return found


def _where_it_differs(document: Any) -> dict[str, Any]:
    index = document.get("index")
    found = {"index": index} if type(index) is int and 0 <= index < 2**16 else {}
    return {**found, "part": _text(document, "part", _CODE) or "unknown"}


def _text(document: Any, member: str, pattern: re.Pattern[str]) -> str | None:
    """A string of a stranger's JSON document, if it has the form that is fit to be shown."""
    value = document.get(member) if isinstance(document, dict) else None
    return value if isinstance(value, str) and pattern.fullmatch(value) else None
