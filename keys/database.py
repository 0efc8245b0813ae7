"""The one way to open SQLite here.

sqlite-utils runs on pysqlite3's own SQLite: the system's may be one of the versions
3.7.0 to 3.51.2, whose WAL-reset bug can lose commits with two connections.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from weakref import WeakKeyDictionary

import pysqlite3
from sqlite_utils import Database, Migrations

from keys.files import BUILDING, FILE_MODE, fsync_file, fsync_folder, make_folder
from psi.errors import MingceError

MINIMUM_SQLITE = (3, 51, 3)
BUSY_TIMEOUT_S = 5.0

_BUSY = {pysqlite3.SQLITE_BUSY, pysqlite3.SQLITE_LOCKED}
_DAMAGED = {pysqlite3.SQLITE_CORRUPT, pysqlite3.SQLITE_NOTADB}
_UNAVAILABLE = {
    pysqlite3.SQLITE_FULL,
    pysqlite3.SQLITE_IOERR,
    pysqlite3.SQLITE_CANTOPEN,
    pysqlite3.SQLITE_READONLY,
    pysqlite3.SQLITE_PERM,
}


class DatabaseDamaged(MingceError):
    """The file is not a sound database; nothing is served from it. Restore a backup."""

    code = "database_damaged"


class DatabaseBusy(MingceError):
    """Another process held the write lock longer than the busy timeout."""

    code = "busy"


class DatabaseUnavailable(MingceError):
    """The file cannot be opened or written: disk full, permissions, or an error of the disk."""

    code = "database_unavailable"


class SQLiteTooOld(MingceError):
    """This SQLite has the WAL-reset bug."""

    code = "sqlite_too_old"


def require_sound_sqlite(version: tuple[int, ...] = pysqlite3.sqlite_version_info) -> None:
    if version < MINIMUM_SQLITE:
        raise SQLiteTooOld("SQLite is older than 3.51.3", version=".".join(map(str, version)))


def open_database(path: Path, migrations: Migrations) -> Database:
    """Open (or create) the database at ``path``, check it, and bring its schema up to date.

    WAL, synchronous=FULL, foreign keys on, explicit transactions only. Several threads may share
    the handle if they use it inside :func:`reading` and :func:`write_transaction` only.
    Raises SQLiteTooOld, DatabaseDamaged, DatabaseBusy, DatabaseUnavailable.
    """
    require_sound_sqlite()
    make_folder(path.parent)
    if not path.exists():
        _create(path, migrations)
    if path.stat().st_size == 0:  # SQLite would take it for a new database
        raise DatabaseDamaged("the file is empty", file=path.name)
    database = _connect(path)
    try:
        with _typed_errors(path.name):
            (verdict,) = database.conn.execute("PRAGMA quick_check(1)").fetchone()
            if verdict != "ok":
                raise DatabaseDamaged("quick_check failed", file=path.name)
            if migrations.pending(database):
                with write_transaction(database):
                    migrations.apply(database)
    except BaseException:
        database.close()
        raise
    return database


@contextmanager
def reading(database: Database) -> Iterator[Database]:
    """The handle to oneself: threads that share it take turns, so nothing uncommitted is seen.

    Needed for reads too, as sqlite-utils' ``query`` opens a savepoint. Fetch every row inside.
    Raises DatabaseBusy after the busy timeout, DatabaseDamaged, DatabaseUnavailable.
    """
    turn = _turns.setdefault(database, threading.RLock())
    if not turn.acquire(timeout=BUSY_TIMEOUT_S):
        raise DatabaseBusy("another thread is at work")
    try:
        with _typed_errors():
            yield database
    finally:
        turn.release()


@contextmanager
def write_transaction(database: Database) -> Iterator[Database]:
    """One durable write: BEGIN IMMEDIATE, then COMMIT, or ROLLBACK on any error.

    Taking the write lock first means a transaction never fails half-way for being busy.
    Transactions do not nest. Raises what :func:`reading` raises.
    """
    with reading(database):
        database.conn.execute("BEGIN IMMEDIATE")
        try:
            yield database
            database.conn.execute("COMMIT")
        except BaseException:
            if database.conn.in_transaction:
                database.conn.execute("ROLLBACK")
            raise


_turns: WeakKeyDictionary[Database, threading.RLock] = WeakKeyDictionary()


def _create(path: Path, migrations: Migrations) -> None:
    """Make the database beside its place and link it there, so that it is never seen half made."""
    if path.with_name(f"{path.name}-wal").exists():
        raise DatabaseDamaged("a write-ahead log without its database", file=path.name)
    building = path.with_name(f"{BUILDING}{path.name}-{secrets.token_hex(4)}")
    os.close(os.open(building, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE))
    try:
        database = _connect(building)
        with _typed_errors(path.name):
            migrations.apply(database)
        database.close()  # the last connection folds the write-ahead log into the file
        fsync_file(building)
        with suppress(FileExistsError):  # another process was first; its database is as good
            os.link(building, path)
    finally:
        building.unlink()
    fsync_folder(path.parent)


def _connect(path: Path) -> Database:
    """A handle on an existing file; nothing is created if it has just gone."""
    with _typed_errors(path.name):
        connection = pysqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw",
            uri=True,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA trusted_schema = OFF")
        except BaseException:
            connection.close()
            raise
        return Database(connection)


@contextmanager
def _typed_errors(file: str = "") -> Iterator[None]:
    """SQLite's environment faults as our errors; faults of the caller's statements pass unchanged."""
    try:
        yield
    except pysqlite3.Error as error:
        primary = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte of an extended result code
        if primary in _BUSY:
            raise DatabaseBusy("database is locked", file=file) from error
        if primary in _DAMAGED:
            raise DatabaseDamaged(str(error), file=file) from error
        if primary in _UNAVAILABLE:
            raise DatabaseUnavailable(str(error), file=file) from error
        raise
