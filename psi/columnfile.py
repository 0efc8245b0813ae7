"""Arrow files of fixed-width columns that are larger than memory: read a range of rows, or written piece by piece.

A slice is one record batch, so that a receiver can map it. Arrow's own writer wants that batch whole; here the
header comes from Arrow's writer and the columns are filled in afterwards, which gives the very same bytes.
"""

from __future__ import annotations

import io
import os
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pyarrow as pa

from psi.columns import Column, data_of, find_positions
from psi.errors import InputError

_BITS = 8


@dataclass(frozen=True)
class _Part:
    """One record batch: its first row in the file, its rows, and where in the file each column begins."""

    first: int
    rows: int
    offsets: tuple[int, ...]


class ColumnFile:
    """An uncompressed Arrow file without nulls, read by rows; nothing of it stays in memory or mapped.

    Raises pyarrow.ArrowInvalid for another schema or a damaged file, OSError.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path = path
        self.schema = schema
        with pa.memory_map(str(path)) as source:
            self._parts = _outline(source.read_buffer(), schema)

    def __len__(self) -> int:
        return self._parts[-1].first + self._parts[-1].rows if self._parts else 0

    def read(self, start: int, stop: int) -> pa.Table:
        """Rows ``start`` to ``stop`` as a table of one chunk a column."""
        columns = [self.read_column(name, start, stop) for name in self.schema.names]
        return pa.table(columns, schema=self.schema)

    def read_column(self, name: str, start: int, stop: int) -> Column:
        """One column of rows ``start`` to ``stop``, as one array."""
        place = self.schema.get_field_index(name)
        kind = self.schema.field(place).type
        found = [
            self._read(kind, part.offsets[place], max(start - part.first, 0), min(stop - part.first, part.rows))
            for part in self._parts
            if part.first < stop and start < part.first + part.rows
        ]
        if len(found) == 1:
            return found[0]
        return pa.concat_arrays(found) if found else pa.array([], kind)

    def find(self, name: str, key: bytes) -> int:
        """The first row whose value is not below ``key``, in a column in ascending order of its bytes."""
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) // 2
            if data_of(self.read_column(name, middle, middle + 1)).to_pybytes() < key:
                low = middle + 1
            else:
                high = middle
        return low

    def find_rows(self, name: str, keys: Column) -> pa.Table:
        """The rows whose value in an ascending 16-byte column is one of ``keys`` (ascending, none twice), in order.

        The file is mapped and searched in place: what that takes grows with the keys, not with the file.
        """
        found = [self.schema.empty_table()]
        with pa.memory_map(str(self.path)) as source:
            reader = pa.ipc.open_file(source)
            for number in range(reader.num_record_batches):
                batch = reader.get_batch(number)
                column = batch.column(name)
                if not len(column) or not len(keys):
                    continue
                stop = bisect_right(keys, column[-1].as_py(), key=_value)
                places = find_positions(column, keys[:stop]).drop_null()
                found.append(pa.Table.from_batches([batch.take(places)]))
                keys = keys[stop:]
        return pa.concat_tables(found).combine_chunks()

    def _read(self, kind: pa.DataType, offset: int, start: int, stop: int) -> Column:
        if pa.types.is_boolean(kind):
            first = start // _BITS
            bits = self._bytes(offset + first, -(-stop // _BITS) - first)
            return pa.Array.from_buffers(kind, stop - start, [None, bits], offset=start % _BITS)
        width = kind.byte_width
        data = self._bytes(offset + start * width, (stop - start) * width)
        return pa.Array.from_buffers(kind, stop - start, [None, data])

    def _bytes(self, offset: int, length: int) -> pa.Buffer:
        with self.path.open("rb", buffering=0) as stream:  # opened anew each time: an edition has hundreds of files
            stream.seek(offset)
            buffer = bytearray(length)
            view, done = memoryview(buffer), 0
            while done < length:
                count = stream.readinto(view[done:])
                if not count:
                    raise pa.ArrowInvalid("the file ends within a column")
                done += count
        return pa.py_buffer(buffer)


class ColumnWriter:
    """Writes a file of ``rows`` rows in one record batch, as Arrow's writer would, piece by piece.

    ``path`` must not exist. Booleans are not taken. At the end of the ``with`` block the file is whole; not flushed.
    """

    def __init__(self, path: Path, schema: pa.Schema, rows: int) -> None:
        self._widths = [field.type.byte_width for field in schema]
        self._rows, self._written = rows, 0
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            self._offsets = self._write_frame(path, schema)
        except BaseException:
            os.close(self._handle)
            raise

    def write(self, columns: Sequence[pa.Buffer]) -> None:
        """The next rows: a buffer for each column. Raises InputError if they are of different lengths or too many."""
        rows = columns[0].size // self._widths[0]
        if any(buffer.size != rows * width for buffer, width in zip(columns, self._widths, strict=True)):
            raise InputError("the columns are of different lengths")
        if self._written + rows > self._rows:
            raise InputError("more rows than the file was made for")
        for buffer, width, offset in zip(columns, self._widths, self._offsets, strict=True):
            _write_at(self._handle, memoryview(buffer), offset + self._written * width)
        self._written += rows

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Raises InputError if rows are missing."""
        os.close(self._handle)
        if kind is None and self._written != self._rows:
            raise InputError("fewer rows than the file was made for")

    def _write_frame(self, path: Path, schema: pa.Schema) -> list[int]:
        """Everything but the columns, and where each of those goes. The columns are a hole in the file until then."""
        total = sum(self._widths) * self._rows
        if not total:
            sink = io.BytesIO()
            _write_batch(sink, schema, [pa.py_buffer(b"") for _ in self._widths], 0)
            _write_at(self._handle, memoryview(sink.getvalue()), 0)
            return [0 for _ in self._widths]
        os.truncate(self._handle, total)
        with pa.memory_map(str(path)) as source:
            hole = source.read_buffer(total)  # nobody reads these pages
        starts = [sum(self._widths[:place]) * self._rows for place in range(len(self._widths))]
        columns = [hole.slice(start, width * self._rows) for start, width in zip(starts, self._widths, strict=True)]
        frame = _Frame({column.address: column.size for column in columns})
        _write_batch(frame, schema, columns, self._rows)
        os.truncate(self._handle, frame.position)
        for position, content in frame.pieces:
            _write_at(self._handle, memoryview(content), position)
        return [frame.found[column.address] for column in columns]


class _Frame(io.RawIOBase):
    """A sink that keeps what Arrow writes around the columns, and remembers where those would stand."""

    def __init__(self, columns: dict[int, int]) -> None:
        self.position = 0
        self.pieces: list[tuple[int, bytes]] = []
        self.found: dict[int, int] = {}
        self._columns = columns

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        buffer = data if isinstance(data, pa.Buffer) else pa.py_buffer(data)
        if buffer.size and self._columns.get(buffer.address) == buffer.size:
            self.found[buffer.address] = self.position
        else:
            self.pieces.append((self.position, buffer.to_pybytes()))
        self.position += buffer.size
        return int(buffer.size)


def _write_batch(sink: Any, schema: pa.Schema, columns: Sequence[pa.Buffer], rows: int) -> None:
    arrays = [
        pa.Array.from_buffers(field.type, rows, [None, buffer]) for field, buffer in zip(schema, columns, strict=True)
    ]
    with pa.ipc.new_file(pa.PythonFile(sink, "w"), schema) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))


def _write_at(handle: int, data: memoryview, offset: int) -> None:
    view, done = data.cast("B"), 0
    while done < len(view):
        done += os.pwrite(handle, view[done:], offset + done)


def _outline(content: pa.Buffer, schema: pa.Schema) -> list[_Part]:
    """The record batches of a mapped file; only their headers are looked at."""
    reader = pa.ipc.open_file(pa.BufferReader(content))
    if reader.schema != schema:
        raise pa.ArrowInvalid("another schema")
    parts: list[_Part] = []
    first = 0
    for number in range(reader.num_record_batches):
        batch = reader.get_batch(number)
        if any(column.null_count or column.offset for column in batch.columns):
            raise pa.ArrowInvalid("a null where none may be")
        offsets = tuple(_offset(column, content) for column in batch.columns)
        parts.append(_Part(first, batch.num_rows, offsets))
        first += batch.num_rows
    return [part for part in parts if part.rows]


def _value(scalar: Any) -> bytes:
    value: bytes = scalar.as_py()
    return value


def _offset(column: Column, content: pa.Buffer) -> int:
    data = column.buffers()[1]
    if data is None or not len(column):
        return 0
    offset = data.address - content.address
    if not 0 <= offset <= content.size - data.size:
        raise pa.ArrowInvalid("a compressed file")
    return offset
