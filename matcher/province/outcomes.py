"""What each step of the province's work answers."""

from __future__ import annotations

from matcher.province.editions import Edition
from matcher.province.making import Tally
from matcher.province.plan import DatasetPlan, Outcome
from matcher.province.staged import Staged


def same_file(plan: DatasetPlan, current: Edition) -> Outcome:
    """The list is the very file that the current edition was made from."""
    source = current.source
    return Outcome(
        "unchanged",
        plan.dataset,
        plan.epoch,
        current.manifest.edition,
        source.rows,
        unchanged=source.rows,
        rejected=source.rejected,
        source_sha256=source.sha256,
    )


def outcome_of(
    outcome: str,
    plan: DatasetPlan,
    edition: int | None,
    staged: Staged,
    tally: Tally | None = None,
    kind: str = "",
) -> Outcome:
    """What a step did with a list, and what that changes if it was compared."""
    changes: dict[str, int] = {}
    if tally is not None:
        changes = {
            "added": tally.added,
            "changed": tally.changed,
            "removed": tally.removed,
            "unchanged": tally.kept,
        }
    return Outcome(
        outcome,
        plan.dataset,
        plan.epoch,
        edition,
        len(staged),
        kind,
        rejected=staged.about.source.rejected,
        misfits=staged.misfits,
        source_sha256=staged.about.source.sha256,
        **changes,
    )
