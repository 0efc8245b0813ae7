"""The offline sheet: out as a workbook, filled in as a person would, back in with faults named at their cells."""

from __future__ import annotations

import contextlib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from bureau_office import BANK_ADMIN, CHECKER, MANAGER, OTHER_MANAGER, TOWNSHIP
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook
from visiting import PLACE, collect, form_values, household_items, plan_and_assign, visit_household

from matcher.bureau.actors import NotAllowed
from matcher.bureau.office import Office
from matcher.columns import ColumnMissing
from matcher.rows import fetch_all
from matcher.tables.errors import FormatUnknown, TableDamaged, TableEmpty
from matcher.visits import sheet_layout as layout
from matcher.visits.service import Visits
from psi.errors import InputError

Book = dict[str, list[list[Any]]]
DEGREES = {"纬度": 30.72, "经度": 122.45, "定位精度（米）": 8.5, "到户时间": "2025-03-03 08:30"}


def read_book(path: Path) -> Book:
    with CalamineWorkbook.from_path(path) as workbook:
        return {name: workbook.get_sheet_by_name(name).to_python() for name in workbook.sheet_names}


def write_book(path: Path, book: Book) -> Path:
    with xlsxwriter.Workbook(path) as workbook:
        for name, rows in book.items():
            sheet = workbook.add_worksheet(name)
            for place, row in enumerate(rows):
                sheet.write_row(place, 0, row)
    return path


def fill(book: Book, row: int, values: dict[str, Any], **own: Any) -> None:
    """Write a form into a visit's row (1 is the first) and into the other sheets, in place of what stands there."""
    heading, cells = book[layout.VISITS][0], book[layout.VISITS][row]
    visit = cells[0]
    for column in layout.VISIT_COLUMNS:
        cells[heading.index(column.heading)] = layout.cell_of(column, values)
    for name, value in own.items():
        cells[heading.index(name)] = value
    for part in layout.LISTS:
        kept = [entry for entry in book[part.title] if entry[0] != visit]
        new = [[visit, *(layout.cell_of(c, entry) for c in part.columns)] for entry in values[part.field]]
        book[part.title] = kept + new


def full(items: list[str], **changes: Any) -> dict[str, Any]:
    values = form_values(items, **changes)
    values["conclusion"]["reasons"] = list(values["conclusion"]["reasons"])
    return values


@pytest.fixture
def book(office: Office, households: list[int], tmp_path: Path) -> Book:
    """The workbook of two assigned visits."""
    plan_and_assign(office, households[:2])
    assert Visits(office).export_sheet(MANAGER, tmp_path / "out.xlsx") == 2
    return read_book(tmp_path / "out.xlsx")


def test_the_workbook_is_prefilled_with_the_banks_own_customers(office: Office, book: Book) -> None:
    assert list(book) == [layout.VISITS, "家庭成员", "家庭负债", "贷款需求", layout.GUIDE]
    assert [row[3] for row in book["家庭成员"][1:]] == ["女", "男", "女", "男"]
    assert [row[4] for row in book["家庭成员"][1:]] == [*household_items(0), *household_items(1)]
    audit = fetch_all(office.database, "SELECT detail FROM audit WHERE action = 'visit.sheet'")
    assert '"rows":2' in audit[0][0]


def test_choices_drop_down_and_numbers_stay_text(office: Office, book: Book, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "out.xlsx") as archive:
        members = archive.read("xl/worksheets/sheet2.xml").decode()
    assert "本人,配偶,子女,父母,祖父母,孙子女,兄弟姐妹,其他" in members
    assert all(isinstance(row[4], str) for row in book["家庭成员"][1:])


def test_another_banks_customers_are_not_in_it(office: Office, households: list[int], tmp_path: Path) -> None:
    plan_and_assign(office, households[:1])
    with office.writing() as database:
        database.execute("UPDATE member SET candidate_id = NULL WHERE member_id = 1")
    Visits(office).export_sheet(MANAGER, tmp_path / "out.xlsx")
    assert [row[4] for row in read_book(tmp_path / "out.xlsx")["家庭成员"][1:]] == household_items(0)[1:]


def test_what_was_filled_in_comes_back_once(office: Office, book: Book, tmp_path: Path) -> None:
    fill(book, 1, full(household_items(0), members__0__relation="本人", conclusion__is_resident="是"), **DEGREES)
    path = write_book(tmp_path / "in.xlsx", book)
    visits = Visits(office)
    assert visits.import_sheet(MANAGER, path, dry_run=True).saved == [1]
    assert fetch_all(office.database, "SELECT state FROM visit ORDER BY visit_id") == [("ASSIGNED",), ("ASSIGNED",)]
    done = visits.import_sheet(MANAGER, path)
    assert (done.saved, done.blank, done.problems, done.conflicts) == ([1], [2], [], [])
    assert visits.own_form(MANAGER, 1).form.members[0].id_number == household_items(0)[0]
    assert fetch_all(office.database, "SELECT started_at FROM visit WHERE visit_id = 1") == [("2025-03-03T00:30:00Z",)]
    again = visits.import_sheet(MANAGER, path)
    assert (again.saved, again.unchanged, again.problems) == ([], [1], [])
    assert fetch_all(office.database, "SELECT COUNT(*) FROM form") == [(1,)]
    office.verify_audit()


def test_numbers_as_a_spreadsheet_keeps_them(office: Office, book: Book, tmp_path: Path) -> None:
    values = full(household_items(0), needs=[])
    fill(book, 1, values, **DEGREES)
    heading = book[layout.VISITS][0]
    for name, number in (
        ("家庭年收入·工资性收入", 60000.0),
        ("家庭年收入·农渔业收入", 12000.5),
        ("家庭资产·房产（套）·数量", 1),
    ):
        book[layout.VISITS][1][heading.index(name)] = number
    assert Visits(office).import_sheet(MANAGER, write_book(tmp_path / "in.xlsx", book)).saved == [1]
    damaged = next(row for row in book["家庭成员"] if row[0] == "1")
    damaged[4] = float(damaged[4])
    done = Visits(office).import_sheet(MANAGER, write_book(tmp_path / "in.xlsx", book))
    assert [(p.sheet, p.column, p.code) for p in done.problems] == [("家庭成员", "证件号码", "bad_id_number")]


def test_faults_are_named_by_sheet_row_and_column(office: Office, book: Book, tmp_path: Path) -> None:
    fill(
        book,
        1,
        full(household_items(0), income__wage="六万", head__visited_on="昨天", members__1__sex="女人"),
        **DEGREES,
    )
    fill(book, 2, full(household_items(1), income__total="1", needs__0__months=0))
    book["家庭负债"].append(["77", "x", "1", ""])
    book[layout.VISITS].append(list(book[layout.VISITS][1]))
    done = Visits(office).import_sheet(MANAGER, write_book(tmp_path / "in.xlsx", book))
    assert done.saved == []
    assert {(p.sheet, p.row, p.column, p.code) for p in done.problems} == {
        ("走访", 2, "走访信息·走访日期", "bad_date"),
        ("走访", 2, "家庭年收入·工资性收入", "bad_amount"),
        ("家庭成员", 3, "性别", "no_such_choice"),
        ("贷款需求", 3, "期限（月）", "bad_number"),
        ("家庭负债", 4, "走访编号", "row_unknown"),
        ("走访", 4, "走访编号", "row_twice"),
    }
    assert all(problem.text for problem in done.problems)


def test_a_start_without_a_place_is_refused_at_its_cell(office: Office, book: Book, tmp_path: Path) -> None:
    for own, column in (
        ({**DEGREES, "纬度": ""}, "纬度"),
        ({**DEGREES, "经度": "东"}, "经度"),
        ({**DEGREES, "到户时间": "上午"}, "到户时间"),
        ({**DEGREES, "到户时间": "2025-03-09 08:30"}, "到户时间"),
    ):
        fill(book, 1, full(household_items(0)), **own)
        done = Visits(office).import_sheet(MANAGER, write_book(tmp_path / "in.xlsx", book))
        assert [(p.row, p.column, p.code) for p in done.problems] == [(2, column, "place_invalid")]
    assert fetch_all(office.database, "SELECT DISTINCT state FROM visit") == [("ASSIGNED",)]


def test_a_visit_that_changed_meanwhile_is_a_conflict(office: Office, book: Book, tmp_path: Path) -> None:
    visits = Visits(office)
    visits.start(MANAGER, 1, PLACE)
    visits.save_form(MANAGER, 1, form_values(household_items(0)), device_key="tablet-01")
    fill(book, 1, full(household_items(0), spending__living="99"), **DEGREES)
    done = visits.import_sheet(MANAGER, write_book(tmp_path / "in.xlsx", book))
    (conflict,) = done.conflicts
    assert (conflict.visit_id, conflict.row) == (1, 2)
    assert [(d.heading, d.stored, d.offered) for d in conflict.differences] == [
        ("家庭年支出·生活支出", "30000.00", "99.00")
    ]
    assert visits.own_form(MANAGER, 1).form.spending.living == 3_000_000


def test_a_returned_visit_goes_out_with_its_form_and_comes_back(
    office: Office, households: list[int], tmp_path: Path
) -> None:
    visits = Visits(office)
    (visit,) = plan_and_assign(office, households[:1])
    collect(office, visit, form_values(household_items(0)))
    visits.return_visit(CHECKER, visit, "医疗支出漏填")
    visits.export_sheet(MANAGER, tmp_path / "out.xlsx")
    book = read_book(tmp_path / "out.xlsx")
    assert visits.import_sheet(MANAGER, tmp_path / "out.xlsx").unchanged == [visit]
    place = book[layout.VISITS][0].index("家庭年支出·医疗自费支出")
    book[layout.VISITS][1][place] = "3500"
    assert visits.import_sheet(MANAGER, write_book(tmp_path / "in.xlsx", book)).saved == [visit]
    visits.submit(MANAGER, visit)


def test_only_the_manager_of_a_visit_brings_it_in(office: Office, book: Book, tmp_path: Path) -> None:
    fill(book, 1, full(household_items(0)), **DEGREES)
    path = write_book(tmp_path / "in.xlsx", book)
    done = Visits(office).import_sheet(OTHER_MANAGER, path)
    assert [(p.row, p.code) for p in done.problems] == [(2, "not_in_care")]
    for actor in (BANK_ADMIN, CHECKER):
        with pytest.raises(NotAllowed):
            Visits(office).import_sheet(actor, path)
        with pytest.raises(NotAllowed):
            Visits(office).export_sheet(actor, path)
    assert Visits(office).export_sheet(TOWNSHIP, tmp_path / "none.xlsx") == 0


def test_what_is_no_such_workbook(office: Office, book: Book, tmp_path: Path) -> None:
    visits = Visits(office)
    (tmp_path / "a.xlsx").write_bytes(b"PK\x03\x04 nothing")
    (tmp_path / "b.xlsx").write_text("a,b")
    for name, error in (("a.xlsx", FormatUnknown), ("b.xlsx", FormatUnknown)):
        with pytest.raises(error):
            visits.import_sheet(MANAGER, tmp_path / name)
    with pytest.raises(TableEmpty):
        visits.import_sheet(MANAGER, write_book(tmp_path / "c.xlsx", {"别的": [["x"], ["y"]]}))
    del book[layout.VISITS][0][3]
    with pytest.raises(ColumnMissing) as missing:
        visits.import_sheet(MANAGER, write_book(tmp_path / "d.xlsx", book))
    assert missing.value.params["sheet"] == layout.VISITS
    whole = (tmp_path / "d.xlsx").read_bytes()
    for cut in (len(whole) // 2, len(whole) - 10):
        (tmp_path / "e.xlsx").write_bytes(whole[:cut])
        with pytest.raises((FormatUnknown, TableDamaged)):
            visits.import_sheet(MANAGER, tmp_path / "e.xlsx")


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cells=st.lists(
        st.tuples(st.integers(0, 51), st.text(st.characters(exclude_categories=["Cs"]), max_size=12)), max_size=6
    )
)
def test_no_cell_breaks_the_import(office: Office, book: Book, tmp_path: Path, cells: list[tuple[int, str]]) -> None:
    fill(book, 1, full(household_items(0)), **DEGREES)
    for place, text in cells:
        book[layout.VISITS][1][place] = text
    with contextlib.suppress(InputError):
        Visits(office).import_sheet(MANAGER, write_book(tmp_path / "in.xlsx", book), dry_run=True)


def test_an_accepted_visit_is_not_in_the_workbook(office: Office, households: list[int], tmp_path: Path) -> None:
    visit_household(office, households[0], household_items(0))
    assert Visits(office).export_sheet(MANAGER, tmp_path / "out.xlsx") == 0
