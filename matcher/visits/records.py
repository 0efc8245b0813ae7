"""Reading a visit and moving it: every part of the visits goes through here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from matcher.bureau.actors import Actor, NotInCare, Permission
from matcher.bureau.office import Office
from matcher.households.policies import Policies
from matcher.personal.fields import require_plain
from matcher.policy import Policy
from matcher.rows import fetch_records
from matcher.states import VISIT
from matcher.visits.model import VisitChanged, VisitState, VisitUnknown


@dataclass(frozen=True)
class VisitRow:
    """What a change needs to know of a visit and its household."""

    visit_id: int
    household_id: int
    kind: str
    attempt: int
    state: str
    manager: str | None
    collector: str | None
    outcome: str | None
    version: int
    division: str
    household_state: str


def read_visit(office: Office, visit_id: int) -> VisitRow:
    """Raises VisitUnknown."""
    rows = fetch_records(
        office.database,
        "SELECT visit_id, household_id, kind, attempt, visit.state, manager, collector, outcome, version, division,"
        " household.state AS household_state FROM visit JOIN household USING (household_id) WHERE visit_id = ?",
        [visit_id],
    )
    if not rows:
        raise VisitUnknown("no such visit", visit=visit_id)
    return VisitRow(**rows[0])


def read_for_change(
    office: Office,
    actor: Actor,
    permission: Permission,
    visit_id: int,
    version: int | None,
    require: Callable[[VisitRow], None],
) -> VisitRow:
    """The same for somebody who saw ``version`` of it. ``require`` is asked before that is compared: how a visit
    stands is told to nobody else. Raises NotAllowed, VisitUnknown, VisitChanged and what ``require`` raises."""
    actor.require(permission)
    visit = read_visit(office, visit_id)
    actor.require(permission, division=visit.division)
    require(visit)
    if version is not None and version != visit.version:
        raise VisitChanged("changed meanwhile", visit=visit_id, present=visit.version, state=visit.state)
    return visit


def read_own(office: Office, actor: Actor, visit_id: int, version: int | None = None) -> VisitRow:
    """The same for the account that the visit is assigned to: nobody else makes it. Raises NotInCare besides."""

    def require(visit: VisitRow) -> None:
        if visit.manager != actor.name:
            raise NotInCare()

    return read_for_change(office, actor, Permission.VISIT, visit_id, version, require)


def move_visit(
    office: Office,
    actor: Actor,
    visit: VisitRow,
    wanted: str,
    *,
    outcome: str | None = None,
    remark: str = "",
    changes: Mapping[str, object] | None = None,
) -> VisitState:
    """Take a visit to another state in the caller's transaction, with its history and its audit row.

    ``changes`` are further columns. A form saved anew leaves the visit COLLECTED: that is a change and no move.
    ``outcome`` enters the history; to keep it in the visit, put it into ``changes``. Raises MoveInvalid, TextNotPlain.
    """
    if wanted != visit.state:
        VISIT.check(visit.state, wanted)
    remark = require_plain(remark, "remark", optional=True)
    columns = {**(changes or {}), "state": wanted, "remark": remark, "updated_at": office.now()}
    assignments = ", ".join(f"{name} = ?" for name in columns)
    # The version stands in the condition too, so that nothing that ran in between is overwritten.
    done = office.database.execute(
        f"UPDATE visit SET {assignments}, version = version + 1 WHERE visit_id = ? AND version = ?",  # noqa: S608
        [*columns.values(), visit.visit_id, visit.version],
    )
    if done.rowcount != 1:
        raise VisitChanged("changed meanwhile", visit=visit.visit_id, present=visit.version, state=visit.state)
    attempt = int(str(columns.get("attempt", visit.attempt)))
    audit_seq = office.record_within(
        actor, "visit.move", f"visit/{visit.visit_id}", old=visit.state, new=wanted, attempt=attempt, outcome=outcome
    )
    if wanted != visit.state:
        office.database.execute(
            "INSERT INTO visit_move (visit_id, attempt, from_state, to_state, at, account, outcome, remark, audit_seq)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [visit.visit_id, attempt, visit.state, wanted, office.now(), actor.name, outcome, remark, audit_seq],
        )
    return VisitState(visit.visit_id, visit.household_id, wanted, attempt, visit.version + 1)


def policy_of(office: Office, division: str) -> Policy:
    """The county's policy in force today. Raises PolicyUnknown."""
    return Policies(office).policy_for(division[:6], office.today()).policy


def placeholders(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))
