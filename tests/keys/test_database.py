from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pysqlite3
import pytest
from sqlite_utils import Database, Migrations

from keys import database as module
from keys.database import (
    DatabaseBusy,
    DatabaseDamaged,
    DatabaseUnavailable,
    SQLiteTooOld,
    open_database,
    reading,
    require_sound_sqlite,
    write_transaction,
)

MIGRATIONS = Migrations("test")


@MIGRATIONS()
def m001(database: Database) -> None:
    database.conn.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY, amount INTEGER NOT NULL DEFAULT 0) STRICT")
    database.conn.execute(
        "CREATE TABLE child (parent INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED) STRICT"
    )


def amount(database: Database) -> int:
    value: int = database.conn.execute("SELECT sum(amount) FROM parent").fetchone()[0]
    return value


def filled(path: Path, rows: int = 5_000) -> None:
    database = open_database(path, MIGRATIONS)
    with write_transaction(database):
        database.table("parent").insert_all({"id": i, "amount": 1} for i in range(rows))
    database.close()


def test_settings_and_permissions(tmp_path: Path) -> None:
    database = open_database(tmp_path / "home" / "x.sqlite", MIGRATIONS)
    pragmas = ("journal_mode", "synchronous", "foreign_keys", "trusted_schema")
    assert [database.conn.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas] == ["wal", 2, 1, 0]
    with write_transaction(database):
        database.table("parent").insert({"id": 1})
    files = sorted((tmp_path / "home").iterdir())
    assert [path.name for path in files] == ["x.sqlite", "x.sqlite-shm", "x.sqlite-wal"]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("version", [(3, 7, 0), (3, 40, 1), (3, 51, 2)])
def test_a_sqlite_with_the_wal_reset_bug_is_refused(version: tuple[int, ...]) -> None:
    with pytest.raises(SQLiteTooOld):
        require_sound_sqlite(version)
    require_sound_sqlite((3, 51, 3))
    require_sound_sqlite()


def test_many_may_open_a_new_database_at_once(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    start = threading.Barrier(8)

    def open_and_write(number: int) -> None:
        start.wait()
        database = open_database(path, MIGRATIONS)
        with write_transaction(database):
            database.table("parent").insert({"id": number, "amount": 1})
        database.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(open_and_write, range(8)))
    assert amount(open_database(path, MIGRATIONS)) == 8
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".building-")] == []


def test_d25_threads_that_share_a_handle_take_turns(tmp_path: Path) -> None:
    database = open_database(tmp_path / "x.sqlite", MIGRATIONS)
    with write_transaction(database):
        database.table("parent").insert({"id": 1})

    def add(_: int) -> None:
        for _ in range(20):
            with write_transaction(database):
                before = amount(database)
                database.conn.execute("UPDATE parent SET amount = ?", (before + 1,))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(8)))
    assert amount(database) == 160


def test_a_reading_thread_sees_only_what_is_committed(tmp_path: Path) -> None:
    database = open_database(tmp_path / "x.sqlite", MIGRATIONS)
    stop = threading.Event()

    def read() -> set[int]:
        seen = set()
        while not stop.is_set():
            with reading(database):
                seen.add(len(list(database.query("SELECT * FROM parent"))))
        return seen

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read) for _ in range(3)]
        for number in range(50):
            with write_transaction(database):
                database.table("parent").insert({"id": 2 * number})
                database.table("parent").insert({"id": 2 * number + 1})
        stop.set()
        seen = set().union(*(reader.result() for reader in readers))
    assert seen
    assert {count % 2 for count in seen} == {0}


def test_an_error_rolls_everything_back(tmp_path: Path) -> None:
    database = open_database(tmp_path / "x.sqlite", MIGRATIONS)

    def fail() -> None:
        with write_transaction(database):
            database.table("parent").insert({"id": 1, "amount": 7})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert database.table("parent").count == 0


def test_a_failed_commit_leaves_no_transaction_open(tmp_path: Path) -> None:
    """A deferred foreign key fails in COMMIT itself, and SQLite keeps that transaction open."""
    database = open_database(tmp_path / "x.sqlite", MIGRATIONS)
    with pytest.raises(pysqlite3.IntegrityError), write_transaction(database):
        database.table("child").insert({"parent": 99})
    with write_transaction(database):
        database.table("parent").insert({"id": 1, "amount": 7})
    assert amount(database) == 7
    assert database.table("child").count == 0


def test_transactions_do_not_nest(tmp_path: Path) -> None:
    database = open_database(tmp_path / "x.sqlite", MIGRATIONS)
    with (
        pytest.raises(pysqlite3.OperationalError, match="within a transaction"),
        write_transaction(database),
        write_transaction(database),
    ):
        pass
    with write_transaction(database):
        database.table("parent").insert({"id": 1})


def test_d39_a_lock_held_elsewhere_is_named_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUSY_TIMEOUT_S", 0.1)
    path = tmp_path / "x.sqlite"
    database = open_database(path, MIGRATIONS)
    other = pysqlite3.connect(str(path), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseBusy), write_transaction(database):
        pass
    open_database(path, MIGRATIONS).close()  # an up-to-date schema is opened without the write lock
    other.execute("ROLLBACK")
    with write_transaction(database):
        database.table("parent").insert({"id": 1})
    other.close()


def test_a_thread_that_waits_too_long_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUSY_TIMEOUT_S", 0.1)
    database = open_database(tmp_path / "x.sqlite", MIGRATIONS)

    def write() -> None:
        with write_transaction(database):
            pass

    with ThreadPoolExecutor(1) as pool:
        with write_transaction(database), pytest.raises(DatabaseBusy):
            pool.submit(write).result()
        pool.submit(write).result()


def test_d30_a_full_disk_is_named_and_nothing_is_kept(tmp_path: Path) -> None:
    database = open_database(tmp_path / "x.sqlite", MIGRATIONS)
    pages = database.conn.execute("PRAGMA page_count").fetchone()[0]
    database.conn.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(DatabaseUnavailable), write_transaction(database):
        database.table("parent").insert_all({"id": i} for i in range(10_000))
    assert database.table("parent").count == 0
    database.conn.execute("PRAGMA max_page_count = 100000")
    with write_transaction(database):
        database.table("parent").insert({"id": 1})


def test_a_path_that_cannot_be_opened_is_not_called_damaged(tmp_path: Path) -> None:
    (tmp_path / "x.sqlite").mkdir()
    with pytest.raises(DatabaseUnavailable):
        open_database(tmp_path / "x.sqlite", MIGRATIONS)


def _zero_page(content: bytes) -> bytes:
    middle = len(content) // 4096 // 2 * 4096
    return content[:middle] + bytes(4096) + content[middle + 4096 :]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "one page zeroed": _zero_page,
    "header damaged": lambda c: b"X" * 16 + c[16:],
    "first page zeroed": lambda c: bytes(4096) + c[4096:],
    "cut by a page": lambda c: c[:-4096],
    "cut by a byte": lambda c: c[:-1],
    "cut to the header": lambda c: c[:100],
    "cut to nothing": lambda c: b"",
    "noise": lambda c: random.Random(7).randbytes(len(c)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_d37_a_damaged_file_is_not_opened(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "x.sqlite"
    filled(path)
    damaged = DAMAGES[damage](path.read_bytes())
    path.write_bytes(damaged)
    with pytest.raises(DatabaseDamaged) as caught:
        open_database(path, MIGRATIONS)
    assert caught.value.params["file"] == "x.sqlite"
    assert path.read_bytes() == damaged  # it is left as it is, for whoever repairs it


def test_a_lost_database_is_not_begun_anew_beside_its_log(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    database = open_database(path, MIGRATIONS)
    with write_transaction(database):
        database.table("parent").insert({"id": 1})
    path.rename(tmp_path / "elsewhere")
    with pytest.raises(DatabaseDamaged):
        open_database(path, MIGRATIONS)


def test_a_killed_creation_leaves_no_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.sqlite"
    with monkeypatch.context() as patch:
        patch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            open_database(path, MIGRATIONS)
    assert list(tmp_path.iterdir()) == []
    open_database(path, MIGRATIONS).close()


def test_a_failed_migration_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    filled(path, 3)
    later = Migrations("test")
    later()(m001)

    @later()
    def m002(database: Database) -> None:
        database.conn.execute("DELETE FROM parent")
        raise RuntimeError("half-way")

    with pytest.raises(RuntimeError):
        open_database(path, later)
    assert amount(open_database(path, MIGRATIONS)) == 3


def test_no_other_package_runs_its_code_beside_a_store(tmp_path: Path) -> None:
    """Found: sqlite-utils looks for plugins of all installed packages, and runs them, when a store is opened."""
    about = tmp_path / "spy-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: spy\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[sqlite_utils]\nspy = spy\n")
    (tmp_path / "spy.py").write_text("raise SystemExit('a plugin was loaded')\n")
    program = (
        "import sys; from pathlib import Path; from sqlite_utils import Database, Migrations;"
        "from keys.database import open_database; open_database(Path(sys.argv[1]), Migrations('spied on')).close();"
        "Database(memory=True)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "store.sqlite"],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{Path(__file__).parents[2]}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.strip() == "a plugin was loaded"  # by the last line alone, which asks for it
    assert (tmp_path / "store.sqlite").exists()
