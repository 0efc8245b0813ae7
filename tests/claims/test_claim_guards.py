"""A frozen claim is never changed, and what deserves a look is shown."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pysqlite3
import pytest
from bureau_office import CHECKER, PROVINCE, make_office
from claim_desk import BANK_CHECKER, BANK_CLERK, Desk, nothing, own_figures, walk

from matcher.bureau.actors import NotAllowed
from matcher.bureau.office import Office
from matcher.claims.errors import ClaimTampered
from matcher.claims.service import Claims
from matcher.claims.steps import Step
from matcher.states import MoveInvalid
from scripts.benchmarks.lending import triggers_aside


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("UPDATE interest_line SET fiscal = fiscal + 1, bank = bank - 1, local = local + 1", "frozen by a claim"),
        ("UPDATE interest_line SET claim_id = NULL", "frozen by a claim"),
        ("DELETE FROM interest_line", "frozen by a claim"),
        ("UPDATE claim SET digest = 'x'", "claim: frozen"),
        ("UPDATE claim SET year = 2023", "claim: frozen"),
        ("UPDATE claim SET state = 'ACCRUING'", "no such move"),
        ("UPDATE claim SET state = 'PAID'", "no such move"),
        ("UPDATE claim_step SET account = 'x'", "never changed"),
        ("DELETE FROM claim_step", "never deleted"),
        ("INSERT INTO claim (bank, county, year, state, created_by, created_at, updated_at)"
         " SELECT bank, county, 2022, 'PAID', '', '', '' FROM claim", "begins as"),
    ],
)  # fmt: skip
def test_no_statement_changes_a_frozen_claim(desk: Desk, claim: int, sql: str, message: str) -> None:
    desk.claims.freeze(BANK_CLERK, claim)
    with pytest.raises(pysqlite3.IntegrityError, match=message):
        desk.run(sql)


def test_no_line_joins_a_frozen_claim(desk: Desk, claim: int) -> None:
    desk.claims.freeze(BANK_CLERK, claim)
    with pytest.raises(pysqlite3.IntegrityError, match="the claim is frozen"):
        desk.run("UPDATE interest_line SET claim_id = ? WHERE claim_id IS NULL", claim)


def test_whoever_goes_round_the_triggers_is_found_at_the_next_step(desk: Desk, claim: int, tmp_path: Path) -> None:
    walk(desk, claim, tmp_path, "COUNTY_REVIEW")
    with triggers_aside(desk.office):
        desk.office.database.execute(
            "UPDATE interest_line SET fiscal = fiscal + 1, bank = bank - 1, local = local + 1"
            " WHERE line_id = (SELECT MIN(line_id) FROM interest_line)"
        )
    for do in (lambda: desk.claims.verify(CHECKER, claim), lambda: desk.claims.move(CHECKER, claim, Step.APPROVE)):
        with pytest.raises(ClaimTampered):
            do()
    assert desk.claims.get(CHECKER, claim).summary.state == "COUNTY_REVIEW"


def test_a_household_off_the_list_or_in_conflict_is_shown(desk: Desk, claim: int) -> None:
    with triggers_aside(desk.office):
        desk.office.database.execute("UPDATE household SET state = 'REMOVED' WHERE household_id = 1")
        desk.office.database.execute(
            "INSERT INTO conflict (kind, household_id, item_ref, found_at) VALUES ('labels_differ', 2, x'', '')"
        )
    desk.claims.freeze(BANK_CLERK, claim)
    found = desk.claims.get(BANK_CLERK, claim).exceptions
    assert [(exception.kind, exception.detail["household"]) for exception in found] == [
        ("off_list", 1),
        ("conflict", 2),
    ]


def test_a_borrower_of_two_households_is_shown(desk: Desk, claim: int) -> None:
    with triggers_aside(desk.office):
        desk.office.database.execute("UPDATE member SET item_ref = x'01'  WHERE household_id IN (1, 2)")
    desk.claims.freeze(BANK_CLERK, claim)
    found = desk.claims.get(BANK_CLERK, claim).exceptions
    assert [(e.kind, e.detail["household"], e.detail["other"]) for e in found] == [
        ("borrower_twice", 1, 2), ("borrower_twice", 2, 1),
    ]  # fmt: skip


def test_a_borrower_in_two_cases_of_one_family_is_not(desk: Desk, claim: int) -> None:
    with triggers_aside(desk.office):
        desk.office.database.execute("UPDATE member SET item_ref = x'01'  WHERE household_id IN (1, 2)")
        desk.office.database.execute("INSERT INTO household_link VALUES (2, 1, 1, '')")
    desk.claims.freeze(BANK_CLERK, claim)
    assert desk.claims.get(BANK_CLERK, claim).exceptions == []


def test_nothing_is_half_frozen_when_the_process_dies(desk: Desk, claim: int, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    monkeypatch.setattr("matcher.claims.exceptions.find_within", die)
    with pytest.raises(Killed):
        desk.claims.freeze(BANK_CLERK, claim)
    assert desk.rows("SELECT COUNT(*) AS n FROM interest_line WHERE claim_id IS NOT NULL") == [{"n": 0}]
    monkeypatch.undo()
    assert desk.claims.freeze(BANK_CLERK, claim).lines == 9


def test_the_export_holds_no_person(desk: Desk, claim: int, tmp_path: Path) -> None:
    desk.claims.freeze(BANK_CLERK, claim)
    assert desk.claims.export(BANK_CLERK, claim, tmp_path / "lines.csv", "csv") == 9
    text = (tmp_path / "lines.csv").read_text("utf-8-sig")
    assert "9900" not in text
    assert text.splitlines()[0].count(",") == 16
    with pytest.raises(NotAllowed):
        desk.claims.export(PROVINCE, claim, tmp_path / "x.csv", "csv")


@pytest.mark.parametrize("step", [None, Step.CHECK])
def test_two_clerks_at_once_do_it_once(desk: Desk, claim: int, tmp_path: Path, step: Step | None) -> None:
    """Two processes' handles on one store, each from a thread of its own."""
    if step is not None:
        desk.claims.freeze(BANK_CLERK, claim)
        desk.claims.reconcile(BANK_CLERK, claim, own_figures(desk, claim, tmp_path, nothing))
    actor = BANK_CLERK if step is None else BANK_CHECKER
    others = [make_office(tmp_path, desk.clock) for _ in range(2)]

    def act(office: Office) -> str:
        try:
            claims = Claims(office)
            return (claims.freeze(actor, claim) if step is None else claims.move(actor, claim, step)).state
        except MoveInvalid:
            return "refused"

    with ThreadPoolExecutor(2) as pool:
        outcomes = sorted(pool.map(act, others))
    for office in others:
        office.close()
    assert outcomes == sorted(["refused", "CALCULATED" if step is None else "BANK_CHECKED"])
    states = [taken.to_state for taken in desk.claims.get(BANK_CLERK, claim).steps]
    assert states.count(outcomes[0]) + states.count(outcomes[1]) == 1
    desk.office.verify_audit()
