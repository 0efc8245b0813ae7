"""What one viewer sees of a day's figures: numbers with what they are made of, small cells hidden for the outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from matcher.figures.definitions import DEFINITIONS, Unit
from matcher.figures.records import Cell
from matcher.figures.service import DayTable
from matcher.figures.suppression import hide_small, is_small
from matcher.reports.document import HIDDEN, Value, wan
from matcher.reports.indicators import Compared, Indicator, Period, measure


@dataclass(frozen=True)
class Number:
    """A value in its unit, and which records it is made of: ``since`` if it is what came after that day."""

    value: Value
    unit: str
    figure: str
    township: str = ""
    product: str = ""
    since: date | None = None


@dataclass(frozen=True)
class Row:
    """A township's or product's numbers."""

    code: str
    name: str
    numbers: tuple[Number, ...]


class Sight:
    """What one viewer sees of a day: everything of the township and product chosen, or what the outside may."""

    def __init__(self, table: DayTable, before: DayTable | None, outside: bool, township: str, product: str) -> None:
        self.table, self._before, self.outside = table, before, outside
        self.township, self.product = township, product

    @property
    def since(self) -> date | None:
        """The end of the year before."""
        return self._before.day if self._before else None

    def before_cell(self, figure: str) -> Cell:
        empty = Cell(figure, self.township, self.product, 0, 0)
        return self._before.get_cell(figure, self.township, self.product) if self._before else empty

    def get(self, figure: str, *, this_year: bool = False, households: bool = False) -> Number:
        """``households``: those behind the figure, in its place."""
        cell = self.table.get_cell(figure, self.township, self.product)
        if this_year:
            return self.number((cell, self.before_cell(figure)), since=self.since)
        return self.number((cell,), households=households)

    def number(
        self, cells: tuple[Cell, ...], *, since: date | None = None, is_hidden: bool = False, households: bool = False
    ) -> Number:
        """The first cell, or how much it is above the second."""
        first = cells[0]
        unit = DEFINITIONS[first.name].unit
        if households:
            amount, unit = first.households, Unit.HOUSEHOLDS
        else:
            amount = first.value - (cells[1].value if len(cells) > 1 else 0)
        small_change = unit is Unit.HOUSEHOLDS and is_small(abs(amount))
        if self.outside and (is_hidden or small_change or any(is_small(cell.households) for cell in cells)):
            value: Value = HIDDEN
        else:
            value = wan(amount) if unit is Unit.FEN else amount
        words = "万元" if unit is Unit.FEN else unit.value
        return Number(value, words, first.name, first.township, first.product, since)

    def rows(
        self, figures: Sequence[str], names: Mapping[str, str], part: str, *, households: bool = False
    ) -> list[Row]:
        """Of each township or product; in a table for the outside a column gives no small cell away."""

        def cell(figure: str, code: str) -> Cell:
            if part == "township":
                return self.table.get_cell(figure, code, "")
            return self.table.get_cell(figure, self.township, code)

        hidden: dict[str, frozenset[str]] = dict.fromkeys(figures, frozenset())
        if self.outside:
            for figure in figures:
                behind = {code: cell(figure, code).households for code in names}
                hidden[figure] = hide_small(behind, self.table.get_cell(figure).households)
        return [
            Row(
                code,
                name,
                tuple(
                    self.number((cell(one, code),), is_hidden=code in hidden[one], households=households)
                    for one in figures
                ),
            )
            for code, name in names.items()
        ]

    def narrow(self, table: DayTable) -> DayTable:
        """The part chosen in the place of the whole."""
        if not (self.township or self.product):
            return table
        cells = {
            (name, "", ""): cell
            for (name, township, product), cell in table.cells.items()
            if (township, product) == (self.township, self.product)
        }
        return DayTable(table.day, table.definitions, cells)

    def measure(
        self, indicator: Indicator, wanted: Decimal | None, earlier: DayTable | None
    ) -> tuple[Number, tuple[Value, bool | None], Value]:
        """The indicator now, its completion and whether it is reached, and the change since ``earlier``."""
        end = self.narrow(self.table)
        nothing = DayTable(date.min, "", {})
        year_before = self.narrow(self._before) if self._before else nothing
        month_before = earlier or nothing
        period = Period(end, month_before, year_before, month_before, year_before)
        found = measure(indicator, wanted, period, outside=self.outside)
        by_year = indicator.compared is Compared.YEAR
        value = found.year if by_year else found.end
        now = Number(
            value, indicator.unit, indicator.figure, self.township, self.product, self.since if by_year else None
        )
        return now, (found.completion, found.is_reached), found.month if earlier else None
