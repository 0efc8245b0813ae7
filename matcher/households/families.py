"""Which cases are one family's, whatever number and case each year's base list gave it.

Each case follows the earlier case with which it shares most people; cases that are connected so are one family. Its
loans share one cap, and figures count it once.
"""

from __future__ import annotations

from sqlite_utils import Database

_BEFORE = """(
    SELECT earlier_id FROM household_link best WHERE best.household_id = {case} ORDER BY shared DESC, earlier_id LIMIT 1
)"""

CASES_OF_FAMILY = f"""
    WITH RECURSIVE family_case (household_id) AS (
        VALUES (?1)
        UNION SELECT {_BEFORE.format(case="family_case.household_id")} AS before FROM family_case
            WHERE before IS NOT NULL
        UNION SELECT link.household_id FROM household_link link JOIN family_case
            ON link.earlier_id = family_case.household_id
            AND link.earlier_id = {_BEFORE.format(case="link.household_id")}
    )
"""  # noqa: S608 (our own text)
"""SQL: ``family_case`` are all cases of the family of household ``?1``; a statement follows."""


def read_families(database: Database) -> dict[int, int]:
    """Every case that is linked with another, with the case that stands for its family: the one stored first.

    A case may have gone on under a new label after another one followed it, so links may go in a circle.
    """
    rows = database.conn.execute(
        f"SELECT DISTINCT household_id, {_BEFORE.format(case='link.household_id')} FROM household_link link"  # noqa: S608
    ).fetchall()
    stands_for: dict[int, int] = {}

    def find(case: int) -> int:
        while (further := stands_for.setdefault(case, case)) != case:
            stands_for[case] = stands_for[further]
            case = further
        return case

    for case, before in rows:
        first, other = sorted((find(case), find(before)))
        stands_for[other] = first
    return {case: find(case) for case in list(stands_for)}
