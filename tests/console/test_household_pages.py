"""One household's page: what it shows to whom, how two persons decide on it, and what a reveal leaves behind."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from bureau_office import (
    AUDITOR,
    BANK_ADMIN,
    CHECKER,
    DEPARTMENT,
    HANDLER,
    MANAGER,
    OTHER_BANK_ADMIN,
    TOWNSHIP,
    make_office,
    person,
)
from console_server import RunningConsole, Visitor, running_console
from made_check import MINZHENG
from reviewing import DAY_S, add_waiting, begin, decide, state_of
from whole_way import NUMBERS, walk

from keys.clock import SettableClock
from matcher.bureau.office import Office
from matcher.checks.service import DepartmentChecks
from matcher.reviews import Reviews
from matcher.rows import fetch_all

KEY = re.compile(r'name="key" value="([0-9a-f]{32})"')


@pytest.fixture
def office(tmp_path: Path, clock: SettableClock) -> Iterator[Office]:
    opened = make_office(tmp_path / "bureau", clock)
    begin(opened)
    yield opened
    opened.verify_audit()
    opened.close()


@pytest.fixture
def family(office: Office) -> int:
    (household,) = add_waiting(office)
    return household


def send(visitor: Visitor, household: int, step: str, **form: object) -> str:
    """A form of the page, and the page that it leads to."""
    page = visitor.get(f"/households/{household}").text
    keys = KEY.findall(page)
    answer = visitor.post(f"/households/{household}/{step}", {"key": keys[0] if keys else "0" * 32, **form})
    if answer.status_code == 303:
        answer = visitor.get(answer.headers["location"])
    return f"{answer.status_code} {answer.text}"


def proposal_of(page: str) -> dict[str, object]:
    decision = re.search(r'name="decision" value="([0-9]+)"', page)
    digest = re.search(r'name="digest" value="([0-9a-f]{64})"', page)
    assert decision
    assert digest
    return {"decision": decision[1], "digest": digest[1]}


def actions_about(office: Office, subject: str) -> list[str]:
    rows = fetch_all(office.database, "SELECT action FROM audit WHERE subject = ? ORDER BY seq", [subject])
    return [action for (action,) in rows]


def test_from_review_to_the_final_list_over_pages(
    console: RunningConsole, office: Office, clock: SettableClock, family: int
) -> None:
    handler, checker, township = map(console.sign_in, (HANDLER, CHECKER, TOWNSHIP))
    claimed = send(handler, family, "claim")
    assert "已领取" in claimed
    assert '<details class="decide" id="decide" open>' in claimed  # it was taken to be decided on
    assert "意见已提出" in send(handler, family, "propose", verdict="approve")
    seen = checker.get(f"/households/{family}").text
    assert "此后没有变化" in seen
    assert "确认：通过" in seen
    assert "已复核确认" in send(checker, family, "answer", act="confirm", **proposal_of(seen))
    assert state_of(office, family) == "APPROVED"
    assert "确认已开始" in send(handler, family, "begin")
    assert "已记录告知" in send(handler, family, "told", how="电话告知")
    day = office.today().isoformat()
    assert "评议结果已记录" in send(township, family, "village", held_on=day, result="agreed")
    assert "409" in send(checker, family, "close")[:3]
    clock.advance(8 * DAY_S)
    console.visitors.clear()  # the sessions have ended in these days
    assert "已列入最终名单" in send(console.sign_in(CHECKER), family, "close")
    assert state_of(office, family) == "FINAL"


def test_the_second_person_sees_the_facts_as_they_were_and_what_changed(
    console: RunningConsole, office: Office, clock: SettableClock, family: int
) -> None:
    proposed = Reviews(office).decisions.propose(HANDLER, family, "approve", remark="各项符合，建议通过")
    clock.advance(3_600)
    ((member,), *_) = fetch_all(office.database, "SELECT member_id FROM member WHERE household_id = ?", [family])
    label = {"assistance": "低保", "as_of": office.today().isoformat()}
    DepartmentChecks(office).enter(
        HANDLER, member, "minzheng", MINZHENG, label=label, as_of=office.today(), document_no="演示-7"
    )
    checker = console.sign_in(CHECKER)
    page = checker.get(f"/households/{family}").text
    assert "各项符合，建议通过" in page
    assert "提出时没有这一项" in page
    assert "现在：</" not in page
    assert re.search(r"<td>无</td><td><strong>低保</strong></td>", page)
    assert 'value="confirm"' not in page  # it cannot be confirmed any more
    refused = send(checker, family, "answer", act="confirm", decision=proposed.decision_id, digest=proposed.digest)
    assert refused.startswith("409")
    assert state_of(office, family) == "IN_REVIEW"
    sent = send(
        checker, family, "answer", act="send_back", decision=proposed.decision_id, digest=proposed.digest,
        remark="请核实低保情况",
    )  # fmt: skip
    assert "已退回提出人" in sent
    assert "请核实低保情况" in sent


def test_another_proposal_than_the_one_seen_is_not_confirmed(
    console: RunningConsole, office: Office, family: int
) -> None:
    Reviews(office).decisions.propose(HANDLER, family, "approve")
    checker = console.sign_in(CHECKER)
    seen = proposal_of(checker.get(f"/households/{family}").text)
    assert send(checker, family, "answer", act="confirm", **{**seen, "digest": "0" * 64}).startswith("409")
    assert state_of(office, family) == "IN_REVIEW"


def test_a_proposer_withdraws_and_cannot_answer_alone(console: RunningConsole, office: Office, family: int) -> None:
    decisions = Reviews(office).decisions
    proposed = decisions.propose(HANDLER, family, "approve")
    handler = console.sign_in(HANDLER)
    page = handler.get(f"/households/{family}").text
    assert "撤回意见" in page
    assert 'value="confirm"' not in page
    answer = send(handler, family, "answer", act="confirm", decision=proposed.decision_id, digest=proposed.digest)
    assert answer.startswith("403")
    assert "意见已撤回" in send(handler, family, "withdraw", decision=proposed.decision_id)
    assert decisions.records.read(proposed.decision_id).state == "withdrawn"


def test_what_is_missing_is_said_at_its_field_and_what_was_typed_stays(
    console: RunningConsole, office: Office, family: int
) -> None:
    handler = console.sign_in(HANDLER)
    page = send(handler, family, "propose", remark="人均收入偏高")
    assert page.startswith("422")
    assert 'href="#verdict"' in page
    assert "人均收入偏高" in page
    page = send(handler, family, "propose", verdict="reject", remark="人均收入偏高")
    assert page.startswith("422")
    assert 'href="#reason"' in page
    assert "人均收入偏高" in page
    assert re.search(r'value="reject" checked', page)
    page = send(handler, family, "propose", verdict="return")
    assert page.startswith("422")
    assert 'href="#remark"' in page
    assert Reviews(office).decisions.records.list_of(family) == []


def test_a_form_sent_twice_proposes_once(console: RunningConsole, office: Office, family: int) -> None:
    handler = console.sign_in(HANDLER)
    (key, *_) = KEY.findall(handler.get(f"/households/{family}").text)
    for _ in range(2):
        answer = handler.post(f"/households/{family}/propose", {"key": key, "verdict": "approve"})
        assert answer.status_code == 303
    assert len(Reviews(office).decisions.records.list_of(family)) == 1


def test_an_appeal_and_an_objection_open_the_review_again(console: RunningConsole, office: Office) -> None:
    refused, approved = add_waiting(office, 2)
    decide(office, refused, "reject", reasons=["N01"], remark="核实后超过上限")
    decide(office, approved)
    Reviews(office).confirmations.begin(HANDLER, [approved])
    township, day = console.sign_in(TOWNSHIP), office.today().isoformat()
    page = send(township, refused, "speak", kind="appeal", received_on=day, who="演示户主", why="收入有误")
    assert "申诉已登记" in page
    page = send(township, approved, "speak", kind="objection", received_on=day, who="演示邻居", why="另有房产")
    assert "异议已登记" in page
    assert {state_of(office, one) for one in (refused, approved)} == {"IN_REVIEW"}
    assert "另有房产" in console.sign_in(HANDLER).get(f"/households/{approved}").text


def test_nothing_is_shown_in_the_clear_until_it_is_revealed_with_a_reason(
    console: RunningConsole, office: Office, family: int
) -> None:
    handler, number = console.sign_in(HANDLER), person(0)
    page = handler.get(f"/households/{family}").text
    assert number not in page
    assert "13800000000" not in page
    assert "99****" in page
    member = int(re.search(r'name="member" value="([0-9]+)"', page)[1])  # type: ignore[index]
    form = {"member": member, "field": "number"}
    refused = handler.post(f"/households/{family}/reveal", {**form, "reason": " "})
    assert refused.status_code == 422
    assert number not in refused.text
    answer = handler.post(f"/households/{family}/reveal", {**form, "reason": "核对身份证"})
    assert answer.status_code == 200
    assert number in answer.text
    assert answer.headers["refresh"] == f"60; url=/households/{family}"
    assert actions_about(office, f"member/{member}").count("person.reveal") == 1
    assert number not in handler.get(f"/households/{family}").text
    other = console.sign_in(TOWNSHIP).post(f"/households/{family}/reveal", {**form, "reason": "核对身份证"})
    assert other.status_code == 403
    assert number not in other.text
    assert actions_about(office, f"member/{member}")[-1] != "person.reveal"


def test_place_and_photos_are_shown_to_whom_they_may_and_recorded(
    console: RunningConsole, office: Office, family: int
) -> None:
    checker = console.sign_in(CHECKER)
    page = checker.get(f"/households/{family}").text
    image = re.search(r'src="(/households/images/([0-9]+)/[0-9]+)"', page)
    assert image
    assert "122.45" not in page
    answer = checker.get(image[1])
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.content[:2] == b"\xff\xd8"
    assert "122.450000" in checker.post(f"/households/{family}/place", {"visit": image[2]}).text
    assert {"attachment.read", "visit.place"} <= set(actions_about(office, f"visit/{image[2]}"))
    assert console.sign_in(AUDITOR).post(f"/households/{family}/place", {"visit": image[2]}).status_code == 403
    assert console.sign_in(OTHER_BANK_ADMIN).get(image[1]).status_code == 404


def test_people_are_found_by_number_or_name_and_nothing_stands_in_the_address(
    console: RunningConsole, office: Office, family: int
) -> None:
    handler = console.sign_in(HANDLER)
    for wanted in (person(0), f" {person(0).lower()} ", "演示0"):
        answer = handler.post("/households/search", {"wanted": wanted})
        assert f'href="/households/{family}"' in answer.text
        assert person(0) not in answer.text
    assert "没有找到" in handler.post("/households/search", {"wanted": "演示九九"}).text
    assert handler.post("/households/search", {"wanted": "123456"}).status_code == 422
    assert handler.get("/households/search").status_code in (404, 405, 422)
    assert console.sign_in(DEPARTMENT).post("/households/search", {"wanted": "演示0"}).status_code == 403


def test_the_list_filters_by_its_address(console: RunningConsole, office: Office, family: int) -> None:
    handler = console.sign_in(HANDLER)
    assert "H000000" in handler.get("/households?state=PENDING_REVIEW").text
    assert "没有符合筛选条件的户" in handler.get("/households?state=FINAL").text
    assert handler.get("/households?state=NONE").status_code == 422
    assert handler.get("/households/999").status_code == 404
    assert handler.get("/households/x").status_code in (404, 422)


def test_another_county_bank_or_township_is_not_there(console: RunningConsole, office: Office, family: int) -> None:
    """IDOR: a number in an address opens nothing that is not in the account's care."""
    (elsewhere,) = add_waiting(office, first=5)
    with office.writing() as database:
        database.execute("UPDATE household SET division = '330922200', township = '330922200' WHERE household_id = ?",
                         [elsewhere])  # fmt: skip
    for actor in (TOWNSHIP, MANAGER):
        assert console.sign_in(actor).get(f"/households/{family}").status_code == 200
        assert console.sign_in(actor).get(f"/households/{elsewhere}").status_code == 404
    assert console.sign_in(OTHER_BANK_ADMIN).get(f"/households/{family}").status_code == 404
    steps = ("claim", "release", "begin", "close")
    assert {console.sign_in(TOWNSHIP).post(f"/households/{family}/{step}", {"key": "0" * 32}).status_code
            for step in steps} == {403}  # fmt: skip


def test_sensitive_reasons_are_for_the_finance_bureau_alone(tmp_path: Path) -> None:
    """N10 stands in the label, a department's answer and a remark; others learn none of it from any page."""
    world = walk(tmp_path)
    with running_console(world.office) as console:
        for actor in (TOWNSHIP, MANAGER, BANK_ADMIN, AUDITOR):
            visitor = console.sign_in(actor)
            for path in ("/households", *(f"/households/{one}" for one in world[2:])):
                page = visitor.get(path).text.replace("方案未规定排除低保、低边、特困", "")  # the policy's own clause
                for word in ("N10", "低保", "演示-2", "人工核实后纳入", *NUMBERS):
                    assert word not in page, (actor.name, path, word)
        page = console.sign_in(HANDLER).get(f"/households/{world.final}").text
        assert "低保" in page
        assert "100,000.00" in page
        assert not any(number in page for number in NUMBERS)
    world.office.close()
