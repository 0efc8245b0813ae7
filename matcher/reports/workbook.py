"""A report as a workbook laid out for print: A4 or A3 across, as wide as the page, headings on every page.

Numbers are numbers, so that an accountant can add them up; numbers of people and contracts are text. Each table has
a sheet of its own.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import xlsxwriter

from keys.files import atomic_writer
from matcher.reports.document import HIDDEN, Column, Report, Table, Value
from matcher.watermark import mark_sheet

_CREATED = datetime(2000, 1, 1)  # noqa: DTZ001  (one content, one file: the writer would put today)
_PAPERS = {"A4": 9, "A3": 8}
_FONT = "宋体"
_MARGIN_IN = 0.5
_ROW_PT, _TITLE_PT = 18, 30
_SHEET_NAME_LENGTH = 31
_NARROW = 9  # columns up to this width are centred: running numbers, units, days


def write_workbook(path: Path, report: Report) -> list[Path]:
    """The file appears whole or not at all, readable by its owner only. Raises OSError."""
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with atomic_writer(path) as stream, xlsxwriter.Workbook(stream, options) as workbook:
        workbook.set_properties({"title": report.title, "created": _CREATED})
        formats = _Formats(workbook)
        for place, table in enumerate(report.tables):
            is_last = place == len(report.tables) - 1
            _Sheet(workbook, report, table, formats, is_first=place == 0).write(with_notes=is_last)
    return [path]


class _Formats:
    """The looks of cells, each made once."""

    def __init__(self, workbook: xlsxwriter.Workbook) -> None:
        self._workbook = workbook
        self._made: dict[tuple[tuple[str, object], ...], Any] = {}
        self._cells: dict[tuple[str, int, type, int, bool], Any] = {}

    def get(self, **look: object) -> Any:
        key = tuple(sorted(look.items()))
        if key not in self._made:
            self._made[key] = self._workbook.add_format(
                {"font_name": _FONT, "font_size": 10, "valign": "vcenter", **look}
            )
        return self._made[key]

    def cell(self, column: Column, value: Value, *, is_total: bool) -> Any:
        """By kind of value and column; remembered, because a claim has hundreds of thousands of cells."""
        places = -int(value.as_tuple().exponent) if isinstance(value, Decimal) else 0
        key = (column.kind, column.width, type(value), places, is_total)
        if key not in self._cells:
            self._cells[key] = self._cell(column, value, places, is_total=is_total)
        return self._cells[key]

    def _cell(self, column: Column, value: Value, places: int, *, is_total: bool) -> Any:
        look: dict[str, object] = {"border": 1, "bold": is_total}
        if value is HIDDEN or value is None:
            return self.get(**look, align="center")
        if isinstance(value, date):
            return self.get(**look, align="center", num_format="yyyy-mm-dd")
        align = "center" if column.width <= _NARROW else "right" if column.kind == "number" else "left"
        if isinstance(value, int | Decimal):
            number = "#,##0" + ("." + "0" * places if places > 0 else "")
            return self.get(**look, align=align, num_format=number)
        return self.get(**look, align=align, num_format="@", text_wrap=True, indent=int(align == "left"))


class _Sheet:
    """One table on its own sheet, written from the top down."""

    def __init__(
        self, workbook: xlsxwriter.Workbook, report: Report, table: Table, formats: _Formats, *, is_first: bool
    ) -> None:
        self._report, self._table, self._formats, self._is_first = report, table, formats, is_first
        self._sheet = workbook.add_worksheet(_sheet_name(table.title))
        self._sheet.set_default_row(_ROW_PT)
        self._last = len(table.columns) - 1
        self._row = 0

    def write(self, *, with_notes: bool) -> None:
        table = self._table
        for place, column in enumerate(table.columns):
            self._sheet.set_column(place, place, column.width)
        self._across(self._report.title, height=_TITLE_PT, font_size=16, bold=True, align="center")
        if not self._report.title.endswith(table.title):
            self._across(table.title, font_size=12, align="center")
        shown = "　　".join(f"{name}：{value}" for name, value in self._report.fields)
        self._across(shown, align="left")
        heading = self._row
        self._headings()
        for row in table.rows:
            self._cells(row, is_total=False)
        if table.total is not None:
            self._cells(table.total, is_total=True)
        self._end(with_notes=with_notes)
        self._set_page(heading)

    def _across(self, text: str, *, height: int = _ROW_PT, **look: object) -> None:
        style = self._formats.get(**{"text_wrap": True, **look})
        if self._last:
            self._sheet.merge_range(self._row, 0, self._row, self._last, "", style)
        self._sheet.write_string(self._row, 0, text, style)
        self._sheet.set_row(self._row, height)
        self._row += 1

    def _headings(self) -> None:
        style = self._formats.get(bold=True, border=1, align="center", text_wrap=True, bg_color="#EDEDED")
        lines = max(_lines(column.heading, column.width) for column in self._table.columns)
        for place, column in enumerate(self._table.columns):
            self._sheet.write_string(self._row, place, column.heading, style)
        self._sheet.set_row(self._row, max(_ROW_PT, 14 * lines + 4))
        self._row += 1

    def _cells(self, row: tuple[Value, ...], *, is_total: bool) -> None:
        lines, sheet, at = 1, self._sheet, self._row
        for place, (column, value) in enumerate(zip(self._table.columns, row, strict=True)):
            style = self._formats.cell(column, value, is_total=is_total)
            if isinstance(value, str):
                sheet.write_string(at, place, value, style)
                lines = max(lines, _lines(value, column.width))
            elif isinstance(value, int | Decimal):
                sheet.write_number(at, place, value, style)
            elif isinstance(value, date):
                sheet.write_datetime(at, place, value, style)
            elif value is None:
                sheet.write_blank(at, place, None, style)
            else:
                sheet.write_string(at, place, value.value, style)
        if lines > 1:
            sheet.set_row(at, 13 * lines + 5)
        self._row += 1

    def _end(self, *, with_notes: bool) -> None:
        if with_notes:
            width = sum(column.width for column in self._table.columns)
            for note in self._report.notes:
                self._across(note, height=max(_ROW_PT, 13 * _lines(note, width) + 5), font_size=9, align="left")
        if self._report.signatures:
            self._row += 1
            blank = "：＿＿＿＿＿＿＿＿"
            self._across("　　".join(name + blank for name in self._report.signatures), height=_TITLE_PT, align="left")

    def _set_page(self, heading: int) -> None:
        sheet = self._sheet
        sheet.set_landscape()
        sheet.set_paper(_PAPERS[self._report.paper])
        sheet.set_margins(left=_MARGIN_IN, right=_MARGIN_IN, top=_MARGIN_IN, bottom=0.7)
        sheet.fit_to_pages(1, 0)
        sheet.repeat_rows(heading)
        sheet.freeze_panes(heading + 1, 0)
        sheet.print_area(0, 0, self._row - 1, self._last)
        mark_sheet(
            sheet,
            is_first=self._is_first,
            header="&C演示数据" if self._report.is_demo else "",
            footer=f"&L{_footer(self._report)}&C第 &P 页，共 &N 页",
        )
        sheet.hide_gridlines(2)


def _footer(report: Report) -> str:
    version = f"口径版本 {report.definitions}" if report.definitions else ""
    return version.replace("&", "&&")


def _sheet_name(title: str) -> str:
    return "".join("-" if character in "[]:*?/\\'" else character for character in title)[:_SHEET_NAME_LENGTH]


def _lines(text: str, width: int) -> int:
    """How many lines a text takes in a column of so many digits; a Chinese character takes two."""
    room = max(width - 2, 1)  # for the indent and the borders
    if 2 * len(text) <= room and "\n" not in text:
        return 1
    return sum(_wrapped(line, room) for line in text.split("\n"))


def _wrapped(line: str, room: int) -> int:
    """A line breaks behind a hyphen, and within what is longer than the room."""
    lines, used = 1, 0
    for word in re.findall("[^-]*-|[^-]+", line):
        wide = len(word) + sum(not character.isascii() for character in word)
        if used and used + wide > room:
            lines, used = lines + 1, 0
        used += wide
        while used > room:
            lines, used = lines + 1, used - room
    return lines
