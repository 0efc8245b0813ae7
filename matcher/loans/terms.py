"""What a policy says of a contract: its product, rates and term. Pure."""

from __future__ import annotations

import calendar
from datetime import date

from matcher.loans.errors import DatesInvalid, ProductNotAllowed, RateNotAllowed, TermNotAllowed
from matcher.loans.events import ContractSigned
from matcher.policy import Policy


def check_terms(policy: Policy, contract: ContractSigned) -> None:
    """Raises DatesInvalid, TermNotAllowed, RateNotAllowed."""
    rules = policy.loan
    if contract.starts_on < contract.on_day:
        raise DatesInvalid("interest begins before the contract was signed", why="starts_before_signing")
    if contract.ends_on <= contract.starts_on:
        raise DatesInvalid("it ends before it begins", why="ends_before_start")
    latest = add_months(contract.starts_on, rules.longest_months)
    if contract.ends_on > latest:
        raise TermNotAllowed("longer than allowed", months=rules.longest_months, latest=latest.isoformat())
    if not rules.lowest_rate <= contract.customer_rate <= rules.highest_rate:
        raise RateNotAllowed("outside the band", lowest=str(rules.lowest_rate), highest=str(rules.highest_rate))
    if contract.contract_rate < contract.customer_rate:
        raise RateNotAllowed(
            "the rate before the concession is below the one after it",
            lowest=str(contract.customer_rate),
            highest=str(contract.contract_rate),
        )


def product_code(policy: Policy, product: str) -> str:
    """The code of a product given by code or name. Raises ProductNotAllowed."""
    for known in policy.loan.products:
        if product in (known.code, known.name):
            return known.code
    codes = [known.code for known in policy.loan.products]
    raise ProductNotAllowed("the policy has no such product", product=product[:20], known=codes)


def add_months(day: date, months: int) -> date:
    """The same day of a later month, or that month's last."""
    years, month = divmod(day.month - 1 + months, 12)
    year = day.year + years
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))
