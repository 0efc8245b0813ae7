"""For whoever plans: how the visits of each grid stand, and who can make them."""

from __future__ import annotations

from dataclasses import dataclass, field

from matcher.accounts.model import actor_of
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.rows import fetch_all, fetch_records
from matcher.visits.care import OF_BANK, SEEN_BY_BANK

_TOWNSHIP = "substr(division, 1, 9)"
_MOST_GRIDS = 500


@dataclass(frozen=True)
class Visitor:
    """An active account that makes visits. ``open``: how many it has to make already."""

    name: str
    display_name: str
    townships: tuple[str, ...]
    open: int


@dataclass
class GridWork:
    """One grid of a township; ``grid`` is '' for what has none. ``waiting``: households of the whole township that
    wait for a plan, on its first line only; ``states``: open visits by state."""

    township: str
    grid: str
    waiting: int = 0
    states: dict[str, int] = field(default_factory=dict)


def list_visitors(office: Office, actor: Actor) -> list[Visitor]:
    """Raises NotAllowed."""
    actor.require(Permission.PLAN_VISITS)
    rows = fetch_records(
        office.database,
        "SELECT name, display_name, roles, townships, bank, department,"
        " (SELECT COUNT(*) FROM visit WHERE manager = name"
        "  AND visit.state IN ('ASSIGNED', 'STARTED', 'COLLECTED', 'RETURNED')) AS open"
        " FROM account WHERE state = 'active' AND (?1 IS NULL OR bank = ?1) ORDER BY name",
        [actor.bank],
    )
    found = []
    for row in rows:
        shown, count = row.pop("display_name"), row.pop("open")
        visitor = actor_of(row)
        if visitor.may(Permission.VISIT):
            found.append(Visitor(visitor.name, shown, visitor.townships, count))
    return found


def list_grids(office: Office, actor: Actor, area: str) -> list[GridWork]:
    """By township and grid. Raises NotAllowed."""
    actor.require(Permission.PLAN_VISITS)
    care = "(" + " OR ".join(["division GLOB ? || '*'"] * len(actor.townships)) + ")" if actor.townships else "1"
    bound: list[object] = [area, *actor.townships]
    seen, banks = (SEEN_BY_BANK, [actor.bank, actor.bank]) if actor.bank else ("1", [])
    of_bank, one_bank = (OF_BANK, [actor.bank]) if actor.bank else ("1", [])
    visits = fetch_all(
        office.database,
        f"SELECT {_TOWNSHIP}, grid, visit.state, COUNT(*) FROM visit JOIN household USING (household_id)"  # noqa: S608
        " WHERE visit.state IN ('PLANNED', 'ASSIGNED', 'STARTED', 'COLLECTED', 'SUBMITTED', 'RETURNED')"
        f" AND division GLOB ? || '*' AND {care} AND {seen} GROUP BY 1, 2, 3 ORDER BY 1, 2",
        [*bound, *banks],
    )
    waiting = fetch_all(
        office.database,
        f"SELECT {_TOWNSHIP}, COUNT(*) FROM household WHERE state IN ('TO_VISIT', 'RETURNED')"  # noqa: S608
        f" AND division GLOB ? || '*' AND {care} AND {of_bank} AND NOT EXISTS (SELECT 1 FROM visit"
        "  WHERE visit.household_id = household.household_id"
        "  AND visit.state NOT IN ('ACCEPTED', 'FAILED', 'CANCELLED')) GROUP BY 1",
        [*bound, *one_bank],
    )
    found: dict[tuple[str, str], GridWork] = {}
    for township, grid, state, count in visits:
        found.setdefault((township, grid), GridWork(township, grid)).states[state] = count
    for township, count in waiting:
        first = min((key for key in found if key[0] == township), default=(township, ""))
        found.setdefault(first, GridWork(*first)).waiting = count
    return [found[key] for key in sorted(found)][:_MOST_GRIDS]
