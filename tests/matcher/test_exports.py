"""Tables out (docs/reference/tables.md): no cell acts, every ID number stays text and reads back as the same item."""

from __future__ import annotations

import codecs
import csv
import re
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

from matcher import exports
from matcher.columns import CUSTOMER_COLUMNS, list_columns
from matcher.exports import CellTooLong, Format, write_export
from matcher.reasons import REASONS, ReasonUnknown, describe, for_bank, for_bank_column, parse_reasons
from matcher.rejects import ROW_REASONS, Reject, count_reasons, write_rejects
from matcher.schemas import KUOZHONG
from matcher.tables import read_customers
from psi.identifiers import Verdict, check_character

DOCS = Path(__file__).parents[2] / "docs" / "reference"
FORMATS: tuple[Format, ...] = ("csv", "xlsx", "parquet")
IDS = ["99000019800101008X", "990000198001010012", "339900198001010007"]
ACTIVE = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1", "＋1", "－1", "＠x", "  =1+1", "　＝1"]


def ids(count: int) -> list[str]:
    bodies = [f"33990019{50 + place // 1000:02d}0101{place % 1000:03d}" for place in range(count)]
    return [body + check_character(body) for body in bodies]


def export(path: Path, format: Format, numbers: list[str], names: list[str]) -> Path:
    path = path / f"out.{format}"
    columns = {"证件号码": pa.array(numbers, pa.string()), "客户姓名": pa.array(names, pa.string())}
    write_export(path, columns, format=format, id_columns=["证件号码"])
    return path


def read_csv(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.reader(stream, strict=True))


@pytest.mark.parametrize("format", FORMATS)
def test_d43_numbers_read_back_as_the_same_items(tmp_path: Path, format: Format) -> None:
    numbers = ids(3_000)
    listed = read_customers(export(tmp_path, format, numbers, ["=cmd|' /C calc'!A0"] * 3_000))
    assert listed.items.to_pybytes().decode() == "".join(numbers)
    assert listed.rejects == []


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(cell=st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(ACTIVE))
def test_d43_no_csv_cell_begins_like_a_formula(tmp_path: Path, cell: str) -> None:
    path = export(tmp_path, "csv", [cell], [cell])
    header, row = read_csv(path)
    assert header == ["证件号码", "客户姓名"]
    for written in row:
        assert not re.match(r"[\s　]*[=+\-@＝＋－＠]|[\t\r\n]", written)
        assert written.removeprefix("'") == cell.removeprefix("'") or written == cell


@pytest.mark.parametrize("cell", ACTIVE)
def test_d43_active_cells_are_neutralised(tmp_path: Path, cell: str) -> None:
    _, row = read_csv(export(tmp_path, "csv", [cell], [cell]))
    assert row == [f"'{cell}", f"'{cell}"]


def test_d43_csv_opens_in_excel_as_text(tmp_path: Path) -> None:
    path = export(tmp_path, "csv", [*IDS, "", "339900800101001"], ["一"] * 5)
    assert path.read_bytes().startswith(codecs.BOM_UTF8)
    assert [row[0] for row in read_csv(path)[1:]] == [*("\t" + item for item in IDS), "", "\t339900800101001"]


def test_d43_active_headers_too(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    write_export(path, {"=1+1": pa.array(["x"])}, format="csv")
    assert read_csv(path) == [["'=1+1"], ["x"]]


def test_d43_xlsx_cells_are_strings_and_no_formulas(tmp_path: Path) -> None:
    cells = [*ACTIVE, "123", "1.5", "2024-01-02", "http://x", "{=1}", *IDS]
    path = export(tmp_path, "xlsx", [IDS[0]] * len(cells), cells)
    with zipfile.ZipFile(path) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml").decode()
        assert "<f>" not in sheet
        assert set(re.findall(r' t="([^"]*)"', sheet)) == {"inlineStr"}
        assert len(re.findall("<c ", sheet)) == len(re.findall(' t="', sheet))
        assert '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/>' in sheet
        assert not any("hyperlink" in archive.read(name).decode() for name in archive.namelist())
    rows = CalamineWorkbook.from_path(path).get_sheet_by_index(0).to_python()
    assert rows[0] == ["证件号码", "客户姓名"]
    assert [row[0] for row in rows[1:]] == [IDS[0]] * len(cells)
    assert all(type(cell) is str for row in rows for cell in row)
    assert [row[1].replace("\r\n", "\n") for row in rows[1:]][-8:] == cells[-8:]


def test_d43_parquet_cells_are_as_they_were(tmp_path: Path) -> None:
    table = pq.read_table(export(tmp_path, "parquet", IDS, ["=1", "-", ""]))
    assert table.schema == pa.schema({"证件号码": pa.string(), "客户姓名": pa.string()})
    assert table.to_pydict() == {"证件号码": IDS, "客户姓名": ["=1", "-", ""]}


def test_a_million_rows_and_more_go_to_a_second_sheet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "SHEET_ROWS", 1_000)
    numbers = ids(2_500)
    path = export(tmp_path, "xlsx", numbers, ["一"] * 2_500)
    assert CalamineWorkbook.from_path(path).sheet_names == ["Sheet1", "Sheet2", "Sheet3"]
    listed = read_customers(path)
    assert listed.items.to_pybytes().decode() == "".join(numbers)


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_content_makes_the_same_file(tmp_path: Path, format: Format) -> None:
    first = export(tmp_path, format, IDS, ["一", "二", "三"]).read_bytes()
    assert export(tmp_path, format, IDS, ["一", "二", "三"]).read_bytes() == first


@pytest.mark.parametrize("format", FORMATS)
def test_whole_or_not_at_all_and_for_the_owner_only(
    tmp_path: Path, format: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = export(tmp_path, format, IDS, ["一"] * 3)
    before = path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600

    def fail(handle: int) -> None:
        raise OSError(28, "no space")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="no space"):
        export(tmp_path, format, IDS, ["二"] * 3)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_cell_longer_than_excel_can_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CellTooLong) as caught:
        export(tmp_path, "xlsx", IDS[:1], ["一" * 32_768])
    assert caught.value.params == {"column": "客户姓名", "limit": 32_767}
    assert list(tmp_path.iterdir()) == []


def test_nulls_numbers_and_chunks(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    columns = {"a": pa.chunked_array([["x"], [None]]), "b": pa.array([1, None])}
    write_export(path, columns, format="csv")
    assert read_csv(path) == [["a", "b"], ["x", "1"], ["", ""]]
    write_export(path, {"a": pa.array([], pa.string())}, format="csv")
    assert read_csv(path) == [["a"]]


class TestRejects:
    def test_the_file(self, tmp_path: Path) -> None:
        path = tmp_path / "rejects.csv"
        write_rejects(
            path, [Reject(7, "bad_check", "33************1X"), Reject(9, "duplicate", "33************12", "Sheet1", 3)]
        )
        assert read_csv(path) == [
            ["工作表", "行号", "原因代码", "原因", "列", "证件号码(掩码)", "保留行号"],
            ["", "7", "bad_check", "证件号码校验码不符", "", "33************1X", ""],
            ["Sheet1", "9", "duplicate", "证件号码重复", "", "33************12", "3"],
        ]

    def test_every_refusal_has_words(self) -> None:
        refusals = {verdict.code for verdict in Verdict if not verdict.is_usable}
        assert refusals <= set(ROW_REASONS)
        assert all(zh and en for zh, en in ROW_REASONS.values())

    def test_counts(self) -> None:
        rejects = [Reject(row, reason, "") for row, reason in enumerate(["empty", "bad_check", "empty"])]
        assert list(count_reasons(rejects).items()) == [("empty", 2), ("bad_check", 1)]


class TestReasons:
    def test_a_bank_sees_no_sensitive_reason(self) -> None:
        assert for_bank(["N12", "N01", "N10", "N11"]) == ("N01", "NX1")
        assert {code for code, reason in REASONS.items() if reason.for_bank != code} == {"N10", "N11", "N12"}
        assert for_bank([]) == ()

    def test_columns(self) -> None:
        column = pa.array(["", "N01,N10", "N10,N11", "N05,N90", "N01,N10"])
        expected = ["", "N01,NX1", "NX1", "N05,N90", "N01,NX1"]
        assert for_bank_column(column).to_pylist() == expected
        assert for_bank_column(pa.chunked_array([column[:2], column[2:]])).to_pylist() == expected

    def test_cells(self) -> None:
        assert parse_reasons(" n11、N01；特困 ") == ("N01", "N11", "N12")
        assert parse_reasons("") == ()
        assert describe(("N01", "NX1")) == "收入超过上限、政策排除"
        assert describe(("N01", "NX1"), english=True) == "income above the limit; policy exclusion"
        with pytest.raises(ReasonUnknown):
            parse_reasons("N01,N02x")


class TestReference:
    """The tables of docs/reference say what the code does."""

    @staticmethod
    def rows(page: str, columns: int) -> list[list[str]]:
        lines = (DOCS / page).read_text(encoding="utf-8").splitlines()
        rows = [[cell.strip(" `*") for cell in line[1:-1].split("|")] for line in lines if line.startswith("|")]
        return [row for row in rows if len(row) == columns and row[0] not in ("---", "code", "value")]

    def test_reasons(self) -> None:
        described = {row[0]: tuple(row[1:]) for row in self.rows("reasons.md", 4)}
        for code, reason in REASONS.items():
            aliases = "（低边）" if code == "N11" else ""
            assert described[code] == (reason.zh + aliases, reason.en, reason.for_bank)
        assert set(described) >= set(REASONS)

    def test_row_reasons(self) -> None:
        described = {row[0]: (row[1], row[2]) for row in self.rows("reasons.md", 3)}
        words = dict(ROW_REASONS, empty=(ROW_REASONS["empty"][0], described["empty"][1]))
        assert described == words

    def test_verdicts(self) -> None:
        described = {row[0]: (row[1], row[2].startswith("yes")) for row in self.rows("identifiers.md", 3)}
        verdicts = {str(verdict.value): (verdict.code, verdict.is_usable) for verdict in Verdict}
        assert described == verdicts

    def test_headers(self) -> None:
        described = {row[1]: tuple(row[2].split(";")[0].split()) for row in self.rows("tables.md", 3)}
        for mapping in (CUSTOMER_COLUMNS, list_columns(KUOZHONG)):
            for name, field in mapping.fields.items():
                assert described[name] == field.headers
