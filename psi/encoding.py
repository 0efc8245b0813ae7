"""From a base list to the rows of an edition, doing again only what changed.

The sender remembers for every row it ever encoded under an epoch's key a keyed
reference to the item, a keyed digest of its label, the row's version and its tag
(:data:`STATE_SCHEMA`): enough to see what changed, and no ID number.

A row that changes, or comes back after it was gone, gets a new version, because a
label key must never seal two plaintexts (docs/reference/protocol.md section 2). So
rows that left stay in the state until the epoch ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from psi import _native
from psi.columns import Column, data_of, find_positions, fixed, pc, required_schema, sorted_positions, uint32
from psi.edition import TAG_BYTES, LabelSchema, Slice, sorted_slice
from psi.errors import InputError, MingceError

ITEM_BYTES = 18
REFERENCE_BYTES = 16

STATE_SCHEMA = required_schema(
    {
        "ref": pa.binary(REFERENCE_BYTES),
        "digest": pa.binary(REFERENCE_BYTES),
        "version": pa.uint32(),
        "slice": pa.uint32(),
        "tag": pa.binary(TAG_BYTES),
        "live": pa.bool_(),
    }
)

Progress = Callable[[int], object] | None


class EditionInconsistent(MingceError):
    """The remembered rows and the published slices disagree: one of them was damaged or replaced."""

    code = "edition_inconsistent"


@dataclass(frozen=True)
class BaseRows:
    """A normalised base list: n*18 item bytes (no item twice), n labels, and the slice of each row."""

    items: bytes
    labels: bytes
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
    """A base list against the remembered rows. All columns follow the base list's order."""

    references: Column
    digests: Column
    old_rows: Column  # the remembered row of each item, or null
    unchanged: Column
    versions: Column
    added: int
    changed: int
    removed: int

    @property
    def kept(self) -> int:
        return len(self.unchanged) - self.added - self.changed

    @property
    def is_same(self) -> bool:
        return not (self.added or self.changed or self.removed)

    def to_encode(self) -> Column:
        """Positions in the base list of the rows that need the key."""
        positions: Column = pc.indices_nonzero(pc.invert(self.unchanged)).cast(pa.uint32())
        return positions


def empty_state() -> pa.Table:
    return STATE_SCHEMA.empty_table()


def compare(state: pa.Table, rows: BaseRows, keys: EncodingKeys, label: LabelSchema) -> Comparison:
    """What a base list changes with respect to the remembered ``state`` (ordered by ref)."""
    references = fixed(_native.keyed_references(keys.reference_key, rows.items, ITEM_BYTES), REFERENCE_BYTES)
    digests = _row_digests(rows, keys.digest_key, label)
    old_rows = find_positions(state["ref"].combine_chunks(), references)
    known = pc.is_valid(old_rows)
    live = pc.fill_null(state["live"].take(old_rows), False).combine_chunks()
    same = pc.fill_null(pc.equal(state["digest"].take(old_rows).combine_chunks(), digests), False)
    unchanged = pc.and_(live, same)
    old_versions = pc.fill_null(state["version"].take(old_rows).combine_chunks(), 0)
    versions = pc.if_else(unchanged, old_versions, pc.add(old_versions, pa.scalar(1, pa.uint32())))
    kept = _count(unchanged)
    was_live = _count(pc.and_(known, live))
    return Comparison(
        references=references,
        digests=digests,
        old_rows=old_rows,
        unchanged=unchanged,
        versions=versions,
        added=len(rows) - was_live,
        changed=was_live - kept,
        removed=_count(state["live"]) - was_live,
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
) -> tuple[Column, Column]:
    """Tags and sealed labels of ``comparison.to_encode()``, in that order."""
    chosen = comparison.to_encode()
    order = data_of(chosen)
    divisions = sorted(keys.receipt_keys)
    index = (
        pc.index_in(rows.slices.take(chosen), pa.array(divisions, pa.uint32())).cast(pa.uint16()) if divisions else None
    )
    if index is not None and index.null_count:
        raise InputError("a row's division has no receipt key")
    tags, sealed = _native.encode_rows(
        keys.key,
        _native.take_rows(rows.items, ITEM_BYTES, order),
        ITEM_BYTES,
        dataset=dataset,
        epoch=epoch,
        versions=data_of(comparison.versions.take(chosen)),
        labels=_native.take_rows(rows.labels, label.width, order),
        label_width=label.width,
        receipt_keys=[keys.receipt_keys[division] for division in divisions],
        receipt_key_index=b"" if index is None else data_of(index),
        threads=threads,
        progress=progress,
    )
    return fixed(tags, TAG_BYTES), fixed(sealed, label.sealed_width)


def all_tags(state: pa.Table, comparison: Comparison, new_tags: Column) -> Column:
    """The tag of every base row: a remembered one, or the one just made."""
    old = state["tag"].take(comparison.old_rows).combine_chunks()
    place = pc.subtract(pc.cumulative_sum(pc.invert(comparison.unchanged).cast(pa.int64())), 1)
    place = pc.if_else(comparison.unchanged, pa.scalar(None, pa.int64()), place)
    tags: Column = pc.if_else(comparison.unchanged, old, new_tags.take(place))
    return tags


def next_state(state: pa.Table, comparison: Comparison, rows: BaseRows, tags: Column) -> pa.Table:
    """What to remember after this edition, ordered by ref: the base rows, and those that left (not live)."""
    present = pa.table(
        [
            comparison.references,
            comparison.digests,
            comparison.versions,
            rows.slices,
            tags,
            pa.repeat(True, len(rows)),
        ],
        schema=STATE_SCHEMA,
    )
    still_there = pc.is_in(
        pa.array(range(state.num_rows), pa.int64()) if state.num_rows else pa.array([], pa.int64()),
        comparison.old_rows.drop_null(),
    )
    gone = state.filter(pc.invert(still_there))
    gone = gone.set_column(5, STATE_SCHEMA.field("live"), pa.repeat(False, gone.num_rows))
    merged = pa.concat_tables([present, gone]).combine_chunks()
    return merged.take(sorted_positions(merged["ref"].combine_chunks()))


def build_slices(
    state: pa.Table,
    comparison: Comparison,
    rows: BaseRows,
    tags: Column,
    new_sealed: Column,
    old_slices: Mapping[int, Slice],
    label: LabelSchema,
    *,
    bucket: int,
    random_bytes: Callable[[int], bytes],
) -> Iterator[tuple[int, Slice]]:
    """Each slice of the new edition, one at a time and in order, padded to a multiple of ``bucket``.

    ``old_slices`` are those of the edition that ``state`` belongs to. Dummy rows of the old
    slice are kept as far as they are needed, so that they do not show as changes.
    Raises EditionInconsistent.
    """
    encoded_slices = rows.slices.take(comparison.to_encode())
    for division in sorted(pc.unique(rows.slices).to_pylist()):
        old = old_slices.get(division)
        parts = _parts(comparison, rows, tags, new_sealed, encoded_slices, division, old, label)
        missing = -sum(len(part[0]) for part in parts) % bucket
        parts.append(_dummies(old, state, division, missing, label, random_bytes))
        yield division, _joined(parts, label)


def _parts(
    comparison: Comparison,
    rows: BaseRows,
    tags: Column,
    new_sealed: Column,
    encoded_slices: Column,
    division: int,
    old: Slice | None,
    label: LabelSchema,
) -> list[Part]:
    """A slice's unchanged rows, and those just encoded."""
    here = pc.equal(rows.slices, division)
    kept = pc.and_(here, comparison.unchanged)
    fresh = pc.and_(here, pc.invert(comparison.unchanged))
    return [
        _carried(old, tags.filter(kept), comparison.versions.filter(kept), label),
        (
            tags.filter(fresh),
            comparison.versions.filter(fresh),
            new_sealed.filter(pc.equal(encoded_slices, division)),
        ),
    ]


def _joined(parts: list[Part], label: LabelSchema) -> Slice:
    """The parts as one slice. Empties the list as it goes: a county's labels need not be in memory three times."""
    tag_data, version_data, sealed_data = (
        data_of(pa.concat_arrays(list(column))) for column in zip(*parts, strict=True)
    )
    parts.clear()
    return sorted_slice(tag_data, version_data, sealed_data, label.width)


Part = tuple[Column, Column, Column]


def _carried(old: Slice | None, tags: Column, versions: Column, label: LabelSchema) -> Part:
    """Unchanged rows with their sealed labels as they were published."""
    if not len(tags):
        return tags, versions, fixed(b"", label.sealed_width)
    positions = find_positions(old.tags, tags) if old is not None else pa.nulls(len(tags), pa.int64())
    if positions.null_count or old is None:
        raise EditionInconsistent("a remembered row is not in the published slice")
    return tags, versions, fixed(old.sealed_labels, label.sealed_width).take(positions)


def _dummies(
    old: Slice | None,
    state: pa.Table,
    division: int,
    wanted: int,
    label: LabelSchema,
    random_bytes: Callable[[int], bytes],
) -> Part:
    """``wanted`` dummy rows: first those of the old slice, then new ones."""
    tags, sealed = fixed(b"", TAG_BYTES), fixed(b"", label.sealed_width)
    if old is not None:
        real = state.filter(pc.and_(state["live"], pc.equal(state["slice"], division)))["tag"].combine_chunks()
        positions = find_positions(old.tags, real)
        if positions.null_count:
            raise EditionInconsistent("a remembered row is not in the published slice")
        everything = pa.array(range(old.rows), pa.int64())
        spare = everything.filter(pc.invert(pc.is_in(everything, positions)))[:wanted]
        tags = fixed(old.tags, TAG_BYTES).take(spare)
        sealed = fixed(old.sealed_labels, label.sealed_width).take(spare)
    more = wanted - len(tags)
    tags = pa.concat_arrays([tags, fixed(random_bytes(more * TAG_BYTES), TAG_BYTES)])
    sealed = pa.concat_arrays([sealed, fixed(random_bytes(more * label.sealed_width), label.sealed_width)])
    return tags, uint32((1).to_bytes(4, "little") * wanted), sealed


def _row_digests(rows: BaseRows, key: bytes, label: LabelSchema) -> Column:
    # A receipt is exactly a keyed digest of (item, label); here it stays inside the sender's own store.
    digests = _native.receipts(
        key, rows.items, ITEM_BYTES, bytes(4 * len(rows)), rows.labels, label.width, dataset="-", epoch="-"
    )
    return fixed(digests, REFERENCE_BYTES)


def _count(mask: Column | pa.ChunkedArray[Any]) -> int:
    return int(pc.sum(mask.cast(pa.int64())).as_py() or 0)
