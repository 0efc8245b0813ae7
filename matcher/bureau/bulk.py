"""The same step for many things: one transaction, and for each what became of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from sqlite_utils import Database

from keys.database import DatabaseBusy, DatabaseDamaged, DatabaseUnavailable
from psi.errors import MingceError


@dataclass(frozen=True)
class Outcome:
    """What became of one; ``code`` says why it was refused."""

    id: int
    outcome: Literal["done", "refused"]
    code: str | None = None


def run_each_within(database: Database, ids: Iterable[int], do: Callable[[int], object]) -> list[Outcome]:
    """Do it once for each id, in the caller's transaction; one that is refused leaves nothing behind.

    Errors of the database itself end the whole.
    """
    outcomes = []
    for number in dict.fromkeys(ids):
        database.execute("SAVEPOINT one_of_many")
        try:
            do(number)
            outcomes.append(Outcome(number, "done"))
        except (DatabaseBusy, DatabaseDamaged, DatabaseUnavailable):
            raise
        except MingceError as error:
            database.execute("ROLLBACK TO one_of_many")
            outcomes.append(Outcome(number, "refused", error.code))
        database.execute("RELEASE one_of_many")
    return outcomes
