"""Made-up households: who lives together, how old they are, what they earn, and the label that follows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from math import exp, log
from random import Random
from statistics import NormalDist
from typing import NamedTuple, TypeAlias, TypeVar

from matcher.generate.numbers import AREAS, NumberSource
from matcher.generate.places import list_towns

T = TypeVar("T")
AgeShares: TypeAlias = tuple[tuple[int, int, float], ...]

AS_OF = date(2024, 12, 31)
_PEOPLE_PER_AREA = 500_000
_FINE = 4_096  # entries of the tables that a random number is looked up in

# Family patterns by size with their shares, near the census of a coastal county (mean size 2.4):
# a = alone, h = head, s = spouse, c = child, g = the head's parent.
_PATTERNS = {
    "a": 0.27,
    "hs": 0.26,
    "hc": 0.06,
    "hsc": 0.22,
    "hscc": 0.08,
    "hscg": 0.04,
    "hscgg": 0.03,
    "hsccg": 0.02,
    "hsccgg": 0.015,
    "hscccgg": 0.005,
}
# Ages of the head by pattern: (from, below, share).
_ALONE: AgeShares = ((20, 35, 0.22), (35, 60, 0.33), (60, 75, 0.28), (75, 95, 0.17))
_COUPLE: AgeShares = ((24, 40, 0.15), (40, 60, 0.38), (60, 75, 0.34), (75, 90, 0.13))
_WITH_CHILD: AgeShares = ((25, 40, 0.45), (40, 55, 0.42), (55, 70, 0.13))
_WITH_PARENT: AgeShares = ((28, 40, 0.45), (40, 55, 0.45), (55, 65, 0.10))

_MEDIAN_INCOME = 42_000  # yuan a head and year, the household's members counted alike
_INCOME_SPREAD = 0.6  # sigma of its logarithm
_INCOME_LIMIT = 100_000 / 3  # a head: 100,000 for a household of three
_LOW_INCOME, _EDGE_INCOME, _EDGE_CERTIFIED = 13_200, 19_800, 0.35
_RETIRED = 65
# Reasons that follow from nothing else we make up, with their shares.
_OTHER_REASONS = {
    "N02": 0.05,
    "N05": 0.03,
    "N20": 0.006,
    "N21": 0.004,
    "N22": 0.008,
    "N30": 0.004,
    "N31": 0.001,
    "N90": 0.009,
}


@dataclass(frozen=True)
class CountySpec:
    """All that determines a made-up county: the same spec always gives the same people."""

    rows: int
    seed: int = 1
    county: str = "330922"
    as_of: date = AS_OF

    def number_source(self) -> NumberSource:
        return NumberSource(min(len(AREAS), 4 + self.rows // _PEOPLE_PER_AREA), self.as_of)


class Household(NamedTuple):
    """``numbers``, ``ages`` (completed years) and ``roles`` (as in _PATTERNS) by member; ``reasons`` are codes joined
    by ``,``.
    """

    household_no: str
    division: str
    division_name: str
    expanding: str
    reasons: str
    numbers: list[str]
    ages: list[int]
    roles: str

    @property
    def label(self) -> tuple[str, ...]:
        """The label fields of docs/reference/edition.md, as they stand in the base list."""
        return self.household_no, str(len(self.ages)), self.division, self.expanding, self.reasons


def make_households(spec: CountySpec) -> Iterator[Household]:
    """Households of ``spec.rows`` people in all, of whom the last one may lose some. Raises CountyUnknown."""
    random = Random(spec.seed).random
    source = spec.number_source()
    towns = _spread([(town, town.weight) for town in list_towns(spec.county)])
    patterns = _spread(list(_PATTERNS.items()))
    heads = {pattern: _head_ages(pattern) for pattern in _PATTERNS}
    label = _labeller(random)
    serial, left = 0, spec.rows
    while left > 0:
        town = towns[int(random() * _FINE)]
        pattern = patterns[int(random() * _FINE)]
        head, area = heads[pattern][int(random() * _FINE)], int(random() * source.areas)
        numbers, ages = [], []
        for role in pattern[:left]:
            age, male, moved = _person(role, head, random)
            ages.append(age)
            home = int(random() * source.areas) if moved else area
            numbers.append(source.next_member(home, int((age + random()) * 365.25), male))
        serial += 1
        left -= len(ages)
        reasons = label(ages)
        expanding, roles = "0" if reasons else "1", pattern[: len(ages)]
        yield Household(f"J{town.code}{serial:08d}", town.code, town.name, expanding, reasons, numbers, ages, roles)


def _person(role: str, head: int, random: Callable[[], float]) -> tuple[int, bool, bool]:
    """Age, whether male, and whether the number was issued elsewhere."""
    if role == "c":
        return max(0, head - 23 - int(13 * random())), random() < 0.51, False
    if role == "s":
        return max(20, head - 4 + int(7 * random())), False, random() < 0.5
    if role == "g":
        return min(99, head + 22 + int(11 * random())), random() < 0.4, random() < 0.2
    return head, role == "h" or random() < 0.45, False


def _labeller(random: Callable[[], float]) -> Callable[[Sequence[int]], str]:
    """A function from the ages in a household to its reasons."""
    normal = NormalDist(log(_MEDIAN_INCOME), _INCOME_SPREAD)
    incomes = [exp(normal.inv_cdf((place + 0.5) / _FINE)) for place in range(_FINE)]
    others = _spread([*_OTHER_REASONS.items(), ("", 1 - sum(_OTHER_REASONS.values()))])

    def label(ages: Sequence[int]) -> str:
        income = incomes[int(random() * _FINE)]
        retired = min(ages) > _RETIRED
        if retired:
            income *= 0.75
        reasons = []
        if income > _INCOME_LIMIT:
            reasons.append("N01")
        elif income < _LOW_INCOME:
            reasons.append("N12" if retired and len(ages) == 1 else "N10")
        elif income < _EDGE_INCOME and random() < _EDGE_CERTIFIED:
            reasons.append("N11")
        if retired:
            reasons.append("N04")
        if other := others[int(random() * _FINE)]:
            reasons.append(other)
        return ",".join(sorted(reasons))

    return label


def _head_ages(pattern: str) -> list[int]:
    if pattern == "a":
        shares = _ALONE
    elif "g" in pattern:
        shares = _WITH_PARENT
    elif "c" in pattern:
        shares = _WITH_CHILD
    else:
        shares = _COUPLE
    return _spread([(age, share / (below - start)) for start, below, share in shares for age in range(start, below)])


def _spread(shares: Sequence[tuple[T, float]]) -> list[T]:
    """A table of _FINE entries in which each value stands as often as its share says."""
    total = sum(share for _, share in shares)
    table: list[T] = []
    reached = 0.0
    for value, share in shares:
        reached += share / total
        table += [value] * (round(reached * _FINE) - len(table))
    return table
