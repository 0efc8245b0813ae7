"""What an event's fields may hold, whoever sent it."""

from __future__ import annotations

import re
from dataclasses import fields
from decimal import Decimal

from matcher.loans.errors import ValueInvalid
from matcher.loans.events import Event
from matcher.personal.fields import require_plain
from psi.identifiers import check_character, normalise_one

HIGHEST_AMOUNT = 10**12  # 分: ten thousand million yuan
HIGHEST_RATE = Decimal(36)  # percent a year
RATE_PLACES = 6
_NUMBER = re.compile(r"[0-9A-Za-z\u4e00-\u9fff〔〕（）()\[\]./_#-]{1,40}")
_LIKE_ID = re.compile(r"[0-9]{15}|[0-9]{17}[0-9Xx]")
_ITEM = re.compile(r"[0-9]{17}[0-9X]")
_NUMBERS = ("contract_no", "facility_no", "commitment_no", "reference", "reversed_reference")
_MAY_BE_EMPTY = ("facility_no", "commitment_no")  # of a contract
_TEXTS = ("purpose", "manager", "witness")


def check_values(event: Event) -> None:
    """Raises ValueInvalid naming the field, and TextNotPlain for a text with an ID number in it."""
    values = {about.name: getattr(event, about.name) for about in fields(event)}
    for name in _NUMBERS:
        if name in values:
            _check_number(name, values[name], optional=name in _MAY_BE_EMPTY and "starts_on" in values)
    for name in ("amount", "principal"):
        if name in values and not 0 < values[name] <= HIGHEST_AMOUNT:
            raise ValueInvalid(name, "an amount is above nothing")
    for name in ("contract_rate", "customer_rate"):
        if name in values:
            _check_rate(name, values[name])
    if "item" in values and not _is_normalised(values["item"]):
        raise ValueInvalid("item", "not a normalised ID number")
    for name in _TEXTS:
        if name in values:
            require_plain(values[name], name, optional=True)


def _check_number(name: str, value: str, *, optional: bool) -> None:
    """A bank's own number. An ID number there would stand in the clear."""
    if optional and not value:
        return
    if not _NUMBER.fullmatch(value):
        raise ValueInvalid(name, "1 to 40 letters, digits and -_./#()")
    if _LIKE_ID.fullmatch(value) and normalise_one(value)[0] is not None:
        raise ValueInvalid(name, "an ID number is no number of a contract or an entry")


def _is_normalised(item: str) -> bool:
    return _ITEM.fullmatch(item) is not None and check_character(item[:-1]) == item[-1]


def _check_rate(name: str, value: Decimal) -> None:
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or not 0 <= value <= HIGHEST_RATE or -exponent > RATE_PLACES:
        raise ValueInvalid(name, f"percent a year, 0 to {HIGHEST_RATE}, at most {RATE_PLACES} places")
