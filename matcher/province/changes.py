"""A change list against the edition that is served: to EditionMaker a list that is silent about most rows.

Nothing here is done for every row of the list. What is remembered of the rows concerned is looked up in the mapped
files of the edition; what the delta so far changed is read, since the next delta has to hold it too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from matcher.province.canaries import Canary
from matcher.province.change_list import GONE, NEW, ChangeList
from matcher.province.editions import Edition, Source
from matcher.province.parts import Reader, RememberedFiles, count_parts, cut_sorted, part_starts
from matcher.province.plan import ChangesMisfit, DatasetPlan, ListShrunk
from matcher.province.staging import About, list_key
from matcher.rejects import Reject
from psi.columnfile import ColumnFile
from psi.columns import Column, data_of, find_positions, pc, sorted_positions
from psi.encoding import ITEM_BYTES, BaseRows
from psi.remembered import Remembered, empty_state, row_references

MISFIT_SHARE = 0.01  # of a change list's rows that may contradict the edition: of people whose row was refused once


@dataclass(frozen=True, repr=False)
class StagedChanges:
    """Changes to ``current``: rows to take in, their references, and those of rows that leave, all by reference.

    ``untouched`` counts the published rows that nothing is said about, ``rows_after`` those of the next edition.
    """

    current: Edition
    about: About
    rows: BaseRows
    staying: Column
    leaving: Column
    untouched: int
    rows_after: int
    parts: int = 1
    misfits: int = 0

    def __len__(self) -> int:
        return self.rows_after

    def read(self, part: int) -> BaseRows:
        first, last = _cut(self.staying, self.parts, part)
        width, count = self.about.label_width, last - first
        items = pa.py_buffer(self.rows.items).slice(first * ITEM_BYTES, count * ITEM_BYTES)
        return BaseRows(
            items, pa.py_buffer(self.rows.labels).slice(first * width, count * width), self.rows.slices[first:last]
        )

    def open_remembered(self, current: Edition | None, *, full: bool) -> Reader:
        """What a part of the next edition is made from: of a full one everything remembered, else what is concerned."""
        if full:
            return self.current.open_remembered(self.parts)
        return _Concerned(self.current, _union(self.staying, self.leaving), self.parts)

    def concerned(self, remembered: Remembered, part: int) -> Remembered:
        """The remembered rows of a part that the list says something about."""
        ours = (column[slice(*_cut(column, self.parts, part))] for column in (self.staying, self.leaving))
        return remembered.concerning(_union(*ours))

    def cut_for(self, current: Edition | None, *, full: bool) -> StagedChanges:
        """In as many parts as the work needs: few, unless everything that is remembered has to be read."""
        base, changed = _open_states(self.current)
        rows = len(self.staying) + len(self.leaving) + (len(changed) if changed else 0) + (len(base) if full else 0)
        return replace(self, parts=count_parts(rows))


class _Concerned:
    """What is remembered of some rows, and of those that the delta so far changed, a part at a time."""

    def __init__(self, current: Edition, references: Column, parts: int) -> None:
        self._base, changed = _open_states(current)
        self._delta = RememberedFiles(None, changed, parts)
        self._references = references
        self._parts = parts

    def read(self, part: int) -> Remembered:
        changed = self._delta.read(part).changed
        ours = self._references[slice(*_cut(self._references, self._parts, part))]
        return Remembered(self._base.find_rows("ref", _union(ours, changed["ref"].combine_chunks())), changed)


def fit_changes(
    plan: DatasetPlan,
    listed: ChangeList,
    current: Edition,
    rows: int,
    present: Sequence[Canary],
    assigned: Sequence[Canary],
    reference_key: bytes,
) -> StagedChanges:
    """A change list over ``current``, which has ``rows`` rows, ``present`` canaries among them.

    ``assigned`` of these have a number or a household that is somebody's by the list: they leave, and so do those of
    a division that nobody is left in. Raises ChangesMisfit, ListShrunk if nobody is left at all.
    """
    planted = _references_of(present, reference_key)
    said = _column(listed.said, "ref")
    published = _Published(current, _union(said, planted))
    misfits = _find_misfits(listed, published, planted)
    if len(misfits) > max(1, int(MISFIT_SHARE * len(said))):
        counts = {"edition": current.manifest.edition, "rows": len(said), "misfits": len(misfits)}
        raise ChangesMisfit("the change list does not fit the edition", **counts)
    were = published.divisions(_without(said, planted))
    divisions = _count_after(current.source.divisions, were, listed.rows.slices)
    if not divisions:
        raise ListShrunk("the list is empty", rows=0, removed_share=1.0, limit=plan.shrink_limit)
    gone = [canary for canary in present if canary in assigned or int(canary.division) not in divisions]
    staying = listed.staying
    leaving = _union(_without(listed.leaving, planted), _without(_references_of(gone, reference_key), staying))
    untouched = rows - published.count(leaving) - published.count(staying)
    about = About(
        hashlib.sha256(f"changes {list_key(plan, listed.sha256)}".encode()).hexdigest(),
        plan.label.width,
        {**listed.names, **current.manifest.divisions},
        _source_after(current.source, listed, divisions, gone),
        [len(staying)],
        divisions,
        sorted([*listed.rejects, *misfits], key=lambda reject: (listed.sheets.index(reject.sheet), reject.row)),
    )
    after = untouched + len(staying)
    return StagedChanges(current, about, listed.rows, staying, leaving, untouched, after, misfits=len(misfits))


def _source_after(before: Source, listed: ChangeList, divisions: dict[int, int], gone: Sequence[Canary]) -> Source:
    return Source(
        listed.sha256,
        sum(divisions.values()),
        len(listed.rejects),
        canaries=before.canaries,
        whole=before.whole or before.sha256,
        divisions=divisions,
        absent=tuple(sorted({*before.absent, *(canary.number for canary in gone)})),
    )


class _Published:
    """Which of some references (ascending) are published in an edition, and in which division."""

    def __init__(self, current: Edition, references: Column) -> None:
        base, changed = _open_states(current)
        anew = empty_state() if changed is None else changed.find_rows("ref", references)
        found = Remembered(base.find_rows("ref", references), anew).whole()
        self._live = found.filter(found["live"]).combine_chunks()

    def has(self, references: Column) -> Column:
        there: Column = pc.is_valid(find_positions(_column(self._live, "ref"), references))
        return there

    def count(self, references: Column) -> int:
        return len(references.filter(self.has(references)))

    def divisions(self, references: Column) -> Column:
        """Of those that are published."""
        return _column(self._live, "slice").take(find_positions(_column(self._live, "ref"), references).drop_null())


def _find_misfits(listed: ChangeList, published: _Published, planted: Column) -> list[Reject]:
    """Rows said to be new that are there, or changed or gone that are not. A canary in their place is nobody."""
    said = listed.said
    references, operation = _column(said, "ref"), _column(said, "operation")
    there = pc.and_(published.has(references), pc.is_null(find_positions(planted, references)))
    is_new = pc.equal(operation, NEW)
    counts = pc.or_(_column(said, "stays"), pc.equal(operation, GONE))  # one that was refused is told of as that
    found = []
    for reason, mask in (("not_new", pc.and_(is_new, there)), ("not_there", pc.invert(pc.or_(is_new, there)))):
        found += [listed.reject(place, reason) for place in pc.indices_nonzero(pc.and_(mask, counts)).to_pylist()]
    return found


def _count_after(before: dict[int, int], were: Column, are: Column) -> dict[int, int]:
    """Rows by division, when some were in these divisions and some are in those; without what is empty."""
    counts = dict(before)
    for column, sign in ((were, -1), (are, 1)):
        for value in pc.value_counts(column).to_pylist():
            counts[value["values"]] = counts.get(value["values"], 0) + sign * value["counts"]
    return {division: rows for division, rows in sorted(counts.items()) if rows}


def _open_states(current: Edition) -> tuple[ColumnFile, ColumnFile | None]:
    if current.base is None:
        return current.open_state(), None
    return current.base.open_state(), current.open_state()


def _references_of(canaries: Sequence[Canary], key: bytes) -> Column:
    references = row_references(key, "".join(canary.item for canary in canaries).encode("ascii"))
    return references.take(sorted_positions(references))


def _cut(references: Column, parts: int, part: int) -> tuple[int, int]:
    return cut_sorted(data_of(references).to_pybytes(), part_starts(parts))[part]


def _union(one: Column, other: Column) -> Column:
    """Both, ascending, none twice."""
    joined: Column = pc.unique(pa.concat_arrays([one, other]))
    return joined.take(sorted_positions(joined))


def _without(references: Column, others: Column) -> Column:
    return references.filter(pc.is_null(find_positions(others, references)))


def _column(table: pa.Table, name: str) -> Column:
    column: Column = table[name].combine_chunks()
    return column
