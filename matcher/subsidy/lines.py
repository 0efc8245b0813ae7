"""A loan's interest lines: one for each settlement period, and how each came about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import reduce

from matcher.subsidy.arithmetic import NOTHING, FixedPoints, Parts, Terms, compute_parts
from matcher.subsidy.periods import Balance, Period, SettlementCalendar

Span = tuple[date, date]  # half-open


@dataclass(frozen=True)
class Line:
    """One period's interest: ``balance_days`` in 分 × days, without the days that bear no subsidy."""

    period: Period
    balance_days: int
    terms: Terms
    parts: Parts

    @property
    def claim_year(self) -> int:
        """A line belongs to the year in which it falls due."""
        return self.period.settled_on.year


def compute_lines(
    balance: Balance, start: date, end: date, terms: Terms, calendar: SettlementCalendar, without: Sequence[Span] = ()
) -> list[Line]:
    """Lines of a loan from ``start`` to ``end`` (not included). ``without``: days overdue, extended or suspended."""
    lines = []
    for period in calendar.periods(start, end):
        balance_days = balance.balance_days(period.start, period.end, without)
        lines.append(Line(period, balance_days, terms, compute_parts(balance_days, terms)))
    return lines


def total(lines: Iterable[Line]) -> Parts:
    """The sum of lines already rounded: totals tie because nothing is rounded again."""
    return reduce(lambda sum_, line: sum_ + line.parts, lines, NOTHING)


def totals_by_year(lines: Sequence[Line]) -> dict[int, Parts]:
    """By claim year, ascending."""
    years = sorted({line.claim_year for line in lines})
    return {year: total(line for line in lines if line.claim_year == year) for year in years}


@dataclass(frozen=True)
class Step:
    """One step of a line: what, by which formula with the numbers put in, and the amount in 分."""

    name: str  # a field of Parts
    formula: str
    amount: int


def explain(line: Line) -> list[Step]:
    """How a line's parts came about, in the order of computation."""
    terms, parts = line.terms, line.parts
    base = f"{yuan(line.balance_days)}"  # yuan × days
    customer_rate = min(terms.contract_rate, terms.target_rate)

    def interest(rate: Decimal) -> str:
        return f"{base} × {rate}% ÷ {terms.day_basis}"

    return [
        Step("gross", f"R2({interest(terms.contract_rate)})", parts.gross),
        Step("customer", f"R2({interest(customer_rate)})", parts.customer),
        Step("excess", f"{yuan(parts.gross)} − {yuan(parts.customer)}", parts.excess),
        Step("fiscal", _fiscal_formula(line), parts.fiscal),
        Step("bank", f"{yuan(parts.excess)} − {yuan(parts.fiscal)}", parts.bank),
        Step("province", f"R2({terms.province_share} × {yuan(parts.fiscal)})", parts.province),
        Step("local", f"{yuan(parts.fiscal)} − {yuan(parts.province)}", parts.local),
    ]


def _fiscal_formula(line: Line) -> str:
    terms, excess = line.terms, yuan(line.parts.excess)
    model = terms.model
    base = f"{yuan(line.balance_days)}"
    if isinstance(model, FixedPoints):
        return f"min(R2({base} × {model.points}% ÷ {terms.day_basis}), {excess})"
    if terms.cap_binds:
        return f"min(DOWN2({base} × {model.cap}% ÷ {terms.day_basis}), {excess})"
    return f"R2({model.fiscal_share} × {excess})"


def yuan(fen: int) -> str:
    """分 as yuan with two places, as Chinese offices write it: 1,234.56."""
    sign = "-" if fen < 0 else ""
    return f"{sign}{abs(fen) // 100:,}.{abs(fen) % 100:02d}"


def plain_yuan(fen: int) -> str:
    """``1234.56``: 分 as forms, files and programs have them."""
    return yuan(fen).replace(",", "")
