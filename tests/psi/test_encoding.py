"""Editions built again and again from changing lists: what is published is always the list, and keys seal once."""

from __future__ import annotations

import itertools

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psi import _native
from psi.columns import data_of
from psi.edition import (
    LabelSchema,
    Manifest,
    Slice,
    find_labels,
    pack_labels,
    parse_slice,
    unpack_labels,
    write_slice,
)
from psi.encoding import (
    BaseRows,
    EditionInconsistent,
    EncodingKeys,
    all_tags,
    build_slices,
    compare,
    empty_state,
    encode_changed,
    next_state,
)
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


class Sender:
    """Publishes list after list, keeping what a province keeps."""

    def __init__(self) -> None:
        self.state = empty_state()
        self.slices: dict[int, Slice] = {}
        self._random = itertools.count(1)

    def random_bytes(self, length: int) -> bytes:
        return b"".join(next(self._random).to_bytes(16, "big") for _ in range(-(-length // 16)))[:length]

    def publish(self, people: dict[int, Person]) -> tuple[int, int, int, int]:
        rows = base_rows(people)
        comparison = compare(self.state, rows, KEYS, LABEL)
        new_tags, sealed = encode_changed(comparison, rows, KEYS, LABEL, dataset="base", epoch="2026")
        tags = all_tags(self.state, comparison, new_tags)
        built = build_slices(
            self.state,
            comparison,
            rows,
            tags,
            sealed,
            self.slices,
            LABEL,
            bucket=BUCKET,
            random_bytes=self.random_bytes,
        )
        self.slices = dict(built)
        self.state = next_state(self.state, comparison, rows, tags)
        return comparison.added, comparison.changed, comparison.removed, comparison.kept


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


def look_up(slices: dict[int, Slice], numbers: range) -> dict[int, Person]:
    outputs = _native.evaluate(_native.MODE_VOPRF, KEY, b"".join(map(item, numbers)), 18)
    matches = find_labels(list(slices.values()), outputs, manifest())
    fields = unpack_labels(matches.labels, LABEL)
    found = zip(fields["division"].to_pylist(), fields["household_size"].to_pylist(), strict=True)
    return {
        numbers[position]: (int(division), int(size))
        for position, (division, size) in zip(matches.positions, found, strict=True)
    }


@settings(max_examples=25, deadline=None)
@given(st.lists(lists, min_size=1, max_size=4))
def test_every_edition_is_exactly_its_list(history: list[dict[int, Person]]) -> None:
    sender = Sender()
    before: dict[int, Person] = {}
    for people in history:
        counts = sender.publish(people)
        both = before.keys() & people.keys()
        changed = sum(before[number] != people[number] for number in both)
        assert counts == (len(people.keys() - both), changed, len(before.keys() - both), len(both) - changed)
        assert look_up(sender.slices, range(40)) == people
        assert all(part.rows % BUCKET == 0 for part in sender.slices.values())
        before = people


@settings(max_examples=25, deadline=None)
@given(st.lists(lists, min_size=2, max_size=5))
def test_a_label_key_never_seals_two_labels(history: list[dict[int, Person]]) -> None:
    sender = Sender()
    sealed_by_key: dict[tuple[bytes, int], bytes] = {}
    for people in history:
        sender.publish(people)
        live = sender.state.filter(sender.state["live"])
        labels = {item(number): person for number, person in people.items()}
        assert live.num_rows == len(labels)
        for part in sender.slices.values():
            tags, versions, sealed = (bytes(buffer) for buffer in (part.tags, part.versions, part.sealed_labels))
            width = LABEL.sealed_width
            for row in range(part.rows):
                key = tags[row * 16 : row * 16 + 16], int.from_bytes(versions[row * 4 : row * 4 + 4], "little")
                assert (
                    sealed_by_key.setdefault(key, sealed[row * width : row * width + width])
                    == (sealed[row * width : row * width + width])
                )


def test_one_change_leaves_every_other_row_and_the_dummies_alone() -> None:
    sender = Sender()
    people: dict[int, Person] = {number: (330922, 2) for number in range(11)}
    sender.publish(people)
    before = _row_set(sender.slices[330922])
    sender.publish(people | {3: (330922, 5)})
    after = _row_set(sender.slices[330922])
    assert len(before) == len(after) == 16
    assert len(before & after) == 15


def test_a_row_that_comes_back_has_a_new_version() -> None:
    sender = Sender()
    sender.publish({1: (330922, 1), 2: (330922, 1)})
    sender.publish({2: (330922, 1)})
    sender.publish({1: (330922, 3), 2: (330922, 1)})
    assert sorted(sender.state["version"].to_pylist()) == [1, 2]
    assert look_up(sender.slices, range(5)) == {1: (330922, 3), 2: (330922, 1)}


def test_slices_survive_being_written_and_read() -> None:
    sender = Sender()
    sender.publish({number: (330113, 1) for number in range(5)})
    sink = pa.BufferOutputStream()
    write_slice(sink, sender.slices[330113], LABEL.width)
    assert _row_set(parse_slice(sink.getvalue(), LABEL.width)) == _row_set(sender.slices[330113])


def test_a_slice_that_lost_a_row_is_noticed() -> None:
    sender = Sender()
    people = {number: (330922, 1) for number in range(5)}
    sender.publish(people)
    whole = sender.slices[330922]
    sender.slices[330922] = Slice(0, pa.py_buffer(b""), pa.py_buffer(b""), pa.py_buffer(b""))
    with pytest.raises(EditionInconsistent):
        sender.publish(people | {9: (330922, 1)})
    assert whole.rows == BUCKET


def _row_set(part: Slice) -> set[tuple[bytes, ...]]:
    columns = ((part.tags, 16), (part.versions, 4), (part.sealed_labels, LABEL.sealed_width))
    cells = [[bytes(b[i * w : i * w + w]) for i in range(part.rows)] for b, w in columns]
    return set(zip(*cells, strict=True))


def test_state_is_ordered_by_reference() -> None:
    sender = Sender()
    sender.publish({number: (330922, 1) for number in range(20)})
    references = bytes(data_of(sender.state["ref"]))
    parts = [references[i : i + 16] for i in range(0, len(references), 16)]
    assert parts == sorted(parts)
