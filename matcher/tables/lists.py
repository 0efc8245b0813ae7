"""The two lists of a match, as contiguous columns: a bank's customers and a province's base list."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from matcher.columns import BASE_LIST_COLUMNS, CUSTOMER_COLUMNS, ColumnMapping
from matcher.rejects import Reject
from matcher.tables.batch import DEFAULT_BATCH_ROWS, TableBatch
from matcher.tables.checks import Check, check_base_row, check_customer
from matcher.tables.duplicates import Keep, find_duplicates
from matcher.tables.reader import read_table
from psi.columns import data_of, fixed
from psi.identifiers import ITEM_BYTES, Verdict, mask, normalise

# The reason code of each verdict byte, null for the usable ones.
_REFUSALS = {verdict.value: verdict.code for verdict in Verdict if not verdict.is_usable}
_REASON_BY_VERDICT = pa.array([_REFUSALS.get(value) for value in range(256)], pa.string())


@dataclass(frozen=True, repr=False)
class _List:
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
class CustomerList(_List):
    """A bank's customers, with the names as the bank writes them."""

    names: pa.StringArray


@dataclass(frozen=True, repr=False)
class BaseList(_List):
    """A province's base list, with the label fields of docs/reference/edition.md as strings.

    ``expanding`` is ``1`` or ``0``; ``reasons`` are codes joined by ``,`` (matcher.reasons.for_bank_column
    gives what a bank may see of them); ``division_names`` is what the file says of its divisions.
    """

    household_no: pa.StringArray
    household_size: pa.StringArray
    division: pa.StringArray
    expanding: pa.StringArray
    reasons: pa.StringArray
    division_names: dict[str, str]


def read_customers(
    path: Path,
    mapping: ColumnMapping = CUSTOMER_COLUMNS,
    *,
    duplicates: Keep = "first",
    batch_rows: int = DEFAULT_BATCH_ROWS,
) -> CustomerList:
    """Read a bank's customer list. Raises as read_table does."""
    read = _read_list(path, mapping, check_customer, duplicates, batch_rows)
    return CustomerList(read.rows, read.items, read.verdicts, read.rejects, names=read.columns["name"])


def read_base_list(
    path: Path,
    mapping: ColumnMapping = BASE_LIST_COLUMNS,
    *,
    duplicates: Keep = "first",
    batch_rows: int = DEFAULT_BATCH_ROWS,
) -> BaseList:
    """Read a province's base list. Raises as read_table does."""
    read = _read_list(path, mapping, check_base_row, duplicates, batch_rows)
    names = read.columns.pop("division_name", None)
    division_names = _division_names(read.columns["division"], names) if names is not None else {}
    return BaseList(read.rows, read.items, read.verdicts, read.rejects, **read.columns, division_names=division_names)


@dataclass(frozen=True, repr=False)
class _Read(_List):
    columns: dict[str, pa.Array[Any]]


def _read_list(path: Path, mapping: ColumnMapping, check: Check, duplicates: Keep, batch_rows: int) -> _Read:
    parts: list[pa.Table] = []
    rejects: list[Reject] = []
    sheets: list[str] = []
    for batch in read_table(path, mapping, batch_rows=batch_rows):
        good, refused = _sift(batch, check)
        if batch.sheet not in sheets:
            sheets.append(batch.sheet)
        parts.append(good.append_column("sheet", pa.repeat(pa.scalar(len(sheets) - 1, pa.int32()), len(good))))
        rejects += sorted(batch.rejects + refused)
    table = pa.concat_tables(parts).combine_chunks()
    table, repeated = _drop_duplicates(table, duplicates, sheets)
    if repeated:
        rejects = sorted(rejects + repeated, key=lambda reject: (sheets.index(reject.sheet), reject.row))
    columns = {name: _whole(table[name]) for name in table.column_names}
    rows, items, verdicts = columns.pop("row"), columns.pop("item"), columns.pop("verdict")
    del columns["sheet"]
    return _Read(rows, data_of(items), data_of(verdicts), rejects, columns)


def _sift(batch: TableBatch, check: Check) -> tuple[pa.Table, list[Reject]]:
    """The good rows of a batch, and a Reject for every other."""
    numbers = batch.columns["number"]
    normalised = normalise(numbers)
    verdicts = pa.Array.from_buffers(pa.uint8(), len(normalised), [None, pa.py_buffer(normalised.verdicts)])
    columns, faults = check(batch.columns)
    reasons = pc.coalesce(_REASON_BY_VERDICT.take(verdicts), faults)
    table = pa.table({"row": batch.rows, "item": fixed(normalised.items, ITEM_BYTES), "verdict": verdicts, **columns})
    if not reasons.null_count < len(reasons):
        return table, []
    bad = pc.indices_nonzero(pc.is_valid(reasons))
    rejects = [
        Reject(row, reason, mask(number), batch.sheet)
        for row, reason, number in zip(
            batch.rows.take(bad).to_pylist(), reasons.take(bad).to_pylist(), numbers.take(bad).to_pylist(), strict=True
        )
    ]
    return table.filter(pc.is_null(reasons)), rejects


def _drop_duplicates(table: pa.Table, keep: Keep, sheets: list[str]) -> tuple[pa.Table, list[Reject]]:
    items = _whole(table["item"])
    found = find_duplicates(items, keep)
    if not len(found.dropped):
        return table, []
    dropped, kept = table.take(found.dropped), table.take(found.kept)
    contents = [name for name in table.column_names if name not in ("row", "item", "verdict", "sheet")]
    differs = [False] * len(dropped)
    for name in contents:
        unequal = pc.not_equal(dropped[name], kept[name]).to_pylist()
        differs = [before or now for before, now in zip(differs, unequal, strict=True)]
    rejects = [
        Reject(row, "duplicate_differs" if differ else "duplicate", mask(item.decode("ascii")), sheets[sheet], kept_row)
        for row, differ, item, sheet, kept_row in zip(
            dropped["row"].to_pylist(),
            differs,
            dropped["item"].to_pylist(),
            dropped["sheet"].to_pylist(),
            kept["row"].to_pylist(),
            strict=True,
        )
    ]
    keep_mask = pc.invert(pc.is_in(pa.array(range(len(table)), pa.uint32()), value_set=found.dropped))
    return table.filter(keep_mask), rejects


def _whole(column: pa.ChunkedArray[Any]) -> pa.Array[Any]:
    """One array, starting at offset 0."""
    whole = column.combine_chunks()
    return pa.concat_arrays(whole.chunks) if isinstance(whole, pa.ChunkedArray) else whole


def _division_names(codes: pa.Array[Any], names: pa.Array[Any]) -> dict[str, str]:
    pairs = pa.table({"code": codes, "name": names}).group_by(["code", "name"], use_threads=False).aggregate([])
    found: dict[str, str] = {}
    for code, name in zip(pairs["code"].to_pylist(), pairs["name"].to_pylist(), strict=True):
        if name:
            found.setdefault(code, name)
    return found
