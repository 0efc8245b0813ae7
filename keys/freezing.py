"""A home at one moment, beside the work that goes on: its databases copied, its other files linked.

All locks of its jobs and the write locks of all its databases are held together for as long as it takes to
link the files and to begin reading each database; then everybody goes on, and the copying takes its time. So
database rows and the files that belong to them (editions, slices, attachments) are of the same moment.

The files that jobs keep are written beside their place and renamed, never changed in place: a link is a copy.
"""

from __future__ import annotations

import fnmatch
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pysqlite3
from sqlite_utils import Database

from keys.database import DatabaseDamaged, DatabaseUnavailable, connect, require_sound_sqlite, typed_errors
from keys.files import BUILDING, exclusive_lock, make_folder
from psi.errors import MingceError

DATABASE_SUFFIX = ".sqlite"
PAGES_AT_ONCE = 4_096
PATIENCE_MS = 30_000

# What is of this moment and this machine only, or is never copied: see docs/how-to/back-up-and-restore.md.
NEVER = (
    f"{BUILDING}*",
    "*.lock",
    "lock",
    "*.sqlite-wal",
    "*.sqlite-shm",
    "*.part",
    "*.log",
    "*.mcbk",
    "/secrets",
    "/transit",
    "/address",
    "/last-backup.json",
)


class FileVanished(MingceError):
    """A file of the home was taken away while it was read; ``params["file"]``. Try again."""

    code = "file_vanished"


@dataclass(frozen=True)
class Found:
    """What a home holds, as paths relative to it; ``left_out`` are those of NEVER, folders for all that is in them."""

    databases: tuple[Path, ...]
    files: tuple[Path, ...]
    left_out: tuple[Path, ...]


def look_through(home: Path, never: Sequence[Path] = ()) -> Found:
    """Everything in the home, in order; ``never`` are more paths to leave out. Links are followed."""
    databases: list[Path] = []
    files: list[Path] = []
    left_out: list[Path] = []
    seen: set[tuple[int, int]] = set()

    def visit(folder: Path) -> None:
        about = folder.stat()
        if (about.st_dev, about.st_ino) in seen:  # a link that leads back
            return
        seen.add((about.st_dev, about.st_ino))
        for path in sorted(folder.iterdir()):
            relative = path.relative_to(home)
            if _is_left_out(relative, path, never):
                left_out.append(relative)
            elif path.is_dir():
                visit(path)
            elif path.is_file():
                (databases if path.suffix == DATABASE_SUFFIX else files).append(relative)
            else:  # a socket, a pipe, a link that leads nowhere
                left_out.append(relative)

    visit(home)
    return Found(tuple(databases), tuple(files), tuple(left_out))


@contextmanager
def frozen(
    home: Path, work: Path, never: Sequence[Path] = (), progress: Callable[[int, int], None] = lambda done, all_: None
) -> Iterator[Found]:
    """``work`` holds the home's files of one moment while the block runs, and is gone afterwards.

    ``progress`` hears of pages copied and pages there are, of one database after another. Raises Locked while a job
    is at work, DatabaseBusy, DatabaseDamaged, DatabaseUnavailable, FileVanished, OSError.
    """
    require_sound_sqlite()
    try:
        make_folder(work)
        with ExitStack() as readers:
            with ExitStack() as still:
                for lock in sorted(path for path in home.rglob("*") if _is_lock(path, home)):
                    still.enter_context(exclusive_lock(lock))
                for path in sorted(home.rglob(f"*{DATABASE_SUFFIX}")):
                    if not _is_left_out(path.relative_to(home), path, never):
                        still.enter_context(_write_lock(path))
                found = look_through(home, never)
                sources = {path: readers.enter_context(_reading_now(home / path)) for path in found.databases}
                for path in found.files:
                    _link(home / path, work / path)
            for path, source in sources.items():
                _copy_database(source, work / path, progress)
        yield found
    finally:
        shutil.rmtree(work, ignore_errors=True)


def check_database(path: Path) -> None:
    """Read a database that nobody else uses from end to end; whoever keeps the file flushes it.

    Raises DatabaseDamaged, DatabaseUnavailable.
    """
    with typed_errors(path.name):
        database = connect(path, synchronous="OFF")
        try:
            if [verdict for (verdict,) in database.conn.execute("PRAGMA integrity_check")] != ["ok"]:
                raise DatabaseDamaged("integrity_check failed", file=path.name)
            if database.conn.execute("PRAGMA foreign_key_check").fetchone() is not None:
                raise DatabaseDamaged("a row refers to one that is not there", file=path.name)
        finally:
            database.close()


def _is_left_out(relative: Path, path: Path, never: Sequence[Path]) -> bool:
    if path in never or any(path == other.resolve() for other in never):
        return True
    return any(
        relative == Path(pattern[1:]) if pattern.startswith("/") else fnmatch.fnmatchcase(path.name, pattern)
        for pattern in NEVER
    )


def _is_lock(path: Path, home: Path) -> bool:
    return (path.name == "lock" or path.suffix == ".lock") and path.is_file() and path != home / "backup.lock"


@contextmanager
def _write_lock(path: Path) -> Iterator[None]:
    """Nobody else commits to this database meanwhile. Raises DatabaseBusy after PATIENCE_MS."""
    with typed_errors(path.name):
        database = connect(path)
        try:
            database.conn.execute(f"PRAGMA busy_timeout = {PATIENCE_MS}")  # a busy office leaves short gaps
            database.conn.execute("BEGIN IMMEDIATE")
            yield
            database.conn.execute("ROLLBACK")
        finally:
            database.close()


@contextmanager
def _reading_now(path: Path) -> Iterator[Database]:
    """The database as it is at this moment, however it changes meanwhile (a read transaction on the log)."""
    with typed_errors(path.name):
        database = connect(path)
        try:
            database.conn.execute("BEGIN")
            database.conn.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()
            yield database
        finally:
            database.close()


def _copy_database(source: Database, target: Path, progress: Callable[[int, int], None]) -> None:
    make_folder(target.parent)
    target.touch(0o600, exist_ok=False)
    copy = pysqlite3.connect(str(target))
    try:
        copy.execute("PRAGMA journal_mode = OFF")  # a copy that fails is thrown away, and one that is read is too
        copy.execute("PRAGMA synchronous = OFF")
        source.conn.backup(
            copy, pages=PAGES_AT_ONCE, progress=lambda status, left, total: progress(total - left, total)
        )
    except pysqlite3.Error as error:  # a backup's errors come without SQLite's code
        raise DatabaseUnavailable(f"cannot be copied: {error}", file=target.name) from error
    finally:
        copy.close()


def _link(source: Path, target: Path) -> None:
    """A second name for the file, or a copy where the file system gives none."""
    make_folder(target.parent)
    try:
        real = source.resolve(strict=True)
        try:
            os.link(real, target)
        except OSError:  # another file system, or one that has no links
            shutil.copyfile(real, target)
            target.chmod(stat.S_IMODE(real.stat().st_mode))
    except FileNotFoundError:
        raise FileVanished("taken away meanwhile", file=source.name) from None
