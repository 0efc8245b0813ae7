"""How a dataset stands before an edition of it is made: what is served, and that nobody else is at work."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from keys.files import exclusive_lock, make_folder
from matcher.province.editions import Edition, EditionFolders
from matcher.province.ledger import Ledger
from matcher.province.plan import DatasetPlan
from matcher.province.records import EditionRecord


class Standing:
    """Of the datasets of one home, for whoever makes their editions."""

    def __init__(self, home: Path, ledger: Ledger, folders: EditionFolders) -> None:
        self._home = home
        self._ledger = ledger
        self._folders = folders

    def exclusive(self) -> AbstractContextManager[None]:
        """The home's lock: one at a time. Raises Locked."""
        return exclusive_lock(make_folder(self._home / "editions") / "lock")

    def require_label(self, plan: DatasetPlan) -> None:
        """Raise as Ledger.require_label does unless the dataset was registered with the plan's label."""
        self._ledger.require_label(plan.dataset, plan.label, plan.schema.receivers)

    def recorded(self, plan: DatasetPlan) -> list[EditionRecord]:
        return self._ledger.list_editions(plan.dataset, plan.epoch)

    def current(self, plan: DatasetPlan) -> Edition | None:
        """The edition that is served, None before the first."""
        record = self._ledger.current_edition(plan.dataset, plan.epoch)
        return None if record is None else self._folders.read(plan.dataset, plan.epoch, record.edition)

    def find_earlier(self, plan: DatasetPlan, number: int, current: Edition | None) -> Edition | None:
        """An edition before the current one that is still there."""
        kept = {record.edition for record in self.recorded(plan) if record.pruned_at is None}
        if current is None or number == current.manifest.edition or number not in kept:
            return None
        return self._folders.read(plan.dataset, plan.epoch, number)

    def next_number(self, plan: DatasetPlan) -> int:
        return 1 + max((record.edition for record in self.recorded(plan)), default=0)
