"""The encoded parts of an edition in the making, kept on disk until it is published: a break costs one part.

Of each part there are three files: rows just sealed, the entries of the edition (both by tag), and what is remembered
(by reference). They hold nothing that the edition itself does not. The part counts once a note beside them, written
last, names their hashes; a file that is half-written, or was changed since, does not match and its part is done again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from io import IOBase
from pathlib import Path
from typing import cast

import pyarrow as pa

from keys.files import atomic_writer, make_folder, write_atomic
from matcher.slices import file_sha256
from psi.columnfile import ColumnFile

KINDS = ("sealed", "entries", "state")


class Batches:
    """One edition's parts in ``folder``. What stands there for another ``key`` or number of parts is removed."""

    def __init__(self, folder: Path, key: str, parts: int, schemas: Mapping[str, pa.Schema]) -> None:
        self._folder = folder
        self._schemas = schemas
        self._parts = parts
        note = json.dumps({"key": key, "parts": parts}).encode()
        if not _reads(folder / "key", note):
            shutil.rmtree(folder, ignore_errors=True)
            write_atomic(make_folder(folder) / "key", note)

    def is_done(self, part: int) -> bool:
        """Whether a part is there as it was written: its files are hashed."""
        try:
            hashes = json.loads((self._folder / f"{part}.json").read_bytes())
            return all(file_sha256(self._path(kind, part)) == hashes[kind] for kind in KINDS)
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def write(self, part: int, tables: Mapping[str, pa.Table]) -> None:
        """Keep a part: a table of each of KINDS."""
        hashes = {}
        for kind in KINDS:
            path, schema = self._path(kind, part), self._schemas[kind]
            with atomic_writer(path) as stream:
                sink = pa.PythonFile(cast(IOBase, stream), "w")
                with pa.ipc.new_file(sink, schema) as writer:
                    writer.write_table(tables[kind])
            hashes[kind] = file_sha256(path)
        write_atomic(self._folder / f"{part}.json", json.dumps(hashes).encode())

    def count_sealed(self, part: int) -> int:
        """How many rows of a part were encoded."""
        return len(ColumnFile(self._path("sealed", part), self._schemas["sealed"]))

    def open(self, kind: str) -> list[ColumnFile]:
        """All parts' files of one of KINDS."""
        return [ColumnFile(self._path(kind, part), self._schemas[kind]) for part in range(self._parts)]

    def states(self) -> Iterator[pa.Table]:
        """What is to be remembered, in the order of the references."""
        for file in self.open("state"):
            if len(file):
                yield file.read(0, len(file))

    def _path(self, kind: str, part: int) -> Path:
        return self._folder / f"{part}-{kind}.arrow"


def _reads(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() == content
    except OSError:
        return False
