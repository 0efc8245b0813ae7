"""The rows of a list as they are encoded: made from its columns, put together, and sealed on disk a part at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from keys.files import write_atomic
from matcher.province.plan import DatasetPlan
from matcher.province.spill import pack, unpack
from matcher.reasons import for_bank_column
from matcher.schemas import ListSchema
from matcher.sealing import Sealer
from matcher.tables.lists import LabelledList, labelled_columns
from psi.columns import Column, data_of, fixed, pc
from psi.edition import LabelSchema, pack_labels
from psi.encoding import ITEM_BYTES, BaseRows

_SHEET_BITS = 40  # rows of a sheet have fewer bits


def label_rows(listed: LabelledList, schema: ListSchema, label: LabelSchema) -> BaseRows:
    """A list as it is encoded: items, packed labels as a receiver may see them, and the slice of each row."""
    return labelled_rows(listed.items, listed.fields, listed.division, schema, label)


def rows_of_table(plan: DatasetPlan, table: pa.Table, names: dict[tuple[str, str], int]) -> BaseRows:
    """Checked rows of a list as they are encoded. ``names`` are noted as :func:`note_names` does."""
    columns: dict[str, Column] = {name: table[name].combine_chunks() for name in table.column_names}
    fields, division = labelled_columns(columns, plan.schema, plan.division)
    note_names(names, table, division)
    return labelled_rows(data_of(columns["item"]), fields, division, plan.schema, plan.label)


def labelled_rows(
    items: pa.Buffer, fields: dict[str, Column], division: Column, schema: ListSchema, label: LabelSchema
) -> BaseRows:
    """Columns of a list as they are encoded."""
    fields = dict(fields)
    for each in schema.fields:
        if each.type == "reasons" and "bank" in schema.receivers:
            fields[each.name] = for_bank_column(fields[each.name])
    labels = pack_labels([fields[name] for name in label.fields], label.width)
    return BaseRows(items, labels, pc.utf8_slice_codeunits(division, 0, 6).cast(pa.uint32()))


def note_names(names: dict[tuple[str, str], int], table: pa.Table, division: Column) -> None:
    """For each division's code and name the place of the first row that has them."""
    if "division_name" not in table.column_names:
        return
    place = pc.add(pc.shift_left(table["sheet"].cast(pa.int64()), _SHEET_BITS), table["row"])
    pairs: Any = pa.table({"code": division, "name": table["division_name"], "place": place})
    for row in pairs.group_by(["code", "name"]).aggregate([("place", "min")]).to_pylist():
        pair = (row["code"], row["name"])
        names[pair] = min(row["place_min"], names.get(pair, row["place_min"]))


def first_names(names: dict[tuple[str, str], int]) -> dict[str, str]:
    """The name that a division has first in the file, in the file's order."""
    found: dict[str, str] = {}
    for code, name in sorted(names, key=names.__getitem__):
        if name:
            found.setdefault(code, name)
    return found


def count_divisions(counts: dict[int, int], rows: BaseRows) -> None:
    """Add how many of these rows are in each division."""
    for value in pc.value_counts(rows.slices).to_pylist():
        counts[value["values"]] = counts.get(value["values"], 0) + value["counts"]


def choose_rows(rows: BaseRows, order: Column, width: int) -> BaseRows:
    """Some of the rows, by their positions; ``width`` is the label's."""
    items, labels = fixed(bytes(rows.items), ITEM_BYTES), fixed(bytes(rows.labels), width)
    return BaseRows(data_of(items.take(order)), data_of(labels.take(order)), rows.slices.take(order))


def join_rows(rows: BaseRows, more: BaseRows) -> BaseRows:
    """Both lists' rows."""
    return BaseRows(
        bytes(rows.items) + bytes(more.items),
        bytes(rows.labels) + bytes(more.labels),
        pa.concat_arrays([rows.slices, more.slices]),
    )


def write_part(folder: Path, sealer: Sealer, key: str, part: int, rows: BaseRows, label_width: int) -> None:
    """Seal a part of the list with this key into a folder, for :func:`read_part`."""
    write_atomic(folder / f"rows-{part}", sealer.seal(pack_rows(rows, label_width), "rows", key, str(part)))


def read_part(folder: Path, sealer: Sealer, key: str, part: int) -> BaseRows:
    """Raises SealedDataDamaged, OSError."""
    return unpack_rows(sealer.open((folder / f"rows-{part}").read_bytes(), "rows", key, str(part)))


def pack_rows(rows: BaseRows, label_width: int) -> bytes:
    """For :func:`unpack_rows`."""
    names = ["item", "label", "slice"]
    columns = [fixed(rows.items, ITEM_BYTES), fixed(rows.labels, label_width), rows.slices]
    return pack(pa.table(columns, names=names))


def unpack_rows(content: bytes) -> BaseRows:
    table = unpack(content)
    return BaseRows(data_of(table["item"]), data_of(table["label"]), table["slice"].combine_chunks())
