"""Reviews over HTTP: the whole way to the final list, what is refused and how, and two clicks at once (D40)."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from bureau_office import CHECKER, HANDLER, MANAGER, OTHER_CHECKER, TOWNSHIP, make_office, person, spring
from bureau_server import RunningBureau, running_bureau
from reviewing import DAY_S, add_waiting, begin, decide, state_of

from keys.clock import SettableClock
from matcher.bureau.actors import Actor
from matcher.bureau.office import Office


@pytest.fixture
def clock() -> SettableClock:
    return spring()


@pytest.fixture
def office(tmp_path: Path, clock: SettableClock) -> Iterator[Office]:
    office = make_office(tmp_path / "home", clock)
    begin(office)
    yield office
    office.verify_audit()
    office.close()


@pytest.fixture
def bureau(office: Office) -> Iterator[RunningBureau]:
    with running_bureau(office) as running:
        yield running


def propose(bureau: RunningBureau, household: int, verdict: str = "approve", **more: object) -> dict[str, object]:
    answer = bureau.post(HANDLER, f"/v1/reviews/{household}/decisions", {"verdict": verdict, **more})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_the_whole_way_over_http(bureau: RunningBureau, office: Office, clock: SettableClock) -> None:
    families = add_waiting(office, 2)
    page = bureau.get(HANDLER, "/v1/reviews/queue", claimed="nobody").json()
    assert [item["household_id"] for item in page["items"]] == families
    assert bureau.post(HANDLER, f"/v1/reviews/{families[0]}/claim").json()["claimed_by"] == HANDLER.name
    proposals = bureau.post(HANDLER, "/v1/reviews/decisions", {"verdict": "approve", "households": families}).json()[
        "outcomes"
    ]
    seen = [bureau.get(CHECKER, f"/v1/reviews/{family}").json()["proposal"]["decision"] for family in families]
    assert [one["decision_id"] for one in seen] == [one["result"] for one in proposals]
    body = {"decisions": [{"decision": one["decision_id"], "digest": one["digest"]} for one in seen]}
    assert {one["outcome"] for one in bureau.post(CHECKER, "/v1/decisions/confirm", body).json()["outcomes"]} == {
        "done"
    }
    assert bureau.post(HANDLER, "/v1/confirmations", {"households": families}).status_code == 200
    for family in families:
        assert bureau.post(HANDLER, f"/v1/confirmations/{family}/told", {"how": "电话告知"}).status_code == 204
    word = {"households": families, "result": "agreed", "held_on": "2025-03-03"}
    assert bureau.post(TOWNSHIP, "/v1/confirmations/deliberations", word).status_code == 200
    clock.advance(8 * DAY_S)
    bureau.tokens.clear()  # the sessions have ended in these days
    closed = bureau.post(CHECKER, "/v1/confirmations/close", {"households": families}).json()["outcomes"]
    assert {one["outcome"] for one in closed} == {"done"}
    assert {state_of(office, family) for family in families} == {"FINAL"}


def test_a_file_is_masked_and_for_those_who_decide(bureau: RunningBureau, office: Office) -> None:
    (household,) = add_waiting(office)
    answer = bureau.get(HANDLER, f"/v1/reviews/{household}")
    assert answer.json()["evidence"]["assessment"]["verdict"] == "fits"
    assert person(0) not in answer.text
    assert "1985-01-01" not in answer.text
    for actor in (MANAGER, TOWNSHIP):
        assert code_of(bureau.get(actor, f"/v1/reviews/{household}")) == (403, "not_allowed")
    assert bureau.get(None, f"/v1/reviews/{household}").status_code == 401


def test_each_refusal_has_its_status(bureau: RunningBureau, office: Office) -> None:
    household, other = add_waiting(office, 2)
    decided = propose(bureau, household)
    path, digest = f"/v1/decisions/{decided['decision_id']}", decided["digest"]
    assert code_of(bureau.post(HANDLER, f"{path}/confirm", {"digest": digest})) == (403, "not_allowed")
    assert code_of(bureau.post(CHECKER, f"{path}/confirm", {"digest": "0" * 64})) == (409, "evidence_changed")
    assert code_of(bureau.post(CHECKER, f"{path}/send-back", {"digest": digest})) == (422, "remark_missing")
    assert code_of(bureau.post(CHECKER, "/v1/decisions/99/confirm", {"digest": digest})) == (404, "decision_unknown")
    assert code_of(bureau.get(CHECKER, "/v1/reviews/99")) == (404, "household_unknown")
    assert code_of(bureau.post(HANDLER, f"/v1/reviews/{household}/decisions", {"verdict": "reject"})) == (
        409, "decision_waits",
    )  # fmt: skip
    assert code_of(bureau.post(HANDLER, f"/v1/reviews/{other}/decisions", {"verdict": "reject"})) == (
        422, "reason_missing",
    )  # fmt: skip
    assert bureau.post(CHECKER, f"{path}/confirm", {"digest": digest}).status_code == 200
    assert code_of(bureau.post(OTHER_CHECKER, f"{path}/confirm", {"digest": digest})) == (409, "decision_made")
    assert code_of(bureau.post(HANDLER, f"/v1/reviews/{household}/claim")) == (409, "move_invalid")


def test_a_proposal_is_taken_back_by_whoever_made_it(bureau: RunningBureau, office: Office) -> None:
    (household,) = add_waiting(office)
    decided = propose(bureau, household)
    path = f"/v1/decisions/{decided['decision_id']}"
    assert code_of(bureau.post(CHECKER, f"{path}/withdraw", {})) == (403, "not_allowed")
    assert bureau.post(HANDLER, f"{path}/withdraw", {"remark": "选错了户"}).json()["state"] == "withdrawn"
    assert code_of(bureau.post(CHECKER, f"{path}/confirm", {"digest": decided["digest"]})) == (409, "decision_made")
    assert code_of(bureau.post(HANDLER, "/v1/decisions/99/withdraw", {})) == (404, "decision_unknown")


def test_a_refused_family_is_told_once(bureau: RunningBureau, office: Office) -> None:
    (household,) = add_waiting(office)
    decide(office, household, "reject", reasons=["N01"], remark="另有收入")
    path, body = f"/v1/reviews/{household}/refusal/told", {"how": "上门告知"}
    assert code_of(bureau.post(CHECKER, path, body)) == (403, "not_allowed")
    assert bureau.post(HANDLER, path, body).status_code == 204
    assert code_of(bureau.post(HANDLER, path, body)) == (409, "refusal_told")
    assert bureau.get(HANDLER, f"/v1/reviews/{household}").json()["decisions"][0]["told_at"]


def test_bodies_that_are_none(bureau: RunningBureau) -> None:
    good = {"verdict": "approve"}
    for body in (
        {}, [], {**good, "more": 1}, {"verdict": "maybe"}, {"verdict": True}, {**good, "reasons": ["x"]},
        {**good, "reasons": "N01"}, {**good, "remark": "x" * 2_001},
    ):  # fmt: skip
        assert bureau.post(HANDLER, "/v1/reviews/1/decisions", body).status_code == 422, body


def test_numbers_that_are_none(bureau: RunningBureau) -> None:
    for number in ("0", "-1", "1e3", "x", "9" * 30, "%00", "1.5"):
        assert bureau.get(HANDLER, f"/v1/reviews/{number}").status_code in (404, 422), number
        confirmed = bureau.post(CHECKER, f"/v1/decisions/{number}/confirm", {"digest": "0" * 64})
        assert confirmed.status_code in (404, 422), number
        assert bureau.get(HANDLER, "/v1/reviews/queue", after=f"x/{number}").status_code == 422, number


def test_d40_a_double_click_on_approve_is_one_decision(bureau: RunningBureau, office: Office) -> None:
    (household,) = add_waiting(office)
    decided = propose(bureau, household)
    path, body = f"/v1/decisions/{decided['decision_id']}/confirm", {"digest": decided["digest"]}
    answers = together(bureau, [(CHECKER, "click")] * 4, path, body)
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert rows(office, "review.confirmed") == 1


def test_d40_two_reviewers_who_approve_together(bureau: RunningBureau, office: Office) -> None:
    (household,) = add_waiting(office)
    decided = propose(bureau, household)
    path, body = f"/v1/decisions/{decided['decision_id']}/confirm", {"digest": decided["digest"]}
    answers = together(bureau, [(CHECKER, "a"), (OTHER_CHECKER, "b")] * 2, path, body)
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses == {200: 2, 409: 2}  # the first one's two clicks, and the other one's
    assert rows(office, "review.confirmed") == 1
    assert state_of(office, household) == "APPROVED"


def together(bureau: RunningBureau, callers: list[tuple[Actor, str]], path: str, body: object) -> list[httpx.Response]:
    """The same request by each caller with its key, begun together."""
    for actor, _ in callers:
        bureau.token(actor)
    barrier, answers = threading.Barrier(len(callers)), list[httpx.Response]()

    def send(actor: Actor, key: str) -> None:
        barrier.wait()
        answers.append(bureau.post(actor, path, body, key=key))

    threads = [threading.Thread(target=send, args=caller) for caller in callers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def rows(office: Office, action: str) -> int:
    ((count,),) = office.database.execute("SELECT COUNT(*) FROM audit WHERE action = ?", [action]).fetchall()
    return int(count)
