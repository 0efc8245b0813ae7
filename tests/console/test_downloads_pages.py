"""我的下载: asked for by one, agreed to by another, fetched once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from bureau_office import BANK_ADMIN, CHECKER, HANDLER, PROVINCE
from console.pages import key_of
from console_server import RunningConsole
from dashboard_scene import add_claim, keep, two_years

from matcher.bureau.actors import Permission
from matcher.bureau.office import Office
from matcher.downloads import Downloads, Wanted

OF_PEOPLE = Wanted("最终名单<b>", "最终名单.xlsx", "listing", Permission.SEE_LOANS, personal=True)
ZIPPED = b"PK\x03\x04"


def make(path: Path) -> int:
    path.write_bytes(ZIPPED)
    return 1


@pytest.fixture
def number(office: Office) -> str:
    return Downloads(office).ask(HANDLER, OF_PEOPLE, make, reason="年度核对", key="k")


def test_an_empty_page_says_what_comes_here(console: RunningConsole) -> None:
    assert "还没有下载过文件" in console.sign_in(HANDLER).get("/downloads").text


def test_from_asking_to_the_one_fetching(console: RunningConsole, office: Office) -> None:
    two_years(office)
    add_claim(office)
    keep(office)
    handler, checker = console.sign_in(HANDLER), console.sign_in(CHECKER)
    page = handler.get("/dashboard/reports/claim?claim=1").text
    form = {"key": key_of(page), "reason": "申报复核"}
    answers = [handler.post("/dashboard/reports/claim?claim=1", form) for _ in range(2)]
    assert len({answer.headers["location"] for answer in answers}) == 1
    own = handler.get("/downloads").text
    assert own.count("申报复核") == 1
    assert "待同意" in own
    assert "/fetch" not in own
    (number,) = re.findall(r'id="w-([0-9A-Z-]+)"', checker.get("/downloads").text)
    assert checker.post(f"/downloads/{number}/decide", {"answer": "agree"}).status_code == 303
    file = handler.post(f"/downloads/{number}/fetch")
    assert file.content[:4] == ZIPPED
    assert number in file.headers["content-disposition"]
    again = handler.post(f"/downloads/{number}/fetch")
    assert (again.status_code, "已领取过" in again.text) == (409, True)
    assert "已下载" in handler.get("/downloads").text


def test_nobody_agrees_to_their_own_and_nobody_else_fetches(console: RunningConsole, number: str) -> None:
    handler, checker = console.sign_in(HANDLER), console.sign_in(CHECKER)
    assert handler.post(f"/downloads/{number}/decide", {"answer": "agree"}).status_code == 403
    checker.post(f"/downloads/{number}/decide", {"answer": "agree"})
    assert checker.post(f"/downloads/{number}/fetch").status_code == 404
    bank = console.sign_in(BANK_ADMIN)
    assert number not in bank.get("/downloads").text
    assert bank.post(f"/downloads/{number}/fetch").status_code == 404
    assert console.sign_in(PROVINCE).get("/downloads").status_code == 403
    assert handler.get(f"/downloads/{number}/fetch").status_code == 405  # no link fetches it ahead of time


def test_a_refusal_needs_its_reason_and_keeps_what_was_typed(console: RunningConsole, number: str) -> None:
    checker = console.sign_in(CHECKER)
    page = checker.post(f"/downloads/{number}/decide", {"answer": "refuse"})
    assert (page.status_code, "没有填写" in page.text) == (422, True)
    typed = "见 990000198501010011"
    page = checker.post(f"/downloads/{number}/decide", {"answer": "refuse", "remark": typed})
    assert f'value="{typed}"' in page.text
    checker.post(f"/downloads/{number}/decide", {"answer": "refuse", "remark": "范围过大"})
    own = console.sign_in(HANDLER).get("/downloads").text
    assert "未同意" in own
    assert "范围过大" in own


def test_titles_are_escaped(console: RunningConsole, number: str) -> None:
    assert "最终名单&lt;b&gt;" in console.sign_in(CHECKER).get("/downloads").text


@pytest.mark.parametrize("path", ["/downloads/x/decide", "/downloads/20250303-AAAAAA/decide"])
def test_a_number_that_is_none(console: RunningConsole, path: str) -> None:
    assert console.sign_in(CHECKER).post(path, {"answer": "agree"}).status_code in (404, 422)
