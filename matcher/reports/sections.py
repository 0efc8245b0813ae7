"""Tables by township and by product: the county's figures in parts, with small cells hidden where they have to be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from matcher.figures.definitions import DEFINITIONS, Basis, Unit
from matcher.figures.records import Cell
from matcher.figures.service import DayTable
from matcher.figures.suppression import hide_small, is_small
from matcher.reports.document import HIDDEN, Column, Row, Table, Value, wan


@dataclass(frozen=True)
class Shown:
    """A column: a figure, at the end of the period or (``this_year``) what came since the year began."""

    figure: str
    this_year: bool = False

    @property
    def column(self) -> Column:
        definition = DEFINITIONS[self.figure]
        unit = "万元" if definition.unit is Unit.FEN else definition.unit.value
        words = definition.zh
        if self.this_year:
            words = "本年" + words
        elif definition.basis is Basis.CUMULATIVE and not words.startswith(("累计", "总")):
            words = "累计" + words
        return Column(self.figure + ("_year" if self.this_year else ""), f"{words}\n（{unit}）", width=14)


Get = Callable[[DayTable, str, str], Cell]  # a day's cell of a figure for a township or a product


def by_township(
    title: str, shown: Sequence[Shown], end: DayTable, before: DayTable, names: Mapping[str, str], *, outside: bool
) -> Table:
    """One row for each township that has anything, in the order of their codes, and the county's total."""
    keys = sorted({*end.townships, *names})
    rows = [(key, names.get(key, key)) for key in keys]
    first = (Column("township", "乡镇（街道）代码", "text", 15), Column("name", "乡镇（街道）", "text", 14))
    return _table(
        "乡镇", title, first, rows, shown, end, before, lambda day, name, key: day.get_cell(name, key), outside
    )


def by_product(
    title: str, shown: Sequence[Shown], end: DayTable, before: DayTable, names: Mapping[str, str], *, outside: bool
) -> Table:
    """One row for each product of the policy or of a loan, in the policy's order. Households may have several."""
    keys = [*names, *(product for product in end.products if product not in names)]
    rows = [(key, names.get(key, key)) for key in keys]
    first = (Column("product", "产品代码", "text", 12), Column("name", "贷款产品", "text", 16))
    return _table(
        "产品", title, first, rows, shown, end, before, lambda day, name, key: day.get_cell(name, "", key), outside
    )


def _table(
    name: str,
    title: str,
    first: tuple[Column, ...],
    rows: Sequence[tuple[str, str]],
    shown: Sequence[Shown],
    end: DayTable,
    before: DayTable,
    get: Get,
    outside: bool,
) -> Table:
    columns = [_values(one, [key for key, _ in rows], end, before, get, outside=outside) for one in shown]
    body: list[Row] = [(*row, *(values[row[0]] for values in columns)) for row in rows]
    total: Row = ("", "合计", *(values[""] for values in columns))
    return Table(name, title, (*first, *(one.column for one in shown)), tuple(body), total)


def _values(
    shown: Shown, keys: Sequence[str], end: DayTable, before: DayTable, get: Get, *, outside: bool
) -> dict[str, Value]:
    """The column's values by row, the total under ``""``. What stands behind a cell is its households to this day."""
    cells = {key: get(end, shown.figure, key) for key in ("", *keys)}
    hidden: set[str] = set()
    if outside:
        behind = {key: cells[key].households for key in keys}
        hidden.update(hide_small(behind, cells[""].households))
        if is_small(cells[""].households):
            hidden.add("")
    values: dict[str, Value] = {}
    for key, cell in cells.items():
        earlier = get(before, shown.figure, key).value if shown.this_year else 0
        amount = cell.value - earlier
        in_unit = wan(amount) if DEFINITIONS[shown.figure].unit is Unit.FEN else amount
        values[key] = HIDDEN if key in hidden else in_unit
    return values
