"""Backups of a home: made beside the work, checked on the copy, sealed; opened again into an empty folder.

The key-encryption key is in none of them (``secrets/`` never is): whoever has a backup and its key still has no key of
this party. docs/how-to/back-up-and-restore.md has the whole way.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from nacl.public import PrivateKey

from keys.backupfile import BackupRecipient, read_back, read_backup, write_backup
from keys.clock import Clock, format_time, parse_time
from keys.database import connect, require_sound_disk, typed_errors
from keys.envelope import sign_envelope
from keys.files import (
    BUILDING,
    FOLDER_MODE,
    building_path,
    exclusive_lock,
    make_folder,
    publish_folder,
    write_atomic,
)
from keys.freezing import FileVanished, check_database, frozen, look_through
from keys.identity import Identity, PublicIdentity
from matcher.audit import verify_chain
from matcher.keeping.packing import LIST_TYPE, BackupList, PackedFile, pack, unpack
from matcher.keeping.restored import mark_restored
from psi.errors import InputError, VerificationError

LAST_BACKUP = "last-backup.json"
LOCK = "backup.lock"
WORK = f"{BUILDING}backup"
_TRIES = 3  # a file that a purge takes away while it is linked makes the whole moment stale


class FolderNotEmpty(InputError):
    """A backup is restored into an empty folder only; ``params["folder"]``."""

    code = "folder_not_empty"


class BackupOfOther(VerificationError):
    """A backup was signed by another party than the one that is expected; params ``expected`` and ``found``."""

    code = "backup_of_other"


class BackupExists(InputError):
    """There is a file of that name; ``params["file"]``."""

    code = "backup_exists"


@dataclass(frozen=True)
class Made:
    """A backup that was just made, or would be."""

    file: Path
    files: int
    bytes: int
    left_out: tuple[str, ...]
    audit: dict[str, tuple[int, str]]


@dataclass(frozen=True)
class LastBackup:
    """What a home remembers of its newest backup."""

    file: str
    at: datetime
    bytes: int
    recipient: str


class Observer:
    """Told of each step, with its bytes or pages if they are known, and of how far it is."""

    def begin(self, title: str, total: int | None = None) -> None:
        """``title``: freeze, check, write, read back, restore."""

    def advance_to(self, done: int) -> None:
        """``done`` of ``total``."""


SILENT = Observer()


def create_backup(
    home: Path,
    target: Path,
    recipient: BackupRecipient,
    identity: Identity,
    clock: Clock,
    *,
    software: str,
    never: Sequence[Path] = (),
    observer: Observer = SILENT,
) -> Made:
    """Write the backup of ``home`` to ``target``, whole or not at all, and read it back.

    ``never`` are files that stay out, beside those of keys.freezing.NEVER. Raises BackupExists, Locked while a job or
    another backup is at work, DatabaseDamaged, AuditBroken (nothing is written then), OSError.
    """
    if target.exists():
        raise BackupExists("a backup is never overwritten", file=str(target))
    with exclusive_lock(home / LOCK):
        shutil.rmtree(home / WORK, ignore_errors=True)  # what a killed one left
        building_path(target).unlink(missing_ok=True)
        for last in range(_TRIES, 0, -1):
            try:
                return _create(home, target, recipient, identity, clock, software, never, observer)
            except FileVanished:
                if last == 1:
                    raise
        raise AssertionError


def _create(
    home: Path,
    target: Path,
    recipient: BackupRecipient,
    identity: Identity,
    clock: Clock,
    software: str,
    never: Sequence[Path],
    observer: Observer,
) -> Made:
    observer.begin("freeze")
    with frozen(home, home / WORK, never) as found:
        at = format_time(clock.now())
        observer.begin("check")
        audit = check_databases(home / WORK, found.databases)
        paths = sorted([*found.databases, *found.files])
        total = sum((home / WORK / path).stat().st_size for path in paths)
        left_out = tuple(path.as_posix() for path in found.left_out if path.name not in (WORK, LOCK))

        def sign(files: tuple[PackedFile, ...]) -> bytes:
            listed = BackupList(identity.public, software, at, audit, files, left_out)
            return sign_envelope(identity, LIST_TYPE, listed.encode())

        observer.begin("write", total)
        file_key = write_backup(target, recipient, pack(home / WORK, paths, sign, observer.advance_to))
    observer.begin("read back", total)
    try:
        unpack(read_back(target, file_key), None, observer.advance_to)
    except BaseException:
        target.unlink()  # the disk did not keep what was written
        raise
    remembered = {"file": str(target), "at": at, "bytes": total, "recipient": recipient.public_key.hex()}
    write_atomic(home / LAST_BACKUP, json.dumps(remembered, ensure_ascii=False).encode())
    return Made(target, len(paths), total, left_out, audit)


def plan_backup(home: Path, target: Path, never: Sequence[Path] = ()) -> Made:
    """What a backup would hold now; nothing is locked or written."""
    found = look_through(home, never)
    paths = [*found.databases, *found.files]
    total = sum((home / path).stat().st_size for path in paths)
    return Made(target, len(paths), total, tuple(path.as_posix() for path in found.left_out), {})


def verify_backup(
    file: Path, key: PrivateKey, expected: PublicIdentity | None = None, observer: Observer = SILENT
) -> BackupList:
    """Read a whole backup and compare every file with its signed list; nothing is written.

    Raises BackupInvalid, BackupForOther, BackupOfOther, SealedFileInvalid, SignatureInvalid, OSError.
    """
    observer.begin("read back", file.stat().st_size)
    listed = unpack(read_backup(file, key), None, observer.advance_to)
    _require_party(listed, expected)
    return listed


def restore_backup(
    file: Path,
    key: PrivateKey,
    folder: Path,
    clock: Clock,
    *,
    actor: str,
    expected: PublicIdentity | None = None,
    observer: Observer = SILENT,
) -> BackupList:
    """Make ``folder``, which must be missing or empty, the home that was backed up; whole or not at all.

    The restored home says that it is one, in its audit chain, by an alarm and by a mark, and does no work before
    somebody settles what may have been lost (matcher.keeping.restored). Raises FolderNotEmpty and what
    :func:`verify_backup` raises.
    """
    folder = folder.absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FolderNotEmpty("not an empty folder", folder=str(folder))
    make_folder(folder.parent)
    building = building_path(folder)
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(FOLDER_MODE)
    try:
        observer.begin("restore", file.stat().st_size)
        listed = unpack(read_backup(file, key), building, observer.advance_to)
        _require_party(listed, expected)
        observer.begin("check")
        databases = [Path(each.path) for each in listed.files if each.path.endswith(".sqlite")]
        if check_databases(building, databases) != listed.audit:
            raise BackupOfOther("its audit chain is not the one that its list names", expected="", found="")
        mark_restored(building, listed, clock, actor)
        require_sound_disk()  # closing a database tells of no flush that failed
        publish_folder(building, folder)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    return listed


def read_last_backup(home: Path) -> LastBackup | None:
    """The newest backup that was made of this home, None if there is none or its note cannot be read."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        found = json.loads((home / LAST_BACKUP).read_bytes())
        return LastBackup(found["file"], parse_time(found["at"]), int(found["bytes"]), found["recipient"])
    return None


def check_databases(folder: Path, databases: Sequence[Path]) -> dict[str, tuple[int, str]]:
    """Every database whole, every audit chain verified; the number and hash of each chain's last row.

    Raises DatabaseDamaged, AuditBroken.
    """
    heads = {}
    for path in databases:
        check_database(folder / path)
        with typed_errors(path.name):
            database = connect(folder / path, synchronous="OFF")  # as check_database does
            try:
                if database["audit"].exists():
                    head = verify_chain(database)
                    heads[path.as_posix()] = (head.seq, head.hash)
            finally:
                database.close()
    return heads


def _require_party(listed: BackupList, expected: PublicIdentity | None) -> None:
    if expected is not None and listed.identity != expected:
        raise BackupOfOther(
            "a backup of another party", expected=expected.fingerprint, found=listed.identity.fingerprint
        )
