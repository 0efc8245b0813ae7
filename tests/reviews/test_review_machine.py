"""No sequence of calls, by whomever, brings a household to the final list without form, checks and two persons.

Hypothesis calls the services of visits, checks and reviews in any order, as several accounts (one with every role),
with right and wrong arguments, and raw SQL between them. What counts as "with" is written here anew from the plan.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pysqlite3
import pytest
from bureau_office import CHECKER, HANDLER, MANAGER, OTHER_CHECKER, TOWNSHIP, add_households, make_office, spring
from handed_over import COUNTY
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from reviewing import DAY_S, FITTING, begin, enter_checks
from visiting import add_accounts, collect, form_values, household_items, plan_and_assign, to_be_visited

from matcher.bureau.actors import Actor, Role
from matcher.households import Households
from matcher.reviews import Reviews
from matcher.visits.service import Visits
from psi.errors import MingceError

EVERYTHING = Actor("quanneng", frozenset({Role.HANDLER, Role.CHECKER, Role.TOWNSHIP}), townships=(COUNTY,))
ACTORS = st.sampled_from([HANDLER, CHECKER, OTHER_CHECKER, TOWNSHIP, MANAGER, EVERYTHING])
PLACES = st.sampled_from([0, 1])
VERDICTS = st.sampled_from(["approve", "reject", "return", "graduate", "suspend", "resume", "remove", "give_up"])

_HOW_IT_CAME = """
    SELECT decision.proposed_by, decision.decided_by, visit.collector, visit.state, form.digest = decision.form_digest,
        confirmation.ends_on, date(confirmation.closed_at, '+8 hours'), confirmation.sms_at, confirmation.village_result
    FROM decision JOIN visit USING (visit_id) JOIN form USING (visit_id) JOIN confirmation USING (decision_id)
    WHERE decision.household_id = ? AND decision.verdict = 'approve' AND decision.state = 'confirmed'
    AND form.replaced_at IS NULL AND confirmation.outcome = 'final'
"""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two households that wait for a visit; each example works on a copy."""
    home = tmp_path_factory.mktemp("template") / "home"
    office = make_office(home, spring())
    begin(office)
    add_accounts(office, EVERYTHING)
    to_be_visited(office, add_households(office, 2))
    office.close()
    return home


def machine(template: Path, reached: set[str]) -> type[RuleBasedStateMachine]:
    """The machine over copies of ``template``; ``reached`` collects the states that were seen."""

    class Review(RuleBasedStateMachine):
        @initialize()
        def open(self) -> None:
            self.folder = Path(tempfile.mkdtemp())
            shutil.copytree(template, self.folder / "home")
            self.clock = spring()
            self.office = make_office(self.folder / "home", self.clock)
            self.reviews = Reviews(self.office)
            self.households = [1, 2]

        def teardown(self) -> None:
            self.office.verify_audit()
            self.office.close()
            shutil.rmtree(self.folder)

        def attempt(self, do: Callable[[], object]) -> None:
            """A refusal is an answer; an error of the database would be a gate that the services forgot."""
            with suppress(MingceError):
                do()

        def open_decision(self) -> tuple[int, str]:
            row = self.office.database.execute(
                "SELECT decision_id, digest FROM decision ORDER BY state = 'proposed' DESC, decision_id DESC LIMIT 1"
            ).fetchone()
            return row or (99, "")

        def state(self, place: int) -> str:
            ((state,),) = self.office.database.execute(
                "SELECT state FROM household WHERE household_id = ?", [self.households[place]]
            ).fetchall()
            return str(state)

        @precondition(lambda self: {"TO_VISIT", "RETURNED"} & {self.state(0), self.state(1)})
        @rule(place=PLACES, manager=st.sampled_from([MANAGER, EVERYTHING]), checker=ACTORS)
        def visit(self, place: int, manager: Actor, checker: Actor) -> None:
            if self.state(place) not in ("TO_VISIT", "RETURNED"):
                return
            (number,) = plan_and_assign(self.office, [self.households[place]], manager)
            values = form_values(household_items(place), self.office.today().isoformat(), **FITTING)
            collect(self.office, number, values, manager)
            self.attempt(lambda: Visits(self.office).accept(checker, number))

        @rule(checker=ACTORS)
        def accept(self, checker: Actor) -> None:
            rows = self.office.database.execute("SELECT visit_id FROM visit WHERE state = 'SUBMITTED'").fetchall()
            for (number,) in rows:
                self.attempt(lambda number=number: Visits(self.office).accept(checker, number))

        @rule(place=PLACES)
        def check(self, place: int) -> None:
            self.attempt(lambda: enter_checks(self.office, [self.households[place]]))

        @rule(actor=ACTORS, place=PLACES, verdict=VERDICTS, words=st.sampled_from(["", "x"]), reason=st.booleans())
        def propose(self, actor: Actor, place: int, verdict: str, words: str, reason: bool) -> None:
            self.attempt(
                lambda: self.reviews.decisions.propose(
                    actor,
                    self.households[place],
                    verdict,
                    reasons=["N90"] if reason else [],
                    remark=words,  # type: ignore[arg-type]
                )
            )

        @rule(actor=ACTORS, seen=st.sampled_from([True, True, True, False]))
        def confirm(self, actor: Actor, seen: bool) -> None:
            number, digest = self.open_decision()
            self.attempt(lambda: self.reviews.decisions.confirm(actor, number, digest if seen else "0" * 64))

        @rule(actor=ACTORS)
        def send_back(self, actor: Actor) -> None:
            self.attempt(lambda: self.reviews.decisions.send_back(actor, *self.open_decision(), remark="x"))

        @rule(actor=ACTORS)
        def withdraw(self, actor: Actor) -> None:
            self.attempt(lambda: self.reviews.decisions.withdraw(actor, self.open_decision()[0]))

        @rule(actor=ACTORS)
        def begin_and_tell(self, actor: Actor) -> None:
            self.attempt(lambda: self.reviews.confirmations.begin(actor, self.households))
            for household in self.households:
                self.attempt(lambda household=household: self.reviews.confirmations.tell(actor, household, "电话"))

        @rule(actor=ACTORS, place=PLACES, result=st.sampled_from(["agreed", "agreed", "objected"]))
        def deliberate(self, actor: Actor, place: int, result: str) -> None:
            self.attempt(
                lambda: self.reviews.deliberations.record(
                    actor,
                    [self.households[place]],
                    result,
                    self.office.today(),
                    why="x",  # type: ignore[arg-type]
                )
            )

        @rule(actor=ACTORS)
        def close(self, actor: Actor) -> None:
            self.attempt(lambda: self.reviews.confirmations.close(actor, self.households))

        @rule(actor=ACTORS, place=PLACES, appeal=st.booleans())
        def speak_against(self, actor: Actor, place: int, appeal: bool) -> None:
            enter = self.reviews.objections.appeal if appeal else self.reviews.objections.enter
            self.attempt(
                lambda: enter(actor, self.households[place], who="甲", why="x", received_on=self.office.today())
            )

        @rule(days=st.integers(1, 8))
        def wait(self, days: int) -> None:
            self.clock.advance(days * DAY_S)

        @rule(place=PLACES, state=st.sampled_from(["APPROVED", "FINAL", "SUSPENDED", "REFINED_OUT"]))
        def write_past_the_program(self, place: int, state: str) -> None:
            before = self.state(place)
            with suppress(pysqlite3.IntegrityError), self.office.writing() as database:
                database.execute(
                    "UPDATE household SET state = ? WHERE household_id = ?", [state, self.households[place]]
                )
            assert self.state(place) == before

        @rule(actor=st.sampled_from([HANDLER, EVERYTHING]), place=PLACES, steps=st.integers(1, 3))
        def go_on(self, actor: Actor, place: int, steps: int) -> None:
            """Right steps, so that sequences come far enough to be worth checking."""
            for _ in range(steps):
                self.step(actor, place)

        def step(self, actor: Actor, place: int) -> None:
            household, state = self.households[place], self.state(place)
            if state in ("TO_VISIT", "RETURNED"):
                self.visit(place, MANAGER, CHECKER)
                enter_checks(self.office, [household])
            elif state == "REFINED_OUT":  # given up
                Households(self.office).supplement_many(HANDLER, [household], remark="已返乡")
                with self.office.writing():
                    Households(self.office).move_within(HANDLER, household, "TO_VISIT")
            elif state in ("PENDING_REVIEW", "IN_REVIEW"):
                self.propose(actor, place, "approve", "x", False)
                self.confirm(CHECKER, True)
            elif state == "APPROVED":
                self.begin_and_tell(actor)
            elif state == "CONFIRMING":
                self.deliberate(TOWNSHIP, place, "agreed")
                self.wait(8)
                self.close(CHECKER)

        @rule(place=PLACES, verdict=VERDICTS)
        def decide(self, place: int, verdict: str) -> None:
            """By the right persons and with words, whatever the verdict."""
            self.propose(HANDLER, place, verdict, "x", True)
            self.confirm(CHECKER, True)

        @invariant()
        def whoever_is_final_came_by_the_whole_way(self) -> None:
            for place, household in enumerate(self.households):
                state = self.state(place)
                reached.add(state)
                listed = self.office.database.execute(
                    "SELECT COUNT(*), SUM(effective_to IS NULL) FROM listing WHERE household_id = ?", [household]
                ).fetchone()
                assert (listed[1] or 0) == (state == "FINAL")
                if not listed[0]:
                    assert state not in ("FINAL", "GRADUATED", "SUSPENDED", "REMOVED")
                    continue
                (first, second, collector, visit, same_form, ends_on, closed_on, told, village) = (
                    self.office.database.execute(_HOW_IT_CAME, [household]).fetchone()
                )
                assert len({first, second, collector}) == 3
                assert (visit, same_form, bool(told), village) == ("ACCEPTED", 1, True, "agreed")
                assert closed_on > ends_on
                unchecked = self.office.database.execute(
                    "SELECT COUNT(*) FROM member WHERE household_id = ? AND left_at IS NULL AND member_id NOT IN"
                    " (SELECT member_id FROM department_check WHERE department = 'minzheng')",
                    [household],
                ).fetchone()[0]
                assert unchecked == 0

    return Review


def test_no_sequence_reaches_the_final_list_without_form_checks_and_two_persons(template: Path) -> None:
    reached: set[str] = set()
    run_state_machine_as_test(
        machine(template, reached), settings=settings(max_examples=40, stateful_step_count=40, deadline=None)
    )
    assert {"CONFIRMING", "FINAL"} <= reached  # or the sequences prove little


@pytest.mark.slow
def test_no_long_sequence_does_either(template: Path) -> None:
    reached: set[str] = set()
    run_state_machine_as_test(
        machine(template, reached), settings=settings(max_examples=200, stateful_step_count=60, deadline=None)
    )
    assert {"FINAL", "SUSPENDED", "REMOVED", "REJECTED"} <= reached
