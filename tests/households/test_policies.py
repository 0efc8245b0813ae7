"""Policies: proposed by one person, adopted by another, in force by day, and never changed under a decision."""

from __future__ import annotations

from datetime import date

import pytest
from bureau_office import ADMIN, CHECKER, HANDLER, OTHER_CHECKER
from example_policy import SHENGSI
from pysqlite3 import dbapi2 as sqlite3

from matcher.bureau.actors import Actor, NotAllowed, Role, SamePerson
from matcher.bureau.office import Office
from matcher.households import Policies, PolicyClash, PolicyNotProposed
from matcher.policy import PolicyInvalid, PolicyUnknown, list_examples
from psi.errors import InputError

CONTENT = SHENGSI.read_bytes()
BOTH = Actor("shuangren", frozenset({Role.HANDLER, Role.CHECKER}))


@pytest.fixture
def policies(office: Office) -> Policies:
    return Policies(office)


def test_a_policy_counts_once_a_second_person_adopted_it(office: Office, policies: Policies) -> None:
    day = date(2025, 3, 3)
    record = policies.propose(HANDLER, CONTENT, SHENGSI.name)
    assert (record.state, record.proposed_by, record.county) == ("proposed", "jingban", "330922")
    assert policies.propose(BOTH, CONTENT, SHENGSI.name) == record, "again it changes nothing"
    with pytest.raises(PolicyUnknown):
        policies.policy_for("330922", day)
    with pytest.raises(NotAllowed):
        policies.adopt(HANDLER, record.sha256)
    adopted = policies.adopt(CHECKER, record.sha256)
    assert (adopted.state, adopted.adopted_by) == ("adopted", "fuhe")
    assert policies.adopt(OTHER_CHECKER, record.sha256) == adopted
    assert policies.policy_for("330922", day).sha256 == record.sha256
    actions = office.database.execute("SELECT action FROM audit ORDER BY seq").fetchall()
    assert actions == [("policy.propose",), ("policy.adopt",)]


def test_nobody_adopts_their_own(policies: Policies) -> None:
    record = policies.propose(BOTH, CONTENT, SHENGSI.name)
    with pytest.raises(SamePerson):
        policies.adopt(BOTH, record.sha256)


@pytest.mark.parametrize(
    ("day", "found"), [("2023-06-09", None), ("2023-06-10", "a"), ("2024-12-31", "a"), ("2025-01-01", "b"),
                       ("2025-12-31", "b"), ("2026-01-01", None)],
)  # fmt: skip
def test_the_policy_of_a_day(policies: Policies, day: str, found: str | None) -> None:
    later = CONTENT.replace(b"valid_from = 2023-06-10", b"valid_from = 2025-01-01").replace(b'"2023-1"', b'"2025-1"')
    by_name = {}
    for name, content in (("a", CONTENT), ("b", later)):
        by_name[name] = policies.propose(HANDLER, content, name).sha256
        policies.adopt(CHECKER, by_name[name])
    if found is None:
        with pytest.raises(PolicyUnknown):
            policies.policy_for("330922", date.fromisoformat(day))
    else:
        assert policies.policy_for("330922", date.fromisoformat(day)).sha256 == by_name[found]


def test_two_policies_never_begin_on_one_day(policies: Policies) -> None:
    other = CONTENT.replace(b'"2023-1"', b'"2023-2"')
    first, second = (policies.propose(HANDLER, content, "x") for content in (CONTENT, other))
    policies.adopt(CHECKER, first.sha256)
    with pytest.raises(PolicyClash):
        policies.adopt(CHECKER, second.sha256)


def test_a_withdrawn_proposal_is_never_adopted(policies: Policies) -> None:
    record = policies.propose(HANDLER, CONTENT, "x")
    assert policies.withdraw(HANDLER, record.sha256).state == "withdrawn"
    with pytest.raises(PolicyNotProposed):
        policies.adopt(CHECKER, record.sha256)
    with pytest.raises(PolicyNotProposed):
        policies.withdraw(HANDLER, record.sha256)


def test_what_was_adopted_stays_to_the_letter(office: Office, policies: Policies) -> None:
    record = policies.propose(HANDLER, CONTENT, "x")
    policies.adopt(CHECKER, record.sha256)
    with pytest.raises(PolicyNotProposed):
        policies.withdraw(HANDLER, record.sha256)
    assert office.database.execute("SELECT content FROM policy").fetchall() == [(CONTENT,)]
    for statement in (
        "UPDATE policy SET content = x''",
        "UPDATE policy SET valid_to = '2099-01-01'",
        "DELETE FROM policy",
    ):
        with pytest.raises(sqlite3.IntegrityError, match="policy: "), office.writing() as database:
            database.execute(statement)


def test_what_is_no_policy_of_ours_is_refused(policies: Policies) -> None:
    linping = next(path for path in list_examples() if path.name.startswith("330113"))
    with pytest.raises(InputError, match="not ours"):
        policies.propose(HANDLER, linping.read_bytes(), linping.name)
    with pytest.raises(PolicyInvalid) as caught:
        policies.propose(HANDLER, CONTENT.replace(b"lowest = 18", b"lowest = 99"), "x.toml")
    assert caught.value.params["field"] == "age"
    with pytest.raises(PolicyInvalid):
        policies.propose(HANDLER, b"\xff\xfe", "x.toml")
    with pytest.raises(NotAllowed):
        policies.propose(ADMIN, CONTENT, "x.toml")
    with pytest.raises(PolicyNotProposed):
        policies.adopt(CHECKER, "00" * 32)
