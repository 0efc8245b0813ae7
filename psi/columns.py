"""Fixed-width columns: between contiguous bytes and Arrow arrays, and the kernel's table operations on them."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute

from psi import _native


def fixed(data: bytes | pa.Buffer, width: int) -> pa.FixedSizeBinaryArray:
    """n*width bytes as an Arrow column, without copying."""
    buffer = data if isinstance(data, pa.Buffer) else pa.py_buffer(data)
    return pa.Array.from_buffers(pa.binary(width), buffer.size // width, [None, buffer])


def uint32(data: bytes | pa.Buffer) -> pa.UInt32Array:
    """n little-endian u32 as an Arrow column, without copying."""
    buffer = data if isinstance(data, pa.Buffer) else pa.py_buffer(data)
    return pa.Array.from_buffers(pa.uint32(), buffer.size // 4, [None, buffer])


def data_of(column: pa.Array | pa.ChunkedArray) -> pa.Buffer:
    """A fixed-width column's bytes. A slice of a column is copied, so that it starts at its first row."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    width = column.type.byte_width
    buffer = column.buffers()[1]
    if buffer is None:
        return pa.py_buffer(b"")
    return buffer.slice(column.offset * width, len(column) * width)


def find_positions(sorted_keys: pa.Array | pa.Buffer, queries: pa.Array | bytes) -> pa.Int64Array:
    """For each 16-byte query its row in a sorted column, or null."""
    keys = data_of(sorted_keys) if isinstance(sorted_keys, pa.Array) else sorted_keys
    wanted = data_of(queries) if isinstance(queries, pa.Array) else queries
    found = pa.py_buffer(_native.find_tags(keys, wanted))
    rows = pa.Array.from_buffers(pa.int64(), found.size // 8, [None, found])
    return pa.compute.if_else(pa.compute.greater_equal(rows, 0), rows, pa.scalar(None, pa.int64()))


def sorted_positions(keys: pa.FixedSizeBinaryArray) -> pa.UInt32Array:
    """The stable ascending order of a fixed-width column."""
    return uint32(_native.sort_order(data_of(keys), keys.type.byte_width))
