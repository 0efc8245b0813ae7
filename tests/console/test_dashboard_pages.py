"""看板, 报表, 大屏: the day's figures with the way to their records, for whoever may see them and no more."""

from __future__ import annotations

import re
from html import unescape

import pytest
from bureau_office import AUDITOR, BANK_ADMIN, HANDLER, PROVINCE, TOWNSHIP, TOWNSHIP_CODE
from console.pages import key_of, rows_of
from console_server import RunningConsole
from dashboard_scene import LAST, add_claim, keep, two_years

from matcher.bureau.office import Office
from matcher.rows import fetch_all

FIGURE = re.compile(r'<a class="figure" href="([^"]+)">([^<]+)</a>')


@pytest.fixture
def office(office: Office) -> Office:
    two_years(office)
    return office


def figures(page: str) -> list[tuple[str, str]]:
    return [(unescape(address), words) for address, words in FIGURE.findall(page)]


def test_before_the_first_night_it_says_what_to_run(console: RunningConsole) -> None:
    handler = console.sign_in(HANDLER)
    for path in ("/dashboard", "/dashboard/reports", "/dashboard/wall"):
        assert "还没有可看的数据" in handler.get(path).text
    assert "mingce bureau nightly" in handler.get("/dashboard").text
    assert handler.get("/dashboard/reports/kpi").status_code == 409


def test_every_number_opens_the_records_behind_it(console: RunningConsole, office: Office) -> None:
    keep(office)
    handler = console.sign_in(HANDLER)
    page = handler.get("/dashboard").text
    assert f"数据截至 {LAST}" in page
    found = figures(page)
    assert len(found) > 30
    for address, words in dict(found).items():
        records = handler.get(address)
        assert records.status_code == 200, address
        assert "当日保存的数" in records.text
        if "since=" not in address and "户" in records.text and "." not in words:
            assert re.search(rf"<dd class=\"digits\">{words} ", records.text), (address, words)
    assert "/households/1" in handler.get(f"/dashboard/records?name=households_filed&day={LAST}").text


def test_filters_stand_in_the_address_and_a_wrong_day_is_said(console: RunningConsole, office: Office) -> None:
    keep(office)
    handler = console.sign_in(HANDLER)
    page = handler.get(f"/dashboard?day=2025-01-31&township={TOWNSHIP_CODE}&product=zhuxue").text
    assert "数据截至 2025-01-31" in page
    assert f'value="{TOWNSHIP_CODE}" selected' in page
    assert 'value="zhuxue" selected' in page
    assert "目标只定到全县" in page
    wrong = handler.get("/dashboard?day=2025-13-99")
    assert (wrong.status_code, "日期写作" in wrong.text) == (422, True)
    assert handler.get("/dashboard?township=1 or 1").status_code == 422


def test_a_bank_sees_the_county_without_small_cells_and_no_records(console: RunningConsole, office: Office) -> None:
    keep(office)
    bank = console.sign_in(BANK_ADMIN)
    page = bank.get("/dashboard").text
    assert "＊" in page
    assert figures(page) == []
    assert 'name="township"' not in page
    assert bank.get(f"/dashboard/records?name=loan_balance&day={LAST}").status_code == 404


def test_a_township_sees_its_own(console: RunningConsole, office: Office) -> None:
    keep(office)
    township = console.sign_in(TOWNSHIP)
    page = township.get("/dashboard").text
    assert {address.split("township=")[1][:9] for address, _ in figures(page)} == {TOWNSHIP_CODE}
    assert township.get("/dashboard?township=330922200").status_code == 404
    for path in ("/dashboard/wall", "/dashboard/reports/kpi", f"/dashboard/records?name=loan_balance&day={LAST}"):
        assert township.get(path).status_code == 404, path
    assert "报表是全县的" in township.get("/dashboard/reports").text


def test_looking_computes_and_writes_nothing(console: RunningConsole, office: Office) -> None:
    keep(office)
    handler = console.sign_in(HANDLER)
    before = (
        fetch_all(office.database, "SELECT MAX(seq) FROM audit"),
        fetch_all(office.database, "SELECT * FROM figure"),
    )
    for path in ("/dashboard", "/dashboard/wall", f"/dashboard/records?name=loan_balance&day={LAST}"):
        handler.get(path)
    assert before == (
        fetch_all(office.database, "SELECT MAX(seq) FROM audit"), fetch_all(office.database, "SELECT * FROM figure"),
    )  # fmt: skip


def test_the_list_behind_a_number_is_a_file_with_its_reason(console: RunningConsole, office: Office) -> None:
    keep(office)
    handler = console.sign_in(HANDLER)
    page = handler.get(f"/dashboard/records?name=loan_balance&day={LAST}").text
    form = {"name": "loan_balance", "day": LAST.isoformat(), "key": key_of(page), "format": "csv"}
    assert handler.post("/dashboard/records", {**form, "reason": ""}).status_code == 422
    rows = rows_of(handler.post("/dashboard/records", {**form, "reason": "核对余额"}))
    assert rows[0] == ["记录", "家庭", "乡镇（街道）", "产品", "数值（元）"]
    assert sum(float(row[4].replace(",", "")) for row in rows[1:]) == 520_000
    assert "/dashboard/records" not in console.sign_in(PROVINCE).get("/downloads").text
    assert console.sign_in(PROVINCE).post("/dashboard/records", {**form, "reason": "核对"}).status_code == 403


@pytest.mark.parametrize("kind", ["kpi", "monthly", "staff", "year"])
def test_reports_are_pages_of_the_day_that_was_kept(console: RunningConsole, office: Office, kind: str) -> None:
    keep(office)
    handler = console.sign_in(HANDLER)
    assert f'action="/dashboard/reports/{kind}"' in handler.get("/dashboard/reports").text
    page = handler.get(f"/dashboard/reports/{kind}").text
    assert page.count("<table>") >= 1
    assert "填表人" in page
    days = [day for (day,) in fetch_all(office.database, "SELECT day FROM figure_day")]
    assert office.today().isoformat() not in days


def test_a_report_says_the_same_on_the_page_and_in_the_file(console: RunningConsole, office: Office) -> None:
    keep(office)
    handler = console.sign_in(HANDLER)
    path = "/dashboard/reports/kpi?day=2025-02-28"
    page = handler.get(path).text
    cells = [unescape(one) for one in re.findall(r"<td class=\"\w+\">([^<]*)</td>", page)]
    rows = rows_of(handler.post(path, {"key": key_of(page), "reason": "报送", "format": "csv"}))
    flat = [cell.lstrip("\t") for row in rows[1:] for cell in row]
    assert [cell.replace(",", "") for cell in cells] == [cell.replace(",", "") for cell in flat]
    assert handler.get("/dashboard/reports/kpi?day=nonsense").status_code == 422
    assert handler.get("/dashboard/reports/monthly?month=2031-01").status_code == 422


def test_a_bank_and_the_outside_get_reports_with_small_cells_hidden(console: RunningConsole, office: Office) -> None:
    keep(office)
    for actor, path in (
        (BANK_ADMIN, "/dashboard/reports/monthly"),
        (HANDLER, "/dashboard/reports/monthly?outside=true"),
    ):
        assert "＊</td>" in console.sign_in(actor).get(path).text
    assert "＊</td>" not in console.sign_in(HANDLER).get("/dashboard/reports/monthly").text


def test_a_claims_report_shows_no_name_and_its_file_waits_for_a_second_person(
    console: RunningConsole, office: Office
) -> None:
    add_claim(office)
    keep(office)
    handler = console.sign_in(HANDLER)
    assert "claim=1" in handler.get("/dashboard/reports").text
    page = handler.get("/dashboard/reports/claim?claim=1").text
    assert "演*" in page
    assert "演示0" not in page
    answer = handler.post("/dashboard/reports/claim?claim=1", {"key": key_of(page), "reason": "申报复核"})
    assert (answer.status_code, answer.headers["location"][:10]) == (303, "/downloads")
    assert console.sign_in(PROVINCE).get("/dashboard/reports/claim?claim=1").status_code == 403
    assert handler.get("/dashboard/reports/claim?claim=99").status_code == 404


def test_the_wall_names_nobody_and_no_single_family(console: RunningConsole, office: Office) -> None:
    keep(office)
    for actor in (HANDLER, AUDITOR, BANK_ADMIN):
        page = console.sign_in(actor).get("/dashboard/wall?screen=6").text
        assert page.count('<section class="screen') == 6
        assert page.count('<section class="screen shown"') == 1
        assert "＊" in page
        assert actor.name not in page
        assert "演示0" not in page
        assert "/dashboard/records" not in page
    assert console.sign_in(HANDLER).get("/dashboard/wall?screen=7").status_code == 422


def test_english(console: RunningConsole, office: Office) -> None:
    keep(office)
    page = console.sign_in(AUDITOR).read_in("en").get("/dashboard").text
    assert "From match to reduced interest" in page
    assert "of the step before" in page
