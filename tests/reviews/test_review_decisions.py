"""Two persons, upon the same facts: every guard of a decision, and what follows when it is confirmed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from bureau_office import (
    ADMIN,
    AUDITOR,
    BANK_ADMIN,
    CHECKER,
    DEPARTMENT,
    HANDLER,
    MANAGER,
    OTHER_CHECKER,
    PROVINCE,
    TOWNSHIP,
    add_households,
)
from reviewing import DAY_S, add_waiting, confirm_quietly, decide, enter_checks, state_of
from visiting import household_items, plan_and_assign, to_be_visited, visit_household

from keys.clock import SettableClock
from matcher.accounts.idempotency import IdempotencyConflict
from matcher.bureau.actors import Actor, NotAllowed, Role, SamePerson
from matcher.bureau.office import Office
from matcher.checks.coverage import ChecksMissing
from matcher.households import HouseholdUnknown, ReasonMissing
from matcher.households.policies import Policies
from matcher.policy import PolicyUnknown, list_examples
from matcher.reasons import ReasonUnknown
from matcher.reviews import Reviews
from matcher.reviews.errors import (
    ClaimedByOther,
    CollectorDecides,
    ConflictUnsettled,
    DecisionMade,
    DecisionUnknown,
    DecisionWaits,
    EvidenceChanged,
    RemarkMissing,
    VisitMissing,
)
from matcher.states import MoveInvalid

OTHER_HANDLER = Actor("jingban2", frozenset({Role.HANDLER}))
BOTH = Actor("quanneng", frozenset({Role.HANDLER, Role.CHECKER}))
COLLECTOR = replace(BOTH, name=MANAGER.name)  # a small county: the manager's account may decide too
NO_DIGEST = "0" * 64


def test_approved_by_two_persons(office: Office, reviews: Reviews, household: int) -> None:
    proposed = reviews.decisions.propose(HANDLER, household, "approve")
    assert (proposed.state, proposed.round, state_of(office, household)) == ("proposed", 1, "IN_REVIEW")
    confirmed = reviews.decisions.confirm(CHECKER, proposed.decision_id, proposed.digest)
    assert (confirmed.state, confirmed.decided_by) == ("confirmed", CHECKER.name)
    assert state_of(office, household) == "APPROVED"
    assert reviews.files.show(CHECKER, household).case.claimed_by is None


@pytest.mark.parametrize("actor", [CHECKER, TOWNSHIP, MANAGER, BANK_ADMIN, AUDITOR, DEPARTMENT, PROVINCE, ADMIN])
def test_only_a_handler_proposes(reviews: Reviews, household: int, actor: Actor) -> None:
    with pytest.raises(NotAllowed):
        reviews.decisions.propose(actor, household, "approve")


@pytest.mark.parametrize("actor", [HANDLER, TOWNSHIP, MANAGER, BANK_ADMIN, AUDITOR, DEPARTMENT, PROVINCE, ADMIN])
def test_only_a_checker_answers(reviews: Reviews, household: int, actor: Actor) -> None:
    proposed = reviews.decisions.propose(OTHER_HANDLER, household, "approve")
    with pytest.raises(NotAllowed):
        reviews.decisions.confirm(actor, proposed.decision_id, proposed.digest)
    with pytest.raises(NotAllowed):
        reviews.decisions.send_back(actor, proposed.decision_id, proposed.digest, remark="再看")


def test_another_township_is_not_in_ones_care(reviews: Reviews, household: int) -> None:
    with pytest.raises(NotAllowed):
        reviews.decisions.propose(replace(HANDLER, townships=("330922200",)), household, "approve")


def test_one_account_is_one_person_whatever_its_roles(reviews: Reviews, household: int) -> None:
    proposed = reviews.decisions.propose(BOTH, household, "approve")
    with pytest.raises(SamePerson):
        reviews.decisions.confirm(BOTH, proposed.decision_id, proposed.digest)
    with pytest.raises(SamePerson):
        reviews.decisions.send_back(BOTH, proposed.decision_id, proposed.digest, remark="再看")


def test_who_collected_the_form_decides_in_neither_place(office: Office, reviews: Reviews, household: int) -> None:
    with pytest.raises(CollectorDecides):
        reviews.decisions.propose(COLLECTOR, household, "approve")
    assert state_of(office, household) == "PENDING_REVIEW"
    proposed = reviews.decisions.propose(HANDLER, household, "approve")
    with pytest.raises(CollectorDecides):
        reviews.decisions.confirm(COLLECTOR, proposed.decision_id, proposed.digest)


def test_nothing_is_approved_without_a_form(office: Office, reviews: Reviews) -> None:
    (household,) = add_households(office, 1)
    with pytest.raises(MoveInvalid):
        reviews.decisions.propose(HANDLER, household, "approve")
    with office.writing() as database:  # brought to review past the visits, as a damaged store might be
        for state in ("REFINED_IN", "TO_VISIT", "VISITED", "PENDING_REVIEW"):
            database.execute("UPDATE household SET state = ? WHERE household_id = ?", [state, household])
    enter_checks(office, [household])
    with pytest.raises(VisitMissing):
        reviews.decisions.propose(HANDLER, household, "approve", remark="x")
    assert decide(office, household, "return", remark="没有采集表").state == "confirmed"


def test_nothing_is_approved_without_the_checks_of_every_member(office: Office, reviews: Reviews) -> None:
    (household,) = add_households(office, 1)
    to_be_visited(office, [household])
    visit_household(office, household, household_items(0))
    with pytest.raises(ChecksMissing):
        reviews.decisions.propose(HANDLER, household, "approve", remark="x")
    assert reviews.files.show(HANDLER, household).lacks == ("check:minzheng",)
    enter_checks(office, [household])
    reviews.decisions.propose(HANDLER, household, "approve", remark="家庭收入按三人计")


def test_a_check_counts_for_as_long_as_the_policy_says(office: Office, clock: SettableClock, reviews: Reviews) -> None:
    (household,) = add_households(office, 1)
    to_be_visited(office, [household])
    visit_household(office, household, household_items(0))
    enter_checks(office, [household], as_of=office.today() - timedelta(days=365))
    proposed = reviews.decisions.propose(HANDLER, household, "approve", remark="x")
    clock.advance(DAY_S)
    with pytest.raises(ChecksMissing):
        reviews.decisions.confirm(CHECKER, proposed.decision_id, proposed.digest)


def test_a_conflict_has_to_be_settled_first(office: Office, reviews: Reviews, household: int) -> None:
    with office.writing() as database:
        database.execute(
            "INSERT INTO conflict (kind, household_id, item_ref, found_at) VALUES ('labels_differ', ?, x'', ?)",
            [household, office.now()],
        )
    with pytest.raises(ConflictUnsettled):
        reviews.decisions.propose(HANDLER, household, "approve", remark="x")
    assert "conflict:labels_differ" in reviews.files.show(HANDLER, household).lacks


def test_words_are_needed_where_a_person_departs_from_the_rules(office: Office, reviews: Reviews) -> None:
    fitting, poor_fit = (
        add_waiting(office),
        add_waiting(office, first=1, income__wage="900000", income__total="912000.50"),
    )
    with pytest.raises(RemarkMissing):
        reviews.decisions.propose(HANDLER, poor_fit[0], "approve")
    with pytest.raises(RemarkMissing):
        reviews.decisions.propose(HANDLER, fitting[0], "reject", reasons=["N01"], remark=" ")
    with pytest.raises(RemarkMissing):
        reviews.decisions.propose(HANDLER, fitting[0], "return")
    with pytest.raises(ReasonMissing):
        reviews.decisions.propose(HANDLER, poor_fit[0], "reject")
    with pytest.raises(ReasonUnknown):
        reviews.decisions.propose(HANDLER, poor_fit[0], "reject", reasons=["N99"])
    assert decide(office, poor_fit[0], "reject", reasons=["N01"]).state == "confirmed"
    assert state_of(office, poor_fit[0]) == "REJECTED"


def test_no_verdict_of_the_rules_decides_by_itself(office: Office, reviews: Reviews) -> None:
    (household,) = add_waiting(office, income__wage="900000", income__total="912000.50")
    file = reviews.files.show(HANDLER, household)
    assert file.evidence is not None
    assert file.evidence["assessment"]["verdict"] == "does_not_fit"
    assert state_of(office, household) == "PENDING_REVIEW"
    decide(office, household, "approve", remark="一次性征地补偿，非经常性收入")
    assert state_of(office, household) == "APPROVED"


def test_one_proposal_at_a_time(office: Office, reviews: Reviews, household: int) -> None:
    reviews.decisions.propose(HANDLER, household, "approve")
    with pytest.raises(DecisionWaits):
        reviews.decisions.propose(HANDLER, household, "reject", reasons=["N01"], remark="x")


def test_what_somebody_else_has_claimed_is_left_to_them(reviews: Reviews, household: int) -> None:
    reviews.queue.claim(OTHER_HANDLER, household)
    with pytest.raises(ClaimedByOther):
        reviews.decisions.propose(HANDLER, household, "approve")


def test_unknown_things(reviews: Reviews) -> None:
    with pytest.raises(HouseholdUnknown):
        reviews.decisions.propose(HANDLER, 99, "approve")
    with pytest.raises(DecisionUnknown):
        reviews.decisions.confirm(CHECKER, 99, NO_DIGEST)


def test_the_second_person_confirms_what_they_saw(office: Office, reviews: Reviews, household: int) -> None:
    proposed = reviews.decisions.propose(HANDLER, household, "approve")
    with pytest.raises(EvidenceChanged) as caught:
        reviews.decisions.confirm(CHECKER, proposed.decision_id, NO_DIGEST)
    assert caught.value.params["changed"] == ["proposal"]
    assert state_of(office, household) == "IN_REVIEW"


def test_facts_that_changed_since_stop_the_confirmation(office: Office, reviews: Reviews, household: int) -> None:
    proposed = reviews.decisions.propose(HANDLER, household, "approve")
    with office.writing() as database:  # a newer hand-over's label
        database.execute("UPDATE household SET reasons = 'N90' WHERE household_id = ?", [household])
    shown = reviews.files.show(CHECKER, household)
    assert shown.proposal is not None
    assert shown.proposal.changed == ("facts",)
    with pytest.raises(EvidenceChanged) as caught:
        reviews.decisions.confirm(CHECKER, proposed.decision_id, proposed.digest)
    assert caught.value.params["changed"] == ["facts"]
    back = reviews.decisions.send_back(CHECKER, proposed.decision_id, proposed.digest, remark="标签有变")
    again = reviews.decisions.propose(HANDLER, household, "approve")
    assert (back.state, again.round) == ("sent_back", 1)
    assert again.digest != proposed.digest
    assert reviews.files.show(CHECKER, household).answers == {back.decision_id: "标签有变"}


def test_a_newer_answer_that_says_the_same_changes_nothing(office: Office, reviews: Reviews, household: int) -> None:
    proposed = reviews.decisions.propose(HANDLER, household, "approve")
    enter_checks(office, [household], document="演示-2")
    assert reviews.decisions.confirm(CHECKER, proposed.decision_id, proposed.digest).state == "confirmed"


def test_sending_back_says_why_and_leaves_the_household_in_review(
    office: Office, reviews: Reviews, household: int
) -> None:
    proposed = reviews.decisions.propose(HANDLER, household, "approve")
    with pytest.raises(RemarkMissing):
        reviews.decisions.send_back(CHECKER, proposed.decision_id, proposed.digest, remark="  ")
    reviews.decisions.send_back(CHECKER, proposed.decision_id, proposed.digest, remark="收入佐证不全")
    assert state_of(office, household) == "IN_REVIEW"
    with pytest.raises(DecisionMade):
        reviews.decisions.confirm(OTHER_CHECKER, proposed.decision_id, proposed.digest)


def test_d40_a_double_click_is_one_decision(office: Office, reviews: Reviews, household: int) -> None:
    proposed = reviews.decisions.propose(HANDLER, household, "approve", key="p-1")
    assert reviews.decisions.propose(HANDLER, household, "approve", key="p-1").decision_id == proposed.decision_id
    first = reviews.decisions.confirm(CHECKER, proposed.decision_id, proposed.digest, key="c-1")
    rows = office.verify_audit().seq
    assert reviews.decisions.confirm(CHECKER, proposed.decision_id, proposed.digest, key="c-1") == first
    assert reviews.decisions.confirm(CHECKER, proposed.decision_id, proposed.digest) == first  # a new page, no key
    assert office.verify_audit().seq == rows
    with pytest.raises(DecisionMade) as caught:
        reviews.decisions.confirm(OTHER_CHECKER, proposed.decision_id, proposed.digest)
    assert caught.value.params["by"] == CHECKER.name
    with pytest.raises(IdempotencyConflict):
        reviews.decisions.propose(HANDLER, household, "reject", reasons=["N01"], remark="x", key="p-1")


def test_many_at_once_each_with_its_outcome(office: Office, reviews: Reviews) -> None:
    good, unfit = add_waiting(office, 3), add_waiting(office, first=3, income__wage="900000", income__total="912000.50")
    outcomes = reviews.decisions.propose_many(HANDLER, [*good, *unfit, 99, good[0]], "approve", key="many")
    assert [(one.outcome, one.code) for one in outcomes] == [
        ("done", None), ("done", None), ("done", None), ("refused", "remark_missing"), ("refused", "household_unknown"),
    ]  # fmt: skip
    assert state_of(office, unfit[0]) == "PENDING_REVIEW"  # nothing of the refused one is left
    assert reviews.decisions.propose_many(HANDLER, [*good, *unfit, 99, good[0]], "approve", key="many") == outcomes
    digests = {
        one.result: reviews.decisions.records.read(one.result).digest for one in outcomes if one.result is not None
    }
    digests[next(iter(digests))] = NO_DIGEST
    confirmed = reviews.decisions.confirm_many(CHECKER, digests)
    assert [one.code for one in confirmed] == ["evidence_changed", None, None]
    assert [state_of(office, one) for one in good] == ["IN_REVIEW", "APPROVED", "APPROVED"]


def test_a_return_is_visited_again_and_comes_back(office: Office, reviews: Reviews, household: int) -> None:
    decide(office, household, "return", remark="缺佐证照片")
    assert state_of(office, household) == "RETURNED"
    first = reviews.decisions.records.list_of(household)[0]
    visit_household(office, household, household_items(0), income__wage="40000", income__total="52000.50")
    assert state_of(office, household) == "PENDING_REVIEW"
    second = decide(office, household)
    assert (first.round, second.round) == (1, 2)
    assert state_of(office, household) == "APPROVED"


def test_the_old_form_does_not_count_after_a_return(office: Office, reviews: Reviews, household: int) -> None:
    decide(office, household, "return", remark="缺佐证照片")
    plan_and_assign(office, [household])
    with pytest.raises(MoveInvalid):
        reviews.decisions.propose(HANDLER, household, "approve")


def test_a_new_policy_leaves_past_decisions_as_they_are(
    office: Office, clock: SettableClock, reviews: Reviews, household: int
) -> None:
    decision = decide(office, household)
    before = reviews.decisions.records.open_sealed(decision)
    (path,) = [path for path in list_examples() if path.name.startswith("330922")]
    text = path.read_text("utf-8").replace('version = "2023-1"', 'version = "2025-1"')
    text = text.replace("valid_from = 2023-06-10", "valid_from = 2025-03-04").replace('"100000.00"', '"30000.00"')
    policies = Policies(office)
    newer = policies.propose(HANDLER, text.encode(), "new.toml")
    policies.adopt(CHECKER, newer.sha256)
    clock.advance(2 * DAY_S)
    assert reviews.decisions.records.read(decision.decision_id) == decision
    assert reviews.decisions.records.open_sealed(decision) == before
    assert before["evidence"]["assessment"]["verdict"] == "fits"
    confirm_quietly(office, clock, household)
    (listing,) = reviews.listings.list_of(HANDLER, household)
    assert listing.policy == decision.policy != newer.sha256
    other = add_waiting(office, first=1)[0]
    with pytest.raises(RemarkMissing):  # by the new policy it does not fit any more
        reviews.decisions.propose(HANDLER, other, "approve")


def test_without_a_policy_in_force_nothing_is_decided(
    office: Office, clock: SettableClock, reviews: Reviews, household: int
) -> None:
    clock.advance(400 * DAY_S)
    with pytest.raises(PolicyUnknown):
        reviews.decisions.propose(HANDLER, household, "approve")
    assert reviews.files.show(HANDLER, household).evidence is None


def test_what_is_frozen_is_sealed_and_the_log_says_nothing_of_it(office: Office, household: int) -> None:
    decide(office, household, "reject", reasons=["N10"], remark="演示备注")
    rows = office.database.execute("SELECT * FROM audit").fetchall()
    assert not any(
        "N10" in str(cell) or "演示备注" in str(cell) or "5200050" in str(cell) for row in rows for cell in row
    )
    ((sealed,),) = office.database.execute("SELECT sealed FROM decision").fetchall()
    assert "演示备注".encode() not in sealed
