"""One loan's interest lines under a policy, computed and explained: nothing stored, nobody's data."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from matcher.loans.errors import DatesInvalid
from matcher.policy.reading import LoadedPolicy
from matcher.subsidy.arithmetic import Parts
from matcher.subsidy.lines import Line, compute_lines, explain, plain_yuan, total, totals_by_year
from matcher.subsidy.periods import Balance, Movement


def lines_of_loan(
    loaded: LoadedPolicy, principal: int, rate: Decimal, start: date, end: date, repayments: Sequence[Movement] = ()
) -> list[Line]:
    """Lines of a loan drawn whole (分) on ``start`` and owed until ``end`` but for ``repayments`` (negative, between).

    ``rate`` is the contract's, before any concession. Raises DatesInvalid, MovementsInvalid, TermsInvalid.
    """
    if start >= end:
        raise DatesInvalid("it ends before it begins", why="ends_before_start")
    if outside := [movement for movement in repayments if not start < movement.on < end]:
        raise DatesInvalid("a repayment is not within the loan", why="repaid_outside", on=outside[0].on.isoformat())
    movements = [Movement(start, principal), *repayments]
    left = sum(movement.amount for movement in movements)
    balance = Balance.of([*movements, Movement(end, -left)])
    rules = loaded.policy.subsidy
    return compute_lines(balance, start, end, rules.terms(rate), rules.calendar)


def describe_lines(loaded: LoadedPolicy, lines: Sequence[Line]) -> dict[str, Any]:
    """The explanation as a document. Amounts are yuan with two places, as text: the formulas are in yuan, and JSON's
    numbers are binary fractions to most readers."""
    policy = loaded.policy
    return {
        "county": policy.county,
        "policy": policy.version,
        "policy_sha256": loaded.sha256,
        "clause": policy.subsidy.clause,
        "lines": [_line(line) for line in lines],
        "by_year": {str(year): _amounts(parts) for year, parts in totals_by_year(lines).items()},
        "total": _amounts(total(lines)),
    }


def _amounts(parts: Parts) -> dict[str, str]:
    return {name: plain_yuan(amount) for name, amount in vars(parts).items()}


def _line(line: Line) -> dict[str, object]:
    return {
        "from": line.period.start.isoformat(),
        "to": line.period.end.isoformat(),
        "settled_on": line.period.settled_on.isoformat(),
        "days": line.period.days,
        "balance_days_yuan": plain_yuan(line.balance_days),
        "claim_year": line.claim_year,
        **_amounts(line.parts),
        "steps": [{"name": step.name, "formula": step.formula} for step in explain(line)],
    }
