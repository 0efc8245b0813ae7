"""What people look at: claims, their lines, their way so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlite_utils import Database

from matcher.claims.lines import PARTS
from matcher.subsidy.arithmetic import Parts

_SUMS = ", ".join(f"COALESCE(SUM(interest_line.{name}), 0)" for name in PARTS)
# Of a claim that is not frozen yet: what freezing it now would take.
OPEN_LINES = """claim_id IS NULL AND claimable = 1 AND claim_year <= ?2 AND loan_id IN (
    SELECT loan_id FROM loan JOIN policy ON policy.sha256 = loan.policy WHERE loan.bank = ?1 AND policy.county = ?3)"""
# Due by the end of the claim's year, but not paid.
_UNPAID = """claim_id IS NULL AND claimable = 0 AND excess <> 0 AND claim_year <= ?2 AND settled_on <= (
    SELECT COALESCE(MAX(day), '') FROM accrual) AND loan_id IN (
    SELECT loan_id FROM loan JOIN policy ON policy.sha256 = loan.policy WHERE loan.bank = ?1 AND policy.county = ?3)"""


@dataclass(frozen=True)
class ClaimSummary:
    """A claim as a list shows it. Before it is frozen, ``lines`` and ``amounts`` are what freezing would take;
    ``left_out``: lines due by then whose interest is not paid."""

    claim_id: int
    bank: str
    bank_name: str
    county: str
    year: int
    state: str
    lines: int
    amounts: Parts
    left_out: int
    through: str | None
    digest: str | None
    seed: str | None
    updated_at: str
    open_exceptions: int
    sampled: int
    unchecked: int


@dataclass(frozen=True)
class ClaimStep:
    from_state: str
    to_state: str
    account: str
    remark: str
    at: str


@dataclass(frozen=True)
class ClaimLine:
    """One line of a claim. ``in_sample``: the auditor drew it; ``finding``: what came of that."""

    amounts: Parts
    in_sample: bool
    finding: str | None
    line_id: int
    contract_no: str
    kind: str
    period_start: str
    period_end: str
    settled_on: str
    claim_year: int
    balance_days: int
    interest_due: int
    interest_paid: int
    reason: str


def summarise(database: Database, claim_id: int | None = None, bank: str | None = None) -> list[ClaimSummary]:
    """One claim or all, of one bank or of all, the latest year first."""
    rows = database.execute(
        "SELECT claim_id, claim.bank, bank.name, county, year, state, through, digest, seed, updated_at,"
        " (SELECT COUNT(*) FROM claim_exception e WHERE e.claim_id = claim.claim_id AND settled_at IS NULL),"
        " (SELECT COUNT(*) FROM audit_sample s WHERE s.claim_id = claim.claim_id),"
        " (SELECT COUNT(*) FROM audit_sample s WHERE s.claim_id = claim.claim_id AND finding IS NULL)"
        " FROM claim JOIN bank ON bank.fingerprint = claim.bank"
        " WHERE (?1 IS NULL OR claim_id = ?1) AND (?2 IS NULL OR claim.bank = ?2)"
        " ORDER BY year DESC, county, bank.name",
        [claim_id, bank],
    ).fetchall()
    return [_summary(database, *row) for row in rows]


def _summary(
    database: Database, claim_id: int, bank: str, name: str, county: str, year: int, state: str, *rest: Any
) -> ClaimSummary:
    lines, *amounts = sum_lines(database, claim_id, state, bank, year, county)
    left_out, *_ = _sum(database, _UNPAID, [bank, year, county])
    return ClaimSummary(claim_id, bank, name, county, year, state, lines, Parts(*amounts), left_out, *rest)


def sum_lines(database: Database, claim_id: int, state: str, bank: str, year: int, county: str) -> tuple[int, ...]:
    """How many lines a claim has, or would take if it were frozen now, and the sum of each of PARTS."""
    if state == "ACCRUING":
        return _sum(database, OPEN_LINES, [bank, year, county])
    return _sum(database, "claim_id = ?", [claim_id])


def _sum(database: Database, where: str, values: list[object]) -> tuple[int, ...]:
    sql = f"SELECT COUNT(*), {_SUMS} FROM interest_line WHERE {where}"  # noqa: S608 (our own conditions)
    return tuple(database.execute(sql, values).fetchone())


def list_steps(database: Database, claim_id: int) -> list[ClaimStep]:
    """From the first on."""
    rows = database.execute(
        "SELECT from_state, to_state, account, remark, at FROM claim_step WHERE claim_id = ? ORDER BY step_id",
        [claim_id],
    )
    return [ClaimStep(*row) for row in rows.fetchall()]


def list_lines(database: Database, claim_id: int, first: int = 0, count: int = -1) -> list[ClaimLine]:
    """In the order of the claim's digest: by contract, then by period."""
    rows = database.execute(
        f"SELECT sample.line_id IS NOT NULL, finding, {_of_line()}, line_id, contract_no, kind, period_start,"  # noqa: S608
        " period_end, settled_on, claim_year, balance_days, interest_due, interest_paid, reason FROM interest_line"
        " JOIN loan USING (loan_id) LEFT JOIN audit_sample sample USING (line_id) WHERE interest_line.claim_id = ?"
        " ORDER BY contract_no, period_start, kind DESC, line_id LIMIT ? OFFSET ?",
        [claim_id, count, first],
    )
    return [_line(*row) for row in rows.fetchall()]


def _line(in_sample: int, finding: str | None, *rest: Any) -> ClaimLine:
    amounts, about = rest[: len(PARTS)], rest[len(PARTS) :]
    return ClaimLine(Parts(*amounts), bool(in_sample), finding, *about)


def _of_line() -> str:
    return ", ".join(f"interest_line.{name}" for name in PARTS)
