"""A file in pieces gives the very rows of the whole, whatever stands in it."""

from __future__ import annotations

import codecs
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter
from hypothesis import given
from hypothesis import strategies as st
from publishing import HEADER, number

from matcher.columns import ColumnMissing, list_columns
from matcher.schemas import KUOZHONG
from matcher.tables.cutting import cut_file, read_piece
from matcher.tables.errors import EncodingUnknown, TableDamaged, TableEmpty
from matcher.tables.reader import read_table

MAPPING = list_columns(KUOZHONG)
ROWS = [f"{number(person)},家{person},{1 + person % 4},330922,是," for person in range(200)]


def whole(path: Path) -> tuple[list[dict[str, object]], list[object]]:
    return flat(read_table(path, MAPPING))


def in_pieces(path: Path, piece_bytes: int = 500) -> tuple[int, tuple[list[dict[str, object]], list[object]]]:
    cut = cut_file(path, MAPPING, piece_bytes)
    batches = [batch for number in range(len(cut.pieces)) for batch in read_piece(path, MAPPING, cut, number)]
    return len(cut.pieces), flat(batches)


def flat(batches: object) -> tuple[list[dict[str, object]], list[object]]:
    rows: list[dict[str, object]] = []
    rejects: list[object] = []
    for batch in batches:  # type: ignore[attr-defined]
        rows += pa.table({**batch.columns, "row": batch.rows}).to_pylist()
        rejects += batch.rejects
    return rows, rejects


def write(path: Path, lines: list[str], end: str = "\n", encoding: str = "utf-8", last: str | None = None) -> Path:
    text = end.join([HEADER, *lines]) + (end if last is None else last)
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_plain_files_are_cut(tmp_path: Path, encoding: str, end: str) -> None:
    lines = [*ROWS[:50], "", "一,二", *ROWS[50:], ""]
    for last in (None, ""):
        path = write(tmp_path / "a.csv", lines, end, encoding, last)
        pieces, rows = in_pieces(path)
        assert pieces > 10
        assert rows == whole(path)


def test_blank_lines_before_the_header(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("\n,,\n" + "\n".join([HEADER, *ROWS]), "utf-8")
    pieces, rows = in_pieces(path)
    assert pieces > 10
    assert rows == whole(path)
    assert rows[0][0]["row"] == 4


@pytest.mark.parametrize(
    "lines",
    [
        [*ROWS, f'{number(900)},"家\n庭",3,330922,是,'],
        [*ROWS, f'{number(900)},家 5" 庭,3,330922,是,'],
        [*ROWS[:20], ROWS[20] + "\r" + ROWS[21], *ROWS[22:]],
    ],
    ids=["a cell of two lines", "a quotation mark in a cell", "old ends of lines"],
)
def test_what_might_hide_a_line_is_not_cut(tmp_path: Path, lines: list[str]) -> None:
    path = write(tmp_path / "a.csv", lines)
    pieces, rows = in_pieces(path)
    assert pieces == 1
    assert rows == whole(path)


def test_utf16_and_workbooks_are_one_piece(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(codecs.BOM_UTF16_LE + "\n".join([HEADER, *ROWS]).encode("utf-16-le"))
    assert in_pieces(path) == (1, whole(path))
    workbook = tmp_path / "a.xlsx"
    with xlsxwriter.Workbook(str(workbook)) as book:
        sheet = book.add_worksheet("一")
        for place, line in enumerate([HEADER, *ROWS]):
            for column, cell in enumerate(line.split(",")):
                sheet.write_string(place, column, cell)
    assert in_pieces(workbook) == (1, whole(workbook))


def test_parquet_is_cut_by_row_groups(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    columns = list(zip(*(row.split(",") for row in ROWS), strict=True))
    pq.write_table(pa.table(dict(zip(HEADER.split(","), columns, strict=True))), path, row_group_size=33)
    assert in_pieces(path) == (7, whole(path))


def test_a_file_that_was_replaced_is_noticed(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", ROWS)
    cut = cut_file(path, MAPPING, 500)
    write(path, [*ROWS[1:], ROWS[0]])
    with pytest.raises(TableDamaged, match="another file"):
        list(read_piece(path, MAPPING, cut, 1))
    write(path, ROWS[1:])
    with pytest.raises(TableDamaged, match="another file"):
        list(read_piece(path, MAPPING, cut, 1))


def test_what_reading_would_refuse_at_once_cutting_refuses(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for content, kind in (
        (b"", TableEmpty),
        (f"{HEADER}\n".encode(), TableEmpty),
        (b"a\xff\n" * 50, EncodingUnknown),
        (HEADER.replace("家庭编号", "别的").encode() + b"\n1,2,3,4,5,6\n", ColumnMissing),
    ):
        path.write_bytes(content)
        with pytest.raises(kind):
            cut_file(path, MAPPING, 500)


@given(st.lists(st.sampled_from([*ROWS[:5], "", ",", '"', "a,b", "\r", "\x00"]), max_size=30), st.integers(1, 200))
def test_any_lines_in_any_pieces(tmp_path_factory: pytest.TempPathFactory, lines: list[str], piece_bytes: int) -> None:
    path = write(tmp_path_factory.mktemp("any") / "a.csv", [ROWS[0], *lines])
    try:
        expected = whole(path)
    except TableDamaged:
        with pytest.raises(TableDamaged):
            in_pieces(path, piece_bytes)
        return
    assert in_pieces(path, piece_bytes)[1] == expected
