"""The database's own gates: whoever writes SQL past the program puts nobody on the final list."""

from __future__ import annotations

import json
from itertools import product

import pysqlite3
import pytest
from bureau_office import CHECKER, HANDLER, MANAGER, TOWNSHIP
from reviewing import DAY_S, add_waiting, confirm_quietly, decide, state_of

from keys.clock import SettableClock
from matcher.bureau.office import Office
from matcher.reviews import Reviews
from matcher.states import HOUSEHOLD

DECIDED = {"APPROVED", "REJECTED", "RETURNED", "GRADUATED", "SUSPENDED", "REMOVED"}


def run(office: Office, sql: str, *values: object) -> None:
    with office.writing() as database:
        database.execute(sql, values)


def refuse(office: Office, words: str, sql: str, *values: object) -> None:
    with pytest.raises(pysqlite3.IntegrityError, match=words):
        run(office, sql, *values)


def move(office: Office, household: int, *states: str) -> None:
    for state in states:
        run(office, "UPDATE household SET state = ? WHERE household_id = ?", state, household)


def forge_decision(office: Office, household: int, verdict: str = "approve", **changes: object) -> int:
    """A decision as the program stores it, but for ``changes``; proposed, then confirmed by another."""
    (policy,) = office.database.execute("SELECT sha256 FROM policy").fetchone()
    visit, form = office.database.execute(
        "SELECT visit_id, digest FROM visit JOIN form USING (visit_id) WHERE household_id = ?", [household]
    ).fetchone()
    found = office.database.execute("SELECT check_id FROM department_check WHERE household_id = ?", [household])
    checks = [check_id for (check_id,) in found.fetchall()]
    row = {
        "household_id": household, "round": 1, "verdict": verdict, "state": "proposed", "reasons": "", "policy": policy,
        "visit_id": visit, "form_digest": form, "checks": json.dumps({"minzheng": checks}), "sealed": b"x",
        "digest": "ab" * 32, "proposed_by": HANDLER.name, "proposed_at": office.now(), **changes,
    }  # fmt: skip
    with office.writing() as database:
        cursor = database.execute(
            f"INSERT INTO decision ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})",  # noqa: S608
            list(row.values()),
        )
        number = int(cursor.lastrowid or 0)
        database.execute(
            "UPDATE decision SET state = 'confirmed', decided_by = ?, decided_at = ? WHERE decision_id = ?",
            [CHECKER.name, office.now(), number],
        )
    return number


def forge_confirmation(office: Office, household: int, decision: int, closed_at: str | None) -> None:
    run(
        office,
        "INSERT INTO confirmation (household_id, decision_id, ways, begun_on, ends_on, sms_at, village_on,"
        " village_result, outcome, closed_at) VALUES (?, ?, '[\"sms\",\"village\"]', '2025-03-03', '2025-03-10', ?, ?,"
        " 'agreed', ?, ?)",
        household, decision, office.now(), "2025-03-04", "final" if closed_at else None, closed_at,
    )  # fmt: skip


@pytest.mark.parametrize("wanted", sorted(DECIDED))
def test_nothing_is_decided_without_a_decision(
    office: Office, clock: SettableClock, household: int, wanted: str
) -> None:
    if wanted in ("GRADUATED", "SUSPENDED", "REMOVED"):
        decide(office, household)
        confirm_quietly(office, clock, household)
    else:
        move(office, household, "IN_REVIEW")
    refuse(office, "two persons", "UPDATE household SET state = ? WHERE household_id = ?", wanted, household)


@pytest.mark.parametrize(("verdict", "wanted"), list(product(("approve", "reject", "return"), repeat=2)))
def test_a_decision_counts_for_what_it_says(office: Office, household: int, verdict: str, wanted: str) -> None:
    states = {"approve": "APPROVED", "reject": "REJECTED", "return": "RETURNED"}
    move(office, household, "IN_REVIEW")
    forge_decision(office, household, verdict)
    sql = "UPDATE household SET state = ? WHERE household_id = ?"
    if verdict == wanted:
        run(office, sql, states[wanted], household)
    else:
        refuse(office, "two persons", sql, states[wanted], household)


def test_a_proposal_alone_decides_nothing(office: Office, reviews: Reviews, household: int) -> None:
    reviews.decisions.propose(HANDLER, household, "approve")
    refuse(office, "two persons", "UPDATE household SET state = 'APPROVED' WHERE household_id = ?", household)


def test_a_decision_is_not_born_confirmed_nor_by_one_person_nor_by_the_collector(
    office: Office, reviews: Reviews, household: int
) -> None:
    with pytest.raises(pysqlite3.IntegrityError, match="begins as proposed"):
        forge_decision(office, household, state="confirmed", decided_by=CHECKER.name, decided_at=office.now())
    with pytest.raises(pysqlite3.IntegrityError, match="CHECK constraint"):
        forge_decision(office, household, proposed_by=CHECKER.name)
    with pytest.raises(pysqlite3.IntegrityError, match="collected"):
        forge_decision(office, household, proposed_by=MANAGER.name)
    proposed = reviews.decisions.propose(HANDLER, household, "approve")
    refuse(
        office, "collected", "UPDATE decision SET state = 'confirmed', decided_by = ?, decided_at = 'x'", MANAGER.name
    )
    refuse(office, "never changed", "UPDATE decision SET state = 'confirmed'")
    assert reviews.decisions.records.read(proposed.decision_id).state == "proposed"


@pytest.mark.parametrize(
    "change",
    ["verdict = 'reject'", "reasons = 'N01'", "digest = ''", "checks = '{}'", "proposed_by = 'x'", "round = 9",
     "visit_id = NULL", "form_digest = 'x'", "sealed = x'01'", "state = 'proposed'", "decided_by = 'x'",
     "decided_at = 'x'", "household_id = household_id + 1", "policy = (SELECT MAX(sha256) FROM policy) || 'x'"],
)  # fmt: skip
def test_what_was_decided_stays(office: Office, household: int, change: str) -> None:
    decide(office, household)
    with pytest.raises(pysqlite3.IntegrityError):
        run(office, f"UPDATE decision SET {change}")  # noqa: S608


def test_a_purge_may_empty_what_is_sealed_once_it_is_answered(office: Office, reviews: Reviews, household: int) -> None:
    proposed = reviews.decisions.propose(HANDLER, household, "approve")
    refuse(office, "never changed", "UPDATE decision SET sealed = x''")
    reviews.decisions.confirm(CHECKER, proposed.decision_id, proposed.digest)
    run(office, "UPDATE decision SET sealed = x''")
    assert reviews.decisions.records.open_sealed(proposed) == {}


def test_final_with_everything_in_its_place(office: Office, clock: SettableClock, household: int) -> None:
    """What the forgeries below are measured by: only where all of it is there does the gate open."""
    move(office, household, "IN_REVIEW")
    decision = forge_decision(office, household)
    move(office, household, "APPROVED", "CONFIRMING")
    clock.advance(8 * DAY_S)
    forge_confirmation(office, household, decision, office.now())
    move(office, household, "FINAL")
    assert state_of(office, household) == "FINAL"


@pytest.mark.parametrize(
    "forgery",
    [{"visit_id": None}, {"form_digest": "another"}, {"checks": '{"minzheng":[]}'}, {"checks": '{"minzheng":[99]}'},
     {"checks": '{"gongan":[1]}'}],
    ids=["no visit", "another form", "no answer", "unknown answer", "another department"],
)  # fmt: skip
def test_not_final_without_form_and_checks(
    office: Office, clock: SettableClock, household: int, forgery: dict[str, object]
) -> None:
    move(office, household, "IN_REVIEW")
    decision = forge_decision(office, household, **forgery)
    move(office, household, "APPROVED", "CONFIRMING")
    clock.advance(8 * DAY_S)
    forge_confirmation(office, household, decision, office.now())
    refuse(office, "no final list without", "UPDATE household SET state = 'FINAL' WHERE household_id = ?", household)


def test_not_final_by_another_households_visit(office: Office, clock: SettableClock, household: int) -> None:
    (other,) = add_waiting(office, first=1)
    ((visit,),) = office.database.execute("SELECT visit_id FROM visit WHERE household_id = ?", [other]).fetchall()
    ((digest,),) = office.database.execute("SELECT digest FROM form WHERE visit_id = ?", [visit]).fetchall()
    move(office, household, "IN_REVIEW")
    decision = forge_decision(office, household, visit_id=visit, form_digest=digest)
    move(office, household, "APPROVED", "CONFIRMING")
    clock.advance(8 * DAY_S)
    forge_confirmation(office, household, decision, office.now())
    refuse(office, "no final list without", "UPDATE household SET state = 'FINAL' WHERE household_id = ?", household)


def test_not_final_before_the_days_are_over(office: Office, reviews: Reviews, household: int) -> None:
    decide(office, household)
    reviews.confirmations.begin(HANDLER, [household])
    reviews.confirmations.tell(HANDLER, household, "电话告知")
    reviews.deliberations.record(TOWNSHIP, [household], "agreed", office.today())
    refuse(office, "no final list without", "UPDATE household SET state = 'FINAL' WHERE household_id = ?", household)
    for closed_at in ("2025-03-10T15:59:59Z", "2025-03-03T01:00:00Z"):
        refuse(office, "CHECK", "UPDATE confirmation SET outcome = 'final', closed_at = ?", closed_at)
    refuse(office, "CHECK", "UPDATE confirmation SET outcome = 'final'")
    refuse(
        office, "CHECK", "UPDATE confirmation SET outcome = 'final', closed_at = '2025-03-11T00:00:00Z', sms_at = NULL"
    )
    refuse(
        office, "CHECK",
        "UPDATE confirmation SET outcome = 'final', closed_at = '2025-03-11T00:00:00Z', village_result = 'objected'",
    )  # fmt: skip
    run(office, "UPDATE confirmation SET outcome = 'final', closed_at = '2025-03-10T16:00:00Z'")  # midnight in China


def test_an_objection_undoes_the_approval(office: Office, reviews: Reviews, household: int) -> None:
    decide(office, household)
    refuse(office, "no such move", "UPDATE household SET state = 'IN_REVIEW' WHERE household_id = ?", household)
    reviews.confirmations.begin(HANDLER, [household])
    refuse(office, "nobody appealed", "UPDATE household SET state = 'IN_REVIEW' WHERE household_id = ?", household)
    reviews.objections.enter(TOWNSHIP, household, who="甲", why="乙", received_on=office.today())
    refuse(office, "two persons", "UPDATE household SET state = 'APPROVED' WHERE household_id = ?", household)


def test_a_refusal_is_opened_by_one_appeal_only(office: Office, reviews: Reviews, household: int) -> None:
    decide(office, household, "reject", reasons=["N01"], remark="x")
    sql = "UPDATE household SET state = 'IN_REVIEW' WHERE household_id = ?"
    refuse(office, "nobody appealed", sql, household)
    reviews.objections.appeal(TOWNSHIP, household, who="甲", why="乙", received_on=office.today())
    decide(office, household, "reject", reasons=["N01"], remark="x")
    refuse(office, "nobody appealed", sql, household)
    refuse(
        office, "UNIQUE",
        "INSERT INTO objection (household_id, decision_id, kind, sealed, received_on, entered_by, entered_at)"
        " VALUES (?, 2, 'appeal', x'', '2025-03-03', 'x', 'x')", household,
    )  # fmt: skip


def test_nobody_is_listed_who_is_not_final(office: Office, household: int) -> None:
    decision = decide(office, household)
    refuse(
        office, "not final",
        "INSERT INTO listing (household_id, decision_id, policy, effective_from) VALUES (?, ?, ?, '2025-03-03')",
        household, decision.decision_id, decision.policy,
    )  # fmt: skip


def test_suspended_comes_back_only_by_a_resumption(office: Office, clock: SettableClock, household: int) -> None:
    decide(office, household)
    confirm_quietly(office, clock, household)
    decide(office, household, "suspend", reasons=["N90"])
    refuse(office, "two persons", "UPDATE household SET state = 'FINAL' WHERE household_id = ?", household)


def test_no_statement_brings_a_household_to_final_from_where_it_stands(office: Office, household: int) -> None:
    """Every path of raw moves from PENDING_REVIEW: none passes the first gate."""
    reached, waiting = {"PENDING_REVIEW"}, [("PENDING_REVIEW", ())]
    while waiting:
        state, path = waiting.pop()
        for target in HOUSEHOLD.moves.get(state, ()):
            office.database.execute("BEGIN")
            try:
                for step in (*path, target):
                    office.database.execute("UPDATE household SET state = ? WHERE household_id = ?", [step, household])
            except pysqlite3.IntegrityError:
                continue
            finally:
                office.database.execute("ROLLBACK")
            if target not in reached:
                reached.add(target)
                waiting.append((target, (*path, target)))
    assert reached == {"PENDING_REVIEW", "IN_REVIEW"}
