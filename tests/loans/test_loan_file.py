"""The bank's daily file: any order, any format, twice, half wrong; each row whole or rejected with its place."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pytest
import xlsxwriter
from bureau_office import BANK_ADMIN, BANK_NO, HANDLER, OTHER_BANK_ADMIN, OTHER_BANK_NO, person
from hypothesis import given
from hypothesis import strategies as st
from lending import commitment, final_households, number_of

from matcher.bureau.actors import NotAllowed
from matcher.bureau.office import Office
from matcher.columns import ColumnMissing, FieldUnknown
from matcher.exports import write_export
from matcher.loans import Loans
from matcher.loans.file_import import FileImport
from matcher.loans.listing import Filter
from matcher.loans.loan_file import LOAN_FILE, CellUnusable, Row, read_event
from matcher.tables.errors import TableEmpty
from psi.errors import InputError

HEADINGS = {name: field.headers[0] for name, field in LOAN_FILE.fields.items()}
Cells = dict[str, str]


def row(kind: str, on_day: str, **cells: str) -> Cells:
    return {"kind": kind, "on_day": on_day, **cells}


def year_of(item: str, number: str = "HT-1") -> list[Cells]:
    """A loan from its commitment to its end, out of order."""
    who = {"number": item, "contract_no": number}
    terms = {"product": "共富经营贷", "amount": "100,000.00", "contract_rate": "4.35%", "customer_rate": "3.8"}
    days = {"starts_on": "2024/5/10", "ends_on": "20250110", "facility_no": f"SX-{number}", "manager": "甲"}
    return [
        row("结清", "2025-01-10", contract_no=number),
        row("还本", "2025年1月10日", contract_no=number, reference="4", amount="100000元"),
        row("还息", "2024-06-20", contract_no=number, reference="3", amount="443.33"),
        row("放款", "2024-05-10", contract_no=number, reference="1", amount="100000"),
        row("合同", "2024-05-10", **who, **terms, **days),
        row("承诺", "2024-05-10", **who, commitment_no=f"CN-{number}", way="电子", witness="乙"),
        row("授信", "2024-04-01", number=item, facility_no=f"SX-{number}", amount="200000", ends_on="2027-04-01"),
    ]


def write(path: Path, rows: Sequence[Cells], fields: Sequence[str] | None = None) -> Path:
    names = fields or [name for name in HEADINGS if any(name in cells for cells in rows)]
    table = {HEADINGS[name]: [cells.get(name, "") for cells in rows] for name in names}
    if path.suffix == ".csv":
        with path.open("w", encoding="gb18030", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(table)
            writer.writerows(zip(*table.values(), strict=True))
    else:
        columns = {name: pa.array(cells, pa.string()) for name, cells in table.items()}
        write_export(path, columns, format="xlsx", id_columns=[HEADINGS["number"]])
    return path


def take(loans: Loans, path: Path, **options: object) -> FileImport:
    return loans.import_file(BANK_ADMIN, BANK_NO, path, **options)  # type: ignore[arg-type]


def reasons(done: FileImport) -> list[tuple[int, str, str]]:
    return [(reject.row, reject.reason, reject.heading) for reject in done.rejects]


@pytest.fixture
def item(office: Office) -> str:
    (household,) = final_households(office, 1)
    return number_of(office, household)


@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
def test_a_file_in_any_order_gives_the_whole_loan(
    tmp_path: Path, office: Office, loans: Loans, item: str, suffix: str
) -> None:
    path = write(tmp_path / f"日报{suffix}", year_of(item))
    done = take(loans, path)
    assert (done.rows, done.accepted, done.new, done.business_date) == (7, 7, 7, "2025-01-10")
    (loan,) = loans.find(HANDLER, Filter())
    assert (loan.state, loan.balance, loan.product, loan.ended_on) == ("SETTLED", 0, "jingying", "2025-01-10")
    again = take(loans, path)
    assert (again.already_imported, again.file_id, again.new) == (True, done.file_id, 0)
    renamed = write(
        tmp_path / f"另存{suffix}",
        [*year_of(item), row("还息", "2025-01-10", contract_no="HT-1", reference="5", amount="1")],
    )
    more = take(loans, renamed)
    assert (more.already_imported, more.rows, more.accepted, more.new) == (False, 8, 8, 1)
    assert office.verify_audit().seq > 0


def test_what_was_rejected_is_tried_again_when_the_cause_is_gone(
    tmp_path: Path, office: Office, loans: Loans, item: str
) -> None:
    path = write(tmp_path / "日报.csv", [cells for cells in year_of(item) if cells["kind"] != "承诺"])
    first = take(loans, path)
    assert (first.accepted, first.new) == (1, 1)
    assert reasons(first) == [
        (2, "loan_unknown", "合同编号"),
        (3, "loan_unknown", "合同编号"),
        (4, "loan_unknown", "合同编号"),
        (5, "loan_unknown", "合同编号"),
        (6, "commitment_missing", "承诺书编号"),
    ]
    (file,) = loans.files(HANDLER)
    assert file["rejects"] == first.rejects
    loans.record(BANK_ADMIN, BANK_NO, commitment(item))
    second = take(loans, path)
    assert (second.file_id, second.accepted, second.new, second.rejects) == (first.file_id, 6, 5, [])
    assert take(loans, path).already_imported
    assert loans.files(HANDLER)[0]["rejects"] == []


def test_every_reject_names_row_column_and_reason(tmp_path: Path, loans: Loans, item: str) -> None:
    good = year_of(item)[::-1]
    bad = [
        (row("贷款", "2024-05-10"), "loan_kind_unknown", "业务类型"),
        (row("放款", "2024-02-30", contract_no="HT-1", reference="a", amount="1"), "bad_value", "业务日期"),
        (row("放款", "2024-06-01", contract_no="HT-1", reference="a", amount="-1"), "bad_value", "金额"),
        (row("放款", "2024-06-01", contract_no="HT-1", reference="a", amount="0.001"), "bad_value", "金额"),
        (row("放款", "2024-06-01", contract_no="HT-1", reference="a", amount="0"), "loan_value_invalid", "金额"),
        (row("放款", "2024-06-01", contract_no="HT-1", reference="", amount="1"), "bad_value", "流水号"),
        (row("放款", "2024-06-01", contract_no="HT-1", reference="a", amount="1"), "principal_exceeded", "金额"),
        (row("还本", "2026-01-01", contract_no="HT-1", reference="a", amount="1"), "loan_day_in_future", "业务日期"),
        (row("还本", "2024-07-01", contract_no="HT-1", reference="1", amount="1"), "loan_entry_differs", "流水号"),
        (row("还本", "2024-05-09", contract_no="HT-1", reference="b", amount="1"), "loan_unknown", "合同编号"),
        (row("核销", "2024-07-01", contract_no="HT-1"), "move_invalid", "业务类型"),
        (row("承诺", "2024-05-10", number="123", contract_no="x", commitment_no="y"), "wrong_length", "证件号码"),
        (row("承诺", "2024-05-10", number=item, contract_no="x", commitment_no="y", way="口头"),
         "bad_value", "签署方式"),
        (row("授信", "2024-05-10", number=person(888), facility_no="z", amount="1", ends_on="2025-01-01"),
         "borrower_unknown", "证件号码"),
        (row("冲正", "2024-06-01", contract_no="HT-1", reference="c", reversed_reference="q"),
         "loan_entry_unknown", "原流水号"),
    ]  # fmt: skip
    path = write(tmp_path / "日报.csv", good + [cells for cells, _, _ in bad])
    done = take(loans, path)
    assert done.accepted == len(good)
    expected = [(len(good) + 2 + place, reason, heading) for place, (_, reason, heading) in enumerate(bad)]
    assert reasons(done) == expected
    shown = repr(done.rejects)
    assert item not in shown
    assert person(888) not in shown
    assert {reject.number for reject in done.rejects} == {
        "",
        "**" + "*" * 12 + "**",
        mask_of(item),
        mask_of(person(888)),
    }


def mask_of(number: str) -> str:
    return number[:2] + "*" * 12 + number[-2:]


def test_a_dry_run_says_the_same_and_changes_nothing(tmp_path: Path, office: Office, loans: Loans, item: str) -> None:
    path = write(tmp_path / "日报.csv", [*year_of(item), row("放款", "2024-05-10", contract_no="HT-9")])
    tried = take(loans, path, dry_run=True)
    assert (tried.accepted, tried.new, len(tried.rejects)) == (7, 7, 1)
    assert loans.find(HANDLER, Filter()) == []
    assert loans.files(HANDLER) == []
    assert take(loans, path) == tried


def test_a_file_stopped_in_the_middle_leaves_nothing(
    tmp_path: Path, office: Office, loans: Loans, item: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "日报.csv", year_of(item))
    enter, calls = loans.record_within, itertools.count()

    def fail_at_the_fourth(*args: object) -> object:
        if next(calls) == 3:
            raise KeyboardInterrupt
        return enter(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(loans, "record_within", fail_at_the_fourth)
    with pytest.raises(KeyboardInterrupt):
        take(loans, path)
    assert loans.find(HANDLER, Filter()) == []
    monkeypatch.undo()
    assert take(loans, path).new == 7


def test_other_headings_and_files_that_are_none(tmp_path: Path, loans: Loans, item: str) -> None:
    path = write(tmp_path / "日报.csv", year_of(item))
    text = path.read_text("gb18030").replace("合同编号", "借据号")
    path.write_text(text, "gb18030")
    assert take(loans, path, dry_run=True).accepted == 1  # the facility needs no contract
    assert take(loans, path, columns={"contract_no": "借据号"}).accepted == 7
    with pytest.raises(FieldUnknown):
        take(loans, path, columns={"contract": "借据号"})
    path.write_text("业务日期,金额\n2024-05-10,1\n", "utf-8")
    with pytest.raises(ColumnMissing):
        take(loans, path)
    path.write_text("业务日期,业务类型,证件号码\n", "utf-8")
    with pytest.raises(TableEmpty):
        take(loans, path)
    path.write_text("业务日期,业务类型,证件号码\n2024-05-10,放款\n", "utf-8")
    assert reasons(take(loans, path)) == [(2, "ragged_row", "")]


def test_a_workbooks_own_dates_and_numbers_are_read(tmp_path: Path, loans: Loans, item: str) -> None:
    path = write(tmp_path / "日报.csv", [cells for cells in year_of(item) if cells["kind"] not in ("结清", "还本")])
    take(loans, path)
    path = tmp_path / "还息.xlsx"
    with xlsxwriter.Workbook(path) as workbook:
        sheet, day = workbook.add_worksheet(), workbook.add_format({"num_format": "yyyy/m/d"})
        sheet.write_row(0, 0, ["业务日期", "业务类型", "证件号码", "合同编号", "流水号", "金额"])
        for row, amount in enumerate((443.34, 1e5, 0.305), start=1):
            sheet.write_datetime(row, 0, datetime(2024, 9, 20), day)  # noqa: DTZ001  (a cell has no zone)
            sheet.write_row(row, 1, ["还息", "", "HT-1", f"N{row}", amount])
    done = take(loans, path)
    assert (done.new, reasons(done)) == (2, [(4, "bad_value", "金额")])  # half a 分 is never rounded
    (account,) = loans.accounts_within()
    assert [movement.amount for movement in account.interest] == [44_333, 44_334, 10_000_000]


def test_a_workbooks_sheets_each_have_their_rows(tmp_path: Path, loans: Loans) -> None:
    path = tmp_path / "日报.xlsx"
    with xlsxwriter.Workbook(path) as workbook:
        for _ in range(2):
            sheet = workbook.add_worksheet()
            sheet.write_row(0, 0, ["业务日期", "业务类型", "证件号码"])
            sheet.write_row(1, 0, ["2024-05-10", "放款", ""])
    assert [(reject.sheet, reject.row) for reject in take(loans, path).rejects] == [("Sheet1", 2), ("Sheet2", 2)]


def test_only_the_banks_own_administrator_brings_its_file(tmp_path: Path, loans: Loans, item: str) -> None:
    path = write(tmp_path / "日报.csv", year_of(item))
    for actor, bank in ((HANDLER, BANK_NO), (OTHER_BANK_ADMIN, BANK_NO), (BANK_ADMIN, OTHER_BANK_NO)):
        with pytest.raises(NotAllowed):
            loans.import_file(actor, bank, path)
    take(loans, path)
    assert loans.files(OTHER_BANK_ADMIN) == []


@given(st.dictionaries(st.sampled_from(sorted(HEADINGS)), st.text(max_size=12)))
def test_any_cells_give_an_event_or_a_reason(cells: Cells) -> None:
    try:
        event = read_event(Row(cells))
    except (CellUnusable, InputError) as error:
        assert error.code  # noqa: PT017
    else:
        assert isinstance(event.on_day, date)


def test_money_is_read_to_the_fen_and_never_through_a_float(tmp_path: Path) -> None:
    cells = row("放款", "2024-05-10", contract_no="1", reference="1")
    for text, fen in (("0.29", 29), ("1,234,567.89", 123456789), ("999999999999.99", 99999999999999)):
        assert read_event(Row({**cells, "amount": text})).amount == fen  # type: ignore[union-attr]
    for text in ("", "1e5", "1.005", "１００", "一百", "1 000", "NaN", "1000000000000000"):
        with pytest.raises(CellUnusable):
            read_event(Row({**cells, "amount": text}))
