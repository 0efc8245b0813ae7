"""Columns in bulk: order, gather, look-up, labels."""

from __future__ import annotations

import hashlib
import struct
from array import array
from collections.abc import Sequence

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psi import _native
from psi.errors import InputError


def tags(names: Sequence[int]) -> list[bytes]:
    return [hashlib.sha256(b"%d" % name).digest()[:16] for name in names]


def positions(found: bytes) -> list[int]:
    return list(struct.unpack(f"<{len(found) // 8}q", found))


def rows_of(data: bytes, width: int) -> list[bytes]:
    return [data[i : i + width] for i in range(0, len(data), width)]


class TestFindTags:
    @pytest.mark.parametrize("size", [0, 1, 2, 7, 1_000, 50_000])
    def test_uniform_tags_against_a_dict(self, size: int) -> None:
        column = sorted(tags(range(size)))
        where = {tag: row for row, tag in enumerate(column)}
        queries = tags(range(-500, size + 500, 3))
        found = positions(_native.find_tags(b"".join(column), b"".join(queries)))
        assert found == [where.get(query, -1) for query in queries]

    @given(
        column=st.lists(st.binary(min_size=16, max_size=16), unique=True, max_size=300),
        queries=st.lists(st.binary(min_size=16, max_size=16), max_size=20),
        prefix=st.binary(max_size=15),
    )
    @settings(max_examples=200, deadline=None)
    def test_tags_that_are_not_uniform(self, column: list[bytes], queries: list[bytes], prefix: bytes) -> None:
        crowded = sorted({(prefix + tag)[:16] for tag in column})
        queries = [(prefix + query)[:16] for query in queries] + queries + crowded
        where = {tag: row for row, tag in enumerate(crowded)}
        found = positions(_native.find_tags(b"".join(crowded), b"".join(queries), threads=1))
        assert found == [where.get(query, -1) for query in queries]

    def test_the_ends(self) -> None:
        column = [bytes(16), bytes(15) + b"\1", b"\xff" * 16]
        assert positions(_native.find_tags(b"".join(column), b"".join(column))) == [0, 1, 2]

    def test_no_false_positive_beside_every_tag(self) -> None:
        column = sorted(tags(range(20_000)))
        beside = [tag[:-1] + bytes([tag[-1] ^ 1]) for tag in column]
        assert set(positions(_native.find_tags(b"".join(column), b"".join(beside)))) == {-1}

    def test_an_unsorted_column_ends_and_invents_nothing(self) -> None:
        column = tags(range(5_000))
        found = positions(_native.find_tags(b"".join(column), b"".join(column)))
        assert all(row in (-1, i) for i, row in enumerate(found))

    @pytest.mark.slow
    def test_ten_million_absent_tags(self) -> None:
        """The issue's bound: no false positive in 10^7 look-ups of absent items."""
        column = b"".join(sorted(tags(range(70_000))))
        absent = b"".join(hashlib.sha512(b"absent %d" % i).digest() for i in range(2_500_000))
        found = array("q", _native.find_tags(column, absent))
        assert len(found) == 10_000_000
        assert found.count(-1) == len(found)


class TestOrder:
    @given(st.integers(1, 40), st.data())
    @settings(max_examples=150, deadline=None)
    def test_against_sorted(self, width: int, data: st.DataObject) -> None:
        # Few different bytes, so that keys repeat and stability shows.
        key = st.text(alphabet="ab", min_size=width, max_size=width)
        keys = [text.encode() for text in data.draw(st.lists(key, max_size=200))]
        order = struct.unpack(f"<{len(keys)}I", _native.sort_order(b"".join(keys), width))
        assert list(order) == sorted(range(len(keys)), key=lambda row: keys[row])

    def test_large(self) -> None:
        keys = tags([i // 2 for i in range(200_000)])
        order = _native.sort_order(b"".join(keys), 16)
        assert struct.unpack("<200000I", order) == tuple(sorted(range(200_000), key=lambda row: keys[row]))
        assert rows_of(_native.take_rows(b"".join(keys), 16, order), 16) == sorted(keys)

    @given(st.integers(1, 9), st.integers(1, 50), st.data())
    @settings(max_examples=100, deadline=None)
    def test_take_rows(self, width: int, count: int, data: st.DataObject) -> None:
        rows = data.draw(st.binary(min_size=width * count, max_size=width * count))
        order = data.draw(st.lists(st.integers(0, count - 1), max_size=80))
        taken = _native.take_rows(rows, width, struct.pack(f"<{len(order)}I", *order))
        assert rows_of(taken, width) == [rows_of(rows, width)[row] for row in order]

    @pytest.mark.parametrize("position", [3, 4, 2**31, 2**32 - 1])
    def test_take_rows_outside(self, position: int) -> None:
        with pytest.raises(InputError):
            _native.take_rows(bytes(9), 3, struct.pack("<2I", 0, position))

    @pytest.mark.parametrize("width", [0, 2, -1, 2**62, 2**64])
    def test_widths_that_do_not_fit(self, width: int) -> None:
        with pytest.raises(InputError):
            _native.sort_order(bytes(9), width)
        with pytest.raises(InputError):
            _native.take_rows(bytes(9), width, b"")

    def test_no_rows_of_a_monstrous_width(self) -> None:
        with pytest.raises(InputError):
            _native.take_rows(b"", 2**62, bytes(4))
        assert _native.take_rows(b"", 2**62, b"") == b""


def column(values: Sequence[str]) -> tuple[bytes, bytes]:
    offsets, data = [0], b""
    for value in values:
        data += value.encode()
        offsets.append(len(data))
    return struct.pack(f"<{len(offsets)}i", *offsets), data


FIELD = st.text(max_size=20)


class TestLabels:
    @given(rows=st.lists(st.tuples(FIELD, FIELD, FIELD), max_size=30), slack=st.integers(0, 5))
    @settings(max_examples=150, deadline=None)
    def test_round_trip(self, rows: list[tuple[str, str, str]], slack: int) -> None:
        packed = [b"".join(bytes([len(f.encode())]) + f.encode() for f in row) for row in rows]
        width = max([3, *map(len, packed)]) + slack
        columns = [column([row[i] for row in rows]) for i in range(3)]
        labels = _native.pack_labels(columns, width)
        assert rows_of(labels, width) == [label.ljust(width, b"\0") for label in packed]
        assert _native.unpack_labels(labels, width, 3) == columns

    def test_arrow_columns_in_place(self) -> None:
        values = pa.array(["不用", "甲", "", "一二三", "乙"])[1:4]
        _, offsets, data = values.buffers()
        assert offsets is not None
        assert data is not None
        labels = _native.pack_labels([(offsets.slice(values.offset * 4, (len(values) + 1) * 4), data)], 12)
        assert rows_of(labels, 12) == [
            b"\x03" + "甲".encode() + bytes(8),
            bytes(12),
            b"\x09" + "一二三".encode() + bytes(2),
        ]
        ((new_offsets, new_data),) = _native.unpack_labels(labels, 12, 1)
        again = pa.StringArray.from_buffers(3, pa.py_buffer(new_offsets), pa.py_buffer(new_data))
        assert again.to_pylist() == ["甲", "", "一二三"]

    @pytest.mark.parametrize(
        ("fields", "width", "place"),
        [
            ([["short", "x" * 256]], 300, "row 1, column 0"),
            ([["a", "b"], ["c", "d" * 8]], 10, "row 1, column 1"),
        ],
    )
    def test_what_does_not_fit_is_named(self, fields: list[list[str]], width: int, place: str) -> None:
        with pytest.raises(InputError, match=place):
            _native.pack_labels([column(values) for values in fields], width)

    @pytest.mark.parametrize("offsets", [[0, -1], [0, 5], [3, 2], [-1, 1], [2**31 - 1, 2**31 - 1], [0, 1, 2]])
    def test_offsets_that_leave_the_data(self, offsets: list[int]) -> None:
        with pytest.raises(InputError):
            _native.pack_labels([(struct.pack(f"<{len(offsets)}i", *offsets), b"a"), column(["b"])], 8)

    def test_odd_columns(self) -> None:
        for columns in ([], [(b"", b"")], [(b"\0\0\0", b"")], [column(["a"]), column(["a", "b"])]):
            with pytest.raises(InputError):
                _native.pack_labels(columns, 8)
        with pytest.raises(InputError, match="UTF-8"):
            _native.pack_labels([(struct.pack("<2i", 0, 1), b"\xff")], 8)
        assert _native.pack_labels([column([])], 8) == b""

    @pytest.mark.parametrize(
        ("label", "fault"),
        [
            (b"\x05abcd\0\0\1", "after the last field"),
            (b"\x08abcdefg", "past the width"),
            (b"\x07abcdefg", "missing"),
            (b"\x02\xff\xfe\x00\0\0\0\0", "UTF-8"),
            (b"\x01a\x01b\0\0\0\1", "after the last field"),
        ],
    )
    def test_a_damaged_label(self, label: bytes, fault: str) -> None:
        good = b"\x01a\x01b\0\0\0\0"
        with pytest.raises(InputError, match=f"label 1.*{fault}"):
            _native.unpack_labels(good + label, 8, 2)

    @pytest.mark.parametrize(("width", "fields"), [(0, 1), (8, 0), (8, 9), (3, 1), (-1, 1), (2**64, 1), (8, 2**64)])
    def test_shapes_that_do_not_fit(self, width: int, fields: int) -> None:
        with pytest.raises(InputError):
            _native.unpack_labels(bytes(8), width, fields)


def test_normalise_ids_is_the_same_in_chunks_and_in_one() -> None:
    """What the verdicts are is tested beside psi.identifiers; here only that chunks do not show."""
    values = ["99000020000229001X", "bad", "", " 99000020000229001x"] * 15_000
    offsets, data = column(values)
    items, verdicts = _native.normalise_ids(offsets, data)
    small_items, small_verdicts = _native.normalise_ids(*column(values[:4]))
    assert items == small_items * 15_000
    assert verdicts == small_verdicts * 15_000
    assert items[:18] == b"99000020000229001X"
