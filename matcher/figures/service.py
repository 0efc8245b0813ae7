"""The figures of each day: computed by the nightly job, kept, and traced to their records."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date

from sqlite_utils import Database

from keys.database import reading
from matcher.bureau.actors import SYSTEM, Actor, Permission
from matcher.bureau.office import Office
from matcher.figures.asof import find_as_of
from matcher.figures.definitions import DEFINITIONS, VERSION, Definition
from matcher.figures.families import make_families
from matcher.figures.records import Cell, Record, compute_cell, compute_cells, select_records, without_empty
from matcher.rows import fetch_all, fetch_first
from psi.errors import InputError, MingceError

LONGEST_TRACE = 1_000
# Of days that were over, at midnight in China, when they were computed.
_LAST_DAY = "SELECT MAX(day) FROM figure_day WHERE day <= ? AND computed_at >= day || 'T16:00:00Z'"


class FigureUnknown(InputError):
    """There is no figure of this name; ``params``: name, known."""

    code = "figure_unknown"


class DayNotOver(InputError):
    """Figures are as of the end of a day, and this one has not come; ``params``: day."""

    code = "day_not_over"


class FiguresMissing(MingceError):
    """A day's figures have not been computed; ``params``: day."""

    code = "figures_missing"


@dataclass(frozen=True)
class FigureDay:
    """A day's figures as a whole. ``changed``: they were new, or other than before."""

    day: date
    definitions: str
    digest: str
    computed_at: str
    cells: int
    changed: bool = False


@dataclass(frozen=True)
class DayTable:
    """All numbers of a day. What is not there is nought."""

    day: date
    definitions: str
    cells: Mapping[tuple[str, str, str], Cell] = field(repr=False)

    def get_cell(self, name: str, township: str = "", product: str = "") -> Cell:
        return self.cells.get((name, township, product)) or Cell(name, township, product, 0, 0)

    @property
    def townships(self) -> list[str]:
        return sorted({cell.township for cell in self.cells.values()} - {""})

    @property
    def products(self) -> list[str]:
        return sorted({cell.product for cell in self.cells.values()} - {""})


@dataclass(frozen=True)
class Trace:
    """A number as it follows from the records now, with some of them. ``kept`` is what the day's figures say."""

    definition: Definition
    day: date
    value: int
    households: int
    kept: int | None
    records: tuple[Record, ...]


class Figures:
    """The bureau's figures. Computing needs no permission: it is the nightly job's and decides nothing."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def compute(self, day: date) -> FigureDay:
        """Compute and keep a day's figures; again for the same records it changes nothing. Raises DayNotOver."""
        if day > self._office.today():
            raise DayNotOver("a day that has not come", day=day.isoformat())
        with self._snapshot() as database:
            as_of = find_as_of(self._office, database, day)
            cells = [
                cell
                for definition in DEFINITIONS.values()
                for cell in without_empty(compute_cells(database, definition, as_of))
            ]
        return self._keep(day, sorted(cells))

    def _keep(self, day: date, cells: list[Cell]) -> FigureDay:
        digest = _digest(cells)
        office, key = self._office, day.isoformat()
        with office.writing() as database:
            kept = database.execute(
                "SELECT definitions, digest, computed_at FROM figure_day WHERE day = ?", [key]
            ).fetchone()
            if kept is not None and tuple(kept[:2]) == (VERSION, digest):
                return FigureDay(day, VERSION, digest, kept[2], len(cells))
            now = office.now()
            database.execute("DELETE FROM figure WHERE day = ?", [key])
            database.execute(
                "INSERT INTO figure_day (day, computed_at, definitions, digest) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (day) DO UPDATE SET computed_at = excluded.computed_at,"
                " definitions = excluded.definitions, digest = excluded.digest",
                [key, now, VERSION, digest],
            )
            database.conn.executemany("INSERT INTO figure VALUES (?, ?, ?, ?, ?, ?)", [(key, *cell) for cell in cells])
            office.record_within(
                SYSTEM, "figures.compute", f"figure_day/{key}", definitions=VERSION, digest=digest, cells=len(cells)
            )
        return FigureDay(day, VERSION, digest, now, len(cells), changed=True)

    def list_days(self, actor: Actor) -> list[FigureDay]:
        """The days that have figures, latest first. Raises NotAllowed."""
        actor.require(Permission.SEE_FIGURES)
        rows = fetch_all(
            self._office.database,
            "SELECT day, definitions, digest, computed_at, (SELECT COUNT(*) FROM figure f WHERE f.day = d.day)"
            " FROM figure_day d ORDER BY day DESC",
        )
        return [FigureDay(date.fromisoformat(day), *rest) for day, *rest in rows]

    def last_until(self, actor: Actor, day: date) -> date | None:
        """The last day no later than ``day`` that was over when its figures were computed. Raises NotAllowed."""
        actor.require(Permission.SEE_FIGURES)
        row = fetch_first(self._office.database, _LAST_DAY, [day.isoformat()])
        return date.fromisoformat(row[0]) if row and row[0] else None

    def month_ends(self, actor: Actor, day: date, months: int) -> list[date]:
        """The last such day of each month up to ``day``, of so many months, the latest last. Raises NotAllowed."""
        actor.require(Permission.SEE_FIGURES)
        rows = fetch_all(
            self._office.database,
            _LAST_DAY + " GROUP BY substr(day, 1, 7) ORDER BY 1 DESC LIMIT ?",
            [day.isoformat(), months],
        )
        return [date.fromisoformat(last) for (last,) in reversed(rows)]

    def read_series(
        self, names: Sequence[str], days: Sequence[date], township: str = "", product: str = ""
    ) -> dict[tuple[str, date], Cell]:
        """Some figures of many days, for a part that has asked for permission itself. What is not there is nought,
        or was not a figure yet."""
        marks = ", ".join("?" * len(days)), ", ".join("?" * len(names))
        rows = fetch_all(
            self._office.database,
            "SELECT day, name, township, product, value, households FROM figure"  # noqa: S608
            f" WHERE day IN ({marks[0]}) AND name IN ({marks[1]}) AND township = ? AND product = ?",
            [*(day.isoformat() for day in days), *names, township, product],
        )
        return {(name, date.fromisoformat(day)): Cell(name, *rest) for day, name, *rest in rows}

    def get_table(self, actor: Actor, day: date) -> DayTable:
        """A day's numbers as they are kept; an account for some townships gets theirs alone. A bank's account gets
        none, as small cells are not hidden here: reports do that. Raises NotAllowed, FiguresMissing."""
        actor.require(Permission.SEE_FIGURES, bank="" if actor.bank else None)
        table = self.read_table(day)
        if not actor.townships:
            return table
        own = {key: cell for key, cell in table.cells.items() if cell.township and actor.cares_for(cell.township)}
        return DayTable(day, table.definitions, own)

    def read_table(self, day: date) -> DayTable:
        """:meth:`get_table` for a part that has asked for permission itself. Raises FiguresMissing."""
        key = day.isoformat()
        kept = fetch_first(self._office.database, "SELECT definitions FROM figure_day WHERE day = ?", [key])
        if kept is None:
            raise FiguresMissing("the day's figures have not been computed", day=key)
        rows = fetch_all(
            self._office.database, "SELECT name, township, product, value, households FROM figure WHERE day = ?", [key]
        )
        cells = {
            (name, township, product): Cell(name, township, product, *rest) for name, township, product, *rest in rows
        }
        return DayTable(day, kept[0], cells)

    def trace(
        self,
        actor: Actor,
        name: str,
        day: date,
        township: str = "",
        product: str = "",
        *,
        limit: int = LONGEST_TRACE,
        offset: int = 0,
    ) -> Trace:
        """The records behind a number. An account for some townships traces only theirs, one of a bank none: they
        name every bank's households. Raises NotAllowed, FigureUnknown, DayNotOver."""
        actor.require(Permission.SEE_FIGURES, division=township, bank="" if actor.bank else None)
        definition = DEFINITIONS.get(name)
        if definition is None:
            raise FigureUnknown("no such figure", name=name, known=", ".join(DEFINITIONS))
        if day > self._office.today():
            raise DayNotOver("a day that has not come", day=day.isoformat())
        with self._snapshot() as database:
            as_of = find_as_of(self._office, database, day)
            now = compute_cell(database, definition, as_of, township, product)
            records = select_records(
                database, definition, as_of, township, product, min(limit, LONGEST_TRACE), max(offset, 0)
            )
            kept = database.execute(
                "SELECT value FROM figure WHERE (day, name, township, product) = (?, ?, ?, ?)",
                [day.isoformat(), name, township, product],
            ).fetchone()
        return Trace(definition, day, now.value, now.households, kept[0] if kept else None, tuple(records))

    @contextmanager
    def _snapshot(self) -> Iterator[Database]:
        """All statements of one computation see the same records, while others go on writing."""
        with reading(self._office.database) as database:
            database.conn.execute("BEGIN")
            try:
                make_families(database)
                yield database
            finally:
                database.conn.execute("ROLLBACK")


def _digest(cells: list[Cell]) -> str:
    """SHA-256 of a day's cells in order, as JSON arrays."""
    return hashlib.sha256(json.dumps(cells, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()
