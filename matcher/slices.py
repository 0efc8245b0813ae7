"""Slices as files: mapped for reading, written whole."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow as pa

from keys.files import FILE_MODE
from psi.edition import LabelSchema, Slice, SliceEntry, SliceInvalid, parse_slice, write_slice


def file_sha256(path: Path) -> str:
    """The file's SHA-256 as it reads from disk."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_slice_file(path: Path, entry: SliceEntry) -> None:
    """Raise SliceInvalid unless the file has the length and SHA-256 that the manifest states."""
    if path.stat().st_size != entry.bytes:
        raise SliceInvalid("a slice's length is not the manifest's", division=entry.division)
    if file_sha256(path) != entry.sha256:
        raise SliceInvalid("a slice's SHA-256 is not the manifest's", division=entry.division)


def open_slice(path: Path, entry: SliceEntry, label_width: int) -> Slice:
    """Map a slice file that was checked when it was stored. Raises SliceInvalid if it is not the entry's shape.

    Pages are read as the look-up touches them, so a slice of a whole province needs no memory of its own.
    """
    with pa.memory_map(str(path)) as source:
        content = source.read_buffer()
    rows = parse_slice(content, label_width)
    if rows.rows != entry.rows:
        raise SliceInvalid("a slice's rows are not the manifest's", division=entry.division)
    return rows


def write_slice_file(folder: Path, division: str, rows: Slice, bucket: int, label: LabelSchema) -> SliceEntry:
    """Write one slice into ``folder`` and return its manifest entry, hashed again from what is on disk."""
    path = folder / f"{division}.arrow"
    with pa.OSFile(str(path), "wb") as sink:
        write_slice(sink, rows, label.width)
    path.chmod(FILE_MODE)
    return describe_slice(path, rows.rows, bucket)


def describe_slice(path: Path, rows: int, bucket: int) -> SliceEntry:
    """The manifest entry of a slice file, hashed from what is on disk; its name is the division's."""
    return SliceEntry(
        division=path.stem,
        file=path.name,
        rows=rows,
        bucket=bucket,
        bytes=path.stat().st_size,
        sha256=file_sha256(path),
    )
