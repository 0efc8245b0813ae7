"""Cancelling, what goes along on a tablet, and what those who plan see."""

from __future__ import annotations

from datetime import timedelta

import pytest
from bureau_office import (
    BANK_ADMIN,
    CHECKER,
    HANDLER,
    MANAGER,
    OTHER_BANK_ADMIN,
    OTHER_MANAGER,
    TOWNSHIP,
    TOWNSHIP_CODE,
)
from handed_over import COUNTY
from visiting import PLACE, collect, form_values, household_items, plan_and_assign

from keys.clock import SettableClock
from matcher.bureau.actors import NotAllowed, NotInCare
from matcher.bureau.office import Office
from matcher.reviews import Reviews
from matcher.reviews.queue import QueueFilter
from matcher.rows import fetch_all
from matcher.states import MoveInvalid
from matcher.visits.model import VisitChanged
from matcher.visits.service import Visits
from matcher.visits.showing import VisitFilter
from psi.errors import InputError


def advance(office: Office, days: float) -> None:
    assert isinstance(office.clock, SettableClock)
    office.clock.advance(days * 86_400)


def test_a_cancelled_visit_counts_as_no_attempt_and_comes_back_with_the_next_plan(
    office: Office, households: list[int]
) -> None:
    visits = Visits(office)
    (visit,) = plan_and_assign(office, households[:1])
    visits.start(MANAGER, visit, PLACE)
    visits.fail(MANAGER, visit, "absent")
    advance(office, 1)
    visits.plan(HANDLER, COUNTY, office.today(), households=households[:1])
    assert visits.show(HANDLER, visit).visit.attempt == 2
    visits.assign_many(HANDLER, [visit], MANAGER.name)
    done = visits.cancel(HANDLER, visit, "台风", key="k1")
    assert visits.cancel(HANDLER, visit, "台风", key="k1") == done
    assert (done.state, done.attempt) == ("CANCELLED", 2)
    assert visits.show(HANDLER, visit).visit.manager is None
    # Not met once, and nothing planned: two persons may give it up, or somebody plans again.
    waiting = Reviews(office).queue.page(HANDLER, QueueFilter("not_met"))
    assert [item.household_id for item in waiting.items] == households[:1]
    visits.plan(HANDLER, COUNTY, office.today(), households=households[:1])
    assert [(v.state, v.attempt) for v in visits.list_visits(HANDLER)] == [("PLANNED", 2)]
    office.verify_audit()


def test_only_what_nobody_has_begun_is_cancelled_by_who_plans_with_a_reason(
    office: Office, households: list[int]
) -> None:
    visits = Visits(office)
    (visit,) = plan_and_assign(office, households[:1])
    for actor, error in ((MANAGER, NotAllowed), (CHECKER, NotAllowed), (OTHER_BANK_ADMIN, NotInCare)):
        with pytest.raises(error):
            visits.cancel(actor, visit, "改期")
    with pytest.raises(InputError):
        visits.cancel(HANDLER, visit, "  ")
    with pytest.raises(VisitChanged):
        visits.cancel(HANDLER, visit, "改期", version=1)
    visits.start(MANAGER, visit, PLACE)
    with pytest.raises(MoveInvalid):
        visits.cancel(HANDLER, visit, "改期")
    assert visits.show(HANDLER, visit).visit.state == "STARTED"


def test_a_tablet_takes_a_week_of_its_own_account_and_it_is_recorded(office: Office, households: list[int]) -> None:
    visits = Visits(office)
    mine, far, other = households
    first = plan_and_assign(office, [mine])[0]
    plan_and_assign(office, [far])
    plan_and_assign(office, [other], OTHER_MANAGER)
    with office.writing() as database:
        late = (office.today() + timedelta(days=20)).isoformat()
        database.execute("UPDATE visit SET planned_for = ? WHERE household_id = ?", [late, far])
    (taken,) = visits.take_along(MANAGER)
    assert (taken.visit.visit_id, taken.is_saved, taken.place, taken.images) == (first, False, None, ())
    assert [one["id_number"] for one in taken.form["members"]] == household_items(0)
    assert taken.form["head"]["grid_officer"] == "演示网格员"
    assert ("jingying" in dict(taken.products), taken.is_late) == (True, False)
    collect(office, first, form_values(household_items(0)))
    visits.return_visit(CHECKER, first, "照片不清")
    advance(office, 1)
    (again,) = visits.take_along(MANAGER)
    assert (again.is_saved, again.is_late, again.form["income"]["total"]) == (True, True, "72000.50")
    assert again.place == {"latitude": 30.72, "longitude": 122.45}
    assert again.images == ("photo", "signature_applicant", "signature_manager", "signature_officer")
    assert len(fetch_all(office.database, "SELECT 1 FROM audit WHERE action = 'visit.take_along'")) == 2
    with pytest.raises(NotAllowed):
        visits.take_along(HANDLER)
    with pytest.raises(NotAllowed):
        visits.list_door(BANK_ADMIN)


def test_who_plans_sees_each_grid_and_who_can_go_there(office: Office, households: list[int]) -> None:
    visits = Visits(office)
    visits.plan(HANDLER, COUNTY, office.today(), grid="一网格", households=households[:2])
    visits.assign_many(HANDLER, [1], MANAGER.name)
    (grid,) = visits.list_grids(HANDLER)
    assert (grid.township, grid.grid, grid.waiting) == (TOWNSHIP_CODE, "一网格", 1)
    assert grid.states == {"ASSIGNED": 1, "PLANNED": 1}
    assert {one.name: one.open for one in visits.list_visitors(HANDLER)} == {
        MANAGER.name: 1, OTHER_MANAGER.name: 0, TOWNSHIP.name: 0,
    }  # fmt: skip
    assert TOWNSHIP.name not in {one.name for one in visits.list_visitors(BANK_ADMIN)}
    assert [(one.states, one.waiting) for one in visits.list_grids(OTHER_BANK_ADMIN)] == []
    assert visits.count_visits(HANDLER) == {"ASSIGNED": 1, "PLANNED": 1}
    assert visits.count_visits(MANAGER, VisitFilter(state="PLANNED")) == {"ASSIGNED": 1}
    with pytest.raises(NotAllowed):
        visits.list_grids(MANAGER)
