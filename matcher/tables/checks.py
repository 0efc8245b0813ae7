"""What each kind of list asks of its cells, a batch at a time.

A check takes the wanted columns and gives back the columns to keep, cleaned, and a column of reason
codes (matcher.rejects.ROW_REASONS) that is null where a row is good.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from matcher.reasons import ReasonUnknown, parse_reasons

Column: TypeAlias = Any  # an Arrow array of strings, or of true and false
Columns: TypeAlias = dict[str, Column]
Check: TypeAlias = Callable[[Mapping[str, Column]], tuple[Columns, Column]]

_CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f]"
_SPREADSHEET_FLOAT = r"^[0-9](\.[0-9]+)?[eE]\+[0-9]+$"
_HOUSEHOLD_NO_BYTES = 20
_YES = {"1", "是", "y", "yes", "true"}
_NO = {"0", "否", "n", "no", "false"}


def check_customer(cells: Mapping[str, Column]) -> tuple[Columns, Column]:
    name = pc.utf8_trim_whitespace(cells["name"])
    return {"name": name}, _first_fault({"control_character": _matches(name, _CONTROL)})


def check_base_row(cells: Mapping[str, Column]) -> tuple[Columns, Column]:
    kept = {name: pc.utf8_trim_whitespace(column) for name, column in cells.items() if name != "number"}
    kept["expanding"] = _map_distinct(kept["expanding"], _yes_or_no)
    kept["reasons"] = _map_distinct(kept["reasons"], _canonical_reasons)
    household_no, reasons = kept["household_no"], kept["reasons"]
    faults = {
        "bad_household_no": pc.or_(
            pc.invert(_is_between(pc.binary_length(household_no), 1, _HOUSEHOLD_NO_BYTES)),
            _matches(household_no, _SPREADSHEET_FLOAT),
        ),
        "control_character": _matches(household_no, _CONTROL),
        "bad_household_size": pc.invert(_matches(kept["household_size"], "^[1-9][0-9]?$")),
        "bad_division": pc.invert(_matches(kept["division"], "^[0-9]{6}([0-9]{3}){0,2}$")),
        "bad_expanding": pc.is_null(kept["expanding"]),
        "bad_reasons": pc.is_null(reasons),
        "too_many_reasons": _matches(reasons, "^([^,]+,){6}"),
        "contradiction": pc.and_(_matches(kept["expanding"], "1"), _matches(reasons, ".")),
    }
    return kept, _first_fault(faults)


def _first_fault(faults: Mapping[str, Column]) -> Column:
    """For each row the first code whose mask is true."""
    found: Column = pa.nulls(len(next(iter(faults.values()))), pa.string())
    for code, mask in faults.items():
        if pc.any(mask).as_py():
            found = pc.coalesce(found, pc.if_else(mask, pa.scalar(code), pa.scalar(None, pa.string())))
    return found


def _matches(column: Column, pattern: str) -> Column:
    return pc.match_substring_regex(column, pattern)


def _is_between(column: Column, lowest: int, highest: int) -> Column:
    return pc.and_(
        pc.greater_equal(column, pa.scalar(lowest, pa.int32())), pc.less_equal(column, pa.scalar(highest, pa.int32()))
    )


def _map_distinct(column: Column, convert: Callable[[str], str | None]) -> Column:
    """``convert`` applied once to each distinct value."""
    encoded = column.dictionary_encode()
    values: Column = pa.array([convert(value) for value in encoded.dictionary.to_pylist()], pa.string())
    return values.take(encoded.indices)


def _yes_or_no(text: str) -> str | None:
    folded = text.casefold()
    return "1" if folded in _YES else "0" if folded in _NO else None


@lru_cache(4_096)
def _canonical_reasons(text: str) -> str | None:
    try:
        return ",".join(parse_reasons(text))
    except ReasonUnknown:
        return None
