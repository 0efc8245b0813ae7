"""A piece of a slice: rows out of several sources, in the order of their tags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from psi import _native
from psi.columns import Column, data_of, find_positions, fixed, pc, uint32
from psi.edition import TAG_BYTES, LabelSchema, Slice, order_tags
from psi.remembered import EditionInconsistent

GATHER_ROWS = 65_536


@dataclass(frozen=True)
class Source:
    """Sealed rows to take from. ``rows`` maps a place in the sorted ``tags`` to a row, where they differ."""

    tags: pa.Buffer
    versions: Column
    sealed_labels: pa.Buffer
    rows: Column | None = None

    def __len__(self) -> int:
        return len(self.versions)


@dataclass(frozen=True)
class _Rows:
    """Rows of a slice to be: where in which source each one's label is."""

    tags: Column
    versions: Column
    source: int
    rows: Column


class PieceBuilder:
    """The rows of one slice in one range of tags, out of several sources and, last, given rows."""

    def __init__(self, sources: Sequence[Source], label: LabelSchema) -> None:
        self._sources = list(sources)
        self._label = label
        self._pieces: list[_Rows] = []
        self._given: list[bytes] = []
        self._given_rows = 0

    def add_rows(self, tags: Column, versions: Column) -> None:
        """Rows that are in one of the sources, each with this tag and version. Raises EditionInconsistent."""
        for number, source in enumerate(self._sources):
            rows = find_positions(source.tags, tags)
            there = pc.fill_null(pc.equal(source.versions.take(rows), versions), False)
            self._pieces.append(_Rows(tags.filter(there), versions.filter(there), number, rows.filter(there)))
            missing = pc.invert(there)
            tags, versions = tags.filter(missing), versions.filter(missing)
        if len(tags):
            raise EditionInconsistent("a remembered row is not in the published slice", rows=len(tags))

    def add_taken(self, number: int, rows: Column) -> None:
        """Rows of one source as they are."""
        source = self._sources[number]
        tags = fixed(source.tags, TAG_BYTES).take(rows)
        self._pieces.append(_Rows(tags, source.versions.take(rows), number, rows))

    def add_given(self, tags: Column, version: int, labels: bytes) -> None:
        """Rows with labels of their own: tombstones and new dummies."""
        rows = pa.array(range(self._given_rows, self._given_rows + len(tags)), pa.int64())
        versions = uint32(version.to_bytes(4, "little") * len(tags))
        self._given.append(labels)
        self._given_rows += len(tags)
        self._pieces.append(_Rows(tags, versions, len(self._sources), rows))

    def finish(self) -> Slice:
        """Raises InputError if two rows share one tag."""
        sealed = [source.sealed_labels for source in self._sources] + [pa.py_buffer(b"".join(self._given))]
        order, tags = order_tags(data_of(pa.concat_arrays([piece.tags for piece in self._pieces])))
        versions = data_of(pa.concat_arrays([piece.versions for piece in self._pieces]))
        starts = [0]
        for source in self._sources:
            starts.append(starts[-1] + len(source))
        places = pa.concat_arrays([pc.add(self._row_numbers(piece), starts[piece.source]) for piece in self._pieces])
        return Slice(
            len(places),
            pa.py_buffer(tags),
            pa.py_buffer(_native.take_rows(versions, 4, order)),
            _gather(sealed, starts, places.take(uint32(order)), self._label.sealed_width),
        )

    def _row_numbers(self, piece: _Rows) -> Column:
        mapping = self._sources[piece.source].rows if piece.source < len(self._sources) else None
        return piece.rows if mapping is None else mapping.take(piece.rows).cast(pa.int64())


def _gather(sources: Sequence[pa.Buffer], starts: Sequence[int], places: Column, width: int) -> pa.Buffer:
    """Fixed-width rows by their places in all sources laid end to end; a block at a time, so nothing is held twice."""
    gathered = bytearray(len(places) * width)
    for first in range(0, len(places), GATHER_ROWS):
        block = places[first : first + GATHER_ROWS]
        pieces, found = [], []
        for start, end, source in zip(starts, [*starts[1:], None], sources, strict=True):
            here = pc.greater_equal(block, start)
            if end is not None:
                here = pc.and_(here, pc.less(block, end))
            rows = pc.subtract(block.filter(here), start).cast(pa.uint32())
            pieces.append(_native.take_rows(source, width, data_of(rows)))
            found.append(pc.indices_nonzero(here).cast(pa.uint32()))
        back = pc.sort_indices(pa.concat_arrays(found)).cast(pa.uint32())
        rows_in_order = _native.take_rows(b"".join(pieces), width, data_of(back))
        gathered[first * width : first * width + len(rows_in_order)] = rows_in_order
    return pa.py_buffer(gathered)
