"""The bank's own alarm on made-up numbers: far fewer matches than in earlier runs."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest
from handed_over import RUN, Match, item, matches, screening
from hypothesis import given
from hypothesis import strategies as st

from matcher.bank.hitrate import HitRate, history_of, is_far_below
from psi.columns import fixed


def new_items(first: int, count: int) -> pa.FixedSizeBinaryArray:
    return fixed("".join(item(number) for number in range(first, first + count)).encode(), 18)


@pytest.mark.parametrize(
    ("matched", "customers", "usual", "low"),
    [
        (6_000, 10_000, 0.6, False),
        (3_001, 10_000, 0.6, False),  # half of it is not far enough
        (2_999, 10_000, 0.6, True),
        (0, 30, 0.6, False),  # 18 expected: a night's few new customers say nothing
        (0, 34, 0.6, True),
        (3, 1_000, 0.02, False),  # 20 expected, four deviations are 17.7
        (2, 1_000, 0.02, True),
        (0, 1_000, 0.0, False),
        (1_000, 1_000, 1.0, False),
        (499, 1_000, 1.0, True),
        (0, 0, 0.6, False),
    ],
)
def test_far_below(matched: int, customers: int, usual: float, low: bool) -> None:
    assert is_far_below(matched, customers, usual) is low


@given(st.integers(0, 10_000), st.integers(0, 10_000), st.floats(0, 1))
def test_more_matches_are_never_worse(matched: int, customers: int, usual: float) -> None:
    if not is_far_below(matched, customers, usual):
        assert not is_far_below(matched + 1, customers, usual)


def test_guessed_numbers_among_the_new_customers() -> None:
    """300 usual customers of whom half match, and 200 new ones of whom none does: the list's share hides it."""
    rate = HitRate([0.5, 0.5, 0.5], new_items(5_000, 200))
    rate.look(screening(matches(150)))
    assert (rate.customers, rate.matched, rate.new_matched) == (300, 150, 0)
    assert [(low.params["of"], low.params["expected"]) for low in rate.find_low()] == [("new", 100)]


def test_honest_new_customers_sound_nothing() -> None:
    rate = HitRate([0.5, 0.6, 0.5], new_items(0, 200))
    rate.look(screening([Match(item(number)) for number in range(90)]))
    assert rate.new_matched == 90
    assert rate.find_low() == []


def test_without_a_history_nothing_is_unusual() -> None:
    rate = HitRate([0.9, 0.9], new_items(0, 1_000))
    rate.look(screening([]))
    assert rate.find_low() == []


def test_the_history_is_of_the_same_dataset_and_counties() -> None:
    runs = [
        replace(RUN, customers=10, matched=5),
        replace(RUN, customers=10, matched=4, state="RELEASED"),
        replace(RUN, customers=10, matched=3, dataset="minzheng"),
        replace(RUN, customers=10, matched=2, divisions=("330921",)),
        replace(RUN, customers=10, matched=None, state="ABORTED"),
        replace(RUN, customers=0, matched=0),
    ]
    assert history_of(runs, RUN.dataset, RUN.divisions) == [0.5, 0.4]
