"""The worked lines of domain.md section 6, to the 分, and properties against an implementation with fractions."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from math import floor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matcher.subsidy.arithmetic import ExcessShare, FixedPoints, Parts, Terms, TermsInvalid, compute_parts
from matcher.subsidy.lines import compute_lines
from matcher.subsidy.periods import Balance, Movement, SettlementCalendar, share_cap

HALF = Decimal("0.5")
SHENGSI = Terms(Decimal("4.35"), Decimal("3.8"), ExcessShare(HALF))
LINPING = Terms(Decimal("5.2"), Decimal(3), ExcessShare(HALF, cap=Decimal("1.5")), province_share=HALF)
YUAN = 100
PRINCIPAL = 100_000 * YUAN


def fen(*yuan: str) -> list[int]:
    return [int(Decimal(amount) * 100) for amount in yuan]


@pytest.mark.parametrize(
    ("days", "terms", "expected"),
    [
        (365, SHENGSI, ("4410.42", "3852.78", "557.64", "278.82", "278.82")),
        (366, SHENGSI, ("4422.50", "3863.33", "559.17", "279.59", "279.58")),
        (365, replace(SHENGSI, day_basis=365), ("4350.00", "3800.00", "550.00", "275.00", "275.00")),
        (365, replace(SHENGSI, model=ExcessShare(Decimal("0.6"))),
         ("4410.42", "3852.78", "557.64", "334.58", "223.06")),
        (365, Terms(Decimal("7.5"), Decimal("3.8"), FixedPoints(Decimal("1.8"))),
         ("7604.17", "3852.78", "3751.39", "1825.00", "1926.39")),
    ],
)  # fmt: skip
def test_worked_lines_of_a_full_year(days: int, terms: Terms, expected: tuple[str, ...]) -> None:
    parts = compute_parts(PRINCIPAL * days, terms)
    assert [parts.gross, parts.customer, parts.excess, parts.fiscal, parts.bank] == fen(*expected)


def test_a_rate_below_the_target_has_no_subsidy() -> None:
    parts = compute_parts(PRINCIPAL * 365, replace(SHENGSI, contract_rate=Decimal("3.65")))
    assert parts.gross == parts.customer
    assert (parts.excess, parts.fiscal, parts.bank) == (0, 0, 0)


def test_an_odd_principal() -> None:
    parts = compute_parts(3_333_333 * 91, SHENGSI)
    assert list(vars(parts).values())[:5] == fen("366.53", "320.19", "46.34", "23.17", "23.17")


@pytest.mark.parametrize(
    ("rate", "principal", "days", "fiscal", "province", "local", "bank"),
    [
        ("5.2", 100_000, 365, "1115.28", "557.64", "557.64", "1115.27"),
        ("6.0", 100_000, 365, "1520.83", "760.42", "760.41", "1520.83"),
        ("7.0", 100_000, 365, "1520.83", "760.42", "760.41", "2534.72"),
        ("6.0", 500_000, 366, "7625.00", "3812.50", "3812.50", "7625.00"),
    ],
)
def test_worked_lines_under_a_cap(
    rate: str, principal: int, days: int, fiscal: str, province: str, local: str, bank: str
) -> None:
    parts = compute_parts(principal * YUAN * days, replace(LINPING, contract_rate=Decimal(rate)))
    assert [parts.fiscal, parts.province, parts.local, parts.bank] == fen(fiscal, province, local, bank)


def test_a_loan_over_two_claim_years() -> None:
    start, end = date(2024, 5, 10), date(2025, 5, 10)
    balance = Balance.of([Movement(start, PRINCIPAL), Movement(end, -PRINCIPAL)])
    lines = [
        (period.settled_on, period.days, compute_parts(balance.balance_days(period.start, period.end), SHENGSI).fiscal)
        for period in SettlementCalendar().periods(start, end)
    ]
    assert lines == [
        (date(2024, 6, 20), 42, 3209),
        (date(2024, 9, 20), 92, 7028),
        (date(2024, 12, 20), 91, 6951),
        (date(2025, 3, 20), 90, 6875),
        (date(2025, 5, 10), 50, 3820),
    ]
    by_year = {year: sum(fiscal for day, _, fiscal in lines if day.year == year) for year in (2024, 2025)}
    assert by_year == {2024: 17_188, 2025: 10_695}


def test_a_prepayment() -> None:
    balance = Balance.of(
        [
            Movement(date(2024, 3, 1), 200_000 * YUAN),
            Movement(date(2024, 8, 15), -80_000 * YUAN),
            Movement(date(2024, 11, 30), -120_000 * YUAN),
        ]
    )
    balance_days = balance.balance_days(date(2024, 3, 1), date(2024, 11, 30))
    assert balance_days == 46_240_000 * YUAN
    parts = compute_parts(balance_days, SHENGSI)
    assert list(vars(parts).values())[:5] == fen("5587.33", "4880.89", "706.44", "353.22", "353.22")


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("contract_rate", {"contract_rate": Decimal("-0.01")}),
        ("target_rate", {"target_rate": Decimal("NaN")}),
        ("province_share", {"province_share": Decimal("1.01")}),
        ("fiscal_share", {"model": ExcessShare(Decimal(2))}),
        ("cap", {"model": ExcessShare(HALF, cap=Decimal(-1))}),
        ("points", {"model": FixedPoints(Decimal("Infinity"))}),
        ("day_basis", {"day_basis": 366}),
        ("contract_rate", {"contract_rate": 4.35}),
    ],
)
def test_impossible_terms_are_refused(field: str, change: dict[str, object]) -> None:
    with pytest.raises(TermsInvalid) as caught:
        replace(SHENGSI, **change)  # type: ignore[arg-type]
    assert caught.value.params["field"] == field


RATES = st.decimals(0, 24, places=4)
SHARES = st.decimals(0, 1, places=3)
MODELS = st.one_of(
    st.builds(ExcessShare, SHARES, st.none() | st.decimals(0, 3, places=2)),
    st.builds(FixedPoints, st.decimals(0, 5, places=2)),
)
TERMS = st.builds(Terms, RATES, RATES, MODELS, SHARES, st.sampled_from([360, 365]))
BALANCE_DAYS = st.integers(0, 50_000_000 * 366)


def by_fractions(balance_days: int, terms: Terms) -> Parts:
    """The formulas again, written from the text with fractions only."""

    def interest(rate: Decimal) -> Fraction:
        return Fraction(balance_days) * Fraction(rate) / 100 / terms.day_basis

    def r2(value: Fraction) -> int:
        return floor(value + Fraction(1, 2))

    gross = r2(interest(terms.contract_rate))
    customer = r2(interest(min(terms.contract_rate, terms.target_rate)))
    excess = gross - customer
    model, e = terms.model, max(Fraction(terms.contract_rate) - Fraction(terms.target_rate), Fraction(0))
    if isinstance(model, FixedPoints):
        fiscal = min(r2(interest(model.points)), excess)
    elif model.cap is None or Fraction(model.fiscal_share) * e <= Fraction(model.cap):
        fiscal = r2(Fraction(model.fiscal_share) * excess)
    else:
        fiscal = min(floor(interest(model.cap)), excess)
    province = r2(Fraction(terms.province_share) * fiscal)
    return Parts(gross, customer, excess, fiscal, excess - fiscal, province, fiscal - province)


@settings(max_examples=2_000)
@given(BALANCE_DAYS, TERMS)
def test_an_implementation_with_fractions_agrees(balance_days: int, terms: Terms) -> None:
    assert compute_parts(balance_days, terms) == by_fractions(balance_days, terms)


@given(BALANCE_DAYS, TERMS)
def test_parts_always_add_up(balance_days: int, terms: Terms) -> None:
    parts = compute_parts(balance_days, terms)
    assert parts.customer + parts.fiscal + parts.bank == parts.gross
    assert parts.province + parts.local == parts.fiscal
    assert min(vars(parts).values()) >= 0


# How far rounding takes a line's parts from the formulas, in 分 (docs/explanation/subsidy-arithmetic.md).
FURTHEST = {
    "gross": Fraction(1, 2), "customer": Fraction(1, 2), "excess": Fraction(1), "fiscal": Fraction(3, 2),
    "bank": Fraction(2), "province": Fraction(2), "local": Fraction(2),
}  # fmt: skip


def exactly(balance_days: int, terms: Terms) -> dict[str, Fraction]:
    """A line without any rounding."""
    one_percent = Fraction(balance_days) / 100 / terms.day_basis
    gross = one_percent * Fraction(terms.contract_rate)
    customer = one_percent * Fraction(min(terms.contract_rate, terms.target_rate))
    excess, model = gross - customer, terms.model
    if isinstance(model, FixedPoints):
        fiscal = min(one_percent * Fraction(model.points), excess)
    else:
        fiscal = Fraction(model.fiscal_share) * excess
        fiscal = fiscal if model.cap is None else min(fiscal, one_percent * Fraction(model.cap))
    province = Fraction(terms.province_share) * fiscal
    return dict(
        zip(FURTHEST, (gross, customer, excess, fiscal, excess - fiscal, province, fiscal - province), strict=True)
    )


@settings(max_examples=1_000)
@given(BALANCE_DAYS, TERMS)
def test_rounding_takes_a_line_no_further_than_stated(balance_days: int, terms: Terms) -> None:
    found, wanted = vars(compute_parts(balance_days, terms)), exactly(balance_days, terms)
    assert all(abs(found[name] - wanted[name]) <= most for name, most in FURTHEST.items())


def check_close(some: list[Parts], others: list[Parts]) -> None:
    """Totals of the same balance and days in two sets of lines."""
    for name, most in FURTHEST.items():
        apart = abs(sum(getattr(parts, name) for parts in some) - sum(getattr(parts, name) for parts in others))
        assert apart <= most * (len(some) + len(others)), name


DAYS = st.dates(date(2023, 1, 1), date(2026, 12, 31))
QUARTERLY, MONTHLY = SettlementCalendar(), SettlementCalendar(tuple(range(1, 13)))


@settings(max_examples=300)
@given(st.lists(st.tuples(DAYS, st.integers(1, 10_000_000)), min_size=1, max_size=4), DAYS, DAYS, TERMS, st.data())
def test_splitting_periods_or_drawdowns_changes_totals_by_rounding_alone(
    drawn: list[tuple[date, int]], a: date, b: date, terms: Terms, data: st.DataObject
) -> None:
    start, end = min(a, b), max(a, b)
    moves = [Movement(day, amount) for day, amount in drawn]
    quarterly = compute_lines(Balance.of(moves), start, end, terms, QUARTERLY)
    monthly = compute_lines(Balance.of(moves), start, end, terms, MONTHLY)
    check_close([line.parts for line in quarterly], [line.parts for line in monthly])
    here = [Movement(move.on, data.draw(st.integers(0, move.amount))) for move in moves]
    there = [Movement(move.on, move.amount - part.amount) for move, part in zip(moves, here, strict=True)]
    assert compute_lines(Balance.of([*here, *there]), start, end, terms, QUARTERLY) == quarterly, "in one contract"
    two = [compute_lines(Balance.of(part), start, end, terms, QUARTERLY) for part in (here, there)]
    check_close([line.parts for line in quarterly], [line.parts for lines in two for line in lines])


@given(DAYS, DAYS)
def test_periods_cover_every_day_once(a: date, b: date) -> None:
    start, end = min(a, b), max(a, b)
    periods = SettlementCalendar().periods(start, end)
    edges = [start, *(period.end for period in periods)]
    assert [period.start for period in periods] == edges[:-1]
    assert edges[-1] == end
    assert all(period.days > 0 and period.start <= period.settled_on <= period.end for period in periods)


@given(st.lists(st.tuples(DAYS, st.integers(1, 10_000_000)), min_size=1, max_size=5), DAYS, DAYS, DAYS)
def test_a_split_of_a_period_changes_no_balance_day(drawn: list[tuple[date, int]], a: date, b: date, c: date) -> None:
    balance = Balance.of(Movement(day, amount) for day, amount in drawn)
    start, middle, end = sorted((a, b, c))
    halves = balance.balance_days(start, middle) + balance.balance_days(middle, end)
    assert halves == balance.balance_days(start, end)
    left_out = balance.balance_days(start, end, without=[(start, middle)])
    assert left_out == balance.balance_days(middle, end)


@given(
    st.lists(st.lists(st.tuples(DAYS, st.integers(1, 60_000_000)), min_size=1, max_size=3), min_size=1, max_size=4),
    st.integers(0, 100_000_000),
    DAYS,
)
def test_loans_together_never_exceed_the_cap(loans: list[list[tuple[date, int]]], cap: int, day: date) -> None:
    balances = [Balance.of(Movement(on, amount) for on, amount in loan) for loan in loans]
    shares = share_cap(balances, [cap] * len(balances))
    total = sum(balance.on(day) for balance in balances)
    assert sum(share.on(day) for share in shares) == min(total, cap)
    assert all(share.on(day) <= balance.on(day) for share, balance in zip(shares, balances, strict=True))
