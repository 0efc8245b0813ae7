"""Moving a household: the machine's moves only, each with its history and its audit row."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from bureau_office import HANDLER, add_households, make_office
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pysqlite3 import dbapi2 as sqlite3

from matcher.bureau.office import Office
from matcher.households import Households, HouseholdUnknown
from matcher.states import HOUSEHOLD, MoveInvalid
from psi.errors import InputError


def moves_of(office: Office, household_id: int) -> list[tuple[str, str, str, str]]:
    return office.database.execute(
        "SELECT from_state, to_state, account, reasons FROM household_move WHERE household_id = ? ORDER BY move_id",
        [household_id],
    ).fetchall()


def test_a_move_is_written_with_its_history_and_its_audit_row(office: Office, households: Households) -> None:
    (one,) = add_households(office, 1)
    with office.writing() as database:
        seq = households.move_within(HANDLER, one, "REFINED_OUT", reasons=("N10", "N01"), remark="重复", purpose="细化")
        state = database.execute("SELECT state FROM household WHERE household_id = ?", [one]).fetchone()
    assert state == ("REFINED_OUT",)
    assert moves_of(office, one) == [
        ("IMPORTED", "MATCHED", "jingban", ""),
        ("MATCHED", "REFINED_OUT", "jingban", "N10,N01"),
    ]
    actor, action, subject, detail = office.database.execute(
        "SELECT actor, action, subject, detail FROM audit WHERE seq = ?", [seq]
    ).fetchone()
    assert (actor, action, subject) == ("jingban", "household.move", f"household/{one}")
    assert "N10" not in detail, "a reason of PIPL article 28 stands in the audit log as a digest only"
    assert office.verify_audit().seq == seq


@pytest.mark.parametrize("wanted", sorted(set(HOUSEHOLD.words) - {"REFINED_IN", "REFINED_OUT", "SUPPLEMENTED"}))
def test_no_other_move_is_possible(office: Office, households: Households, wanted: str) -> None:
    (one,) = add_households(office, 1)
    before = office.verify_audit()
    with pytest.raises(MoveInvalid) as caught, office.writing():
        households.move_within(HANDLER, one, wanted)
    assert caught.value.params == {"what": "household", "present": "MATCHED", "wanted": wanted}
    if wanted != "MATCHED":
        with pytest.raises(sqlite3.IntegrityError, match=r"no such move|two persons"), office.writing() as database:
            database.execute("UPDATE household SET state = ? WHERE household_id = ?", [wanted, one])
    assert office.verify_audit() == before
    assert len(moves_of(office, one)) == 1


def test_what_is_unknown_is_refused(office: Office, households: Households) -> None:
    (one,) = add_households(office, 1)
    with pytest.raises(HouseholdUnknown), office.writing():
        households.move_within(HANDLER, one + 1, "REFINED_IN")
    with pytest.raises(InputError, match="not reason codes"), office.writing():
        households.move_within(HANDLER, one, "REFINED_OUT", reasons=("N77",))


def test_two_processes_views_move_a_household_once(tmp_path: Path, office: Office) -> None:
    """Two people press the button at the same moment, each with a store of their own open."""
    ids = add_households(office, 40)
    other = make_office(office.home)
    try:

        def refine(place: int) -> list[str]:
            households = Households((office, other)[place])
            return [households.refine_many(HANDLER, [one], "in")[0].outcome for one in ids]

        with ThreadPoolExecutor(2) as pool:
            outcomes = list(pool.map(refine, (0, 1)))
    finally:
        other.close()
    assert [sorted(pair) for pair in zip(*outcomes, strict=True)] == [["done", "refused"]] * len(ids)
    assert all(len(moves_of(office, one)) == 2 for one in ids)
    office.verify_audit()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=st.lists(st.sampled_from(sorted(HOUSEHOLD.words)), max_size=12))
def test_no_sequence_of_calls_leaves_the_machine(office: Office, households: Households, wanted: list[str]) -> None:
    """Whatever is asked for, the household's history is a way through the machine, and the chain holds."""
    (first,) = office.database.execute("SELECT COUNT(*) FROM household").fetchone()
    (one,) = add_households(office, 1, first=first, members=1)
    for state in wanted:
        with suppress(MoveInvalid, sqlite3.IntegrityError), office.writing():
            households.move_within(HANDLER, one, state)
    way = moves_of(office, one)
    (present,) = office.database.execute("SELECT state FROM household WHERE household_id = ?", [one]).fetchone()
    assert all(HOUSEHOLD.allows(before, after) for before, after, *_ in way)
    assert [after for _, after, *_ in way][:-1] == [before for before, *_ in way][1:]
    assert present == way[-1][1]
    assert present not in ("FINAL", "APPROVED", "REJECTED"), "two persons decide those"
    office.verify_audit()
