"""What a sender remembers of the rows it encoded under an epoch's key: enough to see what changed, no ID number.

For every row there is a keyed reference to the item, a keyed digest of its label, the version under which it is
published, its tag, and the last version that ever sealed a label for it. A row that changes, or comes back after it
was gone, gets a version above the last one, because a label key must never seal two plaintexts
(docs/reference/protocol.md section 2). So rows that left stay remembered until the epoch ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from psi import _native
from psi.columns import Column, find_positions, fixed, pc, required_schema, sorted_positions
from psi.edition import TAG_BYTES
from psi.errors import MingceError
from psi.identifiers import ITEM_BYTES

REFERENCE_BYTES = 16

STATE_SCHEMA = required_schema(
    {
        "ref": pa.binary(REFERENCE_BYTES),
        "digest": pa.binary(REFERENCE_BYTES),
        "version": pa.uint32(),
        "slice": pa.uint32(),
        "tag": pa.binary(TAG_BYTES),
        "live": pa.bool_(),
        "last": pa.uint32(),
    }
)


class EditionInconsistent(MingceError):
    """The remembered rows and the published slices disagree: one of them was damaged or replaced."""

    code = "edition_inconsistent"


def row_references(key: bytes, items: bytes | pa.Buffer) -> Column:
    """The keyed references of n*18 bytes of items."""
    return fixed(_native.keyed_references(key, items, ITEM_BYTES), REFERENCE_BYTES)


def empty_state() -> pa.Table:
    return STATE_SCHEMA.empty_table()


@dataclass(frozen=True)
class Remembered:
    """The rows of a full edition, and those that the delta edition over it remembers otherwise.

    Both are tables of STATE_SCHEMA ordered by ref. Nothing of ``base`` is copied, so that a delta over a large
    edition costs what it changes.
    """

    base: pa.Table
    changed: pa.Table

    @property
    def rows(self) -> pa.Table:
        """Every remembered row; those of ``base`` that ``changed`` has anew stand in it too."""
        return pa.concat_tables([self.base, self.changed])

    def find(self, references: Column) -> Column:
        """For each reference its place in :attr:`rows`, or null."""
        changed = pc.add(find_positions(_column(self.changed, "ref"), references), self.base.num_rows)
        places: Column = pc.coalesce(changed, find_positions(_column(self.base, "ref"), references))
        return places

    def live(self) -> Column:
        """Which of :attr:`rows` are published."""
        anew = pc.is_valid(find_positions(_column(self.changed, "ref"), _column(self.base, "ref")))
        base = pc.and_(_column(self.base, "live"), pc.invert(anew))
        return pa.concat_arrays([base, _column(self.changed, "live")])

    def count_live(self) -> int:
        return int(pc.sum(self.live().cast(pa.int64())).as_py() or 0)

    def replace(self, rows: pa.Table) -> Remembered:
        """The same over the same base, with ``rows`` instead of what was remembered of them."""
        return Remembered(self.base, merge(self.changed, rows))

    def concerning(self, references: Column) -> Remembered:
        """Only what is remembered of rows with these references (ascending, none twice)."""
        tables = (
            table.take(find_positions(_column(table, "ref"), references).drop_null()).combine_chunks()
            for table in (self.base, self.changed)
        )
        return Remembered(*tables)

    def whole(self) -> pa.Table:
        """All of it as one table ordered by ref: what a full edition remembers."""
        return merge(self.base, self.changed) if self.base.num_rows else self.changed


def merge(rows: pa.Table, newer: pa.Table) -> pa.Table:
    """``rows`` with ``newer`` in the place of those with the same ref, ordered by ref."""
    newer = newer.take(sorted_positions(_column(newer, "ref"))).combine_chunks()
    if not newer.num_rows or not rows.num_rows:
        return newer if newer.num_rows else rows
    other = pc.is_null(find_positions(_column(newer, "ref"), _column(rows, "ref")))
    merged = pa.concat_tables([rows.filter(other), newer])
    return merged.take(sorted_positions(_column(merged, "ref"))).combine_chunks()


def restore(earlier: Remembered, latest: Remembered) -> pa.Table:
    """What to remember when an earlier edition's rows are published again: those, and the versions used since.

    ``latest`` knows every row that ``earlier`` knows. A row that only ``latest`` knows is not live.
    """
    latest_rows = latest.whole()
    places = earlier.find(_column(latest_rows, "ref"))
    known = earlier.rows
    columns = {
        name: pc.coalesce(known[name].take(places).combine_chunks(), _column(latest_rows, name))
        for name in ("digest", "version", "slice", "tag")
    }
    live = pc.fill_null(known["live"].take(places).combine_chunks(), False)
    return pa.table(
        {"ref": latest_rows["ref"], **columns, "live": live, "last": latest_rows["last"]}, schema=STATE_SCHEMA
    )


def difference(rows: pa.Table, base: pa.Table) -> pa.Table:
    """Those of ``rows`` that ``base`` has not in the very same way."""
    places = find_positions(_column(base, "ref"), _column(rows, "ref"))
    same = pc.is_valid(places)
    for name in STATE_SCHEMA.names[1:]:
        equal = pc.equal(base[name].take(places).combine_chunks(), _column(rows, name))
        same = pc.and_(same, pc.fill_null(equal, False))
    return rows.filter(pc.invert(same))


def _column(table: pa.Table, name: str) -> Column:
    column: Column = table[name].combine_chunks()
    return column
