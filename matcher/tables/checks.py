"""What each kind of list asks of its cells, a batch at a time.

A check takes the wanted columns and gives back the columns to keep, cleaned, and a column of faults
that is null where a row is good. A fault is a reason code (matcher.rejects.ROW_REASONS), with the heading
of the column behind a ``/`` where it is about one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import pyarrow as pa

from matcher.reasons import MAX_REASONS
from matcher.schemas import ListSchema, SchemaField
from matcher.tables.values import Convert, converter
from psi.columns import pc

Column: TypeAlias = Any  # an Arrow array of strings, or of true and false
Columns: TypeAlias = dict[str, Column]
Check: TypeAlias = Callable[[Mapping[str, Column]], tuple[Columns, Column]]

_CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f]"
_SPREADSHEET_FLOAT = r"^[0-9](\.[0-9]+)?[eE]\+[0-9]+$"
_DIVISION = "^[0-9]{6}([0-9]{3}){0,2}$"
_TOO_MANY_REASONS = f"^([^,]+,){{{MAX_REASONS}}}"


def check_customer(cells: Mapping[str, Column]) -> tuple[Columns, Column]:
    if "name" not in cells:  # a list of numbers alone
        none = pa.nulls(len(cells["number"]), pa.string())
        return {"name": pc.fill_null(none, "")}, none
    name = pc.utf8_trim_whitespace(cells["name"])
    return {"name": name}, _first_fault({"control_character": _matches(name, _CONTROL)})


def check_labels(schema: ListSchema) -> Check:
    """The check of a sender's list of this schema."""

    def check(cells: Mapping[str, Column]) -> tuple[Columns, Column]:
        kept = {name: pc.utf8_trim_whitespace(column) for name, column in cells.items() if name != "number"}
        faults: dict[str, Column] = {}
        for field in schema.fields:
            if field.name not in kept:  # an optional column that the file does not have
                kept[field.name] = pa.repeat(pa.scalar(""), len(cells["number"]))
            elif field.type in ("text", "division"):
                faults |= _faults_of_text(field, kept[field.name])
            else:
                kept[field.name] = _map_distinct(kept[field.name], converter(field))
                faults |= _faults_of_value(field, kept[field.name])
        if "division" in kept and "division" not in schema.field_names:
            faults["bad_division/行政区划"] = pc.invert(_matches(kept["division"], _DIVISION))
        for rule in schema.rules:
            faults[rule.fault] = pc.and_(pc.equal(kept[rule.field], rule.value), _matches(kept[rule.empty], "."))
        return kept, _first_fault(faults)

    return check


def _faults_of_text(field: SchemaField, column: Column) -> dict[str, Column]:
    place = f"/{field.headings[0]}"
    if field.type == "division":
        return {field.fault + place: pc.invert(_matches(column, _DIVISION))}
    lowest = 0 if field.optional else 1
    return {
        field.fault + place: pc.or_(
            pc.invert(_is_between(pc.binary_length(column), lowest, field.max_bytes)),
            _matches(column, _SPREADSHEET_FLOAT),
        ),
        "control_character" + place: _matches(column, _CONTROL),
    }


def _faults_of_value(field: SchemaField, converted: Column) -> dict[str, Column]:
    place = f"/{field.headings[0]}"
    faults = {field.fault + place: pc.is_null(converted)}
    if field.type == "reasons":
        faults["too_many_reasons" + place] = _matches(converted, _TOO_MANY_REASONS)
    return faults


def _first_fault(faults: Mapping[str, Column]) -> Column:
    """For each row the first fault whose mask is true."""
    found: Column = pa.nulls(len(next(iter(faults.values()))), pa.string())
    for fault, mask in faults.items():
        if pc.any(mask).as_py():
            found = pc.coalesce(found, pc.if_else(mask, pa.scalar(fault), pa.scalar(None, pa.string())))
    return found


def _matches(column: Column, pattern: str) -> Column:
    return pc.match_substring_regex(column, pattern)


def _is_between(column: Column, lowest: int, highest: int) -> Column:
    return pc.and_(
        pc.greater_equal(column, pa.scalar(lowest, pa.int32())), pc.less_equal(column, pa.scalar(highest, pa.int32()))
    )


def _map_distinct(column: Column, convert: Convert) -> Column:
    """``convert`` applied once to each distinct value."""
    encoded = column.dictionary_encode()
    values: Column = pa.array([convert(value) for value in encoded.dictionary.to_pylist()], pa.string())
    return values.take(encoded.indices)
