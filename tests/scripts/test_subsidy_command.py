"""``mingce subsidy explain`` as a person types it."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from psi.errors import InputError
from scripts.county.subsidy import app

LOAN = ["100000", "--rate", "4.35", "--from", "2024-05-10", "--to", "2025-05-10", "--policy", "330922"]


def test_the_worked_example_over_two_claim_years() -> None:
    result = json.loads(CliRunner().invoke(app, ["explain", *LOAN, "--json"], catch_exceptions=False).stdout)
    assert {year: parts["fiscal"] for year, parts in result["by_year"].items()} == {"2024": "171.88", "2025": "106.95"}
    assert [line["days"] for line in result["lines"]] == [42, 92, 91, 90, 50]
    assert len(result["policy_sha256"]) == 64


def test_every_step_is_shown_and_no_figure_is_cut() -> None:
    shown = CliRunner().invoke(app, ["explain", *LOAN], catch_exceptions=False).stdout
    assert "R2(4,200,000.00 × 4.35% ÷ 360) = 507.50" in shown
    assert "按比例承担贴息和让利" in shown
    assert "4,410.42" in shown
    assert "…" not in shown


def test_a_prepayment_lowers_the_balance() -> None:
    words = ["200000", "--rate", "4.35", "--from", "2024-03-01", "--to", "2024-11-30", "--policy", "330922"]
    words += ["--repay", "2024-08-15=80000", "--json"]
    result = json.loads(CliRunner().invoke(app, ["explain", *words], catch_exceptions=False).stdout)
    assert sum(float(line["balance_days_yuan"]) for line in result["lines"]) == 46_240_000


@pytest.mark.parametrize(
    "change",
    [
        {0: "1e5"},
        {0: "100000.001"},
        {2: "4,35"},
        {4: "2025-05-10"},
        {8: "330999"},
        {8: "none.toml"},
    ],
)
def test_what_cannot_be_read_is_refused(change: dict[int, str]) -> None:
    words = [change.get(place, word) for place, word in enumerate(LOAN)]
    with pytest.raises(InputError):
        CliRunner().invoke(app, ["explain", *words], catch_exceptions=False)


@pytest.mark.parametrize("repay", ["2024-08-15", "2024-08-15=-1", "2026-01-01=1", "2024-08-15=100000.01"])
def test_repayments_that_no_loan_can_have(repay: str) -> None:
    with pytest.raises(InputError):
        CliRunner().invoke(app, ["explain", *LOAN, "--repay", repay], catch_exceptions=False)
