"""The ledger's one connection: a lock for its threads, durable transactions, the audit chain."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pysqlite3
from sqlite_utils import Database

from keys.clock import Clock, format_time
from keys.database import BUSY_TIMEOUT_S, DatabaseBusy, DatabaseUnavailable, open_database, write_transaction
from matcher.province.audit import append_row
from matcher.province.migrations import PROVINCE_MIGRATIONS

FILE_NAME = "province.sqlite"


class ProvinceStore:
    """``<home>/province.sqlite``, opened or created. Raises what keys.database.open_database raises."""

    def __init__(self, home: Path, clock: Clock) -> None:
        self._db = open_database(home / FILE_NAME, PROVINCE_MIGRATIONS)
        self._clock = clock
        self._lock = threading.RLock()

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def reading(self) -> Iterator[Database]:
        """The connection to oneself, so that nothing uncommitted is seen. Raises DatabaseBusy, DatabaseUnavailable."""
        if not self._lock.acquire(timeout=BUSY_TIMEOUT_S):
            raise DatabaseBusy("the ledger is busy")
        try:
            yield self._db
        except pysqlite3.OperationalError as error:
            raise DatabaseUnavailable(str(error.sqlite_errorname)) from error
        finally:
            self._lock.release()

    @contextmanager
    def writing(self) -> Iterator[Database]:
        """One durable transaction: all of it or, on any error, nothing. Raises DatabaseBusy, DatabaseUnavailable."""
        with self.reading(), write_transaction(self._db) as db:
            yield db

    def find_row(self, sql: str, *values: object) -> dict[str, Any] | None:
        """The first row of a query, inside :meth:`reading` or :meth:`writing`."""
        return next(iter(list(self._db.query(sql, values))), None)

    def now(self) -> str:
        return format_time(self._clock.now())

    def audit(self, actor: str, action: str, subject: str, **detail: object) -> None:
        """Add an audit row to the transaction that is open."""
        append_row(self._db, at=self._clock.now(), actor=actor, action=action, subject=subject, detail=detail)
