"""No reader of a published column can work out a cell that was hidden for being small."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from matcher.figures.suppression import hide_small, is_small


def possible_values(column: dict[str, int], hidden: frozenset[str]) -> dict[str, set[int]]:
    """What a reader can think of for each hidden cell, by trying everything.

    The reader knows the total and the shown cells, and that a hidden cell has households unless all are hidden.
    """
    left = sum(column[key] for key in hidden)
    least = 0 if hidden == frozenset(column) else 1
    keys = sorted(hidden)
    found: dict[str, set[int]] = {key: set() for key in keys}
    for values in product(range(least, left + 1), repeat=len(keys)):
        if sum(values) == left:
            for key, value in zip(keys, values, strict=True):
                found[key].add(value)
    return found


@given(st.lists(st.integers(0, 9), min_size=1, max_size=5))
def test_hidden_cells_stay_open(counts: list[int]) -> None:
    column = {f"town {place}": count for place, count in enumerate(counts)}
    hidden = hide_small(column, sum(counts))
    assert {key for key, count in column.items() if is_small(count)} <= hidden
    if not is_small(sum(counts)):  # else the total is not shown either
        assert all(len(values) > 1 for values in possible_values(column, hidden).values())


@given(st.dictionaries(st.sampled_from("abcdefg"), st.integers(5, 30), min_size=1))
def test_large_cells_are_all_shown(column: dict[str, int]) -> None:
    assert hide_small(column, sum(column.values())) == frozenset()


def test_the_smallest_other_cell_is_hidden_with_a_lonely_one() -> None:
    assert hide_small({"a": 3, "b": 40, "c": 6, "d": 0}, 49) == {"a", "c"}


def test_nothing_beyond_them_is_hidden_where_small_ones_cover_each_other() -> None:
    assert hide_small({"a": 3, "b": 2, "c": 40}, 45) == {"a", "b"}


def test_one_household_in_every_town_hides_the_whole_column() -> None:
    assert hide_small({"a": 1, "b": 1, "c": 1, "d": 1, "e": 1, "f": 0}, 5) == set("abcdef")


def test_a_small_total_takes_its_parts_with_it() -> None:
    assert hide_small({"a": 3, "b": 0}, 3) == {"a"}


def test_none_is_no_small_cell() -> None:
    assert [is_small(count) for count in (0, 1, 4, 5)] == [False, True, True, False]
