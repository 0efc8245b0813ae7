"""Files that a form sends."""

from __future__ import annotations

from typing import Literal

from starlette.datastructures import UploadFile

from psi.errors import InputError

Suffix = Literal[".csv", ".xlsx"]


class UploadUnusable(InputError):
    """No file, an empty one, or one of another kind; ``params``: reason (``none``, ``empty``, ``kind``)."""

    code = "upload_unusable"


def read_table_upload(file: UploadFile | None) -> tuple[bytes, Suffix]:
    """A CSV or XLSX by its name; what it holds is for the reader to find out. Raises UploadUnusable."""
    name = (file.filename if file is not None else "") or ""
    for suffix in (".csv", ".xlsx"):
        if name.lower().endswith(suffix):
            return read_upload(file), suffix
    raise UploadUnusable("no CSV and no XLSX", reason="kind" if name else "none")


def read_upload(file: UploadFile | None) -> bytes:
    """Raises UploadUnusable. The gate has bounded the whole form."""
    if file is None or not file.filename:
        raise UploadUnusable("no file", reason="none")
    content = file.file.read()
    if not content:
        raise UploadUnusable("an empty file", reason="empty")
    return content
