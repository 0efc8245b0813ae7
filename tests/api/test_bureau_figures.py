"""Figures and reports over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bureau_office import (
    BANK_ADMIN,
    BANK_NO,
    HANDLER,
    OTHER_TOWNSHIP_CODE,
    TOWNSHIP,
    TOWNSHIP_CODE,
    add_households,
    make_office,
)
from bureau_server import RunningBureau, running_bureau
from figures_scene import Scene

from matcher.figures.service import Figures
from matcher.reports.service import Reports


@pytest.fixture
def bureau(tmp_path: Path) -> Iterator[RunningBureau]:
    office = make_office(tmp_path)
    scene = Scene(office)
    households = add_households(office, 2) + add_households(office, 6, first=2, division=OTHER_TOWNSHIP_CODE)
    for household in households:
        scene.loan(household, "2025-02-10", 10_000_00)
    scene.claim(2024)
    reports = Reports(office, {TOWNSHIP_CODE: "演示镇"}, is_demo=True)
    with running_bureau(office, reports=reports) as running:
        yield running
        running.check_invariants()
    office.close()


def test_a_day_and_the_records_behind_its_numbers(bureau: RunningBureau) -> None:
    assert bureau.get(HANDLER, "/v1/figures", day="2025-02-28").json()["code"] == "figures_missing"
    Figures(bureau.office).compute(bureau.office.today())
    day = bureau.office.today().isoformat()
    assert [one["day"] for one in bureau.get(HANDLER, "/v1/figure-days").json()["days"]] == [day]
    table = bureau.get(HANDLER, "/v1/figures", day=day).json()
    (balance,) = [c for c in table["cells"] if (c["name"], c["township"], c["product"]) == ("loan_balance", "", "")]
    assert (balance["value"], balance["households"], table["units"]["loan_balance"]) == (80_000_00, 8, "分")
    page = bureau.get(HANDLER, "/v1/figures/loan_balance/records", day=day, size=5).json()
    rest = bureau.get(HANDLER, "/v1/figures/loan_balance/records", day=day, size=5, after=page["next"]).json()
    assert page["value"] == page["kept"] == sum(r["value"] for r in page["records"] + rest["records"])
    assert rest["next"] is None


def test_reports_are_documents(bureau: RunningBureau) -> None:
    for path, query in (
        ("/v1/reports/kpi", {"day": "2025-02-28"}),
        ("/v1/reports/monthly", {"month": "2025-02"}),
        ("/v1/reports/year", {"year": 2025}),
        ("/v1/reports/staff", {"from": "2025-01-01", "to": "2025-02-28"}),
        ("/v1/claims/1/report", {}),
    ):
        answer = bureau.get(HANDLER, path, **query)
        assert answer.status_code == 200, answer.text
        assert answer.json()["tables"][0]["columns"]
        assert answer.json()["demo"]


def test_townships_go_by_their_names(bureau: RunningBureau) -> None:
    tables = {
        table["name"]: table for table in bureau.get(HANDLER, "/v1/reports/monthly", month="2025-02").json()["tables"]
    }
    assert [row["name"] for row in tables["乡镇"]["rows"]] == ["演示镇", OTHER_TOWNSHIP_CODE]


def test_a_township_and_a_bank_get_less(bureau: RunningBureau) -> None:
    day = bureau.office.today()
    Figures(bureau.office).compute(day)
    own = bureau.get(TOWNSHIP, "/v1/figures", day=day.isoformat()).json()
    assert {cell["township"] for cell in own["cells"]} == {TOWNSHIP_CODE}
    assert bureau.get(TOWNSHIP, "/v1/reports/kpi", day="2025-02-28").status_code == 404
    assert bureau.get(BANK_ADMIN, "/v1/figures", day=day.isoformat()).status_code == 404
    monthly = bureau.get(BANK_ADMIN, "/v1/reports/monthly", month="2025-02").json()
    assert monthly["outside"]
    (towns,) = [table for table in monthly["tables"] if table["name"] == "乡镇"]
    assert {row["loan_balance"] for row in towns["rows"]} == {"＊"}
    assert towns["total"]["loan_balance"] == "8.00"
    assert bureau.office.database.execute("SELECT fingerprint FROM bank").fetchone() is not None
    assert BANK_ADMIN.bank == BANK_NO


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/v1/figures", {"day": "2025-02-30"}),
        ("/v1/figures", {"day": "1740700800"}),
        ("/v1/figures/loan_balance%27/records", {"day": "2025-02-28"}),
        ("/v1/figures/loan_balance/records", {"day": "2025-02-28", "township": "330922%"}),
        ("/v1/reports/kpi", {"day": "0001-01-01"}),
        ("/v1/reports/staff", {"from": "0001-01-01", "to": "0001-01-01"}),
        ("/v1/reports/monthly", {"month": "2025-13"}),
        ("/v1/reports/monthly", {"month": "2025-04"}),
        ("/v1/reports/year", {"year": 0}),
        ("/v1/reports/staff", {"from": "2025-02-28", "to": "2025-01-01"}),
        ("/v1/claims/9/report", {}),
        ("/v1/figures/nothing/records", {"day": "2025-02-28"}),
    ],
)
def test_what_cannot_be_answered_is_a_problem(bureau: RunningBureau, path: str, query: dict[str, object]) -> None:
    answer = bureau.get(HANDLER, path, **query)
    assert 400 <= answer.status_code < 500
    assert answer.headers["content-type"].startswith("application/problem+json")
