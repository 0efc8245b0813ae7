"""One line told in full: what it was made of, each step with the numbers put in, the clause it follows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from sqlite_utils import Database

from matcher.claims.computing import OVER_CAP, Piece
from matcher.claims.errors import ClaimUnknown
from matcher.claims.lines import PARTS, read_parts
from matcher.policy.reading import parse_policy
from matcher.rows import fetch_records
from matcher.subsidy.arithmetic import ExcessShare, FixedPoints, Parts, Terms, compute_parts
from matcher.subsidy.lines import Line, Step, explain
from matcher.subsidy.periods import Period


class Earlier(NamedTuple):
    """A frozen line that an adjustment corrects, or an earlier correction of it."""

    line_id: int
    claim_year: int
    kind: str
    parts: Parts


@dataclass(frozen=True)
class Explanation:
    """``steps`` lead to ``target``, what the period comes to; ``amounts`` are the line's own.

    A regular line's amounts are the target. An adjustment's are the target (nothing, if the interest is not paid)
    less ``earlier``.
    """

    line_id: int
    loan_id: int
    kind: str
    contract_no: str
    claim_id: int | None
    period: Period
    claim_year: int
    pieces: tuple[Piece, ...]
    balance_days: int
    terms: dict[str, Any]
    steps: tuple[Step, ...]
    target: Parts
    earlier: tuple[Earlier, ...]
    amounts: Parts
    interest_due: int
    interest_paid: int
    reason: str
    policy_title: str
    policy_version: str
    policy_sha256: str
    clauses: tuple[str, ...]


def explain_within(database: Database, line_id: int) -> Explanation:
    """Everything from the stored line alone, so that a frozen one is told as it was frozen. Raises ClaimUnknown."""
    rows = fetch_records(
        database,
        "SELECT interest_line.*, contract_no, content FROM interest_line JOIN loan USING (loan_id)"
        " JOIN policy ON policy.sha256 = interest_line.policy WHERE line_id = ?",
        [line_id],
    )
    if not rows:
        raise ClaimUnknown("no such line", what="line", number=line_id)
    (row,) = rows
    policy = parse_policy(bytes(row["content"])).policy
    pieces = tuple(
        Piece(date.fromisoformat(first), date.fromisoformat(last), *rest)
        for first, last, *rest in json.loads(row["pieces"])
    )
    counts = row["reason"] == ""
    balance_days = sum(p.counted * (p.end - p.start).days for p in pieces) if counts else 0
    stored_terms = json.loads(row["terms"])
    terms = read_terms(stored_terms)
    period = Period(*(date.fromisoformat(row[name]) for name in ("period_start", "period_end", "settled_on")))
    line = Line(period, balance_days, terms, compute_parts(balance_days, terms))
    clauses = [policy.subsidy.clause]
    if any(piece.why == OVER_CAP for piece in pieces):
        clauses.append(policy.loan.clause)
    return Explanation(
        line_id=line_id,
        loan_id=row["loan_id"],
        kind=row["kind"],
        contract_no=row["contract_no"],
        claim_id=row["claim_id"],
        period=period,
        claim_year=row["claim_year"],
        pieces=pieces,
        balance_days=balance_days,
        terms=stored_terms,
        steps=tuple(explain(line)),
        target=line.parts,
        earlier=tuple(_earlier(database, row)),
        amounts=read_parts(row),
        interest_due=row["interest_due"],
        interest_paid=row["interest_paid"],
        reason=row["reason"],
        policy_title=policy.title,
        policy_version=policy.version,
        policy_sha256=row["policy"],
        clauses=tuple(clauses),
    )


def _earlier(database: Database, row: dict[str, Any]) -> list[Earlier]:
    """What stood in claims when the adjustment was made: the line it corrects, and corrections before it."""
    if row["adjusts"] is None:
        return []
    rows = database.execute(
        f"SELECT line_id, claim_year, kind, {', '.join(PARTS)} FROM interest_line"  # noqa: S608 (our own names)
        " WHERE (line_id = ?1 OR adjusts = ?1) AND line_id < ?2 ORDER BY line_id",
        [row["adjusts"], row["line_id"]],
    )
    return [Earlier(line_id, year, kind, Parts(*amounts)) for line_id, year, kind, *amounts in rows.fetchall()]


def read_terms(stored: dict[str, Any]) -> Terms:
    """The terms of a stored line."""
    if "points" in stored:
        model: ExcessShare | FixedPoints = FixedPoints(Decimal(stored["points"]))
    else:
        cap = stored["cap_points"]
        model = ExcessShare(Decimal(stored["fiscal_share"]), None if cap is None else Decimal(cap))
    return Terms(
        contract_rate=Decimal(stored["contract_rate"]),
        target_rate=Decimal(stored["target_rate"]),
        model=model,
        province_share=Decimal(stored["province_share"]),
        day_basis=stored["day_basis"],
    )
