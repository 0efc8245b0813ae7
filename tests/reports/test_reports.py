"""Each report shows what the records say, with the plan's titles and columns, and tells who took it."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from bureau_office import (
    ADMIN,
    AUDITOR,
    BANK_ADMIN,
    HANDLER,
    MANAGER,
    OTHER_BANK_ADMIN,
    OTHER_MANAGER,
    OTHER_TOWNSHIP_CODE,
    PROVINCE,
    TOWNSHIP,
    TOWNSHIP_CODE,
    add_households,
    make_office,
)
from figures_scene import Scene
from python_calamine import CalamineWorkbook

from matcher.bureau.actors import NotAllowed
from matcher.bureau.office import Office
from matcher.claims.errors import ClaimUnknown
from matcher.figures.service import Figures
from matcher.personal.fields import TextNotPlain
from matcher.policy.reading import PolicyUnknown
from matcher.reports.document import HIDDEN, Report
from matcher.reports.performance import nth_working_day
from matcher.reports.service import CountyUnclear, ReportPeriodInvalid, Reports

NAMES = {TOWNSHIP_CODE: "菜园镇", OTHER_TOWNSHIP_CODE: "嵊山镇"}
DAY = date(2025, 2, 28)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    office = make_office(tmp_path / "bureau")
    yield office
    office.close()


@pytest.fixture
def scene(office: Office) -> Scene:
    """Seven households of one township and two of another, on their way through two years."""
    scene = Scene(office)
    ids = add_households(office, 7) + add_households(office, 2, first=7, division=OTHER_TOWNSHIP_CODE)
    for place, household in enumerate(ids):
        year = "2024" if place < 5 else "2025"
        scene.file(household, f"{year}-01-10", manager=MANAGER.name if place % 2 else OTHER_MANAGER.name)
        scene.listing(household, f"{year}-01-20")
        scene.facility(household, f"{year}-01-25", 100_000_00, manager=MANAGER.name)
        loan = scene.loan(household, f"{year}-02-01", 60_000_00 + place * 1_00, contract_no=f"HT{place:018d}")
        for quarter, excess in (("03", 33_00), ("06", 66_00)):
            day = f"{year}-{quarter}-20"
            if day < "2025-03-01":
                scene.line(loan, f"{year}-02-01" if quarter == "03" else f"{year}-03-21", f"{year}-{quarter}-21", day,
                           gross=500_00 + excess, customer=500_00, fiscal=excess // 2, interest_paid=500_00,
                           interest_due=500_00, terms='{"contract_rate":"4.35","customer_rate":"3.8"}')  # fmt: skip
    return scene


@pytest.fixture
def reports(office: Office, scene: Scene) -> Reports:
    return Reports(office, NAMES)


def row_of(report: Report, table: str, key: str, column: str) -> dict[str, object]:
    found = next(t for t in report.tables if t.name == table)
    keys = [c.key for c in found.columns]
    (row,) = [row for row in found.all_rows if row[keys.index(column)] == key]
    return dict(zip(keys, row, strict=True))


def test_the_monthly_table_has_the_plans_title_and_columns(reports: Reports) -> None:
    report = reports.monthly(HANDLER, 2025, 2)
    assert report.title == "嵊泗县财金助力扩中家庭项目成效监测表"
    assert [column.heading for column in report.tables[0].columns] == [
        "序号", "指标", "单位", "年度目标", "本月", "本年累计", "期末存量", "完成率（%）", "上年同期", "口径版本",
        "备注",
    ]  # fmt: skip
    assert report.tables[0].column("no") == tuple(range(1, 10))
    assert dict(report.fields)["报送期限"] == "2025年3月7日"
    assert [table.title for table in report.tables] == ["一、指标完成情况", "二、分乡镇（街道）情况", "三、分产品情况"]


def test_the_months_numbers(reports: Reports) -> None:
    report = reports.monthly(HANDLER, 2025, 2)
    filed = row_of(report, "指标", "走访、建档扩中家庭", "indicator")
    assert (filed["month"], filed["year"], filed["end"], filed["last_year"]) == (0, 4, 9, 5)
    assert filed["completion"] == Decimal("0.1")  # 9 of 6900
    balance = row_of(report, "指标", "各项贷款余额", "indicator")
    assert balance["end"] == Decimal("54.00")  # 540,036 yuan
    assert balance["month"] == Decimal("24.00")
    assert balance["last_year"] == Decimal("30.00")
    lever = row_of(report, "指标", "撬动产业资金金额（根据金融杠杆2倍计算）", "indicator")
    assert lever["end"] == Decimal("108.01")  # twice the balance, rounded once
    assert (lever["target"], lever["completion"]) == (10000, Decimal("1.1"))


def test_interest_saved_is_the_years(reports: Reports) -> None:
    june = reports.monthly(HANDLER, 2024, 6)
    saved = row_of(june, "指标", "减少扩中家庭年贷款利息支出", "indicator")
    assert (saved["month"], saved["year"]) == (Decimal("0.03"), Decimal("0.05"))  # 330 and 495 yuan
    assert saved["completion"] == Decimal("0.0")
    saved = row_of(reports.monthly(HANDLER, 2025, 2), "指标", "减少扩中家庭年贷款利息支出", "indicator")
    assert (saved["year"], saved["end"]) == (Decimal("0.00"), Decimal("0.05"))


def test_parts_by_township_and_product(reports: Reports) -> None:
    report = reports.monthly(HANDLER, 2025, 2)
    town = row_of(report, "乡镇", OTHER_TOWNSHIP_CODE, "township")
    assert town["name"] == "嵊山镇"
    assert (town["households_filed"], town["loan_balance"]) == (2, Decimal("12.00"))
    total = row_of(report, "乡镇", "合计", "name")
    assert (total["households_filed"], total["loan_balance"]) == (9, Decimal("54.00"))
    product = row_of(report, "产品", "jingying", "product")
    assert (product["name"], product["contracts_drawn"]) == ("共富经营贷", 9)
    assert row_of(report, "产品", "anju", "product")["contracts_drawn"] == 0


def test_small_cells_are_hidden_outside(reports: Reports) -> None:
    report = reports.monthly(HANDLER, 2025, 2, outside=True)
    assert report.is_outside
    assert any("不足 5 户" in note for note in report.notes)
    towns = next(table for table in report.tables if table.name == "乡镇")
    filed = towns.column("households_filed")
    assert filed == (HIDDEN, HIDDEN)  # two, and seven that would give it away with the nine below
    assert towns.total is not None
    assert towns.total[2] == 9
    assert towns.column("facility_amount") == (HIDDEN, HIDDEN)
    inside = reports.monthly(HANDLER, 2025, 2)
    assert HIDDEN not in {value for table in inside.tables for row in table.all_rows for value in row}


def test_a_small_change_of_a_month_is_hidden_outside(reports: Reports) -> None:
    january = row_of(reports.monthly(HANDLER, 2025, 1, outside=True), "指标", "走访、建档扩中家庭", "indicator")
    assert (january["month"], january["year"], january["end"]) == (HIDDEN, HIDDEN, 9)
    assert january["last_year"] == 5


def test_a_banks_account_gets_the_outside_version(reports: Reports) -> None:
    assert reports.kpi(BANK_ADMIN, DAY).is_outside
    assert not reports.kpi(HANDLER, DAY).is_outside


def test_kpi_shows_every_years_target(reports: Reports) -> None:
    report = reports.kpi(HANDLER, DAY)
    row = row_of(report, "指标", "减少扩中家庭年贷款利息支出", "indicator")
    assert (row["target_2023"], row["target_2024"], row["target_2025"]) == (Decimal("66.50"), 146, 190)
    assert row["is_reached"] == "否"
    products = row_of(report, "指标", "推出共富贷系列产品", "indicator")
    assert (products["reached"], products["completion"], products["is_reached"]) == (4, Decimal("66.7"), "否")


def test_income_growth_of_borrowers(office: Office, scene: Scene, reports: Reports) -> None:
    (household,) = office.database.execute("SELECT MIN(household_id) FROM household").fetchone()
    scene.file(household, "2024-03-01", 60_000_00)
    scene.file(household, "2025-02-01", 69_000_00)
    with office.writing() as database:  # the fixture's visit left no form
        assert database.execute("SELECT COUNT(*) FROM form").fetchone() == (2,)
    row = row_of(reports.kpi(HANDLER, DAY), "指标", "有贷款扩中家庭新增收入（每年增收，三年力争50%）", "indicator")
    assert (row["reached"], row["completion"], row["is_reached"]) == (Decimal("15.0"), Decimal("100.0"), "是")


def test_staff_figures(reports: Reports, scene: Scene, office: Office) -> None:
    report = reports.staff(HANDLER, date(2025, 1, 1), DAY)
    manager = row_of(report, "考核", MANAGER.name, "manager")
    other = row_of(report, "考核", OTHER_MANAGER.name, "manager")
    assert (manager["visits"], manager["households_visited"]) == (2, 2)
    assert (other["visits"], other["households_signed"]) == (2, 0)
    assert (manager["households_signed"], manager["facility_amount"]) == (4, Decimal("40.00"))
    assert (manager["households_borrowing"], manager["balance"]) == (9, Decimal("54.00"))
    # 300,010 yuan on all 59 days, 240,026 on 28 of them.
    assert manager["average_balance"] == Decimal("41.39")
    assert row_of(report, "考核", "合计", "name")["visits"] == 4


def test_the_claims_table(reports: Reports, scene: Scene, office: Office) -> None:
    claim = scene.claim(2024)
    with office.writing() as database:
        database.execute("UPDATE interest_line SET claim_id = ?", [claim])
        loan, line, start, end = database.execute(
            "SELECT loan_id, line_id, period_start, period_end FROM interest_line ORDER BY line_id"
        ).fetchone()
    scene.line(loan, start, end, "2024-09-01", gross=-533_00, customer=-500_00, fiscal=-16_00, kind="adjustment",
               adjusts=line, terms='{"contract_rate":"4.35","customer_rate":"3.8"}',
               pieces='[["2024-02-01","2024-03-21",1,0,"overdue"]]', claim=claim)  # fmt: skip
    with office.writing() as database:
        database.execute("UPDATE claim SET state = 'CALCULATED', digest = 'ab' WHERE claim_id = ?", [claim])
    report = reports.claim(HANDLER, claim)
    assert report.title == "嵊泗县扩中家庭贷款贴息申请汇总表"
    lines, households, _ = report.tables
    assert len(lines.rows) == 11
    by_key = [dict(zip([c.key for c in lines.columns], row, strict=True)) for row in lines.rows]
    assert {row["borrower"] for row in by_key} == {"演示0"}
    assert all(str(row["masked_item"]).count("*") == 12 for row in by_key)
    adjustment = next(row for row in by_key if "更正" in str(row["flags"]))
    assert (adjustment["flags"], adjustment["fiscal"]) == ("更正、扣逾期", Decimal("-16.00"))
    assert by_key[0]["listed_from"] is None  # the scene's loans name no listing
    for table in report.tables:
        assert table.total is not None
        for key in ("excess", "fiscal", "bank", "province", "local", "interest_paid"):
            place = [c.key for c in table.columns].index(key)
            assert table.total[place] == sum(Decimal(str(value)) for value in table.column(key))
    excess = households.total[[c.key for c in households.columns].index("excess")] if households.total else None
    assert excess == Decimal("462.00")  # 5 x (33 + 66) - 33
    row = row_of(report, "分合同", "HT000000000000000001", "contract_no")
    assert (row["opening"], row["lent"], row["repaid"], row["closing"]) == (
        0, Decimal("60001.00"), 0, Decimal("60001.00"),
    )  # fmt: skip


def test_an_open_claim_shows_what_freezing_it_would_take(reports: Reports, scene: Scene) -> None:
    report = reports.claim(HANDLER, scene.claim(2024))
    assert dict(report.fields)["状态"] == "计提中（草稿，未冻结）"
    assert len(report.tables[0].rows) == 10


def test_who_may_make_which(reports: Reports, scene: Scene, office: Office) -> None:
    claim = scene.claim(2024)
    reports.claim(BANK_ADMIN, claim)
    reports.claim(AUDITOR, claim)
    for refused in (
        lambda: reports.kpi(ADMIN, DAY),
        lambda: reports.kpi(TOWNSHIP, DAY),
        lambda: reports.claim(TOWNSHIP, claim),
        lambda: reports.claim(OTHER_BANK_ADMIN, claim),
        lambda: reports.staff(TOWNSHIP, DAY, DAY),
        lambda: reports.export(
            PROVINCE, reports.kpi(PROVINCE, DAY), office.home / "x.csv", format="csv", purpose="审计"
        ),
    ):
        with pytest.raises(NotAllowed):
            refused()
    assert not (office.home / "x.csv").exists()
    own = reports.staff(OTHER_BANK_ADMIN, date(2025, 1, 1), DAY)
    assert own.tables[0].rows == ()


def test_what_cannot_be_reported_is_said(reports: Reports, tmp_path: Path) -> None:
    for refused in (
        lambda: reports.monthly(HANDLER, 2025, 4),
        lambda: reports.kpi(HANDLER, date(2025, 3, 4)),
        lambda: reports.staff(HANDLER, DAY, date(2025, 2, 27)),
    ):
        with pytest.raises(ReportPeriodInvalid):
            refused()
    with pytest.raises(ClaimUnknown):
        reports.claim(HANDLER, 7)
    with pytest.raises(PolicyUnknown):
        reports.monthly(HANDLER, 2023, 5)
    with pytest.raises(TextNotPlain):
        reports.export(HANDLER, reports.kpi(HANDLER, DAY), tmp_path / "x.csv", format="csv", purpose=" ")


def test_a_bureau_of_two_counties_is_asked_which(tmp_path: Path) -> None:
    office = Office(tmp_path, bytes(32), make_office(tmp_path / "other").clock, ["330922", "330113"])
    with pytest.raises(CountyUnclear):
        Reports(office).kpi(HANDLER, DAY)
    office.close()


def test_the_running_month_goes_as_far_as_today(reports: Reports, office: Office) -> None:
    assert reports.monthly(HANDLER, 2025, 3).subject == "figure_day/2025-03-03"


def test_a_year_has_its_months_and_claims(reports: Reports, scene: Scene) -> None:
    scene.claim(2024)
    report = reports.year(HANDLER, 2024)
    months = next(table for table in report.tables if table.name == "分月")
    assert months.column("month") == tuple(f"{month}月" for month in range(1, 13))
    assert months.column("households_filed") == (5, *[0] * 11)
    assert months.column("interest_saved")[2] == Decimal("0.02")  # 165 yuan
    claims = next(table for table in report.tables if table.name == "申报")
    assert claims.column("state") == ("计提中",)


def test_the_running_year_goes_as_far_as_today(reports: Reports) -> None:
    report = reports.year(HANDLER, 2025)
    assert report.subject == "figure_day/2025-03-03"
    months = next(table for table in report.tables if table.name == "分月")
    assert months.column("households_filed") == (4, 0, 0)
    with pytest.raises(ReportPeriodInvalid):
        reports.year(HANDLER, 2026)


def test_days_already_reported_stay_as_they_were(reports: Reports, scene: Scene, office: Office) -> None:
    before = reports.monthly(HANDLER, 2025, 1)
    (household,) = office.database.execute("SELECT MIN(household_id) FROM household").fetchone()
    scene.loan(household, "2025-01-31", 10_000_00, contract_no="late")
    february = row_of(reports.monthly(HANDLER, 2025, 2), "指标", "各项贷款余额", "indicator")
    assert february["month"] == Decimal("25.00")  # what was told late counts in the month of the telling
    assert row_of(before, "指标", "各项贷款余额", "indicator")["end"] == Decimal("30.00")


def test_every_file_says_the_same_and_is_on_record(reports: Reports, office: Office, tmp_path: Path) -> None:
    report = reports.monthly(HANDLER, 2025, 2)
    workbook = reports.export(HANDLER, report, tmp_path / "表.xlsx", format="xlsx", purpose="报送工作专班")
    tables = reports.export(HANDLER, report, tmp_path / "表.csv", format="csv", purpose="报送工作专班")
    document = reports.export(HANDLER, report, tmp_path / "表.json", format="json", purpose="报送工作专班")
    assert [file.name for file in tables.files] == ["表.csv", "表-乡镇.csv", "表-产品.csv"]
    sheets = CalamineWorkbook.from_path(workbook.files[0])
    assert sheets.sheet_names == [table.title for table in report.tables]
    parsed = json.loads(document.files[0].read_bytes())
    for table, file in zip(report.tables, tables.files, strict=True):
        with file.open(encoding="utf-8-sig", newline="") as stream:
            plain = list(csv.DictReader(stream))
        assert len(plain) == len(table.all_rows)
        assert [row["name"] for row in parsed["tables"]].count(table.name) == 1
        cells = sheets.get_sheet_by_name(table.title).to_python()
        heading = next(i for i, row in enumerate(cells) if row[0] == table.columns[0].heading)
        for place, row in enumerate(table.all_rows):
            for column, value in enumerate(row):
                cell = cells[heading + 1 + place][column]
                text = plain[place][table.columns[column].name]
                if isinstance(value, int | Decimal):
                    assert Decimal(str(cell)) == value == Decimal(text)
                else:
                    assert cell == (value or "")
    rows = office.database.execute(
        "SELECT actor, detail FROM audit WHERE action = 'report.export' ORDER BY seq"
    ).fetchall()
    assert [(actor, json.loads(detail)["purpose"]) for actor, detail in rows] == [("jingban", "报送工作专班")] * 3
    assert json.loads(rows[0][1])["rows"] == 15 == workbook.rows
    assert json.loads(rows[0][1])["sha256"] == workbook.sha256


def test_the_same_report_is_the_same_file(reports: Reports, tmp_path: Path) -> None:
    report = reports.monthly(HANDLER, 2025, 2)
    first = reports.export(HANDLER, report, tmp_path / "a.xlsx", format="xlsx", purpose="报送")
    second = reports.export(HANDLER, report, tmp_path / "b.xlsx", format="xlsx", purpose="报送")
    assert first.sha256 == second.sha256


def test_numbers_of_people_and_contracts_are_text(
    reports: Reports, scene: Scene, office: Office, tmp_path: Path
) -> None:
    report = reports.claim(HANDLER, scene.claim(2024))
    (file,) = reports.export(HANDLER, report, tmp_path / "a.xlsx", format="xlsx", purpose="贴息申报").files
    cells = CalamineWorkbook.from_path(file).get_sheet_by_index(0).to_python()
    heading = next(row for row in cells if row[0] == "序号")
    place = heading.index("合同编号")
    assert cells[cells.index(heading) + 1][place] == "HT000000000000000000"
    written = reports.export(HANDLER, report, tmp_path / "a.csv", format="csv", purpose="贴息申报")
    assert office.database.execute("SELECT COUNT(*) FROM audit WHERE subject = 'claim/1'").fetchone()[0] >= 2
    assert written.rows == len(report.tables[0].rows) + len(report.tables[1].rows) + len(report.tables[2].rows)


def test_a_demonstrations_reports_say_so(office: Office, scene: Scene) -> None:
    assert Reports(office, NAMES, is_demo=True).kpi(HANDLER, DAY).is_demo


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (date(2025, 3, 1), date(2025, 3, 7)),  # a Saturday
        (date(2024, 4, 1), date(2024, 4, 5)),  # a Monday
        (date(2025, 6, 1), date(2025, 6, 6)),  # a Sunday
    ],
)
def test_the_fifth_working_day(start: date, expected: date) -> None:
    assert nth_working_day(start, 5) == expected


def test_figures_of_a_report_can_be_traced(reports: Reports, office: Office) -> None:
    reports.monthly(HANDLER, 2025, 2)
    assert Figures(office).trace(HANDLER, "households_filed", DAY, OTHER_TOWNSHIP_CODE).value == 2
