"""Made-up numbers show in the share of customers who match: an alarm for the bank's own compliance function.

Only the bank can see it, as the province never learns who matched. Whoever slips guessed numbers into a
customer list finds few of them on the province's list, so the share falls far below what it was before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import median

import pyarrow as pa

from matcher.bank.runs import Run
from psi.columns import pc
from psi.errors import MingceError
from psi.identifiers import ITEM_BYTES

RUNS_NEEDED = 3
HITS_NEEDED = 20  # fewer expected matches than that say nothing
DEVIATIONS = 4.0
FINISHED = ("COMPLETED", "RELEASED", "ARCHIVED")


class HitRateLow(MingceError):
    """Far fewer customers matched than in earlier runs. Only ever an alarm.

    Params: of (the whole ``list``, or the ``new`` customers), customers, matched, expected.
    """

    code = "hit_rate_low"


@dataclass
class HitRate:
    """Watches one run. ``history`` are the shares of earlier runs, ``new`` the items asked for the first time."""

    history: Sequence[float]
    new: pa.FixedSizeBinaryArray
    customers: int = 0
    matched: int = 0
    new_matched: int = 0

    def look(self, records: pa.RecordBatch) -> None:
        """Count a batch of screening records."""
        found = records.filter(records["matched"])
        items = found["item"].cast(pa.binary()).cast(pa.binary(ITEM_BYTES))
        self.customers += records.num_rows
        self.matched += found.num_rows
        self.new_matched += int(pc.sum(pc.is_in(items.unique(), value_set=self.new).cast(pa.int64())).as_py() or 0)

    def find_low(self) -> list[HitRateLow]:
        """The alarms: of the whole list, and of the customers asked for the first time."""
        if len(self.history) < RUNS_NEEDED:
            return []
        usual = median(self.history)
        counts = {"list": (self.customers, self.matched), "new": (len(self.new), self.new_matched)}
        return [
            HitRateLow(
                "far fewer customers matched than before",
                of=of,
                customers=customers,
                matched=matched,
                expected=round(usual * customers),
            )
            for of, (customers, matched) in counts.items()
            if is_far_below(matched, customers, usual)
        ]


def history_of(runs: Sequence[Run], dataset: str, divisions: Sequence[str]) -> list[float]:
    """The share of matches of every finished run over the same dataset and counties."""
    return [
        run.matched / run.customers
        for run in runs
        if run.state in FINISHED
        and (run.dataset, set(run.divisions)) == (dataset, set(divisions))
        and run.customers
        and run.matched is not None
    ]


def is_far_below(matched: int, customers: int, usual: float) -> bool:
    """Less than half of what is usual, and more than four standard deviations below it (binomial)."""
    expected = usual * customers
    spread = sqrt(expected * max(1 - usual, 0.0))
    return expected >= HITS_NEEDED and matched < expected / 2 and matched < expected - DEVIATIONS * spread
