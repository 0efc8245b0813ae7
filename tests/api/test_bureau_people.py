"""People, departments' answers and the audit log over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bureau_office import AUDITOR, BANK_ADMIN, CHECKER, HANDLER, TOWNSHIP, add_households, make_office, person, spring
from bureau_server import RunningBureau, running_bureau

from matcher.bureau.office import Office


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    opened = make_office(tmp_path / "bureau", spring())
    add_households(opened, 2)
    yield opened
    opened.close()


@pytest.fixture
def bureau(office: Office) -> Iterator[RunningBureau]:
    with running_bureau(office) as running:
        yield running


def test_a_search_answers_masked(bureau: RunningBureau) -> None:
    (found,) = bureau.post(HANDLER, "/v1/people/search", {"by": "number", "text": person(2)}).json()["people"]
    assert (found["member_id"], found["name"], found["number"]) == (3, "演**", f"99************{person(2)[-2:]}")
    assert len(bureau.post(HANDLER, "/v1/people/search", {"by": "name", "text": "演示0"}).json()["people"]) == 2
    refused = bureau.post(HANDLER, "/v1/people/search", {"by": "number", "text": f"{person(2)}0"})
    assert (refused.status_code // 100, refused.json()["code"]) == (4, "search_invalid")
    assert bureau.post(HANDLER, "/v1/people/search", {"by": "sealed", "text": "x"}).status_code // 100 == 4


def test_a_field_is_shown_to_who_may_and_it_is_on_record(bureau: RunningBureau) -> None:
    wanted = {"field": "number", "reason": "核对"}
    shown = bureau.post(CHECKER, "/v1/members/3/reveal", wanted)
    assert shown.json() == {"value": person(2)}
    bureau.answers.remove(shown)  # the one answer that may hold a number
    for actor in (TOWNSHIP, BANK_ADMIN):
        refused = bureau.post(actor, "/v1/members/3/reveal", wanted)
        assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")
    for body in ({"field": "sealed", "reason": "核对"}, {"field": "number"}, {"field": "number", "reason": person(2)}):
        assert bureau.post(CHECKER, "/v1/members/3/reveal", body).status_code // 100 == 4
    rows = bureau.get(AUDITOR, "/v1/audit", action="person").json()["rows"]
    assert [(row["actor"], row["action"]) for row in rows] == [
        (BANK_ADMIN.name, "person.reveal_refused"),
        (TOWNSHIP.name, "person.reveal_refused"),
        (CHECKER.name, "person.reveal"),
    ]


def test_an_answer_on_paper_is_entered_and_shown_to_who_may_see_it(bureau: RunningBureau) -> None:
    answer = {
        "department": "minzheng",
        "label": {"assistance": "特困", "as_of": "2025-01-01"},
        "as_of": "2025-03-01",
        "document": "演民函〔2025〕3号",
    }
    entered = bureau.post(HANDLER, "/v1/members/1/checks", answer)
    assert entered.status_code == 201
    assert bureau.post(HANDLER, "/v1/members/1/checks", answer).json() == entered.json()
    other = bureau.post(HANDLER, "/v1/members/1/checks", {**answer, "label": None})
    assert other.json()["code"] == "check_conflict"
    (open_,) = bureau.get(CHECKER, "/v1/households/1/checks").json()["checks"]
    assert (open_["listed"], open_["reasons"]) == (True, ["N12"])
    shut = bureau.get(TOWNSHIP, "/v1/households/1/checks")
    assert (shut.json()["checks"][0]["listed"], shut.json()["checks"][0]["label"]) == (None, None)
    assert "N12" not in shut.text
    assert bureau.get(AUDITOR, "/v1/households/1/checks").json()["checks"][0]["reasons"] is None
    for wrong in ({"as_of": "1741000000"}, {"as_of": "2026-01-01"}, {"label": {"x": "y"}}, {"department": "nobody"}):
        assert bureau.post(HANDLER, "/v1/members/1/checks", {**answer, **wrong}).status_code // 100 == 4


def test_the_log_in_pages(bureau: RunningBureau) -> None:
    for _ in range(3):
        bureau.post(HANDLER, "/v1/people/search", {"by": "name", "text": "演示0"})
    first = bureau.get(AUDITOR, "/v1/audit", action="person.search", size=2).json()
    second = bureau.get(AUDITOR, "/v1/audit", action="person.search", size=2, before=first["next"]).json()
    assert [len(first["rows"]), len(second["rows"]), second["next"]] == [2, 1, None]
    assert bureau.get(HANDLER, "/v1/audit").status_code == 403
    assert bureau.get(AUDITOR, "/v1/audit", since="2025-03-04", action="person").json()["rows"] == []
    for query in ({"since": "1741000000"}, {"size": 0}, {"size": 9_999}, {"before": 0}):
        assert bureau.get(AUDITOR, "/v1/audit", **query).status_code // 100 == 4


def test_d46_no_answer_repeats_a_number_that_was_sent(bureau: RunningBureau) -> None:
    """The invariants of the running endpoint look through every answer and log line."""
    number = person(0)
    for path, body in (
        ("/v1/people/search", {"by": number, "text": number}),
        ("/v1/people/search", {"by": "number", "text": f"{number}x"}),
        ("/v1/members/1/reveal", {"field": number, "reason": number}),
        (
            "/v1/members/1/checks",
            {"department": number, "label": {number: number}, "as_of": number, "document": number},
        ),
    ):
        assert bureau.post(HANDLER, path, body).status_code // 100 == 4
    assert bureau.get(AUDITOR, "/v1/audit", subject=number, account=number, since=number).status_code // 100 == 4
    assert bureau.get(HANDLER, f"/v1/households/{number}/checks").status_code // 100 == 4
