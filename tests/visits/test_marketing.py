"""The bank's own 数字营销系统: its own customers out, its managers' visits back, each row by itself."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from bureau_office import (
    BANK_ADMIN,
    BANK_NO,
    CHECKER,
    HANDLER,
    MANAGER,
    OTHER_BANK_ADMIN,
    OTHER_BANK_NO,
    OTHER_MANAGER,
    TOWNSHIP,
)
from handed_over import COUNTY
from python_calamine import CalamineWorkbook
from visiting import household_items, plan_and_assign

from matcher.bureau.actors import NotAllowed
from matcher.bureau.office import Office
from matcher.columns import ColumnMissing
from matcher.rows import fetch_all
from matcher.visits.marketing import COLUMNS
from matcher.visits.service import Visits
from matcher.visits.showing import VisitFilter
from psi.errors import InputError

HEADINGS = ["任务编号", "客户经理", "走访结果", "到户时间", "纬度", "经度", "定位精度（米）", "网格员"]
DONE = ["2025-03-03 08:30", "30.72", "122.45", "8.5", "演示网格员"]


def read_csv(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.reader(stream))


def write_csv(path: Path, *rows: list[str], headings: list[str] = HEADINGS) -> Path:
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([headings, *rows])
    return path


def states(office: Office) -> list[str]:
    return [state for (state,) in fetch_all(office.database, "SELECT state FROM visit ORDER BY visit_id")]


def test_a_bank_gets_its_own_customers_alone(office: Office, households: list[int], tmp_path: Path) -> None:
    plan_and_assign(office, households[:2])
    visits, path = Visits(office), tmp_path / "list.csv"
    done = visits.export_visits(HANDLER, path, bank=BANK_NO, area=COUNTY, purpose="走访任务下发", format="csv")
    assert (done.visits, done.rows) == (2, 4)
    heading, *rows = read_csv(path)
    assert tuple(heading) == COLUMNS
    assert [row[3].strip() for row in rows] == [*household_items(0), *household_items(1)]
    assert rows[0][:3] == ["1", "H000000", "演示0"]
    assert visits.export_visits(HANDLER, path, bank=OTHER_BANK_NO, area=COUNTY, purpose="x", format="csv").rows == 0
    detail = fetch_all(office.database, "SELECT detail FROM audit WHERE action = 'export.visits' ORDER BY seq")[0][0]
    assert done.sha256 in detail
    assert "走访任务下发" in detail
    assert household_items(0)[0] not in detail


def test_numbers_are_text_in_the_workbook(office: Office, households: list[int], tmp_path: Path) -> None:
    plan_and_assign(office, households[:1])
    path = tmp_path / "list.xlsx"
    Visits(office).export_visits(BANK_ADMIN, path, bank=BANK_NO, area=COUNTY, purpose="下发", format="xlsx")
    rows = CalamineWorkbook.from_path(path).get_sheet_by_index(0).to_python()
    assert [row[3] for row in rows[1:]] == household_items(0)


def test_who_may_not_export(office: Office, households: list[int], tmp_path: Path) -> None:
    visits, path = Visits(office), tmp_path / "list.csv"
    for actor, bank in (
        (MANAGER, BANK_NO),
        (TOWNSHIP, BANK_NO),
        (OTHER_BANK_ADMIN, BANK_NO),
        (BANK_ADMIN, OTHER_BANK_NO),
    ):
        with pytest.raises(NotAllowed):
            visits.export_visits(actor, path, bank=bank, area=COUNTY, purpose="x", format="csv")
    for bank, purpose in ((BANK_NO, " "), ("00" * 32, "x")):
        with pytest.raises(InputError):
            visits.export_visits(HANDLER, path, bank=bank, area=COUNTY, purpose=purpose, format="csv")
    assert not path.exists()


def test_what_the_banks_system_returns_is_taken_once(office: Office, households: list[int], tmp_path: Path) -> None:
    visits = Visits(office)
    visits.plan(HANDLER, COUNTY, office.today())
    path = write_csv(
        tmp_path / "back.csv", ["1", MANAGER.name, "完成", *DONE], ["2", OTHER_MANAGER.name, "无人", *DONE]
    )
    assert (visits.import_visits(BANK_ADMIN, path, dry_run=True).started, states(office)) == ([1], ["PLANNED"] * 3)
    done = visits.import_visits(BANK_ADMIN, path)
    assert (done.started, done.failed, done.unchanged, done.problems) == ([1], [2], [], [])
    assert states(office) == ["STARTED", "FAILED", "PLANNED"]
    again = visits.import_visits(BANK_ADMIN, path)
    assert (again.started, again.failed, again.unchanged) == ([], [], [1, 2])
    (failed,) = visits.list_visits(HANDLER, VisitFilter(state="FAILED"))
    assert (failed.manager, failed.outcome) == (OTHER_MANAGER.name, "absent")
    actors = fetch_all(office.database, "SELECT DISTINCT account FROM visit_move")
    assert actors == [(BANK_ADMIN.name,)]  # who brought it in, not whom the file names
    office.verify_audit()


def test_faults_are_named_by_row_and_column(office: Office, households: list[int], tmp_path: Path) -> None:
    visits = Visits(office)
    visits.plan(HANDLER, COUNTY, office.today())
    path = write_csv(
        tmp_path / "back.csv",
        ["1", "nobody", "完成", *DONE],
        ["1", MANAGER.name, "还行", *DONE],
        ["x", MANAGER.name, "完成", *DONE],
        ["99", MANAGER.name, "完成", *DONE],
        ["1", MANAGER.name, "完成", "昨天", *DONE[1:]],
        ["1", MANAGER.name, "完成", DONE[0], "95", *DONE[2:]],
        ["1", MANAGER.name],
        ["2", MANAGER.name, "拒访", *DONE],
    )
    done = visits.import_visits(HANDLER, path)
    assert done.failed == [2]
    assert {(p.row, p.column, p.code) for p in done.problems} == {
        (2, "", "manager_unsuitable"),
        (3, "走访结果", "no_such_choice"),
        (4, "任务编号", "row_unknown"),
        (5, "", "visit_unknown"),
        (6, "到户时间", "place_invalid"),
        (7, "纬度", "place_invalid"),
        (8, "", "ragged_row"),
    }
    assert states(office) == ["PLANNED", "FAILED", "PLANNED"]


def test_another_bank_changes_nothing(office: Office, households: list[int], tmp_path: Path) -> None:
    visits = Visits(office)
    visits.plan(HANDLER, COUNTY, office.today())
    path = write_csv(tmp_path / "back.csv", ["1", MANAGER.name, "完成", *DONE])
    assert [p.code for p in visits.import_visits(OTHER_BANK_ADMIN, path).problems] == ["manager_unsuitable"]
    for actor in (MANAGER, CHECKER):
        with pytest.raises(NotAllowed):
            visits.import_visits(actor, path)
    with pytest.raises(ColumnMissing):
        visits.import_visits(BANK_ADMIN, write_csv(tmp_path / "bad.csv", ["1"], headings=["任务编号"]))
    assert states(office) == ["PLANNED"] * 3
