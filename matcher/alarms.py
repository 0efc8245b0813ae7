"""Alarms: what a person has to see, kept in a party's own store until someone says so."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlite_utils import Database

from keys.clock import Clock, format_time
from keys.database import write_transaction
from matcher.rows import fetch_first, fetch_records
from psi.errors import InputError, MingceError

ALARM_TABLE = """
    CREATE TABLE alarm (
        alarm_id        INTEGER PRIMARY KEY,
        at              TEXT NOT NULL,
        code            TEXT NOT NULL,  -- the error's code
        detail          TEXT NOT NULL,
        params          TEXT NOT NULL,  -- JSON; no name, no unmasked ID number
        subject         TEXT NOT NULL,  -- the run or hand-over it is about, or ''
        acknowledged_at TEXT,           -- the party is red until a person has seen it
        acknowledged_by TEXT
    ) STRICT
"""


class AlarmNotFound(InputError):
    """No alarm has this number."""

    code = "alarm_not_found"


@dataclass(frozen=True)
class Alarm:
    """One row of ``alarm``."""

    alarm_id: int
    at: str
    code: str
    detail: str
    params: dict[str, Any]
    subject: str
    acknowledged_at: str | None
    acknowledged_by: str | None


class Alarms:
    """The table ``alarm``."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def sound(self, error: MingceError, subject: str = "") -> None:
        """Record an error that a person has to see."""
        with write_transaction(self._database):
            self.sound_within(error, subject)

    def sound_within(self, error: MingceError, subject: str) -> None:
        """The same inside a transaction that the caller has begun."""
        params = json.dumps(error.params, default=str, ensure_ascii=False)
        self._database.execute(
            "INSERT INTO alarm (at, code, detail, params, subject) VALUES (?, ?, ?, ?, ?)",
            [format_time(self._clock.now()), error.code, error.detail, params, subject],
        )

    def sound_once_within(self, error: MingceError, subject: str) -> None:
        """The same, unless an alarm of this code and subject is there already, acknowledged or not."""
        known = "SELECT 1 FROM alarm WHERE code = ? AND subject = ?"
        if fetch_first(self._database, known, [error.code, subject]) is None:
            self.sound_within(error, subject)

    def get(self, alarm_id: int) -> Alarm:
        """Raises AlarmNotFound."""
        for row in fetch_records(self._database, "SELECT * FROM alarm WHERE alarm_id = ?", [alarm_id]):
            return Alarm(**{**row, "params": json.loads(row["params"])})
        raise AlarmNotFound("no alarm has this number", alarm=alarm_id)

    def list_all(self) -> list[Alarm]:
        """The oldest first."""
        rows = fetch_records(self._database, "SELECT * FROM alarm ORDER BY alarm_id")
        return [Alarm(**{**row, "params": json.loads(row["params"])}) for row in rows]

    def list_waiting(self) -> list[Alarm]:
        """Those that nobody has acknowledged."""
        return [alarm for alarm in self.list_all() if alarm.acknowledged_at is None]

    def acknowledge(self, alarm_id: int, operator: str) -> None:
        """A person has seen it; again it changes nothing. Raises AlarmNotFound."""
        with write_transaction(self._database):
            self.acknowledge_within(alarm_id, operator)

    def acknowledge_within(self, alarm_id: int, operator: str) -> bool:
        """The same inside a transaction that the caller has begun; False if it was acknowledged before."""
        row = fetch_first(self._database, "SELECT acknowledged_at FROM alarm WHERE alarm_id = ?", [alarm_id])
        if row is None:
            raise AlarmNotFound("no alarm has this number", alarm=alarm_id)
        if row[0] is not None:
            return False
        self._database.execute(
            "UPDATE alarm SET acknowledged_at = ?, acknowledged_by = ? WHERE alarm_id = ?",
            [format_time(self._clock.now()), operator, alarm_id],
        )
        return True
