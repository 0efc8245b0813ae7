"""确认期 and 最终名单 over pages: told, agreed, closed in bulk; changes by two persons; files that take two persons."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from bureau_office import (
    AUDITOR,
    BANK_ADMIN,
    BANK_NO,
    CHECKER,
    HANDLER,
    MANAGER,
    OTHER_BANK_NO,
    TOWNSHIP,
    make_office,
    person,
)
from console.pages import key_of, rows_of, send, todo_of
from console_server import RunningConsole
from reviewing import DAY_S, add_waiting, begin, confirm_quietly, decide, state_of

from keys.clock import SettableClock
from matcher.bureau.office import Office
from matcher.reviews import Reviews

CONFIRMING, FINAL = "/households/confirmations", "/households/final"
PICK = re.compile(r'name="pick" value="([^"]+)"')


@pytest.fixture
def office(tmp_path: Path, clock: SettableClock) -> Iterator[Office]:
    opened = make_office(tmp_path / "bureau", clock)
    begin(opened)
    yield opened
    opened.verify_audit()
    opened.close()


def test_from_approval_to_the_list_in_bulk(
    console: RunningConsole, office: Office, clock: SettableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.console.todo.KEPT_S", 0)
    families = add_waiting(office, 2)
    for family in families:
        decide(office, family)
    Reviews(office).confirmations.begin(HANDLER, families)
    handler, checker, township = map(console.sign_in, (HANDLER, CHECKER, TOWNSHIP))
    page = handler.get(f"{CONFIRMING}?waits_for=sms").text
    assert PICK.findall(page) == [str(family) for family in families]
    path = f"{CONFIRMING}?waits_for=sms"
    assert send(handler, page, path, act="told", pick=families, how=" ").status_code == 422
    assert "办成 2 户" in send(handler, page, path, act="told", pick=families, how="短信已发送").text
    page = township.get(f"{CONFIRMING}?waits_for=village").text
    today = office.today().isoformat()
    tomorrow = send(township, page, CONFIRMING, act="agreed", pick=families, held_on="2030-01-01")
    assert (tomorrow.status_code, "今天或以前" in tomorrow.text) == (422, True)
    assert "办成 2 户" in send(township, page, CONFIRMING, act="agreed", pick=families, held_on=today).text
    page = checker.get(f"{CONFIRMING}?waits_for=close").text
    assert PICK.findall(page) == [], "the days still run"
    assert "待异议期满" in checker.get(CONFIRMING).text
    clock.advance(8 * DAY_S)
    console.visitors.clear()  # their sessions ended
    checker = console.sign_in(CHECKER)
    page = checker.get(f"{CONFIRMING}?waits_for=close").text
    assert todo_of(page) == 2
    assert "办成 2 户" in send(checker, page, CONFIRMING, act="close", pick=families).text
    assert {state_of(office, family) for family in families} == {"FINAL"}
    page = checker.get(FINAL).text
    assert '在名单上 <span class="count">2</span>' in page


def test_an_objection_of_the_village_opens_the_review_again(console: RunningConsole, office: Office) -> None:
    (family,) = add_waiting(office)
    decide(office, family)
    Reviews(office).confirmations.begin(HANDLER, [family])
    Reviews(office).confirmations.tell(HANDLER, family, "电话")
    township = console.sign_in(TOWNSHIP)
    page = township.get(f"{CONFIRMING}?waits_for=village").text
    form = {"act": "objected", "pick": [family], "held_on": office.today().isoformat()}
    assert "未办成 1 户" in send(township, page, CONFIRMING, **form).text, "it has to say why"
    page = township.get(f"{CONFIRMING}?waits_for=village").text
    assert "办成 1 户" in send(township, page, CONFIRMING, **form, why="不在本村居住").text
    assert state_of(office, family) == "IN_REVIEW"


def test_changes_of_the_list_take_two_persons(console: RunningConsole, office: Office, clock: SettableClock) -> None:
    families = add_waiting(office, 2)
    for family in families:
        decide(office, family)
        confirm_quietly(office, clock, family)
    handler, checker = console.sign_in(HANDLER), console.sign_in(CHECKER)
    page = handler.get(FINAL).text
    form = {"act": "propose", "verdict": "suspend", "pick": families}
    assert "未办成 2 户" in send(handler, page, FINAL, **form).text, "a reason is missing"
    assert "办成 2 户" in send(handler, handler.get(FINAL).text, FINAL, **form, reason="N30").text
    page = handler.get(f"{FINAL}?stays=waiting").text
    assert "等另一人复核" in page
    assert PICK.findall(page) == [], "nobody answers their own"
    page = checker.get(f"{FINAL}?stays=waiting").text
    picks = PICK.findall(page)
    assert len(picks) == 2
    own = send(handler, page, FINAL, act="confirm", pick=picks)
    assert "未办成 2 户" in own.text
    assert "办成 2 户" in send(checker, page, FINAL, act="confirm", pick=picks).text
    assert {state_of(office, family) for family in families} == {"SUSPENDED"}
    page = handler.get(f"{FINAL}?stays=suspended").text
    assert "resume" in page
    resume = {"act": "propose", "verdict": "resume", "pick": families[:1]}
    assert "办成 1 户" in send(handler, page, FINAL, **resume, remark="情况已核实").text
    page = checker.get(f"{FINAL}?stays=waiting").text
    assert "办成 1 户" in send(checker, page, FINAL, act="confirm", pick=PICK.findall(page)).text
    page = checker.get(f"{FINAL}?stays=all").text
    assert "共 3 段" in page, "a stay that began again is another"
    assert "没有办理任何一户" in send(handler, page, FINAL, act="propose", verdict="remove", pick=["x/1"]).text


def test_a_text_file_waits_for_a_second_person_and_tells_nobody_by_itself(
    console: RunningConsole, office: Office
) -> None:
    (family,) = add_waiting(office)
    decide(office, family)
    Reviews(office).confirmations.begin(HANDLER, [family])
    handler, checker = console.sign_in(HANDLER), console.sign_in(CHECKER)
    page = handler.get(CONFIRMING).text
    answer = handler.post(
        f"{CONFIRMING}/export", {"key": key_of(page), "file": "sms", "format": "csv", "reason": "发送告知短信"}
    )
    assert (answer.status_code, answer.headers["location"][:10]) == (303, "/downloads")
    assert state_of(office, family) == "CONFIRMING"
    (running,) = Reviews(office).confirmations.list_running()
    assert running.sms_at is None, "nobody was told yet"
    assert todo_of(checker.get("/todo").text) >= 1
    number = re.search(r"/downloads/([0-9]{8}-[2-9A-Z]{6})/decide", checker.get("/downloads").text)
    assert number, "whoever confirms may agree"
    assert checker.post(f"/downloads/{number[1]}/decide", {"answer": "agree"}).status_code == 303
    file = handler.post(f"/downloads/{number[1]}/fetch")
    assert file.status_code == 200
    assert handler.post(f"{CONFIRMING}/export", {"key": "0" * 32, "file": "sms", "reason": ""}).status_code == 422
    assert console.sign_in(AUDITOR).post(
        f"{CONFIRMING}/export", {"key": "0" * 32, "file": "sms", "reason": "甲"}
    ).status_code == 403  # fmt: skip


def test_refused_families_are_told(console: RunningConsole, office: Office) -> None:
    first, second = add_waiting(office, 2)
    for family in (first, second):
        decide(office, family, "reject", reasons=["N01"], remark="收入核实超过上限")
    handler = console.sign_in(HANDLER)
    page = handler.get(CONFIRMING).text
    assert "还没有告知的家庭" in page
    assert "办成 1 户" in send(handler, page, CONFIRMING, act="refusal_told", pick=[first], how="短信已发送").text
    page = handler.get(f"/households/{second}").text
    done = send(handler, page, f"/households/{second}/refusal-told", how="上门告知").text
    assert "已记录告知" in done
    assert "refusal-told" not in done
    assert "还没有告知的家庭" not in handler.get(CONFIRMING).text


def test_the_list_goes_out_without_people_at_once_and_with_them_by_two(
    console: RunningConsole, office: Office, clock: SettableClock
) -> None:
    (family,) = add_waiting(office)
    decide(office, family)
    confirm_quietly(office, clock, family)
    handler = console.sign_in(HANDLER)
    form = {"format": "csv", "reason": "核对", "stays": "present"}
    rows = rows_of(handler.post(f"{FINAL}/export", {"key": key_of(handler.get(FINAL).text), **form}))
    assert [row[0] for row in rows] == ["家庭编号", "H000000"]
    assert person(0) not in str(rows)
    bank = console.sign_in(BANK_ADMIN)
    page = bank.get(FINAL).text
    whole = {"format": "csv", "reason": "放款核对", "bank": BANK_NO}
    answer = bank.post(f"{FINAL}/export-bank", {"key": "1" * 32, **whole})
    assert (answer.status_code, answer.headers["location"][:10]) == (303, "/downloads")
    assert OTHER_BANK_NO not in page
    other = bank.post(f"{FINAL}/export-bank", {"key": "2" * 32, **whole, "bank": OTHER_BANK_NO})
    assert other.status_code == 404
    assert console.sign_in(MANAGER).post(f"{FINAL}/export-bank", {"key": "3" * 32, **whole}).status_code == 403


def test_who_sees_what(console: RunningConsole, office: Office, clock: SettableClock) -> None:
    (family,) = add_waiting(office)
    decide(office, family)
    confirm_quietly(office, clock, family)
    for actor, may_confirm in ((TOWNSHIP, 200), (CHECKER, 200), (AUDITOR, 403), (MANAGER, 403)):
        visitor = console.sign_in(actor)
        assert visitor.get(CONFIRMING).status_code == may_confirm
        page = visitor.get(FINAL).text
        assert "H000000" in page
        assert ('name="pick"' in page) == (actor is CHECKER)
    auditor = console.sign_in(AUDITOR)
    forged = auditor.post(FINAL, {"key": "0" * 32, "act": "propose", "verdict": "remove", "pick": [family],
                                  "reason": "N30"})  # fmt: skip
    assert "办成 0 户" in forged.text
    assert state_of(office, family) == "FINAL"
    for query in ("stays=none", "area=x", "after=-1"):
        assert auditor.get(f"{FINAL}?{query}").status_code == 422
