"""申报 over real HTTP: built, compared, sampled, signed by two persons, approved, paid; and refused to others."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from bureau_office import (
    AUDITOR,
    BANK_ADMIN,
    BANK_NO,
    CHECKER,
    HANDLER,
    MANAGER,
    OTHER_BANK_ADMIN,
    OTHER_CHECKER,
    OTHER_TOWNSHIP_CODE,
    PROVINCE,
    TOWNSHIP,
    make_office,
)
from console_server import RunningConsole, Visitor
from lending import entry, final_households, lend
from test_loans_pages import KEY, fen, in_column, send_file

from keys.clock import SettableClock
from matcher.bureau.actors import Actor, Role
from matcher.bureau.office import Office
from matcher.claims.service import Claims
from matcher.claims.views import ClaimViews
from matcher.loans import Loans

SECOND_BANK_ADMIN = Actor("yinhang3", frozenset({Role.BANK_ADMIN}), bank=BANK_NO)
ELSEWHERE = Actor("biexian", frozenset({Role.HANDLER}), townships=(OTHER_TOWNSHIP_CODE,))
COUNTY, YEAR = "330922", 2024
ACCRUED = date(2025, 3, 2)
FIGURES = "合同编号,起息日,应计利息,客户承担,财政贴息,银行让利"


@pytest.fixture
def office(tmp_path: Path, clock: SettableClock):  # type: ignore[no-untyped-def]
    """Three households' loans of 2024, all interest paid so far."""
    opened = make_office(tmp_path / "bureau", clock)
    loans = Loans(opened)
    families = final_households(opened, 3)
    numbers = {lend(opened, family, f"HT-{place}"): f"HT-{place}" for place, family in enumerate(families)}
    Claims(opened).accrue(ACCRUED)
    for loan, number in numbers.items():
        for place, one in enumerate(ClaimViews(opened).of_loan(BANK_ADMIN, loan)):
            if one.line.settled_on <= "2024-12-31":
                due = date.fromisoformat(one.line.settled_on)
                loans.record(BANK_ADMIN, BANK_NO, entry("interest", due, one.line.interest_due, f"i{place}", number))
    Claims(opened).accrue(ACCRUED)
    yield opened
    opened.verify_audit()
    opened.close()


def key_of(visitor: Visitor, path: str) -> str:
    return KEY.findall(visitor.get(path).text)[0]


def open_claim(bank: Visitor) -> str:
    """Returns its address."""
    answer = bank.post("/claims/new", {"key": key_of(bank, "/claims"), "year": YEAR, "county": COUNTY})
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def step(visitor: Visitor, claim: str, name: str, **form: str):  # type: ignore[no-untyped-def]
    return visitor.post(f"{claim}/steps/{name}", {"key": f"{len(visitor.answers):032x}", **form})


def own_figures(bank: Visitor, claim: str, change: Callable[[list[dict[str, str]]], object]) -> bytes:
    """The lines as downloaded, changed by the test."""
    form = {"key": key_of(bank, claim), "format": "csv", "reason": "与本行账务核对"}
    answer = bank.post(f"{claim}/export", form)
    assert answer.status_code == 200, answer.text
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    change(rows)
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def checked(console: RunningConsole) -> str:
    """A claim that is frozen, agrees with the bank's figures, and is checked by a second person of the bank."""
    bank = console.sign_in(BANK_ADMIN)
    claim = open_claim(bank)
    assert step(bank, claim, "freeze").status_code == 303
    done = send_file(bank, f"{claim}/figures", "file", "本行.csv", own_figures(bank, claim, lambda rows: None))
    assert done.headers["location"].endswith("done=compared"), done.text
    assert step(console.sign_in(SECOND_BANK_ADMIN), claim, "check").status_code == 303
    return claim


def test_the_whole_way_over_pages(console: RunningConsole, office: Office) -> None:
    bank, second = console.sign_in(BANK_ADMIN), console.sign_in(SECOND_BANK_ADMIN)
    auditor, handler, checker = (console.sign_in(one) for one in (AUDITOR, HANDLER, CHECKER))
    claim = open_claim(bank)
    assert open_claim(bank) == claim  # the one that is there
    page = bank.get(claim).text
    assert "计提中" in page
    assert "尚未冻结" in page
    assert 'id="step-freeze"' in page
    assert "9 行" in page  # what freezing would take
    assert step(bank, claim, "freeze").status_code == 303

    page = second.get(claim).text
    assert "先上传本行自己的数字" in page
    refused = step(second, claim, "check")
    assert (refused.status_code, "与银行数字核对" in refused.text) == (409, True)

    def wrong(rows: list[dict[str, str]]) -> None:
        rows[0]["财政贴息"] = "0.01"
        rows.pop()

    compared = send_file(bank, f"{claim}/figures", "file", "本行.csv", own_figures(bank, claim, wrong))
    assert compared.status_code == 303
    page = bank.get(compared.headers["location"]).text
    assert "已比对，差异列在下面" in page
    assert "银行没有这一行" in page
    assert "0.01" in page
    exceptions = re.findall(r'name="exception" value="(\d+)"', page)
    assert len(exceptions) == 2
    form = {"key": key_of(bank, f"{claim}/exceptions"), "exception": exceptions[0], "why": ""}
    assert bank.post(f"{claim}/exceptions", form).status_code == 422
    for exception in exceptions:
        form = {"key": key_of(bank, f"{claim}/exceptions"), "exception": exception, "why": "银行次月入账 <i>"}
        assert bank.post(f"{claim}/exceptions", form).status_code == 303
    assert "银行次月入账 &lt;i&gt;" in bank.get(f"{claim}/exceptions").text

    page = bank.get(claim).text  # froze it, so does not check it
    assert "须另一人办理" in page
    assert f'action="{claim}/steps/check"' not in page
    assert step(bank, claim, "check").status_code == 403
    assert step(second, claim, "check").status_code == 303

    assert "先抽取审计样本" in auditor.get(claim).text
    drawn = auditor.post(f"{claim}/sample", {"key": key_of(auditor, f"{claim}/sample"), "size": 2})
    assert drawn.status_code == 303
    page = auditor.get(f"{claim}/sample").text
    (seed,) = office.database.execute("SELECT seed FROM claim").fetchone()
    assert seed in page
    lines = re.findall(r'name="line" value="(\d+)"', page)
    lines = sorted(set(lines))
    assert len(lines) == 2
    assert step(auditor, claim, "audit").status_code == 409
    for line, act, finding in ((lines[0], "ok", ""), (lines[1], "wrong", "利息凭证缺页")):
        form = {"key": key_of(auditor, f"{claim}/sample"), "line": line, "act": act, "finding": finding}
        assert auditor.post(f"{claim}/findings", form).status_code == 303
    assert "利息凭证缺页" in auditor.get(f"{claim}/sample").text
    assert step(auditor, claim, "audit").status_code == 303
    assert "还有 1 项待处理事项没有说明" in bank.get(claim).text
    (finding,) = re.findall(r'name="exception" value="(\d+)"', auditor.get(f"{claim}/exceptions").text)
    assert f'value="{finding}"' not in bank.get(f"{claim}/exceptions").text  # the auditor's to settle
    form = {"key": key_of(auditor, f"{claim}/exceptions"), "exception": finding, "why": "凭证已补"}
    assert auditor.post(f"{claim}/exceptions", form).status_code == 303

    assert step(bank, claim, "submit").status_code == 303
    assert step(handler, claim, "take-up").status_code == 303
    unexplained = step(checker, claim, "return", remark="")
    assert unexplained.status_code == 422
    assert 'href="#remark-return"' in unexplained.text
    assert step(checker, claim, "return", remark="附件不全").status_code == 303
    assert "附件不全" in bank.get(claim).text
    assert step(bank, claim, "submit", remark="已补").status_code == 303
    assert step(handler, claim, "take-up").status_code == 303
    assert step(handler, claim, "approve").status_code == 403  # took it up
    assert step(checker, claim, "approve").status_code == 303
    assert step(handler, claim, "pass-on").status_code == 303
    province = console.sign_in(PROVINCE)
    assert 'id="step-grant"' in province.get(claim).text
    assert step(province, claim, "grant").status_code == 303
    assert step(console.sign_in(OTHER_CHECKER), claim, "pay").status_code == 303
    assert step(checker, claim, "close").status_code == 303
    page = handler.get(claim).text
    assert "这份申报已办结" in page
    assert 'aria-current="step"' in page
    for account in ("yinhang", "yinhang3", "shenji", "jingban", "fuhe", "sheng", "fuhe2"):
        assert f"<td>{account}</td>" in page, account
    assert handler.post(f"{claim}/verify").headers["location"].endswith("done=verified")


def test_lines_and_totals_tie_to_the_cent(console: RunningConsole, office: Office) -> None:
    claim = checked(console)
    handler = console.sign_in(HANDLER)
    summary = Claims(office).get(HANDLER, 1).summary
    page = handler.get(f"{claim}/lines").text
    assert sum(map(fen, in_column(page, "财政贴息"))) == summary.amounts.fiscal
    assert sum(map(fen, in_column(page, "应计利息"))) == summary.amounts.gross
    assert f"{summary.amounts.fiscal / 100:,.2f}" in page.split("<tfoot>")[1]
    for by, groups in (("contract", 3), ("household", 3), ("product", 1), ("township", 1)):
        page = handler.get(f"{claim}/totals?by={by}").text
        cells = in_column(page, "财政贴息")
        assert (len(cells), sum(map(fen, cells))) == (groups, summary.amounts.fiscal), by
        assert "合计相符" in page
    one = handler.get(f"{claim}/lines?number=HT-1").text
    assert set(in_column(one, "合同编号")) == {"HT-1"}
    assert in_column(one, "合同编号") == in_column(handler.get(f"{claim}/lines?number=H000001").text, "合同编号")
    assert "没有符合筛选条件的行" in handler.get(f"{claim}/lines?kind=adjustment").text
    line = re.findall(r'href="(/claims/lines/\d+)"', one)[0]
    told = handler.get(line).text
    assert f'href="{claim}"' in told
    assert Decimal(in_column(one, "财政贴息")[0]) == Decimal(re.findall(r"财政贴息 ([\d.]+) 元", told)[0])


def test_pages_of_lines_show_each_once(
    console: RunningConsole, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = checked(console)
    monkeypatch.setattr("api.console.claim_page.PAGE", 4)
    handler, seen = console.sign_in(HANDLER), list[str]()
    for number in (1, 2, 3):
        seen += re.findall(r"/claims/lines/(\d+)", handler.get(f"{claim}/lines?page={number}").text)
    assert sorted(map(int, seen)) == [line.line_id for line in Claims(office).get(HANDLER, 1, count=100).lines]
    assert "没有符合筛选条件的行" in handler.get(f"{claim}/lines?page=99").text
    assert "合同数" in handler.get(f"{claim}/totals?by=contract").text


def test_a_suspension_after_freezing_comes_back_as_an_explained_correction(
    console: RunningConsole, office: Office
) -> None:
    checked(console)
    Loans(office).suspend(HANDLER, 1, date(2024, 8, 1), reason="N31")
    Claims(office).accrue(ACCRUED)
    bank = console.sign_in(BANK_ADMIN)
    answer = bank.post("/claims/new", {"key": key_of(bank, "/claims"), "year": YEAR + 1, "county": COUNTY})
    page = bank.get(answer.headers["location"] + "/lines?kind=adjustment").text
    assert set(in_column(page, "类别")) == {"更正"}
    told = bank.get(re.findall(r'href="(/claims/lines/\d+)"', page)[0]).text
    for shown in ("五、更正", "现在应有", "暂停期间不贴息", "尚未列入申报", "财政贴息 -"):
        assert shown in told, shown


def test_a_line_that_was_changed_is_found(console: RunningConsole, office: Office) -> None:
    claim = checked(console)
    with office.writing() as database:
        guards = database.execute("SELECT name, sql FROM sqlite_master WHERE name = 'line_frozen'").fetchall()
        database.execute("DROP TRIGGER line_frozen")
        database.execute("UPDATE interest_line SET gross = gross + 1, excess = excess + 1, bank = bank + 1")
        database.execute(guards[0][1])
    handler = console.sign_in(HANDLER)
    found = handler.post(f"{claim}/verify")
    assert (found.status_code, "明细与冻结时不一致" in found.text) == (422, True)


def test_a_step_sent_twice_is_one(console: RunningConsole, office: Office) -> None:
    bank = console.sign_in(BANK_ADMIN)
    claim = open_claim(bank)
    form = {"key": key_of(bank, claim)}
    for _ in range(2):
        assert bank.post(f"{claim}/steps/freeze", form).status_code == 303
    assert office.database.execute("SELECT COUNT(*) FROM claim_step").fetchone() == (1,)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"", "文件是空的"),
        ("a.txt", b"x", "不是 CSV 或 XLSX"),
        ("a.csv", f"{FIGURES}\nHT-1,2024-06-21,=1+1,0,0,0".encode(), "第 2 行"),
        ("a.csv", "合同编号,起息日\nHT-1,2024-06-21".encode(), "缺少列"),
    ],
)
def test_figures_that_cannot_be_read_change_nothing(
    console: RunningConsole, office: Office, name: str, content: bytes, words: str
) -> None:
    bank = console.sign_in(BANK_ADMIN)
    claim = open_claim(bank)
    step(bank, claim, "freeze")
    answer = send_file(bank, f"{claim}/figures", "file", name, content)
    assert answer.status_code == 422
    assert words in answer.text
    assert office.database.execute("SELECT reconciled FROM claim").fetchone() == (None,)


def test_the_workbook_with_names_waits_for_a_second_person(console: RunningConsole, office: Office) -> None:
    claim = checked(console)
    handler = console.sign_in(HANDLER)
    form = {"key": key_of(handler, claim), "reason": "报送省厅"}
    asked = handler.post(f"{claim}/workbook", form)
    assert (asked.status_code, asked.headers["location"][:10]) == (303, "/downloads")
    number = office.database.execute(
        "SELECT number, personal, state FROM download ORDER BY download_id DESC"
    ).fetchone()
    assert number[1:] == (1, "asked")
    checker = console.sign_in(CHECKER)
    assert checker.post(f"/downloads/{number[0]}/decide", {"answer": "agree"}).status_code == 303
    got = handler.post(f"/downloads/{number[0]}/fetch")
    assert (got.status_code, got.content[:2]) == (200, b"PK")


def test_one_bank_sees_nothing_of_another(console: RunningConsole, office: Office) -> None:
    claim = checked(console)
    stranger = console.sign_in(OTHER_BANK_ADMIN)
    assert "还没有申报" in stranger.get("/claims").text
    pages = (f"{claim}/lines", f"{claim}/totals", f"{claim}/exceptions", f"{claim}/sample", "/claims/lines/1")
    for path in (claim, *pages):
        assert stranger.get(path).status_code == 404, path
    key = {"key": "0" * 32}
    for name in ("freeze", "check", "submit"):
        assert stranger.post(f"{claim}/steps/{name}", key).status_code == 404, name
    assert stranger.post(f"{claim}/verify").status_code == 404
    assert send_file(stranger, f"{claim}/figures", "file", "a.csv", b"x").status_code == 404
    for path in ("export", "workbook"):
        assert stranger.post(f"{claim}/{path}", {**key, "reason": "x"}).status_code == 404, path
    assert office.database.execute("SELECT state FROM claim").fetchone() == ("BANK_CHECKED",)


def test_another_countys_people_see_nothing_of_it(console: RunningConsole, office: Office) -> None:
    claim = checked(console)
    stranger = console.sign_in(ELSEWHERE)
    assert "还没有申报" in stranger.get("/claims").text
    for path in (claim, f"{claim}/lines", f"{claim}/totals", f"{claim}/exceptions", "/claims/lines/1"):
        assert stranger.get(path).status_code == 404, path
    assert step(stranger, claim, "take-up").status_code == 404
    assert stranger.post(f"{claim}/workbook", {"key": "0" * 32, "reason": "x"}).status_code == 404


def test_the_province_sees_what_it_approves_and_no_household(console: RunningConsole, office: Office) -> None:
    claim = checked(console)
    province = console.sign_in(PROVINCE)
    assert "财政贴息" in province.get(claim).text
    page = province.get(f"{claim}/lines").text
    assert in_column(page, "合同编号")
    assert "/loans/" not in page
    assert 'id="township"' not in page
    assert province.get(f"{claim}/totals?by=product").status_code == 200
    assert province.get(f"{claim}/totals?by=household").status_code == 403
    assert province.post(f"{claim}/workbook", {"key": "0" * 32, "reason": "x"}).status_code == 403
    assert province.post(f"{claim}/export", {"key": "0" * 32, "reason": "x"}).status_code == 403
    assert 'href="/loans' not in province.get("/claims/lines/1").text
    assert step(province, claim, "grant").status_code == 409


def test_who_has_no_business_there(console: RunningConsole, office: Office) -> None:
    claim = checked(console)
    for actor in (TOWNSHIP, MANAGER):
        assert console.sign_in(actor).get("/claims").status_code == 403
        assert console.sign_in(actor).get(claim).status_code == 403
    for actor in (HANDLER, AUDITOR):
        assert step(console.sign_in(actor), claim, "submit").status_code == 403
        form = {"key": "0" * 32, "year": YEAR, "county": COUNTY}
        assert console.sign_in(actor).post("/claims/new", form).status_code == 403
        assert "新建或打开申报" not in console.sign_in(actor).get("/claims").text


@pytest.mark.parametrize(
    "path",
    ["/claims/1/lines?kind=all", "/claims/1/totals?by=person", "/claims/1/exceptions?kind=x", "/claims/1/lines?page=0",
     "/claims/x", "/claims/0"],
)  # fmt: skip
def test_an_address_that_no_page_gave_is_refused_as_a_page(console: RunningConsole, office: Office, path: str) -> None:
    answer = console.sign_in(HANDLER).get(path)
    assert answer.status_code == 422
    assert "text/html" in answer.headers["content-type"]
    assert console.sign_in(HANDLER).get("/claims/999").status_code == 404
