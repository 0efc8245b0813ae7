"""What if: the present households under another policy. Nothing changes by it, and nobody is decided upon."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from matcher.bureau.office import Office
from matcher.eligibility import Assessment, Verdict, assess
from matcher.households.facts import gather_facts
from matcher.policy import LoadedPolicy
from matcher.rows import fetch_all

_ENDED = ("GRADUATED", "REMOVED")


@dataclass(frozen=True)
class Simulation:
    """``comes_in`` and ``falls_out`` are counts by (reasons joined by ',', township).

    Reasons of those who come in are why they do not fit now; of those who fall out, why they would not fit then.
    ``listed_falling_out``: how many of them are on the final list. ``cost`` in 分 a year, positive if the other policy
    costs more, by ``each`` per household; None where neither a figure was given nor a line computed yet.
    """

    present: str
    other: str
    households: int
    fits_now: int
    fits_then: int
    comes_in: Mapping[tuple[str, str], int]
    falls_out: Mapping[tuple[str, str], int]
    listed_falling_out: int
    near_misses: int
    each: int | None
    cost: int | None


def simulate(office: Office, present: LoadedPolicy, other: LoadedPolicy, on: date, cost_each: int | None) -> Simulation:
    """See Households.simulate."""
    found = {
        household_id: (township, state)
        for household_id, township, state in fetch_all(
            office.database,
            "SELECT household_id, township, state FROM household WHERE state NOT IN (?, ?) AND purged_at IS NULL"
            " AND division GLOB ? || '*'"
            " ORDER BY household_id",
            [*_ENDED, other.policy.county],
        )
    }
    comes_in: Counter[tuple[str, str]] = Counter()
    falls_out: Counter[tuple[str, str]] = Counter()
    fits_now = fits_then = listed = near_misses = 0
    for known in gather_facts(office, list(found), on):
        now, then = (assess(policy.policy, known.facts, on) for policy in (present, other))
        township, state = found[known.household_id]
        fits_now += _fits(now)
        fits_then += _fits(then)
        near_misses += bool(then.near_misses)
        if _fits(then) and not _fits(now):
            comes_in[",".join(now.reasons), township] += 1
        elif _fits(now) and not _fits(then):
            falls_out[",".join(then.reasons), township] += 1
            listed += state == "FINAL"
    each = average_subsidy(office, other.policy.county, on) if cost_each is None else cost_each
    return Simulation(
        present.sha256,
        other.sha256,
        len(found),
        fits_now,
        fits_then,
        dict(sorted(comes_in.items())),
        dict(sorted(falls_out.items())),
        listed,
        near_misses,
        each,
        None if each is None else each * (fits_then - fits_now),
    )


def average_subsidy(office: Office, county: str, on: date) -> int | None:
    """The fiscal share of a household's lines over the year before, 分, rounded down; None without any line."""
    ((fiscal, households),) = fetch_all(
        office.database,
        "SELECT SUM(fiscal), COUNT(DISTINCT loan.household_id) FROM interest_line JOIN loan USING (loan_id)"
        " JOIN household USING (household_id) WHERE division GLOB ? || '*' AND settled_on > ? AND settled_on <= ?",
        [county, on.replace(year=on.year - 1, day=min(on.day, 28)).isoformat(), on.isoformat()],
    )
    return fiscal // households if households else None


def _fits(assessment: Assessment) -> bool:
    """Nothing that is known speaks against it; what is not known yet speaks against nobody."""
    return assessment.verdict is not Verdict.DOES_NOT_FIT
