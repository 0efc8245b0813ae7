"""A report as data: titles, tables, notes, who signs. How it looks is the writers' part (workbook.py, plain.py)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from enum import Enum
from typing import Literal, TypeAlias


class Mark(Enum):
    """What stands where no value may."""

    HIDDEN = "＊"  # a small cell, or one that would give a small cell away


Value: TypeAlias = str | int | Decimal | date | Mark | None
Row: TypeAlias = tuple[Value, ...]

HIDDEN = Mark.HIDDEN


@dataclass(frozen=True)
class Column:
    """``kind``: ``text`` stays text whatever it looks like (numbers of contracts and people); ``width`` in digits.

    A heading may hold line breaks, for print.
    """

    key: str
    heading: str
    kind: Literal["text", "number", "date"] = "number"
    width: int = 12

    @property
    def name(self) -> str:
        """The heading in one line."""
        return self.heading.replace("\n", "")


@dataclass(frozen=True)
class Table:
    """``total`` is the last row; ``name`` distinguishes the files of a report written as CSV."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...] = field(repr=False)
    total: Row | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for row in self.all_rows:
            if len(row) != len(self.columns):
                raise ValueError(f"{self.name}: a row of {len(row)} cells for {len(self.columns)} columns")
            for column, value in zip(self.columns, row, strict=True):
                if isinstance(value, str) and column.kind != "text":
                    raise ValueError(f"{self.name}: text in {column.key}, a column of {column.kind}s")

    @property
    def all_rows(self) -> tuple[Row, ...]:
        return self.rows if self.total is None else (*self.rows, self.total)

    def column(self, key: str) -> tuple[Value, ...]:
        """The values of one column, without the total's."""
        place = [column.key for column in self.columns].index(key)
        return tuple(row[place] for row in self.rows)


@dataclass(frozen=True)
class Report:
    """``name``: monthly, kpi, staff, claim or year; ``subject``: what of, as the audit log has it;
    ``fields``: who and when, shown above the first table; ``definitions``: the version of docs/reference/figures.md."""

    name: str
    subject: str
    title: str
    fields: tuple[tuple[str, str], ...]
    tables: tuple[Table, ...]
    notes: tuple[str, ...] = ()
    signatures: tuple[str, ...] = ()
    definitions: str = ""
    paper: Literal["A4", "A3"] = "A4"
    is_outside: bool = False  # leaves the government side: small cells are hidden
    is_demo: bool = False

    @property
    def row_count(self) -> int:
        return sum(len(table.rows) for table in self.tables)

    def marked_as_demo(self) -> Report:
        """The same, saying on every page that its people are made up."""
        return replace(self, is_demo=True)


def yuan(fen: int) -> Decimal:
    """分 as yuan with two places, exactly."""
    return Decimal(fen).scaleb(-2)


def wan(fen: int) -> Decimal:
    """分 as 万元 with two places, half up."""
    return Decimal(fen).scaleb(-6).quantize(Decimal("0.01"), ROUND_HALF_UP)


def percent(part: int | Decimal, whole: int | Decimal) -> Decimal | None:
    """``part`` of ``whole`` in percent with one place, half up; None where there is no whole."""
    if not whole:
        return None
    return (100 * Decimal(part) / Decimal(whole)).quantize(Decimal("0.1"), ROUND_HALF_UP)
