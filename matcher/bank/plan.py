"""What to ask: a pure function from (customers, already asked) to padded batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

BATCH_SIZES = (256, 1_024, 4_096)
"""Every batch has one of these sizes, so that the sender does not learn exact numbers."""


@dataclass(frozen=True)
class BatchSize:
    """``n`` real items, sent as ``padded`` elements."""

    n: int
    padded: int


def new_items(distinct: pa.FixedSizeBinaryArray, asked: pa.FixedSizeBinaryArray) -> pa.FixedSizeBinaryArray:
    """The items of ``distinct`` that are not among ``asked``, in their order."""
    return distinct.filter(pc.invert(pc.is_in(distinct, value_set=asked)))


def batch_sizes(count: int) -> Iterator[BatchSize]:
    """Full batches of the largest size, then the rest padded to the smallest size that holds it."""
    largest = BATCH_SIZES[-1]
    for _ in range(count // largest):
        yield BatchSize(largest, largest)
    if rest := count % largest:
        yield BatchSize(rest, next(size for size in BATCH_SIZES if size >= rest))
