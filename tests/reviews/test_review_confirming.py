"""From approval to the final list and off it again: telling, the village's word, objections, days, stays."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from bureau_office import CHECKER, HANDLER, MANAGER, OTHER_CHECKER, TOWNSHIP
from reviewing import DAY_S, add_waiting, confirm_quietly, decide, state_of

from keys.clock import SettableClock
from matcher.bureau.actors import NotAllowed, SamePerson
from matcher.bureau.bulk import Outcome
from matcher.bureau.office import Office
from matcher.households import ReasonMissing
from matcher.personal.fields import TextNotPlain
from matcher.reviews import Reviews
from matcher.reviews.errors import AppealUsed, ConfirmationRuns, ObjectionLate, RemarkMissing
from matcher.states import MoveInvalid
from psi.errors import InputError

SAID = {"who": "邻居甲", "why": "长期不在本村居住"}


@pytest.fixture
def confirming(office: Office, reviews: Reviews, household: int) -> int:
    decide(office, household)
    (outcome,) = reviews.confirmations.begin(HANDLER, [household])
    assert outcome.outcome == "done"
    return household


def close(reviews: Reviews, household: int) -> str | None:
    (outcome,) = reviews.confirmations.close(CHECKER, [household])
    return outcome.code


def test_the_days_and_ways_are_the_policys(reviews: Reviews, confirming: int) -> None:
    running = reviews.confirmations.running(confirming)
    assert (running.ways, running.begun_on, running.ends_on) == (("sms", "village"), "2025-03-03", "2025-03-10")


def test_the_last_day_counts_whole(clock: SettableClock, reviews: Reviews, confirming: int) -> None:
    reviews.confirmations.tell(HANDLER, confirming, "电话告知")
    reviews.deliberations.record(TOWNSHIP, [confirming], "agreed", date(2025, 3, 3))
    clock.advance(7 * DAY_S + 14 * 3_600 + 59 * 60)  # 23:59 in China on 10 March
    assert close(reviews, confirming) == "confirmation_runs"
    with pytest.raises(ConfirmationRuns) as caught:
        reviews.confirmations.close_within(CHECKER, confirming)
    assert caught.value.params == {"waits_for": "days", "ends_on": "2025-03-10"}
    assert reviews.confirmations.list_closable(CHECKER) == []
    clock.advance(60)
    assert reviews.confirmations.list_closable(CHECKER) == [confirming]
    assert close(reviews, confirming) is None
    (listing,) = reviews.listings.list_of(CHECKER, confirming)
    assert (listing.effective_from, listing.effective_to) == ("2025-03-11", None)


@pytest.mark.parametrize(("done", "waits_for"), [("village", "sms"), ("sms", "village"), ("", "sms")])
def test_every_way_has_to_be_gone(
    clock: SettableClock, reviews: Reviews, confirming: int, done: str, waits_for: str
) -> None:
    if done == "sms":
        reviews.confirmations.tell(HANDLER, confirming, "上门告知")
    elif done == "village":
        reviews.deliberations.record(TOWNSHIP, [confirming], "agreed", date(2025, 3, 3))
    clock.advance(30 * DAY_S)
    with pytest.raises(ConfirmationRuns) as caught:
        reviews.confirmations.close_within(CHECKER, confirming)
    assert caught.value.params["waits_for"] == waits_for


def test_who_may_take_each_step(office: Office, clock: SettableClock, reviews: Reviews, confirming: int) -> None:
    for actor in (TOWNSHIP, CHECKER, MANAGER):
        with pytest.raises(NotAllowed):
            reviews.confirmations.begin(actor, [confirming])
        with pytest.raises(NotAllowed):
            reviews.confirmations.tell(actor, confirming, "电话告知")
    for actor in (TOWNSHIP, HANDLER, MANAGER):
        with pytest.raises(NotAllowed):
            reviews.confirmations.close(actor, [confirming])
    for actor in (CHECKER, MANAGER):
        with pytest.raises(NotAllowed):
            reviews.objections.enter(actor, confirming, received_on=office.today(), **SAID)
    with pytest.raises(TextNotPlain):
        reviews.confirmations.tell(HANDLER, confirming, "本人 990000198501010000 已知")


def test_begin_twice_and_close_twice(office: Office, clock: SettableClock, reviews: Reviews, household: int) -> None:
    decide(office, household)
    assert [one.code for one in reviews.confirmations.begin(HANDLER, [household, 99])] == [None, "household_unknown"]
    assert reviews.confirmations.begin(HANDLER, [household])[0].code == "move_invalid"
    reviews.confirmations.tell(HANDLER, household, "电话告知")
    reviews.deliberations.record(TOWNSHIP, [household], "agreed", office.today())
    clock.advance(8 * DAY_S)
    first = reviews.confirmations.close(CHECKER, [household], key="close-1")
    assert first == [Outcome(household, "done", 1)]
    assert reviews.confirmations.close(CHECKER, [household], key="close-1") == first
    assert reviews.confirmations.close(OTHER_CHECKER, [household])[0].code == "move_invalid"
    assert len(reviews.listings.list_of(CHECKER, household)) == 1


def test_an_objection_opens_the_review_again(
    office: Office, clock: SettableClock, reviews: Reviews, confirming: int
) -> None:
    reviews.objections.enter(TOWNSHIP, confirming, received_on=office.today(), **SAID)
    assert state_of(office, confirming) == "IN_REVIEW"
    (open_one,) = reviews.objections.list_of(HANDLER, confirming)
    assert (open_one.kind, open_one.why, open_one.outcome) == ("objection", SAID["why"], None)
    second = decide(office, confirming)
    assert second.round == 2
    (answered,) = reviews.objections.list_of(HANDLER, confirming)
    assert answered.outcome == "approve"
    confirm_quietly(office, clock, confirming)
    assert state_of(office, confirming) == "FINAL"
    assert reviews.listings.list_of(CHECKER, confirming)[0].decision_id == second.decision_id


def test_an_objection_counts_by_the_day_it_was_received(
    office: Office, clock: SettableClock, reviews: Reviews, confirming: int
) -> None:
    with pytest.raises(InputError):
        reviews.objections.enter(TOWNSHIP, confirming, received_on=office.today() + timedelta(days=1), **SAID)
    clock.advance(9 * DAY_S)
    with pytest.raises(ObjectionLate):
        reviews.objections.enter(TOWNSHIP, confirming, received_on=date(2025, 3, 11), **SAID)
    with pytest.raises(RemarkMissing):
        reviews.objections.enter(TOWNSHIP, confirming, received_on=date(2025, 3, 10), who="甲", why=" ")
    assert state_of(office, confirming) == "CONFIRMING"
    reviews.objections.enter(TOWNSHIP, confirming, received_on=date(2025, 3, 10), **SAID)
    assert state_of(office, confirming) == "IN_REVIEW"


def test_who_is_another_by_then_is_looked_at_again(
    office: Office, clock: SettableClock, reviews: Reviews, confirming: int
) -> None:
    reviews.confirmations.tell(HANDLER, confirming, "电话告知")
    reviews.deliberations.record(TOWNSHIP, [confirming], "agreed", office.today())
    clock.advance(8 * DAY_S)
    with office.writing() as database:  # a newer hand-over's label
        database.execute("UPDATE household SET reasons = 'N10' WHERE household_id = ?", [confirming])
    assert close(reviews, confirming) == "evidence_changed"
    reviews.objections.enter(HANDLER, confirming, who="县财政局", why="名单标签有变", received_on=office.today())
    assert state_of(office, confirming) == "IN_REVIEW"
    decide(office, confirming, remark="已核实")
    confirm_quietly(office, clock, confirming)
    assert state_of(office, confirming) == "FINAL"


def test_a_village_that_objects_does_so_as_anybody(office: Office, reviews: Reviews, confirming: int) -> None:
    assert reviews.deliberations.record(TOWNSHIP, [confirming], "objected", office.today())[0].code == "remark_missing"
    assert state_of(office, confirming) == "CONFIRMING"
    assert reviews.confirmations.running(confirming).village_result is None  # nothing of the refused one is left
    reviews.deliberations.record(TOWNSHIP, [confirming], "objected", office.today(), why="收入不实")
    assert state_of(office, confirming) == "IN_REVIEW"
    (objection,) = reviews.objections.list_of(CHECKER, confirming)
    assert objection.who == "村小组评议"


def test_a_refused_family_appeals_once(office: Office, reviews: Reviews, household: int) -> None:
    with pytest.raises(MoveInvalid):
        reviews.objections.appeal(TOWNSHIP, household, received_on=office.today(), **SAID)
    decide(office, household, "reject", reasons=["N01"], remark="x")
    first = reviews.objections.appeal(TOWNSHIP, household, received_on=office.today(), key="a", **SAID)
    assert reviews.objections.appeal(TOWNSHIP, household, received_on=office.today(), key="a", **SAID) == first
    assert state_of(office, household) == "IN_REVIEW"
    decide(office, household, "reject", reasons=["N01"], remark="x")
    assert [one.outcome for one in reviews.objections.list_of(CHECKER, household)] == ["reject"]
    with pytest.raises(AppealUsed):
        reviews.objections.appeal(TOWNSHIP, household, received_on=office.today(), **SAID)


def test_a_return_leaves_the_objection_open(office: Office, reviews: Reviews, confirming: int) -> None:
    reviews.objections.enter(TOWNSHIP, confirming, received_on=office.today(), **SAID)
    decide(office, confirming, "return", remark="核实居住情况")
    assert reviews.objections.list_of(CHECKER, confirming)[0].outcome is None


def test_stays_on_the_list_begin_and_end_by_two_persons(
    office: Office, clock: SettableClock, reviews: Reviews, household: int
) -> None:
    decide(office, household)
    confirm_quietly(office, clock, household)
    with pytest.raises(ReasonMissing):
        reviews.decisions.propose(HANDLER, household, "suspend")
    proposed = reviews.decisions.propose(CHECKER, household, "suspend", reasons=["N90"])
    assert state_of(office, household) == "FINAL"  # nothing happens before the second person
    with pytest.raises(SamePerson):
        reviews.decisions.confirm(CHECKER, proposed.decision_id, proposed.digest)
    reviews.decisions.confirm(HANDLER, proposed.decision_id, proposed.digest)
    clock.advance(30 * DAY_S)
    decide(office, household, "resume", remark="材料已补")
    clock.advance(30 * DAY_S)
    decide(office, household, "graduate", reasons=["N30"])
    assert state_of(office, household) == "GRADUATED"
    stays = [
        (one.effective_from, one.effective_to, one.ended_as, one.reasons)
        for one in reviews.listings.list_of(CHECKER, household)
    ]
    assert stays == [
        ("2025-03-11", "2025-03-11", "SUSPENDED", ("N90",)),
        ("2025-04-10", "2025-05-10", "GRADUATED", ("N30",)),
    ]
    with pytest.raises(MoveInvalid):
        reviews.decisions.propose(HANDLER, household, "resume", remark="x")


def test_a_suspended_family_can_be_removed(
    office: Office, clock: SettableClock, reviews: Reviews, household: int
) -> None:
    decide(office, household)
    confirm_quietly(office, clock, household)
    decide(office, household, "suspend", reasons=["N31"])
    decide(office, household, "remove", reasons=["N31"])
    assert state_of(office, household) == "REMOVED"
    (stay,) = reviews.listings.list_of(CHECKER, household)
    assert stay.ended_as == "SUSPENDED"  # the stay had ended then


def test_a_confirmation_cannot_be_resumed_onto_the_list(office: Office, reviews: Reviews, confirming: int) -> None:
    """The machine lets CONFIRMING become FINAL, but not by a decision of ours."""
    with pytest.raises(MoveInvalid):
        reviews.decisions.propose(HANDLER, confirming, "resume", remark="x")


def test_whoever_is_on_the_list_stays_by_the_policy_of_then(
    office: Office, clock: SettableClock, reviews: Reviews, household: int
) -> None:
    decide(office, household)
    confirm_quietly(office, clock, household)
    clock.advance(400 * DAY_S)  # the policy has run out; the household is judged by the one it is listed under
    assert (
        decide(office, household, "graduate", reasons=["N30"]).policy
        == reviews.listings.list_of(CHECKER, household)[0].policy
    )


def test_many_families_at_once(office: Office, clock: SettableClock, reviews: Reviews) -> None:
    families = add_waiting(office, 3)
    for family in families:
        decide(office, family)
    reviews.confirmations.begin(HANDLER, families)
    outcomes = reviews.deliberations.record(TOWNSHIP, [*families[:2], 99], "agreed", office.today())
    assert [one.code for one in outcomes] == [None, None, "not_in_care"]
    for family in families:
        reviews.confirmations.tell(HANDLER, family, "电话告知")
    clock.advance(8 * DAY_S)
    assert [one.code for one in reviews.confirmations.close(CHECKER, families)] == [None, None, "confirmation_runs"]
    assert [state_of(office, family) for family in families] == ["FINAL", "FINAL", "CONFIRMING"]
