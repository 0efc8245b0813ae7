"""The two lists of a match, as contiguous columns: a receiver's people and a sender's labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from matcher.columns import CUSTOMER_COLUMNS, ColumnMapping, list_columns
from matcher.rejects import Reject
from matcher.schemas import KUOZHONG, ListSchema
from matcher.tables.batch import DEFAULT_BATCH_ROWS, TableBatch
from matcher.tables.checks import Check, Column, check_customer, check_labels
from matcher.tables.duplicates import Keep, find_duplicates
from matcher.tables.reader import read_table
from psi.columns import data_of, fixed, pc
from psi.identifiers import ITEM_BYTES, Verdict, mask, normalise

# The reason code of each verdict byte, null for the usable ones.
_REFUSALS = {verdict.value: verdict.code for verdict in Verdict if not verdict.is_usable}
_REASON_BY_VERDICT = pa.array([_REFUSALS.get(value) for value in range(256)], pa.string())


@dataclass(frozen=True, repr=False)
class ListRows:
    """n rows in the file's order, no number twice.

    ``rows`` are row numbers in the file (the header is row 1), ``items`` n*18 bytes, ``verdicts`` n
    bytes of usable psi.identifiers.Verdict. Every other row of the file is in ``rejects``.
    """

    rows: pa.Int64Array
    items: pa.Buffer
    verdicts: pa.Buffer
    rejects: list[Reject]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def rows_read(self) -> int:
        return len(self.rows) + len(self.rejects)

    def count_verdicts(self) -> dict[str, int]:
        """How many accepted numbers carry which remark: ``{"ok": 998, "ok_converted_15": 2}``."""
        counts = Counter(self.verdicts.to_pybytes())
        return {Verdict(value).code: count for value, count in sorted(counts.items())}


@dataclass(frozen=True, repr=False)
class CustomerList(ListRows):
    """A bank's customers, with the names as the bank writes them."""

    names: pa.StringArray


@dataclass(frozen=True, repr=False)
class LabelledList(ListRows):
    """A sender's list: the ``fields`` of its schema's labels as strings without nulls, in the schema's order.

    ``division`` is each row's 行政区划 (6, 9 or 12 digits); ``division_names`` what the file says of them.
    """

    fields: dict[str, Column]
    division: Column
    division_names: dict[str, str]


def read_customers(
    path: Path,
    mapping: ColumnMapping = CUSTOMER_COLUMNS,
    *,
    duplicates: Keep = "first",
    batch_rows: int = DEFAULT_BATCH_ROWS,
) -> CustomerList:
    """Read a bank's customer list. Raises as read_table does."""
    read = read_list(path, mapping, check_customer, duplicates, batch_rows)
    return CustomerList(read.rows, read.items, read.verdicts, read.rejects, names=read.columns["name"])


def read_labelled_list(
    path: Path,
    schema: ListSchema = KUOZHONG,
    columns: ColumnMapping | None = None,
    *,
    division: str | None = None,
    duplicates: Keep = "first",
    batch_rows: int = DEFAULT_BATCH_ROWS,
) -> LabelledList:
    """Read a sender's list. ``columns`` are those of the schema, or the schema's with other headings; ``division``
    is the one that all rows belong to, where the file has none. Raises as read_table does.
    """
    mapping = columns or list_columns(schema, one_division=division is not None)
    read = read_list(path, mapping, check_labels(schema), duplicates, batch_rows)
    names = read.columns.get("division_name")
    fields, where = labelled_columns(read.columns, schema, division)
    return LabelledList(
        read.rows,
        read.items,
        read.verdicts,
        read.rejects,
        fields=fields,
        division=where,
        division_names={} if names is None else _division_names(where, names),
    )


def labelled_columns(
    columns: Mapping[str, Column], schema: ListSchema, division: str | None
) -> tuple[dict[str, Column], Column]:
    """Of a list's columns those of the labels, and the division of every row."""
    fields = {name: columns[name] for name in schema.field_names}
    rows = len(columns["division"]) if division is None else len(next(iter(fields.values())))
    return fields, columns["division"] if division is None else pa.repeat(pa.scalar(division), rows)


@dataclass(frozen=True, repr=False)
class ListRead(ListRows):
    """Any kind of list, with the columns that its check keeps."""

    columns: dict[str, Column]


def read_list(path: Path, mapping: ColumnMapping, check: Check, duplicates: Keep, batch_rows: int) -> ListRead:
    """Read a file into columns, refusing the rows that ``check`` finds fault with. Raises as read_table does."""
    parts: dict[str, list[Column]] = {}
    sifted = Sifted()
    for batch in sift_table(path, mapping, check, sifted, batch_rows):
        for name, column in batch.items():
            parts.setdefault(name, []).append(column)
    # Column by column, so that only one of them is held twice at a time.
    table = pa.table({name: pa.concat_arrays(parts.pop(name)) for name in list(parts)})
    table, repeated = drop_duplicates(table, duplicates, sifted.sheets)
    columns: dict[str, Column] = {name: table[name].combine_chunks() for name in table.column_names if name != "sheet"}
    rows, items, verdicts = (columns.pop(name) for name in ("row", "item", "verdict"))
    return ListRead(rows, data_of(items), data_of(verdicts), sifted.all_rejects(repeated), columns)


@dataclass(repr=False)
class Sifted:
    """What :func:`sift_table` found besides the good rows: the sheets so far, and the rows it refused."""

    sheets: list[str] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)

    def all_rejects(self, repeated: list[Reject]) -> list[Reject]:
        """The refused rows and the repeated ones in the file's order."""
        if not repeated:
            return self.rejects
        return sorted(self.rejects + repeated, key=lambda reject: (self.sheets.index(reject.sheet), reject.row))


def sift_table(
    path: Path, mapping: ColumnMapping, check: Check, sifted: Sifted, batch_rows: int = DEFAULT_BATCH_ROWS
) -> Iterator[dict[str, Column]]:
    """The good rows of a file in batches: the columns that ``check`` keeps, ``row``, ``item``, ``verdict`` and, as a
    number, ``sheet``. What else there is goes to ``sifted``. Raises as read_table does.
    """
    yield from sift_batches(read_table(path, mapping, batch_rows=batch_rows), check, sifted)


def sift_batches(batches: Iterable[TableBatch], check: Check, sifted: Sifted) -> Iterator[dict[str, Column]]:
    """The same of batches that come from anywhere."""
    for batch in batches:
        if batch.sheet not in sifted.sheets:
            sifted.sheets.append(batch.sheet)
        good, refused = _sift(batch, check)
        good["sheet"] = pa.repeat(pa.scalar(len(sifted.sheets) - 1, pa.uint16()), len(good["row"]))
        sifted.rejects += sorted(batch.rejects + refused)
        yield good


def _sift(batch: TableBatch, check: Check) -> tuple[dict[str, Column], list[Reject]]:
    """The good rows of a batch, and a Reject for every other."""
    numbers = batch.columns["number"]
    normalised = normalise(numbers)
    verdicts = pa.Array.from_buffers(pa.uint8(), len(normalised), [None, pa.py_buffer(normalised.verdicts)])
    columns, faults = check(batch.columns)
    columns |= {"row": batch.rows, "item": fixed(normalised.items, ITEM_BYTES), "verdict": verdicts}
    reasons = pc.coalesce(_REASON_BY_VERDICT.take(verdicts), faults)
    if reasons.null_count == len(reasons):
        return columns, []
    bad = pc.indices_nonzero(pc.is_valid(reasons))
    refused = zip(*(column.take(bad).to_pylist() for column in (batch.rows, reasons, numbers)), strict=True)
    rejects = [_reject(row, reason, number, batch.sheet) for row, reason, number in refused]
    good = pc.is_null(reasons)
    return {name: column.filter(good) for name, column in columns.items()}, rejects


def _reject(row: int, fault: str, number: str, sheet: str) -> Reject:
    reason, _, heading = fault.partition("/")
    return Reject(row, reason, mask(number), sheet, heading=heading)


def drop_duplicates(table: pa.Table, keep: Keep, sheets: list[str]) -> tuple[pa.Table, list[Reject]]:
    """A table of :func:`sift_table`'s columns, equal items in the file's order, with one row for each item."""
    items: Column = table["item"].combine_chunks()
    found = find_duplicates(items, keep)
    if not len(found.dropped):
        return table, []
    dropped, kept = table.take(found.dropped), table.take(found.kept)
    contents = set(table.column_names) - {"row", "item", "verdict", "sheet"}
    same: Column = pa.repeat(pa.scalar(True), len(dropped))  # also when a list has nothing but numbers
    for name in contents:
        same = pc.and_(same, pc.fill_null(pc.equal(dropped[name], kept[name]), True))
    places = zip(
        *(dropped[name].to_pylist() for name in ("row", "item", "sheet")),
        kept["row"].to_pylist(),
        pc.invert(same).to_pylist(),
        strict=True,
    )
    rejects = [
        Reject(row, "duplicate_differs" if differ else "duplicate", mask(item.decode("ascii")), sheets[sheet], kept_row)
        for row, item, sheet, kept_row, differ in places
    ]
    is_dropped = pc.is_in(pa.array(range(len(table)), pa.uint32()), value_set=found.dropped)
    return table.filter(pc.invert(is_dropped)), rejects


def _division_names(codes: Column, names: Column) -> dict[str, str]:
    pairs: Any = pa.table({"code": codes, "name": names}).group_by(["code", "name"], use_threads=False).aggregate([])
    found: dict[str, str] = {}
    for code, name in zip(pairs["code"].to_pylist(), pairs["name"].to_pylist(), strict=True):
        if name:
            found.setdefault(code, name)
    return found
