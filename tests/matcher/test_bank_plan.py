from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from matcher.bank.plan import BATCH_SIZES, batch_sizes, new_items


def column(numbers: list[int]) -> pa.FixedSizeBinaryArray:
    return pa.array([b"990000%012d" % number for number in numbers], pa.binary(18))


@given(st.integers(0, 100_000))
def test_batches_hold_every_item_and_have_only_the_agreed_sizes(count: int) -> None:
    sizes = list(batch_sizes(count))
    assert sum(size.n for size in sizes) == count
    assert {size.padded for size in sizes} <= set(BATCH_SIZES)
    assert all(1 <= size.n <= size.padded for size in sizes)
    assert all(size.n == size.padded == BATCH_SIZES[-1] for size in sizes[:-1])


def test_the_ladder() -> None:
    assert [(size.n, size.padded) for count in (1, 256, 257, 1_024, 1_025, 4_096) for size in batch_sizes(count)] == [
        (1, 256),
        (256, 256),
        (257, 1_024),
        (1_024, 1_024),
        (1_025, 4_096),
        (4_096, 4_096),
    ]
    assert [(size.n, size.padded) for size in batch_sizes(4_097)] == [(4_096, 4_096), (1, 256)]
    assert list(batch_sizes(0)) == []


@given(st.lists(st.integers(0, 50), unique=True), st.lists(st.integers(0, 50), unique=True))
def test_new_items_are_the_difference_in_order(distinct: list[int], asked: list[int]) -> None:
    found = new_items(column(distinct), column(asked))
    assert found.to_pylist() == column([number for number in distinct if number not in asked]).to_pylist()
