"""The course of a visit: plans, the door, the form, its evidence, a second person, and what each step refuses."""

from __future__ import annotations

import json
import threading
from datetime import date, timedelta
from pathlib import Path

import pysqlite3
import pytest
from bureau_office import (
    AUDITOR,
    BANK_ADMIN,
    BANK_NO,
    CHECKER,
    HANDLER,
    MANAGER,
    OTHER_BANK_ADMIN,
    OTHER_BANK_NO,
    OTHER_MANAGER,
    OTHER_TOWNSHIP_CODE,
    TOWNSHIP,
    TOWNSHIP_CODE,
    add_households,
    make_office,
)
from handed_over import COUNTY
from visiting import (
    PLACE,
    add_accounts,
    adopt_policy,
    collect,
    form_values,
    household_items,
    plan_and_assign,
    png,
    to_be_visited,
    visit_household,
)

from keys.clock import SettableClock
from matcher.accounts.idempotency import IdempotencyConflict
from matcher.bureau.actors import Actor, NotAllowed, NotInCare, Role, SamePerson
from matcher.bureau.office import Office
from matcher.rows import fetch_all, fetch_records
from matcher.states import MoveInvalid
from matcher.visits.model import (
    DeviceKeyReused,
    ManagerUnsuitable,
    PlaceInvalid,
    VisitChanged,
    VisitIncomplete,
    VisitUnknown,
)
from matcher.visits.problems import FormInvalid
from matcher.visits.service import Visits
from matcher.visits.showing import VisitFilter
from psi.errors import InputError


def state_of(office: Office, household: int) -> str:
    return str(fetch_all(office.database, "SELECT state FROM household WHERE household_id = ?", [household])[0][0])


def states(office: Office) -> list[str]:
    return [row[0] for row in fetch_all(office.database, "SELECT state FROM visit ORDER BY visit_id")]


def advance(office: Office, days: float) -> None:
    assert isinstance(office.clock, SettableClock)
    office.clock.advance(days * 86_400)


def test_a_visit_from_plan_to_acceptance(office: Office, households: list[int]) -> None:
    visits = Visits(office)
    (visit,) = plan_and_assign(office, households[:1])
    collect(office, visit, form_values(household_items(0)))
    assert state_of(office, households[0]) == "VISITED"
    shown = visits.show(CHECKER, visit)
    assert (shown.visit.state, shown.visit.collector, shown.missing) == ("SUBMITTED", MANAGER.name, ())
    done = visits.accept(CHECKER, visit, version=shown.visit.version, key="k1")
    assert visits.accept(CHECKER, visit, version=shown.visit.version, key="k1") == done
    assert state_of(office, households[0]) == "PENDING_REVIEW"
    assert [(m.from_state, m.to_state) for m in visits.show(CHECKER, visit).moves] == [
        ("PLANNED", "ASSIGNED"), ("ASSIGNED", "STARTED"), ("STARTED", "COLLECTED"),
        ("COLLECTED", "SUBMITTED"), ("SUBMITTED", "ACCEPTED"),
    ]  # fmt: skip
    office.verify_audit()


def test_only_who_goes_there_sees_the_whole_address(office: Office, households: list[int]) -> None:
    (visit,) = plan_and_assign(office, households[:1])
    collect(office, visit, form_values(household_items(0)))
    seen = [Visits(office).show(actor, visit).form for actor in (MANAGER, CHECKER)]
    assert [form["head"]["address"] for form in seen if form is not None] == ["演示镇演示村1号", "演示镇***"]


def test_the_accepted_forms_members_become_the_households(office: Office, households: list[int]) -> None:
    items = [*household_items(0), household_items(40)[0]]
    visit_household(office, households[0], items)
    rows = fetch_records(
        office.database,
        "SELECT source, is_applicant FROM member WHERE household_id = ? ORDER BY member_id",
        [households[0]],
    )
    assert [(row["source"], row["is_applicant"]) for row in rows] == [("match", 1), ("match", 0), ("form", 0)]
    saved = Visits(office).accepted_forms(households)
    assert list(saved) == [households[0]]
    assert [m.id_number for m in saved[households[0]].form.members] == items
    assert saved[households[0]].form.income.total == 7_200_050


def test_a_number_with_another_name_is_a_conflict_for_a_person(office: Office, households: list[int]) -> None:
    visit_household(office, households[0], household_items(0), members__0__name="另一姓名")
    conflicts = fetch_all(office.database, "SELECT kind, household_id FROM conflict")
    assert conflicts == [("two_names_for_one_number", households[0])]


def test_whoever_collected_does_not_decide(office: Office, households: list[int]) -> None:
    both = Actor("liangke", frozenset({Role.TOWNSHIP, Role.CHECKER}), townships=(TOWNSHIP_CODE,))
    add_accounts(office, both)
    (visit,) = plan_and_assign(office, households[:1], both)
    collect(office, visit, form_values(household_items(0)), both)
    for decide in (Visits(office).accept, lambda actor, visit: Visits(office).return_visit(actor, visit, "照片不清")):
        with pytest.raises(SamePerson):
            decide(both, visit)
    with office.writing() as database, pytest.raises(pysqlite3.IntegrityError):
        database.execute("UPDATE visit SET decided_by = collector WHERE visit_id = ?", [visit])


def test_a_returned_visit_is_completed_and_submitted_anew(office: Office, households: list[int]) -> None:
    visits = Visits(office)
    (visit,) = plan_and_assign(office, households[:1])
    collect(office, visit, form_values(household_items(0)))
    with pytest.raises(InputError):
        visits.return_visit(CHECKER, visit, "  ")
    visits.return_visit(CHECKER, visit, "照片不清")
    assert visits.show(MANAGER, visit).visit.remark == "照片不清"
    with pytest.raises(MoveInvalid):
        visits.submit(MANAGER, visit)
    changed = form_values(household_items(0), spending__living="31000")
    visits.save_form(MANAGER, visit, changed, device_key="second-try-1")
    visits.submit(MANAGER, visit)
    assert state_of(office, households[0]) == "VISITED"
    visits.accept(CHECKER, visit)
    assert visits.accepted_forms(households)[households[0]].form.spending.living == 3_100_000
    forms = fetch_all(office.database, "SELECT replaced_at IS NULL FROM form ORDER BY form_id")
    assert [present for (present,) in forms] == [0, 1]


def test_a_household_that_the_review_returned_is_visited_again(office: Office, households: list[int]) -> None:
    first = visit_household(office, households[0], household_items(0))
    with office.writing() as database:  # as a review does it, without its gates
        for (gate,) in database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'household' AND sql LIKE '%decision%'"
        ).fetchall():
            database.execute(f"DROP TRIGGER {gate}")
        for wanted in ("IN_REVIEW", "RETURNED"):
            Visits(office)._office.database.execute(
                "UPDATE household SET state = ? WHERE household_id = ?", [wanted, households[0]]
            )
    second = visit_household(office, households[0], household_items(0), spending__medical="9")
    assert second != first
    assert state_of(office, households[0]) == "PENDING_REVIEW"
    assert Visits(office).accepted_forms(households)[households[0]].visit_id == second


def test_failed_visits_are_planned_again_as_often_as_the_policy_says(office: Office, households: list[int]) -> None:
    visits = Visits(office)
    for attempt in (1, 2, 3):
        (visit,) = plan_and_assign(office, households[:1])
        visits.start(MANAGER, visit, PLACE)
        visits.fail(MANAGER, visit, "absent", remark="门锁着")
        assert visits.show(HANDLER, visit).visit.attempt == attempt
    done = visits.plan(HANDLER, COUNTY, office.today(), households=households[:1])
    assert (done.planned, done.again, done.attempts_used) == (0, 0, 1)
    history = [(m.attempt, m.outcome) for m in visits.show(HANDLER, visit).moves if m.to_state == "FAILED"]
    assert history == [(1, "absent"), (2, "absent"), (3, "absent")]
    assert state_of(office, households[0]) == "TO_VISIT"


@pytest.mark.parametrize("outcome", ["moved", "deceased"])
def test_who_is_gone_is_not_visited_again(office: Office, households: list[int], outcome: str) -> None:
    visits = Visits(office)
    (visit,) = plan_and_assign(office, households[:1])
    with pytest.raises(MoveInvalid):
        visits.fail(MANAGER, visit, outcome)  # nobody was at the door yet
    visits.start(MANAGER, visit, PLACE)
    with pytest.raises(InputError):
        visits.fail(MANAGER, visit, "done")
    visits.fail(MANAGER, visit, outcome)
    assert visits.plan(HANDLER, COUNTY, office.today(), households=households[:1]).gone == 1


def test_planning_twice_plans_once(office: Office, households: list[int]) -> None:
    visits = Visits(office)
    assert visits.plan(HANDLER, TOWNSHIP_CODE, date(2025, 3, 5)).planned == 3
    assert visits.plan(HANDLER, COUNTY, date(2025, 3, 6)).planned == 0
    assert visits.plan(HANDLER, OTHER_TOWNSHIP_CODE, date(2025, 3, 6)).planned == 0
    with office.writing() as database, pytest.raises(pysqlite3.IntegrityError):
        database.execute(
            "INSERT INTO visit (household_id, kind, state, planned_for, created_at, updated_at)"
            " VALUES (?, 'first', 'PLANNED', '2025-03-05', '', '')",
            households[:1],
        )


def test_an_area_is_assigned_by_grid(office: Office) -> None:
    village = f"{TOWNSHIP_CODE}001"
    there = add_households(office, 2, division=village)
    elsewhere = add_households(office, 1, first=5, division=f"{TOWNSHIP_CODE}002")
    to_be_visited(office, [*there, *elsewhere])
    visits = Visits(office)
    visits.plan(HANDLER, TOWNSHIP_CODE, office.today())
    assert [o.outcome for o in visits.assign_area(HANDLER, TOWNSHIP_CODE, MANAGER.name, grid=village)] == ["done"] * 2
    listed = visits.list_visits(HANDLER, VisitFilter(grid=village))
    assert [(v.household_id, v.manager, v.state) for v in listed] == [(h, MANAGER.name, "ASSIGNED") for h in there]
    assert [v.household_id for v in visits.list_visits(HANDLER, VisitFilter(state="PLANNED"))] == elsewhere


def test_assigned_visits_can_be_given_to_another_or_taken_back(office: Office, households: list[int]) -> None:
    visits = Visits(office)
    (visit,) = plan_and_assign(office, households[:1])
    assert visits.assign_many(BANK_ADMIN, [visit, 99], OTHER_MANAGER.name)[0].outcome == "done"
    assert visits.show(OTHER_MANAGER, visit).visit.manager == OTHER_MANAGER.name
    assert [o.code for o in visits.assign_many(HANDLER, [visit, 99], MANAGER.name)] == [None, "visit_unknown"]
    assert visits.unassign(HANDLER, visit).state == "PLANNED"
    plan_again = visits.assign_many(HANDLER, [visit], MANAGER.name)
    assert plan_again[0].outcome == "done"
    visits.start(MANAGER, visit, PLACE)
    assert [o.code for o in visits.assign_many(HANDLER, [visit], OTHER_MANAGER.name)] == ["move_invalid"]
    assert visits.show(HANDLER, visit).visit.manager == MANAGER.name


def test_a_manager_that_cannot_make_the_visit(office: Office, households: list[int]) -> None:
    stranger = Actor("tahang", frozenset({Role.BANK_MANAGER}), bank=OTHER_BANK_NO)
    far = Actor("yuanfang", frozenset({Role.TOWNSHIP}), townships=(OTHER_TOWNSHIP_CODE,))
    add_accounts(office, stranger, far, OTHER_BANK_ADMIN)
    visits = Visits(office)
    visits.plan(HANDLER, COUNTY, office.today())
    for name, reason in (("nobody", "unknown"), (CHECKER.name, "role")):
        with pytest.raises(ManagerUnsuitable) as refused:
            visits.assign_many(HANDLER, [1], name)
        assert refused.value.params["reason"] == reason
    with pytest.raises(ManagerUnsuitable):
        visits.assign_many(BANK_ADMIN, [1], stranger.name)
    for name in (stranger.name, far.name):
        assert [o.code for o in visits.assign_many(HANDLER, [1], name)] == ["manager_unsuitable"]
    assert visits.plan(OTHER_BANK_ADMIN, COUNTY, office.today()).planned == 0
    assert visits.list_visits(OTHER_BANK_ADMIN) == []


def test_a_bank_neither_sees_nor_takes_anothers_visit_of_a_common_customer(
    office: Office, households: list[int], tmp_path: Path
) -> None:
    with office.writing() as database:  # the household is a customer of both banks
        database.execute("UPDATE handover SET bank = ?", [OTHER_BANK_NO])
        database.execute("UPDATE household_bank SET bank = ?", [OTHER_BANK_NO])
    visits = Visits(office)
    visits.plan(HANDLER, COUNTY, office.today())
    stranger = Actor("tahang", frozenset({Role.BANK_MANAGER}), bank=OTHER_BANK_NO)
    add_accounts(office, stranger)
    assert visits.assign_many(HANDLER, [1], stranger.name)[0].outcome == "done"
    with office.writing() as database:
        database.execute("UPDATE handover SET bank = ?", [BANK_NO])
        database.execute("UPDATE household_bank SET bank = ?", [BANK_NO])
    assert [visit.visit_id for visit in visits.list_visits(BANK_ADMIN)] == [2, 3]
    assert visits.assign_many(BANK_ADMIN, [1], MANAGER.name)[0].code == "not_in_care"
    with pytest.raises(NotInCare):
        visits.unassign(BANK_ADMIN, 1)
    done = visits.export_visits(HANDLER, tmp_path / "l.csv", bank=BANK_NO, area=COUNTY, purpose="下发", format="csv")
    assert done.visits == 2


def test_only_the_assigned_account_makes_the_visit(office: Office, households: list[int]) -> None:
    visits = Visits(office)
    (visit,) = plan_and_assign(office, households[:1])
    for actor in (OTHER_MANAGER, TOWNSHIP, HANDLER, CHECKER, AUDITOR, BANK_ADMIN):
        for attempt in (
            lambda actor: visits.start(actor, visit, PLACE),
            lambda actor: visits.save_form(actor, visit, form_values(household_items(0)), device_key="device-x1"),
            lambda actor: visits.add_image(actor, visit, "photo", png()),
            lambda actor: visits.submit(actor, visit),
            lambda actor: visits.fail(actor, visit, "absent"),
        ):
            with pytest.raises(NotAllowed):
                attempt(actor)
    for actor in (MANAGER, TOWNSHIP, HANDLER):
        with pytest.raises(NotAllowed):
            visits.accept(actor, visit)
    assert states(office) == ["ASSIGNED"]


def test_lists_show_what_is_in_an_accounts_care(office: Office, households: list[int]) -> None:
    visits = Visits(office)
    plan_and_assign(office, households[:1])
    plan_and_assign(office, households[1:2], OTHER_MANAGER)
    visits.plan(HANDLER, COUNTY, office.today())
    assert [v.household_id for v in visits.list_visits(MANAGER)] == households[:1]
    assert [v.household_id for v in visits.list_visits(BANK_ADMIN)] == households
    assert [v.household_id for v in visits.list_visits(HANDLER, after=1, size=1)] == households[1:2]
    far = Actor("yuanfang", frozenset({Role.TOWNSHIP}), townships=(OTHER_TOWNSHIP_CODE,))
    assert visits.list_visits(far) == []
    with pytest.raises(VisitUnknown):
        visits.show(far, 1)
    with pytest.raises(VisitUnknown):
        visits.show(MANAGER, 2)


def test_answers_are_masked(office: Office, households: list[int]) -> None:
    (visit,) = plan_and_assign(office, households[:1])
    collect(office, visit, form_values(household_items(0)))
    shown = json.dumps(Visits(office).show(CHECKER, visit).form, ensure_ascii=False)
    assert not [secret for secret in (*household_items(0), "13800000000", "演示0") if secret in shown]
    assert Visits(office).own_form(MANAGER, visit).form.applicant.id_number == household_items(0)[0]
    with pytest.raises(NotAllowed):
        Visits(office).own_form(CHECKER, visit)


def test_who_looks_at_a_place_is_recorded(office: Office, households: list[int]) -> None:
    visits = Visits(office)
    (visit,) = plan_and_assign(office, households[:1])
    assert visits.place_of(CHECKER, visit) is None
    track = [{"latitude": 30.7, "longitude": 122.4, "at": "2025-03-03T01:00:00Z"}]
    visits.start(MANAGER, visit, {**PLACE, "track": track})
    assert visits.place_of(CHECKER, visit) == {**PLACE, "track": track}
    for actor in (MANAGER, HANDLER, TOWNSHIP, AUDITOR):
        with pytest.raises(NotAllowed):
            visits.place_of(actor, visit)
    looked = fetch_all(office.database, "SELECT actor, subject FROM audit WHERE action = 'visit.place'")
    assert looked == [(CHECKER.name, f"visit/{visit}")] * 2


def test_the_reviewer_is_told_where_form_and_match_differ(office: Office, households: list[int]) -> None:
    visits = Visits(office)
    (visit,) = plan_and_assign(office, households[:1])
    collect(office, visit, form_values(household_items(40)[:1]))
    assert visits.show(CHECKER, visit).notes == (
        "名单匹配到的成员有 2 人不在采集表上",
        "申请人不是名单匹配到的客户",
        "采集表 1 人，名单标签家庭人数 3 人",
    )


@pytest.mark.parametrize("without", ["form", "photo", "signature_applicant", "signature_manager", "signature_officer"])
def test_nothing_is_submitted_without_its_evidence(office: Office, households: list[int], without: str) -> None:
    visits = Visits(office)
    (visit,) = plan_and_assign(office, households[:1])
    visits.start(MANAGER, visit, PLACE)
    if without != "form":
        visits.save_form(MANAGER, visit, form_values(household_items(0)), device_key="device-1")
    for kind in ("photo", "signature_applicant", "signature_manager", "signature_officer"):
        if kind != without:
            visits.add_image(MANAGER, visit, kind, png())
    with pytest.raises(MoveInvalid if without == "form" else VisitIncomplete) as refused:
        visits.submit(MANAGER, visit)
    assert visits.show(MANAGER, visit).missing == (without,)
    if without != "form":
        assert refused.value.params["missing"] == [without]
    assert state_of(office, households[0]) == "TO_VISIT"


def test_a_form_sent_twice_is_stored_once(office: Office, households: list[int]) -> None:
    visits = Visits(office)
    (visit, other) = plan_and_assign(office, households[:2])
    begun = visits.start(MANAGER, visit, PLACE)
    values = form_values(household_items(0))
    first = visits.save_form(MANAGER, visit, values, device_key="device-1", version=begun.version)
    assert visits.save_form(MANAGER, visit, values, device_key="device-1", version=begun.version) == first
    assert fetch_all(office.database, "SELECT COUNT(*) FROM form") == [(1,)]
    visits.start(MANAGER, other, PLACE)
    another = form_values(household_items(0), consent_no="另一")
    reused = (
        (visit, another, "device-1"),
        (other, values, "device-1"),
        (visit, values, "短"),
        (visit, values, "a" * 65),
    )
    for target, changed, key in reused:
        with pytest.raises(DeviceKeyReused):
            visits.save_form(MANAGER, target, changed, device_key=key)


def test_a_stale_form_is_refused_and_both_sides_are_shown(office: Office, households: list[int]) -> None:
    visits = Visits(office)
    (visit,) = plan_and_assign(office, households[:1])
    begun = visits.start(MANAGER, visit, PLACE)
    visits.save_form(MANAGER, visit, form_values(household_items(0)), device_key="tablet-01", version=begun.version)
    late = form_values(household_items(0), spending__living="99", needs=[], members__1__id_number="")
    with pytest.raises(VisitChanged) as refused:
        visits.save_form(MANAGER, visit, late, device_key="laptop-01", version=begun.version)
    assert refused.value.params["present"] == begun.version + 1
    found = {d.path: (d.stored, d.offered) for d in visits.compare_form(MANAGER, visit, late)}
    assert found["spending.living"] == ("30000.00", "99.00")
    assert found["needs.0.amount"] == ("100000.00", "")
    assert found["members.1.id_number"] == ("99************" + household_items(0)[1][-2:], "")


def test_what_the_office_alone_can_know_of_a_form(office: Office, households: list[int]) -> None:
    visits = Visits(office)
    (visit,) = plan_and_assign(office, households[:1])
    visits.start(MANAGER, visit, PLACE)
    values = form_values(household_items(0), "2025-03-04", needs__0__product="无此产品")
    with pytest.raises(FormInvalid) as refused:
        visits.save_form(MANAGER, visit, values, device_key="device-1")
    assert {(p.path, p.code) for p in refused.value.problems} == {
        ("head.visited_on", "in_the_future"),
        ("signatures.applicant.signed_on", "in_the_future"),
        ("signatures.manager.signed_on", "in_the_future"),
        ("signatures.officer.signed_on", "in_the_future"),
        ("needs.0.product", "product_unknown"),
    }
    visits.save_form(
        MANAGER, visit, form_values(household_items(0), needs__0__product="共富经营贷"), device_key="device-1"
    )
    assert visits.own_form(MANAGER, visit).form.needs[0].product == "jingying"


@pytest.mark.parametrize(
    ("place", "started_at"),
    [
        ({"latitude": 91, "longitude": 0, "accuracy_m": 1}, None),
        ({"latitude": float("nan"), "longitude": 0, "accuracy_m": 1}, None),
        ({"latitude": 30, "accuracy_m": 1}, None),
        ({"latitude": 30, "longitude": 0, "accuracy_m": -1}, None),
        ({**PLACE, "track": [{"latitude": 1, "longitude": 1, "at": "gestern"}]}, None),
        ({**PLACE, "x": 1}, None),
        (PLACE, "2025-03-03T01:06:00Z"),
        (PLACE, "2024-12-01T01:06:00Z"),
        (PLACE, "2025-03-03 01:06"),
    ],
)
def test_places_and_times_that_cannot_be(
    office: Office, households: list[int], place: dict[str, object], started_at: str | None
) -> None:
    (visit,) = plan_and_assign(office, households[:1])
    with pytest.raises(PlaceInvalid):
        Visits(office).start(MANAGER, visit, place, started_at=started_at)
    assert states(office) == ["ASSIGNED"]


def test_a_tablet_that_was_offline_says_when_it_began(office: Office, households: list[int]) -> None:
    (visit,) = plan_and_assign(office, households[:1])
    Visits(office).start(MANAGER, visit, PLACE, started_at="2025-03-01T08:00:00Z")
    assert fetch_all(office.database, "SELECT started_at FROM visit") == [("2025-03-01T08:00:00Z",)]


def test_revisits_come_due_by_the_policy(office: Office, households: list[int]) -> None:
    visits = Visits(office)
    visit_household(office, households[0], household_items(0))
    with office.writing() as database:
        gates = database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'household'"
        ).fetchall()
        for (gate,) in gates:
            database.execute(f"DROP TRIGGER {gate}")
        database.execute("UPDATE household SET state = 'FINAL' WHERE household_id = ?", households[:1])
    assert visits.plan_revisits(HANDLER, COUNTY, date(2025, 9, 2)) == 0
    assert visits.plan_revisits(HANDLER, COUNTY, date(2025, 9, 3)) == 1  # six months
    assert visits.plan_revisits(HANDLER, COUNTY, date(2025, 9, 3)) == 0
    (revisit,) = visits.list_visits(HANDLER, VisitFilter(kind="revisit"))
    advance(office, 184)
    visits.assign_many(HANDLER, [revisit.visit_id], MANAGER.name)
    collect(office, revisit.visit_id, form_values(household_items(0), "2025-09-03"))
    visits.accept(CHECKER, revisit.visit_id)
    assert state_of(office, households[0]) == "FINAL"


def test_a_key_stands_for_one_request(office: Office, households: list[int]) -> None:
    visits = Visits(office)
    (visit,) = plan_and_assign(office, households[:1])
    visits.start(MANAGER, visit, PLACE, key="k")
    with pytest.raises(IdempotencyConflict):
        visits.fail(MANAGER, visit, "absent", key="k")


def test_d40_two_reviewers_at_once_leave_one_acceptance(tmp_path: Path) -> None:
    office = make_office(tmp_path / "bureau")
    add_accounts(office)
    adopt_policy(office)
    (household,) = add_households(office, 1)
    to_be_visited(office, [household])
    (visit,) = plan_and_assign(office, [household])
    collect(office, visit, form_values(household_items(0)))
    version = Visits(office).show(CHECKER, visit).visit.version
    outcomes: list[object] = []

    def decide(name: str, accept: bool) -> None:
        mine = make_office(tmp_path / "bureau")
        actor = Actor(name, frozenset({Role.CHECKER}))
        try:
            if accept:
                outcomes.append(Visits(mine).accept(actor, visit, version=version).state)
            else:
                outcomes.append(Visits(mine).return_visit(actor, visit, "照片不清", version=version).state)
        except (VisitChanged, MoveInvalid) as error:
            outcomes.append(error.code)
        finally:
            mine.close()

    threads = [threading.Thread(target=decide, args=(f"fuhe{n}", n % 2 == 0)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    decided = [outcome for outcome in outcomes if outcome in ("ACCEPTED", "RETURNED")]
    assert (len(decided), len(outcomes)) == (1, 6)
    moves = fetch_all(office.database, "SELECT COUNT(*) FROM visit_move WHERE from_state = 'SUBMITTED'")
    assert moves == [(1,)]
    office.verify_audit()
    office.close()


def test_the_database_keeps_forms_and_states(office: Office, households: list[int]) -> None:
    visit_household(office, households[0], household_items(0))
    for statement in (
        "UPDATE form SET digest = 'x'",
        "UPDATE form SET replaced_at = '2025-01-01T00:00:00Z'",
        "UPDATE visit SET state = 'PLANNED'",
        "INSERT INTO form (visit_id, schema_version, sealed, digest, device_key, saved_by, saved_at)"
        " SELECT visit_id, '', x'', '', 'k', '', '' FROM visit",
    ):
        with office.writing() as database, pytest.raises(pysqlite3.IntegrityError):
            database.execute(statement)


def test_nothing_in_the_clear(office: Office, households: list[int], tmp_path: Path) -> None:
    visit_household(office, households[0], household_items(0))
    needles = [item.encode() for item in household_items(0)] + ["演示镇演示村".encode(), b"122.45", b"13800000000"]
    for path in (tmp_path / "bureau").rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not [needle for needle in needles if needle in content], path.name


def test_many_are_planned_and_assigned_at_once(office: Office) -> None:
    found = add_households(office, 300, members=1)
    to_be_visited(office, found)
    visits = Visits(office)
    assert visits.plan(HANDLER, COUNTY, office.today() + timedelta(days=1)).planned == 300
    assert {o.outcome for o in visits.assign_area(HANDLER, COUNTY, MANAGER.name)} == {"done"}
    office.verify_audit()
