"""The kinds of field a visit form has. Amounts are text in yuan outside and whole 分 inside: no binary fraction arises.

A choice is written as its code or as its Chinese word, a date with any of ``- / .`` or in Chinese, so that a cell
of the offline sheet and a device's JSON go through the same checks.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import date
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from matcher.reasons import REASONS
from matcher.subsidy.lines import plain_yuan
from psi.identifiers import normalise_one

HIGHEST_AMOUNT = 100_000_000_00  # 分; a family's farm, not a province's budget
LONGEST_TEXT = 200
LONGEST_NAME = 60

_AMOUNT = re.compile(r"(\d{1,3}(?:,\d{3})+|\d+)(?:\.(\d{1,2}))?", re.ASCII)
_DATE = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?(?:T00:00:00)?", re.ASCII)
_PHONE = re.compile(r"1\d{10}|0\d{2,3}-?\d{7,8}", re.ASCII)
_YES_NO: Mapping[object, bool] = {"是": True, "否": False, "true": True, "false": False, "1": True, "0": False}
_KEPT_FORMAT = {"\u200d"}  # some names' characters are written with it


def fault(code: str, **params: object) -> PydanticCustomError:
    """What a validator raises: a code of FORM_PROBLEMS. ``code`` is fixed text here, never a value."""
    return PydanticCustomError(code, "{code}", {"code": code, **params})


def folded(value: object) -> str:
    """What was typed, in one width and without blanks around. Raises ``bad_value`` if it is no text."""
    if not isinstance(value, str):
        raise fault("bad_value")
    return unicodedata.normalize("NFKC", value).strip()


def _amount(value: object) -> int:
    match = _AMOUNT.fullmatch(folded(value).removesuffix("元")) if isinstance(value, str) else None
    if match is None:
        raise fault("missing" if value == "" else "bad_amount")
    fen = int(match[1].replace(",", "")) * 100 + int((match[2] or "").ljust(2, "0"))
    if fen > HIGHEST_AMOUNT:
        raise fault("amount_too_large", limit=HIGHEST_AMOUNT // 100)
    return fen


def _date(value: object) -> date:
    if isinstance(value, date):
        return value
    match = _DATE.fullmatch(folded(value))
    if match is None:
        raise fault("missing" if value == "" else "bad_date")
    try:
        return date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        raise fault("bad_date") from None


def _yes_no(value: object) -> bool:
    if isinstance(value, bool):
        return value
    known = _YES_NO.get(folded(value).lower()) if isinstance(value, str) else None
    if known is None:
        raise fault("missing" if value == "" else "not_yes_or_no")
    return known


def _text(longest: int, *, needed: bool) -> Callable[[object], str]:
    def read(value: object) -> str:
        if not isinstance(value, str):
            raise fault("bad_value")
        text = unicodedata.normalize("NFC", value).strip()
        if any(unicodedata.category(c) in ("Cc", "Cf", "Cs") and c not in _KEPT_FORMAT for c in text):
            raise fault("control_character")
        if len(text) > longest:
            raise fault("too_long", limit=longest)
        if needed and not text:
            raise fault("missing")
        return text

    return read


def _phone(value: object) -> str:
    text = folded(value).replace(" ", "")
    if text and not _PHONE.fullmatch(text):
        raise fault("bad_phone")
    return text


def _id_number(value: object) -> str:
    if not isinstance(value, str):
        raise fault("bad_value")
    if not value.strip():
        return ""
    item, verdict = normalise_one(value)
    if item is None:
        raise fault("bad_id_number", verdict=verdict)
    return item


def _reasons(value: object) -> tuple[str, ...]:
    """Codes as a bank may see them: a status of PIPL article 28 has no place on a form that a bank's people fill in."""
    parts = re.split(r"[,，、;；\s]+", folded(value)) if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        raise fault("bad_value")
    codes = sorted({part.upper() for part in parts if part})
    for code in codes:
        if code not in REASONS:
            raise fault("reason_unknown")
        if REASONS[code].for_bank != code:
            raise fault("reason_sensitive")
    return tuple(codes)


def choice(words: Mapping[str, str]) -> BeforeValidator:
    """For one of these codes, written as the code or as its Chinese word."""
    codes = {word: code for code, word in words.items()} | {code: code for code in words}
    shown = "、".join(words.values())

    def read(value: object) -> str:
        if value == "":
            raise fault("missing")
        found = codes.get(folded(value)) if isinstance(value, str) else None
        if found is None:
            raise fault("no_such_choice", choices=shown)
        return found

    return BeforeValidator(read, json_schema_input_type=Literal[tuple(words)])


def whole(lowest: int, highest: int) -> BeforeValidator:
    """For a whole number within bounds, both included."""

    def read(value: object) -> int:
        if value == "":
            raise fault("missing")
        text = folded(value) if isinstance(value, str) else str(value) if type(value) is int else ""
        if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or not lowest <= int(text) <= highest:
            raise fault("bad_number", lowest=lowest, highest=highest)
        return int(text)

    return BeforeValidator(read, json_schema_input_type=Annotated[int, Field(ge=lowest, le=highest)])


Fen = Annotated[
    int,
    BeforeValidator(_amount),
    PlainSerializer(plain_yuan, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9]+(\.[0-9]{1,2})?$", "description": "元"}),
]
Day = Annotated[date, BeforeValidator(_date)]
YesNo = Annotated[bool, BeforeValidator(_yes_no)]
Text = Annotated[str, BeforeValidator(_text(LONGEST_TEXT, needed=True))]
OptionalText = Annotated[str, BeforeValidator(_text(LONGEST_TEXT, needed=False))]
Name = Annotated[str, BeforeValidator(_text(LONGEST_NAME, needed=True))]
OptionalName = Annotated[str, BeforeValidator(_text(LONGEST_NAME, needed=False))]
Phone = Annotated[str, BeforeValidator(_phone)]
IdNumber = Annotated[str, BeforeValidator(_id_number)]
Reasons = Annotated[
    tuple[str, ...],
    BeforeValidator(_reasons),
    WithJsonSchema({"type": "array", "items": {"enum": sorted({r.for_bank for r in REASONS.values()})}}),
]
