"""CSV in the encodings that county offices send: UTF-8 with or without a mark, UTF-16 with one, GB18030.

A file is decoded strictly or refused whole; which it is, is known before the first row is given out.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

from matcher.columns import ColumnMapping
from matcher.tables.batch import TableBatch, batches_of_records
from matcher.tables.errors import EncodingUnknown, TableDamaged, TableEmpty, TableTooLarge
from matcher.tables.plain_csv import Rest, read_plain
from psi.errors import InputError

_BLOCK_BYTES = 1 << 20
_PLAIN = {"utf-8": 0, "utf-8-sig": len(codecs.BOM_UTF8)}  # encodings that are read in bytes, and their mark
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def read_csv(path: Path, mapping: ColumnMapping, batch_rows: int) -> Iterator[TableBatch]:
    """Raises the errors of matcher.tables.errors and matcher.columns."""
    encoding = detect_encoding(path)
    with ExitStack() as opened:
        stream = opened.enter_context(path.open(encoding=encoding, newline=""))
        separator = separator_of(stream.readline())
        stream.seek(0)
        lines = _Lines(stream)
        reader = csv.reader(lines, delimiter=separator, strict=True)
        line = 0  # of the file, before those that the reader has counted
        try:
            header, header_row = _header(reader, path)
            places = mapping.locate(header)
            row = header_row + 1
            if encoding in _PLAIN:
                rest = Rest(lines.bytes_read + _PLAIN[encoding], row)
                yield from read_plain(path, separator, len(header), places, rest, batch_rows)
                line, row = reader.line_num + rest.row - row, rest.row
                stream = opened.enter_context(path.open(encoding="utf-8", newline=""))
                stream.seek(rest.offset)
                reader = csv.reader(stream, delimiter=separator, strict=True)
            yield from batches_of_records(reader, len(header), places, row, batch_rows)
        except csv.Error as error:
            raise refusal_of(error, path, line + reader.line_num) from None


class _Lines:
    """The lines of a stream, counted in bytes of UTF-8."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.bytes_read = 0

    def __iter__(self) -> Iterator[str]:
        for line in self._stream:
            self.bytes_read += len(line.encode())
            yield line


def refusal_of(error: csv.Error, path: Path, line: int) -> InputError:
    """What a broken record means. An unclosed quote ends here too: it makes one cell of the rest of the file."""
    if "field limit" in str(error):
        return TableTooLarge("a cell is too large", file=path.name, line=line, limit=csv.field_size_limit())
    return TableDamaged(str(error), file=path.name, line=line)


def _header(reader: Iterator[list[str]], path: Path) -> tuple[list[str], int]:
    for row, record in enumerate(reader, start=1):
        if any(cell.strip() for cell in record):
            return record, row
    raise TableEmpty("the file is empty", file=path.name)


def separator_of(first_line: str) -> str:
    """Excel's "Unicode text" is separated by TAB."""
    return "\t" if "\t" in first_line and "," not in first_line else ","


def detect_encoding(path: Path) -> str:
    """The encoding in which the whole file decodes strictly.

    A file that is UTF-8 but for a few damaged bytes is refused, and never read as GB18030, in which
    most byte strings mean something. Raises EncodingUnknown naming the line of the first bad byte,
    and TableTooLarge for a line of more than a mebibyte.
    """
    with path.open("rb") as stream:
        start = stream.read(3)
    marked = next((name for mark, name in _MARKS if start.startswith(mark)), None)
    if marked:
        fault = _find_fault(path, marked)
        if fault is not None:
            raise EncodingUnknown(f"not the {marked} that its first bytes announce", file=path.name, line=fault)
        return marked
    fault = _find_fault(path, "utf-8")
    if fault is None:
        return "utf-8"
    if _find_fault(path, "gb18030") is None and not _is_mostly_utf8(path):
        return "gb18030"
    raise EncodingUnknown("neither UTF-8 nor GB18030", file=path.name, line=fault)


def _find_fault(path: Path, encoding: str) -> int | None:
    """The line of the first byte that does not decode, or None."""
    decoder = codecs.getincrementaldecoder(encoding)()
    line = 1
    with path.open("rb") as stream:
        while True:
            block = stream.read(_BLOCK_BYTES)
            pending = decoder.getstate()[0]
            try:
                line += decoder.decode(block, final=not block).count("\n")
            except UnicodeDecodeError as error:
                return line + (pending + block)[: error.start].count(b"\n")
            if not block:
                return None
            if len(block) == _BLOCK_BYTES and b"\n" not in block and b"\r" not in block:
                raise TableTooLarge("a line is too long", file=path.name, line=line, limit=_BLOCK_BYTES)


def _is_mostly_utf8(path: Path) -> bool:
    """Whether more characters beyond ASCII decode as UTF-8 than do not."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    good = bad = 0
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            text = decoder.decode(block)
            replaced = text.count("�")
            bad += replaced
            good += len(text) - len(text.encode("ascii", "ignore")) - replaced
    return good > bad
