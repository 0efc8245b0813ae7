"""One change in one transaction, once for each idempotency key; or the same for many households at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from sqlite_utils import Database

from keys.database import DatabaseBusy, DatabaseDamaged, DatabaseUnavailable
from matcher.accounts.idempotency import Idempotency
from matcher.bureau.actors import Actor
from matcher.bureau.office import Office
from psi.errors import MingceError


@dataclass(frozen=True)
class Outcome:
    """What became of one: ``result`` is the number that the step returned; ``code`` and ``params`` say why it was
    refused, as the error does."""

    id: int
    outcome: Literal["done", "refused"]
    result: int | None = None
    code: str | None = None
    params: Mapping[str, object] = field(default_factory=dict)


def run_once(office: Office, actor: Actor, key: str | None, request: Mapping[str, Any], do: Callable[[], int]) -> int:
    """The number that ``do`` returns, or returned when ``key`` first came. Raises IdempotencyConflict."""
    with office.writing():
        return int(Idempotency(office).run_within(actor, key, request, lambda: {"number": do()})["number"])


def run_each(
    office: Office,
    actor: Actor,
    key: str | None,
    request: Mapping[str, Any],
    ids: Iterable[int],
    do: Callable[[int], int],
) -> list[Outcome]:
    """``do`` for each id, in one transaction; one that is refused leaves nothing behind and stops no other."""
    ids = list(dict.fromkeys(ids))
    with office.writing() as database:
        done = Idempotency(office).run_within(
            actor,
            key,
            {**request, "ids": ids},
            lambda: {"outcomes": [asdict(_run_one(database, number, do)) for number in ids]},
        )
    return [Outcome(**outcome) for outcome in done["outcomes"]]


def _run_one(database: Database, number: int, do: Callable[[int], int]) -> Outcome:
    """Errors of the database itself end the whole."""
    database.execute("SAVEPOINT one")
    try:
        return Outcome(number, "done", do(number))
    except (DatabaseBusy, DatabaseDamaged, DatabaseUnavailable):
        raise
    except MingceError as error:
        database.execute("ROLLBACK TO one")
        return Outcome(number, "refused", code=error.code, params=error.params)
    finally:
        if database.conn.in_transaction:
            database.execute("RELEASE one")
