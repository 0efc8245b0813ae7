"""Moving a household: the only writer of ``household.state``, with its history and its audit row."""

from __future__ import annotations

from collections.abc import Sequence

from matcher.bureau.actors import Actor
from matcher.bureau.office import Office
from matcher.households.errors import HouseholdUnknown
from matcher.reasons import REASONS
from matcher.states import HOUSEHOLD, MoveInvalid
from psi.errors import InputError


def move_within(
    office: Office,
    actor: Actor,
    household_id: int,
    wanted: str,
    *,
    reasons: Sequence[str] = (),
    remark: str = "",
    purpose: str = "",
) -> int:
    """See Households.move_within."""
    if unknown := sorted(set(reasons) - set(REASONS)):
        raise InputError("not reason codes", reasons=unknown)
    database, now = office.database, office.now()
    row = database.execute("SELECT state FROM household WHERE household_id = ?", [household_id]).fetchone()
    if row is None:
        raise HouseholdUnknown("no household has this number", household=household_id)
    (present,) = row
    HOUSEHOLD.check(present, wanted)
    # The state stands in the condition too: whatever ran between the two statements, no move is made twice.
    moved = database.execute(
        "UPDATE household SET state = ?, state_since = ?, updated_at = ? WHERE household_id = ? AND state = ?",
        [wanted, now, now, household_id, present],
    )
    if moved.rowcount != 1:
        raise MoveInvalid("the household has moved meanwhile", what="household", present=present, wanted=wanted)
    said = {"reasons": ",".join(reasons), "remark": remark}
    # Reasons may say what PIPL article 28 protects, so the audit row has them as a digest.
    audit_seq = office.record_within(
        actor, "household.move", f"household/{household_id}", purpose=purpose, after=said, old=present, new=wanted
    )
    database.execute(
        "INSERT INTO household_move (household_id, from_state, to_state, at, account, reasons, remark, audit_seq)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [household_id, present, wanted, now, actor.name, said["reasons"], remark, audit_seq],
    )
    return audit_seq
