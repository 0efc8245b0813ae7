"""From a base list to encoded rows, doing again only what changed since the list before.

What was published before is known from psi.remembered; what is made here goes into slices by psi.slicing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from psi import _native
from psi.columns import Column, data_of, find_positions, fixed, pc
from psi.edition import TAG_BYTES, LabelSchema
from psi.errors import InputError
from psi.remembered import REFERENCE_BYTES, STATE_SCHEMA, Remembered, row_references

ITEM_BYTES = 18
BLOCK_ROWS = 131_072  # encoded at a time: what a block needs beside its results stays small

Progress = Callable[[int], object] | None


@dataclass(frozen=True)
class BaseRows:
    """A normalised base list: n*18 item bytes (no item twice), n labels, and the slice of each row."""

    items: bytes | pa.Buffer
    labels: bytes | pa.Buffer
    slices: Column

    def __len__(self) -> int:
        return len(self.slices)


@dataclass(frozen=True, repr=False)
class EncodingKeys:
    """The secrets of one epoch that encoding needs; ``receipt_keys`` by slice, empty for no receipts."""

    key: _native.SecretKey
    reference_key: bytes
    digest_key: bytes
    receipt_keys: Mapping[int, bytes]


@dataclass(frozen=True)
class Comparison:
    """A base list against the remembered rows. The columns follow the base list's order, but for ``gone``."""

    references: Column
    digests: Column
    unchanged: Column
    versions: Column
    gone: Column  # places in Remembered.rows of the rows that left
    added: int
    changed: int

    @property
    def removed(self) -> int:
        return len(self.gone)

    @property
    def kept(self) -> int:
        return len(self.unchanged) - self.added - self.changed

    @property
    def changes(self) -> int:
        return self.added + self.changed + self.removed

    def to_encode(self) -> Column:
        """Positions in the base list of the rows that need the key."""
        positions: Column = pc.indices_nonzero(pc.invert(self.unchanged)).cast(pa.uint32())
        return positions


@dataclass(frozen=True)
class Encoded:
    """Rows just made, in the order of :meth:`Comparison.to_encode`."""

    tags: Column
    versions: Column
    sealed_labels: Column


def compare(remembered: Remembered, rows: BaseRows, keys: EncodingKeys, label: LabelSchema) -> Comparison:
    """What a base list changes with respect to the remembered rows."""
    references = row_references(keys.reference_key, rows.items)
    digests = _row_digests(rows, keys.digest_key, label)
    places = remembered.find(references)
    known = remembered.rows

    def old(name: str, default: int) -> Column:
        column: Column = pc.fill_null(known[name].take(places).combine_chunks(), pa.scalar(default, known[name].type))
        return column

    live = pc.fill_null(known["live"].take(places).combine_chunks(), False)
    same = pc.fill_null(pc.equal(known["digest"].take(places).combine_chunks(), digests), False)
    unchanged = pc.and_(pc.and_(live, same), pc.equal(old("slice", 0), rows.slices))
    next_versions = pc.add(old("last", 0), pa.scalar(1, pa.uint32()))
    was_live = _count(live)
    return Comparison(
        references=references,
        digests=digests,
        unchanged=unchanged,
        versions=pc.if_else(unchanged, old("version", 0), next_versions),
        gone=_gone(remembered, references, was_live),
        added=len(rows) - was_live,
        changed=was_live - _count(unchanged),
    )


def encode_changed(
    comparison: Comparison,
    rows: BaseRows,
    keys: EncodingKeys,
    label: LabelSchema,
    *,
    dataset: str,
    epoch: str,
    threads: int = 0,
    progress: Progress = None,
) -> Encoded:
    """Tags and sealed labels of ``comparison.to_encode()``, a block at a time. Raises InputError."""
    chosen = comparison.to_encode()
    index = _receipt_key_index(rows.slices.take(chosen), keys)
    versions = comparison.versions.take(chosen)
    tags, sealed = bytearray(len(chosen) * TAG_BYTES), bytearray(len(chosen) * label.sealed_width)
    for start in range(0, len(chosen), BLOCK_ROWS):
        block = slice(start, min(start + BLOCK_ROWS, len(chosen)))
        order = data_of(chosen[block])
        new_tags, new_sealed = _native.encode_rows(
            keys.key,
            _native.take_rows(rows.items, ITEM_BYTES, order),
            ITEM_BYTES,
            dataset=dataset,
            epoch=epoch,
            versions=data_of(versions[block]),
            labels=_native.take_rows(rows.labels, label.width, order),
            label_width=label.width,
            receipt_keys=[keys.receipt_keys[division] for division in sorted(keys.receipt_keys)],
            receipt_key_index=b"" if index is None else data_of(index[block]),
            threads=threads,
            progress=progress and _shifted(progress, start),
        )
        tags[block.start * TAG_BYTES : block.stop * TAG_BYTES] = new_tags
        sealed[block.start * label.sealed_width : block.stop * label.sealed_width] = new_sealed
    return Encoded(fixed(pa.py_buffer(tags), TAG_BYTES), versions, fixed(pa.py_buffer(sealed), label.sealed_width))


def changed_rows(remembered: Remembered, comparison: Comparison, rows: BaseRows, encoded: Encoded) -> pa.Table:
    """What to remember anew (STATE_SCHEMA, in no order): the rows just encoded, and those that left, not live."""
    chosen = comparison.to_encode()
    present = pa.table(
        [
            comparison.references.take(chosen),
            comparison.digests.take(chosen),
            encoded.versions,
            rows.slices.take(chosen),
            encoded.tags,
            pa.repeat(True, len(chosen)),
            encoded.versions,
        ],
        schema=STATE_SCHEMA,
    )
    gone = remembered.rows.take(comparison.gone)
    place = STATE_SCHEMA.get_field_index("live")
    gone = gone.set_column(place, STATE_SCHEMA.field("live"), pa.repeat(False, gone.num_rows))
    return pa.concat_tables([present, gone])


def _gone(remembered: Remembered, references: Column, was_live: int) -> Column:
    live = remembered.live()
    if _count(live) == was_live:
        return pa.array([], pa.uint64())
    listed = _native.take_rows(data_of(references), REFERENCE_BYTES, _native.sort_order(data_of(references), 16))
    missing = pc.is_null(find_positions(pa.py_buffer(listed), remembered.rows["ref"].combine_chunks()))
    places: Column = pc.indices_nonzero(pc.and_(live, missing))
    return places


def _receipt_key_index(slices: Column, keys: EncodingKeys) -> Column | None:
    """For each row the place of its division's key among the divisions in order; None without receipts."""
    if not keys.receipt_keys:
        return None
    index: Column = pc.index_in(slices, pa.array(sorted(keys.receipt_keys), pa.uint32())).cast(pa.uint16())
    if index.null_count:
        raise InputError("a row's division has no receipt key")
    return index


def _shifted(progress: Callable[[int], object], start: int) -> Callable[[int], object]:
    return lambda done: progress(start + done)


def _row_digests(rows: BaseRows, key: bytes, label: LabelSchema) -> Column:
    # A receipt is exactly a keyed digest of (item, label); here it stays inside the sender's own store.
    digests = _native.receipts(
        key, rows.items, ITEM_BYTES, bytes(4 * len(rows)), rows.labels, label.width, dataset="-", epoch="-"
    )
    return fixed(digests, REFERENCE_BYTES)


def _count(mask: Column | pa.ChunkedArray[Any]) -> int:
    return int(pc.sum(mask.cast(pa.int64())).as_py() or 0)
