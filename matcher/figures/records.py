"""Running a definition: its records, and the numbers made of them for the county, each township and each product."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple

from sqlite_utils import Database

from keys.clock import BEIJING, format_time
from matcher.figures.definitions import Counted, Definition
from matcher.figures.families import FAMILY_OF

_NUMBER = {
    Counted.HOUSEHOLDS: "COUNT(DISTINCT family)",
    Counted.RECORDS: "COUNT(*)",
    Counted.SUM: "COALESCE(SUM(value), 0)",
}
# What numbers are made for: township, product, and which records they take in.
_WHOLES = (
    ("''", "''", "1 = 1"),
    ("township", "''", "township <> '' GROUP BY township"),
    ("''", "product", "product <> '' GROUP BY product"),
    ("township", "product", "township <> '' AND product <> '' GROUP BY township, product"),
)

_OF_CELL = "(:township = '' OR township = :township) AND (:product = '' OR product = :product)"


class IncomePair(NamedTuple):
    """A household's two accepted forms, and the yearly incomes in 分 on them."""

    household_id: int
    earlier_form: int
    earlier: int
    latest_form: int
    latest: int


@dataclass(frozen=True)
class AsOf:
    """What the statements may refer to: ``:day``, ``:before`` (the first moment after it), ``:products``, ``:policy``
    and ``:incomes``."""

    day: date
    products: tuple[str, ...] = ()
    policy: str = ""  # SHA-256
    incomes: Sequence[IncomePair] = field(default=(), repr=False)

    def parameters(self) -> dict[str, object]:
        return {
            "day": self.day.isoformat(),
            "before": end_of(self.day),
            "products": json.dumps(self.products),
            "policy": self.policy,
            "incomes": json.dumps(self.incomes),
        }


class Cell(NamedTuple):
    """One number. ``households``: how many stand behind it, which decides whether the cell is a small one."""

    name: str
    township: str
    product: str
    value: int
    households: int


class Record(NamedTuple):
    """One of the records that a number is made of: ``record`` is table/number as in the audit log."""

    record: str
    household_id: int | None
    township: str
    product: str
    value: int


def end_of(day: date) -> str:
    """The first moment after a day in China, as times are stored."""
    return format_time(datetime.combine(day + timedelta(days=1), time(), BEIJING).astimezone(UTC))


def compute_cells(database: Database, definition: Definition, as_of: AsOf) -> list[Cell]:
    """The county's number first (township and product ``''``), then each township's, product's and pair's."""
    # No value enters a statement here: the definitions are this package's own.
    number = f"{_NUMBER[definition.counted]}, COUNT(DISTINCT family)"
    parts = [
        f"SELECT {township}, {product}, {number} FROM records WHERE {where}"  # noqa: S608
        for township, product, where in (_WHOLES if definition.by_product else _WHOLES[:2])
    ]
    statement = f"{_records(definition)} {' UNION ALL '.join(parts)}"
    rows = database.conn.execute(statement, as_of.parameters()).fetchall()
    return [Cell(definition.name, *row) for row in rows]


def compute_cell(database: Database, definition: Definition, as_of: AsOf, township: str, product: str) -> Cell:
    """One number of :func:`compute_cells` by itself, nought without a record; a fraction of the work of all."""
    family = FAMILY_OF.format(household="household")
    number = "NULL" if definition.counted is Counted.HOUSEHOLDS else _NUMBER[definition.counted]  # not counted twice
    statement = f"""
SELECT {number}, COUNT(DISTINCT family)
FROM (SELECT value, {family} AS family FROM ({definition.records}) WHERE {_OF_CELL})"""  # noqa: S608
    values = {**as_of.parameters(), "township": township, "product": product}
    value, households = database.conn.execute(statement, values).fetchone()
    return Cell(definition.name, township, product, households if value is None else value, households)


def _records(definition: Definition) -> str:
    """The records with ``family``: the case that stands for their household in every year."""
    family = FAMILY_OF.format(household="one.household")
    return f"WITH records AS MATERIALIZED (SELECT one.*, {family} AS family FROM ({definition.records}) one)"  # noqa: S608


def select_records(
    database: Database, definition: Definition, as_of: AsOf, township: str, product: str, limit: int, offset: int
) -> list[Record]:
    """The records behind one number, in the order of their table."""
    statement = f"""
SELECT kind || '/' || id, household, township, product, value FROM ({definition.records}) WHERE {_OF_CELL}
ORDER BY id LIMIT :limit OFFSET :offset"""  # noqa: S608
    values: dict[str, Any] = {**as_of.parameters(), "township": township, "product": product}
    rows = database.conn.execute(statement, {**values, "limit": limit, "offset": offset}).fetchall()
    return [Record(*row) for row in rows]


def without_empty(cells: Sequence[Cell]) -> Iterator[Cell]:
    """Cells worth keeping: the county's always, others only if something stands behind them."""
    for cell in cells:
        if not (cell.township or cell.product) or cell.value or cell.households:
            yield cell
