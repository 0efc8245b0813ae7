"""Households and policies over the bureau's endpoint: a real server, real sessions, masked answers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from bureau_office import (
    CHECKER,
    HANDLER,
    MANAGER,
    OTHER_TOWNSHIP_CODE,
    TOWNSHIP,
    TOWNSHIP_CODE,
    add_households,
    person,
)
from bureau_server import RunningBureau, running_bureau
from example_policy import SHENGSI
from handed_over import COUNTY

from matcher.bureau.office import Office


@pytest.fixture
def bureau(office: Office) -> Iterator[RunningBureau]:
    with running_bureau(office) as running:
        yield running
        running.check_invariants()


def test_from_the_match_to_the_visit_list(bureau: RunningBureau, office: Office) -> None:
    ids = add_households(office, 3)
    (old,) = add_households(office, 1, first=20, born=1950, division=OTHER_TOWNSHIP_CODE)
    text = SHENGSI.read_text()
    proposed = bureau.post(HANDLER, "/v1/policies", {"file": "p.toml", "content": text}).json()
    path = f"/v1/policies/{proposed['sha256']}/adopt"
    assert bureau.post(HANDLER, path).status_code == 403
    assert bureau.post(CHECKER, path).json()["state"] == "adopted"
    assert bureau.get(TOWNSHIP, f"/v1/policies/{proposed['sha256']}").json()["county"] == COUNTY

    page = bureau.get(HANDLER, "/v1/households", size=2).json()
    assert ([row["household_id"] for row in page["households"]], page["next"]) == (ids[:2], ids[1])
    assert bureau.get(HANDLER, "/v1/households", after=page["next"], size=9).json()["next"] is None
    assert bureau.get(HANDLER, "/v1/household-states", area=TOWNSHIP_CODE).json() == {"MATCHED": 3}
    rules = bureau.get(MANAGER, f"/v1/households/{ids[0]}/assessment").json()
    assert (rules["verdict"], rules["facts"]["born_on"]) == ("incomplete", None)

    wanted = {"county": COUNTY, "take_in": True, "put_out": ["N04"], "dry_run": True}
    found = bureau.post(HANDLER, "/v1/refinement", wanted).json()
    assert [(one["wanted"], one["households"]) for one in found["counts"]] == [("in", 3), ("out", 1)]
    assert found["done"] == 0
    assert bureau.post(HANDLER, "/v1/refinement", {**wanted, "dry_run": False}, key="r1").json()["done"] == 4
    refused = bureau.post(HANDLER, "/v1/households/refine", {"households": [old], "wanted": "in"}).json()
    (outcome,) = refused["outcomes"]
    assert (outcome["id"], outcome["outcome"], outcome["code"]) == (old, "refused", "move_invalid")
    assert (
        bureau.post(HANDLER, "/v1/households/supplement", {"households": [old], "remark": "核实"}).json()["done"] == 1
    )
    listed = bureau.post(HANDLER, "/v1/households/visit-list", {"area": COUNTY}).json()
    assert listed["done"] == 4
    assert bureau.get(HANDLER, "/v1/household-states").json() == {"TO_VISIT": 4}
    trial = {"content": text.replace("highest = 65", "highest = 80"), "cost_each": 100_00}
    tried = bureau.post(HANDLER, "/v1/policy-trials", trial).json()
    assert (tried["comes_in"], tried["cost"]) == (
        [{"reasons": "N04", "township": OTHER_TOWNSHIP_CODE, "households": 1}], 100_00
    )  # fmt: skip


def test_members_and_conflicts(bureau: RunningBureau, office: Office) -> None:
    (one,) = add_households(office, 1, members=2, household_size="1")
    path, new = f"/v1/households/{one}", person(700)
    body = {"number": new, "name": "演示新", "relation": "child", "remark": "见户口本"}
    first = bureau.post(HANDLER, f"{path}/members", body, key="m")
    assert first.status_code == 201
    assert bureau.post(HANDLER, f"{path}/members", body, key="m").json() == first.json()
    assert (
        bureau.post(HANDLER, f"{path}/members", {**body, "name": "别名"}, key="m").json()["code"]
        == "idempotency_conflict"
    )
    assert bureau.post(HANDLER, f"{path}/members", {**body, "number": "330922"}).json()["code"] == "number_invalid"
    bureau.post(HANDLER, f"{path}/members", {**body, "name": "别名"})
    found = {conflict["kind"]: conflict for conflict in bureau.get(HANDLER, "/v1/conflicts").json()["conflicts"]}
    assert set(found) == {"too_many_members", "two_names_for_one_number"}
    names = f"/v1/conflicts/{found['two_names_for_one_number']['conflict_id']}"
    assert bureau.post(HANDLER, f"{names}/names", {"remark": "核对"}).json() == {"names": ["别名", "演示新"]}
    assert bureau.post(TOWNSHIP, f"{names}/names", {"remark": "核对"}).status_code == 403
    assert bureau.post(HANDLER, f"{names}/settle", {"remark": "见证件", "name": 0}).status_code == 204
    assert (
        bureau.post(HANDLER, f"/v1/members/{first.json()['member_id']}/remove", {"remark": "已迁出"}).status_code == 204
    )
    shown = bureau.get(HANDLER, path)
    assert [member["name"] for member in shown.json()["members"]] == ["演**", "演**", "别**"]
    assert new not in shown.text
    assert bureau.get(TOWNSHIP, "/v1/households/99").status_code == 404


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/policies", {"file": "p.toml", "content": "county = 1"}),
        ("/v1/policies", {"file": "p.toml"}),
        ("/v1/refinement", {"county": "33092", "take_in": True}),
        ("/v1/refinement", {"county": COUNTY, "take_in": "yes"}),
        ("/v1/refinement", {"county": COUNTY, "put_out": ["X1"]}),
        ("/v1/households/refine", {"households": [], "wanted": "in"}),
        ("/v1/households/refine", {"households": [1], "wanted": "look"}),
        ("/v1/households/supplement", {"households": [1], "remark": "见 330922199001011239"}),
        ("/v1/households/visit-list", {"area": "*"}),
        ("/v1/conflicts/1/settle", {"remark": "x", "name": -1}),
    ],
)
def test_bad_requests_change_nothing(bureau: RunningBureau, office: Office, path: str, body: object) -> None:
    add_households(office, 1)
    answer = bureau.post(HANDLER, path, body)
    assert 400 <= answer.status_code < 500, answer.text
    assert bureau.get(HANDLER, "/v1/household-states").json() == {"MATCHED": 1}
