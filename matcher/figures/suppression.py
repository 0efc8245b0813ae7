"""Small cells: what a table that leaves the government side may not show.

A cell behind which one to four households stand would tell of single families. It is hidden, and with it as many
others of its column as it takes that the column's total does not give it away. A column is one figure over the
townships or over the products, with its total.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

THRESHOLD = 5
"""The least number of households behind a cell that is shown; none at all tells of nobody."""


def is_small(households: int) -> bool:
    """Whether a cell with so many households behind it is hidden on its own account."""
    return 0 < households < THRESHOLD


def hide_small(households: Mapping[str, int], total: int) -> frozenset[str]:
    """Which cells of a column to hide. ``households``: how many stand behind each; ``total``: behind its total.

    A small total is hidden by whoever shows it, and so is all that it is made of. Otherwise hidden cells are two at
    least and have at least THRESHOLD households together, more than one each: else every cell is hidden, so that
    even which of them are nought stays open.
    """
    counted = {key for key, count in households.items() if count}
    if is_small(total):
        return frozenset(counted)
    hidden = {key for key in counted if is_small(households[key])}
    others = sorted(counted - hidden, key=lambda key: (households[key], key))
    while hidden and not _is_safe([households[key] for key in hidden]):
        if not others:
            return frozenset(households)
        hidden.add(others.pop(0))
    return frozenset(hidden)


def _is_safe(counts: Collection[int]) -> bool:
    """Whether several splittings of the known sum remain, for somebody who knows that each part is one or more."""
    return len(counts) >= 2 and sum(counts) >= THRESHOLD and sum(counts) > len(counts)
