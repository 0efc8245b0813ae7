"""细化: the policy proposes, a person takes over, nobody is left out without a reason; and what-if changes nothing."""

from __future__ import annotations

import pytest
from bureau_office import (
    CHECKER,
    HANDLER,
    OTHER_TOWNSHIP_CODE,
    TOWNSHIP,
    TOWNSHIP_CODE,
    add_households,
)
from example_policy import SHENGSI
from handed_over import COUNTY

from matcher.bureau.actors import NotAllowed
from matcher.bureau.office import Office
from matcher.households import Households
from matcher.personal.fields import TextNotPlain
from matcher.policy import parse_policy
from matcher.policy.reading import PolicyUnknown
from psi.errors import InputError


@pytest.fixture
def mixed(office: Office) -> dict[str, list[int]]:
    return {
        "fit": add_households(office, 3),
        "elsewhere": add_households(office, 2, first=10, division=OTHER_TOWNSHIP_CODE),
        "old": add_households(office, 2, first=20, born=1950),
        "rich": add_households(office, 1, first=30, expanding="0", reasons="N01"),
        "poor": add_households(office, 1, first=40, expanding="0", reasons="N10"),
    }


def states(office: Office) -> dict[str, int]:
    return dict(office.database.execute("SELECT state, COUNT(*) FROM household GROUP BY state").fetchall())


def test_a_dry_run_counts_by_reason_and_township(
    office: Office, households: Households, mixed: dict[str, list[int]]
) -> None:
    before = office.verify_audit()
    found = households.refine(HANDLER, COUNTY, take_in=True, put_out=["N04"], dry_run=True)
    assert found.counts == {
        ("in", "", TOWNSHIP_CODE): 3,
        ("in", "", OTHER_TOWNSHIP_CODE): 2,
        ("look", "N10", TOWNSHIP_CODE): 1,
        ("out", "N01", TOWNSHIP_CODE): 1,
        ("out", "N04", TOWNSHIP_CODE): 2,
    }
    assert households.refine(HANDLER, COUNTY).counts == found.counts
    assert found.outcomes == ()
    assert (states(office), office.verify_audit()) == ({"MATCHED": 9}, before)


def test_a_person_takes_over_group_by_group(
    office: Office, households: Households, mixed: dict[str, list[int]]
) -> None:
    done = households.refine(HANDLER, COUNTY, township=OTHER_TOWNSHIP_CODE, take_in=True)
    assert {one.id for one in done.outcomes} == set(mixed["elsewhere"])
    done = households.refine(HANDLER, COUNTY, put_out=["N04"], remark="超龄")
    assert {one.id for one in done.outcomes} == set(mixed["old"])
    assert states(office) == {"MATCHED": 5, "REFINED_IN": 2, "REFINED_OUT": 2}
    (move,) = [m for m in households.show(HANDLER, mixed["old"][0]).moves if m.to_state == "REFINED_OUT"]
    assert (move.reasons, move.remark, move.account) == (("N04",), "超龄", "jingban")
    policy = households.policies.policy_for(COUNTY, office.today()).sha256
    assert office.database.execute(
        "SELECT COUNT(*) FROM audit WHERE json_extract(detail, '$.purpose') = ?", [f"policy {policy}"]
    ).fetchone() == (4,)
    assert households.refine(HANDLER, COUNTY, put_out=["N04"], remark="超龄").outcomes == ()
    with pytest.raises(InputError, match="not in the county"):
        households.refine(HANDLER, COUNTY, township="330113001", take_in=True)


def test_the_same_request_again_is_one_refinement(
    office: Office, households: Households, mixed: dict[str, list[int]]
) -> None:
    first = households.refine(HANDLER, COUNTY, take_in=True, key="k")
    audit = office.verify_audit()
    assert households.refine(HANDLER, COUNTY, take_in=True, key="k").outcomes == first.outcomes
    assert len(first.outcomes) == 5
    assert office.verify_audit() == audit


def test_sensitive_reasons_are_kept_and_shown_to_few(
    office: Office, households: Households, mixed: dict[str, list[int]]
) -> None:
    (one,) = mixed["poor"]
    households.refine_many(HANDLER, [one], "out", reasons=["N10"])
    assert households.show(CHECKER, one).moves[-1].reasons == ("N10",)
    assert households.show(TOWNSHIP, one).moves[-1].reasons == ("NX1",)


def test_named_households_are_moved_one_by_one(
    office: Office, households: Households, mixed: dict[str, list[int]]
) -> None:
    one, two, three = mixed["fit"]
    assert households.refine_many(HANDLER, [one], "in")[0].outcome == "done"
    outcomes = households.refine_many(HANDLER, [one, two, 999, two], "in", key="k")
    assert [(o.id, o.outcome, o.code) for o in outcomes] == [
        (one, "refused", "move_invalid"), (two, "done", None), (999, "refused", "household_unknown"),
    ]  # fmt: skip
    assert households.refine_many(HANDLER, [one, two, 999, two], "in", key="k") == outcomes
    assert [o.code for o in households.refine_many(HANDLER, [three], "out")] == ["reason_missing"]
    assert [o.code for o in households.refine_many(HANDLER, [three], "look")] == ["bad_input"]
    with pytest.raises(TextNotPlain):
        households.supplement_many(HANDLER, [three], remark="")
    with pytest.raises(NotAllowed):
        households.refine_many(CHECKER, [three], "in")


def test_the_county_supplements_past_the_label_with_a_reason(
    office: Office, households: Households, mixed: dict[str, list[int]]
) -> None:
    (rich,), (old, _) = mixed["rich"], mixed["old"]
    households.refine_many(HANDLER, [old], "out", reasons=["N04"])
    outcomes = households.supplement_many(HANDLER, [rich, old], remark="镇街核实家庭人数有误")
    assert {o.outcome for o in outcomes} == {"done"}
    assert households.refine(HANDLER, COUNTY, take_in=True).outcomes
    listed = households.put_on_visit_list(HANDLER, COUNTY)
    assert {o.id for o in listed} == {rich, old, *mixed["fit"], *mixed["elsewhere"]}
    assert states(office) == {"MATCHED": 2, "TO_VISIT": 7}
    assert households.put_on_visit_list(HANDLER, COUNTY) == []
    assert office.verify_audit().seq > 0


def test_an_open_conflict_is_for_a_person_to_look_at(office: Office, households: Households) -> None:
    add_households(office, 1, members=4, household_size="3")
    assert households.refine(HANDLER, COUNTY).counts == {("look", "N20", TOWNSHIP_CODE): 1}


def test_without_a_policy_nothing_is_refined(office: Office) -> None:
    add_households(office, 1)
    with pytest.raises(PolicyUnknown):
        Households(office).refine(HANDLER, COUNTY, take_in=True)


def test_what_if_counts_who_comes_in_and_falls_out_and_what_it_costs(
    office: Office, households: Households, mixed: dict[str, list[int]]
) -> None:
    before = office.verify_audit(), states(office)
    content = SHENGSI.read_bytes()
    older = parse_policy(content.replace(b"highest = 65", b"highest = 80"))
    younger = parse_policy(
        content.replace(b"highest = 65", b"highest = 39").replace(
            b'exclude = []\nflag = ["N10", ', b'exclude = ["N10"]\nflag = ['
        )
    )
    found = households.simulate(HANDLER, older, cost_each=27_882)
    assert (found.households, found.fits_now, found.fits_then) == (9, 7, 9)
    assert (found.comes_in, found.falls_out) == ({("N04", TOWNSHIP_CODE): 2}, {})
    assert found.cost == 2 * 27_882
    found = households.simulate(HANDLER, younger)
    assert found.comes_in == {}
    assert found.falls_out == {
        ("N04", OTHER_TOWNSHIP_CODE): 2, ("N04", TOWNSHIP_CODE): 4, ("N04,N10", TOWNSHIP_CODE): 1
    }  # fmt: skip
    assert (found.fits_then, found.each, found.cost) == (0, None, None), "no line was computed yet"
    assert (office.verify_audit(), states(office)) == before
    with pytest.raises(NotAllowed):
        households.simulate(TOWNSHIP, older)
