"""Photos, signatures and signed papers: sealed files in ``<home>/attachments``, each with its row.

A file's name is ours and random; nothing of a sender's name is used. The file is written and flushed inside the
transaction that adds its row, so a row always has its file, and a file without a row is what a killed process left.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from keys.database import reading
from keys.files import make_folder, write_atomic
from matcher.bureau.actors import Actor
from matcher.bureau.office import Office
from matcher.images import CleanImage
from matcher.rows import fetch_records
from matcher.sealing import SealedDataDamaged
from psi.errors import MingceError

FOLDER = "attachments"
_SUFFIX = ".sealed"
_COLUMNS = "attachment_id, subject, kind, file, sha256, bytes, width, height, taken_at, added_by, added_at"

KINDS: dict[str, str] = {
    "photo": "照片",
    "signature_applicant": "申请人签字",
    "signature_manager": "客户经理签字",
    "signature_officer": "网格员签字",
    "commitment": "承诺书",
    "document": "材料",
}


class AttachmentUnknown(MingceError):
    """There is no such attachment; ``params``: ``attachment``."""

    code = "attachment_unknown"


@dataclass(frozen=True)
class Attachment:
    """One image. ``bytes`` and ``sha256`` are of the JPEG as it is kept, before sealing; sides in pixels."""

    attachment_id: int
    subject: str
    kind: str
    file: str
    sha256: str
    bytes: int
    width: int
    height: int
    taken_at: str | None
    added_by: str
    added_at: str


class Attachments:
    """The images of one office. Who may add or see one is for the part to say whose subject it belongs to."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._folder = office.home / FOLDER

    def add_within(
        self, actor: Actor, subject: str, kind: str, image: CleanImage, *, taken_at: str | None = None
    ) -> Attachment:
        """Keep an image under a subject such as ``visit/17``; the same image again returns the one that is there."""
        database = self._office.database
        found = self._find("subject = ? AND kind = ? AND sha256 = ?", [subject, kind, image.sha256])
        if found:
            return found[0]
        name = f"{self._office.random_bytes(16).hex()}{_SUFFIX}"
        sealed = self._office.personal.sealer.seal(image.jpeg, "attachment", "file", name)
        write_atomic(make_folder(self._folder) / name, sealed)
        cursor = database.execute(
            "INSERT INTO attachment (subject, kind, file, sha256, bytes, width, height, taken_at, added_by, added_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [subject, kind, name, image.sha256, len(image.jpeg), image.width, image.height, taken_at, actor.name,
             self._office.now()],
        )  # fmt: skip
        self._office.record_within(actor, "attachment.add", subject, kind=kind, sha256=image.sha256)
        return self._find("attachment_id = ?", [cursor.lastrowid])[0]

    def list_of(self, subject: str) -> list[Attachment]:
        """Oldest first."""
        return self._find("subject = ?", [subject])

    def get(self, attachment_id: int) -> Attachment:
        """Raises AttachmentUnknown."""
        found = self._find("attachment_id = ?", [attachment_id])
        if not found:
            raise AttachmentUnknown("no such attachment", attachment=attachment_id)
        return found[0]

    def read(self, attachment: Attachment) -> bytes:
        """The JPEG. Raises SealedDataDamaged if the file is gone, damaged or another's."""
        try:
            sealed = (self._folder / attachment.file).read_bytes()
        except FileNotFoundError:
            raise SealedDataDamaged("an attachment's file is gone", store="bureau", table="attachment") from None
        return self._office.personal.sealer.open(sealed, "attachment", "file", attachment.file)

    def remove_within(self, subjects: Sequence[str]) -> None:
        """Delete the rows of these subjects; once that is committed, :meth:`remove_orphans` deletes their files."""
        for subject in subjects:
            self._office.database.execute("DELETE FROM attachment WHERE subject = ?", [subject])

    def remove_orphans(self) -> list[Path]:
        """Delete files without a row: what killed processes left, and what was purged. Returns what was there.

        It deletes under the write lock, so that no other process is between a file and its row; it takes the lock
        only if there is something to delete.
        """
        names = (path.name for path in self._folder.iterdir()) if self._folder.is_dir() else ()
        suspects = self._without_row(name for name in names if name.endswith(_SUFFIX))  # half-written ones too
        if not suspects:
            return []
        with self._office.writing():
            found = [self._folder / name for name in self._without_row(suspects)]
            for path in found:
                path.unlink(missing_ok=True)
        return found

    def _without_row(self, names: Iterable[str]) -> list[str]:
        with reading(self._office.database) as database:
            known = {name for (name,) in database.execute("SELECT file FROM attachment")}
        return sorted(set(names) - known)

    def list_damaged(self) -> list[Attachment]:
        """Those whose file is gone or does not open."""
        return [attachment for attachment in self._find("1", []) if not self._opens(attachment)]

    def _opens(self, attachment: Attachment) -> bool:
        try:
            self.read(attachment)
        except SealedDataDamaged:
            return False
        return True

    def _find(self, condition: str, values: Sequence[object]) -> list[Attachment]:
        """``condition`` is one of the fixed texts above."""
        with reading(self._office.database) as database:
            rows = fetch_records(
                database,
                f"SELECT {_COLUMNS} FROM attachment WHERE {condition} ORDER BY attachment_id",  # noqa: S608
                values,
            )
        return [Attachment(**row) for row in rows]
