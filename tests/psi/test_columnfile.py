"""Arrow files in pieces: the bytes that Arrow's own writer makes, and any range of rows read back."""

from __future__ import annotations

import random
from pathlib import Path

import pyarrow as pa
import pytest

from psi.columnfile import ColumnFile, ColumnWriter
from psi.columns import required_schema
from psi.errors import InputError

SCHEMA = required_schema({"tag": pa.binary(16), "version": pa.uint32(), "label": pa.binary(7)})
STATE = required_schema({"ref": pa.binary(16), "live": pa.bool_()})


def columns(rows: int) -> list[pa.Buffer]:
    made = random.Random(rows)
    return [pa.py_buffer(made.randbytes(rows * width)) for width in (16, 4, 7)]


def as_arrow_writes(path: Path, buffers: list[pa.Buffer], rows: int) -> bytes:
    arrays = [
        pa.Array.from_buffers(field.type, rows, [None, buffer]) for field, buffer in zip(SCHEMA, buffers, strict=True)
    ]
    with pa.ipc.new_file(str(path), SCHEMA) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=SCHEMA))
    return path.read_bytes()


@pytest.mark.parametrize("rows", [0, 1, 2, 5, 8, 1_001])
def test_pieces_make_the_file_that_arrow_makes_of_the_whole(tmp_path: Path, rows: int) -> None:
    whole = columns(rows)
    cut = rows // 3
    with ColumnWriter(tmp_path / "pieces", SCHEMA, rows) as writer:
        for start, stop in ((0, cut), (cut, cut), (cut, rows)):
            widths = (16, 4, 7)
            writer.write([each.slice(start * w, (stop - start) * w) for each, w in zip(whole, widths, strict=True)])
    assert (tmp_path / "pieces").read_bytes() == as_arrow_writes(tmp_path / "whole", whole, rows)
    assert (tmp_path / "pieces").stat().st_mode & 0o777 == 0o600


def test_a_file_with_too_few_or_too_many_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError), ColumnWriter(tmp_path / "few", SCHEMA, 3) as writer:
        writer.write(columns(2))
    with pytest.raises(InputError), ColumnWriter(tmp_path / "many", SCHEMA, 3) as writer:
        writer.write(columns(4))
    with pytest.raises(InputError), ColumnWriter(tmp_path / "ragged", SCHEMA, 3) as writer:
        writer.write([*columns(2)[:2], columns(1)[2]])
    with pytest.raises(FileExistsError):
        ColumnWriter(tmp_path / "many", SCHEMA, 3)


def test_any_range_over_several_batches(tmp_path: Path) -> None:
    references = [number.to_bytes(16, "big") for number in range(0, 60, 2)]
    live = [number % 3 == 0 for number in range(30)]
    table = pa.table([pa.array(references, pa.binary(16)), pa.array(live)], schema=STATE)
    with pa.ipc.new_file(str(tmp_path / "state"), STATE) as writer:
        writer.write_table(table, max_chunksize=11)
    file = ColumnFile(tmp_path / "state", STATE)
    assert len(file) == 30
    for start, stop in ((0, 30), (0, 0), (5, 6), (9, 13), (10, 23), (29, 30), (30, 30)):
        assert file.read(start, stop).equals(table.slice(start, stop - start))
    for value in range(-1, 62):
        key = max(value, 0).to_bytes(16, "big")
        assert file.find("ref", key) == sum(reference < key for reference in references)


@pytest.mark.parametrize("sizes", [[], [0], [30], [1, 29], [7, 0, 11, 12], [1] * 30])
def test_rows_looked_up_by_their_keys(tmp_path: Path, sizes: list[int]) -> None:
    """Whatever batches they are in: keys that are there, between others, below the first and above the last."""
    rows = sum(sizes)
    references = [(2 * number + 10).to_bytes(16, "big") for number in range(rows)]
    table = pa.table([pa.array(references, pa.binary(16)), pa.array([True] * rows, pa.bool_())], schema=STATE)
    with pa.ipc.new_file(str(tmp_path / "state"), STATE) as writer:
        first = 0
        for size in sizes:
            writer.write_table(table.slice(first, size))
            first += size
    file = ColumnFile(tmp_path / "state", STATE)
    chosen = random.Random(rows)
    for count in (0, 1, 5, 40):
        keys = sorted({chosen.randrange(100).to_bytes(16, "big") for _ in range(count)})
        found = file.find_rows("ref", pa.array(keys, pa.binary(16)))
        assert found.schema == STATE
        assert found["ref"].to_pylist() == [key for key in keys if key in references]


def test_what_is_no_such_file_is_refused(tmp_path: Path) -> None:
    good = as_arrow_writes(tmp_path / "good", columns(50), 50)
    with pytest.raises(pa.ArrowInvalid):
        ColumnFile(tmp_path / "good", STATE)
    (tmp_path / "cut").write_bytes(good[:-40])
    with pytest.raises((pa.ArrowInvalid, OSError)):
        ColumnFile(tmp_path / "cut", SCHEMA)
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    table = pa.table([pa.array([b"a" * 16] * 50, pa.binary(16)), pa.array([True] * 50)], schema=STATE)
    with pa.ipc.new_file(str(tmp_path / "compressed"), STATE, options=options) as writer:
        writer.write_table(table)
    with pytest.raises(pa.ArrowInvalid):
        ColumnFile(tmp_path / "compressed", STATE)
