"""The information form: what it takes, and that every fault is named at its place without repeating what was typed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bureau_office import person
from hypothesis import given
from hypothesis import strategies as st
from visiting import form_values, household_items

import matcher.visits
from matcher.visits.form import VisitForm, part_of, read_form
from matcher.visits.problems import FORM_PROBLEMS, FormInvalid, FormProblem

ITEMS = household_items(0)


def problems(values: Any) -> list[tuple[str, str]]:
    with pytest.raises(FormInvalid) as refused:
        read_form(values)
    return [(problem.path, problem.code) for problem in refused.value.problems]


def test_a_sound_form_reads_and_writes_the_same() -> None:
    form = read_form(form_values(ITEMS))
    written = form.model_dump(mode="json")
    assert read_form(json.loads(json.dumps(written))) == form
    assert (form.income.farming, written["income"]["farming"]) == (1_200_050, "12000.50")
    assert form.applicant.name == "演示0"


def test_what_a_person_types_is_understood() -> None:
    form = read_form(
        form_values(
            ITEMS,
            members__0__relation="本人",
            members__0__marriage="已婚",
            members__0__phone=" １３８００００００００ ",
            members__1__id_number=f"'{ITEMS[1]} ",
            income__wage="６０,０００.00元",
            head__visited_on="2025年3月3日",
            conclusion__is_resident="是",
            conclusion__family_type="农户类",
            debts=[],
            needs__0__months="12",
        )
    )
    assert form.members[0].phone == "13800000000"
    assert form.members[1].id_number == ITEMS[1]
    assert form.income.wage == 6_000_000
    assert form.head.visited_on.isoformat() == "2025-03-03"
    assert (form.conclusion.family_type, form.needs[0].months) == ("farming", 12)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"consent_no": ""}, ("consent_no", "missing")),
        ({"format": "mingce-visit-form/2"}, ("format", "bad_value")),
        ({"head__visited_on": "2025-02-30"}, ("head.visited_on", "bad_date")),
        ({"head__visited_on": 45719}, ("head.visited_on", "bad_value")),
        ({"head__manager": "甲\u202e乙"}, ("head.manager", "control_character")),
        ({"head__address": "长" * 201}, ("head.address", "too_long")),
        ({"members": []}, ("members", "missing")),
        ({"members__0__relation": "child"}, ("members", "applicant_missing")),
        ({"members__1__relation": "self"}, ("members", "applicant_missing")),
        ({"members__0__relation": "表弟"}, ("members.0.relation", "no_such_choice")),
        ({"members__0__id_number": ""}, ("members.0.id_number", "applicant_incomplete")),
        ({"members__0__phone": ""}, ("members.0.phone", "applicant_incomplete")),
        ({"members__0__phone": "12345"}, ("members.0.phone", "bad_phone")),
        ({"members__0__id_number": ITEMS[0][:-1]}, ("members.0.id_number", "bad_id_number")),
        ({"members__0__id_number": int(ITEMS[0][:17])}, ("members.0.id_number", "bad_value")),
        ({"members__0__sex": "M"}, ("members.0.sex", "sex_differs")),
        ({"members__1__marriage": "single"}, ("members.1.marriage", "spouse_unmarried")),
        ({"members__0__name": ""}, ("members.0.name", "missing")),
        ({"income__wage": 60000}, ("income.wage", "bad_amount")),
        ({"income__wage": "6万"}, ("income.wage", "bad_amount")),
        ({"income__wage": "-1"}, ("income.wage", "bad_amount")),
        ({"income__wage": "1.005"}, ("income.wage", "bad_amount")),
        ({"income__wage": "1,00"}, ("income.wage", "bad_amount")),
        ({"income__wage": "٦٠"}, ("income.wage", "bad_amount")),
        ({"income__wage": ""}, ("income.wage", "missing")),
        ({"income__wage": "9" * 12}, ("income.wage", "amount_too_large")),
        ({"income__total": "72000.51"}, ("income.total", "total_differs")),
        ({"assets__boats__count": 1.5}, ("assets.boats.count", "bad_number")),
        ({"assets__boats__count": True}, ("assets.boats.count", "bad_number")),
        ({"assets__boats__value": "1"}, ("assets.boats.count", "value_without_count")),
        ({"needs__0__months": 0}, ("needs.0.months", "bad_number")),
        ({"debts": [{"lender": "x", "balance": "1"}] * 21}, ("debts", "too_many")),
        ({"conclusion__is_resident": 1}, ("conclusion.is_resident", "not_yes_or_no")),
        ({"conclusion__reasons": "N01"}, ("conclusion.reasons", "admitted_with_reasons")),
        ({"conclusion__reasons": "N77"}, ("conclusion.reasons", "reason_unknown")),
        ({"conclusion__reasons": "N10"}, ("conclusion.reasons", "reason_sensitive")),
        ({"signatures__officer__signed_on": "2025-03-02"}, ("signatures.officer.signed_on", "signed_before_visit")),
        ({"head__x990000198001010012": "1"}, ("head", "unknown_field")),
    ],
)
def test_a_fault_is_named_at_its_place(changes: dict[str, Any], expected: tuple[str, str]) -> None:
    assert problems(form_values(ITEMS, **changes)) == [expected]


def test_what_hangs_together_is_checked_together() -> None:
    refused = form_values(ITEMS, conclusion__is_admitted=False)
    assert problems(refused) == [
        ("conclusion.reasons", "refused_without_reasons"),
        ("conclusion.is_subsidised", "subsidised_unadmitted"),
    ]
    twice = form_values([*ITEMS, person(50)], members__2__id_number=ITEMS[0])
    assert problems(twice) == [("members.2.id_number", "id_number_twice")]
    two = form_values([*ITEMS, person(50)], members__2__relation="spouse", members__2__marriage="married")
    assert problems(two) == [("members.2.relation", "two_spouses")]
    assert read_form(form_values(ITEMS, conclusion__is_admitted=False, conclusion__is_subsidised=False,
                                 conclusion__reasons=["NX1", "N01"])).conclusion.reasons == ("N01", "NX1")  # fmt: skip


def test_a_member_may_have_no_number_and_the_applicant_not() -> None:
    assert read_form(form_values(ITEMS, members__1__id_number="")).members[1].id_number == ""


def test_every_fault_is_named_at_once() -> None:
    values = form_values(ITEMS, income__wage="x", spending__living="", members__0__id_number="1")
    del values["conclusion"]["is_admitted"]
    assert problems(values) == [
        ("members.0.id_number", "bad_id_number"),
        ("income.wage", "bad_amount"),
        ("spending.living", "missing"),
        ("conclusion.is_admitted", "missing"),
    ]


def test_words_name_the_place_as_the_form_does() -> None:
    with pytest.raises(FormInvalid) as refused:
        read_form(form_values(ITEMS, members__1__id_number="99", income__wage=""))
    assert [problem.describe() for problem in refused.value.problems] == [
        "家庭成员第 2 项·证件号码：证件号码不可用：位数不对",
        "家庭年收入·工资性收入：未填写",
    ]
    assert refused.value.problems[0].describe(english=True).endswith("the ID number cannot be used: wrong length")


@pytest.mark.parametrize("values", [None, [], "x", 3, {"members": 5}, {"members": [None]}, {"head": []}])
def test_what_is_no_form_at_all(values: Any) -> None:
    assert problems(values)


def test_d46_no_error_repeats_what_was_typed() -> None:
    secret = ITEMS[0][:-1] + ("1" if ITEMS[0][-1] != "1" else "2")
    spoil: list[Callable[[dict[str, Any]], object]] = [
        lambda v: v["members"][0].update(id_number=secret),
        lambda v: v["members"][0].update(phone=secret, name=secret * 9),
        lambda v: v["income"].update(wage=secret, total=secret),
        lambda v: v.update({secret: secret}),
        lambda v: v["conclusion"].update(reasons=[secret], is_admitted=secret, family_type=secret),
        lambda v: v["head"].update(visited_on=secret),
    ]
    for change in spoil:
        values = form_values(ITEMS)
        change(values)
        with pytest.raises(FormInvalid) as refused:
            read_form(values)
        assert secret not in f"{refused.value!r} {refused.value.params} {refused.value.__context__}"
    assert ITEMS[0] not in f"{read_form(form_values(ITEMS))!r} {read_form(form_values(ITEMS))}"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
PATHS = [
    "format", "consent_no", "head", "head__visited_on", "members", "members__0", "members__0__id_number",
    "members__0__relation", "income", "income__total", "assets__housing", "assets__housing__count", "debts", "needs",
    "needs__0__amount", "conclusion__is_admitted", "conclusion__reasons", "signatures", "signatures__manager",
]  # fmt: skip


@given(path=st.sampled_from(PATHS), value=JSON)
def test_any_json_is_taken_or_refused_in_words(path: str, value: Any) -> None:
    found: tuple[FormProblem, ...] = ()
    try:
        read_form(form_values(ITEMS, **{path: value}))
    except FormInvalid as error:
        found = error.problems
    assert all(problem.describe() and problem.describe(english=True) for problem in found)


def test_every_problem_has_a_use_and_every_field_its_words() -> None:
    text = "".join(path.read_text("utf-8") for path in Path(matcher.visits.__path__[0]).glob("*.py"))
    assert [code for code in FORM_PROBLEMS if text.count(f'"{code}"') < 2] == []
    queue: list[Any] = [VisitForm]
    while queue:
        for name, field in queue.pop().model_fields.items():
            assert field.title, name
            if part_of(field.annotation):
                queue.append(part_of(field.annotation))
