"""The audit page: filters, pages, verification, who saw what."""

from __future__ import annotations

import re

import pysqlite3
import pytest
from bureau_office import ADMIN, AUDITOR, CHECKER, HANDLER, add_households
from console.pages import key_of, rows_of
from console_server import RunningConsole

from matcher.bureau.office import FILE_NAME, Office
from matcher.households import Households
from matcher.personal.reveal import Personal

_ROW = re.compile(r'<td class="number">(\d+)</td>')


def numbers(page: str) -> list[int]:
    return [int(one) for one in _ROW.findall(page)]


def test_the_newest_first_a_hundred_a_page(console: RunningConsole, office: Office) -> None:
    auditor = console.sign_in(AUDITOR)
    with office.writing():
        for number in range(150):
            office.record_within(HANDLER, "test.act", f"test/{number}")
    first = auditor.get("/audit").text
    seen = numbers(first)
    assert len(seen) == 100
    assert seen == sorted(seen, reverse=True)
    (older,) = re.findall(r'rel="next" href="([^"]+)"', first)
    assert numbers(auditor.get(older.replace("&amp;", "&")).text)[0] == seen[-1] - 1


def test_filters(console: RunningConsole, office: Office) -> None:
    auditor = console.sign_in(AUDITOR)
    assert "没有符合条件的记录" in auditor.get("/audit?account=nobody").text
    rows = auditor.get("/audit?account=guanli&action=account&since=2025-03-03&until=2025-03-03").text
    assert "account.propose" in rows
    assert "account.approve" not in rows.split("<tbody>")[1]
    assert "没有符合条件的记录" in auditor.get("/audit?until=2025-03-02").text


@pytest.mark.parametrize("query", ["since=yesterday", "until=2025-02-30"])
def test_a_day_that_is_none(console: RunningConsole, query: str) -> None:
    answer = console.sign_in(AUDITOR).get(f"/audit?{query}")
    assert (answer.status_code, "日期写作" in answer.text) == (422, True)


def test_who_saw_whom_and_why(console: RunningConsole, office: Office) -> None:
    auditor = console.sign_in(AUDITOR)
    (household,) = add_households(office, 1, members=1)
    (member,) = office.database.execute("SELECT member_id FROM member WHERE household_id = ?", [household]).fetchone()
    Personal(office).reveal(HANDLER, member, "number", "核对身份证 <script>alert(1)</script>")
    page = auditor.get("/audit?action=person").text
    assert "person.reveal" in page
    assert "核对身份证 &lt;script&gt;" in page
    assert "<script" not in page


def test_the_chain_holds_or_the_page_says_where_not(console: RunningConsole, office: Office) -> None:
    auditor = console.sign_in(AUDITOR)
    assert "审计链完整。" in auditor.post("/audit/verify").text
    database = pysqlite3.connect(office.home / FILE_NAME)
    database.execute("DROP TRIGGER audit_no_update")
    database.execute("UPDATE audit SET actor = 'nobody' WHERE seq = 2")
    database.commit()
    database.close()
    page = auditor.post("/audit/verify").text
    assert "审计链不完整" in page
    assert "第 2 行被改动" in page


def test_who_saw_what_by_account_household_and_person(console: RunningConsole, office: Office) -> None:
    auditor = console.sign_in(AUDITOR)
    first, second = add_households(office, 2, members=1)
    members = dict(office.database.execute("SELECT household_id, member_id FROM member").fetchall())
    Personal(office).reveal(HANDLER, members[first], "number", "核对身份证")
    Personal(office).reveal(CHECKER, members[second], "name", "复核需要")
    Personal(office).search_name(HANDLER, "演示0")
    page = auditor.get("/audit/reads").text
    assert page.index("查找人员") < page.index("复核需要") < page.index("核对身份证")
    assert "H000000" in page
    assert "account.approve" not in page, "no other rows"
    page = auditor.get(f"/audit/reads?account={HANDLER.name}").text
    assert ("核对身份证" in page, "复核需要" in page) == (True, False)
    page = auditor.get("/audit/reads?household=H000001").text
    assert ("核对身份证" in page, "复核需要" in page) == (False, True)
    page = auditor.get(f"/audit/reads?subject=member/{members[first]}").text
    assert ("核对身份证" in page, "复核需要" in page) == (True, False)
    for none in ("household=H9", "until=2025-03-02", f"household=H000001&subject=member/{members[first]}"):
        assert "没有符合条件的记录" in auditor.get(f"/audit/reads?{none}").text, none
    assert auditor.get("/audit/reads?since=yesterday").status_code == 422
    assert console.sign_in(HANDLER).get("/audit/reads").status_code == 403


def test_reads_have_pages(console: RunningConsole, office: Office) -> None:
    auditor = console.sign_in(AUDITOR)
    for _ in range(103):
        Personal(office).search_name(HANDLER, "演示0")
    page = auditor.get(f"/audit/reads?account={HANDLER.name}").text
    (older,) = re.findall(r'rel="next" href="([^"]+)"', page)
    rest = auditor.get(older.replace("&amp;", "&")).text
    assert [text.count("查找人员</td>") + text.count("查找人员\n") for text in (page, rest)] == [100, 3]
    assert "回到最新" in rest


def test_the_log_is_downloaded_as_it_shows(console: RunningConsole, office: Office) -> None:
    checker = console.sign_in(CHECKER)
    (household,) = add_households(office, 1, members=1)
    (member,) = office.database.execute("SELECT member_id FROM member WHERE household_id = ?", [household]).fetchone()
    Personal(office).reveal(HANDLER, member, "number", "=1+1")
    for path, what, heading in (("/audit", "rows", "事项"), ("/audit/reads", "reads", "看了什么")):
        form = {"what": what, "format": "csv", "account": HANDLER.name, "reason": "核对"}
        rows = rows_of(checker.post("/audit/export", {"key": key_of(checker.get(path).text), **form}))
        assert heading in rows[0]
        assert {row[2] for row in rows[1:]} == {HANDLER.name}
        assert any("'=1+1" in row for row in rows), "no cell runs"
    form = {"what": "rows", "key": "0" * 32}
    assert checker.post("/audit/export", {**form, "reason": ""}).status_code == 422
    auditor = console.sign_in(AUDITOR)
    own = {**form, "format": "csv", "key": key_of(auditor.get("/audit").text), "reason": "带走核对"}
    assert "download.take" in {row[3] for row in rows_of(auditor.post("/audit/export", own))}
    assert console.sign_in(ADMIN).post("/audit/export", {**form, "reason": "甲"}).status_code == 403


def test_the_log_speaks_in_words_of_people(console: RunningConsole, office: Office) -> None:
    (household,) = add_households(office, 1)
    Households(office).supplement_many(HANDLER, [household], remark="县里补充")
    page = console.sign_in(AUDITOR).get(f"/audit?subject=household%2F{household}").text
    assert ("家庭状态改变" in page, "household.move" in page) == (True, True)
    assert "→ 补充纳入" in page
    assert "new=" not in page
    assert "Household moved on" in console.sign_in(AUDITOR).read_in("en").get("/audit?action=household").text
