"""Interest, the customer's share, and who pays the rest: one settlement line.

With A the eligible balance times days, r_p the contract's rate before any concession, r_t the target rate,
e = max(r_p - r_t, 0), B the day basis, φ the fiscal share and σ the province's share of it:

    gross = R2(A r_p / B)    customer = R2(A min(r_p, r_t) / B)    excess = gross - customer
    fiscal = R2(φ excess), or min(DOWN2(A cap / B), excess) where the cap binds, i.e. φ e > cap
    fiscal = min(R2(A points / B), excess) under fixed points
    bank = excess - fiscal    province = R2(σ fiscal)    local = fiscal - province

R2 rounds half up, DOWN2 down, to whole 分; each once for a line. What is left over is computed by subtraction,
so the parts always add up. All of it is exact: integers, and rates as ratios of integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from psi.errors import InputError

DayBasis = Literal[360, 365]


class TermsInvalid(InputError):
    """Rates and shares from which no subsidy can be computed; ``params["field"]`` names the first."""

    code = "subsidy_terms_invalid"


@dataclass(frozen=True)
class ExcessShare:
    """The excess is shared between finance and bank; ``cap`` bounds finance in percentage points a year."""

    fiscal_share: Decimal
    cap: Decimal | None = None


@dataclass(frozen=True)
class FixedPoints:
    """Finance pays so many percentage points a year, the bank the rest of the excess."""

    points: Decimal


@dataclass(frozen=True)
class Terms:
    """What of a policy and a contract decides a line. Rates in percent a year, shares from 0 to 1.

    ``province_share`` is the province's part of the fiscal share. Raises TermsInvalid.
    """

    contract_rate: Decimal
    target_rate: Decimal
    model: ExcessShare | FixedPoints
    province_share: Decimal = Decimal(0)
    day_basis: DayBasis = 360

    def __post_init__(self) -> None:
        rates = {"contract_rate": self.contract_rate, "target_rate": self.target_rate}
        shares = {"province_share": self.province_share}
        if isinstance(self.model, ExcessShare):
            shares["fiscal_share"] = self.model.fiscal_share
            rates["cap"] = Decimal(0) if self.model.cap is None else self.model.cap
        else:
            rates["points"] = self.model.points
        for name, value, most in [(n, v, 100) for n, v in rates.items()] + [(n, v, 1) for n, v in shares.items()]:
            if not isinstance(value, Decimal) or not value.is_finite() or not 0 <= value <= most:
                raise TermsInvalid(f"{name} is a decimal from 0 to {most}", field=name)
        if self.day_basis not in (360, 365):
            raise TermsInvalid("the day basis is 360 or 365", field="day_basis")

    @property
    def excess_rate(self) -> Decimal:
        """e: the percentage points above the target."""
        return max(self.contract_rate - self.target_rate, Decimal(0))

    @property
    def cap_binds(self) -> bool:
        """Whether finance would pay more points than its cap."""
        model = self.model
        return (
            isinstance(model, ExcessShare)
            and model.cap is not None
            and model.fiscal_share * self.excess_rate > model.cap
        )


@dataclass(frozen=True)
class Parts:
    """One line in 分. excess = gross - customer = fiscal + bank; fiscal = province + local."""

    gross: int
    customer: int
    excess: int
    fiscal: int
    bank: int
    province: int
    local: int

    def __add__(self, other: Parts) -> Parts:
        return Parts(*(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))

    def __neg__(self) -> Parts:
        return Parts(*(-value for value in vars(self).values()))


NOTHING = Parts(0, 0, 0, 0, 0, 0, 0)


def compute_parts(balance_days: int, terms: Terms) -> Parts:
    """One settlement line; ``balance_days`` is the eligible balance in 分 times days, not negative."""
    if balance_days < 0:
        raise TermsInvalid("balance times days is not negative", field="balance_days")
    gross = compute_interest(balance_days, terms.contract_rate, terms.day_basis)
    customer = compute_interest(balance_days, min(terms.contract_rate, terms.target_rate), terms.day_basis)
    excess = gross - customer
    fiscal = _fiscal(balance_days, excess, terms)
    province = share_of(fiscal, terms.province_share)
    return Parts(gross, customer, excess, fiscal, excess - fiscal, province, fiscal - province)


def _fiscal(balance_days: int, excess: int, terms: Terms) -> int:
    model = terms.model
    if isinstance(model, FixedPoints):
        return min(compute_interest(balance_days, model.points, terms.day_basis), excess)
    if terms.cap_binds and model.cap is not None:
        numerator, denominator = _interest_ratio(balance_days, model.cap, terms.day_basis)
        return min(numerator // denominator, excess)
    return share_of(excess, model.fiscal_share)


def share_of(amount: int, share: Decimal) -> int:
    """R2(share * amount), ``amount`` in 分 and not negative."""
    numerator, denominator = share.as_integer_ratio()
    return _half_up(amount * numerator, denominator)


def compute_interest(balance_days: int, rate: Decimal, day_basis: int) -> int:
    """R2(balance × days × rate ÷ basis) in 分; the rate is percent a year."""
    return _half_up(*_interest_ratio(balance_days, rate, day_basis))


def _interest_ratio(balance_days: int, rate: Decimal, day_basis: int) -> tuple[int, int]:
    """Interest in 分 as a ratio of integers; the rate is percent a year."""
    numerator, denominator = rate.as_integer_ratio()
    return balance_days * numerator, denominator * 100 * day_basis


def _half_up(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)
