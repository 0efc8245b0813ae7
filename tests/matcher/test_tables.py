"""Tables in (docs/reference/tables.md): every row comes out as data or as a reject, or the file is refused."""

from __future__ import annotations

import codecs
import signal
import subprocess
import zipfile
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matcher.columns import (
    CUSTOMER_COLUMNS,
    ColumnAmbiguous,
    ColumnMissing,
    FieldUnknown,
    HeaderMissing,
)
from matcher.tables import CustomerList, LabelledList, read_customers, read_labelled_list, read_table
from matcher.tables import xlsx_reader as xlsx
from matcher.tables.errors import (
    ColumnType,
    EncodingUnknown,
    FormatUnknown,
    TableDamaged,
    TableEmpty,
    TableTooLarge,
)
from psi.errors import InputError
from psi.identifiers import check_character

HEADER = "证件号码,客户姓名"


def number(place: int) -> str:
    body = f"339900{1950 + place % 50}{1 + place % 12:02d}{1 + place % 28:02d}{place % 1000:03d}"
    return body + check_character(body)


def items_of(listed: CustomerList | LabelledList) -> list[str]:
    data = listed.items.to_pybytes().decode()
    return [data[at : at + 18] for at in range(0, len(data), 18)]


def reasons_of(listed: CustomerList | LabelledList) -> list[tuple[int, str]]:
    return [(reject.row, reject.reason) for reject in listed.rejects]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(content: bytes | str, name: str = "customers.csv", encoding: str = "utf-8") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    return write


@pytest.fixture
def write_xlsx(tmp_path: Path) -> Callable[..., Path]:
    def write(*sheets: Sequence[Sequence[Any]], name: str = "customers.xlsx") -> Path:
        path = tmp_path / name
        with xlsxwriter.Workbook(path, {"default_date_format": "yyyy-mm-dd", "strings_to_numbers": False}) as workbook:
            for rows in sheets:
                sheet = workbook.add_worksheet()
                for row, cells in enumerate(rows):
                    for place, cell in enumerate(cells):
                        if cell is not None:
                            sheet.write(row, place, cell)
        return path

    return write


class TestCsv:
    ROWS = tuple((number(place), f"演示{place}") for place in range(30))
    TEXT = HEADER + "\n" + "".join(f"{item},{name}\n" for item, name in ROWS)

    @pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
    def test_d35_encodings_and_line_ends(self, write: Callable[..., Path], encoding: str, ends: str) -> None:
        listed = read_customers(write(self.TEXT.replace("\n", ends), encoding=encoding))
        assert items_of(listed) == [item for item, _ in self.ROWS]
        assert listed.names.to_pylist() == [name for _, name in self.ROWS]
        assert listed.rows.to_pylist() == list(range(2, 32))
        assert listed.rejects == []

    def test_d35_utf16_of_either_byte_order_and_separated_by_tabs(self, write: Callable[..., Path]) -> None:
        for mark, encoding in ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
            listed = read_customers(write(mark + self.TEXT.replace(",", "\t").encode(encoding), name="customers.txt"))
            assert len(listed) == 30

    def test_d35_one_wrong_row_of_ten_thousand(self, write: Callable[..., Path]) -> None:
        rows = [f"{number(place)[:14]}{place % 1000:03d}" for place in range(10_000)]
        lines = [f"{body}{check_character(body)},演示" for body in dict.fromkeys(rows)]
        lines[7_000] += ",多一格"
        listed = read_customers(write("\n".join([HEADER, *lines])), batch_rows=999)
        assert reasons_of(listed) == [(7_002, "ragged_row")]
        assert listed.rejects[0].number == f"{lines[7_000][:2]}************{lines[7_000][16:18]}"
        assert len(listed) == len(lines) - 1
        assert listed.rows_read == len(lines)
        assert 7_002 not in listed.rows.to_pylist()

    def test_d35_quoted_newlines_are_one_row(self, write: Callable[..., Path]) -> None:
        text = f'{HEADER}\r\n{number(1)},"演示\r\n一"\r\n{number(2)},"演,示""二"\r\nbad,三\r\n'
        listed = read_customers(write(text))
        assert listed.names.to_pylist() == ["演示\r\n一", '演,示"二']
        assert listed.rows.to_pylist() == [2, 3]
        assert reasons_of(listed) == [(4, "bad_character")]

    def test_d35_bad_bytes_refuse_the_whole_file_with_their_line(self, write: Callable[..., Path]) -> None:
        damaged = self.TEXT.encode().split(b"\n")
        damaged[20] = damaged[20][:-1] + b"\xff"
        with pytest.raises(EncodingUnknown) as caught:
            read_customers(write(b"\n".join(damaged)))
        assert caught.value.params == {"file": "customers.csv", "line": 21}

    def test_d35_damaged_utf8_is_never_read_as_gb18030(self, write: Callable[..., Path]) -> None:
        """Chinese text in UTF-8 often is valid GB18030 too, of other characters."""
        text = "id_number,name\n" + "".join(f"{number(place)},王伟\n" for place in range(50))
        damaged = text.encode()[:-3] + b"\n"
        assert "鐜嬩紵" in damaged.decode("gb18030")
        with pytest.raises(EncodingUnknown) as caught:
            read_customers(write(damaged))
        assert caught.value.params["line"] == 51

    def test_d35_gb18030_with_bad_bytes_is_refused(self, write: Callable[..., Path]) -> None:
        encoded = self.TEXT.encode("gb18030") + number(99).encode() + b",\xff\xff\n"
        with pytest.raises(EncodingUnknown):
            read_customers(write(encoded))

    def test_d35_rare_characters_of_gb18030(self, write: Callable[..., Path]) -> None:
        listed = read_customers(write(f"{HEADER}\n{number(1)},㑇𠀀\n", encoding="gb18030"))
        assert listed.names.to_pylist() == ["㑇𠀀"]

    def test_half_a_character_at_the_end(self, write: Callable[..., Path]) -> None:
        for encoding, cut in (("utf-8", 2), ("utf-16", 1)):
            with pytest.raises(EncodingUnknown):
                read_customers(write(f"{HEADER}\n{number(1)},演示".encode(encoding)[:-cut]))

    def test_blank_lines_are_named_not_skipped(self, write: Callable[..., Path]) -> None:
        listed = read_customers(write(f"\n{HEADER}\n\n{number(1)},一\n,\n"))
        assert listed.rows.to_pylist() == [4]
        assert reasons_of(listed) == [(3, "empty"), (5, "empty")]

    def test_nul_and_control_characters(self, write: Callable[..., Path]) -> None:
        listed = read_customers(write(f"{HEADER}\n{number(1)}\0,一\n{number(2)},二\0\n{number(3)},\x1b[31m三\n"))
        assert reasons_of(listed) == [(2, "bad_character"), (3, "control_character"), (4, "control_character")]
        assert len(listed) == 0

    def test_an_unclosed_quote_refuses_the_file(self, write: Callable[..., Path]) -> None:
        with pytest.raises(TableDamaged) as caught:
            read_customers(write(f'{HEADER}\n{number(1)},"一\n{number(2)},二\n'))
        assert caught.value.params["line"] == 3

    def test_text_after_a_closing_quote_refuses_the_file(self, write: Callable[..., Path]) -> None:
        with pytest.raises(TableDamaged) as caught:
            read_customers(write(f'{HEADER}\n{number(1)},"一"二\n'))
        assert caught.value.params["line"] == 2

    def test_a_huge_cell(self, write: Callable[..., Path]) -> None:
        with pytest.raises(TableTooLarge) as caught:
            read_customers(write(f"{HEADER}\n{number(1)},{'一' * 200_000}\n"))
        assert caught.value.params["line"] == 2

    def test_a_huge_line(self, write: Callable[..., Path]) -> None:
        with pytest.raises(TableTooLarge):
            read_customers(write(HEADER.encode() + b"\n" + b"1," * 3_000_000))

    @settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(content=st.binary(max_size=400))
    def test_any_bytes_are_read_or_refused_by_a_typed_error(self, write: Callable[..., Path], content: bytes) -> None:
        path = write(f"{HEADER}\n{number(1)},一\n".encode() + content)
        try:
            listed = read_customers(path)
        except InputError as error:
            named = error.params["file"]
        else:
            named = path.name if listed.rows_read else ""
        assert named == "customers.csv"


class TestXlsx:
    def test_rows_sheets_and_types(self, write_xlsx: Callable[..., Path]) -> None:
        header = ["证件号码", "客户姓名"]
        path = write_xlsx(
            [header, [number(1), "一"], [None, None], [number(2), 2.0], [number(3), date(2024, 1, 2)]],
            [],
            [[], [None, *header], [None, number(4), True]],
        )
        listed = read_customers(path)
        assert items_of(listed) == [number(1), number(2), number(3), number(4)]
        assert listed.names.to_pylist() == ["一", "2", str(date(2024, 1, 2)), "1"]
        assert listed.rows.to_pylist() == [2, 4, 5, 3]
        assert [(reject.sheet, reject.row, reject.reason) for reject in listed.rejects] == [("Sheet1", 3, "empty")]

    @pytest.mark.parametrize("cell", [990000198001010012, 9.90000198001010012e17, 990000800101001, 1, True, -1.5])
    def test_a_number_kept_as_a_number_is_refused(self, write_xlsx: Callable[..., Path], cell: float) -> None:
        listed = read_customers(write_xlsx([["证件号码", "姓名"], [cell, "一"], [number(1), "二"]]))
        assert len(listed) == 1
        ((row, reason),) = reasons_of(listed)
        assert row == 2
        assert reason == ("wrong_length" if cell is True else "bad_character" if cell < 0 else "spreadsheet_damaged")

    def test_a_hidden_sheet_is_no_list(self, tmp_path: Path) -> None:
        path = tmp_path / "a.xlsx"
        with xlsxwriter.Workbook(path) as workbook:
            workbook.add_worksheet().write_row(0, 0, ["证件号码", "姓名"])
            workbook.worksheets()[0].write_row(1, 0, [number(1), "一"])
            hidden = workbook.add_worksheet()
            hidden.write(0, 0, "choices")
            hidden.hide()
        assert len(read_customers(path)) == 1

    def test_a_second_sheet_without_the_columns_is_refused(self, write_xlsx: Callable[..., Path]) -> None:
        with pytest.raises(ColumnMissing) as caught:
            read_customers(write_xlsx([["证件号码", "姓名"], [number(1), "一"]], [["说明"], ["text"]]))
        assert caught.value.params["sheet"] == "Sheet2"
        assert caught.value.params["file"] == "customers.xlsx"

    def test_the_same_number_in_two_sheets(self, write_xlsx: Callable[..., Path]) -> None:
        sheet = [["证件号码", "姓名"], [number(1), "一"]]
        (reject,) = read_customers(write_xlsx(sheet, sheet)).rejects
        assert (reject.sheet, reject.row, reject.reason, reject.kept_row) == ("Sheet2", 2, "duplicate", 2)

    @pytest.mark.parametrize("corner", [(1_048_575, 16_383), (200_000, 2_000)])
    def test_a_cell_far_away_does_not_take_the_memory(self, tmp_path: Path, corner: tuple[int, int]) -> None:
        path = tmp_path / "bomb.xlsx"
        with xlsxwriter.Workbook(path) as workbook:
            sheet = workbook.add_worksheet()
            sheet.write(0, 0, "证件号码")
            sheet.write(*corner, "x")
        assert path.stat().st_size < 10_000
        with pytest.raises(TableDamaged):
            read_customers(path)

    def test_an_honest_zip_bomb(self, write_xlsx: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
        path = write_xlsx([["证件号码", "姓名"], *([number(place), "一" * 1_000] for place in range(50))])
        monkeypatch.setattr(xlsx, "MAX_UNPACKED_BYTES", 10_000)
        with pytest.raises(TableTooLarge):
            read_customers(path)

    def test_a_zip_that_lies_about_its_size(self, write_xlsx: Callable[..., Path], tmp_path: Path) -> None:
        path, size, claimed = tmp_path / "lie.xlsx", 64 << 20, 1_000
        with (
            zipfile.ZipFile(write_xlsx([["证件号码", "姓名"], [number(1), "一"]])) as good,
            zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bad,
        ):
            for entry in good.infolist():
                content = good.read(entry)
                if entry.filename == "xl/sharedStrings.xml":
                    content = content.replace("一".encode(), b"A" * (size - len(content) + 3))
                bad.writestr(entry.filename, content)
        honest, lying = size.to_bytes(4, "little"), claimed.to_bytes(4, "little")
        archive = path.read_bytes()
        assert archive.count(honest) == 2  # before the entry, and in the directory
        path.write_bytes(archive.replace(honest, lying))
        with pytest.raises(TableDamaged):
            read_customers(path)

    @pytest.mark.parametrize("kept", [0, 30, 1_000, -1])
    def test_truncated(self, write_xlsx: Callable[..., Path], write: Callable[..., Path], kept: int) -> None:
        content = write_xlsx([["证件号码", "姓名"], [number(1), "一"]]).read_bytes()[:kept]
        with pytest.raises((TableDamaged, TableEmpty)):
            read_customers(write(content, name="short.xlsx"))

    def test_a_zip_that_is_no_workbook(self, tmp_path: Path) -> None:
        path = tmp_path / "no.xlsx"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("hello", "world")
        with pytest.raises(TableDamaged):
            read_customers(path)

    def test_stopping_early_ends_the_worker(
        self, write_xlsx: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        started: list[subprocess.Popen[bytes]] = []
        start = subprocess.Popen
        monkeypatch.setattr(subprocess, "Popen", lambda *args, **kw: started.append(start(*args, **kw)) or started[-1])
        path = write_xlsx([["证件号码", "姓名"], *([number(place), "一"] for place in range(5_000))])
        batches = read_table(path, CUSTOMER_COLUMNS, batch_rows=10)
        assert len(next(batches).rows) == 10
        batches.close()  # type: ignore[attr-defined]
        assert [process.returncode for process in started] == [-signal.SIGKILL]


class TestParquet:
    def test_text_and_dictionaries(self, tmp_path: Path) -> None:
        path = tmp_path / "a.parquet"
        names = pa.array(["一", None, "一"]).dictionary_encode()
        pq.write_table(pa.table({"证件号码": [number(1), number(2), None], "姓名": names}), path)
        listed = read_customers(path)
        assert items_of(listed) == [number(1), number(2)]
        assert listed.names.to_pylist() == ["一", ""]
        assert reasons_of(listed) == [(4, "empty")]

    @pytest.mark.parametrize("kind", [pa.int64(), pa.float64(), pa.binary()], ids=str)
    def test_numbers_that_are_no_text_are_refused(self, tmp_path: Path, kind: pa.DataType) -> None:
        path = tmp_path / "a.parquet"
        value = b"1" if kind == pa.binary() else 1
        pq.write_table(pa.table({"证件号码": pa.array([value], kind), "姓名": ["一"]}), path)
        with pytest.raises(ColumnType) as caught:
            read_customers(path)
        assert caught.value.params == {"file": "a.parquet", "field": "number", "type": str(kind)}

    def test_damaged(self, tmp_path: Path) -> None:
        path = tmp_path / "a.parquet"
        pq.write_table(pa.table({"证件号码": [number(1)], "姓名": ["一"]}), path)
        content = path.read_bytes()
        path.write_bytes(content[:-1])
        with pytest.raises(TableDamaged):
            read_customers(path)

    def test_text_that_is_not_utf8(self, tmp_path: Path) -> None:
        path = tmp_path / "a.parquet"
        names = pa.StringArray.from_buffers(1, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff"))
        pq.write_table(pa.table({"证件号码": [number(1)], "姓名": names}), path)
        with pytest.raises(TableDamaged):
            read_customers(path)


class TestHeadersAndKinds:
    @pytest.mark.parametrize("content", ["", "\n\n", HEADER, HEADER + "\n"])
    def test_a_file_without_data(self, write: Callable[..., Path], content: str) -> None:
        with pytest.raises(TableEmpty):
            read_customers(write(content))

    def test_a_workbook_without_data(self, write_xlsx: Callable[..., Path]) -> None:
        for rows in ([], [["证件号码", "姓名"]]):
            with pytest.raises(TableEmpty):
                read_customers(write_xlsx(rows))

    @pytest.mark.parametrize(
        "header", ["身份证号,姓名", "ID_Number,NAME", " 证件 号码 ,客户姓名", "＂证件号码＂,姓名".replace("＂", "")]
    )
    def test_other_names_for_the_columns(self, write: Callable[..., Path], header: str) -> None:
        assert len(read_customers(write(f"{header}\n{number(1)},一\n"))) == 1

    def test_configured_names(self, write: Callable[..., Path]) -> None:
        mapping = CUSTOMER_COLUMNS.override({"number": "户主证件", "name": ["户名", "户主"]})
        assert len(read_customers(write(f"户主,x,户主证件\n一,,{number(1)}\n"), mapping)) == 1
        with pytest.raises(FieldUnknown):
            CUSTOMER_COLUMNS.override({"phone": "电话"})

    def test_a_missing_column_is_named_with_what_was_found(self, write: Callable[..., Path]) -> None:
        with pytest.raises(ColumnMissing) as caught:
            read_customers(write("证件号码,电话\n"))
        assert caught.value.params["field"] == "name"
        assert caught.value.params["found"] == ["证件号码", "电话"]
        assert "客户姓名" in caught.value.params["expected"]  # type: ignore[operator]

    def test_a_column_twice(self, write: Callable[..., Path]) -> None:
        with pytest.raises(ColumnAmbiguous):
            read_customers(write("姓名,证件号码,证件号码\n"))

    def test_a_file_without_headers_does_not_show_its_numbers(self, write: Callable[..., Path]) -> None:
        with pytest.raises(HeaderMissing) as caught:
            read_customers(write(f"{number(1)},一\n"))
        assert number(1) not in f"{caught.value} {caught.value.params}"

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("list.xls", b"\xd0\xcf\x11\xe0"),
            ("list.csv", b"PK\x03\x04"),
            ("list.csv", b"\xd0\xcf\x11\xe0"),
            ("list.csv", b"PAR1"),
            ("list.xlsx", HEADER.encode()),
            ("list.parquet", HEADER.encode()),
            ("list.pdf", b"%PDF"),
        ],
    )
    def test_a_wrong_kind_of_file(self, write: Callable[..., Path], name: str, content: bytes) -> None:
        with pytest.raises(FormatUnknown):
            read_customers(write(content, name=name))


class TestDuplicates:
    TEXT = f"{HEADER}\n{number(1)},一\n{number(2)},二\n{number(1).lower()},一\n{number(3)},三\n{number(1)},壹\n"

    def test_first(self, write: Callable[..., Path]) -> None:
        listed = read_customers(write(self.TEXT))
        assert listed.rows.to_pylist() == [2, 3, 5]
        assert [(r.row, r.reason, r.kept_row) for r in listed.rejects] == [
            (4, "duplicate", 2),
            (6, "duplicate_differs", 2),
        ]

    def test_last(self, write: Callable[..., Path]) -> None:
        listed = read_customers(write(self.TEXT), duplicates="last", batch_rows=2)
        assert listed.rows.to_pylist() == [3, 5, 6]
        assert [(r.row, r.reason, r.kept_row) for r in listed.rejects] == [
            (2, "duplicate_differs", 6),
            (4, "duplicate_differs", 6),
        ]

    def test_15_and_18_digits_are_the_same_number(self, write: Callable[..., Path]) -> None:
        long = number(7)
        listed = read_customers(write(f"{HEADER}\n{long},一\n{long[:6] + long[8:17]},一\n"))
        assert [(r.row, r.reason) for r in listed.rejects] == [(3, "duplicate")]

    @settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(places=st.lists(st.integers(0, 9), min_size=1, max_size=40), keep=st.sampled_from(["first", "last"]))
    def test_as_a_dict_would_do_it(self, write: Callable[..., Path], places: list[int], keep: str) -> None:
        text = "\n".join([HEADER, *(f"{number(place)},一" for place in places)])
        listed = read_customers(write(text), duplicates=keep, batch_rows=7)  # type: ignore[arg-type]
        rows = list(enumerate(places, start=2))
        kept = {place: row for row, place in (rows if keep == "last" else reversed(rows))}
        assert listed.rows.to_pylist() == sorted(kept.values())
        assert {(r.row, r.kept_row) for r in listed.rejects} == {(row, kept[p]) for row, p in rows if row != kept[p]}


class TestBaseList:
    HEADER = "证件号码,家庭编号,家庭人数,行政区划,行政区划名称,是否扩中家庭,非扩中原因标签"

    def read(self, write: Callable[..., Path], *rows: str, **options: Any) -> LabelledList:
        lines = [row.replace("@", number(place)) for place, row in enumerate(rows)]
        return read_labelled_list(write("\n".join([self.HEADER, *lines])), **options)

    def test_good_rows(self, write: Callable[..., Path]) -> None:
        listed = self.read(
            write,
            "@,H1,3,330922,嵊泗县,是,",
            "@, H2 ,1,330922100,菜园镇,否,N01、低边",
            '@,H3,2,330922100001,,0,"N31,N04,N01"',
            "@,H4,12,330922,,false,",
        )
        assert listed.rejects == []
        assert listed.fields["household_no"].to_pylist() == ["H1", "H2", "H3", "H4"]
        assert listed.fields["household_size"].to_pylist() == ["3", "1", "2", "12"]
        assert listed.division.to_pylist() == ["330922", "330922100", "330922100001", "330922"]
        assert listed.fields["expanding"].to_pylist() == ["1", "0", "0", "0"]
        assert listed.fields["reasons"].to_pylist() == ["", "N01,N11", "N01,N04,N31", ""]
        assert listed.division_names == {"330922": "嵊泗县", "330922100": "菜园镇"}
        assert listed.count_verdicts() == {"ok": 4}

    @pytest.mark.parametrize(
        ("row", "reason"),
        [
            ("@,,3,330922,,1,", "bad_household_no"),
            ("@,一二三四五六七,3,330922,,1,", "bad_household_no"),
            ("@,3.30922E+15,3,330922,,1,", "bad_household_no"),
            ("@,H\x01,3,330922,,1,", "control_character"),
            ("@,H,0,330922,,1,", "bad_household_size"),
            ("@,H,100,330922,,1,", "bad_household_size"),
            ("@,H,三,330922,,1,", "bad_household_size"),
            ("@,H,3,33092,,1,", "bad_division"),
            ("@,H,3,3309221,,1,", "bad_division"),
            ("@,H,3,٣٣٠٩٢٢,,1,", "bad_division"),
            ("@,H,3,330922,,maybe,", "bad_expanding"),
            ("@,H,3,330922,,,", "bad_expanding"),
            ("@,H,3,330922,,0,N77", "bad_reasons"),
            ("@,H,3,330922,,0,N01 N02 N03 N04 N05 N20 N21", "too_many_reasons"),
            ("@,H,3,330922,,1,N01", "contradiction"),
            ("123,,0,x,,?,N77", "wrong_length"),
        ],
    )
    def test_bad_rows(self, write: Callable[..., Path], row: str, reason: str) -> None:
        listed = self.read(write, "@,H1,3,330922,,是,", row)
        assert reasons_of(listed) == [(3, reason)]
        assert len(listed) == 1

    def test_the_name_of_the_division_is_optional(self, write: Callable[..., Path]) -> None:
        header = self.HEADER.replace("行政区划名称,", "")
        listed = read_labelled_list(write(f"{header}\n{number(1)},H1,3,330922,是,\n"))
        assert listed.division_names == {}
        assert len(listed) == 1

    def test_numeric_cells_of_a_workbook(self, write_xlsx: Callable[..., Path]) -> None:
        """Fifteen digits of a number survive in a spreadsheet; a longer household number is damaged."""
        rows = [
            [number(1), 330922100000123, 3, 330922100001, None, 1, None],
            [number(2), 3309221000001234, 3, 330922, None, True, None],
        ]
        listed = read_labelled_list(write_xlsx([self.HEADER.split(","), *rows]))
        assert listed.fields["household_no"].to_pylist() == ["330922100000123"]
        assert listed.division.to_pylist() == ["330922100001"]
        assert reasons_of(listed) == [(3, "bad_household_no")]

    def test_duplicates_that_differ_in_any_field(self, write: Callable[..., Path]) -> None:
        same, other = f"{number(1)},H1,3,330922,,1,", f"{number(1)},H1,3,330922,,0,N01"
        listed = self.read(write, same, same, other)
        assert [(r.row, r.reason, r.kept_row) for r in listed.rejects] == [
            (3, "duplicate", 2),
            (4, "duplicate_differs", 2),
        ]
        assert self.read(write, same, other, duplicates="last").fields["expanding"].to_pylist() == ["0"]

    def test_a_list_without_one_good_row(self, write: Callable[..., Path]) -> None:
        listed = self.read(write, "x,H1,3,330922,,1,", ",H1,3,330922,,1,")
        assert len(listed) == 0
        assert listed.items.size == 0
        assert listed.rows_read == 2

    @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(
        cells=st.lists(
            st.tuples(
                *[st.sampled_from(["", "x", "3", "330922", "是", "N01", "低保", number(5), "\x00", "长" * 30])] * 7
            ),
            min_size=1,
            max_size=20,
        )
    )
    def test_every_row_is_data_or_a_reject(self, write: Callable[..., Path], cells: list[tuple[str, ...]]) -> None:
        listed = read_labelled_list(write("\n".join([self.HEADER, *map(",".join, cells)])), batch_rows=3)
        found = listed.rows.to_pylist() + [reject.row for reject in listed.rejects]
        assert sorted(found) == list(range(2, len(cells) + 2))
