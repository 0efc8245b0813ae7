"""Loans as computing needs them, by the families whose cap they share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sqlite_utils import Database

from matcher.claims.computing import LoanRecord
from matcher.households.families import read_families as families_by_case
from matcher.loans.accounts import LoanAccount, read_accounts
from matcher.policy.model import Policy
from matcher.policy.reading import parse_policy

_SETTLED = ("SETTLED", "EARLY_SETTLED")


class Owner(NamedTuple):
    """Who claims a loan's interest: the bank's fingerprint and the county of the contract's policy."""

    bank: str
    county: str


class Family(NamedTuple):
    """All loans of one family, in all its cases: they share a cap."""

    household_id: int  # the case that stands for it
    loans: list[LoanRecord]
    owners: dict[int, Owner]  # by loan


def read_families(database: Database) -> list[Family]:
    """Families with their signed contracts."""
    rows = database.execute("SELECT sha256, content FROM policy WHERE sha256 IN (SELECT policy FROM loan)").fetchall()
    policies = {sha256: parse_policy(bytes(content)).policy for sha256, content in rows}
    cases = families_by_case(database)
    families: dict[int, Family] = {}
    for account in read_accounts(database):
        first = cases.get(account.household_id, account.household_id)
        family = families.setdefault(first, Family(first, [], {}))
        loan = _record(account, policies)
        family.loans.append(loan)
        family.owners[loan.loan_id] = Owner(account.bank, loan.policy.county)
    return list(families.values())


def _record(account: LoanAccount, policies: Mapping[str, Policy]) -> LoanRecord:
    return LoanRecord(
        loan_id=account.loan_id,
        order=(account.starts_on, account.loan_id),
        ends_on=account.ends_on,
        is_settled=account.state in _SETTLED,
        contract_rate=account.contract_rate,
        customer_rate=account.customer_rate,
        policy_sha256=account.policy,
        policy=policies[account.policy],
        principal=account.movements,
        supported=account.supported,
        interest_paid=account.interest,
        bare=account.bare,
    )
