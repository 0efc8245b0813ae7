"""The worked examples of docs/explanation/subsidy-arithmetic.md, and the steps of docs/reference/claims.md, hold."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from matcher.bureau.schema.claims import OTHER_PERSON
from matcher.claims.computing import GRADUATED, OVER_CAP, WHY_NOT
from matcher.claims.exceptions import KINDS
from matcher.claims.steps import FREEZE, MOVES
from matcher.subsidy.arithmetic import ExcessShare, FixedPoints, Terms, compute_parts
from matcher.subsidy.lines import compute_lines
from matcher.subsidy.periods import Balance, Movement, SettlementCalendar
from scripts.county.claim_printing import WHY

DOCS = Path(__file__).resolve().parents[2] / "docs"
ARITHMETIC = (DOCS / "explanation" / "subsidy-arithmetic.md").read_text("utf-8")
CLAIMS = (DOCS / "reference" / "claims.md").read_text("utf-8")
SHENGSI = Terms(Decimal("4.35"), Decimal("3.8"), ExcessShare(Decimal("0.5")))


def table(text: str, head: str) -> list[list[str]]:
    """The cells of the table that begins with this heading."""
    _, _, rest = text.partition(f"| {head} |")
    rows = rest.split("\n\n")[0].splitlines()[2:]
    return [[cell.strip().strip("`") for cell in row.strip("|").split(" |")] for row in rows]


def fen(yuan: str) -> int:
    return int(Decimal(yuan) * 100)


WORKED = table(ARITHMETIC, "yuan, rate, target, days, basis, model")


@pytest.mark.parametrize("row", WORKED, ids=lambda row: row[0])
def test_worked_lines(row: list[str]) -> None:
    yuan, rate, target, days, basis, model = row[0].split(", ")
    words = model.split()
    said = dict(zip(words[::2], map(Decimal, words[1::2]), strict=True))
    shared = FixedPoints(said["points"]) if "points" in said else ExcessShare(said["φ"], said.get("cap"))
    terms = Terms(Decimal(rate), Decimal(target), shared, said.get("σ", Decimal(0)), int(basis))  # type: ignore[arg-type]
    parts = compute_parts(fen(yuan) * int(days), terms)
    assert [parts.gross, parts.customer, parts.excess, parts.fiscal, parts.bank, parts.province] == [
        fen(cell) for cell in row[1:]
    ]


def test_all_worked_lines_are_there() -> None:
    assert len(WORKED) == 11


def test_the_loan_over_two_years() -> None:
    start, end = date(2024, 5, 10), date(2025, 5, 10)
    balance = Balance.of([Movement(start, 10_000_000), Movement(end, -10_000_000)])
    lines = compute_lines(balance, start, end, SHENGSI, SettlementCalendar())
    told = table(ARITHMETIC, "due | days | fiscal")
    assert [(day, int(days), fen(fiscal)) for day, days, fiscal in told] == [
        (line.period.settled_on.isoformat(), line.period.days, line.parts.fiscal) for line in lines
    ]
    assert sum(line.parts.fiscal for line in lines) == 27_883


def test_the_prepayment() -> None:
    parts = compute_parts(46_240_000 * 100, SHENGSI)
    numbers = re.search(
        r"gross ([\d.]+), customer ([\d.]+), excess ([\d.]+),\s+fiscal ([\d.]+), bank (\d+\.\d\d)", ARITHMETIC
    )
    assert numbers is not None
    assert [parts.gross, parts.customer, parts.excess, parts.fiscal, parts.bank] == [fen(n) for n in numbers.groups()]


def test_the_table_of_steps() -> None:
    moves = {"freeze": FREEZE, **{step.value: move for step, move in MOVES.items()}}
    state_of = {step: move.to_state for step, move in moves.items()}
    rows = table(CLAIMS, "step | leads to | needs | who (permission) | another person than who took")
    assert [row[0] for row in rows] == list(moves)
    for step, leads_to, _, who, others in rows:
        assert leads_to == state_of[step]
        assert f"`{moves[step].permission.value}`" in who
        named = {state_of[other] for other in others.split(", ") if other}
        assert named == set(OTHER_PERSON.get(leads_to, ()))


def test_the_table_of_exceptions() -> None:
    assert [row[0] for row in table(CLAIMS, "kind |")] == list(KINDS)


def test_every_reason_has_words() -> None:
    assert set(WHY) == {"", GRADUATED, OVER_CAP, *WHY_NOT}
