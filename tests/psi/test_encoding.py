"""Editions built again and again from changing lists: what is published is always the list, and keys seal once.

Every edition is built twice: in two parts, from runs on disk and a few rows at a time, as it is published; and whole,
in memory. The bytes of the slices must be the same.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slices_in_memory import build_delta, build_full

from psi import _native
from psi.columnfile import ColumnFile, ColumnWriter
from psi.columns import data_of, fixed
from psi.edition import (
    TOMBSTONE,
    LabelSchema,
    Manifest,
    Slice,
    pack_labels,
    parse_slice,
    slice_schema,
    unpack_labels,
    write_slice,
)
from psi.encoding import BaseRows, Comparison, EncodingKeys, changed_rows, compare, encode_changed
from psi.lookup import Overlay, find_labels
from psi.noise import noise_streams
from psi.remembered import EditionInconsistent, Remembered, difference, empty_state, restore, row_references
from psi.slicing import Noise, SliceBuilder, delta_entries, full_entries, sealed_run, sealed_schema
from psi.suites import RISTRETTO255_SHA512

LABEL = LabelSchema()
KEY = _native.SecretKey.derive(_native.MODE_VOPRF, b"\x07" * 32, b"test")
KEYS = EncodingKeys(KEY, b"r" * 32, b"d" * 32, {330922: b"a" * 32, 330113: b"b" * 32})
BUCKET = 8
Person = tuple[int, int]  # a division and a household size: what a label is made of here

lists = st.dictionaries(
    st.integers(0, 30), st.tuples(st.sampled_from([330922, 330113]), st.integers(1, 3)), min_size=1, max_size=20
)


def item(number: int) -> bytes:
    return b"33990019900101%04d" % number


def base_rows(people: dict[int, Person]) -> BaseRows:
    columns = [
        [f"H{number}" for number in people],
        [str(size) for _, size in people.values()],
        [str(division) for division, _ in people.values()],
        ["1" for _ in people],
        ["" for _ in people],
    ]
    labels = pack_labels([pa.array(column, pa.string()) for column in columns], LABEL.width)
    slices = pa.array([division for division, _ in people.values()], pa.uint32())
    return BaseRows(b"".join(map(item, people)), labels, slices)


@dataclass(frozen=True)
class Published:
    """An edition as its sender keeps it: a delta has the base under it."""

    remembered: Remembered
    slices: dict[int, Slice]
    people: dict[int, Person]
    base: Published | None = None

    @property
    def divisions(self) -> dict[int, Slice | Overlay]:
        if self.base is None:
            return dict(self.slices)
        return {division: Overlay(part, self.slices[division]) for division, part in self.base.slices.items()}


NOTHING = Published(Remembered(empty_state(), empty_state()), {}, {})


class Sender:
    """Publishes list after list, keeping what a province keeps."""

    def __init__(self) -> None:
        self.history: list[Published] = []

    @property
    def current(self) -> Published:
        return self.history[-1] if self.history else NOTHING

    def publish(self, people: dict[int, Person], *, delta: bool = False) -> Comparison:
        """A delta only where the base has all divisions, as matcher.province.making decides it."""
        rows, old = base_rows(people), self.current
        base = old.base or old
        is_delta = delta and {division for division, _ in people.values()} <= base.slices.keys()
        comparison = compare(old.remembered, rows, KEYS, LABEL)
        encoded = encode_changed(comparison, rows, KEYS, LABEL, dataset="base", epoch="2026")
        remembered = old.remembered.replace(changed_rows(old.remembered, comparison, rows, encoded))
        noise = noise_streams(b"n" * 32, str(len(self.history)))
        earlier: dict[int, list[Slice]]
        if is_delta:
            previous = old.slices if old.base is not None else {}
            whole = build_delta(remembered, encoded, previous, base.slices, LABEL, bucket=BUCKET, noise=noise)
            earlier = {division: [previous[division]] if previous else [] for division in base.slices}
        else:
            state = remembered.whole()
            whole = build_full(state, encoded, old.divisions, LABEL, bucket=BUCKET, noise=noise)
            earlier = {
                division: [part.base, part.delta] if isinstance(part, Overlay) else [part]
                for division, part in old.divisions.items()
            }
            remembered = Remembered(state, empty_state())
        slices = dict(whole)
        made, remembered_in_parts = build_from_runs(rows, old.remembered, earlier, is_delta, noise)
        assert made == {division: file_of(part) for division, part in slices.items()}
        assert remembered_in_parts.equals(remembered.changed if is_delta else remembered.base)
        self.history.append(Published(remembered, slices, people, base if is_delta else None))
        return comparison

    def roll_back(self, number: int) -> None:
        earlier = self.history[number]
        state = restore(earlier.remembered, self.current.remembered)
        if earlier.base is None:
            remembered = Remembered(state, empty_state())
        else:
            remembered = Remembered(earlier.base.remembered.base, difference(state, earlier.base.remembered.base))
        self.history.append(replace(earlier, remembered=remembered))


def file_of(part: Slice) -> bytes:
    sink = pa.BufferOutputStream()
    write_slice(sink, part, LABEL.width)
    return sink.getvalue().to_pybytes()


def build_from_runs(
    rows: BaseRows, before: Remembered, earlier: dict[int, list[Slice]], is_delta: bool, noise: Noise
) -> tuple[dict[int, bytes], pa.Table]:
    """The slices' files, from two parts of the list and three rows at a time; and what is then remembered."""
    states = []
    with TemporaryDirectory() as name:
        folder = Path(name)
        entries: list[ColumnFile] = []
        sealed: list[ColumnFile] = []
        for upper in (False, True):
            part, known = half_of_rows(rows, upper), Remembered(half(before.base, upper), half(before.changed, upper))
            comparison = compare(known, part, KEYS, LABEL)
            encoded = encode_changed(comparison, part, KEYS, LABEL, dataset="base", epoch="2026")
            after = known.replace(changed_rows(known, comparison, part, encoded))
            states.append(after.changed if is_delta else after.whole())
            found = delta_entries(after) if is_delta else full_entries(states[-1])
            run = pa.table(sealed_run(encoded), schema=sealed_schema(LABEL))
            entries.append(write_file(folder / f"entries {upper}", found))
            sealed.append(write_file(folder / f"sealed {upper}", run))
        layers = {
            division: [write_slice_file(folder / f"{division} {number}", part) for number, part in enumerate(parts)]
            for division, parts in earlier.items()
        }
        builder = SliceBuilder(entries, sealed, layers, LABEL, bucket=BUCKET, noise=noise, block_rows=3)
        with ExitStack() as files:
            writers = {
                division: files.enter_context(ColumnWriter(folder / str(division), slice_schema(LABEL.width), count))
                for division, count in builder.rows_to_write.items()
            }
            for division, piece in builder.build():
                writers[division].write((piece.tags, piece.versions, piece.sealed_labels))
        made = {division: (folder / str(division)).read_bytes() for division in writers}
    return made, pa.concat_tables(states).combine_chunks()


def half(table: pa.Table, upper: bool) -> pa.Table:
    chosen = [(reference >= b"\x80") == upper for reference in table["ref"].to_pylist()]
    return table.filter(pa.array(chosen, pa.bool_()))


def half_of_rows(rows: BaseRows, upper: bool) -> BaseRows:
    references = row_references(KEYS.reference_key, rows.items).to_pylist()
    chosen = pa.array([(reference >= b"\x80") == upper for reference in references], pa.bool_())
    items, labels = fixed(bytes(rows.items), 18).filter(chosen), fixed(bytes(rows.labels), LABEL.width).filter(chosen)
    return BaseRows(data_of(items), data_of(labels), rows.slices.filter(chosen))


def write_file(path: Path, table: pa.Table) -> ColumnFile:
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table)
    return ColumnFile(path, table.schema)


def write_slice_file(path: Path, part: Slice) -> ColumnFile:
    path.write_bytes(file_of(part))
    return ColumnFile(path, slice_schema(LABEL.width))


def manifest() -> Manifest:
    key = KEY.public_key
    return Manifest(
        dataset="base",
        epoch="2026",
        edition=1,
        public_key=key.hex(),
        fingerprint=RISTRETTO255_SHA512.key_fingerprint(key),
        created_at="2026-01-01T00:00:00Z",
        not_before="2026-01-01T00:00:00Z",
        not_after="2027-01-01T00:00:00Z",
        label=LABEL,
        divisions={},
        slices=(),
        previous=None,
    )


def look_up(divisions: dict[int, Slice | Overlay], numbers: range) -> dict[int, Person]:
    outputs = _native.evaluate(_native.MODE_VOPRF, KEY, b"".join(map(item, numbers)), 18)
    matches = find_labels(list(divisions.values()), outputs, manifest())
    fields = unpack_labels(matches.labels, LABEL)
    found = zip(fields["division"].to_pylist(), fields["household_size"].to_pylist(), strict=True)
    return {
        numbers[position]: (int(division), int(size))
        for position, (division, size) in zip(matches.positions, found, strict=True)
    }


def cells(part: Slice) -> list[tuple[bytes, int, bytes]]:
    """Tag, version and sealed label of every row."""
    tags, versions, sealed = (bytes(buffer) for buffer in (part.tags, part.versions, part.sealed_labels))
    width = LABEL.sealed_width
    return [
        (tags[i * 16 : i * 16 + 16], int.from_bytes(versions[i * 4 : i * 4 + 4], "little"), sealed[i * width :][:width])
        for i in range(part.rows)
    ]


steps = st.lists(st.one_of(st.tuples(lists, st.booleans()), st.integers(0, 5)), min_size=1, max_size=7)


@settings(max_examples=60, deadline=None)
@given(steps)
def test_every_edition_is_exactly_its_list_and_a_key_seals_one_label(
    history: list[tuple[dict[int, Person], bool] | int],
) -> None:
    """Any sequence of lists as full and delta editions, and of roll-backs."""
    sender = Sender()
    sealed_by_key: dict[tuple[bytes, int], bytes] = {}
    for step in history:
        if isinstance(step, int):
            if step >= len(sender.history):
                continue
            sender.roll_back(step)
        else:
            people, delta = step
            before = sender.current.people
            comparison = sender.publish(people, delta=delta)
            both = before.keys() & people.keys()
            changed = sum(before[number] != people[number] for number in both)
            counts = (comparison.added, comparison.changed, comparison.removed, comparison.kept)
            assert counts == (len(people.keys() - both), changed, len(before.keys() - both), len(both) - changed)
        now = sender.current
        assert look_up(now.divisions, range(40)) == now.people
        assert now.remembered.count_live() == len(now.people)
        for part in now.slices.values():
            assert part.rows % BUCKET == 0 < part.rows
            for tag, version, sealed in cells(part):
                assert version == TOMBSTONE or sealed_by_key.setdefault((tag, version), sealed) == sealed


def test_a_delta_holds_what_changed_and_the_base_stays() -> None:
    sender = Sender()
    people: dict[int, Person] = {number: (330922, 2) for number in range(11)}
    sender.publish(people)
    base = sender.current
    sender.publish({**people, 3: (330922, 5), 20: (330922, 1)}, delta=True)
    del people[4]
    sender.publish({**people, 3: (330922, 5), 20: (330922, 1)}, delta=True)
    delta = sender.current
    assert delta.base is base
    in_base = {tag for tag, _, _ in cells(base.slices[330922])}
    versions = sorted(version for tag, version, _ in cells(delta.slices[330922]) if tag in in_base)
    assert versions == [TOMBSTONE, 2]
    assert delta.slices[330922].rows == BUCKET


def test_the_dummies_of_a_delta_stay_over_its_base() -> None:
    sender = Sender()
    people: dict[int, Person] = {number: (330922, 2) for number in range(11)}
    sender.publish(people)
    sender.publish({**people, 3: (330922, 5)}, delta=True)
    first = _row_set(sender.current.slices[330922])
    sender.publish({**people, 3: (330922, 5), 4: (330922, 6)}, delta=True)
    assert len(first & _row_set(sender.current.slices[330922])) == BUCKET - 1


def test_a_row_that_moves_to_another_division_is_found_once() -> None:
    sender = Sender()
    people: dict[int, Person] = {1: (330922, 2), 2: (330922, 2), 3: (330113, 2)}
    sender.publish(people)
    sender.publish({**people, 1: (330113, 2)}, delta=True)
    assert look_up(sender.current.divisions, range(5)) == {**people, 1: (330113, 2)}
    assert look_up({330922: sender.current.divisions[330922]}, range(5)) == {2: (330922, 2)}


def test_after_a_roll_back_versions_go_on_rising() -> None:
    sender = Sender()
    sender.publish({1: (330922, 1), 2: (330922, 1)})
    sender.publish({1: (330922, 2), 2: (330922, 1)}, delta=True)
    sender.roll_back(0)
    assert look_up(sender.current.divisions, range(5)) == {1: (330922, 1), 2: (330922, 1)}
    sender.publish({1: (330922, 3), 2: (330922, 1)}, delta=True)
    changed = sender.current.remembered.changed
    assert changed["version"].to_pylist() == [3]


def test_a_roll_back_to_a_delta_goes_on_over_its_base() -> None:
    sender = Sender()
    people: dict[int, Person] = {number: (330922, 2) for number in range(5)}
    sender.publish(people)
    sender.publish({**people, 1: (330922, 3)}, delta=True)
    sender.publish({**people, 1: (330922, 3), 2: (330922, 4)}, delta=True)
    sender.roll_back(1)  # person 2 is as in the base again, but version 2 is used
    sender.publish({**people, 1: (330922, 3), 3: (330922, 5)}, delta=True)
    assert look_up(sender.current.divisions, range(9)) == {**people, 1: (330922, 3), 3: (330922, 5)}
    sender.publish({**people, 2: (330922, 6)}, delta=True)
    assert sorted(version for _, version, _ in cells(sender.current.slices[330922]))[-2:] == [3, 3]


def test_one_change_leaves_every_other_row_and_the_dummies_alone() -> None:
    sender = Sender()
    people: dict[int, Person] = {number: (330922, 2) for number in range(11)}
    sender.publish(people)
    before = _row_set(sender.current.slices[330922])
    sender.publish(people | {3: (330922, 5)})
    after = _row_set(sender.current.slices[330922])
    assert len(before) == len(after) == 16
    assert len(before & after) == 15


def test_a_row_that_comes_back_has_a_new_version() -> None:
    sender = Sender()
    sender.publish({1: (330922, 1), 2: (330922, 1)})
    sender.publish({2: (330922, 1)})
    sender.publish({1: (330922, 3), 2: (330922, 1)})
    assert sorted(sender.current.remembered.base["version"].to_pylist()) == [1, 2]
    assert look_up(sender.current.divisions, range(5)) == {1: (330922, 3), 2: (330922, 1)}


def test_slices_survive_being_written_and_read() -> None:
    sender = Sender()
    sender.publish({number: (330113, 1) for number in range(5)})
    sink = pa.BufferOutputStream()
    write_slice(sink, sender.current.slices[330113], LABEL.width)
    assert _row_set(parse_slice(sink.getvalue(), LABEL.width)) == _row_set(sender.current.slices[330113])


def test_a_slice_that_lost_a_row_is_noticed() -> None:
    sender = Sender()
    people = {number: (330922, 1) for number in range(5)}
    sender.publish(people)
    sender.current.slices[330922] = Slice(0, pa.py_buffer(b""), pa.py_buffer(b""), pa.py_buffer(b""))
    with pytest.raises(EditionInconsistent):
        sender.publish(people | {9: (330922, 1)})


def test_state_is_ordered_by_reference() -> None:
    sender = Sender()
    sender.publish({number: (330922, 1) for number in range(20)})
    references = bytes(data_of(sender.current.remembered.base["ref"]))
    parts = [references[i : i + 16] for i in range(0, len(references), 16)]
    assert parts == sorted(parts)


def _row_set(part: Slice) -> set[tuple[bytes, int, bytes]]:
    return set(cells(part))
