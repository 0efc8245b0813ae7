"""Under failing_disk.c: a database whose n-th step on the disk fails, n = 1, 2, 3 … until none does.

Prints one JSON line a trial: what was acknowledged, what a new connection finds, and how often a file was flushed
again after its flush had failed. Arguments: FOLDER MODE ERROR.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
from pathlib import Path

import pysqlite3
from sqlite_utils import Database, Migrations

from keys.database import DatabaseUnavailable, open_database, write_transaction

MIGRATIONS = Migrations("trial")
ROWS = 4


@MIGRATIONS()
def m001_table(database: Database) -> None:
    database.execute("CREATE TABLE written (row INTEGER NOT NULL, noise BLOB) STRICT")


def write(database: Database, row: int) -> bool:
    """Whether the row was acknowledged."""
    try:
        with write_transaction(database):
            database.execute("INSERT INTO written VALUES (?, randomblob(20000))", [row])
    except DatabaseUnavailable:
        return False
    return True


def attempt(path: Path) -> list[int]:
    """The rows that were acknowledged, by two handles one after the other."""
    acknowledged: list[int] = []
    for rows in (range(ROWS // 2), range(ROWS // 2, ROWS)):
        try:
            database = open_database(path, MIGRATIONS)
        except (DatabaseUnavailable, OSError):
            continue
        acknowledged += [row for row in rows if write(database, row)]
        database.close()
    return acknowledged


def main(folder: Path, mode: int, error: int) -> None:
    disk = ctypes.CDLL(None)
    disk.fault_failed_at.restype = ctypes.c_char_p
    gc.freeze()  # else every trial looks through all that was imported
    at, steps = 0, 0
    while at <= steps:
        at += 1
        home = folder / str(at)
        home.mkdir()
        disk.fault_arm(str(home).encode(), at, mode, error)
        acknowledged = attempt(home / "trial.sqlite")
        gc.collect()
        steps = disk.fault_disarm()
        print(
            json.dumps(
                {
                    "failed_at": disk.fault_failed_at().decode(),
                    "acknowledged": acknowledged,
                    "found": find_rows(home / "trial.sqlite"),
                    "flushed_again": disk.fault_flushed_again(),
                }
            )
        )


def find_rows(path: Path) -> list[int]:
    if not path.exists():
        return []
    connection = pysqlite3.connect(str(path))
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    rows = [row for (row,) in connection.execute("SELECT row FROM written ORDER BY rowid")]
    connection.close()
    return rows


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
