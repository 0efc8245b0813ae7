"""The interest lines of a household's loans, from their movements alone. No database, no present time.

Which principal bears subsidy (docs/explanation/subsidy-arithmetic.md): of the supported part of each loan
(matcher.loans.accounts), what the household's cap leaves, on days that nothing takes out.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

from matcher.loans.accounts import Bare
from matcher.policy.model import Policy
from matcher.subsidy.arithmetic import Parts, Terms, compute_interest, compute_parts
from matcher.subsidy.periods import Balance, Movement, Period, share_cap

WHY_NOT = ("stop", "off_list", "suspension", "extension", "overdue")  # where several cover a day, the first is named
GRADUATED, OVER_CAP = "graduated", "cap"

_ONE_DAY = timedelta(days=1)


class Piece(NamedTuple):
    """Days of one balance. ``counted`` of it bears subsidy; ``why`` it is less than the balance."""

    start: date
    end: date
    balance: int
    counted: int
    why: str


@dataclass(frozen=True)
class LoanRecord:
    """A loan as its interest depends on it. ``order`` sorts a household's loans for the cap; ``ends_on`` is the
    first day that bears no interest; ``is_settled``: nothing will be drawn again; ``principal``: all movements,
    ``supported``: of the part that can bear subsidy; ``bare``: days that bear none."""

    loan_id: int
    order: tuple[date, int]
    ends_on: date
    is_settled: bool
    contract_rate: Decimal
    customer_rate: Decimal
    policy_sha256: str
    policy: Policy
    principal: tuple[Movement, ...]
    supported: tuple[Movement, ...]
    interest_paid: tuple[Movement, ...]
    bare: tuple[Bare, ...]

    @cached_property
    def terms(self) -> Terms:
        return self.policy.subsidy.terms(self.contract_rate)


@dataclass(frozen=True)
class ComputedLine:
    """One period, so far as it has been accrued. ``period.end`` is cut off after the day accrued."""

    period: Period
    pieces: tuple[Piece, ...]
    balance_days: int
    parts: Parts
    interest_due: int
    interest_paid: int

    def is_paid(self, within: int) -> bool:
        return self.interest_due - self.interest_paid <= within


def compute_household(loans: Sequence[LoanRecord], through: date) -> dict[int, list[ComputedLine]]:
    """Lines by loan up to the end of the day ``through``. Raises MovementsInvalid naming the day."""
    ordered = sorted(loans, key=lambda loan: loan.order)
    whole = [Balance.of(loan.principal) for loan in ordered]
    supported = [Balance.of(loan.supported) for loan in ordered]
    shared = share_cap(supported, [loan.policy.loan.household_cap for loan in ordered])
    return {
        loan.loan_id: _compute_loan(loan, balances, through)
        for loan, *balances in zip(ordered, whole, supported, shared, strict=True)
    }


def _compute_loan(loan: LoanRecord, balances: Sequence[Balance], through: date) -> list[ComputedLine]:
    whole, supported, shared = balances
    if not whole.days:
        return []
    end = _last_day(loan, whole, through)
    rules = loan.policy.subsidy
    cut: list[tuple[Period, tuple[Piece, ...]]] = []
    for period in rules.calendar.periods(whole.days[0], end):
        if period.start > through:
            break
        accrued = Period(period.start, min(period.end, through + _ONE_DAY), period.settled_on)
        cut.append((accrued, tuple(_pieces(accrued, whole, supported, shared, loan.bare))))
    dues = [
        compute_interest(sum(p.balance * (p.end - p.start).days for p in pieces), loan.customer_rate, rules.day_basis)
        for _, pieces in cut
    ]
    paid = allot([period.start for period, _ in cut], dues, [m for m in loan.interest_paid if m.on <= through])
    lines = []
    for (period, pieces), due, got in zip(cut, dues, paid, strict=True):
        balance_days = sum(piece.counted * (piece.end - piece.start).days for piece in pieces)
        parts = compute_parts(balance_days, loan.terms)
        lines.append(ComputedLine(period, pieces, balance_days, parts, due, got))
    return lines


def _last_day(loan: LoanRecord, whole: Balance, through: date) -> date:
    """The first day without interest: the contract's, or that on which a settled loan owed nothing any more."""
    if not loan.is_settled or whole.amounts[-1] != 0 or whole.days[-1] > through:
        return loan.ends_on
    return min(loan.ends_on, whole.days[-1])


def _pieces(
    period: Period, whole: Balance, supported: Balance, shared: Balance, bare: Sequence[Bare]
) -> Iterator[Piece]:
    """The period cut wherever a balance or a reason changes; days without a balance are left out."""
    start, end = period.start, period.end
    edges = {start, end, *_between(whole.days, start, end), *_between(shared.days, start, end)}
    edges |= {day for span in bare for day in (span.from_day, span.to_day) if start < day < end}
    for first, last in pairwise(sorted(edges)):
        balance = whole.on(first)
        if not balance:
            continue
        why = _why_not(bare, first)
        counted = 0 if why else shared.on(first)
        if not why and counted < balance:
            why = OVER_CAP if counted < supported.on(first) else GRADUATED
        yield Piece(first, last, balance, counted, why)


def _why_not(bare: Sequence[Bare], day: date) -> str:
    kinds = {span.kind for span in bare if span.from_day <= day < span.to_day}
    return next((kind for kind in WHY_NOT if kind in kinds), "")


def _between(days: tuple[date, ...], start: date, end: date) -> tuple[date, ...]:
    return days[bisect_right(days, start) : bisect_right(days, end)]


def allot(starts: Sequence[date], dues: Sequence[int], payments: Sequence[Movement]) -> list[int]:
    """How much of each period's interest is paid: a payment goes to the oldest that has begun and is not paid yet.

    What is more than all of them is left over: it pays nothing that lies in the future.
    """
    paid = [0] * len(dues)
    for payment in sorted(payments, key=lambda m: m.on):
        left = payment.amount
        for place, start in enumerate(starts):
            if not left or start > payment.on:
                break
            taken = min(left, dues[place] - paid[place])
            paid[place] += taken
            left -= taken
    return paid
