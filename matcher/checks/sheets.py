"""Departments' answers as tables: what is asked of a department on paper, and its answers back, row by row.

The sheet that goes out has the columns that come back, so a department fills in and returns the same file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Literal

import pyarrow as pa

from matcher.bureau.actors import Actor, Permission
from matcher.bureau.bulk import savepoint
from matcher.bureau.members import open_member
from matcher.bureau.office import Office
from matcher.checks.listing import AnswerRow, MissingRow
from matcher.checks.service import CheckEntryInvalid, DepartmentChecks
from matcher.columns import ColumnMapping, Field, list_columns
from matcher.exports import Format, write_export
from matcher.personal.reveal import MemberUnknown, SearchInvalid
from matcher.rows import fetch_all
from matcher.schemas import ListSchema, SchemaField
from matcher.tables import read_table
from matcher.tables.errors import TableTooLarge
from matcher.tables.values import converter
from psi.errors import MingceError
from psi.identifiers import mask, normalise_one

MOST_ROWS = 5_000  # of a file: one transaction
ID_COLUMN, LISTED_COLUMN, DAY_COLUMN, DOCUMENT_COLUMN = "证件号码", "是否在名单", "答复日期", "文号"
_LISTED = SchemaField(name="listed", headings=(LISTED_COLUMN,), type="yes_no", why="录入")
_DAY = SchemaField(name="answered_on", headings=(DAY_COLUMN,), type="date", why="录入")
_WORDS = {"never": "没有答复", "too_old": "答复已过期"}


@dataclass(frozen=True)
class EntryResult:
    """What became of one row of a file; the header is row 1. ``code`` and ``params`` say why it was refused."""

    row: int
    number: str  # masked
    outcome: Literal["entered", "known", "refused"]
    code: str | None = None
    params: Mapping[str, object] = field(default_factory=dict)


def read_and_enter(office: Office, actor: Actor, path: Path, department: str, schema: ListSchema) -> list[EntryResult]:
    """Enter the answers of a CSV, XLSX or Parquet file in one transaction; what is refused leaves the others be.

    The same file again enters nothing. Whoever is in two households gets the answer in both.
    Raises NotAllowed, TableTooLarge, and as read_table does.
    """
    actor.require_answer_of(department)
    rows = list(_read(path, schema))
    if len(rows) > MOST_ROWS:
        raise TableTooLarge(f"more than {MOST_ROWS:,} rows of answers", file=path.name)
    results = []
    with office.writing():
        for number, cells in rows:
            shown = mask(cells["number"].strip())
            try:
                with savepoint(office.database):
                    is_new = _enter_within(office, actor, cells, department, schema)
                results.append(EntryResult(number, shown, "entered" if is_new else "known"))
            except MingceError as error:
                results.append(EntryResult(number, shown, "refused", error.code, error.params))
    return results


def missing_columns(schema: ListSchema | None) -> list[str]:
    """The headings of the sheet that goes to a department."""
    own = [one.headings[0] for one in schema.fields] if schema is not None else []
    return ["成员编号", "家庭编号", "姓名", ID_COLUMN, "部门", "原因", LISTED_COLUMN, *own, DAY_COLUMN, DOCUMENT_COLUMN]


def write_missing(
    office: Office,
    actor: Actor,
    path: Path,
    rows: Sequence[MissingRow],
    *,
    schema: ListSchema | None,
    format: Format,
    whole: bool = False,
) -> int:
    """Write what is lacking, to be answered by a department; returns how many rows. ``whole``: numbers and names in
    full, for matcher.downloads to ask a second person about. Raises NotAllowed, OSError.
    """
    actor.require(Permission.EXPORT)
    if whole:
        actor.require(Permission.REVEAL)
    people = _whole(office, [row.member_id for row in rows]) if whole else {}
    columns = dict.fromkeys(missing_columns(schema), pa.array([""] * len(rows), pa.string()))
    known = {
        "成员编号": [str(row.member_id) for row in rows],
        "家庭编号": [row.household_no for row in rows],
        "姓名": [people[row.member_id][1] if whole else row.name for row in rows],
        ID_COLUMN: [people[row.member_id][0] if whole else row.number for row in rows],
        "部门": [row.lacks.department for row in rows],
        "原因": [_WORDS[row.lacks.why] for row in rows],
    }
    columns |= {name: pa.array(cells, pa.string()) for name, cells in known.items()}
    write_export(path, columns, format=format, id_columns=(ID_COLUMN,))
    return len(rows)


def write_answers(actor: Actor, path: Path, rows: Sequence[AnswerRow], *, format: Format) -> int:
    """Write a list of answers, masked, as the account may see them; returns how many. Raises NotAllowed, OSError."""
    actor.require(Permission.EXPORT)
    columns = {
        "家庭编号": [row.household_no for row in rows],
        "成员编号": [str(row.answer.member_id) for row in rows],
        "姓名": [row.member_name for row in rows],
        "部门": [row.answer.department for row in rows],
        "来源": ["匹配" if row.answer.source == "match" else "录入" for row in rows],
        "是否在名单": ["" if row.answer.listed is None else "是" if row.answer.listed else "否" for row in rows],
        "原因标签": [",".join(row.answer.reasons or ()) for row in rows],
        "数据截至": [row.answer.as_of for row in rows],
        "版本或文号": [row.answer.origin for row in rows],
        "录入人": [row.answer.entered_by for row in rows],
    }
    write_export(path, {name: pa.array(cells, pa.string()) for name, cells in columns.items()}, format=format)
    return len(rows)


def _whole(office: Office, members: Sequence[int]) -> dict[int, tuple[str, str]]:
    rows = fetch_all(
        office.database,
        "SELECT member_id, sealed FROM json_each(?) wanted JOIN member ON member.member_id = wanted.value",
        [json.dumps(list(members))],
    )
    people = [(number, open_member(office.personal, number, sealed)) for number, sealed in rows]
    return {number: (person.item, person.name) for number, person in people}


def _read(path: Path, schema: ListSchema) -> Iterator[tuple[int, dict[str, str]]]:
    """Row numbers with the cells by field; rows of a wrong shape come with their fault."""
    fields = dict(list_columns(schema, one_division=True).fields)
    fields = {name: Field(one.headers, required=name == "number") for name, one in fields.items()}
    fields |= {
        "listed": Field((LISTED_COLUMN, "listed")),
        "answered_on": Field((DAY_COLUMN, "answered_on")),
        "document": Field((DOCUMENT_COLUMN, "文件号", "document")),
    }
    for batch in read_table(path, ColumnMapping(fields)):
        for reject in batch.rejects:
            yield reject.row, {"number": reject.number, "fault": reject.reason}
        columns = {name: column.to_pylist() for name, column in batch.columns.items()}
        for place, row in enumerate(batch.rows.to_pylist()):
            yield int(row or 0), {name: (cells[place] or "").strip() for name, cells in columns.items()}


def _enter_within(office: Office, actor: Actor, cells: dict[str, str], department: str, schema: ListSchema) -> bool:
    if "fault" in cells:
        raise CheckEntryInvalid("the row has other columns than the header", field="", reason=cells["fault"])
    item, verdict = normalise_one(cells["number"])
    if item is None:
        raise SearchInvalid("not an ID number", reason=verdict.code)
    listed = converter(_LISTED)(cells["listed"])
    if listed is None:
        raise CheckEntryInvalid("neither yes nor no", field=LISTED_COLUMN, reason="bad_value")
    day = converter(_DAY)(cells["answered_on"])
    if day is None:
        raise CheckEntryInvalid("no day", field=DAY_COLUMN, reason="bad_value")
    label = {one.name: cells[one.name] for one in schema.fields if cells.get(one.name)}
    if listed == "0" and label:
        raise CheckEntryInvalid("not listed, and yet a label", field=LISTED_COLUMN, reason="not_listed")
    members = fetch_all(
        office.database,
        "SELECT member_id FROM member WHERE item_ref = ? AND left_at IS NULL",
        [office.personal.item_reference(item)],
    )
    if not members:
        raise MemberUnknown("no such member", member=mask(item))
    done = [
        DepartmentChecks(office).enter_within(
            actor, member, department, schema, label=label if listed == "1" else None,
            as_of=date.fromisoformat(day), document_no=cells["document"],
        )
        for (member,) in members
    ]  # fmt: skip
    return any(is_new for _, is_new in done)
