"""The offline sheet's columns, made from the form: one row a visit, and a sheet each for what there are several of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from matcher.columns import ColumnMapping, Field
from matcher.reasons import REASONS
from matcher.visits.form import FAMILY_TYPES, MARRIAGES, RELATIONS, SEXES, Debt, Member, Need, VisitForm, part_of
from matcher.visits.problems import Location

VISITS = "走访"
GUIDE = "填写说明"
VISIT_NO = "走访编号"
# Of the visit itself, by their names in the code.
OWN_COLUMNS: Mapping[str, str] = {
    "visit_id": VISIT_NO,
    "version": "版本",
    "household_no": "家庭编号",
    "started_at": "到户时间",
    "latitude": "纬度",
    "longitude": "经度",
    "accuracy_m": "定位精度（米）",
}
_YES_NO = {"true": "是", "false": "否"}
_WORDS: Mapping[str, Mapping[str, str]] = {
    "relation": RELATIONS,
    "sex": SEXES,
    "marriage": MARRIAGES,
    "family_type": FAMILY_TYPES,
    **dict.fromkeys(("is_resident", "has_good_credit", "has_full_capacity", "is_admitted", "is_subsidised"), _YES_NO),
}
ID_FIELD = "id_number"
_NUMBER = "number"  # what the readers call an ID number: a numeric cell of it is refused, not repaired


@dataclass(frozen=True)
class SheetColumn:
    """One field of the form. ``location`` is within the form, or within one entry of a list."""

    name: str
    heading: str
    location: Location
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class ListSheet:
    """A sheet of its own for ``members``, ``debts`` or ``needs``: a row for each entry, with the visit's number."""

    field: str
    title: str
    columns: tuple[SheetColumn, ...]

    @property
    def mapping(self) -> ColumnMapping:
        return _mapping({"visit_id": VISIT_NO}, self.columns)


def _leaves(model: type[BaseModel], location: Location = (), words: Sequence[str] = ()) -> Iterator[SheetColumn]:
    for name, field in model.model_fields.items():
        if location == () and name == "format":
            continue
        part, title = part_of(field.annotation), field.title or name
        is_one = part is field.annotation
        if part is None:
            choices = tuple(_WORDS[name].values()) if name in _WORDS else ()
            key = _NUMBER if name == ID_FIELD else "__".join(map(str, (*location, name)))
            yield SheetColumn(key, "·".join((*words, title)), (*location, name), choices)
        elif is_one:
            yield from _leaves(part, (*location, name), (*words, title))


VISIT_COLUMNS = tuple(_leaves(VisitForm))
LISTS = tuple(
    ListSheet(name, VisitForm.model_fields[name].title or name, tuple(_leaves(part)))
    for name, part in (("members", Member), ("debts", Debt), ("needs", Need))
)


def mappings() -> dict[str, ColumnMapping]:
    """By sheet, for matcher.tables.xlsx_reader.read_sheets."""
    return {VISITS: _mapping(OWN_COLUMNS, VISIT_COLUMNS)} | {sheet.title: sheet.mapping for sheet in LISTS}


def _mapping(own: Mapping[str, str], columns: Sequence[SheetColumn]) -> ColumnMapping:
    fields = {name: Field((heading,)) for name, heading in own.items()}
    return ColumnMapping(fields | {column.name: Field((column.heading,)) for column in columns})


def cell_of(column: SheetColumn, values: Mapping[str, Any]) -> str:
    """A form's value, as JSON has it, as a person reads it."""
    value: Any = values
    for part in column.location:
        value = value[part]
    if isinstance(value, list):
        return ",".join(value)
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return _WORDS.get(str(column.location[-1]), {}).get(text, text)


def put(values: dict[str, Any], location: Location, cell: str) -> None:
    """The inverse: a cell at its place of a form's values."""
    *folders, last = location
    for folder in folders:
        values = values.setdefault(str(folder), {})
    values[str(last)] = cell


def guide() -> list[tuple[str, str]]:
    """What the sheet of instructions says: a column and how to fill it in."""
    lines = [
        ("总则", "每户一行；“走访编号”“版本”“家庭编号”请勿改动。金额以元填写，没有填 0；空白不等于 0。"),
        ("", "成员、负债、需求各在单独的工作表，每条一行，用“走访编号”对应；成员中须有一名“本人”。"),
        ("到户时间", "写成 2026-01-05 14:30（北京时间）；纬度、经度用十进制度数，如 30.7214。"),
        ("", "本文件含个人信息：只存放在单位设备上，导入后请删除。"),
    ]
    for title, columns in ((VISITS, VISIT_COLUMNS), *((sheet.title, sheet.columns) for sheet in LISTS)):
        for column in columns:
            if column.choices:
                lines.append((f"{title}：{column.heading}", "、".join(column.choices)))
    reasons = "；".join(f"{r.code} {r.zh}" for r in REASONS.values() if r.for_bank == r.code)
    return [*lines, ("不准入原因", f"多个用逗号分开：{reasons}")]
