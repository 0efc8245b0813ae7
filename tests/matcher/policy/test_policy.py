"""Policy files: the two counties' examples, strict reading, and the choice by date."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from matcher.policy import PolicyInvalid, PolicyUnknown, choose_policy, list_examples, load_policy

EXAMPLES = {path.stem: load_policy(path) for path in list_examples()}
SHENGSI = EXAMPLES["330922-2023"]
LINPING = EXAMPLES["330113-2024"]


def changed(tmp_path: Path, old: str, new: str) -> Path:
    text = next(path for path in list_examples() if path.stem == "330922-2023").read_text("utf-8")
    assert old in text
    path = tmp_path / "policy.toml"
    path.write_text(text.replace(old, new, 1), "utf-8")
    return path


def test_both_counties_of_the_seeds_are_there() -> None:
    assert {loaded.policy.county for loaded in EXAMPLES.values()} == {"330922", "330113"}
    assert SHENGSI.policy.income.limit == LINPING.policy.income.limit == 10_000_000
    assert (SHENGSI.policy.income.reading, LINPING.policy.income.reading) == ("scaled", "flat")
    assert LINPING.policy.subsidy.cap_points == Decimal("1.5")


@pytest.mark.parametrize("loaded", EXAMPLES.values(), ids=EXAMPLES)
def test_what_no_source_states_is_marked(loaded: object) -> None:
    policy = loaded.policy  # type: ignore[attr-defined]
    assert {"subsidy.fiscal_share", "subsidy.province_share", "subsidy.day_basis"} <= set(policy.assumed)
    assert all(policy.setting(path) is not None for path in policy.assumed)


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ('limit = "100000.00"', "limit = 100000.00", "income.limit"),
        ('limit = "100000.00"', 'limit = "100000.001"', "income.limit"),
        ('limit = "100000.00"', 'limit = "-1"', "income.limit"),
        ('limit = "100000.00"', 'limit = "１00000.00"', "income.limit"),
        ('fiscal_share = "0.5"', 'fiscal_share = "1.5"', "subsidy.fiscal_share"),
        ('fiscal_share = "0.5"', "", "subsidy"),
        ('fiscal_share = "0.5"', 'fiscal_share = "0.5"\npoints = "1.8"', "subsidy"),
        ('target_rate = "3.8"', 'target_rate = "NaN"', "subsidy.target_rate"),
        ('reading = "scaled"', 'reading = "guess"', "income.reading"),
        ("highest = 65", "highest = 17", "age"),
        ('flag = ["N10", "N11", "N12"]', 'flag = ["N99"]', "groups.flag.0"),
        ("exclude = []", 'exclude = ["N10"]', "groups"),
        ('    "income.reading",', '    "income.guess",', ""),
        ("no = 2", "no = 1", ""),
        ("valid_to = 2025-12-31", "valid_to = 2022-12-31", ""),
        ('county = "330922"', 'county = "33092"', "county"),
        ('county = "330922"', 'county = "330922"\nnew = 1', "new"),
        ("[age]", "[age", ""),
    ],
)
def test_a_faulty_file_is_refused_with_its_field(tmp_path: Path, old: str, new: str, field: str) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        load_policy(changed(tmp_path, old, new))
    assert caught.value.params["field"] == field
    assert caught.value.params["reason"]


def test_files_that_are_none(tmp_path: Path) -> None:
    for content in (b"", b"\xff\xfe", b"x" * 300_000):
        path = tmp_path / "policy.toml"
        path.write_bytes(content)
        with pytest.raises(PolicyInvalid):
            load_policy(path)
    with pytest.raises(PolicyInvalid):
        load_policy(tmp_path / "none.toml")


def test_the_policy_is_chosen_by_county_and_date(tmp_path: Path) -> None:
    later = load_policy(changed(tmp_path, "valid_from = 2023-06-10", "valid_from = 2024-07-01"))
    both = [SHENGSI, later, LINPING]
    assert choose_policy(both, "330922", date(2023, 6, 10)) is SHENGSI
    assert choose_policy(both, "330922", date(2024, 6, 30)) is SHENGSI
    assert choose_policy(both, "330922", date(2024, 7, 1)) is later
    assert choose_policy(both, "330922", date(2025, 12, 31)) is later
    for county, on in (("330922", date(2023, 6, 9)), ("330922", date(2026, 1, 1)), ("330900", date(2024, 1, 1))):
        with pytest.raises(PolicyUnknown):
            choose_policy(both, county, on)
    with pytest.raises(PolicyUnknown):
        choose_policy([SHENGSI, SHENGSI], "330922", date(2024, 1, 1))


def test_a_policy_gives_the_terms_of_a_contract() -> None:
    terms = LINPING.policy.subsidy.terms(Decimal("6.0"))
    assert terms.cap_binds is False
    assert LINPING.policy.subsidy.terms(Decimal("7.0")).cap_binds is True
    assert SHENGSI.policy.subsidy.terms(Decimal("4.35")).excess_rate == Decimal("0.55")
