"""Record batches out of foreign bytes in Arrow's IPC stream format, without unpacking anything.

Arrow may compress a batch's buffers; sixteen hundred bytes can then ask for twenty megabytes, and nothing says so
before they are unpacked. Our formats are uncompressed, to be mapped, so a compressed batch is refused by its header.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

_HEADER, _COMPRESSION = 2, 3  # fields of Message and of RecordBatch in Arrow's format/Message.fbs


def read_batches(stream: pa.Buffer, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The uncompressed batches of a stream of this very schema, in place. Raises pyarrow.ArrowException, OSError."""
    messages = iter(pa.ipc.MessageReader.open_stream(pa.BufferReader(stream)))
    first = next(messages, None)
    if first is None or first.type != "schema" or pa.ipc.read_schema(first) != schema:
        raise pa.ArrowInvalid("another schema")
    for message in messages:
        if message.type != "record batch" or _is_compressed(message.metadata):
            raise pa.ArrowInvalid("not an uncompressed batch of records")
        yield pa.ipc.read_record_batch(message, schema)


def _is_compressed(metadata: pa.Buffer) -> bool:
    """Whether a RecordBatch message, a flatbuffer that Arrow has verified, names a compression."""
    data = memoryview(metadata).cast("B")

    def number(at: int, width: int, *, signed: bool = False) -> int:
        return int.from_bytes(data[at : at + width], "little", signed=signed)

    def field(table: int, index: int) -> int:
        """Where a table's field stands, 0 if it is absent."""
        vtable = table - number(table, 4, signed=True)
        entry = 4 + 2 * index
        offset = number(vtable + entry, 2) if entry < number(vtable, 2) else 0
        return table + offset if offset else 0

    header = field(number(0, 4), _HEADER)
    return field(header + number(header, 4), _COMPRESSION) != 0
