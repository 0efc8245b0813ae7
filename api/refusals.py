"""What the province says instead of an answer (docs/reference/protocol.md section 6), as exceptions."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from api.retry import TryLater
from psi.errors import MingceError

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


class ClockRefused(ProvinceRefused):
    """This machine's clock is more than five minutes from the province's."""

    code = "clock_refused"


class AccessRefused(ProvinceRefused):
    """The dataset is not granted to this bank (or does not exist)."""

    code = "access_refused"


class BudgetExhausted(ProvinceRefused):
    """The bank's budget of elements in this epoch does not cover the batch; it was not charged."""

    code = "budget_exhausted"


class EpochRefused(ProvinceRefused):
    """The epoch is not served (any more) under the pinned key; the next run asks which one is. Params: fingerprint."""

    code = "epoch_refused"


_REFUSALS: Mapping[str, type[ProvinceRefused]] = {
    "bad_signature": SignatureRefused,
    "clock_skew": ClockRefused,
    "not_granted": AccessRefused,
    "not_found": AccessRefused,
    "budget_exhausted": BudgetExhausted,
    "key_epoch": EpochRefused,
}


def refusal(status: int, content: bytes, retry_after_s: float | None) -> Exception:
    """The exception that an answer which is no success stands for: TryLater, or a ProvinceRefused for good.

    ``content`` should be a problem document (RFC 9457), but may be anything.
    """
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        document = None
    problem, fingerprint = _text(document, "code") or "unknown", _text(document, "fingerprint")
    if status in RETRYABLE_STATUS or problem in RETRYABLE_PROBLEM:
        return TryLater(problem, retry_after_s)
    params = {"fingerprint": fingerprint} if fingerprint else {}
    kind = _REFUSALS.get(problem, ProvinceRefused)
    return kind("the province refused the request", status=status, problem=problem, **params)


def _text(document: Any, member: str) -> str | None:
    """A short string of a stranger's JSON document, fit to be shown."""
    value = document.get(member) if isinstance(document, dict) else None
    return value if isinstance(value, str) and re.fullmatch(r"[a-z0-9_]{1,64}", value) else None
