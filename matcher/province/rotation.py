"""The rotation of a province's epochs: the facts for keys.rotation's plan, and doing its steps.

Each step can be killed anywhere and done again with the same end. The key store's record of a step is
written with the step; its copy in the audit follows, at the latest with the next call.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from keys.clock import Clock
from keys.epochs import EpochRecord
from keys.files import BUILDING, exclusive_lock, fsync_folder, make_folder
from keys.keystore import KeyStore
from keys.rotation import (
    CLOCK_MARGIN,
    DONE_BY_APPLY,
    Condition,
    EpochFacts,
    RotationPolicy,
    Step,
    lacks,
    plan_rotation,
)
from matcher.province.ledger import Ledger
from matcher.province.records import Budget
from psi.errors import InputError

AUTOMATIC_REASON = "rotation: retention is over"


class Rotation:
    """``policies`` says how each dataset's epochs follow one another; ``actor`` goes into the audit."""

    def __init__(
        self,
        home: Path,
        keystore: KeyStore,
        ledger: Ledger,
        clock: Clock,
        policies: Mapping[str, RotationPolicy],
        *,
        actor: str = "province",
    ) -> None:
        self._home = home
        self._keys = keystore
        self._ledger = ledger
        self._clock = clock
        self._policies = policies
        self._actor = actor

    def plan(self, now: datetime | None = None) -> list[Step]:
        """The steps ahead of every dataset, as seen ``now``. Changes nothing."""
        now = now or self._clock.now()
        datasets = [dataset for dataset in self._ledger.list_datasets() if dataset.name in self._policies]
        steps = [
            step
            for dataset in datasets
            for step in plan_rotation(
                dataset.name, self._facts(dataset.name), dataset.current_epoch, self._policies[dataset.name], now
            )
        ]
        return sorted(steps, key=lambda step: step.due)

    def apply(self, on_step: Callable[[Step], object] = lambda step: None) -> list[Step]:
        """Do every step that is due, one after another, each judged by what the one before it left.

        Returns what was done. ``on_step`` hears of each step before it begins. Raises Locked while a
        refresh is at work, and what a step raises: those before it are done, and the rest can be tried again.
        """
        now = self._clock.now().replace(microsecond=0)
        done: list[Step] = []
        with self._exclusive():
            while step := self._next_due(now, done):
                on_step(step)
                self._do(step, now)
                done.append(step)
                self._record()
        return done

    def create(self, dataset: str, epoch: str, *, days: int) -> EpochRecord:
        """A pending epoch that may be used for so many days from now. Raises InputError, EpochExists."""
        now = self._clock.now().replace(microsecond=0)
        with self._exclusive():
            self._create(dataset, epoch, now, now + timedelta(days=days))
            self._record()
        return self._keys.get_epoch(dataset, epoch)

    def activate(self, dataset: str, epoch: str) -> Condition:
        """Serve an epoch, and make it the current one unless callers would lose the one they can use by it.

        Returns what it still lacks to become current, "" if it is. Again it changes nothing, or makes
        good what was lacking. Raises EpochUnknown, EpochStateError (expired or destroyed).
        """
        with self._exclusive():
            if self._keys.get_epoch(dataset, epoch).state != "active":
                self._keys.activate_epoch(dataset, epoch)
            facts = {each.record.epoch: each for each in self._facts(dataset)}
            current = self._ledger.get_dataset(dataset).current_epoch
            now = self._clock.now()
            is_served = current in facts and facts[current].is_serving(now)
            missing = lacks(facts[epoch], facts[current], now) if is_served and current is not None else ""
            if not missing and current != epoch:
                self._make_current(dataset, epoch)
            self._record()
        return missing

    def expire(self, dataset: str, epoch: str) -> EpochRecord:
        """Stop an epoch at once, whatever the plan says. Raises EpochUnknown, EpochStateError."""
        with self._exclusive():
            record = self._keys.expire_epoch(dataset, epoch)
            self._record()
        return record

    def destroy(self, dataset: str, epoch: str, reason: str) -> EpochRecord:
        """Destroy an expired epoch's key and files at once, or finish what was begun.

        Raises EpochUnknown, EpochStateError, InputError, IdentityMissing.
        """
        if not reason.strip():
            raise InputError("destroying a key needs a reason")
        with self._exclusive():
            self._destroy(dataset, epoch, reason)
            self._record()
        return self._keys.get_epoch(dataset, epoch)

    # Inside

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """No refresh builds an edition meanwhile. What a killed run left unrecorded is recorded first."""
        make_folder(self._home / "editions")
        with exclusive_lock(self._home / "editions" / "lock"):
            self._record()
            yield

    def _record(self) -> None:
        self._ledger.record_key_events(self._keys.list_events())

    def _facts(self, dataset: str) -> list[EpochFacts]:
        budgets = [record for record in self._ledger.list_budgets() if record.dataset == dataset]
        unfinished = {
            record.epoch
            for record in self._keys.list_destructions()
            if record.dataset == dataset and record.shredded_at is None
        }
        facts = []
        for record in self._keys.list_epochs(dataset):
            edition = self._ledger.current_edition(dataset, record.epoch)
            facts.append(
                EpochFacts(
                    record,
                    edition=None if edition is None else edition.edition,
                    callers=sum(1 for each in budgets if each.epoch == record.epoch and _may_ask(each.budget)),
                    is_shredded=record.epoch not in unfinished and not self._leftovers(dataset, record.epoch),
                )
            )
        return facts

    def _next_due(self, now: datetime, done: list[Step]) -> Step | None:
        """Each step is tried once a call: one that cannot be finished now waits for the next."""
        tried = {_key(step) for step in done}
        due = (step for step in self.plan(now) if step.kind in DONE_BY_APPLY and step.is_due(now))
        return next((step for step in due if _key(step) not in tried), None)

    def _do(self, step: Step, now: datetime) -> None:
        if step.kind == "create" and step.not_after is not None:
            self._create(step.dataset, step.epoch, now, step.not_after)
        elif step.kind == "activate":
            self._keys.activate_epoch(step.dataset, step.epoch)
        elif step.kind == "make_current":
            self._make_current(step.dataset, step.epoch)
        elif step.kind == "expire":
            self._keys.expire_epoch(step.dataset, step.epoch)
        elif step.kind == "destroy":
            self._destroy(step.dataset, step.epoch, AUTOMATIC_REASON)

    def _create(self, dataset: str, epoch: str, now: datetime, not_after: datetime) -> None:
        """Valid a little into the past, so that a clock that is put right does not make it "not yet valid"."""
        self._keys.create_epoch(dataset, epoch, not_before=now - CLOCK_MARGIN, not_after=not_after)

    def _make_current(self, dataset: str, epoch: str) -> None:
        self._keys.record_current(dataset, epoch)
        self._ledger.set_current_epoch(dataset, epoch, actor=self._actor)

    def _destroy(self, dataset: str, epoch: str, reason: str) -> None:
        """Files first, the key last: as long as anything is left to do, the step stays due."""
        state = self._keys.get_epoch(dataset, epoch).state
        if state in ("expired", "destroyed"):
            for path in self._leftovers(dataset, epoch):
                shutil.rmtree(path)
                fsync_folder(path.parent)
        if state == "destroyed":
            self._keys.finish_destructions()
        else:
            self._keys.destroy_epoch(dataset, epoch, reason=reason, removed=self._removed(dataset, epoch))

    def _leftovers(self, dataset: str, epoch: str) -> list[Path]:
        """The folders of an epoch that go with its key, as far as they are there."""
        folder = self._home / "editions" / dataset / epoch
        if self._policy(dataset).public_editions == "remove":
            return [folder] if folder.exists() else []
        return sorted([*folder.glob(f"{BUILDING}*"), *folder.glob("[0-9]*/private")])

    def _removed(self, dataset: str, epoch: str) -> list[str]:
        """What the record of destruction names: by the ledger, so that a second try after a kill says the same."""
        parts = ("public", "private") if self._policy(dataset).public_editions == "remove" else ("private",)
        editions = [each for each in self._ledger.list_editions(dataset, epoch) if each.pruned_at is None]
        return [f"{edition.folder}/{part}" for edition in editions for part in parts]

    def _policy(self, dataset: str) -> RotationPolicy:
        return self._policies.get(dataset, RotationPolicy())


def _key(step: Step) -> tuple[str, str, str]:
    return step.kind, step.dataset, "" if step.kind == "create" else step.epoch


def _may_ask(budget: Budget) -> bool:
    return budget.limit + budget.nightly > 0
