"""Slices of an edition straight from sorted runs on disk, a range of tags at a time: memory does not grow with it.

A tag and a version name one sealed label for ever, so wherever both are found, the label is the right one. Tags are
spread evenly, so equal ranges of them hold about as many rows each; the blocks made of one range after another are
the slice in its order. What is written depends on the rows and the noise alone, not on how they came into runs.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from psi import _native
from psi.columnfile import ColumnFile
from psi.columns import Column, data_of, find_positions, pc, required_schema, uint32
from psi.edition import TAG_BYTES, TOMBSTONE, LabelSchema, Slice, order_tags
from psi.encoding import Encoded
from psi.pieces import PieceBuilder, Source
from psi.remembered import Remembered

BLOCK_ROWS = 524_288  # rows of all runs and earlier slices that are looked at together
NOWHERE = 0xFFFF_FFFF  # the division of a row that is remembered, but not in the edition

ENTRY_SCHEMA = required_schema({"tag": pa.binary(TAG_BYTES), "slice": pa.uint32(), "version": pa.uint32()})

RandomBytes = Callable[[int], bytes]
Noise = Callable[[str], RandomBytes]
"""From a name to an endless stream of bytes that nobody tells from random ones, the same whenever asked anew."""


def sealed_schema(label: LabelSchema) -> pa.Schema:
    """Rows just encoded, as they wait in a run for their place in a slice."""
    return required_schema(
        {"tag": pa.binary(TAG_BYTES), "version": pa.uint32(), "sealed_label": pa.binary(label.sealed_width)}
    )


def sealed_run(encoded: Encoded) -> list[Column]:
    """The columns of :func:`sealed_schema`, in the order of the tags."""
    order = uint32(_native.sort_order(data_of(encoded.tags), TAG_BYTES))
    columns: Sequence[Column] = (encoded.tags, encoded.versions, encoded.sealed_labels)
    return [_take(column, order) for column in columns]


def full_entries(state: pa.Table) -> pa.Table:
    """What a full edition holds of the remembered rows (ENTRY_SCHEMA, by tag), and those it only has to know."""
    state = state.combine_chunks()
    where = pc.if_else(_column(state, "live"), _column(state, "slice"), pa.scalar(NOWHERE, pa.uint32()))
    return _entries(_column(state, "tag"), where, _column(state, "version"))


def delta_entries(remembered: Remembered) -> pa.Table:
    """What a delta edition holds: rows that its base has not so, a tombstone where one left; and those only known."""
    base, changed = remembered.base.combine_chunks(), remembered.changed.combine_chunks()
    base = base.take(find_positions(_column(base, "ref"), _column(changed, "ref")))
    tags, slices = _column(changed, "tag"), _column(changed, "slice")
    was_live, is_live = pc.fill_null(_column(base, "live"), False), _column(changed, "live")
    stayed = pc.and_(pc.and_(was_live, is_live), pc.fill_null(pc.equal(_column(base, "slice"), slices), False))
    untouched = pc.and_(stayed, pc.fill_null(pc.equal(_column(base, "version"), _column(changed, "version")), False))
    new = pc.and_(is_live, pc.invert(untouched))
    left = pc.and_(was_live, pc.invert(stayed))
    neither = pc.invert(pc.or_(new, left))
    return _entries(
        pa.concat_arrays([tags.filter(new), tags.filter(left), tags.filter(neither)]),
        pa.concat_arrays(
            [
                slices.filter(new),
                _column(base, "slice").filter(left),
                pa.repeat(pa.scalar(NOWHERE, pa.uint32()), _count(neither)),
            ]
        ),
        pa.concat_arrays(
            [
                _column(changed, "version").filter(new),
                pa.repeat(pa.scalar(TOMBSTONE, pa.uint32()), _count(left)),
                _column(changed, "version").filter(neither),
            ]
        ),
    )


class SliceBuilder:
    """The slices of one edition, from runs ordered by tag.

    ``entries`` (ENTRY_SCHEMA) say which tag and version is in which division, ``sealed`` (sealed_schema) are the rows
    just encoded, ``earlier`` the slices to carry rows over from, for each division those to ask first in front: of
    them dummies are kept as far as they are needed, so that they do not show as changes.
    """

    def __init__(
        self,
        entries: Sequence[ColumnFile],
        sealed: Sequence[ColumnFile],
        earlier: Mapping[int, Sequence[ColumnFile]],
        label: LabelSchema,
        *,
        bucket: int,
        noise: Noise,
        block_rows: int = BLOCK_ROWS,
    ) -> None:
        self._label = label
        self._bucket = bucket
        self._noise = noise
        self._earlier = earlier
        rows = sum(map(len, (*entries, *sealed, *(layer for layers in earlier.values() for layer in layers))))
        bounds = _bounds(-(-rows // block_rows))
        self._entries, self._sealed = _Runs(entries, bounds), _Runs(sealed, bounds)
        self._layers = {division: [_Runs([layer], bounds) for layer in layers] for division, layers in earlier.items()}
        self._blocks = len(bounds) + 1
        self._counts = _count_entries(entries)

    @property
    def rows_to_write(self) -> dict[int, int]:
        """By division in order, the rows of its slice with its dummies: a multiple of the bucket, at least one.

        A division that everybody left keeps a slice of dummies: who looks there finds nobody, rather than nothing.
        """
        divisions = sorted({*self._counts, *self._earlier})
        return {each: max(-(-self._counts.get(each, 0) // self._bucket), 1) * self._bucket for each in divisions}

    def build(self) -> Iterator[tuple[int, Slice]]:
        """The next rows of each division's slice, again and again until all :attr:`rows_to_write` are there.

        Raises EditionInconsistent, InputError if two rows of a slice share one tag.
        """
        wanted = self.rows_to_write
        spares = self._find_spares({each: rows - self._counts.get(each, 0) for each, rows in wanted.items()})
        fillings = {division: self._fill(division, spares[division]) for division in wanted}
        for block in range(self._blocks):
            entries = self._entries.read(block)
            fresh = _fresh(self._sealed.read(block))
            known = _by_division(entries)
            for division in wanted:
                piece = self._build_piece(block, division, known.get(division), fresh, fillings[division])
                if piece.rows:
                    yield division, piece

    def _build_piece(
        self, block: int, division: int, entries: pa.Table | None, fresh: Source, filling: _Filling
    ) -> Slice:
        layers = [_carried(layer.read(block)) for layer in self._layers.get(division, [])]
        builder = PieceBuilder([fresh, *layers], self._label)
        if entries is not None:
            gone = pc.equal(entries["version"], TOMBSTONE)
            rows = entries.filter(pc.invert(gone))
            builder.add_rows(_column(rows, "tag"), _column(rows, "version"))
            tombs = _column(entries.filter(gone), "tag")
            labels = filling.tombstone_labels(len(tombs) * self._label.sealed_width)
            builder.add_given(tombs, TOMBSTONE, labels)
        carried = zip(self._layers.get(division, []), filling.spares, strict=True)
        for number, (runs, spare) in enumerate(carried, start=1):
            builder.add_taken(number, runs.within(spare, block))
        builder.add_given(*filling.new_within(self._entries.bounds, block))
        return builder.finish()

    def _find_spares(self, wanted: Mapping[int, int]) -> dict[int, _Spares]:
        """Of each earlier slice the first dummies in it, as many as are wanted: the rows whose tag is not an entry."""
        spares = {division: _Spares(len(self._earlier.get(division, ()))) for division in wanted}
        for block in range(self._blocks if self._earlier else 0):
            known = _sorted(_column(self._entries.read(block), "tag"))
            for division, layers in self._layers.items():
                for number, layer in enumerate(layers):
                    missing = wanted[division] - len(spares[division].found[number])
                    if missing > 0:
                        tags = layer.read_column("tag", block)
                        unknown = pc.indices_nonzero(pc.is_null(find_positions(pa.py_buffer(known), tags)))
                        start = layer.start(block)
                        spares[division].found[number] += [start + row for row in unknown[:missing].to_pylist()]
        for division, found in spares.items():
            found.keep(wanted[division])
        return spares

    def _fill(self, division: int, spares: _Spares) -> _Filling:
        random_bytes = self._noise(f"dummies {division:06d}")
        rows = spares.missing
        order, tags = order_tags(random_bytes(rows * TAG_BYTES))
        labels = _native.take_rows(random_bytes(rows * self._label.sealed_width), self._label.sealed_width, order)
        return _Filling(
            [pa.array(found, pa.int64()) for found in spares.found],
            [tags[row * TAG_BYTES : (row + 1) * TAG_BYTES] for row in range(rows)],
            labels,
            self._label.sealed_width,
            self._noise(f"tombstones {division:06d}"),
        )


class _Runs:
    """Files ordered by tag, read together a range of tags at a time. Block i is from bound i - 1 to below bound i."""

    def __init__(self, files: Sequence[ColumnFile], bounds: Sequence[bytes]) -> None:
        self.bounds = bounds
        self._files = files
        self._cuts = [[0, *(file.find("tag", bound) for bound in bounds), len(file)] for file in files]

    def read(self, block: int) -> pa.Table:
        found = [file.read(*cuts[block : block + 2]) for file, cuts in zip(self._files, self._cuts, strict=True)]
        return pa.concat_tables(found).combine_chunks() if found else pa.table({})

    def read_column(self, name: str, block: int) -> Column:
        (file,), (cuts,) = self._files, self._cuts
        return file.read_column(name, *cuts[block : block + 2])

    def start(self, block: int) -> int:
        """Of a single file, the first row of a block."""
        return self._cuts[0][block]

    def within(self, rows: Column, block: int) -> Column:
        """Of a single file, those of ``rows`` that are in a block, counted from the block's first one."""
        first, last = self._cuts[0][block : block + 2]
        here = rows.filter(pc.and_(pc.greater_equal(rows, first), pc.less(rows, last)))
        counted: Column = pc.subtract(here, first)
        return counted


@dataclass
class _Spares:
    """Dummies of a division's earlier slices, by layer as row numbers in order, and how many are still missing."""

    layers: int
    found: list[list[int]] = field(init=False)
    missing: int = 0

    def __post_init__(self) -> None:
        self.found = [[] for _ in range(self.layers)]

    def keep(self, wanted: int) -> None:
        for number, rows in enumerate(self.found):
            self.found[number] = rows[:wanted]
            wanted -= len(self.found[number])
        self.missing = wanted


@dataclass(frozen=True)
class _Filling:
    """What fills a slice up: dummies kept from each earlier slice, and new ones ordered by tag."""

    spares: list[Column]
    tags: list[bytes]
    labels: bytes
    width: int
    tombstone_labels: RandomBytes

    def new_within(self, bounds: Sequence[bytes], block: int) -> tuple[Column, int, bytes]:
        """Tags, version and labels of the new dummies in one block."""
        first = bisect_left(self.tags, bounds[block - 1]) if block else 0
        last = bisect_left(self.tags, bounds[block]) if block < len(bounds) else len(self.tags)
        labels = self.labels[first * self.width : last * self.width]
        return pa.array(self.tags[first:last], pa.binary(TAG_BYTES)), 1, labels


def _bounds(blocks: int) -> list[bytes]:
    """The tags that part all tags into so many equal ranges."""
    return [(number * 2**128 // blocks).to_bytes(TAG_BYTES, "big") for number in range(1, blocks)]


def _count_entries(files: Iterable[ColumnFile]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for file in files:
        for first in range(0, len(file), BLOCK_ROWS):
            column = file.read_column("slice", first, min(first + BLOCK_ROWS, len(file)))
            for value in pc.value_counts(column).to_pylist():
                counts[value["values"]] = counts.get(value["values"], 0) + value["counts"]
    counts.pop(NOWHERE, None)
    return counts


def _by_division(entries: pa.Table) -> dict[int, pa.Table]:
    """The entries of each division, by tag."""
    if not entries.num_rows:
        return {}
    entries = entries.take(uint32(_native.sort_order(data_of(entries["tag"]), TAG_BYTES)))
    entries = entries.take(pc.sort_indices(entries["slice"])).combine_chunks()  # stable
    found, first = {}, 0
    for value in pc.value_counts(entries["slice"]).to_pylist():
        found[int(value["values"])] = entries.slice(first, value["counts"])
        first += value["counts"]
    return found


def _entries(tags: Column, slices: Column, versions: Column) -> pa.Table:
    order = uint32(_native.sort_order(data_of(tags), TAG_BYTES))
    return pa.table([_take(column, order) for column in (tags, slices, versions)], schema=ENTRY_SCHEMA)


def _fresh(run: pa.Table) -> Source:
    if not run.num_rows:
        return Source(pa.py_buffer(b""), pa.array([], pa.uint32()), pa.py_buffer(b""))
    tags = data_of(run["tag"])
    order = _native.sort_order(tags, TAG_BYTES)
    rows = uint32(order)
    sorted_tags = pa.py_buffer(_native.take_rows(tags, TAG_BYTES, order))
    return Source(sorted_tags, _column(run, "version").take(rows), data_of(run["sealed_label"]), rows)


def _carried(part: pa.Table) -> Source:
    return Source(data_of(part["tag"]), _column(part, "version"), data_of(part["sealed_label"]))


def _take(column: Column, order: Column) -> Column:
    """The kernel's gather: on all cores, and without Arrow's copy of what it gathers."""
    width = column.type.byte_width
    taken = pa.py_buffer(_native.take_rows(data_of(column), width, data_of(order)))
    return pa.Array.from_buffers(column.type, len(order), [None, taken])


def _sorted(tags: Column) -> bytes:
    return _native.take_rows(data_of(tags), TAG_BYTES, _native.sort_order(data_of(tags), TAG_BYTES))


def _count(mask: Column) -> int:
    return int(pc.sum(mask.cast(pa.int64())).as_py() or 0)


def _column(table: pa.Table, name: str) -> Column:
    column: Column = table[name].combine_chunks()
    return column
