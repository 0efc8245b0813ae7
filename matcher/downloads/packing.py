"""Making a file in a place of its own that is gone afterwards, and packing what a spreadsheet's mark cannot reach."""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from keys.files import Locked, exclusive_lock, make_folder
from matcher.watermark import Watermark, watermarked

Make = Callable[[Path], int]
"""Writes a file at a path, perhaps others beside it, and returns how many rows they hold."""

NOTE = "下载说明.txt"
_LOCK = ".lock"
_FIRST_DAY = (1980, 1, 1, 0, 0, 0)  # a ZIP's own times: what counts stands in the note


def make_file(folder: Path, name: str, mark: Watermark, make: Make, *, personal: bool) -> tuple[str, bytes, int]:
    """The file's name, content and rows. A workbook has the mark within; text files stay as machines read them, so
    several of them, or one with personal data, come in a ZIP with a note beside them. Every name has the number.

    ``folder`` is where it is built, unreadable to others; nothing of it stays.
    """
    with _scratch(folder, mark.number) as place:
        path = place / _numbered(name, mark.number)
        with watermarked(mark):
            rows = make(path)
        files = sorted(place.iterdir(), key=lambda file: (file != path, file.name))
        if len(files) == 1 and (path.suffix == ".xlsx" or not personal):
            return path.name, path.read_bytes(), rows
        return f"{path.stem}.zip", _pack(files, mark), rows


def remove_unfinished(folder: Path) -> None:
    """Delete what a killed process left; what another one is making stays."""
    for lock in folder.glob(f"*{_LOCK}"):
        try:
            with exclusive_lock(lock):
                shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
                lock.unlink(missing_ok=True)
        except Locked:
            continue


@contextmanager
def _scratch(folder: Path, number: str) -> Iterator[Path]:
    lock = make_folder(folder) / f"{number}{_LOCK}"
    with exclusive_lock(lock):
        place = make_folder(lock.with_suffix(""))
        try:
            yield place
        finally:
            shutil.rmtree(place)
            lock.unlink()


def _numbered(name: str, number: str) -> str:
    path = Path(name)
    return f"{path.stem}-{number}{path.suffix}"


def _pack(files: list[Path], mark: Watermark) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        contents = {file.name: file.read_bytes() for file in files}
        for name, content in {**contents, NOTE: mark.note.encode("utf-8-sig")}.items():
            archive.writestr(zipfile.ZipInfo(name, _FIRST_DAY), content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()
