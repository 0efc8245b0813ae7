"""工作台 through a real server: who waits, the same step for many with a result for each, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from bureau_office import AUDITOR, CHECKER, HANDLER, MANAGER, TOWNSHIP_CODE, add_households, make_office
from console.pages import key_of, rows_of
from console_server import RunningConsole, Visitor
from reviewing import DAY_S, FITTING, add_waiting, begin, state_of
from visiting import collect, form_values, household_items, plan_and_assign, to_be_visited

from keys.clock import SettableClock
from matcher.bureau.office import Office
from matcher.households import Households
from matcher.reviews import Reviews

PICK = re.compile(r'name="pick"[^>]*\s+value="([^"]+)"')
KEY = re.compile(r'name="key" value="([0-9a-f]{32})"')


@pytest.fixture
def office(tmp_path: Path, clock: SettableClock):  # type: ignore[no-untyped-def]
    opened = make_office(tmp_path / "bureau", clock)
    begin(opened)
    yield opened
    opened.verify_audit()
    opened.close()


def act(visitor: Visitor, page: str, what: str, picks: list[str], **more: object) -> str:
    (key,) = set(KEY.findall(page))
    answer = visitor.post("/queue", {"act": what, "key": key, "pick": picks, **more})
    assert answer.status_code == 200, answer.text
    return answer.text


def test_the_way_to_approval_over_pages(console: RunningConsole, office: Office) -> None:
    families = add_waiting(office, 3)
    handler, checker = console.sign_in(HANDLER), console.sign_in(CHECKER)
    page = handler.get("/queue").text
    picks = PICK.findall(page)
    assert [int(pick.split("/")[0]) for pick in picks] == families
    assert "办成 3 户，未办成 0 户" in act(handler, page, "claim", picks)
    assert "办成 3 户" in act(handler, handler.get("/queue").text, "propose", picks, verdict="approve")
    page = checker.get("/queue").text  # opens at what waits for a second person
    seen = PICK.findall(page)
    assert all(len(pick.split("/")) == 4 for pick in seen)
    assert "办成 3 户" in act(checker, page, "confirm", seen)
    assert {state_of(office, family) for family in families} == {"APPROVED"}
    page = handler.get("/queue").text
    assert "这一环节没有待办" in page
    assert "走访结果采纳后" in page
    page = handler.get("/queue?stage=approved").text
    assert "办成 3 户" in act(handler, page, "begin", PICK.findall(page))
    assert {state_of(office, family) for family in families} == {"CONFIRMING"}


def test_each_row_has_its_own_result_and_sending_twice_changes_nothing(console: RunningConsole, office: Office) -> None:
    good, bad = add_waiting(office, 2)
    handler = console.sign_in(HANDLER)
    page = handler.get("/queue").text
    picks = PICK.findall(page)
    Reviews(office).decisions.propose(HANDLER, bad, "approve")
    first = act(handler, page, "propose", picks, verdict="approve")
    assert "办成 1 户，未办成 1 户" in first
    assert "未办成</span>" in first
    assert act(handler, page, "propose", picks, verdict="approve") == first
    assert len(Reviews(office).decisions.records.list_of(good)) == 1


def test_nothing_ticked_or_no_verdict_says_what_to_do(console: RunningConsole, office: Office) -> None:
    add_waiting(office)
    handler = console.sign_in(HANDLER)
    page = handler.get("/queue").text
    assert "没有办理任何一户" in act(handler, page, "claim", [])
    assert "没有办理任何一户" in act(handler, page, "propose", PICK.findall(page))


def test_a_proposal_that_changed_is_not_confirmed_in_bulk(console: RunningConsole, office: Office) -> None:
    (family,) = add_waiting(office)
    decisions = Reviews(office).decisions
    decisions.propose(HANDLER, family, "approve")
    checker = console.sign_in(CHECKER)
    page = checker.get("/queue").text
    (pick,) = PICK.findall(page)
    other = pick[:-1] + ("0" if pick[-1] != "0" else "1")
    assert "未办成 1 户" in act(checker, page, "confirm", [other])
    assert state_of(office, family) == "IN_REVIEW"


def test_late_ones_come_first_with_a_word_and_filters_are_in_the_address(
    console: RunningConsole, office: Office, clock: SettableClock
) -> None:
    (late,) = add_waiting(office)
    clock.advance(16 * DAY_S)
    (fresh,) = add_waiting(office, first=1)
    handler = console.sign_in(HANDLER)
    page = handler.get("/queue").text
    assert [int(pick.split("/")[0]) for pick in PICK.findall(page)] == [late, fresh]
    assert page.count('class="late"') == 1
    page = handler.get(f"/queue?late_only=true&township={TOWNSHIP_CODE}&stage=to_propose").text
    assert len(PICK.findall(page)) == 1
    assert f'value="{TOWNSHIP_CODE}" selected' in page
    assert "没有符合筛选条件的户" in handler.get("/queue?township=330922200").text


def test_pages_of_a_long_queue_lead_on_and_show_everybody_once(
    console: RunningConsole, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    families = add_waiting(office, 5)
    monkeypatch.setattr("api.console.queue.PAGE", 2)
    handler, seen, address = console.sign_in(HANDLER), [], "/queue?claimed=nobody"
    while address:
        page = handler.get(address).text
        seen += [int(pick.split("/")[0]) for pick in PICK.findall(page)]
        found = re.search(r'rel="next" href="([^"]+)"', page)
        address = found[1].replace("&amp;", "&") if found else ""
    assert seen == families


def test_who_has_no_business_there_is_refused(console: RunningConsole, office: Office) -> None:
    add_waiting(office)
    for actor in (MANAGER, AUDITOR):
        assert console.sign_in(actor).get("/queue").status_code == 403
    page = console.sign_in(CHECKER).get("/queue?stage=to_propose").text
    assert 'value="propose"' not in page
    assert 'value="claim"' not in page
    refused = act(console.sign_in(CHECKER), page, "claim", PICK.findall(page))
    assert "办成 0 户" in refused


@pytest.mark.parametrize(
    "query", ["stage=none", "township=abc", "after=%27%3B--", "late_after_days=-1", "reason=N1", "claimed=%00"]
)
def test_an_address_that_no_page_gave_is_refused_as_a_page(console: RunningConsole, office: Office, query: str) -> None:
    answer = console.sign_in(HANDLER).get(f"/queue?{query}")
    assert answer.status_code == 422
    assert "text/html" in answer.headers["content-type"]


def test_a_form_that_is_hurt_is_refused(console: RunningConsole, office: Office) -> None:
    (family,) = add_waiting(office)
    handler = console.sign_in(HANDLER)
    for form in ({}, {"act": "erase", "key": "0" * 32}, {"act": "claim", "key": "short"}):
        assert handler.post("/queue", form).status_code == 422
    page = act(handler, handler.get("/queue").text, "claim", ["1; DROP TABLE household/x", "", "x/y"])
    assert "没有办理任何一户" in page
    assert state_of(office, family) == "PENDING_REVIEW"


def test_an_empty_queue_says_what_comes_and_when(console: RunningConsole, office: Office, clock: SettableClock) -> None:
    handler = console.sign_in(HANDLER)
    assert "最近的走访" not in handler.get("/queue").text
    households = add_households(office, 2)
    to_be_visited(office, households)
    first, _ = plan_and_assign(office, households)
    day = office.today()
    assert f"最近的走访安排在{day.year}年{day.month}月{day.day}日。" in handler.get("/queue").text
    collect(office, first, form_values(household_items(0), day.isoformat(), **FITTING))
    assert "有 1 份走访结果已提交，待采纳。" in handler.get("/queue").text
    assert "走访结果已提交" not in handler.get("/queue?stage=approved").text


def test_a_queue_of_one_colleague_is_shown_and_downloaded(console: RunningConsole, office: Office) -> None:
    taken, _ = add_waiting(office, 2)
    Reviews(office).queue.claim(HANDLER, taken)
    checker = console.sign_in(CHECKER)
    page = checker.get("/queue?stage=to_propose").text
    assert f'<option value="@{HANDLER.name}">' in page
    address = f"/queue?stage=to_propose&claimed=%40{HANDLER.name}"
    page = checker.get(address).text
    assert [int(pick.split("/")[0]) for pick in PICK.findall(page)] == [taken]
    form = {"stage": "to_propose", "claimed": f"@{HANDLER.name}", "format": "csv", "key": key_of(page)}
    rows = rows_of(checker.post("/queue/export", {**form, "reason": "分工"}))
    assert (rows[0][0], rows[0][8], len(rows), rows[1][8]) == ("家庭编号", "领取人", 2, HANDLER.name)
    assert rows[1][0] == Households(office).show(CHECKER, taken).household.household_no
    assert not any("990000" in cell for row in rows for cell in row)
    assert checker.post("/queue/export", {**form, "reason": ""}).status_code == 422
    assert checker.get("/queue?claimed=%40A%3B--").status_code == 422
