"""部门校验 through a real server: what is lacking, answers by form and by file, who sees what of them."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
import xlsxwriter
from bureau_office import (
    AUDITOR,
    CHECKER,
    DEPARTMENT,
    HANDLER,
    TOWNSHIP_CODE,
    add_households,
    make_office,
    person,
)
from console_server import RunningConsole, Visitor, running_console
from handed_over import COUNTY
from made_check import DEPARTMENT as CIVIL_AFFAIRS
from made_check import MINZHENG, checked, open_minzheng
from operators_home import keystore_with_operators
from python_calamine import CalamineWorkbook
from visiting import add_accounts, adopt_policy, to_be_visited

from api.console.sessions import SESSION, form_token
from keys.clock import SettableClock
from keys.database import DatabaseDamaged
from matcher.bureau.actors import Actor, Role
from matcher.bureau.office import Office
from matcher.checks.links import CheckLink, Links
from matcher.checks.listing import AnswerFilter, CheckLists, MissingFilter
from matcher.households import Policies

DAY_S = 86_400
OTHER_HANDLER = Actor("jingban2", frozenset({Role.HANDLER}))
KEY = re.compile(r'name="key" value="([0-9a-f]{32})"')
ENTRY = {
    "department": "minzheng",
    "listed": "yes",
    "label-assistance": "N10",
    "label-as_of": "2025-02-01",
    "as_of": "2025-03-01",
    "document": "演示函〔2025〕3号",
}


@pytest.fixture
def office(tmp_path: Path, clock: SettableClock) -> Iterator[Office]:
    opened = make_office(tmp_path / "bureau", clock)
    add_accounts(opened)
    adopt_policy(opened)
    to_be_visited(opened, add_households(opened, 3))
    yield opened
    opened.verify_audit()
    opened.close()


def answers(office: Office) -> list[tuple[int, str, int, str]]:
    return office.database.execute(
        "SELECT member_id, department, listed, origin FROM department_check ORDER BY check_id"
    ).fetchall()


def enter(visitor: Visitor, **changes: object) -> tuple[int, str]:
    answer = visitor.post("/checks/entry", {"who": "1", **ENTRY, **changes})
    return answer.status_code, answer.headers.get("location", "") or answer.text


def test_what_is_lacking_goes_away_as_answers_come(console: RunningConsole, office: Office) -> None:
    handler = console.sign_in(HANDLER)
    page = handler.get("/checks").text
    assert page.count("没有答复</span>") == 6
    assert "3 户尚缺" in page
    assert "/checks/entry?department=minzheng&amp;member=1" in page
    assert enter(handler, listed="no", **{"label-assistance": "", "label-as_of": ""})[0] == 303
    page = handler.get("/checks").text
    assert page.count("没有答复</span>") == 5
    assert "3 户尚缺" in page  # the other member of the family lacks it still
    assert person(0)[6:14] not in page


def test_an_answer_ages_and_expires(console: RunningConsole, office: Office, clock: SettableClock) -> None:
    enter(console.sign_in(HANDLER))
    wanted, checks = MissingFilter(COUNTY), Policies(office).policy_for(COUNTY, office.today()).policy.checks
    lists = CheckLists(office)
    for days, lacking in ((365, "never"), (366, "too_old")):
        page = lists.page_missing(HANDLER, wanted, checks, date(2025, 3, 1) + timedelta(days=days))
        assert page.rows[0].lacks.why == lacking, days
    assert "将过期" not in console.sign_in(HANDLER).get("/checks/answers").text
    clock.advance(295 * DAY_S)  # sessions have ended by then, so another account looks
    page = console.sign_in(OTHER_HANDLER).get("/checks/answers").text
    assert "将过期" in page
    assert "297 天前" in page


def test_filters_are_in_the_address(console: RunningConsole, office: Office) -> None:
    handler = console.sign_in(HANDLER)
    assert "没有尚缺的答复" in handler.get("/checks?township=330922200").text
    assert "没有尚缺的答复" in handler.get("/checks?why=too_old").text
    page = handler.get(f"/checks?township={TOWNSHIP_CODE}&department=minzheng&why=never").text
    assert page.count("没有答复</span>") == 6
    assert f'value="{TOWNSHIP_CODE}" selected' in page


def test_pages_lead_on_and_cut_no_family_in_two(
    console: RunningConsole, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.console.checks.PAGE", 2)
    handler, address, pages = console.sign_in(HANDLER), "/checks", []
    while address:
        page = handler.get(address).text
        pages.append([int(one) for one in re.findall(r"member=(\d+)", page)])
        found = re.search(r'rel="next" href="([^"]+)"', page)
        address = found[1].replace("&amp;", "&") if found else ""
    assert [len(one) for one in pages if one] == [4, 2]
    assert [one for page in pages for one in page] == [1, 2, 3, 4, 5, 6]


def test_a_page_ends_after_so_many_households_whoever_lacks_something(
    console: RunningConsole, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.console.checks.LOOKED_AT", 2)
    handler = console.sign_in(HANDLER)
    for member in ("1", "2"):
        assert enter(handler, who=member, **{"label-document": f"文号{member}"})[0] == 303
    page = handler.get("/checks").text
    assert "只数了前 2 户" in page
    assert "1 户尚缺" in page  # of the first two
    page = handler.get("/checks?why=too_old").text
    assert "往后 2 户都不缺" in page
    found = re.search(r'rel="next" href="([^"]+)"', page)
    assert found
    assert "没有尚缺的答复" in handler.get(found[1].replace("&amp;", "&")).text
    assert "member=5" in handler.get("/checks?after=2").text


def test_without_a_policy_the_page_says_so(tmp_path: Path, clock: SettableClock) -> None:
    bare = make_office(tmp_path / "bare", clock)
    with running_console(bare) as console:
        page = console.sign_in(HANDLER).get("/checks")
        assert page.status_code == 200
        assert "还没有生效的政策" in page.text
        assert console.sign_in(HANDLER).get("/checks/datasets").status_code == 200
        assert console.sign_in(HANDLER).get("/checks/answers").status_code == 200
    bare.close()


def test_the_department_enters_and_sees_its_own_entries_only(console: RunningConsole, office: Office) -> None:
    department = console.sign_in(DEPARTMENT)
    assert "还没有录入过答复" in department.get("/checks").text
    assert "社会救助" in department.get("/checks/entry").text
    status, location = enter(department, who=person(0))  # by the number on its paper
    assert (status, location) == (303, "/checks/entry?department=minzheng&done=1")
    assert answers(office) == [(1, "minzheng", 1, "演示函〔2025〕3号")]
    page = department.get("/checks").text
    assert "演示函〔2025〕3号" in page
    assert "低保" not in page
    assert "H000000" not in page
    for path in ("/checks/answers", "/checks/datasets"):
        assert department.get(path).status_code == 403
    assert "户籍与机动车" not in department.get("/checks/file").text  # another department's
    assert enter(department, department="gongan")[0] == 404
    assert [one for one in answers(office) if one[1] != "minzheng"] == []
    assert department.post("/checks/export", {"key": "0" * 32, "format": "csv", "reason": "x"}).status_code == 403


def test_the_same_entry_twice_is_one_and_another_answer_is_refused(console: RunningConsole, office: Office) -> None:
    handler = console.sign_in(HANDLER)
    assert enter(handler)[0] == enter(handler)[0] == 303
    assert len(answers(office)) == 1
    status, page = enter(handler, **{"label-assistance": "N11"})
    assert status == 422
    assert 'href="#document"' in page
    assert "另一种答复" in page
    assert len(answers(office)) == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"who": ""}, "who"),
        ({"who": "999"}, "who"),
        ({"who": "33092219900101123"}, "who"),
        ({"who": "abc"}, "who"),
        ({"listed": ""}, "listed-yes"),
        ({"label-assistance": ""}, "label-assistance"),
        ({"label-assistance": "富豪"}, "label-assistance"),
        ({"label-as_of": "2025-02-30"}, "label-as_of"),
        ({"as_of": ""}, "as_of"),
        ({"as_of": "2025-3-1x"}, "as_of"),
        ({"as_of": "2025-03-04"}, "as_of"),
        ({"document": ""}, "document"),
        ({"document": person(3)}, "document"),
        ({"document": "函" * 61}, "document"),
    ],
)
def test_a_fault_stands_beside_its_field_and_what_was_typed_stays(
    console: RunningConsole, office: Office, changes: dict[str, object], field: str
) -> None:
    status, page = enter(console.sign_in(HANDLER), **changes)
    assert status == 422
    assert f'href="#{field}"' in page, re.findall(r'href="#[^"]+', page)
    assert f'id="{field}"' in page
    assert 'value="N10" selected' in page or "label-assistance" in changes
    assert answers(office) == []


def test_answers_are_shown_whole_to_those_alone_who_may_see_them(console: RunningConsole, office: Office) -> None:
    handler = console.sign_in(HANDLER)
    enter(handler)
    page = handler.get("/checks/answers").text
    assert "救助类别 低保" in page
    assert "演示函〔2025〕3号" in page
    assert "2 天前" in page
    assert "没有这样的答复" in handler.get("/checks/answers?listed=no").text
    rows = CheckLists(office).page_answers(AUDITOR, AnswerFilter())
    assert [(row.answer.listed, row.answer.origin, row.answer.label) for row in rows] == [(None, "", None)]
    assert console.sign_in(AUDITOR).get("/checks/answers").status_code == 403


HEADINGS = ["证件号码", "是否在名单", "救助类别", "认定日期", "答复日期", "文号"]


def sheet(rows: list[list[str]], headings: list[str] = HEADINGS) -> bytes:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        page = book.add_worksheet()
        for place, row in enumerate([headings, *rows]):
            for column, cell in enumerate(row):
                page.write_string(place, column, cell)
    return out.getvalue()


def send_file(
    visitor: Visitor, content: bytes, name: str = "答复.xlsx", department: str = "minzheng"
) -> tuple[int, str]:
    answer = visitor.send(
        "POST",
        "/checks/file",
        data={"token": form_token(visitor.cookies[SESSION]), "department": department},
        files={"file": (name, content)},
        headers={"origin": visitor.url, "sec-fetch-site": "same-origin"},
    )
    return answer.status_code, answer.text


def test_a_file_is_entered_row_by_row_and_again_changes_nothing(console: RunningConsole, office: Office) -> None:
    content = sheet(
        [
            [person(0), "是", "低保", "2025-02-01", "2025-03-01", "函1"],
            [person(1), "否", "", "", "2025-03-01", "函1"],
            [person(900), "否", "", "", "2025-03-01", "函1"],
            [person(2), "也许", "", "", "2025-03-01", "函1"],
            [person(3), "否", "低保", "2025-02-01", "2025-03-01", "函1"],
            [person(4), "否", "", "", "三月", "函1"],
            ["123", "否", "", "", "2025-03-01", "函1"],
            [person(5), "否", "", "", "2025-03-01", ""],
        ]
    )
    department = console.sign_in(DEPARTMENT)
    status, page = send_file(department, content)
    assert status == 200
    assert "新录入 2 行，先前已录入 0 行，未录入 6 行" in page
    assert [row[:3] for row in answers(office)] == [(1, "minzheng", 1), (2, "minzheng", 0)]
    assert person(900) not in page
    _, page = send_file(department, content)
    assert "新录入 0 行，先前已录入 2 行" in page
    assert len(answers(office)) == 2


@pytest.mark.parametrize(
    ("name", "content", "department"),
    [
        ("x.pdf", b"%PDF", "minzheng"),
        ("x.xlsx", b"not a workbook", "minzheng"),
        ("x.csv", b"", "minzheng"),
        ("x.csv", "姓名\n演示\n".encode(), "minzheng"),
        ("x.csv", "证件号码,是否在名单,答复日期,文号\n".encode(), ""),
    ],
)
def test_a_file_that_is_none_is_refused_with_words(
    console: RunningConsole, office: Office, name: str, content: bytes, department: str
) -> None:
    status, page = send_file(console.sign_in(HANDLER), content, name, department)
    assert status == 422
    assert 'role="alert"' in page
    assert answers(office) == []


def test_the_sheet_that_goes_out_comes_back(console: RunningConsole, office: Office) -> None:
    """In full it takes a second person; masked it is there at once."""
    handler, checker = console.sign_in(HANDLER), console.sign_in(CHECKER)
    page = handler.get("/checks").text
    masked, whole = KEY.findall(page)[:2]
    out = handler.post("/checks/export", {"key": masked, "format": "csv", "reason": "演示"})
    assert out.status_code == 200
    assert person(0) not in out.content.decode("utf-8-sig")
    asked = handler.post(
        "/checks/export",
        {"key": whole, "format": "xlsx", "reason": "演示", "whole": "true", "department": "minzheng"},
    )
    number = asked.headers["location"].partition("#d-")[2]
    assert handler.post(f"/downloads/{number}/fetch").status_code >= 400  # nobody has agreed yet
    assert checker.post(f"/downloads/{number}/decide", {"answer": "agree"}).status_code == 303
    fetched = CalamineWorkbook.from_filelike(io.BytesIO(handler.post(f"/downloads/{number}/fetch").content))
    heading, *rows = fetched.get_sheet_by_index(0).to_python()
    assert [row[heading.index("证件号码")] for row in rows] == [person(number) for number in range(6)]
    for row in rows:
        for column, cell in (("是否在名单", "否"), ("答复日期", "2025-03-02"), ("文号", "函9")):
            row[heading.index(column)] = cell
    status, page = send_file(handler, sheet([list(map(str, row)) for row in rows], list(map(str, heading))))
    assert status == 200
    assert "新录入 6 行" in page, page
    assert "没有尚缺的答复" in handler.get("/checks").text


def test_the_connected_datasets_with_their_runs(tmp_path: Path, office: Office, clock: SettableClock) -> None:
    store = open_minzheng(office.home, clock)
    checked(store, [(person(0), {"assistance": "N10", "as_of": "2025-02-01"}), (person(1), None)])
    warrants = store.warrants(keystore_with_operators(tmp_path / "keys", clock).operators, CIVIL_AFFAIRS.public)
    link = CheckLink("minzheng", "minzheng", CIVIL_AFFAIRS.public, MINZHENG, (COUNTY,), store, warrants)
    with running_console(office, links=Links((link,), {"gongan": DatabaseDamaged("damaged")})) as console:
        page = console.sign_in(HANDLER).get("/checks/datasets").text
    assert "演示民政局" in page
    assert "已完成" in page
    assert "gongan 打不开" in page
    store.close()
