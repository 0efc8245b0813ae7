"""What is known of a household comes from somewhere, and the policy in force judges just that."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from bureau_office import CHECKER, HANDLER, MANAGER, TOWNSHIP, add_households, person
from hypothesis import given, settings
from hypothesis import strategies as st
from visiting import add_accounts, household_items, to_be_visited, visit_household

from matcher.bureau.office import Office
from matcher.checks.service import DepartmentChecks
from matcher.eligibility import Facts, Outcome, Verdict, assess
from matcher.households import Households, KnownFacts
from matcher.households.facts import Source
from matcher.policy import Policy, list_examples, load_policy
from matcher.schemas import get_schema

POLICIES = [load_policy(path).policy for path in list_examples()]


def known(office: Office, households: Households, household_id: int, on: date | None = None) -> KnownFacts:
    (found,) = households.gather_facts([household_id], on or office.today())
    return found


def test_before_a_visit_the_label_and_the_youngest_adult_are_known(office: Office, households: Households) -> None:
    one, two = add_households(office, 2, born=1985, reasons="N11,N30", expanding="0")
    found = known(office, households, one)
    assert found.facts == Facts(born_on=date(1985, 1, 1), members=3, reasons=frozenset({"N11", "N30"}))
    assert found.sources["members"] == Source("label", "base/2026/1", "2025-03-03")
    assert found.sources["N11"].kind == "label"
    assert found.sources["born_on"].kind == "member"
    assert [one.household_id for one in households.gather_facts([two, 99, one], office.today())] == [two, one]
    assert list(households.gather_facts([], office.today())) == []


@pytest.mark.parametrize(
    ("births", "chosen"),
    [((1950, 1990, 2015), 1990), ((1950, 1940), 1950), ((2010, 2015), 2010), ((2007, 1930), 2007)],
)
def test_who_could_apply_while_nobody_is_named(
    office: Office, households: Households, births: tuple[int, ...], chosen: int
) -> None:
    (one,) = add_households(office, 1, members=1, born=births[0])
    for place, born in enumerate(births[1:]):
        households.add_member(HANDLER, one, person(700 + place, born), f"演示{place}", remark="补录")
    found = known(office, households, one).facts.born_on
    assert found is not None
    assert found.year == chosen


def test_an_accepted_form_a_check_and_a_conflict_count_with_their_sources(
    office: Office, households: Households
) -> None:
    add_accounts(office)
    (one,) = add_households(office, 1, reasons="N11")
    to_be_visited(office, [one])
    items = [*household_items(0), person(900, 2015), person(901, 2018)]
    visit = visit_household(office, one, items, income__wage="60000.01", income__total="72000.51")
    found = known(office, households, one)
    assert (found.facts.income, found.facts.members) == (7_200_051, 4)
    assert (found.facts.is_resident, found.facts.has_good_credit, found.facts.has_full_capacity) == (True, True, True)
    assert found.facts.born_on == date(1985, 1, 1), "the applicant whom the form names, not the youngest"
    assert found.sources["income"] == Source("form", f"visit/{visit}", "2025-03-03")

    member = households.show(HANDLER, one).members[0].member_id
    DepartmentChecks(office).enter(
        HANDLER, member, "minzheng", get_schema("minzheng/1"), label={"assistance": "低保边缘", "as_of": "2025-02-01"},
        as_of=date(2025, 2, 1), document_no="演示-7",
    )  # fmt: skip
    found = known(office, households, one)
    assert found.facts.reasons == {"N11"}
    assert (found.sources["N11"].kind, found.sources["N11"].as_of) == ("check", "2025-02-01")
    assessed = households.assess(HANDLER, one)
    assert assessed.assessment.verdict is Verdict.FITS, "嵊泗 flags 低边 and excludes nobody"
    assert [rule.outcome for rule in assessed.assessment.rules if rule.reason == "N11"] == [Outcome.FLAGGED]


def test_a_number_with_another_name_on_the_form_is_a_conflict_that_flags_the_household(
    office: Office, households: Households
) -> None:
    add_accounts(office)
    (one,) = add_households(office, 1)
    to_be_visited(office, [one])
    visit_household(office, one, household_items(0), members__1__name="另一人")
    found = known(office, households, one)
    assert found.facts.reasons == {"N20"}
    assert found.sources["N20"].kind == "conflict"


def test_who_may_not_see_the_sensitive_groups_sees_one_without_a_name(
    office: Office, households: Households, tmp_path: Path
) -> None:
    (one,) = add_households(office, 1, reasons="N10,N11", expanding="0")
    for actor in (TOWNSHIP, MANAGER):
        assessed = households.assess(actor, one)
        (rule,) = [rule for rule in assessed.assessment.rules if rule.reason]
        assert (rule.rule, rule.reason, rule.text) == ("flag NX1", "NX1", "政策排除")
        assert assessed.known.facts.reasons == {"NX1"}
        assert not {"N10", "N11", "N12"} & assessed.known.sources.keys()
        assert assessed.known.facts.born_on is None
    assert [rule.reason for rule in households.assess(CHECKER, one).assessment.rules if rule.reason] == ["N10", "N11"]


def test_a_decision_keeps_facts_and_sources_as_json(office: Office, households: Households) -> None:
    (one,) = add_households(office, 1, reasons="N90")
    values = known(office, households, one).to_json()
    assert values["facts"]["born_on"] == "1985-01-01"
    assert values["facts"]["reasons"] == ["N90"]
    assert values["sources"]["N90"] == ["label", "base/2026/1", "2025-03-03"]
    office.digest(values)


@settings(max_examples=300, deadline=None)
@given(
    policy=st.sampled_from(POLICIES),
    born=st.dates(date(1900, 1, 1), date(2025, 3, 3)) | st.none(),
    members=st.integers(1, 20) | st.none(),
    income=st.integers(0, 100_000_000) | st.none(),
    conditions=st.tuples(*[st.booleans() | st.none()] * 3),
    reasons=st.frozensets(st.sampled_from(["N01", "N10", "N11", "N12", "N20", "N90"])),
)
def test_no_verdict_without_a_rule_that_says_so(
    policy: Policy,
    born: date | None,
    members: int | None,
    income: int | None,
    conditions: tuple[bool | None, bool | None, bool | None],
    reasons: frozenset[str],
) -> None:
    resident, credit, capacity = conditions
    facts = Facts(born, members, income, resident, credit, capacity, reasons)
    found = assess(policy, facts, date(2025, 3, 3))
    outcomes = {rule.outcome for rule in found.rules}
    assert (found.verdict is Verdict.DOES_NOT_FIT) == (Outcome.NOT_MET in outcomes)
    assert all(rule.text and rule.clause for rule in found.rules)
    assert set(found.reasons) <= {"N01", "N03", "N04", "N05", "N10", "N11", "N12"}
    assert assess(policy, facts, date(2025, 3, 3)) == found  # type: ignore[arg-type]
