"""Which department checks a policy asks for, which a household has, and which it lacks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from sqlite_utils import Database

from matcher.policy.model import Checks
from matcher.rows import fetch_all
from psi.errors import MingceError

# For each of the households (?1), each present member and each required department (?2): the newest answer.
_NEWEST = """
    SELECT member.household_id, required.value AS department, member.member_id, answer.check_id, answer.as_of
    FROM json_each(?1) wanted
    JOIN member ON member.household_id = wanted.value AND member.left_at IS NULL
    JOIN json_each(?2) required
    LEFT JOIN present_check answer ON answer.member_id = member.member_id AND answer.department = required.value
    ORDER BY member.household_id, required.key, member.member_id
"""


class ChecksMissing(MingceError):
    """A household lacks department checks that its policy asks for; params: ``departments``, ``members`` (how many)."""

    code = "checks_missing"


@dataclass(frozen=True)
class MissingCheck:
    """What one member lacks: no answer of the department at all, or only one that is too old (``as_of``)."""

    household_id: int
    member_id: int
    department: str
    why: Literal["never", "too_old"]
    as_of: str | None


def find_missing(database: Database, household_ids: Sequence[int], checks: Checks, on: date) -> list[MissingCheck]:
    """What the households still lack on a day, by household."""
    oldest = _oldest(checks, on)
    return [
        MissingCheck(household_id, member_id, department, "never" if as_of is None else "too_old", as_of)
        for household_id, department, member_id, _, as_of in _newest(database, household_ids, checks)
        if as_of is None or as_of < oldest
    ]


def require_checks(database: Database, household_id: int, checks: Checks, on: date) -> dict[str, list[int]]:
    """The answers that a decision rests on: by department the numbers of the present ones, one for each member.

    Raises ChecksMissing. A household without present members has no answers.
    """
    oldest = _oldest(checks, on)
    found: dict[str, list[int]] = {department: [] for department in checks.required}
    lacking: dict[str, int] = {}
    for _, department, _, check_id, as_of in _newest(database, [household_id], checks):
        if check_id is None or as_of is None or as_of < oldest:
            lacking[department] = lacking.get(department, 0) + 1
        else:
            found[department].append(check_id)
    lacking |= {department: 0 for department, answers in found.items() if not answers and department not in lacking}
    if lacking:
        raise ChecksMissing(
            "department checks are missing", departments=", ".join(sorted(lacking)), members=max(lacking.values())
        )
    return found


def _oldest(checks: Checks, on: date) -> str:
    """The earliest day whose answer still counts."""
    return (on - timedelta(days=checks.max_age_days)).isoformat()


def _newest(
    database: Database, household_ids: Sequence[int], checks: Checks
) -> list[tuple[int, str, int, int | None, str | None]]:
    return fetch_all(database, _NEWEST, [json.dumps(list(household_ids)), json.dumps(list(checks.required))])
