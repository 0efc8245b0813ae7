"""``mingce review`` as its users meet it: the month from the queue to the final list, and what is refused."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from bureau_desk import BureauDesk
from bureau_office import CHECKER, HANDLER, MANAGER, OTHER_CHECKER, TOWNSHIP, person
from handed_over import BANK
from reviewing import add_waiting, begin, state_of
from visiting import PLACE, plan_and_assign

from matcher.visits.service import Visits
from scripts.messages import Refused

DAY, AFTER = "2025-03-03T01:00:00Z", "2025-03-11T01:00:00Z"


class Bureau(BureauDesk):
    """Three households wait for their review."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(folder, monkeypatch, "review")
        office = self.office()
        begin(office)
        self.households = add_waiting(office, 3)
        office.close()


@pytest.fixture
def bureau(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bureau:
    return Bureau(tmp_path, monkeypatch)


def test_a_month_from_the_queue_to_the_final_list(bureau: Bureau) -> None:
    first, second, third = (str(number) for number in bureau.households)
    assert bureau.result(HANDLER, "queue")["total"] == 3
    bureau.result(HANDLER, "claim", first)
    assert bureau.result(HANDLER, "queue", "--claimed", "mine")["total"] == 1
    one = bureau.result(HANDLER, "propose", first, "--verdict", "approve")["reference"]
    many = bureau.result(HANDLER, "propose", second, third, "99", "--verdict", "approve", code=3)
    assert (many["done"], many["refused"]) == (2, 1)
    items = bureau.result(CHECKER, "queue", "--stage", "to_confirm")["items"]
    references = [f"{item['decision_id']}@{item['digest'][:12]}" for item in items]
    assert one in references
    back = next(reference for reference in references if reference != one)
    assert bureau.result(CHECKER, "send-back", back, "--remark", "佐证不全")["state"] == "sent_back"
    waiting = [reference for reference in references if reference != back]
    assert bureau.result(CHECKER, "confirm", *waiting)["done"] == 2
    begun = bureau.result(HANDLER, "confirm-list", "--all", "--sms", "短信.csv", "--village", "评议.xlsx")
    assert (begun["done"], begun["sms"]["rows"], begun["village"]["rows"]) == (2, 2, 2)
    confirming = [str(i["household_id"]) for i in bureau.result(TOWNSHIP, "queue", "--stage", "confirming")["items"]]
    bureau.result(TOWNSHIP, "deliberation", *confirming, "--held-on", "2025-03-03", "--agreed")
    speech = ("--who", "邻居", "--why", "不在本村", "--received-on", "2025-03-03")
    bureau.result(TOWNSHIP, "objection", confirming[1], *speech)
    assert bureau.result(CHECKER, "close", "--all")["done"] == 0  # the days run until the 10th
    bureau.at(AFTER)
    assert bureau.result(CHECKER, "close", "--all")["done"] == 1
    assert bureau.result(HANDLER, "final", "名单.csv", "--purpose", "归档")["rows"] == 1
    with (bureau.folder / "名单.csv").open(encoding="utf-8-sig", newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert row["客户姓名"] == "演**"
    bureau.result(HANDLER, "final", "银行.csv", "--purpose", "放款", "--bank", BANK.public.name)
    assert person(0) in (bureau.folder / "银行.csv").read_text("utf-8")
    ended = bureau.result(HANDLER, "end", confirming[0], "--verdict", "graduate", "--reason", "N30")["reference"]
    bureau.result(CHECKER, "confirm", ended)
    office = bureau.office()
    assert state_of(office, int(confirming[0])) == "GRADUATED"
    office.verify_audit()
    office.close()


def test_a_refused_family_appeals(bureau: Bureau) -> None:
    household = str(bureau.households[0])
    said = ("--reason", "N01", "--remark", "另有未申报收入")
    reference = bureau.result(HANDLER, "propose", household, "--verdict", "reject", *said)["reference"]
    assert "另有未申报收入" in bureau.run(CHECKER, "show", household).output
    bureau.result(CHECKER, "confirm", reference)
    assert "尚未告知" in bureau.run(HANDLER, "show", household).output
    assert bureau.result(HANDLER, "refusals", "未通过.csv")["rows"] == 1
    assert "申诉一次" in (bureau.folder / "未通过.csv").read_text("utf-8-sig")
    assert bureau.refused(HANDLER, "tell", household, "--how", "电话", "--refused") == "refusal_told"
    assert "已于 2025-03-03 告知" in bureau.run(HANDLER, "show", household).output
    speech = ("--who", "户主", "--why", "收入有误", "--received-on", "2025-03-03")
    bureau.result(TOWNSHIP, "appeal", household, *speech)
    assert bureau.refused(TOWNSHIP, "appeal", household, *speech) == "move_invalid"


def test_a_slip_is_taken_back_and_a_family_that_moved_away_is_given_up(bureau: Bureau) -> None:
    household = str(bureau.households[0])
    slip = bureau.result(HANDLER, "propose", household, "--verdict", "reject", "--reason", "N01", "--remark", "误选")
    assert bureau.refused(CHECKER, "withdraw", str(slip["decision_id"])) == "not_allowed"
    assert bureau.result(HANDLER, "withdraw", str(slip["decision_id"]))["state"] == "withdrawn"
    assert "提出人已撤回" in bureau.run(CHECKER, "show", household).output
    returned = bureau.result(HANDLER, "propose", household, "--verdict", "return", "--remark", "人数不符")
    bureau.result(CHECKER, "confirm", returned["reference"])
    office = bureau.office()
    (visit,) = plan_and_assign(office, [int(household)])
    assert bureau.refused(HANDLER, "give-up", household, "--reason", "N05") == "visit_open"
    Visits(office).start(MANAGER, visit, PLACE)
    Visits(office).fail(MANAGER, visit, "moved")
    office.close()
    assert bureau.result(HANDLER, "queue", "--stage", "not_met")["total"] == 1
    given_up = bureau.result(HANDLER, "give-up", household, "--reason", "N05")
    assert "迁出" in bureau.run(CHECKER, "show", household).output
    bureau.result(CHECKER, "confirm", given_up["reference"])
    office = bureau.office()
    assert state_of(office, int(household)) == "REFINED_OUT"
    office.verify_audit()
    office.close()


def test_what_is_refused_says_so(bureau: Bureau) -> None:
    household = str(bureau.households[0])
    assert bureau.refused(TOWNSHIP, "queue") == "not_allowed"
    assert bureau.refused(HANDLER, "propose", household, "--verdict", "reject") == "reason_missing"
    assert bureau.refused(HANDLER, "show", "99") == "household_unknown"
    reference = bureau.result(HANDLER, "propose", household, "--verdict", "approve")["reference"]
    number = reference.partition("@")[0]
    assert bureau.refused(CHECKER, "confirm", f"{number}@000000000000") == "evidence_changed"
    for words in (
        ("queue", "--stage", "x"), ("queue", "--claimed", "x"), ("confirm", number), ("confirm", "x@y"),
        ("propose", household, "--verdict", "graduate"), ("end", household, "--verdict", "approve"),
    ):  # fmt: skip
        assert bureau.refused(CHECKER, *words) == Refused.code, words
    bureau.result(CHECKER, "confirm", reference)
    assert bureau.refused(OTHER_CHECKER, "confirm", reference) == "decision_made"
    assert bureau.refused(HANDLER, "tell", household, "--how", "电话") == "move_invalid"


def test_a_person_reads_tables_and_sentences(bureau: Bureau) -> None:
    household = str(bureau.households[0])
    table = bureau.run(HANDLER, "queue").output
    assert "演**" in table
    assert "待审核" in table
    bureau.run(HANDLER, "propose", household, "--verdict", "approve")
    shown = bureau.run(CHECKER, "show", household).output
    assert "年满 40 周岁" in shown
    assert "待复核 1@" in shown
    assert person(0) not in table + shown
    assert "已退回队列" in bureau.run(CHECKER, "release", household).output
