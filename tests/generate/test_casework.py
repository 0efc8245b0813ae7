"""Made-up field work passes every check that real field work has to pass, and is the same for the same seed."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from random import Random

import pytest
from bureau_office import CHECKER, HANDLER, MANAGER, TOWNSHIP_CODE, add_households, make_office
from PIL import Image
from visiting import add_accounts, adopt_policy, to_be_visited

from matcher.bureau.members import Person
from matcher.bureau.office import Office
from matcher.generate.casework import carry_out_visits, enter_checks
from matcher.generate.households import CountySpec, make_households
from matcher.generate.pictures import draw_photo, draw_signature
from matcher.generate.visit_forms import Family, make_form
from matcher.households.policies import Policies
from matcher.policy import list_examples, load_policy
from matcher.rows import fetch_all
from matcher.schemas import get_schema
from matcher.visits.form import VisitForm, read_form
from matcher.visits.service import Visits

ON = date(2025, 3, 3)
(POLICY_FILE,) = [path for path in list_examples() if path.name.startswith("330922")]
POLICY = load_policy(POLICY_FILE).policy


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    office = make_office(tmp_path / "bureau")
    add_accounts(office)
    adopt_policy(office)
    yield office
    office.close()


def assigned(office: Office, count: int) -> list[int]:
    households = add_households(office, count)
    to_be_visited(office, households)
    visits = Visits(office)
    visits.plan(HANDLER, TOWNSHIP_CODE, ON)
    visits.assign_area(HANDLER, TOWNSHIP_CODE, MANAGER.name, grid_officer="网格员甲")
    return [visit.visit_id for visit in visits.list_visits(MANAGER, size=count)]


def made_forms(seed: int) -> list[VisitForm]:
    """Forms of the families of a made-up county that have an adult with a number."""
    forms = []
    for place, household in enumerate(make_households(CountySpec(400, seed))):
        if not any(age >= 18 for age in household.ages):
            continue
        people = [Person(number, f"演示{at}") for at, number in enumerate(household.numbers)]
        family = Family(people, len(people) + place % 3, "菜园镇", 100_000_00)
        values = make_form(Random(f"{seed} {place}"), family, POLICY.loan.products, ON, "经理", "网格员")
        forms.append(read_form(values))
    return forms


def test_forms_of_all_kinds_of_families_are_sound() -> None:
    forms = made_forms(1)
    assert len(forms) > 100
    assert {member.relation for form in forms for member in form.members} >= {"self", "spouse", "child", "parent"}
    assert {form.conclusion.is_admitted for form in forms} == {True, False}
    assert any(form.needs for form in forms)
    products = {product.code for product in POLICY.loan.products}
    assert {need.product for form in forms for need in form.needs} == products


def test_the_same_seed_makes_the_same_forms() -> None:
    assert made_forms(2) == made_forms(2)
    assert made_forms(2) != made_forms(3)


def test_pictures_are_pictures_of_their_seed() -> None:
    for draw, kind in ((draw_photo, "JPEG"), (draw_signature, "PNG")):
        assert draw(Random(1)) == draw(Random(1))
        assert draw(Random(1)) != draw(Random(2))
        assert Image.open(io.BytesIO(draw(Random(1)))).format == kind


def test_visits_are_carried_out_and_can_be_accepted(office: Office) -> None:
    visit_ids = assigned(office, 40)
    work = carry_out_visits(office, MANAGER, visit_ids, seed=1)
    assert work.submitted + sum(work.failed.values()) == 40
    assert work.submitted > 30
    assert work.without_adult == 0
    submitted = [row[0] for row in fetch_all(office.database, "SELECT visit_id FROM visit WHERE state = 'SUBMITTED'")]
    for visit_id in submitted:
        Visits(office).accept(CHECKER, visit_id)
    states = dict(fetch_all(office.database, "SELECT state, COUNT(*) FROM household GROUP BY state"))
    assert states["PENDING_REVIEW"] == work.submitted
    office.verify_audit()


def test_the_same_seed_makes_the_same_visits(tmp_path: Path) -> None:
    found = []
    for name in ("first", "second"):
        office = make_office(tmp_path / name)
        add_accounts(office)
        adopt_policy(office)
        visit_ids = assigned(office, 5)
        carry_out_visits(office, MANAGER, visit_ids, seed=7)
        images = fetch_all(office.database, "SELECT sha256 FROM attachment ORDER BY attachment_id")
        found.append((fetch_all(office.database, "SELECT digest FROM form ORDER BY form_id"), images))
        office.close()
    assert found[0] == found[1]
    assert len(found[0][1]) == 20


def test_missing_checks_are_answered(office: Office) -> None:
    assigned(office, 3)
    schemas = {"minzheng": get_schema("minzheng/1")}
    assert enter_checks(office, HANDLER, "330922", schemas, seed=1) == 6
    assert enter_checks(office, HANDLER, "330922", schemas, seed=1) == 0
    assert fetch_all(office.database, "SELECT DISTINCT listed, source FROM department_check") == [(0, "manual")]


def test_an_ordinary_person_is_on_the_household_register(tmp_path: Path) -> None:
    office = make_office(tmp_path)
    add_accounts(office)
    content = POLICY_FILE.read_bytes().replace(b'required = ["minzheng"]', b'required = ["minzheng", "gongan"]')
    policies = Policies(office)
    policies.adopt(CHECKER, policies.propose(HANDLER, content, "two.toml").sha256)
    assigned(office, 1)
    schemas = {name: get_schema(f"{name}/1") for name in ("minzheng", "gongan")}
    assert enter_checks(office, HANDLER, "330922", schemas, seed=1) == 4
    listed = fetch_all(
        office.database, "SELECT department, SUM(listed), SUM(reasons <> '') FROM department_check GROUP BY 1"
    )
    assert sorted(listed) == [("gongan", 2, 0), ("minzheng", 0, 0)]
    office.close()
