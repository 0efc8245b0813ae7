"""The schema of the bureau's store, ``<home>/bureau.sqlite``: one module for each part of the work.

Steps are applied in the order of ``_STEPS`` and never changed once released (docs/reference/bureau-store.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import pysqlite3
from sqlite_utils import Database, Migrations

from matcher.bureau.schema import (
    checks,
    claims,
    downloads,
    figures,
    handovers,
    households,
    loans,
    people,
    purges,
    reviews,
    trials,
    visits,
)
from matcher.numbering import give_once

_NUMBERED = (
    "account", "alarm", "attachment", "canary", "candidate", "claim", "claim_exception", "claim_step", "commitment",
    "confirmation", "conflict", "decision", "department_check", "download", "epoch", "facility", "form", "handover",
    "household", "household_move", "interest_line", "listing", "loan", "loan_file", "loan_span", "member", "movement",
    "objection", "policy_trial", "purge", "visit", "visit_move",
)  # fmt: skip
"""Every table whose numbers the store gives itself."""

_STEPS: tuple[tuple[str, Sequence[str]], ...] = (
    ("m001_first_tables", handovers.FIRST_TABLES),
    ("m003_canaries", handovers.CANARIES),
    ("m004_people", people.TABLES),
    ("m005_households", households.TABLES),
    ("m006_checks", checks.TABLES),
    ("m007_visits", visits.TABLES),
    ("m008_reviews", reviews.TABLES),
    ("m009_loans", loans.TABLES),
    ("m010_claims", claims.TABLES),
    ("m011_figures", figures.TABLES),
    ("m012_purges", purges.TABLES),
    ("m013_downloads", downloads.TABLES),
    ("m014_trials", trials.TABLES),
    ("m015_cancelled_visits", visits.CANCELLING),
    ("m016_lists", (*households.COUNTING, *reviews.STAYS)),
    ("m017_moves", households.MOVES),
    ("m018_numbers", give_once(*_NUMBERED)),
    ("m019_banks", households.BANKS),
    ("m020_claimed", claims.SUMS),
    ("m021_departments", people.DEPARTMENTS),
)

BUREAU_MIGRATIONS = Migrations("bureau")


def _register(name: str, statements: Sequence[str]) -> None:
    @BUREAU_MIGRATIONS(name=name)
    def apply(database: Database) -> None:
        for script in statements:
            for statement in _split(script):
                database.execute(statement)


def _split(script: str) -> list[str]:
    """The statements of a script; a trigger's own semicolons do not end it."""
    statements, current = [], ""
    for line in script.strip().splitlines(keepends=True):
        current += line
        if pysqlite3.complete_statement(current):
            statements.append(current)
            current = ""
    return [*statements, current] if current.strip() else statements


for _name, _statements in _STEPS:
    _register(_name, _statements)
