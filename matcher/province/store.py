"""The ledger's one connection: its threads take turns, durable transactions, the audit chain, the alarms."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from keys.clock import Clock, format_time
from keys.database import open_database, reading, write_transaction
from matcher.alarms import Alarms
from matcher.audit import append_row
from matcher.province.migrations import PROVINCE_MIGRATIONS

FILE_NAME = "province.sqlite"


class ProvinceStore:
    """``<home>/province.sqlite``, opened or created. Raises what keys.database.open_database raises."""

    def __init__(self, home: Path, clock: Clock) -> None:
        self._db = open_database(home / FILE_NAME, PROVINCE_MIGRATIONS)
        self.clock = clock
        self.alarms = Alarms(self._db, clock)

    @property
    def db(self) -> Database:
        """The connection, for statements inside :meth:`writing`."""
        return self._db

    def close(self) -> None:
        self._db.close()

    def reading(self) -> AbstractContextManager[Database]:
        """The connection to oneself, so that nothing uncommitted is seen. Raises DatabaseBusy, DatabaseUnavailable."""
        return reading(self._db)

    def writing(self) -> AbstractContextManager[Database]:
        """One durable transaction: all of it or, on any error, nothing. Raises DatabaseBusy, DatabaseUnavailable."""
        return write_transaction(self._db)

    def find_row(self, sql: str, *values: object) -> dict[str, Any] | None:
        """The first row of a query, inside :meth:`reading` or :meth:`writing`.

        Not by sqlite-utils' ``query``, which wraps each one in a savepoint: an evaluation asks eight of them.
        """
        cursor = self._db.conn.execute(sql, values)
        row = cursor.fetchone()
        cursor.close()
        return (
            None if row is None else {column[0]: value for column, value in zip(cursor.description, row, strict=True)}
        )

    def now(self) -> str:
        return format_time(self.clock.now())

    def audit(self, actor: str, action: str, subject: str, **detail: object) -> None:
        """Add an audit row to the transaction that is open."""
        append_row(self._db, at=self.clock.now(), actor=actor, action=action, subject=subject, detail=detail)
