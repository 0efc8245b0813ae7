"""The life of a dataset's epochs as a plan: a pure function from (epochs, policy, now) to steps with reasons.

Nothing is read or changed here; matcher.province.rotation gathers the facts and does the steps.
For a predecessor P that ends at ``not_after`` and its successor S, the plan is

    P.not_after - create_days     create S
    P.not_after - overlap_days    activate S: both are served from here on
    the same, once S is ready     make_current S: callers are sent to it
    P.not_after                   P is no longer evaluated (every manifest said so)
    P.not_after + CLOCK_MARGIN    expire P, if S serves in its place
    + retain_days + CLOCK_MARGIN  destroy P

States only move forward, and a step whose conditions do not hold waits and says for what: nothing is
done that would leave callers without an epoch they can use.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args

from keys.epochs import EpochRecord
from psi.errors import InputError

StepKind = Literal["create", "activate", "publish", "make_current", "expire", "destroy", "warn"]
Condition = Literal["", "edition", "budgets", "successor"]
PublicEditions = Literal["remove", "keep"]

DONE_BY_APPLY = frozenset({"create", "activate", "make_current", "expire", "destroy"})
"""The kinds that `mingce keys apply` does. ``publish`` is a refresh's work, ``warn`` a person's."""

CLOCK_MARGIN = timedelta(days=4)
"""What cannot be undone waits so much longer: two clock readings, each wrong by two days, do no harm."""
OVERDUE = timedelta(days=3)
"""A step so long past its time is warned about: nobody runs `mingce keys apply`."""
_SHORT_NOTICE = timedelta(days=14)
_NAME_CHARACTERS = 63
_ORDER = {kind: place for place, kind in enumerate(get_args(StepKind))}


@dataclass(frozen=True)
class RotationPolicy:
    """How a dataset's epochs follow one another, in days. The defaults suit a list renewed once a year.

    ``period_days``: from the end of one epoch to the end of the next. ``create_days``: how long before an
    epoch's end the next one is created. ``overlap_days``: how long both are served. ``retain_days``: how
    long an expired epoch's key is kept, for receipts, before it is destroyed. ``public_editions``: what
    becomes of the published files of a destroyed epoch. Raises InputError for numbers that contradict.
    """

    period_days: int = 365
    create_days: int = 60
    overlap_days: int = 30
    retain_days: int = 90
    public_editions: PublicEditions = "remove"

    def __post_init__(self) -> None:
        if not 7 <= self.overlap_days <= self.create_days < self.period_days <= 1100:
            raise InputError("7 <= overlap_days <= create_days < period_days <= 1100 must hold")
        if not 0 <= self.retain_days <= 3650:
            raise InputError("retain_days is 0 to 3650")


@dataclass(frozen=True)
class EpochFacts:
    """What the plan needs to know of one epoch.

    ``edition``: the number served, None before the first publication. ``callers``: how many may ask in it
    (they have a budget). ``is_shredded``: False for a destroyed epoch whose traces may not all be gone.
    """

    record: EpochRecord
    edition: int | None = None
    callers: int = 0
    is_shredded: bool = True

    def is_serving(self, now: datetime) -> bool:
        """Active, within its time, and with something published."""
        in_time = self.record.not_before <= now <= self.record.not_after
        return self.record.state == "active" and in_time and self.edition is not None


@dataclass(frozen=True)
class Step:
    """One step. ``reason`` is a code that scripts/keyring/rotation.py puts into words, with ``params``.

    ``waits_for`` names the condition that is not met yet. ``not_after`` is that of an epoch to be created.
    """

    kind: StepKind
    dataset: str
    epoch: str
    due: datetime
    reason: str
    waits_for: Condition = ""
    params: Mapping[str, object] = field(default_factory=dict)
    not_after: datetime | None = None

    def is_due(self, now: datetime) -> bool:
        """Its time has come and nothing holds it back."""
        return self.due <= now and not self.waits_for


def plan_rotation(
    dataset: str, epochs: Sequence[EpochFacts], current: str | None, policy: RotationPolicy, now: datetime
) -> list[Step]:
    """The steps still ahead of a dataset, in the order in which they are due; warnings among them.

    ``epochs`` are all of the dataset's, oldest first; ``current`` is the one that callers are sent to.
    """
    return _Planner(dataset, epochs, current, policy, now).plan()


def lacks(facts: EpochFacts, current: EpochFacts | None, now: datetime) -> Condition:
    """What an epoch lacks to take over from ``current``: something published, callers who may ask; or nothing."""
    if not facts.is_serving(now):
        return "edition"
    is_served = current is not None and current.is_serving(now)
    return "budgets" if current is not None and is_served and current.callers and not facts.callers else ""


def next_name(last: str, taken: Sequence[str]) -> str:
    """The name after ``last``: its trailing number plus one (2026, 2027), else with a number added; never one taken."""
    match = re.fullmatch(r"(.*?)([0-9]*)", last)
    stem, number = (match[1], int(match[2])) if match and match[2] else (f"{last}-", 1)
    while True:
        number += 1
        digits = str(number)
        name = stem[: _NAME_CHARACTERS - len(digits)] + digits
        if name not in taken:
            return name


class _Planner:
    """The parts of :func:`plan_rotation`. Epochs take over from one another in the order of their creation."""

    def __init__(
        self, dataset: str, epochs: Sequence[EpochFacts], current: str | None, policy: RotationPolicy, now: datetime
    ) -> None:
        self.dataset, self.policy, self.now = dataset, policy, now
        self.epochs = list(epochs)
        self.overlap = timedelta(days=policy.overlap_days)
        self.active = [facts for facts in epochs if facts.record.state == "active"]
        self.pending = [facts for facts in epochs if facts.record.state == "pending" and facts.record.not_after > now]
        self.current = next((facts for facts in epochs if facts.record.epoch == current), None)
        self.is_served = self.current is not None and self.current.is_serving(now)

    def plan(self) -> list[Step]:
        steps = [*self._creation(), *self._starts(), *self._changeover(), *self._ends()]
        steps += [*self._overdue(steps), *self._warnings()]
        return sorted(steps, key=lambda step: (step.due, _ORDER[step.kind]))  # stable: predecessors stay in front

    def _step(self, kind: StepKind, epoch: str, due: datetime, reason: str, **params: object) -> Step:
        return Step(kind, self.dataset, epoch, due, reason, params=params)

    def _creation(self) -> Iterator[Step]:
        """The next epoch, and what would follow for it."""
        if not self.epochs:
            return
        last = [*self.epochs, *self.active, *self.pending][-1].record
        name = next_name(last.epoch, [facts.record.epoch for facts in self.epochs])
        due = last.not_after - timedelta(days=self.policy.create_days)
        not_after = max(last.not_after, self.now) + timedelta(days=self.policy.period_days)
        previous = {"previous": last.epoch, "days": self.policy.create_days}
        yield replace(self._step("create", name, due, "next_epoch", **previous), not_after=not_after)
        if due > self.now:
            yield from self._start(name, last.not_after - self.overlap, last.epoch)

    def _starts(self) -> Iterator[Step]:
        """Activation of what is pending, each towards the end of the one before it and never ahead of it."""
        before = self.active[-1].record if self.active else None
        due = datetime.min.replace(tzinfo=UTC)
        for facts in self.pending:
            record = facts.record
            due = max(due, record.created_at if before is None else before.not_after - self.overlap)
            steps = self._start(record.epoch, due, before.epoch if before else "")
            yield from (step for step in steps if step.kind != "publish" or facts.edition is None)
            before = record

    def _start(self, epoch: str, due: datetime, previous: str) -> Iterator[Step]:
        params = {"previous": previous, "days": self.policy.overlap_days}
        yield self._step("activate", epoch, due, "overlap" if previous else "first_epoch", **params)
        yield self._step("publish", epoch, due, "first_edition")
        waiting = self._step("make_current", epoch, due, "take_over", previous=previous)
        yield replace(waiting, waits_for="edition")

    def _changeover(self) -> Iterator[Step]:
        """Publication in, and the switch to, epochs that are active already; of several only the last that is ready."""
        steps = []
        for facts in self._later_than_current():
            record = facts.record
            since = min(record.activated_at or record.created_at, self.now)
            if facts.edition is None:
                yield self._step("publish", record.epoch, since, "first_edition")
            previous = self.current.record.epoch if self.current else ""
            step = self._step("make_current", record.epoch, since, "take_over", previous=previous)
            steps.append(replace(step, waits_for=lacks(facts, self.current, self.now)))
        ready = [step for step in steps if not step.waits_for]
        yield from ready[-1:]
        if not ready:
            yield from steps[-1:]

    def _later_than_current(self) -> list[EpochFacts]:
        """Active epochs that could be made the current one: those created later, or any if it does not serve."""
        candidates = self.active
        if self.current is not None and self.is_served:
            candidates = self.active[self.active.index(self.current) + 1 :]
        return [facts for facts in candidates if facts.record.not_after > self.now and facts is not self.current]

    def _ends(self) -> Iterator[Step]:
        retain = timedelta(days=self.policy.retain_days) + CLOCK_MARGIN
        for facts in self.epochs:
            record = facts.record
            if record.state == "active":
                due = record.not_after + CLOCK_MARGIN
                is_replaced = self.is_served and facts is not self.current
                step = self._step("expire", record.epoch, due, "ended")
                yield step if is_replaced else replace(step, waits_for="successor")
                projected = max(due, self.now) + retain
                yield self._step("destroy", record.epoch, projected, "retained", days=self.policy.retain_days)
            elif record.state == "expired" and record.expired_at is not None:
                due = record.expired_at + retain
                yield self._step("destroy", record.epoch, due, "retained", days=self.policy.retain_days)
            elif record.state == "destroyed" and not facts.is_shredded and record.destroyed_at is not None:
                yield self._step("destroy", record.epoch, min(record.destroyed_at, self.now), "unfinished")

    # Warnings

    def _overdue(self, steps: Sequence[Step]) -> Iterator[Step]:
        for step in steps:
            if step.due + OVERDUE < self.now and not step.waits_for:
                yield self._step("warn", step.epoch, step.due, "overdue", step=step.kind)

    def _warnings(self) -> Iterator[Step]:
        if not self.epochs:
            yield self._step("warn", "", self.now, "no_epoch")
        elif not self.is_served:
            yield self._step("warn", self.current.record.epoch if self.current else "", self.now, "nobody_served")
        yield from self._ends_without_successor()
        yield from self._budgets_missing()
        for facts in self.epochs:
            record = facts.record
            if record.state == "pending" and record.not_after <= self.now:
                yield self._step("warn", record.epoch, record.not_after, "never_used")

    def _ends_without_successor(self) -> Iterator[Step]:
        if self.current is None or not self.is_served:
            return
        ends = self.current.record.not_after
        is_ready = any(facts.is_serving(self.now) for facts in self._later_than_current())
        if not is_ready and ends - self.now < _SHORT_NOTICE:
            since = ends - _SHORT_NOTICE
            yield self._step("warn", self.current.record.epoch, since, "ends_without_successor", ends=ends)

    def _budgets_missing(self) -> Iterator[Step]:
        """Some who could ask in an epoch that is still served cannot ask in the one that follows it."""
        expected = 0
        for facts in self.active:
            if facts.is_serving(self.now):
                if facts.callers < expected:
                    since = min(facts.record.activated_at or self.now, self.now)
                    numbers = {"callers": facts.callers, "expected": expected}
                    yield self._step("warn", facts.record.epoch, since, "budgets_missing", **numbers)
                expected = max(expected, facts.callers)
