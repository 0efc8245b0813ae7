"""The one way to open SQLite here.

sqlite-utils runs on pysqlite3's own SQLite: the system's may be one of the versions
3.7.0 to 3.51.2, whose WAL-reset bug can lose commits with two connections.
"""

from __future__ import annotations

import ctypes
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, cast

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


class SchemaNewer(MingceError):
    """The file was brought up to date by a newer version of this software, which this one cannot read.

    Params: ``file``, and ``found``, the newest change of its schema.
    """

    code = "schema_newer"


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
    Raises SQLiteTooOld, DatabaseDamaged, DatabaseBusy, DatabaseUnavailable, SchemaNewer.
    """
    require_sound_sqlite()
    make_folder(path.parent)
    if not path.exists():
        _create(path, migrations)
    if path.stat().st_size == 0:  # SQLite would take it for a new database
        raise DatabaseDamaged("the file is empty", file=path.name)
    database = connect(path)
    try:
        with typed_errors(path.name):
            (verdict,) = database.conn.execute("PRAGMA quick_check(1)").fetchone()
            if verdict != "ok":
                raise DatabaseDamaged("quick_check failed", file=path.name)
            require_known_schema(database, migrations, path.name)
            if migrations.pending(database):
                with write_transaction(database):
                    migrations.apply(database)
    except BaseException:
        database.close()
        raise
    return database


def require_known_schema(database: Database, migrations: Migrations, file: str) -> None:
    """Raise SchemaNewer if a change was made to the file that this software does not know."""
    nothing = Database(pysqlite3.connect(":memory:"), execute_plugins=False)
    known = {change.name for change in migrations.pending(nothing)}
    nothing.close()
    unknown = [change.name for change in migrations.applied(database) if change.name not in known]
    if unknown:
        raise SchemaNewer("written by a newer version", file=file, found=unknown[-1])


@contextmanager
def reading(database: Database) -> Iterator[Database]:
    """The handle to oneself: threads that share it take turns, so nothing uncommitted is seen.

    Needed for reads too, as sqlite-utils' ``query`` opens a savepoint. Fetch every row inside.
    Raises DatabaseBusy after the busy timeout, DatabaseDamaged, DatabaseUnavailable.
    """
    with _turn(database) as handle:
        if handle.file in _given_up:
            require_sound_disk()
        with typed_errors():
            yield database


@contextmanager
def _turn(database: Database) -> Iterator[_Handle]:
    handle = cast("_Handle", database)  # every one is, of :func:`connect`
    if not handle.turn.acquire(timeout=BUSY_TIMEOUT_S):
        raise DatabaseBusy("another thread is at work")
    try:
        yield handle
    finally:
        handle.turn.release()


@contextmanager
def write_transaction(database: Database) -> Iterator[Database]:
    """One durable write: BEGIN IMMEDIATE, then COMMIT, or ROLLBACK on any error.

    Taking the write lock first means a transaction never fails half-way for being busy.
    Transactions do not nest. Raises what :func:`reading` raises.
    """
    with reading(database), _giving_up(database):
        database.conn.execute("BEGIN IMMEDIATE")
        try:
            yield database
            database.conn.execute("COMMIT")
        except BaseException:
            if database.conn.in_transaction:
                with suppress(pysqlite3.Error):  # the first error is the one to tell
                    database.conn.execute("ROLLBACK")
            raise


def require_sound_disk() -> None:
    """Raise DatabaseUnavailable if an I/O error spoiled a database of this process, which then has to end."""
    if _given_up:
        raise DatabaseUnavailable("the disk failed; this process has to be started anew")


@contextmanager
def _giving_up(database: Database) -> Iterator[None]:
    """After an I/O error, such as a failed flush, nobody knows what is on disk: this process is done with the file.

    Closing a connection would fold the log into the file and flush both, so it is kept open until the process ends,
    by a reference that is never given back; ``close`` closes a stand-in. Other handles on the file are refused, and
    nobody opens it again in this process; the next one recovers from it.
    """
    try:
        yield
    except pysqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == pysqlite3.SQLITE_IOERR:
            cast("_Handle", database).give_up()
        raise


def erase_traces(database: Database) -> bool:
    """Leave nothing in the file or its log of what was deleted or overwritten: VACUUM, then an empty log.

    False if a reader or writer in another process kept the log in use; call it again later.
    """
    with reading(database):
        try:
            with typed_errors(), _giving_up(database):
                database.conn.execute("VACUUM")
                (busy, *_) = database.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except DatabaseBusy:
            return False
    return not busy


_given_up: set[str] = set()  # files, for as long as the process lives


def _create(path: Path, migrations: Migrations) -> None:
    """Make the database beside its place and link it there, so that it is never seen half made."""
    if path.with_name(f"{path.name}-wal").exists():
        raise DatabaseDamaged("a write-ahead log without its database", file=path.name)
    building = path.with_name(f"{BUILDING}{path.name}-{secrets.token_hex(4)}")
    try:
        os.close(os.open(building, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE))
        database = connect(building, synchronous="OFF")  # flushed once, when it is finished
        try:
            with typed_errors(path.name):
                migrations.apply(database)
                database.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # close would do it too, but tells no error
        finally:
            database.close()
        fsync_file(building)
        with suppress(FileExistsError):  # another process was first; its database is as good
            os.link(building, path)
        fsync_folder(path.parent)
    except OSError as error:
        raise DatabaseUnavailable(str(error.strerror), file=path.name) from error
    finally:
        for part in path.parent.glob(f"{building.name}*"):
            part.unlink(missing_ok=True)


def connect(path: Path, synchronous: Literal["FULL", "OFF"] = "FULL") -> Database:
    """A handle on an existing file; nothing is created if it has just gone.

    Close it: left to the interpreter, a log that cannot be flushed goes unnoticed. Raises what open_database raises.
    """
    file = os.path.realpath(path)
    if file in _given_up:
        require_sound_disk()
    with typed_errors(path.name):
        connection = pysqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw",
            uri=True,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
        )
        handle = _Handle(connection, file)
        try:
            connection.execute(f"PRAGMA synchronous = {synchronous}")
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            if mode != "wal":  # SQLite tells no error here
                raise DatabaseUnavailable("the write-ahead log cannot be used", file=path.name)
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA secure_delete = ON")  # what is overwritten or deleted is zeroed in the file
            connection.execute("PRAGMA temp_store = MEMORY")  # so that VACUUM copies nothing outside the home
            connection.execute("PRAGMA trusted_schema = OFF")
        except BaseException:
            handle.close()
            raise
        return handle


class _Handle(Database):
    def __init__(self, connection: pysqlite3.Connection, file: str) -> None:
        super().__init__(connection, execute_plugins=False)  # no code of other packages near what is stored here
        self.file = file
        self.turn = threading.RLock()

    def give_up(self) -> None:
        """Keep the connection open for good, and close a stand-in in its place."""
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self.conn))
        self.conn = pysqlite3.connect(":memory:")
        _given_up.add(self.file)

    def close(self) -> None:
        """Fold the log into the file first, as SQLite's own close does without a word of what fails.

        What was acknowledged is in the log, flushed; the next process folds it if this one cannot.
        Raises DatabaseBusy if another thread is at work with it.
        """
        with _turn(self):
            if self.file in _given_up:
                self.give_up()
            with suppress(pysqlite3.Error), _giving_up(self):
                if self.conn.in_transaction:
                    self.conn.execute("ROLLBACK")
                self.conn.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            super().close()


@contextmanager
def typed_errors(file: str = "") -> Iterator[None]:
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
