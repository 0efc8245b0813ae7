"""From a cell to the value a label carries, by the types of matcher.schemas."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from functools import lru_cache

from matcher.reasons import ReasonUnknown, parse_reasons
from matcher.schemas import SchemaField

_YES = {"1", "是", "y", "yes", "true"}
_NO = {"0", "否", "n", "no", "false"}
_COUNT = re.compile(r"0|[1-9][0-9]{0,8}")
_DATE = re.compile(
    r"(\d{4})(?:-|/|\.|年)(\d{1,2})(?:-|/|\.|月)(\d{1,2})(?:日|[T ]00:00:00)?|(\d{4})(\d{2})(\d{2})", re.ASCII
)
_AMOUNT = re.compile(r"[0-9]{1,9}(\.[0-9]{1,4})?")

Convert = Callable[[str], str | None]


def converter(field: SchemaField) -> Convert:
    """The function that turns a trimmed cell of ``field`` into its value, or into None if there is none."""
    convert = _CONVERTERS[field.type](field)
    if field.optional:
        return lambda text: convert(text) if text else ""
    return convert


def _count(field: SchemaField) -> Convert:
    def convert(text: str) -> str | None:
        is_count = _COUNT.fullmatch(text) is not None and field.lowest <= int(text) <= field.highest
        return text if is_count else None

    return convert


def _yes_no(_: SchemaField) -> Convert:
    def convert(text: str) -> str | None:
        folded = text.casefold()
        return "1" if folded in _YES else "0" if folded in _NO else None

    return convert


def _choice(field: SchemaField) -> Convert:
    by_word = {word.casefold(): code for code, words in field.values.items() for word in (code, *words)}
    return lambda text: by_word.get(text.casefold())


def _reasons(_: SchemaField) -> Convert:
    return _canonical_reasons


@lru_cache(4_096)
def _canonical_reasons(text: str) -> str | None:
    try:
        return ",".join(parse_reasons(text))
    except ReasonUnknown:
        return None


def _date(_: SchemaField) -> Convert:
    def convert(text: str) -> str | None:
        found = _DATE.fullmatch(text)
        if found is None:
            return None
        year, month, day = (int(part) for part in found.groups() if part is not None)
        try:
            return date(year, month, day).isoformat()
        except ValueError:
            return None

    return convert


def _band(field: SchemaField) -> Convert:
    """The lower end of the band that an amount in yuan falls into: the amount itself goes no further."""

    def convert(text: str) -> str | None:
        plain = text.removesuffix("元").replace(",", "")
        if not _AMOUNT.fullmatch(plain):
            return None
        return str(field.edges[bisect_right(field.edges, Decimal(plain)) - 1])

    return convert


_CONVERTERS: dict[str, Callable[[SchemaField], Convert]] = {
    "count": _count,
    "yes_no": _yes_no,
    "choice": _choice,
    "reasons": _reasons,
    "date": _date,
    "band": _band,
}
