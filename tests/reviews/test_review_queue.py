"""Who works on what: order, care, claims, and nothing shown that the reader may not see."""

from __future__ import annotations

from dataclasses import replace

import pytest
from bureau_office import AUDITOR, BANK_ADMIN, CHECKER, HANDLER, MANAGER, OTHER_CHECKER, TOWNSHIP, TOWNSHIP_CODE
from reviewing import DAY_S, add_waiting, decide, state_of

from keys.clock import SettableClock
from matcher.bureau.actors import Actor, NotAllowed, Role
from matcher.bureau.office import Office
from matcher.reviews import Reviews
from matcher.reviews.errors import ClaimedByOther
from matcher.reviews.queue import QueueFilter, QueuePage
from matcher.states import MoveInvalid
from psi.errors import InputError

OTHER_HANDLER = Actor("jingban2", frozenset({Role.HANDLER}))


def ids(page: QueuePage) -> list[int]:
    return [item.household_id for item in page.items]


def test_the_longest_waiting_come_first_also_once_somebody_began(
    office: Office, clock: SettableClock, reviews: Reviews
) -> None:
    waiting = []
    for place in range(3):
        waiting += add_waiting(office, first=place)
        clock.advance(10 * DAY_S)
    reviews.queue.claim(HANDLER, waiting[0])  # a review that has begun begins its own clock
    page = reviews.queue.page(HANDLER, QueueFilter())
    assert ids(page) == [waiting[1], waiting[2], waiting[0]]
    assert [(item.waits_days, item.is_late) for item in page.items] == [(20, True), (10, False), (0, False)]
    assert ids(reviews.queue.page(HANDLER, QueueFilter(late_only=True))) == [waiting[1]]
    assert ids(reviews.queue.page(HANDLER, QueueFilter(late_only=True, late_after_days=10))) == waiting[1:]
    assert ids(reviews.queue.page(HANDLER, QueueFilter(claimed="mine"))) == [waiting[0]]
    assert ids(reviews.queue.page(HANDLER, QueueFilter(claimed="nobody"))) == waiting[1:]
    assert ids(reviews.queue.page(OTHER_HANDLER, QueueFilter(claimed="mine"))) == []
    assert ids(reviews.queue.page(OTHER_HANDLER, QueueFilter(claimed=f"@{HANDLER.name}"))) == [waiting[0]]
    assert ids(reviews.queue.page(HANDLER, QueueFilter(claimed=f"@{OTHER_HANDLER.name}"))) == []
    assert reviews.queue.list_claimants(CHECKER) == [HANDLER.name]


def test_pages_show_every_household_once(office: Office, reviews: Reviews) -> None:
    waiting = add_waiting(office, 5)
    for household in waiting[1:4:2]:
        reviews.queue.claim(HANDLER, household)
    found, after = [], None
    for _ in range(5):
        page = reviews.queue.page(HANDLER, QueueFilter(), after=after, size=2)
        assert page.total == 5
        found += ids(page)
        after = page.next
        if after is None:
            break
    assert sorted(found) == waiting
    assert len(found) == 5


@pytest.mark.parametrize("after", ["x", "2025", "/", "2025-01-01T00:00:00Z/99999999999999999999", "';--/1"])
def test_a_page_that_no_page_named(reviews: Reviews, after: str) -> None:
    with pytest.raises(InputError):
        reviews.queue.page(HANDLER, QueueFilter(), after=after)


def test_each_stage_holds_what_waits_for_that_step(office: Office, reviews: Reviews) -> None:
    fresh, proposed, approved, confirming = add_waiting(office, 4)
    reviews.decisions.propose(HANDLER, proposed, "approve")
    decide(office, approved)
    decide(office, confirming)
    reviews.confirmations.begin(HANDLER, [confirming])

    def page(stage: str) -> QueuePage:
        return reviews.queue.page(CHECKER, QueueFilter(stage=stage))  # type: ignore[arg-type]

    assert [ids(page(stage)) for stage in ("to_propose", "to_confirm", "approved", "confirming")] == [
        [fresh], [proposed], [approved], [confirming],
    ]  # fmt: skip
    (item,) = page("to_confirm").items
    assert (item.verdict, item.proposed_by, len(item.digest or "")) == ("approve", HANDLER.name, 64)
    assert page("confirming").items[0].ends_on == "2025-03-10"


def test_names_are_masked_and_an_empty_queue_is_empty(office: Office, reviews: Reviews, household: int) -> None:
    (item,) = reviews.queue.page(HANDLER, QueueFilter()).items
    assert (item.applicant, item.household_no) == ("演**", "H000000")
    assert reviews.queue.page(HANDLER, QueueFilter(stage="approved")) == QueuePage((), 0, None)


def test_who_may_look(reviews: Reviews, household: int) -> None:
    for actor in (MANAGER, BANK_ADMIN, AUDITOR):
        with pytest.raises(NotAllowed):
            reviews.queue.page(actor, QueueFilter())
    with pytest.raises(NotAllowed):  # a township's people see what they speak to: approvals being confirmed
        reviews.queue.page(TOWNSHIP, QueueFilter())
    assert reviews.queue.page(TOWNSHIP, QueueFilter(stage="confirming")).total == 0


def test_a_township_sees_its_own_and_no_sensitive_reason(office: Office, reviews: Reviews, household: int) -> None:
    with office.writing() as database:
        database.execute("UPDATE household SET reasons = 'N10,N22' WHERE household_id = ?", [household])
    decide(office, household)
    reviews.confirmations.begin(HANDLER, [household])
    confirming = QueueFilter(stage="confirming")
    (item,) = reviews.queue.page(TOWNSHIP, confirming).items
    assert item.reasons == ("N22", "NX1")
    assert reviews.queue.page(CHECKER, confirming).items[0].reasons == ("N10", "N22")
    assert reviews.queue.page(replace(TOWNSHIP, townships=("330922200",)), confirming).total == 0
    assert reviews.queue.page(CHECKER, replace(confirming, township="330922200")).total == 0
    assert reviews.queue.page(CHECKER, replace(confirming, township=TOWNSHIP_CODE)).total == 1
    with office.writing() as database:  # the label may name the village
        database.execute("UPDATE household SET division = ? WHERE household_id = ?", [f"{TOWNSHIP_CODE}201", household])
    for area, total in ((f"{TOWNSHIP_CODE}201", 1), (f"{TOWNSHIP_CODE}202", 0), (TOWNSHIP_CODE[:6], 1)):
        assert reviews.queue.page(CHECKER, replace(confirming, township=area)).total == total
        assert reviews.queue.page(replace(TOWNSHIP, townships=(area,)), confirming).total == total
    assert reviews.queue.page(CHECKER, replace(confirming, reason="N10")).total == 1
    assert reviews.queue.page(CHECKER, replace(confirming, reason="N1")).total == 0
    with pytest.raises(NotAllowed):  # a filter would tell what the column hides
        reviews.queue.page(TOWNSHIP, replace(confirming, reason="N10"))


def test_a_claim_is_one_persons(office: Office, reviews: Reviews, household: int) -> None:
    assert reviews.queue.claim(HANDLER, household).claimed_by == HANDLER.name
    assert state_of(office, household) == "IN_REVIEW"
    rows = office.verify_audit().seq
    assert reviews.queue.claim(HANDLER, household).claimed_by == HANDLER.name  # again changes nothing
    assert office.verify_audit().seq == rows
    with pytest.raises(ClaimedByOther) as caught:
        reviews.queue.claim(OTHER_HANDLER, household)
    assert caught.value.params["by"] == HANDLER.name
    with pytest.raises(ClaimedByOther):
        reviews.queue.release(OTHER_HANDLER, household)
    with pytest.raises(NotAllowed):
        reviews.queue.claim(CHECKER, household)


def test_one_gives_back_ones_own_and_a_checker_anybodys(office: Office, reviews: Reviews, household: int) -> None:
    reviews.queue.claim(HANDLER, household)
    reviews.queue.release(HANDLER, household)
    reviews.queue.claim(OTHER_HANDLER, household)
    reviews.queue.release(OTHER_CHECKER, household)
    rows = office.verify_audit().seq
    reviews.queue.release(OTHER_CHECKER, household)  # nobody has it: nothing changes
    assert office.verify_audit().seq == rows
    assert reviews.queue.claim(HANDLER, household).claimed_by == HANDLER.name


def test_only_what_is_in_review_can_be_claimed(office: Office, reviews: Reviews, household: int) -> None:
    decide(office, household)
    with pytest.raises(MoveInvalid):
        reviews.queue.claim(HANDLER, household)
