"""贷款贴息 over real HTTP: lists that tie, one loan, the daily file looked at and entered, commitments, refusals."""

from __future__ import annotations

import io
import re
import tempfile
from dataclasses import replace
from datetime import date
from decimal import Decimal
from html import unescape
from pathlib import Path

import pytest
from bureau_office import (
    AUDITOR,
    BANK_ADMIN,
    BANK_NO,
    CHECKER,
    HANDLER,
    OTHER_BANK_ADMIN,
    OTHER_BANK_NO,
    OTHER_TOWNSHIP_CODE,
    PROVINCE,
    TOWNSHIP,
    add_households,
    make_office,
)
from console_server import RunningConsole, Visitor
from lending import adopt_example, contract, entry, final_households, lend, number_of, put_on_list
from PIL import Image

from api.console import commitments
from api.console.sessions import SESSION, form_token
from keys.clock import SettableClock
from matcher.bureau.actors import Actor, Role
from matcher.bureau.office import Office
from matcher.claims.service import Claims
from matcher.loans import Loans
from matcher.loans.events import Overdue

KEY = re.compile(r'name="key" value="([0-9a-f]{32})"')
HELD = re.compile(r'name="held" value="([0-9a-f]{32})"')
ELSEWHERE = Actor("biexian", frozenset({Role.HANDLER}), townships=(OTHER_TOWNSHIP_CODE,))
HEADINGS = "业务日期,业务类型,证件号码,合同编号,流水号,金额,产品,合同利率,客户利率,起息日,到期日,承诺书编号"


@pytest.fixture
def office(tmp_path: Path, clock: SettableClock):  # type: ignore[no-untyped-def]
    opened = make_office(tmp_path / "bureau", clock)
    yield opened
    opened.verify_audit()
    opened.close()


def send_file(visitor: Visitor, path: str, field: str, name: str, content: bytes, **more: str):  # type: ignore[no-untyped-def]
    """As a browser sends a form with a file."""
    data = {"token": form_token(visitor.cookies[SESSION]), **more}
    headers = {"origin": visitor.url, "sec-fetch-site": "same-origin"}
    return visitor.send("POST", path, data=data, files={field: (name, content)}, headers=headers)


def daily(*rows: str) -> bytes:
    return "\n".join([HEADINGS, *rows]).encode("gb18030")


def loan_rows(item: str, number: str = "HT-9") -> list[str]:
    return [
        f"2024-05-10,承诺,{item},{number},,,,,,,,CN-{number}",
        f"2024-05-10,合同,{item},{number},,100000,共富经营贷,4.35,3.8,2024-05-10,2025-05-10,",
        f"2024-05-10,放款,,{number},1,100000,,,,,,",
    ]


def in_column(page: str, heading: str) -> list[str]:
    """The cells of a column of the page's first table."""
    table = re.search(r"<table.*?</table>", page, re.S)
    assert table is not None
    names = [re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<th scope=\"col\".*?</th>", table[0], re.S)]
    place = names.index(heading)
    body = re.search(r"<tbody>.*?</tbody>", table[0], re.S)
    assert body is not None
    rows = re.findall(r"<tr.*?</tr>", body[0], re.S)
    cells = [re.findall(r"<t[hd].*?</t[hd]>", row, re.S)[place] for row in rows]
    return [" ".join(re.sub(r"<[^>]+>", " ", cell).split()) for cell in cells]


def fen(text: str) -> int:
    return int(Decimal(text.replace(",", "")) * 100)


def test_the_list_shows_pages_filters_and_totals_that_tie(
    console: RunningConsole, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    families = final_households(office, 5)
    loans = [lend(office, family, f"HT-{place}") for place, family in enumerate(families)]
    Loans(office).record(BANK_ADMIN, BANK_NO, entry("repayment", date(2024, 8, 1), 2_500_000, "2", "HT-0"))
    Loans(office).record(BANK_ADMIN, BANK_NO, Overdue(on_day=date(2024, 9, 1), contract_no="HT-1"))
    handler = console.sign_in(HANDLER)
    page = handler.get("/loans").text
    assert "5 笔，5 户" in page
    assert sum(map(fen, in_column(page, "余额（元）"))) == 5 * 10_000_000 - 2_500_000
    assert "475,000.00" in page  # the total says the same
    assert "演**" in page
    assert "演示0" not in page
    numbers = "合同与家庭编号"
    assert in_column(handler.get("/loans?state=OVERDUE").text, numbers) == ["HT-1 H000001"]
    assert in_column(handler.get("/loans?number=H000003").text, numbers) == ["HT-3 H000003"]
    assert in_column(handler.get("/loans?number=HT-2").text, numbers) == ["HT-2 H000002"]
    assert "没有符合筛选条件的贷款" in handler.get("/loans?product=zhuxue").text
    assert "没有符合筛选条件的贷款" in handler.get("/loans?subsidy=STOPPED").text

    monkeypatch.setattr("api.console.loans.PAGE", 2)
    seen, address = [], "/loans"
    while address:
        page = handler.get(address).text
        seen += [int(number) for number in re.findall(r'<th scope="row" class="digits"><a href="/loans/(\d+)"', page)]
        found = re.search(r'rel="next" href="([^"]+)"', page)
        address = found[1].replace("&amp;", "&") if found else ""
    assert seen == loans


def test_an_id_number_is_not_searched_by_address(console: RunningConsole, office: Office) -> None:
    (family,) = final_households(office, 1)
    item = number_of(office, family)
    answer = console.sign_in(HANDLER).get(f"/loans?number={item}&state=ACTIVE")
    assert (answer.status_code, answer.headers["location"]) == (303, "/loans?state=ACTIVE&refused=number")
    assert "证件号码不能写在地址里" in console.sign_in(HANDLER).get(answer.headers["location"]).text


def test_an_export_holds_what_the_filters_show_masked_and_is_recorded(console: RunningConsole, office: Office) -> None:
    families = final_households(office, 2)
    lend(office, families[0], "HT-0")
    lend(office, families[1], "HT-1", manager="=1+1")
    handler = console.sign_in(HANDLER)
    (key,) = set(KEY.findall(handler.get("/loans").text))
    answer = handler.post("/loans/export", {"key": key, "format": "csv", "number": "HT-1", "reason": "核对台账"})
    assert answer.status_code == 200, answer.text
    text = answer.content.decode("utf-8-sig")
    assert "HT-1" in text
    assert "HT-0" not in text
    assert "'=1+1" in text  # no formula
    assert number_of(office, families[1]) not in text
    assert handler.post("/loans/export", {"key": key, "format": "csv", "reason": ""}).status_code == 422
    assert "download.take" in console.sign_in(AUDITOR).get("/audit?action=download").text
    book = handler.post("/loans/export", {"key": key, "format": "xlsx", "reason": "核对台账"})
    assert book.content[:2] == b"PK"


def test_one_loan_with_its_lines_explained(console: RunningConsole, office: Office) -> None:
    (family,) = final_households(office, 1)
    loan = lend(office, family)
    Loans(office).record(BANK_ADMIN, BANK_NO, entry("repayment", date(2024, 8, 1), 4_000_000, "2"))
    Loans(office).record(BANK_ADMIN, BANK_NO, entry("repayment", date(2024, 8, 2), 100, "3"))
    Claims(office).accrue(date(2025, 3, 2))
    handler = console.sign_in(HANDLER)
    page = handler.get(f"/loans/{loan}").text
    (policy,) = office.database.execute("SELECT policy FROM loan").fetchone()
    (text_hash,) = office.database.execute("SELECT text_sha256 FROM commitment").fetchone()
    amounts = ("100,000.00", "60,000.00", "59,999.00")
    for shown in ("HT-1", "4.35", "嵊泗", policy[:16], text_hash[:16], *amounts, "未上传"):
        assert shown in page, shown
    drawn = re.search(r'class="balance" d="M90.0 132.0H90.0V12.0H([\d.]+)V([\d.]+)H', page)
    assert drawn is not None  # steps from nothing to the top, then down
    assert float(drawn[2]) == pytest.approx(12 + 120 * 0.4, abs=0.1)
    assert number_of(office, family) not in page
    lines = re.findall(r'href="/claims/lines/(\d+)"', page)
    assert len(lines) == 4
    told = handler.get(f"/claims/lines/{lines[0]}").text
    # 100,000 yuan for 42 days: the worked example of the plan's arithmetic.
    for shown in ("4,200,000.00", "R2(4,200,000.00 × 4.35% ÷ 360)", "507.50", "443.33", "64.17", "32.09", "高出3.8%"):
        assert shown in told, shown
    total = next(row for row in re.findall(r"<tfoot>.*?</tfoot>", page, re.S) if "合计" in row)
    rows = re.findall(r"<tr>.*?</tr>", page, re.S)
    columns = [re.findall(r'<td class="number">([\d.,-]+)</td>', row) for row in rows]
    shown_lines = [cells[:7] for cells in columns if len(cells) >= 7][:4]
    for place, amount in enumerate(re.findall(r'<td class="number">([\d.,-]+)</td>', total)[:7]):
        assert fen(amount) == sum(fen(cells[place]) for cells in shown_lines)


def test_a_subsidy_is_suspended_resumed_and_stopped_with_reasons(
    console: RunningConsole, office: Office, clock: SettableClock
) -> None:
    (family,) = final_households(office, 1)
    loan = lend(office, family)
    checker = console.sign_in(CHECKER)

    def act(what: str, **form: object):  # type: ignore[no-untyped-def]
        key = KEY.findall(checker.get(f"/loans/{loan}").text)[0]
        return checker.post(f"/loans/{loan}/{what}", {"key": key, **form})

    refused = act("suspend", day="2025-04-01", reason="N31", remark="挪用 <b>x")
    assert refused.status_code == 422
    assert "还没有到" in refused.text
    assert 'value="挪用 &lt;b&gt;x"' in refused.text  # what was typed is kept
    assert act("suspend", day="", reason="N31").status_code == 422
    assert act("suspend", day="2025-01-10", reason="").status_code == 422
    assert act("resume", day="2025-02-10").status_code == 409  # it is not suspended
    done = act("suspend", day="2025-01-10", reason="N31", remark="用途不符")
    assert (done.status_code, done.headers["location"]) == (303, f"/loans/{loan}?done=suspended")
    page = checker.get(f"/loans/{loan}?done=suspended").text
    assert "已暂停贴息。" in page
    assert "用途不符" in page
    assert f'action="/loans/{loan}/resume"' in page
    assert f'action="/loans/{loan}/suspend"' not in page
    assert act("resume", day="2025-02-10").status_code == 303
    assert act("stop", day="2025-02-20", reason="N31").status_code == 303
    page = checker.get(f"/loans/{loan}").text
    assert 'id="decide"' not in page
    assert office.database.execute("SELECT subsidy_state FROM loan").fetchone() == ("STOPPED",)


def test_a_decision_sent_twice_is_one(console: RunningConsole, office: Office) -> None:
    (family,) = final_households(office, 1)
    loan = lend(office, family)
    handler = console.sign_in(HANDLER)
    form = {"key": KEY.findall(handler.get(f"/loans/{loan}").text)[0], "day": "2025-01-10", "reason": "N31"}
    for _ in range(2):
        assert handler.post(f"/loans/{loan}/suspend", form).status_code == 303
    assert office.database.execute("SELECT COUNT(*) FROM loan_span").fetchone() == (1,)


def test_a_daily_file_is_looked_at_entered_and_entered_once(console: RunningConsole, office: Office) -> None:
    (family,) = final_households(office, 1)
    bank, item = console.sign_in(BANK_ADMIN), number_of(office, family)
    content = daily(*loan_rows(item), "2024-05-10,放款,,HT-404,1,5,,,,,,", f"2024-13-40,授信,{item},,,,,,,,,")
    looked = send_file(bank, "/loans/files/preview", "file", "日报.csv", content)
    assert looked.status_code == 200, looked.text
    assert "还没有登记任何内容" in looked.text
    assert "3 行，其中新的 3 行" in looked.text
    assert "没有这笔贷款（HT-404）" in looked.text  # by row and column, in words
    assert in_column(looked.text.split("未登记的行，按文件中的位置")[-1].join(["<table>", ""]), "行号") == ["5", "6"]
    assert item not in looked.text
    assert office.database.execute("SELECT COUNT(*) FROM loan").fetchone() == (0,)
    (held,) = HELD.findall(looked.text)
    kept = [path for path in (office.home / "transit").rglob("*") if path.is_file()]
    assert kept
    assert all(item.encode() not in path.read_bytes() for path in kept)

    done = bank.post("/loans/files/enter", {"held": held})
    assert done.status_code == 303
    page = bank.get(done.headers["location"]).text
    assert "新登记 3 行。" in page
    assert "HT-404" in page
    assert "330" not in "".join(
        in_column(page.split("未登记的行，按文件中的位置")[-1].join(["<table>", ""]), "证件号码")
    )
    assert office.database.execute("SELECT COUNT(*) FROM movement").fetchone() == (1,)
    # The same again: the preview is used up, and the same file changes nothing.
    again = bank.post("/loans/files/enter", {"held": held})
    assert (again.status_code, "请重新上传" in again.text) == (422, True)
    looked = send_file(bank, "/loans/files/preview", "file", "日报.csv", content)
    assert "3 行，其中新的 0 行" in looked.text


def test_a_preview_is_its_accounts_own_and_a_changed_one_opens_nothing(console: RunningConsole, office: Office) -> None:
    (family,) = final_households(office, 1)
    bank = console.sign_in(BANK_ADMIN)
    looked = send_file(bank, "/loans/files/preview", "file", "a.csv", daily(*loan_rows(number_of(office, family))))
    (held,) = HELD.findall(looked.text)
    assert console.sign_in(OTHER_BANK_ADMIN).post("/loans/files/enter", {"held": held}).status_code == 422
    for other in ("0" * 32, "../../x", ""):
        assert bank.post("/loans/files/enter", {"held": other}).status_code == 422
    path = office.home / "transit" / held / "loans.sealed"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    assert bank.post("/loans/files/enter", {"held": held}).status_code == 422
    assert office.database.execute("SELECT COUNT(*) FROM loan").fetchone() == (0,)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"", "文件是空的"),
        ("a.pdf", b"%PDF-1.7", "不是 CSV 或 XLSX"),
        ("", b"", "没有选择文件"),
        ("a.xlsx", b"PK\x03\x04 not a workbook", "表格损坏或不是所称的格式"),
        ("a.csv", b"\xff\xfe\x00\x01" * 100, ""),
        ("a.csv", "列一,列二\n1,2\n".encode(), "缺少列"),
    ],
)
def test_a_file_that_is_none_is_refused_in_words(
    console: RunningConsole, office: Office, name: str, content: bytes, words: str
) -> None:
    answer = send_file(console.sign_in(BANK_ADMIN), "/loans/files/preview", "file", name, content)
    assert answer.status_code == 422
    assert words in answer.text
    assert 'class="faults"' in answer.text


def test_who_cares_for_one_county_sees_the_files_it_sent_itself(console: RunningConsole, office: Office) -> None:
    (family,) = final_households(office, 1)
    mine, whole = replace(BANK_ADMIN, name="yinhang3", townships=("330922",)), console.sign_in(BANK_ADMIN)
    narrow = console.sign_in(mine)
    rows = loan_rows(number_of(office, family))
    for place, sender in enumerate((whole, narrow), start=1):
        content = daily(*rows, f"2024-13-4{place},授信,{number_of(office, family)},,,,,,,,,")
        looked = send_file(sender, "/loans/files/preview", "file", "日报.csv", content)
        (held,) = HELD.findall(looked.text)
        assert sender.post("/loans/files/enter", {"held": held}).status_code == 303
    form = {"key": "ab" * 16, "format": "csv", "reason": "更正文件"}
    assert re.findall(r'href="/loans/files/([0-9]+)"', narrow.get("/loans/files").text) == ["2"]
    assert re.findall(r'href="/loans/files/([0-9]+)"', whole.get("/loans/files").text) == ["2", "1"]
    assert narrow.get("/loans/files/2").status_code == 200
    assert narrow.get("/loans/files/1").status_code == narrow.get("/loans/files/9").status_code == 404
    assert narrow.post("/loans/files/1/export", form).status_code == 404
    listed = narrow.post("/loans/files/export", form).content.decode("utf-8-sig").splitlines()
    assert [line.split(",")[0].strip('"') for line in listed[1:]] == ["2"]


def test_cells_that_would_do_harm_are_text(console: RunningConsole, office: Office) -> None:
    adopt_example(office)
    bank = console.sign_in(BANK_ADMIN)
    row = '2024-05-10,放款,,"=HYPERLINK(""http://x"")",1,<script>alert(1)</script>,,,,,,'
    looked = send_file(bank, "/loans/files/preview", "file", "<img src=x>.csv", daily(row))
    assert looked.status_code == 200
    assert "<script>alert" not in looked.text
    assert "<img src=x>" not in looked.text
    (held,) = HELD.findall(looked.text)
    page = bank.get(bank.post("/loans/files/enter", {"held": held}).headers["location"]).text
    (key,) = set(KEY.findall(page))
    got = bank.post("/loans/files/1/export", {"key": key, "format": "csv", "reason": "更正文件"})
    assert got.status_code == 200
    cells = got.content.decode("utf-8-sig").splitlines()[1].split(",")
    assert not any(cell.strip('"').startswith(("=", "+", "@")) for cell in cells)


def test_a_form_larger_than_the_limit_is_refused_and_the_server_lives(console: RunningConsole, office: Office) -> None:
    answer = send_file(console.sign_in(BANK_ADMIN), "/loans/files/preview", "file", "a.csv", b"x" * (17 << 20))
    assert answer.status_code == 413


def test_an_upload_never_lies_in_a_temporary_file(console: RunningConsole, monkeypatch: pytest.MonkeyPatch) -> None:
    def rolled_over(_file: object) -> None:
        raise AssertionError

    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", rolled_over)
    answer = send_file(console.sign_in(BANK_ADMIN), "/loans/files/preview", "file", "a.csv", b"x" * (5 << 20))
    assert answer.status_code == 422, answer.text


def test_a_commitment_is_printed_signed_and_its_image_kept(console: RunningConsole, office: Office) -> None:
    (family,) = final_households(office, 1)
    bank, item = console.sign_in(BANK_ADMIN), number_of(office, family)
    blank = "/loans/commitments/blank?household_no=H000000&contract_no=HT-1&commitment_no=CN-1"
    sheet = bank.get(blank)
    assert sheet.status_code == 200, sheet.text
    assert "郑重承诺" in sheet.text
    assert item not in sheet.text
    (key,) = set(KEY.findall(bank.get("/loans/commitments/new").text))
    typed = {
        "key": key,
        "commitment_no": "CN-1",
        "contract_no": "HT-1",
        "signed_on": "2024-05-10",
        "witness": "见证人甲",
    }
    wrong = send_file(bank, "/loans/commitments/new", "image", "", b"", **typed, item="12345")
    assert wrong.status_code == 422
    assert 'value="CN-1"' in wrong.text
    picture = io.BytesIO()
    Image.new("RGB", (40, 30), "white").save(picture, "PNG")
    done = send_file(bank, "/loans/commitments/new", "image", "a.png", picture.getvalue(), **typed, item=item)
    assert done.status_code == 303, done.text
    page = bank.get(done.headers["location"]).text
    (text_hash,) = office.database.execute("SELECT text_sha256 FROM commitment").fetchone()
    assert text_hash in page
    image = bank.get("/loans/commitments/1/image")
    assert (image.headers["content-type"], image.content[:2]) == ("image/jpeg", b"\xff\xd8")
    other = io.BytesIO()
    Image.new("RGB", (40, 30), "black").save(other, "PNG")
    assert send_file(bank, "/loans/commitments/1/image", "image", "b.png", other.getvalue()).status_code == 422
    assert send_file(bank, "/loans/commitments/1/image", "image", "c.png", b"<svg onload=alert(1)>").status_code == 422
    assert text_hash in bank.get("/loans/commitments/1/print").text
    assert "CN-1" in bank.get("/loans/commitments?number=HT-1").text


def test_the_next_page_of_commitments_keeps_what_was_looked_for(
    console: RunningConsole, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commitments, "PAGE", 1)
    mine, other = final_households(office, 2)
    for household, number in ((mine, "HT-1"), (other, "HT-2"), (mine, "HT-3")):
        lend(office, household, number)
    (household_no,) = office.database.execute("SELECT household_no FROM household WHERE household_id = ?", [mine])
    bank = console.sign_in(BANK_ADMIN)
    first = bank.get(f"/loans/commitments?number={household_no[0]}").text
    (following,) = re.findall(r'rel="next" href="([^"]+)"', first)
    second = bank.get(unescape(following)).text
    shown = [re.findall(r"\bHT-[0-9]\b", page) for page in (first, second)]
    assert [set(one) for one in shown] == [{"HT-3"}, {"HT-1"}]
    assert 'rel="next"' not in second


def test_one_bank_sees_nothing_of_another(console: RunningConsole, office: Office) -> None:
    (family,) = final_households(office, 1)
    loan = lend(office, family)
    bank = console.sign_in(BANK_ADMIN)
    looked = send_file(bank, "/loans/files/preview", "file", "a.csv", daily("2024-05-10,放款,,HT-404,1,5,,,,,,"))
    bank.post("/loans/files/enter", {"held": HELD.findall(looked.text)[0]})
    Claims(office).accrue(date(2025, 3, 2))
    stranger = console.sign_in(OTHER_BANK_ADMIN)
    assert "HT-1" not in stranger.get("/loans").text
    assert "HT-1" not in stranger.get("/loans/commitments").text
    assert "HT-404" not in stranger.get("/loans/files").text
    forbidden = (f"/loans/{loan}", "/loans/commitments/1", "/loans/commitments/1/print", "/loans/files/1",
                 "/loans/commitments/1/image", "/claims/lines/1")  # fmt: skip
    for path in forbidden:
        assert stranger.get(path).status_code == 404, path
        assert bank.get(path).status_code in (200, 404), path
    assert send_file(stranger, "/loans/commitments/1/image", "image", "a.png", b"x").status_code == 404
    blank = "/loans/commitments/blank?household_no=H000000&contract_no=HT-1&commitment_no=CN-1"
    assert stranger.get(blank).status_code == 404  # nobody of that household is its customer
    exported = stranger.post("/loans/export", {"key": "0" * 32, "format": "csv", "reason": "x", "bank": BANK_NO})
    assert "HT-1" not in exported.text
    assert bank.post(f"/loans/{loan}/stop", {"key": "0" * 32, "day": "2025-01-01", "reason": "N31"}).status_code == 403


def test_one_township_sees_nothing_of_another(console: RunningConsole, office: Office) -> None:
    (family,) = final_households(office, 1)
    loan = lend(office, family)
    stranger = console.sign_in(ELSEWHERE)
    assert "HT-1" not in stranger.get("/loans").text
    assert "HT-1" not in stranger.get("/loans/commitments").text
    assert stranger.get(f"/loans/{loan}").status_code == 404
    form = {"key": "0" * 32, "day": "2025-01-01", "reason": "N31"}
    assert stranger.post(f"/loans/{loan}/stop", form).status_code == 404
    for actor in (TOWNSHIP, PROVINCE):
        assert console.sign_in(actor).get("/loans").status_code == 403
        assert console.sign_in(actor).get(f"/loans/{loan}").status_code == 403


def test_an_auditor_reads_and_changes_nothing(console: RunningConsole, office: Office) -> None:
    (family,) = final_households(office, 1)
    loan = lend(office, family)
    auditor = console.sign_in(AUDITOR)
    page = auditor.get(f"/loans/{loan}").text
    assert 'id="decide"' not in page
    assert (
        auditor.post(f"/loans/{loan}/stop", {"key": "0" * 32, "day": "2025-01-01", "reason": "N31"}).status_code == 403
    )
    assert 'type="file"' not in auditor.get("/loans/files").text
    assert send_file(auditor, "/loans/files/preview", "file", "a.csv", daily()).status_code in (403, 404)
    assert auditor.get("/loans/commitments/new").status_code == 403


def test_two_banks_beside_each_other_for_the_county(console: RunningConsole, office: Office) -> None:
    first = final_households(office, 1)[0]
    other = add_households(office, 1, first=7)[0]
    put_on_list(office, [other], adopt_example(office).sha256, date(2024, 1, 15))
    lend(office, first, "HT-1")
    lend(office, other, "QT-1", actor=OTHER_BANK_ADMIN, bank=OTHER_BANK_NO)
    handler = console.sign_in(HANDLER)
    page = handler.get("/loans").text
    names = re.findall(r"<option>([^<]+)</option>", page.split('id="bank"')[1].split("</select>")[0])
    assert len(names) == 2
    found = [in_column(handler.get(f"/loans?bank={name}").text, "合同与家庭编号") for name in names]
    assert sorted(cell.split()[0] for (cell,) in found) == ["HT-1", "QT-1"]
    assert handler.get("/loans?bank=nobody").status_code == 404


def test_the_calculator_agrees_with_the_worked_loan(console: RunningConsole, office: Office) -> None:
    adopt_example(office)
    handler = console.sign_in(HANDLER)
    page = handler.get("/loans/calculator?principal=100000&rate=4.35&start=2024-05-10&end=2025-05-10").text
    for shown in ("32.09", "70.28", "69.51", "68.75", "38.20", "171.88", "106.95", "278.83"):
        assert shown in page, shown


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("principal=1e9&rate=4.35&start=2024-05-10&end=2025-05-10", "金额写作"),
        ("principal=0&rate=4.35&start=2024-05-10&end=2025-05-10", "金额写作"),
        ("principal=1&rate=-1&start=2024-05-10&end=2025-05-10", "利率写作"),
        ("principal=1&rate=4&start=x&end=2025-05-10", "请填起息日"),
        ("principal=1&rate=4&start=2024-05-10&end=9999-12-31", "试算最长十年"),
        ("principal=1&rate=4&start=2024-05-10&end=2024-05-10", "到期不晚于起息"),
        ("principal=1&rate=4&start=9998-01-01&end=9999-12-31", "没有唯一生效的政策"),
        ("principal=1&rate=4&start=2024-05-10&end=2025-05-10&repayments=2024-06-01+9", "超过所欠本金"),
        ("principal=1&rate=4&start=2024-05-10&end=2025-05-10&repayments=nonsense", "每行一笔"),
    ],
)
def test_the_calculator_says_what_it_cannot_read(
    console: RunningConsole, office: Office, query: str, words: str
) -> None:
    adopt_example(office)
    answer = console.sign_in(HANDLER).get(f"/loans/calculator?{query}")
    assert answer.status_code == 422
    assert words in answer.text


@pytest.mark.parametrize("query", ["after=-1", "state=NONE", "township=abc", "product=%27--", "after=x"])
def test_an_address_that_no_page_gave_is_refused_as_a_page(console: RunningConsole, office: Office, query: str) -> None:
    answer = console.sign_in(HANDLER).get(f"/loans?{query}")
    assert answer.status_code == 422
    assert "text/html" in answer.headers["content-type"]


def test_what_is_not_there_is_a_page_that_says_so(console: RunningConsole, office: Office) -> None:
    handler = console.sign_in(HANDLER)
    for path in ("/loans/999", "/loans/commitments/999", "/loans/files/999", "/claims/lines/999"):
        assert handler.get(path).status_code == 404, path
    assert "还没有贷款" in handler.get("/loans").text
    assert contract("x").contract_no not in handler.get("/loans").text
