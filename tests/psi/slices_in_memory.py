"""An edition's slices built in memory, whole: slow and simple, what psi.slicing's are compared with byte for byte."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from psi import _native
from psi.columns import Column, data_of, find_positions, fixed, pc, uint32
from psi.edition import TAG_BYTES, TOMBSTONE, LabelSchema, Slice, order_tags
from psi.encoding import Encoded
from psi.lookup import Overlay
from psi.remembered import EditionInconsistent, Remembered
from psi.slicing import Noise

GATHER_ROWS = 65_536


@dataclass(frozen=True)
class _Source:
    """Sealed rows to take from. ``rows`` maps a place in the sorted ``tags`` to a row, where they differ."""

    tags: pa.Buffer
    versions: Column
    sealed_labels: pa.Buffer
    rows: Column | None = None

    def __len__(self) -> int:
        return len(self.versions)


@dataclass(frozen=True)
class _Part:
    """Rows of a slice to be: where in which source each one's label is."""

    tags: Column
    versions: Column
    source: int
    rows: Column


def build_full(
    state: pa.Table,
    encoded: Encoded,
    old: Mapping[int, Slice | Overlay],
    label: LabelSchema,
    *,
    bucket: int,
    noise: Noise,
) -> Iterator[tuple[int, Slice]]:
    """Each slice of a full edition, one at a time and in order, padded to a multiple of ``bucket``.

    ``state`` is what this edition remembers, ``old`` the divisions of the one before it. Dummy rows of the old
    one are kept as far as they are needed, so that they do not show as changes. Raises EditionInconsistent.
    """
    fresh = _fresh(encoded)
    known = _sorted(state["tag"].combine_chunks()) if old else b""
    # A division that everybody left keeps a slice of dummies: who looks there finds nobody, rather than nothing.
    for division in sorted({*pc.unique(state["slice"].filter(state["live"])).to_pylist(), *old}):
        here = pc.and_(state["live"], pc.equal(state["slice"], division))
        layers = [_carried(part) for part in _layers(old.get(division))]
        builder = _Builder([fresh, *layers], label, noise, division)
        builder.add_rows(state["tag"].filter(here).combine_chunks(), state["version"].filter(here).combine_chunks())
        builder.pad(bucket, known, at_least=1)
        yield division, builder.finish()


def build_delta(
    remembered: Remembered,
    encoded: Encoded,
    previous: Mapping[int, Slice],
    divisions: Iterable[int],
    label: LabelSchema,
    *,
    bucket: int,
    noise: Noise,
) -> Iterator[tuple[int, Slice]]:
    """Each slice of a delta edition: what ``remembered`` publishes otherwise than its base, in every division.

    ``previous`` are the slices of the delta before it over the same base, or empty. Every division has at least
    a bucket, so that the one in which nothing changed looks like the others. Raises EditionInconsistent.
    """
    fresh, changed = _fresh(encoded), remembered.changed.combine_chunks()
    known = _sorted(changed["tag"].combine_chunks())
    base = remembered.base.take(find_positions(remembered.base["ref"].combine_chunks(), _column(changed, "ref")))
    was_live = pc.fill_null(_column(base, "live"), False)
    is_live = _column(changed, "live")
    same_version = pc.equal(_column(base, "version"), _column(changed, "version"))
    for division in sorted(divisions):
        was_here = pc.and_(was_live, pc.fill_null(pc.equal(_column(base, "slice"), division), False))
        is_here = pc.and_(is_live, pc.equal(_column(changed, "slice"), division))
        untouched = pc.and_(was_here, pc.fill_null(same_version, False))
        new = pc.and_(is_here, pc.invert(untouched))
        left = pc.and_(was_here, pc.invert(is_here))
        layers = [_carried(previous[division])] if division in previous else []
        builder = _Builder([fresh, *layers], label, noise, division)
        builder.add_rows(_column(changed, "tag").filter(new), _column(changed, "version").filter(new))
        builder.add_random(fixed(_sorted(_column(changed, "tag").filter(left)), TAG_BYTES), TOMBSTONE)
        builder.pad(bucket, known, at_least=1)
        yield division, builder.finish()


class _Builder:
    """One slice, out of several sources and, last, random rows."""

    def __init__(self, sources: Sequence[_Source], label: LabelSchema, noise: Noise, division: int) -> None:
        self._sources = list(sources)
        self._label = label
        self._dummies = noise(f"dummies {division:06d}")
        self._tombstones = noise(f"tombstones {division:06d}")
        self._parts: list[_Part] = []
        self._noise: list[bytes] = []
        self._noise_rows = 0

    def __len__(self) -> int:
        return sum(len(part.tags) for part in self._parts)

    def add_rows(self, tags: Column, versions: Column) -> None:
        """Rows that are in one of the sources, each with this tag and version. Raises EditionInconsistent."""
        for number, source in enumerate(self._sources):
            rows = find_positions(source.tags, tags)
            there = pc.fill_null(pc.equal(source.versions.take(rows), versions), False)
            self._parts.append(_Part(tags.filter(there), versions.filter(there), number, rows.filter(there)))
            missing = pc.invert(there)
            tags, versions = tags.filter(missing), versions.filter(missing)
        if len(tags):
            raise EditionInconsistent("a remembered row is not in the published slice", rows=len(tags))

    def add_random(self, tags: Column, version: int) -> None:
        """Rows whose labels are random bytes: tombstones and dummies."""
        random_bytes = self._tombstones if version == TOMBSTONE else self._dummies
        self._noise.append(random_bytes(len(tags) * self._label.sealed_width))
        rows = pa.array(range(self._noise_rows, self._noise_rows + len(tags)), pa.int64())
        self._noise_rows += len(tags)
        versions = uint32(version.to_bytes(4, "little") * len(tags))
        self._parts.append(_Part(tags, versions, len(self._sources), rows))

    def pad(self, bucket: int, known: bytes, *, at_least: int) -> None:
        """Fill up to a multiple of ``bucket`` and ``at_least`` so many: with the sources' own dummies, then new ones.

        The dummies of a slice are the rows that are not among the ``known`` tags, which are sorted.
        """
        rows = len(self)
        wanted = max(-(-rows // bucket), at_least) * bucket - rows
        for number, source in enumerate(self._sources[1:], start=1):
            tags = fixed(source.tags, TAG_BYTES)
            spare = pc.indices_nonzero(pc.is_null(find_positions(pa.py_buffer(known), tags)))[:wanted].cast(pa.int64())
            self._parts.append(_Part(tags.take(spare), source.versions.take(spare), number, spare))
            wanted -= len(spare)
        self.add_random(fixed(self._dummies(wanted * TAG_BYTES), TAG_BYTES), 1)

    def finish(self) -> Slice:
        """Raises InputError if two rows share one tag."""
        sealed = [source.sealed_labels for source in self._sources] + [pa.py_buffer(b"".join(self._noise))]
        order, tags = order_tags(data_of(pa.concat_arrays([part.tags for part in self._parts])))
        versions = data_of(pa.concat_arrays([part.versions for part in self._parts]))
        starts = [0]
        for source in self._sources:
            starts.append(starts[-1] + len(source))
        places = pa.concat_arrays([pc.add(self._row_numbers(part), starts[part.source]) for part in self._parts])
        return Slice(
            len(places),
            pa.py_buffer(tags),
            pa.py_buffer(_native.take_rows(versions, 4, order)),
            _gather(sealed, starts, places.take(uint32(order)), self._label.sealed_width),
        )

    def _row_numbers(self, part: _Part) -> Column:
        mapping = self._sources[part.source].rows if part.source < len(self._sources) else None
        return part.rows if mapping is None else mapping.take(part.rows).cast(pa.int64())


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


def _fresh(encoded: Encoded) -> _Source:
    tags = data_of(encoded.tags)
    order = _native.sort_order(tags, TAG_BYTES)
    rows = uint32(order)
    sorted_tags = pa.py_buffer(_native.take_rows(tags, TAG_BYTES, order))
    return _Source(sorted_tags, encoded.versions.take(rows), data_of(encoded.sealed_labels), rows)


def _carried(part: Slice) -> _Source:
    return _Source(part.tags, uint32(part.versions), part.sealed_labels)


def _layers(division: Slice | Overlay | None) -> list[Slice]:
    if isinstance(division, Overlay):
        return [division.base, division.delta]
    return [] if division is None else [division]


def _sorted(tags: Column) -> bytes:
    return _native.take_rows(data_of(tags), TAG_BYTES, _native.sort_order(data_of(tags), TAG_BYTES))


def _column(table: pa.Table, name: str) -> Column:
    column: Column = table[name].combine_chunks()
    return column
