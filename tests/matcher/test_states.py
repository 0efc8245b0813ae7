"""Every move of every machine, in the code and in the database; nothing else moves."""

from __future__ import annotations

import re
import sqlite3
from itertools import pairwise, product
from pathlib import Path

import pytest

from matcher.states import CLAIM, HOUSEHOLD, LOAN, MACHINES, VISIT, Machine, MoveInvalid

EACH = pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "states.md"


@EACH
def test_the_database_moves_exactly_as_the_code_says(machine: Machine) -> None:
    database = sqlite3.connect(":memory:", isolation_level=None)
    database.execute("CREATE TABLE thing (id INTEGER PRIMARY KEY, state TEXT NOT NULL)")
    for present in machine.words:  # put there before the triggers stand
        database.executemany("INSERT INTO thing (state) VALUES (?)", [(present,)] * len(machine.words))
    database.executescript(machine.trigger("thing"))
    for number, (present, wanted) in enumerate(product(machine.words, machine.words), start=1):
        legal = present == wanted or machine.allows(present, wanted)
        change = ("UPDATE thing SET state = ? WHERE id = ?", (wanted, number))
        if legal:
            database.execute(*change)
        else:
            with pytest.raises(sqlite3.IntegrityError, match="no such move"):
                database.execute(*change)
            with pytest.raises(MoveInvalid):
                machine.check(present, wanted)
    for state in machine.words:
        if state == machine.start:
            database.execute("INSERT INTO thing (state) VALUES (?)", (state,))
        else:
            with pytest.raises(sqlite3.IntegrityError, match="begins as"):
                database.execute("INSERT INTO thing (state) VALUES (?)", (state,))


@EACH
def test_every_state_can_be_reached_and_left_or_ends(machine: Machine) -> None:
    reached, waiting = {machine.start}, [machine.start]
    while waiting:
        for state in machine.moves.get(waiting.pop(), ()):
            if state not in reached:
                reached.add(state)
                waiting.append(state)
    assert reached == set(machine.words)
    assert machine.final


@pytest.mark.parametrize(
    ("machine", "path"),
    [
        (HOUSEHOLD, "IMPORTED MATCHED REFINED_IN TO_VISIT VISITED PENDING_REVIEW IN_REVIEW"),
        (HOUSEHOLD, "IN_REVIEW APPROVED CONFIRMING FINAL GRADUATED"),
        (HOUSEHOLD, "IN_REVIEW RETURNED VISITED PENDING_REVIEW"),
        (HOUSEHOLD, "CONFIRMING IN_REVIEW REJECTED IN_REVIEW"),
        (VISIT, "PLANNED ASSIGNED STARTED COLLECTED SUBMITTED ACCEPTED"),
        (VISIT, "STARTED FAILED PLANNED"),
        (LOAN, "APPLIED COMMITMENT_SIGNED CREDIT_APPROVED CONTRACTED ACTIVE OVERDUE ACTIVE SETTLED"),
        (CLAIM, "ACCRUING CALCULATED BANK_CHECKED AUDITED SUBMITTED COUNTY_REVIEW COUNTY_APPROVED"),
        (CLAIM, "COUNTY_APPROVED PROVINCE_REVIEW APPROVED PAID CLOSED"),
    ],
)  # fmt: skip
def test_the_ways_of_the_plan(machine: Machine, path: str) -> None:
    states = path.split()
    for present, wanted in pairwise(states):
        machine.check(present, wanted)


@EACH
def test_the_reference_lists_every_move(machine: Machine) -> None:
    section = REFERENCE.read_text("utf-8").split(f"## {machine.name}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \|$", section, re.MULTILINE)
    assert {state: (words, tuple(re.findall(r"`(\w+)`", moves))) for state, words, moves in rows} == {
        state: (words, tuple(machine.moves.get(state, ()))) for state, words in machine.words.items()
    }
