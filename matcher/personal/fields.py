"""The one place that says how a person's data look to whom: masks, merged reasons, plain remarks."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from matcher.bureau.actors import Actor, Permission
from matcher.reasons import REASONS, for_bank
from psi.errors import InputError

SENSITIVE = frozenset(code for code, reason in REASONS.items() if reason.for_bank != code)
"""N10 to N12: sensitive personal information (PIPL article 28), which only the finance bureau's own people see."""

# 15 to 18 digits, however they are set apart: the last may be X.
_NUMBER = re.compile(r"(?<![0-9])[0-9](?:[\s\-.·]*[0-9]){13,16}[\s\-.·]*[0-9Xx](?![0-9])")
LONGEST_REMARK = 200


class TextNotPlain(InputError):
    """A text that is kept in the clear is empty, too long or holds what looks like an ID number.

    ``params``: ``field``, ``reason`` (``empty``, ``too_long``, ``number``). The text itself is not repeated.
    """

    code = "text_not_plain"


def shown_reasons(actor: Actor, codes: Iterable[str]) -> tuple[str, ...]:
    """A household's reason codes as ``actor`` may see them: distinct, ascending; NX1 for the sensitive ones."""
    if actor.may(Permission.SEE_SENSITIVE):
        return tuple(sorted(set(codes)))
    return for_bank(codes)


def require_plain(text: str, field: str, *, optional: bool = False, longest: int = LONGEST_REMARK) -> str:
    """The text, trimmed, for a column that is not sealed or for the audit log. Raises TextNotPlain."""
    plain = " ".join(text.split())
    if not plain and not optional:
        raise TextNotPlain("a text is missing", field=field, reason="empty")
    if len(plain) > longest:
        raise TextNotPlain("a text is too long", field=field, reason="too_long")
    if _NUMBER.search(unicodedata.normalize("NFKC", plain)):
        raise TextNotPlain("an ID number in a text that is not sealed", field=field, reason="number")
    return plain
