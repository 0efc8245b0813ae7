"""待办: how many things wait for one account, by kind. Counts only, within its care, cheap enough for every page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.claims.steps import FREEZE, MOVES
from matcher.downloads import Downloads
from matcher.households.cases import care_of
from matcher.reviews.queue import Queue, QueueFilter
from matcher.reviews.refusals import UNTOLD
from matcher.reviews.running import WaitsFor, count_running
from matcher.rows import fetch_all
from matcher.states import CLAIM

_P = Permission
_NO_PROPOSAL = (
    "NOT EXISTS (SELECT 1 FROM decision WHERE decision.household_id = household.household_id"
    " AND decision.state = 'proposed')"
)
_OF_THE_LIST = "('graduate', 'suspend', 'resume', 'remove')"
# Kind, who may do it, and the condition; ``?`` are the account's name as often as it stands there. What an account
# did itself waits for somebody else.
_OF_HOUSEHOLDS = (
    ("conflict", _P.SETTLE_CONFLICT,
     "conflict JOIN household USING (household_id) WHERE settled_at IS NULL", 0),
    ("propose", _P.REVIEW,
     f"household WHERE state IN ('PENDING_REVIEW', 'IN_REVIEW') AND claimed_by IS NULL AND {_NO_PROPOSAL}", 0),
    ("own", _P.REVIEW,
     f"household WHERE state IN ('PENDING_REVIEW', 'IN_REVIEW') AND claimed_by = ? AND {_NO_PROPOSAL}", 1),
    ("begin", _P.REVIEW, "household WHERE state = 'APPROVED'", 0),
    ("refusal", _P.REVIEW, f"decision JOIN household USING (household_id) WHERE {UNTOLD}", 0),
    ("confirm", _P.DECIDE,
     "decision JOIN household USING (household_id) WHERE decision.state = 'proposed' AND proposed_by <> ?"
     f" AND verdict NOT IN {_OF_THE_LIST}", 1),
    ("end", _P.LIST_END,
     "decision JOIN household USING (household_id) WHERE decision.state = 'proposed' AND proposed_by <> ?"
     f" AND verdict IN {_OF_THE_LIST}", 1),
    ("visit", _P.VISIT,
     "visit JOIN household USING (household_id)"
     " WHERE manager = ? AND visit.state IN ('ASSIGNED', 'STARTED', 'COLLECTED', 'RETURNED')", 1),
    ("accept", _P.ACCEPT_VISIT,
     "visit JOIN household USING (household_id) WHERE visit.state = 'SUBMITTED' AND collector <> ?", 1),
)  # fmt: skip
_CONFIRMING: Mapping[str, tuple[Permission, WaitsFor]] = {
    "tell": (_P.REVIEW, "sms"),
    "village": (_P.OBJECT, "village"),
    "close": (_P.DECIDE, "close"),
}
_OF_OFFICE = (
    ("policy", _P.ADOPT_POLICY, "policy WHERE state = 'proposed' AND proposed_by <> ?"),
    ("account", _P.MANAGE_ACCOUNTS, "account WHERE state = 'proposed' AND created_by <> ?"),
    ("reset", _P.MANAGE_ACCOUNTS, "account WHERE state = 'active' AND reset_by <> ?"),
)
_STEPS = {  # a claim's state, and who takes its next step
    present: move.permission
    for present, wanted in CLAIM.moves.items()
    for move in (FREEZE, *MOVES.values())
    if move.to_state in wanted and move.to_state != "RETURNED"
}


@dataclass(frozen=True)
class Waiting:
    """``kind``: conflict, propose, own, not_met, begin, tell, refusal, village, confirm, close, end, visit, accept,
    claim, download, policy, account or reset."""

    kind: str
    count: int


def list_waiting(office: Office, actor: Actor) -> list[Waiting]:
    """What waits for this account, kinds without anything left out. Never raises for want of a permission."""
    return [Waiting(kind, count) for kind, count in _counts(office, actor) if count]


def _counts(office: Office, actor: Actor) -> Iterator[tuple[str, int]]:
    care, bound = care_of(actor)
    for kind, permission, condition, names in _OF_HOUSEHOLDS:
        if actor.may(permission):
            yield kind, _count(office, f"{condition} AND {care}", [*[actor.name] * names, *bound])
    if actor.may(_P.REVIEW):
        yield "not_met", Queue(office).count(actor, QueueFilter("not_met"))
    yield from _of_confirmations(office, actor)
    yield "claim", _claims(office, actor)
    if actor.may(_P.EXPORT):
        yield "download", len(Downloads(office).list_waiting(actor))
    for kind, permission, condition in _OF_OFFICE:
        if actor.may(permission):
            yield kind, _count(office, condition, [actor.name])


def _of_confirmations(office: Office, actor: Actor) -> Iterator[tuple[str, int]]:
    """Families in their confirmation that are to be told, villages to be heard, and what can be closed."""
    wanted = {kind: waits for kind, (permission, waits) in _CONFIRMING.items() if actor.may(permission)}
    if wanted:
        counts = count_running(office, actor)
        yield from ((kind, counts.get(waits, 0)) for kind, waits in wanted.items())


def _claims(office: Office, actor: Actor) -> int:
    states = [state for state, permission in _STEPS.items() if actor.may(permission)]
    if not states:
        return 0
    rows = fetch_all(
        office.database,
        f"SELECT county FROM claim WHERE state IN ({', '.join('?' * len(states))}) AND (? IS NULL OR bank = ?)",  # noqa: S608
        [*states, actor.bank, actor.bank],
    )
    return sum(actor.cares_for(county) for (county,) in rows)


def _count(office: Office, condition: str, values: list[object]) -> int:
    return int(fetch_all(office.database, f"SELECT COUNT(*) FROM {condition}", values)[0][0])  # noqa: S608 (fixed texts)


@dataclass(frozen=True)
class Coming:
    """What will fill an empty queue: visits whose form waits to be accepted, the day of the next planned visit, and
    the first last day of a confirmation that runs (ISO days, None without one)."""

    submitted: int
    next_visit_on: str | None
    next_end_on: str | None


def what_comes(office: Office, actor: Actor) -> Coming:
    """Within the account's care."""
    care, bound = care_of(actor)
    visits = "visit JOIN household USING (household_id)"
    ((planned,),) = fetch_all(
        office.database,
        f"SELECT MIN(planned_for) FROM {visits} WHERE visit.state IN ('PLANNED', 'ASSIGNED') AND planned_for >= ?"  # noqa: S608
        f" AND {care}",
        [office.today().isoformat(), *bound],
    )
    ((ends,),) = fetch_all(
        office.database,
        f"SELECT MIN(ends_on) FROM confirmation JOIN household USING (household_id)"  # noqa: S608
        f" WHERE closed_at IS NULL AND ends_on >= ? AND {care}",
        [office.today().isoformat(), *bound],
    )
    return Coming(_count(office, f"{visits} WHERE visit.state = 'SUBMITTED' AND {care}", bound), planned, ends)
