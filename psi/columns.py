"""Fixed-width columns: between contiguous bytes and Arrow arrays, and the kernel's table operations on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias, cast

import pyarrow as pa
import pyarrow.compute

from psi import _native

Column: TypeAlias = "pa.Array[Any]"
pc: Any = pyarrow.compute  # typed as Any: the stubs of the compute functions refuse much that is right


def required_schema(columns: Mapping[str, pa.DataType]) -> pa.Schema:
    """A schema of which no column may hold a null."""
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in columns.items()])


def fixed(data: bytes | pa.Buffer, width: int) -> pa.FixedSizeBinaryArray:
    """n*width bytes as an Arrow column, without copying."""
    buffer = data if isinstance(data, pa.Buffer) else pa.py_buffer(data)
    column = pa.Array.from_buffers(pa.binary(width), buffer.size // width, [None, buffer])
    return cast(pa.FixedSizeBinaryArray, column)


def uint32(data: bytes | pa.Buffer) -> Column:
    """n little-endian u32 as an Arrow column, without copying."""
    buffer = data if isinstance(data, pa.Buffer) else pa.py_buffer(data)
    return pa.Array.from_buffers(pa.uint32(), buffer.size // 4, [None, buffer])


def data_of(column: Column | pa.ChunkedArray[Any]) -> pa.Buffer:
    """A fixed-width column's bytes. A slice of a column is copied, so that it starts at its first row."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    width = column.type.byte_width
    buffer = column.buffers()[1]
    if buffer is None:
        return pa.py_buffer(b"")
    return buffer.slice(column.offset * width, len(column) * width)


def find_positions(sorted_keys: Column | pa.Buffer, queries: Column | bytes) -> Column:
    """For each 16-byte query its row in a sorted column, or null."""
    keys = data_of(sorted_keys) if isinstance(sorted_keys, pa.Array) else sorted_keys
    wanted = data_of(queries) if isinstance(queries, pa.Array) else queries
    found = pa.py_buffer(_native.find_tags(keys, wanted))
    rows = pa.Array.from_buffers(pa.int64(), found.size // 8, [None, found])
    found_rows: Column = pc.if_else(pc.greater_equal(rows, 0), rows, pa.scalar(None, pa.int64()))
    return found_rows


def sorted_positions(keys: Column) -> Column:
    """The stable ascending order of a fixed-width column."""
    return uint32(_native.sort_order(data_of(keys), keys.type.byte_width))
