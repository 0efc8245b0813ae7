"""A change list: of the people on a list only those who came, changed or left since the edition that is served.

It has the columns of the list and one more, 操作 (新增, 变更, 删除), and says each number once. A row that cannot be
used leaves the person off the list, as it would in a whole list.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from matcher.columns import ColumnMapping, Field, list_columns
from matcher.province.plan import ChangesUnclear, DatasetPlan, Observer, WholeListNeeded
from matcher.province.rows import first_names, labelled_rows, note_names
from matcher.province.spill import RUN_ROWS, look_through
from matcher.rejects import Reject
from matcher.schemas import ListSchema
from matcher.tables.checks import Check, check_labels
from matcher.tables.errors import NoRows
from matcher.tables.lists import Sifted, drop_duplicates, labelled_columns, sift_table
from psi.columns import Column, data_of, pc, sorted_positions
from psi.encoding import BaseRows
from psi.identifiers import mask
from psi.remembered import REFERENCE_BYTES, row_references

MAX_ROWS = RUN_ROWS  # in memory at a time
OPERATION = Field(("操作", "操作类型", "变更类型", "operation"))
NEW, CHANGED, GONE = "new", "changed", "gone"
_WORDS = {
    **dict.fromkeys(("新增", "增加", "new", "added"), NEW),
    **dict.fromkeys(("变更", "修改", "changed"), CHANGED),
    **dict.fromkeys(("删除", "退出", "gone", "removed"), GONE),
}


@dataclass(frozen=True, repr=False)
class ChangeList:
    """What a change list says, ordered by the rows' keyed references.

    ``rows`` are the people on the list from now on. ``said`` has a row for every number: ``ref``, ``operation``,
    ``stays`` (it is among ``rows``), and ``item``, ``row`` and ``sheet`` to tell where it stands.
    """

    sha256: str
    rows: BaseRows
    said: pa.Table
    sheets: list[str]
    names: dict[str, str]
    rejects: list[Reject]

    @property
    def staying(self) -> Column:
        """The references of ``rows``."""
        return _column(self.said.filter(self.said["stays"]), "ref")

    @property
    def leaving(self) -> Column:
        """The references of those who are not on the list from now on."""
        return _column(self.said.filter(pc.invert(self.said["stays"])), "ref")

    def reject(self, place: int, reason: str) -> Reject:
        """What there is to say of one row of ``said``."""
        row = self.said.slice(place, 1).to_pylist()[0]
        return Reject(row["row"], reason, mask(row["item"].decode("ascii")), self.sheets[row["sheet"]])


def empty_changes(sha256: str, sifted: Sifted) -> ChangeList:
    """No change at all."""
    rows = BaseRows(b"", b"", pa.array([], pa.uint32()))
    columns: dict[str, Column] = {
        "ref": pa.array([], pa.binary(REFERENCE_BYTES)),
        "operation": pa.array([], pa.string()),
        "stays": pa.array([], pa.bool_()),
    }
    return ChangeList(sha256, rows, pa.table(columns), sifted.sheets, {}, sifted.rejects)


def read_changes(plan: DatasetPlan, path: Path, reference_key: bytes, observer: Observer) -> ChangeList:
    """Read and check a change list; one with nothing below its headers changes nothing.

    Raises as matcher.tables.read_labelled_list does, ChangesUnclear, WholeListNeeded if it is too long.
    """
    digest, lines = look_through(path)
    observer.step("read", lines)
    sifted = Sifted()
    try:
        table = _read_table(plan, path, sifted, observer)
    except NoRows:
        table = None
    unknown = [reject for reject in sifted.rejects if reject.reason == "bad_operation"]
    if unknown:
        raise ChangesUnclear("no such operation", reason="operation", rows=len(unknown), row=unknown[0].row)
    if table is None or not table.num_rows:
        return empty_changes(digest, sifted)
    table, repeated = drop_duplicates(table, "first", sifted.sheets)
    differ = [reject for reject in repeated if reject.reason == "duplicate_differs"]
    if differ:
        raise ChangesUnclear("two things about one number", reason="twice", rows=len(differ), row=differ[0].row)
    references = row_references(reference_key, data_of(table["item"].combine_chunks()))
    table = table.append_column("ref", references).take(sorted_positions(references)).combine_chunks()
    stays = pc.and_(pc.not_equal(table["operation"], GONE), pc.is_null(table["fault"]))
    said = table.select(["ref", "operation", "item", "row", "sheet"]).append_column("stays", stays).combine_chunks()
    present = table.filter(stays).combine_chunks()
    columns: dict[str, Column] = {name: _column(present, name) for name in present.column_names}
    fields, division = labelled_columns(columns, plan.schema, plan.division)
    names: dict[tuple[str, str], int] = {}
    note_names(names, present, division)
    rows = labelled_rows(data_of(columns["item"]), fields, division, plan.schema, plan.label)
    rejects = sifted.all_rejects(repeated + _faulty(table, sifted.sheets))
    return ChangeList(digest, rows, said, sifted.sheets, first_names(names), rejects)


def _read_table(plan: DatasetPlan, path: Path, sifted: Sifted, observer: Observer) -> pa.Table:
    mapping = list_columns(plan.schema, one_division=plan.division is not None).override(plan.columns)
    mapping = ColumnMapping({**mapping.fields, "operation": OPERATION})
    tables: list[pa.Table] = []
    done = 0
    for batch in sift_table(path, mapping, _check_changes(plan.schema), sifted):
        tables.append(pa.table(batch))
        done += tables[-1].num_rows
        if done > MAX_ROWS:
            raise WholeListNeeded("the change list is too long", reason="too_many", limit=MAX_ROWS)
        observer.progress(done)
    return pa.concat_tables(tables).combine_chunks()


def _check_changes(schema: ListSchema) -> Check:
    """The check of a list's rows; what it finds is kept as ``fault``, and means nothing where a person left."""
    check_list = check_labels(schema)

    def check(cells: Mapping[str, Column]) -> tuple[dict[str, Column], Column]:
        kept, faults = check_list({name: column for name, column in cells.items() if name != "operation"})
        words = pc.utf8_lower(pc.utf8_trim_whitespace(cells["operation"]))
        place = pc.index_in(words, value_set=pa.array(list(_WORDS)))
        operation = pa.array(list(_WORDS.values())).take(place)
        nothing = pa.scalar(None, pa.string())
        fault = pc.if_else(pc.equal(operation, GONE), nothing, faults)
        unknown = pc.if_else(pc.is_null(operation), pa.scalar(f"bad_operation/{OPERATION.headers[0]}"), nothing)
        return {**kept, "operation": operation, "fault": fault}, unknown

    return check


def _faulty(table: pa.Table, sheets: list[str]) -> list[Reject]:
    """The rows whose person is left off the list because something is wrong with them."""
    found = table.filter(pc.is_valid(table["fault"])).select(["fault", "row", "item", "sheet"]).to_pylist()
    rejects = []
    for row in found:
        reason, _, heading = row["fault"].partition("/")
        number = mask(row["item"].decode("ascii"))
        rejects.append(Reject(row["row"], reason, number, sheets[row["sheet"]], heading=heading))
    return rejects


def _column(table: pa.Table, name: str) -> Column:
    column: Column = table[name].combine_chunks()
    return column
