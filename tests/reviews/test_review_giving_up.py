"""Families whom no visit reaches: two persons give the visits up, and the county may take one in again."""

from __future__ import annotations

import pysqlite3
import pytest
from bureau_office import CHECKER, HANDLER, MANAGER, add_households
from handed_over import COUNTY
from reviewing import DAY_S, add_waiting, decide, state_of
from visiting import PLACE, household_items, plan_and_assign, to_be_visited, visit_household

from keys.clock import SettableClock
from matcher.bureau.actors import Actor, NotAllowed, SamePerson
from matcher.bureau.office import Office
from matcher.households import Households, ReasonMissing
from matcher.reviews import Reviews
from matcher.reviews.errors import EvidenceChanged, VisitOpen
from matcher.reviews.queue import QueueFilter
from matcher.states import MoveInvalid
from matcher.visits.service import Visits


def fail_visit(office: Office, household: int, outcome: str) -> None:
    (visit,) = plan_and_assign(office, [household])
    Visits(office).start(MANAGER, visit, PLACE)
    Visits(office).fail(MANAGER, visit, outcome)


def not_met(reviews: Reviews) -> list[int]:
    return [item.household_id for item in reviews.queue.page(HANDLER, QueueFilter(stage="not_met")).items]


@pytest.fixture
def waiting(office: Office) -> int:
    (household,) = add_households(office, 1)
    to_be_visited(office, [household])
    return household


@pytest.mark.parametrize("outcomes", [["deceased"], ["moved"], ["absent", "absent", "refused"]])
def test_two_persons_give_up_whom_no_visit_reaches(
    office: Office, reviews: Reviews, waiting: int, outcomes: list[str]
) -> None:
    for outcome in outcomes:
        fail_visit(office, waiting, outcome)
    planned = Visits(office).plan(HANDLER, COUNTY, office.today())
    assert planned.planned + planned.again == 0
    assert not_met(reviews) == [waiting]
    proposed = reviews.decisions.propose(HANDLER, waiting, "give_up", reasons=["N21"])
    assert not_met(reviews) == []
    file = reviews.files.show(CHECKER, waiting)
    assert file.proposal is not None
    assert [outcome for _, outcome in file.proposal.evidence["failures"]] == outcomes
    with pytest.raises(SamePerson):
        reviews.decisions.confirm(Actor(HANDLER.name, CHECKER.roles), proposed.decision_id, proposed.digest)
    assert state_of(office, waiting) == "TO_VISIT"
    reviews.decisions.confirm(CHECKER, proposed.decision_id, proposed.digest)
    assert state_of(office, waiting) == "REFINED_OUT"
    (listed,) = office.database.execute("SELECT COUNT(*) FROM listing").fetchall()
    assert listed == (0,)


def test_a_family_that_comes_back_is_visited_again_with_all_attempts(
    office: Office, clock: SettableClock, reviews: Reviews, waiting: int
) -> None:
    for _ in range(3):
        fail_visit(office, waiting, "absent")
    decide(office, waiting, "give_up", reasons=["N90"])
    clock.advance(DAY_S)
    households = Households(office)
    assert households.supplement_many(HANDLER, [waiting], remark="已返乡")[0].outcome == "done"
    with office.writing():
        households.move_within(HANDLER, waiting, "TO_VISIT")
    visit_household(office, waiting, household_items(0))
    assert state_of(office, waiting) == "PENDING_REVIEW"


def test_also_one_that_a_review_sent_to_be_visited_again(
    office: Office, clock: SettableClock, reviews: Reviews, household: int
) -> None:
    decide(office, household, "return", remark="人数不符")
    clock.advance(DAY_S)
    fail_visit(office, household, "moved")
    assert not_met(reviews) == [household]
    decide(office, household, "give_up", reasons=["N05"])
    assert state_of(office, household) == "REFINED_OUT"


def test_not_while_a_visit_is_planned_nor_without_a_reason(office: Office, reviews: Reviews, waiting: int) -> None:
    with pytest.raises(ReasonMissing):
        reviews.decisions.propose(HANDLER, waiting, "give_up")
    with pytest.raises(NotAllowed):
        reviews.decisions.propose(MANAGER, waiting, "give_up", reasons=["N21"])
    proposed = reviews.decisions.propose(HANDLER, waiting, "give_up", reasons=["N21"])
    (visit,) = plan_and_assign(office, [waiting])
    with pytest.raises(VisitOpen):
        reviews.decisions.confirm(CHECKER, proposed.decision_id, proposed.digest)
    Visits(office).start(MANAGER, visit, PLACE)
    Visits(office).fail(MANAGER, visit, "absent")
    with pytest.raises(EvidenceChanged) as caught:  # nobody saw this failure when it was proposed
        reviews.decisions.confirm(CHECKER, proposed.decision_id, proposed.digest)
    assert caught.value.params["changed"] == ["failures"]
    reviews.decisions.send_back(CHECKER, proposed.decision_id, proposed.digest, remark="再访一次")
    plan_and_assign(office, [waiting])
    with pytest.raises(VisitOpen):
        reviews.decisions.propose(HANDLER, waiting, "give_up", reasons=["N21"])


def test_nobody_is_given_up_otherwise(office: Office, reviews: Reviews, waiting: int) -> None:
    with pytest.raises(pysqlite3.IntegrityError, match="two persons"), office.writing() as database:
        database.execute("UPDATE household SET state = 'REFINED_OUT' WHERE household_id = ?", [waiting])
    reviewed = add_waiting(office, first=1)[0]
    with pytest.raises(MoveInvalid):
        reviews.decisions.propose(HANDLER, reviewed, "give_up", reasons=["N21"])
