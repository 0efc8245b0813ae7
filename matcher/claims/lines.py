"""Interest lines as they are stored: their columns, their JSON, their digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlite_utils import Database

from matcher.claims.computing import ComputedLine, LoanRecord
from matcher.subsidy.arithmetic import FixedPoints, Parts

PARTS = ("gross", "customer", "excess", "fiscal", "bank", "province", "local")


def digest_lines(database: Database, where: str, values: Sequence[object]) -> tuple[str, int]:
    """(SHA-256 hex, how many) of the lines that ``where`` chooses: one JSON array a line, LF after each.

    The array is bank, contract number, then the line's columns from kind to interest_paid as stored; by contract,
    period, kind and number. Nothing in it is personal.
    """
    rows = database.execute(
        "SELECT loan.bank, contract_no, kind, period_start, period_end, interest_line.settled_on, claim_year,"  # noqa: S608
        " balance_days, pieces, terms, interest_line.policy, gross, customer, excess, fiscal, interest_line.bank,"
        " province, local, interest_due, interest_paid, reason FROM interest_line JOIN loan USING (loan_id)"
        f" WHERE {where} ORDER BY loan.bank, contract_no, period_start, kind DESC, line_id",
        list(values),
    )
    digest, count = hashlib.sha256(), 0
    for row in rows.fetchall():
        digest.update(json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
        count += 1
    return digest.hexdigest(), count


def terms_json(loan: LoanRecord) -> str:
    """What of contract and policy decides a line; rates and shares as decimal text."""
    terms = loan.terms
    if isinstance(terms.model, FixedPoints):
        model: dict[str, str | None] = {"points": str(terms.model.points)}
    else:
        cap = terms.model.cap
        model = {"fiscal_share": str(terms.model.fiscal_share), "cap_points": None if cap is None else str(cap)}
    values = {
        "contract_rate": str(terms.contract_rate),
        "customer_rate": str(loan.customer_rate),
        "target_rate": str(terms.target_rate),
        **model,
        "province_share": str(terms.province_share),
        "day_basis": terms.day_basis,
    }
    return json.dumps(values, separators=(",", ":"))


def pieces_json(line: ComputedLine) -> str:
    pieces = [[p.start.isoformat(), p.end.isoformat(), p.balance, p.counted, p.why] for p in line.pieces]
    return json.dumps(pieces, separators=(",", ":"))


def read_parts(row: Mapping[str, Any]) -> Parts:
    """A stored line's amounts."""
    return Parts(*(row[name] for name in PARTS))
