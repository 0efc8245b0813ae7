"""What each kind of list asks of its cells, a batch at a time.

A check takes the wanted columns and gives back the columns to keep, cleaned, and a column of reason
codes (matcher.rejects.ROW_REASONS) that is null where a row is good.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from matcher.reasons import ReasonUnknown, parse_reasons

Columns: TypeAlias = "dict[str, pa.Array[Any]]"
Faults: TypeAlias = "Iterable[tuple[str, pa.Array[Any]]]"  # a reason code, and the rows that it is true of
Check: TypeAlias = "Callable[[Mapping[str, pa.Array[Any]]], tuple[Columns, pa.Array[Any]]]"

_CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f]"
_MAX_HOUSEHOLD_NO_BYTES = 20
_YES = {"1", "是", "y", "yes", "true"}
_NO = {"0", "否", "n", "no", "false"}


def check_customer(cells: Mapping[str, pa.Array[Any]]) -> tuple[Columns, pa.Array[Any]]:
    name = pc.utf8_trim_whitespace(cells["name"])
    return {"name": name}, _first_fault(len(name), [("control_character", _matches(name, _CONTROL))])


def check_base_row(cells: Mapping[str, pa.Array[Any]]) -> tuple[Columns, pa.Array[Any]]:
    kept = {name: pc.utf8_trim_whitespace(column) for name, column in cells.items() if name != "number"}
    household_no, size, division = kept["household_no"], kept["household_size"], kept["division"]
    expanding = kept["expanding"] = _map_distinct(kept["expanding"], _yes_or_no)
    reasons = kept["reasons"] = _map_distinct(kept["reasons"], _canonical_reasons)
    length = pc.binary_length(household_no)
    faults = [
        ("bad_household_no", pc.or_(pc.equal(length, 0), pc.greater(length, _MAX_HOUSEHOLD_NO_BYTES))),
        ("control_character", _matches(household_no, _CONTROL)),
        ("bad_household_size", pc.invert(_matches(size, "^[1-9][0-9]?$"))),
        ("bad_division", pc.invert(_matches(division, "^[0-9]{6}([0-9]{3}){0,2}$"))),
        ("bad_expanding", pc.is_null(expanding)),
        ("bad_reasons", pc.is_null(reasons)),
        ("contradiction", pc.fill_null(pc.and_(pc.equal(expanding, "1"), pc.not_equal(reasons, "")), False)),
    ]
    return kept, _first_fault(len(size), faults)


def _first_fault(rows: int, faults: Faults) -> pa.Array[Any]:
    found: pa.Array[Any] = pa.nulls(rows, pa.string())
    for code, mask in faults:
        if pc.any(mask).as_py():
            found = pc.coalesce(found, pc.if_else(mask, code, pa.scalar(None, pa.string())))
    return found


def _matches(column: pa.Array[Any], pattern: str) -> pa.Array[Any]:
    return pc.match_substring_regex(column, pattern)


def _map_distinct(column: pa.Array[Any], convert: Callable[[str], str | None]) -> pa.Array[Any]:
    """``convert`` applied once to each distinct value."""
    encoded = column.dictionary_encode()
    values = pa.array([convert(value) for value in encoded.dictionary.to_pylist()], pa.string())
    return values.take(encoded.indices)


def _yes_or_no(text: str) -> str | None:
    folded = text.casefold()
    return "1" if folded in _YES else "0" if folded in _NO else None


@cache
def _canonical_reasons(text: str) -> str | None:
    try:
        return ",".join(parse_reasons(text))
    except ReasonUnknown:
        return None
