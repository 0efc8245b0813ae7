"""The confirmations that run, as a list: what each still waits for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.households.cases import care_of
from matcher.rows import fetch_all, fetch_records

WaitsFor = Literal["sms", "village", "days", "close"]
"""To be told, the village's word, the end of the days; or nothing any more, so that it can be closed."""

# As Confirmation.waits_for says it.
_WAITS = """CASE WHEN instr(ways, '"sms"') AND sms_at IS NULL THEN 'sms'
    WHEN instr(ways, '"village"') AND village_result IS NOT 'agreed' THEN 'village'
    WHEN ends_on >= ? THEN 'days' ELSE 'close' END"""


@dataclass(frozen=True)
class RunningRow:
    """One that runs. ``ends_on`` is the last day on which somebody may object."""

    confirmation_id: int
    household_id: int
    household_no: str
    division: str
    township: str
    begun_on: str
    ends_on: str
    sms_at: str | None
    village_on: str | None
    village_result: str | None
    waits_for: WaitsFor


def list_running(
    office: Office, actor: Actor, waits_for: WaitsFor | None = None, area: str = "", *, after: int = 0, size: int = 50
) -> list[RunningRow]:
    """Those in the account's care by number, ``size`` at most, beyond number ``after``. Raises NotAllowed."""
    actor.require(Permission.SEE_HOUSEHOLDS)
    care, values = care_of(actor)
    rows = fetch_records(
        office.database,
        f"SELECT * FROM (SELECT confirmation_id, household_id, household_no, division, township, begun_on, ends_on,"  # noqa: S608
        f" sms_at, village_on, village_result, {_WAITS} AS waits_for FROM confirmation"
        f" JOIN household USING (household_id) WHERE closed_at IS NULL AND division GLOB ? || '*' AND {care})"
        " WHERE (? IS NULL OR waits_for = ?) AND confirmation_id > ? ORDER BY confirmation_id LIMIT ?",
        [office.today().isoformat(), area, *values, waits_for, waits_for, after, size],
    )
    return [RunningRow(**row) for row in rows]


def count_running(office: Office, actor: Actor, area: str = "") -> dict[WaitsFor, int]:
    """How many wait for what, kinds without any left out. Raises NotAllowed."""
    actor.require(Permission.SEE_HOUSEHOLDS)
    care, values = care_of(actor)
    rows = fetch_all(
        office.database,
        f"SELECT {_WAITS} AS waits_for, COUNT(*) FROM confirmation JOIN household USING (household_id)"  # noqa: S608
        f" WHERE closed_at IS NULL AND division GLOB ? || '*' AND {care} GROUP BY 1",
        [office.today().isoformat(), area, *values],
    )
    return dict(rows)
