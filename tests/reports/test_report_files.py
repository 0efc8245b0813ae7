"""What a report's files do with hostile text, hidden cells and other people's programs."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import zipfile
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from python_calamine import CalamineWorkbook

from matcher.reports.document import HIDDEN, Column, Report, Table, percent, wan, yuan
from matcher.reports.plain import write_csv, write_json
from matcher.reports.workbook import write_workbook

ACTIVE = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "＝1", '=HYPERLINK("http://x","y")')
NUMBER = "33990019900101001X"


def make_report(rows: int = 1, paper: str = "A4") -> Report:
    columns = (
        Column("no", "序号", width=6),
        Column("name", "姓名", "text", 14),
        Column("item", "证件号码", "text", 22),
        Column("on", "日期", "date", 12),
        Column("amount", "金额\n（元）", width=14),
    )
    body = tuple(
        (place, ACTIVE[place % len(ACTIVE)], NUMBER, date(2025, 3, 3), Decimal("-1234567.80")) for place in range(rows)
    )
    total = (None, "合计", "", None, HIDDEN)
    return Report(
        name="test",
        subject="test/1",
        title="=演示表",
        fields=(("地区", "=1+1"),),
        tables=(Table("明细", "一、明细[1]/2", columns, body, total), Table("空", "二、空表", columns, ())),
        notes=("=说明", "长" * 300),
        signatures=("填表人",),
        definitions="1&2",
        paper="A3" if paper == "A3" else "A4",
        is_demo=True,
    )


def test_d43_nothing_in_a_workbook_is_run(tmp_path: Path) -> None:
    (file,) = write_workbook(tmp_path / "a.xlsx", make_report(len(ACTIVE)))
    with zipfile.ZipFile(file) as package:
        sheets = [package.read(name).decode() for name in package.namelist() if name.startswith("xl/worksheets/sheet")]
    assert len(sheets) == 2
    assert not any("<f>" in sheet or "<hyperlink" in sheet for sheet in sheets)
    cells = CalamineWorkbook.from_path(file).get_sheet_by_index(0).to_python()
    rows = [row for row in cells if row[2] == NUMBER]
    assert [row[1] for row in rows] == list(ACTIVE)
    assert {row[4] for row in rows} == {-1234567.8}
    assert {row[3] for row in rows} == {date(2025, 3, 3)}


def test_d43_csv_is_neutralised_but_for_its_own_numbers(tmp_path: Path) -> None:
    file, empty = write_csv(tmp_path / "a.csv", make_report(len(ACTIVE)))
    with file.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert all(row["姓名"].startswith("'") for row in rows[:-1])
    assert {row["证件号码"] for row in rows[:-1]} == {f"\t{NUMBER}"}
    assert {row["金额（元）"] for row in rows[:-1]} == {"-1234567.80"}
    assert rows[-1]["金额（元）"] == "＊"
    assert empty.name == "a-空.csv"


def test_json_tells_hidden_from_empty(tmp_path: Path) -> None:
    (file,) = write_json(tmp_path / "a.json", make_report())
    table = json.loads(file.read_bytes())["tables"][0]
    assert table["rows"][0]["amount"] == "-1234567.80"
    assert (table["total"]["amount"], table["total"]["on"]) == ("＊", None)


def test_a_table_refuses_text_among_its_numbers() -> None:
    with pytest.raises(ValueError, match="text in a"):
        Table("x", "x", (Column("a", "A"),), (("1",),))
    with pytest.raises(ValueError, match="2 cells for 1"):
        Table("x", "x", (Column("a", "A"),), ((1, 2),))


def test_amounts_are_exact_and_rounded_half_up_once() -> None:
    assert (yuan(1), yuan(-1_23), yuan(100_000_000_000_00)) == (
        Decimal("0.01"),
        Decimal("-1.23"),
        Decimal("100000000000.00"),
    )
    assert [wan(fen) for fen in (4_999, 5_000, 14_999, -5_000)] == [
        Decimal("0.00"), Decimal("0.01"), Decimal("0.01"), Decimal("-0.01"),
    ]  # fmt: skip
    assert (percent(1, 3), percent(2, 3), percent(1, 0)) == (Decimal("33.3"), Decimal("66.7"), None)


@pytest.mark.slow
@pytest.mark.parametrize("paper", ["A4", "A3"])
def test_the_workbook_prints_whole(tmp_path: Path, paper: str) -> None:
    """Rendered by LibreOffice: as wide as the page, headings on every page, no number that does not fit (###)."""
    if not (shutil.which("soffice") and shutil.which("pdftotext")):
        pytest.skip("LibreOffice and poppler are not installed")
    write_workbook(tmp_path / "a.xlsx", make_report(200, paper))
    command = ["soffice", f"-env:UserInstallation=file://{tmp_path}/profile", "--headless", "--convert-to", "pdf"]
    subprocess.run([*command, "a.xlsx"], cwd=tmp_path, check=True, capture_output=True, timeout=300)
    done = subprocess.run(["pdftotext", "-layout", "a.pdf", "-"], cwd=tmp_path, check=True, capture_output=True)
    pages = done.stdout.decode().split("\f")[:-1]
    assert len(pages) > 2
    assert all("证件号码" in page and "第" in page and "演示数据" in page for page in pages)
    text = "".join(pages)
    assert text.count(NUMBER) == 200
    assert text.count("-1,234,567.80") == 200
    assert "###" not in text
