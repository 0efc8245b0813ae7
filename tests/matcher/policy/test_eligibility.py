"""Every rule of both policies at its boundaries (domain.md section 3)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matcher.eligibility import Facts, Outcome, Verdict, assess, completed_years
from matcher.policy import Policy, list_examples, load_policy

SHENGSI, LINPING = (
    next(load_policy(path).policy for path in list_examples() if path.name.startswith(county))
    for county in ("330922", "330113")
)
BOTH = pytest.mark.parametrize("policy", [SHENGSI, LINPING], ids=["嵊泗", "临平"])
TODAY = date(2024, 6, 15)
GOOD = Facts(
    born_on=date(1980, 1, 1),
    members=3,
    income=8_000_000,
    is_resident=True,
    has_good_credit=True,
    has_full_capacity=True,
)


@BOTH
def test_a_household_that_fits(policy: Policy) -> None:
    assessment = assess(policy, GOOD, TODAY)
    assert assessment.verdict is Verdict.FITS
    assert assessment.reasons == ()
    assert {rule.outcome for rule in assessment.rules} == {Outcome.MET}
    assert all(rule.clause and rule.text for rule in assessment.rules)


@BOTH
@pytest.mark.parametrize(
    ("born_on", "reason"),
    [
        (date(2006, 6, 15), None),  # the 18th birthday
        (date(2006, 6, 16), "N03"),  # a day before it
        (date(1958, 6, 16), None),  # the day before the 66th
        (date(1958, 6, 15), "N04"),  # the 66th birthday
    ],
)
def test_age_on_the_birthdays(policy: Policy, born_on: date, reason: str | None) -> None:
    assessment = assess(policy, replace(GOOD, born_on=born_on), TODAY)
    assert assessment.reasons == ((reason,) if reason else ())


def test_a_birthday_on_29_february() -> None:
    born = date(2004, 2, 29)
    assert [completed_years(born, day) for day in (date(2022, 2, 28), date(2022, 3, 1), date(2024, 2, 29))] == [
        17,
        18,
        20,
    ]


@pytest.mark.parametrize("members", range(1, 11))
def test_income_at_the_limit_and_one_fen_above(members: int) -> None:
    for policy, limit in ((LINPING, 10_000_000), (SHENGSI, 10_000_000 * members // 3)):
        at = assess(policy, replace(GOOD, members=members, income=limit), TODAY)
        above = assess(policy, replace(GOOD, members=members, income=limit + 1), TODAY)
        assert at.verdict is Verdict.FITS
        assert above.reasons == ("N01",)


def test_the_other_reading_is_shown_where_it_decides_otherwise() -> None:
    large = replace(GOOD, members=5, income=12_000_000)
    assert assess(SHENGSI, large, TODAY).verdict is Verdict.FITS
    (told,) = assess(SHENGSI, large, TODAY).near_misses
    assert "不分人数：不符合" in told
    assert "折算（3 口之家为基数）：符合" in told
    assert assess(LINPING, large, TODAY).reasons == ("N01",)
    assert assess(LINPING, large, TODAY).near_misses
    assert assess(SHENGSI, GOOD, TODAY).near_misses == ()


@pytest.mark.parametrize("code", ["N10", "N11", "N12"])
def test_low_income_groups_are_excluded_in_one_county_and_flagged_in_the_other(code: str) -> None:
    facts = replace(GOOD, reasons=frozenset({code}))
    assert assess(LINPING, facts, TODAY).reasons == (code,)
    shown = assess(SHENGSI, facts, TODAY)
    assert shown.verdict is Verdict.FITS
    assert [rule.reason for rule in shown.rules if rule.outcome is Outcome.FLAGGED] == [code]


@BOTH
@pytest.mark.parametrize("field", ["born_on", "income", "is_resident", "has_good_credit", "has_full_capacity"])
def test_what_is_unknown_neither_fits_nor_refuses(policy: Policy, field: str) -> None:
    assert assess(policy, replace(GOOD, **{field: None}), TODAY).verdict is Verdict.INCOMPLETE  # type: ignore[arg-type]


def test_an_unknown_size_matters_only_where_income_is_scaled() -> None:
    facts = replace(GOOD, members=None)
    assert assess(SHENGSI, facts, TODAY).verdict is Verdict.INCOMPLETE
    assert assess(LINPING, facts, TODAY).verdict is Verdict.FITS


@BOTH
@pytest.mark.parametrize(
    ("field", "reasons"), [("is_resident", ("N05",)), ("has_good_credit", ()), ("has_full_capacity", ())]
)
def test_conditions_that_do_not_hold(policy: Policy, field: str, reasons: tuple[str, ...]) -> None:
    assessment = assess(policy, replace(GOOD, **{field: False}), TODAY)  # type: ignore[arg-type]
    assert assessment.verdict is Verdict.DOES_NOT_FIT
    assert assessment.reasons == reasons


@given(
    st.builds(
        Facts,
        st.none() | st.dates(date(1920, 1, 1), date(2024, 6, 15)),
        st.none() | st.integers(1, 20),
        st.none() | st.integers(0, 50_000_000),
        st.none() | st.booleans(),
        st.none() | st.booleans(),
        st.none() | st.booleans(),
        st.frozensets(st.sampled_from(["N10", "N11", "N12", "N21", "N90"])),
    ),
    st.sampled_from([SHENGSI, LINPING]),
)
def test_the_verdict_follows_from_the_rules(facts: Facts, policy: Policy) -> None:
    assessment = assess(policy, facts, TODAY)
    outcomes = {rule.outcome for rule in assessment.rules}
    expected = (
        Verdict.DOES_NOT_FIT
        if Outcome.NOT_MET in outcomes
        else Verdict.INCOMPLETE
        if Outcome.UNKNOWN in outcomes
        else Verdict.FITS
    )
    assert assessment.verdict is expected
    assert assess(policy, facts, TODAY) == assessment
