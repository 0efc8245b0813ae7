"""What the sender last told of a budget: a memory for people, never a ground to ask by."""

from __future__ import annotations

from dataclasses import dataclass

from sqlite_utils import Database

from keys.clock import Clock, format_time
from keys.database import write_transaction
from matcher.rows import fetch_records


@dataclass(frozen=True)
class ToldBudget:
    """In elements, of one epoch's key, with the moment at which the sender said so."""

    dataset: str
    epoch: str
    total: int
    used: int
    remaining: int
    told_at: str


class ToldBudgets:
    """The table ``told_budget``."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def keep(self, dataset: str, epoch: str, *, total: int, used: int, remaining: int) -> None:
        """Replaces what was told before."""
        with write_transaction(self._database):
            self._database.execute(
                "INSERT INTO told_budget VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET total = excluded.total,"
                " used = excluded.used, remaining = excluded.remaining, told_at = excluded.told_at",
                [dataset, epoch, total, used, remaining, format_time(self._clock.now())],
            )

    def list_all(self) -> list[ToldBudget]:
        """The one told last first."""
        rows = fetch_records(self._database, "SELECT * FROM told_budget ORDER BY told_at DESC, epoch DESC")
        return [ToldBudget(**row) for row in rows]
