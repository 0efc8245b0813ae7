"""走访's pages without a script: lists, acts for one and for many, plans, and files out and in."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from bureau_office import (
    BANK_ADMIN,
    BANK_NO,
    CHECKER,
    HANDLER,
    MANAGER,
    OTHER_MANAGER,
    TOWNSHIP_CODE,
    add_households,
)
from console_server import RunningConsole, Visitor
from handed_over import COUNTY
from visiting import (
    PLACE,
    add_accounts,
    adopt_policy,
    collect,
    form_values,
    household_items,
    plan_and_assign,
    png,
    to_be_visited,
)

from api.console.sessions import form_token
from api.console.visit_conflict import conflict_entries
from matcher.bureau.office import Office
from matcher.rows import fetch_all
from matcher.visits.form import read_form
from matcher.visits.forms import compare_forms
from matcher.visits.service import Visits
from matcher.visits.showing import VisitFilter

KEY = "0" * 31


@pytest.fixture
def households(office: Office) -> list[int]:
    add_accounts(office)
    adopt_policy(office)
    found = add_households(office, 3)
    to_be_visited(office, found)
    return found


def states(office: Office) -> list[str]:
    return [state for (state,) in fetch_all(office.database, "SELECT state FROM visit ORDER BY visit_id")]


def upload(visitor: Visitor, path: str, name: str, content: bytes, **data: str) -> str:
    answer = visitor.send(
        "POST", path, files={"file": (name, content)},
        data={"token": form_token(next(v for k, v in visitor.cookies.items() if k == "__Host-mingce")), **data},
        headers={"origin": visitor.url, "sec-fetch-site": "same-origin"},
    )  # fmt: skip
    assert answer.status_code in (200, 303, 422), answer.text
    return answer.text


def test_the_door_list_marks_what_is_late_and_what_is_a_revisit(
    console: RunningConsole, office: Office, households: list[int]
) -> None:
    plan_and_assign(office, households[:2])
    office.clock.advance(86_400 * 2)  # type: ignore[attr-defined]
    with office.writing() as database:
        database.execute("UPDATE visit SET planned_for = '2025-03-05', kind = 'revisit' WHERE visit_id = 2")
    shown = console.sign_in(MANAGER).get("/visits").text
    assert "共 2 户，其中超期 1 户" in shown
    cards = re.findall(r'<li class="card">.*?</li>', shown, re.S)
    assert [("超期" in card, "回访" in card) for card in cards] == [(True, False), (False, True)]
    assert "没有分派给您的走访" in console.sign_in(OTHER_MANAGER).get("/visits").text


def test_plan_assign_and_cancel_with_a_result_for_each(
    console: RunningConsole, office: Office, households: list[int]
) -> None:
    visitor = console.sign_in(HANDLER)
    assert "待计划" in visitor.get("/visits/plan").text
    done = visitor.post("/visits/plan", {"area": TOWNSHIP_CODE, "planned_for": "2025-03-04", "grid": "一网格"})
    assert "已计划 3 户" in done.text
    assert "已计划 0 户" in visitor.post("/visits/plan", {"area": TOWNSHIP_CODE, "planned_for": "2025-03-04"}).text
    grids = visitor.get("/visits/plan").text
    assert f"/visits?view=list&amp;state=PLANNED&amp;area={TOWNSHIP_CODE}&amp;grid=%E4%B8%80%E7%BD%91%E6%A0%BC" in grids
    listed = visitor.get("/visits?view=list&state=PLANNED").text
    picks = re.findall(r'name="pick" value="([^"]+)"', listed)
    assert len(picks) == 3
    sent = {"key": KEY + "1", "act": "assign", "manager": MANAGER.name, "pick": picks[:2]}
    for _ in range(2):  # a second tap
        assert "办成 2 户，未办成 0 户" in visitor.post("/visits?view=list&state=PLANNED", sent).text
    assert states(office) == ["ASSIGNED", "ASSIGNED", "PLANNED"]
    none = visitor.post("/visits", {"key": KEY + "2", "act": "cancel", "pick": picks[1:], "why": " "})
    assert "未办成 2 户" in none.text
    gone = visitor.post("/visits", {"key": KEY + "3", "act": "cancel", "pick": picks[1:], "why": "渔汛出海，改期"})
    assert "办成 2 户" in gone.text
    assert states(office) == ["ASSIGNED", "CANCELLED", "CANCELLED"]
    wrong = visitor.post("/visits/assign", {"key": KEY + "4", "area": TOWNSHIP_CODE, "manager": "nobody"})
    assert wrong.status_code == 422
    assert "没有这个在用账号" in wrong.text
    visitor.post("/visits/plan", {"area": COUNTY, "planned_for": "2025-03-04"})
    assert states(office) == ["ASSIGNED", "PLANNED", "PLANNED"]
    area = visitor.post("/visits/assign", {"key": KEY + "5", "area": TOWNSHIP_CODE, "manager": MANAGER.name})
    assert "办成 2 户" in area.text


def test_one_visit_is_cancelled_with_a_reason_and_counts_as_no_attempt(
    console: RunningConsole, office: Office, households: list[int]
) -> None:
    (visit,) = plan_and_assign(office, households[:1])
    visitor = console.sign_in(HANDLER)
    version = Visits(office).show(HANDLER, visit).visit.version
    sent = {"key": KEY + "1", "version": version}
    assert visitor.post(f"/visits/{visit}/cancel", {**sent, "why": ""}).status_code == 422
    assert (
        visitor.post(f"/visits/{visit}/cancel", {**sent, "why": "重复计划"}).headers["location"].endswith("cancelled")
    )
    assert "重复计划" in visitor.get(f"/visits/{visit}").text
    stale = visitor.post(f"/visits/{visit}/unassign", {"key": KEY + "2", "version": version})
    assert stale.status_code == 409
    assert "更新" in stale.text
    Visits(office).plan(HANDLER, COUNTY, office.today(), households=households[:1])
    again = Visits(office).show(HANDLER, visit).visit
    assert (again.state, again.attempt) == ("PLANNED", 1)


def test_whoever_collected_neither_sees_the_button_nor_may_press_it(
    console: RunningConsole, office: Office, households: list[int]
) -> None:
    (visit,) = plan_and_assign(office, households[:1])
    collect(office, visit, form_values(household_items(0)))
    version = Visits(office).show(CHECKER, visit).visit.version
    sent = {"key": KEY + "1", "version": version}
    assert f'action="/visits/{visit}/accept"' not in console.sign_in(MANAGER).get(f"/visits/{visit}").text
    assert console.sign_in(MANAGER).post(f"/visits/{visit}/accept", sent).status_code == 403
    visitor = console.sign_in(CHECKER)
    page = visitor.get(f"/visits/{visit}").text
    assert all(words in page for words in ("信息采集表", "工资性收入", "照片与签字 4 张", "查看到户位置"))
    assert "990000" not in page
    assert "演示镇演示村1号" not in page
    assert "30.720000, 122.450000" in visitor.post(f"/visits/{visit}/place").text
    assert visitor.post(f"/visits/{visit}/return", {**sent, "remark": ""}).status_code == 422
    assert visitor.post(f"/visits/{visit}/accept", sent).headers["location"] == f"/visits/{visit}?done=accepted"
    assert states(office) == ["ACCEPTED"]


def test_many_are_accepted_and_one_is_returned(console: RunningConsole, office: Office, households: list[int]) -> None:
    visits = plan_and_assign(office, households[:2])
    for place, visit in enumerate(visits):
        collect(office, visit, form_values(household_items(place)))
    visitor = console.sign_in(CHECKER)
    version = Visits(office).show(CHECKER, visits[0]).visit.version
    visitor.post(f"/visits/{visits[0]}/return", {"key": KEY + "1", "version": version, "remark": "照片不清"})
    assert "照片不清" in console.sign_in(MANAGER).get("/visits").text
    picks = [f"{visit}/1/H" for visit in visits]
    done = visitor.post("/visits", {"key": KEY + "2", "act": "accept", "pick": picks})
    assert "办成 1 户，未办成 1 户" in done.text
    assert states(office) == ["RETURNED", "ACCEPTED"]


def test_the_sheet_goes_out_and_comes_back_without_a_script(
    console: RunningConsole, office: Office, households: list[int]
) -> None:
    (visit,) = plan_and_assign(office, households[:1])
    visitor = console.sign_in(MANAGER)
    sheet = visitor.post("/visits/sheet")
    assert sheet.headers["content-disposition"].startswith("attachment")
    kept = upload(visitor, "/visits/sheet-in", "走访.xlsx", sheet.content)
    assert "还没填" in kept
    assert "离线表格" in upload(visitor, "/visits/sheet-in", "走访.xlsx", b"PK\x03\x04 damaged")
    Visits(office).start(MANAGER, visit, PLACE)
    Visits(office).save_form(MANAGER, visit, form_values(household_items(0)), device_key="sheet-0001")
    for number, kind in enumerate(("photo", "signature_applicant", "signature_manager", "signature_officer")):
        upload(visitor, f"/visits/{visit}/image", "照片.png", png(number), kind=kind)
    assert "不能保存" in upload(visitor, f"/visits/{visit}/image", "a.png", b"<script>", kind="photo")
    version = Visits(office).show(MANAGER, visit).visit.version
    assert visitor.post(f"/visits/{visit}/submit", {"key": KEY + "1", "version": version}).status_code == 303
    assert states(office) == ["SUBMITTED"]


def test_the_banks_list_takes_a_second_person_and_what_it_returns_is_taken_once(
    console: RunningConsole, office: Office, households: list[int]
) -> None:
    Visits(office).plan(HANDLER, COUNTY, office.today())
    visitor = console.sign_in(BANK_ADMIN)
    asked = {"key": KEY + "1", "bank": BANK_NO, "area": COUNTY, "format": "csv", "reason": "导入数字营销系统"}
    assert visitor.post("/visits/bank-export", asked).headers["location"].startswith("/downloads?done=asked")
    back = (
        "任务编号,客户经理,走访结果,到户时间,纬度,经度,定位精度（米）\n"
        f"1,{MANAGER.name},无人,2025-03-03 08:30,30.7,122.4,10\n"
        f"2,{MANAGER.name},还行,2025-03-03 08:30,30.7,122.4,10\n"
    ).encode()
    assert "只检查了一遍" in upload(visitor, "/visits/bank-import", "回传.csv", back, dry_run="true")
    assert states(office) == ["PLANNED"] * 3
    for _ in range(2):
        assert "走访结果" in upload(visitor, "/visits/bank-import", "回传.csv", back)
    assert states(office) == ["FAILED", "PLANNED", "PLANNED"]


def test_the_list_is_exported_as_it_is_shown(console: RunningConsole, office: Office, households: list[int]) -> None:
    plan_and_assign(office, households[:1])
    visitor = console.sign_in(HANDLER)
    sent = {"key": KEY + "1", "format": "csv", "reason": "周例会", "state": "ASSIGNED"}
    rows = visitor.post("/visits/export", sent).content.decode("utf-8-sig").splitlines()
    assert len(rows) == 2
    assert "H000000" in rows[1]
    assert MANAGER.name in rows[1]
    assert visitor.post("/visits/export", {**sent, "reason": ""}).status_code == 422


def test_the_tablets_page_holds_nobody_and_its_data_are_the_accounts_own(
    console: RunningConsole, office: Office, households: list[int]
) -> None:
    plan_and_assign(office, households[:1])
    visitor = console.sign_in(MANAGER)
    page = visitor.get("/visits/tablet")
    token = form_token(visitor.cookies["__Host-mingce"])
    assert MANAGER.name not in page.text
    assert token not in page.text
    assert "990000" not in page.text
    assert len(page.content) < 150_000
    along = visitor.get("/visits/tablet/along").json()
    assert (along["account"], len(along["visits"])) == (MANAGER.name, 1)
    assert [one["id_number"] for one in along["visits"][0]["form"]["members"]] == household_items(0)
    assert console.sign_in(OTHER_MANAGER).get("/visits/tablet/along").json()["visits"] == []
    assert console.sign_in(HANDLER).get("/visits/tablet").status_code == 403
    assert console.sign_in(HANDLER).get("/visits/tablet/along").status_code == 403
    taken = fetch_all(
        office.database, "SELECT detail FROM audit WHERE action = 'visit.take_along' ORDER BY seq LIMIT 1"
    )
    assert json.loads(taken[0][0])["visits"] == [1]
    worker = visitor.get("/static/visit-worker.js")
    assert worker.headers["service-worker-allowed"] == "/visits/tablet"
    assert "service-worker-allowed" not in visitor.get("/static/visit-store.js").headers


def test_every_script_that_the_page_loads_is_kept_for_offline() -> None:
    static = Path("api/console/static")
    worker = (static / "visit-worker.js").read_text("utf-8")
    wanted, seen = ["visit-tablet.js"], set()
    while wanted:
        name = wanted.pop()
        seen.add(name)
        wanted += [one for one in re.findall(r'from "\./([\w-]+\.js)"', (static / name).read_text()) if one not in seen]
    assert len(seen) > 5
    assert [name for name in sorted(seen) if f'"{name}"' not in worker] == []


def test_nobody_elses_visit_is_started_or_looked_into(
    console: RunningConsole, office: Office, households: list[int]
) -> None:
    (visit,) = plan_and_assign(office, households[:1])
    other = console.sign_in(OTHER_MANAGER)
    sent = {"key": "device-key-1", "version": "2", "place": json.dumps(PLACE), "started_at": "2025-03-03T01:00:00Z"}
    assert other.post(f"/visits/tablet/{visit}/start", sent).status_code == 404
    assert other.post(f"/visits/tablet/{visit}/compare").status_code == 404
    assert other.get(f"/visits/{visit}").status_code == 404
    own = console.sign_in(MANAGER)
    assert own.post(f"/visits/tablet/{visit}/start", {**sent, "place": "[]"}).status_code == 422
    assert own.post(f"/visits/tablet/{visit}/start", sent).json()["state"] == "STARTED"
    bad = own.post(f"/visits/tablet/{visit}/form", {"key": "device-key-2", "version": "3", "form": "{}"})
    assert bad.status_code == 422
    assert {"path", "text"} == set(bad.json()["problems"][0])
    assert Visits(office).list_visits(MANAGER, VisitFilter())[0].state == "STARTED"


def test_lists_of_another_length_are_chosen_as_a_whole() -> None:
    items = household_items(0)
    stored = read_form(form_values(items))
    shorter = read_form(form_values(items, debts=[], income__wage="50000", income__total="62000.50"))
    entries = conflict_entries(compare_forms(stored, shorter), stored.model_dump(mode="json"))
    assert {one.path for one in entries} == {"income.wage", "debts"}
    whole = next(one for one in entries if one.path == "debts")
    assert whole.mine == ""
    assert "亲友" in whole.theirs
    longer = conflict_entries(compare_forms(shorter, stored), shorter.model_dump(mode="json"))
    assert {one.path for one in longer} == {"income.wage", "debts"}
