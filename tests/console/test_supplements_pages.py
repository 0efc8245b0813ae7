"""补充 over pages: households by their numbers with a reason, members added and taken out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from bureau_office import CHECKER, HANDLER, TOWNSHIP, add_households, make_office, person
from console.pages import send
from console_server import RunningConsole
from reviewing import state_of

from keys.clock import SettableClock
from matcher.bureau.office import Office
from matcher.households import Households

HERE = "/households/supplements"


@pytest.fixture
def office(tmp_path: Path, clock: SettableClock) -> Iterator[Office]:
    opened = make_office(tmp_path / "bureau", clock)
    yield opened
    opened.verify_audit()
    opened.close()


def test_households_are_found_by_a_pasted_column_and_taken_in_with_a_reason(
    console: RunningConsole, office: Office
) -> None:
    out, matched, working = add_households(office, 3)
    households = Households(office)
    households.refine_many(HANDLER, [out], "out", reasons=["N01"])
    households.refine_many(HANDLER, [working], "in")
    handler = console.sign_in(HANDLER)
    page = handler.post(HERE, {"numbers": "H000000\nH000001，H000002\tH999999"}).text
    assert re.findall(r'name="pick" value="(\d+)"', page) == [str(out), str(matched)]
    assert "H999999" in page
    assert "不能补充：已在办理" in page
    act = "/households/act"
    form = {"act": "supplement", "pick": [out, matched], "back": HERE}
    assert send(handler, page, act, **form).status_code == 422, "why is missing"
    assert state_of(office, out) == "REFINED_OUT"
    done = send(handler, page, act, **form, remark="镇街核实人数有误")
    assert "办成 2 户" in done.text
    assert f'href="{HERE}"' in done.text
    assert {state_of(office, one) for one in (out, matched)} == {"SUPPLEMENTED"}
    assert "镇街核实人数有误" in handler.get(f"/households/{out}").text


@pytest.mark.parametrize("numbers", ["", " \n ,", "\n".join(f"H{number}" for number in range(201))])
def test_no_number_or_too_many(console: RunningConsole, office: Office, numbers: str) -> None:
    answer = console.sign_in(HANDLER).post(HERE, {"numbers": numbers})
    assert (answer.status_code, 'href="#numbers"' in answer.text) == (422, True)


def test_hostile_numbers_are_text(console: RunningConsole, office: Office) -> None:
    page = console.sign_in(HANDLER).post(HERE, {"numbers": "<script>alert(1)</script>\n'); DROP TABLE household; --"})
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert "没有找到" in page.text


def test_a_member_is_added_and_taken_out_with_a_reason(console: RunningConsole, office: Office) -> None:
    (family,) = add_households(office, 1)
    handler, path = console.sign_in(HANDLER), f"/households/{family}"
    page = handler.get(path).text
    form = {"number": person(77), "name": "演示新", "relation": "child", "remark": "见户口本"}
    wrong = send(handler, page, f"{path}/members", **{**form, "number": "99000019850101"})
    assert (wrong.status_code, 'href="#member-number"' in wrong.text) == (422, True)
    assert 'value="演示新"' in wrong.text, "what was typed is kept"
    missing = send(handler, page, f"{path}/members", **{**form, "remark": " "})
    assert (missing.status_code, 'href="#member-remark"' in missing.text) == (422, True)
    page = send(handler, page, f"{path}/members", **form).text
    assert "成员已补充" in page
    assert person(77) not in page
    (added,) = [one for one in Households(office).show(HANDLER, family).members if one.source == "county"]
    refused = send(handler, page, f"{path}/members/leave", member=added.member_id, remark="")
    assert (refused.status_code, f'href="#leave-{added.member_id}"' in refused.text) == (422, True)
    page = send(handler, page, f"{path}/members/leave", member=added.member_id, remark="已分户").text
    assert "成员已移出" in page
    assert "已离户" in page


def test_who_may_not(console: RunningConsole, office: Office) -> None:
    (family,) = add_households(office, 1)
    for actor in (CHECKER, TOWNSHIP):
        visitor = console.sign_in(actor)
        assert visitor.get(HERE).status_code == 403
        assert visitor.post(HERE, {"numbers": "H000000"}).status_code == 403
        form = {"key": "0" * 32, "number": person(77), "name": "演示", "remark": "甲", "member": 1}
        assert visitor.post(f"/households/{family}/members", form).status_code == 403
        assert visitor.post(f"/households/{family}/members/leave", form).status_code == 403
        assert "add_member" not in visitor.get(f"/households/{family}").text


def test_only_what_was_done_is_said(console: RunningConsole, office: Office) -> None:
    (family,) = add_households(office, 1)
    page = console.sign_in(HANDLER).get(f"/households/{family}?done=x").text
    assert 'class="done"' not in page
    assert "已办理" not in page
