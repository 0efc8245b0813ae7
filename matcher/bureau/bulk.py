"""The same step for many things: one transaction, and for each what became of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from sqlite_utils import Database

from keys.database import DatabaseBusy, DatabaseDamaged, DatabaseUnavailable
from matcher.bureau.actors import Actor, conceal
from psi.errors import MingceError


@dataclass(frozen=True)
class Outcome:
    """What became of one: ``result`` is the number that the step returned, if it returns one; ``code`` and ``params``
    say why it was refused, as the error does."""

    id: int
    outcome: Literal["done", "refused"]
    result: int | None = None
    code: str | None = None
    params: Mapping[str, object] = field(default_factory=dict)


@contextmanager
def savepoint(database: Database) -> Iterator[None]:
    """One of many changes in a transaction: an error undoes this one alone."""
    database.execute("SAVEPOINT one_of_many")
    try:
        yield
    except BaseException:
        if database.conn.in_transaction:  # SQLite itself ends the transaction when a disk is full
            database.execute("ROLLBACK TO one_of_many")
            database.execute("RELEASE one_of_many")
        raise
    database.execute("RELEASE one_of_many")


def run_each_within(
    database: Database, actor: Actor, ids: Iterable[int], do: Callable[[int], int | None]
) -> list[Outcome]:
    """Do it once for each id, in the caller's transaction; one that is refused leaves nothing behind.

    Errors of the database itself end the whole.
    """
    outcomes = []
    for number in dict.fromkeys(ids):
        try:
            with savepoint(database):
                outcomes.append(Outcome(number, "done", do(number)))
        except (DatabaseBusy, DatabaseDamaged, DatabaseUnavailable):
            raise
        except MingceError as error:
            told = conceal(actor, error)
            outcomes.append(Outcome(number, "refused", code=told.code, params=told.params))
    return outcomes


def summarise(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """How many were done and refused, and each: one answer of the command line and of the network."""
    done = sum(one.outcome == "done" for one in outcomes)
    return {"done": done, "refused": len(outcomes) - done, "outcomes": [asdict(one) for one in outcomes]}
