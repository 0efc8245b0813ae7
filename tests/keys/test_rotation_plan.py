"""The plan of a rotation: examples of a year, and what holds at all times for any history and any clock."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from keys.epochs import NEXT_STATE, EpochRecord
from keys.rotation import (
    CLOCK_MARGIN,
    DONE_BY_APPLY,
    EpochFacts,
    RotationPolicy,
    Step,
    lacks,
    next_name,
    plan_rotation,
)
from psi.errors import InputError

START = datetime(2026, 1, 1, tzinfo=UTC)
POLICY = RotationPolicy()
KEY = bytes(32)


def day(number: float) -> datetime:
    return START + timedelta(days=number)


def epoch(name: str, state: str = "active", *, begins: float = 0, ends: float = 365, **facts: Any) -> EpochFacts:
    moments = {"activated_at": day(begins)} if state != "pending" else {}
    if state in ("expired", "destroyed"):
        moments["expired_at"] = facts.pop("expired_at", day(ends))
    if state == "destroyed":
        moments["destroyed_at"] = facts.pop("destroyed_at", day(ends + 100))
    record = EpochRecord("base", name, state, KEY, day(begins), day(begins), day(ends), **moments)  # type: ignore[arg-type]
    return EpochFacts(record, **facts)


def plan(epochs: list[EpochFacts], current: str | None, now: float, policy: RotationPolicy = POLICY) -> list[Step]:
    return plan_rotation("base", epochs, current, policy, day(now))


def due(steps: list[Step], now: float) -> list[tuple[str, str]]:
    return [(step.kind, step.epoch) for step in steps if step.is_due(day(now)) and step.kind != "warn"]


def warnings(steps: list[Step]) -> list[tuple[str, str]]:
    return [(step.reason, step.epoch) for step in steps if step.kind == "warn"]


# A year, by example


def test_a_quiet_day_shows_the_whole_year_ahead() -> None:
    steps = plan([epoch("2026", edition=3, callers=2)], "2026", 10)
    assert [(step.kind, step.epoch, step.due, step.waits_for) for step in steps] == [
        ("create", "2027", day(305), ""),
        ("activate", "2027", day(335), ""),
        ("publish", "2027", day(335), ""),
        ("make_current", "2027", day(335), "edition"),
        ("expire", "2026", day(369), "successor"),
        ("destroy", "2026", day(369 + 94), ""),
    ]
    assert steps[0].not_after == day(730)
    assert due(steps, 10) == []


def test_the_next_epoch_is_created_in_time() -> None:
    old = epoch("2026", edition=3)
    assert due(plan([old], "2026", 304), 304) == []
    assert due(plan([old], "2026", 305), 305) == [("create", "2027")]


def test_a_pending_epoch_is_activated_for_the_overlap() -> None:
    epochs = [epoch("2026", edition=3), epoch("2027", "pending", begins=305, ends=730)]
    assert due(plan(epochs, "2026", 334), 334) == []
    assert due(plan(epochs, "2026", 335), 335) == [("activate", "2027"), ("publish", "2027")]


def test_an_epoch_without_an_edition_is_not_made_current() -> None:
    epochs = [epoch("2026", edition=3), epoch("2027", begins=335, ends=730)]
    steps = plan(epochs, "2026", 340)
    assert due(steps, 340) == [("publish", "2027")]
    assert [step.waits_for for step in steps if (step.kind, step.epoch) == ("make_current", "2027")] == ["edition"]
    assert ("overdue", "2027") in warnings(steps)
    assert due(plan([epochs[0], replace(epochs[1], edition=1)], "2026", 340), 340) == [("make_current", "2027")]


def test_an_epoch_in_which_nobody_may_ask_is_not_made_current() -> None:
    epochs = [epoch("2026", edition=3, callers=82), epoch("2027", begins=335, ends=730, edition=1)]
    steps = plan(epochs, "2026", 336)
    assert due(steps, 336) == []
    assert [step.waits_for for step in steps if (step.kind, step.epoch) == ("make_current", "2027")] == ["budgets"]
    assert warnings(steps) == [("budgets_missing", "2027")]
    some = [epochs[0], replace(epochs[1], callers=80)]
    assert due(plan(some, "2026", 336), 336) == [("make_current", "2027")]
    for current in ("2026", "2027"):
        assert warnings(plan(some, current, 336)) == [("budgets_missing", "2027")], "until the old epoch is over"
    assert warnings(plan(some, "2027", 366)) == []


def test_the_old_epoch_is_served_to_its_end_and_expires_with_a_margin() -> None:
    epochs = [epoch("2026", edition=3), epoch("2027", begins=335, ends=730, edition=1)]
    assert due(plan(epochs, "2027", 365), 365) == []
    assert due(plan(epochs, "2027", 368.9), 368.9) == []
    assert due(plan(epochs, "2027", 369), 369) == [("expire", "2026")]


def test_the_last_epoch_is_not_expired_without_a_successor() -> None:
    steps = plan([epoch("2026", edition=3)], "2026", 380)
    assert due(steps, 380) == [("create", "2027")]
    assert [step.waits_for for step in steps if step.kind == "expire"] == ["successor"]
    assert warnings(steps) == [("overdue", "2027"), ("nobody_served", "2026")]
    assert next(step for step in steps if step.kind == "create").not_after == day(380 + 365)


def test_it_warns_before_an_end_without_a_successor() -> None:
    epochs = [epoch("2026", edition=3), epoch("2027", begins=335, ends=730)]
    assert ("ends_without_successor", "2026") not in warnings(plan(epochs, "2026", 350))
    assert ("ends_without_successor", "2026") in warnings(plan(epochs, "2026", 352))


def test_an_expired_key_is_destroyed_after_its_retention() -> None:
    epochs = [epoch("2026", "expired", expired_at=day(370)), epoch("2027", begins=335, ends=730, edition=1)]
    assert due(plan(epochs, "2027", 370 + 93.9), 370 + 93.9) == []
    assert due(plan(epochs, "2027", 370 + 94), 370 + 94) == [("destroy", "2026")]


def test_an_unfinished_destruction_is_finished() -> None:
    gone = epoch("2026", "destroyed")
    serving = epoch("2027", begins=335, ends=1000, edition=1)
    assert due(plan([gone, serving], "2027", 500), 500) == []
    assert due(plan([replace(gone, is_shredded=False), serving], "2027", 500), 500) == [("destroy", "2026")]


def test_nothing_at_all_is_a_warning() -> None:
    assert [(step.kind, step.reason) for step in plan([], None, 0)] == [("warn", "no_epoch")]


def test_a_pending_epoch_that_was_never_used() -> None:
    epochs = [epoch("2026", "pending", ends=100), epoch("2027", ends=730, edition=1)]
    steps = plan(epochs, "2027", 200)
    assert ("never_used", "2026") in warnings(steps)
    assert due(steps, 200) == []


def test_an_early_rotation_by_hand_takes_over_when_it_is_ready() -> None:
    epochs = [epoch("2026", edition=3), epoch("2026b", begins=100, ends=400)]
    assert due(plan(epochs, "2026", 100), 100) == [("publish", "2026b")]
    assert due(plan([epochs[0], replace(epochs[1], edition=1)], "2026", 100), 100) == [("make_current", "2026b")]


def test_a_current_epoch_that_ended_gives_way_to_any_that_serves() -> None:
    epochs = [epoch("2025", ends=500, edition=9), epoch("2026", "expired", ends=100)]
    assert ("make_current", "2025") in due(plan(epochs, "2026", 110), 110)
    assert ("make_current", "2025") in due(plan(epochs, None, 110), 110)


@pytest.mark.parametrize(
    ("last", "following"),
    [("2026", "2027"), ("e9", "e10"), ("2026b", "2026b-2"), ("a-1.9", "a-1.10"), ("x" * 63, "x" * 62 + "2")],
)
def test_names_count_up(last: str, following: str) -> None:
    assert next_name(last, [last]) == following
    assert next_name(last, [last, following]) not in (last, following)


@pytest.mark.parametrize(
    "days",
    [
        {"overlap_days": 6},
        {"overlap_days": 61},
        {"create_days": 365},
        {"period_days": 1101},
        {"retain_days": -1},
        {"retain_days": 3651},
    ],
)
def test_a_policy_that_contradicts_itself_is_refused(days: dict[str, int]) -> None:
    with pytest.raises(InputError):
        RotationPolicy(**days)  # type: ignore[arg-type]


# What always holds

HOURS = st.integers(-20 * 24, 900 * 24)
STATES = ("pending", "active", "expired", "destroyed")


@st.composite
def policies(draw: st.DrawFn) -> RotationPolicy:
    overlap = draw(st.integers(7, 40))
    create = draw(st.integers(overlap, 80))
    period = draw(st.integers(create + 1, 400))
    return RotationPolicy(period, create, overlap, draw(st.integers(0, 120)))


@st.composite
def histories(draw: st.DrawFn) -> list[EpochFacts]:
    """Any epochs whatever, sensible or not."""
    epochs = []
    for number in range(draw(st.integers(0, 4))):
        begins, lasts = draw(st.integers(-400, 400)), draw(st.integers(1, 500))
        made = epoch(
            str(2026 + number),
            draw(st.sampled_from(STATES)),
            begins=begins,
            ends=begins + lasts,
            edition=draw(st.none() | st.just(1)),
            callers=draw(st.integers(0, 3)),
            is_shredded=draw(st.booleans()),
        )
        epochs.append(made)
    return epochs


@given(histories(), st.none() | st.sampled_from(["2026", "2027", "2028", "2030"]), policies(), HOURS)
def test_a_plan_is_deterministic_and_never_contradicts_itself(
    epochs: list[EpochFacts], current: str | None, policy: RotationPolicy, hours: int
) -> None:
    now = START + timedelta(hours=hours)
    steps = plan_rotation("base", epochs, current, policy, now)
    assert steps == plan_rotation("base", epochs, current, policy, now)
    assert steps == sorted(steps, key=lambda step: step.due)
    acts = [step for step in steps if step.kind != "warn"]
    assert len({(step.kind, step.epoch) for step in acts}) == len(acts)
    states = {facts.record.epoch: facts.record.state for facts in epochs}
    allowed = {"create": (None,), "activate": ("pending",), "publish": ("active", "pending"), "expire": ("active",)}
    allowed |= {"make_current": ("active",), "destroy": ("expired", "destroyed")}
    due_now = [step for step in acts if step.is_due(now)]
    for step in due_now:
        assert states.get(step.epoch) in allowed[step.kind], step
    switches = [step.epoch for step in due_now if step.kind == "make_current"]
    ends = [step.epoch for step in due_now if step.kind == "expire"]
    assert len(switches) <= 1
    assert not set(ends) & {*switches, current}
    assert sum(step.kind == "create" for step in acts) <= 1


# A world with clocks that are up to two days wrong, operators who forget things, and an `apply` now and then


@dataclass
class World:
    """A key store and ledger of a few lines: what the plan's steps do, and nothing more."""

    epochs: list[EpochFacts] = field(default_factory=list)
    current: str | None = None

    def apply(self, policy: RotationPolicy, now: datetime) -> list[Step]:
        done: list[Step] = []
        while step := next((s for s in self.plan(policy, now) if s.kind in DONE_BY_APPLY and s.is_due(now)), None):
            assert step not in done, "a step was not done by doing it"
            assert len(done) < 100, "no end of steps"
            self.do(step, now)
            done.append(step)
        return done

    def plan(self, policy: RotationPolicy, now: datetime) -> list[Step]:
        return plan_rotation("base", self.epochs, self.current, policy, now)

    def do(self, step: Step, now: datetime) -> None:
        if step.kind == "create":
            assert step.not_after is not None
            self.create(step.epoch, now, now - CLOCK_MARGIN, step.not_after)
        elif step.kind == "make_current":
            self.current = step.epoch
        else:
            moves = {"activate": "active", "expire": "expired", "destroy": "destroyed"}
            self.move(step.epoch, moves[step.kind], now)

    def create(self, name: str, now: datetime, not_before: datetime, not_after: datetime) -> None:
        assert name not in [facts.record.epoch for facts in self.epochs]
        self.epochs.append(EpochFacts(EpochRecord("base", name, "pending", KEY, now, not_before, not_after)))

    def move(self, name: str, state: str, now: datetime) -> None:
        place = next(place for place, facts in enumerate(self.epochs) if facts.record.epoch == name)
        record = self.epochs[place].record
        assert NEXT_STATE.get(record.state) == state, "states only move forward, one at a time"
        moment = {"active": "activated_at", "expired": "expired_at", "destroyed": "destroyed_at"}[state]
        self.epochs[place] = replace(self.epochs[place], record=replace(record, state=state, **{moment: now}))

    def change(self, place: int, **facts: Any) -> None:
        self.epochs[place % len(self.epochs)] = replace(self.epochs[place % len(self.epochs)], **facts)


class RotationMachine(RuleBasedStateMachine):
    """True time only goes on; every reading of the clock is up to two days off, either way."""

    @initialize(policy=policies(), days=st.integers(60, 500))
    def begin(self, policy: RotationPolicy, days: int) -> None:
        self.policy, self.true, self.wrong = policy, START, timedelta()
        self.world = World()
        self.world.create("2026", START, START - CLOCK_MARGIN, START + timedelta(days=days))
        self.world.move("2026", "active", START)
        self.world.current = "2026"
        self.expired_at: dict[str, datetime] = {}

    @rule(hours=st.integers(1, 60 * 24))
    def time_passes(self, hours: int) -> None:
        self.true += timedelta(hours=hours)

    @rule(hours=st.integers(-48, 48))
    def clock_is_wrong(self, hours: int) -> None:
        self.wrong = timedelta(hours=hours)

    @rule()
    def refresh(self) -> None:
        for place, facts in enumerate(self.world.epochs):
            if facts.record.state == "active":
                self.world.change(place, edition=(facts.edition or 0) + 1)

    @rule(place=st.integers(0, 9), callers=st.integers(1, 3))
    def declare(self, place: int, callers: int) -> None:
        self.world.change(place, callers=callers)

    @precondition(lambda self: len(self.world.epochs) < 8)
    @rule(days=st.integers(30, 500), is_active=st.booleans())
    def create_by_hand(self, days: int, is_active: bool) -> None:
        now = self.true + self.wrong
        name = f"hand{len(self.world.epochs)}"
        self.world.create(name, now, now - CLOCK_MARGIN, now + timedelta(days=days))
        if is_active:
            self.world.move(name, "active", now)

    @rule()
    def apply(self) -> None:
        now = self.true + self.wrong
        before = {facts.record.epoch: facts for facts in self.world.epochs}
        served = [name for name, facts in before.items() if facts.is_serving(self.true)]
        used = before.get(self.world.current or "")
        could_use = used is not None and used.is_serving(self.true) and used.is_serving(now)
        for step in self.world.apply(self.policy, now):
            if step.kind == "expire":
                assert self.true >= before[step.epoch].record.not_after, "expired before its end"
                self.expired_at[step.epoch] = self.true
            if step.kind == "destroy":
                kept = self.true - self.expired_at[step.epoch]
                assert kept >= timedelta(days=self.policy.retain_days), "destroyed before its retention was over"
        after = {facts.record.epoch: facts for facts in self.world.epochs}
        assert all(after[name].is_serving(self.true) for name in served), "an epoch stopped serving before its end"
        if could_use and used is not None:
            chosen = after[self.world.current or ""]
            assert chosen.is_serving(now), "callers were sent to an epoch that does not serve"
            assert chosen.callers or not used.callers, "callers were sent to an epoch in which none may ask"
        again = self.world.plan(self.policy, now)
        assert [step for step in again if step.kind in DONE_BY_APPLY and step.is_due(now)] == []

    @invariant()
    def what_is_expired_has_a_time(self) -> None:
        for facts in self.world.epochs:
            if facts.record.state in ("expired", "destroyed"):
                assert facts.record.expired_at is not None


TestRotationMachine = RotationMachine.TestCase


def test_what_an_epoch_lacks() -> None:
    now = day(340)
    current = epoch("2026", edition=1, callers=2)
    bare = epoch("2027", begins=335, ends=730)
    assert lacks(bare, current, now) == "edition"
    assert lacks(replace(bare, edition=1), current, now) == "budgets"
    assert lacks(replace(bare, edition=1, callers=1), current, now) == ""
    assert lacks(replace(bare, edition=1), None, now) == ""
    assert lacks(replace(bare, edition=1), replace(current, edition=None), now) == ""
