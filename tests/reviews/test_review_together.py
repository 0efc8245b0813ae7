"""D40: two who act at once. One decision and one set of rows; the other gets what was recorded, or is refused."""

from __future__ import annotations

import multiprocessing
import threading
from collections import Counter
from multiprocessing.synchronize import Barrier
from pathlib import Path

from bureau_office import CHECKER, HANDLER, OTHER_CHECKER, make_office, spring
from reviewing import add_waiting, state_of

from matcher.bureau.actors import Actor, Role
from matcher.bureau.office import Office
from matcher.reviews import Reviews
from psi.errors import MingceError

OTHER_HANDLER = Actor("jingban2", frozenset({Role.HANDLER}))
PROCESSES = 3


def audit_rows(office: Office, action: str) -> int:
    ((rows,),) = office.database.execute("SELECT COUNT(*) FROM audit WHERE action = ?", [action]).fetchall()
    return int(rows)


def attempt(work: object) -> str:
    try:
        work()  # type: ignore[operator]
    except MingceError as error:
        return error.code
    return "done"


def in_threads(office: Office, *works: object) -> Counter[str]:
    """Each in a thread of its own with its own handle on the store, as another process has it; begun together."""
    barrier = threading.Barrier(len(works))
    outcomes: list[str] = []

    def run(work: object) -> None:
        other = make_office(office.home, spring())
        try:
            barrier.wait()
            outcomes.append(attempt(lambda: work(Reviews(other))))  # type: ignore[operator]
        finally:
            other.close()

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Counter(outcomes)


def test_d40_two_reviewers_approve_together(office: Office, reviews: Reviews) -> None:
    for household in add_waiting(office, 5):
        proposed = reviews.decisions.propose(HANDLER, household, "approve")
        before = audit_rows(office, "review.confirmed")
        outcomes = in_threads(
            office,
            *(
                lambda other, actor=actor, seen=proposed: other.decisions.confirm(actor, seen.decision_id, seen.digest)
                for actor in (CHECKER, OTHER_CHECKER)
            ),
        )
        assert outcomes == {"done": 1, "decision_made": 1}
        assert audit_rows(office, "review.confirmed") == before + 1
        assert state_of(office, household) == "APPROVED"


def test_d40_two_claim_and_propose_together(office: Office, reviews: Reviews) -> None:
    for household in add_waiting(office, 5):
        outcomes = in_threads(
            office,
            *(
                lambda other, actor=actor, wanted=household: other.decisions.propose(actor, wanted, "approve")
                for actor in (HANDLER, OTHER_HANDLER)
            ),
        )
        assert outcomes["done"] == 1
        assert sum(outcomes.values()) == 2
        assert len(reviews.decisions.records.list_of(household)) == 1


def test_d40_a_double_click_in_two_threads_is_one_change(office: Office, reviews: Reviews, household: int) -> None:
    clicks = [lambda other: other.decisions.propose(HANDLER, household, "approve", key="click")] * 4
    assert in_threads(office, *clicks) == {"done": 4}
    (proposed,) = reviews.decisions.records.list_of(household)
    clicks = [lambda other: other.decisions.confirm(CHECKER, proposed.decision_id, proposed.digest, key="click")] * 4
    assert in_threads(office, *clicks) == {"done": 4}
    assert (audit_rows(office, "review.propose"), audit_rows(office, "review.confirmed")) == (1, 1)


def test_d40_one_confirms_while_another_sends_back(office: Office, reviews: Reviews) -> None:
    for household in add_waiting(office, 4):
        seen = reviews.decisions.propose(HANDLER, household, "approve")
        outcomes = in_threads(
            office,
            lambda other, seen=seen: other.decisions.confirm(CHECKER, seen.decision_id, seen.digest),
            lambda other, seen=seen: other.decisions.send_back(
                OTHER_CHECKER, seen.decision_id, seen.digest, remark="x"
            ),
        )
        assert outcomes == {"done": 1, "decision_made": 1}
        assert (
            state_of(office, household)
            == {"confirmed": "APPROVED", "sent_back": "IN_REVIEW"}[
                reviews.decisions.records.read(seen.decision_id).state
            ]
        )


def _confirm_in_process(home: str, name: str, digests: dict[int, str], barrier: Barrier, results: object) -> None:
    office = make_office(Path(home), spring())
    barrier.wait()
    reviews, actor = Reviews(office), Actor(name, frozenset({Role.CHECKER}))
    found = [
        attempt(lambda number=number, digest=digest: reviews.decisions.confirm(actor, number, digest))
        for number, digest in digests.items()
    ]
    office.close()
    results.put(found)  # type: ignore[attr-defined]


def test_d40_processes_that_confirm_the_same_decisions(office: Office, reviews: Reviews) -> None:
    households = add_waiting(office, 5)
    seen = [reviews.decisions.propose(HANDLER, household, "approve") for household in households]
    digests = {decision.decision_id: decision.digest for decision in seen}
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(PROCESSES), context.Queue()
    workers = [
        context.Process(target=_confirm_in_process, args=(str(office.home), f"fuhe-{place}", digests, barrier, results))
        for place in range(PROCESSES)
    ]
    for worker in workers:
        worker.start()
    outcomes = [results.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join(timeout=60)
        assert worker.exitcode == 0
    for answers in zip(*outcomes, strict=True):  # of one decision
        assert Counter(answers) == {"done": 1, "decision_made": PROCESSES - 1}
    assert audit_rows(office, "review.confirmed") == len(households)
    assert {state_of(office, household) for household in households} == {"APPROVED"}


def test_a_confirmation_that_fails_half_way_leaves_nothing(office: Office, reviews: Reviews, household: int) -> None:
    """An error anywhere in the work leaves neither the answer nor the move nor their audit rows."""
    seen = reviews.decisions.propose(HANDLER, household, "approve")
    before = office.verify_audit().seq
    real = office.record_within

    def failing(actor: Actor, action: str, *words: object, **content: object) -> int:
        if action == "household.move":
            raise OSError("the disk is full")
        return real(actor, action, *words, **content)  # type: ignore[arg-type]

    office.record_within = failing  # type: ignore[method-assign,assignment]
    try:
        reviews.decisions.confirm(CHECKER, seen.decision_id, seen.digest)
    except OSError:
        pass
    else:
        raise AssertionError("the error was swallowed")
    finally:
        office.record_within = real  # type: ignore[method-assign]
    assert office.verify_audit().seq == before
    assert reviews.decisions.records.read(seen.decision_id).state == "proposed"
    assert decide_again(office, reviews, seen.decision_id, seen.digest) == "APPROVED"


def decide_again(office: Office, reviews: Reviews, decision: int, digest: str) -> str:
    done = reviews.decisions.confirm(CHECKER, decision, digest)
    return state_of(office, done.household_id)
