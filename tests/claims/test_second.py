"""A second implementation, from the formulas and rules alone: fractions, one day after the other, nothing shared.

It knows docs/explanation/subsidy-arithmetic.md and no code of matcher.subsidy or matcher.claims; only the policies'
numbers and the made-up loans are common to both.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from math import floor
from random import Random

import pytest
from claim_desk import LINPING, SHENGSI

from matcher.claims.computing import LoanRecord, compute_household
from matcher.loans.accounts import Bare, SpanKind, supported_movements
from matcher.policy import Policy, load_policy
from matcher.subsidy.periods import Movement

POLICIES = [load_policy(SHENGSI).policy, load_policy(LINPING).policy]
FIXED = POLICIES[0].model_copy(
    update={
        "subsidy": POLICIES[0].subsidy.model_copy(
            update={"model": "fixed_points", "fiscal_share": None, "points": Decimal("1.8"), "day_basis": 365}
        )
    }
)
ONE_DAY = timedelta(days=1)
KINDS: tuple[SpanKind, ...] = ("overdue", "extension", "suspension", "stop", "off_list")


@dataclass(frozen=True)
class Expected:
    start: date
    settled_on: date
    balance_days: int
    gross: int
    customer: int
    excess: int
    fiscal: int
    bank: int
    province: int
    local: int


def half_up(value: Fraction) -> int:
    return floor(value + Fraction(1, 2))


def expect(loans: list[LoanRecord], graduated_on: date | None, through: date) -> dict[int, list[Expected]]:
    """Walk through the days of the whole household together."""
    loans = sorted(loans, key=lambda loan: loan.order)
    first = min(loan.principal[0].on for loan in loans)
    counted: dict[int, dict[date, int]] = {loan.loan_id: {} for loan in loans}
    draws: dict[int, list[list[int]]] = {loan.loan_id: [] for loan in loans}
    owed = {loan.loan_id: 0 for loan in loans}
    nothing_since: dict[int, date | None] = {loan.loan_id: None for loan in loans}
    moves_on = {
        (loan.loan_id, m.on): [n for n in loan.principal if n.on == m.on] for loan in loans for m in loan.principal
    }
    bearing = {loan.loan_id: 0 for loan in loans}
    day = first
    while day <= through:
        used = 0
        for loan in loans:
            moves = moves_on.get((loan.loan_id, day), ())
            for movement in moves:
                if movement.amount > 0:
                    draws[loan.loan_id].append([movement.amount, int(graduated_on is None or day < graduated_on)])
            for movement in moves:
                repaid = max(-movement.amount, 0)
                for draw in draws[loan.loan_id]:
                    part = min(draw[0], repaid)
                    draw[0] -= part
                    repaid -= part
            if moves:
                owed[loan.loan_id] = sum(draw[0] for draw in draws[loan.loan_id])
                nothing_since[loan.loan_id] = None if owed[loan.loan_id] else day
                bearing[loan.loan_id] = sum(draw[0] for draw in draws[loan.loan_id] if draw[1])
            share = max(min(bearing[loan.loan_id], loan.policy.loan.household_cap - used), 0)
            used += share
            out = any(span.from_day <= day < span.to_day for span in loan.bare)
            counted[loan.loan_id][day] = 0 if out else share
        day += ONE_DAY
    return {loan.loan_id: lines_of(loan, counted[loan.loan_id], nothing_since[loan.loan_id], through) for loan in loans}


def lines_of(loan: LoanRecord, counted: dict[date, int], nothing_since: date | None, through: date) -> list[Expected]:
    rules = loan.policy.subsidy
    end = loan.ends_on
    if loan.is_settled and nothing_since is not None:
        end = min(end, nothing_since)
    periods: dict[tuple[date, date], int] = {}
    start = day = due = loan.principal[0].on
    while day < end and day <= through:
        if day == start:  # the next settlement day, found by counting up
            due = day
            while due < end and not (due.day == rules.settlement_day and due.month in rules.settlement_months):
                due += ONE_DAY
        periods[start, due] = periods.get((start, due), 0) + counted[day]
        if day == due:
            start = day + ONE_DAY
        day += ONE_DAY
    return [Expected(first, due, total, *money(total, loan)) for (first, due), total in periods.items()]


def money(balance_days: int, loan: LoanRecord) -> tuple[int, ...]:
    rules = loan.policy.subsidy
    a, basis = Fraction(balance_days), Fraction(rules.day_basis)
    r_p, r_t = Fraction(loan.contract_rate) / 100, Fraction(rules.target_rate) / 100
    e = max(r_p - r_t, Fraction(0))
    gross = half_up(a * r_p / basis)
    customer = half_up(a * min(r_p, r_t) / basis)
    excess = gross - customer
    if rules.points is not None:
        fiscal = min(half_up(a * Fraction(rules.points) / 100 / basis), excess)
    else:
        phi = Fraction(rules.fiscal_share or 0)
        cap = None if rules.cap_points is None else Fraction(rules.cap_points) / 100
        if cap is None or phi * e <= cap:
            fiscal = half_up(phi * excess)
        else:
            fiscal = min(floor(a * cap / basis), excess)
    province = half_up(Fraction(rules.province_share) * fiscal)
    return gross, customer, excess, fiscal, excess - fiscal, province, fiscal - province


def made_up_loan(random: Random, number: int, policy: Policy, graduated_on: date | None) -> LoanRecord:
    start = date(2023, 1, 1) + timedelta(days=random.randrange(500))
    ends_on = start + timedelta(days=random.randrange(30, 500))
    moves = [Movement(start, random.randrange(1, 60_000_000))]
    left = moves[0].amount
    day = start
    for _ in range(random.randrange(4)):
        day += timedelta(days=random.randrange(1, 120))
        if random.random() < 0.4:
            moves.append(Movement(day, random.randrange(1, 30_000_000)))
            left += moves[-1].amount
        elif left:
            moves.append(Movement(day, -random.randrange(1, left + 1)))
            left += moves[-1].amount
    is_settled = random.random() < 0.4
    if is_settled and left:
        moves.append(Movement(day + timedelta(days=random.randrange(1, 100)), -left))
    bare = []
    for _ in range(random.randrange(3)):
        first = start + timedelta(days=random.randrange(400))
        last = date.max if random.random() < 0.2 else first + timedelta(days=random.randrange(1, 90))
        bare.append(Bare(random.choice(KINDS), first, last, ""))
    return LoanRecord(
        loan_id=number,
        order=(start, number),
        ends_on=ends_on,
        is_settled=is_settled,
        contract_rate=Decimal(random.randrange(300, 900)) / 100,
        customer_rate=Decimal("3.6"),
        policy_sha256="",
        policy=policy,
        principal=tuple(moves),
        supported=supported_movements(moves, graduated_on),
        interest_paid=(),
        bare=tuple(bare),
    )


def agree(seed: int, loans: int) -> int:
    """Compare both on so many made-up loans, one to three of a household; returns how many lines that were."""
    random = Random(seed)
    number = lines = 0
    while number < loans:
        policy = random.choice([*POLICIES, FIXED])
        graduated_on = None if random.random() < 0.6 else date(2023, 1, 1) + timedelta(days=random.randrange(900))
        household = [
            made_up_loan(random, number + place, policy, graduated_on)
            for place in range(random.choice([1, 1, 1, 2, 3]))
        ]
        number += len(household)
        through = date(2023, 6, 1) + timedelta(days=random.randrange(1_000))
        household = [loan for loan in household if loan.principal[0].on <= through]
        if not household:
            continue
        wanted = expect(household, graduated_on, through)
        found = compute_household(household, through)
        for loan in household:
            ours = [
                Expected(line.period.start, line.period.settled_on, line.balance_days, *vars(line.parts).values())
                for line in found[loan.loan_id]
            ]
            assert ours == wanted[loan.loan_id], loan
            lines += len(ours)
    return lines


def test_five_thousand_random_loans_agree() -> None:
    assert agree(1, 5_000) > 10_000


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_a_hundred_thousand_random_loans_agree(seed: int) -> None:
    assert agree(100 + seed, 10_000) > 20_000
