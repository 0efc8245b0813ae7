"""The loans' routes over real HTTP: events entered once, masked answers, and the calculator."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import httpx
import pytest
from bureau_office import BANK_ADMIN, BANK_NO, HANDLER, MANAGER, OTHER_BANK_ADMIN, OTHER_BANK_NO
from bureau_server import RunningBureau, running_bureau
from lending import adopt_example, final_households, lend, number_of
from visiting import png

from matcher.bureau.office import Office


@pytest.fixture
def bureau(office: Office) -> Iterator[RunningBureau]:
    with running_bureau(office) as running:
        yield running


def events_of_a_year(item: str) -> list[tuple[str, dict[str, object]]]:
    at = {"bank": BANK_NO, "contract_no": "HT-1"}
    terms = {"product": "jingying", "principal": 10_000_000, "contract_rate": "4.35", "customer_rate": "3.8"}
    start, end = "2024-05-10", "2025-01-10"
    return [
        ("facilities", {"bank": BANK_NO, "on_day": start, "facility_no": "SX-1", "item": item, "amount": 10_000_000,
                        "ends_on": "2027-05-10"}),
        ("loans", {**at, **terms, "on_day": start, "item": item}),
        ("commitments", {**at, "on_day": start, "commitment_no": "CN-1", "item": item, "way": "device"}),
        ("contracts", {**at, **terms, "on_day": start, "starts_on": start, "ends_on": end, "item": item,
                       "facility_no": "SX-1"}),
        ("loan-entries", {**at, "on_day": start, "reference": "1", "kind": "drawdown", "amount": 10_000_000}),
        ("loan-entries", {**at, "on_day": "2024-06-20", "reference": "2", "kind": "interest", "amount": 44_333}),
        ("loan-entries", {**at, "on_day": "2024-06-20", "reference": "3", "kind": "interest", "amount": 5}),
        ("loan-reversals", {**at, "on_day": "2024-06-21", "reference": "R", "reversed_reference": "3"}),
        ("loan-turns", {**at, "on_day": "2024-12-01", "kind": "overdue"}),
        ("loan-turns", {**at, "on_day": "2024-12-05", "kind": "overdue_end"}),
        ("loan-extensions", {**at, "on_day": "2025-01-05", "ends_on": "2025-02-10"}),
        ("loan-entries", {**at, "on_day": "2025-02-01", "reference": "4", "kind": "repayment", "amount": 10_000_000}),
        ("loan-turns", {**at, "on_day": "2025-02-01", "kind": "settled"}),
    ]  # fmt: skip


def test_a_loans_life_entered_once(office: Office, bureau: RunningBureau) -> None:
    (household,) = final_households(office, 1)
    item = number_of(office, household)
    for place, (path, body) in enumerate(events_of_a_year(item)):
        for _ in range(2):  # a double click
            answer = bureau.post(BANK_ADMIN, f"/v1/{path}", body, key=f"k{place}")
            assert (answer.status_code, answer.json()["is_new"]) == (201, True), (path, answer.text)
        again = bureau.post(BANK_ADMIN, f"/v1/{path}", body)  # the same again, by another act
        assert (again.status_code, again.json()["is_new"]) == (201, False), (path, again.text)
    conflict = bureau.post(BANK_ADMIN, "/v1/loan-turns", events_of_a_year(item)[8][1], key="k0")
    assert (conflict.status_code, conflict.json()["code"]) == (422, "idempotency_conflict")
    shown = bureau.get(HANDLER, "/v1/loans/1").json()
    assert (shown["loan"]["state"], shown["loan"]["balance"]) == ("SETTLED", 0)
    assert [span["kind"] for span in shown["spans"]] == ["overdue", "extension"]
    listed = bureau.get(BANK_ADMIN, "/v1/loans", size=1).json()
    assert (listed["loans"][0]["item"], listed["next"]) == (item[:2] + "*" * 12 + item[-2:], 1)
    assert all(item not in answer.text for answer in bureau.answers)


def test_guards_answer_with_their_code(office: Office, bureau: RunningBureau) -> None:
    (household,) = final_households(office, 1)
    item = number_of(office, household)
    contract = events_of_a_year(item)[3][1] | {"facility_no": ""}
    missing = bureau.post(BANK_ADMIN, "/v1/contracts", contract)
    assert (missing.status_code, missing.json()["code"]) == (422, "commitment_missing")
    unknown = bureau.post(BANK_ADMIN, "/v1/loan-entries", events_of_a_year(item)[4][1])
    assert (unknown.status_code, unknown.json()["code"]) == (404, "loan_unknown")
    for body in (
        contract | {"contract_rate": 4.35},
        contract | {"contract_rate": "1e1"},
        contract | {"item": item[:-1] + "?"},
        contract | {"principal": "1"},
        contract | {"more": 1},
        contract | {"on_day": "2024-5-10"},
    ):
        answer = bureau.post(BANK_ADMIN, "/v1/contracts", body)
        assert answer.status_code in (400, 422), answer.text
        assert item[6:14] not in answer.text
    for actor, bank, status in (
        (HANDLER, BANK_NO, 403),
        (OTHER_BANK_ADMIN, BANK_NO, 404),
        (BANK_ADMIN, OTHER_BANK_NO, 404),
    ):
        assert bureau.post(actor, "/v1/contracts", contract | {"bank": bank}).status_code == status
    assert bureau.get(HANDLER, "/v1/loans").json() == {"loans": [], "next": None}


def test_the_subsidy_is_held_up_and_ended_by_the_county(office: Office, bureau: RunningBureau) -> None:
    (household,) = final_households(office, 1)
    lend(office, household)
    pause = {"from_day": "2024-09-01", "reason": "N31", "remark": "改作他用"}
    assert bureau.post(BANK_ADMIN, "/v1/loans/1/suspend", pause).status_code == 403
    assert bureau.post(HANDLER, "/v1/loans/1/suspend", pause).status_code == 200
    assert bureau.post(HANDLER, "/v1/loans/1/resume", {"on_day": "2024-10-01"}).status_code == 200
    assert bureau.post(HANDLER, "/v1/loans/1/stop", {**pause, "from_day": "2024-12-01"}).status_code == 200
    again = bureau.post(HANDLER, "/v1/loans/1/resume", {"on_day": "2024-12-02"})
    assert (again.status_code, again.json()["code"]) == (409, "move_invalid")
    assert bureau.get(BANK_ADMIN, "/v1/loans/1").json()["loan"]["subsidy_state"] == "STOPPED"
    assert bureau.get(BANK_ADMIN, "/v1/loan-files").json() == {"files": []}


def test_a_daily_file_is_taken_in_and_nothing_of_it_stays_behind(office: Office, bureau: RunningBureau) -> None:
    (household,) = final_households(office, 1)
    item = number_of(office, household)
    rows = ["业务日期,业务类型,证件号码,合同编号,承诺书编号,流水号,金额", f"2024-05-10,承诺,{item},HT-1,CN-1,,"]
    content = "\n".join([*rows, "2024-05-10,放款,,HT-1,,1,100"]).encode("gb18030")

    def send(media_type: str, body: bytes, **query: object) -> httpx.Response:
        headers = {"Content-Type": media_type, "Idempotency-Key": f'"file-{len(bureau.answers)}"'}
        query = {"bank": BANK_NO, **query}
        return bureau.send(BANK_ADMIN, "POST", "/v1/loan-files", content=body, headers=headers, params=query)

    assert send("text/csv", content, dry_run=True).json()["new"] == 1
    done = send("text/csv", content).json()
    assert (done["rows"], done["accepted"], done["new"]) == (3 - 1, 1, 1)
    (reject,) = done["rejects"]
    assert (reject["row"], reject["reason"], reject["heading"]) == (3, "loan_unknown", "合同编号")
    assert bureau.get(HANDLER, "/v1/loan-files").json()["files"][0]["rejects"] == [reject]
    assert send("application/json", content).status_code == 415
    assert send("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", content).status_code == 422
    assert send("text/csv", content, bank=OTHER_BANK_NO).status_code == 404
    assert list((office.home / "transit").iterdir()) == []


def test_the_commitments_page(office: Office, bureau: RunningBureau) -> None:
    (household,) = final_households(office, 1)
    words = {"bank": BANK_NO, "contract_no": "HT-1", "commitment_no": "CN-1"}
    answer = bureau.get(BANK_ADMIN, f"/v1/households/{household}/commitment", **words)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "script-src" not in answer.headers["content-security-policy"]
    assert "身份承诺书" in answer.text
    assert number_of(office, household) not in answer.text


def test_a_commitments_image_over_http(office: Office, bureau: RunningBureau) -> None:
    (household,) = final_households(office, 1)
    lend(office, household)
    headers = {"Content-Type": "image/png", "Idempotency-Key": '"image-1"'}
    sent = bureau.send(BANK_ADMIN, "POST", "/v1/commitments/1/image", content=png(), headers=headers)
    assert sent.status_code == 201
    read = bureau.get(HANDLER, "/v1/commitments/1/image")
    assert (read.status_code, read.headers["content-type"]) == (200, "image/jpeg")
    assert bureau.get(HANDLER, "/v1/loans/1").json()["image_sha256"] == hashlib.sha256(read.content).hexdigest()
    assert bureau.get(HANDLER, "/v1/commitments/2/image").status_code == 404
    assert bureau.get(OTHER_BANK_ADMIN, "/v1/commitments/1/image").status_code == 404


def test_the_calculator_gives_the_worked_example(office: Office, bureau: RunningBureau) -> None:
    adopt_example(office)
    question = {"county": "330922", "principal": 10_000_000, "contract_rate": "4.35", "start": "2024-05-10",
                "end": "2025-05-10"}  # fmt: skip
    answer = bureau.post(HANDLER, "/v1/subsidy/explain", question).json()
    assert {year: parts["fiscal"] for year, parts in answer["by_year"].items()} == {"2024": "171.88", "2025": "106.95"}
    assert answer["lines"][0]["steps"][0]["formula"] == "R2(4,200,000.00 × 4.35% ÷ 360)"
    assert bureau.post(MANAGER, "/v1/subsidy/explain", question).status_code == 403
    for change, code in (
        ({"end": "2024-05-10"}, "contract_dates_invalid"),
        ({"repayments": [{"on_day": "2025-05-10", "amount": 1}]}, "contract_dates_invalid"),
        ({"repayments": [{"on_day": "2024-06-10", "amount": 10_000_001}]}, "loan_movements_invalid"),
        ({"start": "2022-05-10"}, "policy_unknown"),
        ({"contract_rate": "100.01"}, "subsidy_terms_invalid"),
    ):
        refused = bureau.post(HANDLER, "/v1/subsidy/explain", question | change)
        assert refused.json()["code"] == code, refused.text
