"""Taking a change list in: whether it may be, what it says, and what that changes in the edition that is served."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from matcher.province.canaries import Canaries
from matcher.province.change_list import empty_changes, read_changes
from matcher.province.changes import StagedChanges, fit_changes
from matcher.province.editions import Edition
from matcher.province.ledger import Ledger
from matcher.province.plan import (
    ChangesOutOfOrder,
    DatasetPlan,
    ListSuperseded,
    ListWithdrawn,
    Observer,
    WholeListNeeded,
)
from matcher.tables.lists import Sifted


class ChangeIntake:
    """For the lists of one home; ``reference_key`` gives a plan's."""

    def __init__(self, ledger: Ledger, canaries: Canaries, reference_key: Callable[[DatasetPlan], bytes]) -> None:
        self._ledger = ledger
        self._canaries = canaries
        self._reference_key = reference_key

    def take(
        self,
        plan: DatasetPlan,
        path: Path,
        digest: str,
        current: Edition | None,
        observer: Observer,
        *,
        since: int | None = None,
        dry_run: bool = False,
    ) -> StagedChanges:
        """The list in ``path``, whose SHA-256 is ``digest``, as changes to ``current``; nothing if it was the last one.

        ``since`` is the edition that it was made to follow on. Raises WholeListNeeded, ChangesOutOfOrder,
        ChangesMisfit, ChangesUnclear, ListShrunk, and what reading a list raises.
        """
        record = self._ledger.current_edition(plan.dataset, plan.epoch)
        if current is None or record is None:
            raise WholeListNeeded("there is no edition yet", reason="no_edition", epoch=plan.epoch)
        if not current.source.divisions:
            raise WholeListNeeded("an older version made the edition", reason="older_version")
        if self._canaries.digest(plan.dataset) != current.source.canaries:
            raise WholeListNeeded("canaries were planted since the edition was made", reason="canaries")
        key, taken_in = self._reference_key(plan), digest == current.source.sha256
        if taken_in:
            listed = empty_changes(digest, Sifted())
        else:
            self._require_since(plan, current, since)
            listed = read_changes(plan, path, key, observer)
        absent = current.source.absent
        present = [canary for canary in self._canaries.list_all(plan.dataset) if canary.number not in absent]
        assigned = self._canaries.find_assigned(plan, present, listed.rows, dry_run=dry_run)
        staged = fit_changes(plan, listed, current, record.rows, present, assigned, key)
        return replace(staged, about=replace(staged.about, source=current.source)) if taken_in else staged

    def _require_since(self, plan: DatasetPlan, current: Edition, since: int | None) -> None:
        """Raise ChangesMisfit unless the current edition says what ``since`` said: it is the same, or renews it."""
        if since is None or since == current.manifest.edition:
            return
        later = [each for each in self._ledger.list_editions(plan.dataset, plan.epoch) if each.edition > since]
        changes = ("added", "changed", "removed")
        if since > current.manifest.edition or any(
            each.restored is not None or any(each.counts.get(name, 1) for name in changes) for each in later
        ):
            raise ChangesOutOfOrder("made for another edition", edition=current.manifest.edition, since=since)


def refuse_old(current: Edition | None, digest: str) -> None:
    """Raise ListWithdrawn or ListSuperseded for a file that was taken back, or that changes have gone beyond."""
    if current is None:
        return
    if digest in current.source.withdrawn:
        raise ListWithdrawn("this list was rolled back by the operator", edition=current.manifest.edition)
    if digest == current.source.whole:
        raise ListSuperseded("change lists came after this whole list", edition=current.manifest.edition)
