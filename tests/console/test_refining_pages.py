"""细化 over pages: a trial that changes nothing, groups taken over with a reason, and the same step for named ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bureau_office import (
    AUDITOR,
    CHECKER,
    HANDLER,
    OTHER_TOWNSHIP_CODE,
    TOWNSHIP,
    TOWNSHIP_CODE,
    add_households,
    make_office,
)
from console.pages import key_of, rows_of, send
from console_server import RunningConsole
from handed_over import COUNTY
from visiting import adopt_policy

from keys.clock import SettableClock
from matcher.bureau.office import Office
from matcher.rows import fetch_all

HERE = "/households/refinement"


@pytest.fixture
def office(tmp_path: Path, clock: SettableClock) -> Iterator[Office]:
    opened = make_office(tmp_path / "bureau", clock)
    adopt_policy(opened)
    yield opened
    opened.verify_audit()
    opened.close()


@pytest.fixture
def mixed(office: Office) -> dict[str, list[int]]:
    return {
        "fit": add_households(office, 3),
        "elsewhere": add_households(office, 2, first=10, division=OTHER_TOWNSHIP_CODE),
        "old": add_households(office, 2, first=20, born=1950),
        "poor": add_households(office, 1, first=40, expanding="0", reasons="N10"),
    }


def states(office: Office) -> dict[str, int]:
    return dict(fetch_all(office.database, "SELECT state, COUNT(*) FROM household GROUP BY state"))


def test_a_trial_counts_and_changes_nothing(
    console: RunningConsole, office: Office, mixed: dict[str, list[int]]
) -> None:
    handler = console.sign_in(HANDLER)
    page = handler.get(HERE).text
    assert "全县（8）" in page
    before = office.verify_audit()
    page = send(handler, page, HERE, act="try").text
    for words in ("建议纳入", "建议排除", "超过年龄", "须人工核实", "纳入全部建议纳入的 5 户", "按政策"):
        assert words in page, words
    assert (states(office), office.verify_audit()) == ({"MATCHED": 8}, before)
    page = send(handler, page, HERE, act="try", township=OTHER_TOWNSHIP_CODE).text
    assert "纳入全部建议纳入的 2 户" in page


def test_groups_are_taken_over_with_a_reason_and_twice_is_once(
    console: RunningConsole, office: Office, mixed: dict[str, list[int]]
) -> None:
    handler = console.sign_in(HANDLER)
    page = send(handler, handler.get(HERE).text, HERE, act="try").text
    chosen = {"act": "take", "take_in": "true", "put_out": ["N04"]}
    refused = send(handler, page, HERE, **chosen)
    assert (refused.status_code, "请写明这样办理的理由" in refused.text) == (422, True)
    assert 'name="take_in" value="true" checked' in refused.text, "what was ticked is kept"
    assert "请至少勾选一组" in send(handler, page, HERE, act="take", remark="按口径").text
    number = send(handler, page, HERE, **chosen, remark="见证件 990000198501010011")
    assert (number.status_code, states(office)) == (422, {"MATCHED": 8})
    key = key_of(page)
    for _ in range(2):
        done = handler.post(HERE, {"key": key, **chosen, "remark": "按口径"})
        assert "办成 7 户，未办成 0 户" in done.text
    assert states(office) == {"MATCHED": 1, "REFINED_IN": 5, "REFINED_OUT": 2}
    assert "按口径" in handler.get(f"/households/{mixed['old'][0]}").text


def test_without_a_policy_in_force_the_page_says_so(
    console: RunningConsole, office: Office, clock: SettableClock, mixed: dict[str, list[int]]
) -> None:
    clock.advance(5 * 366 * 86_400)
    handler = console.sign_in(HANDLER)
    answer = send(handler, handler.get(HERE).text, HERE, act="try")
    assert (answer.status_code, "今天没有生效的政策" in answer.text) == (409, True)
    assert 'role="alert"' in answer.text


def test_the_list_of_those_to_visit(console: RunningConsole, office: Office, mixed: dict[str, list[int]]) -> None:
    handler = console.sign_in(HANDLER)
    send(handler, handler.get(HERE).text, HERE, act="take", take_in="true", remark="按口径")
    page = handler.get(HERE).text
    done = send(handler, page, "/households/visit-list", area=OTHER_TOWNSHIP_CODE).text
    assert "办成 2 户" in done
    assert states(office)["TO_VISIT"] == 2
    assert "办成 3 户" in send(handler, handler.get(HERE).text, "/households/visit-list", area=COUNTY).text
    assert "没有等待列入走访的家庭" in handler.get(HERE).text


def test_named_households_in_out_and_to_be_visited(
    console: RunningConsole, office: Office, mixed: dict[str, list[int]]
) -> None:
    handler = console.sign_in(HANDLER)
    page = handler.get("/households?state=MATCHED").text
    first, second, third = mixed["fit"]
    act = "/households/act"
    without = send(handler, page, act, act="out", pick=[first], remark="已迁出").text
    assert "未办成 1 户" in without, "leaving out needs a reason"
    assert "办成 1 户" in send(handler, handler.get("/households?state=MATCHED").text, act,
                              act="out", pick=[first], reason="N05", remark="已迁出").text  # fmt: skip
    done = send(handler, handler.get("/households?state=MATCHED").text, act, act="in", pick=[second, third, first])
    assert "办成 2 户，未办成 1 户" in done.text
    assert "办成 2 户" in send(handler, handler.get("/households?state=REFINED_IN").text, act,
                              act="visit_list", pick=[second, third]).text  # fmt: skip
    assert states(office) == {"MATCHED": 5, "REFINED_OUT": 1, "TO_VISIT": 2}
    assert "没有办理任何一户" in send(handler, page, act, act="in").text


def test_who_may_not_is_refused_and_sees_no_boxes(
    console: RunningConsole, office: Office, mixed: dict[str, list[int]]
) -> None:
    for actor in (CHECKER, AUDITOR):
        visitor = console.sign_in(actor)
        assert visitor.get(HERE).status_code == 403
        page = visitor.get("/households?state=MATCHED").text
        assert 'name="pick"' not in page
        assert HERE not in page
        form = {"key": "0" * 32, "act": "in", "pick": mixed["fit"]}
        assert visitor.post("/households/act", form).status_code == 403
        assert (
            visitor.post(HERE, {"key": "0" * 32, "act": "take", "take_in": "true", "remark": "甲"}).status_code == 403
        )
        assert visitor.post("/households/visit-list", {"key": "0" * 32, "area": COUNTY}).status_code == 403
    assert states(office) == {"MATCHED": 8}


@pytest.mark.parametrize(
    "back", ["https://elsewhere.example/", "//elsewhere.example", "/accounts", "/households\r\nx: y"]
)
def test_a_way_back_that_no_page_gave_is_refused(console: RunningConsole, office: Office, back: str) -> None:
    form = {"key": "0" * 32, "act": "in", "back": back}
    assert console.sign_in(HANDLER).post("/households/act", form).status_code == 422


def test_the_list_filters_by_reason_and_bank_and_is_downloaded_as_it_shows(
    console: RunningConsole, office: Office, mixed: dict[str, list[int]]
) -> None:
    handler = console.sign_in(HANDLER)
    page = handler.get("/households?reason=N10").text
    assert ("H000040" in page, "H000000" in page) == (True, False)
    assert "没有符合筛选条件的户" in handler.get("/households?bank=00ff").text
    assert console.sign_in(AUDITOR).get("/households?reason=N10").status_code == 403, "a filter tells as a column does"
    page = handler.get(f"/households?area={TOWNSHIP_CODE}").text
    form = {"format": "csv", "area": TOWNSHIP_CODE, "reason": "核对名单"}
    rows = rows_of(handler.post("/households/export", {"key": key_of(page), **form}))
    assert rows[0][:3] == ["家庭编号", "年度", "乡镇（街道）"]
    assert len(rows) == 1 + 6
    assert not any("990000" in cell or "演示" in cell.replace("演示银行", "") for row in rows for cell in row)
    assert "download.take" in console.sign_in(CHECKER).get("/audit?action=download").text
    assert handler.post("/households/export", {"key": "0" * 32, "reason": ""}).status_code == 422
    assert console.sign_in(TOWNSHIP).post("/households/export", {"key": "0" * 32, "reason": "甲"}).status_code == 403
